/*
 * tests/bench/load.c - the load generator: many TLS connections to a proxy,
 * requests in closed loop or at a fixed rate, and the CPU time and memory that
 * the proxy's processes spent meanwhile. Prints one line of JSON.
 */
#define _GNU_SOURCE 1
#include "tests/bench/latency.h"
#include "tests/bench/partner.h"
#include "tests/bench/procs.h"
#include "tests/bench/reply.h"
#include "tests/bench/request.h"
#include "tests/bench/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define SECOND		1000000000ull
#define OPENING_MAX	64	/* handshakes at a time */
#define BATCH_MAX	(WIRE_CHUNK - REPLY_MAX)
#define STALL		(10 * SECOND)	/* nothing answered for so long: give up */
#define PATIENCE_PER	500	/* connections for which a second more is waited */

enum mode {
	MODE_TRAFFIC = 0,
	MODE_IDLE,		/* users sign in and stay */
	MODE_HANDSHAKE,		/* one handshake after the other */
	MODE_STORM,		/* all at once, again and again */
	MODE_FAN		/* everybody is told what one of them says */
};

/* One transaction at a time runs in a slot. */
struct slot {
	uint64_t	 since;		/* when it was sent, or should have been */
	uint32_t	 turn;
	bool		 busy;
};

struct user {
	struct wire	 w;
	uint32_t	 number;
	uint64_t	 since;		/* when its connection was begun */
	bool		 open;		/* has a socket */
	bool		 up;		/* handshake done */
	bool		 leaving;	/* half closed, waits for the peer's end */
	uint32_t	 busy;
	struct slot	*slot;
};

struct options {
	enum mode	 mode;
	const char	*method;
	const char	*name;
	const char	*domain;
	struct sockaddr_in to;
	struct sockaddr_in from;
	unsigned	 sources;	/* 0: leave the choice to the kernel */
	struct wire_tls	 tls;
	unsigned	 users;
	unsigned	 window;
	unsigned	 rate;		/* per second; 0: closed loop */
	unsigned	 inflight;	/* of all; 0: window on each connection */
	const char	*request_file;
	const char	*issuer;	/* each connection has a certificate of its own, */
	const char	*issuer_key;	/* made with these */
	unsigned	 partners;	/* so many of them */
	bool		 refused;	/* handshakes are to fail */
	const char	*garbage;	/* sent in the place of a handshake */
	unsigned long	 count;		/* end after so many; 0: by time */
	size_t		 body;
	double		 warmup;
	double		 time;
	struct procs	 procs;
};

struct tally {
	unsigned long	 done;
	unsigned long	 errors;	/* final answers that are not 2xx */
	unsigned long	 lost;		/* connections that went away */
	unsigned long	 strange;	/* answers to nothing we sent */
	int		 worst;		/* one status among the errors */
	struct latency	 latency;
};

static struct load {
	struct options	 o;
	SSL_CTX		*ctx;
	int		 epfd;
	struct user	*user;
	struct request	 request;
	struct tally	 tally;
	unsigned	 wanted;	/* users that should be open now */
	unsigned	 started;	/* users opened so far */
	unsigned	 opening;
	unsigned	 alive;		/* users up */
	unsigned long	 sent;
	unsigned long	 ever_done;
	uint64_t	 last_done;
	uint64_t	 next_send;	/* fixed rate: when the next one is due */
	unsigned	 next_user;
	unsigned	 flying;	/* requests without answer, of all */
	struct partners	*partners;
	uint64_t	 told;		/* when the far end was last set off */
	unsigned	 hear;		/* users who have not heard of it yet */
	unsigned long	 late;		/* fixed rate: found no free slot in time */
	bool		 flowing;	/* requests are being sent */
	bool		 dialogs;	/* INVITE, ACK and BYE make one */
} L;

static bool
may_send(void)
{
	return L.flowing && (L.o.count == 0 || L.sent < L.o.count);
}

/* Put one request of u into out; NULL when no slot is free. */
static char *
compose(struct user *u, char *out, uint64_t since)
{
	struct request_id id = { .user = u->number };
	struct slot *s;

	for (s = u->slot; s->busy; s++)
		if (++id.slot == L.o.window)
			return NULL;
	id.turn = ++s->turn;
	s->busy = true;
	s->since = since;
	u->busy++;
	L.flying++;
	L.sent++;
	request_stamp(&L.request, &id);
	memcpy(out, L.request.text, L.request.len);
	return out + L.request.len;
}

