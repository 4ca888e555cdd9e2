/*
 * check_policy.c - decisions as data: each tests/policy/NAME.eval is asked of
 * the rules in NAME.rules. The columns are explained in tests/policy/README.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/content.h"
#include "policy/decision.h"
#include "policy/rules.h"
#include "tests/unit/policy/rulefile.h"

#define WORDS_MAX	40
#define NAMES_MAX	8

struct row {
	const char		*file;		/* without suffix */
	int			 line;
	struct policy_rules	*rules;		/* borrowed */
	struct policy_facts	 facts;
	struct span		 names[NAMES_MAX];
	/* what DNS says when it is asked; UNASKED: nobody is there to ask */
	struct policy_dns	 dns;
	unsigned char		 spki[32];
	struct span		 targets[POLICY_TARGETS_MAX + 4];
	uint16_t		 ports[POLICY_TARGETS_MAX + 4];
	/* what is expected */
	const char		*verdict, *reason;
	const char		*expect[WORDS_MAX];
	unsigned		 nexpect;
};

static const char *const files[] = {
	"closed", "federation", "addresses", "keys", "discovery", "open", "providers", "clearinghouse", "member", "house", "routes", "content", "paused"
};
#define NFILES	(sizeof(files) / sizeof(files[0]))

static struct policy_rules *rules[NFILES];
static char *texts[NFILES];
static struct row *rows;
static int nrows;

static void
broken(const struct row *r, const char *what, const char *word)
{
	fprintf(stderr, "%s.eval:%d: %s: %s\n", r->file, r->line, what, word);
	exit(1);
}

/* "-" is nothing known, "tel" a telephone number. */
static struct span
domain_word(const char *w, bool *tel)
{
	*tel = strcmp(w, "tel") == 0;
	if (*tel)
		return SPAN_NONE;
	return strcmp(w, "-") == 0 ? SPAN_NONE : span_str(w);
}

static void
read_door(struct row *r, const char *w)
{
	r->facts.side = strcmp(w, "inner") == 0 ? POLICY_SIDE_INNER :
	    strcmp(w, "-") == 0 ? POLICY_SIDE_UNKNOWN : POLICY_SIDE_OUTER;
	r->facts.door_users = strcmp(w, "users") == 0 || strcmp(w, "both") == 0;
	r->facts.door_partners = strcmp(w, "partners") == 0 || strcmp(w, "both") == 0;
	if (r->facts.side == POLICY_SIDE_OUTER && !r->facts.door_users && !r->facts.door_partners)
		broken(r, "door is users, partners, both, inner or -", w);
}

static void
read_peer(struct row *r, char *w)
{
	char *save = NULL;

	if (strcmp(w, "none") == 0)
		return;
	r->facts.has_certificate = true;
	r->facts.names = r->names;
	if (strcmp(w, "-") == 0)
		return;
	for (char *name = strtok_r(w, ",", &save); name != NULL; name = strtok_r(NULL, ",", &save)) {
		if (strncmp(name, "cn:", 3) == 0)
			r->facts.common_name = span_str(name + 3);
		else if (r->facts.nnames < NAMES_MAX)
			r->names[r->facts.nnames++] = span_str(name);
	}
}

/* "none", "failed", or servers with commas, each with its port if that is not 5061 */
static void
read_dns(struct row *r, char *w)
{
	char *save = NULL;

	r->dns.state = strcmp(w, "none") == 0 ? POLICY_DNS_NONE : strcmp(w, "failed") == 0 ? POLICY_DNS_FAILED :
	    POLICY_DNS_FOUND;
	if (r->dns.state != POLICY_DNS_FOUND)
		return;
	for (char *t = strtok_r(w, ",", &save); t != NULL; t = strtok_r(NULL, ",", &save)) {
		char *colon = strchr(t, ':');

		if (r->dns.ntargets == POLICY_TARGETS_MAX + 4)
			broken(r, "too many targets", t);
		if (colon != NULL)
			*colon++ = '\0';
		r->targets[r->dns.ntargets] = span_str(t);
		r->ports[r->dns.ntargets++] = (uint16_t)(colon != NULL ? atoi(colon) : 5061);
	}
}

