/*
 * director/routes.h - static routes: which pattern fits a Request-URI. Pure.
 *
 * A pattern is sip:USER@HOST or tel:NUMBER in lower case, in which each '*' is
 * any text. Of those that fit, the most specific one wins: the one with most
 * characters that are not '*' (MS 14.2), the first of equals.
 */
#ifndef SALLYPORT_DIRECTOR_ROUTES_H
#define SALLYPORT_DIRECTOR_ROUTES_H

#include <stdbool.h>
#include <stddef.h>

#include "common/span.h"
#include "common/strbuf.h"
#include "sip/grammar.h"

#define ROUTE_TEXT_MAX	512

/*
 * A pattern as the administrator writes it, in its full form: "gw.example.com"
 * is every user there, "+1*@example.com" is a sip: one. False if it is none.
 */
bool	route_pattern(struct strbuf *out, struct span written);
/*
 * The text that patterns are compared with: of a tel: URI its digits without
 * what only helps the eye, of any other aor (user@domain, from signin_aor()) without parameters of the
 * user. False: nothing fits it.
 */
bool	route_text(struct strbuf *out, const struct sip_uri *, struct span aor);
bool	route_fits(struct span pattern, struct span text);
size_t	route_weight(struct span pattern);

#endif
