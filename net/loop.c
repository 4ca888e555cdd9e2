/*
 * net/loop.c - epoll, a timer wheel, and work put off to the end of a batch.
 *
 * Level-triggered on purpose: an owner that takes less than there is (accept
 * budget, paused stream) is told again, and nothing can be missed.
 */
#include "net/loop.h"

#include <sys/epoll.h>

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"

#define BATCH		256	/* events taken from the kernel at once */

/*
 * The wheel: level l has 64 slots of 64^l ms. A timer stands in the level of
 * the highest group of six bits in which its time differs from the wheel's, so
 * every timer of a lower level is earlier than every timer of a higher one,
 * and the next slot to look at is found by its bit. 11 levels hold 64 bits.
 */
#define SLOT_BITS	6
#define SLOTS		(1u << SLOT_BITS)
#define LEVELS		11

struct net_loop {
	int			 epfd;
	bool			 stop;
	bool			 in_batch;
	uint64_t		 now;

	struct epoll_event	 ev[BATCH];
	int			 nev, at;	/* the batch being handled: its size, the next one */

	uint64_t		 wheel_now;	/* timers up to here have left the wheel */
	uint64_t		 used[LEVELS];	/* a bit for each slot that is not empty */
	struct net_timer	*slot[LEVELS][SLOTS];
	struct net_timer	*due;		/* set for a time that has come: next batch */
	struct net_timer	*expired;	/* to be fired in this batch */

	struct net_task		*tasks, **tasks_tail;
	struct net_task		*running;	/* the tasks of this batch not yet run */
};

struct net_loop *
net_loop_new(void)
{
	struct net_loop *l = xcalloc(1, sizeof(*l));

	if ((l->epfd = epoll_create1(EPOLL_CLOEXEC)) == -1) {
		log_say(SP_LOG_ERROR, "loop", "epoll_create1: errno %d", errno);
		free(l);
		return NULL;
	}
	l->now = l->wheel_now = clock_ms();
	l->tasks_tail = &l->tasks;
	return l;
}

void
net_loop_free(struct net_loop *l)
{
	if (l == NULL)
		return;
	close(l->epfd);
	free(l);
}

uint64_t
net_loop_now(const struct net_loop *l)
{
	/* Outside of a batch the last reading may be old, and a timer set by it early. */
	return l->in_batch ? l->now : clock_ms();
}

void
net_loop_stop(struct net_loop *l)
{
	l->stop = true;
}

/* --- descriptors --- */

static uint32_t
epoll_bits(unsigned want)
{
	return (want & NET_READ ? (uint32_t)EPOLLIN : 0) | (want & NET_WRITE ? (uint32_t)EPOLLOUT : 0);
}

int
net_io_add(struct net_loop *l, struct net_io *io, unsigned want)
{
	struct epoll_event ev = { .events = epoll_bits(want), .data.ptr = io };

	io->want = want & (NET_READ | NET_WRITE);
	return epoll_ctl(l->epfd, EPOLL_CTL_ADD, io->fd, &ev) == 0 ? SP_OK : SP_EIO;
}

void
net_io_want(struct net_loop *l, struct net_io *io, unsigned want)
{
	struct epoll_event ev = { .events = epoll_bits(want), .data.ptr = io };

	want &= NET_READ | NET_WRITE;
	if (want == io->want)
		return;
	io->want = want;
	if (epoll_ctl(l->epfd, EPOLL_CTL_MOD, io->fd, &ev) == -1)
		log_say(SP_LOG_ERROR, "loop", "epoll_ctl: descriptor %d was not added: errno %d", io->fd, errno);
}

void
net_io_remove(struct net_loop *l, struct net_io *io)
{
	epoll_ctl(l->epfd, EPOLL_CTL_DEL, io->fd, NULL);
	io->want = 0;
	/*
	 * What the kernel already told about it in this batch must not arrive: the
	 * struct may be freed now, and its descriptor belong to another soon.
	 */
	for (int i = l->at; i < l->nev; i++)
		if (l->ev[i].data.ptr == io)
			l->ev[i].data.ptr = NULL;
}

static void
run_events(struct net_loop *l)
{
	while (l->at < l->nev) {
		const struct epoll_event *ev = &l->ev[l->at++];
		struct net_io *io = ev->data.ptr;
		unsigned events = 0;

		if (io == NULL)
			continue;
		if (ev->events & EPOLLIN)
			events |= NET_READ;
		if (ev->events & EPOLLOUT)
			events |= NET_WRITE;
		/* The owner's own read or write finds out what is wrong. */
		if (ev->events & (EPOLLERR | EPOLLHUP))
			events |= NET_READ | NET_WRITE;
		/* What is no longer wanted, by a change earlier in this batch, is not told. */
		events &= io->want;
		if (ev->events & (EPOLLERR | EPOLLHUP))
			events |= NET_HUP;
		if (events != 0)
			io->ready(io, events);
	}
	l->nev = l->at = 0;
}

/* --- timers --- */

static void
link_timer(struct net_timer **head, struct net_timer *t)
{
	t->next = *head;
	t->prev = head;
	if (t->next != NULL)
		t->next->prev = &t->next;
	*head = t;
}

static void
unlink_timer(struct net_timer *t)
{
	*t->prev = t->next;
	if (t->next != NULL)
		t->next->prev = t->prev;
	t->next = NULL;
	t->prev = NULL;
}

static void
put_in_wheel(struct net_loop *l, struct net_timer *t)
{
	unsigned level, i;

	level = (63 - (unsigned)__builtin_clzll(t->at ^ l->wheel_now)) / SLOT_BITS;
	i = (t->at >> (level * SLOT_BITS)) & (SLOTS - 1);
	link_timer(&l->slot[level][i], t);
	l->used[level] |= UINT64_C(1) << i;
}

