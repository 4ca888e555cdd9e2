/*
 * tests/unit/net/pki.c - see pki.h.
 */
#include "tests/unit/net/pki.h"

#include <sys/stat.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#define DAY	86400L

static char dir[256];
static long serial = 1000;

static void
need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "pki: %s\n", what);
	abort();
}

const char *
pki_path(const char *name, const char *suffix)
{
	static char paths[64][512];
	static unsigned turn;
	char *p = paths[turn++ % 64];

	snprintf(p, sizeof(paths[0]), "%s/%s%s", dir, name, suffix);
	return p;
}

void
pki_file(const char *name, const char *suffix, const void *p, size_t n)
{
	FILE *f = fopen(pki_path(name, suffix), "w");

	need(f != NULL && fwrite(p, 1, n, f) == n && fclose(f) == 0, "write");
}

char *
pki_read(const char *path, size_t *n)
{
	FILE *f = fopen(path, "r");
	char *p = malloc(1 << 20);

	need(f != NULL && p != NULL, path);
	*n = fread(p, 1, (1 << 20) - 1, f);
	p[*n] = '\0';
	fclose(f);
	return p;
}

static EVP_PKEY *
make_key(enum pki_key kind)
{
	switch (kind) {
	case PKI_RSA:
		return EVP_RSA_gen(2048);
	case PKI_RSA1024:
		return EVP_RSA_gen(1024);
	case PKI_ED25519:
		return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	case PKI_EC:
		break;
	}
	return EVP_EC_gen("P-256");
}

static EVP_PKEY *
load_key(const char *name)
{
	FILE *f = fopen(pki_path(name, ".key"), "r");
	EVP_PKEY *key = f != NULL ? PEM_read_PrivateKey(f, NULL, NULL, NULL) : NULL;

	need(key != NULL, name);
	fclose(f);
	return key;
}

static X509 *
load_cert(const char *name)
{
	FILE *f = fopen(pki_path(name, ".pem"), "r");
	X509 *x = f != NULL ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;

	need(x != NULL, name);
	fclose(f);
	return x;
}

static void
extend(X509 *x, X509V3_CTX *ctx, int nid, const char *value)
{
	X509_EXTENSION *ext;

	if (value == NULL || *value == '\0')
		return;
	need((ext = X509V3_EXT_conf_nid(NULL, ctx, nid, value)) != NULL, value);
	X509_add_ext(x, ext, -1);
	X509_EXTENSION_free(ext);
}

static void
add_nul_san(X509 *x, const char *text)
{
	GENERAL_NAMES *sans = sk_GENERAL_NAME_new_null();
	GENERAL_NAME *gn = GENERAL_NAME_new();
	ASN1_IA5STRING *s = ASN1_IA5STRING_new();
	char raw[256];
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++)
		raw[i] = text[i] == '!' ? '\0' : text[i];
	ASN1_STRING_set(s, raw, (int)n);
	GENERAL_NAME_set0_value(gn, GEN_DNS, s);
	sk_GENERAL_NAME_push(sans, gn);
	need(X509_add1_ext_i2d(x, NID_subject_alt_name, sans, 0, X509V3_ADD_APPEND) == 1, "san");
	GENERAL_NAMES_free(sans);
}

static void
save(const char *name, X509 *x, X509 *behind, EVP_PKEY *key)
{
	FILE *f = fopen(pki_path(name, ".pem"), "w");

	need(f != NULL && PEM_write_X509(f, x) == 1, name);
	if (behind != NULL)
		PEM_write_X509(f, behind);
	fclose(f);
	f = fopen(pki_path(name, ".key"), "w");
	need(f != NULL && PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1, name);
	fclose(f);
}

