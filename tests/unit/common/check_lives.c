/*
 * check_lives.c - counts of restarts are the same in all processes of a daemon.
 */
#include <sys/wait.h>

#include <stdlib.h>
#include <unistd.h>

#include "common/lives.h"
#include "tests/unit/unit.h"

START_TEST(without_sharing_there_are_no_counts)
{
	lives_again(LIVES_KEYD);
	ck_assert_uint_eq(lives_again_count(LIVES_KEYD), 0);
}
END_TEST

START_TEST(all_processes_count_as_one)
{
	int status = -1;
	pid_t pid;

	lives_share();
	lives_again(LIVES_PROXY);
	ck_assert_int_ge(pid = fork(), 0);
	if (pid == 0) {
		lives_again(LIVES_PROXY);
		lives_again(LIVES_WINBIND);
		lives_hung(LIVES_KEYD, 5000);
		_exit(lives_again_count(LIVES_PROXY) == 2 ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_uint_eq(lives_again_count(LIVES_PROXY), 2);
	ck_assert_uint_eq(lives_again_count(LIVES_KEYD), 0);
	ck_assert_uint_eq(lives_again_count(LIVES_WINBIND), 1);
	/* that one hung is not that it was started again, which is counted when it is */
	ck_assert_uint_eq(lives_hung_count(LIVES_KEYD), 1);
	ck_assert_uint_eq(lives_hung_count(LIVES_PROXY), 0);
	ck_assert_uint_eq(lives_hung_count(LIVES_N), 0);
}
END_TEST

START_TEST(each_has_a_name)
{
	ck_assert_str_eq(lives_name(LIVES_PROXY), "proxy");
	ck_assert_str_eq(lives_name(LIVES_WINBIND), "winbind");
	ck_assert_str_eq(lives_name(LIVES_SHARED), "shared");
	ck_assert_str_eq(lives_name(LIVES_N), "");
	lives_share();
	lives_again(LIVES_N);
	ck_assert_uint_eq(lives_again_count(LIVES_N), 0);
}
END_TEST

START_TEST(caches_are_told_by_who_has_them)
{
	lives_tell(LIVES_USERS, 5, 1);
	ck_assert_uint_eq(lives_cache(LIVES_USERS), 0);	/* nobody shares yet */
	lives_share();
	lives_tell(LIVES_USERS, 5, 3);
	lives_tell(LIVES_USERS, 7, 4);
	ck_assert_uint_eq(lives_cache(LIVES_USERS), 7);
	ck_assert_uint_eq(lives_cache_full(LIVES_USERS), 4);
	/* another process begins with none, and what was counted stays counted */
	lives_tell(LIVES_USERS, 0, 0);
	lives_tell(LIVES_USERS, 1, 2);
	ck_assert_uint_eq(lives_cache(LIVES_USERS), 1);
	ck_assert_uint_eq(lives_cache_full(LIVES_USERS), 6);
	ck_assert_uint_eq(lives_cache(LIVES_GUESSES), 0);
	ck_assert_str_eq(lives_cache_name(LIVES_USERS), "directory");
	ck_assert_str_eq(lives_cache_name(LIVES_NCACHES), "");
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { without_sharing_there_are_no_counts, all_processes_count_as_one, each_has_a_name,
	    caches_are_told_by_who_has_them };

	return unit_run("lives", tests, sizeof(tests) / sizeof(tests[0]));
}
