/*
 * director/overdue.c - an end to waiting that a library has no end for.
 */
#include "director/overdue.h"

#include <sys/socket.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/mem.h"

#define LOOK_US	(20 * 1000)

struct overdue_one {
	struct overdue		*of;
	struct overdue_one	*next;
	int			 fd;
	uint64_t		 until_ms;	/* 0: nothing is waited for */
};

struct overdue {
	pthread_mutex_t		 lock;
	pthread_cond_t		 some;		/* somebody waits for something */
	unsigned		 nwaiting;
	struct overdue_one	*first;
};

static void *
look(void *arg)
{
	struct overdue *o = arg;

	pthread_mutex_lock(&o->lock);
	for (;;) {
		while (o->nwaiting == 0)
			pthread_cond_wait(&o->some, &o->lock);
		for (struct overdue_one *one = o->first; one != NULL; one = one->next)
			if (one->until_ms != 0 && one->fd >= 0 && clock_ms() >= one->until_ms)
				shutdown(one->fd, SHUT_RDWR);
		pthread_mutex_unlock(&o->lock);
		usleep(LOOK_US);
		pthread_mutex_lock(&o->lock);
	}
	return NULL;
}

struct overdue *
overdue_new(void)
{
	struct overdue *o = xcalloc(1, sizeof(*o));
	pthread_t thread;

	pthread_mutex_init(&o->lock, NULL);
	pthread_cond_init(&o->some, NULL);
	if (pthread_create(&thread, NULL, look, o) == 0)
		return o;
	free(o);
	return NULL;
}

struct overdue_one *
overdue_add(struct overdue *o)
{
	struct overdue_one *one = xcalloc(1, sizeof(*one));

	one->of = o;
	one->fd = -1;
	pthread_mutex_lock(&o->lock);
	one->next = o->first;
	o->first = one;
	pthread_mutex_unlock(&o->lock);
	return one;
}

void
overdue_watch(struct overdue_one *one, int fd)
{
	int copy = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1, was;

	pthread_mutex_lock(&one->of->lock);
	was = one->fd;
	one->fd = copy;
	pthread_mutex_unlock(&one->of->lock);
	if (was >= 0)
		close(was);
}

void
overdue_in(struct overdue_one *one, unsigned ms)
{
	struct overdue *o = one->of;

	pthread_mutex_lock(&o->lock);
	o->nwaiting += (ms != 0) - (one->until_ms != 0);
	one->until_ms = ms != 0 ? clock_ms() + ms : 0;
	if (o->nwaiting != 0)
		pthread_cond_signal(&o->some);
	pthread_mutex_unlock(&o->lock);
}
