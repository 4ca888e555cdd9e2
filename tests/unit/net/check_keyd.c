/*
 * check_keyd.c - keys that another process has: handshakes of all kinds with
 * them, what keyd refuses, and that it may die.
 */
#include "net/keyd.h"

#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "common/chan.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/mem.h"
#include "net/tls_ctx.h"
#include "tests/unit/net/pair.h"
#include "tests/unit/net/pki.h"
#include "tests/unit/unit.h"

static struct world w;
static struct net_keyd *keyd;
static int channel;
static char told[512];

static void
remember(void *arg, bool fatal, const char *text)
{
	(void)arg, (void)fatal;
	snprintf(told, sizeof(told), "%s", text);
}

static int
load(const char *cert, const char *key, struct net_tls_material **m)
{
	const struct net_tls_files files = { .certificate = pki_path(cert, ".pem"), .key = pki_path(key, ".key"),
	    .trust = pki_path("ca", ".pem"), .keyd = keyd };

	told[0] = '\0';
	return net_tls_material_load(m, &files, remember, NULL);
}

static struct net_tls_material *
good(const char *name)
{
	struct net_tls_material *m;

	ck_assert_msg(load(name, name, &m) == SP_OK, "%s", told);
	return m;
}

static void
begin(void)
{
	static const char *const names[] = { "ec", "rsa" };

	pki_init();
	pki_cert("plain", &(struct pki_spec){ .san = "DNS:sip.example.com" });
	for (int i = 0; i < 2; i++)
		pki_cert(names[i], &(struct pki_spec){ .san = "DNS:sip.example.com", .key = i == 0 ? PKI_EC : PKI_RSA });
	pki_cert("ed", &(struct pki_spec){ .san = "DNS:sip.example.com", .key = PKI_ED25519 });
	keyd = net_keyd_start(NULL, true, 1);
	ck_assert_ptr_nonnull(keyd);
	ck_assert_int_eq(net_keyd_channels(keyd, &channel), SP_OK);
}

static void
end(void)
{
	(void)net_keyd_stop(keyd);
	close(channel);
	pki_fini();
}

static void
use(const char *server, const char *client, int version)
{
	struct net_tls_material *s = good(server), *c = good(client);

	net_tls_ctx_unref(w.server);
	net_tls_ctx_unref(w.client);
	w.server = net_tls_server(w.lib, s, NET_TLS_ASK_REQUIRED);
	w.client = net_tls_client(w.lib, c);
	if (version != 0)
		ck_assert_int_eq(SSL_CTX_set_max_proto_version(w.server->ssl, version), 1);
	net_tls_material_unref(s);
	net_tls_material_unref(c);
}

/* A handshake: does it get through, and with which protocol? */
static bool
meets(const char *protocol)
{
	unsigned at = w.nin;
	struct end out;
	bool opened;

	memset(&out, 0, sizeof(out));
	dial(&w, &out, "sip.example.com");
	UNTIL(&w, w.nin > at && (w.in[at].opened || w.in[at].closed) && (out.opened || out.closed));
	opened = w.in[at].opened && out.opened;
	ck_assert_msg(!opened || (strcmp(out.protocol, protocol) == 0 && w.in[at].has_certificate), "%s", out.protocol);
	if (out.s != NULL)
		net_stream_close(out.s, POLICY_REASON_ALLOWED, NULL);
	UNTIL(&w, out.closed && w.in[at].closed);
	return opened;
}

START_TEST(handshakes)
{
	static const char *const names[] = { "ec", "rsa", "ed" };

	begin();
	world_init(&w, "plain", NET_TLS_ASK_REQUIRED, "plain", NULL);
	net_tls_lib_keys(w.lib, channel);
	for (int s = 0; s < 3; s++) {
		for (int c = 0; c < 3; c++) {
			use(names[s], names[c], 0);
			ck_assert_msg(meets("TLSv1.3"), "%s %s", names[s], names[c]);
			use(names[s], names[c], TLS1_2_VERSION);
			ck_assert_msg(meets("TLSv1.2"), "%s %s", names[s], names[c]);
		}
	}
	world_fini(&w);
	end();
}
END_TEST

