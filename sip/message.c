#include "sip/message.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "sip/chars.h"
#include "sip/framer.h"

/* ---- the index ---- */

struct header_name {
	const char		*text;		/* lower case */
	enum sip_header_id	 id;
};

/* By length, so that one look finds the few that can be meant; the whole name is compared always. */
static const struct header_name names_1[] = {
	{ "v", SIP_H_VIA }, { "f", SIP_H_FROM }, { "t", SIP_H_TO }, { "i", SIP_H_CALL_ID }, { "m", SIP_H_CONTACT },
	{ "l", SIP_H_CONTENT_LENGTH }, { "c", SIP_H_CONTENT_TYPE }, { "e", SIP_H_CONTENT_ENCODING },
	{ "k", SIP_H_SUPPORTED }, { "o", SIP_H_EVENT }, { "s", SIP_H_SUBJECT }, { "r", SIP_H_REFER_TO },
	{ "b", SIP_H_REFERRED_BY }, { "x", SIP_H_SESSION_EXPIRES }, { NULL, SIP_H_OTHER }
};
static const struct header_name names_2[] = { { "to", SIP_H_TO }, { NULL, SIP_H_OTHER } };
static const struct header_name names_3[] = { { "via", SIP_H_VIA }, { NULL, SIP_H_OTHER } };
static const struct header_name names_4[] = {
	{ "from", SIP_H_FROM }, { "cseq", SIP_H_CSEQ }, { "path", SIP_H_PATH }, { "date", SIP_H_DATE },
	{ "join", SIP_H_JOIN }, { "rseq", SIP_H_RSEQ }, { "rack", SIP_H_RACK }, { NULL, SIP_H_OTHER }
};
static const struct header_name names_5[] = { { "route", SIP_H_ROUTE }, { "event", SIP_H_EVENT }, { NULL, SIP_H_OTHER } };
static const struct header_name names_6[] = { { "min-se", SIP_H_MIN_SE }, { NULL, SIP_H_OTHER } };
static const struct header_name names_7[] = {
	{ "call-id", SIP_H_CALL_ID }, { "contact", SIP_H_CONTACT }, { "expires", SIP_H_EXPIRES },
	{ "require", SIP_H_REQUIRE }, { "subject", SIP_H_SUBJECT }, { "privacy", SIP_H_PRIVACY },
	{ NULL, SIP_H_OTHER }
};
static const struct header_name names_8[] = {
	{ "refer-to", SIP_H_REFER_TO }, { "replaces", SIP_H_REPLACES }, { "reply-to", SIP_H_REPLY_TO },
	{ "sip-etag", SIP_H_SIP_ETAG }, { NULL, SIP_H_OTHER }
};
static const struct header_name names_9[] = {
	{ "supported", SIP_H_SUPPORTED }, { "diversion", SIP_H_DIVERSION }, { NULL, SIP_H_OTHER }
};
static const struct header_name names_11[] = {
	{ "referred-by", SIP_H_REFERRED_BY }, { "unsupported", SIP_H_UNSUPPORTED },
	{ "compression", SIP_H_COMPRESSION }, { "min-expires", SIP_H_MIN_EXPIRES }, { NULL, SIP_H_OTHER }
};
static const struct header_name names_12[] = {
	{ "max-forwards", SIP_H_MAX_FORWARDS }, { "record-route", SIP_H_RECORD_ROUTE },
	{ "content-type", SIP_H_CONTENT_TYPE }, { "ms-archiving", SIP_H_MS_ARCHIVING },
	{ "mime-version", SIP_H_MIME_VERSION }, { "sip-if-match", SIP_H_SIP_IF_MATCH }, { NULL, SIP_H_OTHER }
};
static const struct header_name names_13[] = {
	{ "authorization", SIP_H_AUTHORIZATION }, { "proxy-require", SIP_H_PROXY_REQUIRE },
	{ "service-route", SIP_H_SERVICE_ROUTE }, { "ms-keep-alive", SIP_H_MS_KEEP_ALIVE },
	{ "target-dialog", SIP_H_TARGET_DIALOG }, { "p-served-user", SIP_H_OF_TRUST_DOMAIN },
	{ "p-profile-key", SIP_H_OF_TRUST_DOMAIN }, { NULL, SIP_H_OTHER }
};
static const struct header_name names_14[] = {
	{ "content-length", SIP_H_CONTENT_LENGTH }, { "ms-diagnostics", SIP_H_MS_DIAGNOSTICS }, { NULL, SIP_H_OTHER }
};
static const struct header_name names_15[] = {
	{ "session-expires", SIP_H_SESSION_EXPIRES }, { "remote-party-id", SIP_H_OF_TRUST_DOMAIN },
	{ "p-user-database", SIP_H_OF_TRUST_DOMAIN }, { NULL, SIP_H_OTHER }
};
static const struct header_name names_16[] = {
	{ "www-authenticate", SIP_H_WWW_AUTHENTICATE }, { "content-encoding", SIP_H_CONTENT_ENCODING },
	{ "p-associated-uri", SIP_H_OF_TRUST_DOMAIN },
	{ NULL, SIP_H_OTHER }
};
static const struct header_name names_17[] = {
	{ "p-charging-vector", SIP_H_OF_TRUST_DOMAIN }, { "p-called-party-id", SIP_H_OF_TRUST_DOMAIN }, { NULL, SIP_H_OTHER }
};
static const struct header_name names_18[] = {
	{ "proxy-authenticate", SIP_H_PROXY_AUTHENTICATE }, { "ms-user-logon-data", SIP_H_MS_USER_LOGON_DATA },
	{ "subscription-state", SIP_H_SUBSCRIPTION_STATE }, { "p-asserted-service", SIP_H_OF_TRUST_DOMAIN },
	{ NULL, SIP_H_OTHER }
};
static const struct header_name names_19[] = {
	{ "proxy-authorization", SIP_H_PROXY_AUTHORIZATION }, { "authentication-info", SIP_H_AUTHENTICATION_INFO },
	{ "p-asserted-identity", SIP_H_P_ASSERTED_IDENTITY }, { "x-sallyport-refused", SIP_H_X_REFUSED },
	{ "content-disposition", SIP_H_CONTENT_DISPOSITION }, { NULL, SIP_H_OTHER }
};
static const struct header_name names_20[] = {
	{ "p-preferred-identity", SIP_H_P_PREFERRED_IDENTITY },
	{ "ms-split-domain-info", SIP_H_MS_SPLIT_DOMAIN_INFO }, { "p-visited-network-id", SIP_H_OF_TRUST_DOMAIN }, { NULL, SIP_H_OTHER }
};
static const struct header_name names_21[] = {
	{ "ms-diagnostics-public", SIP_H_MS_DIAGNOSTICS_PUBLIC }, { NULL, SIP_H_OTHER }
};
static const struct header_name names_25[] = {
	{ "proxy-authentication-info", SIP_H_PROXY_AUTHENTICATION_INFO }, { NULL, SIP_H_OTHER }
};
static const struct header_name names_27[] = { { "ms-edge-proxy-message-trust", SIP_H_MS_TRUST }, { NULL, SIP_H_OTHER } };
static const struct header_name names_29[] = {
	{ "p-charging-function-addresses", SIP_H_OF_TRUST_DOMAIN }, { NULL, SIP_H_OTHER }
};
static const struct header_name names_30[] = {
	{ "ms-asserted-verification-level", SIP_H_MS_VERIFICATION }, { NULL, SIP_H_OTHER }
};

