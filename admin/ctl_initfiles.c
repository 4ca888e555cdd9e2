/*
 * admin/ctl_initfiles.c - the files that sallyportctl init writes. Short, since whoever has them edits them.
 */
#include "admin/ctl_init.h"

#include <string.h>

#include "common/proc.h"

/* The only value, or NULL. */
static const char *
one(const struct init *t, size_t which)
{
	return t->answers[which].n != 0 ? t->answers[which].v[0] : NULL;
}

/* Of what has to be answered, which it is by now. */
static const char *
needed(const struct init *t, size_t which)
{
	return t->answers[which].n != 0 ? t->answers[which].v[0] : "";
}

static void
setting(const struct init *t, FILE *f, const char *name, size_t which)
{
	if (one(t, which) != NULL)
		fprintf(f, "%s = \"%s\";\n", name, one(t, which));
}

/* name = [ "one", "two" ]; of "NAME=ADDRESS", the name. */
static void
list(const struct init *t, FILE *f, const char *name, size_t which)
{
	fprintf(f, "%s = [", name);
	for (size_t i = 0; i < t->answers[which].n; i++)
		fprintf(f, "%s\"%.*s\"", i != 0 ? ", " : " ", (int)strcspn(t->answers[which].v[i], "="), t->answers[which].v[i]);
	fputs(" ];\n", f);
}

/* name = ( { name = "pool.int.example.com"; address = "10.0.0.30"; } ); */
static void
servers(const struct init *t, FILE *f, const char *name, size_t which)
{
	const struct init_answer *a = &t->answers[which];

	fprintf(f, "%s = (\n", name);
	for (size_t i = 0; i < a->n; i++) {
		int end = (int)strcspn(a->v[i], "=");

		fprintf(f, "  { name = \"%.*s\";", end, a->v[i]);
		if (a->v[i][end] == '=')
			fprintf(f, " address = \"%s\";", a->v[i] + end + 1);
		fprintf(f, " }%s\n", i + 1 < a->n ? "," : "");
	}
	fputs(");\n", f);
}

/* The account of the process with the keys, where the packages have made it. */
static void
key_user(FILE *f)
{
	if (proc_knows_user("sallyport-keys"))
		fputs("\n# The process with the private keys has an account of its own.\nkey_user = \"sallyport-keys\";\n", f);
}

void
init_edge_conf(const struct init *t, FILE *f)
{
	fputs("# This machine: between the Internet and the inside. edge.conf(5) has every option.\n", f);
	list(t, f, "domains", INIT_DOMAIN);
	if (strchr(needed(t, INIT_NEXT_HOP), '=') == NULL)
		setting(t, f, "next_hop", INIT_NEXT_HOP);
	else
		servers(t, f, "directors", INIT_NEXT_HOP);
	setting(t, f, "certificate", INIT_CERTIFICATE);
	setting(t, f, "key", INIT_KEY);
	fputs("\n# The address that faces the Internet, and the one that faces the inside.\n", f);
	setting(t, f, "outside", INIT_OUTSIDE);
	setting(t, f, "inside", INIT_INSIDE);
	if (one(t, INIT_TRUST) != NULL || one(t, INIT_INSIDE_TRUST) != NULL)
		fputs("\n# Whose word counts about the certificates of others, and of servers inside.\n", f);
	setting(t, f, "trust", INIT_TRUST);
	if (one(t, INIT_INSIDE_TRUST) != NULL)
		fprintf(f, "inner = { trust = \"%s\"; };\n", one(t, INIT_INSIDE_TRUST));
	fputs("\n# The keys that sign routes outlive the process, and so do calls.\n"
	    "flow_keys = \"" STATEDIR "/edge.keys\";\n", f);
	key_user(f);
	if (strcmp(t->dir, SYSCONFDIR) != 0)
		fprintf(f, "\npolicy = \"%s/policy.conf\";\n", t->dir);
}

void
init_policy_conf(const struct init *t, FILE *f)
{
	const struct init_answer *partners = &t->answers[INIT_PARTNERS];

	fputs("# Who may talk to whom. policy.conf(5) has every rule, and the order in which they are asked.\n", f);
	list(t, f, "internal_domains", INIT_DOMAIN);
	list(t, f, "internal_servers", INIT_NEXT_HOP);
	fputs("\n# Our own users may sign in from outside.\nremote_users = true;\n"
	    "\n# Other organisations: only those that are named here, each with its server and the\n"
	    "# domains that it speaks for.\n", f);
	fprintf(f, "federation = %s;\n", partners->n != 0 ? "true" : "false");
	if (partners->n == 0)
		fputs("# partners = ( { name = \"Contoso\"; server = \"sip.contoso.example\"; domains = [ \"contoso.example\" ]; } );\n", f);
	for (size_t i = 0; i < partners->n; i++) {
		int domain = (int)strcspn(partners->v[i], "=");

		fprintf(f, "%s  { name = \"%.*s\"; server = \"%s\"; domains = [ \"%.*s\" ]; }%s\n", i == 0 ? "partners = (\n" : "",
		    domain, partners->v[i], partners->v[i] + domain + 1, domain, partners->v[i], i + 1 < partners->n ? "," : "\n);");
	}
	fputs("\n# Never, in neither direction; \"sallyportctl block DOMAIN\" adds one.\nblocked = [ ];\n", f);
}

static void
listen_at(const struct init *t, FILE *f, const char *port, const char *admits, const char *end)
{
	const char *address = needed(t, INIT_LISTEN);
	bool v6 = strchr(address, ':') != NULL;

	fprintf(f, "  { listen = \"%s%s%s:%s\"; admits = \"%s\"; }%s\n", v6 ? "[" : "", address, v6 ? "]" : "", port, admits, end);
}

void
init_director_conf(const struct init *t, FILE *f)
{
	const char *key = one(t, INIT_KEY), *trust = one(t, INIT_INSIDE_TRUST);

	fputs("# Who is it, and where is their home pool? director.conf(5) has every option.\n", f);
	setting(t, f, "name", INIT_NAME);
	list(t, f, "domains", INIT_DOMAIN);
	fprintf(f, "tls = {\n  certificate = \"%s\";\n  key = \"%s\";\n  trust = \"%s\";\n};\n", needed(t, INIT_CERTIFICATE),
	    key != NULL ? key : needed(t, INIT_CERTIFICATE), trust != NULL ? trust : INIT_SYSTEM_TRUST);
	fputs("\n# Edges and pools come in by mutual TLS, clients inside without a certificate.\ndoors = (\n", f);
	listen_at(t, f, "5061", "servers", ",");
	listen_at(t, f, "5063", "clients", "");
	fputs(");\n", f);
	servers(t, f, "edges", INIT_EDGES);
	servers(t, f, "pools", INIT_POOLS);
	fputs("\n# The keys that sign routes outlive the process, and so do calls.\n"
	    "flow_keys = \"" STATEDIR "/director.keys\";\n"
	    "\n# \"sallyportctl user\" keeps the accounts.\nauth = { users = \"" STATEDIR "/users\";", f);
	/* the packages have made that file, too, for an account that sees nothing of the network */
	fputs(proc_knows_user("sallyport-auth") ? " user = \"sallyport-auth\"; };\n" : " };\n", f);
	key_user(f);
}
