/*
 * admin/ctl_step.h - what a subcommand says that looks at one thing after the other.
 *
 * Each thing is a line: ok, warn or fail, what was looked at, what was found, and
 * below it what to do about it. With JSON, an object for each, in the same frame as
 * the answers of daemons. What outsiders wrote may stand in the texts: it is escaped.
 */
#ifndef SALLYPORT_ADMIN_CTL_STEP_H
#define SALLYPORT_ADMIN_CTL_STEP_H

#include <stdbool.h>
#include <stddef.h>

enum ctl_result { CTL_OK = 0, CTL_WARN, CTL_FAIL };

struct ctl_steps {
	bool	json, begun;
	size_t	warnings, failures;
};

/* step: a word of ours; fix: a sentence for who can do something about it, or NULL. It is shown at once. */
void	ctl_step(struct ctl_steps *, enum ctl_result, const char *step, const char *fix, const char *fmt, ...)
	    __attribute__((format(printf, 5, 6)));
/* The end. 0 if nothing failed, 1 if something did; EX_IOERR if nobody could read it. */
int	ctl_steps_end(struct ctl_steps *);

#endif
