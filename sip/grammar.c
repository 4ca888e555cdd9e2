#include "sip/grammar.h"

#include <arpa/inet.h>
#include <endian.h>
#include <string.h>

#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_parser.h>
#include <sofia-sip/sip_status.h>
#include <sofia-sip/su_alloc.h>
#include <sofia-sip/url.h>

#include "common/err.h"
#include "sip/chars.h"

/*
 * Two readers look at every piece: a scanner of our own finds the parts, and
 * Sofia's parser reads a copy. They must see the same parts, or the piece is
 * refused. So no text passes that is one thing to us and another to a server
 * behind us that reads like Sofia. Where both are known to see the same in whatever our
 * scanner takes, the second reading is left out, since it costs ten times the first and a message
 * has room for many values; tests/fuzz/fuzz_grammar.c compares with sip_..._parse_fully(),
 * which never leave it out, and fuzz_differential.c whole messages.
 *
 * On top of that there is a short way for what most values look like. It takes or passes on: what it
 * does not take is read by the long way.
 *
 * Sofia writes into the text it parses and unescapes on the way; it gets a
 * copy on the stack, in which folds are spaces, so that offsets stay the same.
 */
#define TEXT_MAX	8192	/* one value; the framer's limit of a header */
#define PARAMS_MAX	64	/* of one value: Sofia allocates for each */
#define AUTH_PARAMS_MAX	32

struct copy {
	size_t	n;
	char	p[TEXT_MAX + 1];
};

static bool
copy_text(struct copy *c, struct span text)
{
	if (text.n > TEXT_MAX)
		return false;
	memcpy(c->p, text.p, text.n);
	c->p[text.n] = '\0';
	c->n = text.n;
	return true;
}

/* A fold is white space (RFC 3261 7.3.1). */
static void
unfold(char *p, size_t n)
{
	for (char *cr; (cr = memchr(p, '\r', n)) != NULL; n -= (size_t)(cr - p), p = cr)
		cr[0] = cr[1] = ' ';
}

static inline bool
is_space(char c)
{
	return (unsigned char)c <= ' ' && (c == ' ' || c == '\t' || c == '\r' || c == '\n');
}

/* The rest of s from n on; unlike span_tail() an empty rest keeps its place. */
static inline struct span
rest_of(struct span s, size_t n)
{
	return span_of(n != 0 ? s.p + n : s.p, s.n - n);
}

/* Where the first character at or after `at` is that is no space. */
static inline size_t
past_space(struct span s, size_t at)
{
	while (at < s.n && is_space(s.p[at]))
		at++;
	return at;
}

static inline struct span
skip_space(struct span s)
{
	return rest_of(s, past_space(s, 0));
}

/* Length of the quoted string at the beginning of s, quotes included; 0 if it does not end. */
static size_t
quoted_length(struct span s)
{
	/* they are short, or full of back slashes */
	for (size_t i = 1; i < s.n; i++) {
		if (s.p[i] == '"')
			return i + 1;
		if (s.p[i] == '\\')
			i++;	/* whatever is escaped */
	}
	return 0;
}

bool
sip_escapes_ok(struct span s)
{
	for (size_t i = 0; ; i += 3) {
		/* one behind the other, or few */
		if (i < s.n && s.p[i] != '%')
			i += span_find(rest_of(s, i), '%');
		if (i == s.n)
			return true;
		if (s.n - i < 3 || !sip_char_is(s.p[i + 1], SIP_CHAR_HEX) || !sip_char_is(s.p[i + 2], SIP_CHAR_HEX))
			return false;
	}
}

/* Characters of these classes and well-formed escapes; may be empty. */
static bool
is_escaped_text(struct span s, unsigned classes)
{
	return sip_chars_run(s, classes) == s.n && sip_escapes_ok(s);
}

/* ---- URI (RFC 3261 19.1.1, 25.1) ---- */

