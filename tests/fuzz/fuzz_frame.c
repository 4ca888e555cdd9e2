/*
 * tests/fuzz/fuzz_frame.c - frames between our processes. What is parsed and
 * written again is what was read, and a beginning of it is never a frame.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/proc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct frame f;
	struct frame_reader r;
	unsigned char *copy;
	ssize_t used = frame_parse(data, len, &f);
	size_t n;

	if (used <= 0) {
		assert(used == 0 || used == SP_ESYNTAX);
		return 0;
	}
	assert((size_t)used <= len && (size_t)used == FRAME_HEAD + f.len && f.len <= FRAME_MAX);
	copy = malloc((size_t)used);
	assert(copy != NULL);
	assert(frame_format(&f, copy) == (size_t)used && memcmp(copy, data, (size_t)used) == 0);
	free(copy);
	assert(frame_parse(data, (size_t)used - 1, &f) == 0);
	assert(frame_parse(data, (size_t)used, &f) == used);

	/* The tag says which fields are read, so that every order comes up. */
	frame_reader_init(&r, &f);
	for (uint64_t plan = f.tag; plan != 0 && !r.failed; plan >>= 2) {
		const char *text;

		switch (plan & 3) {
		case 0:
			(void)frame_u8(&r);
			break;
		case 1:
			(void)frame_u32(&r);
			break;
		case 2:
			(void)frame_u64(&r);
			break;
		default:
			text = frame_text(&r, &n);
			assert(r.failed || (text >= (const char *)f.body &&
			    text + n <= (const char *)f.body + f.len));
			break;
		}
	}
	assert(!r.failed || !frame_done(&r));
	return 0;
}
