/*
 * tests/fuzz/fuzz_flowkeys.c - the file of flow keys. It is taken exactly if each line but comments is 64 hex digits
 * and there is one; the line that is none is named; looking at it and taking it say the same, and the keys are those
 * of its last lines.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "sip/flowfile.h"
#include "tests/fuzz/textfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int
hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool
read_key(struct span line, unsigned char key[SIP_FLOW_KEY_SIZE])
{
	if (line.n != 2 * (size_t)SIP_FLOW_KEY_SIZE)
		return false;
	for (size_t i = 0; i < SIP_FLOW_KEY_SIZE; i++) {
		int high = hex(line.p[2 * i]), low = hex(line.p[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		key[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}

/* The keys as the text says it, or which line is wrong; 0: there is none. */
static int
expected(struct span text, struct sip_flow_keys **out)
{
	unsigned char keys[SIP_FLOW_KEYS_MAX][SIP_FLOW_KEY_SIZE], key[SIP_FLOW_KEY_SIZE];
	unsigned n = 0;
	int at = 0;

	*out = NULL;
	while (text.n != 0) {
		struct span line = span_head(text, span_find(text, '\n'));

		text = span_tail(text, line.n + 1);
		at++;
		if (line.n == 0 || line.p[0] == '#')
			continue;
		if (!read_key(line, key))
			return at;
		if (n == SIP_FLOW_KEYS_MAX)
			memmove(keys[0], keys[1], sizeof(keys[0]) * --n);
		memcpy(keys[n++], key, sizeof(key));
	}
	if (n != 0)
		*out = sip_flow_keys_from(keys[0], n);
	return 0;
}

static bool
has_long_line(struct span text)
{
	while (text.n != 0) {
		size_t n = span_find(text, '\n');

		if (n > 250)
			return true;
		text = span_tail(text, n + 1);
	}
	return false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct span text = span_of((const char *)data, len);
	struct sip_flow_keys *keys, *want;
	unsigned char a[SIP_FLOW_KEY_SIZE], b[SIP_FLOW_KEY_SIZE];
	int fd, line = -1, again = -1, err, bad;
	char name[64];

	fd = textfile_make(text, name);
	err = sip_flow_keys_load(name, &keys, &line);
	assert(err == SP_OK || err == SP_EINVAL);
	assert((err == SP_OK) == (keys != NULL) && sip_flow_keys_check(name, &again) == err && again == line);
	/* how longer lines, and those with a NUL, are counted is nobody's business */
	if (memchr(data, '\0', len) == NULL && !has_long_line(text)) {
		bad = expected(text, &want);
		assert((want != NULL) == (keys != NULL));
		assert(want != NULL || bad == 0 || bad == line);
		if (want != NULL) {
			sip_flow_keys_derive(want, "fuzz", a);
			sip_flow_keys_derive(keys, "fuzz", b);
			assert(memcmp(a, b, sizeof(a)) == 0);
		}
		sip_flow_keys_unref(want);
	}
	sip_flow_keys_unref(keys);
	close(fd);
	return 0;
}
