/*
 * Torture messages after RFC 4475 and RFC 5118, rewritten for TLS: each has the
 * verdict of tests/sip/torture/verdicts, and what passes leaves as it came.
 */
#include "sip/framer.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "sip/mark.h"
#include "tests/unit/unit.h"

#define ROWS_MAX	128

struct row {
	char	name[64], form[32], edge[32];
	int	line;
};

static struct row rows[ROWS_MAX];
static int nrows;
static struct sip_message msg;

static const char *
path_of(const char *name, char out[1024])
{
	snprintf(out, 1024, "%s/tests/sip/torture/%s", getenv("srcdir") != NULL ? getenv("srcdir") : ".", name);
	return out;
}

static void
load_rows(void)
{
	char path[1024], text[512];
	FILE *f = fopen(path_of("verdicts", path), "r");

	ck_assert_msg(f != NULL, "%s", path);
	nrows = 0;
	for (int line = 1; fgets(text, sizeof(text), f) != NULL; line++) {
		struct row *r = &rows[nrows];

		if (text[0] == '#' || text[0] == '\n')
			continue;
		ck_assert_int_lt(nrows, ROWS_MAX);
		ck_assert_msg(sscanf(text, "%63s %31s %31s", r->name, r->form, r->edge) == 3, "verdicts:%d", line);
		r->line = line;
		nrows++;
	}
	fclose(f);
	ck_assert_int_gt(nrows, 60);
}

/* The caller frees it. */
static char *
load_message(const char *name, size_t *n)
{
	char path[1024], file[80];
	char *text = xmalloc(65536);
	FILE *f;

	snprintf(file, sizeof(file), "%s.sip", name);
	f = fopen(path_of(file, path), "rb");
	ck_assert_msg(f != NULL, "%s", path);
	*n = fread(text, 1, 65536, f);
	fclose(f);
	return text;
}

static const char *
form_of(const char *p, size_t n)
{
	struct sip_frame_limits lim = SIP_FRAME_LIMITS_DEFAULT;
	struct sip_framer f;
	size_t used;

	sip_framer_init(&f);
	sip_message_reset(&msg);
	switch (sip_framer_next(&f, &lim, p, n, &used, &msg)) {
	case SIP_FRAME_MESSAGE:
		return sip_check_name(sip_check_message(&msg));
	case SIP_FRAME_BAD:
		return sip_check_name(f.error);
	case SIP_FRAME_PING:
		return "ping";
	default:
		return "more";
	}
}

/* Every header but the marks leaves byte for byte, in its order; the body does. */
static void
assert_faithful(const struct row *r)
{
	char *out = xmalloc(sip_message_room(&msg));
	const char *at = out;
	size_t n;

	sip_mark_strip(&msg, SIP_CROSS_USER_IN);
	n = sip_message_render(&msg, out);
	ck_assert_msg(n > 0, "line %d: %s", r->line, r->name);
	for (unsigned i = 0; i < msg.nheaders; i++) {
		const struct sip_header *h = &msg.headers[i];

		if ((int)i == msg.first[SIP_H_VIA])
			continue;	/* its received goes */
		at = memmem(at, n - (size_t)(at - out), msg.bytes + h->line, h->line_n);
		ck_assert_msg(at != NULL, "line %d: %s: header %u is changed", r->line, r->name, i);
		at += h->line_n;
	}
	ck_assert_msg(n >= msg.body.n && memcmp(out + n - msg.body.n, msg.body.p, msg.body.n) == 0, "%s", r->name);
	free(out);
}

START_TEST(every_message_has_its_verdict)
{
	load_rows();
	for (int i = 0; i < nrows; i++) {
		size_t n;
		char *p = load_message(rows[i].name, &n);
		const char *got = form_of(p, n);

		ck_assert_msg(strcmp(got, rows[i].form) == 0, "verdicts:%d: %s: %s, not %s", rows[i].line, rows[i].name,
		    got, rows[i].form);
		if (strcmp(got, "ok") == 0)
			assert_faithful(&rows[i]);
		free(p);
	}
}
END_TEST

/* The verdict does not depend on how the stream was cut. */
START_TEST(cut_anywhere)
{
	struct sip_frame_limits lim = SIP_FRAME_LIMITS_DEFAULT;

	load_rows();
	for (int i = 0; i < nrows; i++) {
		size_t n, used;
		char *p = load_message(rows[i].name, &n);

		for (size_t cut = 1; cut < n; cut += 1 + n / 97) {
			struct sip_framer f;
			enum sip_frame got;
			const char *form;

			sip_framer_init(&f);
			sip_message_reset(&msg);
			got = sip_framer_next(&f, &lim, p, cut, &used, &msg);
			if (got == SIP_FRAME_MORE)
				got = sip_framer_next(&f, &lim, p, n, &used, &msg);
			form = got == SIP_FRAME_MESSAGE ? sip_check_name(sip_check_message(&msg)) :
			    got == SIP_FRAME_BAD ? sip_check_name(f.error) : "more";
			ck_assert_msg(strcmp(form, rows[i].form) == 0, "%s cut at %zu: %s, not %s", rows[i].name, cut,
			    form, rows[i].form);
		}
		free(p);
	}
}
END_TEST

START_TEST(no_message_without_a_verdict)
{
	char path[1024];
	DIR *d = opendir(path_of("", path));
	struct dirent *e;

	load_rows();
	ck_assert_msg(d != NULL, "%s", path);
	while ((e = readdir(d)) != NULL) {
		char *dot = strstr(e->d_name, ".sip");
		int i = 0;

		if (dot == NULL)
			continue;
		*dot = '\0';
		while (i < nrows && strcmp(rows[i].name, e->d_name) != 0)
			i++;
		ck_assert_msg(i < nrows, "%s is not among the verdicts", e->d_name);
	}
	closedir(d);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { every_message_has_its_verdict, cut_anywhere, no_message_without_a_verdict };

	return unit_run("torture", tests, sizeof(tests) / sizeof(tests[0]));
}
