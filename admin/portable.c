/*
 * admin/portable.c - see portable.h.
 */
#include "admin/portable.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "admin/confset.h"
#include "admin/conftokens.h"
#include "admin/policychange.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/strbuf.h"

#define FORMAT		1

/* Numbers and switches that belong to the machine, or to what is not exported; what ends in a dot is a group. */
static const char *const machine[] = { "workers", "sandbox", "hep.", "control.", "inner.", "ldap.bind", NULL };

/* PORTABLE_TEXTS: what is the organisation's and not the machine's. */
static const char *const texts[PORTABLE_NDAEMONS][24] = {
	[PORTABLE_EDGE] = { "log.level" },
	[PORTABLE_DIRECTOR] = { "log.level", "domains", "public_im", "tls.refused", "auth.realm", "auth.offer", "auth.offer_remote",
	    "auth.digest", "auth.kerberos_realms", "sipae.realm", "ntlm.domain", "ntlm.domains", "ntlm.accounts",
	    "directory.homes", "ldap.bases", "ldap.logins", "ldap.filter", "ldap.attributes." },
};

const char *
portable_daemon_name(enum portable_daemon d)
{
	return d == PORTABLE_EDGE ? "edge" : "director";
}

void
portable_fini(struct portable *p)
{
	free(p->policy);
	for (size_t i = 0; i < PORTABLE_NDAEMONS; i++)
		json_decref(p->settings[i]);
	*p = (struct portable){ .policy = NULL };
}

static bool
is_listed(const char *const *list, const char *path)
{
	for (; *list != NULL; list++) {
		size_t n = strlen(*list);

		if ((*list)[n - 1] == '.' ? strncmp(path, *list, n) == 0 : strcmp(path, *list) == 0)
			return true;
	}
	return false;
}

bool
portable_option(enum portable_daemon d, const char *path, bool is_text)
{
	return is_text ? is_listed(texts[d], path) : !is_listed(machine, path);
}

/* ---- values, as libconfig writes them and as JSON has them ---- */

/* A number of two hexadecimal digits, or -1. */
static int
hex_pair(struct span s)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	int n = 0;

	for (size_t i = 0; i < 2; i++) {
		const char *at = i < s.n && s.p[i] != '\0' ? strchr(digits, s.p[i]) : NULL;

		if (at == NULL)
			return -1;
		n = n * 16 + (int)((at - digits) % 16);
	}
	return n;
}

/* What is between the quotes of one literal; a backslash before anything else stands for itself, as libconfig has it. */
static bool
unquote(struct span literal, struct strbuf *out)
{
	static const char plain[] = "\"\\nrtf", meant[] = "\"\\\n\r\t\f";
	struct span in;

	if (literal.n < 2 || literal.p[literal.n - 1] != '"')
		return false;
	in = span_of(literal.p + 1, literal.n - 2);
	for (size_t i = 0; i < in.n; i++) {
		char next = in.p[i] == '\\' && i + 1 < in.n ? in.p[i + 1] : '\0';
		const char *at = next != '\0' ? strchr(plain, next) : NULL;
		int byte = next == 'x' ? hex_pair(span_tail(in, i + 2)) : -1;

		if (at != NULL) {
			strbuf_putc(out, meant[at - plain]);
			i++;
		} else if (byte >= 0) {
			if (byte != 0)	/* libconfig drops it */
				strbuf_putc(out, (char)byte);
			i += 3;
		} else {
			strbuf_putc(out, in.p[i]);
		}
	}
	return true;
}

/* One text, of literals beside one another with whatever comments between them; NULL: none, or not UTF-8. */
static json_t *
take_text(struct conftokens *s)
{
	char *room = xmalloc(s->text.n + 1);
	bool good = s->now.kind == TOKEN_STRING;
	struct strbuf sb;
	json_t *j;

	strbuf_init(&sb, room, s->text.n + 1);
	for (; s->now.kind == TOKEN_STRING; conftoken_next(s))
		good = good && unquote(span_of(s->text.p + s->now.at, s->now.end - s->now.at), &sb);
	j = good && strbuf_ok(&sb) ? json_stringn(sb.p, sb.len) : NULL;
	mem_wipe_free(room, s->text.n + 1);
	return j;
}

