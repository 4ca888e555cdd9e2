/*
 * sip/flow.c - see flow.h.
 */
#include "sip/flow.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "common/mem.h"
#include "net/digest.h"
#include "net/stats.h"

#define SIG_BYTES	19	/* key id and 18 bytes of the HMAC */
#define SIG_TEXT	26	/* the same in base64url, no padding */
#define PATH_SIG_TEXT	16	/* of a Path: 12 of these bytes */

struct sip_flow_keys {
	_Atomic unsigned	 refs;
	unsigned		 n;
	unsigned char		 id[SIP_FLOW_KEYS_MAX];	/* names the key in a signature */
	unsigned char		 key[SIP_FLOW_KEYS_MAX][SIP_FLOW_KEY_SIZE];
};

struct sip_flow_signer {
	struct sip_flow_keys	*keys;
	struct net_hmac		*hmac[SIP_FLOW_KEYS_MAX];
};

struct sip_flow_keys *
sip_flow_keys_from(const unsigned char *keys, unsigned n)
{
	struct sip_flow_keys *k = xcalloc(1, sizeof(*k));

	atomic_init(&k->refs, 1);
	k->n = n < SIP_FLOW_KEYS_MAX ? n : SIP_FLOW_KEYS_MAX;
	for (unsigned i = 0; i < k->n; i++) {
		unsigned char digest[NET_DIGEST_MAX];
		struct span part;

		memcpy(k->key[i], keys + (size_t)i * SIP_FLOW_KEY_SIZE, SIP_FLOW_KEY_SIZE);
		part = span_of((const char *)k->key[i], SIP_FLOW_KEY_SIZE);
		net_digest(NET_DIGEST_SHA256, &part, 1, digest);
		k->id[i] = digest[0];
	}
	return k;
}

struct sip_flow_keys *
sip_flow_keys_new(void)
{
	unsigned char key[SIP_FLOW_KEY_SIZE];
	struct sip_flow_keys *k;

	mem_random(key, sizeof(key));
	k = sip_flow_keys_from(key, 1);
	mem_wipe(key, sizeof(key));
	return k;
}

struct sip_flow_keys *
sip_flow_keys_ref(struct sip_flow_keys *k)
{
	atomic_fetch_add_explicit(&k->refs, 1, memory_order_relaxed);
	return k;
}

void
sip_flow_keys_unref(struct sip_flow_keys *k)
{
	if (k != NULL && atomic_fetch_sub_explicit(&k->refs, 1, memory_order_acq_rel) == 1)
		mem_wipe_free(k, sizeof(*k));
}

bool
sip_flow_keys_same(const struct sip_flow_keys *a, const struct sip_flow_keys *b)
{
	return a->n == b->n && mem_equal_secret(a->key, b->key, a->n * sizeof(a->key[0]));
}

static bool
has_key(const struct sip_flow_keys *k, const unsigned char key[SIP_FLOW_KEY_SIZE])
{
	bool found = false;

	for (unsigned i = 0; i < k->n; i++)
		found |= mem_equal_secret(k->key[i], key, SIP_FLOW_KEY_SIZE);
	return found;
}

struct sip_flow_keys *
sip_flow_keys_after(const struct sip_flow_keys *before, const struct sip_flow_keys *now)
{
	unsigned char keys[SIP_FLOW_KEYS_MAX][SIP_FLOW_KEY_SIZE];
	unsigned at = SIP_FLOW_KEYS_MAX - now->n;
	struct sip_flow_keys *k;

	memcpy(keys[at], now->key, now->n * sizeof(now->key[0]));
	/* the newest of those that only verify are nearest to them */
	for (unsigned i = before->n; i-- > 0 && at > 0; )
		if (!has_key(now, before->key[i]))
			memcpy(keys[--at], before->key[i], SIP_FLOW_KEY_SIZE);
	k = sip_flow_keys_from(keys[at], SIP_FLOW_KEYS_MAX - at);
	mem_wipe(keys, sizeof(keys));
	return k;
}

unsigned
sip_flow_keys_copy(const struct sip_flow_keys *k, unsigned char out[SIP_FLOW_KEYS_MAX * SIP_FLOW_KEY_SIZE])
{
	memcpy(out, k->key, k->n * sizeof(k->key[0]));
	return k->n;
}

void
sip_flow_keys_derive(const struct sip_flow_keys *k, const char *use, unsigned char out[SIP_FLOW_KEY_SIZE])
{
	struct net_hmac *h = net_hmac_new(k->key[0], SIP_FLOW_KEY_SIZE);
	/* no signature covers text that begins like this */
	struct span parts[2] = { SPAN_LIT("derive "), span_str(use) };

	net_hmac(h, parts, 2, out);
	net_hmac_free(h);
}

