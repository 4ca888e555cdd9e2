/*
 * director/signin.h - credentials in messages: found, challenged for, taken out.
 */
#ifndef SALLYPORT_DIRECTOR_SIGNIN_H
#define SALLYPORT_DIRECTOR_SIGNIN_H

#include "director/authd.h"
#include "director/config.h"
#include "sip/message.h"

#define SIGNIN_CHALLENGE_MAX	2048	/* room for all header lines of a challenge */

/*
 * The address of record that a URI means: user@domain, unescaped, lower-case,
 * the domain in canonical form. False if it is none (no user, another scheme,
 * a character that cannot be in one). Then out is "".
 */
bool	signin_aor(const struct sip_uri *, char out[USER_AOR_MAX]);
/* Domain part of the same, also where there is no user; "" if it is no host name. */
void	signin_domain(const struct sip_uri *, char out[USER_AOR_MAX]);

/* The realm for a sender of that domain: the configured one, else the domain if it is ours, else our first. */
struct span signin_realm(const struct director_config *, struct span from_domain);

enum signin {
	SIGNIN_NONE = 0,	/* no credentials for this realm, or none of a kind that is offered */
	SIGNIN_MALFORMED,	/* not as their grammar has them, or for another request */
	SIGNIN_FOUND
};

/* Credentials for the realm; *out borrows from the message. Authorization and Proxy-Authorization are alike (MS 3.3). */
enum signin signin_find(const struct director_config *, const struct sip_message *, struct span realm,
	    struct auth_credentials *out);
/* Take all credentials for the realm out; those for others are none of our business. */
void	signin_strip(struct sip_message *, struct span realm);
/* The Date that a challenge has, so that a client can tell a wrong clock from a wrong password (MS 3.2). */
void	signin_date(struct strbuf *out);
/* One WWW-Authenticate for each Digest algorithm offered, with a fresh nonce for that connection. */
void	signin_challenge(const struct director_config *, struct net_hmac *, struct span realm, uint64_t conn, bool stale,
	    struct strbuf *out);

#endif
