/*
 * admin/http/text.c - see text.h.
 */
#include "admin/http/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

#define FIRST_ROOM	4096
#define SPEC_MAX	16	/* "%-08.3llu" and a NUL */

void
text_init(struct text *t, size_t max)
{
	*t = (struct text){ .max = max };
}

void
text_fini(struct text *t)
{
	free(t->p);
	*t = (struct text){ .max = t->max };
}

/* Room for n bytes more and a NUL. */
static bool
reserve(struct text *t, size_t n)
{
	size_t room = t->room != 0 ? t->room : FIRST_ROOM;

	if (t->failed || n > t->max - t->n) {
		t->failed = true;
		return false;
	}
	while (room < t->n + n + 1)
		room *= 2;
	if (room != t->room) {
		t->p = xrealloc(t->p, room);
		t->room = room;
	}
	return true;
}

void
text_add(struct text *t, const void *p, size_t n)
{
	if (!reserve(t, n))
		return;
	if (n != 0)
		memcpy(t->p + t->n, p, n);
	t->n += n;
	t->p[t->n] = '\0';
}

void
text_puts(struct text *t, const char *s)
{
	text_add(t, s, strlen(s));
}

static void
add_v(struct text *t, const char *fmt, va_list ap)
{
	va_list again;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (n < 0) {
		t->failed = true;
		return;
	}
	if (!reserve(t, (size_t)n))
		return;
	vsnprintf(t->p + t->n, (size_t)n + 1, fmt, ap);
	t->n += (size_t)n;
}

void
text_printf(struct text *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_v(t, fmt, ap);
	va_end(ap);
}

size_t
text_rune(struct span s, unsigned long *code)
{
	static const unsigned long least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned char c = s.n != 0 ? (unsigned char)s.p[0] : 0xff;
	size_t n = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xf0 && c < 0xf5 ? 4 : 0;
	unsigned long v = n <= 1 ? c : c & (0x7fu >> n);

	if (n == 0 || s.n < n)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if (((unsigned char)s.p[i] & 0xc0) != 0x80)
			return 0;
		v = v << 6 | ((unsigned char)s.p[i] & 0x3f);
	}
	if (v < least[n] || v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
		return 0;
	*code = v;
	return n;
}

/* Invisible, or makes what stands around it look different. */
static bool
is_treacherous(unsigned long c)
{
	return (c < ' ' && c != '\t' && c != '\n') || (c >= 0x7f && c < 0xa0) || c == 0x61c ||
	    (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) ||
	    c == 0xfeff || (c >= 0xfff0 && c <= 0xfffb) || c == 0xad || c >= 0xe0000;
}

void
text_html(struct text *t, struct span s)
{
	while (s.n != 0) {
		unsigned long c = 0;
		size_t n = text_rune(s, &c);

		if (n == 0)
			text_puts(t, "\xef\xbf\xbd");
		else if (is_treacherous(c))
			text_printf(t, "\xe2\x9f\xa8" "U+%04lX" "\xe2\x9f\xa9", c);
		else if (c == '&')
			text_puts(t, "&amp;");
		else if (c == '<')
			text_puts(t, "&lt;");
		else if (c == '>')
			text_puts(t, "&gt;");
		else if (c == '"')
			text_puts(t, "&quot;");
		else if (c == '\'')
			text_puts(t, "&#39;");
		else
			text_add(t, s.p, n);
		s = span_tail(s, n != 0 ? n : 1);
	}
}

/* One conversion: spec is "%5.1f" or the like, l the number of l's in it, z if a z. */
static void
convert(struct text *t, const char *spec, int l, bool z, char kind, va_list *ap)
{
	char number[64], c;
	const char *s;

	switch (kind) {
	case 's':
		s = va_arg(*ap, const char *);
		text_html(t, span_str(s));
		return;
	case 'c':
		c = (char)va_arg(*ap, int);
		text_html(t, span_of(&c, 1));
		return;
	case 'f':
	case 'g':
		snprintf(number, sizeof(number), spec, va_arg(*ap, double));
		break;
	case 'd':
		if (z)
			snprintf(number, sizeof(number), spec, va_arg(*ap, ssize_t));
		else if (l == 2)
			snprintf(number, sizeof(number), spec, va_arg(*ap, long long));
		else if (l == 1)
			snprintf(number, sizeof(number), spec, va_arg(*ap, long));
		else
			snprintf(number, sizeof(number), spec, va_arg(*ap, int));
		break;
	case 'u':
	case 'x':
		if (z)
			snprintf(number, sizeof(number), spec, va_arg(*ap, size_t));
		else if (l == 2)
			snprintf(number, sizeof(number), spec, va_arg(*ap, unsigned long long));
		else if (l == 1)
			snprintf(number, sizeof(number), spec, va_arg(*ap, unsigned long));
		else
			snprintf(number, sizeof(number), spec, va_arg(*ap, unsigned));
		break;
	default:
		t->failed = true;	/* a conversion that is not offered: the page must not pretend */
		return;
	}
	text_puts(t, number);
}

void
html(struct text *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	while (*fmt != '\0' && !t->failed) {
		size_t plain = strcspn(fmt, "%"), n = 1;
		char spec[SPEC_MAX];
		int l = 0;
		bool z = false;

		text_add(t, fmt, plain);
		fmt += plain;
		if (*fmt == '\0')
			break;
		if (fmt[1] == '%') {
			text_add(t, "%", 1);
			fmt += 2;
			continue;
		}
		while (fmt[n] != '\0' && strchr("-+ #0123456789.", fmt[n]) != NULL)
			n++;
		for (; fmt[n] == 'l' || fmt[n] == 'z'; n++) {
			l += fmt[n] == 'l';
			z |= fmt[n] == 'z';
		}
		if (fmt[n] == '\0' || n + 2 > sizeof(spec)) {
			t->failed = true;
			break;
		}
		memcpy(spec, fmt, n + 1);
		spec[n + 1] = '\0';
		convert(t, spec, l, z, fmt[n], &ap);
		fmt += n + 1;
	}
	va_end(ap);
}

void
text_url(struct text *t, struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '.' ||
		    c == '_' || c == '~')
			text_add(t, &s.p[i], 1);
		else
			text_printf(t, "%%%02X", c);
	}
}

char *
text_utf8(struct span s)
{
	struct text t;

	text_init(&t, s.n * 3 + 1);
	text_add(&t, "", 0);
	while (s.n != 0) {
		unsigned long c = 0;
		size_t n = text_rune(s, &c);

		if (n == 0 || (c < ' ' && c != '\t' && c != '\n') || c == 0x7f)
			text_puts(&t, "\xef\xbf\xbd");
		else
			text_add(&t, s.p, n);
		s = span_tail(s, n != 0 ? n : 1);
	}
	return t.p;
}
