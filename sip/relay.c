/*
 * sip/relay.c - see relay.h: life, what owners call, and mail between workers.
 */
#include "sip/relay.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "sip/engine.h"
#include "sip/reply.h"

#define SPARE_MAX	8

struct sip_relay_set {
	unsigned			 n;
	_Atomic(struct sip_relay *)	*relay;
};

/* ---- life ---- */

struct sip_relay *
sip_relay_new(struct net_worker *worker, struct net_tls_lib *lib, struct net_dns *dns,
    struct sip_flow_signer *signer, const struct sip_relay_limits *limits, const struct sip_relay_ops *ops,
    void *owner)
{
	struct sip_relay *r = xcalloc(1, sizeof(*r));
	uint32_t first;

	r->worker = worker;
	r->lib = lib;
	r->dns = dns;
	r->signer = signer;
	r->limits = *limits;
	r->ops = ops;
	r->owner = owner;
	r->streams = net_streams_new(worker->loop);
	net_streams_limit_handshakes(r->streams, limits->handshakes);
	r->links = slots_new(limits->links);
	/* a Path names a link for as long as a registration lives, which may be longer than we do */
	mem_random(&first, sizeof(first));
	slots_begin_at(r->links, first >> 4);
	r->txs = slots_new(limits->transactions);
	r->spare = xcalloc(SPARE_MAX, sizeof(struct sip_message *));
	return r;
}

void
sip_relay_free(struct sip_relay *r)
{
	if (r == NULL)
		return;
	r->freeing = true;
	if (r->set != NULL)
		atomic_store(&r->set->relay[r->worker->id], NULL);
	/* requests stand in the queues of hops, so they go first */
	tx_free_all(r);
	hop_free_all(r);
	link_free_all(r);
	/* the streams tell their end from the loop; each has a linger deadline of its own */
	while (slots_count(r->links) > 0)
		net_loop_once(r->worker->loop, -1);
	net_streams_free(r->streams);
	slots_free(r->links);
	slots_free(r->txs);
	while (r->nspare > 0)
		free(r->spare[--r->nspare]);
	free(r->spare);
	free(r);
}

void
sip_relay_take_pen(struct sip_relay *r, struct sip_session_pen *pen)
{
	r->pen = pen;
}

void
relay_write_end(struct sip_relay *r, const struct sip_link *from, const struct sip_message *m, enum policy_method method,
    unsigned status, enum policy_reason why, uint64_t ms)
{
	struct sip_session s = {
		.side = from != NULL ? from->face->side : POLICY_SIDE_UNKNOWN, .class = from != NULL ? from->class : 0,
		.peer = from != NULL ? sip_link_remote(from) : NULL, .method = method, .status = status, .reason = why,
		.ms = ms, .m = m
	};

	sip_session_write(r->pen, &s);
}

void *
sip_relay_owner(const struct sip_relay *r)
{
	return r->owner;
}

struct net_worker *
sip_relay_worker(const struct sip_relay *r)
{
	return r->worker;
}

struct sip_flow_signer *
sip_relay_signer(const struct sip_relay *r)
{
	return r->signer;
}

struct net_dns *
sip_relay_dns(const struct sip_relay *r)
{
	return r->dns;
}

const struct sip_counters *
sip_relay_counters(const struct sip_relay *r)
{
	return &r->counters;
}

uint32_t
sip_relay_links(const struct sip_relay *r)
{
	return slots_count(r->links);
}

uint32_t
sip_relay_transactions(const struct sip_relay *r)
{
	return slots_count(r->txs);
}

void
sip_relay_drain(struct sip_relay *r)
{
	r->draining = true;
}

/* ---- messages to work with ---- */

struct sip_message *
relay_message_take(struct sip_relay *r)
{
	/* whoever indexes it resets it */
	return r->nspare > 0 ? r->spare[--r->nspare] : xmalloc(sizeof(struct sip_message));
}

void
relay_message_give(struct sip_relay *r, struct sip_message *m)
{
	if (r->nspare < SPARE_MAX)
		r->spare[r->nspare++] = m;
	else
		free(m);
}

/* ---- links ---- */

/* Is there too much already for one connection more? Strangers do not take the last places: our own servers need them. */
static bool
is_full(const struct sip_relay *r, const struct sip_face *face, enum stats_limit *limit)
{
	bool outer = face->side == POLICY_SIDE_OUTER || face->clients;

	*limit = STATS_LIMIT_CONNECTIONS;
	if (slots_count(r->links) >= r->limits.links - (outer ? r->limits.links / 16 : 0))
		return true;
	*limit = STATS_LIMIT_TRANSACTIONS;
	return outer && slots_count(r->txs) >= r->limits.transactions - r->limits.transactions / 8;
}