START_TEST(survives_its_end)
{
	int fresh;

	begin();
	world_init(&w, "plain", NET_TLS_ASK_REQUIRED, "plain", NULL);
	net_tls_lib_keys(w.lib, channel);
	use("ec", "rsa", 0);
	ck_assert(meets("TLSv1.3"));
	kill(net_keyd_pid(keyd), SIGKILL);
	ck_assert_int_eq(waitpid(net_keyd_pid(keyd), NULL, 0), net_keyd_pid(keyd));
	ck_assert(!meets("TLSv1.3"));
	/* another takes its place, and its channel the place of the old one */
	ck_assert_int_eq(net_keyd_restart(keyd), SP_OK);
	ck_assert_int_eq(net_keyd_channels(keyd, &fresh), SP_OK);
	ck_assert_int_eq(dup3(fresh, channel, O_CLOEXEC), channel);
	close(fresh);
	ck_assert(meets("TLSv1.3"));
	world_fini(&w);
	end();
}
END_TEST

/* The file of a key of a kind that TLS could use and we do not. */
static void
other_kind(const char *name)
{
	EVP_PKEY *k = EVP_PKEY_Q_keygen(NULL, NULL, "ED448");
	BIO *bio = BIO_new(BIO_s_mem());
	char *pem;
	long n;

	ck_assert_int_eq(PEM_write_bio_PrivateKey(bio, k, NULL, NULL, 0, NULL, NULL), 1);
	n = BIO_get_mem_data(bio, &pem);
	pki_file(name, ".key", pem, (size_t)n);
	BIO_free(bio);
	EVP_PKEY_free(k);
}

START_TEST(what_does_not_do_is_said)
{
	struct net_tls_material *m;

	begin();
	pki_file("junk", ".key", "nonsense", 8);
	ck_assert_int_eq(load("ec", "junk", &m), SP_ECERT);
	ck_assert_msg(strstr(told, "no usable key") != NULL, "%s", told);
	ck_assert_int_eq(load("ec", "rsa", &m), SP_ECERT);
	ck_assert_msg(strstr(told, "does not belong") != NULL, "%s", told);
	ck_assert_int_eq(load("ec", "plain", &m), SP_ECERT);
	other_kind("other");
	ck_assert_int_eq(load("ed", "other", &m), SP_ECERT);
	ck_assert_msg(strstr(told, "only EC, RSA and Ed25519") != NULL, "%s", told);
	ck_assert_int_eq(load("ec", "there-is-none", &m), SP_EIO);
	m = good("ec");
	net_tls_material_unref(m);
	end();
}
END_TEST

/* What a worker may ask, and that who asks for more ends keyd. */
START_TEST(wrong_frames_end_it)
{
	static const struct frame bad[] = {
		{ .type = NET_KEYD_LOAD, .tag = 1 },
		{ .type = NET_KEYD_KEEP, .tag = 1 },
		{ .type = NET_KEYD_CHANNELS, .tag = 1 },
		{ .type = NET_KEYD_SIGN, .tag = 1, .len = 3, .body = (const unsigned char *)"abc" },
		{ .type = 99, .tag = 1 }
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct chan_msg m;
		int status;

		begin();
		chan_patience(channel, 10000);
		ck_assert_int_eq(chan_send(channel, &bad[i], NULL, 0), SP_OK);
		ck_assert_int_eq(chan_recv(channel, &m, 0), SP_ECLOSED);
		ck_assert_int_eq(waitpid(net_keyd_pid(keyd), &status, 0), net_keyd_pid(keyd));
		ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == EX_SOFTWARE);
		end();
	}
}
END_TEST

/* ---- what it signs ---- */

static char tls13[64 + 34 + 32], tls12[64 + 4 + 65];

static void
make_contents(void)
{
	memset(tls13, ' ', 64);
	memcpy(tls13 + 64, "TLS 1.3, server CertificateVerify", 34);
	memset(tls12, 'r', 64);
	memcpy(tls12 + 64, "\3\0\27\101", 4);
}

static bool
is_handshake(const void *p, size_t n)
{
	return net_key_is_handshake(span_of(p, n));
}

static size_t
put(char *p, size_t at, unsigned type, size_t len)
{
	p[at] = (char)type;
	p[at + 1] = 0;
	p[at + 2] = (char)(len >> 8);
	p[at + 3] = (char)len;
	return at + 4 + len;
}

