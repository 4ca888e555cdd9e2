/*
 * director/auth.h - the exchange by which a user proves who it is. Pure.
 *
 * Digest as RFC 7616 and RFC 8760 have it: SHA-256 and MD5, qop=auth always, so
 * that every use of a challenge is counted. A nonce is made without keeping
 * anything: time, random bits, and a MAC that binds them to the realm and to the
 * connection of the client that it is for. What is
 * secret about a user is not here but in authd.
 */
#ifndef SALLYPORT_DIRECTOR_AUTH_H
#define SALLYPORT_DIRECTOR_AUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "common/span.h"
#include "common/strbuf.h"
#include "net/digest.h"

/* Best first: the order in which they are offered (RFC 8760 2.4). */
enum auth_algorithm {
	AUTH_SHA256 = 0,
	AUTH_MD5,
	AUTH_NALGORITHMS
};

const char *auth_algorithm_name(enum auth_algorithm);	/* "SHA-256", "MD5" */
size_t	 auth_algorithm_size(enum auth_algorithm);	/* bytes: 32, 16 */

/* --- nonces ---------------------------------------------------------------- */

#define AUTH_KEY_SIZE	32
#define AUTH_NONCE_LEN	60
#define AUTH_NONCE_TEXT	(AUTH_NONCE_LEN + 1)

enum auth_nonce {
	AUTH_NONCE_FORGED = 0,	/* not made with this key for this realm and connection */
	AUTH_NONCE_STALE,	/* ours, too old (or from the future) */
	AUTH_NONCE_GOOD
};

/* What tells a nonce from all others, and when it was made (clock_ms()). */
struct auth_nonce_id {
	uint64_t	 random;
	uint64_t	 made_ms;
};

/* conn: a number for the client's connection. */
void	 auth_nonce_make(struct net_hmac *, struct span realm, uint64_t conn, const struct auth_nonce_id *,
	    char out[AUTH_NONCE_TEXT]);
enum auth_nonce auth_nonce_check(struct net_hmac *, struct span realm, uint64_t conn, struct span nonce, uint64_t now_ms,
	    uint64_t lifetime_ms);
/* The parts alone, without looking at the MAC. SP_OK or SP_ESYNTAX. */
int	 auth_nonce_parts(struct span nonce, struct auth_nonce_id *);

/* --- challenge and response ---------------------------------------------------- */

/* A whole WWW-Authenticate header line, CRLF included. The realm has no quotes (the configuration sees to it). */
void	 auth_challenge_write(struct strbuf *, enum auth_algorithm, struct span realm, const char *nonce, bool stale);

/* What a client's Digest credentials say; spans borrowed, quotes removed. */
struct auth_credentials {
	struct span	 username, realm, nonce, uri, cnonce, response;
	struct span	 nc_text;	/* 8 hex digits */
	uint32_t	 nc;
	enum auth_algorithm algorithm;
};

struct sip_auth;	/* sip/grammar.h */

/* Is the scheme Digest, any case? */
bool	 auth_is_digest(const struct sip_auth *);
/*
 * SP_OK; SP_ESYNTAX if a parameter is missing or malformed; SP_EINVAL if it is
 * well-formed but something that we did not offer (another algorithm or qop, no qop, a hashed user name).
 */
int	 auth_credentials_read(struct auth_credentials *, const struct sip_auth *);

/*
 * The response that proves knowledge of ha1 (auth_algorithm_size() bytes,
 * binary), as binary, into out. Fields are hashed as they stood in the message.
 */
void	 auth_response(const struct auth_credentials *, const unsigned char *ha1, struct span method,
	    unsigned char out[NET_DIGEST_MAX]);
/* c->response as binary: false if it has not the length and form of its algorithm. */
bool	 auth_response_read(const struct auth_credentials *, unsigned char out[NET_DIGEST_MAX]);

#endif
