/*
 * director/ldapd.c - the process that asks the directory.
 */
#include "director/ldapd.h"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/lives.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/proc.h"
#include "common/sandbox.h"
#include "common/watch.h"
#include "director/authd.h"
#include "director/config.h"
#include "director/ldapconn.h"

#define THREADS_MAX	64
#define PAUSE_MIN_MS	1000

/* What the keeper hears when the process that asks has ended. */
enum { END_REOPEN = 120, END_RELOAD = 121 };

/* Why the file does not do; NULL with got bytes in out if it does. */
static const char *
read_secret(const char *path, char out[LDAPD_PASSWORD_MAX], size_t *got)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	const char *why = NULL;
	struct stat st;
	ssize_t n = 0;

	*got = 0;
	if (fd < 0)
		return strerror(errno);
	if (fstat(fd, &st) != 0)
		why = strerror(errno);
	else if (!S_ISREG(st.st_mode) || (st.st_mode & 077) != 0)
		why = "others may read it; expects a file of mode 0600";
	else if (st.st_uid != 0 && geteuid() != 0 && st.st_uid != geteuid())
		why = "belongs to somebody else";
	else if ((n = read(fd, out, LDAPD_PASSWORD_MAX)) < 0)
		why = strerror(errno);
	else if (n == LDAPD_PASSWORD_MAX)
		why = "is too long";
	else
		*got = (size_t)n;
	close(fd);
	return why;
}

int
ldapd_read_password(const char *path, char out[LDAPD_PASSWORD_MAX], size_t *n)
{
	size_t got;
	const char *why = read_secret(path, out, &got);

	*n = why == NULL ? span_find(span_of(out, got), '\n') : 0;
	if (why == NULL && *n == 0)
		why = "its first line is empty";
	if (why == NULL)
		return SP_OK;
	mem_wipe(out, LDAPD_PASSWORD_MAX);
	log_say(SP_LOG_ERROR, "ldap-password", "%s: %s", path, why);
	return SP_EINVAL;
}

/* What is kept, and by whom. */
struct keeper {
	const struct dirconf	*conf;
	const char		*file;
	struct director_config	*config;	/* of conf, if it was read here */
	char			 password[LDAPD_PASSWORD_MAX];
	size_t			 password_n;
	int			 fd;
	unsigned		 hung_ms;
	uint64_t		 reads;		/* so often that was read again, or tried */
};

/* --- servers: which may be asked ------------------------------------------------ */

struct server {
	unsigned	 failures;	/* in a row */
	uint64_t	 until_ms;	/* failed: not before */
};

struct ldapd {
	const struct dirconf	*conf;
	struct ldap_names	*names;
	struct overdue		*overdue;
	const char		*password;
	size_t			 password_n;
	int			 fd;
	pthread_mutex_t		 lock;		/* of the servers, and of what follows */
	struct server		*server;
	unsigned		 nthreads;
	uint64_t		 since_ms[THREADS_MAX];	/* when a thread has begun what it asks; 0: it asks nothing */
	int			 beats;		/* where the keeper hears that all is well */
	unsigned		 hung_ms;	/* 0: it does not want to */
};

/* One that failed is asked again after its pause, by one thread alone. */
static bool
may_ask(struct ldapd *d, size_t i)
{
	struct server *s = &d->server[i];
	uint64_t now = clock_ms();
	bool yes;

	pthread_mutex_lock(&d->lock);
	yes = s->failures == 0 || now >= s->until_ms;
	if (yes && s->failures != 0)
		s->until_ms = now + 5 * (uint64_t)d->conf->server_timeout;
	pthread_mutex_unlock(&d->lock);
	return yes;
}