#define NAME_MAX_LEN	30

static const struct header_name *const names[NAME_MAX_LEN + 1] = {
	[1] = names_1, [2] = names_2, [3] = names_3, [4] = names_4, [5] = names_5, [6] = names_6, [7] = names_7,
	[8] = names_8, [9] = names_9, [11] = names_11, [12] = names_12, [13] = names_13, [14] = names_14,
	[15] = names_15, [16] = names_16, [17] = names_17, [18] = names_18, [19] = names_19, [20] = names_20,
	[21] = names_21, [25] = names_25, [27] = names_27, [29] = names_29, [30] = names_30
};

/*
 * Is this word of a name that word of a known one, in any letter case? Letters
 * have bit 0x40 and differ from their capitals in half of it; the other
 * characters of known names, '-', have not and must be the same.
 */
#define WORD_EQ(type, letters) \
	type have, want; \
	memcpy(&have, name, sizeof(have)); \
	memcpy(&want, known, sizeof(want)); \
	return (have | (want & (letters)) >> 1) == want

static inline bool
eight_eq(const char *name, const char *known)
{
	WORD_EQ(uint64_t, UINT64_C(0x4040404040404040));
}

static inline bool
four_eq(const char *name, const char *known)
{
	WORD_EQ(uint32_t, UINT32_C(0x40404040));
}

/* n bytes of both, in words that overlap at the end. */
static bool
name_eq(const char *name, const char *known, size_t n)
{
	size_t i;

	if (n >= 8) {
		for (i = 0; i + 8 < n; i += 8)
			if (!eight_eq(name + i, known + i))
				return false;
		return eight_eq(name + n - 8, known + n - 8);
	}
	if (n >= 4)
		return four_eq(name, known) && four_eq(name + n - 4, known + n - 4);
	for (i = 0; i < n; i++)
		if (span_lower((unsigned char)name[i]) != (unsigned char)known[i])
			return false;
	return true;
}

