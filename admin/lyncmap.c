/*
 * admin/lyncmap.c - federation settings of Lync as a policy of ours; see lync.h.
 *
 * What each setting became is what HACKING's table of the original's settings says. Where two of
 * their settings cannot stand together here, that one stays which lets less through.
 */
#include "admin/lync.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/lync_int.h"
#include "admin/policychange.h"
#include "admin/portable.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/mem.h"
#include "policy/domain.h"

#define COMMENT_MAX	200	/* bytes of a comment that are kept */
#define DISPLAY_MAX	256	/* bytes of a display name, see policy.conf(5) */

const char *
lync_fate_name(enum lync_fate f)
{
	return f == LYNC_KEPT ? "kept" : f == LYNC_CHANGED ? "changed" : "lost";
}

void
lync_result_fini(struct lync_result *r)
{
	for (size_t i = 0; i < r->n; i++) {
		free(r->notes[i].what);
		free(r->notes[i].why);
	}
	free(r->notes);
	*r = (struct lync_result){ .notes = NULL };
}

/* ---- names ---- */

struct names {
	char	**v;
	size_t	 n;
};

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
names_add(struct names *names, const char *s)
{
	if ((names->n & (names->n - 1)) == 0)
		names->v = xreallocarray(names->v, names->n == 0 ? 1 : names->n * 2, sizeof(*names->v));
	names->v[names->n++] = xstrdup(s);
}

/* In order, each once. */
static void
names_sort(struct names *names)
{
	size_t to = 0;

	if (names->n > 1)
		qsort(names->v, names->n, sizeof(*names->v), by_text);
	for (size_t i = 0; i < names->n; i++) {
		if (to > 0 && strcmp(names->v[to - 1], names->v[i]) == 0)
			free(names->v[i]);
		else
			names->v[to++] = names->v[i];
	}
	names->n = to;
}

static bool
names_has(const struct names *names, const char *s)
{
	return names->n != 0 && bsearch(&s, names->v, names->n, sizeof(*names->v), by_text) != NULL;
}

/* The one of them that is s, or that s is below. NULL: none. */
static const char *
names_above(const struct names *names, const char *s)
{
	while (s != NULL) {
		if (names_has(names, s))
			return s;
		if ((s = strchr(s, '.')) != NULL)
			s++;
	}
	return NULL;
}

/* Does one of them begin with that? */
static bool
names_begin(const struct names *names, const char *s)
{
	size_t low = 0, high = names->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (strcmp(names->v[mid], s) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low < names->n && strncmp(names->v[low], s, strlen(s)) == 0;
}

/* A name from its end on, with a dot behind it: so, those below a domain begin with it. False: it is none. */
static bool
turn(struct span name, char out[DOMAIN_MAX + 1])
{
	if (name.n == 0 || name.n >= DOMAIN_MAX)
		return false;
	for (size_t i = 0; i < name.n; i++)
		out[i] = (char)span_lower((unsigned char)name.p[name.n - 1 - i]);
	out[name.n] = '.';
	out[name.n + 1] = '\0';
	return true;
}

static void
names_fini(struct names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->v[i]);
	free(names->v);
}

/* ---- one mapping on its way ---- */

/* A server or a domain of others, from whatever it came. */
struct entry {
	const struct lync_object *o;
	size_t			 order;		/* as they came */
	char			*domain, *server; /* canonical, or NULL */
	const char		*verification;	/* as policy.conf calls it */
	bool			 enabled;
};
struct entries {
	struct entry	*v;
	size_t		 n;
};

struct making {
	const struct lync_objects *all;
	struct lync_result	*result;
	struct portable		*out;
	const struct lync_object *edge;		/* NULL: there was none */
	struct names		 own, blocked, servers;	/* servers: of providers that are kept */
	struct names		 ours;			/* our domains and servers, as turn() has them */
	struct entries		 allowed, partners, providers;
	struct lync_route	*routes;
	size_t			 nroutes;
	bool			 clearinghouse, federation;
	char			 route[DOMAIN_MAX];	/* server of the default route, or "" */
	FILE			*f;
};

static void	note(struct making *, enum lync_fate, const char *kind, const char *name, const char *fmt, ...)
		    __attribute__((format(printf, 5, 6)));

static void
note(struct making *m, enum lync_fate fate, const char *kind, const char *name, const char *fmt, ...)
{
	struct lync_result *r = m->result;
	char what[512], why[512];
	va_list ap;

	snprintf(what, sizeof(what), "%s %s", kind, name);
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	if ((r->n & (r->n - 1)) == 0)
		r->notes = xreallocarray(r->notes, r->n == 0 ? 1 : r->n * 2, sizeof(*r->notes));
	r->notes[r->n++] = (struct lync_note){ fate, xstrdup(what), xstrdup(why) };
}

