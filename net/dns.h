/*
 * net/dns.h - asking for addresses and SRV records; asynchronous, cached.
 *
 * One resolver per worker (c-ares). Random ids and ports; what lies outside the
 * question is ignored; CNAME chains are bounded; the cache is bounded, positive
 * and negative, with TTLs clamped. No hosts file is read in the loop.
 */
#ifndef SALLYPORT_NET_DNS_H
#define SALLYPORT_NET_DNS_H

#include <stdbool.h>
#include <stdint.h>

#include "net/addr.h"
#include "net/loop.h"

struct net_dns;
struct net_dns_query;

struct net_dns_config {
	const char *const *servers;	/* "192.0.2.53:53"; NULL-ended; NULL: the system's */
	unsigned	 timeout_ms;	/* of one try; default 2000 */
	unsigned	 tries;		/* default 2 */
	uint32_t	 ttl_min;	/* seconds; default 30 */
	uint32_t	 ttl_max;	/* default 3600 */
	uint32_t	 negative_ttl;	/* default 60 */
	uint32_t	 cache_max;	/* entries; default 3000 */
	bool		 trust_ad;	/* the resolver is trusted to validate DNSSEC */
};

enum net_dns_status {
	NET_DNS_FAILED = 0,	/* SERVFAIL, time-out, nonsense: nothing is known */
	NET_DNS_NONE,		/* no such name, or no such record */
	NET_DNS_FOUND
};

#define NET_DNS_ADDRS_MAX	16
#define NET_DNS_SRV_MAX		16
#define NET_DNS_NAME_MAX	256

struct net_srv {
	uint16_t	 priority, weight, port;
	char		 target[NET_DNS_NAME_MAX];	/* lower-case, no trailing dot; "" means "service decidedly not here" */
};

/* Borrowed during the callback. */
struct net_dns_answer {
	enum net_dns_status	 status;
	uint32_t		 ttl;		/* seconds left */
	bool			 authentic;	/* AD, only with trust_ad */
	bool			 from_cache;
	const struct net_addr	*addrs;		/* port 0; v6 and v4 interleaved, v6 first */
	unsigned		 naddrs;
	const struct net_srv	*srv;		/* as received, not ordered */
	unsigned		 nsrv;
};
typedef void (*net_dns_fn)(void *arg, const struct net_dns_answer *);

struct net_dns *net_dns_new(struct net_loop *, const struct net_dns_config *);
void	 net_dns_free(struct net_dns *);	/* outstanding queries never call back */
/*
 * Ask. fn is called exactly once unless cancelled, never before this returns.
 * An IP literal is answered without asking anybody. Equal questions in flight share one query.
 */
struct net_dns_query *net_dns_addresses(struct net_dns *, const char *name, net_dns_fn, void *arg);
struct net_dns_query *net_dns_srv(struct net_dns *, const char *name, net_dns_fn, void *arg);
void	 net_dns_cancel(struct net_dns_query *);
void	 net_dns_flush(struct net_dns *);

#endif
