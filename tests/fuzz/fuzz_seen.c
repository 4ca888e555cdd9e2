/*
 * tests/fuzz/fuzz_seen.c - the list of certificates that peers have shown: written by the edge out of what strangers
 * send, read by sallyportctl. Whatever stands in a certificate, it makes one line of fields, and each field is read
 * as what was noted: nobody adds a line, or a field of his own.
 *
 * An input is a certificate, and at the same time a line of such a file.
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/seen.h"
#include "common/err.h"
#include "net/verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char *const keys[] = { "verdict", "reason", "detail", "first", "last", "times", "direction", "peer", "names",
    "not_after", "usage", "subject", "issuer", "serial", "fingerprint", "key" };
#define NKEYS	(sizeof(keys) / sizeof(keys[0]))

static void
line(struct span s)
{
	struct seen_line l;

	if (!seen_line_parse(&l, s))
		return;
	assert(l.n != 0 && l.n <= SEEN_FIELDS_MAX);
	for (unsigned i = 0; i < l.n; i++) {
		assert(l.key[i].p >= s.p && l.key[i].p + l.key[i].n <= s.p + s.n);
		assert(l.value[i].n == 0 || (l.value[i].p >= s.p && l.value[i].p + l.value[i].n <= s.p + s.n));
		assert(l.value[i].n == 0 || l.value[i].p[-1] != '"' || memchr(l.value[i].p, '"', l.value[i].n) == NULL);
	}
}

struct come {
	const struct seen_line	*l;
	unsigned		 n;
};

static void
same(void *arg, const struct seen_state *s)
{
	struct come *c = arg;

	assert(span_is(seen_line_get(c->l, "names"), s->names) && span_is(seen_line_get(c->l, "subject"), s->subject));
	assert(span_is(seen_line_get(c->l, "issuer"), s->issuer) && span_is(seen_line_get(c->l, "serial"), s->serial));
	assert(span_is(seen_line_get(c->l, "peer"), s->from) && span_is(seen_line_get(c->l, "detail"), s->detail));
	c->n++;
}

static void
certificate(X509 *x)
{
	struct seen *s = seen_new(5, 5);
	struct net_peer peer = { .shown = true };
	struct net_addr from;
	struct seen_line l;
	struct come come = { &l, 0 };
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	assert(net_addr_parse(&from, SPAN_LIT("192.0.2.7:5061"), 0) == SP_OK);
	net_peer_from_x509(&peer, x, false);
	peer.shown = true;
	seen_note(s, &peer, &from, true, POLICY_REASON_UNDECIDED, "two words");
	assert(f != NULL && seen_print(s, f));
	fclose(f);
	assert(n != 0 && memchr(text, '\n', n) == text + n - 1 && memchr(text, '\0', n) == NULL);
	for (size_t i = 0; i + 1 < n; i++)
		assert(text[i] >= ' ' && text[i] <= '~');
	assert(seen_line_parse(&l, span_of(text, n)) && l.n == NKEYS);
	for (size_t i = 0; i < NKEYS; i++)
		assert(span_is(l.key[i], keys[i]));
	seen_each(s, same, &come);
	assert(come.n == 1);
	free(text);
	net_peer_fini(&peer);
	seen_free(s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const unsigned char *p = data;
	X509 *x = d2i_X509(NULL, &p, (long)len);

	if (x != NULL)
		certificate(x);
	X509_free(x);
	line(span_of((const char *)data, len));
	return 0;
}
