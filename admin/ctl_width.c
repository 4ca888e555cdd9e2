/*
 * admin/ctl_width.c - see ctl_width.h.
 */
#include "admin/ctl_width.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/span.h"

#define LEAST	40	/* narrower terminals break lines themselves */

size_t
ctl_width(void)
{
	struct winsize w;
	uint64_t n;

	if (span_uint(span_str(getenv("COLUMNS")), 10000, &n))
		return n != 0 && n < LEAST ? LEAST : (size_t)n;
	if ((ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 || ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0) && w.ws_col > 0)
		return w.ws_col < LEAST ? LEAST : w.ws_col;
	return 0;
}