static void
note_object(struct making *m, enum lync_fate fate, const struct lync_object *o, const char *name, const char *why)
{
	note(m, fate, lync_kind_name(o->kind), name, "%s", why);
}

static struct entry *
add(struct entries *es, const struct lync_object *o)
{
	if ((es->n & (es->n - 1)) == 0)
		es->v = xreallocarray(es->v, es->n == 0 ? 1 : es->n * 2, sizeof(*es->v));
	es->v[es->n] = (struct entry){ .o = o, .order = es->n, .verification = "use-source-verification", .enabled = true };
	return &es->v[es->n++];
}

static void
entry_fini(struct entry *e)
{
	free(e->domain);
	free(e->server);
	*e = (struct entry){ .o = NULL };
}

/* By a text, and those with the same one as they came. */
static int
in_order(const char *a, size_t i, const char *b, size_t j)
{
	int order = strcmp(a, b);

	return order != 0 ? order : i < j ? -1 : 1;
}

static int
by_domain(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return in_order(x->domain, x->order, y->domain, y->order);
}

static int
by_server(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return in_order(x->server, x->order, y->server, y->order);
}

/* ---- values ---- */

static char *
canon(const char *s)
{
	return lync_host(span_trim(span_str(s)));
}

static const char *
verification_of(struct making *m, const struct lync_object *o, const char *name, const char *property, const char *dflt)
{
	static const struct {
		const char	*theirs, *ours;
	} words[] = {
		{ "UseSourceVerification", "use-source-verification" },
		{ "AlwaysVerifiable", "always-verifiable" },
		{ "AlwaysUnverifiable", "always-unverifiable" },
	};
	const char *s = lync_text(o, property);

	for (size_t i = 0; s != NULL && i < sizeof(words) / sizeof(words[0]); i++)
		if (span_iis(span_str(s), words[i].theirs))
			return words[i].ours;
	if (s != NULL)
		note(m, LYNC_CHANGED, lync_kind_name(o->kind), name, "%s \"%.60s\" is not known; taken for %s", property, s,
		    "AlwaysUnverifiable");
	return s != NULL ? "always-unverifiable" : dflt;
}

/* What people call it. */
static const char *
name_of(const struct lync_object *o)
{
	const char *s = lync_text(o, "Domain");

	if (s == NULL)
		s = lync_text(o, "Name");
	if (s == NULL)
		s = lync_text(o, "Identity");
	return s != NULL ? s : "without a name";
}

/* Properties that we have no use for, by kind: their usual values are not worth a word. */
static const struct {
	enum lync_kind	 kind;
	const char	*name, *usual;
	enum lync_fate	 fate;
	const char	*why;
} unused[] = {
	{ LYNC_ALLOWED, "MarkForMonitoring", "False", LYNC_LOST, "what a partner does is always counted by partner" },
	{ LYNC_PUBLIC, "NameDecorationDomain", "", LYNC_LOST, "addresses of providers are not rewritten" },
	{ LYNC_PUBLIC, "NameDecorationRoutingDomain", "", LYNC_LOST, "addresses of providers are not rewritten" },
	{ LYNC_PUBLIC, "NameDecorationExcludedDomainList", "", LYNC_LOST, "addresses of providers are not rewritten" },
	{ LYNC_HOSTING, "EnabledSharedAddressSpace", "False", LYNC_LOST,
	    "a domain is ours or somebody else's, never split between two servers" },
	{ LYNC_HOSTING, "HostsOCSUsers", "False", LYNC_LOST, "users of our own domains are the Director's to find" },
	{ LYNC_HOSTING, "IsLocal", "False", LYNC_LOST, "a provider is always outside" },
	{ LYNC_HOSTING, "AutodiscoverUrl", "", LYNC_LOST, "clients are not told of other servers" },
	{ LYNC_EDGE, "AllowAnonymousUsers", "False", LYNC_LOST, "guests of conferences need a conference server, which is not here" },
	{ LYNC_EDGE, "EnableUserReplicator", "False", LYNC_LOST, "the edge keeps no users; the Director asks the directory" },
	{ LYNC_EDGE, "KeepCrlsUpToDateForPeers", "True", LYNC_CHANGED, "revocation lists are always read again when they change" },
	{ LYNC_EDGE, "OutgoingTlsCountForFederatedPartners", "4", LYNC_LOST, "a worker keeps one connection to a server" },
	{ LYNC_EDGE, "DnsSrvCacheRecordCount", "131072", LYNC_LOST, "dns.cache of edge.conf counts in another way, by worker" },
	{ LYNC_EDGE, "MaxAcceptedCertificatesStored", "1000", LYNC_LOST, "always 1000" },
	{ LYNC_EDGE, "MaxRejectedCertificatesStored", "500", LYNC_LOST, "always 500" },
	{ LYNC_EDGE, "CertificatesDeletedPercentage", "20", LYNC_LOST, "always a fifth" },
	{ LYNC_EDGE, "SkypeSearchUrl", "", LYNC_LOST, "there is no search for people of other networks" },
};

