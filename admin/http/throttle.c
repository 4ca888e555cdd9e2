/*
 * admin/http/throttle.c - see throttle.h.
 */
#include "admin/http/throttle.h"

#include <netinet/in.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "common/mem.h"
#include "net/addr.h"
#include "net/stats.h"

/* A budget as the time at which it is whole again: one number (GCRA). */
struct budget {
	uint64_t	 key;		/* hash; 0: free */
	uint64_t	 whole_ms;
};

struct throttle {
	struct throttle_limits	 limits;
	struct budget		 sources[THROTTLE_KEYS], accounts[THROTTLE_KEYS];
	struct budget		 known[THROTTLE_KEYS];	/* source and account that have logged in; whole_ms: until when */
};

struct throttle *
throttle_new(const struct throttle_limits *limits)
{
	struct throttle *t = xcalloc(1, sizeof(*t));

	t->limits = *limits;
	return t;
}

void
throttle_free(struct throttle *t)
{
	free(t);
}

static uint64_t
key_of(struct span s)
{
	uint64_t key = hash_bytes(s.p, s.n);

	return key != 0 ? key : 1;
}

static struct budget *
find(struct budget *v, uint64_t key)
{
	for (size_t i = 0; i < THROTTLE_KEYS; i++)
		if (v[i].key == key)
			return &v[i];
	return NULL;
}

/* The budget of key; a new and whole one in the place of the one that is soonest whole, if there is none. */
static struct budget *
budget_of(struct budget *v, uint64_t key, uint64_t now)
{
	struct budget *b = find(v, key);

	if (b == NULL) {
		b = &v[0];
		for (size_t i = 1; i < THROTTLE_KEYS; i++)
			if (v[i].whole_ms < b->whole_ms)
				b = &v[i];
		*b = (struct budget){ .key = key, .whole_ms = now };
	}
	if (b->whole_ms < now)
		b->whole_ms = now;
	return b;
}

/* Milliseconds until one more may be used; 0: now. b NULL: it is whole. */
static uint64_t
wait_of(const struct budget *b, unsigned tries, uint64_t every, uint64_t now)
{
	uint64_t used = b != NULL && b->whole_ms > now ? b->whole_ms - now : 0, may = (uint64_t)(tries - 1) * every;

	return used > may ? used - may : 0;
}

bool
throttle_try(struct throttle *t, struct span source, struct span account, uint64_t now, uint64_t *wait_ms)
{
	uint64_t from = key_of(source), to = key_of(account);
	const struct budget *known = find(t->known, key_of(span_of((const char *)(uint64_t[2]){ from, to }, 16)));
	bool stranger = known == NULL || now >= known->whole_ms;
	uint64_t wait;

	*wait_ms = wait_of(find(t->sources, from), t->limits.source_tries, t->limits.source_every_ms, now);
	if (*wait_ms != 0)
		stats_limit_hit(PAGE_LOG_INS);
	if (stranger) {
		wait = wait_of(find(t->accounts, to), t->limits.account_tries, t->limits.account_every_ms, now);
		if (wait != 0)
			stats_limit_hit(PAGE_LOG_INS_ACCOUNT);
		if (wait > *wait_ms)
			*wait_ms = wait;
	}
	/* who is refused takes no place in the tables: names cost nothing */
	if (*wait_ms != 0)
		return false;
	budget_of(t->sources, from, now)->whole_ms += t->limits.source_every_ms;
	if (stranger)
		budget_of(t->accounts, to, now)->whole_ms += t->limits.account_every_ms;
	return true;
}

static void
give_back(struct budget *b, uint64_t every, uint64_t now)
{
	if (b != NULL)
		b->whole_ms = b->whole_ms > now + every ? b->whole_ms - every : now;
}

void
throttle_succeeded(struct throttle *t, struct span source, struct span account, uint64_t now)
{
	uint64_t from = key_of(source), to = key_of(account);
	uint64_t both = key_of(span_of((const char *)(uint64_t[2]){ from, to }, 16));
	const struct budget *known = find(t->known, both);

	give_back(find(t->sources, from), t->limits.source_every_ms, now);
	if (known == NULL || now >= known->whole_ms)
		give_back(find(t->accounts, to), t->limits.account_every_ms, now);
	budget_of(t->known, both, now)->whole_ms = now + THROTTLE_KNOWN_MS;
}

struct span
throttle_source(const struct net_addr *a, char out[64])
{
	const struct sockaddr_in6 *sin6 = (const struct sockaddr_in6 *)(const void *)&a->ss;

	net_addr_host(a, out);
	if (a->ss.ss_family == AF_INET6 && !IN6_IS_ADDR_V4MAPPED(&sin6->sin6_addr)) {
		const uint8_t *b = sin6->sin6_addr.s6_addr;

		snprintf(out, 64, "%02x%02x:%02x%02x:%02x%02x:%02x%02x::/64", b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]);
	}
	return span_str(out);
}
