/*
 * sip/mime.c - see mime.h.
 */
#include "sip/mime.h"

#include <string.h>

/* Comments (RFC 822) are rare in these headers, and whoever sends one wants to be read differently: they end the value. */
static struct span
first_word(struct span s)
{
	size_t n = 0;

	s = span_trim(s);
	while (n < s.n && s.p[n] != ';' && s.p[n] != '(' && s.p[n] != ' ' && s.p[n] != '\t' && s.p[n] != '\r' && s.p[n] != '\n')
		n++;
	return span_head(s, n);
}

static struct span
behind(struct span s, char c)
{
	return span_tail(s, span_find(s, c) + 1);
}

/* To the next semicolon that is not in quotes. */
static size_t
piece_end(struct span s)
{
	bool quoted = false;

	for (size_t i = 0; i < s.n; i++) {
		if (quoted && s.p[i] == '\\')
			i++;
		else if (s.p[i] == '"')
			quoted = !quoted;
		else if (s.p[i] == ';' && !quoted)
			return i;
	}
	return s.n;
}

struct span
sip_mime_param(struct span params, const char *name)
{
	while (!span_is_empty(params)) {
		size_t n = piece_end(params);
		struct span piece = span_head(params, n), value;
		size_t eq = span_find(piece, '=');

		params = span_tail(params, n + 1);
		if (!span_iis(span_trim(span_head(piece, eq)), name))
			continue;
		value = span_trim(span_tail(piece, eq + 1));
		if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
			value = span_of(value.p + 1, value.n - 2);
		return value;
	}
	return SPAN_NONE;
}

bool
sip_mime_repeats(struct span params, const char *name)
{
	unsigned n = 0;

	while (!span_is_empty(params)) {
		size_t end = piece_end(params);
		struct span piece = span_head(params, end);

		n += span_iis(span_trim(span_head(piece, span_find(piece, '='))), name);
		params = span_tail(params, end + 1);
	}
	return n > 1;
}

static enum sip_text_transfer
transfer_of(struct span word)
{
	if (span_is_empty(word) || span_iis(word, "7bit") || span_iis(word, "8bit") || span_iis(word, "binary") ||
	    span_iis(word, "identity"))
		return SIP_TRANSFER_NONE;
	if (span_iis(word, "quoted-printable"))
		return SIP_TRANSFER_QP;
	return span_iis(word, "base64") ? SIP_TRANSFER_BASE64 : SIP_TRANSFER_UNKNOWN;
}

void
sip_part_header(struct sip_part *p, struct span name, struct span value)
{
	struct span file;

	if (span_iis(name, "Content-Type") || span_iis(name, "c")) {
		p->strange |= !span_is_empty(p->type);
		p->type = first_word(value);
		p->params = behind(value, ';');
		p->strange |= sip_mime_repeats(p->params, "charset") || sip_mime_repeats(p->params, "boundary");
		file = sip_mime_param(p->params, "name");
		if (span_is_empty(p->file_name))
			p->file_name = file;
	} else if (span_iis(name, "Content-Transfer-Encoding")) {
		p->strange |= p->transfer != SIP_TRANSFER_NONE;
		p->transfer = transfer_of(first_word(value));
	} else if (span_iis(name, "Content-Encoding") || span_iis(name, "e")) {
		p->encoded |= !span_is_empty(span_trim(value)) && !span_iis(span_trim(value), "identity");
	} else if (span_iis(name, "Content-Disposition")) {
		p->attached = span_iis(first_word(value), "attachment");
		file = sip_mime_param(behind(value, ';'), "filename*");
		if (span_is_empty(file))
			file = sip_mime_param(behind(value, ';'), "filename");
		if (!span_is_empty(file))
			p->file_name = file;
	}
}

/* A line with its end off, folded lines in it; what is left after it in *rest. */
static struct span
header_line(struct span *rest)
{
	size_t n = 0, end;

	for (;;) {
		n += span_find(span_tail(*rest, n), '\n') + 1;
		if (n >= rest->n || (rest->p[n] != ' ' && rest->p[n] != '\t'))
			break;
	}
	end = n < rest->n ? n : rest->n;
	struct span line = span_trim(span_head(*rest, end));

	*rest = span_tail(*rest, end);
	return line;
}