/* A transcript of those types, each with as many bytes. */
static size_t
transcript(char *p, const unsigned char *types, size_t n)
{
	size_t at = 0;

	for (size_t i = 0; i < n; i++)
		at = put(p, at, types[i], 10);
	return at;
}

/* The three forms, and nothing that is longer, shorter or a little different. */
START_TEST(signs_handshakes_alone)
{
	static const unsigned char whole[] = { 1, 2, 11, 22, 12, 13, 14, 11, 16 }, least[] = { 1, 2, 11, 16 },
	    no_end[] = { 1, 2, 11, 12, 13, 14, 11 }, no_begin[] = { 2, 11, 12, 16 }, turned[] = { 1, 2, 12, 11, 13, 16, 11 },
	    alien[] = { 1, 2, 11, 20, 16 }, late[] = { 1, 11, 2, 16 }, twice[] = { 1, 1, 2, 11, 16 };
	static const struct { const unsigned char *types; size_t n; bool good; } scripts[] = {
		{ whole, sizeof(whole), true }, { least, sizeof(least), true }, { no_end, sizeof(no_end), false },
		{ no_begin, sizeof(no_begin), false }, { turned, sizeof(turned), false }, { alien, sizeof(alien), false },
		{ late, sizeof(late), false }, { twice, sizeof(twice), false }
	};
	char other[sizeof(tls13) + 16], script[256];

	make_contents();
	memset(other, 0, sizeof(other));
	memcpy(other, tls13, sizeof(tls13));
	ck_assert(is_handshake(other, sizeof(tls13)));
	ck_assert(is_handshake(other, sizeof(tls13) + 16));	/* SHA-384 */
	for (size_t n = 0; n < sizeof(other); n++)
		ck_assert(n == sizeof(tls13) || !is_handshake(other, n));
	for (size_t i = 0; i < 64 + 34; i++) {
		other[i] ^= 1;
		ck_assert_msg(!is_handshake(other, sizeof(tls13)), "%zu", i);
		other[i] ^= 1;
	}
	memcpy(other + 64, "TLS 1.3, client CertificateVerify", 34);
	ck_assert(is_handshake(other, sizeof(tls13)));
	memcpy(other + 64, "TLS, server delegated credentials", 34);
	ck_assert(!is_handshake(other, sizeof(tls13)));
	ck_assert(is_handshake(tls12, sizeof(tls12)));
	ck_assert(!is_handshake(tls12, sizeof(tls12) - 1));
	tls12[66] = 24;		/* that curve's points are longer */
	ck_assert(!is_handshake(tls12, sizeof(tls12)));
	tls12[66] = 23;
	tls12[64] = 1;		/* a curve of its own */
	ck_assert(!is_handshake(tls12, sizeof(tls12)));
	tls12[64] = 3;
	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		size_t n = transcript(script, scripts[i].types, scripts[i].n);

		ck_assert_msg(is_handshake(script, n) == scripts[i].good, "%zu", i);
		ck_assert(!is_handshake(script, n - 1));
		ck_assert(!is_handshake(script, n + 1));
	}
	/* a digest; text; a certificate */
	ck_assert(!is_handshake("01234567890123456789012345678901", 32));
	ck_assert(!is_handshake("eyJhbGciOiJFUzI1NiJ9.eyJyZXNvdXJjZSI6InJldm9rZSJ9", 49));
	ck_assert(!is_handshake("0\202\1\12\240\3\2\1\2", 9));
}
END_TEST

