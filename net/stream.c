/*
 * net/stream.c - non-blocking byte streams over TLS.
 *
 * Nothing here calls back from inside a call of the owner's: events, timers
 * and the end-of-batch task are the only places from which callbacks leave.
 */
#include "net/stream.h"

#include <sys/socket.h>

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "net/stats.h"
#include "net/tls_ctx.h"
#include "net/verify.h"
#include "net/wire.h"

#define HANDSHAKE_MS	10000		/* when limits say nothing */
#define LINGER_MS	5000
#define REFUSED_MS	1000		/* for a refused peer to take our alert */
#define DISCARD_MAX	(1u << 20)	/* bytes thrown away while we wait for the peer's end */
#define HANDSHAKE_MAX	65536		/* bytes a peer may make us take before it is somebody */
#define FLUSH_ROUNDS	4		/* wires full per stream and batch, so that no stream starves the rest */
#define QUEUE_MIN	2048		/* first size of a queue */
#define QUEUE_SPARES	64		/* of the first size that are kept for others, */
#define QUEUE_LARGE	262144		/* and one of at most so much */

/*
 * A peer that vanished without a word is found out by the kernel: what we sent is
 * not acknowledged, or probes after a long silence are not. Without this a dead
 * server's connection would be used for a quarter of an hour, or kept for ever.
 */
#define UNACKED_MS	60000
#define SILENCE_S	300
#define PROBE_S		30
#define PROBES		3

/*
 * Records that carry no application data (KeyUpdate, tickets, HelloRequest)
 * cost us work and are free for the peer. An honest one sends a handful.
 */
#define IDLE_RECORDS_MAX	64
#define IDLE_RECORDS_MS		60000

enum stream_state {
	STREAM_CLOSED = 0,	/* zero: what the table leaves out, closes */
	STREAM_CONNECT,		/* TCP in progress */
	STREAM_HANDSHAKE,	/* TLS in progress, peer unknown */
	STREAM_OPEN,		/* bytes flow */
	STREAM_DRAIN,		/* no more reading; flushing what we owe */
	STREAM_LINGER,		/* our end is sent; waiting for the peer's, or its data would kill ours */
	STREAM_NSTATES
};

enum stream_event {
	EV_CONNECTED = 0,
	EV_SECURED,		/* handshake done, peer accepted */
	EV_REFUSED,		/* TLS gave up; its alert is on the way */
	EV_CLOSE,		/* the owner has enough */
	EV_EOF,			/* the peer ended */
	EV_FLUSHED,		/* all we owed, and close_notify, is with the kernel */
	EV_DEAD,		/* socket error, deadline or limit: nothing more can be said */
	EV_NEVENTS
};

static const enum stream_state next[STREAM_NSTATES][EV_NEVENTS] = {
	[STREAM_CONNECT]   = { [EV_CONNECTED] = STREAM_HANDSHAKE },
	[STREAM_HANDSHAKE] = { [EV_SECURED] = STREAM_OPEN, [EV_REFUSED] = STREAM_LINGER },
	[STREAM_OPEN]      = { [EV_CLOSE] = STREAM_DRAIN, [EV_EOF] = STREAM_DRAIN,
			       [EV_REFUSED] = STREAM_LINGER },
	[STREAM_DRAIN]     = { [EV_CLOSE] = STREAM_DRAIN, [EV_EOF] = STREAM_DRAIN,
			       [EV_FLUSHED] = STREAM_LINGER },
	[STREAM_LINGER]    = { [EV_CLOSE] = STREAM_LINGER },
};

static const char *const state_names[STREAM_NSTATES] = {
	"closed", "connect", "handshake", "open", "drain", "linger"
};
static const char *const event_names[EV_NEVENTS] = {
	"connected", "secured", "refused", "close", "eof", "flushed", "dead"
};

/* Bytes in one piece; taken from the front. */
struct queue {
	char	*p;
	size_t	 at, end, size;
};

struct net_stream {
	struct net_io			 io;
	struct net_timer		 timer;
	struct net_task			 task;
	struct net_streams		*home;
	struct net_stream		*younger, *older;	/* inbound, in the handshake */
	struct net_tls_ctx		*ctx;
	SSL				*ssl;
	const struct net_stream_ops	*ops;
	void				*owner;

	uint64_t			 id;		/* of this worker, for the log */
	uint64_t			 begun_us;	/* when it was accepted or called */
	enum stream_state		 state;
	enum policy_reason		 reason;	/* what closed() will say; the first one stays */
	const char			*detail;
	bool				 outbound;
	bool				 ended;		/* reason is settled */
	bool				 paused;
	bool				 eof;		/* the peer's end came */
	bool				 congested;	/* drained() is owed */
	unsigned			 idle_records;
	uint64_t			 idle_since;
	size_t				 unproven;	/* bytes: of the handshake, later thrown away */

	struct queue			 plain;		/* to be sealed */
	struct queue			 sealed;	/* what the kernel did not take of the last send */
	struct queue			 held;		/* ciphertext that came while paused */

