/*
 * director/master.c - what the Director's master does: it starts authd and keyd, opens the doors, reads
 * files, and answers the proxy.
 */
#include "director/master.h"

#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "admin/daemon.h"
#include "admin/stage.h"
#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/proc.h"

#define STOP_MS		30000	/* longer than it may drain, and then it is killed */

static bool
is_given(const char *s)
{
	return s != NULL && *s != '\0';
}

/* ---- authd ---- */

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

/* authd, before there is anything in this process that it should not have; it closes what it inherits. */
static int
start_authd(struct director *d)
{
	struct authd_setup setup = {
		.directory = &d->config->directory, .users = d->config->auth_users, .run_as = d->config->auth_user,
		.replay_entries = (uint32_t)d->config->auth_replay_entries, .nworkers = d->nworkers,
		.handshakes = (uint32_t)d->config->sipae_handshakes, .ntlm = ntlm_names(d->config),
		.winbind = d->config->ntlm_accounts == NTLM_BY_WINBIND ? &d->config->winbind : NULL,
		.ntlm_domains = &d->config->ntlm_domains,
		.guesses = DIRECTOR_GUESSES_LIMITS(d->config), .file = d->file, .log_file = d->config->log_file,
		.keytab = d->config->auth_keytab, .host = d->config->name, .realms = &d->config->kerberos_realms,
		.hung_ms = (unsigned)d->config->hung_time * 1000
	};
	int err = authd_start(&d->authd, &setup);

	if (err != SP_OK)
		log_say(SP_LOG_ERROR, "authd", "the process that checks credentials did not start");
	for (unsigned i = 0; i < NET_WORKERS_MAX; i++)
		d->ask[i] = err == SP_OK && i < d->nworkers ? d->authd.worker[i] : -1;
	return err == SP_OK ? 0 : err == SP_EINVAL ? EX_CONFIG : EX_OSERR;
}

static void
authd_ended(void *owner, const char *how, int number)
{
	struct director *d = owner;

	d->authd.pid = 0;	/* it has been waited for */
	log_say(SP_LOG_ERROR, "authd-ended", "the process that checks credentials has ended (%s %d); nobody can sign in until "
	    "another has taken its place", how, number);
}

static bool
authd_again(void *owner, int *fds)
{
	struct director *d = owner;

	authd_stop(&d->authd);
	if (start_authd(d) != 0)
		return false;
	memcpy(fds, d->ask, d->nworkers * sizeof(*fds));
	log_say(SP_LOG_NOTICE, "authd-started", "credentials can be checked again");
	return true;
}

static void
beat_authd(void *owner)
{
	authd_beat(&((struct director *)owner)->authd);
}

static bool
hear_authd(void *owner)
{
	struct director *d = owner;

	return d->authd.control >= 0 && authd_hear(&d->authd);
}

static bool
reopened(void *owner)
{
	struct director *d = owner;

	return authd_command(&d->authd, AUTHD_REOPEN) == SP_OK;
}

/* ---- doors ---- */

static int
open_doors(struct director *d)
{
	static const char *const admits[] = { "for servers", "for clients", "for servers and clients" };
	int held[DIRECTOR_DOORS_MAX * NET_WORKERS_MAX];
	size_t nheld = daemon_sockets(held, sizeof(held) / sizeof(held[0]));

	for (size_t i = 0; i < d->config->doors.n; i++) {
		const struct director_door *door = director_door(d->config, i);

		if (stage_open_door(&door->addr, door->listen, d->nworkers, d->fds[i], held, nheld) != SP_OK)
			return EX_OSERR;
		log_say(SP_LOG_NOTICE, "door", "%s is open, %s", door->listen, admits[door->admits]);
	}
	stage_close_held(held, nheld);
	return 0;
}

static void
close_doors(void *owner)
{
	struct director *d = owner;

	stage_close_doors(&d->fds[0][0], sizeof(d->fds) / sizeof(int));
}

/* ---- what is in force ---- */

static int
load_identities(struct director *d)
{
	struct conf_errors *errs = conf_errors_new();
	int rc;

	director_load_material(d, d->config, d->material, errs, false);
	director_log_errors(errs, "certificate");
	rc = conf_errors_count(errs) == 0 ? 0 : EX_CONFIG;
	conf_errors_free(errs);
	return rc;
}

