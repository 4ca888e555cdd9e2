/*
 * admin/http/ring.c - see ring.h.
 */
#include "admin/http/ring.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/hash.h"
#include "common/mem.h"

struct head {
	char		magic[8];
	uint32_t	minutes, size;	/* of a slot */
	uint64_t	reasons;	/* hash of their names: another release may number them otherwise */
	uint64_t	check;
};

struct slot {
	struct ring_sample	sample;
	uint64_t		check;
};

struct ring {
	int		 fd;	/* -1: memory only */
	struct slot	*v;
};

_Static_assert(POLICY_NREASONS <= RING_REASONS, "the samples have no room for all reasons");

static uint64_t
check_of(const void *p, size_t n)
{
	return hash_stable(span_of(p, n));
}

static void
make_head(struct head *h)
{
	uint64_t names = 0;

	memset(h, 0, sizeof(*h));
	memcpy(h->magic, "SPring1\n", sizeof(h->magic));
	h->minutes = RING_MINUTES;
	h->size = sizeof(struct slot);
	for (int i = 0; i < POLICY_NREASONS; i++)
		names = names * 31 + hash_stable(span_str(policy_reason_name((enum policy_reason)i)));
	h->reasons = names;
	h->check = check_of(h, offsetof(struct head, check));
}

static bool
is_good(const struct slot *s, size_t i)
{
	static const struct slot empty;

	if (s->sample.minute == 0)
		return memcmp(s, &empty, sizeof(empty)) == 0;
	return s->sample.minute % RING_MINUTES == i && s->check == check_of(&s->sample, sizeof(s->sample));
}

/* All of n bytes at that place of the file. */
static bool
read_at(int fd, void *p, size_t n, off_t at)
{
	char *to = p;

	while (n > 0) {
		ssize_t got = pread(fd, to, n, at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		to += got;
		n -= (size_t)got;
		at += got;
	}
	return true;
}

static bool
write_at(int fd, const void *p, size_t n, off_t at)
{
	const char *from = p;

	while (n > 0) {
		ssize_t done = pwrite(fd, from, n, at);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		from += done;
		n -= (size_t)done;
		at += done;
	}
	return true;
}

/* Is the file one of ours, and what does it say? Single bad samples are dropped. */
static bool
load(struct ring *r, const char **news)
{
	struct head want, have;
	struct stat st;
	size_t size = RING_MINUTES * sizeof(struct slot);
	unsigned bad = 0;

	make_head(&want);
	if (fstat(r->fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size != (off_t)(sizeof(want) + size) ||
	    !read_at(r->fd, &have, sizeof(have), 0) || memcmp(&have, &want, sizeof(want)) != 0 ||
	    !read_at(r->fd, r->v, size, sizeof(want)))
		return false;
	for (size_t i = 0; i < RING_MINUTES; i++)
		if (!is_good(&r->v[i], i)) {
			memset(&r->v[i], 0, sizeof(r->v[i]));
			bad++;
		}
	if (bad > RING_BAD_MAX)
		return false;
	if (bad != 0)
		*news = "has a few damaged samples, which are left out";
	return true;
}

/* A new file beside it takes the place of whatever is there, which is kept as "….bad". */
static bool
begin_anew(struct ring *r, const char *path, bool keep)
{
	size_t n = strlen(path) + 5;
	char *other = xmalloc(n);
	struct head h;
	bool good;

	if (r->fd >= 0)
		close(r->fd);
	memset(r->v, 0, RING_MINUTES * sizeof(*r->v));
	make_head(&h);
	snprintf(other, n, "%s.bad", path);
	if (keep)
		rename(path, other);
	snprintf(other, n, "%s.new", path);
	unlink(other);
	good = (r->fd = open(other, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640)) >= 0 &&
	    write_at(r->fd, &h, sizeof(h), 0) && write_at(r->fd, r->v, RING_MINUTES * sizeof(*r->v), sizeof(h)) &&
	    rename(other, path) == 0;
	if (!good && r->fd >= 0) {
		close(r->fd);
		r->fd = -1;
		unlink(other);
	}
	free(other);
	return good;
}

struct ring *
ring_open(const char *path, const char **news)
{
	struct ring *r = xcalloc(1, sizeof(*r));
	bool missing;

	*news = NULL;
	r->fd = -1;
	r->v = xcalloc(RING_MINUTES, sizeof(*r->v));
	if (path == NULL)
		return r;
	r->fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK);
	missing = r->fd < 0 && errno == ENOENT;
	if (r->fd >= 0 && load(r, news))
		return r;
	if (!begin_anew(r, path, !missing))
		*news = "cannot be written, so the charts begin anew with every start";
	else if (!missing)
		*news = "is damaged or of another release and was begun anew";
	return r;
}

void
ring_close(struct ring *r)
{
	if (r == NULL)
		return;
	if (r->fd >= 0)
		close(r->fd);
	free(r->v);
	free(r);
}

bool
ring_put(struct ring *r, const struct ring_sample *sample)
{
	size_t i = sample->minute % RING_MINUTES;
	struct slot *s = &r->v[i];

	s->sample = *sample;
	s->check = check_of(&s->sample, sizeof(s->sample));
	return r->fd < 0 || write_at(r->fd, s, sizeof(*s), (off_t)(sizeof(struct head) + i * sizeof(*s)));
}

const struct ring_sample *
ring_get(const struct ring *r, uint64_t minute)
{
	const struct slot *s = &r->v[minute % RING_MINUTES];

	return minute != 0 && s->sample.minute == minute ? &s->sample : NULL;
}
