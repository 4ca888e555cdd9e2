/*
 * admin/policychange.c - see policychange.h.
 */
#include "admin/policychange.h"

#include <string.h>

#include "common/err.h"
#include "net/digest.h"

static const char *const actions[POLICY_NACTIONS] = {
	[POLICY_IMPORT] = "import", [POLICY_HAND_EDIT] = "hand-edit", [POLICY_EDIT] = "edit",
	[POLICY_DISCARD] = "discard", [POLICY_REBASE] = "rebase", [POLICY_COMMIT] = "commit",
	[POLICY_ROLLBACK] = "rollback", [POLICY_BLOCK] = "block", [POLICY_UNBLOCK] = "unblock",
	[POLICY_PAUSE] = "pause", [POLICY_RESUME] = "resume", [POLICY_REFUSED] = "refused"
};

const char *
policy_action_name(enum policy_action a)
{
	return (unsigned)a < POLICY_NACTIONS ? actions[a] : NULL;
}

/* ---- what may be written ---- */

/* Bytes of the UTF-8 character at p, of n that are there (RFC 3629); 0: it is none, or a control. */
static size_t
character(const unsigned char *p, size_t n)
{
	uint32_t c;
	size_t len;

	if (p[0] < 0x80)
		return p[0] >= 0x20 && p[0] != 0x7f;
	len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	if (p[0] < 0xc2 || p[0] > 0xf4 || n < len)
		return 0;
	c = p[0] & (0xffu >> (len + 1));
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	/* too long a form, a surrogate, a C1 control, a line separator, or one that turns the text around */
	if ((len == 3 && c < 0x800) || (len == 4 && (c < 0x10000 || c > 0x10ffff)) || (c >= 0xd800 && c < 0xe000) ||
	    c < 0xa0 || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069))
		return 0;
	return len;
}

static bool
is_line(struct span s)
{
	for (size_t i = 0, n; i < s.n; i += n)
		if ((n = character((const unsigned char *)s.p + i, s.n - i)) == 0)
			return false;
	return true;
}

bool
policy_change_author_ok(struct span s)
{
	return s.n > 0 && s.n <= POLICY_CHANGE_AUTHOR && is_line(s);
}

bool
policy_change_note_ok(struct span s)
{
	return s.n <= POLICY_CHANGE_NOTE && is_line(s);
}

void
policy_hash(struct span text, char out[POLICY_HASH_TEXT])
{
	unsigned char digest[NET_DIGEST_MAX];
	struct strbuf sb;

	strbuf_init(&sb, out, POLICY_HASH_TEXT);
	strbuf_hex(&sb, digest, net_digest(NET_DIGEST_SHA256, &text, 1, digest), false);
}

/* ---- writing ---- */

static void
put_quoted(struct strbuf *out, const char *key, const char *text)
{
	strbuf_printf(out, " %s=\"", key);
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			strbuf_putc(out, '\\');
		strbuf_putc(out, *text);
	}
	strbuf_putc(out, '"');
}

void
policy_time_format(time_t t, char out[32])
{
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL || strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		memcpy(out, "1970-01-01T00:00:00Z", 21);
}

void
policy_change_format(const struct policy_change *c, struct strbuf *out)
{
	char when[32];

	policy_time_format(c->time, when);
	strbuf_puts(out, "version=");
	strbuf_uint(out, c->version);
	strbuf_puts(out, " parent=");
	strbuf_uint(out, c->parent);
	strbuf_printf(out, " time=%s", when);
	put_quoted(out, "author", c->author);
	strbuf_printf(out, " action=%s sha256=%s", actions[c->action], c->sha256);
	put_quoted(out, "note", c->note);
}

void
policy_record_format(struct policy_record *r, struct strbuf *out)
{
	size_t begin = out->len;

	strbuf_puts(out, "n=");
	strbuf_uint(out, r->n);
	strbuf_putc(out, ' ');
	policy_change_format(&r->change, out);
	strbuf_printf(out, " prev=%s", r->prev);
	policy_hash(span_of(out->p + begin, out->len - begin), r->hash);
	strbuf_printf(out, " hash=%s", r->hash);
}

