/*
 * check_discovered.c - limits of partners that nobody has listed: at each, and one past it.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "edge/discovered.h"
#include "tests/unit/unit.h"

static uint64_t now = 1000000;
static struct edge_discovered *d;
static uint64_t key;
static unsigned retry;

static void
begin(struct edge_discovered_limits l)
{
	clock_fake(&now, NULL);
	log_set_level(SP_LOG_ERROR);
	d = edge_discovered_new(&l);
}

static enum policy_reason
ask(unsigned who, uint64_t addressee)
{
	unsigned char fingerprint[32] = { (unsigned char)who, (unsigned char)(who >> 8) };
	struct edge_discovered_peer peer = { fingerprint, "CN=x", "CN=ca", "01" };

	return edge_discovered_request(d, &peer, SPAN_LIT("x.example"), addressee, &key, &retry);
}

/* How many of n pass at this moment. */
static unsigned
pass(unsigned who, unsigned n)
{
	unsigned passed = 0;

	for (unsigned i = 0; i < n; i++)
		passed += ask(who, 1) == POLICY_REASON_ALLOWED;
	return passed;
}

START_TEST(twenty_a_second)
{
	begin(EDGE_DISCOVERED_DEFAULT);
	ck_assert_uint_eq(pass(1, 20), 20);
	ck_assert_int_eq(ask(1, 1), POLICY_REASON_DISCOVERED_RATE);
	ck_assert_uint_eq(retry, 1);
	ck_assert_uint_eq(pass(2, 100), 20);	/* another's budget is another */
	now += 49;
	ck_assert_uint_eq(pass(1, 5), 0);
	now += 1;
	ck_assert_uint_eq(pass(1, 5), 1);
	now += 10 * 1000;
	ck_assert_uint_eq(pass(1, 100), 20);	/* silence saves up no more than a second */
	for (unsigned i = 0; i < 100; i++) {	/* 20 a second for ten seconds */
		now += 100;
		ck_assert_uint_eq(pass(1, 3), 2);
	}
	edge_discovered_free(d);
}
END_TEST

static void
answers(unsigned n, unsigned status)
{
	for (unsigned i = 0; i < n; i++)
		edge_discovered_answered(d, key, status);
}

START_TEST(suspicion)
{
	begin(EDGE_DISCOVERED_DEFAULT);
	ask(1, 1);
	answers(49, 404);
	answers(1000, 180);		/* not final */
	now += 1000;
	ck_assert_uint_eq(pass(1, 30), 20);
	answers(1, 480);		/* 50 of 50 */
	now += 1000;
	ck_assert_uint_eq(pass(1, 30), 1);
	ck_assert_int_eq(ask(1, 1), POLICY_REASON_DISCOVERED_SUSPICIOUS);
	now += 3600 * 1000 - 1000 - 1;
	ck_assert_uint_eq(pass(1, 30), 1);
	now += 1;
	ck_assert_uint_eq(pass(1, 30), 0);	/* free again, and filling up from nothing */
	now += 1000;
	ck_assert_uint_eq(pass(1, 30), 20);
	edge_discovered_free(d);
}
END_TEST

START_TEST(half_of_the_last_hundred)
{
	struct edge_discovered_limits l = EDGE_DISCOVERED_DEFAULT;

	begin(l);
	ask(1, 1);
	answers(51, 200);
	answers(49, 403);		/* 49 of 100 */
	now += 1000;
	ck_assert_uint_eq(pass(1, 30), 20);
	answers(1, 486);		/* busy: somebody is there. 49 of 100 */
	now += 1000;
	ck_assert_uint_eq(pass(1, 30), 20);
	answers(1, 403);		/* 50 of 100: the first 200s fell out */
	now += 1000;
	ck_assert_uint_eq(pass(1, 30), 1);
	edge_discovered_free(d);

	l.failures = 10;		/* enough failures, but not the share: 10 of 21 */
	begin(l);
	ask(1, 1);
	answers(11, 200);
	answers(10, 404);
	now += 1000;
	ck_assert_uint_eq(pass(1, 30), 20);
	answers(1, 404);		/* 11 of 22 */
	now += 1000;
	ck_assert_uint_eq(pass(1, 30), 1);
	edge_discovered_free(d);
}
END_TEST

