/*
 * admin/http/form.h - fields of a form or of a query (application/x-www-form-urlencoded),
 * and cookies. Pure; any bytes may come.
 */
#ifndef SALLYPORT_ADMIN_HTTP_FORM_H
#define SALLYPORT_ADMIN_HTTP_FORM_H

#include <stdbool.h>
#include <stddef.h>

#include "common/span.h"

#define FORM_FIELDS_MAX	64	/* fields of one form */
#define FORM_NAME_MAX	64	/* bytes of a field's name */

struct form_field {
	struct span	name, value;	/* decoded; UTF-8 without NUL; borrowed from the form */
};

struct form {
	struct form_field	 v[FORM_FIELDS_MAX];
	size_t			 n;
	char			*store;
	struct span		 bad;	/* after a failure: the name of the field, as far as it is known */
};

/*
 * Take the fields apart. SP_OK; SP_ESYNTAX: a broken percent sign, a NUL, not UTF-8, a name that is empty or too
 * long; SP_ELIMIT: more than FORM_FIELDS_MAX; SP_EEXIST: one name twice. In each
 * case form_fini() frees it.
 */
int	form_parse(struct form *, struct span encoded);
void	form_fini(struct form *);
bool	form_has(const struct form *, const char *name);
/* The value; empty when there is none. Borrowed. */
struct span form_get(const struct form *, const char *name);
/* The first field that is none of names (NULL-ended), or NULL. */
const struct form_field *form_stranger(const struct form *, const char *const *names);

/* Percent-decode (plus: '+' is a space) into out, which has room for in.n bytes. False: broken. */
bool	form_decode(struct span in, bool plus, char *out, size_t *n);
bool	form_is_utf8(struct span);	/* and without NUL */

/*
 * The value of that cookie in a Cookie header (RFC 6265 4.2.1). False if it is not
 * there, or twice: then somebody else has put one beside ours.
 */
bool	cookie_get(struct span header, const char *name, struct span *value);

#endif
