/*
 * Streams: what is sent arrives, whatever the cuts; who misbehaves harms himself only.
 */
#include <sys/socket.h>

#include <errno.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/mem.h"
#include "net/wire.h"
#include "tests/unit/net/pair.h"
#include "tests/unit/net/pki.h"
#include "tests/unit/unit.h"

static struct world w;
static struct end out[ENDS_MAX];
static uint64_t fake_ms;

static void
begin(enum net_tls_ask ask)
{
	memset(out, 0, sizeof(out));
	world_init(&w, "server", ask, "client", NULL);
}

/* Both ends open; returns the accepted one. */
static struct end *
open_pair(struct end *e)
{
	unsigned at = w.nin;

	dial(&w, e, "sip.example.com");
	UNTIL(&w, w.nin > at && w.in[at].opened && e->opened);
	return &w.in[at];
}

static void
close_pair(struct end *e, struct end *in)
{
	if (e->s != NULL)
		net_stream_close(e->s, POLICY_REASON_ALLOWED, NULL);
	UNTIL(&w, e->closed && in->closed);
	ck_assert_uint_eq(e->nclosed, 1);
	ck_assert_uint_eq(in->nclosed, 1);
}

static void
say(struct end *e, const char *text)
{
	net_stream_write(e->s, text, strlen(text));
}

/* Bytes whose place can be told from them, and their sum as end_received() makes it. */
static char *
pattern(size_t n, uint64_t *sum)
{
	char *p = xmalloc(n);

	*sum = 0;
	for (size_t i = 0; i < n; i++) {
		p[i] = (char)(i * 31 + i / 977 + i / 65537);
		*sum += (uint64_t)(unsigned char)p[i] * (1 + i % 65521);
	}
	return p;
}

/* --- a client of OpenSSL's own, driven by hand --- */

struct bare {
	SSL_CTX	*ctx;
	SSL	*ssl;
	int	 fd;
};

static void
bare_open(struct bare *b, int max_version)
{
	b->ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_min_proto_version(b->ctx, TLS1_VERSION);
	SSL_CTX_set_max_proto_version(b->ctx, max_version);
	SSL_CTX_set_security_level(b->ctx, 0);
	b->ssl = SSL_new(b->ctx);
	b->fd = dial_raw(&w);
	SSL_set_fd(b->ssl, b->fd);
	SSL_set_connect_state(b->ssl);
}

static struct end *
bare_handshake(struct bare *b)
{
	struct end *in = &w.in[w.nin];

	UNTIL(&w, SSL_do_handshake(b->ssl) == 1 && in->opened);
	return in;
}

static void
bare_close(struct bare *b)
{
	SSL_free(b->ssl);
	SSL_CTX_free(b->ctx);
	close(b->fd);
}

/* --- a relay between a client stream and the door, that cuts as it is told --- */

struct relay {
	int	 listener, near, far;		/* near: the client's side; far: the door's */
	size_t	 up, down;			/* bytes carried */
};

static void
relay_open(struct relay *r)
{
	struct net_addr here = w.at;

	net_addr_set_port(&here, 0);
	memset(r, 0, sizeof(*r));
	r->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	ck_assert_int_eq(bind(r->listener, (struct sockaddr *)&here.ss, here.len), 0);
	ck_assert_int_eq(listen(r->listener, 1), 0);
	getsockname(r->listener, (struct sockaddr *)&here.ss, &here.len);
	r->near = -1;
	r->far = dial_raw(&w);
	w.to = here;
}

static size_t
carry(int from, int to, size_t max)
{
	char buf[65536];
	ssize_t n = recv(from, buf, max < sizeof(buf) ? max : sizeof(buf), MSG_DONTWAIT);

	for (ssize_t at = 0, k; at < n; at += k) {
		k = send(to, buf + at, (size_t)(n - at), MSG_NOSIGNAL);
		if (k < 0) {
			ck_assert_int_eq(errno, EAGAIN);
			k = 0;
			net_loop_once(w.loop, 1);
		}
	}
	return n > 0 ? (size_t)n : 0;
}

/* One go: at most max_up bytes towards the door, everything back. */
static bool
relay_step(struct relay *r, size_t max_up)
{
	if (r->near < 0 && (r->near = accept4(r->listener, NULL, NULL, SOCK_NONBLOCK)) < 0)
		return false;
	if (max_up != 0)
		r->up += carry(r->near, r->far, max_up);
	r->down += carry(r->far, r->near, 65536);
	return true;
}

static void
relay_close(struct relay *r)
{
	close(r->near);
	close(r->far);
	close(r->listener);
	w.to = w.at;
}

#define RELAY_UNTIL(r, cut, cond)	UNTIL(&w, (relay_step((r), (cut)), (cond)))

