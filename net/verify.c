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
#include "net/tls_ctx.h"

#define OID_SIP_DOMAIN	"1.3.6.1.5.5.7.3.20"	/* id-kp-sipDomain, RFC 5924 */

/* What is wrong with a certificate. text NULL: nothing. code is what the peer's alert is made from. */
struct fault {
	int			 code;
	enum policy_reason	 reason;
	const char		*text;
};

/* OpenSSL's verdicts in our words. The rest is "not valid". */
static const struct fault causes[] = {
	{ X509_V_ERR_CERT_HAS_EXPIRED, POLICY_REASON_CERTIFICATE_EXPIRED, "certificate expired" },
	{ X509_V_ERR_CERT_NOT_YET_VALID, POLICY_REASON_CERTIFICATE_NOT_YET_VALID, "certificate not yet valid" },
	{ X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, POLICY_REASON_CERTIFICATE_UNTRUSTED, "unknown issuer" },
	{ X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, POLICY_REASON_CERTIFICATE_UNTRUSTED, "unknown issuer" },
	{ X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, POLICY_REASON_CERTIFICATE_UNTRUSTED, "unknown issuer" },
	{ X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, POLICY_REASON_CERTIFICATE_UNTRUSTED, "self-signed and not trusted" },
	{ X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, POLICY_REASON_CERTIFICATE_UNTRUSTED, "unknown issuer" },
	{ X509_V_ERR_CERT_UNTRUSTED, POLICY_REASON_CERTIFICATE_UNTRUSTED, "unknown issuer" },
	{ X509_V_ERR_CERT_SIGNATURE_FAILURE, POLICY_REASON_CERTIFICATE_CHAIN, "bad signature in the chain" },
	{ X509_V_ERR_CERT_CHAIN_TOO_LONG, POLICY_REASON_CERTIFICATE_CHAIN, "chain too long" },
	{ X509_V_ERR_PATH_LENGTH_EXCEEDED, POLICY_REASON_CERTIFICATE_CHAIN, "chain longer than an issuer allows" },
	{ X509_V_ERR_INVALID_CA, POLICY_REASON_CERTIFICATE_CHAIN, "issuer is not an authority" },
	{ X509_V_ERR_KEYUSAGE_NO_CERTSIGN, POLICY_REASON_CERTIFICATE_CHAIN, "issuer may not sign certificates" },
	{ X509_V_ERR_CERT_REVOKED, POLICY_REASON_CERTIFICATE_REVOKED, "certificate revoked" },
	{ X509_V_ERR_UNABLE_TO_GET_CRL, POLICY_REASON_CERTIFICATE_CRL, "no revocation list of its issuer" },
	{ X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER, POLICY_REASON_CERTIFICATE_CRL, "no revocation list of its issuer" },
	{ X509_V_ERR_CRL_HAS_EXPIRED, POLICY_REASON_CERTIFICATE_CRL, "revocation list expired" },
	{ X509_V_ERR_CRL_NOT_YET_VALID, POLICY_REASON_CERTIFICATE_CRL, "revocation list not yet valid" },
	{ X509_V_ERR_CRL_SIGNATURE_FAILURE, POLICY_REASON_CERTIFICATE_CRL, "bad signature on the revocation list" },
	{ X509_V_ERR_EE_KEY_TOO_SMALL, POLICY_REASON_CERTIFICATE_WEAK, "key too weak" },
	{ X509_V_ERR_CA_KEY_TOO_SMALL, POLICY_REASON_CERTIFICATE_WEAK, "an issuer's key too weak" },
	{ X509_V_ERR_CA_MD_TOO_WEAK, POLICY_REASON_CERTIFICATE_WEAK, "signature algorithm too weak" },
	{ X509_V_ERR_PERMITTED_VIOLATION, POLICY_REASON_CERTIFICATE_CHAIN, "name outside its issuer's constraints" },
	{ X509_V_ERR_EXCLUDED_VIOLATION, POLICY_REASON_CERTIFICATE_CHAIN, "name outside its issuer's constraints" },
	{ X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION, POLICY_REASON_CERTIFICATE_CHAIN, "unknown critical extension" },
	{ X509_V_ERR_INVALID_EXTENSION, POLICY_REASON_CERTIFICATE_CHAIN, "malformed extension" },
};

