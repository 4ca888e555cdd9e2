/*
 * net/scrypt.c - see scrypt.h.
 */
#include "net/scrypt.h"

#include <openssl/err.h>
#include <openssl/evp.h>

#include <stdint.h>

#include "common/err.h"

int
net_scrypt(struct span password, struct span salt, unsigned log2n, unsigned r, unsigned p, unsigned char *out, size_t size)
{
	uint64_t n;

	if (log2n < NET_SCRYPT_LOG2N_MIN || log2n > NET_SCRYPT_LOG2N_MAX || r == 0 || r > NET_SCRYPT_R_MAX || p == 0 ||
	    p > NET_SCRYPT_P_MAX)
		return SP_EINVAL;
	n = (uint64_t)1 << log2n;
	/* its memory limit is checked against 128 * (N * r + p * r) and something more */
	if (EVP_PBE_scrypt(password.n != 0 ? password.p : "", password.n, (const unsigned char *)salt.p, salt.n, n, r, p,
	    128 * r * (n + p + 2) + 4096, out, size) != 1) {
		ERR_clear_error();
		return SP_ETLS;
	}
	return SP_OK;
}