/* --- the tests --- */

START_TEST(both_ways_and_good_bye)
{
	struct end *in;

	begin(NET_TLS_ASK_REQUIRED);
	in = open_pair(&out[0]);
	ck_assert(net_stream_is_open(in->s) && net_stream_is_open(out[0].s));
	ck_assert_uint_eq(net_addr_port(net_stream_remote(out[0].s)), net_addr_port(net_stream_local(in->s)));
	ck_assert_uint_eq(net_addr_port(net_stream_local(out[0].s)), net_addr_port(net_stream_remote(in->s)));
	say(&out[0], "hello");
	say(in, "good day");
	UNTIL(&w, in->got == 5 && out[0].got == 8);
	ck_assert_str_eq(in->head, "hello");
	ck_assert_str_eq(out[0].head, "good day");
	ck_assert_uint_eq(net_stream_queued(in->s), 0);

	/* What was written before the close arrives; what is written after it does not. */
	say(&out[0], ", bye");
	net_stream_close(out[0].s, POLICY_REASON_IDLE_TIMEOUT, "first");
	net_stream_close(out[0].s, POLICY_REASON_OVERLOAD, "second");
	say(&out[0], " and never more");
	ck_assert(!out[0].closed && !net_stream_is_open(out[0].s));
	UNTIL(&w, in->closed && out[0].closed);
	ck_assert_str_eq(in->head, "hello, bye");
	ck_assert_int_eq(in->reason, POLICY_REASON_ALLOWED);
	ck_assert_ptr_null(in->detail);
	ck_assert_int_eq(out[0].reason, POLICY_REASON_IDLE_TIMEOUT);
	ck_assert_str_eq(out[0].detail, "first");
	world_fini(&w);
}
END_TEST

/* Poisons the thread's error queue if anything can: three kinds of nonsense, each to its own end. */
static void
disturb(void)
{
	static const struct span noise[] = { SPAN_LIT("GET / HTTP/1.0\r\n\r\n"),
		SPAN_LIT("\x16\x03\x01\x00\x05nonsense"), SPAN_LIT("OPTIONS sip:a@b SIP/2.0\r\n\r\n") };

	for (size_t i = 0; i < sizeof(noise) / sizeof(noise[0]); i++) {
		struct end *in = &w.in[w.nin];
		char alert[16];
		int fd = dial_raw(&w);
		ssize_t n = -1;

		ck_assert_int_eq(send(fd, noise[i].p, noise[i].n, 0), (int)noise[i].n);
		/* Told so by an alert if it was TLS at all; then nothing more. */
		UNTIL(&w, (n = recv(fd, alert, sizeof(alert), MSG_DONTWAIT)) >= 0);
		ck_assert(i != 1 || (n == 7 && alert[0] == 0x15));
		close(fd);
		UNTIL(&w, in->closed);
		ck_assert_int_eq(in->reason, POLICY_REASON_HANDSHAKE);
		ck_assert_ptr_nonnull(in->detail);
		ck_assert(!in->opened);
		if (i == 0)
			ck_assert_str_eq(in->detail, "HTTP without TLS");
		w.nin--;		/* its place is free again */
	}
}

START_TEST(cut_at_every_byte_beside_garbage)
{
	static const char text[] = "MESSAGE sip:bob@example.com SIP/2.0\r\n\r\n";
	const size_t n = sizeof(text) - 1;
	struct relay r;
	struct end *in;
	size_t record;

	begin(NET_TLS_ASK_REQUIRED);
	relay_open(&r);
	UNTIL(&w, w.nin == 1);
	in = &w.in[0];
	dial(&w, &out[0], "sip.example.com");
	/* The handshake itself, seven bytes at a time. */
	RELAY_UNTIL(&r, 7, in->opened && out[0].opened);
	r.up = 0;
	say(&out[0], text);
	RELAY_UNTIL(&r, 65536, in->got == n);
	record = r.up;
	ck_assert_uint_gt(record, n);
	for (size_t cut = 1; cut < record; cut++) {
		r.up = 0;
		say(&out[0], text);
		RELAY_UNTIL(&r, cut - r.up, r.up == cut);
		ck_assert_uint_eq(in->got, cut * n);
		if (cut % 16 == 5)
			disturb();
		net_loop_once(w.loop, 0);
		RELAY_UNTIL(&r, 65536, in->got == (cut + 1) * n);
		ck_assert(!in->closed);
	}
	net_stream_close(out[0].s, POLICY_REASON_ALLOWED, NULL);
	RELAY_UNTIL(&r, 65536, in->got == record * n && r.up > record);
	relay_close(&r);
	UNTIL(&w, in->closed && out[0].closed);
	world_fini(&w);
}
END_TEST

