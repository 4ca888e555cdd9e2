/*
 * check_discovery.c - questions of policy to DNS: one for all who wait, answers
 * kept for their time, bounds for each side and domain.
 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "edge/discovery.h"
#include "net/loop.h"
#include "tests/fake/dns.h"

#define HOST "127.68.0.99"
#define DOMAIN	SPAN_LIT("one.example")

static struct net_loop *loop;
static struct fake_dns *server;
static struct net_dns *dns;
static struct edge_discovery *disc;
static struct edge_answer answer;
static unsigned done_n, dropped_n;
static bool silent;

static bool
zone(void *arg, const struct fake_dns_question *q, struct fake_dns_message *m)
{
	(void)arg;
	if (silent)
		return false;
	if (strcmp(q->name, "_sipfederationtls._tcp.one.example") == 0) {
		fake_dns_srv(m, q->name, 300, 20, 0, 5063, "c.one.example");
		fake_dns_srv(m, q->name, 300, 10, 30, 5061, "a.one.example");
		fake_dns_srv(m, q->name, 300, 10, 10, 5062, "b.one.example");
	} else if (strcmp(q->name, "_other._tcp.one.example") == 0) {
		fake_dns_srv(m, q->name, 300, 0, 0, 5070, "other.one.example");
	} else if (strcmp(q->name, "_sipfederationtls._tcp.dot.example") == 0) {
		fake_dns_srv(m, q->name, 300, 0, 0, 0, ".");
	} else if (strcmp(q->name, "_sipfederationtls._tcp.bad.example") == 0) {
		fake_dns_rcode(m, 2);
	} else {
		fake_dns_rcode(m, 3);
		fake_dns_soa(m, "example");
	}
	return true;
}

static void
setup(unsigned held, unsigned per_domain)
{
	const char *servers[2] = { NULL, NULL };
	struct net_dns_config c = { .timeout_ms = 5000, .tries = 1 };

	loop = net_loop_new();
	server = fake_dns_new(loop, HOST, zone, NULL);
	servers[0] = fake_dns_where(server);
	c.servers = servers;
	dns = net_dns_new(loop, &c);
	ck_assert_ptr_nonnull(dns);
	disc = edge_discovery_new(loop, dns, &(struct edge_discovery_limits){ held, per_domain });
	done_n = dropped_n = 0;
	silent = false;
}

static void
drop(void *what)
{
	(void)what;
	dropped_n++;
}

static void
teardown(void)
{
	edge_discovery_free(disc, drop);
	net_dns_free(dns);
	fake_dns_free(server);
	net_loop_free(loop);
}

/* The answer is at hand when it is said to be there, and asking again is allowed then. */
static void
done(void *arg, void *what)
{
	ck_assert_ptr_eq(arg, &done_n);
	if (what != NULL)
		ck_assert(edge_discovery_look(disc, *(struct span *)what, SPAN_NONE, &answer));
	done_n++;
}

static void
await(unsigned n)
{
	while (done_n < n)
		net_loop_once(loop, 100);
	ck_assert_uint_eq(done_n, n);
}

static int
ask(enum policy_side side, struct span domain, struct span name)
{
	static struct span asked[64];
	static unsigned n;
	struct span *what = &asked[n++ % 64];

	*what = domain;
	return edge_discovery_ask(disc, side, SPAN_NONE, domain, name, done, &done_n, span_is_empty(name) ? what : NULL);
}