/* What goes out on one connection in one go. One is enough: one thread. */
static char batch[WIRE_CHUNK + REQUEST_MAX];
static char *batch_end = batch;

static int
batch_send(struct user *u)
{
	size_t len = (size_t)(batch_end - batch);

	batch_end = batch;
	return len == 0 ? 0 : wire_write(&u->w, batch, len);
}

/* Closed loop: whatever slot is free sends again. */
static int
refill(struct user *u)
{
	uint64_t now = now_ns();
	char *next;

	while (u->busy < L.o.window && may_send()) {
		if ((next = compose(u, batch_end, now)) == NULL)
			break;
		batch_end = next;
		if (batch_end - batch > BATCH_MAX && batch_send(u) == -1)
			return -1;
	}
	return batch_send(u);
}

/* A 200 to INVITE: acknowledge, and hang up; the slot waits for that. */
static int
follow(struct user *u, const char *p, size_t head, const struct request_id *id)
{
	char *next = request_follow(p, head, id, batch_end,
	    (size_t)(batch + sizeof(batch) - batch_end));

	if (next == NULL)
		give_up("a 200 to INVITE makes no dialog: %.*s", (int)head, p);
	batch_end = next;
	return batch_end - batch > BATCH_MAX ? batch_send(u) : 0;
}

/* A request from inside. What was done is counted there, when all are told. */
static int
heard(struct user *u, const char *p, size_t head, uint64_t now)
{
	if (L.o.mode != MODE_FAN || head > REPLY_HEAD_MAX) {
		L.tally.strange++;
		return 0;
	}
	batch_end = reply_write(p, head, "200 OK", "load", "", batch_end);
	latency_add(&L.tally.latency, now - L.told);
	L.last_done = now;
	L.tally.done++;
	if (L.hear > 0)
		L.hear--;
	return batch_end - batch > BATCH_MAX ? batch_send(u) : 0;
}

static int
answered(struct user *u, const char *p, size_t head, uint64_t now)
{
	struct request_id id = { 0 };
	int status = request_answered(p, head, &id);
	struct slot *s;

	if (status == 0)
		return heard(u, p, head, now);
	if (status >= 100 && status < 200)
		return 0;
	if (status < 200 || id.user != u->number || id.slot >= L.o.window ||
	    !u->slot[id.slot].busy || u->slot[id.slot].turn != id.turn) {
		L.tally.strange++;
		return 0;
	}
	if (status < 300 && L.dialogs && request_was_invite(p, head))
		return follow(u, p, head, &id);
	s = &u->slot[id.slot];
	s->busy = false;
	u->busy--;
	L.flying--;
	L.ever_done++;
	L.last_done = now;
	L.tally.done++;
	latency_add(&L.tally.latency, now - s->since);
	if (status >= 300) {
		L.tally.errors++;
		L.tally.worst = status;
	}
	return 0;
}

static int
read_answers(struct user *u)
{
	static char in[WIRE_CHUNK];
	size_t at, skip, head;
	long n, len;
	uint64_t now;

	do {
		at = 0;
		if ((n = wire_read(&u->w, in)) == -1)
			return -1;
		now = now_ns();
		while ((len = sip_frame(in + at, (size_t)n - at, &skip,
		    &head)) > 0) {
			if (answered(u, in + at + skip, head, now) == -1)
				return -1;
			at += skip + (size_t)len;
		}
		if (len == -1 ||
		    wire_hold(&u->w, in + at, (size_t)n - at) == -1)
			return -1;
	} while (wire_pending(&u->w));
	if (L.o.mode == MODE_TRAFFIC && L.o.rate == 0 && L.o.inflight == 0)
		return refill(u);
	return batch_send(u);
}

