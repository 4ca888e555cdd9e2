/*
 * admin/trace.c - see trace.h.
 */
#include "admin/trace.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "common/clock.h"
#include "common/mem.h"
#include "sip/state.h"

#define FILTER_MAX	256

struct filter {
	char	domain[FILTER_MAX], user[FILTER_MAX], partner[FILTER_MAX];
	bool	heads;		/* without the messages */
};

struct tracer {
	bool			 on;
	uint64_t		 number;	/* so that a late message finds out that it is too late */
	struct filter		 filter;
	_Atomic uint64_t	 dropped;
	/* the control thread's */
	struct control_request	*request;
	uint64_t		 left;		/* messages still to be shown; 0: without end */
	uint64_t		 told;		/* of dropped */
};

struct trace {
	struct sip_tap		 tap;		/* first */
	const char		*(*class_name)(unsigned);
	pthread_mutex_t		 lock;		/* of control, and tracers' on, number and filter */
	struct control		*control;	/* set by each request */
	struct tracer		 tracer[TRACE_TRACERS];
	uint64_t		 numbers;
	_Atomic unsigned	 queued;
};

/* One message on its way. */
struct traced {
	struct net_mail		 mail;		/* first */
	struct trace		*t;
	uint64_t		 number;
	unsigned		 which;
	size_t			 n;
	unsigned char		 bytes[];
};

/* ---- in the worker ---- */

static bool
is_within(struct span name, struct span domain)
{
	return span_ieq(name, domain) || (name.n > domain.n && name.p[name.n - domain.n - 1] == '.' &&
	    span_ieq(span_tail(name, name.n - domain.n), domain));
}

static bool
is_with(const struct sip_link_state *s, const char *partner)
{
	if (partner[0] == '\0' || (s->called != NULL && is_within(span_str(s->called), span_str(partner))))
		return true;
	for (unsigned i = 0; s->peer != NULL && s->peer->has_certificate && i < s->peer->nnames; i++)
		if (is_within(s->peer->names[i], span_str(partner)))
			return true;
	return false;
}

static void
write_record(struct record_writer *w, unsigned char *room, size_t size, const struct trace *t, struct sip_link *l,
    const struct sip_link_state *s, const struct sip_tap_head *h, bool in, struct span bytes, bool heads)
{
	char addr[NET_ADDR_TEXT], masked[TRACE_MESSAGE];
	struct strbuf sb;

	record_begin(w, room, size, "message");
	record_time(w, "time", clock_wall());
	record_str(w, "way", in ? "in" : "out");
	record_str(w, "side", policy_side_name(s->face->side));
	record_str(w, "class", t->class_name(sip_link_class(l)));
	record_str(w, "peer", net_addr_format(s->remote, addr));
	record_printf(w, "connection", "%llx", (unsigned long long)s->id);
	record_text(w, "call_id", span_head(h->call_id, 256));
	record_text(w, "cseq", span_head(h->cseq, 64));
	strbuf_init(&sb, masked, sizeof(masked));
	sip_tap_mask(heads ? h->start : bytes, &sb);
	if (heads) {
		/* one line that has no end of its own */
		record_text(w, "start", span_trim(strbuf_span_of(&sb)));
		return;
	}
	record_bool(w, "cut", !strbuf_ok(&sb));
	record_text(w, "message", strbuf_span_of(&sb));
}

static void deliver(struct net_worker *, struct net_mail *);

/* A tracer that wants a message. */
struct wish {
	unsigned	 which;
	uint64_t	 number;
	bool		 heads;
	struct control	*control;
};

static void
send_to(struct trace *t, const struct wish *wish, struct sip_link *l, const struct sip_link_state *s,
    const struct sip_tap_head *h, bool in, struct span bytes)
{
	struct tracer *tr = &t->tracer[wish->which];
	unsigned char room[TRACE_MESSAGE + 2048];
	struct record_writer w;
	struct traced *m;

	if (atomic_load_explicit(&t->queued, memory_order_relaxed) >= TRACE_QUEUE) {
		atomic_fetch_add_explicit(&tr->dropped, 1, memory_order_relaxed);
		return;
	}
	write_record(&w, room, sizeof(room), t, l, s, h, in, bytes, wish->heads);
	if (!record_ok(&w))
		return;
	m = xmalloc(sizeof(*m) + w.w.len);
	*m = (struct traced){ .mail = { .deliver = deliver }, .t = t, .number = wish->number, .which = wish->which,
	    .n = w.w.len };
	memcpy(m->bytes, w.w.p, w.w.len);
	atomic_fetch_add_explicit(&t->queued, 1, memory_order_relaxed);
	control_post(wish->control, &m->mail);
}

