/*
 * admin/ctl_password.h - a password for sallyportctl: from a terminal, a file or
 * standard input, never from the command line, where everybody on the machine
 * could read it.
 */
#ifndef SALLYPORT_ADMIN_CTL_PASSWORD_H
#define SALLYPORT_ADMIN_CTL_PASSWORD_H

#include <stddef.h>

#define CTL_PASSWORD_MAX	256	/* bytes; of a longer one, one byte more is taken, so that it is refused */
#define CTL_PASSWORD_ROOM	(CTL_PASSWORD_MAX + 2)

/*
 * The first line of file ("-": of standard input); without a file, asked for twice
 * at the terminal if standard input is one, else its first line. EX_OK with *n
 * bytes and a NUL in out, which the caller wipes; else it has said why.
 */
int	ctl_password(const char *file, char out[CTL_PASSWORD_ROOM], size_t *n);

#endif
