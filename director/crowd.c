/*
 * director/crowd.c - see crowd.h.
 */
#include "director/crowd.h"

#include "common/err.h"
#include "director/links.h"
#include "net/quota.h"

/* What is counted; keys of one kind never meet those of another. */
enum { KIND_BLOCK = 1, KIND_DOOR, KIND_SERVER, KIND_USER, KIND_BLOCK_SERVERS };

/* At a door for servers alone, those of a block that have not proved yet what they are are counted apart from clients. */
static uint64_t
block_of(const struct director_config *c, const struct sip_face *face, const struct net_addr *a)
{
	unsigned kind = director_door(c, face->tag)->admits == DOOR_SERVERS ? KIND_BLOCK_SERVERS : KIND_BLOCK;

	return net_quota_block(kind, a, (unsigned)c->block_v4, (unsigned)c->block_v6);
}

/* Has a server of ours that address? Whoever is there may try to prove it, whatever others of its block hold. */
static bool
is_known(const struct director_config *c, const struct net_addr *from)
{
	for (int k = SERVER_EDGE; k <= SERVER_ROUTE; k++)
		for (size_t i = 0; i < servers_count(c, (enum server_kind)k); i++)
			for (size_t j = 0; j < server_at(c, (enum server_kind)k, i)->addresses.n; j++) {
				struct net_addr a;

				if (net_addr_parse(&a, span_str(server_at(c, (enum server_kind)k, i)->addresses.v[j].s), 1) == SP_OK &&
				    net_addr_same_host(&a, from))
					return true;
			}
	return false;
}

/* As many as max of that block; those of a server of ours are counted, and not refused. */
static bool
take_block(struct net_quota *q, const struct director_config *c, const struct net_addr *from, const struct sip_face *face)
{
	uint64_t key = block_of(c, face, from);

	return net_quota_take(q, key, (uint32_t)c->connections_block) || (is_known(c, from) && net_quota_take(q, key, 0));
}

bool
crowd_admits(struct sip_relay *r, const struct net_addr *from, const struct sip_face *face, enum stats_limit *limit)
{
	const struct director_worker *w = sip_relay_owner(r);
	const struct director_config *c = w->config;
	struct net_quota *q = w->director->quota;

	if (!take_block(q, c, from, face)) {
		*limit = STATS_LIMIT_CONNECTIONS_BLOCK;
		return false;
	}
	if (!net_quota_take(q, net_quota_number(KIND_DOOR, face->tag), (uint32_t)director_door(c, face->tag)->connections)) {
		net_quota_give(q, block_of(c, face, from));
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
	/* from now on it has a place among the server's own, and leaves that of its block to who proves nothing */
	net_quota_give(w->director->quota, block_of(w->config, sip_link_face(l), sip_link_remote(l)));
	words[LINK_OPEN] |= LINK_IS_COUNTED;
	return true;
}

void
crowd_moved(struct director_worker *w, struct sip_link *l)
{
	uint64_t *words = sip_link_words(l), block = block_of(w->config, sip_link_face(l), sip_link_remote(l));
	bool counted = (words[LINK_OPEN] & LINK_IS_COUNTED) != 0, server = words[LINK_KIND] != SERVER_NONE;

	if (!sip_link_is_inbound(l) || counted == server)
		return;
	(void)net_quota_take(w->director->quota, server ? server_key(l) : block, 0);
	net_quota_give(w->director->quota, server ? block : server_key(l));
	words[LINK_OPEN] ^= LINK_IS_COUNTED;
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
	net_quota_give(q, net_quota_number(KIND_DOOR, sip_link_face(l)->tag));
	if ((sip_link_words(l)[LINK_OPEN] & LINK_IS_COUNTED) != 0)
		net_quota_give(q, server_key(l));
	else
		net_quota_give(q, block_of(w->config, sip_link_face(l), sip_link_remote(l)));
}
