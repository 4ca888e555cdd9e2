/*
 * director/routes.c - static routes: which pattern fits a Request-URI. Pure.
 */
#include "director/routes.h"

static void
put_lower(struct strbuf *out, struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		strbuf_putc(out, (char)span_lower((unsigned char)s.p[i]));
}

/* The digits of a number, without RFC 3966's visual separators. */
static void
put_number(struct strbuf *out, struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != '-' && s.p[i] != '.' && s.p[i] != '(' && s.p[i] != ')')
			strbuf_putc(out, (char)span_lower((unsigned char)s.p[i]));
}

bool
route_pattern(struct strbuf *out, struct span w)
{
	bool tel = span_istarts(w, SPAN_LIT("tel:"));
	size_t scheme_n;

	for (size_t i = 0; i < w.n; i++)
		if ((unsigned char)w.p[i] <= ' ' || (unsigned char)w.p[i] >= 0x7f)
			return false;
	if (tel || span_istarts(w, SPAN_LIT("sip:")))
		w = span_tail(w, 4);
	else if (span_istarts(w, SPAN_LIT("sips:")))
		w = span_tail(w, 5);
	if (span_is_empty(w) || span_find(w, ':') < w.n)
		return false;
	strbuf_puts(out, tel ? "tel:" : span_find(w, '@') < w.n ? "sip:" : "sip:*@");
	scheme_n = out->len;
	(tel ? put_number : put_lower)(out, w);
	/* of a number, nothing may be left */
	return strbuf_ok(out) && out->len > scheme_n;
}

bool
route_text(struct strbuf *out, const struct sip_uri *u, struct span aor)
{
	size_t at = span_find(aor, '@'), scheme_n;
	struct span number;

	if (u->scheme == SIP_SCHEME_TEL) {
		number = span_tail(u->whole, 4);
		number = span_head(number, span_find(number, ';'));
		strbuf_puts(out, "tel:");
		scheme_n = out->len;
		put_number(out, number);
		return strbuf_ok(out) && out->len > scheme_n;
	}
	if ((u->scheme != SIP_SCHEME_SIP && u->scheme != SIP_SCHEME_SIPS) || at == aor.n)
		return false;
	strbuf_puts(out, "sip:");
	put_lower(out, span_head(aor, span_find(span_head(aor, at), ';')));
	put_lower(out, span_tail(aor, at));
	return strbuf_ok(out);
}

/* One star is remembered, the last: going back to an earlier one cannot find more. */
bool
route_fits(struct span pattern, struct span text)
{
	size_t p = 0, t = 0, star = pattern.n, from = 0;

	while (t < text.n) {
		if (p < pattern.n && pattern.p[p] == '*') {
			star = p++;
			from = t;
		} else if (p < pattern.n && pattern.p[p] == text.p[t]) {
			p++;
			t++;
		} else if (star < pattern.n) {
			p = star + 1;
			t = ++from;
		} else
			return false;
	}
	while (p < pattern.n && pattern.p[p] == '*')
		p++;
	return p == pattern.n;
}

size_t
route_weight(struct span pattern)
{
	size_t n = 0;

	for (size_t i = 0; i < pattern.n; i++)
		n += pattern.p[i] != '*';
	return n;
}
