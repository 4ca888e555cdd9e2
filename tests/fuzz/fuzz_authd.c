/*
 * tests/fuzz/fuzz_authd.c - bodies of the frames between the network process
 * and authd, read from both sides. What is read and written again is what was
 * read; a body that is cut or has something behind it is none.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "director/authd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
same(const struct frame_writer *w, const struct frame *f)
{
	assert(!w->failed && w->len == f->len && memcmp(w->p, f->body, f->len) == 0);
}

static void
try(const struct frame *f)
{
	static unsigned char out[FRAME_MAX];
	struct authd_question q;
	struct authd_step s;
	struct authd_answer a;
	enum authd_verdict verdict;
	struct authd_user u;
	struct frame_writer w;
	struct span aor;
	bool ok;

	frame_writer_init(&w, out, sizeof(out));
	if (authd_get_digest(f, &q)) {
		authd_put_digest(&w, &q);
		same(&w, f);
	}
	frame_writer_init(&w, out, sizeof(out));
	if (authd_get_lookup(f, &aor)) {
		assert(aor.n < USER_AOR_MAX);
		authd_put_lookup(&w, aor);
		same(&w, f);
	}
	frame_writer_init(&w, out, sizeof(out));
	if (authd_get_answer(f, &verdict, &u)) {
		assert(verdict < AUTHD_NVERDICTS && strlen(u.aor) < sizeof(u.aor) && strlen(u.pool) < sizeof(u.pool));
		authd_put_answer(&w, verdict, &u);
		same(&w, f);
	} else
		assert(verdict == AUTHD_BAD && !u.found);
	frame_writer_init(&w, out, sizeof(out));
	if (authd_get_step(f, &s)) {
		assert((s.mechanism == AUTHD_NTLM || s.mechanism == AUTHD_KERBEROS) && s.token.n <= AUTHD_TOKEN_MAX);
		assert(s.mechanism == AUTHD_NTLM || (s.context == 0 && s.token.n != 0));
		authd_put_step(&w, &s);
		same(&w, f);
	}
	frame_writer_init(&w, out, sizeof(out));
	if (authd_get_stepped(f, &a)) {
		assert(a.who.found == (a.verdict == AUTHD_OK) && (a.key_n != 0 || a.session.n != 0) == (a.verdict == AUTHD_OK));
		assert((a.key_n == 0 || a.session.n == 0) && a.session.n <= AUTHD_SESSION_MAX);
		assert(a.key_n <= sizeof(a.key) && (a.token.n != 0) == (a.verdict == AUTHD_CONTINUE));
		authd_put_stepped(&w, &a);
		same(&w, f);
	} else
		assert(a.verdict == AUTHD_BAD && !a.who.found && a.key_n == 0);
	frame_writer_init(&w, out, sizeof(out));
	if (authd_get_done(f, &ok)) {
		authd_put_done(&w, ok);
		same(&w, f);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	/* a copy of the exact size, so that a read past the end is seen */
	size_t n = len < FRAME_MAX ? len : FRAME_MAX;
	unsigned char *body = malloc(n != 0 ? n : 1);
	struct frame f = { .len = n, .body = body };
	struct authd_question q;

	assert(body != NULL);
	memcpy(body, data, n);
	try(&f);
	if (authd_get_digest(&f, &q)) {
		f.len = n - 1;
		assert(!authd_get_digest(&f, &q));
	}
	free(body);
	return 0;
}
