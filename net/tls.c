/*
 * net/tls.c - material read and checked; contexts made from it, per worker.
 */
#include "net/tls.h"

#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "common/chan.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "net/keyd.h"
#include "net/remote_key.h"
#include "net/tls_ctx.h"
#include "net/verify.h"

#define FILE_BYTES_MAX		(4u << 20)	/* certificate, key, anchors */
#define CRL_BYTES_MAX		(64u << 20)	/* all lists of one material together */
#define CRL_FILES_MAX		1024
#define PEER_CHAIN_BYTES_MAX	32768		/* of the certificates that a peer sends */

#define CIPHERS_TLS12	"ECDHE+AESGCM:ECDHE+CHACHA20"
#define CIPHERS_TLS13	"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define GROUPS		"X25519:P-256:P-384"

struct blob {
	char	*p;
	size_t	 n;
};

struct net_tls_material {
	atomic_uint	 refs;
	struct blob	 certificate, key, trust, crl;	/* PEM */
	struct blob	 spki;		/* DER of the public key, where keyd has the private one */
	uint64_t	 key_id;	/* what keyd calls it; 0: the key is here */
	time_t		 not_after;
	unsigned char	 digest[32];
};

/* What one worker parsed of one material; shared by its contexts. */
struct parsed {
	struct parsed		*next;
	struct net_tls_material	*material;	/* referenced: its address is our key */
	unsigned		 refs;
	X509			*leaf;
	STACK_OF(X509)		*chain;
	EVP_PKEY		*key;
	X509_STORE		*store;
};

struct net_tls_lib {
	OSSL_LIB_CTX	*ossl;
	OSSL_PROVIDER	*provider;
	struct parsed	*parsed;
	unsigned	 refs;		/* the owner's, and one per context */
	int		 keys;		/* channel to keyd; -1: none */
};

/* Where a load stands: who is told what, and whether it can still succeed. */
struct loading {
	void	(*report)(void *arg, bool fatal, const char *text);
	void	*arg;
	int	 err;
};

static void complain(struct loading *, int err, const char *fmt, ...)
	    __attribute__((format(printf, 3, 4)));

/* err SP_OK: said, but not fatal. */
static void
complain(struct loading *l, int err, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (err != SP_OK && l->err == SP_OK)
		l->err = err;
	if (l->report != NULL)
		l->report(l->arg, err != SP_OK, text);
}

/* OpenSSL's own words for the last failure; its queue is empty afterwards. */
static const char *
ossl_words(void)
{
	unsigned long code = ERR_peek_last_error();
	const char *text = code != 0 ? ERR_reason_error_string(code) : NULL;

	ERR_clear_error();
	return text != NULL ? text : "no reason given";
}

static void
ossl_init(void)
{
	OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
}

/* Before OpenSSL does anything: no configuration file, so that all machines behave alike. */
static void
ossl_begin(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, ossl_init);
}

/* Append a whole regular file. false: complained. */
static bool
read_file(struct loading *l, int dir, const char *name, const char *shown, size_t max, struct blob *to,
    mode_t *mode)
{
	struct stat st;
	ssize_t got;
	int fd;

	if ((fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) < 0 || fstat(fd, &st) != 0) {
		complain(l, SP_EIO, "%s: %s", shown, strerror(errno));
		goto bad;
	}
	if (!S_ISREG(st.st_mode)) {
		complain(l, SP_EIO, "%s: is not a regular file", shown);
		goto bad;
	}
	if ((size_t)st.st_size > max - to->n) {
		complain(l, SP_EIO, "%s: is larger than the %zu bytes that are allowed", shown, max);
		goto bad;
	}
	to->p = xrealloc(to->p, to->n + (size_t)st.st_size + 1);
	for (size_t left = (size_t)st.st_size; left > 0; left -= (size_t)got, to->n += (size_t)got) {
		if ((got = read(fd, to->p + to->n, left)) < 0) {
			complain(l, SP_EIO, "%s: %s", shown, strerror(errno));
			goto bad;
		}
		if (got == 0)
			break;		/* it shrank; what is there must parse */
	}
	to->p[to->n] = '\0';
	if (mode != NULL)
		*mode = st.st_mode;
	close(fd);
	return true;
 bad:
	if (fd >= 0)
		close(fd);
	return false;
}

