/*
 * net/keyd.c - the process that holds the private keys. See keyd.h.
 */
#include "net/keyd.h"

#include <sys/prctl.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "common/chan.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/sandbox.h"
#include "net/keyd_int.h"

#define CHANNELS_MAX	(2 * NET_WORKERS_MAX)
#define BETWEEN_MS	500	/* the master does not wait longer than that for the workers to be served */

struct key {
	uint64_t	 id;
	EVP_PKEY	*key;
	EVP_PKEY_CTX	*ctx[NET_KEY_NSCHEMES][4];	/* ready to sign, by scheme and digest; NULL: not asked for yet */
	EVP_MD_CTX	*whole;		/* the same of Ed25519 */
	uint64_t	 leaves;	/* when it goes; 0: it stays */
	unsigned char	 file[SHA256_DIGEST_LENGTH];	/* of its bytes: is it the same again? */
};

struct channel {
	int	 fd;
};

struct keyd {
	int		 control;
	struct key	 keys[NET_KEYD_KEYS_MAX];
	size_t		 nkeys;
	struct channel	 channels[CHANNELS_MAX];
	size_t		 nchannels;
	uint64_t	 second;	/* the one that is counted */
	uint64_t	 signatures;	/* in it */
	bool		 rate_said, form_said;
};

/* ---- keys ---- */

/* The digests, looked up once. */
static EVP_MD *digests[4];

static unsigned
number_of(unsigned bits)
{
	return bits == 224 ? 0 : bits == 256 ? 1 : bits == 384 ? 2 : 3;
}

static const EVP_MD *
digest_of(unsigned bits)
{
	static const char *const names[] = { "SHA2-224", "SHA2-256", "SHA2-384", "SHA2-512" };
	unsigned i = number_of(bits);

	if (digests[i] == NULL)
		digests[i] = EVP_MD_fetch(NULL, names[i], NULL);
	return digests[i];
}

static void
forget(struct key *k)
{
	for (size_t i = 0; i < NET_KEY_NSCHEMES; i++)
		for (size_t j = 0; j < 4; j++)
			EVP_PKEY_CTX_free(k->ctx[i][j]);
	EVP_MD_CTX_free(k->whole);
	EVP_PKEY_free(k->key);
	*k = (struct key){ 0 };
}

static void
remove_key(struct keyd *d, size_t i)
{
	forget(&d->keys[i]);
	d->keys[i] = d->keys[--d->nkeys];
	d->keys[d->nkeys] = (struct key){ 0 };
}

static struct key *
find_key(struct keyd *d, uint64_t id)
{
	for (size_t i = 0; i < d->nkeys; i++)
		if (d->keys[i].id == id)
			return &d->keys[i];
	return NULL;
}

/* Room for one more: whoever leaves goes now, the first to leave first. */
static bool
make_room(struct keyd *d)
{
	size_t first = d->nkeys;

	if (d->nkeys < NET_KEYD_KEYS_MAX)
		return true;
	for (size_t i = 0; i < d->nkeys; i++)
		if (d->keys[i].leaves != 0 && (first == d->nkeys || d->keys[i].leaves < d->keys[first].leaves))
			first = i;
	if (first == d->nkeys)
		return false;
	remove_key(d, first);
	return true;
}

static int
no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf, (void)size, (void)writing, (void)arg;
	return -1;
}

/* Does its public half belong to the other? Whoever reads the file does not look. */
static bool
is_whole(EVP_PKEY *key)
{
	static const unsigned char text[] = "nothing in particular";
	const char *digest = EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519 ? NULL : "SHA2-256";
	unsigned char signature[NET_KEY_SIGNATURE_MAX];
	size_t n = sizeof(signature);
	EVP_MD_CTX *by = EVP_MD_CTX_new(), *of = EVP_MD_CTX_new();
	bool ok = by != NULL && of != NULL && EVP_DigestSignInit_ex(by, NULL, digest, NULL, NULL, key, NULL) == 1 &&
	    EVP_DigestSign(by, signature, &n, text, sizeof(text)) == 1 &&
	    EVP_DigestVerifyInit_ex(of, NULL, digest, NULL, NULL, key, NULL) == 1 &&
	    EVP_DigestVerify(of, signature, n, text, sizeof(text)) == 1;

	EVP_MD_CTX_free(by);
	EVP_MD_CTX_free(of);
	ERR_clear_error();
	return ok;
}