static void
read_more(struct row *r, char *w)
{
	static const struct {
		const char		*word;
		enum policy_route	 route;
		enum policy_flow	 flow;
		enum policy_assertion	 assertion;
		bool			 dialog, response, unverified_names, discovered, unverified;
		unsigned		 usage;
	} more[] = {
		{ .word = "discovered", .discovered = true },
		{ .word = "flow=branch", .flow = POLICY_FLOW_BRANCH },
		{ .word = "dialog", .dialog = true },
		{ .word = "response", .response = true },
		{ .word = "unverified-chain", .unverified_names = true },
		{ .word = "unverified", .unverified = true },
		{ .word = "usage=server", .usage = POLICY_USAGE_SERVER },
		{ .word = "usage=client", .usage = POLICY_USAGE_CLIENT },
		{ .word = "usage=both", .usage = POLICY_USAGE_BOTH },
		{ .word = "route=ours", .route = POLICY_ROUTE_OURS },
		{ .word = "route=forged", .route = POLICY_ROUTE_FORGED },
		{ .word = "route=foreign", .route = POLICY_ROUTE_FOREIGN },
		{ .word = "flow=user", .flow = POLICY_FLOW_USER },
		{ .word = "flow=user-gone", .flow = POLICY_FLOW_USER_GONE },
		{ .word = "flow=peer", .flow = POLICY_FLOW_PEER },
		{ .word = "flow=peer-gone", .flow = POLICY_FLOW_PEER_GONE },
		{ .word = "asserts=verified", .assertion = POLICY_ASSERTED_VERIFIED },
		{ .word = "asserts=unverified", .assertion = POLICY_ASSERTED_UNVERIFIED },
	};

	if (strncmp(w, "dns=", 4) == 0) {
		read_dns(r, w + 4);
		return;
	}
	if (strncmp(w, "dns-of=", 7) == 0) {
		r->dns.domain = span_str(w + 7);
		return;
	}
	if (strncmp(w, "key=", 4) == 0 && strlen(w) == 6) {
		memset(r->spki, (int)strtol(w + 4, NULL, 16), sizeof(r->spki));
		r->facts.spki = r->spki;
		return;
	}
	if (strncmp(w, "user=", 5) == 0) {
		r->facts.ruri_user = span_str(w + 5);
		return;
	}
	if (strncmp(w, "to-user=", 8) == 0) {
		r->facts.to_user = span_str(w + 8);
		return;
	}
	if (strncmp(w, "asker=", 6) == 0) {
		for (int c = 0; c < POLICY_NCLASSES; c++)
			if (strcmp(policy_class_name((enum policy_class)c), w + 6) == 0)
				r->facts.asker = (enum policy_class)c;
		return;
	}
	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
		if (strcmp(w, more[i].word) != 0)
			continue;
		r->facts.in_dialog |= more[i].dialog;
		r->facts.is_response |= more[i].response;
		r->facts.discovered |= more[i].discovered;
		if (more[i].unverified) {
			r->facts.has_certificate = false;
			r->facts.unverified = true;
		}
		if (more[i].usage != 0)
			r->facts.usage = more[i].usage;
		if (more[i].unverified_names)
			r->facts.has_certificate = false;
		if (more[i].route != POLICY_ROUTE_NONE)
			r->facts.route = more[i].route;
		if (more[i].flow != POLICY_FLOW_NONE)
			r->facts.flow = more[i].flow;
		if (more[i].assertion != POLICY_ASSERTED_NOTHING)
			r->facts.assertion = more[i].assertion;
		return;
	}
	broken(r, "unknown word", w);
}

