#include "common/span.h"

#include "tests/unit/unit.h"

START_TEST(compares)
{
	ck_assert(span_eq(SPAN_NONE, SPAN_LIT("")));
	ck_assert(span_eq(SPAN_LIT("a\0b"), span_of("a\0b", 3)));
	ck_assert(!span_eq(SPAN_LIT("a\0b"), SPAN_LIT("a\0c")));
	ck_assert(!span_eq(SPAN_LIT("a"), SPAN_LIT("ab")));
	ck_assert(span_ieq(SPAN_LIT("A-z[9"), SPAN_LIT("a-Z[9")));
	ck_assert(!span_ieq(SPAN_LIT("["), SPAN_LIT("{")));
	ck_assert(!span_ieq(SPAN_LIT("\xc4"), SPAN_LIT("\xe4")));
	ck_assert(span_is(SPAN_LIT("x"), "x") && !span_is(SPAN_LIT("X"), "x") && span_iis(SPAN_LIT("X"), "x"));
	ck_assert(span_is_empty(SPAN_NONE) && span_is_empty(span_str(NULL)) && !span_is_empty(SPAN_LIT("x")));
}
END_TEST

START_TEST(cuts)
{
	struct span s = SPAN_LIT("abc");

	ck_assert(span_is(span_head(s, 2), "ab") && span_is(span_head(s, 4), "abc"));
	ck_assert(span_is(span_tail(s, 2), "c") && span_is(span_tail(s, 3), "") && span_is(span_tail(s, 4), ""));
	ck_assert(span_istarts(s, SPAN_LIT("AB")) && span_istarts(s, SPAN_NONE));
	ck_assert(!span_istarts(s, SPAN_LIT("abcd")) && !span_istarts(SPAN_NONE, SPAN_LIT("a")));
	ck_assert_uint_eq(span_find(s, 'c'), 2);
	ck_assert_uint_eq(span_find(s, 'd'), 3);
	ck_assert_uint_eq(span_find(SPAN_NONE, 'd'), 0);
	ck_assert(span_is(span_trim(SPAN_LIT(" \t\r\na b \r\n")), "a b") && span_is(span_trim(SPAN_LIT(" \t ")), ""));
}
END_TEST

START_TEST(reads_numbers)
{
	static const struct {
		const char	*in;
		uint64_t	 max;
		bool		 good;
		uint64_t	 out;
	} rows[] = {
		{ "0", 0, true, 0 }, { "65535", 65535, true, 65535 }, { "65536", 65535, false, 0 },
		{ "007", 9, true, 7 }, { "", 9, false, 0 }, { "-1", 9, false, 0 }, { "+1", 9, false, 0 },
		{ " 1", 9, false, 0 }, { "1 ", 9, false, 0 }, { "1a", 99, false, 0 }, { "0x1", 99, false, 0 },
		{ "18446744073709551615", UINT64_MAX, true, UINT64_MAX },
		{ "18446744073709551616", UINT64_MAX, false, 0 },
		{ "99999999999999999999", UINT64_MAX, false, 0 },
		{ "100000000000000000000", UINT64_MAX, false, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t v = 12345;

		ck_assert_msg(span_uint(span_str(rows[i].in), rows[i].max, &v) == rows[i].good, "%s", rows[i].in);
		ck_assert_uint_eq(v, rows[i].good ? rows[i].out : 12345);
	}
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { compares, cuts, reads_numbers };

	return unit_run("span", tests, sizeof(tests) / sizeof(tests[0]));
}
