/*
 * policy/order.c - the order in which everything is asked (MS 8.2 to 8.4).
 *
 * Blocked comes before everything that could allow. A row without a function
 * is the place of a kind of rule that this version does not have. Such a kind
 * takes an enumerator in policy/names.h if it is about names, a key in
 * policy/rules.c, what it must not stand beside in policy/conflict.c, its
 * function in policy/steps.c, and rows in tests/policy/.
 */
#include "policy/order.h"

#define END	{ POLICY_STEP_NONE, NULL, false, NULL }

const struct policy_stage policy_order_outer[] = {
	{ POLICY_STEP_PEER, step_peer, false, "what the connection proves about the peer" },
	{ POLICY_STEP_DOMAINS, step_domains, false, "are the domains valid names, and no addresses" },
	{ POLICY_STEP_BLOCKED, step_blocked, false, "is the sender, the addressee or the peer blocked" },
	{ POLICY_STEP_CLASS, step_class, false, "which class of peer is it" },
	{ POLICY_STEP_SWITCH, step_switch, false, "is this class switched on, admitted by this door, and not paused" },
	{ POLICY_STEP_METHOD, step_method_outer, false, "may this class send this method" },
	{ POLICY_STEP_ROUTE, step_route_outer, false, "are the Route headers ours" },
	{ POLICY_STEP_SPOOF, step_spoof_outer, false, "may this peer speak for the sender's domain" },
	{ POLICY_STEP_ADDRESSEE, step_addressee_outer, false, "is the addressee one of ours, or another member's" },
	{ POLICY_STEP_PROOF, step_proof, false, "does DNS say that this peer is the sender's server" },
	{ POLICY_STEP_LIMITS, step_limits, false, "do the limits of unlisted partners hold for it" },
	{ POLICY_STEP_CONTENT, step_content_outer, false, "which rule about links and files holds" },
	{ POLICY_STEP_MARKS, step_marks_outer, false, "what the inside is told" },
	END
};

const struct policy_stage policy_order_inner[] = {
	{ POLICY_STEP_PEER, step_peer, false, "what the connection proves about the peer" },
	{ POLICY_STEP_DOMAINS, step_domains, false, "are the domains valid names, and no addresses" },
	{ POLICY_STEP_BLOCKED, step_blocked, false, "is the sender, the addressee or the peer blocked" },
	{ POLICY_STEP_CLASS, step_class, false, "is the peer an internal server" },
	{ POLICY_STEP_METHOD, step_method_inner, false, "may this method leave" },
	{ POLICY_STEP_ROUTE, step_route_inner, false, "are the Route headers ours" },
	{ POLICY_STEP_SPOOF, step_spoof_inner, false, "is the sender one of ours" },
	{ POLICY_STEP_ADDRESSEE, step_addressee_inner, false, "would it come straight back" },
	{ POLICY_STEP_FLOW, step_flow, true, "a remote user's own connection" },
	{ POLICY_STEP_STATIC_ROUTE, step_static_route, true, "a configured route" },
	{ POLICY_STEP_DIRECT, step_direct, true, "a direct partner" },
	{ POLICY_STEP_CLEARINGHOUSE, step_default_route, true, "the default route" },
	{ POLICY_STEP_PROVIDER, step_provider, true, "an enabled provider" },
	{ POLICY_STEP_ENHANCED, step_enhanced, true, "a partner found by DNS" },
	{ POLICY_STEP_HOP, step_hop, false, "is the next hop known, and not paused" },
	{ POLICY_STEP_CONTENT, step_content_inner, false, "which rule about links and files holds" },
	{ POLICY_STEP_MARKS, step_marks_inner, false, "what the partner is told" },
	END
};

/* A response belongs to a request that was allowed; it goes back by the record of that. */
const struct policy_stage policy_response_outer[] = {
	{ POLICY_STEP_PEER, step_peer, false, "what the connection proves about the peer" },
	{ POLICY_STEP_DOMAINS, step_domains, false, "are the domains valid names, and no addresses" },
	{ POLICY_STEP_BLOCKED, step_blocked, false, "is the sender, the addressee or the peer blocked" },
	{ POLICY_STEP_CLASS, step_class, false, "which class of peer is it" },
	{ POLICY_STEP_SWITCH, step_switch_response, false, "does a user's response come by a door for users" },
	{ POLICY_STEP_CONTENT, step_content_outer, false, "which rule about links and files holds" },
	{ POLICY_STEP_MARKS, step_marks_outer, false, "what the inside is told" },
	END
};

const struct policy_stage policy_response_inner[] = {
	{ POLICY_STEP_PEER, step_peer, false, "what the connection proves about the peer" },
	{ POLICY_STEP_DOMAINS, step_domains, false, "are the domains valid names, and no addresses" },
	{ POLICY_STEP_BLOCKED, step_blocked, false, "is the sender, the addressee or the peer blocked" },
	{ POLICY_STEP_CLASS, step_class, false, "is the peer an internal server" },
	{ POLICY_STEP_CONTENT, step_content_inner, false, "which rule about links and files holds" },
	{ POLICY_STEP_MARKS, step_marks_inner, false, "what the partner is told" },
	END
};
