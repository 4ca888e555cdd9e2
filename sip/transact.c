/*
 * sip/transact.c - requests in flight: the part of the relay that loses none.
 *
 *	WAITING -> SENT -> PROCEEDING -> final response
 *	   \________\_________\-> next target, or an answer of our own
 *
 * A request other than INVITE ends with its final response. An INVITE stays a
 * while: COMPLETED until the sender's ACK, which ends at this hop, or ACCEPTED
 * so that further 2xx responses of a forked call find their way.
 */
#include <stdlib.h>

#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "sip/engine.h"
#include "sip/forward.h"
#include "sip/reply.h"

#define LINGER_MS	32000	/* 64 * T1 (RFC 3261 17.1.1.2, RFC 6026) */
#define COPY_WHOLE	4096	/* a longer message is kept whole only while another target remains */
#define MAIL_QUEUE_FACTOR 2	/* a link this many times over its high mark takes no new request */

static void tx_timer(struct net_timer *);
static void tx_try(struct sip_tx *);
static void tx_fail(struct sip_tx *, enum policy_reason);

/* ---- the table ---- */

struct sip_tx *
tx_find(const struct sip_relay *r, uint64_t id)
{
	return slots_get(r->txs, id);
}

static struct sip_tx *
find_by_key(const struct sip_relay *r, uint64_t key, uint64_t link)
{
	for (struct sip_tx *t = r->bucket[key & (r->nbuckets - 1)]; t != NULL; t = t->chain)
		if (t->key == key && t->note.from == link)
			return t;
	return NULL;
}

static void
grow_table(struct sip_relay *r)
{
	uint32_t n = r->nbuckets == 0 ? 1024 : r->nbuckets * 2;
	struct sip_tx **bucket = xcalloc(n, sizeof(struct sip_tx *));

	for (uint32_t i = 0; i < r->nbuckets; i++)
		while (r->bucket[i] != NULL) {
			struct sip_tx *t = r->bucket[i];

			r->bucket[i] = t->chain;
			t->chain = bucket[t->key & (n - 1)];
			bucket[t->key & (n - 1)] = t;
		}
	free(r->bucket);
	r->bucket = bucket;
	r->nbuckets = n;
}

static void
unchain(struct sip_tx *t)
{
	struct sip_tx **p = &t->relay->bucket[t->key & (t->relay->nbuckets - 1)];

	while (*p != NULL && *p != t)
		p = &(*p)->chain;
	if (*p != NULL)
		*p = t->chain;
}

static struct sip_tx *
tx_new(struct sip_relay *r, uint64_t key)
{
	struct sip_tx *t = r->free_tx;
	uint64_t id;

	if (slots_count(r->txs) >= r->nbuckets)
		grow_table(r);
	if (t != NULL)
		r->free_tx = t->chain;
	else
		t = xmalloc(sizeof(*t));
	memset(t, 0, sizeof(*t));
	if ((id = slots_add(r->txs, t)) == 0) {
		t->chain = r->free_tx;
		r->free_tx = t;
		return NULL;
	}
	t->relay = r;
	t->id = id;
	t->key = key;
	t->timer.fire = tx_timer;
	t->begun_at = net_loop_now(r->worker->loop);
	stats_move(TRANSACTIONS, 0, 0, 1);
	t->chain = r->bucket[key & (r->nbuckets - 1)];
	r->bucket[key & (r->nbuckets - 1)] = t;
	return t;
}

static void
leave_link(struct sip_tx *t)
{
	if (t->link_prev == NULL)
		return;
	*t->link_prev = t->link_next;
	if (t->link_next != NULL)
		t->link_next->link_prev = t->link_prev;
	t->link_next = NULL;
	t->link_prev = NULL;
}

static void
join_link(struct sip_tx *t, struct sip_link *l)
{
	t->link_next = l->sent;
	t->link_prev = &l->sent;
	if (l->sent != NULL)
		l->sent->link_prev = &t->link_next;
	l->sent = t;
}

/* The request has got its answer, and `end` says whose. */
static void
count_end(const struct sip_tx *t, enum stats_end end)
{
	stats_count(TRANSACTIONS_ENDED, end, 0);
	if (t->note.method != POLICY_METHOD_INVITE && end != STATS_END_ONEWAY)
		stats_time(TRANSACTION_SECONDS, 0, (net_loop_now(t->relay->worker->loop) - t->begun_at) * 1000);
}

