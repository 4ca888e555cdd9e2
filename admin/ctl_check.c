/*
 * admin/ctl_check.c - sallyportctl check: what is wrong with configuration files.
 *
 * Who reads a file knows best what is wrong with it: the program that it is
 * for is run with -n, and what it says is passed on, or made JSON of.
 */
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "admin/ctl.h"
#include "admin/ctl_program.h"
#include "admin/record.h"
#include "common/err.h"
#include "common/mem.h"

/* The kinds of files, and who reads them: a program beside this one, and how it is told to. */
static const struct reader {
	const char	*kind, *file, *program, *args[3];
} readers[] = {
	{ "edge", SYSCONFDIR "/edge.conf", "sallyport-edge", { "-n", "-f", NULL } },
	{ "director", SYSCONFDIR "/director.conf", "sallyport-director", { "-n", "-f", NULL } },
	{ "admin", SYSCONFDIR "/admin.conf", "sallyport-admin", { "-n", "-f", NULL } },
	{ "policy", SYSCONFDIR "/policy.conf", "sallyportctl", { "policy", "check", NULL } },
};
#define NREADERS	(sizeof(readers) / sizeof(readers[0]))
#define NDAEMONS	3		/* of these; the edge looks at its policy itself */

struct checking {
	bool	json;
	size_t	nrecords;
	int	status;
};

static int
usage(FILE *out)
{
	fputs("Usage: sallyportctl check [OPTION]... [FILE]...\n"
	    "Say everything that is wrong with configuration files, and with the certificates,\n"
	    "keys and tables that they name. Without FILE: edge.conf, director.conf and\n"
	    "admin.conf of this machine, as far as they are there.\n\n"
	    "      --edge, --director, --admin, --policy\n"
	    "                       what FILE is; otherwise its name says so\n"
	    "      --json           print JSON\n"
	    "  -h, --help           print this\n\n"
	    "Exit status: 0 good, 64 misused, 66 no such file, 78 bad configuration.\n", out);
	return out == stdout ? ctl_finish(EX_OK) : EX_USAGE;
}

/* ---- running it ---- */

/* Run the reader of this file; *said is what it complained about. Its exit status, or -1 (errno, or killed). */
static int
run_reader(const struct reader *r, const char *file, char **said, size_t *n)
{
	const char *args[] = { r->args[0], r->args[1], file, NULL };

	return ctl_program_run(r->program, "check", args, said, n);
}

/* ---- telling ---- */

/* "FILE:12: text" or "FILE: text", where FILE is any file. Without that form, all of it is text. */
static void
take_apart(struct span line, struct span *file, int64_t *at, struct span *text)
{
	size_t colon = 0;
	uint64_t number;

	*file = SPAN_NONE;
	*at = 0;
	*text = line;
	for (struct span rest = line; (colon = span_find(rest, ':')) < rest.n; rest = span_tail(rest, colon + 1)) {
		struct span left = span_of(line.p, (size_t)(rest.p - line.p) + colon), right = span_tail(rest, colon + 1);
		size_t second = span_find(right, ':');

		if (span_is_empty(left) || left.p[0] != '/' || right.n < 2)
			return;
		if (right.p[0] == ' ') {
			*file = left;
			*text = span_trim(right);
			return;
		}
		if (second + 1 < right.n && right.p[second + 1] == ' ' && span_uint(span_head(right, second), INT32_MAX, &number)) {
			*file = left;
			*at = (int64_t)number;
			*text = span_trim(span_tail(right, second + 1));
			return;
		}
	}
}

static bool
has_word(struct span text, const char *word)
{
	return text.n != 0 && memmem(text.p, text.n, word, strlen(word)) != NULL;
}

static void
print_mistake(struct checking *k, struct span line)
{
	unsigned char room[RECORD_SMALL];
	struct record_writer w;
	struct span file, text;
	struct record r;
	int64_t at;

	take_apart(line, &file, &at, &text);
	record_begin(&w, room, sizeof(room), "mistake");
	record_text(&w, "file", file);
	record_int(&w, "line", at);
	record_bool(&w, "warning", has_word(text, "warning: ") || has_word(text, "=warning"));
	record_text(&w, "text", span_head(text, 3000));
	if (!record_ok(&w) || !record_parse(&r, record_written(&w)))
		return;
	fputs(k->nrecords++ == 0 ? "\n" : ",\n", stdout);
	record_print_json(stdout, &r, true);
}

