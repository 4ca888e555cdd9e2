/*
 * admin/master.h - the process that keeps its rights and is idle, and the proxy that has none.
 *
 * The master has read the configuration and opened the doors. It forks keyd
 * (net/keyd.h) and the proxy, which gives up its rights and serves. Whatever needs rights
 * or files later the proxy asks of the master: to read the configuration again, to look for
 * renewed certificates, to open the log again, to write a list. Questions are frames
 * with a table of who may ask what; answers that are long come as a file that is memory.
 *
 * Signals are the master's. TERM and INT close the doors and go on to the proxy, whose
 * end is the master's; HUP and USR1 go on to the proxy, which asks for what it needs. A
 * proxy that crashes is logged and replaced at once, at most MASTER_PAUSE_MS later if that happens
 * again and again; the doors stay open all the while, so nobody is turned away. So is keyd.
 *
 * One that hangs is found, too: keyd and the daemon's helper are asked whether they are well, and the proxy says so itself
 * while the loops of all its workers turn (MASTER_ALIVE). Who has not answered for hung_ms, as common/watch.h counts,
 * is killed (event=process-hung), and then it is as if it had crashed. The proxy's silence does not count while keyd is silent,
 * for it may wait for a signature; nor does what the master itself needs to answer.
 *
 * USR2 is for a new version of the program: if it finds its configuration good (-n), the
 * master becomes it, in the same process, with the doors open. As soon as the new proxy is ready, the
 * old one drains, with its keyd, and ends.
 */
#ifndef SALLYPORT_ADMIN_MASTER_H
#define SALLYPORT_ADMIN_MASTER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "common/lives.h"
#include "common/proc.h"
#include "net/keyd.h"

#define MASTER_PAUSE_MS		5000	/* the longest between two starts */
#define MASTER_HUNG_MIN_S	4	/* the least that hung_ms may be, if it is not 0 */
#define MASTER_FILE_MAX		(1u << 30) /* bytes of an answer: every revocation list of every door */

enum master_type {
	MASTER_ANSWER = 1,	/* ok (u8); a file may come with it */
	MASTER_READY,		/* the proxy serves, or has done what it was told */
	MASTER_LOG,		/* open the log again; the file comes back */
	MASTER_STOP,		/* the proxy was asked to end, by whoever may: as if by TERM */
	MASTER_KEYS,		/* to the proxy, unasked: new channels to keyd */
	MASTER_HELPER,		/* the same to the daemon's helper */
	MASTER_ALIVE,		/* the main thread is well, and all workers' loops turn; nothing is answered */
	/* admin/stage.h */
	MASTER_RENEW,		/* has a certificate changed? Yes; what has changed (stage_pack()), or nothing */
	MASTER_SESSIONS,	/* the session log, opened; yes: the file */
	MASTER_SESSIONS_ANEW,	/* the same, put aside (its name gets a ".1") and begun anew */
	MASTER_OWN = 16		/* from here on: the daemon's own questions */
};

/* ---- the master ---- */

struct backstage;
struct net_crew;

/* What is answered: to be filled by who answers. */
struct master_answer {
	bool	 ok;
	FILE	*file;		/* what is written into it goes with the answer, unless that is nothing */
	int	 fd;		/* this goes with it instead, and is closed; -1: nothing */
};

/* A question that the proxy may ask. */
struct master_question {
	unsigned	 type;		/* MASTER_OWN and above; 0 ends the table */
	bool		 takes_fd;	/* one descriptor comes with it; it stays the master's to close */
	void		(*answer)(void *owner, int fd, struct master_answer *);
};

/*
 * One process more that the workers have channels to, and that is started again when it ends, as keyd is. It began before
 * master_run(), and another one with each proxy (refresh()). It leads a group of its own, and what is left of that ends with it.
 */
struct master_helper {
	enum lives_of	 life;
	const pid_t	*pid;		/* 0: it is not there */
	/* It has ended by itself, in that way: say so. */
	void		(*ended)(void *owner, const char *how, int number);
	/* Another one, in its place: a channel for each worker into fds, which stay the owner's. False: not yet (logged). */
	bool		(*start)(void *owner, int *fds);
	/* Ask it whether it is well; and, when *control can be read, what it says: true if it is. Both without waiting. */
	const int	*control;	/* -1: it cannot be asked */
	void		(*beat)(void *owner);
	bool		(*hear)(void *owner);
};

