/*
 * tests/fuzz/fuzz_domain.c - domain names. What comes out is canonical, is its
 * own canonical form, and does not depend on the case of ASCII letters.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "policy/domain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char out[DOMAIN_MAX], again[DOMAIN_MAX];
	struct span got, twice, in = span_of((const char *)data, len);
	bool is_ip, ip_again, ascii = true;
	int err = policy_domain_canon(in, out, &got, &is_ip);

	assert(!policy_domain_is_canon(in) || (err == SP_OK && span_eq(in, got)));
	if (err != SP_OK) {
		assert(err == SP_ESYNTAX && span_is_empty(got));
		return 0;
	}
	assert(got.p == out && got.n > 0 && got.n < DOMAIN_MAX && out[got.n] == '\0');
	assert(memchr(out, '\0', got.n) == NULL);
	assert(policy_domain_is_canon(got) && policy_domain_is_ip(got) == is_ip);
	assert(policy_domain_canon(got, again, &twice, &ip_again) == SP_OK);
	assert(span_eq(got, twice) && ip_again == is_ip);
	assert(policy_domain_within(got, got));
	for (size_t i = 0; i < len; i++)
		ascii = ascii && data[i] < 0x80;
	if (ascii) {
		char *upper = malloc(len);

		assert(upper != NULL);
		for (size_t i = 0; i < len; i++)
			upper[i] = (char)(data[i] >= 'a' && data[i] <= 'z' ? data[i] - 32 : data[i]);
		assert(policy_domain_canon(span_of(upper, len), again, &twice, &ip_again) == SP_OK);
		assert(span_eq(got, twice));
		free(upper);
	}
	return 0;
}
