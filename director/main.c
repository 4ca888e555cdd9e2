/*
 * sallyport-director - authd first, then doors and workers, then a thread that waits for signals.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <sys/wait.h>

#include "admin/daemon.h"
#include "admin/recent.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/hash.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/proc.h"
#include "director/director.h"
#include "director/ticket.h"
#include "net/stats.h"
#include "sip/flowfile.h"
#include "sip/sessions.h"

static const char program[] = "sallyport-director";

/* Where a complaint about a certificate belongs. */
struct complaint {
	struct conf_errors	*errs;
	const char		*file;
	char			 option[64];
	bool			 check;		/* -n: a person reads it now */
};

/* Not so bad that nothing could begin. */
static void warn(const struct complaint *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void
warn(const struct complaint *c, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (c->check)
		fprintf(stderr, "%s:%d: %s: warning: %s\n", c->file, conf_line_of(c->errs, c->option), c->option, text);
	else
		log_say(SP_LOG_WARNING, "certificate", "%s", text);
}

static void
report_material(void *arg, bool fatal, const char *text)
{
	const struct complaint *c = arg;

	if (fatal)
		conf_error(c->errs, c->file, conf_line_of(c->errs, c->option), "%s: %s", c->option, text);
	else
		warn(c, "%s", text);
}

static bool
is_given(const char *s)
{
	return s != NULL && *s != '\0';
}

static const char *
own_or(const char *own, const char *common)
{
	return own != NULL ? own : common;
}

/* Where the identity of a door comes from. */
static struct net_tls_files
files_of(const struct director_config *c, size_t i)
{
	const struct director_door *door = director_door(c, i);

	return (struct net_tls_files){
		own_or(door->certificate, c->certificate), own_or(door->key, c->key), own_or(door->trust, c->trust),
		own_or(door->crl, c->crl), false, NULL
	};
}

/* The door before it that has the same files, or -1: they are read once, and complained about once. */
static int
like_door(const struct director_config *c, size_t i)
{
	const struct director_door *a = director_door(c, i);

	for (size_t j = 0; j < i; j++) {
		const struct director_door *b = director_door(c, j);

		if (a->certificate == NULL && a->trust == NULL && a->crl == NULL && b->certificate == NULL &&
		    b->trust == NULL && b->crl == NULL)
			return (int)j;
	}
	return -1;
}

/* The identity of every door; what is wrong goes to errs. A door that has none is left out. */
static void
load_material(const struct director *d, const struct director_config *c, struct net_tls_material **out,
    struct conf_errors *errs, bool check)
{
	struct complaint where = { .errs = errs, .file = d->file, .check = check };

	memset(out, 0, DIRECTOR_DOORS_MAX * sizeof(out[0]));
	for (size_t i = 0; i < c->doors.n && i < DIRECTOR_DOORS_MAX; i++) {
		const struct director_door *door = director_door(c, i);
		struct net_tls_files files = files_of(c, i);
		int like = like_door(c, i);

		if (like >= 0) {
			out[i] = out[like] != NULL ? net_tls_material_ref(out[like]) : NULL;
			continue;
		}
		snprintf(where.option, sizeof(where.option), door->certificate != NULL ? "doors[%zu].certificate" :
		    "tls.certificate", i);
		if (!is_given(files.certificate) || !is_given(files.key))
			continue;
		if (net_tls_material_load(&out[i], &files, report_material, &where) == SP_OK && is_given(c->name) &&
		    !net_tls_material_proves(out[i], c->name))
			warn(&where, "%s does not hold the name %s, so no edge and no pool will connect", files.certificate, c->name);
	}
}

static void
log_errors(const struct conf_errors *errs, const char *event)
{
	for (size_t i = 0; i < conf_errors_count(errs); i++)
		log_say(SP_LOG_ERROR, event, "%s", conf_errors_get(errs, i));
}

/* What is new is in force from now on. */
static void
keep_material(struct director *d, struct net_tls_material *const *material)
{
	for (size_t i = 0; i < DIRECTOR_DOORS_MAX; i++) {
		if (material[i] == NULL)
			continue;
		net_tls_material_unref(d->material[i]);
		d->material[i] = net_tls_material_ref(material[i]);
	}
}

static void
gauge_identity(size_t door, const struct net_tls_material *m)
{
	stats_set(NOT_AFTER, door, 0, m != NULL ? (uint64_t)net_tls_material_not_after(m) : 0);
}

/* From now on changes of the files are noticed. */
static void
watch_material(struct director *d)
{
	for (size_t i = 0; i < d->config->doors.n; i++) {
		struct net_tls_files files = files_of(d->config, i);

		renew_watch(d->renew, i, director_door(d->config, i)->listen, &files, d->material[i]);
		gauge_identity(i, d->material[i]);
	}
}

static void
unref_material(struct net_tls_material *m[DIRECTOR_DOORS_MAX])
{
	for (size_t i = 0; i < DIRECTOR_DOORS_MAX; i++) {
		net_tls_material_unref(m[i]);
		m[i] = NULL;
	}
}

static void
report_user(void *arg, int line, const char *text)
{
	struct complaint *c = arg;

	conf_error(c->errs, c->file, line, "%s", text);
}

static void
check_keytab(const struct director_config *c, struct conf_errors *errs)
{
	struct ticket_setup setup = { .keytab = c->auth_keytab, .host = c->name };
	char why[TICKET_WHY_MAX];

	if (is_given(c->auth_keytab) && tickets_check(&setup, why) != SP_OK)
		conf_error(errs, c->auth_keytab, 0, "%s", why);
}

/* -n: everything that a start would look at, in one go. A start leaves the users to authd. */
static void
check(struct director *d, struct conf_errors *errs)
{
	struct complaint where = { .errs = errs, .file = d->config->auth_users };
	struct users *us = NULL;
	int err, line;

	load_material(d, d->config, d->material, errs, true);
	check_keytab(d->config, errs);
	if (is_given(d->config->flow_keys) && (err = sip_flow_keys_check(d->config->flow_keys, &line)) != SP_OK)
		conf_error(errs, d->config->flow_keys, line, "%s", sip_flow_keys_fault(err, line));
	conf_errors_sort(errs, 0, d->file);
	if (!is_given(where.file))
		return;
	err = users_load(&us, where.file, report_user, &where);
	if (err == SP_EIO)
		conf_error(errs, where.file, 0, "%s", strerror(errno));
	else if (err == SP_ENOENT)
		fprintf(stderr, "%s: warning: there is no such file, so there are no users\n", where.file);
	users_free(us);
}

/* Started as root, the two processes become somebody else: are those there? */
static void
check_accounts(const struct director_config *c, const char *file, struct conf_errors *errs)
{
	if (is_given(c->user) && !proc_knows_user(c->user))
		conf_error(errs, file, conf_line_of(errs, "user"), "user: this machine has no account \"%s\"; "
		    "make it, or name the account that sallyport-director is to run as", c->user);
	if (is_given(c->auth_user) && !proc_knows_user(c->auth_user))
		conf_error(errs, file, conf_line_of(errs, "auth.user"), "auth.user: this machine has no account \"%s\"",
		    c->auth_user);
}

static int
load_keys(struct director *d)
{
	int line = 0, err;

	mem_random(d->nonce_key, sizeof(d->nonce_key));
	if (d->config->flow_keys == NULL) {
		d->keys = sip_flow_keys_new();
		return 0;
	}
	if ((err = sip_flow_keys_load(d->config->flow_keys, &d->keys, &line)) == SP_OK)
		return 0;
	if (err == SP_EIO)
		log_say(SP_LOG_ERROR, "flow-keys", "%s: %s", d->config->flow_keys, strerror(errno));
	else if (line == 0)
		log_say(SP_LOG_ERROR, "flow-keys", "%s: others may read it; expects mode 0600", d->config->flow_keys);
	else
		log_say(SP_LOG_ERROR, "flow-keys", "%s:%d: expects 64 hex digits", d->config->flow_keys, line);
	return EX_CONFIG;
}

static int
open_doors(struct director *d)
{
	static const char *const admits[] = { "for servers", "for clients", "for servers and clients" };

	for (size_t i = 0; i < d->config->doors.n; i++) {
		const struct director_door *door = director_door(d->config, i);

		if (net_door_bind(&door->addr, net_crew_count(d->crew), d->fds[i]) != SP_OK) {
			log_say(SP_LOG_ERROR, "door", "%s: %s", door->listen, strerror(errno));
			return EX_OSERR;
		}
		log_say(SP_LOG_NOTICE, "door", "%s is open, %s", door->listen, admits[door->admits]);
	}
	return 0;
}

/* What the metrics tell of the limits in force. */
static void
gauge_limits(const struct director_config *c)
{
	uint64_t workers = (uint64_t)c->workers;
	const struct { enum stats_limit limit; uint64_t value; } table[] = {
		{ STATS_LIMIT_CONNECTIONS, (uint64_t)c->max_connections * workers },
		{ STATS_LIMIT_TRANSACTIONS, (uint64_t)c->max_transactions * workers },
		{ STATS_LIMIT_HELD, (uint64_t)c->max_questions * workers },
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
		{ STATS_LIMIT_DNS_QUERIES, NET_DNS_FLIGHT_MAX }
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		stats_set(LIMIT, table[i].limit, 0, table[i].value);
}

bool
director_reload(struct director *d, struct conf_errors *errs)
{
	struct director_config *c;
	struct net_tls_material *material[DIRECTOR_DOORS_MAX] = { NULL };
	const char *option;
	bool good = false, asked = false;

	daemon_notify("RELOADING=1");
	c = director_config_load(d->file, errs);
	log_errors(errs, "reload");
	if (c != NULL && c->workers == 0)
		c->workers = (int)net_crew_count(d->crew);
	if (c == NULL) {
		log_say(SP_LOG_ERROR, "reload-refused", "the old configuration stays in force");
	} else if (!director_config_same_frame(d->config, c, &option)) {
		log_say(SP_LOG_ERROR, "reload-refused", "%s has changed, which needs a restart; "
		    "the old configuration stays in force", option);
		conf_error(errs, d->file, 0, "%s has changed, which needs a restart", option);
	} else if (authd_command(&d->authd, AUTHD_CONFIGURE) == SP_OK) {
		asked = true;
		/* a door whose new certificate does not do keeps the one it has, whatever else changes */
		load_material(d, c, material, errs, false);
		if (conf_errors_count(errs) != 0) {
			log_errors(errs, "certificate");
			log_say(SP_LOG_ERROR, "certificate-kept", "what could not be loaded stays as it was");
		}
		director_workers_update(d, c, material);
		log_set_level((enum log_level)(c->log_level + SP_LOG_ERROR));
		director_config_unref(d->config);
		d->config = director_config_ref(c);
		keep_material(d, material);
		watch_material(d);
		gauge_limits(d->config);
		log_say(SP_LOG_NOTICE, "reloaded", "domains, edges, pools and authentication");
		good = conf_errors_count(errs) == 0;
	} else {
		log_say(SP_LOG_ERROR, "reload-refused", "authd cannot use it; the old configuration stays in force");
		conf_error(errs, d->file, 0, "authd cannot use the accounts, the directory or the keytab that it names; "
		    "its log says why");
	}
	/* whatever the file is, users are read again */
	if (!asked && authd_command(&d->authd, AUTHD_RELOAD) != SP_OK)
		log_say(SP_LOG_ERROR, "reload", "the users stay as they were");
	stats_reloaded(good);
	unref_material(material);
	director_config_unref(c);
	daemon_notify("READY=1");
	return good;
}

static void
reload(struct director *d)
{
	struct conf_errors *errs = conf_errors_new();

	(void)director_reload(d, errs);	/* it has logged what is wrong */
	conf_errors_free(errs);
}

static void
warn_if_unreadable(const char *file)
{
	if (file != NULL && access(file, R_OK) != 0)
		log_say(SP_LOG_WARNING, "unreadable", "%s: %s for the account that this is now; it cannot be read again",
		    file, strerror(errno));
}

/* What a reload reads, it reads without the privileges of the start. */
static void
warn_of_reloads(const struct director *d)
{
	const struct director_config *c = d->config;

	warn_if_unreadable(d->file);
	warn_if_unreadable(c->certificate);
	warn_if_unreadable(c->key);
	warn_if_unreadable(c->trust);
	warn_if_unreadable(c->crl);
	for (size_t i = 0; i < c->doors.n; i++) {
		const struct director_door *door = director_door(c, i);

		warn_if_unreadable(door->certificate);
		warn_if_unreadable(door->key);
		warn_if_unreadable(door->trust);
		warn_if_unreadable(door->crl);
	}
}

/* Every second: has a certificate or a revocation list changed? */
static void
renew(struct director *d)
{
	struct net_tls_material *material[DIRECTOR_DOORS_MAX];

	if (renew_look(d->renew, material) != 0) {
		keep_material(d, material);
		director_workers_update(d, d->config, material);
	}
	unref_material(material);
}

/* Requests in flight get their time; then everything closes. */
static void
drain(struct director *d)
{
	uint64_t until = clock_ms() + (uint64_t)d->config->drain_time * 1000;

	daemon_notify("STOPPING=1");
	log_say(SP_LOG_NOTICE, "stopping", "no new requests; those in flight have %d seconds", d->config->drain_time);
	director_workers_drain(d);
	while (director_workers_busy(d) && clock_ms() < until) {
		/* whoever asks on the control socket is answered up to the end */
		control_run_main(d->control);
		usleep(20 * 1000);
	}
}

/* Has authd ended? Then nobody can be authenticated, and what it knew is gone with it. */
static bool
authd_ended(struct director *d)
{
	int status;

	if (waitpid(d->authd.pid, &status, WNOHANG) != d->authd.pid)
		return false;
	d->authd.pid = 0;
	log_say(SP_LOG_ERROR, "authd-ended", "the process that checks credentials has ended (%s %d); the Director "
	    "ends too, to be started again as a whole", WIFSIGNALED(status) ? "signal" : "status",
	    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	return true;
}

static int
serve(struct director *d)
{
	daemon_notify("READY=1");
	log_say(SP_LOG_NOTICE, "ready", "%u workers", net_crew_count(d->crew));
	for (;;) {
		switch (daemon_wait(RENEW_EVERY_MS)) {
		case DAEMON_RELOAD:
			reload(d);
			break;
		case DAEMON_REOPEN:
			if (log_reopen() != SP_OK || sip_sessions_reopen(d->sessions) != SP_OK || authd_command(&d->authd, AUTHD_REOPEN) != SP_OK)
				log_say(SP_LOG_ERROR, "log", "a log file cannot be opened again: %s", strerror(errno));
			break;
		case DAEMON_TICK:
			sip_sessions_flush(d->sessions);
			renew(d);
			break;
		case DAEMON_ASKED:
			control_run_main(d->control);
			break;
		case DAEMON_CHILD:
			if (authd_ended(d))
				return EX_SOFTWARE;
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

/* The first label of a host name, as NetBIOS has names: upper case, at most 15. */
static void
netbios_name(const char *name, char out[16])
{
	size_t n = strcspn(name, ".");

	snprintf(out, 16, "%.*s", (int)(n < 15 ? n : 15), name);
	for (char *p = out; *p != '\0'; p++)
		*p = *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : *p;
}

static struct ntlm_target
ntlm_names(const struct director_config *c)
{
	struct ntlm_target t = { .timestamp = c->ntlm_timestamp };

	netbios_name(c->ntlm_domain != NULL ? c->ntlm_domain : c->domains.v[0].s, t.nb_domain);
	netbios_name(c->ntlm_computer != NULL ? c->ntlm_computer : c->name, t.nb_computer);
	snprintf(t.dns_domain, sizeof(t.dns_domain), "%s", c->domains.v[0].s);
	snprintf(t.dns_computer, sizeof(t.dns_computer), "%s", c->name);
	return t;
}

static struct sa_limits
sa_limits(const struct director_config *c)
{
	return (struct sa_limits){ .total = (uint32_t)c->sipae_associations, .per_user = (uint32_t)c->sipae_per_user,
	    .half_open = (uint32_t)c->sipae_handshakes, .half_open_ms = 32000, .idle_ms = (uint64_t)c->sipae_idle * 1000,
	    .lifetime_ms = (uint64_t)c->sipae_lifetime * 1000 };
}

/* authd, before there is anything in this process that it should not have. */
static int
start_authd(struct director *d)
{
	struct authd_setup setup = {
		.directory = &d->config->directory, .users = d->config->auth_users, .run_as = d->config->auth_user,
		.replay_entries = (uint32_t)d->config->auth_replay_entries, .nworkers = worker_count(d->config),
		.handshakes = (uint32_t)d->config->sipae_handshakes, .ntlm = ntlm_names(d->config),
		.winbind = d->config->ntlm_accounts == NTLM_BY_WINBIND ? &d->config->winbind : NULL,
		.ntlm_domains = &d->config->ntlm_domains,
		.guesses = DIRECTOR_GUESSES_LIMITS(d->config), .file = d->file, .log_file = d->config->log_file,
		.keytab = d->config->auth_keytab, .host = d->config->name, .realms = &d->config->kerberos_realms
	};
	int err = authd_start(&d->authd, &setup);

	if (err != SP_OK)
		log_say(SP_LOG_ERROR, "authd", "the process that checks credentials did not start");
	return err == SP_OK ? 0 : err == SP_EINVAL ? EX_CONFIG : EX_OSERR;
}

static int
load_identities(struct director *d)
{
	struct conf_errors *errs = conf_errors_new();
	int rc;

	load_material(d, d->config, d->material, errs, false);
	log_errors(errs, "certificate");
	rc = conf_errors_count(errs) == 0 ? 0 : EX_CONFIG;
	conf_errors_free(errs);
	return rc;
}

/* Doors are open, root is given up, workers run until a signal says otherwise. */
static int
run(struct director *d)
{
	struct sa_limits limits;
	int rc;

	daemon_signals();
	proc_harden();
	proc_want_files((size_t)d->config->max_connections * worker_count(d->config) + 256);
	if ((rc = start_authd(d)) != 0)
		return rc;
	if ((rc = load_identities(d)) != 0)
		return rc;
	d->crew = net_crew_new(worker_count(d->config));
	d->relays = sip_relay_set_new(net_crew_count(d->crew));
	limits = sa_limits(d->config);
	d->sas = sa_table_new(&limits);
	if ((rc = load_keys(d)) != 0 || (rc = open_doors(d)) != 0)
		return rc;
	d->control = director_control_new(d);
	if (geteuid() == 0 && proc_drop_to(d->config->user) != SP_OK) {
		log_say(SP_LOG_ERROR, "user", "cannot become '%s': %s", d->config->user, strerror(errno));
		return EX_NOUSER;
	}
	/* nothing below this line is privileged */
	warn_of_reloads(d);
	d->renew = renew_new(DIRECTOR_DOORS_MAX);
	d->seen = seen_new(SEEN_ACCEPTED_MAX, SEEN_REFUSED_MAX);
	gauge_limits(d->config);
	stats_set(STARTED, 0, 0, (uint64_t)clock_wall());
	watch_material(d);
	if ((rc = sip_sessions_start(&d->sessions, d->config->session_file, (unsigned)d->config->session_size,
	    net_crew_count(d->crew))) != SP_OK) {
		log_say(SP_LOG_ERROR, "session-log", "%s: %s", d->config->session_file, strerror(errno));
		return EX_CANTCREAT;
	}
	if (net_crew_start(d->crew, director_worker_start, director_worker_stop, d) != SP_OK) {
		log_say(SP_LOG_ERROR, "start", "a worker could not start");
		return EX_SOFTWARE;
	}
	control_start(d->control);
	rc = serve(d);
	control_stop(d->control);
	net_crew_stop(d->crew);
	log_say(SP_LOG_NOTICE, "stopped", "all workers ended");
	return rc;
}

static void
unload(struct director *d)
{
	control_free(d->control);
	net_crew_free(d->crew);
	trace_free(d->trace);
	sip_relay_set_free(d->relays);
	sip_sessions_free(d->sessions);
	authd_stop(&d->authd);
	sip_flow_keys_unref(d->keys);
	sa_table_free(d->sas);
	mem_wipe(d->nonce_key, sizeof(d->nonce_key));
	renew_free(d->renew);
	seen_free(d->seen);
	unref_material(d->material);
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
	log_open(program, NULL, SP_LOG_NOTICE);
	director.file = args.config;
	errs = conf_errors_new();
	director.config = director_config_read(args.config, errs);
	/* of a file that broke off before its doors nothing more can be said */
	if (director.config->doors.n != 0 && geteuid() == 0)
		check_accounts(director.config, args.config, errs);
	if (director.config->doors.n != 0 && args.check)
		check(&director, errs);
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
		rc = run(&director);
	}
	conf_errors_free(errs);
	unload(&director);
	return rc;
}
