/*
 * check_crew.c - requests, answers and word of what was lost, from worker to worker: four relays in
 * four threads, callers at each of them, and callees at each of them who hang up without a word.
 *
 * Who was called is answered for exactly once, whatever becomes of the callee; and nobody gets another's answer.
 */
#include "tests/unit/unit.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "net/dns.h"
#include "net/door.h"
#include "net/stats.h"
#include "net/stream.h"
#include "net/worker.h"
#include "sip/relay.h"
#include "tests/unit/net/pki.h"

enum { WORKERS = 4, CALLERS = 3, CALLEES = 3, ALL_CALLEES = WORKERS * CALLEES, WINDOW = 4, RINGING = 256, BODY_MAX = 3000 };
#define PATIENCE_S	150

struct call {
	bool		 used, invite, to_be_cancelled, cancelled;
	unsigned	 number, callee;
};

/* One end of a connection to a relay of the same thread: a caller, or a callee. */
struct end {
	struct hand	*hand;
	struct net_stream *s;
	struct net_timer again;		/* to dial, or to go on asking */
	unsigned	 id;
	bool		 calls, opened;
	char		*text;
	size_t		 n;
	/* a caller's */
	struct call	 call[WINDOW];
	unsigned	 asked, ended;
	/* a callee's */
	unsigned	 left;		/* requests until it hangs up */
	char		*ringing[RINGING]; /* INVITEs that it will answer when they are cancelled */
};

/* What one worker has. Touched by its thread alone, and by the test when the crew has stopped. */
struct hand {
	struct net_worker	*worker;
	struct net_tls_lib	*lib;
	struct net_streams	*streams;
	struct net_dns		*dns;
	struct sip_relay	*relay;
	struct sip_face		 face;
	struct net_tls_ctx	*client;
	struct net_door		*door;
	struct net_addr		 at;
	struct end		 caller[CALLERS], callee[CALLEES];
	struct net_timer	 leaving;
	uint64_t		 random;
	bool			 ends;
	unsigned		 crossed, by_status[700], wrong;
	char			 fault[200];	/* the first */
};

struct order {
	struct net_mail	 mail;		/* first */
	void		(*give)(struct hand *);
};

static struct net_crew *crew;
static struct sip_relay_set *relays;
static struct net_tls_material *proof;
static struct hand hand[WORKERS];
static unsigned calls_each;			/* of a caller; 0: as many as there is time for */
static _Atomic uint64_t callee_link[ALL_CALLEES];	/* 0: was never there */
static atomic_uint callees_there, callers_done, hands_left, calls_ended;

static void dial(struct end *);

static void
wrong(struct hand *h, const char *what, const char *text)
{
	if (h->wrong++ == 0)
		snprintf(h->fault, sizeof(h->fault), "%s: %.150s", what, text);
}

static unsigned
any(struct hand *h, unsigned n)
{
	h->random = h->random * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(h->random >> 33) % n;
}

static void
deliver(struct net_worker *w, struct net_mail *m)
{
	struct order *o = (struct order *)m;

	o->give(w->owner);
	free(o);
}

static void
order_all(void (*give)(struct hand *))
{
	for (unsigned i = 0; i < WORKERS; i++) {
		struct order *o = xcalloc(1, sizeof(*o));

		o->mail.deliver = deliver;
		o->give = give;
		net_worker_post(net_crew_worker(crew, i), &o->mail);
	}
}

/* ---- the owner of a relay: to whom, says the request ---- */

static void
on_request(struct sip_relay *r, struct sip_link *from, struct sip_message *m)
{
	struct hand *h = sip_relay_owner(r);
	struct sip_plan plan = { .gone = POLICY_REASON_FLOW_GONE, .face = &h->face };
	int i = sip_message_find(m, "X-Callee", -1);
	uint64_t callee;

	if (i < 0 || !span_uint(sip_header_value(m, i), ALL_CALLEES - 1, &callee)) {
		wrong(h, "a request without a callee", m->bytes);
		return;
	}
	if (m->method_id == POLICY_METHOD_REGISTER) {
		if (atomic_exchange(&callee_link[callee], sip_link_id(from)) == 0)
			atomic_fetch_add(&callees_there, 1);
		sip_relay_answer(r, from, m, 200, "OK", SPAN_NONE, NULL);
		return;
	}
	plan.link = atomic_load(&callee_link[callee]);
	if (sip_link_worker_of(plan.link) != h->worker->id)
		h->crossed++;
	sip_relay_forward(r, from, m, &plan);
}