/* Its sender waits for it no more. */
static void
leave_sender(struct sip_tx *t)
{
	struct sip_link *from = t->counted ? sip_relay_link(t->relay, t->note.from) : NULL;

	t->counted = false;
	if (from != NULL)
		from->in_flight--;
}

/* Room for the copy. */
static void
copy_take(struct sip_tx *t, size_t room)
{
	struct sip_relay *r = t->relay;

	/* with many in flight each has what it needs and no more */
	t->copy_spare = room <= SIP_COPY_SPARE && (r->ncopies > 0 || slots_count(r->txs) <= SIP_COPIES_SPARE);
	if (t->copy_spare && r->ncopies > 0)
		t->copy = r->copies[--r->ncopies];
	else
		t->copy = xmalloc(t->copy_spare ? SIP_COPY_SPARE : room);
}

static void
copy_drop(struct sip_tx *t)
{
	struct sip_relay *r = t->relay;

	if (t->copy_spare && r->ncopies < SIP_COPIES_SPARE)
		r->copies[r->ncopies++] = t->copy;
	else
		free(t->copy);
	t->copy = NULL;
	t->copy_spare = false;
}

static void
tx_free(struct sip_tx *t)
{
	struct sip_relay *r = t->relay;

	stats_move(TRANSACTIONS, 0, 0, -1);

	for (unsigned i = 0; i < t->nhops; i++)
		t->hop[i]->nwanted--;
	hop_unqueue(t);
	leave_link(t);
	leave_sender(t);
	unchain(t);
	slots_remove(r->txs, t->id);
	net_timer_cancel(r->worker->loop, &t->timer);
	copy_drop(t);
	t->chain = r->free_tx;
	r->free_tx = t;
}

static void
free_one(void *item, void *arg)
{
	(void)arg;
	tx_free(item);
}

void
tx_free_all(struct sip_relay *r)
{
	slots_each(r->txs, free_one, NULL);
	while (r->ncopies > 0)
		free(r->copies[--r->ncopies]);
	while (r->free_tx != NULL) {
		struct sip_tx *t = r->free_tx;

		r->free_tx = t->chain;
		free(t);
	}
	free(r->bucket);
	r->bucket = NULL;
	r->nbuckets = 0;
}

/* The INVITE is over for the sender: keep only what ACK and late responses need. */
static void
tx_linger(struct sip_tx *t, enum tx_state state)
{
	t->state = state;
	t->answered = true;
	leave_link(t);
	leave_sender(t);
	net_timer_set(t->relay->worker->loop, &t->timer, LINGER_MS);
}

/*
 * Anybody can have INVITEs refused and not acknowledge them, so refused ones are remembered
 * only until half of the table is taken. An ACK that finds nothing is the owner's to drop.
 */
static bool
is_crowded(const struct sip_relay *r)
{
	return slots_count(r->txs) > r->limits.transactions / 2;
}

/* ---- sending ---- */

static bool
is_invite(const struct sip_tx *t)
{
	return t->note.method == POLICY_METHOD_INVITE;
}

/* Another target is left, so this one's silence is not waited out to the end. */
static bool
has_more(const struct sip_tx *t)
{
	return t->state == TX_SENT && t->next < t->nhops;
}

static void
arm_for_response(struct sip_tx *t)
{
	const struct sip_relay_limits *lim = &t->relay->limits;

	net_timer_set(t->relay->worker->loop, &t->timer, has_more(t) ? lim->failover_ms :
	    !is_invite(t) ? lim->request_ms : t->state == TX_PROCEEDING ? lim->invite_ms : lim->invite_first_ms);
}

/* Which attempt this is goes into the branch, so that an answer to an earlier one is told apart. */
static void
stamp_attempt(struct sip_tx *t)
{
	sip_branch_set_attempt(t->copy + t->branch_at, t->attempt);
}

/*
 * Once nobody can ask for the body any more, only the header part is kept, with
 * its Content-Length made zero so that it is a message still.
 */
