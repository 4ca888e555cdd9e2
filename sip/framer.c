#include "sip/framer.h"

#include <string.h>

#include "sip/chars.h"

#define NAME_MAX_LEN	255	/* of a header name */
#define METHOD_MAX_LEN	64

void
sip_framer_init(struct sip_framer *f)
{
	*f = (struct sip_framer){ 0 };
}

enum scan { SCAN_MORE, SCAN_END, SCAN_BAD };

/*
 * Walk on from *at to the end of the header part: the first CRLF CRLF. The walk
 * depends on the bytes alone and stops at the first that is wrong, so that
 * it comes to the same end however the stream was cut.
 */
static enum scan
scan_head(const char *p, size_t n, size_t *at, enum sip_check *why)
{
	size_t i = *at;

	for (;;) {
		i = sip_chars_find_control(p, i, n);
		*at = i;
		if (i == n)
			return SCAN_MORE;
		if (p[i] == '\n') {
			*why = SIP_CHECK_BARE_LF;
			return SCAN_BAD;
		}
		if (p[i] != '\r') {
			*why = SIP_CHECK_CONTROL;
			return SCAN_BAD;
		}
		if (i + 1 == n)
			return SCAN_MORE;
		if (p[i + 1] != '\n') {
			*why = SIP_CHECK_BARE_CR;
			return SCAN_BAD;
		}
		if (i >= 2 && p[i - 1] == '\n') {
			*at = i + 2;
			return SCAN_END;
		}
		i += 2;
	}
}

/* Length of the line at p[at..end) without its CRLF; to the end if it has none. CRs stand before LFs only. */
static size_t
line_length(const char *p, size_t at, size_t end)
{
	const char *cr = memchr(p + at, '\r', end - at);

	return cr != NULL ? (size_t)(cr - p) - at : end - at;
}

/* Lines one after the other: as sip_chars_lines() found them, or each looked for. */
struct reader {
	const struct sip_lines	*lines;		/* NULL: not known */
	unsigned		 next;
};

/* line_length() of the next line. *comma: there may be one in it. */
static size_t
read_line(struct reader *r, const char *p, size_t at, size_t end, bool *comma)
{
	if (r->lines == NULL) {
		*comma = true;
		return line_length(p, at, end);
	}
	*comma |= r->lines->comma[r->next];
	return r->lines->end[r->next++] - at;
}

static bool
is_visible_ascii(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= 0x20 || (unsigned char)s.p[i] >= 0x7f)
			return false;
	return s.n > 0;
}

static enum sip_check
version_check(struct span v)
{
	if (span_is(v, "SIP/2.0"))
		return SIP_CHECK_OK;
	return span_istarts(v, SPAN_LIT("SIP/")) ? SIP_CHECK_VERSION : SIP_CHECK_START_LINE;
}

/* SIP/2.0 200 OK (RFC 3261 7.2) */
static enum sip_check
index_status_line(struct sip_message *m, struct span line)
{
	size_t space = span_find(line, ' ');
	struct span rest = span_tail(line, space + 1);
	uint64_t status;

	m->is_request = false;
	m->version = span_head(line, space);
	if (version_check(m->version) != SIP_CHECK_OK)
		return SIP_CHECK_VERSION;
	if (rest.n < 4 || rest.p[3] != ' ')
		return SIP_CHECK_START_LINE;
	if (!span_uint(span_head(rest, 3), 699, &status) || status < 100)
		return SIP_CHECK_STATUS;
	m->status = (unsigned)status;
	m->phrase = span_tail(rest, 4);
	return SIP_CHECK_OK;
}

/*
 * INVITE sip:bob@example.com SIP/2.0 (RFC 3261 7.1). When the ends are sound
 * and the middle is not, the message still counts as a request, so that it can be answered.
 */
static enum sip_check
index_request_line(struct sip_message *m, struct span line)
{
	size_t space = span_find(line, ' ');
	struct span method = span_head(line, space), rest = span_tail(line, space + 1);
	size_t last = rest.n;
	enum sip_check why;

	if (!sip_chars_all(method, SIP_CHAR_TOKEN) || method.n > METHOD_MAX_LEN)
		return SIP_CHECK_START_LINE;
	while (last > 0 && rest.p[last - 1] != ' ')
		last--;
	if (last == 0)
		return SIP_CHECK_START_LINE;
	m->version = span_tail(rest, last);
	why = version_check(m->version);
	if (why == SIP_CHECK_START_LINE)
		return why;
	m->is_request = true;
	m->method = method;
	m->uri = span_head(rest, last - 1);
	if (!is_visible_ascii(m->uri)) {
		m->uri = SPAN_NONE;
		return SIP_CHECK_START_LINE;
	}
	return why;
}

