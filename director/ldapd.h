/*
 * director/ldapd.h - the process that asks the directory.
 *
 * Forked by authd before that has read the user file, so that what LDAP servers
 * send is parsed where no password hash is. Some threads, each with a connection
 * of its own: a server that hangs keeps a thread for a moment and nobody else.
 * A keeper forks it anew when it dies, and when its configuration has changed:
 * AUTHD_RELOAD makes the keeper read the configuration file and the password
 * again. The keeper reads nothing that comes from outside; the process that does
 * is in a sandbox.
 *
 * Questions and answers are frames of authd.h, AUTHD_LOOKUP or AUTHD_LOGIN, and AUTHD_USER (and
 * AUTHD_REOPEN and AUTHD_RELOAD, which have no answer), one in each packet. The keeper looks after it (common/watch.h): a process
 * that is stopped, or none of whose threads comes to an end with what it asks, is killed and forked anew; and says itself, by
 * AUTHD_BEAT, that it is well. A process that begins says
 * AUTHD_DONE without a body, and so does a keeper that has nobody to be asked: what the one before it was asked is
 * lost, and to be asked again. The tag says how often the keeper had read its configuration again. After AUTHD_RELOAD
 * more than one answer may come by the old configuration (the threads end one after the other); none after AUTHD_DONE.
 */
#ifndef SALLYPORT_DIRECTOR_LDAPD_H
#define SALLYPORT_DIRECTOR_LDAPD_H

#include <stddef.h>

#include "director/dirconf.h"

#define LDAPD_PACKET_MAX	2048
#define LDAPD_PASSWORD_MAX	1024

/*
 * The first line of a file that nobody but its owner (root or we) may read. SP_OK with *n set;
 * SP_EINVAL (logged). The caller wipes it.
 */
int	ldapd_read_password(const char *path, char out[LDAPD_PASSWORD_MAX], size_t *n);

/*
 * Become the keeper: never returns. fd: our side of the pair, blocking. run_as as in authd; file: where the
 * configuration is read again, NULL: it never is. hung_ms: as in authd_setup. Ends when the other side has closed.
 */
void	ldapd_keep(const struct dirconf *, const char *file, const char *run_as, unsigned hung_ms, const char *password,
	    size_t n, int fd) __attribute__((noreturn));

#endif
