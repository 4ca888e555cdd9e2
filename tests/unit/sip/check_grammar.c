#include <stdio.h>

#include "common/err.h"
#include "common/mem.h"
#include "sip/grammar.h"
#include "tests/unit/unit.h"

#define ASSERT_SPAN(row, got, want) \
	ck_assert_msg(span_is(got, want), "row %zu: %.*s, not %s", row, SPAN_FMT(got), want)

START_TEST(uris)
{
	static const struct {
		const char	*text;
		enum sip_scheme	 scheme;
		const char	*user, *host;
		unsigned	 port;
		const char	*params, *headers;
	} good[] = {
		{ "sip:example.com", SIP_SCHEME_SIP, "", "example.com", 0, "", "" },
		{ "SIP:alice@Example.COM", SIP_SCHEME_SIP, "alice", "Example.COM", 0, "", "" },
		{ "SiPs:a:secret@h:65535;lr", SIP_SCHEME_SIPS, "a", "h", 65535, "lr", "" },
		{ "sip:a@192.0.2.1:1;transport=tls;x?Subject=hi&y=%20z", SIP_SCHEME_SIP, "a", "192.0.2.1", 1,
		    "transport=tls;x", "Subject=hi&y=%20z" },
		{ "sip:[2001:db8::1]:5061", SIP_SCHEME_SIP, "", "[2001:db8::1]", 5061, "", "" },
		{ "sip:a@[::ffff:192.0.2.1]", SIP_SCHEME_SIP, "a", "[::ffff:192.0.2.1]", 0, "", "" },
		{ "sip:user;par=u%40example.net@example.com", SIP_SCHEME_SIP, "user;par=u%40example.net", "example.com", 0, "", "" },
		{ "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com",
		    SIP_SCHEME_SIP, "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*", "example.com", 0, "", "" },
		{ "sip:null-%00-null@example.com", SIP_SCHEME_SIP, "null-%00-null", "example.com", 0, "", "" },
		{ "sip:alice@example.com;opaque=user:epid:-bDyV4v9WFiUKhqp9NiU6QAA;gruu", SIP_SCHEME_SIP, "alice", "example.com", 0,
		    "opaque=user:epid:-bDyV4v9WFiUKhqp9NiU6QAA;gruu", "" },
		{ "tel:+1-555-0100;phone-context=example.com", SIP_SCHEME_TEL, "+1-555-0100", "", 0, "phone-context=example.com", "" },
		{ "TEL:911", SIP_SCHEME_TEL, "911", "", 0, "", "" },
		{ "urn:service:sos", SIP_SCHEME_OTHER, "", "", 0, "", "" },
		{ "http://example.com/a?b", SIP_SCHEME_OTHER, "", "", 0, "", "" },
	};
	static const char *const bad[] = {
		"", ":", "sip", "sip:", "alice@example.com", "sip:@h", "sip:a@", "sip:a@h:", "sip:a@h:0", "sip:a@h:65536",
		"sip:a@h:+1", "sip:a@h:5061x", "sip:a@h:000080", "sip:a@b@c", "sip:a b@h", "sip: a@h", " sip:a@h", "sip:a@h ",
		"sip:a@h;", "sip:a@h;;x", "sip:a@h;x;", "sip:a@h;=y", "sip:a@h?", "sip:a@h;x={1}", "sip:a@h;x=a\\b",
		"sip:a%4@h", "sip:a%zz@h", "sip:a%@h", "sip:a@h;x=%1", "sip:a@h?x=%g0", "sip:a@h%41", "sip:2001:db8::1",
		"sip:[2001:db8::1", "sip:[2001:db8:::1]", "sip:[]", "sip:[1.2.3.4]", "sip:[fe80::1%25eth0]", "sip:a@[::1]x",
		"<sip:a@h>", "sip:a<b@h", "sip:a\"b@h", "sip:\xc3\xa4@h", "sip:a@h\xc3\xa4", "tel:", "tel:;x", "tel:+1;", "1sip::x",
		"urn:a b", "urn:<x>", "urn:%4",
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		/* Without a NUL behind it: nothing reads past the end. */
		size_t n = strlen(good[i].text);
		char *copy = xmalloc(n);
		struct sip_uri u;

		memcpy(copy, good[i].text, n);
		ck_assert_msg(sip_uri_parse(&u, span_of(copy, n)) == SP_OK, "row %zu", i);
		ck_assert_int_eq(u.scheme, good[i].scheme);
		ASSERT_SPAN(i, u.whole, good[i].text);
		ASSERT_SPAN(i, u.user, good[i].user);
		ASSERT_SPAN(i, u.host, good[i].host);
		ASSERT_SPAN(i, u.params, good[i].params);
		ASSERT_SPAN(i, u.headers, good[i].headers);
		ck_assert_uint_eq(u.port, good[i].port);
		ck_assert(u.host.n == 0 || (u.host.p >= copy && u.host.p + u.host.n <= copy + n));
		free(copy);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct sip_uri u;

		ck_assert_msg(sip_uri_parse(&u, span_str(bad[i])) == SP_ESYNTAX, "passed: %s", bad[i]);
	}
}
END_TEST

