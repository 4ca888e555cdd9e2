#include "tests/bench/partner.h"
#include "tests/bench/wire.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#define DAY	86400L

struct partners {
	EVP_PKEY	 *key;
	X509		**cert;
	unsigned	  n;
};

static void
extend(X509 *cert, X509 *ca, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;

	X509V3_set_ctx(&ctx, ca, cert, NULL, NULL, 0);
	if ((ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value)) == NULL ||
	    X509_add_ext(cert, ext, -1) != 1)
		die("extension %s", value);
	X509_EXTENSION_free(ext);
}

static X509 *
issue(unsigned n, EVP_PKEY *key, X509 *ca, EVP_PKEY *ca_key)
{
	X509 *cert = X509_new();
	X509_NAME *name;
	char host[64], san[80];

	snprintf(host, sizeof(host), "sip.partner%04u.example", n);
	snprintf(san, sizeof(san), "DNS:%s", host);
	if (cert == NULL || X509_set_version(cert, 2) != 1 ||
	    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1000000L + n) != 1 ||
	    X509_gmtime_adj(X509_getm_notBefore(cert), -DAY) == NULL ||
	    X509_gmtime_adj(X509_getm_notAfter(cert), 30 * DAY) == NULL ||
	    X509_set_pubkey(cert, key) != 1 ||
	    X509_set_issuer_name(cert, X509_get_subject_name(ca)) != 1)
		die("certificate %s", host);
	name = X509_get_subject_name(cert);
	if (X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
	    (const unsigned char *)host, -1, -1, 0) != 1)
		die("subject %s", host);
	extend(cert, ca, NID_basic_constraints, "critical,CA:FALSE");
	extend(cert, ca, NID_key_usage, "critical,digitalSignature");
	extend(cert, ca, NID_ext_key_usage, "serverAuth,clientAuth");
	extend(cert, ca, NID_authority_key_identifier, "keyid");
	extend(cert, ca, NID_subject_alt_name, san);
	if (X509_sign(cert, ca_key, EVP_sha256()) == 0)
		die("sign %s", host);
	return cert;
}

struct partners *
partners_make(unsigned n, const char *ca, const char *ca_key)
{
	struct partners *p = calloc(1, sizeof(*p));
	FILE *cert_file = fopen(ca, "r"), *key_file = fopen(ca_key, "r");
	EVP_PKEY *key = NULL;
	X509 *authority = NULL;
	unsigned i;

	if (p == NULL || (p->cert = calloc(n, sizeof(*p->cert))) == NULL)
		die("memory");
	if (cert_file == NULL || key_file == NULL ||
	    (authority = PEM_read_X509(cert_file, NULL, NULL, NULL)) == NULL ||
	    (key = PEM_read_PrivateKey(key_file, NULL, NULL, NULL)) == NULL)
		die("authority %s", ca);
	fclose(cert_file);
	fclose(key_file);
	if ((p->key = EVP_EC_gen("P-256")) == NULL)
		die("key");
	for (i = 0; i < n; i++)
		p->cert[i] = issue(i, p->key, authority, key);
	p->n = n;
	X509_free(authority);
	EVP_PKEY_free(key);
	return p;
}

void
partners_show(const struct partners *p, unsigned n, SSL *ssl)
{
	if (SSL_use_certificate(ssl, p->cert[n % p->n]) != 1 ||
	    SSL_use_PrivateKey(ssl, p->key) != 1)
		die("certificate of partner %u", n % p->n);
}
