/*
 * admin/ctl_store.c - see ctl_store.h.
 */
#include "admin/ctl_store.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "admin/ctl.h"
#include "admin/ctl_ask.h"
#include "admin/ctl_width.h"
#include "admin/policyfile.h"
#include "admin/record.h"
#include "common/err.h"
#include "common/hash.h"
#include "common/mem.h"
#include "policy/rules.h"

#define NAME_WIDTH	12	/* columns of a name in the history */

enum {
	OPT_STORE = 256, OPT_POLICY, OPT_SOCKET, OPT_AUTHOR, OPT_NOTE, OPT_CANDIDATE, OPT_BASE, OPT_MAX, OPT_KNOWN, OPT_JSON,
	OPT_LINES, OPT_NO_EDGE, OPT_EDGE_CONF, OPT_DIRECTOR_CONF, OPT_OUTPUT, OPT_DRY_RUN, OPT_COMMIT
};

static const struct option options[] = {
	{ "store", required_argument, NULL, OPT_STORE },
	{ "policy", required_argument, NULL, OPT_POLICY },
	{ "socket", required_argument, NULL, OPT_SOCKET },
	{ "author", required_argument, NULL, OPT_AUTHOR },
	{ "note", required_argument, NULL, OPT_NOTE },
	{ "candidate", required_argument, NULL, OPT_CANDIDATE },
	{ "base", required_argument, NULL, OPT_BASE },
	{ "max", required_argument, NULL, OPT_MAX },
	{ "known", required_argument, NULL, OPT_KNOWN },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "lines", no_argument, NULL, OPT_LINES },
	{ "no-edge", no_argument, NULL, OPT_NO_EDGE },
	{ "edge-conf", required_argument, NULL, OPT_EDGE_CONF },
	{ "director-conf", required_argument, NULL, OPT_DIRECTOR_CONF },
	{ "output", required_argument, NULL, OPT_OUTPUT },
	{ "dry-run", no_argument, NULL, OPT_DRY_RUN },
	{ "commit", no_argument, NULL, OPT_COMMIT },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 }
};

const char ctl_store_help[] =
    "  --store DIR       where versions, candidates and the log are\n"
    "                    (default " POLICYSTORE_DEFAULT_DIR ")\n"
    "  --policy FILE     the policy in force, as edge.conf names it\n"
    "                    (default " SYSCONFDIR "/policy.conf)\n"
    "  --socket PATH     of the running edge (default " POLICYTELL_SOCKET ")\n"
    "  --no-edge         do not tell a running edge\n"
    "  --author NAME     who does it (default: your login)\n"
    "  --note TEXT       why, in one line\n"
    "  --candidate NAME  which candidate (default: your login)\n"
    "  --json            print JSON\n"
    "  --help            this text\n";

/* Who sits there, also behind sudo; made fit to be a candidate's name. */
static void
find_login(char out[POLICYSTORE_NAME_MAX + 1])
{
	const char *sudo = getenv("SUDO_USER"), *name = getuid() == 0 && sudo != NULL && sudo[0] != '\0' ? sudo : NULL;
	const struct passwd *pw = name == NULL ? getpwuid(getuid()) : NULL;

	if (name == NULL && pw != NULL)
		name = pw->pw_name;
	if (name != NULL && name[0] != '\0')
		snprintf(out, POLICYSTORE_NAME_MAX + 1, "%s", name);
	else
		snprintf(out, POLICYSTORE_NAME_MAX + 1, "uid%u", (unsigned)getuid());
	for (char *p = out; *p != '\0'; p++)
		if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
		    *p == '-' || *p == '_' || (*p == '.' && p != out)))
			*p = '_';
}

static bool
take_number(const char *text, uint64_t *out)
{
	return span_uint(span_str(text), INT64_MAX, out) && *out != 0;
}

/* EX_OK, or EX_USAGE and said. */
static int
take_option(struct ctl_store *s, int c)
{
	switch (c) {
	case OPT_STORE:		s->dir = optarg; break;
	case OPT_POLICY:	s->policy = optarg; break;
	case OPT_SOCKET:	s->socket = optarg; break;
	case OPT_AUTHOR:	s->author = optarg; break;
	case OPT_NOTE:		s->note = optarg; break;
	case OPT_CANDIDATE:	s->candidate = optarg; break;
	case OPT_KNOWN:		s->known = optarg; break;
	case OPT_JSON:		s->json = true; break;
	case OPT_LINES:		s->lines = true; break;
	case OPT_NO_EDGE:	s->no_edge = true; break;
	case OPT_EDGE_CONF:	s->edge_conf = optarg; break;
	case OPT_DIRECTOR_CONF:	s->director_conf = optarg; break;
	case OPT_OUTPUT:	s->output = optarg; break;
	case OPT_DRY_RUN:	s->dry_run = true; break;
	case OPT_COMMIT:	s->commit = true; break;
	case 'h':		s->help = true; break;
	case OPT_BASE:
		return take_number(optarg, &s->base) ? EX_OK : ctl_misused("--base expects the number of a version, not", optarg);
	case OPT_MAX:
		return take_number(optarg, &s->max) ? EX_OK : ctl_misused("--max expects a number from 1 on, not", optarg);
	default:
		return EX_USAGE;	/* getopt_long() has said why */
	}
	return EX_OK;
}

