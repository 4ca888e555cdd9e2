/*
 * policy/domain.h - domain names in the one form in which they are compared.
 */
#ifndef SALLYPORT_POLICY_DOMAIN_H
#define SALLYPORT_POLICY_DOMAIN_H

#include <stdbool.h>

#include "common/span.h"
#include "common/strbuf.h"

#define DOMAIN_MAX	254	/* 253 characters and a NUL */

/*
 * Lower-case A-labels (IDNA2008 by libidn2), trailing dot removed, into out
 * (DOMAIN_MAX bytes; result's span points into it). Plain ASCII names take a
 * path without allocation. An IP literal (v4, or v6 in brackets) is written in
 * its one usual text form (RFC 5952), so that equal addresses compare equal, and
 * *is_ip is set. SP_ESYNTAX for anything that is no host name, NUL included;
 * *result is then empty.
 *
 * An underscore is taken, since real hosts have it in their Contact. A name whose
 * last label is a number is no name (it would read as an address elsewhere).
 */
int	policy_domain_canon(struct span in, char out[DOMAIN_MAX], struct span *result, bool *is_ip);

/*
 * Is this already the form that policy_domain_canon() makes? And is it an IP
 * literal? Neither allocates; the second looks only at the outside of the form.
 */
bool	policy_domain_is_canon(struct span);
bool	policy_domain_is_ip(struct span);

/* Is name equal to domain or below it, at a label border? Both canonical. */
bool	policy_domain_within(struct span name, struct span domain);

#endif
