/*
 * admin/ctl_admin_user.c - sallyportctl admin-user: who may use the admin page.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "admin/accounts.h"
#include "admin/ctl.h"
#include "admin/ctl_password.h"
#include "admin/ctl_secret.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/mem.h"

#define TOKEN_DAYS	365
#define TOKEN_DAYS_MAX	3650
#define DAY		86400

struct request {
	const char		*file, *password_file, *label, *name;
	enum account_role	 role;		/* NOBODY: not said */
	unsigned		 days;
	bool			 json, help;
	char			 token[ACCOUNT_TOKEN_ROOM];	/* what was made */
};

enum { OPT_ACCOUNTS = 256, OPT_ROLE, OPT_PASSWORD, OPT_LABEL, OPT_DAYS, OPT_JSON };

static const struct option options[] = {
	{ "accounts", required_argument, NULL, OPT_ACCOUNTS },
	{ "role", required_argument, NULL, OPT_ROLE },
	{ "password-file", required_argument, NULL, OPT_PASSWORD },
	{ "label", required_argument, NULL, OPT_LABEL },
	{ "days", required_argument, NULL, OPT_DAYS },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 }
};

static const char help_text[] =
    "Usage: sallyportctl admin-user add NAME [--role viewer|operator]\n"
    "       sallyportctl admin-user role NAME --role viewer|operator\n"
    "       sallyportctl admin-user password NAME\n"
    "       sallyportctl admin-user delete NAME\n"
    "       sallyportctl admin-user token NAME --label LABEL [--role ROLE] [--days N]\n"
    "       sallyportctl admin-user revoke NAME --label LABEL\n"
    "       sallyportctl admin-user list [--json]\n"
    "Manage who may use the admin page. A running sallyport-admin notices changes by itself.\n\n"
    "  --accounts FILE         the file (default " ACCOUNTS_DEFAULT_FILE ")\n"
    "  --role ROLE             viewer may look (the default), operator may also change\n"
    "  --password-file FILE    take the password from the first line of FILE, - is\n"
    "                          standard input; otherwise it is asked for\n"
    "  --label LABEL           name of a token; the token itself is printed once\n"
    "  --days N                how long a token holds (default 365, at most 3650)\n"
    "  --json                  list as JSON\n"
    "  --help                  this text\n";

static int
take_option(struct request *r, int c)
{
	char *end;
	long days;

	switch (c) {
	case OPT_ACCOUNTS:
		r->file = optarg;
		return EX_OK;
	case OPT_ROLE:
		return account_role_parse(span_str(optarg), &r->role) ? EX_OK :
		    ctl_misused("a role is viewer or operator, not", optarg);
	case OPT_PASSWORD:
		r->password_file = optarg;
		return EX_OK;
	case OPT_LABEL:
		r->label = optarg;
		return account_name_is_good(span_str(optarg)) ? EX_OK :
		    ctl_misused("a label is up to 32 of a-z, 0-9, '.', '_' and '-', a letter first; not", optarg);
	case OPT_DAYS:
		days = strtol(optarg, &end, 10);
		if (end == optarg || *end != '\0' || days < 1 || days > TOKEN_DAYS_MAX)
			return ctl_misused("--days expects a number from 1 to 3650, not", optarg);
		r->days = (unsigned)days;
		return EX_OK;
	case OPT_JSON:
		r->json = true;
		return EX_OK;
	case 'h':
		r->help = true;
		return EX_OK;
	}
	return EX_USAGE;	/* getopt_long() has said why */
}

static int
read_request(struct request *r, int argc, char **argv, bool wants_name)
{
	int c, status;

	*r = (struct request){ .file = ACCOUNTS_DEFAULT_FILE, .days = TOKEN_DAYS };
	argv[0] = (char *)(uintptr_t)"sallyportctl admin-user";	/* getopt_long() begins its complaints with it */
	optind = 1;
	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1)
		if ((status = take_option(r, c)) != EX_OK)
			return status;
	if (r->help)
		return EX_OK;
	if (wants_name && optind < argc)
		r->name = argv[optind++];
	if (wants_name && r->name == NULL)
		return ctl_misused("NAME is missing", NULL);
	if (optind < argc)
		return ctl_misused("what is", argv[optind]);
	return EX_OK;
}

static int
no_account(const char *name)
{
	fprintf(stderr, "sallyportctl: there is no account %s\n", name);
	return EX_NOUSER;
}

/* What one run changes; EX_OK: save. */
typedef int (*change)(struct accounts *, struct request *, const struct account *old, struct account *fresh);

