/*
 * admin/ctl_user.c - sallyportctl user: the accounts of the embedded user file.
 *
 * Passwords come from a terminal, a file or standard input, never from the
 * command line, where everybody on the machine could read them.
 */
#include <sys/stat.h>

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "admin/ctl.h"
#include "admin/ctl_password.h"
#include "admin/ctl_secret.h"
#include "admin/users.h"
#include "common/err.h"
#include "common/mem.h"


enum { UNCHANGED = -1, NO, YES };

/* What the options of one run said. */
struct request {
	const char	*file, *pool, *realm, *password_file;
	int		 remote, federation, public_im, archive, enabled;
	bool		 json, help;
	const char	*aor;
};

enum {
	OPT_USERS = 256, OPT_POOL, OPT_REALM, OPT_PASSWORD, OPT_JSON, OPT_REMOTE, OPT_NO_REMOTE, OPT_FEDERATION,
	OPT_NO_FEDERATION, OPT_PUBLIC_IM, OPT_NO_PUBLIC_IM, OPT_ARCHIVE, OPT_NO_ARCHIVE, OPT_ENABLED, OPT_DISABLED
};

static const struct option options[] = {
	{ "users", required_argument, NULL, OPT_USERS },
	{ "pool", required_argument, NULL, OPT_POOL },
	{ "realm", required_argument, NULL, OPT_REALM },
	{ "password-file", required_argument, NULL, OPT_PASSWORD },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "remote", no_argument, NULL, OPT_REMOTE },
	{ "no-remote", no_argument, NULL, OPT_NO_REMOTE },
	{ "federation", no_argument, NULL, OPT_FEDERATION },
	{ "no-federation", no_argument, NULL, OPT_NO_FEDERATION },
	{ "public-im", no_argument, NULL, OPT_PUBLIC_IM },
	{ "no-public-im", no_argument, NULL, OPT_NO_PUBLIC_IM },
	{ "archive", no_argument, NULL, OPT_ARCHIVE },
	{ "no-archive", no_argument, NULL, OPT_NO_ARCHIVE },
	{ "enabled", no_argument, NULL, OPT_ENABLED },
	{ "disabled", no_argument, NULL, OPT_DISABLED },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 }
};

static const char help_text[] =
    "Usage: sallyportctl user add USER@DOMAIN --pool NAME [OPTION]...\n"
    "       sallyportctl user set USER@DOMAIN [OPTION]...\n"
    "       sallyportctl user passwd USER@DOMAIN [OPTION]...\n"
    "       sallyportctl user del USER@DOMAIN\n"
    "       sallyportctl user list [--json]\n"
    "Manage the accounts of the embedded user file. The Director notices changes by itself.\n\n"
    "  --users FILE            the file (default " USERS_DEFAULT_FILE ")\n"
    "  --pool NAME             home pool, as the Director's configuration names it\n"
    "  --realm REALM           realm that clients are challenged with (default: the\n"
    "                          domain); must be the Director's auth.realm, if it has one\n"
    "  --password-file FILE    take the password from the first line of FILE, - is\n"
    "                          standard input; otherwise it is asked for\n"
    "  --remote, --no-remote           may sign in from outside (default: yes)\n"
    "  --federation, --no-federation   may be reached by partners (default: yes)\n"
    "  --public-im, --no-public-im     may be reached by public IM (default: no)\n"
    "  --archive, --no-archive         messages are archived (default: no)\n"
    "  --enabled, --disabled           the account as a whole (default: enabled)\n"
    "  --json                  list as JSON\n"
    "  --help                  this text\n";

/* --- reading options ------------------------------------------------------------- */

static bool
take_option(struct request *r, int c)
{
	switch (c) {
	case OPT_USERS:		r->file = optarg; return true;
	case OPT_POOL:		r->pool = optarg; return true;
	case OPT_REALM:		r->realm = optarg; return true;
	case OPT_PASSWORD:	r->password_file = optarg; return true;
	case OPT_JSON:		r->json = true; return true;
	case OPT_REMOTE:	r->remote = YES; return true;
	case OPT_NO_REMOTE:	r->remote = NO; return true;
	case OPT_FEDERATION:	r->federation = YES; return true;
	case OPT_NO_FEDERATION:	r->federation = NO; return true;
	case OPT_PUBLIC_IM:	r->public_im = YES; return true;
	case OPT_NO_PUBLIC_IM:	r->public_im = NO; return true;
	case OPT_ARCHIVE:	r->archive = YES; return true;
	case OPT_NO_ARCHIVE:	r->archive = NO; return true;
	case OPT_ENABLED:	r->enabled = YES; return true;
	case OPT_DISABLED:	r->enabled = NO; return true;
	case 'h':		r->help = true; return true;
	}
	return false;	/* getopt_long() has said why */
}

