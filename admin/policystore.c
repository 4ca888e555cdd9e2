/*
 * admin/policystore.c - the life cycle: what is in force, and how that changes.
 *
 * A change goes: pending.conf (the version to be, whole) - the old policy file gets a
 * second name - the policy file is replaced - the log has its line - the edge is told -
 * pending.conf becomes a version. Who finds pending.conf looks at the policy file: if it
 * is the pending one, the rest is done; else what was done is taken back.
 */
#include "admin/policystore.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "admin/policyfile.h"
#include "admin/policystore_int.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/mem.h"
#include "policy/rules.h"

#define HEAD_LINE	"#change "
#define OLD		".sallyport-old"	/* the policy file that was replaced, until it is sure that it stays so */

void
policystore_text_fini(struct policystore_text *t)
{
	free(t->text);
	*t = (struct policystore_text){ .text = NULL };
}

/* ---- opening ---- */

/* The directory of path, as a string of the caller's. */
static char *
directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? xstrdup(".") : xmemdup(path, slash == path ? 1 : (size_t)(slash - path));
}

int
policystore_open(struct policystore **out, const char *dir, const char *policy, struct conf_errors *errs)
{
	struct policystore *ps;

	*out = NULL;
	if (policy == NULL || policy[0] == '\0') {
		conf_error(errs, NULL, 0, "no policy file is named");
		return SP_EINVAL;
	}
	ps = xcalloc(1, sizeof(*ps));
	ps->dir = xstrdup(dir != NULL ? dir : POLICYSTORE_DEFAULT_DIR);
	ps->named = xstrdup(policy);
	ps->lock = -1;
	ps->wait_ms = POLICYSTORE_WAIT_MS;
	*out = ps;
	return SP_OK;
}

void
policystore_wait(struct policystore *ps, unsigned ms)
{
	ps->wait_ms = ms;
}

void
policystore_close(struct policystore *ps)
{
	if (ps == NULL)
		return;
	store_end(ps);
	free(ps->dir);
	free(ps->named);
	free(ps->policy);
	free(ps->policy_dir);
	free(ps);
}

const char *
policystore_file(const struct policystore *ps)
{
	return ps->named;
}

const char *
policystore_news(const struct policystore *ps)
{
	return ps->news[0] != '\0' ? ps->news : NULL;
}

