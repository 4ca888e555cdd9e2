/*
 * tests/fuzz/fuzz_entry.c - addresses in filters. Whatever the address is, the
 * filter has the form that an ordinary one has, and the value read back out
 * of it (RFC 4515) is the address.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "director/entry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int
hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static char address[] = "addr";
	static const char head[] = "(addr=sip:";
	const struct dirconf conf = { .attributes = { .address = address } };
	char text[ENTRY_FILTER_MAX], back[USER_AOR_MAX];
	size_t n = len < sizeof(back) ? len : sizeof(back), got = 0;
	struct authd_user u;
	struct strbuf sb;
	const char *p;

	strbuf_init(&sb, text, sizeof(text));
	assert(entry_filter(&sb, &conf, span_of((const char *)data, n)));
	assert(strncmp(text, head, sizeof(head) - 1) == 0);
	for (p = text + sizeof(head) - 1; *p != ')'; p++) {
		assert(*p != '\0' && *p != '(' && *p != '*' && got < sizeof(back));
		if (*p == '\\') {
			assert(hex(p[1]) >= 0 && hex(p[2]) >= 0);
			back[got++] = (char)(hex(p[1]) << 4 | hex(p[2]));
			p += 2;
		} else
			back[got++] = *p;
	}
	assert(p[1] == '\0');
	assert(got == n && memcmp(back, data, n) == 0);
	/* the same bytes as values of an entry */
	memset(&u, 0, sizeof(u));
	if (!entry_set_pool(&u, span_of((const char *)data, n)))
		assert(u.pool[0] == '\0');
	else
		assert(strlen(u.pool) < sizeof(u.pool));
	{
		struct span v = span_of((const char *)data, n);
		struct entry e = { v, v, v, v, v, v };

		entry_user(&conf, &e, n < USER_AOR_MAX ? v : SPAN_NONE, &u);
		assert(u.found && u.enabled);
	}
	return 0;
}