void
sip_part_parse(struct sip_part *p, struct span text)
{
	*p = (struct sip_part){ .attached = false };
	while (!span_is_empty(text)) {
		size_t first = text.p[0] == '\r' ? 1 : 0;
		struct span line;
		size_t colon;

		if (first < text.n && text.p[first] == '\n') {
			text = span_tail(text, first + 1);
			break;
		}
		line = header_line(&text);
		colon = span_find(line, ':');
		sip_part_header(p, span_trim(span_head(line, colon)), span_trim(span_tail(line, colon + 1)));
	}
	p->body = text;
}

bool
sip_part_is(const struct sip_part *p, const char *type)
{
	struct span want = span_str(type);

	if (want.p[want.n - 1] == '/')
		return span_istarts(p->type, want);
	return span_ieq(p->type, want);
}

/* What stands behind the boundary on its line, when s begins with "--" and it. */
enum tail { TAIL_NONE = 0, TAIL_OPEN, TAIL_CLOSING, TAIL_ODD };

static enum tail
boundary_at(struct span s, struct span boundary)
{
	struct span rest;

	if (s.n < boundary.n + 2 || s.p[0] != '-' || s.p[1] != '-' || memcmp(s.p + 2, boundary.p, boundary.n) != 0)
		return TAIL_NONE;
	rest = span_tail(s, boundary.n + 2);
	rest = span_head(rest, span_find(rest, '\n'));
	if (rest.n >= 2 && rest.p[0] == '-' && rest.p[1] == '-')
		return TAIL_CLOSING;
	return span_is_empty(span_trim(rest)) ? TAIL_OPEN : TAIL_ODD;
}

/* The first line at or after from, which is where a line begins, that is a boundary's; body.n: none is. */
static size_t
find_boundary(struct span body, struct span boundary, size_t from, enum tail *tail, bool *odd)
{
	while (from < body.n) {
		*tail = boundary_at(span_tail(body, from), boundary);
		if (*tail == TAIL_OPEN || *tail == TAIL_CLOSING)
			return from;
		*odd |= *tail == TAIL_ODD;
		from += span_find(span_tail(body, from), '\n') + 1;
	}
	return body.n;
}

bool
sip_multipart_next(struct span body, struct span boundary, size_t *at, struct span *part, bool *odd)
{
	enum tail tail;
	size_t begin = find_boundary(body, boundary, *at, &tail, odd), end;

	if (begin == body.n || tail == TAIL_CLOSING)
		return false;
	begin += span_find(span_tail(body, begin), '\n') + 1;
	if (begin > body.n)
		begin = body.n;
	*at = end = find_boundary(body, boundary, begin, &tail, odd);
	/* the line end in front of a boundary is the boundary's */
	if (end < body.n && end > begin && body.p[end - 1] == '\n')
		end--;
	if (end < body.n && end > begin && body.p[end - 1] == '\r')
		end--;
	*part = span_of(body.p + begin, end - begin);
	return true;
}

enum sip_text_charset
sip_mime_charset(const struct sip_part *p)
{
	static const char *const latin[] = { "iso-8859-", "windows-125", "cp125", "koi8-", "iso_8859-", "latin" };
	struct span s = span_trim(sip_mime_param(p->params, "charset"));

	if (span_is_empty(s) || span_iis(s, "utf-8") || span_iis(s, "utf8") || span_iis(s, "us-ascii") || span_iis(s, "ascii"))
		return SIP_CHARSET_UTF8;
	if (span_iis(s, "utf-16le"))
		return SIP_CHARSET_UTF16LE;
	if (span_iis(s, "utf-16be"))
		return SIP_CHARSET_UTF16BE;
	if (span_iis(s, "utf-16") || span_iis(s, "unicode") || span_iis(s, "ucs-2") || span_iis(s, "iso-10646-ucs-2"))
		return SIP_CHARSET_UTF16;
	for (size_t i = 0; i < sizeof(latin) / sizeof(latin[0]); i++)
		if (span_istarts(s, span_str(latin[i])))
			return SIP_CHARSET_LATIN;
	return SIP_CHARSET_UNKNOWN;
}
