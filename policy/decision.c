/*
 * policy/decision.c - facts in, decision out.
 *
 * A decision is a walk along a fixed list of steps, one list for each way a
 * message can come. A step looks at its own question only and either settles
 * the decision with a reason or lets it go on. What no step settles is refused.
 */
#include "policy/decision.h"

#include "policy/keys.h"
#include "policy/walk.h"

/* ---- what is looked up before the first step ---- */

/*
 * A certificate with several names may be several peers'. The first that counts
 * in this order does (MS 8.1).
 */
static int
rank(const struct policy_rules *r, const struct name_rule *server)
{
	switch (server != NULL ? r->partners[server->value].class : POLICY_CLASS_UNKNOWN) {
	case POLICY_CLASS_PROVIDER:
		return 4;
	case POLICY_CLASS_DIRECT:
		return 3;
	case POLICY_CLASS_BRANCH:
		return 2;
	case POLICY_CLASS_CLEARINGHOUSE:
		return 1;
	default:
		return 0;
	}
}

static void
consider_server(struct walk *w, const struct name_rule *server)
{
	if (rank(w->rules, server) > rank(w->rules, w->peer_server))
		w->peer_server = server;
}

static void
look_up_name(struct walk *w, struct span name)
{
	struct name_match m;

	names_match(w->rules->names, name, &m);
	if (w->peer_blocked == NULL)
		w->peer_blocked = m.rule[NAME_BLOCKED];
	if (!w->facts->has_certificate || walk_is_wildcard(name))
		return;
	consider_server(w, m.rule[NAME_SERVER]);
	if (w->peer_internal == NULL)
		w->peer_internal = m.rule[NAME_INTERNAL_SERVER];
	if (w->peer_internal == NULL && w->facts->side == POLICY_SIDE_INNER)
		w->peer_internal = names_match_pattern(w->rules->names, name);
}

/* The subject CN counts for blocks always, and as a name for peers whose rule says so. */
static void
look_up_common_name(struct walk *w)
{
	struct span cn = w->facts->common_name;
	const struct name_rule *server;
	struct name_match m;

	if (span_is_empty(cn))
		return;
	names_match(w->rules->names, cn, &m);
	if (w->peer_blocked == NULL)
		w->peer_blocked = m.rule[NAME_BLOCKED];
	server = m.rule[NAME_SERVER];
	if (w->facts->has_certificate && !walk_is_wildcard(cn) && server != NULL &&
	    w->rules->partners[server->value].shown.accept_cn)
		consider_server(w, server);
}

static void
look_up_peer(struct walk *w)
{
	for (unsigned i = 0; i < w->facts->nnames; i++)
		look_up_name(w, w->facts->names[i]);
	look_up_common_name(w);
	if (w->facts->has_certificate || w->facts->unverified)
		w->pinned = keys_find(w->rules, w->facts->spki);
}

/*
 * Inside a dialog that we let begin, and towards the connection that a token of
 * ours names, the Request-URI is what the far end wrote as its Contact: often an
 * address in somebody's private network. There our Route says where to go.
 */
static bool
ruri_routes(const struct policy_facts *f)
{
	if (f->is_response)
		return false;
	if (f->in_dialog && f->route == POLICY_ROUTE_OURS)
		return false;
	if (f->route == POLICY_ROUTE_FORGED)
		return false;	/* refused for that, and the sender has to hear it: its dialog is over */
	return f->side != POLICY_SIDE_INNER || f->flow == POLICY_FLOW_NONE || f->flow == POLICY_FLOW_PEER ||
	    f->flow == POLICY_FLOW_PEER_GONE;
}

static void
look_up_message(struct walk *w)
{
	const struct policy_facts *f = w->facts;

	names_match(w->rules->names, f->from_domain, &w->from);
	if (span_eq(f->to_domain, f->from_domain))
		w->to = w->from;
	else
		names_match(w->rules->names, f->to_domain, &w->to);
	if (span_eq(f->ruri_domain, f->to_domain))
		w->ruri = w->to;
	else
		names_match(w->rules->names, f->ruri_domain, &w->ruri);
	w->ruri_routes = ruri_routes(f);
}

/* By its names, which come with a certificate that verified, or by its key. */
static bool
proves(const struct walk *w, uint32_t partner)
{
	const struct partner *p = &w->rules->partners[partner];
	const struct policy_facts *f = w->facts;
	struct span server = partner_server(p);

	if (p->key_rule == KEY_PINNED)
		return w->pinned != NULL && w->pinned->partner == partner;
	for (unsigned i = 0; f->has_certificate && i < f->nnames; i++)
		if (span_eq(f->names[i], server))
			return true;
	return f->has_certificate && p->shown.accept_cn && span_eq(f->common_name, server);
}

/*
 * One certificate may carry several partners' names (a hosting company). Then
 * the partner is the one whose domain speaks; if none does, the first found.
 */
