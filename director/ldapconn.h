/*
 * director/ldapconn.h - one thread's connection to the directory. The only
 * room of libldap.
 *
 * Everything here waits, at most the configured time for each step; only the
 * threads of ldapd call it.
 */
#ifndef SALLYPORT_DIRECTOR_LDAPCONN_H
#define SALLYPORT_DIRECTOR_LDAPCONN_H

#include "director/authd.h"
#include "director/dirconf.h"
#include "director/overdue.h"

/* Host names of pools by the DN of their entry, shared by all threads. */
struct ldap_names;
struct ldap_names *ldap_names_new(void);

/* The TCP port of a server's URI. */
uint16_t ldap_conn_port(const char *uri);
/* Once, before there are threads: the process's own surroundings do not count. */
void	ldap_conn_prepare(const struct dirconf *);

/* All is borrowed for as long as the process lives. */
struct ldap_conn;
struct ldap_conn *ldap_conn_new(const struct dirconf *, struct ldap_names *, struct overdue *, const char *password,
	    size_t n);
/*
 * Ask server number i, connecting to it if that is not done: true with *who filled (not found:
 * empty); false with a sentence in failure. Whom is an address, or a login as in director/entry.h; then
 * the address is what the entry says, and an entry without one is nobody's.
 */
bool	ldap_conn_find(struct ldap_conn *, size_t i, struct span whom, bool login, struct authd_user *who, char *failure,
	    size_t size);

#endif
