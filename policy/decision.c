/*
 * policy/decision.c - facts in, decision out.
 *
 * A decision is a walk along a fixed list of steps, one list for each way a
 * message can come. A step looks at its own question only and either settles
 * the decision with a reason or lets it go on. What no step settles is refused.
 */
#include "policy/decision.h"

#include "policy/domain.h"
#include "policy/keys.h"
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
	const struct name_rule		*peer_partner;	/* a partner's server among the proven names */
	const struct name_rule		*peer_internal;	/* an internal server among them */
	const struct pin		*pinned;	/* its key is a partner's, by pin */
	struct place			 matched;	/* by the step that runs; goes into the trail */
};

#define GO_ON	POLICY_REASON_UNDECIDED

static void
match(struct walk *w, const struct name_rule *r)
{
	if (r != NULL)
		w->matched = (struct place){ r->file, r->line };
}

/* ---- what is looked up before the first step ---- */

/* A wildcard certificate proves no server's name (RFC 5922 7.2), but can be blocked. */
static bool
is_wildcard(struct span name)
{
	return span_find(name, '*') != name.n;
}

static void
look_up_name(struct walk *w, struct span name)
{
	struct name_match m;

	names_match(w->rules->names, name, &m);
	if (w->peer_blocked == NULL)
		w->peer_blocked = m.rule[NAME_BLOCKED];
	if (!w->facts->has_certificate || is_wildcard(name))
		return;
	if (w->peer_partner == NULL)
		w->peer_partner = m.rule[NAME_PARTNER_SERVER];
	if (w->peer_internal == NULL)
		w->peer_internal = m.rule[NAME_INTERNAL_SERVER];
	if (w->peer_internal == NULL && w->facts->side == POLICY_SIDE_INNER)
		w->peer_internal = names_match_pattern(w->rules->names, name);
}

/* The subject CN counts for blocks always, and as a name for partners that say so. */
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
	server = m.rule[NAME_PARTNER_SERVER];
	if (w->facts->has_certificate && !is_wildcard(cn) && server != NULL && w->peer_partner == NULL &&
	    w->rules->partners[server->value].shown.accept_cn)
		w->peer_partner = server;
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
	return f->side != POLICY_SIDE_INNER ||
	    (f->flow != POLICY_FLOW_USER && f->flow != POLICY_FLOW_USER_GONE);
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
partner_who_speaks(const struct walk *w)
{
	const struct name_rule *of = w->facts->is_response ? w->to.rule[NAME_PARTNER] : w->from.rule[NAME_PARTNER];

	if (of != NULL && proves(w, of->value))
		return of->value;
	return w->pinned != NULL ? w->pinned->partner : w->peer_partner->value;
}

/* What made the peer this partner: its key or its server's name. */
static void
match_partner(struct walk *w, uint32_t i)
{
	struct name_match m;

	if (w->pinned != NULL && w->pinned->partner == i) {
		w->matched = w->pinned->at;
		return;
	}
	names_match(w->rules->names, partner_server(&w->rules->partners[i]), &m);
	match(w, m.rule[NAME_PARTNER_SERVER]);
}

/* ---- the steps, in the order of policy/order.c ---- */

enum policy_reason
step_peer(struct walk *w)
{
	enum policy_class c = POLICY_CLASS_UNKNOWN;

	if (w->facts->side == POLICY_SIDE_INNER && w->peer_internal != NULL) {
		c = POLICY_CLASS_INTERNAL;
		match(w, w->peer_internal);
	} else if (w->facts->side == POLICY_SIDE_OUTER && (w->peer_partner != NULL || w->pinned != NULL)) {
		c = POLICY_CLASS_DIRECT;
		w->d->partner = partner_who_speaks(w);
		match_partner(w, w->d->partner);
	} else if (w->facts->side == POLICY_SIDE_OUTER && !w->facts->has_certificate && !w->facts->unverified) {
		c = POLICY_CLASS_REMOTE_USER;
	}
	w->d->class = c;
	return GO_ON;
}

/* Good: a canonical host name, or an address where those are switched on. */
static enum policy_reason
domain_form(const struct walk *w, struct span domain)
{
	if (!policy_domain_is_canon(domain))
		return POLICY_REASON_BAD_DOMAIN;
	if (policy_domain_is_ip(domain) && !w->rules->on[SWITCH_IP_LITERALS])
		return POLICY_REASON_IP_LITERAL_DOMAIN;
	return GO_ON;
}

