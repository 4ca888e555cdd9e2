/*
 * common/conf_report.c - what is said about a configuration: errors, where
 * options stood, near misses, and the list of options.
 */
#include "common/conf_report.h"

#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "common/mem.h"
#include "common/strbuf.h"

struct conf_error {
	char	*file;		/* NULL: no place */
	int	 line;
	char	*text;		/* whole message, place included */
};

struct conf_place {
	char	*path;
	char	*file;
	int	 line;
};

struct conf_errors {
	struct conf_error	*v;
	size_t			 n;
	struct conf_place	*places;
	size_t			 nplaces;
	uint32_t		*index;		/* by hash of the path: number of its latest place, from 1; 0: free */
	size_t			 nindex;	/* a power of two, at least twice nplaces */
};

struct conf_errors *
conf_errors_new(void)
{
	return xcalloc(1, sizeof(struct conf_errors));
}

void
conf_errors_free(struct conf_errors *errs)
{
	if (errs == NULL)
		return;
	for (size_t i = 0; i < errs->n; i++) {
		free(errs->v[i].file);
		free(errs->v[i].text);
	}
	for (size_t i = 0; i < errs->nplaces; i++) {
		free(errs->places[i].path);
		free(errs->places[i].file);
	}
	free(errs->v);
	free(errs->places);
	free(errs->index);
	free(errs);
}

size_t
conf_errors_count(const struct conf_errors *errs)
{
	return errs->n;
}

const char *
conf_errors_get(const struct conf_errors *errs, size_t i)
{
	return errs->v[i].text;
}

void
conf_errors_print(const struct conf_errors *errs, FILE *out)
{
	for (size_t i = 0; i < errs->n; i++)
		fprintf(out, "%s\n", errs->v[i].text);
}

void
conf_error(struct conf_errors *errs, const char *file, int line, const char *fmt, ...)
{
	struct conf_error *e;
	char text[2048];
	struct strbuf sb;
	va_list ap;

	strbuf_init(&sb, text, sizeof(text));
	if (file != NULL && line > 0)
		strbuf_printf(&sb, "%s:%d: ", file, line);
	else if (file != NULL)
		strbuf_printf(&sb, "%s: ", file);
	if (strbuf_ok(&sb)) {
		va_start(ap, fmt);
		vsnprintf(text + sb.len, sizeof(text) - sb.len, fmt, ap);
		va_end(ap);
	}
	/* what it quotes may be of somebody's file, and is shown on somebody's terminal */
	for (unsigned char *p = (unsigned char *)text; *p != '\0'; p++)
		if (*p < ' ' || *p == 0x7f)
			*p = '?';
		else if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)	/* U+0080 to U+009F, controls as well */
			p[0] = p[1] = '?';
	errs->v = xreallocarray(errs->v, errs->n + 1, sizeof(*errs->v));
	e = &errs->v[errs->n++];
	e->file = file != NULL ? xstrdup(file) : NULL;
	e->line = line;
	e->text = xstrdup(text);
}

/* Where a path's latest place is numbered, or would be: a policy has tens of thousands of places. */
static uint32_t *
index_of(const struct conf_errors *errs, const char *path)
{
	size_t i = (size_t)hash_bytes(path, strlen(path)) & (errs->nindex - 1);

	while (errs->index[i] != 0 && strcmp(errs->places[errs->index[i] - 1].path, path) != 0)
		i = (i + 1) & (errs->nindex - 1);
	return &errs->index[i];
}

static const struct conf_place *
place_of(const struct conf_errors *errs, const char *path)
{
	uint32_t number = errs->nindex != 0 ? *index_of(errs, path) : 0;

	return number != 0 ? &errs->places[number - 1] : NULL;
}

/* Room for one more place, the index at most half full. */
static void
grow_places(struct conf_errors *errs)
{
	if ((errs->nplaces + 1) * 2 <= errs->nindex)
		return;
	free(errs->index);
	errs->nindex = errs->nindex != 0 ? errs->nindex * 2 : 64;
	errs->index = xcalloc(errs->nindex, sizeof(*errs->index));
	errs->places = xreallocarray(errs->places, errs->nindex / 2, sizeof(*errs->places));
	/* In the order remembered, so that the latest of equal paths stays. */
	for (size_t i = 0; i < errs->nplaces; i++)
		*index_of(errs, errs->places[i].path) = (uint32_t)i + 1;
}

int
conf_line_of(const struct conf_errors *errs, const char *path)
{
	const struct conf_place *p = place_of(errs, path);

	return p != NULL ? p->line : 0;
}

const char *
conf_file_of(const struct conf_errors *errs, const char *path)
{
	const struct conf_place *p = place_of(errs, path);

	return p != NULL ? p->file : NULL;
}

void
conf_remember(struct conf_errors *errs, const char *path, const char *file, int line)
{
	struct conf_place *p;

	grow_places(errs);
	p = &errs->places[errs->nplaces++];
	p->path = xstrdup(path);
	p->file = xstrdup(file);
	p->line = line;
	/* The latest: after a reload the file may have changed. */
	*index_of(errs, path) = (uint32_t)errs->nplaces;
}

