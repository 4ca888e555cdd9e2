/*
 * policy/walk.h - one decision on its way along the steps. For policy/ only.
 */
#ifndef SALLYPORT_POLICY_WALK_H
#define SALLYPORT_POLICY_WALK_H

#include <stdbool.h>

#include "policy/decision.h"
#include "policy/order.h"
#include "policy/rules_int.h"

/* What the rules say about everything that the facts name. Looked up once. */
struct walk {
	const struct policy_rules	*rules;
	const struct policy_facts	*facts;
	struct policy_decision		*d;
	struct name_match		 from, to, ruri;
	bool				 ruri_routes;	/* the Request-URI's domain counts, not only a Contact's host */
	const struct name_rule		*peer_blocked;
	const struct name_rule		*peer_server;	/* a configured peer's server among the proven names */
	const struct name_rule		*peer_internal;	/* an internal server among them */
	const struct pin		*pinned;	/* its key is a partner's, by pin */
	const struct partner		*own;		/* the peer's own entry */
	bool				 candidate;	/* a stranger who may turn out to be a discovered partner */
	bool				 relayed;	/* from one member of our clearing house to another */
	struct place			 matched;	/* by the step that runs; goes into the trail */
};

#define GO_ON	POLICY_REASON_UNDECIDED

static inline void
walk_match(struct walk *w, const struct name_rule *r)
{
	if (r != NULL)
		w->matched = (struct place){ r->file, r->line };
}

static inline void
walk_match_switch(struct walk *w, enum policy_switch s)
{
	w->matched = w->rules->switch_at[s];
}

/* A wildcard certificate proves no server's name (RFC 5922 7.2), but can be blocked. */
static inline bool
walk_is_wildcard(struct span name)
{
	return span_find(name, '*') != name.n;
}

/* Which domain says where a message goes (RFC 3261 16.5; in a dialog see ruri_routes()). */
static inline const struct name_match *
walk_target(const struct walk *w)
{
	return w->ruri_routes ? &w->ruri : &w->to;
}

static inline struct span
walk_target_domain(const struct walk *w)
{
	return w->ruri_routes ? w->facts->ruri_domain : w->facts->to_domain;
}

/* What the peer is, or, before DNS has proved it, would be. */
static inline enum policy_class
walk_class(const struct walk *w)
{
	return w->candidate ? POLICY_CLASS_ENHANCED : w->d->class;
}

/* CANCEL and ACK go the way of their INVITE, or a call could begin and not end. */
enum policy_method walk_method(const struct policy_facts *);
/* The list of refused methods: is this one refused from that class? */
bool	walk_refuses_method(struct walk *, enum policy_method, enum policy_class);

/* policy/discovery.c: what DNS says. */

/* The rule by which a domain may be discovered: its own, the one for all, or NULL. Matches it. */
const struct allowed *walk_allowed(struct walk *, const struct name_match *, struct span domain);
/*
 * GO_ON once the facts have an answer for this domain; NEEDS_DNS, with the
 * decision saying what to ask, before; SRV_MISSING or SRV_FAILED.
 */
enum policy_reason walk_ask(struct walk *, struct span domain, const struct allowed *);

#endif
