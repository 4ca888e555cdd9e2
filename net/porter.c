/*
 * net/porter.c - see porter.h. One struct for each connection that waits, in the order in which they came.
 */
#include "net/porter.h"

#include <sys/socket.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/mem.h"
#include "net/proxyhead.h"
#include "net/stats.h"

struct caller {
	struct net_io		 io;
	struct net_timer	 timer;
	struct net_porter	*porter;
	struct caller		*older, *younger;
	struct net_addr		 balancer;
	bool			 local;		/* the header was read, and it said nothing of anybody */
	size_t			 n;
	char			 bytes[NET_PROXYHEAD_MAX];
};

struct net_porter {
	struct net_loop			*loop;
	struct net_prefix		*balancer;
	size_t				 nbalancers;
	struct net_porter_limits	 limits;
	const struct net_porter_ops	*ops;
	void				*arg;
	struct caller			*oldest, *youngest;
	unsigned			 waiting;
};

#define OF(member, ptr)	((struct caller *)(void *)((char *)(ptr) - offsetof(struct caller, member)))

struct net_porter *
net_porter_new(struct net_loop *loop, const struct net_prefix *balancers, size_t n, const struct net_porter_limits *limits,
    const struct net_porter_ops *ops, void *arg)
{
	struct net_porter *p = xcalloc(1, sizeof(*p));

	p->loop = loop;
	p->balancer = xreallocarray(NULL, n, sizeof(*balancers));
	memcpy(p->balancer, balancers, n * sizeof(*balancers));
	p->nbalancers = n;
	p->limits = *limits;
	p->ops = ops;
	p->arg = arg;
	return p;
}

/* Out of the porter's hands; its descriptor is whoever's asks. */
static int
let_go(struct caller *c)
{
	struct net_porter *p = c->porter;
	int fd = c->io.fd;

	net_timer_cancel(p->loop, &c->timer);
	net_io_remove(p->loop, &c->io);
	*(c->older != NULL ? &c->older->younger : &p->oldest) = c->younger;
	*(c->younger != NULL ? &c->younger->older : &p->youngest) = c->older;
	p->waiting--;
	free(c);
	return fd;
}

void
net_porter_free(struct net_porter *p)
{
	if (p == NULL)
		return;
	while (p->oldest != NULL)
		close(let_go(p->oldest));
	free(p->balancer);
	free(p);
}

bool
net_porter_knows(const struct net_porter *p, const struct net_addr *from)
{
	return net_prefix_any(p->balancer, p->nbalancers, from);
}

unsigned
net_porter_waiting(const struct net_porter *p)
{
	return p->waiting;
}

static void
refuse(struct caller *c, enum policy_reason why, const char *detail)
{
	struct net_porter *p = c->porter;
	struct net_addr balancer = c->balancer;

	close(let_go(c));
	p->ops->refused(p->arg, &balancer, why, detail);
}

static void
pass_on(struct caller *c, const struct net_addr *from)
{
	struct net_porter *p = c->porter;
	struct net_addr who = *from;
	int fd = let_go(c);

	p->ops->arrived(p->arg, fd, &who);
}

static void
took_too_long(struct net_timer *t)
{
	struct caller *c = OF(timer, t);

	if (c->local) {
		close(let_go(c));
		return;
	}
	stats_limit_hit(PROXY_HEADER_TIME);
	refuse(c, POLICY_REASON_PROXY_HEADER, "no PROXY header in time");
}

/* The balancer's own connection: somebody's as soon as it says something, nobody's if it ends. */
static void
heard_local(struct caller *c)
{
	char one;
	ssize_t n = recv(c->io.fd, &one, 1, MSG_PEEK);

	if (n > 0)
		pass_on(c, &c->balancer);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		close(let_go(c));
}

static void
heard(struct net_io *io, unsigned events)
{
	struct caller *c = OF(io, io);
	struct net_proxyhead head;
	const char *fault;
	ssize_t n;
	int err;

	(void)events;
	while (!c->local) {
		/* never more than belongs to the header: the rest is TLS's */
		err = net_proxyhead_parse(span_of(c->bytes, c->n), &head, &fault);
		if (err == SP_EAGAIN) {
			n = recv(io->fd, c->bytes + c->n, head.n - c->n, 0);
			if (n > 0)
				c->n += (size_t)n;
			else if (n < 0 && (errno == EAGAIN || errno == EINTR))
				return;
			else if (c->n == 0) {
				close(let_go(c));	/* it only looked whether we are there */
				return;
			} else {
				refuse(c, POLICY_REASON_PROXY_HEADER, "the PROXY header was cut off");
				return;
			}
		} else if (err != SP_OK) {
			refuse(c, POLICY_REASON_PROXY_HEADER, fault);
			return;
		} else if (head.local) {
			c->local = true;
		} else {
			pass_on(c, &head.from);
			return;
		}
	}
	heard_local(c);
}

void
net_porter_take(struct net_porter *p, int fd, const struct net_addr *from)
{
	struct caller *c;

	if (p->waiting >= p->limits.waiting) {
		stats_limit_hit(HANDSHAKES);
		refuse(p->oldest, POLICY_REASON_CONNECTION_LIMIT, "too many connections without a PROXY header at once");
	}
	c = xcalloc(1, sizeof(*c));
	c->porter = p;
	c->balancer = *from;
	c->io.fd = fd;
	c->io.ready = heard;
	c->timer.fire = took_too_long;
	if (net_io_add(p->loop, &c->io, NET_READ) != SP_OK) {
		close(fd);
		free(c);
		p->ops->refused(p->arg, from, POLICY_REASON_OVERLOAD, "no resources for another connection");
		return;
	}
	if ((c->older = p->youngest) != NULL)
		c->older->younger = c;
	else
		p->oldest = c;
	p->youngest = c;
	p->waiting++;
	net_timer_set(p->loop, &c->timer, p->limits.header_ms);
}
