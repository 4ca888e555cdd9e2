/*
 * edge/discovery.c - see discovery.h.
 */
#include "edge/discovery.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/hash.h"
#include "common/mem.h"
#include "net/loop.h"
#include "net/srv.h"

#define ANSWERS		1024	/* kept, one to a slot */
#define QUESTIONS	100	/* at once, of each side; both are fewer than NET_DNS_FLIGHT_MAX */
#define USUAL		"_sipfederationtls._tcp."
#define NAME_ROOM	(sizeof(USUAL) + DOMAIN_MAX)
#define NSIDES		3
#define SHARES		256	/* askers are told apart by as many counts */

struct answer {
	char			*name;
	uint64_t		 until;
	enum net_dns_status	 status;
	unsigned		 nsrv;
	struct net_srv		 srv[];
};

struct waiter {
	struct waiter	*next;
	void		(*done)(void *arg, void *what);
	void		*arg, *what;
	unsigned	 share;
};

struct question {
	struct question		*next;
	struct edge_discovery	*owner;
	enum policy_side	 side;
	struct net_dns_query	*query;
	struct waiter		*waiters, **tail;
	unsigned		 nwaiters;
	unsigned		 share;		/* of who asked first */
	char			 name[];
};

struct edge_discovery {
	struct net_loop			*loop;
	struct net_dns			*dns;
	struct edge_discovery_limits	 limits;
	struct answer			*answers[ANSWERS];
	struct question			*questions;
	unsigned			 nquestions[NSIDES], nheld[NSIDES];
	unsigned			 questions_of[SHARES], held_of[SHARES];
	uint64_t			 random;
};

struct edge_discovery *
edge_discovery_new(struct net_loop *loop, struct net_dns *dns, const struct edge_discovery_limits *limits)
{
	struct edge_discovery *d = xcalloc(1, sizeof(*d));

	d->loop = loop;
	d->dns = dns;
	d->limits = *limits;
	mem_random(&d->random, sizeof(d->random));
	return d;
}

static void
free_question(struct question *q, void (*drop)(void *what))
{
	struct waiter *w;

	while ((w = q->waiters) != NULL) {
		q->waiters = w->next;
		drop(w->what);
		free(w);
	}
	free(q);
}

void
edge_discovery_flush(struct edge_discovery *d)
{
	for (size_t i = 0; i < ANSWERS; i++) {
		if (d->answers[i] != NULL)
			free(d->answers[i]->name);
		free(d->answers[i]);
		d->answers[i] = NULL;
	}
}

void
edge_discovery_free(struct edge_discovery *d, void (*drop)(void *what))
{
	struct question *q;

	if (d == NULL)
		return;
	while ((q = d->questions) != NULL) {
		d->questions = q->next;
		net_dns_cancel(q->query);
		free_question(q, drop);
	}
	edge_discovery_flush(d);
	free(d);
}

unsigned
edge_discovery_waiting(const struct edge_discovery *d)
{
	unsigned n = 0;

	for (size_t i = 0; i < NSIDES; i++)
		n += d->nheld[i];
	return n;
}

/* The record's full name; false if it has no room in DNS either. */
static bool
record_name(struct span domain, struct span name, char out[NAME_ROOM])
{
	struct strbuf sb;

	strbuf_init(&sb, out, NAME_ROOM);
	if (span_is_empty(name)) {
		strbuf_puts(&sb, USUAL);
		name = domain;
	}
	strbuf_span(&sb, name);
	return strbuf_ok(&sb);
}

static struct answer **
slot_of(struct edge_discovery *d, const char *name)
{
	return &d->answers[hash_bytes(name, strlen(name)) % ANSWERS];
}

/* 0 to bound inclusive; good enough to share load by (splitmix64). */
static uint32_t
draw(void *arg, uint32_t bound)
{
	struct edge_discovery *d = arg;
	uint64_t z = d->random += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	z ^= z >> 31;
	return (uint32_t)((z >> 32) * ((uint64_t)bound + 1) >> 32);
}

static struct span
copy_span(char *to, struct span from)
{
	struct strbuf sb;

	if (span_is_empty(from))
		return SPAN_NONE;
	strbuf_init(&sb, to, DOMAIN_MAX);
	strbuf_span(&sb, from);
	return strbuf_span_of(&sb);
}

