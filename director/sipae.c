/*
 * director/sipae.c - MS-SIPAE on messages: credentials, challenges, signatures (MS 3, 4).
 */
#include "director/sipae.h"

#include <stdlib.h>

#include "common/err.h"
#include "common/mem.h"
#include "net/stats.h"

static const enum sip_header_id places[] = { SIP_H_AUTHORIZATION, SIP_H_PROXY_AUTHORIZATION };

/* --- target names ------------------------------------------------------------------- */

/* Kerberos names a service, NTLM the host alone (MS 3.1). */
static const char *
target_prefix(enum sa_scheme s)
{
	return s == SA_KERBEROS ? "sip/" : "";
}

static bool
is_target(const struct sipae_self *self, enum sa_scheme s, struct span text)
{
	struct span prefix = span_str(target_prefix(s));

	return span_istarts(text, prefix) && span_iis(span_tail(text, prefix.n), self->name);
}

static enum sa_scheme
scheme_of(struct span text)
{
	return span_iis(text, "NTLM") ? SA_NTLM : span_iis(text, "Kerberos") ? SA_KERBEROS : SA_NONE;
}

/* Are these credentials for us? */
static enum sa_scheme
ours(const struct sipae_self *self, struct span value, struct sip_auth *a)
{
	struct span realm, target;
	enum sa_scheme s;

	if (sip_auth_parse(a, value) != SP_OK || (s = scheme_of(a->scheme)) == SA_NONE ||
	    !sip_auth_param(a, "realm", &realm) || !span_is(realm, self->realm) ||
	    !sip_auth_param(a, "targetname", &target) || !is_target(self, s, target))
		return SA_NONE;
	return s;
}

/* --- reading -------------------------------------------------------------------------- */