	struct net_stream_limits	 limits;
	struct net_check		 check;
	char				*expect;
	struct net_addr			 remote, local;
	const struct net_peer		*peer;		/* check.peer, or whom no certificate describes */
};

struct net_streams {
	struct net_loop	*loop;
	unsigned	 count;
	struct net_stream *oldest, *youngest;	/* inbound, in the handshake */
	unsigned	 nshaking, shaking_max;
	uint64_t	 last_id;
	char		*spare[QUEUE_SPARES];	/* memory of queues that became empty: QUEUE_MIN each, */
	unsigned	 nspare;
	char		*large;			/* and of one that was longer; NULL: none */
	size_t		 large_size;
	struct net_wire	 wire;
	char		 in[NET_WIRE_IN];
	char		 plain[NET_WIRE_PLAIN];
};

#define OF(member, ptr)	((struct net_stream *)(void *)((char *)(ptr) - offsetof(struct net_stream, member)))

static void	stream_event(struct net_stream *, enum stream_event);
static void	stream_feed(struct net_stream *, const char *, size_t);

/* --- queues --- */

static size_t
queue_len(const struct queue *q)
{
	return q->end - q->at;
}

/* Memory of an empty queue is kept for the next that needs some: mostly within the same turn of the loop. */
static void
queue_memory_give(struct net_streams *home, char *p, size_t size)
{
	if (size == QUEUE_MIN && home->nspare < QUEUE_SPARES)
		home->spare[home->nspare++] = p;
	else if (size > home->large_size && size <= QUEUE_LARGE) {
		free(home->large);
		home->large = p;
		home->large_size = size;
	} else
		free(p);
}

static void
queue_free(struct net_streams *home, struct queue *q)
{
	if (q->p != NULL)
		queue_memory_give(home, q->p, q->size);
	memset(q, 0, sizeof(*q));
}

/* Memory of at least that size; what stands in the queue stays. */
static void
queue_grow(struct net_streams *home, struct queue *q, size_t size)
{
	char *old = q->p;
	size_t old_size = q->size;

	if (old == NULL && size == QUEUE_MIN && home->nspare > 0) {
		q->p = home->spare[--home->nspare];
		q->size = size;
	} else if (size > QUEUE_MIN && home->large_size >= size) {
		q->p = home->large;
		q->size = home->large_size;
		home->large = NULL;
		home->large_size = 0;
		if (old != NULL) {
			memcpy(q->p, old, q->end);
			queue_memory_give(home, old, old_size);
		}
	} else {
		q->p = xrealloc(old, size);
		q->size = size;
	}
}

/* Room for n bytes at the end. Bounded by what queue_max lets in. */
static char *
queue_reserve(struct net_streams *home, struct queue *q, size_t n)
{
	if (q->size - q->end >= n)
		return q->p + q->end;
	if (q->at >= queue_len(q)) {		/* the front is the larger half: moving is cheap */
		if (q->at != q->end)
			memmove(q->p, q->p + q->at, queue_len(q));
		q->end -= q->at;
		q->at = 0;
	}
	if (q->size - q->end < n) {
		size_t size = q->size != 0 ? q->size : QUEUE_MIN;

		while (size - q->end < n)
			size *= 2;
		queue_grow(home, q, size);
	}
	return q->p + q->end;
}

static void
queue_add(struct net_streams *home, struct queue *q, const void *p, size_t n)
{
	if (n == 0)
		return;
	memcpy(queue_reserve(home, q, n), p, n);
	q->end += n;
}

/* n bytes are gone; an empty queue holds no memory. */
static void
queue_take(struct net_streams *home, struct queue *q, size_t n)
{
	q->at += n;
	if (q->at == q->end)
		queue_free(home, q);
}

/* --- the worker's part --- */

struct net_streams *
net_streams_new(struct net_loop *loop)
{
	struct net_streams *home = xmalloc(sizeof(*home));

	home->loop = loop;
	home->count = 0;
	home->oldest = home->youngest = NULL;
	home->nshaking = home->shaking_max = 0;
	home->last_id = 0;
	home->nspare = 0;
	home->large = NULL;
	home->large_size = 0;
	home->wire.in = NULL;
	home->wire.nin = home->wire.nout = 0;
	return home;
}

void
net_streams_free(struct net_streams *home)
{
	if (home == NULL)
		return;
	assert(home->count == 0);
	while (home->nspare > 0)
		mem_wipe_free(home->spare[--home->nspare], QUEUE_MIN);
	if (home->large != NULL)
		mem_wipe_free(home->large, home->large_size);
	mem_wipe_free(home, sizeof(*home));	/* it carried everybody's words */
}

void
net_streams_limit_handshakes(struct net_streams *home, unsigned max)
{
	home->shaking_max = max;
}

static void
join_shaking(struct net_stream *s)
{
	struct net_streams *home = s->home;

	if ((s->older = home->youngest) != NULL)
		s->older->younger = s;
	else
		home->oldest = s;
	home->youngest = s;
	home->nshaking++;
}

static void
leave_shaking(struct net_stream *s)
{
	struct net_streams *home = s->home;

	*(s->older != NULL ? &s->older->younger : &home->oldest) = s->younger;
	*(s->younger != NULL ? &s->younger->older : &home->youngest) = s->older;
	s->older = s->younger = NULL;
	home->nshaking--;
}

