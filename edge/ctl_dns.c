/*
 * edge/ctl_dns.c - sallyportctl dns: the records by which others find us, made from the edge's configuration.
 *
 * MS 11.1: _sipfederationtls._tcp for partners' edges, _sip._tls for remote users (others' clients than
 * Microsoft's ask for _sips._tcp, RFC 3263), and the names that clients try when there is no SRV record. MS 11.2: a target is in the
 * domain whose record it is, or nobody takes it.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "admin/ctl.h"
#include "admin/ctl_step.h"
#include "admin/record.h"
#include "common/err.h"
#include "common/hash.h"
#include "common/mem.h"
#include "edge/reach.h"
#include "edge/short.h"
#include "net/dns.h"
#include "net/guard.h"
#include "net/loop.h"
#include "policy/domain.h"
#include "policy/rules.h"

#define RR_NAME_MAX	320	/* of a record's name: a label or two and a domain */
#define ADDRESSES_MAX	8
#define TTL		3600

enum rr_type { RR_SRV = 0, RR_A, RR_AAAA, RR_CNAME };
static const char *const type_names[] = { "SRV", "A", "AAAA", "CNAME" };

struct rr {
	enum rr_type	 type;
	const char	*zone;		/* the domain that it is for */
	char		 name[RR_NAME_MAX];
	char		 target[RR_NAME_MAX];	/* SRV, CNAME */
	uint16_t	 port;		/* SRV */
	struct net_addr	 addr;		/* A, AAAA */
	bool		 off;		/* not to be published as things are: note says why */
	char		 note[256];	/* "" or a sentence */
};

struct publishing {
	const char		*file;
	bool			 json, check;
	unsigned		 ttl;
	struct net_addr		 given[ADDRESSES_MAX];
	unsigned		 ngiven;
	struct edge_config	*config;
	struct policy_rules	*rules;
	char			(*domains)[DOMAIN_MAX];
	size_t			 ndomains;
	bool			 below;		/* there are rules for all sub-domains of something */
	struct net_peer		 shown[EDGE_DOORS_MAX];	/* each outer door's certificate */
	bool			 readable[EDGE_DOORS_MAX];
	struct rr		*v;
	size_t			 n, room;
	/* DNS */
	struct net_loop		*loop;
	struct net_dns		*dns;
	struct net_dns_answer	 answer;
	struct net_srv		 srv[NET_DNS_SRV_MAX];
	struct net_addr		 addrs[NET_DNS_ADDRS_MAX];
	struct ctl_steps	 steps;
};

static int
usage(FILE *out)
{
	fputs("Usage: sallyportctl dns [OPTION]...\n"
	    "Print the DNS records by which partners and remote users find this edge, as lines\n"
	    "of a zone file. What should not be published as things are is a comment.\n\n"
	    "      --config FILE        the edge's configuration (" SYSCONFDIR "/edge.conf)\n"
	    "      --address ADDRESS    by which the outside reaches us, if a translator (NAT)\n"
	    "                           stands before us; may be repeated\n"
	    "      --ttl SECONDS        of the records (3600)\n"
	    "      --check              compare with what DNS says now\n"
	    "      --json               print JSON\n"
	    "  -h, --help               print this\n\n"
	    "Exit status: 0 done, with --check: all is as it should be; 1 something in DNS is not;\n"
	    "64 misused, 78 bad configuration.\n", out);
	return out == stdout ? ctl_finish(EX_OK) : EX_USAGE;
}

/* ---- what is to be published ---- */

static struct rr *
add(struct publishing *p, enum rr_type type, const char *zone, const char *label, const char *domain)
{
	struct rr *r;

	if (p->n == p->room)
		p->v = xreallocarray(p->v, p->room = p->room * 2 + 16, sizeof(*p->v));
	r = &p->v[p->n++];
	*r = (struct rr){ .type = type, .zone = zone };
	snprintf(r->name, sizeof(r->name), "%s%s%s", label, label[0] != '\0' ? "." : "", domain);
	return r;
}

static bool
holds(const struct publishing *p, size_t door, const char *name)
{
	/* whether it is trusted, others judge: what stands in it counts here */
	for (unsigned i = 0; i < p->shown[door].nnames; i++)
		if (span_is(p->shown[door].names[i], name))
			return true;
	return false;
}

static void
note(struct rr *r, bool off, const char *text)
{
	r->off |= off;
	if (r->note[0] == '\0')
		snprintf(r->note, sizeof(r->note), "%s", text);
}

