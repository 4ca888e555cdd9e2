/*
 * admin/daemonverbs.h - what every daemon is asked over its control socket, and does in the same way:
 *
 *	connections	(class=, name=, peer=) a record "connection" each, see admin/view.h
 *	reload		read files again; records "error" if not all is taken over
 *	drain		end, as by SIGTERM
 *	reopen-logs	open the log files again
 */
#ifndef SALLYPORT_ADMIN_DAEMONVERBS_H
#define SALLYPORT_ADMIN_DAEMONVERBS_H

#include <stdbool.h>

#include "admin/control.h"

struct backstage;
struct conf_errors;
struct sip_link;
struct sip_relay;

/* How a daemon does it. owner is control_owner(); all but the last two are called in the main thread. */
struct daemon_acts {
	bool			 (*reload)(void *owner, struct conf_errors *);	/* false: not all was taken over */
	const char		*refused;					/* what that means, in a sentence */
	bool			 (*reopen)(void *owner);
	struct backstage	*(*stage)(void *owner);
	struct sip_relay	*(*relay)(void *worker);			/* of a net_worker's owner, in its thread */
	const char		*(*link_class)(struct sip_link *);		/* what the far end is; static */
};

/* For control_setup.verbs of a daemon that has control_setup.acts. */
extern const struct control_verb daemon_verbs[];

#endif