/* --- the end --- */

/* Say how it ended; only the first cause counts. */
static void
stream_because(struct net_stream *s, enum policy_reason reason, const char *detail)
{
	if (s->ended)
		return;
	s->ended = true;
	s->reason = reason;
	s->detail = detail;
	/* A certificate whose key was not used to the end of the handshake proves nothing. */
	if (s->state == STREAM_HANDSHAKE && s->check.peer != NULL)
		s->check.peer->has_certificate = s->check.peer->unverified = false;
}

/* Let go of everything but the struct; the task tells the owner. */
static void
stream_release(struct net_stream *s)
{
	struct net_loop *loop = s->home->loop;

	net_timer_cancel(loop, &s->timer);
	if (s->io.fd >= 0) {
		net_io_remove(loop, &s->io);
		close(s->io.fd);
		s->io.fd = -1;
	}
	SSL_free(s->ssl);
	s->ssl = NULL;
	ERR_clear_error();
	queue_free(s->home, &s->plain);
	queue_free(s->home, &s->sealed);
	queue_free(s->home, &s->held);
	net_task_queue(loop, &s->task);
}

/* What the socket is watched for follows from the state alone. */
static void
stream_watch(struct net_stream *s)
{
	unsigned want = 0;

	switch (s->state) {
	case STREAM_CLOSED:
		return;
	case STREAM_CONNECT:
		want = NET_WRITE;
		break;
	case STREAM_HANDSHAKE:
	case STREAM_LINGER:
		want = NET_READ;
		break;
	case STREAM_OPEN:
		want = s->paused ? 0 : NET_READ;
		break;
	case STREAM_DRAIN:
	case STREAM_NSTATES:
		break;
	}
	if (queue_len(&s->sealed) != 0)
		want |= NET_WRITE;
	net_io_want(s->home->loop, &s->io, want);
}

/* It is somebody now, or never will be. */
static void
count_handshake(const struct net_stream *s)
{
	unsigned way = s->outbound ? STATS_OUT : STATS_IN;

	stats_move(HANDSHAKES, way, 0, -1);
	stats_count(HANDSHAKES_DONE, way, s->state == STREAM_OPEN ? STATS_OK : STATS_FAILED);
	if (s->state == STREAM_OPEN)
		stats_time(HANDSHAKE_SECONDS, way, clock_us() - s->begun_us);
	else
		stats_count(HANDSHAKES_FAILED, way, s->reason);
}

/* The only place that writes s->state. */
static void
stream_event(struct net_stream *s, enum stream_event ev)
{
	struct net_loop *loop = s->home->loop;
	enum stream_state was = s->state;

	if (was == STREAM_CLOSED)
		return;
	s->state = next[was][ev];
	/* There is no later to wait for with a peer that has ended or that we called ourselves. */
	if (s->state == STREAM_LINGER && (s->eof || (ev == EV_REFUSED && s->outbound)))
		s->state = STREAM_CLOSED;
	if (s->state == was)
		return;
	if (was <= STREAM_HANDSHAKE && s->state != STREAM_HANDSHAKE) {
		count_handshake(s);
		if (!s->outbound)
			leave_shaking(s);
	}
	if (log_shows(SP_LOG_DEBUG)) {
		struct logrec r = log_begin(SP_LOG_DEBUG, "stream");

		log_uint(&r, "stream", s->id);
		log_word(&r, "state", state_names[s->state]);
		log_word(&r, "was", state_names[was]);
		log_word(&r, "on", event_names[ev]);
		log_end(&r);
	}
	switch (s->state) {
	case STREAM_OPEN:
		net_timer_cancel(loop, &s->timer);
		break;
	case STREAM_DRAIN:
		queue_free(s->home, &s->held);
		net_timer_set(loop, &s->timer, s->limits.linger_ms);
		net_task_queue(loop, &s->task);
		break;
	case STREAM_LINGER:
		queue_free(s->home, &s->plain);
		if (was != STREAM_DRAIN)
			net_timer_set(loop, &s->timer,
			    s->limits.linger_ms < REFUSED_MS ? s->limits.linger_ms : REFUSED_MS);
		shutdown(s->io.fd, SHUT_WR);
		break;
	case STREAM_CLOSED:
		stream_release(s);
		return;
	default:
		break;
	}
	stream_watch(s);
}

static void
stream_end(struct net_stream *s, enum stream_event ev, enum policy_reason reason, const char *detail)
{
	stream_because(s, reason, detail);
	stream_event(s, ev);
}

/* The socket itself failed. */
static void
stream_reset(struct net_stream *s)
{
	if (s->state == STREAM_CONNECT || (s->outbound && s->state == STREAM_HANDSHAKE))
		stream_end(s, EV_DEAD, POLICY_REASON_HOP_UNREACHABLE,
		    s->state == STREAM_CONNECT ? "connection refused or not possible" :
		    "connection reset in the handshake");
	else if (s->state == STREAM_HANDSHAKE)
		stream_end(s, EV_DEAD, POLICY_REASON_HANDSHAKE, "connection reset");
	else
		stream_end(s, EV_DEAD, s->outbound ? POLICY_REASON_HOP_LOST : POLICY_REASON_ALLOWED,
		    "connection reset");
}

