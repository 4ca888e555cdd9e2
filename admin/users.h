/*
 * admin/users.h - the embedded user file: who there is, and what proves it.
 *
 * One user a line:
 *
 *	alice@example.com pool=pool.int.example.com enabled=yes remote=yes
 *	    federation=yes public-im=no archive=no realm=example.com md5=...
 *	    md5-full=... sha-256=... sha-256-full=... nt=...     (all in one line)
 *
 * Kept are Digest's HA1 (RFC 7616 3.4.2) for both algorithms and for both forms
 * of the user name that clients send ("alice", and the -full ones for
 * "alice@example.com"), and the NT hash. From each of them one can sign in as
 * that user, so the file has mode 0600 and is read by authd and sallyportctl
 * only; what it holds is wiped before it is freed.
 */
#ifndef SALLYPORT_ADMIN_USERS_H
#define SALLYPORT_ADMIN_USERS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/span.h"
#include "common/strbuf.h"
#include "net/md4.h"

#define USERS_DEFAULT_FILE	STATEDIR "/users"
#define USER_AOR_MAX		320	/* user@domain and a NUL */
#define USER_NAME_MAX		254	/* pool or realm and a NUL */
#define USER_PASSWORD_MAX	256	/* bytes of UTF-8 */
#define USERS_MAX		1000000	/* users in one file */
#define USER_MD5_SIZE		16
#define USER_SHA256_SIZE	32

struct user {
	char		 aor[USER_AOR_MAX];	/* user@domain, lower-case */
	char		 pool[USER_NAME_MAX];	/* home pool's name, lower-case */
	char		 realm[USER_NAME_MAX];	/* that the password was hashed with */
	bool		 enabled;
	bool		 remote, federation, public_im, archive; /* gates */
	unsigned char	 md5[USER_MD5_SIZE], md5_full[USER_MD5_SIZE];
	unsigned char	 sha256[USER_SHA256_SIZE], sha256_full[USER_SHA256_SIZE];
	unsigned char	 nt[NET_MD4_SIZE];
};

struct users;

/* line 0: about the file as a whole. text is ours and holds nothing secret. */
typedef void (*users_report)(void *arg, int line, const char *text);

struct users *users_new(void);
void	 users_free(struct users *);	/* wipes; NULL: nothing */
/*
 * Read a file. SP_OK with *out the caller's; SP_ENOENT if there is none;
 * SP_EINVAL if it is readable by others, not a file or owned by a stranger (root may read anybody's), or a line is
 * wrong (every wrong line is reported); SP_EIO (errno).
 */
int	 users_load(struct users **out, const char *path, users_report, void *arg);
/*
 * Write it: into a new file beside it that takes its place when it is on the
 * disk. Mode 0600; the owner of the old file, or else of the directory, stays the owner if we
 * may give it away. SP_OK or SP_EIO (errno).
 */
int	 users_save(const struct users *, const char *path);
/*
 * Exclusive right to load, change and save (a lock file beside it); waits at most
 * wait_ms. *fd is to be given to users_unlock(). SP_OK, SP_ETIME, SP_EIO (errno).
 */
int	 users_lock(const char *path, unsigned wait_ms, int *fd);
void	 users_unlock(int fd);

size_t	 users_count(const struct users *);
/* In the order of the file; borrowed until the next change. */
const struct user *users_get(const struct users *, size_t i);
/* Any letter case; NULL if there is none. */
const struct user *users_find(const struct users *, struct span aor);
/* Copied; replaces one of the same aor. SP_OK or SP_ELIMIT. */
int	 users_put(struct users *, const struct user *);
bool	 users_remove(struct users *, struct span aor);

/* The aor in the form in which it is kept (lower-case), if it is one that may be kept: SP_OK or SP_EINVAL. */
int	 user_set_aor(struct user *, struct span aor);
/* A host name, lower-cased: SP_OK or SP_EINVAL. */
int	 user_set_pool(struct user *, struct span name);
/*
 * Hash the password for the user's aor and this realm (empty: the user's domain).
 * SP_EINVAL: empty, too long, not UTF-8, a control character, or a realm with one or with a quote.
 */
int	 user_set_password(struct user *, struct span realm, struct span password);
/* One line of the file, without its newline; and back. SP_OK, or SP_ESYNTAX with a sentence in *why. */
void	 user_format(const struct user *, struct strbuf *out);
int	 user_parse(struct user *, struct span line, const char **why);

#endif
