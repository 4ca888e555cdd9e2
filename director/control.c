/*
 * director/control.c - what may be asked of the Director over its control socket.
 *
 * The configuration changes with a reload, in the main thread; so it is read
 * where it cannot: in a worker, which has a reference of its own.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "admin/daemonverbs.h"
#include "admin/master.h"
#include "admin/metrics.h"
#include "admin/recent.h"
#include "admin/view.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/lives.h"
#include "common/log.h"
#include "director/director.h"
#include "sip/sessions.h"
#include "director/links.h"
#include "director/sa.h"
#include "net/stats.h"

/* What to call a server of ours. */
static const char *
kind_name(enum server_kind kind)
{
	switch (kind) {
	case SERVER_EDGE:
		return "edge";
	case SERVER_POOL:
		return "pool";
	case SERVER_ROUTE:
		return "route";
	case SERVER_TRUSTED:
		return "server";
	default:
		return "client";
	}
}

static const char *
what_hop(const struct sip_hop_state *s, void *arg)
{
	static const enum server_kind kinds[] = { SERVER_EDGE, SERVER_POOL, SERVER_ROUTE };
	const struct director_worker *w = arg;

	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
		for (size_t i = 0; i < servers_count(w->config, kinds[k]); i++)
			if (strcasecmp(server_at(w->config, kinds[k], i)->name, s->name) == 0)
				return kind_name(kinds[k]);
	return "former";	/* of an earlier configuration */
}

static void
put_doors(struct control_answer *a, const struct director_config *c)
{
	static const char *const admits[] = { "servers", "clients", "servers and clients" };

	for (size_t i = 0; i < c->doors.n; i++) {
		unsigned char room[RECORD_SMALL];
		struct record_writer w;

		record_begin(&w, room, sizeof(room), "door");
		record_str(&w, "listen", director_door(c, i)->listen);
		record_str(&w, "name", c->name);
		record_str(&w, "admits", admits[director_door(c, i)->admits]);
		control_answer_put(a, &w);
	}
}

/* Which of the servers that the configuration names have not been called: they have no hop yet. */
static void
put_unused(struct control_answer *a, const struct director_worker *w, const struct view_worker *v)
{
	static const enum server_kind kinds[] = { SERVER_EDGE, SERVER_POOL, SERVER_ROUTE };

	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
		for (size_t i = 0; i < servers_count(w->config, kinds[k]); i++) {
			const struct director_server *s = server_at(w->config, kinds[k], i);
			unsigned char room[RECORD_SMALL];
			struct record_writer rec;
			bool called = false;

			for (unsigned j = 0; j < v->nhops && !called; j++)
				called = strcasecmp(v->hop[j].name, s->name) == 0;
			if (called)
				continue;
			record_begin(&rec, room, sizeof(room), "uncalled");
			record_str(&rec, "what", kind_name(kinds[k]));
			record_str(&rec, "name", s->name);
			control_answer_put(a, &rec);
		}
}

/* ---- status ---- */

static void
look_at_worker(void *who, struct control_answer *a)
{
	struct director_worker *w = ((struct net_worker *)who)->owner;

	view_take(a->slot, w->relay, what_hop, w);
	/* one of them is enough for what all have */
	if (a->worker == 0)
		put_doors(a, w->config);
}

static void
tell_status(struct control_request *r, const void *question, struct control_answer *const *answer, unsigned n)
{
	const struct director *d = control_owner(r);
	unsigned char room[RECORD_SMALL];
	struct record_writer w;
	uint64_t links = 0, transactions = 0;

	(void)question;
	for (unsigned i = 0; i < n; i++) {
		const struct view_worker *v = answer[i] != NULL ? answer[i]->slot : NULL;

		links += v != NULL ? v->links : 0;
		transactions += v != NULL ? v->transactions : 0;
	}
	view_begin_daemon(&w, room, sizeof(room), "sallyport-director", d->since);
	record_str(&w, "configuration", d->file);
	record_int(&w, "workers", n);
	record_int(&w, "connections", (int64_t)links);
	record_int(&w, "transactions", (int64_t)transactions);
	record_int(&w, "signed_in", sa_established(d->sas));
	control_put(r, &w);
	if (answer[0] != NULL)
		control_put_answer(r, answer[0]);
	view_put_processes(r, LIVES_AUTHD + 1);
	view_put_hops(r, answer, n, "hop");
	view_put_workers(r, answer, n);
	view_end(r, answer, n);
}

static void
run_status(struct control_request *r)
{
	control_ask_workers(r, &(struct control_asked){ .fn = look_at_worker, .slot_size = sizeof(struct view_worker),
	    .done = tell_status });
}

/* ---- pools ---- */

static void
look_at_hops(void *who, struct control_answer *a)
{
	struct director_worker *w = ((struct net_worker *)who)->owner;

	view_take(a->slot, w->relay, what_hop, w);
	if (a->worker == 0)
		put_unused(a, w, a->slot);
}

static void
tell_pools(struct control_request *r, const void *question, struct control_answer *const *answer, unsigned n)
{
	(void)question;
	view_put_hops(r, answer, n, "hop");
	if (answer[0] != NULL)
		control_put_answer(r, answer[0]);
	view_end(r, answer, n);
}

static void
run_pools(struct control_request *r)
{
	control_ask_workers(r, &(struct control_asked){ .fn = look_at_hops, .slot_size = sizeof(struct view_worker),
	    .done = tell_pools });
}

/* ---- certs ---- */

