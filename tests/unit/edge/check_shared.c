/*
 * What comes from Redis: replies, policies and figures that fit, and those that do not.
 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "edge/redis.h"
#include "edge/shared.h"

#define TEXT	"internal_domains = [ \"example.com\" ];\n"

/* ---- policies ---- */

START_TEST(policies_fit_together)
{
	char hash[POLICY_HASH_TEXT], line[POLICY_CHANGE_LINE], refused[POLICY_CHANGE_LINE];
	struct policy_change c;
	struct span text = SPAN_LIT(TEXT);

	policy_hash(text, hash);
	snprintf(line, sizeof(line), "version=7 parent=6 time=2026-11-20T15:04:05Z author=\"alice\" action=commit sha256=%s note=\"\"", hash);
	snprintf(refused, sizeof(refused), "version=7 parent=6 time=2026-11-20T15:04:05Z author=\"alice\" action=refused sha256=%s note=\"\"",
	    hash);
	ck_assert(shared_read_policy(SPAN_LIT("7"), span_str(hash), span_str(line), text, &c));
	ck_assert_uint_eq(c.version, 7);
	ck_assert_str_eq(c.author, "alice");
	ck_assert(!shared_read_policy(SPAN_LIT("8"), span_str(hash), span_str(line), text, &c));
	ck_assert(!shared_read_policy(SPAN_LIT("-7"), span_str(hash), span_str(line), text, &c));
	ck_assert(!shared_read_policy(SPAN_LIT("0"), span_str(hash), span_str(line), text, &c));
	ck_assert(!shared_read_policy(SPAN_LIT("18446744073709551615"), span_str(hash), span_str(line), text, &c));
	ck_assert(!shared_read_policy(SPAN_LIT("7"), SPAN_LIT("00"), span_str(line), text, &c));
	ck_assert(!shared_read_policy(SPAN_LIT("7"), span_str(hash), SPAN_LIT("version=7"), text, &c));
	ck_assert(!shared_read_policy(SPAN_LIT("7"), span_str(hash), span_str(refused), text, &c));
	ck_assert(!shared_read_policy(SPAN_LIT("7"), span_str(hash), span_str(line), SPAN_LIT("another"), &c));
	ck_assert(!shared_read_policy(SPAN_NONE, SPAN_NONE, SPAN_NONE, SPAN_NONE, &c));
}
END_TEST

/* ---- partners ---- */

START_TEST(figures_have_bounds)
{
	struct edge_discovered_spent p;

	ck_assert(shared_read_spent(SPAN_LIT("1000 5 7 1"), 1000, &p));
	ck_assert_uint_eq(p.requests, 5);
	ck_assert_uint_eq(p.addressees, 7);
	ck_assert_uint_eq(p.suspicious, 1);
	/* what is old says how many it has addressed, and nothing of now; a clock that is ahead does not either */
	ck_assert(shared_read_spent(SPAN_LIT("1000 5 7 0"), 1003, &p) && p.requests == 5);
	ck_assert(shared_read_spent(SPAN_LIT("1000 5 7 0"), 1004, &p) && p.requests == 0 && p.addressees == 7);
	ck_assert(shared_read_spent(SPAN_LIT("1004 5 7 0"), 1000, &p) && p.requests == 0);
	for (size_t i = 0; i < 10; i++) {
		static const struct span bad[10] = { { "", 0 }, { "1 2 3", 5 }, { "1 2 3 4", 7 }, { "1 2 3 0 ", 8 }, { "1  3 0", 6 }, { "a 2 3 0", 7 },
		    { "1 -2 3 0", 8 }, { "1 2000000 3 0", 13 }, { "1 2 3 0 5", 9 }, { "99999999999999999999 2 3 0", 26 } };

		ck_assert_msg(!shared_read_spent(bad[i], 1, &p), "%zu", i);
	}
}
END_TEST

/* ---- replies ---- */

