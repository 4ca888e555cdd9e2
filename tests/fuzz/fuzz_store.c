/*
 * tests/fuzz/fuzz_store.c - somebody has been at the files of the policy store. Whatever byte of the log, of its head
 * or of a version is another one, verifying says so; a file that is cut or has something behind it is found as well,
 * but for the beginning of a line that a crash leaves. What is shown of it comes to an end.
 *
 * The first byte says which file, the second what is done with it, and the rest how (patch.h).
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/policystore.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/err.h"
#include "tests/fuzz/patch.h"
#include "tests/fuzz/playground.h"
#include "tests/fuzz/textfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
TEXTFILE_LIBCONFIG_LEAKS

#define BASE	"internal_domains = [ \"contoso.example\" ];\ninternal_servers = [ \"director.contoso.example\" ];\n"

enum { LOG, HEAD, FIRST, SECOND, THIRD, FIXED_FILES, PENDING = FIXED_FILES, CANDIDATE, POLICY, NFILES };

static char dir[64], store[96], policy[96];
static struct file {
	const char	*name;
	char		 path[128];
	char		*bytes;		/* as it should be; NULL: it is not there */
	size_t		 n;
} files[NFILES] = {
	[LOG] = { .name = "store/audit.log" }, [HEAD] = { .name = "store/audit.head" },
	[FIRST] = { .name = "store/versions/000001.conf" }, [SECOND] = { .name = "store/versions/000002.conf" },
	[THIRD] = { .name = "store/versions/000003.conf" }, [PENDING] = { .name = "store/pending.conf" },
	[CANDIDATE] = { .name = "store/candidates/bob.conf" }, [POLICY] = { .name = "policy.conf" }
};

static void
end(void)
{
	playground_remove(dir);
	for (size_t i = 0; i < NFILES; i++)
		free(files[i].bytes);
}

static void
set_and_commit(struct policystore *ps, const char *text, struct conf_errors *errs)
{
	static const struct policystore_who alice = { .author = "alice", .note = "why not" };

	assert(policystore_candidate_set(ps, "alice", &alice, 0, NULL, span_str(text), errs) == SP_OK);
	assert(policystore_commit(ps, "alice", &alice, NULL, errs) == SP_OK);
}

static void
begin(void)
{
	static const uint64_t ms = 1000;
	static const time_t wall = 1790000000;
	static const struct policystore_who bob = { .author = "bob", .note = NULL };
	struct conf_errors *errs = conf_errors_new();
	struct policystore_text t;
	struct policystore *ps;

	playground_make(dir, "fuzz_store");
	snprintf(store, sizeof(store), "%s/store", dir);
	snprintf(policy, sizeof(policy), "%s/policy.conf", dir);
	playground_write(policy, BASE, strlen(BASE), 0640);
	/* the same every time */
	clock_fake(&ms, &wall);
	assert(policystore_open(&ps, store, policy, errs) == SP_OK && policystore_current(ps, &t, errs) == SP_OK);
	policystore_text_fini(&t);
	set_and_commit(ps, BASE "federation = true;\n", errs);
	set_and_commit(ps, BASE "federation = true;\nblocked = [ \"spam.example\" ];\n", errs);
	assert(policystore_candidate_set(ps, "bob", &bob, 0, NULL, span_str(BASE), errs) == SP_OK);
	policystore_close(ps);
	conf_errors_free(errs);
	for (size_t i = 0; i < NFILES; i++) {
		struct file *fl = &files[i];
		struct stat st;
		FILE *f;

		snprintf(fl->path, sizeof(fl->path), "%s/%s", dir, fl->name);
		if ((f = fopen(fl->path, "re")) == NULL)
			continue;
		assert(fstat(fileno(f), &st) == 0);
		fl->bytes = malloc((size_t)st.st_size + 1);
		assert(fl->bytes != NULL && (fl->n = fread(fl->bytes, 1, (size_t)st.st_size, f)) == (size_t)st.st_size);
		fclose(f);
	}
	assert(files[FIRST].n != 0 && files[THIRD].n != 0 && files[PENDING].bytes == NULL && files[CANDIDATE].n != 0);
	atexit(end);
}

