/*
 * Crews and mail, with as many threads as it takes to make a race likely.
 */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/err.h"
#include "net/worker.h"

enum { WORKERS = 4, SENDERS = 4, LETTERS = 20000 };

struct letter {
	struct net_mail	 mail;		/* first */
	unsigned	 sender, number;
	unsigned	 hops;		/* still to be made */
};

/* Each worker's own; read by the test after the crew has stopped. */
static struct tally {
	unsigned	 got, disorder;
	unsigned	 next[SENDERS];
	bool		 started, stopped;
	bool		 signals_blocked, wrong_thread;
	pthread_t	 thread;
} tally[WORKERS];

static int
start(struct net_worker *w, void *arg)
{
	struct tally *t = &tally[w->id];
	sigset_t now;

	(void)arg;
	pthread_sigmask(SIG_SETMASK, NULL, &now);
	*t = (struct tally){ .started = true, .thread = pthread_self() };
	t->signals_blocked = sigismember(&now, SIGTERM) && sigismember(&now, SIGHUP) && sigismember(&now, SIGUSR1) &&
	    sigismember(&now, SIGPIPE) && !sigismember(&now, SIGSEGV);
	w->owner = t;
	return SP_OK;
}

static void
stop(struct net_worker *w, void *arg)
{
	struct tally *t = w->owner;

	(void)arg;
	t->stopped = true;
}

static void
receive(struct net_worker *w, struct net_mail *m)
{
	struct letter *l = (struct letter *)m;
	struct tally *t = w->owner;

	t->got++;
	t->wrong_thread = t->wrong_thread || !pthread_equal(t->thread, pthread_self());
	if (t->stopped)
		t->disorder++;
	if (l->number != t->next[l->sender])
		t->disorder++;
	t->next[l->sender] = l->number + 1;
	free(l);
}

static struct letter *
letter_new(unsigned sender, unsigned number, void (*deliver)(struct net_worker *, struct net_mail *))
{
	struct letter *l = calloc(1, sizeof(*l));

	if (l == NULL)
		abort();
	l->mail.deliver = deliver;
	l->sender = sender;
	l->number = number;
	return l;
}

struct sender {
	struct net_crew	*crew;
	unsigned	 id;
};

static void *
sender_main(void *arg)
{
	struct sender *s = arg;

	for (unsigned i = 0; i < LETTERS; i++)
		for (unsigned to = 0; to < WORKERS; to++)
			net_worker_post(net_crew_worker(s->crew, to), &letter_new(s->id, i, receive)->mail);
	return NULL;
}

START_TEST(mail_arrives_once_and_in_order)
{
	struct net_crew *c = net_crew_new(WORKERS);
	struct sender s[SENDERS];
	pthread_t thread[SENDERS];
	sigset_t before, after;

	pthread_sigmask(SIG_SETMASK, NULL, &before);
	ck_assert_int_eq(net_crew_start(c, start, stop, NULL), SP_OK);
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	ck_assert_int_eq(sigismember(&before, SIGTERM), sigismember(&after, SIGTERM));
	ck_assert_uint_eq(net_crew_count(c), WORKERS);
	ck_assert_ptr_null(net_crew_worker(c, WORKERS));
	for (unsigned i = 0; i < SENDERS; i++) {
		s[i] = (struct sender){ .crew = c, .id = i };
		ck_assert_int_eq(pthread_create(&thread[i], NULL, sender_main, &s[i]), 0);
	}
	for (unsigned i = 0; i < SENDERS; i++)
		pthread_join(thread[i], NULL);
	/* Whatever is still in the boxes is delivered by this. */
	net_crew_stop(c);
	net_crew_free(c);
	for (unsigned i = 0; i < WORKERS; i++) {
		ck_assert(tally[i].started && tally[i].stopped && tally[i].signals_blocked);
		ck_assert_uint_eq(tally[i].got, SENDERS * LETTERS);
		ck_assert_uint_eq(tally[i].disorder, 0);
		ck_assert(!tally[i].wrong_thread);
	}
}
END_TEST

/* A letter that goes round until its hops are used up. */
static void
pass_on(struct net_worker *w, struct net_mail *m)
{
	struct letter *l = (struct letter *)m;
	struct tally *t = w->owner;

	t->got++;
	if (l->hops-- == 0) {
		free(l);
		return;
	}
	net_worker_post(net_crew_worker(w->crew, (w->id + 1) % net_crew_count(w->crew)), m);
}