static void
stream_timeout(struct net_timer *timer)
{
	struct net_stream *s = OF(timer, timer);

	switch (s->state) {
	case STREAM_CONNECT:
		stream_end(s, EV_DEAD, POLICY_REASON_HOP_UNREACHABLE, "connecting took too long");
		break;
	case STREAM_HANDSHAKE:
		stats_limit_hit(HANDSHAKE_TIME);
		if (s->outbound)
			stream_end(s, EV_DEAD, POLICY_REASON_HOP_UNREACHABLE, "the TLS handshake took too long");
		else
			stream_end(s, EV_DEAD, POLICY_REASON_HANDSHAKE_TIMEOUT, NULL);
		break;
	default:
		stream_event(s, EV_DEAD);	/* closing took too long: the reason is known */
	}
}

/* --- TLS's errors --- */

/* Before each call. Nearly always there is none, and looking is cheaper than clearing. */
static void
clear_errors(void)
{
	if (ERR_peek_error() != 0)
		ERR_clear_error();
}

/* What the peer's alert means, for those that an administrator can do something about. */
static const char *
alert_text(unsigned long code)
{
	if (ERR_GET_LIB(code) != ERR_LIB_SSL)
		return "TLS protocol error";
	switch (ERR_GET_REASON(code)) {
	case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
		return "the peer does not know our certificate's issuer";
	case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
		return "the peer says that our certificate has expired";
	case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
		return "the peer says that our certificate is revoked";
	case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
	case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
	case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
		return "the peer refused our certificate";
	case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
		return "the peer wants a certificate of ours";
	case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_VERSION_TOO_LOW:
		return "no common TLS version";
	case SSL_R_NO_SHARED_CIPHER:
	case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
		return "no common cipher";
	case SSL_R_HTTP_REQUEST:
	case SSL_R_HTTPS_PROXY_REQUEST:
		return "HTTP without TLS";
	case SSL_R_WRONG_VERSION_NUMBER:
	case SSL_R_UNKNOWN_PROTOCOL:
		return "not TLS";
	default:
		return "TLS protocol error";
	}
}

struct verdict {
	enum policy_reason	 reason;
	const char		*detail;
};

/*
 * OpenSSL gave up on this stream; why? Its queue is per thread: what is left in
 * it would be blamed on the next stream, so it is emptied here and before each call.
 */
static struct verdict
tls_verdict(const struct net_stream *s)
{
	unsigned long code = ERR_peek_error();
	struct verdict v = { POLICY_REASON_HANDSHAKE, alert_text(code) };

	if (s->check.refused != NULL) {
		v.reason = s->check.reason;
		v.detail = s->check.refused;
	} else if (ERR_GET_LIB(code) == ERR_LIB_SSL &&
	    ERR_GET_REASON(code) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
		v.reason = POLICY_REASON_CERTIFICATE_MISSING;
		v.detail = "no certificate shown";
	} else if (s->state == STREAM_HANDSHAKE && ERR_GET_LIB(code) == ERR_LIB_SSL &&
	    ERR_GET_REASON(code) == SSL_R_EXCESSIVE_MESSAGE_SIZE) {
		/* nothing else of a handshake comes near its bound */
		v.reason = POLICY_REASON_CERTIFICATE_CHAIN;
		v.detail = "more bytes of certificates than are taken";
	} else if (s->outbound) {
		v.reason = s->state == STREAM_HANDSHAKE ? POLICY_REASON_HOP_UNREACHABLE :
		    POLICY_REASON_HOP_LOST;
	}
	ERR_clear_error();
	return v;
}

static void
stream_tls_failed(struct net_stream *s)
{
	struct verdict v = tls_verdict(s);

	stream_end(s, EV_REFUSED, v.reason, v.detail);
}

/* Counts what is not application data, once the stream is open. */
static void
count_record(int writing, int version, int type, const void *p, size_t n, SSL *ssl, void *arg)
{
	struct net_stream *s = arg;

	(void)version, (void)ssl;
	/* TLS 1.3 hides the type inside; outside it is always application data. */
	if (!writing && n >= 1 && (type == SSL3_RT_HEADER || type == SSL3_RT_INNER_CONTENT_TYPE) &&
	    *(const unsigned char *)p != SSL3_RT_APPLICATION_DATA)
		s->idle_records++;
}

static bool
stream_floods(struct net_stream *s)
{
	uint64_t now;

	if (s->idle_records == 0)
		return false;
	if ((now = net_loop_now(s->home->loop)) - s->idle_since > IDLE_RECORDS_MS) {
		s->idle_since = now;
		s->idle_records = 1;
	}
	return s->idle_records > IDLE_RECORDS_MAX;
}

/* --- out --- */

