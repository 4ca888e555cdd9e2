/*
 * admin/seen.c - see seen.h.
 */
#include "admin/seen.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/strbuf.h"

#define NAMES_SHOWN	512	/* bytes of all names of one certificate */

struct entry {
	unsigned char		 fingerprint[32], spki[32];
	time_t			 first, last, not_after;
	uint64_t		 order;		/* of the last note */
	unsigned long		 times;
	bool			 inbound;
	unsigned		 usage;
	enum policy_reason	 why;
	const char		*detail;	/* static */
	char			 from[NET_ADDR_TEXT];
	char			 names[NAMES_SHOWN];
	char			 subject[256], issuer[256], serial[64];
};

struct table {
	struct entry	**v;	/* allocated one by one: most daemons see a handful */
	size_t		  n, max;
};

struct seen {
	pthread_mutex_t	 lock;
	struct table	 accepted, refused;
	uint64_t	 order;
	bool		 changed;
};

struct seen *
seen_new(size_t accepted_max, size_t refused_max)
{
	struct seen *s = xcalloc(1, sizeof(*s));

	pthread_mutex_init(&s->lock, NULL);
	s->accepted = (struct table){ xcalloc(accepted_max, sizeof(struct entry *)), 0, accepted_max };
	s->refused = (struct table){ xcalloc(refused_max, sizeof(struct entry *)), 0, refused_max };
	return s;
}

static void
free_table(struct table *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->v[i]);
	free(t->v);
}

