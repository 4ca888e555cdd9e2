/*
 * check_policyedit.c - small changes of a policy's text, and what two texts differ in.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/policydiff.h"
#include "admin/policyedit.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/mem.h"
#include "tests/unit/unit.h"

#define BASE	"internal_domains = [ \"contoso.example\" ];\ninternal_servers = [ \"director.contoso.example\" ];\n"

enum what { BLOCK, UNBLOCK, PAUSE, RESUME };

static int
edit(enum what what, const char *text, const char *name, const char *dir, char **out, struct conf_errors *errs)
{
	struct policyedit e = { .name = "policy.conf", .dir = dir, .text = span_str(text) };
	size_t n = 0;
	int err;

	if (what == BLOCK)
		err = policyedit_block(&e, name, out, &n, errs);
	else if (what == UNBLOCK)
		err = policyedit_unblock(&e, name, out, &n, errs);
	else
		err = policyedit_pause(&e, name, what == PAUSE, out, &n, errs);
	ck_assert((err == SP_OK) == (*out != NULL));
	if (err == SP_OK)
		ck_assert_uint_eq(strlen(*out), n);
	return err;
}

static const struct row {
	enum what	 what;
	const char	*name, *before, *after;
} rows[] = {
	/* layout and comments stay */
	{ BLOCK, "b.example", "", "blocked = [ \"b.example\" ];\n" },
	{ BLOCK, "b.example", "blocked = [];\n", "blocked = [ \"b.example\" ];\n" },
	{ BLOCK, "b.example", "blocked = [ ];\n", "blocked = [ \"b.example\" ];\n" },
	{ BLOCK, "b.example", "blocked = [ \"a.example\" ];\n", "blocked = [ \"a.example\", \"b.example\" ];\n" },
	{ BLOCK, "b.example", "blocked:(\"a.example\")\n", "blocked:(\"a.example\", \"b.example\")\n" },
	{ BLOCK, "b.example", "blocked = \"a.example\";\n", "blocked = [ \"a.example\", \"b.example\" ];\n" },
	{ BLOCK, "b.example", "blocked = [\n\t\"a.example\"\n];\n", "blocked = [\n\t\"a.example\",\n\t\"b.example\"\n];\n" },
	{ BLOCK, "b.example", "blocked = [\n  \"a.example\" ];\n", "blocked = [\n  \"a.example\",\n  \"b.example\" ];\n" },
	{ BLOCK, "b.example", "blocked = [\n\t\"a.example\"\t# why\n\t# more\n];\n",
	    "blocked = [\n\t\"a.example\",\t# why\n\t\"b.example\"\n\t# more\n];\n" },
	{ BLOCK, "b.example", "blocked = [\n\t\"a.example\" /* over\n\ttwo */ ];\n",
	    "blocked = [\n\t\"a.example\", \"b.example\" /* over\n\ttwo */ ];\n" },
	{ BLOCK, "b.example", "/* blocked = [ \"x\" ]; */ # blocked = [\nblocked = [ \"a.example\" ];\n",
	    "/* blocked = [ \"x\" ]; */ # blocked = [\nblocked = [ \"a.example\", \"b.example\" ];\n" },
	{ BLOCK, "b.example", "content = ( { classes = [ \"direct\" ]; warning = \"blocked = [ ]\"; } );\n",
	    "content = ( { classes = [ \"direct\" ]; warning = \"blocked = [ ]\"; } );\nblocked = [ \"b.example\" ];\n" },
	{ BLOCK, "B\xc3\xbc" "cher.Example.", "blocked = [ ];", "blocked = [ \"xn--bcher-kva.example\" ];" },
	{ UNBLOCK, "b.example", "blocked = [ \"b.example\" ];\n", "blocked = [  ];\n" },
	{ UNBLOCK, "b.example", "blocked = \"b.example\";\n", "blocked = [ ];\n" },
	{ UNBLOCK, "b.example", "blocked = [ \"a.example\", \"B.Example\" ];\n", "blocked = [ \"a.example\" ];\n" },
	{ UNBLOCK, "b.example", "blocked = [ \"b.example\", \"a.example\" ];\n", "blocked = [ \"a.example\" ];\n" },
	{ UNBLOCK, "b.example", "blocked = [\n\t\"a.example\",\n\t\"b.example\"\n];\n", "blocked = [\n\t\"a.example\"\n];\n" },
	{ UNBLOCK, "b.example", "blocked = [\n\t\"b.example\",\n\t\"a.example\"\n];\n", "blocked = [\n\t\"a.example\"\n];\n" },
	/* a comment beside it is somebody's thought */
	{ UNBLOCK, "b.example", "blocked = [\n\t\"b.example\",\t# why\n\t\"a.example\"\n];\n",
	    "blocked = [\n\t\t# why\n\t\"a.example\"\n];\n" },
	{ UNBLOCK, "b\xc3\xbc.example", "blocked = [ \"b\xc3\xbc.example\" ];\n", "blocked = [  ];\n" },
	{ PAUSE, "P", "partners = ( { name = \"P\"; server = \"p.example\"; domains = \"p.example\"; } );\n",
	    "partners = ( { name = \"P\"; server = \"p.example\"; domains = \"p.example\"; paused = true; } );\n" },
	{ PAUSE, "P.example", "partners = (\n\t{\n\t\tserver = \"p.example\";\n\t\tdomains = \"p.example\";\n\t}\n);\n",
	    "partners = (\n\t{\n\t\tserver = \"p.example\";\n\t\tdomains = \"p.example\";\n\t\tpaused = true;\n\t}\n);\n" },
	{ RESUME, "Q", "partners = ( { server = \"p.example\"; domains = \"p.example\"; paused = true; },\n"
	    "  { name = \"Q\"; server = \"q.example\"; domains = \"q.example\"; paused = true; } );\n",
	    "partners = ( { server = \"p.example\"; domains = \"p.example\"; paused = true; },\n"
	    "  { name = \"Q\"; server = \"q.example\"; domains = \"q.example\"; paused = false; } );\n" },
	{ PAUSE, "H", "providers = { name = \"H\"; server = \"h.example\"; enabled = true };\n",
	    "providers = { name = \"H\"; server = \"h.example\"; enabled = true paused = true; };\n" },
};

