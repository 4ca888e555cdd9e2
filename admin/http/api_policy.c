/*
 * admin/http/api_policy.c - the half of the API that is about policy.
 *
 * What changes the policy in force needs If-Match with the entity tag of
 * the policy that the asker has seen, so that nobody undoes what they do not know of.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/http/api.h"
#include "admin/http/ask.h"
#include "admin/http/json.h"
#include "admin/http/policy.h"
#include "admin/policyfile.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/mem.h"

#define HISTORY_MAX	200
#define NAME_MAX_BYTES	254	/* of a domain or a partner */

/* ---- pieces ---- */

static json_t *
change_json(const struct policy_change *c)
{
	json_t *o = json_object();

	json_object_set_new(o, "version", c->version != 0 ? json_integer((json_int_t)c->version) : json_null());
	json_object_set_new(o, "parent", json_integer((json_int_t)c->parent));
	json_object_set_new(o, "time", json_time(c->time));
	json_object_set_new(o, "action", json_string(policy_action_name(c->action)));
	json_object_set_new(o, "author", json_text(span_str(c->author)));
	json_object_set_new(o, "note", json_text(span_str(c->note)));
	json_object_set_new(o, "sha256", json_string(c->sha256));
	return o;
}

static void
send_text(struct http_reply *r, const struct policystore_text *t)
{
	json_t *o = change_json(&t->change);
	char tag[POLICY_HASH_TEXT + 3];

	policy_tag(policystore_span(t), tag);
	reply_header(r, "ETag", "%s", tag);
	json_object_set_new(o, "text", json_text(policystore_span(t)));
	json_reply(r, 200, o);
}

static json_t *
errors_json(const struct conf_errors *errs)
{
	json_t *list = json_array();

	for (size_t i = 0; i < conf_errors_count(errs); i++) {
		const char *error = conf_errors_get(errs, i), *what = error;
		json_t *o = json_object();
		unsigned line = 0;

		if (policy_error_split(error, &line, &what) && line != 0)
			json_object_set_new(o, "line", json_integer(line));
		json_object_set_new(o, "text", json_text(span_str(what)));
		json_array_append_new(list, o);
	}
	return list;
}

static void
set_text(json_t *o, const char *name, const char *value)
{
	if (value != NULL)
		json_object_set_new(o, name, json_text(span_str(value)));
}

static json_t *
differences_json(struct policy_use *u, struct span was, struct span now)
{
	struct conf_errors *errs = conf_errors_new();
	struct policydiff *d = policydiff_new("in force", was, "candidate", now, u->dir, errs);
	json_t *list = d != NULL ? json_array() : json_null();

	for (size_t i = 0; d != NULL && i < policydiff_count(d); i++) {
		const struct policydiff_entry *e = policydiff_get(d, i);
		json_t *o = json_object();

		set_text(o, "change", policydiff_kind_name(e->kind));
		set_text(o, "list", e->list);
		set_text(o, "group", e->group);
		set_text(o, "option", e->option);
		set_text(o, "was", e->was);
		set_text(o, "now", e->now);
		json_array_append_new(list, o);
	}
	policydiff_free(d);
	conf_errors_free(errs);
	return list;
}

/* A number in the query; dflt if it is not there. False: the refusal is in r. */
static bool
number(struct site *s, struct http_request *q, struct http_reply *r, const char *name, uint64_t dflt, uint64_t max,
    uint64_t *out)
{
	*out = dflt;
	if (!form_has(&q->query, name) || span_uint(form_get(&q->query, name), max, out))
		return true;
	reply_problem(s, q, r, 422, name, "Expects a number up to %llu.", (unsigned long long)max);
	return false;
}

static const char *const none[] = { NULL };

/* End a use of the store: the refusal, or the new version. */
static void
finish(struct site *s, struct http_request *q, struct http_reply *r, struct policy_use *u, int err, uint64_t version,
    const char *field)
{
	json_t *o;

	if (err != SP_OK) {
		policy_problem(s, q, r, u, err, field);
	} else {
		o = json_object();
		json_object_set_new(o, "done", json_true());
		if (version != 0) {
			json_object_set_new(o, "version", json_integer((json_int_t)version));
			json_object_set_new(o, "edge_told", json_boolean(u->tell.told));
		}
		json_reply(r, 200, o);
	}
	policy_end(u);
}

