/*
 * tests/planted/planted-authd.c - the same hole in authd, in the process that asks LDAP, and in the one that asks winbind.
 *
 * They see no SIP, but addresses that are looked up: planted-WHAT-HEX@domain is a wish of authd's, with its argument in
 * hexadecimal; directory-planted-WHAT-HEX@domain one of the process that asks LDAP. Of the one that asks winbind it is the
 * name with which somebody signs in.
 */
#include "tests/planted/planted.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/proc.h"
#include "common/span.h"
#include "director/authd.h"
#include "director/ldapconn.h"
#include "director/winbind.h"

bool	__real_authd_get_lookup(const struct frame *, struct span *aor);
bool	__wrap_authd_get_lookup(const struct frame *, struct span *aor);
struct ldap_names *__real_ldap_names_new(void);
struct ldap_names *__wrap_ldap_names_new(void);
bool	__real_winbind_get_question(const struct frame *, struct winbind_question *);
bool	__wrap_winbind_get_question(const struct frame *, struct winbind_question *);

static bool asks_ldap;	/* this is the process that does */

struct ldap_names *
__wrap_ldap_names_new(void)
{
	asks_ldap = true;
	return __real_ldap_names_new();
}

static void
planted(struct span name, struct span prefix)
{
	char text[NTLM_NAME_MAX], argument[NTLM_NAME_MAX];
	char *what, *hex;
	size_t n = 0;

	if (name.n >= sizeof(text) || !span_istarts(name, prefix))
		return;
	memcpy(text, name.p, name.n);
	text[name.n] = '\0';
	text[strcspn(text, "@")] = '\0';
	what = text + prefix.n;
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
		planted(*aor, asks_ldap ? SPAN_LIT("directory-planted-") : SPAN_LIT("planted-"));
	return good;
}

bool
__wrap_winbind_get_question(const struct frame *f, struct winbind_question *q)
{
	bool good = __real_winbind_get_question(f, q);

	if (good)
		planted(q->user, SPAN_LIT("planted-"));
	return good;
}
