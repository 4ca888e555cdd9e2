/*
 * The accounts of the admin page: lines good and bad, passwords, tokens.
 */
#include "admin/accounts.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/mem.h"
#include "net/scrypt.h"
#include "tests/unit/unit.h"

#define CHEAP	10	/* scrypt's cost in tests */

static char path[] = "/tmp/check_accounts.XXXXXX";
static char said[4096];

static void
report(void *arg, int line, const char *text)
{
	size_t n = strlen(said);

	(void)arg;
	snprintf(said + n, sizeof(said) - n, "%d: %s\n", line, text);
}

static void
put_file(const char *text)
{
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	said[0] = '\0';
}

/* RFC 7914 12, the third vector has N 16384, r 8, p 1. */
START_TEST(scrypt_is_scrypt)
{
	static const unsigned char want[] = { 0x70, 0x23, 0xbd, 0xcb, 0x3a, 0xfd, 0x73, 0x48, 0x46, 0x1c, 0x06, 0xcd, 0x81,
	    0xfd, 0x38, 0xeb };
	unsigned char key[64];

	ck_assert_int_eq(net_scrypt(SPAN_LIT("pleaseletmein"), SPAN_LIT("SodiumChloride"), 14, 8, 1, key, sizeof(key)), SP_OK);
	ck_assert_mem_eq(key, want, sizeof(want));
	ck_assert_int_eq(net_scrypt(SPAN_LIT("x"), SPAN_LIT("y"), 9, 8, 1, key, sizeof(key)), SP_EINVAL);
	ck_assert_int_eq(net_scrypt(SPAN_LIT("x"), SPAN_LIT("y"), 21, 8, 1, key, sizeof(key)), SP_EINVAL);
	ck_assert_int_eq(net_scrypt(SPAN_LIT("x"), SPAN_LIT("y"), 10, 17, 1, key, sizeof(key)), SP_EINVAL);
}
END_TEST

START_TEST(passwords_prove)
{
	struct account a = { .name = "alice", .role = ACCOUNT_VIEWER }, b = a;

	ck_assert_int_eq(account_set_password(&a, SPAN_LIT("correct horse"), CHEAP), SP_OK);
	ck_assert_int_eq(account_set_password(&b, SPAN_LIT("correct horse"), CHEAP), SP_OK);
	ck_assert_mem_ne(a.salt, b.salt, sizeof(a.salt));
	ck_assert_mem_ne(a.key, b.key, sizeof(a.key));
	ck_assert(account_proves(&a, SPAN_LIT("correct horse")));
	ck_assert(!account_proves(&a, SPAN_LIT("correct horsf")));
	ck_assert(!account_proves(&a, SPAN_NONE));
	ck_assert(!account_proves(NULL, SPAN_LIT("correct horse")));
	ck_assert_int_eq(account_set_password(&a, SPAN_LIT("elevenchars"), CHEAP), SP_EINVAL);
	ck_assert_int_eq(account_set_password(&a, SPAN_LIT("with a\ttab inside"), CHEAP), SP_EINVAL);
}
END_TEST

START_TEST(a_long_password_is_no_short_one)
{
	static char longest[ACCOUNT_PASSWORD_MAX + 2];
	struct account a = { .name = "alice" };

	memset(longest, 'x', sizeof(longest));
	ck_assert_int_eq(account_set_password(&a, span_of(longest, ACCOUNT_PASSWORD_MAX + 1), CHEAP), SP_EINVAL);
	ck_assert_int_eq(account_set_password(&a, span_of(longest, ACCOUNT_PASSWORD_MAX), CHEAP), SP_OK);
	ck_assert(account_proves(&a, span_of(longest, ACCOUNT_PASSWORD_MAX)));
	ck_assert(!account_proves(&a, span_of(longest, ACCOUNT_PASSWORD_MAX + 2)));
}
END_TEST