static void
trim_copy(struct sip_tx *t)
{
	struct sip_message *m;

	if (t->copy_n <= COPY_WHOLE || t->next < t->nhops)
		return;
	m = relay_message_take(t->relay);
	if (sip_message_index(m, t->copy, t->copy_n) == SP_OK && m->first[SIP_H_CONTENT_LENGTH] >= 0) {
		const struct sip_header *h = &m->headers[m->first[SIP_H_CONTENT_LENGTH]];

		memset(t->copy + h->value, ' ', h->value_n);
		t->copy[h->value] = '0';
		t->copy_n = (uint32_t)m->head_n;
		t->copy = xrealloc(t->copy, t->copy_n);
		t->copy_spare = false;
	}
	relay_message_give(t->relay, m);
}

void
tx_send(struct sip_tx *t, struct sip_link *l)
{
	struct sip_relay *r = t->relay;

	if (net_stream_queued(l->stream) > MAIL_QUEUE_FACTOR * l->limits->stream.queue_high &&
	    l->limits->stream.queue_high != 0) {
		tx_target_failed(t, POLICY_REASON_HOP_BUSY);
		return;
	}
	if (!link_fits(l, t->copy, t->copy_n, t->headers)) {
		tx_fail(t, POLICY_REASON_TOO_LARGE);
		return;
	}
	t->note.to = l->id;
	stamp_attempt(t);
	link_write(l, t->copy, t->copy_n);
	count(&r->counters.forwarded);
	stats_count(MESSAGES_OUT, l->class, STATS_REQUEST);
	if (net_stream_congested(l->stream))
		link_hold_back(l, sip_relay_link(r, t->note.from));
	if (t->oneway) {
		count_end(t, STATS_END_ONEWAY);
		tx_free(t);
		return;
	}
	t->state = TX_SENT;
	t->sent_at = net_loop_now(r->worker->loop);
	join_link(t, l);
	trim_copy(t);
	arm_for_response(t);
}

/* To a connection of another worker: by mail, as finished bytes. */
static void
tx_mail(struct sip_tx *t, uint64_t link)
{
	t->note.to = link;
	stamp_attempt(t);
	mail_send(t->relay, link, t, t->copy, t->copy_n);
	count(&t->relay->counters.forwarded);
	if (t->oneway) {
		count_end(t, STATS_END_ONEWAY);
		tx_free(t);
		return;
	}
	t->state = TX_SENT;
	trim_copy(t);
	arm_for_response(t);
}

/* ---- answers of our own, from the copy ---- */

bool
tx_answer(struct sip_relay *r, struct sip_link *to, const struct sip_message *req, unsigned status, const char *phrase,
    struct span extra, enum policy_reason why, struct sip_note *note, unsigned skip)
{
	struct strbuf sb;
	size_t room = SIP_REPLY_ROOM(req) + extra.n;
	struct sip_message *m;
	bool made = false;
	char *text;

	if (to == NULL || to->closing)
		return false;
	text = xmalloc(room);
	strbuf_init(&sb, text, room);
	sip_reply_write(&sb, req, status, phrase, extra, skip);
	m = relay_message_take(r);
	note->made = true;
	if (strbuf_ok(&sb) && sip_message_index(m, sb.p, sb.len) == SP_OK && sip_message_parse(m) == SIP_CHECK_OK) {
		r->ops->response(r, note, NULL, to, m, why);
		if ((made = link_render(to, m))) {
			count(&r->counters.answered);
			stats_count(RESPONSES, STATS_OWN, STATS_STATUS(m->status));
		} else
			relay_dropped(r);
	} else {
		relay_dropped(r);
	}
	note->made = false;
	relay_message_give(r, m);
	free(text);
	return made;
}

/* The request as it was sent on. */
static bool
copy_read(const struct sip_tx *t, struct sip_message *m)
{
	return sip_message_index(m, t->copy, t->copy_n) == SP_OK && sip_message_parse(m) == SIP_CHECK_OK;
}

/* The request is lost for that reason: the log says which one it was, and the sender is told. */
static void
refuse_from_copy(struct sip_tx *t, enum policy_reason why)
{
	struct sip_relay *r = t->relay;
	struct sip_link *from = sip_relay_link(r, t->note.from);
	struct sip_message *sent = relay_message_take(r);
	unsigned status = (unsigned)policy_reason_status(why);
	struct span extra = status == 503 ? SPAN_LIT("Retry-After: 5\r\n") : SPAN_NONE;
	bool whole = copy_read(t, sent);

	relay_refused(r, from, whole ? sent : NULL, why, NULL);
	relay_ended(r, from, whole ? sent : NULL, t->note.method, t->oneway ? 0 : status, why,
	    net_loop_now(r->worker->loop) - t->begun_at);
	if (t->oneway)
		relay_dropped(r);
	else if (whole)
		tx_answer(r, from, sent, status, NULL, extra, why, &t->note, 1);
	relay_message_give(r, sent);
}