static int
digit(char c)
{
	unsigned char l = span_lower((unsigned char)c);

	return l >= '0' && l <= '9' ? l - '0' : l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

/* Hex digits of either case; bytes, or 0 if it is none or too long. */
static size_t
read_hex(struct span s, unsigned char *out, size_t max)
{
	if (s.n % 2 != 0 || s.n / 2 > max)
		return 0;
	for (size_t i = 0; i < s.n; i += 2) {
		int hi = digit(s.p[i]), lo = digit(s.p[i + 1]);

		if (hi < 0 || lo < 0)
			return 0;
		out[i / 2] = (unsigned char)(hi << 4 | lo);
	}
	return s.n / 2;
}

static bool
read_opaque(struct span s, uint32_t *out)
{
	unsigned char b[4];

	if (s.n != 8 || read_hex(s, b, sizeof(b)) != 4)
		return false;
	*out = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
	return true;
}

static int
base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

size_t
sipae_token(struct span s, unsigned char *out, size_t max)
{
	uint32_t bits = 0;
	unsigned have = 0;
	size_t n = 0, padded = s.n;

	while (s.n > 0 && padded - s.n < 2 && s.p[s.n - 1] == '=')
		s.n--;
	if (padded % 4 != 0 || s.n % 4 == 1)
		return 0;
	for (size_t i = 0; i < s.n; i++) {
		int d = base64_digit(s.p[i]);

		if (d < 0)
			return 0;
		bits = bits << 6 | (unsigned)d;
		if ((have += 6) < 8)
			continue;
		have -= 8;
		if (n == max)
			return 0;
		out[n++] = (unsigned char)(bits >> have);
	}
	return n;
}

#define RANDOM_MAX	32	/* digits of a crand */

/* What a signature consists of: all of it or nothing. */
static bool
read_signature(struct sipae_credentials *c, const struct sip_auth *a)
{
	struct span response;
	uint64_t cnum;
	bool random = sip_auth_param(a, "crand", &c->proof.random), number = sip_auth_param(a, "cnum", &c->proof.number),
	    has = sip_auth_param(a, "response", &response);

	if (!random && !number && !has)
		return true;
	if (!random || !number || !has || c->proof.random.n == 0 || c->proof.random.n > RANDOM_MAX ||
	    !span_uint(c->proof.number, UINT32_MAX, &cnum) ||
	    (c->signature_n = read_hex(response, c->signature, sizeof(c->signature))) == 0)
		return false;
	c->cnum = (uint32_t)cnum;
	c->is_signed = true;
	return true;
}

static bool
read_credentials(struct sipae_credentials *c, enum sa_scheme scheme, const struct sip_auth *a)
{
	struct span v;
	uint64_t n;

	memset(c, 0, sizeof(*c));
	c->scheme = scheme;
	c->version = 2;		/* who does not say speaks as the first of them did (MS 3.2) */
	c->proof.scheme = span_str(sa_scheme_name(scheme));
	sip_auth_param(a, "realm", &c->proof.realm);
	sip_auth_param(a, "targetname", &c->proof.target);
	c->handshake = sip_auth_param(a, "gssapi-data", &c->token);
	if (sip_auth_param(a, "version", &v)) {
		if (!span_uint(v, 4, &n) || n < 2)
			return false;
		c->version = (unsigned)n;
	}
	if (sip_auth_param(a, "opaque", &v) && !read_opaque(v, &c->opaque))
		return false;
	if (sip_auth_param(a, "qop", &v) && !span_iis(v, "auth"))
		return false;
	return read_signature(c, a) && (c->handshake || (c->is_signed && c->opaque != 0));
}

enum signin
sipae_find(const struct sipae_self *self, const struct sip_message *m, struct sipae_credentials *c)
{
	for (unsigned k = 0; k < 2; k++)
		for (int i = sip_message_next(m, places[k], -1); i >= 0; i = sip_message_next(m, places[k], i)) {
			struct sip_auth a;
			enum sa_scheme s = ours(self, sip_header_value(m, i), &a);

			if (s != SA_NONE)
				return read_credentials(c, s, &a) ? SIGNIN_FOUND : SIGNIN_MALFORMED;
		}
	return SIGNIN_NONE;
}

void
sipae_strip(const struct sipae_self *self, struct sip_message *m)
{
	struct sip_auth a;

	for (unsigned k = 0; k < 2; k++)
		for (int i = sip_message_next(m, places[k], -1); i >= 0; i = sip_message_next(m, places[k], i))
			if (ours(self, sip_header_value(m, i), &a) != SA_NONE)
				sip_edit_drop_header(m, i);
}

/* --- challenges ------------------------------------------------------------------------- */

/* The parameters that every header of ours ends with. */
static void
put_self(const struct sipae_self *self, enum sa_scheme s, struct strbuf *out)
{
	strbuf_puts(out, "targetname=\"");
	strbuf_puts(out, target_prefix(s));
	strbuf_puts(out, self->name);
	strbuf_puts(out, "\", realm=\"");
	strbuf_puts(out, self->realm);
	strbuf_putc(out, '"');
}

static void
put_opaque(uint32_t opaque, struct strbuf *out)
{
	unsigned char b[4] = { (unsigned char)(opaque >> 24), (unsigned char)(opaque >> 16), (unsigned char)(opaque >> 8),
	    (unsigned char)opaque };

	strbuf_puts(out, "opaque=\"");
	strbuf_hex(out, b, sizeof(b), true);
	strbuf_puts(out, "\", ");
}

void
sipae_offer(const struct sipae_self *self, enum sa_scheme s, struct strbuf *out)
{
	strbuf_printf(out, "WWW-Authenticate: %s ", sa_scheme_name(s));
	put_self(self, s, out);
	strbuf_printf(out, ", version=%u\r\n", self->version);
}

static void
put_base64(struct span s, struct strbuf *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < s.n; i += 3) {
		size_t n = s.n - i < 3 ? s.n - i : 3;
		uint32_t bits = 0;

		for (size_t j = 0; j < 3; j++)
			bits = bits << 8 | (j < n ? (unsigned char)s.p[i + j] : 0);
		for (size_t j = 0; j < 4; j++)
			strbuf_putc(out, j <= n ? digits[bits >> (18 - 6 * j) & 63] : '=');
	}
}

void
sipae_go_on(const struct sipae_self *self, enum sa_scheme s, uint32_t opaque, struct span token, struct strbuf *out)
{
	strbuf_printf(out, "WWW-Authenticate: %s ", sa_scheme_name(s));
	put_opaque(opaque, out);
	strbuf_puts(out, "gssapi-data=\"");
	put_base64(token, out);
	strbuf_puts(out, "\", ");
	put_self(self, s, out);
	strbuf_printf(out, ", version=%u\r\n", self->version);
}

/* --- signatures --------------------------------------------------------------------------- */

