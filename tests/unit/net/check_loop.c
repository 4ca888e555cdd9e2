/*
 * Descriptors, timers and tasks. Time is the test's own where timers are meant.
 */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "net/loop.h"

static struct net_loop *loop;
static uint64_t ms;

static void
setup(uint64_t begin)
{
	ms = begin;
	clock_fake(&ms, NULL);
	loop = net_loop_new();
	ck_assert_ptr_nonnull(loop);
}

static void
teardown(void)
{
	net_loop_free(loop);
	clock_fake(NULL, NULL);
}

/* --- timers --- */

struct alarm {
	struct net_timer	 t;		/* first */
	unsigned		 fired;
	uint64_t		 when;
	struct alarm		*cancels;	/* or NULL */
	uint64_t		 again;		/* set it anew with this, if repeats */
	bool			 repeats;
};

static void
alarm_fired(struct net_timer *t)
{
	struct alarm *a = (struct alarm *)t;

	ck_assert(!net_timer_is_set(t));
	a->fired++;
	a->when = net_loop_now(loop);
	if (a->cancels != NULL)
		net_timer_cancel(loop, &a->cancels->t);
	if (a->repeats)
		net_timer_set(loop, t, a->again);
}

START_TEST(timers_fire_on_time)
{
	static const uint64_t in[] = { 1, 2, 63, 64, 65, 100, 4095, 4096, 4097, 32000, 180000, 262143, 262144,
		3600000, 86400000, UINT64_C(30) * 86400000 };
	enum { N = sizeof(in) / sizeof(in[0]) };
	/* Where the levels of the wheel meet, and elsewhere. */
	static const uint64_t begins[] = { 0, 1, 63, 4095, 123456789, (UINT64_C(1) << 36) - 1, UINT64_C(1) << 42 };

	for (size_t b = 0; b < sizeof(begins) / sizeof(begins[0]); b++) {
		struct alarm a[N] = { 0 };

		setup(begins[b]);
		for (size_t i = 0; i < N; i++) {
			a[i].t.fire = alarm_fired;
			net_timer_set(loop, &a[i].t, in[i]);
		}
		for (size_t i = 0; i < N; i++) {
			ms = begins[b] + in[i] - 1;
			net_loop_once(loop, 0);
			ck_assert_msg(a[i].fired == 0, "early: %lu", (unsigned long)in[i]);
			ms++;
			net_loop_once(loop, 0);
			ck_assert_msg(a[i].fired == 1, "not on time: %lu", (unsigned long)in[i]);
		}
		teardown();
	}
}
END_TEST

START_TEST(timers_survive_a_long_sleep)
{
	struct alarm a[3] = { 0 }, later = { 0 };

	setup(77);
	for (int i = 0; i < 3; i++) {
		a[i].t.fire = alarm_fired;
		net_timer_set(loop, &a[i].t, 1000u << (6 * i));
	}
	later.t.fire = alarm_fired;
	net_timer_set(loop, &later.t, 36000000);
	ms += 35999999;
	net_loop_once(loop, 0);
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(a[i].fired, 1);
	ck_assert_uint_eq(later.fired, 0);
	ms += 1;
	net_loop_once(loop, 0);
	ck_assert_uint_eq(later.fired, 1);
	teardown();
}
END_TEST

static uint64_t last_at;

static void
in_order(struct net_timer *t)
{
	if (t->at < last_at || t->at > ms)
		ck_abort_msg("fired at %lu, set for %lu", (unsigned long)ms, (unsigned long)t->at);
	last_at = t->at;
	((struct alarm *)t)->fired++;
}

