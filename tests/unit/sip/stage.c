/*
 * tests/unit/sip/stage.c - see stage.h.
 */
#include "tests/unit/sip/stage.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "net/dns.h"
#include "tests/unit/net/pki.h"

#define TEXT_MAX	32768

/* ---- the owner of the relay ---- */

static void
forward(struct sip_relay *r, struct sip_link *from, struct sip_message *m)
{
	struct stage *st = sip_relay_owner(r);
	struct sip_plan plan = { .link = st->to_link, .gone = st->gone, .nhops = st->nhops, .face = &st->inner };

	for (unsigned i = 0; i < st->nhops; i++)
		plan.hop[i] = st->server[i].hop;
	plan.note.word[0] = 4711;
	sip_relay_forward(r, from, m, &plan);
}

static void
on_request(struct sip_relay *r, struct sip_link *from, struct sip_message *m)
{
	struct stage *st = sip_relay_owner(r);

	st->nrequests++;
	snprintf(st->last_method, sizeof(st->last_method), "%.*s", SPAN_FMT(m->method));
	switch (st->mode) {
	case FORWARD:
		forward(r, from, m);
		break;
	case REFUSE:
		sip_relay_refuse(r, from, m, POLICY_REASON_TO_NOT_INTERNAL, NULL, SPAN_LIT("X-Extra: yes\r\n"), NULL);
		break;
	case ANSWER:
		sip_relay_answer(r, from, m, 401, "Unauthorized", SPAN_LIT("WWW-Authenticate: Digest\r\n"), NULL);
		break;
	case DROP:
		sip_relay_drop(r, from, m, POLICY_REASON_RATE_LIMIT);
		break;
	case HOLD:
		ck_assert_ptr_null(st->held);
		st->held = sip_relay_hold(r, from, m);
		break;
	}
}

static void
on_response(struct sip_relay *r, const struct sip_note *note, struct sip_link *from, struct sip_link *to,
    struct sip_message *m, enum policy_reason why)
{
	struct stage *st = sip_relay_owner(r);

	ck_assert_ptr_nonnull(to);
	ck_assert(!m->is_request);
	if (!note->made) {
		ck_assert_uint_eq(note->word[0], 4711);
		/* another worker's connection is not at hand */
		if (sip_link_worker_of(note->to) == sip_relay_worker(r)->id)
			ck_assert_uint_eq(note->to, sip_link_id(from));
		else
			ck_assert_ptr_null(from);
		st->nresponses++;
	} else {
		ck_assert_ptr_null(from);
		st->answered = why;
		st->nown++;
	}
}

static void
on_made(struct sip_relay *r, const struct sip_note *note, struct sip_link *to, struct sip_message *m)
{
	struct stage *st = sip_relay_owner(r);

	ck_assert(m->is_request);
	/* another worker's connection is not at hand */
	if (sip_link_worker_of(note->to) == sip_relay_worker(r)->id)
		ck_assert_uint_eq(note->to, sip_link_id(to));
	else
		ck_assert_ptr_null(to);
	sip_edit_insert(m, (int)m->nheaders, "X-Made: yes\r\n");
	st->nmade++;
}

/* Answers and CANCELs that say so are not believed. */
static bool
on_believed(struct sip_relay *r, const struct sip_note *note, struct sip_link *from, struct sip_message *m)
{
	(void)note;
	(void)from;
	ck_assert_ptr_nonnull(sip_relay_owner(r));
	ck_assert(!m->is_request || m->method_id == POLICY_METHOD_CANCEL);
	return sip_message_find(m, "X-Forged", -1) < 0;
}

static bool
on_opened(struct sip_relay *r, struct sip_link *l, enum policy_reason *why)
{
	struct stage *st = sip_relay_owner(r);

	(void)why;
	st->opened_link = sip_link_id(l);
	ck_assert_ptr_eq(sip_relay_link(r, st->opened_link), l);
	return true;
}

static void
on_closed(struct sip_relay *r, struct sip_link *l, enum policy_reason why, const char *detail)
{
	struct stage *st = sip_relay_owner(r);

	(void)detail;
	ck_assert_ptr_null(sip_relay_link(r, sip_link_id(l)));
	st->nclosed++;
	st->link_closed = why;
}

static void
on_refused(struct sip_relay *r, struct sip_link *from, const struct sip_message *m, enum policy_reason why,
    const char *detail)
{
	struct stage *st = sip_relay_owner(r);

	(void)from;
	(void)m;
	st->nrefused++;
	st->refused = why;
	snprintf(st->refused_detail, sizeof(st->refused_detail), "%s", detail != NULL ? detail : "");
}