/* host [ ":" port ], all of s. */
static bool
scan_hostport(struct span s, struct span *host, uint16_t *port)
{
	struct span rest;
	uint64_t n = 0;
	size_t end;

	if (s.n > 0 && s.p[0] == '[') {
		char text[INET6_ADDRSTRLEN];
		struct in6_addr addr;

		end = span_find(s, ']');
		if (end == s.n || end - 1 >= sizeof(text))
			return false;
		memcpy(text, s.p + 1, end - 1);
		text[end - 1] = '\0';
		if (inet_pton(AF_INET6, text, &addr) != 1)
			return false;
		end++;
	} else {
		end = sip_chars_run(s, SIP_CHAR_HOST);
		if (end == 0)
			return false;
	}
	*host = span_head(s, end);
	rest = rest_of(s, end);
	*port = 0;
	if (rest.n == 0)
		return true;
	if (rest.p[0] != ':' || rest.n > 6 || !span_uint(rest_of(rest, 1), UINT16_MAX, &n) || n == 0)
		return false;
	*port = (uint16_t)n;
	return true;
}

/* What follows the scheme of sip: and sips:. */
static bool
scan_sip_uri(struct sip_uri *u, struct span s)
{
	size_t at = span_find(s, '@'), end;
	struct span hostport;

	if (at < s.n) {
		struct span info = span_head(s, at), password;
		size_t colon = span_find(info, ':');

		u->user = span_head(info, colon);
		password = colon < info.n ? rest_of(info, colon + 1) : SPAN_NONE;
		if (u->user.n == 0 || !is_escaped_text(u->user, SIP_CHAR_USER) || !is_escaped_text(password, SIP_CHAR_USER))
			return false;
		s = rest_of(s, at + 1);
	}
	end = span_find(s, '?');
	if (end < s.n) {
		u->headers = rest_of(s, end + 1);
		if (u->headers.n == 0 || !is_escaped_text(u->headers, SIP_CHAR_URI))
			return false;
		s = span_head(s, end);
	}
	end = span_find(s, ';');
	if (end < s.n) {
		u->params = rest_of(s, end + 1);
		if (u->params.n == 0 || sip_chars_uri_params(u->params.p, u->params.n) != u->params.n || !sip_escapes_ok(u->params))
			return false;
		hostport = span_head(s, (size_t)(u->params.p - 1 - s.p));
	} else
		hostport = s;
	return scan_hostport(hostport, &u->host, &u->port);
}

/* tel: (RFC 3966): the number stands where a user stands. */
static bool
scan_tel_uri(struct sip_uri *u, struct span s)
{
	size_t end = span_find(s, ';');

	u->user = span_head(s, end);
	if (end < s.n) {
		u->params = rest_of(s, end + 1);
		if (u->params.n == 0 || !is_escaped_text(u->params, SIP_CHAR_URI | SIP_CHAR_USER))
			return false;
	}
	return u->user.n > 0 && is_escaped_text(u->user, SIP_CHAR_USER);
}

static size_t
scan_scheme(struct span s)
{
	size_t n = 0;

	if (s.n == 0 || span_lower((unsigned char)s.p[0]) < 'a' || span_lower((unsigned char)s.p[0]) > 'z')
		return 0;
	while (n < s.n && (sip_char_is(s.p[n], SIP_CHAR_HOST) || s.p[n] == '+') && s.p[n] != '_')
		n++;
	return n < s.n && s.p[n] == ':' ? n : 0;
}

/* Of a scheme that is not ours only the characters are looked at. */
static bool
is_uri_text(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= 0x20 || (unsigned char)s.p[i] >= 0x7f || s.p[i] == '<' || s.p[i] == '>' ||
		    s.p[i] == '"')
			return false;
	return s.n > 0 && sip_escapes_ok(s);
}

static bool
same_text(struct span ours, const char *theirs)
{
	struct span other = span_str(theirs);

	return span_eq(ours, other) || span_ieq(ours, other);
}

/* Does Sofia see the same host, port, user, parameters and headers? */
static bool
uri_agrees(const struct sip_uri *u, const url_t *url)
{
	uint64_t port = 0;

	if (url->url_type != (u->scheme == SIP_SCHEME_SIPS ? url_sips : url_sip) || !same_text(u->host, url->url_host))
		return false;
	if (url->url_port != NULL && !span_uint(span_str(url->url_port), UINT16_MAX, &port))
		return false;
	return port == u->port && (url->url_user != NULL) == (u->user.n > 0) &&
	    (url->url_params != NULL) == (u->params.n > 0) && (url->url_headers != NULL) == (u->headers.n > 0);
}