/* A key that is not there, one of the other kind, something else than a handshake: no signature, and it goes on. */
START_TEST(refuses_and_goes_on)
{
	unsigned char body[256], spki[NET_KEYD_SPKI_MAX];
	struct frame f = { .type = NET_KEYD_SIGN, .body = body };
	struct chan_msg m;
	size_t n;
	char why[64];
	uint64_t id;
	int fd;

	begin();
	chan_patience(channel, 10000);
	fd = open(pki_path("rsa", ".key"), O_RDONLY);
	ck_assert_int_eq(net_keyd_load(keyd, fd, &id, spki, &n, why, sizeof(why)), SP_OK);
	close(fd);
	make_contents();
	for (int i = 0; i < 5; i++) {
		struct net_key_question q = { i == 0 ? id + 2 : id, i == 1 ? NET_KEY_ECDSA : i == 2 ? NET_KEY_ED25519 : NET_KEY_RSA_PSS,
		    i == 2 ? 0 : 256, span_of(tls13, i == 3 ? 32 : sizeof(tls13)) };
		struct frame_writer fw;
		struct frame_reader r;

		frame_writer_init(&fw, body, sizeof(body));
		net_key_put(&fw, &q);
		f.len = fw.len;
		f.tag = (uint64_t)i;
		ck_assert_int_eq(chan_send(channel, &f, NULL, 0), SP_OK);
		ck_assert_int_eq(chan_recv(channel, &m, 0), SP_OK);
		ck_assert_uint_eq(m.f.tag, (uint64_t)i);
		frame_reader_init(&r, &m.f);
		ck_assert_int_eq(frame_u8(&r), i == 4);
		ck_assert_ptr_nonnull(frame_text(&r, &n));
		ck_assert_uint_eq(n, i == 4 ? 256 : 0);
		chan_done(&m);
	}
	end();
}
END_TEST

/* Long content comes as a file, sealed: what is none, or can be changed still, ends it. */
START_TEST(takes_long_content_as_a_file)
{
	static const unsigned char types[] = { 1, 2, 11, 12, 14, 16 };
	static char script[6 * 1100];
	unsigned char body[256], spki[NET_KEYD_SPKI_MAX];
	struct frame f = { .type = NET_KEYD_SIGN, .body = body };
	struct frame_writer fw;
	struct frame_reader r;
	struct chan_msg m;
	size_t n, at = 0;
	char why[64];
	uint64_t id;
	int fd;

	for (size_t i = 0; i < sizeof(types); i++)
		at = put(script, at, types[i], 1000);
	for (int i = 0; i < 2; i++) {
		struct net_key_question q = { .scheme = NET_KEY_ECDSA, .bits = 256, .content = span_of("", 0) };

		begin();
		chan_patience(channel, 10000);
		fd = open(pki_path("ec", ".key"), O_RDONLY);
		ck_assert_int_eq(net_keyd_load(keyd, fd, &id, spki, &n, why, sizeof(why)), SP_OK);
		q.id = id;
		frame_writer_init(&fw, body, sizeof(body));
		net_key_put(&fw, &q);
		f.len = fw.len;
		if (i == 0) {
			close(fd);
			fd = chan_file("content", span_of(script, at));
		}
		ck_assert_int_eq(chan_send(channel, &f, &fd, 1), SP_OK);
		close(fd);
		ck_assert_int_eq(chan_recv(channel, &m, 0), i == 0 ? SP_OK : SP_ECLOSED);
		if (i == 0) {
			frame_reader_init(&r, &m.f);
			ck_assert_int_eq(frame_u8(&r), 1);
			chan_done(&m);
		}
		end();
	}
}
END_TEST

/* Who asks and asks and takes no answer loses the channel; the master's questions are answered all the while. */
START_TEST(waits_for_nobody)
{
	unsigned char body[256];
	const struct net_key_question q = { 1, NET_KEY_ECDSA, 256, span_of("01234567890123456789012345678901", 32) };
	struct frame f = { .type = NET_KEYD_SIGN, .body = body };
	struct frame_writer fw;
	int err = SP_OK, more[NET_WORKERS_MAX];

	begin();
	chan_patience(channel, 2000);
	frame_writer_init(&fw, body, sizeof(body));
	net_key_put(&fw, &q);
	f.len = fw.len;
	for (int i = 0; i < 100000 && err == SP_OK; i++)
		err = chan_send(channel, &f, NULL, 0);
	ck_assert_int_eq(err, SP_ECLOSED);
	ck_assert_int_eq(net_keyd_channels(keyd, more), SP_OK);
	close(more[0]);
	end();
}
END_TEST