static void
tell(struct checking *k, const char *file, int status, struct span said)
{
	bool warned = !span_is_empty(said);

	while (!span_is_empty(said)) {
		struct span line = span_head(said, span_find(said, '\n'));

		said = span_tail(said, line.n + 1);
		if (span_is_empty(line))
			continue;
		if (k->json) {
			print_mistake(k, line);
		} else {
			record_print_escaped(stderr, line);
			putc('\n', stderr);
		}
	}
	if (status == EX_OK && !k->json) {
		record_print_escaped(stdout, span_str(file));
		printf(": good%s\n", warned ? ", with warnings" : "");
	}
}

/* The same file with its whole path. Links stay: what it includes is found from where it is said to be. */
static bool
from_root(const char *file, char out[PATH_MAX])
{
	char here[PATH_MAX];

	if (file[0] == '/')
		return snprintf(out, PATH_MAX, "%s", file) < PATH_MAX;
	return getcwd(here, sizeof(here)) != NULL && snprintf(out, PATH_MAX, "%s/%s", here, file) < PATH_MAX;
}

static int
check_file(struct checking *k, const struct reader *r, const char *file)
{
	char absolute[PATH_MAX], *said;
	struct stat st;
	size_t n;
	int status;

	if (stat(file, &st) == -1 || !from_root(file, absolute)) {
		fprintf(stderr, "sallyportctl: check: %s: %s\n", file, strerror(errno));
		return EX_NOINPUT;
	}
	if (S_ISDIR(st.st_mode)) {
		fprintf(stderr, "sallyportctl: check: %s: is a directory\n", file);
		return EX_NOINPUT;
	}
	status = run_reader(r, absolute, &said, &n);
	tell(k, file, status, span_of(said, n));
	free(said);
	if (status == EX_OK || status == EX_CONFIG || status == EX_UNAVAILABLE)
		return status;
	fprintf(stderr, "sallyportctl: check: %s could not look at %s\n", r->program, file);
	return EX_SOFTWARE;
}

/* ---- which ---- */

/* By its name: the kind stands in it. */
static const struct reader *
reader_of(const char *file)
{
	const char *slash = strrchr(file, '/'), *name = slash != NULL ? slash + 1 : file;

	for (size_t i = 0; i < NREADERS; i++)
		if (strstr(name, readers[i].kind) != NULL)
			return &readers[i];
	return NULL;
}

static void
check_all(struct checking *k, const struct reader *only)
{
	bool any = false;

	for (size_t i = 0; i < (only != NULL ? NREADERS : NDAEMONS); i++) {
		int status;

		if ((only != NULL && only != &readers[i]) || (only == NULL && access(readers[i].file, F_OK) == -1))
			continue;
		any = true;
		status = check_file(k, &readers[i], readers[i].file);
		k->status = k->status == EX_OK ? status : k->status;
	}
	if (!any) {
		fprintf(stderr, "sallyportctl: check: there is no configuration in %s; \"sallyportctl init\" writes one\n", SYSCONFDIR);
		k->status = EX_NOINPUT;
	}
}

static void
check_files(struct checking *k, const struct reader *only, int n, char **files)
{
	for (int i = 0; i < n; i++) {
		const struct reader *r = only != NULL ? only : reader_of(files[i]);
		int status = EX_USAGE;

		if (r == NULL)
			fprintf(stderr, "sallyportctl: check: the name of %s does not say what it is; "
			    "say --edge, --director, --admin or --policy\n", files[i]);
		else
			status = check_file(k, r, files[i]);
		k->status = k->status == EX_OK ? status : k->status;
	}
}

int
ctl_check(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "edge", no_argument, NULL, '0' }, { "director", no_argument, NULL, '1' }, { "admin", no_argument, NULL, '2' },
		{ "policy", no_argument, NULL, '3' }, { "json", no_argument, NULL, 'j' }, { "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 }
	};
	const struct reader *only = NULL;
	struct checking k = { .status = EX_OK };
	int c;

	optind = 0;
	opterr = 0;
	while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		if (c == 'h')
			return usage(stdout);
		if (c == 'j')
			k.json = true;
		else if (c >= '0' && c <= '3')
			only = &readers[c - '0'];
		else
			return ctl_misused("check does not know", argv[optind - 1]);
	}
	if (k.json)
		fputs("{\"records\":[", stdout);
	if (optind == argc)
		check_all(&k, only);
	else
		check_files(&k, only, argc - optind, argv + optind);
	if (k.json)
		printf("%s],\"cut\":false,\"status\":%d,\"message\":null}\n", k.nrecords != 0 ? "\n" : "", k.status);
	return ctl_finish(k.status);
}
