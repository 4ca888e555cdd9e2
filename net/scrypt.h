/*
 * net/scrypt.h - a key from a password, slow on purpose (RFC 7914).
 */
#ifndef SALLYPORT_NET_SCRYPT_H
#define SALLYPORT_NET_SCRYPT_H

#include <stddef.h>

#include "common/span.h"

#define NET_SCRYPT_LOG2N_MIN	10
#define NET_SCRYPT_LOG2N_MAX	20
#define NET_SCRYPT_R_MAX	16
#define NET_SCRYPT_P_MAX	16

/*
 * N is 2^log2n; it needs 128 * N * r bytes of memory while it runs. SP_OK; SP_EINVAL: a
 * parameter is beyond the limits above; SP_ETLS: OpenSSL refused.
 */
int	net_scrypt(struct span password, struct span salt, unsigned log2n, unsigned r, unsigned p,
	    unsigned char *out, size_t size);

#endif
