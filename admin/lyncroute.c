/*
 * admin/lyncroute.c - a static route of Lync as one of ours; see lync_int.h.
 *
 * Its transport is a text like
 *
 *	TransportChoice=Certificate=Microsoft.Rtc.Management.WritableConfig.Settings.SipProxy.UseDefaultCert;Fqdn=gw.contoso.com;Port=5061
 *
 * or, over TCP, TransportChoice=IPAddress=192.0.2.40;Port=5060. Here everything goes over TLS.
 */
#include "admin/lync_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

/* The value of "name=" in a text whose parts have semicolons, or equals signs, between them; or an empty span. */
static struct span
part_of(const char *text, const char *name)
{
	struct span s = span_str(text), prefix = span_str(name);

	while (!span_is_empty(s)) {
		size_t n = 0;

		if (span_istarts(s, prefix) && prefix.n < s.n && s.p[prefix.n] == '=') {
			s = span_tail(s, prefix.n + 1);
			return span_trim(span_head(s, span_find(s, ';')));
		}
		while (n < s.n && s.p[n] != ';' && s.p[n] != '=')
			n++;
		s = span_tail(s, n + 1);
	}
	return SPAN_NONE;
}

/* "sip:*@contoso.com", "*.contoso.com", "contoso.com": our pattern of it, or NULL; the caller's to free. */
static char *
pattern(const char *uri, bool phones, bool *below)
{
	struct span s = span_trim(span_str(uri)), user = SPAN_NONE;
	char *domain, *out;
	size_t at, n;

	if (span_istarts(s, SPAN_LIT("sip:")))
		s = span_tail(s, 4);
	if ((at = span_find(s, '@')) < s.n) {
		user = span_head(s, at);
		s = span_tail(s, at + 1);
	}
	for (size_t i = 0; i < user.n; i++)
		if ((unsigned char)user.p[i] <= ' ' || (unsigned char)user.p[i] >= 0x7f || strchr("\"\\", user.p[i]) != NULL)
			return NULL;
	*below = span_istarts(s, SPAN_LIT("*."));
	if (*below)
		s = span_tail(s, 2);
	if ((domain = lync_host(s)) == NULL)
		return NULL;
	if (span_is(user, "*"))
		user = SPAN_NONE;
	if (phones && span_is_empty(user))
		user = SPAN_LIT("+*");
	n = user.n + strlen(domain) + 4;
	out = xmalloc(n);
	snprintf(out, n, "%.*s%s%s%s", SPAN_FMT(user), span_is_empty(user) ? "" : "@", *below ? "*." : "", domain);
	free(domain);
	return out;
}

void
lync_route_fini(struct lync_route *r)
{
	free(r->match);
	free(r->server);
	*r = (struct lync_route){ .match = NULL };
}

void
lync_route_of(const struct lync_object *o, struct lync_route *out)
{
	const char *transport = lync_get(o, "Transport"), *uri = lync_get(o, "MatchUri");
	struct span certificate = part_of(transport, "Certificate"), port = part_of(transport, "Port");
	bool phones = lync_switch(o, "MatchOnlyPhoneUri", false), below = false;
	uint64_t n = 5061;

	*out = (struct lync_route){ .fate = LYNC_LOST, .replace_host = lync_switch(o, "ReplaceHostInRequestUri", false) };
	if (lync_text(o, "Enabled") != NULL && !lync_switch(o, "Enabled", false))
		out->why = "is not enabled there, and a route that is here counts";
	else if (span_is_empty(certificate))
		out->why = !span_is_empty(port) ? "goes over TCP, and everything here goes over TLS" : "does not say where it goes: Transport is missing";
	else if ((out->server = lync_host(part_of(transport, "Fqdn"))) == NULL)
		out->why = "where it goes is no host name, which a certificate could prove";
	else if (!span_is_empty(port) && (!span_uint(port, 65535, &n) || n == 0))
		out->why = "its port is none";
	else if (uri == NULL || (out->match = pattern(uri, phones, &below)) == NULL)
		out->why = "its MatchUri is neither a domain nor the domains below one";
	if (out->why != NULL)
		return;
	out->port = (unsigned)n;
	if (phones)
		out->why = "of MatchOnlyPhoneUri: for users that begin with \"+\"; numbers without a domain need a route for \"tel:*\"";
	else if (below)
		out->why = "the star stands for one label here, not for several";
	else if (!span_iis(span_tail(certificate, certificate.n > 14 ? certificate.n - 14 : 0), "UseDefaultCert"))
		out->why = "our own certificate is shown there, not one that the route names";
	out->fate = out->why != NULL ? LYNC_CHANGED : LYNC_KEPT;
}