START_TEST(file_comes_back)
{
	struct accounts *as = accounts_new(), *back;
	struct account a = { .name = "alice", .role = ACCOUNT_OPERATOR };
	struct account_token t = { .account = "alice", .label = "ci", .role = ACCOUNT_OPERATOR, .until = 1000 };
	char token[ACCOUNT_TOKEN_ROOM];
	enum account_role role;
	struct stat st;

	put_file("");
	ck_assert_int_eq(account_set_password(&a, SPAN_LIT("correct horse"), CHEAP), SP_OK);
	account_token_make(&t, token);
	ck_assert_int_eq((int)strlen(token), ACCOUNT_TOKEN_ROOM - 1 - 18);
	ck_assert_int_eq(accounts_put(as, &a), SP_OK);
	ck_assert_int_eq(accounts_put_token(as, &t), SP_OK);
	ck_assert_int_eq(accounts_save(as, path), SP_OK);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
	ck_assert_int_eq(accounts_load(&back, path, report, NULL), SP_OK);
	ck_assert_uint_eq(accounts_count(back), 1);
	ck_assert(account_proves(accounts_find(back, SPAN_LIT("alice")), SPAN_LIT("correct horse")));
	ck_assert_ptr_nonnull(accounts_by_token(back, span_str(token), 999, &role));
	ck_assert_int_eq(role, ACCOUNT_OPERATOR);
	ck_assert_ptr_null(accounts_by_token(back, span_str(token), 1000, &role));	/* its time is over */
	token[15] ^= 1;
	ck_assert_ptr_null(accounts_by_token(back, span_str(token), 999, &role));
	ck_assert_int_eq(role, ACCOUNT_NOBODY);
	token[15] ^= 1;
	a.role = ACCOUNT_VIEWER;	/* a token is never more than its account */
	ck_assert_int_eq(accounts_put(back, &a), SP_OK);
	ck_assert_ptr_nonnull(accounts_by_token(back, span_str(token), 999, &role));
	ck_assert_int_eq(role, ACCOUNT_VIEWER);
	ck_assert(accounts_remove(back, SPAN_LIT("alice")));
	ck_assert_uint_eq(accounts_token_count(back), 0);
	ck_assert(!accounts_remove(back, SPAN_LIT("alice")));
	accounts_free(as);
	accounts_free(back);
	unlink(path);
}
END_TEST

#define KEY	"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define SALT	"00112233445566778899aabbccddeeff"

START_TEST(bad_lines_are_named)
{
	static const struct {
		const char	*line;
		bool		 good;
	} rows[] = {
		{ "account alice role=viewer scrypt=15:8:1:" SALT ":" KEY, true },
		{ "account Alice role=viewer scrypt=15:8:1:" SALT ":" KEY, false },
		{ "account alice role=root scrypt=15:8:1:" SALT ":" KEY, false },
		{ "account alice role=viewer scrypt=25:8:1:" SALT ":" KEY, false },
		{ "account alice role=viewer scrypt=15:0:1:" SALT ":" KEY, false },
		{ "account alice role=viewer scrypt=15:8:1:" SALT ":" KEY "00", false },
		{ "account alice role=viewer scrypt=15:8:1:" SALT ":" KEY " more", false },
		{ "account alice scrypt=15:8:1:" SALT ":" KEY " role=viewer", false },
		{ "account  role=viewer scrypt=15:8:1:" SALT ":" KEY, false },
		{ "token alice/ci role=viewer sha256=" KEY " until=5", true },
		{ "token alice role=viewer sha256=" KEY " until=5", false },
		{ "token alice/ci role=viewer sha256=" KEY " until=-5", false },
		{ "token alice/ci role=viewer sha256=" SALT " until=5", false },
		{ "guest x", false }
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[512];
		struct accounts *as;

		snprintf(text, sizeof(text), "# comment\n%s\n", rows[i].line);
		strcpy(path, "/tmp/check_accounts.XXXXXX");
		put_file(text);
		ck_assert_msg((accounts_load(&as, path, report, NULL) == SP_OK) == rows[i].good, "%s", rows[i].line);
		ck_assert_msg(rows[i].good || strncmp(said, "2: ", 3) == 0, "%s: %s", rows[i].line, said);
		accounts_free(as);
		unlink(path);
	}
}
END_TEST

START_TEST(doubles_and_modes)
{
	struct accounts *as;

	put_file("account a role=viewer scrypt=15:8:1:" SALT ":" KEY "\naccount a role=viewer scrypt=15:8:1:" SALT ":" KEY "\n");
	ck_assert_int_eq(accounts_load(&as, path, report, NULL), SP_EINVAL);
	ck_assert_ptr_null(as);
	ck_assert_int_eq(strncmp(said, "2: ", 3), 0);
	ck_assert_int_eq(chmod(path, 0640), 0);
	said[0] = '\0';
	ck_assert_int_eq(accounts_load(&as, path, report, NULL), SP_EINVAL);
	ck_assert_int_eq(strncmp(said, "0: ", 3), 0);
	unlink(path);
	ck_assert_int_eq(accounts_load(&as, path, report, NULL), SP_ENOENT);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { scrypt_is_scrypt, passwords_prove, a_long_password_is_no_short_one, file_comes_back,
	    bad_lines_are_named, doubles_and_modes };

	return unit_run("accounts", tests, sizeof(tests) / sizeof(tests[0]));
}
