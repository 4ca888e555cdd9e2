/*
 * admin/http/ask.h - what a daemon answers over its control socket, kept for as
 * long as a page is made. Bounded in records, bytes and time: a daemon that is
 * down, hangs or talks too much makes the page say so, and no more.
 */
#ifndef SALLYPORT_ADMIN_HTTP_ASK_H
#define SALLYPORT_ADMIN_HTTP_ASK_H

#include <stdbool.h>
#include <stddef.h>

#include "admin/http/site.h"
#include "admin/record.h"

#define ASK_RECORDS_MAX	4000
#define ASK_BYTES_MAX	(4u << 20)

enum ask_daemon { ASK_EDGE = 0, ASK_DIRECTOR };

enum ask_result {
	ASK_OK = 0,
	ASK_NONE,	/* there is none on this machine */
	ASK_DOWN,	/* nobody listens there */
	ASK_DENIED,	/* it does not talk to us */
	ASK_SLOW,	/* no answer in time */
	ASK_NONSENSE,	/* an answer that is none */
	ASK_REFUSED	/* it said why: status and why */
};

struct ask_arg {
	const char	*name;		/* NULL ends the list */
	struct span	 text;
	bool		 is_number;	/* then: */
	int64_t		 number;
};

struct answer {
	enum ask_result	 result;
	int		 status;	/* sysexits */
	char		 why[512];	/* perhaps an outsider's words: escape */
	bool		 cut;		/* there was more */
	struct record	*v;
	size_t		 n;
	/* inside */
	char		**store;
	size_t		 bytes, room;
};

const char *ask_name(enum ask_daemon);	/* "edge", "Director" */
/* args may be NULL. The answer is the caller's in each case: answer_fini(). */
void	ask(struct site *, enum ask_daemon, const char *verb, const struct ask_arg *args, struct answer *);
/* The same with a descriptor to send along (-1: none). */
void	ask_with(struct site *, enum ask_daemon, const char *verb, const struct ask_arg *args, int fd, struct answer *);
void	answer_fini(struct answer *);
/* Keep a copy of a record. False (and cut): there is no more room. */
bool	answer_add(struct answer *, const struct record *);
/* The first record of that kind, or NULL. */
const struct record *answer_first(const struct answer *, const char *kind);
size_t	answer_count(const struct answer *, const char *kind);
/* In words: "The edge does not run, or its control socket is elsewhere." into out. */
void	answer_say(const struct answer *, enum ask_daemon, char out[640]);

#endif