static void
open_user(struct user *u)
{
	struct sockaddr_in from = L.o.from;

	if (L.o.sources > 0)
		from.sin_addr.s_addr = htonl(ntohl(from.sin_addr.s_addr) +
		    u->number % L.o.sources);
	if (wire_connect(&u->w, L.ctx, L.epfd, u, &L.o.to,
	    L.o.sources > 0 ? &from : NULL, L.o.name) == -1)
		die("connect");
	if (L.partners != NULL)
		partners_show(L.partners, u->number, u->w.ssl);
	u->since = now_ns();
	u->open = true;
	u->up = u->leaving = false;
	L.opening++;
}

static void
close_user(struct user *u)
{
	if (!u->up)
		L.opening--;
	else
		L.alive--;
	L.flying -= u->busy;
	u->busy = 0;
	wire_close(&u->w);
	u->open = u->up = false;
}

static void
open_more(void)
{
	while (L.started < L.wanted &&
	    (L.o.mode == MODE_STORM || L.opening < OPENING_MAX))
		open_user(&L.user[L.started++]);
}

/* A handshake of the handshake mode is over when the peer has seen its end. */
static int
leave(struct user *u)
{
	(void)SSL_shutdown(u->w.ssl);
	(void)shutdown(u->w.fd, SHUT_WR);
	u->leaving = true;
	return 0;
}

static int
on_up(struct user *u)
{
	if (L.o.mode == MODE_STORM) {
		L.tally.done++;
		latency_add(&L.tally.latency, L.last_done - u->since);
		return 0;
	}
	if (L.o.mode == MODE_HANDSHAKE)
		return leave(u);
	if (!L.flowing || L.o.rate > 0 || L.o.inflight > 0)
		return 0;
	return refill(u);
}

/* No handshake at all: some bytes, and then wait for the peer to hang up. */
static int
babble(struct user *u)
{
	static char in[4096];

	if (!u->leaving) {
		if (send(u->w.fd, L.o.garbage, strlen(L.o.garbage),
		    MSG_NOSIGNAL) == -1)
			return -1;
		u->leaving = true;
		wire_await(&u->w);
		return 0;
	}
	return recv(u->w.fd, in, sizeof(in), 0) > 0 ? 0 : -1;
}

static int
on_user(struct user *u, uint32_t events)
{
	static char in[WIRE_CHUNK];
	int r;

	if (!u->up) {
		if (L.o.garbage != NULL)
			return babble(u);
		if ((r = wire_shake(&u->w)) != 1)
			return r;
		u->up = true;
		L.opening--;
		L.alive++;
		L.last_done = now_ns();		/* it goes on */
		return on_up(u);
	}
	if (u->leaving)
		return wire_read(&u->w, in) == -1 ? -1 : 0;
	if ((events & EPOLLOUT) != 0 && wire_flush(&u->w) == -1)
		return -1;
	if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
		return read_answers(u);
	return 0;
}

static void
gone(struct user *u)
{
	bool complete = u->leaving || L.o.refused;
	uint64_t since = u->since;

	batch_end = batch;	/* it was this connection's */
	close_user(u);
	if (L.o.mode == MODE_STORM) {
		/* Who is turned away comes again, and has waited all the while. */
		L.tally.lost++;
		open_user(u);
		u->since = since;
		return;
	}
	if (L.o.mode != MODE_HANDSHAKE) {
		L.tally.lost++;
		if (L.tally.lost == L.o.users)
			give_up("every connection was lost");
		return;
	}
	if (complete) {
		L.tally.done++;
		L.last_done = now_ns();
	} else {
		L.tally.lost++;
		if (L.tally.lost > 1000 && L.tally.done == 0)
			give_up("no handshake succeeds");
	}
	open_user(u);
}

/* Fixed rate: send what is due, each from the next user with a free slot. */
static void
send_due(uint64_t now)
{
	unsigned tries;
	struct user *u;
	char *end;

	while (L.next_send <= now && may_send()) {
		for (end = NULL, tries = 0; tries < L.o.users; tries++) {
			u = &L.user[L.next_user++ % L.o.users];
			if (u->up && (end = compose(u, batch, L.next_send)) != NULL)
				break;
		}
		if (end == NULL) {
			L.late++;
			return;
		}
		batch_end = end;
		if (batch_send(u) == -1)
			gone(u);
		L.next_send += SECOND / L.o.rate;
	}
}

