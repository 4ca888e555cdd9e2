/*
 * director/replay.c - which uses of a nonce have been seen.
 */
#include "director/replay.h"

#include <stdlib.h>

#include "common/hash.h"
#include "common/mem.h"

#define NOBODY	UINT32_MAX
#define WINDOW	64

struct entry {
	struct auth_nonce_id	 id;
	uint64_t		 seen;		/* bit k: highest - k was used */
	uint32_t		 highest;
	uint32_t		 next;		/* in its chain */
};

struct replay_table {
	struct entry	*ring;		/* in order of first use, from first on */
	uint32_t	 max, n, first;
	uint32_t	*chain;		/* heads */
	uint32_t	 nchains;	/* a power of two */
	uint64_t	 full;
	uint64_t	 floor_ms;	/* nonces made up to then are too old unless they are here */
};

struct replay_table *
replay_new(uint32_t max)
{
	struct replay_table *t = xcalloc(1, sizeof(*t));

	t->max = max;
	t->ring = xcalloc(max, sizeof(*t->ring));
	for (t->nchains = 16; t->nchains < max && t->nchains < 1u << 30; t->nchains *= 2)
		;
	t->chain = xcalloc(t->nchains, sizeof(*t->chain));
	for (uint32_t i = 0; i < t->nchains; i++)
		t->chain[i] = NOBODY;
	return t;
}

void
replay_free(struct replay_table *t)
{
	if (t == NULL)
		return;
	free(t->ring);
	free(t->chain);
	free(t);
}

/* The link that points at the entry of that id, or at NOBODY. */
static uint32_t *
find(struct replay_table *t, const struct auth_nonce_id *id)
{
	uint32_t *at = &t->chain[hash_mix(id->random, id->made_ms) & (t->nchains - 1)];

	while (*at != NOBODY && (t->ring[*at].id.random != id->random || t->ring[*at].id.made_ms != id->made_ms))
		at = &t->ring[*at].next;
	return at;
}

static void
forget_first(struct replay_table *t)
{
	struct entry *e = &t->ring[t->first];
	uint32_t *at = find(t, &e->id);

	*at = e->next;
	if (e->id.made_ms > t->floor_ms)
		t->floor_ms = e->id.made_ms;
	t->first = (t->first + 1) % t->max;
	t->n--;
	t->full++;
}

uint32_t
replay_count(const struct replay_table *t, uint64_t *full)
{
	*full = t->full;
	return t->n;
}

static enum replay
use_again(struct entry *e, uint32_t nc)
{
	if (nc > e->highest) {
		uint32_t ahead = nc - e->highest;

		e->seen = ahead < WINDOW ? e->seen << ahead | 1 : 1;
		e->highest = nc;
		return REPLAY_FRESH;
	}
	if (e->highest - nc >= WINDOW || (e->seen >> (e->highest - nc) & 1) != 0)
		return REPLAY_USED;
	e->seen |= 1ULL << (e->highest - nc);
	return REPLAY_FRESH;
}

enum replay
replay_use(struct replay_table *t, const struct auth_nonce_id *id, uint32_t nc)
{
	uint32_t at = *find(t, id), *link;

	if (at != NOBODY)
		return use_again(&t->ring[at], nc);
	if (id->made_ms <= t->floor_ms)
		return REPLAY_TOO_OLD;
	if (t->n == t->max)
		forget_first(t);
	/* only now: making room may have changed the chain, or the floor */
	if (id->made_ms <= t->floor_ms)
		return REPLAY_TOO_OLD;
	at = (t->first + t->n++) % t->max;
	link = find(t, id);
	t->ring[at] = (struct entry){ .id = *id, .seen = 1, .highest = nc, .next = NOBODY };
	*link = at;
	return REPLAY_FRESH;
}
