/*
 * common/lives.h - how often each process of a daemon was started again.
 *
 * The counts are in memory that all processes of the daemon share, so that they outlive every one of them but
 * the master, and whoever is asked can tell them. A count is for people: nothing is decided by it.
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
	LIVES_N
};

/* From here on what is forked shares the counts. Once, by who is to be the master. Without it there are none. */
void	 lives_share(void);
/* It has ended and another takes its place. From any of the processes. */
void	 lives_again(enum lives_of);
uint64_t lives_again_count(enum lives_of);
/* "proxy"; "" for what is none. Static. */
const char *lives_name(enum lives_of);

#endif
