/*
 * policy/servers.c - rules about other organisations' servers: partners,
 * providers, branches, the default route, static routes, and domains whose
 * server DNS may name.
 *
 * A key like "partner" opens a group; the keys that begin with "partner." belong to
 * the group that is open.
 */
#include <stdlib.h>

#include "common/err.h"
#include "common/mem.h"
#include "policy/build.h"
#include "policy/user.h"

static const char *const words[] = {
	[WORD_USE_SOURCE] = "use-source-verification",
	[WORD_ALWAYS_VERIFIABLE] = "always-verifiable",
	[WORD_ALWAYS_UNVERIFIABLE] = "always-unverifiable",
};

static const struct {
	const char	*word;
	const char	*any;	/* "stands before any …" */
} groups[NGROUPS] = {
	[GROUP_PARTNER] = { "partner", "partner" },
	[GROUP_PROVIDER] = { "provider", "provider" },
	[GROUP_BRANCH] = { "branch", "branch" },
	[GROUP_DEFAULT_ROUTE] = { "default-route", "default route" },
	[GROUP_ROUTE] = { "route", "route" },
	[GROUP_ALLOWED] = { "allowed", "allowed domain" },
};

static const char *
class_word(enum policy_class c)
{
	switch (c) {
	case POLICY_CLASS_DIRECT:
		return "partner";
	case POLICY_CLASS_PROVIDER:
		return "provider";
	case POLICY_CLASS_BRANCH:
		return "branch";
	default:
		return "default route";
	}
}

const char *
build_class_key(enum policy_class c)
{
	switch (c) {
	case POLICY_CLASS_DIRECT:
		return "partner";
	case POLICY_CLASS_PROVIDER:
		return "provider";
	case POLICY_CLASS_BRANCH:
		return "branch";
	default:
		return "default-route";
	}
}

static struct partner *
last_partner(struct build *b)
{
	return &b->rules->partners[b->rules->npartners - 1];
}

void
build_close_group(struct build *b)
{
	const struct partner *p;

	if (b->open != GROUP_PARTNER && b->open != GROUP_PROVIDER && b->open != GROUP_ROUTE)
		return;
	p = last_partner(b);
	if (b->said[KEY_SERVER].file == NULL)
		build_error(b, p->at, "%s: %s has no server", groups[b->open].word, p->shown.name);
	if (b->open == GROUP_PARTNER && !b->domain_seen)
		build_error(b, p->at, "partner: %s has no domain", p->shown.name);
}

static void
open_group(struct build *b, enum group g)
{
	build_close_group(b);
	b->open = g;
	b->domain_seen = false;
	for (size_t i = 0; i < NGROUP_KEYS; i++)
		b->said[i] = (struct place){ NULL, 0 };
}

static struct partner *
add_partner(struct build *b, struct place at, enum policy_class class, const char *name)
{
	struct policy_rules *r = b->rules;
	struct partner *p;

	r->partners = xreallocarray(r->partners, r->npartners + 1, sizeof(*r->partners));
	p = &r->partners[r->npartners++];
	*p = (struct partner){ .at = at, .class = class };
	p->shown.name = xstrdup(name);
	p->shown.server = xstrdup("");
	p->shown.port = 5061;
	return p;
}

static bool
is_display_name(const char *s)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			return false;
	return n > 0 && n <= PARTNER_NAME_MAX;
}

/* A good name goes into logs and status pages as it stands; a bad one only into messages, escaped. */
static struct partner *
add_named(struct build *b, struct place at, const char *key, const char *value, enum policy_class class)
{
	char text[SHOWN_MAX];

	if (is_display_name(value))
		return add_partner(b, at, class, value);
	build_error(b, at, "%s: expects a display name of 1 to %d printable characters, not %s", key,
	    PARTNER_NAME_MAX, build_shown(value, text));
	return add_partner(b, at, class, text);
}

void
build_read_partner(struct build *b, struct place at, const char *key, const char *value, int group)
{
	open_group(b, (enum group)group);
	(void)add_named(b, at, key, value, POLICY_CLASS_DIRECT);
}

