/*
 * director.conf: the shipped example, and everything that must be refused,
 * each with the line it stands in.
 */
#include "director/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static char file[] = "/tmp/check_config.XXXXXX";
static struct conf_errors *errs;

static struct director_config *
load(const char *text)
{
	struct director_config *c;
	FILE *f;
	int fd;

	strcpy(file + sizeof(file) - 7, "XXXXXX");
	ck_assert_int_ge(fd = mkstemp(file), 0);
	ck_assert_ptr_nonnull(f = fdopen(fd, "w"));
	fputs(text, f);
	fclose(f);
	conf_errors_free(errs);
	errs = conf_errors_new();
	c = director_config_load(file, errs);
	unlink(file);
	return c;
}

#define NAMES	"name = \"Director.int.example.com\"; domains = [ \"Example.com\", \"b.example\" ];\n"
#define TLS	"tls = { certificate = \"c\"; key = \"k\"; trust = \"t\"; };\n"
#define DOORS	"doors = ( { listen = \"127.65.0.1:5061\"; }, { listen = \"[::1]:5063\"; admits = \"clients\"; } );\n"
#define SERVERS	"edges = ( { name = \"Edge.int.example.com\"; address = \"127.65.0.2\"; } );\n" \
		"pools = ( { name = \"pool.int.example.com\"; port = 5070; }, { name = \"pool2.int.example.com\"; } );\n" \
		"servers = \"gateway.int.example.com\";\n"

START_TEST(example)
{
	char path[512];
	struct director_config *c;

	errs = conf_errors_new();
	snprintf(path, sizeof(path), "%s/director/director.conf.example", getenv("srcdir"));
	c = director_config_load(path, errs);
	conf_errors_print(errs, stderr);
	ck_assert_ptr_nonnull(c);
	ck_assert_str_eq(director_pool(c, 0)->name, "pool.int.example.com");
	director_config_unref(c);
	conf_errors_free(errs);
	errs = NULL;
}
END_TEST

START_TEST(kerberos)
{
	struct director_config *c = load(NAMES TLS DOORS SERVERS
	    "auth = { offer = \"digest\"; };");

	ck_assert_ptr_nonnull(c);
	ck_assert_uint_eq(c->offer_remote, OFFER_DIGEST);
	director_config_unref(c);
	/* who has no keytab does not offer it; who has one does, unless said otherwise, by door and by class */
	ck_assert_ptr_nonnull(c = load(NAMES TLS DOORS SERVERS));
	ck_assert_uint_eq(c->offer_remote, OFFER_NTLM | OFFER_DIGEST);
	director_config_unref(c);
	ck_assert_ptr_nonnull(c = load(NAMES TLS SERVERS "doors = ( { listen = \"127.65.0.1:5061\"; }, "
	    "{ listen = \"127.65.0.1:5063\"; offer = \"Kerberos\"; } );"
	    "auth = { keytab = \"/k\"; offer_remote = [ \"ntlm\" ]; kerberos_realms = [ \"A.B=a.b\", \"C=d.e\" ]; };"));
	ck_assert_uint_eq(c->offer_remote, OFFER_NTLM);
	ck_assert_uint_eq(director_door(c, 0)->offer, OFFER_KERBEROS | OFFER_NTLM | OFFER_DIGEST);
	ck_assert_uint_eq(director_door(c, 1)->offer, OFFER_KERBEROS);
	ck_assert_uint_eq(c->kerberos_realms.n, 2);
	ck_assert_str_eq(c->auth_keytab, "/k");
	director_config_unref(c);
	ck_assert_ptr_null(load(NAMES TLS DOORS SERVERS "auth = { offer = [ \"ntlm\", \"kerberos\" ]; };"));
	ck_assert_ptr_null(load(NAMES TLS DOORS SERVERS "auth = { keytab = \"/k\"; kerberos_realms = [ \"A.B\" ]; };"));
}
END_TEST

