/*
 * Certificates: whose they are, and which are refused, from either side.
 */
#include <sys/stat.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "net/verify.h"
#include "tests/unit/net/pair.h"
#include "tests/unit/net/pki.h"
#include "tests/unit/unit.h"

static struct world w;

/* A certificate shown to us by a client: accepted with these names, or refused for this cause. */
struct inbound {
	const char	*name;
	struct pki_spec	 spec;
	const char	*cause;		/* NULL: accepted */
	const char	*names;		/* proven, in order, each followed by a blank */
};

static const struct inbound inbound[] = {
	{ "plain", { .san = "DNS:sip.contoso.example" }, NULL, "sip.contoso.example " },
	{ "several", { .san = "DNS:Sip.Contoso.Example,URI:sip:contoso.example,IP:127.0.0.1,email:a@b.example" },
	    NULL, "sip.contoso.example contoso.example " },
	{ "uri-port", { .san = "URI:sip:contoso.example:5061" }, NULL, "contoso.example " },
	{ "uri-user", { .san = "URI:sip:alice@contoso.example" }, NULL, "" },
	{ "uri-sips", { .san = "URI:sips:contoso.example" }, NULL, "" },
	{ "uri-params", { .san = "URI:sip:contoso.example;x=y" }, NULL, "" },
	{ "wildcard", { .san = "DNS:*.contoso.example,DNS:s*.contoso.example" }, NULL, "" },
	{ "nul", { .nul_san = "good.example!.evil.example" }, NULL, "" },
	{ "dotted", { .san = "DNS:sip.contoso.example.,DNS:..,DNS:a..b" }, NULL, "sip.contoso.example " },
	{ "address-as-name", { .san = "DNS:192.0.2.1" }, NULL, "" },
	{ "cn-only", { .cn = "sip.contoso.example" }, NULL, "" },
	{ "cn-beside", { .cn = "evil.example", .san = "DNS:sip.contoso.example" }, NULL, "sip.contoso.example " },
	{ "rsa", { .key = PKI_RSA, .san = "DNS:a.example" }, NULL, "a.example " },
	{ "ed25519", { .key = PKI_ED25519, .san = "DNS:a.example" }, NULL, "a.example " },
	{ "by-middle", { .issuer = "middle", .san = "DNS:a.example" }, NULL, "a.example " },
	{ "server-only", { .eku = "serverAuth", .san = "DNS:a.example" }, NULL, "a.example " },
	{ "client-only", { .eku = "clientAuth", .san = "DNS:a.example" }, NULL, "a.example " },
	{ "no-eku", { .eku = "", .san = "DNS:a.example" }, NULL, "a.example " },
	{ "any-eku", { .eku = "anyExtendedKeyUsage", .san = "DNS:a.example" }, NULL, "a.example " },
	{ "sip-eku", { .eku = "1.3.6.1.5.5.7.3.20", .san = "DNS:a.example" }, NULL, "a.example " },
	{ "mail-eku", { .eku = "emailProtection,codeSigning", .san = "DNS:a.example" },
	    "extended key usage not for TLS", NULL },
	{ "cert-sign-ku", { .ku = "keyCertSign", .san = "DNS:a.example" }, "key usage not for TLS", NULL },
	{ "expired", { .from_days = -9, .to_days = -1, .san = "DNS:a.example" }, "certificate expired", NULL },
	{ "early", { .from_days = 1, .to_days = 9, .san = "DNS:a.example" }, "certificate not yet valid", NULL },
	{ "stranger", { .issuer = "other", .san = "DNS:a.example" }, "unknown issuer", NULL },
	{ "by-plain", { .issuer = "plain", .cn = "child", .san = "DNS:a.example" }, "issuer is not an authority", NULL },
	{ "is-ca", { .basic = "critical,CA:TRUE", .san = "DNS:a.example" },
	    "an authority's certificate, not a server's", NULL },
	{ "revoked", { .san = "DNS:a.example" }, "certificate revoked", NULL },
};
#define NINBOUND (sizeof(inbound) / sizeof(inbound[0]))

