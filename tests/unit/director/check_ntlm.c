/*
 * NTLM: the numbers of real sessions and of one that anybody can compute again,
 * what counts as AUTHENTICATE, and what does not prove anything.
 */
#include "director/ntlm.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/err.h"
#include "common/strbuf.h"
#include "net/digest.h"
#include "net/md4.h"
#include "tests/unit/director/vectors.h"
#include "tests/unit/unit.h"

static struct ntlm_target
target(void)
{
	return (struct ntlm_target){ .nb_domain = "EXAMPLE", .nb_computer = "DIR01", .dns_domain = "example.com",
	    .dns_computer = "dir01.example.com" };
}

static const unsigned char nonce[NTLM_NONCE_SIZE] = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef };

#define USER_AT		0x56	/* "alice" in AUTHENTICATE */
#define DOMAIN_AT	0x48
#define NT_AT		0x86

static void
nt_hash_of(const char *password, unsigned char out[NTLM_KEY_SIZE])
{
	char utf16[128];
	size_t n = strlen(password);

	for (size_t i = 0; i < n; i++) {
		utf16[2 * i] = password[i];
		utf16[2 * i + 1] = '\0';
	}
	net_md4(span_of(utf16, 2 * n), out);
}

START_TEST(challenges)
{
	unsigned char have[NTLM_CHALLENGE_MAX], want[512];
	struct ntlm_target t = target();
	size_t n = vector_base64(VECTOR_CHALLENGE, want, sizeof(want));

	ck_assert_uint_eq(ntlm_challenge_write(&t, nonce, 0, have), n);
	ck_assert_mem_eq(have, want, n);
	ck_assert_uint_eq(NTLM_CHALLENGE_FLAGS, 0xe2988251u);
	/* with a time, the list is longer by one pair */
	t.timestamp = true;
	ck_assert_uint_eq(ntlm_challenge_write(&t, nonce, ntlm_time(1772442000000ULL), have), n + 12);
	vector_hex("0700080000a831f322aadc0100000000", want, 16);
	ck_assert_mem_eq(have + n + 12 - 16, want, 16);
}
END_TEST

struct token {
	unsigned char	 p[1024];
	size_t		 n;
};

static struct token
authenticate(void)
{
	struct token t;

	t.n = vector_base64(VECTOR_AUTHENTICATE, t.p, sizeof(t.p));
	return t;
}

static int
parse(const struct token *t, struct ntlm_authenticate *a)
{
	return ntlm_authenticate_parse(a, span_of((const char *)t->p, t->n));
}

START_TEST(proves)
{
	struct token t = authenticate();
	struct ntlm_target who = target();
	struct ntlm_authenticate a;
	unsigned char hash[NTLM_KEY_SIZE], key[NTLM_KEY_SIZE], want[NTLM_KEY_SIZE], other[NTLM_NONCE_SIZE] = { 1 };
	char name[NTLM_NAME_MAX];

	ck_assert_int_eq(parse(&t, &a), SP_OK);
	ck_assert_uint_eq(a.flags, 0x62988255);
	ck_assert(!a.has_mic);
	ck_assert(ntlm_utf8(a.user, name, sizeof(name)));
	ck_assert_str_eq(name, "alice");
	ck_assert(ntlm_utf8(a.domain, name, sizeof(name)));
	ck_assert_str_eq(name, "EXAMPLE");
	ck_assert(ntlm_utf8(a.workstation, name, sizeof(name)));
	ck_assert_str_eq(name, "LAPTOP7");
	nt_hash_of("Passw0rd!", hash);
	vector_hex("fc525c9683e8fe067095ba2ddc971889", want, 16);
	ck_assert_mem_eq(hash, want, 16);
	ck_assert(ntlm_verify(&a, hash, &who, nonce, 0, key));
	vector_hex("101112131415161718191a1b1c1d1e1f", want, 16);
	ck_assert_mem_eq(key, want, 16);
	/* another challenge, another password, another user, another domain */
	ck_assert(!ntlm_verify(&a, hash, &who, other, 0, key));
	memset(want, 0, sizeof(want));
	ck_assert_mem_eq(key, want, 16);
	hash[0] ^= 1;
	ck_assert(!ntlm_verify(&a, hash, &who, nonce, 0, key));
	hash[0] ^= 1;
	t.p[USER_AT] = 'x';
	ck_assert_int_eq(parse(&t, &a), SP_OK);
	ck_assert(!ntlm_verify(&a, hash, &who, nonce, 0, key));
	t.p[USER_AT] = 'A';	/* letter case of the user does not count */
	ck_assert(ntlm_verify(&a, hash, &who, nonce, 0, key));
	t.p[DOMAIN_AT] = 'e';	/* that of the domain does */
	ck_assert(!ntlm_verify(&a, hash, &who, nonce, 0, key));
}
END_TEST

