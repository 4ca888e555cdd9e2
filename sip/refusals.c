/*
 * sip/refusals.c - see refusals.h.
 */
#include "sip/refusals.h"

#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "common/mem.h"
#include "net/stats.h"

#define WAYS		4	/* places that a kind may have in the table */
#define WINDOW_MS	60000

enum event { EVENT_REFUSED = 0, EVENT_ENDED, NEVENTS };

static const char *const event_names[NEVENTS] = { "refused", "disconnected" };

struct kind {
	uint64_t		 key;		/* 0: a free place */
	uint64_t		 since;		/* of its window */
	uint64_t		 suppressed;
	unsigned		 lines;
	char			 detail[48];	/* cut */
	char			 peer[NET_ADDR_TEXT];
	uint16_t		 why;
	uint8_t			 event;
};

struct sip_refusals {
	struct net_loop			*loop;
	struct net_timer		 timer;
	struct sip_refusals_limits	 limits;
	uint64_t			 worker, number;
	unsigned			 ndue;		/* kinds that have something suppressed, of both tables */
	char				 reference[REFUSALS_REFERENCE];
	struct kind			 kinds[REFUSALS_KINDS];
	struct kind			 everybody[NEVENTS][POLICY_NREASONS];
};

/* ---- references ---- */

/* One round's half: 24 bits out of 24, the round and the key. */
static uint32_t
half(uint32_t round, uint32_t x)
{
	const uint32_t words[3] = { UINT32_C(0x7265666e), round, x };

	return (uint32_t)hash_bytes(words, sizeof(words)) & 0xffffff;
}

void
sip_refusals_name(uint64_t n, char out[REFUSALS_REFERENCE])
{
	/* no letter is like a digit (Crockford) */
	static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
	uint32_t a = (uint32_t)(n >> 24) & 0xffffff, b = (uint32_t)n & 0xffffff, c;
	uint64_t v;

	/* a Feistel network: whatever the half is, different numbers stay different */
	for (uint32_t round = 0; round < 6; round++) {
		c = a ^ half(round, b);
		a = b;
		b = c;
	}
	v = (uint64_t)a << 24 | b;
	for (int i = 9; i >= 0; i--) {
		out[i] = digits[v & 31];
		v >>= 5;
	}
	out[10] = '\0';
}

const char *
sip_refusals_reference(const struct sip_refusals *r)
{
	return r->reference;
}

/* ---- summaries ---- */

static void
put_summary(struct sip_refusals *r, struct kind *k)
{
	struct logrec rec;

	if (k->suppressed == 0)
		return;
	r->ndue--;
	rec = log_begin(SP_LOG_NOTICE, "suppressed");
	log_word(&rec, "of", event_names[k->event]);
	log_word(&rec, "reason", policy_reason_name((enum policy_reason)k->why));
	if (k->detail[0] != '\0')
		log_text(&rec, "detail", k->detail);
	log_word(&rec, "peer", k->peer);
	log_uint(&rec, "lines", k->suppressed);
	log_uint(&rec, "written", k->lines);
	log_uint(&rec, "seconds", (net_loop_now(r->loop) - k->since + 999) / 1000);
	log_end(&rec);
	k->suppressed = 0;
}

/* Windows that are over, or all. */
static void
put_summaries(struct sip_refusals *r, bool all)
{
	uint64_t now = net_loop_now(r->loop);

	for (size_t i = 0; i < REFUSALS_KINDS && r->ndue > 0; i++)
		if (all || now - r->kinds[i].since >= r->limits.window_ms)
			put_summary(r, &r->kinds[i]);
	for (size_t e = 0; e < NEVENTS; e++)
		for (size_t i = 0; i < POLICY_NREASONS && r->ndue > 0; i++)
			if (all || now - r->everybody[e][i].since >= r->limits.window_ms)
				put_summary(r, &r->everybody[e][i]);
}

static void
window_over(struct net_timer *t)
{
	struct sip_refusals *r = (struct sip_refusals *)((char *)t - offsetof(struct sip_refusals, timer));

	put_summaries(r, false);
	if (r->ndue > 0)
		net_timer_set(r->loop, &r->timer, 1000);
}

/* ---- counting ---- */

