/*
 * admin/recent.h - the refusals that a daemon has logged lately, over its control socket:
 *
 *	refusals	(after=N) records "refusal", oldest first: number, time, and the fields of the
 *			log line (reason, ref, from …) as the log has them, escaped; then "newest" with number
 */
#ifndef SALLYPORT_ADMIN_RECENT_H
#define SALLYPORT_ADMIN_RECENT_H

#include "admin/control.h"

#define RECENT_REFUSALS	400	/* that are kept: log_keep("refused", RECENT_REFUSALS) */

extern const struct control_verb recent_verbs[];

/* A log line as the fields of a record; pure. False: it is none. */
bool	recent_parse(struct span line, struct record_writer *);

#endif