static struct fault
cause_of(int code, int depth)
{
	if (depth > 0 && code == X509_V_ERR_CERT_HAS_EXPIRED)
		return (struct fault){ code, POLICY_REASON_CERTIFICATE_EXPIRED, "an issuer's certificate expired" };
	if (depth > 0 && code == X509_V_ERR_CERT_NOT_YET_VALID)
		return (struct fault){ code, POLICY_REASON_CERTIFICATE_NOT_YET_VALID,
		    "an issuer's certificate not yet valid" };
	for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++)
		if (causes[i].code == code)
			return causes[i];
	return (struct fault){ code, POLICY_REASON_CERTIFICATE, "certificate not valid" };
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
	unsigned seen = 0;

	if (inet_pton(AF_INET, name, ip) == 1 || inet_pton(AF_INET6, name, ip) == 1)
		return X509_check_ip_asc(x, name, 0) == 1;
	sans = sans_of(x, &speaks);
	/* As many as net_peer_from_x509() keeps: a name counts the same whoever calls whom. */
	for (int i = 0; !found && seen < NET_PEER_NAMES_MAX && sans != NULL && i < sk_GENERAL_NAME_num(sans); i++) {
		if (!san_host(sk_GENERAL_NAME_value(sans, i), host))
			continue;
		found = strcmp(host, name) == 0;
		seen++;
	}
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
	peer->shown = true;
	peer->usage = usage_of(x);
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

/*
 * Usage as design 4 has it. A peer that connects to us may show a certificate
 * for servers only (public CAs no longer issue others); policy can be stricter
 * per partner with what net_peer.usage says. A peer we connect to is a server.
 */
static struct fault
judge_usage(X509 *leaf, bool peer_is_server, unsigned usage)
{
	uint32_t flags = X509_get_extension_flags(leaf);
	uint32_t bits = X509_get_key_usage(leaf);
	struct fault f = { X509_V_ERR_INVALID_PURPOSE, POLICY_REASON_CERTIFICATE_USAGE, NULL };

	if (flags & EXFLAG_INVALID) {
		f.reason = POLICY_REASON_CERTIFICATE_CHAIN;
		f.text = "malformed extension";
	} else if (flags & EXFLAG_CA) {
		f.text = "an authority's certificate, not a server's";
	} else if (bits != UINT32_MAX &&
	    (bits & (KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT | KU_KEY_AGREEMENT)) == 0) {
		f.text = "key usage not for TLS";
	} else if (peer_is_server ? (usage & NET_USAGE_SERVER) == 0 : usage == 0) {
		f.text = "extended key usage not for TLS";
	}
	return f;
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

static bool
is_on_list(const X509_CRL *crl, X509 *x, X509 *by)
{
	X509_REVOKED *entry = NULL;

	/* 2 is removeFromCRL: it was on hold and is good again. */
	return X509_CRL_verify((X509_CRL *)(uintptr_t)crl, X509_get0_pubkey(by)) == 1 &&
	    X509_CRL_get0_by_cert((X509_CRL *)(uintptr_t)crl, &entry, x) == 1;
}

/*
 * OpenSSL looks for a list of the leaf's issuer and insists on one; of those above
 * it, whoever revokes intermediates publishes that too, and a list that is there counts.
 */
static bool
an_issuer_is_revoked(X509_STORE_CTX *sc)
{
	STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(sc);
	bool revoked = false;

	if ((X509_VERIFY_PARAM_get_flags(X509_STORE_CTX_get0_param(sc)) & X509_V_FLAG_CRL_CHECK) == 0)
		return false;
	for (int i = 1; !revoked && i + 1 < sk_X509_num(chain); i++) {
		X509 *x = sk_X509_value(chain, i);
		STACK_OF(X509_CRL) *lists = X509_STORE_CTX_get1_crls(sc, X509_get_issuer_name(x));

		for (int k = 0; !revoked && k < sk_X509_CRL_num(lists); k++)
			revoked = is_on_list(sk_X509_CRL_value(lists, k), x, sk_X509_value(chain, i + 1));
		sk_X509_CRL_pop_free(lists, X509_CRL_free);
	}
	return revoked;
}

static int
by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, 32);
}

static bool
listed(const unsigned char what[32], const unsigned char (*list)[32], size_t n)
{
	return n != 0 && bsearch(what, list, n, 32, by_bytes) != NULL;
}

