#include "common/conf.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/span.h"
#include "tests/unit/unit.h"

enum { CLIENT_NEVER, CLIENT_ASK, CLIENT_REQUIRE };
static const char *const client[] = { "never", "ask", "require", NULL };

struct name {
	char	*text;
};

struct door {
	char			*address;
	int			 port;
	int			 client;
	struct conf_groups	 names;
};

struct settings {
	bool			 on;
	int			 users;
	int			 any;
	char			*title;
	char			*note;
	struct conf_strs	 domains;
	struct conf_strs	 trusted;
	struct conf_groups	 doors;
};

static const struct conf_item name_items[] = {
	{ .path = "text", .type = CONF_STR, .at = offsetof(struct name, text), .help = "A text." },
	{ .path = NULL }
};

static const struct conf_item door_items[] = {
	{ .path = "address", .type = CONF_STR, .at = offsetof(struct door, address),
	    .flags = CONF_REQUIRED | CONF_NONEMPTY, .help = "Where it listens." },
	{ .path = "port", .type = CONF_INT, .at = offsetof(struct door, port), .dflt = 5061, .min = 1, .max = 65535,
	    .help = "Port number." },
	{ .path = "tls.client", .type = CONF_CHOICE, .at = offsetof(struct door, client), .dflt = CLIENT_ASK,
	    .choices = client, .help = "Ask for a certificate?" },
	{ .path = "names", .type = CONF_GROUPS, .at = offsetof(struct door, names), .sub = name_items,
	    .size = sizeof(struct name), .help = "Names." },
	{ .path = NULL }
};

static const struct conf_item items[] = {
	{ .path = "on", .type = CONF_BOOL, .at = offsetof(struct settings, on), .dflt = 1, .help = "Is it on?" },
	{ .path = "limits.users", .type = CONF_INT, .at = offsetof(struct settings, users), .dflt = 10, .min = 1,
	    .max = 100, .help = "Users at once." },
	{ .path = "limits.any", .type = CONF_INT, .at = offsetof(struct settings, any), .help = "Any number." },
	{ .path = "title", .type = CONF_STR, .at = offsetof(struct settings, title), .text = "none",
	    .help = "A title." },
	{ .path = "note", .type = CONF_STR, .at = offsetof(struct settings, note), .flags = CONF_OPTIONAL,
	    .help = "A note." },
	{ .path = "domains", .type = CONF_STRS, .at = offsetof(struct settings, domains), .flags = CONF_NONEMPTY,
	    .help = "Our domains." },
	{ .path = "trusted", .type = CONF_STRS, .at = offsetof(struct settings, trusted), .text = "127.0.0.1",
	    .help = "Whom to trust." },
	{ .path = "door", .type = CONF_GROUPS, .at = offsetof(struct settings, doors), .flags = CONF_NONEMPTY,
	    .sub = door_items, .size = sizeof(struct door), .help = "The doors." },
	{ .path = NULL }
};

static char dir[] = "/tmp/check_conf.XXXXXX";
static struct conf_errors *errs;
static struct settings got;

