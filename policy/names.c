/*
 * policy/names.c - an open-addressing table of names, probed by suffixes.
 */
#include "policy/names.h"

#include <stdlib.h>

#include "common/hash.h"
#include "common/mem.h"

/* Rules are numbered from 1; 0 is none. REACH_ALL stands in both columns. */
struct entry {
	struct span	name;
	uint32_t	at[NAME_NKINDS][2];	/* [kind][exact, below] */
};

/* The tag saves the look at an entry that is not the one. */
struct slot {
	uint32_t	tag;
	uint32_t	entry;	/* numbered from 1 */
};

struct names {
	struct name_rule	*rules;
	size_t			 nrules, maxrules;
	struct entry		*entries;
	size_t			 nentries, maxentries;
	struct slot		*slots;
	size_t			 nslots;	/* a power of two */
	uint32_t		*patterns;	/* rules of REACH_PATTERN */
	size_t			 npatterns;
	uint64_t		 depths;	/* bit n: some name has n labels (63: or more) */
};

struct names *
names_new(void)
{
	struct names *t = xcalloc(1, sizeof(*t));

	t->nslots = 64;
	t->slots = xcalloc(t->nslots, sizeof(*t->slots));
	return t;
}

void
names_free(struct names *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < t->nentries; i++)
		free((char *)(uintptr_t)t->entries[i].name.p);
	for (size_t i = 0; i < t->npatterns; i++)
		free((char *)(uintptr_t)t->rules[t->patterns[i]].name.p);
	free(t->rules);
	free(t->entries);
	free(t->slots);
	free(t->patterns);
	free(t);
}

static unsigned
labels_of(struct span name)
{
	unsigned n = 1;

	for (size_t i = 0; i < name.n; i++)
		n += name.p[i] == '.';
	return n;
}

static uint64_t
depth_bit(unsigned labels)
{
	return (uint64_t)1 << (labels < 63 ? labels : 63);
}

static struct entry *
find(const struct names *t, struct span name)
{
	uint64_t h = hash_bytes(name.p, name.n);
	uint32_t tag = (uint32_t)(h >> 32);

	for (size_t i = (size_t)h & (t->nslots - 1); t->slots[i].entry != 0; i = (i + 1) & (t->nslots - 1)) {
		struct entry *e = &t->entries[t->slots[i].entry - 1];

		if (t->slots[i].tag == tag && span_eq(e->name, name))
			return e;
	}
	return NULL;
}

static void
put(struct names *t, struct span name, uint32_t number)
{
	uint64_t h = hash_bytes(name.p, name.n);
	size_t i = (size_t)h & (t->nslots - 1);

	while (t->slots[i].entry != 0)
		i = (i + 1) & (t->nslots - 1);
	t->slots[i] = (struct slot){ (uint32_t)(h >> 32), number };
}

/* At most half full, so that a miss ends soon. */
static void
grow(struct names *t)
{
	if (t->nentries == t->maxentries) {
		t->maxentries = t->maxentries != 0 ? t->maxentries * 2 : 32;
		t->entries = xreallocarray(t->entries, t->maxentries, sizeof(*t->entries));
	}
	if ((t->nentries + 1) * 2 <= t->nslots)
		return;
	free(t->slots);
	t->nslots *= 2;
	t->slots = xcalloc(t->nslots, sizeof(*t->slots));
	for (size_t i = 0; i < t->nentries; i++)
		put(t, t->entries[i].name, (uint32_t)i + 1);
}

static struct entry *
find_or_add(struct names *t, struct span name)
{
	struct entry *e = find(t, name);

	if (e != NULL)
		return e;
	grow(t);
	e = &t->entries[t->nentries++];
	*e = (struct entry){ .name = span_of(xmemdup(name.p, name.n), name.n) };
	put(t, e->name, (uint32_t)t->nentries);
	t->depths |= depth_bit(labels_of(name));
	return e;
}

static uint32_t
append(struct names *t, const struct name_rule *r)
{
	if (t->nrules == t->maxrules) {
		t->maxrules = t->maxrules != 0 ? t->maxrules * 2 : 32;
		t->rules = xreallocarray(t->rules, t->maxrules, sizeof(*t->rules));
	}
	t->rules[t->nrules] = *r;
	return (uint32_t)t->nrules++;
}

