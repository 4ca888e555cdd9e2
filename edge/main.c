/*
 * sallyport-edge - the Access Proxy. Its master is edge/master.c; here is the proxy: workers,
 * and a thread that waits for signals.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "admin/daemon.h"
#include "admin/policyfile.h"
#include "admin/recent.h"
#include "admin/stage.h"
#include "common/chan.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/hash.h"
#include "common/lives.h"
#include "common/log.h"
#include "common/proc.h"
#include "common/sandbox.h"
#include "edge/edge.h"
#include "edge/gauges.h"
#include "edge/master.h"
#include "edge/sharedin.h"
#include "net/stats.h"
#include "sip/sessions.h"

#define LIST_EVERY_MS	5000	/* the list of certificates that peers have shown */

static const char program[] = "sallyport-edge";

static int
load_all(struct edge *e, const char *file, bool check)
{
	struct conf_errors *errs = conf_errors_new();
	struct edge_loaded l;
	bool good = edge_load(e, file, &l, errs, check);

	e->config = l.config;
	e->rules = l.rules;
	memcpy(e->obeyed.sha256, l.sha256, sizeof(l.sha256));
	memcpy(e->material, l.material, sizeof(e->material));
	free(l.rows);
	conf_errors_print(errs, stderr);
	conf_errors_free(errs);
	return good ? 0 : EX_CONFIG;
}

/* ---- the proxy: files are the master's, and come from there ---- */

static void
gauge_material(const struct edge *e, struct net_tls_material *const *material, bool whole)
{
	for (size_t i = 0; i < EDGE_IDENTITIES; i++)
		if (whole || material[i] != NULL)
			edge_gauge_identity(e->config, i, material[i]);
}

/* Policy and certificates are in force from now on. */
static void
put_in_force(struct edge *e, struct policy_rules *rules, struct net_tls_material *const *material,
    const struct edge_loaded_head *head)
{
	edge_workers_update(e, rules, material, true);
	edge_workers_limit_lines(e, head->log_refusals, head->log_window);
	edge_obey(e, head->sha256, 0, NULL);
	gauge_material(e, material, true);
	log_set_level((enum log_level)(head->log_level + SP_LOG_ERROR));
	log_say(SP_LOG_NOTICE, "reloaded", "policy, certificates, flow keys, log.level, log.refusals and log.window; doors, next hops "
	    "and limits change with a restart");
}

static struct sip_flow_signer *
signer_of(const void *worker)
{
	const struct edge_worker *w = worker;

	return w->signer;
}

bool
edge_reload(struct edge *e, struct conf_errors *errs)
{
	struct net_tls_material *material[EDGE_IDENTITIES] = { NULL };
	struct policy_rules *rules = NULL;
	char *bytes;
	size_t n;
	int err = backstage_ask(e->stage, EDGE_ASK_LOAD, -1, &bytes, &n);
	struct span rest = span_of(bytes, n);
	struct edge_loaded_head head;
	bool good = err == SP_OK && n > sizeof(head);

	if (good) {
		memcpy(&head, bytes, sizeof(head));
		rest = span_of(bytes + sizeof(head), n - sizeof(head));
		good = (rules = policyfile_unpack(&rest)) != NULL && stage_unpack(&rest, material, EDGE_IDENTITIES) && rest.n == 0;
	} else {
		for (; rest.n > 0; rest = span_tail(rest, strlen(rest.p) + 1)) {
			log_say(SP_LOG_ERROR, "reload", "%s", rest.p);
			conf_error(errs, NULL, 0, "%s", rest.p);
		}
	}
	if (good) {
		put_in_force(e, rules, material, &head);
		stage_renew_flow_keys(e->stage, EDGE_ASK_KEYS, &e->keys, e->crew, signer_of);
	} else {
		log_say(SP_LOG_ERROR, "reload-refused", "the old configuration stays in force");
	}
	stats_reloaded(good);
	edge_unref_material(material);
	policy_rules_unref(rules);
	free(bytes);
	backstage_ready(e->stage);
	return good;
}