/* verdict reason door peer method from to request-uri [more...] [=> expected...] */
static void
read_row(struct row *r, char *line)
{
	char *words[WORDS_MAX], *save = NULL;
	unsigned n = 0, i;

	for (char *w = strtok_r(line, " \t", &save); w != NULL && n < WORDS_MAX; w = strtok_r(NULL, " \t", &save))
		words[n++] = w;
	if (n < 8)
		broken(r, "too few columns", n > 0 ? words[0] : "");
	r->verdict = words[0];
	r->reason = words[1];
	read_door(r, words[2]);
	read_peer(r, words[3]);
	if (strcmp(words[4], "-") != 0)
		r->facts.method_name = span_str(words[4]);
	r->facts.method = policy_method_of(r->facts.method_name);
	r->facts.from_domain = domain_word(words[5], &r->facts.from_tel);
	r->facts.to_domain = domain_word(words[6], &r->facts.to_tel);
	r->facts.ruri_tel = r->facts.to_tel;
	r->facts.ruri_domain = strcmp(words[7], "=") == 0 ? r->facts.to_domain :
	    domain_word(words[7], &r->facts.ruri_tel);
	for (i = 8; i < n && strcmp(words[i], "=>") != 0; i++)
		read_more(r, words[i]);
	for (i++; i < n; i++)
		r->expect[r->nexpect++] = words[i];
}

static void
read_file(size_t f)
{
	char name[64];
	char *line;

	snprintf(name, sizeof(name), "%s.rules", files[f]);
	rules[f] = rules_from_file(name);
	snprintf(name, sizeof(name), "%s.eval", files[f]);
	line = texts[f] = test_data(name);
	for (int number = 1; line != NULL; number++) {
		char *next = strchr(line, '\n');

		if (next != NULL)
			*next++ = '\0';
		line += strspn(line, " \t");
		if (*line != '\0' && *line != '#') {
			struct row *r;

			rows = realloc(rows, ((size_t)nrows + 1) * sizeof(*rows));
			if (rows == NULL)
				abort();
			r = &rows[nrows++];
			*r = (struct row){ .file = files[f], .line = number, .rules = rules[f] };
			read_row(r, line);
		}
		line = next;
	}
}

/* As the caller of policy_decide() does it: what it asks for is answered, and it decides again. */
static struct policy_decision
decide(const struct row *r, struct policy_facts *f)
{
	struct policy_decision d = policy_decide(r->rules, f);

	if (d.verdict != POLICY_ASK_DNS || r->dns.state == POLICY_DNS_UNASKED)
		return d;
	f->dns = r->dns;
	f->dns.targets = r->targets;
	f->dns.ports = r->ports;
	if (span_is_empty(f->dns.domain))
		f->dns.domain = d.dns_domain;
	f->dns.name = d.dns_name;
	return policy_decide(r->rules, f);
}

