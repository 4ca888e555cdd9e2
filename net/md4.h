/*
 * net/md4.h - MD4 (RFC 1320), for one purpose: the NT hash, which is what
 * Windows keeps of a password. OpenSSL has it in its legacy provider only,
 * which is often not installed.
 */
#ifndef SALLYPORT_NET_MD4_H
#define SALLYPORT_NET_MD4_H

#include "common/span.h"

#define NET_MD4_SIZE	16

void	 net_md4(struct span, unsigned char out[NET_MD4_SIZE]);

#endif
