/*
 * Certificates that are known one by one: pinned keys, refused certificates,
 * and what changes while connections and contexts live.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "common/err.h"
#include "common/mem.h"
#include "net/verify.h"
#include "tests/unit/net/pair.h"
#include "tests/unit/net/pki.h"
#include "tests/unit/unit.h"

static struct world w;

/* SHA-256 of a certificate, or of its key, as any other program computes them. */
static void
hash_of(const char *name, bool key, unsigned char out[32])
{
	FILE *f = fopen(pki_path(name, ".pem"), "r");
	X509 *x = f != NULL ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;
	unsigned char *der = NULL;
	int n;

	ck_assert_ptr_nonnull(x);
	n = key ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der) : i2d_X509(x, &der);
	ck_assert_int_gt(n, 0);
	ck_assert_int_eq(EVP_Digest(der, (size_t)n, out, NULL, EVP_sha256(), NULL), 1);
	OPENSSL_free(der);
	X509_free(x);
	fclose(f);
}

/* Lists of one pin and one refusal, by the certificates' names; NULL: none. */
static struct net_tls_lists *
lists_of(const char *pinned, const char *refused)
{
	unsigned char pins[3][32], no[2][32];

	/* neighbours on both sides, out of order */
	memset(pins, 0xff, sizeof(pins));
	memset(pins[2], 0, 32);
	memset(no, 0x77, sizeof(no));
	if (pinned != NULL)
		hash_of(pinned, true, pins[1]);
	if (refused != NULL)
		hash_of(refused, false, no[0]);
	return net_tls_lists_new((const unsigned char (*)[32])pins, 3, (const unsigned char (*)[32])no, 2);
}

static void
use_lists(struct net_tls_ctx *ctx, const char *pinned, const char *refused)
{
	struct net_tls_lists *l = lists_of(pinned, refused);

	net_tls_ctx_lists(ctx, l);
	net_tls_lists_unref(l);
}

static struct end *
meet(struct end *out, const char *name)
{
	unsigned at = w.nin;

	memset(out, 0, sizeof(*out));
	dial(&w, out, name);
	UNTIL(&w, w.nin > at && (w.in[at].opened || w.in[at].closed) && (out->opened || out->closed));
	return &w.in[at];
}

static void
part(struct end *out)
{
	if (out->s != NULL)
		net_stream_close(out->s, POLICY_REASON_ALLOWED, NULL);
	UNTIL(&w, out->closed && w.in[w.nin - 1].closed);
}

static void
make_zoo(void)
{
	static const char *const gone[] = { "gone", NULL }, *const middle[] = { "middle", NULL };

	pki_ca("middle", "ca");
	pki_cert("server", &(struct pki_spec){ .san = "DNS:sip.example.com" });
	pki_cert("plain", &(struct pki_spec){ .san = "DNS:sip.contoso.example" });
	pki_cert("other-plain", &(struct pki_spec){ .san = "DNS:sip.contoso.example" });
	pki_cert("stranger", &(struct pki_spec){ .issuer = "other", .san = "DNS:sip.contoso.example" });
	pki_cert("expired", &(struct pki_spec){ .from_days = -9, .to_days = -1, .san = "DNS:a.example" });
	pki_cert("mail", &(struct pki_spec){ .eku = "emailProtection", .san = "DNS:a.example" });
	pki_cert("authority", &(struct pki_spec){ .basic = "critical,CA:TRUE", .san = "DNS:a.example" });
	pki_cert("nameless", &(struct pki_spec){ .cn = "localhost" });
	pki_cert("gone", &(struct pki_spec){ .san = "DNS:a.example" });
	pki_cert("by-middle", &(struct pki_spec){ .issuer = "middle", .san = "DNS:a.example" });
	pki_crl("none", "ca", -1, 30, NULL);
	pki_crl("gone", "ca", -1, 30, gone);
	pki_crl("middle", "middle", -1, 30, NULL);
	pki_crl("no-middle", "ca", -1, 30, middle);
}

