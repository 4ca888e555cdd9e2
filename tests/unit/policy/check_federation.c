/*
 * check_federation.c - what must hold of partners that DNS names, providers,
 * branches and clearing houses, for every combination of kinds of facts.
 *
 * As check_product.c, with other kinds: of peers, domains and answers of DNS.
 * Each set of rules is asked in two orders of its lines, which must not matter.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/decision.h"
#include "policy/domain.h"
#include "policy/rules.h"
#include "tests/unit/policy/rulefile.h"

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

enum domain_kind { D_OURS, D_MEMBER, D_OTHER_MEMBER, D_ALLOWED, D_FOREIGN, D_BLOCKED, D_ADDRESS, D_TEL, D_UNKNOWN, D_NKINDS };
static const struct span domains[D_NKINDS] = {
	[D_OURS] = SPAN_LIT("contoso.example"), [D_MEMBER] = SPAN_LIT("one.example"),
	[D_OTHER_MEMBER] = SPAN_LIT("two.example"), [D_ALLOWED] = SPAN_LIT("allowed.example"),
	[D_FOREIGN] = SPAN_LIT("foreign.example"), [D_BLOCKED] = SPAN_LIT("spam.example"),
	[D_ADDRESS] = SPAN_LIT("192.0.2.1"), [D_TEL] = { NULL, 0 }, [D_UNKNOWN] = { NULL, 0 },
};

enum peer_kind {
	P_NONE, P_NAMELESS, P_ONE, P_TWO, P_PROVIDER, P_PUBLIC, P_OFF, P_BRANCH, P_HOUSE, P_ALLOWED, P_FOREIGN, P_BOTH,
	P_BLOCKED, P_WILDCARD, P_INSIDE, P_UNVERIFIED, P_NKINDS
};
static const struct span names[P_NKINDS][2] = {
	[P_ONE] = { SPAN_LIT("sip.one.example") }, [P_TWO] = { SPAN_LIT("sip.two.example") },
	[P_PROVIDER] = { SPAN_LIT("sip.hosting.example") }, [P_PUBLIC] = { SPAN_LIT("im.public.example") },
	[P_OFF] = { SPAN_LIT("sip.sleeping.example") }, [P_BRANCH] = { SPAN_LIT("proxy.branch.example") },
	[P_HOUSE] = { SPAN_LIT("sip.house.example") }, [P_ALLOWED] = { SPAN_LIT("sip.allowed.example") },
	[P_FOREIGN] = { SPAN_LIT("sip.foreign.example") },
	[P_BOTH] = { SPAN_LIT("sip.allowed.example"), SPAN_LIT("sip.foreign.example") },
	[P_BLOCKED] = { SPAN_LIT("sip.allowed.example"), SPAN_LIT("x.spam.example") },
	[P_WILDCARD] = { SPAN_LIT("*.allowed.example") }, [P_INSIDE] = { SPAN_LIT("director.contoso.example") },
	[P_UNVERIFIED] = { SPAN_LIT("sip.allowed.example") },
};

enum dns_kind { A_UNASKED, A_OTHER, A_NONE, A_FAILED, A_EMPTY, A_INSIDE, A_OUTSIDE, A_PROVIDER, A_OFF, A_PORT, A_MIXED, A_NKINDS };

/* One of each group that a rule tells apart. */
static const struct span methods[] = { SPAN_LIT("INVITE"), SPAN_LIT("REGISTER"), SPAN_LIT("PUBLISH") };
#define NMETHODS	3

struct combination {
	unsigned	side, peer, method, from, to, ruri, dns, dialog, flow, response;
};

/* Facts, and what their spans point into. */
struct asked {
	struct policy_facts	 f;
	struct span		 targets[4];
	uint16_t		 ports[4];
	char			 host[4][DOMAIN_MAX];
};

