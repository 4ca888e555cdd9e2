/*
 * The short form of edge.conf: three values, and what follows from them.
 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "edge/short.h"
#include "policy/rules.h"

static char dir[] = "/tmp/check_short.XXXXXX";
static char path[64], policy[64];

static void
write_file(const char *file, const char *text)
{
	FILE *f = fopen(file, "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	ck_assert_int_eq(fclose(f), 0);
}

static void
teardown(void)
{
	(void)unlink(path);
	(void)unlink(policy);
	(void)rmdir(dir);
}

static void
setup(void)
{
	if (path[0] != '\0')
		return;
	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)atexit(teardown);
	snprintf(path, sizeof(path), "%s/edge.conf", dir);
	snprintf(policy, sizeof(policy), "%s/policy.conf", dir);
}

/* The text and where the policy would be. */
static struct edge_config *
load(const char *text, struct conf_errors *errs)
{
	char whole[4096];

	setup();
	snprintf(whole, sizeof(whole), "%spolicy = \"%s\";\n", text, policy);
	write_file(path, whole);
	return edge_config_load(path, errs);
}

static const char three[] =
    "domains = [ \"example.com\",\n"
    "    \"EXAMPLE.net\" ];\n"
    "next_hop = \"director.int.example.com\";\n"
    "certificate = \"/etc/sallyport/edge.pem\";\n"
    "outside = \"203.0.113.10\"; inside = \"10.0.0.10\";\n";

static void
is_door(const struct edge_door_conf *d, const char *listen, const char *key, const char *trust)
{
	ck_assert_str_eq(d->listen, listen);
	ck_assert_str_eq(d->name, "sip.example.com");
	ck_assert_str_eq(d->certificate, "/etc/sallyport/edge.pem");
	ck_assert_str_eq(d->key, key);
	ck_assert_pstr_eq(d->trust, trust);
}

START_TEST(three_values_are_an_edge)
{
	struct conf_errors *errs = conf_errors_new();
	struct edge_config *c = load(three, errs);

	ck_assert_msg(conf_errors_count(errs) == 0, "%s", conf_errors_count(errs) ? conf_errors_get(errs, 0) : "");
	ck_assert_uint_eq(c->outer.n, 2);
	is_door(edge_outer(c, 0), "203.0.113.10:443", "/etc/sallyport/edge.pem", NULL);
	ck_assert(edge_outer(c, 0)->users && !edge_outer(c, 0)->partners);
	ck_assert_int_eq(edge_outer(c, 0)->ask, NET_TLS_ASK_NONE);
	is_door(edge_outer(c, 1), "203.0.113.10:5061", "/etc/sallyport/edge.pem", EDGE_SYSTEM_TRUST);
	ck_assert(!edge_outer(c, 1)->users && edge_outer(c, 1)->partners);
	ck_assert_int_eq(edge_outer(c, 1)->ask, NET_TLS_ASK_REQUIRED);
	is_door(&c->inner, "10.0.0.10:5061", "/etc/sallyport/edge.pem", EDGE_SYSTEM_TRUST);
	ck_assert_int_eq(c->inner.ask, NET_TLS_ASK_REQUIRED);
	ck_assert_uint_eq(c->directors.n, 1);
	ck_assert_str_eq(edge_director(c, 0)->name, "director.int.example.com");
	ck_assert_int_eq(edge_director(c, 0)->port, 5061);
	edge_config_free(c);
	conf_errors_free(errs);
}
END_TEST

START_TEST(what_is_said_stands)
{
	struct conf_errors *errs = conf_errors_new();
	struct edge_config *c = load("domains = \"example.com\"; certificate = \"/etc/sallyport/edge.pem\"; key = \"/k\"; trust = \"/t\";\n"
	    "directors = ( { name = \"d1.example.com\"; port = 5065; }, { name = \"d2.example.com\"; } );\n"
	    "outside = \"203.0.113.10\"; inner = { listen = \"10.9.9.9:7000\"; trust = \"/inside\"; };\n", errs);

	ck_assert_msg(conf_errors_count(errs) == 0, "%s", conf_errors_count(errs) ? conf_errors_get(errs, 0) : "");
	is_door(edge_outer(c, 1), "203.0.113.10:5061", "/k", "/t");
	is_door(&c->inner, "10.9.9.9:7000", "/k", "/inside");
	ck_assert_uint_eq(c->directors.n, 2);
	edge_config_free(c);
	conf_errors_free(errs);
}
END_TEST

