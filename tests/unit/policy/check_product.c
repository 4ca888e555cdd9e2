/*
 * check_product.c - every combination of what facts can be, and what must hold
 * for each of them whatever the rules are for.
 *
 * The facts are enumerated over kinds, one example of each kind: what a rule
 * can tell apart is there, what none can is there once.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/decision.h"
#include "policy/rules.h"
#include "tests/unit/policy/rulefile.h"

/* Allocation while this is set is a failure: the linker sends every call here (--wrap). */
static bool no_allocation;
static unsigned long allocations;

void	*__real_malloc(size_t);
void	*__real_calloc(size_t, size_t);
void	*__real_realloc(void *, size_t);
void	*__wrap_malloc(size_t);
void	*__wrap_calloc(size_t, size_t);
void	*__wrap_realloc(void *, size_t);

void *
__wrap_malloc(size_t n)
{
	allocations += no_allocation;
	return __real_malloc(n);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	allocations += no_allocation;
	return __real_calloc(n, size);
}

void *
__wrap_realloc(void *p, size_t n)
{
	allocations += no_allocation;
	return __real_realloc(p, n);
}

/* ---- the kinds ---- */

enum domain_kind {
	D_OURS, D_OURS_BELOW, D_PARTNER, D_OTHER_PARTNER, D_BLOCKED, D_BLOCKED_BELOW, D_FOREIGN, D_ADDRESS,
	D_UNKNOWN, D_MALFORMED, D_NKINDS
};
static const struct span domains[D_NKINDS] = {
	[D_OURS] = SPAN_LIT("contoso.example"),
	[D_OURS_BELOW] = SPAN_LIT("x.branch.contoso.example"),
	[D_PARTNER] = SPAN_LIT("fabrikam.example"),
	[D_OTHER_PARTNER] = SPAN_LIT("adatum.example"),
	[D_BLOCKED] = SPAN_LIT("spam.example"),
	[D_BLOCKED_BELOW] = SPAN_LIT("x.spam.example"),
	[D_FOREIGN] = SPAN_LIT("nobody.example"),
	[D_ADDRESS] = SPAN_LIT("192.0.2.1"),
	[D_UNKNOWN] = { NULL, 0 },
	[D_MALFORMED] = SPAN_LIT("Contoso.example"),
};
/* In the Request-URI, fewer: what differs from To there is whose it is. */
static const enum domain_kind ruris[] = { D_OURS, D_PARTNER, D_BLOCKED, D_FOREIGN, D_ADDRESS, D_UNKNOWN };

static const struct span
	fabrikam[] = { SPAN_LIT("sip.fabrikam.example") },
	two[] = { SPAN_LIT("sip.fabrikam.example"), SPAN_LIT("edge.adatum.example") },
	stranger[] = { SPAN_LIT("sip.nobody.example") },
	wildcard[] = { SPAN_LIT("*.fabrikam.example"), SPAN_LIT("*.contoso.example") },
	inside[] = { SPAN_LIT("director.contoso.example") },
	blocked[] = { SPAN_LIT("sip.fabrikam.example"), SPAN_LIT("director.contoso.example"),
	    SPAN_LIT("www.spam.example") };

static const struct peer {
	const struct span	*names;
	unsigned		 nnames;
	bool			 certificate;
	bool			 is_blocked, is_inside, is_partner;	/* what must come of it */
	bool			 unverified;	/* let through for its key, which no rule names */
} peers[] = {
	{ NULL, 0, false, false, false, false, false },
	{ fabrikam, 1, false, false, false, false, false },	/* names, but no chain that verified */
	{ inside, 1, false, false, false, false, false },
	{ NULL, 0, true, false, false, false, false },
	{ fabrikam, 1, true, false, false, true, false },
	{ two, 2, true, false, false, true, false },
	{ stranger, 1, true, false, false, false, false },
	{ wildcard, 2, true, false, false, false, false },
	{ inside, 1, true, false, true, false, false },
	{ blocked, 3, true, true, true, true, false },
	{ fabrikam, 1, false, false, false, false, true },
	{ inside, 1, false, false, false, false, true },
};
#define NPEERS	(sizeof(peers) / sizeof(peers[0]))