START_TEST(values)
{
	struct director_config *c = load(NAMES TLS DOORS SERVERS);

	ck_assert_ptr_nonnull(c);
	ck_assert_str_eq(c->name, "director.int.example.com");
	ck_assert(director_is_ours(c, SPAN_LIT("EXAMPLE.com")) && director_is_ours(c, SPAN_LIT("b.example")));
	ck_assert(!director_is_ours(c, SPAN_LIT("sub.example.com")) && !director_is_ours(c, SPAN_LIT("")));
	ck_assert_int_eq(director_edge_named(c, SPAN_LIT("edge.INT.example.com")), 0);
	ck_assert_int_eq(director_pool_named(c, SPAN_LIT("pool2.int.example.com")), 1);
	ck_assert_int_eq(director_pool_named(c, SPAN_LIT("edge.int.example.com")), -1);
	ck_assert_int_eq(director_pool(c, 0)->port, 5070);
	ck_assert_int_eq(director_pool(c, 1)->port, 5061);
	ck_assert_int_eq(director_door(c, 1)->admits, DOOR_CLIENTS);
	ck_assert_uint_eq(net_addr_port(&director_door(c, 1)->addr), 5063);
	ck_assert(c->offer_md5 && c->offer_sha256);
	ck_assert_ptr_null(c->auth_realm);
	director_config_unref(c);
}
END_TEST

START_TEST(roles)
{
	struct director_config *c = load(NAMES TLS DOORS SERVERS);
	struct span names[3] = { SPAN_LIT("x.example.com"), SPAN_LIT("pool2.int.example.com"),
	    SPAN_LIT("edge.int.example.com") };
	struct span other = SPAN_LIT("gateway.int.example.com");
	unsigned i;

	ck_assert_int_eq(director_server_of(c, names, 0, &i), SERVER_NONE);
	ck_assert_int_eq(director_server_of(c, names, 1, &i), SERVER_NONE);
	ck_assert_int_eq(director_server_of(c, names, 2, &i), SERVER_POOL);
	ck_assert_uint_eq(i, 1);
	ck_assert_int_eq(director_server_of(c, names, 3, &i), SERVER_EDGE);
	ck_assert_uint_eq(i, 0);
	ck_assert_int_eq(director_server_of(c, &other, 1, &i), SERVER_TRUSTED);
	director_config_unref(c);
}
END_TEST