static void
fill(struct asked *a, const struct combination *c)
{
	static const enum policy_flow flows[] = { POLICY_FLOW_NONE, POLICY_FLOW_USER, POLICY_FLOW_BRANCH };
	unsigned n = 0;

	while (n < 2 && names[c->peer][n].n != 0)
		n++;
	a->f = (struct policy_facts){
		.side = (enum policy_side)c->side, .door_users = true, .door_partners = true,
		.has_certificate = c->peer != P_NONE && c->peer != P_UNVERIFIED, .unverified = c->peer == P_UNVERIFIED,
		.names = names[c->peer], .nnames = n, .is_response = c->response, .discovered = c->dialog,
		.method = policy_method_of(methods[c->method]), .method_name = methods[c->method],
		.from_domain = domains[c->from], .to_domain = domains[c->to], .ruri_domain = domains[c->ruri],
		.from_tel = c->from == D_TEL, .to_tel = c->to == D_TEL, .ruri_tel = c->ruri == D_TEL,
		.in_dialog = c->dialog, .route = c->dialog ? POLICY_ROUTE_OURS : POLICY_ROUTE_NONE, .flow = flows[c->flow],
	};
}

/* The answer of that kind about the domain that was asked for. */
static void
answer(struct asked *a, const struct combination *c, struct span domain, struct span record)
{
	struct policy_dns *dns = &a->f.dns;
	struct strbuf sb;

	*dns = (struct policy_dns){ .state = POLICY_DNS_FOUND, .domain = domain, .name = record, .targets = a->targets,
	    .ports = a->ports };
	strbuf_init(&sb, a->host[0], DOMAIN_MAX);
	strbuf_puts(&sb, "sip.");
	strbuf_span(&sb, domain);
	for (unsigned i = 0; i < 4; i++)
		a->ports[i] = 5061;
	switch (c->dns) {
	case A_UNASKED:
		dns->state = POLICY_DNS_UNASKED;
		return;
	case A_OTHER:
		dns->domain = SPAN_LIT("elsewhere.example");
		dns->ntargets = 1;
		a->targets[0] = strbuf_span_of(&sb);
		return;
	case A_NONE:
		dns->state = POLICY_DNS_NONE;
		return;
	case A_FAILED:
		dns->state = POLICY_DNS_FAILED;
		return;
	case A_EMPTY:
		return;
	case A_PORT:
		a->ports[0] = 25;
		/* FALLTHROUGH */
	case A_INSIDE:
		a->targets[dns->ntargets++] = strbuf_span_of(&sb);
		return;
	case A_OUTSIDE:
		a->targets[dns->ntargets++] = SPAN_LIT("sip.elsewhere.example");
		return;
	case A_PROVIDER:
		a->targets[dns->ntargets++] = SPAN_LIT("sip.hosting.example");
		return;
	case A_OFF:
		a->targets[dns->ntargets++] = SPAN_LIT("sip.sleeping.example");
		return;
	default:
		a->targets[dns->ntargets++] = SPAN_LIT("sip.elsewhere.example");
		a->targets[dns->ntargets++] = strbuf_span_of(&sb);
		a->targets[dns->ntargets++] = SPAN_LIT("x.contoso.example");
		a->targets[dns->ntargets++] = SPAN_LIT("Bad..name");
		return;
	}
}

/* ---- the rules ---- */

#define COMMON	"domain contoso.example\ninternal-server director.contoso.example\nfederation on\nblocked spam.example\n" \
		"content Rule\ncontent.class direct\ncontent.class remote-user\ncontent.class enhanced\ncontent.links block\n"
#define ONE	"partner One\npartner.server sip.one.example\npartner.domain one.example\npartner.trusted on\n"
#define TWO	"partner Two\npartner.server sip.two.example\npartner.domain two.example\n"
#define PROVIDERS "provider Hosting\nprovider.server sip.hosting.example\nprovider.enabled on\n" \
		"provider Public\nprovider.server im.public.example\nprovider.public on\nprovider.enabled on\n" \
		"provider Off\nprovider.server sip.sleeping.example\n"
#define LISTED	"discovery on\nallowed allowed.example\nbranch proxy.branch.example\n"

