/*
 * admin/policydiff.h - what two policies differ in: by lines, and by what they say.
 */
#ifndef SALLYPORT_ADMIN_POLICYDIFF_H
#define SALLYPORT_ADMIN_POLICYDIFF_H

#include <stdbool.h>
#include <stddef.h>

#include "common/span.h"
#include "common/strbuf.h"

struct conf_errors;

/* ---- by meaning ---- */

enum policydiff_kind { POLICYDIFF_ADDED = 0, POLICYDIFF_REMOVED, POLICYDIFF_CHANGED };
/* "added", "removed", "changed" */
const char *policydiff_kind_name(enum policydiff_kind);

/*
 * One difference. Of an element of a list: option "blocked", group NULL, the
 * element in was or now. Of a switch: both. Of a whole partner, provider ...: group its name, option
 * NULL, list "partners". Of something in it: list, group and option.
 */
struct policydiff_entry {
	enum policydiff_kind	 kind;
	const char		*list;		/* "partners", "providers" ...; NULL: at the top */
	const char		*group;		/* name of the partner, provider ... */
	const char		*option;	/* as policy.conf(5) calls it: "blocked", "federation", "port" */
	const char		*was, *now;	/* NULL: was not there, or is not there now */
};

struct policydiff;
/*
 * Differences between two texts, named was_name and now_name in errs. dir: where the files are that they
 * include. NULL, with errs filled, when one of them cannot be read as a policy; that it contradicts itself
 * is no hindrance.
 */
struct policydiff *policydiff_new(const char *was_name, struct span was, const char *now_name, struct span now,
	    const char *dir, struct conf_errors *errs);
void	policydiff_free(struct policydiff *);		/* NULL: nothing */
size_t	policydiff_count(const struct policydiff *);
/* One line for a person, escaped: "partners Fabrikam: port 5061 -> 5070". */
void	policydiff_say(const struct policydiff_entry *, struct strbuf *out);
/* Borrowed until it is freed; i < count. Values are an administrator's: escape them before showing. */
const struct policydiff_entry *policydiff_get(const struct policydiff *, size_t i);

/* ---- by lines ---- */

/*
 * Call each for every line of a unified diff with 3 lines of context, without its newline: mark is ' ', '-', '+', or
 * '@' for the head of a hunk (text is then "-10,7 +10,8"); line: its number in was (for '-') or now. Borrowed
 * during the call. How many lines were removed or added.
 */
size_t	policydiff_lines(struct span was, struct span now,
	    void (*each)(void *arg, char mark, size_t line, struct span text), void *arg);

#define POLICYDIFF_EDITS_MAX	2000	/* of texts that differ by more, everything between the ends is one change */

/*
 * Merge by lines: what changed from base to theirs is put into ours. SP_OK with *out (xmalloc'ed, NUL behind
 * it); SP_EAGAIN when both changed the same place: *line is the first such line of ours.
 */
int	policydiff_merge(struct span base, struct span ours, struct span theirs, char **out, size_t *n, size_t *line);

#endif
