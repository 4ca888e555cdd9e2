/*
 * policy/steps.c - the steps of the fixed order (policy/order.c), but for those that look at DNS.
 */
#include "policy/content.h"
#include "policy/domain.h"
#include "policy/keys.h"
#include "policy/user.h"
#include "policy/walk.h"

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

static enum policy_reason
address_form(const struct walk *w, struct span domain, bool tel)
{
	if (tel)
		return span_is_empty(domain) ? GO_ON : POLICY_REASON_BAD_DOMAIN;
	return domain_form(w, domain);
}

/* A telephone number is nobody's domain: what needs one does not go on with it. */
enum policy_reason
step_domains(struct walk *w)
{
	const struct policy_facts *f = w->facts;
	enum policy_reason r;

	if ((r = address_form(w, f->from_domain, f->from_tel)) == GO_ON &&
	    (r = address_form(w, f->to_domain, f->to_tel)) == GO_ON && w->ruri_routes &&
	    (f->ruri_tel != f->to_tel || !span_eq(f->ruri_domain, f->to_domain)))
		r = address_form(w, f->ruri_domain, f->ruri_tel);
	if (r == POLICY_REASON_IP_LITERAL_DOMAIN)
		walk_match_switch(w, SWITCH_IP_LITERALS);
	return r;
}

enum policy_reason
step_blocked(struct walk *w)
{
	const struct name_rule *to = w->to.rule[NAME_BLOCKED];

	if (to == NULL)
		to = w->ruri.rule[NAME_BLOCKED];
	if (w->from.rule[NAME_BLOCKED] != NULL) {
		walk_match(w, w->from.rule[NAME_BLOCKED]);
		return POLICY_REASON_FROM_DOMAIN_BLOCKED;
	}
	if (to != NULL) {
		walk_match(w, to);
		return POLICY_REASON_TO_DOMAIN_BLOCKED;
	}
	if (w->peer_blocked != NULL) {
		walk_match(w, w->peer_blocked);
		return POLICY_REASON_PEER_BLOCKED;
	}
	return GO_ON;
}

/*
 * A stranger goes on where DNS may name partners, and is a partner when DNS has
 * proved it. For a response that was done when its request was sent.
 */
enum policy_reason
step_class(struct walk *w)
{
	if (w->own != NULL) {
		w->matched = w->own->key_rule_at;
		return keys_judge(w->rules, w->d->partner, w->facts);
	}
	if (w->d->class != POLICY_CLASS_UNKNOWN)
		return GO_ON;
	if (w->facts->unverified)
		return POLICY_REASON_CERTIFICATE_UNTRUSTED;
	if (w->facts->side == POLICY_SIDE_INNER)
		return POLICY_REASON_NOT_INTERNAL_PEER;
	if (!w->candidate)
		return POLICY_REASON_UNKNOWN_PEER;
	if (!w->facts->is_response)
		return GO_ON;
	if (!w->facts->discovered || walk_allowed(w, &w->to, w->facts->to_domain) == NULL)
		return POLICY_REASON_UNKNOWN_PEER;
	w->d->class = POLICY_CLASS_ENHANCED;
	return GO_ON;
}

static enum policy_reason
paused(struct walk *w, const struct partner *p)
{
	w->matched = p->paused_at;
	return POLICY_REASON_PARTNER_PAUSED;
}

