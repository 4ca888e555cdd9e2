/*
 * Names asked of a server inside of the test: what is found, what is not, what
 * is a lie, and what is remembered how long.
 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "net/dns.h"
#include "net/dns_reply.h"
#include "tests/fake/dns.h"

#define HOST "127.62.0.53"

static struct net_loop *loop;
static struct fake_dns *server;
static struct net_dns *dns;

struct told {
	unsigned		 n;	/* how often */
	struct net_dns_answer	 a;
	struct net_addr		 addrs[NET_DNS_ADDRS_MAX];
	struct net_srv		 srv[NET_DNS_SRV_MAX];
};

static void
tell(void *arg, const struct net_dns_answer *a)
{
	struct told *t = arg;

	t->n++;
	t->a = *a;
	if (a->naddrs > 0)
		memcpy(t->addrs, a->addrs, a->naddrs * sizeof(*a->addrs));
	if (a->nsrv > 0)
		memcpy(t->srv, a->srv, a->nsrv * sizeof(*a->srv));
}

static void
setup_with(fake_dns_fn fn, void *arg, struct net_dns_config c)
{
	const char *servers[2] = { NULL, NULL };

	loop = net_loop_new();
	server = fake_dns_new(loop, HOST, fn, arg);
	servers[0] = fake_dns_where(server);
	c.servers = servers;
	dns = net_dns_new(loop, &c);
	ck_assert_ptr_nonnull(dns);
}

static void
setup(fake_dns_fn fn, void *arg)
{
	setup_with(fn, arg, (struct net_dns_config){ .timeout_ms = 5000, .tries = 1 });
}

static void
teardown(void)
{
	net_dns_free(dns);
	fake_dns_free(server);
	net_loop_free(loop);
	clock_fake(NULL, NULL);
}

/* Until it was told; a test that waits for ever is ended by its time limit. */
static void
await(const struct told *t)
{
	while (t->n == 0)
		net_loop_once(loop, 100);
	ck_assert_uint_eq(t->n, 1);
}

static const struct net_dns_answer *
addresses(struct told *t, const char *name)
{
	memset(t, 0, sizeof(*t));
	net_dns_addresses(dns, name, tell, t);
	ck_assert_uint_eq(t->n, 0);
	await(t);
	return &t->a;
}

static const struct net_dns_answer *
srv(struct told *t, const char *name)
{
	memset(t, 0, sizeof(*t));
	net_dns_srv(dns, name, tell, t);
	ck_assert_uint_eq(t->n, 0);
	await(t);
	return &t->a;
}

static const char *
text_of(const struct net_addr *a)
{
	static char text[NET_ADDR_TEXT];

	return net_addr_host(a, text);
}

/* --- an honest zone with some lies in it --- */

