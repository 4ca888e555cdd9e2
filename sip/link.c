/*
 * sip/link.c - see link.h.
 *
 * Bytes are framed where the stream put them; only the unfinished rest of a
 * message is kept, in a buffer of the link's own that goes when it is whole.
 */
#include "sip/link.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "sip/engine.h"

#define FEEDERS_MAX	1024
#define PONG_MS		4000	/* for a next hop that answers pings to show that it lives */
#define SILENT_MAX	3	/* unanswered requests, and not a byte between, after which any next hop is taken for dead */

uint64_t
sip_link_id(const struct sip_link *l)
{
	return l->id;
}

unsigned
sip_link_worker_of(uint64_t id)
{
	return (unsigned)(id >> 56);
}

struct sip_face *
sip_link_face(const struct sip_link *l)
{
	return l->face;
}

bool
sip_link_is_inbound(const struct sip_link *l)
{
	return l->inbound;
}

const char *
sip_link_called(const struct sip_link *l)
{
	return l->hop != NULL ? l->hop->name : NULL;
}

enum policy_reason
sip_link_judge_again(const struct sip_link *l, const char **fault)
{
	const struct net_tls_ctx *ctx = l->inbound ? l->face->server : l->face->client;

	*fault = NULL;
	return ctx != NULL ? net_stream_judge_again(l->stream, ctx, fault) : POLICY_REASON_ALLOWED;
}

const struct net_peer *
sip_link_peer(const struct sip_link *l)
{
	return net_stream_peer(l->stream);
}

const struct net_addr *
sip_link_remote(const struct sip_link *l)
{
	return net_stream_remote(l->stream);
}

const struct net_addr *
sip_link_local(const struct sip_link *l)
{
	return net_stream_local(l->stream);
}

uint64_t *
sip_link_words(struct sip_link *l)
{
	return l->words;
}

void
sip_link_set_class(struct sip_link *l, unsigned class)
{
	if (l->class == class)
		return;
	if (l->open) {
		stats_move(CONNECTIONS, l->face->side, l->class, -1);
		stats_move(CONNECTIONS, l->face->side, class, 1);
	}
	l->class = class;
}

unsigned
sip_link_class(const struct sip_link *l)
{
	return l->class;
}

/* ---- deadlines: one timer a link, set for whichever comes first ---- */

