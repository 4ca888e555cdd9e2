/*
 * admin/recordshow.c - records as text and as JSON. What an outsider wrote is shown, never obeyed.
 */
#include "admin/record.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

#define COLUMNS_MAX	RECORD_FIELDS
#define COLUMN_WIDTH	60	/* what is wider does not widen its column, but where lines end anyway */
#define SET_IN		2	/* columns by which a row's further lines are set in */

static bool
is_plain(unsigned char c)
{
	return c > 0x1f && c < 0x7f;
}

static size_t
escaped_width(struct span s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += is_plain((unsigned char)s.p[i]) ? 1 : 4;
	return n;
}

void
record_print_escaped(FILE *out, struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (is_plain(c))
			putc(c, out);
		else
			fprintf(out, "\\x%02X", c);
	}
}

static void
format_time(int64_t at, char out[32])
{
	time_t t = (time_t)at;
	struct tm tm;

	if (at == 0)
		snprintf(out, 32, "never");
	else if (gmtime_r(&t, &tm) == NULL || tm.tm_year > 8099 || tm.tm_year < -1900 ||
	    strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(out, 32, "%lld", (long long)at);
}

/* The value as a person reads it, escaped already. Borrows text's bytes or uses room. */
static struct span
shown(const struct record_field *f, char room[32])
{
	switch (f->type) {
	case RECORD_INT:
		snprintf(room, 32, "%lld", (long long)f->number);
		return span_str(room);
	case RECORD_BOOL:
		return f->number != 0 ? SPAN_LIT("yes") : SPAN_LIT("no");
	case RECORD_TIME:
		format_time(f->number, room);
		return span_str(room);
	default:
		return f->text;
	}
}

/* Is an item of that name already in the record, before `before`? Then it was shown with the first one. */
static bool
seen_before(const struct record *r, size_t before, struct span name)
{
	struct record_field f;
	size_t at = 0;

	while (at < before && record_next(r, &at, &f))
		if (f.type == RECORD_ITEM && span_eq(f.name, name))
			return true;
	return false;
}

/* All items of that name, with commas; their width when out is NULL. */
static size_t
print_items(FILE *out, const struct record *r, struct span name)
{
	struct record_field f;
	size_t at = 0, width = 0;

	while (record_next(r, &at, &f)) {
		if (f.type != RECORD_ITEM || !span_eq(f.name, name))
			continue;
		if (width != 0 && out != NULL)
			fputs(", ", out);
		width += (width != 0 ? 2 : 0) + escaped_width(f.text);
		if (out != NULL)
			record_print_escaped(out, f.text);
	}
	return width;
}

static size_t
print_value(FILE *out, const struct record *r, const struct record_field *f)
{
	char room[32];
	struct span s;

	if (f->type == RECORD_ITEM)
		return print_items(out, r, f->name);
	s = shown(f, room);
	if (out != NULL)
		record_print_escaped(out, s);
	return escaped_width(s);
}

/* A value as a word; in quotes where it would be several, or none. */
static void
print_quoted(FILE *out, const struct record *r, const struct record_field *f)
{
	bool words = f->type == RECORD_ITEM || (f->type == RECORD_TEXT && (f->text.n == 0 ||
	    memchr(f->text.p, ' ', f->text.n) != NULL || memchr(f->text.p, '"', f->text.n) != NULL));

	if (!words) {
		print_value(out, r, f);
		return;
	}
	putc('"', out);
	if (f->type == RECORD_ITEM)
		print_items(out, r, f->name);
	for (size_t i = 0; f->type != RECORD_ITEM && i < f->text.n; i++)
		if (f->text.p[i] == '"')
			fputs("\\x22", out);
		else
			record_print_escaped(out, span_of(f->text.p + i, 1));
	putc('"', out);
}

void
record_print_line_but(FILE *out, const struct record *r, const char *but)
{
	struct record_field f;
	const char *sep = "";
	size_t at = 0, before = 0;

	for (; record_next(r, &at, &f); before = at) {
		if ((f.type == RECORD_ITEM && seen_before(r, before, f.name)) || (but != NULL && span_is(f.name, but)))
			continue;
		fprintf(out, "%s%.*s=", sep, SPAN_FMT(f.name));
		print_quoted(out, r, &f);
		sep = " ";
	}
	putc('\n', out);
}

void
record_print_line(FILE *out, const struct record *r)
{
	record_print_line_but(out, r, NULL);
}

/* Columns that a text takes: characters of UTF-8. */
static size_t
columns_of(struct span s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

void
record_print_wrapped(FILE *out, struct span text, size_t at, size_t left, size_t width)
{
	bool first = true;

	while (!span_is_empty(text)) {
		size_t n = span_find(text, ' '), columns = columns_of(span_head(text, n));

		if (width != 0 && at + !first + columns > width && (!first || at > SET_IN)) {
			/* a long word moves to the left, as far as it must */
			at = left + columns <= width ? left : columns + SET_IN <= width ? width - columns : SET_IN;
			fprintf(out, "\n%*s", (int)at, "");
			first = true;
		}
		if (!first)
			putc(' ', out);
		fprintf(out, "%.*s", SPAN_FMT(span_head(text, n)));
		at += columns + !first;
		first = false;
		text = span_tail(text, n + 1);
	}
}

/* A value that begins in column at. */
static void
print_value_in(FILE *out, const struct record *r, const struct record_field *f, size_t at, size_t width)
{
	char *text = NULL;
	size_t n = 0;
	FILE *m = width != 0 && at + print_value(NULL, r, f) > width ? open_memstream(&text, &n) : NULL;

	if (m == NULL) {
		print_value(out, r, f);
		return;
	}
	print_value(m, r, f);
	if (fclose(m) == 0)
		record_print_wrapped(out, span_of(text, n), at, at, width);
	free(text);
}

static void
print_card_in(FILE *out, const struct record *r, size_t width)
{
	struct record_field f;
	size_t at = 0, before = 0, names = 0;

	while (record_next(r, &at, &f))
		names = f.name.n > names ? f.name.n : names;
	for (at = 0; record_next(r, &at, &f); before = at) {
		if (f.type == RECORD_ITEM && seen_before(r, before, f.name))
			continue;
		fprintf(out, "%.*s:%*s", SPAN_FMT(f.name), (int)(names - f.name.n + 1), "");
		print_value_in(out, r, &f, names + 2, width);
		putc('\n', out);
	}
}

void
record_print_card(FILE *out, const struct record *r)
{
	print_card_in(out, r, 0);
}

/* ---- JSON ---- */

/* One code point of UTF-8 at s, its length in *used; U+FFFD and 1 for what is none. */
static uint32_t
code_point(struct span s, size_t *used)
{
	static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned char c = (unsigned char)s.p[0];
	size_t n = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xf0 && c < 0xf5 ? 4 : 0;
	uint32_t v = n == 1 ? c : c & (0xffu >> (n + 1));

	*used = 1;
	if (n == 0 || n > s.n)
		return 0xfffd;
	for (size_t i = 1; i < n; i++) {
		if (((unsigned char)s.p[i] & 0xc0) != 0x80)
			return 0xfffd;
		v = v << 6 | ((unsigned char)s.p[i] & 0x3f);
	}
	if (v < least[n] || v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
		return 0xfffd;
	*used = n;
	return v;
}

void
record_print_json_text(FILE *out, struct span s)
{
	size_t used;

	putc('"', out);
	for (size_t i = 0; i < s.n; i += used) {
		uint32_t c = code_point(span_tail(s, i), &used);

		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", (int)c);
		else if (c < 0x80 && is_plain((unsigned char)c))
			putc((int)c, out);
		else if (c < 0x10000)
			fprintf(out, "\\u%04x", (unsigned)c);
		else
			fprintf(out, "\\u%04x\\u%04x", (unsigned)(0xd800 + ((c - 0x10000) >> 10)),
			    (unsigned)(0xdc00 + ((c - 0x10000) & 0x3ff)));
	}
	putc('"', out);
}

static void
print_json_items(FILE *out, const struct record *r, struct span name)
{
	struct record_field f;
	const char *sep = "";
	size_t at = 0;

	putc('[', out);
	while (record_next(r, &at, &f)) {
		if (f.type != RECORD_ITEM || !span_eq(f.name, name))
			continue;
		fputs(sep, out);
		record_print_json_text(out, f.text);
		sep = ",";
	}
	putc(']', out);
}

static void
print_json_value(FILE *out, const struct record *r, const struct record_field *f)
{
	char text[32];

	switch (f->type) {
	case RECORD_INT:
		fprintf(out, "%lld", (long long)f->number);
		break;
	case RECORD_BOOL:
		fputs(f->number != 0 ? "true" : "false", out);
		break;
	case RECORD_TIME:
		format_time(f->number, text);
		if (f->number == 0)
			fputs("null", out);
		else
			fprintf(out, "\"%s\"", text);
		break;
	case RECORD_ITEM:
		print_json_items(out, r, f->name);
		break;
	default:
		record_print_json_text(out, f->text);
	}
}

void
record_print_json(FILE *out, const struct record *r, bool with_kind)
{
	struct record_field f;
	const char *sep = "";
	size_t at = 0, before = 0;

	putc('{', out);
	if (with_kind) {
		fputs("\"kind\":", out);
		record_print_json_text(out, r->kind);
		sep = ",";
	}
	for (; record_next(r, &at, &f); before = at) {
		if (f.type == RECORD_ITEM && seen_before(r, before, f.name))
			continue;
		fputs(sep, out);
		record_print_json_text(out, f.name);
		putc(':', out);
		print_json_value(out, r, &f);
		sep = ",";
	}
	putc('}', out);
}

/* ---- a table ---- */

struct row {
	struct row	*next;
	struct record	 rec;
	char		 bytes[];
};

struct record_table {
	struct row	*first, **last;
	size_t		 n;
};

struct column {
	struct span	 name;
	size_t		 width;
	bool		 number;	/* to the right */
};

struct record_table *
record_table_new(void)
{
	struct record_table *t = xcalloc(1, sizeof(*t));

	t->last = &t->first;
	return t;
}

void
record_table_free(struct record_table *t)
{
	struct row *next;

	if (t == NULL)
		return;
	for (struct row *r = t->first; r != NULL; r = next) {
		next = r->next;
		free(r);
	}
	free(t);
}

void
record_table_add(struct record_table *t, const struct record *rec)
{
	struct row *r = xcalloc(1, sizeof(*r) + rec->len + 1);

	if (rec->len != 0)
		memcpy(r->bytes, rec->fields, rec->len);
	r->rec = (struct record){ .n = rec->n, .fields = (const unsigned char *)r->bytes, .len = rec->len };
	*t->last = r;
	t->last = &r->next;
	t->n++;
}

size_t
record_table_count(const struct record_table *t)
{
	return t->n;
}

void
record_table_print_cards(const struct record_table *t, FILE *out)
{
	record_table_print_cards_in(t, out, 0);
}

void
record_table_print_cards_in(const struct record_table *t, FILE *out, size_t width)
{
	for (const struct row *r = t->first; r != NULL; r = r->next) {
		if (r != t->first)
			putc('\n', out);
		print_card_in(out, &r->rec, width);
	}
}

static size_t
find_columns(const struct record_table *t, struct column column[COLUMNS_MAX], size_t widest)
{
	size_t n = 0;

	for (const struct row *r = t->first; r != NULL; r = r->next) {
		struct record_field f;
		size_t at = 0, i, width;

		while (record_next(&r->rec, &at, &f)) {
			for (i = 0; i < n && !span_eq(column[i].name, f.name); i++)
				;
			if (i == COLUMNS_MAX)
				continue;
			if (i == n)
				column[n++] = (struct column){ f.name, f.name.n, f.type == RECORD_INT };
			width = print_value(NULL, &r->rec, &f);
			width = width < widest ? width : widest;
			column[i].width = width > column[i].width ? width : column[i].width;
		}
	}
	return n;
}

static bool
find_field(const struct record *r, struct span name, struct record_field *f)
{
	size_t at = 0;

	while (record_next(r, &at, f))
		if (span_eq(f->name, name))
			return true;
	return false;
}

/* Columns from `from` on that stand in one line of width (0: all); at least one. The others of a row are set in. */
static size_t
columns_in_line(const struct column *column, size_t n, size_t from, size_t width)
{
	size_t used = from != 0 ? SET_IN : 0, i = from;

	while (i < n && (width == 0 || i == from || used + column[i].width <= width))
		used += column[i++].width + 2;
	return i;
}

static void
print_name(FILE *out, struct span name)
{
	for (size_t k = 0; k < name.n; k++) {
		char c = name.p[k];

		putc(c == '_' ? '-' : c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c, out);
	}
}

static void
print_header(FILE *out, const struct column *column, size_t n, size_t width)
{
	for (size_t from = 0, to; from < n; from = to) {
		to = columns_in_line(column, n, from, width);
		fprintf(out, "%*s", from != 0 ? SET_IN : 0, "");
		for (size_t i = from; i < to; i++) {
			int pad = (int)(column[i].width - column[i].name.n);

			if (column[i].number)
				fprintf(out, "%*s", pad, "");
			print_name(out, column[i].name);
			if (i + 1 < to)
				fprintf(out, "%*s", column[i].number ? 2 : pad + 2, "");
		}
		putc('\n', out);
	}
}

static void
print_row(FILE *out, const struct record *r, const struct column *column, size_t n, size_t width)
{
	for (size_t from = 0, to; from < n; from = to) {
		size_t at = from != 0 ? SET_IN : 0;

		to = columns_in_line(column, n, from, width);
		fprintf(out, "%*s", (int)at, "");
		for (size_t i = from; i < to; i++) {
			struct record_field f;
			bool there = find_field(r, column[i].name, &f);
			size_t used = there ? print_value(NULL, r, &f) : 1;
			int pad = used < column[i].width ? (int)(column[i].width - used) : 0;

			if (column[i].number)
				fprintf(out, "%*s", pad, "");
			if (used == 0 || !there)
				putc('-', out), pad -= there && pad > 0;
			else
				print_value_in(out, r, &f, at, width);
			if (i + 1 < to)
				fprintf(out, "%*s", column[i].number ? 2 : pad + 2, "");
			at += column[i].width + 2;
		}
		putc('\n', out);
	}
}

void
record_table_print_in(const struct record_table *t, FILE *out, size_t width)
{
	struct column column[COLUMNS_MAX];
	size_t n = find_columns(t, column, width > COLUMN_WIDTH ? width - SET_IN : COLUMN_WIDTH);

	if (n == 0)
		return;
	print_header(out, column, n, width);
	for (const struct row *r = t->first; r != NULL; r = r->next)
		print_row(out, &r->rec, column, n, width);
}

void
record_table_print(const struct record_table *t, FILE *out)
{
	record_table_print_in(t, out, 0);
}
