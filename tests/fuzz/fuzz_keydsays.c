/*
 * tests/fuzz/fuzz_keydsays.c - whatever a keyd that has lost its mind may send to a worker that waits for a signature. The
 * worker has one exactly if a whole answer with its own tag comes before anything that was never asked for, and then the one
 * that stands there; whatever comes, it goes on in the end and keeps no descriptor. What it asks is its question. What the
 * master takes for an answer is written to the same bytes again, and cut it is none.
 *
 * The first byte says which key. Then packets: how (bits 0 and 1: so many descriptors; 2: bytes that are no frame), the type,
 * the difference of the tag (signed), the length (two bytes, little endian), and the body.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "common/chan.h"
#include "common/err.h"
#include "common/log.h"
#include "net/keyd.h"
#include "net/remote_key.h"
#include "tests/fuzz/pem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define NKEYS		3
#define HEAD		5	/* of a packet in an input */
#define PACKETS_MAX	100	/* more than a channel holds at once is not needed */
#define ID		0x1122334455667701u

static EVP_PKEY *keys[NKEYS];
static const enum net_key_scheme schemes[NKEYS] = { NET_KEY_ECDSA, NET_KEY_ED25519, NET_KEY_RSA_PKCS1 };
static unsigned char content[64 + 34 + 32];
static int channel = -1;
static struct chan_msg msg;

static void
begin(void)
{
	static const char *const pems[NKEYS] = { PEM_KEY_EC, PEM_KEY_ED25519, PEM_KEY_RSA };

	log_open("fuzz_keydsays", "/dev/null", SP_LOG_ERROR);
	for (size_t i = 0; i < NKEYS; i++) {
		BIO *bio = BIO_new_mem_buf(pems[i], -1);
		EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
		unsigned char *spki = NULL;
		int n;

		assert(key != NULL && (n = i2d_PUBKEY(key, &spki)) > 0);
		keys[i] = net_remote_key(spki, (size_t)n, ID, &channel);
		assert(keys[i] != NULL);
		EVP_PKEY_free(key);
		OPENSSL_free(spki);
		BIO_free(bio);
	}
	memset(content, ' ', 64);
	memcpy(content + 64, "TLS 1.3, server CertificateVerify", 34);
}

/* A signature as a reader that knows nothing of ours finds it; empty: there is none. */
static struct span
plain_signature(const struct frame *f, size_t max)
{
	size_t n = f->len >= 3 ? (size_t)f->body[1] | (size_t)f->body[2] << 8 : 0;

	if (f->type != NET_KEYD_SIGNED || f->len < 3 || f->body[0] != 1 || n != f->len - 3 || n > max)
		return SPAN_NONE;
	return span_of((const char *)f->body + 3, n);
}

/* What the master reads. */
static void
judge_loaded(struct frame f)
{
	static unsigned char out[CHAN_BODY_MAX];
	struct frame_writer w;
	struct span text;
	uint64_t id;

	f.type = NET_KEYD_LOADED;
	if (!net_key_get_loaded(&f, &id, &text)) {
		assert(id == 0 && text.n == 0);
		return;
	}
	assert(text.n != 0 && text.n <= NET_KEYD_SPKI_MAX);
	frame_writer_init(&w, out, sizeof(out));
	net_key_put_loaded(&w, id, text);
	assert(!w.failed && w.len == f.len && memcmp(out, f.body, f.len) == 0);
	f.len--;
	assert(!net_key_get_loaded(&f, &id, &text));
	f.len++;
	f.type = NET_KEYD_SIGNED;
	assert(!net_key_get_loaded(&f, &id, &text));
}

struct expected {
	bool		 over;		/* nobody reads what comes now */
	unsigned	 late;
	struct span	 signature;
};

/* One packet into the channel; false: there is no room for it. */
static bool
put(int fd, struct span *in, uint64_t tag, size_t max, struct expected *e)
{
	static unsigned char copies[PACKETS_MAX][CHAN_BODY_MAX];
	static unsigned at;
	unsigned how = (unsigned char)in->p[0];
	size_t n = (size_t)(unsigned char)in->p[3] | (size_t)(unsigned char)in->p[4] << 8;
	struct frame f = { .type = (unsigned char)in->p[1], .tag = tag + (uint64_t)(int64_t)(signed char)in->p[2] };
	const int fds[3] = { fd, fd, fd };
	unsigned char *body = copies[at++ % PACKETS_MAX];
	bool is_frame = true;

	*in = span_tail(*in, HEAD);
	f.len = n < in->n ? n : in->n;
	f.len = f.len < 8192 ? f.len : 8192;
	if (f.len != 0)
		memcpy(body, in->p, f.len);
	*in = span_tail(*in, f.len);
	f.body = body;
	judge_loaded(f);
	if (how & 4) {
		if (f.len == 0)
			return true;	/* nothing can be sent of nothing */
		if (send(fd, body, f.len, MSG_DONTWAIT) != (ssize_t)f.len)
			return false;
		is_frame = frame_parse(body, f.len, &f) == (ssize_t)f.len;
	} else if (chan_send(fd, &f, fds, how & 3) != SP_OK)
		return false;
	if (e->over)
		return true;
	if (!is_frame || (!(how & 4) && (how & 3) != 0) || f.tag > tag)
		e->over = true;
	else if (f.tag == tag) {
		e->over = true;
		e->signature = plain_signature(&f, max);
	} else
		e->over = ++e->late > CHAN_LATE_MAX;
	return true;
}

static void
judge_question(int fd, uint64_t tag, unsigned which)
{
	struct net_key_question q;

	assert(chan_recv(fd, &msg, 1) == SP_OK && msg.nfds == 0 && msg.f.type == NET_KEYD_SIGN && msg.f.tag == tag);
	assert(net_key_get(&msg.f, &q) && q.id == ID && q.scheme == schemes[which]);
	assert(span_eq(q.content, span_of((const char *)content, sizeof(content))));
	chan_done(&msg);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint64_t tag;
	struct expected e = { .over = false };
	unsigned char signature[NET_KEY_SIGNATURE_MAX];
	struct span in = span_of((const char *)data, len);
	int ends[2], lowest, after, good;
	size_t n = sizeof(signature);
	EVP_MD_CTX *ctx;
	unsigned which, packets = 0;

	if (keys[0] == NULL)
		begin();
	if (len == 0)
		return 0;
	assert((lowest = dup(0)) != -1);
	close(lowest);
	which = (unsigned char)in.p[0] % NKEYS;
	in = span_tail(in, 1);
	assert(chan_pair(ends) == SP_OK);
	(void)fcntl(ends[1], F_SETFL, O_NONBLOCK);
	channel = ends[0];
	tag++;
	while (in.n >= HEAD && packets++ < PACKETS_MAX && put(ends[1], &in, tag, (size_t)EVP_PKEY_get_size(keys[which]), &e))
		;
	assert(shutdown(ends[1], SHUT_WR) == 0);
	ctx = EVP_MD_CTX_new();
	assert(EVP_DigestSignInit_ex(ctx, NULL, which == 1 ? NULL : "SHA2-256", NULL, NULL, keys[which], NULL) == 1);
	good = EVP_DigestSign(ctx, signature, &n, content, sizeof(content));
	assert((good == 1) == (e.signature.n != 0));
	assert(good != 1 || span_eq(span_of((const char *)signature, n), e.signature));
	EVP_MD_CTX_free(ctx);
	judge_question(ends[1], tag, which);
	close(ends[0]);
	close(ends[1]);
	channel = -1;
	assert((after = dup(0)) == lowest);
	close(after);
	return 0;
}