START_TEST(edits)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct conf_errors *errs = conf_errors_new();
		char before[1024], after[1024], *out = NULL;
		int err;

		snprintf(before, sizeof(before), BASE "%s", rows[i].before);
		snprintf(after, sizeof(after), BASE "%s", rows[i].after);
		err = edit(rows[i].what, before, rows[i].name, NULL, &out, errs);
		conf_errors_print(errs, stderr);
		ck_assert_msg(err == SP_OK, "row %zu: %d", i, err);
		ck_assert_msg(strcmp(out, after) == 0, "row %zu:\n%s", i, out);
		free(out);
		conf_errors_free(errs);
	}
}
END_TEST

START_TEST(refusals)
{
	static const struct {
		enum what	 what;
		const char	*name, *text;
		int		 err;
		const char	*said;
	} bad[] = {
		{ BLOCK, "a.example", BASE "blocked = [ \"A.example\" ];\n", SP_EEXIST, "blocked already" },
		{ BLOCK, "a b", BASE, SP_EINVAL, "\"a b\" is not a domain" },
		{ BLOCK, "", BASE, SP_EINVAL, "is not a domain" },
		{ BLOCK, "192.0.2.1", BASE, SP_EINVAL, "is not a domain" },
		{ BLOCK, "\"];x=[\"", BASE, SP_EINVAL, "is not a domain" },
		{ BLOCK, "a.example", "nonsense", SP_EINVAL, "policy.conf:1" },
		{ BLOCK, "a.example", BASE "blocked = 7;\n", SP_EINVAL, "blocked" },
		{ BLOCK, "a.example", BASE "blocked = [ \"a.example", SP_EINVAL, "no closing quote" },
		{ UNBLOCK, "a.example", BASE, SP_ENOENT, "is not in the list" },
		{ UNBLOCK, "x.a.example", BASE "blocked = [ \"a.example\" ];\n", SP_ENOENT, "a.example, above it, is" },
		{ UNBLOCK, "a.example", BASE "blocked = [ \"a.\" \"example\" ];\n", SP_EINVAL, "cannot be changed safely" },
		{ UNBLOCK, "a.example", BASE "blocked = [ \"\\x61.example\" ];\n", SP_EINVAL, "cannot be changed safely" },
		{ UNBLOCK, "a.example", BASE "blocked = [ \"a.example\", \"A.example\" ];\n", SP_OK, NULL },
		{ PAUSE, "P", BASE, SP_ENOENT, "there is no partner" },
		{ RESUME, "p.example", BASE "partners = { server = \"p.example\"; domains = \"p.example\"; };\n", SP_EEXIST,
		    "not paused already" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct conf_errors *errs = conf_errors_new();
		bool said = bad[i].said == NULL;
		char *out = NULL;
		int err = edit(bad[i].what, bad[i].text, bad[i].name, NULL, &out, errs);

		for (size_t j = 0; j < conf_errors_count(errs); j++)
			said |= bad[i].said != NULL && strstr(conf_errors_get(errs, j), bad[i].said) != NULL;
		conf_errors_print(errs, stderr);
		ck_assert_msg(err == bad[i].err && said, "row %zu: %d", i, err);
		free(out);
		conf_errors_free(errs);
	}
}
END_TEST

/* What an included file says is not for us to change, nor to say twice. */
START_TEST(included)
{
	char dir[] = "/tmp/check_policyedit.XXXXXX", path[64];
	struct conf_errors *errs = conf_errors_new();
	char *out = NULL;
	FILE *f;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/blocks.conf", dir);
	f = fopen(path, "we");
	fputs("blocked = [ \"a.example\" ];\n", f);
	fclose(f);
	ck_assert_int_eq(edit(BLOCK, BASE "@include \"blocks.conf\"\n", "a.example", dir, &out, errs), SP_EEXIST);
	ck_assert_int_eq(edit(BLOCK, BASE "@include \"blocks.conf\"\n", "b.example", dir, &out, errs), SP_EINVAL);
	ck_assert_int_eq(edit(UNBLOCK, BASE "@include \"blocks.conf\"\n", "a.example", dir, &out, errs), SP_EINVAL);
	unlink(path);
	rmdir(dir);
	conf_errors_free(errs);
}
END_TEST

/* ---- differences ---- */

static void
differences(const char *was, const char *now, char *out, size_t size)
{
	struct conf_errors *errs = conf_errors_new();
	struct policydiff *d = policydiff_new("was", span_str(was), "now", span_str(now), NULL, errs);
	struct strbuf sb;

	conf_errors_print(errs, stderr);
	ck_assert_ptr_nonnull(d);
	strbuf_init(&sb, out, size);
	for (size_t i = 0; i < policydiff_count(d); i++) {
		policydiff_say(policydiff_get(d, i), &sb);
		strbuf_putc(&sb, '\n');
	}
	policydiff_free(d);
	conf_errors_free(errs);
}

START_TEST(by_meaning)
{
	char out[4096];

	differences(BASE, "# other layout\n" BASE "federation=false;ip_literals = false;\n", out, sizeof(out));
	ck_assert_str_eq(out, "");
	differences(BASE "blocked = [ \"a.example\", \"b.example\" ];", BASE "blocked = ( \"B.example\", \"c.example\" );", out,
	    sizeof(out));
	ck_assert_str_eq(out, "blocked: removed a.example\nblocked: added c.example\n");
	differences(BASE "partners = ( { name = \"P\"; server = \"p.example\"; domains = \"p.example\"; },\n"
	    "{ server = \"q.example\"; domains = \"q.example\"; } );",
	    BASE "federation = true; partners = ( { name = \"P\"; server = \"p.example\"; port = 5070; domains = "
	    "[ \"p.example\", \"r.example\" ]; }, { name = \"N\\n\"; server = \"n.example\"; domains = \"n.example\"; } );", out,
	    sizeof(out));
	ck_assert_str_eq(out, "federation: false -> true\n"
	    "partners N\\x0A: added certificate server-only; domains n.example; port 5061; server n.example; "
	    "verification use-source-verification\n"
	    "partners P: domains: added r.example\npartners P: port: 5061 -> 5070\n"
	    "partners q.example: removed certificate server-only; domains q.example; port 5061; server q.example; "
	    "verification use-source-verification\n");
}
END_TEST

struct text {
	char	p[8192];
	size_t	n;
};

static void
collect(void *arg, char mark, size_t line, struct span text)
{
	struct text *t = arg;

	(void)line;
	t->n += (size_t)snprintf(t->p + t->n, sizeof(t->p) - t->n, "%c%.*s\n", mark, SPAN_FMT(text));
}

START_TEST(by_lines)
{
	struct text t = { .n = 0 };

	ck_assert_uint_eq(policydiff_lines(span_str("a\nb\n"), span_str("a\nb\n"), collect, &t), 0);
	ck_assert_uint_eq(t.n, 0);
	ck_assert_uint_eq(policydiff_lines(span_str("1\n2\n3\n4\n5\n6\n7\n8\n9\n"), span_str("1\n2\n3\n4\nX\n6\n7\n8\n9\n"),
	    collect, &t), 2);
	ck_assert_str_eq(t.p, "@-2,7 +2,7\n 2\n 3\n 4\n-5\n+X\n 6\n 7\n 8\n");
	t.n = 0;
	ck_assert_uint_eq(policydiff_lines(span_str(""), span_str("a\nb"), collect, &t), 2);
	ck_assert_str_eq(t.p, "@-0,0 +1,2\n+a\n+b\n");
	t.n = 0;
	/* far apart: two pieces */
	ck_assert_uint_eq(policydiff_lines(span_str("1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n"),
	    span_str("0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n"), collect, &t), 2);
	ck_assert_str_eq(t.p, "@-1,3 +1,4\n+0\n 1\n 2\n 3\n@-7,4 +8,3\n 7\n 8\n 9\n-10\n");
}
END_TEST

START_TEST(merges)
{
	static const struct {
		const char	*base, *ours, *theirs, *merged;
		size_t		 line;
	} cases[] = {
		{ "a\nb\nc\n", "a\nb\nc\n", "a\nX\nc\n", "a\nX\nc\n", 0 },
		{ "a\nb\nc\n", "a\nX\nc\n", "a\nb\nc\n", "a\nX\nc\n", 0 },
		{ "a\nb\nc\n", "0\na\nb\nc\n", "a\nb\nc\nd\n", "0\na\nb\nc\nd\n", 0 },
		{ "a\nb\nc\n", "a\nX\nc\n", "a\nX\nc\n", "a\nX\nc\n", 0 },
		{ "a\nb\nc\n", "a\nX\nc\n", "a\nY\nc\n", NULL, 2 },
		{ "a\nb\nc\n", "a\nc\n", "a\nY\nc\n", NULL, 2 },
		{ "a\nb\nc\n", "a\nb\nc\nX\n", "a\nb\nc\nY\n", NULL, 4 },
		{ "", "", "x\n", "x\n", 0 },
		{ "a", "a", "a\nb", "a\nb", 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *out;
		size_t n, line = 0;
		int err = policydiff_merge(span_str(cases[i].base), span_str(cases[i].ours), span_str(cases[i].theirs), &out, &n,
		    &line);

		ck_assert_int_eq(err, cases[i].merged != NULL ? SP_OK : SP_EAGAIN);
		if (out != NULL)
			ck_assert_msg(strcmp(out, cases[i].merged) == 0, "case %zu: %s", i, out);
		else
			ck_assert_uint_eq(line, cases[i].line);
		free(out);
	}
}
END_TEST

static void
ignore(void *arg, char mark, size_t line, struct span text)
{
	(void)arg;
	(void)mark;
	(void)line;
	(void)text;
}

/* A hundred thousand lines, and thousands of changes, are no matter of minutes. */
START_TEST(large)
{
	size_t n = 100000, room = n * 32, used[2] = { 0, 0 };
	char *text[2] = { xmalloc(room), xmalloc(room) };

	for (size_t i = 0; i < n; i++) {
		used[0] += (size_t)sprintf(text[0] + used[0], "\"d%zu.example\",\n", i);
		used[1] += (size_t)sprintf(text[1] + used[1], "\"%c%zu.example\",\n", i % 10 == 3 ? 'x' : 'd', i);
	}
	ck_assert_uint_ge(policydiff_lines(span_of(text[0], used[0]), span_of(text[1], used[1]), ignore, NULL), 20000);
	free(text[0]);
	free(text[1]);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { edits, refusals, included, by_meaning, by_lines, merges, large };

	return unit_run("policyedit", tests, sizeof(tests) / sizeof(tests[0]));
}
