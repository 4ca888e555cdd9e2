/*
 * edge/crowd.h - nobody outside takes it all: connections of a block of addresses,
 * of a door and of one peer, and requests a second of one user or peer, counted for
 * the whole daemon (design 10).
 *
 * A user is who signed in over a connection, by the address that was registered, and
 * not who a From claims to be: nobody uses up what is somebody else's. Until then its
 * connection has a rate of its own (sip_link_limits). A server is who its
 * certificate names first.
 */
#ifndef SALLYPORT_EDGE_CROWD_H
#define SALLYPORT_EDGE_CROWD_H

#include <stdbool.h>

#include "net/stats.h"
#include "sip/relay.h"

struct edge_worker;

/* sip_relay_ops.admits: strangers only; what comes from inside is not counted. */
bool	edge_crowd_admits(struct sip_relay *, const struct net_addr *from, const struct sip_face *, enum stats_limit *limit);
/* The handshake is over: is there room for one connection more of this server? */
bool	edge_crowd_opened(struct edge_worker *, struct sip_link *);
/* Somebody has signed in over it, with this address. */
void	edge_crowd_signed_in(struct edge_worker *, struct sip_link *, struct span user);
/* One request more of whoever that is. False: too much, and *wait says how many seconds to wait. */
bool	edge_crowd_takes(struct edge_worker *, struct sip_link *, const struct sip_message *, unsigned *wait);
/* It is closed. */
void	edge_crowd_left(struct edge_worker *, struct sip_link *);

#endif
