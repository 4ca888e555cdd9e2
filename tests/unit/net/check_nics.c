/*
 * Which interface faces the Internet, and which the inside.
 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "net/nics.h"

static struct net_addr
address(const char *text)
{
	struct net_addr a = { .len = 0 };

	if (text != NULL)
		ck_assert_int_eq(net_addr_parse(&a, span_str(text), 1), SP_OK);
	return a;
}

START_TEST(two_faces)
{
	static const struct {
		const char	*nics[4][2];
		const char	*route, *outside, *inside, *why;	/* NULL: none, empty */
	} rows[] = {
		{ { { "eth0", "203.0.113.10" }, { "eth1", "10.0.0.10" } }, "203.0.113.10", "203.0.113.10", "10.0.0.10", NULL },
		{ { { "eth0", "10.0.0.10" }, { "eth1", "203.0.113.10" } }, "203.0.113.10", "203.0.113.10", "10.0.0.10", NULL },
		/* a second address towards the Internet is none of the inside */
		{ { { "eth0", "203.0.113.11" }, { "eth0", "203.0.113.10" }, { "eth1", "10.0.0.10" } }, "203.0.113.10", "203.0.113.10",
		    "10.0.0.10", NULL },
		{ { { "eth0", "203.0.113.10" }, { "eth1", "10.0.0.10" }, { "docker0", "172.17.0.1" } }, "203.0.113.10",
		    "203.0.113.10", NULL, "there are several addresses that may face the inside: eth1 10.0.0.10, docker0 172.17.0.1" },
		{ { { "eth0", "203.0.113.10" }, { "eth1", "10.0.0.10" }, { "eth1", "10.0.1.10" } }, "203.0.113.10",
		    "203.0.113.10", NULL, "there are several addresses that may face the inside: eth1 10.0.0.10, eth1 10.0.1.10" },
		{ { { "eth0", "203.0.113.10" } }, "203.0.113.10", "203.0.113.10", NULL,
		    "there is no interface with an address but eth0, by which the default route leaves" },
		{ { { "eth0", "203.0.113.10" }, { "eth1", "10.0.0.10" } }, NULL, NULL, NULL,
		    "there is no default route, which would tell the address that faces the Internet" },
		{ { { NULL, NULL } }, NULL, NULL, NULL, "there is no default route, which would tell the address that faces the Internet" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct net_addr route = address(rows[i].route), outside, inside;
		char why[NET_NICS_WHY], text[NET_ADDR_TEXT];
		struct net_nic v[4];
		size_t n = 0;
		bool both;

		for (; n < 4 && rows[i].nics[n][0] != NULL; n++) {
			memset(&v[n], 0, sizeof(v[n]));
			snprintf(v[n].name, sizeof(v[n].name), "%s", rows[i].nics[n][0]);
			v[n].addr = address(rows[i].nics[n][1]);
		}
		both = net_nics_choose(v, n, &route, &outside, &inside, why);
		ck_assert_msg(both == (rows[i].inside != NULL), "row %zu", i);
		ck_assert_msg(strcmp(why, rows[i].why != NULL ? rows[i].why : "") == 0, "row %zu: %s", i, why);
		ck_assert_str_eq(net_addr_host(&outside, text), rows[i].outside != NULL ? rows[i].outside : "none");
		ck_assert_str_eq(net_addr_host(&inside, text), rows[i].inside != NULL ? rows[i].inside : "none");
	}
}
END_TEST

/* Whatever this machine is: what is not known is said, and what is known is another address each. */
START_TEST(this_machine)
{
	struct net_addr outside, inside;
	char why[NET_NICS_WHY];
	bool both = net_nics_find(&outside, &inside, why);

	ck_assert_int_eq(both, outside.len != 0 && inside.len != 0);
	ck_assert_int_eq(both, why[0] == '\0');
	if (both)
		ck_assert(!net_addr_same_host(&outside, &inside));
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { two_faces, this_machine };

	return unit_run("nics", tests, sizeof(tests) / sizeof(tests[0]));
}
