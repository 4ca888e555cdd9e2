/*
 * net/tls_ctx.h - what net/stream.c may see of a context. Private to net.
 */
#ifndef SALLYPORT_NET_TLS_CTX_H
#define SALLYPORT_NET_TLS_CTX_H

#include <stdbool.h>

#include <openssl/ssl.h>

/* Sorted, for bsearch(). */
struct net_tls_lists {
	unsigned		 refs;
	unsigned char		(*pins)[32], (*refused)[32];
	size_t			 npins, nrefused;
};

struct net_tls_lib;
struct parsed;

/* Counted without atomics: a context never leaves its worker. */
struct net_tls_ctx {
	unsigned		 refs;
	bool			 accept_cn;
	SSL_CTX			*ssl;
	struct net_tls_lists	*lists;		/* NULL: none */
	struct net_tls_lib	*lib;
	struct parsed		*parsed;
};

struct net_tls_ctx *net_tls_ctx_ref(struct net_tls_ctx *);
/* What a certificate has to lead to now, and the level of strength that a chain must have. */
X509_STORE *net_tls_ctx_store(const struct net_tls_ctx *);
OSSL_LIB_CTX *net_tls_ctx_lib(const struct net_tls_ctx *);
#define NET_SECURITY_LEVEL	2	/* RSA 2048, EC 224, no SHA-1 signatures */
#define NET_SECURITY_BITS	112	/* the same for one key */

#endif
