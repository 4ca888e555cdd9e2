/*
 * tests/bench/reply.h - the answer to a request, at the least cost: the lines
 * that a response repeats are copied, nothing else is looked at.
 */
#ifndef SALLYPORT_TESTS_BENCH_REPLY_H
#define SALLYPORT_TESTS_BENCH_REPLY_H

#include <stddef.h>

#define REPLY_MAX	24576	/* more than any answer to a head that fits */
#define REPLY_HEAD_MAX	(REPLY_MAX - 512)

/*
 * Append to out (REPLY_MAX bytes free) the answer to the request whose head
 * stands at p: status ("200 OK"), what is repeated, a tag in To where it has
 * none (tag == NULL: none is added), then more (whole lines, or ""). Returns
 * the end of it.
 */
char	*reply_write(const char *p, size_t head, const char *status,
	    const char *tag, const char *more, char *out);

/* Is this header line To's? Does it have a tag? */
int	reply_is_to(const char *line, size_t len);

#endif
