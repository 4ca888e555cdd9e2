/*
 * admin/seen.h - the certificates that peers have shown, for the administrator.
 *
 * Bounded (MS 8.1): so many that were accepted and so many that were refused,
 * apart, so that strangers cannot drive partners out; when one table is full, the
 * fifth that was not seen for longest goes. Any thread may note; notes of one
 * certificate are one entry.
 */
#ifndef SALLYPORT_ADMIN_SEEN_H
#define SALLYPORT_ADMIN_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>
#include <time.h>

#include "common/span.h"
#include "net/addr.h"
#include "net/tls.h"
#include "policy/reason.h"

#define SEEN_ACCEPTED_MAX	1000
#define SEEN_REFUSED_MAX	500

struct seen;
struct seen *seen_new(size_t accepted_max, size_t refused_max);	/* each at least 5 */
void	seen_free(struct seen *);		/* NULL: nothing */
/*
 * A peer has shown this certificate (nothing happens if it has not). why: ALLOWED,
 * or the reason for which it was refused; detail is static or NULL.
 */
void	seen_note(struct seen *, const struct net_peer *, const struct net_addr *from, bool inbound,
	    enum policy_reason why, const char *detail);
size_t	seen_count(struct seen *, bool accepted);
/* One certificate. Strings are valid during the call. */
struct seen_state {
	const unsigned char	*fingerprint, *key;	/* SHA-256, 32 bytes */
	const char		*names;			/* with a space between; the first ones */
	const char		*subject, *issuer, *serial, *from;
	const char		*detail;		/* of a refusal; ours, or NULL */
	enum policy_reason	 why;			/* ALLOWED: accepted */
	unsigned		 usage;			/* NET_USAGE_* */
	bool			 inbound;		/* when it was shown last */
	time_t			 first, last, not_after;
	unsigned long		 times;
};
/* All of them, accepted ones first, the last seen last. Copies: fn may take its time and call anything. */
void	seen_each(struct seen *, void (*fn)(void *arg, const struct seen_state *), void *arg);
/*
 * Print all of them, one a line of key=value, the newest last, unless nothing was noted since
 * the last time: then false, and nothing is printed.
 */
bool	seen_print(struct seen *, FILE *);
/* What was printed has not arrived: print it again next time. */
void	seen_again(struct seen *);
/* A line of such a list, taken apart: key=value key="value with spaces" …; values hold no quotes. Borrows the line. */
#define SEEN_FIELDS_MAX	32
struct seen_line {
	struct span	key[SEEN_FIELDS_MAX], value[SEEN_FIELDS_MAX];
	unsigned	n;
};
bool	seen_line_parse(struct seen_line *, struct span line);
struct span seen_line_get(const struct seen_line *, const char *key);	/* SPAN_NONE: it is not there */
/*
 * Such a list into a file, which appears whole (it is renamed) and belongs to uid and gid
 * (-1: to whoever we are). SP_OK, or SP_EIO (errno).
 */
int	seen_store(const char *path, struct span list, uid_t, gid_t);
/* Both, for who has the rights to write there. SP_OK also when nothing was noted. */
int	seen_write(struct seen *, const char *path);

#endif