static BIO *
blob_bio(const struct blob *b)
{
	BIO *bio = BIO_new_mem_buf(b->p != NULL ? b->p : "", (int)b->n);

	if (bio == NULL)
		abort();		/* only when out of memory */
	return bio;
}

/* Never ask a terminal for a passphrase. */
static int
no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf, (void)size, (void)writing, (void)arg;
	return -1;
}

/* The next certificate; NULL at the end. *bad when something else than the end came. */
static X509 *
next_certificate(OSSL_LIB_CTX *ossl, BIO *bio, bool *bad)
{
	X509 *x = X509_new_ex(ossl, NULL);

	ERR_clear_error();
	if (PEM_read_bio_X509(bio, &x, no_passphrase, NULL) != NULL)
		return x;
	/* A failed read has freed x if it got as far as the DER, and not before. */
	X509_free(x);
	*bad = ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE;
	return NULL;
}

/* Ends of revocation lists in the file. */
static size_t
count_ends(const struct blob *b)
{
	static const char end[] = "-----END X509 CRL-----";
	const char *p = b->p, *at;
	size_t n = 0;

	while ((at = memmem(p, b->n - (size_t)(p - b->p), end, sizeof(end) - 1)) != NULL) {
		p = at + sizeof(end) - 1;
		n++;
	}
	return n;
}

/* Anchors and lists into one store. A false return leaves the reason in OpenSSL's queue or *what. */
static X509_STORE *
make_store(OSSL_LIB_CTX *ossl, const struct net_tls_material *m, unsigned *nanchors, const char **what)
{
	X509_STORE *store = X509_STORE_new();
	BIO *bio = blob_bio(&m->trust);
	size_t nlists = 0;
	X509_CRL *crl;
	X509 *x;
	bool bad = false, ok = store != NULL;

	*nanchors = 0;
	*what = "trust anchors";
	while (ok && (x = next_certificate(ossl, bio, &bad)) != NULL) {
		ok = X509_STORE_add_cert(store, x) == 1;
		X509_free(x);
		(*nanchors)++;
	}
	BIO_free(bio);
	ok = ok && !bad;
	if (ok && m->crl.n != 0) {
		*what = "revocation lists";
		bio = blob_bio(&m->crl);
		ERR_clear_error();
		while (ok && (crl = PEM_read_bio_X509_CRL(bio, NULL, no_passphrase, NULL)) != NULL) {
			ok = X509_STORE_add_crl(store, crl) == 1;
			X509_CRL_free(crl);
			nlists++;
		}
		/* one whose first line is damaged must not just vanish among the others */
		ok = ok && nlists == count_ends(&m->crl) && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
		BIO_free(bio);
		X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
	}
	if (ok) {
		ERR_clear_error();
		return store;
	}
	X509_STORE_free(store);
	return NULL;
}

static void
parsed_free(struct parsed *p)
{
	if (p == NULL)
		return;
	X509_free(p->leaf);
	sk_X509_pop_free(p->chain, X509_free);
	EVP_PKEY_free(p->key);
	X509_STORE_free(p->store);
	net_tls_material_unref(p->material);
	free(p);
}

/*
 * PEM to OpenSSL's objects. NULL: *what names the part that does not do, and
 * OpenSSL's queue may say why. A key that keyd has is made from its public half.
 */
static struct parsed *
parse_material(struct net_tls_lib *lib, struct net_tls_material *m, unsigned *nanchors, const char **what)
{
	struct parsed *p = xcalloc(1, sizeof(*p));
	OSSL_LIB_CTX *ossl = lib->ossl;
	BIO *bio;
	X509 *x;
	bool bad = false;

	p->refs = 1;
	p->material = net_tls_material_ref(m);
	*what = "certificate";
	bio = blob_bio(&m->certificate);
	if ((p->leaf = next_certificate(ossl, bio, &bad)) != NULL && (p->chain = sk_X509_new_null()) != NULL)
		while ((x = next_certificate(ossl, bio, &bad)) != NULL)
			if (sk_X509_push(p->chain, x) == 0)
				abort();	/* only when out of memory */
	BIO_free(bio);
	if (p->chain == NULL || bad)
		goto bad;
	ERR_clear_error();
	*what = "key";
	if (m->key_id != 0) {
		p->key = net_remote_key((const unsigned char *)m->spki.p, m->spki.n, m->key_id, &lib->keys);
	} else {
		bio = blob_bio(&m->key);
		p->key = PEM_read_bio_PrivateKey_ex(bio, NULL, no_passphrase, NULL, ossl, NULL);
		BIO_free(bio);
	}
	if (p->key == NULL)
		goto bad;
	ERR_clear_error();
	if ((p->store = make_store(ossl, m, nanchors, what)) == NULL)
		goto bad;
	return p;
 bad:
	parsed_free(p);
	return NULL;
}

