/*
 * edge/worker.c - one thread of the edge: its contexts, faces, doors and next hops.
 */
#include <stdlib.h>

#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "edge/edge.h"

struct edge_door {
	struct edge_worker	*w;
	struct sip_face		*face;
};

static void
accepted(void *arg, int fd, const struct net_addr *from)
{
	struct edge_door *d = arg;

	sip_relay_accept(d->w->relay, fd, from, d->face);
}

static void
starved(void *arg, int error)
{
	const struct edge_door *d = arg;
	struct logrec r = log_begin(SP_LOG_ERROR, "accept-failed");

	log_word(&r, "door", d->face->name);
	log_uint(&r, "port", d->face->port);
	log_text(&r, "error", strerror(error));
	log_end(&r);
}

static const struct net_door_ops door_ops = { .accepted = accepted, .starved = starved };

/* New contexts from new material; connections keep the ones they have. */
static int
set_identity(struct edge_worker *w, size_t i, struct net_tls_material *material)
{
	const struct edge_config *c = w->edge->config;
	struct sip_face *f = &w->face[i];
	enum net_tls_ask ask = i == EDGE_INNER(c) ? NET_TLS_ASK_REQUIRED : (enum net_tls_ask)edge_outer(c, i)->ask;
	struct net_tls_ctx *server = net_tls_server(w->lib, material, ask);
	struct net_tls_ctx *client = net_tls_client(w->lib, material);

	if (server == NULL || client == NULL) {
		net_tls_ctx_unref(server);
		net_tls_ctx_unref(client);
		return SP_ETLS;
	}
	/* policy decides whose subject CN counts; the rooms below only offer it */
	net_tls_ctx_unref(f->server);
	net_tls_ctx_unref(f->client);
	f->server = server;
	f->client = client;
	return SP_OK;
}

static void
make_face(struct edge_worker *w, size_t i)
{
	const struct edge_config *c = w->edge->config;
	const struct edge_door_conf *d = i == EDGE_INNER(c) ? &c->inner : edge_outer(c, i);

	w->face[i] = (struct sip_face){
		.name = d->name, .port = net_addr_port(&d->addr),
		.side = i == EDGE_INNER(c) ? POLICY_SIDE_INNER : POLICY_SIDE_OUTER,
		.limits = d->users ? edge_client_limits(c) : edge_server_limits(c), .tag = (unsigned)i
	};
	w->faces[i] = &w->face[i];
	if (d->partners && (w->partner_face == NULL || w->partner_face->limits.signin_ms != 0))
		w->partner_face = &w->face[i];
}

static struct net_dns *
make_dns(struct net_loop *loop, const struct edge_config *c)
{
	const char *servers[17] = { NULL };
	struct net_dns_config dc = {
		.timeout_ms = (unsigned)c->dns_timeout, .tries = (unsigned)c->dns_tries, .ttl_min = 30, .ttl_max = 3600,
		.negative_ttl = 60, .cache_max = 3000
	};

	for (size_t i = 0; i < c->dns_servers.n && i < 16; i++)
		servers[i] = c->dns_servers.v[i].s;
	dc.servers = c->dns_servers.n > 0 ? servers : NULL;
	return net_dns_new(loop, &dc);
}

static void
make_directors(struct edge_worker *w)
{
	const struct edge_config *c = w->edge->config;

	for (size_t i = 0; i < c->directors.n; i++) {
		const struct edge_director_conf *d = edge_director(c, i);
		struct sip_hop_spec spec = {
			.name = d->name, .port = (uint16_t)d->port, .address = d->address,
			.face = &w->face[EDGE_INNER(c)], .reuse_inbound = true
		};

		w->director[i] = sip_hop_get(w->relay, &spec);
		sip_hop_warm(w->director[i]);
	}
}

int
edge_worker_start(struct net_worker *worker, void *arg)
{
	struct edge *e = arg;
	struct edge_worker *w = xcalloc(1, sizeof(*w));
	struct sip_relay_limits limits = edge_relay_limits(e->config);
	size_t n = EDGE_INNER(e->config) + 1;

	w->edge = e;
	w->worker = worker;
	worker->owner = w;
	w->rules = policy_rules_ref(e->rules);
	w->lib = net_tls_lib_new();
	w->dns = make_dns(worker->loop, e->config);
	w->signer = sip_flow_signer_new(e->keys);
	w->relay = sip_relay_new(worker, w->lib, w->dns, w->signer, &limits, &edge_relay_ops, w);
	sip_relay_join(w->relay, e->relays);
	w->door_arg = xcalloc(n, sizeof(*w->door_arg));
	for (size_t i = 0; i < n; i++) {
		make_face(w, i);
		if (set_identity(w, i, e->material[i]) != SP_OK)
			return SP_ETLS;
	}
	if (w->partner_face == NULL)
		w->partner_face = &w->face[0];
	make_directors(w);
	for (size_t i = 0; i < n; i++) {
		w->door_arg[i] = (struct edge_door){ w, &w->face[i] };
		w->door[i] = net_door_open(worker->loop, e->fds[i][worker->id], &door_ops, &w->door_arg[i]);
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
	for (size_t i = 0; i <= EDGE_INNER(w->edge->config); i++)
		if (w->door[i] != NULL)
			net_door_close(w->door[i]);
	sip_relay_free(w->relay);
	for (size_t i = 0; i <= EDGE_INNER(w->edge->config); i++) {
		net_tls_ctx_unref(w->face[i].server);
		net_tls_ctx_unref(w->face[i].client);
	}
	net_dns_free(w->dns);
	sip_flow_signer_free(w->signer);
	net_tls_lib_free(w->lib);
	policy_rules_unref(w->rules);
	free(w->door_arg);
	free(w);
	worker->owner = NULL;
}

/* ---- news from the control thread ---- */

struct update {
	struct net_mail		 mail;
	struct policy_rules	*rules;
	struct net_tls_material	*material[EDGE_DOORS_MAX + 1];
};

static void
deliver_update(struct net_worker *worker, struct net_mail *mail)
{
	struct update *u = (struct update *)mail;
	struct edge_worker *w = worker->owner;

	if (w != NULL && u->rules != NULL) {
		policy_rules_unref(w->rules);
		w->rules = policy_rules_ref(u->rules);
	}
	for (size_t i = 0; i <= EDGE_DOORS_MAX; i++) {
		if (u->material[i] == NULL)
			continue;
		if (w != NULL && set_identity(w, i, u->material[i]) != SP_OK)
			log_say(SP_LOG_ERROR, "certificate-kept", "worker %u keeps the old certificate of door %zu",
			    worker->id, i);
		net_tls_material_unref(u->material[i]);
	}
	policy_rules_unref(u->rules);
	free(u);
}

void
edge_workers_update(struct edge *e, struct policy_rules *rules, struct net_tls_material *const *material)
{
	for (unsigned id = 0; id < net_crew_count(e->crew); id++) {
		struct update *u = xcalloc(1, sizeof(*u));

		u->mail.deliver = deliver_update;
		u->rules = rules != NULL ? policy_rules_ref(rules) : NULL;
		for (size_t i = 0; i <= EDGE_INNER(e->config); i++)
			if (material[i] != NULL)
				u->material[i] = net_tls_material_ref(material[i]);
		net_worker_post(net_crew_worker(e->crew, id), &u->mail);
	}
}