/* Nothing more will come of it: tell the sender. */
static void
tx_fail(struct sip_tx *t, enum policy_reason why)
{
	hop_unqueue(t);
	leave_link(t);
	count_end(t, t->oneway ? STATS_END_ONEWAY : STATS_END_REFUSED);
	refuse_from_copy(t, why);
	if (is_invite(t) && !t->oneway)
		tx_linger(t, TX_COMPLETED);
	else
		tx_free(t);
}

void
tx_target_failed(struct sip_tx *t, enum policy_reason why)
{
	leave_link(t);
	t->failure = why;
	/* after a provisional response another target could ring twice (design 3) */
	if (t->answered)
		return;
	if (t->cancelled)
		tx_fail(t, POLICY_REASON_CANCELLED);
	else if (t->state == TX_PROCEEDING)
		tx_fail(t, why);
	else {
		/* the timer was for the target that failed; the next ones have to be reached first */
		if (t->state == TX_SENT)
			net_timer_set(t->relay->worker->loop, &t->timer, t->relay->limits.request_ms);
		if (t->next < t->nhops)
			stats_count(FAILOVERS, why, 0);
		tx_try(t);
	}
}

static void
tx_try(struct sip_tx *t)
{
	struct sip_hop *tried[SIP_TARGETS_MAX];
	unsigned ntried = 0;
	int err;

	t->state = TX_WAITING;
	t->note.to = 0;
	while (t->next < t->nhops) {
		struct sip_hop *h = t->hop[t->next++];

		t->attempt++;
		if ((err = hop_submit(h, t, false)) == SP_OK)
			return;		/* t may be gone: sent and forgotten */
		tried[ntried++] = h;
		t->failure = err == SP_ELIMIT ? POLICY_REASON_HOP_BUSY : h->failure != POLICY_REASON_UNDECIDED ? h->failure : POLICY_REASON_HOP_UNREACHABLE;
	}
	/* every target is held back by its breaker: rather probe one than refuse for sure */
	for (unsigned i = 0; i < ntried; i++)
		if (hop_submit(tried[i], t, true) == SP_OK)
			return;
	tx_fail(t, t->failure);
}

/* ---- time ---- */

/* A CANCEL or ACK of our making goes where the request went. */
static void
send_made(struct sip_tx *t, const struct strbuf *sb)
{
	struct sip_relay *r = t->relay;
	struct sip_link *to = sip_relay_link(r, t->note.to);
	struct sip_message *m = relay_message_take(r);

	if (strbuf_ok(sb) && t->note.to != 0 && sip_message_index(m, sb->p, sb->len) == SP_OK &&
	    sip_message_parse(m) == SIP_CHECK_OK) {
		if (r->ops->made != NULL)
			r->ops->made(r, &t->note, to, m);
		if (to != NULL) {
			link_render(to, m);
		} else if (sip_link_worker_of(t->note.to) != r->worker->id) {
			char *out = xmalloc(sip_message_room(m));
			size_t n = sip_message_render(m, out);

			if (n != 0)
				mail_send(r, t->note.to, NULL, out, n);
			free(out);
		}
	}
	relay_message_give(r, m);
}

static void
send_cancel(struct sip_tx *t)
{
	struct sip_relay *r = t->relay;
	struct sip_message *sent;
	struct strbuf sb;
	char *text;

	if (t->cancel_sent)
		return;
	t->cancel_sent = true;
	sent = relay_message_take(r);
	if (copy_read(t, sent)) {
		size_t room = SIP_REPLY_ROOM(sent);

		text = xmalloc(room);
		strbuf_init(&sb, text, room);
		sip_reply_write_cancel(&sb, sent);
		send_made(t, &sb);
		free(text);
	}
	relay_message_give(r, sent);
	net_timer_set(r->worker->loop, &t->timer, LINGER_MS);
}

static void
send_ack(struct sip_tx *t, const struct sip_message *response)
{
	struct sip_relay *r = t->relay;
	struct sip_message *sent = relay_message_take(r);
	struct strbuf sb;

	if (copy_read(t, sent)) {
		size_t room = SIP_REPLY_ROOM(sent) + response->head_n;
		char *text = xmalloc(room);

		strbuf_init(&sb, text, room);
		sip_reply_write_ack(&sb, sent, response);
		send_made(t, &sb);
		free(text);
	}
	relay_message_give(r, sent);
}

