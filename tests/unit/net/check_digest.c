/*
 * The digests against the vectors of their RFCs: 1320 (MD4), 1321 (MD5),
 * 4231 (HMAC-SHA-256), and FIPS 180 (SHA-256).
 */
#include "net/digest.h"
#include "net/md4.h"

#include <check.h>
#include <stdlib.h>

#include "common/strbuf.h"

static const char *
hex(const unsigned char *p, size_t n)
{
	static char text[65];
	struct strbuf sb;

	strbuf_init(&sb, text, sizeof(text));
	strbuf_hex(&sb, p, n, false);
	return text;
}

static const struct {
	const char *in, *md4, *md5;
} rfc[] = {
	{ "", "31d6cfe0d16ae931b73c59d7e0c089c0", "d41d8cd98f00b204e9800998ecf8427e" },
	{ "a", "bde52cb31de33e46245e05fbdbd6fb24", "0cc175b9c0f1b6a831c399e269772661" },
	{ "abc", "a448017aaf21d8525fc10ae87aa6729d", "900150983cd24fb0d6963f7d28e17f72" },
	{ "message digest", "d9130a8164549fe818874806e1c7014b", "f96b697d7cb7938d525a2f31aaf161d0" },
	{ "abcdefghijklmnopqrstuvwxyz", "d79e1c308aa5bbcdeea8ed63df412da9", "c3fcd3d76192e4007dfb496cca67e13b" },
	{ "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", "043f8582f241db351ce627e153e7f0e4",
	    "d174ab98d277d9f5a5611c2c9f419d9f" },
	{ "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
	    "e33b4ddc9c38f2199c3e7b164fcc0536", "57edf4a22be3c955ac49da2e2107b67a" }
};

START_TEST(md4_and_md5)
{
	unsigned char out[NET_DIGEST_MAX];
	struct span in = span_str(rfc[_i].in), parts[2] = { span_head(in, in.n / 3), span_tail(in, in.n / 3) };

	net_md4(in, out);
	ck_assert_str_eq(hex(out, 16), rfc[_i].md4);
	ck_assert_uint_eq(net_digest(NET_DIGEST_MD5, &in, 1, out), 16);
	ck_assert_str_eq(hex(out, 16), rfc[_i].md5);
	ck_assert_uint_eq(net_digest(NET_DIGEST_MD5, parts, 2, out), 16);
	ck_assert_str_eq(hex(out, 16), rfc[_i].md5);
}
END_TEST

/* Around the border where the length no longer fits the last block; the values are another implementation's. */
static const struct {
	size_t		 n;
	const char	*md4;
} rows_of_x[] = {
	{ 55, "92f32bb82c95ad10e8f87ae58ab06807" }, { 56, "374d5f08103b7092c83b4626ebceffab" },
	{ 57, "eebaefd8f3ba932d44239a789c38317a" }, { 63, "2870452596e98fffd48332289b3472b9" },
	{ 64, "b1abf956a5ae6f3221e5fe85e300fbb0" }, { 65, "afc1a3308fc176a53238a09aeddec2e6" }
};

START_TEST(md4_lengths)
{
	char text[65];
	unsigned char out[16];

	memset(text, 'x', sizeof(text));
	net_md4(span_of(text, rows_of_x[_i].n), out);
	ck_assert_str_eq(hex(out, 16), rows_of_x[_i].md4);
}
END_TEST

START_TEST(sha256)
{
	unsigned char out[32];
	struct span in = SPAN_LIT("abc");

	ck_assert_uint_eq(net_digest(NET_DIGEST_SHA256, &in, 1, out), 32);
	ck_assert_str_eq(hex(out, 32), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}
END_TEST

START_TEST(hmac)
{
	static const struct {
		const char *key, *text, *want;
		size_t key_n;
	} rows[] = {
		{ "Jefe", "what do ya want for nothing?",
		    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", 4 },
		{ NULL, "Test Using Larger Than Block-Size Key - Hash Key First",
		    "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54", 131 }
	};
	unsigned char out[32];
	char key[131];

	memset(key, 0xaa, sizeof(key));
	for (unsigned i = 0; i < 2; i++) {
		struct net_hmac *h = net_hmac_new(rows[i].key != NULL ? rows[i].key : key, rows[i].key_n);
		struct span in = span_str(rows[i].text);

		for (unsigned again = 0; again < 2; again++) {	/* the key stays */
			net_hmac(h, &in, 1, out);
			ck_assert_str_eq(hex(out, 32), rows[i].want);
		}
		net_hmac_free(h);
	}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("digest");
	TCase *tc = tcase_create("digest");
	SRunner *sr;
	int failed;

	tcase_add_loop_test(tc, md4_and_md5, 0, sizeof(rfc) / sizeof(rfc[0]));
	tcase_add_loop_test(tc, md4_lengths, 0, sizeof(rows_of_x) / sizeof(rows_of_x[0]));
	tcase_add_test(tc, sha256);
	tcase_add_test(tc, hmac);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
