/*
 * Log lines of refusals: how many there are, what becomes of the rest, and what names them.
 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/hash.h"
#include "net/stats.h"
#include "net/worker.h"
#include "sip/refusals.h"

static char path[] = "/tmp/check_refusals.XXXXXX";
static struct net_worker *worker;
static struct sip_refusals *refusals;
static uint64_t ms;

static void
begin(unsigned lines)
{
	int fd = mkstemp(path);

	ck_assert_int_ne(fd, -1);
	close(fd);
	ck_assert_int_eq(log_open("check", path, SP_LOG_INFO), 0);
	ms = 1000;
	clock_fake(&ms, NULL);
	hash_seed();
	worker = net_worker_solo();
	refusals = sip_refusals_new(worker->loop, 0, &(struct sip_refusals_limits){ lines, 10000 });
}

static void
end(void)
{
	sip_refusals_free(refusals);
	net_worker_solo_free(worker);
	unlink(path);
}

/* Lines of the log that have all of these texts. */
static unsigned
lines(const char *a, const char *b)
{
	FILE *f = fopen(path, "r");
	char line[LOG_LINE_MAX];
	unsigned n = 0;

	while (fgets(line, sizeof(line), f) != NULL)
		n += strstr(line, a) != NULL && strstr(line, b) != NULL;
	fclose(f);
	return n;
}

static void
refuse(const char *from, enum policy_reason why, const char *detail)
{
	struct net_addr a = { .len = 0 };
	struct logrec r;

	ck_assert_int_eq(net_addr_parse(&a, span_str(from), 1), 0);
	r = sip_refusals_log(refusals, &a, why, detail);
	log_word(&r, "peer", from);
	log_end(&r);
}

static void
pass(uint64_t more)
{
	ms += more;
	net_loop_once(worker->loop, 0);
}

START_TEST(at_the_limit_and_past_it)
{
	begin(3);
	for (int i = 0; i < 3; i++)
		refuse("192.0.2.1:5000", POLICY_REASON_LOOP, NULL);
	ck_assert_uint_eq(lines("event=refused", "reason=loop"), 3);
	refuse("192.0.2.1:6000", POLICY_REASON_LOOP, NULL);	/* another port is nobody else */
	refuse("192.0.2.1:7000", POLICY_REASON_LOOP, NULL);
	ck_assert_uint_eq(lines("event=refused", "reason=loop"), 3);
	ck_assert_uint_eq(stats_value(STATS_CELL(LOG_SUPPRESSED, 0, 0)), 2);
	/* others are not meant */
	refuse("192.0.2.2:5000", POLICY_REASON_LOOP, NULL);
	refuse("192.0.2.1:5000", POLICY_REASON_MALFORMED, "one");
	refuse("192.0.2.1:5000", POLICY_REASON_MALFORMED, "two");
	ck_assert_uint_eq(lines("event=refused", ""), 6);
	ck_assert_uint_eq(lines("event=suppressed", ""), 0);
	/* the window ends: the rest is told, and there is room again */
	pass(10000);
	ck_assert_uint_eq(lines("event=suppressed of=refused reason=loop", "peer=192.0.2.1 lines=2 written=3 seconds=10"), 1);
	ck_assert_uint_eq(lines("event=suppressed", ""), 1);
	refuse("192.0.2.1:5000", POLICY_REASON_LOOP, NULL);
	ck_assert_uint_eq(lines("event=refused", "reason=loop"), 5);
	pass(20000);
	ck_assert_uint_eq(lines("event=suppressed", ""), 1);
	end();
}
END_TEST

START_TEST(networks_and_everybody)
{
	char from[64];

	begin(2);
	for (int i = 0; i < 5; i++) {
		snprintf(from, sizeof(from), "[2001:db8:1:2::%d]:5000", i + 1);
		refuse(from, POLICY_REASON_LOOP, NULL);
	}
	ck_assert_uint_eq(lines("event=refused", "reason=loop"), 2);
	for (int i = 0; i < 2 * REFUSALS_SOURCES; i++) {
		snprintf(from, sizeof(from), "192.0.2.%d:5000", i + 1);
		refuse(from, POLICY_REASON_LOOP, NULL);
	}
	ck_assert_uint_eq(lines("event=refused", "reason=loop"), 2 * REFUSALS_SOURCES);
	pass(10000);
	ck_assert_uint_eq(lines("event=suppressed", "peer=2001:db8:1:2::/64 lines=3"), 1);
	ck_assert_uint_eq(lines("event=suppressed", "peer=any lines=2 written=40"), 1);
	end();
}
END_TEST

