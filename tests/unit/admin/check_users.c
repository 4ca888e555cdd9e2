/*
 * The user file: lines good and bad, modes, owners, the write that replaces the
 * whole file, and several writers at once.
 */
#include "admin/users.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/err.h"

static char dir[] = "/tmp/check_users.XXXXXX";
static char path[64];
static char said[4096];	/* what was reported, one a line */

static void
report(void *arg, int line, const char *text)
{
	size_t n = strlen(said);

	(void)arg;
	snprintf(said + n, sizeof(said) - n, "%d: %s\n", line, text);
}

static void
begin(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/users", dir);
	said[0] = '\0';
}

static void
finish(void)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	char name[512];

	while ((e = readdir(d)) != NULL) {
		snprintf(name, sizeof(name), "%s/%s", dir, e->d_name);
		if (e->d_name[0] != '.')
			unlink(name);
	}
	closedir(d);
	rmdir(dir);
}

static void
write_file(const char *text, mode_t mode)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
	ck_assert_int_eq(chmod(path, mode), 0);
}

static void
make_user(struct user *u, const char *aor, const char *password)
{
	memset(u, 0, sizeof(*u));
	u->enabled = u->remote = true;
	ck_assert_int_eq(user_set_aor(u, span_str(aor)), SP_OK);
	ck_assert_int_eq(user_set_pool(u, SPAN_LIT("Pool.int.example.com")), SP_OK);
	ck_assert_int_eq(user_set_password(u, SPAN_NONE, span_str(password)), SP_OK);
}

static const char *
line_of(const struct user *u)
{
	static char text[2048];
	struct strbuf sb;

	strbuf_init(&sb, text, sizeof(text));
	user_format(u, &sb);
	ck_assert(strbuf_ok(&sb));
	return text;
}

/* Computed with other tools: md5sum, sha256sum, openssl's legacy MD4. */
START_TEST(hashes)
{
	struct user u;

	make_user(&u, "Alice@Example.com", "secret");
	ck_assert_str_eq(line_of(&u), "alice@example.com pool=pool.int.example.com enabled=yes remote=yes "
	    "federation=no public-im=no archive=no realm=example.com md5=b1726872c344b6dc8365b774f8fd6412 md5-full=c79656e4f06dbae9fdf6727654273c65 "
	    "sha-256=ed8925b20f9a77b8f8f8d5f8e4467fe32b866f7208ab9e4b20595e9821a0fdee sha-256-full=6bd4517cd105061be6be1ad9fe83aa83624992e1dd855fe9df7b72f9b9c28151 nt=878d8014606cda29677a44efa1353fc7");
}
END_TEST

/* The NT hash of MS-NLMP 4.2.2.1.2, and one of text that needs surrogates. */
START_TEST(nt_hash)
{
	static const unsigned char want[16] = { 0xa4, 0xf4, 0x9c, 0x40, 0x65, 0x10, 0xbd, 0xca, 0xb6, 0x82, 0x4e, 0xe7,
	    0xc3, 0x0f, 0xd8, 0x52 };
	static const unsigned char wide[16] = { 0x70, 0x54, 0xac, 0x8b, 0x83, 0x70, 0x3b, 0x08, 0x8e, 0x1c, 0x33, 0x9f,
	    0x2e, 0x67, 0xeb, 0x2f };
	struct user u;

	make_user(&u, "user@example.com", "Password");
	ck_assert_mem_eq(u.nt, want, 16);
	make_user(&u, "user@example.com", "p\xc3\xa4\xe2\x82\xac\xf0\x9f\x94\x91");
	ck_assert_mem_eq(u.nt, wide, 16);
}
END_TEST

START_TEST(refuses_passwords)
{
	static const char *const bad[] = { "", "tab\there", "\xc3", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff",
	    "a\x7f" };
	struct user u = { .aor = "a@example.com" };
	char longest[USER_PASSWORD_MAX + 1];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(user_set_password(&u, SPAN_NONE, span_str(bad[i])) == SP_EINVAL, "row %zu", i);
	memset(longest, 'x', sizeof(longest));
	ck_assert_int_eq(user_set_password(&u, SPAN_NONE, span_of(longest, USER_PASSWORD_MAX)), SP_OK);
	ck_assert_int_eq(user_set_password(&u, SPAN_NONE, span_of(longest, USER_PASSWORD_MAX + 1)), SP_EINVAL);
	ck_assert_int_eq(user_set_password(&u, SPAN_LIT("a\"b"), SPAN_LIT("x")), SP_EINVAL);
}
END_TEST