enum policy_reason
step_domains(struct walk *w)
{
	const struct policy_facts *f = w->facts;
	enum policy_reason r;

	if ((r = domain_form(w, f->from_domain)) == GO_ON && (r = domain_form(w, f->to_domain)) == GO_ON &&
	    w->ruri_routes && !span_eq(f->ruri_domain, f->to_domain))
		r = domain_form(w, f->ruri_domain);
	if (r == POLICY_REASON_IP_LITERAL_DOMAIN)
		w->matched = w->rules->switch_at[SWITCH_IP_LITERALS];
	return r;
}

enum policy_reason
step_blocked(struct walk *w)
{
	const struct name_rule *to = w->to.rule[NAME_BLOCKED];

	if (to == NULL)
		to = w->ruri.rule[NAME_BLOCKED];
	if (w->from.rule[NAME_BLOCKED] != NULL) {
		match(w, w->from.rule[NAME_BLOCKED]);
		return POLICY_REASON_FROM_DOMAIN_BLOCKED;
	}
	if (to != NULL) {
		match(w, to);
		return POLICY_REASON_TO_DOMAIN_BLOCKED;
	}
	if (w->peer_blocked != NULL) {
		match(w, w->peer_blocked);
		return POLICY_REASON_PEER_BLOCKED;
	}
	return GO_ON;
}

enum policy_reason
step_class(struct walk *w)
{
	if (w->d->class == POLICY_CLASS_DIRECT) {
		w->matched = w->rules->partners[w->d->partner].key_rule_at;
		return keys_judge(w->rules, w->d->partner, w->facts);
	}
	if (w->d->class != POLICY_CLASS_UNKNOWN)
		return GO_ON;
	if (w->facts->unverified)
		return POLICY_REASON_CERTIFICATE_UNTRUSTED;
	return w->facts->side == POLICY_SIDE_INNER ? POLICY_REASON_NOT_INTERNAL_PEER : POLICY_REASON_UNKNOWN_PEER;
}

enum policy_reason
step_switch(struct walk *w)
{
	const struct policy_rules *r = w->rules;

	switch (w->d->class) {
	case POLICY_CLASS_REMOTE_USER:
		w->matched = r->switch_at[SWITCH_REMOTE_USERS];
		if (!r->on[SWITCH_REMOTE_USERS])
			return POLICY_REASON_REMOTE_USERS_OFF;
		return w->facts->door_users ? GO_ON : POLICY_REASON_NOT_FOR_USERS;
	case POLICY_CLASS_DIRECT:
		w->matched = r->switch_at[SWITCH_FEDERATION];
		if (!r->on[SWITCH_FEDERATION])
			return POLICY_REASON_FEDERATION_OFF;
		return w->facts->door_partners ? GO_ON : POLICY_REASON_NOT_FOR_PARTNERS;
	default:
		return POLICY_REASON_UNKNOWN_PEER;
	}
}

/*
 * A response belongs to a request that passed the switches. But a connection of
 * which nothing is known has no certificate either, and must not pass for a
 * user's: that one came in by a door for users.
 */
enum policy_reason
step_switch_response(struct walk *w)
{
	if (w->d->class == POLICY_CLASS_REMOTE_USER && !w->facts->door_users)
		return POLICY_REASON_NOT_FOR_USERS;
	return GO_ON;
}

/* CANCEL and ACK go the way of their INVITE, or a call could begin and not end. */
static enum policy_method
method_that_counts(const struct policy_facts *f)
{
	if (f->method == POLICY_METHOD_CANCEL || f->method == POLICY_METHOD_ACK)
		return POLICY_METHOD_INVITE;
	return (unsigned)f->method < POLICY_NMETHODS ? f->method : POLICY_METHOD_OTHER;
}

static bool
refused_by_list(struct walk *w, enum policy_method m)
{
	const struct policy_rules *r = w->rules;

	if (r->refused[m].file != NULL) {
		w->matched = r->refused[m];
		return true;
	}
	for (size_t i = 0; m == POLICY_METHOD_OTHER && i < r->nothers; i++) {
		if (span_eq(r->others[i].name, w->facts->method_name)) {
			w->matched = r->others[i].at;
			return true;
		}
	}
	return false;
}