START_TEST(replies_have_bounds)
{
	struct redis_reply *r;
	char many[32];

	ck_assert_int_eq(redis_parse(SPAN_LIT("+OK\r\n"), 0, &r), SP_OK);
	ck_assert(span_is(redis_text(r), "OK") && redis_count(r) == 0 && !redis_is_nil(r) && !redis_is_error(r));
	redis_reply_free(r);
	ck_assert_int_eq(redis_parse(SPAN_LIT("-NOAUTH no\r\n"), 0, &r), SP_OK);
	ck_assert(redis_is_error(r));
	redis_reply_free(r);
	ck_assert_int_eq(redis_parse(SPAN_LIT("*3\r\n$1\r\na\r\n$-1\r\n:5\r\n"), 0, &r), SP_OK);
	ck_assert_uint_eq(redis_count(r), 3);
	ck_assert(span_is(redis_text(redis_at(r, 0)), "a") && redis_is_nil(redis_at(r, 1)));
	ck_assert(redis_text(redis_at(r, 2)).n == 0);	/* a number is no text */
	ck_assert_ptr_null(redis_at(r, 3));
	redis_reply_free(r);
	ck_assert_int_eq(redis_parse(SPAN_LIT("$5\r\nab"), 0, &r), SP_EAGAIN);
	ck_assert_int_eq(redis_parse(SPAN_LIT("hello\r\n"), 0, &r), SP_ESYNTAX);
	ck_assert_ptr_null(r);
	ck_assert_int_eq(redis_parse(SPAN_LIT("*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n"), 0, &r), SP_ELIMIT);
	snprintf(many, sizeof(many), "*%d\r\n", REDIS_ELEMENTS_MAX + 1);
	/* refused by its head, before there is room made for that many */
	ck_assert_int_eq(redis_parse(span_str(many), 0, &r), SP_ELIMIT);
	ck_assert_int_eq(redis_parse(SPAN_LIT("*1000000000\r\n"), 1, &r), SP_ELIMIT);
	ck_assert_int_eq(redis_parse(SPAN_LIT("*1000\r\n*1000\r\n"), 0, &r), SP_ELIMIT);
	ck_assert_int_eq(redis_parse(SPAN_LIT("*1000\r\n"), 0, &r), SP_EAGAIN);
	ck_assert_int_eq(redis_parse(SPAN_LIT("$999999999\r\n"), 3, &r), SP_ELIMIT);
	ck_assert_int_eq(redis_parse(SPAN_LIT("*-5\r\n"), 0, &r), SP_ESYNTAX);
	ck_assert_int_eq(redis_parse(SPAN_LIT("*99999999999999999999999999\r\n"), 0, &r), SP_ESYNTAX);
	ck_assert_int_eq(redis_parse(SPAN_LIT("$2\r\nabc\r\n"), 0, &r), SP_ESYNTAX);
	for (size_t piece = 0; piece < 5; piece++) {
		ck_assert_int_eq(redis_parse(SPAN_LIT("*3\r\n*2\r\n+a\r\n$0\r\n\r\n*0\r\n$3\r\na\r\n\r\n"), piece, &r), SP_OK);
		ck_assert(redis_count(r) == 3 && redis_count(redis_at(r, 0)) == 2 && span_is(redis_text(redis_at(r, 2)), "a\r\n"));
		redis_reply_free(r);
	}
	ck_assert(redis_is_nil(NULL) && redis_count(NULL) == 0 && redis_at(NULL, 0) == NULL && !redis_is_error(NULL));
}
END_TEST

START_TEST(names)
{
	for (unsigned i = 0; i < STATS_NSHARED; i++)
		ck_assert_uint_gt(strlen(stats_shared_name((enum stats_shared)i)), 3);
	ck_assert_str_eq(stats_shared_name((enum stats_shared)99), "none");
	ck_assert_str_eq(shared_state_name(SHARED_ALONE), "alone");
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = { policies_fit_together, figures_have_bounds, replies_have_bounds, names };

	return unit_run("shared", tests, sizeof(tests) / sizeof(tests[0]));
}
