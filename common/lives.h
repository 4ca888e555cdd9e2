/*
 * common/lives.h - how often each process of a daemon was started again.
 *
 * The counts are in memory that all processes of the daemon share, so that they outlive every one of them but
 * the master, and whoever is asked can tell them. A count is for people: nothing is decided by it. So is what
 * authd, which has no metrics of its own, remembers at the moment.
 */
#ifndef SALLYPORT_COMMON_LIVES_H
#define SALLYPORT_COMMON_LIVES_H

#include <stdint.h>

enum lives_of {
	LIVES_PROXY = 0,
	LIVES_KEYD,
	LIVES_AUTHD,
	LIVES_DIRECTORY,	/* the process that asks LDAP */
	LIVES_WINBIND,
	LIVES_SHARED,		/* the process that asks Redis */
	LIVES_N
};

/* From here on what is forked shares the counts. Once, by who is to be the master. Without it there are none. */
void	 lives_share(void);
/* It has ended and another takes its place. From any of the processes. */
void	 lives_again(enum lives_of);
uint64_t lives_again_count(enum lives_of);
/* It did not answer, and whoever looks after it ends it (common/watch.h): said in the log, and counted. From any of the processes. */
void	 lives_hung(enum lives_of, unsigned limit_ms);
uint64_t lives_hung_count(enum lives_of);
/* "proxy"; "" for what is none. Static. */
const char *lives_name(enum lives_of);

enum lives_cache {
	LIVES_GUESSES = 0,	/* director/guesses.h */
	LIVES_REPLAYS,		/* director/replay.h */
	LIVES_USERS,		/* director/dircache.h */
	LIVES_NCACHES
};

/* So many entries are in it, and so many times one gave way to another since its process began. */
void	 lives_tell(enum lives_cache, uint64_t entries, uint64_t full);
uint64_t lives_cache(enum lives_cache);
/* Over all processes that had it, one after the other. */
uint64_t lives_cache_full(enum lives_cache);
const char *lives_cache_name(enum lives_cache);	/* "guesses"; "" for what is none. Static. */

#endif
