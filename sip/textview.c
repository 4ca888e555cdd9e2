/*
 * sip/textview.c - see textview.h: transfer encodings, character sets, plain text. HTML and RTF have files of their own.
 */
#include "sip/textview.h"

#include "sip/textview_int.h"

#define UNKNOWN	0xfffd

/* Ascending, each once: mostly they come so. */
static void
found(void *arg, uint32_t at)
{
	struct sip_text *t = arg;
	unsigned i = t->nlinks;

	while (i > 0 && t->link[i - 1] > at)
		i--;
	if (i > 0 && t->link[i - 1] == at)
		return;
	if (t->nlinks == SIP_TEXT_LINKS_MAX) {
		t->overflow = true;
		return;
	}
	for (unsigned k = t->nlinks; k > i; k--)
		t->link[k] = t->link[k - 1];
	t->link[i] = at;
	t->nlinks++;
}

static void
found_in(void *arg, uint32_t at)
{
	struct view *v = arg;

	/* an underscore would make text of the tag: nothing can be put there */
	if (v->text->format == SIP_TEXT_HTML && v->tag_at != 0 && at == v->tag_at)
		v->text->overflow = true;
	found(v->text, at);
}

/* ---- character sets ---- */

static void
character(struct view *v, uint32_t c, uint32_t at, uint32_t end)
{
	struct sip_char ch = { c, at, end, false };

	if (c == 0xfeff && !v->any) {	/* byte order mark */
		v->text->start = end;
		v->any = true;
		return;
	}
	v->any = true;
	switch (v->text->format) {
	case SIP_TEXT_PLAIN:
		sip_urls_char(&v->main, ch);
		break;
	case SIP_TEXT_HTML:
		view_html(v, ch);
		break;
	case SIP_TEXT_RTF:
		view_rtf(v, ch);
		break;
	}
}

/* A reader who is lenient takes overlong forms for what they mean. A broken one is a character that nobody knows. */
static void
byte_utf8(struct view *v, unsigned char c, uint32_t at, uint32_t end)
{
	if ((c & 0xc0) == 0x80 && v->more > 0) {
		v->value = v->value << 6 | (c & 0x3f);
		if (--v->more == 0)
			character(v, v->value, v->value_at, end);
		return;
	}
	if (v->more > 0) {
		v->more = 0;
		character(v, UNKNOWN, v->value_at, at);
	}
	if (c < 0x80) {
		character(v, c, at, end);
		return;
	}
	v->value_at = at;
	if ((c & 0xe0) == 0xc0) {
		v->value = c & 0x1f;
		v->more = 1;
	} else if ((c & 0xf0) == 0xe0) {
		v->value = c & 0x0f;
		v->more = 2;
	} else if ((c & 0xf8) == 0xf0) {
		v->value = c & 0x07;
		v->more = 3;
	} else {
		character(v, UNKNOWN, at, end);
	}
}

static void
unit_utf16(struct view *v, uint32_t unit, uint32_t at, uint32_t end)
{
	if (unit >= 0xdc00 && unit < 0xe000 && v->high != 0) {
		unit = 0x10000 + ((v->high - 0xd800) << 10) + (unit - 0xdc00);
		at = v->high_at;
		v->high = 0;
	} else if (unit >= 0xd800 && unit < 0xdc00) {
		v->high = unit;
		v->high_at = at;
		return;
	}
	v->high = 0;
	character(v, unit, at, end);
}

static void
byte_utf16(struct view *v, unsigned char c, uint32_t at, uint32_t end)
{
	if (!v->half) {
		v->half = true;
		v->first = c;
		v->value_at = at;
		return;
	}
	v->half = false;
	if (!v->ordered) {
		/* RFC 2781 4.3: without a mark it is big-endian, but Windows sends the other */
		v->ordered = true;
		if (v->text->charset == SIP_CHARSET_UTF16)
			v->text->big = !(v->first == 0xff && c == 0xfe) && (v->first == 0 || (v->first == 0xfe && c == 0xff));
		else
			v->text->big = v->text->charset == SIP_CHARSET_UTF16BE;
	}
	unit_utf16(v, v->text->big ? (uint32_t)(v->first << 8 | c) : (uint32_t)(c << 8 | v->first), v->value_at, end);
}

static void
byte(struct view *v, unsigned char c, uint32_t at, uint32_t end)
{
	switch (v->text->charset) {
	case SIP_CHARSET_UTF16LE:
	case SIP_CHARSET_UTF16BE:
	case SIP_CHARSET_UTF16:
		byte_utf16(v, c, at, end);
		break;
	case SIP_CHARSET_LATIN:
		character(v, c, at, end);
		break;
	default:
		byte_utf8(v, c, at, end);
		break;
	}
}

/* ---- transfer encodings (RFC 2045 6.7, 6.8) ---- */

