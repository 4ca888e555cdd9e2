/*
 * common/conf_lines.h - on which line a text of a list really stands.
 *
 * libconfig reads one token ahead before it takes an element of a list, so the
 * last element of a list that closes on the next line gets that line. For
 * common/conf.c only.
 */
#ifndef SALLYPORT_COMMON_CONF_LINES_H
#define SALLYPORT_COMMON_CONF_LINES_H

#include <stddef.h>

#include "common/span.h"

/* One file's text, kept while its elements are asked about. Zeroed: none yet. */
struct conf_lines {
	char	*file;
	char	*text;
	size_t	 n;
	size_t	*at;		/* where each line begins */
	size_t	 nlines;
};

/* The text of file, which is in memory; copied. */
void	conf_lines_take(struct conf_lines *, const char *file, struct span text);
/*
 * The line at or shortly before the given one that has value in double quotes;
 * the given one if there is none (a value with escapes, a file that is gone).
 */
int	conf_lines_find(struct conf_lines *, const char *file, int line, const char *value);
/* Wipes: configuration may hold secrets. */
void	conf_lines_fini(struct conf_lines *);

#endif
