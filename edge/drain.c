/*
 * edge/drain.c - the end in good order: nothing new, and time for what is in flight.
 */
#include <stdlib.h>
#include <unistd.h>

#include "admin/master.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "edge/edge.h"

#define LOOK_MS	20

static void
look_whether_busy(struct net_timer *t)
{
	struct edge_worker *w = (struct edge_worker *)((char *)t - offsetof(struct edge_worker, drain));

	atomic_store(&w->busy, sip_relay_transactions(w->relay) != 0 || edge_discovery_waiting(w->discovery) != 0);
	net_timer_set(w->worker->loop, t, LOOK_MS);
}

static void
deliver_drain(struct net_worker *worker, struct net_mail *mail)
{
	struct edge_worker *w = worker->owner;

	free(mail);
	if (w == NULL)
		return;
	for (size_t i = 0; i < EDGE_FACES(w->edge->config); i++)
		sip_entrance_pause(w->door[i]);
	sip_relay_drain(w->relay);
	w->drain.fire = look_whether_busy;
	look_whether_busy(&w->drain);
}

static bool
is_busy(const struct edge *e)
{
	for (unsigned id = 0; id < net_crew_count(e->crew); id++) {
		const struct edge_worker *w = net_crew_worker(e->crew, id)->owner;

		if (w != NULL && atomic_load(&w->busy))
			return true;
	}
	return false;
}

void
edge_drain(struct edge *e)
{
	uint64_t until = clock_ms() + (uint64_t)e->config->drain * 1000;

	log_say(SP_LOG_NOTICE, "stopping", "no new requests; those in flight have %d seconds", e->config->drain);
	for (unsigned id = 0; id < net_crew_count(e->crew); id++) {
		struct net_worker *worker = net_crew_worker(e->crew, id);
		struct edge_worker *w = worker->owner;
		struct net_mail *m = xcalloc(1, sizeof(*m));

		/* until the worker has looked itself */
		if (w != NULL)
			atomic_store(&w->busy, true);
		m->deliver = deliver_drain;
		net_worker_post(worker, m);
	}
	while (is_busy(e) && clock_ms() < until) {
		/* whoever asks on the control socket is answered up to the end */
		control_run_main(e->control);
		backstage_look(e->stage);
		usleep(LOOK_MS * 1000);
	}
}