enum set_kind { S_LISTED, S_OPEN, S_PROVIDERS, S_MEMBER, S_HOUSE, S_NKINDS };
static const char *const sets[S_NKINDS][2] = {
	[S_LISTED] = { COMMON LISTED ONE TWO, TWO LISTED ONE COMMON },
	[S_OPEN] = { COMMON LISTED "open-federation on\n" ONE PROVIDERS, PROVIDERS ONE "open-federation on\n" LISTED COMMON },
	[S_PROVIDERS] = { COMMON ONE TWO PROVIDERS LISTED, LISTED PROVIDERS TWO ONE COMMON },
	[S_MEMBER] = { COMMON ONE "default-route sip.house.example\n", "default-route sip.house.example\n" ONE COMMON },
	[S_HOUSE] = { COMMON "clearinghouse on\n" ONE "partner.member on\n" TWO "partner.member on\npartner.reach One\n" LISTED,
	    LISTED TWO "partner.reach One\npartner.member on\n" ONE "partner.member on\nclearinghouse on\n" COMMON },
};

/* ---- what must hold ---- */

static bool
has_name(const struct policy_facts *f, struct span name)
{
	for (unsigned i = 0; i < f->nnames; i++)
		if (span_eq(f->names[i], name))
			return true;
	return false;
}

/* The obvious way to say that DNS proves this peer for that domain. */
static bool
proved(const struct policy_facts *f, struct span domain)
{
	for (unsigned i = 0; f->dns.state == POLICY_DNS_FOUND && span_eq(f->dns.domain, domain) && i < f->dns.ntargets; i++)
		if (policy_domain_within(f->dns.targets[i], domain) && has_name(f, f->dns.targets[i]))
			return true;
	return false;
}

static bool
may_be_discovered(enum set_kind set, unsigned domain)
{
	return set != S_MEMBER && (domain == D_ALLOWED || (set == S_OPEN && (domain == D_FOREIGN || domain == D_OTHER_MEMBER)));
}

static const char *
wrong_class(enum set_kind set, const struct combination *c, const struct policy_facts *f, const struct policy_decision *d)
{
	static const enum policy_class of_peer[P_NKINDS] = {
		[P_NONE] = POLICY_CLASS_REMOTE_USER, [P_ONE] = POLICY_CLASS_DIRECT, [P_TWO] = POLICY_CLASS_DIRECT,
		[P_PROVIDER] = POLICY_CLASS_PROVIDER, [P_PUBLIC] = POLICY_CLASS_PROVIDER, [P_OFF] = POLICY_CLASS_PROVIDER,
		[P_BRANCH] = POLICY_CLASS_BRANCH, [P_HOUSE] = POLICY_CLASS_CLEARINGHOUSE,
	};

	if (f->side == POLICY_SIDE_INNER)
		return d->class == (c->peer == P_INSIDE ? POLICY_CLASS_INTERNAL : POLICY_CLASS_UNKNOWN) ? NULL : "class inside";
	if (d->class == POLICY_CLASS_UNKNOWN)
		return NULL;
	if (d->class != POLICY_CLASS_ENHANCED)
		return d->class == of_peer[c->peer] ? NULL : "a class without its certificate";
	if (c->peer == P_WILDCARD || c->peer == P_UNVERIFIED || c->peer == P_NONE)
		return "discovered by no name";
	if (f->is_response)
		return f->discovered && may_be_discovered(set, c->to) ? NULL : "an answer from nowhere";
	return may_be_discovered(set, c->from) && proved(f, f->from_domain) ? NULL : "discovered without proof";
}

/* Every set has one content rule, for these. */
static bool
has_content(enum policy_class class)
{
	return class == POLICY_CLASS_DIRECT || class == POLICY_CLASS_REMOTE_USER || class == POLICY_CLASS_ENHANCED;
}