/* What both roles have in common. NULL: OpenSSL's queue says why. */
static SSL_CTX *
make_ssl_ctx(OSSL_LIB_CTX *ossl, const struct parsed *p, bool server)
{
	SSL_CTX *ctx = SSL_CTX_new_ex(ossl, NULL, server ? TLS_server_method() : TLS_client_method());
	static const unsigned char sid[] = "sallyport";

	if (ctx == NULL)
		return NULL;
	SSL_CTX_set_security_level(ctx, NET_SECURITY_LEVEL);
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
	    SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_max_cert_list(ctx, PEER_CHAIN_BYTES_MAX);
	SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
	SSL_CTX_set_cert_verify_callback(ctx, net_verify_chain, NULL);
	SSL_CTX_set1_cert_store(ctx, p->store);
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_num_tickets(ctx, 0) != 1 ||
	    SSL_CTX_set_session_id_context(ctx, sid, sizeof(sid) - 1) != 1 ||
	    SSL_CTX_set_cipher_list(ctx, CIPHERS_TLS12) != 1 ||
	    SSL_CTX_set_ciphersuites(ctx, CIPHERS_TLS13) != 1 ||
	    SSL_CTX_set1_groups_list(ctx, GROUPS) != 1 ||
	    SSL_CTX_use_cert_and_key(ctx, p->leaf, p->key, p->chain, 1) != 1 ||
	    SSL_CTX_check_private_key(ctx) != 1) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	/*
	 * A file with the leaf alone: what the anchors know of its issuers is sent
	 * along. Once and here, since OpenSSL would look again in every handshake.
	 */
	if (sk_X509_num(p->chain) == 0)
		SSL_CTX_build_cert_chain(ctx, SSL_BUILD_CHAIN_FLAG_NO_ROOT | SSL_BUILD_CHAIN_FLAG_IGNORE_ERROR |
		    SSL_BUILD_CHAIN_FLAG_CLEAR_ERROR);
	ERR_clear_error();
	return ctx;
}

/* Every list in the store: is one out of date? That refuses its issuer's peers, so say it early. */
static void
judge_crls(struct loading *l, const struct net_tls_files *files, X509_STORE *store)
{
	STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(store);
	time_t now = clock_wall();
	unsigned n = 0;

	for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
		X509_CRL *crl = X509_OBJECT_get0_X509_CRL(sk_X509_OBJECT_value(all, i));
		const ASN1_TIME *next;
		char issuer[256];

		if (crl == NULL)
			continue;
		n++;
		if ((next = X509_CRL_get0_nextUpdate(crl)) == NULL || X509_cmp_time(next, &now) > 0)
			continue;
		net_dn_text(X509_CRL_get_issuer(crl), issuer, sizeof(issuer));
		complain(l, SP_OK, "%s: the revocation list of %s is out of date; "
		    "peers with its certificates are refused", files->crl, issuer);
	}
	if (n == 0)
		complain(l, SP_ECERT, "%s: holds no revocation list", files->crl);
}