START_TEST(found_in_order)
{
	unsigned a_first = 0;

	setup(100, 100);
	ck_assert(!edge_discovery_look(disc, DOMAIN, SPAN_NONE, &answer));
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(ask(POLICY_SIDE_OUTER, DOMAIN, SPAN_NONE), SP_OK);
	ck_assert_int_eq(ask(POLICY_SIDE_INNER, DOMAIN, SPAN_NONE), SP_OK);
	ck_assert_uint_eq(edge_discovery_waiting(disc), 6);
	ck_assert_uint_eq(done_n, 0);
	await(6);
	ck_assert_uint_eq(fake_dns_asked(server), 1);
	ck_assert_uint_eq(edge_discovery_waiting(disc), 0);
	ck_assert(span_eq(answer.dns.domain, DOMAIN) && span_is_empty(answer.dns.name));
	ck_assert_uint_eq(answer.dns.ntargets, 3);
	ck_assert(span_is(answer.dns.targets[2], "c.one.example") && answer.dns.ports[2] == 5063);
	for (int i = 0; i < 4000; i++) {
		ck_assert(edge_discovery_look(disc, DOMAIN, SPAN_NONE, &answer));
		a_first += span_is(answer.dns.targets[0], "a.one.example");
		ck_assert_uint_eq(answer.dns.ports[0], span_is(answer.dns.targets[0], "a.one.example") ? 5061 : 5062);
		ck_assert_str_eq(answer.dns.targets[1].p, answer.srv[1].target);
	}
	/* 3 to 1: 3000, with a standard deviation of 27 */
	ck_assert_msg(a_first > 2800 && a_first < 3200, "%u", a_first);
	ck_assert_uint_eq(fake_dns_asked(server), 1);

	/* Another record of the domain is another question. */
	ck_assert(!edge_discovery_look(disc, DOMAIN, SPAN_LIT("_other._tcp.one.example"), &answer));
	ck_assert_int_eq(ask(POLICY_SIDE_OUTER, DOMAIN, SPAN_LIT("_other._tcp.one.example")), SP_OK);
	await(7);
	ck_assert(edge_discovery_look(disc, DOMAIN, SPAN_LIT("_other._tcp.one.example"), &answer));
	ck_assert(span_is(answer.dns.targets[0], "other.one.example") && span_is(answer.dns.name, "_other._tcp.one.example"));
	edge_discovery_flush(disc);
	ck_assert(!edge_discovery_look(disc, DOMAIN, SPAN_NONE, &answer));
	teardown();
}
END_TEST

START_TEST(not_found)
{
	char longest[254];

	setup(100, 100);
	ask(POLICY_SIDE_OUTER, SPAN_LIT("none.example"), SPAN_NONE);
	await(1);
	ck_assert_int_eq(answer.dns.state, POLICY_DNS_NONE);
	ask(POLICY_SIDE_OUTER, SPAN_LIT("bad.example"), SPAN_NONE);
	await(2);
	ck_assert_int_eq(answer.dns.state, POLICY_DNS_FAILED);
	ask(POLICY_SIDE_OUTER, SPAN_LIT("dot.example"), SPAN_NONE);
	await(3);
	ck_assert_int_eq(answer.dns.state, POLICY_DNS_NONE);
	ck_assert_uint_eq(answer.dns.ntargets, 0);
	/* A name that DNS has no room for does not exist. */
	memset(longest, 'a', sizeof(longest) - 1);
	for (size_t i = 50; i < 250; i += 50)
		longest[i] = '.';
	longest[253] = '\0';
	ask(POLICY_SIDE_OUTER, span_str(longest), SPAN_NONE);
	await(4);
	ck_assert_int_eq(answer.dns.state, POLICY_DNS_NONE);
	teardown();
}
END_TEST

START_TEST(bounds)
{
	char name[64];

	setup(20, 5);
	silent = true;
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(ask(POLICY_SIDE_OUTER, DOMAIN, SPAN_NONE), SP_OK);
	ck_assert_int_eq(ask(POLICY_SIDE_OUTER, DOMAIN, SPAN_NONE), SP_ELIMIT);
	/* The other side and other domains are not concerned, up to what may wait at all. */
	ck_assert_int_eq(ask(POLICY_SIDE_INNER, DOMAIN, SPAN_NONE), SP_OK);
	for (int i = 0; i < 15; i++) {
		snprintf(name, sizeof(name), "d%d.example", i);
		ck_assert_int_eq(ask(POLICY_SIDE_OUTER, span_str(name), SPAN_NONE), SP_OK);
	}
	ck_assert_int_eq(ask(POLICY_SIDE_OUTER, SPAN_LIT("more.example"), SPAN_NONE), SP_ELIMIT);
	ck_assert_int_eq(ask(POLICY_SIDE_INNER, SPAN_LIT("more.example"), SPAN_NONE), SP_OK);
	ck_assert_uint_eq(edge_discovery_waiting(disc), 22);
	teardown();
	ck_assert_uint_eq(done_n, 0);
	ck_assert_uint_eq(dropped_n, 22);
}
END_TEST

