/*
 * admin/lyncread.c - files of PowerShell: their encodings, CSV (RFC 4180), and what an object is; see lync.h.
 */
#include "admin/lync.h"

#include <stdlib.h>
#include <string.h>

#include "admin/lync_int.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/strbuf.h"
#include "policy/domain.h"

/* ---- objects ---- */

const char *
lync_kind_name(enum lync_kind k)
{
	static const char *const names[LYNC_NKINDS] = {
		[LYNC_OTHER] = "object", [LYNC_ALLOWED] = "allowed domain", [LYNC_BLOCKED] = "blocked domain",
		[LYNC_PUBLIC] = "public provider", [LYNC_HOSTING] = "hosting provider", [LYNC_EDGE] = "access edge",
		[LYNC_SIP_DOMAIN] = "SIP domain", [LYNC_ROUTE] = "static route", [LYNC_ROUTING] = "static routing",
	};

	return names[k];
}

/* "Deserialized.Microsoft.Rtc.Management.WritableConfig.Settings.Edge.AllowedDomain": the end of it says what it is. */
enum lync_kind
lync_kind_of(struct span type)
{
	static const struct {
		const char	*word;
		enum lync_kind	 kind;
	} words[] = {
		{ "AllowedDomain", LYNC_ALLOWED }, { "BlockedDomain", LYNC_BLOCKED },
		{ "PublicProvider", LYNC_PUBLIC }, { "HostingProvider", LYNC_HOSTING },
		{ "AccessEdgeSettings", LYNC_EDGE }, { "AccessEdgeSettingsDnsSrvRouting", LYNC_EDGE },
		{ "AccessEdgeSettingsDefaultRoute", LYNC_EDGE }, { "AccessEdgeConfiguration", LYNC_EDGE },
		{ "SipDomain", LYNC_SIP_DOMAIN }, { "Route", LYNC_ROUTE }, { "RoutingSettings", LYNC_ROUTING },
		{ "StaticRoutingSettings", LYNC_ROUTING }, { "StaticRoutingConfiguration", LYNC_ROUTING },
	};

	/* of a generic or an assembly-qualified name, what is before the comma */
	type = span_head(type, span_find(type, ','));
	type = span_head(type, span_find(type, '#'));
	for (size_t dot; (dot = span_find(type, '.')) < type.n;)
		type = span_tail(type, dot + 1);
	if (span_istarts(type, SPAN_LIT("Display")))
		type = span_tail(type, 7);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (span_iis(type, words[i].word))
			return words[i].kind;
	return LYNC_OTHER;
}

static void
object_fini(struct lync_object *o)
{
	for (size_t i = 0; i < o->n; i++) {
		free(o->v[i].name);
		free(o->v[i].value);
	}
	free(o->v);
	free(o->type);
}

void
lync_objects_fini(struct lync_objects *all)
{
	for (size_t i = 0; i < all->n; i++)
		object_fini(&all->v[i]);
	free(all->v);
	*all = (struct lync_objects){ .v = NULL };
}

const char *
lync_get(const struct lync_object *o, const char *name)
{
	for (size_t i = 0; i < o->n; i++)
		if (span_iis(span_str(o->v[i].name), name))
			return o->v[i].value;
	return NULL;
}

const char *
lync_text(const struct lync_object *o, const char *name)
{
	const char *s = o != NULL ? lync_get(o, name) : NULL;

	return s != NULL && s[0] != '\0' ? s : NULL;
}

bool
lync_switch(const struct lync_object *o, const char *name, bool dflt)
{
	struct span s = span_trim(span_str(lync_text(o, name)));

	return span_iis(s, "true") || span_is(s, "1") ? true : span_iis(s, "false") || span_is(s, "0") ? false : dflt;
}

char *
lync_host(struct span s)
{
	char storage[DOMAIN_MAX];
	struct span d;
	bool is_ip;

	if (span_is_empty(s) || policy_domain_canon(s, storage, &d, &is_ip) != SP_OK || is_ip)
		return NULL;
	return xmemdup(d.p, d.n);
}

