/*
 * check_trust.c - what keys, certificates and words of others are worth, for every
 * combination of kinds: an obvious judge beside the engine, which must agree.
 *
 * check_product.c and check_federation.c say what must never be allowed. Here
 * it is said exactly who passes, so that a rule that refuses too much shows too.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/decision.h"
#include "policy/domain.h"
#include "policy/rules.h"
#include "tests/unit/policy/rulefile.h"

#define PIN	"1111111111111111111111111111111111111111111111111111111111111111"

static const char rules_text[] =
	"domain contoso.example\ninternal-server director.contoso.example\nfederation on\nblocked spam.example\n"
	"discovery on\nallowed allowed.example\nallowed.verification always-verifiable\nallowed renamed.example\n"
	"allowed.record _partner._tcp.renamed.example\n"
	"partner Plain\npartner.server sip.plain.example\npartner.domain plain.example\npartner.domain .plain.example\n"
	"partner.verification use-source-verification\n"
	"partner Strict\npartner.server sip.strict.example\npartner.domain strict.example\npartner.certificate strict\n"
	"partner.verification always-verifiable\n"
	"partner Pinned\npartner.server sip.pinned.example\npartner.domain pinned.example\npartner.certificate pinned\n"
	"partner.pin " PIN "\npartner.verification always-unverifiable\n"
	"partner Named\npartner.server sip.named.example\npartner.domain named.example\npartner.cn on\n"
	"partner Paused\npartner.server sip.paused.example\npartner.domain paused.example\npartner.paused on\n"
	"partner Below\npartner.server sip.below.example\npartner.domain .below.example\n"
	"branch proxy.branch.example\n"
	"refuse-method PUBLISH\nrefuse-method.direct INFO\nrefuse-method.branch XSECRET\n"
	"route +49*@phones.example\nroute.server gw.carrier.example\nroute.replace-host on\n"
	"route tel:+49*\nroute.server tel.carrier.example\n";

/* ---- the kinds ---- */

enum who { W_PLAIN, W_STRICT, W_PINNED, W_NAMED, W_PAUSED, W_BRANCH, W_STRANGER, W_WILDCARD, W_NOBODY, W_NKINDS };
static const struct span servers[W_NKINDS] = {
	[W_PLAIN] = SPAN_LIT("sip.plain.example"), [W_STRICT] = SPAN_LIT("sip.strict.example"),
	[W_PINNED] = SPAN_LIT("sip.pinned.example"), [W_NAMED] = SPAN_LIT("sip.named.example"),
	[W_PAUSED] = SPAN_LIT("sip.paused.example"), [W_BRANCH] = SPAN_LIT("proxy.branch.example"),
	[W_STRANGER] = SPAN_LIT("sip.stranger.example"), [W_WILDCARD] = SPAN_LIT("*.plain.example"),
};
/* whose domain speaks; the last three are nobody's of them */
enum { F_BELOW = W_PAUSED + 1, F_LOOKALIKE, F_OURS, F_NKINDS };
static const struct span senders[F_NKINDS] = {
	[W_PLAIN] = SPAN_LIT("plain.example"), [W_STRICT] = SPAN_LIT("strict.example"), [W_PINNED] = SPAN_LIT("pinned.example"),
	[W_NAMED] = SPAN_LIT("named.example"), [W_PAUSED] = SPAN_LIT("paused.example"), [F_BELOW] = SPAN_LIT("x.y.plain.example"),
	[F_LOOKALIKE] = SPAN_LIT("xplain.example"), [F_OURS] = SPAN_LIT("contoso.example"),
};
static const struct span methods[] = { SPAN_LIT("MESSAGE"), SPAN_LIT("PUBLISH"), SPAN_LIT("INFO"), SPAN_LIT("XSECRET"),
	SPAN_LIT("REGISTER"), SPAN_LIT("SERVICE") };
enum { M_MESSAGE, M_PUBLISH, M_INFO, M_XSECRET, M_REGISTER, M_SERVICE, M_NKINDS };
enum { C_NONE, C_VERIFIED, C_UNVERIFIED, C_NKINDS };

static const unsigned char pinned_key[32] = {
	0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11,
	0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11,
};
/* its last byte is another */
static const unsigned char other_key[32] = {
	0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11,
	0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x10,
};

struct shown {
	unsigned	certificate, usage, name, cn, key;	/* key: 0 unknown, 1 the pinned one, 2 another */
};

static struct policy_rules *
read_rules(const char *more)
{
	static struct rule_errors errors;
	char text[4096];
	struct policy_rules *r;

	snprintf(text, sizeof(text), "%s%s", rules_text, more);
	r = rules_from_text("t", text, &errors);
	ck_assert_msg(r != NULL, "%s", errors.text);
	return r;
}