static void
make_zoo(void)
{
	static const char *const revoked[] = { "revoked", NULL };
	struct pki_spec server = { .san = "DNS:sip.example.com,DNS:*.wild.example,IP:127.0.0.1" };

	pki_ca("middle", "ca");
	pki_cert("server", &server);
	for (size_t i = 0; i < NINBOUND; i++)
		pki_cert(inbound[i].name, &inbound[i].spec);
	pki_crl("ca", "ca", -1, 30, revoked);
	pki_crl("old", "ca", -9, -1, revoked);
	pki_crl("othercrl", "other", -1, 30, NULL);
}

/* Both ends until they are open or closed; a TLS 1.3 client opens before it hears the refusal. */
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
join_names(const struct end *e, char *out, size_t size)
{
	out[0] = '\0';
	for (unsigned i = 0; i < e->nnames && i < 4; i++)
		snprintf(out + strlen(out), size - strlen(out), "%s ", e->names[i]);
}

START_TEST(certificates_shown_to_us)
{
	struct end out, *in;
	char names[300];

	world_init(&w, "server", NET_TLS_ASK_REQUIRED, "plain", NULL);
	for (size_t i = 0; i < NINBOUND; i++) {
		const struct inbound *row = &inbound[i];
		bool is_revoked = strcmp(row->name, "revoked") == 0;

		if (is_revoked)
			world_server(&w, "server", NET_TLS_ASK_REQUIRED, "ca");
		world_client(&w, row->name, NULL);
		in = meet(&out, "sip.example.com");
		if (row->cause == NULL) {
			ck_assert_msg(in->opened, "%s: refused: %s", row->name, in->detail);
			ck_assert(in->has_certificate);
			join_names(in, names, sizeof(names));
			ck_assert_msg(strcmp(names, row->names) == 0, "%s: names %s", row->name, names);
		} else {
			ck_assert_msg(!in->opened, "%s: accepted", row->name);
			UNTIL(&w, in->closed);
			ck_assert(policy_reason_is_certificate(in->reason));
			ck_assert_msg(strcmp(in->detail, row->cause) == 0, "%s: %s", row->name, in->detail);
			/* The other end is told by an alert. */
			UNTIL(&w, out.closed);
			ck_assert_int_ne(out.reason, POLICY_REASON_ALLOWED);
			ck_assert_ptr_nonnull(strstr(out.detail, "peer"));
		}
		part(&out);
	}
	world_fini(&w);
}
END_TEST

START_TEST(weak_keys)
{
	struct pki_spec weak = { .key = PKI_RSA1024, .san = "DNS:a.example" };
	struct net_tls_files files;
	struct net_tls_material *m;
	SSL_CTX *careless = SSL_CTX_new(TLS_client_method());
	struct end *in;
	SSL *ssl;
	int fd;

	/* We do not start with one. */
	pki_cert("weak", &weak);
	files = (struct net_tls_files){ .certificate = pki_path("weak", ".pem"), .key = pki_path("weak", ".key") };
	ck_assert_int_eq(net_tls_material_load(&m, &files, NULL, NULL), SP_ECERT);
	ck_assert_ptr_null(m);

	/* A peer that does is refused. */
	world_init(&w, "server", NET_TLS_ASK_OPTIONAL, "plain", NULL);
	SSL_CTX_set_security_level(careless, 0);
	ck_assert_int_eq(SSL_CTX_use_certificate_chain_file(careless, files.certificate), 1);
	ck_assert_int_eq(SSL_CTX_use_PrivateKey_file(careless, files.key, SSL_FILETYPE_PEM), 1);
	ssl = SSL_new(careless);
	fd = dial_raw(&w);
	SSL_set_fd(ssl, fd);
	SSL_set_connect_state(ssl);
	in = &w.in[0];
	UNTIL(&w, (SSL_do_handshake(ssl), w.nin == 1 && (in->opened || in->closed || SSL_is_init_finished(ssl))));
	SSL_free(ssl);
	SSL_CTX_free(careless);
	close(fd);
	UNTIL(&w, in->closed);
	ck_assert(!in->opened);
	ck_assert_int_eq(in->reason, POLICY_REASON_CERTIFICATE_WEAK);
	ck_assert_str_eq(in->detail, "key too weak");
	world_fini(&w);
}
END_TEST