static void
note_unused(struct making *m, const struct lync_object *o, const char *name)
{
	for (size_t i = 0; i < sizeof(unused) / sizeof(unused[0]); i++) {
		const char *s = unused[i].kind == o->kind ? lync_text(o, unused[i].name) : NULL;

		if (s != NULL && !span_iis(span_str(s), unused[i].usual))
			note(m, unused[i].fate, lync_kind_name(o->kind), name, "%s = %.80s: %s", unused[i].name, s, unused[i].why);
	}
}

/* ---- looking at each object ---- */

/* Would blocking it block one of us? There, it was the domain alone; here, it is all below it, too. */
static bool
is_ours(const struct making *m, const char *domain)
{
	char turned[DOMAIN_MAX + 1];

	return turn(span_str(domain), turned) && names_begin(&m->ours, turned);
}

/* Who we are, once our domains are known. */
static void
find_ours(struct making *m, const struct lync_given *given)
{
	char turned[DOMAIN_MAX + 1];

	for (size_t i = 0; i < m->own.n; i++)
		if (turn(span_str(m->own.v[i]), turned))
			names_add(&m->ours, turned);
	for (size_t i = 0; i < given->nservers; i++) {
		struct span server = span_str(given->servers[i]);
		const char *star = strrchr(given->servers[i], '*');

		/* every name that follows a pattern is below these labels of it */
		if (star != NULL) {
			server = span_str(star);
			server = span_tail(server, span_find(server, '.') + 1);
		}
		if (turn(server, turned))
			names_add(&m->ours, turned);
	}
	names_sort(&m->ours);
}

/* After the rest, since it is known then who we are. */
static void
look_at_blocked(struct making *m, const struct lync_object *o)
{
	const char *name = name_of(o);
	char *d = canon(name);

	if (d == NULL) {
		note_object(m, LYNC_LOST, o, name, "is not a domain");
		return;
	}
	if (is_ours(m, d)) {
		note_object(m, LYNC_LOST, o, name, "is one of our own, or has one of our own below it");
	} else {
		names_add(&m->blocked, d);
		note_object(m, LYNC_KEPT, o, name, "blocked, with every domain below it");
	}
	free(d);
}

static void
look_at_allowed(struct making *m, const struct lync_object *o)
{
	const char *name = name_of(o), *proxy = lync_text(o, "ProxyFqdn");
	char *d = canon(name), *server = canon(proxy);
	struct entry *e;

	if (d == NULL || (proxy != NULL && server == NULL)) {
		note_object(m, LYNC_LOST, o, name, d == NULL ? "is not a domain" : "its ProxyFqdn is not a host name");
		free(d);
		free(server);
		return;
	}
	e = add(&m->allowed, o);
	e->domain = d;
	e->server = server;
	e->verification = verification_of(m, o, name, "VerificationLevel", "use-source-verification");
	note_unused(m, o, name);
}

static void
look_at_provider(struct making *m, const struct lync_object *o)
{
	const char *name = name_of(o);
	char *server = canon(lync_text(o, "ProxyFqdn"));
	struct entry *e;

	if (server == NULL) {
		note_object(m, LYNC_LOST, o, name, "has no ProxyFqdn that is a host name");
		return;
	}
	e = add(&m->providers, o);
	e->server = server;
	e->enabled = lync_switch(o, "Enabled", false);
	e->verification = verification_of(m, o, name, "VerificationLevel",
	    o->kind == LYNC_PUBLIC ? "always-unverifiable" : "always-verifiable");
	note_unused(m, o, name);
}

static void
look_at_sip_domain(struct making *m, const struct lync_object *o, bool wanted)
{
	const char *name = name_of(o);
	char *d = canon(name);

	if (d == NULL)
		note_object(m, LYNC_LOST, o, name, "is not a domain");
	else if (wanted)
		names_add(&m->own, d);
	if (d != NULL)
		note_object(m, wanted ? LYNC_KEPT : LYNC_LOST, o, name, wanted ? "one of internal_domains" :
		    "our own domains were named, or are those of the policy in force");
	free(d);
}