void
build_read_provider(struct build *b, struct place at, const char *key, const char *value, int group)
{
	open_group(b, (enum group)group);
	(void)add_named(b, at, key, value, POLICY_CLASS_PROVIDER);
	b->rules->nproviders++;
}

/* The last entry's server: what its certificate must prove. A static route's may be anybody's. */
static void
set_server(struct build *b, struct place at, const char *key, const char *value)
{
	struct partner *p = last_partner(b);
	uint32_t number = (uint32_t)b->rules->npartners - 1;
	char buf[DOMAIN_MAX], text[SHOWN_MAX];
	const struct name_rule *was = NULL;
	struct span name;
	bool is_ip;

	b->said[KEY_SERVER] = at;
	if (policy_domain_canon(span_str(value), buf, &name, &is_ip) != SP_OK || is_ip) {
		build_error(b, at, "%s: expects the server's full name, not %s", key, build_shown(value, text));
		return;
	}
	if (b->open != GROUP_ROUTE)
		was = names_add(b->rules->names, NAME_SERVER, REACH_EXACT, name, number, at.file, at.line);
	if (was != NULL) {
		const struct partner *other = &b->rules->partners[was->value];

		build_error(b, at, "%s: %s is the server of %s %s already (%s:%d)%s", key, buf,
		    class_word(other->class), other->shown.name, was->file, was->line,
		    b->open == GROUP_PARTNER && other->class == POLICY_CLASS_DIRECT ? ": list all domains there" : "");
		return;
	}
	free((char *)(uintptr_t)p->shown.server);
	p->shown.server = xmemdup(name.p, name.n);
	p->server_len = name.n;
}

void
build_read_branch(struct build *b, struct place at, const char *key, const char *value, int group)
{
	char text[SHOWN_MAX];

	open_group(b, (enum group)group);
	b->rules->nbranches++;
	(void)add_partner(b, at, POLICY_CLASS_BRANCH, is_display_name(value) ? value : build_shown(value, text));
	set_server(b, at, key, value);
}

void
build_read_default_route(struct build *b, struct place at, const char *key, const char *value, int group)
{
	struct policy_rules *r = b->rules;
	char text[SHOWN_MAX];

	open_group(b, (enum group)group);
	if (r->default_route != NO_PARTNER)
		build_error(b, at, "%s: is set already (%s:%d)", key, r->partners[r->default_route].at.file,
		    r->partners[r->default_route].at.line);
	(void)add_partner(b, at, POLICY_CLASS_CLEARINGHOUSE,
	    is_display_name(value) ? value : build_shown(value, text));
	if (r->default_route == NO_PARTNER)
		r->default_route = (uint32_t)r->npartners - 1;
	set_server(b, at, key, value);
}

/* "tel:" and digits, visual separators, '+' and '*'; parameters of numbers are not compared. */
static bool
read_number(const char *digits, struct route *out)
{
	size_t n = strlen(digits);

	if (n == 0 || n > ROUTE_USER_MAX || strspn(digits, "+0123456789*#-.()ABCDabcd") != n)
		return false;
	out->tel = true;
	out->user = span_of(xmemdup(digits, n), n);
	return true;
}

/* "[user@]host", '*' in both; the host is one like an internal server's. Or "tel:" and a number. */
static bool
read_route(const char *value, struct route *out)
{
	const char *sign = strrchr(value, '@'), *host = sign != NULL ? sign + 1 : value;
	struct span user = sign != NULL ? span_of(value, (size_t)(sign - value)) : SPAN_LIT("*"), name;
	char buf[DOMAIN_MAX];
	enum name_reach reach;

	if (span_istarts(span_str(value), SPAN_LIT("tel:")))
		return read_number(value + 4, out);
	if (user.n == 0 || user.n > ROUTE_USER_MAX || !build_read_pattern(host, buf, &name, &reach))
		return false;
	for (size_t i = 0; i < user.n; i++)
		if (user.p[i] <= ' ' || user.p[i] > '~' || user.p[i] == '@')
			return false;
	if (!user_escapes_ok(user))
		return false;
	out->user = span_of(xmemdup(user.p, user.n), user.n);
	out->host = span_of(xmemdup(name.p, name.n), name.n);
	return true;
}