/* Does the decision have what the word says? */
static bool
holds(const struct row *r, const struct policy_decision *d, const char *w)
{
	const struct policy_trail *last = d->ntrail != 0 ? &d->trail[d->ntrail - 1] : NULL;

	if (strncmp(w, "hop=", 4) == 0)
		return strcmp(policy_hop_name(d->hop), w + 4) == 0;
	if (strncmp(w, "class=", 6) == 0)
		return strcmp(policy_class_name(d->class), w + 6) == 0;
	if (strncmp(w, "partner=", 8) == 0)
		return d->partner < policy_partner_count(r->rules) &&
		    strcmp(policy_partner_get(r->rules, d->partner)->name, w + 8) == 0;
	if (strncmp(w, "rule=", 5) == 0)
		return last != NULL && last->settled && last->line == atoi(w + 5);
	if (strncmp(w, "step=", 5) == 0)
		return last != NULL && last->settled && strcmp(policy_step_name(last->step), w + 5) == 0;
	if (strncmp(w, "asks=", 5) == 0)
		return d->verdict == POLICY_ASK_DNS && span_is(d->dns_domain, w + 5);
	if (strncmp(w, "record=", 7) == 0)
		return d->verdict == POLICY_ASK_DNS && span_is(d->dns_name, w + 7);
	if (strncmp(w, "targets=", 8) == 0)
		return d->targets == strtoul(w + 8, NULL, 2);
	if (strncmp(w, "content=", 8) == 0)
		return (d->content != NULL ? d->content->line : 0) == atoi(w + 8);
	if (strcmp(w, "public") == 0)
		return d->public_network;
	if (strcmp(w, "not-public") == 0)
		return !d->public_network;
	if (strcmp(w, "limited") == 0)
		return d->limited;
	if (strcmp(w, "unlimited") == 0)
		return !d->limited;
	if (strcmp(w, "identity") == 0)
		return d->mark_identity;
	if (strcmp(w, "no-identity") == 0)
		return !d->mark_identity;
	if (strcmp(w, "trusted") == 0)
		return d->trust_identity;
	if (strcmp(w, "untrusted") == 0)
		return !d->trust_identity;
	if (strcmp(w, "diagnostics") == 0)
		return d->show_diagnostics;
	if (strcmp(w, "no-diagnostics") == 0)
		return !d->show_diagnostics;
	if (strcmp(w, "replace-host") == 0)
		return d->replace_host;
	if (strcmp(w, "verified") == 0)
		return d->mark_inward && d->verification == POLICY_VERIFIED;
	if (strcmp(w, "unverified") == 0)
		return d->mark_inward && d->verification == POLICY_UNVERIFIED;
	if (strcmp(w, "verifiable") == 0)
		return d->mark_outward && d->mark_verifiable;
	if (strcmp(w, "unverifiable") == 0)
		return d->mark_outward && !d->mark_verifiable;
	if (strcmp(w, "archiving") == 0)
		return d->mark_outward && d->mark_archiving;
	if (strcmp(w, "no-archiving") == 0)
		return !d->mark_archiving;
	if (strcmp(w, "unmarked") == 0)
		return !d->mark_inward && !d->mark_outward && !d->mark_verifiable && !d->mark_archiving;
	broken(r, "unknown expectation", w);
	return false;
}

START_TEST(eval_row)
{
	struct row *r = &rows[_i];
	struct policy_facts f = r->facts;
	struct policy_decision d;
	char trail[2048];
	struct strbuf sb;

	d = decide(r, &f);
	strbuf_init(&sb, trail, sizeof(trail));
	policy_explain_trail(&d, &sb);
	ck_assert_msg(strcmp(policy_verdict_name(d.verdict), r->verdict) == 0 &&
	    strcmp(policy_reason_name(d.reason), r->reason) == 0, "%s.eval:%d: want %s %s, got %s %s\n%s",
	    r->file, r->line, r->verdict, r->reason, policy_verdict_name(d.verdict),
	    policy_reason_name(d.reason), trail);
	for (unsigned i = 0; i < r->nexpect; i++)
		ck_assert_msg(holds(r, &d, r->expect[i]), "%s.eval:%d: want %s; class=%s hop=%s\n%s", r->file,
		    r->line, r->expect[i], policy_class_name(d.class), policy_hop_name(d.hop), trail);
}
END_TEST

