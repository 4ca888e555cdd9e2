/*
 * tests/fuzz/fuzz_form.c - form bodies, query strings and cookies. What is taken is UTF-8 without NUL, no name is
 * there twice, and what is shown of it on a page has neither a tag nor a quote in it. JSON requests are
 * taken or refused with a reason.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "admin/http/form.h"
#include "admin/http/json.h"
#include "admin/http/sample.h"
#include "admin/http/text.h"
#include "common/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
harmless(struct span s)
{
	struct text t;

	text_init(&t, 16 * s.n + 16);
	text_add(&t, "", 0);
	text_html(&t, s);
	assert(!t.failed && strlen(t.p) == t.n);
	assert(strpbrk(t.p, "<>\"'") == NULL);
	assert(form_is_utf8(span_of(t.p, t.n)));
	text_fini(&t);
}

static void
json(struct span s)
{
	const char *text = NULL, *detail = NULL;
	int64_t n = -1;
	bool flag = false;
	const struct json_field fields[] = { { .name = "text", .kind = JSON_TEXT, .text = &text },
	    { .name = "n", .kind = JSON_NUMBER, .number = &n }, { .name = "flag", .kind = JSON_FLAG, .flag = &flag }, { .name = NULL } };
	char field[64];
	int status = 0;
	json_t *o = json_read(s, fields, &status, field, &detail);

	assert(o != NULL || (detail != NULL && status >= 400));
	json_decref(o);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct span in = span_of((const char *)data, len), value;
	struct counters c;
	struct form f;

	if (form_parse(&f, in) == SP_OK)
		for (size_t i = 0; i < f.n; i++) {
			assert(form_is_utf8(f.v[i].name) && form_is_utf8(f.v[i].value));
			assert(f.v[i].name.n != 0 && f.v[i].name.n <= FORM_NAME_MAX);
			for (size_t k = 0; k < i; k++)
				assert(!span_eq(f.v[i].name, f.v[k].name));
		}
	form_fini(&f);
	if (cookie_get(in, "sallyport", &value))
		assert(value.n == 0 || (value.p >= in.p && value.p + value.n <= in.p + in.n));
	harmless(in);
	json(in);
	counters_read(&c, in);
	assert(c.nbuckets <= SAMPLE_BUCKETS);
	return 0;
}