/*
 * Who registers is authenticated as a user, which a server cannot be; SERVICE
 * reads and writes a user's own data. Neither crosses between organisations.
 */
static bool
is_users_own(enum policy_method m)
{
	return m == POLICY_METHOD_REGISTER || m == POLICY_METHOD_SERVICE;
}

enum policy_reason
step_method_outer(struct walk *w)
{
	enum policy_method m = method_that_counts(w->facts);

	if (m == POLICY_METHOD_OTHER && span_is_empty(w->facts->method_name))
		return POLICY_REASON_METHOD_NOT_ALLOWED;
	if (w->d->class == POLICY_CLASS_REMOTE_USER)
		return GO_ON;
	return is_users_own(m) || refused_by_list(w, m) ? POLICY_REASON_METHOD_NOT_ALLOWED : GO_ON;
}

/* Towards a user's own connection SERVICE may go; a registration never goes outward. */
enum policy_reason
step_method_inner(struct walk *w)
{
	enum policy_method m = method_that_counts(w->facts);
	bool to_user = w->facts->flow == POLICY_FLOW_USER || w->facts->flow == POLICY_FLOW_USER_GONE;

	if (m == POLICY_METHOD_REGISTER || (m == POLICY_METHOD_OTHER && span_is_empty(w->facts->method_name)))
		return POLICY_REASON_METHOD_NOT_ALLOWED;
	return is_users_own(m) && !to_user ? POLICY_REASON_METHOD_NOT_ALLOWED : GO_ON;
}

enum policy_reason
step_route_outer(struct walk *w)
{
	switch (w->facts->route) {
	case POLICY_ROUTE_NONE:
	case POLICY_ROUTE_OURS:
		return GO_ON;
	case POLICY_ROUTE_FOREIGN:
		return POLICY_REASON_ROUTE_NOT_OURS;
	default:
		return POLICY_REASON_ROUTE_FORGED;
	}
}

/* A Route to somebody else is the inside's own affair; where we send is decided by domains. */
enum policy_reason
step_route_inner(struct walk *w)
{
	switch (w->facts->route) {
	case POLICY_ROUTE_NONE:
	case POLICY_ROUTE_OURS:
	case POLICY_ROUTE_FOREIGN:
		return GO_ON;
	default:
		return POLICY_REASON_ROUTE_FORGED;
	}
}

enum policy_reason
step_spoof_outer(struct walk *w)
{
	const struct name_rule *ours = w->from.rule[NAME_INTERNAL];
	const struct name_rule *theirs = w->from.rule[NAME_PARTNER];

	if (w->d->class == POLICY_CLASS_REMOTE_USER) {
		match(w, ours);
		return ours != NULL ? GO_ON : POLICY_REASON_FROM_NOT_INTERNAL;
	}
	if (ours != NULL) {
		match(w, ours);
		return POLICY_REASON_SPOOFED_FROM;
	}
	match(w, theirs);
	if (theirs == NULL || theirs->value != w->d->partner)
		return POLICY_REASON_FROM_NOT_OF_PARTNER;
	return GO_ON;
}

/*
 * What goes out to others must speak for us. What goes to a remote user may come
 * from anybody: a partner's message takes the same way in and out again. Inside
 * a dialog the sender was settled when it began.
 */
enum policy_reason
step_spoof_inner(struct walk *w)
{
	const struct policy_facts *f = w->facts;

	match(w, w->from.rule[NAME_INTERNAL]);
	if (w->from.rule[NAME_INTERNAL] != NULL)
		return GO_ON;
	if (f->flow == POLICY_FLOW_USER || f->flow == POLICY_FLOW_USER_GONE)
		return GO_ON;
	return f->in_dialog && f->route == POLICY_ROUTE_OURS ? GO_ON : POLICY_REASON_FROM_NOT_OURS;
}

enum policy_reason
step_addressee_outer(struct walk *w)
{
	/* A remote user's message goes inside whomever it is for: federation begins there. */
	if (w->d->class != POLICY_CLASS_REMOTE_USER) {
		match(w, w->to.rule[NAME_INTERNAL]);
		if (w->to.rule[NAME_INTERNAL] == NULL ||
		    (w->ruri_routes && w->ruri.rule[NAME_INTERNAL] == NULL))
			return POLICY_REASON_TO_NOT_INTERNAL;
	}
	w->d->hop = POLICY_HOP_DIRECTOR;
	return GO_ON;
}

