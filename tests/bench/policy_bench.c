/*
 * tests/bench/policy_bench.c - what a decision costs, and what loading a policy does.
 *
 * `make bench-policy`. 1,000 partners, 10,000 blocks, 10,000 allowed domains, some
 * providers and static routes; a mix of what comes: remote users, partners,
 * strangers, traffic from inside. Prints nanoseconds a decision, and ends with an
 * error if any decision allocated.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "policy/decision.h"
#include "policy/rules.h"

#define NPARTNERS	1000
#define NBLOCKED	10000
#define NALLOWED	10000
#define NROUTES		16
#define NPROVIDERS	20
#define NMIX		4096
#define ROUNDS		500

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
	allocations++;
	return __real_malloc(n);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	allocations++;
	return __real_calloc(n, size);
}

void *
__wrap_realloc(void *p, size_t n)
{
	allocations++;
	return __real_realloc(p, n);
}

static double
cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static struct span
text(const char *fmt, int i)
{
	char buf[128];

	snprintf(buf, sizeof(buf), fmt, i);
	return span_str(strdup(buf));
}

static struct policy_rules *
build(void)
{
	struct policy_builder *b = policy_builder_new();
	struct policy_rules *rules;
	int line = 1;

	policy_builder_add(b, "bench", line++, "domain", "contoso.example");
	policy_builder_add(b, "bench", line++, "federation", "on");
	policy_builder_add(b, "bench", line++, "internal-server", "director.contoso.example");
	for (int i = 0; i < NBLOCKED; i++)
		policy_builder_add(b, "bench", line++, "blocked",
		    text(i % 3 != 0 ? "blocked-%d.example" : "mail.blocked-%d.co.example", i).p);
	for (int i = 0; i < NPARTNERS; i++) {
		policy_builder_add(b, "bench", line++, "partner", text("Partner %d", i).p);
		policy_builder_add(b, "bench", line++, "partner.server", text("sip.partner-%d.example", i).p);
		policy_builder_add(b, "bench", line++, "partner.domain", text("partner-%d.example", i).p);
		policy_builder_add(b, "bench", line++, "partner.domain", text(".partner-%d.example", i).p);
	}
	policy_builder_add(b, "bench", line++, "discovery", "on");
	for (int i = 0; i < NALLOWED; i++)
		policy_builder_add(b, "bench", line++, "allowed", text("allowed-%d.example", i).p);
	for (int i = 0; i < NPROVIDERS; i++) {
		policy_builder_add(b, "bench", line++, "provider", text("Provider %d", i).p);
		policy_builder_add(b, "bench", line++, "provider.server", text("sip.provider-%d.example", i).p);
		policy_builder_add(b, "bench", line++, "provider.enabled", "on");
	}
	for (int i = 0; i < NROUTES; i++) {
		policy_builder_add(b, "bench", line++, "route", text("+1555*@gw*-%d.test", i).p);
		policy_builder_add(b, "bench", line++, "route.server", text("gw%d.phone.test", i).p);
	}
	rules = policy_builder_finish(b, NULL, NULL);
	policy_builder_free(b);
	return rules;
}

static struct policy_facts
partner_in(int i)
{
	struct span *names = calloc(2, sizeof(*names));

	names[0] = text("www.partner-%d.example", i % NPARTNERS);
	names[1] = text("sip.partner-%d.example", i % NPARTNERS);
	return (struct policy_facts){ .side = POLICY_SIDE_OUTER, .door_partners = true, .has_certificate = true,
		.names = names, .nnames = 2, .method = POLICY_METHOD_MESSAGE,
		.from_domain = text("it.partner-%d.example", i % NPARTNERS),
		.to_domain = SPAN_LIT("contoso.example"), .ruri_domain = SPAN_LIT("contoso.example") };
}

static struct policy_facts
user_in(int i)
{
	return (struct policy_facts){ .side = POLICY_SIDE_OUTER, .door_users = true,
		.method = POLICY_METHOD_MESSAGE, .from_domain = SPAN_LIT("contoso.example"),
		.to_domain = text("partner-%d.example", i % NPARTNERS),
		.ruri_domain = text("partner-%d.example", i % NPARTNERS) };
}

static struct policy_facts
inside_out(int i)
{
	static const struct span director[] = { SPAN_LIT("director.contoso.example") };

	return (struct policy_facts){ .side = POLICY_SIDE_INNER, .has_certificate = true, .names = director,
		.nnames = 1, .method = POLICY_METHOD_MESSAGE, .from_domain = SPAN_LIT("contoso.example"),
		.to_domain = text("partner-%d.example", i % NPARTNERS),
		.ruri_domain = text("partner-%d.example", i % NPARTNERS) };
}

static struct policy_dns
answer(int i)
{
	static const uint16_t ports[] = { 5061, 5061, 5061, 5061 };
	struct span *targets = calloc(4, sizeof(*targets));

	targets[0] = text("other.allowed-%d.example", i % NALLOWED);
	targets[1] = text("edge.allowed-%d.example", i % NALLOWED);
	targets[2] = text("elsewhere-%d.example", i % NALLOWED);
	targets[3] = text("sip.allowed-%d.example", i % NALLOWED);
	return (struct policy_dns){ POLICY_DNS_FOUND, text("allowed-%d.example", i % NALLOWED), SPAN_NONE, targets,
		ports, 4 };
}

static struct policy_facts
discovered_in(int i)
{
	struct policy_facts f = partner_in(i);
	struct span *names = calloc(2, sizeof(*names));

	names[0] = text("www.allowed-%d.example", i % NALLOWED);
	names[1] = text("sip.allowed-%d.example", i % NALLOWED);
	f.names = names;
	f.from_domain = text("allowed-%d.example", i % NALLOWED);
	f.dns = answer(i);
	return f;
}

static struct policy_facts
inside_to_discovered(int i)
{
	struct policy_facts f = inside_out(i);

	f.to_domain = f.ruri_domain = text("allowed-%d.example", i % NALLOWED);
	f.ruri_user = SPAN_LIT("+15551234");
	f.dns = answer(i);
	return f;
}

static struct policy_facts
blocked_in(int i)
{
	struct policy_facts f = user_in(i);

	f.from_domain = text("x.blocked-%d.example", i % NBLOCKED);
	return f;
}

static void
measure(const struct policy_rules *rules, const char *what, struct policy_facts (*make)(int))
{
	static struct policy_facts mix[NMIX];
	unsigned long before, allowed = 0;
	double from, ns;

	for (int i = 0; i < NMIX; i++)
		mix[i] = make(i * 37);
	before = allocations;
	from = cpu_ns();
	for (int round = 0; round < ROUNDS; round++)
		for (int i = 0; i < NMIX; i++)
			allowed += policy_decide(rules, &mix[i]).verdict == POLICY_ALLOW;
	ns = (cpu_ns() - from) / ((double)ROUNDS * NMIX);
	printf("%-28s %7.0f ns a decision, %lu allocations, %lu%% allowed\n", what, ns, allocations - before,
	    allowed * 100 / ((unsigned long)ROUNDS * NMIX));
	if (allocations != before)
		exit(1);
}

int
main(void)
{
	double from = cpu_ns();
	struct policy_rules *rules = build();

	if (rules == NULL)
		return 1;
	printf("%-28s %7.1f ms (%d partners, %d blocked, %d allowed)\n", "loading", (cpu_ns() - from) / 1e6, NPARTNERS,
	    NBLOCKED, NALLOWED);
	measure(rules, "remote user inward", user_in);
	measure(rules, "partner inward", partner_in);
	measure(rules, "inside to partner", inside_out);
	measure(rules, "discovered inward", discovered_in);
	measure(rules, "inside to discovered", inside_to_discovered);
	measure(rules, "blocked", blocked_in);
	policy_rules_unref(rules);
	return 0;
}
