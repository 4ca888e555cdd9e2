/*
 * admin/http/show.h - records of a daemon as pieces of a page. Whatever is in them is escaped.
 */
#ifndef SALLYPORT_ADMIN_HTTP_SHOW_H
#define SALLYPORT_ADMIN_HTTP_SHOW_H

#include "admin/http/ask.h"
#include "admin/http/text.h"

/* One value as people read it: times, yes and no, numbers with thin spaces, lists with commas. */
void	show_field(struct text *, const struct record *, const char *name);
bool	show_has(const struct record *, const char *name);	/* and it is neither "" nor an empty list */
/* The text of a field, or "" ; NUL-terminated and cut to fit. Returns out. */
const char *show_text(const struct record *, const char *name, char *out, size_t size);

struct show_column {
	const char	*field;		/* NULL ends the list */
	const char	*title;
	const char	*class;		/* "num", "any", "nowrap" or "" */
};
/*
 * All records of that kind as a table, the first column as the heads of the rows. columns NULL:
 * every field that the first record has. None of them: the sentence `none`.
 */
void	show_table(struct text *, const struct answer *, const char *kind, const char *caption,
	    const struct show_column *columns, const char *none);
/* One record as a list of terms; skip: names that are left out (NULL-ended), or NULL. */
void	show_card(struct text *, const struct record *, const char *const *skip);
/* "last_failure" as "Last failure". */
void	show_title(struct text *, struct span name);

#endif
