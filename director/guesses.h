/*
 * director/guesses.h - wrong passwords, counted: by user and source together, by source, by user.
 *
 * Each count goes down by one every forget_ms. Who is at a limit is refused
 * before the password is looked at, so that a right one is not told from a
 * wrong one; names that nobody has are counted like all others.
 *
 * Nobody can lock a user out from elsewhere: a source from which the user has
 * signed in before answers for its own wrong passwords of that user alone,
 * whatever strangers do to the user's count, or others behind the same address
 * to the source's. Only a source that is new to the user has to wait.
 *
 * An attempt counts from when it begins, lest many at once be one; it is taken
 * back when the password was right. Fixed memory; when a set of the table is
 * full, the lowest count in it is forgotten. Not shared: authd has one.
 */
#ifndef SALLYPORT_DIRECTOR_GUESSES_H
#define SALLYPORT_DIRECTOR_GUESSES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/span.h"

#define GUESSES_SOURCE_MAX	64	/* bytes of a source's name, with room for a NUL */

/* A limit is how many wrong ones are let pass at once; 0: there is none. */
struct guesses_limits {
	uint32_t	 pair, source, user;
	uint64_t	 forget_ms;	/* > 0 */
	uint32_t	 entries;	/* counts that are kept; and sources known to be a user's own */
};

enum guesses_verdict {
	GUESSES_PAIR = 0,	/* too many of this user from this source */
	GUESSES_SOURCE,		/* too many from this source */
	GUESSES_USER,		/* too many of this user, and not from where the user is at home */
	GUESSES_MAY,		/* look at the password */
	GUESSES_NVERDICTS
};
const char *guesses_verdict_name(enum guesses_verdict);	/* "user-and-source" ... */

struct guesses;
struct guesses *guesses_new(const struct guesses_limits *);
void	 guesses_free(struct guesses *);	/* NULL: nothing */
/* Other limits from now on; counts stay, unless there is room for another number of them. */
void	 guesses_set(struct guesses *, const struct guesses_limits *);

/*
 * user: as it is known, or as it was claimed (any letter case). source empty: nobody says, and
 * all such are one. If the answer is MAY, the attempt counts until one of the two below is called.
 */
enum guesses_verdict guesses_begin(struct guesses *, struct span user, struct span source, uint64_t now_ms);
/* Counts that are kept, or were until nobody needed the place; *full: how many gave way to others before they were over. */
uint32_t guesses_count(const struct guesses *, uint64_t *full);
/* The password was right. */
void	 guesses_right(struct guesses *, struct span user, struct span source, uint64_t now_ms);
/* Nothing was decided about it. */
void	 guesses_undo(struct guesses *, struct span user, struct span source, uint64_t now_ms);

#endif
