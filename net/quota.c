/*
 * net/quota.c - see quota.h. The table is cut into parts with a lock each; a key is looked for in one.
 */
#include "net/quota.h"

#include <netinet/in.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "common/mem.h"

#define PARTS		64	/* a power of two */
#define BUCKETS_FIRST	64	/* of a part; a power of two */

struct record {
	struct record	*next;
	uint64_t	 key;
	uint64_t	 until;		/* net_rate_take() */
	uint32_t	 held;
};

struct part {
	pthread_mutex_t	  lock;
	struct record	**bucket;
	uint32_t	  nbuckets, n;
};

struct net_quota {
	struct part	part[PARTS];
};

/* ---- rates ---- */

/*
 * The virtual scheduling form of a leaky bucket: *until is when, in microseconds,
 * all that was taken would have been taken at an even pace.
 */
bool
net_rate_take(uint64_t *until, const struct net_rate *rate, uint64_t now_ms, bool urgent)
{
	uint64_t now = now_ms * 1000, room = (uint64_t)rate->burst_ms * 1000, one, at;

	if (rate->per_second == 0)
		return true;
	one = 1000000 / rate->per_second;
	if (!urgent)
		room -= room / 8;
	at = (*until > now ? *until : now) + one;
	if (at - now > (room > one ? room : one))
		return false;
	*until = at;
	return true;
}

unsigned
net_rate_wait(uint64_t until, const struct net_rate *rate, uint64_t now_ms)
{
	uint64_t room = (uint64_t)rate->burst_ms * 1000, one = rate->per_second != 0 ? 1000000 / rate->per_second : 0;
	uint64_t from = now_ms * 1000 + room - room / 8;

	return until + one > from ? (unsigned)((until + one - from) / 1000000) + 1 : 1;
}

/* ---- rates of many: sets of a few, each with a lock that it shares with others ---- */

#define WAYS	8

struct busy {
	uint64_t	key;		/* 0: free */
	uint64_t	until;
};

struct net_rates {
	pthread_mutex_t	 lock[PARTS];
	uint32_t	 nsets;		/* a power of two */
	struct busy	(*set)[WAYS];
};

struct net_rates *
net_rates_new(uint32_t entries)
{
	struct net_rates *t = xcalloc(1, sizeof(*t));

	for (t->nsets = 1; t->nsets < entries / WAYS; t->nsets *= 2)
		;
	t->set = xcalloc(t->nsets, sizeof(*t->set));
	for (unsigned i = 0; i < PARTS; i++)
		pthread_mutex_init(&t->lock[i], NULL);
	return t;
}

void
net_rates_free(struct net_rates *t)
{
	if (t == NULL)
		return;
	for (unsigned i = 0; i < PARTS; i++)
		pthread_mutex_destroy(&t->lock[i]);
	free(t->set);
	free(t);
}

bool
net_rates_spend(struct net_rates *t, uint64_t key, const struct net_rate *rate, uint64_t now_ms, bool urgent, unsigned *wait)
{
	uint32_t at = (uint32_t)key & (t->nsets - 1);
	struct busy *b = t->set[at];
	bool good;

	if (rate->per_second == 0)
		return true;
	pthread_mutex_lock(&t->lock[at % PARTS]);
	for (unsigned i = 0; i < WAYS && b->key != key; i++)
		if (t->set[at][i].key == key || t->set[at][i].until < b->until)
			b = &t->set[at][i];
	if (b->key != key)
		*b = (struct busy){ .key = key };
	good = net_rate_take(&b->until, rate, now_ms, urgent);
	if (!good)
		*wait = net_rate_wait(b->until, rate, now_ms);
	pthread_mutex_unlock(&t->lock[at % PARTS]);
	return good;
}

/* ---- the table ---- */

struct net_quota *
net_quota_new(void)
{
	struct net_quota *q = xcalloc(1, sizeof(*q));

	for (unsigned i = 0; i < PARTS; i++) {
		pthread_mutex_init(&q->part[i].lock, NULL);
		q->part[i].nbuckets = BUCKETS_FIRST;
		q->part[i].bucket = xcalloc(BUCKETS_FIRST, sizeof(struct record *));
	}
	return q;
}

static void
free_chain(struct record *r)
{
	while (r != NULL) {
		struct record *next = r->next;

		free(r);
		r = next;
	}
}

void
net_quota_free(struct net_quota *q)
{
	if (q == NULL)
		return;
	for (unsigned i = 0; i < PARTS; i++) {
		for (uint32_t b = 0; b < q->part[i].nbuckets; b++)
			free_chain(q->part[i].bucket[b]);
		free(q->part[i].bucket);
		pthread_mutex_destroy(&q->part[i].lock);
	}
	free(q);
}

static struct part *
part_of(struct net_quota *q, uint64_t key)
{
	return &q->part[key % PARTS];
}