/* What policy_decide() can say; all others are said by who frames, connects, counts or knows the users. */
static const enum policy_reason ours[] = {
	POLICY_REASON_UNDECIDED, POLICY_REASON_ALLOWED, POLICY_REASON_FROM_DOMAIN_BLOCKED,
	POLICY_REASON_TO_DOMAIN_BLOCKED, POLICY_REASON_PEER_BLOCKED, POLICY_REASON_REMOTE_USERS_OFF,
	POLICY_REASON_NOT_FOR_USERS, POLICY_REASON_NOT_FOR_PARTNERS, POLICY_REASON_FEDERATION_OFF,
	POLICY_REASON_UNKNOWN_PEER, POLICY_REASON_METHOD_NOT_ALLOWED, POLICY_REASON_SPOOFED_FROM,
	POLICY_REASON_FROM_NOT_INTERNAL, POLICY_REASON_FROM_NOT_OF_PARTNER,
	POLICY_REASON_TO_NOT_INTERNAL, POLICY_REASON_IP_LITERAL_DOMAIN, POLICY_REASON_BAD_DOMAIN,
	POLICY_REASON_ROUTE_FORGED, POLICY_REASON_ROUTE_NOT_OURS, POLICY_REASON_NOT_INTERNAL_PEER,
	POLICY_REASON_LOOPS_BACK, POLICY_REASON_FLOW_GONE, POLICY_REASON_NO_ROUTE,
	POLICY_REASON_FROM_NOT_OURS, POLICY_REASON_DOMAIN_NOT_ALLOWED, POLICY_REASON_PROVIDER_OFF,
	POLICY_REASON_FROM_NOT_OF_PROVIDER, POLICY_REASON_MEMBER_NOT_ALLOWED, POLICY_REASON_NEEDS_DNS,
	POLICY_REASON_SRV_MISSING, POLICY_REASON_SRV_FAILED, POLICY_REASON_SRV_OUTSIDE_DOMAIN,
	POLICY_REASON_SRV_PORT, POLICY_REASON_PEER_NOT_IN_SRV, POLICY_REASON_CERTIFICATE_UNTRUSTED,
	POLICY_REASON_CERTIFICATE_USAGE, POLICY_REASON_CERTIFICATE_PIN, POLICY_REASON_PARTNER_PAUSED,
};

static bool
is_ours(enum policy_reason reason)
{
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (ours[i] == reason)
			return true;
	return false;
}

/* Each of ours is in some row, and no row has another. */
START_TEST(every_reason_has_a_row)
{
	for (int r = 0; r < POLICY_NREASONS; r++) {
		int seen = 0;

		for (int k = 0; k < nrows; k++)
			seen += strcmp(rows[k].reason, policy_reason_name((enum policy_reason)r)) == 0;
		ck_assert_msg(seen > 0 || !is_ours((enum policy_reason)r), "no row for %s", policy_reason_name((enum policy_reason)r));
		ck_assert_msg(seen == 0 || is_ours((enum policy_reason)r), "a row for %s", policy_reason_name((enum policy_reason)r));
	}
}
END_TEST

static bool
has_word(const char *text, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = strstr(text, word); at != NULL; at = strstr(at + 1, word))
		if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789", at[n]) == NULL)
			return true;
	return false;
}

/* A reason that the code of the steps names is one of ours: so the list above is whole. */
START_TEST(every_reason_is_listed)
{
	static const char *const sources[] = { "decision.c", "steps.c", "discovery.c", "keys.c", "walk.h" };
	static const char *const words[] = {
#define X(e, name, status, diag, pub, text) "POLICY_REASON_" #e,
		POLICY_REASONS(X)
#undef X
	};
	bool said[POLICY_NREASONS] = { false };

	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		char path[64], *text;

		snprintf(path, sizeof(path), "../../policy/%s", sources[i]);
		text = test_data(path);
		for (int r = 0; r < POLICY_NREASONS; r++)
			said[r] |= has_word(text, words[r]);
		free(text);
	}
	for (int r = 0; r < POLICY_NREASONS; r++)
		ck_assert_msg(said[r] == is_ours((enum policy_reason)r), "%s is %s", words[r], said[r] ? "not listed" : "never said");
}
END_TEST

/* The trail's last step settled, no step comes twice, and they come in the printed order. */
START_TEST(trails_are_in_order)
{
	for (int k = 0; k < nrows; k++) {
		struct policy_facts f = rows[k].facts;
		struct policy_decision d = decide(&rows[k], &f);

		for (unsigned i = 0; i < d.ntrail; i++) {
			ck_assert(d.trail[i].settled == (i + 1 == d.ntrail));
			ck_assert(i == 0 || d.trail[i].step > d.trail[i - 1].step);
			ck_assert((d.trail[i].file == NULL) == (d.trail[i].line == 0));
		}
	}
}
END_TEST

