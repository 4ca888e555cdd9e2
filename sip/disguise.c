#include "sip/disguise.h"

#include "sip/chars.h"
#include "sip/message.h"

#define LETTER(c)	(1u << ((c) - 'a'))

/* Letters and digits of the names that carry trust; a name that begins like this is one. At most 64 each. */
static const char *const trusted[] = {
	"msedgeproxymessagetrust", "msassertedverificationlevel", "passertedidentity", "msuserlogondata",
	"mssplitdomaininfo", "xsallyportrefused", "remotepartyid", "passertedservice", "pserveduser",
	"pchargingvector", "pchargingfunctionaddresses"
};
#define NTRUSTED	(sizeof(trusted) / sizeof(trusted[0]))
#define TRUSTED_MIN	11	/* length of the shortest */
#define FIRST_OF_TRUSTED (LETTER('m') | LETTER('p') | LETTER('r') | LETTER('x'))

/* Names of which a second one would be another sender, another length, another way. Whole names. */
static const char *const weighty[] = {
	"from", "to", "callid", "cseq", "via", "route", "recordroute", "maxforwards", "contentlength",
	"transferencoding", "f", "t", "i", "v", "l"
};
#define NWEIGHTY	(sizeof(weighty) / sizeof(weighty[0]))
#define WEIGHTY_MAX	16	/* length of the longest */
#define FIRST_OF_WEIGHTY (LETTER('c') | LETTER('f') | LETTER('i') | LETTER('l') | LETTER('m') | LETTER('r') | LETTER('t') | LETTER('v'))

/* ---- how a careless reader gets at the next character ---- */

static int
hex_value(char c)
{
	unsigned char h = span_lower((unsigned char)c);

	if (h >= '0' && h <= '9')
		return h - '0';
	return h >= 'a' && h <= 'f' ? h - 'a' + 10 : -1;
}

/* Two hex digits at s[i], or -1. */
static int
hex_pair(struct span s, size_t i)
{
	int high, low;

	if (i + 2 > s.n || (high = hex_value(s.p[i])) < 0 || (low = hex_value(s.p[i + 1])) < 0)
		return -1;
	return high * 16 + low;
}

/* %6d, and %256d, and so on. *i stands at the '%'. */
static unsigned char
percent(struct span s, size_t *i)
{
	int c = '%';

	*i += 1;
	for (int pair; c == '%' && (pair = hex_pair(s, *i)) >= 0; *i += 2)
		c = pair;
	return (unsigned char)c;
}

/* \n, \r, \0, \x0a, \u000a, \012. *i stands at the back slash. */
static unsigned char
backslash(struct span s, size_t *i)
{
	char c = *i + 1 < s.n ? s.p[*i + 1] : '\0';
	int pair;

	if (c == 'n' || c == 'r' || c == 'v' || c == 'f') {
		*i += 2;
		return '\n';
	}
	if ((c == 'x' && (pair = hex_pair(s, *i + 2)) >= 0) ||
	    (c == 'u' && *i + 3 < s.n && s.p[*i + 2] == '0' && s.p[*i + 3] == '0' && (pair = hex_pair(s, *i + 4)) >= 0)) {
		*i += c == 'x' ? 4 : 6;
		return (unsigned char)pair;
	}
	if (c == '0') {
		*i += 2;
		for (int n = 0; n < 2 && *i < s.n && s.p[*i] >= '0' && s.p[*i] <= '7'; n++)
			*i += 1;
		return '\n';
	}
	*i += 1;
	return '\\';
}

static unsigned char
next_char(struct span s, size_t *i, bool undo)
{
	unsigned char c = (unsigned char)s.p[*i];

	if (undo && c == '%')
		return percent(s, i);
	if (undo && c == '\\')
		return backslash(s, i);
	/* U+FF01 to U+FF5E: ASCII in full width */
	if (c == 0xef && s.n - *i >= 3) {
		unsigned char b = (unsigned char)s.p[*i + 1], d = (unsigned char)s.p[*i + 2];

		if ((b == 0xbc && d >= 0x81 && d <= 0xbf) || (b == 0xbd && d >= 0x80 && d <= 0x9e)) {
			*i += 3;
			return (unsigned char)(b == 0xbc ? d - 0x60 : d - 0x20);
		}
	}
	*i += 1;
	return c;
}