static void
complains(const char *text, const char *const *wanted)
{
	struct conf_errors *errs = conf_errors_new();
	struct edge_config *c = load(text, errs);
	size_t n = 0;

	for (; wanted[n] != NULL; n++) {
		ck_assert_msg(n < conf_errors_count(errs), "not said: %s", wanted[n]);
		ck_assert_msg(strstr(conf_errors_get(errs, n), wanted[n]) != NULL, "wanted \"%s\", got \"%s\"", wanted[n],
		    conf_errors_get(errs, n));
	}
	ck_assert_msg(conf_errors_count(errs) == n, "said as well: %s", n < conf_errors_count(errs) ? conf_errors_get(errs, n) : "");
	edge_config_free(c);
	conf_errors_free(errs);
}

START_TEST(what_is_missing_is_said)
{
	complains("", (const char *const[]){ "edge.conf: outer: is missing and has no default", NULL });
	complains("domains = \"example.com\";", (const char *const[]){ "next_hop: is missing", "certificate: is missing", NULL });
	complains("next_hop = \"d.example.com\"; certificate = \"/c\";", (const char *const[]){ "domains: is missing", NULL });
	complains("domains = [ ]; next_hop = \"d.example.com\"; certificate = \"/c\";",
	    (const char *const[]){ "domains: is missing", "domains: needs at least one text", NULL });
	complains("domains = \"a b\"; next_hop = \"d.example.com\"; certificate = \"/c\"; outside = \"192.0.2.1\"; inside = \"10.0.0.1\";",
	    (const char *const[]){ "domains[0]: expects a domain", NULL });
	complains("domains = \"a.example\"; next_hop = \"d.example.com\"; certificate = \"/c\";\noutside = \"eth0\";\ninside = \"10.0.0.1:5061\";",
	    (const char *const[]){ ":2: outside: expects the IP address", ":3: inside: expects the IP address", NULL });
	complains("domains = \"a.example\"; next_hop = \"d.example.com\"; certificate = \"/c\"; outside = \"10.0.0.1\"; inside = \"10.0.0.1\";",
	    (const char *const[]){ "the two doors must not share an interface", "the two doors must not share an interface", NULL });
	complains("domains = \"a.example\"; next_hop = \"d.example.com\"; certificate = \"/c\"; outside = \"192.0.2.1\"; inside = \"10.0.0.1\";\n"
	    "directors = ( { name = \"x.example.com\"; } );",
	    (const char *const[]){ "next_hop: directors (line 2) say it already", NULL });
}
END_TEST

START_TEST(policy_is_closed_until_there_is_one)
{
	struct conf_errors *errs = conf_errors_new();
	struct edge_config *c = load(three, errs);
	char sha256[POLICY_HASH_TEXT], other[POLICY_HASH_TEXT];
	struct policy_rules *rules = edge_short_policy(c, errs, NULL, sha256);
	struct span domain;
	size_t at = 0, n = 0;
	bool below;

	ck_assert_msg(rules != NULL, "%s", conf_errors_count(errs) ? conf_errors_get(errs, 0) : "");
	while (policy_next_internal_domain(rules, &at, &domain, &below)) {
		ck_assert(span_is(domain, "example.com") || span_is(domain, "example.net"));
		n++;
	}
	ck_assert_uint_eq(n, 2);
	ck_assert_uint_eq(policy_partner_count(rules), 0);
	ck_assert_uint_eq(strlen(sha256), POLICY_HASH_TEXT - 1);
	policy_rules_unref(rules);

	/* from then on it alone counts */
	write_file(policy, "internal_domains = [ \"other.example\" ]; internal_servers = [ \"x.other.example\" ];\n");
	rules = edge_short_policy(c, errs, NULL, other);
	at = 0;
	ck_assert_ptr_nonnull(rules);
	ck_assert(policy_next_internal_domain(rules, &at, &domain, &below) && span_is(domain, "other.example"));
	ck_assert_str_ne(sha256, other);
	policy_rules_unref(rules);

	write_file(policy, "internal_domains = [ \"other.example\" ];\n");
	conf_errors_free(errs);
	errs = conf_errors_new();
	ck_assert_ptr_null(edge_short_policy(c, errs, NULL, other));
	ck_assert_uint_eq(conf_errors_count(errs), 1);
	edge_config_free(c);
	conf_errors_free(errs);
}
END_TEST

