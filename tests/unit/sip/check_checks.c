#include <stdio.h>

#include "common/err.h"
#include "sip/message.h"
#include "tests/unit/unit.h"

static struct sip_message msg;

/*
 * A sound request, line by line. A row of a test puts lines in place of some:
 * each of its lines replaces the one of the same name, or is added.
 */
static const char *const sound[] = {
	"INVITE sip:bob@example.com SIP/2.0",
	"Via: SIP/2.0/TLS 192.0.2.1:5061;branch=z9hG4bK1",
	"From: <sip:alice@example.com>;tag=a",
	"To: <sip:bob@example.com>",
	"Call-ID: 1@h",
	"CSeq: 1 INVITE",
	"Max-Forwards: 70",
	"Contact: <sip:alice@192.0.2.1;transport=tls>",
	"Content-Length: 0",
};

static enum sip_check
check_lines(const char *const *lines, size_t n)
{
	static char text[60000];
	struct strbuf sb;

	strbuf_init(&sb, text, sizeof(text));
	for (size_t i = 0; i < n; i++)
		if (lines[i][0] != '\0')
			strbuf_printf(&sb, "%s\r\n", lines[i]);
	strbuf_puts(&sb, "\r\n");
	ck_assert(strbuf_ok(&sb));
	ck_assert_msg(sip_message_index(&msg, text, sb.len) == SP_OK, "%s", text);
	return sip_check_message(&msg);
}

/* The sound request with line `at` replaced ("": taken out) and one more line if extra. */
static enum sip_check
check_changed(size_t at, const char *line, const char *extra)
{
	const char *lines[11];
	size_t n = sizeof(sound) / sizeof(sound[0]);

	memcpy(lines, sound, sizeof(sound));
	lines[at] = line;
	if (extra != NULL)
		lines[n++] = extra;
	return check_lines(lines, n);
}

enum { START, VIA, FROM, TO, CALL_ID, CSEQ, MAX_FORWARDS, CONTACT };