/* Is the policy in force the one that If-Match names? SP_OK, or the refusal is in r and it is another error. */
static bool
is_seen(struct site *s, struct http_request *q, struct http_reply *r, struct policy_use *u)
{
	struct policystore_text now = { .text = NULL };
	char tag[POLICY_HASH_TEXT + 3];
	bool good;
	int err;

	if (q->if_match.n == 0) {
		reply_problem(s, q, r, 428, "If-Match", "Send If-Match with the ETag of /api/v1/policy as you have seen it.");
		return false;
	}
	if ((err = policystore_current(u->store, &now, u->errs)) != SP_OK) {
		policy_problem(s, q, r, u, err, NULL);
		return false;
	}
	policy_tag(policystore_span(&now), tag);
	good = span_is(q->if_match, tag);
	policystore_text_fini(&now);
	if (!good)
		reply_problem(s, q, r, 412, "If-Match", "The policy in force is another one by now. Read it again.");
	return good;
}

/* The body's note, and what else fields has. NULL: the refusal is in r. The caller frees it. */
static json_t *
take_note(struct site *s, struct http_request *q, struct http_reply *r, const struct json_field *fields, const char **note)
{
	json_t *body = json_take(s, q, r, fields);

	if (body == NULL || policy_note_ok(span_str(*note)))
		return body;
	json_decref(body);
	reply_problem(s, q, r, 422, "note", "A note is one line of at most %d bytes.", POLICY_CHANGE_NOTE);
	return NULL;
}

static void
reply_list(struct http_reply *r, const char *name, json_t *list)
{
	json_t *o = json_object();

	json_object_set(o, name, list);
	json_reply(r, 200, o);
}

/* ---- reading ---- */

void
api_policy(struct site *s, struct http_request *q, struct http_reply *r)
{
	struct policystore_text now = { .text = NULL };
	struct policy_use u;
	int err;

	if (!api_only(s, q, r, none))
		return;
	if ((err = policy_begin_current(&u, s, q, &now)) != SP_OK)
		policy_problem(s, q, r, &u, err, NULL);
	else
		send_text(r, &now);
	policystore_text_fini(&now);
	policy_end(&u);
}

static void
add_version(void *arg, const struct policy_change *c)
{
	json_array_append_new(arg, change_json(c));
}

void
api_versions(struct site *s, struct http_request *q, struct http_reply *r)
{
	static const char *const names[] = { "before", "max", NULL };
	uint64_t before, max;
	struct policy_use u;
	json_t *list;
	int err;

	if (!api_only(s, q, r, names) || !number(s, q, r, "before", 0, INT64_MAX, &before) ||
	    !number(s, q, r, "max", 50, HISTORY_MAX, &max))
		return;
	list = json_array();
	if ((err = policy_begin(&u, s, q, SPAN_NONE)) != SP_OK ||
	    (err = policystore_history(u.store, before, (size_t)max, add_version, list, u.errs)) != SP_OK)
		policy_problem(s, q, r, &u, err, NULL);
	else
		reply_list(r, "versions", list);
	json_decref(list);
	policy_end(&u);
}

void
api_version(struct site *s, struct http_request *q, struct http_reply *r)
{
	struct policystore_text it = { .text = NULL };
	struct policy_use u;
	uint64_t version;
	int err;

	if (!api_only(s, q, r, none))
		return;
	if (!span_uint(q->param[0], INT64_MAX, &version)) {
		reply_problem(s, q, r, 404, NULL, "There is no such version.");
		return;
	}
	if ((err = policy_begin(&u, s, q, SPAN_NONE)) != SP_OK ||
	    (err = policystore_version(u.store, version, &it, u.errs)) != SP_OK)
		policy_problem(s, q, r, &u, err, NULL);
	else
		send_text(r, &it);
	policystore_text_fini(&it);
	policy_end(&u);
}

