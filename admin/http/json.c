/*
 * admin/http/json.c - see json.h.
 */
#include "admin/http/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

static const struct json_field *
find(const struct json_field *fields, const char *name)
{
	for (; fields->name != NULL; fields++)
		if (strcmp(fields->name, name) == 0)
			return fields;
	return NULL;
}

/* NULL, or what the field should have been. */
static const char *
take_value(const struct json_field *f, json_t *v)
{
	switch (f->kind) {
	case JSON_TEXT:
		if (!json_is_string(v))
			return "Expects a string.";
		if (strlen(json_string_value(v)) != json_string_length(v))
			return "Expects a string without NUL.";
		*f->text = json_string_value(v);
		return NULL;
	case JSON_NUMBER:
		if (!json_is_integer(v))
			return "Expects a whole number.";
		*f->number = json_integer_value(v);
		return NULL;
	case JSON_FLAG:
		if (!json_is_boolean(v))
			return "Expects true or false.";
		*f->flag = json_is_true(v);
		return NULL;
	}
	return "Cannot be given.";
}

json_t *
json_read(struct span body, const struct json_field *fields, int *status, char field[64], const char **detail)
{
	json_error_t error;
	json_t *o, *v;
	const char *key;

	field[0] = '\0';
	*status = 400;
	o = body.n == 0 ? json_object() : json_loadb(body.p, body.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
	if (o == NULL) {
		*detail = json_error_code(&error) == json_error_duplicate_key ? "The body has a field twice." :
		    "The body is not JSON.";
		return NULL;
	}
	*status = 422;
	*detail = NULL;
	if (!json_is_object(o))
		*detail = "The body is not an object.";
	else
		json_object_foreach(o, key, v) {
			const struct json_field *f = find(fields, key);

			*detail = f == NULL ? "There is no such field." : take_value(f, v);
			if (*detail != NULL) {
				snprintf(field, 64, "%s", key);
				break;
			}
		}
	for (; *detail == NULL && fields->name != NULL; fields++)
		if (fields->required && json_object_get(o, fields->name) == NULL) {
			*detail = "This field is missing.";
			snprintf(field, 64, "%s", fields->name);
		}
	if (*detail != NULL) {
		json_decref(o);
		return NULL;
	}
	return o;
}

json_t *
json_take(struct site *s, struct http_request *q, struct http_reply *r, const struct json_field *fields)
{
	char field[64];
	const char *detail;
	int status;
	json_t *o = json_read(q->body, fields, &status, field, &detail);

	if (o == NULL)
		reply_problem(s, q, r, status, field[0] != '\0' ? field : NULL, "%s", detail);
	return o;
}

json_t *
json_text(struct span s)
{
	char *good = text_utf8(s);
	json_t *v = json_string(good);

	free(good);
	return v != NULL ? v : json_string("");
}

static void
dump(struct http_reply *r, json_t *o)
{
	char *text = json_dumps(o, JSON_COMPACT | JSON_PRESERVE_ORDER);

	json_decref(o);
	if (text != NULL) {
		text_puts(&r->body, text);
		text_puts(&r->body, "\n");
	} else
		r->body.failed = true;
	free(text);
}

void
json_reply(struct http_reply *r, int status, json_t *o)
{
	r->status = status;
	r->type = "application/json";
	dump(r, o);
}

void
json_problems(struct http_reply *r, int status, const char *field, const char *detail, const char *const *lines, size_t n)
{
	json_t *o = json_object(), *list = json_array();

	r->status = status;
	r->type = "application/problem+json";
	json_object_set_new(o, "type", json_string("about:blank"));
	json_object_set_new(o, "title", json_string(http_status_name(status)));
	json_object_set_new(o, "status", json_integer(status));
	json_object_set_new(o, "detail", json_text(span_str(detail)));
	if (field != NULL)
		json_object_set_new(o, "field", json_text(span_str(field)));
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_text(span_str(lines[i])));
	if (n != 0)
		json_object_set(o, "errors", list);
	json_decref(list);
	dump(r, o);
}

void
json_problem(struct http_reply *r, int status, const char *field, const char *detail)
{
	json_problems(r, status, field, detail, NULL, 0);
}
