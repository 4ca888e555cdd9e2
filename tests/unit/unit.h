/*
 * tests/unit/unit.h - main() of a unit test in three lines:
 *
 *	int
 *	main(void)
 *	{
 *		const TTest *tests[] = { writes_in_order, full_stays_failed };
 *
 *		return unit_run("strbuf", tests, sizeof(tests) / sizeof(tests[0]));
 *	}
 *
 * CK_RUN_CASE=name runs one test alone, CK_FORK=no is for debuggers.
 */
#ifndef SALLYPORT_TESTS_UNIT_H
#define SALLYPORT_TESTS_UNIT_H

#include <check.h>
#include <stdlib.h>

static inline int
unit_run(const char *suite, const TTest *const tests[], size_t n)
{
	Suite *s = suite_create(suite);
	SRunner *sr;
	int failed;

	for (size_t i = 0; i < n; i++) {
		TCase *tc = tcase_create(tests[i]->name);

		tcase_add_test(tc, tests[i]);
		/* Far above what a test needs, also under a sanitizer on a busy machine. */
		tcase_set_timeout(tc, 180);
		suite_add_tcase(s, tc);
	}
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
