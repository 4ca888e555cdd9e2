/*
 * net/verify.h - is this certificate good enough, and whose is it?
 *
 * Only net/tls.c and net/stream.c look in here; everybody else gets a struct
 * net_peer. OpenSSL builds the chain and checks signatures, dates, strength
 * and CRLs; usage and names are judged by us, because OpenSSL's purposes and
 * host matching are made for the web (wildcards, clientAuth).
 */
#ifndef SALLYPORT_NET_VERIFY_H
#define SALLYPORT_NET_VERIFY_H

#include <stdbool.h>

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "common/span.h"
#include "net/tls.h"

#define NET_CHAIN_DEPTH_MAX	8	/* certificates between leaf and anchor */
#define NET_RSA_BITS_MAX	8192	/* a larger key only makes us work */

struct net_tls_ctx;

/* One connection's question and its answer; hung on the SSL as its app data. */
struct net_check {
	const struct net_tls_ctx *ctx;	/* whose lists count */
	const char	*expect;	/* outbound: lower-case name or address to be proven; NULL: inbound */
	bool		 accept_cn;
	struct net_peer	*peer;		/* filled from the certificate, also when it is refused */
	const char	*refused;	/* static cause, when it is; NULL: nothing was refused */
	enum policy_reason reason;	/* of the refusal */
};

/* For SSL_CTX_set_cert_verify_callback(): 1 accepted, 0 refused (and check->refused says why). */
int	 net_verify_chain(X509_STORE_CTX *, void *unused);

/*
 * Would this certificate be accepted now, by this context? chain: what came with
 * it. As net_verify_chain() would judge it, into check, whose ctx counts.
 */
bool	 net_verify_again(struct net_check *, X509 *leaf, STACK_OF(X509) *chain);

/*
 * Does this certificate prove name? By iPAddress if name is an IP literal,
 * else by an equal dNSName or host of a sip: URI (RFC 5922 7.1, RFC 9525);
 * by the subject's only CN if accept_cn and no such SAN is there at all.
 */
bool	 net_verify_proves(X509 *, const char *name, bool accept_cn);

/* What stands in the certificate: all but has_certificate, unverified, why, fault and protocol. The names are allocated; see net_peer_fini(). */
void	 net_peer_from_x509(struct net_peer *, X509 *, bool accept_cn);

/*
 * A host name in lower case into out (no final dot), true only if it is a plain
 * one: letters, digits, '-', '_' and single dots, not an IPv4 address, no wildcard.
 */
bool	 net_host_canonical(struct span in, char out[256]);

/* A distinguished name on one line, most specific first, anything unusual as \xHH; cut to size. */
void	 net_dn_text(const X509_NAME *, char *out, size_t size);

#endif
