/*
 * director/crowd.c - see crowd.h.
 */
#include "director/crowd.h"

#include "director/links.h"
#include "net/quota.h"

/* What is counted; keys of one kind never meet those of another. */
enum { KIND_BLOCK = 1, KIND_DOOR, KIND_SERVER, KIND_USER };

static uint64_t
block_of(const struct director_config *c, const struct net_addr *a)
{
	return net_quota_block(KIND_BLOCK, a, (unsigned)c->block_v4, (unsigned)c->block_v6);
}

bool
crowd_admits(struct sip_relay *r, const struct net_addr *from, const struct sip_face *face, enum stats_limit *limit)
{
	const struct director_worker *w = sip_relay_owner(r);
	const struct director_config *c = w->config;
	struct net_quota *q = w->director->quota;

	if (!net_quota_take(q, block_of(c, from), (uint32_t)c->connections_block)) {
		*limit = STATS_LIMIT_CONNECTIONS_BLOCK;
		return false;
	}
	if (!net_quota_take(q, net_quota_number(KIND_DOOR, face->tag), (uint32_t)director_door(c, face->tag)->connections)) {
		net_quota_give(q, block_of(c, from));
		*limit = STATS_LIMIT_CONNECTIONS_DOOR;
		return false;
	}
	return true;
}

static uint64_t
server_key(struct sip_link *l)
{
	const struct net_peer *p = sip_link_peer(l);

	return net_quota_text(KIND_SERVER, p->nnames > 0 ? p->names[0] :
	    span_of((const char *)p->fingerprint, sizeof(p->fingerprint)));
}

bool
crowd_opened(struct director_worker *w, struct sip_link *l)
{
	uint64_t *words = sip_link_words(l);

	if (!sip_link_is_inbound(l) || words[LINK_KIND] == SERVER_NONE)
		return true;
	if (!net_quota_take(w->director->quota, server_key(l), (uint32_t)w->config->connections_server)) {
		stats_limit_hit(CONNECTIONS_PARTNER);
		return false;
	}
	words[LINK_OPEN] |= LINK_IS_COUNTED;
	return true;
}

bool
crowd_takes(struct director_worker *w, const char *user, bool urgent, unsigned *wait)
{
	struct net_rate rate = { (uint32_t)w->config->user_rate, (uint32_t)w->config->burst * 1000 };

	return net_rates_spend(w->director->rates, net_quota_text(KIND_USER, span_str(user)), &rate,
	    net_loop_now(w->worker->loop), urgent, wait);
}

void
crowd_left(struct director_worker *w, struct sip_link *l)
{
	struct net_quota *q = w->director->quota;

	if (!sip_link_is_inbound(l))
		return;
	net_quota_give(q, block_of(w->config, sip_link_remote(l)));
	net_quota_give(q, net_quota_number(KIND_DOOR, sip_link_face(l)->tag));
	if ((sip_link_words(l)[LINK_OPEN] & LINK_IS_COUNTED) != 0)
		net_quota_give(q, server_key(l));
}
