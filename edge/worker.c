/*
 * edge/worker.c - one thread of the edge: its contexts, faces, doors and next hops.
 */
#include <stdlib.h>

#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "admin/master.h"
#include "edge/edge.h"
#include "edge/gauges.h"
#include "edge/reach.h"
#include "sip/hep.h"
#include "sip/refusals.h"
#include "sip/sessions.h"

/*
 * The contexts of a door out of the worker's material; connections keep the ones
 * they have. Policy decides whose subject CN counts; the rooms below only offer it.
 */
static int
set_identity(struct edge_worker *w, size_t i)
{
	const struct edge_config *c = w->edge->config;
	struct sip_face *f = &w->face[i];
	enum net_tls_ask ask = i == EDGE_INNER(c) ? NET_TLS_ASK_REQUIRED : (enum net_tls_ask)edge_outer(c, i)->ask;
	struct net_tls_material *dial = w->material[EDGE_DIAL(i)] != NULL ? w->material[EDGE_DIAL(i)] : w->material[i];
	struct net_tls_ctx *server = net_tls_server(w->lib, w->material[i], ask);
	struct net_tls_ctx *client = net_tls_client(w->lib, dial);

	if (server == NULL || client == NULL) {
		net_tls_ctx_unref(server);
		net_tls_ctx_unref(client);
		return SP_ETLS;
	}
	net_tls_ctx_unref(f->server);
	net_tls_ctx_unref(f->client);
	f->server = server;
	f->client = client;
	return SP_OK;
}

/* Which certificates are refused and which keys pinned, for every door and every way out. */
static void
set_lists(struct edge_worker *w)
{
	for (size_t i = 0; i < EDGE_FACES(w->edge->config); i++) {
		struct net_tls_lists *l = i == EDGE_INNER(w->edge->config) ? w->lists_inner : w->lists_outer;

		net_tls_ctx_lists(w->face[i].server, l);
		net_tls_ctx_lists(w->face[i].client, l);
	}
}

static void
make_face(struct edge_worker *w, size_t i)
{
	const struct edge_config *c = w->edge->config;
	const struct edge_door_conf *d = i == EDGE_INNER(c) ? &c->inner : edge_outer(c, i);

	w->face[i] = (struct sip_face){
		.name = d->name, .port = net_addr_port(&d->addr),
		.side = i == EDGE_INNER(c) ? POLICY_SIDE_INNER : POLICY_SIDE_OUTER,
		.limits = d->users ? edge_client_limits(c) : i == EDGE_INNER(c) ? edge_inner_limits(c) : edge_server_limits(c),
		.tag = (unsigned)i
	};
	w->faces[i] = &w->face[i];
}

/* The other nodes' tokens are signed with the keys that we share, so their names are read as ours. */
static void
make_nodes(struct edge_worker *w)
{
	const struct edge_config *c = w->edge->config;

	for (size_t i = 0; i < c->array.n; i++) {
		w->node[i] = (struct sip_face){
			.name = edge_node(c, i)->name, .port = (uint16_t)edge_node(c, i)->port, .side = POLICY_SIDE_INNER
		};
		w->faces[EDGE_FACES(c) + i] = &w->node[i];
	}
}

#define WARM_MS	2000

/*
 * A link to a Director that was lost is there again before somebody needs it. A
 * branch's users are reached by it, so nobody inside could ask for it. How soon
 * a Director that is down is tried again, its breaker says.
 */
static void
keep_warm(struct net_timer *t)
{
	struct edge_worker *w = (struct edge_worker *)((char *)t - offsetof(struct edge_worker, warm));

	for (size_t i = 0; i < w->edge->config->directors.n; i++)
		sip_hop_warm(w->director[i]);
	net_timer_set(w->worker->loop, t, WARM_MS);
}

static void
make_directors(struct edge_worker *w)
{
	const struct edge_config *c = w->edge->config;

	for (size_t i = 0; i < c->directors.n; i++) {
		const struct edge_director_conf *d = edge_director(c, i);
		struct sip_hop_spec spec = {
			.name = d->name, .port = (uint16_t)d->port, .address = d->address,
			.face = &w->face[EDGE_INNER(c)], .reuse_inbound = true, .keep = true
		};

		w->director[i] = sip_hop_get(w->relay, &spec);
	}
	w->warm.fire = keep_warm;
	keep_warm(&w->warm);
}

