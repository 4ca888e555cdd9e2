#include "sip/disguise.h"

#include "sip/chars.h"
#include "sip/message.h"

#define LETTER(c)	(1u << ((c) - 'a'))

/* Letters and digits of the names that carry trust, in the order of the alphabet; a name that begins like one is one. */
static const char *const trusted[] = {
	"msassertedverificationlevel", "msedgeproxymessagetrust", "mssplitdomaininfo", "msuserlogondata", "passertedidentity",
	"passertedservice", "passociateduri", "pcalledpartyid", "pchargingfunctionaddresses", "pchargingvector", "pprofilekey",
	"pserveduser", "puserdatabase", "pvisitednetworkid", "remotepartyid", "xsallyportrefused"
};
#define NTRUSTED	(sizeof(trusted) / sizeof(trusted[0]))
#define TRUSTED_MIN	11	/* length of the shortest */
#define FIRST_OF_TRUSTED (LETTER('m') | LETTER('p') | LETTER('r') | LETTER('x'))

/*
 * Names of which a second one would be another sender, another length, another way; and one that carries trust, but is a
 * word too. Whole names, in order.
 */
static const char *const weighty[] = {
	"callid", "contentlength", "cseq", "diversion", "f", "from", "i", "l", "maxforwards", "recordroute", "route", "t", "to",
	"transferencoding", "v", "via"
};
#define NWEIGHTY	(sizeof(weighty) / sizeof(weighty[0]))
#define WEIGHTY_MAX	16	/* length of the longest */
#define FIRST_OF_WEIGHTY (LETTER('c') | LETTER('d') | LETTER('f') | LETTER('i') | LETTER('l') | LETTER('m') | LETTER('r') | \
	LETTER('t') | LETTER('v'))

/* What the walk along a value does with a character. */
enum kind {
	KIND_OTHER = 0x01,
	KIND_LETTER = 0x02,	/* or digit */
	KIND_COLON = 0x04,
	KIND_MARK = 0x08,	/* behind it some reader sees the name of a header */
	KIND_LINE = 0x10,	/* the same, and a line ends here */
	KIND_ESCAPE = 0x20,	/* what it stands for counts, if escapes are undone; else nothing */
	KIND_HIGH = 0x40	/* 8-bit: a mark, or ASCII in full width */
};

static const unsigned char kinds[256] = {
	[0 ... '\t' - 1] = KIND_LINE, ['\t'] = KIND_OTHER, ['\t' + 1 ... 0x1f] = KIND_LINE, [' ' ... '$'] = KIND_OTHER,
	['%'] = KIND_ESCAPE, ['&'] = KIND_MARK, ['\'' ... '/'] = KIND_OTHER, ['0' ... '9'] = KIND_LETTER, [':'] = KIND_COLON,
	[';' ... '>'] = KIND_OTHER, ['?'] = KIND_MARK, ['@'] = KIND_OTHER, ['A' ... 'Z'] = KIND_LETTER, ['['] = KIND_OTHER,
	['\\'] = KIND_ESCAPE, [']' ... '`'] = KIND_OTHER, ['a' ... 'z'] = KIND_LETTER, ['{' ... '~'] = KIND_OTHER,
	[0x7f] = KIND_LINE, [0x80 ... 0xff] = KIND_HIGH
};

static inline bool
is_letter(unsigned char c)
{
	return kinds[c] == KIND_LETTER;
}

static inline bool
ends_line(unsigned char c)
{
	return kinds[c] == KIND_LINE;
}

/* ---- how a careless reader gets at the next character ---- */

