/*
 * admin/http/api_daemon.c - the half of the API that asks the daemons.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "admin/http/api.h"
#include "admin/http/ask.h"
#include "admin/http/chart.h"
#include "admin/http/json.h"
#include "common/clock.h"
#include "common/mem.h"

/* A time as RFC 3339 has it; never is null. */
json_t *
json_time(time_t when)
{
	char text[32];
	struct tm tm;

	if (when <= 0 || gmtime_r(&when, &tm) == NULL)
		return json_null();
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return json_string(text);
}

static json_t *
value_of(const struct record_field *f)
{
	switch (f->type) {
	case RECORD_INT:
		return json_integer(f->number);
	case RECORD_BOOL:
		return json_boolean(f->number != 0);
	case RECORD_TIME:
		return json_time((time_t)f->number);
	default:
		return json_text(f->text);
	}
}

json_t *
json_record(const struct record *r)
{
	json_t *o = json_object(), *list;
	struct record_field f;
	size_t at = 0;

	json_object_set_new(o, "kind", json_text(r->kind));
	while (record_next(r, &at, &f)) {
		char name[RECORD_NAME_MAX + 1];

		snprintf(name, sizeof(name), "%.*s", SPAN_FMT(f.name));
		if (f.type != RECORD_ITEM) {
			json_object_set_new(o, name, value_of(&f));
			continue;
		}
		if (!json_is_array(list = json_object_get(o, name)))
			json_object_set_new(o, name, list = json_array());
		json_array_append_new(list, value_of(&f));
	}
	return o;
}

/* What went wrong with asking, as a problem. */
static void
refuse(struct site *s, struct http_request *q, struct http_reply *r, enum ask_daemon d, const struct answer *a)
{
	char why[640];
	int status = 502;

	answer_say(a, d, why);
	switch (a->result) {
	case ASK_NONE:
		status = 404;
		break;
	case ASK_DOWN:
	case ASK_DENIED:
		status = 503;
		break;
	case ASK_SLOW:
		status = 504;
		break;
	case ASK_REFUSED:
		status = a->status == EX_USAGE || a->status == EX_DATAERR ? 422 : a->status == EX_NOHOST || a->status == EX_NOINPUT ||
		    a->status == EX_UNAVAILABLE ? 404 : 502;
		break;
	default:
		break;
	}
	reply_problem(s, q, r, status, NULL, "%s", why);
}

/* Ask, and pass all records on. */
static void
pass(struct site *s, struct http_request *q, struct http_reply *r, enum ask_daemon d, const char *verb,
    const struct ask_arg *args)
{
	struct answer a;
	json_t *o, *list;

	ask(s, d, verb, args, &a);
	if (a.result != ASK_OK) {
		refuse(s, q, r, d, &a);
		answer_fini(&a);
		return;
	}
	o = json_object();
	list = json_array();
	for (size_t i = 0; i < a.n; i++)
		json_array_append_new(list, json_record(&a.v[i]));
	json_object_set_new(o, "records", list);
	json_object_set_new(o, "complete", json_boolean(!a.cut && a.status == EX_OK));
	if (a.why[0] != '\0')
		json_object_set_new(o, "message", json_text(span_str(a.why)));
	json_reply(r, 200, o);
	answer_fini(&a);
}

/* Queries know their parameters as bodies know their fields. */
bool
api_only(struct site *s, struct http_request *q, struct http_reply *r, const char *const *names)
{
	const struct form_field *f = form_stranger(&q->query, names);
	char name[FORM_NAME_MAX + 1];

	if (f == NULL)
		return true;
	snprintf(name, sizeof(name), "%.*s", SPAN_FMT(f->name));
	reply_problem(s, q, r, 422, name, "There is no such parameter.");
	return false;
}

static const char *const none[] = { NULL };
static const char *const of[] = { "of", NULL };

/* Which daemon: ?of=director. False: the refusal is in r. */
static bool
daemon_of(struct site *s, struct http_request *q, struct http_reply *r, enum ask_daemon *d)
{
	struct span name = form_get(&q->query, "of");

	*d = span_is(name, "director") ? ASK_DIRECTOR : ASK_EDGE;
	if (name.n == 0 || *d == ASK_DIRECTOR || span_is(name, "edge"))
		return true;
	reply_problem(s, q, r, 422, "of", "Expects edge or director.");
	return false;
}

void
api_session(struct site *s, struct http_request *q, struct http_reply *r)
{
	json_t *o;

	if (!api_only(s, q, r, none))
		return;
	o = json_object();
	json_object_set_new(o, "account", json_string(q->account));
	json_object_set_new(o, "role", json_string(account_role_name(q->role)));
	json_object_set_new(o, "csrf", q->csrf[0] != '\0' ? json_string(q->csrf) : json_null());
	json_reply(r, 200, o);
}