START_TEST(ten_minutes)
{
	begin(EDGE_DISCOVERED_DEFAULT);
	ask(1, 1);
	answers(49, 404);
	now += 600 * 1000 - 1;
	answers(1, 404);		/* the first are still there */
	now += 1;
	ck_assert_uint_eq(pass(1, 30), 1);
	edge_discovered_free(d);
	begin(EDGE_DISCOVERED_DEFAULT);
	ask(1, 1);
	answers(49, 404);
	now += 600 * 1000;
	answers(1, 404);
	ck_assert_uint_eq(pass(1, 30), 20);
	edge_discovered_free(d);
}
END_TEST

START_TEST(a_thousand_addressees)
{
	struct edge_discovered_limits l = EDGE_DISCOVERED_DEFAULT;

	l.rate = 100000;
	begin(l);
	for (uint64_t i = 1; i <= 1000; i++)
		ck_assert_int_eq(ask(1, i * 1000), POLICY_REASON_ALLOWED);
	ck_assert_int_eq(ask(1, 77), POLICY_REASON_DISCOVERED_ADDRESSEES);
	for (uint64_t i = 1; i <= 1000; i++)
		ck_assert_int_eq(ask(1, i * 1000), POLICY_REASON_ALLOWED);
	ck_assert_int_eq(ask(1, 0), POLICY_REASON_ALLOWED);	/* in a dialog */
	ck_assert_int_eq(ask(2, 77), POLICY_REASON_ALLOWED);
	edge_discovered_free(d);
}
END_TEST

START_TEST(one_addressee_however_written)
{
	struct span h = SPAN_LIT("example.com");
	uint64_t bob = edge_discovered_addressee(SPAN_LIT("bob"), h);
	char longer[600];

	ck_assert(bob == edge_discovered_addressee(SPAN_LIT("BOB"), h));
	ck_assert(bob == edge_discovered_addressee(SPAN_LIT("%62o%42"), h));
	ck_assert(bob != edge_discovered_addressee(SPAN_LIT("bo"), h));
	ck_assert(bob != edge_discovered_addressee(SPAN_LIT("bob"), SPAN_LIT("sub.example.com")));
	ck_assert(edge_discovered_addressee(SPAN_LIT("bo%b"), h) != edge_discovered_addressee(SPAN_LIT("bo"), h));
	ck_assert(edge_discovered_addressee(SPAN_NONE, SPAN_NONE) != 0);
	memset(longer, 'a', sizeof(longer));
	ck_assert(edge_discovered_addressee(span_of(longer, 599), h) != edge_discovered_addressee(span_of(longer, 600), h));
}
END_TEST

/* Whoever shows up with many certificates loses none of the records that he has. */
START_TEST(full_table)
{
	struct edge_discovered_limits l = EDGE_DISCOVERED_DEFAULT;

	l.partners = 100;
	l.addressees = 2;
	begin(l);
	for (unsigned i = 1; i <= 100; i++)
		ck_assert_int_eq(ask(i, 1), POLICY_REASON_ALLOWED);
	ck_assert_int_eq(ask(1, 2), POLICY_REASON_ALLOWED);	/* 1 has used up its addressees */
	ask(2, 1);						/* 2 is suspicious */
	answers(50, 404);
	ck_assert_int_eq(ask(101, 1), POLICY_REASON_DISCOVERED_TABLE);
	ck_assert_uint_gt(retry, 0);
	ck_assert_uint_eq(edge_discovered_count(d), 100);
	now += 86400 * 1000 - 1;
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_int_eq(ask(101 + i, 1), POLICY_REASON_DISCOVERED_TABLE);
		answers(0, 0);
	}
	ask(2, 1);
	answers(100, 404);
	now += 2000;
	ck_assert_int_eq(ask(101, 1), POLICY_REASON_ALLOWED);
	ck_assert_uint_le(edge_discovered_count(d), 100);
	for (unsigned i = 0; i < 200; i++) {
		now += 2000;
		ask(1000 + i, 1);
	}
	ck_assert_int_eq(ask(1, 3), POLICY_REASON_DISCOVERED_ADDRESSEES);	/* still known */
	now += 1000;
	ck_assert_uint_eq(pass(2, 10), 1);					/* still suspicious */
	ck_assert_uint_le(edge_discovered_count(d), 100);
	edge_discovered_free(d);
}
END_TEST