/* What a pinned key makes up for, and what not, in both directions. */
START_TEST(pinned_keys)
{
	static const struct {
		const char		*cert;
		enum policy_reason	 why;		/* what is said against it */
		bool			 through;	/* when its key is pinned */
	} rows[] = {
		{ "stranger", POLICY_REASON_CERTIFICATE_UNTRUSTED, true },
		{ "expired", POLICY_REASON_CERTIFICATE_EXPIRED, true },
		{ "mail", POLICY_REASON_CERTIFICATE_USAGE, true },
		{ "authority", POLICY_REASON_CERTIFICATE_USAGE, true },
		{ "gone", POLICY_REASON_CERTIFICATE_REVOKED, false },
	};
	struct end out, *in;

	world_init(&w, "server", NET_TLS_ASK_REQUIRED, "plain", NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *crl = rows[i].why == POLICY_REASON_CERTIFICATE_REVOKED ? "gone" : NULL;

		/* inbound: not pinned, then pinned */
		world_server(&w, "server", NET_TLS_ASK_REQUIRED, crl);
		world_client(&w, rows[i].cert, NULL);
		for (int pinned = 0; pinned < 2; pinned++) {
			bool through = pinned && rows[i].through;

			use_lists(w.server, pinned ? rows[i].cert : "other-plain", NULL);
			in = meet(&out, "sip.example.com");
			ck_assert_msg(in->opened == through, "%s: %s", rows[i].cert, in->detail);
			ck_assert(!in->has_certificate);
			ck_assert(in->unverified == through);
			if (through) {
				ck_assert_int_eq(in->why, rows[i].why);
			} else {
				UNTIL(&w, in->closed);
				ck_assert_int_eq(in->reason, rows[i].why);
				ck_assert(in->shown);
			}
			part(&out);
		}
		/* outbound */
		world_server(&w, rows[i].cert, NET_TLS_ASK_REQUIRED, NULL);
		world_client(&w, "plain", crl);
		for (int pinned = 0; pinned < 2; pinned++) {
			bool through = pinned && rows[i].through;

			use_lists(w.client, pinned ? rows[i].cert : "other-plain", NULL);
			in = meet(&out, rows[i].cert[0] == 's' ? "sip.contoso.example" : "a.example");
			ck_assert_msg(out.opened == through, "%s: %s", rows[i].cert, out.detail);
			ck_assert(!out.has_certificate);
			if (through)
				ck_assert(out.unverified);
			else
				ck_assert_int_eq(out.reason, rows[i].why);
			part(&out);
		}
	}
	/* A name that is not proven: pinned, it opens, and has proven no name. */
	world_server(&w, "nameless", NET_TLS_ASK_REQUIRED, NULL);
	world_client(&w, "plain", NULL);
	use_lists(w.client, "nameless", NULL);
	in = meet(&out, "sip.contoso.example");
	ck_assert(out.opened && out.unverified && !out.has_certificate);
	ck_assert_int_eq(out.why, POLICY_REASON_CERTIFICATE_NAME);
	part(&out);
	/* A good certificate is verified, pinned or not. */
	world_server(&w, "plain", NET_TLS_ASK_REQUIRED, NULL);
	use_lists(w.client, "plain", NULL);
	meet(&out, "sip.contoso.example");
	ck_assert(out.opened && out.has_certificate && !out.unverified);
	part(&out);
	world_fini(&w);
}
END_TEST

START_TEST(a_weak_key_is_weak_though_pinned)
{
	struct pki_spec weak = { .key = PKI_RSA1024, .issuer = "other", .san = "DNS:a.example" };
	SSL_CTX *careless = SSL_CTX_new(TLS_client_method());
	SSL *ssl;
	int fd;

	pki_cert("weak", &weak);
	world_init(&w, "server", NET_TLS_ASK_REQUIRED, "plain", NULL);
	use_lists(w.server, "weak", NULL);
	SSL_CTX_set_security_level(careless, 0);
	ck_assert_int_eq(SSL_CTX_use_certificate_chain_file(careless, pki_path("weak", ".pem")), 1);
	ck_assert_int_eq(SSL_CTX_use_PrivateKey_file(careless, pki_path("weak", ".key"), SSL_FILETYPE_PEM), 1);
	ssl = SSL_new(careless);
	fd = dial_raw(&w);
	SSL_set_fd(ssl, fd);
	SSL_set_connect_state(ssl);
	UNTIL(&w, (SSL_do_handshake(ssl), w.nin == 1 && (w.in[0].opened || w.in[0].closed || SSL_is_init_finished(ssl))));
	SSL_free(ssl);
	SSL_CTX_free(careless);
	close(fd);
	UNTIL(&w, w.in[0].closed);
	ck_assert(!w.in[0].opened);
	ck_assert(policy_reason_is_certificate(w.in[0].reason));
	world_fini(&w);
}
END_TEST

