/*
 * edge/doctorshared.c - the doctor's look at an array: has the running edge what the nodes share?
 */
#include "edge/doctorshared.h"

#include "admin/ctlclient.h"
#include "common/err.h"
#include "net/stats.h"

#define ANSWER_MS	3000

static const char *
fix_of(struct span reason)
{
	static const char *const fixes[STATS_NSHARED] = {
		[STATS_SHARED_LOGIN] = "Give shared.user and the file of shared.password what Redis' access list has.",
		[STATS_SHARED_CERTIFICATE] = "Make shared.trust and shared.name fit the certificate of the Redis server, or renew that.",
		[STATS_SHARED_NONSENSE] = "Look at who else writes below shared.prefix in Redis; once the key PREFIX:policy is gone, the nodes "
		    "write it anew.",
		[STATS_SHARED_POLICY] = "The log says what is wrong with the shared policy (shared-policy-refused); commit one that does on "
		    "all nodes.",
		[STATS_SHARED_REFUSED] = "Look at what Redis answered: its access list, its disk and memory, and whether it is a replica, "
		    "which only reads.",
		[STATS_SHARED_HUNG] = "The process named \"shared\" is stopped or starved; the edge makes another by itself.",
	};

	for (enum stats_shared i = 0; i < STATS_NSHARED; i++)
		if (fixes[i] != NULL && span_is(reason, stats_shared_name(i)))
			return fixes[i];
	return "Look after the Redis server; the nodes go on by themselves meanwhile, and agree by themselves afterwards.";
}

static void
show(struct ctl_steps *steps, const struct record *r)
{
	struct span state = record_get_text(r, "state"), reason = record_get_text(r, "reason"), detail = record_get_text(r, "detail");

	if (span_is(state, "shared") && record_get_int(r, "version", 0) == 0)
		ctl_step(steps, CTL_WARN, "shared", "If it stays so, the log says why (shared-policy-refused).", "no policy is shared yet");
	else if (span_is(state, "shared"))
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
