/*
 * admin/control.h - the control socket of a daemon: who may ask it what, and the answers.
 *
 * A thread of its own, beside the workers and never one of them, has the
 * UNIX socket, the clients and the requests under way. The daemon gives it
 * tables of verbs (edge/control.c, director/control.c; what both have: admin/daemonverbs.c). A verb's
 * run() is called in the control thread; it may answer at once, ask every
 * worker (control_ask_workers()) or the main thread (control_ask_main()) and
 * answer when they have, or keep the request and stream (control_on_gone()). The
 * request "verbs" is there always: it lists the tables.
 *
 * Who may ask is known from the socket (SO_PEERCRED, SO_PEERGROUPS), not from
 * what is said: root and the account that the daemon runs as may all; members of
 * the operators' group may read and change; members of the other group may read.
 * Everybody else is closed at once.
 *
 * Nobody can hurt anybody: clients, their half requests, the answers waiting
 * for them and the errands under way are bounded; who sends a wrong frame, does
 * not finish a request in CONTROL_HALF_MS or takes nothing for CONTROL_SLOW_MS is
 * closed, alone. A worker that does not answer is said to be missing after
 * CONTROL_ANSWER_MS. Workers never wait for the control thread.
 */
#ifndef SALLYPORT_ADMIN_CONTROL_H
#define SALLYPORT_ADMIN_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "admin/record.h"
#include "common/span.h"
#include "net/worker.h"

#define CONTROL_CLIENTS		64	/* at once; of one account that is neither root nor ours, CONTROL_PER_ACCOUNT */
#define CONTROL_PER_ACCOUNT	16
#define CONTROL_HALF_MS		5000	/* from the first byte of a request to its last */
#define CONTROL_IDLE_MS		60000	/* between requests */
#define CONTROL_SLOW_MS		10000	/* an answer waits, and the client takes nothing */
#define CONTROL_QUEUE_MAX	(2u << 20) /* bytes that wait for one client */
#define CONTROL_ANSWER_MS	2000	/* how long workers are waited for */
#define CONTROL_MAIN_MS		60000	/* … and the main thread, which may be loading 1,000 certificates */
#define CONTROL_GATHER_MAX	(512u << 10) /* bytes of records from one worker */

enum control_right {
	CONTROL_CHANGE = 0,	/* zero: whoever forgot to say needs most */
	CONTROL_READ
};

struct control;
struct control_request;
struct daemon_acts;		/* admin/daemonverbs.h */

struct control_arg {
	const char	*name;		/* NULL ends the list */
	enum record_type type;
	bool		 required;
};

struct control_verb {
	const char		*name;		/* as records' kinds are named; NULL ends the table */
	enum control_right	 right;
	/* What it may be given, NULL: nothing. Others, doubles (except items) and other types are refused, EX_USAGE. */
	const struct control_arg *args;
	bool			 takes_fd;	/* a file descriptor may come with it; with others it is an error */
	void			(*run)(struct control_request *);
};

struct control_setup {
	const char	*path;		/* "" or NULL: no control socket */
	const char	*group;		/* whose members may read; NULL or "": nobody's */
	const char	*operators;	/* whose members may change as well */
	const char	*user;		/* the account that the daemon becomes; NULL or "": it stays who it is */
	const struct control_verb *const *verbs;	/* NULL-ended list of tables, borrowed for good */
	void		*owner;		/* the daemon */
	const struct daemon_acts *acts;	/* borrowed for good; needed where verbs has daemon_verbs */
	struct net_crew	*crew;		/* who is asked; a worker without an owner has nothing to say */
	bool		 leaves_file;	/* whoever ends may remove no files by then: the next start replaces the socket */
	unsigned	 half_ms, idle_ms, slow_ms, answer_ms;	/* 0: as above */
};

/*
 * Bind the socket, before privileges are dropped and before any thread; nobody is
 * answered yet. Its directory is made if it is not there. Never NULL: what went
 * wrong is logged (a socket that a living process has, a directory that is not
 * ours …), and then the daemon runs without, since SIP does not wait for its
 * administration.
 */
struct control *control_new(const struct control_setup *);
/* The thread, from the thread that runs daemon_wait(), after privileges are dropped. Logs and goes on without. */
void	control_start(struct control *);
/* Ends the thread and closes all clients; before net_crew_stop(). */
void	control_stop(struct control *);
/* After net_crew_stop(). Removes the socket's file, if it is still ours and not to be left. NULL: nothing. */
void	control_free(struct control *);
/* The main thread: DAEMON_ASKED has come, so run what control_ask_main() has left for it. */
void	control_run_main(struct control *);
bool	control_knows_group(const char *group);