static void
look_at(struct making *m, const struct lync_given *given)
{
	for (size_t i = 0; i < m->all->n; i++) {
		const struct lync_object *o = &m->all->v[i];

		switch (o->kind) {
		case LYNC_ALLOWED:
			look_at_allowed(m, o);
			break;
		case LYNC_BLOCKED:
			break;	/* look_at_blocked() */
		case LYNC_PUBLIC:
		case LYNC_HOSTING:
			look_at_provider(m, o);
			break;
		case LYNC_SIP_DOMAIN:
			look_at_sip_domain(m, o, given->ndomains == 0);
			break;
		case LYNC_EDGE:
			if (m->edge != NULL)
				note_object(m, LYNC_LOST, o, name_of(o), "there is one configuration of the edge; the first one counts");
			else
				m->edge = o;
			break;
		case LYNC_ROUTE:
		case LYNC_ROUTING:
			break;	/* settle_routes() */
		default:
			note(m, LYNC_LOST, "object", o->type != NULL && o->type[0] != '\0' ? o->type : "without a type",
			    "is not a federation setting that is read");
		}
	}
	for (size_t i = 0; i < given->ndomains; i++) {
		const char *s = given->domains[i];
		char *d = canon(s + (s[0] == '.'));

		if (d != NULL)
			names_add(&m->own, d);
		free(d);
	}
	names_sort(&m->own);
	find_ours(m, given);
	for (size_t i = 0; i < m->all->n; i++)
		if (m->all->v[i].kind == LYNC_BLOCKED)
			look_at_blocked(m, &m->all->v[i]);
	names_sort(&m->blocked);
}

/* ---- what may stand together ---- */

/* What the inner door would take for one of us; patterns as internal_servers has them. */
static bool
is_inside(const struct lync_given *given, const char *server)
{
	for (size_t i = 0; i < given->nservers; i++) {
		const char *p = given->servers[i], *star = strchr(p, '*');
		size_t n = strlen(server);

		if (star == NULL ? span_iis(span_str(p), server) :
		    n >= strlen(p) - 1 && span_ieq(span_of(p, (size_t)(star - p)), span_of(server, (size_t)(star - p))) &&
		    span_iis(span_str(star + 1), server + n - strlen(star + 1)))
			return true;
	}
	return false;
}

/* Why a server cannot be anybody's, or NULL. */
static const char *
server_is_bad(const struct making *m, const struct lync_given *given, const char *server)
{
	return names_above(&m->blocked, server) != NULL ? "its server is in a blocked domain" :
	    is_inside(given, server) ? "its server is one of our own" :
	    strcmp(server, m->route) == 0 ? "its server is that of the default route" : NULL;
}

/* Keep e for the next round, or say why not. */
static void
keep_or_drop(struct making *m, struct entries *es, size_t *to, size_t i, const char *why)
{
	struct entry *e = &es->v[i];

	if (why != NULL) {
		note_object(m, LYNC_LOST, e->o, name_of(e->o), why);
		entry_fini(e);
	} else {
		if (*to != i) {
			es->v[*to] = *e;
			*e = (struct entry){ .o = NULL };
		}
		++*to;
	}
}

static void
settle_providers(struct making *m, const struct lync_given *given)
{
	struct entries *es = &m->providers;
	size_t to = 0;

	if (es->n > 1)
		qsort(es->v, es->n, sizeof(*es->v), by_server);
	for (size_t i = 0; i < es->n; i++) {
		struct entry *e = &es->v[i];
		const char *why = server_is_bad(m, given, e->server);

		if (why == NULL && to > 0 && strcmp(es->v[to - 1].server, e->server) == 0)
			why = "another provider has that server already";
		if (why == NULL && e->enabled && m->route[0] != '\0') {
			e->enabled = false;
			note_object(m, LYNC_CHANGED, e->o, name_of(e->o), "is not enabled: there is a default route, and with it no other provider");
		} else if (why == NULL) {
			note(m, LYNC_KEPT, lync_kind_name(e->o->kind), name_of(e->o), "a provider, %s", e->enabled ? "enabled" : "not enabled");
		}
		keep_or_drop(m, es, &to, i, why);
	}
	es->n = to;
	for (size_t i = 0; i < es->n; i++)
		names_add(&m->servers, es->v[i].server);
	names_sort(&m->servers);
}

static int
by_match(const void *a, const void *b)
{
	const struct lync_route *x = a, *y = b;

	return in_order(x->match, x->order, y->match, y->order);
}

static void
note_route(struct making *m, enum lync_fate fate, const struct lync_object *o, const struct lync_route *r, const char *why)
{
	const char *name = lync_text(o, "MatchUri");

	name = name != NULL ? name : "without a MatchUri";
	if (fate == LYNC_LOST)
		note_object(m, fate, o, name, why);
	else
		note(m, fate, lync_kind_name(o->kind), name, "static_routes: %s by the server %s%s%s", r->match, r->server,
		    why != NULL ? "; " : "", why != NULL ? why : "");
}