START_TEST(addresses)
{
	static const struct {
		const char *text, *display, *uri, *host, *params, *tag;
	} good[] = {
		{ "<sip:a@h>", "", "sip:a@h", "h", "", "" },
		{ "<sip:a@h;x=y>;tag=1", "", "sip:a@h;x=y", "h", "tag=1", "1" },
		{ "sip:a@h;tag=1;x", "", "sip:a@h", "h", "tag=1;x", "1" },
		{ "sip:a@h", "", "sip:a@h", "h", "", "" },
		{ "\"Alice\" sip:alice@example.com;tag=8", "\"Alice\"", "sip:alice@example.com", "example.com", "tag=8", "8" },
		{ "\"Alice\"<sip:a@h>", "\"Alice\"", "sip:a@h", "h", "", "" },
		{ "\"a \\\" ; <x> , \\\\\" <sip:a@h> ; TAG = 7 ;b", "\"a \\\" ; <x> , \\\\\"", "sip:a@h", "h", " TAG = 7 ;b", "7" },
		{ "\"<sip:evil@x>\" <sip:a@h>", "\"<sip:evil@x>\"", "sip:a@h", "h", "", "" },
		{ "\"\" <sip:a@h>", "\"\"", "sip:a@h", "h", "", "" },
		{ "Bob  A. <sip:a@h>", "Bob  A.", "sip:a@h", "h", "", "" },
		{ "Bob\r\n <sip:a@h>\r\n\t;tag\r\n =\r\n 5", "Bob", "sip:a@h", "h", "tag\r\n =\r\n 5", "5" },
		{ "J\xc3\xbcrgen <sip:a@h>;tag=1", "J\xc3\xbcrgen", "sip:a@h", "h", "tag=1", "1" },
		{ "\"\xff\xfe\" <sip:a@h>", "\"\xff\xfe\"", "sip:a@h", "h", "", "" },
		{ "<sip:a@h>;+sip.instance=\"<urn:uuid:1>\";q=0.5;m=\"A, B;tag=9\"", "", "sip:a@h", "h",
		    "+sip.instance=\"<urn:uuid:1>\";q=0.5;m=\"A, B;tag=9\"", "" },
		{ "<tel:+1555;phone-context=x>;tag=2", "", "tel:+1555;phone-context=x", "", "tag=2", "2" },
		{ "<urn:service:sos>", "", "urn:service:sos", "", "", "" },
		{ "<sip:h>;x=[2001:db8::1]:5", "", "sip:h", "h", "x=[2001:db8::1]:5", "" },
	};
	static const char *const bad[] = {
		"", "*", "<>", "<sip:a@h", "sip:a@h>", "<sip:a@h>>", "<<sip:a@h>>", "<sip:a@h>x", "<sip:a@h> tag=1", "<sip:a@h>;",
		"<sip:a@h>;;tag=1", "<sip:a@h>;tag=", "<sip:a@h>;tag=1;tag=2", "<sip:a@h>;tag=1;TAG=1", "<sip:a@h>;x=\"open",
		"<sip:a@h>;tag=a b", "<sip:a@h>;tag=1,<sip:b@h>", "\"open <sip:a@h>", "\"a\" \"b\" <sip:a@h>", "Bell, A <sip:a@h>",
		"a@h <sip:a@h>", "< sip:a@h>", "<sip:a@h >", "<sip:a\r\n @h>", "sip:a@h?x=y", "sip:a,b@h", "sip:a@h, sip:b@h",
		"<sip:a@h>;=1", "\"a\\\"<sip:a@h>", "<sip:a%zz@h>", "\"x\" <sip:a@h>, <sip:b@h>",
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct sip_addr a;

		ck_assert_msg(sip_addr_parse(&a, span_str(good[i].text)) == SP_OK, "row %zu", i);
		ASSERT_SPAN(i, a.display, good[i].display);
		ASSERT_SPAN(i, a.uri_text, good[i].uri);
		ASSERT_SPAN(i, a.uri.host, good[i].host);
		ASSERT_SPAN(i, a.params, good[i].params);
		ASSERT_SPAN(i, a.tag, good[i].tag);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct sip_addr a;

		ck_assert_msg(sip_addr_parse(&a, span_str(bad[i])) == SP_ESYNTAX, "passed: %s", bad[i]);
	}
}
END_TEST