START_TEST(one_batch_one_record)
{
	struct relay r;
	struct end *in;
	uint64_t sum;
	size_t n = 1000000;
	char *p = pattern(n, &sum), *room;

	begin(NET_TLS_ASK_REQUIRED);
	relay_open(&r);
	UNTIL(&w, w.nin == 1);
	in = &w.in[0];
	dial(&w, &out[0], "sip.example.com");
	RELAY_UNTIL(&r, 65536, in->opened && out[0].opened);
	r.up = 0;
	for (size_t i = 0; i < 100; i++) {
		room = net_stream_reserve(out[0].s, 500);	/* more than is used */
		memcpy(room, p + i * 100, 100);
		net_stream_commit(out[0].s, 100);
	}
	ck_assert_uint_eq(net_stream_queued(out[0].s), 10000);
	RELAY_UNTIL(&r, 65536, in->got == 10000);
	ck_assert_uint_lt(r.up, 10000 + 64);
	ck_assert_uint_eq(in->nreceived, 1);
	/* A large one fills its records. */
	r.up = 0;
	net_stream_write(out[0].s, p + 10000, n - 10000);
	RELAY_UNTIL(&r, 65536, in->got == n);
	ck_assert_uint_eq(in->sum, sum);
	ck_assert_uint_lt(r.up, n - 10000 + (n / 16384 + 1) * 32);
	free(p);
	relay_close(&r);
	UNTIL(&w, in->closed && out[0].closed);
	world_fini(&w);
}
END_TEST

START_TEST(big_transfers_both_ways_with_pauses)
{
	const size_t n = 6000000;
	struct end *in;
	uint64_t sum, turn = 0, until = real_ms() + 30000;
	size_t sent = 0, step;
	char *p = pattern(n, &sum);

	begin(NET_TLS_ASK_REQUIRED);
	w.order.echo = true;
	in = open_pair(&out[0]);
	while (out[0].got < n) {
		size_t was = in->got, chunk = 1 + (turn * 7919) % 50000;
		bool paused = turn % 5 == 2;

		ck_assert_msg(real_ms() < until, "stuck at %zu of %zu", out[0].got, n);
		step = n - sent < chunk ? n - sent : chunk;
		if (!net_stream_congested(out[0].s) && step != 0) {
			net_stream_write(out[0].s, p + sent, step);
			sent += step;
		}
		net_stream_pause(in->s, paused);
		net_stream_pause(out[0].s, turn % 7 == 3);
		net_loop_once(w.loop, turn % 35 == 17 ? 0 : 1);
		if (paused)
			ck_assert_uint_eq(in->got, was);
		turn++;
	}
	ck_assert_uint_eq(in->got, n);
	ck_assert_uint_eq(in->sum, sum);
	ck_assert_uint_eq(out[0].sum, sum);
	free(p);
	close_pair(&out[0], in);
	world_fini(&w);
}
END_TEST

START_TEST(congestion_is_told_and_untold)
{
	struct end *in;
	char block[8192] = { 0 };
	size_t wrote = 0;

	begin(NET_TLS_ASK_REQUIRED);
	in = open_pair(&out[0]);
	net_stream_pause(out[0].s, true);
	while (!net_stream_congested(in->s) || net_stream_queued(in->s) < 65536) {
		net_stream_write(in->s, block, sizeof(block));
		wrote += sizeof(block);
		net_loop_once(w.loop, 0);
		ck_assert_uint_lt(wrote, 64u << 20);
	}
	ck_assert(net_stream_congested(in->s));
	in->ndrained = 0;
	net_stream_pause(out[0].s, false);
	UNTIL(&w, out[0].got == wrote);
	UNTIL(&w, in->ndrained == 1);
	ck_assert(!net_stream_congested(in->s));
	ck_assert_uint_eq(net_stream_queued(in->s), 0);
	close_pair(&out[0], in);
	world_fini(&w);
}
END_TEST

