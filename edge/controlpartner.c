/*
 * edge/controlpartner.c - partners and certificates over the control socket.
 *
 * A partner is a server that the policy names. What is known of it comes from
 * three sides: the policy itself, each worker's next hop and connections, and
 * the certificates that were seen.
 */
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "admin/view.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/mem.h"
#include "edge/controls.h"
#include "net/stats.h"
#include "policy/content.h"
#include "policy/domain.h"
#include "sip/state.h"

#define TEST_EVERY_MS	50
#define DOMAINS_SHOWN	40	/* of one partner; how many more there are is said */
#define PINS_SHOWN	8
#define TEST_MS		15000	/* more than limits.connect's default and DNS together */

/* ---- what a worker knows of each partner ---- */

struct partner_state {
	bool			 called;	/* there is a next hop */
	bool			 up, by_inbound;
	const char		*state;
	unsigned		 waiting, links_in, links_out, number;	/* the last: under which it is counted */
	uint64_t		 retry_ms;
	time_t			 up_at, failed_at;
	enum policy_reason	 failure;
	const char		*detail;
};

/* A worker's answer: a state for each partner of its rules. */
struct partner_view {
	struct policy_rules	*rules;		/* referenced */
	size_t			 n;
	struct partner_state	*v;
	struct net_tls_material	*material[EDGE_IDENTITIES];	/* the first worker's; referenced */
};

static void
fini_view(void *slot)
{
	struct partner_view *v = slot;

	policy_rules_unref(v->rules);
	for (size_t i = 0; i < EDGE_IDENTITIES; i++)
		net_tls_material_unref(v->material[i]);
	free(v->v);
}

/* Servers in the order of their names, so that thousands of connections find theirs. */
struct by_server {
	const char	*server;
	size_t		 i;
};

struct index {
	struct partner_view	*view;
	struct by_server	*v;
};

static int
compare_servers(const void *a, const void *b)
{
	return strcasecmp(((const struct by_server *)a)->server, ((const struct by_server *)b)->server);
}

static struct partner_state *
state_of(const struct index *x, struct span server)
{
	char name[VIEW_NAME];
	struct by_server key = { .server = name }, *found;

	if (server.n >= sizeof(name) || x->view->n == 0)
		return NULL;
	snprintf(name, sizeof(name), "%.*s", SPAN_FMT(server));
	found = bsearch(&key, x->v, x->view->n, sizeof(*x->v), compare_servers);
	return found != NULL ? &x->view->v[found->i] : NULL;
}

static void
take_hop(struct sip_hop *h, void *arg)
{
	struct partner_state *p;
	struct sip_hop_state s;

	sip_hop_state_of(h, &s);
	if (s.face->side != POLICY_SIDE_OUTER || (p = state_of(arg, span_str(s.name))) == NULL)
		return;
	p->called = true;
	p->up |= s.up;
	p->by_inbound |= s.by_inbound;
	p->state = s.state;
	p->waiting += s.waiting;
	p->retry_ms = s.retry_ms;
	p->up_at = s.up_at;
	p->failed_at = s.failed_at;
	p->failure = s.failure;
	p->detail = s.detail;
}

static void
take_link(struct sip_link *l, void *arg)
{
	struct partner_state *p;
	struct sip_link_state s;

	sip_link_state_of(l, &s);
	if (s.face->side != POLICY_SIDE_OUTER || s.peer == NULL || !s.peer->has_certificate)
		return;
	for (unsigned i = 0; i < s.peer->nnames; i++)
		if ((p = state_of(arg, s.peer->names[i])) != NULL) {
			p->links_in += s.inbound;
			p->links_out += !s.inbound;
		}
}

static void
look_at_partners(void *who, struct control_answer *a)
{
	struct edge_worker *w = ((struct net_worker *)who)->owner;
	struct partner_view *view = a->slot;
	struct index x = { .view = view };

	view->rules = policy_rules_ref(w->rules);
	view->n = policy_partner_count(w->rules);
	view->v = xcalloc(view->n + 1, sizeof(*view->v));
	x.v = xcalloc(view->n + 1, sizeof(*x.v));
	for (size_t i = 0; i < view->n; i++)
		view->v[i].number = w->partner_number[i];
	for (size_t i = 0; i < view->n; i++)
		x.v[i] = (struct by_server){ policy_partner_get(w->rules, i)->server, i };
	qsort(x.v, view->n, sizeof(*x.v), compare_servers);
	sip_relay_each_hop(w->relay, take_hop, &x);
	sip_relay_each_link(w->relay, take_link, &x);
	for (size_t i = 0; a->worker == 0 && i < EDGE_IDENTITIES; i++)
		view->material[i] = w->material[i] != NULL ? net_tls_material_ref(w->material[i]) : NULL;
	free(x.v);
}

