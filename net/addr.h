/*
 * net/addr.h - a socket address as text and back.
 */
#ifndef SALLYPORT_NET_ADDR_H
#define SALLYPORT_NET_ADDR_H

#include <sys/socket.h>

#include <netinet/in.h>

#include <stdbool.h>
#include <stdint.h>

#include "common/span.h"

/* IPv4 or IPv6: a quarter of a struct sockaddr_storage, for each connection has two. */
union net_sockaddr {
	sa_family_t		 ss_family;
	struct sockaddr		 sa;
	struct sockaddr_in	 in;
	struct sockaddr_in6	 in6;
};

struct net_addr {
	union net_sockaddr	 ss;
	socklen_t		 len;	/* 0: none */
};

#define NET_ADDR_TEXT	64	/* room for any of the texts below, with the NUL */

/*
 * "192.0.2.1:443" or "[2001:db8::1]:443"; dflt_port when there is no port (0:
 * then it is an error). A v6 address without brackets has no port. Port 0,
 * scopes and names are refused. SP_OK or SP_EINVAL (then *out is empty).
 */
int	 net_addr_parse(struct net_addr *, struct span text, uint16_t dflt_port);
/* Back again: with port, and the host alone (v6 without brackets); "none" of an empty one. Both return out. */
const char *net_addr_format(const struct net_addr *, char out[NET_ADDR_TEXT]);
const char *net_addr_host(const struct net_addr *, char out[NET_ADDR_TEXT]);
/*
 * Whom an address belongs to, as far as it tells: the v4 address, also one mapped into v6; of v6 the
 * first 64 bits, which is the least that one customer is given: "2001:db8:1:2::/64". Returns out.
 */
const char *net_addr_network(const struct net_addr *, char out[NET_ADDR_TEXT]);
uint16_t net_addr_port(const struct net_addr *);
void	 net_addr_set_port(struct net_addr *, uint16_t);
/* Same host, whatever the port. */
bool	 net_addr_same_host(const struct net_addr *, const struct net_addr *);
/* 0.0.0.0 or [::] (or the one mapped into the other): no door is bound to it. */
bool	 net_addr_is_any(const struct net_addr *);

#endif