START_TEST(a_slow_reader_is_cut)
{
	struct end *in, *good;
	char block[16384] = { 0 };
	size_t wrote = 0;

	begin(NET_TLS_ASK_REQUIRED);
	w.limits.queue_max = 256 << 10;
	in = open_pair(&out[0]);
	good = open_pair(&out[1]);

	/* A burst above the limit within one batch is the kernel's to take, and no offence. */
	for (int i = 0; i < 20; i++)
		net_stream_write(good->s, block, sizeof(block));
	UNTIL(&w, out[1].got == 20 * sizeof(block));
	ck_assert(!good->closed);

	net_stream_pause(out[0].s, true);
	while (in->s != NULL) {
		net_stream_write(in->s, block, sizeof(block));
		ck_assert(!in->closed || in->s == NULL);
		ck_assert_uint_le(net_stream_queued(in->s), (256 << 10) + 2 * NET_WIRE_OUT);
		wrote += sizeof(block);
		net_loop_once(w.loop, 0);
		ck_assert_uint_lt(wrote, 64u << 20);
	}
	ck_assert_int_eq(in->reason, POLICY_REASON_SLOW_READER);
	ck_assert_uint_eq(in->nclosed, 1);
	net_stream_pause(out[0].s, false);
	UNTIL(&w, out[0].closed);
	ck_assert_int_eq(out[0].reason, POLICY_REASON_ALLOWED);

	say(good, "still here");
	UNTIL(&w, out[1].got == 20 * sizeof(block) + 10);
	close_pair(&out[1], good);
	world_fini(&w);
}
END_TEST

START_TEST(a_handshake_has_a_deadline)
{
	struct end *silent, *begun;
	int a, b, c;
	struct net_addr nowhere;
	socklen_t len = sizeof(nowhere.ss);

	begin(NET_TLS_ASK_REQUIRED);
	fake_ms = clock_ms();
	clock_fake(&fake_ms, NULL);
	a = dial_raw(&w);
	b = dial_raw(&w);
	UNTIL(&w, w.nin == 2);
	silent = &w.in[0];
	begun = &w.in[1];
	ck_assert_int_eq(send(b, "\x16\x03\x01", 3, 0), 3);
	fake_ms += 9990;
	for (int i = 0; i < 5; i++)
		net_loop_once(w.loop, 1);
	ck_assert(!silent->closed && !begun->closed);
	fake_ms += 20;
	UNTIL(&w, silent->closed && begun->closed);
	ck_assert_int_eq(silent->reason, POLICY_REASON_HANDSHAKE_TIMEOUT);
	ck_assert_int_eq(begun->reason, POLICY_REASON_HANDSHAKE_TIMEOUT);
	close(a);
	close(b);

	/* Outbound: somebody accepts and never speaks. */
	c = socket(AF_INET, SOCK_STREAM, 0);
	nowhere = w.at;
	net_addr_set_port(&nowhere, 0);
	ck_assert_int_eq(bind(c, (struct sockaddr *)&nowhere.ss, nowhere.len), 0);
	ck_assert_int_eq(listen(c, 5), 0);
	getsockname(c, (struct sockaddr *)&nowhere.ss, &len);
	out[0].s = net_stream_connect(w.streams, &nowhere, "sip.example.com", w.client, &w.out_limits, &end_ops,
	    &out[0]);
	for (int i = 0; i < 5; i++)
		net_loop_once(w.loop, 1);
	ck_assert(!out[0].closed);
	fake_ms += 10020;
	UNTIL(&w, out[0].closed);
	ck_assert_int_eq(out[0].reason, POLICY_REASON_HOP_UNREACHABLE);
	ck_assert_str_eq(out[0].detail, "the TLS handshake took too long");
	close(c);

	/* Nobody accepts. */
	out[1].s = net_stream_connect(w.streams, &nowhere, "sip.example.com", w.client, &w.out_limits, &end_ops,
	    &out[1]);
	ck_assert(!out[1].closed);		/* never from inside the call */
	UNTIL(&w, out[1].closed);
	ck_assert_int_eq(out[1].reason, POLICY_REASON_HOP_UNREACHABLE);
	clock_fake(NULL, NULL);
	world_fini(&w);
}
END_TEST

START_TEST(handshakes_in_progress_have_a_limit)
{
	int fd[5];

	begin(NET_TLS_ASK_REQUIRED);
	net_streams_limit_handshakes(w.streams, 3);
	for (unsigned i = 0; i < 3; i++)
		fd[i] = dial_raw(&w);
	UNTIL(&w, w.nin == 3);
	for (int i = 0; i < 5; i++)
		net_loop_once(w.loop, 1);
	for (unsigned i = 0; i < 3; i++)
		ck_assert(!w.in[i].closed);
	/* One past it: the one that has had the longest time gives way. */
	fd[3] = dial_raw(&w);
	UNTIL(&w, w.in[0].closed);
	ck_assert_int_eq(w.in[0].reason, POLICY_REASON_CONNECTION_LIMIT);
	ck_assert_str_eq(w.in[0].detail, "too many handshakes at once");
	ck_assert(!w.in[1].closed && !w.in[2].closed && !w.in[3].closed);
	/* Beside them somebody in earnest gets in, and then takes no place any more. */
	dial(&w, &out[0], "sip.example.com");
	UNTIL(&w, out[0].opened && w.in[4].opened);
	ck_assert(w.in[1].closed);
	fd[4] = dial_raw(&w);
	UNTIL(&w, w.nin == 6);
	for (int i = 0; i < 5; i++)
		net_loop_once(w.loop, 1);
	ck_assert(!w.in[2].closed && !w.in[3].closed && !w.in[4].closed && !w.in[5].closed);
	/* Who ends by itself makes room, too, from anywhere in the row. */
	close(fd[3]);
	UNTIL(&w, w.in[3].closed);
	fd[3] = dial_raw(&w);
	UNTIL(&w, w.nin == 7);
	for (int i = 0; i < 5; i++)
		net_loop_once(w.loop, 1);
	ck_assert(!w.in[2].closed && !w.in[5].closed && !w.in[6].closed);
	net_stream_close(out[0].s, POLICY_REASON_ALLOWED, NULL);
	for (unsigned i = 0; i < 5; i++)
		close(fd[i]);
	UNTIL(&w, out[0].closed && w.in[2].closed && w.in[4].closed && w.in[5].closed && w.in[6].closed);
	world_fini(&w);
}
END_TEST

