/*
 * admin/conftokens.c - see conftokens.h.
 */
#include "admin/conftokens.h"

#include <string.h>

static size_t
find_text(struct span text, size_t from, const char *what)
{
	size_t n = strlen(what);

	for (; from + n <= text.n; from++)
		if (memcmp(text.p + from, what, n) == 0)
			return from + n;
	return text.n;
}

static bool
starts(const struct conftokens *s, const char *what)
{
	size_t n = strlen(what);

	return s->text.n - s->at >= n && memcmp(s->text.p + s->at, what, n) == 0;
}

static void
skip_space(struct conftokens *s)
{
	while (s->at < s->text.n) {
		if (strchr(" \t\r\n\f", s->text.p[s->at]) != NULL && s->text.p[s->at] != '\0')
			s->at++;
		else if (s->text.p[s->at] == '#' || starts(s, "//") || starts(s, "@include"))
			s->at = find_text(s->text, s->at, "\n");
		else if (starts(s, "/*"))
			s->at = find_text(s->text, s->at + 2, "*/");
		else
			return;
	}
}

void
conftoken_next(struct conftokens *s)
{
	static const char words[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-*+.";
	struct conftoken *t = &s->now;

	skip_space(s);
	t->at = s->at;
	if (s->at >= s->text.n) {
		t->kind = TOKEN_END;
	} else if (s->text.p[s->at] == '"') {
		t->kind = TOKEN_STRING;
		for (s->at++; s->at < s->text.n && s->text.p[s->at] != '"'; s->at++)
			if (s->text.p[s->at] == '\\' && s->at + 1 < s->text.n)
				s->at++;
		s->at += s->at < s->text.n;
	} else if (s->text.p[s->at] != '\0' && strchr(words, s->text.p[s->at]) != NULL) {
		t->kind = TOKEN_WORD;
		while (s->at < s->text.n && s->text.p[s->at] != '\0' && strchr(words, s->text.p[s->at]) != NULL)
			s->at++;
	} else {
		t->kind = TOKEN_PUNCT;
		s->at++;
	}
	t->end = s->at;
}

bool
conftoken_is(const struct conftokens *s, char c)
{
	return s->now.kind == TOKEN_PUNCT && s->text.p[s->now.at] == c;
}

bool
conftoken_opens(const struct conftokens *s)
{
	return conftoken_is(s, '[') || conftoken_is(s, '(') || conftoken_is(s, '{');
}

bool
conftoken_closes(const struct conftokens *s)
{
	return conftoken_is(s, ']') || conftoken_is(s, ')') || conftoken_is(s, '}');
}

/* Over one value, with all that is in it; s stands behind it then. */
void
conftoken_skip_value(struct conftokens *s)
{
	unsigned deep = 0;

	if (s->now.kind == TOKEN_STRING) {
		while (s->now.kind == TOKEN_STRING)	/* texts beside one another are one */
			conftoken_next(s);
		return;
	}
	do {
		deep += conftoken_opens(s);
		deep -= conftoken_closes(s) && deep > 0;
		conftoken_next(s);
	} while (deep > 0 && s->now.kind != TOKEN_END);
}

/* s stands at the first token of a group's inside: at the value of that setting, if it has it. */
bool
conftoken_find(struct conftokens *s, const char *name)
{
	while (s->now.kind != TOKEN_END && !conftoken_closes(s)) {
		struct span word = span_of(s->text.p + s->now.at, s->now.end - s->now.at);
		bool named = s->now.kind == TOKEN_WORD;

		conftoken_next(s);
		if (named && (conftoken_is(s, '=') || conftoken_is(s, ':'))) {
			conftoken_next(s);
			if (span_iis(word, name))
				return true;
			conftoken_skip_value(s);
		}
	}
	return false;
}

struct conftokens
conftoken_begin(struct span text)
{
	struct conftokens s = { .text = text };

	conftoken_next(&s);
	return s;
}