static void
note(struct ldapd *d, size_t i, const char *failure)
{
	struct server *s = &d->server[i];
	uint64_t pause = PAUSE_MIN_MS, longest = (uint64_t)d->conf->pause * 1000;
	bool changed;

	pthread_mutex_lock(&d->lock);
	changed = (s->failures != 0) != (failure != NULL);
	if (failure == NULL)
		s->failures = 0;
	else {
		for (unsigned n = 0; n < s->failures && pause < longest; n++)
			pause *= 2;
		s->until_ms = clock_ms() + (pause < longest ? pause : longest);
		s->failures++;
	}
	pthread_mutex_unlock(&d->lock);
	if (changed && failure == NULL)
		log_say(SP_LOG_NOTICE, "ldap-up", "%s answers again", d->conf->servers.v[i].s);
	else if (changed) {
		struct logrec r = log_begin(SP_LOG_ERROR, "ldap-down");

		log_text(&r, "server", d->conf->servers.v[i].s);
		log_outside(&r, "detail", span_str(failure));
		log_end(&r);
	}
}

/* --- one question ------------------------------------------------------------------ */

/* The first server that answers, in their order. */
static void
find(struct ldapd *d, struct ldap_conn *c, struct span whom, bool login, struct authd_user *who)
{
	char failure[256];

	for (size_t i = 0; i < d->conf->servers.n; i++) {
		if (!may_ask(d, i))
			continue;
		if (ldap_conn_find(c, i, whom, login, who, failure, sizeof(failure))) {
			note(d, i, NULL);
			return;
		}
		note(d, i, failure);
	}
	memset(who, 0, sizeof(*who));
	who->unavailable = true;
}

static void
die(const char *what)
{
	log_say(SP_LOG_ERROR, "authd-bad-frame", "%s; the process that asks the directory ends", what);
	_exit(EX_SOFTWARE);
}

static void
answer(struct ldapd *d, struct ldap_conn *c, const struct frame *f)
{
	unsigned char out[FRAME_HEAD + AUTHD_ANSWER_MAX];
	struct frame head = { .type = AUTHD_USER, .tag = f->tag, .body = out + FRAME_HEAD };
	struct authd_user who;
	struct frame_writer w;
	struct span whom;

	if (!authd_get_lookup(f, &whom))
		die("a question that is malformed");
	find(d, c, whom, f->type == AUTHD_LOGIN, &who);
	frame_writer_init(&w, out + FRAME_HEAD, AUTHD_ANSWER_MAX);
	authd_put_answer(&w, AUTHD_BAD, &who);
	head.len = w.len;
	frame_format(&head, out);
	if (send(d->fd, out, FRAME_HEAD + w.len, MSG_NOSIGNAL) < 0 && errno != EINTR)
		_exit(EX_OK);
}

/* What LDAP may take of all servers, one after the other: to look up a name, connect, begin TLS, bind, and ask. */
static uint64_t
longest(const struct ldapd *d)
{
	return d->hung_ms + 5 * (uint64_t)d->conf->server_timeout * d->conf->servers.n;
}

static bool
is_stuck(struct ldapd *d)
{
	uint64_t now = clock_ms(), most = longest(d);
	unsigned stuck = 0, all;

	pthread_mutex_lock(&d->lock);
	all = d->nthreads;
	for (unsigned i = 0; i < all; i++)
		stuck += d->since_ms[i] != 0 && now - d->since_ms[i] > most;
	pthread_mutex_unlock(&d->lock);
	return stuck != 0 && stuck == all;
}

/* Threads that wait for a slow server are busy; when none of them ever comes back, the keeper is not told that all is well. */
static void *
beat(void *arg)
{
	struct ldapd *d = arg;

	for (;;) {
		if (!is_stuck(d))
			watch_beat(d->beats);
		usleep(d->hung_ms / WATCH_STEPS * 1000);
	}
	return NULL;
}

static void
asks_since(struct ldapd *d, unsigned thread, uint64_t ms)
{
	pthread_mutex_lock(&d->lock);
	d->since_ms[thread] = ms;
	pthread_mutex_unlock(&d->lock);
}

static void *
serve(void *arg)
{
	struct ldapd *d = arg;
	unsigned thread;
	struct ldap_conn *c = ldap_conn_new(d->conf, d->names, d->overdue, d->password, d->password_n);
	unsigned char in[LDAPD_PACKET_MAX];
	struct frame f;

	/* until the sandbox is there */
	pthread_mutex_lock(&d->lock);
	thread = d->nthreads++;
	pthread_mutex_unlock(&d->lock);
	for (;;) {
		int err = frame_wait(d->fd, in, sizeof(in), &f);

		if (err == SP_ECLOSED)
			_exit(EX_OK);	/* authd has ended */
		if (err != SP_OK)
			die("a packet that is no frame");
		asks_since(d, thread, clock_ms());
		if (f.type == AUTHD_LOOKUP || f.type == AUTHD_LOGIN)
			answer(d, c, &f);
		else if (f.type == AUTHD_REOPEN)
			_exit(END_REOPEN);
		else if (f.type == AUTHD_RELOAD)
			_exit(END_RELOAD);
		else
			die("a question that is none");
		asks_since(d, thread, 0);
	}
	return NULL;
}

