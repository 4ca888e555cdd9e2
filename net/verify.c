/*
 * net/verify.c - certificates judged: chain, usage, names.
 */
#include "net/verify.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "common/clock.h"
#include "common/mem.h"
#include "common/strbuf.h"

#define OID_SIP_DOMAIN	"1.3.6.1.5.5.7.3.20"	/* id-kp-sipDomain, RFC 5924 */

/* OpenSSL's verdicts in our words. The rest is "not valid". */
static const struct {
	int		 code;
	const char	*text;
} causes[] = {
	{ X509_V_ERR_CERT_HAS_EXPIRED, "certificate expired" },
	{ X509_V_ERR_CERT_NOT_YET_VALID, "certificate not yet valid" },
	{ X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, "unknown issuer" },
	{ X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, "unknown issuer" },
	{ X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, "unknown issuer" },
	{ X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, "self-signed and not trusted" },
	{ X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, "unknown issuer" },
	{ X509_V_ERR_CERT_UNTRUSTED, "unknown issuer" },
	{ X509_V_ERR_CERT_SIGNATURE_FAILURE, "bad signature in the chain" },
	{ X509_V_ERR_CERT_CHAIN_TOO_LONG, "chain too long" },
	{ X509_V_ERR_PATH_LENGTH_EXCEEDED, "chain longer than an issuer allows" },
	{ X509_V_ERR_INVALID_CA, "issuer is not an authority" },
	{ X509_V_ERR_KEYUSAGE_NO_CERTSIGN, "issuer may not sign certificates" },
	{ X509_V_ERR_CERT_REVOKED, "certificate revoked" },
	{ X509_V_ERR_UNABLE_TO_GET_CRL, "no revocation list of its issuer" },
	{ X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER, "no revocation list of its issuer" },
	{ X509_V_ERR_CRL_HAS_EXPIRED, "revocation list expired" },
	{ X509_V_ERR_CRL_NOT_YET_VALID, "revocation list not yet valid" },
	{ X509_V_ERR_CRL_SIGNATURE_FAILURE, "bad signature on the revocation list" },
	{ X509_V_ERR_EE_KEY_TOO_SMALL, "key too weak" },
	{ X509_V_ERR_CA_KEY_TOO_SMALL, "an issuer's key too weak" },
	{ X509_V_ERR_CA_MD_TOO_WEAK, "signature algorithm too weak" },
	{ X509_V_ERR_PERMITTED_VIOLATION, "name outside its issuer's constraints" },
	{ X509_V_ERR_EXCLUDED_VIOLATION, "name outside its issuer's constraints" },
	{ X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION, "unknown critical extension" },
	{ X509_V_ERR_INVALID_EXTENSION, "malformed extension" },
};

static const char *
cause_text(int code)
{
	for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++)
		if (causes[i].code == code)
			return causes[i].text;
	return "certificate not valid";
}

bool
net_host_canonical(struct span in, char out[256])
{
	bool numeric = true;	/* of the last label */
	size_t label = 0;

	out[0] = '\0';
	if (in.n > 1 && in.p[in.n - 1] == '.')
		in.n--;
	if (in.n == 0 || in.n > 253)
		return false;
	for (size_t i = 0; i < in.n; i++) {
		unsigned char c = span_lower((unsigned char)in.p[i]);

		if (c == '.') {
			if (label == 0)
				return false;
			label = 0;
			numeric = true;
		} else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_') {
			if (++label > 63)
				return false;
			if (c < '0' || c > '9')
				numeric = false;
		} else {
			return false;	/* '*', NUL, 8-bit, blanks: no server name */
		}
		out[i] = (char)c;
	}
	/* A last label of digits is an IPv4 address, which is never a name. */
	if (label == 0 || numeric) {
		out[0] = '\0';
		return false;
	}
	out[in.n] = '\0';
	return true;
}

/* "sip:host" or "sip:host:port" and nothing else: no user part, no parameters (RFC 5922 7.1). */
static bool
sip_uri_host(struct span uri, char out[256])
{
	struct span host, port;
	uint64_t number;

	if (!span_istarts(uri, SPAN_LIT("sip:")))
		return false;
	uri = span_tail(uri, 4);
	host = span_head(uri, span_find(uri, ':'));
	if (host.n < uri.n) {
		port = span_tail(uri, host.n + 1);
		if (!span_uint(port, 65535, &number))
			return false;
	}
	return net_host_canonical(host, out);
}

