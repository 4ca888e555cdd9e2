/*
 * net/dns_reply.c - one DNS message read strictly (RFC 1035, 2181, 2782).
 */
#include "net/dns_reply.h"

#include <netinet/in.h>
#include <string.h>

#define WIRE_MAX	255	/* a name on the wire, with its final zero (RFC 1035 2.3.4) */
#define HEADER		12
#define JUMPS_MAX	64	/* of one compressed name; no honest message has more than a few */

enum {
	CLASS_IN	= 1,
	TYPE_OPT	= 41,
	FLAG_QR		= 0x8000,
	FLAG_OPCODE	= 0x7800,
	FLAG_AA		= 0x0400,
	FLAG_TC		= 0x0200,
	FLAG_RA		= 0x0080,
	FLAG_AD		= 0x0020,
	FLAG_RCODE	= 0x000f,
	RCODE_NXDOMAIN	= 3
};

struct reader {
	const unsigned char	*msg;
	size_t			 n, at;
	bool			 bad;
};

/* A name: labels with their lengths, lower-case, uncompressed. */
struct wire {
	unsigned char	 b[WIRE_MAX];
	size_t		 n;
};

struct record {
	size_t		 owner;		/* where its name begins */
	uint16_t	 type, class;
	uint32_t	 ttl;
	size_t		 data, len;
};

static uint16_t
get16(struct reader *r)
{
	if (r->bad || r->n - r->at < 2) {
		r->bad = true;
		return 0;
	}
	r->at += 2;
	return (uint16_t)(r->msg[r->at - 2] << 8 | r->msg[r->at - 1]);
}

static uint32_t
get32(struct reader *r)
{
	uint32_t high = get16(r);

	return high << 16 | get16(r);
}

/*
 * A name at r->at, which moves behind it. A pointer must lead to before the
 * piece that it ends, so every jump goes backwards and the walk ends.
 */
static void
get_name(struct reader *r, struct wire *w)
{
	size_t at = r->at, piece = r->at, after = 0;
	unsigned len, jumps = 0;

	w->n = 0;
	while (!r->bad) {
		if (at >= r->n)
			break;
		len = r->msg[at];
		if ((len & 0xc0) == 0xc0) {
			size_t to;

			if (r->n - at < 2)
				break;
			to = (size_t)(len & 0x3f) << 8 | r->msg[at + 1];
			if (after == 0)
				after = at + 2;
			if (to >= piece || to < HEADER || ++jumps > JUMPS_MAX)
				break;
			at = piece = to;
			continue;
		}
		if (len > 63 || r->n - at - 1 < len || w->n + 1 + len > WIRE_MAX)
			break;
		w->b[w->n++] = (unsigned char)len;
		for (unsigned i = 0; i < len; i++)
			w->b[w->n++] = span_lower(r->msg[at + 1 + i]);
		at += 1 + len;
		if (len == 0) {
			r->at = after != 0 ? after : at;
			return;
		}
	}
	r->bad = true;
	w->n = 0;
}

static bool
wire_eq(const struct wire *a, const struct wire *b)
{
	return a->n == b->n && memcmp(a->b, b->b, a->n) == 0;
}

static void
wire_of_text(struct wire *w, const char *name)
{
	const char *p = name;

	w->n = 0;
	while (*p != '\0') {
		size_t len = strcspn(p, ".");

		if (len > 63 || w->n + len + 2 > WIRE_MAX)
			break;
		w->b[w->n++] = (unsigned char)len;
		memcpy(w->b + w->n, p, len);
		w->n += len;
		p += len + (p[len] == '.');
	}
	w->b[w->n++] = 0;
}

/* The host name that w is; false if it holds anything a host name may not. */
static bool
text_of_wire(char out[NET_DNS_NAME_MAX], const struct wire *w, bool service)
{
	char text[WIRE_MAX + 1];
	size_t n = 0;

	for (size_t at = 0; w->b[at] != 0; at += 1 + w->b[at]) {
		/* A dot inside of a label would become two labels. */
		if (memchr(w->b + at + 1, '.', w->b[at]) != NULL)
			return false;
		if (n > 0)
			text[n++] = '.';
		memcpy(text + n, w->b + at + 1, w->b[at]);
		n += w->b[at];
	}
	return net_dns_name(out, span_of(text, n), service);
}

bool
net_dns_name(char out[NET_DNS_NAME_MAX], struct span name, bool service)
{
	size_t label = 0;	/* where the current one begins */
	bool digits = true;

	out[0] = '\0';
	if (name.n > 0 && name.p[name.n - 1] == '.')
		name.n--;
	if (name.n == 0 || name.n > 253)
		return false;
	for (size_t i = 0; i <= name.n; i++) {
		unsigned char c = i < name.n ? span_lower((unsigned char)name.p[i]) : '.';

		if (c == '.') {
			if (i == label || i - label > 63 || out[label] == '-' || out[i - 1] == '-')
				goto bad;
			if (i == name.n)
				break;
			label = i + 1;
			digits = true;
		} else if (c < '0' || c > '9') {
			if (!(c >= 'a' && c <= 'z') && c != '-' && !(c == '_' && service))
				goto bad;
			digits = false;
		}
		out[i] = (char)c;
	}
	if (digits)
		goto bad;
	out[name.n] = '\0';
	return true;
 bad:
	out[0] = '\0';
	return false;
}

