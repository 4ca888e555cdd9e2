/*
 * net/keyform.c - frames to keyd, and what it signs: pure. See keyd.h.
 */
#include "net/keyd.h"

#include <string.h>

#include "common/proc.h"

void
net_key_put(struct frame_writer *w, const struct net_key_question *q)
{
	frame_put_u64(w, q->id);
	frame_put_u8(w, (uint8_t)q->scheme);
	frame_put_u32(w, q->bits);
	frame_put_text(w, q->content.p, q->content.n);
}

bool
net_key_get(const struct frame *f, struct net_key_question *q)
{
	struct frame_reader r;
	uint8_t scheme;

	frame_reader_init(&r, f);
	q->id = frame_u64(&r);
	scheme = frame_u8(&r);
	q->scheme = (enum net_key_scheme)scheme;
	q->bits = frame_u32(&r);
	q->content.p = frame_text(&r, &q->content.n);
	return frame_done(&r) && scheme >= NET_KEY_ECDSA && scheme < NET_KEY_NSCHEMES && q->content.n <= NET_KEY_SHORT &&
	    (scheme == NET_KEY_ED25519 ? q->bits == 0 :
	    q->bits == 224 || q->bits == 256 || q->bits == 384 || q->bits == 512);
}

void
net_key_put_signed(struct frame_writer *w, struct span signature)
{
	frame_put_u8(w, signature.n != 0);
	frame_put_span(w, signature);
}

bool
net_key_get_signed(const struct frame *f, struct span *signature)
{
	struct frame_reader r;
	uint8_t ok;

	frame_reader_init(&r, f);
	ok = frame_u8(&r);
	*signature = frame_span(&r);
	if (f->type == NET_KEYD_SIGNED && frame_done(&r) && ok <= 1 && (ok == 1) == (signature->n != 0) &&
	    signature->n <= NET_KEY_SIGNATURE_MAX)
		return true;
	*signature = SPAN_NONE;
	return false;
}

void
net_key_put_loaded(struct frame_writer *w, uint64_t id, struct span text)
{
	frame_put_u8(w, id != 0);
	frame_put_u64(w, id);
	frame_put_span(w, text);
}

bool
net_key_get_loaded(const struct frame *f, uint64_t *id, struct span *text)
{
	struct frame_reader r;
	uint8_t ok;

	frame_reader_init(&r, f);
	ok = frame_u8(&r);
	*id = frame_u64(&r);
	*text = frame_span(&r);
	if (f->type == NET_KEYD_LOADED && frame_done(&r) && ok <= 1 && (ok == 1) == (*id != 0) && text->n != 0 &&
	    text->n <= NET_KEYD_SPKI_MAX)
		return true;
	*id = 0;
	*text = SPAN_NONE;
	return false;
}

/* TLS 1.3: 64 spaces, as what, a NUL, and the hash of all messages (RFC 8446 4.4.3). */
static bool
is_certificate_verify(const unsigned char *p, size_t n)
{
	static const char as_server[] = "TLS 1.3, server CertificateVerify", as_client[] = "TLS 1.3, client CertificateVerify";
	const size_t before = 64 + sizeof(as_server);

	_Static_assert(sizeof(as_server) == sizeof(as_client), "with their NULs");
	if (n != before + 32 && n != before + 48)
		return false;
	for (size_t i = 0; i < 64; i++)
		if (p[i] != ' ')
			return false;
	return memcmp(p + 64, as_server, sizeof(as_server)) == 0 || memcmp(p + 64, as_client, sizeof(as_client)) == 0;
}

/* TLS 1.2, the server: both randoms, and a point on a named curve (RFC 8422 5.4). */
static bool
is_key_exchange(const unsigned char *p, size_t n)
{
	static const struct { unsigned curve; size_t point; } curves[] = {
		{ 23, 65 }, { 24, 97 }, { 25, 133 }, { 29, 32 }, { 30, 56 }
	};

	if (n < 68 || p[64] != 3 || p[67] != n - 68)
		return false;
	for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++)
		if (curves[i].curve == (unsigned)(p[65] << 8 | p[66]) && curves[i].point == n - 68)
			return true;
	return false;
}

/* TLS 1.2, the client: all messages from ClientHello to ClientKeyExchange (RFC 5246 7.4.8). */
static bool
is_transcript(const unsigned char *p, size_t n)
{
	/* what a server says, in this order; what begins with it and what ends it apart */
	static const unsigned char order[] = { 1, 2, 11, 22, 12, 13, 14, 11, 16 };
	size_t at = 0, i = 0, count = 0, len;

	while (n - at >= 4) {
		while (i < sizeof(order) && order[i] != p[at])
			i++;
		len = (size_t)p[at + 1] << 16 | (size_t)p[at + 2] << 8 | p[at + 3];
		if (i == sizeof(order) || (count < 2 && i != count) || len > n - at - 4)
			return false;
		at += 4 + len;
		count++;
		i++;
	}
	return at == n && count >= 4 && i == sizeof(order);
}

bool
net_key_is_handshake(struct span content)
{
	const unsigned char *p = (const unsigned char *)content.p;

	return is_certificate_verify(p, content.n) || is_key_exchange(p, content.n) || is_transcript(p, content.n);
}