static const struct name_rule *
add_pattern(struct names *t, struct name_rule r)
{
	for (size_t i = 0; i < t->npatterns; i++)
		if (span_eq(t->rules[t->patterns[i]].name, r.name))
			return &t->rules[t->patterns[i]];
	r.name = span_of(xmemdup(r.name.p, r.name.n), r.name.n);
	t->patterns = xreallocarray(t->patterns, t->npatterns + 1, sizeof(*t->patterns));
	t->patterns[t->npatterns++] = append(t, &r);
	return NULL;
}

const struct name_rule *
names_add(struct names *t, enum name_kind kind, enum name_reach reach, struct span name, uint32_t value,
    const char *file, int line)
{
	struct name_rule r = { name, file, line, value, (uint8_t)kind, (uint8_t)reach };
	struct entry *e;
	uint32_t number;

	if (reach == REACH_PATTERN)
		return add_pattern(t, r);
	e = find_or_add(t, name);
	if (reach != REACH_BELOW && e->at[kind][0] != 0)
		return &t->rules[e->at[kind][0] - 1];
	if (reach != REACH_EXACT && e->at[kind][1] != 0)
		return &t->rules[e->at[kind][1] - 1];
	r.name = e->name;
	number = append(t, &r) + 1;
	if (reach != REACH_BELOW)
		e->at[kind][0] = number;
	if (reach != REACH_EXACT)
		e->at[kind][1] = number;
	return NULL;
}

const struct name_rule *
names_all(const struct names *t, size_t *n)
{
	*n = t->nrules;
	return t->rules;
}

/*
 * The suffixes of name from the longest to the shortest, and of those only the
 * ones that could be in the table: a name of a hundred labels costs no more
 * probes than one of three, since rules seldom have more.
 */
void
names_match(const struct names *t, struct span name, struct name_match *out)
{
	unsigned labels;
	bool whole = true;

	*out = (struct name_match){ { NULL } };
	for (labels = labels_of(name); name.n > 0; labels--, whole = false) {
		const struct entry *e;

		if ((t->depths & depth_bit(labels)) != 0 && (e = find(t, name)) != NULL) {
			for (unsigned k = 0; k < NAME_NKINDS; k++) {
				uint32_t number = e->at[k][whole ? 0 : 1];

				if (number != 0 && out->rule[k] == NULL)
					out->rule[k] = &t->rules[number - 1];
			}
		}
		name = span_tail(name, span_find(name, '.') + 1);
	}
}

const struct name_rule *
names_exact(const struct names *t, enum name_kind kind, struct span name)
{
	const struct entry *e = find(t, name);

	return e != NULL && e->at[kind][0] != 0 ? &t->rules[e->at[kind][0] - 1] : NULL;
}

const struct name_rule *
names_covering(const struct names *t, enum name_kind kind, struct span name, enum name_reach reach)
{
	bool whole = reach == REACH_EXACT;

	for (; name.n > 0; whole = false) {
		const struct entry *e = find(t, name);

		if (e != NULL && e->at[kind][whole ? 0 : 1] != 0)
			return &t->rules[e->at[kind][whole ? 0 : 1] - 1];
		name = span_tail(name, span_find(name, '.') + 1);
	}
	return NULL;
}

bool
names_follows(struct span name, struct span pattern, bool is_domain)
{
	size_t i = 0, j = 0, star = SIZE_MAX, from = 0;

	while (i < name.n) {
		if (j < pattern.n && pattern.p[j] == '*') {
			star = j++;
			from = i;
		} else if (j < pattern.n && pattern.p[j] == name.p[i]) {
			i++, j++;
		} else if (star != SIZE_MAX && !(is_domain && name.p[from] == '.')) {
			i = ++from;
			j = star + 1;
		} else {
			return false;
		}
	}
	while (j < pattern.n && pattern.p[j] == '*')
		j++;
	return j == pattern.n;
}

const struct name_rule *
names_match_pattern(const struct names *t, struct span name)
{
	for (size_t i = 0; i < t->npatterns; i++)
		if (names_follows(name, t->rules[t->patterns[i]].name, true))
			return &t->rules[t->patterns[i]];
	return NULL;
}
