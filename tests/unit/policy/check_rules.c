/*
 * check_rules.c - building rules: every mistake is reported with its place, the
 * order of rules does not matter where it should not, and a decision allocates nothing.
 */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/decision.h"
#include "policy/rules.h"
#include "tests/unit/policy/rulefile.h"

static void
expect_errors(const char *name)
{
	static struct rule_errors errors;
	char rules_name[64], errors_name[64];
	char *text, *want;
	struct policy_rules *rules;

	snprintf(rules_name, sizeof(rules_name), "%s.rules", name);
	snprintf(errors_name, sizeof(errors_name), "%s.errors", name);
	text = test_data(rules_name);
	want = test_data(errors_name);
	rules = rules_from_text(rules_name, text, &errors);
	ck_assert_ptr_null(rules);
	/* longer than what Check takes for a message */
	if (strcmp(errors.text, want) != 0)
		fprintf(stderr, "%s: got\n%s", name, errors.text);
	ck_assert_msg(strcmp(errors.text, want) == 0, "%s.errors is another list", name);
	free(text);
	free(want);
}

START_TEST(every_mistake)
{
	expect_errors("mistakes");
}
END_TEST

START_TEST(every_conflict)
{
	expect_errors("conflicts");
}
END_TEST

/* The same lines in another order are the same contradictions. */
#define KEY	"1111111111111111111111111111111111111111111111111111111111111111\n"

START_TEST(conflicts_in_any_order)
{
	static const char *const pairs[][2] = {
		{ "domain a.example\n", "blocked a.example\n" },
		{ "domain x.a.example\n", "blocked a.example\n" },
		{ "domain .a.example\n", "blocked a.example\n" },
		{ "domain a.example\n", "partner P\npartner.server s.p.example\npartner.domain a.example\n" },
		{ "domain x.a.example\n", "partner P\npartner.server s.p.example\npartner.domain .a.example\n" },
		{ "domain .a.example\n", "partner P\npartner.server s.p.example\npartner.domain x.a.example\n" },
		{ "domain .a.example\n", "partner P\npartner.server s.p.example\npartner.domain .a.example\n" },
		{ "domain .b.a.example\n", "partner P\npartner.server s.p.example\npartner.domain .a.example\n" },
		{ "blocked a.example\n", "partner P\npartner.server s.p.example\npartner.domain a.example\n" },
		{ "blocked a.example\n", "partner P\npartner.server s.a.example\npartner.domain p.example\n" },
		{ "blocked a.example\n", "internal-server s.a.example\n" },
		{ "blocked a.example\n", "internal-server s*.a.example\n" },
		{ "internal-server s.a.example\n",
		    "partner P\npartner.server s.a.example\npartner.domain p.example\n" },
		{ "internal-server *.a.example\n",
		    "partner P\npartner.server s.a.example\npartner.domain p.example\n" },
		{ "partner P\npartner.server s.p.example\npartner.domain p.example\n",
		    "partner Q\npartner.server s.q.example\npartner.domain p.example\n" },
		{ "blocked a.example\n", "allowed a.example\n" },
		{ "blocked a.example\n", "allowed .a.example\n" },
		{ "blocked a.example\n", "allowed x.a.example\n" },
		{ "domain a.example\n", "allowed a.example\n" },
		{ "domain .a.example\n", "allowed x.a.example\n" },
		{ "partner P\npartner.server s.p.example\npartner.domain a.example\n", "allowed a.example\n" },
		{ "partner P\npartner.server s.p.example\npartner.domain .a.example\n", "allowed x.a.example\n" },
		{ "default-route h.example\n", "provider V\nprovider.server s.v.example\nprovider.enabled on\n" },
		{ "default-route h.example\n", "clearinghouse on\n" },
		{ "default-route h.example\n", "default-route i.example\n" },
		{ "default-route s.a.example\n", "blocked a.example\n" },
		{ "partner P\npartner.server s.p.example\npartner.domain p.example\n",
		    "provider V\nprovider.server s.p.example\n" },
		{ "branch s.p.example\n", "provider V\nprovider.server s.p.example\n" },
		{ "branch s.p.example\n", "default-route s.p.example\n" },
		{ "branch s.p.example\n", "internal-server *.p.example\n" },
		{ "blocked a.example\n", "route x.test\nroute.server s.a.example\n" },
		{ "internal-server s.a.example\n", "route x.test\nroute.server s.a.example\n" },
		{ "route x.test\nroute.server s.a.example\n", "route x.test\nroute.server s.b.example\n" },
		{ "discovery off\n", "open-federation on\n" },
		{ "partner P\npartner.server s.p.example\npartner.domain p.example\n",
		    "partner Q\npartner.server s.p.example\npartner.domain q.example\n" },
		{ "partner P\npartner.server s.p.example\npartner.domain p.example\npartner.certificate pinned\npartner.pin " KEY,
		    "provider Q\nprovider.server s.q.example\nprovider.certificate pinned\nprovider.pin " KEY },
		{ "branch s.p.example\nbranch.certificate pinned\nbranch.pin " KEY,
		    "provider Q\nprovider.server s.q.example\nprovider.certificate pinned\nprovider.pin " KEY },
		{ "branch s.p.example\nbranch.certificate pinned\nbranch.pin " KEY,
		    "default-route s.q.example\ndefault-route.certificate pinned\ndefault-route.pin " KEY },
		{ "branch s.p.example\nbranch.certificate pinned\nbranch.pin " KEY,
		    "branch s.q.example\nbranch.certificate pinned\nbranch.pin " KEY },
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		for (int swap = 0; swap < 2; swap++) {
			static struct rule_errors errors;
			char text[512];

			snprintf(text, sizeof(text), "%s%s", pairs[i][swap], pairs[i][!swap]);
			ck_assert_msg(rules_from_text("t", text, &errors) == NULL, "taken: %s", text);
			ck_assert_msg(errors.count == 1, "%zu errors for\n%s%s", errors.count, text, errors.text);
			ck_assert_msg(strstr(errors.text, "t:") != NULL, "no other place: %s", errors.text);
		}
	}
}
END_TEST