int
edge_worker_start(struct net_worker *worker, void *arg)
{
	struct edge *e = arg;
	struct edge_worker *w = xcalloc(1, sizeof(*w));
	struct sip_relay_limits limits = edge_relay_limits(e->config);
	struct net_porter_limits porter;
	size_t n = EDGE_FACES(e->config);

	w->edge = e;
	w->worker = worker;
	worker->owner = w;
	w->rules = policy_rules_ref(e->rules);
	w->partner_number = edge_partner_numbers(w->rules);
	w->lib = net_tls_lib_new();
	net_tls_lib_keys(w->lib, e->stage->keys[worker->id]);
	w->dns = edge_dns_new(worker->loop, e->config);
	w->guard = edge_guard_new(e->config);
	w->discovery = edge_discovery_new(worker->loop, w->dns,
	    &(struct edge_discovery_limits){ (unsigned)e->config->limits.held, (unsigned)e->config->limits.held_per_domain });
	w->signer = sip_flow_signer_new(e->keys);
	w->refusals = sip_refusals_new(worker->loop, worker->id, &(struct sip_refusals_limits){ (unsigned)e->config->log_refusals,
	    (unsigned)e->config->log_window * 1000 });
	w->relay = sip_relay_new(worker, w->lib, w->dns, w->signer, &limits, &edge_relay_ops, w);
	sip_relay_join(w->relay, e->relays);
	sip_relay_take_pen(w->relay, sip_sessions_pen(e->sessions, worker->id));
	sip_relay_add_tap(w->relay, trace_tap(e->trace));
	if ((w->hep = sip_hep_start(e->config->hep_server, (uint32_t)e->config->hep_id, e->config->hep_password, e->config->hep_bodies)) != NULL)
		sip_relay_add_tap(w->relay, sip_hep_tap(w->hep));
	for (size_t i = 0; i < EDGE_IDENTITIES; i++)
		if (e->material[i] != NULL)
			w->material[i] = net_tls_material_ref(e->material[i]);
	for (size_t i = 0; i < n; i++) {
		make_face(w, i);
		if (set_identity(w, i) != SP_OK)
			return SP_ETLS;
	}
	make_nodes(w);
	w->server_limits = edge_server_limits(e->config);
	w->server_limits.first_message_ms = w->server_limits.signin_ms = 0;
	w->inner_limits = edge_inner_limits(e->config);
	w->inner_limits.first_message_ms = w->inner_limits.signin_ms = 0;
	edge_make_lists(w);
	set_lists(w);
	w->partner_face = &w->face[edge_partner_door(e->config)];
	make_directors(w);
	porter = (struct net_porter_limits){ (unsigned)e->config->limits.proxy_header * 1000,
	    limits.handshakes != 0 ? limits.handshakes : limits.links };
	for (size_t i = 0; i < n; i++) {
		w->door[i] = sip_entrance_open(worker->loop, e->fds[i][worker->id], w->relay, &w->face[i],
		    &(i == EDGE_INNER(e->config) ? &e->config->inner : edge_outer(e->config, i))->balancers, &porter);
		e->fds[i][worker->id] = -1;
	}
	return SP_OK;
}

