#include "common/proc.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/err.h"
#include "tests/unit/unit.h"

START_TEST(frame_layout)
{
	static const unsigned char want[] = { 0x02, 0x01, 3, 0, 0, 0, 0x0c, 0x0b, 0x0a, 9, 8, 7, 6, 5, 'a', 'b', 'c' };
	unsigned char out[sizeof(want)];
	const struct frame f = { .type = 0x0102, .tag = UINT64_C(0x05060708090a0b0c), .len = 3,
		.body = (const unsigned char *)"abc" };

	ck_assert_uint_eq(frame_format(&f, out), sizeof(want));
	ck_assert_mem_eq(out, want, sizeof(want));
}
END_TEST

START_TEST(frame_is_whole_or_not_there)
{
	unsigned char buf[2 * (FRAME_HEAD + 3)];
	struct frame f = { .type = 7, .tag = 9, .len = 3, .body = (const unsigned char *)"abc" };
	size_t n = frame_format(&f, buf);

	memcpy(buf + n, buf, n);
	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(frame_parse(buf, i, &f), 0);
	ck_assert_int_eq(frame_parse(buf, n, &f), (ssize_t)n);
	ck_assert_int_eq(frame_parse(buf, 2 * n, &f), (ssize_t)n);
	ck_assert_uint_eq(f.type, 7);
	ck_assert_uint_eq(f.tag, 9);
	ck_assert_uint_eq(f.len, 3);
	ck_assert_ptr_eq(f.body, buf + FRAME_HEAD);
}
END_TEST

START_TEST(frame_length_has_a_limit)
{
	static unsigned char buf[FRAME_HEAD + FRAME_MAX];
	struct frame f = { .len = FRAME_MAX, .body = buf + FRAME_HEAD };

	ck_assert_uint_eq(frame_format(&f, buf), sizeof(buf));
	ck_assert_int_eq(frame_parse(buf, sizeof(buf), &f), (ssize_t)sizeof(buf));
	buf[2] = 1;	/* 65537, seen as soon as the length is there */
	ck_assert_int_eq(frame_parse(buf, 6, &f), SP_ESYNTAX);
	buf[5] = 0xff;
	ck_assert_int_eq(frame_parse(buf, sizeof(buf), &f), SP_ESYNTAX);
	ck_assert_int_eq(frame_parse(buf, 5, &f), 0);
}
END_TEST

START_TEST(fields_come_back)
{
	unsigned char body[100];
	struct frame_writer w;
	struct frame_reader r;
	struct frame f = { .body = body };
	const char *text;
	size_t n;

	frame_writer_init(&w, body, sizeof(body));
	frame_put_u8(&w, 0xfe);
	frame_put_u32(&w, 0xfedcba98);
	frame_put_text(&w, "a\0b", 3);
	frame_put_text(&w, NULL, 0);
	frame_put_u64(&w, UINT64_C(0xfedcba9876543210));
	ck_assert(!w.failed);
	f.len = w.len;
	frame_reader_init(&r, &f);
	ck_assert_uint_eq(frame_u8(&r), 0xfe);
	ck_assert_uint_eq(frame_u32(&r), 0xfedcba98);
	text = frame_text(&r, &n);
	ck_assert_uint_eq(n, 3);
	ck_assert_mem_eq(text, "a\0b", 3);
	(void)frame_text(&r, &n);
	ck_assert_uint_eq(n, 0);
	ck_assert(!frame_done(&r));	/* something is left */
	ck_assert_uint_eq(frame_u64(&r), UINT64_C(0xfedcba9876543210));
	ck_assert(frame_done(&r));
	ck_assert_uint_eq(frame_u8(&r), 0);
	ck_assert(!frame_done(&r));
}
END_TEST

