/*
 * MS-SIPAE on messages: which credentials are ours and whole, what challenges
 * look like, and signatures over messages as edits make them.
 */
#include "director/sipae.h"

#include <stdio.h>

#include "common/err.h"
#include "tests/unit/director/vectors.h"
#include "tests/unit/unit.h"

static const unsigned char endpoint_key[HASH_KEY_SIZE] = "of endpoints";

#define NOW	1000000
#define REALM	"SIP Communications Service"
#define OURS	"realm=\"" REALM "\", targetname=\"dir01.example.com\""

static const struct sipae_self self = { REALM, "dir01.example.com", 4 };

static struct sip_message m;

static struct sip_message *
message(const char *start, const char *more)
{
	static char text[8192];

	snprintf(text, sizeof(text), "%s\r\nVia: SIP/2.0/TLS 192.0.2.1:1;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n"
	    "From: <sip:alice@example.com>;tag=11aa22bb33;epid=1a2b3c4d5e\r\nTo: <sip:bob@example.com>\r\n"
	    "Call-ID: c1\r\nCSeq: 2 MESSAGE\r\n%sContent-Length: 2\r\n\r\nhi", start, more);
	sip_message_reset(&m);
	ck_assert_int_eq(sip_message_index(&m, text, strlen(text)), SP_OK);
	ck_assert_int_eq(sip_message_parse(&m), SIP_CHECK_OK);
	return &m;
}

static struct sip_message *
with(const char *credentials)
{
	char line[4096];

	snprintf(line, sizeof(line), "Authorization: %s\r\n", credentials);
	return message("MESSAGE sip:bob@example.com SIP/2.0", line);
}

#define SIGNED	", opaque=\"2BDBAC9D\", crand=\"0b7de245\", cnum=\"2\", response=\"01000000ef5f599f4b88c4b064000000\""

START_TEST(finding)
{
	static const struct {
		const char	*text;
		enum signin	 want;
	} rows[] = {
		{ "NTLM qop=\"auth\", " OURS SIGNED, SIGNIN_FOUND },
		{ "ntlm " OURS SIGNED, SIGNIN_FOUND },
		{ "NTLM qop=\"auth\", " OURS ", gssapi-data=\"\"", SIGNIN_FOUND },
		{ "NTLM " OURS ", gssapi-data=\"TlRM\", version=4" SIGNED, SIGNIN_FOUND },
		{ "NTLM realm=\"" REALM "\", targetname=\"DIR01.example.com\"" SIGNED, SIGNIN_FOUND },
		{ "Kerberos realm=\"" REALM "\", targetname=\"sip/dir01.example.com\", gssapi-data=\"YIIF\"", SIGNIN_FOUND },
		/* for others */
		{ "NTLM realm=\"elsewhere\", targetname=\"dir01.example.com\"" SIGNED, SIGNIN_NONE },
		{ "NTLM realm=\"" REALM "\", targetname=\"dir02.example.com\"" SIGNED, SIGNIN_NONE },
		{ "NTLM realm=\"" REALM "\"" SIGNED, SIGNIN_NONE },
		{ "Kerberos " OURS ", gssapi-data=\"YIIF\"", SIGNIN_NONE },
		{ "NTLM realm=\"" REALM "\", targetname=\"sip/dir01.example.com\"" SIGNED, SIGNIN_NONE },
		{ "Digest " OURS SIGNED, SIGNIN_NONE },
		/* neither one thing nor the other */
		{ "NTLM " OURS, SIGNIN_MALFORMED },
		{ "NTLM " OURS ", opaque=\"2BDBAC9D\"", SIGNIN_MALFORMED },
		{ "NTLM " OURS ", crand=\"1\", cnum=\"2\", response=\"01\"", SIGNIN_MALFORMED },
		{ "NTLM " OURS ", opaque=\"2BDBAC9\", crand=\"1\", cnum=\"2\", response=\"01\"", SIGNIN_MALFORMED },
		{ "NTLM " OURS ", opaque=\"2BDBAC9X\", crand=\"1\", cnum=\"2\", response=\"01\"", SIGNIN_MALFORMED },
		{ "NTLM " OURS ", opaque=\"2BDBAC9D\", cnum=\"2\", response=\"01\"", SIGNIN_MALFORMED },
		{ "NTLM " OURS ", opaque=\"2BDBAC9D\", crand=\"1\", cnum=\"4294967296\", response=\"01\"", SIGNIN_MALFORMED },
		{ "NTLM " OURS ", opaque=\"2BDBAC9D\", crand=\"1\", cnum=\"-1\", response=\"01\"", SIGNIN_MALFORMED },
		{ "NTLM " OURS ", opaque=\"2BDBAC9D\", crand=\"1\", cnum=\"1\", response=\"011\"", SIGNIN_MALFORMED },
		{ "NTLM " OURS ", gssapi-data=\"\", version=5", SIGNIN_MALFORMED },
		{ "NTLM " OURS ", gssapi-data=\"\", version=1", SIGNIN_MALFORMED },
		{ "NTLM qop=\"auth-int\", " OURS SIGNED, SIGNIN_MALFORMED },
	};
	struct sipae_credentials c;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ck_assert_msg(sipae_find(&self, with(rows[i].text), &c) == rows[i].want, "%s", rows[i].text);
	ck_assert_int_eq(sipae_find(&self, with("NTLM " OURS SIGNED), &c), SIGNIN_FOUND);
	ck_assert_uint_eq(c.opaque, 0x2bdbac9d);
	ck_assert_uint_eq(c.version, 2);
	ck_assert_uint_eq(c.cnum, 2);
	ck_assert(c.is_signed && !c.handshake && c.signature_n == 16 && c.signature[15] == 0 && c.signature[12] == 100);
	/* in the other header, behind somebody else's */
	ck_assert_int_eq(sipae_find(&self, message("MESSAGE sip:bob@example.com SIP/2.0", "Authorization: NTLM realm=\"x\"\r\n"
	    "Proxy-Authorization: NTLM " OURS SIGNED "\r\n"), &c), SIGNIN_FOUND);
}
END_TEST

