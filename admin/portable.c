/*
 * admin/portable.c - see portable.h.
 */
#include "admin/portable.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "admin/confset.h"
#include "admin/policychange.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/strbuf.h"

#define FORMAT		1
#define VALUE_MAX	8192	/* bytes of a value as it is written */

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

/* One text with its quotes, at the beginning of *rest; it is taken off. False: it is none. */
static bool
take_text(struct span *rest, struct strbuf *out)
{
	static const char plain[] = "\"\\nrtf", meant[] = "\"\\\n\r\t\f";
	size_t i = 1;

	if (rest->n == 0 || rest->p[0] != '"')
		return false;
	for (; i < rest->n && rest->p[i] != '"'; i++) {
		const char *at;

		if (rest->p[i] != '\\') {
			strbuf_putc(out, rest->p[i]);
			continue;
		}
		if (++i >= rest->n || rest->p[i] == '\0' || (at = strchr(plain, rest->p[i])) == NULL)
			return false;	/* \xHH: nothing that is exported needs it */
		strbuf_putc(out, meant[at - plain]);
	}
	if (i >= rest->n)
		return false;
	*rest = span_tail(*rest, i + 1);
	return true;
}

static json_t *
text_json(struct span value)
{
	char *room = xmalloc(value.n + 2);
	struct strbuf sb;
	bool good = true;
	json_t *j;

	strbuf_init(&sb, room, value.n + 2);
	for (struct span rest = value; good && !span_is_empty(rest); rest = span_trim(rest))
		good = take_text(&rest, &sb);
	j = good && strbuf_ok(&sb) ? json_stringn(sb.p, sb.len) : NULL;
	free(room);
	return j;
}

/* Elements of an array or a list of texts; NULL: there is something else in it. */
static json_t *
list_json(struct span value)
{
	json_t *list = json_array();
	struct span rest = span_trim(span_of(value.p + 1, value.n - 2));

	while (list != NULL && !span_is_empty(rest)) {
		char *room = xmalloc(rest.n + 2);
		struct strbuf sb;
		bool good;

		strbuf_init(&sb, room, rest.n + 2);
		good = take_text(&rest, &sb) && json_array_append_new(list, json_stringn(sb.p, sb.len)) == 0;
		free(room);
		rest = span_trim(rest);
		if (good && rest.n > 0 && rest.p[0] == ',')
			rest = span_trim(span_tail(rest, 1));
		else if (!good || rest.n > 0) {
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
		return v.p[0] == '"' ? text_json(v) : list_json(v);
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

/* As it is to be written; false: too long, or nothing that an option can be. */
static bool
value_text(const json_t *j, struct strbuf *out)
{
	const json_t *one;
	size_t i;

	if (json_is_boolean(j)) {
		strbuf_puts(out, json_is_true(j) ? "true" : "false");
	} else if (json_is_integer(j)) {
		strbuf_printf(out, "%lld", (long long)json_integer_value(j));
	} else if (json_is_string(j)) {
		write_text(out, json_string_value(j));
	} else if (json_is_array(j)) {
		strbuf_puts(out, "[");
		json_array_foreach(j, i, one) {
			if (!json_is_string(one))
				return false;
			strbuf_puts(out, i != 0 ? ", " : " ");
			write_text(out, json_string_value(one));
		}
		strbuf_puts(out, " ]");
	} else {
		return false;
	}
	return strbuf_ok(out);
}

/* ---- out ---- */

struct collecting {
	struct portable		*p;
	enum portable_daemon	 daemon;
	size_t			*left_out;
};

static void
collect(void *arg, const char *path, struct span value)
{
	struct collecting *c = arg;
	bool is_text;
	json_t *j = value_json(value, &is_text);

	if (j != NULL && portable_option(c->daemon, path, is_text)) {
		json_object_set(c->p->settings[c->daemon], path, j);
	} else {
		++*c->left_out;
	}
	json_decref(j);
}

void
portable_collect(struct portable *p, enum portable_daemon d, struct span text, size_t *left_out)
{
	struct collecting c = { p, d, left_out };

	*left_out = 0;
	if (p->settings[d] == NULL)
		p->settings[d] = json_object();
	confset_each(text, collect, &c);
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

static int
read_settings(const char *name, enum portable_daemon d, json_t *settings, struct conf_errors *errs)
{
	size_t before = conf_errors_count(errs);
	char *room = xmalloc(VALUE_MAX);
	const char *path;
	json_t *j;

	json_object_foreach(settings, path, j) {
		struct strbuf sb;

		strbuf_init(&sb, room, VALUE_MAX);
		if (!is_path(path) || !portable_option(d, path, json_is_string(j) || json_is_array(j)))
			conf_error(errs, name, 0, "%s: %.100s is no option that is exported", portable_daemon_name(d), path);
		else if (!value_text(j, &sb))
			conf_error(errs, name, 0, "%s: %s: expects a number, true or false, a text, or texts", portable_daemon_name(d), path);
	}
	free(room);
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

int
portable_merge(const struct portable *p, enum portable_daemon d, const char *name, struct span text, char **out, size_t *n,
    void (*each)(void *arg, enum portable_daemon, const char *path, const char *was, const char *now), void *arg,
    struct conf_errors *errs)
{
	char *value = xmalloc(VALUE_MAX), *now = xmemdup(text.p, text.n);
	const char *path;
	json_t *j;
	int err = SP_OK;

	*n = text.n;
	json_object_foreach(p->settings[d], path, j) {
		struct span there = confset_get(span_of(now, *n), path);
		char *was = span_is_empty(there) ? NULL : xmemdup(there.p, there.n), *next;
		bool is_text, same;
		json_t *has = was != NULL ? value_json(there, &is_text) : NULL;
		struct strbuf sb;
		size_t k;

		strbuf_init(&sb, value, VALUE_MAX);
		same = has != NULL && json_equal(has, j);
		json_decref(has);
		if (!same && value_text(j, &sb)) {
			if ((next = confset_put(span_of(now, *n), path, value, &k)) == NULL) {
				conf_error(errs, name, 0, "%s: has no place there", path);
				err = SP_EINVAL;
			} else {
				free(now);
				now = next;
				*n = k;
				each(arg, d, path, was, value);
			}
		}
		free(was);
	}
	free(value);
	if (err != SP_OK) {
		mem_wipe_free(now, *n);
		now = NULL;
	}
	*out = now;
	return err;
}
