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
#include "common/lives.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/watch.h"

#define PAUSE_MS	5000	/* between two starts of the process */
#define FRAMES_MAX	64	/* heard at once */

/* A tick that has no answer yet, and what it was to tell. */
struct tick {
	uint64_t			 tag;
	struct edge_discovered_spent	*spent;		/* NULL: nothing */
	size_t				 n;
};

struct claim {
	uint64_t		 tag, until;	/* tag 0: this place is free */
	bool			 answered;
	struct shared_claimed	 c;
};

struct shared {
	struct shared_setup	 setup;
	char			*text[9];	/* what setup points to */
	int			 channel;	/* -1: the process is not there */
	pid_t			 pid;
	uint64_t		 started_at;
	uint64_t		 tag;
	struct shared_status	 status;
	struct shared_news	 news;		/* until somebody asks */
	struct tick		 tick[SHARED_TICKS_MAX];	/* the oldest first */
	unsigned		 nticks;
	struct watch		 watch;		/* of the oldest; it is looked at with each exchange */
	struct claim		 claim[SHARED_CLAIMS_MAX];
};

const char *
shared_state_name(enum shared_state s)
{
	static const char *const names[] = { "off", "starting", "shared", "alone" };

	return s <= SHARED_ALONE ? names[s] : names[0];
}

void
shared_log(const struct shared_status *st)
{
	struct logrec r;

	if (st->state != SHARED_UP && st->state != SHARED_ALONE)
		return;
	r = log_begin(st->state == SHARED_UP ? SP_LOG_NOTICE : SP_LOG_ERROR, "shared-state");
	log_word(&r, "state", shared_state_name(st->state));
	if (st->state == SHARED_ALONE) {
		log_word(&r, "reason", stats_shared_name(st->reason));
		log_outside(&r, "detail", span_str(st->detail));
	}
	log_end(&r);
}

/* ---- the process ---- */

static void
set_state(struct shared *s, enum shared_state state, enum stats_shared reason, uint64_t version, struct span detail)
{
	struct shared_status *st = &s->status;
	bool changed = st->state != state || st->reason != reason;

	/* a process that has just begun knows nothing yet */
	if (state == SHARED_STARTING)
		return;
	st->version = version;
	snprintf(st->detail, sizeof(st->detail), "%.*s", SPAN_FMT(detail));
	if (!changed)
		return;
	st->state = state;
	st->reason = reason;
	st->since = clock_wall();
	shared_log(st);
}

static void
start(struct shared *s)
{
	bool again = s->started_at != 0;

	s->started_at = clock_ms();
	if ((s->pid = shared_fork(&s->setup, &s->channel)) == -1)
		return;
	chan_patience(s->channel, 100);
	watch_begin(&s->watch, SHARED_KILL_MS, s->started_at);
	if (again)
		lives_again(LIVES_SHARED);
}

/* These are to be told another time. */
static void
keep_untold(struct shared *s, const struct edge_discovered_spent *spent, size_t n)
{
	struct shared_news *news = &s->news;

	if (n == 0)
		return;
	news->untold = xreallocarray(news->untold, news->nuntold + n, sizeof(*spent));
	memcpy(news->untold + news->nuntold, spent, n * sizeof(*spent));
	news->nuntold += n;
}

/* The oldest tick has its answer, or will have none: the first so many of its partners were told. */
static void
settle(struct shared *s, size_t told)
{
	struct tick *t = &s->tick[0];

	if (told < t->n)
		keep_untold(s, t->spent + told, t->n - told);
	free(t->spent);
	memmove(t, t + 1, --s->nticks * sizeof(*t));
	watch_heard(&s->watch, clock_ms());
}

static void
gone(struct shared *s)
{
	close(s->channel);
	s->channel = -1;
	while (s->nticks != 0)
		settle(s, 0);
	for (size_t i = 0; i < SHARED_CLAIMS_MAX; i++)
		s->claim[i].answered = true;	/* ALONE, unless it was answered before */
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
	free(s->news.untold);
	memset(&s->news, 0, sizeof(s->news));
}