/* How long a header of that name may be: only what signs somebody in is longer than others. */
static uint32_t
header_max(const struct sip_message *m, const struct sip_frame_limits *lim, struct span name)
{
	enum sip_header_id id = sip_header_id_of(name);

	if (lim->credentials > lim->header && (id == SIP_H_AUTHORIZATION || id == SIP_H_PROXY_AUTHORIZATION) &&
	    m->is_request && span_is(m->method, "REGISTER"))
		return lim->credentials;
	return lim->header;
}

/*
 * One header from *at, whose first line is n bytes long; folded lines are taken in, and *at is moved behind. comma: there
 * may be one in the first line.
 */
__attribute__((always_inline)) static inline enum sip_check
index_header(struct sip_message *m, const struct sip_frame_limits *lim, struct reader *r, size_t *where, size_t n, size_t end,
    bool comma)
{
	const char *p = m->bytes;
	struct sip_header *h = &m->headers[m->nheaders];
	size_t at = *where, name, stop = at + n, value;
	bool folded = false;

	name = sip_chars_run(span_of(p + at, n), SIP_CHAR_TOKEN);
	value = at + name;
	while (value < stop && (p[value] == ' ' || p[value] == '\t'))
		value++;
	if (name == 0 || name > NAME_MAX_LEN || value == stop || p[value] != ':')
		return SIP_CHECK_HEADER_NAME;
	value++;

	/* RFC 3261 7.3.1: a line that begins with white space goes on with the header above. */
	while (stop + 2 < end && (p[stop + 2] == ' ' || p[stop + 2] == '\t')) {
		size_t from = stop + 2;

		folded = true;
		/* each costs what a header does */
		if (++m->folds > SIP_FOLDS_MAX)
			return SIP_CHECK_TOO_MANY_HEADERS;
		stop = from + read_line(r, p, from, end, &comma);
		/* To a careless reader a line of white space ends the headers. */
		if (span_is_empty(span_trim(span_of(p + from, stop - from))))
			return SIP_CHECK_BLANK_FOLD;
	}
	if (stop + 2 - at > lim->header && stop + 2 - at > header_max(m, lim, span_of(p + at, name)))
		return SIP_CHECK_HEADER_TOO_LONG;
	if (stop == end) {	/* a folded line is cut off, and the header with it */
		*where = end;
		return SIP_CHECK_OK;
	}
	if (m->nheaders == lim->headers || m->nheaders == SIP_HEADERS_MAX)
		return SIP_CHECK_TOO_MANY_HEADERS;

	struct span v = span_of(p + value, stop - value);

	if (v.n > 1 && v.p[0] == ' ' && v.p[1] > ' ' && v.p[v.n - 1] > ' ')	/* mostly so */
		v = span_tail(v, 1);
	else
		v = span_trim(v);

	h->line = (uint32_t)at;
	h->line_n = (uint32_t)(stop + 2 - at);
	h->value = (uint32_t)(v.n != 0 ? (size_t)(v.p - p) : value);
	h->value_n = (uint32_t)v.n;
	h->name_n = (uint16_t)name;
	h->folded = folded;
	h->comma = comma;
	h->id = (uint8_t)sip_header_id_of(span_of(p + at, name));
	/* The dearest of all to read, since most depends on them; nobody's name and address are so long. */
	if ((h->id == SIP_H_FROM || h->id == SIP_H_TO) && v.n > SIP_ADDRESS_MAX + (size_t)lim->tag)
		return SIP_CHECK_HEADER_TOO_LONG;
	if ((m->present >> h->id & 1) == 0)
		m->first[h->id] = (int16_t)m->nheaders;
	else
		m->several |= UINT64_C(1) << h->id;
	m->present |= UINT64_C(1) << h->id;
	m->nheaders++;
	*where = stop + 2;
	return SIP_CHECK_OK;
}

/* A line that is cut off already is. */
static bool
is_too_long(const struct sip_message *m, const struct sip_frame_limits *lim, struct span line)
{
	return line.n > header_max(m, lim, span_head(line, sip_chars_run(line, SIP_CHAR_TOKEN)));
}

/*
 * Index p[0..end): whole lines, of which the last may be cut off, then it is not
 * looked at. What is wrong in the start line is remembered and the headers are indexed all the
 * same, for an answer needs them; a header that is wrong ends the index.
 */