void
sip_relay_turn_away(struct sip_relay *r, const struct net_addr *from, const struct sip_face *face, enum policy_reason why,
    const char *detail)
{
	count(&r->counters.by_reason[why]);
	stats_count(REFUSALS, why, face->side);
	if (r->ops->turned_away != NULL)
		r->ops->turned_away(r, from, face, why, detail);
}

void
sip_relay_accept(struct sip_relay *r, int fd, const struct net_addr *from, struct sip_face *face)
{
	enum policy_reason why = POLICY_REASON_CONNECTION_LIMIT;
	enum stats_limit limit;

	if (!is_full(r, face, &limit) && (r->ops->admits == NULL || r->ops->admits(r, from, face, &limit))) {
		link_accept(r, fd, from, face);
		return;
	}
	close(fd);
	if (limit == STATS_LIMIT_TRANSACTIONS)
		why = POLICY_REASON_OVERLOAD;
	stats_count(LIMIT_HITS, limit, 0);
	sip_relay_turn_away(r, from, face, why, stats_limit_name(limit));
}

struct sip_link *
sip_relay_link(const struct sip_relay *r, uint64_t id)
{
	if (id == 0 || sip_link_worker_of(id) != r->worker->id)
		return NULL;
	return slots_get(r->links, ID_LOCAL(id));
}

bool
sip_relay_link_lives(const struct sip_relay *r, uint64_t id)
{
	unsigned w = sip_link_worker_of(id);
	const struct sip_link *l;

	if (id == 0)
		return false;
	if (w != r->worker->id)
		return r->set != NULL && w < r->set->n;
	return (l = sip_relay_link(r, id)) != NULL && l->open && !l->closing;
}

struct each {
	void	(*fn)(struct sip_link *, void *);
	void	 *arg;
};

static void
each_link(void *item, void *arg)
{
	struct each *e = arg;

	e->fn(item, e->arg);
}

void
sip_relay_each_link(struct sip_relay *r, void (*fn)(struct sip_link *, void *), void *arg)
{
	struct each e = { fn, arg };

	slots_each(r->links, each_link, &e);
}

/* ---- what came in ---- */

/* Refusals that say that a limit was reached. */
static void
count_limit(enum policy_reason why)
{
	switch (why) {
	case POLICY_REASON_RATE_LIMIT:		stats_limit_hit(MESSAGE_RATE); break;
	case POLICY_REASON_OVERLOAD:		stats_limit_hit(TRANSACTIONS); break;
	case POLICY_REASON_IN_FLIGHT_LIMIT:	stats_limit_hit(TRANSACTIONS_LINK); break;
	case POLICY_REASON_TOO_LARGE:		stats_limit_hit(MESSAGE_SIZE); break;
	case POLICY_REASON_HOP_BUSY:		stats_limit_hit(HOP_QUEUE); break;
	case POLICY_REASON_DNS_BUSY:		stats_limit_hit(HELD); break;
	case POLICY_REASON_DISCOVERED_RATE:
	case POLICY_REASON_DISCOVERED_SUSPICIOUS: stats_limit_hit(DISCOVERED_RATE); break;
	case POLICY_REASON_DISCOVERED_ADDRESSEES: stats_limit_hit(ADDRESSEES); break;
	case POLICY_REASON_DISCOVERED_TABLE:	stats_limit_hit(DISCOVERED); break;
	default:				break;
	}
}

void
relay_refused(struct sip_relay *r, struct sip_link *l, const struct sip_message *m, enum policy_reason why,
    const char *detail)
{
	count(&r->counters.by_reason[why < POLICY_NREASONS ? why : POLICY_REASON_UNDECIDED]);
	stats_count(REFUSALS, why, l != NULL ? l->face->side : POLICY_SIDE_UNKNOWN);
	count_limit(why);
	if (r->ops->refused != NULL)
		r->ops->refused(r, l, m, why, detail);
}

/* Most checks are about form; a version and a size are reasons of their own. */
static enum policy_reason
reason_of(enum sip_check check)
{
	switch (sip_check_status(check)) {
	case 505:	return POLICY_REASON_BAD_VERSION;
	case 513:	return POLICY_REASON_TOO_LARGE;
	default:	return POLICY_REASON_MALFORMED;
	}
}