/* One of each group that a rule tells apart; OTHER both with and without a name. */
static const struct span methods[] = {
	SPAN_LIT("INVITE"), SPAN_LIT("REGISTER"), SPAN_LIT("SERVICE"), SPAN_LIT("CANCEL"), SPAN_LIT("PUBLISH"),
	SPAN_LIT("XSECRET"), SPAN_LIT("XOTHER"), { NULL, 0 },
};
#define NMETHODS	(sizeof(methods) / sizeof(methods[0]))
#define NRURIS		(sizeof(ruris) / sizeof(ruris[0]))

struct combination {
	unsigned	side, doors, peer, method, from, to, ruri, dialog, route, flow, response;
};

static unsigned long seed;

static void
fill(struct policy_facts *f, const struct combination *c)
{
	const struct peer *p = &peers[c->peer];

	*f = (struct policy_facts){
		.side = (enum policy_side)c->side,
		.door_users = c->doors & 1, .door_partners = c->doors & 2,
		.has_certificate = p->certificate, .names = p->names, .nnames = p->nnames,
		.unverified = p->unverified, .spki = p->unverified ? (const unsigned char *)"an unpinned key of 32 bytes.....!" : NULL,
		.is_response = c->response,
		.method = policy_method_of(methods[c->method]), .method_name = methods[c->method],
		.from_domain = domains[c->from], .to_domain = domains[c->to],
		.ruri_domain = domains[ruris[c->ruri]],
		.in_dialog = c->dialog, .route = (enum policy_route)c->route,
		.flow = (enum policy_flow)c->flow,
	};
}

static bool
is_ours(unsigned kind)
{
	return kind == D_OURS || kind == D_OURS_BELOW;
}

static bool
is_blocked(unsigned kind)
{
	return kind == D_BLOCKED || kind == D_BLOCKED_BELOW;
}

static bool
is_no_domain(unsigned kind)
{
	return kind == D_UNKNOWN || kind == D_MALFORMED || kind == D_ADDRESS;
}

static bool
same(const struct policy_decision *a, const struct policy_decision *b)
{
	return a->verdict == b->verdict && a->reason == b->reason && a->class == b->class && a->hop == b->hop &&
	    a->partner == b->partner && a->verification == b->verification &&
	    a->mark_inward == b->mark_inward && a->mark_verifiable == b->mark_verifiable &&
	    a->mark_archiving == b->mark_archiving && a->mark_outward == b->mark_outward && a->ntrail == b->ntrail;
}

/* NULL, or what is wrong with a decision about these facts. */
static const char *
wrong_always(const struct combination *c, const struct policy_facts *f, const struct policy_decision *d)
{
	bool allow = d->verdict == POLICY_ALLOW;

	if (allow != (d->reason == POLICY_REASON_ALLOWED))
		return "verdict and reason disagree";
	if (d->verdict == POLICY_ASK_DNS)
		return "asks DNS, though no rule needs it";
	if (f->side != POLICY_SIDE_UNKNOWN && d->reason == POLICY_REASON_UNDECIDED)
		return "undecided";
	if (f->side == POLICY_SIDE_UNKNOWN && d->reason != POLICY_REASON_UNDECIDED)
		return "decided, though not even the door is known";
	if (!allow && (d->hop != POLICY_HOP_NONE || d->mark_inward || d->mark_outward || d->mark_verifiable ||
	    d->mark_archiving))
		return "a refusal with a hop or a mark";
	if (f->unverified && (allow || d->class != POLICY_CLASS_UNKNOWN))
		return "somebody by a chain that did not verify";
	if (allow && f->side == POLICY_SIDE_UNKNOWN)
		return "allowed without a side";
	if (allow && (is_blocked(c->from) || is_blocked(c->to) || is_blocked(ruris[c->ruri]) ||
	    peers[c->peer].is_blocked))
		return "blocked and allowed";
	if (allow && (is_no_domain(c->from) || is_no_domain(c->to)))
		return "allowed without knowing who or to whom";
	if (allow && !f->is_response && f->route == POLICY_ROUTE_FORGED)
		return "allowed with a forged Route";
	if (allow && !f->is_response && f->method == POLICY_METHOD_OTHER && f->method_name.n == 0)
		return "allowed without a method";
	if (f->is_response && d->hop != POLICY_HOP_NONE)
		return "a response with a hop";
	if (d->ntrail != 0 && !d->trail[d->ntrail - 1].settled)
		return "the trail ends nowhere";
	/* Blocked comes first: only what is no domain at all may be said before it. */
	if (f->side != POLICY_SIDE_UNKNOWN && is_blocked(c->from) && !is_no_domain(c->to) &&
	    !is_no_domain(ruris[c->ruri]) && d->reason != POLICY_REASON_FROM_DOMAIN_BLOCKED)
		return "blocked, but refused for something else";
	return NULL;
}