void
shared_free(struct shared *s)
{
	if (s == NULL)
		return;
	if (s->channel != -1)
		close(s->channel);
	while (s->nticks != 0)
		settle(s, 0);
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
take_status(struct shared *s, uint64_t tick, struct frame_reader *r)
{
	unsigned state = frame_u8(r), reason = frame_u8(r);
	uint64_t version = frame_u64(r), told = frame_u64(r);
	struct span detail = frame_span(r);

	if (!frame_done(r) || state == SHARED_OFF || state > SHARED_ALONE || reason >= STATS_NSHARED || version > SHARED_VERSION_MAX)
		return false;
	/* each tick has one answer, and they come in order */
	if (tick != 0 && (s->nticks == 0 || s->tick[0].tag != tick))
		return false;
	if (tick != 0)
		settle(s, told < SHARED_PARTNERS_MAX ? (size_t)told : SHARED_PARTNERS_MAX);
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
	for (size_t i = 0; i < SHARED_CLAIMS_MAX; i++) {
		struct claim *c = &s->claim[i];

		/* of one that was given up nobody wants to know */
		if (c->tag != tag || c->answered)
			continue;
		c->answered = true;
		c->c.verdict = (enum shared_verdict)verdict;
		if (line.n == 0 || policy_change_parse(line, &c->c.instead) != SP_OK)
			c->c.instead = (struct policy_change){ .version = 0 };
	}
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
		return take_status(s, m->f.tag, &r);
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

static void
end_process(struct shared *s, const char *event, const char *why)
{
	log_say(SP_LOG_ERROR, event, "%s; the process that asks Redis is ended", why);
	kill(s->pid, SIGKILL);
	gone(s);
}

/* What is there. */
static void
hear(struct shared *s)
{
	struct chan_msg *m = xmalloc(sizeof(*m));

	/* who sends without end keeps nobody here */
	for (unsigned n = 0; s->channel != -1 && n < FRAMES_MAX; n++) {
		struct pollfd p = { s->channel, POLLIN, 0 };
		int err;

		if (poll(&p, 1, 0) <= 0 || (err = chan_recv(s->channel, m, 1)) == SP_ETIME)
			break;
		if (err != SP_OK) {
			gone(s);
			break;
		}
		if (!take(s, m))
			end_process(s, "shared-bad-frame", "a frame that is none of its");
		chan_done(m);
	}
	free(m);
}

/* ---- what is said ---- */

static void
tick(struct shared *s, const struct shared_here_now *here, const struct edge_discovered_spent *spent, size_t n)
{
	unsigned char body[256];
	struct frame f = { .type = SHARED_TICK, .tag = ++s->tag, .body = body };
	struct tick *t = &s->tick[s->nticks];
	struct frame_writer w;
	int fd = -1, err = SP_EIO;

	frame_writer_init(&w, body, sizeof(body));
	frame_put_span(&w, span_str(here->sha256));
	frame_put_span(&w, span_str(here->unfit));
	f.len = w.len;
	if (n != 0)
		fd = chan_file("spent", span_of((const char *)spent, n * sizeof(*spent)));
	if ((n == 0 || fd != -1) && (err = chan_send(s->channel, &f, &fd, fd != -1)) == SP_OK) {
		*t = (struct tick){ .tag = s->tag };
		if (n != 0) {
			t->spent = (void *)xmemdup(spent, n * sizeof(*spent));
			t->n = n;
		}
		s->nticks++;
	} else {
		keep_untold(s, spent, n);
		if (err == SP_ECLOSED)
			gone(s);
	}
	if (fd != -1)
		close(fd);
}

/* Does it answer? It may be stopped, or wait for the kernel; of Redis it is never so long that it hears nothing. */
static void
look_after(struct shared *s)
{
	uint64_t now = clock_ms();
	bool over = s->nticks != 0 && watch_over(&s->watch, now);

	if (s->nticks == 0)
		watch_heard(&s->watch, now);
	if (s->watch.silent >= SHARED_HUNG_MS)
		set_state(s, SHARED_ALONE, STATS_SHARED_HUNG, 0, SPAN_LIT("the process that asks Redis does not answer"));
	if (over) {
		lives_hung(LIVES_SHARED, SHARED_KILL_MS);
		end_process(s, "shared-hung", "no answer for too long");
	}
}

void
shared_exchange(struct shared *s, const struct shared_here_now *here, const struct edge_discovered_spent *spent, size_t n,
    struct shared_news *news)
{
	if (n > SHARED_PARTNERS_MAX) {
		keep_untold(s, spent + SHARED_PARTNERS_MAX, n - SHARED_PARTNERS_MAX);
		n = SHARED_PARTNERS_MAX;
	}
	if (s->channel == -1 && clock_ms() - s->started_at >= PAUSE_MS)
		start(s);
	hear(s);
	look_after(s);
	if (s->channel != -1 && s->nticks < SHARED_TICKS_MAX)
		tick(s, here, spent, n);
	else
		keep_untold(s, spent, n);
	*news = s->news;
	memset(&s->news, 0, sizeof(s->news));
}

/* ---- claims ---- */

/* A free place, or one whose claim nobody has looked after in time. NULL: there is none. */
static struct claim *
claim_place(struct shared *s)
{
	uint64_t now = clock_ms();

	for (size_t i = 0; i < SHARED_CLAIMS_MAX; i++)
		if (s->claim[i].tag == 0 || now >= s->claim[i].until)
			return &s->claim[i];
	return NULL;
}

uint64_t
shared_claim(struct shared *s, const struct policy_change *c, const char *parent, struct span text)
{
	unsigned char body[POLICY_CHANGE_LINE + 128];
	char line[POLICY_CHANGE_LINE];
	struct frame f = { .type = SHARED_CLAIM, .body = body };
	struct claim *place = claim_place(s);
	struct frame_writer w;
	struct strbuf sb;
	int fd, err = SP_ECLOSED;

	if (place == NULL || s->channel == -1 || (fd = chan_file("policy", text)) == -1)
		return 0;
	strbuf_init(&sb, line, sizeof(line));
	policy_change_format(c, &sb);
	frame_writer_init(&w, body, sizeof(body));
	frame_put_span(&w, strbuf_span_of(&sb));
	frame_put_span(&w, span_str(parent));
	f.tag = ++s->tag;
	f.len = w.len;
	err = chan_send(s->channel, &f, &fd, 1);
	close(fd);
	if (err != SP_OK)
		return 0;
	*place = (struct claim){ .tag = f.tag, .until = clock_ms() + SHARED_CLAIM_MS, .c = { .verdict = SHARED_CLAIM_ALONE, .change = *c } };
	return place->tag;
}

bool
shared_claim_look(struct shared *s, uint64_t claim, struct shared_claimed *out)
{
	hear(s);
	for (size_t i = 0; claim != 0 && i < SHARED_CLAIMS_MAX; i++) {
		struct claim *c = &s->claim[i];

		if (c->tag != claim)
			continue;
		if (!c->answered && clock_ms() < c->until)
			return false;
		*out = c->c;
		*c = (struct claim){ .tag = 0 };
		return true;
	}
	*out = (struct shared_claimed){ .verdict = SHARED_CLAIM_ALONE };
	return true;
}