START_TEST(sentences)
{
	static const struct span partner[] = { { "sip.fabrikam.example", 20 } };
	struct policy_facts f = {
		.side = POLICY_SIDE_OUTER, .door_partners = true, .has_certificate = true,
		.names = partner, .nnames = 1, .method = POLICY_METHOD_MESSAGE,
		.from_domain = SPAN_LIT("fabrikam.example"), .to_domain = SPAN_LIT("contoso.example"),
		.ruri_domain = SPAN_LIT("contoso.example"),
	};
	struct policy_decision d = policy_decide(rules[1], &f);
	char text[1024];
	struct strbuf sb;

	strbuf_init(&sb, text, sizeof(text));
	policy_explain(&d, &f, &sb);
	ck_assert_str_eq(text, "Allowed: the MESSAGE from \"fabrikam.example\" to \"contoso.example\", sent by "
	    "a direct partner at the outer door, goes to the Director, marked unverified.");

	f.from_domain = SPAN_LIT("mail.spam.example");
	d = policy_decide(rules[1], &f);
	strbuf_reset(&sb);
	policy_explain(&d, &f, &sb);
	ck_assert_str_eq(text, "Refused with 403 (from-domain-blocked): the MESSAGE from \"mail.spam.example\" to "
	    "\"contoso.example\", sent by a direct partner at the outer door. The sender's domain is on the "
	    "block list. (federation.rules:9)");

	/* Nothing that an outsider wrote gets in unquoted. */
	f.method = POLICY_METHOD_OTHER;
	f.method_name = SPAN_LIT("X\r\nY");
	f.from_domain = SPAN_LIT("a\"\x1b[31m");
	d = policy_decide(rules[1], &f);
	strbuf_reset(&sb);
	policy_explain(&d, &f, &sb);
	ck_assert_ptr_null(strchr(text, '\r'));
	ck_assert_ptr_null(strchr(text, '\n'));
	ck_assert_ptr_null(strchr(text, '\x1b'));
	ck_assert_ptr_nonnull(strstr(text, "(bad-domain)"));
}
END_TEST

START_TEST(order_is_printed)
{
	static char text[4096];
	struct strbuf sb;
	const char *inner;

	strbuf_init(&sb, text, sizeof(text));
	policy_print_order(&sb);
	ck_assert(strbuf_ok(&sb));
	for (int s = POLICY_STEP_NONE + 1; s < POLICY_NSTEPS; s++)
		ck_assert_msg(strstr(text, policy_step_name((enum policy_step)s)) != NULL, "%s",
		    policy_step_name((enum policy_step)s));
	inner = strstr(text, "inner door");
	ck_assert_ptr_nonnull(inner);
	ck_assert(strstr(inner, "blocked") < strstr(inner, "remote-flow"));
	ck_assert(strstr(inner, "remote-flow") < strstr(inner, "static-route"));
	ck_assert(strstr(inner, "static-route") < strstr(inner, "direct-partner"));
	ck_assert(strstr(inner, "direct-partner") < strstr(inner, "default-route"));
	ck_assert(strstr(inner, "default-route") < strstr(inner, "provider"));
	ck_assert(strstr(inner, "provider") < strstr(inner, "enhanced"));
}
END_TEST

START_TEST(class_of_a_connection)
{
	for (int k = 0; k < nrows; k++) {
		struct policy_facts f = rows[k].facts;
		enum policy_class before = policy_class_of_peer(rows[k].rules, &f);
		struct policy_decision d = decide(&rows[k], &f);

		/* What the connection proves is what the message is judged by; the rest only DNS can prove. */
		if (d.class == POLICY_CLASS_ENHANCED)
			ck_assert_int_eq(before, POLICY_CLASS_UNKNOWN);
		else
			ck_assert_int_eq(before, d.class);
		f.from_domain = f.to_domain = f.ruri_domain = SPAN_NONE;
		ck_assert_int_eq(policy_class_of_peer(rows[k].rules, &f), before);
	}
}
END_TEST

