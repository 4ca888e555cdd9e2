/*
 * net/addr.c - a socket address as text and back.
 */
#include "net/addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "common/strbuf.h"

static struct sockaddr_in *
v4(struct net_addr *a)
{
	return (struct sockaddr_in *)&a->ss;
}

static struct sockaddr_in6 *
v6(struct net_addr *a)
{
	return (struct sockaddr_in6 *)&a->ss;
}

static const struct sockaddr_in *
v4c(const struct net_addr *a)
{
	return (const struct sockaddr_in *)&a->ss;
}

static const struct sockaddr_in6 *
v6c(const struct net_addr *a)
{
	return (const struct sockaddr_in6 *)&a->ss;
}

/* 1 to 65535 in decimal, no sign, no leading zero; 0 if it is not. */
static uint16_t
parse_port(struct span s)
{
	unsigned long n = 0;

	if (s.n == 0 || s.n > 5 || s.p[0] == '0')
		return 0;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return 0;
		n = n * 10 + (unsigned long)(s.p[i] - '0');
	}
	return n <= UINT16_MAX ? (uint16_t)n : 0;
}

static bool
parse_host(struct net_addr *a, int family, struct span host)
{
	char text[INET6_ADDRSTRLEN];

	/* A NUL inside would end the text early and hide what follows. */
	if (host.n == 0 || host.n >= sizeof(text) || memchr(host.p, '\0', host.n) != NULL)
		return false;
	memcpy(text, host.p, host.n);
	text[host.n] = '\0';
	a->ss.ss_family = (sa_family_t)family;
	if (family == AF_INET6) {
		a->len = sizeof(struct sockaddr_in6);
		return inet_pton(AF_INET6, text, &v6(a)->sin6_addr) == 1;
	}
	a->len = sizeof(struct sockaddr_in);
	return inet_pton(AF_INET, text, &v4(a)->sin_addr) == 1;
}

int
net_addr_parse(struct net_addr *out, struct span text, uint16_t dflt_port)
{
	struct net_addr a = { .len = 0 };
	struct span host = text, port = SPAN_NONE;
	const char *end;
	bool has_port = false, ok;

	memset(out, 0, sizeof(*out));
	if (text.n == 0)
		return SP_EINVAL;
	if (text.p[0] == '[') {
		if ((end = memchr(text.p, ']', text.n)) == NULL)
			return SP_EINVAL;
		host = span_of(text.p + 1, (size_t)(end - text.p) - 1);
		port = span_of(end + 1, text.n - host.n - 2);
		if (port.n > 0) {
			if (port.p[0] != ':')
				return SP_EINVAL;
			port = span_of(port.p + 1, port.n - 1);
			has_port = true;
		}
		ok = parse_host(&a, AF_INET6, host);
	} else if ((end = memchr(text.p, ':', text.n)) != NULL &&
	    memchr(end + 1, ':', text.n - (size_t)(end - text.p) - 1) != NULL) {
		/* Two colons and no brackets: a v6 address, and no place for a port. */
		ok = parse_host(&a, AF_INET6, host);
	} else {
		if (end != NULL) {
			host = span_of(text.p, (size_t)(end - text.p));
			port = span_of(end + 1, text.n - host.n - 1);
			has_port = true;
		}
		ok = parse_host(&a, AF_INET, host);
	}
	if (!ok)
		return SP_EINVAL;
	if (has_port)
		dflt_port = parse_port(port);
	if (dflt_port == 0)
		return SP_EINVAL;
	net_addr_set_port(&a, dflt_port);
	*out = a;
	return SP_OK;
}

/* inet_ntop() does this by printf, and it is done for every message of a user. */
static const char *
format_v4(uint32_t addr, char *out)
{
	char *p = out;

	for (int shift = 24; shift >= 0; shift -= 8) {
		unsigned n = addr >> shift & 255;

		if (n >= 100)
			*p++ = (char)('0' + n / 100);
		if (n >= 10)
			*p++ = (char)('0' + n / 10 % 10);
		*p++ = (char)('0' + n % 10);
		*p++ = shift > 0 ? '.' : '\0';
	}
	return out;
}

