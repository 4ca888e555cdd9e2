/*
 * The order of SRV targets: exact where the RFC is, counted where it draws.
 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "net/srv.h"

/* xorshift, so that a seed means the same everywhere. */
static uint32_t
draw(void *arg, uint32_t bound)
{
	uint64_t *s = arg;

	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return (uint32_t)((*s >> 11) % ((uint64_t)bound + 1));
}

static uint64_t
seed(void)
{
	const char *given = getenv("SEED");
	uint64_t s = given != NULL ? strtoull(given, NULL, 10) : 20260401;

	printf("seed %llu\n", (unsigned long long)s);
	return s;
}

static struct net_srv
target(uint16_t priority, uint16_t weight, const char *name)
{
	struct net_srv s = { .priority = priority, .weight = weight, .port = 5061 };

	snprintf(s.target, sizeof(s.target), "%s", name);
	return s;
}

START_TEST(priority_goes_before_weight)
{
	uint64_t s = seed();

	for (int round = 0; round < 200; round++) {
		struct net_srv v[] = { target(20, 65535, "c"), target(10, 0, "a"), target(65535, 1, "e"),
			target(10, 100, "a"), target(0, 0, "0"), target(30, 1, "d"), target(20, 0, "c") };
		char order[8] = "";

		net_srv_order(v, 7, draw, &s);
		for (int i = 0; i < 7; i++)
			order[i] = v[i].target[0];
		ck_assert_str_eq(order, "0aaccde");
	}
	net_srv_order(NULL, 0, draw, &s);
}
END_TEST

START_TEST(weights_are_shares)
{
	enum { ROUNDS = 20000 };
	uint64_t s = seed();
	int first[4] = { 0 }, second_after_d = 0, d_first = 0;

	for (int round = 0; round < ROUNDS; round++) {
		struct net_srv v[] = { target(1, 0, "a"), target(1, 10, "b"), target(1, 30, "c"), target(1, 60, "d") };

		net_srv_order(v, 4, draw, &s);
		first[v[0].target[0] - 'a']++;
		if (v[0].target[0] == 'd') {
			d_first++;
			second_after_d += v[1].target[0] == 'c';
		}
	}
	/* Numbers 0 to 100: zero is a's, then 10, 30 and 60 of them. Bounds at over five sigma. */
	ck_assert_int_gt(first[0], ROUNDS / 101 - 80);
	ck_assert_int_lt(first[0], ROUNDS / 101 + 80);
	ck_assert_int_gt(first[1], ROUNDS * 10 / 101 - 220);
	ck_assert_int_lt(first[1], ROUNDS * 10 / 101 + 220);
	ck_assert_int_gt(first[2], ROUNDS * 30 / 101 - 340);
	ck_assert_int_lt(first[2], ROUNDS * 30 / 101 + 340);
	/* Of the rest, c has 30 of the numbers 0 to 40. */
	ck_assert_int_gt(second_after_d, d_first * 30 / 41 - 260);
	ck_assert_int_lt(second_after_d, d_first * 30 / 41 + 260);
}
END_TEST

START_TEST(equal_weights_are_equal)
{
	enum { ROUNDS = 9000 };
	static const uint16_t weights[] = { 0, 1, 65535 };
	uint64_t s = seed();

	for (size_t w = 0; w < 3; w++) {
		int at[3][3] = { { 0 } };

		for (int round = 0; round < ROUNDS; round++) {
			struct net_srv v[] = { target(1, weights[w], "a"), target(1, weights[w], "b"),
				target(1, weights[w], "c") };

			net_srv_order(v, 3, draw, &s);
			for (int i = 0; i < 3; i++)
				at[v[i].target[0] - 'a'][i]++;
		}
		for (int i = 0; i < 9; i++) {
			ck_assert_int_gt(at[i / 3][i % 3], ROUNDS / 3 - 250);
			ck_assert_int_lt(at[i / 3][i % 3], ROUNDS / 3 + 250);
		}
	}
}
END_TEST

static uint32_t
extreme(void *arg, uint32_t bound)
{
	return *(int *)arg ? bound : 0;
}

START_TEST(nobody_is_lost_or_doubled)
{
	for (int high = 0; high < 2; high++) {
		struct net_srv v[NET_DNS_SRV_MAX];
		unsigned seen = 0;

		for (unsigned i = 0; i < NET_DNS_SRV_MAX; i++) {
			v[i] = target((uint16_t)(i % 3), (uint16_t)(i % 2 ? 65535 : 0), "x");
			v[i].port = (uint16_t)i;
		}
		net_srv_order(v, NET_DNS_SRV_MAX, extreme, &high);
		for (unsigned i = 0; i < NET_DNS_SRV_MAX; i++)
			seen |= 1u << v[i].port;
		ck_assert_uint_eq(seen, (1u << NET_DNS_SRV_MAX) - 1);
	}
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { priority_goes_before_weight, weights_are_shares, equal_weights_are_equal,
		nobody_is_lost_or_doubled };

	return unit_run("srv", tests, sizeof(tests) / sizeof(tests[0]));
}