/* An IPv4 address, or the /64 that one customer has of IPv6. */
static uint64_t
source_of(const struct net_addr *a)
{
	if (a == NULL || a->len == 0)
		return 0;
	if (a->ss.ss_family == AF_INET6) {
		const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&a->ss;

		if (!IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
			return hash_bytes(&six->sin6_addr, 8);
		return hash_bytes((const char *)&six->sin6_addr + 12, 4);
	}
	return hash_bytes(&((const struct sockaddr_in *)&a->ss)->sin_addr, 4);
}

/* Its place; a new kind takes a free one, or that of the one whose window began first, whose summary is written. */
static struct kind *
kind_of(struct sip_refusals *r, const struct net_addr *from, enum event e, enum policy_reason why, const char *detail)
{
	uint64_t what = hash_mix((uint64_t)why << 1 | (uint64_t)e, detail != NULL ? hash_bytes(detail, strlen(detail)) : 0);
	uint64_t key = hash_mix(source_of(from), what) | 1;
	struct kind *set = &r->kinds[key / 2 % (REFUSALS_KINDS / WAYS) * WAYS], *k = &set[0];

	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].key == key)
			return &set[i];
		if (set[i].key == 0 || (k->key != 0 && set[i].since < k->since))
			k = &set[i];
	}
	put_summary(r, k);
	*k = (struct kind){ .key = key, .since = net_loop_now(r->loop), .why = (uint16_t)why,
	    .event = (uint8_t)e };
	if (detail != NULL)
		strncpy(k->detail, detail, sizeof(k->detail) - 1);
	if (from != NULL)
		net_addr_network(from, k->peer);
	else
		strcpy(k->peer, "none");
	return k;
}

/* One more of that kind: is there a line left for it? */
static bool
takes_line(struct sip_refusals *r, struct kind *k, unsigned max)
{
	uint64_t now = net_loop_now(r->loop);

	if (now - k->since >= r->limits.window_ms) {
		put_summary(r, k);
		k->since = now;
		k->lines = 0;
	}
	if (k->lines < max) {
		k->lines++;
		return true;
	}
	if (k->suppressed++ == 0) {
		r->ndue++;
		if (!net_timer_is_set(&r->timer))
			net_timer_set(r->loop, &r->timer, r->limits.window_ms);
	}
	stats_count(LOG_SUPPRESSED, 0, 0);
	stats_limit_hit(REFUSAL_LINES);
	return false;
}

static bool
may_write(struct sip_refusals *r, const struct net_addr *from, enum event e, enum policy_reason why, const char *detail)
{
	struct kind *all = &r->everybody[e][(unsigned)why < POLICY_NREASONS ? why : POLICY_REASON_UNDECIDED];

	if (r->limits.lines == 0)
		return true;
	all->event = (uint8_t)e;
	all->why = (uint16_t)why;
	strcpy(all->peer, "any");
	return takes_line(r, kind_of(r, from, e, why, detail), r->limits.lines) &&
	    takes_line(r, all, r->limits.lines * REFUSALS_SOURCES);
}

/* ---- lines ---- */

struct logrec
sip_refusals_log(struct sip_refusals *r, const struct net_addr *from, enum policy_reason why, const char *detail)
{
	bool shown = may_write(r, from, EVENT_REFUSED, why, detail);
	struct logrec rec;

	sip_refusals_name(r->worker << 40 | (++r->number & 0xffffffffff), r->reference);
	if (!shown)
		return (struct logrec){ .on = false };
	rec = log_begin(SP_LOG_NOTICE, "refused");
	log_word(&rec, "reason", policy_reason_name(why));
	if (detail != NULL)
		log_text(&rec, "detail", detail);
	log_word(&rec, "ref", r->reference);
	return rec;
}

struct logrec
sip_refusals_log_end(struct sip_refusals *r, const struct net_addr *from, enum policy_reason why, const char *detail)
{
	if (why == POLICY_REASON_ALLOWED)
		return log_begin(SP_LOG_INFO, "disconnected");
	if (!may_write(r, from, EVENT_ENDED, why, detail))
		return (struct logrec){ .on = false };
	return log_begin(SP_LOG_NOTICE, "disconnected");
}

/* ---- life ---- */

struct sip_refusals *
sip_refusals_new(struct net_loop *loop, unsigned worker, const struct sip_refusals_limits *limits)
{
	struct sip_refusals *r = xcalloc(1, sizeof(*r));

	r->loop = loop;
	r->worker = worker;
	r->timer.fire = window_over;
	sip_refusals_take_limits(r, limits);
	return r;
}

void
sip_refusals_take_limits(struct sip_refusals *r, const struct sip_refusals_limits *limits)
{
	r->limits = *limits;
	if (r->limits.window_ms == 0)
		r->limits.window_ms = WINDOW_MS;
}

void
sip_refusals_free(struct sip_refusals *r)
{
	if (r == NULL)
		return;
	put_summaries(r, true);
	net_timer_cancel(r->loop, &r->timer);
	free(r);
}