/* The new configuration, if it can take the place of the old one. NULL: errs says why not, and so does the log. */
static struct director_config *
read_again(struct director *d, struct conf_errors *errs)
{
	struct director_config *c = director_config_load(d->file, errs);
	const char *option;

	director_log_errors(errs, "reload");
	if (c == NULL) {
		log_say(SP_LOG_ERROR, "reload-refused", "the old configuration stays in force");
		return NULL;
	}
	if (c->workers == 0)
		c->workers = (int)d->nworkers;
	if (!director_config_same_frame(d->config, c, &option)) {
		log_say(SP_LOG_ERROR, "reload-refused", "%s has changed, which needs a restart; "
		    "the old configuration stays in force", option);
		conf_error(errs, d->file, 0, "%s has changed, which needs a restart", option);
		director_config_unref(c);
		return NULL;
	}
	return c;
}

/* A door whose new certificate does not do keeps the one it has, whatever else changes; so it is with flow keys. */
static void
take(struct director *d, struct director_config *c, struct net_tls_material **material, struct conf_errors *errs)
{
	struct conf_errors *mine = conf_errors_new();
	struct sip_flow_keys *keys;

	director_load_material(d, c, material, errs, false);
	if (conf_errors_count(errs) != 0) {
		director_log_errors(errs, "certificate");
		log_say(SP_LOG_ERROR, "certificate-kept", "what could not be loaded stays as it was");
	}
	if ((keys = stage_read_flow_keys(d->config->flow_keys, mine)) == NULL && conf_errors_count(mine) != 0) {
		director_log_errors(mine, "flow-keys");
		conf_error(errs, NULL, 0, "%s", conf_errors_get(mine, 0));
	}
	stage_turn_flow_keys(&d->keys, &d->keys_read, keys);
	sip_flow_keys_unref(keys);
	conf_errors_free(mine);
	log_set_level((enum log_level)(c->log_level + SP_LOG_ERROR));
	director_config_unref(d->config);
	d->config = director_config_ref(c);
	stage_replace(d->material, material, DIRECTOR_DOORS_MAX);
	director_watch(d);
}

/*
 * Could an authd begin with c? Else errs says why not, and so does the log. Another process looks: nothing secret gets into
 * the memory of this one, of which the next proxy has a copy.
 */
static bool
suits_authd(const struct director_config *c, struct conf_errors *errs)
{
	int ends[2] = { -1, -1 }, status = -1;
	pid_t pid = -1;
	char text[2048];
	FILE *f = NULL;

	if (pipe2(ends, O_CLOEXEC) == 0 && (pid = fork()) == 0) {
		director_check_secrets(c, errs);
		for (size_t i = 0; i < conf_errors_count(errs); i++)
			dprintf(ends[1], "%s\n", conf_errors_get(errs, i));
		_exit(EX_OK);
	}
	if (ends[1] != -1)
		close(ends[1]);
	if (ends[0] != -1 && (f = fdopen(ends[0], "r")) == NULL)
		close(ends[0]);
	while (pid > 0 && f != NULL && fgets(text, sizeof(text), f) != NULL)
		conf_error(errs, NULL, 0, "%.*s", (int)strcspn(text, "\n"), text);
	if (f != NULL)
		fclose(f);
	while (pid > 0 && waitpid(pid, &status, 0) == -1 && errno == EINTR)
		;
	if (status != 0)
		conf_error(errs, NULL, 0, "what authd needs cannot be looked at; the log may say why");
	director_log_errors(errs, "reload");
	return conf_errors_count(errs) == 0;
}

/*
 * authd takes c as well. One that is away, for it has just ended, begins with it: then it is looked at here whether it
 * can. Else errs says why not, and so does the log.
 */
static int
configure_authd(struct director *d, struct director_config *c, struct conf_errors *errs)
{
	const char *why = "authd cannot use the accounts, the directory or the keytab that it names; its log says why";
	int err = d->authd.pid != 0 ? authd_command(&d->authd, AUTHD_CONFIGURE) : SP_ECLOSED;

	if (err == SP_ECLOSED) {
		err = suits_authd(c, errs) ? SP_OK : SP_EINVAL;
		why = "authd, which is just being started again, could not use it";
	} else if (err != SP_EINVAL) {
		why = "authd does not answer";
	}
	if (err == SP_OK)
		return SP_OK;
	log_say(SP_LOG_ERROR, "reload-refused", "%s; the old configuration stays in force", why);
	conf_error(errs, d->file, 0, "%s", why);
	return err;
}

