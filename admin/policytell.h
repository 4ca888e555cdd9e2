/*
 * admin/policytell.h - telling the running edge about a policy, over its control socket.
 */
#ifndef SALLYPORT_ADMIN_POLICYTELL_H
#define SALLYPORT_ADMIN_POLICYTELL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "admin/policychange.h"
#include "common/span.h"

struct conf_errors;
struct policystore;

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
 * For struct policystore_who.claim, with the same arg: the edge asks the array, if it is a node of one that shares its policy.
 * SP_OK: it may be, or there is nobody to ask; SP_EAGAIN: another node was faster; errs says who.
 */
int	policytell_claim(void *tell, struct policy_change *, const char *parent, struct span text, struct conf_errors *errs);
/*
 * From now on the edge decides everything a second time by this text and counts the
 * differences. name: the candidate's. SP_OK; SP_ENOENT: no edge is running; SP_ECLOSED: it refuses.
 */
int	policytell_shadow(struct policytell *, const char *name, const struct policy_change *, struct span text,
	    struct conf_errors *errs);

/* Which text the edge obeys. */
struct policytell_obeyed {
	char		 sha256[POLICY_HASH_TEXT];	/* "": it does not know */
	uint64_t	 version;	/* as it was told; 0: it has it from the file */
};
/* SP_OK; SP_ENOENT: no edge is running there; SP_EINVAL: it has another policy file; SP_ECLOSED: no answer that we understand. */
int	policytell_ask(const struct policytell *, struct policytell_obeyed *out);
/*
 * One sentence, when what the edge obeys (sha256, or "") is not what the file says, with the store's numbers of both;
 * false: it is, or cannot be known. ps: of that file; not locked. out: at least 256 bytes.
 */
bool	policytell_differs(struct policystore *, const char *sha256, char *out, size_t size);

#endif
