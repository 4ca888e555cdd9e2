/*
 * admin/stage.c - see stage.h.
 */
#include "admin/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/daemon.h"
#include "admin/renew.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/proc.h"
#include "common/sandbox.h"
#include "net/door.h"
#include "sip/flowfile.h"

/* ---- identities ---- */

void
stage_pack(struct net_tls_material *const *m, size_t n, FILE *f)
{
	for (size_t i = 0; i < n; i++) {
		putc(m[i] != NULL ? 1 : 0, f);
		if (m[i] != NULL)
			net_tls_material_pack(m[i], f);
	}
}

bool
stage_unpack(struct span *rest, struct net_tls_material **out, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		bool there;

		if (rest->n == 0)
			return false;
		there = rest->p[0] != 0;
		*rest = span_tail(*rest, 1);
		if (there && (out[i] = net_tls_material_unpack(rest)) == NULL)
			return false;
	}
	return true;
}

void
stage_unref(struct net_tls_material **m, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		net_tls_material_unref(m[i]);
		m[i] = NULL;
	}
}

void
stage_keep_keys(struct net_keyd *keyd, struct net_tls_material *const *m, size_t n)
{
	uint64_t *keys = xcalloc(n + 1, sizeof(*keys));
	size_t nkeys = 0;

	for (size_t i = 0; i < n; i++)
		if (m[i] != NULL)
			keys[nkeys++] = net_tls_material_key(m[i]);
	net_keyd_keep(keyd, keys, nkeys);
	free(keys);
}

void
stage_replace(struct net_tls_material **m, struct net_tls_material *const *fresh, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (fresh[i] == NULL)
			continue;
		net_tls_material_unref(m[i]);
		m[i] = net_tls_material_ref(fresh[i]);
	}
}

/* ---- the master's answers ---- */

static void
answer_renew(void *owner, int fd, struct master_answer *a)
{
	const struct master_spec *spec = owner;
	struct net_tls_material **fresh = xcalloc(spec->nmaterial + 1, sizeof(struct net_tls_material *));

	(void)fd;
	a->ok = true;
	if (renew_look(spec->renew, fresh) != 0) {
		stage_pack(fresh, spec->nmaterial, a->file);
		stage_replace(spec->material, fresh, spec->nmaterial);
		stage_keep_keys(spec->keyd, spec->material, spec->nmaterial);
	}
	stage_unref(fresh, spec->nmaterial);
	free(fresh);
}

/*
 * A file to append to, of the proxy's account, so that whoever reads it there may. The directory may be
 * that account's: no link out of it is followed, and nothing is waited for or given away that is no file or
 * has a second name. -1: errno.
 */
static int
open_for(const char *path, const struct passwd *pw)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK, 0640);
	struct stat st;

	if (fd == -1)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1) {
		if (pw != NULL)
			(void)!fchown(fd, pw->pw_uid, pw->pw_gid);
		return fd;
	}
	close(fd);
	errno = EINVAL;
	return -1;
}

static void
answer_sessions(void *owner, int fd, struct master_answer *a)
{
	const struct master_spec *spec = owner;
	const char *path = spec->session_file, *user = spec->user;
	const struct passwd *pw = geteuid() == 0 && user != NULL ? getpwnam(user) : NULL;

	(void)fd;
	if (path == NULL || *path == '\0')
		return;
	a->fd = open_for(path, pw);
	if (a->fd == -1)
		log_say(SP_LOG_ERROR, "session-log", "%s: %s", path, strerror(errno));
	a->ok = a->fd != -1;
}

static void
answer_sessions_anew(void *owner, int fd, struct master_answer *a)
{
	const struct master_spec *spec = owner;
	const char *path = spec->session_file;
	char old[4096];
	struct stat st;

	/* the one put aside before goes: nobody may push it out with an empty one. Half, since the proxy counts in pieces */
	if (path == NULL || spec->session_max == 0 || lstat(path, &st) == -1 || !S_ISREG(st.st_mode) ||
	    (uint64_t)st.st_size < spec->session_max / 2)
		return;
	if ((size_t)snprintf(old, sizeof(old), "%s.1", path) >= sizeof(old) || rename(path, old) == -1)
		return;
	answer_sessions(owner, fd, a);
}

const struct master_question stage_questions[] = {
	{ MASTER_RENEW, false, answer_renew },
	{ MASTER_SESSIONS, false, answer_sessions },
	{ MASTER_SESSIONS_ANEW, false, answer_sessions_anew },
	{ 0, false, NULL }
};

/* ---- doors ---- */

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

int
stage_open_door(const struct net_addr *addr, const char *listen, unsigned n, int *fds, int *held, size_t nheld)
{
	if (net_door_adopt(addr, n, fds, held, nheld) == SP_OK || net_door_bind(addr, n, fds) == SP_OK)
		return SP_OK;
	log_say(SP_LOG_ERROR, "door", "%s: %s%s", listen, strerror(errno), door_advice(errno));
	return SP_EIO;
}

void
stage_close_held(const int *held, size_t nheld)
{
	for (size_t i = 0; i < nheld; i++) {
		if (held[i] == -1)
			continue;
		log_say(SP_LOG_WARNING, "door", "a socket that we were started with is no door of this configuration");
		close(held[i]);
	}
}

void
stage_close_doors(int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (fds[i] != -1)
			close(fds[i]);
		fds[i] = -1;
	}
}

/* ---- the proxy ---- */

bool
stage_drop(const struct backstage *b, const char *user)
{
	int err;

	if (geteuid() == 0 && (err = proc_drop_to(user)) != SP_OK) {
		log_say(SP_LOG_ERROR, "user", "cannot become \"%s\": %s", user,
		    err == SP_EIO ? strerror(errno) : "root needs an account to become");
		return false;
	}
	proc_harden();
	backstage_follow(b);
	return true;
}