static bool
zone(void *arg, const struct fake_dns_question *q, struct fake_dns_message *m)
{
	bool a = q->type == NET_DNS_A, aaaa = q->type == NET_DNS_AAAA;
	const char *n = q->name;

	(void)arg;
	if (strcmp(n, "both.example") == 0) {
		if (a) {
			fake_dns_address(m, n, 300, "192.0.2.1");
			fake_dns_address(m, n, 200, "192.0.2.2");
			fake_dns_address(m, n, 300, "192.0.2.1");
		} else {
			fake_dns_address(m, n, 400, "2001:db8::1");
		}
	} else if (strcmp(n, "four.example") == 0) {
		if (a)
			fake_dns_address(m, n, 300, "192.0.2.4");
		else
			fake_dns_soa(m, "example");
	} else if (strcmp(n, "servfail.example") == 0) {
		fake_dns_rcode(m, 2);
	} else if (strcmp(n, "refused.example") == 0) {
		fake_dns_rcode(m, 5);
	} else if (strcmp(n, "silent.example") == 0) {
		return false;
	} else if (strcmp(n, "half.example") == 0) {
		if (aaaa)
			return false;
		fake_dns_address(m, n, 3000, "192.0.2.5");
	} else if (strcmp(n, "alias.example") == 0) {
		/* The chain within the message, out of order. */
		if (a)
			fake_dns_address(m, "c.example", 300, "192.0.2.6");
		fake_dns_cname(m, "b.example", 100, "c.example");
		fake_dns_cname(m, "alias.example", 300, "B.Example");
		if (aaaa)
			fake_dns_soa(m, "example");
	} else if (strcmp(n, "away.example") == 0) {
		/* Leads out of the message: has to be asked for again. */
		fake_dns_cname(m, n, 50, "four.example");
	} else if (strcmp(n, "loop.example") == 0) {
		fake_dns_cname(m, n, 300, "pool.example");
		fake_dns_cname(m, "pool.example", 300, "loop.example");
	} else if (strncmp(n, "turn", 4) == 0) {
		/* A chain without end, one message each. */
		char next[32];

		snprintf(next, sizeof(next), "turn%d.example", atoi(n + 4) + 1);
		fake_dns_cname(m, n, 300, next);
	} else if (strcmp(n, "forged.example") == 0) {
		/* Records nobody asked for. */
		if (a) {
			fake_dns_address(m, "victim.example", 300, "192.0.2.66");
			fake_dns_address(m, n, 300, "192.0.2.7");
		}
		fake_dns_cname(m, "other.example", 300, "forged.example");
	} else if (strcmp(n, "onlyother.example") == 0) {
		if (a)
			fake_dns_address(m, "victim.example", 300, "192.0.2.66");
		fake_dns_soa(m, "example");
	} else if (strcmp(n, "useless.example") == 0) {
		if (a) {
			fake_dns_address(m, n, 300, "0.0.0.0");
			fake_dns_address(m, n, 300, "224.0.0.1");
			fake_dns_address(m, n, 300, "255.255.255.255");
		} else {
			fake_dns_address(m, n, 300, "::");
			fake_dns_address(m, n, 300, "ff02::1");
			fake_dns_address(m, n, 300, "::ffff:192.0.2.1");
		}
	} else if (strcmp(n, "big.example") == 0) {
		if (!a) {
			fake_dns_soa(m, "example");
		} else if (!q->tcp) {
			fake_dns_flags(m, 0x0200, 0);
		} else {
			for (int i = 1; i <= 100; i++) {
				char text[32];

				snprintf(text, sizeof(text), "192.0.2.%d", i);
				fake_dns_address(m, n, 300, text);
			}
		}
	} else if (strcmp(n, "_sip._tls.example") == 0 && q->type == NET_DNS_SRV) {
		fake_dns_srv(m, n, 300, 10, 60, 5061, "A.both.Example");
		fake_dns_srv(m, n, 120, 20, 0, 5062, "b.example");
	} else if (strcmp(n, "_sip._tls.none.example") == 0) {
		fake_dns_srv(m, n, 300, 0, 0, 0, ".");
	} else if (strcmp(n, "_sip._tls.bad.example") == 0) {
		fake_dns_srv(m, n, 300, 0, 0, 5061, "ok.example");
		fake_dns_srv(m, n, 300, 0, 0, 5061, "a b.example");
	} else if (strcmp(n, "signed.example") == 0 || strcmp(n, "politely.signed.example") == 0) {
		if (a)
			fake_dns_address(m, n, 300, "192.0.2.9");
		else
			fake_dns_soa(m, "example");
		/* One of them says so only to who asks (RFC 6840 5.7). */
		if (n[0] == 's' || q->ad)
			fake_dns_flags(m, 0x0020, 0);
	} else {
		fake_dns_rcode(m, 3);
		fake_dns_soa(m, "example");
	}
	return true;
}

START_TEST(finds_addresses)
{
	const struct net_dns_answer *a;
	struct told t;

	setup(zone, NULL);
	a = addresses(&t, "Both.EXAMPLE.");
	ck_assert_int_eq(a->status, NET_DNS_FOUND);
	ck_assert_uint_eq(a->naddrs, 3);
	ck_assert_str_eq(text_of(&t.addrs[0]), "2001:db8::1");
	ck_assert_str_eq(text_of(&t.addrs[1]), "192.0.2.1");
	ck_assert_str_eq(text_of(&t.addrs[2]), "192.0.2.2");
	ck_assert_uint_eq(net_addr_port(&t.addrs[0]), 0);
	ck_assert_uint_eq(a->ttl, 200);
	ck_assert(!a->authentic && !a->from_cache);

	a = addresses(&t, "four.example");
	ck_assert_int_eq(a->status, NET_DNS_FOUND);
	ck_assert_uint_eq(a->naddrs, 1);
	teardown();
}
END_TEST