void
edge_worker_stop(struct net_worker *worker, void *arg)
{
	struct edge_worker *w = worker->owner;

	(void)arg;
	if (w == NULL)
		return;
	for (size_t i = 0; i < EDGE_FACES(w->edge->config); i++)
		sip_entrance_close(w->door[i]);
	net_timer_cancel(worker->loop, &w->warm);
	net_timer_cancel(worker->loop, &w->drain);
	edge_discovery_free(w->discovery, edge_drop_held);
	sip_relay_free(w->relay);
	sip_refusals_free(w->refusals);
	sip_hep_free(w->hep);
	for (size_t i = 0; i < EDGE_FACES(w->edge->config); i++) {
		net_tls_ctx_unref(w->face[i].server);
		net_tls_ctx_unref(w->face[i].client);
	}
	net_dns_free(w->dns);
	net_guard_free(w->guard);
	sip_flow_signer_free(w->signer);
	net_tls_lists_unref(w->lists_outer);
	net_tls_lists_unref(w->lists_inner);
	net_tls_lib_free(w->lib);
	for (size_t i = 0; i < EDGE_IDENTITIES; i++)
		net_tls_material_unref(w->material[i]);
	edge_shadow_unref(w->shadow);
	policy_rules_unref(w->rules);
	free(w->partner_number);
	free(w);
	worker->owner = NULL;
}

/* ---- news from the control thread ---- */

struct update {
	struct net_mail		 mail;
	struct policy_rules	*rules;
	struct net_tls_material	*material[EDGE_IDENTITIES];
	bool			 whole;
};

/* What the mail brings takes the place of what the worker has. Has it changed? */
static bool
take_material(struct edge_worker *w, struct update *u, size_t i)
{
	if (w->material[i] == u->material[i] || (u->material[i] == NULL && !u->whole))
		return false;
	net_tls_material_unref(w->material[i]);
	w->material[i] = u->material[i];
	u->material[i] = NULL;		/* handed over */
	return true;
}

static void
take_update(struct edge_worker *w, struct update *u)
{
	if (u->rules != NULL) {
		policy_rules_unref(w->rules);
		w->rules = policy_rules_ref(u->rules);
		free(w->partner_number);
		w->partner_number = edge_partner_numbers(w->rules);
		edge_make_lists(w);
		/* who reloads wants what is true now */
		edge_discovery_flush(w->discovery);
		net_dns_flush(w->dns);
	}
	for (size_t i = 0; i < EDGE_FACES(w->edge->config); i++) {
		bool door = take_material(w, u, i), dial = take_material(w, u, EDGE_DIAL(i));

		if ((door || dial) && set_identity(w, i) != SP_OK)
			log_say(SP_LOG_ERROR, "certificate-kept", "worker %u keeps the old certificate of door %zu",
			    w->worker->id, i);
	}
	set_lists(w);
	edge_judge_links(w);
}

static void
deliver_update(struct net_worker *worker, struct net_mail *mail)
{
	struct update *u = (struct update *)mail;

	if (worker->owner != NULL)
		take_update(worker->owner, u);
	for (size_t i = 0; i < EDGE_IDENTITIES; i++)
		net_tls_material_unref(u->material[i]);
	policy_rules_unref(u->rules);
	free(u);
}

struct lines {
	struct net_mail			 mail;
	struct sip_refusals_limits	 limits;
};

static void
deliver_lines(struct net_worker *worker, struct net_mail *mail)
{
	struct lines *l = (struct lines *)mail;
	struct edge_worker *w = worker->owner;

	if (w != NULL)
		sip_refusals_take_limits(w->refusals, &l->limits);
	free(l);
}

void
edge_workers_limit_lines(struct edge *e, int lines, int window)
{
	for (unsigned id = 0; id < net_crew_count(e->crew); id++) {
		struct lines *l = xcalloc(1, sizeof(*l));

		l->mail.deliver = deliver_lines;
		l->limits = (struct sip_refusals_limits){ (unsigned)lines, (unsigned)window * 1000 };
		net_worker_post(net_crew_worker(e->crew, id), &l->mail);
	}
}

void
edge_workers_update(struct edge *e, struct policy_rules *rules, struct net_tls_material *const *material, bool whole)
{
	for (unsigned id = 0; id < net_crew_count(e->crew); id++) {
		struct update *u = xcalloc(1, sizeof(*u));

		u->mail.deliver = deliver_update;
		u->rules = rules != NULL ? policy_rules_ref(rules) : NULL;
		u->whole = whole;
		for (size_t i = 0; i < EDGE_IDENTITIES; i++)
			if (material[i] != NULL)
				u->material[i] = net_tls_material_ref(material[i]);
		net_worker_post(net_crew_worker(e->crew, id), &u->mail);
	}
}
