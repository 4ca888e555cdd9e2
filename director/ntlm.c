/*
 * director/ntlm.c - NTLM as MS-SIPAE uses it, the server's side. Pure.
 */
#include "director/ntlm.h"

#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "net/digest.h"

#define SEQUENCE	100	/* of every signature, in both directions (MS 5.3) */

/* What every AUTHENTICATE must agree to; the rest of its flags is its own choice. */
#define DEMANDED	((uint32_t)(NTLM_UNICODE | NTLM_SIGN | NTLM_NTLM | NTLM_EXTENDED_SECURITY | NTLM_KEY_EXCHANGE))

enum av {
	AV_END = 0, AV_NB_COMPUTER, AV_NB_DOMAIN, AV_DNS_COMPUTER, AV_DNS_DOMAIN, AV_DNS_TREE, AV_FLAGS, AV_TIMESTAMP
};
#define AV_FLAG_MIC	0x2u	/* the client has made a MIC */

static const unsigned char magic[8] = { 'N', 'T', 'L', 'M', 'S', 'S', 'P', 0 };
/* The release that is claimed: it makes no difference but must be there. */
static const unsigned char version[8] = { 5, 2, 0xce, 0x0e, 0, 0, 0, 0x0f };

static uint16_t
get16(const char *p)
{
	return (uint16_t)((unsigned char)p[0] | (unsigned char)p[1] << 8);
}

static uint32_t
get32(const char *p)
{
	return (uint32_t)get16(p) | (uint32_t)get16(p + 2) << 16;
}

static struct span
bytes(const void *p, size_t n)
{
	return span_of(p, n);
}

/* --- RC4 -------------------------------------------------------------------------- */

void
ntlm_rc4(const void *key, size_t key_n, const unsigned char *in, size_t n, unsigned char *out)
{
	const unsigned char *k = key;
	unsigned char s[256], i = 0, j = 0, swap;

	for (unsigned x = 0; x < 256; x++)
		s[x] = (unsigned char)x;
	for (unsigned x = 0; x < 256; x++) {
		j = (unsigned char)(j + s[x] + k[x % key_n]);
		swap = s[x];
		s[x] = s[j];
		s[j] = swap;
	}
	j = 0;
	for (size_t x = 0; x < n; x++) {
		i++;
		j = (unsigned char)(j + s[i]);
		swap = s[i];
		s[i] = s[j];
		s[j] = swap;
		out[x] = in[x] ^ s[(unsigned char)(s[i] + s[j])];
	}
	mem_wipe(s, sizeof(s));
}

/* --- the challenge ------------------------------------------------------------------- */

struct writer {
	unsigned char	*p;
	size_t		 n;
};

static void
put(struct writer *w, const void *p, size_t n)
{
	memcpy(w->p + w->n, p, n);
	w->n += n;
}

static void
put16(struct writer *w, unsigned v)
{
	unsigned char b[2] = { (unsigned char)v, (unsigned char)(v >> 8) };

	put(w, b, sizeof(b));
}

static void
put32(struct writer *w, uint32_t v)
{
	put16(w, v & 0xffff);
	put16(w, v >> 16);
}

static void
put_name(struct writer *w, enum av id, const char *ascii)
{
	size_t n = strlen(ascii);

	put16(w, id);
	put16(w, (unsigned)(2 * n));
	for (size_t i = 0; i < n; i++)
		put16(w, (unsigned char)ascii[i]);
}

#define TICKS_1601_TO_1970	116444736000000000ULL	/* of 100 ns */

uint64_t
ntlm_time(uint64_t wall_ms)
{
	return wall_ms * 10000 + TICKS_1601_TO_1970;
}

#define CHALLENGE_HEAD	56
_Static_assert(CHALLENGE_HEAD + 4 * 7 + 12 + 2 * (2 * 15 + 3 * 255) <= NTLM_CHALLENGE_MAX, "the longest challenge fits");

