/*
 * admin/ctl_portable.c - sallyportctl export and import: a configuration as one file; see portable.h for its form.
 */
#include "admin/ctl_portable.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "admin/ctl.h"
#include "admin/ctl_program.h"
#include "admin/policydiff.h"
#include "admin/policyfile.h"
#include "admin/portable.h"
#include "admin/record.h"
#include "common/err.h"
#include "common/mem.h"
#include "policy/rules.h"

#define OLD	".before-import"
#define NAME	"import"	/* of the candidate, if none is given: nobody's own work is replaced */

static const char *const programs[PORTABLE_NDAEMONS] = { "sallyport-edge", "sallyport-director" };
static const char *const defaults[PORTABLE_NDAEMONS] = { SYSCONFDIR "/edge.conf", SYSCONFDIR "/director.conf" };

/* ---- files ---- */

int
ctl_read_file(const char *file, size_t max, char **out, size_t *n, struct conf_errors *errs)
{
	bool own = strcmp(file, "-") != 0;
	FILE *f = own ? fopen(file, "re") : stdin;
	struct stat st;
	size_t room = 65536, got;
	int err = SP_OK;

	*out = NULL;
	*n = 0;
	if (f == NULL || (own && fstat(fileno(f), &st) == 0 && S_ISDIR(st.st_mode) && (errno = EISDIR) != 0)) {
		err = errno == ENOENT ? SP_ENOENT : SP_EIO;
		conf_error(errs, file, 0, "cannot be read: %s", strerror(errno));
		if (f != NULL)
			fclose(f);
		return err;
	}
	*out = xmalloc(room + 1);
	while ((got = fread(*out + *n, 1, room - *n, f)) > 0)
		if ((*n += got) == room && room <= max)
			*out = xrealloc(*out, (room *= 2) + 1);
	(*out)[*n] = '\0';
	if (ferror(f)) {
		conf_error(errs, file, 0, "cannot be read: %s", strerror(errno));
		err = SP_EIO;
	} else if (*n > max) {
		conf_error(errs, file, 0, "has more than %zu bytes", max);
		err = SP_ELIMIT;
	}
	if (own)
		fclose(f);
	if (err != SP_OK) {
		free(*out);
		*out = NULL;
	}
	return err;
}

char *
ctl_dir_of(const char *file)
{
	const char *slash = strrchr(file, '/');

	return slash != NULL ? xmemdup(file, slash == file ? 1 : (size_t)(slash - file)) : xstrdup(".");
}

int
ctl_read_flat(const char *file, char **out, size_t *n, struct conf_errors *errs)
{
	char *text, *dir;
	size_t k;
	int err = ctl_read_file(file, POLICYSTORE_TEXT_MAX, &text, &k, errs);

	*out = NULL;
	if (err != SP_OK)
		return err;
	dir = ctl_dir_of(file);
	err = conf_flatten(file, span_of(text, k), dir, POLICYSTORE_TEXT_MAX, out, n, errs);
	free(dir);
	mem_wipe_free(text, k);
	return err;
}

/* The file of a daemon here: the one that was named, or the usual one if it is there. NULL: none. */
static const char *
file_of(const struct ctl_store *s, enum portable_daemon d)
{
	const char *given = d == PORTABLE_EDGE ? s->edge_conf : s->director_conf;

	return given != NULL ? given : access(defaults[d], F_OK) == 0 ? defaults[d] : NULL;
}

static int
failed(struct conf_errors *errs, const char *file, const char *what)
{
	int keep = errno;

	conf_error(errs, file, 0, "%s: %s", what, strerror(errno));
	errno = keep;
	return SP_EIO;
}