START_TEST(usage_is_told)
{
	static const struct {
		const char	*name;
		unsigned	 usage;
	} rows[] = {
		{ "plain", NET_USAGE_SERVER | NET_USAGE_CLIENT }, { "server-only", NET_USAGE_SERVER },
		{ "client-only", NET_USAGE_CLIENT }, { "no-eku", NET_USAGE_SERVER | NET_USAGE_CLIENT },
	};
	struct end out, *in;

	world_init(&w, "server", NET_TLS_ASK_REQUIRED, "plain", NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		world_client(&w, rows[i].name, NULL);
		in = meet(&out, "sip.example.com");
		ck_assert(in->opened);
		ck_assert_uint_eq(in->usage, rows[i].usage);
		part(&out);
	}
	world_fini(&w);
}
END_TEST

START_TEST(cn_where_configured)
{
	struct end out, *in;

	world_init(&w, "server", NET_TLS_ASK_REQUIRED, "cn-only", NULL);
	net_tls_ctx_accept_cn(w.server, true);
	in = meet(&out, "sip.example.com");
	ck_assert(in->opened);
	ck_assert_uint_eq(in->nnames, 1);
	ck_assert_str_eq(in->names[0], "sip.contoso.example");
	part(&out);

	/* A SAN silences the CN, even one that proves nothing. */
	world_client(&w, "cn-beside", NULL);
	in = meet(&out, "sip.example.com");
	ck_assert_uint_eq(in->nnames, 1);
	ck_assert_str_eq(in->names[0], "sip.contoso.example");
	part(&out);
	world_fini(&w);
}
END_TEST

START_TEST(who_must_show_one)
{
	struct end out, *in;
	SSL_CTX *bare;

	/* A user is not asked; the certificate that the client would have shown stays at home. */
	world_init(&w, "server", NET_TLS_ASK_NONE, "plain", NULL);
	in = meet(&out, "sip.example.com");
	ck_assert(in->opened && !in->has_certificate);
	ck_assert_uint_eq(in->nnames, 0);
	ck_assert_str_eq(in->sni, "sip.example.com");
	ck_assert_str_eq(in->protocol, "TLSv1.3");
	ck_assert(out.has_certificate);
	part(&out);

	/* Asked but not required: with one it is verified, with a bad one it is refused. */
	world_server(&w, "server", NET_TLS_ASK_OPTIONAL, NULL);
	in = meet(&out, "sip.example.com");
	ck_assert(in->opened && in->has_certificate);
	ck_assert_str_eq(in->subject, "O=Sallyport test");
	part(&out);
	world_client(&w, "stranger", NULL);
	in = meet(&out, "sip.example.com");
	UNTIL(&w, in->closed);
	ck_assert(!in->opened);
	ck_assert_int_eq(in->reason, POLICY_REASON_CERTIFICATE_UNTRUSTED);
	part(&out);

	/* A client with none: an SSL of OpenSSL's own, driven by hand. */
	bare = SSL_CTX_new(TLS_client_method());
	for (int round = 0; round < 2; round++) {
		SSL *ssl = SSL_new(bare);
		int fd = dial_raw(&w);
		unsigned at = w.nin;

		if (round == 1)
			world_server(&w, "server", NET_TLS_ASK_REQUIRED, NULL);
		SSL_set_fd(ssl, fd);
		SSL_set_connect_state(ssl);
		UNTIL(&w, (SSL_do_handshake(ssl), w.nin > at && (w.in[at].opened || w.in[at].closed)));
		ck_assert(w.in[at].opened == (round == 0));
		ck_assert(!w.in[at].has_certificate);
		if (round == 1) {
			ck_assert_int_eq(w.in[at].reason, POLICY_REASON_CERTIFICATE_MISSING);
			ck_assert_str_eq(w.in[at].detail, "no certificate shown");
		}
		SSL_free(ssl);
		close(fd);
		UNTIL(&w, w.in[at].closed);
	}
	SSL_CTX_free(bare);
	world_fini(&w);
}
END_TEST