struct lync_object *
lync_add(struct lync_objects *all, struct span type, int line)
{
	if (all->n >= LYNC_OBJECTS_MAX)
		return NULL;
	/* room doubles: a power of two, or none, is full */
	if ((all->n & (all->n - 1)) == 0)
		all->v = xreallocarray(all->v, all->n == 0 ? 1 : all->n * 2, sizeof(*all->v));
	all->v[all->n] = (struct lync_object){ .kind = lync_kind_of(type), .type = xmemdup(type.p, type.n < LYNC_NAME_MAX ? type.n : LYNC_NAME_MAX), .line = line };
	return &all->v[all->n++];
}

bool
lync_add_property(struct lync_object *o, struct span name, struct span value)
{
	if (o->n >= LYNC_PROPERTIES_MAX || name.n > LYNC_NAME_MAX)
		return false;
	if ((o->n & (o->n - 1)) == 0)
		o->v = xreallocarray(o->v, o->n == 0 ? 1 : o->n * 2, sizeof(*o->v));
	o->v[o->n++] = (struct lync_property){ xmemdup(name.p, name.n), value.p != NULL ? xmemdup(value.p, value.n) : NULL };
	return true;
}

/* ---- encodings ---- */

static void
put_utf8(struct strbuf *sb, uint32_t c)
{
	if (c < 0x80) {
		strbuf_putc(sb, (char)c);
	} else if (c < 0x800) {
		strbuf_putc(sb, (char)(0xc0 | c >> 6));
		strbuf_putc(sb, (char)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000) {
		strbuf_putc(sb, (char)(0xe0 | c >> 12));
		strbuf_putc(sb, (char)(0x80 | (c >> 6 & 0x3f)));
		strbuf_putc(sb, (char)(0x80 | (c & 0x3f)));
	} else {
		strbuf_putc(sb, (char)(0xf0 | c >> 18));
		strbuf_putc(sb, (char)(0x80 | (c >> 12 & 0x3f)));
		strbuf_putc(sb, (char)(0x80 | (c >> 6 & 0x3f)));
		strbuf_putc(sb, (char)(0x80 | (c & 0x3f)));
	}
}

/* NULL: half a character, or a surrogate alone. The caller's to free. */
static char *
from_utf16(struct span in, bool big, size_t *n)
{
	const unsigned char *p = (const void *)in.p;
	size_t room = in.n / 2 * 3 + 2;
	char *out = xmalloc(room);
	struct strbuf sb;
	bool good = in.n % 2 == 0;

	strbuf_init(&sb, out, room);
	for (size_t i = 0; good && i < in.n; i += 2) {
		uint32_t c = (uint32_t)(big ? p[i] << 8 | p[i + 1] : p[i + 1] << 8 | p[i]), low;

		if (c >= 0xd800 && c < 0xdc00 && i + 4 <= in.n) {
			low = (uint32_t)(big ? p[i + 2] << 8 | p[i + 3] : p[i + 3] << 8 | p[i + 2]);
			if ((good = low >= 0xdc00 && low < 0xe000))
				c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
			i += 2;
		} else {
			good = c < 0xd800 || c >= 0xe000;
		}
		if (good)
			put_utf8(&sb, c);
	}
	if (!good || !strbuf_ok(&sb)) {
		free(out);
		return NULL;
	}
	*n = sb.len;
	return out;
}

/* ---- CSV ---- */

struct csv {
	const char		*name;
	struct span		 rest;
	int			 line;
	char			 delimiter;
	char			*row;		/* texts of the fields, one behind the other, each with a NUL */
	struct span		 fields[LYNC_PROPERTIES_MAX];
	size_t			 n;
	struct conf_errors	*errs;
};

/* A field that begins with a quote, into out; *end: what stands behind it. False: the quote is not closed. */
static bool
quoted(struct csv *c, struct strbuf *out, struct span *end)
{
	struct span s = span_tail(c->rest, 1);
	size_t i = 0;

	for (; i < s.n; i++) {
		if (s.p[i] == '\n')
			c->line++;
		if (s.p[i] == '"') {
			if (i + 1 >= s.n || s.p[i + 1] != '"')
				break;
			i++;
		}
		strbuf_putc(out, s.p[i]);
	}
	*end = span_tail(s, i + 1);
	return i < s.n;
}

/* The next row into c->fields. SP_OK, SP_ENOENT at the end, SP_EINVAL and said. */
static int
next_row(struct csv *c)
{
	struct strbuf sb;
	bool more = true;

	while (!span_is_empty(c->rest) && (c->rest.p[0] == '\n' || c->rest.p[0] == '\r')) {
		c->line += c->rest.p[0] == '\n';
		c->rest = span_tail(c->rest, 1);
	}
	if (span_is_empty(c->rest))
		return SP_ENOENT;
	strbuf_init(&sb, c->row, c->rest.n + LYNC_PROPERTIES_MAX + 2);
	for (c->n = 0; more;) {
		size_t at = sb.len, i = 0;
		int line = c->line;

		if (c->n == LYNC_PROPERTIES_MAX) {
			conf_error(c->errs, c->name, line, "more than %d columns", LYNC_PROPERTIES_MAX);
			return SP_EINVAL;
		}
		if (!span_is_empty(c->rest) && c->rest.p[0] == '"') {
			if (!quoted(c, &sb, &c->rest)) {
				conf_error(c->errs, c->name, line, "the quote that begins here is not closed");
				return SP_EINVAL;
			}
		} else {
			while (i < c->rest.n && c->rest.p[i] != c->delimiter && c->rest.p[i] != '\n' && c->rest.p[i] != '\r')
				strbuf_putc(&sb, c->rest.p[i++]);
			c->rest = span_tail(c->rest, i);
		}
		c->fields[c->n++] = span_of(sb.p + at, sb.len - at);
		strbuf_putc(&sb, '\0');
		if (!strbuf_ok(&sb) || sb.len - at > LYNC_VALUE_MAX) {
			conf_error(c->errs, c->name, line, "a value of more than %d bytes", LYNC_VALUE_MAX);
			return SP_EINVAL;
		}
		more = !span_is_empty(c->rest) && c->rest.p[0] == c->delimiter;
		if (!more && !span_is_empty(c->rest) && c->rest.p[0] != '\n' && c->rest.p[0] != '\r') {
			conf_error(c->errs, c->name, c->line, "expects a separator after a closing quote");
			return SP_EINVAL;
		}
		c->rest = more ? span_of(c->rest.p + 1, c->rest.n - 1) : c->rest;
	}
	return SP_OK;
}

/* Which separator? The first of the three that stands outside of quotes in the line of names. */
static char
delimiter_of(struct span line)
{
	bool inside = false;

	for (size_t i = 0; i < line.n && (inside || line.p[i] != '\n'); i++) {
		if (line.p[i] == '"')
			inside = !inside;
		else if (!inside && (line.p[i] == ',' || line.p[i] == ';' || line.p[i] == '\t'))
			return line.p[i];
	}
	return ',';
}

struct columns {
	char	*v[LYNC_PROPERTIES_MAX];
	size_t	 n;
};

static bool
has(const struct columns *c, const char *name)
{
	for (size_t i = 0; i < c->n; i++)
		if (span_iis(span_str(c->v[i]), name))
			return true;
	return false;
}

/* Without a #TYPE line the columns say what it is, if they are those of one cmdlet alone. */
static const char *
type_by_columns(const struct columns *c)
{
	if (has(c, "AllowFederatedUsers") && has(c, "AllowOutsideUsers"))
		return "AccessEdgeSettings";
	if (has(c, "MatchUri") && has(c, "Transport"))
		return "Route";
	if (has(c, "ProxyFqdn") && has(c, "HostsOCSUsers"))
		return "HostingProvider";
	if (has(c, "ProxyFqdn") && has(c, "NameDecorationRoutingDomain"))
		return "PublicProvider";
	if (has(c, "Domain") && has(c, "ProxyFqdn"))
		return "AllowedDomain";
	if (has(c, "Domain") && !has(c, "VerificationLevel") && !has(c, "MarkForMonitoring"))
		return "BlockedDomain";
	if (has(c, "Name") && has(c, "IsDefault") && !has(c, "ProxyFqdn"))
		return "SipDomain";
	return NULL;
}

static int
read_columns(struct csv *c, struct columns *columns)
{
	int err = next_row(c);

	if (err == SP_ENOENT) {
		conf_error(c->errs, c->name, 0, "has no line of names");
		return SP_EINVAL;
	}
	for (size_t i = 0; err == SP_OK && i < c->n; i++) {
		char *name = xmemdup(c->fields[i].p, c->fields[i].n);

		if (has(columns, name)) {
			conf_error(c->errs, c->name, c->line, "two columns of one name");
			err = SP_EINVAL;
		}
		columns->v[columns->n++] = name;
	}
	return err;
}

static int
read_rows(struct csv *c, const struct columns *columns, struct span type, struct lync_objects *out)
{
	int err;

	while ((err = next_row(c)) == SP_OK) {
		struct lync_object *o;
		int line = c->line;

		if (c->n != columns->n) {
			conf_error(c->errs, c->name, line, "has %zu values for %zu columns", c->n, columns->n);
			return SP_EINVAL;
		}
		if ((o = lync_add(out, type, line)) == NULL) {
			conf_error(c->errs, c->name, line, "more than %d objects", LYNC_OBJECTS_MAX);
			return SP_EINVAL;
		}
		for (size_t i = 0; i < c->n; i++)
			(void)lync_add_property(o, span_str(columns->v[i]), c->fields[i]);
	}
	return err == SP_ENOENT ? SP_OK : err;
}

static int
read_csv(const char *name, struct span text, struct lync_objects *out, struct conf_errors *errs)
{
	struct csv *c = xcalloc(1, sizeof(*c));
	struct columns *columns = xcalloc(1, sizeof(*columns));
	struct span type = SPAN_NONE;
	int err;

	*c = (struct csv){ .name = name, .rest = text, .line = 1, .row = xmalloc(text.n + LYNC_PROPERTIES_MAX + 2), .errs = errs };
	if (span_istarts(text, SPAN_LIT("#TYPE "))) {
		size_t n = span_find(text, '\n');

		type = span_trim(span_of(text.p + 6, n - 6));
		c->rest = span_tail(text, n + 1);
		c->line = 2;
	}
	c->delimiter = delimiter_of(c->rest);
	if ((err = read_columns(c, columns)) == SP_OK) {
		if (span_is_empty(type))
			type = span_str(type_by_columns(columns));
		if (span_is_empty(type)) {
			conf_error(errs, name, 1, "has no #TYPE line, and its columns do not say which cmdlet it is from");
			err = SP_EINVAL;
		} else {
			err = read_rows(c, columns, type, out);
		}
	}
	for (size_t i = 0; i < columns->n; i++)
		free(columns->v[i]);
	free(columns);
	free(c->row);
	free(c);
	return err;
}

/* ---- both ---- */

static int
read_text(const char *name, struct span text, struct lync_objects *out, struct conf_errors *errs)
{
	struct span head = text;

	if (span_find(text, '\0') < text.n) {
		conf_error(errs, name, 0, "is neither UTF-8 nor UTF-16 text: has zero bytes");
		return SP_EINVAL;
	}
	while (!span_is_empty(head) && strchr(" \t\r\n", head.p[0]) != NULL)
		head = span_tail(head, 1);
	if (span_is_empty(head)) {
		conf_error(errs, name, 0, "is empty");
		return SP_EINVAL;
	}
	return head.p[0] == '<' ? lync_read_xml(name, text, out, errs) : read_csv(name, head, out, errs);
}

int
lync_read(const char *name, struct span bytes, struct lync_objects *out, struct conf_errors *errs)
{
	struct span head = span_head(bytes, 3);
	char *text;
	size_t n;
	int err;

	if (bytes.n > LYNC_FILE_MAX) {
		conf_error(errs, name, 0, "has more than %u bytes", LYNC_FILE_MAX);
		return SP_EINVAL;
	}
	if (span_eq(head, SPAN_LIT("\xef\xbb\xbf")))
		return read_text(name, span_tail(bytes, 3), out, errs);
	head = span_head(bytes, 2);
	if (!span_eq(head, SPAN_LIT("\xff\xfe")) && !span_eq(head, SPAN_LIT("\xfe\xff")))
		return read_text(name, bytes, out, errs);
	if ((text = from_utf16(span_tail(bytes, 2), bytes.p[0] == '\xfe', &n)) == NULL) {
		conf_error(errs, name, 0, "is not UTF-16, although it begins like that");
		return SP_EINVAL;
	}
	err = read_text(name, span_of(text, n), out, errs);
	free(text);
	return err;
}
