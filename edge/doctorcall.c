/*
 * edge/doctorcall.c - see doctorcall.h.
 */
#include "edge/doctorcall.h"

#include <sys/socket.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/mem.h"
#include "net/loop.h"
#include "net/stream.h"
#include "sip/framer.h"

#define HEARD_MAX	(256u << 10)	/* bytes that are listened to */
#define LINGER_MS	1000
/*
 * With TLS 1.3 the far end judges our certificate when we are through already. Were the request
 * on its way then, the reset that answers it could overtake the alert that says why.
 */
#define HUSH_MS		400

int
doctor_connect(const struct net_addr *to, unsigned wait_ms)
{
	int fd = socket(to->ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), error = 0;
	uint64_t until = clock_ms() + wait_ms;
	socklen_t len = sizeof(error);
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	if (fd == -1)
		return errno;
	if (connect(fd, (const struct sockaddr *)&to->ss, to->len) == -1 && errno != EINPROGRESS) {
		error = errno;
		close(fd);
		return error;
	}
	for (;;) {
		uint64_t now = clock_ms();
		int n = poll(&p, 1, now < until ? (int)(until - now) : 0);

		if (n > 0)
			break;
		if (n == 0 || errno != EINTR) {
			error = n == 0 ? ETIMEDOUT : errno;
			close(fd);
			return error;
		}
	}
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		error = errno;
	close(fd);
	return error;
}

/* ---- the call ---- */

struct call {
	struct net_loop			*loop;
	const struct doctor_question	*q;
	struct doctor_answer		*a;
	struct net_stream		*stream;
	struct net_timer		 timer;		/* until we ask, then for the answer */
	uint64_t			 asked_at;	/* 0: not yet */
	struct sip_framer		 framer;
	struct sip_message		*m;
	char				*heard;
	size_t				 n, all;	/* bytes in heard; bytes ever */
	bool				 over;		/* an answer, or enough of it */
};

static struct call *
call_of(struct net_stream *s)
{
	return net_stream_owner(s);
}

/* The names of a peer are the stream's: one block for all of them, as net_peer_fini() frees it. */
static void
copy_peer(struct net_peer *to, const struct net_peer *from)
{
	size_t room = 0;
	struct span *names;
	char *text;

	*to = *from;
	to->names = NULL;
	to->nnames = 0;
	if (from->nnames == 0)
		return;
	for (unsigned i = 0; i < from->nnames; i++)
		room += from->names[i].n;
	names = xmalloc(from->nnames * sizeof(*names) + room);
	text = (char *)(names + from->nnames);
	for (unsigned i = 0; i < from->nnames; i++) {
		memcpy(text, from->names[i].p, from->names[i].n);
		names[i] = span_of(text, from->names[i].n);
		text += from->names[i].n;
	}
	to->names = names;
	to->nnames = from->nnames;
}

static void
keep_text(char *to, size_t size, struct span from)
{
	from = span_head(span_trim(from), size - 1);
	if (from.n != 0)
		memcpy(to, from.p, from.n);
	to[from.n] = '\0';
}

static void
hang_up(struct call *c)
{
	c->over = true;
	net_timer_cancel(c->loop, &c->timer);
	net_stream_close(c->stream, POLICY_REASON_ALLOWED, NULL);
}

/* It has had time to refuse us; later it has had time to answer. */
static void
time_over(struct net_timer *t)
{
	struct call *c = (struct call *)((char *)t - offsetof(struct call, timer));

	if (c->asked_at == 0) {
		c->asked_at = clock_ms();
		net_stream_write(c->stream, c->q->request.p, c->q->request.n);
		net_timer_set(c->loop, &c->timer, c->q->answer_ms);
	} else {
		c->a->late = true;
		hang_up(c);
	}
}

static void
opened(struct net_stream *s)
{
	struct call *c = call_of(s);

	c->a->secured = true;
	net_timer_set(c->loop, &c->timer, HUSH_MS);
}