void
build_read_route(struct build *b, struct place at, const char *key, const char *value, int group)
{
	struct policy_rules *r = b->rules;
	struct route route = { .at = at, .number = (unsigned)r->nroutes };
	char text[SHOWN_MAX];

	open_group(b, (enum group)group);
	(void)add_partner(b, at, POLICY_CLASS_UNKNOWN, build_shown(value, text));
	if (r->nroutes == ROUTES_MAX) {
		build_error(b, at, "%s: more than %d static routes", key, ROUTES_MAX);
		return;
	}
	if (!read_route(value, &route)) {
		build_error(b, at, "%s: expects [user@]domain or tel:number with \"*\" for any characters, not %s", key, text);
		return;
	}
	for (size_t i = 0; i < r->nroutes; i++)
		if (r->routes[i].tel == route.tel && span_eq(r->routes[i].user, route.user) &&
		    span_eq(r->routes[i].host, route.host))
			build_error(b, at, "%s: %s is given already (%s:%d)", key, text, r->routes[i].at.file,
			    r->routes[i].at.line);
	route.partner = (uint32_t)r->npartners - 1;
	r->routes = xreallocarray(r->routes, r->nroutes + 1, sizeof(*r->routes));
	r->routes[r->nroutes++] = route;
}

void
build_read_allowed(struct build *b, struct place at, const char *key, const char *value, int group)
{
	struct policy_rules *r = b->rules;
	const struct name_rule *was;
	char buf[DOMAIN_MAX];
	enum name_reach reach;
	struct span name;

	open_group(b, (enum group)group);
	if ((r->nallowed & (r->nallowed - 1)) == 0)
		r->allowed = xreallocarray(r->allowed, r->nallowed != 0 ? r->nallowed * 2 : 1, sizeof(*r->allowed));
	r->allowed[r->nallowed++] = (struct allowed){ .at = at };
	b->domain_seen = true;
	if (!build_read_domain(b, at, key, value, buf, &name, &reach))
		return;
	if (policy_domain_is_ip(name)) {
		build_error(b, at, "%s: an IP address has no record in DNS that names its server", key);
		return;
	}
	b->domain_seen = reach == REACH_EXACT;
	was = names_add(r->names, NAME_ALLOWED, reach, name, (uint32_t)r->nallowed - 1, at.file, at.line);
	if (was != NULL)
		build_error(b, at, "%s: %s%s is given already (%s:%d)", key, reach == REACH_BELOW ? "." : "", buf,
		    was->file, was->line);
}

/* Is the group open that the key belongs to? */
static bool
is_open(struct build *b, struct place at, const char *key, enum group g)
{
	if (b->open == g)
		return true;
	build_error(b, at, "%s: stands before any %s", key, groups[g].any);
	return false;
}

struct partner *
build_current_entry(struct build *b, struct place at, const char *key, enum group g)
{
	return is_open(b, at, key, g) ? last_partner(b) : NULL;
}

/* The same, and nobody has said this of the group yet. */
static bool
say_once(struct build *b, struct place at, const char *key, int which)
{
	struct place *said = &b->said[which & 0xff];

	if (!is_open(b, at, key, (enum group)(which >> 8)))
		return false;
	if (said->file != NULL) {
		build_error(b, at, "%s: is set already (%s:%d)", key, said->file, said->line);
		return false;
	}
	*said = at;
	return true;
}

void
build_read_server(struct build *b, struct place at, const char *key, const char *value, int group)
{
	if (!is_open(b, at, key, (enum group)group))
		return;
	if (b->said[KEY_SERVER].file != NULL)
		build_error(b, at, "%s: %s %s has a server already: %s", key, groups[group].word,
		    last_partner(b)->shown.name, last_partner(b)->shown.server);
	else
		set_server(b, at, key, value);
}