/* Each as it should be, and no version more. */
static void
put_back(void)
{
	char more[128];

	for (size_t i = 0; i < NFILES; i++)
		if (files[i].bytes != NULL)
			playground_write(files[i].path, files[i].bytes, files[i].n, 0640);
		else
			unlink(files[i].path);
	for (unsigned v = 4; v < 8; v++) {
		snprintf(more, sizeof(more), "%s/versions/%06u.conf", store, v);
		unlink(more);
	}
}

enum { CHANGED, CUT, LONGER, REPLACED, WAYS };

/* False: the file is as it was. */
static bool
do_harm(struct file *fl, unsigned how, struct span input)
{
	size_t room = fl->n + input.n, n = fl->n;
	char *bytes = malloc(room + 1);
	bool harm;

	assert(bytes != NULL);
	if (fl->n != 0)
		memcpy(bytes, fl->bytes, fl->n);
	switch (how) {
	case CHANGED:
		patch_all(input, bytes, n);
		break;
	case CUT:
		n = input.n == 0 || n == 0 ? n : n - 1 - (unsigned char)input.p[0] % n;
		break;
	case LONGER:
		memcpy(bytes + n, input.p, input.n);
		n += input.n;
		break;
	default:
		n = input.n;
		if (n != 0)
			memcpy(bytes, input.p, n);
	}
	harm = n != fl->n || (n != 0 && memcmp(bytes, fl->bytes, n) != 0);
	playground_write(fl->path, bytes, n, 0640);
	free(bytes);
	return harm;
}

static void
each_record(void *arg, const struct policy_record *r)
{
	unsigned *n = arg;

	assert(++*n < 10000 && policy_change_author_ok(span_str(r->change.author)));
}

static void
each_change(void *arg, const struct policy_change *c)
{
	unsigned *n = arg;

	assert(++*n < 10000 && policy_change_author_ok(span_str(c->author)));
}

static void
each_candidate(void *arg, const char *name, const struct policy_change *c)
{
	assert(name[0] != '\0' && name[0] != '.');
	each_change(arg, c);
}

static void
look(struct policystore *ps, struct conf_errors *errs)
{
	struct policystore_text t;
	struct policy_change c;
	unsigned n = 0;

	(void)policystore_audit_each(ps, 1, each_record, &n, errs);
	(void)policystore_history(ps, 0, 100, each_change, &n, errs);
	(void)policystore_candidates(ps, each_candidate, &n, errs);
	(void)policystore_which(ps, "0000", &c);
	for (uint64_t v = 1; v <= 3; v++)
		if (policystore_version(ps, v, &t, errs) == SP_OK) {
			assert(t.change.version == v && t.text[t.n] == '\0');
			policystore_text_fini(&t);
		}
	if (policystore_candidate(ps, "bob", &t, errs) == SP_OK)
		policystore_text_fini(&t);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct conf_errors *errs;
	struct policystore_text t;
	struct policystore *ps;
	uint64_t count = 0;
	unsigned which, how;
	bool harm;
	int err;

	if (dir[0] == '\0')
		begin();
	/* Files of this machine are not to be read. */
	if (len < 2 || memmem(data, len, "@include", 8) != NULL)
		return 0;
	which = data[0] % NFILES;
	how = data[1] % WAYS;
	put_back();
	harm = do_harm(&files[which], how, span_of((const char *)data + 2, len - 2));
	errs = conf_errors_new();
	assert(policystore_open(&ps, store, policy, errs) == SP_OK);
	err = policystore_audit_verify(ps, NULL, &count, errs);
	assert((err == SP_OK) == (conf_errors_count(errs) == 0));
	if (!harm)
		assert(err == SP_OK && count == 6);
	else if (which < FIXED_FILES && !(which == LOG && how != CHANGED && how != CUT))
		assert(err != SP_OK);
	look(ps, errs);
	if (policystore_current(ps, &t, errs) == SP_OK)
		policystore_text_fini(&t);
	policystore_close(ps);
	conf_errors_free(errs);
	return 0;
}
