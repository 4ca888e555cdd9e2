/*
 * common/span.h - borrowed bytes: a pointer and a length, never "up to the NUL".
 *
 * A span owns nothing and is valid as long as the bytes it points into. The
 * empty span may have a NULL pointer. Letter case is ASCII's, whatever the locale.
 */
#ifndef SALLYPORT_COMMON_SPAN_H
#define SALLYPORT_COMMON_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

struct span {
	const char	*p;
	size_t		 n;
};

#define SPAN_LIT(s)	((struct span){ "" s, sizeof(s) - 1 })
#define SPAN_NONE	((struct span){ NULL, 0 })
/* For printf's "%.*s", only where the bytes are known to be ours. */
#define SPAN_FMT(s)	(int)(s).n, (s).n ? (s).p : ""

static inline struct span
span_of(const char *p, size_t n)
{
	return (struct span){ p, n };
}

static inline struct span
span_str(const char *s)
{
	return (struct span){ s, s != NULL ? strlen(s) : 0 };
}

static inline bool
span_is_empty(struct span s)
{
	return s.n == 0;
}

static inline bool
span_eq(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline unsigned char
span_lower(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

static inline bool
span_ieq(struct span a, struct span b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++) {
		unsigned differ = (unsigned char)a.p[i] ^ (unsigned char)b.p[i];
		unsigned char letter = (unsigned char)a.p[i] | 0x20;

		/* the two cases of a letter differ in this bit alone */
		if (differ != 0 && (differ != 0x20 || letter < 'a' || letter > 'z'))
			return false;
	}
	return true;
}

static inline bool
span_is(struct span a, const char *s)
{
	return span_eq(a, span_str(s));
}

static inline bool
span_iis(struct span a, const char *s)
{
	return span_ieq(a, span_str(s));
}

/* The first n bytes (fewer if there are fewer), and what is left after them. */
static inline struct span
span_head(struct span s, size_t n)
{
	return span_of(s.p, n < s.n ? n : s.n);
}

static inline struct span
span_tail(struct span s, size_t n)
{
	return n < s.n ? span_of(s.p + n, s.n - n) : SPAN_NONE;
}

static inline bool
span_istarts(struct span s, struct span prefix)
{
	return s.n >= prefix.n && span_ieq(span_head(s, prefix.n), prefix);
}

/* Index of the first c, or s.n when there is none. */
static inline size_t
span_find(struct span s, char c)
{
	const char *at = s.n != 0 ? memchr(s.p, c, s.n) : NULL;

	return at != NULL ? (size_t)(at - s.p) : s.n;
}

/* Without white space (space, tab, CR, LF) at both ends. */
static inline struct span
span_trim(struct span s)
{
	/* mostly there is none */
	if (s.n == 0 || ((unsigned char)s.p[0] > ' ' && (unsigned char)s.p[s.n - 1] > ' '))
		return s;
	while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t' || s.p[0] == '\r' || s.p[0] == '\n'))
		s.p++, s.n--;
	while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t' || s.p[s.n - 1] == '\r' ||
	    s.p[s.n - 1] == '\n'))
		s.n--;
	return s;
}

/* Digits only (no sign, no space), at most max; false and *out untouched otherwise. */
static inline bool
span_uint(struct span s, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (s.n == 0 || s.n > 20)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned d = (unsigned char)s.p[i] - '0';

		/* 19 digits always fit */
		if (d > 9 || (i == 19 && v > (UINT64_MAX - d) / 10))
			return false;
		v = v * 10 + d;
	}
	if (v > max)
		return false;
	*out = v;
	return true;
}

#endif