/* Proof over user, domain and the client's part; what a client does. */
static void
prove(struct token *t, const unsigned char hash[16], const char *upper_user, const char *domain)
{
	unsigned char name[64], responder[16], proof[16];
	struct span parts[2] = { span_of((const char *)nonce, 8), span_of((const char *)t->p + NT_AT + 16, 0xae - 16) };
	size_t n = 0;

	for (const char *p = upper_user; *p != '\0'; p++, n += 2)
		name[n] = (unsigned char)*p, name[n + 1] = 0;
	for (const char *p = domain; *p != '\0'; p++, n += 2)
		name[n] = (unsigned char)*p, name[n + 1] = 0;
	net_hmac_md5(hash, &(struct span){ (const char *)name, n }, 1, responder);
	net_hmac_md5(responder, parts, 2, proof);
	memcpy(t->p + NT_AT, proof, 16);
}

START_TEST(without_domain)
{
	struct token t = authenticate();
	struct ntlm_target who = target();
	struct ntlm_authenticate a;
	unsigned char hash[16], key[16];

	nt_hash_of("Passw0rd!", hash);
	/* a client that says EXAMPLE and computes without it */
	prove(&t, hash, "ALICE", "");
	ck_assert_int_eq(parse(&t, &a), SP_OK);
	ck_assert(ntlm_verify(&a, hash, &who, nonce, 0, key));
	prove(&t, hash, "ALICE", "OTHER");
	ck_assert(!ntlm_verify(&a, hash, &who, nonce, 0, key));
	/* and one that sends none */
	prove(&t, hash, "ALICE", "");
	memset(t.p + 28, 0, 2);
	ck_assert_int_eq(parse(&t, &a), SP_OK);
	ck_assert_uint_eq(a.domain.n, 0);
	ck_assert(ntlm_verify(&a, hash, &who, nonce, 0, key));
}
END_TEST

/* A client that was told the time protects the exchange: 16 bytes more in the head, and flags in its list. */
static struct token
with_mic(const unsigned char hash[16], const struct ntlm_target *who, uint64_t time, bool right)
{
	static const unsigned char flags_pair[8] = { 6, 0, 4, 0, 2, 0, 0, 0 };
	struct token old = authenticate(), t;
	unsigned char responder[16], proof[16], base[16], key[16], mic[16], challenge[NTLM_CHALLENGE_MAX], name[32];
	struct span parts[3];
	size_t nt_n = 0xae + 8, n = 0;

	/* the pieces of before, 16 bytes further, the list 8 bytes longer in front of its end */
	memcpy(t.p, old.p, 72);
	memset(t.p + 72, 0, 16);
	memcpy(t.p + 88, old.p + 72, NT_AT + 44 - 72);
	memcpy(t.p + NT_AT + 16 + 44, flags_pair, 8);
	memcpy(t.p + NT_AT + 16 + 52, old.p + NT_AT + 44, old.n - NT_AT - 44);
	t.n = old.n + 24;
	for (unsigned i = 0; i < 6; i++) {
		unsigned at = 12 + 8 * i + 4, offset = t.p[at] | (unsigned)t.p[at + 1] << 8;

		offset += offset > NT_AT ? 24 : 16;
		t.p[at] = (unsigned char)offset;
		t.p[at + 1] = (unsigned char)(offset >> 8);
	}
	t.p[20] = t.p[22] = (unsigned char)nt_n;
	for (const char *p = "ALICEEXAMPLE"; *p != '\0'; p++, n += 2)
		name[n] = (unsigned char)*p, name[n + 1] = 0;
	net_hmac_md5(hash, &(struct span){ (const char *)name, n }, 1, responder);
	parts[0] = span_of((const char *)nonce, 8);
	parts[1] = span_of((const char *)t.p + NT_AT + 32, nt_n - 16);
	net_hmac_md5(responder, parts, 2, proof);
	memcpy(t.p + NT_AT + 16, proof, 16);
	net_hmac_md5(responder, &(struct span){ (const char *)proof, 16 }, 1, base);
	ntlm_rc4(base, 16, t.p + t.n - 16, 16, key);
	parts[0] = span_of((const char *)challenge, ntlm_challenge_write(who, nonce, time, challenge));
	parts[1] = span_of((const char *)t.p, t.n);
	net_hmac_md5(key, parts, 2, mic);
	memcpy(t.p + 72, mic, 16);
	t.p[72] ^= right ? 0 : 1;
	return t;
}

