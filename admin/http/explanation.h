/*
 * admin/http/explanation.h - what would become of a message, for the page and for the API.
 */
#ifndef SALLYPORT_ADMIN_HTTP_EXPLANATION_H
#define SALLYPORT_ADMIN_HTTP_EXPLANATION_H

#include "admin/http/ask.h"
#include "admin/http/policy.h"

/* What somebody has typed; empty is left out. Borrowed. */
struct explanation_wish {
	struct span	from, to, method, peer;	/* peer: a name that its certificate proves */
	struct span	message;		/* as captured; then from, to and method are its own */
	struct span	door;			/* "out": from inside; else from outside */
	bool		in_dialog, candidate;	/* candidate: by the asker's, not by what is in force */
};

/*
 * Records in out (answer_fini()), *allowed the verdict. False: *field and *why say what is wrong with
 * the wish, or *field is NULL, u->errs has mistakes and *err the store's error.
 */
bool	explanation_make(struct policy_use *, const struct http_request *, const struct explanation_wish *, struct answer *out,
	    bool *allowed, const char **field, const char **why, int *err);

#endif
