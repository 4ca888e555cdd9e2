/*
 * The text that is signed, byte for byte: the buffers of real sessions from
 * messages like theirs, versions 2 to 4, and headers in odd shapes.
 */
#include "director/sigbuf.h"

#include <stdio.h>

#include "common/err.h"
#include "tests/unit/director/vectors.h"
#include "tests/unit/unit.h"

static struct sip_message m;

#define REALM	"SIP Communications Service"

static const char *
buffer(const char *text, unsigned version, const char *random, const char *number, const char *target)
{
	static char out[SIGBUF_MAX];
	struct sigbuf_proof p = { SPAN_LIT("NTLM"), span_str(random), span_str(number), SPAN_LIT(REALM), span_str(target) };
	struct strbuf sb;

	sip_message_reset(&m);
	ck_assert_int_eq(sip_message_index(&m, text, strlen(text)), SP_OK);
	strbuf_init(&sb, out, sizeof(out));
	ck_assert(sigbuf_write(&m, &p, version, &sb));
	return out;
}

START_TEST(sessions)
{
	static const char register3[] =
	    "REGISTER sip:example.com SIP/2.0\r\n"
	    "Via: SIP/2.0/TLS 192.168.1.5:51234\r\n"
	    "From: <sip:alice@example.com>;tag=8f2b6d1c3a;epid=1a2b3c4d5e\r\n"
	    "To: <sip:alice@example.com>\r\n"
	    "Call-ID: 6a1f0e5b7c9d4e2f8a3b5c7d9e1f2a4b\r\n"
	    "CSeq: 3 REGISTER\r\n"
	    "Contact: <sip:192.168.1.5:51234;transport=tls>;proxy=replace;expires=7200\r\n"
	    "Content-Length: 0\r\n\r\n";
	static const char ok[] =
	    "SIP/2.0 200 OK\r\n"
	    "Via: SIP/2.0/TLS 192.168.1.5:51234\r\n"
	    "From: <sip:alice@example.com>;tag=8f2b6d1c3a;epid=1a2b3c4d5e\r\n"
	    "To: <sip:alice@example.com>;tag=4E7A9C01D2B35F68\r\n"
	    "Call-ID: 6a1f0e5b7c9d4e2f8a3b5c7d9e1f2a4b\r\n"
	    "CSeq: 3 REGISTER\r\n"
	    "Expires: 7200\r\n"
	    "Content-Length: 0\r\n\r\n";
	static const char message[] =
	    "MESSAGE sip:carol@partner.example.net SIP/2.0\r\n"
	    "v: SIP/2.0/TLS 192.168.1.5:51234\r\n"
	    "f: \"Alice\" <sip:alice@example.com>;tag=11aa22bb33;epid=1a2b3c4d5e\r\n"
	    "t: <sip:carol@partner.example.net>;tag=44cc55dd66;epid=99ff\r\n"
	    "i: d0c1b2a3948576655443322110ffeedd\r\n"
	    "CSEQ: 2 MESSAGE\r\n"
	    "l: 2\r\n\r\nhi";
	static const char invite[] =
	    "INVITE sip:alice@example.com SIP/2.0\r\n"
	    "Via: SIP/2.0/TLS 10.0.0.20:40990;branch=z9hG4bKdir01\r\n"
	    "From: <sip:bob@example.com>;tag=b0b5tag\r\n"
	    "To: <sip:alice@example.com>\r\n"
	    "Call-ID: 77e1c0ffee77e1c0ffee77e1c0ffee00\r\n"
	    "CSeq: 1 INVITE\r\n"
	    "P-Asserted-Identity: \"Bob\"<sip:bob@example.com>,<tel:+15550100>\r\n"
	    "P-Preferred-Identity: <sip:somebody@example.com>\r\n"
	    "Content-Length: 0\r\n\r\n";
	static const char dir[] = "dir01.example.com";

	ck_assert_str_eq(buffer(register3, 4, "5c3a91f0", "1", dir), VECTOR_3_A);
	ck_assert_str_eq(buffer(ok, 4, "9D41E6B2", "1", dir), VECTOR_3_B);
	ck_assert_str_eq(buffer(ok, 3, "9D41E6B2", "1", dir), VECTOR_3_B);
	ck_assert_str_eq(buffer(ok, 2, "9D41E6B2", "1", dir), VECTOR_3_C);
	ck_assert_str_eq(buffer(message, 4, "0b7de245", "2", dir), VECTOR_3_D);
	ck_assert_str_eq(buffer(message, 2, "0b7de245", "2", dir), VECTOR_3_D2);
	ck_assert_str_eq(buffer(invite, 3, "A1B2C3D4", "7", dir), VECTOR_3_E);
}
END_TEST

