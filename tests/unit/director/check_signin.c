/*
 * Addresses and credentials as they stand in messages.
 */
#include "director/signin.h"

#include <stdlib.h>

#include "common/err.h"
#include "tests/unit/unit.h"

static char domain[] = "example.com", second[] = "example.org", realm[] = "SIP Communications Service";

static struct director_config
config(void)
{
	static struct conf_str domains[2] = { { domain, 1 }, { second, 1 } };

	return (struct director_config){ .domains = { domains, 2 }, .offer_sha256 = true, .offer_md5 = true };
}

START_TEST(addresses)
{
	static const struct {
		const char *uri, *aor;
	} rows[] = {
		{ "sip:alice@example.com", "alice@example.com" },
		{ "SIPS:Alice@EXAMPLE.com.", "alice@example.com" },
		{ "sip:alice@example.com:5061;transport=tls", "alice@example.com" },
		{ "sip:alice:secret@example.com", "alice@example.com" },
		{ "sip:%61l%49ce@example.com", "alice@example.com" },
		{ "sip:a.b-c+d@example.com", "a.b-c+d@example.com" },
		/* none */
		{ "sip:example.com", "" },
		{ "tel:+15551234", "" },
		{ "sip:a%40b.example@example.com", "" },
		{ "sip:a%00b@example.com", "" },
		{ "sip:a%20b@example.com", "" },
		{ "sip:a%0d%0ab@example.com", "" }
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sip_uri u;
		char aor[USER_AOR_MAX];

		ck_assert_msg(sip_uri_parse(&u, span_str(rows[i].uri)) == SP_OK, "%s", rows[i].uri);
		ck_assert_msg(signin_aor(&u, aor) == (rows[i].aor[0] != '\0'), "%s", rows[i].uri);
		ck_assert_msg(strcmp(aor, rows[i].aor) == 0, "%s gives %s", rows[i].uri, aor);
	}
}
END_TEST

/* The longest that fits, and one more. */
START_TEST(long_address)
{
	char text[400] = "sip:", aor[USER_AOR_MAX];
	struct sip_uri u;
	size_t user = USER_AOR_MAX - 1 - strlen("@example.com");

	for (unsigned more = 0; more < 2; more++) {
		memset(text + 4, 'u', user + more);
		strcpy(text + 4 + user + more, "@example.com");
		ck_assert_int_eq(sip_uri_parse(&u, span_str(text)), SP_OK);
		ck_assert(signin_aor(&u, aor) == (more == 0));
		ck_assert_uint_eq(strlen(aor), more == 0 ? USER_AOR_MAX - 1 : 0);
	}
}
END_TEST

START_TEST(realms)
{
	struct director_config c = config();

	ck_assert(span_is(signin_realm(&c, SPAN_LIT("example.org")), "example.org"));
	ck_assert(span_is(signin_realm(&c, SPAN_LIT("elsewhere.example")), "example.com"));
	ck_assert(span_is(signin_realm(&c, SPAN_NONE), "example.com"));
	c.auth_realm = realm;
	ck_assert(span_is(signin_realm(&c, SPAN_LIT("example.org")), realm));
}
END_TEST

/* --- credentials --------------------------------------------------------------- */

#define HEAD	"REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/TLS h;branch=z9hG4bK1\r\nFrom: <sip:a@example.com>;tag=1\r\n" \
		"To: <sip:a@example.com>\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\n"
#define END	"Content-Length: 0\r\n\r\n"
#define DIGEST(realm, uri, rest) \
	"Digest username=\"a\", realm=\"" realm "\", nonce=\"n\", uri=\"" uri "\", response=\"00\", cnonce=\"c\", qop=auth" rest
#define GOOD	DIGEST("example.com", "sip:example.com", ", nc=00000001")

static struct sip_message *
message(const char *text)
{
	static struct sip_message m;

	ck_assert_int_eq(sip_message_index(&m, text, strlen(text)), SP_OK);
	ck_assert_int_eq(sip_message_parse(&m), SIP_CHECK_OK);
	return &m;
}

