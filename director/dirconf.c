/*
 * director/dirconf.c - what is configured about the directory.
 */
#include "director/dirconf.h"

#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool
begins(const char *s, const char *with)
{
	return strncasecmp(s, with, strlen(with)) == 0;
}

static bool
is_given(const char *s)
{
	return s != NULL && *s != '\0';
}

/* RFC 4512 2.5: a name or a number, with options. */
static bool
is_attribute(const char *s)
{
	for (; *s != '\0'; s++)
		if (!isalnum((unsigned char)*s) && *s != '-' && *s != '.' && *s != ';')
			return false;
	return true;
}

static void
check_attributes(const struct dirconf_attributes *a, dirconf_complain complain, void *arg)
{
	const struct { const char *path, *name; } all[] = {
		{ "ldap.attributes.address", a->address }, { "ldap.attributes.home", a->home },
		{ "ldap.attributes.account", a->account }, { "ldap.attributes.principal", a->principal },
		{ "ldap.attributes.pool_name", a->pool_name }, { "ldap.attributes.enabled", a->enabled },
		{ "ldap.attributes.remote", a->remote }, { "ldap.attributes.federation", a->federation },
		{ "ldap.attributes.options", a->options }, { "ldap.attributes.archive", a->archive }
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].name != NULL && !is_attribute(all[i].name))
			complain(arg, all[i].path, "is not the name of an attribute");
}

/* What goes over the wire in clear, and to whom. */
static void
check_servers(const struct dirconf *d, dirconf_complain complain, void *arg)
{
	bool clear = false, tls = false;

	for (size_t i = 0; i < d->servers.n; i++) {
		const char *uri = d->servers.v[i].s;

		if (begins(uri, "ldaps://"))
			tls = true;
		else if (begins(uri, "ldap://")) {
			tls |= d->starttls;
			clear |= !d->starttls;
		} else {
			complain(arg, "ldap.servers", "expects URIs, as in \"ldaps://dc1.example.com\"");
			return;
		}
		if (strchr(uri, ' ') != NULL || strchr(uri, ',') != NULL || strchr(uri, '?') != NULL)
			complain(arg, "ldap.servers", "expects one server in each string, without a base or a filter");
	}
	if (tls && !is_given(d->trust))
		complain(arg, "ldap.trust", "is needed, to know the servers' certificates by");
	if (clear && d->bind == BIND_SIMPLE)
		complain(arg, "ldap.starttls", "is needed: a password is not sent in clear");
}

static void
check_logins(const struct dirconf *d, dirconf_complain complain, void *arg)
{
	for (size_t i = 0; i < d->logins.n; i++) {
		const char *s = d->logins.v[i].s, *eq = strchr(s, '=');

		if (eq == NULL || eq == s || strchr(eq + 1, '=') == NULL || strcspn(s, " \t@/\\\"") < (size_t)(eq - s)) {
			complain(arg, "ldap.logins", "expects DOMAIN=base, as in \"CORP=dc=corp,dc=example,dc=com\"");
			return;
		}
	}
	if (d->logins.n != 0 && !is_given(d->attributes.account))
		complain(arg, "ldap.attributes.account", "is needed: it is how accounts are found");
}

const char *
dirconf_login_base(const struct dirconf *d, struct span domain, bool realm)
{
	for (size_t i = 0; i < d->logins.n; i++) {
		struct span one = span_str(d->logins.v[i].s), name = span_head(one, span_find(one, '='));

		if (realm ? span_eq(name, domain) : span_ieq(name, domain))
			return one.p + name.n + 1;
	}
	return NULL;
}

void
dirconf_check(const struct dirconf *d, dirconf_complain complain, void *arg)
{
	if (d->homes == HOMES_FILE && d->servers.n == 0)
		return;
	if (d->homes == HOMES_FILE)
		complain(arg, "ldap.servers", "no server is asked while directory.homes is \"file\"");
	else if (d->servers.n == 0)
		complain(arg, "ldap.servers", "at least one is needed, since directory.homes is not \"file\"");
	if (d->bases.n == 0)
		complain(arg, "ldap.bases", "at least one is needed: where users are looked for");
	check_servers(d, complain, arg);
	if (d->bind == BIND_SIMPLE && !is_given(d->bind_dn))
		complain(arg, "ldap.bind_dn", "is needed with the password");
	if (d->bind == BIND_SIMPLE && !is_given(d->password_file))
		complain(arg, "ldap.password_file", "is needed, since ldap.bind is \"simple\"");
	if (d->bind == BIND_GSSAPI && !is_given(d->keytab))
		complain(arg, "ldap.keytab", "is needed, since ldap.bind is \"gssapi\"");
	if (is_given(d->filter) && (d->filter[0] != '(' || d->filter[strlen(d->filter) - 1] != ')'))
		complain(arg, "ldap.filter", "expects a filter in parentheses");
	if (!is_given(d->attributes.address))
		complain(arg, "ldap.attributes.address", "is needed: it is how users are found");
	if (!is_given(d->attributes.home) && !is_given(d->default_pool))
		complain(arg, "ldap.default_pool", "is needed when no attribute names the home pool");
	check_logins(d, complain, arg);
	check_attributes(&d->attributes, complain, arg);
}

/* --- changes ------------------------------------------------------------------ */

static bool
same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool
same_strs(const struct conf_strs *a, const struct conf_strs *b)
{
	bool yes = a->n == b->n;

	for (size_t i = 0; yes && i < a->n; i++)
		yes = same(a->v[i].s, b->v[i].s);
	return yes;
}

static bool
same_attributes(const struct dirconf_attributes *a, const struct dirconf_attributes *b)
{
	return same(a->address, b->address) && same(a->account, b->account) && same(a->principal, b->principal) &&
	    same(a->home, b->home) && same(a->pool_name, b->pool_name) &&
	    same(a->enabled, b->enabled) && same(a->remote, b->remote) && same(a->federation, b->federation) &&
	    same(a->options, b->options) && same(a->archive, b->archive);
}

bool
dirconf_same(const struct dirconf *a, const struct dirconf *b, const char **option)
{
	*option = a->homes != b->homes ? "directory.homes" : a->ttl != b->ttl ? "directory.ttl" :
	    a->negative_ttl != b->negative_ttl ? "directory.negative_ttl" : a->stale != b->stale ? "directory.stale" :
	    a->entries != b->entries ? "directory.entries" : a->timeout != b->timeout ? "directory.timeout" :
	    !same_strs(&a->servers, &b->servers) ? "ldap.servers" : a->starttls != b->starttls ? "ldap.starttls" :
	    !same(a->trust, b->trust) ? "ldap.trust" : a->bind != b->bind ? "ldap.bind" :
	    !same(a->bind_dn, b->bind_dn) ? "ldap.bind_dn" :
	    !same(a->password_file, b->password_file) ? "ldap.password_file" :
	    !same(a->keytab, b->keytab) ? "ldap.keytab" :
	    !same_strs(&a->bases, &b->bases) ? "ldap.bases" :
	    !same_strs(&a->logins, &b->logins) ? "ldap.logins" : !same(a->filter, b->filter) ? "ldap.filter" :
	    a->proxy_addresses != b->proxy_addresses ? "ldap.proxy_addresses" :
	    !same(a->default_pool, b->default_pool) ? "ldap.default_pool" :
	    a->connections != b->connections ? "ldap.connections" :
	    a->server_timeout != b->server_timeout ? "ldap.server_timeout" : a->pause != b->pause ? "ldap.pause" :
	    !same_attributes(&a->attributes, &b->attributes) ? "ldap.attributes" : NULL;
	return *option == NULL;
}
