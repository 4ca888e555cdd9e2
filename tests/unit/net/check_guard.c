/*
 * check_guard.c - where names of strangers may lead.
 */
#include <check.h>
#include <stdlib.h>

#include "common/err.h"
#include "net/guard.h"
#include "tests/unit/unit.h"

static const char *
why(const struct net_guard *g, const char *text)
{
	struct net_addr a;

	ck_assert_msg(net_addr_parse(&a, span_str(text), 5061) == SP_OK, "%s", text);
	return net_guard_why(g, &a);
}

static void
expect(const struct net_guard *g, const char *text, const char *want)
{
	const char *got = why(g, text);

	ck_assert_msg((got == NULL) == (want == NULL) && (got == NULL || strcmp(got, want) == 0), "%s: want %s, got %s",
	    text, want != NULL ? want : "allowed", got != NULL ? got : "allowed");
}

START_TEST(public_only)
{
	static const struct {
		const char *addr, *why;
	} table[] = {
		{ "9.9.9.9", NULL }, { "11.0.0.1", NULL }, { "100.63.255.255", NULL }, { "100.128.0.0", NULL },
		{ "128.0.0.1", NULL }, { "172.15.255.255", NULL }, { "172.32.0.1", NULL }, { "223.255.255.255", NULL },
		{ "198.17.0.1", NULL }, { "198.20.0.1", NULL }, { "[2606:4700::1]", NULL },
		{ "0.0.0.1", "this network" }, { "10.0.0.1", "private" }, { "10.255.255.255", "private" },
		{ "100.64.0.1", "shared by carriers" }, { "100.127.255.255", "shared by carriers" },
		{ "127.0.0.1", "loopback" }, { "127.255.0.1", "loopback" }, { "169.254.169.254", "link-local" },
		{ "172.16.0.1", "private" }, { "172.31.255.255", "private" }, { "192.0.0.8", "reserved" },
		{ "192.168.1.1", "private" }, { "198.18.0.1", "for benchmarks" }, { "198.19.255.255", "for benchmarks" },
		{ "192.0.2.1", "for documentation" }, { "198.51.100.1", "for documentation" },
		{ "203.0.113.1", "for documentation" }, { "224.0.0.1", "multicast" }, { "239.255.255.255", "multicast" },
		{ "240.0.0.1", "reserved" }, { "255.255.255.255", "broadcast" },
		{ "[::1]", "loopback" }, { "[::]", "unspecified" }, { "[fc00::1]", "private" },
		{ "[fdff::1]", "private" }, { "[fe80::1]", "link-local" }, { "[febf::1]", "link-local" },
		{ "[fec0::1]", "site-local" }, { "[ff02::1]", "multicast" }, { "[2001:db8::1]", "for documentation" },
		{ "[100::1]", "discarded" },
		/* a v4 address in disguise leads where that leads */
		{ "[::ffff:127.0.0.1]", "loopback" }, { "[::ffff:10.1.2.3]", "private" }, { "[::ffff:9.9.9.9]", NULL },
		{ "[64:ff9b::7f00:1]", "loopback" }, { "[64:ff9b::909:909]", NULL }, { "[2002:7f00:1::]", "loopback" },
		{ "[2002:909:909::1]", NULL }, { "[::127.0.0.1]", "loopback" }, { "[2002:e000:1::]", "multicast" },
	};
	struct net_guard *g = net_guard_new();

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		expect(g, table[i].addr, table[i].why);
	ck_assert_ptr_nonnull(net_guard_why(g, &(struct net_addr){ .len = 0 }));
	net_guard_free(g);
	net_guard_free(NULL);
}
END_TEST

START_TEST(exceptions)
{
	struct net_guard *g = net_guard_new();
	struct net_addr own;

	ck_assert_int_eq(net_guard_allow(g, SPAN_LIT("127.68.0.0/16")), SP_OK);
	ck_assert_int_eq(net_guard_allow(g, SPAN_LIT("10.1.2.3")), SP_OK);
	ck_assert_int_eq(net_guard_allow(g, SPAN_LIT("[::1]/128")), SP_OK);
	ck_assert_int_eq(net_guard_allow(g, SPAN_LIT("fd00::/9")), SP_OK);
	ck_assert_int_eq(net_guard_allow(g, SPAN_LIT("224.0.0.0/4")), SP_OK);
	ck_assert_int_eq(net_addr_parse(&own, SPAN_LIT("127.68.0.1"), 443), SP_OK);
	net_guard_refuse(g, &own);
	ck_assert_int_eq(net_addr_parse(&own, SPAN_LIT("9.9.9.9"), 443), SP_OK);
	net_guard_refuse(g, &own);
	expect(g, "127.68.0.2", NULL);
	expect(g, "127.68.0.1", "our own");
	expect(g, "[::ffff:127.68.0.1]", "our own");
	expect(g, "[64:ff9b::7f44:1]", "our own");
	expect(g, "9.9.9.9", "our own");
	expect(g, "127.69.0.2", "loopback");
	expect(g, "10.1.2.3", NULL);
	expect(g, "10.1.2.4", "private");
	expect(g, "[::1]", NULL);
	expect(g, "[fd00::1]", NULL);
	expect(g, "[fd80::1]", "private");
	expect(g, "224.0.0.1", "multicast");
	net_guard_free(g);
}
END_TEST

START_TEST(bad_networks)
{
	static const char *const bad[] = {
		"", "/", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x", "[::1]/129", "host/8", "10.0.0.0/8/8",
	};
	struct net_guard *g = net_guard_new();

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(net_guard_allow(g, span_str(bad[i])) == SP_EINVAL, "%s", bad[i]);
	expect(g, "10.0.0.1", "private");
	net_guard_free(g);
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = { public_only, exceptions, bad_networks };

	return unit_run("guard", tests, sizeof(tests) / sizeof(tests[0]));
}