static const struct {
	const char *text, *wants;
} bad[] = {
	{ NAMES TLS DOORS SERVERS "colour = 1;\n", ":7: colour: there is no such option" },
	{ "name = \"a b\"; domains = [ \"example.com\" ];\n" TLS DOORS SERVERS, ":1: name: 'a b' is not a host name" },
	{ "name = \"192.0.2.1\"; domains = [ \"example.com\" ];\n" TLS DOORS SERVERS, ":1: name: '192.0.2.1' is not" },
	{ "name = \"d.example.com\"; domains = [\n \"example.com\",\n \"-x\" ];\n" TLS DOORS SERVERS,
	    ":3: domains: '-x' is not a domain" },
	{ NAMES TLS "doors = ( { listen = \"0.0.0.0:5061\"; } );\n" SERVERS, ":3: doors[0].listen: expects the address of one" },
	{ NAMES TLS "doors = ( { listen = \"127.0.0.1\"; } );\n" SERVERS, ":3: doors[0].listen: expects ADDRESS:PORT" },
	{ NAMES TLS "doors = ( { listen = \"127.0.0.1:5061\"; admits = \"clients\"; } );\n" SERVERS,
	    ":3: doors: none of them admits servers" },
	{ NAMES TLS "doors = ( { listen = \"127.0.0.1:5061\"; key = \"k\"; } );\n" SERVERS,
	    ":3: doors[0].key: certificate and key" },
	{ NAMES TLS DOORS, "pools: at least one is needed" },
	{ NAMES TLS DOORS SERVERS "auth = { digest = [ \"md5\", \"sha-1\" ]; };\n", ":7: auth.digest: expects" },
	{ NAMES TLS DOORS SERVERS "auth = { realm = \"a\\\"b\"; };\n", ":7: auth.realm: quotes" },
	{ NAMES TLS DOORS SERVERS "dns = { servers = [ \"ns.example\" ]; };\n", ":7: dns.servers: expects IP" },
	{ NAMES TLS DOORS "pools = ( { name = \"a.example\"; },\n { name = \"A.example\"; } );\n",
	    ":5: pools[1].name: 'a.example' is there already, in line 4" },
	{ NAMES TLS DOORS "pools = ( { name = \"a.example\"; } );\nedges = ( { name = \"a.example\"; } );\n",
	    "'a.example' is an edge already, in line 5" },
	{ NAMES TLS DOORS "pools = ( { name = \"a.example\"; } );\nservers = \"a.example\";\n",
	    ":5: servers: 'a.example' is an edge or a pool already" },
	{ NAMES TLS DOORS SERVERS "routes = ( { match = \"a b\"; server = \"gw.example\"; } );\n",
	    "routes[0].match: expects a pattern" },
	{ NAMES TLS DOORS SERVERS "routes = ( { match = \"A@b\"; server = \"gw.example\"; }, { match = \"sip:a@b\"; server = \"gw.example\"; } );\n",
	    "routes[1].match: sip:a@b is there already" },
	{ NAMES TLS DOORS SERVERS "routes = ( { match = \"a@b\"; server = \"edge.int.example.com\"; } );\n", "is an edge already" },
	{ NAMES TLS DOORS "pools = ( { name = \"a.example\"; srv = \"a.example\"; } );\n", "pools[0].srv: expects the name of SRV" },
	{ NAMES TLS DOORS "pools = ( { name = \"a.example\"; srv = \"_sips._tcp.a\"; address = \"192.0.2.1\"; } );\n",
	    "pools[0].srv: is not possible together" },
	{ NAMES TLS DOORS SERVERS "directory = { homes = \"ldap\"; };\n", "ldap.servers: at least one is needed" },
	{ NAMES TLS DOORS SERVERS "directory = { homes = \"ldap\"; };\n", "ldap.bases: at least one is needed" },
	{ NAMES TLS DOORS SERVERS "ldap = { servers = [ \"ldaps://a\" ]; };\n", "ldap.servers: no server is asked" },
	{ NAMES TLS DOORS SERVERS "directory = { homes = \"ldap\"; };\nldap = { servers = [ \"ldaps://a\" ]; bases = [ \"\" ]; };\n",
	    "ldap.trust: is needed" },
	{ NAMES TLS DOORS SERVERS "directory = { homes = \"both\"; };\nldap = { servers = [ \"http://a\" ]; bases = [ \"\" ]; };\n",
	    "ldap.servers: expects URIs" },
	{ NAMES TLS DOORS SERVERS "directory = { homes = \"ldap\"; };\nldap = { servers = [ \"ldap://a\" ]; bases = [ \"\" ]; starttls = false; bind = \"simple\"; };\n",
	    "ldap.starttls: is needed: a password is not sent in clear" },
	{ NAMES TLS DOORS SERVERS "directory = { homes = \"ldap\"; };\nldap = { servers = [ \"ldap://a\" ]; bases = [ \"\" ]; attributes = { home = \"a)(b\"; }; };\n",
	    "ldap.attributes.home: is not the name of an attribute" },
	{ NAMES TLS DOORS SERVERS "directory = { homes = \"ldap\"; };\nldap = { servers = [ \"ldap://a\" ]; bases = [ \"\" ]; filter = \"a=b\"; };\n",
	    "ldap.filter: expects a filter in parentheses" },
	{ NAMES TLS DOORS "pools = ( { name = \"a.example\"; address = \"b.example\"; } );\n",
	    ":4: pools[0].address: expects an IP address" },
	{ NAMES TLS DOORS SERVERS "ntlm = { accounts = \"winbind\"; };\n",
	    ":7: ntlm.domains: it or ldap.logins is needed" },
	{ NAMES TLS DOORS SERVERS "ntlm = { accounts = \"winbind\"; domains = [ \"CORP\" ]; };\n",
	    "ntlm.domains: expects DOMAIN=sip-domain" },
	{ NAMES TLS DOORS SERVERS "ntlm = { domains = [ \"CORP=a.b\" ]; };\n",
	    "ntlm.domains: has no meaning" },
	{ NAMES TLS DOORS SERVERS "ntlm = { accounts = \"winbind\"; domains = [ \"CORP=a.b\" ]; };\nwinbind = { timeout = 8000; };\n",
	    "winbind.timeout: must be less than auth.timeout" },
	{ NAMES TLS DOORS SERVERS "auth = { timeout = 6000; };\nntlm = { accounts = \"winbind\"; domains = [ \"CORP=a.b\" ]; };\n"
	    "directory = { homes = \"ldap\"; };\nldap = { servers = [ \"ldaps://a\" ]; trust = \"b\"; bases = [ \"\" ]; };\n",
	    ":7: auth.timeout: must be more than winbind.timeout and directory.timeout together, 6000" },
	{ NAMES TLS DOORS SERVERS "directory = { homes = \"ldap\"; timeout = 8000; };\n"
	    "ldap = { servers = [ \"ldaps://a\" ]; trust = \"b\"; bases = [ \"\" ]; };\n",
	    ":7: directory.timeout: must be less than auth.timeout" },
	{ NAMES TLS DOORS SERVERS "ntlm = { computer = \"a.b\"; };\n",
	    "ntlm.computer: 'a.b' is not a NetBIOS name" },
	{ NAMES TLS DOORS SERVERS "directory = { homes = \"ldap\"; };\nldap = { servers = [ \"ldap://a\" ]; bases = [ \"\" ]; trust = \"t\"; logins = [ \"CORP\" ]; };\n",
	    "ldap.logins: expects DOMAIN=base" },
	{ NAMES TLS DOORS SERVERS "directory = { homes = \"ldap\"; };\nldap = { servers = [ \"ldap://a\" ]; bases = [ \"\" ]; trust = \"t\"; logins = [ \"CORP=example\" ]; };\n",
	    "ldap.logins: expects DOMAIN=base" },
	{ NAMES TLS DOORS SERVERS "directory = { homes = \"ldap\"; };\nldap = { servers = [ \"ldap://a\" ]; bases = [ \"\" ]; trust = \"t\"; logins = [ \"C@RP=dc=x\" ]; };\n",
	    "ldap.logins: expects DOMAIN=base" },
	{ NAMES TLS DOORS SERVERS "directory = { homes = \"ldap\"; };\nldap = { servers = [ \"ldap://a\" ]; bases = [ \"\" ]; trust = \"t\"; logins = [ \"CORP=dc=x\" ]; attributes = { account = \"\"; }; };\n",
	    "ldap.attributes.account: is needed" },
	{ NAMES DOORS SERVERS, "tls.certificate: is missing" }
};