static struct span
asn1_span(const ASN1_STRING *s)
{
	return span_of((const char *)ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
}

/* The name that one SAN entry proves, if it is of the kinds that prove one. */
static bool
san_host(const GENERAL_NAME *gn, char out[256])
{
	switch (gn->type) {
	case GEN_DNS:
		return net_host_canonical(asn1_span(gn->d.dNSName), out);
	case GEN_URI:
		return sip_uri_host(asn1_span(gn->d.uniformResourceIdentifier), out);
	default:
		return false;
	}
}

/*
 * The SANs; NULL when there are none. speaks: one is there that could name a
 * server, good or bad, or they do not parse; then the CN has no say (RFC 5922 7.1).
 */
static GENERAL_NAMES *
sans_of(X509 *x, bool *speaks)
{
	int crit = -1;
	GENERAL_NAMES *sans = X509_get_ext_d2i(x, NID_subject_alt_name, &crit, NULL);

	*speaks = sans == NULL && crit != -1;
	for (int i = 0; !*speaks && sans != NULL && i < sk_GENERAL_NAME_num(sans); i++) {
		const GENERAL_NAME *gn = sk_GENERAL_NAME_value(sans, i);

		*speaks = gn->type == GEN_DNS || (gn->type == GEN_URI &&
		    span_istarts(asn1_span(gn->d.uniformResourceIdentifier), SPAN_LIT("sip:")));
	}
	return sans;
}

/* The subject's CN; with several there is no telling which one was meant. */
static bool
subject_cn(X509 *x, char out[256])
{
	const X509_NAME *subject = X509_get_subject_name(x);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	unsigned char *utf8 = NULL;
	bool ok = false;
	int n;

	if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0)
		return false;
	n = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
	if (n > 0)
		ok = net_host_canonical(span_of((const char *)utf8, (size_t)n), out);
	OPENSSL_free(utf8);
	return ok;
}

bool
net_verify_proves(X509 *x, const char *name, bool accept_cn)
{
	GENERAL_NAMES *sans;
	unsigned char ip[16];
	char host[256];
	bool found = false, speaks;

	if (inet_pton(AF_INET, name, ip) == 1 || inet_pton(AF_INET6, name, ip) == 1)
		return X509_check_ip_asc(x, name, 0) == 1;
	sans = sans_of(x, &speaks);
	for (int i = 0; !found && sans != NULL && i < sk_GENERAL_NAME_num(sans); i++)
		found = san_host(sk_GENERAL_NAME_value(sans, i), host) && strcmp(host, name) == 0;
	if (!found && accept_cn && !speaks)
		found = subject_cn(x, host) && strcmp(host, name) == 0;
	GENERAL_NAMES_free(sans);
	return found;
}

/* Collected in two passes over the same rule: how much room, then the text. */
struct names {
	struct span	*v;
	char		*text;
	size_t		 used;
	unsigned	 n;
};

static void
names_add(struct names *to, const char *host)
{
	size_t n = strlen(host);

	if (to->n == NET_PEER_NAMES_MAX)
		return;
	if (to->v != NULL)
		to->v[to->n] = span_of(memcpy(to->text + to->used, host, n), n);
	to->used += n;
	to->n++;
}

static void
names_collect(struct names *to, X509 *x, const GENERAL_NAMES *sans, bool use_cn)
{
	char host[256];

	for (int i = 0; sans != NULL && i < sk_GENERAL_NAME_num(sans); i++)
		if (san_host(sk_GENERAL_NAME_value(sans, i), host))
			names_add(to, host);
	if (use_cn && subject_cn(x, host))
		names_add(to, host);
}

