/*
 * admin/ctl_program.h - running a program that is installed beside sallyportctl, for what it says.
 */
#ifndef SALLYPORT_ADMIN_CTL_PROGRAM_H
#define SALLYPORT_ADMIN_CTL_PROGRAM_H

#include <stddef.h>

/*
 * Run program ("sallyport-edge") with args (NULL-ended, without its name) to its end; *said (the caller's to
 * free; may be NULL) is what it wrote to standard error. Its exit status; EX_UNAVAILABLE, and said so for
 * command, when it is not there; -1: errno, or it was killed.
 */
int	ctl_program_run(const char *program, const char *command, const char *const *args, char **said, size_t *n);
/* The same, of what it wrote to standard output. */
int	ctl_program_output(const char *program, const char *command, const char *const *args, char **out, size_t *n);

#endif
