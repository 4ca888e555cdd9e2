/*
 * admin/ctlclient.h - asking a daemon over its control socket.
 *
 *	struct ctlclient *c = ctlclient_new();
 *	if (ctlclient_open(c, RUNDIR "/edge.sock") == SP_OK) {
 *		ctlclient_begin(c, "partner-show");
 *		record_str(ctlclient_args(c), "name", name);
 *		if (ctlclient_send(c, -1) == SP_OK)
 *			while (ctlclient_next(c, &record) == 1)
 *				…
 *		status = ctlclient_status(c);
 *	}
 *
 * Blocking, with a deadline for each wait; one request at a time; no threads, no
 * globals, one object per thread. A daemon that says nonsense is an error, never
 * more: what it sends is checked like anybody's.
 */
#ifndef SALLYPORT_ADMIN_CTLCLIENT_H
#define SALLYPORT_ADMIN_CTLCLIENT_H

#include <stdbool.h>

#include "admin/record.h"

#define CTLCLIENT_WAIT_MS	65000	/* for the next record; longer than CONTROL_MAIN_MS */

struct ctlclient;

struct ctlclient *ctlclient_new(void);
void	ctlclient_free(struct ctlclient *);	/* closes; NULL: nothing */
/* ms that each wait may take; 0: for ever (a stream). Default CTLCLIENT_WAIT_MS. */
void	ctlclient_set_wait(struct ctlclient *, unsigned ms);
/* SP_OK, or SP_EIO (errno: ENOENT, ECONNREFUSED: nobody listens; EACCES: may not), SP_EINVAL: no path for a socket,
 * SP_ETIME: who has the socket takes no connections. */
int	ctlclient_open(struct ctlclient *, const char *path);
/* Why nobody could be asked there, and what to do, in words: path and errno of ctlclient_open()'s SP_EIO. */
const char *ctlclient_trouble(const char *path, int error);
/* Ask on that connected socket instead, which is taken over. */
void	ctlclient_adopt(struct ctlclient *, int fd);
bool	ctlclient_is_open(const struct ctlclient *);
/* For poll(); -1 when closed. */
int	ctlclient_fd(const struct ctlclient *);

/* Begin a request; its arguments go into what ctlclient_args() gives. */
void	ctlclient_begin(struct ctlclient *, const char *verb);
struct record_writer *ctlclient_args(struct ctlclient *);
/* Send it, with a descriptor unless fd is -1 (it stays the caller's). SP_OK; SP_ELIMIT: too large; else as next. */
int	ctlclient_send(struct ctlclient *, int fd);
/*
 * 1: *r is the next record, valid until the next call. 0: the end; ctlclient_status() says how. Negative,
 * and closed: SP_ECLOSED, the daemon closed (it has ended, or you may not ask it anything); SP_ETIME;
 * SP_ESYNTAX, it said nonsense; SP_EIO (errno).
 */
int	ctlclient_next(struct ctlclient *, struct record *r);
/* After the end: the daemon's status (sysexits), its sentence ("" if none; ours or an outsider's: escape it), and whether the answer was cut. */
int	ctlclient_status(const struct ctlclient *);
const char *ctlclient_why(const struct ctlclient *);
bool	ctlclient_was_cut(const struct ctlclient *);

#endif