static const struct {
	enum sip_check	 want;
	size_t		 at;
	const char	*line;
	const char	*extra;
} provoked[] = {
	{ SIP_CHECK_OK, VIA, "Via: SIP/2.0/TLS 192.0.2.1:5061;branch=z9hG4bK1", NULL },
	/* presence and number */
	{ SIP_CHECK_NO_VIA, VIA, "", NULL },
	{ SIP_CHECK_NO_FROM, FROM, "", NULL },
	{ SIP_CHECK_NO_TO, TO, "", NULL },
	{ SIP_CHECK_NO_CALL_ID, CALL_ID, "", NULL },
	{ SIP_CHECK_NO_CSEQ, CSEQ, "", NULL },
	{ SIP_CHECK_OK, MAX_FORWARDS, "", NULL },
	{ SIP_CHECK_OK, CONTACT, "", NULL },
	{ SIP_CHECK_REPEATED, FROM, "From: <sip:alice@example.com>;tag=a", "f: <sip:alice@example.com>;tag=a" },
	{ SIP_CHECK_REPEATED, TO, "t: <sip:bob@example.com>", "TO : <sip:bob@example.com>" },
	{ SIP_CHECK_REPEATED, CALL_ID, "i: 1", "Call-ID: 1" },
	{ SIP_CHECK_REPEATED, CSEQ, "CSeq: 1 INVITE", "cseq: 1 INVITE" },
	{ SIP_CHECK_REPEATED, MAX_FORWARDS, "Max-Forwards: 70", "MAX-FORWARDS: 70" },
	{ SIP_CHECK_REPEATED, CONTACT, "Content-Type: a/b", "c: a/b" },
	{ SIP_CHECK_REPEATED, CONTACT, "Expires: 1", "Expires: 1" },
	{ SIP_CHECK_REPEATED, CONTACT, "Event: a", "o: b" },
	{ SIP_CHECK_REPEATED, CONTACT, "Date: x", "date: x" },
	{ SIP_CHECK_REPEATED, CONTACT, "Refer-To: <sip:a@h>", "r: <sip:a@h>" },
	{ SIP_CHECK_REPEATED, CONTACT, "b: <sip:a@h>", "Referred-By: <sip:a@h>" },
	{ SIP_CHECK_REPEATED, CONTACT, "s: x", "Subject: y" },
	{ SIP_CHECK_REPEATED, CONTACT, "Session-Expires: 90", "x: 91" },
	{ SIP_CHECK_REPEATED, CONTACT, "replaces: a", "Replaces: b" },
	{ SIP_CHECK_REPEATED, CONTACT, "Subscription-State: active", "subscription-state: terminated" },
	{ SIP_CHECK_REPEATED, CONTACT, "ms-edge-proxy-message-trust: a", "MS-EDGE-PROXY-MESSAGE-TRUST: a" },
	{ SIP_CHECK_REPEATED, CONTACT, "ms-asserted-verification-level: a", "ms-asserted-verification-level: a" },
	{ SIP_CHECK_REPEATED, CONTACT, "ms-keep-alive: UAC", "ms-keep-alive: UAS" },
	{ SIP_CHECK_OK, CONTACT, "Supported: a", "k: b" },
	{ SIP_CHECK_OK, CONTACT, "UserAgent: a", "User-Agent: b" },
	/* form */
	{ SIP_CHECK_REQUEST_URI, START, "INVITE example.com SIP/2.0", NULL },
	{ SIP_CHECK_REQUEST_URI, START, "INVITE <sip:bob@example.com> SIP/2.0", NULL },
	{ SIP_CHECK_REQUEST_URI, START, "INVITE sip:bob@example.com?Route=%3Csip:x%3E SIP/2.0", NULL },
	{ SIP_CHECK_REQUEST_URI, START, "INVITE sip:bob@example.com:0 SIP/2.0", NULL },
	{ SIP_CHECK_ESCAPE, START, "INVITE sip:b%6@example.com SIP/2.0", NULL },
	{ SIP_CHECK_URI_SCHEME, START, "INVITE nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0", NULL },
	{ SIP_CHECK_URI_SCHEME, START, "INVITE urn:service:sos SIP/2.0", NULL },
	{ SIP_CHECK_OK, START, "INVITE SIPS:bob@[2001:db8::1] SIP/2.0", NULL },
	{ SIP_CHECK_OK, START, "INVITE tel:+15550100 SIP/2.0", NULL },
	{ SIP_CHECK_VIA, VIA, "Via: SIP/2.0/TLS", NULL },
	{ SIP_CHECK_VIA, VIA, "Via:", NULL },
	{ SIP_CHECK_VIA, VIA, "Via: SIP/2.0/TLS 192.0.2.1;branch=", NULL },
	{ SIP_CHECK_VIA, VIA, "Via: SIP/2.0/TLS a, , SIP/2.0/TLS b", NULL },
	{ SIP_CHECK_VIA, VIA, "Via: SIP/2.0/TLS a,", NULL },
	{ SIP_CHECK_VIA, CONTACT, "v: SIP/9/TLS b", NULL },
	{ SIP_CHECK_OK, CONTACT, "v: SIP/2.0/UDP b", NULL },
	{ SIP_CHECK_VIA_TRANSPORT, VIA, "Via: SIP/2.0/TCP 192.0.2.1", NULL },
	{ SIP_CHECK_OK, VIA, "Via: SIP/2.0/tls 192.0.2.1", NULL },
	{ SIP_CHECK_FROM, FROM, "From: alice", NULL },
	{ SIP_CHECK_FROM, FROM, "From: <sip:alice@example.com>;tag=a;tag=b", NULL },
	{ SIP_CHECK_FROM, FROM, "From: <sip:a@example.com>;tag=a, <sip:b@example.com>;tag=b", NULL },
	{ SIP_CHECK_FROM, FROM, "From: Bell, Alexander <sip:a.g.bell@bell-tel.com>;tag=43", NULL },
	{ SIP_CHECK_ESCAPE, FROM, "From: <sip:%g0@example.com>;tag=a", NULL },
	{ SIP_CHECK_OK, FROM, "From: \"A\" sip:alice@example.com;tag=a;epid=1", NULL },
	{ SIP_CHECK_TO, TO, "To: \"open <sip:bob@example.com>", NULL },
	{ SIP_CHECK_OK, TO, "To: isbn:2983792873", NULL },
	{ SIP_CHECK_TAG, FROM, "From: <sip:alice@example.com>", NULL },
	{ SIP_CHECK_TAG, FROM, "From: <sip:alice@example.com>;tag", NULL },
	{ SIP_CHECK_TAG, FROM, "From: <sip:alice@example.com>;tag=\"a\"", NULL },
	{ SIP_CHECK_FROM, FROM, "From: <sip:alice@example.com>;tag=a@b", NULL },
	{ SIP_CHECK_TO, TO, "To: <sip:bob@example.com>;tag=\xc3\xa4", NULL },
	{ SIP_CHECK_TAG, TO, "To: <sip:bob@example.com>;tag=[::1]", NULL },
	{ SIP_CHECK_OK, TO, "To: <sip:bob@example.com>;tag=4E7A9C01", NULL },
	{ SIP_CHECK_CALL_ID, CALL_ID, "Call-ID:", NULL },
	{ SIP_CHECK_CALL_ID, CALL_ID, "Call-ID: a b", NULL },
	{ SIP_CHECK_CALL_ID, CALL_ID, "Call-ID: a@b@c", NULL },
	{ SIP_CHECK_CALL_ID, CALL_ID, "Call-ID: a@", NULL },
	{ SIP_CHECK_CALL_ID, CALL_ID, "Call-ID: a, b", NULL },
	{ SIP_CHECK_OK, CALL_ID, "Call-ID: ()<>:\\\"/[]?{}-.!%*_+`'~@z", NULL },
	{ SIP_CHECK_CSEQ, CSEQ, "CSeq: INVITE", NULL },
	{ SIP_CHECK_CSEQ, CSEQ, "CSeq: 2147483648 INVITE", NULL },
	{ SIP_CHECK_CSEQ, CSEQ, "CSeq: 1 INV@ITE", NULL },
	{ SIP_CHECK_CSEQ_METHOD, CSEQ, "CSeq: 1 MESSAGE", NULL },
	{ SIP_CHECK_CSEQ_METHOD, CSEQ, "CSeq: 1 invite", NULL },
	{ SIP_CHECK_MAX_FORWARDS, MAX_FORWARDS, "Max-Forwards: 256", NULL },
	{ SIP_CHECK_MAX_FORWARDS, MAX_FORWARDS, "Max-Forwards: -1", NULL },
	{ SIP_CHECK_MAX_FORWARDS, MAX_FORWARDS, "Max-Forwards:", NULL },
	{ SIP_CHECK_MAX_FORWARDS, MAX_FORWARDS, "Max-Forwards: 7 0", NULL },
	{ SIP_CHECK_OK, MAX_FORWARDS, "Max-Forwards: 0255", NULL },
	{ SIP_CHECK_ROUTE, CONTACT, "Route:", NULL },
	{ SIP_CHECK_ROUTE, CONTACT, "Route: sip:a@h;lr", NULL },
	{ SIP_CHECK_ROUTE, CONTACT, "Route: <sip:h;lr>, x", NULL },
	{ SIP_CHECK_ROUTE, CONTACT, "Route: <tel:+1>", NULL },
	{ SIP_CHECK_ROUTE, CONTACT, "Route: J\xc3\xbcrgen <sip:h;lr>", NULL },
	{ SIP_CHECK_OK, CONTACT, "Route: \"J\xc3\xbcrgen\" <sip:h;lr>;x=\"y\"", NULL },
	{ SIP_CHECK_ESCAPE, CONTACT, "Route: <sip:h;x=%>", NULL },
	{ SIP_CHECK_RECORD_ROUTE, CONTACT, "Record-Route: <sip:h;lr", NULL },
	{ SIP_CHECK_RECORD_ROUTE, CONTACT, "Record-Route: <http://h>", NULL },
	{ SIP_CHECK_CONTACT, CONTACT, "Contact: <sip:h", NULL },
	{ SIP_CHECK_CONTACT, CONTACT, "Contact: *", NULL },
	{ SIP_CHECK_CONTACT, CONTACT, "m: sip:a@h?x=y", NULL },
	{ SIP_CHECK_OK, CONTACT, "m: \"a,b\" <sip:h>;q=0.3, sip:j;expires=0", NULL },
	{ SIP_CHECK_CREDENTIALS, CONTACT, "Authorization: Digest", NULL },
	{ SIP_CHECK_CREDENTIALS, CONTACT, "Proxy-Authorization: Digest nonce=1, nonce=2", NULL },
	{ SIP_CHECK_CREDENTIALS, CONTACT, "WWW-Authenticate: Digest realm=\"x", NULL },
	{ SIP_CHECK_CREDENTIALS, CONTACT, "Proxy-Authenticate: a=b", NULL },
	{ SIP_CHECK_EXPIRES, CONTACT, "Expires: 4294967296", NULL },
	{ SIP_CHECK_EXPIRES, CONTACT, "Expires: Thu, 01 Dec 2026 16:00:00 GMT", NULL },
	{ SIP_CHECK_EXPIRES, CONTACT, "Expires:", NULL },
	/* marks in disguise */
	{ SIP_CHECK_OK, CONTACT, "ms-edge-proxy-message-trust: ms-source-type=InternetUser", NULL },
	{ SIP_CHECK_OK, CONTACT, "ms-edge-proxy-message-trust \t : x", NULL },
	{ SIP_CHECK_MARK_DISGUISED, CONTACT, "ms_edge_proxy_message_trust: x", NULL },
	{ SIP_CHECK_MARK_DISGUISED, CONTACT, "ms--edge-proxy-message-trust: x", NULL },
	{ SIP_CHECK_MARK_DISGUISED, CONTACT, "MS-EdgeProxy-MessageTrust: x", NULL },
	{ SIP_CHECK_MARK_DISGUISED, CONTACT, ".ms-edge-proxy-message-trust: x", NULL },
	{ SIP_CHECK_MARK_DISGUISED, CONTACT, "ms-edge-proxy-message-trust': x", NULL },
	{ SIP_CHECK_MARK_DISGUISED, CONTACT, "ms-edge-proxy-message-trust2: x", NULL },
	{ SIP_CHECK_MARK_DISGUISED, CONTACT, "%6Ds-edge-proxy-message-trust: x", NULL },
	{ SIP_CHECK_MARK_DISGUISED, CONTACT, "ms%2dedge%2dproxy%2dmessage%2dtrust: x", NULL },
	{ SIP_CHECK_MARK_DISGUISED, CONTACT, "ms-user-logon%data: x", NULL },
	{ SIP_CHECK_MARK_DISGUISED, CONTACT, "p_asserted_identity: <sip:a@h>", NULL },
	{ SIP_CHECK_MARK_DISGUISED, CONTACT, "P-Asserted-Identity.: <sip:a@h>", NULL },
	{ SIP_CHECK_MARK_DISGUISED, CONTACT, "ms_user_logon_data: RemoteUser", NULL },
	{ SIP_CHECK_MARK_DISGUISED, CONTACT, "ms.asserted.verification.level: x", NULL },
	{ SIP_CHECK_MARK_DISGUISED, CONTACT, "ms-split-domaininfo: x", NULL },
	{ SIP_CHECK_MARK_DISGUISED, CONTACT, "x-sallyport-refused-: x", NULL },
	{ SIP_CHECK_MARK_DISGUISED, CONTACT, "Subject: a\r\n ms-edge-proxy-message-trust: x", NULL },
	{ SIP_CHECK_MARK_DISGUISED, CONTACT, "Subject:\r\n\tP-Asserted-Identity : <sip:a@h>", NULL },
	{ SIP_CHECK_CONTROL, CONTACT, "X: a\xe2\x80\xa8ms-edge-proxy-message-trust: x", NULL },
	{ SIP_CHECK_CONTROL, CONTACT, "X: a\xc2\x85MS-Edge-Proxy-Message-Trust: x", NULL },
	{ SIP_CHECK_CONTROL, CONTACT, "X: a\xc0\x8d\xc0\x8ams-edge-proxy-message-trust: x", NULL },
	{ SIP_CHECK_MARK_DISGUISED, CONTACT, "Refer-To: <sip:a@h?ms-edge-proxy-message-trust=x>", NULL },
	{ SIP_CHECK_MARK_DISGUISED, CONTACT, "Refer-To: <sip:a@h?a=b&P%2DAsserted-Identity=x>", NULL },
	{ SIP_CHECK_MARK_DISGUISED, CONTACT, "Contact: <sip:a@h?ms%2Duser-logon-data=RemoteUser>", NULL },
	{ SIP_CHECK_OK, CONTACT, "Subject: about ms-edge-proxy-message-trust: what is it?", NULL },
	{ SIP_CHECK_OK, CONTACT, "Subject: \xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e and\r\n ms-edge news", NULL },
	{ SIP_CHECK_OK, CONTACT, "ms-edge-proxy: x", NULL },
	{ SIP_CHECK_MARK_DISGUISED, CONTACT, "X: a\xe3\x80\x80ms-edge-proxy-message-trust: x", NULL },
	{ SIP_CHECK_MARK_DISGUISED, CONTACT, "X: a\xe3\x80\x80\xef\xbd\x8d\xef\xbd\x93-edge-proxy-message-trust: x", NULL },
	{ SIP_CHECK_MARK_DISGUISED, CONTACT, "X: a%0d%0ams-edge-proxy-message-trust: x", NULL },
	{ SIP_CHECK_MARK_DISGUISED, CONTACT, "X: a%25250ams-edge-proxy-message-trust: x", NULL },
	{ SIP_CHECK_MARK_DISGUISED, CONTACT, "X: \"a\\r\\nP-Asserted-Identity: x\"", NULL },
	/* what goes to users from inside hides nothing either */
	{ SIP_CHECK_MARK_DISGUISED, CONTACT, "P-Asserted-Identity: <sip:a@h\xf5ms-edge-proxy-message-trust: x", NULL },
	{ SIP_CHECK_MARK_DISGUISED, CONTACT, "ms-user-logon-data: x%0d%0ams-edge-proxy-message-trust: x", NULL },
	{ SIP_CHECK_MARK_DISGUISED, CONTACT, "ms-split-domain-info: x?P-Asserted-Identity=y", NULL },
	{ SIP_CHECK_OK, CONTACT, "ms-edge-proxy-message-trust: x\xf5P-Asserted-Identity: y", NULL },
	{ SIP_CHECK_MARK_DISGUISED, CONTACT, "X: a\\x0aP-Asserted-Identity: x", NULL },
	{ SIP_CHECK_MARK_DISGUISED, CONTACT, "X: a\\012P-Asserted-Identity: x", NULL },
	{ SIP_CHECK_MARK_DISGUISED, CONTACT, "X: a\\u000aP-Asserted-Identity: x", NULL },
	{ SIP_CHECK_MARK_DISGUISED, CONTACT, "X: a\r\n p p-asserted-identity: x\r\n P-Asserted-Identity: x", NULL },
	{ SIP_CHECK_MARK_DISGUISED, CONTACT, "X: a&ms-ms-edge-proxy-message-trust: x&ms-edge-proxy-message-trust", NULL },
	{ SIP_CHECK_MARK_DISGUISED, CONTACT, "%256ds-edge-proxy-message-trust: x", NULL },
	{ SIP_CHECK_MARK_DISGUISED, CONTACT, "P_Served_User: x", NULL },
	{ SIP_CHECK_OK, CONTACT, "P-Served-User: x", NULL },
	{ SIP_CHECK_MARK_DISGUISED, CONTACT, "P.Called.Party.ID: x", NULL },
	{ SIP_CHECK_OK, CONTACT, "P-Called-Party-ID: x", NULL },
	{ SIP_CHECK_MARK_DISGUISED, CONTACT, "Subject: a&P-Associated-URI: x", NULL },
	/* no word of a language is taken for a name */
	{ SIP_CHECK_OK, CONTACT, "Subject: why? Diversion: a&diversion=b", NULL },
	{ SIP_CHECK_HEADER_DISGUISED, CONTACT, "Subject: a%0d%0aDiversion: <sip:b@h>", NULL },
	{ SIP_CHECK_HEADER_DISGUISED, CONTACT, "%44iversion: <sip:b@h>", NULL },
	{ SIP_CHECK_HEADER_DISGUISED, CONTACT, "Diver_sion: <sip:b@h>", NULL },
	{ SIP_CHECK_OK, CONTACT, "Diversion: <sip:b@h>", NULL },
	{ SIP_CHECK_OK, CONTACT, "Diversions: a", NULL },
	{ SIP_CHECK_OK, CONTACT, "Subject: 100 %, C:\\new\\report & more? \\", NULL },
	{ SIP_CHECK_OK, CONTACT, "Refer-To: <sip:a@h?body=one%0d%0atwo>", NULL },
	{ SIP_CHECK_MARK_DISGUISED, VIA, "Via: SIP/2.0/TLS 192.0.2.1;ms_received_cid=1;branch=z9hG4bK1", NULL },
	{ SIP_CHECK_MARK_DISGUISED, VIA, "Via: SIP/2.0/TLS 192.0.2.1;branch=z9hG4bK1;re%63eived=1.2.3.4", NULL },
	{ SIP_CHECK_OK, VIA, "Via: SIP/2.0/TLS 192.0.2.1;branch=z9hG4bK1;Received = 1.2.3.4;rport;ms-received-cid=1", NULL },
	{ SIP_CHECK_VIA, VIA, "Via: SIP/2.0/TLS 192.0.2.1;branch=z9hG4bK1;x=\"a, b\"", NULL },
	/* a second sender, length, way */
	{ SIP_CHECK_HEADER_DISGUISED, CONTACT, "Content_Length: 5", NULL },
	{ SIP_CHECK_HEADER_DISGUISED, CONTACT, "ContentLength: 5", NULL },
	{ SIP_CHECK_HEADER_DISGUISED, CONTACT, "Content%2dLength: 5", NULL },
	{ SIP_CHECK_HEADER_DISGUISED, CONTACT, "Transfer-Encoding: chunked", NULL },
	{ SIP_CHECK_HEADER_DISGUISED, CONTACT, "Fr%6fm: <sip:a@h>", NULL },
	{ SIP_CHECK_HEADER_DISGUISED, CONTACT, "Call_ID: 1", NULL },
	{ SIP_CHECK_HEADER_DISGUISED, CONTACT, "f': <sip:a@h>", NULL },
	{ SIP_CHECK_HEADER_DISGUISED, CONTACT, "Subject: a\r\n l: 0", NULL },
	{ SIP_CHECK_HEADER_DISGUISED, CONTACT, "Subject: a\r\n\tCon-tent Length : 0", NULL },
	{ SIP_CHECK_HEADER_DISGUISED, CONTACT, "Subject: a%0aFrom: <sip:a@h>", NULL },
	{ SIP_CHECK_HEADER_DISGUISED, CONTACT, "Subject: a\\nVia: x", NULL },
	{ SIP_CHECK_HEADER_DISGUISED, CONTACT, "Subject: a\r\n REGISTER sip:h SIP/2.0", NULL },
	{ SIP_CHECK_HEADER_DISGUISED, CONTACT, "Subject: a%0d%0aREGISTER sip:h SIP/2.0", NULL },
	{ SIP_CHECK_OK, CONTACT, "Subject: a\r\n tomorrow: REGISTER sip:h", NULL },
	{ SIP_CHECK_OK, CONTACT, "CallInfo: <http://h/f>", NULL },
	{ SIP_CHECK_OK, CONTACT, "v:\r\n SIP/2.0/UDP b", NULL },
	/* two addresses where one belongs */
	{ SIP_CHECK_FROM, FROM, "From: \"<sip:boss@example.com>\" <sip:alice@example.com>;tag=a", NULL },
	{ SIP_CHECK_FROM, FROM, "From: <sip:alice@example.com>;tag=a;x=\"< SIPS:boss@example.com>\"", NULL },
	{ SIP_CHECK_FROM, FROM, "From: sip:alice@example.com;tag=a;x=\"<boss>\"", NULL },
	{ SIP_CHECK_TO, TO, "To: \"a \\\" <sip:boss@example.com>\" <sip:bob@example.com>", NULL },
	{ SIP_CHECK_OK, FROM, "From: \"Alice <alice@example.com>\" <sip:alice@example.com>;tag=a", NULL },
	/* extensions */
	{ SIP_CHECK_OK, CONTACT, "Proxy-Require: ms-benotify", NULL },
	{ SIP_CHECK_OK, CONTACT, "Proxy-Require: MS-BENOTIFY , ms-benotify", NULL },
	{ SIP_CHECK_OK, CONTACT, "Require: nothing-we-know", NULL },
	{ SIP_CHECK_EXTENSION, CONTACT, "Proxy-Require: ms-benotify, privacy", NULL },
	{ SIP_CHECK_EXTENSION, CONTACT, "Proxy-Require: ms-benotify", "proxy-require: x" },
};

