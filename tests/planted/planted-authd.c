/*
 * tests/planted/planted-authd.c - the same hole in authd, and in the process that asks LDAP.
 *
 * They see no SIP, but addresses that are looked up: planted-WHAT-HEX@domain is a wish, with its argument in
 * hexadecimal.
 */
#include "tests/planted/planted.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/proc.h"
#include "common/span.h"
#include "director/authd.h"

bool	__real_authd_get_lookup(const struct frame *, struct span *aor);
bool	__wrap_authd_get_lookup(const struct frame *, struct span *aor);

static void
planted(struct span aor)
{
	char text[USER_AOR_MAX], argument[USER_AOR_MAX];
	char *what, *hex;
	size_t n = 0;

	if (aor.n >= sizeof(text) || aor.n < 8 || memcmp(aor.p, "planted-", 8) != 0)
		return;
	memcpy(text, aor.p, aor.n);
	text[aor.n] = '\0';
	text[strcspn(text, "@")] = '\0';
	what = text + 8;
	hex = what + strcspn(what, "-");
	if (*hex != '\0')
		*hex++ = '\0';
	while (n < sizeof(argument) - 1 && sscanf(hex + 2 * n, "%2hhx", (unsigned char *)&argument[n]) == 1)
		n++;
	argument[n] = '\0';
	planted_try(what, argument);
}

bool
__wrap_authd_get_lookup(const struct frame *f, struct span *aor)
{
	bool good = __real_authd_get_lookup(f, aor);

	if (good)
		planted(*aor);
	return good;
}