static int
set_password(const struct request *r, struct account *a)
{
	char password[CTL_PASSWORD_ROOM];
	size_t n = 0;
	int status = ctl_password(r->password_file, password, &n);

	if (status == EX_OK && account_set_password(a, span_of(password, n), ACCOUNT_LOG2N) != SP_OK) {
		fprintf(stderr, "sallyportctl: a password has %d to %d bytes without control characters\n",
		    ACCOUNT_PASSWORD_MIN, ACCOUNT_PASSWORD_MAX);
		status = EX_DATAERR;
	}
	mem_wipe(password, sizeof(password));
	return status;
}

/* Load under the lock, let fn change, save. The password is asked for before, so that nobody waits for a typist. */
static int
run_change(struct request *r, bool asks, bool may_create, change fn)
{
	struct account fresh = { .role = ACCOUNT_VIEWER };
	struct accounts *as = NULL;
	int lock = -1, err, status;

	if (asks && (status = set_password(r, &fresh)) != EX_OK)
		return status;
	if ((err = secretfile_lock(r->file, CTL_SECRET_WAIT_MS, &lock)) != SP_OK)
		return ctl_secret_failed(r->file, err);
	if ((err = accounts_load(&as, r->file, ctl_secret_report, (void *)(uintptr_t)r->file)) == SP_ENOENT && may_create) {
		as = accounts_new();
		err = SP_OK;
	}
	if (err != SP_OK)
		status = ctl_secret_failed(r->file, err);
	else if ((status = fn(as, r, accounts_find(as, span_str(r->name)), &fresh)) == EX_OK &&
	    (err = accounts_save(as, r->file)) != SP_OK)
		status = ctl_secret_failed(r->file, err);
	accounts_free(as);
	secretfile_unlock(lock);
	mem_wipe(&fresh, sizeof(fresh));
	return status;
}

static int
change_add(struct accounts *as, struct request *r, const struct account *old, struct account *fresh)
{
	if (old != NULL) {
		fprintf(stderr, "sallyportctl: the account %s is there already\n", r->name);
		return EX_CANTCREAT;
	}
	memcpy(fresh->name, r->name, strlen(r->name) + 1);	/* its length was checked */
	if (r->role != ACCOUNT_NOBODY)
		fresh->role = r->role;
	if (accounts_put(as, fresh) != SP_OK) {
		fprintf(stderr, "sallyportctl: the file is full\n");
		return EX_CANTCREAT;
	}
	return EX_OK;
}

static int
change_password(struct accounts *as, struct request *r, const struct account *old, struct account *fresh)
{
	if (old == NULL)
		return no_account(r->name);
	memcpy(fresh->name, old->name, sizeof(fresh->name));
	fresh->role = old->role;
	accounts_put(as, fresh);
	return EX_OK;
}

static int
change_role(struct accounts *as, struct request *r, const struct account *old, struct account *fresh)
{
	if (old == NULL)
		return no_account(r->name);
	*fresh = *old;
	fresh->role = r->role;
	accounts_put(as, fresh);
	return EX_OK;
}

static int
change_delete(struct accounts *as, struct request *r, const struct account *old, struct account *fresh)
{
	(void)old;
	(void)fresh;
	return accounts_remove(as, span_str(r->name)) ? EX_OK : no_account(r->name);
}

static int
change_token(struct accounts *as, struct request *r, const struct account *old, struct account *fresh)
{
	struct account_token t = { .role = r->role != ACCOUNT_NOBODY ? r->role : ACCOUNT_VIEWER,
	    .until = (uint64_t)clock_wall() + (uint64_t)r->days * DAY };

	(void)fresh;
	if (old == NULL)
		return no_account(r->name);
	memcpy(t.account, old->name, sizeof(t.account));
	memcpy(t.label, r->label, strlen(r->label) + 1);	/* its length was checked */
	account_token_make(&t, r->token);
	if (accounts_put_token(as, &t) != SP_OK) {
		fprintf(stderr, "sallyportctl: the file has no room for another token\n");
		return EX_CANTCREAT;
	}
	return EX_OK;
}

static int
change_revoke(struct accounts *as, struct request *r, const struct account *old, struct account *fresh)
{
	(void)old;
	(void)fresh;
	if (accounts_remove_token(as, span_str(r->name), span_str(r->label)))
		return EX_OK;
	fprintf(stderr, "sallyportctl: there is no token %s/%s\n", r->name, r->label);
	return EX_NOUSER;
}

static int
print_help(void)
{
	fputs(help_text, stdout);
	return ctl_finish(EX_OK);
}

/* What each command does first. False: that was all, and *status is what to exit with. */
static bool
begin(struct request *r, int argc, char **argv, bool wants_name, int *status)
{
	*status = read_request(r, argc, argv, wants_name);
	if (r->help)
		*status = print_help();
	return *status == EX_OK && !r->help;
}

