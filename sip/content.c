/*
 * sip/content.c - see content.h.
 */
#include "sip/content.h"

#include <string.h>

#include "common/err.h"
#include "policy/domain.h"
#include "policy/rules.h"
#include "sip/files.h"
#include "sip/mime.h"
#include "sip/textview.h"

/* What marks and routing need of a message's edits: content leaves it to them. */
#define EDITS_LEFT	160
#define SCRATCH_LEFT	5000

struct filter {
	struct sip_message		*m;
	const struct policy_content	*rule;
	const struct policy_rules	*rules;
	struct sip_content_found	*found;
	enum policy_reason		 verdict;	/* ALLOWED until something is refused */
	unsigned			 parts;
	size_t				 grown;		/* bytes that the body got */
};

static void
refuse(struct filter *f, enum policy_reason why)
{
	if (f->verdict == POLICY_REASON_ALLOWED)
		f->verdict = why;
}

/* It cannot be looked into, or not be changed where it has to be. */
static void
sealed(struct filter *f)
{
	if (!f->rule->pass_sealed)
		refuse(f, POLICY_REASON_CONTENT_SEALED);
}

/* The domain itself, or one below it: whoever has the domain has that too. */
static bool
is_own_host(const void *arg, struct span host)
{
	char buf[DOMAIN_MAX];
	struct span name;
	bool is_ip;

	if (policy_domain_canon(host, buf, &name, &is_ip) != SP_OK || is_ip)
		return false;
	for (;;) {
		size_t dot = span_find(name, '.');

		if (policy_is_internal_domain(arg, name.p, name.n))
			return true;
		if (dot == name.n)
			return false;
		name = span_tail(name, dot + 1);
	}
}

/* ---- making links inert ---- */

/* Next character of UTF-8 that is ours and well formed. */
static uint32_t
next_char(struct span *s)
{
	unsigned char c = (unsigned char)s->p[0];
	size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	uint32_t v = n == 1 ? c : c & (0x7fu >> n);

	if (n > s->n)
		n = s->n;
	for (size_t i = 1; i < n; i++)
		v = v << 6 | ((unsigned char)s->p[i] & 0x3f);
	*s = span_tail(*s, n);
	return v;
}

static void
put_escaped(struct strbuf *sb, enum sip_text_format format, uint32_t c)
{
	if (format == SIP_TEXT_HTML && (c >= 0x80 || c == '<' || c == '>' || c == '&' || c == '"'))
		strbuf_printf(sb, "&#%u;", (unsigned)c);
	else if (format == SIP_TEXT_RTF && c >= 0x80)
		strbuf_printf(sb, "\\u%d?", (int)(c < 0x8000 ? (int32_t)c : c < 0x10000 ? (int32_t)c - 0x10000 : '?'));
	else if (format == SIP_TEXT_RTF && (c == '\\' || c == '{' || c == '}'))
		strbuf_printf(sb, "\\%c", (int)c);
	else
		strbuf_putc(sb, (char)c);
}

static bool
is_utf16(const struct sip_text *t)
{
	return t->charset == SIP_CHARSET_UTF16 || t->charset == SIP_CHARSET_UTF16LE || t->charset == SIP_CHARSET_UTF16BE;
}

/* One byte of what the text decodes to. */
static void
put_byte(struct strbuf *sb, const struct sip_text *t, unsigned char b)
{
	if (t->transfer == SIP_TRANSFER_QP && (b >= 0x80 || b == '=' || b < ' '))
		strbuf_printf(sb, "=%02X", b);
	else
		strbuf_putc(sb, (char)b);
}

static void
put_utf16(struct strbuf *sb, const struct sip_text *t, uint32_t c)
{
	if (c > 0xffff)
		c = '?';
	put_byte(sb, t, (unsigned char)(t->big ? c >> 8 : c & 0xff));
	put_byte(sb, t, (unsigned char)(t->big ? c & 0xff : c >> 8));
}

