/*
 * policy/content.h - which links and files may pass, by class of peer (MS 14.3).
 *
 * The rule alone: finding links and files in a message is sip/content.h's.
 * Part of the rules, immutable like them; every pointer lives as long as they do.
 */
#ifndef SALLYPORT_POLICY_CONTENT_H
#define SALLYPORT_POLICY_CONTENT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/span.h"
#include "policy/facts.h"

struct policy_rules;

enum policy_content_action {
	POLICY_CONTENT_ALLOW = 0,
	POLICY_CONTENT_WARN,	/* links: made inert, with a warning before the text */
	POLICY_CONTENT_LISTED,	/* files: those with a listed extension are refused */
	POLICY_CONTENT_BLOCK
};

/* A domain that stands alone, without a scheme and without "www.": is it a link? */
enum policy_content_bare {
	POLICY_BARE_NONE = 0,
	POLICY_BARE_WITH_PATH,	/* evil.example/x: with a path, a port or a query behind it */
	POLICY_BARE_ALL		/* evil.example too, and whatever looks like it */
};

struct policy_content {
	enum policy_content_action	 links;		/* ALLOW, WARN, BLOCK */
	enum policy_content_action	 files;		/* ALLOW, LISTED, BLOCK */
	bool				 pass_sealed;	/* what cannot be looked into passes; else refused */
	enum policy_content_bare	 bare;
	bool				 pass_own;	/* http links into our own domains are none */
	const struct span		*schemes;	/* lower-case; "http" is a URI's scheme, "www." how a host begins */
	size_t				 nschemes;
	const struct span		*extensions;	/* lower-case, without a dot */
	size_t				 nextensions;
	struct span			 warning;	/* UTF-8, one line; may be empty */
	const char			*file;		/* where the rule stands */
	int				 line;
};

#define POLICY_CONTENT_WORD_MAX		24	/* bytes of a scheme or an extension */
#define POLICY_CONTENT_WORDS_MAX	64	/* of each in one rule */
#define POLICY_CONTENT_WARNING_MAX	300	/* bytes */

/*
 * The rule for what a peer of that class sends us (outward false) or is sent;
 * NULL: everything passes.
 */
const struct policy_content *policy_content_of(const struct policy_rules *, enum policy_class, bool outward);

#endif
