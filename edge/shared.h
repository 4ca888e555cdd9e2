/*
 * edge/shared.h - what the nodes of an array share, by way of a Redis server: the policy in force, with its
 * blocks, as a numbered version; and how much each has let pass of partners that nobody has listed.
 *
 * A process of its own (shared) speaks with Redis. It has neither files nor rights, and
 * no word of SIP; the master gives it what is to be told and takes what it has heard, about once
 * a second, and looks at that as at anybody's: a policy text is read and checked as any
 * other, and its number, author and hash have to fit. Only this process ever waits for Redis, in rounds that
 * are over in SHARED_ROUND_MS whatever comes; it answers each tick of the master's, and if it does not, the master
 * says so (SHARED_HUNG_MS) and in the end makes another.
 *
 * Redis has, below `prefix`: PREFIX:policy, a hash of version, sha256, change (policychange.h) and text;
 * PREFIX:partner:FINGERPRINT, a hash with a field for each node: wall clock, requests since the
 * exchange before, addressees, suspicion; and PREFIX:nodes, a hash with a field for each node: wall clock. A change
 * of policy is made by WATCH and EXEC, so that two administrators cannot both make a version out of the same one.
 *
 * While Redis is gone each node is on its own, and says so; when it is back, what was changed here
 * meanwhile is told, unless somebody else was faster: then that counts, and what was made here
 * stays in this node's history.
 */
#ifndef SALLYPORT_EDGE_SHARED_H
#define SALLYPORT_EDGE_SHARED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "admin/policychange.h"
#include "common/span.h"
#include "edge/discovered.h"
#include "net/addr.h"
#include "net/stats.h"

#define SHARED_EVERY_MS		500	/* how often Redis is asked */
#define SHARED_ANSWER_MS	1000	/* how long it may take for any one thing */
#define SHARED_ROUND_MS		1500	/* … and for all of a round: connecting, all commands, all replies */
#define SHARED_CLAIM_MS		5000	/* how long a change of policy waits for its answer: two rounds before its own */
#define SHARED_HUNG_MS		5000	/* a tick that has no answer: the process hangs */
#define SHARED_KILL_MS		9000	/* … and is made anew */
#define SHARED_TICKS_MAX	4	/* without an answer; then no more are sent */
#define SHARED_CLAIMS_MAX	4	/* under way */
#define SHARED_PARTNERS_MAX	500	/* partners that are told of at once */
#define SHARED_VERSION_MAX	(1ULL << 48)

enum shared_state {
	SHARED_OFF = 0,		/* not configured */
	SHARED_STARTING,	/* nothing was heard yet */
	SHARED_UP,
	SHARED_ALONE		/* Redis is not to be had: this node goes by its own state */
};

const char *shared_state_name(enum shared_state);

/* How things are; a plain value. */
struct shared_status {
	enum shared_state	state;
	enum stats_shared	reason;		/* of SHARED_ALONE */
	char			detail[128];	/* ours, or OpenSSL's; "" */
	time_t			since;		/* of that state */
	uint64_t		version;	/* of the policy that is shared; 0: none is, or it is not known */
};
/* The line "shared-state" of the log; none of a state in which nothing was heard. */
void	shared_log(const struct shared_status *);

struct shared_setup {
	struct net_addr	 server;
	const char	*name, *trust, *certificate, *key;
	const char	*user, *password;	/* "" or NULL: none */
	const char	*prefix, *node;		/* node: inner.name, which no other has */
	const char	*run_as;
	bool		 sandbox;
};

/* ---- between master and process (edge/sharedproc.c); frames by common/chan.h ---- */

enum shared_type {
	/* to the process */
	/*
	 * tag; sha256 of the policy in force here, sha256 of one that cannot be; a file of struct edge_discovered_spent or none
	 */
	SHARED_TICK = 1,
	SHARED_CLAIM,		/* tag; change (a line), sha256 of its parent; the text as a file */
	/* from it */
	/* the tick's tag, or 0 when something has changed; state, reason (u8), version (u64), of the tick's partners the first
	 * so many were told (u64), detail */
	SHARED_STATUS,
	SHARED_POLICY,		/* change; the text as a file: what is shared is not what is in force here */
	SHARED_EMPTY,		/* no policy is shared yet */
	SHARED_OTHERS,		/* a file of struct edge_discovered_spent: what the other nodes have let pass */
	SHARED_CLAIMED		/* tag; verdict (u8), change that is shared now, or "" */
};

enum shared_verdict { SHARED_CLAIM_DONE = 0, SHARED_CLAIM_LOST, SHARED_CLAIM_ALONE };

/*
 * Start it: its pid, and the master's end of its channel, which is closed to end it. -1: it cannot be. The setup's files
 * are read first.
 */
pid_t	shared_fork(const struct shared_setup *, int *channel);

/*
 * What another node has written of itself and a partner, as redis has it. now: wall clock. False: it is not that, or too old
 * to count. Only *out's numbers are set. Exposed for tests.
 */
bool	shared_read_spent(struct span text, time_t now, struct edge_discovered_spent *out);
/* A policy as Redis has it: does it fit together, and is it one that may be taken? Exposed for tests. */
bool	shared_read_policy(struct span version, struct span sha256, struct span change, struct span text, struct policy_change *out);

/* ---- the master (edge/shared.c) ---- */

struct shared;

/* Starts the process; setup is copied. Never NULL. */
struct shared *shared_new(const struct shared_setup *);
void	shared_free(struct shared *);	/* NULL: nothing; the process ends */

/* A policy that another node has put in force: the caller's to free. */
struct shared_policy {
	struct policy_change	 change;
	char			*text;
	size_t			 n;
};
/* What came since the last time. Zeroed: nothing. */
struct shared_news {
	struct shared_policy	 policy;	/* text NULL: none */
	bool			 empty;		/* nothing is shared yet: somebody has to begin */
	struct edge_discovered_spent *others;	/* the caller's to free */
	size_t			 nothers;
	struct edge_discovered_spent *untold;	/* of this time or before, what could not be told; the caller's to free */
	size_t			 nuntold;
};
/* What is in force here, for a tick. */
struct shared_here_now {
	const char	*sha256;
	const char	*unfit;		/* SHA-256 of a shared text that cannot be in force here; "": none */
};
/*
 * Say what is in force here, and what was let pass; hear what came. Does not wait. Starts the process again, if
 * it has ended, now and then.
 */
void	shared_exchange(struct shared *, const struct shared_here_now *, const struct edge_discovered_spent *, size_t n,
	    struct shared_news *);
/*
 * That change is to be the next version of all nodes, in the place of the text with the SHA-256 parent. Does not wait: the
 * claim's number, for shared_claim_look(); 0: nobody can be asked.
 */
uint64_t shared_claim(struct shared *, const struct policy_change *, const char *parent, struct span text);
/* How a claim has ended. */
struct shared_claimed {
	enum shared_verdict	 verdict;
	struct policy_change	 change;	/* that was claimed */
	/*
	 * DONE: as it was made, with a higher number if that one was given. LOST: somebody else's, that is in force there, if
	 * known (version 0: not).
	 */
	struct policy_change	 instead;
};
/* Does not wait. False: there is no answer yet. After SHARED_CLAIM_MS, and of a claim that is not known, it is ALONE; told once. */
bool	shared_claim_look(struct shared *, uint64_t claim, struct shared_claimed *);
struct shared_status shared_status(const struct shared *);

#endif