static int
add(int argc, char **argv)
{
	struct request r;
	int status;

	if (!begin(&r, argc, argv, true, &status))
		return status;
	if (!account_name_is_good(span_str(r.name)))
		return ctl_misused("a name is up to 32 of a-z, 0-9, '.', '_' and '-', a letter first; not", r.name);
	return run_change(&r, true, true, change_add);
}

static int
password(int argc, char **argv)
{
	struct request r;
	int status;

	if (!begin(&r, argc, argv, true, &status))
		return status;
	return run_change(&r, true, false, change_password);
}

static int
role(int argc, char **argv)
{
	struct request r;
	int status;

	if (!begin(&r, argc, argv, true, &status))
		return status;
	if (r.role == ACCOUNT_NOBODY)
		return ctl_misused("--role is missing", NULL);
	return run_change(&r, false, false, change_role);
}

static int
delete(int argc, char **argv)
{
	struct request r;
	int status;

	if (!begin(&r, argc, argv, true, &status))
		return status;
	return run_change(&r, false, false, change_delete);
}

static int
token(int argc, char **argv)
{
	struct request r;
	int status;

	if (!begin(&r, argc, argv, true, &status))
		return status;
	if (r.label == NULL)
		return ctl_misused("--label is missing", NULL);
	if ((status = run_change(&r, false, false, change_token)) == EX_OK) {
		printf("%s\n", r.token);	/* once: only its digest is kept */
		status = ctl_finish(EX_OK);
	}
	mem_wipe(r.token, sizeof(r.token));
	return status;
}

static int
revoke(int argc, char **argv)
{
	struct request r;
	int status;

	if (!begin(&r, argc, argv, true, &status))
		return status;
	if (r.label == NULL)
		return ctl_misused("--label is missing", NULL);
	return run_change(&r, false, false, change_revoke);
}

static void
print_text(const struct accounts *as)
{
	for (size_t i = 0; i < accounts_count(as); i++)
		printf("account\t%s\t%s\n", accounts_get(as, i)->name, account_role_name(accounts_get(as, i)->role));
	for (size_t i = 0; i < accounts_token_count(as); i++) {
		const struct account_token *t = accounts_token_get(as, i);
		time_t until = (time_t)t->until;
		char day[16] = "";
		struct tm tm;

		if (gmtime_r(&until, &tm) != NULL)
			strftime(day, sizeof(day), "%Y-%m-%d", &tm);
		printf("token\t%s/%s\t%s\tuntil %s\n", t->account, t->label, account_role_name(t->role), day);
	}
}

/* Names are of a few harmless characters (account_name_is_good()), so they need no escaping. */
static void
print_json(const struct accounts *as)
{
	printf("{\"accounts\":[");
	for (size_t i = 0; i < accounts_count(as); i++)
		printf("%s{\"name\":\"%s\",\"role\":\"%s\"}", i != 0 ? "," : "", accounts_get(as, i)->name,
		    account_role_name(accounts_get(as, i)->role));
	printf("],\"tokens\":[");
	for (size_t i = 0; i < accounts_token_count(as); i++) {
		const struct account_token *t = accounts_token_get(as, i);

		printf("%s{\"account\":\"%s\",\"label\":\"%s\",\"role\":\"%s\",\"until\":%llu}", i != 0 ? "," : "", t->account,
		    t->label, account_role_name(t->role), (unsigned long long)t->until);
	}
	printf("]}\n");
}

static int
list(int argc, char **argv)
{
	struct accounts *as;
	struct request r;
	int err, status;

	if (!begin(&r, argc, argv, false, &status))
		return status;
	if ((err = accounts_load(&as, r.file, ctl_secret_report, (void *)(uintptr_t)r.file)) != SP_OK)
		return ctl_secret_failed(r.file, err);
	if (r.json)
		print_json(as);
	else
		print_text(as);
	accounts_free(as);
	return ctl_finish(EX_OK);
}

static const struct ctl_command commands[] = {
	{ "add", add, NULL }, { "role", role, NULL }, { "password", password, NULL }, { "delete", delete, NULL },
	{ "token", token, NULL }, { "revoke", revoke, NULL }, { "list", list, NULL },
	{ NULL, NULL, NULL }
};

int
ctl_admin_user(int argc, char **argv)
{
	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
		return print_help();
	if (argc < 2) {
		fputs(help_text, stderr);
		return EX_USAGE;
	}
	return ctl_run(commands, "admin-user has no command", argc - 1, argv + 1);
}