static void
peer_names(struct net_peer *peer, X509 *x, bool accept_cn)
{
	struct names room = { 0 }, got = { 0 };
	GENERAL_NAMES *sans;
	bool speaks;

	sans = sans_of(x, &speaks);
	names_collect(&room, x, sans, accept_cn && !speaks);
	if (room.n != 0) {
		/* One block: the spans, then their text. */
		got.v = xmalloc(room.n * sizeof(*got.v) + room.used);
		got.text = (char *)(got.v + room.n);
		names_collect(&got, x, sans, accept_cn && !speaks);
		peer->names = got.v;
		peer->nnames = got.n;
	}
	if (speaks || !subject_cn(x, peer->common_name))
		peer->common_name[0] = '\0';
	GENERAL_NAMES_free(sans);
}

void
net_dn_text(const X509_NAME *dn, char *out, size_t size)
{
	struct strbuf sb;
	char oid[80];

	strbuf_init(&sb, out, size);
	for (int i = X509_NAME_entry_count(dn) - 1; i >= 0 && strbuf_ok(&sb); i--) {
		const X509_NAME_ENTRY *entry = X509_NAME_get_entry(dn, i);
		const ASN1_OBJECT *kind = X509_NAME_ENTRY_get_object(entry);
		int nid = OBJ_obj2nid(kind);
		unsigned char *utf8 = NULL;
		int n = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(entry));

		if (nid == NID_undef)
			OBJ_obj2txt(oid, sizeof(oid), kind, 1);
		if (sb.len != 0)
			strbuf_puts(&sb, ", ");
		strbuf_puts(&sb, nid == NID_undef ? oid : OBJ_nid2sn(nid));
		strbuf_putc(&sb, '=');
		for (int k = 0; k < n; k++) {
			if (utf8[k] < ' ' || utf8[k] > '~' || strchr(",+\"\\<>;=", utf8[k]) != NULL)
				strbuf_printf(&sb, "\\x%02X", utf8[k]);
			else
				strbuf_putc(&sb, (char)utf8[k]);
		}
		OPENSSL_free(utf8);
	}
}

static time_t
asn1_time(const ASN1_TIME *t)
{
	struct tm tm;

	return t != NULL && ASN1_TIME_to_tm(t, &tm) == 1 ? timegm(&tm) : 0;
}

void
net_peer_from_x509(struct net_peer *peer, X509 *x, bool accept_cn)
{
	const ASN1_INTEGER *serial = X509_get0_serialNumber(x);
	X509_PUBKEY *key = X509_get_X509_PUBKEY(x);
	unsigned char *der = NULL;
	struct strbuf sb;
	int n;

	net_peer_fini(peer);
	peer_names(peer, x, accept_cn);
	X509_digest(x, EVP_sha256(), peer->fingerprint, NULL);
	if ((n = i2d_X509_PUBKEY(key, &der)) > 0)
		EVP_Digest(der, (size_t)n, peer->spki, NULL, EVP_sha256(), NULL);
	OPENSSL_free(der);
	peer->not_after = asn1_time(X509_get0_notAfter(x));
	net_dn_text(X509_get_subject_name(x), peer->subject, sizeof(peer->subject));
	net_dn_text(X509_get_issuer_name(x), peer->issuer, sizeof(peer->issuer));
	strbuf_init(&sb, peer->serial, sizeof(peer->serial));
	strbuf_hex(&sb, ASN1_STRING_get0_data(serial), (size_t)ASN1_STRING_length(serial), false);
}

void
net_peer_fini(struct net_peer *peer)
{
	free((void *)(uintptr_t)peer->names);
	peer->names = NULL;
	peer->nnames = 0;
}

/* NET_USAGE_* of the extended key usage; without the extension a certificate is for everything. */
static unsigned
usage_of(X509 *x)
{
	unsigned usage = 0;
	EXTENDED_KEY_USAGE *eku;
	char oid[80];
	int crit = -1;

	if ((eku = X509_get_ext_d2i(x, NID_ext_key_usage, &crit, NULL)) == NULL)
		return crit == -1 ? NET_USAGE_SERVER | NET_USAGE_CLIENT : 0;	/* else it does not parse */
	for (int i = 0; i < sk_ASN1_OBJECT_num(eku); i++) {
		const ASN1_OBJECT *o = sk_ASN1_OBJECT_value(eku, i);

		switch (OBJ_obj2nid(o)) {
		case NID_server_auth:
			usage |= NET_USAGE_SERVER;
			break;
		case NID_client_auth:
			usage |= NET_USAGE_CLIENT;
			break;
		case NID_anyExtendedKeyUsage:
			usage |= NET_USAGE_SERVER | NET_USAGE_CLIENT;
			break;
		default:
			/* RFC 5924: made for SIP in either role. */
			if (OBJ_obj2txt(oid, sizeof(oid), o, 1) > 0 && strcmp(oid, OID_SIP_DOMAIN) == 0)
				usage |= NET_USAGE_SERVER | NET_USAGE_CLIENT;
		}
	}
	EXTENDED_KEY_USAGE_free(eku);
	return usage;
}

