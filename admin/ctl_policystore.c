/*
 * admin/ctl_policystore.c - sallyportctl policy: looking at versions, and changing what is in force.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "admin/ctl.h"
#include "admin/ctl_store.h"
#include "admin/policydiff.h"
#include "admin/policyedit.h"
#include "admin/record.h"
#include "common/err.h"
#include "common/mem.h"

static int
misused(struct ctl_store *s, const char *what, const char *arg)
{
	ctl_store_end(s, SP_OK, EX_OK);
	return ctl_misused(what, arg);
}

static bool
is_version(const char *text, uint64_t *out)
{
	return span_uint(span_str(text), INT64_MAX, out) && *out != 0;
}

/* ---- looking ---- */

static void
print_text(const struct policystore_text *t, bool json)
{
	if (!json) {
		fwrite(t->text, 1, t->n, stdout);
		return;
	}
	fputs("{\"change\": ", stdout);
	ctl_print_change(&t->change, true);
	fputs(", \"text\": ", stdout);
	record_print_json_text(stdout, policystore_span(t));
	puts("}");
}

int
ctl_policy_show(int argc, char **argv)
{
	struct policystore_text t = { .text = NULL };
	struct ctl_store s;
	uint64_t number;
	int status, err;

	if (!ctl_store_open(&s, "policy show", "Usage: sallyportctl policy show [VERSION] [OPTION]...\n"
	    "Print the policy in force, or a version of it.\n\n", argc, argv, 1, &status))
		return status;
	if (optind < argc && !is_version(argv[optind], &number))
		return misused(&s, "expects the number of a version, not", argv[optind]);
	err = optind < argc ? policystore_version(s.store, number, &t, s.errs) : policystore_current(s.store, &t, s.errs);
	if (err == SP_OK)
		print_text(&t, s.json);
	policystore_text_fini(&t);
	return ctl_store_end(&s, err, EX_DATAERR);
}

struct listing {
	bool	 json;
	size_t	 n;
};

static void
list_change(void *arg, const struct policy_change *c)
{
	struct listing *l = arg;

	if (l->json)
		fputs(l->n != 0 ? ",\n  " : "\n  ", stdout);
	ctl_print_change(c, l->json);
	l->n++;
}

/* What a running edge obeys: somebody may have been interrupted before it was told. */
static void
tell_obeyed(struct ctl_store *s)
{
	struct policytell_obeyed o;
	struct policy_change c;
	char text[256];
	bool differs;

	if (s->no_edge || policytell_ask(&s->tell, &o) != SP_OK || o.sha256[0] == '\0') {
		if (s->json)
			fputs(", \"edge\": null", stdout);
		return;
	}
	differs = policytell_differs(s->store, o.sha256, text, sizeof(text));
	if (s->json) {
		printf(", \"edge\": {\"sha256\": \"%s\", \"version\": ", o.sha256);
		if (policystore_which(s->store, o.sha256, &c) == SP_OK)
			printf("%" PRIu64, c.version);
		else
			fputs("null", stdout);
		printf(", \"current\": %s}", differs ? "false" : "true");
	}
	if (differs)
		fprintf(stderr, "sallyportctl: %s\n", text);
}

int
ctl_policy_history(int argc, char **argv)
{
	struct listing l = { .n = 0 };
	struct ctl_store s;
	int status, err;

	if (!ctl_store_open(&s, "policy history", "Usage: sallyportctl policy history [--max N] [OPTION]...\n"
	    "List the versions, the newest first.\n\n"
	    "  --max N           at most that many (default 20)\n", argc, argv, 0, &status))
		return status;
	l.json = s.json;
	if (s.json)
		fputs("{\"versions\": [", stdout);
	err = policystore_history(s.store, s.base, s.max, list_change, &l, s.errs);
	if (s.json)
		fputs("\n]", stdout);
	tell_obeyed(&s);
	if (s.json)
		puts("}");
	return ctl_store_end(&s, err, EX_DATAERR);
}

/* ---- diff ---- */

static void
print_line(void *arg, char mark, size_t line, struct span text)
{
	(void)arg;
	(void)line;
	if (mark == '@')
		printf("@@ %.*s @@\n", SPAN_FMT(text));
	else
		printf("%c%.*s\n", mark, SPAN_FMT(text));
}

static void
print_line_json(void *arg, char mark, size_t line, struct span text)
{
	struct listing *l = arg;

	printf("%s\n  {\"mark\": \"%c\", \"line\": %zu, \"text\": ", l->n++ != 0 ? "," : "", mark, line);
	record_print_json_text(stdout, text);
	putchar('}');
}

