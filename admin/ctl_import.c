/*
 * admin/ctl_import.c - sallyportctl import: what an export, or an importer, has made is put in force here: everything or nothing.
 */
#include "admin/ctl_portable.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "admin/confset.h"
#include "admin/ctl.h"
#include "admin/ctl_program.h"
#include "admin/ctl_putfiles.h"
#include "admin/policydiff.h"
#include "admin/policyfile.h"
#include "admin/record.h"
#include "common/chan.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/strbuf.h"
#include "policy/rules.h"

#define OLD	".before-import"
#define NAME	"import"	/* of the candidate, if none is given: nobody's own work is replaced */

static const char *const programs[PORTABLE_NDAEMONS] = { "sallyport-edge", "sallyport-director" };

struct taking {
	struct ctl_store	*s;
	const struct portable	*p;
	struct ctl_putfile	 files[PORTABLE_NDAEMONS];
	char			*options[PORTABLE_NDAEMONS];	/* what the daemon's --options says; NULL: not asked yet */
	size_t			 noptions[PORTABLE_NDAEMONS];
	bool			 restart[PORTABLE_NDAEMONS];	/* one of its settings takes that */
	bool			 absent[PORTABLE_NDAEMONS];	/* there are settings for it, and it has no file here */
	char			*edge_text;	/* of edge.conf as it will be, if that is another one */
	size_t			 nedge;
	char			*said;		/* what of the settings changes, to be printed */
	size_t			 nsaid, nchanged;
	FILE			*say;
	struct policystore_text	 was;
	struct policydiff	*diff;
	bool			 same;		/* the policy in force, with what it includes, is that one */
	bool			 made;		/* the candidate is of this run */
	bool			 kept;		/* it is there, and what it says is not in force */
	bool			 in_force;	/* its policy is */
};

static bool
is_new_policy(const struct taking *t)
{
	return t->p->policy != NULL && !t->same;
}

/* Does a change of that option take a restart? Its daemon knows. */
static bool
takes_restart(struct taking *t, enum portable_daemon d, const char *path)
{
	static const char *const args[] = { "--options", NULL };
	struct span rest, want = span_str(path);

	if (t->options[d] == NULL)
		(void)ctl_program_output(programs[d], "import", args, &t->options[d], &t->noptions[d]);
	if (t->options[d] == NULL)
		t->options[d] = xstrdup("");
	for (rest = span_of(t->options[d], t->noptions[d]); rest.n > 0; rest = span_tail(rest, span_find(rest, '\n') + 1)) {
		struct span line = span_head(rest, span_find(rest, '\n'));

		if (span_eq(span_head(line, span_find(line, '\t')), want)) {
			for (size_t tab; (tab = span_find(line, '\t')) < line.n;)
				line = span_tail(line, tab + 1);
			return span_is(line, "restart");
		}
	}
	return true;	/* the daemon refuses it anyway */
}

static void
say_setting(void *arg, enum portable_daemon d, const char *path, const char *was, const char *now)
{
	struct taking *t = arg;
	bool restart = takes_restart(t, d, path);

	t->restart[d] = t->restart[d] || restart;
	if (!t->s->json) {
		fprintf(t->say, "%s.conf: %s ", portable_daemon_name(d), path);
		if (was != NULL) {
			record_print_escaped(t->say, span_str(was));
			fputs(" -> ", t->say);
		} else {
			fputs("= ", t->say);
		}
		record_print_escaped(t->say, span_str(now));
		putc('\n', t->say);
	} else {
		fprintf(t->say, "%s\n  {\"file\": \"%s.conf\", \"option\": \"%s\", \"was\": ", t->nchanged != 0 ? "," : "",
		    portable_daemon_name(d), path);
		if (was != NULL)
			record_print_json_text(t->say, span_str(was));
		else
			fputs("null", t->say);
		fputs(", \"now\": ", t->say);
		record_print_json_text(t->say, span_str(now));
		fprintf(t->say, ", \"takes\": \"%s\"}", restart ? "restart" : "reload");
	}
	t->nchanged++;
}

