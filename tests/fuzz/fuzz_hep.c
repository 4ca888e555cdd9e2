/*
 * tests/fuzz/fuzz_hep.c - copies of messages for a Homer server. Whatever was captured, the
 * packet is one that a receiver can take apart, chunk by chunk to its very end; a secret in a
 * header for secrets is not in it, and nothing of the body unless bodies are wanted.
 *
 * The first byte says with which addresses, password and bodies.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "sip/hep.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static unsigned
number(const unsigned char *p, unsigned bytes)
{
	unsigned v = 0;

	while (bytes-- > 0)
		v = v << 8 | *p++;
	return v;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char secret[] = "\r\nAuthorization: Digest k=\"S3CR3TS3CR3T\"\r\n\tl=\"S3CR3TS3CR3T\"";
	static const char body[] = "B0DYB0DY";
	static unsigned char packet[HEP_PACKET_MAX];
	static char message[HEP_PACKET_MAX];
	struct sip_hep_config c = { .id = 7 };
	struct net_addr four, six;
	uint64_t seen = 0;
	size_t n, at, first;
	struct span m, rest;

	if (len < 1 || len > sizeof(message) - sizeof(secret) - sizeof(body))
		return 0;
	if (memmem(data, len, "S3CR3T", 6) != NULL || memmem(data, len, "B0DY", 4) != NULL)
		return 0;
	assert(net_addr_parse(&four, SPAN_LIT("192.0.2.1:5061"), 0) == SP_OK);
	assert(net_addr_parse(&six, SPAN_LIT("[2001:db8::1]:443"), 0) == SP_OK);
	c.bodies = (data[0] & 1) != 0;
	c.password = data[0] & 2 ? "open sesame" : NULL;
	rest = span_of((const char *)data + 1, len - 1);

	/* the secret behind the first line, the other one behind all */
	first = span_find(rest, '\n');
	while (first > 0 && rest.p[first - 1] == '\r')
		first--;
	memcpy(message, rest.p, first);
	n = first;
	memcpy(message + n, secret, sizeof(secret) - 1);
	n += sizeof(secret) - 1;
	memcpy(message + n, rest.p + first, rest.n - first);
	n += rest.n - first;
	memcpy(message + n, body, sizeof(body) - 1);
	n += sizeof(body) - 1;
	m = span_of(message, n);

	n = sip_hep_format(&c, data[0] & 4 ? &six : &four, data[0] & 8 ? &six : &four, 1790000000000000u, m, packet);
	if (n == 0) {
		assert(m.n + 1000 > HEP_PACKET_MAX / 3);
		return 0;
	}
	assert(n >= 6 && n <= HEP_PACKET_MAX && memcmp(packet, "HEP3", 4) == 0 && number(packet + 4, 2) == n);
	for (at = 6; at < n; ) {
		unsigned type, size;

		assert(n - at >= 6);
		type = number(packet + at + 2, 2);
		size = number(packet + at + 4, 2);
		assert(number(packet + at, 2) == 0 && type >= 1 && type < 64 && size >= 6 && size <= n - at);
		assert((seen >> type & 1) == 0);
		seen |= UINT64_C(1) << type;
		at += size;
	}
	assert(at == n && (seen >> 15 & 1) == 1 && (seen >> 14 & 1) == (c.password != NULL));
	assert(memmem(packet, n, "S3CR3TS3CR3T", 12) == NULL);
	if (!c.bodies && memmem(m.p, m.n, "\r\n\r\n", 4) != NULL)
		assert(memmem(packet, n, body, sizeof(body) - 1) == NULL);
	return 0;
}