static int
read_request(struct request *r, int argc, char **argv, bool wants_user)
{
	int c;

	*r = (struct request){ .file = USERS_DEFAULT_FILE, .remote = UNCHANGED, .federation = UNCHANGED,
	    .public_im = UNCHANGED, .archive = UNCHANGED, .enabled = UNCHANGED };
	argv[0] = (char *)(uintptr_t)"sallyportctl user";	/* getopt_long() begins its complaints with it */
	optind = 1;
	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1)
		if (!take_option(r, c))
			return EX_USAGE;
	if (r->help)
		return EX_OK;
	if (wants_user && optind < argc)
		r->aor = argv[optind++];
	if (wants_user && r->aor == NULL)
		return ctl_misused("USER@DOMAIN is missing", NULL);
	if (optind < argc)
		return ctl_misused("what is", argv[optind]);
	return EX_OK;
}

/* --- the file ------------------------------------------------------------------------ */

/* Lock and load. EX_OK: *us and *lock are the caller's. may_create: no file is an empty one. */
static int
begin_change(const char *file, bool may_create, struct users **us, int *lock)
{
	int err = users_lock(file, CTL_SECRET_WAIT_MS, lock);

	*us = NULL;
	if (err != SP_OK)
		return ctl_secret_failed(file, err);
	if ((err = users_load(us, file, ctl_secret_report, (void *)(uintptr_t)file)) == SP_ENOENT && may_create) {
		*us = users_new();
		err = SP_OK;
	}
	if (err == SP_OK)
		return EX_OK;
	users_unlock(*lock);
	return ctl_secret_failed(file, err);
}

/* Save if status is EX_OK, and let go of everything. */
static int
end_change(const char *file, struct users *us, int lock, int status)
{
	int err = status == EX_OK ? users_save(us, file) : SP_OK;

	if (err != SP_OK)
		status = ctl_secret_failed(file, err);
	users_free(us);
	users_unlock(lock);
	return status;
}

/* --- passwords ------------------------------------------------------------------------- */

static int
set_password(struct user *u, const struct request *r)
{
	char password[CTL_PASSWORD_ROOM];
	size_t n = 0;
	int status = ctl_password(r->password_file, password, &n);

	if (status == EX_OK && user_set_password(u, span_str(r->realm != NULL ? r->realm : u->realm),
	    span_of(password, n)) != SP_OK) {
		fprintf(stderr, "sallyportctl: a password has 1 to %d bytes of UTF-8 without control characters; "
		    "a realm has no quotes\n", USER_PASSWORD_MAX);
		status = EX_DATAERR;
	}
	mem_wipe(password, sizeof(password));
	return status;
}

/* --- the subcommands ---------------------------------------------------------------------- */

static int
apply(struct user *u, const struct request *r)
{
	if (r->pool != NULL && user_set_pool(u, span_str(r->pool)) != SP_OK) {
		fprintf(stderr, "sallyportctl: '%s' is not a host name\n", r->pool);
		return EX_DATAERR;
	}
	if (r->remote != UNCHANGED)
		u->remote = r->remote == YES;
	if (r->federation != UNCHANGED)
		u->federation = r->federation == YES;
	if (r->public_im != UNCHANGED)
		u->public_im = r->public_im == YES;
	if (r->archive != UNCHANGED)
		u->archive = r->archive == YES;
	if (r->enabled != UNCHANGED)
		u->enabled = r->enabled == YES;
	return EX_OK;
}

static int
user_add(int argc, char **argv)
{
	struct user u = { .enabled = true, .remote = true, .federation = true };
	struct users *us = NULL;
	struct request r;
	int lock, status = read_request(&r, argc, argv, true);

	if (status != EX_OK || r.help)
		return r.help ? (fputs(help_text, stdout), ctl_finish(EX_OK)) : status;
	if (r.pool == NULL)
		return ctl_misused("--pool is missing: where does the user live?", NULL);
	if (user_set_aor(&u, span_str(r.aor)) != SP_OK) {
		fprintf(stderr, "sallyportctl: '%s' is not of the form user@domain\n", r.aor);
		return EX_DATAERR;
	}
	if ((status = apply(&u, &r)) != EX_OK || (status = set_password(&u, &r)) != EX_OK)
		goto out;
	if ((status = begin_change(r.file, true, &us, &lock)) != EX_OK)
		goto out;
	if (users_find(us, span_str(u.aor)) != NULL) {
		fprintf(stderr, "sallyportctl: %s is there already\n", u.aor);
		status = EX_CANTCREAT;
	} else if (users_put(us, &u) != SP_OK) {
		fprintf(stderr, "sallyportctl: the file is full\n");
		status = EX_CANTCREAT;
	}
	status = end_change(r.file, us, lock, status);
 out:
	mem_wipe(&u, sizeof(u));
	return status;
}

enum what { CHANGE_PASSWORD, CHANGE_GATES, DELETE };

static int
no_user(const struct request *r)
{
	fprintf(stderr, "sallyportctl: there is no user %s\n", r->aor);
	return EX_NOUSER;
}

