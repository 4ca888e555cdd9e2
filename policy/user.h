/*
 * policy/user.h - user parts and telephone numbers compared with patterns. For policy/ only.
 *
 * '*' in a pattern stands for any characters. Never more steps than both lengths
 * multiplied; nothing is allocated.
 */
#ifndef SALLYPORT_POLICY_USER_H
#define SALLYPORT_POLICY_USER_H

#include <stdbool.h>

#include "common/span.h"

/*
 * A SIP user part, letter case significant. An escape and the character that it
 * stands for are equal, unless the character is reserved (RFC 3261 19.1.4).
 * "%2A" in a pattern is a star.
 */
bool	user_follows(struct span user, struct span pattern);
/*
 * What follows "tel:": visual separators, parameters and the letter case of
 * digits do not count (RFC 3966 3, 4, 5.1.1). A number that has no digit follows none.
 */
bool	user_follows_number(struct span number, struct span pattern);
/* Is every '%' of a pattern followed by two hexadecimal digits? */
bool	user_escapes_ok(struct span pattern);

#endif
