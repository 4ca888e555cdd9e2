/*
 * common/clock.c - the only caller of clock_gettime().
 */
#include "common/clock.h"

#include <stddef.h>

/* Set by tests before they start threads; NULL in every program. */
static const uint64_t *fake_ms;
static const time_t *fake_wall;

static struct timespec
now(clockid_t id)
{
	struct timespec ts = { 0, 0 };

	/* Cannot fail for these two clocks and a good pointer. */
	(void)clock_gettime(id, &ts);
	return ts;
}

uint64_t
clock_ns(void)
{
	struct timespec ts;

	if (fake_ms != NULL)
		return *fake_ms * 1000000;
	ts = now(CLOCK_MONOTONIC);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

uint64_t
clock_us(void)
{
	return clock_ns() / 1000;
}

uint64_t
clock_ms(void)
{
	return fake_ms != NULL ? *fake_ms : clock_us() / 1000;
}

uint64_t
clock_wall_ms(void)
{
	struct timespec ts;

	if (fake_wall != NULL)
		return (uint64_t)*fake_wall * 1000;
	ts = now(CLOCK_REALTIME);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

time_t
clock_wall(void)
{
	return fake_wall != NULL ? *fake_wall : now(CLOCK_REALTIME).tv_sec;
}

void
clock_fake(const uint64_t *ms, const time_t *wall)
{
	fake_ms = ms;
	fake_wall = wall;
}