START_TEST(vias)
{
	static const struct {
		const char *text, *transport, *host;
		unsigned port;
		const char *params, *branch;
	} good[] = {
		{ "SIP/2.0/TLS 192.0.2.1", "TLS", "192.0.2.1", 0, "", "" },
		{ "SIP/2.0/tls h:5061;branch=z9hG4bK1;received=192.0.2.9;rport=7", "tls", "h", 5061,
		    "branch=z9hG4bK1;received=192.0.2.9;rport=7", "z9hG4bK1" },
		{ " SIP / 2.0\r\n / UDP   h ; branch = 1 ;x ", "UDP", "h", 0, " branch = 1 ;x", "1" },
		{ "SIP/2.0/TLS [2001:db8::1]:5061;received=2001:db8::2", "TLS", "[2001:db8::1]", 5061, "received=2001:db8::2", "" },
		{ "sip/2.0/TCP h;branch", "TCP", "h", 0, "branch", "" },
	};
	static const char *const bad[] = {
		"", "SIP", "SIP/2.0", "SIP/2.0/TLS", "SIP/2.0/TLS ", "SIP/2.0 /TLSh", "SIP/1.0/TLS h", "HTTP/2.0/TLS h", "SIP/2.0/TLS h:0",
		"SIP/2.0/TLS h:99999", "SIP/2.0/TLS h;branch=", "SIP/2.0/TLS h;branch=1;branch=2", "SIP/2.0/TLS h;branch=\"1\"",
		"SIP/2.0/TLS h (comment)", "SIP/2.0/TLS a b", "SIP/2.0/TLS h;", "SIP/2.0/TLS h,SIP/2.0/TLS i", "SIP/2.0/T(S h",
		"SIP/2.0/TLS 2001:db8::1", "SIP/2.0/TLS [2001:db8::1", "SIP/2.0/TLS h\xc3\xa4",
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct sip_via v;

		ck_assert_msg(sip_via_parse(&v, span_str(good[i].text)) == SP_OK, "row %zu", i);
		ASSERT_SPAN(i, v.transport, good[i].transport);
		ASSERT_SPAN(i, v.host, good[i].host);
		ASSERT_SPAN(i, v.params, good[i].params);
		ASSERT_SPAN(i, v.branch, good[i].branch);
		ck_assert_uint_eq(v.port, good[i].port);
		ck_assert(span_eq(v.whole, span_trim(span_str(good[i].text))));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct sip_via v;

		ck_assert_msg(sip_via_parse(&v, span_str(bad[i])) == SP_ESYNTAX, "passed: %s", bad[i]);
	}
}
END_TEST

