/*
 * admin/ctl_secret.c - see ctl_secret.h.
 */
#include "admin/ctl_secret.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "common/err.h"

void
ctl_secret_report(void *arg, int line, const char *text)
{
	if (line != 0)
		fprintf(stderr, "%s:%d: %s\n", (const char *)arg, line, text);
	else
		fprintf(stderr, "%s: %s\n", (const char *)arg, text);
}

int
ctl_secret_failed(const char *file, int err)
{
	int code = errno;

	switch (err) {
	case SP_ENOENT:
		fprintf(stderr, "sallyportctl: %s: there is no such file\n", file);
		return EX_NOINPUT;
	case SP_EINVAL:
		fprintf(stderr, "sallyportctl: %s: not used, because of the errors above\n", file);
		return EX_DATAERR;
	case SP_ETIME:
		fprintf(stderr, "sallyportctl: %s: another run is changing it\n", file);
		return EX_TEMPFAIL;
	}
	fprintf(stderr, "sallyportctl: %s: %s\n", file, strerror(code));
	return code == EACCES || code == EPERM ? EX_NOPERM : EX_IOERR;
}
