/*
 * net/remote_key.c - see remote_key.h.
 *
 * OpenSSL 3 takes a key whose method is not its own for a foreign one, and goes
 * to that method (EC) or to the application's method for the kind (RSA) instead of
 * its providers. Both work in every OSSL_LIB_CTX. They are marked as deprecated and stay for all
 * of OpenSSL 3; a provider would be their successor.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "net/remote_key.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "common/chan.h"
#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "net/keyd.h"

struct remote {
	uint64_t	 id;
	const int	*channel;
};

static EC_KEY_METHOD *ec_method;
static RSA_METHOD *rsa_method;
static EVP_PKEY_METHOD *rsa_pkey_method;
static int (*rsa_sign_of_openssl)(EVP_PKEY_CTX *, unsigned char *, size_t *, const unsigned char *, size_t);
static int ec_index, rsa_index;
static _Atomic uint64_t tags;

/* Ask keyd. Bytes of the signature, 0: there is none. */
static size_t
ask(const struct remote *r, enum net_key_scheme scheme, const unsigned char *digest, size_t n,
    unsigned char out[NET_KEY_SIGNATURE_MAX])
{
	const struct net_key_question q = { r->id, scheme, (unsigned)n * 8, span_of((const char *)digest, n) };
	unsigned char body[64 + NET_KEY_DIGEST_MAX];
	struct frame f = { .type = NET_KEYD_SIGN, .tag = ++tags, .body = body };
	struct chan_msg *m;
	struct frame_writer w;
	struct frame_reader rd;
	const char *text;
	size_t len = 0;
	int fd = *r->channel, err;

	frame_writer_init(&w, body, sizeof(body));
	net_key_put(&w, &q);
	f.len = w.len;
	/* what keyd would take for a break-in is not even asked */
	if (fd == -1 || w.failed || (n != 28 && n != 32 && n != 48 && n != 64) || chan_send(fd, &f, NULL, 0) != SP_OK)
		return 0;
	m = xmalloc(sizeof(*m));
	/* an answer that came too late for the question before is not ours */
	while ((err = chan_recv(fd, m, 0)) == SP_OK && m->f.tag != f.tag)
		chan_done(m);
	if (err == SP_OK) {
		frame_reader_init(&rd, &m->f);
		(void)frame_u8(&rd);
		text = frame_text(&rd, &len);
		if (m->f.type != NET_KEYD_SIGNED || !frame_done(&rd) || len > NET_KEY_SIGNATURE_MAX)
			len = 0;
		memcpy(out, text, len);
		chan_done(m);
	} else {
		log_say(SP_LOG_ERROR, "keyd", "no signature: %s", sp_err_name(err));
	}
	free(m);
	return len;
}

static int
ec_sign(int type, const unsigned char *digest, int n, unsigned char *sig, unsigned int *len, const BIGNUM *kinv,
    const BIGNUM *r, EC_KEY *key)
{
	const struct remote *remote = EC_KEY_get_ex_data(key, ec_index);
	unsigned char out[NET_KEY_SIGNATURE_MAX];
	size_t got;

	(void)type, (void)kinv, (void)r;
	*len = 0;
	if (remote == NULL || n < 0 || (got = ask(remote, NET_KEY_ECDSA, digest, (size_t)n, out)) == 0 ||
	    got > (size_t)ECDSA_size(key))
		return 0;
	memcpy(sig, out, got);
	*len = (unsigned)got;
	return 1;
}

/* Nothing of a key of ours can be asked for in the raw. */
static int
rsa_never(int n, const unsigned char *from, unsigned char *to, RSA *rsa, int padding)
{
	(void)n, (void)from, (void)to, (void)rsa, (void)padding;
	return -1;
}

static int
rsa_sign(EVP_PKEY_CTX *ctx, unsigned char *sig, size_t *len, const unsigned char *digest, size_t n)
{
	const RSA *rsa = EVP_PKEY_get0_RSA(EVP_PKEY_CTX_get0_pkey(ctx));
	const struct remote *remote = rsa != NULL ? RSA_get_ex_data(rsa, rsa_index) : NULL;
	unsigned char out[NET_KEY_SIGNATURE_MAX];
	const EVP_MD *md = NULL;
	int padding = 0;
	size_t got;

	if (remote == NULL)
		return rsa_sign_of_openssl(ctx, sig, len, digest, n);
	if (EVP_PKEY_CTX_get_signature_md(ctx, &md) <= 0 || md == NULL || (size_t)EVP_MD_get_size(md) != n ||
	    EVP_PKEY_CTX_get_rsa_padding(ctx, &padding) <= 0 ||
	    (padding != RSA_PKCS1_PSS_PADDING && padding != RSA_PKCS1_PADDING))
		return 0;
	got = ask(remote, padding == RSA_PKCS1_PSS_PADDING ? NET_KEY_RSA_PSS : NET_KEY_RSA_PKCS1, digest, n, out);
	if (got == 0 || got > *len)
		return 0;
	memcpy(sig, out, got);
	*len = got;
	return 1;
}