static void
fill(struct policy_facts *f, const struct shown *s)
{
	static const unsigned char *const key[] = { NULL, pinned_key, other_key };

	*f = (struct policy_facts){
		.side = POLICY_SIDE_OUTER, .door_users = true, .door_partners = true,
		.has_certificate = s->certificate == C_VERIFIED, .unverified = s->certificate == C_UNVERIFIED,
		.usage = s->usage, .names = &servers[s->name], .nnames = s->name != W_NOBODY,
		.common_name = s->cn != W_NOBODY ? servers[s->cn] : SPAN_NONE, .spki = key[s->key],
		.to_domain = senders[F_OURS], .ruri_domain = senders[F_OURS],
	};
}

/* ---- the judge ---- */

/* Is it that one, by its rule: by the key alone, or by a name that a good chain vouches for? */
static bool
proves(const struct shown *s, unsigned who)
{
	if (who == W_PINNED)
		return s->certificate != C_NONE && s->key == 1;
	return s->certificate == C_VERIFIED && (s->name == who || (who == W_NAMED && s->cn == W_NAMED)) &&
	    (who != W_STRICT || s->usage == POLICY_USAGE_BOTH);
}

/* As whom does it come when no domain says which of its names counts? W_NOBODY: as none of the rules'; *fault says why. */
static unsigned
judge(const struct shown *s, enum policy_reason *fault)
{
	*fault = POLICY_REASON_ALLOWED;
	if (proves(s, W_PINNED))
		return W_PINNED;
	if (s->certificate == C_NONE)
		return W_NOBODY;
	if (s->certificate == C_UNVERIFIED)
		*fault = POLICY_REASON_CERTIFICATE_UNTRUSTED;
	else if (s->name == W_PINNED)
		*fault = POLICY_REASON_CERTIFICATE_PIN;
	else if (s->name == W_STRICT && s->usage != POLICY_USAGE_BOTH)
		*fault = POLICY_REASON_CERTIFICATE_USAGE;
	else if (s->name < W_BRANCH)
		return s->name;
	else if (s->cn == W_NAMED)
		return W_NAMED;
	else if (s->name == W_BRANCH)
		return W_BRANCH;
	else
		*fault = POLICY_REASON_UNKNOWN_PEER;
	return W_NOBODY;
}

static bool
refused(unsigned who, unsigned method, bool user)
{
	bool ours = user || who == W_BRANCH;

	if ((method == M_REGISTER || method == M_SERVICE || method == M_PUBLISH) && !ours)
		return true;
	return (who == W_BRANCH && method == M_XSECRET) || (!ours && method == M_INFO);
}

/* Whether it passes, and with which word of ours about the user. */
static bool
passes(const struct shown *s, unsigned from, unsigned method, enum policy_assertion word, bool *verified)
{
	enum policy_reason fault;
	bool user = s->certificate == C_NONE;
	unsigned who = user ? W_NOBODY : judge(s, &fault), of = from == F_BELOW ? W_PLAIN : from;

	if (user || who == W_BRANCH) {
		*verified = true;
		return from == F_OURS && !refused(who, method, user);
	}
	*verified = of == W_STRICT || (of != W_PINNED && word == POLICY_ASSERTED_VERIFIED);
	return of < W_PAUSED && proves(s, of) && !refused(of, method, false);
}

static void
complain(const char *what, const struct policy_facts *f, const struct policy_decision *d, const struct shown *s, unsigned from,
    unsigned method)
{
	char text[2048];
	struct strbuf sb;

	strbuf_init(&sb, text, sizeof(text));
	policy_explain(d, f, &sb);
	strbuf_putc(&sb, '\n');
	policy_explain_trail(d, &sb);
	ck_abort_msg("%s: certificate %u usage %u name %u cn %u key %u from %u method %u\n%s", what, s->certificate, s->usage,
	    s->name, s->cn, s->key, from, method, text);
}

static void
check_message(const struct policy_rules *rules, const struct shown *s, unsigned from, unsigned method, unsigned word)
{
	struct policy_facts f;
	struct policy_decision d;
	enum policy_reason fault;
	unsigned who = judge(s, &fault);
	bool user = s->certificate == C_NONE, verified = false, allow;

	fill(&f, s);
	f.from_domain = senders[from];
	f.method = policy_method_of(methods[method]);
	f.method_name = methods[method];
	f.assertion = (enum policy_assertion)word;
	d = policy_decide(rules, &f);
	allow = passes(s, from, method, f.assertion, &verified);
	if (allow != (d.verdict == POLICY_ALLOW))
		complain(allow ? "refused without need" : "allowed", &f, &d, s, from, method);
	if (allow && (d.verification == POLICY_VERIFIED) != verified)
		complain("the wrong word about the user", &f, &d, s, from, method);
	if (allow && (d.hop != POLICY_HOP_DIRECTOR || !d.mark_inward || d.mark_outward))
		complain("not inside, or not marked", &f, &d, s, from, method);
	/* what a response says of itself is judged likewise, but nobody asks whose it is */
	f.is_response = true;
	d = policy_decide(rules, &f);
	if ((user || who != W_NOBODY) != (d.verdict == POLICY_ALLOW))
		complain("of a response", &f, &d, s, from, method);
}

