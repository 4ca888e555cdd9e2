/*
 * edge/reach.h - whom the edge asks for names, where strangers' names may lead,
 * and as whom it calls: the same for its workers and for those who look from outside.
 */
#ifndef SALLYPORT_EDGE_REACH_H
#define SALLYPORT_EDGE_REACH_H

#include "edge/config.h"

struct net_dns;
struct net_guard;
struct net_loop;
struct net_tls_lists;
struct policy_rules;

/* The resolver of edge.conf. NULL: none can be had (logged). The caller's to free. */
struct net_dns	*edge_dns_new(struct net_loop *, const struct edge_config *);
/* A name that strangers control leads to public addresses, to networks that are allowed, and never to us. The caller's to free. */
struct net_guard *edge_guard_new(const struct edge_config *);
/* The outer door from which partners are called: the last that admits them, else the first. */
size_t		 edge_partner_door(const struct edge_config *);
/* Refused certificates and, if pinned, pinned keys of the policy. One reference for the caller. */
struct net_tls_lists *edge_lists_new(const struct policy_rules *, bool pinned);

#endif