struct sum {
	unsigned	n, suspicious;
	struct edge_discovered_state last;
	char		domain[32];
};

static void
add(void *arg, const struct edge_discovered_state *st)
{
	struct sum *s = arg;

	s->n++;
	s->suspicious += st->suspicious;
	s->last = *st;
	ck_assert_uint_ge(st->ndomains, 1);
	snprintf(s->domain, sizeof(s->domain), "%s", st->domain[0]);
}

START_TEST(seen_and_reset)
{
	struct sum s = { 0 };
	unsigned char one[32] = { 1 };

	begin(EDGE_DISCOVERED_DEFAULT);
	pass(1, 25);
	answers(60, 404);
	pass(2, 1);
	edge_discovered_each(d, add, &s);
	ck_assert_uint_eq(s.n, 2);
	ck_assert_uint_eq(s.suspicious, 1);
	ck_assert_uint_eq(edge_discovered_reset(d, (const unsigned char[32]){ 2 }), 1);
	s.n = 0;
	edge_discovered_each(d, add, &s);
	ck_assert_uint_eq(s.n, 1);
	ck_assert_uint_eq(s.last.requests, 20);
	ck_assert_uint_eq(s.last.refused_rate, 5);
	ck_assert_uint_eq(s.last.recent, 25);
	ck_assert_uint_eq(s.last.failures, 60);
	ck_assert_uint_eq(s.last.addressees, 1);
	ck_assert_str_eq(s.domain, "x.example");
	edge_discovered_report(d);
	edge_discovered_each(d, add, &s);
	ck_assert_uint_eq(s.last.recent, 0);
	ck_assert_uint_eq(edge_discovered_reset(d, one), 1);
	ck_assert_uint_eq(edge_discovered_count(d), 0);
	ck_assert_uint_eq(pass(1, 25), 20);	/* from the beginning */
	answers(1, 404);
	ck_assert_uint_eq(edge_discovered_reset(d, NULL), 1);
	answers(1, 404);			/* of a record that is gone */
	edge_discovered_free(d);
}
END_TEST

/* What the array's other nodes let pass comes off the same budget. */
START_TEST(elsewhere)
{
	struct edge_discovered_limits l = EDGE_DISCOVERED_DEFAULT;
	struct edge_discovered_spent told[4];

	l.addressees = 10;
	begin(l);
	ck_assert_uint_eq(pass(1, 5), 5);
	ck_assert_uint_eq(edge_discovered_spent(d, told, 4), 1);
	ck_assert_uint_eq(told[0].requests, 5);
	ck_assert_uint_eq(told[0].suspicious, 0);
	/* twelve of the fifteen that are left have passed elsewhere */
	told[0].requests = 12;
	edge_discovered_elsewhere(d, told, 1);
	ck_assert_uint_eq(pass(1, 10), 3);
	/* they are told once, then once more that it was silent, then no more */
	ck_assert_uint_eq(edge_discovered_spent(d, told, 4), 1);
	ck_assert_uint_eq(told[0].requests, 3);
	ck_assert_uint_eq(edge_discovered_spent(d, told, 4), 1);
	ck_assert_uint_eq(told[0].requests, 0);
	ck_assert_uint_eq(edge_discovered_spent(d, told, 4), 0);
	/* more than there is leaves nothing, and no debt */
	ck_assert_uint_eq(pass(2, 1), 1);
	ck_assert_uint_eq(edge_discovered_spent(d, told, 4), 1);
	told[0].requests = UINT32_MAX;
	told[0].addressees = UINT32_MAX;
	edge_discovered_elsewhere(d, told, 1);
	ck_assert_uint_eq(pass(2, 5), 0);
	/* of whom nothing is known here nothing becomes known */
	memset(told[0].fingerprint, 77, 32);
	edge_discovered_elsewhere(d, told, 1);
	ck_assert_uint_eq(edge_discovered_count(d), 2);
	edge_discovered_free(d);
}
END_TEST

