/*
 * net/guard.c - see guard.h. Addresses are compared as 16 bytes; a v4 one is mapped.
 */
#include "net/guard.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "net/prefix.h"

struct net_guard {
	struct net_prefix	*allowed, *refused;
	size_t		 nallowed, nrefused;
};

#define MAPPED	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff

/* RFC 6890 and the registries of special addresses; the longer prefix of two stands first. */
static const struct {
	struct net_prefix	 net;
	const char	*what;
	bool		 always;	/* no network that is allowed can hold it */
} special[] = {
	{ { { MAPPED, 255, 255, 255, 255 }, 128 }, "broadcast", true },
	{ { { MAPPED, 0 }, 104 }, "this network", true },
	{ { { MAPPED, 10 }, 104 }, "private", false },
	{ { { MAPPED, 100, 64 }, 106 }, "shared by carriers", false },
	{ { { MAPPED, 127 }, 104 }, "loopback", false },
	{ { { MAPPED, 169, 254 }, 112 }, "link-local", false },
	{ { { MAPPED, 172, 16 }, 108 }, "private", false },
	{ { { MAPPED, 192, 0, 0 }, 120 }, "reserved", false },
	{ { { MAPPED, 192, 0, 2 }, 120 }, "for documentation", false },
	{ { { MAPPED, 192, 168 }, 112 }, "private", false },
	{ { { MAPPED, 198, 18 }, 111 }, "for benchmarks", false },
	{ { { MAPPED, 198, 51, 100 }, 120 }, "for documentation", false },
	{ { { MAPPED, 203, 0, 113 }, 120 }, "for documentation", false },
	{ { { MAPPED, 224 }, 100 }, "multicast", true },
	{ { { MAPPED, 240 }, 100 }, "reserved", true },
	{ { { 0 }, 128 }, "unspecified", true },
	{ { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 }, 128 }, "loopback", false },
	{ { { 0x01, 0x00 }, 64 }, "discarded", true },
	{ { { 0x20, 0x01, 0x0d, 0xb8 }, 32 }, "for documentation", false },
	{ { { 0xfc }, 7 }, "private", false },
	{ { { 0xfe, 0x80 }, 10 }, "link-local", false },
	{ { { 0xfe, 0xc0 }, 10 }, "site-local", false },
	{ { { 0xff }, 8 }, "multicast", true },
};

/* v6 addresses that carry a v4 one, which is where they lead: the prefix, and where in them it stands. */
static const struct {
	struct net_prefix	 net;
	unsigned	 at;
} carriers[] = {
	{ { { 0 }, 96 }, 12 },					/* ::a.b.c.d, of old */
	{ { { 0x00, 0x64, 0xff, 0x9b }, 96 }, 12 },		/* 64:ff9b::/96, NAT64 */
	{ { { 0x20, 0x02 }, 16 }, 2 },				/* 2002::/16, 6to4 */
};

struct net_guard *
net_guard_new(void)
{
	return xcalloc(1, sizeof(struct net_guard));
}

void
net_guard_free(struct net_guard *g)
{
	if (g == NULL)
		return;
	free(g->allowed);
	free(g->refused);
	free(g);
}

int
net_guard_allow(struct net_guard *g, struct span network)
{
	struct net_prefix p;

	if (net_prefix_parse(&p, network) != SP_OK)
		return SP_EINVAL;
	g->allowed = xreallocarray(g->allowed, g->nallowed + 1, sizeof(*g->allowed));
	g->allowed[g->nallowed++] = p;
	return SP_OK;
}

void
net_guard_refuse(struct net_guard *g, const struct net_addr *a)
{
	struct net_prefix p = { .bits = 128 };

	if (!net_addr_bytes(a, p.addr))
		return;
	g->refused = xreallocarray(g->refused, g->nrefused + 1, sizeof(*g->refused));
	g->refused[g->nrefused++] = p;
}

static bool
within_any(const unsigned char addr[16], const struct net_prefix *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (net_prefix_within(addr, &p[i]))
			return true;
	return false;
}

static const char *
why(const struct net_guard *g, const unsigned char addr[16])
{
	bool allowed = within_any(addr, g->allowed, g->nallowed);

	if (within_any(addr, g->refused, g->nrefused))
		return "our own";
	for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++)
		if (net_prefix_within(addr, &special[i].net))
			return allowed && !special[i].always ? NULL : special[i].what;
	return NULL;
}

const char *
net_guard_why(const struct net_guard *g, const struct net_addr *a)
{
	static const unsigned char mapped[12] = { MAPPED };
	unsigned char addr[16], inner[16];
	const char *what;

	if (!net_addr_bytes(a, addr))
		return "no address";
	if ((what = why(g, addr)) != NULL || within_any(addr, g->allowed, g->nallowed))
		return what;
	for (size_t i = 0; i < sizeof(carriers) / sizeof(carriers[0]); i++) {
		if (!net_prefix_within(addr, &carriers[i].net))
			continue;
		memcpy(inner, mapped, 12);
		memcpy(inner + 12, addr + carriers[i].at, 4);
		return why(g, inner);
	}
	return NULL;
}
