/*
 * net/worker.c - threads, one event loop each, and the mail between them.
 */
#include "net/worker.h"

#include <sys/eventfd.h>

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "net/stats.h"

struct worker {
	struct net_worker	 pub;		/* first: the public pointer is ours too */
	pthread_t		 thread;
	int			 start_err;
	struct net_io		 bell;		/* the eventfd */
	struct net_mail		 stop_mail;
	struct net_timer	 turn;
	_Atomic uint64_t	 turned;	/* when its loop last did, in ms of clock_ms() */
	/* Written by everybody: a cache line away from what only this worker touches. */
	char			 apart[64];
	_Atomic(struct net_mail *) box;		/* newest first */
	char			 apart_too[64];
};

struct net_crew {
	unsigned	 n;
	struct worker	*w[NET_WORKERS_MAX];
	bool		 running;
	int		(*start)(struct net_worker *, void *);
	void		(*stop)(struct net_worker *, void *);
	void		*arg;

	/* Everybody meets here: after start, and when the last mail is delivered. */
	pthread_mutex_t	 lock;
	pthread_cond_t	 changed;
	unsigned	 members, arrived;
	unsigned long	 meeting;	/* number of the meeting */
	unsigned	 sum, result;	/* what was brought to this one and the last one */
};

/* Wait for all members; what each brings is added up for all. */
static unsigned
meet(struct net_crew *c, unsigned bring)
{
	unsigned result;

	pthread_mutex_lock(&c->lock);
	c->sum += bring;
	if (++c->arrived == c->members) {
		c->result = c->sum;
		c->sum = c->arrived = 0;
		c->members = c->n;	/* later meetings are without net_crew_start() */
		c->meeting++;
		pthread_cond_broadcast(&c->changed);
	} else {
		unsigned long mine = c->meeting;

		while (c->meeting == mine)
			pthread_cond_wait(&c->changed, &c->lock);
	}
	result = c->result;
	pthread_mutex_unlock(&c->lock);
	return result;
}

/* --- mail --- */

void
net_worker_post(struct net_worker *to, struct net_mail *m)
{
	struct worker *w = (struct worker *)to;
	struct net_mail *was = atomic_load_explicit(&w->box, memory_order_relaxed);
	uint64_t one = 1;

	do {
		m->next = was;
	} while (!atomic_compare_exchange_weak_explicit(&w->box, &was, m, memory_order_release,
	    memory_order_relaxed));
	/* m may be delivered and gone already. Whoever made the box non-empty rings, once. */
	if (was == NULL)
		while (write(w->bell.fd, &one, sizeof(one)) == -1 && errno == EINTR)
			;
}

/* Everything in the box, oldest first; how many they were. */
static unsigned
deliver_all(struct worker *w)
{
	struct net_mail *m, *next, *ordered = NULL;
	unsigned n = 0;

	/* The one exchange that empties the box also ends the right of later senders not to ring. */
	m = atomic_exchange_explicit(&w->box, NULL, memory_order_acquire);
	for (; m != NULL; m = next) {
		next = m->next;
		m->next = ordered;
		ordered = m;
	}
	for (m = ordered; m != NULL; m = next) {
		next = m->next;
		m->deliver(&w->pub, m);
		n++;
	}
	return n;
}

static void
bell_rang(struct net_io *io, unsigned events)
{
	struct worker *w = (struct worker *)((char *)io - offsetof(struct worker, bell));
	uint64_t rings;

	(void)events;
	/* Before the box is emptied: a ring that comes later announces later mail. */
	while (read(io->fd, &rings, sizeof(rings)) == -1 && errno == EINTR)
		;
	deliver_all(w);
}

static void
deliver_stop(struct net_worker *w, struct net_mail *m)
{
	(void)m;		/* embedded in the worker */
	net_loop_stop(w->loop);
}

/* --- whether it turns --- */

static void
turn(struct net_timer *t)
{
	struct worker *w = (struct worker *)((char *)t - offsetof(struct worker, turn));

	atomic_store_explicit(&w->turned, clock_ms(), memory_order_relaxed);
	net_timer_set(w->pub.loop, t, NET_TURN_MS);
}

uint64_t
net_crew_slowest(const struct net_crew *c, unsigned *id)
{
	uint64_t now = clock_ms(), longest = 0;

	for (unsigned i = 0; i < c->n; i++) {
		uint64_t at = atomic_load_explicit(&c->w[i]->turned, memory_order_relaxed);

		if (i == 0 || (now > at && now - at > longest)) {
			longest = now > at ? now - at : 0;
			if (id != NULL)
				*id = i;
		}
	}
	return longest;
}

/* --- the crew --- */

