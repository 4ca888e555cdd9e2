/*
 * common/strbuf.h - a bounded text writer over the caller's storage.
 *
 * What does not fit marks the buffer as failed, and failed it stays: callers
 * write as much as they like and ask once at the end. The text is always
 * NUL-terminated; of what did not fit, the beginning is there. Nothing is
 * allocated.
 */
#ifndef SALLYPORT_COMMON_STRBUF_H
#define SALLYPORT_COMMON_STRBUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/span.h"

struct strbuf {
	char	*p;		/* storage, borrowed from the caller */
	size_t	 len;		/* bytes written, without the NUL */
	size_t	 max;		/* size of the storage, the NUL included */
	bool	 failed;	/* something did not fit */
};

/* size must be at least 1. */
void	strbuf_init(struct strbuf *, char *storage, size_t size);
/* Empty again, no longer failed. */
void	strbuf_reset(struct strbuf *);

/* These are here so that a literal's length is known when it is compiled. What does not fit is strbuf_add_cut()'s. */
void	strbuf_add_cut(struct strbuf *, const void *p, size_t n);
static inline void
strbuf_add(struct strbuf *sb, const void *p, size_t n)
{
	if (sb->failed || n == 0 || n >= sb->max - sb->len) {
		strbuf_add_cut(sb, p, n);
		return;
	}
	memcpy(sb->p + sb->len, p, n);
	sb->len += n;
	sb->p[sb->len] = '\0';
}
static inline void
strbuf_puts(struct strbuf *sb, const char *s)
{
	strbuf_add(sb, s, strlen(s));
}
void	strbuf_span(struct strbuf *, struct span);
void	strbuf_putc(struct strbuf *, char);
void	strbuf_uint(struct strbuf *, uint64_t);
/* Two digits a byte; upper-case digits if upper. */
void	strbuf_hex(struct strbuf *, const void *p, size_t n, bool upper);
void	strbuf_printf(struct strbuf *, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));
/*
 * An outsider's text as it may be shown: in double quotes, with quotes, back
 * slashes, controls and 8-bit bytes as \xHH; only max bytes of it are shown,
 * and three dots after the closing quote say that it was cut.
 */
void	strbuf_quoted(struct strbuf *, struct span outside, size_t max);

static inline bool
strbuf_ok(const struct strbuf *sb)
{
	return !sb->failed;
}

static inline struct span
strbuf_span_of(const struct strbuf *sb)
{
	return span_of(sb->p, sb->len);
}

#endif
