/*
 * Wrong passwords, counted: at each limit and past it, over time, and what a
 * stranger can do to a user.
 */
#include "director/guesses.h"

#include <stdio.h>

#include "tests/unit/unit.h"

#define MINUTE	60000

static const struct guesses_limits limits = { .pair = 3, .source = 10, .user = 6, .forget_ms = MINUTE, .entries = 4096 };
static const struct span alice = SPAN_LIT("alice@example.com"), home = SPAN_LIT("192.0.2.1");

static struct span
source(char text[32], unsigned i)
{
	snprintf(text, 32, "198.51.100.%u", i);
	return span_str(text);
}

static void
wrong(struct guesses *g, struct span user, struct span from, unsigned times, uint64_t now)
{
	for (unsigned i = 0; i < times; i++)
		ck_assert_msg(guesses_begin(g, user, from, now) == GUESSES_MAY, "attempt %u", i);
}

START_TEST(pairs)
{
	struct guesses *g = guesses_new(&limits);

	wrong(g, alice, home, 3, 1000);
	ck_assert_int_eq(guesses_begin(g, alice, home, 1000), GUESSES_PAIR);
	/* letter case makes no other user; another user or another source is another pair */
	ck_assert_int_eq(guesses_begin(g, SPAN_LIT("ALICE@example.com"), home, 1000), GUESSES_PAIR);
	ck_assert_int_eq(guesses_begin(g, SPAN_LIT("bob@example.com"), home, 1000), GUESSES_MAY);
	ck_assert_int_eq(guesses_begin(g, alice, SPAN_LIT("192.0.2.2"), 1000), GUESSES_MAY);
	/* refused ones do not count: one is forgotten in a minute, and only one */
	ck_assert_int_eq(guesses_begin(g, alice, home, 1000 + MINUTE - 1), GUESSES_PAIR);
	ck_assert_int_eq(guesses_begin(g, alice, home, 1000 + MINUTE), GUESSES_MAY);
	ck_assert_int_eq(guesses_begin(g, alice, home, 1000 + MINUTE), GUESSES_PAIR);
	guesses_free(g);
}
END_TEST

START_TEST(sources)
{
	struct guesses *g = guesses_new(&limits);
	char name[32];

	/* one password for many users */
	for (unsigned i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "user%u@example.com", i);
		ck_assert_int_eq(guesses_begin(g, span_str(name), home, 1000), GUESSES_MAY);
	}
	ck_assert_int_eq(guesses_begin(g, SPAN_LIT("user10@example.com"), home, 1000), GUESSES_SOURCE);
	ck_assert_int_eq(guesses_begin(g, SPAN_LIT("user10@example.com"), SPAN_LIT("192.0.2.2"), 1000), GUESSES_MAY);
	guesses_free(g);
}
END_TEST

START_TEST(users)
{
	struct guesses *g = guesses_new(&limits);
	char name[32];

	for (unsigned i = 0; i < 6; i++)
		ck_assert_int_eq(guesses_begin(g, alice, source(name, i), 1000), GUESSES_MAY);
	ck_assert_int_eq(guesses_begin(g, alice, source(name, 7), 1000), GUESSES_USER);
	ck_assert_int_eq(guesses_begin(g, alice, source(name, 7), 1000 + MINUTE), GUESSES_MAY);
	guesses_free(g);
}
END_TEST

/* Whoever tries alice's name from elsewhere, or other names from where she is, she signs in from where she has before. */
START_TEST(strangers)
{
	struct guesses *g = guesses_new(&limits);
	char name[32];

	ck_assert_int_eq(guesses_begin(g, alice, home, 1000), GUESSES_MAY);
	guesses_right(g, alice, home, 1000);
	for (unsigned i = 0; i < 6; i++)
		ck_assert_int_eq(guesses_begin(g, alice, source(name, i), 2000), GUESSES_MAY);
	ck_assert_int_eq(guesses_begin(g, alice, source(name, 7), 2000), GUESSES_USER);
	for (unsigned i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "user%u@example.com", i);
		ck_assert_int_eq(guesses_begin(g, span_str(name), home, 2000), GUESSES_MAY);
	}
	ck_assert_int_eq(guesses_begin(g, SPAN_LIT("bob@example.com"), home, 2000), GUESSES_SOURCE);
	/* she mistypes twice, then gets it right */
	wrong(g, alice, home, 3, 2000);
	guesses_right(g, alice, home, 2000);
	/* and there, too, nobody tries more than the limit */
	wrong(g, alice, home, 3, 2000);
	ck_assert_int_eq(guesses_begin(g, alice, home, 2000), GUESSES_PAIR);
	guesses_free(g);
}
END_TEST