/* ---- the certificates that partners have shown ---- */

/* What was seen of one partner. Strings are copies. */
struct partner_seen {
	bool			 accepted, refused;
	time_t			 accepted_at, refused_at, not_after;
	enum policy_reason	 why;
	char			 detail[128];
	unsigned		 usage;
	char			 subject[256], issuer[256], names[512];
	char			 fingerprint[65];
	/* the one before it, if another was accepted before this one was first shown */
	bool			 was;
	unsigned		 was_usage;
	char			 was_issuer[256], was_names[512];
};

struct seeing {
	const struct policy_rules *rules;
	const struct index	*x;
	struct partner_seen	*v;		/* as many as partners */
};

static void
copy_seen(struct partner_seen *p, const struct seen_state *s)
{
	struct strbuf sb;

	p->not_after = s->not_after;
	p->usage = s->usage;
	snprintf(p->subject, sizeof(p->subject), "%s", s->subject);
	snprintf(p->issuer, sizeof(p->issuer), "%s", s->issuer);
	snprintf(p->names, sizeof(p->names), "%s", s->names);
	strbuf_init(&sb, p->fingerprint, sizeof(p->fingerprint));
	strbuf_hex(&sb, s->fingerprint, 32, false);
}

static void
note_seen(void *arg, const struct seen_state *s)
{
	const struct seeing *g = arg;
	struct span rest = span_str(s->names), name;

	while (rest.n != 0) {
		const struct partner_state *state;
		struct partner_seen *p;

		name = span_head(rest, span_find(rest, ' '));
		rest = span_tail(rest, name.n + 1);
		if ((state = state_of(g->x, name)) == NULL)
			continue;
		p = &g->v[state - g->x->view->v];
		if (s->why == POLICY_REASON_ALLOWED) {
			if ((p->was = p->accepted && p->accepted_at <= s->first)) {
				p->was_usage = p->usage;
				memcpy(p->was_issuer, p->issuer, sizeof(p->was_issuer));
				memcpy(p->was_names, p->names, sizeof(p->was_names));
			}
			p->accepted = true;
			p->accepted_at = s->last;
			copy_seen(p, s);
		} else {
			p->refused = true;
			p->refused_at = s->last;
			p->why = s->why;
			snprintf(p->detail, sizeof(p->detail), "%s", s->detail != NULL ? s->detail : "");
			if (!p->accepted)
				copy_seen(p, s);
		}
	}
}

/* ---- the workers' answers as one ---- */

struct partners {
	const struct policy_rules *rules;	/* of the first worker that answered */
	struct partner_view	 sum;
	struct partner_seen	*seen;
	struct index		 x;
};

static void
add_state(struct partner_state *to, const struct partner_state *s)
{
	to->called |= s->called;
	to->number = s->number;
	to->up |= s->up;
	to->by_inbound |= s->by_inbound;
	to->waiting += s->waiting;
	to->links_in += s->links_in;
	to->links_out += s->links_out;
	if (s->state != NULL && (to->state == NULL || (strcmp(to->state, "up") != 0 && strcmp(s->state, "idle") != 0)))
		to->state = s->state;
	to->retry_ms = s->retry_ms > to->retry_ms ? s->retry_ms : to->retry_ms;
	to->up_at = s->up_at > to->up_at ? s->up_at : to->up_at;
	if (s->failed_at > to->failed_at) {
		to->failed_at = s->failed_at;
		to->failure = s->failure;
		to->detail = s->detail;
	}
}