static void
begin(struct sip_flow_signer *s, struct sip_flow_keys *keys)
{
	s->keys = sip_flow_keys_ref(keys);
	for (unsigned i = 0; i < keys->n; i++)
		s->hmac[i] = net_hmac_new(keys->key[i], SIP_FLOW_KEY_SIZE);
}

static void
end(struct sip_flow_signer *s)
{
	for (unsigned i = 0; i < s->keys->n; i++)
		net_hmac_free(s->hmac[i]);
	sip_flow_keys_unref(s->keys);
}

struct sip_flow_signer *
sip_flow_signer_new(struct sip_flow_keys *keys)
{
	struct sip_flow_signer *s = xcalloc(1, sizeof(*s));

	begin(s, keys);
	return s;
}

void
sip_flow_signer_take(struct sip_flow_signer *s, struct sip_flow_keys *keys)
{
	end(s);
	begin(s, keys);
}

void
sip_flow_signer_free(struct sip_flow_signer *s)
{
	if (s == NULL)
		return;
	end(s);
	free(s);
}

/* What the signature covers. Each part ends in a byte that it cannot contain. */
static void
sign(struct sip_flow_signer *s, unsigned key, bool path, struct span host, uint16_t port, struct span opaque,
    struct span call_id, unsigned char out[SIG_BYTES])
{
	char lower[256], head[16];
	unsigned char mac[32];
	struct strbuf sb;
	struct span parts[5];
	size_t n = host.n < sizeof(lower) ? host.n : sizeof(lower);

	for (size_t i = 0; i < n; i++)
		lower[i] = (char)span_lower((unsigned char)host.p[i]);
	strbuf_init(&sb, head, sizeof(head));
	strbuf_puts(&sb, path ? "path " : "dialog ");
	strbuf_uint(&sb, port);
	strbuf_putc(&sb, '\n');
	parts[0] = strbuf_span_of(&sb);
	parts[1] = span_of(lower, n);
	parts[2] = SPAN_LIT("\n");
	parts[3] = opaque;
	parts[4] = path ? SPAN_NONE : call_id;
	/* opaque is ours and has no '\n'; Call-ID comes last and may hold anything */
	net_hmac(s->hmac[key], parts, 5, mac);
	out[0] = s->keys->id[key];
	memcpy(out + 1, mac, SIG_BYTES - 1);
}

#define DEFAULT_PORT	5061	/* of our transport (RFC 3261 19.1.2) */

static const char b64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void
b64_format(const unsigned char *in, size_t n, struct strbuf *out)
{
	uint32_t bits = 0;
	unsigned have = 0;

	for (size_t i = 0; i < n; i++) {
		bits = bits << 8 | in[i];
		for (have += 8; have >= 6; have -= 6)
			strbuf_putc(out, b64url[bits >> (have - 6) & 63]);
	}
	if (have > 0)
		strbuf_putc(out, b64url[bits << (6 - have) & 63]);
}

/*
 * The token: kind; P for a path, D for one of a pair, R for a route alone; link; the owner's words.
 * A Path has token and signature in its user part and is as short as can be:
 * Kamailio keeps 256 bytes of all Paths of a registration together.
 */
static const char kinds[] = { [SIP_FLOW_USER] = 'C', [SIP_FLOW_PEER] = 'S', [SIP_FLOW_HERE] = 'H' };

/* As many lower-case digits as it takes. */
static void
put_hex(struct strbuf *out, uint64_t n)
{
	for (int shift = n == 0 ? 0 : (63 - __builtin_clzll(n)) & ~3; shift >= 0; shift -= 4)
		strbuf_putc(out, "0123456789abcdef"[n >> shift & 15]);
}

static void
token_format(const struct sip_flow *f, struct strbuf *out)
{
	/* for every request that begins a dialog, so not by printf */
	if (!f->path)
		strbuf_puts(out, "state:");
	strbuf_putc(out, kinds[f->kind]);
	if (!f->path)
		strbuf_puts(out, "i.");
	strbuf_putc(out, f->path ? 'P' : f->paired ? 'D' : 'R');
	put_hex(out, f->link);
	if (f->extra != 0 || f->who != 0)
		strbuf_putc(out, '.');
	if (f->extra != 0)
		put_hex(out, f->extra);
	if (f->who != 0) {
		strbuf_putc(out, '.');
		put_hex(out, f->who);
	}
}

static bool
hex_parse(struct span s, size_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (s.n == 0 || s.n > max)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c >= '0' && c <= '9')
			v = v << 4 | (c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v << 4 | (c - 'a' + 10);
		else
			return false;
	}
	*out = v;
	return true;
}

