/*
 * check_shadow.c - two policies decide about the same facts; what differs is counted, bounded, from several threads.
 */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/shadow.h"
#include "policy/rules.h"
#include "sip/message.h"
#include "tests/unit/unit.h"

static struct policy_rules *
rules(const char *const *pairs)
{
	struct policy_builder *b = policy_builder_new();
	struct policy_rules *r;

	for (int line = 1; pairs[0] != NULL; pairs += 2)
		policy_builder_add(b, "p", line++, pairs[0], pairs[1]);
	r = policy_builder_finish(b, NULL, NULL);
	policy_builder_free(b);
	ck_assert_ptr_nonnull(r);
	return r;
}

#define COMMON	"domain", "contoso.example", "internal-server", "director.contoso.example", "federation", "on"
#define PARTNER	"partner", "Fabrikam", "partner.server", "sip.fabrikam.example", "partner.domain", "fabrikam.example"

static const char *const live_pairs[] = { COMMON, PARTNER, NULL };
static const char *const other_pairs[] = { COMMON, "blocked", "spam.example", "discovery", "on", "open-federation", "on",
	PARTNER, "partner.verification", "always-verifiable", "refuse-method", "INFO", NULL };

static const struct span server = { "sip.fabrikam.example", 20 };

static struct policy_facts
facts(enum policy_method method, const char *from)
{
	return (struct policy_facts){ .side = POLICY_SIDE_OUTER, .door_partners = true, .has_certificate = true,
		.usage = POLICY_USAGE_BOTH, .names = &server, .nnames = 1, .method = method, .method_name = SPAN_LIT("X"),
		.from_domain = span_str(from), .to_domain = SPAN_LIT("contoso.example"),
		.ruri_domain = SPAN_LIT("contoso.example") };
}

static void
one(struct edge_shadow *s, unsigned worker, const struct policy_rules *live, const struct policy_facts *f, const char *call)
{
	struct policy_decision d = policy_decide(live, f);
	struct shadow_words words = { SPAN_LIT("MESSAGE"), SPAN_LIT("sip:a@b"), SPAN_LIT("sip:c@d\r\n\0x"), span_str(call), NULL };

	edge_shadow_decided(s, worker, NULL, live, f, &d, &words);
}

START_TEST(counts_what_differs)
{
	struct policy_rules *live = rules(live_pairs), *other = rules(other_pairs);
	struct edge_shadow *s = edge_shadow_new(other, "alice", "alice", 3, "aa", 2);
	struct policy_facts f = facts(POLICY_METHOD_INFO, "fabrikam.example");
	struct shadow_totals totals;
	struct shadow_row *rows;
	size_t n;

	for (int i = 0; i < 7; i++) {
		char call[16];

		snprintf(call, sizeof(call), "call-%d", i);
		one(s, (unsigned)i % 2, live, &f, call);
	}
	f = facts(POLICY_METHOD_MESSAGE, "fabrikam.example");
	one(s, 0, live, &f, "m");
	/* what neither takes, for one reason, is no difference */
	f = facts(POLICY_METHOD_MESSAGE, "other.example");
	one(s, 1, live, &f, "m");
	/* what goes out to where only DNS could lead */
	f = facts(POLICY_METHOD_MESSAGE, "contoso.example");
	f.side = POLICY_SIDE_INNER;
	f.names = &(struct span){ "director.contoso.example", 24 };
	f.to_domain = f.ruri_domain = SPAN_LIT("elsewhere.example");
	one(s, 0, live, &f, "d");
	edge_shadow_sum(s, &totals, &rows, &n);
	ck_assert_uint_eq(totals.decisions, 10);
	ck_assert_uint_eq(totals.same, 1);
	ck_assert_uint_eq(totals.different, 9);
	ck_assert_uint_eq(n, 3);
	ck_assert_str_eq(rows[0].who, "Fabrikam");
	ck_assert(rows[0].named && !rows[0].outward);
	ck_assert_int_eq(rows[0].what, SHADOW_REASON);
	ck_assert_int_eq(rows[0].live, POLICY_REASON_ALLOWED);
	ck_assert_int_eq(rows[0].candidate, POLICY_REASON_METHOD_NOT_ALLOWED);
	ck_assert_uint_eq(rows[0].count, 7);
	ck_assert_uint_eq(rows[0].nexamples, SHADOW_EXAMPLES);
	ck_assert_str_eq(rows[0].example[0].to, "sip:c@d\r\n?x");
	for (size_t i = 1; i < n; i++) {
		if (rows[i].what == SHADOW_DNS) {
			ck_assert_str_eq(rows[i].who, "elsewhere.example");
			ck_assert(rows[i].outward && !rows[i].named);
			ck_assert_int_eq(rows[i].live, POLICY_REASON_NO_ROUTE);
		} else {
			ck_assert_int_eq(rows[i].what, SHADOW_VERIFICATION);
		}
	}
	free(rows);
	edge_shadow_unref(s);
	policy_rules_unref(live);
	policy_rules_unref(other);
}
END_TEST