static unsigned
open_files(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

/* The same file again is the same key; many others come and go. */
/* One that hangs is waited for once, and then asked nothing until it is heard again. */
START_TEST(who_hangs_is_waited_for_once)
{
	struct pollfd p = { .events = POLLIN };
	uint64_t began;
	int fds[1];

	begin();
	net_keyd_beat(keyd);
	net_keyd_beat(keyd);	/* one question is enough */
	p.fd = net_keyd_control(keyd);
	ck_assert_int_eq(poll(&p, 1, 60000), 1);
	ck_assert(net_keyd_hear(keyd));
	ck_assert_int_eq(poll(&p, 1, 0), 0);
	ck_assert_int_eq(kill(net_keyd_pid(keyd), SIGSTOP), 0);
	net_keyd_keep(keyd, NULL, 0);
	ck_assert(net_keyd_is_mute(keyd));
	began = clock_ms();
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(net_keyd_channels(keyd, fds), SP_EIO);
	ck_assert_uint_lt(clock_ms() - began, 9000);
	net_keyd_beat(keyd);
	ck_assert_int_eq(kill(net_keyd_pid(keyd), SIGCONT), 0);
	/* what it answers to the question that was given up comes first */
	for (began = clock_ms(); !net_keyd_hear(keyd);)
		ck_assert_uint_lt(clock_ms() - began, 60000);
	ck_assert(!net_keyd_is_mute(keyd));
	ck_assert_int_eq(net_keyd_channels(keyd, fds), SP_OK);
	close(fds[0]);
	end();
}
END_TEST

START_TEST(reloads_leave_nothing)
{
	struct net_tls_material *m, *again;
	unsigned char a[32], b[32];
	unsigned files;
	uint64_t ids[2];

	begin();
	m = good("ec");
	files = open_files();
	for (int i = 0; i < 1000; i++) {
		again = good("ec");
		ck_assert_uint_eq(net_tls_material_key(m), net_tls_material_key(again));
		net_tls_material_unref(again);
	}
	ck_assert_uint_eq(open_files(), files);
	again = good("rsa");
	net_tls_material_digest(m, a);
	net_tls_material_digest(again, b);
	ck_assert_mem_ne(a, b, sizeof(a));
	ids[0] = net_tls_material_key(m);
	ids[1] = net_tls_material_key(again);
	net_keyd_keep(keyd, ids, 1);
	ck_assert_uint_eq(open_files(), files);
	net_tls_material_unref(again);
	for (int i = 0; i < NET_KEYD_KEYS_MAX + 20; i++) {
		pki_cert("next", &(struct pki_spec){ .san = "DNS:sip.example.com" });
		again = good("next");
		net_keyd_keep(keyd, ids, 1);
		net_tls_material_unref(again);
	}
	ck_assert_uint_eq(open_files(), files);
	net_tls_material_unref(m);
	end();
}
END_TEST

/* Packed in one process, unpacked in another. Cut anywhere, it is none. */
START_TEST(packs)
{
	struct net_tls_material *m, *back;
	unsigned char a[32], b[32];
	struct span s;
	char *p = NULL;
	size_t n = 0;
	FILE *f;

	begin();
	m = good("ec");
	f = open_memstream(&p, &n);
	net_tls_material_pack(m, f);
	fclose(f);
	for (size_t cut = 0; cut < n; cut += 1 + cut / 16) {
		s = span_of(p, cut);
		ck_assert_ptr_null(net_tls_material_unpack(&s));
	}
	s = span_of(p, n);
	back = net_tls_material_unpack(&s);
	ck_assert_ptr_nonnull(back);
	ck_assert_uint_eq(s.n, 0);
	net_tls_material_digest(m, a);
	net_tls_material_digest(back, b);
	ck_assert_mem_eq(a, b, sizeof(a));
	ck_assert_int_eq(net_tls_material_not_after(m), net_tls_material_not_after(back));
	ck_assert(net_tls_material_proves(back, "sip.example.com"));
	/* the private key is nowhere in it */
	ck_assert_ptr_null(memmem(p, n, "PRIVATE KEY", 11));
	net_tls_material_unref(m);
	net_tls_material_unref(back);
	free(p);
	end();
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { handshakes, survives_its_end, what_does_not_do_is_said, wrong_frames_end_it,
	    refuses_and_goes_on, signs_handshakes_alone, takes_long_content_as_a_file, waits_for_nobody, who_hangs_is_waited_for_once, reloads_leave_nothing, packs };

	return unit_run("keyd", tests, sizeof(tests) / sizeof(tests[0]));
}