enum sip_header_id
sip_header_id_of(struct span name)
{
	const struct header_name *e;
	unsigned char first;

	if (name.n > NAME_MAX_LEN || (e = names[name.n]) == NULL)
		return SIP_H_OTHER;
	first = span_lower((unsigned char)name.p[0]);
	for (; e->text != NULL; e++)
		if ((unsigned char)e->text[0] == first && name_eq(name.p, e->text, name.n))
			return e->id;
	return SIP_H_OTHER;
}

void
sip_message_reset(struct sip_message *m)
{
	/* Not a memset of the whole: the arrays are big and their counts say what holds. */
	m->bytes = NULL;
	m->n = m->head_n = 0;
	m->start_line = m->method = m->uri = m->version = m->phrase = m->body = SPAN_NONE;
	m->is_request = false;
	m->status = 0;
	m->nheaders = 0;
	m->present = m->several = 0;
	m->folds = 0;
	m->no_breaks = false;
	memset(m->first, 0xff, sizeof(m->first));
	m->parsed = false;
	m->method_id = POLICY_METHOD_OTHER;
	m->ruri = (struct sip_uri){ 0 };
	m->from = m->to = (struct sip_addr){ 0 };
	m->via = (struct sip_via){ 0 };
	m->nvias_below = 0;
	m->contact.whole = SPAN_NONE;
	m->call_id = m->cseq_method = SPAN_NONE;
	m->cseq = 0;
	m->max_forwards = -1;
	m->tx_key = 0;
	m->loop_hash = 0;
	sip_edit_clear(m);
}

int
sip_message_index(struct sip_message *m, const char *bytes, size_t n)
{
	static const struct sip_frame_limits any = { UINT32_MAX, UINT32_MAX, SIP_HEADERS_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX };
	struct sip_framer f;
	size_t used;

	sip_framer_init(&f);
	if (n > UINT32_MAX || sip_framer_next(&f, &any, bytes, n, &used, m) != SIP_FRAME_MESSAGE || used != n)
		return SP_ESYNTAX;
	return SP_OK;
}

int
sip_message_next_of_several(const struct sip_message *m, enum sip_header_id id, int after)
{
	for (unsigned i = (unsigned)after + 1; i < m->nheaders; i++)
		if (m->headers[i].id == id)
			return (int)i;
	return -1;
}

int
sip_message_find(const struct sip_message *m, const char *name, int after)
{
	struct span want = span_str(name);

	for (unsigned i = after < 0 ? 0 : (unsigned)after + 1; i < m->nheaders; i++)
		if (span_ieq(sip_header_name(m, (int)i), want))
			return (int)i;
	return -1;
}

/* ---- what routing needs ---- */

/* Why a piece with a URI in it did not parse: a bad escape has a name of its own. */
static enum sip_check
why_not(struct span text, enum sip_check else_why)
{
	return sip_escapes_ok(text) ? else_why : SIP_CHECK_ESCAPE;
}

static enum sip_check
parse_max_forwards(struct sip_message *m)
{
	int i = m->first[SIP_H_MAX_FORWARDS];
	uint64_t n;

	m->max_forwards = -1;
	if (i < 0)
		return SIP_CHECK_OK;
	if (!span_uint(sip_header_value(m, i), 255, &n))	/* RFC 3261 20.22 */
		return SIP_CHECK_MAX_FORWARDS;
	m->max_forwards = (int)n;
	return SIP_CHECK_OK;
}

/*
 * A CSeq whose number nobody can count with, but else sound: its sender can be told
 * so, for an answer only repeats it (RFC 4475 3.1.2.4). The check refuses it.
 */
static bool
parse_large_cseq(struct sip_message *m)
{
	struct span s = sip_message_value(m, SIP_H_CSEQ);
	size_t n = 0;

	while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9')
		n++;
	if (n == 0 || n == s.n || (s.p[n] != ' ' && s.p[n] != '\t'))
		return false;
	s = span_trim(span_tail(s, n));
	if (!sip_chars_all(s, SIP_CHAR_TOKEN))
		return false;
	m->cseq = SIP_CSEQ_BEYOND;
	m->cseq_method = s;
	return true;
}

