/*
 * admin/control_int.h - what the two halves of the control socket share: control.c has the
 * socket, clients and requests; controlask.c asks other threads for them.
 */
#ifndef SALLYPORT_ADMIN_CONTROL_INT_H
#define SALLYPORT_ADMIN_CONTROL_INT_H

#include <pthread.h>
#include <sys/socket.h>

#include "admin/control.h"
#include "common/clock.h"
#include "net/loop.h"

#define CONTROL_GATHERS		64	/* questions under way, abandoned ones too */
#define CONTROL_END_ROOM	1024	/* kept free in a client's queue for END */

struct gather;

enum control_deadline {
	DEADLINE_NONE = 0,
	DEADLINE_IDLE,
	DEADLINE_HALF,
	DEADLINE_SLOW
};

struct control_client {
	struct control_client	*next, **prev;
	struct control		*c;
	struct net_io		 io;
	struct net_timer	 timer;
	enum control_deadline	 deadline;
	struct net_task		 work;		/* flush, then take the next request */
	uid_t			 uid;
	pid_t			 pid;
	bool			 may_change;
	bool			 is_ours;	/* root or the daemon's account */
	uint64_t		 busy_at;	/* something came or went last */
	int			 fd;		/* came with what is in `in`; -1: none */
	unsigned char		*in;		/* FRAME_HEAD + FRAME_MAX */
	size_t			 in_len;
	unsigned char		*out;
	size_t			 out_from, out_len, out_room;
	struct control_request	*request;	/* under way */
};

struct control_request {
	struct control_client	*client;
	const struct control_verb *verb;
	unsigned char		*bytes;		/* the arguments' */
	struct record		 args;
	uint64_t		 tag;
	int			 fd;
	bool			 cut;
	struct gather		*gather;
	void			(*gone)(struct control_request *, void *);
	void			*gone_arg;
};

struct control {
	char			*path;
	void			*owner;
	const struct daemon_acts *acts;
	struct net_crew		*crew;
	unsigned		 ms[4];		/* by enum control_deadline */
	unsigned		 answer_ms;
	const struct control_verb *const *verbs;
	struct net_worker	*worker;	/* our loop and mailbox; no thread of the crew */
	pthread_t		 thread, main_thread;
	bool			 running;
	struct net_io		 door;
	struct net_timer	 starved;
	int			 spare;		/* a descriptor for who asks when there are none left; -1: in use */
	bool			 leaves_file;
	dev_t			 dev;
	ino_t			 ino;
	uid_t			 uid;		/* the daemon's account */
	gid_t			 read_gid, change_gid;	/* (gid_t)-1: none */
	struct control_client	*clients;
	unsigned		 nclients;
	uint64_t		 strangers, told_at;	/* turned away since that was logged; when it was */
	uint64_t		 cuts, cut_told_at;	/* the same of rude clients */
	unsigned		 ngathers;
	struct net_mail		 stop;
	/* for the main thread */
	pthread_mutex_t		 lock;
	struct net_mail		*main_first, **main_last;
};

/* The request's client has left: nobody waits for the answer. */
void	control_gather_abandon(struct gather *);
/* The end: what the main thread has not run goes back unanswered. */
void	control_gather_drop_main(struct control *);

#endif