static const struct sip_relay_ops relay_ops = {
	.request = on_request, .response = on_response, .made = on_made, .believed = on_believed, .opened = on_opened, .closed = on_closed,
	.refused = on_refused
};

/* ---- peers ---- */

static void
peer_opened(struct net_stream *s)
{
	struct peer *p = net_stream_owner(s);

	p->opened = true;
}

static void
peer_received(struct net_stream *s, const char *bytes, size_t n)
{
	struct peer *p = net_stream_owner(s);

	p->text = xrealloc(p->text, p->n + n + 1);
	memcpy(p->text + p->n, bytes, n);
	p->n += n;
	p->text[p->n] = '\0';
}

static void
peer_closed(struct net_stream *s, enum policy_reason why, const char *detail)
{
	struct peer *p = net_stream_owner(s);

	(void)why;
	(void)detail;
	p->closed = true;
	p->s = NULL;
}

static const struct net_stream_ops peer_ops = {
	.opened = peer_opened, .received = peer_received, .closed = peer_closed
};

static const struct net_stream_limits peer_limits = { .handshake_ms = 1000000, .linger_ms = 1000 };

static struct peer *
peer_new(struct stage *st)
{
	for (unsigned i = 0; i < PEERS; i++)
		if (!st->peer[i].used) {
			st->peer[i].used = true;
			return &st->peer[i];
		}
	ck_abort_msg("no peer is left");
	return NULL;
}

static struct peer *
dial(struct stage *st, const struct net_addr *to, const char *name, struct net_tls_ctx *ctx)
{
	struct peer *p = peer_new(st);

	p->s = net_stream_connect(st->streams, to, name, ctx, &peer_limits, &peer_ops, p);
	return p;
}

struct peer *
user_dial(struct stage *st)
{
	struct peer *p = dial(st, &st->outer_at, "edge.example.com", st->user);
	uint64_t before = st->opened_link;

	UNTIL(st, p->closed || (p->opened && st->opened_link != before));
	return p;
}

struct peer *
user_dial_two(struct stage *st)
{
	struct peer *p = dial(st, &st->outer2_at, "edge.example.com", st->user);
	uint64_t before = st->opened_link;

	UNTIL(st, p->closed || (p->opened && st->opened_link != before));
	return p;
}

struct peer *
server_dial(struct stage *st, unsigned i)
{
	struct peer *p = dial(st, &st->inner_at, "edge.example.com", st->server[i].client);
	uint64_t before = st->opened_link;

	UNTIL(st, p->closed || (p->opened && st->opened_link != before));
	return p;
}

void
peer_send(struct peer *p, const char *text)
{
	ck_assert_ptr_nonnull(p->s);
	net_stream_write(p->s, text, strlen(text));
}

void
peer_close(struct stage *st, struct peer *p)
{
	net_stream_close(p->s, POLICY_REASON_ALLOWED, NULL);
	UNTIL(st, p->closed);
	stage_settle(st);
}

/* Length of the whole message at the text's unread part; 0: there is none yet. Pings before it are passed over. */
static size_t
whole(struct peer *p)
{
	while (p->text != NULL && p->n - p->at >= 2 && memcmp(p->text + p->at, "\r\n", 2) == 0)
		p->at += 2;

	const char *text = p->text != NULL ? p->text + p->at : "", *end = strstr(text, "\r\n\r\n");
	size_t n;

	if (end == NULL)
		return 0;
	n = (size_t)(end + 4 - text) + strtoul(value(text, "Content-Length"), NULL, 10);
	return p->n - p->at >= n ? n : 0;
}

static char *
next_text(void)
{
	static char text[16][TEXT_MAX];
	static unsigned turn;

	return text[turn++ % 16];
}

const char *
peer_next(struct stage *st, struct peer *p)
{
	char *out = next_text();
	size_t n;

	ck_assert_ptr_nonnull(p);
	UNTIL(st, whole(p) != 0);
	n = whole(p);
	ck_assert_uint_lt(n, TEXT_MAX);
	memcpy(out, p->text + p->at, n);
	out[n] = '\0';
	p->at += n;
	return out;
}

bool
peer_quiet(struct stage *st, struct peer *p)
{
	stage_settle(st);
	if (p->at == p->n)
		return true;
	fprintf(stderr, "came without being expected:\n%s\n", p->text + p->at);
	return false;
}

/* ---- servers ---- */

static void
server_accepted(void *arg, int fd, const struct net_addr *from)
{
	struct server *s = arg;

	s->last = peer_new(s->st);
	s->naccepted++;
	s->last->s = net_stream_accept(s->st->streams, fd, from, s->server, &peer_limits, &peer_ops, s->last);
}