/* Before a message: who connects, and who answers where we called. */
START_TEST(connections_admitted)
{
	static const unsigned char aa[32] = { [0 ... 31] = 0xaa }, cd[32] = { [0 ... 31] = 0xcd }, cc[32] = { [0 ... 31] = 0xcc };
	static const struct span ordinary = SPAN_LIT("sip.ordinary.example"), strict = SPAN_LIT("sip.strict.example"),
	    pinned = SPAN_LIT("sip.pinned.example"), stranger = SPAN_LIT("sip.nobody.example");
	enum { O = POLICY_SIDE_OUTER, I = POLICY_SIDE_INNER };
	const struct {
		int			 side;
		const struct span	*name;		/* in the certificate */
		bool			 verified;
		unsigned		 usage;
		const unsigned char	*spki;
		const struct span	*called;	/* NULL: inbound */
		enum policy_reason	 want;
	} table[] = {
		{ O, NULL, false, 0, NULL, NULL, POLICY_REASON_ALLOWED },	/* a user; has shown none */
		{ O, &ordinary, true, POLICY_USAGE_SERVER, cd, NULL, POLICY_REASON_ALLOWED },
		{ O, &stranger, true, POLICY_USAGE_SERVER, cd, NULL, POLICY_REASON_ALLOWED },
		{ O, &strict, true, POLICY_USAGE_SERVER, cd, NULL, POLICY_REASON_CERTIFICATE_USAGE },
		{ O, &strict, true, POLICY_USAGE_BOTH, cd, NULL, POLICY_REASON_ALLOWED },
		{ O, &pinned, true, POLICY_USAGE_BOTH, cd, NULL, POLICY_REASON_CERTIFICATE_PIN },
		{ O, &pinned, true, POLICY_USAGE_BOTH, aa, NULL, POLICY_REASON_ALLOWED },
		{ O, &stranger, false, 0, aa, NULL, POLICY_REASON_ALLOWED },
		{ O, &pinned, false, 0, cd, NULL, POLICY_REASON_CERTIFICATE_EXPIRED },
		{ O, &ordinary, true, POLICY_USAGE_SERVER, cd, &ordinary, POLICY_REASON_ALLOWED },
		{ O, &ordinary, false, POLICY_USAGE_SERVER, aa, &ordinary, POLICY_REASON_CERTIFICATE_EXPIRED },
		{ O, &strict, true, POLICY_USAGE_SERVER, cd, &strict, POLICY_REASON_CERTIFICATE_USAGE },
		{ O, &strict, true, POLICY_USAGE_BOTH, cd, &strict, POLICY_REASON_ALLOWED },
		{ O, &pinned, true, POLICY_USAGE_BOTH, cd, &pinned, POLICY_REASON_CERTIFICATE_PIN },
		{ O, &stranger, false, 0, aa, &pinned, POLICY_REASON_ALLOWED },
		{ O, &pinned, true, POLICY_USAGE_BOTH, cc, &pinned, POLICY_REASON_CERTIFICATE_PIN },	/* another partner's key */
		{ O, &stranger, true, POLICY_USAGE_SERVER, cd, &stranger, POLICY_REASON_ALLOWED },
		{ O, &stranger, false, 0, aa, &stranger, POLICY_REASON_CERTIFICATE_EXPIRED },
		{ I, &stranger, true, POLICY_USAGE_SERVER, cd, NULL, POLICY_REASON_ALLOWED },
		{ I, &pinned, false, 0, aa, NULL, POLICY_REASON_CERTIFICATE_EXPIRED },
		{ I, &pinned, false, 0, aa, &pinned, POLICY_REASON_CERTIFICATE_EXPIRED },
	};
	struct policy_rules *r = rules[3];

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct policy_facts f = {
			.side = (enum policy_side)table[i].side, .has_certificate = table[i].verified,
			.unverified = table[i].name != NULL && !table[i].verified,
			.chain_fault = table[i].verified ? POLICY_REASON_ALLOWED : POLICY_REASON_CERTIFICATE_EXPIRED,
			.usage = table[i].usage, .spki = table[i].spki, .names = table[i].name, .nnames = table[i].name != NULL,
		};
		enum policy_reason got = policy_admit(r, &f, table[i].called != NULL ? *table[i].called : SPAN_NONE);

		ck_assert_msg(got == table[i].want, "row %zu: %s", i, policy_reason_name(got));
	}
	/* A name alone is not everybody's word. */
	ck_assert(policy_name_suffices(r, ordinary));
	ck_assert(policy_name_suffices(r, stranger));
	ck_assert(!policy_name_suffices(r, strict));
	ck_assert(!policy_name_suffices(r, pinned));
	/* A fault that nobody named is a fault. */
	ck_assert_int_eq(policy_admit(r, &(struct policy_facts){ .side = POLICY_SIDE_OUTER, .unverified = true },
	    SPAN_NONE), POLICY_REASON_CERTIFICATE_UNTRUSTED);
}
END_TEST

