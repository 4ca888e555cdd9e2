/*
 * tests/bench/partner.h - a thousand partners, each with a certificate of its
 * own, made in memory by the throw-away authority.
 */
#ifndef SALLYPORT_TESTS_BENCH_PARTNER_H
#define SALLYPORT_TESTS_BENCH_PARTNER_H

#include <openssl/ssl.h>

#define PARTNERS_MAX	10000	/* four digits stand in their names */

struct partners;

/*
 * n certificates for sip.partner0000.example and so on, signed by the authority
 * whose certificate and key lie in these files. They share one key, which
 * nobody who verifies can tell. Ends the program when it cannot.
 */
struct partners *partners_make(unsigned n, const char *ca, const char *ca_key);

/* Show the certificate of number n (modulo how many there are). */
void	partners_show(const struct partners *, unsigned n, SSL *);

#endif