/* A text, or an array or a list of texts; NULL: something else, or not UTF-8. */
static json_t *
texts_json(struct span value)
{
	struct conftokens s = conftoken_begin(value);
	json_t *list;
	char closes;

	if (s.now.kind == TOKEN_STRING) {
		json_t *one = take_text(&s);

		if (s.now.kind == TOKEN_END)
			return one;
		json_decref(one);
		return NULL;
	}
	closes = conftoken_is(&s, '[') ? ']' : ')';
	list = json_array();
	for (conftoken_next(&s); list != NULL && !conftoken_is(&s, closes);) {
		bool good = json_array_append_new(list, take_text(&s)) == 0;

		if (good && conftoken_is(&s, ',')) {
			conftoken_next(&s);
		} else if (!good || !conftoken_is(&s, closes)) {
			json_decref(list);
			list = NULL;
		}
	}
	return list;
}

/* NULL: a group, a list of groups, or not to be understood. */
static json_t *
value_json(struct span v, bool *is_text)
{
	char number[32], *end;
	long long n;

	*is_text = v.n > 1 && (v.p[0] == '"' || v.p[0] == '[' || v.p[0] == '(');
	if (*is_text)
		return texts_json(v);
	if (span_iis(v, "true") || span_iis(v, "false"))
		return json_boolean(span_iis(v, "true"));
	if (v.n == 0 || v.n >= sizeof(number) || strchr("0123456789-+", v.p[0]) == NULL)
		return NULL;
	memcpy(number, v.p, v.n);
	number[v.n] = '\0';
	errno = 0;
	n = strtoll(number, &end, strncmp(number, "0x", 2) == 0 || strncmp(number, "0X", 2) == 0 ? 16 : 10);
	return errno == 0 && end != number && end[strspn(end, "L")] == '\0' ? json_integer(n) : NULL;
}

static void
write_text(struct strbuf *out, const char *s)
{
	static const char special[] = "\"\\\n\r\t\f", letters[] = "\"\\nrtf";

	strbuf_putc(out, '"');
	for (; *s != '\0'; s++) {
		const char *at = strchr(special, *s);

		if (at != NULL)
			strbuf_putc(out, '\\');
		strbuf_putc(out, at != NULL ? letters[at - special] : *s);
	}
	strbuf_putc(out, '"');
}

/* Bytes that a value needs at most, as it is written: each of a text may get a backslash. */
static size_t
value_room(const json_t *j)
{
	size_t room = 64, i;
	const json_t *one;

	if (json_is_string(j))
		room += 2 * json_string_length(j);
	json_array_foreach(j, i, one)
		room += 2 * json_string_length(one) + 4;
	return room;
}

/* As it is to be written, the caller's to free; NULL: nothing that an option can be. */
static char *
value_text(const json_t *j)
{
	size_t room = value_room(j), i;
	char *text = xmalloc(room);
	const json_t *one;
	struct strbuf sb;
	bool good = true;

	strbuf_init(&sb, text, room);
	if (json_is_boolean(j)) {
		strbuf_puts(&sb, json_is_true(j) ? "true" : "false");
	} else if (json_is_integer(j)) {
		strbuf_printf(&sb, "%lld", (long long)json_integer_value(j));
	} else if (json_is_string(j)) {
		write_text(&sb, json_string_value(j));
	} else if (json_is_array(j)) {
		strbuf_puts(&sb, "[");
		json_array_foreach(j, i, one) {
			good = good && json_is_string(one);
			strbuf_puts(&sb, i != 0 ? ", " : " ");
			write_text(&sb, good ? json_string_value(one) : "");
		}
		strbuf_puts(&sb, " ]");
	} else {
		good = false;
	}
	if (good && strbuf_ok(&sb))
		return text;
	free(text);
	return NULL;
}