/* False: nobody answered. */
static bool
gather(struct partners *ps, const struct edge *e, struct control_answer *const *answer, unsigned n)
{
	struct seeing g;

	*ps = (struct partners){ .rules = NULL };
	for (unsigned i = 0; i < n; i++) {
		const struct partner_view *v = answer[i] != NULL ? answer[i]->slot : NULL;

		if (v == NULL)
			continue;
		if (ps->rules == NULL) {
			ps->rules = v->rules;
			ps->sum.n = v->n;
			ps->sum.v = xcalloc(v->n + 1, sizeof(*v->v));
		}
		/* in the middle of a reload some have other rules: theirs are not counted */
		for (size_t k = 0; v->rules == ps->rules && k < v->n; k++)
			add_state(&ps->sum.v[k], &v->v[k]);
	}
	if (ps->rules == NULL)
		return false;
	ps->x = (struct index){ &ps->sum, xcalloc(ps->sum.n + 1, sizeof(struct by_server)) };
	for (size_t i = 0; i < ps->sum.n; i++)
		ps->x.v[i] = (struct by_server){ policy_partner_get(ps->rules, i)->server, i };
	qsort(ps->x.v, ps->sum.n, sizeof(*ps->x.v), compare_servers);
	ps->seen = xcalloc(ps->sum.n + 1, sizeof(*ps->seen));
	g = (struct seeing){ ps->rules, &ps->x, ps->seen };
	seen_each(e->seen, note_seen, &g);
	return true;
}

static void
let_go(struct partners *ps)
{
	free(ps->sum.v);
	free(ps->x.v);
	free(ps->seen);
}

/* In one word. */
static const char *
verdict(const struct partner_state *s)
{
	if (s->up || s->links_in != 0)
		return "up";
	if (!s->called)
		return "unused";
	return s->state != NULL ? s->state : "idle";
}

/* What a partner's certificate has lost since the one before, and what it showed when we called it last. */
static void
put_change(struct record_writer *w, const struct partner_seen *s, const struct partner_state *state)
{
	char text[256];

	if (s->was)
		view_change(w, &(struct view_certificate){ s->was_issuer, s->was_names, s->was_usage },
		    &(struct view_certificate){ s->issuer, s->names, s->usage }, false);
	if (state->failure == POLICY_REASON_HOP_CERTIFICATE && state->failed_at > state->up_at && state->failed_at >= s->accepted_at) {
		snprintf(text, sizeof(text), "when it was called, what it showed was refused: %s",
		    state->detail != NULL ? state->detail : policy_reason_text(state->failure));
		record_item(w, "forecast", span_str(text));
	}
}

/* ---- partner list, partner show ---- */

static void
put_row(struct control_request *r, const struct partners *ps, size_t i)
{
	const struct policy_partner *p = policy_partner_get(ps->rules, i);
	const struct partner_state *s = &ps->sum.v[i];
	const struct partner_seen *seen = &ps->seen[i];
	struct policy_partner_terms terms;
	unsigned char room[RECORD_SMALL];
	struct record_writer w;

	record_begin(&w, room, sizeof(room), "partner");
	record_str(&w, "name", p->name);
	record_str(&w, "class", policy_class_name(policy_partner_class(ps->rules, i)));
	record_str(&w, "server", p->server);
	record_str(&w, "state", verdict(s));
	record_int(&w, "in", s->links_in);
	record_int(&w, "out", s->links_out);
	if (s->number != 0) {
		record_int(&w, "received", (int64_t)stats_partner_value(s->number, STATS_PARTNER_IN));
		record_int(&w, "sent", (int64_t)stats_partner_value(s->number, STATS_PARTNER_OUT));
		record_int(&w, "refused", (int64_t)stats_partner_value(s->number, STATS_PARTNER_REFUSED));
	}
	policy_partner_terms_of(ps->rules, i, &terms);
	record_bool(&w, "paused", terms.paused);
	record_time(&w, "last_success", s->up_at > seen->accepted_at ? s->up_at : seen->accepted_at);
	record_time(&w, "last_failure", s->failed_at > seen->refused_at ? s->failed_at : seen->refused_at);
	if (seen->accepted || seen->refused)
		record_int(&w, "days_left", view_days_left(seen->not_after));
	control_put(r, &w);
}

/* ---- what the policy says of one, and what was counted ---- */

struct domains {
	struct record_writer	*w;
	size_t			 n;
};

/* As policy.conf has them: ".contoso.example" is what is below it. */
static void
put_domain(void *arg, struct span domain, bool below)
{
	struct domains *d = arg;
	char text[VIEW_NAME + 1];

	if (d->n++ >= DOMAINS_SHOWN)
		return;
	snprintf(text, sizeof(text), "%s%.*s", below ? "." : "", SPAN_FMT(domain));
	record_item(d->w, "domains", span_str(text));
}