bool
edge_discovery_look(struct edge_discovery *d, struct span domain, struct span name, struct edge_answer *out)
{
	char record[NAME_ROOM];
	struct answer *a;
	unsigned n = 0;

	out->dns = (struct policy_dns){ .state = POLICY_DNS_NONE };
	out->dns.domain = copy_span(out->domain, domain);
	out->dns.name = copy_span(out->name, name);
	if (!record_name(domain, name, record))
		return true;
	a = *slot_of(d, record);
	if (a == NULL || strcmp(a->name, record) != 0 || net_loop_now(d->loop) >= a->until)
		return false;
	if (a->status != NET_DNS_FOUND) {
		out->dns.state = a->status == NET_DNS_NONE ? POLICY_DNS_NONE : POLICY_DNS_FAILED;
		return true;
	}
	memcpy(out->srv, a->srv, a->nsrv * sizeof(a->srv[0]));
	net_srv_order(out->srv, a->nsrv, draw, d);
	for (unsigned i = 0; i < a->nsrv; i++) {
		if (out->srv[i].target[0] == '\0')
			continue;	/* "decidedly not available" (RFC 2782) */
		out->srv[n] = out->srv[i];
		out->target[n] = span_str(out->srv[n].target);
		out->port[n] = out->srv[n].port;
		n++;
	}
	out->dns.state = n != 0 ? POLICY_DNS_FOUND : POLICY_DNS_NONE;
	out->dns.targets = out->target;
	out->dns.ports = out->port;
	out->dns.ntargets = n;
	return true;
}

static void
keep(struct edge_discovery *d, const char *name, const struct net_dns_answer *from)
{
	struct answer **slot = slot_of(d, name), *a;
	unsigned n = from->status == NET_DNS_FOUND ? from->nsrv : 0;

	if (n > NET_DNS_SRV_MAX)
		n = NET_DNS_SRV_MAX;
	a = xmalloc(sizeof(*a) + n * sizeof(a->srv[0]));
	*a = (struct answer){ .name = xstrdup(name), .status = from->status, .nsrv = n };
	/* long enough for those who wait for it, whatever the zone says */
	a->until = net_loop_now(d->loop) + (from->ttl != 0 ? from->ttl : 1) * (uint64_t)1000;
	if (n != 0)
		memcpy(a->srv, from->srv, n * sizeof(a->srv[0]));
	if (*slot != NULL)
		free((*slot)->name);
	free(*slot);
	*slot = a;
}

static void
answered(void *arg, const struct net_dns_answer *a)
{
	struct question *q = arg, **p;
	struct edge_discovery *d = q->owner;
	struct waiter *w;

	keep(d, q->name, a);
	for (p = &d->questions; *p != q; p = &(*p)->next)
		;
	*p = q->next;
	d->nquestions[q->side]--;
	d->questions_of[q->share]--;
	d->nheld[q->side] -= q->nwaiters;
	/* what is done now may ask again: the question is nobody's any more */
	while ((w = q->waiters) != NULL) {
		q->waiters = w->next;
		d->held_of[w->share]--;
		w->done(w->arg, w->what);
		free(w);
	}
	free(q);
}

static struct question *
find_question(const struct edge_discovery *d, enum policy_side side, const char *name)
{
	for (struct question *q = d->questions; q != NULL; q = q->next)
		if (q->side == side && strcmp(q->name, name) == 0)
			return q;
	return NULL;
}

/*
 * Is there room for one more? An asker has no more than it leaves free to others,
 * so one alone comes to half, and there is always something for the next.
 */
static bool
has_room(unsigned own, unsigned share, unsigned all, unsigned max)
{
	return all < max && (share == 0 || own < max - all);
}

static struct question *
new_question(struct edge_discovery *d, enum policy_side side, unsigned share, const char *name)
{
	size_t n = strlen(name) + 1;
	struct question *q;

	if (!has_room(d->questions_of[share], share, d->nquestions[side], QUESTIONS))
		return NULL;
	q = xcalloc(1, sizeof(*q) + n);
	memcpy(q->name, name, n);
	q->owner = d;
	q->side = side;
	q->share = share;
	q->tail = &q->waiters;
	q->next = d->questions;
	d->questions = q;
	d->nquestions[side]++;
	d->questions_of[share]++;
	q->query = net_dns_srv(d->dns, q->name, answered, q);
	return q;
}

int
edge_discovery_ask(struct edge_discovery *d, enum policy_side side, struct span asker, struct span domain, struct span name,
    void (*done)(void *arg, void *what), void *arg, void *what)
{
	unsigned share = span_is_empty(asker) ? 0 : 1 + (unsigned)(hash_bytes(asker.p, asker.n) % (SHARES - 1));
	char record[NAME_ROOM];
	struct question *q;
	struct waiter *w;

	if (!has_room(d->held_of[share], share, d->nheld[side], d->limits.held) || !record_name(domain, name, record))
		return SP_ELIMIT;
	if ((q = find_question(d, side, record)) == NULL && (q = new_question(d, side, share, record)) == NULL)
		return SP_ELIMIT;
	if (q->nwaiters >= d->limits.held_per_domain)
		return SP_ELIMIT;
	w = xmalloc(sizeof(*w));
	*w = (struct waiter){ NULL, done, arg, what, share };
	*q->tail = w;
	q->tail = &w->next;
	q->nwaiters++;
	d->nheld[side]++;
	d->held_of[share]++;
	return SP_OK;
}
