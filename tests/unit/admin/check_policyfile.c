/*
 * check_policyfile.c - policy.conf as the edge reads it.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/conf.h"
#include "admin/policyfile.h"
#include "policy/decision.h"
#include "policy/rules.h"

static struct policy_rules *
load_text(const char *text, char errors[8192])
{
	char path[] = "/tmp/check_policyfile.XXXXXX";
	struct conf_errors *errs = conf_errors_new();
	struct policy_rules *rules;
	int fd = mkstemp(path);
	size_t used = 0;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq((int)write(fd, text, strlen(text)), (int)strlen(text));
	close(fd);
	rules = policyfile_load(path, errs);
	unlink(path);
	errors[0] = '\0';
	for (size_t i = 0; i < conf_errors_count(errs); i++) {
		/* Without the name, which is another one each time. */
		const char *line = strchr(conf_errors_get(errs, i), ':');
		int n = snprintf(errors + used, 8192 - used, "%s\n", line != NULL ? line + 1 : "?");

		if (n > 0 && used + (size_t)n < 8192)
			used += (size_t)n;
	}
	conf_errors_free(errs);
	return rules;
}

#define BASE	"internal_domains = [ \"contoso.example\" ];\ninternal_servers = [ \"director.contoso.example\" ];\n"

START_TEST(example)
{
	const char *dir = getenv("srcdir");
	struct conf_errors *errs = conf_errors_new();
	struct policy_rules *rules;
	char path[4096];
	size_t n;

	snprintf(path, sizeof(path), "%s/policy/policy.conf.example", dir != NULL ? dir : ".");
	rules = policyfile_load(path, errs);
	conf_errors_print(errs, stderr);
	ck_assert_ptr_nonnull(rules);
	ck_assert_uint_eq(policy_partner_count(rules), 5);
	ck_assert_str_eq(policy_partner_get(rules, 0)->name, "Fabrikam");
	ck_assert_uint_eq(policy_partner_get(rules, 1)->port, 5061);
	ck_assert(policy_partner_get(rules, 1)->accept_cn);
	ck_assert(policy_is_internal_domain(rules, "contoso.example", 15));
	ck_assert_uint_eq(policy_pin_count(rules), 2);
	ck_assert_uint_eq(policy_pin_get(rules, 1)[31], 0xcc);
	ck_assert_uint_eq(policy_refused_certificates(rules, &n)[0][0], 0xd7);
	ck_assert_uint_eq(n, 1);
	policy_rules_unref(rules);
	conf_errors_free(errs);
}
END_TEST

/* A decision names the line of the file, and defaults have none. */
START_TEST(places)
{
	static const struct span server[] = { { "sip.p.example", 13 } };
	char errors[8192];
	struct policy_rules *rules = load_text(BASE
	    "federation = true;\n"
	    "blocked = [\n\"one.example\",\n\"two.example\"\n// the last\n];\n"
	    "partners = ( {\n  server = \"SIP.P.example\";\n  domains = [ \"p.example\",\n    \"q.example\" ];\n"
	    "  verification = \"always-verifiable\";\n} );\n", errors);
	struct policy_facts f = { .side = POLICY_SIDE_OUTER, .door_partners = true, .door_users = true,
		.has_certificate = true, .names = server, .nnames = 1, .method = POLICY_METHOD_MESSAGE,
		.from_domain = SPAN_LIT("two.example"), .to_domain = SPAN_LIT("contoso.example"),
		.ruri_domain = SPAN_LIT("contoso.example") };
	struct policy_decision d;

	ck_assert_msg(rules != NULL, "%s", errors);
	d = policy_decide(rules, &f);
	ck_assert_int_eq(d.reason, POLICY_REASON_FROM_DOMAIN_BLOCKED);
	ck_assert_int_eq(d.trail[d.ntrail - 1].line, 6);
	f.from_domain = SPAN_LIT("q.example");
	d = policy_decide(rules, &f);
	ck_assert_int_eq(d.verdict, POLICY_ALLOW);
	ck_assert_int_eq(d.verification, POLICY_VERIFIED);
	ck_assert_int_eq(d.trail[0].line, 10);
	ck_assert_int_eq(d.trail[d.ntrail - 1].line, 13);
	for (unsigned i = 0; i < d.ntrail; i++) {
		if (d.trail[i].step == POLICY_STEP_SWITCH)
			ck_assert_int_eq(d.trail[i].line, 3);
		if (d.trail[i].step == POLICY_STEP_SPOOF)
			ck_assert_int_eq(d.trail[i].line, 12);
	}
	ck_assert_str_eq(policy_partner_get(rules, 0)->name, "SIP.P.example");
	ck_assert_uint_eq(policy_partner_get(rules, 0)->port, 5061);
	f.has_certificate = false;
	f.nnames = 0;
	f.from_domain = SPAN_LIT("contoso.example");
	d = policy_decide(rules, &f);
	ck_assert_int_eq(d.verdict, POLICY_ALLOW);
	policy_rules_unref(rules);
}
END_TEST