/* A new file beside path, on the disk, with the mode and the owner that path has; *tmp is its name, the caller's to free. */
static int
write_beside(const char *path, struct span text, char **tmp, struct conf_errors *errs)
{
	size_t size = strlen(path) + 16;
	struct stat st;
	mode_t mask = umask(0);
	bool there = stat(path, &st) == 0;
	int fd, err = SP_OK;

	umask(mask);
	*tmp = xmalloc(size);
	snprintf(*tmp, size, "%s.XXXXXX", path);
	if ((fd = mkstemp(*tmp)) == -1) {
		err = failed(errs, path, "a file beside it cannot be made");
		free(*tmp);
		*tmp = NULL;
		return err;
	}
	while (err == SP_OK && text.n > 0) {
		ssize_t k = write(fd, text.p, text.n);

		if (k > 0)
			text = span_tail(text, (size_t)k);
		else if (k == -1 && errno != EINTR)
			err = failed(errs, *tmp, "cannot be written");
	}
	/* who is not root keeps their own group where they may not give it away */
	if (err == SP_OK && there && (fchown(fd, st.st_uid, st.st_gid) != 0 && geteuid() == 0))
		err = failed(errs, *tmp, "cannot get its owner");
	if (err == SP_OK && (fchmod(fd, there ? st.st_mode & 07777 : 0666 & ~mask) != 0 || fsync(fd) != 0))
		err = failed(errs, *tmp, "cannot be finished");
	if (close(fd) != 0 && err == SP_OK)
		err = failed(errs, *tmp, "cannot be written");
	if (err != SP_OK) {
		unlink(*tmp);
		free(*tmp);
		*tmp = NULL;
	}
	return err;
}

/* ---- export ---- */

static int
collect(struct ctl_store *s, struct portable *p)
{
	struct policy_rules *rules = NULL;
	size_t left_out;
	bool given = strcmp(s->policy, SYSCONFDIR "/policy.conf") != 0;
	int err = SP_OK;

	if (given || access(s->policy, F_OK) == 0)
		err = ctl_read_flat(s->policy, &p->policy, &p->n, s->errs);
	else
		fprintf(stderr, "sallyportctl: there is no %s; only settings are exported\n", s->policy);
	if (err == SP_OK && p->policy != NULL && (rules = policyfile_load_text(s->policy, span_of(p->policy, p->n), NULL, s->errs)) == NULL)
		err = SP_EINVAL;
	policy_rules_unref(rules);
	for (enum portable_daemon d = PORTABLE_EDGE; err == SP_OK && d < PORTABLE_NDAEMONS; d++) {
		const char *file = file_of(s, d);
		char *text;
		size_t n;

		if (file == NULL)
			continue;
		if ((err = ctl_read_flat(file, &text, &n, s->errs)) == SP_OK) {
			portable_collect(p, d, span_of(text, n), &left_out);
			fprintf(stderr, "sallyportctl: %s: %zu settings belong to this machine and are left out\n", file, left_out);
			mem_wipe_free(text, n);
		}
	}
	return err;
}

static int
write_out(struct ctl_store *s, const struct portable *p)
{
	char *text = NULL, *tmp;
	size_t n = 0, line;
	FILE *f = open_memstream(&text, &n);
	int err = f != NULL ? portable_write(f, p, &line) : SP_EIO;

	if (f != NULL && fclose(f) != 0)
		err = SP_EIO;
	if (err == SP_ESYNTAX) {
		conf_error(s->errs, s->policy, (int)line, "is not UTF-8, or has a zero byte, and cannot be exported");
		err = SP_EINVAL;
	} else if (err != SP_OK) {
		err = failed(s->errs, s->output, "cannot be written");
	} else if (s->output == NULL || strcmp(s->output, "-") == 0) {
		fwrite(text, 1, n, stdout);
	} else if ((err = write_beside(s->output, span_of(text, n), &tmp, s->errs)) == SP_OK) {
		if (rename(tmp, s->output) != 0) {
			err = failed(s->errs, s->output, "cannot be written");
			unlink(tmp);
		}
		free(tmp);
	}
	free(text);
	return err;
}

static const char export_usage[] =
    "Usage: sallyportctl export [--output FILE] [OPTION]...\n"
    "Write the policy in force and, of edge.conf and director.conf, what does not belong\n"
    "to this machine as one file, for \"sallyportctl import\". Addresses, host names,\n"
    "paths, users, keys and passwords are left out.\n\n"
    "  --output FILE     write there and not to standard output\n"
    "  --policy FILE     the policy (default " SYSCONFDIR "/policy.conf)\n"
    "  --edge-conf FILE  the edge's configuration\n"
    "                    (default " SYSCONFDIR "/edge.conf, if it is there)\n"
    "  --director-conf FILE\n"
    "                    the Director's (default " SYSCONFDIR "/director.conf,\n"
    "                    if it is there)\n"
    "  --help            this text\n";

