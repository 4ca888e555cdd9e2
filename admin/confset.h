/*
 * admin/confset.h - single options in the text of a configuration file, looked at and set with the rest of the
 * text left as it is: comments, layout, what nobody here knows.
 */
#ifndef SALLYPORT_ADMIN_CONFSET_H
#define SALLYPORT_ADMIN_CONFSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/span.h"

#define CONFSET_PATH	128	/* bytes of an option's path, with its NUL; longer ones are passed over */
#define CONFSET_DEEP	8	/* groups in one another; what is deeper is passed over */

/*
 * Call each for every option that is not in a list of groups: its path as conf.h has it ("limits.users") and its
 * value as it is written, quotes and brackets included. Borrowed during the call. Of a text that libconfig
 * would refuse, some are found and some are not.
 */
void	confset_each(struct span text, void (*each)(void *arg, const char *path, struct span value), void *arg);
/* Its value, or an empty span. */
struct span confset_get(struct span text, const char *path);
/* Where its value begins, or that of a group; CONFSET_NOWHERE: it is not there. */
#define CONFSET_NOWHERE	SIZE_MAX
size_t	confset_find(struct span text, const char *path);
/*
 * The text with that option set to value, as it is to be written; groups that are not there are made. NULL: a group of its path
 * is something else there, or the path is none; else xmalloc'ed with a NUL behind *n bytes. Who calls it makes sure of the result by
 * having it read.
 */
char	*confset_put(struct span text, const char *path, const char *value, size_t *n);

#endif
