/*
 * director/dircache.c - users that the directory was asked about, for a while.
 */
#include "director/dircache.h"

#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "common/mem.h"

struct cached {
	struct cached	 *chain;		/* of its bucket */
	struct cached	 *newer, *older;	/* by use */
	uint64_t	  fresh_until, until;
	uint8_t		  found, enabled, remote, federation, public_im, archive;
	uint16_t	  key_n, pool_n, aor_n;
	char		  text[];		/* key, pool, and the address */
};

struct dircache {
	struct cached	**bucket;
	struct cached	 *newest, *oldest;
	uint32_t	  nbuckets, n, max;
	uint64_t	  full;
};

struct dircache *
dircache_new(uint32_t max)
{
	struct dircache *c = xcalloc(1, sizeof(*c));

	c->max = max != 0 ? max : 1;
	c->nbuckets = 64;
	while (c->nbuckets < c->max && c->nbuckets < 1u << 20)
		c->nbuckets *= 2;
	c->bucket = xcalloc(c->nbuckets, sizeof(*c->bucket));
	return c;
}

void
dircache_free(struct dircache *c)
{
	if (c == NULL)
		return;
	dircache_flush(c);
	free(c->bucket);
	free(c);
}

/* Where the pointer to the entry stands. */
static struct cached **
find(const struct dircache *c, struct span key)
{
	struct cached **at = &c->bucket[hash_nocase(key) & (c->nbuckets - 1)];

	while (*at != NULL && !span_ieq(span_of((*at)->text, (*at)->key_n), key))
		at = &(*at)->chain;
	return at;
}

static void
unlink_use(struct dircache *c, struct cached *e)
{
	*(e->newer != NULL ? &e->newer->older : &c->newest) = e->older;
	*(e->older != NULL ? &e->older->newer : &c->oldest) = e->newer;
	e->newer = e->older = NULL;
}

static void
use(struct dircache *c, struct cached *e)
{
	e->newer = NULL;
	e->older = c->newest;
	*(c->newest != NULL ? &c->newest->newer : &c->oldest) = e;
	c->newest = e;
}

static void
drop(struct dircache *c, struct cached **at)
{
	struct cached *e = *at;

	*at = e->chain;
	unlink_use(c, e);
	free(e);
	c->n--;
}

void
dircache_flush(struct dircache *c)
{
	while (c->oldest != NULL)
		drop(c, find(c, span_of(c->oldest->text, c->oldest->key_n)));
}

uint32_t
dircache_count(const struct dircache *c)
{
	return c->n;
}

uint64_t
dircache_full(const struct dircache *c)
{
	return c->full;
}

bool
dircache_get(struct dircache *c, struct span key, uint64_t now_ms, struct authd_user *u, bool *fresh)
{
	struct cached **at = find(c, key), *e = *at;

	memset(u, 0, sizeof(*u));
	*fresh = false;
	if (e == NULL)
		return false;
	if (now_ms >= e->until) {
		drop(c, at);
		return false;
	}
	unlink_use(c, e);
	use(c, e);
	*fresh = now_ms < e->fresh_until;
	u->found = e->found;
	u->enabled = e->enabled;
	u->remote = e->remote;
	u->federation = e->federation;
	u->public_im = e->public_im;
	u->archive = e->archive;
	memcpy(u->pool, e->text + e->key_n, e->pool_n);
	memcpy(u->aor, e->text + e->key_n + e->pool_n, e->aor_n);
	return true;
}

void
dircache_put(struct dircache *c, struct span key, const struct authd_user *u, uint64_t now_ms, uint64_t ttl_ms,
    uint64_t stale_ms)
{
	size_t pool_n = strlen(u->pool), aor_n = u->found ? strlen(u->aor) : 0;
	struct cached *e, **at;

	if (key.n >= USER_AOR_MAX)
		return;
	dircache_remove(c, key);
	if (c->n >= c->max) {
		drop(c, find(c, span_of(c->oldest->text, c->oldest->key_n)));
		c->full++;
	}
	e = xcalloc(1, sizeof(*e) + key.n + pool_n + aor_n + 1);
	e->fresh_until = now_ms + ttl_ms;
	e->until = e->fresh_until + stale_ms;
	e->found = u->found;
	e->enabled = u->enabled;
	e->remote = u->remote;
	e->federation = u->federation;
	e->public_im = u->public_im;
	e->archive = u->archive;
	e->key_n = (uint16_t)key.n;
	e->pool_n = (uint16_t)pool_n;
	e->aor_n = (uint16_t)aor_n;
	if (key.n != 0)
		memcpy(e->text, key.p, key.n);
	memcpy(e->text + key.n, u->pool, pool_n);
	memcpy(e->text + key.n + pool_n, u->aor, aor_n);
	at = &c->bucket[hash_nocase(key) & (c->nbuckets - 1)];
	e->chain = *at;
	*at = e;
	use(c, e);
	c->n++;
}

void
dircache_remove(struct dircache *c, struct span key)
{
	struct cached **at = find(c, key);

	if (*at != NULL)
		drop(c, at);
}