static enum sip_check
index_head(struct sip_message *m, const struct sip_frame_limits *lim, const char *p, size_t end,
    const struct sip_lines *lines)
{
	struct reader r = { lines, 0 };
	bool comma = false;
	size_t n = read_line(&r, p, 0, end, &comma), at;
	enum sip_check start;

	sip_message_reset(m);
	m->bytes = p;
	m->no_breaks = lines != NULL && !lines->breaks;
	if (n > lim->start_line)
		start = SIP_CHECK_START_LINE_TOO_LONG;
	else if (n == end)
		return SIP_CHECK_OK;
	else {
		m->start_line = span_of(p, n);
		if (span_istarts(m->start_line, SPAN_LIT("SIP/")))
			start = index_status_line(m, m->start_line);
		else
			start = index_request_line(m, m->start_line);
	}
	for (at = n + 2; at < end && p[at] != '\r'; ) {
		enum sip_check why;

		comma = false;
		n = read_line(&r, p, at, end, &comma);
		if (at + n == end)	/* cut off */
			return start != SIP_CHECK_OK ? start : is_too_long(m, lim, span_of(p + at, n)) ?
			    SIP_CHECK_HEADER_TOO_LONG : SIP_CHECK_OK;
		why = index_header(m, lim, &r, &at, n, end, comma);
		if (why != SIP_CHECK_OK)
			return start != SIP_CHECK_OK ? start : why;
	}
	return start;
}

/*
 * RFC 3261 20.14. Digits only, nothing that strtol() would read in another
 * base, nothing that overflows anywhere, and one of it.
 */
static enum sip_check
content_length(const struct sip_message *m, uint64_t *length)
{
	int i = m->first[SIP_H_CONTENT_LENGTH];
	struct span v = sip_header_value(m, i);

	if (i < 0)
		return SIP_CHECK_NO_CONTENT_LENGTH;
	if (sip_message_next(m, SIP_H_CONTENT_LENGTH, i) >= 0)
		return SIP_CHECK_CONTENT_LENGTH_TWICE;
	if (v.n > 10 || (v.n > 1 && v.p[0] == '0') || !span_uint(v, UINT32_MAX, length))
		return SIP_CHECK_CONTENT_LENGTH;
	/* Folded: a reader that knows no folding sees another number, or none. */
	if (m->headers[i].folded)
		return SIP_CHECK_CONTENT_LENGTH;
	return SIP_CHECK_OK;
}

static enum sip_frame
bad(struct sip_framer *f, enum sip_check why)
{
	f->error = why;
	return SIP_FRAME_BAD;
}

/* CRLFs between messages (RFC 5626 4.4.1). */
static enum sip_frame
blank_lines(struct sip_framer *f, const char *p, size_t n, size_t *used)
{
	bool second = f->blank;

	if (n < 2)
		return SIP_FRAME_MORE;
	*used = 2;
	if (!second && n >= 4 && p[2] == '\r' && p[3] == '\n') {
		*used = 4;
		second = true;
	}
	f->ping = second;
	f->blank = !second;
	return SIP_FRAME_PING;
}

/* Which headers an answer copies (RFC 3261 8.2.6.2). */
static bool
is_copied(struct span name)
{
	enum sip_header_id id = sip_header_id_of(name);

	return id == SIP_H_VIA || id == SIP_H_FROM || id == SIP_H_TO || id == SIP_H_CALL_ID || id == SIP_H_CSEQ;
}

/*
 * Of a bad header part p[0..end): the sound headers that an answer copies. A
 * line ends at CRLF only; one that holds anything odd is passed over whole, with what is folded
 * to it.
 */
static void
salvage(struct sip_message *m, const struct sip_frame_limits *lim, const char *p, size_t end)
{
	size_t at = m->start_line.n + 2, next;

	m->nheaders = 0;
	m->folds = 0;
	m->present = m->several = 0;
	memset(m->first, 0xff, sizeof(m->first));
	for (; at < end; at = next) {
		const char *crlf = memmem(p + at, end - at, "\r\n", 2);
		size_t n = crlf != NULL ? (size_t)(crlf - p) - at : 0, stop = at + n;

		if (n == 0)
			break;
		while (stop + 2 < end && (p[stop + 2] == ' ' || p[stop + 2] == '\t') &&
		    (crlf = memmem(p + stop + 2, end - stop - 2, "\r\n", 2)) != NULL)
			stop = (size_t)(crlf - p);
		next = stop + 2;
		for (size_t i = at; i < stop && n != 0; i++) {
			unsigned char c = (unsigned char)p[i];

			if ((c < 0x20 && c != '\t' && !(c == '\r' && p[i + 1] == '\n') &&
			    !(c == '\n' && p[i - 1] == '\r')) || c == 0x7f)
				n = 0;
		}
		if (n != 0 && is_copied(span_of(p + at, sip_chars_run(span_of(p + at, n), SIP_CHAR_TOKEN))) &&
		    index_header(m, lim, &(struct reader){ 0 }, &at, n, end, true) == SIP_CHECK_OK)
			next = at;
	}
}

