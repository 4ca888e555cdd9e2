/*
 * admin/policystore_int.h - between policystore.c (the life cycle), policycandidate.c,
 * policyaudit.c (the log) and policydisk.c (files that are there whole or not at all).
 * Nobody else includes it.
 *
 * All functions need the lock to be held, add to errs what a person should know,
 * and return as policystore.h says.
 */
#ifndef SALLYPORT_ADMIN_POLICYSTORE_INT_H
#define SALLYPORT_ADMIN_POLICYSTORE_INT_H

#include <sys/stat.h>

#include "admin/policystore.h"

/* Whose rights are used; all zero: root's. */
struct disk_owner {
	uid_t	 uid;
	gid_t	 gid;
};

struct policystore {
	char		*dir;
	char		*named;		/* the policy file, as it was named */
	char		*policy;	/* … and what it is when links are followed; looked up with each call */
	char		*policy_dir;
	struct disk_owner policy_owner;	/* who can put another file, or a link, in its place */
	int		 lock;		/* -1: not held */
	unsigned	 wait_ms;	/* for it */
	char		 news[512];
	/* known while the lock is held: */
	uint64_t	*numbers;	/* of the versions, rising */
	size_t		 nnumbers;
	struct policystore_text current;
};

/* ---- policydisk.c ---- */

/*
 * Root who works in somebody else's directory has only that account's rights there: whoever
 * owns it may have put links in it, and root would follow them. Of the directories
 * down to dir, the first that is not root's says whose.
 */
struct disk_owner disk_owner_of(const char *dir);
/*
 * For root: a directory of root's that others may write, too, is nobody's, and whatever lies there may be a link of
 * theirs. SP_OK; SP_EIO, said, when dir is such a one. One that is not there is not.
 */
int	disk_is_safe(const char *dir, struct conf_errors *);
/* Files are touched with these rights from now on, in this thread; the ones before. Who is not root keeps their own. */
struct disk_owner disk_become(struct disk_owner);
/* dir/rest of the printf kind, the caller's to free. */
char	*disk_path(const struct policystore *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The error said with what was done to which file; SP_EIO. errno is kept. */
int	 disk_failed(struct conf_errors *, const char *what, const char *path);
/* SP_ENOENT (nothing is added), SP_ELIMIT over max bytes, SP_EIO. *out has a NUL behind it. */
int	 disk_read(const char *path, size_t max, char **out, size_t *n, struct conf_errors *);
/*
 * head and text, one after the other, as the whole of path: written beside it,
 * brought to the disk, renamed. like: whose mode and owner it gets (NULL: the
 * store's). After an error path is what it was.
 */
int	 disk_write(struct policystore *, const char *path, struct span head, struct span text, const struct stat *like,
	    struct conf_errors *);
/* rename(2), and both directories to the disk. */
int	 disk_rename(const char *from, const char *to, struct conf_errors *);
/* Gone, and that on the disk; that it was not there is no error. */
int	 disk_remove(const char *path, struct conf_errors *);
int	 disk_sync_dir_of(const char *path, struct conf_errors *);
/* mkdir if it is not there. */
int	 disk_make_dir(const char *path, struct conf_errors *);

/* ---- policystore.c ---- */

#define PENDING	"pending.conf"

/* The lock; then what was interrupted is finished or taken back, and a hand edit noticed. */
int	 store_begin(struct policystore *, struct conf_errors *);
/* The lock alone: for who only looks. */
int	 store_lock(struct policystore *, struct conf_errors *);
void	 store_end(struct policystore *);
/* A file of "#change" and text. SP_ENOENT adds nothing. */
int	 store_read(const char *path, struct policystore_text *out, struct conf_errors *);
int	 store_write(struct policystore *, const char *path, const struct policy_change *, struct span text,
	    struct conf_errors *);
/* Author and note into c; SP_EINVAL: they will not do. */
int	 store_sign(const struct policystore_who *, struct policy_change *c, struct conf_errors *);
/* Which versions there are, into numbers. */
int	 store_list(struct policystore *, struct conf_errors *);
char	*store_version_path(const struct policystore *, uint64_t number);
/* c says who, why and what kind; the rest is filled in here. */
int	 store_put_in_force(struct policystore *, struct policy_change *c, struct span text, const struct policystore_who *,
	    struct conf_errors *);
/* Say who made version c, when and why. */
void	 store_say_version(struct conf_errors *, const char *before, const struct policy_change *c);

/*
 * A text with what it includes, the caller's to free, and its hash; by the rights of the policy's directory. SP_OK, or as
 * conf_flatten(): *out is NULL then, and hash that of the text alone.
 */
int	 store_whole(const struct policystore *, struct span text, char **out, size_t *n, char hash[POLICY_HASH_TEXT],
	    struct conf_errors *);
/* Does the policy have mistakes? SP_OK, SP_EINVAL, SP_ELIMIT. */
int	 store_check(struct policystore *, struct span text, struct conf_errors *);

/* ---- policycandidate.c ---- */

/* A candidate that became a version before a crash could remove it. */
void	 candidate_sweep(struct policystore *, const struct policy_change *version);

/* ---- policyaudit.c ---- */

struct audit_head {
	uint64_t	 n, bytes, version;	/* lines, their bytes, and the highest version number ever given */
	char		 hash[POLICY_HASH_TEXT];
};
int	 audit_read_head(struct policystore *, struct audit_head *, struct conf_errors *);
/* The log of a new store. */
int	 audit_make(struct policystore *, struct conf_errors *);
int	 audit_append(struct policystore *, const struct policy_change *, struct conf_errors *);

#endif