START_TEST(revocation)
{
	struct end out, *in;

	/* A list that is out of date refuses, a list of somebody else does not count, a good one lets pass. */
	static const struct {
		const char	*crl, *cause;
	} rows[] = {
		{ "old", "revocation list expired" },
		{ "othercrl", "no revocation list of its issuer" },
		{ "ca", NULL },
	};

	world_init(&w, "server", NET_TLS_ASK_REQUIRED, "plain", NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		world_server(&w, "server", NET_TLS_ASK_REQUIRED, rows[i].crl);
		in = meet(&out, "sip.example.com");
		ck_assert_msg(in->opened == (rows[i].cause == NULL), "%s", rows[i].crl);
		if (rows[i].cause != NULL) {
			UNTIL(&w, in->closed);
			ck_assert_str_eq(in->detail, rows[i].cause);
		}
		part(&out);
	}
	world_fini(&w);
}
END_TEST

/* Names dialled, and what the certificate in front of us must prove. */
START_TEST(names_we_dial)
{
	static const struct {
		const char	*server, *name, *cause;
	} rows[] = {
		{ "server", "sip.example.com", NULL },
		{ "server", "example.com", "does not prove the expected name" },
		{ "server", "www.wild.example", "does not prove the expected name" },
		{ "server", "*.wild.example", "does not prove the expected name" },
		{ "server", "127.0.0.1", NULL },
		{ "server", "127.0.0.2", "does not prove the expected name" },
		{ "server", "", "does not prove the expected name" },
		{ "several", "contoso.example", NULL },
		{ "several", "sip.contoso.example", NULL },
		{ "nul", "good.example", "does not prove the expected name" },
		{ "cn-only", "sip.contoso.example", "does not prove the expected name" },
		{ "address-as-name", "192.0.2.1", "does not prove the expected name" },
		{ "stranger", "a.example", "unknown issuer" },
		{ "expired", "a.example", "certificate expired" },
		{ "client-only", "a.example", "extended key usage not for TLS" },
		{ "server-only", "a.example", NULL },
		{ "by-middle", "a.example", "no revocation list of its issuer" },
		{ "is-ca", "a.example", "an authority's certificate, not a server's" },
		{ "revoked", "a.example", "certificate revoked" },
	};
	struct end out, *in;

	world_init(&w, "server", NET_TLS_ASK_REQUIRED, "plain", NULL);
	world_client(&w, "plain", "ca");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		world_server(&w, rows[i].server, NET_TLS_ASK_REQUIRED, NULL);
		in = meet(&out, rows[i].name);
		ck_assert_msg(out.opened == (rows[i].cause == NULL), "%s at %s: %s", rows[i].name,
		    rows[i].server, out.detail);
		if (rows[i].cause != NULL) {
			ck_assert(policy_reason_is_certificate(out.reason));
			ck_assert_str_eq(out.detail, rows[i].cause);
			ck_assert(!in->opened);
		} else {
			UNTIL(&w, in->opened);
			/* No server name is sent for an address. */
			ck_assert_str_eq(in->sni, rows[i].name[0] == '1' ? "" : rows[i].name);
		}
		part(&out);
	}
	/* The intermediate is sent along; the client knows the root only. */
	world_server(&w, "by-middle", NET_TLS_ASK_REQUIRED, NULL);
	world_client(&w, "plain", NULL);
	meet(&out, "a.example");
	ck_assert(out.opened);
	part(&out);
	world_server(&w, "cn-only", NET_TLS_ASK_REQUIRED, NULL);
	net_tls_ctx_accept_cn(w.client, true);
	meet(&out, "sip.contoso.example");
	ck_assert(out.opened);
	part(&out);
	world_fini(&w);
}
END_TEST

