/*
 * common/conf_report.h - between conf.c, which reads, and conf_report.c, which
 * says what was wrong. Nobody else includes it.
 */
#ifndef SALLYPORT_COMMON_CONF_REPORT_H
#define SALLYPORT_COMMON_CONF_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/conf.h"

#define CONF_PATH_MAX	256	/* of an option's full path in messages; cut there */

/* The option at path stood at file:line. All are copied. */
void	 conf_remember(struct conf_errors *, const char *path, const char *file, int line);

/* Is a, as written, so near to b that b was probably meant? */
bool	 conf_is_near(const char *a, const char *b);
/* What was probably meant by path, into out; false when nothing is near. */
bool	 conf_suggest(const struct conf_item *items, const char *path, char out[CONF_PATH_MAX]);

/* The numbers that a CONF_INT may have. */
void	 conf_range_of(const struct conf_item *, long *min, long *max);

#endif
