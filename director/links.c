/*
 * director/links.c - connections: what their far ends are, and the log of their lives.
 */
#include "director/links.h"

#include "common/hash.h"
#include "common/log.h"
#include "director/crowd.h"
#include "net/stats.h"
#include "sip/logs.h"
#include "sip/refusals.h"

size_t
servers_count(const struct director_config *c, enum server_kind kind)
{
	return kind == SERVER_EDGE ? c->edges.n : kind == SERVER_POOL ? c->pools.n : kind == SERVER_ROUTE ? c->routes.n : 0;
}

const struct director_server *
server_at(const struct director_config *c, enum server_kind kind, size_t i)
{
	return kind == SERVER_EDGE ? director_edge(c, i) : kind == SERVER_POOL ? director_pool(c, i) :
	    &director_route(c, i)->to;
}

uint16_t
server_id(const char *name)
{
	return (uint16_t)(hash_stable(span_str(name)) | 1);
}

bool
server_with_id(const struct director_config *c, uint16_t id, enum server_kind *kind, int *index)
{
	for (int k = SERVER_EDGE; id != 0 && k <= SERVER_ROUTE; k++)
		for (size_t i = 0; i < servers_count(c, (enum server_kind)k); i++)
			if (server_id(server_at(c, (enum server_kind)k, i)->name) == id) {
				*kind = (enum server_kind)k;
				*index = (int)i;
				return true;
			}
	return false;
}

static void
classify(struct director_worker *w, struct sip_link *l)
{
	static const enum stats_class classes[] = {
		[SERVER_NONE] = STATS_CLASS_CLIENT, [SERVER_EDGE] = STATS_CLASS_EDGE, [SERVER_POOL] = STATS_CLASS_POOL,
		[SERVER_ROUTE] = STATS_CLASS_ROUTE, [SERVER_TRUSTED] = STATS_CLASS_SERVER
	};
	uint64_t *words = sip_link_words(l);
	const struct net_peer *peer = sip_link_peer(l);
	unsigned index = 0;
	enum server_kind kind = SERVER_NONE;

	if (peer->has_certificate)
		kind = director_server_of(w->config, peer->names, peer->nnames, &index);
	words[LINK_KIND] = kind;
	sip_link_set_class(l, classes[kind]);
	words[LINK_INDEX] = index;
	words[LINK_ID] = servers_count(w->config, kind) != 0 ? server_id(server_at(w->config, kind, index)->name) :
	    kind == SERVER_TRUSTED ? server_id(w->config->servers.v[index].s) : 0;
	sip_link_take_limits(l, kind != SERVER_NONE ? &w->server_limits : &sip_link_face(l)->limits);
}

/* Is this door for whom the link is? What we dialled ourselves must still be one of ours. */
static bool
is_welcome(const struct director_worker *w, struct sip_link *l)
{
	if (sip_link_words(l)[LINK_KIND] != SERVER_NONE)
		return true;
	return sip_link_is_inbound(l) && director_door(w->config, sip_link_face(l)->tag)->admits != DOOR_SERVERS;
}

static void
log_link(struct logrec *r, struct sip_link *l)
{
	static const char *const kinds[] = {
		[SERVER_NONE] = "client", [SERVER_EDGE] = "edge", [SERVER_POOL] = "pool", [SERVER_ROUTE] = "route", [SERVER_TRUSTED] = "server"
	};
	char addr[NET_ADDR_TEXT];

	log_hex(r, "conn", sip_link_id(l));
	log_uint(r, "port", sip_link_face(l)->port);
	log_word(r, "class", kinds[sip_link_words(l)[LINK_KIND]]);
	log_word(r, "peer", net_addr_format(sip_link_remote(l), addr));
}

