/*
 * tests/fuzz/fuzz_cert.c - certificates of strangers. Whatever stands in one,
 * each name that it proves is a plain host name in lower case, is one that
 * dialling it would accept too, and what we show of it is printable.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "net/verify.h"

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

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const unsigned char *p = data;
	X509 *x = d2i_X509(NULL, &p, (long)len);

	if (x == NULL)
		return 0;
	one_way(x, false);
	one_way(x, true);
	X509_free(x);
	return 0;
}
