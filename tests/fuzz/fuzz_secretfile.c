/*
 * tests/fuzz/fuzz_secretfile.c - whole files: of accounts of the admin page (the first byte is even) and of users.
 * A file is taken, or every wrong line is told by its number. What was taken and is saved is taken again: the same
 * entries in the same order, each there once and found by its name, and saved again the same file.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/accounts.h"
#include "admin/users.h"
#include "common/err.h"
#include "tests/fuzz/playground.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static char dir[64], in[96], out[2][96];

struct told {
	unsigned n;
	int	 line;
};

static void
tell(void *arg, int line, const char *text)
{
	struct told *t = arg;

	assert(line >= t->line && text[0] != '\0');
	t->line = line;
	t->n++;
}

static void
end(void)
{
	playground_remove(dir);
}

static void
begin(void)
{
	playground_make(dir, "fuzz_secretfile");
	snprintf(in, sizeof(in), "%s/in", dir);
	snprintf(out[0], sizeof(out[0]), "%s/out", dir);
	snprintf(out[1], sizeof(out[1]), "%s/again", dir);
	atexit(end);
}

static void
same_files(void)
{
	static char a[1 << 16], b[1 << 16];
	FILE *f = fopen(out[0], "re"), *g = fopen(out[1], "re");
	struct stat st;
	size_t n;

	assert(f != NULL && g != NULL && fstat(fileno(g), &st) == 0 && (st.st_mode & 07777) == 0600);
	do {
		n = fread(a, 1, sizeof(a), f);
		assert(fread(b, 1, sizeof(b), g) == n && memcmp(a, b, n) == 0);
	} while (n != 0);
	fclose(f);
	fclose(g);
}

/* Lines that are neither empty nor a comment, and begin with that word (NULL: whatever). */
static size_t
count_lines(struct span text, const char *word)
{
	size_t n = 0;

	while (text.n != 0) {
		struct span line = span_head(text, span_find(text, '\n'));

		text = span_tail(text, line.n + 1);
		line = span_trim(line);
		if (line.n != 0 && line.p[0] != '#')
			n += word == NULL || span_is(span_head(line, span_find(line, ' ')), word);
	}
	return n;
}

static void
try_accounts(struct span text)
{
	struct accounts *as, *again;
	struct told told = { 0, 0 };
	int err = accounts_load(&as, in, tell, &told);

	assert((err == SP_OK) == (as != NULL) && (err == SP_OK) == (told.n == 0));
	if (as == NULL)
		return;
	assert(accounts_save(as, out[0]) == SP_OK && accounts_load(&again, out[0], tell, &told) == SP_OK && told.n == 0);
	/* none has taken the place of another */
	assert(accounts_count(as) == count_lines(text, "account") && accounts_token_count(as) == count_lines(text, "token"));
	assert(accounts_count(as) == accounts_count(again) && accounts_token_count(as) == accounts_token_count(again));
	for (size_t i = 0; i < accounts_count(as); i++) {
		const struct account *a = accounts_get(as, i), *b = accounts_get(again, i);

		assert(strcmp(a->name, b->name) == 0 && a->role == b->role && a->role != ACCOUNT_NOBODY);
		assert(a->log2n == b->log2n && a->r == b->r && a->p == b->p);
		assert(memcmp(a->salt, b->salt, sizeof(a->salt)) == 0 && memcmp(a->key, b->key, sizeof(a->key)) == 0);
		assert(account_name_is_good(span_str(a->name)) && accounts_find(as, span_str(a->name)) == a);
	}
	for (size_t i = 0; i < accounts_token_count(as); i++) {
		const struct account_token *a = accounts_token_get(as, i), *b = accounts_token_get(again, i);

		assert(strcmp(a->account, b->account) == 0 && strcmp(a->label, b->label) == 0 && a->role == b->role);
		assert(a->until == b->until && memcmp(a->digest, b->digest, sizeof(a->digest)) == 0);
		for (size_t k = 0; k < i; k++)
			assert(strcmp(a->account, accounts_token_get(as, k)->account) != 0 ||
			    strcmp(a->label, accounts_token_get(as, k)->label) != 0);
	}
	assert(accounts_save(again, out[1]) == SP_OK);
	same_files();
	accounts_free(again);
	accounts_free(as);
}

static void
try_users(struct span text)
{
	struct users *us, *again;
	struct told told = { 0, 0 };
	int err = users_load(&us, in, tell, &told);

	assert((err == SP_OK) == (us != NULL) && (err == SP_OK) == (told.n == 0));
	if (us == NULL)
		return;
	assert(users_save(us, out[0]) == SP_OK && users_load(&again, out[0], tell, &told) == SP_OK && told.n == 0);
	assert(users_count(us) == count_lines(text, NULL) && users_count(us) == users_count(again));
	for (size_t i = 0; i < users_count(us); i++) {
		const struct user *a = users_get(us, i), *b = users_get(again, i);

		assert(strcmp(a->aor, b->aor) == 0 && strcmp(a->pool, b->pool) == 0 && a->enabled == b->enabled);
		assert(users_find(us, span_str(a->aor)) == a);
	}
	assert(users_save(again, out[1]) == SP_OK);
	same_files();
	users_free(again);
	users_free(us);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (dir[0] == '\0')
		begin();
	if (len == 0)
		return 0;
	playground_write(in, data + 1, len - 1, 0600);
	if (data[0] % 2 == 0)
		try_accounts(span_of((const char *)data + 1, len - 1));
	else
		try_users(span_of((const char *)data + 1, len - 1));
	return 0;
}
