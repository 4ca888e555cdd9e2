/*
 * admin/policycandidate.c - what may become the next policy; see policystore.h.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/policydiff.h"
#include "admin/policystore_int.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/mem.h"

#define SAID_MAX	20	/* differences that a conflict names */

static bool
is_name(struct span s)
{
	if (s.n == 0 || s.n > POLICYSTORE_NAME_MAX || s.p[0] == '.')
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= 'A' && s.p[i] <= 'Z') ||
		    (s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '-' || s.p[i] == '_' || s.p[i] == '.'))
			return false;
	return true;
}

static char *
path_of(const struct policystore *ps, const char *name, struct conf_errors *errs)
{
	if (is_name(span_str(name)))
		return disk_path(ps, "candidates/%s.conf", name);
	conf_error(errs, NULL, 0, "candidate: expects a name of 1 to %d letters, digits and -_. , not a dot first",
	    POLICYSTORE_NAME_MAX);
	return NULL;
}

/* SP_ENOENT is said. */
static int
read_candidate(struct policystore *ps, const char *name, struct policystore_text *out, struct conf_errors *errs)
{
	char *path = path_of(ps, name, errs);
	int err = SP_EINVAL;

	*out = (struct policystore_text){ .text = NULL };
	if (path != NULL && (err = store_read(path, out, errs)) == SP_ENOENT)
		conf_error(errs, NULL, 0, "there is no candidate %s", name);
	free(path);
	return err;
}

