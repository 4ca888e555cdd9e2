/*
 * edge/gauges.h - what the metrics tell of the configuration: limits and certificates in force.
 */
#ifndef SALLYPORT_EDGE_GAUGES_H
#define SALLYPORT_EDGE_GAUGES_H

#include "edge/config.h"
#include "policy/rules.h"

/* Which limits are in force, and when the process began. At start. */
void	edge_gauge_limits(const struct edge_config *);
/* When identity i, counted as in edge/edge.h, expires. NULL: there is none. */
void	edge_gauge_identity(const struct edge_config *, size_t i, const struct net_tls_material *);

/* Under which numbers (net/stats.h) the partners of these rules are counted, by their index; free() it. */
unsigned *edge_partner_numbers(const struct policy_rules *);

#endif