/* Those that can be kept at all, into m->routes, in the order of what they match. */
static void
look_at_routes(struct making *m)
{
	size_t there = 0;

	for (size_t i = 0; i < m->all->n; i++)
		there += m->all->v[i].kind == LYNC_ROUTE;
	m->routes = xcalloc(there + 1, sizeof(*m->routes));
	for (size_t i = 0; i < m->all->n; i++) {
		const struct lync_object *o = &m->all->v[i];
		struct lync_route *r = &m->routes[m->nroutes];

		if (o->kind == LYNC_ROUTING && there == 0)
			note_object(m, LYNC_LOST, o, name_of(o), "has no routes, or they are not in this file: "
			    "Get-CsStaticRoutingConfiguration | Select-Object -ExpandProperty Route writes them");
		if (o->kind != LYNC_ROUTE)
			continue;
		lync_route_of(o, r);
		r->order = i;
		if (r->fate != LYNC_LOST) {
			m->nroutes++;
		} else {
			note_route(m, LYNC_LOST, o, r, r->why);
			lync_route_fini(r);
		}
	}
	if (m->nroutes > 1)
		qsort(m->routes, m->nroutes, sizeof(*m->routes), by_match);
}

/* After the rest, since what is blocked, and who is inside, is known then. */
static void
settle_routes(struct making *m, const struct lync_given *given)
{
	size_t to = 0;

	look_at_routes(m);
	for (size_t i = 0; i < m->nroutes; i++) {
		struct lync_route *r = &m->routes[i];
		const struct lync_object *o = &m->all->v[r->order];
		const char *bad = names_above(&m->blocked, r->server) != NULL ? "its server is in a blocked domain" :
		    is_inside(given, r->server) ? "its server is one of our own" :
		    to > 0 && strcmp(m->routes[to - 1].match, r->match) == 0 ? "there is a route for that already" : NULL;

		note_route(m, bad != NULL ? LYNC_LOST : r->fate, o, r, bad != NULL ? bad : r->why);
		if (bad != NULL) {
			lync_route_fini(r);
		} else if (to++ != i) {
			m->routes[to - 1] = *r;
			*r = (struct lync_route){ .match = NULL };
		}
	}
	m->nroutes = to;
}

/* The one-domain-one-way rules, and partners apart from domains that DNS leads to. */
static void
settle_allowed(struct making *m, const struct lync_given *given)
{
	struct entries *es = &m->allowed;
	size_t to = 0;

	if (es->n > 1)
		qsort(es->v, es->n, sizeof(*es->v), by_domain);
	for (size_t i = 0; i < es->n; i++) {
		struct entry *e = &es->v[i];
		const char *why = NULL;

		if (names_above(&m->blocked, e->domain) != NULL)
			why = "is blocked, or below a blocked domain, and a block always wins";
		else if (names_has(&m->own, e->domain))
			why = "is one of our own domains";
		else if (to > 0 && strcmp(es->v[to - 1].domain, e->domain) == 0)
			why = "is allowed twice; the first one counts";
		else if (e->server != NULL && names_has(&m->servers, e->server))
			why = "its server is a provider's, and a server is the one or the other";
		else if (e->server != NULL)
			why = server_is_bad(m, given, e->server);
		keep_or_drop(m, es, &to, i, why);
	}
	es->n = to;
	to = 0;
	for (size_t i = 0; i < es->n; i++) {
		struct entry *e = &es->v[i];

		if (e->server != NULL) {
			struct entry *p = add(&m->partners, e->o);

			*p = (struct entry){ e->o, p->order, e->domain, e->server, e->verification, true };
			note(m, LYNC_KEPT, lync_kind_name(e->o->kind), name_of(e->o), "a direct partner, by the server %s", p->server);
			*e = (struct entry){ .o = NULL };
		} else {
			note_object(m, LYNC_KEPT, e->o, name_of(e->o), "an allowed domain, whose server DNS names");
			keep_or_drop(m, es, &to, i, NULL);
		}
	}
	es->n = to;
	if (m->partners.n > 1)
		qsort(m->partners.v, m->partners.n, sizeof(*m->partners.v), by_server);
}

/* ---- writing ---- */

/* A comment of theirs, as one of ours: one line of UTF-8. before: what it begins with. */
static void
put_comment(struct making *m, const char *before, const struct lync_object *o)
{
	const char *s = lync_text(o, "Comment");
	struct span c = span_head(span_str(s), COMMENT_MAX);

	if (s == NULL)
		return;
	fputs(before, m->f);
	/* cut in a character, or in another encoding: what is not ASCII goes */
	for (size_t i = 0; i < c.n; i++)
		putc((unsigned char)c.p[i] < ' ' || c.p[i] == 0x7f ? ' ' :
		    (unsigned char)c.p[i] >= 0x80 && !policy_change_note_ok(c) ? '?' : c.p[i], m->f);
}

static void
put_text(struct making *m, const char *s)
{
	bool good = policy_change_note_ok(span_str(s));

	putc('"', m->f);
	for (; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			putc('\\', m->f);
		putc((unsigned char)*s < ' ' || *s == 0x7f ? ' ' : (unsigned char)*s >= 0x80 && !good ? '?' : *s, m->f);
	}
	putc('"', m->f);
}