/* Own leaf: what does not keep us from starting but will keep peers from liking us. */
static void
judge_leaf(struct loading *l, const struct net_tls_files *files, X509 *leaf)
{
	time_t now = clock_wall();
	uint32_t usage = X509_get_extended_key_usage(leaf);

	if (X509_cmp_time(X509_get0_notAfter(leaf), &now) <= 0)
		complain(l, SP_OK, "%s: our own certificate has expired; peers will refuse it",
		    files->certificate);
	else if (X509_cmp_time(X509_get0_notBefore(leaf), &now) > 0)
		complain(l, SP_OK, "%s: our own certificate is not valid yet; peers will refuse it",
		    files->certificate);
	if (files->dials && usage != UINT32_MAX && (usage & (XKU_SSL_CLIENT | XKU_SSL_SERVER | XKU_ANYEKU)) == 0)
		complain(l, SP_OK, "%s: our own certificate is not made for TLS; peers will refuse it",
		    files->certificate);
	else if (!files->dials && usage != UINT32_MAX && (usage & (XKU_SSL_SERVER | XKU_ANYEKU)) == 0)
		complain(l, SP_OK, "%s: our own certificate is not made for servers; peers will refuse it",
		    files->certificate);
}

/* In a library context of its own, so that a load disturbs no worker and leaves nothing behind. */
static void
judge_material(struct loading *l, const struct net_tls_files *files, struct net_tls_material *m)
{
	struct net_tls_lib *lib = net_tls_lib_new();
	struct parsed *p;
	const char *what = NULL;
	unsigned nanchors = 0;
	SSL_CTX *ctx;
	struct tm tm;

	ERR_clear_error();
	if ((p = parse_material(lib, m, &nanchors, &what)) == NULL) {
		const char *file = strcmp(what, "certificate") == 0 ? files->certificate :
		    strcmp(what, "key") == 0 ? files->key :
		    strcmp(what, "trust anchors") == 0 ? files->trust : files->crl;

		complain(l, SP_ECERT, "%s: no usable %s in PEM form: %s", file, what, ossl_words());
		goto out;
	}
	if (ASN1_TIME_to_tm(X509_get0_notAfter(p->leaf), &tm) == 1)
		m->not_after = timegm(&tm);
	if (X509_check_private_key(p->leaf, p->key) != 1) {
		ERR_clear_error();
		complain(l, SP_ECERT, "%s: the key does not belong to the certificate in %s", files->key,
		    files->certificate);
		goto out;
	}
	if (files->trust != NULL && nanchors == 0)
		complain(l, SP_ECERT, "%s: holds no certificate", files->trust);
	if (files->crl != NULL)
		judge_crls(l, files, p->store);
	judge_leaf(l, files, p->leaf);
	if ((ctx = make_ssl_ctx(lib->ossl, p, true)) == NULL)
		complain(l, SP_ECERT, "%s: refused: %s", files->certificate, ossl_words());
	SSL_CTX_free(ctx);
 out:
	parsed_free(p);
	net_tls_lib_free(lib);
}

static int
not_hidden(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

/* A file, or every file of a directory in the order of their names. */
static void
read_crls(struct loading *l, const char *path, struct blob *to)
{
	struct dirent **list = NULL;
	struct stat st;
	char shown[512];
	int n, dir;

	if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
		read_file(l, AT_FDCWD, path, path, CRL_BYTES_MAX, to, NULL);
		return;
	}
	if ((dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0 ||
	    (n = scandir(path, &list, not_hidden, alphasort)) < 0) {
		complain(l, SP_EIO, "%s: %s", path, strerror(errno));
		if (dir >= 0)
			close(dir);
		return;
	}
	if (n > CRL_FILES_MAX)
		complain(l, SP_EIO, "%s: holds more than %d files", path, CRL_FILES_MAX);
	for (int i = 0; i < n; i++) {
		size_t was = to->n;

		snprintf(shown, sizeof(shown), "%s/%s", path, list[i]->d_name);
		if (n <= CRL_FILES_MAX && read_file(l, dir, list[i]->d_name, shown, CRL_BYTES_MAX, to, NULL)) {
			/* One that was damaged must not just vanish among the others. */
			if (memmem(to->p + was, to->n - was, "-----BEGIN X509 CRL-----", 24) == NULL)
				complain(l, SP_ECERT, "%s: holds no revocation list", shown);
			/* The last line of one file and the first of the next stay apart. */
			to->p = xrealloc(to->p, to->n + 2);
			to->p[to->n++] = '\n';
			to->p[to->n] = '\0';
		}
		free(list[i]);
	}
	free(list);
	close(dir);
}

static void
digest_material(struct net_tls_material *m)
{
	const struct blob *parts[] = { &m->certificate, m->key_id != 0 ? &m->spki : &m->key, &m->trust, &m->crl };
	EVP_MD_CTX *md = EVP_MD_CTX_new();

	if (md == NULL || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1)
		abort();			/* SHA-256 cannot be missing */
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		uint64_t n = parts[i]->n;

		EVP_DigestUpdate(md, &n, sizeof(n));
		EVP_DigestUpdate(md, parts[i]->p, parts[i]->n);
	}
	EVP_DigestFinal_ex(md, m->digest, NULL);
	EVP_MD_CTX_free(md);
}

