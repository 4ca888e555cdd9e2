/*
 * admin/lync.h - the federation settings of Lync Server and Skype for Business Server, as PowerShell
 * writes them into a file, made a policy of ours.
 *
 *	Get-CsAllowedDomain | Export-Clixml allowed.xml
 *	Get-CsBlockedDomain | Export-Csv blocked.csv
 *
 * Read are Get-CsAllowedDomain, Get-CsBlockedDomain, Get-CsPublicProvider, Get-CsHostingProvider,
 * Get-CsAccessEdgeConfiguration, Get-CsSipDomain and the routes of Get-CsStaticRoutingConfiguration, in UTF-8 or UTF-16, of CSV with or without a #TYPE line
 * and with commas, semicolons or tabs. The files are an administrator's, and may come from anybody: XML with a
 * document type is refused (so no entity is ever expanded), and everything is bounded.
 */
#ifndef SALLYPORT_ADMIN_LYNC_H
#define SALLYPORT_ADMIN_LYNC_H

#include <stdbool.h>
#include <stddef.h>

#include "common/span.h"

struct conf_errors;
struct portable;	/* admin/portable.h */

#define LYNC_FILE_MAX		(32u << 20)	/* bytes of a file */
#define LYNC_OBJECTS_MAX	100000		/* of all files together */
#define LYNC_PROPERTIES_MAX	256		/* of an object; columns */
#define LYNC_NAME_MAX		255		/* bytes of a property's or a type's name */
#define LYNC_VALUE_MAX		65536		/* bytes of a value */
#define LYNC_DEPTH_MAX		64		/* elements in one another */

enum lync_kind {
	LYNC_OTHER = 0,
	LYNC_ALLOWED,
	LYNC_BLOCKED,
	LYNC_PUBLIC,
	LYNC_HOSTING,
	LYNC_EDGE,
	LYNC_SIP_DOMAIN,
	LYNC_ROUTE,		/* a static route */
	LYNC_ROUTING,		/* a collection of them */
	LYNC_NKINDS
};
/* "allowed domain", "blocked domain", … */
const char *lync_kind_name(enum lync_kind);

struct lync_property {
	char	*name, *value;		/* value NULL: $null, or nothing that has a text */
};
struct lync_object {
	enum lync_kind		 kind;
	char			*type;		/* as PowerShell calls it; "" if the file does not say */
	int			 line;
	struct lync_property	*v;
	size_t			 n;
};
struct lync_objects {
	struct lync_object	*v;
	size_t			 n;
};
void	lync_objects_fini(struct lync_objects *);	/* also of a zeroed one */
/* The value of a property, by its name in any case, or NULL. Borrowed. */
const char *lync_get(const struct lync_object *, const char *name);

/*
 * Add what a file has. SP_OK, or SP_EINVAL with errs filled: neither of both formats, broken off, or over a
 * limit; *out goes to lync_objects_fini() in any case. Objects of other types are kept as LYNC_OTHER.
 */
int	lync_read(const char *name, struct span bytes, struct lync_objects *out, struct conf_errors *errs);

/* ---- what becomes of it ---- */

enum lync_fate {
	LYNC_KEPT = 0,		/* means the same here */
	LYNC_CHANGED,		/* means nearly the same; why says what is different */
	LYNC_LOST		/* cannot be kept; why says why */
};
const char *lync_fate_name(enum lync_fate);	/* "kept", "changed", "lost" */

struct lync_note {
	enum lync_fate	 fate;
	char		*what, *why;	/* "allowed domain contoso.example", "is a direct partner …" */
};
struct lync_result {
	struct lync_note	*notes;
	size_t			 n;
};
void	lync_result_fini(struct lync_result *);

/* What the settings do not say: our own domains (none: those of Get-CsSipDomain) and servers inside. */
struct lync_given {
	const char *const	*domains, *const *servers;
	size_t			 ndomains, nservers;
};

/*
 * A policy, and settings of edge.conf, into *out (zeroed; portable_fini()); every object and every setting that differs from its
 * default has a note in *result. What contradicts itself is taken apart so that what refuses more is kept. SP_OK, or
 * SP_EINVAL with errs filled: there is nothing to make a policy of, or our own domains or servers are not known.
 */
int	lync_map(const struct lync_objects *, const struct lync_given *, struct portable *out, struct lync_result *result,
	    struct conf_errors *errs);

#endif
