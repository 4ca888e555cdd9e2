/*
 * edge/controls.h - the tables of requests that edge/control.c puts together.
 */
#ifndef SALLYPORT_EDGE_CONTROLS_H
#define SALLYPORT_EDGE_CONTROLS_H

#include "admin/control.h"
#include "edge/edge.h"

extern const struct control_verb edge_explain_verbs[];	/* edge/controlexplain.c */
extern const struct control_verb edge_partner_verbs[];	/* edge/controlpartner.c */
/* In a worker: which partner of its rules has that display name, server or domain; SIZE_MAX: none. */
size_t	edge_find_partner(const struct policy_rules *, struct span name);

#endif