/* The key goes to keyd as an open file; its public half comes back. */
static void
give_key(struct loading *l, const struct net_tls_files *files, struct net_tls_material *m, mode_t *mode)
{
	int fd = open(files->key, O_RDONLY | O_CLOEXEC | O_NONBLOCK), err;
	struct stat st;
	char why[256];

	if (fd < 0 || fstat(fd, &st) != 0) {
		complain(l, SP_EIO, "%s: %s", files->key, strerror(errno));
	} else if (!S_ISREG(st.st_mode)) {
		complain(l, SP_EIO, "%s: is not a regular file", files->key);
	} else {
		*mode = st.st_mode;
		m->spki.p = xmalloc(NET_KEYD_SPKI_MAX);
		err = net_keyd_load(files->keyd, fd, &m->key_id, (unsigned char *)m->spki.p, &m->spki.n, why, sizeof(why));
		if (err == SP_ECERT)
			complain(l, err, "%s: no usable key in PEM form: %s", files->key, why);
		else if (err != SP_OK)
			complain(l, err, "%s: %s", files->key, why);
	}
	if (fd >= 0)
		close(fd);
}

int
net_tls_material_load(struct net_tls_material **out, const struct net_tls_files *files,
    void (*report)(void *arg, bool fatal, const char *text), void *arg)
{
	struct net_tls_material *m = xcalloc(1, sizeof(*m));
	struct loading l = { report, arg, SP_OK };
	mode_t mode = 0;

	*out = NULL;
	ossl_begin();
	atomic_init(&m->refs, 1);
	/* All are read before any is judged: every missing file is named at once. */
	read_file(&l, AT_FDCWD, files->certificate, files->certificate, FILE_BYTES_MAX, &m->certificate, NULL);
	if (files->keyd != NULL)
		give_key(&l, files, m, &mode);
	else
		read_file(&l, AT_FDCWD, files->key, files->key, FILE_BYTES_MAX, &m->key, &mode);
	if ((mode & (S_IROTH | S_IWOTH)) != 0)
		complain(&l, SP_OK, "%s: the private key is open to every user of this machine (mode %03o); "
		    "take it as known, and make a new one", files->key, (unsigned)mode & 0777);
	if (files->trust != NULL)
		read_file(&l, AT_FDCWD, files->trust, files->trust, FILE_BYTES_MAX, &m->trust, NULL);
	if (files->crl != NULL)
		read_crls(&l, files->crl, &m->crl);
	if (l.err == SP_OK)
		judge_material(&l, files, m);
	if (l.err == SP_OK) {
		digest_material(m);
		*out = m;
		m = NULL;		/* handed over */
	}
	net_tls_material_unref(m);
	return l.err;
}

static void
pack(FILE *to, const void *p, uint64_t n)
{
	fwrite(&n, sizeof(n), 1, to);
	if (n != 0)
		fwrite(p, 1, n, to);
}

void
net_tls_material_pack(const struct net_tls_material *m, FILE *to)
{
	const struct blob *parts[] = { &m->certificate, &m->spki, &m->trust, &m->crl };

	fwrite(&m->key_id, sizeof(m->key_id), 1, to);
	fwrite(&m->not_after, sizeof(m->not_after), 1, to);
	fwrite(m->digest, sizeof(m->digest), 1, to);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		pack(to, parts[i]->p, parts[i]->n);
}

static bool
unpack(struct span *rest, void *out, size_t n)
{
	if (rest->n < n)
		return false;
	if (n != 0)
		memcpy(out, rest->p, n);
	*rest = span_tail(*rest, n);
	return true;
}

