/*
 * net/prefix.c - see prefix.h.
 */
#include "net/prefix.h"

#include <netinet/in.h>

#include <string.h>

#include "common/err.h"

bool
net_prefix_within(const unsigned char addr[16], const struct net_prefix *p)
{
	unsigned whole = p->bits / 8, rest = p->bits % 8;

	if (memcmp(addr, p->addr, whole) != 0)
		return false;
	return rest == 0 || (addr[whole] ^ p->addr[whole]) >> (8 - rest) == 0;
}

bool
net_addr_bytes(const struct net_addr *a, unsigned char out[16])
{
	static const unsigned char mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

	if (a->len != 0 && a->ss.ss_family == AF_INET6) {
		memcpy(out, &((const struct sockaddr_in6 *)&a->ss)->sin6_addr, 16);
		return true;
	}
	if (a->len == 0 || a->ss.ss_family != AF_INET)
		return false;
	memcpy(out, mapped, 12);
	memcpy(out + 12, &((const struct sockaddr_in *)&a->ss)->sin_addr, 4);
	return true;
}

int
net_prefix_parse(struct net_prefix *out, struct span network)
{
	size_t slash = span_find(network, '/');
	struct net_prefix p = { .bits = 128 };
	struct net_addr a;
	uint64_t bits, all;

	if (net_addr_parse(&a, span_head(network, slash), 1) != SP_OK || !net_addr_bytes(&a, p.addr))
		return SP_EINVAL;
	all = a.ss.ss_family == AF_INET ? 32 : 128;
	if (slash != network.n) {
		if (!span_uint(span_tail(network, slash + 1), all, &bits))
			return SP_EINVAL;
		p.bits = (unsigned)(128 - all + bits);
	}
	*out = p;
	return SP_OK;
}

bool
net_prefix_any(const struct net_prefix *p, size_t n, const struct net_addr *a)
{
	unsigned char addr[16];

	if (!net_addr_bytes(a, addr))
		return false;
	for (size_t i = 0; i < n; i++)
		if (net_prefix_within(addr, &p[i]))
			return true;
	return false;
}