START_TEST(names)
{
	static const struct {
		const char *aor;
		int want;
	} rows[] = {
		{ "a@b", SP_OK }, { "A.B-c_d+e@X.example", SP_OK }, { "@b", SP_EINVAL }, { "a@", SP_EINVAL }, { "a", SP_EINVAL },
		{ "a b@c", SP_EINVAL }, { "a:b@c", SP_EINVAL }, { "a@b@c", SP_EINVAL }, { "a@-b", SP_EINVAL },
		{ "a@b-", SP_EINVAL }, { "a@b..c", SP_EINVAL }, { "a@b-.c", SP_EINVAL }, { "a@b_c", SP_EINVAL },
		{ "a\"@b", SP_EINVAL }, { "a@b/c", SP_EINVAL }, { "a%40@b", SP_EINVAL }, { "", SP_EINVAL }
	};
	struct user u;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ck_assert_msg(user_set_aor(&u, span_str(rows[i].aor)) == rows[i].want, "%s", rows[i].aor);
}
END_TEST

START_TEST(round_trip)
{
	struct user u, back;
	const char *why;
	make_user(&u, "bob@example.com", "x");
	ck_assert_int_eq(user_set_password(&u, SPAN_LIT("SIP Communications Service 100%"), SPAN_LIT("x")), SP_OK);
	ck_assert_ptr_nonnull(strstr(line_of(&u), " realm=SIP%20Communications%20Service%20100%25 "));
	ck_assert_int_eq(user_parse(&back, span_str(line_of(&u)), &why), SP_OK);
	ck_assert_str_eq(back.realm, u.realm);
	ck_assert_mem_eq(back.sha256_full, u.sha256_full, 32);
	ck_assert(back.enabled && back.remote && !back.federation && !back.public_im && !back.archive);
}
END_TEST

#define HASHES	"realm=r md5=00000000000000000000000000000000 md5-full=00000000000000000000000000000000 " \
		"sha-256=0000000000000000000000000000000000000000000000000000000000000000 " \
		"sha-256-full=0000000000000000000000000000000000000000000000000000000000000000 " \
		"nt=00000000000000000000000000000000"

/* Every wrong line is named, and nothing of the file is used. */
START_TEST(bad_lines)
{
	struct users *us;

	write_file("# a comment\n\n"
	    "good@example.com pool=p " HASHES "\n"
	    "nobody pool=p " HASHES "\n"
	    "a@example.com " HASHES "\n"
	    "b@example.com pool=p colour=red " HASHES "\n"
	    "c@example.com pool=p remote=maybe " HASHES "\n"
	    "d@example.com pool=p pool=q " HASHES "\n"
	    "e@example.com pool=p realm=r md5=00\n"
	    "GOOD@example.com pool=p " HASHES "\n"
	    "f@example.com pool=p " HASHES, 0600);
	ck_assert_int_eq(users_load(&us, path, report, NULL), SP_EINVAL);
	ck_assert_ptr_null(us);
	ck_assert_str_eq(said,
	    "4: the line does not begin with user@domain\n"
	    "5: the pool, the realm or one of the hashes is missing\n"
	    "6: a word is not one of the known name=value pairs\n"
	    "7: a value does not have the form that its name asks for\n"
	    "8: a name is there twice\n"
	    "9: a value does not have the form that its name asks for\n"
	    "10: this user is there already\n"
	    "11: the line is too long, or the file ends within it\n");
}
END_TEST

START_TEST(long_line)
{
	struct users *us;
	char text[6000];

	memset(text, 'x', sizeof(text));
	strcpy(text + sizeof(text) - 60, "\nnobody\n");
	write_file(text, 0600);
	ck_assert_int_eq(users_load(&us, path, report, NULL), SP_EINVAL);
	ck_assert_str_eq(said, "1: the line is too long, or the file ends within it\n"
	    "2: the line does not begin with user@domain\n");
}
END_TEST

START_TEST(modes)
{
	static const mode_t bad[] = { 0640, 0604, 0620, 0602, 0610, 0601, 0644, 0660 };
	struct users *us;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		write_file("", bad[i]);
		said[0] = '\0';
		ck_assert_int_eq(users_load(&us, path, report, NULL), SP_EINVAL);
		ck_assert_ptr_nonnull(strstr(said, "mode 0600"));
	}
	write_file("", 0600);
	ck_assert_int_eq(users_load(&us, path, report, NULL), SP_OK);
	ck_assert_uint_eq(users_count(us), 0);
	users_free(us);
	unlink(path);
	ck_assert_int_eq(users_load(&us, path, report, NULL), SP_ENOENT);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_int_eq(users_load(&us, path, report, NULL), SP_EINVAL);
	rmdir(path);
	ck_assert_int_eq(mkfifo(path, 0600), 0);	/* must not wait for a writer */
	ck_assert_int_eq(users_load(&us, path, report, NULL), SP_EINVAL);
}
END_TEST