static void
message(struct sip_tap *tap, struct sip_link *l, bool in, struct span bytes)
{
	struct trace *t = (struct trace *)tap;
	struct wish wish[TRACE_TRACERS];
	struct sip_link_state s;
	struct sip_tap_head h;
	unsigned n = 0;

	sip_tap_look(bytes, &h);
	sip_link_state_of(l, &s);
	/* held by anybody only for as long as it takes to look at filters, or to copy one */
	pthread_mutex_lock(&t->lock);
	for (unsigned i = 0; i < TRACE_TRACERS; i++) {
		const struct filter *f = &t->tracer[i].filter;

		if (t->tracer[i].on && is_with(&s, f->partner) && sip_tap_is_about(&h, span_str(f->domain), span_str(f->user)))
			wish[n++] = (struct wish){ i, t->tracer[i].number, f->heads, t->control };
	}
	pthread_mutex_unlock(&t->lock);
	for (unsigned i = 0; i < n; i++)
		send_to(t, &wish[i], l, &s, &h, in, bytes);
}

/* ---- in the control thread ---- */

static void
stop(struct trace *t, struct tracer *tr)
{
	pthread_mutex_lock(&t->lock);
	tr->on = false;
	tr->request = NULL;
	pthread_mutex_unlock(&t->lock);
	atomic_fetch_sub(&t->tap.watchers, 1);
}

static void
say_dropped(struct tracer *tr)
{
	uint64_t dropped = atomic_load_explicit(&tr->dropped, memory_order_relaxed);
	unsigned char room[RECORD_SMALL];
	struct record_writer w;

	if (dropped == tr->told || control_room(tr->request) < sizeof(room))
		return;
	record_begin(&w, room, sizeof(room), "dropped");
	record_int(&w, "messages", (int64_t)(dropped - tr->told));
	if (control_put(tr->request, &w))
		tr->told = dropped;
}

static void
deliver(struct net_worker *w, struct net_mail *mail)
{
	struct traced *m = (struct traced *)mail;
	struct trace *t = m->t;
	struct tracer *tr = &t->tracer[m->which];
	struct control_request *r = tr->request;

	(void)w;
	atomic_fetch_sub_explicit(&t->queued, 1, memory_order_relaxed);
	if (r != NULL && tr->number == m->number) {
		say_dropped(tr);
		if (control_room(r) < m->n + 2 * RECORD_SMALL)
			atomic_fetch_add_explicit(&tr->dropped, 1, memory_order_relaxed);
		else
			control_put_bytes(r, span_of((const char *)m->bytes, m->n));
		if (tr->left != 0 && --tr->left == 0) {
			say_dropped(tr);
			stop(t, tr);
			control_on_gone(r, NULL, NULL);
			control_end(r, EX_OK, NULL);
		}
	}
	free(m);
}

static void
client_left(struct control_request *r, void *arg)
{
	struct trace *t = arg;

	for (unsigned i = 0; i < TRACE_TRACERS; i++)
		if (t->tracer[i].request == r)
			stop(t, &t->tracer[i]);
}

static void
copy(char out[FILTER_MAX], struct span s)
{
	snprintf(out, FILTER_MAX, "%.*s", SPAN_FMT(s));
}

void
trace_run(struct trace *t, struct control_request *r)
{
	trace_run_with(t, r, NULL);
}

void
trace_run_with(struct trace *t, struct control_request *r, const char *server)
{
	struct tracer *tr = NULL;
	unsigned char room[RECORD_SMALL];
	struct record_writer w;

	for (unsigned i = 0; i < TRACE_TRACERS && tr == NULL; i++)
		tr = t->tracer[i].request == NULL ? &t->tracer[i] : NULL;
	if (tr == NULL) {
		control_end(r, EX_TEMPFAIL, "%d others are tracing already", TRACE_TRACERS);
		return;
	}
	pthread_mutex_lock(&t->lock);
	t->control = control_of(r);
	tr->number = ++t->numbers;
	tr->request = r;
	tr->left = control_int(r, "count", 0) > 0 ? (uint64_t)control_int(r, "count", 0) : 0;
	tr->told = 0;
	atomic_store(&tr->dropped, 0);
	copy(tr->filter.domain, control_text(r, "domain"));
	copy(tr->filter.user, control_text(r, "user"));
	copy(tr->filter.partner, server != NULL ? span_str(server) : control_text(r, "partner"));
	tr->filter.heads = control_int(r, "heads", 0) != 0;
	tr->on = true;
	pthread_mutex_unlock(&t->lock);
	control_on_gone(r, client_left, t);
	record_begin(&w, room, sizeof(room), "tracing");
	record_time(&w, "since", clock_wall());
	control_put(r, &w);
	atomic_fetch_add(&t->tap.watchers, 1);
}

struct trace *
trace_new(const char *(*class_name)(unsigned))
{
	struct trace *t = xcalloc(1, sizeof(*t));

	t->class_name = class_name;
	t->tap.message = message;
	pthread_mutex_init(&t->lock, NULL);
	return t;
}

void
trace_free(struct trace *t)
{
	if (t == NULL)
		return;
	pthread_mutex_destroy(&t->lock);
	free(t);
}

struct sip_tap *
trace_tap(struct trace *t)
{
	return &t->tap;
}
