/*
 * Socket addresses as text and back.
 */
#include "tests/unit/unit.h"

#include <string.h>

#include "common/err.h"
#include "net/addr.h"

START_TEST(texts_become_addresses)
{
	static const struct {
		const char	*in;
		uint16_t	 dflt;
		const char	*out;	/* NULL: refused */
		const char	*host;
	} rows[] = {
		{ "192.0.2.1:443", 0, "192.0.2.1:443", "192.0.2.1" },
		{ "192.0.2.1", 5061, "192.0.2.1:5061", "192.0.2.1" },
		{ "192.0.2.1:65535", 5061, "192.0.2.1:65535", "192.0.2.1" },
		{ "[2001:DB8::1]:443", 0, "[2001:db8::1]:443", "2001:db8::1" },
		{ "[2001:db8::1]", 5061, "[2001:db8::1]:5061", "2001:db8::1" },
		{ "2001:db8::1", 5061, "[2001:db8::1]:5061", "2001:db8::1" },
		{ "[::]:1", 0, "[::]:1", "::" },
		{ "1111:2222:3333:4444:5555:6666:255.255.255.255", 5061,
		    "[1111:2222:3333:4444:5555:6666:ffff:ffff]:5061", "1111:2222:3333:4444:5555:6666:ffff:ffff" },
		{ "192.0.2.1", 0, NULL, NULL },
		{ "[2001:db8::1]", 0, NULL, NULL },
		{ "2001:db8::1", 0, NULL, NULL },
		{ "", 5061, NULL, NULL },
		{ ":443", 5061, NULL, NULL },
		{ "[]:443", 5061, NULL, NULL },
		{ "[", 5061, NULL, NULL },
		{ "[2001:db8::1", 5061, NULL, NULL },
		{ "[2001:db8::1]443", 5061, NULL, NULL },
		{ "[2001:db8::1]:", 5061, NULL, NULL },
		{ "[192.0.2.1]:443", 5061, NULL, NULL },
		{ "[fe80::1%lo]:443", 5061, NULL, NULL },
		{ "192.0.2.1:", 5061, NULL, NULL },
		{ "192.0.2.1:0", 5061, NULL, NULL },
		{ "192.0.2.1:0443", 5061, NULL, NULL },
		{ "192.0.2.1:65536", 5061, NULL, NULL },
		{ "192.0.2.1:100000", 5061, NULL, NULL },
		{ "192.0.2.1:+1", 5061, NULL, NULL },
		{ "192.0.2.1:4 3", 5061, NULL, NULL },
		{ " 192.0.2.1", 5061, NULL, NULL },
		{ "192.0.2.1 ", 5061, NULL, NULL },
		{ "192.0.2", 5061, NULL, NULL },
		{ "192.0.2.256", 5061, NULL, NULL },
		{ "0x7f.0.0.1", 5061, NULL, NULL },
		{ "host.example:443", 5061, NULL, NULL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[NET_ADDR_TEXT];
		struct net_addr a, b;

		if (rows[i].out == NULL) {
			ck_assert_msg(net_addr_parse(&a, span_str(rows[i].in), rows[i].dflt) == SP_EINVAL, "%s", rows[i].in);
			ck_assert_uint_eq(a.len, 0);
			ck_assert_str_eq(net_addr_format(&a, text), "none");
			continue;
		}
		ck_assert_msg(net_addr_parse(&a, span_str(rows[i].in), rows[i].dflt) == SP_OK, "%s", rows[i].in);
		ck_assert_str_eq(net_addr_format(&a, text), rows[i].out);
		ck_assert_int_eq(net_addr_parse(&b, span_str(text), 0), SP_OK);
		ck_assert_int_eq(memcmp(&a, &b, sizeof(a)), 0);
		ck_assert_str_eq(net_addr_host(&a, text), rows[i].host);
	}
}
END_TEST

START_TEST(a_nul_hides_nothing)
{
	struct net_addr a;

	ck_assert_int_eq(net_addr_parse(&a, span_of("192.0.2.1\0x", 11), 5061), SP_EINVAL);
	ck_assert_int_eq(net_addr_parse(&a, span_of("[::1\0]:5", 8), 5061), SP_EINVAL);
}
END_TEST

START_TEST(hosts_are_compared_without_ports)
{
	struct net_addr a, b, c, d, none = { .len = 0 };

	net_addr_parse(&a, SPAN_LIT("192.0.2.1:1"), 0);
	net_addr_parse(&b, SPAN_LIT("192.0.2.1:2"), 0);
	net_addr_parse(&c, SPAN_LIT("[2001:db8::1]:1"), 0);
	net_addr_parse(&d, SPAN_LIT("[2001:db8::2]:1"), 0);
	ck_assert(net_addr_same_host(&a, &b));
	ck_assert(net_addr_same_host(&c, &c));
	ck_assert(!net_addr_same_host(&a, &c));
	ck_assert(!net_addr_same_host(&c, &d));
	ck_assert(!net_addr_same_host(&none, &none));
	net_addr_set_port(&c, 443);
	ck_assert_uint_eq(net_addr_port(&c), 443);
	ck_assert(!net_addr_is_any(&a) && !net_addr_is_any(&c) && !net_addr_is_any(&none));
	net_addr_parse(&a, SPAN_LIT("0.0.0.0:1"), 0);
	net_addr_parse(&c, SPAN_LIT("[::]:1"), 0);
	net_addr_parse(&d, SPAN_LIT("[::ffff:0.0.0.0]:1"), 0);
	ck_assert(net_addr_is_any(&a) && net_addr_is_any(&c) && net_addr_is_any(&d));
}
END_TEST

START_TEST(networks)
{
	static const struct { const char *in, *out; } rows[] = {
		{ "192.0.2.7:1", "192.0.2.7" }, { "[2001:db8:1:2:3:4:5:6]:1", "2001:db8:1:2::/64" },
		{ "[2001:db8:1:2::]:1", "2001:db8:1:2::/64" }, { "[::1]:1", "::/64" },
		{ "[::ffff:192.0.2.7]:1", "192.0.2.7" },
		{ "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:1", "ffff:ffff:ffff:ffff::/64" }
	};
	struct net_addr a = { .len = 0 };
	char text[NET_ADDR_TEXT];

	ck_assert_str_eq(net_addr_network(&a, text), "none");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert_int_eq(net_addr_parse(&a, span_str(rows[i].in), 0), SP_OK);
		ck_assert_str_eq(net_addr_network(&a, text), rows[i].out);
	}
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { networks, texts_become_addresses, a_nul_hides_nothing, hosts_are_compared_without_ports };

	return unit_run("addr", tests, sizeof(tests) / sizeof(tests[0]));
}