static uint64_t
earlier(uint64_t a, uint64_t b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

static uint64_t
after(uint64_t since, unsigned ms)
{
	return ms != 0 ? since + ms : 0;
}

/*
 * Outbound: when it has been of no use for too long, to us; what the far end sends to
 * keep it does not. While a request waits for its answer it is of use. 0: never.
 */
static uint64_t
useless_at(const struct sip_link *l)
{
	uint64_t since;

	if (l->hop == NULL || l->hop->idle_ms == 0)
		return 0;
	since = l->hop->used_at > l->opened_at ? l->hop->used_at : l->opened_at;
	if (l->sent != NULL || l->awaited_n != 0)
		since = net_loop_now(l->relay->worker->loop);
	return since + l->hop->idle_ms;
}

/* Which deadlines are on, and when the first of them ends; 0: none. */
static uint64_t
next_deadline(const struct sip_link *l)
{
	const struct sip_link_limits *lim = l->limits;
	uint64_t at = 0;

	if (l->inbound && !l->heard)
		at = earlier(at, after(l->opened_at, lim->first_message_ms));
	if (l->inbound && !l->signed_in)
		at = earlier(at, after(l->opened_at, lim->signin_ms));
	if (l->begun_at != 0)
		at = earlier(at, after(l->begun_at, lim->message_ms));
	if (l->inbound)
		at = earlier(at, after(l->heard_at, lim->idle_ms));
	at = earlier(at, useless_at(l));
	if (l->pongs && l->pinged_at != 0)
		at = earlier(at, l->pinged_at + PONG_MS);
	return at;
}

static void
arm(struct sip_link *l)
{
	struct net_loop *loop = l->relay->worker->loop;
	uint64_t at = next_deadline(l), now = net_loop_now(loop);

	if (at == 0)
		net_timer_cancel(loop, &l->timer);
	else
		net_timer_set(loop, &l->timer, at > now ? at - now : 1);
}

static void
over_time(struct sip_link *l, enum policy_reason why, enum stats_limit limit)
{
	stats_count(LIMIT_HITS, limit, 0);
	sip_link_close(l, why, NULL);
}

static void
deadline(struct net_timer *t)
{
	struct sip_link *l = (struct sip_link *)((char *)t - offsetof(struct sip_link, timer));
	const struct sip_link_limits *lim = l->limits;
	uint64_t now = net_loop_now(l->relay->worker->loop);

	if (l->begun_at != 0 && lim->message_ms != 0 && now >= l->begun_at + lim->message_ms)
		over_time(l, POLICY_REASON_MESSAGE_TIMEOUT, STATS_LIMIT_MESSAGE_TIME);
	else if (l->inbound && !l->heard && lim->first_message_ms != 0 && now >= l->opened_at + lim->first_message_ms)
		over_time(l, POLICY_REASON_FIRST_MESSAGE_TIMEOUT, STATS_LIMIT_FIRST_MESSAGE_TIME);
	else if (l->inbound && !l->signed_in && lim->signin_ms != 0 && now >= l->opened_at + lim->signin_ms)
		over_time(l, POLICY_REASON_UNAUTHENTICATED_TIMEOUT, STATS_LIMIT_SIGN_IN_TIME);
	else if (l->inbound && lim->idle_ms != 0 && now >= l->heard_at + lim->idle_ms)
		over_time(l, POLICY_REASON_IDLE_TIMEOUT, STATS_LIMIT_IDLE_TIME);
	else if (useless_at(l) != 0 && now >= useless_at(l))
		over_time(l, POLICY_REASON_IDLE_TIMEOUT, STATS_LIMIT_IDLE_TIME);
	else if (l->pongs && l->pinged_at != 0 && now >= l->pinged_at + PONG_MS)
		sip_link_close(l, POLICY_REASON_HOP_TIMEOUT, "the next hop does not answer a ping");
	else
		arm(l);
}

/*
 * A request may stay unanswered for want of somebody further on; that is no
 * reason to give up the connection, on which others wait. A ping tells, if this
 * next hop is known to answer pings (RFC 5626 3.5.1); if not, a few such requests in a row do.
 */
void
link_suspect(struct sip_link *l, uint64_t since)
{
	if (l->hop == NULL || l->closing || l->heard_at > since)
		return;
	if (++l->silent >= SILENT_MAX) {
		sip_link_close(l, POLICY_REASON_HOP_TIMEOUT, "the next hop is silent");
	} else if (l->pinged_at == 0) {
		l->pinged_at = net_loop_now(l->relay->worker->loop);
		link_write(l, "\r\n\r\n", 4);
		arm(l);
	}
}

void
sip_link_signed_in(struct sip_link *l)
{
	l->signed_in = true;	/* the timer finds out by itself */
}

void
sip_link_take_limits(struct sip_link *l, const struct sip_link_limits *limits)
{
	l->limits = limits;	/* a timer that is set fires too early at worst, and finds out */
	net_stream_take_limits(l->stream, &limits->stream);
}

void
sip_link_close(struct sip_link *l, enum policy_reason why, const char *detail)
{
	if (l->closing)
		return;
	l->closing = true;
	if (l->hop != NULL)
		hop_link_closing(l->hop, l, why);
	net_timer_cancel(l->relay->worker->loop, &l->timer);
	net_stream_close(l->stream, why, detail);
}

/* ---- bytes in ---- */

/* Frame what lies at p; returns how much was used up. */
static size_t
consume(struct sip_link *l, const char *p, size_t n)
{
	const uint32_t most = l->limits->request.message;
	size_t done = 0, used = 0;

	while (done < n && !l->closing) {
		struct sip_message *m = relay_message_take(l->relay);
		bool headless = l->framer.head_n == 0;
		enum sip_frame what = sip_framer_next(&l->framer, &l->limits->frame, p + done, n - done, &used, m);

		if (what == SIP_FRAME_MESSAGE) {
			l->heard = true;
			l->begun_at = 0;
			tap_message(l, true, p + done, used);
			done += used;
			relay_message_in(l->relay, l, m);
		} else if (what == SIP_FRAME_PING) {
			/* RFC 5626 4.4.1: a double CRLF is answered with one, however it was cut. */
			if (l->pinged_at != 0)
				l->pongs = true;
			if (l->framer.ping)
				link_write(l, "\r\n", 2);
			done += used;
		} else if (what == SIP_FRAME_BAD) {
			relay_bad_frame(l->relay, l, m, l->framer.error);
			done = n;
		} else if (headless && l->framer.head_n != 0 && m->is_request && most != 0 && l->framer.total > most) {
			/* its head has just come; nobody needs to wait for the body */
			relay_too_long(l->relay, l, m);
			l->skip = (uint32_t)(l->framer.total - (n - done));
			sip_framer_init(&l->framer);
			done = n;
		}
		relay_message_give(l->relay, m);
		if (what == SIP_FRAME_MORE)
			break;
	}
	return l->closing ? n : done;
}

static void
keep_partial(struct sip_link *l, const char *p, size_t n)
{
	if (l->partial_n + n > l->partial_max) {
		l->partial_max = (uint32_t)(l->partial_n + n + 2048);
		l->partial = xrealloc(l->partial, l->partial_max);
	}
	memcpy(l->partial + l->partial_n, p, n);
	l->partial_n += (uint32_t)n;
}

static void
drop_partial(struct sip_link *l)
{
	free(l->partial);
	l->partial = NULL;
	l->partial_n = l->partial_max = 0;
}

static void
received(struct net_stream *s, const char *p, size_t n)
{
	struct sip_link *l = net_stream_owner(s);
	size_t used;

	l->heard_at = net_loop_now(l->relay->worker->loop);
	used = n < l->skip ? n : l->skip;
	l->skip -= (uint32_t)used;
	p += used;
	n -= used;
	if (n == 0) {
		/* all of it was passed over */
	} else if (l->partial_n == 0) {
		used = consume(l, p, n);
		if (used < n)
			keep_partial(l, p + used, n - used);
	} else {
		keep_partial(l, p, n);
		used = consume(l, l->partial, l->partial_n);
		if (used >= l->partial_n) {
			drop_partial(l);
		} else if (used > 0) {
			memmove(l->partial, l->partial + used, l->partial_n - used);
			l->partial_n -= (uint32_t)used;
		}
	}
	l->silent = 0;
	l->pinged_at = 0;
	if (l->closing)
		return;
	if (l->partial_n > 0 && l->begun_at == 0) {
		l->begun_at = l->heard_at;
		arm(l);
	} else if (l->partial_n == 0) {
		l->begun_at = 0;
	}
}

/* ---- bytes out ---- */

bool
link_takes(const struct sip_link *l)
{
	return l->open && !l->closing && net_stream_is_open(l->stream);
}

void
link_write(struct sip_link *l, const char *p, size_t n)
{
	if (n > 4)	/* no ping */
		tap_message(l, false, p, n);
	net_stream_write(l->stream, p, n);
}

bool
link_fits(struct sip_link *l, const char *p, size_t n, unsigned headers)
{
	struct sip_message *scratch;
	bool fits;

	if (!net_stream_peer(l->stream)->has_certificate)
		return true;
	scratch = relay_message_take(l->relay);
	fits = sip_frame_fits(&l->limits->frame, p, n, headers, scratch) == SIP_CHECK_OK;
	relay_message_give(l->relay, scratch);
	return fits;
}

bool
link_render(struct sip_link *l, struct sip_message *m)
{
	char *out = net_stream_reserve(l->stream, sip_message_room(m));
	size_t n = sip_message_render(m, out);

	if (n != 0 && !link_fits(l, out, n, sip_message_headers(m)))
		n = 0;
	if (n != 0)
		tap_message(l, false, out, n);
	net_stream_commit(l->stream, n);
	if (n != 0)
		stats_count(MESSAGES_OUT, l->class, m->is_request ? STATS_REQUEST : STATS_RESPONSE);
	return n != 0;
}

/* ---- other workers' requests ---- */

void
link_await(struct sip_link *l, uint64_t worker_and_tx)
{
	if (l->awaited_n == l->awaited_max) {
		if (l->awaited_max == LINK_AWAITED_MAX) {	/* the oldest has to wait for its time-out then */
			memmove(l->awaited, l->awaited + 1, (LINK_AWAITED_MAX - 1) * sizeof(*l->awaited));
			l->awaited_n--;
		} else {
			l->awaited_max = l->awaited_max == 0 ? 8 : l->awaited_max * 2;
			l->awaited = xreallocarray(l->awaited, l->awaited_max, sizeof(*l->awaited));
		}
	}
	l->awaited[l->awaited_n++] = worker_and_tx;
}

void
link_answered(struct sip_link *l, uint64_t worker_and_tx)
{
	for (unsigned i = 0; i < l->awaited_n; i++)
		if (l->awaited[i] == worker_and_tx) {
			l->awaited[i] = l->awaited[--l->awaited_n];
			return;
		}
}

/* ---- back-pressure: who feeds a link that does not drain is not read from ---- */

/*
 * Only a server of ours that is slow holds anybody back, and only those who are outside or
 * speak for themselves alone: else one user, or one partner, who does not read would
 * stop what a whole Director or pool has to say to the others. What is left has its queue's limit.
 */
static bool
holds_back(const struct sip_link *l, const struct sip_link *feeder)
{
	return l->face->side == POLICY_SIDE_INNER && net_stream_peer(l->stream)->has_certificate &&
	    (feeder->face->side == POLICY_SIDE_OUTER || !net_stream_peer(feeder->stream)->has_certificate);
}

void
link_hold_back(struct sip_link *l, struct sip_link *feeder)
{
	if (feeder == NULL || feeder == l || feeder->hop != NULL || l->nfeeders == FEEDERS_MAX || !holds_back(l, feeder))
		return;
	for (unsigned i = 0; i < l->nfeeders; i++)
		if (l->feeders[i] == feeder->id)
			return;
	if (l->feeders == NULL)
		l->feeders = xreallocarray(NULL, FEEDERS_MAX, sizeof(*l->feeders));
	l->feeders[l->nfeeders++] = feeder->id;
	if (feeder->held_back++ == 0)
		net_stream_pause(feeder->stream, true);
	stats_count(HELD_BACK, 0, 0);
}

static void
let_feeders_go(struct sip_link *l)
{
	for (unsigned i = 0; i < l->nfeeders; i++) {
		struct sip_link *f = sip_relay_link(l->relay, l->feeders[i]);

		if (f != NULL && --f->held_back == 0)
			net_stream_pause(f->stream, false);
	}
	free(l->feeders);
	l->feeders = NULL;
	l->nfeeders = 0;
}

static void
drained(struct net_stream *s)
{
	let_feeders_go(net_stream_owner(s));
}

/* ---- life ---- */

static void
opened(struct net_stream *s)
{
	struct sip_link *l = net_stream_owner(s);
	enum policy_reason why = POLICY_REASON_UNDECIDED;

	l->open = true;
	stats_move(CONNECTIONS, l->face->side, l->class, 1);
	l->opened_at = l->heard_at = net_loop_now(l->relay->worker->loop);
	if (!l->relay->ops->opened(l->relay, l, &why)) {
		sip_link_close(l, why, policy_reason_is_certificate(why) ? net_stream_peer(s)->fault : NULL);
		return;
	}
	arm(l);
	if (l->hop != NULL)
		hop_link_opened(l->hop, l);
	else if (net_stream_peer(s)->has_certificate)
		hop_offer_alias(l->relay, l);
}

static void
free_link(struct sip_link *l)
{
	net_timer_cancel(l->relay->worker->loop, &l->timer);
	drop_partial(l);
	free(l->feeders);
	free(l->awaited);
	free(l);
}

static void
closed(struct net_stream *s, enum policy_reason why, const char *detail)
{
	struct sip_link *l = net_stream_owner(s);
	struct sip_relay *r = l->relay;

	count(&r->counters.links_closed);
	l->closing = true;
	if (l->open)
		stats_move(CONNECTIONS, l->face->side, l->class, -1);
	l->open = false;
	stats_count(CLOSED, l->face->side, why);
	stats_move(WORKER_CONNECTIONS, 0, 0, -1);
	let_feeders_go(l);
	/* from here on nobody finds it any more */
	slots_remove(r->links, ID_LOCAL(l->id));
	if (!r->freeing) {
		if (l->hop != NULL)
			hop_link_closed(l->hop, l, why, detail);
		while (l->sent != NULL)
			tx_target_failed(l->sent, l->hop == NULL && l->sent->gone != POLICY_REASON_UNDECIDED ?
			    l->sent->gone : POLICY_REASON_HOP_LOST);
		for (unsigned i = 0; i < l->awaited_n; i++)
			mail_failed(r, l->awaited[i], l->id, POLICY_REASON_HOP_LOST);
		r->ops->closed(r, l, why, detail);
	}
	free_link(l);
}

static const struct net_stream_ops stream_ops = {
	.opened = opened, .received = received, .drained = drained, .closed = closed
};

static struct sip_link *
new_link(struct sip_relay *r, struct sip_face *face)
{
	struct sip_link *l = xcalloc(1, sizeof(*l));
	uint64_t id = slots_add(r->links, l);

	if (id == 0) {
		free(l);
		return NULL;
	}
	l->relay = r;
	l->face = face;
	l->limits = &face->limits;
	l->id = ID_WORKER(r->worker->id) | id;
	l->timer.fire = deadline;
	sip_framer_init(&l->framer);
	stats_move(WORKER_CONNECTIONS, 0, 0, 1);
	return l;
}

struct sip_link *
link_accept(struct sip_relay *r, int fd, const struct net_addr *from, struct sip_face *face)
{
	struct sip_link *l = new_link(r, face);

	if (l == NULL)
		return NULL;
	l->inbound = true;
	l->stream = net_stream_accept(r->streams, fd, from, face->server, &face->limits.stream, &stream_ops, l);
	count(&r->counters.links_in);
	stats_count(ACCEPTED, face->side, STATS_IN);
	return l;
}

struct sip_link *
link_connect(struct sip_relay *r, struct sip_hop *hop, const struct net_addr *to)
{
	struct sip_link *l = new_link(r, hop->face);

	if (l == NULL)
		return NULL;
	l->hop = hop;
	hop->nlinks++;
	l->stream = net_stream_connect(r->streams, to, hop->name, hop->face->client, &hop->face->limits.stream,
	    &stream_ops, l);
	if (hop->accept_cn)
		net_stream_expect_cn(l->stream);
	count(&r->counters.links_out);
	stats_count(ACCEPTED, hop->face->side, STATS_OUT);
	return l;
}

static void
close_one(void *item, void *arg)
{
	struct sip_link *l = item;

	(void)arg;
	l->closing = true;
	l->hop = NULL;		/* freed by now; a deadline must not tell it */
	net_timer_cancel(l->relay->worker->loop, &l->timer);
	net_stream_close(l->stream, POLICY_REASON_DRAINING, "shutting down");
}

/* Closing is told later by the stream; the caller runs the loop until none is left. */
void
link_free_all(struct sip_relay *r)
{
	slots_each(r->links, close_one, NULL);
}