/* Ours, as it has to stand in that text. */
static void
put_text(struct strbuf *sb, const struct sip_text *t, struct span text)
{
	char storage[16];

	while (!span_is_empty(text)) {
		struct span before = text;
		uint32_t c = next_char(&text);
		struct strbuf one;

		strbuf_init(&one, storage, sizeof(storage));
		if (t->format != SIP_TEXT_PLAIN)
			put_escaped(&one, t->format, c);
		else if (is_utf16(t))
			put_utf16(sb, t, c);
		else if (c < 0x80 || t->charset == SIP_CHARSET_UTF8)
			strbuf_add(&one, before.p, before.n - text.n);
		else
			strbuf_putc(&one, '?');
		for (size_t i = 0; i < one.len; i++) {
			if (is_utf16(t))
				put_utf16(sb, t, (unsigned char)storage[i]);
			else
				put_byte(sb, t, (unsigned char)storage[i]);
		}
	}
}

/* What stands before a text with links in it. */
static void
make_warning(struct strbuf *sb, const struct sip_text *t, struct span warning)
{
	if (span_is_empty(warning) || !t->has_start)
		return;
	if (t->format == SIP_TEXT_RTF) {
		/* groups of its own end whatever escape stands in front of it */
		put_text(sb, &(struct sip_text){ .transfer = t->transfer, .charset = t->charset, .big = t->big }, SPAN_LIT("{\\uc1 "));
		put_text(sb, t, warning);
		put_text(sb, &(struct sip_text){ .transfer = t->transfer, .charset = t->charset, .big = t->big }, SPAN_LIT(" }"));
	} else {
		put_text(sb, t, warning);
		put_text(sb, t, SPAN_LIT(" "));
	}
}

static void
make_underscore(struct strbuf *sb, const struct sip_text *t)
{
	struct sip_text as_is = { .transfer = t->transfer, .charset = t->charset, .big = t->big };

	/* a brace in front ends the count of what a Unicode escape skips */
	put_text(sb, &as_is, t->format == SIP_TEXT_RTF ? SPAN_LIT("{_}") : SPAN_LIT("_"));
}

/* A piece goes in; false when there is no room for it. */
static bool
insert(struct filter *f, struct span at, struct span text)
{
	struct sip_message *m = f->m;

	if (m->nedits + EDITS_LEFT > SIP_EDITS_MAX || m->scratch_n + text.n + SCRATCH_LEFT > SIP_SCRATCH_MAX) {
		refuse(f, POLICY_REASON_CONTENT_LINK);
		return false;
	}
	sip_edit_replace(m, at, text);
	f->found->changed = true;
	return true;
}

static void
base64_encode(struct strbuf *sb, struct span s, bool lines)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned column = 0;

	for (size_t i = 0; i < s.n; i += 3) {
		uint32_t v = (uint32_t)(unsigned char)s.p[i] << 16;

		if (i + 1 < s.n)
			v |= (uint32_t)(unsigned char)s.p[i + 1] << 8;
		if (i + 2 < s.n)
			v |= (unsigned char)s.p[i + 2];
		strbuf_putc(sb, digits[v >> 18]);
		strbuf_putc(sb, digits[v >> 12 & 63]);
		strbuf_putc(sb, i + 1 < s.n ? digits[v >> 6 & 63] : '=');
		strbuf_putc(sb, i + 2 < s.n ? digits[v & 63] : '=');
		if (lines && (column += 4) == 76 && i + 3 < s.n) {	/* RFC 2045 6.8 */
			strbuf_puts(sb, "\r\n");
			column = 0;
		}
	}
}