static void
json_member(const char *name, const char *value)
{
	if (value == NULL)
		return;
	printf(", \"%s\": ", name);
	record_print_json_text(stdout, span_str(value));
}

static void
print_diff_json(const struct policydiff *d, struct span was, struct span now)
{
	struct listing l = { .json = true };

	fputs("{\"differences\": [", stdout);
	for (size_t i = 0; i < policydiff_count(d); i++) {
		const struct policydiff_entry *e = policydiff_get(d, i);

		printf("%s\n  {\"kind\": \"%s\"", i != 0 ? "," : "", policydiff_kind_name(e->kind));
		json_member("list", e->list);
		json_member("group", e->group);
		json_member("option", e->option);
		json_member("was", e->was);
		json_member("now", e->now);
		putchar('}');
	}
	fputs("\n], \"lines\": [", stdout);
	policydiff_lines(was, now, print_line_json, &l);
	puts("\n]}");
}

void
ctl_print_diff(const struct policydiff *d, struct span was, struct span now, bool json, bool lines)
{
	if (json) {
		print_diff_json(d, was, now);
		return;
	}
	if (policydiff_count(d) == 0)
		puts(span_eq(was, now) ? "no difference" : "no difference in what they say");
	for (size_t i = 0; i < policydiff_count(d); i++) {
		char text[2048];
		struct strbuf sb;

		strbuf_init(&sb, text, sizeof(text));
		policydiff_say(policydiff_get(d, i), &sb);
		puts(text);
	}
	if (lines && !span_eq(was, now)) {
		putchar('\n');
		policydiff_lines(was, now, print_line, NULL);
	}
}

/* The two texts that are meant. *name: what the newer is called. */
static int
read_both(struct ctl_store *s, int argc, char **argv, struct policystore_text *was, struct policystore_text *now)
{
	uint64_t from = 0, to = 0;
	int err;

	if (optind < argc && !is_version(argv[optind], &from))
		return ctl_misused("expects the number of a version, not", argv[optind]);
	if (optind + 1 < argc && !is_version(argv[optind + 1], &to))
		return ctl_misused("expects the number of a version, not", argv[optind + 1]);
	err = from != 0 ? policystore_version(s->store, from, was, s->errs) : policystore_current(s->store, was, s->errs);
	if (err != SP_OK)
		return err;
	return to != 0 ? policystore_version(s->store, to, now, s->errs) :
	    from != 0 ? policystore_current(s->store, now, s->errs) :
	    policystore_candidate(s->store, s->candidate, now, s->errs);
}

int
ctl_policy_diff(int argc, char **argv)
{
	struct policystore_text was = { .text = NULL }, now = { .text = NULL };
	struct policydiff *d = NULL;
	struct ctl_store s;
	char *dir;
	int status, err;

	if (!ctl_store_open(&s, "policy diff", "Usage: sallyportctl policy diff [--lines] [FROM [TO]] [OPTION]...\n"
	    "What the candidate says other than the policy in force; what that says other\n"
	    "than version FROM; or version TO other than FROM.\n\n"
	    "  --lines           the lines of the text as well\n", argc, argv, 2, &status))
		return status;
	err = read_both(&s, argc, argv, &was, &now);
	if (err == EX_USAGE) {
		ctl_store_end(&s, SP_OK, EX_OK);
		return EX_USAGE;
	}
	if (err == SP_OK) {
		const char *slash = strrchr(s.policy, '/');

		dir = slash != NULL ? xmemdup(s.policy, slash == s.policy ? 1 : (size_t)(slash - s.policy)) : NULL;
		d = policydiff_new("the older", policystore_span(&was), "the newer", policystore_span(&now), dir, s.errs);
		free(dir);
		err = d != NULL ? SP_OK : SP_EINVAL;
	}
	if (err == SP_OK)
		ctl_print_diff(d, policystore_span(&was), policystore_span(&now), s.json, s.lines);
	policydiff_free(d);
	policystore_text_fini(&was);
	policystore_text_fini(&now);
	return ctl_store_end(&s, err, EX_CONFIG);
}

/* ---- changing what is in force ---- */