static const char *
wrong_outer(const struct combination *c, const struct policy_facts *f, const struct policy_decision *d)
{
	const struct peer *p = &peers[c->peer];

	if (d->class != POLICY_CLASS_UNKNOWN && d->class != POLICY_CLASS_REMOTE_USER &&
	    d->class != POLICY_CLASS_DIRECT)
		return "a class that nobody can have here";
	if (d->class == POLICY_CLASS_DIRECT && !p->is_partner)
		return "direct without the name";
	if (d->class == POLICY_CLASS_REMOTE_USER && p->certificate)
		return "a remote user with a server's certificate";
	if (d->verdict != POLICY_ALLOW)
		return NULL;
	if (!d->mark_inward || d->mark_outward || d->mark_verifiable || d->mark_archiving)
		return "not marked, or marked outward";
	if (d->class == POLICY_CLASS_REMOTE_USER && !f->door_users)
		return "a user at a door for servers only";
	if (f->is_response)
		return NULL;
	if (d->hop != POLICY_HOP_DIRECTOR)
		return "does not go inside";
	if (f->route == POLICY_ROUTE_FOREIGN)
		return "follows a foreign Route";
	if (d->class == POLICY_CLASS_REMOTE_USER)
		return is_ours(c->from) ? NULL : "a user from elsewhere";
	if (is_ours(c->from))
		return "spoofed";
	if (c->from != (d->partner == 0 ? D_PARTNER : D_OTHER_PARTNER))
		return "a partner speaks for somebody else";
	if (c->from == D_OTHER_PARTNER && p->names != two)
		return "the other partner without its name";
	if (!is_ours(c->to))
		return "not for us";
	if (!is_ours(ruris[c->ruri]) && !(f->in_dialog && f->route == POLICY_ROUTE_OURS))
		return "not addressed to us";
	if (f->method == POLICY_METHOD_REGISTER || f->method == POLICY_METHOD_SERVICE)
		return "a server registers";
	if (f->method == POLICY_METHOD_PUBLISH || span_is(f->method_name, "XSECRET"))
		return "a refused method";
	return f->door_partners ? NULL : "the wrong door";
}

