/*
 * edge/gauges.c - see gauges.h.
 */
#include "edge/gauges.h"

#include "common/clock.h"
#include "common/mem.h"
#include "edge/edge.h"
#include "net/stats.h"
#include "sip/relay.h"

_Static_assert(EDGE_DOORS_MAX == STATS_IDENTITY_INNER && EDGE_DIAL(0) == STATS_IDENTITY_DIAL,
    "identities are counted alike in configuration and metrics");

void
edge_gauge_limits(const struct edge_config *c)
{
	const struct edge_limits_conf *l = &c->limits;
	struct sip_relay_limits relay = edge_relay_limits(c);
	const struct { enum stats_limit limit; int value; } table[] = {
		{ STATS_LIMIT_CONNECTIONS, l->connections }, { STATS_LIMIT_CONNECTIONS_BLOCK, l->connections_block },
		{ STATS_LIMIT_CONNECTIONS_PARTNER, l->connections_partner }, { STATS_LIMIT_HANDSHAKES, l->handshakes },
		{ STATS_LIMIT_MESSAGE_RATE, l->user_rate }, { STATS_LIMIT_TRANSACTIONS_LINK, l->user_requests },
		{ STATS_LIMIT_TRANSACTIONS, l->transactions },
		{ STATS_LIMIT_HOP_QUEUE, l->hop_queue }, { STATS_LIMIT_HELD, l->held },
		{ STATS_LIMIT_PROXY_HEADER_TIME, l->proxy_header }, { STATS_LIMIT_HANDSHAKE_TIME, l->handshake }, { STATS_LIMIT_FIRST_MESSAGE_TIME, l->first_message },
		{ STATS_LIMIT_MESSAGE_TIME, l->message }, { STATS_LIMIT_SIGN_IN_TIME, l->sign_in },
		{ STATS_LIMIT_IDLE_TIME, l->idle != 0 ? l->idle : c->keep_alive + 32 },
		{ STATS_LIMIT_MESSAGE_SIZE, l->message_size }, { STATS_LIMIT_WRITE_QUEUE, l->user_queue * 1024 },
		{ STATS_LIMIT_LINK_QUEUE, l->link_queue * 1024 }, { STATS_LIMIT_HOPS, (int)relay.hops },
		{ STATS_LIMIT_ANSWERS, SIP_ANSWERS_MAX }, { STATS_LIMIT_DNS_CACHE, c->dns_cache },
		{ STATS_LIMIT_DNS_QUERIES, NET_DNS_FLIGHT_MAX }, { STATS_LIMIT_DISCOVERED, c->discovered.partners },
		{ STATS_LIMIT_DISCOVERED_RATE, c->discovered.rate }, { STATS_LIMIT_ADDRESSEES, c->discovered.addressees },
		{ STATS_LIMIT_REFUSAL_LINES, c->log_refusals }, { STATS_LIMIT_CONTROL_CLIENTS, CONTROL_CLIENTS }
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		stats_set(LIMIT, table[i].limit, 0, (uint64_t)table[i].value);
	stats_set(STARTED, 0, 0, (uint64_t)clock_wall());
}

void
edge_gauge_identity(const struct edge_config *c, size_t i, const struct net_tls_material *m)
{
	size_t door = i % EDGE_DIAL(0);

	if (door > EDGE_INNER(c))
		return;
	if (door == EDGE_INNER(c))
		door = STATS_IDENTITY_INNER;
	stats_set(NOT_AFTER, i < EDGE_DIAL(0) ? door : STATS_IDENTITY_DIAL + door, 0,
	    m != NULL ? (uint64_t)net_tls_material_not_after(m) : 0);
}

unsigned *
edge_partner_numbers(const struct policy_rules *rules)
{
	size_t n = policy_partner_count(rules);
	unsigned *numbers = xcalloc(n, sizeof(*numbers));

	for (size_t i = 0; i < n; i++)
		numbers[i] = stats_partner(policy_partner_get(rules, i)->server);
	return numbers;
}