/* Bad for that reason; how much of it is there decides whether more is waited for. */
static enum sip_frame
bad_head(struct sip_framer *f, const struct sip_frame_limits *lim, const char *p, size_t n, struct sip_message *msg)
{
	size_t from = f->scanned > 3 ? f->scanned - 3 : 0, reach = n < lim->head ? n : lim->head;
	const char *blank = memmem(p + from, reach - from, "\r\n\r\n", 4);

	if (blank == NULL && reach < lim->head) {
		f->scanned = reach;
		return SIP_FRAME_MORE;
	}
	if (blank != NULL)
		reach = (size_t)(blank + 4 - p);
	(void)index_head(msg, lim, p, span_find(span_of(p, reach), '\r') + 2, NULL);
	msg->head_n = reach;
	salvage(msg, lim, p, reach);
	return SIP_FRAME_BAD;
}

enum sip_frame
sip_framer_next(struct sip_framer *f, const struct sip_frame_limits *lim, const char *p, size_t n, size_t *used,
    struct sip_message *msg)
{
	enum sip_check why;
	bool indexed = false;

	*used = 0;
	if (f->head_n == 0) {
		size_t reach = n < lim->head ? n : lim->head;
		const struct sip_lines *lines = NULL;
		struct sip_lines found;
		enum scan scan;

		if (n == 0)
			return SIP_FRAME_MORE;
		if (f->salvage)
			return bad_head(f, lim, p, n, msg);
		if (p[0] == '\r' && (n < 2 || p[1] == '\n'))
			return blank_lines(f, p, n, used);
		/* mostly all of it is there at once */
		if (f->scanned == 0 && sip_chars_lines(p, reach, &found)) {
			lines = &found;
			f->scanned = found.head_n;
			scan = SCAN_END;
		} else
			scan = scan_head(p, reach, &f->scanned, &why);
		if (scan == SCAN_MORE && reach < lim->head)
			return SIP_FRAME_MORE;
		if (scan != SCAN_END) {
			enum sip_check before = index_head(msg, lim, p, f->scanned, NULL);

			msg->head_n = f->scanned;
			if (scan == SCAN_MORE)
				why = SIP_CHECK_HEAD_TOO_LONG;
			(void)bad(f, before != SIP_CHECK_OK ? before : why);
			f->salvage = msg->is_request && !span_is_empty(msg->uri);
			return f->salvage ? bad_head(f, lim, p, n, msg) : SIP_FRAME_BAD;
		}

		uint64_t length = 0;

		why = index_head(msg, lim, p, f->scanned, lines);
		msg->head_n = f->scanned;
		if (why == SIP_CHECK_OK)
			why = content_length(msg, &length);
		if (why == SIP_CHECK_OK && length + f->scanned > lim->message)
			why = SIP_CHECK_MESSAGE_TOO_LONG;
		if (why != SIP_CHECK_OK) {
			if (msg->is_request && msg->start_line.n != 0)
				salvage(msg, lim, p, msg->head_n);
			return bad(f, why);
		}
		f->head_n = f->scanned;
		f->total = f->scanned + (size_t)length;
		indexed = true;
	}
	if (n < f->total)
		return SIP_FRAME_MORE;
	if (!indexed) {
		/* The head came earlier than the body; the caller's message may have been used for another since. */
		why = index_head(msg, lim, p, f->head_n, NULL);
		if (why != SIP_CHECK_OK)
			return bad(f, why);
		msg->head_n = f->head_n;
	}
	msg->n = f->total;
	msg->body = span_of(p + f->head_n, f->total - f->head_n);
	*used = f->total;
	sip_framer_init(f);
	return SIP_FRAME_MESSAGE;
}

/* ---- between servers ---- */

struct sip_frame_limits
sip_frame_limits_of_servers(struct sip_frame_limits l)
{
	l.start_line += 1024;
	l.header += 1024;
	l.headers += SIP_HEADERS_ADDED - SIP_HEADERS_OURS;
	l.head += 8192;
	l.message += 8192;
	l.tag += l.tag <= UINT32_MAX - 512 ? 512 : 0;
	return l;
}

enum sip_check
sip_frame_fits(const struct sip_frame_limits *l, const char *p, size_t n, unsigned headers, struct sip_message *scratch)
{
	struct sip_framer f;
	size_t used;

	if (n <= l->start_line && n <= l->header && n <= l->head && n <= l->message && headers <= l->headers)
		return SIP_CHECK_OK;
	sip_framer_init(&f);
	switch (sip_framer_next(&f, l, p, n, &used, scratch)) {
	case SIP_FRAME_MESSAGE:
		return used == n ? SIP_CHECK_OK : SIP_CHECK_CONTENT_LENGTH;
	case SIP_FRAME_BAD:
		return f.error;
	default:
		return SIP_CHECK_CONTENT_LENGTH;
	}
}