int
ctl_policy_commit(int argc, char **argv)
{
	struct ctl_store s;
	uint64_t version;
	int status, err;

	if (!ctl_store_open(&s, "policy commit", "Usage: sallyportctl policy commit [--note TEXT] [OPTION]...\n"
	    "Make the candidate the policy in force. If somebody else has changed that since\n"
	    "the candidate was begun, nothing happens, and you hear what they did (status 75).\n\n", argc, argv, 0, &status))
		return status;
	if ((err = policystore_commit(s.store, s.candidate, &s.who, &version, s.errs)) == SP_OK)
		ctl_print_done(&s, POLICY_COMMIT, version);
	return ctl_store_end(&s, err, EX_CONFIG);
}

int
ctl_policy_discard(int argc, char **argv)
{
	struct ctl_store s;
	int status, err;

	if (!ctl_store_open(&s, "policy discard", "Usage: sallyportctl policy discard [OPTION]...\n"
	    "Throw the candidate away.\n\n", argc, argv, 0, &status))
		return status;
	err = policystore_candidate_discard(s.store, s.candidate, &s.who, s.errs);
	return ctl_store_end(&s, err, EX_DATAERR);
}

int
ctl_policy_rollback(int argc, char **argv)
{
	struct ctl_store s;
	uint64_t number, version;
	int status, err;

	if (!ctl_store_open(&s, "policy rollback", "Usage: sallyportctl policy rollback VERSION [--note TEXT] [OPTION]...\n"
	    "Make the text of that version the policy in force again, as a new version.\n\n", argc, argv, 1, &status))
		return status;
	if (optind == argc)
		return misused(&s, "policy rollback expects VERSION, as \"policy history\" numbers them", NULL);
	if (!is_version(argv[optind], &number))
		return misused(&s, "expects the number of a version, not", argv[optind]);
	if ((err = policystore_rollback(s.store, number, &s.who, &version, s.errs)) == SP_OK)
		ctl_print_done(&s, POLICY_ROLLBACK, version);
	return ctl_store_end(&s, err, EX_CONFIG);
}

/* ---- one step: block, unblock, pause, resume ---- */

struct step {
	struct policyedit	 edit;
	enum policy_action	 action;
	const char		*what;
	char			 text[256];
};

static int
edit(void *arg, struct span text, char **out, size_t *n, struct conf_errors *errs)
{
	struct step *st = arg;

	st->edit.text = text;
	switch (st->action) {
	case POLICY_BLOCK:
		return policyedit_block(&st->edit, st->what, out, n, errs);
	case POLICY_UNBLOCK:
		return policyedit_unblock(&st->edit, st->what, out, n, errs);
	default:
		return policyedit_pause(&st->edit, st->what, st->action == POLICY_PAUSE, out, n, errs);
	}
}

static int
one_step(enum policy_action action, const char *command, const char *usage, const char *missing, int argc, char **argv)
{
	struct step st = { .action = action };
	struct ctl_store s;
	const char *slash;
	uint64_t version;
	char *dir;
	int status, err;

	if (!ctl_store_open(&s, command, usage, argc, argv, 1, &status))
		return status;
	if (optind == argc)
		return misused(&s, missing, NULL);
	st.what = argv[optind];
	slash = strrchr(s.policy, '/');
	dir = slash != NULL ? xmemdup(s.policy, slash == s.policy ? 1 : (size_t)(slash - s.policy)) : NULL;
	st.edit = (struct policyedit){ .name = s.policy, .dir = dir };
	if (s.note == NULL && strlen(st.what) < sizeof(st.text)) {
		/* what was done is worth a note when nobody says why */
		snprintf(st.text, sizeof(st.text), "%s", st.what);
		if (policy_change_note_ok(span_str(st.text)))
			s.who.note = st.text;
	}
	if ((err = policystore_amend(s.store, action, edit, &st, &s.who, &version, s.errs)) == SP_OK)
		ctl_print_done(&s, action, version);
	free(dir);
	return ctl_store_end(&s, err, EX_DATAERR);
}

int
ctl_block(int argc, char **argv)
{
	return one_step(POLICY_BLOCK, "block", "Usage: sallyportctl block DOMAIN [--note TEXT] [OPTION]...\n"
	    "Block a domain, with all domains below it, in both directions, at once.\n\n", "block expects DOMAIN", argc, argv);
}

int
ctl_unblock(int argc, char **argv)
{
	return one_step(POLICY_UNBLOCK, "unblock", "Usage: sallyportctl unblock DOMAIN [--note TEXT] [OPTION]...\n"
	    "Take a domain off the block list.\n\n", "unblock expects DOMAIN", argc, argv);
}