/* All but Sofia's part. */
static bool
scan_uri(struct sip_uri *u, struct span text)
{
	size_t n = scan_scheme(text);
	struct span scheme = span_head(text, n), rest;

	*u = (struct sip_uri){ .whole = text };
	if (n == 0)
		return false;
	rest = rest_of(text, n + 1);
	if (span_iis(scheme, "sip"))
		u->scheme = SIP_SCHEME_SIP;
	else if (span_iis(scheme, "sips"))
		u->scheme = SIP_SCHEME_SIPS;
	else if (span_iis(scheme, "tel"))
		u->scheme = SIP_SCHEME_TEL;
	switch (u->scheme) {
	case SIP_SCHEME_SIP:
	case SIP_SCHEME_SIPS:
		return scan_sip_uri(u, rest);
	case SIP_SCHEME_TEL:
		return scan_tel_uri(u, rest);
	default:
		return is_uri_text(rest);
	}
}

/* What Sofia sees in the same way, whatever our scanner has taken: all but a password with marks in it that it knows in users only. */
static bool
is_agreed(const struct sip_uri *u)
{
	struct span password;

	if (u->scheme != SIP_SCHEME_SIP && u->scheme != SIP_SCHEME_SIPS)
		return false;
	if (u->user.n == 0 || u->host.p == u->user.p + u->user.n + 1)
		return true;
	password = span_of(u->user.p + u->user.n, (size_t)(u->host.p - u->user.p) - u->user.n);
	return span_find(password, ';') == password.n && span_find(password, '?') == password.n &&
	    span_find(password, '/') == password.n;
}

/* "sip:" as one number, and what makes its letters small */
#define SIP_SCHEME	htole32(0x3a706973)
#define SIP_SMALL	htole32(0x00202020)

/* ":port", or nothing, at the beginning of *rest, which is what follows a host. */
static inline bool
short_port(struct span *rest, uint16_t *port)
{
	unsigned n = 0;
	size_t i;

	*port = 0;
	if (rest->n == 0 || rest->p[0] != ':')
		return true;
	for (i = 1; i < rest->n && i <= 5 && rest->p[i] >= '0' && rest->p[i] <= '9'; i++)
		n = n * 10 + (unsigned)(rest->p[i] - '0');
	*port = (uint16_t)n;
	*rest = rest_of(*rest, i);
	return n > 0 && n <= UINT16_MAX;
}

/* sip:user@host:port;parameters. */
static bool
short_uri(struct sip_uri *u, struct span text)
{
	struct span rest;
	uint32_t scheme;
	size_t n;

	if (text.n < 5 || text.n > TEXT_MAX)
		return false;
	memcpy(&scheme, text.p, sizeof(scheme));
	if ((scheme | SIP_SMALL) != SIP_SCHEME)
		return false;
	rest = rest_of(text, 4);
	n = sip_chars_run(rest, SIP_CHAR_HOST);
	*u = (struct sip_uri){ .whole = text, .scheme = SIP_SCHEME_SIP };
	if (n < rest.n && rest.p[n] != ':' && rest.p[n] != ';') {
		if (rest.p[n] != '@') {
			n = sip_chars_run(rest, SIP_CHAR_USER);
			if (n == rest.n || rest.p[n] != '@' || !sip_escapes_ok(span_head(rest, n)))
				return false;
		}
		if (n == 0)
			return false;
		u->user = span_head(rest, n);
		rest = rest_of(rest, n + 1);
		n = sip_chars_run(rest, SIP_CHAR_HOST);
	}
	if (n == 0)
		return false;
	u->host = span_head(rest, n);
	rest = rest_of(rest, n);
	if (!short_port(&rest, &u->port))
		return false;
	if (rest.n == 0)
		return true;
	if (rest.p[0] != ';')
		return false;
	u->params = rest_of(rest, 1);
	return u->params.n > 0 && sip_chars_uri_params(u->params.p, u->params.n) == u->params.n && sip_escapes_ok(u->params);
}

int
sip_uri_parse_fully(struct sip_uri *u, struct span text)
{
	struct copy c;
	url_t url;

	if (!scan_uri(u, text) || text.n > TEXT_MAX)
		return SP_ESYNTAX;
	if (u->scheme != SIP_SCHEME_SIP && u->scheme != SIP_SCHEME_SIPS)
		return SP_OK;
	return copy_text(&c, text) && url_d(&url, c.p) == 0 && uri_agrees(u, &url) ? SP_OK : SP_ESYNTAX;
}

