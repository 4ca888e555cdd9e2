/*
 * edge/control.c - what may be asked of the edge over its control socket.
 *
 * A request is a row of verbs[]. Its function runs in the control thread and
 * touches the configuration (which is fixed) and what any thread may; whatever is a
 * worker's is asked of the worker, whatever is the main thread's of that.
 */
#include <errno.h>
#include <signal.h>
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
#include "common/mem.h"
#include "edge/controls.h"
#include "edge/sharedin.h"
#include "sip/sessions.h"

/* ---- status ---- */

/* A view_worker and what else the edge's workers have to say. */
struct edge_view {
	struct view_worker	 view;	/* first */
	size_t			 partners;	/* servers that the worker's policy names */
	time_t			 not_after[EDGE_IDENTITIES];	/* 0: there is no such identity */
};

static void
look_at_worker(void *who, struct control_answer *a)
{
	struct edge_worker *w = ((struct net_worker *)who)->owner;
	struct edge_view *v = a->slot;

	view_take(&v->view, w->relay, NULL, NULL);
	v->partners = policy_partner_count(w->rules);
	for (size_t i = 0; i < EDGE_IDENTITIES; i++)
		v->not_after[i] = w->material[i] != NULL ? net_tls_material_not_after(w->material[i]) : 0;
}

static void
put_doors(struct control_request *r, const struct edge_config *c)
{
	for (size_t i = 0; i < EDGE_FACES(c); i++) {
		bool inner = i == EDGE_INNER(c);
		const struct edge_door_conf *d = inner ? &c->inner : edge_outer(c, i);
		unsigned char room[RECORD_SMALL];
		struct record_writer w;

		record_begin(&w, room, sizeof(room), "door");
		record_str(&w, "listen", d->listen);
		record_str(&w, "name", d->name);
		record_str(&w, "side", inner ? "inner" : "outer");
		record_bool(&w, "users", !inner && d->users);
		record_bool(&w, "partners", !inner && d->partners);
		control_put(r, &w);
	}
}

static void
put_certificates(struct control_request *r, const struct edge_config *c, const struct edge_view *v)
{
	time_t now = clock_wall();

	for (size_t i = 0; i < EDGE_IDENTITIES; i++) {
		size_t door = i % EDGE_DIAL(0);
		unsigned char room[RECORD_SMALL];
		struct record_writer w;

		if (v->not_after[i] == 0)
			continue;
		record_begin(&w, room, sizeof(room), "certificate");
		if (door == EDGE_INNER(c))
			record_str(&w, "door", "inner");
		else
			record_printf(&w, "door", "outer[%zu]", door);
		record_str(&w, "use", i >= EDGE_DIAL(0) ? "dial" : "door");
		record_int(&w, "days_left", (int64_t)((v->not_after[i] - now) / 86400));
		record_time(&w, "not_after", v->not_after[i]);
		control_put(r, &w);
	}
}

static void
tell_status(struct control_request *r, const void *question, struct control_answer *const *answer, unsigned n)
{
	struct edge *e = control_owner(r);
	const struct edge_view *first = NULL;
	unsigned char room[RECORD_SMALL];
	struct record_writer w;
	uint64_t links = 0, transactions = 0;

	(void)question;
	for (unsigned i = 0; i < n; i++) {
		const struct edge_view *v = answer[i] != NULL ? answer[i]->slot : NULL;

		first = first == NULL ? v : first;
		links += v != NULL ? v->view.links : 0;
		transactions += v != NULL ? v->view.transactions : 0;
	}
	view_begin_daemon(&w, room, sizeof(room), "sallyport-edge", e->since);
	record_str(&w, "configuration", e->config->file);
	record_str(&w, "policy", e->config->policy);
	edge_put_obeyed(e, &w, "policy_");
	record_int(&w, "workers", n);
	record_int(&w, "connections", (int64_t)links);
	record_int(&w, "transactions", (int64_t)transactions);
	record_int(&w, "servers_in_policy", first != NULL ? (int64_t)first->partners : -1);
	record_int(&w, "discovered_partners", edge_discovered_count(e->discovered));
	control_put(r, &w);
	put_doors(r, e->config);
	edge_shared_put(e, r);
	view_put_processes(r, LIVES_KEYD + 1);
	view_put_hops(r, answer, n, "director");
	if (first != NULL)
		put_certificates(r, e->config, first);
	view_put_workers(r, answer, n);
	view_end(r, answer, n);
}

static void
run_status(struct control_request *r)
{
	control_ask_workers(r, &(struct control_asked){ .fn = look_at_worker, .slot_size = sizeof(struct edge_view),
	    .done = tell_status });
}

/* ---- discovered partners ---- */

static void
put_discovered(void *arg, const struct edge_discovered_state *s)
{
	struct control_request *r = arg;
	unsigned char room[RECORD_SMALL];
	char key[65];
	struct record_writer w;
	struct strbuf sb;

	strbuf_init(&sb, key, sizeof(key));
	strbuf_hex(&sb, s->fingerprint, 32, false);
	record_begin(&w, room, sizeof(room), "discovered");
	record_str(&w, "key", key);
	for (unsigned i = 0; i < s->ndomains; i++)
		record_item(&w, "domains", span_str(s->domain[i]));
	record_str(&w, "subject", s->subject);
	record_str(&w, "issuer", s->issuer);
	record_str(&w, "state", s->suspicious ? "suspicious" : s->at_limit ? "addressees at limit" : "good");
	record_bool(&w, "suspicious", s->suspicious);
	record_bool(&w, "at_limit", s->at_limit);
	record_int(&w, "addressees", s->addressees);
	record_int(&w, "answers", s->answers);
	record_int(&w, "failures", s->failures);
	record_int(&w, "requests", (int64_t)s->requests);
	record_int(&w, "refused_rate", (int64_t)s->refused_rate);
	record_int(&w, "refused_addressees", (int64_t)s->refused_addressees);
	record_int(&w, "silent", (int64_t)(s->silent_ms / 1000));
	control_put(r, &w);
}

