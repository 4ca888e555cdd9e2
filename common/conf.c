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
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <libconfig.h>

#include "common/conf_lines.h"
#include "common/conf_report.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/strbuf.h"

#define INCLUDE_DEPTH	10	/* libconfig's own limit */
#define INCLUDES_MAX	256	/* files that one includes, each as often as it is: a text may come from who may only look */

/* One conf_load() on its way. */
struct reading {
	const char		*file;	/* as the caller named it */
	const struct span	*text;	/* what stands for the file; NULL: it is read */
	const char		*dir;	/* of file, where included files are; NULL: the working directory */
	char			 at[2 * PATH_MAX]; /* file_of()'s answer for an included file */
	struct conf_errors	*errs;
	unsigned		 includes; /* that were looked at */
	struct conf_lines	 lines;	/* where texts of lists really stand */
	bool			 partial; /* the file broke off: what is missing is not known to be missing */
};

static int
line_of(const config_setting_t *s)
{
	return s != NULL ? (int)config_setting_source_line(s) : 0;
}

/* name as an @include of rd's file has it, to where it is. */
static const char *
included(const struct reading *rd, const char *name, char *out, size_t size)
{
	if (rd->dir == NULL)
		snprintf(out, size, "%s", name);
	else
		snprintf(out, size, "%s/%s", rd->dir, name);
	return out;
}

/* Valid until the next call. */
static const char *
file_of(struct reading *rd, const config_setting_t *s)
{
	const char *file = s != NULL ? config_setting_source_file(s) : NULL;

	if (file == NULL || strcmp(file, rd->file) == 0)
		return rd->file;
	return included(rd, file, rd->at, sizeof(rd->at));
}

static void
remember(struct reading *rd, const config_setting_t *s, const char *path)
{
	conf_remember(rd->errs, path, file_of(rd, s), line_of(s));
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
	conf_range_of(it, &min, &max);
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
		if (given != NULL && near == NULL && conf_is_near(given, it->choices[i]))
			near = it->choices[i];
		strbuf_printf(&sb, "%s \"%s\"", i != 0 ? "," : "", it->choices[i]);
	}
	if (near != NULL)
		strbuf_printf(&sb, "; did you mean \"%s\"?", near);
	complain(rd, s, path, text);
}

#define CREDENTIALS	"$CREDENTIALS_DIRECTORY/"

/* The file, where the service manager has put it. The caller's to free. */
static char *
credential(struct reading *rd, const config_setting_t *s, const char *given, const char *path)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	size_t size;
	char *out;

	if (dir == NULL || dir[0] == '\0') {
		complain(rd, s, path, "CREDENTIALS_DIRECTORY is not set: systemd sets it for a unit with LoadCredential; to check "
		    "by hand, set it to /run/credentials/ and the unit's name");
		return xstrdup(given);
	}
	given += sizeof(CREDENTIALS) - 1;
	size = strlen(dir) + 1 + strlen(given) + 1;
	out = xmalloc(size);
	snprintf(out, size, "%s/%s", dir, given);
	return out;
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
	if (s != NULL && given != NULL && (it->flags & CONF_SECRET) && strncmp(given, CREDENTIALS, sizeof(CREDENTIALS) - 1) == 0)
		*out = credential(rd, s, given, path);
	else
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
element_path(char out[CONF_PATH_MAX], const char *path, size_t i)
{
	struct strbuf sb;

	strbuf_init(&sb, out, CONF_PATH_MAX);
	strbuf_printf(&sb, "%s[%zu]", path, i);
}

static void
take_strs(struct reading *rd, const config_setting_t *s, const struct conf_item *it, struct conf_strs *out,
    const char *path)
{
	char element[CONF_PATH_MAX];

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
		int line;

		element_path(element, path, (size_t)i);
		if (text == NULL) {
			complain(rd, e, element, "expects a text in double quotes");
			continue;
		}
		line = conf_lines_find(&rd->lines, file_of(rd, e), line_of(e), text);
		if (text[0] == '\0' && (it->flags & CONF_NONEMPTY))
			conf_error(rd->errs, file_of(rd, e), line, "%s: must not be empty", element);
		conf_remember(rd->errs, element, file_of(rd, e), line);
		append_str(out, text, line);
	}
	if (config_setting_is_aggregate(s) && config_setting_length(s) == 0 && (it->flags & CONF_NONEMPTY))
		complain(rd, s, path, "needs at least one text");
}

static void	read_group(struct reading *, const config_setting_t *, const struct conf_item *, char *, const char *);

