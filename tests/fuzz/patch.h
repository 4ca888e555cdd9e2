/*
 * tests/fuzz/patch.h - inputs that say first what is made and then what is broken of it: a text up to the first
 * NUL, and behind it five bytes for each change: where (four bytes, little endian, modulo the size) and what stands
 * there afterwards. So a corpus stays what it is when the format of what is made changes.
 */
#ifndef SALLYPORT_TESTS_FUZZ_PATCH_H
#define SALLYPORT_TESTS_FUZZ_PATCH_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/span.h"

#define PATCH_SIZE	5

static inline void
patch_split(const uint8_t *data, size_t len, struct span *text, struct span *patches)
{
	struct span all = span_of((const char *)data, len);

	*text = span_head(all, span_find(all, '\0'));
	*patches = span_tail(all, text->n + 1);
}

/* Take one change off; false: there is none left. */
static inline bool
patch_next(struct span *patches, size_t n, size_t *at, unsigned char *byte)
{
	const unsigned char *p = (const unsigned char *)patches->p;

	if (patches->n < PATCH_SIZE || n == 0)
		return false;
	*at = ((size_t)p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24) % n;
	*byte = p[4];
	*patches = span_tail(*patches, PATCH_SIZE);
	return true;
}

/* All of them; false: nothing is another byte now. */
static inline bool
patch_all(struct span patches, void *bytes, size_t n)
{
	char *was = malloc(n + 1);
	bool changed;
	unsigned char byte;
	size_t at;

	if (was == NULL)
		abort();
	memcpy(was, bytes, n);
	while (patch_next(&patches, n, &at, &byte))
		((unsigned char *)bytes)[at] = byte;
	changed = memcmp(was, bytes, n) != 0;
	free(was);
	return changed;
}

#endif
