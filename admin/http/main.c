/*
 * sallyport-admin - the admin page, in a process of its own: it asks the daemons over
 * their control sockets and keeps nothing that SIP needs. Whatever becomes of it,
 * messages pass.
 */
#include <sys/stat.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "admin/accounts.h"
#include "admin/daemon.h"
#include "admin/http/routes.h"
#include "admin/http/sample.h"
#include "admin/http/server.h"
#include "admin/policystore.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/hash.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/proc.h"
#include "common/sandbox.h"
#include "net/door.h"
#include "net/tls.h"

#define TICK_MS	1000

static const char program[] = "sallyport-admin";

struct admin {
	struct site	*site;
	struct server	*server;
	struct sampler	*sampler[2];	/* the edge's, the Director's */
	struct timespec	 certificate_time, key_time;	/* of the files in force */
	uint64_t	 alive_at;			/* when the service manager was last told so */
};

/* ---- certificates that change ---- */

static struct timespec
changed_at(const char *file)
{
	struct stat st;

	return file != NULL && stat(file, &st) == 0 ? st.st_mtim : (struct timespec){ 0, 0 };
}

static bool
same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* Both files were changed and rest since the last tick: take them over. */
static void
renew(struct admin *a, bool now)
{
	const struct siteconf *c = a->site->conf;
	struct timespec certificate = changed_at(c->certificate), key = changed_at(c->key), rest;
	struct server_tls tls;
	const char *which;

	if (c->certificate == NULL || (!now && same_time(certificate, a->certificate_time) && same_time(key, a->key_time)))
		return;
	clock_gettime(CLOCK_REALTIME, &rest);
	if (!now && (rest.tv_sec < certificate.tv_sec + 2 || rest.tv_sec < key.tv_sec + 2))
		return;		/* perhaps the other file is still on its way */
	a->certificate_time = certificate;
	a->key_time = key;
	if (server_tls_load(&tls, c, &which) != SP_OK) {
		log_say(SP_LOG_ERROR, "certificate", "%s: %s; the old one stays in force", which, strerror(errno));
		return;
	}
	if (server_renew(a->server, &tls))
		log_say(SP_LOG_NOTICE, "certificate", "%s is in force", c->certificate);
	else
		log_say(SP_LOG_ERROR, "certificate", "%s and %s do not do; the old ones stay in force", c->certificate, c->key);
	server_tls_wipe(&tls);
}

/* ---- reload ---- */

static void
reload(struct admin *a)
{
	struct conf_errors *errs = conf_errors_new();
	struct siteconf *fresh = siteconf_load(a->site->conf->file, errs), *old;

	daemon_notify_reloading();
	for (size_t i = 0; i < conf_errors_count(errs); i++)
		log_say(SP_LOG_ERROR, "reload", "%s", conf_errors_get(errs, i));
	if (fresh == NULL || conf_errors_count(errs) != 0) {
		log_say(SP_LOG_ERROR, "reload-refused", "the old configuration stays in force");
		siteconf_free(fresh);
	} else if (strcmp(fresh->listen, a->site->conf->listen) != 0 ||
	    (fresh->certificate != NULL) != (a->site->conf->certificate != NULL)) {
		log_say(SP_LOG_ERROR, "reload-refused", "the address, or whether there is TLS, changes with a restart only; "
		    "the old configuration stays in force");
		siteconf_free(fresh);
	} else {
		pthread_rwlock_wrlock(&a->site->conf_lock);
		old = a->site->conf;
		a->site->conf = fresh;
		pthread_rwlock_unlock(&a->site->conf_lock);
		siteconf_free(old);
		log_set_level((enum log_level)(fresh->log_level + SP_LOG_ERROR));
		renew(a, true);
		log_say(SP_LOG_NOTICE, "reloaded", "names, metrics, log level and certificate; the rest changes with a restart");
	}
	conf_errors_free(errs);
	daemon_notify("READY=1");
}

/* The thread that looks after the others still does: the service manager hears of it as often as it wants. */
static void
alive(struct admin *a)
{
	uint64_t now = clock_ms();
	unsigned limit = daemon_watchdog_ms();

	if (limit == 0 || (a->alive_at != 0 && now < a->alive_at + limit / 4))
		return;
	a->alive_at = now;
	daemon_notify("WATCHDOG=1");
}