size_t
ntlm_challenge_write(const struct ntlm_target *t, const unsigned char nonce[NTLM_NONCE_SIZE], uint64_t time,
    unsigned char out[NTLM_CHALLENGE_MAX])
{
	static const unsigned char reserved[8];
	struct writer info = { out + CHALLENGE_HEAD, 0 }, w = { out, 0 };

	put_name(&info, AV_NB_DOMAIN, t->nb_domain);
	put_name(&info, AV_NB_COMPUTER, t->nb_computer);
	put_name(&info, AV_DNS_DOMAIN, t->dns_domain);
	put_name(&info, AV_DNS_COMPUTER, t->dns_computer);
	put_name(&info, AV_DNS_TREE, t->dns_domain);
	if (t->timestamp) {
		put16(&info, AV_TIMESTAMP);
		put16(&info, 8);
		put32(&info, (uint32_t)time);
		put32(&info, (uint32_t)(time >> 32));
	}
	put32(&info, AV_END);

	put(&w, magic, sizeof(magic));
	put32(&w, 2);
	/* no target name: the flags do not promise one */
	put32(&w, 0);
	put32(&w, CHALLENGE_HEAD);
	put32(&w, NTLM_CHALLENGE_FLAGS);
	put(&w, nonce, NTLM_NONCE_SIZE);
	put(&w, reserved, sizeof(reserved));
	put16(&w, (unsigned)info.n);
	put16(&w, (unsigned)info.n);
	put32(&w, CHALLENGE_HEAD);
	put(&w, version, sizeof(version));
	return w.n + info.n;
}

/* --- the answer ------------------------------------------------------------------------ */

enum { FIELD_LM, FIELD_NT, FIELD_DOMAIN, FIELD_USER, FIELD_WORKSTATION, FIELD_KEY, NFIELDS };

#define FIELDS_AT	12
#define FLAGS_AT	60
#define HEAD		64	/* without version and MIC */
#define HEAD_VERSION	72
#define HEAD_MIC	88

/* Every field within the message, behind its head, and over no other. */
static bool
read_fields(struct span token, size_t head, struct span f[NFIELDS])
{
	for (unsigned i = 0; i < NFIELDS; i++) {
		const char *at = token.p + FIELDS_AT + 8 * i;
		size_t n = get16(at), offset = get32(at + 4);

		f[i] = SPAN_NONE;
		if (n == 0)
			continue;
		if (offset < head || offset > token.n || n > token.n - offset)
			return false;
		f[i] = span_of(token.p + offset, n);
		for (unsigned j = 0; j < i; j++)
			if (f[j].n != 0 && f[i].p < f[j].p + f[j].n && f[j].p < f[i].p + f[i].n)
				return false;
	}
	return true;
}

#define PROOF_SIZE	16
#define BLOB_HEAD	28	/* of what follows the proof: types, time, nonce, reserved */

/* The target information that the client sends back: a list with an end. */
static bool
read_target_info(struct span info, uint32_t *av_flags)
{
	*av_flags = 0;
	while (info.n >= 4) {
		unsigned id = get16(info.p), n = get16(info.p + 2);

		if (id == AV_END)
			return n == 0;
		if (n > info.n - 4)
			return false;
		if (id == AV_FLAGS) {
			if (n != 4)
				return false;
			*av_flags = get32(info.p + 4);
		}
		info = span_tail(info, 4 + n);
	}
	return false;
}

static bool
is_name(struct span utf16)
{
	return utf16.n % 2 == 0 && utf16.n < NTLM_NAME_MAX;
}

int
ntlm_authenticate_parse(struct ntlm_authenticate *a, struct span token)
{
	struct span f[NFIELDS];
	size_t head;

	memset(a, 0, sizeof(*a));
	if (token.n < HEAD || token.n > NTLM_TOKEN_MAX || memcmp(token.p, magic, sizeof(magic)) != 0 ||
	    get32(token.p + sizeof(magic)) != 3)
		return SP_ESYNTAX;
	a->token = token;
	a->flags = get32(token.p + FLAGS_AT);
	head = (a->flags & NTLM_VERSION) != 0 ? HEAD_VERSION : HEAD;
	if (token.n < head || !read_fields(token, head, f))
		return SP_ESYNTAX;
	a->nt = f[FIELD_NT];
	a->domain = f[FIELD_DOMAIN];
	a->user = f[FIELD_USER];
	a->workstation = f[FIELD_WORKSTATION];
	a->session_key = f[FIELD_KEY];
	if (!is_name(a->domain) || !is_name(a->user) || !is_name(a->workstation))
		return SP_ESYNTAX;
	/* NTLMv1 responses have 24 bytes, LM is no response at all */
	if ((a->flags & DEMANDED) != DEMANDED || a->nt.n <= 24)
		return SP_EINVAL;
	if (a->nt.n < PROOF_SIZE + BLOB_HEAD + 4 || a->nt.p[PROOF_SIZE] != 1 || a->nt.p[PROOF_SIZE + 1] != 1 ||
	    !read_target_info(span_tail(a->nt, PROOF_SIZE + BLOB_HEAD), &a->av_flags) ||
	    a->session_key.n != NTLM_KEY_SIZE || span_is_empty(a->user))
		return SP_ESYNTAX;
	a->has_mic = (a->av_flags & AV_FLAG_MIC) != 0;
	if (a->has_mic)
		for (unsigned i = 0; i < NFIELDS; i++)
			if (f[i].n != 0 && (size_t)(f[i].p - token.p) < HEAD_MIC)
				return SP_ESYNTAX;
	return SP_OK;
}

