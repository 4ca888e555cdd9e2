/*
 * admin/http/policy.h - the life cycle of policy, as pages and API both use it.
 */
#ifndef SALLYPORT_ADMIN_HTTP_POLICY_H
#define SALLYPORT_ADMIN_HTTP_POLICY_H

#include "admin/http/site.h"
#include "admin/policydiff.h"
#include "admin/policystore.h"
#include "admin/policytell.h"

/* One use of the store in the name of who asks; on the stack. */
struct policy_use {
	struct policystore	*store;		/* NULL: it cannot be opened; errs says why */
	struct conf_errors	*errs;
	struct policytell	 tell;
	struct policystore_who	 who;
	char			 note[POLICY_CHANGE_NOTE + 1];
	char			 dir[1024];	/* of the policy file */
};
/* Always to be ended. SP_OK, or what policystore_open() said. note: may be empty. */
int	policy_begin(struct policy_use *, struct site *, const struct http_request *, struct span note);
/* The same without a note, and the policy in force: an error of either. */
int	policy_begin_current(struct policy_use *, struct site *, const struct http_request *, struct policystore_text *now);
void	policy_end(struct policy_use *);
/* The candidate of that name is tried by the edge from now on. SP_EINVAL: it has mistakes; SP_ECLOSED: there is no edge. */
int	policy_shadow(struct policy_use *, const char *candidate);

/* Mistakes of a text as the edge would find them; how many were added to errs. */
size_t	policy_mistakes(struct policy_use *, const char *name, struct span text);
/* Does it have errors that are about one line: "name:12: what"? The line and the rest; false: no. */
bool	policy_error_split(const char *error, unsigned *line, const char **what);
/* The status that an error of the store stands for: 409, 422 … and a sentence. */
int	policy_status(int err, const char **sentence);
/* The text's SHA-256 as an entity tag, with quotes. */
void	policy_tag(struct span text, char out[POLICY_HASH_TEXT + 3]);
/* A note and a domain that can be. */
bool	policy_note_ok(struct span);

/* The edit functions of policyedit as policystore_amend() wants them. */
enum policy_amendment { AMEND_BLOCK, AMEND_UNBLOCK, AMEND_PAUSE, AMEND_RESUME };
int	policy_amend(struct policy_use *, enum policy_amendment, const char *what, uint64_t *version);

/* The refusal that err stands for, with everything that is in errs; as a page or as JSON. field as in reply_problem(). */
void	policy_problem(struct site *, struct http_request *, struct http_reply *, struct policy_use *, int err, const char *field);
/* Mistakes as a list with their lines, and the lines themselves out of text. */
void	policy_show_errors(struct text *, const struct conf_errors *, struct span text);
/* What now says other than was, by meaning and by lines. */
void	policy_show_diff(struct text *, struct policy_use *, struct span was, struct span now);
/* Browsers end lines with CR LF; policies end them with LF. xmalloc'ed. */
char	*policy_unix_lines(struct span, size_t *n);

/* Values of one option in a text: policy_each("blocked") for a list at the top, or of each group (group is then its name). */
void	policy_each(struct policy_use *, struct span text, const char *option, void (*each)(void *arg, const char *group,
	    const char *value), void *arg);

#endif