enum sip_check
sip_message_parse(struct sip_message *m)
{
	struct span vias = sip_message_value(m, SIP_H_VIA), from = sip_message_value(m, SIP_H_FROM);
	struct span to = sip_message_value(m, SIP_H_TO), via;
	enum sip_check why;

	if (m->parsed)
		return SIP_CHECK_OK;
	if (m->first[SIP_H_VIA] < 0)
		return SIP_CHECK_NO_VIA;
	if (m->first[SIP_H_FROM] < 0)
		return SIP_CHECK_NO_FROM;
	if (m->first[SIP_H_TO] < 0)
		return SIP_CHECK_NO_TO;
	if (m->first[SIP_H_CALL_ID] < 0)
		return SIP_CHECK_NO_CALL_ID;
	if (m->first[SIP_H_CSEQ] < 0)
		return SIP_CHECK_NO_CSEQ;
	if (m->is_request && sip_uri_parse(&m->ruri, m->uri) != SP_OK)
		return why_not(m->uri, SIP_CHECK_REQUEST_URI);
	if (!sip_header_next(m, m->first[SIP_H_VIA], &vias, &via) || sip_via_parse(&m->via, via) != SP_OK)
		return SIP_CHECK_VIA;
	if (sip_addr_parse(&m->from, from) != SP_OK)
		return why_not(from, SIP_CHECK_FROM);
	if (sip_addr_parse(&m->to, to) != SP_OK)
		return why_not(to, SIP_CHECK_TO);
	m->call_id = sip_message_value(m, SIP_H_CALL_ID);
	if (span_is_empty(m->call_id))
		return SIP_CHECK_CALL_ID;
	if (sip_cseq_parse(sip_message_value(m, SIP_H_CSEQ), &m->cseq, &m->cseq_method) != SP_OK && !parse_large_cseq(m))
		return SIP_CHECK_CSEQ;
	why = m->cseq == SIP_CSEQ_BEYOND ? SIP_CHECK_OK : parse_max_forwards(m);
	if (why != SIP_CHECK_OK)
		return why;
	m->method_id = policy_method_of(m->is_request ? m->method : m->cseq_method);
	m->parsed = true;
	return SIP_CHECK_OK;
}

bool
sip_message_answerable(const struct sip_message *m)
{
	/* BENOTIFY takes no answer either (MS 2). */
	return m->is_request && !span_is(m->method, "ACK") && !span_is(m->method, "BENOTIFY") && m->first[SIP_H_VIA] >= 0 && m->first[SIP_H_FROM] >= 0 &&
	    m->first[SIP_H_TO] >= 0 && m->first[SIP_H_CALL_ID] >= 0 && m->first[SIP_H_CSEQ] >= 0;
}

/* ---- edits ---- */

void
sip_edit_clear(struct sip_message *m)
{
	m->nedits = 0;
	m->edit_failed = false;
	m->scratch_n = 0;
}

/* One edit whose text is the last text_n bytes of scratch. */
static void
add_edit(struct sip_message *m, size_t at, size_t drop, uint32_t text_n)
{
	if (m->nedits == SIP_EDITS_MAX || at > m->n || drop > m->n - at)
		m->edit_failed = true;
	if (m->edit_failed)
		return;
	m->edits[m->nedits++] = (struct sip_edit){
		.at = (uint32_t)at, .drop = (uint32_t)drop, .text = m->scratch_n - text_n, .text_n = text_n
	};
}

/* Text into scratch. False when it is full. */
static bool
keep(struct sip_message *m, struct span text)
{
	if (text.n > SIP_SCRATCH_MAX - m->scratch_n)
		m->edit_failed = true;
	if (m->edit_failed)
		return false;
	if (text.n > 0)
		memcpy(m->scratch + m->scratch_n, text.p, text.n);
	m->scratch_n += (uint32_t)text.n;
	return true;
}

static bool
vkeep(struct sip_message *m, uint32_t *n, const char *fmt, va_list ap)
{
	size_t room = SIP_SCRATCH_MAX - m->scratch_n;
	int len;

	*n = 0;
	if (m->edit_failed)
		return false;
	len = vsnprintf(m->scratch + m->scratch_n, room, fmt, ap);
	if (len < 0 || (size_t)len >= room) {	/* the NUL needs room too */
		m->edit_failed = true;
		return false;
	}
	m->scratch_n += (uint32_t)len;
	*n = (uint32_t)len;
	return true;
}

/* Where header i begins; behind the last one stands the blank line. */
static size_t
place(const struct sip_message *m, int i)
{
	return i >= 0 && (unsigned)i < m->nheaders ? m->headers[i].line : m->head_n - 2;
}

void
sip_edit_drop_header(struct sip_message *m, int i)
{
	if (i >= 0 && (unsigned)i < m->nheaders)
		add_edit(m, m->headers[i].line, m->headers[i].line_n, 0);
}