START_TEST(finding)
{
	static const struct {
		const char	*text;
		enum signin	 want;
		const char	*nonce;
	} rows[] = {
		{ HEAD END, SIGNIN_NONE, NULL },
		{ HEAD "Authorization: " GOOD "\r\n" END, SIGNIN_FOUND, "n" },
		{ HEAD "Proxy-Authorization: " GOOD "\r\n" END, SIGNIN_FOUND, "n" },
		{ HEAD "Authorization: " DIGEST("elsewhere", "sip:example.com", ", nc=00000001") "\r\n" END, SIGNIN_NONE, NULL },
		{ HEAD "Authorization: NTLM qop=\"auth\", realm=\"example.com\"\r\n" END, SIGNIN_NONE, NULL },
		/* those for us are found behind those for others, in either header */
		{ HEAD "Authorization: " DIGEST("elsewhere", "sip:x", ", nc=00000001") "\r\nauthorization: " GOOD "\r\n" END,
		    SIGNIN_FOUND, "n" },
		{ HEAD "Authorization: Basic abc=\r\nProxy-Authorization: " GOOD "\r\n" END, SIGNIN_FOUND, "n" },
		/* spelled otherwise, the same resource */
		{ HEAD "Authorization: " DIGEST("example.com", "sip:EXAMPLE.com", ", nc=00000001") "\r\n" END, SIGNIN_FOUND, "n" },
		{ HEAD "Authorization: " DIGEST("example.com", "sip:b@example.com", ", nc=00000001") "\r\n" END, SIGNIN_MALFORMED,
		    NULL },
		{ HEAD "Authorization: " DIGEST("example.com", "sips:example.com", ", nc=00000001") "\r\n" END, SIGNIN_MALFORMED,
		    NULL },
		{ HEAD "Authorization: " DIGEST("example.com", "", ", nc=00000001") "\r\n" END, SIGNIN_MALFORMED, NULL },
		{ HEAD "Authorization: " DIGEST("example.com", "sip:example.com", "") "\r\n" END, SIGNIN_MALFORMED, NULL },
		/* not what was offered: asked again */
		{ HEAD "Authorization: " DIGEST("example.com", "sip:example.com", ", nc=00000001, algorithm=SHA-512-256") "\r\n" END,
		    SIGNIN_NONE, NULL }
	};
	struct director_config c = config();

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct auth_credentials out;

		ck_assert_msg(signin_find(&c, message(rows[i].text), span_str(domain), &out) == rows[i].want, "row %zu", i);
		if (rows[i].nonce != NULL)
			ck_assert(span_is(out.nonce, rows[i].nonce));
	}
	/* an algorithm that is switched off is as good as none */
	c.offer_md5 = false;
	ck_assert_int_eq(signin_find(&c, message(rows[1].text), span_str(domain), &(struct auth_credentials){ 0 }),
	    SIGNIN_NONE);
}
END_TEST

START_TEST(stripping)
{
	static const char other[] = "Authorization: " DIGEST("elsewhere", "sip:x", ", nc=00000001") "\r\n";
	static char text[4096], want[4096], out[8192];
	struct sip_message *m;
	size_t n;

	snprintf(text, sizeof(text), HEAD "Authorization: %s\r\n%sProxy-Authorization: %s\r\nX: y\r\n" END, GOOD, other, GOOD);
	snprintf(want, sizeof(want), HEAD "%sX: y\r\n" END, other);
	m = message(text);
	signin_strip(m, span_str(domain));
	ck_assert_uint_le(sip_message_room(m), sizeof(out));
	n = sip_message_render(m, out);
	ck_assert_uint_eq(n, strlen(want));
	ck_assert_mem_eq(out, want, n);
}
END_TEST

START_TEST(challenges)
{
	struct director_config c = config();
	struct net_hmac *h = net_hmac_new("k", 1);
	char text[SIGNIN_CHALLENGE_MAX];
	struct strbuf sb;

	strbuf_init(&sb, text, sizeof(text));
	signin_date(&sb);
	signin_challenge(&c, h, span_str(domain), 7, true, &sb);
	ck_assert(strbuf_ok(&sb));
	ck_assert_int_eq(strncmp(text, "Date: ", 6), 0);
	ck_assert_ptr_nonnull(strstr(text, "algorithm=SHA-256, qop=\"auth\", stale=true\r\n"));
	ck_assert_ptr_nonnull(strstr(text, "algorithm=MD5, qop=\"auth\", stale=true\r\n"));
	c.offer_md5 = false;
	strbuf_reset(&sb);
	signin_challenge(&c, h, span_str(domain), 7, false, &sb);
	ck_assert_ptr_null(strstr(text, "MD5"));
	ck_assert_ptr_null(strstr(text, "stale"));
	net_hmac_free(h);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { addresses, long_address, realms, finding, stripping, challenges };

	return unit_run("director-signin", tests, sizeof(tests) / sizeof(tests[0]));
}
