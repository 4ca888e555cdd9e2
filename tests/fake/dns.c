/*
 * tests/fake/dns.c - a DNS server inside of the test, on the test's own loop.
 */
#include "tests/fake/dns.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/dns_reply.h"

#define TCP_MAX	16

struct tcp {
	struct net_io	 io;		/* fd -1: free */
	struct fake_dns	*server;
	unsigned char	 in[1024];
	size_t		 n;
};

struct fake_dns {
	struct net_loop		*loop;
	struct net_io		 udp, door;
	struct tcp		 tcp[TCP_MAX];
	fake_dns_fn		 fn;
	void			*arg;
	unsigned		 asked;
	char			 where[64];
	struct fake_dns_message	 message;
};

/* --- writing --- */

static void
put(struct fake_dns_message *m, const void *p, size_t n)
{
	assert(m->n + n <= sizeof(m->b));
	if (n > 0)
		memcpy(m->b + m->n, p, n);
	m->n += n;
}

static void
put16(struct fake_dns_message *m, unsigned v)
{
	unsigned char b[2] = { (unsigned char)(v >> 8), (unsigned char)v };

	put(m, b, 2);
}

/* Labels are what stands between dots, whatever it is. */
static void
put_name(struct fake_dns_message *m, const char *name)
{
	while (*name != '\0' && *name != '.') {
		unsigned char len = (unsigned char)strcspn(name, ".");

		put(m, &len, 1);
		put(m, name, len);
		name += len + (name[len] == '.');
	}
	put(m, "", 1);
}

static void
add16(struct fake_dns_message *m, size_t at, unsigned v)
{
	v += (unsigned)(m->b[at] << 8 | m->b[at + 1]);
	m->b[at] = (unsigned char)(v >> 8);
	m->b[at + 1] = (unsigned char)v;
}

void
fake_dns_begin(struct fake_dns_message *m, uint16_t id, const char *name, uint16_t type)
{
	m->n = 0;
	put16(m, id);
	put16(m, 0x8480);	/* answer, AA, RA */
	put16(m, 1);
	put(m, "\0\0\0\0\0\0", 6);
	put_name(m, name);
	put16(m, type);
	put16(m, 1);
}

void
fake_dns_flags(struct fake_dns_message *m, unsigned set, unsigned clear)
{
	unsigned flags = (unsigned)(m->b[2] << 8 | m->b[3]);

	flags = (flags & ~clear) | set;
	m->b[2] = (unsigned char)(flags >> 8);
	m->b[3] = (unsigned char)flags;
}

void
fake_dns_rcode(struct fake_dns_message *m, unsigned rcode)
{
	fake_dns_flags(m, rcode, 0x000f);
}

void
fake_dns_raw(struct fake_dns_message *m, enum fake_dns_section section, const char *owner, uint16_t type,
    uint32_t ttl, const void *data, size_t len)
{
	put_name(m, owner);
	put16(m, type);
	put16(m, 1);
	put16(m, ttl >> 16);
	put16(m, ttl & 0xffff);
	put16(m, (unsigned)len);
	put(m, data, len);
	add16(m, 4 + 2 * (size_t)section, 1);
}

void
fake_dns_address(struct fake_dns_message *m, const char *owner, uint32_t ttl, const char *address)
{
	unsigned char b[16];

	if (inet_pton(AF_INET, address, b) == 1)
		fake_dns_raw(m, FAKE_DNS_ANSWER, owner, NET_DNS_A, ttl, b, 4);
	else if (inet_pton(AF_INET6, address, b) == 1)
		fake_dns_raw(m, FAKE_DNS_ANSWER, owner, NET_DNS_AAAA, ttl, b, 16);
	else
		abort();
}

void
fake_dns_cname(struct fake_dns_message *m, const char *owner, uint32_t ttl, const char *target)
{
	static struct fake_dns_message data;

	data.n = 0;
	put_name(&data, target);
	fake_dns_raw(m, FAKE_DNS_ANSWER, owner, NET_DNS_CNAME, ttl, data.b, data.n);
}

void
fake_dns_srv(struct fake_dns_message *m, const char *owner, uint32_t ttl, uint16_t priority, uint16_t weight,
    uint16_t port, const char *target)
{
	static struct fake_dns_message data;

	data.n = 0;
	put16(&data, priority);
	put16(&data, weight);
	put16(&data, port);
	put_name(&data, target);
	fake_dns_raw(m, FAKE_DNS_ANSWER, owner, NET_DNS_SRV, ttl, data.b, data.n);
}

void
fake_dns_soa(struct fake_dns_message *m, const char *owner)
{
	static struct fake_dns_message data;

	data.n = 0;
	put_name(&data, "ns.example");
	put_name(&data, "root.example");
	for (int i = 0; i < 5; i++) {
		put16(&data, 0);
		put16(&data, 300);
	}
	fake_dns_raw(m, FAKE_DNS_AUTHORITY, owner, NET_DNS_SOA, 300, data.b, data.n);
}

/* --- serving --- */

/* The question in p; false if it is none. */
static bool
read_question(const unsigned char *p, size_t n, struct fake_dns_question *q)
{
	size_t at = 12, out = 0;

	if (n < 12 || p[2] & 0x80 || p[4] != 0 || p[5] != 1)
		return false;
	q->id = (uint16_t)(p[0] << 8 | p[1]);
	q->ad = (p[3] & 0x20) != 0;
	while (at < n && p[at] != 0) {
		size_t len = p[at];

		if (len > 63 || n - at - 1 < len || out + len + 2 > sizeof(q->name))
			return false;
		if (out > 0)
			q->name[out++] = '.';
		for (size_t i = 1; i <= len; i++)
			q->name[out++] = (char)span_lower(p[at + i]);
		at += 1 + len;
	}
	q->name[out] = '\0';
	if (n - at < 5)
		return false;
	q->type = (uint16_t)(p[at + 1] << 8 | p[at + 2]);
	return true;
}