/* base64: the whole text anew. */
static void
recode(struct filter *f, const struct sip_text *t, struct span warning, bool in_body)
{
	char text[SIP_CONTENT_RECODED + 4], changed[SIP_CONTENT_RECODED + 1024], coded[SIP_CONTENT_RECODED * 3 / 2 + 2048];
	struct strbuf out, enc;
	size_t n, done = 0;

	if (t->raw.n / 4 * 3 > SIP_CONTENT_RECODED) {
		refuse(f, POLICY_REASON_CONTENT_LINK);
		return;
	}
	n = sip_base64_decode(t->raw, text);
	strbuf_init(&out, changed, sizeof(changed));
	strbuf_init(&enc, coded, sizeof(coded));
	for (unsigned i = 0; i <= t->nlinks; i++) {
		size_t to = i < t->nlinks ? t->link[i] : n;

		if (t->has_start && t->start <= to && (done < t->start || (done == t->start && i == 0))) {
			strbuf_add(&out, text + done, t->start - done);
			make_warning(&out, t, warning);
			done = t->start;
		}
		strbuf_add(&out, text + done, to - done);
		if (i < t->nlinks)
			make_underscore(&out, t);
		done = to;
	}
	base64_encode(&enc, strbuf_span_of(&out), in_body);
	if (!strbuf_ok(&out) || !strbuf_ok(&enc)) {
		refuse(f, POLICY_REASON_CONTENT_LINK);
		return;
	}
	if (insert(f, t->raw, strbuf_span_of(&enc)) && in_body)
		f->grown += enc.len - t->raw.n;
}

static void
make_inert(struct filter *f, const struct sip_text *t, bool in_body)
{
	char storage[POLICY_CONTENT_WARNING_MAX * 12], mark[16];
	struct strbuf warning, underscore;

	if (t->transfer == SIP_TRANSFER_BASE64) {
		recode(f, t, f->rule->warning, in_body);
		return;
	}
	strbuf_init(&warning, storage, sizeof(storage));
	strbuf_init(&underscore, mark, sizeof(mark));
	make_warning(&warning, t, f->rule->warning);
	make_underscore(&underscore, t);
	if (!strbuf_ok(&warning)) {
		refuse(f, POLICY_REASON_CONTENT_LINK);
		return;
	}
	if (warning.len > 0 && insert(f, span_of(t->raw.p + t->start, 0), strbuf_span_of(&warning)))
		f->grown += warning.len;
	for (unsigned i = 0; i < t->nlinks; i++)
		if (insert(f, span_of(t->raw.p + t->link[i], 0), strbuf_span_of(&underscore)))
			f->grown += underscore.len;
}

static void
filter_text(struct filter *f, struct sip_text *t, bool is_signed, bool in_body)
{
	t->rule = f->rule;
	t->is_own = is_own_host;
	t->own_arg = f->rules;
	if (t->charset == SIP_CHARSET_UNKNOWN || t->transfer == SIP_TRANSFER_UNKNOWN) {
		sealed(f);
		return;
	}
	sip_text_scan(t);
	if (t->strange)
		sealed(f);
	if (t->nlinks == 0)
		return;
	f->found->links += t->nlinks;
	if (f->rule->links == POLICY_CONTENT_BLOCK || t->overflow)
		refuse(f, POLICY_REASON_CONTENT_LINK);
	else if (is_signed)
		sealed(f);
	else
		make_inert(f, t, in_body);
}

/* ---- parts ---- */

static void
found_file(void *arg, struct span name)
{
	struct filter *f = arg;

	f->found->files++;
	if (f->rule->files == POLICY_CONTENT_BLOCK ||
	    (f->rule->files == POLICY_CONTENT_LISTED && sip_files_listed(name, f->rule->extensions, f->rule->nextensions)))
		refuse(f, POLICY_REASON_CONTENT_FILE);
}

static bool
is_text(const struct sip_part *p, enum sip_text_format *format)
{
	*format = SIP_TEXT_PLAIN;
	if (sip_part_is(p, "text/html") || sip_part_is(p, "application/xhtml+xml") || sip_part_is(p, "text/xml") ||
	    sip_part_is(p, "text/enriched"))
		*format = SIP_TEXT_HTML;
	else if (sip_part_is(p, "text/rtf") || sip_part_is(p, "application/rtf") || sip_part_is(p, "text/richtext") ||
	    sip_part_is(p, "application/x-rtf"))
		*format = SIP_TEXT_RTF;
	else
		return (sip_part_is(p, "text/") || span_is_empty(p->type)) && !sip_part_is(p, "text/x-msmsgsinvite");
	return true;
}

