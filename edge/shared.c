/*
 * edge/shared.c - the master's end of the process that speaks with Redis; see shared.h.
 */
#include "edge/shared.h"

#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "admin/policystore.h"
#include "common/chan.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"

#define PAUSE_MS	5000	/* between two starts of the process */
#define FRAMES_MAX	64	/* heard at once */

struct shared {
	struct shared_setup	 setup;
	char			*text[9];	/* what setup points to */
	int			 channel;	/* -1: the process is not there */
	pid_t			 pid;
	uint64_t		 started_at;
	uint64_t		 tag;
	struct shared_status	 status;
	struct shared_news	 news;		/* until somebody asks */
	enum shared_verdict	 verdict;
	struct policy_change	 instead;
	uint64_t		 answered;	/* the tag that these belong to */
};

const char *
shared_state_name(enum shared_state s)
{
	static const char *const names[] = { "off", "starting", "shared", "alone" };

	return s <= SHARED_ALONE ? names[s] : names[0];
}

/* ---- the process ---- */

static void
set_state(struct shared *s, enum shared_state state, enum stats_shared reason, uint64_t version, struct span detail)
{
	struct shared_status *st = &s->status;
	bool changed = st->state != state || st->reason != reason;

	st->version = version;
	snprintf(st->detail, sizeof(st->detail), "%.*s", SPAN_FMT(detail));
	if (!changed)
		return;
	st->state = state;
	st->reason = reason;
	st->since = clock_wall();
	if (state == SHARED_UP || state == SHARED_ALONE) {
		struct logrec r = log_begin(state == SHARED_UP ? SP_LOG_NOTICE : SP_LOG_ERROR, "shared-state");

		log_word(&r, "state", shared_state_name(state));
		if (state == SHARED_ALONE) {
			log_word(&r, "reason", stats_shared_name(reason));
			log_outside(&r, "detail", detail);
		}
		log_end(&r);
	}
}

static void
start(struct shared *s)
{
	int ends[2];

	s->started_at = clock_ms();
	if (chan_pair(ends) != SP_OK)
		return;
	if ((s->pid = fork()) == 0) {
		int keep[3] = { ends[1], log_descriptor(), log_journal_descriptor() };

		proc_close_all_but(keep, 3);
		shared_process(ends[1], &s->setup);
	}
	close(ends[1]);
	if (s->pid == -1) {
		close(ends[0]);
		return;
	}
	s->channel = ends[0];
	chan_patience(s->channel, 100);
}

static void
gone(struct shared *s)
{
	close(s->channel);
	s->channel = -1;
	if (s->status.state != SHARED_ALONE)
		set_state(s, SHARED_ALONE, STATS_SHARED_PROCESS, 0, SPAN_LIT("the process that asks Redis has ended"));
}

struct shared *
shared_new(const struct shared_setup *setup)
{
	struct shared *s = xcalloc(1, sizeof(*s));
	const char **field[] = { &s->setup.name, &s->setup.trust, &s->setup.certificate, &s->setup.key, &s->setup.user,
	    &s->setup.password, &s->setup.prefix, &s->setup.node, &s->setup.run_as };

	s->setup = *setup;
	for (size_t i = 0; i < sizeof(field) / sizeof(field[0]); i++)
		if (*field[i] != NULL)
			*field[i] = s->text[i] = xstrdup(*field[i]);
	s->channel = -1;
	s->status = (struct shared_status){ .state = SHARED_STARTING, .since = clock_wall() };
	start(s);
	return s;
}

static void
drop_news(struct shared *s)
{
	free(s->news.policy.text);
	free(s->news.others);
	memset(&s->news, 0, sizeof(s->news));
}

void
shared_free(struct shared *s)
{
	if (s == NULL)
		return;
	if (s->channel != -1)
		close(s->channel);
	drop_news(s);
	for (size_t i = 0; i < sizeof(s->text) / sizeof(s->text[0]); i++)
		if (s->text[i] != NULL)
			mem_wipe_free(s->text[i], strlen(s->text[i]));
	free(s);
}

struct shared_status
shared_status(const struct shared *s)
{
	return s->status;
}

/* ---- what comes ---- */

static bool
take_status(struct shared *s, struct frame_reader *r)
{
	unsigned state = frame_u8(r), reason = frame_u8(r);
	uint64_t version = frame_u64(r);
	struct span detail = frame_span(r);

	if (!frame_done(r) || state > SHARED_ALONE || reason >= STATS_NSHARED || version > SHARED_VERSION_MAX)
		return false;
	set_state(s, (enum shared_state)state, (enum stats_shared)reason, version, detail);
	return true;
}

/* Checked here anew: who speaks with Redis is not believed any more than that. */
static bool
take_policy(struct shared *s, struct frame_reader *r, int fd)
{
	struct span line = frame_span(r);
	struct shared_policy p = { .text = NULL };
	char hash[POLICY_HASH_TEXT];

	if (!frame_done(r) || fd == -1 || policy_change_parse(line, &p.change) != SP_OK || p.change.version == 0 ||
	    p.change.version > SHARED_VERSION_MAX || (p.text = chan_file_read(fd, POLICYSTORE_TEXT_MAX, &p.n)) == NULL)
		return false;
	policy_hash(span_of(p.text, p.n), hash);
	if (strcmp(hash, p.change.sha256) != 0) {
		free(p.text);
		return false;
	}
	free(s->news.policy.text);
	s->news.policy = p;
	s->news.empty = false;
	return true;
}