static void
reload(struct edge *e)
{
	struct conf_errors *errs = conf_errors_new();

	(void)edge_reload(e, errs);	/* it has logged what is wrong */
	conf_errors_free(errs);
}

/* Every second: has a certificate or a revocation list changed? */
static void
renew(struct edge *e)
{
	struct net_tls_material *material[EDGE_IDENTITIES];

	if (stage_renewed(e->stage, material, EDGE_IDENTITIES)) {
		edge_workers_update(e, NULL, material, false);
		gauge_material(e, material, false);
	}
	stats_set(DISCOVERED, 0, 0, edge_discovered_count(e->discovered));
	edge_unref_material(material);
}

/* Who was busy of the partners that nobody has listed. */
static void
report_discovered(struct edge *e)
{
	uint64_t ms = clock_ms(), every = (uint64_t)e->config->discovered.report * 1000;

	if (every == 0 || ms < e->reported_at + every)
		return;
	e->reported_at = ms;
	edge_discovered_report(e->discovered);
}

/* For the administrator, now and then and at the end. */
static void
list_peers(struct edge *e, bool now)
{
	uint64_t ms = clock_ms();
	char *list = NULL, *why = NULL;
	size_t n = 0, why_n;
	FILE *f;
	int fd;

	if (e->config->peer_certificates == NULL || (!now && ms < e->listed_at + LIST_EVERY_MS))
		return;
	e->listed_at = ms;
	if ((f = open_memstream(&list, &n)) == NULL)
		abort();		/* only when out of memory */
	if (!seen_print(e->seen, f)) {
		fclose(f);
		free(list);
		return;
	}
	fclose(f);
	fd = chan_file("peers", span_of(list, n));
	if (fd != -1 && backstage_ask(e->stage, EDGE_ASK_LIST, fd, &why, &why_n) == SP_OK) {
		e->list_failed = false;
	} else {
		seen_again(e->seen);
		if (!e->list_failed)	/* said once, until it works again */
			log_say(SP_LOG_ERROR, "peer-certificates", "%s: %s", e->config->peer_certificates,
			    why != NULL ? why : "cannot be handed over");
		e->list_failed = true;
	}
	if (fd != -1)
		close(fd);
	free(list);
	free(why);
}

static int
serve(struct edge *e)
{
	backstage_ready(e->stage);
	log_say(SP_LOG_NOTICE, "ready", "%u workers", net_crew_count(e->crew));
	for (;;) {
		backstage_alive(e->stage, e->crew);
		switch (daemon_wait(RENEW_EVERY_MS)) {
		case DAEMON_RELOAD:
			reload(e);
			break;
		case DAEMON_REOPEN:
			if (backstage_reopen_log(e->stage) != SP_OK || sip_sessions_reopen(e->sessions) != SP_OK)
				log_say(SP_LOG_ERROR, "log", "a log file cannot be opened again");
			break;
		case DAEMON_TICK:
			sip_sessions_flush(e->sessions);
			renew(e);
			list_peers(e, false);
			report_discovered(e);
			edge_shared_tick(e);
			break;
		case DAEMON_ASKED:
			sip_sessions_flush(e->sessions);	/* it may have been a worker that hurries */
			control_run_main(e->control);
			break;
		case DAEMON_CHILD:
			backstage_look(e->stage);
			break;
		case DAEMON_STOP:
			edge_drain(e);
			return 0;
		}
	}
}