static void
serve(struct admin *a)
{
	daemon_notify("READY=1");
	log_say(SP_LOG_NOTICE, "ready", "%s://%s", a->site->tls ? "https" : "http", a->site->conf->listen);
	for (;;) {
		alive(a);
		switch (daemon_wait(TICK_MS)) {
		case DAEMON_RELOAD:
			reload(a);
			break;
		case DAEMON_REOPEN:
			if (log_reopen() != SP_OK)
				log_say(SP_LOG_ERROR, "log", "%s: %s", a->site->conf->log_file, strerror(errno));
			break;
		case DAEMON_TICK:
			server_tick(a->server);
			site_look(a->site);
			renew(a, false);
			sampler_tick(a->sampler[0]);
			sampler_tick(a->sampler[1]);
			break;
		case DAEMON_STOP:
			daemon_notify("STOPPING=1");
			log_say(SP_LOG_NOTICE, "stopping", "all sessions end");
			return;
		default:
			break;
		}
	}
}

/* ---- the fences ---- */

#define FENCE_PATHS	16
#define FENCE_TEXT	1024

struct fence {
	struct sandbox_path	 v[FENCE_PATHS];
	char			 text[FENCE_PATHS][FENCE_TEXT];
	size_t			 n;
};

static void
allow(struct fence *f, const char *path, bool write)
{
	if (f->n < FENCE_PATHS)
		f->v[f->n++] = (struct sandbox_path){ path, write };
}

/* The directory that holds path; files are replaced by others beside them, so the directory is what counts. */
static void
allow_beside(struct fence *f, const char *path, bool write)
{
	const char *slash = path != NULL ? strrchr(path, '/') : NULL;

	if (path == NULL || path[0] == '\0' || f->n == FENCE_PATHS)
		return;
	snprintf(f->text[f->n], FENCE_TEXT, "%.*s", slash == NULL || slash == path ? 1 : (int)(slash - path),
	    slash == NULL ? "." : path);
	allow(f, f->text[f->n], write);
}

/* The store is made if it is not there, since it could not be later on. */
static void
make_store(const struct siteconf *c)
{
	struct conf_errors *errs = conf_errors_new();
	struct policystore *store = NULL;

	if (policystore_open(&store, c->store, c->policy, errs) == SP_OK)
		(void)policystore_make(store, errs);
	for (size_t i = 0; i < conf_errors_count(errs); i++)
		log_say(SP_LOG_ERROR, "store", "%s", conf_errors_get(errs, i));
	policystore_close(store);
	conf_errors_free(errs);
}

/* From here on: its own files, the control sockets, and connections that others make. */
static bool
fence_in(const struct siteconf *c)
{
	static struct fence f;
	char *policy = realpath(c->policy, NULL);
	bool good;

	make_store(c);
	f.n = 0;
	allow_beside(&f, c->policy, true);
	allow_beside(&f, policy, true);		/* it may be a link */
	allow(&f, c->store, true);
	allow_beside(&f, c->charts, true);
	allow_beside(&f, c->log_file, true);
	allow_beside(&f, c->accounts, false);
	allow_beside(&f, c->file, false);
	allow_beside(&f, c->certificate, false);
	allow_beside(&f, c->key, false);
	allow_beside(&f, c->edge_socket, false);
	allow_beside(&f, c->director_socket, false);
	allow(&f, "/etc/ssl", false);
	allow(&f, "/etc/gnutls", false);
	good = sandbox_files(SANDBOX_ADMIN, f.v, f.n) == SP_OK && sandbox_calls(SANDBOX_ADMIN) == SP_OK;
	free(policy);
	return good;
}

/* The page's socket: the one that the service manager has bound, if that has its address, or one of our own. */
static int
take_address(const struct siteconf *c)
{
	int held[1], fd;

	if (daemon_sockets(held, 1) == 0)
		return server_bind(&c->addr);
	if (net_door_adopt(&c->addr, 1, &fd, held, 1) == SP_OK)
		return fd;
	log_say(SP_LOG_WARNING, "listen", "the socket that we were started with has not the address %s", c->listen);
	close(held[0]);
	return server_bind(&c->addr);
}

