/*
 * sip/hop.c - see hop.h.
 *
 *	IDLE -> RESOLVING -> CONNECTING -> UP -> IDLE (closed in order)
 *	            \            \-> next address, or DOWN
 *	             \-> DOWN (pause, then one probe: RESOLVING again)
 */
#include "sip/hop.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/hash.h"
#include "common/log.h"
#include "common/mem.h"
#include "sip/engine.h"

static void try_address(struct sip_hop *);

static unsigned
bucket_of(const char *name, uint16_t port, const struct sip_face *face)
{
	uint64_t h = hash_mix(hash_nocase(span_str(name)), port);

	return (unsigned)(hash_mix(h, (uint64_t)(uintptr_t)face) % HOP_BUCKETS);
}

/* Nobody has or may want it, nothing is connected: may be forgotten to make room. */
static bool
is_forgettable(const struct sip_hop *h)
{
	return !h->keep && h->nwanted == 0 && h->nlinks == 0 && h->query == NULL && h->waiting == NULL &&
	    (h->state == HOP_IDLE || h->state == HOP_DOWN);
}

static void
mend(struct sip_hop *h)
{
	if (h->is_broken)
		stats_move(BREAKERS, 0, 0, -1);
	h->is_broken = false;
}

static void
free_hop(struct sip_hop *h)
{
	mend(h);
	stats_move(HOPS, 0, 0, -1);
	if (h->query != NULL)
		net_dns_cancel(h->query);
	net_timer_cancel(h->relay->worker->loop, &h->timer);
	free(h->name);
	free(h->address);
	free(h);
}

static void
forget_one(struct sip_relay *r)
{
	struct sip_hop **oldest = NULL;
	uint64_t now = net_loop_now(r->worker->loop);

	for (unsigned i = 0; i < HOP_BUCKETS; i++)
		for (struct sip_hop **p = &r->hops[i]; *p != NULL; p = &(*p)->chain)
			/* what was asked for just now stands in a plan, perhaps */
			if (is_forgettable(*p) && (*p)->used_at < now &&
			    (oldest == NULL || (*p)->used_at < (*oldest)->used_at))
				oldest = p;
	if (oldest != NULL) {
		struct sip_hop *h = *oldest;

		*oldest = h->chain;
		free_hop(h);
		r->nhops--;
	}
}

static bool
proves(const struct sip_link *l, const char *name)
{
	return net_peer_proves(net_stream_peer(l->stream), span_str(name));
}

struct alias_search {
	struct sip_hop	*hop;
};

static void
consider_alias(struct sip_link *l, void *arg)
{
	struct alias_search *s = arg;

	if (l->inbound && l->open && !l->closing && l->face->side == s->hop->face->side &&
	    net_stream_peer(l->stream)->has_certificate && proves(l, s->hop->name))
		s->hop->alias = l->id;
}

static void
connect_timeout(struct net_timer *t)
{
	struct sip_hop *h = (struct sip_hop *)((char *)t - offsetof(struct sip_hop, timer));

	if (h->state == HOP_CONNECTING && h->link != NULL) {
		sip_link_close(h->link, POLICY_REASON_HOP_UNREACHABLE, "connecting took too long");
	} else if (h->state == HOP_RESOLVING) {
		net_dns_cancel(h->query);
		h->query = NULL;
		h->failure = POLICY_REASON_HOP_UNRESOLVED;
		h->naddrs = 0;
		try_address(h);
	}
}

struct sip_hop *
sip_hop_get(struct sip_relay *r, const struct sip_hop_spec *spec)
{
	unsigned b = bucket_of(spec->name, spec->port, spec->face);
	struct sip_hop *h;

	for (h = r->hops[b]; h != NULL; h = h->chain)
		if (h->port == spec->port && h->face == spec->face && h->guard == spec->guard &&
		    strcasecmp(h->name, spec->name) == 0 &&
		    strcmp(h->address != NULL ? h->address : "", spec->address != NULL ? spec->address : "") == 0)
			break;
	if (h == NULL) {
		if (r->nhops >= r->limits.hops) {
			stats_limit_hit(HOPS);
			forget_one(r);
		}
		stats_move(HOPS, 0, 0, 1);
		h = xcalloc(1, sizeof(*h));
		h->relay = r;
		h->name = xstrdup(spec->name);
		h->address = spec->address != NULL && *spec->address != '\0' ? xstrdup(spec->address) : NULL;
		h->port = spec->port;
		h->face = spec->face;
		h->reuse_inbound = spec->reuse_inbound;
		h->guard = spec->guard;
		h->waiting_tail = &h->waiting;
		h->timer.fire = connect_timeout;
		h->chain = r->hops[b];
		r->hops[b] = h;
		r->nhops++;
		if (h->reuse_inbound) {
			struct alias_search s = { h };

			sip_relay_each_link(r, consider_alias, &s);
		}
	}
	h->keep |= spec->keep;
	h->accept_cn = spec->accept_cn;
	if (h->reuse_inbound && !spec->reuse_inbound)
		h->alias = 0;
	h->reuse_inbound = spec->reuse_inbound;
	h->idle_ms = spec->idle_ms;
	h->used_at = net_loop_now(r->worker->loop);
	return h;
}

