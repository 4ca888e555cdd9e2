/*
 * tests/fuzz/fuzz_aor.c - who somebody is, read from a URI, from a Kerberos principal and
 * from an account of a Windows domain. What is taken for an address of record has one "@", no
 * capital letter of ASCII, no control character and no space, fits its room, and is of a domain
 * that was configured; the same user written with escapes is the same user. No pattern of a static
 * route fits what it should not.
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "director/routes.h"
#include "director/signin.h"
#include "director/ticket.h"
#include "director/winbind.h"
#include "net/addr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
is_address(const char *aor)
{
	unsigned at = 0;
	size_t n = strlen(aor);

	assert(n >= 3 && n < USER_AOR_MAX && aor[0] != '@' && aor[n - 1] != '@');
	for (const char *p = aor; *p != '\0'; p++) {
		unsigned char c = (unsigned char)*p;

		assert(c > ' ' && c != 0x7f && !(c >= 'A' && c <= 'Z'));
		at += c == '@';
	}
	assert(at == 1);
}

static void
from_uri(struct span s)
{
	char aor[USER_AOR_MAX], again[USER_AOR_MAX], domain[USER_AOR_MAX], text[ROUTE_TEXT_MAX], escaped[4 * USER_AOR_MAX];
	struct sip_uri uri;
	struct strbuf sb;
	const char *at;

	if (sip_uri_parse(&uri, s) != SP_OK)
		return;
	signin_domain(&uri, domain);
	if (!signin_aor(&uri, aor)) {
		assert(aor[0] == '\0');
		return;
	}
	is_address(aor);
	at = strchr(aor, '@');
	assert(strcmp(at + 1, domain) == 0);

	strbuf_init(&sb, escaped, sizeof(escaped));
	strbuf_puts(&sb, "sip:");
	for (const char *p = aor; p < at; p++)
		strbuf_printf(&sb, "%%%02X", (unsigned char)*p);
	strbuf_puts(&sb, at);
	assert(strbuf_ok(&sb));
	assert(sip_uri_parse(&uri, strbuf_span_of(&sb)) == SP_OK && signin_aor(&uri, again) && strcmp(aor, again) == 0);

	strbuf_init(&sb, text, sizeof(text));
	if (route_text(&sb, &uri, span_str(aor)))
		assert(route_fits(SPAN_LIT("*"), strbuf_span_of(&sb)) && !route_fits(SPAN_LIT("sip:*@other.example"),
		    strbuf_span_of(&sb)) == (strcmp(domain, "other.example") != 0));
}

static void
from_domain(struct span s)
{
	static char realm[] = "EXAMPLE.COM=example.com", corp[] = "CORP=example.com";
	struct conf_str realms[] = { { .s = realm } }, corps[] = { { .s = corp } };
	const struct conf_strs krealms = { realms, 1 }, wdomains = { corps, 1 };
	const struct ticket_setup t = { .realms = &krealms };
	size_t slash = span_find(s, '\\');
	char aor[USER_AOR_MAX];

	if (ticket_aor(&t, s, aor)) {
		is_address(aor);
		assert(strcmp(strchr(aor, '@'), "@example.com") == 0);
	} else
		assert(aor[0] == '\0');
	if (winbind_aor(&wdomains, span_head(s, slash), span_tail(s, slash + 1), aor, sizeof(aor))) {
		is_address(aor);
		assert(strcmp(strchr(aor, '@'), "@example.com") == 0 && span_ieq(span_head(s, slash), SPAN_LIT("CORP")));
	} else
		assert(aor[0] == '\0');
}

/* A pattern's full form is its own full form. */
static void
pattern(struct span s)
{
	char one[ROUTE_TEXT_MAX], two[ROUTE_TEXT_MAX];
	struct strbuf a, b;

	strbuf_init(&a, one, sizeof(one));
	if (!route_pattern(&a, s) || !strbuf_ok(&a))
		return;
	strbuf_init(&b, two, sizeof(two));
	assert(route_pattern(&b, strbuf_span_of(&a)) && strcmp(one, two) == 0);
	assert(route_weight(strbuf_span_of(&a)) <= strbuf_span_of(&a).n);
}

/* What is read as an address is printed as one that reads the same. */
static void
socket_address(struct span s)
{
	char text[NET_ADDR_TEXT], again[NET_ADDR_TEXT];
	struct net_addr a, b;

	if (net_addr_parse(&a, s, 0) != SP_OK) {
		assert(a.len == 0);
		return;
	}
	assert(net_addr_port(&a) != 0);
	net_addr_format(&a, text);
	assert(net_addr_parse(&b, span_str(text), 0) == SP_OK && net_addr_same_host(&a, &b) &&
	    net_addr_port(&a) == net_addr_port(&b));
	assert(strcmp(net_addr_format(&b, again), text) == 0);
	assert(strlen(net_addr_network(&a, text)) < sizeof(text));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct span s = span_of((const char *)data, len);

	from_uri(s);
	from_domain(s);
	pattern(s);
	socket_address(s);
	return 0;
}
