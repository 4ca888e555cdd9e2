/*
 * sallyport-edge - the Access Proxy: doors, workers, and a thread that waits for signals.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "admin/daemon.h"
#include "common/err.h"
#include "common/hash.h"
#include "common/log.h"
#include "common/proc.h"
#include "edge/edge.h"
#include "edge/policyfile.h"
#include "sip/flowfile.h"

static const char program[] = "sallyport-edge";

static void
report_material(void *arg, bool fatal, const char *text)
{
	(void)arg;
	log_say(fatal ? SP_LOG_ERROR : SP_LOG_WARNING, "certificate", "%s", text);
}

static struct net_tls_files
files_of(const struct edge_config *c, size_t i)
{
	const struct edge_door_conf *d = i == EDGE_INNER(c) ? &c->inner : edge_outer(c, i);

	return (struct net_tls_files){ d->certificate, d->key, d->trust, d->crl };
}

/* Every identity of c, or none: SP_OK, or the first error after all were tried. */
static int
load_material(const struct edge_config *c, struct net_tls_material *out[EDGE_DOORS_MAX + 1])
{
	int err = SP_OK;

	memset(out, 0, (EDGE_DOORS_MAX + 1) * sizeof(out[0]));
	for (size_t i = 0; i <= EDGE_INNER(c); i++) {
		struct net_tls_files files = files_of(c, i);
		int e = net_tls_material_load(&out[i], &files, report_material, NULL);

		if (e != SP_OK)
			err = e;
	}
	return err;
}

static void
unref_material(struct net_tls_material *m[EDGE_DOORS_MAX + 1])
{
	for (size_t i = 0; i <= EDGE_DOORS_MAX; i++) {
		net_tls_material_unref(m[i]);
		m[i] = NULL;
	}
}

/* Configuration, policy and certificates: everything that can be wrong before a door opens. */
static int
load_all(struct edge *e, const char *file)
{
	struct conf_errors *errs = conf_errors_new();

	e->config = edge_config_load(file, errs);
	if (e->config != NULL)
		e->rules = policyfile_load(e->config->policy, errs);
	conf_errors_print(errs, stderr);
	conf_errors_free(errs);
	if (e->config == NULL || e->rules == NULL || load_material(e->config, e->material) != SP_OK)
		return EX_CONFIG;
	return 0;
}

static int
load_keys(struct edge *e)
{
	int line, err;

	if (e->config->flow_keys == NULL) {
		e->keys = sip_flow_keys_new();
		return 0;
	}
	if ((err = sip_flow_keys_load(e->config->flow_keys, &e->keys, &line)) == SP_OK)
		return 0;
	if (err == SP_EIO)
		log_say(SP_LOG_ERROR, "flow-keys", "%s: %s", e->config->flow_keys, strerror(errno));
	else if (line == 0)
		log_say(SP_LOG_ERROR, "flow-keys", "%s: others may read it; expects mode 0600", e->config->flow_keys);
	else
		log_say(SP_LOG_ERROR, "flow-keys", "%s:%d: expects 64 hex digits", e->config->flow_keys, line);
	return EX_CONFIG;
}

static int
open_doors(struct edge *e)
{
	unsigned n = net_crew_count(e->crew);

	for (size_t i = 0; i <= EDGE_INNER(e->config); i++) {
		const struct edge_door_conf *d = i == EDGE_INNER(e->config) ? &e->config->inner : edge_outer(e->config, i);

		if (net_door_bind(&d->addr, n, e->fds[i]) != SP_OK) {
			log_say(SP_LOG_ERROR, "door", "%s: %s", d->listen, strerror(errno));
			return EX_OSERR;
		}
		log_say(SP_LOG_NOTICE, "door", "%s is open as %s, %s", d->listen, d->name,
		    i == EDGE_INNER(e->config) ? "inner side" : d->users && d->partners ? "for users and partners" :
		    d->users ? "for users" : "for partners");
	}
	return 0;
}

/*
 * New policy and new certificates, checked completely before they count. What
 * is bad leaves the old in force, and says so.
 */