bool
link_opened(struct sip_relay *r, struct sip_link *l, enum policy_reason *why)
{
	struct director_worker *w = sip_relay_owner(r);
	const struct net_peer *peer = sip_link_peer(l);
	struct logrec rec;

	sip_link_words(l)[LINK_OPEN] = LINK_IS_OPEN;
	classify(w, l);
	rec = log_begin(SP_LOG_INFO, "connected");
	log_link(&rec, l);
	if (peer->nnames > 0)
		log_outside(&rec, "name", peer->names[0]);
	log_word(&rec, "tls", peer->protocol);
	log_end(&rec);
	if (!is_welcome(w, l)) {
		*why = POLICY_REASON_UNTRUSTED_PEER;
		seen_note(w->director->seen, peer, sip_link_remote(l), sip_link_is_inbound(l), *why, NULL);
		return false;
	}
	seen_note(w->director->seen, peer, sip_link_remote(l), sip_link_is_inbound(l), POLICY_REASON_ALLOWED, NULL);
	if (!crowd_opened(w, l)) {
		*why = POLICY_REASON_CONNECTION_LIMIT;
		return false;
	}
	/* servers prove who they are in the handshake; clients by signing in */
	if (sip_link_words(l)[LINK_KIND] != SERVER_NONE)
		sip_link_signed_in(l);
	return true;
}

static void
classify_again(struct sip_link *l, void *arg)
{
	struct director_worker *w = arg;
	enum policy_reason why;
	const char *fault;

	if (sip_link_words(l)[LINK_OPEN] == 0)
		return;
	if ((why = sip_link_judge_again(l, &fault)) != POLICY_REASON_ALLOWED) {
		sip_link_close(l, why, fault);
		return;
	}
	classify(w, l);
	if (!is_welcome(w, l))
		sip_link_close(l, POLICY_REASON_UNTRUSTED_PEER, NULL);
	else
		crowd_moved(w, l);
}

void
director_classify_links(struct director_worker *w)
{
	sip_relay_each_link(w->relay, classify_again, w);
}

/* What a client has signed in over its connection ends with it. Behind an edge, the idle time tells. */
static void
end_associations(struct director_worker *w, struct sip_link *l)
{
	const uint64_t *words = sip_link_words(l);

	for (unsigned i = 0; words[LINK_KIND] == SERVER_NONE && i < LINK_SAS_MAX; i++) {
		uint32_t opaque = (uint32_t)(words[LINK_SAS + i / 2] >> (i % 2 * 32));

		if (opaque != 0)
			sa_end_of(w->director->sas, opaque, sip_link_id(l));
	}
}

void
link_closed(struct sip_relay *r, struct sip_link *l, enum policy_reason why, const char *detail)
{
	struct director_worker *w = sip_relay_owner(r);
	struct logrec rec = sip_refusals_log_end(w->refusals, sip_link_remote(l), why, detail);

	end_associations(w, l);
	crowd_left(w, l);
	if (policy_reason_is_certificate(why) && sip_link_words(l)[LINK_OPEN] == 0)
		seen_note(w->director->seen, sip_link_peer(l), sip_link_remote(l), sip_link_is_inbound(l), why, detail);
	log_link(&rec, l);
	sip_log_disconnected_end(&rec, why, detail);
}

/* The log line of a refusal; what the sender is told names it by its reference. */
void
link_refused(struct sip_relay *r, struct sip_link *l, const struct sip_message *m, enum policy_reason why,
    const char *detail)
{
	struct director_worker *w = sip_relay_owner(r);
	struct logrec rec = sip_refusals_log(w->refusals, l != NULL ? sip_link_remote(l) : NULL, why, detail);

	if (l != NULL)
		log_link(&rec, l);
	sip_log_message(&rec, m);
	log_end(&rec);
}

void
link_turned_away(struct sip_relay *r, const struct net_addr *from, const struct sip_face *face, enum policy_reason why,
    const char *detail)
{
	struct director_worker *w = sip_relay_owner(r);
	struct logrec rec = sip_refusals_log(w->refusals, from, why, detail);
	char addr[NET_ADDR_TEXT];

	log_uint(&rec, "port", face->port);
	log_word(&rec, "peer", net_addr_format(from, addr));
	log_end(&rec);
}