/* Who connects stays or goes before it says a word; whom we call, by the name that was called. */
static void
check_connection(const struct policy_rules *rules, const struct shown *s)
{
	struct policy_facts f;
	struct policy_decision d = { .verdict = POLICY_DENY };
	enum policy_reason fault, got;
	unsigned who = judge(s, &fault);
	bool stays, good;

	fill(&f, s);
	got = policy_admit(rules, &f, SPAN_NONE);
	/* a stranger may be a partner that DNS names: its messages are looked at */
	stays = who != W_NOBODY || s->certificate == C_NONE || fault == POLICY_REASON_UNKNOWN_PEER ||
	    (s->cn == W_NAMED && s->certificate == C_VERIFIED);
	if (stays != (got == POLICY_REASON_ALLOWED) || (!stays && got != fault))
		complain("a connection", &f, &d, s, 0, got);
	for (unsigned called = W_PLAIN; called <= W_STRICT + 1; called++) {
		/* that it has the name was proved by the handshake */
		good = called == W_PINNED ? s->key == 1 : s->certificate == C_VERIFIED &&
		    (called != W_STRICT || s->usage == POLICY_USAGE_BOTH);
		if (good != (policy_admit(rules, &f, servers[called]) == POLICY_REASON_ALLOWED))
			complain("a server that we called", &f, &d, s, called, 0);
	}
	if ((policy_admit(rules, &f, SPAN_LIT("unlisted.example")) == POLICY_REASON_ALLOWED) != (s->certificate == C_VERIFIED))
		complain("an unlisted server that we called", &f, &d, s, 0, 0);
	f.side = POLICY_SIDE_INNER;
	if ((policy_admit(rules, &f, SPAN_NONE) == POLICY_REASON_ALLOWED) != (s->certificate != C_UNVERIFIED))
		complain("a pin inside", &f, &d, s, 0, 0);
}

START_TEST(keys_and_words)
{
	struct policy_rules *rules = read_rules("");
	struct shown s = { .name = (unsigned)_i };

	for (s.certificate = 0; s.certificate < C_NKINDS; s.certificate++)
		for (s.usage = 0; s.usage < 4; s.usage++)
			for (s.cn = 0; s.cn < W_NKINDS; s.cn++)
				for (s.key = 0; s.key < 3; s.key++) {
					check_connection(rules, &s);
					for (unsigned from = 0; from < F_NKINDS; from++)
						for (unsigned k = 0; k < M_NKINDS * 3; k++)
							check_message(rules, &s, from, k % M_NKINDS, k / M_NKINDS);
				}
	policy_rules_unref(rules);
}
END_TEST

/* ---- a certificate of two partners ---- */

START_TEST(who_speaks)
{
	struct policy_rules *rules = read_rules("");
	struct span names[2];

	for (unsigned a = W_PLAIN; a <= W_PAUSED; a++)
		for (unsigned b = W_PLAIN; b <= W_PAUSED; b++)
			for (unsigned from = W_PLAIN; from <= W_PAUSED; from++)
				for (unsigned usage = 0; usage < 4; usage++) {
					struct shown s = { C_VERIFIED, usage, W_PLAIN, W_NOBODY, 0 };
					struct policy_facts f;
					bool allow = (from == a || from == b) && from != W_PAUSED && from != W_PINNED &&
					    (from != W_STRICT || usage == 3);

					fill(&f, &s);
					names[0] = servers[a];
					names[1] = servers[b];
					f.names = names;
					f.nnames = 2;
					f.from_domain = senders[from];
					f.method = POLICY_METHOD_MESSAGE;
					f.method_name = methods[M_MESSAGE];
					ck_assert_msg(allow == (policy_decide(rules, &f).verdict == POLICY_ALLOW), "%u %u speak for %u", a, b,
					    from);
				}
	policy_rules_unref(rules);
}
END_TEST

/* ---- outward ---- */

static struct policy_facts
outward(struct span to)
{
	static const struct span director = SPAN_LIT("director.contoso.example");

	return (struct policy_facts){
		.side = POLICY_SIDE_INNER, .has_certificate = true, .names = &director, .nnames = 1,
		.method = POLICY_METHOD_MESSAGE, .method_name = SPAN_LIT("MESSAGE"), .from_domain = SPAN_LIT("contoso.example"),
		.to_domain = to, .ruri_domain = to,
	};
}

static const char *
goes_to(const struct policy_rules *rules, const struct policy_decision *d)
{
	return d->verdict == POLICY_ALLOW && d->hop == POLICY_HOP_PARTNER ? policy_partner_get(rules, d->partner)->server : "";
}

