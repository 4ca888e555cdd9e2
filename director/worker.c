/*
 * director/worker.c - one thread of the Director: its contexts, faces, doors and channel to authd.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "admin/master.h"
#include "director/director.h"
#include "sip/hep.h"
#include "sip/refusals.h"
#include "sip/sessions.h"
#include "director/srvs.h"
#include "director/targets.h"

static struct sip_link_limits
link_limits(const struct director_config *c, bool clients)
{
	size_t queue = (size_t)c->max_queue * 1024;
	struct sip_link_limits l = {
		.stream = { .handshake_ms = (unsigned)c->handshake_time * 1000, .queue_high = queue, .queue_max = queue * 4,
		    .linger_ms = 5000 },
		.frame = SIP_FRAME_LIMITS_DEFAULT,
		.message_ms = (unsigned)c->message_time * 1000
	};

	l.frame.message = (uint32_t)c->max_message;
	l.frame.credentials = (uint32_t)c->max_credentials;
	if (l.frame.head > l.frame.message)
		l.frame.head = l.frame.message;
	if (!clients)
		l.frame = sip_frame_limits_of_servers(l.frame);
	/* one that floods leaves room for what the others, and the clients, have to say */
	l.requests = (uint32_t)c->max_transactions / 2 + 1;
	if (clients) {
		l.rate = (struct net_rate){ (uint32_t)c->user_rate, (uint32_t)c->burst * 1000 };
		l.requests = (uint32_t)c->user_requests;
		l.stream.queue_max = queue / 4;
		l.stream.queue_high = queue / 8;
		l.first_message_ms = (unsigned)c->first_message_time * 1000;
		l.signin_ms = (unsigned)c->signin_time * 1000;
		l.idle_ms = (unsigned)c->idle_time * 1000;
	}
	return l;
}