START_TEST(a_stop_waits_for_mail_that_begets_mail)
{
	struct net_crew *c = net_crew_new(WORKERS);
	unsigned got = 0;

	/* Twice: a crew may be started again. */
	for (int round = 0; round < 2; round++) {
		ck_assert_int_eq(net_crew_start(c, start, stop, NULL), SP_OK);
		for (unsigned i = 0; i < 100; i++) {
			struct letter *l = letter_new(0, i, pass_on);

			l->hops = 99;
			net_worker_post(net_crew_worker(c, i % WORKERS), &l->mail);
		}
		net_crew_stop(c);
		got = 0;
		for (unsigned i = 0; i < WORKERS; i++)
			got += tally[i].got;
		ck_assert_uint_eq(got, 100 * 100);
	}
	net_crew_stop(c);
	net_crew_free(c);
}
END_TEST

static atomic_uint stops;

static int
start_but_two(struct net_worker *w, void *arg)
{
	(void)arg;
	return w->id == 2 ? SP_ECERT : SP_OK;
}

static void
count_stop(struct net_worker *w, void *arg)
{
	ck_assert_uint_ne(w->id, 2);
	(void)arg;
	atomic_fetch_add(&stops, 1);
}

START_TEST(a_start_that_fails_ends_all)
{
	struct net_crew *c = net_crew_new(WORKERS);

	atomic_store(&stops, 0);
	ck_assert_int_eq(net_crew_start(c, start_but_two, count_stop, NULL), SP_ECERT);
	ck_assert_uint_eq(atomic_load(&stops), WORKERS - 1);
	ck_assert_int_eq(net_crew_start(c, start, stop, NULL), SP_OK);
	net_crew_stop(c);
	net_crew_free(c);
}
END_TEST

START_TEST(a_solo_worker_gets_its_mail)
{
	struct net_worker *w = net_worker_solo();

	tally[0] = (struct tally){ .started = true, .thread = pthread_self() };
	w->owner = &tally[0];
	ck_assert_ptr_eq(net_crew_worker(w->crew, 0), w);
	for (unsigned i = 0; i < 3; i++)
		net_worker_post(w, &letter_new(0, i, receive)->mail);
	net_loop_once(w->loop, -1);
	ck_assert_uint_eq(tally[0].got, 3);
	net_loop_once(w->loop, 0);
	ck_assert_uint_eq(tally[0].got, 3);
	/* The bell rings for the next one too; and what is left goes out at the end. */
	net_worker_post(w, &letter_new(0, 3, receive)->mail);
	net_loop_once(w->loop, -1);
	ck_assert_uint_eq(tally[0].got, 4);
	net_worker_post(w, &letter_new(0, 4, receive)->mail);
	net_worker_solo_free(w);
	ck_assert_uint_eq(tally[0].got, 5);
	ck_assert_uint_eq(tally[0].disorder, 0);
}
END_TEST

/* What the worker does that hangs; the test ends it. */
static sem_t hangs, let_go;

static void
hang(struct net_worker *w, struct net_mail *m)
{
	(void)w;
	(void)m;
	sem_post(&hangs);
	while (sem_wait(&let_go) == -1)
		;
}

START_TEST(a_worker_that_hangs_is_seen)
{
	struct net_crew *c = net_crew_new(2);
	struct net_mail mail = { .deliver = hang };
	unsigned id = 9;

	sem_init(&hangs, 0, 0);
	sem_init(&let_go, 0, 0);
	ck_assert_int_eq(net_crew_start(c, start, stop, NULL), SP_OK);
	net_worker_post(net_crew_worker(c, 1), &mail);
	while (sem_wait(&hangs) == -1)
		;
	/* the other one goes on turning */
	for (int i = 0; i < 3000 && net_crew_slowest(c, &id) < 2 * NET_TURN_MS; i++)
		usleep(10000);
	ck_assert_uint_ge(net_crew_slowest(c, &id), 2 * NET_TURN_MS);
	ck_assert_uint_eq(id, 1);
	sem_post(&let_go);
	for (int i = 0; i < 3000 && net_crew_slowest(c, NULL) >= 2 * NET_TURN_MS; i++)
		usleep(10000);
	ck_assert_uint_lt(net_crew_slowest(c, NULL), 2 * NET_TURN_MS);
	net_crew_stop(c);
	net_crew_free(c);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { mail_arrives_once_and_in_order, a_stop_waits_for_mail_that_begets_mail,
		a_start_that_fails_ends_all, a_solo_worker_gets_its_mail, a_worker_that_hangs_is_seen };

	return unit_run("worker", tests, sizeof(tests) / sizeof(tests[0]));
}