static void
put_names(struct making *m, const char *option, const char *const *v, size_t n)
{
	fprintf(m->f, "%s = [", option);
	for (size_t i = 0; i < n; i++) {
		fputs(i != 0 ? ",\n\t" : "\n\t", m->f);
		put_text(m, v[i]);
	}
	fputs(n != 0 ? "\n];\n" : " ];\n", m->f);
}

static void
put_allowed(struct making *m)
{
	size_t n = 0;

	fputs("\n# Domains whose server DNS names.\nallowed_domains = [", m->f);
	for (size_t pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < m->allowed.n; i++) {
			const struct entry *e = &m->allowed.v[i];

			if ((strcmp(e->verification, "use-source-verification") != 0) != (pass == 1))
				continue;
			if (pass == 1 && n != SIZE_MAX) {
				fputs(n != 0 ? "\n];\ndiscovered = (" : " ];\ndiscovered = (", m->f);
				n = SIZE_MAX;	/* the second list has begun */
				fprintf(m->f, "\n\t{ domain = \"%s\"; verification = \"%s\"; }", e->domain, e->verification);
			} else if (pass == 1) {
				fprintf(m->f, ",\n\t{ domain = \"%s\"; verification = \"%s\"; }", e->domain, e->verification);
			} else {
				fprintf(m->f, "%s\n\t\"%s\"", n != 0 ? "," : "", e->domain);
				n++;
			}
		}
	fputs(n == SIZE_MAX ? "\n);\n" : n != 0 ? "\n];\n" : " ];\n", m->f);
	for (size_t i = 0; i < m->allowed.n; i++)
		if (lync_text(m->allowed.v[i].o, "Comment") != NULL) {
			fprintf(m->f, "# %s:", m->allowed.v[i].domain);
			put_comment(m, " ", m->allowed.v[i].o);
			putc('\n', m->f);
		}
}

/* How much a level lets through: of two, the smaller stays. */
static unsigned
trust_in(const char *verification)
{
	return strcmp(verification, "always-unverifiable") == 0 ? 0 : strcmp(verification, "use-source-verification") == 0 ? 1 : 2;
}

static void
put_partners(struct making *m)
{
	const struct entries *es = &m->partners;

	fputs("\n# Partners by their servers.\npartners = (", m->f);
	for (size_t i = 0, next; i < es->n; i = next) {
		const struct entry *e = &es->v[i];
		const char *verification = e->verification;

		fprintf(m->f, "%s\n\t{ server = \"%s\";", i != 0 ? "," : "", e->server);
		for (next = i; next < es->n && strcmp(es->v[next].server, e->server) == 0; next++)
			if (trust_in(es->v[next].verification) < trust_in(verification))
				verification = es->v[next].verification;
		for (size_t k = i; k < next; k++)
			if (strcmp(es->v[k].verification, verification) != 0)
				note(m, LYNC_CHANGED, lync_kind_name(LYNC_ALLOWED), es->v[k].domain,
				    "verification is %s, as of the other domains of its server %s", verification, e->server);
		fputs("\n\t  domains = [", m->f);
		for (size_t k = i; k < next; k++) {
			fprintf(m->f, "\n\t\t\"%s\"%s", es->v[k].domain, k + 1 < next ? "," : "");
			put_comment(m, "  # ", es->v[k].o);
		}
		fprintf(m->f, "\n\t  ];\n\t  verification = \"%s\";%s }", verification, m->clearinghouse ? " member = true;" : "");
	}
	fputs(es->n != 0 ? "\n);\n" : " );\n", m->f);
}

/* As much of it as a name may have, whole characters. */
static void
put_display_name(struct making *m, const char *s)
{
	char name[DISPLAY_MAX + 1];
	size_t n = strlen(s);

	if (n == 0)
		s = "without a name";
	else if (n > DISPLAY_MAX)
		for (n = DISPLAY_MAX; n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80; n--)
			;
	snprintf(name, sizeof(name), "%.*s", (int)(n != 0 ? n : DISPLAY_MAX), s);
	put_text(m, name);
}

static void
put_providers(struct making *m)
{
	const struct entries *es = &m->providers;

	fputs("\n# Public IM and hosting providers.\nproviders = (", m->f);
	for (size_t i = 0; i < es->n; i++) {
		const struct entry *e = &es->v[i];

		fprintf(m->f, "%s\n\t{ name = ", i != 0 ? "," : "");
		put_display_name(m, name_of(e->o));
		fprintf(m->f, "; server = \"%s\"; enabled = %s;\n\t  public_network = %s; verification = \"%s\"; }", e->server,
		    e->enabled ? "true" : "false", e->o->kind == LYNC_PUBLIC ? "true" : "false", e->verification);
	}
	fputs(es->n != 0 ? "\n);\n" : " );\n", m->f);
}