/* What libconfig, the table and the policy room find comes out together. */
START_TEST(all_errors_at_once)
{
	char errors[8192];
	struct policy_rules *rules = load_text(
	    "internal_domains = [ \"contoso.example\", \"not a name\" ];\n"
	    "internal_servers = \"*\";\n"
	    "remote_users = \"yes\";\n"
	    "blocked = [ \"contoso.example\" ];\n"
	    "colour = \"red\";\n"
	    "partners = (\n"
	    "  { name = \"A\"; domains = [ \"a.example\" ]; },\n"
	    "  { name = \"B\"; server = \"sip.b.example\"; port = 70000; },\n"
	    "  { name = \"C\"; server = \"sip.c.example\"; domains = \"a.example\"; verification = \"maybe\"; }\n"
	    ");\n", errors);

	ck_assert_ptr_null(rules);
	ck_assert_msg(strstr(errors, "1: internal_domains: expects a domain name, not \"not a name\"\n") != NULL, "%s", errors);
	ck_assert_msg(strstr(errors, "1: internal_domains: contoso.example is blocked (blocked: contoso.example, ") != NULL,
	    "%s", errors);
	ck_assert_msg(strstr(errors, "2: internal_servers: expects a server name") != NULL, "%s", errors);
	ck_assert_msg(strstr(errors, "3: remote_users: expects true or false\n") != NULL, "%s", errors);
	ck_assert_msg(strstr(errors, "5: colour: there is no such option") != NULL, "%s", errors);
	ck_assert_msg(strstr(errors, "7: partners: A has no server\n") != NULL, "%s", errors);
	ck_assert_msg(strstr(errors, "8: partners[1].port: expects a number from 1 to 65535\n") != NULL, "%s", errors);
	ck_assert_msg(strstr(errors, "8: partners: B has no domain\n") != NULL, "%s", errors);
	ck_assert_msg(strstr(errors, "9: partners[].domains: a.example belongs to partner A already") != NULL, "%s",
	    errors);
	ck_assert_msg(strstr(errors, "9: partners[2].verification: expects one of") != NULL, "%s", errors);
}
END_TEST

START_TEST(what_must_be_there)
{
	char errors[8192];

	ck_assert_ptr_null(load_text("", errors));
	ck_assert_msg(strstr(errors, "internal_domains: is missing") != NULL, "%s", errors);
	ck_assert_msg(strstr(errors, "internal_servers: is missing") != NULL, "%s", errors);
	ck_assert_ptr_null(load_text("internal_domains = [", errors));
	ck_assert_str_ne(errors, "");
	{
		struct policy_rules *rules = load_text(BASE, errors);

		ck_assert_ptr_nonnull(rules);
		ck_assert_str_eq(errors, "");
		policy_rules_unref(rules);
	}
}
END_TEST

/* The hash is that of the text alone, and there is none of what cannot be read. */
START_TEST(hash_of_what_was_read)
{
	char path[] = "/tmp/check_policyfile.XXXXXX", want[POLICY_HASH_TEXT], got[POLICY_HASH_TEXT];
	static const char text[] = "internal_domains = [ \"contoso.example\" ];\ninternal_servers = [ \"d.contoso.example\" ];\n";
	struct conf_errors *errs = conf_errors_new();
	struct policy_rules *rules;
	int fd = mkstemp(path);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	close(fd);
	policy_hash(span_str(text), want);
	ck_assert_ptr_nonnull(rules = policyfile_pack(path, errs, NULL, got));
	ck_assert_str_eq(got, want);
	policy_rules_unref(rules);
	unlink(path);
	ck_assert_ptr_null(policyfile_pack(path, errs, NULL, got));
	ck_assert_str_eq(got, "");
	ck_assert_uint_ne(conf_errors_count(errs), 0);
	conf_errors_free(errs);
}
END_TEST

START_TEST(options_are_listed)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	ck_assert_ptr_nonnull(f);
	policyfile_print_options(f);
	fclose(f);
	ck_assert_ptr_nonnull(strstr(text, "internal_domains\t"));
	ck_assert_ptr_nonnull(strstr(text, "partners[].server\t"));
	free(text);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("policyfile");
	TCase *tc = tcase_create("policyfile");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, example);
	tcase_add_test(tc, places);
	tcase_add_test(tc, all_errors_at_once);
	tcase_add_test(tc, what_must_be_there);
	tcase_add_test(tc, options_are_listed);
	tcase_add_test(tc, hash_of_what_was_read);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