static const struct net_door_ops server_door_ops = { .accepted = server_accepted };

/* A listening socket at host, any port; where it listens goes to at. */
static int
listen_at(const char *host, struct net_addr *at)
{
	socklen_t len = sizeof(at->ss);
	int fd;

	/* the same port as before, when there was one */
	if (at->len == 0) {
		ck_assert_int_eq(net_addr_parse(at, span_str(host), 1), SP_OK);
		net_addr_set_port(at, 0);
	}
	ck_assert_int_eq(net_door_bind(at, 1, &fd), SP_OK);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at->ss, &len), 0);
	at->len = len;
	return fd;
}

void
server_open(struct stage *st, unsigned i)
{
	struct server *s = &st->server[i];

	s->door = net_door_open(st->worker->loop, listen_at(s->host, &s->at), &server_door_ops, s);
	ck_assert_ptr_nonnull(s->door);
}

void
server_close(struct stage *st, unsigned i)
{
	net_door_close(st->server[i].door);
	st->server[i].door = NULL;
}

static struct net_tls_material *
material(const char *name)
{
	struct net_tls_files files = { pki_path(name, ".pem"), pki_path(name, ".key"), pki_path("ca", ".pem"), NULL, false, NULL };
	struct net_tls_material *m;

	ck_assert_int_eq(net_tls_material_load(&m, &files, NULL, NULL), SP_OK);
	return m;
}

void
server_impostor(struct stage *st, unsigned i)
{
	struct net_tls_material *m = material("impostor");

	net_tls_ctx_unref(st->server[i].server);
	st->server[i].server = net_tls_server(st->lib, m, NET_TLS_ASK_OPTIONAL);
	net_tls_material_unref(m);
}

/* ---- life ---- */

static void
outer_accepted(void *arg, int fd, const struct net_addr *from)
{
	struct stage *st = arg;

	sip_relay_accept(st->relay, fd, from, &st->outer);
}

static void
inner_accepted(void *arg, int fd, const struct net_addr *from)
{
	struct stage *st = arg;

	sip_relay_accept(st->relay, fd, from, &st->inner);
}

static void
outer2_accepted(void *arg, int fd, const struct net_addr *from)
{
	struct stage *st = arg;

	sip_relay_accept(st->relay2, fd, from, &st->outer);
}

static const struct net_door_ops outer2_ops = { .accepted = outer2_accepted };
static const struct net_door_ops outer_ops = { .accepted = outer_accepted };
static const struct net_door_ops inner_ops = { .accepted = inner_accepted };

static void
make_pki(void)
{
	pki_init();
	pki_cert("edge", &(struct pki_spec){ .san = "DNS:edge.example.com" });
	pki_cert("one", &(struct pki_spec){ .san = "DNS:one.example.com" });
	pki_cert("two", &(struct pki_spec){ .san = "DNS:two.example.com" });
	pki_cert("three", &(struct pki_spec){ .san = "DNS:three.example.com" });
	pki_cert("impostor", &(struct pki_spec){ .san = "DNS:elsewhere.example.com" });
}

static void
make_server(struct stage *st, unsigned i, const char *name)
{
	struct server *s = &st->server[i];
	struct net_tls_material *m = material(name);
	struct sip_hop_spec spec = { .name = s->name, .address = s->host, .face = &st->inner, .reuse_inbound = true };

	s->st = st;
	snprintf(s->name, sizeof(s->name), "%s.example.com", name);
	snprintf(s->host, sizeof(s->host), "127.67.%d.%u", 1 + (int)(getpid() % 250), 10 + i);
	s->server = net_tls_server(st->lib, m, NET_TLS_ASK_OPTIONAL);
	s->client = net_tls_client(st->lib, m);
	net_tls_material_unref(m);
	/* a port of its own that nobody listens on until server_open() */
	close(listen_at(s->host, &s->at));
	spec.port = net_addr_port(&s->at);
	s->hop = sip_hop_get(st->relay, &spec);
	ck_assert_str_eq(sip_hop_name(s->hop), s->name);
}

static void
make_faces(struct stage *st)
{
	struct net_tls_material *m = material("edge");
	struct sip_link_limits limits = {
		.stream = { .handshake_ms = 1000000, .queue_high = 65536, .queue_max = 1 << 20, .linger_ms = 5000 },
		.frame = SIP_FRAME_LIMITS_DEFAULT
	};

	st->outer = (struct sip_face){ .name = "edge.example.com", .port = 5061, .side = POLICY_SIDE_OUTER,
	    .server = net_tls_server(st->lib, m, NET_TLS_ASK_NONE), .client = net_tls_client(st->lib, m),
	    .limits = limits };
	st->inner = (struct sip_face){ .name = "edge.int.example.com", .port = 5061, .side = POLICY_SIDE_INNER,
	    .server = net_tls_server(st->lib, m, NET_TLS_ASK_REQUIRED), .client = net_tls_client(st->lib, m),
	    .limits = limits };
	net_tls_material_unref(m);
}