static void
on_response(struct sip_relay *r, const struct sip_note *note, struct sip_link *from, struct sip_link *to,
    struct sip_message *m, enum policy_reason why)
{
	struct hand *h = sip_relay_owner(r);

	(void)why;
	/* a connection of another worker is not at hand */
	if (to == NULL || (from != NULL && (note->made || sip_link_id(from) != note->to)))
		wrong(h, "a response between wrong connections", m->bytes);
}

static bool
on_opened(struct sip_relay *r, struct sip_link *l, enum policy_reason *why)
{
	(void)r;
	(void)l;
	(void)why;
	return true;
}

static void
on_closed(struct sip_relay *r, struct sip_link *l, enum policy_reason why, const char *detail)
{
	(void)r;
	(void)l;
	(void)why;
	(void)detail;
}

static const struct sip_relay_ops relay_ops = {
	.request = on_request, .response = on_response, .opened = on_opened, .closed = on_closed
};

static void
accepted(void *arg, int fd, const struct net_addr *from)
{
	struct hand *h = arg;

	sip_relay_accept(h->relay, fd, from, &h->face);
}

static const struct net_door_ops door_ops = { .accepted = accepted };

/* ---- what callers and callees say ---- */

static void
say(struct end *e, const char *text)
{
	net_stream_write(e->s, text, strlen(text));
}

/* A header's value in static storage of 4 in turn, one set for each thread; "" if there is none. */
static const char *
value(const char *message, const char *name)
{
	static _Thread_local char out[4][256];
	static _Thread_local unsigned turn;
	char *to = out[turn++ % 4], key[40];
	const char *at;

	snprintf(key, sizeof(key), "\r\n%s: ", name);
	if ((at = strstr(message, key)) == NULL)
		return "";
	at += strlen(key);
	snprintf(to, sizeof(out[0]), "%.*s", (int)strcspn(at, "\r"), at);
	return to;
}

static void
request(struct end *e, const char *method, const char *branch, unsigned number, unsigned callee, size_t body)
{
	char text[BODY_MAX + 1024];
	int n = snprintf(text, sizeof(text),
	    "%s sip:callee%u@example.com SIP/2.0\r\n"
	    "Via: SIP/2.0/TLS client.example.org;branch=z9hG4bK-%s%u-%u\r\n"
	    "Max-Forwards: 70\r\n"
	    "From: <sip:caller%u@example.com>;tag=a%u\r\n"
	    "To: <sip:callee%u@example.com>%s\r\n"
	    "Call-ID: %u-%u\r\n"
	    "CSeq: %u %s\r\n"
	    "Contact: <sip:end@client.example.org>\r\n"
	    "X-Callee: %u\r\n"
	    "Content-Length: %zu\r\n\r\n",
	    method, callee, branch, e->id, number, e->id, number, callee, strcmp(method, "ACK") == 0 ? ";tag=b1" : "",
	    e->id, number, number + 1, method, callee, body);

	memset(text + n, 'a' + (int)(number % 26), body);
	text[(size_t)n + body] = '\0';
	say(e, text);
}

/* Everything of a request that an answer has, too. */
static void
answer(struct end *e, const char *asked, const char *status)
{
	static const char *const copied[] = { "Via:", "From:", "To:", "Call-ID:", "CSeq:" };
	char text[4096];
	size_t n = (size_t)snprintf(text, sizeof(text), "SIP/2.0 %s\r\n", status);

	for (const char *line = strstr(asked, "\r\n") + 2; strncmp(line, "\r\n", 2) != 0; line = strstr(line, "\r\n") + 2)
		for (size_t i = 0; i < sizeof(copied) / sizeof(copied[0]); i++)
			if (strncmp(line, copied[i], strlen(copied[i])) == 0 && n < sizeof(text))
				n += (size_t)snprintf(text + n, sizeof(text) - n, "%.*s%s\r\n", (int)strcspn(line, "\r"), line,
				    i == 2 && strstr(line, ";tag=b") == NULL ? ";tag=b1" : "");
	if (n < sizeof(text))
		n += (size_t)snprintf(text + n, sizeof(text) - n, "X-By: %u\r\nContent-Length: 0\r\n\r\n", e->id);
	if (n >= sizeof(text))
		wrong(e->hand, "an answer that is too long", asked);
	else
		say(e, text);
}

