/*
 * tests/fuzz/fuzz_keydside.c - whatever a proxy that is somebody else's, or a master that errs, may send to the process that
 * holds the keys. It answers or says that it has to end, as a reader that knows nothing of it would. One frame has one
 * answer, of the type and with the tag that it should have; a signature is one of the key that was
 * named, over a piece of a handshake and nothing else, and is there whenever that was asked for; no
 * descriptor is left.
 *
 * The first byte says whether the RSA key is there. Then frames: how (bit 0: over the master's channel; bits 1 and 2: so
 * many descriptors; 3: of a file that is not sealed; 4: bytes that are no frame), the type, the lengths of body and file
 * (two bytes each, little endian), and both. The names of keys in a frame are 1 to 3.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "common/chan.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "net/keyd.h"
#include "net/keyd_int.h"
#include "tests/fuzz/pem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define NKEYS		3
#define HEAD		6	/* of a frame in an input */
#define FRAMES_MAX	40
#define CHANNELS_MAX	(2 * NET_WORKERS_MAX)	/* of a proxy and of its successor */

static const char *const pems[NKEYS] = { PEM_KEY_EC, PEM_KEY_ED25519, PEM_KEY_RSA };
static struct key {
	EVP_PKEY	*key;
	uint64_t	 id;
	bool		 there;		/* it was given to keyd */
} keys[NKEYS];
static unsigned nchannels;
static bool changed;		/* what it has is another than it was */
static int first_free;		/* descriptor, before anything was opened */
static struct chan_msg msg;

static int
lowest_free(void)
{
	int fd = dup(0);

	assert(fd != -1);
	close(fd);
	return fd;
}

static void
begin(void)
{
	static const uint64_t ms = 1000;
	static const time_t wall = 1790000000;

	log_open("fuzz_keydside", "/dev/null", SP_LOG_ERROR);
	clock_fake(&ms, &wall);
	for (size_t i = 0; i < NKEYS; i++) {
		BIO *bio = BIO_new_mem_buf(pems[i], -1);
		unsigned char *spki = NULL;
		int n;

		keys[i].key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
		assert(keys[i].key != NULL && (n = i2d_PUBKEY(keys[i].key, &spki)) > 0);
		keys[i].id = net_key_id(spki, (size_t)n);
		OPENSSL_free(spki);
		BIO_free(bio);
	}
	first_free = lowest_free();
}

static int
file_of(struct span s, bool sealed)
{
	int fd;

	if (sealed)
		fd = chan_file("fuzz", s);
	else if ((fd = memfd_create("fuzz", MFD_CLOEXEC)) != -1)
		assert(s.n == 0 || write(fd, s.p, s.n) == (ssize_t)s.n);
	assert(fd != -1);
	return fd;
}

/* ---- what should come of it ---- */

struct one {
	bool		 by_master, sealed;
	struct frame	 f;
	struct span	 file;
	unsigned	 nfds;
};

static struct key *
named(uint64_t id)
{
	for (unsigned i = 0; i < NKEYS; i++)
		if (keys[i].id == id)
			return &keys[i];
	return NULL;
}

static bool
may_sign(const struct key *k, const struct net_key_question *q)
{
	int kind = k != NULL && k->there ? EVP_PKEY_get_base_id(k->key) : 0;

	return net_key_is_handshake(q->content) && (q->scheme == NET_KEY_ECDSA ? kind == EVP_PKEY_EC :
	    q->scheme == NET_KEY_ED25519 ? kind == EVP_PKEY_ED25519 : kind == EVP_PKEY_RSA);
}

static void
verify(const struct key *k, const struct net_key_question *q, struct span signature)
{
	static const char *const names[] = { [224] = "SHA2-224", [256] = "SHA2-256", [384] = "SHA2-384", [512] = "SHA2-512" };
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *how;

	assert(EVP_DigestVerifyInit_ex(ctx, &how, q->bits != 0 ? names[q->bits] : NULL, NULL, NULL, k->key, NULL) == 1);
	if (q->scheme == NET_KEY_RSA_PSS)
		assert(EVP_PKEY_CTX_set_rsa_padding(how, RSA_PKCS1_PSS_PADDING) == 1 &&
		    EVP_PKEY_CTX_set_rsa_pss_saltlen(how, RSA_PSS_SALTLEN_DIGEST) == 1);
	assert(EVP_DigestVerify(ctx, (const unsigned char *)signature.p, signature.n, (const unsigned char *)q->content.p,
	    q->content.n) == 1);
	EVP_MD_CTX_free(ctx);
}

