/*
 * edge/redis.h - what we say to a Redis server, and hear. The one user of hiredis, of which it takes the
 * protocol: how commands are written and replies are read. TLS is net's.
 *
 * A reply is bounded in bytes, in depth and in elements, whatever the server says: its heads are looked at
 * before hiredis sees them, which makes room for as many elements as a head promises.
 */
#ifndef SALLYPORT_EDGE_REDIS_H
#define SALLYPORT_EDGE_REDIS_H

#include <stddef.h>
#include <stdint.h>

#include "common/span.h"
#include "net/tlsline.h"

#define REDIS_REPLY_MAX		(18u << 20)	/* bytes of one reply: a policy, and a little */
#define REDIS_ELEMENTS_MAX	1024		/* of all arrays of one reply together */
#define REDIS_LINE_MAX		4096		/* bytes of a status or an error */

struct redis;
struct redis_reply;

/* line is taken over. user NULL or "": Redis' default user; password NULL: none is said. Both are copied. */
struct redis *redis_new(struct net_tlsline *line, const char *user, const char *password);
void	redis_free(struct redis *);	/* NULL: nothing; wipes the password */
/* Connect and sign in, if that is to be done. SP_OK; SP_ETLS, SP_ETIME, SP_EIO, SP_EINVAL (signing in is refused), with *why. */
int	redis_up(struct redis *, const char **why);
void	redis_down(struct redis *);
/* All that follows ends by then (clock_ms()), with SP_ETIME; 0: each call has its own time alone. */
void	redis_until(struct redis *, uint64_t);
/* Commands are sent in order, replies come in the same; so many may be under way. SP_OK, SP_ETIME or SP_ECLOSED. */
int	redis_send(struct redis *, size_t n, const struct span *words);
/* The next reply, the caller's. SP_OK, SP_ETIME, SP_ECLOSED, SP_ELIMIT or SP_ESYNTAX; after an error it has to be brought down. */
int	redis_receive(struct redis *, struct redis_reply **out);
/* Both. */
int	redis_ask(struct redis *, size_t n, const struct span *words, struct redis_reply **out);

/* ---- replies; NULL has nothing ---- */

void	redis_reply_free(struct redis_reply *);
bool	redis_is_error(const struct redis_reply *);
bool	redis_is_nil(const struct redis_reply *);
/* The elements of an array; 0 of anything else. */
size_t	redis_count(const struct redis_reply *);
/* Element i of an array; NULL: there is none. Borrowed. */
const struct redis_reply *redis_at(const struct redis_reply *, size_t i);
/* A string, a status or an error; else empty. Borrowed. */
struct span redis_text(const struct redis_reply *);

/*
 * Read one reply out of bytes, as redis_receive() does, which come in pieces of that size (0: all at once): for tests. SP_OK,
 * SP_EAGAIN: it is not whole, or as above.
 */
int	redis_parse(struct span bytes, size_t piece, struct redis_reply **out);

#endif
