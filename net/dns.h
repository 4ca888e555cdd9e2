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

#define NET_DNS_FAILED_TTL	5	/* seconds that a failure is remembered */
#define NET_DNS_FLIGHT_MAX	256	/* names asked for at once; beyond, a question fails at once */
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

/*
 * The configuration is copied; a number of 0 and a config of NULL mean the
 * defaults. Reads the system's files only here. NULL: a server is no address,
 * or the system's cannot be read (logged).
 */
struct net_dns *net_dns_new(struct net_loop *, const struct net_dns_config *);
void	 net_dns_free(struct net_dns *);	/* outstanding queries never call back; also from a callback; NULL: nothing */
/*
 * Ask. fn is called exactly once unless cancelled, never before this returns;
 * what is returned lives until then. An IP literal (v6 also in brackets) is
 * answered without asking anybody, and so is what is no host name: NONE.
 * Equal questions in flight share one query. For addresses, A and AAAA are
 * both asked; when one has answered, the other gets 200 ms more.
 */
struct net_dns_query *net_dns_addresses(struct net_dns *, const char *name, net_dns_fn, void *arg);
struct net_dns_query *net_dns_srv(struct net_dns *, const char *name, net_dns_fn, void *arg);
void	 net_dns_cancel(struct net_dns_query *);
/* Forget every answer, also those still under way (their askers get them all the same). */
void	 net_dns_flush(struct net_dns *);

#endif