/* Send what lies on the wire, or keep it if earlier bytes must go first. false: the socket failed. */
static bool
stream_send(struct net_stream *s)
{
	struct net_wire *w = &s->home->wire;
	ssize_t sent = 0;

	if (w->nout == 0)
		return true;
	if (queue_len(&s->sealed) == 0 &&
	    (sent = send(s->io.fd, w->out, w->nout, MSG_NOSIGNAL)) < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS) {
			w->nout = 0;
			return false;
		}
		sent = 0;
	}
	queue_add(s->home, &s->sealed, w->out + sent, w->nout - (size_t)sent);
	w->nout = 0;
	return true;
}

/* false: the socket failed. */
static bool
stream_send_rest(struct net_stream *s)
{
	size_t n = queue_len(&s->sealed);
	ssize_t sent;

	if (n == 0)
		return true;
	if ((sent = send(s->io.fd, s->sealed.p + s->sealed.at, n, MSG_NOSIGNAL)) < 0)
		return errno == EAGAIN || errno == EINTR || errno == ENOBUFS;
	queue_take(s->home, &s->sealed, (size_t)sent);
	return true;
}

/* As many whole records as the wire takes. false: TLS failed. */
static bool
stream_seal(struct net_stream *s)
{
	struct net_wire *w = &s->home->wire;
	struct queue *q = &s->plain;

	while (queue_len(q) != 0 && sizeof(w->out) - w->nout >= NET_RECORD_MAX + NET_RECORD_FAT) {
		size_t n = queue_len(q) < NET_RECORD_MAX ? queue_len(q) : NET_RECORD_MAX;

		clear_errors();
		if (SSL_write_ex(s->ssl, q->p + q->at, n, &n) != 1)
			return false;
		queue_take(s->home, q, n);
	}
	return true;
}

/*
 * Seal and send, at most FLUSH_ROUNDS times. Calls nobody back. Afterwards
 * either nothing is queued, or the socket is watched for room, or the task
 * is queued for the next batch.
 */
static void
stream_flush(struct net_stream *s)
{
	if (s->state != STREAM_OPEN && s->state != STREAM_DRAIN)
		return;
	for (int round = 0; ; round++) {
		if (!stream_send_rest(s)) {
			stream_reset(s);
			return;
		}
		if (queue_len(&s->sealed) != 0 || queue_len(&s->plain) == 0)
			break;
		if (round == FLUSH_ROUNDS) {
			net_task_queue(s->home->loop, &s->task);
			return;
		}
		if (!stream_seal(s)) {
			stream_send(s);
			stream_tls_failed(s);
			return;
		}
		if (!stream_send(s)) {
			stream_reset(s);
			return;
		}
	}
	if (s->state == STREAM_DRAIN && queue_len(&s->sealed) == 0) {
		if ((SSL_get_shutdown(s->ssl) & SSL_SENT_SHUTDOWN) == 0) {
			ERR_clear_error();
			SSL_shutdown(s->ssl);
			ERR_clear_error();
			if (!stream_send(s)) {
				stream_reset(s);
				return;
			}
		}
		if (queue_len(&s->sealed) == 0) {
			stream_event(s, EV_FLUSHED);
			return;
		}
	}
	stream_watch(s);
}

/* The owner may hear that there is room again. May close the stream. */
static void
stream_tell_drained(struct net_stream *s)
{
	if (s->congested && s->state == STREAM_OPEN && net_stream_queued(s) < s->limits.queue_high / 2 + 1) {
		s->congested = false;
		if (s->ops->drained != NULL)
			s->ops->drained(s);
	}
}

/* --- in --- */

static void
free_peer(struct net_stream *s)
{
	if (s->check.peer != NULL)
		net_peer_fini(s->check.peer);
	free(s->check.peer);
	s->check.peer = NULL;
}

/* The handshake is over: who is it? */
static void
stream_identify(struct net_stream *s)
{
	static const struct net_peer nobody12 = { .protocol = "TLSv1.2" }, nobody13 = { .protocol = "TLSv1.3" };

	s->check.peer->protocol = SSL_get_version(s->ssl);
	if (!s->check.peer->shown) {
		/* the many users: no room for what stands in a certificate */
		free_peer(s);
		s->peer = SSL_version(s->ssl) == TLS1_2_VERSION ? &nobody12 : &nobody13;
	}
	s->idle_since = net_loop_now(s->home->loop);
	SSL_set_msg_callback(s->ssl, count_record);
	SSL_set_msg_callback_arg(s->ssl, s);
}

/* One step of the handshake with what is on the wire. true: it is done and input may be left. */
static bool
stream_handshake(struct net_stream *s)
{
	bool sent;
	int r, err;

	do {
		ERR_clear_error();
		r = SSL_do_handshake(s->ssl);
		err = r == 1 ? SSL_ERROR_NONE : SSL_get_error(s->ssl, r);
		sent = stream_send(s);
	} while (sent && err == SSL_ERROR_WANT_WRITE);	/* our flight is longer than the wire */
	if (err == SSL_ERROR_SSL || err == SSL_ERROR_SYSCALL) {
		stream_tls_failed(s);
		return false;
	}
	if (!sent) {
		stream_reset(s);
		return false;
	}
	if (err != SSL_ERROR_NONE) {
		stream_watch(s);
		return false;
	}
	stream_identify(s);
	stream_event(s, EV_SECURED);
	s->ops->opened(s);
	return s->state == STREAM_OPEN;
}