static int
base64_value(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	/* the URL alphabet too (RFC 4648 5) */
	return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

/* Next decoded byte, or -1. */
static int
base64_next(struct span raw, size_t *at, uint32_t *acc, unsigned *bits)
{
	while (*at < raw.n) {
		int v = base64_value((unsigned char)raw.p[(*at)++]);

		if (v < 0) {
			if (raw.p[*at - 1] == '=')
				*bits = 0;	/* a new quantum, as readers who go on take it */
			continue;
		}
		*acc = *acc << 6 | (uint32_t)v;
		*bits += 6;
		if (*bits >= 8) {
			*bits -= 8;
			return (int)(*acc >> *bits & 0xff);
		}
	}
	return -1;
}

size_t
sip_base64_decode(struct span raw, char *out)
{
	size_t at = 0, n = 0;
	uint32_t acc = 0;
	unsigned bits = 0;
	int c;

	while ((c = base64_next(raw, &at, &acc, &bits)) >= 0)
		out[n++] = (char)c;
	return n;
}

static void
feed_base64(struct view *v)
{
	size_t at = 0;
	uint32_t acc = 0, n = 0;
	unsigned bits = 0;
	int c;

	while ((c = base64_next(v->text->raw, &at, &acc, &bits)) >= 0) {
		byte(v, (unsigned char)c, n, n + 1);
		n++;
	}
}

static int
hex(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = span_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* How many bytes of a soft line break stand at i: white space may stand before the line's end. */
static size_t
soft_break(struct span raw, size_t i)
{
	size_t j = i + 1;

	/* RFC 2045 6.7: lines have 76 characters at most; so has the white space at their end */
	while (j < raw.n && j - i < 80 && (raw.p[j] == ' ' || raw.p[j] == '\t'))
		j++;
	if (j < raw.n && raw.p[j] == '\r')
		j++;
	return j < raw.n && raw.p[j] == '\n' ? j + 1 - i : 0;
}

static void
feed_qp(struct view *v)
{
	struct span raw = v->text->raw;

	for (size_t i = 0; i < raw.n; ) {
		size_t n;

		if (raw.p[i] == '=' && (n = soft_break(raw, i)) > 0) {
			i += n;
		} else if (raw.p[i] == '=' && i + 2 < raw.n && hex((unsigned char)raw.p[i + 1]) >= 0 &&
		    hex((unsigned char)raw.p[i + 2]) >= 0) {
			byte(v, (unsigned char)(hex((unsigned char)raw.p[i + 1]) * 16 + hex((unsigned char)raw.p[i + 2])),
			    (uint32_t)i, (uint32_t)i + 3);
			i += 3;
		} else {
			byte(v, (unsigned char)raw.p[i], (uint32_t)i, (uint32_t)i + 1);
			i++;
		}
	}
}

/* More links than are kept, and nothing else to be found out: it is known what becomes of the text. */
static inline bool
is_settled(const struct sip_text *t)
{
	return t->overflow && t->nlinks == SIP_TEXT_LINKS_MAX && t->format != SIP_TEXT_RTF;
}

/* Text in front of the next tag or entity. */
struct stretch {
	size_t	markup;		/* it begins here */
	size_t	end;		/* of the last white space in front of it */
};

/* How far whole words go from i on, which is in the text: to the end of it, or in HTML up to what is no text. */
static size_t
words_end(const struct sip_text *t, size_t i, struct stretch *s)
{
	const char *p = t->raw.p;

	if (t->format == SIP_TEXT_PLAIN)
		return t->raw.n;
	if (i >= s->markup) {
		for (s->markup = i; s->markup < t->raw.n && p[s->markup] != '<' && p[s->markup] != '&'; )
			s->markup++;
		for (s->end = s->markup; s->markup < t->raw.n && s->end > i && p[s->end - 1] != ' ' && p[s->end - 1] != '\n'; )
			s->end--;
	}
	return s->end;
}

/*
 * As it stands. In plain text and in that of HTML words without links are left out; what is left of plain ASCII, nearly all
 * there is, goes the short way.
 */
static void
feed_raw(struct view *v)
{
	const struct sip_text *t = v->text;
	const struct span raw = t->raw;
	const bool bytes = t->charset != SIP_CHARSET_UTF16LE && t->charset != SIP_CHARSET_UTF16BE && t->charset != SIP_CHARSET_UTF16;
	const bool plain = bytes && t->format == SIP_TEXT_PLAIN, words = plain || (bytes && t->format == SIP_TEXT_HTML);
	bool behind_space = true;
	struct stretch stretch = { 0 };

	for (size_t i = 0; i < raw.n; i++) {
		unsigned char c = (unsigned char)raw.p[i];

		if (words && behind_space && v->more == 0 && v->html == HTML_TEXT && v->nentity == 0) {
			size_t end = words_end(t, i, &stretch), skip = end > i ? sip_urls_skip(&v->main, raw.p + i, end - i) : 0;

			if (is_settled(t))
				return;
			if (skip > 0) {
				v->any = true;
				i += skip - 1;
				behind_space = !plain;
				continue;
			}
		}
		if (!plain || c >= 0x80 || v->more > 0) {
			byte(v, c, (uint32_t)i, (uint32_t)i + 1);
		} else {
			v->any = true;
			sip_urls_char(&v->main, (struct sip_char){ c, (uint32_t)i, (uint32_t)i + 1, false });
		}
		behind_space = c == ' ' || c == '\n' || c == '\t' || (!plain && c == '>');
	}
}

void
sip_text_scan(struct sip_text *t)
{
	struct view v = { .text = t };

	t->nlinks = 0;
	t->overflow = t->strange = t->big = false;
	t->start = 0;
	t->has_start = t->format == SIP_TEXT_PLAIN || t->format == SIP_TEXT_HTML;
	sip_urls_init(&v.main, t->rule, t->is_own, t->own_arg, found_in, &v);
	sip_urls_init(&v.other, t->rule, t->is_own, t->own_arg, found_in, &v);
	/* a bare name in an attribute is that of a file beside the page; of instructions most are no addresses */
	if (t->format == SIP_TEXT_HTML)
		v.other.bare = POLICY_BARE_NONE;
	else if (v.other.bare == POLICY_BARE_ALL)
		v.other.bare = POLICY_BARE_WITH_PATH;
	v.uc[0] = 1;
	if (t->transfer == SIP_TRANSFER_BASE64)
		feed_base64(&v);
	else if (t->transfer == SIP_TRANSFER_QP)
		feed_qp(&v);
	else
		feed_raw(&v);
	if (t->format == SIP_TEXT_HTML)
		view_html_end(&v);
	sip_urls_end(&v.main);
	sip_urls_end(&v.other);
}