/* 400 and its kin, when there is enough to answer; otherwise dropped and counted. */
static void
malformed(struct sip_relay *r, struct sip_link *l, struct sip_message *m, enum sip_check check)
{
	struct sip_note note = { .from = l->id };
	bool answerable, answered;
	char text[1024];
	struct strbuf extra;

	strbuf_init(&extra, text, sizeof(text));
	if (check == SIP_CHECK_EXTENSION)
		sip_check_write_unsupported(m, &extra);
	count(&r->counters.malformed);
	stats_count(MALFORMED, l->face->side, m->is_request ? STATS_REQUEST : STATS_RESPONSE);
	relay_refused(r, l, m, reason_of(check), sip_check_name(check));
	answerable = m->is_request && sip_message_answerable(m);
	/* of a From that is none no answer can be made: the log says what was sent */
	answered = answerable && tx_answer(r, l, m, sip_check_status(check), sip_check_phrase(check),
	    strbuf_ok(&extra) ? strbuf_span_of(&extra) : SPAN_NONE, reason_of(check), &note, 0);
	if (m->is_request)
		relay_ended(r, l, m, m->method_id, answered ? sip_check_status(check) : 0, reason_of(check), 0);
	if (!answerable)
		relay_dropped(r);
}

void
relay_bad_frame(struct sip_relay *r, struct sip_link *l, struct sip_message *m, enum sip_check check)
{
	malformed(r, l, m, check);
	/* where the next message would begin is not known any more */
	sip_link_close(l, reason_of(check), sip_check_name(check));
}

/* In a dialog, or what a request before it brought about: refused last (design 10). */
static bool
is_in_progress(const struct sip_message *m)
{
	return !span_is_empty(m->to.tag) || m->method_id == POLICY_METHOD_ACK || m->method_id == POLICY_METHOD_CANCEL;
}

/* One request more of this connection. False: it was too much, and is dealt with. */
static bool
within_rate(struct sip_relay *r, struct sip_link *l, struct sip_message *m, bool good)
{
	const struct net_rate *rate = &l->limits->rate;
	uint64_t now = net_loop_now(r->worker->loop);
	char extra[40];

	if (net_rate_take(&l->rate, rate, now, good && is_in_progress(m)))
		return true;
	if (good) {
		snprintf(extra, sizeof(extra), "Retry-After: %u\r\n", net_rate_wait(l->rate, rate, now));
		sip_relay_refuse(r, l, m, POLICY_REASON_RATE_LIMIT, NULL, span_str(extra), NULL);
	} else {
		/* what is malformed besides is not worth an answer */
		relay_refused(r, l, m, POLICY_REASON_RATE_LIMIT, NULL);
		relay_dropped(r);
	}
	return false;
}

void
relay_too_long(struct sip_relay *r, struct sip_link *l, struct sip_message *m)
{
	count(&r->counters.requests_in);
	stats_count(MESSAGES_IN, l->class, STATS_REQUEST);
	if (!l->inbound || within_rate(r, l, m, false))
		malformed(r, l, m, SIP_CHECK_MESSAGE_TOO_LONG);
}

/* Servers may send longer answers than requests, and a request that is too long is no reason to lose the connection. */
static enum sip_check
check_size(struct sip_relay *r, const struct sip_link *l, const struct sip_message *m)
{
	const struct sip_frame_limits *lim = &l->limits->request;
	size_t address = SIP_ADDRESS_MAX + (size_t)lim->tag;
	struct sip_message *scratch;
	enum sip_check check;

	if (!m->is_request || lim->message == 0)
		return SIP_CHECK_OK;
	if (m->from.whole.n > address || m->to.whole.n > address)
		return SIP_CHECK_HEADER_TOO_LONG;
	scratch = relay_message_take(r);
	check = sip_frame_fits(lim, m->bytes, m->n, m->nheaders, scratch);
	relay_message_give(r, scratch);
	return check;
}

void
relay_message_in(struct sip_relay *r, struct sip_link *l, struct sip_message *m)
{
	enum sip_check check = sip_check_message(m);

	if (check == SIP_CHECK_OK)
		check = check_size(r, l, m);
	count(m->is_request ? &r->counters.requests_in : &r->counters.responses_in);
	stats_count(MESSAGES_IN, l->class, m->is_request ? STATS_REQUEST : STATS_RESPONSE);
	if (check == SIP_CHECK_OK && m->is_request)
		stats_count(REQUESTS, l->face->side, m->method_id);
	if (m->is_request && l->inbound && !within_rate(r, l, m, check == SIP_CHECK_OK))
		return;
	if (check != SIP_CHECK_OK)
		malformed(r, l, m, check);
	else if (m->is_request)
		tx_request(r, l, m);
	else
		tx_response(r, l, l->id, m);
}

/* ---- what owners say ---- */

