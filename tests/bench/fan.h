/*
 * tests/bench/fan.h - what the inside does when somebody's presence changes:
 * tell everybody who watches. Users who have registered through the proxy are
 * remembered with their way back, and each gets a NOTIFY along it.
 */
#ifndef SALLYPORT_TESTS_BENCH_FAN_H
#define SALLYPORT_TESTS_BENCH_FAN_H

#include <stddef.h>

#define FAN_TRIGGER	"X-Tell-Everybody:"	/* header of a request that sets it off */
#define FAN_NOTIFY_MAX	4096	/* bytes of the longest NOTIFY */

/* Remember who registers with this request, and the link that it came by. */
void	fan_note(const char *p, size_t head, void *link);

/* How many have registered. */
unsigned fan_users(void);

/* The link that the n-th user's registration came by; NULL: it has gone. */
void	*fan_link(unsigned n);

/* A link has gone: nobody is told over it any more. */
void	fan_forget(const void *link);

/* Write the next NOTIFY to the n-th user; returns its end. */
char	*fan_write(unsigned n, char *out);

#endif