static void
put_content(struct record_writer *w, const char *name, const struct policy_content *c)
{
	static const char *const words[] = {
		[POLICY_CONTENT_ALLOW] = "allow", [POLICY_CONTENT_WARN] = "warn", [POLICY_CONTENT_LISTED] = "block-listed",
		[POLICY_CONTENT_BLOCK] = "block"
	};

	if (c != NULL)
		record_printf(w, name, "links %s, files %s (%s:%d)", words[c->links], words[c->files], c->file, c->line);
}

static void
put_terms(struct record_writer *w, const struct policy_rules *rules, size_t i)
{
	enum policy_class class = policy_partner_class(rules, i);
	const unsigned char *pin[PINS_SHOWN];
	struct policy_partner_terms t;
	struct domains d = { .w = w };
	size_t npins = policy_partner_pins(rules, i, pin, PINS_SHOWN);

	policy_partner_terms_of(rules, i, &t);
	policy_partner_each_domain(rules, i, put_domain, &d);
	if (d.n > DOMAINS_SHOWN)
		record_int(w, "more_domains", (int64_t)(d.n - DOMAINS_SHOWN));
	record_bool(w, "paused", t.paused);
	if (class == POLICY_CLASS_PROVIDER)
		record_bool(w, "enabled", t.enabled);
	record_str(w, "verification", t.verification);
	record_bool(w, "trusted", t.trusted);
	record_bool(w, "member", t.member);
	record_str(w, "certificate_rule", t.certificate);
	for (size_t k = 0; k < npins && k < PINS_SHOWN; k++) {
		char hex[65];
		struct strbuf sb;

		strbuf_init(&sb, hex, sizeof(hex));
		strbuf_hex(&sb, pin[k], 32, false);
		record_item(w, "pins", span_str(hex));
	}
	if (class != POLICY_CLASS_UNKNOWN) {
		put_content(w, "content_in", policy_content_of(rules, class, false));
		put_content(w, "content_out", policy_content_of(rules, class, true));
	}
}

static void
put_last(struct record_writer *w, unsigned number, enum stats_of_partner what, const char *why_name, const char *at_name)
{
	enum policy_reason why;
	time_t at;

	if (stats_partner_last(number, what, &why, &at)) {
		record_str(w, why_name, policy_reason_name(why));
		record_time(w, at_name, at);
	}
}

static void
put_counters(struct record_writer *w, unsigned number, time_t since)
{
	/* of one beyond STATS_PARTNERS_MAX there are none of its own */
	if (number == 0)
		return;
	record_time(w, "counted_since", since);
	record_int(w, "received", (int64_t)stats_partner_value(number, STATS_PARTNER_IN));
	record_int(w, "sent", (int64_t)stats_partner_value(number, STATS_PARTNER_OUT));
	record_int(w, "unanswered", (int64_t)stats_partner_value(number, STATS_PARTNER_FAILED));
	put_last(w, number, STATS_PARTNER_FAILED, "unanswered_reason", "unanswered_at");
	record_int(w, "refused", (int64_t)stats_partner_value(number, STATS_PARTNER_REFUSED));
	put_last(w, number, STATS_PARTNER_REFUSED, "refused_reason", "refused_at");
	record_int(w, "handshake_failures", (int64_t)stats_partner_value(number, STATS_PARTNER_UNMADE));
	put_last(w, number, STATS_PARTNER_UNMADE, "handshake_reason", "handshake_at");
}

static void
put_limit(struct record_writer *w, const char *name, int limit)
{
	if (limit != 0)
		record_int(w, name, limit);
	else
		record_str(w, name, "no limit");
}

/* What it may do at most, beside what it does. */
static void
put_limits(struct control_request *r, const struct partners *ps, size_t i)
{
	const struct edge *e = control_owner(r);
	const struct edge_limits_conf *l = &e->config->limits;
	unsigned char room[RECORD_SMALL];
	struct record_writer w;

	record_begin(&w, room, sizeof(room), "limits");
	record_int(&w, "connections_in", ps->sum.v[i].links_in);
	put_limit(&w, "connections_in_max", l->connections_partner);
	put_limit(&w, "requests_per_second", l->partner_rate);
	record_int(&w, "burst_seconds", l->burst);
	put_limit(&w, "in_flight_per_connection", l->partner_requests);
	record_int(&w, "waiting_max", l->hop_queue);
	record_int(&w, "message_bytes", l->message_size);
	control_put(r, &w);
}