void
sip_relay_forward(struct sip_relay *r, struct sip_link *from, struct sip_message *m, const struct sip_plan *plan)
{
	tx_forward(r, from, m, plan);
}

void
sip_relay_drop(struct sip_relay *r, struct sip_link *from, struct sip_message *m, enum policy_reason why)
{
	relay_dropped(r);
	relay_refused(r, from, m, why, NULL);
	relay_ended(r, from, m, m->method_id, 0, why, 0);
}

/* No response is ever sent to these (RFC 3261 17.2, MS 2). */
static bool
takes_no_answer(const struct sip_message *m)
{
	return m->method_id == POLICY_METHOD_ACK || m->method_id == POLICY_METHOD_BENOTIFY;
}

static void
final_answer(struct sip_relay *r, struct sip_link *from, struct sip_message *m, unsigned status, const char *phrase,
    struct span extra, enum policy_reason why, const struct sip_note *given)
{
	struct sip_note note = given != NULL ? *given : (struct sip_note){ .made = false };

	note.from = from->id;
	note.cseq = m->cseq;
	note.method = m->method_id;
	relay_ended(r, from, m, m->method_id, status, why, 0);
	tx_answer(r, from, m, status, phrase, extra, why, &note, 0);
	if (m->method_id == POLICY_METHOD_INVITE && status >= 300)
		tx_await_ack(r, from, m);
}

void
sip_relay_refuse(struct sip_relay *r, struct sip_link *from, struct sip_message *m, enum policy_reason why,
    const char *detail, struct span extra, const struct sip_note *note)
{
	int status = policy_reason_status(why);

	relay_refused(r, from, m, why, detail);
	if (status == 0 || takes_no_answer(m)) {
		relay_ended(r, from, m, m->method_id, 0, why, 0);
		relay_dropped(r);
		return;
	}
	if (status == 503 && span_is_empty(extra))
		extra = SPAN_LIT("Retry-After: 5\r\n");
	final_answer(r, from, m, (unsigned)status, detail, extra, why, note);
}

void
sip_relay_answer(struct sip_relay *r, struct sip_link *from, struct sip_message *m, unsigned status,
    const char *phrase, struct span extra, const struct sip_note *note)
{
	if (takes_no_answer(m))
		relay_dropped(r);
	else
		final_answer(r, from, m, status, phrase, extra, POLICY_REASON_ALLOWED, note);
}

struct sip_held *
sip_relay_hold(struct sip_relay *r, struct sip_link *from, struct sip_message *m)
{
	struct sip_held *h = xmalloc(sizeof(*h) + m->n);

	h->key = m->method_id == POLICY_METHOD_INVITE ? sip_tx_key(from->id, m) : 0;
	h->cancelled = false;
	h->from = from->id;
	h->n = m->n;
	memcpy(h->bytes, m->bytes, m->n);
	if ((h->next = r->held) != NULL)
		h->next->prev = &h->next;
	h->prev = &r->held;
	r->held = h;
	stats_move(HELD, 0, 0, 1);
	return h;
}

void
sip_relay_let_go(struct sip_held *h)
{
	*h->prev = h->next;
	if (h->next != NULL)
		h->next->prev = h->prev;
	stats_move(HELD, 0, 0, -1);
	free(h);
}

bool
relay_cancel_held(struct sip_relay *r, uint64_t key)
{
	struct sip_held *h = r->held;

	while (h != NULL && h->key != key)
		h = h->next;
	if (h != NULL)
		h->cancelled = true;
	return h != NULL;
}

void
sip_relay_resume(struct sip_relay *r, struct sip_held *h,
    void (*fn)(struct sip_relay *, struct sip_link *from, struct sip_message *m, void *arg), void *arg)
{
	struct sip_link *l = sip_relay_link(r, h->from);
	struct sip_message *m;

	if (l != NULL && !l->closing) {
		m = relay_message_take(r);
		if (sip_message_index(m, h->bytes, h->n) != SP_OK || sip_message_parse(m) != SIP_CHECK_OK)
			relay_dropped(r);
		else if (h->cancelled)
			sip_relay_refuse(r, l, m, POLICY_REASON_CANCELLED, NULL, SPAN_NONE, NULL);
		else
			fn(r, l, m, arg);
		relay_message_give(r, m);
	}
	sip_relay_let_go(h);
}

/* ---- mail between workers: finished bytes, and word of what became of them ---- */

struct sip_relay_set *
sip_relay_set_new(unsigned nworkers)
{
	struct sip_relay_set *s = xcalloc(1, sizeof(*s));

	s->n = nworkers;
	s->relay = xcalloc(nworkers, sizeof(*s->relay));
	return s;
}