static void
tx_timer(struct net_timer *timer)
{
	struct sip_tx *t = (struct sip_tx *)((char *)timer - offsetof(struct sip_tx, timer));

	if (t->answered) {
		tx_free(t);
	} else if (t->state == TX_SENT && !t->cancelled) {
		struct sip_link *l = sip_relay_link(t->relay, t->note.to);

		if (l != NULL)
			link_suspect(l, t->sent_at);
		if (t->next < t->nhops) {
			stats_count(TIMEOUTS, STATS_TIMEOUT_TARGET, 0);
			tx_target_failed(t, POLICY_REASON_HOP_TIMEOUT);
		} else {
			stats_count(TIMEOUTS, STATS_TIMEOUT_REQUEST, 0);
			tx_fail(t, POLICY_REASON_HOP_TIMEOUT);
		}
	} else if (t->state == TX_PROCEEDING && !t->cancelled) {
		t->cancelled = true;	/* timer C (RFC 3261 16.8) */
		stats_count(TIMEOUTS, is_invite(t) ? STATS_TIMEOUT_RING : STATS_TIMEOUT_REQUEST, 0);
		if (is_invite(t))
			send_cancel(t);
		tx_fail(t, is_invite(t) ? POLICY_REASON_INVITE_TIMEOUT : POLICY_REASON_HOP_TIMEOUT);
	} else {
		stats_count(TIMEOUTS, STATS_TIMEOUT_REQUEST, 0);
		tx_fail(t, t->cancelled ? POLICY_REASON_CANCELLED : POLICY_REASON_HOP_TIMEOUT);
	}
}

/* ---- requests in ---- */

/* Did this very message come through here before (RFC 3261 16.3, RFC 5393)? */
static bool
is_loop(const struct sip_message *m, uint32_t hash)
{
	unsigned n = 0;

	for (int i = sip_message_next(m, SIP_H_VIA, -1); i >= 0; i = sip_message_next(m, SIP_H_VIA, i)) {
		struct span rest = sip_header_value(m, i), one, branch;
		struct sip_branch b;

		for (; sip_list_next(&rest, &one); n++) {
			const struct sip_via *via = sip_message_via(m, n, one);

			if (via != NULL)
				branch = via->branch;
			else
				sip_param(span_tail(one, span_find(one, ';') + 1), "branch", &branch);
			if (sip_branch_parse(branch, &b) && b.loop == hash)
				return true;
		}
	}
	return false;
}

static void
cancel_in(struct sip_relay *r, struct sip_link *l, struct sip_message *m, struct sip_tx *t)
{
	struct sip_note note = { .from = l->id, .method = POLICY_METHOD_CANCEL, .cseq = m->cseq };

	if (t == NULL && relay_cancel_held(r, sip_tx_key(l->id, m))) {
		tx_answer(r, l, m, 200, NULL, SPAN_NONE, POLICY_REASON_ALLOWED, &note, 0);
		return;
	}
	if (t == NULL || !is_invite(t)) {
		sip_relay_refuse(r, l, m, POLICY_REASON_NO_TRANSACTION, NULL, SPAN_NONE, NULL);
		return;
	}
	if (r->ops->believed != NULL && !r->ops->believed(r, &t->note, l, m)) {
		relay_dropped(r);
		return;
	}
	memcpy(note.word, t->note.word, sizeof(note.word));
	tx_answer(r, l, m, 200, NULL, SPAN_NONE, POLICY_REASON_ALLOWED, &note, 0);
	if (t->answered || t->cancelled)
		return;
	t->cancelled = true;
	if (t->state == TX_WAITING)
		tx_fail(t, POLICY_REASON_CANCELLED);
	else if (t->state == TX_PROCEEDING)
		send_cancel(t);
	/* SENT: not before a provisional response (RFC 3261 9.1) */
}

/* An INVITE that we refuse ourselves: its ACK ends here, so that must be remembered. */
void
tx_await_ack(struct sip_relay *r, struct sip_link *l, struct sip_message *m)
{
	struct sip_tx *t;

	if (slots_count(r->txs) >= r->limits.transactions / 2 || (t = tx_new(r, sip_tx_key(l->id, m))) == NULL)
		return;
	t->note.from = l->id;
	t->note.method = POLICY_METHOD_INVITE;
	t->note.cseq = m->cseq;
	tx_linger(t, TX_COMPLETED);
}

