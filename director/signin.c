/*
 * director/signin.c - credentials in messages: found, challenged for, taken out.
 */
#include "director/signin.h"

#include <time.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/mem.h"
#include "policy/domain.h"

/* --- addresses ---------------------------------------------------------------------- */

static int
hex_digit(char c)
{
	unsigned char l = span_lower((unsigned char)c);

	return l >= '0' && l <= '9' ? l - '0' : l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

void
signin_domain(const struct sip_uri *u, char out[USER_AOR_MAX])
{
	char canon[DOMAIN_MAX];
	struct span domain;
	bool ip;

	out[0] = '\0';
	if (u->scheme != SIP_SCHEME_SIP && u->scheme != SIP_SCHEME_SIPS)
		return;
	if (policy_domain_canon(u->host, canon, &domain, &ip) != SP_OK || domain.n >= DOMAIN_MAX)
		return;
	memcpy(out, domain.p, domain.n);
	out[domain.n] = '\0';
}

bool
signin_aor(const struct sip_uri *u, char out[USER_AOR_MAX])
{
	char domain[USER_AOR_MAX];
	size_t n = 0;

	out[0] = '\0';
	signin_domain(u, domain);
	if (domain[0] == '\0' || u->user.n == 0)
		return false;
	for (size_t i = 0; i < u->user.n; i++) {
		unsigned char c = (unsigned char)u->user.p[i];

		if (c == '%') {
			int hi, lo;

			if (u->user.n - i < 3 || (hi = hex_digit(u->user.p[i + 1])) < 0 ||
			    (lo = hex_digit(u->user.p[i + 2])) < 0)
				goto none;
			c = (unsigned char)(hi << 4 | lo);
			i += 2;
		}
		/* an escaped '@' would make another address of it */
		if (c <= ' ' || c == 0x7f || c == '@' || n + 1 >= USER_AOR_MAX)
			goto none;
		out[n++] = (char)span_lower(c);
	}
	if (n + 1 + strlen(domain) >= USER_AOR_MAX)
		goto none;
	out[n++] = '@';
	strcpy(out + n, domain);
	return true;
 none:
	out[0] = '\0';
	return false;
}

struct span
signin_realm(const struct director_config *c, struct span from_domain)
{
	if (c->auth_realm != NULL)
		return span_str(c->auth_realm);
	return director_is_ours(c, from_domain) ? from_domain : span_str(c->domains.v[0].s);
}

/* --- credentials ----------------------------------------------------------------------- */

/* Is this digest-uri the Request-URI? Spelling may differ, the resource may not (RFC 7616 3.4.6). */
static bool
is_for(const struct sip_message *m, struct span uri)
{
	struct sip_uri u;

	return span_eq(uri, m->uri) || (sip_uri_parse(&u, uri) == SP_OK && u.scheme == m->ruri.scheme &&
	    span_eq(u.user, m->ruri.user) && span_ieq(u.host, m->ruri.host) && u.port == m->ruri.port);
}

/* Digest credentials of one header for this realm, or none. */
static bool
ours(struct span value, struct span realm, struct sip_auth *a)
{
	struct span have;

	return sip_auth_parse(a, value) == SP_OK && auth_is_digest(a) && sip_auth_param(a, "realm", &have) &&
	    span_eq(have, realm);
}

static const enum sip_header_id places[] = { SIP_H_AUTHORIZATION, SIP_H_PROXY_AUTHORIZATION };

enum signin
signin_find(const struct director_config *c, const struct sip_message *m, struct span realm,
    struct auth_credentials *out)
{
	enum signin found = SIGNIN_NONE;
	struct sip_auth a;

	for (unsigned k = 0; k < 2; k++)
		for (int i = sip_message_next(m, places[k], -1); i >= 0; i = sip_message_next(m, places[k], i)) {
			int err;

			if (!ours(sip_header_value(m, i), realm, &a))
				continue;
			if ((err = auth_credentials_read(out, &a)) == SP_ESYNTAX ||
			    (err == SP_OK && !is_for(m, out->uri)))
				found = SIGNIN_MALFORMED;
			else if (err == SP_OK && (out->algorithm == AUTH_MD5 ? c->offer_md5 : c->offer_sha256))
				return SIGNIN_FOUND;
		}
	return found;
}

void
signin_strip(struct sip_message *m, struct span realm)
{
	struct sip_auth a;

	for (unsigned k = 0; k < 2; k++)
		for (int i = sip_message_next(m, places[k], -1); i >= 0; i = sip_message_next(m, places[k], i))
			if (ours(sip_header_value(m, i), realm, &a))
				sip_edit_drop_header(m, i);
}

void
signin_date(struct strbuf *out)
{
	time_t now = clock_wall();
	char date[64];
	struct tm tm;

	if (gmtime_r(&now, &tm) != NULL && strftime(date, sizeof(date), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &tm) > 0)
		strbuf_puts(out, date);
}

void
signin_challenge(const struct director_config *c, struct net_hmac *h, struct span realm, uint64_t conn, bool stale,
    struct strbuf *out)
{
	struct auth_nonce_id id = { .made_ms = clock_ms() };
	char nonce[AUTH_NONCE_TEXT];

	mem_random(&id.random, sizeof(id.random));
	auth_nonce_make(h, realm, conn, &id, nonce);
	if (c->offer_sha256)
		auth_challenge_write(out, AUTH_SHA256, realm, nonce, stale);
	if (c->offer_md5)
		auth_challenge_write(out, AUTH_MD5, realm, nonce, stale);
}