static bool
take_others(struct shared *s, int fd)
{
	size_t n;
	char *bytes = fd != -1 ? chan_file_read(fd, SHARED_PARTNERS_MAX * sizeof(struct edge_discovered_spent), &n) : NULL;

	if (bytes == NULL || n % sizeof(struct edge_discovered_spent) != 0) {
		free(bytes);
		return false;
	}
	free(s->news.others);
	s->news.others = (void *)bytes;
	s->news.nothers = n / sizeof(struct edge_discovered_spent);
	return true;
}

static bool
take_claimed(struct shared *s, uint64_t tag, struct frame_reader *r)
{
	unsigned verdict = frame_u8(r);
	struct span line = frame_span(r);

	if (!frame_done(r) || verdict > SHARED_CLAIM_ALONE)
		return false;
	s->verdict = (enum shared_verdict)verdict;
	if (line.n == 0 || policy_change_parse(line, &s->instead) != SP_OK)
		s->instead = (struct policy_change){ .version = 0 };
	s->answered = tag;
	return true;
}

static bool
take(struct shared *s, struct chan_msg *m)
{
	int fd = m->nfds == 1 ? m->fds[0] : -1;
	struct frame_reader r;

	frame_reader_init(&r, &m->f);
	switch (m->f.type) {
	case SHARED_STATUS:
		return take_status(s, &r);
	case SHARED_POLICY:
		return take_policy(s, &r, fd);
	case SHARED_OTHERS:
		return frame_done(&r) && take_others(s, fd);
	case SHARED_CLAIMED:
		return take_claimed(s, m->f.tag, &r);
	case SHARED_EMPTY:
		s->news.empty = true;
		return frame_done(&r);
	default:
		return false;
	}
}

/* What is there; waits so long for it. */
static void
hear(struct shared *s, int wait_ms)
{
	struct chan_msg *m = xmalloc(sizeof(*m));

	/* who sends without end keeps nobody here */
	for (unsigned n = 0; s->channel != -1 && n < FRAMES_MAX; n++) {
		struct pollfd p = { s->channel, POLLIN, 0 };
		int err;

		if (poll(&p, 1, wait_ms) <= 0)
			break;
		wait_ms = 0;
		if ((err = chan_recv(s->channel, m, 1)) == SP_ETIME)
			break;
		if (err != SP_OK) {
			gone(s);
			break;
		}
		if (!take(s, m)) {
			log_say(SP_LOG_ERROR, "shared-bad-frame", "type %u; the process that asks Redis is ended", m->f.type);
			kill(s->pid, SIGKILL);
			chan_done(m);
			gone(s);
			break;
		}
		chan_done(m);
	}
	free(m);
}

/* ---- what is said ---- */

void
shared_exchange(struct shared *s, uint64_t version, const char *sha256, const struct edge_discovered_spent *spent, size_t n,
    struct shared_news *news)
{
	unsigned char body[128];
	struct frame f = { .type = SHARED_TICK, .body = body };
	struct frame_writer w;
	int fd = -1;

	if (s->channel == -1 && clock_ms() - s->started_at >= PAUSE_MS)
		start(s);
	frame_writer_init(&w, body, sizeof(body));
	frame_put_u64(&w, version);
	frame_put_span(&w, span_str(sha256));
	f.len = w.len;
	if (n != 0)
		fd = chan_file("spent", span_of((const char *)spent, (n < SHARED_PARTNERS_MAX ? n : SHARED_PARTNERS_MAX) * sizeof(*spent)));
	if (s->channel != -1 && chan_send(s->channel, &f, &fd, fd != -1) == SP_ECLOSED)
		gone(s);
	if (fd != -1)
		close(fd);
	hear(s, 0);
	*news = s->news;
	memset(&s->news, 0, sizeof(s->news));
}

enum shared_verdict
shared_claim(struct shared *s, const struct policy_change *c, const char *parent, struct span text, struct policy_change *instead)
{
	unsigned char body[POLICY_CHANGE_LINE + 128];
	char line[POLICY_CHANGE_LINE];
	struct frame f = { .type = SHARED_CLAIM, .tag = ++s->tag, .body = body };
	uint64_t until = clock_ms() + SHARED_CLAIM_MS, now;
	struct frame_writer w;
	struct strbuf sb;
	int fd = chan_file("policy", text), err = SP_ECLOSED;

	*instead = (struct policy_change){ .version = 0 };
	strbuf_init(&sb, line, sizeof(line));
	policy_change_format(c, &sb);
	frame_writer_init(&w, body, sizeof(body));
	frame_put_span(&w, strbuf_span_of(&sb));
	frame_put_span(&w, span_str(parent));
	f.len = w.len;
	if (s->channel != -1 && fd != -1)
		err = chan_send(s->channel, &f, &fd, 1);
	if (fd != -1)
		close(fd);
	if (err != SP_OK)
		return SHARED_CLAIM_ALONE;
	while (s->answered != s->tag && s->channel != -1 && (now = clock_ms()) < until)
		hear(s, (int)(until - now));
	if (s->answered != s->tag)
		return SHARED_CLAIM_ALONE;
	*instead = s->instead;
	return s->verdict;
}