/* What is wrong with a value is told where it stands. */
START_TEST(mistakes_have_their_line)
{
	struct conf_errors *errs = conf_errors_new();
	struct edge_config *c = load("# a comment\nnext_hop = \"a host\";\ndomains = [ \"example.com\",\n \"no domain\" ];\n"
	    "certificate = \"/c\"; outside = \"192.0.2.1\"; inside = \"10.0.0.1\";\n", errs);

	ck_assert_uint_eq(conf_errors_count(errs), 0);
	ck_assert_ptr_null(edge_short_policy(c, errs, NULL, NULL));
	ck_assert_uint_eq(conf_errors_count(errs), 2);
	ck_assert_msg(strstr(conf_errors_get(errs, 0), "edge.conf:2: internal_servers") != NULL, "%s", conf_errors_get(errs, 0));
	ck_assert_msg(strstr(conf_errors_get(errs, 1), "edge.conf:4: internal_domains") != NULL, "%s", conf_errors_get(errs, 1));
	edge_config_free(c);
	conf_errors_free(errs);
}
END_TEST

/* Why that is refused; "": it is good. */
static const char *
first_mistake(const char *text)
{
	static char why[512];
	struct conf_errors *errs = conf_errors_new();
	struct edge_config *c = load(text, errs);

	snprintf(why, sizeof(why), "%s", conf_errors_count(errs) != 0 ? conf_errors_get(errs, 0) : "");
	edge_config_free(c);
	conf_errors_free(errs);
	return why;
}

#define SHORT "domains = \"example.com\"; next_hop = \"d.int.example.com\"; certificate = \"/c\"; outside = \"192.0.2.1\";\n"
#define INSIDE SHORT "inside = \"10.0.0.1\";\n"
#define NAMED SHORT "inner = { listen = \"10.0.0.1:5061\"; name = \"edge-a.int.example.com\"; };\n"
#define REDIS(more) "shared = { server = \"10.0.0.2:6379\"; name = \"redis.int.example.com\"; trust = \"/t\"; " more "};\n"

/* Nodes that share are told apart by a name that the short form, which would give it to each of them, does not make. */
START_TEST(nodes_that_share_have_names)
{
	ck_assert_str_eq(first_mistake(NAMED REDIS("")), "");
	ck_assert_ptr_nonnull(strstr(first_mistake(INSIDE REDIS("")), "edge.conf:3: shared.server: nodes are told apart by inner.name"));
	ck_assert_str_eq(first_mistake(INSIDE), "");
	ck_assert_ptr_nonnull(strstr(first_mistake(NAMED REDIS("user = \"edge\"; ")), "shared.user: has no shared.password"));
	ck_assert_ptr_nonnull(strstr(first_mistake(NAMED REDIS("key = \"/k\"; ")), "certificate and key are given together"));
	ck_assert_ptr_nonnull(strstr(first_mistake(NAMED REDIS("prefix = \"a-prefix-of-forty-one-bytes-is-one-too-long\"; ")), "at most 40 bytes"));
	ck_assert_ptr_nonnull(strstr(first_mistake(NAMED "shared = { server = \"10.0.0.2:6379\"; };\n"), "name and trust"));
	ck_assert_ptr_nonnull(strstr(first_mistake(NAMED "shared = { server = \"redis\"; name = \"r\"; trust = \"/t\"; };\n"), "an IP address and a port"));
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { nodes_that_share_have_names, three_values_are_an_edge, what_is_said_stands, what_is_missing_is_said,
	    policy_is_closed_until_there_is_one, mistakes_have_their_line };

	return unit_run("short", tests, sizeof(tests) / sizeof(tests[0]));
}
