/*
 * common/clock.h - the only caller of clock_gettime(); tests may replace it.
 */
#ifndef SALLYPORT_COMMON_CLOCK_H
#define SALLYPORT_COMMON_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Milliseconds of a clock that never goes back; its zero means nothing. */
uint64_t clock_ms(void);
/* Microseconds of the same clock. */
uint64_t clock_us(void);
/* Nanoseconds of the same clock: for what takes less than a microsecond. */
uint64_t clock_ns(void);
/* Seconds since 1970, UTC; may jump. */
time_t	 clock_wall(void);
/* The same in milliseconds. */
uint64_t clock_wall_ms(void);

/* Tests: from now on the monotonic clock is *ms and the wall clock *wall (NULL: the real one again). */
void	 clock_fake(const uint64_t *ms, const time_t *wall);

#endif
