#include "common/strbuf.h"

#include "tests/unit/unit.h"

START_TEST(writes_in_order)
{
	char text[64];
	struct strbuf sb;

	strbuf_init(&sb, text, sizeof(text));
	ck_assert_str_eq(text, "");
	strbuf_puts(&sb, "a=");
	strbuf_uint(&sb, 0);
	strbuf_putc(&sb, ',');
	strbuf_uint(&sb, UINT64_MAX);
	strbuf_span(&sb, SPAN_LIT(";"));
	strbuf_span(&sb, SPAN_NONE);
	strbuf_hex(&sb, "\x00\xaf", 2, false);
	strbuf_hex(&sb, "\xaf", 1, true);
	strbuf_printf(&sb, "%d%s", -1, "x");
	ck_assert(strbuf_ok(&sb));
	ck_assert_str_eq(text, "a=0,18446744073709551615;00afAF-1x");
	ck_assert_uint_eq(strbuf_span_of(&sb).n, strlen(text));
}
END_TEST

START_TEST(full_stays_failed)
{
	char text[8];
	struct strbuf sb;

	strbuf_init(&sb, text, sizeof(text));
	strbuf_puts(&sb, "1234567");
	ck_assert(strbuf_ok(&sb));	/* the last byte is the NUL's */
	strbuf_puts(&sb, "");
	ck_assert(strbuf_ok(&sb));
	strbuf_putc(&sb, '8');
	ck_assert(!strbuf_ok(&sb));
	ck_assert_str_eq(text, "1234567");

	strbuf_reset(&sb);
	ck_assert(strbuf_ok(&sb));
	strbuf_puts(&sb, "123456789");
	ck_assert(!strbuf_ok(&sb));
	ck_assert_str_eq(text, "1234567");
	strbuf_reset(&sb);
	strbuf_puts(&sb, "123456789");
	strbuf_reset(&sb);
	ck_assert_str_eq(text, "");

	/* A short text after one that did not fit must not fit either. */
	strbuf_puts(&sb, "1234");
	strbuf_puts(&sb, "56789");
	strbuf_putc(&sb, 'x');
	strbuf_printf(&sb, "y");
	ck_assert(!strbuf_ok(&sb));
	ck_assert_str_eq(text, "1234567");
}
END_TEST

START_TEST(printf_at_the_edge)
{
	char text[8];
	struct strbuf sb;

	strbuf_init(&sb, text, sizeof(text));
	strbuf_printf(&sb, "%s", "1234567");
	ck_assert(strbuf_ok(&sb));
	strbuf_printf(&sb, "%s", "");
	ck_assert(strbuf_ok(&sb));
	strbuf_reset(&sb);
	strbuf_printf(&sb, "%s", "12345678");
	ck_assert(!strbuf_ok(&sb));
	ck_assert_uint_eq(sb.len, 7);
	ck_assert_str_eq(text, "1234567");
}
END_TEST

START_TEST(quotes_what_comes_from_outside)
{
	static const struct {
		const char	*in;
		size_t		 n;
		size_t		 max;
		const char	*out;
	} rows[] = {
		{ "", 0, 10, "\"\"" },
		{ "sip:a@b", 7, 10, "\"sip:a@b\"" },
		{ "a\r\nevent=allowed", 16, 20, "\"a\\x0d\\x0aevent=allowed\"" },
		{ "a\" b=\"c", 7, 20, "\"a\\x22 b=\\x22c\"" },
		{ "\\", 1, 20, "\"\\x5c\"" },
		{ "a\0b", 3, 20, "\"a\\x00b\"" },
		{ "\x7f\x80\xff\x1b", 4, 20, "\"\\x7f\\x80\\xff\\x1b\"" },
		{ "12345", 5, 5, "\"12345\"" },
		{ "123456", 6, 5, "\"12345\"..." },
		{ "12345...", 8, 8, "\"12345...\"" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[100];
		struct strbuf sb;

		strbuf_init(&sb, text, sizeof(text));
		strbuf_quoted(&sb, span_of(rows[i].in, rows[i].n), rows[i].max);
		ck_assert_str_eq(text, rows[i].out);
		ck_assert(strbuf_ok(&sb));
	}
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { writes_in_order, full_stays_failed, printf_at_the_edge,
		quotes_what_comes_from_outside };

	return unit_run("strbuf", tests, sizeof(tests) / sizeof(tests[0]));
}
