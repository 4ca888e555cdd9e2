/*
 * policy/names.h - every name that any rule speaks of, in one table.
 *
 * Inside policy/ only. A domain is looked up once and the answer says what
 * every kind of rule has to say about it. The cost does not grow with the
 * number of rules: one probe for each suffix whose number of labels occurs
 * among the rules. A new kind of rule (allowed domains, providers, members)
 * is a new enumerator.
 */
#ifndef SALLYPORT_POLICY_NAMES_H
#define SALLYPORT_POLICY_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/span.h"

enum name_kind {
	NAME_BLOCKED = 0,	/* domain: covers itself and everything below */
	NAME_INTERNAL,		/* domain: ours */
	NAME_PARTNER,		/* domain: a direct partner's; value: which partner */
	NAME_SERVER,		/* server: a configured peer's; value: which entry of the rules' partners */
	NAME_INTERNAL_SERVER,	/* server: may come in by the inner door */
	NAME_ALLOWED,		/* domain: may be discovered by DNS; value: which entry of the rules' allowed */
	NAME_NKINDS
};

/* How far a rule about a name goes. */
enum name_reach {
	REACH_EXACT = 0,	/* "d" */
	REACH_BELOW,		/* ".d": what ends in it, not itself */
	REACH_ALL,		/* both: blocks */
	REACH_PATTERN		/* "*" in it: kept beside the table */
};

struct name_rule {
	struct span	 name;	/* without the dot of ".d" */
	const char	*file;
	int		 line;
	uint32_t	 value;
	uint8_t		 kind;
	uint8_t		 reach;
};

/* For each kind the rule that covers the name, the closest one; NULL: none. */
struct name_match {
	const struct name_rule *rule[NAME_NKINDS];
};

struct names;

struct names *names_new(void);
void	names_free(struct names *);
/*
 * Add a rule; name is canonical and copied, file is borrowed for the table's
 * life. NULL, or the rule of the same kind and reach that has the name already:
 * then nothing was added.
 */
const struct name_rule *names_add(struct names *, enum name_kind, enum name_reach, struct span name,
	    uint32_t value, const char *file, int line);
/* All rules in the order they were added; valid until the next names_add(). */
const struct name_rule *names_all(const struct names *, size_t *n);

/* What covers this name. Allocates nothing; any number of threads. */
void	names_match(const struct names *, struct span name, struct name_match *);
/* The rule of a kind about exactly this name; NULL: none. Cheaper than names_match(). */
const struct name_rule *names_exact(const struct names *, enum name_kind, struct span name);
/* The rule of a kind that covers everything a rule of this name and reach covers. */
const struct name_rule *names_covering(const struct names *, enum name_kind, struct span name,
	    enum name_reach);
/*
 * Does name follow pattern? '*' stands for any characters, in a domain for any
 * of one label. Never more steps than both lengths multiplied.
 */
bool	names_follows(struct span name, struct span pattern, bool is_domain);
/* The first pattern of internal servers that this name follows; NULL: none. */
const struct name_rule *names_match_pattern(const struct names *, struct span name);

#endif