int
ctl_export(int argc, char **argv)
{
	struct portable p = { .policy = NULL };
	struct ctl_store s;
	int status = ctl_store_begin(&s, "export", argc, argv, 0), err;

	if (status != EX_OK || s.help) {
		if (s.help)
			fputs(export_usage, stdout);
		err = ctl_store_end(&s, SP_OK, EX_OK);
		return status != EX_OK ? status : err;
	}
	if ((err = collect(&s, &p)) == SP_OK)
		err = write_out(&s, &p);
	portable_fini(&p);
	return ctl_store_end(&s, err, EX_CONFIG);
}

/* ---- import ---- */

/* One daemon's file, as it is and as it will be. */
struct change {
	char	*file;		/* what it is when links are followed; NULL: it stays */
	char	*tmp;		/* the new one */
};

struct taking {
	struct ctl_store	*s;
	const struct portable	*p;
	struct change		 changes[PORTABLE_NDAEMONS];
	char			*said;		/* what of the settings changes, to be printed */
	size_t			 nsaid, nchanged;
	FILE			*say;
	struct policystore_text	 was;
	struct policydiff	*diff;
	bool			 same;		/* the policy in force, with what it includes, is that one */
};

static void
say_setting(void *arg, enum portable_daemon d, const char *path, const char *was, const char *now)
{
	struct taking *t = arg;

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
		putc('}', t->say);
	}
	t->nchanged++;
}

/* The daemon itself says whether it would start with that. */
static int
ask_daemon(struct taking *t, enum portable_daemon d)
{
	const char *args[] = { "-n", "-f", t->changes[d].tmp, NULL };
	char *said;
	size_t n;
	int status = ctl_program_run(programs[d], "import", args, &said, &n);

	if (status != EX_OK) {
		for (struct span rest = span_of(said, n); rest.n > 0; rest = span_tail(rest, span_find(rest, '\n') + 1)) {
			struct span line = span_head(rest, span_find(rest, '\n'));

			conf_error(t->s->errs, NULL, 0, "%.*s", SPAN_FMT(line));
		}
		conf_error(t->s->errs, t->changes[d].file, 0, "would be refused with these settings; nothing was changed");
	}
	free(said);
	return status == EX_OK ? SP_OK : SP_EINVAL;
}

