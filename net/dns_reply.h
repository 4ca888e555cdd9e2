/*
 * net/dns_reply.h - one DNS message read strictly. Pure; no c-ares, no clock.
 *
 * c-ares carries the messages; what they say is read here, because its own
 * readers hide the owner names and the AD bit, and drop what is odd instead of
 * refusing it. A message that breaks RFC 1035 anywhere is nonsense as a whole.
 */
#ifndef SALLYPORT_NET_DNS_REPLY_H
#define SALLYPORT_NET_DNS_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/span.h"
#include "net/dns.h"

enum {
	NET_DNS_A	= 1,
	NET_DNS_CNAME	= 5,
	NET_DNS_SOA	= 6,
	NET_DNS_AAAA	= 28,
	NET_DNS_SRV	= 33
};

#define NET_DNS_RECORDS_MAX	256	/* in one message; more is nonsense */
#define NET_DNS_CNAME_MAX	8	/* aliases followed for one question */

struct net_dns_reply {
	enum net_dns_status	 status;
	uint32_t		 ttl;		/* smallest of all that led here; FOUND, or with next */
	bool			 authentic;	/* the AD bit, as it came */
	unsigned		 aliases;	/* CNAMEs followed in this message */
	char			 next[NET_DNS_NAME_MAX]; /* not "": the alias leads out of this message; ask for this */
	unsigned		 naddrs, nsrv;
	struct net_addr		 addrs[NET_DNS_ADDRS_MAX];	/* A or AAAA, as asked; port 0 */
	struct net_srv		 srv[NET_DNS_SRV_MAX];
};

/*
 * The answer to (name, type) in msg. name is lower-case as net_dns_name()
 * makes it; type is A, AAAA or SRV. Records whose owner is neither the name
 * nor what its CNAMEs lead to are ignored, as are addresses that nobody can
 * connect to. *r is filled whole; FAILED for nonsense and for every rcode but
 * "no error" and "no such name".
 */
void	net_dns_reply_parse(struct net_dns_reply *r, const unsigned char *msg, size_t n, const char *name,
	    uint16_t type);

/*
 * A host name in the form that is asked for: lower-case, no trailing dot.
 * Labels of 1 to 63 letters, digits and inner hyphens, 253 bytes in all, the
 * last not all digits; underscores only if service. False if it is none.
 */
bool	net_dns_name(char out[NET_DNS_NAME_MAX], struct span name, bool service);

#endif