START_TEST(cseqs)
{
	static const struct {
		const char	*text;
		int		 err;
		uint32_t	 number;
		const char	*method;
	} rows[] = {
		{ "1 INVITE", SP_OK, 1, "INVITE" }, { "0009\r\n  ACK", SP_OK, 9, "ACK" }, { "0 x-y", SP_OK, 0, "x-y" },
		{ "2147483647 BYE", SP_OK, 2147483647, "BYE" }, { "2147483648 BYE", SP_ESYNTAX, 0, "" },
		{ "36893488147419103232 REGISTER", SP_ESYNTAX, 0, "" }, { "-1 BYE", SP_ESYNTAX, 0, "" }, { "+1 BYE", SP_ESYNTAX, 0, "" },
		{ "1", SP_ESYNTAX, 0, "" }, { "1 ", SP_ESYNTAX, 0, "" }, { "1INVITE", SP_ESYNTAX, 0, "" }, { "INVITE", SP_ESYNTAX, 0, "" },
		{ "1 IN VITE", SP_ESYNTAX, 0, "" }, { "1 INVITE;x", SP_ESYNTAX, 0, "" }, { "", SP_ESYNTAX, 0, "" },
		{ "0x1 BYE", SP_ESYNTAX, 0, "" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint32_t number = 0;
		struct span method = SPAN_NONE;

		ck_assert_msg(sip_cseq_parse(span_str(rows[i].text), &number, &method) == rows[i].err, "row %zu", i);
		ck_assert_uint_eq(number, rows[i].number);
		ASSERT_SPAN(i, method, rows[i].method);
	}
}
END_TEST

/* What the list gives, values between bars. */
static void
list_text(const char *text, char *joined)
{
	struct span rest = span_str(text), value;

	*joined = '\0';
	while (sip_list_next(&rest, &value))
		joined += sprintf(joined, "|%.*s", SPAN_FMT(value));
}

START_TEST(lists)
{
	static const struct {
		const char *text, *joined;
	} rows[] = {
		{ "a", "|a" }, { " a , b\r\n ,c ", "|a|b|c" }, { "a,,b", "|a||b" }, { "a,", "|a|" }, { "", "|" },
		{ "\"a,b\" <sip:x,y@h>;p=\"c,\\\",d\", <sip:z>", "|\"a,b\" <sip:x,y@h>;p=\"c,\\\",d\"|<sip:z>" },
		{ "<sip:a\",b@h>,c", "|<sip:a\",b@h>|c" }, { "\"open, a", "|\"open, a" }, { "<open, a", "|<open, a" },
		{ "a>b,c", "|a>b|c" },
	};
	struct span rest = SPAN_NONE, value;

	ck_assert(!sip_list_next(&rest, &value));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char joined[200];

		list_text(rows[i].text, joined);
		ck_assert_str_eq(joined, rows[i].joined);
	}
}
END_TEST

START_TEST(params)
{
	static const char text[] = "h; A=1;flag ;q = \"x;y=2\" ;y=3;a=second";
	struct span all = span_of(text + 2, sizeof(text) - 3), v;

	ck_assert(sip_param(all, "a", &v) && span_is(v, "1"));
	ck_assert(sip_param(all, "FLAG", &v) && span_is_empty(v));
	ck_assert(sip_param(all, "q", &v) && span_is(v, "\"x;y=2\""));
	ck_assert(sip_param(all, "y", &v) && span_is(v, "3"));
	ck_assert(sip_param(all, "y", NULL));
	ck_assert(!sip_param(all, "x", &v) && span_is_empty(v));
	ck_assert(!sip_param(SPAN_NONE, "x", NULL));
	ck_assert(span_is(sip_param_piece(all, "a"), "; A=1"));
	ck_assert(span_is(sip_param_piece(all, "flag"), ";flag"));
	ck_assert(span_is(sip_param_piece(all, "Q"), ";q = \"x;y=2\""));
	ck_assert(span_is(sip_param_piece(all, "y"), ";y=3"));
	ck_assert(span_is_empty(sip_param_piece(all, "z")));
	/* What is not well-formed ends the list. */
	ck_assert(sip_param(span_str("a=1;;b=2"), "a", NULL) && !sip_param(span_str("a=1;;b=2"), "b", NULL));
}
END_TEST

START_TEST(credentials)
{
	static const char *const bad[] = {
		"", "Digest", "Digest ", "Digest realm", "Digest realm=", "Digest realm=\"a", "Digest a=1 b=2", "Digest a=1,,b=2",
		"Digest a=1,", "Digest =1", "Digest a=1, A=2", "Digest nonce=\"x\", b=1, nonce=\"y\"", "Di(gest a=1", "\"Digest\" a=1",
		"Digest a=<1>", "Digest a=b\"c\"",
	};
	struct sip_auth a;
	struct span v;

	ck_assert_int_eq(sip_auth_parse(&a, SPAN_LIT(" NTLM qop=\"auth\", realm=\"SIP Communications Service\",\r\n\topaque = \"a\\\"b,c\" "
	    ",gssapi-data=\"\", version=4, x=Tl+/R=")), SP_OK);
	ck_assert(span_is(a.scheme, "NTLM"));
	ck_assert(sip_auth_param(&a, "Realm", &v) && span_is(v, "SIP Communications Service"));
	ck_assert(sip_auth_param(&a, "opaque", &v) && span_is(v, "a\\\"b,c"));
	ck_assert(sip_auth_param(&a, "gssapi-data", &v) && span_is_empty(v));
	ck_assert(sip_auth_param(&a, "version", &v) && span_is(v, "4"));
	ck_assert(sip_auth_param(&a, "x", &v) && span_is(v, "Tl+/R="));
	ck_assert(!sip_auth_param(&a, "nonce", &v) && span_is_empty(v));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(sip_auth_parse(&a, span_str(bad[i])) == SP_ESYNTAX, "passed: %s", bad[i]);
}
END_TEST

