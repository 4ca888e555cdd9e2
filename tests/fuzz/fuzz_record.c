/*
 * A record that was read and is written again is the same, and however it is
 * shown, nothing but printable ASCII comes out.
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
copy_field(struct record_writer *w, const struct record_field *f)
{
	char name[RECORD_NAME_MAX + 1];

	memcpy(name, f->name.p, f->name.n);
	name[f->name.n] = '\0';
	switch (f->type) {
	case RECORD_TEXT:
		record_text(w, name, f->text);
		break;
	case RECORD_ITEM:
		record_item(w, name, f->text);
		break;
	case RECORD_INT:
		record_int(w, name, f->number);
		break;
	case RECORD_BOOL:
		record_bool(w, name, f->number != 0);
		break;
	case RECORD_TIME:
		record_time(w, name, (time_t)f->number);
		break;
	}
}

static void
looks_harmless(const struct record *r)
{
	struct record_table *t = record_table_new();
	char *out = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&out, &n);

	record_table_add(t, r);
	record_print_line(f, r);
	record_print_card(f, r);
	record_print_json(f, r, true);
	record_table_print(t, f);
	record_table_print_cards(t, f);
	fclose(f);
	for (size_t i = 0; i < n; i++)
		assert(out[i] == '\n' || (out[i] >= 0x20 && out[i] < 0x7f));
	free(out);
	record_table_free(t);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static unsigned char room[RECORD_MAX];
	struct span bytes = span_of((const char *)data, len);
	char kind[RECORD_NAME_MAX + 1];
	struct record_writer w;
	struct record_field f;
	struct record r;
	unsigned n = 0;
	size_t at = 0;

	if (len > RECORD_MAX || !record_parse(&r, bytes))
		return 0;
	memcpy(kind, r.kind.p, r.kind.n);
	kind[r.kind.n] = '\0';
	record_begin(&w, room, sizeof(room), kind);
	for (; record_next(&r, &at, &f); n++) {
		if (f.text.n > RECORD_TEXT_MAX)
			return 0;
		copy_field(&w, &f);
	}
	assert(n == r.n && record_ok(&w) && span_eq(record_written(&w), bytes));
	looks_harmless(&r);
	return 0;
}
