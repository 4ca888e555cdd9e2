/*
 * net/proxyhead.c - see proxyhead.h.
 */
#include "net/proxyhead.h"

#include <netinet/in.h>

#include <string.h>

#include "common/err.h"

#define COMMAND_LOCAL	0x20	/* the upper half is the version */
#define COMMAND_PROXY	0x21
#define STREAM_V4	0x11
#define STREAM_V6	0x21
#define BYTES_V4	12	/* two addresses, two ports */
#define BYTES_V6	36

static const char signature[12] = "\r\n\r\n\0\r\nQUIT\n";

static unsigned
two_bytes(struct span s, size_t at)
{
	return (unsigned)(unsigned char)s.p[at] << 8 | (unsigned char)s.p[at + 1];
}

/* Bytes that cannot become a signature; what they are instead, as far as that helps. */
static const char *
not_ours(struct span s)
{
	if (span_eq(span_head(s, 5), SPAN_LIT("PROXY")))
		return "version 1 of the PROXY protocol; version 2 is expected";
	if (s.n >= 2 && s.p[0] == 0x16 && s.p[1] == 0x03)
		return "TLS without a PROXY header";
	return "not a PROXY header";
}

/* Type, length, value, again and again, up to the end. */
static bool
adds_up(struct span tlvs)
{
	while (tlvs.n != 0) {
		if (tlvs.n < 3 || two_bytes(tlvs, 1) > tlvs.n - 3)
			return false;
		tlvs = span_tail(tlvs, 3 + two_bytes(tlvs, 1));
	}
	return true;
}

static bool
take_v4(struct span s, struct net_addr *out)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&out->ss;

	if (s.n < BYTES_V4)
		return false;
	in->sin_family = AF_INET;
	memcpy(&in->sin_addr, s.p, 4);
	memcpy(&in->sin_port, s.p + 8, 2);
	out->len = sizeof(*in);
	return true;
}

static bool
take_v6(struct span s, struct net_addr *out)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&out->ss;

	if (s.n < BYTES_V6)
		return false;
	in6->sin6_family = AF_INET6;
	memcpy(&in6->sin6_addr, s.p, 16);
	memcpy(&in6->sin6_port, s.p + 32, 2);
	out->len = sizeof(*in6);
	return true;
}

/* What comes behind the fixed part of a PROXY command. NULL: all is well. */
static const char *
take_addresses(unsigned family, struct span rest, struct net_addr *from)
{
	size_t n = family == STREAM_V4 ? BYTES_V4 : BYTES_V6;

	if (family != STREAM_V4 && family != STREAM_V6)
		return "the PROXY header names no TCP address";
	if (family == STREAM_V4 ? !take_v4(rest, from) : !take_v6(rest, from))
		return "the PROXY header is too short for its addresses";
	if (net_addr_is_any(from))
		return "the PROXY header names the unspecified address";
	return adds_up(span_tail(rest, n)) ? NULL : "what follows the addresses of the PROXY header does not add up";
}

int
net_proxyhead_parse(struct span s, struct net_proxyhead *out, const char **fault)
{
	struct span start = span_head(s, sizeof(signature));
	unsigned command;

	*out = (struct net_proxyhead){ .n = NET_PROXYHEAD_FIXED };
	*fault = NULL;
	if (!span_eq(start, span_of(signature, start.n))) {
		/* as many bytes as it takes to say what it is */
		if (s.n < 5 && span_eq(s, span_head(SPAN_LIT("PROXY"), s.n)))
			return SP_EAGAIN;
		*fault = not_ours(s);
		return SP_ESYNTAX;
	}
	if (s.n < NET_PROXYHEAD_FIXED)
		return SP_EAGAIN;
	out->n += two_bytes(s, 14);
	command = (unsigned char)s.p[12];
	if (command != COMMAND_LOCAL && command != COMMAND_PROXY)
		*fault = "the PROXY header has a version or command that is not known";
	else if (out->n > NET_PROXYHEAD_MAX)
		*fault = "the PROXY header is too long";
	else if (s.n < out->n)
		return SP_EAGAIN;
	else if (command == COMMAND_LOCAL)
		out->local = true;	/* the rest is to be passed over (2.2) */
	else
		*fault = take_addresses((unsigned char)s.p[13], span_tail(span_head(s, out->n), NET_PROXYHEAD_FIXED), &out->from);
	if (*fault == NULL)
		return SP_OK;
	out->from = (struct net_addr){ .len = 0 };
	return SP_ESYNTAX;
}