/* Random sets, moves, cancels and sleeps against the plain rule: it fires when its time has come, once. */
START_TEST(timers_obey_the_plain_rule)
{
	enum { N = 300 };
	static struct alarm a[N];
	const char *given = getenv("SEED");
	unsigned seed = given != NULL ? (unsigned)atoi(given) : 4711;

	srandom(seed);
	setup(1000003);
	memset(a, 0, sizeof(a));
	for (int round = 0; round < 4000; round++) {
		struct alarm *one = &a[random() % N];

		one->t.fire = in_order;
		if (random() % 5 == 0) {
			net_timer_cancel(loop, &one->t);
		} else {
			uint64_t in = (uint64_t)random() % (UINT64_C(1) << (random() % 31));

			net_timer_set(loop, &one->t, in);
			if (one->t.at != ms + in)
				ck_abort_msg("set for %lu", (unsigned long)one->t.at);
		}
		if (random() % 4 == 0)
			ms += (uint64_t)random() % (UINT64_C(1) << (random() % 29));
		for (int i = 0; i < N; i++)
			a[i].fired = !net_timer_is_set(&a[i].t) || a[i].t.at > ms ? 1 : 0;
		last_at = 0;
		net_loop_once(loop, 0);
		for (int i = 0; i < N; i++)
			if (a[i].fired != 1 || (net_timer_is_set(&a[i].t) && a[i].t.at <= ms))
				ck_abort_msg("seed %u round %d timer %d", seed, round, i);
	}
	teardown();
}
END_TEST

START_TEST(timers_may_cancel_and_set_each_other)
{
	struct alarm a = { .t.fire = alarm_fired }, b = { .t.fire = alarm_fired }, zero = { .t.fire = alarm_fired };

	setup(5);
	/* Both due in one batch: the earlier one cancels the other. */
	a.cancels = &b;
	net_timer_set(loop, &a.t, 10);
	net_timer_set(loop, &b.t, 20);
	ms += 100;
	net_loop_once(loop, 0);
	ck_assert_uint_eq(a.fired, 1);
	ck_assert_uint_eq(b.fired, 0);
	ck_assert(!net_timer_is_set(&b.t));

	/* One that sets itself to now has its turn in each batch, and the batches end. */
	zero.repeats = true;
	net_timer_set(loop, &zero.t, 0);
	for (unsigned i = 1; i <= 5; i++) {
		net_loop_once(loop, -1);
		ck_assert_uint_eq(zero.fired, i);
	}
	net_timer_cancel(loop, &zero.t);

	/* Moving a set timer. */
	net_timer_set(loop, &b.t, 10);
	net_timer_set(loop, &b.t, 1000);
	ms += 999;
	net_loop_once(loop, 0);
	ck_assert_uint_eq(b.fired, 0);
	ms++;
	net_loop_once(loop, 0);
	ck_assert_uint_eq(b.fired, 1);
	net_timer_set(loop, &b.t, UINT64_MAX);
	net_loop_once(loop, 0);
	ck_assert_uint_eq(b.fired, 1);
	teardown();
}
END_TEST

START_TEST(the_loop_wakes_for_a_timer)
{
	struct alarm a = { .t.fire = alarm_fired };
	uint64_t from;

	/* The real clock for once. */
	loop = net_loop_new();
	from = clock_ms();
	net_timer_set(loop, &a.t, 100);
	while (a.fired == 0)
		net_loop_once(loop, -1);
	ck_assert_uint_ge(clock_ms() - from, 100);
	/* And not for one that was cancelled. */
	net_timer_set(loop, &a.t, 5);
	net_timer_cancel(loop, &a.t);
	from = clock_ms();
	net_loop_once(loop, 100);
	ck_assert_uint_ge(clock_ms() - from, 99);
	net_loop_free(loop);
}
END_TEST

/* --- descriptors --- */

struct end {
	struct net_io	 io;		/* first */
	unsigned	 told, events;
	struct end	*removes;
	bool		 frees;
};

static void
end_ready(struct net_io *io, unsigned events)
{
	struct end *e = (struct end *)io;
	char b[16];

	e->told++;
	e->events = events;
	if (events & NET_READ)
		(void)!read(io->fd, b, sizeof(b));
	if (e->removes != NULL) {
		struct end *other = e->removes;

		e->removes = NULL;
		net_io_remove(loop, &other->io);
		close(other->io.fd);
		if (other->frees)
			free(other);
	}
}

static void
make_pair(int fd[2])
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
}