/* self: it is its own issuer. */
static void
make(const char *name, const struct pki_spec *spec, bool self)
{
	const char *issuer_name = spec->issuer != NULL ? spec->issuer : "ca";
	EVP_PKEY *key = make_key(spec->key), *signer;
	X509 *x = X509_new(), *issuer, *behind = NULL;
	X509_NAME *subject = X509_get_subject_name(x);
	X509V3_CTX ctx;
	int from = spec->from_days, to = spec->to_days;

	need(key != NULL, "key");
	if (from == 0 && to == 0) {
		from = -1;
		to = 30;
	}
	issuer = self ? x : load_cert(issuer_name);
	signer = self ? key : load_key(issuer_name);
	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(x), from * DAY);
	X509_gmtime_adj(X509_getm_notAfter(x), to * DAY);
	X509_set_pubkey(x, key);
	X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_ASC, (const unsigned char *)"Sallyport test", -1, -1, 0);
	if (spec->cn != NULL)
		X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)spec->cn, -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(issuer));
	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	extend(x, &ctx, NID_basic_constraints, spec->basic != NULL ? spec->basic : "critical,CA:FALSE");
	extend(x, &ctx, NID_key_usage, spec->ku);
	extend(x, &ctx, NID_ext_key_usage, spec->eku != NULL ? spec->eku : "serverAuth,clientAuth");
	extend(x, &ctx, NID_subject_alt_name, spec->san);
	if (spec->nul_san != NULL)
		add_nul_san(x, spec->nul_san);
	need(X509_sign(x, signer, EVP_PKEY_get_id(signer) == EVP_PKEY_ED25519 ? NULL : EVP_sha256()) > 0, "sign");
	if (!self && X509_NAME_cmp(X509_get_subject_name(issuer), X509_get_issuer_name(issuer)) != 0)
		behind = issuer;
	save(name, x, behind, key);
	if (!self) {
		X509_free(issuer);
		EVP_PKEY_free(signer);
	}
	X509_free(x);
	EVP_PKEY_free(key);
}

void
pki_cert(const char *name, const struct pki_spec *spec)
{
	make(name, spec, false);
}

void
pki_ca(const char *name, const char *issuer)
{
	struct pki_spec spec = { .cn = name, .eku = "", .basic = "critical,CA:TRUE", .issuer = issuer,
		.ku = "critical,keyCertSign,cRLSign", .from_days = -20, .to_days = 60 };

	make(name, &spec, issuer == NULL);
}

void
pki_crl(const char *name, const char *issuer, int from_days, int to_days, const char *const *revoked)
{
	X509_CRL *crl = X509_CRL_new();
	X509 *ca = load_cert(issuer);
	EVP_PKEY *key = load_key(issuer);
	ASN1_TIME *t = ASN1_TIME_new();
	FILE *f;

	X509_CRL_set_version(crl, X509_CRL_VERSION_2);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca));
	X509_gmtime_adj(t, from_days * DAY);
	X509_CRL_set1_lastUpdate(crl, t);
	X509_gmtime_adj(t, to_days * DAY);
	X509_CRL_set1_nextUpdate(crl, t);
	for (; revoked != NULL && *revoked != NULL; revoked++) {
		X509_REVOKED *r = X509_REVOKED_new();
		X509 *x = load_cert(*revoked);

		X509_REVOKED_set_serialNumber(r, X509_get_serialNumber(x));
		X509_gmtime_adj(t, -60);
		X509_REVOKED_set_revocationDate(r, t);
		X509_CRL_add0_revoked(crl, r);
		X509_free(x);
	}
	X509_CRL_sort(crl);
	need(X509_CRL_sign(crl, key, EVP_sha256()) > 0, "crl");
	f = fopen(pki_path(name, ".crl.pem"), "w");
	need(f != NULL && PEM_write_X509_CRL(f, crl) == 1, "crl");
	fclose(f);
	ASN1_TIME_free(t);
	X509_CRL_free(crl);
	X509_free(ca);
	EVP_PKEY_free(key);
}

void
pki_init(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, sizeof(dir), "%s/sallyport-pki.XXXXXX", tmp != NULL ? tmp : "/tmp");
	need(mkdtemp(dir) != NULL, "mkdtemp");
	umask(077);
	pki_ca("ca", NULL);
	pki_ca("other", NULL);
}

void
pki_fini(void)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	char path[600];

	while (d != NULL && (e = readdir(d)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (e->d_name[0] != '.' && unlink(path) != 0)
			rmdir(path);
	}
	if (d != NULL)
		closedir(d);
	rmdir(dir);
}