START_TEST(stripping)
{
	char out[8192];
	struct sip_message *got = message("MESSAGE sip:bob@example.com SIP/2.0",
	    "Authorization: NTLM realm=\"x\", targetname=\"dir01.example.com\"\r\nProxy-Authorization: NTLM " OURS SIGNED "\r\n"
	    "Authorization: Kerberos realm=\"" REALM "\", targetname=\"sip/dir01.example.com\", gssapi-data=\"\"\r\n"
	    "Authorization: Digest " OURS "\r\n");

	sipae_strip(&self, got);
	out[sip_message_render(got, out)] = '\0';
	ck_assert_ptr_nonnull(strstr(out, "Authorization: NTLM realm=\"x\", targetname=\"dir01.example.com\"\r\n"
	    "Authorization: Digest " OURS "\r\n"));
	ck_assert_ptr_null(strstr(out, "Kerberos"));
	ck_assert_ptr_null(strstr(out, "Proxy-"));
}
END_TEST

START_TEST(tokens)
{
	static const struct {
		const char	*text, *hex;	/* hex NULL: none */
	} rows[] = {
		{ "", "" }, { "TQ==", "4d" }, { "TWE=", "4d61" }, { "TWFu", "4d616e" }, { "+/+/", "fbffbf" },
		{ "TQ=", NULL }, { "TQ", NULL }, { "T===", NULL }, { "TWF=u", NULL }, { "TW\nFu", NULL }, { "TWFuTWFu", NULL }
	};
	unsigned char out[4], want[4];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t n = rows[i].hex != NULL ? strlen(rows[i].hex) / 2 : 0;

		ck_assert_msg(sipae_token(span_str(rows[i].text), out, sizeof(out)) == n, "%s", rows[i].text);
		vector_hex(rows[i].hex != NULL ? rows[i].hex : "", want, n);
		ck_assert_mem_eq(out, want, n);
	}
}
END_TEST

START_TEST(challenges)
{
	char text[1024];
	struct strbuf sb;

	strbuf_init(&sb, text, sizeof(text));
	sipae_offer(&self, SA_NTLM, &sb);
	ck_assert_str_eq(text, "WWW-Authenticate: NTLM targetname=\"dir01.example.com\", realm=\"" REALM "\", version=4\r\n");
	strbuf_reset(&sb);
	sipae_offer(&self, SA_KERBEROS, &sb);
	ck_assert_ptr_nonnull(strstr(text, "Kerberos targetname=\"sip/dir01.example.com\", "));
	strbuf_reset(&sb);
	sipae_go_on(&self, SA_NTLM, 0x0bdbac9d, SPAN_LIT("NTLMSSP"), &sb);
	ck_assert_str_eq(text, "WWW-Authenticate: NTLM opaque=\"0BDBAC9D\", gssapi-data=\"TlRMTVNTUA==\", "
	    "targetname=\"dir01.example.com\", realm=\"" REALM "\", version=4\r\n");
}
END_TEST

static struct sa_table *
table(struct sa_keys *keys, unsigned version, uint32_t *opaque)
{
	static const struct sa_limits limits = { 10, 10, 640, 32000, 60000, 600000 };
	struct sa_table *t = sa_table_new(&limits, endpoint_key);
	struct sa_claim c = { SPAN_LIT("alice@example.com"), SPAN_LIT("1a2b3c4d5e"), 1, 0 };
	struct authd_user u = { .found = true };
	unsigned char key[NTLM_KEY_SIZE];

	vector_hex("101112131415161718191a1b1c1d1e1f", key, sizeof(key));
	keys->scheme = SA_NTLM;
	ntlm_keys_derive(&keys->ntlm, key, NTLM_CHALLENGE_FLAGS);
	*opaque = sa_establish(t, 0, &c, version, keys, &u, 0, NOW);
	ck_assert_uint_ne(*opaque, 0);
	return t;
}

/* What stands between name=" and the next quote. */
static struct span
quoted(const char *text, const char *name)
{
	char key[32];
	const char *at;

	snprintf(key, sizeof(key), "%s=\"", name);
	at = strstr(text, key);
	ck_assert_msg(at != NULL, "no %s", name);
	at += strlen(key);
	return span_of(at, strcspn(at, "\""));
}

