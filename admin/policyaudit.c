/*
 * admin/policyaudit.c - the log of all changes, each line with the hash of the one before.
 *
 * A line counts when audit.head says so. It is written behind the others, brought
 * to the disk, and then audit.head is replaced; what stands behind the last line
 * that counts is from a crash, at most one line, and is written over by the next.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/policystore_int.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/mem.h"

#define LOG	"audit.log"
#define HEAD	"audit.head"
#define NO_HASH	"0000000000000000000000000000000000000000000000000000000000000000"

/* ---- audit.head: "lines=12 bytes=3456 version=7 hash=..." ---- */

static void
format_head(const struct audit_head *h, struct strbuf *out)
{
	strbuf_printf(out, "lines=%" PRIu64 " bytes=%" PRIu64 " version=%" PRIu64 " hash=%s\n", h->n, h->bytes, h->version,
	    h->hash);
}

static bool
parse_head(const char *text, size_t n, struct audit_head *h)
{
	char again[256];
	struct strbuf sb;

	if (n >= sizeof(again) || sscanf(text, "lines=%20" SCNu64 " bytes=%20" SCNu64 " version=%20" SCNu64 " hash=%64[0-9a-f]",
	    &h->n, &h->bytes, &h->version, h->hash) != 4 || strlen(h->hash) != POLICY_HASH_TEXT - 1)
		return false;
	strbuf_init(&sb, again, sizeof(again));
	format_head(h, &sb);
	return span_eq(strbuf_span_of(&sb), span_of(text, n));
}

static int
write_head(struct policystore *ps, const struct audit_head *h, struct conf_errors *errs)
{
	char text[256], *path = disk_path(ps, HEAD);
	struct strbuf sb;
	int err;

	strbuf_init(&sb, text, sizeof(text));
	format_head(h, &sb);
	err = disk_write(ps, path, strbuf_span_of(&sb), SPAN_NONE, NULL, errs);
	free(path);
	return err;
}

int
audit_read_head(struct policystore *ps, struct audit_head *h, struct conf_errors *errs)
{
	char *path = disk_path(ps, HEAD), *text;
	size_t n;
	int err = disk_read(path, 256, &text, &n, errs);

	memset(h, 0, sizeof(*h));
	if (err == SP_ENOENT)
		conf_error(errs, NULL, 0, "%s: is gone; without it nobody knows how long %s has to be", path, LOG);
	else if (err == SP_OK && !parse_head(text, n, h))
		conf_error(errs, NULL, 0, "%s: is damaged", path);
	else {
		free(text);
		free(path);
		return err == SP_ELIMIT ? SP_ESYNTAX : err;
	}
	free(text);
	free(path);
	return SP_ESYNTAX;
}

int
audit_make(struct policystore *ps, struct conf_errors *errs)
{
	struct audit_head h = { .hash = NO_HASH };
	char *path = disk_path(ps, LOG);
	int err = disk_write(ps, path, SPAN_NONE, SPAN_NONE, NULL, errs);

	free(path);
	/* the head last: a store whose head is there has everything */
	return err == SP_OK ? write_head(ps, &h, errs) : err;
}

/* How long the log is; must be what the head says, or a line's beginning more. */
static int
check_length(const char *path, int fd, const struct audit_head *h, struct conf_errors *errs)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return disk_failed(errs, "cannot be looked at", path);
	if ((uint64_t)st.st_size >= h->bytes && (uint64_t)st.st_size - h->bytes < POLICY_CHANGE_LINE)
		return SP_OK;
	conf_error(errs, NULL, 0, "%s: has %lld bytes, but %s says %" PRIu64 "; sallyportctl policy audit verify tells more",
	    path, (long long)st.st_size, HEAD, h->bytes);
	return SP_ESYNTAX;
}