static uint32_t
peer_who_speaks(const struct walk *w)
{
	const struct name_rule *of = w->facts->is_response ? w->to.rule[NAME_PARTNER] : w->from.rule[NAME_PARTNER];
	uint32_t found = w->pinned != NULL ? w->pinned->partner : w->peer_server->value;

	if (of != NULL && w->rules->partners[found].class == POLICY_CLASS_DIRECT && proves(w, of->value))
		return of->value;
	return found;
}

/* What made the peer this one: its key or its server's name. */
static void
match_peer(struct walk *w)
{
	if (w->pinned != NULL && w->pinned->partner == w->d->partner)
		w->matched = w->pinned->at;
	else
		walk_match(w, names_exact(w->rules->names, NAME_SERVER, partner_server(w->own)));
}

/* Is there a name at all that DNS could name too? */
static bool
has_server_name(const struct policy_facts *f)
{
	for (unsigned i = 0; f->has_certificate && i < f->nnames; i++)
		if (!walk_is_wildcard(f->names[i]))
			return true;
	return false;
}

/* ---- the first step, which is also asked of a connection alone ---- */

enum policy_reason
step_peer(struct walk *w)
{
	const struct policy_facts *f = w->facts;
	enum policy_class c = POLICY_CLASS_UNKNOWN;

	if (f->side == POLICY_SIDE_INNER && w->peer_internal != NULL) {
		c = POLICY_CLASS_INTERNAL;
		walk_match(w, w->peer_internal);
	} else if (f->side == POLICY_SIDE_OUTER && (w->peer_server != NULL || w->pinned != NULL)) {
		w->d->partner = w->d->peer = peer_who_speaks(w);
		w->own = &w->rules->partners[w->d->partner];
		c = w->own->class;
		match_peer(w);
	} else if (f->side == POLICY_SIDE_OUTER && !f->has_certificate && !f->unverified) {
		c = POLICY_CLASS_REMOTE_USER;
	} else if (f->side == POLICY_SIDE_OUTER && has_server_name(f)) {
		w->candidate = w->rules->on[SWITCH_DISCOVERY];
		walk_match_switch(w, SWITCH_DISCOVERY);
	}
	w->d->class = c;
	return GO_ON;
}

/* ---- the walk ---- */

static void
note(struct walk *w, enum policy_step step, bool settled)
{
	struct policy_decision *d = w->d;

	if (d->ntrail < POLICY_TRAIL_MAX)
		d->trail[d->ntrail++] =
		    (struct policy_trail){ step, settled, w->matched.line, w->matched.file };
}

static void
settle(struct policy_decision *d, enum policy_reason reason)
{
	d->reason = reason;
	if (reason == POLICY_REASON_ALLOWED) {
		d->verdict = POLICY_ALLOW;
	} else {
		d->verdict = reason == POLICY_REASON_NEEDS_DNS ? POLICY_ASK_DNS : POLICY_DENY;
		d->hop = POLICY_HOP_NONE;
		d->targets = 0;
		d->content = NULL;
	}
}

static const struct policy_stage *
stages_for(const struct policy_facts *f)
{
	switch (f->side) {
	case POLICY_SIDE_OUTER:
		return f->is_response ? policy_response_outer : policy_order_outer;
	case POLICY_SIDE_INNER:
		return f->is_response ? policy_response_inner : policy_order_inner;
	default:
		return NULL;
	}
}

struct policy_decision
policy_decide(const struct policy_rules *rules, const struct policy_facts *facts)
{
	struct policy_decision d = { .verdict = POLICY_DENY, .peer = POLICY_NO_PEER };
	struct walk w = { .rules = rules, .facts = facts, .d = &d };
	const struct policy_stage *s = stages_for(facts);

	if (s == NULL)
		return d;	/* undecided: not even the door is known */
	look_up_peer(&w);
	look_up_message(&w);
	for (; s->step != POLICY_STEP_NONE; s++) {
		enum policy_reason reason;

		/* A step without a function waits for its kind of rule; one that finds hops, for want of one. */
		if (s->run == NULL || (s->finds_hop && d.hop != POLICY_HOP_NONE))
			continue;
		w.matched = (struct place){ NULL, 0 };
		reason = s->run(&w);
		note(&w, s->step, reason != GO_ON);
		if (reason != GO_ON) {
			settle(&d, reason);
			break;
		}
	}
	return d;
}

bool
policy_peer_proves(const struct policy_rules *rules, const struct policy_facts *facts, size_t i)
{
	struct walk w = { .rules = rules, .facts = facts };

	if (facts->side != POLICY_SIDE_OUTER)
		return false;
	look_up_peer(&w);
	return proves(&w, (uint32_t)i) && keys_judge(rules, (uint32_t)i, facts) == POLICY_REASON_UNDECIDED;
}

enum policy_class
policy_class_of_peer(const struct policy_rules *rules, const struct policy_facts *facts)
{
	struct policy_decision d = { .verdict = POLICY_DENY };
	struct walk w = { .rules = rules, .facts = facts, .d = &d };

	look_up_peer(&w);
	(void)step_peer(&w);
	return d.class;
}
