/*
 * Records: what is written is read again, what is wrong is refused, and what an
 * outsider wrote is shown harmlessly.
 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "admin/record.h"

static unsigned char room[RECORD_MAX];

static struct record
parsed(const struct record_writer *w)
{
	struct record r;

	ck_assert(record_ok(w));
	ck_assert(record_parse(&r, record_written(w)));
	return r;
}

/* All kinds of fields, and an outsider's idea of a name. */
static struct record
sample(void)
{
	struct record_writer w;

	record_begin(&w, room, sizeof(room), "partner");
	record_str(&w, "name", "Contoso");
	record_text(&w, "said", SPAN_LIT("\x1b[31mred\x1b[0m \"<b>\" \xc3\xbc\xff\n"));
	record_int(&w, "port", -5061);
	record_bool(&w, "up", true);
	record_time(&w, "since", 1795168800);
	record_time(&w, "failed", 0);
	record_item(&w, "names", SPAN_LIT("a.example"));
	record_str(&w, "missing", NULL);
	record_item(&w, "names", SPAN_LIT("b.example"));
	return parsed(&w);
}

static const char *
printed(void (*print)(FILE *, const struct record *), const struct record *r)
{
	static char out[8192];
	FILE *f = fmemopen(out, sizeof(out), "w");

	print(f, r);
	fclose(f);
	return out;
}

START_TEST(comes_back)
{
	struct record r = sample();
	struct record_field f;

	ck_assert(span_is(r.kind, "partner"));
	ck_assert_uint_eq(r.n, 8);
	ck_assert(span_is(record_get_text(&r, "name"), "Contoso"));
	ck_assert_int_eq(record_get_int(&r, "port", 0), -5061);
	ck_assert_int_eq(record_get_int(&r, "up", 0), 1);
	ck_assert_int_eq(record_get_int(&r, "since", 0), 1795168800);
	ck_assert_int_eq(record_get_int(&r, "name", 7), 7);
	ck_assert_int_eq(record_get_int(&r, "nowhere", 8), 8);
	ck_assert(span_is_empty(record_get_text(&r, "port")));
	ck_assert(!record_find(&r, "missing", &f));
	ck_assert(record_find(&r, "names", &f) && f.type == RECORD_ITEM && span_is(f.text, "a.example"));
}
END_TEST

/* Field by field into another record: the same. */
START_TEST(copied_field_by_field)
{
	static unsigned char other[sizeof(room)];
	struct record r = sample(), back;
	struct record_field f;
	struct record_writer w;
	size_t at = 0;

	record_begin(&w, other, sizeof(other), "partner");
	while (record_next(&r, &at, &f))
		record_field(&w, &f);
	back = parsed(&w);
	ck_assert_uint_eq(back.n, r.n);
	ck_assert_uint_eq(back.len, r.len);
	ck_assert_mem_eq(back.fields, r.fields, r.len);
}
END_TEST

START_TEST(fails_once_full)
{
	unsigned char small[64];
	struct record_writer w;

	record_begin(&w, small, sizeof(small), "x");
	record_text(&w, "text", span_of((char *)room, 100));
	ck_assert(!record_ok(&w));
	record_int(&w, "n", 1);
	ck_assert(!record_ok(&w));
	record_begin(&w, room, sizeof(room), "x");
	for (int i = 0; i < RECORD_FIELDS; i++)
		record_int(&w, "n", i);
	ck_assert(record_ok(&w));
	parsed(&w);
	record_int(&w, "n", 0);
	ck_assert(!record_ok(&w));
}
END_TEST

START_TEST(long_texts_are_cut)
{
	static char text[RECORD_TEXT_MAX + 10];
	struct record_writer w;
	struct record r;

	memset(text, 'x', sizeof(text));
	record_begin(&w, room, sizeof(room), "x");
	record_text(&w, "t", span_of(text, sizeof(text)));
	r = parsed(&w);
	ck_assert_uint_eq(record_get_text(&r, "t").n, RECORD_TEXT_MAX);
}
END_TEST

