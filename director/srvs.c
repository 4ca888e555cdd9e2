/*
 * director/srvs.c - servers that DNS names.
 */
#include "director/srvs.h"

#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "common/log.h"
#include "common/mem.h"
#include "net/srv.h"

struct waiter {
	struct waiter	*next;
	void		(*fn)(void *arg);
	void		*arg;
};

struct srv_name {
	struct srvs		*of;
	char			*name;
	struct net_dns_query	*query;
	uint64_t		 until_ms;	/* then it is asked for again */
	struct net_srv		 v[NET_DNS_SRV_MAX];
	unsigned		 n;
	bool			 asked, failing;	/* an answer came; it was none */
	struct waiter		*first, **last;		/* for the first answer */
};

struct srvs {
	struct net_loop	*loop;
	struct net_dns	*dns;
	struct srv_name	*v[SRVS_MAX];
	unsigned	 n, nwaiters;
};

struct srvs *
srvs_new(struct net_loop *loop, struct net_dns *dns)
{
	struct srvs *s = xcalloc(1, sizeof(*s));

	s->loop = loop;
	s->dns = dns;
	return s;
}

/* Those who wait may ask, and wait, anew. */
static void
release(struct srv_name *e, void (*fn)(void *arg))
{
	struct waiter *v = e->first, *next;

	e->first = NULL;
	e->last = &e->first;
	for (; v != NULL; v = next) {
		next = v->next;
		e->of->nwaiters--;
		(fn != NULL ? fn : v->fn)(v->arg);
		free(v);
	}
}

void
srvs_free(struct srvs *s, void (*forget)(void *arg))
{
	if (s == NULL)
		return;
	for (unsigned i = 0; i < s->n; i++) {
		release(s->v[i], forget);
		if (s->v[i]->query != NULL)
			net_dns_cancel(s->v[i]->query);
		free(s->v[i]->name);
		free(s->v[i]);
	}
	free(s);
}

static void
came(void *arg, const struct net_dns_answer *a)
{
	struct srv_name *e = arg;
	bool good = a->status == NET_DNS_FOUND && a->nsrv != 0;

	e->query = NULL;
	e->until_ms = net_loop_now(e->of->loop) + (uint64_t)(good ? a->ttl : NET_DNS_FAILED_TTL) * 1000;
	if (good) {
		e->n = 0;
		for (unsigned i = 0; i < a->nsrv && e->n < NET_DNS_SRV_MAX; i++)
			if (a->srv[i].target[0] != '\0')
				e->v[e->n++] = a->srv[i];
	}
	if (!e->asked || good == e->failing) {
		struct logrec r = log_begin(good ? SP_LOG_NOTICE : SP_LOG_ERROR, good ? "srv-found" : "srv-failed");

		log_outside(&r, "name", span_str(e->name));
		log_uint(&r, "targets", e->n);
		log_end(&r);
		e->asked = true;
		e->failing = !good;
	}
	release(e, NULL);
}

static struct srv_name *
find(const struct srvs *s, const char *name)
{
	for (unsigned i = 0; i < s->n; i++)
		if (strcmp(s->v[i]->name, name) == 0)
			return s->v[i];
	return NULL;
}

bool
srvs_wait(struct srvs *s, const char *name, void (*fn)(void *arg), void *arg)
{
	struct srv_name *e = find(s, name);
	struct waiter *v;

	if (e == NULL || e->asked || e->query == NULL || s->nwaiters >= SRVS_WAITERS_MAX)
		return false;
	v = xcalloc(1, sizeof(*v));
	v->fn = fn;
	v->arg = arg;
	*e->last = v;
	e->last = &v->next;
	s->nwaiters++;
	return true;
}

unsigned
srvs_waiting(const struct srvs *s)
{
	return s->nwaiters;
}

/* The next number of a sequence that begins with the key. */
static uint32_t
draw(void *arg, uint32_t bound)
{
	uint64_t *state = arg;

	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((*state >> 33) % ((uint64_t)bound + 1));
}

/* One order for all, whatever the order in which the records came. */
static int
by_name(const void *a, const void *b)
{
	const struct net_srv *x = a, *y = b;
	int c = strcmp(x->target, y->target);

	return c != 0 ? c : (int)x->port - (int)y->port;
}

unsigned
srvs_targets(struct srvs *s, const char *name, uint64_t key, struct net_srv *out, unsigned max)
{
	struct net_srv v[NET_DNS_SRV_MAX];
	struct srv_name *e = find(s, name);

	if (e == NULL) {
		if (s->n == SRVS_MAX)
			return 0;
		e = s->v[s->n++] = xcalloc(1, sizeof(*e));
		e->of = s;
		e->last = &e->first;
		e->name = xstrdup(name);
	}
	if (e->query == NULL && net_loop_now(s->loop) >= e->until_ms)
		e->query = net_dns_srv(s->dns, name, came, e);
	memcpy(v, e->v, e->n * sizeof(v[0]));
	qsort(v, e->n, sizeof(v[0]), by_name);
	net_srv_order(v, e->n, draw, &key);
	max = e->n < max ? e->n : max;
	memcpy(out, v, max * sizeof(v[0]));
	return max;
}
