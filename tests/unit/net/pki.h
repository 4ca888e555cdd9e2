/*
 * tests/unit/net/pki.h - certificates to order, made in the test, good and bad.
 *
 * Everything lies in one directory under TMPDIR that pki_fini() removes.
 */
#ifndef SALLYPORT_TESTS_UNIT_NET_PKI_H
#define SALLYPORT_TESTS_UNIT_NET_PKI_H

#include <stdbool.h>
#include <stddef.h>

enum pki_key { PKI_EC = 0, PKI_RSA, PKI_RSA1024, PKI_ED25519 };

/* Zero is an ordinary good certificate: a day old, a month to go, serverAuth and clientAuth. */
struct pki_spec {
	const char	*cn;
	const char	*san;		/* as in openssl's configuration: "DNS:a,URI:sip:b" */
	const char	*nul_san;	/* one dNSName, in which '!' stands for NUL */
	const char	*eku;		/* NULL: both; "": no such extension */
	const char	*ku;		/* NULL: none */
	const char	*basic;		/* NULL: CA:FALSE */
	const char	*issuer;	/* NULL: "ca" */
	enum pki_key	 key;
	int		 from_days, to_days;	/* both zero: -1, 30 */
};

/* Makes "ca", "other" (an authority nobody trusts) and the directory. */
void	 pki_init(void);
void	 pki_fini(void);
/* NAME.pem (with the issuer's certificate behind it when the issuer is not a root) and NAME.key. */
void	 pki_cert(const char *name, const struct pki_spec *);
/* An authority; issuer NULL: its own root. */
void	 pki_ca(const char *name, const char *issuer);
/* NAME.crl.pem: issuer's list, good from/to these days, with these certificates on it (NULL-ended). */
void	 pki_crl(const char *name, const char *issuer, int from_days, int to_days, const char *const *revoked);
/* The path of a file, in static storage of 64 paths in turn. */
const char *pki_path(const char *name, const char *suffix);
/* Any file. */
void	 pki_file(const char *name, const char *suffix, const void *, size_t);
char	*pki_read(const char *path, size_t *n);	/* free() it */

#endif
