/*
 * net/worker.h - threads, one event loop each, and the mail between them.
 *
 * A crew is fixed at start. What a worker owns (connections, transactions,
 * links, contexts) lives and dies with it; whatever concerns another worker's
 * things goes there by mail. Mail is a lock-free list and an eventfd that is
 * written only when the list was empty; order between two workers is kept.
 */
#ifndef SALLYPORT_NET_WORKER_H
#define SALLYPORT_NET_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "net/loop.h"

#define NET_WORKERS_MAX	64
#define NET_TURN_MS	1000

struct net_crew;

struct net_worker {
	unsigned	 id;		/* 0 .. n-1 */
	struct net_loop	*loop;
	struct net_crew	*crew;
	void		*owner;		/* the program's own state of this worker */
};

/* Embedded at the start of whatever is sent. deliver runs in the receiver and frees it. */
struct net_mail {
	struct net_mail	*next;
	void		(*deliver)(struct net_worker *, struct net_mail *);
};

/* 1 to NET_WORKERS_MAX. Loops and mailboxes are there at once. NULL: the system refused (logged). */
struct net_crew *net_crew_new(unsigned nworkers);
/*
 * Start every thread: each calls start(worker, arg), then runs its loop, then
 * stop(worker, arg) when net_crew_stop() was called. Signals stay with the
 * caller's thread. Returns when every start has returned: SP_OK, or the first
 * error of a start, or SP_EIO (errno) when a thread cannot be made. After an
 * error the threads are gone again; stop was called for each whose start went
 * well, and no mail was delivered.
 */
int	 net_crew_start(struct net_crew *, int (*start)(struct net_worker *, void *arg),
	    void (*stop)(struct net_worker *, void *arg), void *arg);
/*
 * Ask every loop to end and wait for the threads. No stop is called before all
 * loops have ended and all mail is delivered, also what the last mail sent; so a
 * stop sends none. Called by the thread that started the crew.
 */
void	 net_crew_stop(struct net_crew *);
void	 net_crew_free(struct net_crew *);
unsigned net_crew_count(const struct net_crew *);
struct net_worker *net_crew_worker(struct net_crew *, unsigned id);	/* NULL: no such */

/*
 * From any thread, of a crew that is started: milliseconds since the loop turned last of the worker whose loop has not done
 * so for longest. Each turns every NET_TURN_MS at the least, whether there is something to do or not. *id (unless NULL)
 * is that worker's.
 */
uint64_t net_crew_slowest(const struct net_crew *, unsigned *id);

/* From any thread, until net_crew_stop() has returned. Takes the mail. */
void	 net_worker_post(struct net_worker *to, struct net_mail *);

/* A worker for single-threaded tests and tools: no thread, the caller runs its loop. Freeing delivers what is left. */
struct net_worker *net_worker_solo(void);
void	 net_worker_solo_free(struct net_worker *);

#endif
