/*
 * Digest: the vectors of RFC 7616, nonces, what counts as credentials, and which
 * uses of a nonce are replays.
 */
#include "director/auth.h"

#include <stdlib.h>

#include "common/err.h"
#include "director/replay.h"
#include "sip/grammar.h"
#include "tests/unit/unit.h"

static struct auth_credentials
credentials(const char *text, int want)
{
	struct auth_credentials c;
	struct sip_auth a;

	ck_assert_int_eq(sip_auth_parse(&a, span_str(text)), SP_OK);
	ck_assert_msg(auth_is_digest(&a), "%s", text);
	ck_assert_msg(auth_credentials_read(&c, &a) == want, "%s", text);
	return c;
}

/* --- RFC 7616 3.9.1 --------------------------------------------------------- */

#define RFC7616(algorithm, response) \
	"Digest username=\"Mufasa\", realm=\"http-auth@example.org\", uri=\"/dir/index.html\", algorithm=" algorithm ", " \
	"nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", nc=00000001, " \
	"cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", qop=auth, response=\"" response "\", " \
	"opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""

START_TEST(rfc7616)
{
	static const struct {
		const char		*text;
		enum auth_algorithm	 algorithm;
		enum net_digest_kind	 kind;
	} rows[] = {
		{ RFC7616("MD5", "8ca523f5e9506fed4657c9700eebdbec"), AUTH_MD5, NET_DIGEST_MD5 },
		{ RFC7616("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"), AUTH_SHA256,
		    NET_DIGEST_SHA256 }
	};
	struct span secret = SPAN_LIT("Mufasa:http-auth@example.org:Circle of Life");

	for (size_t i = 0; i < 2; i++) {
		struct auth_credentials c = credentials(rows[i].text, SP_OK);
		unsigned char ha1[NET_DIGEST_MAX], want[NET_DIGEST_MAX], have[NET_DIGEST_MAX];

		ck_assert_int_eq(c.algorithm, rows[i].algorithm);
		ck_assert_uint_eq(c.nc, 1);
		net_digest(rows[i].kind, &secret, 1, ha1);
		auth_response(&c, ha1, SPAN_LIT("GET"), want);
		ck_assert(auth_response_read(&c, have));
		ck_assert_mem_eq(want, have, auth_algorithm_size(c.algorithm));
		/* each field counts */
		auth_response(&c, ha1, SPAN_LIT("get"), want);
		ck_assert(memcmp(want, have, auth_algorithm_size(c.algorithm)) != 0);
		c.nc_text = SPAN_LIT("00000002");
		auth_response(&c, ha1, SPAN_LIT("GET"), want);
		ck_assert(memcmp(want, have, auth_algorithm_size(c.algorithm)) != 0);
	}
}
END_TEST

/* --- credentials --------------------------------------------------------------- */

#define BASE	"username=\"a\", realm=\"r\", nonce=\"n\", uri=\"sip:r\", response=\"00\""
#define COUNTED	BASE ", cnonce=\"c\", nc=0000000a, qop=auth"

START_TEST(reading)
{
	static const struct {
		const char	*text;
		int		 want;
	} rows[] = {
		{ "Digest " COUNTED, SP_OK },
		{ "dIGEST " COUNTED, SP_OK },
		{ "Digest " COUNTED ", algorithm=md5", SP_OK },
		{ "Digest " COUNTED ", algorithm=\"SHA-256\"", SP_OK },
		{ "Digest " COUNTED ", userhash=false, opaque=\"x\", auth-param=1", SP_OK },
		/* well-formed, not offered */
		{ "Digest " BASE, SP_EINVAL },
		{ "Digest " COUNTED ", algorithm=MD5-sess", SP_EINVAL },
		{ "Digest " COUNTED ", algorithm=SHA-512-256", SP_EINVAL },
		{ "Digest " COUNTED ", userhash=true", SP_EINVAL },
		{ "Digest " BASE ", cnonce=\"c\", nc=00000001, qop=auth-int", SP_EINVAL },
		{ "Digest username*=UTF-8''a, realm=\"r\", nonce=\"n\", uri=\"u\", response=\"00\"", SP_EINVAL },
		/* malformed */
		{ "Digest realm=\"r\", nonce=\"n\", uri=\"u\", response=\"00\"", SP_ESYNTAX },
		{ "Digest username=\"\", realm=\"r\", nonce=\"n\", uri=\"u\", response=\"00\", cnonce=\"c\", nc=00000001, qop=auth",
		    SP_ESYNTAX },
		{ "Digest " BASE ", nc=00000001, qop=auth", SP_ESYNTAX },
		{ "Digest " BASE ", cnonce=\"\", nc=00000001, qop=auth", SP_ESYNTAX },
		{ "Digest " BASE ", cnonce=\"c\", qop=auth", SP_ESYNTAX },
		{ "Digest " BASE ", cnonce=\"c\", nc=1, qop=auth", SP_ESYNTAX },
		{ "Digest " BASE ", cnonce=\"c\", nc=0000000g, qop=auth", SP_ESYNTAX },
		{ "Digest " BASE ", cnonce=\"c\", nc=000000001, qop=auth", SP_ESYNTAX },
		{ "Digest " BASE ", cnonce=\"c\", nc=00000000, qop=auth", SP_ESYNTAX }
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct auth_credentials c = credentials(rows[i].text, rows[i].want);

		if (rows[i].want == SP_OK)
			ck_assert_uint_eq(c.nc, 10);
	}
}
END_TEST

