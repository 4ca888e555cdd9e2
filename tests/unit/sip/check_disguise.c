/*
 * sip/disguise.c walks along a value once for all that may hide in it. What it does the slow way is written out here,
 * character by character, and both have to say the same of many small values made of what matters.
 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "sip/chars.h"
#include "sip/check.h"
#include "sip/disguise.h"
#include "sip/message.h"

/* Letters and digits of the names that carry trust; a name that begins like this is one. At most 64 each. */
static const char *const trusted[] = {
	"msedgeproxymessagetrust", "msassertedverificationlevel", "passertedidentity", "msuserlogondata",
	"mssplitdomaininfo", "xsallyportrefused", "remotepartyid", "passertedservice", "pserveduser",
	"pchargingvector", "pchargingfunctionaddresses", "passociateduri", "pcalledpartyid", "pprofilekey", "puserdatabase",
	"pvisitednetworkid"
};
#define NTRUSTED	(sizeof(trusted) / sizeof(trusted[0]))

/* Names of which a second one would be another sender, another length, another way. Whole names. */
static const char *const weighty[] = {
	"from", "to", "callid", "cseq", "via", "route", "recordroute", "maxforwards", "contentlength",
	"transferencoding", "f", "t", "i", "v", "l", "diversion"
};
#define NWEIGHTY	(sizeof(weighty) / sizeof(weighty[0]))
#define WEIGHTY_MAX	16	/* length of the longest */

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

/*
 * Walks along text and looks for all trusted names at once: bit i of at[k] is
 * set while the last i + 1 letters are the first of name k. What stands between letters does not
 * count; a name begins only where `may_begin` says so.
 */
struct search {
	uint64_t	at[NTRUSTED];
};

static bool
search_step(struct search *s, unsigned char c, bool may_begin)
{
	for (size_t k = 0; k < NTRUSTED; k++) {
		uint64_t next = 0;

		if (may_begin && (unsigned char)trusted[k][0] == c)
			next = 1;
		for (uint64_t left = s->at[k]; left != 0; left &= left - 1) {
			int i = __builtin_ctzll(left) + 1;

			if ((unsigned char)trusted[k][i] == c) {
				if (trusted[k][i + 1] == '\0')
					return true;
				next |= UINT64_C(1) << i;
			}
		}
		s->at[k] = next;
	}
	return false;
}

/* Does a name that carries trust begin at the beginning of s, or (anywhere) behind what may end a line or begin a header? */
static bool
has_trusted(struct span s, bool anywhere, bool undo)
{
	struct search search = { { 0 } };
	bool may_begin = !anywhere, first = true;

	for (size_t i = 0; i < s.n; ) {
		unsigned char c = span_lower(next_char(s, &i, undo));

		if (is_letter(c)) {
			if (search_step(&search, c, may_begin))
				return true;
			may_begin = false;
			first = false;
		} else if (anywhere ? ends_line(c) || c >= 0x80 || c == '?' || c == '&' : first) {
			may_begin = true;
		}
	}
	return false;
}

/* Letters and digits of s up to the colon (or all of it when there is none); 0 when they are too many for a weighty name. */
static size_t
letters_of(struct span s, bool undo, bool *colon, char out[WEIGHTY_MAX + 1])
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
		if (n == WEIGHTY_MAX)
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
	size_t n = letters_of(s, undo, &colon, text);

	if (n == 0 || (needs_colon && !colon))
		return false;
	for (size_t i = 0; i < NWEIGHTY; i++)
		if (span_is(span_of(text, n), weighty[i]))
			return true;
	return false;
}

#define LINE_MAX_LEN	512	/* how far is looked for the end of what may be a start line */