/* The address is taken and the key is read, root is given up, and then the first request may come. */
static int
run(struct siteconf *c)
{
	struct admin a = { .site = NULL };
	struct server_tls tls = { NULL, NULL };
	const char *which;
	int fd, rc = EX_OK, err;

	proc_harden();
	if (c->certificate != NULL && server_tls_load(&tls, c, &which) != SP_OK) {
		log_say(SP_LOG_ERROR, "certificate", "%s: %s", which, strerror(errno));
		siteconf_free(c);
		return EX_CONFIG;
	}
	if ((fd = take_address(c)) < 0) {
		log_say(SP_LOG_ERROR, "listen", "%s: %s", c->listen, strerror(errno));
		server_tls_wipe(&tls);
		siteconf_free(c);
		return EX_OSERR;
	}
	if (geteuid() == 0 && (err = proc_drop_to(c->user)) != SP_OK) {
		log_say(SP_LOG_ERROR, "user", "cannot become \"%s\": %s", c->user, err == SP_EIO ? strerror(errno) :
		    err == SP_ENOENT ? "there is no such account" : "root needs an account to become");
		close(fd);
		server_tls_wipe(&tls);
		siteconf_free(c);
		return EX_NOUSER;
	}
	/* nothing below this line is privileged */
	daemon_signals();
	if (!fence_in(c)) {
		close(fd);
		server_tls_wipe(&tls);
		siteconf_free(c);
		return EX_OSERR;
	}
	a.certificate_time = changed_at(c->certificate);
	a.key_time = changed_at(c->key);
	a.site = site_new(c);
	a.sampler[0] = sampler_new(a.site, ASK_EDGE);
	a.sampler[1] = sampler_new(a.site, ASK_DIRECTOR);
	if ((a.server = server_start(a.site, fd, tls.key != NULL ? &tls : NULL)) == NULL) {
		log_say(SP_LOG_ERROR, "start", "the server does not start%s", tls.key != NULL ? "; are certificate and key of each other?" : "");
		rc = tls.key != NULL ? EX_CONFIG : EX_SOFTWARE;
	}
	server_tls_wipe(&tls);
	if (rc == EX_OK)
		serve(&a);
	server_stop(a.server);
	sampler_free(a.sampler[0]);
	sampler_free(a.sampler[1]);
	site_free(a.site);
	return rc;
}

/* ---- -n ---- */

struct complaint {
	struct conf_errors	*errs;
	const struct siteconf	*c;
};

static void
report_certificate(void *arg, bool fatal, const char *text)
{
	const struct complaint *k = arg;
	int line = conf_line_of(k->errs, "certificate");

	if (fatal)
		conf_error(k->errs, k->c->file, line, "certificate: %s", text);
	else
		fprintf(stderr, "%s:%d: certificate: warning: %s\n", k->c->file, line, text);
}

static void
report_account(void *arg, int line, const char *text)
{
	const struct complaint *k = arg;

	conf_error(k->errs, k->c->accounts, line, "%s", text);
}

/* Everything that a start, or the first log-in, would look at. */
static void
check_files(const struct siteconf *c, struct conf_errors *errs)
{
	struct complaint k = { errs, c };
	struct net_tls_files files = { .certificate = c->certificate, .key = c->key };
	struct net_tls_material *m = NULL;
	struct accounts *accounts = NULL;
	int err;

	if (c->certificate != NULL && c->key != NULL && net_tls_material_load(&m, &files, report_certificate, &k) == SP_OK)
		net_tls_material_unref(m);
	err = accounts_load(&accounts, c->accounts, report_account, &k);
	if (err == SP_OK)
		accounts_free(accounts);
	else if (err == SP_ENOENT)
		fprintf(stderr, "%s: warning: there is no such file, so nobody can log in; see sallyportctl admin-user add\n",
		    c->accounts);
	else if (err == SP_EIO)
		conf_error(errs, c->accounts, 0, "%s", strerror(errno));
}

int
main(int argc, char **argv)
{
	struct conf_errors *errs;
	struct daemon_args args;
	struct siteconf *c;
	bool good;
	int rc;

	if (argc == 2 && strcmp(argv[1], "--routes") == 0) {
		routes_print(stdout);
		return EX_OK;
	}
	rc = daemon_args_parse(argc, argv, program, "The admin page: status, policy, partners, and an API.",
	    SYSCONFDIR "/admin.conf", &args);
	if (rc != -1)
		return rc;
	if (args.options) {
		siteconf_print_options(stdout);
		return EX_OK;
	}
	hash_seed();
	log_open(program, NULL, SP_LOG_NOTICE);
	errs = conf_errors_new();
	c = siteconf_load(args.config, errs);
	if (c != NULL && geteuid() == 0 && c->user[0] != '\0' && !proc_knows_user(c->user))
		conf_error(errs, c->file, conf_line_of(errs, "user"), "user: this machine has no account \"%s\"", c->user);
	if (c != NULL && args.check)
		check_files(c, errs);
	good = c != NULL && conf_errors_count(errs) == 0;
	conf_errors_print(errs, stderr);
	conf_errors_free(errs);
	if (!good || args.check) {
		if (good)
			printf("%s: good\n", args.config);
		siteconf_free(c);
		return good ? EX_OK : EX_CONFIG;
	}
	if (log_open(program, c->log_file, (enum log_level)(c->log_level + SP_LOG_ERROR)) != SP_OK) {
		fprintf(stderr, "%s: %s: %s\n", program, c->log_file, strerror(errno));
		siteconf_free(c);
		return EX_CANTCREAT;
	}
	return run(c);
}