void
net_timer_cancel(struct net_loop *l, struct net_timer *t)
{
	uintptr_t head, first = (uintptr_t)&l->slot[0][0];

	if (t->prev == NULL)
		return;
	head = (uintptr_t)t->prev;
	if (t->next == NULL && head >= first && head < first + sizeof(l->slot)) {
		size_t i = (head - first) / sizeof(l->slot[0][0]);

		l->used[i / SLOTS] &= ~(UINT64_C(1) << (i % SLOTS));
	}
	unlink_timer(t);
}

void
net_timer_set(struct net_loop *l, struct net_timer *t, uint64_t in_ms)
{
	uint64_t now = net_loop_now(l);

	net_timer_cancel(l, t);
	t->at = in_ms > UINT64_MAX - now ? UINT64_MAX : now + in_ms;
	if (t->at <= l->wheel_now)
		link_timer(&l->due, t);
	else
		put_in_wheel(l, t);
}

/* The first slot that holds timers and when it begins; false: the wheel is empty. */
static bool
next_slot(const struct net_loop *l, unsigned *level, unsigned *i, uint64_t *begins)
{
	for (*level = 0; *level < LEVELS; ++*level) {
		unsigned shift = *level * SLOT_BITS;

		if (l->used[*level] == 0)
			continue;
		*i = (unsigned)__builtin_ctzll(l->used[*level]);
		*begins = (uint64_t)*i << shift;
		if (shift + SLOT_BITS < 64)
			*begins |= l->wheel_now >> (shift + SLOT_BITS) << (shift + SLOT_BITS);
		return true;
	}
	return false;
}

/* Take a whole list over to *tail; returns the new tail. */
static struct net_timer **
append_all(struct net_timer **tail, struct net_timer **from)
{
	while (*from != NULL) {
		struct net_timer *t = *from;

		unlink_timer(t);
		link_timer(tail, t);
		tail = &t->next;
	}
	return tail;
}

/* Everything due at now into l->expired, earliest first. */
static void
turn_wheel(struct net_loop *l)
{
	struct net_timer **tail = &l->expired;
	unsigned level, i;
	uint64_t begins;

	tail = append_all(tail, &l->due);
	while (next_slot(l, &level, &i, &begins) && begins <= l->now) {
		struct net_timer *list = l->slot[level][i], *t;

		l->slot[level][i] = NULL;
		if (list != NULL)
			list->prev = &list;
		l->used[level] &= ~(UINT64_C(1) << i);
		l->wheel_now = begins;
		while ((t = list) != NULL) {
			unlink_timer(t);
			if (t->at > begins) {
				put_in_wheel(l, t);
				continue;
			}
			link_timer(tail, t);
			tail = &t->next;
		}
	}
	if (l->wheel_now < l->now) {
		/*
		 * No slot begins up to now, so no timer stands in one that now is
		 * inside of, and moving the wheel's time misplaces nobody.
		 */
		l->wheel_now = l->now;
	}
}

static void
run_timers(struct net_loop *l)
{
	struct net_timer *t;

	turn_wheel(l);
	while ((t = l->expired) != NULL) {
		unlink_timer(t);
		t->fire(t);
	}
}

/* --- tasks --- */

void
net_task_queue(struct net_loop *l, struct net_task *t)
{
	if (t->prev != NULL)
		return;
	t->next = NULL;
	t->prev = l->tasks_tail;
	*l->tasks_tail = t;
	l->tasks_tail = &t->next;
}

void
net_task_cancel(struct net_loop *l, struct net_task *t)
{
	if (t->prev == NULL)
		return;
	*t->prev = t->next;
	if (t->next != NULL)
		t->next->prev = t->prev;
	else if (l->tasks_tail == &t->next)
		l->tasks_tail = t->prev;
	t->next = NULL;
	t->prev = NULL;
}

static void
run_tasks(struct net_loop *l)
{
	struct net_task *t;

	/* A list of their own: what is queued from here on belongs to the next batch. */
	if ((l->running = l->tasks) != NULL)
		l->running->prev = &l->running;
	l->tasks = NULL;
	l->tasks_tail = &l->tasks;
	while ((t = l->running) != NULL) {
		net_task_cancel(l, t);
		t->run(t);
	}
}

/* --- batches --- */

/* How long the kernel may keep us, in ms; -1: for ever. */
static int
wait_for(const struct net_loop *l, int wait_ms)
{
	unsigned level, i;
	uint64_t begins, now;

	if (wait_ms == 0 || l->tasks != NULL || l->due != NULL || l->stop)
		return 0;
	if (next_slot(l, &level, &i, &begins)) {
		now = clock_ms();
		if (begins <= now)
			return 0;
		if (begins - now > INT_MAX)
			begins = now + INT_MAX;
		if (wait_ms < 0 || begins - now < (uint64_t)wait_ms)
			return (int)(begins - now);
	}
	return wait_ms < 0 ? -1 : wait_ms;
}

void
net_loop_once(struct net_loop *l, int wait_ms)
{
	uint64_t now;
	int n;

	assert(!l->in_batch);
	n = epoll_wait(l->epfd, l->ev, BATCH, wait_for(l, wait_ms));
	l->nev = n > 0 ? n : 0;
	l->at = 0;
	if ((now = clock_ms()) > l->now)
		l->now = now;
	l->in_batch = true;
	run_events(l);
	run_timers(l);
	run_tasks(l);
	l->in_batch = false;
}

void
net_loop_run(struct net_loop *l)
{
	while (!l->stop)
		net_loop_once(l, -1);
	l->stop = false;
}
