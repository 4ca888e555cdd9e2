/*
 * net/stream.h - a non-blocking byte stream over TLS, with its state machine.
 *
 * Bytes in: decrypted into the worker's one receive buffer and handed to
 * received() at once. Bytes out: appended to the stream's queue; all that was
 * appended during one batch of the loop is sealed and sent once, at its end.
 * An idle stream holds no buffers.
 *
 * States: CONNECT -> HANDSHAKE -> OPEN -> DRAIN -> LINGER -> CLOSED; one function
 * writes them. LINGER waits for the peer's end, since closing a socket with
 * unread bytes in it destroys what we sent last (the alert, the last response).
 */
#ifndef SALLYPORT_NET_STREAM_H
#define SALLYPORT_NET_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "net/addr.h"
#include "net/loop.h"
#include "net/tls.h"
#include "policy/reason.h"

struct net_stream;

struct net_stream_ops {
	/*
	 * Handshake done and peer verified, or let through for its pinned key alone
	 * (net_peer.unverified; see net/tls.h). In TLS 1.3 the far end may still
	 * refuse our own certificate: then an outbound stream ends as HOP_LOST
	 * right after it opened, and detail says so.
	 */
	void	(*opened)(struct net_stream *);
	/*
	 * n > 0 decrypted bytes (80 KiB at most), borrowed during the call; the
	 * callee keeps what it needs. May close or pause the stream.
	 */
	void	(*received)(struct net_stream *, const char *p, size_t n);
	/* The queue fell to half of where net_stream_congested() begins, or below. May be NULL. */
	void	(*drained)(struct net_stream *);
	/*
	 * The end, told exactly once, also after net_stream_close(); never from
	 * inside another call of this interface. Afterwards the stream is gone.
	 * reason is the first cause: what net_stream_close() was given; ALLOWED for
	 * an end by the peer; else, inbound: HANDSHAKE, HANDSHAKE_TIMEOUT, CONNECTION_LIMIT, SLOW_READER,
	 * OVERLOAD; outbound: HOP_UNREACHABLE, and once it was open HOP_LOST,
	 * SLOW_READER; either way, for the peer's certificate, one of the reasons of
	 * policy_reason_is_certificate(), and net_stream_peer() says what was shown.
	 * detail is ours and static, or NULL.
	 */
	void	(*closed)(struct net_stream *, enum policy_reason reason, const char *detail);
};

struct net_stream_limits {
	unsigned	 handshake_ms;	/* connect and handshake together; default 10000 */
	size_t		 queue_high;	/* congested from here */
	size_t		 queue_max;	/* beyond it the stream is closed as slow-reader; 0: no such end */
	unsigned	 linger_ms;	/* what DRAIN and LINGER may take together; default 5000 */
};

/* Per worker: loop, the shared receive and send buffers. */
struct net_streams;
struct net_streams *net_streams_new(struct net_loop *);
void	 net_streams_free(struct net_streams *);	/* no stream may be left */
/*
 * So many handshakes of who connected may be in progress at once (0, as at first: no limit). When there is
 * one more, the one that began first ends as CONNECTION_LIMIT: an honest one takes a moment, and one that is
 * kept open to fill the places is the oldest before long.
 */
void	 net_streams_limit_handshakes(struct net_streams *, unsigned);

/* Take over an accepted fd. ctx is referenced. Never NULL. limits are copied. */
struct net_stream *net_stream_accept(struct net_streams *, int fd, const struct net_addr *from,
	    struct net_tls_ctx *, const struct net_stream_limits *, const struct net_stream_ops *, void *owner);
/*
 * Connect; SNI is name, and the certificate must prove name (lower-case), else
 * it closes with POLICY_REASON_CERTIFICATE_NAME. A failure to connect closes
 * with POLICY_REASON_HOP_UNREACHABLE. Never NULL; errors come by closed().
 */
struct net_stream *net_stream_connect(struct net_streams *, const struct net_addr *to, const char *name,
	    struct net_tls_ctx *, const struct net_stream_limits *, const struct net_stream_ops *, void *owner);

/* Outbound, right after net_stream_connect(): the peer's subject CN will do, as with net_tls_ctx_accept_cn(). */
void	 net_stream_expect_cn(struct net_stream *);
/*
 * Would the certificate that the peer showed be accepted now, by this context of
 * the same role? ALLOWED, or the reason and its text. ALLOWED too when none was
 * shown. For what changes while connections live: anchors, lists, pins.
 */
enum policy_reason net_stream_judge_again(const struct net_stream *, const struct net_tls_ctx *, const char **fault);

/* Other limits from now on; copied. A handshake in progress keeps its own. */
void	 net_stream_take_limits(struct net_stream *, const struct net_stream_limits *);

void	*net_stream_owner(const struct net_stream *);
/* Valid once opened() was called, and in closed() for what was shown of a certificate that was refused. */
const struct net_peer *net_stream_peer(const struct net_stream *);
/* The name that who connected has asked for (RFC 6066 3), as it was sent; NULL: none. Valid in opened(). */
const char *net_stream_sni(const struct net_stream *);
const struct net_addr *net_stream_remote(const struct net_stream *);
const struct net_addr *net_stream_local(const struct net_stream *);
bool	 net_stream_is_open(const struct net_stream *);

/*
 * Room for n bytes at the queue's end, to be filled and then committed with
 * the number really used (<= n). Valid until the next call on this stream.
 * Never NULL. What is committed to a stream that is not open is dropped.
 */
char	*net_stream_reserve(struct net_stream *, size_t n);
void	 net_stream_commit(struct net_stream *, size_t used);
void	 net_stream_write(struct net_stream *, const void *, size_t);
/* Bytes not yet taken by the kernel. */
size_t	 net_stream_queued(const struct net_stream *);
bool	 net_stream_congested(const struct net_stream *);

/* Stop and go on reading from the peer (back-pressure). While paused, received() is not called. */
void	 net_stream_pause(struct net_stream *, bool paused);
/* Flush what is queued (at most linger_ms), close_notify, close. reason is what closed() will say. */
void	 net_stream_close(struct net_stream *, enum policy_reason, const char *detail);

#endif