void
edge_unload(struct edge *e)
{
	control_free(e->control);
	net_crew_free(e->crew);
	trace_free(e->trace);
	sip_relay_set_free(e->relays);
	sip_sessions_free(e->sessions);
	sip_flow_keys_unref(e->keys);
	sip_flow_keys_unref(e->keys_read);
	renew_free(e->renew);
	seen_free(e->seen);
	edge_discovered_free(e->discovered);
	net_quota_free(e->quota);
	edge_unref_material(e->material);
	edge_shadow_unref(e->shadow);
	policy_rules_unref(e->rules);
	edge_config_free(e->config);
	(void)net_keyd_stop(e->keyd);
}

/* Rights are given up, workers run until a signal says otherwise. */
int
edge_proxy(struct edge *e)
{
	struct edge_discovered_limits limits = edge_discovered_limits(e->config);
	int rc;

	stats_set(LIMIT, STATS_LIMIT_FILES, 0, proc_want_files((size_t)e->config->limits.connections * 2 + 256));
	e->crew = net_crew_new(e->nworkers);
	e->relays = sip_relay_set_new(e->nworkers);
	e->quota = net_quota_new();
	e->control = edge_control_new(e);
	if (!stage_drop(e->stage, e->config->user))
		return EX_NOUSER;
	/* nothing below this line is privileged */
	e->discovered = edge_discovered_new(&limits);
	e->reported_at = clock_ms();
	edge_obey(e, e->obeyed.sha256, 0, NULL);
	e->seen = seen_new(SEEN_ACCEPTED_MAX, SEEN_REFUSED_MAX);
	edge_gauge_limits(e->config);
	gauge_material(e, e->material, true);
	if (!stage_sessions(e->stage, e->config->session_file, e->nworkers, (unsigned)e->config->session_size, &e->sessions))
		return EX_CANTCREAT;
	if (!stage_fence(SANDBOX_PROXY, e->config->sandbox))
		return EX_OSERR;
	if (net_crew_start(e->crew, edge_worker_start, edge_worker_stop, e) != SP_OK) {
		log_say(SP_LOG_ERROR, "start", "a worker could not start");
		return EX_SOFTWARE;
	}
	control_start(e->control);
	if (e->config->sandbox && sandbox_calls(SANDBOX_PROXY) != SP_OK)
		rc = EX_OSERR;
	else
		rc = serve(e);
	control_stop(e->control);
	net_crew_stop(e->crew);
	list_peers(e, true);
	if (rc == 0)
		log_say(SP_LOG_NOTICE, "stopped", "all workers ended");
	return rc;
}

int
main(int argc, char **argv)
{
	static struct edge edge = { .obeyed = { .lock = PTHREAD_MUTEX_INITIALIZER } };
	struct daemon_args args;
	int rc = daemon_args_parse(argc, argv, program,
	    "The Access Proxy: remote users and partners outside, Directors inside.", SYSCONFDIR "/edge.conf", &args);

	if (rc != -1)
		return rc;
	if (args.options) {
		edge_config_print_options(stdout);
		policyfile_print_options(stdout);
		return 0;
	}
	log_keep("refused", RECENT_REFUSALS);
	hash_seed();	/* before the first table is built */
	lives_share();	/* and before there is a second process */
	log_open(program, NULL, SP_LOG_NOTICE);
	if ((rc = load_all(&edge, args.config, args.check)) == 0 && args.check) {
		printf("%s: good\n", args.config);
	} else if (rc == 0) {
		enum log_level level = (enum log_level)(edge.config->log_level + SP_LOG_ERROR);

		if (log_open(program, edge.config->log_file, level) != SP_OK) {
			fprintf(stderr, "%s: %s: %s\n", program, edge.config->log_file, strerror(errno));
			rc = EX_CANTCREAT;
		} else {
			if (edge.config->log_file == NULL && log_use_journal(edge.config->log_journal) != SP_OK)
				log_say(SP_LOG_ERROR, "log", "journal (%s): %s", edge.config->log_journal, strerror(errno));
			edge.nworkers = edge_worker_count(edge.config);
			rc = edge_master(&edge);
		}
	}
	edge_unload(&edge);
	return rc;
}