static bool
serve(struct fake_dns *s, const unsigned char *p, size_t n, struct fake_dns_question *q)
{
	if (!read_question(p, n, q))
		return false;
	s->asked++;
	fake_dns_begin(&s->message, q->id, q->name, q->type);
	return s->fn(s->arg, q, &s->message);
}

static void
udp_ready(struct net_io *io, unsigned events)
{
	struct fake_dns *s = (struct fake_dns *)((char *)io - offsetof(struct fake_dns, udp));
	struct fake_dns_question q = { .tcp = false };
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	unsigned char in[1024];
	ssize_t n;

	(void)events;
	n = recvfrom(io->fd, in, sizeof(in), 0, (struct sockaddr *)&from, &len);
	if (n <= 0)
		return;
	q.from_port = ntohs(from.sin_port);
	if (serve(s, in, (size_t)n, &q))
		(void)sendto(io->fd, s->message.b, s->message.n, 0, (struct sockaddr *)&from, len);
}

static void
tcp_close(struct tcp *t)
{
	net_io_remove(t->server->loop, &t->io);
	close(t->io.fd);
	t->io.fd = -1;
}

static void
tcp_ready(struct net_io *io, unsigned events)
{
	struct tcp *t = (struct tcp *)((char *)io - offsetof(struct tcp, io));
	struct fake_dns *s = t->server;
	struct fake_dns_question q = { .tcp = true };
	unsigned char head[2];
	size_t want;
	ssize_t n;

	(void)events;
	n = read(io->fd, t->in + t->n, sizeof(t->in) - t->n);
	if (n <= 0) {
		tcp_close(t);
		return;
	}
	t->n += (size_t)n;
	while (t->n >= 2 && t->n >= 2 + (want = (size_t)(t->in[0] << 8 | t->in[1]))) {
		if (serve(s, t->in + 2, want, &q)) {
			head[0] = (unsigned char)(s->message.n >> 8);
			head[1] = (unsigned char)s->message.n;
			if (send(io->fd, head, 2, MSG_NOSIGNAL | MSG_MORE) != 2 ||
			    send(io->fd, s->message.b, s->message.n, MSG_NOSIGNAL) != (ssize_t)s->message.n) {
				tcp_close(t);
				return;
			}
		}
		t->n -= 2 + want;
		memmove(t->in, t->in + 2 + want, t->n);
	}
}

static void
door_ready(struct net_io *io, unsigned events)
{
	struct fake_dns *s = (struct fake_dns *)((char *)io - offsetof(struct fake_dns, door));
	int fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd == -1)
		return;
	for (int i = 0; i < TCP_MAX; i++) {
		struct tcp *t = &s->tcp[i];

		if (t->io.fd != -1)
			continue;
		t->io.fd = fd;
		t->io.ready = tcp_ready;
		t->server = s;
		t->n = 0;
		if (net_io_add(s->loop, &t->io, NET_READ) != 0)
			abort();
		return;
	}
	close(fd);
}

struct fake_dns *
fake_dns_new(struct net_loop *loop, const char *host, fake_dns_fn fn, void *arg)
{
	struct fake_dns *s = calloc(1, sizeof(*s));
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);

	assert(s != NULL);
	s->loop = loop;
	s->fn = fn;
	s->arg = arg;
	for (int i = 0; i < TCP_MAX; i++)
		s->tcp[i].io.fd = -1;
	/* TCP first: the port that it got is free for UDP, or another one is tried. */
	for (int tries = 0;; tries++) {
		assert(tries < 20);
		sin.sin_port = 0;
		if (inet_pton(AF_INET, host, &sin.sin_addr) != 1)
			abort();
		s->door.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		s->udp.fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (bind(s->door.fd, (struct sockaddr *)&sin, sizeof(sin)) == 0 && listen(s->door.fd, 16) == 0 &&
		    getsockname(s->door.fd, (struct sockaddr *)&sin, &len) == 0 &&
		    bind(s->udp.fd, (struct sockaddr *)&sin, sizeof(sin)) == 0)
			break;
		close(s->door.fd);
		close(s->udp.fd);
	}
	s->door.ready = door_ready;
	s->udp.ready = udp_ready;
	if (net_io_add(loop, &s->door, NET_READ) != 0 || net_io_add(loop, &s->udp, NET_READ) != 0)
		abort();
	snprintf(s->where, sizeof(s->where), "%s:%u", host, ntohs(sin.sin_port));
	return s;
}

void
fake_dns_free(struct fake_dns *s)
{
	if (s == NULL)
		return;
	for (int i = 0; i < TCP_MAX; i++)
		if (s->tcp[i].io.fd != -1)
			tcp_close(&s->tcp[i]);
	net_io_remove(s->loop, &s->door);
	net_io_remove(s->loop, &s->udp);
	close(s->door.fd);
	close(s->udp.fd);
	free(s);
}

const char *
fake_dns_where(const struct fake_dns *s)
{
	return s->where;
}

unsigned
fake_dns_asked(const struct fake_dns *s)
{
	return s->asked;
}
