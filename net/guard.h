/*
 * net/guard.h - which addresses a name that strangers control may lead to.
 *
 * DNS answers about other organisations' domains are theirs to write. Such a
 * name must not make us connect to ourselves, to the inside, to loopback or to
 * what is nobody's address: only to public unicast addresses, and to networks
 * that the administrator has named.
 */
#ifndef SALLYPORT_NET_GUARD_H
#define SALLYPORT_NET_GUARD_H

#include "net/addr.h"

struct net_guard;

/* Public unicast addresses may be reached, nothing else. */
struct net_guard *net_guard_new(void);
void	 net_guard_free(struct net_guard *);	/* NULL: nothing */
/* "192.0.2.0/24" or "[2001:db8::]/32", brackets optional; without "/…" one address. SP_OK or SP_EINVAL. */
int	 net_guard_allow(struct net_guard *, struct span network);
/* Never this host, whatever is allowed: one of our own, or of the inside. */
void	 net_guard_refuse(struct net_guard *, const struct net_addr *);
/* NULL: may be reached. Else why not, in a word or two, static. Any thread once it is set up. */
const char *net_guard_why(const struct net_guard *, const struct net_addr *);

#endif