int
sip_uri_parse(struct sip_uri *u, struct span text)
{
	if (short_uri(u, text) || (scan_uri(u, text) && text.n <= TEXT_MAX && is_agreed(u)))
		return SP_OK;
	return sip_uri_parse_fully(u, text);
}

/* ---- parameters ---- */

/*
 * The next parameter of a ";"-list: *name, *value (raw, empty for a flag) and
 * *piece, which is both. 1: there is one, 0: the end, -1: not well-formed.
 */
static int
next_param(struct span *rest, struct span *name, struct span *value, struct span *piece)
{
	struct span s;
	size_t at, n;

	if (rest->p == NULL)
		return 0;
	s = skip_space(*rest);
	n = sip_chars_run(s, SIP_CHAR_TOKEN);
	if (n == 0)
		return -1;
	*name = span_of(s.p, n);
	*value = SPAN_NONE;
	*piece = *name;
	at = past_space(s, n);
	if (at < s.n && s.p[at] == '=') {
		at = past_space(s, at + 1);
		if (at < s.n && s.p[at] == '"')
			n = quoted_length(rest_of(s, at));
		else
			n = sip_chars_run(rest_of(s, at), SIP_CHAR_PARAM);
		if (n == 0)
			return -1;
		*value = span_of(s.p + at, n);
		piece->n = at + n;
		at = past_space(s, at + n);
	}
	if (at == s.n)
		*rest = SPAN_NONE;
	else if (s.p[at] == ';')
		*rest = rest_of(s, at + 1);
	else
		return -1;
	return 1;
}

/* That one alone, of plain letters: mostly so behind From and To, and in a Via. */
static inline bool
only_param(struct span params, struct span single, struct span *value)
{
	if (params.n <= single.n + 1 || params.p[single.n] != '=' || memcmp(params.p, single.p, single.n) != 0)
		return false;
	*value = rest_of(params, single.n + 1);
	return sip_chars_run(*value, SIP_CHAR_HOST) == value->n;
}

/*
 * The whole list, if no quotes and no white space are in it: true when it is well-formed, *value as from scan_params();
 * false: ask that.
 */
static bool
short_params(struct span params, struct span single, struct span *value)
{
	size_t from = 0, equals = params.n;	/* of this parameter; params.n: no '=' yet */
	bool seen = false;
	unsigned count = 0;

	*value = SPAN_NONE;
	for (size_t base = 0; base < params.n; base += 64) {
		size_t n = params.n - base < 64 ? params.n - base : 64;
		struct sip_marks m;

		if (!sip_chars_marks(&m, params.p + base, n))
			return false;
		if (base + n == params.n) {	/* the end is as good as another */
			if (n == 64)
				return false;
			m.semicolons |= UINT64_C(1) << n;
		}
		for (uint64_t left = m.semicolons | m.equals; left != 0; left &= left - 1) {
			uint64_t bit = left & -left;
			size_t at = base + (size_t)__builtin_ctzll(left);

			/* in front of '=' stands a name */
			if (equals == params.n && (m.colons & (bit - 1) & ~((UINT64_C(1) << (from > base ? from - base : 0)) - 1)) != 0)
				return false;
			if ((m.semicolons & bit) == 0) {
				if (equals != params.n || at == from)
					return false;
				equals = at;
				continue;
			}
			if (at == from || at == equals + 1 || ++count > PARAMS_MAX)
				return false;
			if ((equals != params.n ? equals : at) - from == single.n && span_ieq(span_of(params.p + from, single.n), single)) {
				if (seen)
					return false;
				seen = true;
				*value = equals != params.n ? span_of(params.p + equals + 1, at - equals - 1) : SPAN_NONE;
			}
			from = at + 1;
			equals = params.n;
		}
		/* and in what goes on in the next 64 */
		if (equals == params.n && from < base + n && (m.colons >> (from > base ? from - base : 0)) != 0)
			return false;
	}
	return params.n > 0;
}

/* Is the whole list well-formed? *tag gets the value of "tag"; twice is not well-formed. */
static bool
scan_params(struct span params, struct span single, struct span *value)
{
	struct span name, v, piece;
	bool seen = false;
	unsigned n = 0;
	int more;

	if (only_param(params, single, value))
		return true;
	if (short_params(params, single, value))
		return true;
	*value = SPAN_NONE;
	while ((more = next_param(&params, &name, &v, &piece)) > 0) {
		if (++n > PARAMS_MAX)
			return false;
		if (!span_ieq(name, single))
			continue;
		if (seen)
			return false;
		seen = true;
		*value = v;
	}
	return more == 0;
}