/* What stands behind the kind: a letter, the link's digits, and the owner's words: "." digits, ".." digits or both. */
static bool
token_parse(struct span s, char kind, struct sip_flow *f)
{
	struct span digits = span_tail(s, 1), words;
	size_t dot = span_find(digits, '.'), second;
	uint64_t link, extra = 0, who = 0;

	if (s.n < 2 || s.p[0] == '\0' || strchr("RDP", s.p[0]) == NULL || !hex_parse(span_head(digits, dot), 16, &link))
		return false;
	words = span_tail(digits, dot + 1);
	second = span_find(words, '.');
	if (second < words.n && !hex_parse(span_tail(words, second + 1), 8, &who))
		return false;
	if (dot < digits.n && (second != 0 || words.n == 0) && !hex_parse(span_head(words, second), 8, &extra))
		return false;
	*f = (struct sip_flow){ .path = s.p[0] == 'P', .paired = s.p[0] == 'D', .link = link, .extra = (uint32_t)extra,
	    .who = (uint32_t)who };
	for (unsigned k = SIP_FLOW_USER; k <= SIP_FLOW_HERE; k++)
		if (kinds[k] == kind)
			f->kind = (enum sip_flow_kind)k;
	return f->kind != SIP_FLOW_NONE;
}

/* A dialog's: "state:" kind "i." and so on in the parameter opaque, the signature in ms-route-sig. */
static bool
read_route(const struct sip_uri *uri, struct span *token, struct span *sig, struct sip_flow *f)
{
	return sip_param(uri->params, "opaque", token) && sip_param(uri->params, "ms-route-sig", sig) &&
	    sig->n == SIG_TEXT && token->n > 9 && span_eq(span_head(*token, 6), SPAN_LIT("state:")) &&
	    token->p[7] == 'i' && token->p[8] == '.' && token_parse(span_tail(*token, 9), token->p[6], f) && !f->path;
}

/* A Path's: kind and so on, "." and the signature, in the user part. */
static bool
read_path(const struct sip_uri *uri, struct span *token, struct span *sig, struct sip_flow *f)
{
	struct span user = uri->user;

	if (user.n < PATH_SIG_TEXT + 4 || user.p[user.n - PATH_SIG_TEXT - 1] != '.')
		return false;
	*token = span_head(user, user.n - PATH_SIG_TEXT - 1);
	*sig = span_tail(user, user.n - PATH_SIG_TEXT);
	return token_parse(span_tail(*token, 1), token->p[0], f) && f->path;
}

void
sip_flow_write(struct sip_flow_signer *s, const struct sip_flow *f, const char *host, uint16_t port,
    struct span call_id, struct strbuf *out)
{
	char text[64];
	unsigned char sig[SIG_BYTES];
	struct strbuf token;

	stats_count(TOKENS, STATS_TOKEN_MADE, 0);
	strbuf_init(&token, text, sizeof(text));
	token_format(f, &token);
	sign(s, s->keys->n - 1, f->path, span_str(host), port, strbuf_span_of(&token), call_id, sig);
	strbuf_puts(out, f->sips ? "<sips:" : "<sip:");
	if (f->path) {
		strbuf_span(out, strbuf_span_of(&token));
		strbuf_putc(out, '.');
		b64_format(sig, PATH_SIG_TEXT / 4 * 3, out);
		strbuf_putc(out, '@');
	}
	strbuf_puts(out, host);
	if (!f->path || port != DEFAULT_PORT) {
		strbuf_putc(out, ':');
		strbuf_uint(out, port);
	}
	strbuf_puts(out, ";transport=tls");
	if (!f->path) {
		strbuf_puts(out, ";opaque=");
		strbuf_span(out, strbuf_span_of(&token));
	}
	strbuf_puts(out, ";lr");
	if (!f->path) {
		strbuf_puts(out, ";ms-route-sig=");
		b64_format(sig, sizeof(sig), out);
	}
	strbuf_putc(out, '>');
}

bool
sip_flow_claims(const struct sip_uri *uri)
{
	return uri->user.n != 0 || sip_param(uri->params, "ms-route-sig", NULL);
}

bool
sip_flow_read(struct sip_flow_signer *s, const struct sip_uri *uri, struct span call_id, struct sip_flow *flow)
{
	struct span token, sig;
	unsigned char want[SIG_BYTES];
	char text[SIG_TEXT + 1];
	struct strbuf sb;

	if (!read_route(uri, &token, &sig, flow) && !read_path(uri, &token, &sig, flow))
		return false;
	for (unsigned i = s->keys->n; i-- > 0; ) {
		sign(s, i, flow->path, uri->host, uri->port != 0 ? uri->port : DEFAULT_PORT, token, call_id, want);
		strbuf_init(&sb, text, sizeof(text));
		b64_format(want, flow->path ? PATH_SIG_TEXT / 4 * 3 : SIG_BYTES, &sb);
		if (mem_equal_secret(text, sig.p, sig.n)) {
			stats_count(TOKENS, STATS_TOKEN_GOOD, 0);
			return true;
		}
	}
	stats_count(TOKENS, STATS_TOKEN_FORGED, 0);
	return false;
}
