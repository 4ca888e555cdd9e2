/*
 * tests/fuzz/fuzz_keyd.c - questions to the process that holds the keys. What is
 * taken for one asks for a signature of a kind that exists, over a digest of the right
 * length that lies in the frame; written again it is what was read; cut, it is none.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/proc.h"
#include "net/keyd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	unsigned char out[64 + NET_KEY_DIGEST_MAX];
	size_t n = len < FRAME_MAX ? len : FRAME_MAX;
	unsigned char *body = malloc(n != 0 ? n : 1);
	struct frame f = { .len = n, .body = body };
	struct net_key_question q;
	struct frame_writer w;

	assert(body != NULL);
	memcpy(body, data, n);
	if (net_key_get(&f, &q)) {
		const unsigned char *digest = (const unsigned char *)q.digest.p;

		assert(q.scheme >= NET_KEY_ECDSA && q.scheme < NET_KEY_NSCHEMES);
		assert(q.digest.n >= 28 && q.digest.n <= NET_KEY_DIGEST_MAX && q.digest.n * 8 == q.bits);
		assert(digest >= body && digest + q.digest.n == body + n);
		frame_writer_init(&w, out, sizeof(out));
		net_key_put(&w, &q);
		assert(!w.failed && w.len == n && memcmp(w.p, body, n) == 0);
		f.len--;
		assert(!net_key_get(&f, &q));
	}
	free(body);
	return 0;
}
