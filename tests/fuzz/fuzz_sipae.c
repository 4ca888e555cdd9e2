/*
 * tests/fuzz/fuzz_sipae.c - MS-SIPAE credentials as a stranger may write them, in
 * a message of the stranger's. What is taken for credentials points into the
 * message and proves nothing; stripped, it is gone, and signed, it is a message
 * still.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "director/endpoint.h"
#include "director/sipae.h"

static const unsigned char endpoint_key[HASH_KEY_SIZE] = "of endpoints";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const struct sipae_self self = { "SIP Communications Service", "dir01.example.com", 4 };

static void
sign(struct sip_message *m)
{
	static const struct sa_limits limits = { 100, 10, 640, 32000, 60000, 600000 };
	static struct sipae_desk *desk;
	static struct sa_table *t;
	static uint32_t opaque;
	static struct sip_message back;
	size_t n;
	char *out;

	if (desk == NULL) {
		struct sa_claim c = { SPAN_LIT("alice@example.com"), SPAN_LIT("e"), 1, 0 };
		struct sa_keys keys = { .scheme = SA_NTLM };
		struct authd_user u = { .found = true };

		desk = sipae_desk_new();
		t = sa_table_new(&limits, endpoint_key);
		assert((opaque = sa_establish(t, 0, &c, 4, &keys, &u, 0, 1)) != 0);
	}
	/* framers leave room for what we put in */
	if (m->nheaders > SIP_HEADERS_MAX - SIP_HEADERS_OURS || !sipae_sign(desk, &self, t, opaque, 1, m))
		return;
	out = malloc(sip_message_room(m));
	assert(out != NULL && (n = sip_message_render(m, out)) != 0);
	sip_message_reset(&back);
	assert(sip_message_index(&back, out, n) == SP_OK && back.first[SIP_H_AUTHENTICATION_INFO] >= 0);
	free(out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct sip_message m;
	struct sa_keys nobody = { .scheme = SA_NTLM };
	struct sipae_credentials c;
	unsigned char token[AUTHD_TOKEN_MAX];
	/* a copy of the exact size, so that a read past the end is seen */
	char *copy = malloc(len != 0 ? len : 1);

	assert(copy != NULL);
	memcpy(copy, data, len);
	sip_message_reset(&m);
	if (sip_message_index(&m, copy, len) == SP_OK && sip_check_message(&m) == SIP_CHECK_OK) {
		if (sipae_find(&self, &m, &c) == SIGNIN_FOUND) {
			struct span parts[] = { c.token, c.proof.random, c.proof.number, c.proof.realm, c.proof.target };

			for (unsigned i = 0; i < 5; i++)
				assert(parts[i].n == 0 || (parts[i].p >= copy && parts[i].p + parts[i].n <= copy + len));
			assert(c.version >= 2 && c.version <= 4 && c.signature_n <= SA_SIGNATURE_MAX);
			for (unsigned version = 2; version <= 4; version++)
				assert(!sipae_verify(&m, &c, version, &nobody));
			assert(sipae_token(c.token, token, sizeof(token)) <= sizeof(token));
		}
		endpoint_agrees(&m);
		endpoint_expires(&m, endpoint_epid(&m.from));
		sipae_strip(&self, &m);
		sign(&m);
	}
	free(copy);
	return 0;
}