/*
 * TLS, Kerberos, and what turns names into addresses. Files are named where
 * they have other files beside them that are none of our business.
 */
static bool
fence_files(const struct dirconf *conf)
{
	const char *krb5 = getenv("KRB5_CONFIG"), *openssl = getenv("OPENSSL_CONF");
	struct sandbox_path paths[] = {
		{ "/usr/lib", false }, { "/lib", false }, { "/lib64", false }, { "/usr/share", false }, { "/usr/local/lib", false },
		{ "/etc/resolv.conf", false }, { "/etc/hosts", false }, { "/etc/nsswitch.conf", false },
		{ "/etc/host.conf", false }, { "/etc/gai.conf", false }, { "/etc/services", false },
		{ "/etc/ld.so.cache", false }, { "/etc/localtime", false }, { "/etc/ssl/openssl.cnf", false },
		{ "/etc/krb5.conf", false }, { "/etc/krb5.conf.d", false }, { "/etc/gss", false }, { "/etc/sasl2", false },
		{ "/run/systemd/resolve", false }, { "/dev/urandom", false }, { "/dev/null", true },
		{ krb5 != NULL ? krb5 : "/etc/krb5.conf", false }, { openssl != NULL ? openssl : "/etc/ssl/openssl.cnf", false },
		{ conf->trust != NULL ? conf->trust : "/dev/null", false }, { conf->keytab != NULL ? conf->keytab : "/dev/null", false }
	};

	uint16_t *ports = xreallocarray(NULL, conf->servers.n + 1, sizeof(*ports));
	size_t n = 0;
	int rc;

	/* the servers', and DNS'; where the KDCs of GSSAPI are, only its library knows */
	ports[n++] = 53;
	for (size_t i = 0; i < conf->servers.n; i++)
		ports[n++] = ldap_conn_port(conf->servers.v[i].s);
	rc = sandbox_files_ports(SANDBOX_LDAPD, paths, sizeof(paths) / sizeof(paths[0]), ports, conf->bind == BIND_GSSAPI ? 0 : n);
	free(ports);
	return rc == SP_OK;
}

static bool
say_hello(int fd, uint64_t reads)
{
	struct frame hello = { .type = AUTHD_DONE, .tag = reads };
	unsigned char text[FRAME_HEAD];

	frame_format(&hello, text);
	return send(fd, text, sizeof(text), MSG_NOSIGNAL) >= 0;
}

static void
work(const struct keeper *k, int beats)
{
	const struct dirconf *conf = k->conf;
	struct ldapd d = { .conf = conf, .password = k->password, .password_n = k->password_n, .fd = k->fd, .beats = beats,
	    .hung_ms = k->hung_ms };
	pthread_t thread;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pthread_mutex_init(&d.lock, NULL);
	d.server = xcalloc(conf->servers.n, sizeof(*d.server));
	d.names = ldap_names_new();
	ldap_conn_prepare(conf);
	pthread_mutex_lock(&d.lock);
	if (!fence_files(conf) || (d.overdue = overdue_new()) == NULL)
		_exit(EX_OSERR);
	for (int i = 1; i < conf->connections && i < THREADS_MAX; i++)
		if (pthread_create(&thread, NULL, serve, &d) != 0)
			log_say(SP_LOG_ERROR, "ldap-ended", "a thread could not start");
	if (d.hung_ms != 0 && pthread_create(&thread, NULL, beat, &d) != 0)
		_exit(EX_OSERR);
	if (sandbox_calls(SANDBOX_LDAPD) != SP_OK)
		_exit(EX_OSERR);
	if (!say_hello(d.fd, k->reads))
		_exit(EX_OK);
	pthread_mutex_unlock(&d.lock);
	serve(&d);
}