static void
take_groups(struct reading *rd, const config_setting_t *s, const struct conf_item *it, struct conf_groups *out,
    const char *path)
{
	char element[CONF_PATH_MAX];
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
full_path(char out[CONF_PATH_MAX], const char *prefix, const char *path)
{
	struct strbuf sb;

	strbuf_init(&sb, out, CONF_PATH_MAX);
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
		char step[CONF_PATH_MAX];

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
	char path[CONF_PATH_MAX];

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
	char path[CONF_PATH_MAX], meant[CONF_PATH_MAX], better[CONF_PATH_MAX];

	full_path(path, prefix, local);
	if (!conf_suggest(items, local, meant)) {
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
	char local[CONF_PATH_MAX], path[CONF_PATH_MAX], element[CONF_PATH_MAX];

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

/* For reading; NULL with errno. What the caller has in memory is read from there. */
static FILE *
open_file(const struct reading *rd, const char *file)
{
	if (rd->text == NULL || strcmp(file, rd->file) != 0)
		return fopen(file, "re");
	/* a stream over nothing is refused by some C libraries */
	return rd->text->n != 0 ? fmemopen((void *)(uintptr_t)rd->text->p, rd->text->n, "r") : fopen("/dev/null", "re");
}

/* SP_OK with *out open, or the error said. libconfig ends the process when it is given a directory. */
static int
open_regular(const struct reading *rd, const char *file, const char *by, int line, FILE **out)
{
	struct stat st;
	const char *why = NULL;
	FILE *f = NULL;

	if ((by != NULL || rd->text == NULL) && stat(file, &st) == 0 && !S_ISREG(st.st_mode))
		why = "it is not a file";
	else if ((f = open_file(rd, file)) == NULL)
		why = strerror(errno);
	*out = f;
	if (f != NULL)
		return SP_OK;
	if (by != NULL)
		conf_error(rd->errs, by, line, "@include: cannot read %s: %s", file, why);
	else
		conf_error(rd->errs, file, 0, "cannot be read: %s", why);
	return SP_EINVAL;
}

/*
 * libconfig 1.5 takes the low 32 bits of a number that has no L at its end and
 * ends the process when it is told to include a directory. So every file is
 * looked through before: what is outside of comments and strings.
 */
struct scan {
	struct reading	*rd;
	const char	*file;
	int		 line;
	int		 depth;
	int		 comment;	/* line where the comment began that is open; 0: none */
	int		 string;	/* the same of a text */
	bool		 bad;
};

static void	scan_file(struct reading *, const char *, const char *, int, int, bool *);

/* From a quote to behind the closing one, or to the end of the line. */
static const char *
skip_string(struct scan *sc, const char *p)
{
	for (; *p != '\0'; p++) {
		if (*p == '\\' && p[1] != '\0')
			p++;
		else if (*p == '"') {
			sc->string = 0;
			return p + 1;
		}
	}
	return p;
}

static const char *
skip_comment(struct scan *sc, const char *p)
{
	const char *end = strstr(p, "*/");

	if (end != NULL)
		sc->comment = 0;
	return end != NULL ? end + 2 : p + strlen(p);
}

/* Behind a name or a number; a number that libconfig would cut is refused. */
static const char *
scan_word(struct scan *sc, const char *p)
{
	size_t n = strspn(p, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_*.-");
	bool hex = p[0] == '0' && (p[1] == 'x' || p[1] == 'X');
	char *end;

	if (*p >= '0' && *p <= '9') {
		errno = 0;
		if ((strtoull(p, &end, hex ? 16 : 10) > INT_MAX || errno == ERANGE) && end == p + n)
			conf_error(sc->rd->errs, sc->file, sc->line, "%.*s is too large: no number is over %d",
			    n < 40 ? (int)n : 40, p, INT_MAX);
	}
	return p + (n != 0 ? n : 1);
}

/* p stands behind "@include". */
static const char *
scan_include(struct scan *sc, const char *p)
{
	char name[PATH_MAX], path[2 * PATH_MAX];
	const char *end;
	size_t n;

	p += strspn(p, " \t");
	if (*p != '"' || (end = strchr(p + 1, '"')) == NULL)
		return p;	/* libconfig will say what it expects */
	n = (size_t)(end - p) - 1;
	if (n < sizeof(name)) {
		memcpy(name, p + 1, n);
		name[n] = '\0';
		scan_file(sc->rd, included(sc->rd, name, path, sizeof(path)), sc->file, sc->line, sc->depth + 1,
		    &sc->bad);
	}
	return end + 1;
}

static void
scan_line(struct scan *sc, const char *p)
{
	while (*p != '\0') {
		if (sc->comment != 0) {
			p = skip_comment(sc, p);
		} else if (sc->string != 0) {
			p = skip_string(sc, p);
		} else if (*p == '#' || strncmp(p, "//", 2) == 0) {
			return;
		} else if (strncmp(p, "/*", 2) == 0) {
			sc->comment = sc->line;
			p += 2;
		} else if (*p == '"') {
			sc->string = sc->line;
			p++;
		} else if (strncmp(p, "@include", 8) == 0) {
			p = scan_include(sc, p + 8);
		} else {
			p = scan_word(sc, p);
		}
	}
}

/* Look through file, included by line at of by (NULL: the first), and all that it includes; *bad: it won't do. */
static void
scan_file(struct reading *rd, const char *file, const char *by, int at, int depth, bool *bad)
{
	struct scan sc = { .rd = rd, .file = file, .depth = depth };
	char *line = NULL;
	size_t size = 0;
	FILE *f;

	if (depth > INCLUDE_DEPTH) {
		conf_error(rd->errs, by, at, "@include: more than %d files deep", INCLUDE_DEPTH);
		*bad = true;
		return;
	}
	if (by != NULL && rd->includes == INCLUDES_MAX) {
		/* said once */
		if (!*bad)
			conf_error(rd->errs, by, at, "@include: more than %d files in all", INCLUDES_MAX);
		*bad = true;
		return;
	}
	rd->includes += by != NULL;
	if (open_regular(rd, file, by, at, &f) != SP_OK) {
		*bad = true;
		return;
	}
	while (getline(&line, &size, f) != -1) {
		sc.line++;
		scan_line(&sc, line);
	}
	if (sc.string != 0)
		conf_error(rd->errs, file, sc.string, "the text that begins here has no closing quote");
	if (sc.comment != 0)
		conf_error(rd->errs, file, sc.comment, "the comment that begins here is not closed");
	*bad = *bad || sc.bad || sc.string != 0 || sc.comment != 0;
	mem_wipe_free(line, size);
	fclose(f);
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
first_of_name(const struct reading *rd, const config_setting_t *group, const char *file, int line)
{
	const config_setting_t *found = NULL;
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_file(rd, file);

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

static const char name_chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-*";

/* Is there a value that is neither number nor true or false, and has no quotes? */
static bool
lacks_quotes(const char *p)
{
	while (*(p += strcspn(p, "=:\"#")) != '\0' && *p != '#') {
		struct span value;

		if (*p == '"') {
			p += 1 + strcspn(p + 1, "\"");
			p += *p == '"';
			continue;
		}
		p++;
		p += strspn(p, " \t");
		value = (struct span){ p, strcspn(p, ";,})]\" \t\r\n") };
		if (value.n > 0 && (*p == '/' || *p == '.' || strchr(name_chars, *p) != NULL) &&
		    strspn(p, "0123456789xLabcdefABCDEF-") < value.n && !span_ieq(value, SPAN_LIT("true")) &&
		    !span_ieq(value, SPAN_LIT("false")))
			return true;
	}
	return false;
}

/*
 * What is wrong in a line that libconfig does not understand, if it is one of the
 * slips that everybody makes: a group's option written with a dot, as it is
 * called in the manual, and a text without quotes. false: it is something else.
 */
static bool
explain_line(const struct reading *rd, const char *file, int line, struct strbuf *out)
{
	char *text = NULL;
	const char *p;
	size_t size = 0, n, m;
	FILE *f = open_file(rd, file);

	for (int i = 0; f != NULL && i < line && getline(&text, &size, f) != -1;)
		i++;
	if (f != NULL)
		fclose(f);
	if (text == NULL)
		return false;
	p = text + strspn(text, " \t{(");
	n = strspn(p, name_chars);
	m = p[n] == '.' ? strspn(p + n + 1, name_chars) : 0;
	if (n > 0 && m > 0)
		strbuf_printf(out, "%.*s is a group; expects  %.*s = { %.*s = ...; };", (int)n, p, (int)n, p, (int)m,
		    p + n + 1);
	else if (lacks_quotes(p))
		strbuf_puts(out, "expects a number, true or false, or a text in double quotes after the =");
	mem_wipe_free(text, size);
	return out->len > 0 && strbuf_ok(out);
}

static void
complain_syntax(struct reading *rd, const config_t *cfg)
{
	const char *name = config_error_file(cfg) != NULL ? config_error_file(cfg) : rd->file;
	const char *text = config_error_text(cfg) != NULL ? config_error_text(cfg) : "cannot be read";
	int line = config_error_line(cfg);
	const config_setting_t *first;
	char file[2 * PATH_MAX], words[256];
	struct strbuf sb;

	strbuf_init(&sb, words, sizeof(words));
	if (strcmp(name, rd->file) == 0)
		snprintf(file, sizeof(file), "%s", name);
	else
		included(rd, name, file, sizeof(file));
	if (strcmp(text, "duplicate setting name") == 0 &&
	    (first = first_of_name(rd, config_root_setting(cfg), file, line)) != NULL)
		conf_error(rd->errs, file, line, "%s: is set a second time, first in %s:%d; reading ends here",
		    config_setting_name(first), file_of(rd, first), line_of(first));
	else if (explain_line(rd, file, line, &sb))
		conf_error(rd->errs, file, line, "%s: %s (reading ends here)", text, sb.p);
	else
		conf_error(rd->errs, file, line,
		    "%s; expects settings like  name = value;  (reading ends here)", text);
}

/* libconfig's own reading. It has no name for a text in memory, which file_of() knows. */
static bool
parse(struct reading *rd, config_t *cfg)
{
	bool good;
	FILE *f;

	if (rd->text == NULL)
		return config_read_file(cfg, rd->file) == CONFIG_TRUE;
	if ((f = open_file(rd, rd->file)) == NULL)
		return false;
	good = config_read(cfg, f) == CONFIG_TRUE;
	fclose(f);
	return good;
}

static int
load(struct reading *rd, const struct conf_item *items, void *out)
{
	size_t before = conf_errors_count(rd->errs);
	config_t cfg;

	config_init(&cfg);
	if (rd->dir != NULL)
		config_set_include_dir(&cfg, rd->dir);
	if (rd->text != NULL) {
		conf_lines_take(&rd->lines, rd->file, *rd->text);
		if (span_find(*rd->text, '\0') != rd->text->n) {
			/* what stands behind it, libconfig would not see */
			conf_error(rd->errs, rd->file, 0, "has a byte of value zero in it");
			rd->partial = true;
		}
	}
	scan_file(rd, rd->file, NULL, 0, 0, &rd->partial);
	if (!rd->partial && !parse(rd, &cfg)) {
		rd->partial = true;
		complain_syntax(rd, &cfg);
	}
	/* What was read before the file broke off is checked too; a file that can't be read gives the defaults. */
	read_group(rd, config_root_setting(&cfg), items, out, "");
	refuse_unknowns(rd, config_root_setting(&cfg), items, "", "");
	wipe_strings(config_root_setting(&cfg));
	config_destroy(&cfg);
	conf_lines_fini(&rd->lines);
	conf_errors_sort(rd->errs, before, rd->file);
	if (rd->partial)
		return SP_EIO;
	return conf_errors_count(rd->errs) == before ? SP_OK : SP_EINVAL;
}

int
conf_load(const char *file, const struct conf_item *items, void *out, struct conf_errors *errs)
{
	const char *slash = strrchr(file, '/');
	char *dir = slash != NULL ? xmemdup(file, slash == file ? 1 : (size_t)(slash - file)) : NULL;
	struct reading rd = { .file = file, .dir = dir, .errs = errs };
	int err = load(&rd, items, out);

	free(dir);
	return err;
}

int
conf_load_text(const char *name, struct span text, const char *dir, const struct conf_item *items, void *out,
    struct conf_errors *errs)
{
	struct reading rd = { .file = name, .text = &text, .dir = dir, .errs = errs };

	return load(&rd, items, out);
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

static bool
same_str(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool
same_strs(const struct conf_strs *a, const struct conf_strs *b)
{
	bool same = a->n == b->n;

	for (size_t i = 0; same && i < a->n; i++)
		same = same_str(a->v[i].s, b->v[i].s);
	return same;
}

static bool
same_groups(const struct conf_item *it, const struct conf_groups *a, const struct conf_groups *b)
{
	bool same = a->n == b->n;

	for (size_t i = 0; same && i < a->n; i++)
		same = conf_differs(it->sub, (const char *)a->v + i * it->size, (const char *)b->v + i * it->size) == NULL;
	return same;
}

static bool
same_item(const struct conf_item *it, const void *a, const void *b)
{
	switch (it->type) {
	case CONF_BOOL:
		return *(const bool *)a == *(const bool *)b;
	case CONF_INT:
	case CONF_CHOICE:
		return *(const int *)a == *(const int *)b;
	case CONF_STR:
		return same_str(*(char *const *)a, *(char *const *)b);
	case CONF_STRS:
		return same_strs(a, b);
	case CONF_GROUPS:
		return same_groups(it, a, b);
	}
	return false;
}

const char *
conf_differs(const struct conf_item *items, const void *a, const void *b)
{
	for (const struct conf_item *it = items; it->path != NULL; it++)
		if ((it->flags & CONF_RELOADS) == 0 && !same_item(it, (const char *)a + it->at, (const char *)b + it->at))
			return it->path;
	return NULL;
}
