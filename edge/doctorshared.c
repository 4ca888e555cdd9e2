/*
 * edge/doctorshared.c - the doctor's look at an array: has the running edge what the nodes share?
 */
#include "edge/doctorshared.h"

#include "admin/ctlclient.h"
#include "common/err.h"

#define ANSWER_MS	3000

static const char *
fix_of(struct span reason)
{
	if (span_is(reason, "redis-login"))
		return "Give shared.user and the file of shared.password what Redis' access list has.";
	if (span_is(reason, "redis-certificate"))
		return "Make shared.trust and shared.name fit the certificate of the Redis server, or renew that.";
	if (span_is(reason, "redis-nonsense"))
		return "Look at who else writes below shared.prefix in Redis; once the key PREFIX:policy is gone, the nodes write it anew.";
	if (span_is(reason, "shared-policy"))
		return "The log says what is wrong with the shared policy (shared-policy-refused); commit one that does on all nodes.";
	if (span_is(reason, "redis-refused"))
		return "Look at what Redis answered: its access list, its disk and memory, and whether it is a replica, which only reads.";
	if (span_is(reason, "shared-hung"))
		return "The process named \"shared\" is stopped or starved; the edge makes another by itself.";
	return "Look after the Redis server; the nodes go on by themselves meanwhile, and agree by themselves afterwards.";
}

static void
show(struct ctl_steps *steps, const struct record *r)
{
	struct span state = record_get_text(r, "state"), reason = record_get_text(r, "reason"), detail = record_get_text(r, "detail");

	if (span_is(state, "shared"))
		ctl_step(steps, CTL_OK, "shared", NULL, "the array's nodes share one policy, version %lld",
		    (long long)record_get_int(r, "version", 0));
	else if (span_is(state, "alone"))
		ctl_step(steps, CTL_WARN, "shared", fix_of(reason), "this node of the array is on its own: %.*s (%.*s)", SPAN_FMT(reason),
		    SPAN_FMT(detail));
}

void
doctor_shared(struct ctl_steps *steps, const struct edge_config *c)
{
	struct ctlclient *client;
	struct record r;

	if (c->shared.server == NULL || c->control_socket == NULL || *c->control_socket == '\0')
		return;
	client = ctlclient_new();
	ctlclient_set_wait(client, ANSWER_MS);
	if (ctlclient_open(client, c->control_socket) == SP_OK) {
		ctlclient_begin(client, "status");
		if (ctlclient_send(client, -1) == SP_OK)
			while (ctlclient_next(client, &r) == 1)
				if (span_is(r.kind, "shared"))
					show(steps, &r);
	}
	ctlclient_free(client);
}