int
ctl_store_begin(struct ctl_store *s, const char *command, int argc, char **argv, int args)
{
	const char *socket = ctl_socket();
	char name[64];
	int c, rc;

	*s = (struct ctl_store){ .policy = SYSCONFDIR "/policy.conf", .max = 20,
		/* a Director has no policy of this kind */
		.socket = strcmp(socket, RUNDIR "/director.sock") == 0 ? POLICYTELL_SOCKET : socket,
		.errs = conf_errors_new() };
	snprintf(name, sizeof(name), "sallyportctl %s", command);
	argv[0] = name;		/* getopt_long() begins its complaints with it */
	optind = 1;
	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1)
		if ((rc = take_option(s, c)) != EX_OK) {
			argv[0] = NULL;
			return rc;
		}
	argv[0] = NULL;
	if (s->help)
		return EX_OK;
	if (argc - optind > args)
		return ctl_misused("what is", argv[optind + args]);
	hash_seed();
	find_login(s->login);
	if (s->author == NULL)
		s->author = s->login;
	if (s->candidate == NULL)
		s->candidate = s->login;
	s->tell = (struct policytell){ .socket = s->socket, .policy = s->policy };
	s->who = (struct policystore_who){ .author = s->author, .note = s->note,
		.apply = s->no_edge ? NULL : policytell_apply, .arg = &s->tell,
		.claim = s->no_edge ? NULL : policytell_claim };
	if (policystore_open(&s->store, s->dir, s->policy, s->errs) != SP_OK)
		return ctl_misused("--policy expects a file", NULL);
	return EX_OK;
}

static int
status_of(int err, int mistakes)
{
	switch (err) {
	case SP_OK:
		return EX_OK;
	case SP_EINVAL:
		return mistakes;
	case SP_ENOENT:
		return EX_NOINPUT;
	case SP_EEXIST:
		return EX_CANTCREAT;
	case SP_EAGAIN:
	case SP_ETIME:
		return EX_TEMPFAIL;
	case SP_ECLOSED:
		return EX_UNAVAILABLE;
	case SP_EIO:
		return errno == EACCES || errno == EPERM ? EX_NOPERM : EX_IOERR;
	default:
		return EX_DATAERR;
	}
}

int
ctl_store_end(struct ctl_store *s, int err, int mistakes)
{
	int status = s->stuck ? EX_OSERR : status_of(err, mistakes);

	if (s->store != NULL && policystore_news(s->store) != NULL)
		fprintf(stderr, "sallyportctl: %s\n", policystore_news(s->store));
	conf_errors_print(s->errs, stderr);
	policystore_close(s->store);
	conf_errors_free(s->errs);
	return status == EX_OK ? ctl_finish(EX_OK) : status;
}

bool
ctl_store_open(struct ctl_store *s, const char *command, const char *usage, int argc, char **argv, int args, int *status)
{
	*status = ctl_store_begin(s, command, argc, argv, args);
	if (*status == EX_OK && !s->help)
		return true;
	if (s->help) {
		fputs(usage, stdout);
		fputs(ctl_store_help, stdout);
		*status = ctl_store_end(s, SP_OK, EX_OK);
	} else {
		ctl_store_end(s, SP_OK, EX_OK);
	}
	return false;
}

int
ctl_store_judge(struct ctl_store *s, struct span text)
{
	const char *slash = strrchr(s->policy, '/');
	char *dir = slash != NULL ? xmemdup(s->policy, slash == s->policy ? 1 : (size_t)(slash - s->policy)) : NULL;
	struct policy_rules *rules = policyfile_load_text("candidate", text, dir, s->errs);

	free(dir);
	policy_rules_unref(rules);
	return rules != NULL ? SP_OK : SP_EINVAL;
}

void
ctl_print_change(const struct policy_change *c, bool json)
{
	char when[32];

	policy_time_format(c->time, when);
	if (!json) {
		size_t width = ctl_width(), n = strlen(c->author);
		int at = printf("%6" PRIu64 "  %s  %-9s  ", c->version, when, policy_action_name(c->action));

		record_print_wrapped(stdout, span_str(c->author), (size_t)at, (size_t)at, width);
		/* behind a long name, the note has a line of its own */
		if (c->note[0] != '\0' && n > NAME_WIDTH && width != 0)
			printf("\n%*s", at + NAME_WIDTH + 2, "");
		else if (c->note[0] != '\0')
			printf("%*s", n < NAME_WIDTH ? NAME_WIDTH + 2 - (int)n : 2, "");
		record_print_wrapped(stdout, span_str(c->note), (size_t)at + NAME_WIDTH + 2, (size_t)at + NAME_WIDTH + 2, width);
		putchar('\n');
		return;
	}
	printf("{\"version\": %" PRIu64 ", \"parent\": %" PRIu64 ", \"time\": \"%s\", \"action\": \"%s\", \"author\": ",
	    c->version, c->parent, when, policy_action_name(c->action));
	record_print_json_text(stdout, span_str(c->author));
	fputs(", \"note\": ", stdout);
	record_print_json_text(stdout, span_str(c->note));
	printf(", \"sha256\": \"%s\"}", c->sha256);
}

void
ctl_print_done(const struct ctl_store *s, enum policy_action action, uint64_t version)
{
	if (s->json)
		printf("{\"version\": %" PRIu64 ", \"action\": \"%s\", \"edge_told\": %s}\n", version, policy_action_name(action),
		    s->tell.told ? "true" : "false");
	else if (s->tell.told)
		printf("version %" PRIu64 " is in force\n", version);
	else if (s->no_edge)
		printf("version %" PRIu64 " is in force from the next start or reload of the edge on\n", version);
	else
		printf("version %" PRIu64 " will be in force at the next start of the edge, which is not running\n", version);
}