static void
write_file(const char *name, const char *text)
{
	FILE *f = fopen(name, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
}

/* Read text as t.conf, in a directory of the test's own. */
static int
load(const char *text)
{
	if (errs == NULL) {
		ck_assert_ptr_nonnull(mkdtemp(dir));
		ck_assert_int_eq(chdir(dir), 0);
		errs = conf_errors_new();
	}
	write_file("t.conf", text);
	conf_unload(items, &got);
	memset(&got, 0, sizeof(got));
	return conf_load("t.conf", items, &got, errs);
}

static void
done(void)
{
	conf_unload(items, &got);
	conf_errors_free(errs);
	unlink("t.conf");
	unlink("sub/u.conf");
	rmdir("sub");
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(rmdir(dir), 0);
}

/* Exactly these errors, one a line. */
static void
expect_errors(const char *want)
{
	char *text;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	conf_errors_print(errs, f);
	fclose(f);
	ck_assert_str_eq(text, want);
	free(text);
}

static const struct door *
door(size_t i)
{
	ck_assert_uint_lt(i, got.doors.n);
	return (const struct door *)got.doors.v + i;
}

START_TEST(empty_file_gives_defaults)
{
	ck_assert_int_eq(load(""), SP_OK);
	ck_assert(got.on);
	ck_assert_int_eq(got.users, 10);
	ck_assert_str_eq(got.title, "none");
	ck_assert_ptr_null(got.note);
	ck_assert_uint_eq(got.domains.n, 0);
	ck_assert_uint_eq(got.trusted.n, 1);
	ck_assert_str_eq(got.trusted.v[0].s, "127.0.0.1");
	ck_assert_uint_eq(got.doors.n, 0);
	ck_assert_uint_eq(conf_errors_count(errs), 0);
	ck_assert_int_eq(conf_line_of(errs, "on"), 0);
	ck_assert_ptr_null(conf_file_of(errs, "on"));
	done();
}
END_TEST

START_TEST(reads_every_type)
{
	ck_assert_int_eq(load(
	    "# a comment\n"
	    "on = false;\n"
	    "limits: { users = 0x10; any = 2147483647; };\n"
	    "title = \"a \" \"b\";\n"
	    "note = \"\";\n"
	    "domains = [ \"a.example\",\n"
	    "    \"b.example\" ];\n"
	    "trusted = \"::1\";\n"
	    "door = (\n"
	    "  { address = \"192.0.2.1\"; port = 1; tls: { client = \"require\"; }; },\n"
	    "  { address = \"192.0.2.2\";\n"
	    "    port = 65535L;\n"
	    "    names = { text = \"x\"; }; } );\n"), SP_OK);
	ck_assert(!got.on);
	ck_assert_int_eq(got.users, 16);
	ck_assert_int_eq(got.any, INT_MAX);
	ck_assert_str_eq(got.title, "a b");
	ck_assert_str_eq(got.note, "");
	ck_assert_uint_eq(got.domains.n, 2);
	ck_assert_str_eq(got.domains.v[1].s, "b.example");
	ck_assert_int_eq(got.domains.v[1].line, 7);
	ck_assert_str_eq(got.trusted.v[0].s, "::1");
	ck_assert_int_eq(got.trusted.v[0].line, 8);
	ck_assert_uint_eq(got.doors.n, 2);
	ck_assert_int_eq(got.doors.line[1], 11);
	ck_assert_int_eq(door(0)->port, 1);
	ck_assert_int_eq(door(0)->client, CLIENT_REQUIRE);
	ck_assert_int_eq(door(1)->port, 65535);
	ck_assert_int_eq(door(1)->client, CLIENT_ASK);
	ck_assert_uint_eq(door(1)->names.n, 1);
	ck_assert_str_eq(((const struct name *)door(1)->names.v)->text, "x");
	ck_assert_int_eq(conf_line_of(errs, "limits.users"), 3);
	ck_assert_int_eq(conf_line_of(errs, "domains[1]"), 7);
	ck_assert_int_eq(conf_line_of(errs, "door[1].port"), 12);
	ck_assert_str_eq(conf_file_of(errs, "door[1].port"), "t.conf");
	ck_assert_int_eq(conf_line_of(errs, "door[0].names"), 0);
	done();
}
END_TEST

START_TEST(reports_every_error_at_once)
{
	ck_assert_int_eq(load(
	    "on = 1;\n"
	    "limit = { users = 5; };\n"
	    "limits = { users = 101; usres = 5; };\n"
	    "title = 5;\n"
	    "domains = [ ];\n"
	    "trusted = ( \"a\", 7 );\n"
	    "door = (\n"
	    "  { port = 0; tls = { client = \"requir\"; }; },\n"
	    "  \"x\",\n"
	    "  { address = \"\"; adress = \"\"; names = ( { txt = \"\"; } ); } );\n"
	    "zzzzz = { a = 1; };\n"
	    "users = 9;\n"), SP_EINVAL);
	expect_errors(
	    "t.conf:1: on: expects true or false\n"
	    "t.conf:2: limit: there is no such option; did you mean limits?\n"
	    "t.conf:3: limits.users: expects a number from 1 to 100\n"
	    "t.conf:3: limits.usres: there is no such option; did you mean limits.users?\n"
	    "t.conf:4: title: expects a text in double quotes\n"
	    "t.conf:5: domains: needs at least one text\n"
	    "t.conf:6: trusted[1]: expects a text in double quotes\n"
	    "t.conf:8: door[0].address: is missing and has no default: Where it listens.\n"
	    "t.conf:8: door[0].port: expects a number from 1 to 65535\n"
	    "t.conf:8: door[0].tls.client: expects one of \"never\", \"ask\", \"require\"; did you mean \"require\"?\n"
	    "t.conf:9: door[1]: expects a group: { ... }\n"
	    "t.conf:10: door[2].address: must not be empty\n"
	    "t.conf:10: door[2].adress: there is no such option; did you mean door[2].address?\n"
	    "t.conf:10: door[2].names[0].txt: there is no such option; did you mean door[2].names[0].text?\n"
	    "t.conf:11: zzzzz: there is no such option\n"
	    "t.conf:12: users: there is no such option; did you mean limits.users?\n");
	/* What was right is there, what was wrong has its default. */
	ck_assert(got.on);
	ck_assert_int_eq(got.users, 10);
	ck_assert_str_eq(got.title, "none");
	done();
}
END_TEST

START_TEST(refuses_numbers_at_the_edge)
{
	static const struct {
		const char	*value;
		bool		 good;
	} rows[] = {
		{ "1", true }, { "100", true }, { "0", false }, { "101", false }, { "-1", false }, { "1.0", false },
		{ "4294967297L", false }, { "9223372036854775807L", false },
		{ "\"5\"", false }, { "true", false }, { "[ 5 ]", false }, { "{ }", false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t before = errs != NULL ? conf_errors_count(errs) : 0;
		char text[100];

		snprintf(text, sizeof(text), "limits = { users = %s; };\n", rows[i].value);
		ck_assert_int_eq(load(text), rows[i].good ? SP_OK : SP_EINVAL);
		if (!rows[i].good) {
			ck_assert_uint_eq(conf_errors_count(errs), before + 1);
			ck_assert_str_eq(conf_errors_get(errs, before),
			    "t.conf:1: limits.users: expects a number from 1 to 100");
		}
	}
	done();
}
END_TEST

/* libconfig itself would take 4294967297 for 1. */
START_TEST(refuses_numbers_too_large)
{
	ck_assert_int_eq(load("limits = { users = 4294967297;\n any = 0x100000001; };\n"
	    "# 99999999999\ntitle = \"99999999999 \\\" 99999999999\"; /* 99999999999\n"
	    "99999999999 */ note = \"x\"; // 99999999999\n"), SP_EINVAL);
	expect_errors(
	    "t.conf:1: 4294967297 is too large: no number is over 2147483647\n"
	    "t.conf:2: 0x100000001 is too large: no number is over 2147483647\n");
	done();
}
END_TEST

START_TEST(refuses_wrong_shapes)
{
	ck_assert_int_eq(load("limits = 4;\ndoor = \"x\";\ndomains = { a = \"x\"; };\nnote = [ \"a\" ];\n"
	    "on = \"true\";\n"), SP_EINVAL);
	expect_errors(
	    "t.conf:1: limits: expects a group: { ... }\n"
	    "t.conf:2: door: expects a list of groups: ( { ... }, { ... } )\n"
	    "t.conf:3: domains: expects texts in double quotes: [ \"one\", \"two\" ]\n"
	    "t.conf:4: note: expects a text in double quotes\n"
	    "t.conf:5: on: expects true or false\n");
	done();
}
END_TEST

START_TEST(says_where_a_name_stands_twice)
{
	ck_assert_int_eq(load("on = true;\nlimits = {\n  users = 500;\n  any = 1;\n  users = 6;\n};\n"),
	    SP_EIO);
	expect_errors(
	    "t.conf:3: limits.users: expects a number from 1 to 100\n"
	    "t.conf:5: users: is set a second time, first in t.conf:3; reading ends here\n");
	done();
}
END_TEST

#define WANTS_QUOTES \
	"t.conf:1: syntax error: expects a number, true or false, or a text in double quotes after the = (reading ends here)\n"
#define WANTS_SETTING \
	"t.conf:1: syntax error; expects settings like  name = value;  (reading ends here)\n"

static const struct { const char *text, *said; } slips[] = {
	{ "limits.users = 5;\n",
	    "t.conf:1: syntax error: limits is a group; expects  limits = { users = ...; }; (reading ends here)\n" },
	{ "on = yes;\n", WANTS_QUOTES },
	{ "title = /etc/passwd;\n", WANTS_QUOTES },
	{ "door = ( { address = both; } );\n", WANTS_QUOTES },
	{ "title = \"a = b\" 5;\n", WANTS_SETTING },
	{ "limits { users = 5; } # on = yes\n", WANTS_SETTING },
	{ "on 5;\n", WANTS_SETTING },
};

START_TEST(common_slips_are_explained)
{
	for (size_t i = 0; i < sizeof(slips) / sizeof(slips[0]); i++) {
		ck_assert_int_eq(load(slips[i].text), SP_EIO);
		expect_errors(slips[i].said);
		conf_errors_free(errs);
		errs = conf_errors_new();
	}
	done();
}
END_TEST

START_TEST(syntax_error_has_its_line)
{
	/* What stands before it is checked; what would come after it is not "missing". */
	ck_assert_int_eq(load("\nlimits = { users = 0; };\ntitle = on;\ndoor = ();\n"), SP_EIO);
	expect_errors(
	    "t.conf:2: limits.users: expects a number from 1 to 100\n"
	    "t.conf:3: syntax error: expects a number, true or false, or a text in double quotes after the = (reading ends here)\n");
	done();
}
END_TEST

START_TEST(what_is_not_closed_is_said_where_it_begins)
{
	ck_assert_int_eq(load("on = true;\ntitle = \"abc;\n\nnote = \\\"x\\\";\n"), SP_EIO);
	ck_assert_int_eq(load("on = true; /* x\n\n"), SP_EIO);
	expect_errors(
	    "t.conf:2: the text that begins here has no closing quote\n"
	    "t.conf:1: the comment that begins here is not closed\n");
	done();
}
END_TEST

START_TEST(included_files_have_places_of_their_own)
{
	ck_assert_int_eq(load(""), SP_OK);
	ck_assert_int_eq(mkdir("sub", 0700), 0);
	write_file("sub/u.conf", "\n\ntitle = 4;\nnote = \"n\";\nwhat = 1;\n");
	ck_assert_int_eq(load("# first\n@include \"sub/u.conf\"\non = 3;\n"), SP_EINVAL);
	expect_errors(
	    "t.conf:3: on: expects true or false\n"
	    "sub/u.conf:3: title: expects a text in double quotes\n"
	    "sub/u.conf:5: what: there is no such option\n");
	ck_assert_str_eq(got.note, "n");
	ck_assert_str_eq(conf_file_of(errs, "note"), "sub/u.conf");
	ck_assert_int_eq(conf_line_of(errs, "note"), 4);
	done();
}
END_TEST

START_TEST(unreadable_files_are_named)
{
	ck_assert_int_eq(load("on = true;\n@include \"nobody.conf\"\n/*\n@include \"x\"\n*/ # @include \"x\"\n  @include \".\"\n"), SP_EIO);
	conf_unload(items, &got);
	ck_assert_int_eq(conf_load("nothing.conf", items, &got, errs), SP_EIO);
	expect_errors(
	    "t.conf:2: @include: cannot read nobody.conf: No such file or directory\n"
	    "t.conf:6: @include: cannot read .: it is not a file\n"
	    "nothing.conf: cannot be read: No such file or directory\n");
	done();
}
END_TEST

START_TEST(a_file_that_includes_itself_ends)
{
	ck_assert_int_eq(load("@include \"t.conf\"\n"), SP_EIO);
	expect_errors("t.conf:1: @include: more than 10 files deep\n");
	done();
}
END_TEST

/* One line each, and a megabyte behind it: whoever may send a text may not have it read for hours. */
START_TEST(many_files_end)
{
	static const char line[] = "@include \"sub/u.conf\"\n";
	char text[300 * sizeof(line)] = "";

	ck_assert_int_eq(load(""), SP_OK);
	ck_assert_int_eq(mkdir("sub", 0700), 0);
	write_file("sub/u.conf", "# nothing\n");
	for (int i = 0; i < 256; i++)
		strcat(text, line);
	ck_assert_int_eq(load(text), SP_OK);
	for (int i = 0; i < 20; i++)
		strcat(text, line);
	ck_assert_int_eq(load(text), SP_EIO);
	expect_errors("t.conf:257: @include: more than 256 files in all\n");
	done();
}
END_TEST

/* conf_flatten() of text into what it gives, or NULL. */
static char *
flatten(const char *text, size_t max, int want)
{
	char *out;
	size_t n;

	ck_assert_int_eq(conf_flatten("t.conf", span_str(text), ".", max, &out, &n, errs), want);
	if (out != NULL)
		ck_assert_uint_eq(strlen(out), n);
	return out;
}

/* Where a byte of the whole comes from: "t.conf:1", or "" behind its end. */
static const char *
place(const char *text, size_t at)
{
	static char told[64];
	char *file;
	int line, err = conf_place("t.conf", span_str(text), ".", 1000, at, &file, &line);

	ck_assert_int_eq(err, file != NULL ? SP_OK : SP_ENOENT);
	told[0] = '\0';
	if (file != NULL)
		snprintf(told, sizeof(told), "%s:%d", file, line);
	free(file);
	return told;
}

/* A text with what it includes is one text that says the same; what only looks like it stays. */
START_TEST(what_is_included_stands_in_its_place)
{
	static const char same[] = "# @include \"sub/u.conf\"\n/*\n@include \"x\"\n*/ note = \"a\n@include \\\"x\\\"\n\";\non = @include \"x\"\n";
	char *out;

	ck_assert_int_eq(load(""), SP_OK);
	ck_assert_int_eq(mkdir("sub", 0700), 0);
	write_file("sub/u.conf", "title = \"t\";");
	out = flatten("on = true;\n  @include \"sub/u.conf\" note = \"n\";\n", 1000, SP_OK);
	ck_assert_str_eq(out, "on = true;\ntitle = \"t\";\n note = \"n\";\n");
	ck_assert_int_eq(load(out), SP_OK);
	ck_assert(strcmp(got.title, "t") == 0 && strcmp(got.note, "n") == 0);
	free(out);
	ck_assert_str_eq(place("on = true;\n  @include \"sub/u.conf\" note = \"n\";\n", 10), "t.conf:1");
	ck_assert_str_eq(place("on = true;\n  @include \"sub/u.conf\" note = \"n\";\n", 11), "./sub/u.conf:1");
	ck_assert_str_eq(place("on = true;\n  @include \"sub/u.conf\" note = \"n\";\n", 26), "t.conf:2");
	ck_assert_str_eq(place("on = true;\n  @include \"sub/u.conf\" note = \"n\";\n", 200), "");
	ck_assert(!conf_includes(span_str(same)));
	ck_assert(conf_includes(span_str("on = true;\n\t@include\t\"x\"")));
	ck_assert_str_eq(out = flatten(same, 1000, SP_OK), same);
	free(out);
	ck_assert_str_eq(out = flatten("", 0, SP_OK), "");
	free(out);
	/* an end that a file leaves open is the other's */
	write_file("sub/u.conf", "/* open");
	ck_assert_str_eq(out = flatten("@include \"sub/u.conf\"\n@include \"sub/u.conf\"\n", 1000, SP_OK),
	    "/* open\n\n@include \"sub/u.conf\"\n");
	free(out);
	ck_assert_uint_eq(conf_errors_count(errs), 0);
	ck_assert_ptr_null(flatten("@include \"sub/u.conf\"\n", 7, SP_ELIMIT));
	ck_assert_ptr_null(flatten("@include \"../t.conf\"\n", 1000, SP_EINVAL));
	ck_assert_ptr_null(flatten("@include \"sub/../../t.conf\"\n", 1000, SP_EINVAL));
	ck_assert_ptr_null(flatten("@include \"nobody..conf\"\n", 1000, SP_EINVAL));
	ck_assert_ptr_null(flatten("@include \"sub\"\n", 1000, SP_EINVAL));
	write_file("sub/u.conf", "@include \"sub/u.conf\"\n");
	ck_assert_ptr_null(flatten("@include \"sub/u.conf\"\n", 1000, SP_EINVAL));
	ck_assert_uint_eq(conf_errors_count(errs), 6);
	ck_assert_ptr_nonnull(strstr(conf_errors_get(errs, 3), "cannot read ./nobody..conf: No such file or directory"));
	done();
}
END_TEST

START_TEST(what_is_required_is_asked_for)
{
	static const struct conf_item required[] = {
		{ .path = "domains", .type = CONF_STRS, .at = offsetof(struct settings, domains),
		    .flags = CONF_REQUIRED, .help = "Our domains." },
		{ .path = "title", .type = CONF_STR, .at = offsetof(struct settings, title),
		    .flags = CONF_REQUIRED, .help = "A title." },
		{ .path = NULL }
	};
	struct settings s = { 0 };

	ck_assert_int_eq(load(""), SP_OK);
	ck_assert_int_eq(conf_load("t.conf", required, &s, errs), SP_EINVAL);
	expect_errors(
	    "t.conf: domains: is missing and has no default: Our domains.\n"
	    "t.conf: title: is missing and has no default: A title.\n");
	ck_assert_str_eq(s.title, "");
	conf_unload(required, &s);
	ck_assert_ptr_null(s.title);
	done();
}
END_TEST

START_TEST(errors_have_places_or_none)
{
	ck_assert_int_eq(load(""), SP_OK);
	conf_error(errs, "a.conf", 3, "x %d", 1);
	conf_error(errs, "a.conf", 0, "y");
	conf_error(errs, NULL, 0, "z");
	expect_errors("a.conf:3: x 1\na.conf: y\nz\n");
	ck_assert_str_eq(conf_errors_get(errs, 1), "a.conf: y");
	done();
}
END_TEST

static const struct conf_item reloading[] = {
	{ .path = "on", .type = CONF_BOOL, .at = offsetof(struct settings, on), .help = "Is it on?" },
	{ .path = "users", .type = CONF_INT, .at = offsetof(struct settings, users), .flags = CONF_RELOADS,
	    .help = "Users at once." },
	{ .path = "any", .type = CONF_INT, .at = offsetof(struct settings, any), .help = "Any number." },
	{ .path = "title", .type = CONF_STR, .at = offsetof(struct settings, title), .flags = CONF_OPTIONAL,
	    .help = "A title." },
	{ .path = "domains", .type = CONF_STRS, .at = offsetof(struct settings, domains), .help = "Our domains." },
	{ .path = "door", .type = CONF_GROUPS, .at = offsetof(struct settings, doors), .sub = door_items,
	    .size = sizeof(struct door), .help = "The doors." },
	{ .path = NULL }
};

START_TEST(changes_that_need_a_restart_are_found)
{
	static const char begin[] = "domains = [ \"a\", \"b\" ]; door = ( { address = \"x\"; names = ( { text = \"n\"; } ); } );";
	static const struct { const char *text, *differs; } changed[] = {
		{ begin, NULL },
		{ "users = 99; domains = [ \"a\", \"b\" ]; door = ( { address = \"x\"; names = ( { text = \"n\"; } ); } );", NULL },
		{ "on = true;", "on" },
		{ "any = 1;", "any" },
		{ "title = \"\";", "title" },
		{ "domains = [ \"a\" ]; door = ( { address = \"x\"; names = ( { text = \"n\"; } ); } );", "domains" },
		{ "domains = [ \"a\", \"c\" ]; door = ( { address = \"x\"; names = ( { text = \"n\"; } ); } );", "domains" },
		{ "domains = [ \"a\", \"b\" ];", "door" },
		{ "domains = [ \"a\", \"b\" ]; door = ( { address = \"x\"; port = 1; names = ( { text = \"n\"; } ); } );", "door" },
		{ "domains = [ \"a\", \"b\" ]; door = ( { address = \"x\"; names = ( { text = \"m\"; } ); } );", "door" }
	};
	struct settings a, b;

	errs = conf_errors_new();
	memset(&a, 0, sizeof(a));
	ck_assert_int_eq(conf_load_text("a", span_str(begin), NULL, reloading, &a, errs), SP_OK);
	for (size_t i = 0; i < sizeof(changed) / sizeof(changed[0]); i++) {
		const char *differs;

		memset(&b, 0, sizeof(b));
		ck_assert_int_eq(conf_load_text("b", span_str(changed[i].text), NULL, reloading, &b, errs), SP_OK);
		differs = conf_differs(reloading, &a, &b);
		if (changed[i].differs == NULL)
			ck_assert_ptr_null(differs);
		else
			ck_assert_str_eq(differs, changed[i].differs);
		conf_unload(reloading, &b);
	}
	conf_unload(reloading, &a);
	conf_errors_free(errs);
	errs = NULL;
}
END_TEST

START_TEST(what_is_quoted_commands_no_terminal)
{
	struct conf_errors *said = conf_errors_new();

	conf_error(said, "f", 0, "%s", "a\x1b[2J\r\x7f \xc2\x9b" "2J \xc2\x80\xc2\xa0\xc3\xa4 \xc2");
	ck_assert_str_eq(conf_errors_get(said, 0), "f: a?[2J?? ??2J ??\xc2\xa0\xc3\xa4 \xc2");
	conf_errors_free(said);
}
END_TEST

START_TEST(options_are_listed)
{
	char *text;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	conf_print_options(items, f);
	fclose(f);
	ck_assert_str_eq(text,
	    "on\ttrue or false\ttrue\tIs it on?\trestart\n"
	    "limits.users\tnumber 1 to 100\t10\tUsers at once.\trestart\n"
	    "limits.any\tnumber 0 to 2147483647\t0\tAny number.\trestart\n"
	    "title\ttext\t\"none\"\tA title.\trestart\n"
	    "note\ttext\t(none)\tA note.\trestart\n"
	    "domains\ttexts\t(none)\tOur domains.\trestart\n"
	    "trusted\ttexts\t\"127.0.0.1\"\tWhom to trust.\trestart\n"
	    "door\tlist of groups\t(none)\tThe doors.\trestart\n"
	    "door[].address\ttext\t(required)\tWhere it listens.\trestart\n"
	    "door[].port\tnumber 1 to 65535\t5061\tPort number.\trestart\n"
	    "door[].tls.client\t\"never\"|\"ask\"|\"require\"\t\"ask\"\tAsk for a certificate?\trestart\n"
	    "door[].names\tlist of groups\t(none)\tNames.\trestart\n"
	    "door[].names[].text\ttext\t(none)\tA text.\trestart\n");
	free(text);
	f = open_memstream(&text, &n);
	conf_print_options((const struct conf_item[]){ { .path = "level", .type = CONF_BOOL, .flags = CONF_RELOADS, .help = "How?" },
	    { .path = NULL } }, f);
	fclose(f);
	ck_assert_str_eq(text, "level\ttrue or false\tfalse\tHow?\treload\n");
	free(text);
}
END_TEST

/* A file that the service manager hands over; what else begins with a dollar is a name like any other. */
START_TEST(credentials_are_found)
{
	static const struct conf_item secret[] = {
		{ .path = "key", .type = CONF_STR, .at = offsetof(struct settings, title), .flags = CONF_SECRET, .help = "A key." },
		{ .path = "note", .type = CONF_STR, .at = offsetof(struct settings, note), .help = "A note." },
		{ .path = NULL }
	};
	struct span text = span_str("key = \"$CREDENTIALS_DIRECTORY/a.key\"; note = \"$CREDENTIALS_DIRECTORY/b\";");
	struct settings s;

	errs = conf_errors_new();
	memset(&s, 0, sizeof(s));
	setenv("CREDENTIALS_DIRECTORY", "/run/credentials/x.service", 1);
	ck_assert_int_eq(conf_load_text("c", text, NULL, secret, &s, errs), SP_OK);
	ck_assert_str_eq(s.title, "/run/credentials/x.service/a.key");
	ck_assert_str_eq(s.note, "$CREDENTIALS_DIRECTORY/b");
	conf_unload(secret, &s);
	memset(&s, 0, sizeof(s));
	unsetenv("CREDENTIALS_DIRECTORY");
	ck_assert_int_eq(conf_load_text("c", text, NULL, secret, &s, errs), SP_EINVAL);
	ck_assert_uint_eq(conf_errors_count(errs), 1);
	ck_assert_ptr_nonnull(strstr(conf_errors_get(errs, 0), "c:1: key: CREDENTIALS_DIRECTORY is not set"));
	conf_unload(secret, &s);
	memset(&s, 0, sizeof(s));
	ck_assert_int_eq(conf_load_text("c", span_str("key = \"$CREDENTIALS_DIRECTORY2/a\";"), NULL, secret, &s, errs), SP_OK);
	ck_assert_str_eq(s.title, "$CREDENTIALS_DIRECTORY2/a");
	conf_unload(secret, &s);
	conf_errors_free(errs);
	errs = NULL;
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { empty_file_gives_defaults, reads_every_type, reports_every_error_at_once,
		refuses_numbers_at_the_edge, refuses_numbers_too_large, refuses_wrong_shapes, says_where_a_name_stands_twice,
		common_slips_are_explained, syntax_error_has_its_line, what_is_not_closed_is_said_where_it_begins, included_files_have_places_of_their_own, unreadable_files_are_named,
		a_file_that_includes_itself_ends, many_files_end, what_is_included_stands_in_its_place, what_is_required_is_asked_for, errors_have_places_or_none,
		changes_that_need_a_restart_are_found, what_is_quoted_commands_no_terminal, options_are_listed, credentials_are_found };

	return unit_run("conf", tests, sizeof(tests) / sizeof(tests[0]));
}