/* So many in flight, whoever they are from: each from the next user. */
static void
top_up(void)
{
	unsigned tries = 0;
	struct user *u;
	char *end;

	while (L.flying < L.o.inflight && may_send() && tries < L.o.users) {
		u = &L.user[L.next_user++ % L.o.users];
		if (!u->up || (end = compose(u, batch, now_ns())) == NULL) {
			tries++;
			continue;
		}
		batch_end = end;
		if (batch_send(u) == -1)
			gone(u);
	}
}

/* Turn the loop until done() or the time is over; true when done() was. */
static bool
turn_until(bool (*done)(void), uint64_t until)
{
	struct epoll_event ev[256];
	uint64_t now = now_ns();
	struct timespec wait;
	uint64_t next;
	int i, n;

	L.last_done = now;
	while (!(done != NULL && done()) && now < until) {
		if (now > L.last_done + STALL)
			give_up("no answer for %llu seconds (%lu answered so far, "
			    "%u connections up)", STALL / SECOND, L.ever_done,
			    L.alive);
		open_more();
		next = now + SECOND / 10 < until ? now + SECOND / 10 : until;
		if (L.flowing && L.o.rate > 0) {
			send_due(now);
			if (L.next_send < next)
				next = L.next_send;
		}
		wait = (struct timespec){ .tv_nsec =
		    next > now ? (long)(next - now) : 0 };
		n = epoll_pwait2(L.epfd, ev, 256, &wait, NULL);
		if (n == -1 && errno != EINTR)
			die("epoll_wait");
		for (i = 0; i < n; i++)
			if (on_user(ev[i].data.ptr, ev[i].events) == -1)
				gone(ev[i].data.ptr);
		if (L.flowing && L.o.inflight > 0)
			top_up();
		now = now_ns();
	}
	return done != NULL && done();
}

static bool
all_up(void)
{
	return L.alive == L.wanted;
}

static bool
none_flying(void)
{
	return L.flying == 0;
}

static bool
all_heard(void)
{
	return L.hear == 0;
}

/* Seconds in which so many users must have come up. */
static uint64_t
patience(void)
{
	return now_ns() + (60 + L.o.users / PATIENCE_PER) * SECOND;
}

static bool
count_reached(void)
{
	return L.o.count > 0 && L.ever_done >= L.o.count;
}

static bool
all_answered(void)
{
	return L.alive + L.tally.lost >= L.wanted && L.ever_done >= L.alive;
}

static void
start_flow(void)
{
	unsigned i;

	L.flowing = true;
	L.next_send = now_ns();
	if (L.o.rate > 0)
		return;
	if (L.o.inflight > 0) {
		top_up();
		return;
	}
	for (i = 0; i < L.started; i++)
		if (L.user[i].up && refill(&L.user[i]) == -1)
			gone(&L.user[i]);
}