/* The key in a file, and the hash of that. NULL: *why says what is wrong. */
static EVP_PKEY *
read_key(int fd, unsigned char hash[SHA256_DIGEST_LENGTH], const char **why)
{
	unsigned char *p = xmalloc(NET_KEYD_FILE_MAX + 1);
	size_t n = 0;
	EVP_PKEY *key = NULL;
	BIO *bio;

	*why = "cannot be read";
	for (;;) {
		ssize_t got = pread(fd, p + n, NET_KEYD_FILE_MAX + 1 - n, (off_t)n);

		if (got <= 0 || (n += (size_t)got) > NET_KEYD_FILE_MAX)
			break;
	}
	if (n > NET_KEYD_FILE_MAX)
		*why = "is larger than a key can be";
	else if (n > 0 && (bio = BIO_new_mem_buf(p, (int)n)) != NULL) {
		key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
		BIO_free(bio);
		*why = ERR_reason_error_string(ERR_peek_last_error());
		if (*why == NULL)
			*why = "no reason given";
	}
	ERR_clear_error();
	SHA256(p, n, hash);
	mem_wipe_free(p, NET_KEYD_FILE_MAX + 1);
	if (key == NULL)
		return NULL;
	if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC && EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA &&
	    EVP_PKEY_get_base_id(key) != EVP_PKEY_ED25519)
		*why = "only EC, RSA and Ed25519 keys are supported";
	else
		return key;
	EVP_PKEY_free(key);
	return NULL;
}

uint64_t
net_key_id(const unsigned char *spki, size_t n)
{
	unsigned char hash[SHA256_DIGEST_LENGTH];
	uint64_t id;

	SHA256(spki, n, hash);
	memcpy(&id, hash, sizeof(id));
	return id | 1;		/* 0 is none */
}

/* The key into its place: that of the same one, or a new one. NULL, or why it has none. */
static const char *
put_key(struct keyd *d, const struct key *k)
{
	struct key *have = find_key(d, k->id);

	/* the same file is as good as it was */
	if ((have == NULL || memcmp(have->file, k->file, sizeof(k->file)) != 0) && !is_whole(k->key))
		return "its halves do not belong together";
	if (have == NULL && !make_room(d))
		return "there are too many keys";
	if (have == NULL)
		have = &d->keys[d->nkeys++];
	else
		forget(have);
	*have = *k;
	return NULL;
}

static void
answer_load(struct keyd *d, struct chan_msg *m, struct frame_writer *out)
{
	const char *why = "comes without a file";
	struct key k = { .id = 0 };
	unsigned char *spki = NULL;
	int n;

	k.key = m->nfds == 1 ? read_key(m->fds[0], k.file, &why) : NULL;
	n = k.key != NULL ? i2d_PUBKEY(k.key, &spki) : -1;
	if (n > 0 && n <= NET_KEYD_SPKI_MAX) {
		k.id = net_key_id(spki, (size_t)n);
		why = put_key(d, &k);
	}
	if (why == NULL) {
		net_key_put_loaded(out, k.id, span_of((const char *)spki, (size_t)n));
	} else {
		EVP_PKEY_free(k.key);
		net_key_put_loaded(out, 0, span_str(why));
	}
	OPENSSL_free(spki);
}

static bool
answer_keep(struct keyd *d, const struct frame *f)
{
	struct frame_reader r;
	uint64_t now = clock_ms();

	for (size_t i = 0; i < d->nkeys; i++)
		if (d->keys[i].leaves == 0)
			d->keys[i].leaves = now + NET_KEYD_LEAVING_MS;
	frame_reader_init(&r, f);
	for (size_t n = f->len / 8; n > 0; n--) {
		struct key *k = find_key(d, frame_u64(&r));

		if (k != NULL)
			k->leaves = 0;
	}
	return frame_done(&r);
}

static void
let_leave(struct keyd *d)
{
	uint64_t now = clock_ms();

	for (size_t i = 0; i < d->nkeys;) {
		if (d->keys[i].leaves != 0 && d->keys[i].leaves <= now)
			remove_key(d, i);
		else
			i++;
	}
}

/* ---- signing ---- */

static bool
in_rate(struct keyd *d)
{
	uint64_t second = clock_ms() / 1000;

	if (second != d->second) {
		d->second = second;
		d->signatures = 0;
	}
	if (++d->signatures <= NET_KEYD_RATE)
		return true;
	if (!d->rate_said) {
		d->rate_said = true;
		log_say(SP_LOG_ERROR, "keyd-rate", "more than %d signatures a second are asked for; what is above is refused",
		    NET_KEYD_RATE);
	}
	return false;
}

