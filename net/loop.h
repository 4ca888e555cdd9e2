/*
 * net/loop.h - file descriptors and timers; the one file that knows whose
 * event loop runs (raw epoll, level-triggered, and a timer wheel).
 *
 * A loop belongs to one thread; only net/worker.h's mailbox may be touched by
 * others. The structs are embedded in their owners and are theirs; a callback
 * may free its own owner or any other, as long as it removed them first.
 */
#ifndef SALLYPORT_NET_LOOP_H
#define SALLYPORT_NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct net_loop;

enum {
	NET_READ  = 1 << 0,
	NET_WRITE = 1 << 1,
	NET_HUP   = 1 << 2	/* told, never asked for: error or hang-up */
};

struct net_io {
	int		 fd;
	unsigned	 want;		/* NET_READ | NET_WRITE, as last set */
	void		(*ready)(struct net_io *, unsigned events);
};

struct net_timer {
	struct net_timer	*next, **prev;	/* prev NULL: not set */
	uint64_t		 at;		/* ms of clock_ms() */
	void			(*fire)(struct net_timer *);
};

/* Work to be done once, after the events of this batch (sealing and sending, freeing). */
struct net_task {
	struct net_task	*next;
	bool		 queued;
	void		(*run)(struct net_task *);
};

struct net_loop *net_loop_new(void);
void	 net_loop_free(struct net_loop *);
/* Until net_loop_stop(); a task that queues itself again runs in the next batch. */
void	 net_loop_run(struct net_loop *);
/* One batch: wait at most wait_ms (-1: as the timers say), handle, run tasks. For tests and owners of several loops. */
void	 net_loop_once(struct net_loop *, int wait_ms);
void	 net_loop_stop(struct net_loop *);
/* Milliseconds of the clock, read once per batch. */
uint64_t net_loop_now(const struct net_loop *);

/* io->fd and io->ready are set by the caller. SP_OK or SP_EIO. */
int	 net_io_add(struct net_loop *, struct net_io *, unsigned want);
void	 net_io_want(struct net_loop *, struct net_io *, unsigned want);
/* No event of this or a later batch reaches it any more. Does not close the fd. */
void	 net_io_remove(struct net_loop *, struct net_io *);

/* timer->fire is set by the caller; setting a set timer moves it. Granularity 8 ms or finer, never early. */
void	 net_timer_set(struct net_loop *, struct net_timer *, uint64_t in_ms);
void	 net_timer_cancel(struct net_loop *, struct net_timer *);
static inline bool
net_timer_is_set(const struct net_timer *t)
{
	return t->prev != NULL;
}

/* task->run is set by the caller; queueing twice is once. */
void	 net_task_queue(struct net_loop *, struct net_task *);
void	 net_task_cancel(struct net_loop *, struct net_task *);

#endif