START_TEST(refused_certificates)
{
	struct end out, *in;
	unsigned char fp[32];

	world_init(&w, "server", NET_TLS_ASK_REQUIRED, "plain", NULL);
	/* inbound; a pin of its key does not help, and another certificate is another one */
	use_lists(w.server, "plain", "plain");
	in = meet(&out, "sip.example.com");
	UNTIL(&w, in->closed);
	ck_assert(!in->opened);
	ck_assert_int_eq(in->reason, POLICY_REASON_CERTIFICATE_REFUSED);
	ck_assert_str_eq(in->detail, "refused by the administrator");
	ck_assert(in->shown);
	hash_of("plain", false, fp);
	ck_assert_mem_eq(in->fingerprint, fp, 32);
	part(&out);
	use_lists(w.server, NULL, "other-plain");
	in = meet(&out, "sip.example.com");
	ck_assert(in->opened && in->has_certificate);
	part(&out);
	/* outbound */
	use_lists(w.client, NULL, "server");
	meet(&out, "sip.example.com");
	ck_assert(!out.opened);
	ck_assert_int_eq(out.reason, POLICY_REASON_CERTIFICATE_REFUSED);
	part(&out);
	net_tls_ctx_lists(w.client, NULL);
	meet(&out, "sip.example.com");
	ck_assert(out.opened);
	part(&out);
	world_fini(&w);
}
END_TEST

START_TEST(an_issuers_list_counts)
{
	struct net_tls_files files = { .certificate = pki_path("server", ".pem"), .key = pki_path("server", ".key"),
		.trust = pki_path("ca", ".pem"), .crl = pki_path("both", ".crl.pem") };
	static const struct {
		const char	*root;		/* the root's list beside that of the intermediate */
		const char	*cause;
	} rows[] = { { "none", NULL }, { "no-middle", "an issuer's certificate revoked" } };

	world_init(&w, "server", NET_TLS_ASK_REQUIRED, "by-middle", NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct net_tls_material *m;
		size_t n, more;
		char *a = pki_read(pki_path("middle", ".crl.pem"), &n), *b = pki_read(pki_path(rows[i].root, ".crl.pem"), &more);
		struct end out, *in;

		a = xrealloc(a, n + more);
		memcpy(a + n, b, more);
		pki_file("both", ".crl.pem", a, n + more);
		free(a);
		free(b);
		ck_assert_int_eq(net_tls_material_load(&m, &files, NULL, NULL), SP_OK);
		net_tls_ctx_unref(w.server);
		w.server = net_tls_server(w.lib, m, NET_TLS_ASK_REQUIRED);
		net_tls_material_unref(m);
		in = meet(&out, "sip.example.com");
		ck_assert_msg(in->opened == (rows[i].cause == NULL), "%s: %s", rows[i].root, in->detail);
		if (rows[i].cause != NULL) {
			UNTIL(&w, in->closed);
			ck_assert_int_eq(in->reason, POLICY_REASON_CERTIFICATE_REVOKED);
			ck_assert_str_eq(in->detail, rows[i].cause);
		}
		part(&out);
	}
	world_fini(&w);
}
END_TEST

