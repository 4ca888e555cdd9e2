/*
 * admin/confset.c - see confset.h.
 */
#include "admin/confset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/conftokens.h"
#include "common/mem.h"
#include "common/strbuf.h"

/* Over one value; how it is written. */
static struct span
value_of(struct conftokens *s)
{
	size_t at = s->now.at, end = s->now.end;
	unsigned deep = 0;

	if (s->now.kind == TOKEN_STRING) {
		for (; s->now.kind == TOKEN_STRING; conftoken_next(s))	/* texts beside one another are one */
			end = s->now.end;
		return span_of(s->text.p + at, end - at);
	}
	do {
		deep += conftoken_opens(s);
		deep -= conftoken_closes(s) && deep > 0;
		end = s->now.end;
		conftoken_next(s);
	} while (deep > 0 && s->now.kind != TOKEN_END);
	return span_of(s->text.p + at, end - at);
}

static void
walk(struct conftokens *s, const char *prefix, unsigned deep, void (*each)(void *, const char *, struct span), void *arg)
{
	while (s->now.kind != TOKEN_END && !conftoken_closes(s)) {
		struct span word = span_of(s->text.p + s->now.at, s->now.end - s->now.at);
		bool named = s->now.kind == TOKEN_WORD, fits;
		char path[CONFSET_PATH];
		struct strbuf sb;

		conftoken_next(s);
		if (!named || !(conftoken_is(s, '=') || conftoken_is(s, ':')))
			continue;
		conftoken_next(s);
		strbuf_init(&sb, path, sizeof(path));
		strbuf_printf(&sb, "%s%s%.*s", prefix, prefix[0] != '\0' ? "." : "", SPAN_FMT(word));
		fits = strbuf_ok(&sb);
		if (fits && conftoken_is(s, '{') && deep < CONFSET_DEEP) {
			conftoken_next(s);
			walk(s, path, deep + 1, each, arg);
			if (conftoken_is(s, '}'))
				conftoken_next(s);
		} else {
			struct span value = value_of(s);

			if (fits)
				each(arg, path, value);
		}
	}
}

void
confset_each(struct span text, void (*each)(void *arg, const char *path, struct span value), void *arg)
{
	struct conftokens s = conftoken_begin(text);

	walk(&s, "", 0, each, arg);
}

struct looking {
	const char	*path;
	struct span	 found;
};

static void
look(void *arg, const char *path, struct span value)
{
	struct looking *l = arg;

	if (strcmp(path, l->path) == 0)
		l->found = value;
}

struct span
confset_get(struct span text, const char *path)
{
	struct looking l = { path, SPAN_NONE };

	confset_each(text, look, &l);
	return l.found;
}

/*
 * On to the value of that path. "": it is there; else the rest of the path that is missing, at the token at which its group ends.
 * NULL: a group of the path is something else, or the path is none.
 */
static const char *
go_to(struct conftokens *s, const char *path)
{
	for (const char *dot, *at = path; strlen(path) < CONFSET_PATH && at[0] != '\0'; at = dot + 1) {
		char name[CONFSET_PATH];

		dot = at + strcspn(at, ".");
		snprintf(name, sizeof(name), "%.*s", (int)(dot - at), at);
		if (!conftoken_find(s, name))
			return at;
		if (*dot == '\0')
			return dot;
		if (!conftoken_is(s, '{'))
			return NULL;
		conftoken_next(s);
	}
	return NULL;
}

size_t
confset_find(struct span text, const char *path)
{
	struct conftokens s = conftoken_begin(text);
	const char *rest = go_to(&s, path);

	return rest != NULL && rest[0] == '\0' ? s.now.at : CONFSET_NOWHERE;
}

static char *
splice(struct span text, size_t at, size_t end, struct span with, size_t *n)
{
	char *p = xmalloc(text.n - (end - at) + with.n + 1);

	*n = text.n - (end - at) + with.n;
	memcpy(p, text.p, at);
	memcpy(p + at, with.p, with.n);
	memcpy(p + at + with.n, text.p + end, text.n - end);
	p[*n] = '\0';
	return p;
}

/* What is missing of the path, put before the token at which its group ends. */
static char *
insert(const struct conftokens *s, const char *rest, const char *value, size_t *n)
{
	size_t size = strlen(rest) * 4 + strlen(value) + 64, from = s->now.at, depth = 0;
	bool at_end = s->now.kind == TOKEN_END;
	char *room = xmalloc(size), *out;
	struct strbuf sb;

	strbuf_init(&sb, room, size);
	if (at_end)
		from = s->text.n;
	/* a brace that stands first in its line keeps that line */
	while (!at_end && from > 0 && (s->text.p[from - 1] == ' ' || s->text.p[from - 1] == '\t'))
		from--;
	if (at_end ? from > 0 && s->text.p[from - 1] != '\n' : from == 0 || s->text.p[from - 1] != '\n')
		strbuf_putc(&sb, at_end ? '\n' : ' ');
	else if (!at_end)
		strbuf_putc(&sb, '\t');
	for (const char *dot; (dot = strchr(rest, '.')) != NULL; rest = dot + 1, depth++)
		strbuf_printf(&sb, "%.*s = { ", (int)(dot - rest), rest);
	strbuf_printf(&sb, "%s = %s;", rest, value);
	for (; depth > 0; depth--)
		strbuf_puts(&sb, " };");
	strbuf_putc(&sb, !at_end && room[0] == ' ' ? ' ' : '\n');
	out = strbuf_ok(&sb) ? splice(s->text, room[0] == ' ' ? s->now.at : from, room[0] == ' ' ? s->now.at : from,
	    strbuf_span_of(&sb), n) : NULL;
	free(room);
	return out;
}

char *
confset_put(struct span text, const char *path, const char *value, size_t *n)
{
	struct conftokens s = conftoken_begin(text);
	const char *rest = go_to(&s, path);
	struct span was;
	size_t from;

	*n = 0;
	if (rest == NULL)
		return NULL;
	if (rest[0] != '\0')
		return insert(&s, rest, value, n);
	from = s.now.at;
	was = value_of(&s);
	return splice(text, from, from + was.n, span_str(value), n);
}
