/*
 * net/proxyhead.h - what a load balancer writes in front of a connection that it passes on: who
 * has connected to it (PROXY protocol, version 2, haproxy.org "proxy-protocol.txt", section 2.2).
 *
 * Version 1, a line of text, is refused: it has no length that could be known
 * beforehand. What follows the addresses (TLVs) must add up, and is not looked at.
 */
#ifndef SALLYPORT_NET_PROXYHEAD_H
#define SALLYPORT_NET_PROXYHEAD_H

#include "common/span.h"
#include "net/addr.h"

#define NET_PROXYHEAD_FIXED	16	/* bytes until the rest's length is known */
#define NET_PROXYHEAD_MAX	1024	/* bytes of a whole one that are taken */

struct net_proxyhead {
	size_t		 n;		/* its bytes; of one that is not whole, how many are needed to go on */
	bool		 local;		/* the balancer's own connection, to see whether we are there; no address then */
	struct net_addr	 from;		/* who has connected to the balancer */
};

/*
 * Read one out of the first bytes of a connection. SP_OK; SP_EAGAIN: not
 * whole, and out->n says up to where it is safe to read; SP_ESYNTAX with *fault, static.
 */
int	net_proxyhead_parse(struct span, struct net_proxyhead *out, const char **fault);

#endif
