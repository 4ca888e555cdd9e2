/*
 * director/load.c - everything that comes out of files: for the master, and for -n.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "admin/stage.h"
#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/proc.h"
#include "director/ldapd.h"
#include "director/master.h"
#include "director/ticket.h"
#include "sip/flowfile.h"

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
files_of(const struct director *d, const struct director_config *c, size_t i)
{
	const struct director_door *door = director_door(c, i);

	return (struct net_tls_files){
		own_or(door->certificate, c->certificate), own_or(door->key, c->key), own_or(door->trust, c->trust),
		own_or(door->crl, c->crl), false, d->keyd
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

void
director_load_material(const struct director *d, const struct director_config *c, struct net_tls_material **out,
    struct conf_errors *errs, bool check)
{
	struct complaint where = { .errs = errs, .file = d->file, .check = check };

	memset(out, 0, DIRECTOR_DOORS_MAX * sizeof(out[0]));
	for (size_t i = 0; i < c->doors.n && i < DIRECTOR_DOORS_MAX; i++) {
		const struct director_door *door = director_door(c, i);
		struct net_tls_files files = files_of(d, c, i);
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

void
director_log_errors(const struct conf_errors *errs, const char *event)
{
	for (size_t i = 0; i < conf_errors_count(errs); i++)
		log_say(SP_LOG_ERROR, event, "%s", conf_errors_get(errs, i));
}

void
director_watch(struct director *d)
{
	for (size_t i = 0; i < d->config->doors.n; i++) {
		struct net_tls_files files = files_of(d, d->config, i);

		renew_watch(d->renew, i, director_door(d->config, i)->listen, &files, d->material[i]);
	}
	stage_keep_keys(d->keyd, d->material, DIRECTOR_DOORS_MAX);
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

static void
check_users(const struct director_config *c, struct conf_errors *errs, bool person)
{
	struct complaint where = { .errs = errs, .file = c->auth_users };
	struct users *us = NULL;
	int err;

	if (!is_given(where.file))
		return;
	err = users_load(&us, where.file, report_user, &where);
	if (err == SP_EIO)
		conf_error(errs, where.file, 0, "%s", strerror(errno));
	else if (err == SP_ENOENT && person)
		fprintf(stderr, "%s: warning: there is no such file, so there are no users\n", where.file);
	users_free(us);
}

void
director_check_secrets(const struct director_config *c, struct conf_errors *errs)
{
	char password[LDAPD_PASSWORD_MAX];
	size_t n = 0;

	if (c->directory.homes != HOMES_FILE && c->directory.bind == BIND_SIMPLE &&
	    ldapd_read_password(c->directory.password_file, password, &n) != SP_OK)
		conf_error(errs, c->directory.password_file, 0, "the password of the directory cannot be read; the log says why");
	mem_wipe(password, sizeof(password));
	if (geteuid() == 0 && is_given(c->auth_user) && proc_drop_to(c->auth_user) != SP_OK)
		conf_error(errs, NULL, 0, "auth.user: cannot become \"%s\"", c->auth_user);
	check_keytab(c, errs);
	check_users(c, errs, false);
}

void
director_check(struct director *d, struct conf_errors *errs)
{
	int err, line;

	director_load_material(d, d->config, d->material, errs, true);
	check_keytab(d->config, errs);
	if (is_given(d->config->flow_keys) && (err = sip_flow_keys_check(d->config->flow_keys, &line)) != SP_OK)
		conf_error(errs, d->config->flow_keys, line, "%s", sip_flow_keys_fault(err, line));
	conf_errors_sort(errs, 0, d->file);
	check_users(d->config, errs, true);
}

void
director_check_accounts(const struct director_config *c, const char *file, struct conf_errors *errs)
{
	if (is_given(c->user) && !proc_knows_user(c->user))
		conf_error(errs, file, conf_line_of(errs, "user"), "user: this machine has no account \"%s\"; "
		    "make it, or name the account that sallyport-director is to run as", c->user);
	if (is_given(c->key_user) && !proc_knows_user(c->key_user))
		conf_error(errs, file, conf_line_of(errs, "key_user"), "key_user: this machine has no account \"%s\"",
		    c->key_user);
	if (is_given(c->auth_user) && !proc_knows_user(c->auth_user))
		conf_error(errs, file, conf_line_of(errs, "auth.user"), "auth.user: this machine has no account \"%s\"",
		    c->auth_user);
}

int
director_load_flow_keys(struct director *d)
{
	int line = 0, err;

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