/* What signs so with that key: made once, since OpenSSL looks for much when it is made. NULL: it cannot be. */
static EVP_PKEY_CTX *
signer_of(struct key *k, const struct net_key_question *q)
{
	EVP_PKEY_CTX **at = &k->ctx[q->scheme][number_of(q->bits)];
	bool rsa = q->scheme != NET_KEY_ECDSA, ok;
	EVP_PKEY_CTX *ctx;

	if (*at != NULL)
		return *at;
	ctx = EVP_PKEY_CTX_new(k->key, NULL);
	ok = ctx != NULL && EVP_PKEY_sign_init(ctx) == 1 && EVP_PKEY_CTX_set_signature_md(ctx, digest_of(q->bits)) == 1;
	if (ok && rsa)
		ok = EVP_PKEY_CTX_set_rsa_padding(ctx, q->scheme == NET_KEY_RSA_PSS ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING) == 1;
	if (ok && q->scheme == NET_KEY_RSA_PSS)
		ok = EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
	if (ok)
		return *at = ctx;
	EVP_PKEY_CTX_free(ctx);
	return NULL;
}

static bool
fits(const struct key *k, enum net_key_scheme scheme)
{
	switch (scheme) {
	case NET_KEY_ECDSA:
		return EVP_PKEY_get_base_id(k->key) == EVP_PKEY_EC;
	case NET_KEY_ED25519:
		return EVP_PKEY_get_base_id(k->key) == EVP_PKEY_ED25519;
	default:
		return EVP_PKEY_get_base_id(k->key) == EVP_PKEY_RSA;
	}
}

/* Ed25519, which makes its digests itself. */
static bool
sign_whole(struct key *k, struct span content, unsigned char *out, size_t *n)
{
	if (k->whole == NULL && ((k->whole = EVP_MD_CTX_new()) == NULL ||
	    EVP_DigestSignInit(k->whole, NULL, NULL, NULL, k->key) != 1)) {
		EVP_MD_CTX_free(k->whole);
		k->whole = NULL;
		return false;
	}
	return EVP_DigestSign(k->whole, out, n, (const unsigned char *)content.p, content.n) == 1;
}

static bool
sign_digest(struct key *k, const struct net_key_question *q, unsigned char *out, size_t *n)
{
	EVP_PKEY_CTX *ctx = signer_of(k, q);
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	return ctx != NULL && EVP_Digest(q->content.p, q->content.n, digest, &len, digest_of(q->bits), NULL) == 1 &&
	    EVP_PKEY_sign(ctx, out, n, digest, len) == 1;
}

/* Bytes of the signature, 0 if it cannot be made. */
static size_t
sign(struct keyd *d, const struct net_key_question *q, unsigned char out[NET_KEY_SIGNATURE_MAX])
{
	struct key *k = find_key(d, q->id);
	size_t n = NET_KEY_SIGNATURE_MAX;

	if (k == NULL || !fits(k, q->scheme) || !in_rate(d))
		return 0;
	if (!net_key_is_handshake(q->content)) {
		if (!d->form_said)
			log_say(SP_LOG_ERROR, "keyd-no-handshake", "a signature is asked for that no handshake needs, and refused");
		d->form_said = true;
		return 0;
	}
	if (!(q->scheme == NET_KEY_ED25519 ? sign_whole(k, q->content, out, &n) : sign_digest(k, q, out, &n))) {
		ERR_clear_error();
		return 0;
	}
	return n;
}

static bool
answer_sign(struct keyd *d, const struct chan_msg *m, struct frame_writer *out)
{
	unsigned char signature[NET_KEY_SIGNATURE_MAX];
	struct net_key_question q;
	char *content = NULL;
	size_t n;

	/* its content is in the frame or in a file, and not in both */
	if (!net_key_get(&m->f, &q) || (q.content.n == 0) != (m->nfds == 1))
		return false;
	if (m->nfds == 1) {
		if ((content = chan_file_read(m->fds[0], NET_KEY_CONTENT_MAX, &n)) == NULL)
			return false;
		q.content = span_of(content, n);
	}
	n = sign(d, &q, signature);
	free(content);
	net_key_put_signed(out, span_of((const char *)signature, n));
	return true;
}

/* ---- the process ---- */