START_TEST(closing_has_a_deadline)
{
	struct bare b;
	struct end *in, *stuck;
	char block[16384] = { 0 };

	begin(NET_TLS_ASK_NONE);
	fake_ms = clock_ms();
	clock_fake(&fake_ms, NULL);
	/* This peer hears our good-bye and does not answer it. */
	bare_open(&b, TLS1_3_VERSION);
	in = bare_handshake(&b);
	net_stream_close(in->s, POLICY_REASON_IDLE_TIMEOUT, NULL);
	UNTIL(&w, SSL_read(b.ssl, block, 1) == 0);
	ck_assert_int_eq(SSL_get_shutdown(b.ssl), SSL_RECEIVED_SHUTDOWN);
	for (int i = 0; i < 5; i++)
		net_loop_once(w.loop, 1);
	ck_assert(!in->closed);
	fake_ms += 5010;
	UNTIL(&w, in->closed);
	ck_assert_int_eq(in->reason, POLICY_REASON_IDLE_TIMEOUT);
	bare_close(&b);

	/* This one does not even read what we owe it. */
	stuck = open_pair(&out[0]);
	net_stream_pause(out[0].s, true);
	while (net_stream_queued(stuck->s) < 65536) {
		net_stream_write(stuck->s, block, sizeof(block));
		net_loop_once(w.loop, 0);
	}
	net_stream_close(stuck->s, POLICY_REASON_DRAINING, NULL);
	for (int i = 0; i < 5; i++)
		net_loop_once(w.loop, 1);
	ck_assert(!stuck->closed);
	fake_ms += 5010;
	UNTIL(&w, stuck->closed);
	ck_assert_int_eq(stuck->reason, POLICY_REASON_DRAINING);
	clock_fake(NULL, NULL);
	close_pair(&out[0], stuck);
	world_fini(&w);
}
END_TEST

