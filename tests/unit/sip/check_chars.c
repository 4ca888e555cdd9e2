#include <stdlib.h>
#include <string.h>

#include "sip/chars.h"
#include "tests/unit/unit.h"

#define LONGEST	80

static const unsigned classes[] = {
	SIP_CHAR_TOKEN, SIP_CHAR_WORD, SIP_CHAR_USER, SIP_CHAR_URI, SIP_CHAR_HOST, SIP_CHAR_PLAIN, SIP_CHAR_PARAM,
	SIP_CHAR_VALUE, SIP_CHAR_HEX, SIP_CHAR_TOKEN | SIP_CHAR_URI
};
#define NCLASSES	(sizeof(classes) / sizeof(classes[0]))

/* A block of exactly n bytes, so that a look behind its end is found by the sanitizers. */
static char *
exactly(size_t n, char fill)
{
	char *p = malloc(n != 0 ? n : 1);

	ck_assert_ptr_nonnull(p);
	memset(p, fill, n);
	return p;
}

/* Each character in each place of texts of each length: a run ends there or goes on, as the table says. */
START_TEST(a_run_ends_where_the_table_says)
{
	for (size_t k = 0; k < NCLASSES; k++)
		for (size_t n = 0; n <= LONGEST; n++) {
			unsigned class = classes[k];
			char *p = exactly(n, 'a');

			for (size_t at = 0; at < n; at++) {
				for (int c = 0; c < 256; c++) {
					p[at] = (char)c;
					if (sip_chars_run(span_of(p, n), class) != (sip_char_is((char)c, class) ? n : at))
						ck_abort_msg("class 0x%x, %zu characters, 0x%02x at %zu", class, n, (unsigned)c, at);
				}
				p[at] = 'a';
			}
			ck_assert_uint_eq(sip_chars_run(span_of(p, n), class), n);
			free(p);
		}
}
END_TEST

/* Two that end it: the first counts. */
START_TEST(the_first_end_counts)
{
	for (size_t n = 2; n <= LONGEST; n++) {
		char *p = exactly(n, 'b');

		for (size_t at = 0; at + 1 < n; at++) {
			p[at] = p[n - 1] = '"';
			ck_assert_uint_eq(sip_chars_run(span_of(p, n), SIP_CHAR_TOKEN), at);
			p[at] = 'b';
		}
		free(p);
	}
}
END_TEST

START_TEST(controls_are_found)
{
	for (size_t n = 0; n <= LONGEST; n++) {
		char *p = exactly(n, 'x');

		ck_assert_uint_eq(sip_chars_find_control(p, 0, n), n);
		for (size_t at = 0; at < n; at++) {
			for (int c = 0; c < 256; c++) {
				bool control = (c < 0x20 && c != '\t') || c == 0x7f;

				p[at] = (char)c;
				ck_assert_uint_eq(sip_chars_find_control(p, 0, n), control ? at : n);
				ck_assert_uint_eq(sip_chars_find_control(p, at, n), control ? at : n);
				ck_assert_uint_eq(sip_chars_find_control(p, at + 1, n), n);
			}
			p[at] = 'x';
		}
		free(p);
	}
}
END_TEST

START_TEST(breaks_are_found)
{
	for (size_t n = 0; n <= LONGEST; n++) {
		char *p = exactly(n, 'x');

		ck_assert(!sip_chars_has_break(span_of(p, n)));
		for (size_t at = 0; at < n; at++) {
			for (int c = 0; c < 256; c++) {
				p[at] = (char)c;
				ck_assert(sip_chars_has_break(span_of(p, n)) == (c != '\n' && sip_char_is((char)c, SIP_CHAR_BREAK)));
			}
			p[at] = 'x';
		}
		free(p);
	}
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		a_run_ends_where_the_table_says, the_first_end_counts, controls_are_found, breaks_are_found
	};

	return unit_run("chars", tests, sizeof(tests) / sizeof(tests[0]));
}
