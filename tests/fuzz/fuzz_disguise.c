/*
 * tests/fuzz/fuzz_disguise.c - what hides in a value of a header, found in one walk. It is what a reader finds
 * who looks from each place behind which somebody may see a header, one after the other.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/span.h"
#include "sip/disguise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char *const trusted[] = {
	"msedgeproxymessagetrust", "msassertedverificationlevel", "passertedidentity", "msuserlogondata", "mssplitdomaininfo",
	"xsallyportrefused", "remotepartyid", "passertedservice", "pserveduser", "pchargingvector", "pchargingfunctionaddresses",
	"passociateduri", "pcalledpartyid", "pprofilekey", "puserdatabase", "pvisitednetworkid"
};
static const char *const weighty[] = {
	"from", "to", "callid", "cseq", "via", "route", "recordroute", "maxforwards", "contentlength", "transferencoding",
	"f", "t", "i", "v", "l", "diversion"
};

static int
hex(struct span s, size_t i)
{
	char text[3] = "";

	if (i + 2 > s.n || strchr("0123456789abcdefABCDEF", s.p[i]) == NULL || s.p[i] == '\0' ||
	    strchr("0123456789abcdefABCDEF", s.p[i + 1]) == NULL || s.p[i + 1] == '\0')
		return -1;
	memcpy(text, s.p + i, 2);
	return (int)strtol(text, NULL, 16);
}

/* What an escape at *i stands for. */
static unsigned char
escape(struct span s, size_t *i)
{
	char next = *i + 1 < s.n ? s.p[*i + 1] : '\0';
	int pair = hex(s, *i + 2);

	if (s.p[*i] == '%') {
		int c = '%';

		for (*i += 1; c == '%' && hex(s, *i) >= 0; *i += 2)
			c = hex(s, *i);
		return (unsigned char)c;
	}
	*i += 1;
	if (next != '\0' && strchr("nrvf", next) != NULL) {
		*i += 1;
		return '\n';
	}
	if (next == 'x' && pair >= 0) {
		*i += 3;
		return (unsigned char)pair;
	}
	if (next == 'u' && span_istarts(span_tail(s, *i), SPAN_LIT("u00")) && hex(s, *i + 3) >= 0) {
		*i += 5;
		return (unsigned char)hex(s, *i - 2);
	}
	if (next != '0')
		return '\\';
	*i += 1;
	for (int n = 0; n < 2 && *i < s.n && s.p[*i] >= '0' && s.p[*i] <= '7'; n++)
		*i += 1;
	return '\n';
}

static unsigned char
character(struct span s, size_t *i, bool undo)
{
	unsigned char c = (unsigned char)s.p[*i];

	if (undo && (c == '%' || c == '\\'))
		return escape(s, i);
	if (c == 0xef && s.n - *i >= 3) {
		unsigned v = ((unsigned char)s.p[*i + 1] & 0x3fu) << 6 | ((unsigned char)s.p[*i + 2] & 0x3fu);

		if (((unsigned char)s.p[*i + 1] & 0xc0) == 0x80 && ((unsigned char)s.p[*i + 2] & 0xc0) == 0x80 && v >= 0xf01 &&
		    v <= 0xf5e) {
			*i += 3;
			return (unsigned char)(v - 0xf01 + 0x21);
		}
	}
	*i += 1;
	return c;
}

static bool
is_letter(unsigned char c)
{
	c = span_lower(c);
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool
ends_line(unsigned char c)
{
	return (c < 0x20 && c != '\t') || c == 0x7f;
}

/* The letters behind place i are a name that carries trust. */
static bool
is_trusted(struct span s, size_t i, bool undo)
{
	char text[64];
	size_t n = 0;

	while (i < s.n && n < sizeof(text)) {
		unsigned char c = span_lower(character(s, &i, undo));

		if (is_letter(c))
			text[n++] = (char)c;
	}
	for (size_t k = 0; k < sizeof(trusted) / sizeof(trusted[0]); k++)
		if (n >= strlen(trusted[k]) && memcmp(text, trusted[k], strlen(trusted[k])) == 0)
			return true;
	return false;
}

/* Behind place i stands a name of weight, and a colon within 64 characters of its first letter. */
static bool
is_header(struct span s, size_t i, bool undo)
{
	char text[16];
	size_t n = 0;
	bool colon = false;

	/* to the first letter */
	for (size_t at = i; ; at = i) {
		unsigned char c;

		if (i >= s.n || (c = character(s, &i, undo)) == ':')
			return false;
		if (is_letter(c)) {
			s = span_head(span_tail(s, at), 64);
			break;
		}
	}
	for (i = 0; i < s.n && !colon; ) {
		unsigned char c = span_lower(character(s, &i, undo));

		colon = c == ':';
		if (ends_line(c))
			return false;
		if (is_letter(c) && n == sizeof(text))
			return false;
		if (is_letter(c))
			text[n++] = (char)c;
	}
	for (size_t k = 0; colon && k < sizeof(weighty) / sizeof(weighty[0]); k++)
		if (span_is(span_of(text, n), weighty[k]))
			return true;
	return false;
}

static bool
is_token(char c)
{
	return is_letter((unsigned char)c) || (c != '\0' && strchr("!%'*+-.`_~", c) != NULL);
}

static bool
is_start_line(struct span s, size_t i)
{
	size_t word, matched = 0, begin;

	while (i < s.n && (s.p[i] == ' ' || s.p[i] == '\t'))
		i++;
	for (word = i; i < s.n && is_token(s.p[i]); )
		i++;
	if (i == word || i == s.n || s.p[i] != ' ')
		return false;
	begin = ++i;
	if (!span_istarts(span_tail(s, i), SPAN_LIT("sip:")) && !span_istarts(span_tail(s, i), SPAN_LIT("sips:")))
		return false;
	while (i < s.n && i - begin < 512) {
		unsigned char c = span_lower(character(s, &i, true));

		if (ends_line(c))
			return false;
		matched = c == (unsigned char)" sip/2.0"[matched] ? matched + 1 : c == ' ' ? 1 : 0;
		if (matched == 8)
			return true;
	}
	return false;
}

static enum sip_check
look_at_each(struct span s, bool undo)
{
	bool header = false;

	for (size_t i = 0; i < s.n; ) {
		unsigned char c = character(s, &i, undo);
		bool line = ends_line(c);

		if ((c == '\r' && i < s.n && s.p[i] == '\n') || (!line && c < 0x80 && c != '?' && c != '&'))
			continue;
		if (is_trusted(s, i, undo))
			return SIP_CHECK_MARK_DISGUISED;
		header = header || (line && (is_header(s, i, undo) || is_start_line(s, i)));
	}
	return header ? SIP_CHECK_HEADER_DISGUISED : SIP_CHECK_OK;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct span s = span_of((const char *)data, len);
	enum sip_check want;

	if (len == 0 || len > 4096)
		return 0;
	want = look_at_each(s, false);
	if (want == SIP_CHECK_OK)
		want = look_at_each(s, true);
	assert(sip_disguise_check_value(s) == want);
	return 0;
}
