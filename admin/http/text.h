/*
 * admin/http/text.h - text of an answer: it grows up to a limit, and what is put
 * into it is escaped unless it stands in our own source.
 *
 * Pages are written with html(): every %s of its format is escaped, so there is
 * no way to put an outsider's bytes on a page as they are. What does not fit
 * marks the text as failed, and failed it stays.
 */
#ifndef SALLYPORT_ADMIN_HTTP_TEXT_H
#define SALLYPORT_ADMIN_HTTP_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/span.h"

struct text {
	char	*p;	/* NUL-terminated once something was written; owned */
	size_t	 n, room, max;
	bool	 failed;
};

/* At most max bytes. */
void	text_init(struct text *, size_t max);
void	text_fini(struct text *);	/* and ready for text_init() again */
void	text_add(struct text *, const void *, size_t n);
void	text_puts(struct text *, const char *);
/* As printf, unescaped: for numbers and words of ours. */
void	text_printf(struct text *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * As it may stand in HTML, also between double quotes. What is not UTF-8 becomes
 * U+FFFD; controls and marks that change the direction of writing are shown by
 * their number, since they would make a text look like another.
 */
void	text_html(struct text *, struct span);
/*
 * A piece of a page: like printf with %s %d %u %x %zu %ld %lu %lld %llu %f %g %c and
 * %% (flags, width and precision as usual), and every %s and %c escaped. NULL is "".
 */
void	html(struct text *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Percent-encoded, as it may stand in the path or the query of an address. */
void	text_url(struct text *, struct span);
/* The same bytes as valid UTF-8 without controls but tab and newline, bad ones as U+FFFD; for JSON. The caller frees. */
char	*text_utf8(struct span);
/* Bytes of the character at the start of s, 1 to 4 with *code set; 0 if it is not UTF-8 (RFC 3629). */
size_t	text_rune(struct span, unsigned long *code);

#endif