START_TEST(forgets_homes)
{
	struct guesses *g = guesses_new(&limits);
	uint64_t later = 31ULL * 86400 * 1000;
	char name[32];

	ck_assert_int_eq(guesses_begin(g, alice, home, 1000), GUESSES_MAY);
	guesses_right(g, alice, home, 1000);
	for (unsigned i = 0; i < 6; i++)
		ck_assert_int_eq(guesses_begin(g, alice, source(name, i), later), GUESSES_MAY);
	ck_assert_int_eq(guesses_begin(g, alice, home, later), GUESSES_USER);
	/* and where nobody says from where, nobody is at home */
	ck_assert_int_eq(guesses_begin(g, SPAN_LIT("bob@example.com"), SPAN_NONE, 1000), GUESSES_MAY);
	guesses_right(g, SPAN_LIT("bob@example.com"), SPAN_NONE, 1000);
	for (unsigned i = 0; i < 6; i++)
		ck_assert_int_eq(guesses_begin(g, SPAN_LIT("bob@example.com"), source(name, 20 + i), 1000), GUESSES_MAY);
	ck_assert_int_eq(guesses_begin(g, SPAN_LIT("bob@example.com"), SPAN_NONE, 1000), GUESSES_USER);
	guesses_free(g);
}
END_TEST

/* What was right, or decided by nobody, does not count: an office behind one address signs in all day. */
START_TEST(right_ones)
{
	struct guesses *g = guesses_new(&limits);
	char name[32];

	for (unsigned i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "user%u@example.com", i);
		ck_assert_int_eq(guesses_begin(g, span_str(name), home, 1000), GUESSES_MAY);
		guesses_right(g, span_str(name), home, 1000);
	}
	for (unsigned i = 0; i < 1000; i++) {
		ck_assert_int_eq(guesses_begin(g, SPAN_LIT("carol@example.com"), home, 1000), GUESSES_MAY);
		guesses_undo(g, SPAN_LIT("carol@example.com"), home, 1000);
	}
	/* nor do they take anything away from the wrong ones */
	wrong(g, alice, home, 2, 1000);
	ck_assert_int_eq(guesses_begin(g, alice, home, 1000), GUESSES_MAY);
	guesses_undo(g, alice, home, 1000);
	wrong(g, alice, home, 1, 1000);
	ck_assert_int_eq(guesses_begin(g, alice, home, 1000), GUESSES_PAIR);
	guesses_free(g);
}
END_TEST

/* Who owns one account cannot clean the slate of a source by signing in with it between the guesses. */
START_TEST(own_account)
{
	struct guesses *g = guesses_new(&limits);
	unsigned tried = 0;
	char name[32];

	for (unsigned i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "user%u@example.com", i);
		tried += guesses_begin(g, span_str(name), home, 1000) == GUESSES_MAY;
		if (guesses_begin(g, SPAN_LIT("mallory@example.com"), home, 1000) == GUESSES_MAY)
			guesses_right(g, SPAN_LIT("mallory@example.com"), home, 1000);
	}
	ck_assert_uint_eq(tried, 10);
	guesses_free(g);
}
END_TEST

/* A million names and addresses take no more memory, and do not push out what has been counted most. */
START_TEST(floods)
{
	struct guesses *g = guesses_new(&limits);
	char name[32], from[32];
	uint64_t full;

	wrong(g, alice, home, 3, 1000);
	ck_assert_uint_eq(guesses_count(g, &full), 3);
	ck_assert_uint_eq(full, 0);
	for (unsigned i = 0; i < 100000; i++) {
		snprintf(name, sizeof(name), "user%u@example.com", i);
		snprintf(from, sizeof(from), "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
		(void)guesses_begin(g, span_str(name), span_str(from), 1000);
	}
	ck_assert_int_eq(guesses_begin(g, alice, home, 1000), GUESSES_PAIR);
	/* all places are used, and those that were given away are counted */
	ck_assert_uint_ge(guesses_count(g, &full), limits.entries / 2);
	ck_assert_uint_le(guesses_count(g, &full), 2 * limits.entries);
	ck_assert_uint_gt(full, 0);
	guesses_free(g);
}
END_TEST

START_TEST(no_limits)
{
	struct guesses_limits none = { .forget_ms = MINUTE, .entries = 16 }, one = { .pair = 1, .forget_ms = MINUTE, .entries = 16 };
	struct guesses *g = guesses_new(&none);

	wrong(g, alice, home, 1000, 1000);
	guesses_set(g, &one);
	wrong(g, alice, home, 1, 1000);
	ck_assert_int_eq(guesses_begin(g, alice, home, 1000), GUESSES_PAIR);
	/* other limits, same counts */
	one.pair = 2;
	guesses_set(g, &one);
	wrong(g, alice, home, 1, 1000);
	ck_assert_int_eq(guesses_begin(g, alice, home, 1000), GUESSES_PAIR);
	one.entries = 64;
	guesses_set(g, &one);
	ck_assert_int_eq(guesses_begin(g, alice, home, 1000), GUESSES_MAY);
	guesses_free(g);
	guesses_free(NULL);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { pairs, sources, users, strangers, forgets_homes, right_ones, own_account, floods, no_limits };

	return unit_run("guesses", tests, sizeof(tests) / sizeof(tests[0]));
}