/* Captured. */
START_TEST(captured)
{
	static const char ocs[] =
	    "SIP/2.0 200 OK\r\n"
	    "Via: SIP/2.0/TLS 10.0.0.1:1\r\n"
	    "FROM: <sip:user@cosmo.local>;tag=3e49177a52;epid=c8ca638a15\r\n"
	    "TO: <sip:user@cosmo.local>;tag=5E61CCD925D17E043D9A74835A88F664\r\n"
	    "CALL-ID: 4037df9284354df39065195bd57a4b14\r\n"
	    "CSEQ: 3 REGISTER\r\n"
	    "Contact: <sip:10.0.0.1:1;transport=tls>;expires=7200\r\n"
	    "Expires: 7200\r\n"
	    "Content-Length: 0\r\n\r\n";
	static const char subscribe[] =
	    "SUBSCRIBE sip:alice@example.test SIP/2.0\r\n"
	    "Via: SIP/2.0/tls 127.0.0.1:51918;branch=z9hG4bK01BB57475FA9D623E8C4\r\n"
	    "From: <sip:alice@example.test>;tag=456457422;epid=b34afb6ebb23\r\n"
	    "To: <sip:alice@example.test>\r\n"
	    "CSeq: 1 SUBSCRIBE\r\n"
	    "Call-ID: 52E5g53C4a8EFBiAF07mC328tC4ADb19D7x8B76x\r\n"
	    "Event: presence.wpending\r\n"
	    "Supported: com.microsoft.autoextend\r\n"
	    "Contact: <sip:alice@example.test:51918;maddr=127.0.0.1;transport=tls>;proxy=replace\r\n"
	    "Content-Length: 0\r\n\r\n";
	static const char pidgin[] =
	    "SIP/2.0 200 OK\r\n"
	    "Via: SIP/2.0/tls 127.0.0.1:51918;branch=z9hG4bK01BB57475FA9D623E8C4\r\n"
	    "From: <sip:alice@example.test>;tag=3701951790;epid=b34afb6ebb23\r\n"
	    "To: <sip:alice@example.test>;tag=169A780CDA\r\n"
	    "Call-ID: 4716g4CD0a90D8i69ADm77B6t9C1EbE351xA561x\r\n"
	    "CSeq: 3 REGISTER\r\n"
	    "Expires: 7200\r\n"
	    "Content-Length: 0\r\n\r\n";
	static const char pool[] = "pool01.example.test";

	ck_assert_str_eq(buffer(ocs, 4, "9616454F", "1", "cosmo-ocs-r2.cosmo.local"), VECTOR_1_RESPONSE);
	ck_assert_str_eq(buffer(subscribe, 2, "f6606d6c", "1", pool), VECTOR_4_REQUEST);
	ck_assert_str_eq(buffer(pidgin, 2, "96B68A71", "1", pool), VECTOR_4_RESPONSE);
}
END_TEST

static const char *
odd(const char *from, const char *to, const char *more, unsigned version)
{
	static char text[2048];

	snprintf(text, sizeof(text), "MESSAGE sip:b@example.com SIP/2.0\r\nVia: SIP/2.0/TLS 192.0.2.1:1\r\nFrom: %s\r\n"
	    "To: %s\r\nCall-ID: 1\r\nCSeq: 9 \t MESSAGE\r\n%sContent-Length: 0\r\n\r\n", from, to, more);
	return buffer(text, version, "r", "n", "t");
}

#define START	"<NTLM><r><n><" REALM "><t><1><9><MESSAGE>"

START_TEST(shapes)
{
	/* without brackets; URI parameters inside, header parameters outside; letter case and escapes stay */
	ck_assert_str_eq(odd("sip:A@Example.com;tag=x", "SIP:b%40@example.com ;tag=y", "", 4),
	    START "<sip:A@Example.com><x><SIP:b%40@example.com><y><><><>");
	ck_assert_str_eq(odd("<sip:a@example.com;opaque=1>;epid=2;tag=x;more", "\"B\" <sip:b@example.com>;epid=3", "", 4),
	    START "<sip:a@example.com;opaque=1><x><sip:b@example.com><><><><>");
	/* a tag inside of the brackets is none */
	ck_assert_str_eq(odd("<sip:a@example.com;tag=no>;tag=yes", "<sip:b@example.com;tag=no>", "", 2),
	    START "<sip:a@example.com;tag=no><yes><><>");
	/* identities: the first of each kind, in brackets */
	ck_assert_str_eq(odd("<sip:a@x>;tag=1", "<sip:b@x>", "P-Asserted-Identity: <SIP:one@x>, <sip:two@x>, <tel:+1>, <tel:+2>\r\n", 4),
	    START "<sip:a@x><1><sip:b@x><><SIP:one@x><tel:+1><>");
	ck_assert_str_eq(odd("<sip:a@x>;tag=1", "<sip:b@x>", "P-Preferred-Identity: tel:+15550100\r\n", 4),
	    START "<sip:a@x><1><sip:b@x><><><tel:+15550100><>");
	ck_assert_str_eq(odd("<sip:a@x>;tag=1", "<sip:b@x>", "P-Preferred-Identity: sip:bare@x\r\nExpires:  60 \r\n", 4),
	    START "<sip:a@x><1><sip:b@x><><><><60>");
	/* version 2 knows none of them */
	ck_assert_str_eq(odd("<sip:a@x>;tag=1", "<sip:b@x>", "P-Asserted-Identity: <sip:one@x>\r\nExpires: 60\r\n", 2),
	    START "<sip:a@x><1><><60>");
}
END_TEST

START_TEST(too_long)
{
	char small[64];
	struct sigbuf_proof p = { .scheme = SPAN_LIT("NTLM") };
	struct strbuf sb;

	odd("<sip:a@example.com>;tag=1", "<sip:b@example.com>", "", 4);
	strbuf_init(&sb, small, sizeof(small));
	ck_assert(!sigbuf_write(&m, &p, 4, &sb));
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { sessions, captured, shapes, too_long };

	return unit_run("sigbuf", tests, sizeof(tests) / sizeof(tests[0]));
}