void
seen_free(struct seen *s)
{
	if (s == NULL)
		return;
	free_table(&s->accepted);
	free_table(&s->refused);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static int
by_order(const void *a, const void *b)
{
	const struct entry *x = *(struct entry *const *)a, *y = *(struct entry *const *)b;

	return x->order < y->order ? -1 : x->order > y->order;
}

/* Make room: the fifth that was not seen for longest. */
static void
drop_oldest(struct table *t)
{
	size_t gone = t->max / 5;

	qsort(t->v, t->n, sizeof(struct entry *), by_order);
	for (size_t i = 0; i < gone; i++)
		free(t->v[i]);
	t->n -= gone;
	memmove(t->v, t->v + gone, t->n * sizeof(struct entry *));
}

static struct entry *
find_or_add(struct table *t, const unsigned char fingerprint[32])
{
	struct entry *e;

	for (size_t i = 0; i < t->n; i++)
		if (memcmp(t->v[i]->fingerprint, fingerprint, 32) == 0)
			return t->v[i];
	if (t->n == t->max)
		drop_oldest(t);
	e = t->v[t->n++] = xcalloc(1, sizeof(*e));
	memcpy(e->fingerprint, fingerprint, 32);
	return e;
}

/* What stands in the certificate; the names are plain host names, the rest is escaped by net. */
static void
describe(struct entry *e, const struct net_peer *p)
{
	struct strbuf sb;

	memcpy(e->spki, p->spki, sizeof(e->spki));
	memcpy(e->subject, p->subject, sizeof(e->subject));
	memcpy(e->issuer, p->issuer, sizeof(e->issuer));
	memcpy(e->serial, p->serial, sizeof(e->serial));
	e->not_after = p->not_after;
	e->usage = p->usage;
	strbuf_init(&sb, e->names, sizeof(e->names));
	for (unsigned i = 0; i < p->nnames && sb.len + p->names[i].n + 2 < sizeof(e->names); i++) {
		if (i > 0)
			strbuf_putc(&sb, ' ');
		strbuf_span(&sb, p->names[i]);
	}
}

void
seen_note(struct seen *s, const struct net_peer *p, const struct net_addr *from, bool inbound, enum policy_reason why,
    const char *detail)
{
	time_t now = clock_wall();
	struct entry *e;

	if (!p->shown)
		return;
	pthread_mutex_lock(&s->lock);
	e = find_or_add(why == POLICY_REASON_ALLOWED ? &s->accepted : &s->refused, p->fingerprint);
	if (e->times++ == 0) {
		e->first = now;
		describe(e, p);
	}
	e->last = now;
	e->order = ++s->order;
	e->inbound = inbound;
	e->why = why;
	e->detail = detail;
	net_addr_format(from, e->from);
	s->changed = true;
	pthread_mutex_unlock(&s->lock);
}

size_t
seen_count(struct seen *s, bool accepted)
{
	size_t n;

	pthread_mutex_lock(&s->lock);
	n = accepted ? s->accepted.n : s->refused.n;
	pthread_mutex_unlock(&s->lock);
	return n;
}

static void
put_time(FILE *f, const char *key, time_t t)
{
	char text[32];
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL || strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		text[0] = '\0';
	fprintf(f, " %s=%s", key, text);
}

static void
put_hex(FILE *f, const char *key, const unsigned char hash[32])
{
	fprintf(f, " %s=", key);
	for (int i = 0; i < 32; i++)
		fprintf(f, "%02x", hash[i]);
}

static void
put_entry(FILE *f, const struct entry *e)
{
	static const char *const usages[] = { "other", "server", "client", "server,client" };

	fprintf(f, "verdict=%s", e->why == POLICY_REASON_ALLOWED ? "accepted" : "refused");
	if (e->why != POLICY_REASON_ALLOWED)
		fprintf(f, " reason=%s", policy_reason_name(e->why));
	if (e->detail != NULL)
		fprintf(f, " detail=\"%s\"", e->detail);
	put_time(f, "first", e->first);
	put_time(f, "last", e->last);
	fprintf(f, " times=%lu direction=%s peer=%s names=\"%s\"", e->times, e->inbound ? "in" : "out", e->from, e->names);
	put_time(f, "not_after", e->not_after);
	fprintf(f, " usage=%s subject=\"%s\" issuer=\"%s\" serial=%s", usages[e->usage & 3], e->subject, e->issuer, e->serial);
	put_hex(f, "fingerprint", e->fingerprint);
	put_hex(f, "key", e->spki);
	putc('\n', f);
}

/* Copies: nobody waits for the disk. */
static struct entry *
copy_all(struct seen *s, size_t *n)
{
	struct table *const tables[] = { &s->accepted, &s->refused };
	struct entry *all;

	*n = 0;
	all = xcalloc(s->accepted.n + s->refused.n + 1, sizeof(*all));
	for (size_t k = 0; k < 2; k++) {
		qsort(tables[k]->v, tables[k]->n, sizeof(struct entry *), by_order);
		for (size_t i = 0; i < tables[k]->n; i++)
			all[(*n)++] = *tables[k]->v[i];
	}
	return all;
}

bool
seen_print(struct seen *s, FILE *f)
{
	struct entry *all;
	size_t n;

	pthread_mutex_lock(&s->lock);
	if (!s->changed) {
		pthread_mutex_unlock(&s->lock);
		return false;
	}
	s->changed = false;
	all = copy_all(s, &n);
	pthread_mutex_unlock(&s->lock);
	for (size_t i = 0; i < n; i++)
		put_entry(f, &all[i]);
	free(all);
	return true;
}

bool
seen_line_parse(struct seen_line *s, struct span line)
{
	s->n = 0;
	for (line = span_trim(line); line.n != 0; line = span_trim(line)) {
		size_t equals = span_find(line, '=');
		struct span rest = span_tail(line, equals + 1);
		bool quoted = rest.n != 0 && rest.p[0] == '"';
		size_t end;

		if (equals == line.n || s->n == SEEN_FIELDS_MAX)
			return false;
		rest = quoted ? span_tail(rest, 1) : rest;
		end = span_find(rest, quoted ? '"' : ' ');
		if (quoted && end == rest.n)
			return false;
		s->key[s->n] = span_head(line, equals);
		s->value[s->n++] = span_head(rest, end);
		line = span_tail(rest, end + 1);
	}
	return s->n != 0;
}

struct span
seen_line_get(const struct seen_line *s, const char *key)
{
	for (unsigned i = 0; i < s->n; i++)
		if (span_is(s->key[i], key))
			return s->value[i];
	return SPAN_NONE;
}

void
seen_again(struct seen *s)
{
	pthread_mutex_lock(&s->lock);
	s->changed = true;
	pthread_mutex_unlock(&s->lock);
}

static bool
write_all(int fd, struct span s)
{
	while (s.n > 0) {
		ssize_t n = write(fd, s.p, s.n);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		s = span_tail(s, (size_t)n);
	}
	return true;
}

int
seen_store(const char *path, struct span list, uid_t uid, gid_t gid)
{
	char *beside = xmalloc(strlen(path) + 5);
	int fd, err = SP_EIO, why;

	sprintf(beside, "%s.new", path);
	/* whoever may write in that directory leads us nowhere by a link */
	(void)unlink(beside);
	if ((fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640)) >= 0) {
		bool good = write_all(fd, list);

		/* a root that may not give files away keeps it */
		if (uid != (uid_t)-1 && fchown(fd, uid, gid) == -1 && errno != EPERM)
			good = false;
		if (close(fd) == 0 && good && rename(beside, path) == 0)
			err = SP_OK;
		why = errno;
		if (err != SP_OK)
			(void)unlink(beside);
		errno = why;
	}
	free(beside);
	return err;
}

int
seen_write(struct seen *s, const char *path)
{
	char *list = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&list, &n);
	int err = SP_OK, why;
	bool news;

	if (f == NULL)
		abort();		/* only when out of memory */
	news = seen_print(s, f);
	fclose(f);
	if (news && (err = seen_store(path, span_of(list, n), (uid_t)-1, (gid_t)-1)) != SP_OK) {
		why = errno;
		seen_again(s);
		errno = why;
	}
	free(list);
	return err;
}

void
seen_each(struct seen *s, void (*fn)(void *arg, const struct seen_state *), void *arg)
{
	struct entry *all;
	size_t n;

	pthread_mutex_lock(&s->lock);
	all = copy_all(s, &n);
	pthread_mutex_unlock(&s->lock);
	for (size_t i = 0; i < n; i++) {
		const struct entry *e = &all[i];
		struct seen_state out = { .fingerprint = e->fingerprint, .key = e->spki, .names = e->names,
		    .subject = e->subject, .issuer = e->issuer, .serial = e->serial, .from = e->from, .detail = e->detail,
		    .why = e->why, .usage = e->usage, .inbound = e->inbound, .first = e->first, .last = e->last,
		    .not_after = e->not_after, .times = e->times };

		fn(arg, &out);
	}
	free(all);
}