/* What looks like a contradiction and is none. */
START_TEST(no_conflicts)
{
	static const char *const texts[] = {
		"",
		"domain a.example\nblocked x.a.example\n",
		"domain .a.example\nblocked x.a.example\n",
		"domain .a.example\npartner P\npartner.server s.p.example\npartner.domain a.example\n",
		"domain a.example\npartner P\npartner.server s.p.example\npartner.domain .a.example\n",
		"blocked a.example\nblocked a.example\nblocked x.a.example\n",
		"partner P\npartner.server s.p.example\npartner.domain .p.example\n"
		"partner Q\npartner.server s.q.example\npartner.domain x.p.example\n",
		"internal-server s*.a.example\npartner P\npartner.server t.a.example\npartner.domain p.example\n",
		"blocked s.a.example\ninternal-server s*.a.example\n",
		"domain B\xc3\xbc" "cher.example\n",
		"allowed .a.example\nblocked x.a.example\npartner P\npartner.server s.p.example\n"
		"partner.domain x.y.a.example\ndomain z.a.example\nallowed a.example\n",
		"default-route h.example\nprovider V\nprovider.server s.v.example\n",
		"clearinghouse off\ndefault-route h.example\nopen-federation off\ndiscovery off\n",
		"route x.test\nroute.server s.p.example\npartner P\npartner.server s.p.example\npartner.domain p.example\n"
		"route *.test\nroute.server s.p.example\n",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		static struct rule_errors errors;
		struct policy_rules *rules = rules_from_text("t", texts[i], &errors);

		ck_assert_msg(rules != NULL, "%s%s", texts[i], errors.text);
		policy_rules_unref(rules);
	}
}
END_TEST

