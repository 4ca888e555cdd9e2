#define _GNU_SOURCE 1
#include "tests/bench/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HELD_MAX	WIRE_CHUNK

void
die(const char *fmt, ...)
{
	unsigned long e = ERR_peek_last_error();
	int saved = errno;
	va_list ap;

	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	if (e != 0)
		fprintf(stderr, ": %s", ERR_reason_error_string(e));
	else if (saved != 0)
		fprintf(stderr, ": %s", strerror(saved));
	fputc('\n', stderr);
	exit(1);
}

void
give_up(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void
wire_raise_files(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &rl);
	}
}

struct sockaddr_in
wire_address(const char *text)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	char host[64];
	unsigned port = 0;
	int n;

	n = sscanf(text, "%63[0-9.]:%u", host, &port);
	if (n < 1 || port > 65535 || inet_pton(AF_INET, host, &sin.sin_addr) != 1)
		give_up("%s is no address:port", text);
	sin.sin_port = htons((uint16_t)port);
	return sin;
}

SSL_CTX *
wire_ctx(const struct wire_tls *t)
{
	SSL_CTX *ctx = SSL_CTX_new(t->server ? TLS_server_method() :
	    TLS_client_method());

	if (ctx == NULL)
		die("TLS context");
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_num_tickets(ctx, 0);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS |
	    SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
	    (t->tls12 && SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION) != 1))
		die("TLS version");
	if (t->ciphers != NULL && SSL_CTX_set_cipher_list(ctx, t->ciphers) != 1)
		die("ciphers %s", t->ciphers);
	if (t->cert != NULL &&
	    (SSL_CTX_use_certificate_chain_file(ctx, t->cert) != 1 ||
	    SSL_CTX_use_PrivateKey_file(ctx, t->key, SSL_FILETYPE_PEM) != 1))
		die("certificate %s", t->cert);
	if (t->ca != NULL) {
		if (SSL_CTX_load_verify_locations(ctx, t->ca, NULL) != 1)
			die("CA file %s", t->ca);
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER |
		    SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	}
	return ctx;
}

static void
watch(struct wire *w, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = w->tag };

	if (w->events == events)
		return;
	if (epoll_ctl(w->epfd, w->events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD,
	    w->fd, &ev) == -1)
		die("epoll_ctl");
	w->events = events;
}

static int
begin(struct wire *w, SSL_CTX *ctx, int epfd, void *tag, int fd)
{
	int one = 1;

	*w = (struct wire){ .fd = fd, .epfd = epfd, .tag = tag };
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if ((w->ssl = SSL_new(ctx)) == NULL || SSL_set_fd(w->ssl, fd) != 1)
		die("TLS connection");
	return 0;
}

int
wire_connect(struct wire *w, SSL_CTX *ctx, int epfd, void *tag,
    const struct sockaddr_in *to, const struct sockaddr_in *from,
    const char *name)
{
	int fd, one = 1;

	*w = (struct wire){ .fd = -1 };
	if ((fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0)) == -1)
		return -1;
	if (from != NULL) {
		(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one,
		    sizeof(one));
		if (bind(fd, (const struct sockaddr *)from, sizeof(*from)) == -1)
			die("bind");
	}
	if (connect(fd, (const struct sockaddr *)to, sizeof(*to)) == -1 &&
	    errno != EINPROGRESS) {
		close(fd);
		return -1;
	}
	(void)begin(w, ctx, epfd, tag, fd);
	SSL_set_connect_state(w->ssl);
	if (name != NULL)
		(void)SSL_set_tlsext_host_name(w->ssl, name);
	watch(w, EPOLLOUT);
	return 0;
}

int
wire_adopt(struct wire *w, SSL_CTX *ctx, int epfd, void *tag, int fd)
{
	(void)begin(w, ctx, epfd, tag, fd);
	SSL_set_accept_state(w->ssl);
	watch(w, EPOLLIN);
	return 0;
}

void
wire_await(struct wire *w)
{
	watch(w, EPOLLIN);
}

int
wire_shake(struct wire *w)
{
	int r;

	ERR_clear_error();
	r = SSL_do_handshake(w->ssl);
	if (r == 1) {
		watch(w, EPOLLIN);
		return 1;
	}
	switch (SSL_get_error(w->ssl, r)) {
	case SSL_ERROR_WANT_READ:
		watch(w, EPOLLIN);
		return 0;
	case SSL_ERROR_WANT_WRITE:
		watch(w, EPOLLOUT);
		return 0;
	default:
		return -1;
	}
}