const char *
sip_hop_name(const struct sip_hop *h)
{
	return h->name;
}

struct sip_link *
hop_link(struct sip_hop *h)
{
	struct sip_link *l;

	if (h->state == HOP_UP && h->link != NULL && link_takes(h->link))
		return h->link;
	if (h->alias != 0) {
		if ((l = sip_relay_link(h->relay, h->alias)) != NULL && link_takes(l))
			return l;
		h->alias = 0;
	}
	return NULL;
}

bool
sip_hop_is_up(const struct sip_hop *h)
{
	return hop_link((struct sip_hop *)h) != NULL;
}

bool
sip_hop_usable(const struct sip_hop *h)
{
	return h->state != HOP_DOWN || sip_hop_is_up(h) || net_loop_now(h->relay->worker->loop) >= h->down_until;
}

/* ---- failing ---- */

static void
fail_waiting(struct sip_hop *h)
{
	/* a failed request may come back to this very hop's queue; only those that wait now are meant */
	struct sip_tx *list = h->waiting;

	h->waiting = NULL;
	h->waiting_tail = &h->waiting;
	h->nwaiting = 0;
	for (struct sip_tx *t = list; t != NULL; t = t->hop_next)
		t->queued_on = NULL;
	while (list != NULL) {
		struct sip_tx *t = list;

		list = t->hop_next;
		t->hop_next = NULL;
		t->hop_prev = NULL;
		tx_target_failed(t, h->failure);
	}
}

static void
go_down(struct sip_hop *h)
{
	const struct sip_relay_limits *lim = &h->relay->limits;
	struct logrec rec = log_begin(SP_LOG_WARNING, "hop-down");

	if (!h->is_broken)
		stats_move(BREAKERS, 0, 0, 1);
	h->is_broken = true;
	stats_count(BREAKS, h->failure, 0);
	h->state = HOP_DOWN;
	net_timer_cancel(h->relay->worker->loop, &h->timer);
	h->pause_ms = h->pause_ms == 0 ? lim->retry_min_ms : h->pause_ms * 2;
	if (h->pause_ms > lim->retry_max_ms)
		h->pause_ms = lim->retry_max_ms;
	h->failed_at = net_loop_now(h->relay->worker->loop);
	h->down_until = h->failed_at + h->pause_ms;
	h->failed_wall = clock_wall();
	h->last_failure = h->failure;
	log_outside(&rec, "hop", span_str(h->name));
	log_uint(&rec, "port", h->port);
	log_word(&rec, "reason", policy_reason_name(h->failure));
	log_uint(&rec, "waiting", h->nwaiting);
	log_end(&rec);
	fail_waiting(h);
}

/* ---- connecting ---- */

static void
try_address(struct sip_hop *h)
{
	while (h->next_addr < h->naddrs) {
		struct net_addr a = h->addrs[h->next_addr++];

		net_addr_set_port(&a, h->port);
		h->state = HOP_CONNECTING;
		net_timer_set(h->relay->worker->loop, &h->timer, h->relay->limits.connect_ms);
		if ((h->link = link_connect(h->relay, h, &a)) != NULL)
			return;
		h->failure = POLICY_REASON_OVERLOAD;
	}
	go_down(h);
}

/* May we go there? What strangers write into DNS must not lead us anywhere else. */
static bool
may_go(struct sip_hop *h, const struct net_addr *a)
{
	const char *why = h->guard != NULL ? net_guard_why(h->guard, a) : NULL;
	char text[NET_ADDR_TEXT];
	struct logrec rec;

	if (why == NULL)
		return true;
	rec = log_begin(SP_LOG_NOTICE, "address-forbidden");
	log_outside(&rec, "hop", span_str(h->name));
	log_word(&rec, "address", net_addr_host(a, text));
	log_text(&rec, "detail", why);
	log_end(&rec);
	h->failure = POLICY_REASON_HOP_FORBIDDEN;
	return false;
}

static void
resolved(void *arg, const struct net_dns_answer *a)
{
	struct sip_hop *h = arg;

	h->query = NULL;
	h->next_addr = h->naddrs = 0;
	h->failure = POLICY_REASON_HOP_UNRESOLVED;
	if (a->status == NET_DNS_FOUND)
		for (unsigned i = 0; i < a->naddrs && i < NET_DNS_ADDRS_MAX; i++)
			if (may_go(h, &a->addrs[i]))
				h->addrs[h->naddrs++] = a->addrs[i];
	try_address(h);
}

static void
begin(struct sip_hop *h)
{
	h->state = HOP_RESOLVING;
	h->last_detail = NULL;
	h->failure = POLICY_REASON_HOP_UNRESOLVED;
	h->next_addr = h->naddrs = 0;
	net_timer_set(h->relay->worker->loop, &h->timer, h->relay->limits.connect_ms);
	h->query = net_dns_addresses(h->relay->dns, h->address != NULL ? h->address : h->name, resolved, h);
}