/* The first of these that is there takes it: a connection, a route, a partner, the default route or DNS. */
START_TEST(order_of_hops)
{
	static const struct {
		const char	*domain, *user, *to;
		bool		 replace, by_dns;
	} rows[] = {
		{ "phones.example", "+4930123", "gw.carrier.example", true, false },
		{ "phones.example", "+%34930123", "gw.carrier.example", true, false },
		{ "phones.example", "%2b4930123", "", false, true },
		{ "phones.example", "+1", "", false, true },
		{ "x.phones.example", "+4930123", "", false, true },
		{ "plain.example", "+4930123", "sip.plain.example", false, false },
		{ "a.b.plain.example", "", "sip.plain.example", false, false },
		{ "xplain.example", "", "", false, true },
		{ "below.example", "", "", false, true },
		{ "x.below.example", "", "sip.below.example", false, false },
		{ "strict.example", "", "sip.strict.example", false, false },
		{ "x.strict.example", "", "", false, true },
		{ "paused.example", "", "", false, false },
		{ "other.example", "", "", false, true },
	};

	for (unsigned house = 0; house < 2; house++) {
		struct policy_rules *rules = read_rules(house ? "default-route sip.house.example\n" : "");

		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			struct policy_facts f = outward(span_str(rows[i].domain));
			struct policy_decision d;
			const char *want = rows[i].by_dns && house ? "sip.house.example" : rows[i].to;

			f.ruri_user = f.to_user = span_str(rows[i].user);
			d = policy_decide(rules, &f);
			ck_assert_msg(strcmp(goes_to(rules, &d), want) == 0, "%s goes to \"%s\"", rows[i].domain, goes_to(rules, &d));
			ck_assert_int_eq(d.replace_host, rows[i].replace);
			for (unsigned flow = 0; flow < 2; flow++) {
				f.flow = flow ? POLICY_FLOW_BRANCH : POLICY_FLOW_USER;
				ck_assert_int_eq(policy_decide(rules, &f).hop, POLICY_HOP_FLOW);
			}
		}
		for (unsigned k = 0; k < 2; k++) {
			struct policy_facts f = outward(SPAN_NONE);
			struct policy_decision d;

			f.to_tel = f.ruri_tel = true;
			f.ruri_user = f.to_user = k ? SPAN_LIT("+1-30") : SPAN_LIT("+49(30)1;x=y");
			d = policy_decide(rules, &f);
			ck_assert_str_eq(goes_to(rules, &d), k ? "" : "tel.carrier.example");
			ck_assert(!k || d.reason == POLICY_REASON_NO_ROUTE);
		}
		policy_rules_unref(rules);
	}
}
END_TEST

/* Does the answer prove, inward, a peer of that name to be the domain's server? The port does not matter there. */
static bool
proved_inward(const struct policy_rules *rules, const struct policy_dns *dns, struct span name)
{
	struct policy_facts f = {
		.side = POLICY_SIDE_OUTER, .door_partners = true, .has_certificate = true, .names = &name, .nnames = 1,
		.method = POLICY_METHOD_MESSAGE, .method_name = SPAN_LIT("MESSAGE"), .from_domain = dns->domain,
		.to_domain = SPAN_LIT("contoso.example"), .ruri_domain = SPAN_LIT("contoso.example"), .dns = *dns,
	};

	return policy_decide(rules, &f).verdict == POLICY_ALLOW;
}

/* Which targets of an answer will do: each kind in each place of a list that is longer than what is looked at. */
START_TEST(targets_of_dns)
{
	static const struct {
		struct span	name;
		uint16_t	port;
		bool		good;
	} kinds[] = {
		{ SPAN_LIT("sip.allowed.example"), 5061, true }, { SPAN_LIT("allowed.example"), 443, true },
		{ SPAN_LIT("a.b.allowed.example"), 1024, true }, { SPAN_LIT("sip.allowed.example"), 1023, false },
		{ SPAN_LIT("sip.allowed.example"), 0, false }, { SPAN_LIT("sip.xallowed.example"), 5061, false },
		{ SPAN_LIT("xallowed.example"), 5061, false }, { SPAN_LIT("example"), 5061, false },
		{ SPAN_LIT("allowed.example.evil.example"), 5061, false }, { SPAN_LIT("SIP.allowed.example"), 5061, false },
		{ SPAN_LIT("192.0.2.1"), 5061, false }, { SPAN_LIT(""), 5061, false },
	};
	struct policy_rules *rules = read_rules("");
	struct span targets[20];
	uint16_t ports[20];

	for (size_t kind = 0; kind < sizeof(kinds) / sizeof(kinds[0]); kind++)
		for (unsigned place = 0; place < 20; place++) {
			struct policy_facts f = outward(SPAN_LIT("allowed.example"));
			struct policy_decision d;
			bool good = kinds[kind].good && place < POLICY_TARGETS_MAX;

			for (unsigned i = 0; i < 20; i++) {
				targets[i] = i == place ? kinds[kind].name : SPAN_LIT("sip.elsewhere.example");
				ports[i] = i == place ? kinds[kind].port : 5061;
			}
			f.dns = (struct policy_dns){ POLICY_DNS_FOUND, f.to_domain, SPAN_NONE, targets, ports, 20 };
			d = policy_decide(rules, &f);
			ck_assert_msg(good == (d.verdict == POLICY_ALLOW), "kind %zu at %u", kind, place);
			ck_assert_uint_eq(d.targets, good ? 1u << place : 0);
			ck_assert(!good || (d.hop == POLICY_HOP_DISCOVERED && d.mark_outward));
			ck_assert_int_eq(proved_inward(rules, &f.dns, kinds[kind].name), kind < 5 && place < POLICY_TARGETS_MAX);
			/* an answer about another domain, or by another record, is none */
			f.dns.domain = SPAN_LIT("renamed.example");
			ck_assert_int_eq(policy_decide(rules, &f).verdict, POLICY_ASK_DNS);
			f.dns.domain = f.to_domain;
			f.dns.name = SPAN_LIT("_partner._tcp.renamed.example");
			ck_assert_int_eq(policy_decide(rules, &f).verdict, POLICY_ASK_DNS);
		}
	policy_rules_unref(rules);
}
END_TEST