static int
write_line(const char *path, int fd, const struct audit_head *h, struct span line, struct conf_errors *errs)
{
	uint64_t at = h->bytes;

	/* what is left of a line that a crash cut off */
	if (ftruncate(fd, (off_t)at) != 0)
		return disk_failed(errs, "cannot be written", path);
	while (line.n > 0) {
		ssize_t done = pwrite(fd, line.p, line.n, (off_t)at);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0) {
			int keep = errno;

			(void)!ftruncate(fd, (off_t)h->bytes);
			errno = keep;
			return disk_failed(errs, "cannot be written", path);
		}
		at += (uint64_t)done;
		line = span_tail(line, (size_t)done);
	}
	return fdatasync(fd) == 0 ? SP_OK : disk_failed(errs, "cannot be brought to the disk", path);
}

int
audit_append(struct policystore *ps, const struct policy_change *c, struct conf_errors *errs)
{
	struct audit_head h;
	struct policy_record r = { .change = *c };
	char text[POLICY_CHANGE_LINE], *path;
	struct strbuf sb;
	int fd, err = audit_read_head(ps, &h, errs);

	if (err != SP_OK)
		return err;
	path = disk_path(ps, LOG);
	r.n = h.n + 1;
	memcpy(r.prev, h.hash, sizeof(r.prev));
	strbuf_init(&sb, text, sizeof(text));
	policy_record_format(&r, &sb);
	strbuf_putc(&sb, '\n');
	if ((fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW)) < 0) {
		err = disk_failed(errs, "cannot be opened", path);
	} else if ((err = check_length(path, fd, &h, errs)) == SP_OK &&
	    (err = write_line(path, fd, &h, strbuf_span_of(&sb), errs)) == SP_OK) {
		h.n = r.n;
		h.bytes += sb.len;
		h.version = c->version > h.version ? c->version : h.version;
		memcpy(h.hash, r.hash, sizeof(h.hash));
		err = write_head(ps, &h, errs);
	}
	if (fd >= 0)
		close(fd);
	free(path);
	return err;
}

/* ---- reading ---- */

/* What goes with the lines as they are read. */
struct reading {
	struct policystore	*ps;
	struct conf_errors	*errs;
	struct audit_head	 head;
	uint64_t		 n;		/* lines that were good */
	uint64_t		 bytes;
	char			 hash[POLICY_HASH_TEXT];	/* of the last */
	int			 err;
};

/* The line, which counts, by itself and behind the last one. */
static bool
take_line(struct reading *rd, const char *path, struct span line, struct policy_record *r)
{
	const char *why = NULL;

	if (policy_record_parse(line, r) != SP_OK)
		why = "was changed: it is not what its hash says";
	else if (r->n != rd->n + 1)
		why = "has another number than its place; lines are missing, were put in or moved";
	else if (strcmp(r->prev, rd->hash) != 0)
		why = "does not follow the line before it";
	if (why != NULL) {
		conf_error(rd->errs, path, (int)rd->n + 1, "%s", why);
		rd->err = SP_ESYNTAX;
		return false;
	}
	rd->n++;
	rd->bytes += line.n + 1;
	memcpy(rd->hash, r->hash, sizeof(rd->hash));
	return true;
}

/* Whatever stands behind the last line that counts: the beginning of the next, as a crash leaves it, or worse. */
static void
judge_tail(struct reading *rd, const char *path, struct span tail)
{
	char begin[64];
	struct policy_record r;
	size_t end = span_find(tail, '\n');

	snprintf(begin, sizeof(begin), "n=%" PRIu64 " ", rd->n + 1);
	if (tail.n == 0)
		return;
	if (end == tail.n) {
		if (tail.n < POLICY_CHANGE_LINE &&
		    strncmp(tail.p, begin, tail.n < strlen(begin) ? tail.n : strlen(begin)) == 0)
			return;
	} else if (end == tail.n - 1 && policy_record_parse(span_head(tail, end), &r) == SP_OK && r.n == rd->n + 1 &&
	    strcmp(r.prev, rd->hash) == 0) {
		return;
	}
	conf_error(rd->errs, path, (int)rd->n + 1, "here begins what %s knows nothing of (%zu bytes)", HEAD, tail.n);
	rd->err = SP_ESYNTAX;
}

