#include "common/hash.h"

#include <stdio.h>

#include "tests/unit/unit.h"

/* Values of an implementation that is not ours: CPython's hash() of bytes with PYTHONHASHSEED=0. */
START_TEST(is_siphash_1_3)
{
	ck_assert_uint_eq(hash_bytes("a", 1), UINT64_C(0x407448d2b89b1813));
	ck_assert_uint_eq(hash_bytes("abcdefg", 7), UINT64_C(0x6db12aae9070f506));
	ck_assert_uint_eq(hash_bytes("abcdefgh", 8), UINT64_C(0x3f7b849c0b8e35ea));
	ck_assert_uint_eq(hash_bytes("sip:alice@example.com", 21), UINT64_C(0x5a14f194bcd47dd4));
	ck_assert_uint_eq(hash_bytes("\0", 1), UINT64_C(0x68a914128e01e473));
}
END_TEST

START_TEST(nocase_is_the_hash_of_lower_case)
{
	const char *upper = "SIP:ALICE@Example.COM;[Z]^_`{@";
	const char *lower = "sip:alice@example.com;[z]^_`{@";

	for (size_t n = 0; n <= strlen(upper); n++)
		ck_assert_uint_eq(hash_nocase(span_of(upper, n)), hash_bytes(lower, n));
	ck_assert_uint_eq(hash_nocase(SPAN_NONE), hash_bytes(NULL, 0));
	/* ASCII only: the other bytes stay what they are. */
	ck_assert_uint_eq(hash_nocase(SPAN_LIT("\xc4")), hash_bytes("\xc4", 1));
}
END_TEST

START_TEST(mix_tells_order_and_parts)
{
	ck_assert_uint_ne(hash_mix(1, 2), hash_mix(2, 1));
	ck_assert_uint_ne(hash_mix(1, 2), hash_mix(1, 3));
	ck_assert_uint_ne(hash_mix(0, 0), 0);
	ck_assert_uint_eq(hash_mix(7, 8), hash_mix(7, 8));
}
END_TEST

static uint64_t
of_pieces(struct span a, struct span b, uint64_t n)
{
	struct hash h;

	hash_begin(&h);
	hash_add_span(&h, a);
	hash_add_span(&h, b);
	hash_add(&h, n);
	return hash_end(&h);
}

START_TEST(pieces_and_their_ends_count)
{
	char text[40];
	struct hash h;

	/* one piece is what hash_bytes() makes of it, in either letter case */
	for (size_t n = 0; n <= sizeof(text); n++) {
		for (size_t i = 0; i < n; i++)
			text[i] = (char)(i % 3 == 0 ? 'A' + i % 26 : i % 3 == 1 ? 0xc0 + i : '[' + i);
		hash_begin(&h);
		hash_add_span(&h, span_of(text, n));
		ck_assert_uint_eq(hash_end(&h), hash_bytes(text, n));
		hash_begin(&h);
		hash_add_nocase(&h, span_of(text, n));
		ck_assert_uint_eq(hash_end(&h), hash_nocase(span_of(text, n)));
	}
	ck_assert_uint_eq(of_pieces(SPAN_LIT("ab"), SPAN_LIT("c"), 1), of_pieces(SPAN_LIT("ab"), SPAN_LIT("c"), 1));
	ck_assert_uint_ne(of_pieces(SPAN_LIT("ab"), SPAN_LIT("c"), 1), of_pieces(SPAN_LIT("a"), SPAN_LIT("bc"), 1));
	ck_assert_uint_ne(of_pieces(SPAN_LIT("abcdefgh"), SPAN_NONE, 1), of_pieces(SPAN_NONE, SPAN_LIT("abcdefgh"), 1));
	ck_assert_uint_ne(of_pieces(SPAN_NONE, SPAN_NONE, 1), of_pieces(SPAN_NONE, SPAN_NONE, 2));
}
END_TEST

START_TEST(key_changes_all_but_the_stable_one)
{
	uint64_t bytes = hash_bytes("a", 1), nocase = hash_nocase(SPAN_LIT("a")), mix = hash_mix(1, 2);
	uint64_t stable = hash_stable(SPAN_LIT("a"));

	hash_seed();
	ck_assert_uint_ne(hash_bytes("a", 1), bytes);
	ck_assert_uint_ne(hash_nocase(SPAN_LIT("a")), nocase);
	ck_assert_uint_ne(hash_mix(1, 2), mix);
	ck_assert_uint_eq(hash_stable(SPAN_LIT("a")), stable);
}
END_TEST

/* Written down: an array of edges of different releases must choose alike. */
START_TEST(stable_stays_what_it_was)
{
	ck_assert_uint_eq(hash_stable(SPAN_LIT("")), UINT64_C(0x8570e250fe4c2473));
	ck_assert_uint_eq(hash_stable(SPAN_LIT("a")), UINT64_C(0x82b19d9859a61322));
	ck_assert_uint_eq(hash_stable(SPAN_LIT("alice@example.com")), UINT64_C(0x85acdc600da7588b));
}
END_TEST

/* Which of n next hops: the names of a small company must not end up on one. */
START_TEST(stable_spreads_short_names)
{
	unsigned count[4] = { 0 };

	for (unsigned i = 0; i < 1000; i++) {
		char name[32];
		int n = snprintf(name, sizeof(name), "u%u@a.example", i);

		count[hash_stable(span_of(name, (size_t)n)) % 4]++;
	}
	for (size_t i = 0; i < 4; i++)
		ck_assert_msg(count[i] > 200 && count[i] < 300, "%u of 1000 on hop %zu", count[i], i);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { is_siphash_1_3, nocase_is_the_hash_of_lower_case, mix_tells_order_and_parts, pieces_and_their_ends_count,
		key_changes_all_but_the_stable_one, stable_stays_what_it_was, stable_spreads_short_names };

	return unit_run("hash", tests, sizeof(tests) / sizeof(tests[0]));
}