/* ---- callers ---- */

static void
ask(struct end *e)
{
	for (unsigned i = 0; i < WINDOW && (calls_each == 0 || e->asked < calls_each); i++) {
		struct call *c = &e->call[i];

		if (c->used)
			continue;
		*c = (struct call){ .used = true, .number = e->asked++, .callee = any(e->hand, ALL_CALLEES),
		    .invite = any(e->hand, 3) == 0 };
		/* the callee lets it ring until it is cancelled */
		c->to_be_cancelled = c->invite && any(e->hand, 3) == 0;
		request(e, c->invite ? "INVITE" : "MESSAGE", c->to_be_cancelled ? "ring" : "", c->number, c->callee,
		    c->invite ? 0 : any(e->hand, BODY_MAX));
	}
}

static void
ask_again(struct net_timer *t)
{
	struct end *e = (struct end *)((char *)t - offsetof(struct end, again));

	if (e->opened && e->s != NULL && !e->hand->ends)
		ask(e);
}

static void
call_ended(struct end *e, struct call *c, unsigned status, const char *text)
{
	unsigned callee = c->callee, by;

	e->hand->by_status[status < 700 ? status : 0]++;
	/* the relay's own: nobody is there, or nobody was there any more when it was cancelled */
	if (sscanf(value(text, "X-By"), "%u", &by) == 1 ? by != callee : status != 430 && !(status == 487 && c->cancelled))
		wrong(e->hand, "somebody else has answered", text);
	if (c->invite)
		request(e, "ACK", status < 300 ? "ack" : c->to_be_cancelled ? "ring" : "", c->number, callee, 0);
	c->used = false;
	atomic_fetch_add(&calls_ended, 1);
	if (++e->ended == calls_each)
		atomic_fetch_add(&callers_done, 1);
	/* after what else came, so that all get their turn */
	net_timer_set(e->hand->worker->loop, &e->again, 0);
}

static void
caller_hears(struct end *e, const char *text)
{
	unsigned status, caller, number;
	const char *method = strchr(value(text, "CSeq"), ' ');

	if (sscanf(text, "SIP/2.0 %u ", &status) != 1 || sscanf(value(text, "Call-ID"), "%u-%u", &caller, &number) != 2 ||
	    caller != e->id || method == NULL) {
		wrong(e->hand, "not for this caller", text);
		return;
	}
	if (strcmp(method, " CANCEL") == 0)
		return;
	for (unsigned i = 0; i < WINDOW; i++) {
		struct call *c = &e->call[i];

		if (!c->used || c->number != number)
			continue;
		if (status >= 200) {
			call_ended(e, c, status, text);
		} else if (status == 180 && c->to_be_cancelled && !c->cancelled) {
			c->cancelled = true;
			request(e, "CANCEL", "ring", number, c->callee, 0);
		}
		return;
	}
	/* a provisional one may have been behind the final one of a callee who has gone; a final one never */
	if (status >= 200)
		wrong(e->hand, "a second final response", text);
}

/* ---- callees ---- */

static void
hang_up(struct end *e)
{
	net_stream_close(e->s, POLICY_REASON_ALLOWED, NULL);
}

static char **
ringing(struct end *e, const char *call_id)
{
	for (unsigned i = 0; i < RINGING; i++)
		if (call_id == NULL ? e->ringing[i] == NULL :
		    e->ringing[i] != NULL && strcmp(value(e->ringing[i], "Call-ID"), call_id) == 0)
			return &e->ringing[i];
	return NULL;
}

static void
forget_ringing(struct end *e)
{
	for (unsigned i = 0; i < RINGING; i++) {
		free(e->ringing[i]);
		e->ringing[i] = NULL;
	}
}

static void
callee_is_cancelled(struct end *e, const char *text)
{
	char **invite = ringing(e, value(text, "Call-ID"));

	answer(e, text, invite != NULL ? "200 OK" : "481 Call Does Not Exist");
	if (invite != NULL) {
		answer(e, *invite, "487 Request Terminated");
		free(*invite);
		*invite = NULL;
	}
}

