/*
 * common/conf_flatten.c - a text and what it includes as one text; see conf.h.
 *
 * libconfig takes "@include" where a line begins with it, outside of comments and texts, and reads
 * the file in its place. That is what is done here; whether the result is right, who loads it finds.
 */
#include "common/conf.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/err.h"
#include "common/mem.h"

#define DEPTH_MAX	10	/* files that include one another, as libconfig has it */
#define FILES_MAX	256

struct flat {
	const char		*dir;
	char			*p;
	size_t			 n, room, max;
	unsigned		 files;
	size_t			 want;		/* of this byte of the whole, file and line are wanted */
	char			*file;		/* once it is there */
	int			 line;
	struct conf_errors	*errs;
	enum { PLAIN = 0, COMMENT, STRING } inside;
};

static int	flatten(struct flat *, const char *name, struct span text, unsigned depth);

static bool
put(struct flat *f, const char *p, size_t n)
{
	if (n > f->max - f->n)
		return false;
	if (f->n + n + 1 > f->room) {
		f->room = (f->n + n + 1) * 2;
		f->p = xrealloc(f->p, f->room);
	}
	if (n != 0)
		memcpy(f->p + f->n, p, n);
	f->n += n;
	return true;
}

/* ".." would lead out of the directory, to files that are none of the policy's business. */
static bool
leads_out(const char *name)
{
	for (const char *p = name; (p = strstr(p, "..")) != NULL; p += 2)
		if ((p == name || p[-1] == '/') && (p[2] == '/' || p[2] == '\0'))
			return true;
	return false;
}

static char *
read_file(const char *path, size_t max, size_t *n)
{
	FILE *f = fopen(path, "re");
	struct stat st;
	char *text = NULL;

	if (f == NULL)
		return NULL;
	if (fstat(fileno(f), &st) != 0 || !S_ISREG(st.st_mode)) {
		errno = EINVAL;
	} else if ((uint64_t)st.st_size > max) {
		errno = EFBIG;
	} else {
		text = xmalloc((size_t)st.st_size + 1);
		*n = fread(text, 1, (size_t)st.st_size, f);
		text[*n] = '\0';
		if (ferror(f)) {
			free(text);
			text = NULL;
			errno = EIO;
		}
	}
	fclose(f);
	return text;
}

static int
too_long(struct flat *f, const char *file, int line)
{
	conf_error(f->errs, file, line, "is more than %zu bytes with all that it includes", f->max);
	return SP_ELIMIT;
}

/* The file of an @include that stands in line at of by. */
static int
take_in(struct flat *f, struct span name, const char *by, int at, unsigned depth)
{
	char file[PATH_MAX], path[2 * PATH_MAX];
	char *text;
	size_t n = 0;
	int err;

	if (name.n >= sizeof(file) || span_find(name, '\\') < name.n || span_find(name, '\0') < name.n) {
		conf_error(f->errs, by, at, "@include: that name of a file will not do");
		return SP_EINVAL;
	}
	memcpy(file, name.p, name.n);
	file[name.n] = '\0';
	if (leads_out(file)) {
		conf_error(f->errs, by, at, "@include: a name with \"..\" leads elsewhere");
		return SP_EINVAL;
	}
	if (depth >= DEPTH_MAX || f->files++ >= FILES_MAX) {
		conf_error(f->errs, by, at, "@include: more than %d files deep, or %d in all", DEPTH_MAX, FILES_MAX);
		return SP_EINVAL;
	}
	snprintf(path, sizeof(path), "%s%s%s", f->dir != NULL ? f->dir : "", f->dir != NULL ? "/" : "", file);
	if ((text = read_file(path, f->max, &n)) == NULL) {
		conf_error(f->errs, by, at, "@include: cannot read %s: %s", path, strerror(errno));
		return errno == EFBIG ? SP_ELIMIT : SP_EINVAL;
	}
	err = flatten(f, path, span_of(text, n), depth + 1);
	if (err == SP_OK && f->n > 0 && f->p[f->n - 1] != '\n' && !put(f, "\n", 1))
		err = too_long(f, by, at);
	mem_wipe_free(text, n);
	return err;
}

