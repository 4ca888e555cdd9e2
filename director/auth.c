/*
 * director/auth.c - the exchange by which a user proves who it is. Pure.
 */
#include "director/auth.h"

#include "common/err.h"
#include "common/mem.h"
#include "sip/grammar.h"

#define MAC_SIZE	16	/* bytes of the MAC that a nonce carries */
#define TIME_LEN	12	/* hex digits: 8,900 years of milliseconds */
#define RANDOM_LEN	16

_Static_assert(AUTH_NONCE_LEN == TIME_LEN + RANDOM_LEN + 2 * MAC_SIZE, "the parts of a nonce");

static const struct {
	const char		*name;
	enum net_digest_kind	 kind;
	size_t			 size;
} algorithms[AUTH_NALGORITHMS] = {
	[AUTH_SHA256] = { "SHA-256", NET_DIGEST_SHA256, 32 },
	[AUTH_MD5] = { "MD5", NET_DIGEST_MD5, 16 }
};

const char *
auth_algorithm_name(enum auth_algorithm a)
{
	return algorithms[a].name;
}

size_t
auth_algorithm_size(enum auth_algorithm a)
{
	return algorithms[a].size;
}

/* Hex digits of either case to a number; false if there is anything else. At most 16 of them. */
static bool
read_hex(struct span s, uint64_t *out)
{
	*out = 0;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = span_lower((unsigned char)s.p[i]);

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
		*out = *out << 4 | (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	return s.n != 0 && s.n <= 16;
}

/* --- nonces ---------------------------------------------------------------------- */

static void
nonce_mac(struct net_hmac *h, struct span realm, uint64_t conn, struct span id, unsigned char out[32])
{
	struct span parts[4] = { id, { (const char *)&conn, sizeof(conn) }, SPAN_LIT(":"), realm };

	net_hmac(h, parts, 4, out);
}

void
auth_nonce_make(struct net_hmac *h, struct span realm, uint64_t conn, const struct auth_nonce_id *id, char out[AUTH_NONCE_TEXT])
{
	unsigned char mac[32];
	struct strbuf sb;

	strbuf_init(&sb, out, AUTH_NONCE_TEXT);
	strbuf_printf(&sb, "%012llx%016llx", (unsigned long long)(id->made_ms & 0xffffffffffffULL),
	    (unsigned long long)id->random);
	nonce_mac(h, realm, conn, strbuf_span_of(&sb), mac);
	strbuf_hex(&sb, mac, MAC_SIZE, false);
}

int
auth_nonce_parts(struct span nonce, struct auth_nonce_id *id)
{
	if (nonce.n != AUTH_NONCE_LEN || !read_hex(span_head(nonce, TIME_LEN), &id->made_ms) ||
	    !read_hex(span_of(nonce.p + TIME_LEN, RANDOM_LEN), &id->random))
		return SP_ESYNTAX;
	return SP_OK;
}

enum auth_nonce
auth_nonce_check(struct net_hmac *h, struct span realm, uint64_t conn, struct span nonce, uint64_t now_ms, uint64_t lifetime_ms)
{
	char want[AUTH_NONCE_TEXT];
	struct auth_nonce_id id;

	/* made again and compared as text: one nonce has one spelling */
	if (auth_nonce_parts(nonce, &id) != SP_OK)
		return AUTH_NONCE_FORGED;
	auth_nonce_make(h, realm, conn, &id, want);
	if (!mem_equal_secret(want, nonce.p, AUTH_NONCE_LEN))
		return AUTH_NONCE_FORGED;
	return id.made_ms > now_ms || now_ms - id.made_ms >= lifetime_ms ? AUTH_NONCE_STALE : AUTH_NONCE_GOOD;
}

/* --- challenge and response ---------------------------------------------------------- */

void
auth_challenge_write(struct strbuf *out, enum auth_algorithm a, struct span realm, const char *nonce, bool stale)
{
	strbuf_puts(out, "WWW-Authenticate: Digest realm=\"");
	strbuf_span(out, realm);
	strbuf_printf(out, "\", nonce=\"%s\", algorithm=%s, qop=\"auth\"%s\r\n", nonce, algorithms[a].name,
	    stale ? ", stale=true" : "");
}

bool
auth_is_digest(const struct sip_auth *a)
{
	return span_iis(a->scheme, "Digest");
}

int
auth_credentials_read(struct auth_credentials *c, const struct sip_auth *a)
{
	struct span algorithm, qop, other;
	uint64_t nc;

	memset(c, 0, sizeof(*c));
	if (!sip_auth_param(a, "username", &c->username) || !sip_auth_param(a, "realm", &c->realm) ||
	    !sip_auth_param(a, "nonce", &c->nonce) || !sip_auth_param(a, "uri", &c->uri) ||
	    !sip_auth_param(a, "response", &c->response))
		return sip_auth_param(a, "username*", &other) ? SP_EINVAL : SP_ESYNTAX;
	if (!sip_auth_param(a, "algorithm", &algorithm))
		algorithm = SPAN_LIT("MD5");	/* RFC 7616 3.3 */
	while (c->algorithm < AUTH_NALGORITHMS && !span_iis(algorithm, algorithms[c->algorithm].name))
		c->algorithm++;
	if (c->algorithm == AUTH_NALGORITHMS || !sip_auth_param(a, "qop", &qop) || !span_iis(qop, "auth") ||
	    (sip_auth_param(a, "userhash", &other) && !span_iis(other, "false")))
		return SP_EINVAL;
	if (!sip_auth_param(a, "cnonce", &c->cnonce) || !sip_auth_param(a, "nc", &c->nc_text) || c->nc_text.n != 8 ||
	    !read_hex(c->nc_text, &nc) || nc == 0 || span_is_empty(c->cnonce) || span_is_empty(c->username))
		return SP_ESYNTAX;
	c->nc = (uint32_t)nc;
	return SP_OK;
}

static struct span
hash_hex(enum auth_algorithm a, const struct span *parts, size_t n, char out[2 * NET_DIGEST_MAX + 1])
{
	unsigned char digest[NET_DIGEST_MAX];
	struct strbuf sb;

	strbuf_init(&sb, out, 2 * NET_DIGEST_MAX + 1);
	strbuf_hex(&sb, digest, net_digest(algorithms[a].kind, parts, n, digest), false);
	return strbuf_span_of(&sb);
}

void
auth_response(const struct auth_credentials *c, const unsigned char *ha1, struct span method,
    unsigned char out[NET_DIGEST_MAX])
{
	char a1[2 * NET_DIGEST_MAX + 1], a2[2 * NET_DIGEST_MAX + 1];
	struct span colon = SPAN_LIT(":"), of_a2[3] = { method, colon, c->uri }, all[11];
	struct strbuf sb;

	strbuf_init(&sb, a1, sizeof(a1));
	strbuf_hex(&sb, ha1, algorithms[c->algorithm].size, false);
	all[0] = strbuf_span_of(&sb);
	all[1] = all[3] = all[5] = all[7] = all[9] = colon;
	all[2] = c->nonce;
	all[4] = c->nc_text;
	all[6] = c->cnonce;
	all[8] = SPAN_LIT("auth");
	all[10] = hash_hex(c->algorithm, of_a2, 3, a2);
	net_digest(algorithms[c->algorithm].kind, all, 11, out);
	mem_wipe(a1, sizeof(a1));
}

bool
auth_response_read(const struct auth_credentials *c, unsigned char out[NET_DIGEST_MAX])
{
	size_t size = algorithms[c->algorithm].size;
	uint64_t byte;

	if (c->response.n != 2 * size)
		return false;
	for (size_t i = 0; i < size; i++) {
		if (!read_hex(span_of(c->response.p + 2 * i, 2), &byte))
			return false;
		out[i] = (unsigned char)byte;
	}
	return true;
}
