/*
 * tests/fuzz/fuzz_cert.c - certificates of strangers. Whatever stands in one,
 * each name that it proves is a plain host name in lower case, is one that
 * dialling it would accept too, and what we show of it is printable. It is good at a door, or where it was dialled,
 * only if the authority has signed it, or somebody whom that has made one, who came along; if it is no authority's, made for TLS, of
 * this time, and strong enough; and if it has the name that was dialled.
 *
 * More certificates behind it are its chain.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "common/clock.h"
#include "common/err.h"
#include "net/tls_ctx.h"
#include "net/verify.h"
#include "tests/fuzz/pem.h"
#include "tests/fuzz/textfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
must_be_printable(const char *text, size_t size)
{
	size_t n = strnlen(text, size);

	assert(n < size);
	for (size_t i = 0; i < n; i++)
		assert(text[i] >= ' ' && text[i] <= '~');
}

static void
one_way(X509 *x, bool accept_cn)
{
	struct net_peer peer = { 0 };
	char again[256], name[256];

	net_peer_from_x509(&peer, x, accept_cn);
	assert(!net_peer_proves(&peer, peer.nnames > 0 ? peer.names[0] : SPAN_NONE));	/* nothing is proven yet */
	peer.has_certificate = true;
	assert(peer.nnames <= NET_PEER_NAMES_MAX);
	for (unsigned i = 0; i < peer.nnames; i++) {
		assert(net_host_canonical(peer.names[i], again));
		assert(span_is(peer.names[i], again));
		assert(memchr(again, '*', strlen(again)) == NULL);
		strcpy(name, again);
		assert(net_verify_proves(x, name, accept_cn));
		assert(net_peer_proves(&peer, span_str(name)));
		/* A longer or a shorter name is another name. */
		if (strlen(name) < 200 && peer.nnames == 1) {
			strcat(name, "x");
			assert(!net_verify_proves(x, name, accept_cn));
			assert(!net_verify_proves(x, name + 1, accept_cn));
		}
	}
	must_be_printable(peer.subject, sizeof(peer.subject));
	must_be_printable(peer.issuer, sizeof(peer.issuer));
	must_be_printable(peer.serial, sizeof(peer.serial));
	net_peer_fini(&peer);
}

/* ---- is it good? ---- */

#define CHAIN_MAX	12

static const time_t now = 1790000000;
static struct net_tls_ctx *door;
static X509 *authority;

static void
no_complaint(void *arg, bool fatal, const char *text)
{
	(void)arg;
	(void)text;
	assert(!fatal);
}

static void
begin(void)
{
	static const uint64_t ms = 1000;
	char certificate[64], key[64], trust[64];
	int fds[] = { textfile_make(SPAN_LIT(PEM_GOOD), certificate), textfile_make(SPAN_LIT(PEM_GOOD_KEY), key),
	    textfile_make(SPAN_LIT(PEM_AUTHORITY), trust) };
	const struct net_tls_files files = { .certificate = certificate, .key = key, .trust = trust };
	struct net_tls_material *m;
	BIO *bio = BIO_new_mem_buf(PEM_AUTHORITY, -1);

	clock_fake(&ms, &now);
	assert(net_tls_material_load(&m, &files, no_complaint, NULL) == SP_OK);
	door = net_tls_server(net_tls_lib_new(), m, NET_TLS_ASK_REQUIRED);
	net_tls_material_unref(m);
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		close(fds[i]);
	authority = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	BIO_free(bio);
	assert(door != NULL && authority != NULL);
}

/* Has one that may have signed it? */
static bool
is_signed(X509 *x, STACK_OF(X509) *chain, unsigned depth)
{
	if (X509_verify(x, X509_get0_pubkey(authority)) == 1)
		return true;
	for (int i = 0; depth < CHAIN_MAX && i < sk_X509_num(chain); i++) {
		X509 *by = sk_X509_value(chain, i);

		if (by != x && X509_check_ca(by) == 1 && X509_get0_pubkey(by) != NULL && X509_verify(x, X509_get0_pubkey(by)) == 1 &&
		    is_signed(by, chain, depth + 1))
			return true;
	}
	return false;
}

static void
is_good(X509 *x, STACK_OF(X509) *chain, const char *called)
{
	struct net_peer peer = { 0 };
	struct net_check check = { .ctx = door, .expect = called, .peer = &peer };
	time_t t = now;

	if (net_verify_again(&check, x, chain)) {
		assert(check.refused == NULL && peer.has_certificate);
		assert(is_signed(x, chain, 0) && X509_check_ca(x) == 0);
		assert(X509_cmp_time(X509_get0_notBefore(x), &t) < 0 && X509_cmp_time(X509_get0_notAfter(x), &t) > 0);
		assert(EVP_PKEY_get_security_bits(X509_get0_pubkey(x)) >= NET_SECURITY_BITS);
		assert((X509_get_extended_key_usage(x) & (XKU_SSL_SERVER | XKU_SSL_CLIENT | XKU_ANYEKU)) != 0 ||
		    X509_get_ext_by_NID(x, NID_ext_key_usage, -1) >= 0);
		assert(called == NULL || net_verify_proves(x, called, false));
	} else {
		assert(check.refused != NULL && check.reason != POLICY_REASON_ALLOWED);
		assert(!net_peer_proves(&peer, peer.nnames > 0 ? peer.names[0] : SPAN_NONE));
	}
	net_peer_fini(&peer);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const unsigned char *p = data;
	X509 *x = d2i_X509(NULL, &p, (long)len), *next;
	STACK_OF(X509) *chain;

	if (x == NULL)
		return 0;
	if (door == NULL)
		begin();
	one_way(x, false);
	one_way(x, true);
	chain = sk_X509_new_null();
	while (sk_X509_num(chain) < CHAIN_MAX && (next = d2i_X509(NULL, &p, (long)(data + len - p))) != NULL)
		sk_X509_push(chain, next);
	is_good(x, chain, NULL);
	is_good(x, chain, "good.example");
	sk_X509_pop_free(chain, X509_free);
	X509_free(x);
	return 0;
}
