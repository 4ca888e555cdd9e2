/*
 * Quotas: exact at the limit, one past it refused, nothing left over; also when
 * many threads hold and give back at once.
 */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "common/err.h"
#include "net/quota.h"

static struct net_addr
addr(const char *text)
{
	struct net_addr a;

	ck_assert_int_eq(net_addr_parse(&a, span_str(text), 5061), SP_OK);
	return a;
}

static uint64_t
block(const char *text, unsigned v4, unsigned v6)
{
	struct net_addr a = addr(text);

	return net_quota_block(1, &a, v4, v6);
}

START_TEST(at_the_limit_and_one_past_it)
{
	struct net_quota *q = net_quota_new();

	for (unsigned i = 0; i < 3; i++)
		ck_assert(net_quota_take(q, 7, 3));
	ck_assert(!net_quota_take(q, 7, 3));
	ck_assert_uint_eq(net_quota_held(q, 7), 3);
	ck_assert(net_quota_take(q, 8, 3));
	net_quota_give(q, 7);
	ck_assert(net_quota_take(q, 7, 3));
	ck_assert(!net_quota_take(q, 7, 3));
	/* no limit */
	ck_assert(net_quota_take(q, 7, 0));
	ck_assert_uint_eq(net_quota_held(q, 7), 4);
	ck_assert_uint_eq(net_quota_keys(q), 2);
	for (unsigned i = 0; i < 4; i++)
		net_quota_give(q, 7);
	net_quota_give(q, 8);
	ck_assert_uint_eq(net_quota_keys(q), 0);
	net_quota_free(q);
}
END_TEST

START_TEST(blocks_are_prefixes)
{
	ck_assert_uint_eq(block("192.0.2.1", 24, 64), block("192.0.2.254", 24, 64));
	ck_assert_uint_ne(block("192.0.2.1", 24, 64), block("192.0.3.1", 24, 64));
	ck_assert_uint_ne(block("192.0.2.1", 32, 64), block("192.0.2.2", 32, 64));
	ck_assert_uint_eq(block("192.0.2.1", 32, 64), block("192.0.2.1", 32, 64));
	ck_assert_uint_eq(block("192.0.2.1", 22, 64), block("192.0.3.255", 22, 64));
	ck_assert_uint_ne(block("192.0.2.1", 22, 64), block("192.0.4.0", 22, 64));
	ck_assert_uint_eq(block("[2001:db8:1:2::1]", 24, 64), block("[2001:db8:1:2:ffff::9]", 24, 64));
	ck_assert_uint_ne(block("[2001:db8:1:2::1]", 24, 64), block("[2001:db8:1:3::1]", 24, 64));
	ck_assert_uint_eq(block("[2001:db8:1:2::1]", 24, 56), block("[2001:db8:1:3::1]", 24, 56));
	ck_assert_uint_eq(block("[::ffff:192.0.2.1]", 24, 64), block("192.0.2.9", 24, 64));
	ck_assert_uint_ne(block("[::ffff:192.0.2.1]", 24, 64), block("[::ffff:192.0.3.1]", 24, 64));
	ck_assert_uint_ne(net_quota_number(1, 5), net_quota_number(2, 5));
	ck_assert_uint_eq(net_quota_text(1, SPAN_LIT("SIP.Example.COM")), net_quota_text(1, SPAN_LIT("sip.example.com")));
}
END_TEST

START_TEST(a_rate_lets_through_what_it_says)
{
	static const struct net_rate rate = { 10, 2000 }, one = { 10, 0 }, none = { 0, 0 };
	uint64_t until = 0, now = 1000000;
	unsigned n = 0, wait;

	/* an eighth of the 20 is for what is urgent */
	while (net_rate_take(&until, &rate, now, false))
		n++;
	ck_assert_uint_eq(n, 17);
	wait = net_rate_wait(until, &rate, now);
	while (net_rate_take(&until, &rate, now, true))
		n++;
	ck_assert_uint_eq(n, 20);
	ck_assert(!net_rate_take(&until, &rate, now, true));
	ck_assert_uint_eq(wait, 1);
	ck_assert(!net_rate_take(&until, &rate, now + 99, true));
	ck_assert(net_rate_take(&until, &rate, now + 101, true));
	/* what was said of the wait is true */
	ck_assert(net_rate_take(&until, &rate, now + 1000 * net_rate_wait(until, &rate, now), false));
	/* for a while as many as are said, and no more */
	n = 0;
	until = 0;
	for (unsigned ms = 0; ms < 10000; ms++)
		n += net_rate_take(&until, &rate, now + ms, true);
	ck_assert_uint_eq(n, 20 + 99);
	until = 0;
	ck_assert(net_rate_take(&until, &one, now, false));
	ck_assert(!net_rate_take(&until, &one, now, true));
	for (unsigned i = 0; i < 1000; i++)
		ck_assert(net_rate_take(&until, &none, now, false));
}
END_TEST

