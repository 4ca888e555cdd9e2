/*
 * What may be shown of a message, and whom it is about.
 */
#include "tests/unit/unit.h"

#include <string.h>

#include "sip/tap.h"

static const char *
masked(const char *message)
{
	static char out[4096];
	struct strbuf sb;

	strbuf_init(&sb, out, sizeof(out));
	sip_tap_mask(span_str(message), &sb);
	ck_assert(strbuf_ok(&sb));
	return out;
}

START_TEST(masks_credentials)
{
	static const char *const rows[][2] = {
		{ "Authorization: Digest username=\"alice\", response=\"abc\"", "Authorization: Digest ***" },
		{ "authorization : NTLM gssapi-data=\"abc\"", "authorization: NTLM ***" },
		{ "PROXY-AUTHORIZATION:Kerberos abc", "PROXY-AUTHORIZATION: Kerberos ***" },
		{ "Proxy-Authenticate: NTLM realm=\"r\"", "Proxy-Authenticate: NTLM ***" },
		{ "WWW-Authenticate: Digest nonce=\"n\"", "WWW-Authenticate: Digest ***" },
		{ "Authentication-Info: rspauth=\"abc\", srand=1", "Authentication-Info:  ***" },
		{ "Proxy-Authentication-Info: abc", "Proxy-Authentication-Info:  ***" },
		{ "Authorization: abcdef", "Authorization:  ***" },		/* the only word may be the secret */
		{ "Authorization: Digest\r\n username=\"alice\",\r\n\tresponse=\"abc\"", "Authorization:  ***" },
		{ "Subject: Authorization: Digest abc", "Subject: Authorization: Digest abc" }
	};
	char in[512], want[512];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(in, sizeof(in), "INVITE sip:b@x SIP/2.0\r\n%s\r\nTo: <sip:b@x>\r\n\r\n", rows[i][0]);
		snprintf(want, sizeof(want), "INVITE sip:b@x SIP/2.0\n%s\nTo: <sip:b@x>\n", rows[i][1]);
		ck_assert_str_eq(masked(in), want);
	}
}
END_TEST

START_TEST(masks_passwords_and_bodies)
{
	ck_assert_str_eq(masked("INVITE sips:bob:secret@x:5061;a=b SIP/2.0\r\n"
	    "From: \"a\" <sip:alice:se:cret@y>;tag=1, <SIP:c:p@z>\r\nContact: <sip:d@z:5060>\r\nX: sip:e\r\n\tsip:f:g@h\r\n"
	    "Content-Length: 6\r\n\r\nsecret"),
	    "INVITE sips:bob:***@x:5061;a=b SIP/2.0\n"
	    "From: \"a\" <sip:alice:***@y>;tag=1, <SIP:c:***@z>\nContact: <sip:d@z:5060>\nX: sip:e\n\tsip:f:***@h\n"
	    "Content-Length: 6\n[6 bytes of body]\n");
}
END_TEST

START_TEST(masks_passwords_of_addresses)
{
	static const char *const rows[][2] = {
		{ "sip:alice@y", "sip:alice@y" }, { "sip:alice@y:5061", "sip:alice@y:5061" }, { "sip:y:5061", "sip:y:5061" },
		{ "sip:alice:se:cret@y", "sip:alice:***@y" }, { "SIPS:a:@y;b=c", "SIPS:a:***@y;b=c" }, { "tel:+1", "tel:+1" }, { "", "" },
		{ "\"x@y\" <sip:a:p@z>;tag=1", "\"x@y\" <sip:a:***@z>;tag=1" }
	};
	char out[SIP_ADDRESS_SHOWN], longest[2 * SIP_ADDRESS_SHOWN];
	struct span shown;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		shown = sip_tap_mask_address(span_str(rows[i][0]), out);
		ck_assert_msg(span_is(shown, rows[i][1]), "%s: %.*s", rows[i][0], SPAN_FMT(shown));
	}
	/* a password is none of what is shown of an address that is too long to be shown */
	memcpy(longest, "sip:a:", 6);
	memset(longest + 6, 'p', sizeof(longest) - 6);
	memcpy(longest + sizeof(longest) - 2, "@y", 2);
	shown = sip_tap_mask_address(span_of(longest, sizeof(longest)), out);
	ck_assert(span_is(shown, "sip:a:***@y"));
}
END_TEST

