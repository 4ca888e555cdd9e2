/*
 * admin/secretfile.h - small files of lines with something secret in them: mode
 * 0600, read by their owner and root only, replaced as a whole.
 */
#ifndef SALLYPORT_ADMIN_SECRETFILE_H
#define SALLYPORT_ADMIN_SECRETFILE_H

#include <stddef.h>

#include "common/span.h"

#define SECRETFILE_LINE_MAX	2048	/* bytes of a line with its newline */

/* line 0: about the file as a whole. text is ours and holds nothing secret. */
typedef void (*secretfile_report)(void *arg, int line, const char *text);
/* A line that is neither empty nor a comment ('#'), trimmed. SP_OK, or it has reported why not. */
typedef int (*secretfile_line)(void *arg, struct span text, int line);

/*
 * Give every line to take. SP_OK; SP_ENOENT if there is no such file; SP_EINVAL if
 * it is readable by others, not a file or owned by a stranger (root may read
 * anybody's), or a line is wrong (every wrong line is reported); SP_EIO (errno).
 */
int	secretfile_lines(const char *path, secretfile_report, void *report_arg, secretfile_line take, void *take_arg);

/* All of p; SP_OK or SP_EIO (errno). */
int	secretfile_write(int fd, const char *p, size_t n);
/*
 * What write() puts into a new file beside it takes its place when it is on the
 * disk. Mode 0600; the owner of the old file, or else of the directory, stays the
 * owner if we may give it away. SP_OK or SP_EIO (errno), then the old file stays.
 */
int	secretfile_replace(const char *path, int (*write)(const void *arg, int fd), const void *arg);

/*
 * Exclusive right to read, change and replace (a lock file beside it); waits at
 * most wait_ms. *fd is to be given to secretfile_unlock(). SP_OK, SP_ETIME, SP_EIO (errno).
 */
int	secretfile_lock(const char *path, unsigned wait_ms, int *fd);
void	secretfile_unlock(int fd);

#endif