START_TEST(wrong_bytes_are_none)
{
	static const struct {
		const char	*bytes;
		size_t		 n;
	} rows[] = {
		{ "", 0 },
		{ "\x01\x00x", 3 },					/* no number of fields */
		{ "\x01\x00X\x00", 4 },					/* a capital */
		{ "\x00\x00\x00", 3 },					/* no kind */
		{ "\x02\x00x\n\x00", 5 },
		{ "\x01\x00x\x01", 4 },					/* a field is missing */
		{ "\x01\x00x\x00y", 5 },				/* bytes behind it */
		{ "\x01\x00x\x01\x09\x01\x00n", 8 },			/* a type that is none */
		{ "\x01\x00x\x01\x03\x01\x00n\x02", 9 },		/* a bool that is neither */
		{ "\x01\x00x\x01\x01\x01\x00n\x05\x00" "abc", 13 },	/* a text longer than what is there */
		{ "\x01\x00x\xff", 4 }
	};
	struct record r;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ck_assert_msg(!record_parse(&r, span_of(rows[i].bytes, rows[i].n)), "row %zu", i);
	ck_assert(record_parse(&r, span_of("\x01\x00x\x00", 4)));
}
END_TEST

START_TEST(shown_as_a_card)
{
	struct record r = sample();

	ck_assert_str_eq(printed(record_print_card, &r),
	    "name:   Contoso\n"
	    "said:   \\x1B[31mred\\x1B[0m \"<b>\" \\xC3\\xBC\\xFF\\x0A\n"
	    "port:   -5061\n"
	    "up:     yes\n"
	    "since:  2026-11-20T10:00:00Z\n"
	    "failed: never\n"
	    "names:  a.example, b.example\n");
}
END_TEST

START_TEST(shown_as_a_line)
{
	struct record r = sample();

	ck_assert_str_eq(printed(record_print_line, &r),
	    "name=Contoso said=\"\\x1B[31mred\\x1B[0m \\x22<b>\\x22 \\xC3\\xBC\\xFF\\x0A\" port=-5061 up=yes "
	    "since=2026-11-20T10:00:00Z failed=never names=\"a.example, b.example\"\n");
}
END_TEST

static void
print_json(FILE *f, const struct record *r)
{
	record_print_json(f, r, true);
}

START_TEST(shown_as_json)
{
	struct record r = sample();

	ck_assert_str_eq(printed(print_json, &r),
	    "{\"kind\":\"partner\",\"name\":\"Contoso\",\"said\":\"\\u001b[31mred\\u001b[0m \\\"<b>\\\" \\u00fc\\ufffd\\u000a\","
	    "\"port\":-5061,\"up\":true,\"since\":\"2026-11-20T10:00:00Z\",\"failed\":null,"
	    "\"names\":[\"a.example\",\"b.example\"]}");
}
END_TEST

START_TEST(json_text_is_utf8_or_replaced)
{
	static const struct {
		const char	*in, *out;
	} rows[] = {
		{ "", "\"\"" },
		{ "\xf0\x9f\x98\x80", "\"\\ud83d\\ude00\"" },
		{ "\xe2\x80\xae", "\"\\u202e\"" },		/* turns the writing round */
		{ "\xc0\xaf", "\"\\ufffd\\ufffd\"" },		/* a slash, too long */
		{ "\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"" },	/* half of a pair */
		{ "\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"" },
		{ "\xe2\x82", "\"\\ufffd\\ufffd\"" },
		{ "a\x7f" "b\\", "\"a\\u007fb\\\\\"" }
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char out[256] = "";
		FILE *f = fmemopen(out, sizeof(out), "w");

		record_print_json_text(f, span_str(rows[i].in));
		fclose(f);
		ck_assert_str_eq(out, rows[i].out);
	}
}
END_TEST

START_TEST(shown_as_a_table)
{
	struct record_table *t = record_table_new();
	char out[1024] = "";
	struct record_writer w;
	struct record r;
	FILE *f;

	record_begin(&w, room, sizeof(room), "x");
	record_str(&w, "name", "one");
	record_int(&w, "n", 7);
	record_item(&w, "all_of", SPAN_LIT("a"));
	record_item(&w, "all_of", SPAN_LIT("b"));
	r = parsed(&w);
	record_table_add(t, &r);
	record_begin(&w, room, sizeof(room), "x");
	record_str(&w, "name", "");
	record_int(&w, "n", 12345);
	record_bool(&w, "late", true);
	r = parsed(&w);
	record_table_add(t, &r);
	ck_assert_uint_eq(record_table_count(t), 2);
	f = fmemopen(out, sizeof(out), "w");
	record_table_print(t, f);
	fclose(f);
	ck_assert_str_eq(out,
	    "NAME      N  ALL-OF  LATE\n"
	    "one       7  a, b    -\n"
	    "-     12345  -       yes\n");
	record_table_free(t);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { comes_back, copied_field_by_field, fails_once_full, long_texts_are_cut, wrong_bytes_are_none, shown_as_a_card,
	    shown_as_a_line, shown_as_json, json_text_is_utf8_or_replaced, shown_as_a_table };

	return unit_run("record", tests, sizeof(tests) / sizeof(tests[0]));
}
