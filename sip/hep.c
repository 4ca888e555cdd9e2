/*
 * sip/hep.c - see hep.h.
 *
 * A packet is "HEP3", its length, and chunks: vendor (0), type, length with these
 * six bytes, value; all numbers in network order.
 */
#include "sip/hep.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "net/stats.h"
#include "sip/link.h"

enum {
	CHUNK_FAMILY = 1, CHUNK_PROTOCOL, CHUNK_SOURCE4, CHUNK_TARGET4, CHUNK_SOURCE6, CHUNK_TARGET6, CHUNK_SOURCE_PORT,
	CHUNK_TARGET_PORT, CHUNK_SECONDS, CHUNK_MICROSECONDS, CHUNK_KIND, CHUNK_AGENT, CHUNK_PASSWORD = 14, CHUNK_PAYLOAD,
	CHUNK_CORRELATION = 17
};
#define HEAD		6	/* of the packet, and of a chunk */
#define FAMILY_V4	2
#define FAMILY_V6	10
#define KIND_SIP	1

struct sip_hep {
	struct sip_tap		 tap;		/* first */
	struct sip_hep_config	 config;
	char			*password;
	int			 fd;
	unsigned char		 packet[HEP_PACKET_MAX];
};

struct writer {
	unsigned char	*p;
	size_t		 n;
	bool		 failed;
};

static void
put_number(unsigned char *p, unsigned bytes, uint64_t v)
{
	for (unsigned i = bytes; i-- > 0; v >>= 8)
		p[i] = (unsigned char)v;
}

/* Room for a chunk's value, or NULL. */
static unsigned char *
chunk(struct writer *w, unsigned type, size_t n)
{
	unsigned char *p = w->p + w->n;

	if (w->failed || n + HEAD > HEP_PACKET_MAX - w->n) {
		w->failed = true;
		return NULL;
	}
	put_number(p, 2, 0);
	put_number(p + 2, 2, type);
	put_number(p + 4, 2, n + HEAD);
	w->n += n + HEAD;
	return p + HEAD;
}

static void
put_uint(struct writer *w, unsigned type, unsigned bytes, uint64_t v)
{
	unsigned char *p = chunk(w, type, bytes);

	if (p != NULL)
		put_number(p, bytes, v);
}

static void
put_bytes(struct writer *w, unsigned type, const void *from, size_t n)
{
	unsigned char *p = chunk(w, type, n);

	if (p != NULL && n != 0)
		memcpy(p, from, n);
}

static void
put_address(struct writer *w, const struct net_addr *a, bool is_source)
{
	if (a->len != 0 && a->ss.ss_family == AF_INET)
		put_bytes(w, is_source ? CHUNK_SOURCE4 : CHUNK_TARGET4, &((const struct sockaddr_in *)&a->ss)->sin_addr, 4);
	else if (a->len != 0)
		put_bytes(w, is_source ? CHUNK_SOURCE6 : CHUNK_TARGET6, &((const struct sockaddr_in6 *)&a->ss)->sin6_addr, 16);
	put_uint(w, is_source ? CHUNK_SOURCE_PORT : CHUNK_TARGET_PORT, 2, a->len != 0 ? net_addr_port(a) : 0);
}

/* Where the body begins; the message is whole. */
static size_t
head_of(struct span m)
{
	const char *end = m.n != 0 ? memmem(m.p, m.n, "\r\n\r\n", 4) : NULL;

	return end != NULL ? (size_t)(end - m.p) + 4 : m.n;
}

/* The head without secrets, its lines ended as on the wire again; then the body, or as many 'x'. */
static void
put_payload(struct writer *w, const struct sip_hep_config *c, struct span m)
{
	size_t head = head_of(m), room = 2 * head + 256, lines = 0, at = 0;
	char *text = xmalloc(room);
	struct strbuf sb;
	unsigned char *p;

	strbuf_init(&sb, text, room);
	sip_tap_mask(span_head(m, head), &sb);
	for (size_t i = 0; i < sb.len; i++)
		lines += text[i] == '\n';
	if ((p = chunk(w, CHUNK_PAYLOAD, sb.len + lines + 2 + m.n - head)) != NULL) {
		for (size_t i = 0; i < sb.len; i++) {
			if (text[i] == '\n')
				p[at++] = '\r';
			p[at++] = (unsigned char)text[i];
		}
		p[at++] = '\r';
		p[at++] = '\n';
		if (m.n > head && c->bodies)
			memcpy(p + at, m.p + head, m.n - head);
		else if (m.n > head)
			memset(p + at, 'x', m.n - head);
	}
	mem_wipe_free(text, room);
}