const char *
net_addr_host(const struct net_addr *a, char out[NET_ADDR_TEXT])
{
	const char *s = NULL;

	if (a->ss.ss_family == AF_INET)
		s = format_v4(ntohl(v4c(a)->sin_addr.s_addr), out);
	else if (a->ss.ss_family == AF_INET6)
		s = inet_ntop(AF_INET6, &v6c(a)->sin6_addr, out, NET_ADDR_TEXT);
	if (s == NULL)
		snprintf(out, NET_ADDR_TEXT, "none");
	return out;
}

const char *
net_addr_format(const struct net_addr *a, char out[NET_ADDR_TEXT])
{
	char host[NET_ADDR_TEXT];
	struct strbuf sb;

	if (a->ss.ss_family == AF_INET) {
		/* without printf, as the host */
		strbuf_init(&sb, out, NET_ADDR_TEXT);
		strbuf_puts(&sb, net_addr_host(a, host));
		strbuf_putc(&sb, ':');
		strbuf_uint(&sb, net_addr_port(a));
	} else if (a->ss.ss_family == AF_INET6) {
		snprintf(out, NET_ADDR_TEXT, "[%.45s]:%u", net_addr_host(a, host), net_addr_port(a));
	} else {
		snprintf(out, NET_ADDR_TEXT, "none");
	}
	return out;
}

uint16_t
net_addr_port(const struct net_addr *a)
{
	if (a->ss.ss_family == AF_INET)
		return ntohs(v4c(a)->sin_port);
	if (a->ss.ss_family == AF_INET6)
		return ntohs(v6c(a)->sin6_port);
	return 0;
}

void
net_addr_set_port(struct net_addr *a, uint16_t port)
{
	if (a->ss.ss_family == AF_INET)
		v4(a)->sin_port = htons(port);
	else if (a->ss.ss_family == AF_INET6)
		v6(a)->sin6_port = htons(port);
}

bool
net_addr_same_host(const struct net_addr *a, const struct net_addr *b)
{
	if (a->ss.ss_family != b->ss.ss_family)
		return false;
	if (a->ss.ss_family == AF_INET)
		return v4c(a)->sin_addr.s_addr == v4c(b)->sin_addr.s_addr;
	if (a->ss.ss_family == AF_INET6)
		return memcmp(&v6c(a)->sin6_addr, &v6c(b)->sin6_addr, sizeof(struct in6_addr)) == 0 &&
		    v6c(a)->sin6_scope_id == v6c(b)->sin6_scope_id;
	return false;
}

bool
net_addr_is_any(const struct net_addr *a)
{
	if (a->ss.ss_family == AF_INET)
		return v4c(a)->sin_addr.s_addr == htonl(INADDR_ANY);
	if (a->ss.ss_family == AF_INET6) {
		const struct in6_addr *in6 = &v6c(a)->sin6_addr;
		uint32_t last;

		memcpy(&last, &in6->s6_addr[12], sizeof(last));
		return IN6_IS_ADDR_UNSPECIFIED(in6) || (IN6_IS_ADDR_V4MAPPED(in6) && last == 0);
	}
	return false;
}

const char *
net_addr_network(const struct net_addr *a, char out[NET_ADDR_TEXT])
{
	struct net_addr n = *a;
	struct in6_addr *whole = &v6(&n)->sin6_addr;

	if (a->len == 0 || a->ss.ss_family != AF_INET6)
		return net_addr_host(a, out);
	if (IN6_IS_ADDR_V4MAPPED(whole)) {
		inet_ntop(AF_INET, &whole->s6_addr[12], out, NET_ADDR_TEXT);
		return out;
	}
	memset(&whole->s6_addr[8], 0, 8);
	net_addr_host(&n, out);
	memcpy(out + strlen(out), "/64", 4);
	return out;
}
