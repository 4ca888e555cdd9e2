/*
 * sip/state.c - see state.h.
 */
#include "sip/state.h"

#include "common/clock.h"
#include "sip/engine.h"

#define UNANSWERED_MAX	1000

static uint64_t
ms_since(uint64_t now, uint64_t then)
{
	return now > then ? now - then : 0;
}

void
sip_link_state_of(struct sip_link *l, struct sip_link_state *out)
{
	uint64_t now = net_loop_now(l->relay->worker->loop);

	*out = (struct sip_link_state){
		.id = l->id, .face = l->face, .peer = l->open ? net_stream_peer(l->stream) : NULL, .remote = net_stream_remote(l->stream),
		.called = sip_link_called(l), .inbound = l->inbound, .open = l->open, .closing = l->closing,
		.signed_in = l->signed_in, .congested = net_stream_congested(l->stream),
		.since = clock_wall() - (time_t)(l->opened_at != 0 ? ms_since(now, l->opened_at) / 1000 : 0),
		.silent_ms = l->heard_at != 0 ? ms_since(now, l->heard_at) : 0, .queued = net_stream_queued(l->stream)
	};
	for (const struct sip_tx *t = l->sent; t != NULL && out->unanswered < UNANSWERED_MAX; t = t->link_next)
		out->unanswered++;
}

static const char *
state_word(const struct sip_hop *h)
{
	switch (h->state) {
	case HOP_RESOLVING:
		return "resolving";
	case HOP_CONNECTING:
		return "connecting";
	case HOP_DOWN:
		return "down";
	default:
		return "idle";
	}
}

void
sip_hop_state_of(struct sip_hop *h, struct sip_hop_state *out)
{
	const struct sip_link *l = hop_link(h);
	uint64_t now = net_loop_now(h->relay->worker->loop);

	*out = (struct sip_hop_state){
		.name = h->name, .address = h->address, .port = h->port, .face = h->face,
		.state = l != NULL ? "up" : state_word(h), .up = l != NULL, .by_inbound = l != NULL && l->inbound,
		.link = l != NULL ? l->id : 0, .kept = h->keep, .waiting = h->nwaiting,
		.retry_ms = l == NULL && h->state == HOP_DOWN ? ms_since(h->down_until, now) : 0,
		.up_at = h->up_wall, .failed_at = h->failed_wall, .failure = h->last_failure,
		.detail = h->last_detail
	};
}

void
sip_relay_each_hop(struct sip_relay *r, void (*fn)(struct sip_hop *, void *), void *arg)
{
	for (unsigned i = 0; i < HOP_BUCKETS; i++)
		for (struct sip_hop *h = r->hops[i], *next; h != NULL; h = next) {
			next = h->chain;
			fn(h, arg);
		}
}