static double
own_cpu_us(void)
{
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	return (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * 1e6 +
	    (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec);
}

static void
report(struct procs_cost from, struct procs_cost to, double seconds,
    double own_us)
{
	double n = L.tally.done > 0 ? (double)L.tally.done : 1;

	printf("{\"done\": %lu, \"seconds\": %.3f, \"per_second\": %.0f, "
	    "\"cpu_us\": %.2f, \"user_us\": %.2f, \"system_us\": %.2f, "
	    "\"own_us\": %.2f, \"p50_us\": %.0f, \"p90_us\": %.0f, "
	    "\"p99_us\": %.0f, \"p999_us\": %.0f, \"max_us\": %.0f, "
	    "\"errors\": %lu, \"status\": %d, \"lost\": %lu, "
	    "\"strange\": %lu, \"late\": %lu, \"processes\": %d, "
	    "\"bytes\": %zu}\n",
	    L.tally.done, seconds, (double)L.tally.done / seconds,
	    (double)(to.cpu_ns - from.cpu_ns) / 1000 / n,
	    (double)(to.user_ms - from.user_ms) * 1000 / n,
	    (double)(to.system_ms - from.system_ms) * 1000 / n, own_us / n,
	    latency_us(&L.tally.latency, .5), latency_us(&L.tally.latency, .9), latency_us(&L.tally.latency, .99),
	    latency_us(&L.tally.latency, .999), latency_us(&L.tally.latency, 1), L.tally.errors,
	    L.tally.worst, L.tally.lost, L.tally.strange, L.late,
	    to.processes, L.request.len);
}

/* Warm up, then look twice at what it cost. */
static void
run_flow(void)
{
	struct procs_cost from, to;
	uint64_t start;
	double own;

	(void)turn_until(NULL, now_ns() + (uint64_t)(L.o.warmup * SECOND));
	memset(&L.tally, 0, sizeof(L.tally));
	L.ever_done = L.sent = 0;
	L.late = 0;
	own = own_cpu_us();
	from = procs_cost(&L.o.procs, 0);
	start = now_ns();
	if (L.o.count > 0)
		start_flow();
	(void)turn_until(count_reached,
	    start + (uint64_t)(L.o.time * SECOND));
	to = procs_cost(&L.o.procs, 0);
	report(from, to, (double)(now_ns() - start) / SECOND,
	    own_cpu_us() - own);
}

/* Traffic and handshakes. */
static void
run_timed(void)
{
	L.wanted = L.o.users;
	if (L.o.mode == MODE_TRAFFIC) {
		if (!turn_until(all_up, patience()))
			give_up("only %u of %u connections came up", L.alive,
			    L.o.users);
		if (L.o.count == 0)
			start_flow();
	}
	run_flow();
}

/*
 * Idle users: some come first, so that what the proxy needs once is there;
 * each sends one request, as a user who signs in, and then stays. With a time
 * they then speak, so many at once: the cost with all these connections open.
 */
static void
run_idle(void)
{
	struct procs_cost from, to;
	unsigned first = L.o.users / 20 + 1, inflight = L.o.inflight;
	unsigned window = L.o.window;

	L.o.window = 1;
	L.o.inflight = 0;
	L.wanted = first;
	L.flowing = true;
	if (!turn_until(all_answered, patience()))
		give_up("the first %u users were not all answered", first);
	from = procs_cost(&L.o.procs, 1);
	L.wanted = L.o.users;
	if (!turn_until(all_answered, patience()))
		give_up("only %u of %u users were answered", L.alive, L.o.users);
	L.flowing = false;
	to = procs_cost(&L.o.procs, 1);
	printf("{\"users\": %u, \"bytes_per_user\": %.0f, "
	    "\"base_bytes\": %llu, \"all_bytes\": %llu, \"lost\": %lu, "
	    "\"errors\": %lu, \"status\": %d", L.alive, L.alive == first ? 0 :
	    ((double)to.pss_bytes - (double)from.pss_bytes) /
	    (L.alive - first), (unsigned long long)from.pss_bytes,
	    (unsigned long long)to.pss_bytes, L.tally.lost, L.tally.errors,
	    L.tally.worst);
	if (inflight > 0) {
		L.o.inflight = inflight;
		L.o.window = window;
		start_flow();
		printf(", \"traffic\": ");
		run_flow();
	}
	puts("}");
}

/* All connect at once; when all are up all go, and it begins anew. */
static void
run_storm(void)
{
	uint64_t start, end = now_ns() + (uint64_t)(L.o.time * SECOND);
	struct procs_cost from, to;
	double own = own_cpu_us(), seconds = 0;
	unsigned i;

	from = procs_cost(&L.o.procs, 0);
	do {
		L.wanted = L.o.users;
		L.started = 0;
		start = now_ns();
		if (!turn_until(all_up, patience()))
			give_up("only %u of %u connections came up", L.alive,
			    L.o.users);
		seconds += (double)(now_ns() - start) / SECOND;
		for (i = 0; i < L.o.users; i++)
			if (L.user[i].open)
				close_user(&L.user[i]);
	} while (now_ns() < end);
	to = procs_cost(&L.o.procs, 0);
	report(from, to, seconds, own_cpu_us() - own);
}

/* Everybody registers; then one of them says something, and all hear of it. */
static void
run_fan(void)
{
	static struct request tell;
	struct procs_cost from, to;
	uint64_t start, end;
	double own;

	L.wanted = L.o.users;
	L.o.window = 1;
	L.flowing = true;
	if (!turn_until(all_answered, patience()))
		give_up("only %u of %u users were answered", L.alive, L.o.users);
	L.flowing = false;
	if (request_prepare(&tell, "TELL", L.o.domain, L.o.body) == -1)
		give_up("too long");
	L.request = tell;
	start = now_ns();
	end = start + (uint64_t)((L.o.warmup + L.o.time) * SECOND);
	own = own_cpu_us();
	from = procs_cost(&L.o.procs, 0);
	memset(&L.tally, 0, sizeof(L.tally));
	do {
		L.hear = L.o.users;
		L.told = now_ns();
		L.flowing = true;
		if (refill(&L.user[0]) == -1)
			give_up("the connection of who tells was lost");
		L.flowing = false;
		if (!turn_until(all_heard, patience()))
			give_up("%u of %u users did not hear of it", L.hear,
			    L.o.users);
		/* The last answers, and the one to who told it. */
		while (L.flying > 0)
			(void)turn_until(none_flying, patience());
	} while (now_ns() < end);
	L.tally.done -= (unsigned long)((double)L.tally.done / (L.o.users + 1));
	to = procs_cost(&L.o.procs, 0);
	report(from, to, (double)(now_ns() - start) / SECOND,
	    own_cpu_us() - own);
}

static void
usage(void)
{
	fputs("usage: load --to ADDRESS:PORT --name SERVER [options]\n"
	    "  --mode traffic|idle|handshake|storm|fan\n"
	    "  --method MESSAGE|REGISTER|OPTIONS|FEDERATED|INVITE (a whole dialog)\n"
	    "  --request FILE (a request of one's own)\n"
	    "  --domain DOMAIN  --body N\n"
	    "  --connections N  --window N (in flight on each)\n"
	    "  --inflight N (of all together, from each in turn)\n"
	    "  --partners N --issuer FILE --issuer-key FILE (each connection is\n"
	    "    one of N partners, with a certificate from this authority)\n"
	    "  --refused (handshakes are to fail)  --garbage TEXT (instead of one)\n"
	    "  --rate N (per second; 0: closed loop)  --count N\n"
	    "  --warmup SECONDS  --time SECONDS\n"
	    "  --cert FILE --key FILE (client certificate)\n"
	    "  --tls12  --ciphers LIST (of TLS 1.2)\n"
	    "  --from ADDRESS/N (N addresses in a row to connect from)\n"
	    "  --pids PID,... (whose cost, with their children)\n", stderr);
	exit(64);
}

static enum mode
mode_parse(const char *text)
{
	static const char *const names[] = { "traffic", "idle", "handshake",
	    "storm", "fan" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(text, names[i]) == 0)
			return (enum mode)i;
	usage();
	return MODE_TRAFFIC;
}

static unsigned
number(const char *text, unsigned min, unsigned max)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (end == text || *end != '\0' || n < min || n > max)
		give_up("%s is no number from %u to %u", text, min, max);
	return (unsigned)n;
}

