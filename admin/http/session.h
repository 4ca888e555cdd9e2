/*
 * admin/http/session.h - who is logged in. Kept in memory only, so that a restart
 * ends all sessions; the table has a fixed size, and when it is full the session
 * that was idle for longest goes.
 *
 * Not locked: the caller holds the site's lock.
 */
#ifndef SALLYPORT_ADMIN_HTTP_SESSION_H
#define SALLYPORT_ADMIN_HTTP_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "admin/accounts.h"
#include "common/span.h"

#define SESSION_TEXT	65	/* 32 random bytes in hexadecimal, and a NUL */

struct session_limits {
	unsigned	 sessions;	/* at once */
	unsigned	 per_account;
	uint64_t	 idle_ms, absolute_ms;
};

struct session {
	char		 id[SESSION_TEXT];	/* the cookie; "" : free */
	char		 csrf[SESSION_TEXT];	/* in each form of this session */
	char		 account[ACCOUNT_NAME_MAX];
	unsigned char	 key[ACCOUNT_KEY];	/* the account's when it logged in: a new password ends the session */
	char		 source[64];		/* where from, for the list of sessions */
	uint64_t	 since_ms, used_ms;
};

struct sessions;
struct sessions *sessions_new(const struct session_limits *);
void	sessions_free(struct sessions *);	/* wipes; NULL: nothing */
/* A new session with an id of its own; borrowed until the next begin or end. */
const struct session *sessions_begin(struct sessions *, const struct account *, const char *source, uint64_t now_ms);
/*
 * The session of that cookie, or NULL: unknown, idle too long, too old, or its
 * account is gone or has another password. Counts as a use of it. Borrowed as above.
 */
const struct session *sessions_find(struct sessions *, struct span id, const struct accounts *, uint64_t now_ms);
void	sessions_end(struct sessions *, struct span id);
void	sessions_end_account(struct sessions *, struct span account);
size_t	sessions_count(const struct sessions *, uint64_t now_ms);	/* that have not expired */

/* 32 random bytes as text. */
void	session_random(char out[SESSION_TEXT]);

#endif
