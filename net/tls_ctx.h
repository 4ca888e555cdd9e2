/*
 * net/tls_ctx.h - what net/stream.c may see of a context. Private to net.
 */
#ifndef SALLYPORT_NET_TLS_CTX_H
#define SALLYPORT_NET_TLS_CTX_H

#include <stdbool.h>

#include <openssl/ssl.h>

struct net_tls_lib;
struct parsed;

/* Counted without atomics: a context never leaves its worker. */
struct net_tls_ctx {
	unsigned		 refs;
	bool			 accept_cn;
	SSL_CTX			*ssl;
	struct net_tls_lib	*lib;
	struct parsed		*parsed;
};

struct net_tls_ctx *net_tls_ctx_ref(struct net_tls_ctx *);

#endif
