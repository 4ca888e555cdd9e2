/*
 * tests/bench/signing_bench.c - what clients that sign cost the Director.
 *
 * `make bench-signing`. CPU time of one thread: to find and verify the signature
 * of a MESSAGE of some 900 bytes, to sign its answer, to verify one NTLM
 * handshake; and the memory of 10,000 associations.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/err.h"
#include "director/handshake.h"
#include "director/sipae.h"
#include "net/digest.h"

static const unsigned char endpoint_key[HASH_KEY_SIZE] = "of endpoints";

#define ROUNDS		200000
#define USERS		10000
#define NOW		1000000

static const struct sipae_self self = { "SIP Communications Service", "director.int.example.com", 4 };

static double
cpu_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static const char request[] =
    "MESSAGE sip:bob@example.com SIP/2.0\r\n"
    "Via: SIP/2.0/TLS 10.0.0.10:40112;branch=z9hG4bKap771c0000000000000\r\n"
    "Via: SIP/2.0/TLS 192.168.1.5:51234;received=198.51.100.7;ms-received-port=2231;ms-received-cid=1A00\r\n"
    "Max-Forwards: 69\r\n"
    "From: <sip:alice@example.com>;tag=11aa22bb33;epid=1a2b3c4d5e\r\n"
    "To: <sip:bob@example.com>;tag=44cc55dd66;epid=99ff\r\n"
    "Call-ID: d0c1b2a3948576655443322110ffeedd\r\n"
    "CSeq: 2 MESSAGE\r\n"
    "User-Agent: UCCAPI/3.5.6907.0 OC/3.5.6907.0 (Microsoft Office Communicator 2007 R2)\r\n"
    "Supported: ms-delayed-accept\r\n"
    "ms-edge-proxy-message-trust: ms-source-type=InternetUser;ms-ep-fqdn=edge.int.example.com;ms-source-verified-user=verified\r\n"
    "Authorization: NTLM qop=\"auth\", opaque=\"%08X\", realm=\"SIP Communications Service\", "
    "targetname=\"director.int.example.com\", crand=\"0b7de245\", cnum=\"2\", response=\"%s\"\r\n"
    "Content-Type: text/plain; charset=UTF-8\r\n"
    "Content-Length: 11\r\n\r\nhello there";

static const char answer[] =
    "SIP/2.0 200 OK\r\n"
    "Via: SIP/2.0/TLS 10.0.0.20:5061;branch=z9hG4bKdir013f20000000000000\r\n"
    "Via: SIP/2.0/TLS 10.0.0.10:40112;branch=z9hG4bKap771c0000000000000\r\n"
    "Via: SIP/2.0/TLS 192.168.1.5:51234;received=198.51.100.7;ms-received-port=2231;ms-received-cid=1A00\r\n"
    "From: <sip:alice@example.com>;tag=11aa22bb33;epid=1a2b3c4d5e\r\n"
    "To: <sip:bob@example.com>;tag=44cc55dd66;epid=99ff\r\n"
    "Call-ID: d0c1b2a3948576655443322110ffeedd\r\n"
    "CSeq: 2 MESSAGE\r\n"
    "User-Agent: UCCAPI/3.5.6907.0 OC/3.5.6907.0 (Microsoft Office Communicator 2007 R2)\r\n"
    "Content-Length: 0\r\n\r\n";

static void
must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "signing_bench: %s\n", what);
	exit(1);
}

static uint32_t
sign_in(struct sa_table *t, unsigned user, const struct sa_keys *keys)
{
	struct authd_user u = { .found = true, .enabled = true };
	struct sa_claim c = { .epid = SPAN_LIT("1a2b3c4d5e"), .conn = user };

	snprintf(u.aor, sizeof(u.aor), "user%u@example.com", user);
	c.aor = span_str(u.aor);
	return sa_establish(t, 0, &c, 4, keys, &u, 0, NOW);
}

static struct sip_message in, out;

static void
index_of(struct sip_message *m, const char *text, size_t n)
{
	sip_message_reset(m);
	must(sip_message_index(m, text, n) == SP_OK && sip_message_parse(m) == SIP_CHECK_OK, "the message is none");
}

/* The request as its client signs it. */
static size_t
make_request(char *text, size_t room, uint32_t opaque, const struct sa_keys *keys)
{
	char buffer[SIGBUF_MAX], hex[2 * NTLM_SIGNATURE_SIZE + 1];
	unsigned char mac[NTLM_SIGNATURE_SIZE];
	struct sipae_credentials c;
	struct strbuf sb, h;

	snprintf(text, room, request, opaque, "00000000000000000000000000000000");
	index_of(&in, text, strlen(text));
	must(sipae_find(&self, &in, &c) == SIGNIN_FOUND, "no credentials");
	strbuf_init(&sb, buffer, sizeof(buffer));
	sigbuf_write(&in, &c.proof, 4, &sb);
	ntlm_sign(&keys->ntlm.client, strbuf_span_of(&sb), mac);
	strbuf_init(&h, hex, sizeof(hex));
	strbuf_hex(&h, mac, sizeof(mac), false);
	return (size_t)snprintf(text, room, request, opaque, hex);
}