/* As large as a message may be and full of what could begin a password: each byte is looked at but a few times. */
START_TEST(many_schemes_cost_no_time)
{
	static char message[4 << 20], out[sizeof(message) + 64];
	struct strbuf sb;
	size_t n = (size_t)sprintf(message, "OPTIONS sip:b@x SIP/2.0\r\nX: ");

	for (; n + 8 < sizeof(message); n += 4)
		memcpy(message + n, "sip:", 4);
	strbuf_init(&sb, out, sizeof(out));
	sip_tap_mask(span_of(message, n), &sb);
	ck_assert_uint_eq(sb.len, n);	/* CR is gone, LF is new */
	ck_assert_str_eq(masked("OPTIONS sip:b@x SIP/2.0\nX: sip:a sip:b:c@d sip:e,sip:f:g@h\n\n"),
	    "OPTIONS sip:b@x SIP/2.0\nX: sip:a sip:b:***@d sip:e,sip:***@h\n");
}
END_TEST

START_TEST(what_is_cut_is_said)
{
	char small[20];
	struct strbuf sb;

	strbuf_init(&sb, small, sizeof(small));
	sip_tap_mask(SPAN_LIT("OPTIONS sip:a-very-long-one@example.com SIP/2.0\r\n\r\n"), &sb);
	ck_assert(!strbuf_ok(&sb));
	ck_assert_str_eq(small, "OPTIONS sip:a-very-");
}
END_TEST

START_TEST(looks_at_the_head)
{
	struct sip_tap_head h;

	sip_tap_look(SPAN_LIT("BYE sip:b@x SIP/2.0\r\nf: <sip:a@y>;tag=1\r\n ;folded\r\nTo : b <sip:b@x>\r\n"
	    "i:call\r\nCSEQ: 2 BYE\r\n\r\nFrom: <sip:body@z>"), &h);
	ck_assert(span_is(h.start, "BYE sip:b@x SIP/2.0"));
	ck_assert(span_is(h.from, "<sip:a@y>;tag=1"));
	ck_assert(span_is(h.to, "b <sip:b@x>"));
	ck_assert(span_is(h.call_id, "call"));
	ck_assert(span_is(h.cseq, "2 BYE"));
	sip_tap_look(SPAN_LIT(""), &h);
	ck_assert(span_is_empty(h.start));
}
END_TEST

START_TEST(knows_whom_it_is_about)
{
	static const struct {
		const char	*domain, *user;
		bool		 fits;
	} rows[] = {
		{ "", "", true },
		{ "contoso.example", "", true },
		{ "CONTOSO.example", "", true },
		{ "example", "", true },
		{ "so.example", "", false },
		{ "fabrikam.example", "", false },
		{ "sub.contoso.example", "", false },
		{ "", "alice@contoso.example", true },
		{ "", "Alice", true },
		{ "", "alice@contoso", false },
		{ "", "bob@contoso.example", false },
		{ "", "bob@x.example", true },
		{ "", "carol@y.example", true },
		{ "contoso.example", "bob@x.example", false }
	};
	struct sip_tap_head h;

	sip_tap_look(SPAN_LIT("MESSAGE sip:carol@y.example:5061;lr SIP/2.0\r\nFrom: \"x\" <sips:alice@contoso.example>;tag=1\r\n"
	    "To: sip:bob:pw@x.example;tag=2\r\n\r\n"), &h);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ck_assert_msg(sip_tap_is_about(&h, span_str(rows[i].domain), span_str(rows[i].user)) == rows[i].fits,
		    "row %zu", i);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { masks_credentials, masks_passwords_and_bodies, masks_passwords_of_addresses, many_schemes_cost_no_time, what_is_cut_is_said, looks_at_the_head,
	    knows_whom_it_is_about };

	return unit_run("tap", tests, sizeof(tests) / sizeof(tests[0]));
}