/* The vector of MS 4.4, by its parts: a MESSAGE of the client. */
START_TEST(verifying)
{
	static const char text[] = "MESSAGE sip:carol@partner.example.net SIP/2.0\r\nVia: SIP/2.0/TLS 192.0.2.1:1\r\n"
	    "Max-Forwards: 70\r\n"
	    "From: <sip:alice@example.com>;tag=11aa22bb33;epid=1a2b3c4d5e\r\n"
	    "To: <sip:carol@partner.example.net>;tag=44cc55dd66;epid=99ff\r\nCall-ID: d0c1b2a3948576655443322110ffeedd\r\n"
	    "CSeq: 2 MESSAGE\r\nAuthorization: NTLM qop=\"auth\", opaque=\"2BDBAC9D\", " OURS ", crand=\"0b7de245\", cnum=\"2\", "
	    "response=\"%s\"\r\nContent-Length: 0\r\n\r\n";
	struct sipae_credentials c;
	struct sa_keys keys = { .scheme = SA_NONE };
	uint32_t opaque;
	char full[2048];

	sa_table_free(table(&keys, 4, &opaque));
	for (unsigned version = 2; version <= 4; version++) {
		snprintf(full, sizeof(full), text, version == 2 ? VECTOR_3_D2_MAC : VECTOR_3_D_MAC);
		sip_message_reset(&m);
		ck_assert_int_eq(sip_message_index(&m, full, strlen(full)), SP_OK);
		ck_assert_int_eq(sip_message_parse(&m), SIP_CHECK_OK);
		ck_assert_int_eq(sipae_find(&self, &m, &c), SIGNIN_FOUND);
		ck_assert(sipae_verify(&m, &c, version, &keys));
		ck_assert(!sipae_verify(&m, &c, version == 2 ? 3 : 2, &keys));
		c.signature[5] ^= 1;
		ck_assert(!sipae_verify(&m, &c, version, &keys));
		c.signature[5] ^= 1;
		c.scheme = SA_KERBEROS;
		ck_assert(!sipae_verify(&m, &c, version, &keys));
	}
}
END_TEST

/* Signed is what leaves, not what came. */
START_TEST(signing)
{
	static char out[16384];
	struct sipae_desk *desk = sipae_desk_new();
	struct sa_keys keys = { .scheme = SA_NONE };
	uint32_t opaque;
	struct sa_table *t = table(&keys, 4, &opaque);

	for (unsigned i = 0; i < 2; i++) {
		struct sip_message *got = message("SIP/2.0 200 OK", "Expires: 60\r\nP-Asserted-Identity: <sip:old@example.com>\r\n"
		    "Authentication-Info: NTLM rspauth=\"00\"\r\n"), back;
		char text[SIGBUF_MAX];
		unsigned char want[SA_SIGNATURE_MAX], have[NTLM_SIGNATURE_SIZE];
		struct sigbuf_proof p = { .scheme = SPAN_LIT("NTLM"), .realm = SPAN_LIT(REALM),
		    .target = SPAN_LIT("dir01.example.com") };
		struct strbuf sb;

		sip_edit_drop_header(got, got->first[SIP_H_EXPIRES]);
		sip_edit_insert(got, (int)got->nheaders, "Expires: 7200\r\n");
		sip_edit_drop_header(got, got->first[SIP_H_P_ASSERTED_IDENTITY]);
		sip_edit_drop_first(got, SIP_H_VIA);
		ck_assert(sipae_sign(desk, &self, t, opaque, NOW, got));
		out[sip_message_render(got, out)] = '\0';
		ck_assert_ptr_null(strstr(out, "rspauth=\"00\""));
		sip_message_reset(&back);
		ck_assert_int_eq(sip_message_index(&back, out, strlen(out)), SP_OK);
		p.random = quoted(out, "srand");
		p.number = quoted(out, "snum");
		ck_assert(span_is(p.number, i == 0 ? "1" : "2"));
		ck_assert(span_is(quoted(out, "qop"), "auth"));
		strbuf_init(&sb, text, sizeof(text));
		ck_assert(sigbuf_write(&back, &p, 4, &sb));
		ck_assert_ptr_nonnull(strstr(text, "<><><><7200><200>"));
		ck_assert_uint_eq(sa_keys_sign(&keys, strbuf_span_of(&sb), want), sizeof(have));
		vector_hex(quoted(out, "rspauth").p, have, sizeof(have));
		ck_assert_mem_eq(have, want, sizeof(have));
	}
	/* an association that is no more; an edit that failed */
	ck_assert(!sipae_sign(desk, &self, t, opaque ^ 64, NOW, message("SIP/2.0 200 OK", "")));
	message("SIP/2.0 200 OK", "");
	m.edit_failed = true;
	ck_assert(!sipae_sign(desk, &self, t, opaque, NOW, &m));
	sa_table_free(t);
	sipae_desk_free(desk);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { finding, stripping, tokens, challenges, verifying, signing };

	return unit_run("sipae", tests, sizeof(tests) / sizeof(tests[0]));
}
