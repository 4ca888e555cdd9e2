/*
 * admin/http/status.c - the status at a glance, and what probes ask.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/http/ask.h"
#include "admin/http/chart.h"
#include "admin/http/page.h"
#include "admin/http/pages.h"
#include "admin/http/policy.h"
#include "admin/http/show.h"
#include "common/clock.h"
#include "common/mem.h"
#include "net/stats.h"

#define CERTIFICATE_WARN	30	/* days */
#define CERTIFICATE_BAD		7

static void
tile(struct text *t, enum page_tone tone, const char *value, const char *what)
{
	html(t, "<li class=\"tile %s\"><b>%s</b><span>%s</span></li>", page_tone(tone), value, what);
}

static void
tile_number(struct text *t, enum page_tone tone, uint64_t v, const char *what)
{
	char number[40];

	page_number(number, v);
	tile(t, tone, number, what);
}

/* What the last hour was like, from the samples. */
static void
last_hour(struct site *s, uint64_t *requests, uint64_t *refused)
{
	uint64_t now = (uint64_t)clock_wall() / 60;

	*requests = *refused = 0;
	pthread_mutex_lock(&s->lock);
	for (uint64_t m = now - 59; m <= now; m++) {
		const struct ring_sample *sample = ring_get(s->ring, m);

		if (sample != NULL) {
			*requests += sample->requests;
			*refused += sample->refused;
		}
	}
	pthread_mutex_unlock(&s->lock);
}

static int64_t
least_days(const struct answer *a)
{
	int64_t least = INT64_MAX;

	for (size_t i = 0; i < a->n; i++)
		if (span_is(a->v[i].kind, "certificate")) {
			int64_t days = record_get_int(&a->v[i], "days_left", INT64_MAX);

			least = days < least ? days : least;
		}
	return least;
}

static void
tiles(struct site *s, struct text *t, const struct answer *edge)
{
	const struct record *d = answer_first(edge, "daemon");
	int64_t days = least_days(edge);
	uint64_t requests, refused;
	char text[40];

	last_hour(s, &requests, &refused);
	html(t, "<ul class=\"tiles\">");
	if (d != NULL) {
		page_duration(text, (uint64_t)clock_wall() - (uint64_t)record_get_int(d, "since", 0));
		tile(t, TONE_GOOD, text, "the edge has been up");
		tile_number(t, TONE_PLAIN, (uint64_t)record_get_int(d, "connections", 0), "connections");
		tile_number(t, TONE_PLAIN, (uint64_t)record_get_int(d, "transactions", 0), "requests in flight");
	} else if (edge->result != ASK_NONE)
		tile(t, TONE_BAD, edge->result == ASK_SLOW ? "no answer" : edge->result == ASK_DENIED ? "no access" : "down", "edge");
	tile_number(t, TONE_PLAIN, requests, "requests in the last hour");
	tile_number(t, TONE_PLAIN, refused, "messages refused in the last hour");
	if (days != INT64_MAX) {
		snprintf(text, sizeof(text), "%lld days", (long long)days);
		tile(t, days < CERTIFICATE_BAD ? TONE_BAD : days < CERTIFICATE_WARN ? TONE_WARN : TONE_GOOD, text,
		    "until the first certificate of ours ends");
	}
	html(t, "</ul>\n");
}

static void
charts(struct site *s, struct text *t, bool director)
{
	static const char *const ids[] = { "director-traffic", "director-refusals", "director-latency" };
	static const char *const titles[] = { "Director\xe2\x80\x99s traffic", "Director\xe2\x80\x99s refusals by reason",
	    "Director\xe2\x80\x99s time to answer" };
	const struct ring *ring = director ? s->director_ring : s->ring;
	struct chart *c = xcalloc(3, sizeof(*c));
	uint64_t now = (uint64_t)clock_wall() / 60;

	pthread_mutex_lock(&s->lock);
	chart_traffic(&c[0], ring, now);
	chart_refusals(&c[1], ring, now);
	chart_latency(&c[2], ring, now);
	pthread_mutex_unlock(&s->lock);
	for (int i = 0; director && i < 3; i++) {
		c[i].id = ids[i];
		c[i].title = titles[i];
	}
	html(t, "<div class=\"grid three\">");
	for (int i = 0; i < 3; i++)
		chart_draw(t, &c[i]);
	html(t, "</div>\n");
	free(c);
}

