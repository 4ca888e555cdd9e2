/*
 * director/crowd.h - no client and no server takes it all: connections of a block of addresses,
 * of a door and of one server, and requests a second of one user (design 10).
 *
 * A connection has a place among those of its block until it has proved to be a server's; then it has one among those
 * of that server instead. So neither clients nor strangers of a block use up what its servers need, and neither the
 * other way round.
 *
 * A user is who has proved it, whatever connections and edges the requests come by. What is
 * not proved yet is bounded by its connection (sip_link_limits) or by the edge it came through.
 */
#ifndef SALLYPORT_DIRECTOR_CROWD_H
#define SALLYPORT_DIRECTOR_CROWD_H

#include <stdbool.h>

#include "net/stats.h"
#include "sip/relay.h"

struct director_worker;

/* sip_relay_ops.admits. */
bool	crowd_admits(struct sip_relay *, const struct net_addr *from, const struct sip_face *, enum stats_limit *limit);
/* The handshake is over: is there room for one connection more of this server? Clients are not its concern. */
bool	crowd_opened(struct director_worker *, struct sip_link *);
/* The configuration has changed, and with it perhaps what the far end is: whoever is there stays, in its new place. */
void	crowd_moved(struct director_worker *, struct sip_link *);
/* One request more of the user who has proved to be that. False: too much, and *wait says how many seconds to wait. */
bool	crowd_takes(struct director_worker *, const char *user, bool urgent, unsigned *wait);
/* It is closed. */
void	crowd_left(struct director_worker *, struct sip_link *);

#endif