bool
sip_takes_more(struct span whole, struct span params)
{
	struct span name, value, piece;
	unsigned n = 4;

	/* so few characters hold fewer parameters */
	if (params.n < PARAMS_MAX)
		params = SPAN_NONE;
	while (n <= PARAMS_MAX && next_param(&params, &name, &value, &piece) > 0)
		n++;
	return n <= PARAMS_MAX && whole.n + 160 <= TEXT_MAX;
}

bool
sip_param_next(struct span *rest, struct span *name, struct span *value, struct span *piece)
{
	return next_param(rest, name, value, piece) > 0;
}

bool
sip_param(struct span params, const char *name, struct span *value)
{
	struct span n, v, piece;

	while (next_param(&params, &n, &v, &piece) > 0)
		if (span_iis(n, name)) {
			if (value != NULL)
				*value = v;
			return true;
		}
	if (value != NULL)
		*value = SPAN_NONE;
	return false;
}

struct span
sip_param_piece(struct span params, const char *name)
{
	struct span n, v, piece;

	for (struct span rest = params; next_param(&rest, &n, &v, &piece) > 0; )
		if (span_iis(n, name)) {
			/* Back to its ';', which stands before the list for the first. */
			const char *from = piece.p;

			do
				from--;
			while (*from != ';');
			return span_of(from, (size_t)(piece.p + piece.n - from));
		}
	return SPAN_NONE;
}

/* ---- addresses: From, To, Contact, Route … (RFC 3261 20.10) ---- */

/* Unquoted display name: tokens, white space, and 8-bit text of old clients. */
static bool
is_display(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_space(s.p[i]) && !sip_char_is(s.p[i], SIP_CHAR_TOKEN) && (unsigned char)s.p[i] < 0x80)
			return false;
	return true;
}

static bool
has_8bit(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return true;
	return false;
}

/* Splits a value; everything but the inside of the URI is checked. *bracketed: it stands between < and >. */
static bool
scan_addr(struct sip_addr *a, struct span s, bool *bracketed)
{
	size_t n;

	*a = (struct sip_addr){ .whole = s };
	*bracketed = false;
	if (s.n == 0)
		return false;
	if (s.p[0] == '"') {
		n = quoted_length(s);
		if (n == 0)
			return false;
		a->display = span_head(s, n);
		s = skip_space(rest_of(s, n));
		*bracketed = s.n > 0 && s.p[0] == '<';
	} else if (s.p[0] == '<') {
		*bracketed = true;
	} else if ((n = span_find(s, '<')) < s.n && n < span_find(s, ';')) {
		a->display = span_trim(span_head(s, n));
		if (!is_display(a->display))
			return false;
		s = rest_of(s, n);
		*bracketed = true;
	}
	if (*bracketed) {
		n = span_find(s, '>');
		if (n == s.n)
			return false;
		a->uri_text = span_of(s.p + 1, n - 1);
		s = skip_space(rest_of(s, n + 1));
	} else {
		/* What belongs to the URI and what to the header has one answer only with brackets (RFC 3261 20). */
		n = span_find(s, ';');
		a->uri_text = span_trim(span_head(s, n));
		if (span_find(a->uri_text, '?') < a->uri_text.n || span_find(a->uri_text, ',') < a->uri_text.n)
			return false;
		s = rest_of(s, n);
	}
	if (s.n == 0)
		return true;
	if (s.p[0] != ';')
		return false;
	a->params = rest_of(s, 1);
	return scan_params(a->params, SPAN_LIT("tag"), &a->tag);
}

