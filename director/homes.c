/*
 * director/homes.c - who may pass, and whose home is where. Pure.
 */
#include "director/homes.h"

static struct home_decision
refuse(enum policy_reason why)
{
	return (struct home_decision){ .verdict = HOME_REFUSE, .reason = why };
}

static struct home_decision
to(enum home_target where, int index)
{
	return (struct home_decision){ .verdict = HOME_PROXY, .reason = POLICY_REASON_ALLOWED, .where = where,
	    .index = index };
}

static struct home_decision
just(enum home_verdict verdict, enum policy_reason why)
{
	return (struct home_decision){ .verdict = verdict, .reason = why };
}

static struct home_decision
to_home(const struct home_user *u)
{
	/* the directory names a pool that the configuration does not have */
	return u->pool >= 0 ? to(HOME_TO_POOL, u->pool) : refuse(POLICY_REASON_NO_ROUTE);
}

static bool
is_authenticated(enum home_source s)
{
	return s == HOME_FROM_USER || s == HOME_FROM_CLIENT;
}

static bool
is_federated(enum home_source s)
{
	return s == HOME_FROM_PARTNER || s == HOME_FROM_PROVIDER;
}

static bool
is_ill_signed(enum home_proof p)
{
	return p == HOME_PROOF_EXPIRED || p == HOME_PROOF_FORGED || p == HOME_PROOF_REPLAYED;
}

/*
 * A route that we wrote and signed: on to the next one in it, or to the far side of ours. What follows ours is the
 * sender's to write. An edge takes what begins outside of a dialog as sent by us, wherever it goes, past the gates:
 * only servers of our own may send such a thing there.
 */
static struct home_decision
along_route(const struct home_facts *f)
{
	if (f->next == HOME_NEXT_EDGE && !f->in_dialog && f->source != HOME_FROM_POOL)
		return refuse(POLICY_REASON_ROUTE_NOT_OURS);
	if (f->next == HOME_NEXT_EDGE)
		return to(HOME_TO_EDGE, f->next_index);
	if (f->next == HOME_NEXT_POOL)
		return to(HOME_TO_POOL, f->next_index);
	return f->flow_leads ? to(HOME_TO_FLOW, 0) : refuse(POLICY_REASON_FLOW_GONE);
}

/* What nobody could tell us is no reason to let it pass. */
static enum policy_reason
why_unknown(const struct home_user *u)
{
	return u->entry == HOME_NO_DIRECTORY ? POLICY_REASON_DIRECTORY_UNAVAILABLE : POLICY_REASON_AUTH_UNAVAILABLE;
}

/* The gates on the way out, of one of our users (MS 10.1: 1001, 1002, 1012). */
static enum policy_reason
may_leave(const struct home_facts *f, const struct home_user *u)
{
	if (!u->federation && !u->public_im)
		return POLICY_REASON_OUTSIDE_NOT_ENABLED;
	if (f->to_public_im)
		return u->public_im ? POLICY_REASON_ALLOWED : POLICY_REASON_PUBLIC_IM_NOT_ENABLED;
	return u->federation ? POLICY_REASON_ALLOWED : POLICY_REASON_FEDERATION_NOT_ENABLED;
}

/* To a foreign domain: through the edges, for whom it is open. */
static struct home_decision
outward(const struct home_facts *f)
{
	enum policy_reason why = POLICY_REASON_ALLOWED;

	if (is_federated(f->source))
		return refuse(POLICY_REASON_TO_NOT_INTERNAL);
	if (is_authenticated(f->source))
		why = may_leave(f, &f->principal);
	else if (f->source == HOME_FROM_POOL && f->from_ours)
		switch (f->sender.entry) {
		case HOME_UNASKED:
			return just(HOME_ASK_SENDER, POLICY_REASON_UNDECIDED);
		case HOME_UNAVAILABLE:
		case HOME_NO_DIRECTORY:
			return refuse(why_unknown(&f->sender));
		case HOME_UNKNOWN:
			break;	/* a service of the pool's: the pool answers for it */
		case HOME_KNOWN:
			why = may_leave(f, &f->sender);
			break;
		}
	if (why != POLICY_REASON_ALLOWED)
		return refuse(why);
	return f->has_edges ? to(HOME_TO_ANY_EDGE, 0) : refuse(POLICY_REASON_NO_ROUTE);
}

/* Does it reach its addressee with something new, rather than go on with, or end, what is there? */
static bool
opens(enum policy_method m)
{
	return m == POLICY_METHOD_INVITE || m == POLICY_METHOD_MESSAGE || m == POLICY_METHOD_SUBSCRIBE ||
	    m == POLICY_METHOD_REFER || m == POLICY_METHOD_SERVICE || m == POLICY_METHOD_OTHER;
}

