/*
 * tests/fuzz/fuzz_policychange.c - lines of versions and of the audit log. There is one
 * way to write a change: what is taken is written again byte for byte, and a line of
 * the log with any byte changed is not taken.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "admin/policychange.h"
#include "common/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static char text[POLICY_CHANGE_LINE];
	struct span line = span_of((const char *)data, len);
	struct policy_change c;
	struct policy_record r, again;
	struct strbuf sb;

	if (policy_record_parse(line, &r) == SP_OK) {
		strbuf_init(&sb, text, sizeof(text));
		policy_record_format(&r, &sb);
		assert(strbuf_ok(&sb) && span_eq(strbuf_span_of(&sb), line));
	}
	if (policy_change_parse(line, &c) != SP_OK)
		return 0;
	assert(policy_change_author_ok(span_str(c.author)) && policy_change_note_ok(span_str(c.note)));
	strbuf_init(&sb, text, sizeof(text));
	policy_change_format(&c, &sb);
	assert(strbuf_ok(&sb) && span_eq(strbuf_span_of(&sb), line));
	/* as a line of the log, with one byte another */
	memset(&r, 0, sizeof(r));
	r.n = 1 + len;
	r.change = c;
	memset(r.prev, '0', POLICY_HASH_TEXT - 1);
	strbuf_reset(&sb);
	policy_record_format(&r, &sb);
	assert(strbuf_ok(&sb) && policy_record_parse(strbuf_span_of(&sb), &again) == SP_OK);
	sb.p[len * 31 % sb.len] ^= 1;
	assert(policy_record_parse(strbuf_span_of(&sb), &again) == SP_ESYNTAX);
	return 0;
}