static void
sources_parse(struct options *o, const char *text)
{
	const char *slash = strchr(text, '/');

	if (slash == NULL)
		usage();
	o->from = wire_address(text);
	o->from.sin_port = 0;
	o->sources = number(slash + 1, 1, 65536);
}

static void
option(struct options *o, int c, const char *arg)
{
	switch (c) {
	case 't': o->to = wire_address(arg); break;
	case 'n': o->name = arg; break;
	case 'm': o->mode = mode_parse(arg); break;
	case 'M': o->method = arg; break;
	case 'd': o->domain = arg; break;
	case 'b': o->body = number(arg, 0, 65000); break;
	case 'c': o->users = number(arg, 1, 200000); break;
	case 'w': o->window = number(arg, 1, 1000); break;
	case 'r': o->rate = number(arg, 0, 1000000); break;
	case 'C': o->count = number(arg, 0, 1u << 31); break;
	case 'u': o->warmup = atof(arg); break;
	case 'T': o->time = atof(arg); break;
	case 'e': o->tls.cert = arg; break;
	case 'k': o->tls.key = arg; break;
	case '2': o->tls.tls12 = true; break;
	case 'x': o->tls.ciphers = arg; break;
	case 'i': o->inflight = number(arg, 0, 100000); break;
	case 'R': o->request_file = arg; break;
	case 'P': o->partners = number(arg, 1, PARTNERS_MAX); break;
	case 'I': o->issuer = arg; break;
	case 'K': o->issuer_key = arg; break;
	case 'D': o->refused = true; break;
	case 'G': o->garbage = arg; break;
	case 'f': sources_parse(o, arg); break;
	case 'p':
		if (procs_parse(&o->procs, arg) == -1)
			give_up("%s is no list of process ids", arg);
		break;
	default: usage();
	}
}