/* The gate of one of our users, as partners and providers find it. */
static enum policy_reason
may_enter(const struct home_facts *f)
{
	if (f->source == HOME_FROM_PARTNER && !f->addressee.federation)
		return POLICY_REASON_FEDERATION_NOT_ENABLED;
	if (f->source == HOME_FROM_PROVIDER && !f->addressee.public_im)
		return POLICY_REASON_PUBLIC_IM_NOT_ENABLED;
	return POLICY_REASON_ALLOWED;
}

/*
 * The route was signed for one dialog, but whom the request names is the sender's to write: that user's gate counts
 * here as well. What the directory does not know is an address within the dialog; and a dialog goes on without it.
 */
static struct home_decision
in_dialog(const struct home_facts *f)
{
	enum policy_reason why = POLICY_REASON_ALLOWED;

	if (is_federated(f->source) && opens(f->method) && f->to_ours && !f->to_nobody && f->addressee.entry == HOME_UNASKED)
		return just(HOME_ASK_ADDRESSEE, POLICY_REASON_UNDECIDED);
	if (opens(f->method) && f->to_ours && !f->to_nobody && f->addressee.entry == HOME_KNOWN)
		why = may_enter(f);
	return why == POLICY_REASON_ALLOWED ? along_route(f) : refuse(why);
}

/* Only a request from outside an ordinary dialog comes here: its way is that of its addressee. */
static struct home_decision
to_addressee(const struct home_facts *f)
{
	enum policy_reason why;
	struct home_decision d;

	if (f->to_us)
		return f->method == POLICY_METHOD_OPTIONS ? just(HOME_ANSWER, POLICY_REASON_ALLOWED) :
		    refuse(POLICY_REASON_NO_ROUTE);
	/* what an administrator has written down counts before what is in the directory */
	if (f->has_static && (!is_federated(f->source) || f->static_for_partners))
		return to(HOME_TO_STATIC, f->static_index);
	if (!f->to_ours)
		return outward(f);
	/* to the domain as such: what a user asks of it, the user's own pool answers */
	if (f->to_nobody && is_authenticated(f->source))
		return to_home(&f->principal);
	if (f->to_nobody || f->addressee.entry == HOME_UNKNOWN)
		return refuse(POLICY_REASON_UNKNOWN_USER);
	if (f->addressee.entry == HOME_UNASKED)
		return just(HOME_ASK_ADDRESSEE, POLICY_REASON_UNDECIDED);
	if (f->addressee.entry != HOME_KNOWN)
		return refuse(why_unknown(&f->addressee));
	if ((why = may_enter(f)) != POLICY_REASON_ALLOWED)
		return refuse(why);
	d = to_home(&f->addressee);
	if (d.where == HOME_TO_POOL && f->source == HOME_FROM_POOL && f->pool_of_source == d.index)
		return refuse(POLICY_REASON_LOOPS_BACK);
	return d;
}

/* The sender is who it says, or one that is believed. Where to? */
static struct home_decision
onward(const struct home_facts *f)
{
	switch (f->route) {
	case POLICY_ROUTE_OURS:
		return in_dialog(f);
	case POLICY_ROUTE_FOREIGN:
		/* only servers of our own may say where a message goes */
		if (f->source == HOME_FROM_POOL && f->next != HOME_NEXT_OTHER)
			return along_route(f);
		return refuse(POLICY_REASON_ROUTE_NOT_OURS);
	case POLICY_ROUTE_FORGED:
		return refuse(POLICY_REASON_ROUTE_FORGED);
	case POLICY_ROUTE_NONE:
		break;
	}
	return to_addressee(f);
}