START_TEST(mics)
{
	struct ntlm_target who = target();
	struct ntlm_authenticate a;
	unsigned char hash[16], key[16];
	uint64_t time = ntlm_time(1772442000000ULL);
	struct token t;

	who.timestamp = true;
	nt_hash_of("Passw0rd!", hash);
	t = with_mic(hash, &who, time, true);
	ck_assert_int_eq(parse(&t, &a), SP_OK);
	ck_assert(a.has_mic);
	ck_assert(ntlm_verify(&a, hash, &who, nonce, time, key));
	/* it covers our challenge, too */
	ck_assert(!ntlm_verify(&a, hash, &who, nonce, time + 1, key));
	t = with_mic(hash, &who, time, false);
	ck_assert_int_eq(parse(&t, &a), SP_OK);
	ck_assert(!ntlm_verify(&a, hash, &who, nonce, time, key));
	/* promised, and no room for it in the head */
	t = authenticate();
	t.p[NT_AT + 44] = 6;
	t.p[NT_AT + 46] = 4;
	ck_assert_int_ne(parse(&t, &a), SP_OK);
}
END_TEST

START_TEST(malformed)
{
	struct ntlm_authenticate a;
	struct token t;

#define CHANGED(want, ...) do { \
	t = authenticate(); \
	__VA_ARGS__; \
	ck_assert_msg(parse(&t, &a) == (want), "%s", #__VA_ARGS__); \
} while (0)
	CHANGED(SP_OK, (void)0);
	CHANGED(SP_ESYNTAX, t.p[0] = 'X');
	CHANGED(SP_ESYNTAX, t.p[8] = 1);
	/* NTLMv1, and LM alone */
	CHANGED(SP_EINVAL, t.p[20] = 24);
	CHANGED(SP_EINVAL, t.p[20] = 0);
	/* no Unicode, no signing, no session security, no key exchange */
	CHANGED(SP_EINVAL, t.p[60] &= (unsigned char)~1);
	CHANGED(SP_EINVAL, t.p[60] &= (unsigned char)~0x10);
	CHANGED(SP_EINVAL, t.p[62] &= (unsigned char)~8);
	CHANGED(SP_EINVAL, t.p[63] &= (unsigned char)~0x40);
	/* outside, in the head, over another field */
	CHANGED(SP_ESYNTAX, t.p[25] = 2);
	CHANGED(SP_ESYNTAX, t.p[27] = 0xff);
	CHANGED(SP_ESYNTAX, t.p[32] = 0);
	CHANGED(SP_ESYNTAX, t.p[40] = 0x49);
	CHANGED(SP_ESYNTAX, t.p[21] = 0xff);
	/* half a character; no user; a key of another length */
	CHANGED(SP_ESYNTAX, t.p[28] = 13);
	CHANGED(SP_ESYNTAX, t.p[36] = 0);
	CHANGED(SP_ESYNTAX, t.p[52] = 15);
	/* the client's list: cut, of another type, without an end */
	CHANGED(SP_ESYNTAX, t.p[20] = 0x50);
	CHANGED(SP_ESYNTAX, t.p[NT_AT + 16] = 2);
	CHANGED(SP_ESYNTAX, t.p[NT_AT + 46] = 0xff);
	for (size_t n = 0; ; n++) {
		t = authenticate();
		if (n == t.n)
			break;
		t.n = n;
		ck_assert_int_ne(parse(&t, &a), SP_OK);
	}
}
END_TEST