START_TEST(rates_of_many)
{
	static const struct net_rate rate = { 10, 2000 }, none = { 0, 0 };
	struct net_rates *t = net_rates_new(16);
	uint64_t now = 1000000;
	unsigned n = 0, wait = 0;

	/* as one alone: 20 at once, of which an eighth is for what is urgent */
	while (net_rates_spend(t, 7, &rate, now, false, &wait))
		n++;
	ck_assert_uint_eq(n, 17);
	ck_assert_uint_eq(wait, 1);
	while (net_rates_spend(t, 7, &rate, now, true, &wait))
		n++;
	ck_assert_uint_eq(n, 20);
	/* nobody else suffers by it, also not who is in the same set */
	ck_assert(net_rates_spend(t, 9, &rate, now, false, &wait));
	ck_assert(net_rates_spend(t, 8, &rate, now, false, &wait));
	/* others who say a little do not make the table forget the one who says much */
	for (uint64_t key = 100; key < 1100; key++)
		ck_assert(net_rates_spend(t, key, &rate, now, false, &wait));
	ck_assert(!net_rates_spend(t, 7, &rate, now, true, &wait));
	/* after a second there is room for ten again */
	for (n = 0; net_rates_spend(t, 7, &rate, now + 1000, true, &wait); n++)
		;
	ck_assert_uint_eq(n, 10);
	for (n = 0; n < 1000; n++)
		ck_assert(net_rates_spend(t, 7, &none, now, false, &wait));
	net_rates_free(t);
	net_rates_free(NULL);
}
END_TEST

START_TEST(all_who_share_a_key_share_its_rate)
{
	static const struct net_rate rate = { 1, 4000 };
	struct net_quota *q = net_quota_new();
	unsigned wait = 0;

	/* nobody holds it: nothing is remembered */
	for (unsigned i = 0; i < 10; i++)
		ck_assert(net_quota_spend(q, 7, &rate, 5000, true, &wait));
	ck_assert(net_quota_take(q, 7, 0) && net_quota_take(q, 7, 0));
	for (unsigned i = 0; i < 4; i++)
		ck_assert(net_quota_spend(q, 7, &rate, 5000, true, &wait));
	ck_assert(!net_quota_spend(q, 7, &rate, 5000, true, &wait));
	ck_assert_uint_ge(wait, 1);
	net_quota_give(q, 7);
	ck_assert(!net_quota_spend(q, 7, &rate, 5000, true, &wait));
	net_quota_give(q, 7);
	net_quota_free(q);
}
END_TEST

enum { THREADS = 8, TURNS = 20000, KEYS = 300, MAX = 5 };

static struct net_quota *shared;
static atomic_uint held[KEYS], over, taken, refused;

static void *
hold_and_give(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;

	for (unsigned i = 0; i < TURNS; i++) {
		unsigned k = (seed = seed * 1103515245 + 12345) >> 16 & 0xff;

		/* few keys see most of it, so that the limit is reached */
		if (i % 2 == 0)
			k %= 2;
		if (!net_quota_take(shared, k + 1, MAX)) {
			atomic_fetch_add(&refused, 1);
			continue;
		}
		if (atomic_fetch_add(&held[k], 1) >= MAX)
			atomic_fetch_add(&over, 1);
		atomic_fetch_add(&taken, 1);
		if (i % 64 == 0)
			sched_yield();
		atomic_fetch_sub(&held[k], 1);
		net_quota_give(shared, k + 1);
	}
	return NULL;
}

START_TEST(many_threads_never_hold_more)
{
	pthread_t t[THREADS];

	shared = net_quota_new();
	for (unsigned i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, hold_and_give, (void *)(uintptr_t)(i + 1)), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	ck_assert_uint_eq(atomic_load(&over), 0);
	ck_assert_uint_eq(atomic_load(&taken) + atomic_load(&refused), THREADS * TURNS);
	ck_assert_uint_eq(net_quota_keys(shared), 0);
	net_quota_free(shared);
}
END_TEST

START_TEST(a_table_grows_with_what_is_held)
{
	enum { N = 50000 };
	struct net_quota *q = net_quota_new();

	for (uint64_t i = 1; i <= N; i++)
		ck_assert(net_quota_take(q, net_quota_number(1, i), 1));
	ck_assert_uint_eq(net_quota_keys(q), N);
	for (uint64_t i = 1; i <= N; i++)
		ck_assert(!net_quota_take(q, net_quota_number(1, i), 1));
	for (uint64_t i = 1; i <= N; i++)
		net_quota_give(q, net_quota_number(1, i));
	ck_assert_uint_eq(net_quota_keys(q), 0);
	net_quota_free(q);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { rates_of_many, at_the_limit_and_one_past_it, blocks_are_prefixes, a_rate_lets_through_what_it_says,
		all_who_share_a_key_share_its_rate, many_threads_never_hold_more, a_table_grows_with_what_is_held };

	return unit_run("quota", tests, sizeof(tests) / sizeof(tests[0]));
}
