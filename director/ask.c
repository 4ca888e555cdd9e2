/*
 * director/ask.c - a worker's questions to authd, without waiting.
 */
#include "director/ask.h"

#include <sys/socket.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/log.h"
#include "common/mem.h"
#include "common/slots.h"
#include "net/stats.h"

#define QUEUE_MAX	(1u << 20)	/* bytes that wait for authd to read them */

struct pending {
	struct pending	 *next, **prev;	/* in the order in which they were asked */
	uint64_t	  tag, asked_ms, until_ms;
	enum authd_type	  wants;
	ask_fn		  fn;
	void		 *arg;
};

struct ask {
	struct net_io	 io;
	struct net_timer timer;
	struct net_task	 task;		/* what was asked during one batch goes out at its end */
	struct net_loop	*loop;
	bool		 gone;
	struct slots	*pending;
	struct pending	*first, **last;
	unsigned char	*out;		/* QUEUE_MAX bytes at most */
	size_t		 out_n, out_at, out_room;
	size_t		 in_n;
	unsigned char	 in[4 * (FRAME_HEAD + AUTHD_ANSWER_MAX)];
};

static struct ask *
ask_of_timer(struct net_timer *t)
{
	return (struct ask *)((char *)t - offsetof(struct ask, timer));
}

/* Out of the table, then the answer: the callback may ask again. */
static void
settle(struct ask *a, struct pending *p, const struct authd_answer *answer)
{
	static const struct authd_answer nothing;
	struct pending was = *p;

	stats_move(AUTHD_QUESTIONS, 0, 0, -1);
	if (answer != NULL)
		stats_time(AUTHD_SECONDS, 0, (net_loop_now(a->loop) - p->asked_ms) * 1000);
	else
		stats_count(AUTHD_SILENT, 0, 0);
	slots_remove(a->pending, p->tag);
	*p->prev = p->next;
	if (p->next != NULL)
		p->next->prev = p->prev;
	else
		a->last = p->prev;
	free(p);
	was.fn(was.arg, answer != NULL, answer != NULL ? answer : &nothing);
}

static void
watch(struct ask *a)
{
	uint64_t now = net_loop_now(a->loop);

	if (a->first == NULL)
		net_timer_cancel(a->loop, &a->timer);
	else if (!net_timer_is_set(&a->timer))
		net_timer_set(a->loop, &a->timer, a->first->until_ms > now ? a->first->until_ms - now : 0);
	if (!a->gone)
		net_io_want(a->loop, &a->io, NET_READ | (a->out_n != a->out_at ? NET_WRITE : 0));
}

static void
lose(struct ask *a, const char *why)
{
	if (a->gone)
		return;
	log_say(SP_LOG_ERROR, "authd-gone", "%s", why);
	a->gone = true;
	net_io_remove(a->loop, &a->io);
	/* those asked from inside a callback are refused at once, so this ends */
	while (a->first != NULL)
		settle(a, a->first, NULL);
	watch(a);
}

static void
expire(struct net_timer *t)
{
	struct ask *a = ask_of_timer(t);
	uint64_t now = net_loop_now(a->loop);

	while (a->first != NULL && a->first->until_ms <= now) {
		log_say(SP_LOG_ERROR, "authd-slow", "authd did not answer in time");
		settle(a, a->first, NULL);
	}
	watch(a);
}

static void
flush(struct ask *a)
{
	while (a->out_at < a->out_n) {
		ssize_t n = send(a->io.fd, a->out + a->out_at, a->out_n - a->out_at, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (n <= 0)
			return;		/* reading will tell that it is gone */
		a->out_at += (size_t)n;
	}
	mem_wipe(a->out, a->out_n);
	a->out_n = a->out_at = 0;
}

static void
flush_batch(struct net_task *t)
{
	struct ask *a = (struct ask *)((char *)t - offsetof(struct ask, task));

	if (!a->gone) {
		flush(a);
		watch(a);
	}
}

/* A wrong frame between our own processes is a bug or a break-in. */
static void
die(const char *what, unsigned type)
{
	log_say(SP_LOG_ERROR, "authd-bad-frame", "%s (type %u); the process that serves ends", what, type);
	_exit(EX_SOFTWARE);
}

static void
take(struct ask *a, const struct frame *f)
{
	struct pending *p = slots_get(a->pending, f->tag);
	struct authd_answer answer = { .verdict = AUTHD_BAD };
	bool good = f->type == AUTHD_STEPPED ? authd_get_stepped(f, &answer) :
	    (f->type == AUTHD_VERDICT || f->type == AUTHD_USER) && authd_get_answer(f, &answer.verdict, &answer.who);

	if (!good)
		die("an answer that cannot be", f->type);
	if (p != NULL && (unsigned)p->wants != f->type)
		die("an answer to another question", f->type);
	/* NULL: its time was up */
	if (p != NULL)
		settle(a, p, &answer);
	mem_wipe(answer.key, sizeof(answer.key));
}

static void
ready(struct net_io *io, unsigned events)
{
	struct ask *a = (struct ask *)io;
	size_t used = 0;
	struct frame f;
	ssize_t n;

	if ((events & NET_WRITE) != 0)
		flush(a);
	if ((events & (NET_READ | NET_HUP)) != 0) {
		n = recv(io->fd, a->in + a->in_n, sizeof(a->in) - a->in_n, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK)) {
			lose(a, "the process that checks credentials has ended");
			return;
		}
		if (n > 0)
			a->in_n += (size_t)n;
		while ((n = frame_parse(a->in + used, a->in_n - used, &f)) > 0) {
			take(a, &f);
			used += (size_t)n;
		}
		if (n < 0 || a->in_n - used >= FRAME_HEAD + AUTHD_ANSWER_MAX)
			die("an answer that is too long", 0);
		memmove(a->in, a->in + used, a->in_n - used);
		a->in_n -= used;
		mem_wipe(a->in + a->in_n, used);	/* there may have been session keys */
	}
	watch(a);
}

