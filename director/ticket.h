/*
 * director/ticket.h - Kerberos tickets, on the side that has the keytab.
 *
 * MS-SIPAE has one leg: the client's token is the AP-REQ for sip/<our name>,
 * and nothing goes back (MS 6). A token is accepted once: the library keeps
 * which authenticators it has seen, in a file that outlives authd.
 *
 * Accepting a ticket takes a key from the keytab and asks nobody: no KDC, no
 * DNS. It reads and writes files, which is why it is authd that does it and
 * not a network thread.
 *
 * Only Kerberos is accepted. A token of any other mechanism, SPNEGO with NTLM
 * in it included, proves nothing.
 */
#ifndef SALLYPORT_DIRECTOR_TICKET_H
#define SALLYPORT_DIRECTOR_TICKET_H

#include "common/conf.h"
#include "director/authd.h"

#define TICKET_LIFETIME_MAX	28800	/* seconds of a session, however long the ticket is good for (MS 3.6) */

struct tickets;

struct ticket_setup {
	const char	*keytab;	/* path; nobody but its owner may read it */
	const char	*host;		/* ours: tickets are for sip/<host> */
	bool		 directory;	/* users may be there alone: the asker looks them up when they have proved themselves */
	const struct dirconf *logins;	/* realms that are there (ldap.logins) have accounts, not addresses; NULL: none */
	const struct conf_strs *realms;	/* each "REALM=domain"; NULL or none: a realm's domain is its name in lower case */
};

/*
 * SP_OK; SP_EINVAL if the keytab is not there, is open to others, or has no key
 * for sip/<host> (it has logged which). The strings of the setup stay borrowed.
 */
int	 tickets_open(struct tickets **, const struct ticket_setup *);
/* The same without opening: why it is SP_EINVAL. */
#define TICKET_WHY_MAX	400
int	 tickets_check(const struct ticket_setup *, char why[TICKET_WHY_MAX]);
void	 tickets_close(struct tickets *);	/* NULL: nothing */

/*
 * The verdict on a token. Fills all of *a; for AUTHD_OK a->session points into
 * storage of t until the next call, and holds session keys; so does a->login, if
 * there is one.
 */
void	 tickets_accept(struct tickets *, const struct users *, struct span token, struct authd_answer *a);

/*
 * The address of record of a principal as the library prints it
 * ("alice@EXAMPLE.COM"): false if its realm has no domain here, or it is not
 * simply a user (a service, an alias with '@'). Pure. Upper and lower case are
 * alike, as they are in Windows domains and in addresses.
 */
bool	 ticket_aor(const struct ticket_setup *, struct span principal, char out[USER_AOR_MAX]);
/* Is this a "REALM=domain"? */
bool	 ticket_realm_is_valid(const char *);

#endif