static void
edge_part(struct text *t, const struct answer *a)
{
	static const struct show_column doors[] = { { "listen", "Address", "nowrap" }, { "name", "Name", "any" },
	    { "side", "Side", "" }, { "users", "Users", "" }, { "partners", "Partners", "" }, { NULL, NULL, NULL } };
	static const struct show_column hops[] = { { "name", "Name", "any" }, { "port", "Port", "num" }, { "state", "State", "" },
	    { "waiting", "Waiting", "num" }, { "last_success", "Last reached", "" }, { "last_failure", "Last failure", "" },
	    { "reason", "Why", "" }, { NULL, NULL, NULL } };
	static const struct show_column certificates[] = { { "door", "Door", "" }, { "use", "Used to", "" },
	    { "days_left", "Days left", "num" }, { "not_after", "Ends", "nowrap" }, { NULL, NULL, NULL } };
	static const char *const skip[] = { "connections", "transactions", NULL };

	html(t, "<div class=\"grid wide\"><section class=\"card\" aria-labelledby=\"h-doors\"><h2 id=\"h-doors\">Doors</h2>");
	show_table(t, a, "door", "Where the edge listens", doors, "No doors are known.");
	html(t, "</section><section class=\"card\" aria-labelledby=\"h-hops\"><h2 id=\"h-hops\">Directors</h2>");
	show_table(t, a, "director", "The servers inside", hops, "No Director is configured.");
	html(t, "</section><section class=\"card\" aria-labelledby=\"h-cert\"><h2 id=\"h-cert\">Own certificates</h2>");
	show_table(t, a, "certificate", "What the edge shows", certificates, "No certificate is known.");
	html(t, "</section><section class=\"card\" aria-labelledby=\"h-edge\"><h2 id=\"h-edge\">Edge</h2>");
	show_card(t, answer_first(a, "daemon"), skip);
	html(t, "</section></div>\n<section class=\"card\" aria-labelledby=\"h-work\"><h2 id=\"h-work\">Workers</h2>");
	show_table(t, a, "worker", "One row a worker, since it started", NULL, "No worker answered.");
	html(t, "</section>\n");
}

static void
director_part(struct site *s, struct text *t)
{
	struct answer a;
	char why[640];

	ask(s, ASK_DIRECTOR, "status", NULL, &a);
	if (a.result != ASK_NONE) {
		html(t, "<section class=\"card\" aria-labelledby=\"h-dir\"><h2 id=\"h-dir\">Director of this machine</h2>");
		answer_say(&a, ASK_DIRECTOR, why);
		if (why[0] != '\0')
			page_note(t, TONE_BAD, "%s", why);
		if (answer_first(&a, "daemon") != NULL)
			show_card(t, answer_first(&a, "daemon"), NULL);
		show_table(t, &a, "pool", "Pools and other servers", NULL, "");
		html(t, "</section>\n");
		charts(s, t, true);
	}
	answer_fini(&a);
}

void
page_status(struct site *s, struct http_request *q, struct http_reply *r)
{
	struct text *t = &r->body;
	struct answer a;
	char why[640];

	ask(s, ASK_EDGE, "status", NULL, &a);
	page_begin(s, q, r, "Status");
	answer_say(&a, ASK_EDGE, why);
	html(t, "<div id=\"now\" data-live=\"10\">");
	if (why[0] != '\0')
		page_note(t, a.result == ASK_NONE ? TONE_INFO : TONE_BAD, "%s", why);
	else if (a.why[0] != '\0')
		page_note(t, TONE_WARN, "%s", a.why);
	tiles(s, t, &a);
	html(t, "</div>\n");
	if (page_may_change(q))
		page_block_form(q, t);
	charts(s, t, false);
	if (answer_first(&a, "daemon") != NULL)
		edge_part(t, &a);
	director_part(s, t);
	page_end(s, q, r);
	answer_fini(&a);
}

/* ---- probes ---- */

