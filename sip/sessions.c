/*
 * sip/sessions.c - see sessions.h.
 */
#include "sip/sessions.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "net/stats.h"
#include "sip/tap.h"

#define SHOWN	160	/* bytes of an outside value */

#define STAMP	sizeof("2026-11-20T11:41:12.")	/* a line's time but for its milliseconds, with a NUL */

struct sip_session_pen {
	struct sip_sessions *of;
	pthread_mutex_t	 lock;		/* held for a copy's time, by two threads at most */
	char		*lines;
	size_t		 n;
	bool		 full;		/* a line was lost since the last time */
	uint64_t	 second;	/* the worker's: what stamp says */
	char		 stamp[STAMP];
};

struct sip_sessions {
	int			(*source)(void *arg, bool anew);	/* NULL: path is opened */
	void			*source_arg;
	unsigned		 nworkers;
	struct sip_session_pen	*pen;
	char			*path;
	char			*taken;		/* what is being written */
	int			 fd;
	uint64_t		 size, max;
	bool			 ailing;	/* it was said that lines are lost */
	void			(*hurry)(void *arg);	/* NULL: nobody can be woken */
	void			*hurry_arg;
};

/* ---- the worker's side ---- */

/* The calendar is asked once a second. */
static void
put_time(struct sip_session_pen *p, struct strbuf *sb)
{
	uint64_t ms = clock_wall_ms();
	time_t t = (time_t)(ms / 1000);
	char digits[3] = { (char)('0' + ms / 100 % 10), (char)('0' + ms / 10 % 10), (char)('0' + ms % 10) };
	struct tm tm;

	if (p->second != ms / 1000 || p->stamp[0] == '\0') {
		if (gmtime_r(&t, &tm) == NULL || strftime(p->stamp, sizeof(p->stamp), "%Y-%m-%dT%H:%M:%S.", &tm) == 0)
			return;
		p->second = ms / 1000;
	}
	strbuf_add(sb, p->stamp, STAMP - 1);
	strbuf_add(sb, digits, sizeof(digits));
	strbuf_putc(sb, 'Z');
}

static void
put_header(struct strbuf *sb, const char *key, struct span value)
{
	strbuf_puts(sb, key);
	strbuf_quoted(sb, value, SHOWN);
}

static void
put_address(struct strbuf *sb, const char *key, struct span value)
{
	char shown[SIP_ADDRESS_SHOWN];

	put_header(sb, key, sip_tap_mask_address(value, shown));
}

static size_t
format(struct sip_session_pen *p, char line[SESSIONS_LINE], const struct sip_session *s)
{
	char peer[NET_ADDR_TEXT];
	struct strbuf sb;

	strbuf_init(&sb, line, SESSIONS_LINE - 1);
	put_time(p, &sb);
	/* no printf: this is done for each request */
	strbuf_puts(&sb, " door=");
	strbuf_puts(&sb, policy_side_name(s->side));
	strbuf_puts(&sb, " class=");
	strbuf_puts(&sb, stats_class_name(s->class));
	strbuf_puts(&sb, " peer=");
	strbuf_puts(&sb, s->peer != NULL ? net_addr_format(s->peer, peer) : "gone");
	strbuf_puts(&sb, " method=");
	strbuf_puts(&sb, policy_method_name(s->method));
	strbuf_puts(&sb, " status=");
	strbuf_uint(&sb, s->status);
	strbuf_puts(&sb, " reason=");
	strbuf_puts(&sb, policy_reason_name(s->reason));
	strbuf_puts(&sb, " ms=");
	strbuf_uint(&sb, s->ms);
	if (s->m != NULL) {
		/* what was not parsed is shown as it stands */
		put_address(&sb, " from=", s->m->parsed ? s->m->from.uri_text : sip_message_value(s->m, SIP_H_FROM));
		put_address(&sb, " to=", s->m->parsed ? s->m->to.uri_text : sip_message_value(s->m, SIP_H_TO));
		put_header(&sb, " call-id=", s->m->parsed ? s->m->call_id : sip_message_value(s->m, SIP_H_CALL_ID));
	}
	/* cut, if need be, behind what is whole; nothing but printable ASCII is in it */
	line[sb.len] = '\n';
	return sb.len + 1;
}

void
sip_session_write(struct sip_session_pen *p, const struct sip_session *s)
{
	char line[SESSIONS_LINE];
	size_t n = format(p, line, s);
	bool fits, much = false;

	pthread_mutex_lock(&p->lock);
	if ((fits = p->n + n <= SESSIONS_BUFFER)) {
		memcpy(p->lines + p->n, line, n);
		much = p->n < SESSIONS_MUCH && p->n + n >= SESSIONS_MUCH;
		p->n += n;
	} else {
		p->full = true;
	}
	pthread_mutex_unlock(&p->lock);
	if (!fits)
		stats_count(SESSION_LINES, STATS_FAILED, 0);
	if (much && p->of->hurry != NULL)
		p->of->hurry(p->of->hurry_arg);
}

void
sip_sessions_hurry(struct sip_sessions *s, void (*hurry)(void *arg), void *arg)
{
	if (s == NULL)
		return;
	s->hurry_arg = arg;
	s->hurry = hurry;
}

/* ---- the file ---- */

