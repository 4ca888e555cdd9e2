/*
 * admin/ctl_policycandidate.c - sallyportctl policy candidate: what may become the next policy.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "admin/ctl.h"
#include "admin/ctl_store.h"
#include "admin/policyfile.h"
#include "admin/record.h"
#include "common/err.h"
#include "common/mem.h"
#include "policy/rules.h"

static const char usage[] =
    "Usage: sallyportctl policy candidate show [OPTION]...\n"
    "       sallyportctl policy candidate set FILE [--base VERSION] [OPTION]...\n"
    "       sallyportctl policy candidate edit [OPTION]...\n"
    "       sallyportctl policy candidate check [OPTION]...\n"
    "       sallyportctl policy candidate rebase [OPTION]...\n"
    "       sallyportctl policy candidate list [OPTION]...\n"
    "A candidate is a policy that nobody obeys yet. It is kept mistakes and all, and\n"
    "committed only without any. set takes it from FILE (- is standard input); edit\n"
    "opens $VISUAL or $EDITOR; rebase merges in what others have changed meanwhile.\n\n"
    "  --base VERSION    the version that FILE was made from (default: the one in force)\n";

static void
print_kept(const struct ctl_store *s, const struct policy_change *c, bool good)
{
	if (s->json) {
		printf("{\"candidate\": \"%s\", \"good\": %s, \"change\": ", s->candidate, good ? "true" : "false");
		ctl_print_change(c, true);
		puts("}");
	} else {
		printf("candidate %s, based on version %" PRIu64 "%s\n", s->candidate, c->parent,
		    good ? ": good" : ": has mistakes, see above");
	}
}

/* After it was written: what is there now. */
static int
report(struct ctl_store *s)
{
	struct policystore_text t = { .text = NULL };
	int err = policystore_candidate(s->store, s->candidate, &t, s->errs);

	if (err == SP_OK) {
		err = ctl_store_judge(s, policystore_span(&t));
		print_kept(s, &t.change, err == SP_OK);
	}
	policystore_text_fini(&t);
	return err;
}

static int
show(int argc, char **argv)
{
	struct policystore_text t = { .text = NULL };
	struct ctl_store s;
	int status, err;

	if (!ctl_store_open(&s, "policy candidate show", usage, argc, argv, 0, &status))
		return status;
	if ((err = policystore_candidate(s.store, s.candidate, &t, s.errs)) == SP_OK) {
		if (s.json) {
			fputs("{\"change\": ", stdout);
			ctl_print_change(&t.change, true);
			fputs(", \"text\": ", stdout);
			record_print_json_text(stdout, policystore_span(&t));
			puts("}");
		} else {
			fwrite(t.text, 1, t.n, stdout);
		}
	}
	policystore_text_fini(&t);
	return ctl_store_end(&s, err, EX_DATAERR);
}

static int
check(int argc, char **argv)
{
	struct ctl_store s;
	int status;

	if (!ctl_store_open(&s, "policy candidate check", usage, argc, argv, 0, &status))
		return status;
	return ctl_store_end(&s, report(&s), EX_CONFIG);
}

struct listing {
	bool	 json;
	size_t	 n;
};

static void
list_one(void *arg, const char *name, const struct policy_change *c)
{
	struct listing *l = arg;
	char when[32];

	policy_time_format(c->time, when);
	if (l->json) {
		printf("%s\n  {\"candidate\": \"%s\", \"change\": ", l->n != 0 ? "," : "", name);
		ctl_print_change(c, true);
		putchar('}');
	} else {
		printf("%-16s based on version %" PRIu64 ", %s by %s  %s\n", name, c->parent, when, c->author, c->note);
	}
	l->n++;
}

static int
list(int argc, char **argv)
{
	struct listing l = { .n = 0 };
	struct ctl_store s;
	int status, err;

	if (!ctl_store_open(&s, "policy candidate list", usage, argc, argv, 0, &status))
		return status;
	l.json = s.json;
	if (s.json)
		fputs("{\"candidates\": [", stdout);
	err = policystore_candidates(s.store, list_one, &l, s.errs);
	if (s.json)
		puts("\n]}");
	return ctl_store_end(&s, err, EX_DATAERR);
}

static int
rebase(int argc, char **argv)
{
	struct ctl_store s;
	int status, err;

	if (!ctl_store_open(&s, "policy candidate rebase", usage, argc, argv, 0, &status))
		return status;
	if ((err = policystore_candidate_rebase(s.store, s.candidate, &s.who, s.errs)) == SP_OK)
		err = report(&s);
	return ctl_store_end(&s, err, EX_CONFIG);
}

/* ---- set ---- */

/* All of a file or of standard input. */
static int
read_all(const char *file, char **out, size_t *n, struct conf_errors *errs)
{
	bool in = strcmp(file, "-") == 0;
	FILE *f = in ? stdin : fopen(file, "rbe");
	size_t room = 65536, got;
	int err = SP_OK;

	*n = 0;
	*out = NULL;
	if (f == NULL) {
		err = errno == ENOENT ? SP_ENOENT : SP_EIO;
		conf_error(errs, file, 0, "%s", strerror(errno));
		return err;
	}
	*out = xmalloc(room);
	while ((got = fread(*out + *n, 1, room - *n, f)) > 0 && *n + got <= POLICYSTORE_TEXT_MAX) {
		*n += got;
		if (*n == room)
			*out = xrealloc(*out, room *= 2);
	}
	if (got > 0) {
		conf_error(errs, file, 0, "has more than %u bytes", POLICYSTORE_TEXT_MAX);
		err = SP_ELIMIT;
	} else if (ferror(f)) {
		conf_error(errs, file, 0, "%s", strerror(errno));
		err = SP_EIO;
	}
	if (!in)
		fclose(f);
	return err;
}