/* ---- out ---- */

struct collecting {
	struct portable		*p;
	enum portable_daemon	 daemon;
	const char		*name;
	size_t			*left_out;
	struct conf_errors	*errs;
	int			 err;
};

static void
collect(void *arg, const char *path, struct span value)
{
	struct collecting *c = arg;
	bool is_text;
	json_t *j = value_json(value, &is_text);

	if (!portable_option(c->daemon, path, is_text)) {
		++*c->left_out;
	} else if (j == NULL || json_object_set(c->p->settings[c->daemon], path, j) != 0) {
		conf_error(c->errs, c->name, 0, "%s: is nothing that it can be, or not UTF-8, and cannot be exported", path);
		c->err = SP_EINVAL;
	}
	json_decref(j);
}

int
portable_collect(struct portable *p, enum portable_daemon d, const char *name, struct span text, size_t *left_out,
    struct conf_errors *errs)
{
	struct collecting c = { p, d, name, left_out, errs, SP_OK };

	*left_out = 0;
	if (p->settings[d] == NULL)
		p->settings[d] = json_object();
	confset_each(text, collect, &c);
	return c.err;
}

void
portable_number(struct portable *p, enum portable_daemon d, const char *path, long value)
{
	if (p->settings[d] == NULL)
		p->settings[d] = json_object();
	json_object_set_new(p->settings[d], path, json_integer(value));
}

int
portable_write(FILE *f, const struct portable *p, size_t *line)
{
	json_t *root = json_object(), *lines = json_array();
	struct span rest = span_of(p->policy, p->n);
	char when[32];
	int err = SP_OK;

	*line = 0;
	policy_time_format(clock_wall(), when);
	json_object_set_new(root, "sallyport", json_string("configuration"));
	json_object_set_new(root, "format", json_integer(FORMAT));
	json_object_set_new(root, "written", json_string(when));
	while (err == SP_OK && rest.n > 0) {
		size_t n = span_find(rest, '\n');

		++*line;
		if (json_array_append_new(lines, json_stringn(rest.p, n)) != 0)
			err = SP_ESYNTAX;
		rest = span_tail(rest, n + 1);
	}
	if (p->policy != NULL)
		json_object_set(root, "policy", lines);
	for (enum portable_daemon d = PORTABLE_EDGE; d < PORTABLE_NDAEMONS; d++)
		if (p->settings[d] != NULL)
			json_object_set(root, portable_daemon_name(d), p->settings[d]);
	if (err == SP_OK && (json_dumpf(root, f, JSON_INDENT(1)) != 0 || putc('\n', f) == EOF))
		err = SP_EIO;
	if (err == SP_OK && ftell(f) > (long)PORTABLE_MAX)
		err = SP_ELIMIT;
	json_decref(lines);
	json_decref(root);
	return err;
}

/* ---- in ---- */

static int
read_policy(const char *name, const json_t *lines, struct portable *out, struct conf_errors *errs)
{
	const json_t *one;
	size_t i, room = 1;

	json_array_foreach(lines, i, one)
		room += json_string_length(one) + 1;
	out->policy = xmalloc(room);
	json_array_foreach(lines, i, one) {
		size_t n = json_string_length(one);

		if (!json_is_string(one) || memchr(json_string_value(one), '\n', n) != NULL || strlen(json_string_value(one)) != n) {
			conf_error(errs, name, 0, "policy: element %zu expects a text of one line", i + 1);
			return SP_EINVAL;
		}
		memcpy(out->policy + out->n, json_string_value(one), n);
		out->n += n;
		out->policy[out->n++] = '\n';
	}
	out->policy[out->n] = '\0';
	if (conf_includes(span_of(out->policy, out->n))) {
		conf_error(errs, name, 0, "policy: includes files, which is not possible here");
		return SP_EINVAL;
	}
	return SP_OK;
}