enum policy_reason
step_switch(struct walk *w)
{
	enum policy_class class = walk_class(w);

	if (class == POLICY_CLASS_REMOTE_USER) {
		walk_match_switch(w, SWITCH_REMOTE_USERS);
		if (!w->rules->on[SWITCH_REMOTE_USERS])
			return POLICY_REASON_REMOTE_USERS_OFF;
		return w->facts->door_users ? GO_ON : POLICY_REASON_NOT_FOR_USERS;
	}
	/* The users behind a branch proxy are ours; whoever else has a certificate is of another organisation. */
	if (class != POLICY_CLASS_BRANCH) {
		walk_match_switch(w, SWITCH_FEDERATION);
		if (!w->rules->on[SWITCH_FEDERATION])
			return POLICY_REASON_FEDERATION_OFF;
	}
	if (class == POLICY_CLASS_PROVIDER && !w->own->enabled) {
		w->matched = w->own->at;
		return POLICY_REASON_PROVIDER_OFF;
	}
	if (w->own != NULL && w->own->paused)
		return paused(w, w->own);
	return w->facts->door_partners ? GO_ON : POLICY_REASON_NOT_FOR_PARTNERS;
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

enum policy_method
walk_method(const struct policy_facts *f)
{
	if (f->method == POLICY_METHOD_CANCEL || f->method == POLICY_METHOD_ACK)
		return POLICY_METHOD_INVITE;
	return (unsigned)f->method < POLICY_NMETHODS ? f->method : POLICY_METHOD_OTHER;
}

/* Does a rule for that class (UNKNOWN: for every other organisation's server) refuse the method? */
static bool
refused_for(struct walk *w, enum policy_method m, enum policy_class class)
{
	const struct policy_rules *r = w->rules;

	if (r->refused[class][m].file != NULL) {
		w->matched = r->refused[class][m];
		return true;
	}
	for (size_t i = 0; m == POLICY_METHOD_OTHER && i < r->nothers; i++) {
		if (r->others[i].class == class && span_eq(r->others[i].name, w->facts->method_name)) {
			w->matched = r->others[i].at;
			return true;
		}
	}
	return false;
}

bool
walk_refuses_method(struct walk *w, enum policy_method m, enum policy_class class)
{
	bool is_ours = class == POLICY_CLASS_REMOTE_USER || class == POLICY_CLASS_BRANCH;

	return (!is_ours && refused_for(w, m, POLICY_CLASS_UNKNOWN)) || refused_for(w, m, class);
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
	enum policy_method m = walk_method(w->facts);
	enum policy_class class = walk_class(w);

	if (m == POLICY_METHOD_OTHER && span_is_empty(w->facts->method_name))
		return POLICY_REASON_METHOD_NOT_ALLOWED;
	if (is_users_own(m) && class != POLICY_CLASS_REMOTE_USER && class != POLICY_CLASS_BRANCH)
		return POLICY_REASON_METHOD_NOT_ALLOWED;
	return walk_refuses_method(w, m, class) ? POLICY_REASON_METHOD_NOT_ALLOWED : GO_ON;
}

/* Does it go to a connection that a token of ours names, of a user or of a branch? */
static bool
goes_to_user(const struct policy_facts *f)
{
	return f->flow == POLICY_FLOW_USER || f->flow == POLICY_FLOW_BRANCH || f->flow == POLICY_FLOW_USER_GONE;
}

/* Towards a user's own connection SERVICE may go; a registration never goes outward. */
enum policy_reason
step_method_inner(struct walk *w)
{
	enum policy_method m = walk_method(w->facts);

	if (m == POLICY_METHOD_REGISTER || (m == POLICY_METHOD_OTHER && span_is_empty(w->facts->method_name)))
		return POLICY_REASON_METHOD_NOT_ALLOWED;
	return is_users_own(m) && !goes_to_user(w->facts) ? POLICY_REASON_METHOD_NOT_ALLOWED : GO_ON;
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
	enum policy_class class = walk_class(w);

	if (class == POLICY_CLASS_REMOTE_USER || class == POLICY_CLASS_BRANCH) {
		walk_match(w, ours);
		return ours != NULL ? GO_ON : POLICY_REASON_FROM_NOT_INTERNAL;
	}
	if (ours != NULL) {
		walk_match(w, ours);
		return POLICY_REASON_SPOOFED_FROM;
	}
	/* A direct partner's domain is spoken for by that partner's server, and by no other. */
	walk_match(w, theirs);
	if (class == POLICY_CLASS_DIRECT)
		return theirs != NULL && theirs->value == w->d->partner ? GO_ON : POLICY_REASON_FROM_NOT_OF_PARTNER;
	if (theirs != NULL || span_is_empty(w->facts->from_domain))
		return POLICY_REASON_FROM_NOT_OF_PARTNER;
	if (w->candidate && walk_allowed(w, &w->from, w->facts->from_domain) == NULL)
		return POLICY_REASON_DOMAIN_NOT_ALLOWED;
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

	walk_match(w, w->from.rule[NAME_INTERNAL]);
	if (w->from.rule[NAME_INTERNAL] != NULL)
		return GO_ON;
	if (goes_to_user(f))
		return GO_ON;
	return f->in_dialog && f->route == POLICY_ROUTE_OURS ? GO_ON : POLICY_REASON_FROM_NOT_OURS;
}

/*
 * Is it for another member of the clearing house that we are? Inside a dialog
 * the one who may reach the other has let it begin.
 */
static enum policy_reason
relay(struct walk *w)
{
	const struct policy_facts *f = w->facts;
	const struct name_rule *to = walk_target(w)->rule[NAME_PARTNER];
	bool may;

	if (!w->rules->on[SWITCH_CLEARINGHOUSE] || w->own == NULL || !w->own->member || to == NULL ||
	    !w->rules->partners[to->value].member)
		return POLICY_REASON_TO_NOT_INTERNAL;
	walk_match(w, to);
	may = member_reaches(w->rules, w->d->partner, to->value) || (f->in_dialog && f->route == POLICY_ROUTE_OURS &&
	    member_reaches(w->rules, to->value, w->d->partner));
	if (!may)
		return POLICY_REASON_MEMBER_NOT_ALLOWED;
	if (w->rules->partners[to->value].paused)
		return paused(w, &w->rules->partners[to->value]);
	w->relayed = true;
	w->d->hop = POLICY_HOP_PARTNER;
	w->d->partner = to->value;
	return GO_ON;
}

enum policy_reason
step_addressee_outer(struct walk *w)
{
	const struct policy_facts *f = w->facts;
	enum policy_class class = walk_class(w);
	bool to_ours, ruri_ours;

	w->d->hop = POLICY_HOP_DIRECTOR;
	/* A user's message goes inside whomever it is for: federation begins there. */
	if (class == POLICY_CLASS_REMOTE_USER || class == POLICY_CLASS_BRANCH)
		return GO_ON;
	walk_match(w, w->to.rule[NAME_INTERNAL]);
	ruri_ours = !w->ruri_routes || w->ruri.rule[NAME_INTERNAL] != NULL;
	/* A number in To is somebody's of ours when we are asked for it, or were when the dialog began. */
	to_ours = w->to.rule[NAME_INTERNAL] != NULL || f->to_tel;
	if (to_ours && ruri_ours)
		return GO_ON;
	return relay(w);
}

enum policy_reason
step_addressee_inner(struct walk *w)
{
	const struct name_rule *ours = walk_target(w)->rule[NAME_INTERNAL];

	if (goes_to_user(w->facts))
		return GO_ON;
	walk_match(w, ours);
	return ours != NULL ? POLICY_REASON_LOOPS_BACK : GO_ON;
}

enum policy_reason
step_flow(struct walk *w)
{
	if (w->facts->flow == POLICY_FLOW_USER_GONE)
		return POLICY_REASON_FLOW_GONE;
	if (w->facts->flow != POLICY_FLOW_USER && w->facts->flow != POLICY_FLOW_BRANCH)
		return GO_ON;
	/* A connection may be older than the rules. */
	if (w->facts->flow == POLICY_FLOW_USER) {
		walk_match_switch(w, SWITCH_REMOTE_USERS);
		if (!w->rules->on[SWITCH_REMOTE_USERS])
			return POLICY_REASON_REMOTE_USERS_OFF;
	} else if (w->rules->nbranches == 0) {
		return POLICY_REASON_UNKNOWN_PEER;
	}
	w->d->hop = POLICY_HOP_FLOW;
	return GO_ON;
}

/* From here on it leaves for another organisation. */
enum policy_reason
step_static_route(struct walk *w)
{
	const struct policy_rules *r = w->rules;
	struct span domain = walk_target_domain(w);
	bool tel = w->ruri_routes ? w->facts->ruri_tel : w->facts->to_tel;
	/* in a dialog the Request-URI is a Contact's, and To what the route was chosen by */
	struct span user = w->ruri_routes ? w->facts->ruri_user : w->facts->to_user;

	if (!r->on[SWITCH_FEDERATION]) {
		walk_match_switch(w, SWITCH_FEDERATION);
		return POLICY_REASON_FEDERATION_OFF;
	}
	for (size_t i = 0; i < r->nroutes; i++) {
		const struct route *route = &r->routes[i];

		if (route->tel != tel || (tel ? !user_follows_number(user, route->user) :
		    span_is_empty(domain) || !names_follows(domain, route->host, true) || !user_follows(user, route->user)))
			continue;
		w->matched = route->at;
		w->d->hop = POLICY_HOP_PARTNER;
		w->d->partner = route->partner;
		w->d->replace_host = route->replace_host && w->ruri_routes;
		return GO_ON;
	}
	return GO_ON;
}

enum policy_reason
step_direct(struct walk *w)
{
	const struct name_rule *theirs = walk_target(w)->rule[NAME_PARTNER];

	if (theirs != NULL) {
		walk_match(w, theirs);
		w->d->hop = POLICY_HOP_PARTNER;
		w->d->partner = theirs->value;
	}
	return GO_ON;
}

/* Being a member of a clearing house: it takes whatever has a domain. */
enum policy_reason
step_default_route(struct walk *w)
{
	if (w->rules->default_route == NO_PARTNER || span_is_empty(walk_target_domain(w)))
		return GO_ON;
	w->d->hop = POLICY_HOP_PARTNER;
	w->d->partner = w->rules->default_route;
	w->matched = w->rules->partners[w->d->partner].at;
	return GO_ON;
}

enum policy_reason
step_hop(struct walk *w)
{
	if (w->d->hop == POLICY_HOP_PARTNER && w->rules->partners[w->d->partner].paused)
		return paused(w, &w->rules->partners[w->d->partner]);
	return w->d->hop == POLICY_HOP_NONE ? POLICY_REASON_NO_ROUTE : GO_ON;
}

static enum policy_reason
match_content(struct walk *w, const struct policy_content *rule)
{
	w->d->content = rule;
	if (rule != NULL)
		w->matched = (struct place){ rule->file, rule->line };
	return GO_ON;
}

/* A response of one member of our clearing house to another. */
static bool
is_relayed_response(const struct walk *w)
{
	const struct name_rule *asked = w->from.rule[NAME_PARTNER];

	return w->facts->is_response && w->rules->on[SWITCH_CLEARINGHOUSE] && w->own != NULL && w->own->member &&
	    asked != NULL && asked->value != w->d->peer && w->rules->partners[asked->value].member;
}

/*
 * One look at each message: by the class of who sends it, or, from member to member
 * of our clearing house, else by the class of who gets it.
 */
enum policy_reason
step_content_outer(struct walk *w)
{
	const struct policy_content *rule = policy_content_of(w->rules, w->d->class, false);

	/* members are direct partners, all of them, and a class has one rule: it bites if it holds for either direction */
	if (rule == NULL && (w->relayed || is_relayed_response(w)))
		rule = policy_content_of(w->rules, POLICY_CLASS_DIRECT, true);
	return match_content(w, rule);
}

/* By the class of who gets it. */
enum policy_reason
step_content_inner(struct walk *w)
{
	enum policy_class to = POLICY_CLASS_UNKNOWN;

	if (w->facts->is_response)
		to = w->facts->asker;
	else if (w->d->hop == POLICY_HOP_FLOW)
		to = w->facts->flow == POLICY_FLOW_BRANCH ? POLICY_CLASS_BRANCH : POLICY_CLASS_REMOTE_USER;
	else if (w->d->hop == POLICY_HOP_PARTNER)
		to = w->rules->partners[w->d->partner].class;
	else if (w->d->hop == POLICY_HOP_DISCOVERED)
		to = POLICY_CLASS_ENHANCED;
	return match_content(w, policy_content_of(w->rules, to, true));
}

static enum policy_verification
by_word(const struct walk *w, enum partner_word word)
{
	switch (word) {
	case WORD_ALWAYS_VERIFIABLE:
		return POLICY_VERIFIED;
	case WORD_USE_SOURCE:
		return w->facts->assertion == POLICY_ASSERTED_VERIFIED ? POLICY_VERIFIED : POLICY_UNVERIFIED;
	default:
		return POLICY_UNVERIFIED;
	}
}

/* MS 7.2: our own word about their user. */
static enum policy_verification
verification(struct walk *w)
{
	const struct policy_facts *f = w->facts;
	const struct allowed *a;

	switch (w->d->class) {
	case POLICY_CLASS_REMOTE_USER:
	case POLICY_CLASS_BRANCH:
		return POLICY_VERIFIED;	/* the Director lets in nobody else */
	case POLICY_CLASS_DIRECT:
	case POLICY_CLASS_PROVIDER:
	case POLICY_CLASS_CLEARINGHOUSE:
		w->matched = w->own->word_at;
		return by_word(w, w->own->word);
	case POLICY_CLASS_ENHANCED:
		a = f->is_response ? walk_allowed(w, &w->to, f->to_domain) : walk_allowed(w, &w->from, f->from_domain);
		if (a == NULL)
			return POLICY_UNVERIFIED;
		w->matched = a->word_at;
		return by_word(w, a->word);
	default:
		return POLICY_UNVERIFIED;
	}
}

/* Of what is relayed, the member it goes to. */
static const struct partner *
other_member(const struct walk *w)
{
	uint32_t other = w->facts->is_response ? w->from.rule[NAME_PARTNER]->value : w->d->partner;

	return &w->rules->partners[other];
}

enum policy_reason
step_marks_outer(struct walk *w)
{
	struct policy_decision *d = w->d;

	d->verification = verification(w);
	if (w->relayed || is_relayed_response(w)) {
		/* the other member hears what we make of this one's word; what this one says of archiving goes along */
		d->mark_outward = true;
		d->pass_archiving = true;
		d->mark_verifiable = d->verification == POLICY_VERIFIED;
		d->trust_identity = w->own->trusted && other_member(w)->trusted;
		return POLICY_REASON_ALLOWED;
	}
	d->mark_inward = true;
	d->public_network = w->own != NULL && w->own->public_network;
	d->trust_identity = w->own != NULL && w->own->trusted;
	/* Of a user the Director asserts it, who asks for the password. */
	d->mark_identity = w->rules->on[SWITCH_ASSERT_IDENTITY] && d->verification == POLICY_VERIFIED &&
	    d->class != POLICY_CLASS_REMOTE_USER && d->class != POLICY_CLASS_BRANCH && !w->facts->is_response;
	return POLICY_REASON_ALLOWED;
}

/* To whom does it go, if the rules name that organisation's server? */
static const struct partner *
other_side(const struct walk *w)
{
	const struct name_rule *asked = w->from.rule[NAME_PARTNER];

	if (w->facts->is_response)
		return asked != NULL ? &w->rules->partners[asked->value] : NULL;
	return w->d->hop == POLICY_HOP_PARTNER ? &w->rules->partners[w->d->partner] : NULL;
}

enum policy_reason
step_marks_inner(struct walk *w)
{
	bool outward = w->facts->is_response ? w->from.rule[NAME_INTERNAL] == NULL :
	    w->d->hop == POLICY_HOP_PARTNER || w->d->hop == POLICY_HOP_DISCOVERED;
	const struct partner *other = other_side(w);

	if (outward) {
		w->d->mark_outward = true;
		w->d->mark_verifiable = w->rules->on[SWITCH_MARK_VERIFIABLE];
		w->d->mark_archiving = w->rules->on[SWITCH_ARCHIVING_NOTICE];
		w->d->trust_identity = other != NULL && other->trusted;
		walk_match_switch(w, SWITCH_MARK_VERIFIABLE);
	}
	w->d->show_diagnostics = w->rules->on[outward ? SWITCH_DIAGNOSTICS_PARTNERS : SWITCH_DIAGNOSTICS_USERS];
	return POLICY_REASON_ALLOWED;
}