/* Which domain says where a message from inside goes (RFC 3261 16.5; in a dialog see ruri_routes()). */
static const struct name_match *
target(const struct walk *w)
{
	return w->ruri_routes ? &w->ruri : &w->to;
}

enum policy_reason
step_addressee_inner(struct walk *w)
{
	const struct name_rule *ours = target(w)->rule[NAME_INTERNAL];

	if (w->facts->flow == POLICY_FLOW_USER || w->facts->flow == POLICY_FLOW_USER_GONE)
		return GO_ON;
	match(w, ours);
	return ours != NULL ? POLICY_REASON_LOOPS_BACK : GO_ON;
}

enum policy_reason
step_flow(struct walk *w)
{
	if (w->facts->flow == POLICY_FLOW_USER_GONE)
		return POLICY_REASON_FLOW_GONE;
	if (w->facts->flow != POLICY_FLOW_USER)
		return GO_ON;
	/* A connection may be older than the rules. */
	w->matched = w->rules->switch_at[SWITCH_REMOTE_USERS];
	if (!w->rules->on[SWITCH_REMOTE_USERS])
		return POLICY_REASON_REMOTE_USERS_OFF;
	w->d->hop = POLICY_HOP_FLOW;
	return GO_ON;
}

enum policy_reason
step_direct(struct walk *w)
{
	const struct name_rule *theirs = target(w)->rule[NAME_PARTNER];

	if (!w->rules->on[SWITCH_FEDERATION]) {
		w->matched = w->rules->switch_at[SWITCH_FEDERATION];
		return POLICY_REASON_FEDERATION_OFF;
	}
	if (theirs != NULL) {
		match(w, theirs);
		w->d->hop = POLICY_HOP_PARTNER;
		w->d->partner = theirs->value;
	}
	return GO_ON;
}

enum policy_reason
step_hop(struct walk *w)
{
	return w->d->hop == POLICY_HOP_NONE ? POLICY_REASON_NO_ROUTE : GO_ON;
}

/* MS 7.2: our own word about their user. */
static enum policy_verification
verification(struct walk *w)
{
	const struct partner *p;

	if (w->d->class == POLICY_CLASS_REMOTE_USER)
		return POLICY_VERIFIED;	/* the Director lets in nobody else */
	if (w->d->class != POLICY_CLASS_DIRECT)
		return POLICY_UNVERIFIED;
	p = &w->rules->partners[w->d->partner];
	w->matched = p->word_at;
	switch (p->word) {
	case WORD_ALWAYS_VERIFIABLE:
		return POLICY_VERIFIED;
	case WORD_USE_SOURCE:
		return w->facts->assertion == POLICY_ASSERTED_VERIFIED ? POLICY_VERIFIED : POLICY_UNVERIFIED;
	default:
		return POLICY_UNVERIFIED;
	}
}

enum policy_reason
step_marks_outer(struct walk *w)
{
	w->d->mark_inward = true;
	w->d->verification = verification(w);
	return POLICY_REASON_ALLOWED;
}

/* Other organisations read our marks; our own users' clients have no use for them. */
enum policy_reason
step_marks_inner(struct walk *w)
{
	bool outward = w->facts->is_response ? w->from.rule[NAME_INTERNAL] == NULL :
	    w->d->hop == POLICY_HOP_PARTNER;

	if (outward) {
		w->d->mark_outward = true;
		w->d->mark_verifiable = w->rules->on[SWITCH_MARK_VERIFIABLE];
		w->d->mark_archiving = w->rules->on[SWITCH_ARCHIVING_NOTICE];
		w->matched = w->rules->switch_at[SWITCH_MARK_VERIFIABLE];
	}
	return POLICY_REASON_ALLOWED;
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
		d->verdict = POLICY_DENY;
		d->hop = POLICY_HOP_NONE;
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
	struct policy_decision d = { .verdict = POLICY_DENY };
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

enum policy_class
policy_class_of_peer(const struct policy_rules *rules, const struct policy_facts *facts)
{
	struct policy_decision d = { .verdict = POLICY_DENY };
	struct walk w = { .rules = rules, .facts = facts, .d = &d };

	look_up_peer(&w);
	(void)step_peer(&w);
	return d.class;
}