/* Names of libconfig with a dot between each two. */
static bool
is_path(const char *s)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
	size_t n = strlen(s), deep = 0;

	for (; deep <= CONFSET_DEEP && *s != '\0'; s++, deep++) {
		if (strchr(letters, *s) == NULL)
			return false;
		s += strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_");
		if (*s == '\0')
			return n < CONFSET_PATH;
		if (*s != '.')
			return false;
	}
	return false;
}

/* The beginning of that path that has a value of its own, and so is no group; the caller's to free. NULL: there is none. */
static char *
value_above(json_t *settings, const char *path)
{
	char *above = xstrdup(path), *dot;

	while ((dot = strrchr(above, '.')) != NULL) {
		*dot = '\0';
		if (json_object_get(settings, above) != NULL)
			return above;
	}
	free(above);
	return NULL;
}

static int
read_settings(const char *name, enum portable_daemon d, json_t *settings, struct conf_errors *errs)
{
	size_t before = conf_errors_count(errs);
	const char *path;
	json_t *j;

	json_object_foreach(settings, path, j) {
		char *value = value_text(j), *above = NULL;

		if (!is_path(path) || !portable_option(d, path, json_is_string(j) || json_is_array(j)))
			conf_error(errs, name, 0, "%s: %.100s is no option that is exported", portable_daemon_name(d), path);
		else if (value == NULL)
			conf_error(errs, name, 0, "%s: %s: expects a number, true or false, a text, or texts", portable_daemon_name(d), path);
		else if ((above = value_above(settings, path)) != NULL)
			conf_error(errs, name, 0, "%s: %s: %s has a value itself", portable_daemon_name(d), path, above);
		free(above);
		free(value);
	}
	return conf_errors_count(errs) == before ? SP_OK : SP_EINVAL;
}

static int
take(const char *name, const char *key, json_t *j, struct portable *out, struct conf_errors *errs)
{
	for (enum portable_daemon d = PORTABLE_EDGE; d < PORTABLE_NDAEMONS; d++)
		if (strcmp(key, portable_daemon_name(d)) == 0) {
			if (!json_is_object(j)) {
				conf_error(errs, name, 0, "%s: expects an object of options", key);
				return SP_EINVAL;
			}
			out->settings[d] = json_incref(j);
			return read_settings(name, d, j, errs);
		}
	if (strcmp(key, "policy") == 0) {
		if (json_is_array(j))
			return read_policy(name, j, out, errs);
		conf_error(errs, name, 0, "policy: expects a list of lines");
		return SP_EINVAL;
	}
	if (strcmp(key, "sallyport") == 0 || strcmp(key, "format") == 0 || strcmp(key, "written") == 0)
		return SP_OK;
	conf_error(errs, name, 0, "what is \"%.100s\"?", key);
	return SP_EINVAL;
}

int
portable_read(const char *name, struct span bytes, struct portable *out, struct conf_errors *errs)
{
	json_error_t e;
	json_t *root = json_loadb(bytes.p, bytes.n, JSON_REJECT_DUPLICATES, &e), *j;
	const char *key, *kind;
	int err = SP_OK;

	*out = (struct portable){ .policy = NULL };
	if (root == NULL) {
		conf_error(errs, name, e.line > 0 ? e.line : 0, "is not JSON: %s", e.text);
		return SP_EINVAL;
	}
	kind = json_string_value(json_object_get(root, "sallyport"));
	if (kind == NULL || strcmp(kind, "configuration") != 0) {
		conf_error(errs, name, 0, "is no configuration that \"sallyportctl export\" has written");
		err = SP_EINVAL;
	} else if (json_integer_value(json_object_get(root, "format")) != FORMAT) {
		conf_error(errs, name, 0, "format: this version reads format %d", FORMAT);
		err = SP_EINVAL;
	} else {
		json_object_foreach(root, key, j)
			if (take(name, key, j, out, errs) != SP_OK)
				err = SP_EINVAL;
	}
	json_decref(root);
	return err;
}