static void
callee_hears(struct end *e, const char *text)
{
	unsigned caller, number;
	char uri[40];

	if (strncmp(text, "SIP/2.0 ", 8) == 0)
		return;		/* to its REGISTER */
	snprintf(uri, sizeof(uri), " sip:callee%u@", e->id);
	if (strstr(text, uri) == NULL || sscanf(value(text, "Call-ID"), "%u-%u", &caller, &number) != 2) {
		wrong(e->hand, "not for this callee", text);
		return;
	}
	for (const char *p = strstr(text, "\r\n\r\n") + 4; *p != '\0'; p++)
		if (*p != 'a' + (int)(number % 26)) {
			wrong(e->hand, "another's body", p);
			break;
		}
	if (strncmp(text, "ACK ", 4) == 0)
		return;
	if (strncmp(text, "CANCEL ", 7) == 0) {
		callee_is_cancelled(e, text);
		return;
	}
	if (e->left-- == 0) {
		hang_up(e);
		return;
	}
	if (strncmp(text, "INVITE ", 7) == 0) {
		answer(e, text, "180 Ringing");
		/* the caller's Via is the second one */
		if (strstr(text, "branch=z9hG4bK-ring") != NULL) {
			char **room = ringing(e, NULL);

			if (room == NULL)
				wrong(e->hand, "too many ring", text);
			else
				*room = xstrdup(text);
			return;
		}
	}
	answer(e, text, number % 5 == 0 ? "486 Busy Here" : "200 OK");
}

/* ---- their connections ---- */

static void
opened(struct net_stream *s)
{
	struct end *e = net_stream_owner(s);

	e->opened = true;
	if (e->calls)
		return;		/* it begins when all callees are there */
	e->left = 1 + any(e->hand, 60);
	request(e, "REGISTER", "here", any(e->hand, 1000000), e->id, 0);
}

/* Whole messages are cut off and heard. */
static void
received(struct net_stream *s, const char *bytes, size_t n)
{
	struct end *e = net_stream_owner(s);
	char *begin, *body;

	e->text = xrealloc(e->text, e->n + n + 1);
	memcpy(e->text + e->n, bytes, n);
	e->n += n;
	e->text[e->n] = '\0';
	begin = e->text;
	while ((body = strstr(begin, "\r\n\r\n")) != NULL) {
		size_t length = (size_t)(body + 4 - begin) + strtoul(value(begin, "Content-Length"), NULL, 10);
		char after;

		if (length > (size_t)(e->text + e->n - begin))
			break;
		after = begin[length];
		begin[length] = '\0';
		if (e->calls)
			caller_hears(e, begin);
		else
			callee_hears(e, begin);
		begin += length;
		*begin = after;
		/* who has hung up hears nothing any more */
		if (!net_stream_is_open(s)) {
			begin = e->text + e->n;
			break;
		}
	}
	e->n -= (size_t)(begin - e->text);
	memmove(e->text, begin, e->n + 1);
}

static void
dial_again(struct net_timer *t)
{
	struct end *e = (struct end *)((char *)t - offsetof(struct end, again));

	if (!e->hand->ends)
		dial(e);
}

static void
closed(struct net_stream *s, enum policy_reason why, const char *detail)
{
	struct end *e = net_stream_owner(s);

	if (e->calls && !e->hand->ends)
		wrong(e->hand, "a caller's connection has ended", detail != NULL ? detail : policy_reason_name(why));
	e->s = NULL;
	e->opened = false;
	e->n = 0;
	forget_ringing(e);
	if (!e->calls && !e->hand->ends) {
		e->again.fire = dial_again;
		net_timer_set(e->hand->worker->loop, &e->again, 0);
	}
}

static const struct net_stream_ops end_ops = { .opened = opened, .received = received, .closed = closed };

static void
dial(struct end *e)
{
	static const struct net_stream_limits limits = { .handshake_ms = PATIENCE_S * 1000, .linger_ms = 1000 };

	e->s = net_stream_connect(e->hand->streams, &e->hand->at, "edge.example.com", e->hand->client, &limits, &end_ops, e);
}

/* ---- workers ---- */

