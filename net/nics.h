/*
 * net/nics.h - the two faces of a machine that stands between two networks.
 */
#ifndef SALLYPORT_NET_NICS_H
#define SALLYPORT_NET_NICS_H

#include <stdbool.h>
#include <stddef.h>

#include "net/addr.h"

#define NET_NICS_MAX	64	/* addresses that are looked at */
#define NET_NICS_WHY	256

/* One address of one interface. */
struct net_nic {
	char		 name[32];
	struct net_addr	 addr;
};

/*
 * Which of these faces the Internet, and which the inside: the first is the one that the default route
 * leaves by (its address; empty: there is none), the second is that of the only other interface.
 * An output that cannot be told is empty, and why (NET_NICS_WHY bytes) is a sentence about the first such; else "".
 * True: both are known.
 */
bool	net_nics_choose(const struct net_nic *, size_t n, const struct net_addr *route, struct net_addr *outside,
	    struct net_addr *inside, char why[NET_NICS_WHY]);

/*
 * The same of this machine as it is now: its interfaces that are up and not loopback, IPv4. No packet is sent.
 * Addresses have port 0.
 */
bool	net_nics_find(struct net_addr *outside, struct net_addr *inside, char why[NET_NICS_WHY]);

#endif