void
sip_edit_keep_header(struct sip_message *m, int i)
{
	unsigned kept = 0;

	if (i < 0 || (unsigned)i >= m->nheaders)
		return;
	for (unsigned k = 0; k < m->nedits; k++) {
		const struct sip_edit *e = &m->edits[k];

		if (e->text_n != 0 || e->at != m->headers[i].line || e->drop != m->headers[i].line_n)
			m->edits[kept++] = *e;
	}
	m->nedits = kept;
}

void
sip_edit_insert(struct sip_message *m, int before, const char *fmt, ...)
{
	uint32_t n;
	va_list ap;

	va_start(ap, fmt);
	if (vkeep(m, &n, fmt, ap))
		add_edit(m, place(m, before), 0, n);
	va_end(ap);
}

void
sip_edit_insert_span(struct sip_message *m, int before, struct span lines)
{
	if (keep(m, lines))
		add_edit(m, place(m, before), 0, (uint32_t)lines.n);
}

/* Offset of a piece of the message; past its end when it is none. */
static size_t
offset_of(const struct sip_message *m, struct span piece)
{
	uintptr_t p = (uintptr_t)piece.p, base = (uintptr_t)m->bytes;

	return p >= base && p - base <= m->n ? p - base : m->n + 1;
}

void
sip_edit_replace(struct sip_message *m, struct span piece, struct span text)
{
	if (keep(m, text))
		add_edit(m, offset_of(m, piece), piece.n, (uint32_t)text.n);
}

void
sip_edit_replacef(struct sip_message *m, struct span piece, const char *fmt, ...)
{
	uint32_t n;
	va_list ap;

	va_start(ap, fmt);
	if (vkeep(m, &n, fmt, ap))
		add_edit(m, offset_of(m, piece), piece.n, n);
	va_end(ap);
}

static bool
is_dropped(const struct sip_message *m, size_t at)
{
	for (unsigned i = 0; i < m->nedits; i++)
		if (m->edits[i].text_n == 0 && at >= m->edits[i].at && at - m->edits[i].at < m->edits[i].drop)
			return true;
	return false;
}

void
sip_edit_drop_first(struct sip_message *m, enum sip_header_id id)
{
	for (int i = m->first[id]; i >= 0; i = sip_message_next(m, id, i)) {
		struct span rest = sip_header_value(m, i), value;

		if (is_dropped(m, m->headers[i].line))
			continue;
		while (sip_header_next(m, i, &rest, &value)) {
			size_t at = offset_of(m, value);

			if (is_dropped(m, at))
				continue;	/* an earlier call took this one */
			struct span next;

			if (sip_header_next(m, i, &rest, &next))
				add_edit(m, at, offset_of(m, next) - at, 0);
			else
				sip_edit_drop_header(m, i);
			return;
		}
	}
}

unsigned
sip_message_headers(const struct sip_message *m)
{
	const char *p = m->scratch, *end = p + m->scratch_n;
	unsigned n = m->nheaders;

	for (; (p = memchr(p, '\n', (size_t)(end - p))) != NULL; p++)
		n++;
	return n;
}

size_t
sip_message_room(const struct sip_message *m)
{
	return m->n + m->scratch_n;
}

size_t
sip_message_render(struct sip_message *m, char *out)
{
	char *to = out;
	size_t done = 0;	/* of the original: copied or dropped */
	size_t shut = 0;	/* end of what edits further to the left took out */
	uint32_t at = 0;

	if (m->edit_failed)
		return 0;
	/* Insertion sort: few edits, mostly in order already, and those at one place stay in the order of the calls. */
	for (unsigned i = 1; i < m->nedits; i++) {
		struct sip_edit e = m->edits[i];
		unsigned j = i;

		for (; j > 0 && m->edits[j - 1].at > e.at; j--)
			m->edits[j] = m->edits[j - 1];
		m->edits[j] = e;
	}
	for (unsigned i = 0; i < m->nedits; i++) {
		const struct sip_edit *e = &m->edits[i];

		if (e->at != at) {
			at = e->at;
			shut = done;
		}
		if (at > done) {
			memcpy(to, m->bytes + done, at - done);
			to += at - done;
			done = at;
		}
		/* Text inside a piece that another edit takes out goes with that piece. */
		if (at >= shut) {
			memcpy(to, m->scratch + e->text, e->text_n);
			to += e->text_n;
		}
		if (at + (size_t)e->drop > done)
			done = at + (size_t)e->drop;
	}
	memcpy(to, m->bytes + done, m->n - done);
	to += m->n - done;
	return (size_t)(to - out);
}