static int
change(int argc, char **argv, enum what what)
{
	struct users *us = NULL;
	struct request r;
	struct user u, fresh;
	const struct user *found;
	int lock, status = read_request(&r, argc, argv, true);

	if (status != EX_OK || r.help)
		return r.help ? (fputs(help_text, stdout), ctl_finish(EX_OK)) : status;
	memset(&fresh, 0, sizeof(fresh));
	if (what == CHANGE_PASSWORD) {
		/* asked for before the file is locked; nobody should wait for a person */
		if ((status = users_load(&us, r.file, ctl_secret_report, (void *)(uintptr_t)r.file)) != SP_OK)
			return ctl_secret_failed(r.file, status);
		if ((found = users_find(us, span_str(r.aor))) != NULL)
			fresh = *found;
		status = found != NULL ? set_password(&fresh, &r) : no_user(&r);
		users_free(us);
	}
	if (status != EX_OK || (status = begin_change(r.file, false, &us, &lock)) != EX_OK)
		goto out;
	if ((found = users_find(us, span_str(r.aor))) == NULL)
		status = no_user(&r);
	else if (what == DELETE)
		users_remove(us, span_str(r.aor));
	else {
		u = *found;
		if (what == CHANGE_PASSWORD) {
			memcpy(u.realm, fresh.realm, sizeof(u.realm));
			memcpy(u.md5, fresh.md5, sizeof(u.md5));
			memcpy(u.md5_full, fresh.md5_full, sizeof(u.md5_full));
			memcpy(u.sha256, fresh.sha256, sizeof(u.sha256));
			memcpy(u.sha256_full, fresh.sha256_full, sizeof(u.sha256_full));
			memcpy(u.nt, fresh.nt, sizeof(u.nt));
		}
		if ((status = apply(&u, &r)) == EX_OK)
			users_put(us, &u);
		mem_wipe(&u, sizeof(u));
	}
	status = end_change(r.file, us, lock, status);
 out:
	mem_wipe(&fresh, sizeof(fresh));
	return status;
}

static int
user_set(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strncmp(argv[i], "--realm", 7) == 0 || strncmp(argv[i], "--password-file", 15) == 0)
			return ctl_misused("a new password or realm is set with: user passwd", NULL);
	return change(argc, argv, CHANGE_GATES);
}

static int
user_passwd(int argc, char **argv)
{
	return change(argc, argv, CHANGE_PASSWORD);
}

static int
user_del(int argc, char **argv)
{
	return change(argc, argv, DELETE);
}

/* Realms may hold 8-bit bytes, which pass as they are if they are UTF-8; quotes they never hold. */
static void
print_json(const struct users *us)
{
	static const char *const word[] = { "false", "true" };

	printf("{\"users\":[");
	for (size_t i = 0; i < users_count(us); i++) {
		const struct user *u = users_get(us, i);

		printf("%s\n  {\"user\":\"%s\",\"pool\":\"%s\",\"realm\":\"%s\",\"enabled\":%s,\"remote\":%s,"
		    "\"federation\":%s,\"public_im\":%s,\"archive\":%s}", i == 0 ? "" : ",", u->aor, u->pool, u->realm,
		    word[u->enabled], word[u->remote], word[u->federation], word[u->public_im], word[u->archive]);
	}
	printf("%s]}\n", users_count(us) == 0 ? "" : "\n");
}

static void
print_table(const struct users *us)
{
	static const char *const word[] = { "no", "yes" };

	printf("%-36s %-28s %-8s %-7s %-11s %-10s %s\n", "USER", "POOL", "ENABLED", "REMOTE", "FEDERATION", "PUBLIC-IM",
	    "ARCHIVE");
	for (size_t i = 0; i < users_count(us); i++) {
		const struct user *u = users_get(us, i);

		printf("%-36s %-28s %-8s %-7s %-11s %-10s %s\n", u->aor, u->pool, word[u->enabled], word[u->remote],
		    word[u->federation], word[u->public_im], word[u->archive]);
	}
}

static int
user_list(int argc, char **argv)
{
	struct users *us = NULL;
	struct request r;
	int err, status = read_request(&r, argc, argv, false);

	if (status != EX_OK || r.help)
		return r.help ? (fputs(help_text, stdout), ctl_finish(EX_OK)) : status;
	if ((err = users_load(&us, r.file, ctl_secret_report, (void *)(uintptr_t)r.file)) != SP_OK)
		return ctl_secret_failed(r.file, err);
	if (r.json)
		print_json(us);
	else
		print_table(us);
	users_free(us);
	return ctl_finish(EX_OK);
}

int
ctl_user(int argc, char **argv)
{
	static const struct ctl_command commands[] = {
		{ "add", user_add, NULL },
		{ "set", user_set, NULL },
		{ "passwd", user_passwd, NULL },
		{ "del", user_del, NULL },
		{ "list", user_list, NULL },
		{ NULL, NULL, NULL }
	};

	if (argc < 2) {
		fputs(help_text, stderr);
		return EX_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		fputs(help_text, stdout);
		return ctl_finish(EX_OK);
	}
	return ctl_run(commands, "user has no command", argc - 1, argv + 1);
}