/* More kinds than are kept count of: what one leaves behind is told when another takes its place. */
START_TEST(none_is_lost)
{
	unsigned told = 0;
	char from[64], line[LOG_LINE_MAX];
	const char *p;
	FILE *f;

	begin(1);
	for (int i = 0; i < 3 * REFUSALS_KINDS; i++) {
		snprintf(from, sizeof(from), "10.1.%d.%d:5000", i / 256, i % 256);
		for (int j = 0; j < 3; j++)
			refuse(from, POLICY_REASON_LOOP, NULL);
	}
	sip_refusals_free(refusals);
	refusals = NULL;
	f = fopen(path, "r");
	while (fgets(line, sizeof(line), f) != NULL)
		if ((p = strstr(line, " lines=")) != NULL)
			told += (unsigned)atoi(p + 7);
	fclose(f);
	ck_assert_uint_eq(lines("event=refused", "reason=loop") + told, 9 * REFUSALS_KINDS);
	end();
}
END_TEST

START_TEST(ends_of_connections)
{
	struct net_addr a;
	struct logrec r;

	begin(2);
	net_addr_parse(&a, span_str("192.0.2.1:5000"), 1);
	for (int i = 0; i < 5; i++) {
		r = sip_refusals_log_end(refusals, &a, POLICY_REASON_HANDSHAKE, "not TLS");
		log_end(&r);
		r = sip_refusals_log_end(refusals, &a, POLICY_REASON_ALLOWED, NULL);
		log_end(&r);
	}
	ck_assert_uint_eq(lines("notice event=disconnected", ""), 2);
	ck_assert_uint_eq(lines("info event=disconnected", ""), 5);
	end();
}
END_TEST

START_TEST(no_limit)
{
	begin(0);
	for (int i = 0; i < 5000; i++)
		refuse("192.0.2.1:5000", POLICY_REASON_LOOP, NULL);
	ck_assert_uint_eq(lines("event=refused", ""), 5000);
	end();
}
END_TEST

/* Hostile text takes the place of a reason's detail and stays data. */
START_TEST(hostile_detail)
{
	begin(1);
	refuse("192.0.2.1:5000", POLICY_REASON_LOOP, "a\"\nevent=forged x=\"");
	refuse("192.0.2.1:5000", POLICY_REASON_LOOP, "a\"\nevent=forged x=\"");
	pass(10000);
	ck_assert_uint_eq(lines("event=suppressed", "a\\x22\\x0aevent=forged"), 1);
	end();
}
END_TEST

static int
by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* All different, all of one form, and neighbours do not look like neighbours. */
START_TEST(references)
{
	enum { N = 20000 };
	static char text[N][REFUSALS_REFERENCE];
	unsigned alike = 0;

	hash_seed();
	for (int i = 0; i < N; i++) {
		sip_refusals_name((uint64_t)(i % 4) << 40 | (uint64_t)(i / 4), text[i]);
		ck_assert_uint_eq(strlen(text[i]), 10);
		ck_assert_uint_eq(strspn(text[i], "0123456789ABCDEFGHJKMNPQRSTVWXYZ"), 10);
		if (i > 0)
			for (int j = 0; j < 10; j++)
				alike += text[i][j] == text[i - 1][j];
	}
	/* by chance one digit of 32 is alike; the first one has but two bits less to vary in */
	ck_assert_uint_lt(alike, N);
	qsort(text, N, sizeof(text[0]), by_text);
	for (int i = 1; i < N; i++)
		ck_assert_str_ne(text[i - 1], text[i]);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { at_the_limit_and_past_it, networks_and_everybody, none_is_lost, ends_of_connections,
	    no_limit, hostile_detail, references };

	return unit_run("refusals", tests, sizeof(tests) / sizeof(tests[0]));
}