/* Open what is on the wire and hand it on in one piece. */
static void
stream_open_records(struct net_stream *s)
{
	struct net_streams *home = s->home;
	struct verdict broken = { POLICY_REASON_UNDECIDED, NULL };
	size_t total = 0, got;
	int err = SSL_ERROR_NONE;
	bool sent;

	while (err == SSL_ERROR_NONE) {
		assert(sizeof(home->plain) - total >= NET_RECORD_MAX);	/* see wire.h */
		clear_errors();
		if (SSL_read_ex(s->ssl, home->plain + total, sizeof(home->plain) - total, &got) != 1)
			err = SSL_get_error(s->ssl, 0);
		else if ((total += got) != 0 && home->wire.nin == 0 && !SSL_has_pending(s->ssl))
			break;		/* asking for more only to hear that there is none costs a buffer */
	}
	sent = stream_send(s);			/* answers to KeyUpdate, alerts */
	if (err == SSL_ERROR_SSL || err == SSL_ERROR_SYSCALL)
		broken = tls_verdict(s);
	/* What came whole before the end, good or bad, is heard first. */
	if (total != 0)
		s->ops->received(s, home->plain, total);
	if (s->state != STREAM_OPEN)
		return;
	if (broken.reason != POLICY_REASON_UNDECIDED) {
		stream_end(s, EV_REFUSED, broken.reason, broken.detail);
	} else if (!sent) {
		stream_reset(s);
	} else if (stream_floods(s)) {
		stream_end(s, EV_DEAD, s->outbound ? POLICY_REASON_HOP_LOST : POLICY_REASON_HANDSHAKE,
		    "too many TLS records without data");
	} else if (err == SSL_ERROR_ZERO_RETURN) {
		s->eof = true;
		stream_end(s, EV_EOF, POLICY_REASON_ALLOWED, NULL);
	} else {
		stream_watch(s);
	}
}

/* Ciphertext from the peer, in order. Nothing of it is left on the wire afterwards. */
static void
stream_feed(struct net_stream *s, const char *p, size_t n)
{
	struct net_wire *w = &s->home->wire;

	w->in = p;
	w->nin = n;
	if (s->state == STREAM_HANDSHAKE && !stream_handshake(s)) {
		w->nin = 0;
		if (s->state == STREAM_HANDSHAKE && (s->unproven += n) > HANDSHAKE_MAX)
			stream_end(s, EV_DEAD, s->outbound ? POLICY_REASON_HOP_UNREACHABLE :
			    POLICY_REASON_HANDSHAKE, "the TLS handshake is too long");
	}
	if (s->state == STREAM_OPEN && s->paused)	/* opened() paused it */
		queue_add(s->home, &s->held, w->in, w->nin);
	else if (s->state == STREAM_OPEN)
		stream_open_records(s);
	w->nin = 0;
}

static void
stream_peer_ended(struct net_stream *s)
{
	s->eof = true;
	if (s->state == STREAM_HANDSHAKE)
		stream_end(s, EV_EOF, s->outbound ? POLICY_REASON_HOP_UNREACHABLE : POLICY_REASON_HANDSHAKE,
		    "the peer left in the handshake");
	else
		stream_end(s, EV_EOF, POLICY_REASON_ALLOWED, "ended without close_notify");
}

static void
stream_receive(struct net_stream *s)
{
	ssize_t n = recv(s->io.fd, s->home->in, sizeof(s->home->in), 0);

	if (n > 0) {
		if (s->state != STREAM_LINGER)
			stream_feed(s, s->home->in, (size_t)n);
		else if ((s->unproven += (size_t)n) > DISCARD_MAX)
			stream_event(s, EV_DEAD);
	} else if (n == 0) {
		stream_peer_ended(s);
	} else if (errno != EAGAIN && errno != EINTR) {
		stream_reset(s);
	}
}

