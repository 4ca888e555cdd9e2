/*
 * common/strbuf.c - a bounded text writer over the caller's storage.
 */
#include "common/strbuf.h"

#include <stdio.h>

void
strbuf_init(struct strbuf *sb, char *storage, size_t size)
{
	sb->p = storage;
	sb->max = size;
	strbuf_reset(sb);
}

void
strbuf_reset(struct strbuf *sb)
{
	sb->len = 0;
	sb->failed = false;
	sb->p[0] = '\0';
}

/* Takes what fits, so that a cut log line still shows its beginning. */
void
strbuf_add_cut(struct strbuf *sb, const void *p, size_t n)
{
	size_t room = sb->max - sb->len - 1;

	if (sb->failed || n == 0)
		return;
	if (n > room) {
		sb->failed = true;
		n = room;
	}
	memcpy(sb->p + sb->len, p, n);
	sb->len += n;
	sb->p[sb->len] = '\0';
}

void
strbuf_span(struct strbuf *sb, struct span s)
{
	strbuf_add(sb, s.p, s.n);
}

void
strbuf_putc(struct strbuf *sb, char c)
{
	strbuf_add(sb, &c, 1);
}

void
strbuf_uint(struct strbuf *sb, uint64_t v)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v != 0);
	strbuf_add(sb, digits + at, sizeof(digits) - at);
}

void
strbuf_hex(struct strbuf *sb, const void *p, size_t n, bool upper)
{
	const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	const unsigned char *at = p;
	char pair[2];

	for (size_t i = 0; i < n && !sb->failed; i++) {
		pair[0] = digits[at[i] >> 4];
		pair[1] = digits[at[i] & 15];
		strbuf_add(sb, pair, 2);
	}
}

void
strbuf_printf(struct strbuf *sb, const char *fmt, ...)
{
	size_t room = sb->max - sb->len;
	va_list ap;
	int n;

	if (sb->failed)
		return;
	va_start(ap, fmt);
	n = vsnprintf(sb->p + sb->len, room, fmt, ap);
	va_end(ap);
	if (n < 0) {
		sb->p[sb->len] = '\0';
		sb->failed = true;
	} else if ((size_t)n >= room) {
		sb->len = sb->max - 1;
		sb->failed = true;
	} else {
		sb->len += (size_t)n;
	}
}

/* May it stand between the quotes as it is? */
static bool
is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* The bytes before the first that is not plain; eight are looked at together. */
static size_t
plain_run(const char *p, size_t n)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
	uint64_t w, odd;
	size_t i = 0;

	for (; n - i >= sizeof(w); i += sizeof(w)) {
		memcpy(&w, p + i, sizeof(w));
		/* a top bit is set where a byte is below 0x20, a quote, a back slash, DEL, or has its own set */
		odd = (w - ones * 0x20) | ((w ^ ones * '"') - ones) | ((w ^ ones * '\\') - ones) | ((w ^ ones * 0x7f) - ones) | w;
		if ((odd & tops) != 0)
			break;
	}
	while (i < n && is_plain((unsigned char)p[i]))
		i++;
	return i;
}

void
strbuf_quoted(struct strbuf *sb, struct span outside, size_t max)
{
	bool cut = outside.n > max;
	size_t n = cut ? max : outside.n, run;

	strbuf_putc(sb, '"');
	for (size_t i = 0; i < n && !sb->failed; i++) {
		run = plain_run(outside.p + i, n - i);
		strbuf_add(sb, outside.p + i, run);
		if ((i += run) == n)
			break;
		strbuf_add(sb, "\\x", 2);
		strbuf_hex(sb, outside.p + i, 1, false);
	}
	/* Outside the quotes, where nobody outside can write three dots. */
	strbuf_puts(sb, cut ? "\"..." : "\"");
}
