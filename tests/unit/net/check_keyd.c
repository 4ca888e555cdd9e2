/*
 * check_keyd.c - keys that another process has: handshakes of all kinds with
 * them, what keyd refuses, and that it may die.
 */
#include "net/keyd.h"

#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "common/chan.h"
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
	static const char *const names[] = { "ec", "rsa" };

	begin();
	world_init(&w, "plain", NET_TLS_ASK_REQUIRED, "plain", NULL);
	net_tls_lib_keys(w.lib, channel);
	for (int s = 0; s < 2; s++) {
		for (int c = 0; c < 2; c++) {
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
	ck_assert_int_eq(load("ed", "ed", &m), SP_ECERT);
	ck_assert_msg(strstr(told, "only EC and RSA") != NULL, "%s", told);
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

/* A key that is not there, one of the other kind: no signature, and it goes on. */
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
	for (int i = 0; i < 3; i++) {
		struct net_key_question q = { i == 0 ? id + 2 : id, i == 1 ? NET_KEY_ECDSA : NET_KEY_RSA_PSS, 256,
		    span_of("01234567890123456789012345678901", 32) };
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
		ck_assert_int_eq(frame_u8(&r), i == 2);
		ck_assert_ptr_nonnull(frame_text(&r, &n));
		ck_assert_uint_eq(n, i == 2 ? 256 : 0);
		chan_done(&m);
	}
	end();
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
	    refuses_and_goes_on, waits_for_nobody, reloads_leave_nothing, packs };

	return unit_run("keyd", tests, sizeof(tests) / sizeof(tests[0]));
}