START_TEST(events_are_told_while_they_last)
{
	struct end e = { .io.ready = end_ready };
	int fd[2];

	setup(0);
	make_pair(fd);
	e.io.fd = fd[0];
	ck_assert_int_eq(net_io_add(loop, &e.io, NET_READ), SP_OK);
	ck_assert_int_eq(net_io_add(loop, &e.io, NET_READ), SP_EIO);
	net_loop_once(loop, 0);
	ck_assert_uint_eq(e.told, 0);
	ck_assert_int_eq(write(fd[1], "abcdefghijklmnopqrst", 20), 20);
	net_loop_once(loop, 0);
	ck_assert_uint_eq(e.told, 1);
	ck_assert_uint_eq(e.events, NET_READ);
	/* Level-triggered: four bytes are left. */
	net_io_want(loop, &e.io, 0);
	net_loop_once(loop, 0);
	ck_assert_uint_eq(e.told, 1);
	net_io_want(loop, &e.io, NET_READ | NET_WRITE);
	net_loop_once(loop, 0);
	ck_assert_uint_eq(e.told, 2);
	ck_assert_uint_eq(e.events, NET_READ | NET_WRITE);
	net_loop_once(loop, 0);
	ck_assert_uint_eq(e.events, NET_WRITE);
	/* The end is told even to one who wants nothing. */
	net_io_want(loop, &e.io, 0);
	close(fd[1]);
	net_loop_once(loop, 0);
	ck_assert_uint_eq(e.events, NET_HUP);
	net_io_remove(loop, &e.io);
	e.told = 0;
	net_loop_once(loop, 0);
	ck_assert_uint_eq(e.told, 0);
	close(fd[0]);
	teardown();
}
END_TEST

START_TEST(removed_ones_hear_nothing_more)
{
	struct end *a = calloc(1, sizeof(*a)), *b = calloc(1, sizeof(*b));
	int fa[2], fb[2];

	/* Both are in one batch; whichever comes first removes and frees the other. */
	setup(0);
	make_pair(fa);
	make_pair(fb);
	a->io = (struct net_io){ .fd = fa[0], .ready = end_ready };
	b->io = (struct net_io){ .fd = fb[0], .ready = end_ready };
	a->removes = b;
	b->removes = a;
	a->frees = b->frees = true;
	ck_assert_int_eq(net_io_add(loop, &a->io, NET_READ), SP_OK);
	ck_assert_int_eq(net_io_add(loop, &b->io, NET_READ), SP_OK);
	ck_assert_int_eq(write(fa[1], "x", 1), 1);
	ck_assert_int_eq(write(fb[1], "x", 1), 1);
	/* The first to be told is a; b is freed then, and ASan or the count would show a stale event. */
	net_loop_once(loop, 0);
	ck_assert_uint_eq(a->told, 1);
	ck_assert_ptr_null(a->removes);
	net_io_remove(loop, &a->io);
	close(fa[0]);
	close(fa[1]);
	close(fb[1]);
	free(a);
	teardown();
}
END_TEST

static struct end newcomer;

static void
replace(struct net_io *io, unsigned events)
{
	struct end *e = (struct end *)io;
	int fd = e->removes->io.fd, fresh[2];

	/* The other's descriptor number goes to somebody new within the batch. */
	end_ready(io, events);
	make_pair(fresh);
	ck_assert_int_eq(dup2(fresh[0], fd), fd);
	newcomer = (struct end){ .io = { .fd = fd, .ready = end_ready } };
	ck_assert_int_eq(net_io_add(loop, &newcomer.io, NET_READ), SP_OK);
	close(fresh[0]);
	close(fresh[1]);
}

START_TEST(a_descriptor_used_again_is_somebody_else)
{
	struct end a = { .io.ready = replace }, b = { .io.ready = end_ready };
	int fa[2], fb[2];

	setup(0);
	make_pair(fa);
	make_pair(fb);
	a.io.fd = fa[0];
	b.io.fd = fb[0];
	a.removes = &b;
	net_io_add(loop, &a.io, NET_READ);
	net_io_add(loop, &b.io, NET_READ);
	ck_assert_int_eq(write(fa[1], "x", 1), 1);
	ck_assert_int_eq(write(fb[1], "x", 1), 1);
	net_loop_once(loop, 0);
	ck_assert_uint_eq(a.told, 1);
	ck_assert_uint_eq(b.told, 0);
	ck_assert_uint_eq(newcomer.told, 0);
	net_io_remove(loop, &a.io);
	net_io_remove(loop, &newcomer.io);
	close(newcomer.io.fd);
	close(fa[0]);
	close(fa[1]);
	close(fb[1]);
	teardown();
}
END_TEST

