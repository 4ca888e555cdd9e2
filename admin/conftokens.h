/*
 * admin/conftokens.h - libconfig's grammar as tokens, only far enough to know where a setting and its
 * values stand in a text that is to be edited. What an edit leads to is proved by reading it as a whole.
 */
#ifndef SALLYPORT_ADMIN_CONFTOKENS_H
#define SALLYPORT_ADMIN_CONFTOKENS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/span.h"

enum conftoken_kind { TOKEN_END = 0, TOKEN_WORD, TOKEN_STRING, TOKEN_PUNCT };

struct conftoken {
	enum conftoken_kind	 kind;
	size_t		 at, end;	/* in the text */
};

/* Borrows the text. */
struct conftokens {
	struct span	 text;
	size_t		 at;
	struct conftoken	 now;
};

/* At the first token of text. */
struct conftokens conftoken_begin(struct span text);
void	conftoken_next(struct conftokens *);
/* Is the token that character? One that opens an array, a list or a group, or closes one? */
bool	conftoken_is(const struct conftokens *, char);
bool	conftoken_opens(const struct conftokens *);
bool	conftoken_closes(const struct conftokens *);
/* Over one value, with all that is in it; it stands behind it then. */
void	conftoken_skip_value(struct conftokens *);
/* From the first token of a group's inside: to the value of that setting. False: it does not have it; at its end then. */
bool	conftoken_find(struct conftokens *, const char *name);

#endif