/* ---- reading: one way to write it, so each step takes exactly that ---- */

static bool
take(struct span *s, const char *word)
{
	size_t n = strlen(word);

	if (s->n < n || memcmp(s->p, word, n) != 0)
		return false;
	*s = span_tail(*s, n);
	return true;
}

static bool
take_number(struct span *s, uint64_t *out)
{
	size_t n = 0;

	while (n < s->n && s->p[n] >= '0' && s->p[n] <= '9')
		n++;
	if ((n > 1 && s->p[0] == '0') || !span_uint(span_head(*s, n), UINT64_MAX, out))
		return false;
	*s = span_tail(*s, n);
	return true;
}

static bool
take_quoted(struct span *s, char *out, size_t size)
{
	size_t len = 0;

	if (!take(s, "\""))
		return false;
	while (s->n > 0 && s->p[0] != '"') {
		if (s->p[0] == '\\') {
			*s = span_tail(*s, 1);
			if (s->n == 0 || (s->p[0] != '"' && s->p[0] != '\\'))
				return false;
		}
		if (len + 1 >= size)
			return false;
		out[len++] = s->p[0];
		*s = span_tail(*s, 1);
	}
	out[len] = '\0';
	return take(s, "\"") && is_line(span_of(out, len));
}

static bool
take_hash(struct span *s, char out[POLICY_HASH_TEXT])
{
	size_t n = POLICY_HASH_TEXT - 1;

	if (s->n < n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!((s->p[i] >= '0' && s->p[i] <= '9') || (s->p[i] >= 'a' && s->p[i] <= 'f')))
			return false;
	memcpy(out, s->p, n);
	out[n] = '\0';
	*s = span_tail(*s, n);
	return true;
}

static bool
take_time(struct span *s, time_t *out)
{
	char text[32], again[32];
	struct tm tm;

	if (s->n < 20)
		return false;
	memcpy(text, s->p, 20);
	text[20] = '\0';
	memset(&tm, 0, sizeof(tm));
	if (strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm) != text + 20)
		return false;
	*out = timegm(&tm);
	policy_time_format(*out, again);
	*s = span_tail(*s, 20);
	return *out >= 0 && strcmp(text, again) == 0;
}

static bool
take_action(struct span *s, enum policy_action *out)
{
	size_t n = span_find(*s, ' ');

	for (int a = POLICY_NO_ACTION + 1; a < POLICY_NACTIONS; a++) {
		if (span_is(span_head(*s, n), actions[a])) {
			*out = (enum policy_action)a;
			*s = span_tail(*s, n);
			return true;
		}
	}
	return false;
}

static bool
take_change(struct span *s, struct policy_change *c)
{
	*c = (struct policy_change){ .version = 0 };
	return take(s, "version=") && take_number(s, &c->version) &&
	    take(s, " parent=") && take_number(s, &c->parent) &&
	    take(s, " time=") && take_time(s, &c->time) &&
	    take(s, " author=") && take_quoted(s, c->author, sizeof(c->author)) && c->author[0] != '\0' &&
	    take(s, " action=") && take_action(s, &c->action) &&
	    take(s, " sha256=") && take_hash(s, c->sha256) &&
	    take(s, " note=") && take_quoted(s, c->note, sizeof(c->note));
}

int
policy_change_parse(struct span line, struct policy_change *out)
{
	return take_change(&line, out) && line.n == 0 ? SP_OK : SP_ESYNTAX;
}

int
policy_record_parse(struct span line, struct policy_record *out)
{
	struct span s = line;
	char hash[POLICY_HASH_TEXT];

	memset(out, 0, sizeof(*out));
	if (!take(&s, "n=") || !take_number(&s, &out->n) || out->n == 0 || !take(&s, " ") || !take_change(&s, &out->change) ||
	    !take(&s, " prev=") || !take_hash(&s, out->prev))
		return SP_ESYNTAX;
	policy_hash(span_head(line, line.n - s.n), hash);
	if (!take(&s, " hash=") || !take_hash(&s, out->hash) || s.n != 0)
		return SP_ESYNTAX;
	return strcmp(hash, out->hash) == 0 ? SP_OK : SP_ESYNTAX;
}