START_TEST(owner_stays)
{
	struct users *us = users_new();
	struct stat st;

	if (geteuid() != 0) {
		users_free(us);
		return;		/* only root can give files away */
	}
	write_file("", 0600);
	ck_assert_int_eq(chown(path, 4711, 4712), 0);
	ck_assert_int_eq(users_save(us, path), SP_OK);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_uid, 4711);
	ck_assert_uint_eq(st.st_gid, 4712);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	users_free(us);
}
END_TEST

START_TEST(many)
{
	struct users *us = users_new();
	struct user u;
	char name[64];

	make_user(&u, "x@example.com", "x");
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "user%u@example.com", i);
		ck_assert_int_eq(user_set_aor(&u, span_str(name)), SP_OK);
		ck_assert_int_eq(users_put(us, &u), SP_OK);
	}
	for (unsigned i = 0; i < 1000; i += 2) {
		snprintf(name, sizeof(name), "USER%u@example.com", i);
		ck_assert(users_remove(us, span_str(name)));
		ck_assert(!users_remove(us, span_str(name)));
	}
	ck_assert_int_eq(users_save(us, path), SP_OK);
	users_free(us);
	ck_assert_int_eq(users_load(&us, path, report, NULL), SP_OK);
	ck_assert_uint_eq(users_count(us), 500);
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "User%u@Example.com", i);
		ck_assert((users_find(us, span_str(name)) != NULL) == (i % 2 == 1));
	}
	users_free(us);
}
END_TEST

/* Nothing that one writes is lost by another. */
START_TEST(writers)
{
	enum { WRITERS = 6, EACH = 8 };
	struct users *us;
	pid_t pid[WRITERS];
	int status;

	for (int w = 0; w < WRITERS; w++) {
		if ((pid[w] = fork()) != 0)
			continue;
		for (int i = 0; i < EACH; i++) {
			struct user u;
			char name[64];
			int fd;

			make_user(&u, "x@example.com", "x");
			snprintf(name, sizeof(name), "u%d-%d@example.com", w, i);
			if (users_lock(path, 20000, &fd) != SP_OK)
				_exit(1);
			if (users_load(&us, path, report, NULL) == SP_ENOENT)
				us = users_new();
			if (us == NULL || user_set_aor(&u, span_str(name)) != SP_OK || users_put(us, &u) != SP_OK ||
			    users_save(us, path) != SP_OK)
				_exit(2);
			users_free(us);
			users_unlock(fd);
		}
		_exit(0);
	}
	for (int w = 0; w < WRITERS; w++) {
		ck_assert_int_eq(waitpid(pid[w], &status, 0), pid[w]);
		ck_assert_int_eq(status, 0);
	}
	ck_assert_int_eq(users_load(&us, path, report, NULL), SP_OK);
	ck_assert_uint_eq(users_count(us), WRITERS * EACH);
	users_free(us);
}
END_TEST

START_TEST(lock_held)
{
	int one, two;

	ck_assert_int_eq(users_lock(path, 0, &one), SP_OK);
	ck_assert_int_eq(users_lock(path, 0, &two), SP_ETIME);
	ck_assert_int_eq(two, -1);
	users_unlock(one);
	ck_assert_int_eq(users_lock(path, 0, &two), SP_OK);
	users_unlock(two);
}
END_TEST

/* A write that fails leaves the old file, and nothing beside it. */
START_TEST(failed_write)
{
	struct users *us = users_new();
	char nowhere[128];

	snprintf(nowhere, sizeof(nowhere), "%s/none/users", dir);
	ck_assert_int_eq(users_save(us, nowhere), SP_EIO);
	ck_assert_int_eq(errno, ENOENT);
	/* a directory in its place cannot be replaced by a file */
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_int_eq(users_save(us, path), SP_EIO);
	ck_assert_int_eq(rmdir(path), 0);
	ck_assert_int_eq(rmdir(dir), 0);	/* empty */
	ck_assert_int_eq(mkdir(dir, 0700), 0);
	users_free(us);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("users");
	TCase *tc = tcase_create("users");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, begin, finish);
	tcase_add_test(tc, hashes);
	tcase_add_test(tc, nt_hash);
	tcase_add_test(tc, refuses_passwords);
	tcase_add_test(tc, names);
	tcase_add_test(tc, round_trip);
	tcase_add_test(tc, bad_lines);
	tcase_add_test(tc, long_line);
	tcase_add_test(tc, modes);
	tcase_add_test(tc, owner_stays);
	tcase_add_test(tc, many);
	tcase_add_test(tc, writers);
	tcase_add_test(tc, lock_held);
	tcase_add_test(tc, failed_write);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