START_TEST(names)
{
	for (int r = 0; r < POLICY_NREASONS; r++) {
		enum policy_reason reason = (enum policy_reason)r;
		int status = policy_reason_status(reason);

		ck_assert(status == 0 || (status >= 200 && status <= 699));
		ck_assert_int_gt((int)strlen(policy_reason_text(reason)), 10);
		ck_assert_str_ne(policy_reason_name(reason), "");
		ck_assert(!policy_reason_is_public(reason) || policy_reason_diagnostics(reason) != 0);
		for (int other = 0; other < r; other++)
			ck_assert_str_ne(policy_reason_name(reason), policy_reason_name((enum policy_reason)other));
	}
	ck_assert_str_eq(policy_reason_name((enum policy_reason)POLICY_NREASONS), "undecided");
	ck_assert_str_eq(policy_reason_name((enum policy_reason)-1), "undecided");
	for (int m = 0; m < POLICY_NMETHODS; m++)
		ck_assert_int_eq(policy_method_of(span_str(policy_method_name((enum policy_method)m))), m);
	ck_assert_int_eq(policy_method_of(SPAN_LIT("invite")), POLICY_METHOD_OTHER);
	ck_assert_int_eq(policy_method_of(SPAN_LIT("INVITE ")), POLICY_METHOD_OTHER);
	ck_assert_str_eq(policy_class_name((enum policy_class)99), "unknown");
	ck_assert_str_eq(policy_source_token(POLICY_CLASS_REMOTE_USER), "InternetUser");
	ck_assert_str_eq(policy_source_token(POLICY_CLASS_DIRECT), "DirectPartner");
	ck_assert_ptr_null(policy_source_token(POLICY_CLASS_INTERNAL));
	ck_assert_ptr_null(policy_source_token(POLICY_CLASS_UNKNOWN));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("policy");
	TCase *tc = tcase_create("policy");
	SRunner *sr;
	int failed;

	for (size_t f = 0; f < NFILES; f++)
		read_file(f);
	/* the array of rows moved while it grew, and what the facts borrow from it with it */
	for (int k = 0; k < nrows; k++) {
		if (rows[k].facts.names != NULL)
			rows[k].facts.names = rows[k].names;
		if (rows[k].facts.spki != NULL)
			rows[k].facts.spki = rows[k].spki;
	}
	tcase_add_loop_test(tc, eval_row, 0, nrows);
	tcase_add_test(tc, every_reason_has_a_row);
	tcase_add_test(tc, every_reason_is_listed);
	tcase_add_test(tc, trails_are_in_order);
	tcase_add_test(tc, sentences);
	tcase_add_test(tc, order_is_printed);
	tcase_add_test(tc, class_of_a_connection);
	tcase_add_test(tc, connections_admitted);
	tcase_add_test(tc, names);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	for (size_t f = 0; f < NFILES; f++) {
		policy_rules_unref(rules[f]);
		free(texts[f]);
	}
	free(rows);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