static void
free_remote(void *parent, void *p, CRYPTO_EX_DATA *ad, int index, long argl, void *argp)
{
	(void)parent, (void)ad, (void)index, (void)argl, (void)argp;
	free(p);
}

static int
copy_remote(CRYPTO_EX_DATA *to, const CRYPTO_EX_DATA *from, void **p, int index, long argl, void *argp)
{
	(void)to, (void)from, (void)index, (void)argl, (void)argp;
	if (*p != NULL)
		*p = xmemdup(*p, sizeof(struct remote));
	return 1;
}

static void
begin(void)
{
	int (*sign_init)(EVP_PKEY_CTX *);
	int (*setup)(EC_KEY *, BN_CTX *, BIGNUM **, BIGNUM **);
	ECDSA_SIG *(*sign_sig)(const unsigned char *, int, const BIGNUM *, const BIGNUM *, EC_KEY *);
	const EVP_PKEY_METHOD *was = EVP_PKEY_meth_find(EVP_PKEY_RSA);
	int id, flags;

	ec_index = EC_KEY_get_ex_new_index(0, NULL, NULL, copy_remote, free_remote);
	rsa_index = RSA_get_ex_new_index(0, NULL, NULL, copy_remote, free_remote);
	ec_method = EC_KEY_METHOD_new(EC_KEY_OpenSSL());
	rsa_method = RSA_meth_dup(RSA_PKCS1_OpenSSL());
	EVP_PKEY_meth_get0_info(&id, &flags, was);
	rsa_pkey_method = EVP_PKEY_meth_new(EVP_PKEY_RSA, flags);
	if (ec_index == -1 || rsa_index == -1 || ec_method == NULL || rsa_method == NULL || rsa_pkey_method == NULL)
		abort();		/* only when out of memory */
	EC_KEY_METHOD_get_sign(ec_method, NULL, &setup, &sign_sig);
	EC_KEY_METHOD_set_sign(ec_method, ec_sign, setup, sign_sig);
	RSA_meth_set1_name(rsa_method, "a key of keyd's");
	RSA_meth_set_priv_enc(rsa_method, rsa_never);
	RSA_meth_set_priv_dec(rsa_method, rsa_never);
	EVP_PKEY_meth_copy(rsa_pkey_method, was);
	EVP_PKEY_meth_get_sign(was, &sign_init, &rsa_sign_of_openssl);
	EVP_PKEY_meth_set_sign(rsa_pkey_method, sign_init, rsa_sign);
	if (EVP_PKEY_meth_add0(rsa_pkey_method) != 1)
		abort();
}

static EVP_PKEY *
wrap_ec(const unsigned char *spki, size_t n, struct remote *r)
{
	EC_KEY *ec = d2i_EC_PUBKEY(NULL, &spki, (long)n);
	EVP_PKEY *key = EVP_PKEY_new();

	/* the last of these hands r over */
	if (ec == NULL || key == NULL || EC_KEY_set_method(ec, ec_method) != 1 || EC_KEY_set_ex_data(ec, ec_index, r) != 1) {
		EC_KEY_free(ec);
		EVP_PKEY_free(key);
		return NULL;
	}
	EVP_PKEY_assign_EC_KEY(key, ec);
	return key;
}

static EVP_PKEY *
wrap_rsa(const unsigned char *spki, size_t n, struct remote *r)
{
	RSA *rsa = d2i_RSA_PUBKEY(NULL, &spki, (long)n);
	EVP_PKEY *key = EVP_PKEY_new();

	if (rsa == NULL || key == NULL || RSA_set_method(rsa, rsa_method) != 1 || RSA_set_ex_data(rsa, rsa_index, r) != 1) {
		RSA_free(rsa);
		EVP_PKEY_free(key);
		return NULL;
	}
	EVP_PKEY_assign_RSA(key, rsa);
	return key;
}

EVP_PKEY *
net_remote_key(const unsigned char *spki, size_t n, uint64_t id, const int *channel)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	const unsigned char *p = spki;
	struct remote *r = xcalloc(1, sizeof(*r));
	EVP_PKEY *public = d2i_PUBKEY(NULL, &p, (long)n), *key = NULL;
	int kind = public != NULL ? EVP_PKEY_get_base_id(public) : 0;

	pthread_once(&once, begin);
	EVP_PKEY_free(public);
	r->id = id;
	r->channel = channel;
	if (kind == EVP_PKEY_EC)
		key = wrap_ec(spki, n, r);
	else if (kind == EVP_PKEY_RSA)
		key = wrap_rsa(spki, n, r);
	if (key == NULL)
		free(r);
	ERR_clear_error();
	return key;
}