bool
stage_fence(enum sandbox_role role, bool sandbox)
{
	const char *krb5 = getenv("KRB5_CONFIG");
	const struct sandbox_path paths[] = {
		{ "/etc/resolv.conf", false }, { "/etc/hosts", false }, { "/etc/nsswitch.conf", false }, { "/etc/host.conf", false },
		/* from here on for Kerberos */
		{ krb5 != NULL ? krb5 : "/etc/krb5.conf", false }, { "/etc/krb5.conf.d", false }, { "/etc/gss", false },
		{ "/usr/lib", false }, { "/lib", false }, { "/dev/urandom", false }
	};
	size_t n = role == SANDBOX_PROXY_KRB5 ? sizeof(paths) / sizeof(paths[0]) : 4;

	if (!sandbox) {
		log_say(SP_LOG_WARNING, "sandbox-off", "sandbox = false: the process that faces the network, and keyd, may do what "
		    "their accounts may");
		return true;
	}
	return sandbox_files(role, paths, n) == SP_OK;
}

bool
stage_renewed(struct backstage *b, struct net_tls_material **out, size_t n)
{
	struct span rest;
	char *bytes;
	size_t len;
	bool some;

	memset(out, 0, n * sizeof(struct net_tls_material *));
	some = backstage_ask(b, MASTER_RENEW, -1, &bytes, &len) == SP_OK && len > 0;
	rest = span_of(bytes, len);
	some = some && stage_unpack(&rest, out, n) && rest.n == 0;
	free(bytes);
	if (!some)
		stage_unref(out, n);
	return some;
}

/* The session log's file is the master's to open and to begin anew. */
static int
open_sessions(void *arg, bool anew)
{
	return backstage_ask_file(arg, anew ? MASTER_SESSIONS_ANEW : MASTER_SESSIONS);
}

/* A worker's lines are many: whoever waits in daemon_wait() writes them now. */
static void
hurry_sessions(void *arg)
{
	const struct backstage *b = arg;

	daemon_ask(b->waits);
}

bool
stage_sessions(struct backstage *b, const char *path, unsigned nworkers, unsigned mib, struct sip_sessions **s)
{
	*s = NULL;
	if (path == NULL || *path == '\0')
		return true;
	*s = sip_sessions_new(nworkers, (uint64_t)mib << 20);
	sip_sessions_source(*s, open_sessions, b);
	b->waits = pthread_self();
	sip_sessions_hurry(*s, hurry_sessions, b);
	if (sip_sessions_reopen(*s) == SP_OK)
		return true;
	log_say(SP_LOG_ERROR, "session-log", "%s: %s", path, strerror(errno));
	return false;
}

/* ---- flow keys ---- */

struct sip_flow_keys *
stage_read_flow_keys(const char *path, struct conf_errors *errs)
{
	struct sip_flow_keys *keys = NULL;
	int line, err;

	if (path != NULL && path[0] != '\0' && (err = sip_flow_keys_read(path, &keys, &line)) != SP_OK)
		conf_error(errs, path, line, "%s", sip_flow_keys_fault(err, line));
	return keys;
}

void
stage_turn_flow_keys(struct sip_flow_keys **ring, struct sip_flow_keys **last, struct sip_flow_keys *now)
{
	if (now != NULL && sip_flow_keys_turn(ring, last, now))
		log_say(SP_LOG_NOTICE, "flow-keys-changed", "the last one of the file signs; what the file had before verifies until it "
		    "changes once more");
}

void
stage_put_flow_keys(const struct sip_flow_keys *keys, struct master_answer *a)
{
	unsigned char all[SIP_FLOW_KEYS_MAX * SIP_FLOW_KEY_SIZE];
	unsigned n = sip_flow_keys_copy(keys, all);

	a->ok = true;
	fwrite(all, SIP_FLOW_KEY_SIZE, n, a->file);
	mem_wipe(all, sizeof(all));
}

struct signing {
	struct net_mail		 mail;
	struct sip_flow_keys	*keys;
	struct sip_flow_signer	*(*signer)(const void *owner);
};

static void
deliver_keys(struct net_worker *worker, struct net_mail *mail)
{
	struct signing *s = (struct signing *)mail;

	if (worker->owner != NULL)
		sip_flow_signer_take(s->signer(worker->owner), s->keys);
	sip_flow_keys_unref(s->keys);
	free(s);
}

void
stage_renew_flow_keys(struct backstage *b, unsigned question, struct sip_flow_keys **ring, struct net_crew *crew,
    struct sip_flow_signer *(*signer)(const void *owner))
{
	struct sip_flow_keys *keys = NULL;
	char *bytes = NULL;
	size_t n = 0;

	if (backstage_ask(b, question, -1, &bytes, &n) == SP_OK && bytes != NULL && n != 0 && n % SIP_FLOW_KEY_SIZE == 0 &&
	    n <= SIP_FLOW_KEYS_MAX * SIP_FLOW_KEY_SIZE)
		keys = sip_flow_keys_from((const unsigned char *)bytes, (unsigned)(n / SIP_FLOW_KEY_SIZE));
	if (bytes != NULL)
		mem_wipe_free(bytes, n);
	if (keys == NULL || sip_flow_keys_same(keys, *ring)) {
		sip_flow_keys_unref(keys);
		return;
	}
	sip_flow_keys_unref(*ring);
	*ring = keys;
	for (unsigned id = 0; id < net_crew_count(crew); id++) {
		struct signing *s = xcalloc(1, sizeof(*s));

		s->mail.deliver = deliver_keys;
		s->keys = sip_flow_keys_ref(keys);
		s->signer = signer;
		net_worker_post(net_crew_worker(crew, id), &s->mail);
	}
}