/* Where the record of that key is, or would be. */
static struct record **
place(struct part *p, uint64_t key)
{
	struct record **at = &p->bucket[(key / PARTS) & (p->nbuckets - 1)];

	while (*at != NULL && (*at)->key != key)
		at = &(*at)->next;
	return at;
}

static void
grow(struct part *p)
{
	struct record **old = p->bucket;
	uint32_t n = p->nbuckets;

	p->nbuckets *= 2;
	p->bucket = xcalloc(p->nbuckets, sizeof(struct record *));
	for (uint32_t b = 0; b < n; b++)
		while (old[b] != NULL) {
			struct record *r = old[b], **at = &p->bucket[(r->key / PARTS) & (p->nbuckets - 1)];

			old[b] = r->next;
			r->next = *at;
			*at = r;
		}
	free(old);
}

static struct record *
add(struct part *p, uint64_t key)
{
	struct record **at, *r = xcalloc(1, sizeof(*r));

	if (p->n >= p->nbuckets)
		grow(p);
	at = place(p, key);
	r->key = key;
	*at = r;
	p->n++;
	return r;
}

bool
net_quota_take(struct net_quota *q, uint64_t key, uint32_t max)
{
	struct part *p = part_of(q, key);
	struct record *r;
	bool good;

	pthread_mutex_lock(&p->lock);
	if ((r = *place(p, key)) == NULL)
		r = add(p, key);
	if ((good = max == 0 || r->held < max))
		r->held++;
	pthread_mutex_unlock(&p->lock);
	return good;
}

void
net_quota_give(struct net_quota *q, uint64_t key)
{
	struct part *p = part_of(q, key);
	struct record **at, *r;

	pthread_mutex_lock(&p->lock);
	at = place(p, key);
	if ((r = *at) != NULL && --r->held == 0) {
		*at = r->next;
		p->n--;
		free(r);
	}
	pthread_mutex_unlock(&p->lock);
}

uint32_t
net_quota_held(struct net_quota *q, uint64_t key)
{
	struct part *p = part_of(q, key);
	const struct record *r;
	uint32_t n;

	pthread_mutex_lock(&p->lock);
	r = *place(p, key);
	n = r != NULL ? r->held : 0;
	pthread_mutex_unlock(&p->lock);
	return n;
}

uint32_t
net_quota_keys(struct net_quota *q)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < PARTS; i++) {
		pthread_mutex_lock(&q->part[i].lock);
		n += q->part[i].n;
		pthread_mutex_unlock(&q->part[i].lock);
	}
	return n;
}

bool
net_quota_spend(struct net_quota *q, uint64_t key, const struct net_rate *rate, uint64_t now_ms, bool urgent, unsigned *wait)
{
	struct part *p = part_of(q, key);
	struct record *r;
	bool good;

	if (rate->per_second == 0)
		return true;
	pthread_mutex_lock(&p->lock);
	r = *place(p, key);
	good = r == NULL || net_rate_take(&r->until, rate, now_ms, urgent);
	if (!good)
		*wait = net_rate_wait(r->until, rate, now_ms);
	pthread_mutex_unlock(&p->lock);
	return good;
}

/* ---- keys ---- */

static uint64_t
key_of(unsigned kind, uint64_t what)
{
	uint64_t key = hash_mix(hash_bytes(&kind, sizeof(kind)), what);

	return key != 0 ? key : 1;
}

uint64_t
net_quota_number(unsigned kind, uint64_t number)
{
	return key_of(kind, hash_bytes(&number, sizeof(number)));
}

uint64_t
net_quota_text(unsigned kind, struct span text)
{
	return key_of(kind, hash_nocase(text));
}

uint64_t
net_quota_block(unsigned kind, const struct net_addr *a, unsigned v4_bits, unsigned v6_bits)
{
	unsigned char b[17] = { 0 };
	unsigned bits = v6_bits;

	if (a->len != 0 && a->ss.ss_family == AF_INET6) {
		const struct in6_addr *in6 = &((const struct sockaddr_in6 *)&a->ss)->sin6_addr;

		memcpy(b + 1, in6, 16);
		if (IN6_IS_ADDR_V4MAPPED(in6)) {
			memmove(b + 1, b + 13, 4);
			memset(b + 5, 0, 12);
			bits = v4_bits;
			b[0] = 4;
		}
	} else if (a->len != 0 && a->ss.ss_family == AF_INET) {
		memcpy(b + 1, &((const struct sockaddr_in *)&a->ss)->sin_addr, 4);
		bits = v4_bits;
		b[0] = 4;
	}
	for (unsigned i = bits; i < 128; i++)
		b[1 + i / 8] &= (unsigned char)~(0x80 >> i % 8);
	return key_of(kind, hash_bytes(b, sizeof(b)));
}