/* What DNS denied, and what it failed to say, are different things to who has to mend it. */
START_TEST(no_answer)
{
	static const struct span name = SPAN_LIT("sip.allowed.example");
	struct policy_rules *rules = read_rules("");
	struct policy_facts f = outward(SPAN_LIT("allowed.example"));

	for (int inward = 0; inward < 2; inward++) {
		if (inward) {
			f.side = POLICY_SIDE_OUTER;
			f.door_partners = true;
			f.names = &name;
			f.from_domain = f.to_domain;
			f.to_domain = f.ruri_domain = SPAN_LIT("contoso.example");
		}
		f.dns = (struct policy_dns){ .state = POLICY_DNS_FAILED, .domain = SPAN_LIT("allowed.example") };
		ck_assert_int_eq(policy_decide(rules, &f).reason, POLICY_REASON_SRV_FAILED);
		f.dns.state = POLICY_DNS_NONE;
		ck_assert_int_eq(policy_decide(rules, &f).reason, POLICY_REASON_SRV_MISSING);
		f.dns.state = POLICY_DNS_FOUND;
		ck_assert_int_eq(policy_decide(rules, &f).reason, POLICY_REASON_SRV_MISSING);
		f.dns.state = POLICY_DNS_UNASKED;
		ck_assert_int_eq(policy_decide(rules, &f).reason, POLICY_REASON_NEEDS_DNS);
	}
	policy_rules_unref(rules);
}
END_TEST

/* ---- domains ---- */

/* Blocks cover what is below, whatever stands in front; what only looks alike they don't. Addresses have a switch. */
START_TEST(suffixes_and_addresses)
{
	static const struct {
		const char		*domain;
		enum policy_reason	 why[2];	/* ip-literals off, on */
	} rows[] = {
		{ "spam.example", { POLICY_REASON_TO_DOMAIN_BLOCKED, POLICY_REASON_TO_DOMAIN_BLOCKED } },
		{ "a.spam.example", { POLICY_REASON_TO_DOMAIN_BLOCKED, POLICY_REASON_TO_DOMAIN_BLOCKED } },
		{ "a.b.c.d.e.f.g.h.spam.example", { POLICY_REASON_TO_DOMAIN_BLOCKED, POLICY_REASON_TO_DOMAIN_BLOCKED } },
		{ "xspam.example", { POLICY_REASON_DOMAIN_NOT_ALLOWED, POLICY_REASON_DOMAIN_NOT_ALLOWED } },
		{ "spam.example.other.example", { POLICY_REASON_DOMAIN_NOT_ALLOWED, POLICY_REASON_DOMAIN_NOT_ALLOWED } },
		{ "example", { POLICY_REASON_DOMAIN_NOT_ALLOWED, POLICY_REASON_DOMAIN_NOT_ALLOWED } },
		{ "contoso.example", { POLICY_REASON_LOOPS_BACK, POLICY_REASON_LOOPS_BACK } },
		{ "x.contoso.example", { POLICY_REASON_DOMAIN_NOT_ALLOWED, POLICY_REASON_DOMAIN_NOT_ALLOWED } },
		{ "192.0.2.1", { POLICY_REASON_IP_LITERAL_DOMAIN, POLICY_REASON_DOMAIN_NOT_ALLOWED } },
		{ "[2001:db8::1]", { POLICY_REASON_IP_LITERAL_DOMAIN, POLICY_REASON_DOMAIN_NOT_ALLOWED } },
		{ "[2001:DB8::1]", { POLICY_REASON_BAD_DOMAIN, POLICY_REASON_BAD_DOMAIN } },
		{ "192.0.2", { POLICY_REASON_BAD_DOMAIN, POLICY_REASON_BAD_DOMAIN } },
		{ "0x7f.1", { POLICY_REASON_BAD_DOMAIN, POLICY_REASON_BAD_DOMAIN } },
		{ "-x.example", { POLICY_REASON_BAD_DOMAIN, POLICY_REASON_BAD_DOMAIN } },
		{ "spam.example.", { POLICY_REASON_BAD_DOMAIN, POLICY_REASON_BAD_DOMAIN } },
		{ "Spam.example", { POLICY_REASON_BAD_DOMAIN, POLICY_REASON_BAD_DOMAIN } },
		{ "spam..example", { POLICY_REASON_BAD_DOMAIN, POLICY_REASON_BAD_DOMAIN } },
	};

	for (unsigned literals = 0; literals < 2; literals++) {
		struct policy_rules *rules = read_rules(literals ? "ip-literals on\n" : "");

		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			struct policy_facts f = outward(span_str(rows[i].domain));
			struct policy_decision d = policy_decide(rules, &f);

			ck_assert_msg(d.reason == rows[i].why[literals], "%s: %s", rows[i].domain, policy_reason_name(d.reason));
			/* blocked and misspelt domains are so in the other two places, too */
			if (rows[i].why[literals] == POLICY_REASON_TO_DOMAIN_BLOCKED || rows[i].why[literals] == POLICY_REASON_BAD_DOMAIN) {
				f.to_domain = SPAN_LIT("plain.example");
				ck_assert_int_eq(policy_decide(rules, &f).reason, rows[i].why[literals]);
				f.ruri_domain = f.to_domain;
				ck_assert_int_eq(policy_decide(rules, &f).verdict, POLICY_ALLOW);
				f.from_domain = span_str(rows[i].domain);
				ck_assert_int_eq(policy_decide(rules, &f).reason, rows[i].why[literals] == POLICY_REASON_BAD_DOMAIN ?
				    POLICY_REASON_BAD_DOMAIN : POLICY_REASON_FROM_DOMAIN_BLOCKED);
			}
		}
		policy_rules_unref(rules);
	}
}
END_TEST