/* New contexts from new material; connections keep the ones they have. */
static int
set_identity(struct director_worker *w, size_t i, struct net_tls_material *material)
{
	static const enum net_tls_ask ask[] = {
		[DOOR_SERVERS] = NET_TLS_ASK_REQUIRED, [DOOR_CLIENTS] = NET_TLS_ASK_NONE, [DOOR_BOTH] = NET_TLS_ASK_OPTIONAL
	};
	struct sip_face *f = &w->face[i];
	struct net_tls_ctx *server = net_tls_server(w->lib, material, ask[director_door(w->config, i)->admits]);
	struct net_tls_ctx *client = net_tls_client(w->lib, material);

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

/* Certificates that the administrator refuses: at every door, and where we connect. */
static void
set_lists(struct director_worker *w)
{
	net_tls_lists_unref(w->lists);
	w->lists = net_tls_lists_new(NULL, 0, (const unsigned char (*)[32])w->config->refused,
	    w->config->refused_certificates.n);
	for (size_t i = 0; i < w->nfaces; i++) {
		net_tls_ctx_lists(w->face[i].server, w->lists);
		net_tls_ctx_lists(w->face[i].client, w->lists);
	}
}

static void
make_face(struct director_worker *w, size_t i)
{
	const struct director_door *d = director_door(w->config, i);

	w->face[i] = (struct sip_face){
		.name = w->name, .port = net_addr_port(&d->addr), .side = POLICY_SIDE_INNER,
		.limits = link_limits(w->config, d->admits != DOOR_SERVERS), .tag = (unsigned)i,
		.clients = d->admits != DOOR_SERVERS
	};
	w->faces[w->nfaces++] = &w->face[i];
	if (w->out == NULL && d->admits != DOOR_CLIENTS)
		w->out = &w->face[i];
}

static struct net_dns *
make_dns(struct net_loop *loop, const struct director_config *c)
{
	const char *servers[17] = { NULL };
	struct net_dns_config dc = {
		.timeout_ms = 2000, .tries = 2, .ttl_min = 30, .ttl_max = 3600, .negative_ttl = 60, .cache_max = DIRECTOR_DNS_CACHE
	};

	for (size_t i = 0; i < c->dns_servers.n && i < 16; i++)
		servers[i] = c->dns_servers.v[i].s;
	dc.servers = c->dns_servers.n > 0 ? servers : NULL;
	return net_dns_new(loop, &dc);
}

#define SWEEP_MS	10000

/* Keys of associations that have ended go, also when nobody signs in any more. */
static void
sweep(struct net_timer *t)
{
	struct director_worker *w = (struct director_worker *)((char *)t - offsetof(struct director_worker, sweep));

	sa_sweep(w->director->sas, net_loop_now(w->worker->loop));
	net_timer_set(w->worker->loop, t, SWEEP_MS);
}

static void
limit_refusals(struct director_worker *w)
{
	struct sip_refusals_limits limits = { (unsigned)w->config->log_refusals, (unsigned)w->config->log_window * 1000 };

	if (w->refusals == NULL)
		w->refusals = sip_refusals_new(w->worker->loop, w->worker->id, &limits);
	else
		sip_refusals_take_limits(w->refusals, &limits);
}

int
director_worker_start(struct net_worker *worker, void *arg)
{
	struct director *d = arg;
	struct director_worker *w = xcalloc(1, sizeof(*w));
	struct sip_relay_limits limits = SIP_RELAY_LIMITS_DEFAULT;
	const struct net_porter_limits porter = { (unsigned)d->config->proxy_header_time * 1000,
	    SIP_RELAY_LIMITS_DEFAULT.handshakes };
	size_t n = d->config->doors.n;

	w->director = d;
	w->config = director_config_ref(d->config);
	w->name = xstrdup(d->config->name);
	w->worker = worker;
	worker->owner = w;
	limits.links = (uint32_t)d->config->max_connections;
	limits.transactions = (uint32_t)d->config->max_transactions;
	limits.handshakes = (uint32_t)d->config->max_handshakes;
	limits.hop_queue = (uint32_t)d->config->max_hop_queue;
	limits.connect_ms = (unsigned)d->config->connect_time * 1000;
	limits.failover_ms = (unsigned)d->config->failover_time * 1000;
	limits.request_ms = limits.invite_first_ms = (unsigned)d->config->request_time * 1000;
	w->lib = net_tls_lib_new();
	net_tls_lib_keys(w->lib, d->stage->keys[worker->id]);
	w->dns = make_dns(worker->loop, d->config);
	w->srvs = srvs_new(worker->loop, w->dns);
	w->signer = sip_flow_signer_new(d->keys);
	w->desk = sipae_desk_new();
	w->nonces = net_hmac_new(d->nonce_key, sizeof(d->nonce_key));
	limit_refusals(w);
	w->relay = sip_relay_new(worker, w->lib, w->dns, w->signer, &limits, &director_relay_ops, w);
	sip_relay_join(w->relay, d->relays);
	sip_relay_take_pen(w->relay, sip_sessions_pen(d->sessions, worker->id));
	sip_relay_add_tap(w->relay, trace_tap(d->trace));
	if ((w->hep = sip_hep_start(d->config->hep_server, (uint32_t)d->config->hep_id, d->config->hep_password, d->config->hep_bodies)) != NULL)
		sip_relay_add_tap(w->relay, sip_hep_tap(w->hep));
	w->ask = ask_new(worker->loop, d->ask[worker->id], (uint32_t)d->config->max_questions);
	w->sweep.fire = sweep;
	if (worker->id == 0)
		net_timer_set(worker->loop, &w->sweep, SWEEP_MS);
	w->server_limits = link_limits(d->config, false);
	for (size_t i = 0; i < n; i++) {
		make_face(w, i);
		if (set_identity(w, i, d->material[i]) != SP_OK)
			return SP_ETLS;
	}
	set_lists(w);
	for (size_t i = 0; i < n; i++) {
		w->door[i] = sip_entrance_open(worker->loop, d->fds[i][worker->id], w->relay, &w->face[i],
		    &director_door(w->config, i)->balancers, &porter);
		d->fds[i][worker->id] = -1;
	}
	targets_warm(w);
	return SP_OK;
}

void
director_worker_stop(struct net_worker *worker, void *arg)
{
	struct director_worker *w = worker->owner;

	(void)arg;
	if (w == NULL)
		return;
	for (size_t i = 0; i < w->nfaces; i++)
		sip_entrance_close(w->door[i]);
	net_timer_cancel(worker->loop, &w->drain);
	net_timer_cancel(worker->loop, &w->sweep);
	ask_free(w->ask, director_forget);
	srvs_free(w->srvs, director_forget);
	sip_relay_free(w->relay);
	sip_refusals_free(w->refusals);
	sip_hep_free(w->hep);
	for (size_t i = 0; i < w->nfaces; i++) {
		net_tls_ctx_unref(w->face[i].server);
		net_tls_ctx_unref(w->face[i].client);
	}
	net_dns_free(w->dns);
	sip_flow_signer_free(w->signer);
	net_hmac_free(w->nonces);
	net_tls_lists_unref(w->lists);
	sipae_desk_free(w->desk);
	net_tls_lib_free(w->lib);
	director_config_unref(w->config);
	free(w->name);
	free(w);
	worker->owner = NULL;
}

/* ---- news from the control thread ---- */

struct update {
	struct net_mail		 mail;
	struct director_config	*config;
	struct net_tls_material	*material[DIRECTOR_DOORS_MAX];
};

static void
deliver_update(struct net_worker *worker, struct net_mail *mail)
{
	struct update *u = (struct update *)mail;
	struct director_worker *w = worker->owner;

	if (w != NULL) {
		director_config_unref(w->config);
		w->config = director_config_ref(u->config);
		limit_refusals(w);
		for (size_t i = 0; i < w->nfaces; i++)
			if (u->material[i] != NULL && set_identity(w, i, u->material[i]) != SP_OK)
				log_say(SP_LOG_ERROR, "certificate-kept", "worker %u keeps the old certificate of door %zu",
				    worker->id, i);
		set_lists(w);
		director_classify_links(w);
		targets_warm(w);
	}
	for (size_t i = 0; i < DIRECTOR_DOORS_MAX; i++)
		net_tls_material_unref(u->material[i]);
	director_config_unref(u->config);
	free(u);
}

void
director_workers_update(struct director *d, struct director_config *config, struct net_tls_material *const *material)
{
	for (unsigned id = 0; id < net_crew_count(d->crew); id++) {
		struct update *u = xcalloc(1, sizeof(*u));

		u->mail.deliver = deliver_update;
		u->config = director_config_ref(config);
		for (size_t i = 0; i < DIRECTOR_DOORS_MAX; i++)
			if (material[i] != NULL)
				u->material[i] = net_tls_material_ref(material[i]);
		net_worker_post(net_crew_worker(d->crew, id), &u->mail);
	}
}

struct reconnect {
	struct net_mail	 mail;
	int		 fd;
	unsigned char	 nonce_key[AUTH_KEY_SIZE];
};

static void
deliver_authd(struct net_worker *worker, struct net_mail *mail)
{
	struct reconnect *r = (struct reconnect *)mail;
	struct director_worker *w = worker->owner;

	if (w != NULL) {
		net_hmac_free(w->nonces);
		w->nonces = net_hmac_new(r->nonce_key, sizeof(r->nonce_key));
		r->fd = ask_take(w->ask, r->fd);
	}
	close(r->fd);
	mem_wipe_free(r, sizeof(*r));
}

void
director_workers_authd(struct director *d, const int *fds)
{
	for (unsigned id = 0; id < net_crew_count(d->crew); id++) {
		struct reconnect *r = xcalloc(1, sizeof(*r));

		r->mail.deliver = deliver_authd;
		r->fd = fds[id];
		memcpy(r->nonce_key, d->nonce_key, sizeof(r->nonce_key));
		net_worker_post(net_crew_worker(d->crew, id), &r->mail);
	}
}

#define DRAIN_LOOK_MS	20

static void
look_whether_busy(struct net_timer *t)
{
	struct director_worker *w = (struct director_worker *)((char *)t - offsetof(struct director_worker, drain));

	atomic_store(&w->busy, sip_relay_transactions(w->relay) != 0 || ask_open(w->ask) != 0 ||
	    srvs_waiting(w->srvs) != 0);
	net_timer_set(w->worker->loop, t, DRAIN_LOOK_MS);
}

static void
deliver_drain(struct net_worker *worker, struct net_mail *mail)
{
	struct director_worker *w = worker->owner;

	free(mail);
	if (w == NULL)
		return;
	for (size_t i = 0; i < w->nfaces; i++)
		sip_entrance_pause(w->door[i]);
	sip_relay_drain(w->relay);
	w->drain.fire = look_whether_busy;
	look_whether_busy(&w->drain);
}

void
director_workers_drain(struct director *d)
{
	for (unsigned id = 0; id < net_crew_count(d->crew); id++) {
		struct net_worker *worker = net_crew_worker(d->crew, id);
		struct net_mail *m = xcalloc(1, sizeof(*m));

		/* until the worker has looked itself */
		atomic_store(&((struct director_worker *)worker->owner)->busy, true);
		m->deliver = deliver_drain;
		net_worker_post(worker, m);
	}
}

bool
director_workers_busy(struct director *d)
{
	for (unsigned id = 0; id < net_crew_count(d->crew); id++)
		if (atomic_load(&((struct director_worker *)net_crew_worker(d->crew, id)->owner)->busy))
			return true;
	return false;
}