START_TEST(response_form)
{
	struct auth_credentials c = { .algorithm = AUTH_MD5 };
	unsigned char out[NET_DIGEST_MAX];

	c.response = SPAN_LIT("00112233445566778899aabbccddEEFF");
	ck_assert(auth_response_read(&c, out));
	ck_assert_uint_eq(out[15], 0xff);
	c.response = SPAN_LIT("00112233445566778899aabbccddEEFg");
	ck_assert(!auth_response_read(&c, out));
	c.response = SPAN_LIT("00112233445566778899aabbccddEEF");
	ck_assert(!auth_response_read(&c, out));
	c.algorithm = AUTH_SHA256;
	c.response = SPAN_LIT("00112233445566778899aabbccddEEFF");
	ck_assert(!auth_response_read(&c, out));
}
END_TEST

START_TEST(challenge)
{
	char text[512];
	struct strbuf sb;

	strbuf_init(&sb, text, sizeof(text));
	auth_challenge_write(&sb, AUTH_SHA256, SPAN_LIT("example.com"), "n", false);
	auth_challenge_write(&sb, AUTH_MD5, SPAN_LIT("example.com"), "n", true);
	ck_assert_str_eq(text,
	    "WWW-Authenticate: Digest realm=\"example.com\", nonce=\"n\", algorithm=SHA-256, qop=\"auth\"\r\n"
	    "WWW-Authenticate: Digest realm=\"example.com\", nonce=\"n\", algorithm=MD5, qop=\"auth\", stale=true\r\n");
}
END_TEST

/* --- nonces ----------------------------------------------------------------------- */

START_TEST(nonces)
{
	struct net_hmac *h = net_hmac_new("0123456789abcdef0123456789abcdef", 32), *other = net_hmac_new("x", 1);
	struct auth_nonce_id id = { 0xfedcba9876543210, 1000000 }, back;
	struct span realm = SPAN_LIT("example.com"), nonce;
	char text[AUTH_NONCE_TEXT];

	auth_nonce_make(h, realm, 7, &id, text);
	nonce = span_str(text);
	ck_assert_uint_eq(nonce.n, AUTH_NONCE_LEN);
	ck_assert_int_eq(auth_nonce_parts(nonce, &back), SP_OK);
	ck_assert(back.random == id.random && back.made_ms == id.made_ms);
	/* as long as it lives, and not a millisecond longer */
	ck_assert_int_eq(auth_nonce_check(h, realm, 7, nonce, 1000000, 5000), AUTH_NONCE_GOOD);
	ck_assert_int_eq(auth_nonce_check(h, realm, 7, nonce, 1004999, 5000), AUTH_NONCE_GOOD);
	ck_assert_int_eq(auth_nonce_check(h, realm, 7, nonce, 1005000, 5000), AUTH_NONCE_STALE);
	ck_assert_int_eq(auth_nonce_check(h, realm, 7, nonce, 999999, 5000), AUTH_NONCE_STALE);
	ck_assert_int_eq(auth_nonce_check(h, SPAN_LIT("example.org"), 7, nonce, 1000000, 5000), AUTH_NONCE_FORGED);
	ck_assert_int_eq(auth_nonce_check(h, realm, 8, nonce, 1000000, 5000), AUTH_NONCE_FORGED);
	ck_assert_int_eq(auth_nonce_check(other, realm, 7, nonce, 1000000, 5000), AUTH_NONCE_FORGED);
	ck_assert_int_eq(auth_nonce_check(h, realm, 7, SPAN_NONE, 1000000, 5000), AUTH_NONCE_FORGED);
	ck_assert_int_eq(auth_nonce_check(h, realm, 7, span_head(nonce, AUTH_NONCE_LEN - 1), 1000000, 5000),
	    AUTH_NONCE_FORGED);
	/* no byte can be changed, not even in spelling */
	for (size_t i = 0; i < AUTH_NONCE_LEN; i++) {
		char was = text[i];

		text[i] = was == '0' ? '1' : '0';
		ck_assert_msg(auth_nonce_check(h, realm, 7, nonce, 1000000, 5000) == AUTH_NONCE_FORGED, "byte %zu", i);
		if (was >= 'a' && was <= 'f') {
			text[i] = (char)(was - 'a' + 'A');
			ck_assert_msg(auth_nonce_check(h, realm, 7, nonce, 1000000, 5000) == AUTH_NONCE_FORGED, "case of %zu", i);
		}
		text[i] = was;
	}
	net_hmac_free(h);
	net_hmac_free(other);
}
END_TEST