struct net_tls_material *
net_tls_material_unpack(struct span *rest)
{
	struct net_tls_material *m = xcalloc(1, sizeof(*m));
	struct blob *parts[] = { &m->certificate, &m->spki, &m->trust, &m->crl };
	bool good;

	atomic_init(&m->refs, 1);
	good = unpack(rest, &m->key_id, sizeof(m->key_id)) && unpack(rest, &m->not_after, sizeof(m->not_after)) &&
	    unpack(rest, m->digest, sizeof(m->digest)) && m->key_id != 0;
	for (size_t i = 0; good && i < sizeof(parts) / sizeof(parts[0]); i++) {
		uint64_t n = 0;

		good = unpack(rest, &n, sizeof(n)) && n <= rest->n && n <= CRL_BYTES_MAX + CRL_FILES_MAX;
		if (!good)
			break;
		parts[i]->p = xmalloc(n + 1);
		parts[i]->n = n;
		(void)unpack(rest, parts[i]->p, n);
		parts[i]->p[n] = '\0';
	}
	if (good)
		return m;
	net_tls_material_unref(m);
	return NULL;
}

uint64_t
net_tls_material_key(const struct net_tls_material *m)
{
	return m->key_id;
}

struct net_tls_material *
net_tls_material_ref(struct net_tls_material *m)
{
	atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
	return m;
}

void
net_tls_material_unref(struct net_tls_material *m)
{
	if (m == NULL || atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) != 1)
		return;
	free(m->certificate.p);
	mem_wipe_free(m->key.p, m->key.n);
	free(m->spki.p);
	free(m->trust.p);
	free(m->crl.p);
	free(m);
}

bool
net_tls_material_proves(const struct net_tls_material *m, const char *name)
{
	BIO *bio = BIO_new_mem_buf(m->certificate.p, (int)m->certificate.n);
	X509 *leaf = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	bool proves = leaf != NULL && X509_check_host(leaf, name, strlen(name),
	    X509_CHECK_FLAG_NO_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) == 1;

	X509_free(leaf);
	BIO_free(bio);
	ERR_clear_error();
	return proves;
}

time_t
net_tls_material_not_after(const struct net_tls_material *m)
{
	return m->not_after;
}

bool
net_tls_material_leaf(const struct net_tls_material *m, struct net_peer *out)
{
	BIO *bio = BIO_new_mem_buf(m->certificate.p, (int)m->certificate.n);
	X509 *leaf = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	bool good = leaf != NULL;

	memset(out, 0, sizeof(*out));
	if (good)
		net_peer_from_x509(out, leaf, true);
	X509_free(leaf);
	BIO_free(bio);
	return good;
}

void
net_tls_material_digest(const struct net_tls_material *m, unsigned char out[32])
{
	memcpy(out, m->digest, 32);
}

struct net_tls_lib *
net_tls_lib_new(void)
{
	struct net_tls_lib *lib = xcalloc(1, sizeof(*lib));

	ossl_begin();
	lib->refs = 1;
	lib->keys = -1;
	/* Loaded now, held until the end: nothing is looked for once a sandbox is closed. */
	if ((lib->ossl = OSSL_LIB_CTX_new()) == NULL ||
	    (lib->provider = OSSL_PROVIDER_load(lib->ossl, "default")) == NULL) {
		log_say(SP_LOG_ERROR, "tls", "OpenSSL has no default provider: %s", ossl_words());
		abort();
	}
	return lib;
}

static void
lib_unref(struct net_tls_lib *lib)
{
	if (--lib->refs != 0)
		return;
	OSSL_PROVIDER_unload(lib->provider);
	OSSL_LIB_CTX_free(lib->ossl);
	free(lib);
}

void
net_tls_lib_free(struct net_tls_lib *lib)
{
	if (lib != NULL)
		lib_unref(lib);
}

void
net_tls_lib_keys(struct net_tls_lib *lib, int channel)
{
	lib->keys = channel;
	chan_patience(channel, NET_KEYD_PATIENCE_MS);
}

static struct parsed *
parsed_get(struct net_tls_lib *lib, struct net_tls_material *m)
{
	struct parsed *p;
	const char *what = NULL;
	unsigned nanchors;

	for (p = lib->parsed; p != NULL; p = p->next) {
		if (p->material == m) {
			p->refs++;
			return p;
		}
	}
	if ((p = parse_material(lib, m, &nanchors, &what)) == NULL) {
		log_say(SP_LOG_ERROR, "tls", "the %s was good when it was loaded and is not now: %s", what,
		    ossl_words());
		abort();
	}
	p->next = lib->parsed;
	lib->parsed = p;
	return p;
}

