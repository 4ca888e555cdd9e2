/*
 * HEP: packets are taken apart chunk by chunk, and secrets are looked for.
 */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "sip/hep.h"

static unsigned char packet[HEP_PACKET_MAX];

static const char message[] = "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/TLS h;branch=z9hG4bK1\r\n"
    "From: <sip:a@example.com>;tag=1\r\nTo: <sip:a@example.com>\r\nCall-ID: one@two\r\nCSeq: 1 REGISTER\r\n"
    "Authorization: Digest username=\"a\", response=\"5ecre7\"\r\n ,nonce=\"5ecre7\"\r\nContent-Length: 8\r\n\r\nthe body";

struct parsed {
	struct span	chunk[32];
	unsigned	n;
};

static unsigned
number(const unsigned char *p, unsigned bytes)
{
	unsigned v = 0;

	while (bytes-- > 0)
		v = v << 8 | *p++;
	return v;
}

/* As a receiver does: every length must fit, and no type may come twice. */
static void
parse(size_t n, struct parsed *out)
{
	size_t at = 6;

	memset(out, 0, sizeof(*out));
	ck_assert_uint_ge(n, 6);
	ck_assert_int_eq(memcmp(packet, "HEP3", 4), 0);
	ck_assert_uint_eq(number(packet + 4, 2), n);
	while (at < n) {
		unsigned type, len;

		ck_assert_uint_ge(n - at, 6);
		ck_assert_uint_eq(number(packet + at, 2), 0);
		type = number(packet + at + 2, 2);
		len = number(packet + at + 4, 2);
		ck_assert(type >= 1 && type < 32 && len >= 6 && len <= n - at);
		ck_assert_ptr_null(out->chunk[type].p);
		out->chunk[type] = span_of((const char *)packet + at + 6, len - 6);
		at += len;
		out->n++;
	}
	ck_assert_uint_eq(at, n);
}

static unsigned
value(const struct parsed *p, unsigned type, unsigned bytes)
{
	ck_assert_uint_eq(p->chunk[type].n, bytes);
	return number((const unsigned char *)p->chunk[type].p, bytes);
}

static size_t
make(const char *from, const char *to, bool bodies, const char *password, struct span m)
{
	struct sip_hep_config c = { .id = 2001, .password = password, .bodies = bodies };
	struct net_addr a, b;

	ck_assert_int_eq(net_addr_parse(&a, span_str(from), 0), 0);
	ck_assert_int_eq(net_addr_parse(&b, span_str(to), 0), 0);
	return sip_hep_format(&c, &a, &b, UINT64_C(1700000000123456), m, packet);
}

START_TEST(chunks)
{
	struct parsed p;

	parse(make("192.0.2.1:5061", "198.51.100.2:443", false, "pass", span_str(message)), &p);
	ck_assert_uint_eq(value(&p, 1, 1), 2);
	ck_assert_uint_eq(value(&p, 2, 1), 6);
	ck_assert_uint_eq(value(&p, 3, 4), 0xc0000201);
	ck_assert_uint_eq(value(&p, 4, 4), 0xc6336402);
	ck_assert_uint_eq(value(&p, 7, 2), 5061);
	ck_assert_uint_eq(value(&p, 8, 2), 443);
	ck_assert_uint_eq(value(&p, 9, 4), 1700000000);
	ck_assert_uint_eq(value(&p, 10, 4), 123456);
	ck_assert_uint_eq(value(&p, 11, 1), 1);
	ck_assert_uint_eq(value(&p, 12, 4), 2001);
	ck_assert(span_is(p.chunk[14], "pass"));
	ck_assert(span_is(p.chunk[17], "one@two"));
	ck_assert_uint_eq(p.n, 13);
	parse(make("[2001:db8::1]:5061", "[2001:db8::2]:443", false, NULL, span_str(message)), &p);
	ck_assert_uint_eq(value(&p, 1, 1), 10);
	ck_assert_uint_eq(p.chunk[5].n, 16);
	ck_assert_int_eq(p.chunk[6].p[15], 2);
	ck_assert_ptr_null(p.chunk[14].p);
}
END_TEST

START_TEST(secrets_stay)
{
	struct parsed p;

	parse(make("192.0.2.1:1", "192.0.2.2:2", false, NULL, span_str(message)), &p);
	ck_assert_ptr_null(memmem(packet, sizeof(packet), "5ecre7", 6));
	ck_assert_ptr_nonnull(memmem(p.chunk[15].p, p.chunk[15].n, "Authorization: Digest ***\r\n", 27));
	ck_assert_ptr_nonnull(memmem(p.chunk[15].p, p.chunk[15].n, "Content-Length: 8\r\n\r\nxxxxxxxx", 29));
	ck_assert_ptr_null(memmem(p.chunk[15].p, p.chunk[15].n, "the body", 8));
	ck_assert_int_eq(memcmp(p.chunk[15].p, "REGISTER sip:example.com SIP/2.0\r\n", 34), 0);
	parse(make("192.0.2.1:1", "192.0.2.2:2", true, NULL, span_str(message)), &p);
	ck_assert_ptr_nonnull(memmem(p.chunk[15].p, p.chunk[15].n, "\r\n\r\nthe body", 12));
	ck_assert_ptr_null(memmem(p.chunk[15].p, p.chunk[15].n, "5ecre7", 6));
}
END_TEST

/* Whatever stands in a message is data in the packet: lengths hold, also where it is too large or broken. */
START_TEST(odd_messages)
{
	static char large[HEP_PACKET_MAX + 100];
	struct parsed p;

	memset(large, 'a', sizeof(large));
	memcpy(large, "A b SIP/2.0\r\nCall-ID: x\r\n\r\n", 27);
	ck_assert_uint_eq(make("192.0.2.1:1", "192.0.2.2:2", true, NULL, span_of(large, HEP_PACKET_MAX)), 0);
	parse(make("192.0.2.1:1", "192.0.2.2:2", true, NULL, span_of(large, HEP_PACKET_MAX - 300)), &p);
	parse(make("192.0.2.1:1", "192.0.2.2:2", true, NULL, span_str("HEP3\xff\xff\x00\x01")), &p);
	parse(make("192.0.2.1:1", "192.0.2.2:2", false, NULL, SPAN_NONE), &p);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { chunks, secrets_stay, odd_messages };

	return unit_run("hep", tests, sizeof(tests) / sizeof(tests[0]));
}