START_TEST(tells_none_from_failed)
{
	struct told t;

	setup_with(zone, NULL, (struct net_dns_config){ .timeout_ms = 50, .tries = 2 });
	ck_assert_int_eq(addresses(&t, "nowhere.example")->status, NET_DNS_NONE);
	ck_assert_uint_eq(t.a.ttl, 60);
	ck_assert_int_eq(addresses(&t, "servfail.example")->status, NET_DNS_FAILED);
	ck_assert_uint_eq(t.a.ttl, NET_DNS_FAILED_TTL);
	ck_assert_int_eq(addresses(&t, "refused.example")->status, NET_DNS_FAILED);
	ck_assert_int_eq(addresses(&t, "silent.example")->status, NET_DNS_FAILED);
	ck_assert_int_eq(addresses(&t, "useless.example")->status, NET_DNS_NONE);
	ck_assert_int_eq(srv(&t, "four.example")->status, NET_DNS_NONE);
	teardown();
}
END_TEST

START_TEST(literals_and_bad_names_ask_nobody)
{
	static const char *const bad[] = { "", ".", "a..b", "-a.example", "a-.example", "a b", "a_b.example",
		"1.2.3", "192.0.2.1:1", "[::1]:1", "[192.0.2.1]", "[::1", "a.example..", "\xc3\xa4.example",
		"0123456789012345678901234567890123456789012345678901234567890123.example" };
	struct told t;

	setup(zone, NULL);
	ck_assert_int_eq(addresses(&t, "192.0.2.77")->status, NET_DNS_FOUND);
	ck_assert_str_eq(text_of(&t.addrs[0]), "192.0.2.77");
	ck_assert_uint_eq(net_addr_port(&t.addrs[0]), 0);
	ck_assert_int_eq(addresses(&t, "2001:db8::2")->status, NET_DNS_FOUND);
	ck_assert_str_eq(text_of(&t.addrs[0]), "2001:db8::2");
	ck_assert_int_eq(addresses(&t, "[2001:db8::3]")->status, NET_DNS_FOUND);
	ck_assert_str_eq(text_of(&t.addrs[0]), "2001:db8::3");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(addresses(&t, bad[i])->status == NET_DNS_NONE, "%s", bad[i]);
	ck_assert_int_eq(srv(&t, "192.0.2.1")->status, NET_DNS_NONE);
	ck_assert_uint_eq(fake_dns_asked(server), 0);
	teardown();
}
END_TEST

START_TEST(follows_aliases)
{
	struct told t;

	setup(zone, NULL);
	ck_assert_int_eq(addresses(&t, "alias.example")->status, NET_DNS_FOUND);
	ck_assert_uint_eq(t.a.naddrs, 1);
	ck_assert_str_eq(text_of(&t.addrs[0]), "192.0.2.6");
	ck_assert_uint_eq(t.a.ttl, 100);
	ck_assert_int_eq(addresses(&t, "away.example")->status, NET_DNS_FOUND);
	ck_assert_str_eq(text_of(&t.addrs[0]), "192.0.2.4");
	ck_assert_uint_eq(t.a.ttl, 50);
	ck_assert_int_eq(addresses(&t, "loop.example")->status, NET_DNS_FAILED);
	ck_assert_int_eq(addresses(&t, "turn0.example")->status, NET_DNS_FAILED);
	teardown();
}
END_TEST

START_TEST(ignores_what_was_not_asked)
{
	struct told t;

	setup(zone, NULL);
	ck_assert_int_eq(addresses(&t, "forged.example")->status, NET_DNS_FOUND);
	ck_assert_uint_eq(t.a.naddrs, 1);
	ck_assert_str_eq(text_of(&t.addrs[0]), "192.0.2.7");
	ck_assert_int_eq(addresses(&t, "onlyother.example")->status, NET_DNS_NONE);
	/* And nothing of it was remembered. */
	ck_assert_int_eq(addresses(&t, "victim.example")->status, NET_DNS_NONE);
	ck_assert(!t.a.from_cache);
	teardown();
}
END_TEST