void
api_status(struct site *s, struct http_request *q, struct http_reply *r)
{
	enum ask_daemon d;

	if (api_only(s, q, r, of) && daemon_of(s, q, r, &d))
		pass(s, q, r, d, "status", NULL);
}

void
api_partners(struct site *s, struct http_request *q, struct http_reply *r)
{
	if (api_only(s, q, r, none))
		pass(s, q, r, ASK_EDGE, "partner-list", NULL);
}

void
api_partner(struct site *s, struct http_request *q, struct http_reply *r)
{
	struct ask_arg args[] = { { .name = "name", .text = q->param[0] }, { .name = NULL } };

	if (api_only(s, q, r, none))
		pass(s, q, r, ASK_EDGE, "partner-show", args);
}

void
api_discovered(struct site *s, struct http_request *q, struct http_reply *r)
{
	if (api_only(s, q, r, none))
		pass(s, q, r, ASK_EDGE, "discovered-list", NULL);
}

void
api_connections(struct site *s, struct http_request *q, struct http_reply *r)
{
	static const char *const names[] = { "class", "name", "peer", "of", NULL };
	struct ask_arg args[4] = { { .name = NULL } };
	enum ask_daemon d;
	size_t n = 0;

	if (!api_only(s, q, r, names) || !daemon_of(s, q, r, &d))
		return;
	for (size_t i = 0; i < 3; i++)
		if (form_has(&q->query, names[i]))
			args[n++] = (struct ask_arg){ .name = names[i], .text = form_get(&q->query, names[i]) };
	pass(s, q, r, d, "connections", args);
}

void
api_refusals(struct site *s, struct http_request *q, struct http_reply *r)
{
	static const char *const names[] = { "after", "of", NULL };
	struct ask_arg args[] = { { .name = "after", .is_number = true }, { .name = NULL } };
	enum ask_daemon d;
	uint64_t after = 0;

	if (!api_only(s, q, r, names) || !daemon_of(s, q, r, &d))
		return;
	if (form_has(&q->query, "after") && !span_uint(form_get(&q->query, "after"), INT64_MAX, &after)) {
		reply_problem(s, q, r, 422, "after", "Expects a number.");
		return;
	}
	args[0].number = (int64_t)after;
	pass(s, q, r, d, "refusals", args);
}

void
api_certificates(struct site *s, struct http_request *q, struct http_reply *r)
{
	if (api_only(s, q, r, none))
		pass(s, q, r, ASK_EDGE, "certs", NULL);
}

void
api_shadow(struct site *s, struct http_request *q, struct http_reply *r)
{
	if (api_only(s, q, r, none))
		pass(s, q, r, ASK_EDGE, "policy-shadow-status", NULL);
}

void
api_shadow_stop(struct site *s, struct http_request *q, struct http_reply *r)
{
	if (api_only(s, q, r, none))
		pass(s, q, r, ASK_EDGE, "policy-shadow-stop", NULL);
}

/* ---- charts ---- */

static json_t *
chart_json(const struct chart *c)
{
	json_t *o = json_object(), *series = json_array(), *points = json_array();

	for (unsigned k = 0; k < c->n; k++) {
		json_t *one = json_object();

		json_object_set_new(one, "name", json_string(c->series[k].name));
		json_object_set_new(one, "unit", json_string(c->series[k].unit));
		json_array_append_new(series, one);
	}
	for (unsigned i = 0; i < CHART_POINTS; i++) {
		json_t *one, *values;

		if (!c->point[i].watched)
			continue;
		one = json_object();
		values = json_array();
		for (unsigned k = 0; k < c->n; k++)
			json_array_append_new(values, json_real(c->point[i].v[k]));
		json_object_set_new(one, "from", json_time((time_t)c->point[i].minute * 60));
		json_object_set_new(one, "values", values);
		json_array_append_new(points, one);
	}
	json_object_set_new(o, "title", json_string(c->title));
	json_object_set_new(o, "series", series);
	json_object_set_new(o, "points", points);
	return o;
}

void
api_charts(struct site *s, struct http_request *q, struct http_reply *r)
{
	static void (*const makers[])(struct chart *, const struct ring *, uint64_t) = { chart_traffic, chart_refusals,
	    chart_latency };
	static const char *const names[] = { "traffic", "refusals", "latency" };
	enum ask_daemon d;
	struct chart *c;
	json_t *o;

	if (!api_only(s, q, r, of) || !daemon_of(s, q, r, &d))
		return;
	c = xcalloc(1, sizeof(*c));
	o = json_object();
	for (size_t i = 0; i < 3; i++) {
		pthread_mutex_lock(&s->lock);
		makers[i](c, d == ASK_DIRECTOR ? s->director_ring : s->ring, (uint64_t)clock_wall() / 60);
		pthread_mutex_unlock(&s->lock);
		json_object_set_new(o, names[i], chart_json(c));
	}
	free(c);
	json_reply(r, 200, o);
}