static struct end *
end_of(struct hand *h, unsigned i)
{
	return i < CALLERS ? &h->caller[i] : &h->callee[i - CALLERS];
}

/* In the worker's thread: all that OpenSSL keeps for a thread is made and freed by it. */
static int
start(struct net_worker *w, void *arg)
{
	static const char *const nobody[] = { "127.67.0.53", NULL };
	struct hand *h = &hand[w->id];
	struct net_dns_config dc = { .servers = nobody };
	struct sip_relay_limits limits = SIP_RELAY_LIMITS_DEFAULT;
	struct sip_link_limits of_link = { .frame = SIP_FRAME_LIMITS_DEFAULT,
	    .stream = { .handshake_ms = PATIENCE_S * 1000, .queue_high = 65536, .queue_max = 4 << 20, .linger_ms = 1000 } };
	socklen_t len = sizeof(h->at.ss);
	char host[32];
	int fd;

	(void)arg;
	limits.request_ms = limits.invite_first_ms = limits.invite_ms = PATIENCE_S * 1000;
	h->worker = w;
	h->random = w->id + 1;
	h->lib = net_tls_lib_new();
	h->streams = net_streams_new(w->loop);
	h->dns = net_dns_new(w->loop, &dc);
	h->client = net_tls_client(h->lib, proof);
	h->face = (struct sip_face){ .name = "edge.example.com", .port = 5061, .side = POLICY_SIDE_OUTER,
	    .server = net_tls_server(h->lib, proof, NET_TLS_ASK_NONE), .limits = of_link };
	h->relay = sip_relay_new(w, h->lib, h->dns, NULL, &limits, &relay_ops, h);
	sip_relay_join(h->relay, relays);
	snprintf(host, sizeof(host), "127.67.%d.%u", 1 + (int)(getpid() % 250), 20 + w->id);
	if (net_addr_parse(&h->at, span_str(host), 1) != SP_OK)
		return SP_EINVAL;
	net_addr_set_port(&h->at, 0);
	if (net_door_bind(&h->at, 1, &fd) != SP_OK || getsockname(fd, (struct sockaddr *)&h->at.ss, &len) != 0)
		return SP_EIO;
	h->door = net_door_open(w->loop, fd, &door_ops, h);
	w->owner = h;
	for (unsigned i = 0; i < CALLERS + CALLEES; i++) {
		struct end *e = end_of(h, i);

		e->hand = h;
		e->calls = i < CALLERS;
		e->id = e->calls ? w->id * CALLERS + i : w->id * CALLEES + i - CALLERS;
		e->again.fire = e->calls ? ask_again : dial_again;
		dial(e);
	}
	return SP_OK;
}

static void
begin_to_ask(struct hand *h)
{
	for (unsigned i = 0; i < CALLERS; i++)
		ask_again(&h->caller[i].again);
}

static bool
has_gone(const struct hand *h)
{
	for (unsigned i = 0; i < CALLERS + CALLEES; i++)
		if (end_of((struct hand *)h, i)->s != NULL)
			return false;
	return sip_relay_links(h->relay) == 0;
}

static void
look_whether_gone(struct net_timer *t)
{
	struct hand *h = (struct hand *)((char *)t - offsetof(struct hand, leaving));

	if (has_gone(h))
		atomic_fetch_add(&hands_left, 1);
	else
		net_timer_set(h->worker->loop, t, 1);
}

static void
close_ends(struct hand *h)
{
	h->ends = true;
	for (unsigned i = 0; i < CALLERS + CALLEES; i++)
		if (end_of(h, i)->s != NULL)
			hang_up(end_of(h, i));
}

static void
leave(struct hand *h)
{
	close_ends(h);
	h->leaving.fire = look_whether_gone;
	look_whether_gone(&h->leaving);
}

/* Whether all have left before or are in the middle of it. */
static void
stop(struct net_worker *w, void *arg)
{
	struct hand *h = w->owner;

	(void)arg;
	h->ends = true;
	net_door_close(h->door);
	sip_relay_free(h->relay);
	close_ends(h);
	for (unsigned i = 0; i < CALLERS + CALLEES; i++) {
		struct end *e = end_of(h, i);

		while (e->s != NULL)
			net_loop_once(w->loop, -1);
		net_timer_cancel(w->loop, &e->again);
		forget_ringing(e);
		free(e->text);
	}
	net_tls_ctx_unref(h->face.server);
	net_tls_ctx_unref(h->client);
	net_streams_free(h->streams);
	net_dns_free(h->dns);
	net_tls_lib_free(h->lib);
}