/* Strangers with any number of domains fill what is theirs; a partner still finds room. */
START_TEST(strangers_leave_room)
{
	static const struct span nobody = { "sip.nobody.example", 18 };
	struct policy_rules *live = rules(live_pairs), *other = rules(other_pairs);
	struct edge_shadow *s = edge_shadow_new(other, "a", "a", 1, "aa", 1);
	struct policy_facts f;
	struct shadow_totals totals;
	struct shadow_row *rows;
	size_t n;
	bool found = false;

	for (int i = 0; i < 1000; i++) {
		char domain[32];

		snprintf(domain, sizeof(domain), "d%d.example", i);
		f = facts(POLICY_METHOD_MESSAGE, domain);
		f.names = &nobody;
		one(s, 0, live, &f, "x");
	}
	f = facts(POLICY_METHOD_INFO, "fabrikam.example");
	one(s, 0, live, &f, "x");
	edge_shadow_sum(s, &totals, &rows, &n);
	ck_assert_uint_eq(totals.different, 1001);
	ck_assert_uint_eq(n, SHADOW_UNNAMED + 1);
	ck_assert_uint_eq(totals.unlisted, 1000 - SHADOW_UNNAMED);
	for (size_t i = 0; i < n; i++)
		found |= strcmp(rows[i].who, "Fabrikam") == 0;
	ck_assert(found);
	free(rows);
	edge_shadow_unref(s);
	policy_rules_unref(live);
	policy_rules_unref(other);
}
END_TEST

struct working {
	struct edge_shadow	*s;
	struct policy_rules	*live;
	unsigned		 worker;
};

static void *
work(void *arg)
{
	const struct working *w = arg;
	struct policy_facts f = facts(POLICY_METHOD_INFO, "fabrikam.example");

	for (int i = 0; i < 2000; i++)
		one(w->s, w->worker, w->live, &f, "x");
	edge_shadow_unref(w->s);
	return NULL;
}

/* Several workers count while somebody reads; the last one to leave closes the door. */
START_TEST(threads)
{
	struct policy_rules *live = rules(live_pairs), *other = rules(other_pairs);
	struct edge_shadow *s = edge_shadow_new(other, "a", "a", 1, "aa", 4);
	struct working w[4];
	pthread_t t[4];
	struct shadow_totals totals;
	struct shadow_row *rows;
	size_t n;

	policy_rules_unref(other);
	for (unsigned i = 0; i < 4; i++) {
		w[i] = (struct working){ edge_shadow_ref(s), live, i };
		ck_assert_int_eq(pthread_create(&t[i], NULL, work, &w[i]), 0);
	}
	do {
		edge_shadow_sum(s, &totals, &rows, &n);
		ck_assert_uint_eq(totals.decisions, totals.same + totals.different);
		ck_assert_uint_eq(n > 0 ? rows[0].count : 0, totals.different);
		free(rows);
	} while (totals.decisions < 8000);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	edge_shadow_unref(s);
	policy_rules_unref(live);
}
END_TEST

