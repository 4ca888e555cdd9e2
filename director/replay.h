/*
 * director/replay.h - which uses of a nonce have been seen (RFC 7616 3.4.3).
 *
 * A bounded table in order of first use. When it is full, the entry that was
 * used first makes room, and all nonces as old as that one that are not in the table are too
 * old from then on: forgetting never makes a replay possible, it only costs a
 * client one more round. Uses may come out of order by up to 64.
 *
 * Only uses that were proven are put in, so nobody without a password fills it.
 */
#ifndef SALLYPORT_DIRECTOR_REPLAY_H
#define SALLYPORT_DIRECTOR_REPLAY_H

#include <stdint.h>

#include "director/auth.h"

enum replay {
	REPLAY_USED = 0,	/* this count was there before, or is far behind */
	REPLAY_TOO_OLD,		/* it cannot be told any more */
	REPLAY_FRESH		/* and is used from now on */
};

struct replay_table;

struct replay_table *replay_new(uint32_t max);	/* at most so many nonces; max >= 1 */
void	 replay_free(struct replay_table *);
/* Nonces that are remembered; *full: how many gave way to others so far. */
uint32_t replay_count(const struct replay_table *, uint64_t *full);
enum replay replay_use(struct replay_table *, const struct auth_nonce_id *, uint32_t nc);

#endif
