/*
 * admin/policychange.h - one change of policy as one line of text.
 *
 *	version=7 parent=6 time=2026-11-20T15:04:05Z author="alice" action=commit
 *	    sha256=... note="..."                                (all in one line)
 *
 * and a line of the audit log, which is the same between a number and two hashes:
 *
 *	n=12 version=7 ... note="..." prev=... hash=...
 *
 * where hash is the SHA-256 of the line before " hash=", and prev is the hash of the
 * line before (64 zeros in the first). There is exactly one way to write a
 * change: what a parser takes, the formatter writes again byte for byte.
 */
#ifndef SALLYPORT_ADMIN_POLICYCHANGE_H
#define SALLYPORT_ADMIN_POLICYCHANGE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "common/span.h"
#include "common/strbuf.h"

#define POLICY_CHANGE_AUTHOR	64	/* bytes of a name */
#define POLICY_CHANGE_NOTE	400	/* bytes of a note */
#define POLICY_HASH_TEXT	65	/* SHA-256 in hexadecimal, and a NUL */
#define POLICY_CHANGE_LINE	1536	/* room for any line, with its NUL */

enum policy_action {
	POLICY_NO_ACTION = 0,
	POLICY_IMPORT,		/* the policy file as it was when the store was made */
	POLICY_HAND_EDIT,	/* the policy file was changed without the store */
	POLICY_EDIT,		/* a candidate was written; version 0 */
	POLICY_DISCARD,		/* a candidate was thrown away; version 0 */
	POLICY_REBASE,		/* a candidate was brought onto a newer version; version 0 */
	POLICY_COMMIT,
	POLICY_ROLLBACK,
	POLICY_BLOCK,
	POLICY_UNBLOCK,
	POLICY_PAUSE,
	POLICY_RESUME,
	POLICY_REFUSED,		/* the running edge did not take the version; the parent is in force again */
	POLICY_NACTIONS
};
/* "import", "hand-edit" … NULL: no such. */
const char *policy_action_name(enum policy_action);

struct policy_change {
	uint64_t		 version;	/* 0: it made none */
	uint64_t		 parent;	/* that was in force then; of a candidate: that it is based on */
	time_t			 time;
	enum policy_action	 action;
	char			 author[POLICY_CHANGE_AUTHOR + 1];
	char			 note[POLICY_CHANGE_NOTE + 1];
	char			 sha256[POLICY_HASH_TEXT];	/* of the text, lower-case */
};

struct policy_record {
	uint64_t		 n;		/* from 1 */
	struct policy_change	 change;
	char			 prev[POLICY_HASH_TEXT], hash[POLICY_HASH_TEXT];
};

/* May this be an author, or a note? UTF-8 without control characters, of that length; an author is not empty. */
bool	policy_change_author_ok(struct span);
bool	policy_change_note_ok(struct span);
/* One line, without a newline. */
void	policy_change_format(const struct policy_change *, struct strbuf *out);
/* SP_OK, or SP_ESYNTAX with *out undefined. line has no newline. */
int	policy_change_parse(struct span line, struct policy_change *out);
/* Give r the hash that belongs to its other fields, and write its line. */
void	policy_record_format(struct policy_record *r, struct strbuf *out);
/* As above; SP_ESYNTAX also when the hash is not that of the line. Whether prev and n fit, who has the line before sees. */
int	policy_record_parse(struct span line, struct policy_record *out);
/* SHA-256 of text in hexadecimal. */
void	policy_hash(struct span text, char out[POLICY_HASH_TEXT]);
/* "2026-11-20T15:04:05Z". */
void	policy_time_format(time_t, char out[32]);

#endif
