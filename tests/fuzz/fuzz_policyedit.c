/*
 * tests/fuzz/fuzz_policyedit.c - texts of policies, however odd, of which a domain is blocked
 * and unblocked, and which are merged. What is blocked says one thing more; what is unblocked
 * again says what the first text said. A merge with no change of one side is the other side.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "admin/policydiff.h"
#include "admin/policyedit.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
same_meaning(struct span a, struct span b)
{
	struct conf_errors *errs = conf_errors_new();
	struct policydiff *d = policydiff_new("a", a, "b", b, "/nonexistent", errs);

	assert(d != NULL && policydiff_count(d) == 0);
	policydiff_free(d);
	conf_errors_free(errs);
}

static void
block_and_unblock(struct span text)
{
	struct conf_errors *errs = conf_errors_new();
	struct policyedit e = { .name = "policy", .dir = "/nonexistent", .text = text };
	char *blocked, *again;
	size_t n, m;

	if (policyedit_block(&e, "fuzz.example", &blocked, &n, errs) == SP_OK) {
		e.text = span_of(blocked, n);
		assert(policyedit_block(&e, "fuzz.example", &again, &m, errs) == SP_EEXIST);
		if (policyedit_unblock(&e, "fuzz.example", &again, &m, errs) == SP_OK) {
			same_meaning(text, span_of(again, m));
			free(again);
		}
		free(blocked);
	}
	e.text = text;
	if (policyedit_pause(&e, "p", true, &again, &m, errs) == SP_OK)
		free(again);
	conf_errors_free(errs);
}

struct rebuilt {
	size_t	minus, plus, lines;
};

static void
count_line(void *arg, char mark, size_t line, struct span text)
{
	struct rebuilt *r = arg;

	(void)text;
	r->minus += mark == '-';
	r->plus += mark == '+';
	r->lines = line > r->lines ? line : r->lines;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct span text = span_of((const char *)data, len), one, other;
	struct rebuilt r = { .lines = 0 };
	size_t n, line, half;
	char *out;

	if (len > 16384)
		return 0;
	/* nothing may be read that is not ours */
	for (size_t i = 0; i + 8 <= len; i++)
		if (memcmp(data + i, "@include", 8) == 0)
			return 0;
	block_and_unblock(text);
	half = len / 2;
	one = span_head(text, half);
	other = span_tail(text, half);
	assert(policydiff_lines(one, one, count_line, &r) == 0 && r.lines == 0);
	assert(policydiff_lines(one, other, count_line, &r) == r.minus + r.plus);
	assert(policydiff_merge(one, one, other, &out, &n, &line) == SP_OK);
	assert(n == other.n || n == other.n + 1);
	assert(n == 0 || memcmp(out, other.p, other.n < n ? other.n : n) == 0);
	free(out);
	assert(policydiff_merge(one, other, one, &out, &n, &line) == SP_OK);
	assert(n == 0 || memcmp(out, other.p, other.n < n ? other.n : n) == 0);
	free(out);
	return 0;
}
