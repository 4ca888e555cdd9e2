/*
 * admin/lync_int.h - between lyncread.c, lyncxml.c, lyncmap.c and lyncroute.c. Nobody else includes it.
 */
#ifndef SALLYPORT_ADMIN_LYNC_INT_H
#define SALLYPORT_ADMIN_LYNC_INT_H

#include "admin/lync.h"

/* A new object at the end, or NULL: there are too many. Its type's text is copied. */
struct lync_object *lync_add(struct lync_objects *, struct span type, int line);
/* False: too many. value p NULL: $null. */
bool	lync_add_property(struct lync_object *, struct span name, struct span value);
enum lync_kind lync_kind_of(struct span type);

/* A text that is there: not $null, not empty; else NULL. The object may be NULL, which has nothing. */
const char *lync_text(const struct lync_object *, const char *name);
/* dflt: it is not there, or is neither true nor false. */
bool	lync_switch(const struct lync_object *, const char *name, bool dflt);
/* A host name in the form in which names are compared, the caller's to free; NULL: none. */
char	*lync_host(struct span);

/* Text is UTF-8. As lync_read(). */
int	lync_read_xml(const char *name, struct span text, struct lync_objects *out, struct conf_errors *errs);

/* A static route as policy.conf has it. */
struct lync_route {
	char		*match, *server;	/* canonical; NULL: not to be had */
	unsigned	 port;
	bool		 replace_host;
	enum lync_fate	 fate;
	const char	*why;			/* NULL with LYNC_KEPT */
	size_t		 order;			/* its object's place among all; the caller's to say */
};
void	lync_route_fini(struct lync_route *);
/* What becomes of a LYNC_ROUTE; *out goes to lync_route_fini(). */
void	lync_route_of(const struct lync_object *, struct lync_route *out);

#endif