static const char *
wrong_outer(enum set_kind set, const struct combination *c, const struct policy_facts *f, const struct policy_decision *d)
{
	bool users = d->class == POLICY_CLASS_REMOTE_USER || d->class == POLICY_CLASS_BRANCH;

	if (d->class == POLICY_CLASS_UNKNOWN)
		return "nobody, and allowed";
	if (d->mark_inward == d->mark_outward)
		return "marked both ways or none";
	if (d->mark_outward && set != S_HOUSE)
		return "relayed by no clearing house";
	/* nobody has listed it: exactly those whom only open federation lets in, on requests */
	if (d->limited != (!f->is_response && d->class == POLICY_CLASS_ENHANCED && set == S_OPEN && c->from != D_ALLOWED))
		return "limits of the wrong partner";
	if ((d->content != NULL) != has_content(d->class))
		return "a content rule of another class";
	if (d->trust_identity && (d->class != POLICY_CLASS_DIRECT || c->peer != P_ONE))
		return "identities of who is outside of the trust domain";
	if (d->mark_outward && d->trust_identity)
		return "identities to a member outside of the trust domain";
	if (d->peer == POLICY_NO_PEER && (d->class == POLICY_CLASS_DIRECT || d->class == POLICY_CLASS_PROVIDER ||
	    d->class == POLICY_CLASS_BRANCH || d->class == POLICY_CLASS_CLEARINGHOUSE))
		return "a peer without its entry";
	if (f->is_response)
		return NULL;
	if (d->mark_outward != (d->hop == POLICY_HOP_PARTNER))
		return "mark and hop disagree";
	if (users)
		return c->from == D_OURS && d->hop == POLICY_HOP_DIRECTOR ? NULL : "a user from elsewhere, or to elsewhere";
	if (c->from == D_OURS || c->from == D_TEL || c->from == D_ADDRESS)
		return "spoofed";
	if (c->method != 0 && span_is(f->method_name, "REGISTER"))
		return "a server registers";
	if (c->from == D_MEMBER && c->peer != P_ONE)
		return "somebody speaks for a direct partner";
	if (c->from == D_OTHER_MEMBER && set != S_OPEN && set != S_MEMBER && c->peer != P_TWO)
		return "somebody speaks for a direct partner";
	if (d->class == POLICY_CLASS_PROVIDER && c->peer != P_PUBLIC && c->dns != A_PROVIDER)
		return "a provider without DNS";
	if (d->class == POLICY_CLASS_PROVIDER && c->peer == P_OFF)
		return "a provider that is off";
	if (d->hop == POLICY_HOP_PARTNER)
		return c->from == D_MEMBER ? (c->to == D_OTHER_MEMBER || c->ruri == D_OTHER_MEMBER ? NULL : "relayed to nobody") :
		    c->to == D_MEMBER || c->ruri == D_MEMBER ? NULL : "relayed to nobody";
	return c->to == D_OURS || c->to == D_TEL ? NULL : "not for us";
}

static const char *
wrong_inner(enum set_kind set, const struct combination *c, const struct policy_facts *f, const struct policy_decision *d)
{
	unsigned to = f->in_dialog ? c->to : c->ruri;

	if (c->peer != P_INSIDE)
		return "not one of our servers";
	if (d->mark_inward)
		return "marked inward from inside";
	if (d->limited)
		return "limits for what we send";
	if (d->trust_identity && (set == S_OPEN || !f->is_response) && c->to != D_MEMBER && c->ruri != D_MEMBER && c->from != D_MEMBER)
		return "identities to who is outside of the trust domain";
	if (f->is_response)
		return NULL;
	if (c->flow != 0)
		return d->hop == POLICY_HOP_FLOW && !d->mark_outward ? NULL : "to a user another way";
	if (!d->mark_outward || to == D_OURS || to == D_TEL)
		return "out, unmarked or to ourselves";
	if (d->hop == POLICY_HOP_PARTNER)
		return to == D_MEMBER || to == D_OTHER_MEMBER || set == S_MEMBER || c->dns == A_PROVIDER ? NULL : "to a partner by no rule";
	if (d->hop != POLICY_HOP_DISCOVERED || !may_be_discovered(set, to) || d->targets == 0)
		return "to nowhere";
	for (unsigned i = 0; i < POLICY_TARGETS_MAX; i++)
		if ((d->targets >> i & 1) != 0 && (i >= f->dns.ntargets || f->dns.ports[i] < 443 ||
		    !policy_domain_within(f->dns.targets[i], domains[to])))
			return "to a server outside of the domain";
	return NULL;
}