/* What is encrypted, or signed so that the text is inside (RFC 8551 3). */
static bool
is_closed(const struct sip_part *p)
{
	return sip_part_is(p, "application/pkcs7-mime") || sip_part_is(p, "application/x-pkcs7-mime") ||
	    sip_part_is(p, "application/pkcs7") || sip_part_is(p, "multipart/encrypted");
}

static void	filter_part(struct filter *, const struct sip_part *, unsigned depth, bool is_signed);

static void
filter_multipart(struct filter *f, const struct sip_part *p, unsigned depth, bool is_signed)
{
	struct span boundary = sip_mime_param(p->params, "boundary"), text;
	size_t at = 0;
	bool odd = false;

	/* RFC 2046 5.1.1 */
	if (boundary.n == 0 || boundary.n > 70 || depth == SIP_CONTENT_DEPTH) {
		sealed(f);
		return;
	}
	is_signed |= sip_part_is(p, "multipart/signed");
	while (f->verdict == POLICY_REASON_ALLOWED && sip_multipart_next(p->body, boundary, &at, &text, &odd)) {
		struct sip_part part;

		if (++f->parts > SIP_CONTENT_PARTS) {
			sealed(f);
			return;
		}
		sip_part_parse(&part, text);
		filter_part(f, &part, depth + 1, is_signed);
	}
	/* text without a single part, or lines that are a boundary to some */
	if (odd || at == 0)
		sealed(f);
}

static void
filter_part(struct filter *f, const struct sip_part *p, unsigned depth, bool is_signed)
{
	enum sip_text_format format;
	struct sip_part inner;

	if (f->rule->files != POLICY_CONTENT_ALLOW) {
		sip_files_find(p, found_file, f);
		if (sip_files_hidden(p))
			sealed(f);
	}
	if (p->encoded || p->strange || is_closed(p) || (depth > 0 && p->transfer == SIP_TRANSFER_UNKNOWN)) {
		sealed(f);
	} else if (sip_part_is(p, "multipart/")) {
		if (p->transfer != SIP_TRANSFER_NONE)
			sealed(f);	/* RFC 2045 6.4 forbids it */
		else
			filter_multipart(f, p, depth, is_signed);
	} else if (sip_part_is(p, "message/cpim") && depth < SIP_CONTENT_DEPTH) {
		sip_part_parse(&inner, p->body);	/* its own headers, then those of its content (RFC 3862 2) */
		sip_part_parse(&inner, inner.body);
		filter_part(f, &inner, depth + 1, is_signed);
	} else if (sip_part_is(p, "message/rfc822") && depth < SIP_CONTENT_DEPTH) {
		sip_part_parse(&inner, p->body);
		filter_part(f, &inner, depth + 1, is_signed);
	} else if (f->rule->links != POLICY_CONTENT_ALLOW && is_text(p, &format)) {
		struct sip_text t = {
			.raw = p->body, .format = format, .charset = sip_mime_charset(p), .transfer = p->transfer
		};

		filter_text(f, &t, is_signed, true);
	}
}

static void
filter_body(struct filter *f)
{
	struct sip_message *m = f->m;
	struct sip_part p = { .attached = false };

	if (span_is_empty(m->body))
		return;
	for (unsigned i = 0; i < m->nheaders; i++)
		sip_part_header(&p, sip_header_name(m, (int)i), sip_header_value(m, (int)i));
	p.body = m->body;
	/* SIP has no such header: some readers decode, others don't */
	p.strange |= p.transfer != SIP_TRANSFER_NONE;
	filter_part(f, &p, 0, false);
}

