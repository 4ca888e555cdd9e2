/*
 * director/guesses.c - wrong passwords, counted.
 */
#include "director/guesses.h"

#include <stdlib.h>

#include "common/hash.h"
#include "common/mem.h"

#define WAYS		8			/* cells of a set */
#define KNOWN_MS	(30ULL * 86400 * 1000)	/* so long is a source a user's own after it was last signed in from */

/* key 0: free. A count is a time: when it will be zero, at one in forget_ms. */
struct cell {
	uint64_t	 key, until_ms;
};

struct table {
	struct cell	*cell;
	uint32_t	 nsets;		/* a power of two */
	uint32_t	 n;		/* cells that are used */
	uint64_t	 full;		/* that gave way to another before they were over */
};

struct guesses {
	struct guesses_limits	 limits;
	struct table		 counts, known;
};

struct keys {
	uint64_t	 pair, source, user;
};

static void
table_make(struct table *t, uint32_t entries)
{
	for (t->nsets = 1; t->nsets * WAYS < entries && t->nsets < 1u << 24; t->nsets *= 2)
		;
	t->n = 0;
	t->cell = xcalloc((size_t)t->nsets * WAYS, sizeof(*t->cell));
}

struct guesses *
guesses_new(const struct guesses_limits *limits)
{
	struct guesses *g = xcalloc(1, sizeof(*g));

	g->limits = *limits;
	table_make(&g->counts, limits->entries);
	table_make(&g->known, limits->entries);
	return g;
}

void
guesses_free(struct guesses *g)
{
	if (g == NULL)
		return;
	free(g->counts.cell);
	free(g->known.cell);
	free(g);
}

void
guesses_set(struct guesses *g, const struct guesses_limits *limits)
{
	bool resized = limits->entries != g->limits.entries;

	g->limits = *limits;
	if (!resized)
		return;
	free(g->counts.cell);
	free(g->known.cell);
	table_make(&g->counts, limits->entries);
	table_make(&g->known, limits->entries);
}

uint32_t
guesses_count(const struct guesses *g, uint64_t *full)
{
	*full = g->counts.full;
	return g->counts.n;
}

const char *
guesses_verdict_name(enum guesses_verdict v)
{
	static const char *const names[GUESSES_NVERDICTS] = { "user-and-source", "source", "user", "may" };

	return (unsigned)v < GUESSES_NVERDICTS ? names[v] : "";
}

static struct keys
keys_of(struct span user, struct span source)
{
	uint64_t u = hash_nocase(user), s = hash_nocase(source);

	/* never 0, and the three of them apart */
	return (struct keys){ hash_mix(hash_mix(u, s), 1) | 1, hash_mix(s, 2) | 1, hash_mix(u, 3) | 1 };
}

static struct cell *
find(const struct table *t, uint64_t key)
{
	struct cell *set = &t->cell[(size_t)(key >> 8 & (t->nsets - 1)) * WAYS];

	for (unsigned i = 0; i < WAYS; i++)
		if (set[i].key == key)
			return &set[i];
	return NULL;
}

/* Its cell, or the one of its set that is soonest over. */
static struct cell *
claim(struct table *t, uint64_t key, uint64_t now)
{
	struct cell *c = find(t, key), *set = &t->cell[(size_t)(key >> 8 & (t->nsets - 1)) * WAYS];

	if (c != NULL)
		return c;
	c = &set[0];
	for (unsigned i = 1; i < WAYS; i++)
		if (set[i].until_ms < c->until_ms)
			c = &set[i];
	t->n += c->key == 0;
	t->full += c->key != 0 && c->until_ms > now;
	*c = (struct cell){ .key = key };
	return c;
}

/* Is there room for one more below the limit? */
static bool
is_full(const struct guesses *g, uint64_t key, uint32_t limit, uint64_t now)
{
	const struct cell *c = limit != 0 ? find(&g->counts, key) : NULL;

	return c != NULL && c->until_ms > now + (limit - 1) * g->limits.forget_ms;
}

static void
add(struct guesses *g, uint64_t key, uint32_t limit, uint64_t now)
{
	struct cell *c;

	if (limit == 0)
		return;
	c = claim(&g->counts, key, now);
	c->until_ms = (c->until_ms > now ? c->until_ms : now) + g->limits.forget_ms;
}

static void
take(struct guesses *g, uint64_t key, uint64_t now)
{
	struct cell *c = find(&g->counts, key);

	if (c != NULL)
		c->until_ms = c->until_ms > now + g->limits.forget_ms ? c->until_ms - g->limits.forget_ms : 0;
}

enum guesses_verdict
guesses_begin(struct guesses *g, struct span user, struct span source, uint64_t now)
{
	struct keys k = keys_of(user, source);
	const struct cell *home = find(&g->known, k.pair);
	bool at_home = home != NULL && home->until_ms > now;

	if (is_full(g, k.pair, g->limits.pair, now))
		return GUESSES_PAIR;
	if (!at_home && is_full(g, k.source, g->limits.source, now))
		return GUESSES_SOURCE;
	if (!at_home && is_full(g, k.user, g->limits.user, now))
		return GUESSES_USER;
	add(g, k.pair, g->limits.pair, now);
	/* its own wrong ones are no sign that a stranger is at work */
	if (!at_home) {
		add(g, k.source, g->limits.source, now);
		add(g, k.user, g->limits.user, now);
	}
	return GUESSES_MAY;
}

static void
take_back(struct guesses *g, const struct keys *k, uint64_t now)
{
	const struct cell *home = find(&g->known, k->pair);

	if (home != NULL && home->until_ms > now)
		return;
	take(g, k->source, now);
	take(g, k->user, now);
}

void
guesses_right(struct guesses *g, struct span user, struct span source, uint64_t now)
{
	struct keys k = keys_of(user, source);
	struct cell *c = find(&g->counts, k.pair);

	if (c != NULL) {
		*c = (struct cell){ 0 };
		g->counts.n--;
	}
	take_back(g, &k, now);
	/* a source without a name is nobody's home */
	if (!span_is_empty(source))
		claim(&g->known, k.pair, now)->until_ms = now + KNOWN_MS;
}

void
guesses_undo(struct guesses *g, struct span user, struct span source, uint64_t now)
{
	struct keys k = keys_of(user, source);

	take(g, k.pair, now);
	take_back(g, &k, now);
}
