/*
 * tests/fuzz/fuzz_portable.c - configurations that "sallyportctl export" has written, or somebody else.
 *
 * What is taken is written again and means the same; nothing that is not portable is in it; what is put into
 * the text of edge.conf is found there, and putting it in twice changes nothing.
 */
#include <assert.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/portable.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char conf[] = "# ours\nouter = ( { listen = \"192.0.2.1:443\"; } );\nlimits = { connections = 5;\n\t/* } */ };\n"
    "log.x = 1;\nkeep_alive = 300\n";

static void
count(void *arg, enum portable_daemon d, const char *path, const char *was, const char *now)
{
	(void)was;
	assert(now != NULL && portable_option(d, path, now[0] == '"' || now[0] == '['));
	++*(size_t *)arg;
}

/* What was put into a file is what an export takes out of it. */
static void
taken_out(const struct portable *p, enum portable_daemon d, struct span text)
{
	struct conf_errors *errs = conf_errors_new();
	struct portable q = { .policy = NULL };
	const char *path;
	size_t left_out;
	json_t *j;

	assert(portable_collect(&q, d, "conf", text, &left_out, errs) == SP_OK);
	json_object_foreach(p->settings[d], path, j)
		assert(strcmp(path, "log.x") == 0 || json_equal(json_object_get(q.settings[d], path), j));
	portable_fini(&q);
	conf_errors_free(errs);
}

static void
merge(const struct portable *p, enum portable_daemon d)
{
	struct conf_errors *errs = conf_errors_new();
	char *once, *twice;
	size_t n, k, changed = 0;

	if (p->settings[d] != NULL &&
	    portable_merge(p, d, "conf", span_str(conf), NULL, &once, &n, count, &changed, errs) == SP_OK) {
		changed = 0;
		assert(portable_merge(p, d, "conf", span_of(once, n), NULL, &twice, &k, count, &changed, errs) == SP_OK);
		assert(changed == 0 && n == k && memcmp(once, twice, n) == 0);
		taken_out(p, d, span_of(once, n));
		free(twice);
		free(once);
	}
	conf_errors_free(errs);
}

static void
again(const struct portable *p)
{
	struct conf_errors *errs = conf_errors_new();
	struct portable q;
	char *text = NULL;
	size_t n = 0, line;
	FILE *f = open_memstream(&text, &n);

	assert(f != NULL && portable_write(f, p, &line) == SP_OK && fclose(f) == 0);
	assert(portable_read("again", span_of(text, n), &q, errs) == SP_OK);
	assert((p->policy == NULL) == (q.policy == NULL) && p->n == q.n && (p->n == 0 || memcmp(p->policy, q.policy, p->n) == 0));
	portable_fini(&q);
	free(text);
	conf_errors_free(errs);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct conf_errors *errs = conf_errors_new();
	struct portable p;
	int err;

	hash_seed();
	err = portable_read("file", span_of((const char *)data, len), &p, errs);
	assert((err == SP_OK) == (conf_errors_count(errs) == 0));
	if (err == SP_OK) {
		for (enum portable_daemon d = PORTABLE_EDGE; d < PORTABLE_NDAEMONS; d++)
			merge(&p, d);
		again(&p);
	}
	portable_fini(&p);
	conf_errors_free(errs);
	return 0;
}
