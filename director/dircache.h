/*
 * director/dircache.h - users that the directory was asked about, for a while.
 *
 * A table with a bound; the one that was not used for longest makes room. The
 * caller keeps two: one of users, one of names that are nobody's, so that who
 * tries out names cannot drive out users. Pure: time is the caller's.
 */
#ifndef SALLYPORT_DIRECTOR_DIRCACHE_H
#define SALLYPORT_DIRECTOR_DIRCACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/span.h"
#include "director/authd.h"

struct dircache;

/* At most max entries, at least one. */
struct dircache *dircache_new(uint32_t max);
void	 dircache_free(struct dircache *);
void	 dircache_flush(struct dircache *);
uint32_t dircache_count(const struct dircache *);
/* How often one gave way to another so far. */
uint64_t dircache_full(const struct dircache *);
/*
 * What is known about an address, or a login (any letter case), at the time now_ms. *fresh: it may be used
 * as it is; else it is too old, and only better than nothing. False: nothing is known.
 */
bool	 dircache_get(struct dircache *, struct span key, uint64_t now_ms, struct authd_user *, bool *fresh);
/* Copied; fresh for ttl_ms, and kept for stale_ms more. Replaces. */
void	 dircache_put(struct dircache *, struct span key, const struct authd_user *, uint64_t now_ms, uint64_t ttl_ms,
	    uint64_t stale_ms);
void	 dircache_remove(struct dircache *, struct span key);

#endif