void
probe_health(struct site *s, struct http_request *q, struct http_reply *r)
{
	(void)s;
	(void)q;
	r->status = 200;
	r->type = "text/plain; charset=utf-8";
	text_puts(&r->body, "ok\n");
}

/* Ready: it can do its work, which is to show an edge. Says no more than that to strangers. */
void
probe_ready(struct site *s, struct http_request *q, struct http_reply *r)
{
	struct answer a;

	(void)q;
	ask(s, ASK_EDGE, "status", NULL, &a);
	r->status = a.result == ASK_OK || a.result == ASK_NONE ? 200 : 503;
	r->type = "text/plain; charset=utf-8";
	text_puts(&r->body, r->status == 200 ? "ready\n" : "the edge does not answer\n");
	answer_fini(&a);
}

static void
pass_metrics(struct site *s, enum ask_daemon d, struct text *t)
{
	struct answer a;

	ask(s, d, "metrics", NULL, &a);
	for (size_t i = 0; i < a.n; i++) {
		struct span piece = record_get_text(&a.v[i], "text");

		text_add(t, piece.p, piece.n);
	}
	answer_fini(&a);
}

/* What this process counts, and the limits that it has. */
static void
put_own_metrics(struct site *s, struct text *t)
{
	const struct siteconf *c = s->conf;
	const struct { enum stats_limit limit; int value; } table[] = {
		{ STATS_LIMIT_PAGE_CONNECTIONS, c->limits.connections }, { STATS_LIMIT_PAGE_CONNECTIONS_ADDRESS, c->limits.per_address },
		{ STATS_LIMIT_PAGE_REQUEST_TIME, c->limits.request }, { STATS_LIMIT_PAGE_RESPONSE_TIME, c->limits.response },
		{ STATS_LIMIT_PAGE_BODY, c->limits.body << 10 }, { STATS_LIMIT_PAGE_SESSIONS, c->session.sessions },
		{ STATS_LIMIT_PAGE_SESSIONS_ACCOUNT, c->session.per_account }, { STATS_LIMIT_PAGE_LOG_INS, c->login.tries },
		{ STATS_LIMIT_PAGE_LOG_INS_ACCOUNT, c->login.account_tries }, { STATS_LIMIT_PAGE_PROOFS, c->limits.proofs }
	};
	uint64_t sessions;
	size_t n;
	char *text;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		stats_set(LIMIT, table[i].limit, 0, (uint64_t)table[i].value);
	pthread_mutex_lock(&s->lock);
	sessions = sessions_count(s->sessions, clock_ms());
	pthread_mutex_unlock(&s->lock);
	stats_set(PAGE_SESSIONS, 0, 0, sessions);
	stats_set(STARTED, 0, 0, (uint64_t)s->started);
	text = stats_prometheus("sallyport-admin", PACKAGE_VERSION, &n);
	text_add(t, text, n);
	free(text);
}

void
probe_metrics(struct site *s, struct http_request *q, struct http_reply *r)
{
	enum metrics_access access = (enum metrics_access)s->conf->metrics;

	/* a page of another site may be shown on this machine, and have its name pointed here */
	if (access == METRICS_NOBODY || (access == METRICS_LOOPBACK && !(siteconf_is_loopback(&q->from) && q->by_our_name)) ||
	    (access == METRICS_LOGIN && q->role == ACCOUNT_NOBODY)) {
		reply_problem(s, q, r, access == METRICS_LOGIN ? 401 : 403, NULL, "The metrics are not for everybody; see "
		    "\"metrics\" in admin.conf.");
		if (access == METRICS_LOGIN)
			reply_header(r, "WWW-Authenticate", "Bearer realm=\"sallyport\"");
		return;
	}
	r->status = 200;
	r->type = "text/plain; version=0.0.4; charset=utf-8";
	/* one process a target, as Prometheus has it: the Director's, and the page's own, are asked for by name */
	if (span_is(form_get(&q->query, "of"), "page"))
		put_own_metrics(s, &r->body);
	else
		pass_metrics(s, span_is(form_get(&q->query, "of"), "director") ? ASK_DIRECTOR : ASK_EDGE, &r->body);
	if (r->body.n == 0) {
		r->status = 503;
		text_puts(&r->body, "# there are none: the daemon does not answer\n");
	}
}