/* Is it a question to sign, of the right form, with its content? */
static bool
is_question(const struct one *o, struct net_key_question *q)
{
	if (o->by_master || o->f.type != NET_KEYD_SIGN || o->nfds > 1 || !net_key_get(&o->f, q) ||
	    (q->content.n == 0) != (o->nfds == 1))
		return false;
	if (o->nfds == 1)
		q->content = o->file;
	return o->nfds == 0 || o->sealed;
}

static bool
is_order(const struct one *o)
{
	if (!o->by_master)
		return false;
	switch (o->f.type) {
	case NET_KEYD_LOAD:
		return o->f.len == 0 && o->nfds <= 1;
	case NET_KEYD_KEEP:
		return o->f.len % 8 == 0 && o->f.len <= 8 * NET_KEYD_KEYS_MAX && o->nfds == 0;
	case NET_KEYD_BEAT:
		return o->f.len == 0 && o->nfds == 0;
	case NET_KEYD_CHANNELS:
		return o->f.len == 0 && nchannels + o->nfds <= CHANNELS_MAX;
	default:
		return false;
	}
}

static void
judge_signed(const struct one *o, const struct frame *f)
{
	struct net_key_question q;
	struct span signature;
	const struct key *k;

	assert(is_question(o, &q) && net_key_get_signed(f, &signature));
	k = named(q.id);
	assert((signature.n != 0) == may_sign(k, &q));
	if (signature.n != 0)
		verify(k, &q, signature);
}

static void
judge_loaded(const struct frame *f)
{
	struct span text;
	struct key *known;
	uint64_t id;
	EVP_PKEY *key;

	assert(net_key_get_loaded(f, &id, &text));
	if (id != 0) {
		const unsigned char *p = (const unsigned char *)text.p;

		assert(id == net_key_id(p, text.n) && (key = d2i_PUBKEY(NULL, &p, (long)text.n)) != NULL);
		assert(p == (const unsigned char *)text.p + text.n);
		EVP_PKEY_free(key);
		changed = true;
		if ((known = named(id)) != NULL)
			known->there = true;
	} else {
		for (size_t i = 0; i < text.n; i++)
			assert(text.p[i] >= ' ' && text.p[i] < 0x7f);
	}
}

/* ---- what comes of it ---- */

/* Names of keys as they are. */
static void
name_keys(struct one *o, unsigned char *body)
{
	size_t each = o->f.type == NET_KEYD_KEEP ? o->f.len / 8 : o->f.len >= 8;

	for (size_t i = 0; i < each; i++) {
		uint64_t id;

		memcpy(&id, body + 8 * i, sizeof(id));
		if (id >= 1 && id <= NKEYS)
			memcpy(body + 8 * i, &keys[id - 1].id, sizeof(id));
	}
}

