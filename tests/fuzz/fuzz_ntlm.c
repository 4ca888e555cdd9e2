/*
 * tests/fuzz/fuzz_ntlm.c - AUTHENTICATE tokens. What parses has fields inside of
 * the token that lie over no other, and proves nothing with a password of nobody.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "director/ntlm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
inside(struct span token, struct span field)
{
	assert(field.n == 0 || (field.p >= token.p + 64 && field.p + field.n <= token.p + token.n));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const unsigned char hash[NTLM_KEY_SIZE], nonce[NTLM_NONCE_SIZE], none[NTLM_KEY_SIZE];
	static const struct ntlm_target target = { .nb_domain = "EXAMPLE" };
	/* a copy of the exact size, so that a read past the end is seen */
	unsigned char *copy = malloc(len != 0 ? len : 1), key[NTLM_KEY_SIZE];
	struct ntlm_authenticate a;
	char text[NTLM_NAME_MAX];

	assert(copy != NULL);
	memcpy(copy, data, len);
	if (ntlm_authenticate_parse(&a, span_of((const char *)copy, len)) == SP_OK) {
		struct span f[] = { a.nt, a.domain, a.user, a.workstation, a.session_key };

		for (unsigned i = 0; i < 5; i++) {
			inside(a.token, f[i]);
			for (unsigned j = 0; j < i; j++)
				assert(f[i].n == 0 || f[j].n == 0 || f[i].p >= f[j].p + f[j].n || f[j].p >= f[i].p + f[i].n);
		}
		assert(a.session_key.n == NTLM_KEY_SIZE && a.nt.n > 24 && a.user.n != 0);
		ntlm_utf8(a.user, text, sizeof(text));
		ntlm_utf8(a.domain, text, sizeof(text));
		if (!ntlm_verify(&a, hash, &target, nonce, 0, key))
			assert(memcmp(key, none, sizeof(key)) == 0);
	}
	free(copy);
	return 0;
}