/* Errors of included files after those of the file itself, lines ascending. */
static bool
comes_before(const char *file, const struct conf_error *a, const struct conf_error *b)
{
	bool main_a = strcmp(a->file, file) == 0, main_b = strcmp(b->file, file) == 0;
	int c;

	if (main_a != main_b)
		return main_a;
	c = strcmp(a->file, b->file);
	return c != 0 ? c < 0 : a->line < b->line;
}

void
conf_errors_sort(struct conf_errors *errs, size_t from, const char *file)
{
	for (size_t i = from + 1; i < errs->n; i++) {
		struct conf_error e = errs->v[i];
		size_t at = i;

		for (; at > from && comes_before(file, &e, &errs->v[at - 1]); at--)
			errs->v[at] = errs->v[at - 1];
		errs->v[at] = e;
	}
}

/* --- near misses ------------------------------------------------------------ */

#define NAME_MAX_COMPARED	63

/* Changes of one letter (put in, left out, replaced) that lead from a to b. */
static size_t
distance(const char *a, const char *b)
{
	size_t row[NAME_MAX_COMPARED + 1];
	size_t la = strlen(a), lb = strlen(b);

	if (la > NAME_MAX_COMPARED || lb > NAME_MAX_COMPARED)
		return SIZE_MAX;
	for (size_t j = 0; j <= lb; j++)
		row[j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t best = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[lb];
}

bool
conf_is_near(const char *a, const char *b)
{
	size_t allowed = strlen(a) < 4 ? 1 : strlen(a) < 8 ? 2 : 3;

	return distance(a, b) <= allowed;
}

static const char *
last_name(const char *path)
{
	const char *dot = strrchr(path, '.');

	return dot != NULL ? dot + 1 : path;
}

bool
conf_suggest(const struct conf_item *items, const char *path, char out[CONF_PATH_MAX])
{
	size_t least = SIZE_MAX, n;
	char name[CONF_PATH_MAX];

	/* A like spelling of an option, or of a group on the way to one. */
	for (const struct conf_item *it = items; it->path != NULL; it++)
		for (n = strcspn(it->path, ".");; n += 1 + strcspn(it->path + n + 1, ".")) {
			size_t d;

			if (n >= sizeof(name))
				break;
			memcpy(name, it->path, n);
			name[n] = '\0';
			d = distance(path, name);
			if (conf_is_near(path, name) && d < least) {
				least = d;
				memcpy(out, name, n + 1);
			}
			if (it->path[n] == '\0')
				break;
		}
	/* The same name in another group. */
	for (const struct conf_item *it = items; least == SIZE_MAX && it->path != NULL; it++)
		if (strcmp(last_name(it->path), last_name(path)) == 0 && strlen(it->path) < CONF_PATH_MAX) {
			least = 0;
			strcpy(out, it->path);
		}
	return least != SIZE_MAX;
}

/* --- the list of options ------------------------------------------------------ */

void
conf_range_of(const struct conf_item *it, long *min, long *max)
{
	bool given = it->min != it->max;

	*min = given ? it->min : 0;
	*max = given ? it->max : INT_MAX;
}

static void
print_type(const struct conf_item *it, FILE *out)
{
	long min, max;

	switch (it->type) {
	case CONF_BOOL:
		fputs("true or false", out);
		break;
	case CONF_INT:
		conf_range_of(it, &min, &max);
		fprintf(out, "number %ld to %ld", min, max);
		break;
	case CONF_STR:
		fputs("text", out);
		break;
	case CONF_CHOICE:
		for (size_t i = 0; it->choices[i] != NULL; i++)
			fprintf(out, "%s\"%s\"", i != 0 ? "|" : "", it->choices[i]);
		break;
	case CONF_STRS:
		fputs("texts", out);
		break;
	case CONF_GROUPS:
		fputs("list of groups", out);
		break;
	}
}

static void
print_default(const struct conf_item *it, FILE *out)
{
	if (it->flags & CONF_REQUIRED) {
		fputs("(required)", out);
		return;
	}
	switch (it->type) {
	case CONF_BOOL:
		fputs(it->dflt ? "true" : "false", out);
		break;
	case CONF_INT:
		fprintf(out, "%ld", it->dflt);
		break;
	case CONF_CHOICE:
		fprintf(out, "\"%s\"", it->choices[it->dflt]);
		break;
	case CONF_STR:
	case CONF_STRS:
		if (it->text != NULL)
			fprintf(out, "\"%s\"", it->text);
		else
			fputs("(none)", out);
		break;
	case CONF_GROUPS:
		fputs("(none)", out);
		break;
	}
}

static void
print_rows(const struct conf_item *items, const char *prefix, FILE *out)
{
	char below[CONF_PATH_MAX];

	for (const struct conf_item *it = items; it->path != NULL; it++) {
		fprintf(out, "%s%s\t", prefix, it->path);
		print_type(it, out);
		fputc('\t', out);
		print_default(it, out);
		fprintf(out, "\t%s\t%s\n", it->help != NULL ? it->help : "", (it->flags & CONF_RELOADS) != 0 ? "reload" : "restart");
		if (it->type == CONF_GROUPS) {
			snprintf(below, sizeof(below), "%s%s[].", prefix, it->path);
			print_rows(it->sub, below, out);
		}
	}
}

void
conf_print_options(const struct conf_item *items, FILE *out)
{
	print_rows(items, "", out);
}