/* Sofia's view of the whole value; s is changed. */
static bool
addr_agrees(const struct sip_addr *a, char *s)
{
	su_home_t home[SU_HOME_AUTO_SIZE(2048)];
	const char *display = NULL, *comment = NULL;
	const msg_param_t *params = NULL;
	struct span tag = SPAN_NONE;
	url_t url;
	bool ok;

	su_home_auto(home, sizeof(home));
	ok = sip_name_addr_d(home, &s, &display, &url, &params, &comment) >= 0 && *s == '\0';
	if (ok && (a->uri.scheme == SIP_SCHEME_SIP || a->uri.scheme == SIP_SCHEME_SIPS))
		ok = uri_agrees(&a->uri, &url);
	if (ok && params != NULL) {
		const char *theirs = msg_params_find(params, "tag=");

		tag = span_str(theirs);
	}
	ok = ok && span_eq(tag, a->tag);
	su_home_deinit(home);
	return ok;
}

/* Only what is quoted can be. */
static inline bool
is_folded(struct span value)
{
	return value.n > 0 && value.p[0] == '"' && span_find(value, '\r') != value.n;
}

/* "Bob" <sip:…>;parameters, with or without the name. */
static bool
short_addr(struct sip_addr *a, struct span s)
{
	size_t n;

	*a = (struct sip_addr){ .whole = s };
	if (s.n > TEXT_MAX || s.n < 7)
		return false;
	if (s.p[0] == '"') {
		n = quoted_length(s);
		a->display = span_head(s, n);
		s = skip_space(rest_of(s, n));
	}
	if (s.n == 0 || s.p[0] != '<' || (n = span_find(s, '>')) == s.n)
		return false;
	a->uri_text = span_of(s.p + 1, n - 1);
	if (!short_uri(&a->uri, a->uri_text))
		return false;
	s = skip_space(rest_of(s, n + 1));
	if (s.n == 0)
		return true;
	if (s.p[0] != ';')
		return false;
	a->params = rest_of(s, 1);
	return scan_params(a->params, SPAN_LIT("tag"), &a->tag) && !is_folded(a->tag);
}

/* All but Sofia's part. */
static bool
long_addr(struct sip_addr *a, struct span s, bool *bracketed)
{
	return scan_addr(a, s, bracketed) && s.n <= TEXT_MAX && scan_uri(&a->uri, a->uri_text);
}

int
sip_addr_parse_fully(struct sip_addr *a, struct span text)
{
	struct span s = span_trim(text);
	bool bracketed;
	struct copy c;

	if (!long_addr(a, s, &bracketed))
		return SP_ESYNTAX;
	/* "Alice" sip:alice@… is not in the grammar, yet old clients send it (MS 2): Sofia sees the URI alone. */
	if (!bracketed && a->display.n > 0)
		s = span_of(a->uri_text.p, (size_t)(s.p + s.n - a->uri_text.p));
	else if (has_8bit(a->display) && a->display.p[0] != '"')	/* nor is this */
		s = span_of(a->uri_text.p - 1, (size_t)(s.p + s.n - a->uri_text.p) + 1);
	if (!copy_text(&c, s))
		return SP_ESYNTAX;
	unfold(c.p, c.n);
	return addr_agrees(a, c.p) ? SP_OK : SP_ESYNTAX;
}

int
sip_addr_parse(struct sip_addr *a, struct span text)
{
	struct span s = span_trim(text);
	bool bracketed;

	if (short_addr(a, s))
		return SP_OK;
	if (!long_addr(a, s, &bracketed))
		return SP_ESYNTAX;
	/* A tag with a fold in it is two: Sofia sees a space there. */
	if (is_agreed(&a->uri) && (bracketed || a->display.n == 0) && !is_folded(a->tag))
		return SP_OK;
	return sip_addr_parse_fully(a, text);
}

/* ---- Via (RFC 3261 20.42) ---- */

/* One token of "SIP / 2.0 / TLS", and the slash behind it if it is not the last. */
static bool
scan_protocol_part(struct span *s, struct span *part, bool slash)
{
	size_t n = sip_chars_run(*s, SIP_CHAR_TOKEN);

	*part = span_head(*s, n);
	*s = rest_of(*s, n);
	if (n == 0)
		return false;
	if (!slash)
		return s->n > 0 && is_space(s->p[0]);
	*s = skip_space(*s);
	if (s->n == 0 || s->p[0] != '/')
		return false;
	*s = skip_space(rest_of(*s, 1));
	return true;
}