START_TEST(addresses_of_record)
{
	static const struct {
		const char	*a, *b;
		bool		 same;
	} rows[] = {
		{ "sip:alice@example.com", "SIP:alice@EXAMPLE.com;x=y?z=1", true },
		{ "sip:%61lice@example.com", "sip:al%69ce@example.com", true },
		{ "sip:Alice@example.com", "sip:alice@example.com", false },
		{ "sip:alice@example.com", "sip:alice@example.com:5060", false },
		{ "sip:alice@example.com", "sips:alice@example.com", false },
		{ "sip:alice@example.com", "sip:alicee@example.com", false },
		{ "sip:alicee@example.com", "sip:alice@example.com", false },
		{ "sip:alice%00@example.com", "sip:alice@example.com", false },
		{ "sip:a%2fb@h", "sip:a%2Fb@h", true },
		{ "sip:example.com", "sip:alice@example.com", false },
		{ "tel:+1", "tel:+1;x=y", true },
		{ "urn:a", "urn:a", true },
		{ "urn:a", "urn:b", false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sip_uri a, b;

		ck_assert_int_eq(sip_uri_parse(&a, span_str(rows[i].a)), SP_OK);
		ck_assert_int_eq(sip_uri_parse(&b, span_str(rows[i].b)), SP_OK);
		ck_assert_msg(sip_uri_same_aor(&a, &b) == rows[i].same, "row %zu", i);
	}
}
END_TEST

START_TEST(bounds)
{
	static char big[20000];
	struct sip_uri u;
	struct sip_addr a;
	struct sip_via v;

	/* The largest that is read, and one more. */
	memset(big, 'a', sizeof(big));
	memcpy(big, "sip:", 4);
	ck_assert_int_eq(sip_uri_parse(&u, span_of(big, 8192)), SP_OK);
	ck_assert_int_eq(sip_uri_parse(&u, span_of(big, 8193)), SP_ESYNTAX);

	/* 64 parameters pass, 65 do not. */
	char *p = big + sprintf(big, "<sip:a@h>");
	for (int i = 0; i < 64; i++)
		p += sprintf(p, ";p%d=v", i);
	ck_assert_int_eq(sip_addr_parse(&a, span_of(big, (size_t)(p - big))), SP_OK);
	p += sprintf(p, ";q");
	ck_assert_int_eq(sip_addr_parse(&a, span_of(big, (size_t)(p - big))), SP_ESYNTAX);
	p = big + sprintf(big, "SIP/2.0/TLS h");
	for (int i = 0; i < 65; i++)
		p += sprintf(p, ";p%d=v", i);
	ck_assert_int_eq(sip_via_parse(&v, span_of(big, (size_t)(p - big))), SP_ESYNTAX);

	ck_assert_str_eq(sip_phrase(404), "Not Found");
	ck_assert_str_eq(sip_phrase(99), "Error");
	ck_assert_str_eq(sip_phrase(699), "Error");
	ck_assert_str_eq(sip_phrase(4000000000u), "Error");
	ck_assert(sip_escapes_ok(SPAN_LIT("%41b%7E")) && sip_escapes_ok(SPAN_NONE));
	ck_assert(!sip_escapes_ok(SPAN_LIT("%4")) && !sip_escapes_ok(SPAN_LIT("%")) && !sip_escapes_ok(SPAN_LIT("a%%41")));
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { uris, addresses, vias, cseqs, lists, params, credentials, addresses_of_record, bounds };

	return unit_run("grammar", tests, sizeof(tests) / sizeof(tests[0]));
}