static const char *
wrong(enum set_kind set, const struct combination *c, const struct policy_facts *f, const struct policy_decision *d)
{
	bool allow = d->verdict == POLICY_ALLOW;
	const char *what;

	if (allow != (d->reason == POLICY_REASON_ALLOWED) || d->reason == POLICY_REASON_UNDECIDED)
		return "verdict and reason disagree";
	if ((d->verdict == POLICY_ASK_DNS) != (d->reason == POLICY_REASON_NEEDS_DNS))
		return "asks for another reason";
	if (d->verdict == POLICY_ASK_DNS && (span_is_empty(d->dns_domain) || span_eq(d->dns_domain, domains[D_BLOCKED]) ||
	    span_eq(d->dns_domain, domains[D_OURS]) || (c->dns != A_UNASKED && c->dns != A_OTHER)))
		return "asks about nothing, about us, about the blocked, or again";
	if (!allow && (d->hop != POLICY_HOP_NONE || d->mark_inward || d->mark_outward || d->targets != 0 || d->content != NULL ||
	    d->trust_identity || d->mark_identity))
		return "a refusal with a hop, a mark or a content rule";
	if (allow && (c->from == D_BLOCKED || c->to == D_BLOCKED || c->ruri == D_BLOCKED || c->peer == P_BLOCKED))
		return "blocked and allowed";
	if (allow && (c->from == D_UNKNOWN || c->to == D_UNKNOWN))
		return "allowed without knowing who";
	if (d->ntrail == 0 || !d->trail[d->ntrail - 1].settled)
		return "the trail ends nowhere";
	if ((what = wrong_class(set, c, f, d)) != NULL || !allow)
		return what;
	return f->side == POLICY_SIDE_OUTER ? wrong_outer(set, c, f, d) : wrong_inner(set, c, f, d);
}

static bool
same(const struct policy_rules *a, const struct policy_decision *x, const struct policy_rules *b, const struct policy_decision *y)
{
	bool named = x->hop == POLICY_HOP_PARTNER || x->class == POLICY_CLASS_DIRECT || x->class == POLICY_CLASS_PROVIDER;

	return x->verdict == y->verdict && x->reason == y->reason && x->class == y->class && x->hop == y->hop &&
	    x->targets == y->targets && x->verification == y->verification && x->mark_inward == y->mark_inward &&
	    x->mark_outward == y->mark_outward && x->mark_verifiable == y->mark_verifiable && x->ntrail == y->ntrail &&
	    x->public_network == y->public_network && x->limited == y->limited && x->trust_identity == y->trust_identity &&
	    (x->content != NULL) == (y->content != NULL) && span_eq(x->dns_domain, y->dns_domain) &&
	    (!named || strcmp(policy_partner_get(a, x->partner)->server, policy_partner_get(b, y->partner)->server) == 0);
}

static struct policy_decision
decide(const struct policy_rules *rules, struct asked *a, const struct combination *c)
{
	struct policy_decision d = policy_decide(rules, &a->f);

	if (d.verdict == POLICY_ASK_DNS) {
		answer(a, c, d.dns_domain, d.dns_name);
		d = policy_decide(rules, &a->f);
	}
	return d;
}

static void
check_one(enum set_kind set, const struct policy_rules *rules, const struct policy_rules *turned, const struct combination *c)
{
	struct policy_decision d, other;
	struct asked a, b;
	const char *what;

	fill(&a, c);
	fill(&b, c);
	no_allocation = true;
	d = decide(rules, &a, c);
	other = decide(turned, &b, c);
	no_allocation = false;
	what = wrong(set, c, &a.f, &d);
	if (what == NULL && !same(rules, &d, turned, &other))
		what = "the order of rules matters";
	if (what != NULL) {
		char text[2048];
		struct strbuf sb;

		strbuf_init(&sb, text, sizeof(text));
		policy_explain(&d, &a.f, &sb);
		strbuf_putc(&sb, '\n');
		policy_explain_trail(&d, &sb);
		ck_abort_msg("%s: set %d side %u peer %u method %u from %u to %u ruri %u dns %u dialog %u flow %u response %u\n%s",
		    what, (int)set, c->side, c->peer, c->method, c->from, c->to, c->ruri, c->dns, c->dialog, c->flow,
		    c->response, text);
	}
}