/* "WORD sip:… SIP/2.0", behind white space. */
static bool
is_start_line(struct span s)
{
	static const char version[] = " sip/2.0";
	size_t i = 0, word;
	unsigned matched = 0;

	while (i < s.n && (s.p[i] == ' ' || s.p[i] == '\t'))
		i++;
	word = sip_chars_run(span_tail(s, i), SIP_CHAR_TOKEN);
	if (word == 0 || i + word >= s.n || s.p[i + word] != ' ')
		return false;
	s = span_tail(s, i + word + 1);
	if (!span_istarts(s, SPAN_LIT("sip:")) && !span_istarts(s, SPAN_LIT("sips:")))
		return false;
	for (i = 0; i < s.n && i < LINE_MAX_LEN; ) {
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

/* Behind what ends a line for some reader: a weighty name and a colon, or a start line. */
static bool
hides_weighty(struct span s, bool undo)
{
	for (size_t i = 0; i < s.n; ) {
		if (!ends_line(next_char(s, &i, undo)))
			continue;
		struct span rest = span_tail(s, i);

		if (is_weighty(span_head(rest, 4 * WEIGHTY_MAX), undo, true) || is_start_line(rest))
			return true;
	}
	return false;
}

static enum sip_check
check_value(struct span v)
{
	for (int undo = 0; undo <= 1; undo++) {
		if (has_trusted(v, true, undo))
			return SIP_CHECK_MARK_DISGUISED;
		if (hides_weighty(v, undo))
			return SIP_CHECK_HEADER_DISGUISED;
	}
	return SIP_CHECK_OK;
}


/* ---- both, side by side ---- */

static const char *const pieces[] = {
	"\\n", "\\r", "%0a", "%0d%0a", "%250a", "\\x0a", "\\012", "\r\n ", "\r\n\t", "?", "&", "\xef\xbc\x9f", "\xef\xbd\x8d",
	"\xc3\xa4", " ", "\t", "-", ":", "%3a", ",", "m", "ms", "ms-edge", "ms-edge-proxy-message-trust", "s", "e",
	"P-Asserted", "-Identity", "%50-asserted-identity", "from", "From:", "f", "t:", "to", "To :", "via:", "call-id:", "content",
	"-length:", "MESSAGE", "a", "sip:", "sips:", " sip:x", " SIP/2.0", "%20SIP/2.0", "\\", "%", "%2", "=", "\"", "<", ">", "x"
};

static uint64_t seed;

static unsigned
any(unsigned n)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(seed >> 33) % n;
}

/* What the message says whose one header of that value is there to be looked at. */
static enum sip_check
whole(const char *value)
{
	static struct sip_message m;
	static char bytes[2048];
	int n = snprintf(bytes, sizeof(bytes), "MESSAGE sip:b@a.example SIP/2.0\r\nVia: SIP/2.0/TLS h;branch=z9hG4bK1\r\n"
	    "From: <sip:a@a.example>;tag=1\r\nTo: <sip:b@a.example>\r\nCall-ID: 1\r\nCSeq: 1 MESSAGE\r\nX-Odd:%s\r\n"
	    "Content-Length: 0\r\n\r\n", value);

	sip_message_reset(&m);
	if (sip_message_index(&m, bytes, (size_t)n) != 0 || m.nheaders != 7)
		return SIP_NCHECKS;
	(void)sip_message_parse(&m);
	return sip_disguise_check(&m);
}

START_TEST(says_the_same)
{
	unsigned of[SIP_NCHECKS + 1] = { 0 };

	seed = 1;
	for (unsigned turn = 0; turn < 200000; turn++) {
		char value[512] = " ";
		enum sip_check was, is;

		/* short enough for the slow one's window behind a line's end to be no matter */
		for (unsigned i = any(9) + 1; i > 0; i--) {
			const char *piece = pieces[any(sizeof(pieces) / sizeof(pieces[0]))];

			if (strlen(value) + strlen(piece) < 60)
				strcat(value, piece);
		}
		is = whole(value);
		of[is]++;
		if (is == SIP_NCHECKS || is == SIP_CHECK_CONTROL)
			continue;
		was = check_value(span_str(value));
		/* what has neither escape nor fold nor 8-bit text in it is not walked along at all */
		ck_assert_msg(is == was || (is == SIP_CHECK_OK && strpbrk(value, "?&%\\\r\xef\xc3") == NULL),
		    "turn %u: %d, but slowly %d: \"%s\"", turn, (int)is, (int)was, value);
	}
	ck_assert_uint_gt(of[SIP_CHECK_OK], 10000);
	ck_assert_uint_gt(of[SIP_CHECK_MARK_DISGUISED], 1000);
	ck_assert_uint_gt(of[SIP_CHECK_HEADER_DISGUISED], 1000);
}
END_TEST

/* Offsets by the table, one at a time, against the fast look at sixteen. */
START_TEST(finds_breaks)
{
	char text[48];

	seed = 2;
	for (unsigned turn = 0; turn < 20000; turn++) {
		size_t n = any(sizeof(text) + 1), from = any((unsigned)n + 1), at = from;
		bool escapes = turn & 1;

		for (size_t i = 0; i < n; i++)
			text[i] = any(30) != 0 ? (char)('a' + any(26)) : (char)any(256);
		while (at < n && !((unsigned char)text[at] >= 0x7f || ((unsigned char)text[at] < 0x20 && text[at] != '\t') ||
		    strchr(escapes ? "?&%\\" : "?&", text[at]) != NULL))
			at++;
		ck_assert_uint_eq(sip_chars_find_break(span_of(text, n), from, escapes), at);
	}
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { says_the_same, finds_breaks };

	return unit_run("disguise", tests, sizeof(tests) / sizeof(tests[0]));
}
