/*
 * policy/user.c - see user.h.
 */
#include "policy/user.h"

#include <string.h>

#define STAR	0x100		/* any characters */
#define ESCAPED	0x200		/* an escape that is not the same as its character */
#define END	0x400

/* One unit of a text and where the next begins. */
typedef int reader(struct span text, size_t *at, bool is_pattern);

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool
user_escapes_ok(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '%' && (i + 2 >= s.n || hex(s.p[i + 1]) < 0 || hex(s.p[i + 2]) < 0))
			return false;
	return true;
}

/* RFC 3261 25.1, reserved. */
static bool
is_reserved(int c)
{
	return c != 0 && strchr(";/?:@&=+$,", c) != NULL;
}

static int
read_user(struct span s, size_t *at, bool is_pattern)
{
	size_t i = *at;
	int high, low, c;

	if (i >= s.n)
		return END;
	(*at)++;
	if (s.p[i] == '*' && is_pattern)
		return STAR;
	if (s.p[i] != '%' || i + 2 >= s.n || (high = hex(s.p[i + 1])) < 0 || (low = hex(s.p[i + 2])) < 0)
		return (unsigned char)s.p[i];
	*at += 2;
	c = high << 4 | low;
	return is_reserved(c) ? ESCAPED | c : c;
}

/* A number ends where its parameters begin. */
static int
read_number(struct span s, size_t *at, bool is_pattern)
{
	for (; *at < s.n && s.p[*at] != ';'; (*at)++) {
		char c = s.p[*at];

		if (strchr("-.()", c) != NULL)
			continue;
		(*at)++;
		if (c == '*' && is_pattern)
			return STAR;
		return span_lower((unsigned char)c);
	}
	return END;
}

static bool
follows(struct span text, struct span pattern, reader *next)
{
	size_t i = 0, j = 0, star = SIZE_MAX, from = 0;

	for (;;) {
		size_t i2 = i, j2 = j;
		int a = next(text, &i2, false), b = next(pattern, &j2, true);

		if (b == STAR) {
			star = j = j2;
			from = i;
		} else if (a == b && a != END) {
			i = i2;
			j = j2;
		} else if (a == b) {
			return true;
		} else if (star == SIZE_MAX || a == END) {
			return false;
		} else {
			/* the star takes one more */
			(void)next(text, &from, false);
			i = from;
			j = star;
		}
	}
}

bool
user_follows(struct span user, struct span pattern)
{
	return follows(user, pattern, read_user);
}

bool
user_follows_number(struct span number, struct span pattern)
{
	size_t at = 0;

	return read_number(number, &at, false) != END && follows(number, pattern, read_number);
}
