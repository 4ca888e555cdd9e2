/*
 * edge/short.c - see short.h.
 */
#include "edge/short.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/mem.h"
#include "net/nics.h"
#include "policy/domain.h"

#define USERS_PORT	443
#define SERVERS_PORT	5061

/* The two addresses of this machine, as far as they were given or can be told. */
struct faces {
	struct net_addr	 outside, inside;
};

/* Text of an option that is to be a bare address. */
static void
take_address(const struct edge_config *c, const char *path, const char *text, struct net_addr *out, struct conf_errors *errs)
{
	if (net_addr_parse(out, span_str(text), 1) != SP_OK || net_addr_port(out) != 1 || net_addr_is_any(out)) {
		conf_error(errs, c->file, conf_line_of(errs, path), "%s: expects the IP address of one interface, without a port", path);
		out->len = 0;
	}
}

static void
find_faces(const struct edge_config *c, bool need_out, bool need_in, struct faces *f, struct conf_errors *errs)
{
	struct net_addr found[2] = { { .len = 0 }, { .len = 0 } };
	char why[NET_NICS_WHY] = "";

	memset(f, 0, sizeof(*f));
	if ((need_out && c->outside == NULL) || (need_in && c->inside == NULL))
		(void)net_nics_find(&found[0], &found[1], why);
	if (c->outside != NULL)
		take_address(c, "outside", c->outside, &f->outside, errs);
	else if (need_out && found[0].len == 0)
		conf_error(errs, c->file, 0, "outside: is missing, and this machine does not tell it: %s", why);
	else
		f->outside = found[0];
	if (c->inside != NULL)
		take_address(c, "inside", c->inside, &f->inside, errs);
	else if (need_in && found[1].len == 0)
		conf_error(errs, c->file, 0, "inside: is missing, and this machine does not tell it: %s", why);
	else
		f->inside = found[1];
}

/* "203.0.113.10:443"; empty if the address is not known, which was said. */
static char *
listen_at(const struct net_addr *a, uint16_t port)
{
	struct net_addr with = *a;
	char text[NET_ADDR_TEXT];

	if (a->len == 0)
		return xstrdup("");
	net_addr_set_port(&with, port);
	return xstrdup(net_addr_format(&with, text));
}

static char *
copy_or(const char *given, const char *otherwise)
{
	return given != NULL ? xstrdup(given) : otherwise != NULL ? xstrdup(otherwise) : NULL;
}

/* sip. and the first domain in the form that DNS and certificates have. */
static char *
host_name(const struct edge_config *c, struct conf_errors *errs)
{
	char domain[DOMAIN_MAX], text[DOMAIN_MAX + 4];
	struct span canon;
	bool is_ip;

	if (policy_domain_canon(span_str(c->domains.v[0].s), domain, &canon, &is_ip) != SP_OK || is_ip) {
		conf_error(errs, c->file, c->domains.v[0].line, "domains[0]: expects a domain, like example.com");
		return xstrdup("sip.invalid");
	}
	snprintf(text, sizeof(text), "sip.%.*s", SPAN_FMT(canon));
	return xstrdup(text);
}

static void
fill_door(const struct edge_config *c, struct edge_door_conf *d, const struct net_addr *at, uint16_t port, const char *name)
{
	if (d->listen == NULL)
		d->listen = listen_at(at, port);
	if (d->name == NULL || d->name[0] == '\0') {
		free(d->name);
		d->name = xstrdup(name);
	}
	if (d->certificate == NULL && d->key == NULL) {
		d->certificate = xstrdup(c->certificate);
		d->key = copy_or(c->key, c->certificate);
	}
	if (d->trust == NULL && !d->users)
		d->trust = copy_or(c->trust, EDGE_SYSTEM_TRUST);
}

static void
add_outer(struct edge_config *c, const struct net_addr *at, const char *name, int line)
{
	struct edge_door_conf *doors = xcalloc(2, sizeof(*doors));

	c->outer = (struct conf_groups){ doors, 2, xcalloc(2, sizeof(int)) };
	c->outer.line[0] = c->outer.line[1] = line;
	doors[0].ask = NET_TLS_ASK_NONE;
	doors[0].users = true;
	fill_door(c, &doors[0], at, USERS_PORT, name);
	doors[1].ask = NET_TLS_ASK_REQUIRED;
	doors[1].partners = true;
	fill_door(c, &doors[1], at, SERVERS_PORT, name);
}

static void
add_next_hop(struct edge_config *c, struct conf_errors *errs)
{
	struct edge_director_conf *d = xcalloc(1, sizeof(*d));

	d->name = xstrdup(c->next_hop);
	d->port = SERVERS_PORT;
	c->directors = (struct conf_groups){ d, 1, xcalloc(1, sizeof(int)) };
	c->directors.line[0] = conf_line_of(errs, "next_hop");
}

