/*
 * director/entry.h - a user as the directory has it: the filter that finds the
 * entry, and what its values mean. Pure; no LDAP library.
 */
#ifndef SALLYPORT_DIRECTOR_ENTRY_H
#define SALLYPORT_DIRECTOR_ENTRY_H

#include "common/span.h"
#include "common/strbuf.h"
#include "director/authd.h"
#include "director/dirconf.h"

#define ENTRY_FILTER_MAX	8192

/*
 * A value as it stands in a filter (RFC 4515 3): everything but letters, digits
 * and a few signs that mean nothing there becomes \HH, so that no value can be
 * anything else than a value.
 */
void	entry_escape(struct strbuf *, struct span value);
/* The filter that finds this address of record. False if it does not fit. */
bool	entry_filter(struct strbuf *, const struct dirconf *, struct span aor);

/*
 * What somebody signs in as, taken apart: "CORP\alice", with the short name of a Windows domain,
 * or "alice@CORP.EXAMPLE.COM", a Kerberos principal. Borrowed from both.
 */
struct entry_login {
	struct span	 account, domain;
	bool		 realm;		/* the second kind */
	const char	*base;		/* below which DN alone it is looked for */
};
/* False if it is neither, or its domain is none of those configured. */
bool	entry_login_parse(const struct dirconf *, struct span login, struct entry_login *);
/* The filter that finds it. False if it does not fit. */
bool	entry_login_filter(struct strbuf *, const struct dirconf *, const struct entry_login *);
/* The address of record in a value like "sip:alice@example.com"; empty if there is none. */
struct span entry_address(struct span value);

/* Values of one entry, the first of each attribute; empty: it has none. Borrowed. */
struct entry {
	struct span	home, enabled, remote, federation, options, archive;
};

/* All but the pool. The address is the one that was asked for. */
void	entry_user(const struct dirconf *, const struct entry *, struct span aor, struct authd_user *);
/* Is the value a distinguished name, rather than a host name? */
bool	entry_is_dn(struct span value);
/* The name of the pool, as it stands in the configuration: lower-case, no dot at its end. False if it is no host name. */
bool	entry_set_pool(struct authd_user *, struct span name);

#endif
