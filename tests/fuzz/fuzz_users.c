/*
 * tests/fuzz/fuzz_users.c - lines of the user file. What is taken and written
 * again is taken again, as the same user. Passwords of any bytes are hashed or refused.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "admin/users.h"
#include "common/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static char line[2048], again[2048];
	struct user u, back, fresh = { .aor = "a@b" };
	const char *why = NULL;
	struct strbuf sb;

	if (user_set_password(&fresh, SPAN_NONE, span_of((const char *)data, len)) == SP_OK) {
		assert(len != 0 && len <= USER_PASSWORD_MAX && memchr(data, '\n', len) == NULL);
		assert(strcmp(fresh.realm, "b") == 0);
	}
	if (user_parse(&u, span_of((const char *)data, len), &why) != SP_OK) {
		assert(why != NULL);
		return 0;
	}
	assert(strchr(u.aor, '@') != NULL && u.pool[0] != '\0' && u.realm[0] != '\0');
	strbuf_init(&sb, line, sizeof(line));
	user_format(&u, &sb);
	assert(strbuf_ok(&sb));
	assert(user_parse(&back, strbuf_span_of(&sb), &why) == SP_OK);
	assert(strcmp(u.aor, back.aor) == 0 && strcmp(u.pool, back.pool) == 0 && strcmp(u.realm, back.realm) == 0);
	strbuf_init(&sb, again, sizeof(again));
	user_format(&back, &sb);
	assert(strcmp(line, again) == 0);
	return 0;
}