static void
reload(struct edge *e)
{
	struct conf_errors *errs = conf_errors_new();
	struct edge_config *c;
	struct policy_rules *rules = NULL;
	struct net_tls_material *material[EDGE_DOORS_MAX + 1] = { NULL };

	daemon_notify("RELOADING=1");
	if ((c = edge_config_load(e->config->file, errs)) != NULL)
		rules = policyfile_load(c->policy, errs);
	for (size_t i = 0; i < conf_errors_count(errs); i++)
		log_say(SP_LOG_ERROR, "reload", "%s", conf_errors_get(errs, i));
	if (c == NULL || rules == NULL || load_material(c, material) != SP_OK) {
		log_say(SP_LOG_ERROR, "reload-refused", "the old configuration stays in force");
	} else if (c->outer.n != e->config->outer.n) {
		log_say(SP_LOG_ERROR, "reload-refused", "doors were added or taken away, which needs a restart; "
		    "the old configuration stays in force");
	} else {
		edge_workers_update(e, rules, material);
		log_set_level((enum log_level)(c->log_level + SP_LOG_ERROR));
		log_say(SP_LOG_NOTICE, "reloaded", "policy, certificates and log level; doors, next hops and limits "
		    "change with a restart");
	}
	unref_material(material);
	policy_rules_unref(rules);
	edge_config_free(c);
	conf_errors_free(errs);
	daemon_notify("READY=1");
}

static void
serve(struct edge *e)
{
	daemon_notify("READY=1");
	log_say(SP_LOG_NOTICE, "ready", "%u workers", net_crew_count(e->crew));
	for (;;) {
		switch (daemon_wait()) {
		case DAEMON_RELOAD:
			reload(e);
			break;
		case DAEMON_REOPEN:
			if (log_reopen() != SP_OK)
				log_say(SP_LOG_ERROR, "log", "%s: %s", e->config->log_file, strerror(errno));
			break;
		case DAEMON_CHILD:
			break;
		case DAEMON_STOP:
			daemon_notify("STOPPING=1");
			log_say(SP_LOG_NOTICE, "stopping", "closing all connections");
			return;
		}
	}
}

static unsigned
worker_count(struct edge_config *c)
{
	if (c->workers == 0) {
		long n = sysconf(_SC_NPROCESSORS_ONLN);

		c->workers = n < 1 ? 1 : n > NET_WORKERS_MAX ? NET_WORKERS_MAX : (int)n;
	}
	return (unsigned)c->workers;
}

static void
unload(struct edge *e)
{
	net_crew_free(e->crew);
	sip_relay_set_free(e->relays);
	sip_flow_keys_unref(e->keys);
	unref_material(e->material);
	policy_rules_unref(e->rules);
	edge_config_free(e->config);
}

/* Doors are open, root is given up, workers run until a signal says otherwise. */
static int
run(struct edge *e)
{
	int rc;

	proc_harden();
	proc_want_files((size_t)e->config->limits.connections * 2 + 256);
	e->crew = net_crew_new(worker_count(e->config));
	e->relays = sip_relay_set_new(net_crew_count(e->crew));
	if ((rc = load_keys(e)) != 0 || (rc = open_doors(e)) != 0)
		return rc;
	if (geteuid() == 0 && proc_drop_to(e->config->user) != SP_OK) {
		log_say(SP_LOG_ERROR, "user", "cannot become '%s': %s", e->config->user, strerror(errno));
		return EX_NOUSER;
	}
	/* nothing below this line is privileged */
	daemon_signals();
	if (net_crew_start(e->crew, edge_worker_start, edge_worker_stop, e) != SP_OK) {
		log_say(SP_LOG_ERROR, "start", "a worker could not start");
		return EX_SOFTWARE;
	}
	serve(e);
	net_crew_stop(e->crew);
	log_say(SP_LOG_NOTICE, "stopped", "all workers ended");
	return 0;
}

int
main(int argc, char **argv)
{
	static struct edge edge;
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
	hash_seed();	/* before the first table is built */
	log_open(program, NULL, SP_LOG_NOTICE);
	if ((rc = load_all(&edge, args.config)) == 0 && args.check) {
		printf("%s: good\n", args.config);
	} else if (rc == 0) {
		enum log_level level = (enum log_level)(edge.config->log_level + SP_LOG_ERROR);

		if (log_open(program, edge.config->log_file, level) != SP_OK) {
			fprintf(stderr, "%s: %s: %s\n", program, edge.config->log_file, strerror(errno));
			rc = EX_CANTCREAT;
		} else {
			rc = run(&edge);
		}
	}
	unload(&edge);
	return rc;
}
