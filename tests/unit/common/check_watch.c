/*
 * check_watch.c - who does not answer is found, and whoever looks may have been away himself.
 */
#include <sys/wait.h>

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/watch.h"
#include "tests/unit/unit.h"

START_TEST(silence_is_counted)
{
	struct watch w = { .limit = 0 };
	uint64_t now = 1000;
	unsigned looks = 0;

	watch_begin(&w, 8000, now);
	ck_assert_uint_eq(watch_step(&w), 1000);
	while (!watch_over(&w, now += 1000))
		looks++;
	ck_assert_uint_eq(looks, 7);
	watch_heard(&w, now);
	ck_assert(!watch_over(&w, now += 1000));
	/* it may look as often as it likes */
	for (looks = 0; !watch_over(&w, now += 10); looks++)
		;
	ck_assert_uint_eq(looks, 699);
}
END_TEST

START_TEST(who_was_away_counts_a_step)
{
	struct watch w;
	uint64_t now = 5;
	unsigned looks = 0;

	watch_begin(&w, 8000, now);
	while (!watch_over(&w, now += 3600000))
		looks++;
	ck_assert_uint_eq(looks, 7);
	/* a clock that stands, or that went back, is no silence */
	watch_heard(&w, now);
	for (int i = 0; i < 100; i++)
		ck_assert(!watch_over(&w, now - (uint64_t)(i % 2)));
	/* who waits for somebody else is not counted */
	watch_heard(&w, now);
	for (int i = 0; i < 100; i++)
		watch_skip(&w, now += 1000);
	ck_assert(!watch_over(&w, now += 1000));
}
END_TEST

START_TEST(nobody_is_watched_without_a_limit)
{
	struct watch w;

	watch_begin(&w, 0, 1);
	ck_assert_uint_eq(watch_step(&w), 0);
	for (uint64_t now = 1; now < 1000000; now += 1000)
		ck_assert(!watch_over(&w, now));
}
END_TEST

/* ---- a child ---- */

#define LIMIT_MS	2400

static int turns;

static void
turn(void *arg)
{
	(void)arg;
	turns++;
}

/* What its keeper sees of a child that does this. */
static int
keep(void (*child)(int beats), unsigned limit_ms, bool *hung)
{
	int ends[2], status;
	pid_t pid;

	turns = 0;
	ck_assert_int_eq(watch_pipe(ends), SP_OK);
	ck_assert_int_ge(pid = fork(), 0);
	if (pid == 0) {
		close(ends[0]);
		child(ends[1]);
		_exit(9);
	}
	close(ends[1]);
	status = watch_child(pid, ends[0], limit_ms, turn, NULL, hung);
	close(ends[0]);
	ck_assert_int_eq(waitpid(pid, NULL, WNOHANG), -1);
	return status;
}

static void
stops(int beats)
{
	watch_beat(beats);
	raise(SIGSTOP);
}

static void
closes(int beats)
{
	close(beats);
	for (;;)
		pause();
}

/* For longer than the limit, and with more beats than a pipe holds. */
static void
goes_on(int beats)
{
	for (uint64_t until = clock_ms() + 2 * LIMIT_MS; clock_ms() < until;)
		for (int i = 0; i < 2000; i++)
			watch_beat(beats);
	_exit(3);
}

static void
says_nothing(int beats)
{
	uint64_t until = clock_ms() + 200;

	(void)beats;
	while (clock_ms() < until)
		usleep(1000);
	_exit(4);
}

START_TEST(who_stops_is_killed)
{
	bool hung = false;
	int status = keep(stops, LIMIT_MS, &hung);

	ck_assert(hung && WIFSIGNALED(status));
	ck_assert_int_eq(WTERMSIG(status), SIGKILL);
	ck_assert_int_ge(turns, WATCH_STEPS);
	status = keep(closes, LIMIT_MS, &hung);
	ck_assert(hung && WIFSIGNALED(status));
}
END_TEST

START_TEST(who_ends_has_a_status)
{
	bool hung = true;
	int status = keep(goes_on, LIMIT_MS, &hung);

	ck_assert(!hung && WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 3);
	status = keep(says_nothing, LIMIT_MS, &hung);
	ck_assert(!hung && WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 4);
	status = keep(says_nothing, 0, &hung);
	ck_assert(!hung && WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 4);
	ck_assert_int_eq(turns, 0);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { silence_is_counted, who_was_away_counts_a_step, nobody_is_watched_without_a_limit, who_stops_is_killed,
	    who_ends_has_a_status };

	return unit_run("watch", tests, sizeof(tests) / sizeof(tests[0]));
}