static bool
answer_channels(struct keyd *d, struct chan_msg *m)
{
	for (unsigned i = 0; i < m->nfds; i++) {
		if (d->nchannels == CHANNELS_MAX)
			return false;
		/* a worker waits for each answer; one who takes none must not keep the others, and the master, waiting */
		(void)fcntl(m->fds[i], F_SETFL, O_NONBLOCK);
		d->channels[d->nchannels++].fd = m->fds[i];
		m->fds[i] = -1;		/* taken */
	}
	return true;
}

static bool
answer_log(struct chan_msg *m)
{
	if (m->nfds != 1)
		return false;
	if (log_take(m->fds[0]) == SP_OK)
		m->fds[0] = -1;		/* taken */
	return true;
}

/*
 * Who may ask what, and how long it may be. What is not here ends the process.
 */
static const struct {
	enum net_keyd_type	 type;
	bool			 by_master;
	size_t			 max;
	unsigned		 fds;
} requests[] = {
	{ NET_KEYD_SIGN, false, NET_KEY_HEAD + NET_KEY_SHORT, 1 },
	{ NET_KEYD_LOAD, true, 0, 1 },
	{ NET_KEYD_KEEP, true, 8 * NET_KEYD_KEYS_MAX, 0 },
	{ NET_KEYD_CHANNELS, true, 0, NET_WORKERS_MAX },
	{ NET_KEYD_LOG, true, 0, 1 },
	{ NET_KEYD_BEAT, true, 0, 0 }
};
#define NREQUESTS	(sizeof(requests) / sizeof(requests[0]))

/* NULL, or what is wrong with it. */
static const char *
check(const struct chan_msg *m, bool by_master)
{
	size_t i = 0;

	while (i < NREQUESTS && (unsigned)requests[i].type != m->f.type)
		i++;
	if (i == NREQUESTS || requests[i].by_master != by_master)
		return "a question that may not be asked here";
	if (m->f.len > requests[i].max)
		return "a question that is too long";
	return m->nfds > requests[i].fds ? "a question with more descriptors than it takes" : NULL;
}

static enum net_keyd_turn
answer(struct keyd *d, int fd, struct chan_msg *m, const char **wrong)
{
	unsigned char body[CHAN_BODY_MAX];
	struct frame reply = { .type = NET_KEYD_DONE, .tag = m->f.tag, .body = body };
	struct frame_writer out;
	bool good = true;

	if ((*wrong = check(m, fd == d->control)) != NULL)
		return NET_KEYD_WRONG;
	frame_writer_init(&out, body, sizeof(body));
	switch (m->f.type) {
	case NET_KEYD_SIGN:
		reply.type = NET_KEYD_SIGNED;
		good = answer_sign(d, m, &out);
		break;
	case NET_KEYD_LOAD:
		reply.type = NET_KEYD_LOADED;
		answer_load(d, m, &out);
		break;
	case NET_KEYD_KEEP:
		good = answer_keep(d, &m->f);
		break;
	case NET_KEYD_CHANNELS:
		good = answer_channels(d, m);
		break;
	case NET_KEYD_BEAT:
		break;
	default:
		good = answer_log(m);
		break;
	}
	if (!good || out.failed) {
		*wrong = "a question that is malformed";
		return NET_KEYD_WRONG;
	}
	reply.len = out.len;
	return chan_send(fd, &reply, NULL, 0) == SP_OK ? NET_KEYD_SERVED : NET_KEYD_GONE;
}

struct keyd *
net_keyd_new(int control)
{
	struct keyd *d = xcalloc(1, sizeof(*d));

	d->control = control;
	return d;
}

void
net_keyd_free(struct keyd *d)
{
	while (d->nkeys > 0)
		remove_key(d, 0);
	while (d->nchannels > 0)
		close(d->channels[--d->nchannels].fd);
	close(d->control);
	free(d);
}

enum net_keyd_turn
net_keyd_serve(struct keyd *d, int fd, struct chan_msg *m, const char **wrong)
{
	int err = chan_recv(fd, m, fd == d->control ? NET_WORKERS_MAX : 1);
	enum net_keyd_turn turn;

	if (err == SP_ESYNTAX) {
		m->f.type = 0;
		*wrong = "something that is no frame";
		return NET_KEYD_WRONG;
	}
	if (err == SP_ETIME)
		return NET_KEYD_SERVED;
	if (err != SP_OK)
		return NET_KEYD_GONE;
	turn = answer(d, fd, m, wrong);
	chan_done(m);
	return turn;
}