/* A connection is open; then what counts changes. */
START_TEST(judged_again)
{
	struct end out, *in;
	const char *fault;

	world_init(&w, "server", NET_TLS_ASK_REQUIRED, "gone", "none");
	in = meet(&out, "sip.example.com");
	ck_assert(in->opened && in->has_certificate);
	ck_assert_int_eq(net_stream_judge_again(in->s, w.server, &fault), POLICY_REASON_ALLOWED);
	ck_assert_ptr_null(fault);
	ck_assert_int_eq(net_stream_judge_again(out.s, w.client, &fault), POLICY_REASON_ALLOWED);
	/* refused by now */
	use_lists(w.server, NULL, "gone");
	ck_assert_int_eq(net_stream_judge_again(in->s, w.server, &fault), POLICY_REASON_CERTIFICATE_REFUSED);
	use_lists(w.client, NULL, "server");
	ck_assert_int_eq(net_stream_judge_again(out.s, w.client, &fault), POLICY_REASON_CERTIFICATE_REFUSED);
	/* revoked by now; a pin does not mend it */
	world_server(&w, "server", NET_TLS_ASK_REQUIRED, "gone");
	use_lists(w.server, "gone", NULL);
	ck_assert_int_eq(net_stream_judge_again(in->s, w.server, &fault), POLICY_REASON_CERTIFICATE_REVOKED);
	ck_assert_str_eq(fault, "certificate revoked");
	/* what was verified has to stay so: a pin is no chain */
	world_server(&w, "server", NET_TLS_ASK_REQUIRED, "middle");
	use_lists(w.server, "gone", NULL);
	ck_assert_int_eq(net_stream_judge_again(in->s, w.server, &fault), POLICY_REASON_CERTIFICATE_CRL);
	/* none of this touched the connection */
	in->echo = true;
	net_stream_write(out.s, "still here", 10);
	UNTIL(&w, out.got == 10);
	part(&out);
	/* nobody showed one: nothing to judge */
	net_tls_ctx_lists(w.client, NULL);
	world_server(&w, "server", NET_TLS_ASK_NONE, NULL);
	in = meet(&out, "sip.example.com");
	ck_assert_int_eq(net_stream_judge_again(in->s, w.server, &fault), POLICY_REASON_ALLOWED);
	part(&out);
	world_fini(&w);
}
END_TEST

/* Bytes in use: by malloc in its arenas and by mmap. */
static size_t
in_use(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

/*
 * RELOADS=10000 in the environment for the whole promise (tests/system/reloads.sh);
 * what one reload leaves behind shows after a few hundred as well. Under a sanitizer
 * malloc is another one, whose leak check does the counting.
 */
START_TEST(reloads_leave_nothing)
{
	const char *wish = getenv("RELOADS");
	int reloads = wish != NULL ? atoi(wish) : 300;
	struct net_tls_lib *lib = net_tls_lib_new();
	struct net_tls_ctx *server = NULL, *client = NULL;
	size_t before = 0;

	for (int i = 0; i < reloads; i++) {
		struct net_tls_material *m = material(i % 2 ? "server" : "plain", "ca", i % 3 ? "gone" : NULL);
		struct net_tls_ctx *s = net_tls_server(lib, m, NET_TLS_ASK_REQUIRED), *c = net_tls_client(lib, m);

		use_lists(s, "plain", "gone");
		use_lists(c, "plain", "gone");
		/* beside the old ones, which go then */
		net_tls_ctx_unref(server);
		net_tls_ctx_unref(client);
		server = s;
		client = c;
		net_tls_material_unref(m);
		/* the same state again: i is 5 of 6 */
		if (i == 59)
			before = in_use();
		if (i > 59 && i % 60 == 59)
			ck_assert_msg(in_use() < before + 4096 + (size_t)i, "%zu bytes in use after %d, %zu after 60",
			    in_use(), i + 1, before);
	}
	net_tls_ctx_unref(server);
	net_tls_ctx_unref(client);
	net_tls_lib_free(lib);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { pinned_keys, a_weak_key_is_weak_though_pinned, refused_certificates,
		an_issuers_list_counts, judged_again, reloads_leave_nothing };
	int r;

	pki_init();
	make_zoo();
	r = unit_run("lists", tests, sizeof(tests) / sizeof(tests[0]));
	pki_fini();
	return r;
}