long
wire_read(struct wire *w, char *buf)
{
	size_t before = w->held_len, have = before;
	int r, e;

	if (have > 0) {
		memcpy(buf, w->held, have);
		w->held_len = 0;
	}
	while (have < WIRE_CHUNK) {
		ERR_clear_error();
		r = SSL_read(w->ssl, buf + have, (int)(WIRE_CHUNK - have));
		if (r <= 0) {
			e = SSL_get_error(w->ssl, r);
			if (e != SSL_ERROR_WANT_READ &&
			    e != SSL_ERROR_WANT_WRITE && have == before)
				return -1;
			break;
		}
		have += (size_t)r;
		if (!SSL_has_pending(w->ssl))
			break;
	}
	return (long)have;
}

bool
wire_pending(const struct wire *w)
{
	return SSL_pending(w->ssl) > 0;
}

int
wire_hold(struct wire *w, const char *tail, size_t len)
{
	if (len == 0) {
		free(w->held);
		w->held = NULL;
	} else if (len > HELD_MAX - 1) {
		return -1;
	} else {
		if (w->held == NULL && (w->held = malloc(HELD_MAX)) == NULL)
			die("memory");
		memmove(w->held, tail, len);
	}
	w->held_len = len;
	return 0;
}

static int
owe(struct wire *w, const char *p, size_t len)
{
	size_t want = w->owed_len + len;

	if (want > WIRE_OWED_MAX)
		return -1;
	if (want > w->owed_cap) {
		w->owed_cap = want * 2;
		if ((w->owed = realloc(w->owed, w->owed_cap)) == NULL)
			die("memory");
	}
	memcpy(w->owed + w->owed_len, p, len);
	w->owed_len = want;
	watch(w, EPOLLIN | EPOLLOUT);
	return 0;
}

/* What the socket takes now; -1 when it will take nothing any more. */
static long
push(struct wire *w, const char *p, size_t len)
{
	size_t done = 0;
	int r, e;

	while (done < len) {
		ERR_clear_error();
		r = SSL_write(w->ssl, p + done, (int)(len - done));
		if (r <= 0) {
			e = SSL_get_error(w->ssl, r);
			if (e != SSL_ERROR_WANT_WRITE && e != SSL_ERROR_WANT_READ)
				return -1;
			break;
		}
		done += (size_t)r;
	}
	return (long)done;
}

int
wire_write(struct wire *w, const char *p, size_t len)
{
	long n;

	if (w->owed_len > 0)
		return owe(w, p, len);
	if ((n = push(w, p, len)) == -1)
		return -1;
	return (size_t)n == len ? 0 : owe(w, p + n, len - (size_t)n);
}

int
wire_flush(struct wire *w)
{
	long n;

	if (w->owed_len > 0) {
		if ((n = push(w, w->owed, w->owed_len)) == -1)
			return -1;
		w->owed_len -= (size_t)n;
		memmove(w->owed, w->owed + n, w->owed_len);
	}
	if (w->owed_len == 0) {
		free(w->owed);
		w->owed = NULL;
		w->owed_cap = 0;
		watch(w, EPOLLIN);
	}
	return 0;
}

void
wire_close(struct wire *w)
{
	SSL_free(w->ssl);
	if (w->fd != -1)
		close(w->fd);
	free(w->held);
	free(w->owed);
	*w = (struct wire){ .fd = -1 };
}

/* The value of Content-Length in a header line, or -1 when it is another one. */
static long
content_length(const char *line, const char *end)
{
	long n = 0;

	if (end - line > 15 && strncasecmp(line, "Content-Length", 14) == 0)
		line += 14;
	else if (end - line > 2 && (line[0] == 'l' || line[0] == 'L') &&
	    (line[1] == ':' || line[1] == ' '))
		line += 1;
	else
		return -1;
	while (line < end && (*line == ' ' || *line == ':'))
		line++;
	for (; line < end && *line >= '0' && *line <= '9' && n < HELD_MAX; line++)
		n = n * 10 + (*line - '0');
	return n;
}

long
sip_frame(const char *p, size_t len, size_t *skip, size_t *head)
{
	const char *at = p, *end = p + len, *nl, *blank;
	long body = -1;

	while (at < end && (*at == '\r' || *at == '\n'))
		at++;
	*skip = (size_t)(at - p);
	if ((blank = memmem(at, (size_t)(end - at), "\r\n\r\n", 4)) == NULL)
		return end - at < HELD_MAX / 2 ? 0 : -1;
	*head = (size_t)(blank + 4 - at);
	/* The length usually stands last; look from the end of the header. */
	for (nl = blank; body == -1 &&
	    (nl = memrchr(at, '\n', (size_t)(nl - at))) != NULL; )
		body = content_length(nl + 1, blank);
	if (body < 0 || body > HELD_MAX / 2)
		return -1;
	return (long)*head + body <= (long)(end - at) ? (long)*head + body : 0;
}