START_TEST(an_end_comes_after_what_came_before_it)
{
	struct bare b;
	struct end *in;
	char got[64] = { 0 };
	size_t n = 0;

	/* close_notify and FIN right behind the data; the answer is still delivered. */
	begin(NET_TLS_ASK_NONE);
	w.order.echo = true;
	bare_open(&b, TLS1_3_VERSION);
	in = bare_handshake(&b);
	ck_assert_int_eq(SSL_write(b.ssl, "last words", 10), 10);
	SSL_shutdown(b.ssl);
	shutdown(b.fd, SHUT_WR);
	UNTIL(&w, in->closed);
	ck_assert_str_eq(in->head, "last words");
	ck_assert_int_eq(in->reason, POLICY_REASON_ALLOWED);
	ck_assert_ptr_null(in->detail);
	ck_assert_int_eq(SSL_read_ex(b.ssl, got, sizeof(got), &n), 1);
	ck_assert_str_eq(got, "last words");
	ck_assert_int_eq(SSL_read_ex(b.ssl, got, sizeof(got), &n), 0);
	ck_assert_int_ne(SSL_get_shutdown(b.ssl) & SSL_RECEIVED_SHUTDOWN, 0);
	bare_close(&b);

	/* FIN alone, and a reset. */
	bare_open(&b, TLS1_2_VERSION);
	in = bare_handshake(&b);
	ck_assert_str_eq(in->protocol, "TLSv1.2");
	ck_assert_int_eq(SSL_write(b.ssl, "x", 1), 1);
	shutdown(b.fd, SHUT_WR);
	UNTIL(&w, in->closed);
	ck_assert_uint_eq(in->got, 1);
	ck_assert_int_eq(in->reason, POLICY_REASON_ALLOWED);
	ck_assert_str_eq(in->detail, "ended without close_notify");
	bare_close(&b);

	for (int paused = 0; paused < 2; paused++) {
		struct linger hard = { 1, 0 };

		bare_open(&b, TLS1_3_VERSION);
		in = bare_handshake(&b);
		net_stream_pause(in->s, paused == 1);
		setsockopt(b.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
		bare_close(&b);
		UNTIL(&w, in->closed);
		ck_assert_str_eq(in->detail, "connection reset");
		ck_assert_uint_eq(in->nclosed, 1);
	}
	world_fini(&w);
}
END_TEST

START_TEST(closing_from_callbacks)
{
	struct end *in;

	begin(NET_TLS_ASK_REQUIRED);
	w.order.close_on_data = w.order.echo = true;
	in = open_pair(&out[0]);
	say(&out[0], "once");
	UNTIL(&w, in->closed && out[0].closed);
	ck_assert_str_eq(out[0].head, "once");
	w.order = (struct end){ .close_on_open = true };
	dial(&w, &out[1], "sip.example.com");
	UNTIL(&w, out[1].closed && w.nin == 2 && w.in[1].closed);
	ck_assert_int_eq(w.in[1].reason, POLICY_REASON_CONNECTION_LIMIT);
	ck_assert_uint_eq(w.in[1].got, 0);

	/* Before there is anything to close. */
	dial(&w, &out[2], "sip.example.com");
	net_stream_close(out[2].s, POLICY_REASON_CANCELLED, NULL);
	ck_assert(!out[2].closed);
	UNTIL(&w, out[2].closed);
	ck_assert(!out[2].opened);
	ck_assert_int_eq(out[2].reason, POLICY_REASON_CANCELLED);
	world_fini(&w);
}
END_TEST

START_TEST(paused_before_it_opened)
{
	struct bare b;
	struct end *in;

	/* Data on the heels of the handshake wait for the pause to end. */
	begin(NET_TLS_ASK_NONE);
	w.order.pause_on_open = true;
	bare_open(&b, TLS1_3_VERSION);
	in = &w.in[0];
	UNTIL(&w, SSL_do_handshake(b.ssl) == 1);
	ck_assert_int_eq(SSL_write(b.ssl, "early bird", 10), 10);
	UNTIL(&w, in->opened);
	for (int i = 0; i < 5; i++)
		net_loop_once(w.loop, 1);
	ck_assert_uint_eq(in->got, 0);
	net_stream_pause(in->s, false);
	ck_assert_uint_eq(in->got, 0);
	UNTIL(&w, in->got == 10);
	ck_assert_str_eq(in->head, "early bird");
	bare_close(&b);
	UNTIL(&w, in->closed);
	world_fini(&w);
}
END_TEST

START_TEST(many_close_in_one_batch)
{
	enum { N = 100 };

	begin(NET_TLS_ASK_REQUIRED);
	w.limits.handshake_ms = w.out_limits.handshake_ms = 60000;	/* they queue up behind each other */
	for (unsigned i = 0; i < N; i++)
		dial(&w, &out[i], "sip.example.com");
	for (unsigned i = 0; i < N; i++)
		UNTIL(&w, out[i].opened && w.nin == N && w.in[i].opened);
	for (unsigned i = 0; i < N; i++) {
		say(&out[i], "x");
		say(&w.in[i], "y");
		net_stream_close(out[i].s, POLICY_REASON_DRAINING, NULL);
		if (i % 3 == 0)
			net_stream_close(w.in[i].s, POLICY_REASON_DRAINING, NULL);
		ck_assert(!out[i].closed && !w.in[i].closed);
	}
	for (unsigned i = 0; i < N; i++) {
		UNTIL(&w, out[i].closed && w.in[i].closed);
		ck_assert_uint_eq(out[i].nclosed, 1);
		ck_assert_uint_eq(w.in[i].nclosed, 1);
	}
	world_fini(&w);
}
END_TEST

START_TEST(records_without_data_are_bounded)
{
	struct bare b;
	struct end *in;
	char none[1];

	/* A few KeyUpdates are normal. */
	begin(NET_TLS_ASK_NONE);
	bare_open(&b, TLS1_3_VERSION);
	in = bare_handshake(&b);
	for (int i = 0; i < 40; i++) {
		SSL_key_update(b.ssl, SSL_KEY_UPDATE_REQUESTED);
		ck_assert_int_eq(SSL_write(b.ssl, "k", 1), 1);
	}
	UNTIL(&w, in->got == 40);
	say(in, "still good");
	UNTIL(&w, SSL_read(b.ssl, none, 1) == 1);
	for (int i = 0; i < 40 && !in->closed; i++) {
		SSL_key_update(b.ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
		SSL_write(b.ssl, "k", 1);
		SSL_read(b.ssl, none, 1);
		net_loop_once(w.loop, 1);
	}
	UNTIL(&w, in->closed);
	ck_assert_str_eq(in->detail, "too many TLS records without data");
	ck_assert_int_eq(in->reason, POLICY_REASON_HANDSHAKE);
	bare_close(&b);

	/* A renegotiation is not begun: OpenSSL's client gives up when it hears so. */
	bare_open(&b, TLS1_2_VERSION);
	in = bare_handshake(&b);
	SSL_renegotiate(b.ssl);
	ERR_clear_error();
	UNTIL(&w, SSL_get_error(b.ssl, SSL_do_handshake(b.ssl)) == SSL_ERROR_SSL);
	ck_assert_int_eq(ERR_GET_REASON(ERR_peek_error()), SSL_R_NO_RENEGOTIATION);
	bare_close(&b);
	UNTIL(&w, in->closed);
	world_fini(&w);
}
END_TEST

START_TEST(a_handshake_has_a_size)
{
	/* A ClientHello that says it will be 128 KiB, in records of 16. */
	static unsigned char record[5 + 16384] = { 0x16, 3, 1, 0x40, 0, 1, 1, 0xff, 0xf0, 3, 3 };
	size_t sent = 0, at = 0;
	struct end *in;
	int fd;

	begin(NET_TLS_ASK_NONE);
	fd = dial_raw(&w);
	in = &w.in[0];
	UNTIL(&w, w.nin == 1);
	while (!in->closed && sent < 9 * sizeof(record)) {
		ssize_t n = send(fd, record + at, sizeof(record) - at, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0) {
			sent += (size_t)n;
			at = (at + (size_t)n) % sizeof(record);
			if (at == 0 && record[5] == 1)
				memset(record + 5, 0, 16);	/* the head comes once */
		}
		net_loop_once(w.loop, 1);
	}
	UNTIL(&w, in->closed);
	ck_assert_str_eq(in->detail, "the TLS handshake is too long");
	ck_assert_int_eq(in->reason, POLICY_REASON_HANDSHAKE);
	close(fd);
	world_fini(&w);
}
END_TEST

START_TEST(old_versions_are_refused)
{
	struct bare b;
	struct end *in;

	begin(NET_TLS_ASK_NONE);
	bare_open(&b, TLS1_1_VERSION);
	in = &w.in[0];
	UNTIL(&w, SSL_get_error(b.ssl, SSL_do_handshake(b.ssl)) == SSL_ERROR_SSL);
	ck_assert_int_eq(ERR_GET_REASON(ERR_peek_error()), SSL_R_TLSV1_ALERT_PROTOCOL_VERSION);
	bare_close(&b);
	UNTIL(&w, in->closed);
	ck_assert_int_eq(in->reason, POLICY_REASON_HANDSHAKE);
	ck_assert_str_eq(in->detail, "no common TLS version");
	world_fini(&w);
}
END_TEST

/* A stream lives through all of it on its first context. By how many bytes the heap grew in those rounds. */
static size_t
swap_contexts(struct end *in, bool from_files, int warm, int rounds)
{
	struct net_tls_material *m[2] = { material("server", "ca", NULL), material("client", "ca", "ca") };
	size_t before = 0, after;

	for (int i = 0; i < warm + rounds; i++) {
		if (i == warm)
			before = mallinfo2().uordblks;
		if (from_files) {
			world_server(&w, "server", NET_TLS_ASK_REQUIRED, NULL);
			continue;
		}
		net_tls_ctx_unref(w.server);
		w.server = net_tls_server(w.lib, m[i % 2], NET_TLS_ASK_REQUIRED);
	}
	after = mallinfo2().uordblks;
	world_server(&w, "server", NET_TLS_ASK_REQUIRED, NULL);
	close_pair(&out[1], open_pair(&out[1]));
	memset(&out[1], 0, sizeof(out[1]));
	say(&out[0], "on the first context still");
	in->got = 0;
	UNTIL(&w, in->got == 26);
	net_tls_material_unref(m[0]);
	net_tls_material_unref(m[1]);
	return after > before ? after - before : 0;
}

START_TEST(contexts_are_swapped_without_growth)
{
	struct end *in;

	begin(NET_TLS_ASK_REQUIRED);
	in = open_pair(&out[0]);
	ck_assert_uint_lt(swap_contexts(in, false, 100, 1000), 65536);
	ck_assert_uint_lt(swap_contexts(in, true, 30, 170), 65536);
	close_pair(&out[0], in);
	world_fini(&w);
}
END_TEST

START_TEST(streams_come_and_go_without_growth)
{
	/* Allocators keep some for themselves; anything of a stream's lost each time would be far more. */
	enum { WARM = 200, ROUNDS = 400 };
	size_t before = 0, after;

	begin(NET_TLS_ASK_REQUIRED);
	for (int i = 0; i < WARM + ROUNDS; i++) {
		struct end *in;

		if (i == WARM)
			before = mallinfo2().uordblks;
		memset(&out[0], 0, sizeof(out[0]));
		in = open_pair(&out[0]);
		say(in, "x");
		say(&out[0], "y");
		UNTIL(&w, in->got == 1 && out[0].got == 1);
		close_pair(&out[0], in);
		w.nin--;
	}
	after = mallinfo2().uordblks;
	ck_assert_msg(after < before + ROUNDS * 300, "grew from %zu to %zu", before, after);
	world_fini(&w);
}
END_TEST

/* --- several workers with one material --- */

static struct net_tls_material *shared;
static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;

static void *
worker(void *arg)
{
	struct world *mine = arg;
	struct end *e = xcalloc(2, sizeof(*e));

	/* Here, since a library context dies in the thread that made it. */
	pthread_mutex_lock(&making);
	world_init(mine, "server", NET_TLS_ASK_REQUIRED, "client", NULL);
	pthread_mutex_unlock(&making);
	for (int i = 0; i < 10; i++) {
		net_tls_ctx_unref(mine->server);
		mine->server = net_tls_server(mine->lib, shared, NET_TLS_ASK_REQUIRED);
		for (int k = 0; k < 2; k++) {
			memset(&e[k], 0, sizeof(e[k]));
			dial(mine, &e[k], "sip.example.com");
		}
		UNTIL(mine, e[0].opened && e[1].opened);
		net_stream_close(e[0].s, POLICY_REASON_ALLOWED, NULL);
		net_stream_close(e[1].s, POLICY_REASON_ALLOWED, NULL);
		UNTIL(mine, e[0].closed && e[1].closed);
	}
	world_fini(mine);
	net_tls_material_unref(shared);
	free(e);
	return NULL;
}

START_TEST(workers_share_material)
{
	enum { N = 3 };
	struct world *worlds[N];
	pthread_t threads[N];

	shared = material("server", "ca", NULL);
	for (int i = 0; i < N; i++) {
		worlds[i] = xcalloc(1, sizeof(*worlds[i]));
		net_tls_material_ref(shared);
	}
	for (int i = 0; i < N; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, worker, worlds[i]), 0);
	for (int i = 0; i < N; i++) {
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
		free(worlds[i]);
	}
	net_tls_material_unref(shared);
}
END_TEST

static int
option_of(int fd, int level, int name)
{
	int v = -1;
	socklen_t n = sizeof(v);

	ck_assert_int_eq(getsockopt(fd, level, name, &v, &n), 0);
	return v;
}

/* Whoever vanishes without a word is found out, whichever side called. */
START_TEST(the_kernel_watches_over_both_ends)
{
	struct sockaddr_storage ss;
	struct end *in;
	unsigned ends = 0;

	begin(NET_TLS_ASK_NONE);
	in = open_pair(&out[0]);
	for (int fd = 3; fd < 256; fd++) {
		socklen_t n = sizeof(ss);

		if (getpeername(fd, (struct sockaddr *)&ss, &n) != 0 || ss.ss_family != AF_INET)
			continue;
		ends++;
		ck_assert_int_eq(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
		ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE), 300);
		ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 60000);
	}
	ck_assert_uint_eq(ends, 2);
	close_pair(&out[0], in);
	world_fini(&w);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { both_ways_and_good_bye, the_kernel_watches_over_both_ends, cut_at_every_byte_beside_garbage, one_batch_one_record,
		big_transfers_both_ways_with_pauses, congestion_is_told_and_untold, a_slow_reader_is_cut,
		a_handshake_has_a_deadline, handshakes_in_progress_have_a_limit, closing_has_a_deadline, an_end_comes_after_what_came_before_it,
		closing_from_callbacks, paused_before_it_opened, many_close_in_one_batch,
		records_without_data_are_bounded, a_handshake_has_a_size, old_versions_are_refused, contexts_are_swapped_without_growth,
		streams_come_and_go_without_growth, workers_share_material };
	struct pki_spec server = { .san = "DNS:sip.example.com" }, client = { .san = "DNS:client.example.net" };
	int r;

	pki_init();
	pki_cert("server", &server);
	pki_cert("client", &client);
	pki_crl("ca", "ca", -1, 30, NULL);
	r = unit_run("stream", tests, sizeof(tests) / sizeof(tests[0]));
	pki_fini();
	return r;
}