static void
put_card(struct control_request *r, const struct partners *ps, size_t i)
{
	const struct edge *e = control_owner(r);
	const struct policy_partner *p = policy_partner_get(ps->rules, i);
	const struct partner_state *s = &ps->sum.v[i];
	const struct partner_seen *seen = &ps->seen[i];
	bool inward = seen->refused_at > s->failed_at;
	unsigned char room[DOMAINS_SHOWN * (VIEW_NAME + 16) + 2 * RECORD_SMALL];
	struct record_writer w;

	record_begin(&w, room, sizeof(room), "partner");
	record_str(&w, "name", p->name);
	record_str(&w, "class", policy_class_name(policy_partner_class(ps->rules, i)));
	record_str(&w, "server", p->server);
	record_int(&w, "port", p->port);
	record_str(&w, "state", verdict(s));
	record_int(&w, "connections_in", s->links_in);
	record_int(&w, "connections_out", s->links_out);
	record_int(&w, "waiting", s->waiting);
	record_int(&w, "retry_ms", (int64_t)s->retry_ms);
	record_time(&w, "last_success", s->up_at > seen->accepted_at ? s->up_at : seen->accepted_at);
	record_time(&w, "last_failure", inward ? seen->refused_at : s->failed_at);
	if (inward || s->failed_at != 0) {
		record_str(&w, "reason", policy_reason_name(inward ? seen->why : s->failure));
		record_str(&w, "detail", inward ? seen->detail : s->detail != NULL ? s->detail : policy_reason_text(s->failure));
	}
	record_str(&w, "certificate", seen->accepted ? "accepted" : seen->refused ? "refused" : "never seen");
	if (seen->accepted || seen->refused) {
		record_str(&w, "subject", seen->subject);
		record_str(&w, "issuer", seen->issuer);
		record_str(&w, "names", seen->names);
		record_time(&w, "not_after", seen->not_after);
		record_int(&w, "days_left", view_days_left(seen->not_after));
		view_usage(&w, seen->usage);
		record_str(&w, "fingerprint", seen->fingerprint);
		view_forecast(&w, seen->not_after, seen->usage);
		put_change(&w, seen, s);
	}
	put_terms(&w, ps->rules, i);
	record_bool(&w, "accept_cn", p->accept_cn);
	put_counters(&w, s->number, e->since);
	control_put(r, &w);
	put_limits(r, ps, i);
}

/* By display name, server's name or domain. SIZE_MAX: none. */
size_t
edge_find_partner(const struct policy_rules *rules, struct span name)
{
	char storage[DOMAIN_MAX];
	struct span domain;
	bool is_ip;

	for (size_t i = 0; i < policy_partner_count(rules); i++) {
		const struct policy_partner *p = policy_partner_get(rules, i);

		if (span_iis(name, p->server) || (p->name != NULL && span_is(name, p->name)))
			return i;
	}
	if (policy_domain_canon(name, storage, &domain, &is_ip) == SP_OK)
		return policy_partner_of_domain(rules, domain);
	return SIZE_MAX;
}

static void
tell_list(struct control_request *r, const void *question, struct control_answer *const *answer, unsigned n)
{
	struct partners ps;

	(void)question;
	if (gather(&ps, control_owner(r), answer, n)) {
		for (size_t i = 0; i < ps.sum.n; i++)
			put_row(r, &ps, i);
		let_go(&ps);
	}
	view_end(r, answer, n);
}

static void
tell_card(struct control_request *r, const void *question, struct control_answer *const *answer, unsigned n)
{
	struct partners ps;
	size_t i;

	(void)question;
	if (!gather(&ps, control_owner(r), answer, n)) {
		view_end(r, answer, n);
		return;
	}
	if ((i = edge_find_partner(ps.rules, control_text(r, "name"))) == SIZE_MAX)
		control_end(r, EX_NOHOST, "the policy names no such partner");
	else
		put_card(r, &ps, i);
	let_go(&ps);
	if (i != SIZE_MAX)
		view_end(r, answer, n);
}

static void
ask_partners(struct control_request *r, void (*done)(struct control_request *, const void *, struct control_answer *const *, unsigned))
{
	control_ask_workers(r, &(struct control_asked){ .fn = look_at_partners, .slot_size = sizeof(struct partner_view),
	    .fini_slot = fini_view, .done = done });
}