/*
 * Usage as design 4 has it. A peer that connects to us may show a certificate
 * for servers only (public CAs no longer issue others); policy can be stricter
 * per partner with what net_peer.usage says. A peer we connect to is a server.
 */
static const char *
judge_usage(X509 *leaf, bool peer_is_server, unsigned *usage)
{
	uint32_t flags = X509_get_extension_flags(leaf);
	uint32_t bits = X509_get_key_usage(leaf);

	if (flags & EXFLAG_INVALID)
		return "malformed extension";
	if (flags & EXFLAG_CA)
		return "an authority's certificate, not a server's";
	if (bits != UINT32_MAX &&
	    (bits & (KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT | KU_KEY_AGREEMENT)) == 0)
		return "key usage not for TLS";
	*usage = usage_of(leaf);
	if (peer_is_server ? (*usage & NET_USAGE_SERVER) == 0 : *usage == 0)
		return "extended key usage not for TLS";
	return NULL;
}

/* Before any signature is checked: keys so large that checking them is an attack. */
static bool
keys_are_sane(X509 *leaf, STACK_OF(X509) *others)
{
	for (int i = -1; i < sk_X509_num(others); i++) {
		EVP_PKEY *key = X509_get0_pubkey(i < 0 ? leaf : sk_X509_value(others, i));

		if (key == NULL || EVP_PKEY_get_bits(key) > NET_RSA_BITS_MAX)
			return false;
	}
	return true;
}

/* The alert follows the verify result; OpenSSL's own errors have theirs already. */
static int
refuse(X509_STORE_CTX *sc, struct net_check *check, int code, const char *why)
{
	check->refused = why;
	X509_STORE_CTX_set_error(sc, code);
	ERR_clear_error();
	return 0;
}

int
net_verify_chain(X509_STORE_CTX *sc, void *unused)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(sc, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct net_check *check = SSL_get_app_data(ssl);
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(sc);
	X509 *leaf = X509_STORE_CTX_get0_cert(sc);
	const char *why;
	unsigned usage;

	(void)unused;
	if (leaf == NULL || !keys_are_sane(leaf, X509_STORE_CTX_get0_untrusted(sc)))
		return refuse(sc, check, X509_V_ERR_EE_KEY_TOO_SMALL, "unusable key in the chain");
	X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_ANY);
	X509_VERIFY_PARAM_set_depth(param, NET_CHAIN_DEPTH_MAX);
	X509_VERIFY_PARAM_set_time(param, clock_wall());
	if (X509_verify_cert(sc) != 1) {
		int code = X509_STORE_CTX_get_error(sc);

		if (code == X509_V_OK)		/* it could not even begin */
			code = X509_V_ERR_UNSPECIFIED;
		return refuse(sc, check, code,
		    code == X509_V_ERR_CERT_HAS_EXPIRED && X509_STORE_CTX_get_error_depth(sc) > 0 ?
		    "an issuer's certificate expired" : cause_text(code));
	}
	if ((why = judge_usage(leaf, check->expect != NULL, &usage)) != NULL)
		return refuse(sc, check, X509_V_ERR_INVALID_PURPOSE, why);
	if (check->expect != NULL && !net_verify_proves(leaf, check->expect, check->accept_cn))
		return refuse(sc, check, X509_V_ERR_HOSTNAME_MISMATCH, "does not prove the expected name");
	net_peer_from_x509(check->peer, leaf, check->accept_cn);
	check->peer->usage = usage;
	return 1;
}
