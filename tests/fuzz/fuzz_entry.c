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

/* The same bytes as a login: whatever they are, the filter has the parentheses and signs of an ordinary one. */
static void
login(struct span s)
{
	static char account[] = "acc", principal[] = "upn", one[] = "C=dc=x", two[] = "X=dc=x";
	struct conf_str places[] = { { .s = one }, { .s = two } };
	const struct dirconf conf = { .logins = { places, 2 }, .attributes = { .account = account, .principal = principal } };
	char text[ENTRY_FILTER_MAX], whole[USER_AOR_MAX + 8];
	struct span aor = entry_address(s);
	unsigned open = 0, equals = 0;
	struct entry_login l;
	struct strbuf sb;

	assert(span_is_empty(aor) || (aor.n < USER_AOR_MAX && span_find(aor, '@') < aor.n && aor.p == s.p + 4));
	for (int kind = 0; kind < 2; kind++) {
		strbuf_init(&sb, whole, sizeof(whole));
		strbuf_puts(&sb, kind == 0 ? "C\\" : "");
		strbuf_span(&sb, s);
		strbuf_puts(&sb, kind == 0 ? "" : "@X");
		if (!entry_login_parse(&conf, span_of(whole, s.n + 2), &l))
			continue;
		assert(strcmp(l.base, "dc=x") == 0);
		strbuf_init(&sb, text, sizeof(text));
		assert(entry_login_filter(&sb, &conf, &l));
		open = equals = 0;
		for (const char *p = text; *p != '\0'; p++) {
			open += *p == '(';
			equals += *p == '=';
			assert(*p != '*');
		}
		assert(l.realm ? open == 3 && equals == 2 : open == 1 && equals == 1);
	}
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
	login(span_of((const char *)data, n));
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
