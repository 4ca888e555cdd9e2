/*
 * tests/fuzz/fuzz_grammar.c - one value for each of the parsers. All spans lie
 * in the text; parts read again give the same; what is taken out is gone. What is read without Sofia
 * is read with it alike.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "sip/grammar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct span text;

static void
assert_inside(struct span s)
{
	assert(s.n == 0 || (s.p >= text.p && s.p + s.n <= text.p + text.n));
}

/* Is it what the framer lets into a value: no control but HTAB, line ends in folds only? */
static bool
is_value(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '\r' && s.n - i > 2 && s.p[i + 1] == '\n' && (s.p[i + 2] == ' ' || s.p[i + 2] == '\t'))
			i += 2;
		else if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static bool
same(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || a.p == b.p);
}

static bool
same_uri(const struct sip_uri *a, const struct sip_uri *b)
{
	return a->scheme == b->scheme && same(a->whole, b->whole) && same(a->user, b->user) && same(a->host, b->host) &&
	    a->port == b->port && same(a->params, b->params) && same(a->headers, b->headers);
}

static void
assert_uri(const struct sip_uri *u)
{
	struct sip_uri again;

	assert_inside(u->whole);
	assert_inside(u->user);
	assert_inside(u->host);
	assert_inside(u->params);
	assert_inside(u->headers);
	assert(sip_uri_parse(&again, u->whole) == SP_OK);
	assert(span_eq(again.host, u->host) && span_eq(again.user, u->user) && again.port == u->port);
	assert(sip_uri_same_aor(u, &again));
	assert(sip_escapes_ok(u->whole));
	if (u->scheme == SIP_SCHEME_SIP || u->scheme == SIP_SCHEME_SIPS)
		assert(u->host.n > 0 && memchr(u->host.p, '@', u->host.n) == NULL && memchr(u->host.p, '%', u->host.n) == NULL);
}

static void
assert_params(struct span params)
{
	static const char *const names[] = { "tag", "branch", "received", "proxy", "rport", "lr", "x" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct span v, piece = sip_param_piece(params, names[i]);

		assert(sip_param(params, names[i], &v) == (piece.n != 0));
		if (piece.n == 0)
			continue;
		assert_inside(piece);
		assert(piece.p[0] == ';');
		assert_inside(v);
		assert(v.n == 0 || (v.p >= piece.p && v.p + v.n == piece.p + piece.n));
	}
}

static void
try_addr(void)
{
	struct sip_addr a, full;
	int err = sip_addr_parse(&a, text);

	assert(sip_addr_parse_fully(&full, text) == err);
	if (err != SP_OK)
		return;
	assert(same(a.whole, full.whole) && same(a.display, full.display) && same(a.uri_text, full.uri_text) &&
	    same_uri(&a.uri, &full.uri) && same(a.params, full.params) && same(a.tag, full.tag));
	assert_inside(a.display);
	assert_inside(a.uri_text);
	assert_inside(a.params);
	assert_inside(a.tag);
	assert_uri(&a.uri);
	assert(span_eq(a.uri.whole, a.uri_text));
	assert_params(a.params);
	if (a.tag.n > 0) {
		struct span v;

		assert(sip_param(a.params, "tag", &v) && span_eq(v, a.tag));
	}
}

static void
try_via(void)
{
	struct sip_via v, again;
	int err = sip_via_parse(&v, text);

	assert(sip_via_parse_fully(&again, text) == err);
	if (err != SP_OK)
		return;
	assert(same(v.whole, again.whole) && same(v.transport, again.transport) && same(v.host, again.host) &&
	    v.port == again.port && same(v.params, again.params) && same(v.branch, again.branch));
	assert_inside(v.transport);
	assert_inside(v.host);
	assert_inside(v.branch);
	assert(v.host.n > 0 && v.transport.n > 0);
	assert_params(v.params);
	assert(sip_via_parse(&again, v.whole) == SP_OK && again.port == v.port && span_eq(again.branch, v.branch));
}

static void
try_uri(void)
{
	struct sip_uri u, full;
	int err;

	/* one stands between white space, if anywhere */
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] <= 0x20)
			return;
	err = sip_uri_parse(&u, text);
	assert(sip_uri_parse_fully(&full, text) == err);
	if (err != SP_OK)
		return;
	assert(same_uri(&u, &full) && span_eq(u.whole, text));
	assert_uri(&u);
}

/* Where a value of a list ends, character for character. */
static size_t
value_end(struct span s)
{
	bool quoted = false, angle = false;
	size_t i;

	for (i = 0; i < s.n && (s.p[i] != ',' || quoted || angle); i++) {
		if (quoted && s.p[i] == '\\')
			i++;
		else if (s.p[i] == '"' && !angle)
			quoted = !quoted;
		else if (s.p[i] == '<' && !quoted)
			angle = true;
		else if (s.p[i] == '>' && !quoted)
			angle = false;
	}
	return i < s.n ? i : s.n;
}

static void
try_list(void)
{
	struct span rest = text, value;
	const char *last = text.p;
	size_t n = 0;

	for (struct span left = text; sip_list_next(&rest, &value); left = rest) {
		size_t end = value_end(left);

		assert(span_eq(value, span_trim(span_head(left, end))));
		assert(end < left.n ? rest.p == left.p + end + 1 : rest.p == NULL);
		assert_inside(value);
		assert(value.n == 0 || value.p >= last);
		last = value.n != 0 ? value.p + value.n : last;
		n++;
	}
	assert(n >= 1 && n <= text.n + 1);
}

static void
try_auth(void)
{
	static const char *const names[] = { "realm", "nonce", "gssapi-data", "response", "a" };
	struct sip_auth a;

	if (sip_auth_parse(&a, text) != SP_OK)
		return;
	assert_inside(a.scheme);
	assert_inside(a.params);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct span v;

		if (sip_auth_param(&a, names[i], &v))
			assert_inside(v);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint32_t number;
	struct span method;

	if (len < 2)
		return 0;
	text = span_of((const char *)data + 1, len - 1);
	if (!is_value(text))
		return 0;
	switch (data[0] % 6) {
	case 0:
		try_uri();
		break;
	case 1:
		try_addr();
		break;
	case 2:
		try_via();
		break;
	case 3:
		if (sip_cseq_parse(text, &number, &method) == SP_OK) {
			assert_inside(method);
			assert(method.n > 0 && number <= INT32_MAX);
		}
		break;
	case 4:
		try_list();
		break;
	default:
		try_auth();
		break;
	}
	return 0;
}
