/*
 * sip/hop.h - a next hop by name: resolve, connect, keep, fail over, break.
 *
 * One per (name, address, port, face, guard) and worker. It holds at most one outbound link
 * and may use an inbound one whose certificate proves the same name (RFC 5923).
 * A hop that failed is passed over until its breaker lets one probe through.
 */
#ifndef SALLYPORT_SIP_HOP_H
#define SALLYPORT_SIP_HOP_H

#include <stdbool.h>
#include <stdint.h>

#include "net/guard.h"
#include "sip/link.h"

struct sip_hop;

struct sip_hop_spec {
	const char	*name;		/* dialled, sent as SNI, and proved by the certificate; lower-case */
	uint16_t	 port;
	const char	*address;	/* an IP address or host name: dial this instead of the name; NULL: the name */
	struct sip_face	*face;		/* our side of it */
	bool		 accept_cn;	/* its subject CN will do where its certificate has no dNSName; as said last */
	bool		 reuse_inbound;	/* an inbound link that proves name will do; as said last */
	bool		 keep;		/* the owner keeps the pointer: never forgotten */
	unsigned	 idle_ms;	/* a connection that nothing was asked over for so long is closed; 0: none is; as said last */
	const struct net_guard *guard;	/* name is a stranger's: only where this lets it lead; NULL: anywhere. Outlives the relay */
};

/*
 * Find or make; never NULL. Owned by the relay. Without keep it is good for this batch of the loop, and
 * for as long as a request in flight has it among its targets; later it may be forgotten to make room.
 */
struct sip_hop *sip_hop_get(struct sip_relay *, const struct sip_hop_spec *);
const char *sip_hop_name(const struct sip_hop *);
/* Has a link that is open, or may be tried now. False while the breaker holds it back. */
bool	sip_hop_usable(const struct sip_hop *);
bool	sip_hop_is_up(const struct sip_hop *);
/* Begin to connect if nothing is up, so that the first request need not wait. */
void	sip_hop_warm(struct sip_hop *);
/* The same at once, whatever the breaker says: somebody wants to know. */
void	sip_hop_try(struct sip_hop *);

#endif