static void	news(struct policystore *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void
news(struct policystore *ps, const char *fmt, ...)
{
	size_t used = strlen(ps->news);
	va_list ap;

	if (used > 0 && used + 2 < sizeof(ps->news))
		used += (size_t)snprintf(ps->news + used, sizeof(ps->news) - used, "; ");
	va_start(ap, fmt);
	if (used < sizeof(ps->news))
		vsnprintf(ps->news + used, sizeof(ps->news) - used, fmt, ap);
	va_end(ap);
}

/* ---- the lock ---- */

static int
take_lock(struct policystore *ps, struct conf_errors *errs)
{
	char *path = disk_path(ps, "lock");
	uint64_t until = clock_ms() + ps->wait_ms;
	int err = SP_OK;

	ps->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (ps->lock < 0)
		err = disk_failed(errs, "cannot be opened", path);
	while (err == SP_OK && flock(ps->lock, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK && errno != EINTR) {
			err = disk_failed(errs, "cannot be locked", path);
		} else if (clock_ms() >= until) {
			conf_error(errs, NULL, 0, "%s: somebody else is changing the policy; try again", path);
			err = SP_ETIME;
		} else {
			nanosleep(&(struct timespec){ 0, 10 * 1000 * 1000 }, NULL);
		}
	}
	free(path);
	return err;
}

static const struct disk_owner root = { 0, 0 };

/* The policy file itself, through links, which are looked at anew each time. */
static int
find_policy(struct policystore *ps, struct conf_errors *errs)
{
	struct disk_owner was = disk_become(root);
	char *dir = directory_of(ps->named), *path = realpath(ps->named, NULL);
	int keep = errno, safe;

	ps->policy_owner = disk_owner_of(dir);
	safe = disk_is_safe(dir, errs);
	(void)disk_become(was);
	free(dir);
	errno = keep;
	free(ps->policy);
	free(ps->policy_dir);
	ps->policy = ps->policy_dir = NULL;
	if (safe != SP_OK) {
		free(path);
		errno = EPERM;
		return safe;
	}
	if (path == NULL) {
		if (errno == ENOENT) {
			conf_error(errs, NULL, 0, "%s: there is no such file; begin with a policy that you have written", ps->named);
			return SP_ENOENT;
		}
		return disk_failed(errs, "cannot be found", ps->named);
	}
	ps->policy = path;
	ps->policy_dir = directory_of(path);
	/* a link that only root can have made leads to somebody else's directory */
	if (ps->policy_owner.uid == 0) {
		was = disk_become(root);
		ps->policy_owner = disk_owner_of(ps->policy_dir);
		safe = disk_is_safe(ps->policy_dir, errs);
		(void)disk_become(was);
	}
	return safe;
}

int
store_lock(struct policystore *ps, struct conf_errors *errs)
{
	char *path = NULL, *head = NULL;
	int err;

	ps->news[0] = '\0';
	if ((err = disk_is_safe(ps->dir, errs)) != SP_OK)
		return err;
	(void)disk_become(disk_owner_of(ps->dir));
	if ((err = disk_make_dir(ps->dir, errs)) != SP_OK || (err = take_lock(ps, errs)) != SP_OK)
		return err;
	path = disk_path(ps, "candidates");
	if ((err = disk_make_dir(path, errs)) != SP_OK)
		goto out;
	free(path);
	path = disk_path(ps, "versions");
	head = disk_path(ps, "audit.head");
	/* the log is made before the first version, so that where versions are it can't be missing */
	if (access(path, F_OK) != 0 && (access(head, F_OK) == 0 || (err = audit_make(ps, errs)) == SP_OK))
		err = disk_make_dir(path, errs);
 out:
	free(head);
	free(path);
	return err;
}

void
store_end(struct policystore *ps)
{
	int keep = errno;

	policystore_text_fini(&ps->current);
	free(ps->numbers);
	ps->numbers = NULL;
	ps->nnumbers = 0;
	if (ps->lock >= 0)
		close(ps->lock);	/* and the lock with it */
	ps->lock = -1;
	(void)disk_become(root);
	errno = keep;
}

int
policystore_make(struct policystore *ps, struct conf_errors *errs)
{
	int err = store_lock(ps, errs);

	store_end(ps);
	return err;
}

/* ---- versions ---- */

char *
store_version_path(const struct policystore *ps, uint64_t number)
{
	return disk_path(ps, "versions/%06" PRIu64 ".conf", number);
}

static int
by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

int
store_list(struct policystore *ps, struct conf_errors *errs)
{
	char *path = disk_path(ps, "versions");
	DIR *d = opendir(path);
	struct dirent *e;
	size_t room = 0;

	free(ps->numbers);
	ps->numbers = NULL;
	ps->nnumbers = 0;
	if (d == NULL) {
		disk_failed(errs, "cannot be read", path);
		free(path);
		return SP_EIO;
	}
	while ((e = readdir(d)) != NULL) {
		struct span s = span_str(e->d_name);
		char again[32];
		uint64_t number;

		if (s.n < 6 || !span_uint(span_head(s, s.n - 5), UINT64_MAX, &number))
			continue;
		snprintf(again, sizeof(again), "%06" PRIu64 ".conf", number);
		if (!span_is(s, again))
			continue;
		if (ps->nnumbers == room) {
			room = room != 0 ? room * 2 : 64;
			ps->numbers = xreallocarray(ps->numbers, room, sizeof(*ps->numbers));
		}
		ps->numbers[ps->nnumbers++] = number;
	}
	closedir(d);
	free(path);
	if (ps->nnumbers > 1)
		qsort(ps->numbers, ps->nnumbers, sizeof(*ps->numbers), by_number);
	return SP_OK;
}

int
store_read(const char *path, struct policystore_text *out, struct conf_errors *errs)
{
	char hash[POLICY_HASH_TEXT];
	struct span line;
	size_t n, head = strlen(HEAD_LINE);
	char *text;
	int err = disk_read(path, POLICYSTORE_TEXT_MAX + POLICY_CHANGE_LINE, &text, &n, errs);

	*out = (struct policystore_text){ .text = NULL };
	if (err != SP_OK)
		return err == SP_ELIMIT ? SP_ESYNTAX : err;
	line = span_head(span_of(text, n), span_find(span_of(text, n), '\n'));
	if (line.n == n || line.n < head || memcmp(line.p, HEAD_LINE, head) != 0 ||
	    policy_change_parse(span_tail(line, head), &out->change) != SP_OK) {
		conf_error(errs, path, 1, "is damaged: does not say what it is");
		err = SP_ESYNTAX;
	} else {
		out->n = n - line.n - 1;
		memmove(text, text + line.n + 1, out->n + 1);
		out->text = text;
		text = NULL;	/* handed over */
		policy_hash(policystore_span(out), hash);
		if (strcmp(hash, out->change.sha256) != 0) {
			conf_error(errs, NULL, 0, "%s: was changed: its text is not the one that its first line has the hash of", path);
			policystore_text_fini(out);
			err = SP_ESYNTAX;
		}
	}
	free(text);
	return err;
}

int
store_write(struct policystore *ps, const char *path, const struct policy_change *c, struct span text,
    struct conf_errors *errs)
{
	char line[POLICY_CHANGE_LINE + 16];
	struct strbuf sb;

	strbuf_init(&sb, line, sizeof(line));
	strbuf_puts(&sb, HEAD_LINE);
	policy_change_format(c, &sb);
	strbuf_putc(&sb, '\n');
	return disk_write(ps, path, strbuf_span_of(&sb), text, NULL, errs);
}

int
store_sign(const struct policystore_who *who, struct policy_change *c, struct conf_errors *errs)
{
	struct span author = span_str(who->author), note = span_str(who->note);

	if (!policy_change_author_ok(author)) {
		conf_error(errs, NULL, 0, "author: expects 1 to %d bytes of UTF-8 without control characters",
		    POLICY_CHANGE_AUTHOR);
		return SP_EINVAL;
	}
	if (!policy_change_note_ok(note)) {
		conf_error(errs, NULL, 0, "note: expects one line of at most %d bytes of UTF-8 without control characters",
		    POLICY_CHANGE_NOTE);
		return SP_EINVAL;
	}
	memcpy(c->author, author.p, author.n);
	c->author[author.n] = '\0';
	if (note.n != 0)
		memcpy(c->note, note.p, note.n);
	c->note[note.n] = '\0';
	return SP_OK;
}

void
store_say_version(struct conf_errors *errs, const char *before, const struct policy_change *c)
{
	char when[32];

	policy_time_format(c->time, when);
	conf_error(errs, NULL, 0, "%sversion %" PRIu64 " is in force (%s by %s, %s%s%s)", before, c->version,
	    policy_action_name(c->action), c->author, when, c->note[0] != '\0' ? ": " : "", c->note);
}

/* Its first line only. */
static bool
read_change(const char *path, struct policy_change *out)
{
	char line[POLICY_CHANGE_LINE + 16];
	FILE *f = fopen(path, "re");
	size_t head = strlen(HEAD_LINE), n;
	bool good;

	if (f == NULL)
		return false;
	good = fgets(line, sizeof(line), f) != NULL && (n = strlen(line)) > head && line[n - 1] == '\n' &&
	    strncmp(line, HEAD_LINE, head) == 0 && policy_change_parse(span_of(line + head, n - head - 1), out) == SP_OK;
	fclose(f);
	return good;
}

int
policystore_which(struct policystore *ps, const char *sha256, struct policy_change *out)
{
	struct conf_errors *errs = conf_errors_new();
	bool found = false;

	if (store_list(ps, errs) == SP_OK)
		for (size_t i = ps->nnumbers; i-- > 0 && !found;) {
			char *path = store_version_path(ps, ps->numbers[i]);

			found = read_change(path, out) && strcmp(out->sha256, sha256) == 0;
			free(path);
		}
	store_end(ps);
	conf_errors_free(errs);
	return found ? SP_OK : SP_ENOENT;
}

int
policystore_hash_file(const struct policystore *ps, char sha256[POLICY_HASH_TEXT])
{
	struct conf_errors *errs = conf_errors_new();
	char *text = NULL;
	size_t n = 0, k;
	int err = disk_read(ps->named, POLICYSTORE_TEXT_MAX, &text, &n, errs);

	if (err == SP_OK) {
		char *dir = directory_of(ps->named), *whole;

		if (conf_flatten(ps->named, span_of(text, n), dir, POLICYSTORE_TEXT_MAX, &whole, &k, errs) == SP_OK)
			policy_hash(span_of(whole, k), sha256);
		else
			policy_hash(span_of(text, n), sha256);
		free(whole);
		free(dir);
	}
	free(text);
	conf_errors_free(errs);
	return err == SP_OK ? SP_OK : SP_EIO;
}

/* ---- what was interrupted, and what was done by hand ---- */

int
store_whole(const struct policystore *ps, struct span text, char **out, size_t *n, char hash[POLICY_HASH_TEXT],
    struct conf_errors *errs)
{
	struct disk_owner was = disk_become(ps->policy_owner);
	int err = conf_flatten(ps->named, text, ps->policy_dir, POLICYSTORE_TEXT_MAX, out, n, errs);

	(void)disk_become(was);
	policy_hash(err == SP_OK ? span_of(*out, *n) : text, hash);
	return err;
}

/* The policy file as it is; the hash of the whole, or, where a file that it includes cannot be had, of it alone. */
static int
read_policy(struct policystore *ps, char **text, size_t *n, char hash[POLICY_HASH_TEXT], struct conf_errors *errs)
{
	struct disk_owner was = disk_become(ps->policy_owner);
	int err = disk_read(ps->policy, POLICYSTORE_TEXT_MAX, text, n, errs);

	(void)disk_become(was);
	if (err == SP_ENOENT)
		return disk_failed(errs, "cannot be opened", ps->policy);
	if (err == SP_OK) {
		struct conf_errors *quiet = conf_errors_new();
		char *whole;
		size_t k;

		(void)store_whole(ps, span_of(*text, *n), &whole, &k, hash, quiet);
		free(whole);
		conf_errors_free(quiet);
	}
	return err;
}

static char *
old_path(const struct policystore *ps)
{
	size_t n = strlen(ps->policy) + sizeof(OLD);
	char *path = xmalloc(n);

	snprintf(path, n, "%s%s", ps->policy, OLD);
	return path;
}

static void
remove_old(struct policystore *ps)
{
	struct disk_owner was = disk_become(ps->policy_owner);
	char *old = old_path(ps);

	unlink(old);
	free(old);
	(void)disk_become(was);
}

/* The log has the line of this version. */
static int
logged(struct policystore *ps, uint64_t version, bool *yes, struct conf_errors *errs)
{
	struct audit_head h;
	int err = audit_read_head(ps, &h, errs);

	*yes = h.version >= version;
	return err;
}

/* The policy file is the pending version's, so this became true: the rest of it. */
static int
finish_pending(struct policystore *ps, const struct policy_change *c, struct conf_errors *errs)
{
	char *pending = disk_path(ps, PENDING), *version = store_version_path(ps, c->version);
	bool has_line;
	int err = logged(ps, c->version, &has_line, errs);

	if (err == SP_OK && !has_line)
		err = audit_append(ps, c, errs);
	if (err == SP_OK)
		err = disk_rename(pending, version, errs);
	if (err == SP_OK) {
		remove_old(ps);
		candidate_sweep(ps, c);
	}
	free(version);
	free(pending);
	return err;
}

/* It did not become true, or not for long. */
static int
drop_pending(struct policystore *ps, const struct policy_change *c, struct conf_errors *errs)
{
	char *pending = disk_path(ps, PENDING);
	struct policy_change refused = *c;
	bool has_line;
	int err = logged(ps, c->version, &has_line, errs);

	if (err == SP_OK && has_line) {
		refused.action = POLICY_REFUSED;
		refused.time = clock_wall();
		err = audit_append(ps, &refused, errs);
	}
	if (err == SP_OK)
		err = disk_remove(pending, errs);
	if (err == SP_OK)
		remove_old(ps);
	free(pending);
	return err;
}

static int
recover(struct policystore *ps, struct conf_errors *errs)
{
	char hash[POLICY_HASH_TEXT], *path = disk_path(ps, PENDING), *text = NULL;
	struct policystore_text pending;
	size_t n;
	int err = store_read(path, &pending, errs);

	if (err == SP_OK && (err = read_policy(ps, &text, &n, hash, errs)) == SP_OK) {
		uint64_t version = pending.change.version;

		bool by_hand = pending.change.action == POLICY_HAND_EDIT || pending.change.action == POLICY_IMPORT;

		/* what came by hand was in force, whatever came after it */
		if (by_hand || strcmp(hash, pending.change.sha256) == 0) {
			err = finish_pending(ps, &pending.change, errs);
			if (err == SP_OK && !by_hand)
				news(ps, "version %" PRIu64 ", whose commit was interrupted, is in force; reload the edge to be "
				    "sure that it has it", version);
		} else {
			err = drop_pending(ps, &pending.change, errs);
			if (err == SP_OK)
				news(ps, "the commit of version %" PRIu64 " was interrupted before it came into force; nothing "
				    "of it remains", version);
		}
	}
	free(text);
	policystore_text_fini(&pending);
	free(path);
	return err == SP_ENOENT ? SP_OK : err;
}

static bool
is_good(const struct policystore *ps, struct span text)
{
	struct disk_owner was = disk_become(ps->policy_owner);
	struct conf_errors *errs = conf_errors_new();
	struct policy_rules *rules = policyfile_load_text(ps->named, text, ps->policy_dir, errs);
	bool good = rules != NULL;

	(void)disk_become(was);
	policy_rules_unref(rules);
	conf_errors_free(errs);
	return good;
}

/* The number that the next version gets. Never one that was given before. */
static int
next_number(struct policystore *ps, uint64_t *out, struct conf_errors *errs)
{
	struct audit_head h;
	int err = audit_read_head(ps, &h, errs);
	uint64_t last = ps->nnumbers != 0 ? ps->numbers[ps->nnumbers - 1] : 0;

	*out = (h.version > last ? h.version : last) + 1;
	return err;
}

/* The file is not the newest version: it becomes one. */
static int
take_over(struct policystore *ps, struct span text, struct conf_errors *errs)
{
	bool first = ps->nnumbers == 0;
	struct policy_change c = { .parent = first ? 0 : ps->current.change.version, .time = clock_wall(),
		.action = first ? POLICY_IMPORT : POLICY_HAND_EDIT };
	struct policystore_who who = { .author = "hand edit", .note = is_good(ps, text) ? "" : "has mistakes" };
	struct conf_errors *quiet = conf_errors_new();
	char *pending = disk_path(ps, PENDING), *whole;
	size_t k;
	int err = store_sign(&who, &c, errs);

	if (store_whole(ps, text, &whole, &k, c.sha256, quiet) != SP_OK) {
		whole = xmemdup(text.p, text.n);
		k = text.n;
	}
	conf_errors_free(quiet);
	if (err == SP_OK && (err = next_number(ps, &c.version, errs)) == SP_OK &&
	    (err = store_write(ps, pending, &c, span_of(whole, k), errs)) == SP_OK &&
	    (err = finish_pending(ps, &c, errs)) == SP_OK) {
		ps->current.change = c;
		if (!first)
			news(ps, "%s%s was edited by hand; that is version %" PRIu64 " now", ps->named,
			    conf_includes(text) ? ", or a file that it includes," : "", c.version);
		err = store_list(ps, errs);
	}
	free(whole);
	free(pending);
	return err;
}

int
store_begin(struct policystore *ps, struct conf_errors *errs)
{
	char hash[POLICY_HASH_TEXT], *text = NULL, *path;
	size_t n;
	int err;

	if ((err = store_lock(ps, errs)) != SP_OK || (err = find_policy(ps, errs)) != SP_OK ||
	    (err = recover(ps, errs)) != SP_OK || (err = store_list(ps, errs)) != SP_OK)
		return err;
	if (ps->nnumbers != 0) {
		path = store_version_path(ps, ps->numbers[ps->nnumbers - 1]);
		err = store_read(path, &ps->current, errs);
		free(path);
		if (err != SP_OK)
			return err == SP_ENOENT ? SP_ESYNTAX : err;
	}
	if ((err = read_policy(ps, &text, &n, hash, errs)) == SP_OK &&
	    (ps->nnumbers == 0 || strcmp(hash, ps->current.change.sha256) != 0))
		err = take_over(ps, span_of(text, n), errs);
	if (err == SP_OK) {
		/* as the file has it, with its @include */
		free(ps->current.text);
		ps->current.text = text;
		ps->current.n = n;
		text = NULL;	/* handed over */
	}
	free(text);
	return err;
}

/* ---- a new policy ---- */

/* The old file has a second name by now; back with it. */
static int
put_back(struct policystore *ps, const struct policy_change *c, const char *old, struct conf_errors *errs)
{
	struct disk_owner was = disk_become(ps->policy_owner);
	int err = disk_rename(old, ps->policy, errs);

	(void)disk_become(was);
	return err == SP_OK ? drop_pending(ps, c, errs) : err;
}

int
store_check(struct policystore *ps, struct span text, struct conf_errors *errs)
{
	struct policy_rules *rules;
	struct disk_owner was;

	if (text.n > POLICYSTORE_TEXT_MAX) {
		conf_error(errs, NULL, 0, "the policy has more than %u bytes", POLICYSTORE_TEXT_MAX);
		return SP_ELIMIT;
	}
	was = disk_become(ps->policy_owner);
	rules = policyfile_load_text(ps->named, text, ps->policy_dir, errs);
	(void)disk_become(was);
	policy_rules_unref(rules);
	return rules != NULL ? SP_OK : SP_EINVAL;
}

/* A second name, or where that may not be (somebody else's file), a copy. st: what the policy file is like. */
static int
keep_old(struct policystore *ps, const char *old, struct stat *st, struct conf_errors *errs)
{
	struct disk_owner was = disk_become(ps->policy_owner);
	int err = SP_OK;

	if (stat(ps->policy, st) != 0) {
		err = disk_failed(errs, "cannot be looked at", ps->policy);
	} else {
		unlink(old);
		if (link(ps->policy, old) != 0)
			err = disk_write(ps, old, SPAN_NONE, policystore_span(&ps->current), st, errs);
	}
	(void)disk_become(was);
	return err;
}

static int
write_policy(struct policystore *ps, struct span text, const struct stat *like, struct conf_errors *errs)
{
	struct disk_owner was = disk_become(ps->policy_owner);
	int err = disk_write(ps, ps->policy, SPAN_NONE, text, like, errs);

	(void)disk_become(was);
	return err;
}

/* The edge is told with our own rights, which its socket may ask for. */
static int
tell(const struct policystore_who *who, const struct policy_change *c, struct span text, struct conf_errors *errs)
{
	struct disk_owner was = disk_become(root);
	int err = who->apply != NULL ? who->apply(who->arg, c, text, errs) : SP_OK;

	(void)disk_become(was);
	return err;
}

/* From pending.conf on, which is written. */
static int
replace(struct policystore *ps, const struct policy_change *c, struct span text, const struct policystore_who *who,
    struct conf_errors *errs)
{
	char *old = old_path(ps);
	struct stat st;
	int err;

	if ((err = keep_old(ps, old, &st, errs)) != SP_OK) {
		drop_pending(ps, c, errs);
	} else if ((err = write_policy(ps, text, &st, errs)) != SP_OK || (err = audit_append(ps, c, errs)) != SP_OK ||
	    (err = tell(who, c, text, errs)) != SP_OK) {
		if (put_back(ps, c, old, errs) != SP_OK)
			conf_error(errs, NULL, 0, "version %" PRIu64 " could not be taken back; the next use of the store will "
			    "look after it", c->version);
	} else {
		struct conf_errors *late = conf_errors_new();

		/* what fails here is done with the next use of the store */
		if (finish_pending(ps, c, late) != SP_OK)
			news(ps, "version %" PRIu64 " is in force, but %s", c->version,
			    conf_errors_count(late) != 0 ? conf_errors_get(late, 0) : "could not be filed");
		conf_errors_free(late);
	}
	free(old);
	return err;
}

/* With our own rights, as tell() has it. */
static int
claim(struct policystore *ps, struct policy_change *c, struct span text, const struct policystore_who *who,
    struct conf_errors *errs)
{
	struct disk_owner was;
	uint64_t number = c->version;
	int err;

	if (who->claim == NULL)
		return SP_OK;
	was = disk_become(root);
	err = who->claim(who->arg, c, ps->current.change.sha256, text, errs);
	(void)disk_become(was);
	if (c->version < number)
		c->version = number;
	return err;
}

int
store_put_in_force(struct policystore *ps, struct policy_change *c, struct span text, const struct policystore_who *who,
    struct conf_errors *errs)
{
	struct conf_errors *quiet = conf_errors_new();
	char *pending, *whole;
	size_t n;
	int err;

	(void)store_whole(ps, text, &whole, &n, c->sha256, quiet);
	conf_errors_free(quiet);
	if (strcmp(c->sha256, ps->current.change.sha256) == 0) {
		conf_error(errs, NULL, 0, "there is nothing to change: that is version %" PRIu64 ", which is in force",
		    ps->current.change.version);
		free(whole);
		return SP_EEXIST;
	}
	if ((err = store_check(ps, text, errs)) == SP_OK && whole == NULL)
		err = store_whole(ps, text, &whole, &n, c->sha256, errs);	/* says why */
	if (err != SP_OK || (err = next_number(ps, &c->version, errs)) != SP_OK) {
		free(whole);
		return err;
	}
	c->parent = ps->current.change.version;
	c->time = clock_wall();
	/* other nodes have not the files that this one includes */
	if ((err = claim(ps, c, span_of(whole, n), who, errs)) != SP_OK) {
		free(whole);
		return err;
	}
	pending = disk_path(ps, PENDING);
	if ((err = store_write(ps, pending, c, span_of(whole, n), errs)) == SP_OK)
		err = replace(ps, c, text, who, errs);
	free(whole);
	free(pending);
	return err;
}

/* ---- what others call ---- */

/* Hand over what store_begin() has read. */
int
policystore_current(struct policystore *ps, struct policystore_text *out, struct conf_errors *errs)
{
	int err = store_begin(ps, errs);

	*out = (struct policystore_text){ .text = NULL };
	if (err == SP_OK) {
		*out = ps->current;
		ps->current = (struct policystore_text){ .text = NULL };
	}
	store_end(ps);
	return err;
}

static int
read_version(struct policystore *ps, uint64_t number, struct policystore_text *out, struct conf_errors *errs)
{
	char *path = store_version_path(ps, number);
	int err = store_read(path, out, errs);

	if (err == SP_ENOENT)
		conf_error(errs, NULL, 0, "there is no version %" PRIu64, number);
	else if (err == SP_OK && out->change.version != number) {
		conf_error(errs, path, 1, "is damaged: says that it is version %" PRIu64, out->change.version);
		policystore_text_fini(out);
		err = SP_ESYNTAX;
	}
	free(path);
	return err;
}

int
policystore_version(struct policystore *ps, uint64_t number, struct policystore_text *out, struct conf_errors *errs)
{
	int err = store_begin(ps, errs);

	*out = (struct policystore_text){ .text = NULL };
	if (err == SP_OK)
		err = read_version(ps, number, out, errs);
	store_end(ps);
	return err;
}

int
policystore_history(struct policystore *ps, uint64_t before, size_t max,
    void (*each)(void *arg, const struct policy_change *), void *arg, struct conf_errors *errs)
{
	int err = store_begin(ps, errs);

	for (size_t i = ps->nnumbers; err == SP_OK && i-- > 0 && max > 0;) {
		struct policystore_text t;

		if (before != 0 && ps->numbers[i] >= before)
			continue;
		if ((err = read_version(ps, ps->numbers[i], &t, errs)) == SP_OK) {
			each(arg, &t.change);
			max--;
		}
		policystore_text_fini(&t);
	}
	store_end(ps);
	return err;
}

int
policystore_rollback(struct policystore *ps, uint64_t number, const struct policystore_who *who, uint64_t *version,
    struct conf_errors *errs)
{
	struct policy_change c = { .action = POLICY_ROLLBACK };
	struct policystore_text t = { .text = NULL };
	char note[64];
	int err = store_begin(ps, errs);

	if (err == SP_OK && (err = store_sign(who, &c, errs)) == SP_OK &&
	    (err = read_version(ps, number, &t, errs)) == SP_OK) {
		snprintf(note, sizeof(note), "back to version %" PRIu64, number);
		if (c.note[0] == '\0')
			memcpy(c.note, note, sizeof(note));
		err = store_put_in_force(ps, &c, policystore_span(&t), who, errs);
	}
	if (err == SP_OK && version != NULL)
		*version = c.version;
	policystore_text_fini(&t);
	store_end(ps);
	return err;
}

int
policystore_amend(struct policystore *ps, enum policy_action action, policystore_edit edit, void *edit_arg,
    const struct policystore_who *who, uint64_t *version, struct conf_errors *errs)
{
	struct policy_change c = { .action = action };
	char *text = NULL;
	size_t n;
	int err = store_begin(ps, errs);

	if (err == SP_OK && (err = store_sign(who, &c, errs)) == SP_OK &&
	    (err = edit(edit_arg, policystore_span(&ps->current), &text, &n, errs)) == SP_OK)
		err = store_put_in_force(ps, &c, span_of(text, n), who, errs);
	if (err == SP_OK && version != NULL)
		*version = c.version;
	free(text);
	store_end(ps);
	return err;
}

/* ---- arrays ---- */

/* Has this store had that very change, under whatever number? A text can come back; who made it when does not. */
static bool
has_had(struct policystore *ps, const struct policy_change *c)
{
	bool had = false;

	for (size_t i = ps->nnumbers; i-- > 0 && !had;) {
		char *path = store_version_path(ps, ps->numbers[i]);
		struct policy_change mine;

		had = read_change(path, &mine) && strcmp(mine.sha256, c->sha256) == 0 && mine.time == c->time &&
		    mine.action == c->action && strcmp(mine.author, c->author) == 0;
		free(path);
	}
	return had;
}

/* Whoever can write to the place that the nodes share does not choose files for root to read. */
static bool
names_files(struct span text)
{
	return text.n != 0 && memmem(text.p, text.n, "@include", 8) != NULL;
}

static int
take_in(struct policystore *ps, const struct policy_change *theirs, struct span text, uint64_t *version, struct conf_errors *errs)
{
	static const struct policystore_who nobody = { .author = NULL };
	struct policy_change c = *theirs;
	char *pending;
	int err;

	if (names_files(text)) {
		conf_error(errs, NULL, 0, "a policy that other nodes share cannot include files");
		return SP_EINVAL;
	}
	if ((err = store_check(ps, text, errs)) != SP_OK || (err = next_number(ps, &c.version, errs)) != SP_OK)
		return err;
	if (theirs->version > c.version)
		c.version = theirs->version;
	c.parent = ps->current.change.version;
	pending = disk_path(ps, PENDING);
	if ((err = store_write(ps, pending, &c, text, errs)) == SP_OK)
		err = replace(ps, &c, text, &nobody, errs);
	free(pending);
	*version = c.version;
	return err;
}

int
policystore_receive(struct policystore *ps, const struct policy_change *c, struct span text, uint64_t *version,
    struct policystore_text *ahead, struct conf_errors *errs)
{
	char hash[POLICY_HASH_TEXT], *whole;
	size_t n;
	int err = store_begin(ps, errs);

	*ahead = (struct policystore_text){ .text = NULL };
	if (err == SP_OK && strcmp(ps->current.change.sha256, c->sha256) == 0) {
		err = SP_EEXIST;
	} else if (err == SP_OK && has_had(ps, c)) {
		if (store_whole(ps, policystore_span(&ps->current), &whole, &n, hash, errs) == SP_OK) {
			/* as others can have it */
			free(ps->current.text);
			ps->current.text = whole;
			ps->current.n = n;
		}
		*ahead = ps->current;
		ps->current = (struct policystore_text){ .text = NULL };
		err = SP_EAGAIN;
	} else if (err == SP_OK) {
		err = take_in(ps, c, text, version, errs);
	}
	store_end(ps);
	return err;
}