int
ctl_partner_pause(int argc, char **argv)
{
	bool pause = strcmp(argv[0], "pause") == 0;

	return one_step(pause ? POLICY_PAUSE : POLICY_RESUME, pause ? "partner pause" : "partner resume",
	    pause ? "Usage: sallyportctl partner pause NAME [--note TEXT] [OPTION]...\n"
	    "Nothing passes to and from that partner or provider until it is resumed.\n\n" :
	    "Usage: sallyportctl partner resume NAME [--note TEXT] [OPTION]...\n"
	    "What was paused passes again.\n\n", pause ? "partner pause expects NAME" : "partner resume expects NAME", argc, argv);
}

/* ---- audit ---- */

static int
verify(int argc, char **argv)
{
	struct ctl_store s;
	uint64_t n = 0;
	int status, err;

	if (!ctl_store_open(&s, "policy audit verify", "Usage: sallyportctl policy audit verify [--known HASH] [OPTION]...\n"
	    "Look for lines of the log that were changed, taken out, put in or moved, and for\n"
	    "versions that are not what the log says.\n\n"
	    "  --known HASH      what \"audit head\" has printed earlier: must be a line of it\n\n",
	    argc, argv, 0, &status))
		return status;
	err = policystore_audit_verify(s.store, s.known, &n, s.errs);
	if (s.json)
		printf("{\"good\": %s, \"lines\": %" PRIu64 "}\n", err == SP_OK ? "true" : "false", n);
	else if (err == SP_OK)
		printf("good, %" PRIu64 " lines\n", n);
	return ctl_store_end(&s, err, EX_DATAERR);
}

static int
head(int argc, char **argv)
{
	struct ctl_store s;
	char hash[POLICY_HASH_TEXT] = "";
	uint64_t n = 0;
	int status, err;

	if (!ctl_store_open(&s, "policy audit head", "Usage: sallyportctl policy audit head [OPTION]...\n"
	    "Print the hash of the log's last line. Kept where nobody can change it, it proves\n"
	    "later (\"verify --known\") that no line up to it is missing.\n\n", argc, argv, 0, &status))
		return status;
	if ((err = policystore_audit_head(s.store, hash, &n, s.errs)) == SP_OK && s.json)
		printf("{\"hash\": \"%s\", \"lines\": %" PRIu64 "}\n", hash, n);
	else if (err == SP_OK)
		puts(hash);
	return ctl_store_end(&s, err, EX_DATAERR);
}

static void
list_record(void *arg, const struct policy_record *r)
{
	struct listing *l = arg;

	if (l->json)
		printf("%s\n  {\"n\": %" PRIu64 ", \"hash\": \"%s\", \"change\": ", l->n != 0 ? "," : "", r->n, r->hash);
	ctl_print_change(&r->change, l->json);
	if (l->json)
		putchar('}');
	l->n++;
}

static int
show_log(int argc, char **argv)
{
	struct listing l = { .n = 0 };
	struct ctl_store s;
	int status, err;

	if (!ctl_store_open(&s, "policy audit log", "Usage: sallyportctl policy audit log [OPTION]...\n"
	    "Print who did what, the oldest first. Version 0: of a candidate.\n\n", argc, argv, 0, &status))
		return status;
	l.json = s.json;
	if (s.json)
		fputs("{\"log\": [", stdout);
	err = policystore_audit_each(s.store, 1, list_record, &l, s.errs);
	if (s.json)
		puts("\n]}");
	return ctl_store_end(&s, err, EX_DATAERR);
}

static const struct ctl_command audit_commands[] = {
	{ "verify", verify, NULL },
	{ "head", head, NULL },
	{ "log", show_log, NULL },
	{ NULL, NULL, NULL }
};

int
ctl_policy_audit(int argc, char **argv)
{
	static const char usage[] = "Usage: sallyportctl policy audit verify [--known HASH] [OPTION]...\n"
	    "       sallyportctl policy audit head [OPTION]...\n"
	    "       sallyportctl policy audit log [OPTION]...\n"
	    "The log of all changes: is it whole; the hash of its last line; who did what.\n\n";

	if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		fputs(usage, argc < 2 ? stderr : stdout);
		fputs(ctl_store_help, argc < 2 ? stderr : stdout);
		return argc < 2 ? EX_USAGE : ctl_finish(EX_OK);
	}
	return ctl_run(audit_commands, "policy audit has no command", argc - 1, argv + 1);
}