/* --- text ---------------------------------------------------------------------------------- */

bool
ntlm_utf8(struct span s, char *out, size_t size)
{
	static const unsigned char lead[4] = { 0, 0xc0, 0xe0, 0xf0 };
	size_t n = 0;

	out[0] = '\0';
	if (s.n % 2 != 0)
		return false;
	for (size_t i = 0; i < s.n; i += 2) {
		uint32_t c = get16(s.p + i);
		unsigned more;

		if (c >= 0xd800 && c < 0xe000) {
			uint32_t low = i + 4 <= s.n ? get16(s.p + i + 2) : 0;

			if (c >= 0xdc00 || low < 0xdc00 || low >= 0xe000)
				goto bad;
			c = 0x10000 + ((c - 0xd800) << 10 | (low - 0xdc00));
			i += 2;
		}
		more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
		if (c == 0 || n + more + 1 >= size)
			goto bad;
		out[n++] = (char)(lead[more] | c >> (6 * more));
		while (more-- > 0)
			out[n++] = (char)(0x80 | (c >> (6 * more) & 0x3f));
	}
	out[n] = '\0';
	return true;
 bad:
	out[0] = '\0';
	return false;
}

/* Upper case as Windows has it for names: the alphabets whose cases stand in a fixed relation. */
static unsigned
upper(unsigned c)
{
	if ((c >= 'a' && c <= 'z') || (c >= 0xe0 && c <= 0xfe && c != 0xf7))
		return c - 0x20;
	if (c == 0xff)
		return 0x178;
	if ((c >= 0x100 && c <= 0x137 && c != 0x131) || (c >= 0x14a && c <= 0x177) || (c >= 0x460 && c <= 0x481) ||
	    (c >= 0x48a && c <= 0x4bf) || (c >= 0x4d0 && c <= 0x52f) || (c >= 0x1e00 && c <= 0x1e95))
		return c & ~1u;
	if ((c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17e) || (c >= 0x4c1 && c <= 0x4ce))
		return c % 2 == 0 ? c - 1 : c;
	if ((c >= 0x3b1 && c <= 0x3cb && c != 0x3c2) || (c >= 0x430 && c <= 0x44f))
		return c - 0x20;
	if (c >= 0x450 && c <= 0x45f)
		return c - 0x50;
	if (c >= 0x561 && c <= 0x586)
		return c - 0x30;
	return c;
}

/* --- verification --------------------------------------------------------------------------- */

/* NTOWFv2 (MS 5.2): what the response is keyed with. */
static void
response_key(const unsigned char nt_hash[NTLM_KEY_SIZE], struct span user, struct span domain,
    unsigned char out[NTLM_KEY_SIZE])
{
	unsigned char name[NTLM_NAME_MAX];
	struct writer w = { name, 0 };
	struct span parts[2];

	for (size_t i = 0; i + 1 < user.n; i += 2)
		put16(&w, upper(get16(user.p + i)));
	parts[0] = bytes(name, w.n);
	parts[1] = domain;
	net_hmac_md5(nt_hash, parts, 2, out);
}

static bool
mic_is_right(const struct ntlm_authenticate *a, const struct ntlm_target *t, const unsigned char nonce[NTLM_NONCE_SIZE],
    uint64_t time, const unsigned char key[NTLM_KEY_SIZE])
{
	static const char none[16];
	unsigned char challenge[NTLM_CHALLENGE_MAX], mic[NET_HMAC_MD5_SIZE];
	/* the NEGOTIATE message, which comes first elsewhere, is not there in datagram mode */
	struct span parts[4] = { bytes(challenge, ntlm_challenge_write(t, nonce, time, challenge)),
	    span_head(a->token, NTLM_MIC_AT), bytes(none, sizeof(none)), span_tail(a->token, HEAD_MIC) };

	net_hmac_md5(key, parts, 4, mic);
	return mem_equal_secret(mic, a->token.p + NTLM_MIC_AT, sizeof(mic)) != 0;
}