/* A text whose options are to be changed, and what it includes. */
struct merging {
	const char		*name, *dir;
	struct span		 text;		/* as it was */
	char			*now, *whole;	/* as it becomes; as it was with what it includes, or NULL: it includes nothing */
	size_t			 n, nwhole;
	struct conf_errors	*errs;
};

/* The option, or a group of its path, is set in a file that is included, at that byte of the whole. */
static int
is_elsewhere(const struct merging *m, const char *path, const char *value, size_t at)
{
	char *file;
	int line;

	if (conf_place(m->name, m->text, m->dir, m->nwhole, at, &file, &line) != SP_OK)
		return SP_EINVAL;
	conf_error(m->errs, file, line, "%s: is set here, or its group is; this file is included by %s, and import does not change it. "
	    "Set it here to %.200s%s by hand, then import again", path, m->name, value, strlen(value) > 200 ? "..." : "");
	free(file);
	return SP_EINVAL;
}

/* *at: where in the whole the innermost group of path is that the text itself does not have. False: the text may have it. */
static bool
stands_elsewhere(const struct merging *m, const char *path, size_t *at)
{
	char part[CONFSET_PATH];

	if (m->whole == NULL)
		return false;
	for (size_t n = strlen(path); n > 0 && n < sizeof(part);) {
		memcpy(part, path, n);
		part[n] = '\0';
		if (confset_find(span_of(m->now, m->n), part) != CONFSET_NOWHERE)
			return false;
		if ((*at = confset_find(span_of(m->whole, m->nwhole), part)) != CONFSET_NOWHERE)
			return true;
		while (n > 0 && path[--n] != '.')
			;
	}
	return false;
}

/* One option. SP_OK, also if it is so already; was: how it was written, NULL: not at all, the caller's to free. */
static int
set_option(struct merging *m, const char *path, const json_t *j, const char *value, bool *changed, char **was)
{
	size_t at = 0, k;
	bool is_text, elsewhere = stands_elsewhere(m, path, &at);
	struct span there = confset_get(elsewhere ? span_of(m->whole, m->nwhole) : span_of(m->now, m->n), path);
	json_t *has = span_is_empty(there) ? NULL : value_json(there, &is_text);
	char *next;

	*changed = has == NULL || !json_equal(has, j);
	*was = span_is_empty(there) ? NULL : xmemdup(there.p, there.n);
	json_decref(has);
	if (!*changed)
		return SP_OK;
	if (elsewhere)
		return is_elsewhere(m, path, value, at);
	if ((next = confset_put(span_of(m->now, m->n), path, value, &k)) == NULL) {
		conf_error(m->errs, m->name, 0, "%s: has no place there", path);
		return SP_EINVAL;
	}
	mem_wipe_free(m->now, m->n);
	m->now = next;
	m->n = k;
	return SP_OK;
}

int
portable_merge(const struct portable *p, enum portable_daemon d, const char *name, struct span text, const char *dir, char **out,
    size_t *n, void (*each)(void *arg, enum portable_daemon, const char *path, const char *was, const char *now), void *arg,
    struct conf_errors *errs)
{
	struct merging m = { .name = name, .dir = dir, .text = text, .now = xmemdup(text.p, text.n), .n = text.n, .errs = errs };
	const char *path;
	json_t *j;
	int err = SP_OK;

	if (conf_includes(text))
		err = conf_flatten(name, text, dir, PORTABLE_MAX, &m.whole, &m.nwhole, errs);
	if (err == SP_OK)
		json_object_foreach(p->settings[d], path, j) {
			char *value = value_text(j), *was = NULL;
			bool changed = false;
			int e = value != NULL ? set_option(&m, path, j, value, &changed, &was) : SP_OK;

			if (e == SP_OK && changed)
				each(arg, d, path, was, value);
			err = err == SP_OK ? e : err;
			free(was);
			free(value);
		}
	mem_wipe_free(m.whole, m.nwhole);
	if (err != SP_OK) {
		mem_wipe_free(m.now, m.n);
		m.now = NULL;
		m.n = 0;
	}
	*out = m.now;
	*n = m.n;
	return err;
}