void
tx_request(struct sip_relay *r, struct sip_link *l, struct sip_message *m)
{
	struct sip_tx *t = r->nbuckets != 0 ? find_by_key(r, sip_tx_key(l->id, m), l->id) : NULL;

	if (m->method_id == POLICY_METHOD_CANCEL) {
		cancel_in(r, l, m, t);
		return;
	}
	if (m->method_id == POLICY_METHOD_ACK) {
		if (t != NULL && t->state == TX_COMPLETED) {
			tx_free(t);	/* this hop's ACK ends here */
			return;
		}
	} else if (t != NULL) {
		if (!t->answered) {
			sip_relay_drop(r, l, m, POLICY_REASON_MERGED);
			return;
		}
		tx_free(t);	/* an old client tries again with the same Via, as after a 401 */
	}
	if (m->method_id == POLICY_METHOD_NEGOTIATE) {
		sip_relay_refuse(r, l, m, POLICY_REASON_NEGOTIATE_REFUSED, NULL,
		    SPAN_LIT("Allow: INVITE, ACK, CANCEL, BYE, REGISTER, OPTIONS, MESSAGE, SUBSCRIBE, NOTIFY, "
		    "BENOTIFY, SERVICE, INFO, REFER, UPDATE, PRACK, PUBLISH\r\n"), NULL);
		return;
	}
	if (m->max_forwards == 0) {
		sip_relay_refuse(r, l, m, POLICY_REASON_TOO_MANY_HOPS, NULL, SPAN_NONE, NULL);
		return;
	}
	if (is_loop(m, sip_tx_loop_hash(l->face->side, m))) {
		sip_relay_refuse(r, l, m, POLICY_REASON_LOOP, NULL, SPAN_NONE, NULL);
		return;
	}
	if (r->draining && span_is_empty(m->to.tag)) {
		sip_relay_refuse(r, l, m, POLICY_REASON_DRAINING, NULL, SPAN_NONE, NULL);
		return;
	}
	r->ops->request(r, l, m);
}

/* Our Via and Max-Forwards into the edits, the whole into a copy. False when an edit failed. */
static bool
make_copy(struct sip_tx *t, struct sip_face *face, struct sip_message *m)
{
	char branch[SIP_BRANCH_TEXT], *at;
	struct sip_branch b = { t->relay->worker->id, t->oneway ? 0 : t->id, 0, t->loop };
	size_t room;

	sip_branch_format(&b, branch);
	sip_forward_max_forwards(m);
	sip_forward_via(m, face, branch);
	room = sip_message_room(m);
	copy_take(t, room);
	t->headers = (uint16_t)sip_message_headers(m);
	if ((t->copy_n = (uint32_t)sip_message_render(m, t->copy)) == 0 ||
	    (at = sip_branch_find(t->copy, t->copy_n, branch)) == NULL)
		return false;
	t->branch_at = (uint32_t)(at - t->copy);
	return true;
}

/* How many may be in flight for this one to be taken: the last places are for what goes on already. */
static uint32_t
room_for(const struct sip_relay *r, const struct sip_message *m)
{
	uint32_t all = r->limits.transactions;

	return span_is_empty(m->to.tag) ? all - all / 16 : all;
}