/* --- the keeper ------------------------------------------------------------------ */

/* What cannot be read leaves the old in force; authd, who has asked for it, has read it before. */
static void
read_again(struct keeper *k)
{
	struct conf_errors *errs = conf_errors_new();
	struct director_config *c = k->file != NULL ? director_config_load(k->file, errs) : NULL;
	char password[LDAPD_PASSWORD_MAX];
	size_t n = 0;

	k->reads++;
	conf_errors_free(errs);
	if (c == NULL || (c->directory.homes != HOMES_FILE && c->directory.bind == BIND_SIMPLE &&
	    ldapd_read_password(c->directory.password_file, password, &n) != SP_OK)) {
		log_say(SP_LOG_ERROR, "ldap-kept", "the process that asks the directory keeps its configuration");
		director_config_unref(c);
		return;
	}
	mem_wipe(k->password, sizeof(k->password));
	memcpy(k->password, password, n);
	k->password_n = n;
	mem_wipe(password, sizeof(password));
	director_config_unref(k->config);
	k->config = c;
	k->conf = &c->directory;
}

/* authd hears that the keeper is well. If there is no room, it has heard enough. */
static void
tell_authd(void *arg)
{
	const struct frame f = { .type = AUTHD_BEAT };
	const struct keeper *k = arg;
	unsigned char out[FRAME_HEAD];

	frame_format(&f, out);
	(void)send(k->fd, out, sizeof(out), MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* No directory is asked: what comes is for the keeper. */
static int
idle(struct keeper *k)
{
	struct pollfd p = { k->fd, POLLIN, 0 };
	unsigned char in[LDAPD_PACKET_MAX];
	struct frame f;
	int err;

	if (!say_hello(k->fd, k->reads))
		_exit(EX_OK);
	while (k->hung_ms != 0 && poll(&p, 1, (int)(k->hung_ms / WATCH_STEPS)) <= 0)
		tell_authd(k);
	if ((err = frame_wait(k->fd, in, sizeof(in), &f)) == SP_ECLOSED)
		_exit(EX_OK);
	if (err != SP_OK)
		die("a packet that is no frame");
	return f.type == AUTHD_REOPEN ? END_REOPEN : END_RELOAD;
}

/* The process that asks, from its beginning to its end. */
static int
keep_one(struct keeper *k)
{
	int beats[2] = { -1, -1 }, status;
	bool hung = false;
	pid_t pid;

	if (watch_pipe(beats) != SP_OK)
		return -1;
	if ((pid = fork()) == 0) {
		close(beats[0]);
		work(k, beats[1]);
		_exit(EX_SOFTWARE);
	}
	close(beats[1]);
	status = pid > 0 ? watch_child(pid, beats[0], k->hung_ms, tell_authd, k, &hung) : -1;
	close(beats[0]);
	if (hung)
		lives_hung(LIVES_DIRECTORY, k->hung_ms);
	if (pid < 0)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -status;
}

void
ldapd_keep(const struct dirconf *conf, const char *file, const char *run_as, unsigned hung_ms, const char *password, size_t n,
    int fd)
{
	struct keeper k = { .conf = conf, .file = file, .password_n = n, .fd = fd, .hung_ms = hung_ms };

	memcpy(k.password, password, n);
	if (run_as != NULL && proc_drop_to(run_as) != SP_OK)
		_exit(EX_NOUSER);	/* authd will say the same of itself */
	proc_harden();
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	/* after the last change of who we are, which would undo it */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "directory");
	for (;;) {
		int ended = k.conf->homes == HOMES_FILE ? idle(&k) : keep_one(&k);

		switch (ended) {
		case EX_OK:
			_exit(EX_OK);
		case END_REOPEN:
			log_reopen();
			break;
		case END_RELOAD:
			log_reopen();
			read_again(&k);
			break;
		default:
			lives_again(LIVES_DIRECTORY);
			log_say(SP_LOG_ERROR, "ldap-ended", "the process that asks the directory has ended (status %d); "
			    "another takes its place", ended);
			sleep(1);
		}
	}
}