static void
parsed_unref(struct net_tls_lib *lib, struct parsed *p)
{
	struct parsed **at;

	if (--p->refs != 0)
		return;
	for (at = &lib->parsed; *at != p; at = &(*at)->next)
		;
	*at = p->next;
	parsed_free(p);
}

static struct net_tls_ctx *
make_ctx(struct net_tls_lib *lib, struct net_tls_material *m, bool server, int verify)
{
	struct net_tls_ctx *ctx = xcalloc(1, sizeof(*ctx));

	ctx->refs = 1;
	ctx->lib = lib;
	ctx->parsed = parsed_get(lib, m);
	ERR_clear_error();
	if ((ctx->ssl = make_ssl_ctx(lib->ossl, ctx->parsed, server)) == NULL) {
		log_say(SP_LOG_ERROR, "tls", "no context from material that was checked: %s", ossl_words());
		abort();
	}
	SSL_CTX_set_verify(ctx->ssl, verify, NULL);
	lib->refs++;
	return ctx;
}

struct net_tls_ctx *
net_tls_server(struct net_tls_lib *lib, struct net_tls_material *m, enum net_tls_ask ask)
{
	int verify = SSL_VERIFY_NONE;

	if (ask == NET_TLS_ASK_OPTIONAL)
		verify = SSL_VERIFY_PEER;
	else if (ask == NET_TLS_ASK_REQUIRED)
		verify = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
	return make_ctx(lib, m, true, verify);
}

struct net_tls_ctx *
net_tls_client(struct net_tls_lib *lib, struct net_tls_material *m)
{
	return make_ctx(lib, m, false, SSL_VERIFY_PEER);
}

struct net_tls_ctx *
net_tls_ctx_ref(struct net_tls_ctx *ctx)
{
	ctx->refs++;
	return ctx;
}

void
net_tls_ctx_unref(struct net_tls_ctx *ctx)
{
	if (ctx == NULL || --ctx->refs != 0)
		return;
	SSL_CTX_free(ctx->ssl);
	net_tls_lists_unref(ctx->lists);
	parsed_unref(ctx->lib, ctx->parsed);
	lib_unref(ctx->lib);
	free(ctx);
}

void
net_tls_ctx_accept_cn(struct net_tls_ctx *ctx, bool yes)
{
	ctx->accept_cn = yes;
}

X509_STORE *
net_tls_ctx_store(const struct net_tls_ctx *ctx)
{
	return ctx->parsed->store;
}

OSSL_LIB_CTX *
net_tls_ctx_lib(const struct net_tls_ctx *ctx)
{
	return ctx->lib->ossl;
}

/* --- certificates and keys that are known one by one --- */

static int
by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, 32);
}

static unsigned char (*
sorted_copy(const unsigned char (*from)[32], size_t n))[32]
{
	unsigned char (*copy)[32];

	if (n == 0)
		return NULL;
	copy = xreallocarray(NULL, n, sizeof(*copy));
	memcpy(copy, from, n * sizeof(*copy));
	qsort(copy, n, sizeof(*copy), by_bytes);
	return copy;
}

struct net_tls_lists *
net_tls_lists_new(const unsigned char (*pins)[32], size_t npins, const unsigned char (*refused)[32], size_t nrefused)
{
	struct net_tls_lists *l = xcalloc(1, sizeof(*l));

	l->refs = 1;
	l->pins = sorted_copy(pins, npins);
	l->npins = npins;
	l->refused = sorted_copy(refused, nrefused);
	l->nrefused = nrefused;
	return l;
}

struct net_tls_lists *
net_tls_lists_ref(struct net_tls_lists *l)
{
	l->refs++;
	return l;
}

void
net_tls_lists_unref(struct net_tls_lists *l)
{
	if (l == NULL || --l->refs != 0)
		return;
	free(l->pins);
	free(l->refused);
	free(l);
}

