/*
 * policy/conflict.c - rules that may not stand together.
 *
 * Two domain rules contradict each other when one domain falls under both. A
 * block inside a wider rule (".contoso.com" ours, "bad.contoso.com" blocked) is
 * no contradiction but an exception: the block wins. A block that leaves
 * nothing of the other rule is one.
 */
#include "policy/build.h"

static const char *const kinds[NAME_NKINDS] = {
	[NAME_BLOCKED] = "blocked",
	[NAME_INTERNAL] = "domain",
	[NAME_PARTNER] = "partner.domain",
	[NAME_SERVER] = "server",
	[NAME_INTERNAL_SERVER] = "internal-server",
	[NAME_ALLOWED] = "allowed",
};

/* The key that a rule came from. */
static const char *
key_of(const struct build *b, const struct name_rule *r)
{
	if (r->kind != NAME_SERVER)
		return kinds[r->kind];
	switch (b->rules->partners[r->value].class) {
	case POLICY_CLASS_DIRECT:
		return "partner.server";
	case POLICY_CLASS_PROVIDER:
		return "provider.server";
	case POLICY_CLASS_BRANCH:
		return "branch";
	default:
		return "default-route";
	}
}

static const char *
dot(const struct name_rule *r)
{
	return r->reach == REACH_BELOW ? "." : "";
}

/* Said at the rule that gives way, naming the other's place. */
static void
complain(struct build *b, const struct name_rule *r, const struct name_rule *other, const char *what)
{
	build_error(b, (struct place){ r->file, r->line }, "%s: %s%.*s %s (%s: %s%.*s, %s:%d)", key_of(b, r),
	    dot(r), SPAN_FMT(r->name), what, key_of(b, other), dot(other), SPAN_FMT(other->name), other->file,
	    other->line);
}

/* Of a pattern, the labels after the last one with a '*': every name that follows it is below them. */
static struct span
fixed_tail(struct span pattern)
{
	size_t at = pattern.n;

	while (at > 0 && pattern.p[at - 1] != '*')
		at--;
	pattern = span_tail(pattern, at);
	return span_tail(pattern, span_find(pattern, '.') + 1);
}

static void
check_blocked(struct build *b, const struct name_rule *r)
{
	const struct names *names = b->rules->names;
	const struct name_rule *block;

	if (r->reach == REACH_PATTERN)
		block = names_covering(names, NAME_BLOCKED, fixed_tail(r->name), REACH_BELOW);
	else
		block = names_covering(names, NAME_BLOCKED, r->name, (enum name_reach)r->reach);
	if (block != NULL)
		complain(b, r, block, "is blocked");
}

/* Do a domain of ours and a partner's meet? Asked from both sides, answered once. */
static void
check_overlap(struct build *b, const struct name_rule *r)
{
	enum name_kind other_kind = r->kind == NAME_INTERNAL ? NAME_PARTNER : NAME_INTERNAL;
	const struct name_rule *other =
	    names_covering(b->rules->names, other_kind, r->name, (enum name_reach)r->reach);
	bool same;

	if (other == NULL)
		return;
	same = other->reach == r->reach && span_eq(other->name, r->name);
	if (same && r->kind == NAME_INTERNAL)
		return;	/* the partner's rule says it */
	complain(b, r, other, r->kind == NAME_INTERNAL ? "is a partner's" : "is one of our own");
}

/* The inner door would take such a partner for one of us. */
static void
check_server(struct build *b, const struct name_rule *r)
{
	const struct names *names = b->rules->names;
	const struct name_rule *internal = names_covering(names, NAME_INTERNAL_SERVER, r->name, REACH_EXACT);

	if (internal == NULL)
		internal = names_match_pattern(names, r->name);
	if (internal != NULL)
		complain(b, r, internal, "is one of our own servers");
}

/* A domain that is reached in another way already: the discovery of it would never be asked. */
static void
check_allowed(struct build *b, const struct name_rule *r)
{
	static const enum name_kind others[] = { NAME_INTERNAL, NAME_PARTNER };
	static const char *const what[] = { "is one of our own", "is a direct partner's" };

	for (size_t i = 0; i < 2; i++) {
		const struct name_rule *other =
		    names_covering(b->rules->names, others[i], r->name, (enum name_reach)r->reach);

		if (other != NULL)
			complain(b, r, other, what[i]);
	}
}

/* A static route's server is no peer, but it must not be blocked, nor be one of ours. */
static void
check_routes(struct build *b)
{
	const struct names *names = b->rules->names;

	for (size_t i = 0; i < b->rules->nroutes; i++) {
		const struct partner *p = &b->rules->partners[b->rules->routes[i].partner];
		struct span server = partner_server(p);
		const struct name_rule *other = names_covering(names, NAME_BLOCKED, server, REACH_EXACT);
		const char *what = "is blocked";

		if (other == NULL) {
			what = "is one of our own servers";
			other = names_covering(names, NAME_INTERNAL_SERVER, server, REACH_EXACT);
		}
		if (other == NULL)
			other = names_match_pattern(names, server);
		if (other != NULL)
			build_error(b, p->at, "route: the server %.*s %s (%s: %.*s, %s:%d)", SPAN_FMT(server), what,
			    key_of(b, other), SPAN_FMT(other->name), other->file, other->line);
	}
}

/* Where everything else goes is said in one way only: by the default route, or by DNS, or by members. */
static void
check_roles(struct build *b)
{
	const struct policy_rules *r = b->rules;
	const struct partner *dflt = r->default_route != NO_PARTNER ? &r->partners[r->default_route] : NULL;
	const struct place *house = &r->switch_at[SWITCH_CLEARINGHOUSE], *any = &r->switch_at[SWITCH_OPEN_FEDERATION];

	for (size_t i = 0; i < r->npartners; i++) {
		const struct partner *p = &r->partners[i];

		if (dflt != NULL && p->class == POLICY_CLASS_PROVIDER && p->enabled)
			build_error(b, p->enabled_at, "provider.enabled: %s cannot be enabled beside the default route (%s:%d)",
			    p->shown.name, dflt->at.file, dflt->at.line);
		if (p->member && !r->on[SWITCH_CLEARINGHOUSE])
			build_error(b, p->member_at, "partner.member: %s is a member of nothing: clearinghouse is not on",
			    p->shown.name);
	}
	if (dflt != NULL && r->on[SWITCH_CLEARINGHOUSE])
		build_error(b, *house, "clearinghouse: cannot be one and have a default route (%s:%d)", dflt->at.file,
		    dflt->at.line);
	if (r->on[SWITCH_OPEN_FEDERATION] && !r->on[SWITCH_DISCOVERY]) {
		const struct place *off = &r->switch_at[SWITCH_DISCOVERY];

		if (off->file != NULL)
			build_error(b, *any, "open-federation: needs discovery, which is off (%s:%d)", off->file, off->line);
		else
			build_error(b, *any, "open-federation: needs discovery, which is off unless it is switched on");
	}
}

void
build_find_conflicts(struct build *b)
{
	size_t n;
	const struct name_rule *rules = names_all(b->rules->names, &n);

	for (size_t i = 0; i < n; i++) {
		const struct name_rule *r = &rules[i];

		if (r->kind != NAME_BLOCKED)
			check_blocked(b, r);
		if (r->kind == NAME_INTERNAL || r->kind == NAME_PARTNER)
			check_overlap(b, r);
		if (r->kind == NAME_ALLOWED)
			check_allowed(b, r);
		if (r->kind == NAME_SERVER)
			check_server(b, r);
	}
	check_routes(b);
	check_roles(b);
}
