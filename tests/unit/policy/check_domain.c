/*
 * check_domain.c - domain names in their one form.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "policy/domain.h"

#define L63	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define IN(s)	s, sizeof(s) - 1

static const struct {
	const char	*in;
	size_t		 n;
	const char	*out;	/* NULL: refused */
	bool		 is_ip;
} rows[] = {
	{ IN("contoso.example"), "contoso.example", false },
	{ IN("Contoso.EXAMPLE"), "contoso.example", false },
	{ IN("contoso.example."), "contoso.example", false },
	{ IN("localhost"), "localhost", false },
	{ IN("my_pc.contoso.example"), "my_pc.contoso.example", false },
	{ IN("3com.example"), "3com.example", false },
	{ IN("a.b-c.d--e.f"), "a.b-c.d--e.f", false },
	{ IN("xn--bcher-kva.example"), "xn--bcher-kva.example", false },
	{ IN("XN--BCHER-KVA.example"), "xn--bcher-kva.example", false },
	{ IN(L63 ".example"), L63 ".example", false },
	{ IN(L63 "." L63 "." L63 "." "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
	    L63 "." L63 "." L63 "." "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false },
	/* names in other scripts become A-labels, in every spelling the same */
	{ IN("b\xc3\xbc" "cher.example"), "xn--bcher-kva.example", false },
	{ IN("B\xc3\x9c" "CHER.Example"), "xn--bcher-kva.example", false },
	{ IN("bu\xcc\x88" "cher.example"), "xn--bcher-kva.example", false },
	{ IN("b\xc3\xbc" "cher\xe3\x80\x82" "example"), "xn--bcher-kva.example", false },
	{ IN("fa\xc3\x9f.example"), "xn--fa-hia.example", false },
	{ IN("\xe4\xbe\x8b\xe3\x81\x88.example"), "xn--r8jz45g.example", false },
	{ IN("\xef\xbd\x83\xef\xbd\x8fntoso.example"), "contoso.example", false },
	/* addresses */
	{ IN("192.0.2.1"), "192.0.2.1", true },
	{ IN("0.0.0.0"), "0.0.0.0", true },
	{ IN("255.255.255.255"), "255.255.255.255", true },
	{ IN("[2001:db8::1]"), "[2001:db8::1]", true },
	{ IN("[2001:DB8:0:0::1]"), "[2001:db8::1]", true },
	{ IN("[::]"), "[::]", true },
	{ IN("[::ffff:192.0.2.1]"), "[::ffff:192.0.2.1]", true },
	/* nothing at all, and dots where none belong */
	{ IN(""), NULL, false },
	{ IN("."), NULL, false },
	{ IN(".."), NULL, false },
	{ IN(".example"), NULL, false },
	{ IN("a..example"), NULL, false },
	{ IN("a.example.."), NULL, false },
	/* bytes that no host name has */
	{ IN("contoso.example\0"), NULL, false },
	{ IN("contoso.example\0.evil.example"), NULL, false },
	{ IN("b\xc3\xbc" "cher.example\0.evil.example"), NULL, false },
	{ IN(" contoso.example"), NULL, false },
	{ IN("contoso.example "), NULL, false },
	{ IN("contoso.example\r\n"), NULL, false },
	{ IN("con toso.example"), NULL, false },
	{ IN("contoso.example:5061"), NULL, false },
	{ IN("alice@contoso.example"), NULL, false },
	{ IN("contoso.example;x"), NULL, false },
	{ IN("contoso%2eexample"), NULL, false },
	{ IN("*.contoso.example"), NULL, false },
	{ IN("-a.example"), NULL, false },
	{ IN("a-.example"), NULL, false },
	{ IN("a.-"), NULL, false },
	/* too long */
	{ IN(L63 "a.example"), NULL, false },
	{ IN(L63 "." L63 "." L63 "." L63), NULL, false },
	/* not UTF-8, not an IDNA name */
	{ IN("b\xfc" "cher.example"), NULL, false },
	{ IN("\xc3"), NULL, false },
	{ IN("\xe2\x80\x8b"), NULL, false },
	{ IN("a\xe2\x80\xa8" "b.example"), NULL, false },
	/* what a resolver might take for an address */
	{ IN("1"), NULL, false },
	{ IN("1.2.3"), NULL, false },
	{ IN("1.2.3.4.5"), NULL, false },
	{ IN("256.0.0.1"), NULL, false },
	{ IN("192.0.2.01"), NULL, false },
	{ IN("192.0.2.1000"), NULL, false },
	{ IN("0x7f000001"), NULL, false },
	{ IN("a.0X1F"), NULL, false },
	{ IN("a.0x"), NULL, false },
	{ IN("\xef\xbc\x91\xef\xbc\x92\xef\xbc\x97.0.0.1"), NULL, false },
	{ IN("[2001:db8::1"), NULL, false },
	{ IN("2001:db8::1"), NULL, false },
	{ IN("[2001:db8::1%eth0]"), NULL, false },
	{ IN("[2001:db8::1\0]"), NULL, false },
	{ IN("[::1]x"), NULL, false },
	{ IN("[]"), NULL, false },
	{ IN("["), NULL, false },
	{ IN("[192.0.2.1]"), NULL, false },
	{ IN("[0000000000000000000000000000000000000000000000000000::1]"), NULL, false },
};

START_TEST(canon)
{
	/* A copy of exactly this size: a sanitizer sees a read past its end. */
	char *copy = malloc(rows[_i].n != 0 ? rows[_i].n : 1);
	char out[DOMAIN_MAX], again[DOMAIN_MAX];
	struct span got, twice;
	bool is_ip;
	int err;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, rows[_i].in, rows[_i].n);
	err = policy_domain_canon(span_of(copy, rows[_i].n), out, &got, &is_ip);
	free(copy);
	if (rows[_i].out == NULL) {
		ck_assert_msg(err == SP_ESYNTAX, "row %d: %s taken as %s", _i, rows[_i].in, out);
		ck_assert(span_is_empty(got));
		return;
	}
	ck_assert_msg(err == SP_OK, "row %d: %s refused", _i, rows[_i].in);
	ck_assert_str_eq(out, rows[_i].out);
	ck_assert(span_is(got, rows[_i].out));
	ck_assert_int_eq(is_ip, rows[_i].is_ip);
	ck_assert(policy_domain_is_canon(got));
	ck_assert_int_eq(policy_domain_is_ip(got), is_ip);
	ck_assert_int_eq(policy_domain_canon(got, again, &twice, &is_ip), SP_OK);
	ck_assert(span_eq(got, twice));
}
END_TEST

/* Very long input is refused without being converted. */
START_TEST(overlong)
{
	static char long_name[70000];
	char out[DOMAIN_MAX];
	struct span got;
	bool is_ip;

	memset(long_name, 'a', sizeof(long_name));
	ck_assert_int_eq(policy_domain_canon(span_of(long_name, sizeof(long_name)), out, &got, &is_ip), SP_ESYNTAX);
	for (size_t i = 0; i + 1 < sizeof(long_name); i += 2)
		memcpy(long_name + i, "\xc3\xbc", 2);
	ck_assert_int_eq(policy_domain_canon(span_of(long_name, sizeof(long_name)), out, &got, &is_ip), SP_ESYNTAX);
}
END_TEST

START_TEST(is_canon)
{
	static const char *const no[] = {
		"", ".", "A.example", "a.example.", "a..b", "1.2.3", "*.a.example", "[2001:DB8::1]", "[::1",
		"b\xc3\xbc" "cher.example", "a b",
	};

	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		ck_assert_msg(!policy_domain_is_canon(span_str(no[i])), "%s", no[i]);
	ck_assert(!policy_domain_is_canon(SPAN_NONE));
	ck_assert(!policy_domain_is_ip(SPAN_NONE));
}
END_TEST

START_TEST(within)
{
	static const struct {
		const char	*name, *domain;
		bool		 yes;
	} w[] = {
		{ "contoso.example", "contoso.example", true },
		{ "x.contoso.example", "contoso.example", true },
		{ "x.y.contoso.example", "contoso.example", true },
		{ "xcontoso.example", "contoso.example", false },
		{ "contoso.example", "x.contoso.example", false },
		{ "example", "contoso.example", false },
		{ "contoso.example", "", false },
		{ "", "contoso.example", false },
		{ "", "", false },
		{ "contoso.example.org", "contoso.example", false },
	};

	for (size_t i = 0; i < sizeof(w) / sizeof(w[0]); i++)
		ck_assert_msg(policy_domain_within(span_str(w[i].name), span_str(w[i].domain)) == w[i].yes,
		    "%s in %s", w[i].name, w[i].domain);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("domain");
	TCase *tc = tcase_create("domain");
	SRunner *sr;
	int failed;

	tcase_add_loop_test(tc, canon, 0, sizeof(rows) / sizeof(rows[0]));
	tcase_add_test(tc, overlong);
	tcase_add_test(tc, is_canon);
	tcase_add_test(tc, within);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