/* The first text of an IM, in a header of its INVITE. */
static void
filter_text_format(struct filter *f)
{
	struct sip_message *m = f->m;

	for (int i = sip_message_find(m, "ms-text-format", -1); i >= 0; i = sip_message_find(m, "ms-text-format", i)) {
		struct sip_part p = { .attached = false };
		enum sip_text_format format;
		struct sip_text t;

		sip_part_header(&p, SPAN_LIT("Content-Type"), sip_header_value(m, i));
		p.body = sip_mime_param(p.params, "ms-body");
		if (p.strange || sip_mime_repeats(p.params, "ms-body")) {
			sealed(f);
		} else if (is_text(&p, &format) && !span_is_empty(p.body)) {
			t = (struct sip_text){ .raw = p.body, .format = format, .charset = sip_mime_charset(&p),
			    .transfer = SIP_TRANSFER_BASE64 };
			filter_text(f, &t, false, false);
		}
	}
}

/* Methods whose bodies are for the programs at both ends, and not for people. */
static bool
is_state(enum policy_method m)
{
	return m == POLICY_METHOD_NOTIFY || m == POLICY_METHOD_BENOTIFY || m == POLICY_METHOD_SUBSCRIBE ||
	    m == POLICY_METHOD_PUBLISH || m == POLICY_METHOD_REGISTER || m == POLICY_METHOD_SERVICE ||
	    m == POLICY_METHOD_REFER || m == POLICY_METHOD_CANCEL || m == POLICY_METHOD_BYE || m == POLICY_METHOD_NEGOTIATE;
}

enum policy_reason
sip_content_filter(struct sip_message *m, const struct policy_content *rule, const struct policy_rules *rules,
    struct sip_content_found *found)
{
	struct filter f = { m, rule, rules, found, POLICY_REASON_ALLOWED, 0, 0 };
	bool both = rule->links == POLICY_CONTENT_ALLOW && rule->files == POLICY_CONTENT_ALLOW, failed = m->edit_failed;
	unsigned nedits = m->nedits;
	uint32_t scratch = m->scratch_n;

	*found = (struct sip_content_found){ 0 };
	if (both || is_state(m->method_id))
		return POLICY_REASON_ALLOWED;
	if (rule->links != POLICY_CONTENT_ALLOW)
		filter_text_format(&f);
	filter_body(&f);
	if (f.verdict == POLICY_REASON_ALLOWED && f.grown != 0)
		sip_edit_replacef(m, sip_message_value(m, SIP_H_CONTENT_LENGTH), "%zu", m->body.n + f.grown);
	if (f.verdict == POLICY_REASON_ALLOWED && m->edit_failed && !failed)
		f.verdict = POLICY_REASON_CONTENT_LINK;
	if (f.verdict != POLICY_REASON_ALLOWED) {
		m->nedits = nedits;
		m->scratch_n = scratch;
		m->edit_failed = failed;
		found->changed = false;
	}
	return f.verdict;
}

void
sip_content_take_out(struct sip_message *m)
{
	int i;

	for (i = sip_message_find(m, "ms-text-format", -1); i >= 0; i = sip_message_find(m, "ms-text-format", i))
		sip_edit_drop_header(m, i);
	if (span_is_empty(m->body))
		return;
	for (i = sip_message_next(m, SIP_H_CONTENT_TYPE, -1); i >= 0; i = sip_message_next(m, SIP_H_CONTENT_TYPE, i))
		sip_edit_drop_header(m, i);
	for (i = sip_message_next(m, SIP_H_CONTENT_ENCODING, -1); i >= 0; i = sip_message_next(m, SIP_H_CONTENT_ENCODING, i))
		sip_edit_drop_header(m, i);
	sip_edit_replace(m, sip_message_value(m, SIP_H_CONTENT_LENGTH), SPAN_LIT("0"));
	sip_edit_replace(m, m->body, SPAN_NONE);
}
