/*
 * admin/http/sample.h - a daemon's counters, now and then, made into samples for the charts.
 */
#ifndef SALLYPORT_ADMIN_HTTP_SAMPLE_H
#define SALLYPORT_ADMIN_HTTP_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

#include "admin/http/ask.h"
#include "admin/http/ring.h"
#include "common/span.h"

#define SAMPLE_BUCKETS	32

/* What one look at the metrics says. */
struct counters {
	uint64_t	started;	/* seconds since 1970: other than before, and all counters began anew */
	uint64_t	requests, refused, connections;
	uint64_t	reasons[RING_REASONS];
	unsigned	nbuckets;
	double		le[SAMPLE_BUCKETS];	/* seconds; the last is infinite */
	uint64_t	bucket[SAMPLE_BUCKETS];	/* cumulative, as Prometheus has them */
};

/* Prometheus' text; any bytes may come. False: it has no sallyport_start_timestamp_seconds, so it is none of ours. */
bool	counters_read(struct counters *, struct span text);
/* Add what happened between two looks, seconds apart, to a sample. */
void	sample_add(struct ring_sample *, const struct counters *was, const struct counters *now, unsigned seconds);
/* The time that a share of what was counted between both took at most, in microseconds; 0: nothing was. */
uint32_t sample_quantile(const struct counters *was, const struct counters *now, double share);

struct site;
struct sampler;
/* Of one daemon's, into that one's ring. */
struct sampler *sampler_new(struct site *, enum ask_daemon);
void	sampler_free(struct sampler *);		/* NULL: nothing */
/* Look at it if it is time for that. Takes limits.control at most; for one thread. */
void	sampler_tick(struct sampler *);

#endif