/* Somebody else's id first, then another question, then the truth. */
static bool
impostor(void *arg, const struct fake_dns_question *q, struct fake_dns_message *m)
{
	int *turn = arg;

	if (q->type == NET_DNS_AAAA) {
		fake_dns_soa(m, "example");
		return true;
	}
	switch ((*turn)++) {
	case 0:
		fake_dns_begin(m, (uint16_t)(q->id ^ 1), q->name, q->type);
		fake_dns_address(m, q->name, 300, "192.0.2.66");
		return true;
	case 1:
		fake_dns_begin(m, q->id, "victim.example", q->type);
		fake_dns_address(m, "victim.example", 300, "192.0.2.66");
		return true;
	case 2:
		/* The question, not an answer. */
		fake_dns_flags(m, 0, 0x8000);
		fake_dns_address(m, q->name, 300, "192.0.2.66");
		return true;
	default:
		fake_dns_address(m, q->name, 300, "192.0.2.1");
		return true;
	}
}

START_TEST(impostors_are_not_believed)
{
	struct told t;
	int turn = 0;

	setup_with(impostor, &turn, (struct net_dns_config){ .timeout_ms = 50, .tries = 3 });
	addresses(&t, "a.example");
	for (unsigned i = 0; i < t.a.naddrs; i++)
		ck_assert_str_ne(text_of(&t.addrs[i]), "192.0.2.66");
	ck_assert_int_ge(turn, 2);
	teardown();
}
END_TEST

START_TEST(one_family_does_not_wait_long_for_the_other)
{
	uint64_t from = clock_ms();
	struct told t;

	setup(zone, NULL);
	ck_assert_int_eq(addresses(&t, "half.example")->status, NET_DNS_FOUND);
	ck_assert_str_eq(text_of(&t.addrs[0]), "192.0.2.5");
	/* Remembered briefly only: the other half may come back. */
	ck_assert_uint_eq(t.a.ttl, 30);
	ck_assert_uint_lt(clock_ms() - from, 4000);
	teardown();
}
END_TEST

START_TEST(truncated_goes_to_tcp)
{
	struct told t;

	setup(zone, NULL);
	ck_assert_int_eq(addresses(&t, "big.example")->status, NET_DNS_FOUND);
	ck_assert_uint_eq(t.a.naddrs, NET_DNS_ADDRS_MAX);
	teardown();
}
END_TEST

START_TEST(finds_services)
{
	struct told t;

	setup(zone, NULL);
	ck_assert_int_eq(srv(&t, "_sip._tls.example")->status, NET_DNS_FOUND);
	ck_assert_uint_eq(t.a.nsrv, 2);
	ck_assert_uint_eq(t.a.ttl, 120);
	ck_assert_str_eq(t.srv[0].target, "a.both.example");
	ck_assert_uint_eq(t.srv[0].priority, 10);
	ck_assert_uint_eq(t.srv[0].weight, 60);
	ck_assert_uint_eq(t.srv[0].port, 5061);
	ck_assert_str_eq(t.srv[1].target, "b.example");
	ck_assert_int_eq(srv(&t, "_sip._tls.none.example")->status, NET_DNS_FOUND);
	ck_assert_uint_eq(t.a.nsrv, 1);
	ck_assert_str_eq(t.srv[0].target, "");
	ck_assert_int_eq(srv(&t, "_sip._tls.bad.example")->status, NET_DNS_FAILED);
	ck_assert_int_eq(srv(&t, "_sip._tls.nowhere.example")->status, NET_DNS_NONE);
	teardown();
}
END_TEST

