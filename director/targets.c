/*
 * director/targets.c - servers as next hops.
 */
#include "director/targets.h"

#include "director/links.h"
#include "director/srvs.h"

static void
add(struct director_worker *w, enum server_kind kind, const char *name, const char *address, int port,
    struct sip_plan *plan)
{
	struct sip_hop_spec spec = {
		.name = name, .port = (uint16_t)port, .address = address, .face = w->out,
		/* a firewall may let the edge in and nobody out to it; a pool must be reached at its own door */
		.reuse_inbound = kind == SERVER_EDGE
	};

	if (plan->nhops < SIP_TARGETS_MAX)
		plan->hop[plan->nhops++] = sip_hop_get(w->relay, &spec);
}

const char *
targets_add(struct director_worker *w, enum server_kind kind, size_t i, uint64_t key, struct sip_plan *plan)
{
	const struct director_server *s = server_at(w->config, kind, i);
	struct net_srv v[SIP_TARGETS_MAX];
	unsigned n;

	if (s->srv != NULL) {
		/* whichever of them it is, it has to prove the server's name, which is not DNS' to say */
		n = srvs_targets(w->srvs, s->srv, key, v, SIP_TARGETS_MAX);
		for (unsigned j = 0; j < n; j++)
			add(w, kind, s->name, v[j].target, v[j].port, plan);
		if (n == 0)
			return s->srv;
	} else if (s->addresses.n != 0) {
		for (size_t j = 0; j < s->addresses.n; j++)
			add(w, kind, s->name, s->addresses.v[j].s, s->port, plan);
	} else
		add(w, kind, s->name, NULL, s->port, plan);
	return NULL;
}

void
targets_warm(struct director_worker *w)
{
	struct net_srv v[1];

	for (int k = SERVER_EDGE; k <= SERVER_ROUTE; k++)
		for (size_t i = 0; i < servers_count(w->config, (enum server_kind)k); i++) {
			const struct director_server *s = server_at(w->config, (enum server_kind)k, i);

			if (s->srv != NULL)
				(void)srvs_targets(w->srvs, s->srv, 0, v, 1);
		}
}
