/*
 * admin/http/api_explain.c - what would become of a message, by the API.
 */
#include "admin/http/api.h"
#include "admin/http/explanation.h"
#include "admin/http/json.h"
#include "common/err.h"

void
api_explain(struct site *s, struct http_request *q, struct http_reply *r)
{
	const char *from = "", *to = "", *method = "", *peer = "", *message = "", *door = "in", *field = NULL, *why = NULL;
	bool in_dialog = false, candidate = false, allowed = false;
	const struct json_field fields[] = {
		{ .name = "from", .kind = JSON_TEXT, .text = &from }, { .name = "to", .kind = JSON_TEXT, .text = &to },
		{ .name = "method", .kind = JSON_TEXT, .text = &method }, { .name = "peer", .kind = JSON_TEXT, .text = &peer },
		{ .name = "message", .kind = JSON_TEXT, .text = &message }, { .name = "door", .kind = JSON_TEXT, .text = &door },
		{ .name = "in_dialog", .kind = JSON_FLAG, .flag = &in_dialog },
		{ .name = "candidate", .kind = JSON_FLAG, .flag = &candidate }, { .name = NULL }
	};
	json_t *body = json_take(s, q, r, fields), *o, *list;
	struct explanation_wish w;
	struct answer a = { .n = 0 };
	struct policy_use u;
	int err;

	if (body == NULL)
		return;
	w = (struct explanation_wish){ .from = span_str(from), .to = span_str(to), .method = span_str(method),
	    .peer = span_str(peer), .message = span_str(message), .door = span_str(door), .in_dialog = in_dialog,
	    .candidate = candidate && q->role >= ACCOUNT_OPERATOR };
	if (!span_is(w.door, "in") && !span_is(w.door, "out")) {
		reply_problem(s, q, r, 422, "door", "Expects in or out.");
		json_decref(body);
		return;
	}
	if ((err = policy_begin(&u, s, q, SPAN_NONE)) != SP_OK ||
	    (!explanation_make(&u, q, &w, &a, &allowed, &field, &why, &err) && err != SP_OK)) {
		policy_problem(s, q, r, &u, err, NULL);
	} else if (a.n == 0) {
		reply_problem(s, q, r, 422, field, "%s", why != NULL ? why : "It cannot be read.");
	} else {
		o = json_object();
		list = json_array();
		for (size_t i = 0; i < a.n; i++)
			json_array_append_new(list, json_record(&a.v[i]));
		json_object_set_new(o, "allowed", json_boolean(allowed));
		json_object_set_new(o, "records", list);
		json_reply(r, 200, o);
	}
	answer_fini(&a);
	policy_end(&u);
	json_decref(body);
}