START_TEST(cache_keeps_to_the_ttl)
{
	uint64_t ms = 1000000;
	struct told t;
	unsigned asked;

	clock_fake(&ms, NULL);
	setup(zone, NULL);
	addresses(&t, "both.example");
	asked = fake_dns_asked(server);
	ck_assert_uint_eq(asked, 2);
	ms += 150500;
	addresses(&t, "BOTH.example");
	ck_assert(t.a.from_cache);
	ck_assert_uint_eq(t.a.ttl, 50);
	ck_assert_uint_eq(t.a.naddrs, 3);
	ms += 49499;
	addresses(&t, "both.example");
	ck_assert(t.a.from_cache);
	ck_assert_uint_eq(fake_dns_asked(server), asked);
	ms += 1;
	addresses(&t, "both.example");
	ck_assert(!t.a.from_cache);
	ck_assert_uint_eq(fake_dns_asked(server), asked + 2);

	/* None: a minute. Failed: seconds. */
	addresses(&t, "nowhere.example");
	addresses(&t, "servfail.example");
	asked = fake_dns_asked(server);
	ms += 4999;
	ck_assert(addresses(&t, "servfail.example")->from_cache);
	ms += 1;
	ck_assert(!addresses(&t, "servfail.example")->from_cache);
	ms += 54999;
	ck_assert(addresses(&t, "nowhere.example")->from_cache);
	ck_assert_int_eq(t.a.status, NET_DNS_NONE);
	ms += 1;
	ck_assert(!addresses(&t, "nowhere.example")->from_cache);

	/* Addresses and services of one name are two things. */
	srv(&t, "_sip._tls.example");
	ck_assert(srv(&t, "_sip._tls.example")->from_cache);
	net_dns_flush(dns);
	ck_assert(!srv(&t, "_sip._tls.example")->from_cache);
	teardown();
}
END_TEST

static bool
anything(void *arg, const struct fake_dns_question *q, struct fake_dns_message *m)
{
	uint32_t *ttl = arg;

	if (q->type == NET_DNS_A)
		fake_dns_address(m, q->name, *ttl, "192.0.2.1");
	else
		fake_dns_soa(m, "example");
	return true;
}

START_TEST(ttl_is_clamped_and_the_cache_bounded)
{
	uint32_t ttl = 0;
	struct told t;
	char name[32];

	setup_with(anything, &ttl, (struct net_dns_config){ .timeout_ms = 5000, .cache_max = 8, .ttl_min = 20,
	    .ttl_max = 1000 });
	ck_assert_uint_eq(addresses(&t, "zero.example")->ttl, 20);
	ttl = 1000000;
	ck_assert_uint_eq(addresses(&t, "long.example")->ttl, 1000);
	ttl = 0x80000001;
	ck_assert_uint_eq(addresses(&t, "negative.example")->ttl, 20);
	ttl = 300;
	net_dns_flush(dns);
	for (int i = 0; i < 9; i++) {
		snprintf(name, sizeof(name), "n%d.example", i);
		addresses(&t, name);
		/* The first is used all the time, so the second goes when the ninth comes. */
		ck_assert(addresses(&t, "n0.example")->from_cache);
	}
	ck_assert(addresses(&t, "n8.example")->from_cache);
	ck_assert(addresses(&t, "n2.example")->from_cache);
	ck_assert(!addresses(&t, "n1.example")->from_cache);
	teardown();
}
END_TEST

START_TEST(equal_questions_share_one)
{
	struct told t[5];
	struct net_dns_query *q[5];

	setup(zone, NULL);
	memset(t, 0, sizeof(t));
	for (int i = 0; i < 5; i++)
		q[i] = net_dns_addresses(dns, i % 2 ? "BOTH.example" : "both.example.", tell, &t[i]);
	net_dns_cancel(q[0]);
	net_dns_cancel(q[3]);
	await(&t[4]);
	ck_assert_uint_eq(fake_dns_asked(server), 2);
	for (int i = 0; i < 5; i++)
		ck_assert_uint_eq(t[i].n, i != 0 && i != 3);
	/* Cancelled when the answer is there already. */
	memset(t, 0, sizeof(t));
	q[0] = net_dns_addresses(dns, "both.example", tell, &t[0]);
	net_dns_cancel(q[0]);
	net_loop_once(loop, 0);
	net_loop_once(loop, 0);
	ck_assert_uint_eq(t[0].n, 0);
	/* Cancelled by the only asker: the cache has it all the same. */
	q[0] = net_dns_addresses(dns, "four.example", tell, &t[0]);
	net_dns_cancel(q[0]);
	addresses(&t[1], "four.example");
	ck_assert_uint_eq(fake_dns_asked(server), 4);
	ck_assert_uint_eq(t[0].n, 0);
	teardown();
}
END_TEST