static const char *
wrong_inner(const struct combination *c, const struct policy_facts *f, const struct policy_decision *d)
{
	bool flow = f->flow == POLICY_FLOW_USER || f->flow == POLICY_FLOW_BRANCH;

	if (d->mark_inward)
		return "marked inward from inside";
	if (d->class != (peers[c->peer].is_inside ? POLICY_CLASS_INTERNAL : POLICY_CLASS_UNKNOWN))
		return "the class does not follow from the name";
	if (d->verdict != POLICY_ALLOW)
		return NULL;
	if (d->class != POLICY_CLASS_INTERNAL)
		return "not one of our servers";
	if (d->mark_outward != d->mark_verifiable || d->mark_outward != d->mark_archiving)
		return "half of the marks";
	if (f->is_response)
		return d->mark_outward == !is_ours(c->from) ? NULL : "the wrong mark on a response";
	if (f->method == POLICY_METHOD_REGISTER)
		return "a registration goes out";
	if (f->flow == POLICY_FLOW_USER_GONE)
		return "to a connection that is gone";
	if (flow != (d->hop == POLICY_HOP_FLOW))
		return "flow and hop disagree";
	if (flow)
		return d->mark_outward ? "partner's marks to a user" : NULL;
	if (d->hop != POLICY_HOP_PARTNER || !d->mark_outward)
		return "neither to a user nor to a partner";
	if (f->in_dialog && f->route == POLICY_ROUTE_OURS)
		return c->to == (d->partner == 0 ? D_PARTNER : D_OTHER_PARTNER) ? NULL : "to the wrong partner";
	if (!is_ours(c->from))
		return "a stranger speaks for us";
	return ruris[c->ruri] == D_PARTNER && d->partner == 0 ? NULL : "to the wrong partner";
}

static void
check_one(const struct policy_rules *rules, const struct policy_rules *permuted, const struct combination *c)
{
	struct policy_facts f;
	struct policy_decision d, again = { .verdict = POLICY_DENY };
	const char *wrong;

	fill(&f, c);
	no_allocation = true;
	d = policy_decide(rules, &f);
	if (permuted == NULL)
		again = policy_decide(rules, &f);
	no_allocation = false;
	wrong = wrong_always(c, &f, &d);
	if (wrong == NULL && f.side == POLICY_SIDE_OUTER)
		wrong = wrong_outer(c, &f, &d);
	if (wrong == NULL && f.side == POLICY_SIDE_INNER)
		wrong = wrong_inner(c, &f, &d);
	if (wrong == NULL && permuted == NULL && !same(&d, &again))
		wrong = "asked twice, answered differently";
	if (wrong == NULL && permuted != NULL) {
		again = policy_decide(permuted, &f);
		/* Partners are numbered as they stand in the file. */
		if (d.class == POLICY_CLASS_DIRECT || d.hop == POLICY_HOP_PARTNER)
			again.partner = strcmp(policy_partner_get(rules, d.partner)->name,
			    policy_partner_get(permuted, again.partner)->name) == 0 ? d.partner : d.partner + 1;
		if (!same(&d, &again))
			wrong = "the order of rules matters";
	}
	if (wrong != NULL) {
		char text[4096];
		struct strbuf sb;

		strbuf_init(&sb, text, sizeof(text));
		policy_explain(&d, &f, &sb);
		strbuf_putc(&sb, '\n');
		policy_explain_trail(&d, &sb);
		ck_abort_msg("%s: peer %u from %u to %u ruri %u dialog %u route %s flow %s response %u\n%s", wrong,
		    c->peer, c->from, c->to, c->ruri, c->dialog, policy_route_name(f.route),
		    policy_flow_name(f.flow), c->response, text);
	}
}

/* What comes of one side, door and peer: all messages of the first methods. */
static unsigned long
check_messages(const struct policy_rules *rules, const struct policy_rules *permuted, struct combination c,
    unsigned nmethods)
{
	unsigned long n = 0;

	for (c.method = 0; c.method < nmethods; c.method++)
		for (c.from = 0; c.from < D_NKINDS; c.from++)
			for (c.to = 0; c.to < D_NKINDS; c.to++)
				for (c.ruri = 0; c.ruri < NRURIS; c.ruri++)
					/* dialog, route, flow and response in one number */
					for (unsigned k = 0; k < 2 * 4 * 6 + 1; k++, n++) {
						c.response = k == 2 * 4 * 6;
						c.dialog = k & 1;
						c.route = (k >> 1) & 3;
						c.flow = (k >> 3) % 6;
						check_one(rules, permuted, &c);
					}
	return n;
}