/* What one line leaves open. */
static void
look_at(struct flat *f, struct span line)
{
	for (size_t i = 0; i < line.n; i++) {
		char c = line.p[i], after = i + 1 < line.n ? line.p[i + 1] : '\0';

		if (f->inside == COMMENT) {
			if (c == '*' && after == '/') {
				f->inside = PLAIN;
				i++;
			}
		} else if (f->inside == STRING) {
			if (c == '\\')
				i++;
			else if (c == '"')
				f->inside = PLAIN;
		} else if (c == '#' || (c == '/' && after == '/')) {
			return;
		} else if (c == '/' && after == '*') {
			f->inside = COMMENT;
			i++;
		} else if (c == '"') {
			f->inside = STRING;
		}
	}
}

/* Is this an @include? *name, and what is left of the line behind it. */
static bool
is_include(struct span line, struct span *name, struct span *rest)
{
	static const char word[] = "@include";
	size_t i = 0, n = sizeof(word) - 1, end;

	while (i < line.n && (line.p[i] == ' ' || line.p[i] == '\t'))
		i++;
	if (line.n - i < n || memcmp(line.p + i, word, n) != 0)
		return false;
	for (i += n; i < line.n && (line.p[i] == ' ' || line.p[i] == '\t');)
		i++;
	if (i >= line.n || line.p[i] != '"')
		return false;
	*name = span_tail(line, i + 1);
	if ((end = span_find(*name, '"')) == name->n)
		return false;
	*rest = span_tail(*name, end + 1);
	*name = span_head(*name, end);
	return true;
}

static int
flatten(struct flat *f, const char *by, struct span text, unsigned depth)
{
	for (int at = 1; text.n > 0; at++) {
		size_t n = span_find(text, '\n');
		struct span line = span_head(text, n + 1), name, rest = line;
		int err;

		text = span_tail(text, n + 1);
		if (f->inside == PLAIN && is_include(line, &name, &rest) && (err = take_in(f, name, by, at, depth)) != SP_OK)
			return err;
		look_at(f, rest);
		if (!put(f, rest.p, rest.n))
			return too_long(f, by, at);
		if (f->file == NULL && f->n > f->want) {
			f->file = xstrdup(by);
			f->line = at;
		}
	}
	return SP_OK;
}

bool
conf_includes(struct span text)
{
	struct flat f = { .inside = PLAIN };

	while (text.n > 0) {
		size_t n = span_find(text, '\n');
		struct span line = span_head(text, n + 1), name, rest;

		if (f.inside == PLAIN && is_include(line, &name, &rest))
			return true;
		look_at(&f, line);
		text = span_tail(text, n + 1);
	}
	return false;
}

int
conf_flatten(const char *name, struct span text, const char *dir, size_t max, char **out, size_t *n,
    struct conf_errors *errs)
{
	struct flat f = { .dir = dir, .max = max, .want = SIZE_MAX, .errs = errs };
	int err = flatten(&f, name, text, 0);

	if (err == SP_OK) {
		(void)put(&f, "", 0);
		if (f.p == NULL)
			f.p = xmalloc(1);
		f.p[f.n] = '\0';
		*out = f.p;
		*n = f.n;
		return SP_OK;
	}
	mem_wipe_free(f.p, f.n);
	*out = NULL;
	*n = 0;
	return err;
}

int
conf_place(const char *name, struct span text, const char *dir, size_t max, size_t at, char **file, int *line)
{
	struct flat f = { .dir = dir, .max = max, .want = at, .errs = conf_errors_new() };
	int err = flatten(&f, name, text, 0);

	conf_errors_free(f.errs);
	mem_wipe_free(f.p, f.n);
	*file = f.file;
	*line = f.line;
	return f.file != NULL ? SP_OK : err != SP_OK ? err : SP_ENOENT;
}
