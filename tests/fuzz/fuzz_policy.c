/*
 * tests/fuzz/fuzz_policy.c - policy text, and decisions by whatever rules come
 * of it. Either there are rules or there are errors; blocked stays blocked; what
 * comes in from outside is allowed only with a mark and a hop; who asks DNS is
 * content with the answer.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/decision.h"
#include "policy/domain.h"
#include "policy/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct seen {
	size_t		 errors;
	const char	*file;
	int		 line;
};

static void
see(void *arg, const char *file, int line, const char *text)
{
	struct seen *s = arg;

	assert(file != NULL && text[0] != '\0');
	assert(s->line <= line);
	for (const char *c = text; *c != '\0'; c++)
		assert(*c != '\n' && *c != '\r');
	s->line = line;
	s->errors++;
}

/* Every value that is a domain takes each part in a message. */
static void
ask(const struct policy_rules *rules, const char *value)
{
	char buf[DOMAIN_MAX];
	struct span domain, ours = SPAN_LIT("contoso.example");
	bool is_ip;

	if (policy_domain_canon(span_str(value[0] == '.' ? value + 1 : value), buf, &domain, &is_ip) != 0)
		return;
	for (unsigned i = 0; i < 32; i++) {
		struct policy_facts f = {
			.side = i & 1 ? POLICY_SIDE_OUTER : POLICY_SIDE_INNER,
			.door_users = true, .door_partners = true, .has_certificate = i & 2,
			.names = &domain, .nnames = i & 2 ? 1 : 0, .method = POLICY_METHOD_MESSAGE,
			.from_domain = i & 4 ? domain : ours, .to_domain = i & 8 ? domain : ours,
			.ruri_domain = i & 8 ? domain : ours, .in_dialog = i & 16,
			.route = i & 16 ? POLICY_ROUTE_OURS : POLICY_ROUTE_NONE,
		};
		struct policy_decision d = policy_decide(rules, &f);
		uint16_t ports[] = { 5061, 25 };
		char text[4096];
		struct strbuf sb;

		assert((d.verdict == POLICY_ASK_DNS) == (d.reason == POLICY_REASON_NEEDS_DNS));
		if (d.verdict == POLICY_ASK_DNS) {
			struct span targets[] = { domain, d.dns_domain };

			assert(!span_is_empty(d.dns_domain) && d.hop == POLICY_HOP_NONE && !d.mark_inward);
			assert(d.dns_name.n == 0 || d.dns_name.p[d.dns_name.n] == '\0');
			f.dns = (struct policy_dns){ (enum policy_dns_state)(1 + i % 3), d.dns_domain, d.dns_name,
				targets, ports, 2 };
			d = policy_decide(rules, &f);
			assert(d.verdict != POLICY_ASK_DNS);
		}

		strbuf_init(&sb, text, sizeof(text));
		policy_explain(&d, &f, &sb);
		policy_explain_trail(&d, &sb);
		assert(strbuf_ok(&sb));
		assert((d.verdict == POLICY_ALLOW) == (d.reason == POLICY_REASON_ALLOWED));
		assert(d.reason != POLICY_REASON_UNDECIDED);
		assert(d.verdict != POLICY_ALLOW || d.hop != POLICY_HOP_NONE);
		assert(d.hop != POLICY_HOP_PARTNER || d.partner < policy_partner_count(rules));
		assert(d.hop != POLICY_HOP_DISCOVERED || (d.targets != 0 && d.targets < 4));
		assert(d.verdict != POLICY_ALLOW || f.side != POLICY_SIDE_OUTER || d.mark_inward != d.mark_outward);
		assert(d.class != POLICY_CLASS_ENHANCED || f.dns.state == POLICY_DNS_FOUND);
		assert(d.verdict != POLICY_ALLOW || f.side != POLICY_SIDE_OUTER ||
		    d.class == POLICY_CLASS_REMOTE_USER || d.class == POLICY_CLASS_BRANCH ||
		    !policy_is_internal_domain(rules, f.from_domain.p, f.from_domain.n));
	}
}

/* A blocked domain is refused, whatever else the text says. */
static void
ask_blocked(const struct policy_rules *rules, const char *value)
{
	char buf[DOMAIN_MAX], below[DOMAIN_MAX + 2] = "x.";
	struct span domain;
	bool is_ip;
	struct policy_facts f = { .side = POLICY_SIDE_OUTER, .door_users = true, .method = POLICY_METHOD_MESSAGE };
	struct policy_decision d;

	if (policy_domain_canon(span_str(value), buf, &domain, &is_ip) != 0 || is_ip || domain.n > 250)
		return;
	memcpy(below + 2, domain.p, domain.n);
	f.from_domain = f.to_domain = f.ruri_domain = domain;
	d = policy_decide(rules, &f);
	assert(d.reason == POLICY_REASON_FROM_DOMAIN_BLOCKED);
	f.from_domain = SPAN_LIT("contoso.example");
	f.to_domain = f.ruri_domain = span_of(below, domain.n + 2);
	d = policy_decide(rules, &f);
	assert(d.reason == POLICY_REASON_TO_DOMAIN_BLOCKED || d.reason == POLICY_REASON_FROM_DOMAIN_BLOCKED);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct seen seen = { 0, NULL, 0 };
	struct policy_builder *b;
	struct policy_rules *rules;
	char *text, *line;

	/* no word of a policy file can have one */
	if (memchr(data, '\0', len) != NULL)
		return 0;
	b = policy_builder_new();
	text = line = malloc(len + 1);
	assert(text != NULL);
	memcpy(text, data, len);
	text[len] = '\0';
	for (int number = 1; line != NULL; number++) {
		char *next = strchr(line, '\n'), *value;

		if (next != NULL)
			*next++ = '\0';
		value = strchr(line, ' ');
		if (value != NULL)
			*value++ = '\0';
		policy_builder_add(b, "fuzz", number, line, value != NULL ? value : "");
		line = next;
	}
	rules = policy_builder_finish(b, see, &seen);
	assert((rules == NULL) == (seen.errors != 0));
	policy_builder_free(b);
	/* The lines are cut into words now; go through them again. */
	for (size_t at = 0; rules != NULL && at < len; at += strlen(text + at) + 1) {
		ask(rules, text + at);
		if (strcmp(text + at, "blocked") == 0 && at + 8 < len)
			ask_blocked(rules, text + at + 8);
	}
	policy_rules_unref(rules);
	free(text);
	return 0;
}
