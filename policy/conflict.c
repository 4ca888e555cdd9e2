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
	[NAME_PARTNER_SERVER] = "partner.server",
	[NAME_INTERNAL_SERVER] = "internal-server",
};

static const char *
dot(const struct name_rule *r)
{
	return r->reach == REACH_BELOW ? "." : "";
}

/* Said at the rule that gives way, naming the other's place. */
static void
complain(struct build *b, const struct name_rule *r, const struct name_rule *other, const char *what)
{
	build_error(b, (struct place){ r->file, r->line }, "%s: %s%.*s %s (%s: %s%.*s, %s:%d)", kinds[r->kind],
	    dot(r), SPAN_FMT(r->name), what, kinds[other->kind], dot(other), SPAN_FMT(other->name), other->file,
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
		if (r->kind == NAME_PARTNER_SERVER)
			check_server(b, r);
	}
}