static bool
is_there(const struct publishing *p, enum rr_type type, const char *name)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->v[i].type == type && strcmp(p->v[i].name, name) == 0)
			return true;
	return false;
}

static void
add_address(struct publishing *p, const char *zone, const char *name, const struct net_addr *a)
{
	enum rr_type type = a->ss.ss_family == AF_INET6 ? RR_AAAA : RR_A;
	struct net_guard *everybody = net_guard_new();
	const char *why = net_guard_why(everybody, a);
	struct rr *r;

	for (size_t i = 0; i < p->n; i++)
		if (p->v[i].type == type && strcmp(p->v[i].name, name) == 0 && net_addr_same_host(&p->v[i].addr, a)) {
			net_guard_free(everybody);
			return;
		}
	r = add(p, type, zone, "", name);
	r->addr = *a;
	if (why != NULL)
		snprintf(r->note, sizeof(r->note), "not a public address (%s): if a translator stands before us, say --address", why);
	net_guard_free(everybody);
}

/* The addresses of a name: those that were given, or the door's own. */
static void
add_addresses(struct publishing *p, const char *zone, const char *name, const struct edge_door_conf *d)
{
	for (unsigned i = 0; i < p->ngiven; i++)
		add_address(p, zone, name, &p->given[i]);
	if (p->ngiven == 0)
		add_address(p, zone, name, &d->addr);
}

/* The host that a record of this domain names for a door: its own name if that is in the domain, else sip.DOMAIN. */
static void
host_of(const struct publishing *p, size_t door, const char *domain, char out[RR_NAME_MAX])
{
	char name[DOMAIN_MAX];
	struct span canon;
	bool is_ip;

	if (policy_domain_canon(span_str(edge_outer(p->config, door)->name), name, &canon, &is_ip) == SP_OK && !is_ip &&
	    policy_domain_within(canon, span_str(domain)))
		snprintf(out, RR_NAME_MAX, "%.*s", SPAN_FMT(canon));
	else
		snprintf(out, RR_NAME_MAX, "sip.%s", domain);
}

static void
add_service(struct publishing *p, size_t door, const char *domain, const char *service, bool partners)
{
	const struct edge_door_conf *d = edge_outer(p->config, door);
	char host[RR_NAME_MAX], text[256];
	struct rr *r;

	host_of(p, door, domain, host);
	r = add(p, RR_SRV, domain, service, domain);
	r->port = net_addr_port(&d->addr);
	snprintf(r->target, sizeof(r->target), "%s", host);
	if (!p->readable[door]) {
		note(r, false, "whether the certificate holds that name could not be seen");
	} else if (!holds(p, door, host)) {
		snprintf(text, sizeof(text), "the certificate of outer[%zu] does not hold %.150s: get one that does", door, host);
		note(r, true, text);
	}
	if (strcmp(service, "_sips._tcp") == 0 && p->readable[door] && !holds(p, door, domain)) {
		/* they compare with the domain that they looked for, and not with what DNS says (RFC 5922, 4) */
		snprintf(text, sizeof(text), "clients that go by it want %.150s itself in the certificate of outer[%zu]", domain, door);
		note(r, false, text);
	}
	if (partners && r->port < 1024 && r->port != 443)
		note(r, true, "other edges take port 443 and those from 1024 on, usually 5061");
	add_addresses(p, domain, host, d);
}

/* What clients try when there is no SRV record (MS 11.1): always port 443. */
static void
add_alias(struct publishing *p, size_t door, const char *domain, const char *label)
{
	char host[RR_NAME_MAX], alias[RR_NAME_MAX], text[256];
	struct rr *r;

	host_of(p, door, domain, host);
	snprintf(alias, sizeof(alias), "%s.%s", label, domain);
	if (strcmp(alias, host) == 0 || is_there(p, RR_CNAME, alias) || is_there(p, RR_A, alias) || is_there(p, RR_AAAA, alias))
		return;
	r = add(p, RR_CNAME, domain, label, domain);
	snprintf(r->target, sizeof(r->target), "%s", host);
	if (p->readable[door] && !holds(p, door, alias)) {
		snprintf(text, sizeof(text), "only for clients without SRV records; the certificate of outer[%zu] would have to hold it", door);
		note(r, true, text);
	}
}