static void
put_switch(struct making *m, const char *theirs, const char *ours, bool dflt)
{
	bool on = lync_switch(m->edge, theirs, dflt);

	fprintf(m->f, "%s = %s;\n", ours, on ? "true" : "false");
	if (m->edge != NULL && lync_get(m->edge, theirs) != NULL)
		note(m, LYNC_KEPT, lync_kind_name(LYNC_EDGE), theirs, "%s = %s", ours, on ? "true" : "false");
}

/* A number that edge.conf has, within what it may be there. */
static void
set_number(struct making *m, const char *theirs, const char *ours, uint64_t times, uint64_t usual, uint64_t min, uint64_t max)
{
	const char *s = lync_text(m->edge, theirs);
	uint64_t n, value;

	if (s == NULL)
		return;
	if (!span_uint(span_trim(span_str(s)), UINT32_MAX, &n)) {
		note(m, LYNC_LOST, lync_kind_name(LYNC_EDGE), theirs, "\"%.60s\" is not a number", s);
		return;
	}
	value = n * times < min ? min : n * times > max ? max : n * times;
	if (value != usual)
		portable_number(m->out, PORTABLE_EDGE, ours, (long)value);
	note(m, value == n * times ? LYNC_KEPT : LYNC_CHANGED, lync_kind_name(LYNC_EDGE), theirs, "%s = %" PRIu64 " in edge.conf%s",
	    ours, value, value == usual ? ", as it is there by itself" : "");
}

static bool
routes_by_default(const struct lync_object *edge)
{
	const char *method = lync_text(edge, "RoutingMethod");

	if (edge == NULL)
		return false;
	if (method != NULL && span_istarts(span_str(method), SPAN_LIT("UseDefault")))
		return true;
	return method == NULL && (lync_text(edge, "DefaultRouteFqdn") != NULL || lync_text(edge, "DefaultRoute") != NULL);
}

static void
find_routing(struct making *m, const struct lync_given *given)
{
	const char *kind = lync_kind_name(LYNC_EDGE);
	char *route = NULL;

	m->federation = lync_switch(m->edge, "AllowFederatedUsers", false);
	m->clearinghouse = lync_switch(m->edge, "BeClearingHouse", false);
	if (routes_by_default(m->edge)) {
		route = canon(lync_text(m->edge, "DefaultRouteFqdn"));
		if (route == NULL)
			route = canon(lync_text(m->edge, "DefaultRoute"));
		if (route == NULL)
			note(m, LYNC_LOST, kind, "RoutingMethod", "UseDefaultRouting, but no DefaultRouteFqdn that is a host name");
	}
	if (route != NULL && names_above(&m->blocked, route) != NULL) {
		note(m, LYNC_LOST, kind, "DefaultRouteFqdn", "is in a blocked domain");
	} else if (route != NULL && is_inside(given, route)) {
		note(m, LYNC_LOST, kind, "DefaultRouteFqdn", "is one of our own servers");
	} else if (route != NULL) {
		snprintf(m->route, sizeof(m->route), "%s", route);
		note(m, LYNC_KEPT, kind, "DefaultRouteFqdn", "default_route.server = %s", route);
	}
	if (m->clearinghouse && m->route[0] != '\0') {
		m->clearinghouse = false;
		note(m, LYNC_LOST, kind, "BeClearingHouse", "a clearing house cannot have a default route");
	}
	free(route);
}