bool
ntlm_session_key(const struct ntlm_authenticate *a, const unsigned char base[NTLM_KEY_SIZE], const struct ntlm_target *t,
    const unsigned char nonce[NTLM_NONCE_SIZE], uint64_t time, unsigned char key[NTLM_KEY_SIZE])
{
	ntlm_rc4(base, NTLM_KEY_SIZE, (const unsigned char *)a->session_key.p, NTLM_KEY_SIZE, key);
	if (!a->has_mic || mic_is_right(a, t, nonce, time, key))
		return true;
	mem_wipe(key, NTLM_KEY_SIZE);
	return false;
}

bool
ntlm_verify(const struct ntlm_authenticate *a, const unsigned char nt_hash[NTLM_KEY_SIZE],
    const struct ntlm_target *t, const unsigned char nonce[NTLM_NONCE_SIZE], uint64_t time,
    unsigned char key[NTLM_KEY_SIZE])
{
	const struct span domains[2] = { a->domain, SPAN_NONE };
	struct span proof = span_head(a->nt, PROOF_SIZE), signed_parts[2] = { bytes(nonce, NTLM_NONCE_SIZE),
	    span_tail(a->nt, PROOF_SIZE) };
	unsigned char responder[NTLM_KEY_SIZE], want[NTLM_KEY_SIZE], base[NTLM_KEY_SIZE];
	bool proved = false;

	for (unsigned i = 0; i < 2 && !proved; i++) {
		response_key(nt_hash, a->user, domains[i], responder);
		net_hmac_md5(responder, signed_parts, 2, want);
		proved = mem_equal_secret(want, proof.p, PROOF_SIZE) != 0;
	}
	net_hmac_md5(responder, &proof, 1, base);
	proved &= ntlm_session_key(a, base, t, nonce, time, key);
	if (!proved)
		mem_wipe(key, NTLM_KEY_SIZE);
	mem_wipe(responder, sizeof(responder));
	mem_wipe(want, sizeof(want));
	mem_wipe(base, sizeof(base));
	return proved;
}

/* --- signing --------------------------------------------------------------------------------- */

static void
derive(const unsigned char *key, size_t n, const char *what, size_t what_n, unsigned char out[NTLM_KEY_SIZE])
{
	struct span parts[2] = { bytes(key, n), span_of(what, what_n) };
	unsigned char digest[NET_DIGEST_MAX];

	net_digest(NET_DIGEST_MD5, parts, 2, digest);
	memcpy(out, digest, NTLM_KEY_SIZE);
	mem_wipe(digest, sizeof(digest));
}

static const unsigned char sequence[4] = { SEQUENCE, 0, 0, 0 };

/* The constants are hashed with the NUL at their end. */
#define DERIVE(key, n, text, out)	derive(key, n, text, sizeof(text), out)

static void
derive_cover(const unsigned char seal[NTLM_KEY_SIZE], unsigned char cover[8])
{
	static const unsigned char none[8];
	unsigned char key[NTLM_KEY_SIZE];

	derive(seal, NTLM_KEY_SIZE, (const char *)sequence, sizeof(sequence), key);
	ntlm_rc4(key, sizeof(key), none, sizeof(none), cover);
	mem_wipe(key, sizeof(key));
}

void
ntlm_keys_derive(struct ntlm_keys *k, const unsigned char key[NTLM_KEY_SIZE], uint32_t flags)
{
	size_t strength = (flags & NTLM_128) != 0 ? 16 : (flags & NTLM_56) != 0 ? 7 : 5;
	unsigned char seal[NTLM_KEY_SIZE];

	DERIVE(key, NTLM_KEY_SIZE, "session key to client-to-server signing key magic constant", k->client.sign_key);
	DERIVE(key, NTLM_KEY_SIZE, "session key to server-to-client signing key magic constant", k->server.sign_key);
	DERIVE(key, strength, "session key to client-to-server sealing key magic constant", seal);
	derive_cover(seal, k->client.cover);
	DERIVE(key, strength, "session key to server-to-client sealing key magic constant", seal);
	derive_cover(seal, k->server.cover);
	mem_wipe(seal, sizeof(seal));
}

void
ntlm_sign(const struct ntlm_side *side, struct span text, unsigned char out[NTLM_SIGNATURE_SIZE])
{
	static const unsigned char one[4] = { 1, 0, 0, 0 };
	struct span parts[2] = { bytes(sequence, sizeof(sequence)), text };
	unsigned char mac[NET_HMAC_MD5_SIZE];

	net_hmac_md5(side->sign_key, parts, 2, mac);
	memcpy(out, one, 4);
	for (unsigned i = 0; i < 8; i++)
		out[4 + i] = mac[i] ^ side->cover[i];
	memcpy(out + 12, sequence, 4);
}