/* ---- providers, members, content ---- */

static const char providers_text[] =
	"domain contoso.example\ninternal-server director.contoso.example\nfederation on\ndiscovery on\nopen-federation on\n"
	"provider Hosting\nprovider.server sip.hosting.example\nprovider.enabled on\n"
	"provider Public\nprovider.server im.public.example\nprovider.public on\nprovider.enabled on\n"
	"provider Off\nprovider.server sip.off.example\n";

/* The server allow-list rule: DNS leads the sender to the provider, or it is a public one and the rule is not strict. */
START_TEST(providers)
{
	static const struct span servers_[] = { SPAN_LIT("sip.hosting.example"), SPAN_LIT("im.public.example"),
		SPAN_LIT("sip.off.example"), SPAN_LIT("sip.elsewhere.example") };
	static const uint16_t port = 5061;

	for (unsigned k = 0; k < 2 * 3 * 4; k++) {
		static struct rule_errors errors;
		unsigned strict = k % 2, peer = k / 2 % 3, answer = k / 6;
		char text[1024];
		struct policy_rules *rules;
		struct policy_facts f = {
			.side = POLICY_SIDE_OUTER, .door_partners = true, .has_certificate = true, .names = &servers_[peer], .nnames = 1,
			.method = POLICY_METHOD_MESSAGE, .method_name = SPAN_LIT("MESSAGE"), .from_domain = SPAN_LIT("some.example"),
			.to_domain = SPAN_LIT("contoso.example"), .ruri_domain = SPAN_LIT("contoso.example"),
		};
		struct policy_decision d;

		snprintf(text, sizeof(text), "%sstrict-provider-domains %s\n", providers_text, strict ? "on" : "off");
		rules = rules_from_text("t", text, &errors);
		ck_assert_msg(rules != NULL, "%s", errors.text);
		f.dns = (struct policy_dns){ POLICY_DNS_FOUND, f.from_domain, SPAN_NONE, &servers_[answer], &port, 1 };
		d = policy_decide(rules, &f);
		ck_assert_int_eq(d.verdict == POLICY_ALLOW, peer != 2 && (answer == peer || (peer == 1 && !strict)));
		ck_assert(d.verdict != POLICY_ALLOW || (!d.limited && d.public_network == (peer == 1)));
		/* outward DNS leads to it, if it is switched on */
		f = outward(SPAN_LIT("some.example"));
		f.dns = (struct policy_dns){ POLICY_DNS_FOUND, f.to_domain, SPAN_NONE, &servers_[answer], &port, 1 };
		d = policy_decide(rules, &f);
		ck_assert_int_eq(d.verdict == POLICY_ALLOW, answer < 2);
		ck_assert(answer >= 2 || strcmp(goes_to(rules, &d), servers_[answer].p) == 0);
		policy_rules_unref(rules);
	}
}
END_TEST

/* A rule of discovery says nothing while discovery is off, not even which record to ask for. */
START_TEST(record_while_off)
{
	static struct rule_errors errors;

	for (int on = 0; on < 2; on++) {
		char text[512];
		struct policy_rules *rules;
		struct policy_facts f = outward(SPAN_LIT("some.example"));
		struct policy_decision d;

		snprintf(text, sizeof(text), "domain contoso.example\ninternal-server director.contoso.example\nfederation on\n"
		    "discovery %s\nallowed some.example\nallowed.record _p._tcp.some.example\n"
		    "provider Hosting\nprovider.server sip.hosting.example\nprovider.enabled on\n", on ? "on" : "off");
		rules = rules_from_text("t", text, &errors);
		ck_assert_msg(rules != NULL, "%s", errors.text);
		d = policy_decide(rules, &f);
		ck_assert_int_eq(d.verdict, POLICY_ASK_DNS);
		ck_assert_int_eq(span_is_empty(d.dns_name), !on);
		policy_rules_unref(rules);
	}
}
END_TEST

