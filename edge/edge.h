/*
 * edge/edge.h - the edge's own state: of the process, and of each worker.
 */
#ifndef SALLYPORT_EDGE_EDGE_H
#define SALLYPORT_EDGE_EDGE_H

#include "edge/config.h"
#include "net/dns.h"
#include "net/door.h"
#include "net/worker.h"
#include "policy/rules.h"
#include "sip/relay.h"

/* The identities: outer doors by their number, then the inner door. */
#define EDGE_INNER(c)	((c)->outer.n)

/* Of the process. Written by the control thread only while no worker runs. */
struct edge {
	struct edge_config	*config;
	struct policy_rules	*rules;
	struct net_tls_material	*material[EDGE_DOORS_MAX + 1];
	struct sip_flow_keys	*keys;
	struct net_crew		*crew;
	struct sip_relay_set	*relays;
	int			 fds[EDGE_DOORS_MAX + 1][NET_WORKERS_MAX];
};

/* Of one worker; only its own thread touches it. */
struct edge_worker {
	struct edge		*edge;
	struct net_worker	*worker;
	struct net_tls_lib	*lib;
	struct net_dns		*dns;
	struct sip_flow_signer	*signer;
	struct sip_relay	*relay;
	struct policy_rules	*rules;
	struct sip_face		 face[EDGE_DOORS_MAX + 1];	/* as EDGE_INNER() counts */
	const struct sip_face	*faces[EDGE_DOORS_MAX + 1];
	struct net_door		*door[EDGE_DOORS_MAX + 1];
	struct edge_door	*door_arg;
	struct sip_hop		*director[EDGE_DIRECTORS_MAX];
	struct sip_face		*partner_face;	/* how partners see us when we dial */
	uint64_t		 references;	/* refusals so far; names the log line of one */
};

/* Start and end of a worker (net_crew_start()); arg is the struct edge. */
int	edge_worker_start(struct net_worker *, void *edge);
void	edge_worker_stop(struct net_worker *, void *edge);
/* New policy and identities, by mail to every worker. References are taken. */
void	edge_workers_update(struct edge *, struct policy_rules *, struct net_tls_material *const *material);

/* What the relay asks of the edge (edge/proxy.c). */
extern const struct sip_relay_ops edge_relay_ops;

#endif
