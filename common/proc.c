/*
 * common/proc.c - privileges, and typed frames between our own processes.
 */
#include "common/proc.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/err.h"

static uint64_t
get_le(const unsigned char *p, size_t n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | p[n];
	return v;
}

static void
put_le(unsigned char *p, uint64_t v, size_t n)
{
	for (size_t i = 0; i < n; i++, v >>= 8)
		p[i] = (unsigned char)v;
}

ssize_t
frame_parse(const unsigned char *buf, size_t n, struct frame *f)
{
	size_t len;

	if (n < 6)
		return 0;
	/* As soon as it can be seen, so that nobody waits for 4 GiB. */
	len = (size_t)get_le(buf + 2, 4);
	if (len > FRAME_MAX)
		return SP_ESYNTAX;
	if (n < FRAME_HEAD + len)
		return 0;
	f->type = (uint16_t)get_le(buf, 2);
	f->tag = get_le(buf + 6, 8);
	f->len = len;
	f->body = buf + FRAME_HEAD;
	return (ssize_t)(FRAME_HEAD + len);
}

size_t
frame_format(const struct frame *f, unsigned char *out)
{
	put_le(out, f->type, 2);
	put_le(out + 2, f->len, 4);
	put_le(out + 6, f->tag, 8);
	/* The body may have been written in its place already. */
	if (f->len != 0 && f->body != out + FRAME_HEAD)
		memmove(out + FRAME_HEAD, f->body, f->len);
	return FRAME_HEAD + f->len;
}

int
frame_wait(int fd, unsigned char *buf, size_t size, struct frame *f)
{
	ssize_t n;

	while ((n = recv(fd, buf, size, 0)) < 0 && errno == EINTR)
		;
	if (n <= 0)
		return SP_ECLOSED;
	return frame_parse(buf, (size_t)n, f) == n ? SP_OK : SP_ESYNTAX;
}

void
frame_reader_init(struct frame_reader *r, const struct frame *f)
{
	r->p = f->body;
	r->n = f->len;
	r->failed = 0;
}

/* The next n bytes, or NULL when there are fewer. */
static const unsigned char *
take(struct frame_reader *r, size_t n)
{
	const unsigned char *p = r->p;

	if (r->failed || n > r->n) {
		r->failed = 1;
		return NULL;
	}
	r->p += n;
	r->n -= n;
	return p;
}

static uint64_t
take_le(struct frame_reader *r, size_t n)
{
	const unsigned char *p = take(r, n);

	return p != NULL ? get_le(p, n) : 0;
}

uint8_t
frame_u8(struct frame_reader *r)
{
	return (uint8_t)take_le(r, 1);
}

uint32_t
frame_u32(struct frame_reader *r)
{
	return (uint32_t)take_le(r, 4);
}

uint64_t
frame_u64(struct frame_reader *r)
{
	return take_le(r, 8);
}

const char *
frame_text(struct frame_reader *r, size_t *n)
{
	size_t len = (size_t)take_le(r, 2);
	const unsigned char *p = take(r, len);

	*n = p != NULL ? len : 0;
	return p != NULL ? (const char *)p : "";
}

struct span
frame_span(struct frame_reader *r)
{
	size_t n;
	const char *p = frame_text(r, &n);

	return span_of(p, n);
}

int
frame_done(const struct frame_reader *r)
{
	return !r->failed && r->n == 0;
}

void
frame_writer_init(struct frame_writer *w, unsigned char *storage, size_t size)
{
	w->p = storage;
	w->len = 0;
	w->max = size;
	w->failed = 0;
}

/* Where the next n bytes go, or NULL when there is no room. */
static unsigned char *
reserve(struct frame_writer *w, size_t n)
{
	unsigned char *p = w->p + w->len;

	if (w->failed || n > w->max - w->len) {
		w->failed = 1;
		return NULL;
	}
	w->len += n;
	return p;
}

static void
append_le(struct frame_writer *w, uint64_t v, size_t n)
{
	unsigned char *p = reserve(w, n);

	if (p != NULL)
		put_le(p, v, n);
}

void
frame_put_u8(struct frame_writer *w, uint8_t v)
{
	append_le(w, v, 1);
}

void
frame_put_u32(struct frame_writer *w, uint32_t v)
{
	append_le(w, v, 4);
}

void
frame_put_u64(struct frame_writer *w, uint64_t v)
{
	append_le(w, v, 8);
}

void
frame_put_text(struct frame_writer *w, const char *s, size_t n)
{
	unsigned char *p;

	if (n > UINT16_MAX || (p = reserve(w, 2 + n)) == NULL) {
		w->failed = 1;
		return;
	}
	put_le(p, n, 2);
	if (n != 0)
		memcpy(p + 2, s, n);
}

void
frame_put_span(struct frame_writer *w, struct span s)
{
	frame_put_text(w, s.p, s.n);
}

/* Is this process uid and gid in every respect, without a way back? */
static int
dropped(uid_t uid, gid_t gid)
{
	uid_t r, e, s;
	gid_t rg, eg, sg;

	if (getresuid(&r, &e, &s) != 0 || getresgid(&rg, &eg, &sg) != 0)
		return 0;
	if (r != uid || e != uid || s != uid || rg != gid || eg != gid || sg != gid)
		return 0;
	return uid == 0 || (setuid(0) != 0 && seteuid(0) != 0);
}

bool
proc_knows_user(const char *user)
{
	return getpwnam(user) != NULL;
}

int
proc_drop_to(const char *user)
{
	const struct passwd *pw;

	if (user == NULL || user[0] == '\0')
		return geteuid() != 0 ? SP_OK : SP_EINVAL;
	errno = 0;
	if ((pw = getpwnam(user)) == NULL)
		return errno == 0 || errno == ENOENT ? SP_ENOENT : SP_EIO;
	if (geteuid() != 0 && geteuid() == pw->pw_uid)
		return SP_OK;	/* started as this user already */
	if (initgroups(user, pw->pw_gid) != 0 || setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) != 0 ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) != 0)
		return SP_EIO;
	if (!dropped(pw->pw_uid, pw->pw_gid)) {
		errno = EPERM;
		return SP_EIO;
	}
	return SP_OK;
}

void
proc_harden(void)
{
	const struct rlimit none = { 0, 0 };
	/* The leak checker of a sanitizer build looks into the process from a thread that is a debugger to it. */
#if defined(__SANITIZE_ADDRESS__)
	const unsigned long dumpable = 1;
#else
	const unsigned long dumpable = 0;
#endif

	(void)prctl(PR_SET_NO_NEW_PRIVS, 1UL, 0UL, 0UL, 0UL);
	(void)prctl(PR_SET_DUMPABLE, dumpable, 0UL, 0UL, 0UL);
	(void)setrlimit(RLIMIT_CORE, &none);
}

void
proc_close_all_but(const int *keep, size_t n)
{
	unsigned from = STDERR_FILENO + 1;

	for (;;) {
		unsigned next = ~0U;

		/* the lowest of those to keep that is not behind us */
		for (size_t i = 0; i < n; i++)
			if (keep[i] >= (int)from && (unsigned)keep[i] < next)
				next = (unsigned)keep[i];
		if (next > from)
			(void)close_range(from, next - 1, 0);
		if (next == ~0U)
			return;
		from = next + 1;
	}
}

size_t
proc_want_files(size_t want)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) != 0)
		return 0;
	if (rl.rlim_cur < want) {
		rlim_t was = rl.rlim_cur;

		rl.rlim_cur = want < rl.rlim_max ? want : rl.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &rl) != 0)
			rl.rlim_cur = was;
	}
	return (size_t)rl.rlim_cur;
}
