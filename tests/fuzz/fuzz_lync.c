/*
 * tests/fuzz/fuzz_lync.c - files of PowerShell with federation settings.
 *
 * Whatever such a file has: either it is refused, and somebody is told why, or what it
 * is made of is a policy without mistakes. What is one object is one object in UTF-16, too.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "admin/lync.h"
#include "admin/policyfile.h"
#include "admin/portable.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/hash.h"
#include "policy/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char *const domains[] = { "example.com" }, *const servers[] = { "dir*.int.example.com", "fe.example.com" };

static void
map(const struct lync_objects *all)
{
	struct lync_given given = { domains, servers, 1, 2 };
	struct lync_result result = { .notes = NULL };
	struct portable p = { .policy = NULL };
	struct conf_errors *errs = conf_errors_new();

	if (lync_map(all, &given, &p, &result, errs) == SP_OK) {
		struct policy_rules *rules = policyfile_load_text("policy", span_of(p.policy, p.n), NULL, errs);

		assert(rules != NULL);
		policy_rules_unref(rules);
		for (size_t i = 0; i < result.n; i++)
			assert(result.notes[i].what[0] != '\0' && result.notes[i].why[0] != '\0');
	} else {
		assert(conf_errors_count(errs) != 0);
	}
	lync_result_fini(&result);
	portable_fini(&p);
	conf_errors_free(errs);
}

/* ASCII as UTF-16 has as many objects. */
static void
widen(const uint8_t *data, size_t len, size_t n)
{
	struct lync_objects all = { .v = NULL };
	struct conf_errors *errs = conf_errors_new();
	char *wide = malloc(len * 2 + 2);

	assert(wide != NULL);
	memcpy(wide, "\xff\xfe", 2);
	for (size_t i = 0; i < len; i++) {
		wide[2 + 2 * i] = (char)data[i];
		wide[3 + 2 * i] = 0;
	}
	assert(lync_read("wide", span_of(wide, len * 2 + 2), &all, errs) == SP_OK && all.n == n);
	free(wide);
	lync_objects_fini(&all);
	conf_errors_free(errs);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct lync_objects all = { .v = NULL };
	struct conf_errors *errs = conf_errors_new();
	bool ascii = true;
	int err;

	hash_seed();
	for (size_t i = 0; i < len; i++)
		ascii = ascii && data[i] < 0x80;
	err = lync_read("file", span_of((const char *)data, len), &all, errs);
	assert((err == SP_OK) == (conf_errors_count(errs) == 0));
	if (err == SP_OK) {
		map(&all);
		if (ascii)
			widen(data, len, all.n);
	}
	lync_objects_fini(&all);
	conf_errors_free(errs);
	return 0;
}