/* A file as a program was given it, and as people know it. */
struct name {
	const char	*given, *known;
};

/* What a program has said, by the names that people know. */
static void
say_lines(struct taking *t, struct span said, const struct name *names, size_t n)
{
	char line[1024];

	while (said.n > 0) {
		struct span rest = span_head(said, span_find(said, '\n'));
		struct strbuf sb;

		said = span_tail(said, rest.n + 1);
		strbuf_init(&sb, line, sizeof(line));
		while (rest.n > 0) {
			size_t i = 0;

			while (i < n && (rest.n < strlen(names[i].given) || memcmp(rest.p, names[i].given, strlen(names[i].given)) != 0))
				i++;
			if (i < n)
				strbuf_puts(&sb, names[i].known);
			else
				strbuf_putc(&sb, rest.p[0]);
			rest = span_tail(rest, i < n ? strlen(names[i].given) : 1);
		}
		conf_error(t->s->errs, NULL, 0, "%s", line);
	}
}

/* The daemon itself says whether it would start with that. */
static int
ask_daemon(struct taking *t, enum portable_daemon d)
{
	const char *tmp = t->files[d].tmp, *file = t->files[d].file;
	const char *args[] = { "-n", "-f", tmp, NULL };
	char *said;
	size_t n;
	int status = ctl_program_run(programs[d], "import", args, &said, &n);

	if (status != EX_OK) {
		say_lines(t, span_of(said, n), &(struct name){ tmp, file }, 1);
		conf_error(t->s->errs, file, 0, "would be refused with these settings; nothing was changed");
	}
	free(said);
	return status == EX_OK ? SP_OK : SP_EINVAL;
}

static int
prepare_settings(struct taking *t, enum portable_daemon d)
{
	const char *file = ctl_conf_of(t->s, d);
	char *text, *now = NULL, *dir;
	size_t n, k, before = t->nchanged;
	int err;

	if (t->p->settings[d] == NULL)
		return SP_OK;
	if (file == NULL) {
		t->absent[d] = true;
		fprintf(stderr, "sallyportctl: there is no %s.conf here; its settings are left out\n", portable_daemon_name(d));
		return SP_OK;
	}
	if ((err = ctl_read_file(file, POLICYSTORE_TEXT_MAX, &text, &n, t->s->errs)) != SP_OK)
		return err;
	dir = ctl_dir_of(file);
	err = portable_merge(t->p, d, file, span_of(text, n), dir, &now, &k, say_setting, t, t->s->errs);
	free(dir);
	if (err == SP_OK && t->nchanged != before &&
	    (err = ctl_put_prepare(&t->files[d], file, span_of(text, n), span_of(now, k), t->s->errs)) == SP_OK)
		err = ask_daemon(t, d);
	if (err == SP_OK && t->nchanged != before && d == PORTABLE_EDGE) {
		t->edge_text = now;
		t->nedge = k;
		now = NULL;	/* handed over */
	}
	mem_wipe_free(text, n);
	mem_wipe_free(now, k);
	return err;
}

/* A descriptor that a child inherits, and the name by which it can read that text; -1 with errno. */
static int
text_for_child(struct span text, char name[32])
{
	int fd = chan_file("import", text);

	if (fd != -1)
		(void)fcntl(fd, F_SETFD, 0);
	snprintf(name, 32, "/proc/self/fd/%d", fd);
	return fd;
}

/*
 * Would the edge start with these two? SP_OK; SP_EINVAL: no, and what it says is added to errs if say; SP_EIO, said: it could not be
 * asked.
 */
