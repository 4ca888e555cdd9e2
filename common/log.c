/*
 * common/log.c - one record per event.
 *
 * A record is put together on the caller's stack and leaves in one write(2),
 * so records of several threads never mix and no lock is held.
 */
#include "common/log.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/journal.h"
#include "common/mem.h"

#define TAIL	4	/* room for "...\n" after the longest record */

/*
 * Until a file is opened this is standard error. From then on it is one
 * descriptor of our own for ever, and dup3() puts another file behind it: a
 * thread that is about to write never meets a closed or foreign descriptor.
 */
static atomic_int target = STDERR_FILENO;
static atomic_int shown = SP_LOG_NOTICE;
static _Atomic uint64_t lost;
/* Lines of which the disk took a part only, and how many of them were ended since. Shared with those who are forked. */
static struct tears {
	_Atomic uint64_t all, ended;
} tears_here, *tears = &tears_here;
static atomic_int journal = -1;	/* a socket; then target is not written to */

static char name[32] = "sallyport";
static char *file;	/* of the last log_open(); NULL: standard error */

static const struct {
	const char	*name;
	enum log_level	 level;
} levels[] = {
	{ "error", SP_LOG_ERROR },
	{ "warning", SP_LOG_WARNING },
	{ "notice", SP_LOG_NOTICE },
	{ "info", SP_LOG_INFO },
	{ "debug", SP_LOG_DEBUG },
};
#define NLEVELS	(sizeof(levels) / sizeof(levels[0]))

/* The newest records of one event. The only lock of this file; it is held for a copy. */
static struct {
	const char	*event;
	pthread_mutex_t	 lock;
	uint64_t	 number;	/* of the newest */
	unsigned	 max;
	struct {
		size_t	 n;
		char	 line[LOG_LINE_MAX];
	}		*v;
} kept = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* From here on records go to fd, which is ours to close. */
static int
aim_at(int fd)
{
	int was = atomic_load(&target);
	int saved;

	if (was == STDERR_FILENO) {
		atomic_store(&target, fd);
		return SP_OK;
	}
	if (dup3(fd, was, O_CLOEXEC) == -1) {
		saved = errno;
		close(fd);
		errno = saved;
		return SP_EIO;
	}
	close(fd);
	return SP_OK;
}

/*
 * Where standard error is a pipe: the same pipe, opened once more, so that whoever else writes there is not concerned. Nobody
 * waits for its reader: a line that has no room is lost, and counted. -1: it is none.
 */
static int
open_pipe(void)
{
	struct stat st;

	if (fstat(STDERR_FILENO, &st) == -1 || !S_ISFIFO(st.st_mode))
		return -1;
	return open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
}

static int
open_file(const char *path)
{
	int fd = path == NULL ? open_pipe() : -1;

	if (path == NULL && fd == -1 && atomic_load(&target) == STDERR_FILENO)
		return SP_OK;
	if (fd == -1)
		fd = path != NULL ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640) :
		    fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	/* With standard error closed, open() may have taken its number. */
	if (fd != -1 && fd <= STDERR_FILENO) {
		int high = fcntl(fd, F_DUPFD_CLOEXEC, 3);

		close(fd);
		fd = high;
	}
	return fd != -1 ? aim_at(fd) : SP_EIO;
}

int
log_open(const char *program, const char *path, enum log_level level)
{
	char *copy;

	if (open_file(path) != SP_OK)
		return SP_EIO;
	copy = path != NULL ? xstrdup(path) : NULL;
	free(file);
	file = copy;
	if (tears == &tears_here) {
		void *shared = mmap(NULL, sizeof(*tears), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

		if (shared != MAP_FAILED)
			tears = shared;
	}
	snprintf(name, sizeof(name), "%s", program);
	atomic_store(&shown, level);
	return SP_OK;
}

int
log_use_journal(const char *how)
{
	int fd;

	if (strcmp(how, "off") == 0 || (strcmp(how, "auto") == 0 && !journal_is_stderr()))
		return SP_OK;
	if ((fd = journal_connect(strcmp(how, "auto") == 0 ? JOURNAL_SOCKET : how)) == -1)
		return SP_EIO;
	atomic_store(&journal, fd);
	return SP_OK;
}

int
log_reopen(void)
{
	return file != NULL ? open_file(file) : SP_OK;
}

uint64_t
log_lost(void)
{
	return atomic_load_explicit(&lost, memory_order_relaxed);
}

int
log_take(int fd)
{
	return aim_at(fd);
}

int
log_descriptor(void)
{
	return atomic_load(&target);
}

int
log_journal_descriptor(void)
{
	return atomic_load(&journal);
}

void
log_set_level(enum log_level level)
{
	atomic_store(&shown, level);
}

bool
log_shows(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&shown, memory_order_relaxed);
}

bool
log_level_parse(const char *s, enum log_level *level)
{
	for (size_t i = 0; i < NLEVELS; i++)
		if (strcmp(s, levels[i].name) == 0) {
			*level = levels[i].level;
			return true;
		}
	return false;
}

static const char *
level_name(enum log_level level)
{
	for (size_t i = 0; i < NLEVELS; i++)
		if (levels[i].level == level)
			return levels[i].name;
	return "unknown";
}

static void
put_time(struct strbuf *sb)
{
	uint64_t ms = clock_wall_ms();
	time_t t = (time_t)(ms / 1000);
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL)
		return;
	strbuf_printf(sb, "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
	    tm.tm_hour, tm.tm_min, tm.tm_sec, (unsigned)(ms % 1000));
}