/* In the main thread, whose the newest identities are. */
static void
look_at_certs(void *who, struct control_answer *a)
{
	const struct director *d = who;

	for (size_t i = 0; i < d->config->doors.n && i < DIRECTOR_DOORS_MAX; i++) {
		unsigned char room[2 * RECORD_SMALL];
		struct record_writer w;

		if (d->material[i] != NULL && view_own(&w, room, sizeof(room), director_door(d->config, i)->listen, false,
		    d->config->name, d->material[i]))
			control_answer_put(a, &w);
	}
}

static void
tell_certs(struct control_request *r, const void *question, struct control_answer *const *answer, unsigned n)
{
	const struct director *d = control_owner(r);

	(void)question;
	(void)n;
	if (answer[0] == NULL) {
		control_end(r, EX_TEMPFAIL, "the daemon did not get to it in time");
		return;
	}
	control_put_answer(r, answer[0]);
	if (control_int(r, "all", 0) != 0)
		seen_each(d->seen, view_put_seen, r);
	control_end(r, EX_OK, NULL);
}

static void
run_certs(struct control_request *r)
{
	control_ask_main(r, &(struct control_asked){ .fn = look_at_certs, .done = tell_certs });
}

/* ---- trace ---- */

static const char *
class_name(unsigned class)
{
	switch (class) {
	case STATS_CLASS_CLIENT:
		return kind_name(SERVER_NONE);
	case STATS_CLASS_EDGE:
		return kind_name(SERVER_EDGE);
	case STATS_CLASS_POOL:
		return kind_name(SERVER_POOL);
	case STATS_CLASS_ROUTE:
		return kind_name(SERVER_ROUTE);
	case STATS_CLASS_SERVER:
		return kind_name(SERVER_TRUSTED);
	default:
		return "unknown";
	}
}

static void
run_trace(struct control_request *r)
{
	const struct director *d = control_owner(r);

	trace_run(d->trace, r);
}

/* ---- signed-in ---- */

static bool
put_association(void *arg, const struct sa_row *s)
{
	struct control_request *r = arg;
	unsigned char room[RECORD_SMALL];
	struct span user = control_text(r, "user");
	struct record_writer w;

	if (user.n != 0 && !span_ieq(user, span_str(s->aor)))
		return true;
	record_begin(&w, room, sizeof(room), "association");
	record_str(&w, "user", s->aor);
	record_str(&w, "device", s->epid);
	record_str(&w, "scheme", sa_scheme_name(s->scheme));
	record_int(&w, "version", s->version);
	record_int(&w, "silent", (int64_t)(s->silent_ms / 1000));
	record_int(&w, "ends_in", (int64_t)(s->left_ms / 1000));
	return control_put(r, &w);
}

static void
run_signed_in(struct control_request *r)
{
	const struct director *d = control_owner(r);

	if (control_int(r, "count", 0) != 0) {
		unsigned char room[RECORD_SMALL];
		struct record_writer w;

		record_begin(&w, room, sizeof(room), "count");
		record_int(&w, "signed_in", sa_established(d->sas));
		control_put(r, &w);
	} else {
		sa_each(d->sas, clock_ms(), put_association, r);
	}
	control_end(r, EX_OK, NULL);
}

/* ---- what both daemons are asked ---- */

static bool
do_reload(void *owner, struct conf_errors *errs)
{
	return director_reload(owner, errs);
}

static bool
do_reopen(void *owner)
{
	return director_reopen_logs(owner);
}

static struct backstage *
stage_of(void *owner)
{
	return ((struct director *)owner)->stage;
}

static struct sip_relay *
relay_of(void *worker)
{
	return ((struct director_worker *)worker)->relay;
}

static const char *
link_class(struct sip_link *l)
{
	return kind_name((enum server_kind)sip_link_words(l)[LINK_KIND]);
}

/* ---- the table ---- */

static const struct control_arg trace_args[] = { TRACE_ARGS, { NULL, 0, false } };
static const struct control_arg certs_args[] = { { "all", RECORD_BOOL, false }, { NULL, 0, false } };
static const struct control_arg signed_in_args[] = { { "user", RECORD_TEXT, false }, { "count", RECORD_BOOL, false },
	{ NULL, 0, false } };

static const struct control_verb verbs[] = {
	{ .name = "status", .right = CONTROL_READ, .run = run_status },
	{ .name = "trace", .right = CONTROL_READ, .args = trace_args, .run = run_trace },
	{ .name = "signed-in", .right = CONTROL_READ, .args = signed_in_args, .run = run_signed_in },
	{ .name = "certs", .right = CONTROL_READ, .args = certs_args, .run = run_certs },
	{ .name = "pools", .right = CONTROL_READ, .run = run_pools },
	{ .name = NULL }
};

/* Who builds something else that may be asked has a table in a file of his own, and a row here. */
static const struct control_verb *const tables[] = { verbs, daemon_verbs, metrics_verbs, recent_verbs, NULL };

struct control *
director_control_new(struct director *d)
{
	static const struct daemon_acts acts = {
		.reload = do_reload, .refused = "what is wrong was not taken over", .reopen = do_reopen,
		.stage = stage_of, .relay = relay_of, .link_class = link_class
	};
	struct control_setup setup = {
		.path = d->config->control_socket, .group = d->config->control_group,
		.operators = d->config->control_operators, .user = d->config->user, .leaves_file = true, .verbs = tables, .owner = d,
		.acts = &acts, .crew = d->crew
	};

	d->since = clock_wall();
	d->trace = trace_new(class_name);
	return control_new(&setup);
}