static void
make_records(struct publishing *p)
{
	for (size_t k = 0; k < p->ndomains; k++) {
		const char *domain = p->domains[k];

		for (size_t i = 0; i < p->config->outer.n && i < EDGE_DOORS_MAX; i++)
			if (edge_outer(p->config, i)->partners)
				add_service(p, i, domain, "_sipfederationtls._tcp", true);
		for (size_t i = 0; i < p->config->outer.n && i < EDGE_DOORS_MAX; i++)
			if (edge_outer(p->config, i)->users)
				add_service(p, i, domain, "_sip._tls", false);
		/* RFC 3263, 4.1: what other clients ask for */
		for (size_t i = 0; i < p->config->outer.n && i < EDGE_DOORS_MAX; i++)
			if (edge_outer(p->config, i)->users)
				add_service(p, i, domain, "_sips._tcp", false);
		for (size_t i = 0; i < p->config->outer.n && i < EDGE_DOORS_MAX; i++) {
			if (!edge_outer(p->config, i)->users || net_addr_port(&edge_outer(p->config, i)->addr) != 443)
				continue;
			add_alias(p, i, domain, "sipexternal");
			add_alias(p, i, domain, "sip");
		}
	}
}

/* ---- printing ---- */

static void
data_of(const struct rr *r, char *out, size_t size)
{
	char text[NET_ADDR_TEXT];

	switch (r->type) {
	case RR_SRV:
		snprintf(out, size, "0 0 %u %s.", r->port, r->target);
		break;
	case RR_CNAME:
		snprintf(out, size, "%s.", r->target);
		break;
	default:
		snprintf(out, size, "%s", net_addr_host(&r->addr, text));
	}
}

static void
print_zone(const struct publishing *p)
{
	const char *zone = NULL;

	for (size_t i = 0; i < p->n; i++) {
		const struct rr *r = &p->v[i];
		char data[RR_NAME_MAX + 32];

		if (zone == NULL || strcmp(zone, r->zone) != 0)
			printf("%s; %s, by %s\n", zone != NULL ? "\n" : "", r->zone, p->file);
		zone = r->zone;
		data_of(r, data, sizeof(data));
		if (r->note[0] != '\0')
			printf("; %s\n", r->note);
		printf("%s%s. %u IN %s %s\n", r->off ? "; " : "", r->name, p->ttl, type_names[r->type], data);
	}
	if (p->below)
		puts("\n; Policy has rules for all sub-domains of a domain (\".example.com\"): each that has users needs records like these.");
	for (size_t i = 0; i < p->config->directors.n && p->ndomains != 0; i++)
		printf("%s; _sipinternaltls._tcp.%s. %u IN SRV 0 0 %d %s.\n", i == 0 ? "\n; For name servers that the inside alone sees, so that "
		    "clients there find the Director:\n" : "", p->domains[0], p->ttl, edge_director(p->config, i)->port,
		    edge_director(p->config, i)->name);
}

static void
print_json(const struct publishing *p)
{
	fputs("{\"records\":[", stdout);
	for (size_t i = 0; i < p->n; i++) {
		const struct rr *r = &p->v[i];
		unsigned char room[RECORD_SMALL];
		char data[RR_NAME_MAX + 32];
		struct record_writer w;
		struct record rec;

		data_of(r, data, sizeof(data));
		record_begin(&w, room, sizeof(room), "record");
		record_str(&w, "domain", r->zone);
		record_printf(&w, "name", "%s.", r->name);
		record_int(&w, "ttl", p->ttl);
		record_str(&w, "type", type_names[r->type]);
		record_str(&w, "data", data);
		record_bool(&w, "publish", !r->off);
		record_str(&w, "note", r->note[0] != '\0' ? r->note : NULL);
		if (!record_parse(&rec, record_written(&w)))
			continue;
		fputs(i > 0 ? ",\n" : "\n", stdout);
		record_print_json(stdout, &rec, true);
	}
	puts("\n],\"cut\":false,\"status\":0,\"message\":null}");
}

/* ---- comparing with DNS ---- */

static void
answered(void *arg, const struct net_dns_answer *a)
{
	struct publishing *p = arg;

	p->answer = *a;
	if (a->nsrv != 0)
		memcpy(p->srv, a->srv, a->nsrv * sizeof(a->srv[0]));
	if (a->naddrs != 0)
		memcpy(p->addrs, a->addrs, a->naddrs * sizeof(a->addrs[0]));
	net_loop_stop(p->loop);
}

static void
ask(struct publishing *p, const struct rr *r)
{
	if (r->type == RR_SRV)
		(void)net_dns_srv(p->dns, r->name, answered, p);
	else
		(void)net_dns_addresses(p->dns, r->name, answered, p);
	net_loop_run(p->loop);
}