static bool
scan_via(struct sip_via *v, struct span text)
{
	struct span s = span_trim(text), name, version, hostport;
	size_t end;

	*v = (struct sip_via){ .whole = s };
	if (s.n > 12 && memcmp(s.p, "SIP/2.0/TLS ", 12) == 0) {	/* mostly so */
		v->transport = span_of(s.p + 8, 3);
		s = rest_of(s, 11);
	} else if (!scan_protocol_part(&s, &name, true) || !scan_protocol_part(&s, &version, true) ||
	    !scan_protocol_part(&s, &v->transport, false) || !span_iis(name, "SIP") || !span_is(version, "2.0"))
		return false;
	s = skip_space(s);
	end = span_find(s, ';');
	hostport = span_trim(span_head(s, end));
	if (end < s.n) {
		v->params = rest_of(s, end + 1);
		if (!scan_params(v->params, SPAN_LIT("branch"), &v->branch) || (v->branch.n > 0 && v->branch.p[0] == '"'))
			return false;
	}
	return scan_hostport(hostport, &v->host, &v->port);
}

/* SIP/2.0/TLS host:port;parameters. */
static bool
short_via(struct sip_via *v, struct span s)
{
	size_t n;

	if (s.n < 13 || s.n > TEXT_MAX || memcmp(s.p, "SIP/2.0/TLS ", 12) != 0)
		return false;
	*v = (struct sip_via){ .whole = s, .transport = span_of(s.p + 8, 3) };
	s = rest_of(s, 12);
	n = sip_chars_run(s, SIP_CHAR_HOST);
	v->host = span_head(s, n);
	s = rest_of(s, n);
	if (n == 0 || !short_port(&s, &v->port))
		return false;
	if (s.n == 0)
		return true;
	if (s.p[0] != ';')
		return false;
	v->params = rest_of(s, 1);
	return only_param(v->params, SPAN_LIT("branch"), &v->branch) || short_params(v->params, SPAN_LIT("branch"), &v->branch);
}

int
sip_via_parse_fully(struct sip_via *v, struct span text)
{
	su_home_t home[SU_HOME_AUTO_SIZE(2048)];
	sip_via_t theirs;
	uint64_t port = 0;
	struct copy c;
	bool ok;

	if (!scan_via(v, text) || !copy_text(&c, v->whole))
		return SP_ESYNTAX;
	unfold(c.p, c.n);
	sip_via_init(&theirs);
	su_home_auto(home, sizeof(home));
	ok = sip_via_d(home, (msg_header_t *)&theirs, c.p, (isize_t)c.n) >= 0 && theirs.v_next == NULL &&
	    theirs.v_comment == NULL && same_text(v->host, theirs.v_host) && same_text(v->branch, theirs.v_branch) &&
	    (theirs.v_port == NULL || span_uint(span_str(theirs.v_port), UINT16_MAX, &port)) && port == v->port;
	su_home_deinit(home);
	return ok ? SP_OK : SP_ESYNTAX;
}

int
sip_via_parse(struct sip_via *v, struct span text)
{
	/* what our scanner takes of a Via, Sofia takes as well */
	return short_via(v, span_trim(text)) || (scan_via(v, text) && v->whole.n <= TEXT_MAX) ? SP_OK : SP_ESYNTAX;
}

/* RFC 3261 20.16: a number below 2^31, white space, a method. */
int
sip_cseq_parse(struct span text, uint32_t *number, struct span *method)
{
	struct span s = span_trim(text);
	uint64_t v = 0;
	size_t n = 0;

	for (; n < s.n && s.p[n] >= '0' && s.p[n] <= '9' && v <= INT32_MAX; n++)
		v = v * 10 + (unsigned)(s.p[n] - '0');
	if (n == 0 || n > 20 || v > INT32_MAX || n == s.n || !is_space(s.p[n]))
		return SP_ESYNTAX;
	s = skip_space(rest_of(s, n));
	if (!sip_chars_all(s, SIP_CHAR_TOKEN))
		return SP_ESYNTAX;
	*number = (uint32_t)v;
	*method = s;
	return SP_OK;
}

/* ---- lists ---- */

bool
sip_list_next(struct span *rest, struct span *value)
{
	struct span s = *rest;
	size_t n = 0, comma;

	if (s.p == NULL) {
		*value = SPAN_NONE;
		return false;
	}
	comma = span_find(s, ',');
	if (comma == s.n) {	/* mostly so */
		*value = span_trim(s);
		*rest = SPAN_NONE;
		return true;
	}
	while ((n = sip_chars_find_list(s.p, n, s.n)) < s.n && s.p[n] != ',') {
		size_t skip = s.p[n] == '"' ? quoted_length(rest_of(s, n)) : span_find(rest_of(s, n), '>') + 1;

		n = skip != 0 && skip < s.n - n ? n + skip : s.n;
	}
	*value = span_trim(span_head(s, n));
	*rest = n < s.n ? rest_of(s, n + 1) : SPAN_NONE;
	return true;
}

