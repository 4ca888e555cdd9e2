/*
 * net/srv.c - the order in which SRV targets are tried (RFC 2782).
 */
#include "net/srv.h"

#include <stdlib.h>

static void
swap(struct net_srv *a, struct net_srv *b)
{
	struct net_srv t = *a;

	*a = *b;
	*b = t;
}

static int
by_priority(const void *a, const void *b)
{
	const struct net_srv *x = a, *y = b;

	return (x->priority > y->priority) - (x->priority < y->priority);
}

/* One group of equal priority. */
static void
draw(struct net_srv *v, unsigned n, uint32_t (*random)(void *arg, uint32_t bound), void *arg)
{
	unsigned zeros = 0, i;
	uint32_t sum, pick, at;

	/*
	 * Shuffled first: among targets of one weight the server's order must not
	 * decide, and with weights of zero only the RFC's drawing would let it.
	 */
	for (i = n; i > 1; i--)
		swap(&v[i - 1], &v[random(arg, i - 1)]);
	/* Those of no weight to the front: drawn only when the number is zero. */
	for (i = 0; i < n; i++)
		if (v[i].weight == 0)
			swap(&v[i], &v[zeros++]);
	for (; n > 1; v++, n--) {
		for (sum = 0, i = 0; i < n; i++)
			sum += v[i].weight;
		pick = random(arg, sum);
		for (at = 0, i = 0; i < n - 1; i++)
			if ((at += v[i].weight) >= pick)
				break;
		/* The chosen one moves to the front and the others keep their order. */
		for (; i > 0; i--)
			swap(&v[i], &v[i - 1]);
	}
}

void
net_srv_order(struct net_srv *v, unsigned n, uint32_t (*random)(void *arg, uint32_t bound), void *arg)
{
	unsigned from, to;

	if (n < 2)
		return;
	qsort(v, n, sizeof(*v), by_priority);
	for (from = 0; from < n; from = to) {
		for (to = from + 1; to < n && v[to].priority == v[from].priority; to++)
			;
		draw(v + from, to - from, random, arg);
	}
}
