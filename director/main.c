/*
 * sallyport-director. Its master is director/master.c; here is the proxy: workers, and a thread that waits for signals.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "admin/daemon.h"
#include "admin/recent.h"
#include "admin/stage.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/hash.h"
#include "common/lives.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/proc.h"
#include "common/sandbox.h"
#include "director/master.h"
#include "net/stats.h"
#include "sip/flowfile.h"
#include "sip/sessions.h"

static const char program[] = "sallyport-director";

/* ---- the proxy: files are the master's, and come from there ---- */

static void
gauge_identity(size_t door, const struct net_tls_material *m)
{
	stats_set(NOT_AFTER, door, 0, m != NULL ? (uint64_t)net_tls_material_not_after(m) : 0);
}

static void
gauge_material(const struct director *d)
{
	for (size_t i = 0; i < d->config->doors.n; i++)
		gauge_identity(i, d->material[i]);
}

/* What the metrics tell of the limits in force. */
static void
gauge_limits(const struct director_config *c)
{
	uint64_t workers = (uint64_t)c->workers;
	const struct { enum stats_limit limit; uint64_t value; } table[] = {
		{ STATS_LIMIT_CONNECTIONS, (uint64_t)c->max_connections * workers },
		{ STATS_LIMIT_CONNECTIONS_BLOCK, (uint64_t)c->connections_block },
		{ STATS_LIMIT_CONNECTIONS_PARTNER, (uint64_t)c->connections_server },
		{ STATS_LIMIT_HANDSHAKES, (uint64_t)c->max_handshakes * workers },
		{ STATS_LIMIT_MESSAGE_RATE, (uint64_t)c->user_rate }, { STATS_LIMIT_TRANSACTIONS_LINK, (uint64_t)c->user_requests },
		{ STATS_LIMIT_HOP_QUEUE, (uint64_t)c->max_hop_queue }, { STATS_LIMIT_HOPS, SIP_RELAY_LIMITS_DEFAULT.hops },
		{ STATS_LIMIT_DNS_CACHE, DIRECTOR_DNS_CACHE },
		{ STATS_LIMIT_REFUSAL_LINES, (uint64_t)c->log_refusals }, { STATS_LIMIT_CONTROL_CLIENTS, CONTROL_CLIENTS },
		{ STATS_LIMIT_TRANSACTIONS, (uint64_t)c->max_transactions * workers },
		{ STATS_LIMIT_HELD, (uint64_t)c->max_questions * workers },
		{ STATS_LIMIT_PROXY_HEADER_TIME, (uint64_t)c->proxy_header_time },
		{ STATS_LIMIT_HANDSHAKE_TIME, (uint64_t)c->handshake_time },
		{ STATS_LIMIT_FIRST_MESSAGE_TIME, (uint64_t)c->first_message_time },
		{ STATS_LIMIT_MESSAGE_TIME, (uint64_t)c->message_time },
		{ STATS_LIMIT_SIGN_IN_TIME, (uint64_t)c->signin_time },
		{ STATS_LIMIT_IDLE_TIME, (uint64_t)c->idle_time }, { STATS_LIMIT_MESSAGE_SIZE, (uint64_t)c->max_message },
		{ STATS_LIMIT_WRITE_QUEUE, (uint64_t)c->max_queue * 1024 / 4 },
		{ STATS_LIMIT_LINK_QUEUE, (uint64_t)c->max_queue * 4096 },
		{ STATS_LIMIT_ASSOCIATIONS, (uint64_t)c->sipae_associations },
		{ STATS_LIMIT_ASSOCIATIONS_USER, (uint64_t)c->sipae_per_user },
		{ STATS_LIMIT_SIGN_INS, (uint64_t)c->sipae_handshakes },
		{ STATS_LIMIT_SIGN_IN_RATE, (uint64_t)c->guesses_pair }, { STATS_LIMIT_ANSWERS, SIP_ANSWERS_MAX },
		{ STATS_LIMIT_DNS_QUERIES, NET_DNS_FLIGHT_MAX }, { STATS_LIMIT_GUESSES, (uint64_t)c->guesses_entries },
		{ STATS_LIMIT_REPLAYS, (uint64_t)c->auth_replay_entries },
		/* with those that LDAP does not have, and with logins, a quarter each */
		{ STATS_LIMIT_DIRECTORY_ENTRIES, (uint64_t)c->directory.entries + 2 * ((uint64_t)c->directory.entries / 4) }
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		stats_set(LIMIT, table[i].limit, 0, table[i].value);
}

/* What is new is in force from now on. */
static void
put_in_force(struct director *d, struct director_config *c, struct net_tls_material *const *material)
{
	director_workers_update(d, c, material);
	log_set_level((enum log_level)(c->log_level + SP_LOG_ERROR));
	director_config_ref(c);
	director_config_unref(d->config);
	d->config = c;
	stage_replace(d->material, material, DIRECTOR_DOORS_MAX);
	gauge_material(d);
	gauge_limits(d->config);
}

static struct sip_flow_signer *
signer_of(const void *worker)
{
	const struct director_worker *w = worker;

	return w->signer;
}

bool
director_reload(struct director *d, struct conf_errors *errs)
{
	struct net_tls_material *material[DIRECTOR_DOORS_MAX] = { NULL };
	struct director_config *c = NULL;
	char *bytes;
	size_t n;
	int err = backstage_ask(d->stage, DIRECTOR_ASK_LOAD, -1, &bytes, &n);
	struct span rest = span_of(bytes, n);
	bool good = err == SP_OK;

	if (good && ((c = director_config_unpack(&rest)) == NULL || !stage_unpack(&rest, material, DIRECTOR_DOORS_MAX))) {
		log_say(SP_LOG_ERROR, "reload-refused", "what the master has sent cannot be used");
		good = false;
	} else if (good) {
		put_in_force(d, c, material);
		stage_renew_flow_keys(d->stage, DIRECTOR_ASK_KEYS, &d->keys, d->crew, signer_of);
		log_say(SP_LOG_NOTICE, "reloaded", "flow keys, domains, edges, pools and authentication");
	}
	/* the master has logged them */
	for (; (good || err != SP_OK) && rest.n > 0; rest = span_tail(rest, strlen(rest.p) + 1))
		conf_error(errs, NULL, 0, "%s", rest.p);
	good = good && conf_errors_count(errs) == 0;
	stats_reloaded(good);
	stage_unref(material, DIRECTOR_DOORS_MAX);
	director_config_unref(c);
	if (bytes != NULL)
		mem_wipe_free(bytes, n);
	backstage_ready(d->stage);
	return good;
}

static void
reload(struct director *d)
{
	struct conf_errors *errs = conf_errors_new();

	(void)director_reload(d, errs);	/* it has logged what is wrong */
	conf_errors_free(errs);
}

/* Every second: has a certificate or a revocation list changed? */
static void
renew(struct director *d)
{
	struct net_tls_material *material[DIRECTOR_DOORS_MAX];

	if (stage_renewed(d->stage, material, DIRECTOR_DOORS_MAX)) {
		stage_replace(d->material, material, DIRECTOR_DOORS_MAX);
		director_workers_update(d, d->config, material);
		gauge_material(d);
	}
	stage_unref(material, DIRECTOR_DOORS_MAX);
}

/*
 * There is another authd, which does not know what was used with the one before: what was offered for that counts
 * no more, so that nothing is taken twice.
 */
static void
take_authd(struct director *d)
{
	struct backstage *b = d->stage;

	mem_random(d->nonce_key, sizeof(d->nonce_key));
	director_workers_authd(d, b->fresh);
	b->nfresh = 0;
	log_say(SP_LOG_NOTICE, "authd-started", "the workers have new channels to authd");
}

/* What the master has sent unasked. */
static void
look(struct director *d)
{
	backstage_look(d->stage);
	if (d->stage->nfresh != 0)
		take_authd(d);
}

/* Requests in flight get their time; then everything closes. */
static void
drain(struct director *d)
{
	uint64_t until = clock_ms() + (uint64_t)d->config->drain_time * 1000;

	log_say(SP_LOG_NOTICE, "stopping", "no new requests; those in flight have %d seconds", d->config->drain_time);
	director_workers_drain(d);
	while (director_workers_busy(d) && clock_ms() < until) {
		/* whoever asks on the control socket is answered up to the end */
		control_run_main(d->control);
		look(d);
		usleep(20 * 1000);
	}
}

bool
director_reopen_logs(struct director *d)
{
	return backstage_reopen_log(d->stage) == SP_OK && sip_sessions_reopen(d->sessions) == SP_OK;
}

static int
serve(struct director *d)
{
	backstage_ready(d->stage);
	log_say(SP_LOG_NOTICE, "ready", "%u workers", net_crew_count(d->crew));
	for (;;) {
		backstage_alive(d->stage, d->crew);
		switch (daemon_wait(RENEW_EVERY_MS)) {
		case DAEMON_RELOAD:
			reload(d);
			break;
		case DAEMON_REOPEN:
			if (!director_reopen_logs(d))
				log_say(SP_LOG_ERROR, "log", "a log file cannot be opened again");
			break;
		case DAEMON_TICK:
			sip_sessions_flush(d->sessions);
			renew(d);
			break;
		case DAEMON_ASKED:
			sip_sessions_flush(d->sessions);	/* it may have been a worker that hurries */
			control_run_main(d->control);
			break;
		case DAEMON_CHILD:
			look(d);
			break;
		case DAEMON_STOP:
			drain(d);
			return 0;
		}
	}
}

static unsigned
worker_count(struct director_config *c)
{
	if (c->workers == 0) {
		long n = sysconf(_SC_NPROCESSORS_ONLN);

		c->workers = n < 1 ? 1 : n > NET_WORKERS_MAX ? NET_WORKERS_MAX : (int)n;
	}
	return (unsigned)c->workers;
}

static struct sa_limits
sa_limits(const struct director_config *c)
{
	return (struct sa_limits){ .total = (uint32_t)c->sipae_associations, .per_user = (uint32_t)c->sipae_per_user,
	    .half_open = (uint32_t)c->sipae_handshakes, .half_open_ms = 32000, .idle_ms = (uint64_t)c->sipae_idle * 1000,
	    .lifetime_ms = (uint64_t)c->sipae_lifetime * 1000 };
}

/* Routes that we or another Director of our name wrote before find the same clients again. */
static struct sa_table *
make_sas(const struct director *d)
{
	struct sa_limits limits = sa_limits(d->config);
	unsigned char key[SIP_FLOW_KEY_SIZE];
	struct sa_table *t;

	sip_flow_keys_derive(d->keys, "endpoints", key);
	t = sa_table_new(&limits, key);
	mem_wipe(key, sizeof(key));
	return t;
}

/* Rights are given up, workers run until a signal says otherwise. */
int
director_proxy(struct director *d)
{
	/* the Kerberos library looks for its configuration with each session that it is given */
	enum sandbox_role role = d->config->auth_keytab != NULL ? SANDBOX_PROXY_KRB5 : SANDBOX_PROXY;
	int rc;

	stats_set(LIMIT, STATS_LIMIT_FILES, 0, proc_want_files((size_t)d->config->max_connections * d->nworkers + 256));
	mem_random(d->nonce_key, sizeof(d->nonce_key));
	d->crew = net_crew_new(d->nworkers);
	d->relays = sip_relay_set_new(d->nworkers);
	d->sas = make_sas(d);
	d->quota = net_quota_new();
	d->rates = net_rates_new(DIRECTOR_RATES);
	d->control = director_control_new(d);
	if (!stage_drop(d->stage, d->config->user))
		return EX_NOUSER;
	/* nothing below this line is privileged */
	d->seen = seen_new(SEEN_ACCEPTED_MAX, SEEN_REFUSED_MAX);
	gauge_limits(d->config);
	stats_set(STARTED, 0, 0, (uint64_t)clock_wall());
	gauge_material(d);
	if (!stage_sessions(d->stage, d->config->session_file, d->nworkers, (unsigned)d->config->session_size, &d->sessions))
		return EX_CANTCREAT;
	if (!stage_fence(role, d->config->sandbox))
		return EX_OSERR;
	if (net_crew_start(d->crew, director_worker_start, director_worker_stop, d) != SP_OK) {
		log_say(SP_LOG_ERROR, "start", "a worker could not start");
		return EX_SOFTWARE;
	}
	control_start(d->control);
	if (d->config->sandbox && sandbox_calls(role) != SP_OK)
		rc = EX_OSERR;
	else
		rc = serve(d);
	control_stop(d->control);
	net_crew_stop(d->crew);
	if (rc == 0)
		log_say(SP_LOG_NOTICE, "stopped", "all workers ended");
	return rc;
}

void
director_unload(struct director *d)
{
	control_free(d->control);
	net_crew_free(d->crew);
	trace_free(d->trace);
	sip_relay_set_free(d->relays);
	sip_sessions_free(d->sessions);
	authd_stop(&d->authd);
	sip_flow_keys_unref(d->keys);
	sip_flow_keys_unref(d->keys_read);
	sa_table_free(d->sas);
	net_quota_free(d->quota);
	net_rates_free(d->rates);
	mem_wipe(d->nonce_key, sizeof(d->nonce_key));
	renew_free(d->renew);
	seen_free(d->seen);
	stage_unref(d->material, DIRECTOR_DOORS_MAX);
	director_config_unref(d->config);
}

int
main(int argc, char **argv)
{
	static struct director director = { .authd = { .control = -1 } };
	struct conf_errors *errs;
	struct daemon_args args;
	int rc = daemon_args_parse(argc, argv, program,
	    "The Director: authenticates users and finds their home pools.", DIRECTOR_DEFAULT_CONFIG, &args);

	if (rc != -1)
		return rc;
	if (args.options) {
		director_config_print_options(stdout);
		return 0;
	}
	log_keep("refused", RECENT_REFUSALS);
	hash_seed();	/* before the first table is built */
	lives_share();	/* and before there is a second process */
	log_open(program, NULL, SP_LOG_NOTICE);
	director.file = args.config;
	errs = conf_errors_new();
	director.config = director_config_read(args.config, errs);
	/* of a file that broke off before its doors nothing more can be said */
	if (director.config->doors.n != 0 && geteuid() == 0)
		director_check_accounts(director.config, args.config, errs);
	if (director.config->doors.n != 0 && args.check)
		director_check(&director, errs);
	conf_errors_print(errs, stderr);
	if (conf_errors_count(errs) != 0)
		rc = EX_CONFIG;
	else if (args.check) {
		rc = 0;
		printf("%s: good\n", args.config);
	} else if (log_open(program, director.config->log_file, (enum log_level)(director.config->log_level + SP_LOG_ERROR)) !=
	    SP_OK) {
		fprintf(stderr, "%s: %s: %s\n", program, director.config->log_file, strerror(errno));
		rc = EX_CANTCREAT;
	} else {
		if (director.config->log_file == NULL && log_use_journal(director.config->log_journal) != SP_OK)
			log_say(SP_LOG_ERROR, "log", "journal (%s): %s", director.config->log_journal, strerror(errno));
		director.nworkers = worker_count(director.config);
		rc = director_master(&director);
	}
	conf_errors_free(errs);
	director_unload(&director);
	return rc;
}