/* Errors of several files come file by file, each by line. */
START_TEST(errors_by_file)
{
	static struct rule_errors errors;
	struct policy_builder *b = policy_builder_new();

	policy_builder_add(b, "one", 5, "domain", "-");
	policy_builder_add(b, "two", 1, "domain", "-");
	policy_builder_add(b, "one", 2, "domain", "-");
	policy_builder_add(b, "two", 7, "domain", "x.example");
	policy_builder_add(b, "one", 9, "blocked", "x.example");
	errors = (struct rule_errors){ .len = 0 };
	ck_assert_ptr_null(policy_builder_finish(b, rule_errors_add, &errors));
	ck_assert_str_eq(errors.text, "2: domain: expects a domain name, not \"-\"\n"
	    "5: domain: expects a domain name, not \"-\"\n"
	    "1: domain: expects a domain name, not \"-\"\n"
	    "7: domain: x.example is blocked (blocked: x.example, one:9)\n");
	/* The builder is empty again, and nobody has to listen. */
	policy_builder_add(b, "three", 1, "nonsense", "");
	ck_assert_ptr_null(policy_builder_finish(b, NULL, NULL));
	policy_builder_add(b, "four", 1, "domain", "x.example");
	{
		struct policy_rules *rules = policy_builder_finish(b, NULL, NULL);

		ck_assert_ptr_nonnull(rules);
		ck_assert(policy_is_internal_domain(rules, "x.example", 9));
		ck_assert(!policy_is_internal_domain(rules, "x.exampl", 8));
		ck_assert(!policy_is_internal_domain(rules, "a.x.example", 11));
		ck_assert(!policy_is_internal_domain(rules, "", 0));
		policy_rules_unref(rules);
	}
	policy_builder_free(b);
	policy_builder_free(NULL);
	policy_rules_unref(NULL);
}
END_TEST

START_TEST(partners)
{
	static struct rule_errors errors;
	struct policy_rules *rules = rules_from_text("t",
	    "partner One & only\npartner.server SIP.One.Example.\npartner.domain one.example\n"
	    "partner Two\npartner.server sip.two.example\npartner.port 7061\npartner.domain two.example\n"
	    "partner.cn on\n", &errors);
	const struct policy_partner *p;

	ck_assert_ptr_nonnull(rules);
	ck_assert_uint_eq(policy_partner_count(rules), 2);
	p = policy_partner_get(rules, 0);
	ck_assert_str_eq(p->name, "One & only");
	ck_assert_str_eq(p->server, "sip.one.example");
	ck_assert_uint_eq(p->port, 5061);
	ck_assert(!p->accept_cn);
	p = policy_partner_get(rules, 1);
	ck_assert_uint_eq(p->port, 7061);
	ck_assert(p->accept_cn);
	policy_rules_unref(rules);
}
END_TEST

static void
note_domain(void *arg, struct span domain, bool below)
{
	char *text = arg;

	snprintf(text + strlen(text), 256 - strlen(text), "%s%.*s ", below ? "." : "", SPAN_FMT(domain));
}

/* What is shown of a partner is what the rules say. */
START_TEST(terms)
{
	static struct rule_errors errors;
	static const char pin[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	struct policy_rules *rules;
	struct policy_partner_terms t;
	const unsigned char *pins[1];
	char text[1024], domains[256] = "";

	snprintf(text, sizeof(text), "partner One\npartner.server sip.one.example\npartner.domain one.example\n"
	    "partner.domain .one.example\npartner.verification always-unverifiable\npartner.certificate pinned\n"
	    "partner.pin %s\npartner.paused on\npartner Two\npartner.server sip.two.example\npartner.domain two.example\n", pin);
	ck_assert_ptr_nonnull(rules = rules_from_text("t", text, &errors));
	policy_partner_terms_of(rules, 0, &t);
	ck_assert_str_eq(t.certificate, "pinned");
	ck_assert_str_eq(t.verification, "always-unverifiable");
	ck_assert(t.paused && t.enabled && !t.trusted);
	policy_partner_each_domain(rules, 0, note_domain, domains);
	ck_assert_str_eq(domains, "one.example .one.example ");
	ck_assert_uint_eq(policy_partner_pins(rules, 0, pins, 1), 1);
	ck_assert_uint_eq(pins[0][31], 0xaa);
	ck_assert_uint_eq(policy_partner_pins(rules, 1, pins, 1), 0);
	policy_partner_terms_of(rules, 1, &t);
	ck_assert_str_eq(t.certificate, "server-only");
	ck_assert_str_eq(t.verification, "use-source-verification");
	ck_assert(!t.paused);
	ck_assert_uint_eq(policy_partner_of_server(rules, SPAN_LIT("sip.two.example")), 1);
	ck_assert_uint_eq(policy_partner_of_server(rules, SPAN_LIT("two.example")), SIZE_MAX);
	ck_assert_uint_eq(policy_partner_of_domain(rules, SPAN_LIT("deep.in.one.example")), 0);
	ck_assert_uint_eq(policy_partner_of_domain(rules, SPAN_LIT("in.two.example")), SIZE_MAX);
	policy_rules_unref(rules);
}
END_TEST

static void *
hold_and_let_go(void *arg)
{
	for (int i = 0; i < 10000; i++) {
		struct policy_rules *r = policy_rules_ref(arg);

		ck_assert(policy_is_internal_domain(r, "contoso.example", 15));
		policy_rules_unref(r);
	}
	policy_rules_unref(arg);
	return NULL;
}

/* The last of several threads frees; a sanitizer build sees it when that goes wrong. */
START_TEST(counted_references)
{
	struct policy_rules *rules = rules_from_file("federation.rules");
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, hold_and_let_go, policy_rules_ref(rules)), 0);
	policy_rules_unref(rules);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
}
END_TEST

