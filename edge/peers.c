/*
 * edge/peers.c - the certificates of the far ends: which are let in, at the
 * handshake and whenever something changes, and which the administrator gets to see.
 */
#include "common/err.h"
#include "edge/edge.h"
#include "edge/reach.h"
#include "net/stats.h"
#include "policy/decision.h"
#include "policy/domain.h"
#include "sip/facts.h"

void
edge_make_lists(struct edge_worker *w)
{
	net_tls_lists_unref(w->lists_outer);
	net_tls_lists_unref(w->lists_inner);
	w->lists_outer = edge_lists_new(w->rules, true);
	w->lists_inner = edge_lists_new(w->rules, false);	/* no key is pinned inside */
}

static enum policy_reason
judge(struct edge_worker *w, const struct sip_link *l)
{
	const char *called = sip_link_called(l);
	struct policy_facts f;

	sip_facts_of_link(&f, sip_link_face(l)->side, l);
	return policy_admit(w->rules, &f, called != NULL ? span_str(called) : SPAN_NONE);
}

/* The policy that is tried decides about the connection, too. */
static void
try_admission(struct edge_worker *w, const struct sip_link *l, enum policy_reason live)
{
	const struct net_peer *peer = sip_link_peer(l);
	const char *called = sip_link_called(l);
	struct policy_facts f;

	sip_facts_of_link(&f, sip_link_face(l)->side, l);
	edge_shadow_admitted(w->shadow, w->worker->id, &f, called != NULL ? span_str(called) : SPAN_NONE,
	    peer->has_certificate || peer->unverified ? peer->fingerprint : NULL, live);
}

bool
edge_admit(struct edge_worker *w, struct sip_link *l, enum policy_reason *why)
{
	enum policy_reason reason = judge(w, l);

	if (w->shadow != NULL)
		try_admission(w, l, reason);
	seen_note(w->edge->seen, sip_link_peer(l), sip_link_remote(l), sip_link_is_inbound(l), reason,
	    sip_link_peer(l)->fault);
	if (reason == POLICY_REASON_ALLOWED) {
		sip_link_words(l)[LINK_OPEN] = 1;
		return true;
	}
	*why = reason;
	return false;
}

void
edge_note_refused(struct edge_worker *w, struct sip_link *l, enum policy_reason why, const char *detail)
{
	if (policy_reason_is_certificate(why) && sip_link_words(l)[LINK_OPEN] == 0)
		seen_note(w->edge->seen, sip_link_peer(l), sip_link_remote(l), sip_link_is_inbound(l), why, detail);
}

static size_t
partner_named(const struct edge_worker *w, struct span name)
{
	char storage[DOMAIN_MAX];
	struct span server;
	bool is_ip;

	return policy_domain_canon(name, storage, &server, &is_ip) == SP_OK ? policy_partner_of_server(w->rules, server) : SIZE_MAX;
}

/* Which configured server is at the far end, by what was dialled or by what its certificate says; SIZE_MAX: none. */
static size_t
partner_at(struct edge_worker *w, struct sip_link *l)
{
	const struct net_peer *peer = sip_link_peer(l);
	const char *called = sip_link_called(l);
	size_t found = SIZE_MAX;

	if (called != NULL)
		return partner_named(w, span_str(called));
	for (unsigned i = 0; peer != NULL && peer->has_certificate && i < peer->nnames && found == SIZE_MAX; i++)
		found = partner_named(w, peer->names[i]);
	return found;
}

void
edge_note_unmade(struct edge_worker *w, struct sip_link *l, enum policy_reason why)
{
	size_t i;

	if (why == POLICY_REASON_ALLOWED || sip_link_words(l)[LINK_OPEN] != 0 || sip_link_face(l)->side != POLICY_SIDE_OUTER)
		return;
	if ((i = partner_at(w, l)) != SIZE_MAX)
		stats_partner_because(w->partner_number[i], STATS_PARTNER_UNMADE, why);
}

static void
judge_link(struct sip_link *l, void *arg)
{
	struct edge_worker *w = arg;
	enum policy_reason why;
	const char *fault;

	if (sip_link_words(l)[LINK_OPEN] == 0)
		return;
	if ((why = sip_link_judge_again(l, &fault)) == POLICY_REASON_ALLOWED)
		why = judge(w, l);
	if (why != POLICY_REASON_ALLOWED) {
		seen_note(w->edge->seen, sip_link_peer(l), sip_link_remote(l), sip_link_is_inbound(l), why, fault);
		sip_link_close(l, why, fault);
	}
}

void
edge_judge_links(struct edge_worker *w)
{
	sip_relay_each_link(w->relay, judge_link, w);
}