/* More have sent something than are told of at once: all have their turn, and nobody twice before that. */
START_TEST(told_in_turn)
{
	static unsigned times[700];
	struct edge_discovered_spent told[100];
	unsigned all = 0;
	size_t n;

	begin(EDGE_DISCOVERED_DEFAULT);
	for (unsigned i = 0; i < 700; i++) {
		unsigned char fingerprint[32] = { (unsigned char)(i >> 8), (unsigned char)i };
		struct edge_discovered_peer peer = { fingerprint, "", "", "" };
		uint64_t k;
		unsigned r;

		ck_assert_int_eq(edge_discovered_request(d, &peer, SPAN_LIT("x.example"), 0, &k, &r), POLICY_REASON_ALLOWED);
	}
	while (all < 700) {
		n = edge_discovered_spent(d, told, 100);
		/* what shares a bucket goes together */
		ck_assert_uint_gt(n, 80);
		for (size_t i = 0; i < n && all < 700; i++, all++) {
			ck_assert_uint_eq(told[i].requests, 1);
			times[told[i].fingerprint[0] << 8 | told[i].fingerprint[1]]++;
		}
	}
	for (unsigned i = 0; i < 700; i++)
		ck_assert_uint_eq(times[i], 1);
	/* then all of them once more, as silent */
	for (all = 0; (n = edge_discovered_spent(d, told, 100)) != 0; all += (unsigned)n)
		ck_assert_uint_eq(told[0].requests, 0);
	ck_assert_uint_le(all, 700);
	/* more of one bucket than there is room for are told of all the same */
	ck_assert_uint_eq(pass(1, 1), 1);
	ck_assert_uint_eq(edge_discovered_spent(d, told, 1), 1);
	edge_discovered_free(d);
}
END_TEST

/* What could not be told is told with what comes next. */
START_TEST(told_later)
{
	struct edge_discovered_spent told[4];

	begin(EDGE_DISCOVERED_DEFAULT);
	ck_assert_uint_eq(pass(1, 5), 5);
	ck_assert_uint_eq(edge_discovered_spent(d, told, 4), 1);
	edge_discovered_untold(d, told, 1);
	ck_assert_uint_eq(pass(1, 3), 3);
	ck_assert_uint_eq(edge_discovered_spent(d, told, 4), 1);
	ck_assert_uint_eq(told[0].requests, 8);
	edge_discovered_untold(d, told, 1);
	ck_assert_uint_eq(edge_discovered_spent(d, told, 4), 1);
	ck_assert_uint_eq(told[0].requests, 8);
	/* that it is silent was not told either */
	ck_assert_uint_eq(edge_discovered_spent(d, told, 4), 1);
	ck_assert_uint_eq(told[0].requests, 0);
	edge_discovered_untold(d, told, 1);
	ck_assert_uint_eq(edge_discovered_spent(d, told, 4), 1);
	ck_assert_uint_eq(edge_discovered_spent(d, told, 4), 0);
	/* a sum has an end, and who is not here is nobody */
	told[0].requests = UINT32_MAX;
	edge_discovered_untold(d, told, 1);
	edge_discovered_untold(d, told, 1);
	ck_assert_uint_eq(edge_discovered_spent(d, told, 4), 1);
	ck_assert_uint_eq(told[0].requests, 1000000);
	memset(told[0].fingerprint, 77, 32);
	edge_discovered_untold(d, told, 1);
	ck_assert_uint_eq(edge_discovered_count(d), 1);
	edge_discovered_free(d);
}
END_TEST

static atomic_uint passed;

static void *
worker(void *arg)
{
	unsigned char fingerprint[32] = { 9 };
	struct edge_discovered_peer peer = { fingerprint, "", "", "" };
	uint64_t k;
	unsigned r;

	(void)arg;
	for (unsigned i = 0; i < 2000; i++)
		if (edge_discovered_request(d, &peer, SPAN_LIT("x.example"), i + 1, &k, &r) == POLICY_REASON_ALLOWED) {
			passed++;
			edge_discovered_answered(d, k, 200);
		}
	return NULL;
}

/* Four workers have one budget. */
START_TEST(one_budget)
{
	pthread_t t[4];

	begin(EDGE_DISCOVERED_DEFAULT);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, worker, NULL), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	ck_assert_uint_eq(passed, 20);
	edge_discovered_free(d);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { twenty_a_second, suspicion, half_of_the_last_hundred, ten_minutes, a_thousand_addressees,
		one_addressee_however_written, full_table, seen_and_reset, elsewhere, told_in_turn,
		told_later, one_budget };

	return unit_run("discovered", tests, sizeof(tests) / sizeof(tests[0]));
}
