#include "common/mem.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sysexits.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "tests/unit/unit.h"

START_TEST(nothing_is_still_something)
{
	void *p = xmalloc(0);

	ck_assert_ptr_nonnull(p);
	p = xrealloc(p, 0);
	ck_assert_ptr_nonnull(p);
	free(p);
	p = xcalloc(0, 8);
	ck_assert_ptr_nonnull(p);
	free(p);
}
END_TEST

START_TEST(copies)
{
	char *s = xstrdup("abc"), *m = xmemdup("a\0b", 3), *e = xmemdup(NULL, 0);

	ck_assert_str_eq(s, "abc");
	ck_assert_mem_eq(m, "a\0b", 4);
	ck_assert_str_eq(e, "");
	free(s);
	free(m);
	free(e);
}
END_TEST

/* How a child ends that asks for more than there is, standard error closed. */
static int
status_of_child(void (*ask)(void))
{
	pid_t pid = fork();
	int status;

	ck_assert_int_ne(pid, -1);
	if (pid == 0) {
		close(STDERR_FILENO);
		ask();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
ask_product(void)
{
	volatile size_t n = SIZE_MAX / 2;

	free(xreallocarray(NULL, n, 4));
}

static void
ask_copy(void)
{
	volatile size_t n = SIZE_MAX;

	free(xmemdup("", n));
}

START_TEST(too_much_ends_the_process)
{
	ck_assert_int_eq(status_of_child(ask_product), EX_OSERR);
	ck_assert_int_eq(status_of_child(ask_copy), EX_OSERR);
}
END_TEST

START_TEST(wipes)
{
	char secret[] = "secret";

	mem_wipe(secret, 3);
	ck_assert_mem_eq(secret, "\0\0\0ret", 7);
	mem_wipe(NULL, 0);
	mem_wipe_free(NULL, 5);
	mem_wipe_free(xstrdup("x"), 1);
}
END_TEST

START_TEST(compares_secrets)
{
	ck_assert(mem_equal_secret("abc", "abc", 3));
	ck_assert(!mem_equal_secret("abc", "abd", 3));
	ck_assert(!mem_equal_secret("abc", "bbc", 3));
	ck_assert(mem_equal_secret("abc", "xyz", 0));
}
END_TEST

START_TEST(random_bytes_differ)
{
	unsigned char a[64] = { 0 }, b[64] = { 0 }, zero[64] = { 0 };

	mem_random(a, sizeof(a));
	mem_random(b, sizeof(b));
	ck_assert_mem_ne(a, zero, sizeof(a));
	ck_assert_mem_ne(a, b, sizeof(a));
	/* To the last byte: sixteen draws of which the last byte is never touched are not luck. */
	for (int i = 0; i < 16 && a[63] == 0; i++)
		mem_random(a, sizeof(a));
	ck_assert_uint_ne(a[63], 0);
}
END_TEST

START_TEST(clock_can_be_told)
{
	uint64_t ms = 1000, before = clock_us();
	time_t wall = 1700000000;

	ck_assert_uint_ge(clock_us(), before);
	ck_assert_uint_ge(clock_ms(), before / 1000);
	ck_assert_int_gt(clock_wall(), 1600000000);
	ck_assert_uint_ge(clock_wall_ms() / 1000 + 1, (uint64_t)clock_wall());
	clock_fake(&ms, &wall);
	ck_assert_uint_eq(clock_ms(), 1000);
	ms = 2001;
	ck_assert_uint_eq(clock_ms(), 2001);
	ck_assert_uint_eq(clock_us(), 2001000);
	ck_assert_int_eq(clock_wall(), 1700000000);
	ck_assert_uint_eq(clock_wall_ms(), UINT64_C(1700000000000));
	clock_fake(NULL, NULL);
	ck_assert_uint_ge(clock_us(), before);
}
END_TEST

START_TEST(errors_have_phrases)
{
	for (int e = SP_OK; e >= SP_ETIME; e--)
		ck_assert_str_ne(sp_err_name(e), "unknown error");
	ck_assert_str_eq(sp_err_name(1), "unknown error");
	ck_assert_str_eq(sp_err_name(SP_ETIME - 1), "unknown error");
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { nothing_is_still_something, copies, too_much_ends_the_process, wipes,
		compares_secrets, random_bytes_differ, clock_can_be_told, errors_have_phrases };

	return unit_run("mem", tests, sizeof(tests) / sizeof(tests[0]));
}
