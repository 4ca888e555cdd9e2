/*
 * director/overdue.h - an end to waiting that a library has no end for.
 *
 * libldap's own time-outs do not hold during a TLS handshake. A thread says by when a step must be
 * done; when it is not, its connection is shut down under it, and the library
 * sees the far end close. One more thread looks after all of them.
 */
#ifndef SALLYPORT_DIRECTOR_OVERDUE_H
#define SALLYPORT_DIRECTOR_OVERDUE_H

#include <stdint.h>

struct overdue;		/* all of them */
struct overdue_one;	/* that of one thread */

/* Starts the thread that looks. NULL: it could not start. Neither is ever freed. */
struct overdue *overdue_new(void);
struct overdue_one *overdue_add(struct overdue *);
/* The connection has this descriptor now; -1: there is none. A duplicate is kept, so it may be closed at any time. */
void	 overdue_watch(struct overdue_one *, int fd);
/* Shut it down, also one that comes later, when so much time has gone by; 0: the step is done. */
void	 overdue_in(struct overdue_one *, unsigned ms);

#endif