/* Nothing is relayed to a member that is paused, and nothing from it. */
START_TEST(paused_members)
{
	static const struct span names[] = { SPAN_LIT("sip.a.example"), SPAN_LIT("sip.b.example") };
	static const struct span domains[] = { SPAN_LIT("a.example"), SPAN_LIT("b.example") };
	static struct rule_errors errors;

	for (unsigned k = 0; k < 8; k++) {
		unsigned from = k & 1;
		char text[512];
		struct policy_rules *rules;
		struct policy_facts f = {
			.side = POLICY_SIDE_OUTER, .door_partners = true, .has_certificate = true, .names = &names[from], .nnames = 1,
			.method = POLICY_METHOD_MESSAGE, .method_name = SPAN_LIT("MESSAGE"), .from_domain = domains[from],
			.to_domain = domains[!from], .ruri_domain = domains[!from],
		};

		snprintf(text, sizeof(text), "clearinghouse on\nfederation on\n"
		    "partner A\npartner.server sip.a.example\npartner.domain a.example\npartner.member on\npartner.paused %s\n"
		    "partner B\npartner.server sip.b.example\npartner.domain b.example\npartner.member on\npartner.paused %s\n",
		    k & 2 ? "on" : "off", k & 4 ? "on" : "off");
		rules = rules_from_text("t", text, &errors);
		ck_assert_msg(rules != NULL, "%s", errors.text);
		ck_assert_int_eq(policy_decide(rules, &f).reason, k & 6 ? POLICY_REASON_PARTNER_PAUSED : POLICY_REASON_ALLOWED);
		policy_rules_unref(rules);
	}
}
END_TEST

/* Every matrix of three members, every pair of them, in a dialog and outside: exactly whom the matrix lets through. */
START_TEST(member_matrix)
{
	static const struct span domains[] = { SPAN_LIT("a.example"), SPAN_LIT("b.example"), SPAN_LIT("c.example") };
	static const struct span names[] = { SPAN_LIT("sip.a.example"), SPAN_LIT("sip.b.example"), SPAN_LIT("sip.c.example") };

	for (unsigned matrix = 0; matrix < 1u << 9; matrix++) {
		static struct rule_errors errors;
		char text[2048];
		struct policy_rules *rules;
		struct strbuf sb;
		bool may[3][3], listed[3] = { false };

		strbuf_init(&sb, text, sizeof(text));
		strbuf_puts(&sb, "clearinghouse on\nfederation on\n");
		for (unsigned i = 0; i < 3; i++) {
			strbuf_printf(&sb, "partner M%u\npartner.server sip.%c.example\npartner.domain %c.example\npartner.member on\n", i,
			    (int)('a' + i), (int)('a' + i));
			for (unsigned k = 0; k < 3; k++) {
				if (k == i || (matrix >> (3 * i + k) & 1) == 0)
					continue;
				listed[i] = true;
				strbuf_printf(&sb, "partner.reach M%u\n", k);
			}
		}
		for (unsigned i = 0; i < 9; i++)
			may[i / 3][i % 3] = i / 3 != i % 3 && (!listed[i / 3] || (matrix >> i & 1) != 0);
		ck_assert(strbuf_ok(&sb));
		rules = rules_from_text("t", text, &errors);
		ck_assert_msg(rules != NULL, "%s", errors.text);
		for (unsigned i = 0; i < 9 * 2; i++) {
			unsigned a = i / 3 % 3, b = i % 3;
			bool dialog = i >= 9;
			struct policy_facts f = {
				.side = POLICY_SIDE_OUTER, .door_partners = true, .has_certificate = true, .names = &names[a], .nnames = 1,
				.method = POLICY_METHOD_MESSAGE, .method_name = SPAN_LIT("MESSAGE"), .from_domain = domains[a],
				.to_domain = domains[b], .ruri_domain = domains[b], .in_dialog = dialog,
				.route = dialog ? POLICY_ROUTE_OURS : POLICY_ROUTE_NONE,
			};
			struct policy_decision d = policy_decide(rules, &f);

			ck_assert_msg((d.verdict == POLICY_ALLOW) == (may[a][b] || (dialog && may[b][a])), "matrix %x: %u to %u", matrix, a,
			    b);
			ck_assert(d.verdict != POLICY_ALLOW || (d.partner == b && d.peer == a && d.mark_outward && !d.mark_inward));
		}
		policy_rules_unref(rules);
	}
}
END_TEST

