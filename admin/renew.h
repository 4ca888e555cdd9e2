/*
 * admin/renew.h - certificate files that change while a daemon runs are noticed,
 * loaded beside, checked completely, and handed over. For its control thread.
 */
#ifndef SALLYPORT_ADMIN_RENEW_H
#define SALLYPORT_ADMIN_RENEW_H

#include <stddef.h>

#include "net/tls.h"

#define RENEW_EVERY_MS	1000	/* how often daemons look */

struct renew;
struct renew *renew_new(size_t nidentities);
void	renew_free(struct renew *);		/* NULL: nothing */
/*
 * Identity i (from 0) comes from these files, and m is what was made of them: a
 * reference is taken. label names it in the log ("outer[0]"). Strings are copied.
 * files or m NULL: there is no such identity.
 */
void	renew_watch(struct renew *, size_t i, const char *label, const struct net_tls_files *, struct net_tls_material *m);
/*
 * Look at all files. A set of them that has changed and was left alone since the
 * last look (so that certificate and key are both there) is loaded: if it is good
 * and different, out[i] is the new material, with a reference for the caller; if
 * it is bad, that is logged as an error, once, and the old stays in force. Else
 * out[i] is NULL. How many there are.
 */
unsigned renew_look(struct renew *, struct net_tls_material **out);

#endif
