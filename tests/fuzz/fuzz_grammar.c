/*
 * tests/fuzz/fuzz_grammar.c - one value for each of the parsers. All spans lie
 * in the text; parts read again give the same; what is taken out is gone.
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
	struct sip_addr a;

	if (sip_addr_parse(&a, text) != SP_OK)
		return;
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

	if (sip_via_parse(&v, text) != SP_OK)
		return;
	assert_inside(v.transport);
	assert_inside(v.host);
	assert_inside(v.branch);
	assert(v.host.n > 0 && v.transport.n > 0);
	assert_params(v.params);
	assert(sip_via_parse(&again, v.whole) == SP_OK && again.port == v.port && span_eq(again.branch, v.branch));
}

static void
try_list(void)
{
	struct span rest = text, value;
	const char *last = text.p;
	size_t n = 0;

	while (sip_list_next(&rest, &value)) {
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
	struct sip_uri u;
	uint32_t number;
	struct span method;

	if (len < 2)
		return 0;
	text = span_of((const char *)data + 1, len - 1);
	if (!is_value(text))
		return 0;
	switch (data[0] % 6) {
	case 0:
		if (sip_uri_parse(&u, text) == SP_OK) {
			assert(span_eq(u.whole, text));
			assert_uri(&u);
		}
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