/* --- replays ------------------------------------------------------------------------- */

START_TEST(counts)
{
	static const struct {
		uint32_t	nc;
		enum replay	want;
	} rows[] = {
		{ 1, REPLAY_FRESH }, { 1, REPLAY_USED }, { 2, REPLAY_FRESH }, { 4, REPLAY_FRESH }, { 3, REPLAY_FRESH },
		{ 3, REPLAY_USED }, { 4, REPLAY_USED }, { 67, REPLAY_FRESH }, { 4, REPLAY_USED }, { 3, REPLAY_USED },
		{ 5, REPLAY_FRESH }, { 5, REPLAY_USED }, { 67, REPLAY_USED }, { 66, REPLAY_FRESH },
		/* far ahead: all that is behind the window counts as used */
		{ 4000000000u, REPLAY_FRESH }, { 68, REPLAY_USED }, { 4000000000u - 63, REPLAY_FRESH },
		{ 4000000000u - 64, REPLAY_USED }, { UINT32_MAX, REPLAY_FRESH }, { UINT32_MAX, REPLAY_USED }
	};
	struct replay_table *t = replay_new(4);
	struct auth_nonce_id id = { 7, 100 };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ck_assert_msg(replay_use(t, &id, rows[i].nc) == rows[i].want, "row %zu, count %u", i, rows[i].nc);
	replay_free(t);
}
END_TEST

/* Whatever is forgotten, no use is ever accepted twice. */
START_TEST(never_twice)
{
	enum { NONCES = 300, COUNTS = 4, STEPS = 200000 };
	static bool used[NONCES][COUNTS];
	struct replay_table *t = replay_new(32);
	unsigned seed = 20261120, fresh = 0, old = 0;

	for (unsigned i = 0; i < STEPS; i++) {
		unsigned n, nc;
		struct auth_nonce_id id;
		enum replay r;

		seed = seed * 1103515245 + 12345;
		/* newer ones are likelier as time goes by */
		n = (seed >> 8) % (1 + (NONCES - 1) * (i + 1ul) / STEPS);
		nc = (seed >> 24) % COUNTS;
		id = (struct auth_nonce_id){ n * 2654435761u, 1000 + n / 3 };
		r = replay_use(t, &id, nc + 1);
		ck_assert_msg(r != REPLAY_FRESH || !used[n][nc], "seed 20261120, step %u: nonce %u count %u twice", i, n, nc);
		if (r == REPLAY_FRESH)
			used[n][nc] = true;
		fresh += r == REPLAY_FRESH;
		old += r == REPLAY_TOO_OLD;
	}
	/* and the table was really too small, and of use all the same */
	ck_assert_uint_gt(fresh, NONCES / 4);
	ck_assert_uint_gt(old, 0);
	replay_free(t);
}
END_TEST

START_TEST(full_table)
{
	struct replay_table *t = replay_new(2);
	uint64_t full;
	struct auth_nonce_id a = { 1, 10 }, b = { 2, 20 }, c = { 3, 30 }, late = { 4, 9 }, same = { 5, 10 };

	ck_assert_int_eq(replay_use(t, &a, 1), REPLAY_FRESH);
	ck_assert_int_eq(replay_use(t, &b, 1), REPLAY_FRESH);
	ck_assert_int_eq(replay_use(t, &c, 1), REPLAY_FRESH);	/* a is forgotten */
	ck_assert_int_eq(replay_use(t, &a, 1), REPLAY_TOO_OLD);
	ck_assert_int_eq(replay_use(t, &a, 2), REPLAY_TOO_OLD);
	ck_assert_int_eq(replay_use(t, &late, 1), REPLAY_TOO_OLD);
	ck_assert_int_eq(replay_use(t, &same, 1), REPLAY_TOO_OLD);
	ck_assert_int_eq(replay_use(t, &b, 1), REPLAY_USED);
	ck_assert_int_eq(replay_use(t, &b, 2), REPLAY_FRESH);
	ck_assert_int_eq(replay_use(t, &c, 2), REPLAY_FRESH);
	ck_assert_uint_eq(replay_count(t, &full), 2);
	ck_assert_uint_eq(full, 1);
	replay_free(t);
	t = replay_new(1);
	ck_assert_int_eq(replay_use(t, &a, 1), REPLAY_FRESH);
	ck_assert_int_eq(replay_use(t, &b, 1), REPLAY_FRESH);
	ck_assert_int_eq(replay_use(t, &a, 2), REPLAY_TOO_OLD);
	replay_free(t);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { rfc7616, reading, response_form, challenge, nonces, counts, never_twice, full_table };

	return unit_run("director-auth", tests, sizeof(tests) / sizeof(tests[0]));
}
