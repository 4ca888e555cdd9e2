/*
 * sip/state.h - a relay's connections and next hops as they are at this moment, for the administrator.
 *
 * Called in the relay's own worker. Strings are borrowed and good until the
 * callback returns.
 */
#ifndef SALLYPORT_SIP_STATE_H
#define SALLYPORT_SIP_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "net/addr.h"
#include "policy/reason.h"
#include "sip/hop.h"
#include "sip/link.h"
#include "sip/relay.h"

struct sip_link_state {
	uint64_t		 id;
	const struct sip_face	*face;
	const struct net_peer	*peer;		/* NULL before the handshake is over */
	const struct net_addr	*remote;
	const char		*called;	/* outbound: the name that was dialled; else NULL */
	bool			 inbound, open, closing, signed_in, congested;
	time_t			 since;		/* when it was accepted, or dialled */
	uint64_t		 silent_ms;	/* since anything came */
	size_t			 queued;	/* bytes that the far end has not taken yet */
	unsigned		 unanswered;	/* requests sent on it that have no final response; at most 1000 are counted */
};
void	sip_link_state_of(struct sip_link *, struct sip_link_state *);

struct sip_hop_state {
	const char		*name, *address; /* address: dialled instead of the name; else NULL */
	uint16_t		 port;
	const struct sip_face	*face;
	const char		*state;		/* "up", "idle", "resolving", "connecting", "down" */
	bool			 up;		/* a message would go out at once */
	bool			 by_inbound;	/* … over a connection that the far end made */
	uint64_t		 link;		/* that connection; 0: none */
	bool			 kept;		/* named by the configuration */
	unsigned		 waiting;	/* requests */
	uint64_t		 retry_ms;	/* the breaker: until the next try; 0: none is needed, or one may be made */
	time_t			 up_at, failed_at; /* last time that a connection was made, or could not be; 0: never */
	enum policy_reason	 failure;	/* of failed_at */
	const char		*detail;	/* … ours, or NULL */
};
void	sip_hop_state_of(struct sip_hop *, struct sip_hop_state *);
void	sip_relay_each_hop(struct sip_relay *, void (*fn)(struct sip_hop *, void *), void *arg);

#endif