static struct worker *
worker_new(struct net_crew *c, unsigned id)
{
	struct worker *w = xcalloc(1, sizeof(*w));

	w->pub.id = id;
	w->pub.crew = c;
	w->stop_mail.deliver = deliver_stop;
	w->bell.ready = bell_rang;
	w->bell.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (w->bell.fd == -1 || (w->pub.loop = net_loop_new()) == NULL ||
	    net_io_add(w->pub.loop, &w->bell, NET_READ) != SP_OK) {
		log_say(SP_LOG_ERROR, "worker", "worker %u has no loop: errno %d", id, errno);
		net_loop_free(w->pub.loop);
		if (w->bell.fd != -1)
			close(w->bell.fd);
		free(w);
		return NULL;
	}
	return w;
}

static void
worker_free(struct worker *w)
{
	if (w == NULL)
		return;
	net_io_remove(w->pub.loop, &w->bell);
	net_loop_free(w->pub.loop);
	close(w->bell.fd);
	free(w);
}

struct net_crew *
net_crew_new(unsigned nworkers)
{
	struct net_crew *c;

	assert(nworkers > 0 && nworkers <= NET_WORKERS_MAX);
	c = xcalloc(1, sizeof(*c));
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->changed, NULL);
	for (; c->n < nworkers; c->n++)
		if ((c->w[c->n] = worker_new(c, c->n)) == NULL) {
			net_crew_free(c);
			return NULL;
		}
	return c;
}

void
net_crew_free(struct net_crew *c)
{
	if (c == NULL)
		return;
	assert(!c->running);
	for (unsigned i = 0; i < c->n; i++)
		worker_free(c->w[i]);
	pthread_cond_destroy(&c->changed);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static void *
thread_main(void *arg)
{
	struct worker *w = arg;
	struct net_crew *c = w->pub.crew;

	stats_enter(w->pub.id);
	w->start_err = c->start(&w->pub, c->arg);
	w->turn.fire = turn;
	turn(&w->turn);
	if (meet(c, w->start_err != SP_OK) == 0) {
		net_loop_run(w->pub.loop);
		/*
		 * All loops have ended once all are here. Mail that is delivered may send
		 * more, so go round until nobody had any.
		 */
		do
			meet(c, 0);
		while (meet(c, deliver_all(w)) > 0);
	}
	if (w->start_err == SP_OK && c->stop != NULL)
		c->stop(&w->pub, c->arg);
	return NULL;
}

/*
 * Signals are the control thread's, except those that the thread itself
 * causes: blocked, they would end the process without a trace.
 */
static void
worker_signals(sigset_t *set)
{
	static const int own[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGTRAP };

	sigfillset(set);
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		sigdelset(set, own[i]);
}

int
net_crew_start(struct net_crew *c, int (*start)(struct net_worker *, void *arg),
    void (*stop)(struct net_worker *, void *arg), void *arg)
{
	sigset_t block, was;
	unsigned started, failed;
	int error = 0;

	assert(!c->running);
	c->start = start;
	c->stop = stop;
	c->arg = arg;
	/* The caller meets too, so that it learns how the starts went; nobody passes before all are made. */
	c->members = c->n + 1;
	worker_signals(&block);
	pthread_sigmask(SIG_SETMASK, &block, &was);
	for (started = 0; started < c->n; started++) {
		struct worker *w = c->w[started];
		char name[16];

		w->start_err = SP_OK;
		if ((error = pthread_create(&w->thread, NULL, thread_main, w)) != 0)
			break;
		snprintf(name, sizeof(name), "worker-%u", w->pub.id);
		pthread_setname_np(w->thread, name);
	}
	pthread_sigmask(SIG_SETMASK, &was, NULL);
	if (started < c->n) {
		/* The places of those who do not exist are taken by us. */
		pthread_mutex_lock(&c->lock);
		c->members = started + 1;
		pthread_mutex_unlock(&c->lock);
	}
	failed = meet(c, started < c->n);
	if (failed == 0) {
		c->running = true;
		return SP_OK;
	}
	for (unsigned i = 0; i < started; i++)
		pthread_join(c->w[i]->thread, NULL);
	for (unsigned i = 0; i < started; i++)
		if (c->w[i]->start_err != SP_OK)
			return c->w[i]->start_err;
	errno = error;
	return SP_EIO;
}

void
net_crew_stop(struct net_crew *c)
{
	if (!c->running)
		return;
	for (unsigned i = 0; i < c->n; i++)
		net_worker_post(&c->w[i]->pub, &c->w[i]->stop_mail);
	for (unsigned i = 0; i < c->n; i++)
		pthread_join(c->w[i]->thread, NULL);
	c->running = false;
}

unsigned
net_crew_count(const struct net_crew *c)
{
	return c->n;
}

struct net_worker *
net_crew_worker(struct net_crew *c, unsigned id)
{
	return id < c->n ? &c->w[id]->pub : NULL;
}

/* --- solo --- */

struct net_worker *
net_worker_solo(void)
{
	struct net_crew *c = net_crew_new(1);

	return c != NULL ? &c->w[0]->pub : NULL;
}

void
net_worker_solo_free(struct net_worker *w)
{
	if (w == NULL)
		return;
	while (deliver_all((struct worker *)w) > 0)
		;
	net_crew_free(w->crew);
}
