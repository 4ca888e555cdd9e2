/*
 * sip/chars.h - classes of characters of SIP's grammar (RFC 3261 25.1). ASCII, whatever the locale.
 */
#ifndef SALLYPORT_SIP_CHARS_H
#define SALLYPORT_SIP_CHARS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/span.h"

#define SIP_CHAR_TOKEN	0x01	/* token: names of headers, methods, parameters, tags */
#define SIP_CHAR_WORD	0x02	/* word: Call-ID, besides its '@' */
#define SIP_CHAR_USER	0x04	/* user; what follows a '%' is looked at apart */
#define SIP_CHAR_URI	0x08	/* parameters and headers of a URI; likewise */
#define SIP_CHAR_HOST	0x10	/* host name or IPv4 address */
#define SIP_CHAR_HEX	0x20
#define SIP_CHAR_BREAK	0x40	/* behind it some reader may see a new header: LF, 8-bit, '?', '&', and the escapes of '%' and '\\' */
#define SIP_CHAR_VALUE	0x80	/* unquoted value in credentials: no white space, none of ;,"<> */
#define SIP_CHAR_PLAIN	0x100	/* what every grammar reads alike in a URI and in parameters */
#define SIP_CHAR_PARAM	0x200	/* unquoted value of a header parameter: token or host (IPv6 with brackets or without) */

extern const uint16_t sip_chars[256];

static inline bool
sip_char_is(char c, unsigned classes)
{
	return (sip_chars[(unsigned char)c] & classes) != 0;
}

#if defined(__SSE2__) && defined(__GNUC__)
#define SIP_CHARS_BY_16
/*
 * How many characters at the beginning are of that class, of n that are at least
 * four. Needs SSSE3.
 */
size_t	sip_chars_skip(const char *p, size_t n, const unsigned char class[16]);
#endif
extern const unsigned char sip_chars_token[16], sip_chars_word[16], sip_chars_user[16], sip_chars_uri[16],
	    sip_chars_host[16], sip_chars_plain[16], sip_chars_param[16];

/* The class in the form of sip_chars_skip(); NULL where there is none. */
static inline const unsigned char *
sip_chars_class(unsigned classes)
{
	switch (classes) {
	case SIP_CHAR_TOKEN:
		return sip_chars_token;
	case SIP_CHAR_WORD:
		return sip_chars_word;
	case SIP_CHAR_USER:
		return sip_chars_user;
	case SIP_CHAR_URI:
		return sip_chars_uri;
	case SIP_CHAR_HOST:
		return sip_chars_host;
	case SIP_CHAR_PLAIN:
		return sip_chars_plain;
	case SIP_CHAR_PARAM:
		return sip_chars_param;
	default:
		return NULL;
	}
}

/* How many characters at the beginning are of these classes. */
static inline size_t
sip_chars_run(struct span s, unsigned classes)
{
	size_t n = 0;

#ifdef SIP_CHARS_BY_16
	const unsigned char *class = sip_chars_class(classes);	/* a constant, where classes is one */

	if (class != NULL && s.n >= 4 && __builtin_cpu_supports("ssse3"))
		return sip_chars_skip(s.p, s.n, class);
#endif

	while (n < s.n && sip_char_is(s.p[n], classes))
		n++;
	return n;
}

/* One character or more, all of these classes. */
static inline bool
sip_chars_all(struct span s, unsigned classes)
{
	return s.n > 0 && sip_chars_run(s, classes) == s.n;
}

/*
 * Where the marks of a list of parameters are: a bit for each of at most 64 characters, the first of them bit 0. colons:
 * what a value may hold and a name may not, ':' and brackets.
 */
struct sip_marks {
	uint64_t	semicolons, equals, colons;
};
/* Of p[0..n), n at most 64: false when one is neither a mark nor part of a token. */
bool	sip_chars_marks(struct sip_marks *, const char *p, size_t n);
/*
 * Length of the parameters of a URI at the beginning of p[0..n): up to the '?' of its headers or the first character that cannot be in them. 0 when they
 * are not well-formed: one of them is empty or begins with '='. Escapes are not looked at.
 */
size_t	sip_chars_uri_params(const char *p, size_t n);
/* Offset of the first ',', '"' or '<' at or after `from`, or n. */
size_t	sip_chars_find_list(const char *p, size_t from, size_t n);
/* Is there 8-bit text or one of "?&%\\" in it: SIP_CHAR_BREAK without LF? One fast look at many bytes. */
bool	sip_chars_has_break(struct span);
/* How many of "?&%\\" there are. */
unsigned sip_chars_count_signs(struct span);
/*
 * Offset of the first character at or after `from` behind which some reader may see a new header: a control character
 * (HTAB is none), 8-bit text, '?' or '&'; escapes: '%' and '\\' as well. Or n.
 */
size_t	sip_chars_find_break(struct span, size_t from, bool escapes);
/*
 * Offset of the first character at or after `from` that may make a link of the word that it is in: '.', ':', '[', '%', and all but ASCII's blanks
 * and what can be printed. Or n.
 */
size_t	sip_chars_find_loud(const char *p, size_t from, size_t n);
/* Offset of the first 8-bit character at or after `from`, or n. */
size_t	sip_chars_find_8bit(struct span, size_t from);
#define SIP_LINES_MAX	192

/* Lines of a head, as one walk over it finds them. */
struct sip_lines {
	unsigned	 n;
	uint32_t	 end[SIP_LINES_MAX];	/* where each ends: offset of its CR */
	bool		 comma[SIP_LINES_MAX];	/* there is one in it */
	size_t		 head_n;		/* with the blank line that ends it */
	bool		 breaks;		/* sip_chars_has_break() of all of it */
};
/*
 * The lines from p[0] on, up to and with the blank one. False, and nothing of use in *lines, when that is not there,
 * something is wrong on the way, there are too many lines, or this machine cannot do it fast: then the slow way says which.
 */
bool	sip_chars_lines(const char *p, size_t n, struct sip_lines *lines);
/* Offset of the first control character (HTAB is none) at or after `from`, or n. */
size_t	sip_chars_find_control(const char *p, size_t from, size_t n);

#endif