static void
stream_connected(struct net_stream *s)
{
	socklen_t len = sizeof(int);
	int error = 0;

	if (getsockopt(s->io.fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0) {
		stream_reset(s);
		return;
	}
	s->local.len = sizeof(s->local.ss);
	if (getsockname(s->io.fd, (struct sockaddr *)&s->local.ss, &s->local.len) != 0)
		s->local.len = 0;
	stream_event(s, EV_CONNECTED);
	stream_feed(s, NULL, 0);		/* we speak first */
}

static void
stream_ready(struct net_io *io, unsigned events)
{
	struct net_stream *s = OF(io, io);

	if (s->state == STREAM_CONNECT) {
		stream_connected(s);
		return;
	}
	if ((events & NET_WRITE) != 0) {
		if (s->state == STREAM_OPEN || s->state == STREAM_DRAIN)
			stream_flush(s);
		else if (!stream_send_rest(s))
			stream_reset(s);
		else
			stream_watch(s);
		stream_tell_drained(s);
	}
	if ((events & NET_READ) != 0 && (s->io.want & NET_READ) != 0)
		stream_receive(s);
	else if ((events & NET_HUP) != 0 && s->state != STREAM_CLOSED && (s->io.want & NET_READ) == 0)
		stream_reset(s);	/* nobody reads, so nobody else would notice, again and again */
}

/* End of a batch: send what was written in it, go on where a pause stopped, or say good-bye. */
static void
stream_task(struct net_task *task)
{
	struct net_stream *s = OF(task, task);

	if (s->state != STREAM_CLOSED) {
		stream_flush(s);
		stream_tell_drained(s);
		if (s->state == STREAM_OPEN && !s->paused && queue_len(&s->held) != 0) {
			struct queue held = s->held;

			memset(&s->held, 0, sizeof(s->held));
			stream_feed(s, held.p + held.at, queue_len(&held));
			queue_free(s->home, &held);
		}
		return;
	}
	s->ops->closed(s, s->reason, s->detail);
	s->home->count--;
	net_task_cancel(s->home->loop, &s->task);
	net_tls_ctx_unref(s->ctx);
	free_peer(s);
	queue_free(s->home, &s->plain);		/* reserved after the end, and never committed */
	free(s->expect);
	free(s);
}

/* --- the interface --- */

static void
watch_over(int fd)
{
	static const struct { int level, name, value; } options[] = {
		{ SOL_SOCKET, SO_KEEPALIVE, 1 }, { IPPROTO_TCP, TCP_KEEPIDLE, SILENCE_S },
		{ IPPROTO_TCP, TCP_KEEPINTVL, PROBE_S }, { IPPROTO_TCP, TCP_KEEPCNT, PROBES },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, UNACKED_MS }
	};

	/* a kernel that cannot do one of them is no reason to do without the connection */
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		(void)setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(options[i].value));
}

static struct net_stream *
stream_new(struct net_streams *home, int fd, struct net_tls_ctx *ctx, const struct net_stream_limits *limits,
    const struct net_stream_ops *ops, void *owner)
{
	struct net_stream *s = xcalloc(1, sizeof(*s));

	home->count++;
	s->home = home;
	s->id = ++home->last_id;
	s->begun_us = clock_us();
	s->io.fd = fd;
	s->io.ready = stream_ready;
	s->timer.fire = stream_timeout;
	s->task.run = stream_task;
	s->ctx = net_tls_ctx_ref(ctx);
	s->ops = ops;
	s->owner = owner;
	net_stream_take_limits(s, limits);
	s->check.ctx = s->ctx;
	s->peer = s->check.peer = xcalloc(1, sizeof(*s->check.peer));
	s->check.accept_cn = ctx->accept_cn;
	return s;
}

/* The SSL of this stream, on the worker's wire. */
static bool
stream_tls(struct net_stream *s)
{
	char name[256];
	BIO *bio;

	ERR_clear_error();
	if ((s->ssl = SSL_new(s->ctx->ssl)) == NULL || (bio = net_wire_bio(&s->home->wire)) == NULL)
		return false;
	SSL_set_bio(s->ssl, bio, bio);
	SSL_set_app_data(s->ssl, &s->check);
	if (!s->outbound) {
		SSL_set_accept_state(s->ssl);
		return true;
	}
	SSL_set_connect_state(s->ssl);
	/* A literal address is no server name (RFC 6066 3); then the certificate must hold the address. */
	if (net_host_canonical(span_str(s->expect), name))
		SSL_set_tlsext_host_name(s->ssl, name);
	return true;
}

struct net_stream *
net_stream_accept(struct net_streams *home, int fd, const struct net_addr *from, struct net_tls_ctx *ctx,
    const struct net_stream_limits *limits, const struct net_stream_ops *ops, void *owner)
{
	struct net_stream *s = stream_new(home, fd, ctx, limits, ops, owner);

	watch_over(fd);
	s->remote = *from;
	s->local.len = sizeof(s->local.ss);
	if (getsockname(fd, (struct sockaddr *)&s->local.ss, &s->local.len) != 0)
		s->local.len = 0;
	s->state = STREAM_HANDSHAKE;
	stats_move(HANDSHAKES, STATS_IN, 0, 1);
	join_shaking(s);
	if (home->shaking_max != 0 && home->nshaking > home->shaking_max) {
		stats_limit_hit(HANDSHAKES);
		stream_end(home->oldest, EV_DEAD, POLICY_REASON_CONNECTION_LIMIT, "too many handshakes at once");
	}
	if (!stream_tls(s) || net_io_add(home->loop, &s->io, NET_READ) != SP_OK) {
		stream_end(s, EV_DEAD, POLICY_REASON_OVERLOAD, "no resources for another connection");
		return s;
	}
	net_timer_set(home->loop, &s->timer, s->limits.handshake_ms);
	return s;
}

