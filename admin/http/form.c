/*
 * admin/http/form.c - see form.h.
 */
#include "admin/http/form.h"

#include <stdlib.h>

#include "admin/http/text.h"
#include "common/err.h"
#include "common/mem.h"

static int
nibble(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool
form_decode(struct span in, bool plus, char *out, size_t *n)
{
	*n = 0;
	for (size_t i = 0; i < in.n; i++) {
		char c = in.p[i];

		if (c == '%') {
			int hi = in.n - i > 2 ? nibble(in.p[i + 1]) : -1, lo = in.n - i > 2 ? nibble(in.p[i + 2]) : -1;

			if (hi < 0 || lo < 0)
				return false;
			c = (char)(hi << 4 | lo);
			i += 2;
		} else if (c == '+' && plus)
			c = ' ';
		out[(*n)++] = c;
	}
	return true;
}

bool
form_is_utf8(struct span s)
{
	while (s.n != 0) {
		unsigned long code = 0;
		size_t n = text_rune(s, &code);

		if (n == 0 || code == 0)
			return false;
		s = span_tail(s, n);
	}
	return true;
}

/* One "name=value"; *at is where in the store its decoded form goes. */
static int
take_field(struct form *f, struct span pair, size_t *at)
{
	size_t eq = span_find(pair, '=');
	struct span parts[2] = { span_head(pair, eq), span_tail(pair, eq + 1) }, out[2];

	for (int i = 0; i < 2; i++) {
		size_t n = 0;
		bool good = form_decode(parts[i], true, f->store + *at, &n);

		out[i] = span_of(f->store + *at, n);
		*at += n;
		if (i == 0)
			f->bad = good && form_is_utf8(out[0]) ? span_head(out[0], FORM_NAME_MAX) : SPAN_NONE;
		if (!good || !form_is_utf8(out[i]))
			return SP_ESYNTAX;
	}
	if (out[0].n == 0 || out[0].n > FORM_NAME_MAX)
		return SP_ESYNTAX;
	for (size_t i = 0; i < f->n; i++)
		if (span_eq(f->v[i].name, out[0]))
			return SP_EEXIST;
	if (f->n == FORM_FIELDS_MAX)
		return SP_ELIMIT;
	f->v[f->n++] = (struct form_field){ out[0], out[1] };
	return SP_OK;
}

int
form_parse(struct form *f, struct span encoded)
{
	size_t at = 0;
	int err = SP_OK;

	f->n = 0;
	f->bad = SPAN_NONE;
	f->store = xmalloc(encoded.n + 1);
	while (encoded.n != 0 && err == SP_OK) {
		struct span pair = span_head(encoded, span_find(encoded, '&'));

		encoded = span_tail(encoded, pair.n + 1);
		if (pair.n != 0)
			err = take_field(f, pair, &at);
	}
	return err;
}

void
form_fini(struct form *f)
{
	free(f->store);
	f->store = NULL;
	f->n = 0;
	f->bad = SPAN_NONE;
}

static const struct form_field *
find(const struct form *f, const char *name)
{
	for (size_t i = 0; i < f->n; i++)
		if (span_is(f->v[i].name, name))
			return &f->v[i];
	return NULL;
}

bool
form_has(const struct form *f, const char *name)
{
	return find(f, name) != NULL;
}

struct span
form_get(const struct form *f, const char *name)
{
	const struct form_field *field = find(f, name);

	return field != NULL ? field->value : SPAN_NONE;
}

const struct form_field *
form_stranger(const struct form *f, const char *const *names)
{
	for (size_t i = 0; i < f->n; i++) {
		size_t k = 0;

		while (names[k] != NULL && !span_is(f->v[i].name, names[k]))
			k++;
		if (names[k] == NULL)
			return &f->v[i];
	}
	return NULL;
}

bool
cookie_get(struct span header, const char *name, struct span *value)
{
	unsigned found = 0;

	*value = SPAN_NONE;
	while (header.n != 0) {
		struct span pair = span_head(header, span_find(header, ';'));
		size_t eq = span_find(pair, '=');

		header = span_tail(header, pair.n + 1);
		if (eq == pair.n || !span_is(span_trim(span_head(pair, eq)), name))
			continue;
		*value = span_trim(span_tail(pair, eq + 1));
		found++;
	}
	if (found != 1)
		*value = SPAN_NONE;
	return found == 1;
}