/* The other partner first, blocks last, our domains in between. */
static const char permuted_text[] =
	"partner Adatum\npartner.domain adatum.example\npartner.domain .adatum.example\n"
	"partner.verification always-verifiable\npartner.server edge.adatum.example\n"
	"refuse-method XSECRET\nrefuse-method PUBLISH\narchiving-notice on\n"
	"internal-server fe*.pool.contoso.example\ninternal-server director.contoso.example\n"
	"domain .branch.contoso.example\n"
	"partner Fabrikam\npartner.domain .fabrikam.example\npartner.server sip.fabrikam.example\n"
	"partner.domain fabrikam.example\n"
	"blocked spam.example\nfederation on\ndomain contoso.example\nbranch proxy.branch.contoso.example\n";
static const char product_text[] =
	"domain contoso.example\ndomain .branch.contoso.example\nfederation on\nblocked spam.example\n"
	"internal-server director.contoso.example\ninternal-server fe*.pool.contoso.example\n"
	"archiving-notice on\nrefuse-method PUBLISH\nrefuse-method XSECRET\n"
	"partner Fabrikam\npartner.server sip.fabrikam.example\npartner.domain fabrikam.example\n"
	"partner.domain .fabrikam.example\n"
	"partner Adatum\npartner.server edge.adatum.example\npartner.domain adatum.example\n"
	"partner.domain .adatum.example\npartner.verification always-verifiable\nbranch proxy.branch.contoso.example\n";

START_TEST(product)
{
	static struct rule_errors errors;
	struct policy_rules *rules = rules_from_text("p", product_text, &errors);
	struct policy_rules *permuted = rules_from_text("q", permuted_text, &errors);
	struct combination c = { 0 };
	unsigned long n = 0;

	ck_assert_ptr_nonnull(rules);
	ck_assert_ptr_nonnull(permuted);
	c.peer = (unsigned)_i;
	allocations = 0;
	/* inner door, users, partners, both, and a door that nobody told us about */
	c.side = POLICY_SIDE_INNER;
	n += check_messages(rules, permuted, c, NMETHODS);
	c.side = POLICY_SIDE_OUTER;
	c.doors = 3;
	n += check_messages(rules, permuted, c, NMETHODS);
	for (c.doors = 0; c.doors < 3; c.doors++)
		n += check_messages(rules, NULL, c, 1);
	c.side = POLICY_SIDE_UNKNOWN;
	c.ruri = 0;
	check_one(rules, permuted, &c);
	ck_assert_uint_gt(n, 80000);
	ck_assert_uint_eq(allocations, 0);
	policy_rules_unref(rules);
	policy_rules_unref(permuted);
}
END_TEST

/* Everything off refuses everything; one more block never allows more. */
START_TEST(more_rules_of_refusal)
{
	static struct rule_errors errors;
	char text[sizeof(product_text) + 200];
	struct policy_rules *rules = rules_from_text("p", product_text, &errors), *off, *more;
	struct combination c = { .peer = (unsigned)_i, .doors = 3 };

	ck_assert_ptr_nonnull(rules);
	off = rules_from_text("off", "remote-users off\ndomain contoso.example\n"
	    "internal-server director.contoso.example\npartner F\npartner.server sip.fabrikam.example\n"
	    "partner.domain fabrikam.example\n", &errors);
	ck_assert_ptr_nonnull(off);
	snprintf(text, sizeof(text), "%sblocked nobody.example\nblocked y.branch.contoso.example\n", product_text);
	more = rules_from_text("more", text, &errors);
	ck_assert_ptr_nonnull(more);
	for (c.side = POLICY_SIDE_OUTER; c.side <= POLICY_SIDE_INNER; c.side++)
		for (c.method = 0; c.method < NMETHODS; c.method++)
			for (c.from = 0; c.from < D_NKINDS; c.from++)
				for (c.to = 0; c.to < D_NKINDS; c.to++)
					for (unsigned k = 0; k < 2 * 4 * 6; k++) {
						struct policy_facts f;

						c.ruri = k % NRURIS;
						c.dialog = k & 1;
						c.route = (k >> 1) & 3;
						c.flow = (k >> 3) % 6;
						fill(&f, &c);
						ck_assert_int_eq(policy_decide(off, &f).verdict, POLICY_DENY);
						if (policy_decide(more, &f).verdict == POLICY_ALLOW)
							ck_assert_int_eq(policy_decide(rules, &f).verdict, POLICY_ALLOW);
					}
	policy_rules_unref(rules);
	policy_rules_unref(off);
	policy_rules_unref(more);
}
END_TEST