void
build_read_partner_domain(struct build *b, struct place at, const char *key, const char *value, int group)
{
	char buf[DOMAIN_MAX];
	struct span name;
	enum name_reach reach;
	const struct name_rule *was;

	if (!is_open(b, at, key, (enum group)group))
		return;
	b->domain_seen = true;
	if (!build_read_domain(b, at, key, value, buf, &name, &reach))
		return;
	was = names_add(b->rules->names, NAME_PARTNER, reach, name, (uint32_t)b->rules->npartners - 1, at.file,
	    at.line);
	if (was != NULL)
		build_error(b, at, "%s: %s%s belongs to partner %s already (%s:%d)", key,
		    reach == REACH_BELOW ? "." : "", buf, b->rules->partners[was->value].shown.name, was->file, was->line);
}

void
build_read_reach(struct build *b, struct place at, const char *key, const char *value, int group)
{
	if (!is_open(b, at, key, (enum group)group))
		return;
	if ((b->nwishes & (b->nwishes - 1)) == 0)
		b->wishes = xreallocarray(b->wishes, b->nwishes != 0 ? b->nwishes * 2 : 1, sizeof(*b->wishes));
	b->wishes[b->nwishes++] = (struct reach_wish){ b->rules->npartners - 1, value, at };
}

void
build_read_port(struct build *b, struct place at, const char *key, const char *value, int which)
{
	char text[SHOWN_MAX];
	uint64_t port;

	if (!say_once(b, at, key, which))
		return;
	if (!span_uint(span_str(value), 65535, &port) || port == 0)
		build_error(b, at, "%s: expects a number from 1 to 65535, not %s", key, build_shown(value, text));
	else
		last_partner(b)->shown.port = (uint16_t)port;
}

static bool
read_word(struct build *b, struct place at, const char *key, const char *value, enum partner_word *out)
{
	char text[SHOWN_MAX];

	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(value, words[i]) == 0) {
			*out = (enum partner_word)i;
			return true;
		}
	}
	build_error(b, at, "%s: expects always-verifiable, always-unverifiable or use-source-verification, not %s",
	    key, build_shown(value, text));
	return false;
}

void
build_read_word(struct build *b, struct place at, const char *key, const char *value, int which)
{
	if (!say_once(b, at, key, which))
		return;
	if (b->open == GROUP_ALLOWED) {
		struct allowed *a = &b->rules->allowed[b->rules->nallowed - 1];

		a->word_at = at;
		read_word(b, at, key, value, &a->word);
	} else {
		last_partner(b)->word_at = at;
		read_word(b, at, key, value, &last_partner(b)->word);
	}
}

void
build_read_discovered_word(struct build *b, struct place at, const char *key, const char *value, int unused)
{
	struct allowed *open = &b->rules->open;

	(void)unused;
	if (open->word_at.file != NULL)
		build_error(b, at, "%s: is set already (%s:%d)", key, open->word_at.file, open->word_at.line);
	else if (read_word(b, at, key, value, &open->word))
		open->word_at = at;
}

void
build_read_flag(struct build *b, struct place at, const char *key, const char *value, int which)
{
	bool on = strcmp(value, "on") == 0;
	char text[SHOWN_MAX];
	struct partner *p;

	if (!say_once(b, at, key, which))
		return;
	if (!on && strcmp(value, "off") != 0) {
		build_error(b, at, "%s: expects on or off, not %s", key, build_shown(value, text));
		return;
	}
	p = last_partner(b);
	switch (which & 0xff) {
	case KEY_CN:
		p->shown.accept_cn = on;
		break;
	case KEY_ENABLED:
		p->enabled = on;
		p->enabled_at = at;
		break;
	case KEY_PUBLIC:
		p->public_network = on;
		break;
	case KEY_TRUSTED:
		p->trusted = on;
		break;
	case KEY_MEMBER:
		p->member = on;
		p->member_at = at;
		break;
	case KEY_PAUSED:
		p->paused = on;
		p->paused_at = at;
		break;
	default:
		if (b->rules->nroutes != 0)
			b->rules->routes[b->rules->nroutes - 1].replace_host = on;
		break;
	}
}

