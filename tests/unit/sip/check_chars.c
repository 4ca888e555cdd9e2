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
				ck_assert_uint_eq(sip_chars_find_8bit(span_of(p, n), 0), c >= 0x80 ? at : n);
				ck_assert_uint_eq(sip_chars_find_8bit(span_of(p, n), at + 1), n);
				ck_assert_uint_eq(sip_chars_find_loud(p, 0, n), (c != 0 && strchr(" \t\n\r", c) != NULL) ||
				    (c > ' ' && c < 0x7f && strchr(".:[%", c) == NULL) ? n : at);
				ck_assert_uint_eq(sip_chars_find_loud(p, at + 1, n), n);
			}
			p[at] = 'x';
		}
		free(p);
	}
}
END_TEST

/* The same, a character at a time. */
static bool
lines_slowly(const char *p, size_t n, struct sip_lines *lines)
{
	size_t begin = 0;

	lines->n = 0;
	lines->breaks = false;
	for (size_t i = 0; i < n; i++) {
		bool control = ((unsigned char)p[i] < 0x20 && p[i] != '\t') || p[i] == 0x7f;

		lines->breaks = lines->breaks || (p[i] != '\n' && sip_char_is(p[i], SIP_CHAR_BREAK));
		if (!control)
			continue;
		if (p[i] != '\r' || i + 1 == n || p[i + 1] != '\n')
			return false;
		if (i != 0 && i == begin) {
			lines->head_n = i + 2;
			return true;
		}
		if (lines->n == SIP_LINES_MAX)
			return false;
		lines->end[lines->n] = (uint32_t)i;
		lines->comma[lines->n++] = memchr(p + begin, ',', i - begin) != NULL;
		begin = ++i + 1;
	}
	return false;
}

/* Texts of lines, with a comma here and a control there, of every length around the blocks that are looked at. */
START_TEST(lines_are_found_as_one_by_one)
{
	static const char *const pieces[] = { "\r\n", "\r\n", ",", "x", "To: <sip:b@example>", "?", "\xc3", "\t", "v", "abcdefgh", "\r", "\n", "\x7f" };
	unsigned found = 0;

	srand(20261120);
	for (unsigned round = 0; round < 60000; round++) {
		struct sip_lines fast, slow;
		char text[512], *p;
		/* mostly nothing that is wrong */
		unsigned kinds = round % 8 == 0 ? 13 : 10;
		size_t n = 0, want = 32 + (unsigned)rand() % 300;

		while (n < want) {
			const char *piece = pieces[(unsigned)rand() % kinds];

			memcpy(text + n, piece, strlen(piece));
			n += strlen(piece);
		}
		p = exactly(n, ' ');
		memcpy(p, text, n);
		if (sip_chars_lines(p, n, &fast)) {
			found++;
			ck_assert(lines_slowly(p, n, &slow));
			ck_assert_uint_eq(fast.n, slow.n);
			ck_assert_uint_eq(fast.head_n, slow.head_n);
			ck_assert(fast.breaks == slow.breaks);
			for (unsigned i = 0; i < fast.n; i++)
				ck_assert(fast.end[i] == slow.end[i] && fast.comma[i] == slow.comma[i]);
#ifdef SIP_CHARS_BY_16
		} else if (__builtin_cpu_supports("avx2")) {
			ck_assert(!lines_slowly(p, n, &slow));
#endif
		}
		free(p);
	}
#ifdef SIP_CHARS_BY_16
	ck_assert(found > 10000 || !__builtin_cpu_supports("avx2"));
#endif
}
END_TEST

/* So many lines are found, and not one more. */
START_TEST(lines_have_a_bound)
{
	for (unsigned n = SIP_LINES_MAX; n <= SIP_LINES_MAX + 1; n++) {
		char *p = exactly(3 * n + 2, 'a');
		struct sip_lines lines;
		bool fast = false;

#ifdef SIP_CHARS_BY_16
		fast = __builtin_cpu_supports("avx2");
#endif
		for (unsigned i = 0; i < n; i++)
			memcpy(p + 3 * i + 1, "\r\n", 2);
		memcpy(p + 3 * n, "\r\n", 2);
		ck_assert(sip_chars_lines(p, 3 * n + 2, &lines) == (fast && n == SIP_LINES_MAX));
		free(p);
	}
}
END_TEST