static int
ask_edge(struct taking *t, struct span conf, struct span policy, bool say)
{
	const char *args[] = { "-n", "-f", NULL, NULL };
	char conf_name[32], policy_name[32], quoted[40], *both = NULL, *said = NULL;
	const char *file = ctl_conf_of(t->s, PORTABLE_EDGE);
	size_t n = 0, k;
	int policy_fd = text_for_child(policy, policy_name), conf_fd = -1, status, err = SP_OK;

	snprintf(quoted, sizeof(quoted), "\"%s\"", policy_name);
	if (policy_fd == -1 || (both = confset_put(conf, "policy", quoted, &k)) == NULL ||
	    (conf_fd = text_for_child(span_of(both, k), conf_name)) == -1) {
		err = ctl_failed(t->s->errs, file, "cannot be tried with this policy");
	} else {
		args[2] = conf_name;
		status = ctl_program_run(programs[PORTABLE_EDGE], "import", args, &said, &n);
		err = status == EX_OK ? SP_OK : SP_EINVAL;
		if (err != SP_OK && say)
			say_lines(t, span_of(said, n), (struct name[]){ { conf_name, file }, { policy_name, t->s->policy } }, 2);
		free(said);
	}
	if (both != NULL)
		mem_wipe_free(both, k);
	if (policy_fd != -1)
		close(policy_fd);
	if (conf_fd != -1)
		close(conf_fd);
	return err;
}

/* Is the policy that is to be replaced the one that this edge.conf names? */
static bool
is_edges_policy(const struct taking *t, struct span conf)
{
	char path[PATH_MAX], *named, *ours;
	struct span value = confset_get(conf, "policy");
	bool same;

	snprintf(path, sizeof(path), "%.*s", SPAN_FMT(value.n > 1 ? span_of(value.p + 1, value.n - 2) : span_str(SYSCONFDIR "/policy.conf")));
	named = realpath(path, NULL);
	ours = realpath(t->s->policy, NULL);
	same = named != NULL && ours != NULL && strcmp(named, ours) == 0;
	free(named);
	free(ours);
	return same;
}

/*
 * Each may be good and both together not: an edge that only relays needs another policy than one with an inside. What cannot be
 * looked at, since this edge.conf or its keys are not for us or have mistakes of their own, is no reason against a policy.
 */
static int
prepare_both(struct taking *t)
{
	const char *file = ctl_conf_of(t->s, PORTABLE_EDGE);
	struct conf_errors *quiet = conf_errors_new();
	struct span policy = span_of(t->p->policy, t->p->n);
	char *text = NULL;
	size_t n = 0;
	int err = SP_OK;

	if (file != NULL && is_new_policy(t) && t->edge_text != NULL) {
		char *dir = ctl_dir_of(file);

		(void)conf_flatten(file, span_of(t->edge_text, t->nedge), dir, POLICYSTORE_TEXT_MAX, &text, &n, quiet);
		free(dir);
	} else if (file != NULL && is_new_policy(t)) {
		(void)ctl_read_flat(file, &text, &n, quiet);
	}
	if (text != NULL && is_edges_policy(t, span_of(text, n)))
		err = ask_edge(t, span_of(text, n), policy, false);
	if (err == SP_EINVAL && t->edge_text == NULL &&
	    ask_edge(t, span_of(text, n), policystore_span(&t->was), false) == SP_EINVAL) {
		fprintf(stderr, "sallyportctl: whether the edge would start with this policy cannot be seen from here: "
		    "\"sallyportctl check %s\" says why\n", file);
		err = SP_OK;
	} else if (err == SP_EINVAL) {
		(void)ask_edge(t, span_of(text, n), policy, true);
		conf_error(t->s->errs, file, 0, "would be refused together with this policy; nothing was changed");
	}
	mem_wipe_free(text, n);
	conf_errors_free(quiet);
	return err;
}

/* Is it a policy, and what does it say other than the one in force? */
static int
prepare_policy(struct taking *t)
{
	struct ctl_store *s = t->s;
	struct span now = span_of(t->p->policy, t->p->n);
	struct policy_rules *rules;
	char *dir, *whole;
	size_t n;
	int err;

	if (t->p->policy == NULL)
		return SP_OK;
	if ((rules = policyfile_load_text("policy", now, NULL, s->errs)) == NULL)
		return SP_EINVAL;
	policy_rules_unref(rules);
	if (s->dry_run) {
		/* whoever may read the policy may ask */
		if ((err = ctl_read_file(s->policy, POLICYSTORE_TEXT_MAX, &t->was.text, &t->was.n, s->errs)) != SP_OK)
			return err;
	} else if ((err = policystore_current(s->store, &t->was, s->errs)) != SP_OK) {
		return err;
	}
	dir = ctl_dir_of(s->policy);
	t->diff = policydiff_new(s->policy, policystore_span(&t->was), "policy", now, dir, s->errs);
	if (t->diff != NULL && conf_flatten(s->policy, policystore_span(&t->was), dir, POLICYSTORE_TEXT_MAX, &whole, &n, s->errs) == SP_OK) {
		t->same = span_eq(span_of(whole, n), now);
		free(whole);
	}
	free(dir);
	return t->diff != NULL ? SP_OK : SP_EINVAL;
}