static uint64_t
lines_in(const char *p, size_t n)
{
	const char *end = p + n;
	uint64_t lines = 0;

	while (p < end && (p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		lines++;
		p++;
	}
	return lines;
}

/* Said once, until it goes well again. */
static void
ail(struct sip_sessions *s, const char *why)
{
	if (!s->ailing)
		log_say(SP_LOG_ERROR, "session-log", "%s: %s; lines are lost, and counted in sallyport_session_lines_total",
		    s->path != NULL ? s->path : "the session log", why);
	s->ailing = true;
}

static void
recover(struct sip_sessions *s)
{
	if (s->ailing)
		log_say(SP_LOG_NOTICE, "session-log", "%s is written again", s->path != NULL ? s->path : "the session log");
	s->ailing = false;
}

int
sip_sessions_open(struct sip_sessions *s, const char *path)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);

	if (fd == -1)
		return SP_EIO;
	if (s->path != path) {
		free(s->path);
		s->path = xstrdup(path);
	}
	sip_sessions_take(s, fd);
	return SP_OK;
}

void
sip_sessions_take(struct sip_sessions *s, int fd)
{
	struct stat st;

	if (s->fd != -1)
		close(s->fd);
	s->fd = fd;
	s->size = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
}

void
sip_sessions_source(struct sip_sessions *s, int (*source)(void *arg, bool anew), void *arg)
{
	s->source = source;
	s->source_arg = arg;
}

/* The source's next file. */
static int
draw(struct sip_sessions *s, bool anew)
{
	int fd = s->source(s->source_arg, anew);

	if (fd == -1)
		return SP_EIO;
	sip_sessions_take(s, fd);
	return SP_OK;
}

int
sip_sessions_reopen(struct sip_sessions *s)
{
	if (s != NULL && s->source != NULL)
		return draw(s, false);
	return s != NULL && s->path != NULL ? sip_sessions_open(s, s->path) : SP_OK;
}

/* The file has come to its bound: away with it, and on with a new one. */
static void
rotate(struct sip_sessions *s)
{
	char old[4096];

	if (s->source != NULL) {
		if (draw(s, true) != SP_OK)
			ail(s, "is as long as it may be and cannot be begun anew");
		return;
	}
	if (s->path == NULL || (size_t)snprintf(old, sizeof(old), "%s.1", s->path) >= sizeof(old) ||
	    rename(s->path, old) == -1 || sip_sessions_reopen(s) != SP_OK)
		ail(s, "is as long as it may be and cannot be begun anew");
}

/* Whole lines only: what was written of a line that did not fit is taken back. */
static void
write_out(struct sip_sessions *s, const char *p, size_t n)
{
	ssize_t done = 0;
	size_t whole;

	if (s->max != 0 && s->size != 0 && s->size + n > s->max)
		rotate(s);
	if (s->fd == -1 || (s->max != 0 && s->size != 0 && s->size + n > s->max)) {
		stats_plus(SESSION_LINES, STATS_FAILED, 0, lines_in(p, n));
		return;
	}
	do
		done = write(s->fd, p, n);
	while (done == -1 && errno == EINTR);
	if (done == (ssize_t)n) {
		s->size += n;
		stats_plus(SESSION_LINES, STATS_OK, 0, lines_in(p, n));
		recover(s);
		return;
	}
	ail(s, done == -1 ? strerror(errno) : "no room left");
	for (whole = done > 0 ? (size_t)done : 0; whole > 0 && p[whole - 1] != '\n'; whole--)
		;
	if (done > 0 && whole < (size_t)done && ftruncate(s->fd, (off_t)(s->size + whole)) == -1)
		whole = (size_t)done;
	s->size += whole;
	stats_plus(SESSION_LINES, STATS_OK, 0, lines_in(p, whole));
	stats_plus(SESSION_LINES, STATS_FAILED, 0, lines_in(p + whole, n - whole));
}

void
sip_sessions_flush(struct sip_sessions *s)
{
	for (unsigned i = 0; s != NULL && i < s->nworkers; i++) {
		struct sip_session_pen *p = &s->pen[i];
		char *lines = p->lines;
		bool full;
		size_t n;

		/* the worker goes on with the other buffer */
		pthread_mutex_lock(&p->lock);
		n = p->n;
		full = p->full;
		p->n = 0;
		p->full = false;
		if (n != 0) {
			p->lines = s->taken;
			s->taken = lines;
		}
		pthread_mutex_unlock(&p->lock);
		if (n != 0)
			write_out(s, s->taken, n);
		if (full)
			ail(s, "more lines than can be written in time");
	}
}

/* ---- life ---- */

struct sip_sessions *
sip_sessions_new(unsigned nworkers, uint64_t max)
{
	struct sip_sessions *s = xcalloc(1, sizeof(*s));

	s->nworkers = nworkers;
	s->max = max;
	s->fd = -1;
	s->taken = xmalloc(SESSIONS_BUFFER);
	s->pen = xcalloc(nworkers, sizeof(*s->pen));
	for (unsigned i = 0; i < nworkers; i++) {
		s->pen[i].of = s;
		pthread_mutex_init(&s->pen[i].lock, NULL);
		s->pen[i].lines = xmalloc(SESSIONS_BUFFER);
	}
	return s;
}

int
sip_sessions_start(struct sip_sessions **s, const char *path, unsigned mib, unsigned nworkers)
{
	*s = NULL;
	if (path == NULL || path[0] == '\0')
		return SP_OK;
	*s = sip_sessions_new(nworkers, (uint64_t)mib << 20);
	return sip_sessions_open(*s, path);
}

void
sip_sessions_free(struct sip_sessions *s)
{
	if (s == NULL)
		return;
	sip_sessions_flush(s);
	for (unsigned i = 0; i < s->nworkers; i++) {
		pthread_mutex_destroy(&s->pen[i].lock);
		free(s->pen[i].lines);
	}
	if (s->fd != -1)
		close(s->fd);
	free(s->pen);
	free(s->taken);
	free(s->path);
	free(s);
}

struct sip_session_pen *
sip_sessions_pen(struct sip_sessions *s, unsigned worker)
{
	return s != NULL && worker < s->nworkers ? &s->pen[worker] : NULL;
}