static void
free_resolver(void *arg, const struct net_dns_answer *a)
{
	struct told *t = arg;

	t->n++;
	net_dns_free(dns);
	dns = NULL;
	/* Still ours to read. */
	ck_assert_uint_eq(a->naddrs, 3);
	ck_assert_uint_eq(net_addr_port(&a->addrs[2]), 0);
}

START_TEST(may_be_freed_in_a_callback)
{
	struct told t[3];

	setup(zone, NULL);
	memset(t, 0, sizeof(t));
	net_dns_addresses(dns, "silent.example", tell, &t[0]);
	net_dns_addresses(dns, "both.example", free_resolver, &t[1]);
	net_dns_addresses(dns, "both.example", tell, &t[2]);
	await(&t[1]);
	net_loop_once(loop, 0);
	net_loop_once(loop, 0);
	ck_assert_uint_eq(t[0].n, 0);
	ck_assert_uint_eq(t[2].n, 0);
	teardown();
}
END_TEST

START_TEST(ad_counts_only_if_trusted)
{
	struct told t;

	setup(zone, NULL);
	ck_assert(!addresses(&t, "signed.example")->authentic);
	teardown();
	setup_with(zone, NULL, (struct net_dns_config){ .timeout_ms = 5000, .trust_ad = true });
	ck_assert(addresses(&t, "signed.example")->authentic);
	ck_assert(addresses(&t, "signed.example")->authentic);
	ck_assert(addresses(&t, "politely.signed.example")->authentic);
	ck_assert(!addresses(&t, "both.example")->authentic);
	teardown();
}
END_TEST

static bool
ports(void *arg, const struct fake_dns_question *q, struct fake_dns_message *m)
{
	uint16_t *seen = arg;

	/* Held back: all of them are in flight at once. */
	(void)m;
	seen[atoi(q->name + 1)] = q->from_port;
	return false;
}

START_TEST(every_name_has_its_own_port)
{
	static struct told t[40];
	static uint16_t seen[40];
	char name[32];
	unsigned distinct = 0;

	setup(ports, seen);
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "n%d.example", i);
		net_dns_addresses(dns, name, tell, &t[i]);
	}
	while (fake_dns_asked(server) < 80)
		net_loop_once(loop, 100);
	for (int i = 0; i < 40; i++) {
		bool again = false;

		for (int j = 0; j < i; j++)
			again = again || seen[j] == seen[i];
		distinct += !again;
	}
	ck_assert_uint_eq(distinct, 40);
	teardown();
}
END_TEST

START_TEST(flight_is_bounded)
{
	static struct told t[NET_DNS_FLIGHT_MAX + 1];
	static uint16_t seen[NET_DNS_FLIGHT_MAX + 1];
	char name[32];

	setup(ports, seen);
	for (int i = 0; i <= NET_DNS_FLIGHT_MAX; i++) {
		snprintf(name, sizeof(name), "n%d.example", i);
		net_dns_addresses(dns, name, tell, &t[i]);
	}
	await(&t[NET_DNS_FLIGHT_MAX]);
	ck_assert_int_eq(t[NET_DNS_FLIGHT_MAX].a.status, NET_DNS_FAILED);
	ck_assert_uint_eq(t[0].n, 0);
	teardown();
}
END_TEST

START_TEST(wrong_servers_are_refused)
{
	const char *servers[] = { "127.62.0.53", "ns.example", NULL };
	const char *none[] = { NULL };
	struct net_dns_config c = { .servers = servers };

	loop = net_loop_new();
	ck_assert_ptr_null(net_dns_new(loop, &c));
	c.servers = none;
	ck_assert_ptr_null(net_dns_new(loop, &c));
	net_loop_free(loop);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { finds_addresses, tells_none_from_failed, literals_and_bad_names_ask_nobody,
		follows_aliases, ignores_what_was_not_asked, impostors_are_not_believed,
		one_family_does_not_wait_long_for_the_other, truncated_goes_to_tcp, finds_services,
		cache_keeps_to_the_ttl, ttl_is_clamped_and_the_cache_bounded, equal_questions_share_one,
		may_be_freed_in_a_callback, ad_counts_only_if_trusted, every_name_has_its_own_port, flight_is_bounded,
		wrong_servers_are_refused };

	return unit_run("dns", tests, sizeof(tests) / sizeof(tests[0]));
}