/* Is one of those records, which are of one name and type, what DNS says? */
static bool
is_expected(const struct publishing *p, const struct rr *like, const struct net_srv *srv, const struct net_addr *addr)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct rr *r = &p->v[i];

		if (strcmp(r->name, like->name) != 0)
			continue;
		if (srv != NULL && r->type == RR_SRV && r->port == srv->port && strcmp(r->target, srv->target) == 0)
			return true;
		if (addr != NULL && (r->type == RR_A || r->type == RR_AAAA) && net_addr_same_host(&r->addr, addr))
			return true;
	}
	return false;
}

static bool
is_in_dns(const struct publishing *p, const struct rr *r)
{
	if (p->answer.status != NET_DNS_FOUND)
		return false;
	for (unsigned i = 0; r->type == RR_SRV && i < p->answer.nsrv; i++)
		if (p->srv[i].port == r->port && strcmp(p->srv[i].target, r->target) == 0)
			return true;
	for (unsigned i = 0; (r->type == RR_A || r->type == RR_AAAA) && i < p->answer.naddrs; i++)
		if (net_addr_same_host(&p->addrs[i], &r->addr))
			return true;
	/* an alias leads where its target does */
	for (size_t k = 0; r->type == RR_CNAME && k < p->n; k++)
		for (unsigned i = 0; strcmp(p->v[k].name, r->target) == 0 && i < p->answer.naddrs; i++)
			if ((p->v[k].type == RR_A || p->v[k].type == RR_AAAA) && net_addr_same_host(&p->addrs[i], &p->v[k].addr))
				return true;
	return false;
}

/* What DNS has beside what we would publish; once for each name. */
static void
tell_surplus(struct publishing *p, const struct rr *r)
{
	char text[NET_ADDR_TEXT];

	for (size_t i = 0; &p->v[i] != r; i++)
		if (strcmp(p->v[i].name, r->name) == 0)
			return;
	for (unsigned i = 0; r->type == RR_SRV && i < p->answer.nsrv; i++)
		if (!is_expected(p, r, &p->srv[i], NULL))
			ctl_step(&p->steps, CTL_WARN, "SRV", "Take it out, unless another edge of yours is there.", "%s names %s port %u, too, which is none of "
			    "our doors", r->name, p->srv[i].target, p->srv[i].port);
	for (unsigned i = 0; (r->type == RR_A || r->type == RR_AAAA) && i < p->answer.naddrs; i++)
		if (!is_expected(p, r, NULL, &p->addrs[i]))
			ctl_step(&p->steps, CTL_WARN, type_names[r->type], "Take it out, unless another edge of yours is there; if it is a translator's, "
			    "say --address.", "%s has the address %s, too, which is none of our doors'", r->name, net_addr_host(&p->addrs[i], text));
}

static void
check_record(struct publishing *p, const struct rr *r)
{
	char data[RR_NAME_MAX + 32], fix[2 * RR_NAME_MAX + 128];

	data_of(r, data, sizeof(data));
	snprintf(fix, sizeof(fix), "Publish: %s. %u IN %s %s", r->name, p->ttl, type_names[r->type], data);
	ask(p, r);
	if (r->off && r->type == RR_CNAME)
		return;		/* nobody misses it */
	if (r->off)
		ctl_step(&p->steps, CTL_FAIL, type_names[r->type], "Correct that first.", "%s: %s", r->name, r->note);
	else if (p->answer.status == NET_DNS_FAILED)
		ctl_step(&p->steps, CTL_FAIL, type_names[r->type], "Look whether the resolvers (dns.servers) and the domain's name servers answer.",
		    "no usable answer about %s", r->name);
	else if (is_in_dns(p, r))
		ctl_step(&p->steps, r->note[0] != '\0' ? CTL_WARN : CTL_OK, type_names[r->type], r->note[0] != '\0' ? r->note : NULL, "%s %s is in DNS",
		    r->name, data);
	else
		ctl_step(&p->steps, r->type == RR_CNAME ? CTL_WARN : CTL_FAIL, type_names[r->type], fix, p->answer.status == NET_DNS_NONE ?
		    "%s is not in DNS" : "%s in DNS is not %s", r->name, data);
	if (p->answer.status == NET_DNS_FOUND)
		tell_surplus(p, r);
}