static struct end *muted;

static void
mute_other(struct net_io *io, unsigned events)
{
	end_ready(io, events);
	net_io_want(loop, &muted->io, 0);
}

START_TEST(what_is_no_longer_wanted_is_not_told)
{
	struct end a = { .io.ready = mute_other }, b = { .io.ready = end_ready };
	int fa[2], fb[2];

	setup(0);
	make_pair(fa);
	make_pair(fb);
	a.io.fd = fa[0];
	b.io.fd = fb[0];
	muted = &b;
	net_io_add(loop, &a.io, NET_READ);
	net_io_add(loop, &b.io, NET_READ);
	ck_assert_int_eq(write(fa[1], "x", 1), 1);
	ck_assert_int_eq(write(fb[1], "x", 1), 1);
	net_loop_once(loop, 0);
	net_loop_once(loop, 0);
	ck_assert_uint_eq(a.told, 1);
	ck_assert_uint_eq(b.told, 0);
	net_io_remove(loop, &a.io);
	net_io_remove(loop, &b.io);
	for (int i = 0; i < 2; i++) {
		close(fa[i]);
		close(fb[i]);
	}
	teardown();
}
END_TEST

/* --- tasks --- */

static char order[64];
static struct job {
	struct net_task	 t;		/* first */
	char		 name;
	struct job	*queues, *cancels;
	bool		 stops;
} jobs[5];

static void
job_run(struct net_task *t)
{
	struct job *j = (struct job *)t;
	size_t n = strlen(order);

	ck_assert_uint_lt(n, sizeof(order) - 1);
	order[n] = j->name;
	order[n + 1] = '\0';
	if (j->queues != NULL)
		net_task_queue(loop, &j->queues->t);
	if (j->cancels != NULL)
		net_task_cancel(loop, &j->cancels->t);
	if (j->stops)
		net_loop_stop(loop);
}

START_TEST(tasks_run_in_order_once_a_batch)
{
	setup(0);
	order[0] = '\0';
	memset(jobs, 0, sizeof(jobs));
	for (int i = 0; i < 5; i++) {
		jobs[i].name = (char)('a' + i);
		jobs[i].t.run = job_run;
		net_task_queue(loop, &jobs[i].t);
		net_task_queue(loop, &jobs[i].t);
	}
	jobs[0].queues = &jobs[0];	/* again in the next batch */
	jobs[1].cancels = &jobs[2];	/* later in this one */
	jobs[3].cancels = &jobs[0];	/* queued already for the next */
	net_task_cancel(loop, &jobs[4].t);	/* the last in the queue */
	net_task_queue(loop, &jobs[4].t);
	net_loop_once(loop, -1);
	ck_assert_str_eq(order, "abde");
	net_loop_once(loop, 0);
	ck_assert_str_eq(order, "abde");
	/* With something queued the loop does not wait. */
	net_task_queue(loop, &jobs[0].t);
	net_loop_once(loop, -1);
	net_loop_once(loop, -1);
	ck_assert_str_eq(order, "abdeaa");
	net_task_cancel(loop, &jobs[0].t);
	jobs[0].queues = NULL;
	/* The tail is right after every kind of removal. */
	net_task_queue(loop, &jobs[0].t);
	net_task_queue(loop, &jobs[1].t);
	net_task_cancel(loop, &jobs[1].t);
	net_task_queue(loop, &jobs[4].t);
	jobs[4].stops = true;
	net_loop_run(loop);
	ck_assert_str_eq(order, "abdeaaae");
	/* A stop that comes before counts. */
	net_loop_stop(loop);
	net_loop_run(loop);
	teardown();
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { timers_fire_on_time, timers_survive_a_long_sleep, timers_obey_the_plain_rule,
		timers_may_cancel_and_set_each_other, the_loop_wakes_for_a_timer, events_are_told_while_they_last,
		removed_ones_hear_nothing_more, a_descriptor_used_again_is_somebody_else,
		what_is_no_longer_wanted_is_not_told, tasks_run_in_order_once_a_batch };

	return unit_run("loop", tests, sizeof(tests) / sizeof(tests[0]));
}
