/*
 * tests/fuzz/fuzz_winbind.c - bodies of the frames between authd and the process
 * that asks winbind, read from both sides. What is read and written again is
 * what was read; what is no answer is nobody's decision.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "director/winbind.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
same(const struct frame_writer *w, const struct frame *f)
{
	assert(!w->failed && w->len == f->len && memcmp(w->p, f->body, f->len) == 0);
}

static void
inside(const struct frame *f, struct span s)
{
	assert(s.n == 0 || ((const unsigned char *)s.p >= f->body && (const unsigned char *)s.p + s.n <= f->body + f->len));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static unsigned char out[FRAME_MAX];
	/* a copy of the exact size, so that a read past the end is seen */
	size_t n = len < FRAME_MAX ? len : FRAME_MAX;
	unsigned char *body = malloc(n != 0 ? n : 1);
	struct frame f = { .len = n, .body = body };
	struct winbind_question q;
	struct winbind_answer a;
	struct frame_writer w;

	assert(body != NULL);
	memcpy(body, data, n);
	if (winbind_get_question(&f, &q)) {
		inside(&f, q.user);
		inside(&f, q.domain);
		inside(&f, q.workstation);
		inside(&f, q.nt);
		assert(q.user.n != 0 && q.user.n < NTLM_NAME_MAX && q.nt.n > 24 && q.nt.n <= NTLM_TOKEN_MAX);
		frame_writer_init(&w, out, sizeof(out));
		winbind_put_question(&w, &q);
		same(&w, &f);
		f.len--;
		assert(!winbind_get_question(&f, &q));
		f.len++;
	}
	if (winbind_get_answer(&f, &a)) {
		inside(&f, a.domain);
		inside(&f, a.account);
		assert((a.verdict == WINBIND_PROVED) == (a.account.n != 0) && (a.verdict == WINBIND_PROVED) == (a.domain.n != 0));
		assert((a.verdict == WINBIND_REFUSED) == (a.status != 0));
		frame_writer_init(&w, out, sizeof(out));
		winbind_put_answer(&w, &a);
		same(&w, &f);
	} else
		assert(a.verdict == WINBIND_UNREACHED && a.account.n == 0);
	free(body);
	return 0;
}
