/*
 * tests/bench/far.c - the far end: a TLS server that answers every request at
 * once, as the Director or a home pool would, at the least cost.
 *
 * It also counts what the proxy before it did (marks written, forged marks let
 * through, Record-Route), so that nobody wins by leaving work out.
 */
#define _GNU_SOURCE 1
#include "tests/bench/fan.h"
#include "tests/bench/reply.h"
#include "tests/bench/wire.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MARK	"ms-edge-proxy-message-trust"
#define TAG	"far5e0d"
#define RING_AND_PICK_UP	3	/* answers to an INVITE */

struct counts {
	unsigned long	 connections;
	unsigned long	 requests;
	unsigned long	 marked;	/* carried exactly one trust mark */
	unsigned long	 forged;	/* carried the mark the client forged */
	unsigned long	 asserted;	/* carried the identity that the client claimed */
	unsigned long	 initial;	/* begin a dialog or a registration */
	unsigned long	 routed;	/* of these: carried Record-Route or Path */
	unsigned long	 refused;	/* handshakes that failed */
	unsigned long	 answers;	/* to what we have asked */
};

struct peer {
	struct wire	 w;
	bool		 up;
};

static struct counts counts;
static bool fans;		/* registered users are told what happens */
static bool one_link;		/* all of them over the link that brought it */
static volatile sig_atomic_t stop;

static void
on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

/* What the proxy did to this request, seen in one of its header lines. */
static void
inspect(const char *line, size_t len, unsigned *marks, bool *routed)
{
	if ((line[0] | 32) == 'm' && len > sizeof(MARK) &&
	    strncasecmp(line, MARK, sizeof(MARK) - 1) == 0) {
		++*marks;
		if (memmem(line, len, "forged", 6) != NULL)
			counts.forged++;
	} else if (((line[0] | 32) == 'r' &&
	    strncasecmp(line, "Record-Route:", 13) == 0) ||
	    ((line[0] | 32) == 'p' && strncasecmp(line, "Path:", 5) == 0)) {
		*routed = true;
	} else if ((line[0] | 32) == 'p' &&
	    strncasecmp(line, "P-Asserted-Identity:", 20) == 0) {
		counts.asserted++;
	}
}

/* Will its sender be asked for again, so that the way back must be recorded? */
static bool
begins(const char *p)
{
	return strncmp(p, "INVITE ", 7) == 0 || strncmp(p, "REGISTER ", 9) == 0 ||
	    strncmp(p, "SUBSCRIBE ", 10) == 0;
}

/* The same for its whole head. */
static void
inspect_all(const char *p, size_t head)
{
	const char *line = memchr(p, '\n', head), *end = p + head - 2, *next;
	bool routed = false, initial = begins(p);
	unsigned marks = 0;
	size_t len;

	for (line++; line < end; line = next) {
		next = memchr(line, '\n', (size_t)(end - line));
		next = next == NULL ? end : next + 1;
		len = (size_t)(next - line);
		if (reply_is_to(line, len) &&
		    memmem(line, len, ";tag=", 5) != NULL)
			initial = false;
		inspect(line, len, &marks, &routed);
	}
	counts.marked += marks == 1;
	counts.initial += initial;
	counts.routed += initial && routed;
}

/* Append the answer to the request at p to out; nothing for ACK or answers. */
static char *
answer(const char *p, size_t head, char *out)
{
	const char *more = "";

	if (memchr(p, '\n', head) == NULL || head > REPLY_HEAD_MAX)
		return out;
	if (strncmp(p, "SIP/2.0 ", 8) == 0) {
		counts.answers++;
		return out;
	}
	counts.requests++;
	inspect_all(p, head);
	if (strncmp(p, "ACK ", 4) == 0)
		return out;
	if (strncmp(p, "REGISTER ", 9) == 0) {
		more = "Expires: 3600\r\n";
	} else if (strncmp(p, "INVITE ", 7) == 0) {
		more = "Contact: <sip:far@127.0.0.1;transport=tls>\r\n";
		out = reply_write(p, head, "100 Trying", NULL, "", out);
		out = reply_write(p, head, "180 Ringing", TAG, more, out);
	}
	return reply_write(p, head, "200 OK", TAG, more, out);
}

/* Tell everybody who has registered: each over its own link, or all over one. */
static void
fan_out(struct peer *trigger)
{
	static char out[WIRE_CHUNK + FAN_NOTIFY_MAX];
	struct peer *link, *last = NULL;
	unsigned i;
	char *to = out;

	for (i = 0; i <= fan_users(); i++) {
		link = i == fan_users() ? NULL : one_link ? trigger : fan_link(i);
		if (to > out && (link != last || to - out > WIRE_CHUNK)) {
			if (wire_write(&last->w, out, (size_t)(to - out)) == -1)
				give_up("a link does not take what it is told");
			to = out;
		}
		if (link != NULL)
			to = fan_write(i, to);
		last = link;
	}
}

/* What else a request is the cause of. */
static void
consider(struct peer *peer, const char *p, size_t head)
{
	static const char trigger[] = "\r\n" FAN_TRIGGER;

	if (!fans)
		return;
	if (strncmp(p, "REGISTER ", 9) == 0)
		fan_note(p, head, peer);
	else if (memmem(p, head, trigger, sizeof(trigger) - 1) != NULL)
		fan_out(peer);
}

