/*
 * tests/fuzz/fuzz_keyd.c - questions to the process that holds the keys. What is
 * taken for one asks for a signature of a kind that exists, over content that lies in the frame; written
 * again it is what was read; cut, it is none. Content that may be signed is no text.
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
	unsigned char out[NET_KEY_HEAD + NET_KEY_SHORT];
	size_t n = len < FRAME_MAX ? len : FRAME_MAX;
	unsigned char *body = malloc(n != 0 ? n : 1);
	struct frame f = { .len = n, .body = body };
	struct net_key_question q;
	struct frame_writer w;

	assert(body != NULL);
	memcpy(body, data, n);
	if (net_key_get(&f, &q)) {
		const unsigned char *content = (const unsigned char *)q.content.p;

		assert(q.scheme >= NET_KEY_ECDSA && q.scheme < NET_KEY_NSCHEMES);
		assert((q.scheme == NET_KEY_ED25519) == (q.bits == 0));
		assert(q.content.n <= NET_KEY_SHORT && (q.content.n == 0 || (content >= body && content + q.content.n == body + n)));
		if (net_key_is_handshake(q.content)) {
			size_t i = 0;

			/* neither text, as requests to an ACME server are, nor so short that it could be a digest */
			while (i < q.content.n && content[i] >= ' ')
				i++;
			assert(i < q.content.n && i < 100);
			assert(q.content.n >= 16);
		}
		frame_writer_init(&w, out, sizeof(out));
		net_key_put(&w, &q);
		assert(!w.failed && w.len == n && memcmp(w.p, body, n) == 0);
		f.len--;
		assert(!net_key_get(&f, &q));
	}
	free(body);
	return 0;
}
