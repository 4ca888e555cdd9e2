/*
 * director/dirconf.h - what is configured about the directory: where homes and gates are kept.
 *
 * A part of struct director_config, filled by its table; authd and the LDAP
 * process have it from the fork.
 */
#ifndef SALLYPORT_DIRECTOR_DIRCONF_H
#define SALLYPORT_DIRECTOR_DIRCONF_H

#include <stdbool.h>

#include "common/conf.h"
#include "common/span.h"

/* Whose word counts about a user's home pool and gates. */
enum dirconf_homes {
	HOMES_FILE = 0,		/* the user file's */
	HOMES_LDAP,		/* the directory's; the file has passwords only */
	HOMES_BOTH		/* the file's; of those who are not in it, the directory's */
};

enum dirconf_bind { BIND_ANONYMOUS = 0, BIND_SIMPLE, BIND_GSSAPI };

/* Names of attributes. Empty: there is none. */
struct dirconf_attributes {
	char	*address;	/* "sip:alice@example.com"; never empty */
	char	*account;	/* what a user signs in as, without the domain */
	char	*principal;	/* the same with the realm: "alice@EXAMPLE.COM" */
	char	*home;		/* DN of the pool, or its host name */
	char	*pool_name;	/* of the entry that home names: its host name */
	char	*enabled, *remote, *federation; /* "TRUE"; without one, everybody is */
	char	*options;	/* bits; 1 is public IM */
	char	*archive;	/* TRUE, or a number with one of the bits 1, 4 and 8 */
};

struct dirconf {
	int		 homes;		/* enum dirconf_homes */
	int		 ttl, negative_ttl, stale; /* seconds */
	int		 entries;
	int		 timeout;	/* milliseconds for one answer, all servers included */
	struct conf_strs servers;	/* URIs */
	bool		 starttls;
	char		*trust;		/* NULL: none */
	int		 bind;		/* enum dirconf_bind */
	char		*bind_dn, *password_file, *keytab; /* NULL: none */
	struct conf_strs bases;
	struct conf_strs logins;	/* each "DOMAIN=base": where the accounts of that domain or realm are */
	char		*filter;	/* NULL: none; in parentheses */
	bool		 proxy_addresses; /* proxyAddresses counts as well as the address */
	char		*default_pool;	/* NULL: none */
	int		 connections;
	int		 server_timeout; /* milliseconds for one step of one server */
	int		 pause;		/* seconds, the longest */
	struct dirconf_attributes attributes;
};

/* One sentence about one option. */
typedef void (*dirconf_complain)(void *arg, const char *path, const char *sentence);

/* What the table cannot see. */
void	dirconf_check(const struct dirconf *, dirconf_complain, void *arg);
/*
 * Below which DN the accounts of a domain are, or NULL. Realms of Kerberos are told apart by
 * case, short names of Windows domains are not.
 */
const char *dirconf_login_base(const struct dirconf *, struct span domain, bool realm);
/* Are they the same? If not, *option names what differs. */
bool	dirconf_same(const struct dirconf *a, const struct dirconf *b, const char **option);

#endif