/* A request of the user's own, from a file. */
static void
prepare_from(const char *path)
{
	static char text[REQUEST_MAX];
	FILE *f = fopen(path, "r");
	size_t n;

	if (f == NULL)
		die("%s", path);
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	if (request_prepare_text(&L.request, text, L.o.domain, L.o.body) == -1)
		give_up("%s: no request, or too long", path);
}

static void
prepare(void)
{
	unsigned i;

	if (L.o.request_file != NULL)
		prepare_from(L.o.request_file);
	else if (request_prepare(&L.request, L.o.method, L.o.domain,
	    L.o.body) == -1)
		give_up("no such request as %s, or too long", L.o.method);
	L.request.partners_of = L.o.partners;
	if (L.o.partners > 0)
		L.partners = partners_make(L.o.partners, L.o.issuer,
		    L.o.issuer_key);
	L.dialogs = strcmp(L.o.method, "INVITE") == 0;
	if ((L.user = calloc(L.o.users, sizeof(*L.user))) == NULL)
		die("memory");
	for (i = 0; i < L.o.users; i++) {
		L.user[i].number = i;
		L.user[i].slot = calloc(L.o.window, sizeof(struct slot));
		if (L.user[i].slot == NULL)
			die("memory");
	}
	L.ctx = wire_ctx(&L.o.tls);
	if ((L.epfd = epoll_create1(EPOLL_CLOEXEC)) == -1)
		die("epoll");
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "to", required_argument, NULL, 't' },
		{ "name", required_argument, NULL, 'n' },
		{ "mode", required_argument, NULL, 'm' },
		{ "method", required_argument, NULL, 'M' },
		{ "domain", required_argument, NULL, 'd' },
		{ "body", required_argument, NULL, 'b' },
		{ "connections", required_argument, NULL, 'c' },
		{ "window", required_argument, NULL, 'w' },
		{ "rate", required_argument, NULL, 'r' },
		{ "count", required_argument, NULL, 'C' },
		{ "warmup", required_argument, NULL, 'u' },
		{ "time", required_argument, NULL, 'T' },
		{ "cert", required_argument, NULL, 'e' },
		{ "key", required_argument, NULL, 'k' },
		{ "tls12", no_argument, NULL, '2' },
		{ "ciphers", required_argument, NULL, 'x' },
		{ "inflight", required_argument, NULL, 'i' },
		{ "request", required_argument, NULL, 'R' },
		{ "partners", required_argument, NULL, 'P' },
		{ "issuer", required_argument, NULL, 'I' },
		{ "issuer-key", required_argument, NULL, 'K' },
		{ "refused", no_argument, NULL, 'D' },
		{ "garbage", required_argument, NULL, 'G' },
		{ "from", required_argument, NULL, 'f' },
		{ "pids", required_argument, NULL, 'p' },
		{ NULL, 0, NULL, 0 }
	};
	int c;

	L.o = (struct options){ .method = "MESSAGE", .domain = "example.com",
	    .users = 1, .window = 1, .body = 120, .warmup = 1, .time = 5 };
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		option(&L.o, c, optarg);
	if (L.o.to.sin_port == 0 || optind != argc ||
	    (L.o.tls.cert == NULL) != (L.o.tls.key == NULL) ||
	    (L.o.partners > 0 &&
	    (L.o.issuer == NULL || L.o.issuer_key == NULL)))
		usage();
	signal(SIGPIPE, SIG_IGN);
	wire_raise_files();
	/* At a fixed rate the kernel's 50 us of tolerance would count as latency. */
	(void)prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
	prepare();
	switch (L.o.mode) {
	case MODE_IDLE: run_idle(); break;
	case MODE_STORM: run_storm(); break;
	case MODE_FAN: run_fan(); break;
	default: run_timed();
	}
	return 0;
}