int
policystore_candidate(struct policystore *ps, const char *name, struct policystore_text *out, struct conf_errors *errs)
{
	int err = store_begin(ps, errs);

	*out = (struct policystore_text){ .text = NULL };
	if (err == SP_OK)
		err = read_candidate(ps, name, out, errs);
	store_end(ps);
	return err;
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names of all candidates, sorted; the caller frees each and the list. */
static int
list(struct policystore *ps, char ***out, size_t *n, struct conf_errors *errs)
{
	char *path = disk_path(ps, "candidates");
	DIR *d = opendir(path);
	struct dirent *e;
	size_t room = 0;

	*out = NULL;
	*n = 0;
	if (d == NULL) {
		int err = disk_failed(errs, "cannot be read", path);

		free(path);
		return err;
	}
	while ((e = readdir(d)) != NULL) {
		struct span s = span_str(e->d_name);

		if (s.n < 6 || strcmp(s.p + s.n - 5, ".conf") != 0 || !is_name(span_head(s, s.n - 5)))
			continue;
		if (*n == room) {
			room = room != 0 ? room * 2 : 16;
			*out = xreallocarray(*out, room, sizeof(**out));
		}
		(*out)[(*n)++] = xmemdup(s.p, s.n - 5);
	}
	closedir(d);
	free(path);
	if (*n > 1)
		qsort(*out, *n, sizeof(**out), by_text);
	return SP_OK;
}

int
policystore_candidates(struct policystore *ps, void (*each)(void *arg, const char *name, const struct policy_change *),
    void *arg, struct conf_errors *errs)
{
	char **names = NULL;
	size_t n = 0;
	int err = store_begin(ps, errs);

	if (err == SP_OK)
		err = list(ps, &names, &n, errs);
	for (size_t i = 0; i < n; i++) {
		struct policystore_text t = { .text = NULL };

		if (err == SP_OK && (err = read_candidate(ps, names[i], &t, errs)) == SP_OK)
			each(arg, names[i], &t.change);
		policystore_text_fini(&t);
		free(names[i]);
	}
	free(names);
	store_end(ps);
	return err;
}

/* Is the candidate that version? Its own hash is that of its text, with @include and all. */
static bool
is_version(const struct policystore *ps, const struct policystore_text *t, const struct policy_change *version)
{
	struct conf_errors *quiet;
	char hash[POLICY_HASH_TEXT], *whole;
	size_t n;

	if (t->change.parent != version->parent)
		return false;
	if (!conf_includes(policystore_span(t)))
		return strcmp(t->change.sha256, version->sha256) == 0;
	quiet = conf_errors_new();
	(void)store_whole(ps, policystore_span(t), &whole, &n, hash, quiet);
	conf_errors_free(quiet);
	free(whole);
	return strcmp(hash, version->sha256) == 0;
}

void
candidate_sweep(struct policystore *ps, const struct policy_change *version)
{
	struct conf_errors *errs = conf_errors_new();
	char **names;
	size_t n;

	if (list(ps, &names, &n, errs) != SP_OK)
		n = 0;
	for (size_t i = 0; i < n; i++) {
		struct policystore_text t = { .text = NULL };

		if (read_candidate(ps, names[i], &t, errs) == SP_OK && is_version(ps, &t, version)) {
			char *path = path_of(ps, names[i], errs);

			(void)disk_remove(path, errs);
			free(path);
		}
		policystore_text_fini(&t);
		free(names[i]);
	}
	free(names);
	conf_errors_free(errs);
}

/* ---- editing ---- */

/* Is the candidate still the one that the editor saw? */
static int
check_seen(const struct policystore_text *there, bool is_there, const char *was, struct conf_errors *errs)
{
	char when[32];

	if (was == NULL || strcmp(was, is_there ? there->change.sha256 : "") == 0)
		return SP_OK;
	policy_time_format(there->change.time, when);
	if (is_there)
		conf_error(errs, NULL, 0, "the candidate was changed meanwhile by %s, %s", there->change.author, when);
	else
		conf_error(errs, NULL, 0, "the candidate is gone: it was committed or discarded meanwhile");
	return SP_EAGAIN;
}

static int
write_candidate(struct policystore *ps, const char *name, struct policy_change *c, struct span text,
    struct conf_errors *errs)
{
	char *path = path_of(ps, name, errs);
	int err;

	if (path == NULL)
		return SP_EINVAL;
	policy_hash(text, c->sha256);
	c->version = 0;
	c->time = clock_wall();
	/* the line first: a line too many is the smaller harm */
	if ((err = audit_append(ps, c, errs)) == SP_OK)
		err = store_write(ps, path, c, text, errs);
	free(path);
	return err;
}

/* The version that an editing began with: given, the candidate's own, or the current one. */
static int
base_of(struct policystore *ps, uint64_t base, const struct policystore_text *there, bool is_there, uint64_t *out,
    struct conf_errors *errs)
{
	*out = base != 0 ? base : is_there ? there->change.parent : ps->current.change.version;
	for (size_t i = 0; i < ps->nnumbers; i++)
		if (ps->numbers[i] == *out)
			return SP_OK;
	conf_error(errs, NULL, 0, "there is no version %" PRIu64 " to base a candidate on", *out);
	return SP_ENOENT;
}

int
policystore_candidate_set(struct policystore *ps, const char *name, const struct policystore_who *who, uint64_t base,
    const char *was, struct span text, struct conf_errors *errs)
{
	struct policy_change c = { .action = POLICY_EDIT };
	struct policystore_text there = { .text = NULL };
	char *path = path_of(ps, name, errs);
	bool is_there;
	int err = path == NULL ? SP_EINVAL : SP_OK;

	if (err == SP_OK && text.n > POLICYSTORE_TEXT_MAX) {
		conf_error(errs, NULL, 0, "the policy has more than %u bytes", POLICYSTORE_TEXT_MAX);
		err = SP_ELIMIT;
	}
	if (err != SP_OK || (err = store_begin(ps, errs)) != SP_OK || (err = store_sign(who, &c, errs)) != SP_OK)
		goto out;
	err = store_read(path, &there, errs);
	is_there = err == SP_OK;
	if ((err != SP_OK && err != SP_ENOENT) || (err = check_seen(&there, is_there, was, errs)) != SP_OK ||
	    (err = base_of(ps, base, &there, is_there, &c.parent, errs)) != SP_OK)
		goto out;
	err = write_candidate(ps, name, &c, text, errs);
 out:
	policystore_text_fini(&there);
	free(path);
	store_end(ps);
	return err;
}

int
policystore_candidate_discard(struct policystore *ps, const char *name, const struct policystore_who *who,
    struct conf_errors *errs)
{
	struct policy_change c = { .action = POLICY_DISCARD };
	struct policystore_text t = { .text = NULL };
	char *path;
	int err = store_begin(ps, errs);

	if (err == SP_OK && (err = store_sign(who, &c, errs)) == SP_OK &&
	    (err = read_candidate(ps, name, &t, errs)) == SP_OK) {
		c.parent = t.change.parent;
		c.time = clock_wall();
		memcpy(c.sha256, t.change.sha256, sizeof(c.sha256));
		path = path_of(ps, name, errs);
		if ((err = audit_append(ps, &c, errs)) == SP_OK)
			err = disk_remove(path, errs);
		free(path);
	}
	policystore_text_fini(&t);
	store_end(ps);
	return err;
}

/* ---- becoming a version ---- */

/* What has changed from the candidate's base to what is in force. */
static void
say_changes(struct policystore *ps, uint64_t base, struct conf_errors *errs)
{
	char *path = store_version_path(ps, base);
	struct conf_errors *quiet = conf_errors_new();
	struct policystore_text was;
	struct policydiff *d = NULL;
	size_t n;

	if (store_read(path, &was, quiet) == SP_OK) {
		struct disk_owner before = disk_become(ps->policy_owner);

		d = policydiff_new("base", policystore_span(&was), "current", policystore_span(&ps->current), ps->policy_dir, quiet);
		(void)disk_become(before);
	}
	n = d != NULL ? policydiff_count(d) : 0;
	for (size_t i = 0; i < n && i < SAID_MAX; i++) {
		char text[1024];
		struct strbuf sb;

		strbuf_init(&sb, text, sizeof(text));
		policydiff_say(policydiff_get(d, i), &sb);
		conf_error(errs, NULL, 0, "  since then: %s", text);
	}
	if (n > SAID_MAX)
		conf_error(errs, NULL, 0, "  … and %zu more", n - SAID_MAX);
	policydiff_free(d);
	policystore_text_fini(&was);
	conf_errors_free(quiet);
	free(path);
}

int
policystore_commit(struct policystore *ps, const char *name, const struct policystore_who *who, uint64_t *version,
    struct conf_errors *errs)
{
	struct policy_change c = { .action = POLICY_COMMIT };
	struct policystore_text t = { .text = NULL };
	int err = store_begin(ps, errs);

	if (err != SP_OK || (err = store_sign(who, &c, errs)) != SP_OK ||
	    (err = read_candidate(ps, name, &t, errs)) != SP_OK)
		goto out;
	if (t.change.parent != ps->current.change.version) {
		conf_error(errs, NULL, 0, "the candidate %s was made from version %" PRIu64 ", and somebody was faster", name,
		    t.change.parent);
		store_say_version(errs, "", &ps->current.change);
		say_changes(ps, t.change.parent, errs);
		conf_error(errs, NULL, 0, "sallyportctl policy candidate rebase takes that into the candidate");
		err = SP_EAGAIN;
	} else {
		/* a note for the candidate holds for the version unless there is another */
		if (c.note[0] == '\0')
			memcpy(c.note, t.change.note, sizeof(c.note));
		err = store_put_in_force(ps, &c, policystore_span(&t), who, errs);
	}
	if (err == SP_OK && version != NULL)
		*version = c.version;
 out:
	policystore_text_fini(&t);
	store_end(ps);
	return err;
}

/* Versions are whole, so what is merged has to be: a text and what it includes, in the place of the text. */
static int
make_whole(struct policystore *ps, struct policystore_text *t, struct conf_errors *errs)
{
	char hash[POLICY_HASH_TEXT], *whole;
	size_t n;
	int err;

	if (!conf_includes(policystore_span(t)))
		return SP_OK;
	/* nobody gets to see a file that is no policy by including it */
	if ((err = store_check(ps, policystore_span(t), errs)) == SP_OK &&
	    (err = store_whole(ps, policystore_span(t), &whole, &n, hash, errs)) == SP_OK) {
		free(t->text);
		t->text = whole;
		t->n = n;
	}
	return err;
}

int
policystore_candidate_rebase(struct policystore *ps, const char *name, const struct policystore_who *who,
    struct conf_errors *errs)
{
	struct policy_change c = { .action = POLICY_REBASE };
	struct policystore_text t = { .text = NULL }, base = { .text = NULL };
	char *path = NULL, *merged = NULL;
	size_t n, line;
	int err = store_begin(ps, errs);

	if (err != SP_OK || (err = store_sign(who, &c, errs)) != SP_OK ||
	    (err = read_candidate(ps, name, &t, errs)) != SP_OK)
		goto out;
	if (t.change.parent == ps->current.change.version) {
		conf_error(errs, NULL, 0, "the candidate %s is based on the version in force already", name);
		err = SP_EEXIST;
		goto out;
	}
	path = store_version_path(ps, t.change.parent);
	if ((err = store_read(path, &base, errs)) != SP_OK || (err = make_whole(ps, &t, errs)) != SP_OK ||
	    (err = make_whole(ps, &ps->current, errs)) != SP_OK)
		goto out;
	err = policydiff_merge(policystore_span(&base), policystore_span(&t), policystore_span(&ps->current), &merged, &n,
	    &line);
	if (err != SP_OK) {
		conf_error(errs, "candidate", (int)line, "was changed in the version in force as well; take over by hand what "
		    "was changed there, and set the candidate anew with that version as its base");
		say_changes(ps, t.change.parent, errs);
		goto out;
	}
	if (c.note[0] == '\0')
		memcpy(c.note, t.change.note, sizeof(c.note));
	c.parent = ps->current.change.version;
	err = write_candidate(ps, name, &c, span_of(merged, n), errs);
 out:
	free(merged);
	free(path);
	policystore_text_fini(&t);
	policystore_text_fini(&base);
	store_end(ps);
	return err;
}
