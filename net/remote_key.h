/*
 * net/remote_key.h - a private key that is in another process, as OpenSSL wants keys. Private to net.
 */
#ifndef SALLYPORT_NET_REMOTE_KEY_H
#define SALLYPORT_NET_REMOTE_KEY_H

#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>

/*
 * A key whose public half is spki (DER; EC, RSA or Ed25519), and whose signatures keyd makes, asked over
 * *channel, which is looked at each time and may be -1: then nothing can be signed. It signs what
 * TLS wants signed and nothing else. The caller's to free; NULL: it is no such key.
 */
EVP_PKEY *net_remote_key(const unsigned char *spki, size_t n, uint64_t id, const int *channel);

#endif