static void
add_record(void *arg, const struct policy_record *c)
{
	json_t *o;

	if (json_array_size(arg) >= HISTORY_MAX)
		return;
	o = change_json(&c->change);
	json_object_set_new(o, "n", json_integer((json_int_t)c->n));
	json_object_set_new(o, "prev", json_string(c->prev));
	json_object_set_new(o, "hash", json_string(c->hash));
	json_array_append_new(arg, o);
}

void
api_audit(struct site *s, struct http_request *q, struct http_reply *r)
{
	static const char *const names[] = { "from", NULL };
	uint64_t from, count = 0, all = 0;
	char hash[POLICY_HASH_TEXT] = "";
	struct policy_use u;
	json_t *list, *o;
	int err, good;

	if (!api_only(s, q, r, names) || !number(s, q, r, "from", 1, INT64_MAX, &from))
		return;
	list = json_array();
	if ((err = policy_begin(&u, s, q, SPAN_NONE)) != SP_OK ||
	    (err = policystore_audit_head(u.store, hash, &count, u.errs)) != SP_OK ||
	    (err = policystore_audit_each(u.store, from, add_record, list, u.errs)) != SP_OK) {
		policy_problem(s, q, r, &u, err, NULL);
	} else {
		good = policystore_audit_verify(u.store, NULL, &all, u.errs);
		o = json_object();
		json_object_set(o, "changes", list);
		json_object_set_new(o, "count", json_integer((json_int_t)count));
		json_object_set_new(o, "hash", json_string(hash));
		json_object_set_new(o, "verified", json_boolean(good == SP_OK));
		if (good != SP_OK)
			json_object_set_new(o, "errors", errors_json(u.errs));
		json_reply(r, 200, o);
	}
	json_decref(list);
	policy_end(&u);
}

/* ---- the candidate ---- */

#define INCLUDE	"@include"

/*
 * Does the text include what the policy in force does not? Whoever may only look could find
 * out by that which files there are, and what stands in them.
 */
static bool
includes_more(struct span text, struct span in_force)
{
	const char *p = text.p;

	while ((p = memmem(p, (size_t)(text.p + text.n - p), INCLUDE, strlen(INCLUDE))) != NULL) {
		struct span line = span_of(p, (size_t)(text.p + text.n - p));
		size_t open = strlen(INCLUDE), n;

		line = span_head(line, span_find(line, '\n'));
		while (open < line.n && (line.p[open] == ' ' || line.p[open] == '\t'))
			open++;
		p += strlen(INCLUDE);
		if (open == line.n || line.p[open] != '"')
			continue;	/* it only speaks of it */
		n = open + 1 + span_find(span_tail(line, open + 1), '"') + 1;
		if (n > line.n || in_force.n == 0 || memmem(in_force.p, in_force.n, line.p, n) == NULL)
			return true;
	}
	return false;
}

void
api_check(struct site *s, struct http_request *q, struct http_reply *r)
{
	const char *text = NULL;
	const struct json_field fields[] = { { .name = "text", .kind = JSON_TEXT, .required = true, .text = &text }, { .name = NULL } };
	struct policystore_text now = { .text = NULL };
	struct policy_use u;
	json_t *body = json_take(s, q, r, fields), *o;
	int err;

	if (body == NULL)
		return;
	if ((err = policy_begin_current(&u, s, q, &now)) != SP_OK) {
		policy_problem(s, q, r, &u, err, NULL);
	} else if (q->role != ACCOUNT_OPERATOR && includes_more(span_str(text), policystore_span(&now))) {
		conf_error(u.errs, NULL, 0, "a viewer's text may include only what the policy in force includes");
		policy_problem(s, q, r, &u, SP_EINVAL, "text");
	} else {
		o = json_object();
		json_object_set_new(o, "good", json_boolean(policy_mistakes(&u, "text", span_str(text)) == 0));
		json_object_set_new(o, "errors", errors_json(u.errs));
		json_object_set_new(o, "against", json_integer((json_int_t)now.change.version));
		json_object_set_new(o, "differences", differences_json(&u, policystore_span(&now), span_str(text)));
		json_reply(r, 200, o);
	}
	policystore_text_fini(&now);
	policy_end(&u);
	json_decref(body);
}

