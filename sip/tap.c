/*
 * sip/tap.c - see tap.h.
 */
#include "sip/tap.h"

#include <assert.h>

#include "sip/engine.h"

void
sip_relay_add_tap(struct sip_relay *r, struct sip_tap *tap)
{
	assert(r->ntaps < SIP_TAPS_MAX);
	r->tap[r->ntaps++] = tap;
}

void
tap_message(struct sip_link *l, bool in, const char *p, size_t n)
{
	struct sip_relay *r = l->relay;

	for (unsigned i = 0; i < r->ntaps; i++)
		if (atomic_load_explicit(&r->tap[i]->watchers, memory_order_relaxed) != 0)
			r->tap[i]->message(r->tap[i], l, in, span_of(p, n));
}

/* ---- lines ---- */

/* The next line off rest, without its end; false: the head is over. */
static bool
next_line(struct span *rest, struct span *line)
{
	size_t n = span_find(*rest, '\n');

	*line = span_head(*rest, n);
	*rest = span_tail(*rest, n + 1);
	if (line->n != 0 && line->p[line->n - 1] == '\r')
		line->n--;
	return line->n != 0;
}

static bool
is_folded(struct span line)
{
	return line.p[0] == ' ' || line.p[0] == '\t';
}

/* A header's name without white space around it; the whole line, if it has no colon. */
static struct span
name_of(struct span line, struct span *value)
{
	size_t colon = span_find(line, ':');

	*value = span_trim(span_tail(line, colon + 1));
	return span_trim(span_head(line, colon));
}

