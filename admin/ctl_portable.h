/*
 * admin/ctl_portable.h - what export, import and import-lync share.
 */
#ifndef SALLYPORT_ADMIN_CTL_PORTABLE_H
#define SALLYPORT_ADMIN_CTL_PORTABLE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "admin/ctl_store.h"
#include "admin/portable.h"
#include "common/conf.h"
#include "common/err.h"

/* The whole of a file ("-": standard input), the caller's to free. SP_OK, SP_ENOENT, SP_ELIMIT, SP_EIO, said in errs. */
int	ctl_read_file(const char *file, size_t max, char **out, size_t *n, struct conf_errors *errs);
/* A configuration file with what it includes in its place: as above, and SP_EINVAL where conf_flatten() has it. */
int	ctl_read_flat(const char *file, char **out, size_t *n, struct conf_errors *errs);
/* The file of a daemon here: the one that was named, or the usual one if it is there. NULL: none. Borrowed. */
const char *ctl_conf_of(const struct ctl_store *, enum portable_daemon);
/* The directory of a file, the caller's to free. */
char	*ctl_dir_of(const char *file);
/* Says in errs what of a file failed, and errno, which stays as it is. SP_EIO. */
static inline int
ctl_failed(struct conf_errors *errs, const char *file, const char *what)
{
	int keep = errno;

	conf_error(errs, file, 0, "%s: %s", what, strerror(errno));
	errno = keep;
	return SP_EIO;
}

/*
 * --output: a file is replaced when the new one is whole and on the disk, also where a link leads to it; what is no file is written
 * to. SP_OK, or SP_EIO (errno says why) with errs filled.
 */
int	ctl_write_output(const char *path, struct span text, struct conf_errors *errs);

/*
 * Check all of p, print what it changes, and, unless s->dry_run, make its policy a candidate and, with s->commit, put that and the
 * settings in force: everything or nothing.
 * members (may be NULL) prints more members of the object that --json prints, each with a comma behind it.
 * Returns as policystore.h says.
 */
int	ctl_take_over(struct ctl_store *s, const struct portable *p, void (*members)(void *arg), void *arg);

#endif
