/*
 * admin/http/throttle.h - how often somebody may try to log in.
 *
 * Two budgets, each refilled steadily so that nothing is locked for ever: one for
 * where attempts come from, one for the account that they are for. Failures use them up,
 * success gives back. Who has logged in to the account from that source lately is asked
 * for the source's budget only, so that strangers who guess at an account keep
 * its owner out of it at most where they never were.
 *
 * Not locked: the caller holds the site's lock.
 */
#ifndef SALLYPORT_ADMIN_HTTP_THROTTLE_H
#define SALLYPORT_ADMIN_HTTP_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/span.h"

#define THROTTLE_KEYS		1024	/* remembered of each kind; the one that has least to wait for goes */
#define THROTTLE_KNOWN_MS	(30ull * 24 * 3600 * 1000)	/* how long a source is known for an account */

struct throttle_limits {
	unsigned	 source_tries, account_tries;	/* at once */
	uint64_t	 source_every_ms, account_every_ms; /* then one in so long */
};

struct throttle;
struct throttle *throttle_new(const struct throttle_limits *);
void	throttle_free(struct throttle *);	/* NULL: nothing */
/* May this be tried now? If so it counts as a failure until throttle_succeeded() is told; else *wait_ms: when again. */
bool	throttle_try(struct throttle *, struct span source, struct span account, uint64_t now_ms, uint64_t *wait_ms);
void	throttle_succeeded(struct throttle *, struct span source, struct span account, uint64_t now_ms);

/*
 * What counts as one source: an IPv4 address, or the 64-bit network of an IPv6
 * address, since whoever has one address there has all.
 */
struct net_addr;
struct span throttle_source(const struct net_addr *, char out[64]);

#endif
