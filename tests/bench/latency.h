/*
 * tests/bench/latency.h - how long things took: a histogram with classes that
 * are 3 % wide, from nanoseconds up.
 */
#ifndef SALLYPORT_TESTS_BENCH_LATENCY_H
#define SALLYPORT_TESTS_BENCH_LATENCY_H

#include <stdint.h>

#define LATENCY_STEPS	32	/* classes per doubling */

struct latency {
	uint64_t	 n[64 * LATENCY_STEPS];
};

void	latency_add(struct latency *, uint64_t ns);

/* Microseconds that this part (0 to 1) of all stayed below; 0 of none. */
double	latency_us(const struct latency *, double part);

#endif
