/*
 * net/remote_key.c - see remote_key.h.
 *
 * OpenSSL 3 goes to the methods of an ENGINE instead of its providers for a key that says so, and for
 * no other. Ours has one method of its own, signing, which is given what is to be signed as it is
 * and not its digest: so keyd can see that it is a piece of a handshake. It works in every OSSL_LIB_CTX. Engines are marked
 * as deprecated and stay for all of OpenSSL 3; a provider would be their successor.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "net/remote_key.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/engine.h>
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

static ENGINE *engine;
static const int kinds[] = { EVP_PKEY_EC, EVP_PKEY_RSA, EVP_PKEY_ED25519 };
#define NKINDS	(sizeof(kinds) / sizeof(kinds[0]))
static EVP_PKEY_METHOD *methods[NKINDS];
static int key_index;
static _Atomic uint64_t tags;

/* Send the question, long content as a file beside it. */
static int
send_question(int fd, uint64_t tag, struct net_key_question *q)
{
	unsigned char body[NET_KEY_HEAD + NET_KEY_SHORT];
	struct frame f = { .type = NET_KEYD_SIGN, .tag = tag, .body = body };
	struct span content = q->content;
	struct frame_writer w;
	int file = -1, err;

	if (content.n > NET_KEY_SHORT) {
		if ((file = chan_file("content", content)) == -1)
			return SP_EIO;
		q->content = span_of("", 0);
	}
	frame_writer_init(&w, body, sizeof(body));
	net_key_put(&w, q);
	f.len = w.len;
	err = w.failed ? SP_EIO : chan_send(fd, &f, &file, file != -1);
	if (file != -1)
		close(file);
	return err;
}

/* Ask keyd. Bytes of the signature, 0: there is none. */
static size_t
ask(const struct remote *r, struct net_key_question *q, unsigned char out[NET_KEY_SIGNATURE_MAX])
{
	uint64_t tag = ++tags;
	struct chan_msg *m;
	struct span signature;
	size_t len = 0;
	int fd = *r->channel, err;

	q->id = r->id;
	/* what keyd would not sign is not even asked */
	if (fd == -1 || !net_key_is_handshake(q->content)) {
		if (fd != -1)
			log_say(SP_LOG_ERROR, "keyd", "no signature: what OpenSSL wants signed is no piece of a handshake");
		return 0;
	}
	if (send_question(fd, tag, q) != SP_OK)
		return 0;
	m = xmalloc(sizeof(*m));
	if ((err = chan_answer(fd, tag, m, 0)) == SP_OK) {
		if (!net_key_get_signed(&m->f, &signature))
			log_say(SP_LOG_ERROR, "keyd", "no signature: the answer is none");
		else if ((len = signature.n) != 0)
			memcpy(out, signature.p, len);
		chan_done(m);
	} else {
		log_say(SP_LOG_ERROR, "keyd", "no signature: %s", sp_err_name(err));
	}
	free(m);
	return len;
}

/* How this context is to sign. False: in a way that we don't. */
static bool
way_of(EVP_PKEY_CTX *ctx, int kind, struct net_key_question *q)
{
	const EVP_MD *md = NULL;
	int padding = 0;

	if (kind == EVP_PKEY_ED25519) {
		q->scheme = NET_KEY_ED25519;
		return true;
	}
	if (EVP_PKEY_CTX_get_signature_md(ctx, &md) <= 0 || md == NULL)
		return false;
	q->bits = (unsigned)EVP_MD_get_size(md) * 8;
	q->scheme = NET_KEY_ECDSA;
	if (kind == EVP_PKEY_EC)
		return true;
	if (EVP_PKEY_CTX_get_rsa_padding(ctx, &padding) <= 0 ||
	    (padding != RSA_PKCS1_PSS_PADDING && padding != RSA_PKCS1_PADDING))
		return false;
	q->scheme = padding == RSA_PKCS1_PSS_PADDING ? NET_KEY_RSA_PSS : NET_KEY_RSA_PKCS1;
	return true;
}

/* Of a handshake, in one piece; sig NULL: how long may it be? */
static int
sign_whole(EVP_MD_CTX *md, unsigned char *sig, size_t *len, const unsigned char *content, size_t n)
{
	EVP_PKEY_CTX *ctx = EVP_MD_CTX_get_pkey_ctx(md);
	EVP_PKEY *key = EVP_PKEY_CTX_get0_pkey(ctx);
	const struct remote *remote = EVP_PKEY_get_ex_data(key, key_index);
	struct net_key_question q = { .content = span_of((const char *)content, n) };
	unsigned char out[NET_KEY_SIGNATURE_MAX];
	size_t got, most = (size_t)EVP_PKEY_get_size(key);

	if (sig == NULL) {
		*len = most;
		return 1;
	}
	if (remote == NULL || !way_of(ctx, EVP_PKEY_get_base_id(key), &q) || (got = ask(remote, &q, out)) == 0 || got > *len || got > most)
		return 0;
	memcpy(sig, out, got);
	*len = got;
	return 1;
}

/* Nothing of a key of ours can be asked for in the raw. */
static int
sign_never(EVP_PKEY_CTX *ctx, unsigned char *sig, size_t *len, const unsigned char *digest, size_t n)
{
	(void)ctx, (void)sig, (void)len, (void)digest, (void)n;
	return -1;
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

/* As OpenSSL asks an engine: which kinds, or the method of one. */
static int
method_of(ENGINE *e, EVP_PKEY_METHOD **out, const int **nids, int nid)
{
	(void)e;
	if (out == NULL) {
		*nids = kinds;
		return (int)NKINDS;
	}
	*out = NULL;
	for (size_t i = 0; i < NKINDS; i++)
		if (kinds[i] == nid)
			*out = methods[i];
	return *out != NULL;
}

static void
begin(void)
{
	key_index = EVP_PKEY_get_ex_new_index(0, NULL, NULL, copy_remote, free_remote);
	engine = ENGINE_new();
	for (size_t i = 0; i < NKINDS; i++) {
		const EVP_PKEY_METHOD *was = EVP_PKEY_meth_find(kinds[i]);
		int (*sign_init)(EVP_PKEY_CTX *);
		int id, flags;

		EVP_PKEY_meth_get0_info(&id, &flags, was);
		if ((methods[i] = EVP_PKEY_meth_new(kinds[i], flags)) == NULL)
			abort();	/* only when out of memory */
		EVP_PKEY_meth_copy(methods[i], was);
		EVP_PKEY_meth_get_sign(was, &sign_init, NULL);
		EVP_PKEY_meth_set_sign(methods[i], sign_init, sign_never);
		EVP_PKEY_meth_set_digestsign(methods[i], sign_whole);
	}
	if (key_index == -1 || engine == NULL || ENGINE_set_id(engine, "sallyport") != 1 ||
	    ENGINE_set_name(engine, "keys of keyd's") != 1 || ENGINE_set_pkey_meths(engine, method_of) != 1)
		abort();		/* the same */
}

EVP_PKEY *
net_remote_key(const unsigned char *spki, size_t n, uint64_t id, const int *channel)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	EVP_PKEY *key = d2i_PUBKEY(NULL, &spki, (long)n);
	struct remote *r = xcalloc(1, sizeof(*r));

	pthread_once(&once, begin);
	r->id = id;
	r->channel = channel;
	/* the last of these hands r over */
	if (key == NULL || EVP_PKEY_set1_engine(key, engine) != 1 || EVP_PKEY_set_ex_data(key, key_index, r) != 1) {
		EVP_PKEY_free(key);
		free(r);
		key = NULL;
	}
	ERR_clear_error();
	return key;
}