size_t
sip_hep_format(const struct sip_hep_config *c, const struct net_addr *from, const struct net_addr *to, uint64_t wall_us,
    struct span message, unsigned char out[HEP_PACKET_MAX])
{
	const struct net_addr *known = from->len != 0 ? from : to;
	struct writer w = { out, HEAD, false };
	struct sip_tap_head h;

	put_uint(&w, CHUNK_FAMILY, 1, known->ss.ss_family == AF_INET6 ? FAMILY_V6 : FAMILY_V4);
	put_uint(&w, CHUNK_PROTOCOL, 1, IPPROTO_TCP);
	put_address(&w, from, true);
	put_address(&w, to, false);
	put_uint(&w, CHUNK_SECONDS, 4, wall_us / 1000000);
	put_uint(&w, CHUNK_MICROSECONDS, 4, wall_us % 1000000);
	put_uint(&w, CHUNK_KIND, 1, KIND_SIP);
	put_uint(&w, CHUNK_AGENT, 4, c->id);
	if (c->password != NULL && c->password[0] != '\0')
		put_bytes(&w, CHUNK_PASSWORD, c->password, strlen(c->password));
	sip_tap_look(message, &h);
	put_bytes(&w, CHUNK_CORRELATION, h.call_id.p, h.call_id.n);
	put_payload(&w, c, message);
	if (w.failed)
		return 0;
	memcpy(out, "HEP3", 4);
	put_number(out + 4, 2, w.n);
	return w.n;
}

static void
look_on(struct sip_tap *t, struct sip_link *l, bool in, struct span bytes)
{
	struct sip_hep *h = (struct sip_hep *)t;
	const struct net_addr *far = sip_link_remote(l), *near = sip_link_local(l);
	size_t n = sip_hep_format(&h->config, in ? far : near, in ? near : far, clock_wall_ms() * 1000, bytes, h->packet);
	bool sent = n != 0 && send(h->fd, h->packet, n, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)n;

	stats_count(HEP_PACKETS, sent ? STATS_OK : STATS_FAILED, 0);
}

struct sip_hep *
sip_hep_new(const struct sip_hep_config *c)
{
	int fd = socket(c->server.ss.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), saved;
	struct sip_hep *h;

	if (fd == -1 || connect(fd, (const struct sockaddr *)&c->server.ss, c->server.len) == -1) {
		saved = errno;
		if (fd != -1)
			close(fd);
		errno = saved;
		return NULL;
	}
	h = xcalloc(1, sizeof(*h));
	h->config = *c;
	h->password = c->password != NULL ? xstrdup(c->password) : NULL;
	h->config.password = h->password;
	h->fd = fd;
	h->tap.message = look_on;
	atomic_store(&h->tap.watchers, 1);
	return h;
}

struct sip_hep *
sip_hep_start(const char *server, uint32_t id, const char *password, bool bodies)
{
	struct sip_hep_config c = { .id = id, .password = password, .bodies = bodies };
	struct sip_hep *h;

	if (server == NULL || server[0] == '\0')
		return NULL;
	if (net_addr_parse(&c.server, span_str(server), 0) != SP_OK) {
		log_say(SP_LOG_ERROR, "hep", "%s: expects an IP address and a port", server);
		return NULL;
	}
	if ((h = sip_hep_new(&c)) == NULL)
		log_say(SP_LOG_ERROR, "hep", "%s: %s", server, strerror(errno));
	return h;
}

void
sip_hep_free(struct sip_hep *h)
{
	if (h == NULL)
		return;
	close(h->fd);
	if (h->password != NULL)
		mem_wipe_free(h->password, strlen(h->password));
	mem_wipe_free(h, sizeof(*h));
}

struct sip_tap *
sip_hep_tap(struct sip_hep *h)
{
	return &h->tap;
}