static int
check_all(struct publishing *p)
{
	p->steps.json = p->json;
	if ((p->loop = net_loop_new()) == NULL || (p->dns = edge_dns_new(p->loop, p->config)) == NULL)
		return EX_OSERR;
	for (size_t i = 0; i < p->n; i++)
		check_record(p, &p->v[i]);
	return ctl_steps_end(&p->steps);
}

/* ---- reading ---- */

static int
by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void
take_domains(struct publishing *p)
{
	struct span domain;
	size_t at = 0;
	bool below;

	while (policy_next_internal_domain(p->rules, &at, &domain, &below)) {
		if (below || policy_domain_is_ip(domain)) {
			p->below |= below;
			continue;
		}
		p->domains = xreallocarray(p->domains, p->ndomains + 1, sizeof(*p->domains));
		snprintf(p->domains[p->ndomains++], DOMAIN_MAX, "%.*s", SPAN_FMT(domain));
	}
	if (p->ndomains != 0)
		qsort(p->domains, p->ndomains, sizeof(*p->domains), by_name);
}

static void
unreadable(void *arg, bool fatal, const char *text)
{
	(void)arg;
	if (fatal)
		fprintf(stderr, "sallyportctl: dns: warning: %s\n", text);
}

static bool
load(struct publishing *p)
{
	struct conf_errors *errs = conf_errors_new();
	bool good;

	p->config = edge_config_load(p->file, errs);
	if (p->config != NULL && p->config->policy != NULL)
		p->rules = edge_short_policy(p->config, errs, NULL, NULL);
	good = conf_errors_count(errs) == 0 && p->config != NULL && p->rules != NULL;
	conf_errors_print(errs, stderr);
	conf_errors_free(errs);
	for (size_t i = 0; good && i < p->config->outer.n && i < EDGE_DOORS_MAX; i++) {
		struct net_tls_files files = { .certificate = edge_outer(p->config, i)->certificate };

		p->readable[i] = net_tls_examine(&p->shown[i], &files, NULL, false, NULL, unreadable, NULL) == SP_OK;
	}
	if (good)
		take_domains(p);
	return good;
}

/* -1: go on. */
static int
read_options(struct publishing *p, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'c' }, { "address", required_argument, NULL, 'a' },
		{ "ttl", required_argument, NULL, 't' }, { "check", no_argument, NULL, 'k' }, { "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 }
	};
	uint64_t ttl;
	int c;

	optind = 0;
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":h", longs, NULL)) != -1) {
		switch (c) {
		case 'h':
			return usage(stdout);
		case 'j':
			p->json = true;
			break;
		case 'k':
			p->check = true;
			break;
		case 'c':
			p->file = optarg;
			break;
		case 't':
			if (!span_uint(span_str(optarg), 604800, &ttl))
				return ctl_misused("dns: --ttl expects seconds, at most 604800, not", optarg);
			p->ttl = (unsigned)ttl;
			break;
		case 'a':
			if (p->ngiven == ADDRESSES_MAX || net_addr_parse(&p->given[p->ngiven], span_str(optarg), 1) != SP_OK ||
			    net_addr_is_any(&p->given[p->ngiven]))
				return ctl_misused("dns: --address expects an IP address, at most eight times, not", optarg);
			p->ngiven++;
			break;
		default:
			return ctl_misused(c == ':' ? "dns: a value is missing for" : "dns does not know", argv[optind - 1]);
		}
	}
	return optind < argc ? ctl_misused("dns takes no arguments, but got", argv[optind]) : -1;
}

static void
clean_up(struct publishing *p)
{
	for (size_t i = 0; i < EDGE_DOORS_MAX; i++)
		net_tls_examined(&p->shown[i]);
	net_dns_free(p->dns);
	net_loop_free(p->loop);
	policy_rules_unref(p->rules);
	edge_config_free(p->config);
	free(p->domains);
	free(p->v);
	free(p);
}

int
ctl_dns(int argc, char **argv)
{
	struct publishing *p = xcalloc(1, sizeof(*p));
	int status;

	p->file = SYSCONFDIR "/edge.conf";
	p->ttl = TTL;
	hash_seed();
	if ((status = read_options(p, argc, argv)) == -1) {
		status = EX_CONFIG;
		if (load(p)) {
			make_records(p);
			if (p->n == 0)
				fprintf(stderr, "sallyportctl: dns: %s has no domain of its own: nothing is to be published\n", p->config->policy);
			if (p->check) {
				status = check_all(p);
			} else {
				if (p->json)
					print_json(p);
				else
					print_zone(p);
				status = ctl_finish(EX_OK);
			}
		}
	}
	clean_up(p);
	return status;
}