/* The record was perhaps copied since the last call: its text moved with it. */
static struct strbuf *
text_of(struct logrec *r)
{
	r->sb.p = r->line;
	return &r->sb;
}

static struct strbuf *
put_key(struct logrec *r, const char *key)
{
	struct strbuf *sb = text_of(r);

	strbuf_putc(sb, ' ');
	strbuf_puts(sb, key);
	strbuf_putc(sb, '=');
	return sb;
}

struct logrec
log_begin(enum log_level level, const char *event)
{
	struct logrec r;

	strbuf_init(&r.sb, r.line, sizeof(r.line) - TAIL);
	r.level = level;
	r.kept = kept.event != NULL && strcmp(event, kept.event) == 0;
	r.shown = log_shows(level);
	r.on = r.shown || r.kept;
	r.text = 0;
	if (r.on) {
		put_time(&r.sb);
		strbuf_puts(&r.sb, name);
		strbuf_putc(&r.sb, ' ');
		strbuf_puts(&r.sb, level_name(level));
		r.text = r.sb.len + 1;
		strbuf_puts(&r.sb, " event=");
		strbuf_puts(&r.sb, event);
	}
	return r;
}

void
log_word(struct logrec *r, const char *key, const char *word)
{
	if (r->on)
		strbuf_puts(put_key(r, key), word != NULL ? word : "-");
}

void
log_text(struct logrec *r, const char *key, const char *text)
{
	/* Ours, but what it was made of may not be: the same quotes, only no cut. */
	if (r->on)
		strbuf_quoted(put_key(r, key), span_str(text), LOG_LINE_MAX);
}

void
log_uint(struct logrec *r, const char *key, uint64_t v)
{
	if (r->on)
		strbuf_uint(put_key(r, key), v);
}

void
log_int(struct logrec *r, const char *key, int64_t v)
{
	struct strbuf *sb;

	if (!r->on)
		return;
	sb = put_key(r, key);
	if (v < 0)
		strbuf_putc(sb, '-');
	strbuf_uint(sb, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void
log_hex(struct logrec *r, const char *key, uint64_t v)
{
	if (r->on)
		strbuf_printf(put_key(r, key), "%016llx", (unsigned long long)v);
}

void
log_outside(struct logrec *r, const char *key, struct span value)
{
	if (r->on)
		strbuf_quoted(put_key(r, key), value, LOG_OUTSIDE_MAX);
}

void
log_keep(const char *event, unsigned lines)
{
	kept.v = xcalloc(lines, sizeof(*kept.v));
	kept.max = lines;
	kept.event = event;
}

static void
keep(struct span line)
{
	size_t i;

	pthread_mutex_lock(&kept.lock);
	i = (size_t)(kept.number++ % kept.max);
	kept.v[i].n = line.n;
	memcpy(kept.v[i].line, line.p, line.n);
	pthread_mutex_unlock(&kept.lock);
}

uint64_t
log_kept(uint64_t after, void (*each)(void *arg, uint64_t number, struct span line), void *arg)
{
	uint64_t newest;

	pthread_mutex_lock(&kept.lock);
	newest = kept.number;
	if (newest > kept.max && after < newest - kept.max)
		after = newest - kept.max;
	for (; after < newest; after++)
		each(arg, after + 1, span_of(kept.v[after % kept.max].line, kept.v[after % kept.max].n));
	pthread_mutex_unlock(&kept.lock);
	return newest;
}

/*
 * Of a line before, the disk may have taken a part only: nothing is written until that has its end. Whoever
 * else finds it so meanwhile ends it, too, and leaves an empty line.
 */
static bool
mended(void)
{
	uint64_t all = atomic_load(&tears->all);

	if (all != atomic_load(&tears->ended)) {
		if (write(atomic_load(&target), "\n", 1) != 1)
			return false;
		/* not of what was torn meanwhile */
		atomic_store(&tears->ended, all);
	}
	return true;
}

void
log_end(struct logrec *r)
{
	struct strbuf *sb = text_of(r);
	ssize_t n;
	int fd;

	if (!r->on)
		return;
	r->on = false;
	if (sb->failed) {
		memcpy(sb->p + sb->len, "...", 3);
		sb->len += 3;
	}
	if (r->kept)
		keep(strbuf_span_of(sb));
	if (!r->shown)
		return;
	if ((fd = atomic_load_explicit(&journal, memory_order_relaxed)) != -1) {
		if (!journal_send(fd, (int)r->level, name, span_of(sb->p + r->text, sb->len - r->text)))
			atomic_fetch_add_explicit(&lost, 1, memory_order_relaxed);
		return;
	}
	sb->p[sb->len++] = '\n';
	/* A log that can't be written has nobody to complain to, but is counted. */
	if (!mended()) {
		atomic_fetch_add_explicit(&lost, 1, memory_order_relaxed);
		return;
	}
	do
		n = write(atomic_load(&target), sb->p, sb->len);
	while (n == -1 && errno == EINTR);
	if (n != (ssize_t)sb->len)
		atomic_fetch_add_explicit(&lost, 1, memory_order_relaxed);
	if (n > 0 && n != (ssize_t)sb->len)
		atomic_fetch_add(&tears->all, 1);
}

void
log_say(enum log_level level, const char *event, const char *fmt, ...)
{
	int saved = errno;
	struct logrec r = log_begin(level, event);
	char text[LOG_LINE_MAX];
	va_list ap;

	if (!r.on)
		return;
	errno = saved;	/* for %m */
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_text(&r, "text", text);
	log_end(&r);
	errno = saved;
}