void
tx_forward(struct sip_relay *r, struct sip_link *from, struct sip_message *m, const struct sip_plan *plan)
{
	struct sip_tx *t = NULL;
	bool oneway = m->method_id == POLICY_METHOD_ACK || m->method_id == POLICY_METHOD_BENOTIFY;
	struct sip_link *direct;

	if (from->limits->requests != 0 && from->in_flight >= from->limits->requests && !oneway) {
		sip_relay_refuse(r, from, m, POLICY_REASON_IN_FLIGHT_LIMIT, NULL, SPAN_NONE, &plan->note);
		return;
	}
	if (slots_count(r->txs) < room_for(r, m))
		t = tx_new(r, sip_tx_key(from->id, m));
	if (t == NULL) {
		sip_relay_refuse(r, from, m, POLICY_REASON_OVERLOAD, NULL, SPAN_NONE, &plan->note);
		return;
	}
	from->in_flight++;
	t->counted = true;
	t->oneway = oneway;
	t->note = plan->note;
	t->note.from = from->id;
	t->note.to = 0;
	t->note.made = false;
	t->note.cseq = m->cseq;
	t->note.method = m->method_id;
	t->loop = sip_tx_loop_hash(from->face->side, m);
	t->in_dialog = !span_is_empty(m->to.tag);
	t->echo = sip_tx_echo(m, 0, t->in_dialog);
	t->nhops = (uint8_t)plan->nhops;
	memcpy(t->hop, plan->hop, plan->nhops * sizeof(t->hop[0]));
	for (unsigned i = 0; i < t->nhops; i++)
		t->hop[i]->nwanted++;
	t->gone = plan->gone;
	t->failure = plan->gone != POLICY_REASON_UNDECIDED ? plan->gone : POLICY_REASON_HOP_UNREACHABLE;
	if (!make_copy(t, plan->face, m)) {
		tx_free(t);
		sip_edit_clear(m);
		sip_relay_refuse(r, from, m, POLICY_REASON_TOO_LARGE, NULL, SPAN_NONE, &plan->note);
		return;
	}
	if (m->method_id == POLICY_METHOD_INVITE)
		tx_answer(r, from, m, 100, "Trying", SPAN_NONE, POLICY_REASON_ALLOWED, &t->note, 0);
	/* connecting may take several addresses and targets; the sender is not kept longer than this */
	net_timer_set(r->worker->loop, &t->timer, r->limits.request_ms);
	if (plan->link != 0) {
		if (sip_link_worker_of(plan->link) != r->worker->id) {
			/* a token may be older than this process, which may have fewer workers */
			if (sip_relay_link_lives(r, plan->link)) {
				tx_mail(t, plan->link);
				return;
			}
		} else if ((direct = sip_relay_link(r, plan->link)) != NULL && link_takes(direct)) {
			tx_send(t, direct);
			return;
		}
	}
	tx_try(t);
}

/* ---- responses in ---- */

/* What came for an answer cannot be sent on: its sender, who waits for one, is told that. */
static void
answer_from_copy(struct sip_tx *t, struct sip_link *to, enum policy_reason why)
{
	struct sip_message *sent = relay_message_take(t->relay);

	if (copy_read(t, sent))
		tx_answer(t->relay, to, sent, (unsigned)policy_reason_status(why), NULL, SPAN_NONE, why, &t->note, 1);
	else
		relay_dropped(t->relay);
	relay_message_give(t->relay, sent);
}

/* A response that goes back to the sender, with our Via taken off. The status that came, or that of what went in its place. */
static unsigned
pass_back(struct sip_tx *t, struct sip_link *via, struct sip_message *m)
{
	struct sip_relay *r = t->relay;
	struct sip_link *to = sip_relay_link(r, t->note.from);

	if (to == NULL || to->closing) {
		relay_dropped(r);
		return m->status;
	}
	if (m->status == 503) {
		/*
		 * The sender would take it for our own state (RFC 3261 16.7, step 6). A
		 * 500 is as good, but for who registers: clients of the Communicator
		 * family do so again by themselves after a 504, and after a 500 never.
		 */
		sip_edit_replace(m, m->start_line, t->note.method == POLICY_METHOD_REGISTER ?
		    SPAN_LIT("SIP/2.0 504 Server Time-out") : SPAN_LIT("SIP/2.0 500 Server Internal Error"));
	}
	sip_edit_drop_first(m, SIP_H_VIA);
	r->ops->response(r, &t->note, via, to, m, POLICY_REASON_ALLOWED);
	if (link_render(to, m)) {
		stats_count(RESPONSES, STATS_PASSED, STATS_STATUS(m->status));
		return m->status;
	}
	relay_refused(r, via, m, POLICY_REASON_TOO_LARGE, NULL);
	if (m->status < 200 || t->answered) {
		relay_dropped(r);
		return m->status;
	}
	answer_from_copy(t, to, POLICY_REASON_TOO_LARGE);
	return (unsigned)policy_reason_status(POLICY_REASON_TOO_LARGE);
}

static void
stray(struct sip_relay *r, struct sip_link *l, struct sip_message *m, const char *detail)
{
	relay_dropped(r);
	relay_refused(r, l, m, POLICY_REASON_STRAY_RESPONSE, detail);
}

