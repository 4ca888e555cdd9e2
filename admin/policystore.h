/*
 * admin/policystore.h - every policy that was ever in force, the candidates for
 * the next one, and who did what.
 *
 * The rule: the file that `policy` in edge.conf names is the policy in force,
 * always. A commit replaces that file whole and keeps every version; a hand edit
 * of it is noticed with the next use of the store, becomes a version of its own
 * (author "hand edit"), and is never overwritten unseen.
 *
 * The store is a directory:
 *
 *	lock			held (flock) while something is read or changed
 *	versions/000007.conf	a first line "#change ..." (policychange.h), then the text
 *	candidates/NAME.conf	the same, of a candidate; its parent is the version it is based on
 *	pending.conf		a commit on its way; who finds one finishes it or takes it back
 *	audit.log		one line a change, each with the hash of the one before
 *	audit.head		how many lines, how many bytes, and the hash of the last
 *
 * Whatever is written appears by rename(2) of a whole file that is on the disk, so
 * that a crash at any moment leaves the old or the new. The policy file itself is
 * the point of no return of a commit: before its rename the old version counts and
 * the candidate is still there, after it the new one.
 *
 * A version is whole: where the policy includes files (@include, beside it or below), their text stands in its place, and
 * every SHA-256 is that of the whole. So a changed file that is included is a hand edit, too, and a rollback, which makes
 * one file of it, brings everything back. The current text and candidates have their @include; a commit leaves it.
 *
 * Every function takes the lock for itself and waits POLICYSTORE_WAIT_MS for it.
 * One thread at a time for one struct policystore. All of them return:
 *
 *	SP_OK
 *	SP_EINVAL	a value does not do, or the policy has mistakes: errs has them
 *	SP_ENOENT	no such version or candidate
 *	SP_EEXIST	there is nothing to change: that is the policy in force already
 *	SP_EAGAIN	somebody else was faster: errs says who and when; nothing was changed
 *	SP_ECLOSED	the running edge refused it: errs has its words; the old version is back
 *	SP_ETIME	another holds the lock
 *	SP_ESYNTAX	the store is damaged; errs says where
 *	SP_ELIMIT	a text over POLICYSTORE_TEXT_MAX
 *	SP_EIO		the system refused; errs says what it refused, errno why
 *
 * errs is never NULL; each line of it is fit to be shown to a person.
 */
#ifndef SALLYPORT_ADMIN_POLICYSTORE_H
#define SALLYPORT_ADMIN_POLICYSTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "admin/policychange.h"
#include "common/span.h"

#define POLICYSTORE_DEFAULT_DIR	STATEDIR "/policy"
#define POLICYSTORE_TEXT_MAX	(16u << 20)	/* bytes of one policy */
#define POLICYSTORE_WAIT_MS	5000
#define POLICYSTORE_NAME_MAX	64		/* of a candidate: letters, digits, "-", "_", ".", not first a dot */

struct conf_errors;
struct policystore;

/* A version or a candidate: what is known of it, and its text (a NUL behind it, which is not part of it). */
struct policystore_text {
	struct policy_change	 change;
	char			*text;
	size_t			 n;
};
void	policystore_text_fini(struct policystore_text *);	/* also of a zeroed one */
static inline struct span
policystore_span(const struct policystore_text *t)
{
	return span_of(t->text, t->n);
}

/*
 * Who asks, and what the running edge is told. apply (may be NULL: there is none
 * to tell) is called when the new policy file is in its place: with the text and
 * its change (version, SHA-256, author). It returns SP_OK when the edge has taken
 * it over, or is not there; SP_ECLOSED with the edge's words added to errs when
 * the edge refuses, upon which the old file comes back.
 */
struct policystore_who {
	const char	*author;	/* 1 to POLICY_CHANGE_AUTHOR bytes, no control characters */
	const char	*note;		/* up to POLICY_CHANGE_NOTE bytes, one line; NULL: none */
	int		(*apply)(void *arg, const struct policy_change *, struct span text, struct conf_errors *errs);
	void		*arg;
	/*
	 * May be NULL: this edge is no node of an array that shares its policy. Called before anything is written: may that
	 * change (complete) be the next version everywhere, in the place of the text with the SHA-256 parent? SP_OK, with a higher
	 * number if another node has given that one; or SP_EAGAIN with errs saying whose is.
	 */
	int		(*claim)(void *arg, struct policy_change *, const char *parent, struct span text, struct conf_errors *errs);
};

/*
 * A store in dir (NULL: the default; made if it is not there, 0750) for the policy
 * file, which is followed if it is a link. Nothing is locked or read yet. The
 * caller owns *out.
 */
int	policystore_open(struct policystore **out, const char *dir, const char *policy, struct conf_errors *errs);
void	policystore_close(struct policystore *);	/* NULL: nothing */
/* Make its directories and its log now, if they are not there: for who cannot do so later. The policy file need not be there. */
int	policystore_make(struct policystore *, struct conf_errors *errs);
const char *policystore_file(const struct policystore *);	/* the policy file, borrowed */
/* So long the lock is waited for from now on, rather than POLICYSTORE_WAIT_MS: for who may not wait. Then it is SP_ETIME. */
void	policystore_wait(struct policystore *, unsigned ms);