/* However many domains strangers name, the resolver has room for the inside's questions. */
START_TEST(questions_at_once)
{
	char name[64];
	int taken = 0;

	setup(100000, 5);
	silent = true;
	for (int i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "d%d.example", i);
		taken += edge_discovery_ask(disc, POLICY_SIDE_OUTER, SPAN_NONE, span_str(name), SPAN_NONE, done, &done_n, NULL) == SP_OK;
	}
	ck_assert_int_gt(taken, 50);
	ck_assert_int_lt(taken, NET_DNS_FLIGHT_MAX / 2);
	silent = false;
	ck_assert_int_eq(ask(POLICY_SIDE_INNER, DOMAIN, SPAN_NONE), SP_OK);
	while (!edge_discovery_look(disc, DOMAIN, SPAN_NONE, &answer))
		net_loop_once(loop, 100);
	ck_assert_int_eq(answer.dns.state, POLICY_DNS_FOUND);
	teardown();
}
END_TEST

static unsigned
ask_as(const char *who, const char *prefix, unsigned n)
{
	unsigned taken = 0;
	char name[64];

	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%s%u.example", prefix, i);
		taken += edge_discovery_ask(disc, POLICY_SIDE_OUTER, span_str(who), span_str(name), SPAN_NONE, done, &done_n, NULL) == SP_OK;
	}
	return taken;
}

/* Whoever names domains without end leaves room for others, however many do so, and gets his own back. */
START_TEST(nobody_has_it_all)
{
	static const char *const attackers[] = { "mallory", "trudy", "eve" };
	unsigned had = 0, got, alone;

	setup(100000, 5);
	silent = true;
	alone = ask_as(attackers[0], "mallory", 500);
	ck_assert_uint_ge(alone, 40);
	ck_assert_uint_eq(ask_as("good", "good", 10), 10);
	for (unsigned i = 1; i < 3; i++) {
		got = ask_as(attackers[i], attackers[i], 500);
		ck_assert_uint_ge(got, 5);
		ck_assert_uint_lt(got, alone);
	}
	ck_assert_uint_ge(ask_as("good too", "too", 3), 3);
	edge_discovery_free(disc, drop);

	/* the same of waiting places, here in one domain */
	disc = edge_discovery_new(loop, dns, &(struct edge_discovery_limits){ 100, 50 });
	for (unsigned i = 0; i < 200; i++)
		had += ask_as(attackers[0], "few", 1);
	ck_assert_uint_eq(had, 50);
	ck_assert_uint_eq(ask_as("good", "few", 1), 0);		/* that domain has its fill */
	ck_assert_uint_eq(ask_as("good", "good", 10), 10);

	/* what is answered is given back */
	edge_discovery_free(disc, drop);
	disc = edge_discovery_new(loop, dns, &(struct edge_discovery_limits){ 10, 50 });
	silent = false;
	for (unsigned i = 0; i < 5; i++) {
		done_n = 0;
		edge_discovery_flush(disc);
		ck_assert_uint_eq(ask_as(attackers[0], "back", 10), 5);
		while (done_n < 5)
			net_loop_once(loop, 100);
	}
	teardown();
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { found_in_order, not_found, bounds, questions_at_once, nobody_has_it_all };

	return unit_run("discovery", tests, sizeof(tests) / sizeof(tests[0]));
}
