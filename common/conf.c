/*
 * common/conf.c - a table of options applied to a libconfig file.
 *
 * Two passes over what libconfig read. The first goes through the table and
 * takes each option's value, or its default. The second goes through the file
 * and refuses every name that the table does not have.
 */
#include "common/conf.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <libconfig.h>

#include "common/err.h"
#include "common/mem.h"
#include "common/strbuf.h"

#define PATH_MAX_TEXT	256	/* of an option's full path in messages */
#define INCLUDE_DEPTH	10	/* libconfig's own limit */

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
};

/* One conf_load() on its way. */
struct reading {
	const char		*file;	/* as the caller named it */
	struct conf_errors	*errs;
	bool			 partial; /* the file broke off: what is missing is not known to be missing */
};

/* --- errors and places ---------------------------------------------------- */

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
	errs->v = xreallocarray(errs->v, errs->n + 1, sizeof(*errs->v));
	e = &errs->v[errs->n++];
	e->file = file != NULL ? xstrdup(file) : NULL;
	e->line = line;
	e->text = xstrdup(text);
}

static const struct conf_place *
place_of(const struct conf_errors *errs, const char *path)
{
	/* The latest: after a reload the file may have changed. */
	for (size_t i = errs->nplaces; i > 0; i--)
		if (strcmp(errs->places[i - 1].path, path) == 0)
			return &errs->places[i - 1];
	return NULL;
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

static int
line_of(const config_setting_t *s)
{
	return s != NULL ? (int)config_setting_source_line(s) : 0;
}

static const char *
file_of(const struct reading *rd, const config_setting_t *s)
{
	const char *file = s != NULL ? config_setting_source_file(s) : NULL;

	return file != NULL ? file : rd->file;
}

static void
remember(struct reading *rd, const config_setting_t *s, const char *path)
{
	struct conf_errors *errs = rd->errs;
	struct conf_place *p;

	errs->places = xreallocarray(errs->places, errs->nplaces + 1, sizeof(*errs->places));
	p = &errs->places[errs->nplaces++];
	p->path = xstrdup(path);
	p->file = xstrdup(file_of(rd, s));
	p->line = line_of(s);
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

static void
sort_errors(struct conf_errors *errs, size_t from, const char *file)
{
	for (size_t i = from + 1; i < errs->n; i++) {
		struct conf_error e = errs->v[i];
		size_t at = i;

		for (; at > from && comes_before(file, &e, &errs->v[at - 1]); at--)
			errs->v[at] = errs->v[at - 1];
		errs->v[at] = e;
	}
}

/* --- did you mean ---------------------------------------------------------- */

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

static bool
is_near(const char *a, const char *b)
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

/* The option that was probably meant: a like spelling, or the same name in another group. */
static const char *
suggest(const struct conf_item *items, const char *path)
{
	const char *best = NULL;
	size_t least = SIZE_MAX;

	for (const struct conf_item *it = items; it->path != NULL; it++) {
		size_t d = distance(it->path, path);

		if (is_near(it->path, path) && d < least) {
			least = d;
			best = it->path;
		}
	}
	for (const struct conf_item *it = items; best == NULL && it->path != NULL; it++)
		if (strcmp(last_name(it->path), last_name(path)) == 0 ||
		    strcmp(last_name(it->path), path) == 0)
			best = it->path;
	return best;
}

/* --- values ----------------------------------------------------------------- */

static void
complain(struct reading *rd, const config_setting_t *s, const char *path, const char *what)
{
	conf_error(rd->errs, file_of(rd, s), line_of(s), "%s: %s", path, what);
}

static void
complain_missing(struct reading *rd, const config_setting_t *group, const struct conf_item *it, const char *path)
{
	/* A group in a list has a line of its own; the file as a whole has none. */
	int line = group != NULL && !config_setting_is_root(group) ? line_of(group) : 0;

	if (!rd->partial)
		conf_error(rd->errs, file_of(rd, group), line, "%s: is missing and has no default: %s", path,
		    it->help != NULL ? it->help : "it must be set");
}

static void
range_of(const struct conf_item *it, long *min, long *max)
{
	bool given = it->min != it->max;

	*min = given ? it->min : 0;
	*max = given ? it->max : INT_MAX;
}

static void
take_bool(struct reading *rd, const config_setting_t *s, const struct conf_item *it, bool *out, const char *path)
{
	*out = it->dflt != 0;
	if (s == NULL)
		return;
	if (config_setting_type(s) != CONFIG_TYPE_BOOL)
		complain(rd, s, path, "expects true or false");
	else
		*out = config_setting_get_bool(s) == CONFIG_TRUE;
}

static void
take_int(struct reading *rd, const config_setting_t *s, const struct conf_item *it, int *out, const char *path)
{
	int type = s != NULL ? config_setting_type(s) : CONFIG_TYPE_NONE;
	long min, max;
	long long v;

	*out = (int)it->dflt;
	if (s == NULL)
		return;
	range_of(it, &min, &max);
	v = config_setting_get_int64(s);
	if ((type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64) && v >= min && v <= max)
		*out = (int)v;
	else
		conf_error(rd->errs, file_of(rd, s), line_of(s), "%s: expects a number from %ld to %ld", path, min,
		    max);
}

static void
take_choice(struct reading *rd, const config_setting_t *s, const struct conf_item *it, int *out, const char *path)
{
	const char *given = s != NULL ? config_setting_get_string(s) : NULL;
	const char *near = NULL;
	char text[512];
	struct strbuf sb;

	*out = (int)it->dflt;
	if (s == NULL)
		return;
	strbuf_init(&sb, text, sizeof(text));
	strbuf_puts(&sb, "expects one of");
	for (int i = 0; it->choices[i] != NULL; i++) {
		if (given != NULL && strcmp(given, it->choices[i]) == 0) {
			*out = i;
			return;
		}
		if (given != NULL && near == NULL && is_near(given, it->choices[i]))
			near = it->choices[i];
		strbuf_printf(&sb, "%s \"%s\"", i != 0 ? "," : "", it->choices[i]);
	}
	if (near != NULL)
		strbuf_printf(&sb, "; did you mean \"%s\"?", near);
	complain(rd, s, path, text);
}

static void
take_str(struct reading *rd, const config_setting_t *s, const struct conf_item *it, char **out, const char *path)
{
	const char *given = s != NULL ? config_setting_get_string(s) : NULL;

	if (s != NULL && given == NULL)
		complain(rd, s, path, "expects a text in double quotes");
	else if (given != NULL && given[0] == '\0' && (it->flags & CONF_NONEMPTY))
		complain(rd, s, path, "must not be empty");
	if (given == NULL)
		given = it->text;
	if (given == NULL && !(it->flags & CONF_OPTIONAL))
		given = "";
	*out = given != NULL ? xstrdup(given) : NULL;
}

static void
append_str(struct conf_strs *out, const char *s, int line)
{
	out->v = xreallocarray(out->v, out->n + 1, sizeof(*out->v));
	out->v[out->n].s = xstrdup(s);
	out->v[out->n++].line = line;
}

static void
element_path(char out[PATH_MAX_TEXT], const char *path, size_t i)
{
	struct strbuf sb;

	strbuf_init(&sb, out, PATH_MAX_TEXT);
	strbuf_printf(&sb, "%s[%zu]", path, i);
}

static void
take_strs(struct reading *rd, const config_setting_t *s, const struct conf_item *it, struct conf_strs *out,
    const char *path)
{
	char element[PATH_MAX_TEXT];

	if (s == NULL) {
		if (it->text != NULL)
			append_str(out, it->text, 0);
		return;
	}
	if (config_setting_type(s) == CONFIG_TYPE_STRING) {
		append_str(out, config_setting_get_string(s), line_of(s));
	} else if (!config_setting_is_array(s) && !config_setting_is_list(s)) {
		complain(rd, s, path, "expects texts in double quotes: [ \"one\", \"two\" ]");
		return;
	}
	for (int i = 0; config_setting_is_aggregate(s) && i < config_setting_length(s); i++) {
		const config_setting_t *e = config_setting_get_elem(s, (unsigned)i);
		const char *text = config_setting_get_string(e);

		element_path(element, path, (size_t)i);
		if (text == NULL) {
			complain(rd, e, element, "expects a text in double quotes");
			continue;
		}
		if (text[0] == '\0' && (it->flags & CONF_NONEMPTY))
			complain(rd, e, element, "must not be empty");
		remember(rd, e, element);
		append_str(out, text, line_of(e));
	}
	if (config_setting_is_aggregate(s) && config_setting_length(s) == 0 && (it->flags & CONF_NONEMPTY))
		complain(rd, s, path, "needs at least one text");
}

static void	read_group(struct reading *, const config_setting_t *, const struct conf_item *, char *, const char *);

static void
take_groups(struct reading *rd, const config_setting_t *s, const struct conf_item *it, struct conf_groups *out,
    const char *path)
{
	char element[PATH_MAX_TEXT];
	bool lone = s != NULL && config_setting_is_group(s);
	int n;

	if (s == NULL)
		return;
	if (!lone && !config_setting_is_list(s)) {
		/* "[ ]" is an array and empty, but harmless. */
		if (!config_setting_is_array(s) || config_setting_length(s) != 0) {
			complain(rd, s, path, "expects a list of groups: ( { ... }, { ... } )");
			return;
		}
	}
	n = lone ? 1 : config_setting_length(s);
	if (n == 0 && (it->flags & CONF_NONEMPTY))
		complain(rd, s, path, "needs at least one group");
	if (n <= 0)
		return;
	out->v = xcalloc((size_t)n, it->size);
	out->line = xcalloc((size_t)n, sizeof(*out->line));
	for (int i = 0; i < n; i++) {
		const config_setting_t *e = lone ? s : config_setting_get_elem(s, (unsigned)i);

		element_path(element, path, (size_t)i);
		if (!config_setting_is_group(e)) {
			complain(rd, e, element, "expects a group: { ... }");
			continue;
		}
		remember(rd, e, element);
		out->line[out->n] = line_of(e);
		read_group(rd, e, it->sub, (char *)out->v + out->n * it->size, element);
		out->n++;
	}
}

/* --- the table's pass -------------------------------------------------------- */

/* prefix.path into out; a path too long for messages is cut in them. */
static void
full_path(char out[PATH_MAX_TEXT], const char *prefix, const char *path)
{
	struct strbuf sb;

	strbuf_init(&sb, out, PATH_MAX_TEXT);
	if (prefix[0] != '\0')
		strbuf_printf(&sb, "%s.", prefix);
	strbuf_puts(&sb, path);
}

/* The setting at a dotted path below group; NULL if it or a group on the way is missing. */
static const config_setting_t *
lookup(const config_setting_t *group, const char *path)
{
	while (group != NULL && config_setting_is_group(group)) {
		size_t n = strcspn(path, ".");
		char step[PATH_MAX_TEXT];

		if (n >= sizeof(step))
			return NULL;
		memcpy(step, path, n);
		step[n] = '\0';
		group = config_setting_get_member(group, step);
		if (path[n] == '\0')
			break;
		path += n + 1;
		if (group != NULL && !config_setting_is_group(group))
			return NULL;
	}
	/* Where the file breaks off, libconfig leaves a setting without a value. */
	return group != NULL && config_setting_type(group) != CONFIG_TYPE_NONE ? group : NULL;
}

static void
read_item(struct reading *rd, const config_setting_t *group, const struct conf_item *it, void *at,
    const char *path)
{
	const config_setting_t *s = group != NULL ? lookup(group, it->path) : NULL;

	if (s != NULL)
		remember(rd, s, path);
	else if (it->flags & CONF_REQUIRED)
		complain_missing(rd, group, it, path);
	switch (it->type) {
	case CONF_BOOL:
		take_bool(rd, s, it, at, path);
		break;
	case CONF_INT:
		take_int(rd, s, it, at, path);
		break;
	case CONF_STR:
		take_str(rd, s, it, at, path);
		break;
	case CONF_CHOICE:
		take_choice(rd, s, it, at, path);
		break;
	case CONF_STRS:
		take_strs(rd, s, it, at, path);
		break;
	case CONF_GROUPS:
		take_groups(rd, s, it, at, path);
		break;
	}
}

static void
read_group(struct reading *rd, const config_setting_t *group, const struct conf_item *items, char *out,
    const char *prefix)
{
	char path[PATH_MAX_TEXT];

	for (const struct conf_item *it = items; it->path != NULL; it++) {
		full_path(path, prefix, it->path);
		read_item(rd, group, it, out + it->at, path);
	}
}

/* --- the file's pass ---------------------------------------------------------- */

/* The row for exactly this path; *inside says whether some row lies below it. */
static const struct conf_item *
row_for(const struct conf_item *items, const char *path, bool *inside)
{
	size_t n = strlen(path);

	*inside = false;
	for (const struct conf_item *it = items; it->path != NULL; it++) {
		if (strcmp(it->path, path) == 0)
			return it;
		if (strncmp(it->path, path, n) == 0 && it->path[n] == '.')
			*inside = true;
	}
	return NULL;
}

static void
refuse_unknown(struct reading *rd, const config_setting_t *s, const struct conf_item *items, const char *prefix,
    const char *local)
{
	const char *meant = suggest(items, local);
	char path[PATH_MAX_TEXT], better[PATH_MAX_TEXT];

	full_path(path, prefix, local);
	if (meant == NULL) {
		complain(rd, s, path, "there is no such option");
		return;
	}
	full_path(better, prefix, meant);
	conf_error(rd->errs, file_of(rd, s), line_of(s), "%s: there is no such option; did you mean %s?", path,
	    better);
}

/* prefix: full path of the group that items belong to; within: path of group below that, "" at its top. */
static void
refuse_unknowns(struct reading *rd, const config_setting_t *group, const struct conf_item *items,
    const char *prefix, const char *within)
{
	char local[PATH_MAX_TEXT], path[PATH_MAX_TEXT], element[PATH_MAX_TEXT];

	for (int i = 0; i < config_setting_length(group); i++) {
		const config_setting_t *s = config_setting_get_elem(group, (unsigned)i);
		const struct conf_item *it;
		bool inside;

		full_path(local, within, config_setting_name(s));
		full_path(path, prefix, local);
		it = row_for(items, local, &inside);
		if (it == NULL && !inside) {
			refuse_unknown(rd, s, items, prefix, local);
		} else if (it == NULL && config_setting_is_group(s)) {
			refuse_unknowns(rd, s, items, prefix, local);
		} else if (it == NULL) {
			if (config_setting_type(s) != CONFIG_TYPE_NONE)
				complain(rd, s, path, "expects a group: { ... }");
		} else if (it->type == CONF_GROUPS && config_setting_is_group(s)) {
			element_path(element, path, 0);
			refuse_unknowns(rd, s, it->sub, element, "");
		} else if (it->type == CONF_GROUPS && config_setting_is_list(s)) {
			for (int k = 0; k < config_setting_length(s); k++) {
				const config_setting_t *e = config_setting_get_elem(s, (unsigned)k);

				element_path(element, path, (size_t)k);
				if (config_setting_is_group(e))
					refuse_unknowns(rd, e, it->sub, element, "");
			}
		}
	}
}

/* --- the file ------------------------------------------------------------------ */

/* The directory of file, as libconfig wants it; to be freed. */
static char *
directory_of(const char *file)
{
	const char *slash = strrchr(file, '/');

	if (slash == NULL)
		return xstrdup(".");
	return xmemdup(file, slash == file ? 1 : (size_t)(slash - file));
}

/* SP_OK with *out open, or the error said. libconfig ends the process when it is given a directory. */
static int
open_regular(struct conf_errors *errs, const char *file, const char *by, int line, FILE **out)
{
	struct stat st;
	FILE *f = NULL;
	int why = 0;

	if (stat(file, &st) != 0)
		why = errno;
	else if (!S_ISREG(st.st_mode))
		why = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
	else if ((f = fopen(file, "re")) == NULL)
		why = errno;
	*out = f;
	if (f != NULL)
		return SP_OK;
	if (by != NULL)
		conf_error(errs, by, line, "@include: cannot read %s: %s", file, strerror(why));
	else
		conf_error(errs, file, 0, "cannot be read: %s", strerror(why));
	return SP_EINVAL;
}

/* The name in a line like  @include "users.conf"  into out; false when it is none. */
static bool
include_name(const char *line, char *out, size_t size)
{
	const char *end;
	size_t n;

	line += strspn(line, " \t");
	if (strncmp(line, "@include", 8) != 0)
		return false;
	line += 8;
	n = strspn(line, " \t");
	if (n == 0 || line[n] != '"')
		return false;
	line += n + 1;
	if ((end = strchr(line, '"')) == NULL || (n = (size_t)(end - line)) >= size)
		return false;
	memcpy(out, line, n);
	out[n] = '\0';
	return true;
}

/* Are the file and all that it includes there to be read? Says every one that is not. */
static int
check_files(struct conf_errors *errs, const char *dir, const char *file, const char *by, int at, int depth)
{
	char *line = NULL;
	size_t size = 0;
	int err = SP_OK;
	FILE *f;

	if (depth > INCLUDE_DEPTH) {
		conf_error(errs, by, at, "@include: more than %d files deep", INCLUDE_DEPTH);
		return SP_EINVAL;
	}
	if (open_regular(errs, file, by, at, &f) != SP_OK)
		return SP_EINVAL;
	for (int n = 1; getline(&line, &size, f) != -1; n++) {
		char name[PATH_MAX], path[2 * PATH_MAX];

		if (!include_name(line, name, sizeof(name)))
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, name);
		if (check_files(errs, dir, path, file, n, depth + 1) != SP_OK)
			err = SP_EINVAL;
	}
	if (line != NULL)
		mem_wipe_free(line, size);
	fclose(f);
	return err;
}

/* Some strings are secrets; libconfig frees them as they are. */
static void
wipe_strings(const config_setting_t *s)
{
	if (config_setting_type(s) == CONFIG_TYPE_STRING) {
		char *text = s->value.sval;

		if (text != NULL)
			mem_wipe(text, strlen(text));
	} else if (config_setting_is_aggregate(s)) {
		for (int i = 0; i < config_setting_length(s); i++)
			wipe_strings(config_setting_get_elem(s, (unsigned)i));
	}
}

/* Where the file breaks off with "duplicate setting name": the setting that had the name first. */
static const config_setting_t *
first_of_name(const config_setting_t *group, const char *file, int line)
{
	const config_setting_t *found = NULL;
	char *text = NULL;
	size_t size = 0;
	FILE *f = fopen(file, "re");

	for (int n = 0; f != NULL && n < line && getline(&text, &size, f) != -1;)
		n++;
	if (f != NULL)
		fclose(f);
	/* The group being read is the last of the last of the last; its own names are the ones that count. */
	while (text != NULL && group != NULL && config_setting_is_aggregate(group)) {
		int n = config_setting_length(group);

		for (int i = 0; config_setting_is_group(group) && i < n; i++) {
			const config_setting_t *s = config_setting_get_elem(group, (unsigned)i);

			if (strstr(text, config_setting_name(s)) != NULL)
				found = s;
		}
		group = n > 0 ? config_setting_get_elem(group, (unsigned)n - 1) : NULL;
	}
	if (text != NULL)
		mem_wipe_free(text, size);
	return found;
}

static void
complain_syntax(struct reading *rd, const config_t *cfg)
{
	const char *file = config_error_file(cfg) != NULL ? config_error_file(cfg) : rd->file;
	const char *text = config_error_text(cfg) != NULL ? config_error_text(cfg) : "cannot be read";
	int line = config_error_line(cfg);
	const config_setting_t *first;

	if (strcmp(text, "duplicate setting name") == 0 &&
	    (first = first_of_name(config_root_setting(cfg), file, line)) != NULL)
		conf_error(rd->errs, file, line, "%s: is set a second time, first in %s:%d; reading ends here",
		    config_setting_name(first), file_of(rd, first), line_of(first));
	else
		conf_error(rd->errs, file, line,
		    "%s; expects settings like  name = value;  (reading ends here)", text);
}

int
conf_load(const char *file, const struct conf_item *items, void *out, struct conf_errors *errs)
{
	struct reading rd = { .file = file, .errs = errs };
	size_t before = errs->n;
	char *dir = directory_of(file);
	config_t cfg;

	config_init(&cfg);
	config_set_include_dir(&cfg, dir);
	if (check_files(errs, dir, file, NULL, 0, 0) != SP_OK) {
		rd.partial = true;
	} else if (config_read_file(&cfg, file) != CONFIG_TRUE) {
		rd.partial = true;
		complain_syntax(&rd, &cfg);
	}
	/* What was read before the file broke off is checked too; a file that can't be read gives the defaults. */
	read_group(&rd, config_root_setting(&cfg), items, out, "");
	if (config_root_setting(&cfg) != NULL) {
		refuse_unknowns(&rd, config_root_setting(&cfg), items, "", "");
		wipe_strings(config_root_setting(&cfg));
	}
	config_destroy(&cfg);
	free(dir);
	sort_errors(errs, before, file);
	return errs->n == before ? SP_OK : SP_EINVAL;
}

/* --- afterwards ------------------------------------------------------------------ */

static void
wipe_free(char *s)
{
	if (s != NULL)
		mem_wipe_free(s, strlen(s));
}

void
conf_unload(const struct conf_item *items, void *out)
{
	for (const struct conf_item *it = items; it->path != NULL; it++) {
		void *at = (char *)out + it->at;

		if (it->type == CONF_STR) {
			wipe_free(*(char **)at);
			*(char **)at = NULL;
		} else if (it->type == CONF_STRS) {
			struct conf_strs *strs = at;

			for (size_t i = 0; i < strs->n; i++)
				wipe_free(strs->v[i].s);
			free(strs->v);
			*strs = (struct conf_strs){ NULL, 0 };
		} else if (it->type == CONF_GROUPS) {
			struct conf_groups *groups = at;

			for (size_t i = 0; i < groups->n; i++)
				conf_unload(it->sub, (char *)groups->v + i * it->size);
			free(groups->v);
			free(groups->line);
			*groups = (struct conf_groups){ NULL, 0, NULL };
		}
	}
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
		range_of(it, &min, &max);
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
	char below[PATH_MAX_TEXT];

	for (const struct conf_item *it = items; it->path != NULL; it++) {
		fprintf(out, "%s%s\t", prefix, it->path);
		print_type(it, out);
		fputc('\t', out);
		print_default(it, out);
		fprintf(out, "\t%s\n", it->help != NULL ? it->help : "");
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