/* Facts that no caller should make (numbers out of range) are refused or ignored, never trusted. */
START_TEST(out_of_range)
{
	static struct rule_errors errors;
	struct policy_rules *rules = rules_from_text("p", product_text, &errors);
	struct policy_facts f = {
		.side = (enum policy_side)7, .door_users = true, .door_partners = true,
		.method = POLICY_METHOD_MESSAGE, .from_domain = domains[D_OURS], .to_domain = domains[D_OURS],
		.ruri_domain = domains[D_OURS],
	};

	ck_assert_int_eq(policy_decide(rules, &f).verdict, POLICY_DENY);
	f.side = POLICY_SIDE_OUTER;
	ck_assert_int_eq(policy_decide(rules, &f).verdict, POLICY_ALLOW);
	f.route = (enum policy_route)9;
	ck_assert_int_eq(policy_decide(rules, &f).reason, POLICY_REASON_ROUTE_FORGED);
	f.route = POLICY_ROUTE_NONE;
	f.method = (enum policy_method)99;
	ck_assert_int_eq(policy_decide(rules, &f).reason, POLICY_REASON_METHOD_NOT_ALLOWED);
	policy_rules_unref(rules);
}
END_TEST

/* Random rules and random names, against the slow and obvious way to match. */
static unsigned
next_random(void)
{
	seed = seed * 6364136223846793005UL + 1442695040888963407UL;
	return (unsigned)(seed >> 33);
}

static void
random_name(char *out, size_t size)
{
	static const char *const labels[] = { "a", "b", "ab", "example", "x-y" };
	unsigned n = 1 + next_random() % 5;

	out[0] = '\0';
	for (unsigned i = 0; i < n; i++)
		snprintf(out + strlen(out), size - strlen(out), "%s%s", i != 0 ? "." : "",
		    labels[next_random() % 5]);
}

START_TEST(blocks_against_the_obvious_way)
{
	seed = (unsigned long)_i + 1;
	for (int round = 0; round < 40; round++) {
		struct policy_builder *b = policy_builder_new();
		char blocks[12][64], name[64];
		struct policy_rules *rules;

		for (int i = 0; i < 12; i++) {
			random_name(blocks[i], sizeof(blocks[i]));
			policy_builder_add(b, "t", i + 1, "blocked", blocks[i]);
		}
		rules = policy_builder_finish(b, NULL, NULL);
		policy_builder_free(b);
		ck_assert_ptr_nonnull(rules);
		for (int k = 0; k < 200; k++) {
			bool want = false;
			struct policy_facts f = { .side = POLICY_SIDE_OUTER, .door_users = true,
				.method = POLICY_METHOD_MESSAGE };

			random_name(name, sizeof(name));
			for (int i = 0; i < 12; i++) {
				size_t n = strlen(name), m = strlen(blocks[i]);

				want = want || strcmp(name, blocks[i]) == 0 ||
				    (n > m && strcmp(name + n - m, blocks[i]) == 0 && name[n - m - 1] == '.');
			}
			f.from_domain = f.to_domain = f.ruri_domain = span_str(name);
			ck_assert_msg((policy_decide(rules, &f).reason == POLICY_REASON_FROM_DOMAIN_BLOCKED) == want,
			    "seed %d round %d: %s", _i + 1, round, name);
		}
		policy_rules_unref(rules);
	}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("product");
	TCase *tc = tcase_create("product");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, product, 0, NPEERS);
	tcase_add_loop_test(tc, more_rules_of_refusal, 0, NPEERS);
	tcase_add_test(tc, out_of_range);
	tcase_add_loop_test(tc, blocks_against_the_obvious_way, 0, 5);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