static void
die(const char *what, unsigned type)
{
	log_say(SP_LOG_ERROR, "keyd-bad-frame", "%s (type %u); keyd ends", what, type);
	_exit(EX_SOFTWARE);
}

/* False: the other side is gone. */
static bool
serve(struct keyd *d, int fd, struct chan_msg *m)
{
	const char *wrong = NULL;
	enum net_keyd_turn turn = net_keyd_serve(d, fd, m, &wrong);

	if (turn == NET_KEYD_WRONG)
		die(wrong, m->f.type);
	return turn == NET_KEYD_SERVED;
}

/* What the master asks. False: it is gone. */
static bool
serve_master(struct keyd *d, struct chan_msg *m)
{
	struct pollfd p = { d->control, POLLIN, 0 };

	return poll(&p, 1, 0) <= 0 || serve(d, d->control, m);
}

static void
run(struct keyd *d)
{
	struct pollfd fds[1 + CHANNELS_MAX];
	struct chan_msg m;

	for (;;) {
		size_t n = d->nchannels;
		uint64_t began;

		fds[0] = (struct pollfd){ d->control, POLLIN, 0 };
		for (size_t i = 0; i < n; i++)
			fds[1 + i] = (struct pollfd){ d->channels[i].fd, POLLIN, 0 };
		if (poll(fds, (nfds_t)n + 1, 1000) == -1 && errno != EINTR)
			die("poll", 0);
		began = clock_ms();
		for (size_t i = n; i > 0; i--) {
			bool stays = fds[i].revents == 0 || serve(d, d->channels[i - 1].fd, &m);

			if (!stays) {
				close(d->channels[i - 1].fd);
				d->channels[i - 1] = d->channels[--d->nchannels];
			}
			/* signatures with the largest keys take long, and the master wants to know that we are well */
			if (clock_ms() - began < BETWEEN_MS)
				continue;
			if (!serve_master(d, &m))
				return;
			began = clock_ms();
		}
		/* it adds channels, so there it does not come in the way */
		if (!serve_master(d, &m))
			return;
		let_leave(d);
	}
}

_Noreturn void
net_keyd_main(int control, const char *run_as, bool sandbox)
{
	struct keyd *d = net_keyd_new(control);
	sigset_t none;
	int rc = EX_OK;

	/* signals are the master's; this process ends when the channel does */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	(void)prctl(PR_SET_NAME, "keyd");
	OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	/* what OpenSSL and the C library load and look up once, they do before the fence is there */
	net_keyd_warm();
	if (run_as != NULL && *run_as != '\0' && geteuid() == 0 && proc_drop_to(run_as) != SP_OK) {
		log_say(SP_LOG_ERROR, "keyd", "cannot become \"%s\": %s", run_as, strerror(errno));
		exit(EX_NOUSER);
	}
	proc_harden();		/* after a change of accounts, which undoes a part of it */
	if (sandbox && (sandbox_files(SANDBOX_KEYD, NULL, 0) != SP_OK || sandbox_calls(SANDBOX_KEYD) != SP_OK)) {
		rc = EX_OSERR;
	} else {
		run(d);
	}
	net_keyd_free(d);
	exit(rc);
}

void
net_keyd_warm(void)
{
	static const enum net_key_scheme schemes[] = { NET_KEY_ECDSA, NET_KEY_ED25519 };
	unsigned char out[NET_KEY_SIGNATURE_MAX];
	char content[68 + 32] = { [64] = 3, [66] = 29, [67] = 32 };	/* as a server of TLS 1.2 has it */
	EVP_PKEY *k = EVP_EC_gen("P-256");
	struct keyd d = { .nkeys = 2, .keys = { { .id = 1, .key = k }, { .id = 2, .key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519") } } };
	char *pem = NULL;
	BIO *bio = BIO_new(BIO_s_mem());

	for (size_t i = 0; i < 2; i++) {
		const struct net_key_question q = { i + 1, schemes[i], i == 0 ? 256 : 0, span_of(content, sizeof(content)) };

		(void)sign(&d, &q, out);
	}
	for (unsigned bits = 224; bits <= 512; bits += bits == 224 ? 32 : 128)
		(void)digest_of(bits);
	if (bio != NULL && PEM_write_bio_PrivateKey(bio, k, NULL, NULL, 0, NULL, NULL) == 1 && BIO_get_mem_data(bio, &pem) > 0)
		EVP_PKEY_free(PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL));
	BIO_free(bio);
	while (d.nkeys > 0)
		remove_key(&d, 0);
	ERR_clear_error();
}
