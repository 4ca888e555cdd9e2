/*
 * net/prefix.h - networks: addresses that begin with the same bits. Everything is 16 bytes; a v4 address is mapped.
 */
#ifndef SALLYPORT_NET_PREFIX_H
#define SALLYPORT_NET_PREFIX_H

#include "net/addr.h"

struct net_prefix {
	unsigned char	addr[16];
	unsigned	bits;
};

/* "192.0.2.0/24" or "[2001:db8::]/32", brackets optional; without "/…" one address. SP_OK or SP_EINVAL. */
int	 net_prefix_parse(struct net_prefix *, struct span network);
/* The 16 bytes of an address; false: it is none. */
bool	 net_addr_bytes(const struct net_addr *, unsigned char out[16]);
bool	 net_prefix_within(const unsigned char addr[16], const struct net_prefix *);
/* Is it in any of these? */
bool	 net_prefix_any(const struct net_prefix *, size_t n, const struct net_addr *);

#endif