struct ask *
ask_new(struct net_loop *loop, int fd, uint32_t max)
{
	struct ask *a = xcalloc(1, sizeof(*a));

	_Static_assert(offsetof(struct ask, io) == 0, "ready() is given the io");
	a->loop = loop;
	a->io.fd = fd;
	a->io.ready = ready;
	a->timer.fire = expire;
	a->task.run = flush_batch;
	a->pending = slots_new(max);
	a->last = &a->first;
	if (net_io_add(loop, &a->io, NET_READ) != 0) {
		log_say(SP_LOG_ERROR, "authd-gone", "cannot watch the channel to authd");
		a->gone = true;
	}
	return a;
}

void
ask_free(struct ask *a, void (*fn)(void *arg))
{
	struct pending *p;

	if (a == NULL)
		return;
	if (!a->gone)
		net_io_remove(a->loop, &a->io);
	net_timer_cancel(a->loop, &a->timer);
	net_task_cancel(a->loop, &a->task);
	while ((p = a->first) != NULL) {
		a->first = p->next;
		stats_move(AUTHD_QUESTIONS, 0, 0, -1);
		if (fn != NULL)
			fn(p->arg);
		free(p);
	}
	slots_free(a->pending);
	mem_wipe_free(a->out, a->out_room);
	mem_wipe_free(a, sizeof(*a));
}

int
ask_take(struct ask *a, int fd)
{
	int was = a->io.fd;

	lose(a, "another authd takes the place of the one that was asked");
	mem_wipe(a->out, a->out_n);
	mem_wipe(a->in, a->in_n);
	a->out_n = a->out_at = a->in_n = 0;
	a->io.fd = fd;
	a->gone = net_io_add(a->loop, &a->io, NET_READ) != 0;
	if (a->gone)
		log_say(SP_LOG_ERROR, "authd-gone", "cannot watch the channel to authd");
	return was;
}

/* Room for one more frame in the queue; NULL when it is full. */
static unsigned char *
room_for_one(struct ask *a)
{
	size_t want = a->out_n + FRAME_HEAD + AUTHD_QUESTION_MAX, room = a->out_room != 0 ? a->out_room : 32768;
	unsigned char *fresh;

	if (want > QUEUE_MAX) {
		stats_limit_hit(HELD);
		return NULL;
	}
	while (room < want)
		room *= 2;
	if (room != a->out_room) {
		fresh = xmalloc(room);
		if (a->out_n != 0)
			memcpy(fresh, a->out, a->out_n);
		mem_wipe_free(a->out, a->out_room);
		a->out = fresh;
		a->out_room = room;
	}
	return a->out + a->out_n;
}

static bool
send_question(struct ask *a, unsigned char *at, const struct frame_writer *w, enum authd_type type,
    enum authd_type wants, unsigned timeout_ms, ask_fn fn, void *arg)
{
	struct pending *p;
	struct frame f = { .type = (uint16_t)type, .len = w->len, .body = at + FRAME_HEAD };

	if (w->failed)
		return false;
	p = xcalloc(1, sizeof(*p));
	if ((p->tag = slots_add(a->pending, p)) == 0) {
		stats_limit_hit(HELD);
		free(p);
		return false;
	}
	p->asked_ms = net_loop_now(a->loop);
	p->until_ms = p->asked_ms + timeout_ms;
	stats_move(AUTHD_QUESTIONS, 0, 0, 1);
	p->wants = wants;
	p->fn = fn;
	p->arg = arg;
	p->prev = a->last;
	*a->last = p;
	a->last = &p->next;
	f.tag = p->tag;
	a->out_n += frame_format(&f, at);
	net_task_queue(a->loop, &a->task);
	return true;
}

bool
ask_digest(struct ask *a, const struct authd_question *q, unsigned timeout_ms, ask_fn fn, void *arg)
{
	unsigned char *at = a->gone ? NULL : room_for_one(a);
	struct frame_writer w;

	if (at == NULL)
		return false;
	frame_writer_init(&w, at + FRAME_HEAD, AUTHD_QUESTION_MAX);
	authd_put_digest(&w, q);
	return send_question(a, at, &w, AUTHD_DIGEST, AUTHD_VERDICT, timeout_ms, fn, arg);
}

bool
ask_lookup(struct ask *a, struct span aor, unsigned timeout_ms, ask_fn fn, void *arg)
{
	unsigned char *at = a->gone || aor.n >= USER_AOR_MAX ? NULL : room_for_one(a);
	struct frame_writer w;

	if (at == NULL)
		return false;
	frame_writer_init(&w, at + FRAME_HEAD, AUTHD_QUESTION_MAX);
	authd_put_lookup(&w, aor);
	return send_question(a, at, &w, AUTHD_LOOKUP, AUTHD_USER, timeout_ms, fn, arg);
}

bool
ask_step(struct ask *a, const struct authd_step *s, unsigned timeout_ms, ask_fn fn, void *arg)
{
	unsigned char *at = a->gone || s->token.n > AUTHD_TOKEN_MAX || s->domain.n >= USER_AOR_MAX ? NULL : room_for_one(a);
	struct frame_writer w;

	if (at == NULL)
		return false;
	frame_writer_init(&w, at + FRAME_HEAD, AUTHD_QUESTION_MAX);
	authd_put_step(&w, s);
	return send_question(a, at, &w, AUTHD_STEP, AUTHD_STEPPED, timeout_ms, fn, arg);
}

uint32_t
ask_open(const struct ask *a)
{
	return slots_count(a->pending);
}
