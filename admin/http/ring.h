/*
 * admin/http/ring.h - what the charts show: a sample a minute of the last day, in a
 * file of fixed size that survives a restart.
 *
 * Each sample has a check of its own. A file that is none of ours, or has more
 * than a few bad samples, is put aside and begun anew.
 *
 * Not locked: the caller holds the site's lock.
 */
#ifndef SALLYPORT_ADMIN_HTTP_RING_H
#define SALLYPORT_ADMIN_HTTP_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/reason.h"

#define RING_MINUTES	1440
#define RING_REASONS	128	/* more than POLICY_REASONS has */
#define RING_BAD_MAX	4	/* samples that may be bad, as after a power cut */

struct ring_sample {
	uint64_t	minute;		/* since 1970; 0: none */
	uint32_t	seconds;	/* that were watched of it */
	uint32_t	connections;	/* at its end */
	uint64_t	requests;	/* that came in, in that time */
	uint64_t	refused;
	uint32_t	p50_us, p95_us, p99_us;	/* how long requests took; 0: there were none */
	uint32_t	spare;
	uint32_t	reasons[RING_REASONS];	/* refused for it, by enum policy_reason */
};

struct ring;
/*
 * Never fails: *news is NULL, or what had to be done or could not be (static): "is
 * damaged and was begun anew" … path NULL: kept in memory only.
 */
struct ring *ring_open(const char *path, const char **news);
void	ring_close(struct ring *);	/* NULL: nothing */
/* Keep it in the place of its minute. False: the file could not be written (errno); it is kept in memory. */
bool	ring_put(struct ring *, const struct ring_sample *);
/* The sample of that minute, or NULL. Borrowed until the next put. */
const struct ring_sample *ring_get(const struct ring *, uint64_t minute);

#endif
