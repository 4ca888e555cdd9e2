/*
 * policy/rules_int.h - the inside of struct policy_rules, for policy/ only.
 */
#ifndef SALLYPORT_POLICY_RULES_INT_H
#define SALLYPORT_POLICY_RULES_INT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "policy/facts.h"
#include "policy/names.h"
#include "policy/rules.h"

/* How far another organisation's word about its users counts (MS 7.2). */
enum partner_word {
	WORD_USE_SOURCE = 0,
	WORD_ALWAYS_VERIFIABLE,
	WORD_ALWAYS_UNVERIFIABLE
};

/* A rule that is not about a name. file NULL: nobody wrote it, the default holds. */
struct place {
	const char	*file;
	int		 line;
};

/* What a partner's certificate must be, beside its names (design 4, key usage). */
enum key_rule {
	KEY_SERVER_ONLY = 0,	/* a chain that verifies; serverAuth or clientAuth will do from who connects */
	KEY_STRICT,		/* … with both usages */
	KEY_PINNED		/* a pinned key, whatever the chain and the names */
};

#define KEY_HASH	32	/* bytes of a SHA-256 */

/* A pinned key. Sorted by spki; one key is one partner's. */
struct pin {
	unsigned char		 spki[KEY_HASH];
	uint32_t		 partner;
	struct place		 at;
};

/* A server that the rules name: a peer, or where a static route leads. */
struct partner {
	struct policy_partner	 shown;		/* strings owned by the rules */
	size_t			 server_len;
	/* DIRECT, PROVIDER, BRANCH, CLEARINGHOUSE (the default route); UNKNOWN: a static route's, nobody who may come in */
	enum policy_class	 class;
	enum key_rule		 key_rule;
	struct place		 key_rule_at;
	size_t			 npins;
	enum partner_word	 word;
	bool			 enabled;	/* a provider */
	bool			 public_network; /* a provider or the default route */
	bool			 trusted;	/* in our trust domain (RFC 3325) */
	bool			 member;	/* of the clearing house that we are */
	bool			 paused;	/* nothing passes to and from it until that is taken back */
	uint64_t		*reach;		/* a member: bit i, may reach partners[i]; NULL: every member */
	struct place		 at, word_at, enabled_at, member_at, paused_at;
};

/* A domain that may be discovered by DNS. */
struct allowed {
	struct span		 record;	/* ask for this name; NUL-terminated; SPAN_NONE: the usual one */
	enum partner_word	 word;
	struct place		 at, word_at;
};

/* A static route: the Request-URI's pattern. Kept in the order in which they are tried. */
struct route {
	struct span		 user;		/* "*" where the rule names none; of a telephone number all of it */
	struct span		 host;
	bool			 tel;		/* about telephone numbers (tel:), which have no host */
	uint32_t		 partner;
	bool			 replace_host;
	unsigned		 number;	/* as they stand in the file */
	struct place		 at;
};

enum policy_switch {
	SWITCH_REMOTE_USERS = 0,
	SWITCH_FEDERATION,
	SWITCH_IP_LITERALS,
	SWITCH_MARK_VERIFIABLE,
	SWITCH_ARCHIVING_NOTICE,
	SWITCH_DISCOVERY,
	SWITCH_OPEN_FEDERATION,
	SWITCH_CLEARINGHOUSE,
	SWITCH_STRICT_PROVIDERS,
	SWITCH_ASSERT_IDENTITY,
	SWITCH_DIAGNOSTICS_PARTNERS,
	SWITCH_DIAGNOSTICS_USERS,
	NSWITCHES
};

/* A method of the refuse list that has no number of its own. */
struct other_method {
	struct span		name;
	enum policy_class	class;	/* UNKNOWN: every server of another organisation */
	struct place		at;
};

#define NO_PARTNER	UINT32_MAX

struct policy_rules {
	atomic_uint		 refs;
	bool			 on[NSWITCHES];
	struct place		 switch_at[NSWITCHES];
	/* Written: refused from that class; from class UNKNOWN: from every server of another organisation. */
	struct place		 refused[POLICY_NCLASSES][POLICY_NMETHODS];
	struct other_method	*others;
	size_t			 nothers;
	struct names		*names;
	struct partner		*partners;
	size_t			 npartners;
	struct pin		*pins;
	size_t			 npins;
	unsigned char		(*refused_certificates)[KEY_HASH];
	size_t			 nrefused_certificates;
	size_t			 nproviders;	/* enabled or not */
	size_t			 nbranches;
	uint32_t		 default_route;	/* of partners; NO_PARTNER: none */
	struct allowed		*allowed;
	size_t			 nallowed;
	struct allowed		 open;		/* what holds of a domain that open federation lets in */
	struct route		*routes;
	size_t			 nroutes;
	struct contents		*contents;	/* policy/content.c; NULL: no content rules */
	char			**files;	/* every file name a place borrows */
	size_t			 nfiles;
};

void	contents_free(struct contents *);	/* NULL: nothing */

static inline struct span
partner_server(const struct partner *p)
{
	return span_of(p->shown.server, p->server_len);
}

/* May member a of our clearing house reach member b? */
static inline bool
member_reaches(const struct policy_rules *r, uint32_t a, uint32_t b)
{
	const struct partner *p = &r->partners[a];

	if (!p->member || !r->partners[b].member || a == b)
		return false;
	return p->reach == NULL || (p->reach[b / 64] >> (b % 64) & 1) != 0;
}

#endif
