/*
 * admin/policytell.h - telling the running edge about a policy, over its control socket.
 */
#ifndef SALLYPORT_ADMIN_POLICYTELL_H
#define SALLYPORT_ADMIN_POLICYTELL_H

#include <stdbool.h>

#include "admin/policychange.h"
#include "common/span.h"

struct conf_errors;

#define POLICYTELL_SOCKET	RUNDIR "/edge.sock"

/* What an edge is told, and what came of it. For struct policystore_who: { .apply = policytell_apply, .arg = &this }. */
struct policytell {
	const char	*socket;	/* in: of the edge */
	const char	*policy;	/* in: the policy file; an edge that has another one refuses */
	bool		 told;		/* out: it has taken it over; false: no edge is running there */
};
/*
 * The edge gets the text (as a descriptor), looks at it whole, and takes it over or does
 * not. SP_OK: it has, or no edge is running. SP_ECLOSED: it has not, or was not heard from; errs says why.
 */
int	policytell_apply(void *tell, const struct policy_change *, struct span text, struct conf_errors *errs);
/*
 * From now on the edge decides everything a second time by this text and counts the
 * differences. name: the candidate's. SP_OK; SP_ENOENT: no edge is running; SP_ECLOSED: it refuses.
 */
int	policytell_shadow(struct policytell *, const char *name, const struct policy_change *, struct span text,
	    struct conf_errors *errs);

#endif
