/*
 * admin/trace.h - messages as they pass, shown to who asks on the control socket.
 *
 * While nobody traces, a message costs its worker one load. While somebody does,
 * it is looked at by the filter, masked, copied and sent to the control thread;
 * what that cannot take in time is dropped and counted, and the stream says so:
 * a worker never waits.
 */
#ifndef SALLYPORT_ADMIN_TRACE_H
#define SALLYPORT_ADMIN_TRACE_H

#include "admin/control.h"
#include "sip/tap.h"

#define TRACE_TRACERS	4	/* at once */
#define TRACE_QUEUE	512	/* messages on their way to the control thread */
#define TRACE_MESSAGE	16384	/* bytes of one message that are shown */

struct trace;

/* class_name: what to call sip_link_class() of this daemon. Freed after the control socket and the relays. */
struct trace *trace_new(const char *(*class_name)(unsigned));
void	trace_free(struct trace *);	/* NULL: nothing */
/* For sip_relay_add_tap(). */
struct sip_tap *trace_tap(struct trace *);

/* What "trace" may be given; it goes on until the client leaves, or "count" messages were shown. */
#define TRACE_ARGS \
	{ "domain", RECORD_TEXT, false }, { "user", RECORD_TEXT, false }, { "partner", RECORD_TEXT, false }, \
	{ "count", RECORD_INT, false }, { "heads", RECORD_BOOL, false }
void	trace_run(struct trace *, struct control_request *);
/*
 * The same; "partner" means just this server instead of whatever the request says (NULL: as it says: a server's name, or
 * what it is below).
 */
void	trace_run_with(struct trace *, struct control_request *, const char *server);

#endif