/* Nobody's candidate is replaced unseen. */
static int
set_candidate(struct taking *t)
{
	struct policystore_text there = { .text = NULL };
	struct conf_errors *quiet = conf_errors_new();
	struct ctl_store *s = t->s;
	char when[32];
	int err = policystore_candidate(s->store, s->candidate, &there, quiet);

	if (err == SP_ENOENT) {
		err = policystore_candidate_set(s->store, s->candidate, &s->who, t->was.change.version, "",
		    span_of(t->p->policy, t->p->n), s->errs);
		t->made = err == SP_OK;
	} else if (err == SP_OK && (!span_eq(policystore_span(&there), span_of(t->p->policy, t->p->n)) ||
	    there.change.parent != t->was.change.version)) {
		policy_time_format(there.change.time, when);
		conf_error(s->errs, NULL, 0, "there is a candidate %s already (%s, %s); commit it, discard it, or name another with --candidate",
		    s->candidate, there.change.author, when);
		err = SP_EAGAIN;
	} else if (err != SP_OK) {
		for (size_t i = 0; i < conf_errors_count(quiet); i++)
			conf_error(s->errs, NULL, 0, "%s", conf_errors_get(quiet, i));
	}
	t->kept = err == SP_OK;
	conf_errors_free(quiet);
	policystore_text_fini(&there);
	return err;
}

/*
 * Files first: no daemon looks at them before it is told to or starts. The policy is last, since an edge may refuse it, and since
 * the store brings about all of that change or nothing, whatever happens meanwhile; then the files come back.
 */
static int
put_in_force(struct taking *t, uint64_t *version)
{
	struct ctl_store *s = t->s;
	int err = ctl_put_all(t->files, PORTABLE_NDAEMONS, s->errs), keep = errno;

	if (err != SP_OK && t->made)
		t->kept = policystore_candidate_discard(s->store, s->candidate, &s->who, s->errs) != SP_OK;
	if (err == SP_OK && is_new_policy(t)) {
		err = policystore_commit(s->store, s->candidate, &s->who, version, s->errs);
		keep = errno;
		t->in_force = err == SP_OK;
		t->kept = err != SP_OK;
		if (err != SP_OK) {
			(void)ctl_put_back(t->files, PORTABLE_NDAEMONS, s->errs);
			conf_error(s->errs, NULL, 0, "nothing of it is in force; it is kept as the candidate %s", s->candidate);
		}
	}
	if (err == SP_OK)
		ctl_put_keep(t->files, PORTABLE_NDAEMONS, OLD);
	for (size_t i = 0; i < PORTABLE_NDAEMONS; i++)
		s->stuck = s->stuck || t->files[i].state == PUT_STUCK;
	errno = keep;
	return err;
}

static int
act(struct taking *t, uint64_t *version)
{
	struct ctl_store *s = t->s;
	struct sigaction ignore = { .sa_handler = SIG_IGN }, pipe_was;
	sigset_t signals, was;
	int err = SP_OK, keep;

	if (s->dry_run)
		return SP_OK;
	if (is_new_policy(t))
		err = set_candidate(t);
	if (err != SP_OK || !s->commit)
		return err;
	/* half of it is no place to end at */
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGQUIT);
	sigprocmask(SIG_BLOCK, &signals, &was);
	sigaction(SIGPIPE, &ignore, &pipe_was);
	err = put_in_force(t, version);
	keep = errno;
	sigaction(SIGPIPE, &pipe_was, NULL);
	sigprocmask(SIG_SETMASK, &was, NULL);
	errno = keep;
	return err;
}