/* Is it the final response to what we asked? */
static bool
is_answer(const struct call *c, struct sip_message *m)
{
	return !m->is_request && m->status >= 200 && span_eq(sip_message_value(m, SIP_H_CALL_ID), c->q->call_id) &&
	    sip_message_parse(m) == SIP_CHECK_OK && m->method_id == POLICY_METHOD_OPTIONS;
}

static void
take_answer(struct call *c, const struct sip_message *m)
{
	struct doctor_answer *a = c->a;
	struct span diagnostics = sip_message_value(m, SIP_H_MS_DIAGNOSTICS);
	int server = sip_message_find(m, "Server", -1);

	if (span_is_empty(diagnostics))
		diagnostics = sip_message_value(m, SIP_H_MS_DIAGNOSTICS_PUBLIC);
	a->status = m->status;
	a->ms = (unsigned)(clock_ms() - c->asked_at);
	keep_text(a->phrase, sizeof(a->phrase), m->phrase);
	keep_text(a->diagnostics, sizeof(a->diagnostics), diagnostics);
	keep_text(a->server, sizeof(a->server), sip_header_value(m, server));
}

/* Whole messages out of what was heard. False: that is enough. */
static bool
read_messages(struct call *c)
{
	for (;;) {
		size_t used = 0;

		switch (sip_framer_next(&c->framer, &SIP_FRAME_LIMITS_DEFAULT, c->heard, c->n, &used, c->m)) {
		case SIP_FRAME_MORE:
			return true;
		case SIP_FRAME_BAD:
			c->a->nonsense = sip_check_phrase(c->framer.error);
			return false;
		case SIP_FRAME_MESSAGE:
			if (is_answer(c, c->m)) {
				take_answer(c, c->m);
				return false;
			}
			break;
		case SIP_FRAME_PING:
			break;
		}
		memmove(c->heard, c->heard + used, c->n - used);
		c->n -= used;
	}
}

static void
received(struct net_stream *s, const char *p, size_t n)
{
	struct call *c = call_of(s);

	if (c->over)
		return;
	if ((c->all += n) > HEARD_MAX) {
		c->a->nonsense = "It Sends Without End";
		hang_up(c);
		return;
	}
	c->heard = xrealloc(c->heard, c->n + n + 1);
	memcpy(c->heard + c->n, p, n);
	c->n += n;
	if (!read_messages(c))
		hang_up(c);
}

static void
closed(struct net_stream *s, enum policy_reason reason, const char *detail)
{
	struct call *c = call_of(s);

	copy_peer(&c->a->peer, net_stream_peer(s));
	c->a->why = reason;
	c->a->detail = detail;
	net_timer_cancel(c->loop, &c->timer);
	c->stream = NULL;
	net_loop_stop(c->loop);
}

static const struct net_stream_ops ops = { .opened = opened, .received = received, .closed = closed };

void
doctor_call(struct net_loop *loop, struct net_streams *streams, struct net_tls_ctx *ctx, const struct doctor_question *q,
    struct doctor_answer *a)
{
	struct net_stream_limits limits = { .handshake_ms = q->handshake_ms, .queue_high = HEARD_MAX, .linger_ms = LINGER_MS };
	struct call c = { .loop = loop, .q = q, .a = a, .timer = { .fire = time_over } };

	memset(a, 0, sizeof(*a));
	c.m = xcalloc(1, sizeof(*c.m));
	sip_framer_init(&c.framer);
	c.stream = net_stream_connect(streams, &q->to, q->name, ctx, &limits, &ops, &c);
	if (q->accept_cn)
		net_stream_expect_cn(c.stream);
	while (c.stream != NULL)
		net_loop_run(loop);
	free(c.heard);
	free(c.m);
}

void
doctor_answer_fini(struct doctor_answer *a)
{
	net_peer_fini(&a->peer);
}