static int
serve(struct peer *peer)
{
	static char in[WIRE_CHUNK];
	static char out[WIRE_CHUNK + RING_AND_PICK_UP * REPLY_MAX];
	char *to = out;
	size_t at = 0, skip, head;
	long n, len;

	do {
		at = 0;
		if ((n = wire_read(&peer->w, in)) == -1)
			return -1;
		while ((len = sip_frame(in + at, (size_t)n - at, &skip,
		    &head)) > 0) {
			to = answer(in + at + skip, head, to);
			consider(peer, in + at + skip, head);
			at += skip + (size_t)len;
			if (to - out > WIRE_CHUNK) {
				if (wire_write(&peer->w, out,
				    (size_t)(to - out)) == -1)
					return -1;
				to = out;
			}
		}
		if (len == -1 ||
		    wire_hold(&peer->w, in + at, (size_t)n - at) == -1)
			return -1;
	} while (wire_pending(&peer->w));
	if (to == out)
		return 0;
	return wire_write(&peer->w, out, (size_t)(to - out));
}

static int
on_peer(struct peer *peer, uint32_t events)
{
	int r;

	if (!peer->up) {
		if ((r = wire_shake(&peer->w)) == -1)
			counts.refused++;
		if (r != 1)
			return r;
		peer->up = true;
		counts.connections++;
		/* What came with the handshake's last flight is not announced. */
		return serve(peer);
	}
	if ((events & EPOLLOUT) != 0 && wire_flush(&peer->w) == -1)
		return -1;
	if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
		return serve(peer);
	return 0;
}

static void
on_door(int door, SSL_CTX *ctx, int epfd)
{
	struct peer *peer;
	int fd, i;

	for (i = 0; i < 64; i++) {
		fd = accept4(door, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd == -1)
			return;
		if ((peer = calloc(1, sizeof(*peer))) == NULL)
			die("memory");
		(void)wire_adopt(&peer->w, ctx, epfd, peer, fd);
	}
}

static int
open_door(const char *text)
{
	struct sockaddr_in sin = wire_address(text);
	int fd, one = 1;

	if ((fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0)) == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == -1 ||
	    bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1 ||
	    listen(fd, 4096) == -1)
		die("listen on %s", text);
	return fd;
}

static void
run(int door, SSL_CTX *ctx)
{
	struct epoll_event ev[256] = { { .events = EPOLLIN, .data.ptr = NULL } };
	int epfd = epoll_create1(EPOLL_CLOEXEC), i, n;
	struct peer *peer;

	if (epfd == -1 || epoll_ctl(epfd, EPOLL_CTL_ADD, door, &ev[0]) == -1)
		die("epoll");
	puts("ready");
	fflush(stdout);
	while (!stop) {
		if ((n = epoll_wait(epfd, ev, 256, -1)) == -1 && errno != EINTR)
			die("epoll_wait");
		for (i = 0; i < n; i++) {
			peer = ev[i].data.ptr;
			if (peer == NULL) {
				on_door(door, ctx, epfd);
			} else if (on_peer(peer, ev[i].events) == -1) {
				fan_forget(peer);
				wire_close(&peer->w);
				free(peer);
			}
		}
	}
}

static void
usage(void)
{
	fputs("usage: far --listen ADDRESS:PORT --cert FILE --key FILE "
	    "[--ca FILE] [--fan own|one]\n"
	    "With --ca the peer must prove itself (mutual TLS). With --fan who "
	    "has registered is sent a NOTIFY for each request with " FAN_TRIGGER
	    ": over the link that the registration came by, or all over one. "
	    "Answers until TERM, then prints counts.\n", stderr);
	exit(64);
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "listen", required_argument, NULL, 'l' },
		{ "cert", required_argument, NULL, 'c' },
		{ "key", required_argument, NULL, 'k' },
		{ "ca", required_argument, NULL, 'a' },
		{ "fan", required_argument, NULL, 'f' },
		{ NULL, 0, NULL, 0 }
	};
	struct sigaction sa = { .sa_handler = on_signal };
	struct wire_tls tls = { .server = true };
	const char *where = NULL;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'l': where = optarg; break;
		case 'c': tls.cert = optarg; break;
		case 'k': tls.key = optarg; break;
		case 'a': tls.ca = optarg; break;
		case 'f':
			fans = true;
			one_link = strcmp(optarg, "one") == 0;
			break;
		default: usage();
		}
	}
	if (where == NULL || tls.cert == NULL || tls.key == NULL)
		usage();
	signal(SIGPIPE, SIG_IGN);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	wire_raise_files();
	run(open_door(where), wire_ctx(&tls));
	printf("{\"connections\": %lu, \"requests\": %lu, \"marked\": %lu, "
	    "\"forged\": %lu, \"asserted\": %lu, \"initial\": %lu, \"routed\": %lu, "
	    "\"refused\": %lu, \"answers\": %lu}\n",
	    counts.connections, counts.requests, counts.marked, counts.forged,
	    counts.asserted, counts.initial, counts.routed, counts.refused, counts.answers);
	return 0;
}