/* Everything that can be said against it, the worst first: nothing that follows mends it. */
static struct fault
judge(X509_STORE_CTX *sc, const struct net_check *check, X509 *leaf)
{
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(sc);
	const struct net_tls_lists *lists = check->ctx != NULL ? check->ctx->lists : NULL;
	struct fault f;

	if (lists != NULL && listed(check->peer->fingerprint, (const unsigned char (*)[32])lists->refused, lists->nrefused))
		return (struct fault){ X509_V_ERR_CERT_REJECTED, POLICY_REASON_CERTIFICATE_REFUSED,
		    "refused by the administrator" };
	if (!keys_are_sane(leaf, X509_STORE_CTX_get0_untrusted(sc)))
		return (struct fault){ X509_V_ERR_EE_KEY_TOO_SMALL, POLICY_REASON_CERTIFICATE_WEAK,
		    "unusable key in the chain" };
	X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_ANY);
	X509_VERIFY_PARAM_set_depth(param, NET_CHAIN_DEPTH_MAX);
	X509_VERIFY_PARAM_set_time(param, clock_wall());
	if (X509_verify_cert(sc) != 1) {
		int code = X509_STORE_CTX_get_error(sc);

		return cause_of(code != X509_V_OK ? code : X509_V_ERR_UNSPECIFIED,	/* it could not even begin */
		    X509_STORE_CTX_get_error_depth(sc));
	}
	if (an_issuer_is_revoked(sc))
		return (struct fault){ X509_V_ERR_CERT_REVOKED, POLICY_REASON_CERTIFICATE_REVOKED,
		    "an issuer's certificate revoked" };
	f = judge_usage(leaf, check->expect != NULL, check->peer->usage);
	if (f.text == NULL && check->expect != NULL && !net_verify_proves(leaf, check->expect, check->accept_cn))
		f = (struct fault){ X509_V_ERR_HOSTNAME_MISMATCH, POLICY_REASON_CERTIFICATE_NAME,
		    "does not prove the expected name" };
	return f;
}

/* A pinned key makes up for a chain that proves nothing, not for one that speaks against it. */
static bool
pin_makes_up(const struct net_check *check, X509 *leaf, const struct fault *f)
{
	const struct net_tls_lists *lists = check->ctx != NULL ? check->ctx->lists : NULL;

	if (lists == NULL || !listed(check->peer->spki, (const unsigned char (*)[32])lists->pins, lists->npins))
		return false;
	switch (f->reason) {
	case POLICY_REASON_CERTIFICATE_REFUSED:
	case POLICY_REASON_CERTIFICATE_REVOKED:
	case POLICY_REASON_CERTIFICATE_WEAK:
		return false;
	default:
		/* Of a chain that could not be built, no key was weighed. */
		return EVP_PKEY_get_security_bits(X509_get0_pubkey(leaf)) >= NET_SECURITY_BITS;
	}
}

/* The alert follows the verify result; OpenSSL's own errors have theirs already. */
static int
verify(X509_STORE_CTX *sc, struct net_check *check, X509 *leaf)
{
	struct net_peer *peer = check->peer;
	struct fault f;

	net_peer_from_x509(peer, leaf, check->accept_cn);
	f = judge(sc, check, leaf);
	ERR_clear_error();
	peer->has_certificate = f.text == NULL;
	peer->unverified = f.text != NULL && pin_makes_up(check, leaf, &f);
	peer->why = f.text != NULL ? f.reason : POLICY_REASON_ALLOWED;
	peer->fault = f.text;
	if (peer->has_certificate || peer->unverified) {
		X509_STORE_CTX_set_error(sc, X509_V_OK);
		return 1;
	}
	check->refused = f.text;
	check->reason = f.reason;
	X509_STORE_CTX_set_error(sc, f.code);
	return 0;
}

int
net_verify_chain(X509_STORE_CTX *sc, void *unused)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(sc, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct net_check *check = SSL_get_app_data(ssl);
	X509 *leaf = X509_STORE_CTX_get0_cert(sc);

	(void)unused;
	if (leaf == NULL) {
		check->refused = "no certificate shown";
		check->reason = POLICY_REASON_CERTIFICATE_MISSING;
		X509_STORE_CTX_set_error(sc, X509_V_ERR_UNSPECIFIED);
		return 0;
	}
	return verify(sc, check, leaf);
}

bool
net_verify_again(struct net_check *check, X509 *leaf, STACK_OF(X509) *chain)
{
	X509_STORE_CTX *sc = X509_STORE_CTX_new_ex(net_tls_ctx_lib(check->ctx), NULL);
	bool good = false;

	check->refused = NULL;
	if (sc == NULL || X509_STORE_CTX_init(sc, net_tls_ctx_store(check->ctx), leaf, chain) != 1) {
		check->refused = "no resources to judge it again";
		check->reason = POLICY_REASON_CERTIFICATE;
	} else {
		X509_VERIFY_PARAM_set_auth_level(X509_STORE_CTX_get0_param(sc), NET_SECURITY_LEVEL);
		good = verify(sc, check, leaf) == 1;
	}
	X509_STORE_CTX_free(sc);
	ERR_clear_error();
	return good;
}
