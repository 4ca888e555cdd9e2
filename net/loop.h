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
#include <stddef.h>
#include <stdint.h>

struct net_loop;

enum {
	NET_READ  = 1 << 0,
	NET_WRITE = 1 << 1,
	/*
	 * Told, never asked for: error or hang-up, together with whatever is wanted,
	 * so that the owner's own read or write learns the cause. It is told again
	 * until the io is removed.
	 */
	NET_HUP   = 1 << 2
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
	struct net_task	*next, **prev;	/* prev NULL: not queued */
	void		(*run)(struct net_task *);
};

/* NULL: the system refused (logged). */
struct net_loop *net_loop_new(void);
/* What is still set, queued or added is forgotten. */
void	 net_loop_free(struct net_loop *);
/* Until net_loop_stop(), which may come before; a task that queues itself again runs in the next batch. */
void	 net_loop_run(struct net_loop *);
/* One batch: wait at most wait_ms (-1: as the timers say), handle, run tasks. For tests and owners of several loops. */
void	 net_loop_once(struct net_loop *, int wait_ms);
void	 net_loop_stop(struct net_loop *);
/* Milliseconds of the clock, read once per batch; outside of a batch the clock itself. */
uint64_t net_loop_now(const struct net_loop *);

/* io->fd and io->ready are set by the caller. SP_OK or SP_EIO (errno). */
int	 net_io_add(struct net_loop *, struct net_io *, unsigned want);
void	 net_io_want(struct net_loop *, struct net_io *, unsigned want);
/* No event of this or a later batch reaches it any more. Does not close the fd. */
void	 net_io_remove(struct net_loop *, struct net_io *);

/*
 * timer->fire is set by the caller, the rest zeroed before the first use;
 * setting a set timer moves it. Counted from net_loop_now(), 1 ms fine, never
 * early; earliest first. Zero fires in the next batch, not in this one.
 */
void	 net_timer_set(struct net_loop *, struct net_timer *, uint64_t in_ms);
void	 net_timer_cancel(struct net_loop *, struct net_timer *);
static inline bool
net_timer_is_set(const struct net_timer *t)
{
	return t->prev != NULL;
}

/* task->run is set by the caller, the rest zeroed before the first use; queueing twice is once. In order. */
void	 net_task_queue(struct net_loop *, struct net_task *);
void	 net_task_cancel(struct net_loop *, struct net_task *);

#endif