/* ---- in the control thread: a request and its answer ---- */

void	*control_owner(const struct control_request *);
const struct daemon_acts *control_acts(const struct control_request *);
const struct record *control_args(const struct control_request *);
/* As record_get_text() and record_get_int() of the arguments. */
struct span control_text(const struct control_request *, const char *name);
int64_t	control_int(const struct control_request *, const char *name, int64_t dflt);
/* The descriptor that came with it, or -1. The request's: closed with it, unless taken. */
int	control_fd(const struct control_request *);
int	control_take_fd(struct control_request *);	/* the caller's from now on */
/* Who asks: for the audit log. */
uid_t	control_uid(const struct control_request *);
pid_t	control_pid(const struct control_request *);
bool	control_may_change(const struct control_request *);

/*
 * Send a record. False: the client's queue is full or it is gone, and the record
 * is left out; control_end() then says that the answer was cut.
 */
bool	control_put(struct control_request *, const struct record_writer *);
bool	control_put_bytes(struct control_request *, struct span record);
/* There is more that is not said: control_end() says so. */
void	control_cut(struct control_request *);
/* Bytes that may still be put: for streams, which drop and count rather than have the request cut. */
size_t	control_room(const struct control_request *);
/* The end: a sysexits status and the reason in one line of ours (NULL: none). The request is gone after that. */
void	control_end(struct control_request *, int status, const char *fmt, ...)
	    __attribute__((format(printf, 3, 4)));
/*
 * fn(arg) is called, in the control thread, when the client leaves before the end
 * (or the daemon ends); the request is gone after it. fn NULL: not any more.
 */
void	control_on_gone(struct control_request *, void (*fn)(struct control_request *, void *arg), void *arg);
void	*control_kept(const struct control_request *);	/* that arg */

/* ---- asking others ---- */

/* One asked thread's answer, in that thread's hands until its fn returns. */
struct control_answer {
	const void	*question;	/* shared, not to be written */
	void		*slot;		/* slot_size bytes of its own, zeroed; or NULL */
	unsigned	 worker;
	/* records, kept in order; at most CONTROL_GATHER_MAX bytes, then: */
	unsigned char	*bytes;
	size_t		 len;
	bool		 cut;
	int		 status;	/* main thread: for control_end(); 0 at first */
	char		 why[256];	/* … its reason */
};
/* Keep a record. False (and cut): there is no room for it, so the caller may stop looking. */
bool	control_answer_put(struct control_answer *, const struct record_writer *);
void	control_answer_fail(struct control_answer *, int status, const char *fmt, ...)
	    __attribute__((format(printf, 3, 4)));

struct control_asked {
	void	(*fn)(void *who, struct control_answer *);	/* workers: struct net_worker; main: the owner */
	void	*question;		/* handed over; may be NULL */
	void	(*free_question)(void *); /* NULL: free() */
	size_t	 slot_size;
	void	(*fini_slot)(void *);	/* lets go of what the slot holds, in the control thread; NULL: nothing */
	/*
	 * In the control thread, when all have answered or the time is over. answer[i]
	 * is NULL where worker i did not answer in time. NULL: the records are sent as
	 * they are, in the order of the workers, and the request is ended; EX_TEMPFAIL
	 * with a sentence if somebody is missing. Must end the request or keep it.
	 */
	void	(*done)(struct control_request *, const void *question, struct control_answer *const *answer, unsigned n);
};
/*
 * Every worker runs fn once, between two of its batches; fn must be short (it
 * holds up SIP) and may touch the worker's own things only. The client may leave
 * meanwhile: then done is not called.
 */
void	control_ask_workers(struct control_request *, const struct control_asked *);
/* The main thread runs fn(owner, answer) when it gets to it; n is 1. */
void	control_ask_main(struct control_request *, const struct control_asked *);
/* The end of a request: with its records and status; NULL: it did not come in time. */
void	control_end_with(struct control_request *, const struct control_answer *);
/* Put all records of an answer; false: no room for all. */
bool	control_put_answer(struct control_request *, const struct control_answer *);

/*
 * From any thread: mail to the control thread, as to a worker (net/worker.h);
 * its deliver is called there, or, when the daemon ends, by control_free(). For streams.
 */
void	control_post(struct control *, struct net_mail *);
struct control *control_of(const struct control_request *);
/* The control thread's loop, for timers of verbs. */
struct net_loop *control_loop(const struct control *);

#endif