void
api_candidate(struct site *s, struct http_request *q, struct http_reply *r)
{
	struct policystore_text mine = { .text = NULL };
	struct policy_use u;
	int err;

	if (!api_only(s, q, r, none))
		return;
	if ((err = policy_begin(&u, s, q, SPAN_NONE)) != SP_OK ||
	    (err = policystore_candidate(u.store, q->account, &mine, u.errs)) != SP_OK)
		policy_problem(s, q, r, &u, err, NULL);
	else
		send_text(r, &mine);
	policystore_text_fini(&mine);
	policy_end(&u);
}

void
api_candidate_put(struct site *s, struct http_request *q, struct http_reply *r)
{
	const char *text = NULL;
	int64_t base = 0;
	const struct json_field fields[] = { { .name = "text", .kind = JSON_TEXT, .required = true, .text = &text },
	    { .name = "base", .kind = JSON_NUMBER, .number = &base }, { .name = NULL } };
	char was[POLICY_HASH_TEXT] = "", tag[POLICY_HASH_TEXT + 3];
	struct policy_use u;
	json_t *body, *o;
	int err;

	/* "If-None-Match: *" is for the first, If-Match for who has seen one */
	if (q->if_match.n == POLICY_HASH_TEXT + 1 && q->if_match.p[0] == '"')
		snprintf(was, sizeof(was), "%.*s", POLICY_HASH_TEXT - 1, q->if_match.p + 1);
	else if (!span_is(q->if_none_match, "*") || q->if_match.n != 0) {
		reply_problem(s, q, r, 428, "If-Match", "Send If-Match with the ETag of your candidate, or If-None-Match: * if you "
		    "have none.");
		return;
	}
	if ((body = json_take(s, q, r, fields)) == NULL)
		return;
	if (base < 0) {
		reply_problem(s, q, r, 422, "base", "Expects the number of a version.");
		json_decref(body);
		return;
	}
	if ((err = policy_begin(&u, s, q, SPAN_NONE)) == SP_OK)
		err = policystore_candidate_set(u.store, q->account, &u.who, (uint64_t)base, was, span_str(text), u.errs);
	if (err != SP_OK) {
		policy_problem(s, q, r, &u, err, "text");
	} else {
		policy_tag(span_str(text), tag);
		reply_header(r, "ETag", "%s", tag);
		o = json_object();
		json_object_set_new(o, "done", json_true());
		json_object_set_new(o, "good", json_boolean(policy_mistakes(&u, "candidate", span_str(text)) == 0));
		json_object_set_new(o, "errors", errors_json(u.errs));
		json_reply(r, 200, o);
	}
	policy_end(&u);
	json_decref(body);
}

void
api_candidate_delete(struct site *s, struct http_request *q, struct http_reply *r)
{
	struct policy_use u;
	int err = policy_begin(&u, s, q, SPAN_NONE);

	if (err == SP_OK)
		err = policystore_candidate_discard(u.store, q->account, &u.who, u.errs);
	finish(s, q, r, &u, err, 0, NULL);
}

void
api_candidate_rebase(struct site *s, struct http_request *q, struct http_reply *r)
{
	struct policy_use u;
	int err = policy_begin(&u, s, q, SPAN_NONE);

	if (err == SP_OK)
		err = policystore_candidate_rebase(u.store, q->account, &u.who, u.errs);
	finish(s, q, r, &u, err, 0, NULL);
}

/* ---- changes of what is in force ---- */

void
api_commit(struct site *s, struct http_request *q, struct http_reply *r)
{
	const char *note = "";
	const struct json_field fields[] = { { .name = "note", .kind = JSON_TEXT, .text = &note }, { .name = NULL } };
	json_t *body = take_note(s, q, r, fields, &note);
	struct policy_use u;
	uint64_t version = 0;
	int err;

	if (body == NULL)
		return;
	if ((err = policy_begin(&u, s, q, span_str(note))) == SP_OK) {
		if (!is_seen(s, q, r, &u)) {
			policy_end(&u);
			json_decref(body);
			return;
		}
		err = policystore_commit(u.store, q->account, &u.who, &version, u.errs);
	}
	finish(s, q, r, &u, err, version, NULL);
	json_decref(body);
}