static void
bench_messages(struct sa_table *t, uint32_t opaque, const struct sa_keys *keys)
{
	static char text[4096];
	size_t n = make_request(text, sizeof(text), opaque, keys);
	struct sipae_desk *desk = sipae_desk_new();
	double begin, verified, signed_;

	index_of(&in, text, n);
	begin = cpu_us();
	for (uint32_t i = 0; i < ROUNDS; i++) {
		struct sipae_credentials c;
		struct sa_view v;

		must(sipae_find(&self, &in, &c) == SIGNIN_FOUND && sa_get(t, c.opaque, NOW, &v) &&
		    sipae_verify(&in, &c, v.version, &v.keys) && sa_use(t, c.opaque, i + 1, NOW), "not verified");
		sa_keys_wipe(&v.keys);
	}
	verified = cpu_us();
	index_of(&out, answer, sizeof(answer) - 1);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		sip_edit_clear(&out);
		sip_edit_drop_first(&out, SIP_H_VIA);
		must(sipae_sign(desk, &self, t, opaque, NOW, &out), "not signed");
	}
	signed_ = cpu_us();
	printf("verify one request (%zu bytes)   %6.2f us\n", n, (verified - begin) / ROUNDS);
	printf("sign one answer (%zu bytes)      %6.2f us\n", sizeof(answer) - 1, (signed_ - verified) / ROUNDS);
	printf("both                              %6.2f us\n", (signed_ - begin) / ROUNDS);
	sipae_desk_free(desk);
}

static void
bench_memory(struct sa_table *t, const struct sa_keys *keys)
{
	size_t before = mallinfo2().uordblks;
	double begin = cpu_us();

	for (unsigned i = 1; i <= USERS; i++)
		must(sign_in(t, i, keys) != 0, "no room");
	printf("associations of %d users        %6.2f MB, %.2f us each\n", USERS,
	    (double)(mallinfo2().uordblks - before) / 1e6, (cpu_us() - begin) / USERS);
}

/* authd's part: a challenge, and the verification of an answer that is wrong, which costs the same as a right one. */
static void
bench_handshakes(void)
{
	static const struct ntlm_target target = { .nb_domain = "EXAMPLE", .nb_computer = "DIRECTOR",
	    .dns_domain = "example.com", .dns_computer = "director.int.example.com" };
	static const unsigned char nonce[NTLM_NONCE_SIZE], hash[NTLM_KEY_SIZE];
	unsigned char challenge[NTLM_CHALLENGE_MAX], token[512] = "NTLMSSP\0\3", key[NTLM_KEY_SIZE];
	struct ntlm_authenticate a;
	/* fields by length and place: no LM response, NT response, no domain, "u", no workstation, session key */
	static const unsigned short fields[6][2] = { { 0, 72 }, { 48, 72 }, { 0, 72 }, { 2, 120 }, { 0, 72 }, { 16, 122 } };
	double begin = cpu_us();

	for (unsigned i = 0; i < 6; i++) {
		token[12 + 8 * i] = (unsigned char)fields[i][0];
		token[16 + 8 * i] = (unsigned char)fields[i][1];
	}
	memcpy(token + 60, "\x55\x82\x98\x62", 4);
	token[72 + 16] = token[72 + 17] = 1;
	token[120] = 'u';
	for (unsigned i = 0; i < ROUNDS; i++) {
		ntlm_challenge_write(&target, nonce, 0, challenge);
		must(ntlm_authenticate_parse(&a, span_of((const char *)token, 138)) == SP_OK, "the token is none");
		must(!ntlm_verify(&a, hash, &target, nonce, 0, key), "a wrong answer is right");
	}
	printf("challenge, and verify the answer  %6.2f us\n", (cpu_us() - begin) / ROUNDS);
}

int
main(void)
{
	static const struct sa_limits limits = { 2 * USERS, 16, 4096, 32000, 7500000, 28800000 };
	struct sa_table *t = sa_table_new(&limits, endpoint_key);
	struct sa_keys keys = { .scheme = SA_NTLM };
	unsigned char key[NTLM_KEY_SIZE] = "0123456789abcde";
	uint32_t opaque;

	ntlm_keys_derive(&keys.ntlm, key, NTLM_CHALLENGE_FLAGS);
	bench_memory(t, &keys);
	must((opaque = sign_in(t, 0, &keys)) != 0, "no room");
	bench_messages(t, opaque, &keys);
	bench_handshakes();
	sa_table_free(t);
	return 0;
}