static void
answer_load(void *owner, int fd, struct master_answer *a)
{
	struct net_tls_material *material[DIRECTOR_DOORS_MAX] = { NULL };
	struct conf_errors *errs = conf_errors_new();
	struct director *d = owner;
	struct director_config *c = read_again(d, errs);
	int err = c != NULL ? configure_authd(d, c, errs) : SP_EINVAL;

	(void)fd;
	if (err == SP_OK) {
		a->ok = true;
		take(d, c, material, errs);
		director_config_pack(c, a->file);
		stage_pack(material, DIRECTOR_DOORS_MAX, a->file);
	}
	for (size_t i = 0; i < conf_errors_count(errs); i++)
		fprintf(a->file, "%s%c", conf_errors_get(errs, i), '\0');
	/* whatever the file is, users are read again */
	if (err == SP_EINVAL && d->authd.pid != 0 && authd_command(&d->authd, AUTHD_RELOAD) != SP_OK)
		log_say(SP_LOG_ERROR, "reload", "the users stay as they were");
	stage_unref(material, DIRECTOR_DOORS_MAX);
	director_config_unref(c);
	conf_errors_free(errs);
}

static void
answer_keys(void *owner, int fd, struct master_answer *a)
{
	const struct director *d = owner;

	(void)fd;
	stage_put_flow_keys(d->keys, a);
}

/* After a crash: authd anew, and what the new proxy begins with. */
static bool
refresh(void *owner)
{
	struct net_tls_material *material[DIRECTOR_DOORS_MAX] = { NULL };
	struct conf_errors *errs = conf_errors_new();
	struct director *d = owner;
	struct director_config *c = read_again(d, errs);

	if (c != NULL && suits_authd(c, errs))
		take(d, c, material, errs);
	else if (c != NULL)
		log_say(SP_LOG_ERROR, "reload-refused", "authd could not begin with it; the old configuration stays in force");
	stage_unref(material, DIRECTOR_DOORS_MAX);
	director_config_unref(c);
	conf_errors_free(errs);
	authd_stop(&d->authd);
	return start_authd(d) == 0;
}

static const struct master_question questions[] = {
	{ DIRECTOR_ASK_LOAD, false, answer_load },
	{ DIRECTOR_ASK_KEYS, false, answer_keys },
	{ 0, false, NULL }
};

static int
proxy(void *owner, struct backstage *b)
{
	struct director *d = owner;
	int rc;

	d->stage = b;
	/* the master's, and not to be reached from here */
	d->keyd = NULL;
	authd_leave(&d->authd);
	renew_free(d->renew);
	d->renew = NULL;
	rc = director_proxy(d);
	director_unload(d);
	return rc;
}

/* Everything that must be there before the proxy. 0, or what to exit with (logged). */
static int
prepare(struct director *d)
{
	const char *key_user = is_given(d->config->key_user) ? d->config->key_user : d->config->user;
	const char *control = d->config->control_socket;
	int rc;

	memset(d->fds, -1, sizeof(d->fds));
	proc_harden();
	daemon_signals();
	if ((rc = start_authd(d)) != 0)
		return rc;
	if ((d->keyd = net_keyd_start(key_user, d->config->sandbox, d->nworkers)) == NULL)
		return EX_OSERR;
	if ((rc = load_identities(d)) != 0 || (rc = director_load_flow_keys(d)) != 0 || (rc = open_doors(d)) != 0)
		return rc;
	/* the program before this one has one still, and so nobody else would get it */
	if (getenv("SALLYPORT_BEFORE") != NULL && is_given(control))
		(void)unlink(control);
	d->renew = renew_new(DIRECTOR_DOORS_MAX);
	director_watch(d);
	net_keyd_log(d->keyd, log_descriptor());
	return 0;
}

int
director_master(struct director *d)
{
	/* of what a reload does not change */
	struct director_config *first = director_config_ref(d->config);
	const struct master_helper authd = {
		.life = LIVES_AUTHD, .pid = &d->authd.pid, .ended = authd_ended, .start = authd_again,
		.control = &d->authd.control, .beat = beat_authd, .hear = hear_authd
	};
	struct master_spec spec = {
		.owner = d, .file = d->file, .nworkers = d->nworkers, .questions = questions, .doors = &d->fds[0][0],
		.ndoors = sizeof(d->fds) / sizeof(int), .kept = d->ask, .nkept = NET_WORKERS_MAX, .material = d->material,
		.nmaterial = DIRECTOR_DOORS_MAX, .session_file = first->session_file, .session_max = (uint64_t)first->session_size << 20, .user = first->user, .proxy = proxy,
		.refresh = refresh, .reopened = reopened, .helper = &authd, .close_doors = close_doors,
		.lifeline = &d->authd.control, .stop_ms = STOP_MS + (unsigned)first->drain_time * 1000,
		.hung_ms = (unsigned)first->hung_time * 1000
	};
	int rc = prepare(d);

	if (rc == 0) {
		spec.keyd = d->keyd;
		spec.renew = d->renew;
		rc = master_run(&spec);
		close_doors(d);
	}
	if (!net_keyd_stop(d->keyd) && rc == 0)
		rc = EX_SOFTWARE;
	d->keyd = NULL;
	director_config_unref(first);
	return rc;
}