static struct net_door *
relay_door(struct stage *st, struct net_worker *worker, unsigned last, struct net_addr *at,
    const struct net_door_ops *ops)
{
	char host[32];

	snprintf(host, sizeof(host), "127.67.%d.%u", 1 + (int)(getpid() % 250), last);
	return net_door_open(worker->loop, listen_at(host, at), ops, st);
}

static struct sip_relay *
make_relay(struct stage *st, struct net_worker *worker, const struct sip_relay_limits *limits)
{
	struct sip_relay *r = sip_relay_new(worker, st->lib, st->dns, NULL,
	    limits != NULL ? limits : &SIP_RELAY_LIMITS_DEFAULT, &relay_ops, st);

	ck_assert_ptr_eq(sip_relay_owner(r), st);
	return r;
}

static void
init(struct stage *st, const struct sip_relay_limits *limits, bool two)
{
	static const char *const nobody[] = { "127.67.0.53", NULL };
	struct net_dns_config dc = { .servers = nobody };
	struct net_tls_material *m;

	memset(st, 0, sizeof(*st));
	log_open("check_relay", "/dev/null", SP_LOG_DEBUG);
	make_pki();
	st->ms = 1000000;
	clock_fake(&st->ms, NULL);
	st->crew = two ? net_crew_new(2) : NULL;
	st->worker = two ? net_crew_worker(st->crew, 0) : net_worker_solo();
	st->lib = net_tls_lib_new();
	st->streams = net_streams_new(st->worker->loop);
	st->dns = net_dns_new(st->worker->loop, &dc);
	st->relay = make_relay(st, st->worker, limits);
	make_faces(st);
	st->outer_door = relay_door(st, st->worker, 1, &st->outer_at, &outer_ops);
	st->inner_door = relay_door(st, st->worker, 2, &st->inner_at, &inner_ops);
	make_server(st, 0, "one");
	make_server(st, 1, "two");
	make_server(st, 2, "three");
	m = material("impostor");
	st->user = net_tls_client(st->lib, m);
	net_tls_material_unref(m);
}

void
stage_init(struct stage *st, const struct sip_relay_limits *limits)
{
	init(st, limits, false);
}

void
stage_begin(struct stage *st, const struct sip_relay_limits *limits, unsigned listening, unsigned nhops)
{
	stage_init(st, limits);
	st->nhops = nhops;
	for (unsigned i = 0; i < listening; i++)
		server_open(st, i);
}

struct peer *
server_peer(struct stage *st, unsigned i)
{
	UNTIL(st, st->server[i].last != NULL && st->server[i].last->opened);
	return st->server[i].last;
}

void
stage_init_two(struct stage *st)
{
	init(st, NULL, true);
	st->worker2 = net_crew_worker(st->crew, 1);
	st->relay2 = make_relay(st, st->worker2, NULL);
	st->relays = sip_relay_set_new(2);
	sip_relay_join(st->relay, st->relays);
	sip_relay_join(st->relay2, st->relays);
	st->outer2_door = relay_door(st, st->worker2, 3, &st->outer2_at, &outer2_ops);
}

void
stage_turn(struct stage *st, int wait_ms)
{
	net_loop_once(st->worker->loop, st->worker2 != NULL ? 0 : wait_ms);
	if (st->worker2 != NULL)
		net_loop_once(st->worker2->loop, 0);
}

static void
close_peers(struct stage *st)
{
	for (unsigned i = 0; i < PEERS; i++) {
		struct peer *p = &st->peer[i];

		if (p->s != NULL)
			net_stream_close(p->s, POLICY_REASON_ALLOWED, NULL);
		UNTIL(st, p->s == NULL);
		free(p->text);
		p->text = NULL;
	}
	stage_settle(st);
}

