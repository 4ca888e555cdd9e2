/*
 * admin/recent.c - see recent.h.
 */
#include "admin/recent.h"

#include <string.h>
#include <sysexits.h>

#include "common/log.h"

/* The next key=value of a line; a value in quotes comes without them, its escapes as they are. */
static bool
next_pair(struct span *rest, struct span *key, struct span *value)
{
	*rest = span_trim(*rest);
	*key = span_head(*rest, span_find(*rest, '='));
	*rest = span_tail(*rest, key->n + 1);
	if (key->n == 0 || key->n > RECORD_NAME_MAX || memchr(key->p, ' ', key->n) != NULL)
		return false;
	if (rest->n != 0 && rest->p[0] == '"') {
		*rest = span_tail(*rest, 1);
		*value = span_head(*rest, span_find(*rest, '"'));
		*rest = span_tail(*rest, value->n + 1);
		/* three dots say that it was cut */
		*rest = span_tail(*rest, span_find(*rest, ' '));
	} else {
		*value = span_head(*rest, span_find(*rest, ' '));
		*rest = span_tail(*rest, value->n);
	}
	return true;
}

static bool
is_name(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (i != 0 && ((s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '-' ||
		    s.p[i] == '_'))))
			return false;
	return s.n != 0;
}

bool
recent_parse(struct span line, struct record_writer *w)
{
	struct span key, value;
	size_t n = span_find(line, ' ');

	record_text(w, "time", span_head(line, n));
	line = span_tail(line, n + 1);
	/* the program's name and the level */
	for (int i = 0; i < 2; i++)
		line = span_tail(line, span_find(line, ' ') + 1);
	while (line.n != 0 && next_pair(&line, &key, &value))
		if (is_name(key) && !span_is(key, "event") && !span_is(key, "time") && !span_is(key, "number")) {
			char name[RECORD_NAME_MAX + 1];

			memcpy(name, key.p, key.n);
			name[key.n] = '\0';
			record_text(w, name, value);
		}
	return record_ok(w);
}

static void
put_refusal(void *arg, uint64_t number, struct span line)
{
	unsigned char room[RECORD_SMALL];
	struct record_writer w;

	record_begin(&w, room, sizeof(room), "refusal");
	record_int(&w, "number", (int64_t)number);
	if (recent_parse(line, &w))
		control_put(arg, &w);
}

static void
run_refusals(struct control_request *r)
{
	int64_t after = control_int(r, "after", 0);
	unsigned char room[RECORD_SMALL];
	struct record_writer w;
	uint64_t newest = log_kept(after > 0 ? (uint64_t)after : 0, put_refusal, r);

	record_begin(&w, room, sizeof(room), "newest");
	record_int(&w, "number", (int64_t)newest);
	control_put(r, &w);
	control_end(r, EX_OK, NULL);
}

static const struct control_arg after_args[] = { { "after", RECORD_INT, false }, { NULL, 0, false } };

const struct control_verb recent_verbs[] = {
	{ .name = "refusals", .right = CONTROL_READ, .args = after_args, .run = run_refusals },
	{ .name = NULL }
};
