/*
 * edge/crowd.c - see crowd.h.
 */
#include "edge/crowd.h"

#include "edge/edge.h"
#include "net/quota.h"

/* What is counted; keys of one kind never meet those of another. */
enum { KIND_BLOCK = 1, KIND_DOOR, KIND_SERVER, KIND_USER };

static uint64_t
block_of(const struct edge_config *c, const struct net_addr *a)
{
	return net_quota_block(KIND_BLOCK, a, (unsigned)c->limits.block_v4, (unsigned)c->limits.block_v6);
}

bool
edge_crowd_admits(struct sip_relay *r, const struct net_addr *from, const struct sip_face *face, enum stats_limit *limit)
{
	const struct edge_worker *w = sip_relay_owner(r);
	const struct edge_config *c = w->edge->config;
	struct net_quota *q = w->edge->quota;
	uint64_t door = net_quota_number(KIND_DOOR, face->tag);

	if (face->side != POLICY_SIDE_OUTER)
		return true;
	if (!net_quota_take(q, block_of(c, from), (uint32_t)c->limits.connections_block)) {
		*limit = STATS_LIMIT_CONNECTIONS_BLOCK;
		return false;
	}
	if (!net_quota_take(q, door, (uint32_t)edge_outer(c, face->tag)->connections)) {
		net_quota_give(q, block_of(c, from));
		*limit = STATS_LIMIT_CONNECTIONS_DOOR;
		return false;
	}
	return true;
}

static uint64_t
server_key(const struct net_peer *p)
{
	if (p->nnames > 0)
		return net_quota_text(KIND_SERVER, p->names[0]);
	return net_quota_text(KIND_SERVER, span_of((const char *)p->fingerprint, sizeof(p->fingerprint)));
}

bool
edge_crowd_opened(struct edge_worker *w, struct sip_link *l)
{
	const struct net_peer *p = sip_link_peer(l);
	uint64_t key;

	if (sip_link_face(l)->side != POLICY_SIDE_OUTER || !sip_link_is_inbound(l) || (!p->has_certificate && !p->unverified))
		return true;
	key = server_key(p);
	if (!net_quota_take(w->edge->quota, key, (uint32_t)w->edge->config->limits.connections_partner)) {
		stats_limit_hit(CONNECTIONS_PARTNER);
		return false;
	}
	sip_link_words(l)[LINK_WHO] = key;
	return true;
}

void
edge_crowd_signed_in(struct edge_worker *w, struct sip_link *l, struct span user)
{
	uint64_t key = net_quota_text(KIND_USER, user), *who = &sip_link_words(l)[LINK_WHO];
	const struct net_peer *p = sip_link_peer(l);

	/* a branch's connection stays the branch's, whoever signs in over it */
	if (sip_link_face(l)->side != POLICY_SIDE_OUTER || p->has_certificate || p->unverified || *who == key)
		return;
	if (*who != 0)
		net_quota_give(w->edge->quota, *who);
	*who = key;
	(void)net_quota_take(w->edge->quota, key, 0);
}

bool
edge_crowd_takes(struct edge_worker *w, struct sip_link *l, const struct sip_message *m, unsigned *wait)
{
	const struct edge_limits_conf *c = &w->edge->config->limits;
	const struct net_peer *p = sip_link_peer(l);
	uint64_t who = sip_link_words(l)[LINK_WHO];
	struct net_rate rate = { (uint32_t)(p->has_certificate || p->unverified ? c->partner_rate : c->user_rate),
	    (uint32_t)c->burst * 1000 };

	return who == 0 || net_quota_spend(w->edge->quota, who, &rate, net_loop_now(w->worker->loop),
	    !span_is_empty(m->to.tag) || m->method_id == POLICY_METHOD_ACK, wait);
}

void
edge_crowd_left(struct edge_worker *w, struct sip_link *l)
{
	struct net_quota *q = w->edge->quota;

	if (sip_link_face(l)->side != POLICY_SIDE_OUTER || !sip_link_is_inbound(l))
		return;
	net_quota_give(q, block_of(w->edge->config, sip_link_remote(l)));
	net_quota_give(q, net_quota_number(KIND_DOOR, sip_link_face(l)->tag));
	if (sip_link_words(l)[LINK_WHO] != 0)
		net_quota_give(q, sip_link_words(l)[LINK_WHO]);
}