/* each gets every line; false ends it. */
static void
read_lines(struct reading *rd, bool (*each)(void *arg, const struct policy_record *), void *arg)
{
	char *path = disk_path(rd->ps, LOG), *line = NULL;
	FILE *f = fopen(path, "rbe");
	size_t size = 0, rest;
	ssize_t n;
	bool go = true;

	memcpy(rd->hash, NO_HASH, sizeof(NO_HASH));
	if (f == NULL) {
		rd->err = errno == ENOENT ? SP_ESYNTAX : SP_EIO;
		disk_failed(rd->errs, "cannot be opened", path);
		free(path);
		return;
	}
	while (go && rd->err == SP_OK && rd->bytes < rd->head.bytes && (n = getline(&line, &size, f)) > 0) {
		struct policy_record r;

		if (line[n - 1] != '\n' || (size_t)n > rd->head.bytes - rd->bytes) {
			conf_error(rd->errs, path, (int)rd->n + 1, "is cut off");
			rd->err = SP_ESYNTAX;
		} else if (take_line(rd, path, span_of(line, (size_t)n - 1), &r)) {
			go = each == NULL || each(arg, &r);
		}
	}
	free(line);
	if (go && rd->err == SP_OK && (rd->bytes != rd->head.bytes || rd->n != rd->head.n ||
	    strcmp(rd->hash, rd->head.hash) != 0)) {
		conf_error(rd->errs, path, (int)rd->n, "is the last line, but %s knows %" PRIu64
		    " lines, the last with another hash", HEAD, rd->head.n);
		rd->err = SP_ESYNTAX;
	}
	if (go && rd->err == SP_OK) {
		char *tail = xmalloc(2 * POLICY_CHANGE_LINE);

		rest = fread(tail, 1, 2 * POLICY_CHANGE_LINE, f);
		judge_tail(rd, path, span_of(tail, rest));
		free(tail);
	}
	fclose(f);
	free(path);
}

int
policystore_audit_head(struct policystore *ps, char hash[POLICY_HASH_TEXT], uint64_t *count, struct conf_errors *errs)
{
	struct audit_head h;
	int err = store_begin(ps, errs);

	if (err == SP_OK && (err = audit_read_head(ps, &h, errs)) == SP_OK) {
		memcpy(hash, h.hash, POLICY_HASH_TEXT);
		*count = h.n;
	}
	store_end(ps);
	return err;
}

struct showing {
	uint64_t from;
	void	(*each)(void *arg, const struct policy_record *);
	void	*arg;
};

static bool
show(void *arg, const struct policy_record *r)
{
	const struct showing *s = arg;

	if (r->n >= s->from)
		s->each(s->arg, r);
	return true;
}

int
policystore_audit_each(struct policystore *ps, uint64_t from, void (*each)(void *arg, const struct policy_record *),
    void *arg, struct conf_errors *errs)
{
	struct showing s = { from, each, arg };
	struct reading rd = { .ps = ps, .errs = errs };
	int err = store_begin(ps, errs);

	if (err == SP_OK && (err = audit_read_head(ps, &rd.head, errs)) == SP_OK) {
		read_lines(&rd, show, &s);
		err = rd.err;
	}
	store_end(ps);
	return err;
}

/* ---- verifying ---- */

struct verifying {
	struct policy_change	*made;		/* versions, by the lines that made them */
	size_t			 nmade, room;
	const char		*known;
	bool			 found;
	uint64_t		 last;		/* highest version */
};

