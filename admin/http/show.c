/*
 * admin/http/show.c - see show.h.
 */
#include "admin/http/show.h"

#include <stdio.h>
#include <string.h>

#include "admin/http/page.h"

/* Numbers that name something are no amounts, so they are not grouped. */
static bool
is_name(struct span field)
{
	static const char *const names[] = { "port", "pid", "worker", "number", "version", NULL };
	size_t i = 0;

	while (names[i] != NULL && !span_is(field, names[i]))
		i++;
	return names[i] != NULL;
}

static void
show_value(struct text *t, const struct record_field *f)
{
	char number[40];

	switch (f->type) {
	case RECORD_TEXT:
	case RECORD_ITEM:
		text_html(t, f->text);
		break;
	case RECORD_INT:
		if (f->number < 0)
			html(t, "\xe2\x80\x93");	/* -1: not known */
		else if (is_name(f->name)) {
			html(t, "%lld", (long long)f->number);
		} else {
			page_number(number, (uint64_t)f->number);
			html(t, "%s", number);
		}
		break;
	case RECORD_BOOL:
		html(t, "%s", f->number != 0 ? "yes" : "no");
		break;
	case RECORD_TIME:
		page_time(t, (time_t)f->number);
		break;
	}
}

void
show_field(struct text *t, const struct record *r, const char *name)
{
	struct record_field f;
	size_t at = 0;
	bool any = false;

	while (record_next(r, &at, &f)) {
		if (!span_is(f.name, name))
			continue;
		if (any)
			text_puts(t, ", ");
		show_value(t, &f);
		any = true;
		if (f.type != RECORD_ITEM)
			break;
	}
}

bool
show_has(const struct record *r, const char *name)
{
	struct record_field f;

	return record_find(r, name, &f) && ((f.type != RECORD_TEXT && f.type != RECORD_ITEM) || f.text.n != 0);
}

const char *
show_text(const struct record *r, const char *name, char *out, size_t size)
{
	struct span s = record_get_text(r, name);

	s = span_head(s, size - 1);
	if (s.n != 0)
		memcpy(out, s.p, s.n);
	out[s.n] = '\0';
	return out;
}

void
show_title(struct text *t, struct span name)
{
	static const char *const known[][2] = {
		{ "retry_ms", "Next try in (ms)" }, { "accept_cn", "CN counts as a name" }, { "not_after", "Ends" },
		{ "silent", "Silent (s)" }, { "silent_ms", "Silent (ms)" }, { "queued", "Queued (bytes)" }, { "pid", "Process" },
		{ "up_in", "Connected in workers" }, { "servers_in_policy", "Servers in the policy" }, { "call-id", "Call-ID" }
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (span_is(name, known[i][0])) {
			html(t, "%s", known[i][1]);
			return;
		}
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];

		if (c == '_' || c == '-')
			c = ' ';
		else if (i == 0 && c >= 'a' && c <= 'z')
			c = (char)(c - 'a' + 'A');
		text_html(t, span_of(&c, 1));
	}
}

/* The names of the fields of r, each once, at most max. */
static size_t
names_of(const struct record *r, struct span *out, size_t max)
{
	struct record_field f;
	size_t at = 0, n = 0;

	while (n < max && record_next(r, &at, &f)) {
		size_t i = 0;

		while (i < n && !span_eq(out[i], f.name))
			i++;
		if (i == n)
			out[n++] = f.name;
	}
	return n;
}

static bool
is_number(const struct record *r, const char *name)
{
	struct record_field f;

	return record_find(r, name, &f) && f.type == RECORD_INT;
}

#define NAMES_MAX	24

void
show_table(struct text *t, const struct answer *a, const char *kind, const char *caption, const struct show_column *columns,
    const char *none)
{
	const struct record *first = answer_first(a, kind);
	struct show_column made[NAMES_MAX + 1];
	char names[NAMES_MAX][RECORD_NAME_MAX + 1];
	struct span spans[NAMES_MAX];

	if (first == NULL) {
		html(t, "<p class=\"hint\">%s</p>\n", none);
		return;
	}
	if (columns == NULL) {
		size_t n = names_of(first, spans, NAMES_MAX);

		for (size_t i = 0; i < n; i++) {
			snprintf(names[i], sizeof(names[i]), "%.*s", SPAN_FMT(spans[i]));
			made[i] = (struct show_column){ names[i], NULL, is_number(first, names[i]) ? "num" : "" };
		}
		made[n] = (struct show_column){ NULL, NULL, NULL };
		columns = made;
	}
	html(t, "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"%s\"><table><caption>%s</caption><thead><tr>", caption,
	    caption);
	for (const struct show_column *c = columns; c->field != NULL; c++) {
		html(t, "<th scope=\"col\" class=\"%s\">", c->class);
		if (c->title != NULL)
			html(t, "%s", c->title);
		else
			show_title(t, span_str(c->field));
		html(t, "</th>");
	}
	html(t, "</tr></thead><tbody>\n");
	for (size_t i = 0; i < a->n; i++) {
		if (!span_is(a->v[i].kind, kind))
			continue;
		html(t, "<tr>");
		for (const struct show_column *c = columns; c->field != NULL; c++) {
			html(t, c == columns ? "<th scope=\"row\" class=\"%s\">" : "<td class=\"%s\">", c->class);
			show_field(t, &a->v[i], c->field);
			html(t, c == columns ? "</th>" : "</td>");
		}
		html(t, "</tr>\n");
	}
	html(t, "</tbody></table></div>\n");
	if (a->cut)
		html(t, "<p class=\"hint\">There are more than are shown here.</p>\n");
}

void
show_card(struct text *t, const struct record *r, const char *const *skip)
{
	struct span names[RECORD_FIELDS];
	size_t n = names_of(r, names, RECORD_FIELDS);

	html(t, "<dl>");
	for (size_t i = 0; i < n; i++) {
		char name[RECORD_NAME_MAX + 1];
		size_t k = 0;

		while (skip != NULL && skip[k] != NULL && !span_is(names[i], skip[k]))
			k++;
		if (skip != NULL && skip[k] != NULL)
			continue;
		snprintf(name, sizeof(name), "%.*s", SPAN_FMT(names[i]));
		if (!show_has(r, name))
			continue;
		html(t, "<dt>");
		show_title(t, names[i]);
		html(t, "</dt><dd>");
		show_field(t, r, name);
		html(t, "</dd>");
	}
	html(t, "</dl>\n");
}