START_TEST(texts)
{
	char out[16];

	ck_assert(ntlm_utf8(span_of("a\0\xe4\0\xac\x20\x3d\xd8\x00\xde", 10), out, sizeof(out)));
	ck_assert_str_eq(out, "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
	ck_assert(!ntlm_utf8(span_of("\x3d\xd8", 2), out, sizeof(out)));
	ck_assert(!ntlm_utf8(span_of("\x00\xde", 2), out, sizeof(out)));
	ck_assert(!ntlm_utf8(span_of("\x3d\xd8" "a\0", 4), out, sizeof(out)));
	ck_assert(!ntlm_utf8(span_of("a\0\0\0", 4), out, sizeof(out)));
	ck_assert(!ntlm_utf8(span_of("a\0b", 3), out, sizeof(out)));
	ck_assert(ntlm_utf8(span_of("a\0b\0", 4), out, 3));
	ck_assert(!ntlm_utf8(span_of("a\0b\0", 4), out, 2));
	ck_assert_str_eq(out, "");
}
END_TEST

static void
signature_is(const struct ntlm_side *side, const char *text, const char *want)
{
	unsigned char have[NTLM_SIGNATURE_SIZE], bytes[NTLM_SIGNATURE_SIZE];

	vector_hex(want, bytes, sizeof(bytes));
	ntlm_sign(side, span_str(text), have);
	ck_assert_mem_eq(have, bytes, sizeof(bytes));
}

START_TEST(signatures)
{
	unsigned char key[16], want[16];
	struct ntlm_keys k;

	/* Communicator and OCS 2007 R2 */
	vector_hex("6742fbe37bb1946b49d86a525bd29a9b", key, 16);
	ntlm_keys_derive(&k, key, 0x62988255);
	vector_hex("ea5e87c195ae65338f7c023e7600690d", want, 16);
	ck_assert_mem_eq(k.client.sign_key, want, 16);
	vector_hex("0151fe94dba8c83f3c6a6e5444ae54b4", want, 16);
	ck_assert_mem_eq(k.server.sign_key, want, 16);
	signature_is(&k.client, VECTOR_1_REQUEST, "0100000029618e9651b65a7764000000");
	signature_is(&k.server, VECTOR_1_RESPONSE, "01000000E615438A917661BE64000000");
	/* our own */
	vector_hex("101112131415161718191a1b1c1d1e1f", key, 16);
	ntlm_keys_derive(&k, key, 0x62988255);
	signature_is(&k.client, VECTOR_3_A, VECTOR_3_A_MAC);
	signature_is(&k.server, VECTOR_3_B, VECTOR_3_B_MAC);
	signature_is(&k.server, VECTOR_3_C, VECTOR_3_C_MAC);
	signature_is(&k.client, VECTOR_3_D, VECTOR_3_D_MAC);
	signature_is(&k.client, VECTOR_3_D2, VECTOR_3_D2_MAC);
	signature_is(&k.server, VECTOR_3_E, VECTOR_3_E_MAC);
	/* Pidgin-SIPE 1.25 */
	vector_hex("290cbfde94f025f4c3cda4b42b027d5a", key, 16);
	ntlm_keys_derive(&k, key, 0x62988255);
	signature_is(&k.server, VECTOR_4_RESPONSE, "010000001402F56AFEA76DC064000000");
	signature_is(&k.client, VECTOR_4_REQUEST, "01000000C5B45427D9BF1DE164000000");
}
END_TEST

/* RC4 of RFC 6229, and the signature of MS 4.3, which is of the kind without session security that we do not speak. */
START_TEST(rc4)
{
	unsigned char key[16], want[16], have[16], zero[16] = { 0 }, in[12] = { 0 };
	uint32_t crc = 0xffffffff;
	const char *text = VECTOR_2;

	vector_hex("0102030405", key, 5);
	vector_hex("b2396305f03dc027ccc3524a0a1118a8", want, 16);
	ntlm_rc4(key, 5, zero, 16, have);
	ck_assert_mem_eq(have, want, 16);

	for (const char *p = text; *p != '\0'; p++) {
		crc ^= (unsigned char)*p;
		for (int i = 0; i < 8; i++)
			crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
	}
	crc = ~crc;
	ck_assert_uint_eq(crc, 0x1b7a17c4);
	for (int i = 0; i < 4; i++)
		in[4 + i] = (unsigned char)(crc >> 8 * i);
	in[8] = 100;
	vector_hex("5F029153BC025058969548615E7099BA", key, 16);
	ntlm_rc4(key, 16, in, sizeof(in), have);
	vector_hex("BF2E52667DDF6DED", want, 8);
	ck_assert_mem_eq(have + 4, want, 8);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { challenges, proves, without_domain, mics, malformed, texts, signatures, rc4 };

	return unit_run("ntlm", tests, sizeof(tests) / sizeof(tests[0]));
}