bool
sipae_verify(const struct sip_message *m, const struct sipae_credentials *c, unsigned version,
    const struct sa_keys *keys)
{
	char text[SIGBUF_MAX];
	struct strbuf sb;

	strbuf_init(&sb, text, sizeof(text));
	return c->is_signed && c->scheme == keys->scheme && sigbuf_write(m, &c->proof, version, &sb) &&
	    sa_keys_verify(keys, strbuf_span_of(&sb), span_of((const char *)c->signature, c->signature_n));
}

struct sipae_desk {
	struct sip_message	 m;
	char			*bytes;
	size_t			 room;
};

struct sipae_desk *
sipae_desk_new(void)
{
	return xcalloc(1, sizeof(struct sipae_desk));
}

void
sipae_desk_free(struct sipae_desk *d)
{
	if (d == NULL)
		return;
	free(d->bytes);
	free(d);
}

static void
drop_all(struct sip_message *m, enum sip_header_id id)
{
	for (int i = sip_message_next(m, id, -1); i >= 0; i = sip_message_next(m, id, i))
		sip_edit_drop_header(m, i);
}

/* The message as it will leave, indexed. */
static bool
lay_out(struct sipae_desk *d, struct sip_message *m)
{
	size_t n = sip_message_room(m);

	if (n > d->room) {
		d->room = n + n / 2;
		free(d->bytes);
		d->bytes = xmalloc(d->room);
	}
	n = sip_message_render(m, d->bytes);
	sip_message_reset(&d->m);
	return n != 0 && sip_message_index(&d->m, d->bytes, n) == SP_OK;
}

#define INFO_MAX	1024	/* room for the header line */

/* The header line for what lies on the desk. */
static bool
put_info(const struct sipae_desk *d, const struct sipae_self *self, const struct sa_pen *pen, uint32_t opaque,
    struct strbuf *out)
{
	unsigned char random[4], signature[SA_SIGNATURE_MAX];
	char text[SIGBUF_MAX], srand[9], snum[11], target[300];
	struct strbuf sb, r, n, t;
	struct sigbuf_proof proof = { .scheme = span_str(sa_scheme_name(pen->keys.scheme)),
	    .realm = span_str(self->realm) };

	mem_random(random, sizeof(random));
	strbuf_init(&r, srand, sizeof(srand));
	strbuf_hex(&r, random, sizeof(random), true);
	strbuf_init(&n, snum, sizeof(snum));
	strbuf_uint(&n, pen->snum);
	strbuf_init(&t, target, sizeof(target));
	strbuf_puts(&t, target_prefix(pen->keys.scheme));
	strbuf_puts(&t, self->name);
	proof.random = strbuf_span_of(&r);
	proof.number = strbuf_span_of(&n);
	proof.target = strbuf_span_of(&t);
	strbuf_init(&sb, text, sizeof(text));
	if (!sigbuf_write(&d->m, &proof, pen->version, &sb))
		return false;
	strbuf_puts(out, "Authentication-Info: ");
	strbuf_span(out, proof.scheme);
	strbuf_puts(out, " rspauth=\"");
	strbuf_hex(out, signature, sa_keys_sign(&pen->keys, strbuf_span_of(&sb), signature), true);
	strbuf_puts(out, "\", srand=\"");
	strbuf_span(out, proof.random);
	strbuf_puts(out, "\", snum=\"");
	strbuf_span(out, proof.number);
	strbuf_puts(out, "\", ");
	put_opaque(opaque, out);
	strbuf_puts(out, "qop=\"auth\", ");
	put_self(self, pen->keys.scheme, out);
	strbuf_puts(out, "\r\n");
	return strbuf_ok(out) && strbuf_ok(&t);
}

bool
sipae_sign(struct sipae_desk *d, const struct sipae_self *self, struct sa_table *table, uint32_t opaque,
    uint64_t now_ms, struct sip_message *m)
{
	char line[INFO_MAX];
	struct strbuf sb;
	struct sa_pen pen;
	bool ok;

	drop_all(m, SIP_H_AUTHENTICATION_INFO);
	drop_all(m, SIP_H_PROXY_AUTHENTICATION_INFO);
	if (!lay_out(d, m) || !sa_pen(table, opaque, now_ms, &pen))
		return false;
	strbuf_init(&sb, line, sizeof(line));
	if ((ok = put_info(d, self, &pen, opaque, &sb)))
		sip_edit_insert_span(m, (int)m->nheaders, strbuf_span_of(&sb));
	sa_keys_wipe(&pen.keys);
	stats_count(SIGNATURES, STATS_SIGNATURE_MADE, 0);
	return ok && !m->edit_failed;
}