static void
run_discovered_list(struct control_request *r)
{
	const struct edge *e = control_owner(r);

	edge_discovered_each(e->discovered, put_discovered, r);
	control_end(r, EX_OK, NULL);
}

static void
run_discovered_reset(struct control_request *r)
{
	const struct edge *e = control_owner(r);
	struct span key = control_text(r, "key");
	unsigned char fingerprint[32];
	char text[128];
	unsigned n;

	snprintf(text, sizeof(text), "%.*s", SPAN_FMT(key));
	if (span_is(key, "all")) {
		n = edge_discovered_reset(e->discovered, NULL);
	} else if (key.n >= sizeof(text) || !policy_read_fingerprint(text, fingerprint)) {
		control_end(r, EX_USAGE, "expects a certificate's SHA-256 in hexadecimal, or \"all\"");
		return;
	} else if ((n = edge_discovered_reset(e->discovered, fingerprint)) == 0) {
		control_end(r, EX_NOHOST, "there is no discovered partner with that certificate");
		return;
	}
	control_end(r, EX_OK, "%u forgotten", n);
}

/* ---- trace ---- */

static const char *
class_name(unsigned class)
{
	return policy_class_name((enum policy_class)class);
}

/* Whose server is meant by a display name or a domain: the policy knows, and that is with the workers. */
struct meant {
	char	name[VIEW_NAME], server[VIEW_NAME];
};

static void
find_meant(void *who, struct control_answer *a)
{
	struct edge_worker *w = ((struct net_worker *)who)->owner;
	const struct meant *q = a->question;
	struct meant *m = a->slot;
	size_t i = edge_find_partner(w->rules, span_str(q->name));

	if (i != SIZE_MAX)
		snprintf(m->server, sizeof(m->server), "%s", policy_partner_get(w->rules, i)->server);
}

static void
trace_meant(struct control_request *r, const void *question, struct control_answer *const *answer, unsigned n)
{
	const struct edge *e = control_owner(r);
	const struct meant *m = NULL;

	(void)question;
	for (unsigned i = 0; i < n && m == NULL; i++)
		m = answer[i] != NULL ? answer[i]->slot : NULL;
	trace_run_with(e->trace, r, m != NULL && m->server[0] != '\0' ? m->server : NULL);
}

static void
run_trace(struct control_request *r)
{
	const struct edge *e = control_owner(r);
	struct span partner = control_text(r, "partner");
	struct meant *q;

	if (partner.n == 0) {
		trace_run(e->trace, r);
		return;
	}
	q = xcalloc(1, sizeof(*q));
	snprintf(q->name, sizeof(q->name), "%.*s", SPAN_FMT(partner));
	control_ask_workers(r, &(struct control_asked){ .fn = find_meant, .question = q, .slot_size = sizeof(struct meant),
	    .done = trace_meant });
}

/* ---- what both daemons are asked ---- */

static bool
do_reload(void *owner, struct conf_errors *errs)
{
	return edge_reload(owner, errs);
}

static bool
do_reopen(void *owner)
{
	const struct edge *e = owner;

	return backstage_reopen_log(e->stage) == SP_OK && sip_sessions_reopen(e->sessions) == SP_OK;
}

static struct backstage *
stage_of(void *owner)
{
	return ((struct edge *)owner)->stage;
}

static struct sip_relay *
relay_of(void *worker)
{
	return ((struct edge_worker *)worker)->relay;
}

static const char *
link_class(struct sip_link *l)
{
	return policy_class_name((enum policy_class)sip_link_class(l));
}

/* ---- the table ---- */

static const struct control_arg trace_args[] = { TRACE_ARGS, { NULL, 0, false } };
static const struct control_arg key_args[] = { { "key", RECORD_TEXT, true }, { NULL, 0, false } };

static const struct control_verb verbs[] = {
	{ .name = "status", .right = CONTROL_READ, .run = run_status },
	{ .name = "trace", .right = CONTROL_READ, .args = trace_args, .run = run_trace },
	{ .name = "discovered-list", .right = CONTROL_READ, .run = run_discovered_list },
	{ .name = "discovered-reset", .right = CONTROL_CHANGE, .args = key_args, .run = run_discovered_reset },
	{ .name = NULL }
};

/* Who builds something else that may be asked has a table in a file of his own, and a row here. */
static const struct control_verb *const tables[] = { verbs, daemon_verbs, edge_explain_verbs, edge_partner_verbs, edge_policy_verbs, metrics_verbs, recent_verbs, NULL };

struct control *
edge_control_new(struct edge *e)
{
	static const struct daemon_acts acts = {
		.reload = do_reload, .refused = "the old configuration stays in force", .reopen = do_reopen,
		.stage = stage_of, .relay = relay_of, .link_class = link_class
	};
	struct control_setup setup = {
		.path = e->config->control_socket, .group = e->config->control_group,
		.operators = e->config->control_operators, .user = e->config->user, .leaves_file = true, .verbs = tables, .owner = e,
		.acts = &acts, .crew = e->crew
	};

	e->since = clock_wall();
	e->trace = trace_new(class_name);
	return control_new(&setup);
}