static int
set(int argc, char **argv)
{
	struct ctl_store s;
	char *text = NULL;
	size_t n;
	int status, err, mistakes = EX_DATAERR;

	if (!ctl_store_open(&s, "policy candidate set", usage, argc, argv, 1, &status))
		return status;
	if (optind == argc) {
		ctl_store_end(&s, SP_OK, EX_OK);
		return ctl_misused("policy candidate set expects FILE (- is standard input)", NULL);
	}
	if ((err = read_all(argv[optind], &text, &n, s.errs)) == SP_OK &&
	    (err = policystore_candidate_set(s.store, s.candidate, &s.who, s.base, NULL, span_of(text, n), s.errs)) == SP_OK) {
		err = report(&s);
		mistakes = EX_CONFIG;
	}
	free(text);
	return ctl_store_end(&s, err, mistakes);
}

/* ---- edit ---- */

static int
run_editor(const char *file, struct conf_errors *errs)
{
	const char *editor = getenv("VISUAL");
	char *command;
	size_t size;
	int status = -1;
	pid_t pid;

	if (editor == NULL || editor[0] == '\0')
		editor = getenv("EDITOR");
	if (editor == NULL || editor[0] == '\0')
		editor = "vi";
	size = strlen(editor) + 8;
	command = xmalloc(size);
	snprintf(command, size, "%s \"$1\"", editor);
	fflush(NULL);
	if ((pid = fork()) == 0) {
		execl("/bin/sh", "sh", "-c", command, "sh", file, (char *)NULL);
		_exit(127);
	}
	while (pid > 0 && waitpid(pid, &status, 0) == -1 && errno == EINTR)
		;
	if (pid <= 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		conf_error(errs, NULL, 0, "the editor (%s) failed; nothing was changed", editor);
		free(command);
		return SP_EIO;
	}
	free(command);
	return SP_OK;
}

/* What the editing begins with, and what has to be there still when it ends. */
static int
starting_point(struct ctl_store *s, struct policystore_text *t, bool *is_there)
{
	struct conf_errors *quiet = conf_errors_new();
	int err = policystore_candidate(s->store, s->candidate, t, quiet);

	*is_there = err == SP_OK;
	if (err == SP_ENOENT)
		err = policystore_current(s->store, t, s->errs);
	else
		for (size_t i = 0; i < conf_errors_count(quiet); i++)
			conf_error(s->errs, NULL, 0, "%s", conf_errors_get(quiet, i));
	conf_errors_free(quiet);
	return err;
}

static int
edit_text(struct ctl_store *s, const struct policystore_text *t, char **out, size_t *n)
{
	const char *tmp = getenv("TMPDIR");
	char file[4096];
	int fd, err;

	*out = NULL;
	snprintf(file, sizeof(file), "%s/policy-XXXXXX.conf", tmp != NULL && tmp[0] != '\0' ? tmp : "/tmp");
	if ((fd = mkstemps(file, 5)) == -1 || write(fd, t->text, t->n) != (ssize_t)t->n || close(fd) != 0) {
		conf_error(s->errs, file, 0, "%s", strerror(errno));
		return SP_EIO;
	}
	if ((err = run_editor(file, s->errs)) != SP_OK) {
		unlink(file);
		return err;
	}
	if ((err = read_all(file, out, n, s->errs)) != SP_OK) {
		/* nobody's work is thrown away */
		conf_error(s->errs, NULL, 0, "what you have written is in %s", file);
		free(*out);
		*out = NULL;
		return err;
	}
	unlink(file);
	return SP_OK;
}

static int
edit(int argc, char **argv)
{
	struct policystore_text t = { .text = NULL };
	struct ctl_store s;
	bool is_there;
	char *text = NULL;
	size_t n;
	int status, err;

	if (!ctl_store_open(&s, "policy candidate edit", usage, argc, argv, 0, &status))
		return status;
	if ((err = starting_point(&s, &t, &is_there)) != SP_OK || (err = edit_text(&s, &t, &text, &n)) != SP_OK)
		goto out;
	if (span_eq(span_of(text, n), policystore_span(&t))) {
		conf_error(s.errs, NULL, 0, "nothing was changed");
		goto out;
	}
	err = policystore_candidate_set(s.store, s.candidate, &s.who, is_there ? t.change.parent : t.change.version,
	    is_there ? t.change.sha256 : "", span_of(text, n), s.errs);
	if (err == SP_OK) {
		err = report(&s);
	} else if (err == SP_EAGAIN) {
		/* nobody's work is thrown away */
		fputs("sallyportctl: what you have written:\n", stderr);
		fwrite(text, 1, n, stderr);
	}
 out:
	free(text);
	policystore_text_fini(&t);
	return ctl_store_end(&s, err, EX_CONFIG);
}

static const struct ctl_command commands[] = {
	{ "show", show, NULL },
	{ "set", set, NULL },
	{ "edit", edit, NULL },
	{ "check", check, NULL },
	{ "rebase", rebase, NULL },
	{ "list", list, NULL },
	{ NULL, NULL, NULL }
};

int
ctl_policy_candidate(int argc, char **argv)
{
	if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		fputs(usage, argc < 2 ? stderr : stdout);
		fputs(ctl_store_help, argc < 2 ? stderr : stdout);
		return argc < 2 ? EX_USAGE : ctl_finish(EX_OK);
	}
	return ctl_run(commands, "policy candidate has no command", argc - 1, argv + 1);
}