/* How it ended, in a word. */
static const char *
outcome(const struct taking *t, int err)
{
	const struct ctl_store *s = t->s;
	bool undone = false;

	for (size_t i = 0; i < PORTABLE_NDAEMONS; i++)
		undone = undone || t->files[i].state == PUT_BACK;
	if (s->stuck)
		return "half-done";
	if (err != SP_OK)
		return undone ? "undone" : "refused";
	return s->dry_run ? "dry-run" : s->commit ? "done" : is_new_policy(t) ? "candidate" : "nothing";
}

static void
report_files_json(const struct taking *t)
{
	bool first = true;

	fputs("\"files\": [", stdout);
	for (size_t i = 0; i < PORTABLE_NDAEMONS; i++) {
		const struct ctl_putfile *f = &t->files[i];

		if (f->file == NULL)
			continue;
		printf("%s\n  {\"file\": ", first ? "" : ",");
		record_print_json_text(stdout, span_str(f->file));
		printf(", \"state\": \"%s\", \"before\": ", ctl_put_state_name(f->state));
		if (f->kept != NULL)
			record_print_json_text(stdout, span_str(f->kept));
		else
			fputs("null", stdout);
		putchar('}');
		first = false;
	}
	fputs("], \"left_out\": [", stdout);
	for (size_t i = 0, n = 0; i < PORTABLE_NDAEMONS; i++)
		if (t->absent[i])
			printf("%s\"%s.conf\"", n++ > 0 ? ", " : "", portable_daemon_name((enum portable_daemon)i));
	fputs("], ", stdout);
}

static void
report_json(const struct taking *t, int err, uint64_t version)
{
	const struct ctl_store *s = t->s;

	printf("\"outcome\": \"%s\", \"dry_run\": %s, \"candidate\": ", outcome(t, err), s->dry_run ? "true" : "false");
	if (t->kept)
		record_print_json_text(stdout, span_str(s->candidate));
	else
		fputs("null", stdout);
	printf(", \"version\": ");
	if (t->in_force)
		printf("%" PRIu64, version);
	else
		fputs("null", stdout);
	printf(", \"edge_told\": %s, ", t->in_force && s->tell.told ? "true" : "false");
	report_files_json(t);
	printf("\"settings\": [%s\n], \"policy\": ", t->said != NULL ? t->said : "");
	if (t->diff != NULL)
		ctl_print_diff(t->diff, policystore_span(&t->was), span_of(t->p->policy, t->p->n), true, true);
	else
		puts("null");
	puts("}");
}

/* What is to be done for the settings of a daemon. */
static const char *
how_in_force(const struct taking *t, enum portable_daemon d)
{
	if (t->restart[d])
		return d == PORTABLE_EDGE ? "systemctl restart sallyport-edge" : "systemctl restart sallyport-director";
	return d == PORTABLE_EDGE ? "sallyportctl --edge reload" : "sallyportctl --director reload";
}

static void
report_files(const struct taking *t)
{
	for (size_t i = 0; i < PORTABLE_NDAEMONS; i++) {
		const struct ctl_putfile *f = &t->files[i];

		if (f->state == PUT_NEW)
			printf("%s: written%s%s; in force after %s\n", f->file, f->kept != NULL ? "; what it was is kept as " : "",
			    f->kept != NULL ? f->kept : "", how_in_force(t, (enum portable_daemon)i));
		else if (f->state == PUT_BACK)
			printf("%s: was written, and is as it was again\n", f->file);
		else if (f->state == PUT_STUCK)
			printf("%s: was written, and could not be put back\n", f->file);
	}
}