struct renew;
struct net_tls_material;

struct master_spec {
	void				*owner;
	struct net_keyd			*keyd;
	unsigned			 nworkers;
	const struct master_question	*questions;
	const int			*doors;	/* what else the proxy keeps open; those that are -1 count for nothing */
	size_t				 ndoors;
	const int			*kept;	/* the same, but what a new version of the program does not get */
	size_t				 nkept;
	struct renew			*renew;	/* of the identities in force, material[0..nmaterial) */
	struct net_tls_material		**material;
	size_t				 nmaterial;
	const char			*session_file, *user;	/* NULL: none */
	uint64_t			 session_max;	/* bytes of that file; 0: it has no bound */
	/* In the child, still with all rights: be the proxy. What it returns, the process exits with. */
	int	(*proxy)(void *owner, struct backstage *);
	/* A new proxy is about to be made in the place of one that crashed: read what may have changed. False: not yet. */
	bool	(*refresh)(void *owner);
	/* The log was opened again: whoever else has one, too. NULL: nobody. */
	bool	(*reopened)(void *owner);
	const struct master_helper	*helper;	/* NULL: there is none */
	/* What keeps such a process of the program before alive until its proxy has drained; -1: nothing. NULL: the same. */
	const int			*lifeline;
	/* Close the doors: nobody serves any more. */
	void	(*close_doors)(void *owner);
	const char			*file;	/* the configuration: a new version of the program is told, for USR2 */
	unsigned			 stop_ms;	/* how long a proxy may take to end before it is killed */
	unsigned			 hung_ms;	/* a process that does not answer for so long hangs; 0: none ever does */
};

/*
 * Fork the proxy, and look after everything until it ends for good: what the
 * daemon exits with. daemon_signals() was called. One thread.
 */
int	 master_run(const struct master_spec *);

/* ---- the proxy ---- */

struct backstage {
	int		 channel;	/* questions */
	int		 pushed;	/* what comes unasked */
	int		 keys[NET_WORKERS_MAX];	/* a channel to keyd for each worker; -1: none */
	unsigned	 nkeys;
	/* What backstage_look() has brought: channels of the workers to another helper. The daemon's to take and to close. */
	int		 fresh[NET_WORKERS_MAX];
	unsigned	 nfresh;	/* 0: there are none */
	unsigned	 hung_ms;	/* as the master counts; 0: it does not */
	uint64_t	 alive_at;	/* when the master was last told that all is well, and */
	uint64_t	 looked_at;	/* when it was looked last whether it is, and */
	bool		 hung;		/* whether that was not told, since all was not */
	pthread_t	 waits;		/* the thread in daemon_wait(), which writes the session log */
};

/* Rights are given up by now: when the master is gone, so is this process. */
void	 backstage_follow(const struct backstage *);
/*
 * Ask, and wait for the answer: fd -1, or a descriptor that goes with it. bytes (the caller's
 * to free, NULL if nothing came) may be NULL. SP_OK, SP_EINVAL: the answer is no; SP_ECLOSED.
 */
int	 backstage_ask(struct backstage *, unsigned type, int fd, char **bytes, size_t *n);
/* Ask for an open file: the caller's, or -1 with errno. */
int	 backstage_ask_file(struct backstage *, unsigned type);
/* It serves, or has done what it was told: the service manager hears of it. */
void	 backstage_ready(struct backstage *);
/*
 * To be called every second, and oftener at will: while the loops of all workers turn, the master hears of it, and the
 * service manager by way of it, as often as they want (WATCHDOG=1). When one does not, they hear nothing, the log has
 * event=worker-hung, and what happens is up to them.
 */
void	 backstage_alive(struct backstage *, const struct net_crew *);
/* Whoever may has asked for the end: it comes to the proxy as DAEMON_STOP, by way of the master. */
void	 backstage_stop(struct backstage *);
/* DAEMON_REOPEN: the master opens the log, this process takes it. SP_OK or SP_EIO. */
int	 backstage_reopen_log(struct backstage *);
/*
 * DAEMON_CHILD: what the master has sent unasked is taken: keys' channels are replaced where they are, a helper's are in fresh[].
 * This process ends if it has no descriptors for them: another one begins, with them.
 */
void	 backstage_look(struct backstage *);

#endif