struct net_stream *
net_stream_connect(struct net_streams *home, const struct net_addr *to, const char *name,
    struct net_tls_ctx *ctx, const struct net_stream_limits *limits, const struct net_stream_ops *ops,
    void *owner)
{
	int fd = socket(to->ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct net_stream *s = stream_new(home, fd, ctx, limits, ops, owner);
	int one = 1;

	s->outbound = true;
	s->remote = *to;
	s->expect = xstrdup(name);
	s->check.expect = s->expect;
	s->state = STREAM_CONNECT;
	stats_move(HANDSHAKES, STATS_OUT, 0, 1);
	if (fd < 0 || !stream_tls(s)) {
		stream_end(s, EV_DEAD, POLICY_REASON_HOP_UNREACHABLE, "no resources for another connection");
		return s;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	watch_over(fd);
	if ((connect(fd, (const struct sockaddr *)&to->ss, to->len) != 0 && errno != EINPROGRESS) ||
	    net_io_add(home->loop, &s->io, NET_WRITE) != SP_OK) {
		stream_reset(s);
		return s;
	}
	net_timer_set(home->loop, &s->timer, s->limits.handshake_ms);
	return s;
}

void
net_stream_expect_cn(struct net_stream *s)
{
	s->check.accept_cn = true;
}

enum policy_reason
net_stream_judge_again(const struct net_stream *s, const struct net_tls_ctx *ctx, const char **fault)
{
	struct net_peer now = { 0 };
	struct net_check check = { .ctx = ctx, .expect = s->check.expect, .accept_cn = s->check.accept_cn, .peer = &now };
	X509 *leaf = s->ssl != NULL ? SSL_get0_peer_certificate(s->ssl) : NULL;
	bool good;

	*fault = NULL;
	if (leaf == NULL || s->state != STREAM_OPEN)
		return POLICY_REASON_ALLOWED;
	good = net_verify_again(&check, leaf, SSL_get_peer_cert_chain(s->ssl));
	/* What was let through for its key's sake counts no more for being verifiable now, but does not less either. */
	if (good && now.unverified && s->peer->has_certificate) {
		check.reason = now.why;
		check.refused = now.fault;
		good = false;
	}
	net_peer_fini(&now);
	*fault = check.refused;
	return good ? POLICY_REASON_ALLOWED : check.reason;
}

void
net_stream_take_limits(struct net_stream *s, const struct net_stream_limits *limits)
{
	s->limits = *limits;
	if (s->limits.handshake_ms == 0)
		s->limits.handshake_ms = HANDSHAKE_MS;
	if (s->limits.linger_ms == 0)
		s->limits.linger_ms = LINGER_MS;
}

void *
net_stream_owner(const struct net_stream *s)
{
	return s->owner;
}

const char *
net_stream_sni(const struct net_stream *s)
{
	return s->ssl != NULL && !s->outbound ? SSL_get_servername(s->ssl, TLSEXT_NAMETYPE_host_name) : NULL;
}

const struct net_peer *
net_stream_peer(const struct net_stream *s)
{
	return s->peer;
}

const struct net_addr *
net_stream_remote(const struct net_stream *s)
{
	return &s->remote;
}

const struct net_addr *
net_stream_local(const struct net_stream *s)
{
	return &s->local;
}

bool
net_stream_is_open(const struct net_stream *s)
{
	return s->state == STREAM_OPEN;
}

char *
net_stream_reserve(struct net_stream *s, size_t n)
{
	return queue_reserve(s->home, &s->plain, n != 0 ? n : 1);
}

void
net_stream_commit(struct net_stream *s, size_t used)
{
	size_t max = s->limits.queue_max;

	if (s->state != STREAM_OPEN || used == 0) {
		if (queue_len(&s->plain) == 0)
			queue_free(s->home, &s->plain);
		return;
	}
	s->plain.end += used;
	net_task_queue(s->home->loop, &s->task);
	/* A burst within one batch is no slow reader: what the kernel takes now does not count. */
	if (max != 0 && net_stream_queued(s) > max) {
		stream_flush(s);
		if (s->state == STREAM_OPEN && net_stream_queued(s) > max) {
			stats_limit_hit(WRITE_QUEUE);
			stats_plus(QUEUE_CUT, 0, 0, net_stream_queued(s));
			stream_end(s, EV_DEAD, POLICY_REASON_SLOW_READER, NULL);
			return;
		}
	}
	if (s->limits.queue_high != 0 && !s->congested && net_stream_queued(s) >= s->limits.queue_high) {
		s->congested = true;
		stats_limit_hit(LINK_QUEUE);
	}
}

void
net_stream_write(struct net_stream *s, const void *p, size_t n)
{
	if (s->state != STREAM_OPEN || n == 0)
		return;
	memcpy(net_stream_reserve(s, n), p, n);
	net_stream_commit(s, n);
}

size_t
net_stream_queued(const struct net_stream *s)
{
	return queue_len(&s->plain) + queue_len(&s->sealed);
}

bool
net_stream_congested(const struct net_stream *s)
{
	return s->congested;
}

void
net_stream_pause(struct net_stream *s, bool paused)
{
	if (s->paused == paused)
		return;
	s->paused = paused;
	if (s->state != STREAM_OPEN)
		return;
	if (!paused && queue_len(&s->held) != 0)
		net_task_queue(s->home->loop, &s->task);
	stream_watch(s);
}

void
net_stream_close(struct net_stream *s, enum policy_reason reason, const char *detail)
{
	stream_end(s, EV_CLOSE, reason, detail);
}