static void
run_list(struct control_request *r)
{
	ask_partners(r, tell_list);
}

static void
run_show(struct control_request *r)
{
	ask_partners(r, tell_card);
}

/* ---- partner test: connect now, and say what came of it ---- */

struct trial {
	struct net_timer	 timer;
	struct control_request	*r;
	uint64_t		 until;
	time_t			 since;		/* failures from then on are ours */
	bool			 begun;
	char			 name[VIEW_NAME];
};

/* What the first worker says: its hop's state after each look. */
struct trial_view {
	bool			 known, up, by_inbound, failed, trying;
	time_t			 failed_at;
	enum policy_reason	 failure;
	char			 detail[128], server[VIEW_NAME];
};

static void
trial_over(struct control_request *r, void *arg)
{
	struct trial *t = arg;

	net_timer_cancel(control_loop(control_of(r)), &t->timer);
	free(t);
}

struct trial_question {
	bool	begin;
	time_t	since;
	char	name[VIEW_NAME];
};

static void
look_at_trial(void *who, struct control_answer *a)
{
	struct edge_worker *w = ((struct net_worker *)who)->owner;
	const struct trial_question *q = a->question;
	struct trial_view *v = a->slot;
	const struct policy_partner *p;
	struct sip_hop_state s;
	struct sip_hop *h;
	size_t i;

	if (a->worker != 0 || (i = edge_find_partner(w->rules, span_str(q->name))) == SIZE_MAX)
		return;
	p = policy_partner_get(w->rules, i);
	h = edge_partner_hop(w, i);
	if (q->begin)
		sip_hop_try(h);
	sip_hop_state_of(h, &s);
	*v = (struct trial_view){ .known = true, .up = s.up, .by_inbound = s.by_inbound,
	    .trying = strcmp(s.state, "resolving") == 0 || strcmp(s.state, "connecting") == 0,
	    .failed = !s.up && s.failed_at >= q->since, .failed_at = s.failed_at, .failure = s.failure };
	snprintf(v->detail, sizeof(v->detail), "%s", s.detail != NULL ? s.detail : policy_reason_text(s.failure));
	snprintf(v->server, sizeof(v->server), "%s", p->server);
}

static void
put_trial(struct control_request *r, const struct trial_view *v, const char *result)
{
	unsigned char room[RECORD_SMALL];
	struct record_writer w;

	record_begin(&w, room, sizeof(room), "test");
	record_str(&w, "server", v->server);
	record_str(&w, "result", result);
	if (v->up)
		record_str(&w, "over", v->by_inbound ? "a connection that it made" : "a connection that we made");
	if (v->failed) {
		record_str(&w, "reason", policy_reason_name(v->failure));
		record_str(&w, "detail", v->detail);
	}
	control_put(r, &w);
}

static void
tell_trial(struct control_request *r, const void *question, struct control_answer *const *answer, unsigned n)
{
	const struct trial_view *v = answer[0] != NULL ? answer[0]->slot : NULL;
	const struct trial_question *q = question;
	struct trial *t = control_kept(r);
	bool late = clock_ms() >= t->until;

	(void)n;
	if (v != NULL && v->known && !v->up && !late && (v->trying || (!v->failed && q->begin))) {
		net_timer_set(control_loop(control_of(r)), &t->timer, TEST_EVERY_MS);
		return;
	}
	control_on_gone(r, NULL, NULL);
	trial_over(r, t);
	if (v == NULL) {
		control_end(r, EX_TEMPFAIL, "the first worker does not answer");
	} else if (!v->known) {
		control_end(r, EX_NOHOST, "the policy names no such partner");
	} else if (v->up) {
		put_trial(r, v, "reached");
		control_end(r, EX_OK, NULL);
	} else if (v->failed) {
		put_trial(r, v, "not reached");
		control_end(r, EX_UNAVAILABLE, "%s", policy_reason_text(v->failure));
	} else {
		put_trial(r, v, "no result");
		control_end(r, EX_TEMPFAIL, "it takes too long");
	}
}

static void
ask_trial(struct trial *t)
{
	struct trial_question *q = xcalloc(1, sizeof(*q));

	q->begin = !t->begun;
	q->since = t->since;
	memcpy(q->name, t->name, sizeof(q->name));
	t->begun = true;
	control_ask_workers(t->r, &(struct control_asked){ .fn = look_at_trial, .question = q,
	    .slot_size = sizeof(struct trial_view), .done = tell_trial });
}