/* ---- the tests ---- */

static void
begin(unsigned calls)
{
	struct net_tls_files files;

	log_open("check_crew", "/dev/null", SP_LOG_NOTICE);
	pki_init();
	pki_cert("edge", &(struct pki_spec){ .san = "DNS:edge.example.com" });
	files = (struct net_tls_files){ pki_path("edge", ".pem"), pki_path("edge", ".key"), pki_path("ca", ".pem"), NULL, false, NULL };
	ck_assert_int_eq(net_tls_material_load(&proof, &files, NULL, NULL), SP_OK);
	calls_each = calls;
	crew = net_crew_new(WORKERS);
	relays = sip_relay_set_new(WORKERS);
	ck_assert_int_eq(net_crew_start(crew, start, stop, NULL), SP_OK);
}

/* Until then this thread reads what the daemons' control threads read meanwhile. */
static void
wait_until(const atomic_uint *n, unsigned there_are)
{
	const struct timespec moment = { 0, 2000000 };
	uint64_t forwarded, seen = 0;

	for (time_t over = time(NULL) + PATIENCE_S; atomic_load(n) < there_are; ) {
		ck_assert_msg(time(NULL) < over, "%u of %u: callees %u, callers that ended %u, calls %u, hands that left %u", atomic_load(n),
		    there_are, atomic_load(&callees_there), atomic_load(&callers_done), atomic_load(&calls_ended), atomic_load(&hands_left));
		forwarded = 0;
		for (unsigned i = 0; i < WORKERS; i++)
			forwarded += atomic_load_explicit(&sip_relay_counters(hand[i].relay)->forwarded, memory_order_relaxed);
		ck_assert_uint_ge(forwarded, seen);
		seen = forwarded;
		(void)net_crew_slowest(crew, NULL);
		nanosleep(&moment, NULL);
	}
}

static void
end(void)
{
	net_crew_stop(crew);
	net_crew_free(crew);
	sip_relay_set_free(relays);
	net_tls_material_unref(proof);
	for (unsigned i = 0; i < WORKERS; i++)
		ck_assert_msg(hand[i].wrong == 0, "worker %u, %u times; first: %s", i, hand[i].wrong, hand[i].fault);
	pki_fini();
}

START_TEST(each_call_has_one_end)
{
	enum { CALLS = 400 };
	unsigned crossed = 0, by_status[700] = { 0 }, all = 0;

	begin(CALLS);
	wait_until(&callees_there, ALL_CALLEES);
	order_all(begin_to_ask);
	wait_until(&callers_done, WORKERS * CALLERS);
	order_all(leave);
	wait_until(&hands_left, WORKERS);
	end();
	for (unsigned i = 0; i < WORKERS; i++) {
		crossed += hand[i].crossed;
		for (unsigned s = 0; s < 700; s++) {
			by_status[s] += hand[i].by_status[s];
			all += hand[i].by_status[s];
		}
	}
	ck_assert_uint_eq(all, WORKERS * CALLERS * CALLS);
	/* to a worker that is not the caller's go three of four */
	ck_assert_uint_gt(crossed, all / 2);
	ck_assert_uint_gt(by_status[200], all / 10);
	ck_assert_uint_gt(by_status[486], all / 100);
	ck_assert_uint_gt(by_status[487], all / 100);
	ck_assert_uint_gt(by_status[430], all / 100);
	ck_assert_uint_eq(by_status[200] + by_status[486] + by_status[487] + by_status[430], all);
}
END_TEST

/* A crew that is stopped in the middle: what is in the boxes finds relays, or nobody. end() asserts that nothing went wrong. */
START_TEST(a_stop_in_the_middle)
{
	begin(0);
	wait_until(&callees_there, ALL_CALLEES);
	order_all(begin_to_ask);
	wait_until(&calls_ended, 200);
	end();
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { each_call_has_one_end, a_stop_in_the_middle };

	return unit_run("crew", tests, sizeof(tests) / sizeof(tests[0]));
}
