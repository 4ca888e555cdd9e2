/*
 * admin/portable.h - a configuration as one file that can go to another machine.
 *
 * It is JSON, one object:
 *
 *	"sallyport": "configuration"
 *	"format": 1
 *	"written": "2026-11-20T15:04:05Z"
 *	"policy": the policy's text, one element for each line; what it included stands in its place
 *	"edge", "director": objects of options, by their paths ("limits.connections": 50000)
 *
 * Of edge.conf and director.conf only what does not belong to the machine is in it: limits, times, switches,
 * and the texts that PORTABLE_TEXTS names. Addresses, host names, paths, users, keys and passwords are
 * not, whatever options there will be: a text that is not named there is left out.
 */
#ifndef SALLYPORT_ADMIN_PORTABLE_H
#define SALLYPORT_ADMIN_PORTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "common/span.h"

struct conf_errors;
struct json_t;		/* libjansson's */

#define PORTABLE_MAX	(64u << 20)	/* bytes of such a file, written or read */

enum portable_daemon { PORTABLE_EDGE = 0, PORTABLE_DIRECTOR, PORTABLE_NDAEMONS };
/* "edge", "director" */
const char *portable_daemon_name(enum portable_daemon);

struct portable {
	char		*policy;	/* NULL: there is none; NUL behind n bytes */
	size_t		 n;
	struct json_t	*settings[PORTABLE_NDAEMONS];	/* objects, or NULL */
};
/* Also of a zeroed one. */
void	portable_fini(struct portable *);

/* May that option go along? is_text: its value is a text, or several. */
bool	portable_option(enum portable_daemon, const char *path, bool is_text);

/*
 * Take what is portable out of the text of edge.conf or director.conf (without @include: conf_flatten()).
 * How many options were left out is counted. SP_OK, or SP_EINVAL with errs filled: one that should go along cannot.
 */
int	portable_collect(struct portable *, enum portable_daemon, const char *name, struct span text, size_t *left_out,
	    struct conf_errors *errs);
/* Add one option whose value is a number. */
void	portable_number(struct portable *, enum portable_daemon, const char *path, long value);

/*
 * SP_OK; SP_ESYNTAX: the policy is not UTF-8, *line says where; SP_ELIMIT: more than PORTABLE_MAX, which nobody would take.
 * Errors of f, a file or memory of its own, are the caller's to look for.
 */
int	portable_write(FILE *f, const struct portable *, size_t *line);
/*
 * SP_OK, or SP_EINVAL with errs filled: not such a file, of another format, an option that is not portable, of a kind
 * that it cannot be, or a policy that includes files. *out goes to portable_fini() in any case.
 */
int	portable_read(const char *name, struct span bytes, struct portable *out, struct conf_errors *errs);

/*
 * The text of edge.conf or director.conf with the settings in it; each is called for those that it changes (was NULL: it was not
 * there; values as they are written). SP_OK with *out (xmalloc'ed, NUL behind *n bytes), or SP_EINVAL with errs filled.
 * dir: where files are that the text includes. They are read, so that what is set there already is no change; an option that would
 * have to change there is refused, and errs names file and line.
 */
int	portable_merge(const struct portable *, enum portable_daemon, const char *name, struct span text, const char *dir, char **out,
	    size_t *n, void (*each)(void *arg, enum portable_daemon, const char *path, const char *was, const char *now), void *arg,
	    struct conf_errors *errs);

#endif