static void
report(const struct taking *t, int err, uint64_t version)
{
	const struct ctl_store *s = t->s;

	if (t->diff != NULL && err == SP_OK)
		ctl_print_diff(t->diff, policystore_span(&t->was), span_of(t->p->policy, t->p->n), false, s->lines);
	if (err == SP_OK)
		fputs(t->said != NULL ? t->said : "", stdout);
	if (t->in_force)
		ctl_print_done(s, POLICY_COMMIT, version);
	else if (t->kept && err == SP_OK)
		printf("candidate %s, based on version %" PRIu64 ": good%s\n", s->candidate, t->was.change.version,
		    t->nchanged != 0 ? "; settings change with --commit" : "");
	report_files(t);
	if (err != SP_OK)
		puts(s->stuck ? "the policy is as it was, not all files are" : "nothing is changed");
}

int
ctl_take_over(struct ctl_store *s, const struct portable *p, void (*members)(void *arg), void *arg)
{
	struct taking t = { .s = s, .p = p };
	uint64_t version = 0;
	int err = SP_OK, keep;

	if ((t.say = open_memstream(&t.said, &t.nsaid)) == NULL)
		return SP_EIO;
	if (s->candidate == s->login)
		s->candidate = NAME;
	err = prepare_policy(&t);
	keep = errno;
	for (enum portable_daemon d = PORTABLE_EDGE; d < PORTABLE_NDAEMONS; d++) {
		/* what is wrong with the others is worth knowing, too */
		int e = prepare_settings(&t, d);

		if (err == SP_OK)
			keep = errno;
		err = err == SP_OK ? e : err;
	}
	if (err == SP_OK && (err = prepare_both(&t)) != SP_OK)
		keep = errno;
	if (err == SP_OK) {
		err = act(&t, &version);
		keep = errno;
		fflush(t.say);
		if (s->json) {
			fputs("{", stdout);
			if (members != NULL)
				members(arg);
			report_json(&t, err, version);
		} else {
			report(&t, err, version);
		}
	}
	for (size_t i = 0; i < PORTABLE_NDAEMONS; i++) {
		ctl_putfile_fini(&t.files[i]);
		free(t.options[i]);
	}
	mem_wipe_free(t.edge_text, t.nedge);
	fclose(t.say);
	free(t.said);
	policydiff_free(t.diff);
	policystore_text_fini(&t.was);
	errno = keep;
	return err;
}

static const char import_usage[] =
    "Usage: sallyportctl import FILE [--dry-run] [--commit] [OPTION]...\n"
    "Check all of a file that \"sallyportctl export\" has written (- is standard input),\n"
    "say what it changes, and make its policy the candidate \"import\". With --commit\n"
    "that is put in force at once, and settings are written into edge.conf and\n"
    "director.conf: everything or nothing. The rest of those files stays.\n\n"
    "  --dry-run         change nothing, make no candidate\n"
    "  --commit          put it in force\n"
    "  --lines           show the changed lines of the policy, too\n"
    "  --edge-conf FILE  the edge's configuration here\n"
    "                    (default " SYSCONFDIR "/edge.conf, if it is there)\n"
    "  --director-conf FILE\n"
    "                    the Director's (default " SYSCONFDIR "/director.conf,\n"
    "                    if it is there)\n";

int
ctl_import(int argc, char **argv)
{
	struct portable p = { .policy = NULL };
	struct ctl_store s;
	char *text = NULL;
	size_t n;
	int status = ctl_store_begin(&s, "import", argc, argv, 1), err;

	if (status == EX_OK && !s.help && optind == argc)
		status = ctl_misused("import expects FILE", NULL);
	if (status != EX_OK || s.help) {
		if (s.help) {
			fputs(import_usage, stdout);
			fputs(ctl_store_help, stdout);
		}
		err = ctl_store_end(&s, SP_OK, EX_OK);
		return status != EX_OK ? status : err;
	}
	if ((err = ctl_read_file(argv[optind], PORTABLE_MAX, &text, &n, s.errs)) == SP_OK &&
	    (err = portable_read(argv[optind], span_of(text, n), &p, s.errs)) == SP_OK)
		err = ctl_take_over(&s, &p, NULL, NULL);
	free(text);
	portable_fini(&p);
	return ctl_store_end(&s, err, EX_DATAERR);
}
