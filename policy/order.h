/*
 * policy/order.h - the fixed order of steps, as data. For policy/ only.
 *
 * The same tables drive the decision and are printed by policy_print_order().
 */
#ifndef SALLYPORT_POLICY_ORDER_H
#define SALLYPORT_POLICY_ORDER_H

#include <stdbool.h>

#include "policy/decision.h"

struct walk;

struct policy_stage {
	enum policy_step	 step;		/* POLICY_STEP_NONE ends a table */
	/* Settles with a reason, or POLICY_REASON_UNDECIDED to go on. NULL: no rule of this kind exists. */
	enum policy_reason	(*run)(struct walk *);
	bool			 finds_hop;	/* not asked once the next hop is known */
	const char		*question;	/* for the administrator */
};

extern const struct policy_stage policy_order_outer[], policy_order_inner[];
extern const struct policy_stage policy_response_outer[], policy_response_inner[];

enum policy_reason step_peer(struct walk *);
enum policy_reason step_domains(struct walk *);
enum policy_reason step_blocked(struct walk *);
enum policy_reason step_class(struct walk *);
enum policy_reason step_switch(struct walk *);
enum policy_reason step_switch_response(struct walk *);
enum policy_reason step_method_outer(struct walk *);
enum policy_reason step_method_inner(struct walk *);
enum policy_reason step_route_outer(struct walk *);
enum policy_reason step_route_inner(struct walk *);
enum policy_reason step_spoof_outer(struct walk *);
enum policy_reason step_spoof_inner(struct walk *);
enum policy_reason step_addressee_outer(struct walk *);
enum policy_reason step_addressee_inner(struct walk *);
enum policy_reason step_proof(struct walk *);
enum policy_reason step_limits(struct walk *);
enum policy_reason step_flow(struct walk *);
enum policy_reason step_static_route(struct walk *);
enum policy_reason step_direct(struct walk *);
enum policy_reason step_default_route(struct walk *);
enum policy_reason step_provider(struct walk *);
enum policy_reason step_enhanced(struct walk *);
enum policy_reason step_hop(struct walk *);
enum policy_reason step_content_outer(struct walk *);
enum policy_reason step_content_inner(struct walk *);
enum policy_reason step_marks_outer(struct walk *);
enum policy_reason step_marks_inner(struct walk *);

#endif
