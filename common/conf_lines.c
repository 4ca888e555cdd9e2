/*
 * common/conf_lines.c - see conf_lines.h.
 */
#include "common/conf_lines.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

#define LOOK_BACK	32		/* lines: comments may stand before the bracket */
#define FILE_MAX	(64 << 20)	/* bytes; of a larger file the given line will do */

static bool
read_all(struct conf_lines *l, FILE *f)
{
	long n;

	if (fseek(f, 0, SEEK_END) != 0 || (n = ftell(f)) < 0 || n > FILE_MAX)
		return false;
	rewind(f);
	l->text = xmalloc((size_t)n + 1);
	l->n = fread(l->text, 1, (size_t)n, f);
	l->text[l->n] = '\0';
	return true;
}

static void
find_lines(struct conf_lines *l)
{
	size_t max = 0;

	for (size_t i = 0; i <= l->n; i++) {
		if (i != 0 && l->text[i - 1] != '\n')
			continue;
		if (l->nlines == max) {
			max = max != 0 ? max * 2 : 256;
			l->at = xreallocarray(l->at, max, sizeof(*l->at));
		}
		l->at[l->nlines++] = i;
	}
}

static void
load(struct conf_lines *l, const char *file)
{
	FILE *f;

	conf_lines_fini(l);
	l->file = xstrdup(file);
	if ((f = fopen(file, "rbe")) == NULL)
		return;
	if (read_all(l, f))
		find_lines(l);
	fclose(f);
}

void
conf_lines_take(struct conf_lines *l, const char *file, struct span text)
{
	conf_lines_fini(l);
	l->file = xstrdup(file);
	l->text = xmemdup(text.p, text.n);
	l->n = text.n;
	find_lines(l);
}

/* Does line number (from 1) have "value" in it? */
static bool
has(const struct conf_lines *l, size_t number, const char *value, size_t n)
{
	const char *p = l->text + l->at[number - 1];
	const char *end = number < l->nlines ? l->text + l->at[number] : l->text + l->n;

	while ((p = memchr(p, '"', (size_t)(end - p))) != NULL) {
		p++;
		if ((size_t)(end - p) > n && memcmp(p, value, n) == 0 && p[n] == '"')
			return true;
	}
	return false;
}

int
conf_lines_find(struct conf_lines *l, const char *file, int line, const char *value)
{
	size_t n = strlen(value);

	if (l->file == NULL || strcmp(l->file, file) != 0)
		load(l, file);
	if (line < 1 || (size_t)line > l->nlines)
		return line;
	for (int at = line; at >= 1 && line - at <= LOOK_BACK; at--)
		if (has(l, (size_t)at, value, n))
			return at;
	return line;
}

void
conf_lines_fini(struct conf_lines *l)
{
	if (l->text != NULL)
		mem_wipe_free(l->text, l->n);
	free(l->at);
	free(l->file);
	*l = (struct conf_lines){ .file = NULL };
}