/* Of a digit, one more than its value. */
static const unsigned char hex_values[256] = {
	['0'] = 1, ['1'] = 2, ['2'] = 3, ['3'] = 4, ['4'] = 5, ['5'] = 6, ['6'] = 7, ['7'] = 8, ['8'] = 9, ['9'] = 10,
	['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
	['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16
};

static inline int
hex_value(char c)
{
	return hex_values[(unsigned char)c] - 1;
}

/* Two hex digits at s[i], or -1. */
static inline int
hex_pair(struct span s, size_t i)
{
	int high, low;

	if (i + 2 > s.n || (high = hex_value(s.p[i])) < 0 || (low = hex_value(s.p[i + 1])) < 0)
		return -1;
	return high * 16 + low;
}

/* %6d, and %256d, and so on. *i stands at the '%'. */
static inline unsigned char
percent(struct span s, size_t *i)
{
	size_t at = *i + 1;
	int c = '%';

	for (int pair; c == '%' && (pair = hex_pair(s, at)) >= 0; at += 2)
		c = pair;
	*i = at;
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

/* The next one when it is an escape or 8-bit. */
static unsigned char
odd_char(struct span s, size_t *i, bool undo)
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

static inline unsigned char
next_char(struct span s, size_t *i, bool undo)
{
	unsigned char c = (unsigned char)s.p[*i];

	if ((kinds[c] & (KIND_ESCAPE | KIND_HIGH)) != 0)
		return odd_char(s, i, undo);
	*i += 1;
	return c;
}

/* ---- names ---- */

static inline bool
is_one_of(unsigned letters, unsigned char c)
{
	return c >= 'a' && c <= 'z' && (letters & LETTER(c)) != 0;
}

/* Those of names in order that have c as their n-th letter, of those from *low to *high - 1, which are alike before it. False: none. */
static inline bool
narrow(const char *const *names, unsigned *low, unsigned *high, unsigned n, unsigned char c)
{
	while (*low < *high && (unsigned char)names[*low][n] < c)
		*low += 1;
	while (*low < *high && (unsigned char)names[*high - 1][n] > c)
		*high -= 1;
	return *low < *high;
}

/* Where those with that first letter are: the first, and behind the last. */
struct range {
	unsigned char	low, high;
};

static const struct range trusted_by[26] = {
	['m' - 'a'] = { 0, 4 }, ['p' - 'a'] = { 4, 14 }, ['r' - 'a'] = { 14, 15 }, ['x' - 'a'] = { 15, 16 }
};
static const struct range weighty_by[26] = {
	['c' - 'a'] = { 0, 3 }, ['d' - 'a'] = { 3, 4 }, ['f' - 'a'] = { 4, 6 }, ['i' - 'a'] = { 6, 7 }, ['l' - 'a'] = { 7, 8 },
	['m' - 'a'] = { 8, 9 }, ['r' - 'a'] = { 9, 11 }, ['t' - 'a'] = { 11, 14 }, ['v' - 'a'] = { 14, 16 }
};
_Static_assert(NTRUSTED == 16 && NWEIGHTY == 16, "the ranges are those of these names");

/*
 * Do the letters from here on, whatever stands between them, begin with a name that carries trust? Looks no further
 * than the first letter that no such name goes on with; *quiet is how far there was nothing but letters and punctuation.
 */
static bool
begins_trusted(struct span s, bool undo, size_t *quiet)
{
	unsigned low = 0, high = 0, n = 0;	/* those that are alike so far */
	const char *want = NULL;		/* the rest of the only one */
	bool loud = false;

	*quiet = 0;
	for (size_t i = 0; ; ) {
		unsigned char c;

		/* none is the beginning of another */
		for (; want != NULL && i < s.n && ((unsigned char)s.p[i] | 0x20) == (unsigned char)*want; i++)
			if (*++want == '\0')
				return true;
		if (!loud)
			*quiet = i;
		if (i >= s.n)
			return false;
		loud = loud || (kinds[(unsigned char)s.p[i]] & (KIND_OTHER | KIND_LETTER | KIND_COLON)) == 0;
		c = span_lower(next_char(s, &i, undo));
		if (!is_letter(c))
			continue;
		if (want != NULL) {
			if (c != (unsigned char)*want)
				return false;
			if (*++want == '\0')
				return true;
			continue;
		}
		if (n == 0 && c >= 'a') {
			low = trusted_by[c - 'a'].low;
			high = trusted_by[c - 'a'].high;
		}
		if (!narrow(trusted, &low, &high, n, c))
			return false;
		n++;
		if (low + 1 == high)
			want = trusted[low] + n;
	}
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

/* A name of which there may be one, and this is a second spelling: its letters up to the colon, or to the end where none is needed. */
static bool
is_weighty(struct span s, bool undo, bool needs_colon)
{
	unsigned low = 0, high = 0, n = 0;	/* those that are alike so far, the shortest first */
	bool colon = false;

	for (size_t i = 0; i < s.n; ) {
		unsigned char c = span_lower(next_char(s, &i, undo));

		if (is_letter(c)) {
			if (n == 0 && c >= 'a') {
				low = weighty_by[c - 'a'].low;
				high = weighty_by[c - 'a'].high;
			}
			if (!narrow(weighty, &low, &high, n, c))
				return false;
			n++;
		} else if (c == ':') {
			colon = true;
			break;
		} else if (ends_line(c) && n > 0)
			break;
	}
	return n > 0 && weighty[low][n] == '\0' && (colon || !needs_colon);
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
	for (size_t i = 0; (i = sip_chars_find_8bit(s, i)) + 1 < s.n; i++) {
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

/* The token that was looked at last: it ends here, and what follows was looked at. */
struct word {
	size_t	end;
	bool	known;
};

/* "WORD sip:… SIP/2.0", behind white space, at place i? No word is looked at twice. */
static bool
is_start_line(struct span v, size_t i, struct word *w)
{
	while (i < v.n && (v.p[i] == ' ' || v.p[i] == '\t'))
		i++;
	if (i == v.n || !sip_char_is(v.p[i], SIP_CHAR_TOKEN))
		return false;
	if (i >= w->end) {
		w->end = i + sip_chars_run(span_tail(v, i), SIP_CHAR_TOKEN);
		w->known = false;
	}
	if (w->known || w->end == v.n || v.p[w->end] != ' ')
		return false;
	w->known = true;
	return is_request_rest(span_tail(v, w->end + 1));
}

/* What a back slash makes something else of, perhaps. */
static const bool escaped[256] = {
	['n'] = true, ['r'] = true, ['v'] = true, ['f'] = true, ['x'] = true, ['u'] = true, ['0'] = true
};

/* What a walk along a value knows of the place that it is at; where its row of steps begins. */
enum state {
	STATE_QUIET = 0,
	STATE_MARKED = 8,	/* a mark was there, and no letter since */
	STATE_LINE = 16,	/* the same, and a line ended with no colon since */
	STATE_LOOK = 24		/* none: here it has to look */
};

enum class { CLASS_OTHER = 0, CLASS_LETTER, CLASS_TRUSTED, CLASS_WEIGHTY, CLASS_COLON, CLASS_MARK, CLASS_ESCAPE, CLASS_LOOK };

/* Letters by what begins with them; m and r begin both. */
static const unsigned char class_of[256] = {
	[0 ... '\t' - 1] = CLASS_LOOK, ['\t' + 1 ... 0x1f] = CLASS_LOOK, [0x7f ... 0xff] = CLASS_LOOK,
	['%'] = CLASS_ESCAPE, ['\\'] = CLASS_ESCAPE, ['&'] = CLASS_MARK, ['?'] = CLASS_MARK, [':'] = CLASS_COLON,
	['0' ... '9'] = CLASS_LETTER,
	['a'] = CLASS_LETTER, ['b'] = CLASS_LETTER, ['c'] = CLASS_WEIGHTY, ['d'] = CLASS_WEIGHTY, ['e'] = CLASS_LETTER,
	['f'] = CLASS_WEIGHTY, ['g'] = CLASS_LETTER, ['h'] = CLASS_LETTER, ['i'] = CLASS_WEIGHTY, ['j'] = CLASS_LETTER,
	['k'] = CLASS_LETTER, ['l'] = CLASS_WEIGHTY, ['m'] = CLASS_TRUSTED, ['n'] = CLASS_LETTER, ['o'] = CLASS_LETTER,
	['p'] = CLASS_TRUSTED, ['q'] = CLASS_LETTER, ['r'] = CLASS_TRUSTED, ['s'] = CLASS_LETTER, ['t'] = CLASS_WEIGHTY,
	['u'] = CLASS_LETTER, ['v'] = CLASS_WEIGHTY, ['w'] = CLASS_LETTER, ['x'] = CLASS_TRUSTED, ['y'] = CLASS_LETTER,
	['z'] = CLASS_LETTER,
	['A'] = CLASS_LETTER, ['B'] = CLASS_LETTER, ['C'] = CLASS_WEIGHTY, ['D'] = CLASS_WEIGHTY, ['E'] = CLASS_LETTER,
	['F'] = CLASS_WEIGHTY, ['G'] = CLASS_LETTER, ['H'] = CLASS_LETTER, ['I'] = CLASS_WEIGHTY, ['J'] = CLASS_LETTER,
	['K'] = CLASS_LETTER, ['L'] = CLASS_WEIGHTY, ['M'] = CLASS_TRUSTED, ['N'] = CLASS_LETTER, ['O'] = CLASS_LETTER,
	['P'] = CLASS_TRUSTED, ['Q'] = CLASS_LETTER, ['R'] = CLASS_TRUSTED, ['S'] = CLASS_LETTER, ['T'] = CLASS_WEIGHTY,
	['U'] = CLASS_LETTER, ['V'] = CLASS_WEIGHTY, ['W'] = CLASS_LETTER, ['X'] = CLASS_TRUSTED, ['Y'] = CLASS_LETTER,
	['Z'] = CLASS_LETTER
};

/* By state and class; a row for each of the walks, as it is and with escapes undone. */
static const unsigned char steps[2][24] = {
	{
		STATE_QUIET, STATE_QUIET, STATE_QUIET, STATE_QUIET, STATE_QUIET, STATE_MARKED, STATE_QUIET, STATE_LOOK,
		STATE_MARKED, STATE_QUIET, STATE_LOOK, STATE_QUIET, STATE_MARKED, STATE_MARKED, STATE_MARKED, STATE_LOOK,
		STATE_LINE, STATE_QUIET, STATE_LOOK, STATE_LOOK, STATE_MARKED, STATE_LINE, STATE_LINE, STATE_LOOK
	}, {
		STATE_QUIET, STATE_QUIET, STATE_QUIET, STATE_QUIET, STATE_QUIET, STATE_MARKED, STATE_LOOK, STATE_LOOK,
		STATE_MARKED, STATE_QUIET, STATE_LOOK, STATE_QUIET, STATE_MARKED, STATE_MARKED, STATE_LOOK, STATE_LOOK,
		STATE_LINE, STATE_QUIET, STATE_LOOK, STATE_LOOK, STATE_MARKED, STATE_LINE, STATE_LOOK, STATE_LOOK
	}
};

#define DENSE	24	/* so many characters of the walk cost less than to look for the next mark */

/*
 * Walk on through p[i..end) to where it has to look, and return that place.
 */
static inline size_t
walk_on(const char *p, size_t i, size_t end, const unsigned char *step, unsigned *state)
{
	unsigned now = *state, next;

	for (; i < end; i++) {
		next = step[now | class_of[(unsigned char)p[i]]];
		if (next == STATE_LOOK)
			break;
		now = next;
	}
	*state = now;
	return i;
}

/*
 * A walk along a value: behind a mark and behind the end of a line some reader may see a new header, whose name begins with
 * the first letter there, whatever stands in between. Takes time in proportion to the value.
 */
static enum sip_check
walk_value(struct span v, bool undo)
{
	unsigned state = STATE_QUIET;
	bool header = false;	/* a header or start line that is hidden was found */
	bool sparse = true;	/* nothing to look at for a while */
	struct word word = { 0 };
	size_t i = 0;

	while (i < v.n) {
		unsigned char c;
		size_t at, end, quiet;

		if (sparse && state == STATE_QUIET && (i = sip_chars_find_break(v, i, undo)) == v.n)
			break;
		end = v.n - i < DENSE ? v.n : i + DENSE;
		at = i = walk_on(v.p, i, end, steps[undo], &state);
		sparse = i == end;
		if (sparse)
			continue;
		c = (unsigned char)v.p[i];
		if (c == '\\' && (i + 1 == v.n || !escaped[(unsigned char)v.p[i + 1]])) {
			i++;		/* stands for itself */
			continue;
		}
		c = next_char(v, &i, undo);
		switch (kinds[c]) {
		case KIND_LETTER:
			if (state == STATE_QUIET)
				break;
			header = header || (state == STATE_LINE && is_one_of(FIRST_OF_WEIGHTY, span_lower(c)) && is_weighty(span_head(span_tail(v, at), 4 * WEIGHTY_MAX), undo, true));
			state = STATE_QUIET;
			if (!is_one_of(FIRST_OF_TRUSTED, span_lower(c)))
				break;
			if (begins_trusted(span_tail(v, at), undo, &quiet))
				return SIP_CHECK_MARK_DISGUISED;
			i = at + quiet > i ? at + quiet : i;
			break;
		case KIND_COLON:
			state = state == STATE_LINE ? STATE_MARKED : state;
			break;
		case KIND_LINE:
			/* what begins behind CR and not behind the LF with it is nothing */
			if (c == '\r' && i < v.n && v.p[i] == '\n')
				break;
			state = STATE_LINE;
			header = header || is_start_line(v, i, &word);
			break;
		case KIND_MARK:
		case KIND_HIGH:
			state = state == STATE_QUIET ? STATE_MARKED : state;
			break;
		default:
			break;
		}
	}
	return header ? SIP_CHECK_HEADER_DISGUISED : SIP_CHECK_OK;
}

enum sip_check
sip_disguise_check_value(struct span v)
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

#define FIRST_OF_NAMES	"cdfilmprtvx"	/* of all in trusted and weighty */

static enum sip_check
check_name(const struct sip_message *m, int i)
{
	struct span name = sip_header_name(m, i);
	size_t quiet;
	bool undone;

	if (begins_otherwise(name, FIRST_OF_NAMES))
		return SIP_CHECK_OK;
	undone = span_find(name, '%') != name.n;	/* without one there is nothing to undo */
	if (name.n >= TRUSTED_MIN && (begins_trusted(name, false, &quiet) || (undone && begins_trusted(name, true, &quiet))))
		return SIP_CHECK_MARK_DISGUISED;
	return is_weighty(name, false, false) || (undone && is_weighty(name, true, false)) ? SIP_CHECK_HEADER_DISGUISED :
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

/* No crossing lets it pass (sip/mark.c), so what it hides goes with it. */
static bool
is_stripped_always(unsigned id)
{
	return id == SIP_H_MS_TRUST || id == SIP_H_MS_VERIFICATION || id == SIP_H_X_REFUSED;
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

		if (is_stripped_always(h->id))
			continue;
		if (h->id == SIP_H_OTHER && (why = check_name(m, (int)i)) != SIP_CHECK_OK)
			return why;
		/* From the colon on, since the value leaves out a fold before it. */
		if ((any || h->folded) && (why = sip_disguise_check_value(span_of(m->bytes + h->line + h->name_n,
		    h->line_n - h->name_n - 2u))) != SIP_CHECK_OK)
			return why;
	}
	if (m->is_request && (why = check_via(&m->via)) != SIP_CHECK_OK)
		return why;
	/* A Request-URI or a reason phrase can hide one as well. */
	return any ? sip_disguise_check_value(m->start_line) : SIP_CHECK_OK;
}