/* False: keyd has ended. */
static bool
serve(struct keyd *d, const int ends[2], struct one *o, bool raw)
{
	static unsigned char body[65536];
	const char *wrong = NULL;
	struct net_key_question q;
	int fds[3], fd = ends[0];
	enum net_keyd_turn turn;
	size_t n = o->f.len;

	if (n != 0)
		memcpy(body, o->f.body, n);
	o->f.body = body;
	o->f.tag = 77;
	if (raw) {
		o->nfds = 0;
		if (n == 0)
			return true;	/* nothing can be sent of nothing */
		assert(send(fd, body, n, 0) == (ssize_t)n);
		raw = frame_parse(body, n, &o->f) != (ssize_t)n;
	} else {
		name_keys(o, body);
		for (unsigned i = 0; i < o->nfds; i++)
			fds[i] = file_of(o->file, o->sealed);
		assert(chan_send(fd, &o->f, fds, o->nfds) == SP_OK);
		for (unsigned i = 0; i < o->nfds; i++)
			close(fds[i]);
	}
	turn = net_keyd_serve(d, ends[1], &msg, &wrong);
	assert(turn != NET_KEYD_GONE && (turn == NET_KEYD_WRONG) == (wrong != NULL));
	assert((turn == NET_KEYD_SERVED) == (!raw && (is_question(o, &q) || is_order(o))));
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	if (turn == NET_KEYD_SERVED) {
		assert(chan_recv(fd, &msg, 0) == SP_OK && msg.f.tag == o->f.tag);
		if (o->f.type == NET_KEYD_SIGN)
			judge_signed(o, &msg.f);
		else if (o->f.type == NET_KEYD_LOAD)
			judge_loaded(&msg.f);
		else
			assert(msg.f.type == NET_KEYD_DONE && msg.f.len == 0);
		changed |= o->f.type == NET_KEYD_CHANNELS && o->nfds != 0;
		nchannels += o->f.type == NET_KEYD_CHANNELS ? o->nfds : 0;
		chan_done(&msg);
	}
	assert(chan_recv(fd, &msg, 0) == SP_ETIME);
	return turn == NET_KEYD_SERVED;
}

/* ---- a keyd; it stays for the next input when nothing has changed it ---- */

static struct world {
	struct keyd	*d;
	int		 control[2], channel[2];
} worlds[2];

static struct world *
world_of(bool rsa)
{
	struct world *w = &worlds[rsa];
	unsigned nkeys = rsa ? NKEYS : NKEYS - 1;

	nchannels = 0;
	for (unsigned i = 0; i < NKEYS; i++)
		keys[i].there = i < nkeys;
	if (w->d != NULL)
		return w;
	assert(chan_pair(w->control) == SP_OK && chan_pair(w->channel) == SP_OK);
	w->d = net_keyd_new(w->control[1]);
	for (unsigned i = 0; i < nkeys; i++) {
		struct one o = { .by_master = true, .sealed = true, .nfds = 1, .file = span_str(pems[i]),
		    .f = { .type = NET_KEYD_LOAD, .body = (const unsigned char *)"" } };

		assert(serve(w->d, w->control, &o, false));
	}
	return w;
}

static void
world_end(struct world *w)
{
	net_keyd_free(w->d);
	close(w->control[0]);
	close(w->channel[0]);
	close(w->channel[1]);
	w->d = NULL;
}

static unsigned
two_bytes(const char *p)
{
	return (unsigned)(unsigned char)p[0] | (unsigned)(unsigned char)p[1] << 8;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct span in = span_of((const char *)data, len);
	bool goes_on = true;
	unsigned frames = 0;
	struct world *w;
	int lowest;

	if (keys[0].key == NULL)
		begin();
	if (len == 0)
		return 0;
	w = world_of(in.p[0] & 1);
	changed = false;
	lowest = lowest_free();
	for (in = span_tail(in, 1); goes_on && in.n >= HEAD && frames < FRAMES_MAX; frames++) {
		unsigned how = (unsigned char)in.p[0];
		struct one o = { .by_master = how & 1, .nfds = how >> 1 & 3, .sealed = (how & 8) == 0, .f.type = (unsigned char)in.p[1] };
		size_t n = two_bytes(in.p + 2), nfile = two_bytes(in.p + 4);

		in = span_tail(in, HEAD);
		o.f.len = n < in.n ? n : in.n;
		o.f.len = o.f.len < CHAN_BODY_MAX ? o.f.len : CHAN_BODY_MAX;
		o.f.body = (const unsigned char *)in.p;
		in = span_tail(in, o.f.len);
		o.file = span_head(in, nfile);
		in = span_tail(in, o.file.n);
		/* its own log stays where it is */
		if (o.f.type == NET_KEYD_LOG && o.nfds != 0)
			continue;
		goes_on = serve(w->d, o.by_master ? w->control : w->channel, &o, (how & 16) != 0);
	}
	if (!changed) {
		assert(lowest_free() == lowest);
		return 0;
	}
	world_end(w);
	assert(worlds[0].d != NULL || worlds[1].d != NULL || lowest_free() == first_free);
	return 0;
}
