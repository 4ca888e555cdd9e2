/*
 * director/srvs.h - servers that DNS names: SRV records of pools and edges, of one worker.
 *
 * What was found stays in use while it is asked for again, and when DNS fails
 * to answer.
 */
#ifndef SALLYPORT_DIRECTOR_SRVS_H
#define SALLYPORT_DIRECTOR_SRVS_H

#include "net/dns.h"

#define SRVS_MAX	64	/* names; more than that are not asked for */
#define SRVS_WAITERS_MAX	1000	/* requests that wait for a first answer */

struct srvs;

struct srvs *srvs_new(struct net_loop *, struct net_dns *);
/* Who waits still is not called any more: forget is, with its arg, so that it can be freed. NULL: nothing. */
void	 srvs_free(struct srvs *, void (*forget)(void *arg));
/*
 * The targets of a name in the order in which they are tried (RFC 2782), at most max. Equal keys
 * draw equal orders, in every worker. 0: none, or not known yet; the first call for a name asks.
 */
unsigned srvs_targets(struct srvs *, const char *name, uint64_t key, struct net_srv *out, unsigned max);

/*
 * Has DNS not answered about this name yet? Then fn is called with arg once when it has, whatever the
 * answer; never before this returns. False: there is nothing to wait for, or too many do.
 */
bool	 srvs_wait(struct srvs *, const char *name, void (*fn)(void *arg), void *arg);
unsigned srvs_waiting(const struct srvs *);

#endif
