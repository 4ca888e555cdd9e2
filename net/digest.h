/*
 * net/digest.h - hashes and keyed hashes, so that no other room sees OpenSSL.
 */
#ifndef SALLYPORT_NET_DIGEST_H
#define SALLYPORT_NET_DIGEST_H

#include <stddef.h>

#include "common/span.h"

/* SHA-1 only where a format asks for it (names made of others), never to prove anything. */
enum net_digest_kind { NET_DIGEST_MD5 = 0, NET_DIGEST_SHA256, NET_DIGEST_SHA1 };

#define NET_DIGEST_MAX	32

/* Bytes of a digest: 16, 32 or 20. */
size_t	 net_digest_size(enum net_digest_kind);
/* The digest of n parts, one after the other, into out. Returns its size. */
size_t	 net_digest(enum net_digest_kind, const struct span *parts, size_t n, unsigned char out[NET_DIGEST_MAX]);

/* HMAC-SHA-256 with the key schedule done once; one thread only. */
struct net_hmac;
struct net_hmac *net_hmac_new(const void *key, size_t n);
void	 net_hmac_free(struct net_hmac *);	/* wipes; NULL: nothing */
void	 net_hmac(struct net_hmac *, const struct span *parts, size_t n, unsigned char out[32]);

#define NET_HMAC_MD5_SIZE	16
#define NET_HMAC_MD5_PARTS	4	/* at most that many */

/* HMAC-MD5 (RFC 2104) with a key of 16 bytes, which is what NTLM has. Any thread. */
void	 net_hmac_md5(const unsigned char key[16], const struct span *parts, size_t n,
	    unsigned char out[NET_HMAC_MD5_SIZE]);

#endif