static bool
is_letter(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool
ends_line(unsigned char c)
{
	return (c < 0x20 && c != '\t') || c == 0x7f;
}

/* ---- names ---- */

static inline bool
is_one_of(unsigned letters, unsigned char c)
{
	return c >= 'a' && c <= 'z' && (letters & LETTER(c)) != 0;
}

/*
 * Do the letters from here on, whatever stands between them, begin with a name that carries trust? Looks no further
 * than the first letter that no such name goes on with.
 */
static bool
begins_trusted(struct span s, bool undo)
{
	unsigned alive = (1u << NTRUSTED) - 1, n = 0;

	for (size_t i = 0; i < s.n && alive != 0; ) {
		unsigned char c = span_lower(next_char(s, &i, undo));

		if (!is_letter(c))
			continue;
		if (n == 0 && !is_one_of(FIRST_OF_TRUSTED, c))
			return false;
		for (unsigned left = alive; left != 0; left &= left - 1) {
			unsigned k = (unsigned)__builtin_ctz(left);

			if ((unsigned char)trusted[k][n] != c)
				alive &= ~(1u << k);
			else if (trusted[k][n + 1] == '\0')
				return true;
		}
		n++;
	}
	return false;
}

/*
 * Letters and digits of s up to the colon (or all of it when there is none); 0 when they are too many for a weighty
 * name, or the first of them is none of `first`.
 */
static size_t
letters_of(struct span s, bool undo, unsigned first, bool *colon, char out[WEIGHTY_MAX + 1])
{
	size_t n = 0;

	*colon = false;
	for (size_t i = 0; i < s.n; ) {
		unsigned char c = span_lower(next_char(s, &i, undo));

		if (c == ':') {
			*colon = true;
			break;
		}
		if (ends_line(c) && n > 0)
			break;
		if (!is_letter(c))
			continue;
		if (n == WEIGHTY_MAX || (n == 0 && !is_one_of(first, c)))
			return 0;
		out[n++] = (char)c;
	}
	return n;
}

/* A name of which there may be one, and this is a second spelling; compact: the short ones as well. */
static bool
is_weighty(struct span s, bool undo, bool needs_colon)
{
	char text[WEIGHTY_MAX + 1];
	bool colon;
	size_t n = letters_of(s, undo, FIRST_OF_WEIGHTY, &colon, text);

	if (n == 0 || (needs_colon && !colon))
		return false;
	for (size_t i = 0; i < NWEIGHTY; i++)
		if (span_is(span_of(text, n), weighty[i]))
			return true;
	return false;
}

#define LINE_MAX_LEN	512	/* how far is looked for the end of what may be a start line */

/* "sip:… SIP/2.0", up to the end of the line. */
static bool
is_request_rest(struct span s)
{
	static const char version[] = " sip/2.0";
	unsigned matched = 0;

	if (!span_istarts(s, SPAN_LIT("sip:")) && !span_istarts(s, SPAN_LIT("sips:")))
		return false;
	for (size_t i = 0; i < s.n && i < LINE_MAX_LEN; ) {
		unsigned char c = span_lower(next_char(s, &i, true));

		if (ends_line(c))
			break;
		matched = c == (unsigned char)version[matched] ? matched + 1 : c == ' ' ? 1 : 0;
		if (version[matched] == '\0')
			return true;
	}
	return false;
}

/* ---- values ---- */

/*
 * A line break of Unicode's (NEL, LS, PS), or a character in more bytes than it
 * takes, which is how a line break or a letter comes past a check.
 */
static bool
has_odd_break(struct span s)
{
	for (size_t i = 0; i + 1 < s.n; i++) {
		uint64_t eight;

		if (s.n - i >= sizeof(eight) && (memcpy(&eight, s.p + i, sizeof(eight)), eight & UINT64_C(0x8080808080808080)) == 0) {
			i += sizeof(eight) - 1;
			continue;
		}
		unsigned char c = (unsigned char)s.p[i], d = (unsigned char)s.p[i + 1];

		if (c < 0xc0 || (d & 0xc0) != 0x80)
			continue;
		if (c <= 0xc1 || (c == 0xc2 && d == 0x85) || (c == 0xe0 && d < 0xa0) || (c == 0xf0 && d < 0x90))
			return true;
		if (c == 0xe2 && d == 0x80 && i + 2 < s.n && ((unsigned char)s.p[i + 2] & 0xfe) == 0xa8)
			return true;
	}
	return false;
}

/*
 * A walk along a value, from one place to the next behind which some reader may see a new header. What was found out
 * about the text behind such a place holds for the next one too if nothing lies between them, and is not looked at
 * again: the walk takes time in proportion to the value, whatever stands in it.
 */
struct walk {
	struct span	 v;
	bool		 undo;		/* escapes are undone */
	bool		 header;	/* a header or start line that is hidden was found */
	size_t		 looked;	/* behind this place, up to letter, all is known: */
	size_t		 letter;	/* the first letter or digit, or the end */
	size_t		 colon;		/* behind the last colon before it; 0: there is none */
	bool		 weighed;	/* and that the name there is none of weight */
	size_t		 word_end;	/* the token that was looked at last ends here, */
	bool		 known;		/* and this was seen to be no start line */
};

/* The first letter behind place i. True when it was not known before. */
static bool
find_letter(struct walk *w, size_t i)
{
	if (w->looked != 0 && i >= w->looked && i <= w->letter)
		return false;
	w->looked = i;
	w->colon = 0;
	w->weighed = false;
	for (w->letter = i; i < w->v.n; w->letter = i) {
		unsigned char c = span_lower(next_char(w->v, &i, w->undo));

		if (is_letter(c))
			break;
		if (c == ':')
			w->colon = i;
	}
	return true;
}

/* "WORD sip:… SIP/2.0", behind white space, at place i? */
static bool
is_start_line(struct walk *w, size_t i)
{
	const struct span v = w->v;

	while (i < v.n && (v.p[i] == ' ' || v.p[i] == '\t'))
		i++;
	if (i == v.n || !sip_char_is(v.p[i], SIP_CHAR_TOKEN))
		return false;
	if (i >= w->word_end) {
		w->word_end = i + sip_chars_run(span_tail(v, i), SIP_CHAR_TOKEN);
		w->known = false;
	}
	if (w->known || w->word_end == v.n || v.p[w->word_end] != ' ')
		return false;
	w->known = true;
	return is_request_rest(span_tail(v, w->word_end + 1));
}

/* Behind place i, a header may begin for some reader; line: behind what ends a line. True: with a name that carries trust. */
static bool
look_behind(struct walk *w, size_t i, bool line)
{
	if (find_letter(w, i) && begins_trusted(span_tail(w->v, w->letter), w->undo))
		return true;
	if (!line || w->header)
		return false;
	if (!w->weighed && i > w->colon) {
		w->header = is_weighty(span_head(span_tail(w->v, w->letter), 4 * WEIGHTY_MAX), w->undo, true);
		w->weighed = true;
	}
	w->header = w->header || is_start_line(w, i);
	return false;
}

/* Where they are dense, the next one is near. */
static inline size_t
next_break(struct span v, size_t i, bool undo)
{
	for (unsigned near = 3; near > 0 && i < v.n; near--, i++) {
		unsigned char c = (unsigned char)v.p[i];

		if (ends_line(c) || (sip_char_is((char)c, SIP_CHAR_BREAK) && (undo || (c != '%' && c != '\\'))))
			return i;
	}
	return sip_chars_find_break(v, i, undo);
}

static enum sip_check
walk_value(struct span v, bool undo)
{
	struct walk w = { .v = v, .undo = undo };

	for (size_t i = 0; (i = next_break(v, i, undo)) < v.n; ) {
		unsigned char c = next_char(v, &i, undo);

		/* what begins behind CR and not behind the LF with it is nothing */
		if (c == '\r' && i < v.n && v.p[i] == '\n')
			continue;
		if ((ends_line(c) || c >= 0x80 || c == '?' || c == '&') && look_behind(&w, i, ends_line(c)))
			return SIP_CHECK_MARK_DISGUISED;
	}
	return w.header ? SIP_CHECK_HEADER_DISGUISED : SIP_CHECK_OK;
}

static enum sip_check
check_value(struct span v)
{
	enum sip_check why = walk_value(v, false);

	/* without an escape there is nothing to undo */
	if (why == SIP_CHECK_OK && (memchr(v.p, '%', v.n) != NULL || memchr(v.p, '\\', v.n) != NULL))
		why = walk_value(v, true);
	return why;
}

/* ---- the message ---- */

/* Is its first character a letter or digit, and none that such a name begins with? Then it is no disguise of one. */
static bool
begins_otherwise(struct span name, const char *first)
{
	unsigned char c = name.n != 0 ? span_lower((unsigned char)name.p[0]) : '\0';

	return is_letter(c) && strchr(first, c) == NULL;
}

#define FIRST_OF_NAMES	"cfilmprtvx"	/* of all in trusted and weighty */

static enum sip_check
check_name(const struct sip_message *m, int i)
{
	struct span name = sip_header_name(m, i);
	bool escaped;

	if (begins_otherwise(name, FIRST_OF_NAMES))
		return SIP_CHECK_OK;
	escaped = span_find(name, '%') != name.n;	/* without one there is nothing to undo */
	if (name.n >= TRUSTED_MIN && (begins_trusted(name, false) || (escaped && begins_trusted(name, true))))
		return SIP_CHECK_MARK_DISGUISED;
	return is_weighty(name, false, false) || (escaped && is_weighty(name, true, false)) ? SIP_CHECK_HEADER_DISGUISED :
	    SIP_CHECK_OK;
}

/* Is that method written so that a careless reader takes it for another? */
static bool
is_method_disguised(struct span method)
{
	char text[WEIGHTY_MAX];
	size_t n = 0;

	for (size_t i = 0; i < method.n; ) {
		unsigned char c = span_lower(next_char(method, &i, true));

		if (c < 'a' || c > 'z')
			continue;
		if (n == sizeof(text))
			return false;
		text[n++] = (char)(c - 'a' + 'A');
	}
	return policy_method_of(span_of(text, n)) != POLICY_METHOD_OTHER;
}

/* What only we write into the client's Via (MS 7.3): stripped by its name, so other spellings must not be there. */
static enum sip_check
check_via(const struct sip_via *via)
{
	static const char *const params[] = { "received", "ms-received-port", "ms-received-cid" };
	static const char *const letters[] = { "received", "msreceivedport", "msreceivedcid" };
	struct span rest = via->params, piece;

	for (size_t end; rest.n > 0; rest = span_tail(rest, end + 1)) {
		char text[WEIGHTY_MAX + 1];
		bool colon;
		size_t n;

		end = span_find(rest, ';');
		piece = span_head(rest, end);
		piece = span_trim(span_head(piece, span_find(piece, '=')));
		if (begins_otherwise(piece, "rm"))
			continue;
		n = letters_of(piece, true, LETTER('r') | LETTER('m'), &colon, text);
		for (size_t i = 0; i < sizeof(params) / sizeof(params[0]); i++)
			if (n != 0 && span_is(span_of(text, n), letters[i]) && !span_iis(piece, params[i]))
				return SIP_CHECK_MARK_DISGUISED;
	}
	return SIP_CHECK_OK;
}

static bool
is_trusted_id(unsigned id)
{
	return id == SIP_H_MS_TRUST || id == SIP_H_MS_VERIFICATION || id == SIP_H_P_ASSERTED_IDENTITY ||
	    id == SIP_H_MS_USER_LOGON_DATA || id == SIP_H_MS_SPLIT_DOMAIN_INFO || id == SIP_H_X_REFUSED;
}

enum sip_check
sip_disguise_check(const struct sip_message *m)
{
	struct span head = span_of(m->bytes, m->head_n);
	bool any = !m->no_breaks && sip_chars_has_break(head);
	enum sip_check why;

	if (any && has_odd_break(head))
		return SIP_CHECK_CONTROL;
	if (m->is_request && m->method_id == POLICY_METHOD_OTHER && is_method_disguised(m->method))
		return SIP_CHECK_METHOD_DISGUISED;
	for (unsigned i = 0; i < m->nheaders; i++) {
		const struct sip_header *h = &m->headers[i];

		if (is_trusted_id(h->id))
			continue;	/* stripped as it stands */
		if (h->id == SIP_H_OTHER && (why = check_name(m, (int)i)) != SIP_CHECK_OK)
			return why;
		/* From the colon on, since the value leaves out a fold before it. */
		if ((any || h->folded) && (why = check_value(span_of(m->bytes + h->line + h->name_n,
		    h->line_n - h->name_n - 2u))) != SIP_CHECK_OK)
			return why;
	}
	if (m->is_request && (why = check_via(&m->via)) != SIP_CHECK_OK)
		return why;
	/* A Request-URI or a reason phrase can hide one as well. */
	return any ? check_value(m->start_line) : SIP_CHECK_OK;
}
