/*
 * net/porter.h - stands at a door behind a load balancer and hears, before TLS, who has really come.
 *
 * A connection from one of the balancers begins with a header
 * (net/proxyhead.h); the porter reads it, not a byte more, and hands the
 * connection on as that of whom the header names. Whoever else connects is
 * never heard: to believe him would let anybody be anyone.
 *
 * A balancer that looks whether we are there says so in the header (LOCAL), or closes
 * without a word; such a connection ends without a record unless something comes.
 */
#ifndef SALLYPORT_NET_PORTER_H
#define SALLYPORT_NET_PORTER_H

#include "net/addr.h"
#include "net/loop.h"
#include "net/prefix.h"
#include "policy/reason.h"

struct net_porter;

struct net_porter_ops {
	/* The header was read: fd is the callee's. from: whom it names, or the balancer itself if it came of its own accord. */
	void	(*arrived)(void *arg, int fd, const struct net_addr *from);
	/*
	 * A connection of that balancer was closed: PROXY_HEADER, when no header came in time or it does not do, or
	 * CONNECTION_LIMIT, when too many wait. detail: ours, static.
	 */
	void	(*refused)(void *arg, const struct net_addr *balancer, enum policy_reason, const char *detail);
};

struct net_porter_limits {
	unsigned	 header_ms;	/* until the header is whole */
	unsigned	 waiting;	/* connections without one at once; the oldest gives way; at least 1 */
};

/* balancers (at least one) are copied; ops is borrowed. */
struct net_porter *net_porter_new(struct net_loop *, const struct net_prefix *balancers, size_t n,
	    const struct net_porter_limits *, const struct net_porter_ops *, void *arg);
/* Closes those that wait; nobody is told. NULL: nothing. */
void	 net_porter_free(struct net_porter *);
/* Is it one of the balancers? */
bool	 net_porter_knows(const struct net_porter *, const struct net_addr *from);
/* A connection of a balancer, non-blocking; taken over. refused() may be called for one that came before. */
void	 net_porter_take(struct net_porter *, int fd, const struct net_addr *from);
unsigned net_porter_waiting(const struct net_porter *);

#endif