/* What sip_chars_marks() says, by the table. */
static bool
marks_of(struct sip_marks *m, const char *p, size_t n)
{
	*m = (struct sip_marks){ 0 };
	for (size_t i = 0; i < n; i++) {
		uint64_t bit = UINT64_C(1) << i;

		m->semicolons |= p[i] == ';' ? bit : 0;
		m->equals |= p[i] == '=' ? bit : 0;
		if (p[i] == ';' || p[i] == '=' || sip_char_is(p[i], SIP_CHAR_TOKEN))
			continue;
		m->colons |= bit;
		if (!sip_char_is(p[i], SIP_CHAR_PARAM))
			return false;
	}
	return true;
}

START_TEST(marks_are_where_they_are)
{
	for (size_t n = 0; n <= 64; n++) {
		char *p = exactly(n, 'a');

		for (size_t at = 0; at < n; at++) {
			for (int c = 0; c < 256; c++) {
				struct sip_marks want, got;
				bool all;

				p[at] = (char)c;
				p[n - 1] = at + 1 < n ? ';' : p[n - 1];
				all = marks_of(&want, p, n);
				ck_assert(sip_chars_marks(&got, p, n) == all);
				ck_assert(!all || (got.semicolons == want.semicolons && got.equals == want.equals &&
				    got.colons == want.colons));
			}
			p[at] = 'a';
		}
		free(p);
	}
}
END_TEST

/* What sip_chars_uri_params() says. */
static size_t
params_of(const char *p, size_t n)
{
	size_t end = 0, empty = 0;

	while (end < n && sip_char_is(p[end], SIP_CHAR_URI) && p[end] != '?')
		end++;
	for (size_t i = 0; i < end; i++)
		empty += (p[i] == ';' || p[i] == '=') && (i == 0 || p[i - 1] == ';');
	return end == 0 || empty != 0 || p[end - 1] == ';' ? 0 : end;
}

START_TEST(parameters_of_uris_are_measured)
{
	static const char letters[] = "a;=:>?%";

	for (size_t n = 0; n <= LONGEST; n++) {
		char *p = exactly(n, 'a');

		ck_assert_uint_eq(sip_chars_uri_params(p, n), n);
		/* two of them beside each other, in each place */
		for (size_t at = 0; at < n; at++) {
			for (size_t k = 0; k < 7 * 7; k++) {
				p[at] = letters[k % 7];
				if (at + 1 < n)
					p[at + 1] = letters[k / 7];
				if (sip_chars_uri_params(p, n) != params_of(p, n))
					ck_abort_msg("%zu characters, %zu, \"%.*s\"", n, at, (int)n, p);
			}
			p[at] = 'a';
			if (at + 1 < n)
				p[at + 1] = 'a';
		}
		free(p);
	}
}
END_TEST

START_TEST(what_matters_in_a_list_is_found)
{
	for (size_t n = 0; n <= LONGEST; n++) {
		char *p = exactly(n, 'x');

		for (size_t at = 0; at < n; at++) {
			for (int c = 0; c < 256; c++) {
				p[at] = (char)c;
				ck_assert_uint_eq(sip_chars_find_list(p, 0, n), c == ',' || c == '"' || c == '<' ? at : n);
				ck_assert_uint_eq(sip_chars_find_list(p, at + 1, n), n);
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
		a_run_ends_where_the_table_says, the_first_end_counts, controls_are_found, breaks_are_found,
		lines_are_found_as_one_by_one, lines_have_a_bound,
		marks_are_where_they_are, parameters_of_uris_are_measured, what_matters_in_a_list_is_found
	};

	return unit_run("chars", tests, sizeof(tests) / sizeof(tests[0]));
}
