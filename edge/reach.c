/*
 * edge/reach.c - see reach.h.
 */
#include "edge/reach.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "net/dns.h"
#include "net/guard.h"
#include "policy/rules.h"

struct net_dns *
edge_dns_new(struct net_loop *loop, const struct edge_config *c)
{
	const char *servers[17] = { NULL };
	struct net_dns_config dc = {
		.timeout_ms = (unsigned)c->dns_timeout, .tries = (unsigned)c->dns_tries,
		.ttl_min = (uint32_t)c->dns_ttl_min, .ttl_max = (uint32_t)c->dns_ttl_max,
		.negative_ttl = (uint32_t)c->dns_negative_ttl, .cache_max = (uint32_t)c->dns_cache
	};

	for (size_t i = 0; i < c->dns_servers.n && i < 16; i++)
		servers[i] = c->dns_servers.v[i].s;
	dc.servers = c->dns_servers.n > 0 ? servers : NULL;
	return net_dns_new(loop, &dc);
}

struct net_guard *
edge_guard_new(const struct edge_config *c)
{
	struct net_guard *g = net_guard_new();

	for (size_t i = 0; i < c->discovery_networks.n; i++)
		(void)net_guard_allow(g, span_str(c->discovery_networks.v[i].s));	/* checked when it was read */
	net_guard_refuse(g, &c->inner.addr);
	for (size_t i = 0; i < c->outer.n; i++)
		net_guard_refuse(g, &edge_outer(c, i)->addr);
	for (size_t i = 0; i < c->directors.n; i++) {
		const char *address = edge_director(c, i)->address;
		struct net_addr a;

		if (address != NULL && net_addr_parse(&a, span_str(address), 1) == SP_OK)
			net_guard_refuse(g, &a);
	}
	return g;
}

size_t
edge_partner_door(const struct edge_config *c)
{
	size_t door = 0;

	for (size_t i = 0; i < c->outer.n; i++)
		if (edge_outer(c, i)->partners)
			door = i;
	return door;
}

struct net_tls_lists *
edge_lists_new(const struct policy_rules *rules, bool pinned)
{
	size_t npins = pinned ? policy_pin_count(rules) : 0, nrefused;
	const unsigned char (*refused)[32] = policy_refused_certificates(rules, &nrefused);
	unsigned char (*pins)[32] = npins != 0 ? xreallocarray(NULL, npins, sizeof(*pins)) : NULL;
	struct net_tls_lists *lists;

	for (size_t i = 0; i < npins; i++)
		memcpy(pins[i], policy_pin_get(rules, i), sizeof(pins[i]));
	lists = net_tls_lists_new((const unsigned char (*)[32])pins, npins, refused, nrefused);
	free(pins);
	return lists;
}
