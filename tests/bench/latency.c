#include "tests/bench/latency.h"

static unsigned
class_of(uint64_t ns)
{
	unsigned top;

	if (ns < LATENCY_STEPS)
		return (unsigned)ns;
	top = 63 - (unsigned)__builtin_clzll(ns);
	return (top - 4) * LATENCY_STEPS +
	    (unsigned)((ns >> (top - 5)) & (LATENCY_STEPS - 1));
}

/* The middle of a class, back in nanoseconds. */
static double
value_of(unsigned class)
{
	unsigned top = class / LATENCY_STEPS + 4;

	if (class < LATENCY_STEPS)
		return class;
	return (double)((uint64_t)(LATENCY_STEPS + class % LATENCY_STEPS) <<
	    (top - 5)) + (double)(1ull << (top - 5)) / 2;
}

void
latency_add(struct latency *l, uint64_t ns)
{
	l->n[class_of(ns)]++;
}

double
latency_us(const struct latency *l, double part)
{
	uint64_t total = 0, seen = 0;
	unsigned i;

	for (i = 0; i < 64 * LATENCY_STEPS; i++)
		total += l->n[i];
	for (i = 0; i < 64 * LATENCY_STEPS; i++) {
		seen += l->n[i];
		if (seen > 0 && (double)seen >= part * (double)total)
			return value_of(i) / 1000;
	}
	return 0;
}