void
sip_hop_warm(struct sip_hop *h)
{
	if (!sip_hop_is_up(h) && (h->state == HOP_IDLE || (h->state == HOP_DOWN && sip_hop_usable(h))))
		begin(h);
}

void
sip_hop_try(struct sip_hop *h)
{
	if (!sip_hop_is_up(h) && (h->state == HOP_IDLE || h->state == HOP_DOWN))
		begin(h);
}

int
hop_submit(struct sip_hop *h, struct sip_tx *t, bool even_if_down)
{
	uint64_t now = net_loop_now(h->relay->worker->loop);
	struct sip_link *l;

	h->used_at = now;
	/* its peer has ended, of which we are about to be told: the next one is called now */
	if (h->state == HOP_UP && h->link != NULL && !link_takes(h->link))
		hop_link_closing(h, h->link, POLICY_REASON_ALLOWED);
	l = hop_link(h);
	if (l != NULL) {
		tx_send(t, l);
		return SP_OK;
	}
	if (h->state == HOP_DOWN && now < h->down_until &&
	    !(even_if_down && now >= h->failed_at + h->relay->limits.retry_min_ms))
		return SP_ECLOSED;
	if (h->nwaiting >= h->relay->limits.hop_queue)
		return SP_ELIMIT;
	t->queued_on = h;
	t->hop_next = NULL;
	t->hop_prev = h->waiting_tail;
	*h->waiting_tail = t;
	h->waiting_tail = &t->hop_next;
	h->nwaiting++;
	if (h->state == HOP_IDLE || h->state == HOP_DOWN)
		begin(h);
	return SP_OK;
}

void
hop_unqueue(struct sip_tx *t)
{
	struct sip_hop *h = t->queued_on;

	if (h == NULL)
		return;
	*t->hop_prev = t->hop_next;
	if (t->hop_next != NULL)
		t->hop_next->hop_prev = t->hop_prev;
	else
		h->waiting_tail = t->hop_prev;
	h->nwaiting--;
	t->queued_on = NULL;
	t->hop_next = NULL;
	t->hop_prev = NULL;
}

static void
send_waiting(struct sip_hop *h, struct sip_link *l)
{
	while (h->waiting != NULL && !l->closing) {
		struct sip_tx *t = h->waiting;

		hop_unqueue(t);
		tx_send(t, l);
	}
}

void
hop_link_opened(struct sip_hop *h, struct sip_link *l)
{
	struct logrec rec = log_begin(SP_LOG_INFO, "hop-up");

	log_outside(&rec, "hop", span_str(h->name));
	log_uint(&rec, "port", h->port);
	log_hex(&rec, "conn", l->id);
	log_end(&rec);
	h->state = HOP_UP;
	mend(h);
	h->up_wall = clock_wall();
	h->pause_ms = 0;
	net_timer_cancel(h->relay->worker->loop, &h->timer);
	send_waiting(h, l);
}

/*
 * A stream takes its time to close. Were the hop told at the end of it only, what
 * is submitted meanwhile would wait on a connection that is never used again.
 */
void
hop_link_closing(struct sip_hop *h, struct sip_link *l, enum policy_reason why)
{
	if (h->link != l || h->state != HOP_UP)
		return;
	h->link = NULL;
	h->state = HOP_IDLE;
	if (why == POLICY_REASON_HOP_TIMEOUT) {
		h->failure = why;
		go_down(h);
	}
}

void
hop_link_closed(struct sip_hop *h, struct sip_link *l, enum policy_reason why, const char *detail)
{
	struct logrec rec;

	h->nlinks--;
	if (h->link != l)
		return;
	h->link = NULL;
	if (h->state == HOP_UP) {
		h->state = HOP_IDLE;
		return;
	}
	rec = log_begin(SP_LOG_NOTICE, "connect-failed");
	log_outside(&rec, "hop", span_str(h->name));
	log_uint(&rec, "port", h->port);
	log_word(&rec, "reason", policy_reason_name(why));
	if (detail != NULL)
		log_text(&rec, "detail", detail);
	log_end(&rec);
	h->last_detail = detail != NULL ? detail : policy_reason_text(why);
	/* whatever broke it off, to the requests that wait it is one of two things */
	h->failure = policy_reason_is_certificate(why) ? POLICY_REASON_HOP_CERTIFICATE :
	    POLICY_REASON_HOP_UNREACHABLE;
	try_address(h);
}

void
hop_offer_alias(struct sip_relay *r, struct sip_link *l)
{
	for (unsigned i = 0; i < HOP_BUCKETS; i++)
		for (struct sip_hop *h = r->hops[i]; h != NULL; h = h->chain)
			if (h->reuse_inbound && h->face->side == l->face->side && proves(l, h->name)) {
				h->alias = l->id;
				send_waiting(h, l);
			}
}

void
hop_free_all(struct sip_relay *r)
{
	for (unsigned i = 0; i < HOP_BUCKETS; i++)
		while (r->hops[i] != NULL) {
			struct sip_hop *h = r->hops[i];

			r->hops[i] = h->chain;
			free_hop(h);
		}
	r->nhops = 0;
}