/* The administrator's file holds the leaf alone, and the intermediate stands among the anchors. */
START_TEST(a_leaf_without_its_chain)
{
	struct net_tls_material *m;
	char *p, *key, *cut;
	size_t n, nkey;
	struct end out;

	p = pki_read(pki_path("by-middle", ".pem"), &n);
	key = pki_read(pki_path("by-middle", ".key"), &nkey);
	cut = strstr(p, "-----END CERTIFICATE-----\n") + 26;
	pki_file("alone", ".pem", p, (size_t)(cut - p));
	pki_file("alone", ".key", key, nkey);
	free(p);
	free(key);
	world_init(&w, "server", NET_TLS_ASK_NONE, "plain", NULL);
	m = material("alone", "middle", NULL);
	net_tls_ctx_unref(w.server);
	w.server = net_tls_server(w.lib, m, NET_TLS_ASK_NONE);
	net_tls_material_unref(m);
	meet(&out, "a.example");
	ck_assert_msg(out.opened, "%s", out.detail);
	part(&out);
	world_fini(&w);
}
END_TEST

START_TEST(time_is_the_clocks)
{
	time_t later = time(NULL) + 40 * 86400;
	struct end out, *in;

	world_init(&w, "server", NET_TLS_ASK_REQUIRED, "plain", NULL);
	clock_fake(NULL, &later);
	in = meet(&out, "sip.example.com");
	UNTIL(&w, out.closed && in->closed);
	ck_assert_str_eq(out.detail, "certificate expired");
	later += 40 * 86400;		/* its authority's too */
	meet(&out, "sip.example.com");
	UNTIL(&w, out.closed);
	ck_assert_str_eq(out.detail, "an issuer's certificate expired");
	clock_fake(NULL, NULL);
	world_fini(&w);
}
END_TEST

/* --- loading --- */

struct heard {
	char	 text[2048];
	unsigned fatal, mild;
};

static void
hear(void *arg, bool fatal, const char *text)
{
	struct heard *h = arg;

	fatal ? h->fatal++ : h->mild++;
	snprintf(h->text + strlen(h->text), sizeof(h->text) - strlen(h->text), "%s\n", text);
}

static int
load(struct heard *h, const char *cert, const char *key, const char *trust, const char *crl)
{
	struct net_tls_files files = { cert, key, trust, crl, false, NULL };
	struct net_tls_material *m;
	int err;

	memset(h, 0, sizeof(*h));
	err = net_tls_material_load(&m, &files, hear, h);
	ck_assert((m != NULL) == (err == SP_OK));
	ck_assert((h->fatal != 0) == (err != SP_OK));
	net_tls_material_unref(m);
	return err;
}