/* A thousand partners and ten thousand blocks are all found, and nothing else is. */
START_TEST(many)
{
	struct policy_builder *b = policy_builder_new();
	struct policy_rules *rules;
	char text[64], server[64], domain[64];
	struct span names[1];
	struct policy_facts f = { .side = POLICY_SIDE_OUTER, .door_partners = true, .has_certificate = true,
		.names = names, .nnames = 1, .method = POLICY_METHOD_MESSAGE };

	policy_builder_add(b, "t", 1, "domain", "contoso.example");
	policy_builder_add(b, "t", 2, "federation", "on");
	for (int i = 0; i < 10000; i++) {
		snprintf(text, sizeof(text), "b%d.blocked%d.example", i, i % 7);
		policy_builder_add(b, "t", 10 + i, "blocked", text);
	}
	for (int i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "Partner %d", i);
		policy_builder_add(b, "t", 20000 + i, "partner", text);
		snprintf(text, sizeof(text), "sip.p%d.example", i);
		policy_builder_add(b, "t", 20000 + i, "partner.server", text);
		snprintf(text, sizeof(text), "p%d.example", i);
		policy_builder_add(b, "t", 20000 + i, "partner.domain", text);
	}
	rules = policy_builder_finish(b, NULL, NULL);
	policy_builder_free(b);
	ck_assert_ptr_nonnull(rules);
	f.to_domain = f.ruri_domain = SPAN_LIT("contoso.example");
	for (int i = 0; i < 1000; i++) {
		struct policy_decision d;

		snprintf(server, sizeof(server), "sip.p%d.example", i);
		snprintf(domain, sizeof(domain), "p%d.example", i);
		names[0] = span_str(server);
		f.from_domain = span_str(domain);
		d = policy_decide(rules, &f);
		ck_assert_int_eq(d.verdict, POLICY_ALLOW);
		ck_assert_uint_eq(d.partner, (unsigned)i);
	}
	for (int i = 0; i < 10001; i++) {
		struct policy_decision d;

		snprintf(domain, sizeof(domain), "x.b%d.blocked%d.example", i, i % 7);
		f.from_domain = span_str(domain);
		d = policy_decide(rules, &f);
		ck_assert_int_eq(d.reason, i < 10000 ? POLICY_REASON_FROM_DOMAIN_BLOCKED :
		    POLICY_REASON_FROM_NOT_OF_PARTNER);
		ck_assert(i == 10000 || d.trail[d.ntrail - 1].line == 10 + i);
	}
	policy_rules_unref(rules);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("rules");
	TCase *tc = tcase_create("rules");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, every_mistake);
	tcase_add_test(tc, every_conflict);
	tcase_add_test(tc, conflicts_in_any_order);
	tcase_add_test(tc, no_conflicts);
	tcase_add_test(tc, errors_by_file);
	tcase_add_test(tc, partners);
	tcase_add_test(tc, terms);
	tcase_add_test(tc, counted_references);
	tcase_add_test(tc, many);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