/*
 * The policy in force, as its file has it (SHA-256: of the whole, see above). A hand edit has become a version by then, an interrupted
 * commit is finished or taken back (see policystore_news()); the first use makes version 1 out of the file.
 */
int	policystore_current(struct policystore *, struct policystore_text *out, struct conf_errors *errs);
/* What the last call found and put right by itself, one sentence, or NULL. Borrowed until the next call. */
const char *policystore_news(const struct policystore *);

/* Version number, from 1; its text too. */
int	policystore_version(struct policystore *, uint64_t number, struct policystore_text *out, struct conf_errors *errs);
/* The newest `max` versions that are older than `before` (0: all), newest first, without their texts. */
int	policystore_history(struct policystore *, uint64_t before, size_t max,
	    void (*each)(void *arg, const struct policy_change *), void *arg, struct conf_errors *errs);

/*
 * The newest version whose text has that SHA-256, by its first line alone: nothing is locked, made or noticed,
 * so that whoever may read the store may ask. SP_OK; SP_ENOENT: none, or the store cannot be read.
 */
int	policystore_which(struct policystore *, const char *sha256, struct policy_change *out);

/* The SHA-256 of the policy file as it is now, as easily. SP_OK, or it cannot be read: SP_EIO. */
int	policystore_hash_file(const struct policystore *, char sha256[POLICY_HASH_TEXT]);

/* ---- candidates: each editing has its own, by name; a person's is usually their login ---- */

int	policystore_candidate(struct policystore *, const char *name, struct policystore_text *out, struct conf_errors *errs);
/* All of them, by name. */
int	policystore_candidates(struct policystore *, void (*each)(void *arg, const char *name, const struct policy_change *),
	    void *arg, struct conf_errors *errs);
/*
 * Keep text as the candidate, mistakes and all. base: the version that the editing began
 * with (0: the current one; a candidate that is there keeps its own). was: SHA-256 in hex of the candidate that the
 * editor began with, "" for none, NULL: whatever is there is replaced; if it is another one by now: SP_EAGAIN.
 */
int	policystore_candidate_set(struct policystore *, const char *name, const struct policystore_who *, uint64_t base,
	    const char *was, struct span text, struct conf_errors *errs);
int	policystore_candidate_discard(struct policystore *, const char *name, const struct policystore_who *,
	    struct conf_errors *errs);
/*
 * Bring the candidate onto the current version: what was changed in the current one since
 * its base is merged in by lines. SP_EAGAIN when both changed the same lines: errs
 * has them and the candidate stays as it is.
 */
int	policystore_candidate_rebase(struct policystore *, const char *name, const struct policystore_who *,
	    struct conf_errors *errs);

/* ---- changes of what is in force; *version (may be NULL): the new one's number ---- */

/*
 * The candidate, checked, becomes the policy in force. SP_EAGAIN when the current
 * version is not the candidate's base: errs says who changed it, when, and what.
 */
int	policystore_commit(struct policystore *, const char *name, const struct policystore_who *, uint64_t *version,
	    struct conf_errors *errs);
/* The text of that version again, checked anew, as a version of its own. */
int	policystore_rollback(struct policystore *, uint64_t number, const struct policystore_who *, uint64_t *version,
	    struct conf_errors *errs);
/*
 * Change the current text in one step: edit gets it and gives the new one (xmalloc'ed)
 * with SP_OK, or an error of the list above with its words in errs. action: POLICY_BLOCK and the like.
 */
typedef int (*policystore_edit)(void *arg, struct span text, char **out, size_t *n, struct conf_errors *errs);
int	policystore_amend(struct policystore *, enum policy_action action, policystore_edit edit, void *edit_arg,
	    const struct policystore_who *, uint64_t *version, struct conf_errors *errs);

/*
 * A version that another node of the array has put in force: it is put in force here, checked as any other, with that number,
 * or with the next one if this store has given it to another. SP_EEXIST: that text is in force. SP_EAGAIN: this store has had
 * that version, and went on from there: ahead (the caller's to end) is what is in force here. SP_EINVAL: it has mistakes, or includes files.
 */
int	policystore_receive(struct policystore *, const struct policy_change *, struct span text, uint64_t *version,
	    struct policystore_text *ahead, struct conf_errors *errs);

/* ---- the audit log ---- */

/* The hash of the last line, as it should be kept in another place, and how many lines there are. */
int	policystore_audit_head(struct policystore *, char hash[POLICY_HASH_TEXT], uint64_t *count, struct conf_errors *errs);
/*
 * Every line, the chain, the versions it names and their texts. SP_ESYNTAX with everything that is wrong in errs.
 * known (may be NULL): a hash noted earlier, which must be that of one of the lines:
 * only so is it found that somebody has cut the end off and written audit.head anew.
 */
int	policystore_audit_verify(struct policystore *, const char *known, uint64_t *count, struct conf_errors *errs);
/* Lines from number `from` (1 is the first) on, oldest first. */
int	policystore_audit_each(struct policystore *, uint64_t from, void (*each)(void *arg, const struct policy_record *),
	    void *arg, struct conf_errors *errs);

#endif
