/*
 * edge/doctorfix.c - see doctorfix.h.
 */
#include "edge/doctorfix.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "common/strbuf.h"

static const char *say(char out[DOCTOR_FIX_MAX], const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static const char *
say(char out[DOCTOR_FIX_MAX], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(out, DOCTOR_FIX_MAX, fmt, ap);
	va_end(ap);
	return out;
}

const char *
doctor_fix_connect(const struct doctor_case *c, const char *address, int error, char out[DOCTOR_FIX_MAX])
{
	switch (error) {
	case ECONNREFUSED:
		return say(out, "Nothing listens there: ask the administrator of %s whether the edge runs and which port its SRV record "
		    "should name.", c->domain);
	case ETIMEDOUT:
		return say(out, "Let this machine connect to %s in your firewall; if it may already, ask the administrator of %s to let "
		    "us in.", address, c->domain);
	case ENETUNREACH:
	case EHOSTUNREACH:
		return say(out, "This machine has no route to %s: look at its routes and, for an IPv6 address, whether it has IPv6 at all.",
		    address);
	case EACCES:
	case EPERM:
		return say(out, "A rule of this machine's own firewall forbids the connection: allow TCP to %s.", address);
	default:
		return say(out, "Look at this machine's network: %s.", strerror(error));
	}
}

/* The names of a certificate, as far as there is room. */
static void
put_names(const struct net_peer *p, struct strbuf *sb)
{
	for (unsigned i = 0; i < p->nnames && i < 6; i++) {
		strbuf_puts(sb, i > 0 ? ", " : "");
		strbuf_span(sb, p->names[i]);
	}
	if (p->nnames == 0 && p->common_name[0] != '\0')
		strbuf_printf(sb, "only the subject CN %s, which counts with accept_cn", p->common_name);
	else if (p->nnames == 0)
		strbuf_puts(sb, "no host name");
	else if (p->nnames > 6)
		strbuf_puts(sb, " and more");
}

static const char *
fix_certificate(const struct doctor_case *c, const struct doctor_answer *a, char out[DOCTOR_FIX_MAX])
{
	const char *trust = edge_outer(c->config, c->door)->trust, *crl = edge_outer(c->config, c->door)->crl;
	char text[512], pin[65], date[32];
	struct strbuf sb;
	struct tm tm;

	switch (a->why) {
	case POLICY_REASON_CERTIFICATE_EXPIRED:
		strftime(date, sizeof(date), "%Y-%m-%d", gmtime_r(&a->peer.not_after, &tm));
		return say(out, "Ask the administrator of %s to renew the certificate of %s: it, or one of its issuers', has expired (its own "
		    "end is %s); if that is not so, set this machine's clock.", c->domain, c->server, date);
	case POLICY_REASON_CERTIFICATE_NOT_YET_VALID:
		return say(out, "Set the clock of this machine, if it is behind; otherwise ask the administrator of %s for a certificate that "
		    "is valid already.", c->domain);
	case POLICY_REASON_CERTIFICATE_UNTRUSTED:
		strbuf_init(&sb, pin, sizeof(pin));
		strbuf_hex(&sb, a->peer.spki, 32, false);
		return say(out, "If you trust who issued it (%.200s), add that authority's certificate to %s (outer[%zu].trust); otherwise ask for "
		    "a certificate of a public authority, or name the server under partners with certificate = \"pinned\" and pins = "
		    "[ \"%s\" ] after comparing that key with its administrator by telephone.", a->peer.issuer, trust, c->door, pin);
	case POLICY_REASON_CERTIFICATE_NAME:
		strbuf_init(&sb, text, sizeof(text));
		put_names(&a->peer, &sb);
		return say(out, "Its certificate must hold %s and holds %s: ask the administrator of %s for a certificate with that name, or "
		    "for an SRV record that names a server which the certificate holds.", c->server, text, c->domain);
	case POLICY_REASON_CERTIFICATE_USAGE:
		return say(out, "Ask the administrator of %s for a certificate whose extended key usage has serverAuth.", c->domain);
	case POLICY_REASON_CERTIFICATE_REVOKED:
		return say(out, "Do not trust this server: its certificate was revoked; ask the administrator of %s for a new one.", c->domain);
	case POLICY_REASON_CERTIFICATE_CRL:
		return say(out, "Put a current revocation list of its issuer (%.200s) into %s (outer[%zu].crl).", a->peer.issuer,
		    crl != NULL ? crl : "the lists", c->door);
	case POLICY_REASON_CERTIFICATE_WEAK:
		return say(out, "Ask the administrator of %s for a certificate with an RSA key of at least 2048 bits, or an EC key of 256, "
		    "signed with SHA-256.", c->domain);
	case POLICY_REASON_CERTIFICATE_REFUSED:
		return say(out, "Take its fingerprint off refused_certificates in %s, if it stands there by mistake.", c->config->policy);
	case POLICY_REASON_CERTIFICATE_PIN:
		return say(out, "Compare its new key with the administrator of %s and put it into that partner's pins in %s.", c->domain,
		    c->config->policy);
	default:
		return say(out, "Ask the administrator of %s to have %s show its whole chain, with all intermediate certificates.", c->domain,
		    c->server);
	}
}

const char *
doctor_fix_tls(const struct doctor_case *c, const struct doctor_answer *a, char out[DOCTOR_FIX_MAX])
{
	const char *detail = a->detail != NULL ? a->detail : "";
	const struct edge_door_conf *d = edge_outer(c->config, c->door);

	if (policy_reason_is_certificate(a->why))
		return fix_certificate(c, a, out);
	if (strstr(detail, "our certificate") != NULL || strstr(detail, "a certificate of ours") != NULL)
		return say(out, "Ask the administrator of %s to trust who issued our certificate (%.200s) and to accept %s as a partner; look whether "
		    "%s is still valid and sends its intermediate certificates.", c->domain, c->own_issuer, d->name,
		    d->dial_certificate != NULL ? d->dial_certificate : d->certificate);
	if (strstr(detail, "TLS version") != NULL || strstr(detail, "cipher") != NULL)
		return say(out, "Ask the administrator of %s to allow TLS 1.2 or 1.3 with the usual ciphers on %s.", c->domain, c->server);
	if (strstr(detail, "not TLS") != NULL || strstr(detail, "HTTP") != NULL || strstr(detail, "protocol error") != NULL)
		return say(out, "What listens there does not speak TLS: ask the administrator of %s which port is the edge's for partners.",
		    c->domain);
	if (a->secured)
		return say(out, "It closed the connection on us, as happens when it does not take our certificate (issued by %.200s): ask the administrator "
		    "of %s what its log says of %s.", c->own_issuer, c->domain, d->name);
	return say(out, "The handshake was not finished, as happens when %s does not know us: ask the administrator of %s what its log says "
	    "of %s, and whether something between us inspects TLS.", c->server, c->domain, d->name);
}

const char *
doctor_fix_policy(const struct doctor_case *c, enum policy_reason why, bool outward, char out[DOCTOR_FIX_MAX])
{
	const char *policy = c->config->policy;

	switch (why) {
	case POLICY_REASON_FROM_DOMAIN_BLOCKED:
	case POLICY_REASON_TO_DOMAIN_BLOCKED:
	case POLICY_REASON_PEER_BLOCKED:
		return say(out, "If %s is to be reached: sallyportctl unblock %s (or the domain above it that is on the list).", c->domain, c->domain);
	case POLICY_REASON_FEDERATION_OFF:
		return say(out, "Set federation = true in %s.", policy);
	case POLICY_REASON_DOMAIN_NOT_ALLOWED:
		return say(out, "Put \"%s\" into allowed_domains in %s, or name its server under partners.", c->domain, policy);
	case POLICY_REASON_NO_ROUTE:
		return say(out, "Name %s under partners in %s, or set discovery = true and put it into allowed_domains.", c->domain, policy);
	case POLICY_REASON_PARTNER_PAUSED:
		return say(out, "When it is to go on: sallyportctl partner resume with that partner's name.");
	case POLICY_REASON_PROVIDER_OFF:
		return say(out, "Set enabled = true for that provider in %s.", policy);
	case POLICY_REASON_UNKNOWN_PEER:
		return say(out, "Name %s under partners in %s with domains = [ \"%s\" ], or set discovery = true and put the domain into "
		    "allowed_domains.", c->server[0] != '\0' ? c->server : "its server", policy, c->domain);
	case POLICY_REASON_FROM_NOT_OF_PARTNER:
		return say(out, "Put \"%s\" into the domains of the partner whose server that is, in %s.", c->domain, policy);
	case POLICY_REASON_SRV_MISSING:
		return say(out, "Ask the administrator of %s to publish: _sipfederationtls._tcp.%s. SRV 0 0 5061 sip.%s. -- or name its server "
		    "under partners in %s.", c->domain, c->domain, c->domain, policy);
	case POLICY_REASON_SRV_FAILED:
		return say(out, "Look whether the resolvers (dns.servers of %s) answer, and whether the name servers of %s do.", c->config->file,
		    c->domain);
	case POLICY_REASON_SRV_OUTSIDE_DOMAIN:
		return say(out, "Ask the administrator of %s for an SRV record that names a host in %s, like sip.%s; or name its server under "
		    "partners in %s, which no DNS can change then.", c->domain, c->domain, c->domain, policy);
	case POLICY_REASON_SRV_PORT:
		return say(out, "Ask the administrator of %s for an SRV record with the edge's port, usually 5061.", c->domain);
	case POLICY_REASON_PEER_NOT_IN_SRV:
		return say(out, "Its certificate must hold a name that the SRV record of %s has: ask its administrator to make both agree.", c->domain);
	case POLICY_REASON_METHOD_NOT_ALLOWED:
		return say(out, "Take the method off refuse_methods in %s, if it is to pass.", policy);
	case POLICY_REASON_LOOPS_BACK:
		return say(out, "%s is one of your own domains: doctor is for those of others.", c->domain);
	case POLICY_REASON_NOT_FOR_PARTNERS:
		return say(out, "Set partners = true for an outer door in %s.", c->config->file);
	case POLICY_REASON_HOP_CERTIFICATE:
	case POLICY_REASON_CERTIFICATE_USAGE:
		return say(out, "The certificate is good, but policy asks more of that partner: look at its certificate and pins in %s.", policy);
	default:
		return say(out, "See sallyport-reasons(7) for \"%s\", and sallyportctl explain --%s for each step.", policy_reason_name(why),
		    outward ? "direction out" : "direction in");
	}
}

const char *
doctor_fix_status(const struct doctor_case *c, const struct doctor_answer *a, char out[DOCTOR_FIX_MAX])
{
	const char *us = edge_outer(c->config, c->door)->name;
	unsigned status = a->status;
	uint64_t id = 0;

	(void)span_uint(span_head(span_str(a->diagnostics), span_find(span_str(a->diagnostics), ';')), 99999, &id);
	if (id == 1008 || id == 1009)
		return say(out, "It does not find our domain's server in DNS: publish what sallyportctl dns prints, and compare with "
		    "sallyportctl dns --check; or ask the administrator of %s to name %s as our server.", c->domain, us);
	if (id == 1010)
		return say(out, "Our certificate does not prove the server that our domain has in DNS: see sallyportctl dns --check and "
		    "sallyportctl certs, or ask the administrator of %s what it expects instead of %s.", c->domain, us);
	switch (status) {
	case 401:
	case 407:
		return say(out, "It takes us for a user who has to sign in: ask the administrator of %s to list %s as a partner, on a port that "
		    "asks for certificates.", c->domain, us);
	case 403:
		return say(out, "Its policy refuses us: ask the administrator of %s to allow our domain and our server %s.", c->domain, us);
	case 408:
	case 504:
		return say(out, "The edge of %s does not reach its own inside: ask its administrator.", c->domain);
	case 404:
	case 405:
	case 480:
	case 481:
	case 483:
	case 501:
	case 604:
		return NULL;	/* about the OPTIONS, not about us */
	default:
		if (status < 300)
			return NULL;
		return say(out, "Ask the administrator of %s what its log says of our OPTIONS, which it answered with %u.", c->domain, status);
	}
}