static void
put_edge(struct making *m)
{
	bool dns = !routes_by_default(m->edge), open = dns && lync_switch(m->edge, "EnablePartnerDiscovery", false);
	const char *kind = lync_kind_name(LYNC_EDGE);

	if (m->edge == NULL)
		note(m, LYNC_CHANGED, kind, "configuration", "was not among the files; what it says is as here by itself: no federation");
	put_switch(m, "AllowOutsideUsers", "remote_users", true);
	put_switch(m, "AllowFederatedUsers", "federation", false);
	put_switch(m, "MarkSourceVerifiableOnOutgoingMessages", "mark_verifiable", true);
	put_switch(m, "EnableArchivingDisclaimer", "archiving_notice", false);
	fprintf(m->f, "discovery = %s;\nopen_federation = %s;\n", dns && m->federation ? "true" : "false",
	    open && m->federation ? "true" : "false");
	if (lync_text(m->edge, "RoutingMethod") != NULL && dns)
		note(m, LYNC_KEPT, kind, "RoutingMethod", "discovery = %s: DNS names the servers of allowed domains",
		    m->federation ? "true" : "false");
	if (!dns && m->allowed.n != 0)
		note(m, LYNC_CHANGED, kind, "RoutingMethod", "%zu allowed domains without a ProxyFqdn are reached by the default route alone",
		    m->allowed.n);
	if (lync_text(m->edge, "EnablePartnerDiscovery") != NULL)
		note(m, LYNC_KEPT, kind, "EnablePartnerDiscovery", "open_federation = %s", open && m->federation ? "true" : "false");
	fprintf(m->f, "discovered_verification = \"%s\";\n", verification_of(m, m->edge, "DiscoveredPartnerVerificationLevel",
	    "DiscoveredPartnerVerificationLevel", "use-source-verification"));
	if (lync_text(m->edge, "DiscoveredPartnerVerificationLevel") != NULL)
		note(m, LYNC_KEPT, kind, "DiscoveredPartnerVerificationLevel", "discovered_verification");
	fprintf(m->f, "clearinghouse = %s;\n", m->clearinghouse ? "true" : "false");
	if (m->clearinghouse)
		note(m, LYNC_CHANGED, kind, "BeClearingHouse", "each direct partner is a member that reaches all others; \"reaches\" says otherwise");
	if (m->route[0] != '\0')
		fprintf(m->f, "\ndefault_route = {\n\tserver = \"%s\";\n\tverification = \"%s\";\n\tpublic_network = %s;\n};\n", m->route,
		    verification_of(m, m->edge, "DefaultRouteFqdn", "VerificationLevel", "use-source-verification"),
		    lync_switch(m->edge, "IsPublicProvider", false) ? "true" : "false");
	set_number(m, "DiscoveredPartnerStandardRate", "discovered.rate", 1, 20, 1, 100000);
	if (lync_switch(m->edge, "EnableDiscoveredPartnerContactsLimit", true)) {
		set_number(m, "MaxContactsPerDiscoveredPartner", "discovered.addressees", 1, 1000, 1, 1000000);
	} else {
		portable_number(m->out, PORTABLE_EDGE, "discovered.addressees", 1000000);
		note(m, LYNC_CHANGED, kind, "EnableDiscoveredPartnerContactsLimit", "discovered.addressees = 1000000 in edge.conf, the largest there is");
	}
	set_number(m, "DiscoveredPartnerReportPeriodMinutes", "discovered.report", 60, 3600, 0, 604800);
	if (m->edge != NULL)
		note_unused(m, m->edge, "configuration");
}

static void
put_routes(struct making *m)
{
	if (m->nroutes == 0)
		return;
	fputs("\n# Static routes.\nstatic_routes = (", m->f);
	for (size_t i = 0; i < m->nroutes; i++) {
		const struct lync_route *r = &m->routes[i];

		fprintf(m->f, "%s\n\t{ match = ", i != 0 ? "," : "");
		put_text(m, r->match);
		fprintf(m->f, "; server = \"%s\"; port = %u; replace_host = %s; }", r->server, r->port, r->replace_host ? "true" : "false");
	}
	fputs("\n);\n", m->f);
}

static void
put_policy(struct making *m, const struct lync_given *given)
{
	fputs("# Made of the federation settings of Lync or Skype for Business by sallyportctl import-lync.\n\n", m->f);
	put_names(m, "internal_domains", given->ndomains != 0 ? given->domains : (const char *const *)m->own.v,
	    given->ndomains != 0 ? given->ndomains : m->own.n);
	put_names(m, "internal_servers", given->servers, given->nservers);
	putc('\n', m->f);
	put_edge(m);
	putc('\n', m->f);
	put_names(m, "blocked", (const char *const *)m->blocked.v, m->blocked.n);
	put_allowed(m);
	put_partners(m);
	put_providers(m);
	put_routes(m);
}

static void
entries_fini(struct entries *es)
{
	for (size_t i = 0; i < es->n; i++)
		entry_fini(&es->v[i]);
	free(es->v);
}

int
lync_map(const struct lync_objects *all, const struct lync_given *given, struct portable *out, struct lync_result *result,
    struct conf_errors *errs)
{
	struct making m = { .all = all, .result = result, .out = out };
	int err = SP_OK;

	look_at(&m, given);
	if (all->n == 0) {
		conf_error(errs, NULL, 0, "the files have no settings");
		err = SP_EINVAL;
	}
	if (m.own.n == 0) {
		conf_error(errs, NULL, 0, "our own SIP domains are not known: add what Get-CsSipDomain exports, or --internal-domain");
		err = SP_EINVAL;
	}
	if (given->nservers == 0) {
		conf_error(errs, NULL, 0, "our servers inside are not known: name those that may come in by the inner door with --internal-server");
		err = SP_EINVAL;
	}
	if (err == SP_OK) {
		find_routing(&m, given);
		settle_providers(&m, given);
		settle_allowed(&m, given);
		settle_routes(&m, given);
		m.f = open_memstream(&out->policy, &out->n);
		put_policy(&m, given);
		if (fclose(m.f) != 0)
			err = SP_EINVAL;
	}
	entries_fini(&m.allowed);
	entries_fini(&m.partners);
	entries_fini(&m.providers);
	names_fini(&m.own);
	names_fini(&m.ours);
	names_fini(&m.blocked);
	names_fini(&m.servers);
	for (size_t i = 0; i < m.nroutes; i++)
		lync_route_fini(&m.routes[i]);
	free(m.routes);
	return err;
}