START_TEST(refused)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		bool found = false;

		ck_assert_msg(load(bad[i].text) == NULL, "row %zu was accepted", i);
		for (size_t k = 0; k < conf_errors_count(errs); k++)
			found |= strstr(conf_errors_get(errs, k), bad[i].wants) != NULL;
		if (!found)
			conf_errors_print(errs, stderr);
		ck_assert_msg(found, "row %zu: nothing says \"%s\"", i, bad[i].wants);
	}
}
END_TEST

START_TEST(frame)
{
	struct director_config *a = load(NAMES TLS DOORS SERVERS), *b;
	const char *option;

	b = load(NAMES TLS DOORS SERVERS "auth = { nonce_lifetime = 60; };\n");
	ck_assert(director_config_same_frame(a, b, &option));
	director_config_unref(b);
	b = load(NAMES TLS "doors = ( { listen = \"127.65.0.1:5062\"; } );\n" SERVERS);
	ck_assert(!director_config_same_frame(a, b, &option));
	ck_assert_str_eq(option, "doors");
	director_config_unref(b);
	b = load(NAMES TLS DOORS SERVERS "workers = 3;\n");
	ck_assert(!director_config_same_frame(a, b, &option));
	ck_assert_str_eq(option, "workers");
	director_config_unref(b);
	b = load(NAMES TLS DOORS SERVERS "ntlm = { accounts = \"winbind\"; domains = [ \"CORP=a.b\" ]; };\n");
	ck_assert(!director_config_same_frame(a, b, &option));
	ck_assert_str_eq(option, "ntlm.accounts");
	director_config_unref(b);
	b = load(NAMES TLS DOORS SERVERS "winbind = { timeout = 2999; };\n");
	ck_assert(!director_config_same_frame(a, b, &option));
	ck_assert_str_eq(option, "winbind.timeout");
	director_config_unref(b);
	b = load(NAMES TLS DOORS SERVERS "control = { group = \"wheel\"; };\n");
	ck_assert(!director_config_same_frame(a, b, &option));
	ck_assert_str_eq(option, "control.group");
	director_config_unref(b);
	director_config_unref(a);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { example, kerberos, values, roles, refused, frame };
	int status = unit_run("director-config", tests, sizeof(tests) / sizeof(tests[0]));

	conf_errors_free(errs);
	return status;
}
