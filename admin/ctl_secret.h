/*
 * admin/ctl_secret.h - what sallyportctl says about files with secrets (admin/secretfile.h).
 */
#ifndef SALLYPORT_ADMIN_CTL_SECRET_H
#define SALLYPORT_ADMIN_CTL_SECRET_H

#define CTL_SECRET_WAIT_MS	3000	/* how long another run is waited for */

/* A secretfile_report: to standard error. arg: the file's name. */
void	ctl_secret_report(void *arg, int line, const char *text);
/* Say why the file could not be read, locked or written (SP_EIO: errno), and what to exit with. */
int	ctl_secret_failed(const char *file, int err);

#endif
