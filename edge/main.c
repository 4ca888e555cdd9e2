/*
 * sallyport-edge - the Access Proxy: doors, workers, and a thread that waits for signals.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "admin/daemon.h"
#include "admin/policyfile.h"
#include "admin/recent.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/hash.h"
#include "common/log.h"
#include "common/proc.h"
#include "edge/edge.h"
#include "edge/gauges.h"
#include "net/stats.h"
#include "sip/flowfile.h"
#include "sip/sessions.h"

#define LIST_EVERY_MS	5000	/* the list of certificates that peers have shown */

static const char program[] = "sallyport-edge";

static bool
is_given(const char *text)
{
	return text != NULL && text[0] != '\0';
}

/* Where identity i comes from, and what to call it. False: there is none. */
static bool
identity_of(const struct edge_config *c, size_t i, struct net_tls_files *files, char label[48])
{
	size_t door = i % EDGE_DIAL(0);
	bool dial = i >= EDGE_DIAL(0);
	const struct edge_door_conf *d;

	if (door > EDGE_INNER(c) || door > EDGE_DOORS_MAX)
		return false;
	d = door == EDGE_INNER(c) ? &c->inner : edge_outer(c, door);
	*files = (struct net_tls_files){ dial ? d->dial_certificate : d->certificate, dial ? d->dial_key : d->key,
	    d->trust, d->crl, dial, NULL };
	if (door == EDGE_INNER(c))
		snprintf(label, 48, "inner%s", dial ? " (dial_certificate)" : "");
	else
		snprintf(label, 48, "outer[%zu]%s", door, dial ? " (dial_certificate)" : "");
	return is_given(files->certificate) && is_given(files->key);
}

/* Where what is said about certificates goes. */
struct material_report {
	struct conf_errors	*errs;
	const struct edge_config *config;
	bool			 check;		/* -n: a person reads it now */
	size_t			 door;
	char			 label[48];
};

static void
report_material(void *arg, bool fatal, const char *text)
{
	const struct material_report *r = arg;
	const struct edge_config *c = r->config;
	int line = r->door == EDGE_INNER(c) ? conf_line_of(r->errs, "inner.certificate") : c->outer.line[r->door];

	if (fatal)
		conf_error(r->errs, c->file, line, "%s: %s", r->label, text);
	else if (r->check)
		fprintf(stderr, "%s:%d: %s: warning: %s\n", c->file, line, r->label, text);
	else
		log_say(SP_LOG_WARNING, "certificate", "%s: %s", r->label, text);
}

/* Every identity of c that is configured; what is wrong with one is added to errs. */
static void
load_material(const struct edge_config *c, struct net_tls_material *out[EDGE_IDENTITIES], struct conf_errors *errs,
    bool check)
{
	struct material_report r = { .errs = errs, .config = c, .check = check };

	memset(out, 0, EDGE_IDENTITIES * sizeof(out[0]));
	for (size_t i = 0; i < EDGE_IDENTITIES; i++) {
		const struct edge_door_conf *d;
		struct net_tls_files files;
		char text[512];

		if (!identity_of(c, i, &files, r.label))
			continue;
		r.door = i % EDGE_DIAL(0);
		d = r.door == EDGE_INNER(c) ? &c->inner : edge_outer(c, r.door);
		if (net_tls_material_load(&out[i], &files, report_material, &r) != SP_OK)
			continue;
		if (i < EDGE_DIAL(0) && is_given(d->name) && !net_tls_material_proves(out[i], d->name)) {
			snprintf(text, sizeof(text), "%s does not hold the name %s, so whoever verifies it will not connect",
			    d->certificate, d->name);
			report_material(&r, false, text);
		}
	}
}

/* From now on changes of the files are noticed. */
static void
watch_material(struct edge *e, const struct edge_config *c, struct net_tls_material *const material[EDGE_IDENTITIES])
{
	for (size_t i = 0; i < EDGE_IDENTITIES; i++) {
		struct net_tls_files files;
		char label[48] = "";
		bool there = identity_of(c, i, &files, label);

		renew_watch(e->renew, i, label, there ? &files : NULL, material[i]);
		edge_gauge_identity(c, i, there ? material[i] : NULL);
	}
}

static void
unref_material(struct net_tls_material *m[EDGE_IDENTITIES])
{
	for (size_t i = 0; i < EDGE_IDENTITIES; i++) {
		net_tls_material_unref(m[i]);
		m[i] = NULL;
	}
}

/*
 * Configuration, policy and certificates: everything that can be wrong before a
 * door opens, looked at in one go. True if nothing is; what was loaded is the
 * caller's in either case.
 */