static bool
note_line(void *arg, const struct policy_record *r)
{
	struct verifying *v = arg;

	v->found |= v->known != NULL && strcmp(v->known, r->hash) == 0;
	if (r->change.version > v->last)
		v->last = r->change.version;
	if (r->change.action == POLICY_REFUSED) {
		for (size_t i = 0; i < v->nmade; i++)
			if (v->made[i].version == r->change.version)
				v->made[i--] = v->made[--v->nmade];
	} else if (r->change.version != 0) {
		if (v->nmade == v->room) {
			v->room = v->room != 0 ? v->room * 2 : 64;
			v->made = xreallocarray(v->made, v->room, sizeof(*v->made));
		}
		v->made[v->nmade++] = r->change;
	}
	return true;
}

static bool
same_change(const struct policy_change *a, const struct policy_change *b)
{
	char one[POLICY_CHANGE_LINE], other[POLICY_CHANGE_LINE];
	struct strbuf x, y;

	strbuf_init(&x, one, sizeof(one));
	strbuf_init(&y, other, sizeof(other));
	policy_change_format(a, &x);
	policy_change_format(b, &y);
	return span_eq(strbuf_span_of(&x), strbuf_span_of(&y));
}

/* The version that a line made: is it there, and is it that? */
static int
check_version(struct policystore *ps, const struct policy_change *made, struct conf_errors *errs)
{
	struct policystore_text t = { .text = NULL };
	char *path = store_version_path(ps, made->version), *pending = disk_path(ps, PENDING);
	int err = store_read(path, &t, errs);

	if (err == SP_ENOENT)	/* a commit that was interrupted after its line was written */
		err = store_read(pending, &t, errs);
	if (err == SP_ENOENT)
		conf_error(errs, NULL, 0, "%s: is gone", path);
	else if (err == SP_OK && !same_change(made, &t.change))
		conf_error(errs, NULL, 0, "%s: its first line is not what %s says of version %" PRIu64, path, LOG, made->version);
	else if (err == SP_OK)
		goto out;
	err = SP_ESYNTAX;
 out:
	policystore_text_fini(&t);
	free(pending);
	free(path);
	return err;
}

static int
check_versions(struct policystore *ps, const struct verifying *v, struct conf_errors *errs)
{
	int err = store_list(ps, errs), one;

	for (size_t i = 0; i < v->nmade; i++)
		if ((one = check_version(ps, &v->made[i], errs)) != SP_OK)
			err = one;
	for (size_t i = 0; i < ps->nnumbers; i++) {
		bool made = false;

		for (size_t j = 0; j < v->nmade && !made; j++)
			made = v->made[j].version == ps->numbers[i];
		if (!made) {
			conf_error(errs, NULL, 0, "versions/%06" PRIu64 ".conf: no line of %s made it", ps->numbers[i], LOG);
			err = SP_ESYNTAX;
		}
	}
	return err;
}

int
policystore_audit_verify(struct policystore *ps, const char *known, uint64_t *count, struct conf_errors *errs)
{
	struct verifying v = { .known = known };
	struct reading rd = { .ps = ps, .errs = errs };
	int err = store_lock(ps, errs), more;

	if (err == SP_OK && (err = audit_read_head(ps, &rd.head, errs)) == SP_OK) {
		read_lines(&rd, note_line, &v);
		err = rd.err;
		if (err == SP_OK && v.last != rd.head.version) {
			conf_error(errs, NULL, 0, "%s: knows version %" PRIu64 ", the log only %" PRIu64, HEAD,
			    rd.head.version, v.last);
			err = SP_ESYNTAX;
		}
		if (known != NULL && !v.found && strcmp(known, NO_HASH) != 0) {
			conf_error(errs, NULL, 0, "%s: no line has the hash %s: the log was cut off before it, or written anew",
			    LOG, known);
			err = SP_ESYNTAX;
		}
		if ((more = check_versions(ps, &v, errs)) != SP_OK)
			err = more;
	}
	if (count != NULL)
		*count = rd.n;
	free(v.made);
	store_end(ps);
	return err;
}