void
sip_relay_set_free(struct sip_relay_set *s)
{
	if (s == NULL)
		return;
	free(s->relay);
	free(s);
}

void
sip_relay_join(struct sip_relay *r, struct sip_relay_set *s)
{
	r->set = s;
	atomic_store(&s->relay[r->worker->id], r);
}

struct letter {
	struct net_mail		 mail;
	struct sip_relay_set	*set;
	uint64_t		 link;		/* to send on, or that it came over */
	uint64_t		 tx;		/* worker and record that want to know; 0: nobody */
	enum policy_reason	 why;
	size_t			 n;
	char			 bytes[];
};

static struct letter *
new_letter(struct sip_relay *r, void (*deliver)(struct net_worker *, struct net_mail *), size_t n)
{
	struct letter *x = xcalloc(1, sizeof(*x) + n);

	x->mail.deliver = deliver;
	x->set = r->set;
	x->n = n;
	return x;
}

/* Post to a worker of the crew; false (and the letter is gone) when there is no such. */
static bool
post(struct sip_relay *r, unsigned worker, struct letter *x)
{
	struct net_worker *to = r->set != NULL ? net_crew_worker(r->worker->crew, worker) : NULL;

	if (to == NULL) {
		free(x);
		return false;
	}
	net_worker_post(to, &x->mail);
	return true;
}

static struct sip_relay *
receiver(struct net_worker *w, const struct letter *x)
{
	return atomic_load(&x->set->relay[w->id]);
}

static void
deliver_failed(struct net_worker *w, struct net_mail *mail)
{
	struct letter *x = (struct letter *)mail;
	struct sip_relay *r = receiver(w, x);
	struct sip_tx *t;

	/* it may have gone to another target since */
	if (r != NULL && (t = tx_find(r, ID_LOCAL(x->tx))) != NULL && !t->answered && t->note.to == x->link)
		tx_target_failed(t, t->gone != POLICY_REASON_UNDECIDED ? t->gone : x->why);
	free(x);
}

void
mail_failed(struct sip_relay *r, uint64_t worker_and_tx, uint64_t link, enum policy_reason why)
{
	struct letter *x = new_letter(r, deliver_failed, 0);

	x->tx = worker_and_tx;
	x->link = link;
	x->why = why;
	post(r, sip_link_worker_of(worker_and_tx), x);
}

static void
deliver_send(struct net_worker *w, struct net_mail *mail)
{
	struct letter *x = (struct letter *)mail;
	struct sip_relay *r = receiver(w, x);
	struct sip_link *l = r != NULL ? sip_relay_link(r, x->link) : NULL;

	if (l != NULL && l->open && !l->closing && !link_fits(l, x->bytes, x->n, UINT_MAX)) {
		if (x->tx != 0)
			mail_failed(r, x->tx, x->link, POLICY_REASON_TOO_LARGE);
	} else if (l != NULL && l->open && !l->closing) {
		link_write(l, x->bytes, x->n);
		stats_count(MESSAGES_OUT, l->class, STATS_REQUEST);
		if (x->tx != 0)
			link_await(l, x->tx);
	} else if (r != NULL && x->tx != 0) {
		mail_failed(r, x->tx, x->link, POLICY_REASON_HOP_LOST);
	}
	free(x);
}

void
mail_send(struct sip_relay *r, uint64_t to_link, const struct sip_tx *t, const char *p, size_t n)
{
	struct letter *x = new_letter(r, deliver_send, n);

	memcpy(x->bytes, p, n);
	x->link = to_link;
	x->tx = t != NULL && !t->oneway ? ID_WORKER(r->worker->id) | t->id : 0;
	post(r, sip_link_worker_of(to_link), x);
}

static void
deliver_response(struct net_worker *w, struct net_mail *mail)
{
	struct letter *x = (struct letter *)mail;
	struct sip_relay *r = receiver(w, x);

	if (r != NULL) {
		struct sip_message *m = relay_message_take(r);

		/* it was checked where it came in */
		if (sip_message_index(m, x->bytes, x->n) == SP_OK && sip_message_parse(m) == SIP_CHECK_OK)
			tx_response(r, NULL, x->link, m);
		relay_message_give(r, m);
	}
	free(x);
}

void
mail_response(struct sip_relay *r, unsigned worker, uint64_t source, const struct sip_message *m)
{
	struct letter *x = new_letter(r, deliver_response, m->n);

	memcpy(x->bytes, m->bytes, m->n);
	x->link = source;
	if (!post(r, worker, x))
		relay_dropped(r);
}