void
stage_fini(struct stage *st)
{
	net_door_close(st->outer_door);
	net_door_close(st->inner_door);
	net_door_close(st->outer2_door);
	if (st->held != NULL)
		sip_relay_let_go(st->held);
	if (st->relay2 != NULL)
		close_peers(st);	/* the second loop alone would wait for them in vain */
	sip_relay_free(st->relay2);
	sip_relay_free(st->relay);
	sip_relay_set_free(st->relays);
	for (unsigned i = 0; i < SERVERS; i++)
		net_door_close(st->server[i].door);
	close_peers(st);
	for (unsigned i = 0; i < SERVERS; i++) {
		net_tls_ctx_unref(st->server[i].server);
		net_tls_ctx_unref(st->server[i].client);
	}
	net_tls_ctx_unref(st->outer.server);
	net_tls_ctx_unref(st->outer.client);
	net_tls_ctx_unref(st->inner.server);
	net_tls_ctx_unref(st->inner.client);
	net_tls_ctx_unref(st->user);
	net_streams_free(st->streams);
	net_dns_free(st->dns);
	net_tls_lib_free(st->lib);
	if (st->crew != NULL)
		net_crew_free(st->crew);
	else
		net_worker_solo_free(st->worker);
	clock_fake(NULL, NULL);
	pki_fini();
}

/*
 * Both ends are in this loop and the kernel hands bytes over on loopback within
 * the call that sends them, so some turns without waiting are all that is needed.
 */
void
stage_settle(struct stage *st)
{
	for (int i = 0; i < 60; i++)
		stage_turn(st, 0);
}

void
stage_pass(struct stage *st, uint64_t ms)
{
	while (ms > 0) {
		uint64_t step = ms < 1000 ? ms : 1000;

		st->ms += step;
		ms -= step;
		for (int i = 0; i < 10; i++)
			stage_turn(st, 0);
	}
	stage_settle(st);
}

/* ---- texts ---- */

const char *
request(const char *method, const char *branch, unsigned cseq, const char *headers, const char *body)
{
	char *out = next_text();
	int n = snprintf(out, TEXT_MAX,
	    "%s sip:bob@example.com SIP/2.0\r\n"
	    "Via: SIP/2.0/TLS client.example.org:5061%s%s\r\n"
	    "Max-Forwards: 70\r\n"
	    "From: <sip:alice@example.com>;tag=a1\r\n"
	    "To: <sip:bob@example.com>%s\r\n"
	    "Call-ID: call@client.example.org\r\n"
	    "CSeq: %u %s\r\n"
	    "%s%s"
	    "Content-Length: %zu\r\n"
	    "\r\n"
	    "%s", method, branch[0] != '\0' ? ";branch=" : "", branch, strstr(headers, "X-To-Tag") != NULL ? ";tag=b1" : "",
	    cseq, method, strcmp(method, "INVITE") == 0 ? "Contact: <sip:alice@client.example.org>\r\n" : "", headers,
	    strlen(body), body);

	ck_assert_int_lt(n, TEXT_MAX);
	return out;
}

const char *
reply(const char *to, const char *status, const char *headers)
{
	static const char *const copied[] = { "Via:", "From:", "To:", "Call-ID:", "CSeq:", "Record-Route:" };
	char *out = next_text();
	int n = snprintf(out, TEXT_MAX, "SIP/2.0 %s\r\n", status);

	for (const char *line = strstr(to, "\r\n") + 2; strncmp(line, "\r\n", 2) != 0; line = strstr(line, "\r\n") + 2)
		for (size_t i = 0; i < sizeof(copied) / sizeof(copied[0]); i++)
			if (strncmp(line, copied[i], strlen(copied[i])) == 0) {
				size_t len = strcspn(line, "\r");
				bool tag = i == 2 && atoi(status) > 100 && memmem(line, len, ";tag=", 5) == NULL;

				n += snprintf(out + n, TEXT_MAX - (size_t)n, "%.*s%s\r\n", (int)len, line,
				    tag ? ";tag=b1" : "");
			}
	n += snprintf(out + n, TEXT_MAX - (size_t)n, "%sContent-Length: 0\r\n\r\n", headers);
	ck_assert_int_lt(n, TEXT_MAX);
	return out;
}

const char *
value(const char *message, const char *name)
{
	static char out[8][512];
	static unsigned turn;
	char *to = out[turn++ % 8];
	size_t n = strlen(name);
	const char *line;

	to[0] = '\0';
	for (line = strstr(message, "\r\n"); line != NULL && strncmp(line, "\r\n\r\n", 4) != 0;
	    line = strstr(line + 2, "\r\n"))
		if (strncmp(line + 2, name, n) == 0 && line[2 + n] == ':') {
			line += 2 + n + 1;
			line += strspn(line, " ");
			snprintf(to, sizeof(out[0]), "%.*s", (int)strcspn(line, "\r"), line);
			break;
		}
	return to;
}

unsigned
status_of(const char *message)
{
	ck_assert_msg(strncmp(message, "SIP/2.0 ", 8) == 0, "no response: %s", message);
	return (unsigned)strtoul(message + 8, NULL, 10);
}