/* One more answer that ends nothing; false when there have been too many. */
static bool
may_pass(struct sip_tx *t, struct sip_link *via, struct sip_message *m)
{
	if (t->passed < SIP_ANSWERS_MAX) {
		t->passed++;
		return true;
	}
	if (t->passed == SIP_ANSWERS_MAX) {	/* said once, lest the log be flooded as well */
		t->passed++;
		stats_limit_hit(ANSWERS);
		stray(t->relay, via, m, "too many answers to one request");
	} else
		relay_dropped(t->relay);
	return false;
}

static void
provisional_in(struct sip_tx *t, struct sip_link *via, struct sip_message *m)
{
	bool first = t->state == TX_SENT;

	if (t->answered)
		return;
	if (m->status > 100 && !may_pass(t, via, m))
		return;
	t->state = TX_PROCEEDING;
	t->next = t->nhops;
	if (t->cancelled)
		send_cancel(t);
	else if (is_invite(t) && m->status > 100)
		arm_for_response(t);	/* timer C starts again (RFC 3261 16.7, step 2) */
	else if (is_invite(t))
		net_timer_set(t->relay->worker->loop, &t->timer, t->relay->limits.invite_ms);
	else if (first)
		arm_for_response(t);	/* it may have been set for the failing over that is off now */
	if (m->status > 100)
		pass_back(t, via, m);	/* 100 is each hop's own */
}

static void
final_in(struct sip_tx *t, struct sip_link *via, struct sip_message *m)
{
	unsigned status;

	if (is_invite(t) && m->status >= 300)
		send_ack(t, m);
	if (t->answered) {
		if (is_invite(t) && m->status < 300 && may_pass(t, via, m))
			pass_back(t, via, m);	/* a late or a further 2xx always goes back (RFC 3261 16.7) */
		return;
	}
	if (m->status == 503 && t->state == TX_SENT && t->next < t->nhops && !t->cancelled) {
		tx_target_failed(t, POLICY_REASON_HOP_BUSY);
		return;
	}
	status = pass_back(t, via, m);
	count_end(t, status == m->status ? STATS_END_ANSWERED : STATS_END_REFUSED);
	if (t->relay->pen != NULL)
		relay_write_end(t->relay, sip_relay_link(t->relay, t->note.from), m, t->note.method, status,
		    status == m->status ? POLICY_REASON_ALLOWED : POLICY_REASON_TOO_LARGE,
		    net_loop_now(t->relay->worker->loop) - t->begun_at);
	if (is_invite(t) && status < 300)
		tx_linger(t, TX_ACCEPTED);
	else if (is_invite(t) && !is_crowded(t->relay))
		tx_linger(t, TX_COMPLETED);
	else
		tx_free(t);
}

void
tx_response(struct sip_relay *r, struct sip_link *l, uint64_t source, struct sip_message *m)
{
	struct sip_branch b;
	struct sip_tx *t;

	if (!sip_branch_parse(m->via.branch, &b)) {
		stray(r, l, m, "the top Via is not ours");
		return;
	}
	if (b.worker != r->worker->id) {
		if (r->set != NULL && l != NULL) {
			if (m->status >= 200)
				link_answered(l, ID_WORKER(b.worker) | b.tx);
			mail_response(r, b.worker, source, m);
		} else {
			stray(r, l, m, "no such worker");
		}
		return;
	}
	if ((t = tx_find(r, b.tx)) == NULL || t->oneway) {
		stray(r, l, m, "no such request");
		return;
	}
	if (t->note.to != source || b.attempt != t->attempt) {
		stray(r, l, m, "from the wrong peer");
		return;
	}
	if (m->cseq != t->note.cseq || m->method_id != t->note.method) {
		if (m->method_id != POLICY_METHOD_CANCEL || m->cseq != t->note.cseq)
			stray(r, l, m, "CSeq of another request");
		return;		/* the answer to a CANCEL of ours ends here */
	}
	/* whoever gets it after us goes by its Vias and tags: they must be those that we sent */
	if (sip_tx_echo(m, 1, t->in_dialog) != t->echo) {
		stray(r, l, m, "not what was asked");
		return;
	}
	if (r->ops->believed != NULL && !r->ops->believed(r, &t->note, l, m))
		relay_dropped(r);
	else if (m->status < 200)
		provisional_in(t, l, m);
	else
		final_in(t, l, m);
}