START_TEST(connections)
{
	static const char *const strict[] = { COMMON, PARTNER, "partner.certificate", "strict",
		"refused-certificate", "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd", NULL };
	struct policy_rules *other = rules(strict);
	struct edge_shadow *s = edge_shadow_new(other, "a", "a", 1, "aa", 1);
	struct policy_facts f = facts(POLICY_METHOD_OTHER, "");
	unsigned char print[32];
	struct shadow_totals totals;
	struct shadow_row *rows;
	size_t n;

	memset(print, 0xdd, sizeof(print));
	edge_shadow_admitted(s, 0, &f, SPAN_NONE, NULL, POLICY_REASON_ALLOWED);
	edge_shadow_admitted(s, 0, &f, SPAN_NONE, print, POLICY_REASON_ALLOWED);
	f.usage = POLICY_USAGE_SERVER;
	edge_shadow_admitted(s, 0, &f, SPAN_NONE, NULL, POLICY_REASON_ALLOWED);
	edge_shadow_sum(s, &totals, &rows, &n);
	ck_assert_uint_eq(totals.same, 1);
	ck_assert_uint_eq(totals.different, 2);
	ck_assert_uint_eq(n, 2);
	for (size_t i = 0; i < n; i++) {
		ck_assert_int_eq(rows[i].what, SHADOW_CONNECTION);
		ck_assert_str_eq(rows[i].who, "sip.fabrikam.example");
		ck_assert(rows[i].candidate == POLICY_REASON_CERTIFICATE_REFUSED || rows[i].candidate == POLICY_REASON_CERTIFICATE_USAGE);
	}
	free(rows);
	edge_shadow_unref(s);
	policy_rules_unref(other);
}
END_TEST

/* Both filter: what comes of it counts, not which rule it is; and the message is left as it was. */
START_TEST(content)
{
	static const char *const blocks[] = { COMMON, PARTNER, "content", "x", "content.class", "direct", "content.links", "block", NULL };
	static const char *const warns[] = { COMMON, PARTNER, "content", "x", "content.class", "direct", "content.links", "warn", NULL };
	static const char *const bodies[] = { "hello", "http://evil.example/", "http://www.contoso.example/" };
	struct policy_rules *live = rules(blocks), *other = rules(warns);
	struct edge_shadow *s = edge_shadow_new(other, "a", "a", 1, "aa", 1);
	struct policy_facts f = facts(POLICY_METHOD_MESSAGE, "fabrikam.example");
	struct sip_message *m = calloc(1, sizeof(*m));
	struct shadow_totals totals;
	struct shadow_row *rows;
	char wire[512];
	size_t n;

	ck_assert_ptr_nonnull(m);
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct policy_decision d = policy_decide(live, &f);
		struct shadow_words words = { SPAN_LIT("MESSAGE"), SPAN_NONE, SPAN_NONE, SPAN_NONE, m };
		int len = snprintf(wire, sizeof(wire), "MESSAGE sip:b@h SIP/2.0\r\nVia: SIP/2.0/TLS h;branch=z9hG4bK1\r\n"
		    "From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: 1\r\nCSeq: 1 MESSAGE\r\nContent-Type: text/plain\r\n"
		    "Content-Length: %zu\r\n\r\n%s", strlen(bodies[i]), bodies[i]);

		ck_assert_int_eq(sip_message_index(m, wire, (size_t)len), 0);
		ck_assert_int_eq(sip_message_parse(m), 0);
		sip_edit_drop_header(m, 0);
		edge_shadow_decided(s, 0, NULL, live, &f, &d, &words);
		ck_assert_uint_eq(m->nedits, 1);
		ck_assert(!m->edit_failed);
	}
	edge_shadow_sum(s, &totals, &rows, &n);
	ck_assert_uint_eq(totals.same, 2);
	ck_assert_uint_eq(n, 1);
	ck_assert_int_eq(rows[0].what, SHADOW_CONTENT);
	ck_assert_int_eq(rows[0].live, POLICY_REASON_CONTENT_LINK);
	ck_assert_int_eq(rows[0].candidate, POLICY_REASON_ALLOWED);
	free(rows);
	free(m);
	edge_shadow_unref(s);
	policy_rules_unref(live);
	policy_rules_unref(other);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { counts_what_differs, strangers_leave_room, threads, connections, content };

	return unit_run("shadow", tests, sizeof(tests) / sizeof(tests[0]));
}
