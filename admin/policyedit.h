/*
 * admin/policyedit.h - small changes of a policy's text that leave its comments
 * and its layout as they are.
 *
 * Each gives a new text that says exactly what the old one said and the one thing
 * more or less; that is made sure of by reading both. Where that cannot be
 * done (the list comes from an included file, the text has mistakes), it is refused.
 */
#ifndef SALLYPORT_ADMIN_POLICYEDIT_H
#define SALLYPORT_ADMIN_POLICYEDIT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/span.h"

struct conf_errors;

/*
 * All of them: SP_OK with *out (xmalloc'ed, NUL behind it) and *n; SP_EINVAL with
 * errs filled: not a domain, or the text cannot be edited safely. name and dir: of
 * the policy file, for errs and for the files that it includes.
 */
struct policyedit {
	const char	*name, *dir;
	struct span	 text;
};

/* SP_EEXIST: it is blocked already (by itself; not: by a domain above). */
int	policyedit_block(const struct policyedit *, const char *domain, char **out, size_t *n, struct conf_errors *errs);
/* SP_ENOENT: the list does not have it; errs says which entry above it blocks it, if one does. */
int	policyedit_unblock(const struct policyedit *, const char *domain, char **out, size_t *n, struct conf_errors *errs);
/* Pause or resume the partner or provider of that name or server. SP_ENOENT: there is none; SP_EEXIST: it is so already. */
int	policyedit_pause(const struct policyedit *, const char *partner, bool paused, char **out, size_t *n,
	    struct conf_errors *errs);

#endif