/* Who is on no list is limited, and only he; a rule for files holds in its direction, for its class. */
START_TEST(limits_and_content)
{
	static const char *const directions[] = { "in", "out", "both" };
	static const struct span hosts[] = { SPAN_LIT("sip.listed.example"), SPAN_LIT("sip.other.example") };
	static const struct span domains[] = { SPAN_LIT("listed.example"), SPAN_LIT("other.example") };
	static const uint16_t port = 5061;

	for (unsigned k = 0; k < 3 * 2 * 2; k++) {
		static struct rule_errors errors;
		unsigned direction = k % 3, who = k / 3 % 2, class = k / 6;
		char text[512];
		struct policy_rules *rules;
		struct policy_decision d;
		struct policy_facts f = {
			.side = POLICY_SIDE_OUTER, .door_partners = true, .has_certificate = true, .names = &hosts[who], .nnames = 1,
			.method = POLICY_METHOD_MESSAGE, .method_name = SPAN_LIT("MESSAGE"), .from_domain = domains[who],
			.to_domain = SPAN_LIT("contoso.example"), .ruri_domain = SPAN_LIT("contoso.example"),
			.dns = { POLICY_DNS_FOUND, domains[who], SPAN_NONE, &hosts[who], &port, 1 },
		};

		snprintf(text, sizeof(text), "domain contoso.example\ninternal-server director.contoso.example\nfederation on\n"
		    "discovery on\nopen-federation on\nallowed listed.example\ncontent C\ncontent.class %s\ncontent.files block\n"
		    "content.direction %s\n", class ? "provider" : "enhanced", directions[direction]);
		rules = rules_from_text("t", text, &errors);
		ck_assert_msg(rules != NULL, "%s", errors.text);
		d = policy_decide(rules, &f);
		ck_assert_int_eq(d.verdict, POLICY_ALLOW);
		ck_assert_int_eq(d.limited, who == 1);
		ck_assert_int_eq(d.content != NULL, class == 0 && direction != 1);
		f = outward(domains[who]);
		f.dns = (struct policy_dns){ POLICY_DNS_FOUND, domains[who], SPAN_NONE, &hosts[who], &port, 1 };
		d = policy_decide(rules, &f);
		ck_assert_int_eq(d.verdict, POLICY_ALLOW);
		ck_assert(!d.limited);
		ck_assert_int_eq(d.content != NULL, class == 0 && direction != 0);
		policy_rules_unref(rules);
	}
}
END_TEST

/* What is told outside: each switch alone decides about its own header, and about nothing else. */
START_TEST(marks_outward)
{
	for (unsigned k = 0; k < 32; k++) {
		bool verifiable = k & 1, archiving = k & 2, partners = k & 4, users = k & 8, trusted = k & 16;
		char text[512];
		static struct rule_errors errors;
		struct policy_rules *rules;
		struct policy_facts f = outward(SPAN_LIT("p.example"));
		struct policy_decision d;

		snprintf(text, sizeof(text), "domain contoso.example\ninternal-server director.contoso.example\nfederation on\n"
		    "mark-verifiable %s\narchiving-notice %s\ndiagnostics-partners %s\ndiagnostics-users %s\n"
		    "partner P\npartner.server sip.p.example\npartner.domain p.example\npartner.trusted %s\n", verifiable ? "on" : "off",
		    archiving ? "on" : "off", partners ? "on" : "off", users ? "on" : "off", trusted ? "on" : "off");
		rules = rules_from_text("t", text, &errors);
		ck_assert_msg(rules != NULL, "%s", errors.text);
		for (unsigned response = 0; response < 2; response++) {
			f.is_response = response;
			/* a response goes to who asked */
			f.from_domain = response ? SPAN_LIT("p.example") : SPAN_LIT("contoso.example");
			f.to_domain = response ? SPAN_LIT("contoso.example") : SPAN_LIT("p.example");
			d = policy_decide(rules, &f);
			ck_assert_int_eq(d.verdict, POLICY_ALLOW);
			ck_assert(d.mark_outward && d.mark_verifiable == verifiable && d.mark_archiving == archiving);
			ck_assert(d.show_diagnostics == partners && d.trust_identity == trusted && !d.mark_inward);
		}
		f = outward(SPAN_LIT("contoso.example"));
		f.flow = POLICY_FLOW_USER;
		d = policy_decide(rules, &f);
		ck_assert(d.hop == POLICY_HOP_FLOW && !d.mark_outward && !d.mark_verifiable && !d.mark_archiving && !d.trust_identity);
		ck_assert_int_eq(d.show_diagnostics, users);
		policy_rules_unref(rules);
	}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("trust");
	TCase *tc = tcase_create("trust");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, keys_and_words, 0, W_NKINDS);
	tcase_add_test(tc, who_speaks);
	tcase_add_test(tc, order_of_hops);
	tcase_add_test(tc, targets_of_dns);
	tcase_add_test(tc, no_answer);
	tcase_add_test(tc, record_while_off);
	tcase_add_test(tc, paused_members);
	tcase_add_test(tc, suffixes_and_addresses);
	tcase_add_test(tc, providers);
	tcase_add_test(tc, member_matrix);
	tcase_add_test(tc, limits_and_content);
	tcase_add_test(tc, marks_outward);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