void
api_rollback(struct site *s, struct http_request *q, struct http_reply *r)
{
	const char *note = "";
	int64_t to = 0;
	const struct json_field fields[] = { { .name = "note", .kind = JSON_TEXT, .text = &note },
	    { .name = "version", .kind = JSON_NUMBER, .required = true, .number = &to }, { .name = NULL } };
	json_t *body = take_note(s, q, r, fields, &note);
	struct policy_use u;
	uint64_t version = 0;
	int err;

	if (body == NULL)
		return;
	if ((err = policy_begin(&u, s, q, span_str(note))) == SP_OK) {
		if (!is_seen(s, q, r, &u)) {
			policy_end(&u);
			json_decref(body);
			return;
		}
		err = to > 0 ? policystore_rollback(u.store, (uint64_t)to, &u.who, &version, u.errs) : SP_ENOENT;
	}
	finish(s, q, r, &u, err, version, "version");
	json_decref(body);
}

static void
amend(struct site *s, struct http_request *q, struct http_reply *r, enum policy_amendment kind, const char *field)
{
	const char *note = "";
	const struct json_field fields[] = { { .name = "note", .kind = JSON_TEXT, .text = &note }, { .name = NULL } };
	char what[NAME_MAX_BYTES + 1];
	json_t *body;
	struct policy_use u;
	uint64_t version = 0;
	int err;

	if (q->param[0].n > NAME_MAX_BYTES) {
		reply_problem(s, q, r, 422, field, "Expects at most %d bytes.", NAME_MAX_BYTES);
		return;
	}
	if ((body = take_note(s, q, r, fields, &note)) == NULL)
		return;
	snprintf(what, sizeof(what), "%.*s", SPAN_FMT(q->param[0]));
	if ((err = policy_begin(&u, s, q, span_str(note))) == SP_OK)
		err = policy_amend(&u, kind, what, &version);
	finish(s, q, r, &u, err, version, field);
	json_decref(body);
}

void
api_block(struct site *s, struct http_request *q, struct http_reply *r)
{
	amend(s, q, r, AMEND_BLOCK, "domain");
}

void
api_unblock(struct site *s, struct http_request *q, struct http_reply *r)
{
	amend(s, q, r, AMEND_UNBLOCK, "domain");
}

void
api_pause(struct site *s, struct http_request *q, struct http_reply *r)
{
	amend(s, q, r, AMEND_PAUSE, "partner");
}

void
api_resume(struct site *s, struct http_request *q, struct http_reply *r)
{
	amend(s, q, r, AMEND_RESUME, "partner");
}

static void
add_block(void *arg, const char *list, const char *group, const char *option, bool element, const char *value)
{
	(void)list;
	if (group == NULL && element && strcmp(option, "blocked") == 0)
		json_array_append_new(arg, json_text(span_str(value)));
}

void
api_blocks(struct site *s, struct http_request *q, struct http_reply *r)
{
	struct policystore_text now = { .text = NULL };
	struct policy_use u;
	json_t *list;
	int err;

	if (!api_only(s, q, r, none))
		return;
	list = json_array();
	if ((err = policy_begin_current(&u, s, q, &now)) != SP_OK ||
	    (err = policyfile_walk("policy", policystore_span(&now), u.dir, add_block, list, u.errs)) != SP_OK)
		policy_problem(s, q, r, &u, err, NULL);
	else
		reply_list(r, "blocked", list);
	json_decref(list);
	policystore_text_fini(&now);
	policy_end(&u);
}

/* ---- the shadow ---- */

void
api_shadow_start(struct site *s, struct http_request *q, struct http_reply *r)
{
	struct policy_use u;
	int err;

	if ((err = policy_begin(&u, s, q, SPAN_NONE)) == SP_OK)
		err = policy_shadow(&u, q->account);
	finish(s, q, r, &u, err, 0, NULL);
}
