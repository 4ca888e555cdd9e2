#include "sip/disguise.h"

#include "sip/chars.h"
#include "sip/message.h"

/* Letters and digits of the names that carry trust; a name that begins like this is one. At most 64 each. */
static const char *const trusted[] = {
	"msedgeproxymessagetrust", "msassertedverificationlevel", "passertedidentity", "msuserlogondata",
	"mssplitdomaininfo", "xsallyportrefused", "remotepartyid", "passertedservice", "pserveduser",
	"pchargingvector", "pchargingfunctionaddresses"
};
#define NTRUSTED	(sizeof(trusted) / sizeof(trusted[0]))
#define TRUSTED_MIN	11	/* length of the shortest */

/* Names of which a second one would be another sender, another length, another way. Whole names. */
static const char *const weighty[] = {
	"from", "to", "callid", "cseq", "via", "route", "recordroute", "maxforwards", "contentlength",
	"transferencoding", "f", "t", "i", "v", "l"
};
#define NWEIGHTY	(sizeof(weighty) / sizeof(weighty[0]))
#define WEIGHTY_MAX	16	/* length of the longest */

static const char *const foreign_identities[] = {
	"Remote-Party-ID", "P-Asserted-Service", "P-Served-User", "P-Charging-Vector", "P-Charging-Function-Addresses"
};

bool
sip_is_foreign_identity(struct span name)
{
	unsigned char c = span_lower((unsigned char)name.p[0]);

	if (c != 'r' && c != 'p')
		return false;
	for (size_t i = 0; i < sizeof(foreign_identities) / sizeof(foreign_identities[0]); i++)
		if (span_iis(name, foreign_identities[i]))
			return true;
	return false;
}

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

/*
 * A line break of Unicode's (NEL, LS, PS), or a character in more bytes than it
 * takes, which is how a line break or a letter comes past a check.
 */
static bool
has_odd_break(struct span s)
{
	for (size_t i = 0; i + 1 < s.n; i++) {
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
	if (name.n >= TRUSTED_MIN && (has_trusted(name, false, false) || (escaped && has_trusted(name, false, true))))
		return sip_is_foreign_identity(name) ? SIP_CHECK_OK : SIP_CHECK_MARK_DISGUISED;
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
		n = letters_of(piece, true, &colon, text);
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
	bool any = sip_chars_has_break(head);
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