START_TEST(loading_says_what_is_wrong)
{
	const char *cert = pki_path("plain", ".pem"), *key = pki_path("plain", ".key");
	struct heard h;
	size_t n;
	char *bytes;

	ck_assert_int_eq(load(&h, cert, key, pki_path("ca", ".pem"), pki_path("ca", ".crl.pem")), SP_OK);
	ck_assert_uint_eq(h.mild, 0);

	/* Two files are missing: two are named. */
	ck_assert_int_eq(load(&h, "/nonexistent/a.pem", "/nonexistent/a.key", NULL, NULL), SP_EIO);
	ck_assert_uint_eq(h.fatal, 2);
	ck_assert_ptr_nonnull(strstr(h.text, "/nonexistent/a.pem: No such file"));
	ck_assert_ptr_nonnull(strstr(h.text, "/nonexistent/a.key: No such file"));

	ck_assert_int_eq(load(&h, cert, pki_path("rsa", ".key"), NULL, NULL), SP_ECERT);
	ck_assert_ptr_nonnull(strstr(h.text, "does not belong"));

	pki_file("empty", ".pem", "", 0);
	ck_assert_int_eq(load(&h, pki_path("empty", ".pem"), key, NULL, NULL), SP_ECERT);
	ck_assert_int_eq(load(&h, cert, pki_path("empty", ".pem"), NULL, NULL), SP_ECERT);
	ck_assert_int_eq(load(&h, cert, key, pki_path("empty", ".pem"), NULL), SP_ECERT);
	ck_assert_msg(strstr(h.text, "holds no certificate") != NULL, "%s", h.text);
	ck_assert_int_eq(load(&h, cert, key, NULL, pki_path("empty", ".pem")), SP_ECERT);
	ck_assert_ptr_nonnull(strstr(h.text, "holds no revocation list"));

	/* One bad letter in the middle of each. */
	bytes = pki_read(cert, &n);
	bytes[n / 2] ^= 5;
	bytes[n / 2 + 1] = '!';
	pki_file("broken", ".pem", bytes, n);
	free(bytes);
	ck_assert_int_eq(load(&h, pki_path("broken", ".pem"), key, NULL, NULL), SP_ECERT);
	ck_assert_int_eq(load(&h, cert, key, pki_path("broken", ".pem"), NULL), SP_ECERT);
	bytes = pki_read(pki_path("ca", ".crl.pem"), &n);
	bytes[n / 2] = '!';
	pki_file("broken", ".crl.pem", bytes, n);
	free(bytes);
	ck_assert_int_eq(load(&h, cert, key, NULL, pki_path("broken", ".crl.pem")), SP_ECERT);

	/* Good DER cut short inside good PEM: the parser's failure, not the armour's. */
	pki_file("short", ".pem", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", 57);
	ck_assert_int_eq(load(&h, pki_path("short", ".pem"), key, NULL, NULL), SP_ECERT);

	/* A directory where a file should be. */
	ck_assert_int_eq(load(&h, pki_path("", ""), key, NULL, NULL), SP_EIO);
}
END_TEST

START_TEST(loading_goes_on_with_a_warning)
{
	struct heard h;

	ck_assert_int_eq(load(&h, pki_path("expired", ".pem"), pki_path("expired", ".key"), NULL, NULL), SP_OK);
	ck_assert_ptr_nonnull(strstr(h.text, "our own certificate has expired"));
	ck_assert_int_eq(load(&h, pki_path("early", ".pem"), pki_path("early", ".key"), NULL, NULL), SP_OK);
	ck_assert_ptr_nonnull(strstr(h.text, "not valid yet"));
	ck_assert_int_eq(load(&h, pki_path("client-only", ".pem"), pki_path("client-only", ".key"), NULL, NULL),
	    SP_OK);
	ck_assert_ptr_nonnull(strstr(h.text, "not made for servers"));
	ck_assert_int_eq(load(&h, pki_path("plain", ".pem"), pki_path("plain", ".key"), NULL,
	    pki_path("old", ".crl.pem")), SP_OK);
	ck_assert_ptr_nonnull(strstr(h.text, "out of date"));
	ck_assert_ptr_nonnull(strstr(h.text, "CN=ca, O=Sallyport test"));
	ck_assert_int_eq(chmod(pki_path("plain", ".key"), 0644), 0);
	ck_assert_int_eq(load(&h, pki_path("plain", ".pem"), pki_path("plain", ".key"), NULL, NULL), SP_OK);
	ck_assert_ptr_nonnull(strstr(h.text, "open to every user"));
	ck_assert_int_eq(chmod(pki_path("plain", ".key"), 0640), 0);
}
END_TEST

START_TEST(a_directory_of_lists)
{
	struct net_tls_files files = { .certificate = pki_path("server", ".pem"), .key = pki_path("server", ".key"),
		.trust = pki_path("ca", ".pem") };
	const char *dir = pki_path("lists", "");
	struct net_tls_material *m;
	struct end out, *in;
	struct heard h;
	size_t n;
	char *bytes;

	ck_assert_int_eq(mkdir(dir, 0700), 0);
	ck_assert_int_eq(load(&h, files.certificate, files.key, NULL, dir), SP_ECERT);
	bytes = pki_read(pki_path("othercrl", ".crl.pem"), &n);
	pki_file("lists/a", ".pem", bytes, n - 1);	/* without its last newline */
	free(bytes);
	bytes = pki_read(pki_path("ca", ".crl.pem"), &n);
	pki_file("lists/b", ".pem", bytes, n);
	free(bytes);
	pki_file("lists/c", ".pem", "nonsense\n", 9);
	ck_assert_int_eq(load(&h, files.certificate, files.key, NULL, dir), SP_ECERT);
	ck_assert_ptr_nonnull(strstr(h.text, "/lists/c.pem: holds no revocation list"));
	unlink(pki_path("lists/c", ".pem"));
	files.crl = dir;
	ck_assert_int_eq(net_tls_material_load(&m, &files, NULL, NULL), SP_OK);
	world_init(&w, "server", NET_TLS_ASK_REQUIRED, "revoked", NULL);
	net_tls_ctx_unref(w.server);
	w.server = net_tls_server(w.lib, m, NET_TLS_ASK_REQUIRED);
	net_tls_material_unref(m);
	in = meet(&out, "sip.example.com");
	UNTIL(&w, in->closed);
	ck_assert_str_eq(in->detail, "certificate revoked");
	part(&out);
	unlink(pki_path("lists/a", ".pem"));
	unlink(pki_path("lists/b", ".pem"));
	world_fini(&w);
}
END_TEST

START_TEST(material_knows_itself)
{
	struct net_tls_material *a = material("plain", "ca", NULL), *b = material("plain", "ca", NULL),
	    *c = material("plain", "ca", "ca");
	unsigned char da[32], db[32], dc[32];
	time_t now = time(NULL);

	net_tls_material_digest(a, da);
	net_tls_material_digest(b, db);
	net_tls_material_digest(c, dc);
	ck_assert_mem_eq(da, db, 32);
	ck_assert_mem_ne(da, dc, 32);
	ck_assert(net_tls_material_not_after(a) > now + 29 * 86400);
	ck_assert(net_tls_material_not_after(a) < now + 31 * 86400);
	net_tls_material_unref(a);
	net_tls_material_unref(b);
	net_tls_material_unref(c);
	net_tls_material_unref(NULL);
}
END_TEST

START_TEST(host_names)
{
	static const struct {
		const char	*in, *out;	/* out NULL: refused; '!' in in is NUL */
	} rows[] = {
		{ "a", "a" }, { "A.Example", "a.example" }, { "a.example.", "a.example" }, { "a_b.c-d", "a_b.c-d" },
		{ "1.example", "1.example" }, { "", NULL }, { ".", NULL }, { "..", NULL }, { ".a", NULL },
		{ "a..", NULL }, { "*", NULL }, { "*.a", NULL }, { "a*", NULL }, { "a!b", NULL }, { "a b", NULL },
		{ "1.2.3.4", NULL }, { "a.1", NULL }, { "::1", NULL }, { "[::1]", NULL }, { "\xc3\xa4.example", NULL },
		{ "a:5061", NULL },
	};
	char out[256], in[300];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t n = strlen(rows[i].in);
		bool ok;

		for (size_t k = 0; k <= n; k++)
			in[k] = rows[i].in[k] == '!' ? '\0' : rows[i].in[k];
		ok = net_host_canonical(span_of(in, n), out);
		ck_assert_msg(ok == (rows[i].out != NULL), "%s", rows[i].in);
		if (ok)
			ck_assert_str_eq(out, rows[i].out);
	}
	memset(in, 'a', sizeof(in));
	ck_assert(net_host_canonical(span_of(in, 63), out));
	ck_assert(!net_host_canonical(span_of(in, 64), out));
	for (size_t k = 1; k < sizeof(in); k += 2)
		in[k] = '.';
	ck_assert(net_host_canonical(span_of(in, 253), out));
	ck_assert(!net_host_canonical(span_of(in, 255), out));
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { certificates_shown_to_us, weak_keys, usage_is_told, cn_where_configured,
		who_must_show_one, revocation, names_we_dial, a_leaf_without_its_chain, time_is_the_clocks, loading_says_what_is_wrong,
		loading_goes_on_with_a_warning, a_directory_of_lists, material_knows_itself, host_names };
	int r;

	pki_init();
	make_zoo();
	r = unit_run("tls", tests, sizeof(tests) / sizeof(tests[0]));
	pki_fini();
	return r;
}