/* Users and clients prove each request; servers have proved themselves in the handshake. */
static struct home_decision
from_user(const struct home_facts *f)
{
	switch (f->proof) {
	case HOME_PROOF_NONE:
	case HOME_PROOF_GOING_ON:
	case HOME_PROOF_EXPIRED:
		return just(HOME_CHALLENGE, POLICY_REASON_UNAUTHENTICATED);
	case HOME_PROOF_UNASKED:
		return just(HOME_ASK_PROOF, POLICY_REASON_UNDECIDED);
	case HOME_PROOF_BAD:
		return just(HOME_CHALLENGE, POLICY_REASON_BAD_CREDENTIALS);
	case HOME_PROOF_STALE:
		return just(HOME_CHALLENGE, POLICY_REASON_STALE_NONCE);
	case HOME_PROOF_REPLAYED:
		return just(HOME_CHALLENGE, POLICY_REASON_REPLAYED);
	case HOME_PROOF_SKEWED:
		return just(HOME_CHALLENGE, POLICY_REASON_CLOCK_SKEW);
	case HOME_PROOF_FORGED:
		return just(HOME_CHALLENGE, POLICY_REASON_BAD_SIGNATURE);
	case HOME_PROOF_THROTTLED:
		return refuse(POLICY_REASON_GUESSING);
	case HOME_PROOF_NO_DOMAIN:
		return refuse(POLICY_REASON_DOMAIN_UNAVAILABLE);
	case HOME_PROOF_NO_DIRECTORY:
		return refuse(POLICY_REASON_DIRECTORY_UNAVAILABLE);
	case HOME_PROOF_FAILED:
		return refuse(POLICY_REASON_AUTH_UNAVAILABLE);
	case HOME_PROOF_OK:
		break;
	}
	if (!f->from_is_principal || (f->method == POLICY_METHOD_REGISTER && !f->to_is_principal))
		return refuse(POLICY_REASON_NOT_YOUR_NAME);
	switch (f->principal.entry) {
	case HOME_UNASKED:
		return just(HOME_ASK_PRINCIPAL, POLICY_REASON_UNDECIDED);
	case HOME_UNAVAILABLE:
	case HOME_NO_DIRECTORY:
		return refuse(why_unknown(&f->principal));
	case HOME_UNKNOWN:
		return refuse(POLICY_REASON_USER_NOT_ENABLED);
	case HOME_KNOWN:
		break;
	}
	if (f->source == HOME_FROM_USER && !f->principal.remote)
		return refuse(POLICY_REASON_REMOTE_ACCESS_OFF);
	if (f->method != POLICY_METHOD_REGISTER)
		return onward(f);
	if (f->principal.pool < 0)
		return refuse(POLICY_REASON_NO_ROUTE);
	if (f->source == HOME_FROM_CLIENT)
		return (struct home_decision){ .verdict = HOME_REDIRECT, .reason = POLICY_REASON_ALLOWED,
		    .where = HOME_TO_POOL, .index = f->principal.pool };
	return to(HOME_TO_POOL, f->principal.pool);
}

static struct home_decision
from_partner(const struct home_facts *f)
{
	if (f->method == POLICY_METHOD_REGISTER)
		return refuse(POLICY_REASON_REGISTER_FROM_FEDERATION);
	if (f->from_ours)
		return refuse(POLICY_REASON_SPOOFED_FROM);
	return onward(f);
}

/*
 * An ACK is never challenged (MS 3.3): it belongs to a dialog whose route we signed, or nowhere. Who has an association
 * signs its ACKs too, in its own name; with Digest there is nothing that one could prove itself by.
 */
static bool
is_ack_of_dialog(const struct home_facts *f)
{
	if (f->route != POLICY_ROUTE_OURS || is_ill_signed(f->proof))
		return false;
	if (!is_authenticated(f->source))
		return true;
	return f->proof == HOME_PROOF_OK ? f->from_is_principal : !f->way_signs;
}

struct home_decision
homes_decide(const struct home_facts *f)
{
	struct home_decision d = { .verdict = HOME_REFUSE };

	if (f->source == HOME_FROM_NOBODY)
		return refuse(POLICY_REASON_UNTRUSTED_PEER);
	if (f->method == POLICY_METHOD_ACK) {
		if (is_ack_of_dialog(f))
			d = along_route(f);
		return d.verdict == HOME_PROXY ? d : just(HOME_DROP, POLICY_REASON_STRAY_ACK);
	}
	if (f->route == POLICY_ROUTE_FORGED)
		return refuse(POLICY_REASON_ROUTE_FORGED);
	switch (f->source) {
	case HOME_FROM_USER:
	case HOME_FROM_CLIENT:
		return from_user(f);
	case HOME_FROM_PARTNER:
	case HOME_FROM_PROVIDER:
		return from_partner(f);
	case HOME_FROM_POOL:
		return f->method == POLICY_METHOD_REGISTER ? refuse(POLICY_REASON_METHOD_NOT_ALLOWED) : onward(f);
	case HOME_FROM_EDGE:
		/* an edge asks for itself whether we are there; everything else it marks */
		if (f->to_us && f->method == POLICY_METHOD_OPTIONS)
			return just(HOME_ANSWER, POLICY_REASON_ALLOWED);
		break;
	case HOME_FROM_NOBODY:
	case HOME_NSOURCES:
		break;
	}
	return refuse(POLICY_REASON_UNTRUSTED_PEER);
}

const char *
home_source_name(enum home_source s)
{
	static const char *const names[HOME_NSOURCES] = {
		[HOME_FROM_NOBODY] = "nobody", [HOME_FROM_EDGE] = "edge", [HOME_FROM_USER] = "remote-user",
		[HOME_FROM_PARTNER] = "partner", [HOME_FROM_PROVIDER] = "provider", [HOME_FROM_CLIENT] = "client",
		[HOME_FROM_POOL] = "pool"
	};

	return (unsigned)s < HOME_NSOURCES && names[s] != NULL ? names[s] : "nobody";
}
