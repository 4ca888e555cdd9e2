/*
 * net/door.c - listening on exactly one interface address.
 */
#include "net/door.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/mem.h"
#include "net/stats.h"

#define BACKLOG		1024	/* the kernel's own limit may be lower */
#define STARVED_PAUSE	100	/* ms */

struct net_door {
	struct net_loop			*loop;
	struct net_io			 io;
	struct net_timer		 hunger;	/* set while accept() found no descriptors */
	bool				 paused;
	bool				*gone;		/* set by close while connections are being handed out */
	const struct net_door_ops	*ops;
	void				*arg;
};

/* --- binding --- */

/* One listening socket, or -1 with errno. */
static int
bind_one(const struct net_addr *addr, bool share)
{
	const int on = 1;
	int fd, e;

	fd = socket(addr->ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	/* On Linux accepted sockets inherit TCP_NODELAY. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == -1 ||
	    (share && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == -1) ||
	    (addr->ss.ss_family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) == -1) ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == -1 ||
	    bind(fd, (const struct sockaddr *)&addr->ss, addr->len) == -1 || listen(fd, BACKLOG) == -1) {
		e = errno;
		close(fd);
		errno = e;
		return -1;
	}
	return fd;
}

int
net_door_bind(const struct net_addr *addr, unsigned n, int *fds)
{
	struct net_addr at = *addr;
	unsigned i;
	int fd, e;

	for (i = 0; i < n; i++)
		fds[i] = -1;
	if (n == 0 || addr->len == 0 || net_addr_is_any(addr))
		return SP_EINVAL;
	/*
	 * The first socket does not share: a port that another program of the same
	 * user shares must be refused, not split with it.
	 */
	if ((fd = bind_one(&at, false)) == -1)
		return SP_EIO;
	if (n == 1) {
		fds[0] = fd;
		return SP_OK;
	}
	if (net_addr_port(&at) == 0 && getsockname(fd, (struct sockaddr *)&at.ss, &at.len) == -1) {
		e = errno;
		close(fd);
		errno = e;
		return SP_EIO;
	}
	close(fd);
	for (i = 0; i < n; i++)
		if ((fds[i] = bind_one(&at, true)) == -1)
			break;
	if (i == n)
		return SP_OK;
	e = errno;
	while (i-- > 0) {
		close(fds[i]);
		fds[i] = -1;
	}
	errno = e;
	return SP_EIO;
}

static bool
listens_on(int fd, const struct net_addr *addr)
{
	struct net_addr at = { .len = sizeof(at.ss) };
	int listening = 0;
	socklen_t n = sizeof(listening);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &n) == 0 && listening != 0 &&
	    getsockname(fd, (struct sockaddr *)&at.ss, &at.len) == 0 && net_addr_same_host(&at, addr) &&
	    net_addr_port(&at) == net_addr_port(addr);
}

int
net_door_adopt(const struct net_addr *addr, unsigned n, int *fds, int *held, size_t nheld)
{
	const int on = 1;
	unsigned have = 0;

	for (size_t i = 0; i < nheld; i++) {
		if (held[i] == -1 || !listens_on(held[i], addr))
			continue;
		if (have < n) {
			(void)fcntl(held[i], F_SETFL, O_NONBLOCK);
			(void)setsockopt(held[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
			fds[have++] = held[i];
		} else {
			close(held[i]);
		}
		held[i] = -1;
	}
	if (have == 0)
		return SP_ENOENT;
	for (unsigned i = have; i < n; i++)
		fds[i] = fcntl(fds[i % have], F_DUPFD_CLOEXEC, 3);
	return SP_OK;
}

/* --- accepting --- */

static void
door_watch(struct net_door *d)
{
	net_io_want(d->loop, &d->io, d->paused || net_timer_is_set(&d->hunger) ? 0 : NET_READ);
}

static void
fed_again(struct net_timer *t)
{
	door_watch((struct net_door *)((char *)t - offsetof(struct net_door, hunger)));
}

static void
door_ready(struct net_io *io, unsigned events)
{
	struct net_door *d = (struct net_door *)((char *)io - offsetof(struct net_door, io));
	bool gone = false;

	(void)events;
	d->gone = &gone;
	for (int i = 0; i < NET_ACCEPT_BUDGET && !d->paused; i++) {
		struct net_addr from = { .len = sizeof(from.ss) };
		int fd, e;

		fd = accept4(io->fd, (struct sockaddr *)&from.ss, &from.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd != -1) {
			d->ops->accepted(d->arg, fd, &from);
			if (gone)
				return;
			continue;
		}
		e = errno;
		if (e == EAGAIN || e == EWOULDBLOCK)
			break;
		if (e == EMFILE || e == ENFILE || e == ENOBUFS || e == ENOMEM) {
			/* The connection stays in the backlog and would wake us without end. */
			net_timer_set(d->loop, &d->hunger, STARVED_PAUSE);
			door_watch(d);
			stats_count(STARVED, 0, 0);
			stats_limit_hit(FILES);
			if (d->ops->starved != NULL)
				d->ops->starved(d->arg, e);
			if (gone)
				return;
			break;
		}
		/* The rest concerns that one connection, which is gone again (accept(2)). */
	}
	d->gone = NULL;
}

struct net_door *
net_door_open(struct net_loop *loop, int fd, const struct net_door_ops *ops, void *arg)
{
	struct net_door *d = xcalloc(1, sizeof(*d));

	d->loop = loop;
	d->ops = ops;
	d->arg = arg;
	d->hunger.fire = fed_again;
	d->io.fd = fd;
	d->io.ready = door_ready;
	if (net_io_add(loop, &d->io, NET_READ) != SP_OK) {
		int e = errno;

		close(fd);
		free(d);
		errno = e;
		return NULL;
	}
	return d;
}

void
net_door_close(struct net_door *d)
{
	if (d == NULL)
		return;
	if (d->gone != NULL)
		*d->gone = true;
	net_timer_cancel(d->loop, &d->hunger);
	net_io_remove(d->loop, &d->io);
	close(d->io.fd);
	free(d);
}

void
net_door_pause(struct net_door *d, bool paused)
{
	d->paused = paused;
	door_watch(d);
}