/* ---- credentials and challenges (RFC 3261 20.7, 20.44) ---- */

/* 1: there is one, 0: the end, -1: not well-formed. Values are raw. */
static int
next_auth_param(struct span *rest, struct span *name, struct span *value)
{
	struct span s;
	size_t n;

	if (rest->p == NULL)
		return 0;
	s = skip_space(*rest);
	n = sip_chars_run(s, SIP_CHAR_TOKEN);
	*name = span_head(s, n);
	s = skip_space(rest_of(s, n));
	if (n == 0 || s.n == 0 || s.p[0] != '=')
		return -1;
	s = skip_space(rest_of(s, 1));
	if (s.n > 0 && s.p[0] == '"')
		n = quoted_length(s);
	else
		n = sip_chars_run(s, SIP_CHAR_VALUE);
	if (n == 0)
		return -1;
	*value = span_head(s, n);
	s = skip_space(rest_of(s, n));
	if (s.n == 0)
		*rest = SPAN_NONE;
	else if (s.p[0] == ',')
		*rest = rest_of(s, 1);
	else
		return -1;
	return 1;
}

int
sip_auth_parse(struct sip_auth *a, struct span text)
{
	struct span s = span_trim(text), seen[AUTH_PARAMS_MAX], name, value;
	size_t n = sip_chars_run(s, SIP_CHAR_TOKEN);
	unsigned count = 0;
	int more;

	*a = (struct sip_auth){ .scheme = span_head(s, n) };
	if (n == 0 || n == s.n || !is_space(s.p[n]))
		return SP_ESYNTAX;
	a->params = skip_space(rest_of(s, n));
	for (struct span rest = a->params; (more = next_auth_param(&rest, &name, &value)) > 0; count++) {
		if (count == AUTH_PARAMS_MAX)
			return SP_ESYNTAX;
		for (unsigned i = 0; i < count; i++)
			if (span_ieq(seen[i], name))
				return SP_ESYNTAX;
		seen[count] = name;
	}
	return more == 0 ? SP_OK : SP_ESYNTAX;
}

bool
sip_auth_param(const struct sip_auth *a, const char *name, struct span *value)
{
	struct span n, v;

	for (struct span rest = a->params; next_auth_param(&rest, &n, &v) > 0; )
		if (span_iis(n, name)) {
			*value = v.p[0] == '"' ? span_of(v.p + 1, v.n - 2) : v;
			return true;
		}
	*value = SPAN_NONE;
	return false;
}

/* ---- the rest ---- */

const char *
sip_phrase(unsigned status)
{
	const char *phrase = status >= 100 && status < 700 ? sip_status_phrase((int)status) : NULL;

	return phrase != NULL && *phrase != '\0' ? phrase : "Error";
}

/* The next character of a user part, unescaped. */
static unsigned char
next_char(struct span s, size_t *i)
{
	unsigned char c = (unsigned char)s.p[*i];
	unsigned v = 0;

	if (c != '%' || s.n - *i < 3) {
		*i += 1;
		return c;
	}
	for (size_t k = 1; k <= 2; k++) {
		unsigned char h = span_lower((unsigned char)s.p[*i + k]);

		v = v * 16 + (unsigned)(h <= '9' ? h - '0' : h - 'a' + 10);
	}
	*i += 3;
	return (unsigned char)v;
}

static bool
same_user(struct span a, struct span b)
{
	size_t i = 0, k = 0;

	while (i < a.n && k < b.n)
		if (next_char(a, &i) != next_char(b, &k))
			return false;
	return i == a.n && k == b.n;
}

bool
sip_uri_same_aor(const struct sip_uri *a, const struct sip_uri *b)
{
	return a->scheme == b->scheme && a->port == b->port && span_ieq(a->host, b->host) && same_user(a->user, b->user) &&
	    (a->scheme != SIP_SCHEME_OTHER || span_eq(a->whole, b->whole));
}
