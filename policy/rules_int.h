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

/* How far a partner's word about its users counts (MS 7.2). */
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

struct partner {
	struct policy_partner	 shown;		/* strings owned by the rules */
	size_t			 server_len;
	enum key_rule		 key_rule;
	struct place		 key_rule_at;
	size_t			 npins;
	enum partner_word	 word;
	struct place		 at, word_at;
};

enum policy_switch {
	SWITCH_REMOTE_USERS = 0,
	SWITCH_FEDERATION,
	SWITCH_IP_LITERALS,
	SWITCH_MARK_VERIFIABLE,
	SWITCH_ARCHIVING_NOTICE,
	NSWITCHES
};

/* A method of the refuse list that has no number of its own. */
struct other_method {
	struct span	name;
	struct place	at;
};

struct policy_rules {
	atomic_uint		 refs;
	bool			 on[NSWITCHES];
	struct place		 switch_at[NSWITCHES];
	struct place		 refused[POLICY_NMETHODS];	/* written: refused from server peers */
	struct other_method	*others;
	size_t			 nothers;
	struct names		*names;
	struct partner		*partners;
	size_t			 npartners;
	struct pin		*pins;
	size_t			 npins;
	unsigned char		(*refused_certificates)[KEY_HASH];
	size_t			 nrefused_certificates;
	char			**files;	/* every file name a place borrows */
	size_t			 nfiles;
};

static inline struct span
partner_server(const struct partner *p)
{
	return span_of(p->shown.server, p->server_len);
}

#endif