static void
get_record(struct reader *r, struct record *rr)
{
	struct wire owner;

	rr->owner = r->at;
	get_name(r, &owner);
	rr->type = get16(r);
	rr->class = get16(r);
	rr->ttl = get32(r);
	/* RFC 2181 8: the highest bit set means zero. */
	if (rr->ttl > INT32_MAX && rr->type != TYPE_OPT)
		rr->ttl = 0;
	rr->len = get16(r);
	rr->data = r->at;
	if (r->bad || r->n - r->at < rr->len) {
		r->bad = true;
		return;
	}
	r->at += rr->len;
}

static bool
owned_by(const struct reader *r, const struct record *rr, const struct wire *name)
{
	struct reader at = { .msg = r->msg, .n = r->n, .at = rr->owner };
	struct wire owner;

	get_name(&at, &owner);
	return wire_eq(&owner, name);
}

/* A name that is the record's data from skip on, to its very end. */
static bool
data_name(const struct reader *r, const struct record *rr, size_t skip, struct wire *w)
{
	struct reader at = { .msg = r->msg, .n = rr->data + rr->len, .at = rr->data + skip };

	get_name(&at, w);
	return !at.bad && at.at == rr->data + rr->len;
}

/* --- what the records say --- */

/* No stream ever connects to these; a name that has nothing better has no address. */
static bool
is_useless(const struct net_addr *a)
{
	const unsigned char *p;

	if (net_addr_is_any(a))
		return true;
	if (a->ss.ss_family == AF_INET) {
		p = (const unsigned char *)&((const struct sockaddr_in *)&a->ss)->sin_addr;
		return p[0] == 0 || p[0] >= 224;
	}
	p = ((const struct sockaddr_in6 *)&a->ss)->sin6_addr.s6_addr;
	return p[0] == 0xff || IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)p);
}

static bool
add_address(struct net_dns_reply *out, const struct reader *r, const struct record *rr)
{
	struct net_addr a = { .len = 0 };

	if (rr->type == NET_DNS_A) {
		struct sockaddr_in *in = (struct sockaddr_in *)&a.ss;

		if (rr->len != sizeof(in->sin_addr))
			return false;
		in->sin_family = AF_INET;
		memcpy(&in->sin_addr, r->msg + rr->data, rr->len);
		a.len = sizeof(*in);
	} else {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&a.ss;

		if (rr->len != sizeof(in6->sin6_addr))
			return false;
		in6->sin6_family = AF_INET6;
		memcpy(&in6->sin6_addr, r->msg + rr->data, rr->len);
		a.len = sizeof(*in6);
	}
	if (is_useless(&a) || out->naddrs == NET_DNS_ADDRS_MAX)
		return true;
	for (unsigned i = 0; i < out->naddrs; i++)
		if (net_addr_same_host(&out->addrs[i], &a))
			return true;
	out->addrs[out->naddrs++] = a;
	return true;
}

static bool
add_srv(struct net_dns_reply *out, const struct reader *r, const struct record *rr)
{
	struct reader at = { .msg = r->msg, .n = rr->data + rr->len, .at = rr->data };
	struct net_srv s;
	struct wire target;

	s.priority = get16(&at);
	s.weight = get16(&at);
	s.port = get16(&at);
	if (at.bad || !data_name(r, rr, 6, &target))
		return false;
	s.target[0] = '\0';
	/* The root as target means: decidedly not here (RFC 2782). */
	if (target.n > 1 && !text_of_wire(s.target, &target, false))
		return false;
	if (out->nsrv < NET_DNS_SRV_MAX)
		out->srv[out->nsrv++] = s;
	return true;
}

static void
lower_ttl(struct net_dns_reply *out, const struct record *rr)
{
	if (rr->ttl < out->ttl)
		out->ttl = rr->ttl;
}

/* All records of type that name owns. False: nonsense. */
static bool
take_records(struct net_dns_reply *out, const struct reader *r, const struct record *rr, unsigned n,
    const struct wire *name, uint16_t type)
{
	for (unsigned i = 0; i < n; i++) {
		if (rr[i].type != type || rr[i].class != CLASS_IN || !owned_by(r, &rr[i], name))
			continue;
		if (!(type == NET_DNS_SRV ? add_srv(out, r, &rr[i]) : add_address(out, r, &rr[i])))
			return false;
		lower_ttl(out, &rr[i]);
	}
	return true;
}

/* Where the aliases among the records lead, starting at *name. False: nonsense. */
static bool
follow_aliases(struct net_dns_reply *out, const struct reader *r, const struct record *rr, unsigned n,
    struct wire *name)
{
	struct wire target, other;