/* What no rule can tell apart is asked once: flows outside, a response's Request-URI, methods by other answers. */
static bool
matters(const struct combination *c)
{
	if (c->flow != 0 && c->side == POLICY_SIDE_OUTER)
		return false;
	if (c->response && (c->ruri != 0 || c->dns != 0 || c->method != 0 || c->flow != 0))
		return false;
	return c->method == 0 || c->dns == A_INSIDE;
}

START_TEST(product)
{
	static struct rule_errors errors;
	enum set_kind set = (enum set_kind)(_i / P_NKINDS);
	struct policy_rules *rules = rules_from_text("p", sets[set][0], &errors);
	struct policy_rules *turned = rules_from_text("q", sets[set][1], &errors);
	struct combination c = { .peer = (unsigned)_i % P_NKINDS };

	ck_assert_msg(rules != NULL && turned != NULL, "%s", errors.text);
	allocations = 0;
	for (c.side = POLICY_SIDE_OUTER; c.side <= POLICY_SIDE_INNER; c.side++)
		for (c.method = 0; c.method < NMETHODS; c.method++)
			for (c.from = 0; c.from < D_NKINDS; c.from++)
				for (c.to = 0; c.to < D_NKINDS; c.to++)
					for (c.ruri = 0; c.ruri < D_NKINDS; c.ruri++)
						for (unsigned k = 0; k < A_NKINDS * 2 * 3 * 2; k++) {
							c.dns = k % A_NKINDS;
							c.dialog = k / A_NKINDS % 2;
							c.flow = k / A_NKINDS / 2 % 3;
							c.response = k / A_NKINDS / 6;
							if (matters(&c))
								check_one(set, rules, turned, &c);
						}
	ck_assert_uint_eq(allocations, 0);
	policy_rules_unref(rules);
	policy_rules_unref(turned);
}
END_TEST

/* One more block never allows more; federation switched off allows nothing of others. */
START_TEST(more_refusal)
{
	static struct rule_errors errors;
	enum set_kind set = (enum set_kind)_i;
	char text[2048];
	const char *at;
	struct policy_rules *rules = rules_from_text("p", sets[set][0], &errors), *more, *off;
	struct combination c = { 0 };

	snprintf(text, sizeof(text), "%sblocked x.allowed.example\nblocked foreign.example\nblocked 2.example\n", sets[set][0]);
	more = rules_from_text("more", text, &errors);
	ck_assert_msg(more != NULL, "%s", errors.text);
	at = strstr(sets[set][0], "federation on\n");
	snprintf(text, sizeof(text), "%.*sfederation off\n%s", (int)(at - sets[set][0]), sets[set][0],
	    at + strlen("federation on\n"));
	off = rules_from_text("off", text, &errors);
	ck_assert_msg(off != NULL, "%s", errors.text);
	for (c.side = POLICY_SIDE_OUTER; c.side <= POLICY_SIDE_INNER; c.side++)
		for (c.peer = 0; c.peer < P_NKINDS; c.peer++)
			for (c.from = 0; c.from < D_NKINDS; c.from++)
				for (c.to = 0; c.to < D_NKINDS; c.to++)
					for (c.dns = 0; c.dns < A_NKINDS; c.dns++) {
						struct asked a, b, o;
						struct policy_decision d;

						c.ruri = c.to;
						fill(&a, &c);
						fill(&b, &c);
						fill(&o, &c);
						if (decide(more, &b, &c).verdict == POLICY_ALLOW)
							ck_assert_int_eq(decide(rules, &a, &c).verdict, POLICY_ALLOW);
						d = decide(off, &o, &c);
						ck_assert(d.verdict == POLICY_DENY || d.class == POLICY_CLASS_REMOTE_USER ||
						    d.class == POLICY_CLASS_BRANCH);
					}
	policy_rules_unref(rules);
	policy_rules_unref(more);
	policy_rules_unref(off);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("federation");
	TCase *tc = tcase_create("federation");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, product, 0, S_NKINDS * P_NKINDS);
	tcase_add_loop_test(tc, more_refusal, 0, S_NKINDS);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
