/*
 * tests/unit/net/pair.c - see pair.h.
 */
#include "tests/unit/net/pair.h"

#include <check.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/err.h"
#include "tests/unit/net/pki.h"

uint64_t
real_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void
say(void *arg, bool fatal, const char *text)
{
	(void)arg;
	if (fatal)
		fprintf(stderr, "material: %s\n", text);
}

struct net_tls_material *
material(const char *name, const char *trust, const char *crl)
{
	struct net_tls_files files = { .certificate = pki_path(name, ".pem"), .key = pki_path(name, ".key"),
		.trust = trust != NULL ? pki_path(trust, ".pem") : NULL,
		.crl = crl != NULL ? pki_path(crl, ".crl.pem") : NULL };
	struct net_tls_material *m;

	ck_assert_int_eq(net_tls_material_load(&m, &files, say, NULL), SP_OK);
	return m;
}

static void
end_opened(struct net_stream *s)
{
	struct end *e = net_stream_owner(s);
	const struct net_peer *peer = net_stream_peer(s);

	ck_assert(!e->opened && !e->closed);
	e->opened = true;
	e->has_certificate = peer->has_certificate;
	e->unverified = peer->unverified;
	e->why = peer->why;
	e->nnames = peer->nnames;
	for (unsigned i = 0; i < peer->nnames && i < 4; i++) {
		snprintf(e->names[i], sizeof(e->names[i]), "%.*s", SPAN_FMT(peer->names[i]));
		ck_assert(net_peer_proves(peer, peer->names[i]) == peer->has_certificate);
	}
	e->usage = peer->usage;
	snprintf(e->sni, sizeof(e->sni), "%s", net_stream_sni(s) != NULL ? net_stream_sni(s) : "");
	strcpy(e->protocol, peer->protocol);
	strcpy(e->subject, peer->subject);
	if (e->pause_on_open)
		net_stream_pause(s, true);
	if (e->close_on_open)
		net_stream_close(s, POLICY_REASON_CONNECTION_LIMIT, "test");
}

static void
end_received(struct net_stream *s, const char *p, size_t n)
{
	struct end *e = net_stream_owner(s);

	ck_assert(e->opened && !e->closed && n > 0);
	e->nreceived++;
	for (size_t i = 0; i < n; i++) {
		if (e->got + i < sizeof(e->head) - 1)
			e->head[e->got + i] = p[i];
		e->sum += (uint64_t)(unsigned char)p[i] * (1 + (e->got + i) % 65521);
	}
	e->got += n;
	if (e->echo)
		net_stream_write(s, p, n);
	if (e->close_on_data)
		net_stream_close(s, POLICY_REASON_ALLOWED, "test");
}

static void
end_drained(struct net_stream *s)
{
	struct end *e = net_stream_owner(s);

	ck_assert(!net_stream_congested(s));
	e->ndrained++;
}

static void
end_closed(struct net_stream *s, enum policy_reason reason, const char *detail)
{
	struct end *e = net_stream_owner(s);

	ck_assert(e->s == s);
	e->shown = net_stream_peer(s)->shown;
	memcpy(e->fingerprint, net_stream_peer(s)->fingerprint, sizeof(e->fingerprint));
	ck_assert(e->opened || (!net_stream_peer(s)->has_certificate && !net_stream_peer(s)->unverified));
	e->s = NULL;
	e->closed = true;
	e->nclosed++;
	e->reason = reason;
	e->detail = detail;
}

const struct net_stream_ops end_ops = { end_opened, end_received, end_drained, end_closed };

static void
accepted(void *arg, int fd, const struct net_addr *from)
{
	struct world *w = arg;
	struct end *e;

	ck_assert_uint_lt(w->nin, ENDS_MAX);
	e = &w->in[w->nin++];
	*e = w->order;
	e->s = net_stream_accept(w->streams, fd, from, w->server, &w->limits, &end_ops, e);
}

static void
starved(void *arg, int error)
{
	(void)arg;
	ck_abort_msg("door starved: errno %d", error);
}

static const struct net_door_ops door_ops = { accepted, starved };

void
world_server(struct world *w, const char *cert, enum net_tls_ask ask, const char *crl)
{
	struct net_tls_material *m = material(cert, "ca", crl);

	net_tls_ctx_unref(w->server);
	w->server = net_tls_server(w->lib, m, ask);
	net_tls_material_unref(m);
}

void
world_client(struct world *w, const char *cert, const char *crl)
{
	struct net_tls_material *m = material(cert, "ca", crl);

	net_tls_ctx_unref(w->client);
	w->client = net_tls_client(w->lib, m);
	net_tls_material_unref(m);
}

void
world_init(struct world *w, const char *server, enum net_tls_ask ask, const char *client, const char *crl)
{
	socklen_t len = sizeof(w->at.ss);
	char host[NET_ADDR_TEXT];
	int fd;

	memset(w, 0, sizeof(*w));
	w->loop = net_loop_new();
	w->streams = net_streams_new(w->loop);
	w->lib = net_tls_lib_new();
	w->limits = w->out_limits = (struct net_stream_limits){ .handshake_ms = 10000, .queue_high = 65536,
		.linger_ms = 5000 };
	world_server(w, server, ask, crl);
	world_client(w, client, NULL);
	snprintf(host, sizeof(host), "127.63.%d.1", 1 + (int)(getpid() % 250));
	ck_assert_int_eq(net_addr_parse(&w->at, span_str(host), 1), SP_OK);
	net_addr_set_port(&w->at, 0);
	ck_assert_int_eq(net_door_bind(&w->at, 1, &fd), SP_OK);
	getsockname(fd, (struct sockaddr *)&w->at.ss, &len);
	w->at.len = len;
	w->to = w->at;
	w->door = net_door_open(w->loop, fd, &door_ops, w);
	ck_assert_ptr_nonnull(w->door);
}

void
world_fini(struct world *w)
{
	net_door_close(w->door);
	for (unsigned i = 0; i < w->nin; i++) {
		if (w->in[i].s != NULL)
			net_stream_close(w->in[i].s, POLICY_REASON_DRAINING, NULL);
		UNTIL(w, w->in[i].s == NULL);
		ck_assert_uint_eq(w->in[i].nclosed, 1);
	}
	net_loop_once(w->loop, 0);
	net_tls_ctx_unref(w->server);
	net_tls_ctx_unref(w->client);
	net_streams_free(w->streams);
	net_tls_lib_free(w->lib);
	net_loop_free(w->loop);
}

void
dial(struct world *w, struct end *e, const char *name)
{
	e->s = net_stream_connect(w->streams, &w->to, name, w->client, &w->out_limits, &end_ops, e);
	ck_assert_ptr_nonnull(e->s);
	ck_assert(!e->closed);
}

int
dial_raw(struct world *w)
{
	int fd = socket(w->at.ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	ck_assert_int_ge(fd, 0);
	/* What is sent at once shall arrive at once. */
	ck_assert_int_eq(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)), 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&w->at.ss, w->at.len), 0);
	ck_assert_int_ge(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}