static bool
load_files(const char *file, struct edge_config **config, struct policy_rules **rules,
    struct net_tls_material *material[EDGE_IDENTITIES], struct conf_errors *errs, bool check)
{
	size_t before = conf_errors_count(errs);
	struct edge_config *c = edge_config_load(file, errs);

	*config = c;
	if (c == NULL)
		return false;
	if (geteuid() == 0 && is_given(c->user) && !proc_knows_user(c->user))
		conf_error(errs, c->file, conf_line_of(errs, "user"), "user: this machine has no account \"%s\"; "
		    "make it, or name the account that sallyport-edge is to run as", c->user);
	load_material(c, material, errs, check);
	conf_errors_sort(errs, before, file);
	*rules = policyfile_load(c->policy, errs);
	if (*rules != NULL && !edge_has_inside(c) && !policy_only_relays(*rules))
		conf_error(errs, c->file, 0, "inner: is missing and has no default: only a clearing house without domains and "
		    "branches of its own (see %s) has no inside", c->policy);
	return conf_errors_count(errs) == 0;
}

static int
load_all(struct edge *e, const char *file, bool check)
{
	struct conf_errors *errs = conf_errors_new();
	bool good = load_files(file, &e->config, &e->rules, e->material, errs, check);

	conf_errors_print(errs, stderr);
	conf_errors_free(errs);
	return good ? 0 : EX_CONFIG;
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

static const char *
door_advice(int error)
{
	switch (error) {
	case EADDRINUSE:
		return "; another program listens there";
	case EADDRNOTAVAIL:
		return "; no interface of this machine has that address";
	case EACCES:
		return "; a port below 1024 can be opened by root only";
	default:
		return "";
	}
}

static int
open_doors(struct edge *e)
{
	unsigned n = net_crew_count(e->crew);

	for (size_t i = 0; i < EDGE_FACES(e->config); i++) {
		const struct edge_door_conf *d = i == EDGE_INNER(e->config) ? &e->config->inner : edge_outer(e->config, i);

		if (net_door_bind(&d->addr, n, e->fds[i]) != SP_OK) {
			log_say(SP_LOG_ERROR, "door", "%s: %s%s", d->listen, strerror(errno), door_advice(errno));
			return EX_OSERR;
		}
		log_say(SP_LOG_NOTICE, "door", "%s is open as %s, %s", d->listen, d->name,
		    i == EDGE_INNER(e->config) ? "inner side" : d->users && d->partners ? "for users and partners" :
		    d->users ? "for users" : "for partners");
	}
	return 0;
}

bool
edge_reload(struct edge *e, struct conf_errors *errs)
{
	struct edge_config *c;
	struct policy_rules *rules = NULL;
	struct net_tls_material *material[EDGE_IDENTITIES] = { NULL };
	bool good;

	daemon_notify("RELOADING=1");
	good = load_files(e->config->file, &c, &rules, material, errs, false);
	for (size_t i = 0; i < conf_errors_count(errs); i++)
		log_say(SP_LOG_ERROR, "reload", "%s", conf_errors_get(errs, i));
	if (!good) {
		log_say(SP_LOG_ERROR, "reload-refused", "the old configuration stays in force");
	} else if (c->outer.n != e->config->outer.n) {
		log_say(SP_LOG_ERROR, "reload-refused", "doors were added or taken away, which needs a restart; "
		    "the old configuration stays in force");
		conf_error(errs, c->file, conf_line_of(errs, "outer"), "doors were added or taken away, which needs a restart");
		good = false;
	} else {
		edge_workers_update(e, rules, material, true);
		watch_material(e, c, material);
		log_set_level((enum log_level)(c->log_level + SP_LOG_ERROR));
		log_say(SP_LOG_NOTICE, "reloaded", "policy, certificates and log level; doors, next hops and limits "
		    "change with a restart");
	}
	stats_reloaded(good);
	unref_material(material);
	policy_rules_unref(rules);
	edge_config_free(c);
	daemon_notify("READY=1");
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

	if (renew_look(e->renew, material) != 0)
		edge_workers_update(e, NULL, material, false);
	for (size_t i = 0; i < EDGE_IDENTITIES; i++)
		if (material[i] != NULL)
			edge_gauge_identity(e->config, i, material[i]);
	stats_set(DISCOVERED, 0, 0, edge_discovered_count(e->discovered));
	unref_material(material);
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

	if (e->config->peer_certificates == NULL || (!now && ms < e->listed_at + LIST_EVERY_MS))
		return;
	e->listed_at = ms;
	if (seen_write(e->seen, e->config->peer_certificates) == SP_OK)
		e->list_failed = false;
	else if (!e->list_failed) {
		e->list_failed = true;	/* said once, until it works again */
		log_say(SP_LOG_ERROR, "peer-certificates", "%s: %s", e->config->peer_certificates, strerror(errno));
	}
}

static void
serve(struct edge *e)
{
	daemon_notify("READY=1");
	log_say(SP_LOG_NOTICE, "ready", "%u workers", net_crew_count(e->crew));
	for (;;) {
		switch (daemon_wait(RENEW_EVERY_MS)) {
		case DAEMON_RELOAD:
			reload(e);
			break;
		case DAEMON_REOPEN:
			if (log_reopen() != SP_OK || sip_sessions_reopen(e->sessions) != SP_OK)
				log_say(SP_LOG_ERROR, "log", "a log file cannot be opened again: %s", strerror(errno));
			break;
		case DAEMON_TICK:
			sip_sessions_flush(e->sessions);
			renew(e);
			list_peers(e, false);
			report_discovered(e);
			break;
		case DAEMON_ASKED:
			control_run_main(e->control);
			break;
		case DAEMON_CHILD:
			break;
		case DAEMON_STOP:
			daemon_notify("STOPPING=1");
			edge_drain(e);
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
	control_free(e->control);
	net_crew_free(e->crew);
	trace_free(e->trace);
	sip_relay_set_free(e->relays);
	sip_sessions_free(e->sessions);
	sip_flow_keys_unref(e->keys);
	renew_free(e->renew);
	seen_free(e->seen);
	edge_discovered_free(e->discovered);
	unref_material(e->material);
	edge_shadow_unref(e->shadow);
	policy_rules_unref(e->rules);
	edge_config_free(e->config);
}

static void
warn_if_unreadable(const char *file)
{
	if (is_given(file) && access(file, R_OK) == -1)
		log_say(SP_LOG_WARNING, "unreadable", "%s: %s for the account that this is now; as long as that is so, "
		    "every reload will be refused", file, strerror(errno));
}

/* What a reload reads, it reads without the privileges of the start. */
static void
warn_of_reloads(const struct edge_config *c)
{
	warn_if_unreadable(c->file);
	warn_if_unreadable(c->policy);
	for (size_t i = 0; i < EDGE_FACES(c); i++) {
		const struct edge_door_conf *d = i == EDGE_INNER(c) ? &c->inner : edge_outer(c, i);

		warn_if_unreadable(d->certificate);
		/* two doors often have one key */
		if (i == 0 || i == EDGE_INNER(c) || strcmp(d->key, edge_outer(c, i - 1)->key) != 0)
			warn_if_unreadable(d->key);
		warn_if_unreadable(d->dial_certificate);
		warn_if_unreadable(d->dial_key);
		warn_if_unreadable(d->trust);
		warn_if_unreadable(d->crl);
	}
}

/* Doors are open, root is given up, workers run until a signal says otherwise. */
static int
run(struct edge *e)
{
	struct edge_discovered_limits limits = edge_discovered_limits(e->config);
	int rc;

	proc_harden();
	proc_want_files((size_t)e->config->limits.connections * 2 + 256);
	e->crew = net_crew_new(worker_count(e->config));
	e->relays = sip_relay_set_new(net_crew_count(e->crew));
	if ((rc = load_keys(e)) != 0 || (rc = open_doors(e)) != 0)
		return rc;
	e->control = edge_control_new(e);
	if (geteuid() == 0 && (rc = proc_drop_to(e->config->user)) != SP_OK) {
		log_say(SP_LOG_ERROR, "user", "cannot become \"%s\": %s", e->config->user,
		    rc == SP_EIO ? strerror(errno) : "root needs an account to become");
		return EX_NOUSER;
	}
	/* nothing below this line is privileged */
	warn_of_reloads(e->config);
	daemon_signals();
	e->discovered = edge_discovered_new(&limits);
	e->reported_at = clock_ms();
	e->seen = seen_new(SEEN_ACCEPTED_MAX, SEEN_REFUSED_MAX);
	e->renew = renew_new(EDGE_IDENTITIES);
	edge_gauge_limits(e->config);
	watch_material(e, e->config, e->material);
	if ((rc = sip_sessions_start(&e->sessions, e->config->session_file, (unsigned)e->config->session_size,
	    net_crew_count(e->crew))) != SP_OK) {
		log_say(SP_LOG_ERROR, "session-log", "%s: %s", e->config->session_file, strerror(errno));
		return EX_CANTCREAT;
	}
	if (net_crew_start(e->crew, edge_worker_start, edge_worker_stop, e) != SP_OK) {
		log_say(SP_LOG_ERROR, "start", "a worker could not start");
		return EX_SOFTWARE;
	}
	control_start(e->control);
	serve(e);
	control_stop(e->control);
	net_crew_stop(e->crew);
	list_peers(e, true);
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
	log_keep("refused", RECENT_REFUSALS);
	hash_seed();	/* before the first table is built */
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
			rc = run(&edge);
		}
	}
	unload(&edge);
	return rc;
}