START_TEST(reading_past_the_end_stays_failed)
{
	const unsigned char body[] = { 5, 0, 'a', 'b', 'c' };	/* counts five, has three */
	const struct frame f = { .len = sizeof(body), .body = body };
	struct frame_reader r;
	size_t n = 99;

	frame_reader_init(&r, &f);
	ck_assert_str_eq(frame_text(&r, &n), "");
	ck_assert_uint_eq(n, 0);
	ck_assert_uint_eq(frame_u8(&r), 0);	/* although there would be bytes */
	ck_assert(!frame_done(&r));
}
END_TEST

START_TEST(writing_past_the_end_stays_failed)
{
	unsigned char body[8] = { 0 };
	struct frame_writer w;
	static const char large[65537];

	frame_writer_init(&w, body, 5);
	frame_put_u32(&w, 1);
	frame_put_text(&w, "", 0);	/* two bytes, one is free */
	ck_assert(w.failed);
	frame_put_u8(&w, 1);
	ck_assert(w.failed);
	ck_assert_uint_eq(w.len, 4);
	ck_assert_uint_eq(body[4], 0);

	frame_writer_init(&w, body, sizeof(body));
	frame_put_text(&w, large, 65536);
	ck_assert(w.failed);
}
END_TEST

/* What fn says in a child that it may change for good. */
static int
in_child(int (*fn)(void))
{
	pid_t pid = fork();
	int status;

	ck_assert_int_ne(pid, -1);
	if (pid == 0)
		_exit(fn());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int
drop_to_nobody(void)
{
	const struct passwd *pw = getpwnam("nobody");
	gid_t groups[64];
	int n;

	if (pw == NULL)
		return 1;
	if (proc_drop_to("nobody") != SP_OK)
		return 2;
	if (getuid() != pw->pw_uid || geteuid() != pw->pw_uid || getgid() != pw->pw_gid)
		return 3;
	if (setuid(0) == 0 || setgid(0) == 0)
		return 4;
	n = getgroups(64, groups);
	for (int i = 0; i < n; i++)
		if (groups[i] == 0)
			return 5;
	/* Dropping to whom one is already is nothing; to somebody else it fails. */
	if (proc_drop_to("nobody") != SP_OK || proc_drop_to("root") != SP_EIO)
		return 6;
	return proc_drop_to(NULL) == SP_OK && proc_drop_to("") == SP_OK ? 0 : 7;
}

START_TEST(drops_for_good)
{
	ck_assert_int_eq(proc_drop_to("no-such-user-here"), SP_ENOENT);
	if (geteuid() != 0) {
		ck_assert_int_eq(proc_drop_to(NULL), SP_OK);
		ck_assert_int_eq(proc_drop_to("root"), SP_EIO);
		return;
	}
	ck_assert_int_eq(proc_drop_to(NULL), SP_EINVAL);
	ck_assert_int_eq(proc_drop_to(""), SP_EINVAL);
	ck_assert_int_eq(in_child(drop_to_nobody), 0);
}
END_TEST

static int
harden(void)
{
	struct rlimit rl;

	proc_harden();
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 1;
	if (getrlimit(RLIMIT_CORE, &rl) != 0 || rl.rlim_cur != 0 || rl.rlim_max != 0)
		return 2;
#if !defined(__SANITIZE_ADDRESS__)
	if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		return 3;
#endif
	return 0;
}

START_TEST(hardens)
{
	ck_assert_int_eq(in_child(harden), 0);
}
END_TEST

static int
want_files(void)
{
	struct rlimit rl = { 64, 128 };

	if (setrlimit(RLIMIT_NOFILE, &rl) != 0)
		return 1;
	if (proc_want_files(50) != 64 || proc_want_files(100) != 100 || proc_want_files(1000) != 128)
		return 2;
	return getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_cur == 128 ? 0 : 3;
}

START_TEST(raises_the_file_limit)
{
	ck_assert_int_eq(in_child(want_files), 0);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { frame_layout, frame_is_whole_or_not_there, frame_length_has_a_limit,
		fields_come_back, reading_past_the_end_stays_failed, writing_past_the_end_stays_failed,
		drops_for_good, hardens, raises_the_file_limit };

	return unit_run("proc", tests, sizeof(tests) / sizeof(tests[0]));
}