static int
prepare_settings(struct taking *t, enum portable_daemon d)
{
	const char *file = file_of(t->s, d);
	char *text, *now = NULL;
	size_t n, k, before = t->nchanged;
	int err;

	if (t->p->settings[d] == NULL)
		return SP_OK;
	if (file == NULL) {
		fprintf(stderr, "sallyportctl: there is no %s.conf here; its settings are left out\n", portable_daemon_name(d));
		return SP_OK;
	}
	if ((err = ctl_read_file(file, POLICYSTORE_TEXT_MAX, &text, &n, t->s->errs)) != SP_OK)
		return err;
	err = portable_merge(t->p, d, file, span_of(text, n), &now, &k, say_setting, t, t->s->errs);
	mem_wipe_free(text, n);
	if (err == SP_OK && t->nchanged != before) {
		if ((t->changes[d].file = realpath(file, NULL)) == NULL)
			err = failed(t->s->errs, file, "cannot be found");
		if (err == SP_OK && (err = write_beside(t->changes[d].file, span_of(now, k), &t->changes[d].tmp, t->s->errs)) == SP_OK)
			err = ask_daemon(t, d);
	}
	mem_wipe_free(now, k);
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

static bool
is_new_policy(const struct taking *t)
{
	return t->p->policy != NULL && !t->same;
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
	conf_errors_free(quiet);
	policystore_text_fini(&there);
	return err;
}

/* The new files in the place of the old ones, which are kept beside them. */
static int
put_settings(struct taking *t)
{
	int err = SP_OK;

	for (size_t i = 0; i < PORTABLE_NDAEMONS && err == SP_OK; i++) {
		struct change *c = &t->changes[i];
		char old[PATH_MAX];

		if (c->tmp == NULL)
			continue;
		if ((size_t)snprintf(old, sizeof(old), "%s" OLD, c->file) < sizeof(old)) {
			unlink(old);
			if (link(c->file, old) != 0)
				fprintf(stderr, "sallyportctl: %s: the old file cannot be kept: %s\n", c->file, strerror(errno));
		}
		if (rename(c->tmp, c->file) != 0) {
			err = failed(t->s->errs, c->file, "cannot be replaced");
		} else {
			free(c->tmp);
			c->tmp = NULL;
			fprintf(stderr, "sallyportctl: %s is changed; \"sallyportctl --%s reload\" says what needs a restart\n", c->file,
			    portable_daemon_name((enum portable_daemon)i));
		}
	}
	return err;
}

static int
act(struct taking *t, uint64_t *version)
{
	struct ctl_store *s = t->s;
	int err = SP_OK;

	if (s->dry_run)
		return SP_OK;
	if (is_new_policy(t))
		err = set_candidate(t);
	if (err != SP_OK || !s->commit)
		return err;
	if (is_new_policy(t) && (err = policystore_commit(s->store, s->candidate, &s->who, version, s->errs)) != SP_OK)
		conf_error(s->errs, NULL, 0, "nothing of it is in force; it is kept as the candidate %s", s->candidate);
	return err == SP_OK ? put_settings(t) : err;
}

static void
report(struct taking *t, int err, uint64_t version, void (*members)(void *arg), void *arg)
{
	struct ctl_store *s = t->s;
	bool kept = err == SP_OK && !s->dry_run && is_new_policy(t);

	fflush(t->say);
	if (s->json) {
		fputs("{", stdout);
		if (members != NULL)
			members(arg);
		printf("\"dry_run\": %s, \"candidate\": ", s->dry_run ? "true" : "false");
		if (kept && !s->commit)
			record_print_json_text(stdout, span_str(s->candidate));
		else
			fputs("null", stdout);
		printf(", \"version\": ");
		if (version != 0)
			printf("%" PRIu64, version);
		else
			fputs("null", stdout);
		printf(", \"edge_told\": %s, \"settings\": [%s\n], \"policy\": ", s->tell.told ? "true" : "false",
		    t->said != NULL ? t->said : "");
		if (t->diff != NULL)
			ctl_print_diff(t->diff, policystore_span(&t->was), span_of(t->p->policy, t->p->n), true, true);
		else
			puts("null");
		puts("}");
		return;
	}
	if (t->diff != NULL)
		ctl_print_diff(t->diff, policystore_span(&t->was), span_of(t->p->policy, t->p->n), false, s->lines);
	fputs(t->said != NULL ? t->said : "", stdout);
	if (kept && s->commit)
		ctl_print_done(s, POLICY_COMMIT, version);
	else if (kept)
		printf("candidate %s, based on version %" PRIu64 ": good%s\n", s->candidate, t->was.change.version,
		    t->nchanged != 0 ? "; settings change with --commit" : "");
}

int
ctl_take_over(struct ctl_store *s, const struct portable *p, void (*members)(void *arg), void *arg)
{
	struct taking t = { .s = s, .p = p };
	uint64_t version = 0;
	int err = SP_OK;

	if ((t.say = open_memstream(&t.said, &t.nsaid)) == NULL)
		return SP_EIO;
	if (s->candidate == s->login)
		s->candidate = NAME;
	err = prepare_policy(&t);
	for (enum portable_daemon d = PORTABLE_EDGE; d < PORTABLE_NDAEMONS; d++) {
		/* what is wrong with the others is worth knowing, too */
		int e = prepare_settings(&t, d);

		err = err == SP_OK ? e : err;
	}
	if (err == SP_OK) {
		err = act(&t, &version);
		report(&t, err, version, members, arg);
	}
	for (size_t i = 0; i < PORTABLE_NDAEMONS; i++) {
		if (t.changes[i].tmp != NULL)
			unlink(t.changes[i].tmp);
		free(t.changes[i].tmp);
		free(t.changes[i].file);
	}
	fclose(t.say);
	free(t.said);
	policydiff_free(t.diff);
	policystore_text_fini(&t.was);
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