START_TEST(every_check_is_provoked)
{
	for (size_t i = 0; i < sizeof(provoked) / sizeof(provoked[0]); i++) {
		enum sip_check got = check_changed(provoked[i].at, provoked[i].line, provoked[i].extra);

		ck_assert_msg(got == provoked[i].want, "%s: %s, not %s", provoked[i].line, sip_check_name(got),
		    sip_check_name(provoked[i].want));
	}
}
END_TEST

START_TEST(other_requests)
{
	static const struct {
		enum sip_check	 want;
		const char	*start, *cseq, *extra;
	} rows[] = {
		{ SIP_CHECK_OK, "REGISTER sip:example.com SIP/2.0", "CSeq: 1 REGISTER", "Contact: *" },
		{ SIP_CHECK_CONTACT, "REGISTER sip:example.com SIP/2.0", "CSeq: 1 REGISTER", "Contact: *, <sip:a@h>" },
		{ SIP_CHECK_CONTACT, "REGISTER sip:example.com SIP/2.0", "CSeq: 1 REGISTER", "Contact: *\r\nm: <sip:a@h>" },
		{ SIP_CHECK_OK, "NEGOTIATE sip:127.0.0.1:5061 SIP/2.0", "CSeq: 1 NEGOTIATE", "Compression: LZ77-64K" },
		{ SIP_CHECK_OK, "ACK sip:a@h SIP/2.0", "CSeq: 1 ACK", "Proxy-Require: x" },
		{ SIP_CHECK_OK, "CANCEL sip:a@h SIP/2.0", "CSeq: 1 CANCEL", "Proxy-Require: x" },
		{ SIP_CHECK_METHOD_DISGUISED, "register sip:a@h SIP/2.0", "CSeq: 1 register", "" },
		{ SIP_CHECK_METHOD_DISGUISED, "RE%2547ISTER sip:a@h SIP/2.0", "CSeq: 1 RE%2547ISTER", "" },
		{ SIP_CHECK_METHOD_DISGUISED, "SERVICE. sip:a@h SIP/2.0", "CSeq: 1 SERVICE.", "" },
		{ SIP_CHECK_OK, "REREGISTER sip:a@h SIP/2.0", "CSeq: 1 REREGISTER", "" },
		{ SIP_CHECK_OK, "x-new.method sip:a@h SIP/2.0", "CSeq: 1 x-new.method", "" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *lines[] = { rows[i].start, sound[VIA], sound[FROM], sound[TO], sound[CALL_ID], rows[i].cseq,
		    "Max-Forwards: 0", rows[i].extra, "l: 0" };
		enum sip_check got = check_lines(lines, 9);

		ck_assert_msg(got == rows[i].want, "%s: %s", rows[i].start, sip_check_name(got));
	}
}
END_TEST

START_TEST(responses)
{
	static const struct {
		enum sip_check	 want;
		const char	*start, *cseq, *extra;
	} rows[] = {
		{ SIP_CHECK_OK, "SIP/2.0 200 OK", "CSeq: 1 INVITE", "" },
		{ SIP_CHECK_OK, "SIP/2.0 200 OK", "CSeq: 1 SOMETHING", "Proxy-Require: x" },
		{ SIP_CHECK_CSEQ, "SIP/2.0 200 OK", "CSeq: x INVITE", "" },
		{ SIP_CHECK_REPEATED, "SIP/2.0 200 OK", "CSeq: 1 INVITE", "i: 2" },
		{ SIP_CHECK_MARK_DISGUISED, "SIP/2.0 200 OK", "CSeq: 1 INVITE", "ms_edge_proxy_message_trust: x" },
		{ SIP_CHECK_CONTROL, "SIP/2.0 200 \xe2\x80\xa8ms-edge-proxy-message-trust: x", "CSeq: 1 INVITE", "" },
		{ SIP_CHECK_OK, "SIP/2.0 200 ms-edge-proxy-message-trust: x", "CSeq: 1 INVITE", "" },
		{ SIP_CHECK_CONTACT, "SIP/2.0 200 OK", "CSeq: 1 REGISTER", "Contact: *" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *lines[] = { rows[i].start, sound[VIA], sound[FROM], sound[TO], sound[CALL_ID], rows[i].cseq,
		    rows[i].extra, "l: 0" };
		enum sip_check got = check_lines(lines, 8);

		ck_assert_msg(got == rows[i].want, "row %zu: %s", i, sip_check_name(got));
	}
	ck_assert_int_eq(msg.method_id, POLICY_METHOD_REGISTER);
}
END_TEST

START_TEST(lists_are_bounded)
{
	static const struct {
		const char	*name, *value;
		unsigned	 most;
	} rows[] = {
		{ "Via", "SIP/2.0/TLS h", 35 },		/* and the one above */
		{ "Route", "<sip:h>", 32 },
		{ "Record-Route", "<sip:h>", 32 },
		{ "Contact", "<sip:h>", 31 },
		{ "Supported", "a", 64 },
		{ "P-Asserted-Identity", "<sip:h>", 8 },
		{ "Diversion", "<sip:h>", 32 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (unsigned over = 0; over < 2; over++)
			for (unsigned lines = 0; lines < 2; lines++) {
				char line[8000], *p = line + sprintf(line, "%s: %s", rows[i].name, rows[i].value);

				/* In one list, or half of it on a line of its own. */
				for (unsigned k = 1; k < rows[i].most + over; k++)
					p += lines && k == rows[i].most / 2 ? sprintf(p, "\r\n%s: %s", rows[i].name, rows[i].value) :
					    sprintf(p, ",%s", rows[i].value);
				enum sip_check got = check_changed(MAX_FORWARDS, "Max-Forwards: 1", line);
				ck_assert_msg(got == (over ? SIP_CHECK_TOO_MANY_VALUES : SIP_CHECK_OK), "%s %u: %s", rows[i].name, over,
				    sip_check_name(got));
			}

	char line[4000], *p = line;
	for (int i = 0; i < 17; i++) {
		ck_assert_int_eq(i == 0 ? SIP_CHECK_OK : check_changed(MAX_FORWARDS, "Max-Forwards: 1", line), SIP_CHECK_OK);
		p += sprintf(p, "%sAuthorization: Digest a=1", i > 0 ? "\r\n" : "");
	}
	ck_assert_int_eq(check_changed(MAX_FORWARDS, "Max-Forwards: 1", line), SIP_CHECK_TOO_MANY_VALUES);
}
END_TEST

/* So many parameters may addresses of one kind have together, wherever they stand, and not one more. */
START_TEST(parameters_have_bounds)
{
	static const char *const names[] = { "Route", "Record-Route", "Path", "Service-Route", "Diversion" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		for (unsigned over = 0; over < 2; over++) {
			char line[8000], *p = line;

			for (unsigned k = 0, left = 192 + over; left > 0; k++) {
				p += sprintf(p, "%s%s: <sip:h%u>", k > 0 ? "\r\n" : "", names[i], k);
				for (unsigned n = 0; n < 50 && left > 0; n++, left--)
					p += sprintf(p, ";a=1");
			}
			enum sip_check got = check_changed(MAX_FORWARDS, "Max-Forwards: 1", line);
			ck_assert_msg(got == (over ? SIP_CHECK_TOO_MANY_VALUES : SIP_CHECK_OK), "%s %u: %s", names[i], over,
			    sip_check_name(got));
		}
}
END_TEST

/* So many parameters may credentials have together, and a head so many signs behind which a header may seem to begin. */
START_TEST(signs_have_bounds)
{
	static const char signs[] = "?&%\\";

	for (unsigned over = 0; over < 2; over++) {
		char line[8000], *p = line;
		enum sip_check got;

		for (unsigned k = 0, left = 192 + over; left > 0; k++) {
			p += sprintf(p, "%sAuthorization: Digest a%u=1", k > 0 ? "\r\n" : "", k);
			for (unsigned n = 0; n < 20 && left > 0; n++, left--)
				p += sprintf(p, ", b%u=1", n);
		}
		got = check_changed(MAX_FORWARDS, "Max-Forwards: 1", line);
		ck_assert_msg(got == (over ? SIP_CHECK_TOO_MANY_VALUES : SIP_CHECK_OK), "credentials %u: %s", over, sip_check_name(got));

		p = line + sprintf(line, "Subject: ");
		for (unsigned i = 0; i < SIP_SIGNS_MAX + over; i++)
			p += sprintf(p, "%c0", signs[i % 4]);
		got = check_changed(MAX_FORWARDS, "Max-Forwards: 1", line);
		ck_assert_msg(got == (over ? SIP_CHECK_TOO_MANY_SIGNS : SIP_CHECK_OK), "signs %u: %s", over, sip_check_name(got));
	}
}
END_TEST

START_TEST(unsupported_extensions_are_named)
{
	char text[200];
	struct strbuf sb;

	strbuf_init(&sb, text, sizeof(text));
	ck_assert_int_eq(check_changed(CONTACT, "Proxy-Require: one, ms-benotify ,, b\"ad", "proxy-require: two"),
	    SIP_CHECK_EXTENSION);
	sip_check_write_unsupported(&msg, &sb);
	ck_assert_str_eq(text, "Unsupported: one, two\r\n");
	strbuf_reset(&sb);
	ck_assert_int_eq(check_changed(CONTACT, "Proxy-Require: ms-benotify", NULL), SIP_CHECK_OK);
	sip_check_write_unsupported(&msg, &sb);
	ck_assert_int_eq(check_changed(CONTACT, "", NULL), SIP_CHECK_OK);
	sip_check_write_unsupported(&msg, &sb);
	ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(texts)
{
	for (int i = 0; i < SIP_NCHECKS; i++) {
		const char *name = sip_check_name((enum sip_check)i);

		ck_assert_uint_gt(strlen(name), 1);
		ck_assert_uint_gt(strlen(sip_check_phrase((enum sip_check)i)), 1);
		ck_assert(sip_check_status((enum sip_check)i) >= (i == 0 ? 200u : 400u));
		ck_assert_uint_eq(strspn(name, "abcdefghijklmnopqrstuvwxyz-"), strlen(name));
		for (int k = 0; k < i; k++)
			ck_assert_str_ne(name, sip_check_name((enum sip_check)k));
	}
	ck_assert_str_eq(sip_check_name((enum sip_check)SIP_NCHECKS), "unknown");
	ck_assert_uint_eq(sip_check_status((enum sip_check)-1), 400);
	ck_assert_str_eq(sip_check_phrase((enum sip_check)1000), "Bad Request");
	ck_assert(sip_extension_is_known(SPAN_LIT("ms-benotify")) && !sip_extension_is_known(SPAN_NONE));
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { every_check_is_provoked, other_requests, responses, lists_are_bounded,
	    parameters_have_bounds, signs_have_bounds, unsupported_extensions_are_named, texts };

	return unit_run("checks", tests, sizeof(tests) / sizeof(tests[0]));
}