void
build_read_record(struct build *b, struct place at, const char *key, const char *value, int which)
{
	struct allowed *a;
	char buf[DOMAIN_MAX], text[SHOWN_MAX];
	struct span name;
	bool is_ip;

	if (!say_once(b, at, key, which))
		return;
	a = &b->rules->allowed[b->rules->nallowed - 1];
	if (policy_domain_canon(span_str(value), buf, &name, &is_ip) != SP_OK || is_ip)
		build_error(b, at, "%s: expects the full name of an SRV record, not %s", key, build_shown(value, text));
	else if (!b->domain_seen)
		build_error(b, at, "%s: goes with one domain, not with all below one", key);
	else
		a->record = span_of(xmemdup(name.p, name.n), name.n);
}

/* ---- when all pairs are read ---- */

struct by_name {
	const char	*name;
	size_t		 partner;
};

static int
compare_names(const void *a, const void *b)
{
	return strcmp(((const struct by_name *)a)->name, ((const struct by_name *)b)->name);
}

static void
grant(struct build *b, const struct reach_wish *w, size_t to)
{
	struct partner *p = &b->rules->partners[w->from];

	if (p->reach == NULL)
		p->reach = xcalloc(b->rules->npartners / 64 + 1, sizeof(*p->reach));
	p->reach[to / 64] |= (uint64_t)1 << (to % 64);
}

static void
grant_wishes(struct build *b)
{
	const struct policy_rules *r = b->rules;
	struct by_name *members = xcalloc(r->npartners + 1, sizeof(*members));
	size_t n = 0;

	for (size_t i = 0; i < r->npartners; i++)
		if (r->partners[i].member)
			members[n++] = (struct by_name){ r->partners[i].shown.name, i };
	if (n > 1)
		qsort(members, n, sizeof(*members), compare_names);
	for (size_t i = 0; i < b->nwishes; i++) {
		const struct reach_wish *w = &b->wishes[i];
		struct by_name wanted = { w->name, 0 }, *found;
		char text[SHOWN_MAX];

		found = n != 0 ? bsearch(&wanted, members, n, sizeof(*members), compare_names) : NULL;
		if (!r->partners[w->from].member)
			build_error(b, w->at, "partner.reach: %s is no member of the clearing house",
			    r->partners[w->from].shown.name);
		else if (found == NULL)
			build_error(b, w->at, "partner.reach: no member has the name %s", build_shown(w->name, text));
		else if ((found > members && compare_names(found - 1, found) == 0) ||
		    (found + 1 < members + n && compare_names(found + 1, found) == 0))
			build_error(b, w->at, "partner.reach: several members have the name %s",
			    build_shown(w->name, text));
		else
			grant(b, w, found->partner);
	}
	free(members);
	free(b->wishes);
	b->wishes = NULL;
}

/* Characters that are no '*': the more, the more specific. */
static size_t
literals(struct span pattern)
{
	size_t n = 0;

	for (size_t i = 0; i < pattern.n; i++)
		n += pattern.p[i] != '*';
	return n;
}

/* The host says more than the user; of equals the one that stands first. */
static int
by_specificity(const void *va, const void *vb)
{
	const struct route *a = va, *b = vb;
	size_t x = literals(a->host), y = literals(b->host);

	if (x == y && (x = literals(a->user), y = literals(b->user), x == y))
		return a->number < b->number ? -1 : a->number > b->number;
	return x > y ? -1 : 1;
}

/* A public provider's users count only where somebody knows them, another's always (MS 7.2). */
static void
give_providers_their_word(struct policy_rules *r)
{
	for (size_t i = 0; i < r->npartners; i++) {
		struct partner *p = &r->partners[i];

		if (p->class == POLICY_CLASS_PROVIDER && p->word_at.file == NULL)
			p->word = p->public_network ? WORD_ALWAYS_UNVERIFIABLE : WORD_ALWAYS_VERIFIABLE;
	}
}

void
build_finish_servers(struct build *b)
{
	struct policy_rules *r = b->rules;

	build_close_group(b);
	grant_wishes(b);
	give_providers_their_word(r);
	if (r->nroutes > 1)
		qsort(r->routes, r->nroutes, sizeof(*r->routes), by_specificity);
}