static bool
is_secret(struct span name)
{
	static const char *const names[] = { "authorization", "proxy-authorization", "www-authenticate",
	    "proxy-authenticate", "authentication-info", "proxy-authentication-info" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (span_iis(name, names[i]))
			return true;
	return false;
}

/* ---- masking ---- */

/* "sip:" or "sips:" ends before after: where its user part's password is. False: up to *end there is none. */
static bool
find_password(struct span after, size_t *begin, size_t *end)
{
	size_t colon = after.n;

	*end = after.n;
	for (size_t i = 0; i < after.n; i++) {
		char c = after.p[i];

		if (c == ':' && colon == after.n) {
			colon = i;
		} else if (c == '@') {
			*begin = colon + 1;
			*end = i;
			return colon < i;
		} else if (c == '>' || c == '<' || c == ' ' || c == '\t' || c == '"' || c == '\r' || c == '\n') {
			*end = i;
			return false;
		}
	}
	return false;
}

/* A line, without passwords of URIs. */
static void
mask_line(struct span line, struct strbuf *out)
{
	size_t begin, end, looked = 0;

	for (size_t i = 0; i < line.n; i++) {
		struct span rest = span_tail(line, i + 1);

		strbuf_putc(out, line.p[i]);
		/* what was looked through once for an "@" is not looked through again for each "sip:" in it */
		if (line.p[i] == ':' && i >= 3 && i >= looked && (span_iis(span_of(line.p + i - 3, 3), "sip") ||
		    span_iis(span_of(line.p + i - 3, 3), "ips"))) {
			if (find_password(rest, &begin, &end)) {
				strbuf_span(out, span_head(rest, begin));
				strbuf_puts(out, "***");
				i += end;
			} else {
				looked = i + 1 + end;
			}
		}
	}
}

struct span
sip_tap_mask_address(struct span text, char out[SIP_ADDRESS_SHOWN])
{
	size_t colon = span_find(text, ':');
	struct strbuf sb;

	/* nearly all have the scheme's colon alone */
	if (span_find(text, '@') == text.n || span_find(span_tail(text, colon + 1), ':') == span_tail(text, colon + 1).n)
		return text;
	strbuf_init(&sb, out, SIP_ADDRESS_SHOWN);
	mask_line(text, &sb);
	return strbuf_span_of(&sb);
}

void
sip_tap_mask(struct span message, struct strbuf *out)
{
	struct span rest = message, line, value;
	bool secret = false, first = true;
	size_t body;

	for (; next_line(&rest, &line); first = false) {
		if (!first && is_folded(line)) {
			if (!secret) {
				mask_line(line, out);
				strbuf_putc(out, '\n');
			}
			continue;
		}
		secret = !first && is_secret(name_of(line, &value));
		if (secret) {
			struct span scheme = span_head(value, span_find(value, ' '));

			strbuf_span(out, name_of(line, &value));
			strbuf_puts(out, ": ");
			/* a scheme is a word; what is none may be the secret itself */
			if (scheme.n < value.n && scheme.n <= 16 && span_find(scheme, '=') == scheme.n)
				strbuf_span(out, scheme);
			strbuf_puts(out, " ***");
		} else {
			mask_line(line, out);
		}
		strbuf_putc(out, '\n');
	}
	if ((body = rest.n) != 0)
		strbuf_printf(out, "[%zu bytes of body]\n", body);
}

/* ---- looking ---- */

void
sip_tap_look(struct span message, struct sip_tap_head *h)
{
	struct span rest = message, line, value, name;

	*h = (struct sip_tap_head){ .start = SPAN_NONE };
	if (!next_line(&rest, &h->start))
		return;
	while (next_line(&rest, &line)) {
		if (is_folded(line))
			continue;
		name = name_of(line, &value);
		if (span_iis(name, "from") || span_iis(name, "f"))
			h->from = value;
		else if (span_iis(name, "to") || span_iis(name, "t"))
			h->to = value;
		else if (span_iis(name, "call-id") || span_iis(name, "i"))
			h->call_id = value;
		else if (span_iis(name, "cseq"))
			h->cseq = value;
	}
}

static bool
ends_uri(char c)
{
	return c == '>' || c == ';' || c == ' ' || c == '?' || c == ',' || c == '"' || c == '\t';
}

/* User and host of the first sip: or sips: URI in a text; false: there is none. */
static bool
find_uri(struct span text, struct span *user, struct span *host)
{
	for (size_t i = 4; i <= text.n; i++) {
		struct span rest = span_tail(text, i), inside;
		size_t n = 0, at, colon;

		if (text.p[i - 1] != ':' || (!span_iis(span_of(text.p + i - 4, 4), "sip:") &&
		    !span_iis(span_of(text.p + i - 4, 4), "ips:")))
			continue;
		while (n < rest.n && !ends_uri(rest.p[n]))
			n++;
		inside = span_head(rest, n);
		at = span_find(inside, '@');
		*user = at < inside.n ? span_head(inside, at) : SPAN_NONE;
		*user = span_head(*user, span_find(*user, ':'));
		*host = at < inside.n ? span_tail(inside, at + 1) : inside;
		colon = span_find(*host, ':');
		*host = span_head(*host, colon);
		return true;
	}
	return false;
}

static bool
is_at_or_below(struct span host, struct span domain)
{
	return span_ieq(host, domain) || (host.n > domain.n && host.p[host.n - domain.n - 1] == '.' &&
	    span_ieq(span_tail(host, host.n - domain.n), domain));
}

static bool
fits(struct span text, struct span domain, struct span user)
{
	struct span who, host;

	if (!find_uri(text, &who, &host))
		return false;
	if (domain.n != 0 && !is_at_or_below(host, domain))
		return false;
	if (user.n != 0) {
		size_t at = span_find(user, '@');

		return span_ieq(who, span_head(user, at)) && (at == user.n || span_ieq(host, span_tail(user, at + 1)));
	}
	return true;
}

bool
sip_tap_is_about(const struct sip_tap_head *h, struct span domain, struct span user)
{
	return (domain.n == 0 && user.n == 0) || fits(h->from, domain, user) || fits(h->to, domain, user) ||
	    fits(h->start, domain, user);
}