	for (;;) {
		bool found = false;

		for (unsigned i = 0; i < n; i++) {
			if (rr[i].type != NET_DNS_CNAME || rr[i].class != CLASS_IN || !owned_by(r, &rr[i], name))
				continue;
			if (!data_name(r, &rr[i], 0, &other))
				return false;
			/* A name has one alias (RFC 2181 10.1). */
			if (found && !wire_eq(&other, &target))
				return false;
			target = other;
			found = true;
			lower_ttl(out, &rr[i]);
		}
		if (!found)
			return true;
		if (++out->aliases > NET_DNS_CNAME_MAX)
			return false;
		*name = target;
	}
}

static bool
parse_question(struct reader *r, const struct wire *want, uint16_t type)
{
	struct wire name;
	uint16_t qtype, qclass;

	get_name(r, &name);
	qtype = get16(r);
	qclass = get16(r);
	return !r->bad && wire_eq(&name, want) && qtype == type && qclass == CLASS_IN;
}

/* What is known of the three sections behind the question. */
struct sections {
	struct record	 rr[NET_DNS_RECORDS_MAX];	/* the answer's */
	unsigned	 n;
	bool		 has_soa;			/* among the authorities */
	bool		 has_rcode;			/* EDNS: the upper bits of the rcode are not zero */
};

static bool
parse_sections(struct reader *r, struct sections *s, unsigned nanswer, unsigned nauthority, unsigned nmore)
{
	struct record rr;

	s->n = 0;
	s->has_soa = s->has_rcode = false;
	if (nanswer + nauthority + nmore > NET_DNS_RECORDS_MAX)
		return false;
	while (s->n < nanswer && !r->bad)
		get_record(r, &s->rr[s->n++]);
	for (unsigned i = 0; i < nauthority + nmore && !r->bad; i++) {
		get_record(r, &rr);
		if (i < nauthority && rr.type == NET_DNS_SOA && rr.class == CLASS_IN)
			s->has_soa = true;
		if (i >= nauthority && rr.type == TYPE_OPT && rr.ttl >> 24 != 0)
			s->has_rcode = true;
	}
	return !r->bad && r->at == r->n;
}

/* The reading itself; what it returns is the status. */
static enum net_dns_status
parse(struct net_dns_reply *out, struct reader *r, const char *qname, uint16_t type)
{
	struct sections s;
	struct wire name;
	unsigned flags, nanswer, nauthority, nmore;

	r->at = 2;		/* the id is the carrier's business */
	flags = get16(r);
	if (get16(r) != 1 || r->bad)
		return NET_DNS_FAILED;
	nanswer = get16(r);
	nauthority = get16(r);
	nmore = get16(r);
	wire_of_text(&name, qname);
	if (r->bad || (flags & (FLAG_QR | FLAG_OPCODE | FLAG_TC)) != FLAG_QR || !parse_question(r, &name, type) ||
	    !parse_sections(r, &s, nanswer, nauthority, nmore))
		return NET_DNS_FAILED;
	out->authentic = (flags & FLAG_AD) != 0;
	if (s.has_rcode)
		return NET_DNS_FAILED;
	if ((flags & FLAG_RCODE) != 0 && (flags & FLAG_RCODE) != RCODE_NXDOMAIN)
		return NET_DNS_FAILED;
	if (!follow_aliases(out, r, s.rr, s.n, &name))
		return NET_DNS_FAILED;
	if ((flags & FLAG_RCODE) == RCODE_NXDOMAIN)
		return NET_DNS_NONE;
	if (!take_records(out, r, s.rr, s.n, &name, type))
		return NET_DNS_FAILED;
	if (out->naddrs + out->nsrv > 0)
		return NET_DNS_FOUND;
	if (out->aliases > 0 && !s.has_soa) {
		/* Neither records nor a word that there are none: the alias leads out of this message. */
		if (!text_of_wire(out->next, &name, type == NET_DNS_SRV))
			return NET_DNS_FAILED;
		return NET_DNS_NONE;
	}
	/* No answer, no authority and no recursion: a referral to servers that we do not ask. */
	if (!s.has_soa && (flags & (FLAG_AA | FLAG_RA)) == 0)
		return NET_DNS_FAILED;
	return NET_DNS_NONE;
}

void
net_dns_reply_parse(struct net_dns_reply *out, const unsigned char *msg, size_t n, const char *name,
    uint16_t type)
{
	struct reader r = { .msg = msg, .n = n };

	memset(out, 0, sizeof(*out));
	out->ttl = UINT32_MAX;
	if (n >= HEADER)
		out->status = parse(out, &r, name, type);
	if (out->status != NET_DNS_FOUND) {
		/* Half of a refused message must not be taken for an answer. */
		out->naddrs = out->nsrv = 0;
		if (out->next[0] == '\0')
			out->ttl = 0;
	}
	if (out->status == NET_DNS_FAILED) {
		out->authentic = false;
		out->next[0] = '\0';
		out->aliases = 0;
	}
}