static bool
inner_begun(const struct edge_door_conf *d)
{
	return d->listen != NULL || d->name != NULL || d->certificate != NULL || d->key != NULL || d->trust != NULL;
}

void
edge_short_fill(struct edge_config *c, struct conf_errors *errs)
{
	bool outer = conf_line_of(errs, "outer") != 0, directors = conf_line_of(errs, "directors") != 0, missing = false;
	bool any = c->domains.n != 0 || c->next_hop != NULL || c->certificate != NULL;
	char *name;
	struct faces f;

	if (!any && !outer)
		conf_error(errs, c->file, 0, "outer: is missing and has no default: the doors that face the Internet, or, for "
		    "doors as usual, domains, next_hop and certificate");
	if (!any)
		return;
	if (directors && c->next_hop != NULL)
		conf_error(errs, c->file, conf_line_of(errs, "next_hop"),
		    "next_hop: directors (line %d) say it already", conf_line_of(errs, "directors"));
	if ((missing = c->domains.n == 0))
		conf_error(errs, c->file, 0, "domains: is missing and has no default: our SIP domains");
	if (c->next_hop == NULL && !directors) {
		conf_error(errs, c->file, 0, "next_hop: is missing and has no default: host name of the Director or other server inside");
		missing = true;
	}
	if (c->certificate == NULL && (!outer || !inner_begun(&c->inner))) {
		conf_error(errs, c->file, 0, "certificate: is missing and has no default: PEM file with our certificate and, unless key "
		    "names another file, its private key");
		missing = true;
	}
	if (missing)
		return;
	name = host_name(c, errs);
	find_faces(c, !outer, c->inner.listen == NULL, &f, errs);
	if (!outer)
		add_outer(c, &f.outside, name, conf_line_of(errs, "certificate"));
	if (!directors)
		add_next_hop(c, errs);
	if (c->certificate != NULL || c->inner.certificate != NULL)
		fill_door(c, &c->inner, &f.inside, SERVERS_PORT, name);
	free(name);
}

/* ---- policy, while nobody has written one ---- */

/* Down to that line; where the text is beyond it already, so be it. */
static void
go_to_line(FILE *f, int *at, int line)
{
	for (; *at < line; (*at)++)
		putc('\n', f);
}

/* Only of what is no text of libconfig's: the name of a host or a domain has neither quote nor backslash. */
static void
put_word(FILE *f, bool first, const char *word)
{
	fprintf(f, "%s\"", first ? "" : ", ");
	for (; *word != '\0'; word++)
		if (*word != '"' && *word != '\\')
			putc(*word, f);
	putc('"', f);
}

static void
put_domains(const struct edge_config *c, FILE *f, int *line)
{
	go_to_line(f, line, c->domains.v[0].line);
	fputs("internal_domains = [ ", f);
	for (size_t i = 0; i < c->domains.n; i++) {
		go_to_line(f, line, c->domains.v[i].line);
		put_word(f, i == 0, c->domains.v[i].s);
	}
	fputs(" ]; ", f);
}

static void
put_servers(const struct edge_config *c, FILE *f, int *line)
{
	bool first = true;

	go_to_line(f, line, c->directors.n != 0 ? c->directors.line[0] : 0);
	fputs("internal_servers = [ ", f);
	for (size_t i = 0; i < c->directors.n; i++) {
		if (edge_director(c, i)->name == NULL)
			continue;
		go_to_line(f, line, c->directors.line[i]);
		put_word(f, first, edge_director(c, i)->name);
		first = false;
	}
	fputs(" ]; ", f);
}

struct policy_rules *
edge_short_policy(const struct edge_config *c, struct conf_errors *errs, FILE *rows, char sha256[POLICY_HASH_TEXT])
{
	bool domains_first = c->directors.n == 0 || c->domains.n == 0 || c->domains.v[0].line <= c->directors.line[0];
	char unwanted[POLICY_HASH_TEXT], *hash = sha256 != NULL ? sha256 : unwanted, *text = NULL;
	struct policy_rules *rules;
	size_t n = 0;
	int line = 1;
	FILE *f;

	if (c->domains.n == 0 || access(c->policy, F_OK) == 0 || errno != ENOENT)
		return policyfile_pack(c->policy, errs, rows, hash);
	if ((f = open_memstream(&text, &n)) == NULL)
		abort();		/* only when out of memory */
	if (domains_first)
		put_domains(c, f, &line);
	put_servers(c, f, &line);
	if (!domains_first)
		put_domains(c, f, &line);
	putc('\n', f);
	fclose(f);
	rules = policyfile_pack_text(c->file, span_of(text, n), errs, rows, hash);
	free(text);
	return rules;
}