static void
look_again(struct net_timer *timer)
{
	ask_trial((struct trial *)((char *)timer - offsetof(struct trial, timer)));
}

static void
run_test(struct control_request *r)
{
	struct trial *t = xcalloc(1, sizeof(*t));
	struct span name = control_text(r, "name");

	t->r = r;
	t->timer.fire = look_again;
	t->until = clock_ms() + TEST_MS;
	t->since = clock_wall();
	snprintf(t->name, sizeof(t->name), "%.*s", SPAN_FMT(name));
	control_on_gone(r, trial_over, t);
	ask_trial(t);
}

/* ---- certs ---- */

static void
put_own(struct control_request *r, const struct edge_config *c, size_t i, const struct net_tls_material *m)
{
	size_t door = i % EDGE_DIAL(0);
	const struct edge_door_conf *d = door == EDGE_INNER(c) ? &c->inner : edge_outer(c, door);
	unsigned char room[2 * RECORD_SMALL];
	struct record_writer w;
	char label[32] = "inner";

	if (door != EDGE_INNER(c))
		snprintf(label, sizeof(label), "outer[%zu]", door);
	if (view_own(&w, room, sizeof(room), label, i >= EDGE_DIAL(0), i < EDGE_DIAL(0) ? d->name : NULL, m))
		control_put(r, &w);
}

/* Configured partners: what they have shown, and whether it will do tomorrow. */
static void
put_partners(struct control_request *r, const struct partners *ps)
{
	for (size_t i = 0; i < ps->sum.n; i++) {
		const struct policy_partner *p = policy_partner_get(ps->rules, i);
		const struct partner_seen *s = &ps->seen[i];
		unsigned char room[RECORD_SMALL];
		struct record_writer w;

		if (!s->accepted && !s->refused)
			continue;
		record_begin(&w, room, sizeof(room), "partner");
		record_str(&w, "name", p->name);
		record_str(&w, "server", p->server);
		record_str(&w, "verdict", s->accepted_at >= s->refused_at ? "accepted" : policy_reason_name(s->why));
		record_int(&w, "days_left", view_days_left(s->not_after));
		record_time(&w, "not_after", s->not_after);
		record_time(&w, "seen", s->accepted_at > s->refused_at ? s->accepted_at : s->refused_at);
		record_str(&w, "issuer", s->issuer);
		view_usage(&w, s->usage);
		view_forecast(&w, s->not_after, s->usage);
		put_change(&w, s, &ps->sum.v[i]);
		if (s->refused_at > s->accepted_at && s->accepted)
			record_item(&w, "forecast", SPAN_LIT("what it shows now is refused"));
		control_put(r, &w);
	}
}

static void
tell_certs(struct control_request *r, const void *question, struct control_answer *const *answer, unsigned n)
{
	const struct edge *e = control_owner(r);
	struct partners ps;

	(void)question;
	for (size_t i = 0; answer[0] != NULL && i < EDGE_IDENTITIES; i++) {
		const struct partner_view *v = answer[0]->slot;

		if (v->material[i] != NULL)
			put_own(r, e->config, i, v->material[i]);
	}
	if (gather(&ps, e, answer, n)) {
		put_partners(r, &ps);
		let_go(&ps);
	}
	if (control_int(r, "all", 0) != 0)
		seen_each(e->seen, view_put_seen, r);
	view_end(r, answer, n);
}

static void
run_certs(struct control_request *r)
{
	ask_partners(r, tell_certs);
}

static const struct control_arg name_args[] = { { "name", RECORD_TEXT, true }, { NULL, 0, false } };
static const struct control_arg certs_args[] = { { "all", RECORD_BOOL, false }, { NULL, 0, false } };

const struct control_verb edge_partner_verbs[] = {
	{ .name = "partner-list", .right = CONTROL_READ, .run = run_list },
	{ .name = "partner-show", .right = CONTROL_READ, .args = name_args, .run = run_show },
	{ .name = "partner-test", .right = CONTROL_CHANGE, .args = name_args, .run = run_test },
	{ .name = "certs", .right = CONTROL_READ, .args = certs_args, .run = run_certs },
	{ .name = NULL }
};