void
net_tls_ctx_lists(struct net_tls_ctx *ctx, struct net_tls_lists *l)
{
	if (l != NULL)
		net_tls_lists_ref(l);
	net_tls_lists_unref(ctx->lists);
	ctx->lists = l;
}

bool
net_peer_proves(const struct net_peer *peer, struct span name)
{
	for (unsigned i = 0; peer->has_certificate && i < peer->nnames; i++)
		if (span_eq(peer->names[i], name))
			return true;
	return false;
}

/* --- certificates without connections --- */

/* What OpenSSL counts before it looks at any of it (SSL_CTX_set_max_cert_list()). */
static size_t
chain_bytes(const struct parsed *p)
{
	size_t n = 3 + 3;

	for (int i = -1; i < sk_X509_num(p->chain); i++) {
		int der = i2d_X509(i < 0 ? p->leaf : sk_X509_value(p->chain, i), NULL);

		n += (size_t)(der > 0 ? der : 0) + 3;
	}
	return n;
}

int
net_tls_examine(struct net_peer *peer, const struct net_tls_files *files, const char *called, bool accept_cn,
    struct net_tls_lists *lists, void (*report)(void *arg, bool fatal, const char *text), void *arg)
{
	struct net_tls_lib *lib = net_tls_lib_new();
	struct net_tls_material *m = xcalloc(1, sizeof(*m));
	struct loading l = { report, arg, SP_OK };
	struct parsed parsed = { .refs = 1 };
	struct net_tls_ctx ctx = { .refs = 1, .lists = lists, .lib = lib, .parsed = &parsed };
	struct net_check check = { .ctx = &ctx, .expect = called, .accept_cn = accept_cn, .peer = peer };
	const char *what = "certificate";
	unsigned nanchors;
	bool bad = false;
	BIO *bio = NULL;
	X509 *x;

	*peer = (struct net_peer){ .why = POLICY_REASON_CERTIFICATE };
	atomic_init(&m->refs, 1);
	read_file(&l, AT_FDCWD, files->certificate, files->certificate, FILE_BYTES_MAX, &m->certificate, NULL);
	if (files->trust != NULL)
		read_file(&l, AT_FDCWD, files->trust, files->trust, FILE_BYTES_MAX, &m->trust, NULL);
	if (files->crl != NULL)
		read_crls(&l, files->crl, &m->crl);
	if (l.err != SP_OK)
		goto out;
	bio = blob_bio(&m->certificate);
	if ((parsed.chain = sk_X509_new_null()) == NULL)
		abort();		/* only when out of memory */
	if ((parsed.leaf = next_certificate(lib->ossl, bio, &bad)) != NULL)
		while ((x = next_certificate(lib->ossl, bio, &bad)) != NULL)
			if (sk_X509_push(parsed.chain, x) == 0)
				abort();
	if (parsed.leaf == NULL || bad) {
		complain(&l, SP_ECERT, "%s: no usable certificate in PEM form: %s", files->certificate, ossl_words());
		goto out;
	}
	if ((parsed.store = make_store(lib->ossl, m, &nanchors, &what)) == NULL) {
		complain(&l, SP_ECERT, "%s: no usable %s in PEM form: %s",
		    strcmp(what, "trust anchors") == 0 ? files->trust : files->crl, what, ossl_words());
		goto out;
	}
	if (files->trust != NULL && nanchors == 0)
		complain(&l, SP_ECERT, "%s: holds no certificate", files->trust);
	if (files->crl != NULL)
		judge_crls(&l, files, parsed.store);
	if (l.err == SP_OK && chain_bytes(&parsed) > PEER_CHAIN_BYTES_MAX) {
		net_peer_from_x509(peer, parsed.leaf, accept_cn);
		peer->why = POLICY_REASON_CERTIFICATE_CHAIN;
		peer->fault = "chain too large";
	} else if (l.err == SP_OK)
		(void)net_verify_again(&check, parsed.leaf, parsed.chain);
 out:
	BIO_free(bio);
	X509_free(parsed.leaf);
	sk_X509_pop_free(parsed.chain, X509_free);
	X509_STORE_free(parsed.store);
	ERR_clear_error();
	net_tls_material_unref(m);
	net_tls_lib_free(lib);
	return l.err;
}

void
net_tls_examined(struct net_peer *peer)
{
	net_peer_fini(peer);
}
