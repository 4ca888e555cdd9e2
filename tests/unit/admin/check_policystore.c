/*
 * check_policystore.c - versions, candidates, conflicts, the log: what a second
 * administrator, a careless one and a dishonest one find.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/policystore.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/mem.h"
#include "tests/unit/unit.h"

#define BASE	"internal_domains = [ \"contoso.example\" ];\ninternal_servers = [ \"director.contoso.example\" ];\n"

/* A store of its own for each test, gone afterwards. */
struct place {
	char			 dir[64], store[96], policy[96];
	struct policystore	*ps;
	struct conf_errors	*errs;
};

static const struct policystore_who alice = { .author = "alice", .note = "why" }, bob = { .author = "bob" };

static void
write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	ck_assert_msg(f != NULL, "%s: %s", path, strerror(errno));
	fputs(text, f);
	fclose(f);
}

static char *
read_file(const char *path, size_t *n)
{
	char *text = xmalloc(1 << 20);
	FILE *f = fopen(path, "re");

	ck_assert_msg(f != NULL, "%s: %s", path, strerror(errno));
	*n = fread(text, 1, (1 << 20) - 1, f);
	text[*n] = '\0';
	fclose(f);
	return text;
}

static void
begin(struct place *p)
{
	snprintf(p->dir, sizeof(p->dir), "%s/check_policystore.XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(p->dir));
	snprintf(p->store, sizeof(p->store), "%s/store", p->dir);
	snprintf(p->policy, sizeof(p->policy), "%s/policy.conf", p->dir);
	write_file(p->policy, BASE);
	p->errs = conf_errors_new();
	ck_assert_int_eq(policystore_open(&p->ps, p->store, p->policy, p->errs), SP_OK);
}

static void
end(struct place *p)
{
	char command[256];

	policystore_close(p->ps);
	conf_errors_free(p->errs);
	snprintf(command, sizeof(command), "rm -rf '%s'", p->dir);
	ck_assert_int_eq(system(command), 0);
}

static bool
said(const struct place *p, const char *what)
{
	for (size_t i = 0; i < conf_errors_count(p->errs); i++)
		if (strstr(conf_errors_get(p->errs, i), what) != NULL)
			return true;
	conf_errors_print(p->errs, stderr);
	return false;
}

static void
forget(struct place *p)
{
	conf_errors_free(p->errs);
	p->errs = conf_errors_new();
}

static void
file_is(const struct place *p, const char *text)
{
	size_t n;
	char *found = read_file(p->policy, &n);

	ck_assert_str_eq(found, text);
	free(found);
}

static void
set(struct place *p, const char *name, const char *text)
{
	ck_assert_int_eq(policystore_candidate_set(p->ps, name, &alice, 0, NULL, span_str(text), p->errs), SP_OK);
}

static uint64_t
commit(struct place *p, const char *name, const struct policystore_who *who)
{
	uint64_t version = 0;
	int err = policystore_commit(p->ps, name, who, &version, p->errs);

	if (err != SP_OK)
		conf_errors_print(p->errs, stderr);
	ck_assert_int_eq(err, SP_OK);
	return version;
}

START_TEST(life_of_a_policy)
{
	struct place p;
	struct policystore_text t;

	begin(&p);
	ck_assert_int_eq(policystore_current(p.ps, &t, p.errs), SP_OK);
	ck_assert_uint_eq(t.change.version, 1);
	ck_assert_int_eq(t.change.action, POLICY_IMPORT);
	ck_assert_str_eq(t.text, BASE);
	policystore_text_fini(&t);
	set(&p, "alice", BASE "federation = true;\n");
	file_is(&p, BASE);
	ck_assert_uint_eq(commit(&p, "alice", &alice), 2);
	file_is(&p, BASE "federation = true;\n");
	ck_assert_int_eq(policystore_candidate(p.ps, "alice", &t, p.errs), SP_ENOENT);
	ck_assert_int_eq(policystore_rollback(p.ps, 1, &bob, NULL, p.errs), SP_OK);
	file_is(&p, BASE);
	ck_assert_int_eq(policystore_version(p.ps, 3, &t, p.errs), SP_OK);
	ck_assert_str_eq(t.change.note, "back to version 1");
	ck_assert_uint_eq(t.change.parent, 2);
	policystore_text_fini(&t);
	ck_assert_int_eq(policystore_rollback(p.ps, 1, &bob, NULL, p.errs), SP_EEXIST);
	ck_assert_int_eq(policystore_rollback(p.ps, 9, &bob, NULL, p.errs), SP_ENOENT);
	ck_assert_int_eq(policystore_audit_verify(p.ps, NULL, NULL, p.errs), SP_OK);
	end(&p);
}
END_TEST

/* The second one hears what the first has done, and loses nothing. */
START_TEST(two_at_once)
{
	struct place p;
	struct policystore_text t;

	begin(&p);
	set(&p, "a", BASE "federation = true;\n");
	set(&p, "b", "# head\n" BASE);
	commit(&p, "a", &alice);
	ck_assert_int_eq(policystore_commit(p.ps, "b", &bob, NULL, p.errs), SP_EAGAIN);
	ck_assert(said(&p, "version 2 is in force (commit by alice"));
	ck_assert(said(&p, "federation: false -> true"));
	file_is(&p, BASE "federation = true;\n");
	ck_assert_int_eq(policystore_candidate(p.ps, "b", &t, p.errs), SP_OK);
	ck_assert_str_eq(t.text, "# head\n" BASE);
	policystore_text_fini(&t);
	ck_assert_int_eq(policystore_candidate_rebase(p.ps, "b", &bob, p.errs), SP_OK);
	ck_assert_int_eq(policystore_candidate_rebase(p.ps, "b", &bob, p.errs), SP_EEXIST);
	ck_assert_uint_eq(commit(&p, "b", &bob), 3);
	file_is(&p, "# head\n" BASE "federation = true;\n");
	/* both in one line: nobody but a person can say what is right */
	set(&p, "a", "# head\n" BASE "federation = false;\n");
	set(&p, "b", "# head\n" BASE "federation = true; ip_literals = true;\n");
	commit(&p, "a", &alice);
	forget(&p);
	ck_assert_int_eq(policystore_candidate_rebase(p.ps, "b", &bob, p.errs), SP_EAGAIN);
	ck_assert(said(&p, "candidate:4: was changed in the version in force as well"));
	end(&p);
}
END_TEST

/* Two windows of one editor: the later save does not overwrite what it has not seen. */
START_TEST(one_candidate_twice)
{
	struct place p;
	struct policystore_text t;

	begin(&p);
	ck_assert_int_eq(policystore_candidate_set(p.ps, "a", &alice, 0, "", span_str("x"), p.errs), SP_OK);
	ck_assert_int_eq(policystore_candidate(p.ps, "a", &t, p.errs), SP_OK);
	ck_assert_int_eq(policystore_candidate_set(p.ps, "a", &alice, 0, t.change.sha256, span_str("y"), p.errs), SP_OK);
	ck_assert_int_eq(policystore_candidate_set(p.ps, "a", &alice, 0, t.change.sha256, span_str("z"), p.errs), SP_EAGAIN);
	ck_assert_int_eq(policystore_candidate_set(p.ps, "a", &alice, 0, "", span_str("z"), p.errs), SP_EAGAIN);
	ck_assert_int_eq(policystore_candidate_discard(p.ps, "a", &alice, p.errs), SP_OK);
	ck_assert_int_eq(policystore_candidate_set(p.ps, "a", &alice, 0, t.change.sha256, span_str("z"), p.errs), SP_EAGAIN);
	ck_assert_int_eq(policystore_candidate_discard(p.ps, "a", &alice, p.errs), SP_ENOENT);
	ck_assert_int_eq(policystore_candidate_set(p.ps, "a", &alice, 7, NULL, span_str("z"), p.errs), SP_ENOENT);
	policystore_text_fini(&t);
	end(&p);
}
END_TEST

START_TEST(edits_by_hand)
{
	struct place p;
	struct policystore_text t;

	begin(&p);
	set(&p, "a", BASE "federation = true;\n");
	write_file(p.policy, BASE "ip_literals = true;\n");
	ck_assert_int_eq(policystore_commit(p.ps, "a", &alice, NULL, p.errs), SP_EAGAIN);
	ck_assert(said(&p, "hand-edit by hand edit"));
	ck_assert_ptr_nonnull(strstr(policystore_news(p.ps), "was edited by hand; that is version 2"));
	file_is(&p, BASE "ip_literals = true;\n");
	/* one with mistakes is kept as well, and can't be gone back to */
	write_file(p.policy, "nonsense");
	ck_assert_int_eq(policystore_current(p.ps, &t, p.errs), SP_OK);
	ck_assert_uint_eq(t.change.version, 3);
	ck_assert_str_eq(t.change.note, "has mistakes");
	policystore_text_fini(&t);
	ck_assert_int_eq(policystore_rollback(p.ps, 2, &alice, NULL, p.errs), SP_OK);
	ck_assert_ptr_null(policystore_news(p.ps));
	ck_assert_int_eq(policystore_rollback(p.ps, 3, &alice, NULL, p.errs), SP_EINVAL);
	file_is(&p, BASE "ip_literals = true;\n");
	ck_assert_int_eq(policystore_audit_verify(p.ps, NULL, NULL, p.errs), SP_OK);
	end(&p);
}
END_TEST

START_TEST(mistakes_change_nothing)
{
	static const char *const names[] = { "", ".", "..", ".a", "a/b", "a b", "\xc3\xa4", "../../etc/passwd",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };
	static const char *const authors[] = { "", "a\nb", "a\x7f", "\xff", "\xe2\x80\xae", "\xc0\xaf",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };
	char note[POLICY_CHANGE_NOTE + 2];
	struct policystore_who who = alice;
	struct place p;

	begin(&p);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		ck_assert_int_eq(policystore_candidate_set(p.ps, names[i], &alice, 0, NULL, span_str("x"), p.errs), SP_EINVAL);
	for (size_t i = 0; i < sizeof(authors) / sizeof(authors[0]); i++) {
		who.author = authors[i];
		ck_assert_int_eq(policystore_candidate_set(p.ps, "a", &who, 0, NULL, span_str("x"), p.errs), SP_EINVAL);
	}
	memset(note, 'n', sizeof(note) - 1);
	note[sizeof(note) - 1] = '\0';
	who = alice;
	who.note = note;
	ck_assert_int_eq(policystore_candidate_set(p.ps, "a", &who, 0, NULL, span_str("x"), p.errs), SP_EINVAL);
	who.note = "\xc3\xa4 \"quoted\" \\ and \xe2\x82\xac";
	ck_assert_int_eq(policystore_candidate_set(p.ps, "a", &who, 0, NULL, span_str("x"), p.errs), SP_OK);
	forget(&p);
	ck_assert_int_eq(policystore_commit(p.ps, "a", &alice, NULL, p.errs), SP_EINVAL);
	ck_assert(said(&p, "policy.conf:1:"));
	file_is(&p, BASE);
	ck_assert_int_eq(policystore_audit_verify(p.ps, NULL, NULL, p.errs), SP_OK);
	end(&p);
}
END_TEST

static int
refuse(void *arg, const struct policy_change *c, struct span text, struct conf_errors *errs)
{
	struct place *p = arg;
	size_t n;
	char *found = read_file(p->policy, &n);

	/* it is in its place when the edge hears of it */
	ck_assert(span_eq(span_of(found, n), text));
	ck_assert_uint_eq(c->version, 2);
	free(found);
	conf_error(errs, NULL, 0, "no such thing");
	return SP_ECLOSED;
}

START_TEST(refused_by_the_edge)
{
	struct policystore_who who = { .author = "alice", .apply = refuse };
	struct place p;
	struct policystore_text t;
	struct stat st;

	begin(&p);
	ck_assert_int_eq(chmod(p.policy, 0604), 0);
	who.arg = &p;
	set(&p, "a", BASE "federation = true;\n");
	ck_assert_int_eq(policystore_commit(p.ps, "a", &who, NULL, p.errs), SP_ECLOSED);
	ck_assert(said(&p, "no such thing"));
	file_is(&p, BASE);
	ck_assert_int_eq(policystore_candidate(p.ps, "a", &t, p.errs), SP_OK);
	policystore_text_fini(&t);
	ck_assert_int_eq(policystore_version(p.ps, 2, &t, p.errs), SP_ENOENT);
	/* its number is never given again */
	ck_assert_uint_eq(commit(&p, "a", &alice), 3);
	ck_assert_int_eq(stat(p.policy, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0604);
	ck_assert_int_eq(policystore_audit_verify(p.ps, NULL, NULL, p.errs), SP_OK);
	end(&p);
}
END_TEST

/* The file may be a link: what it leads to is replaced. */
START_TEST(links_are_followed)
{
	struct place p;
	char real[96];
	struct stat st;
	size_t n;
	char *text;

	begin(&p);
	snprintf(real, sizeof(real), "%s/real.conf", p.dir);
	ck_assert_int_eq(rename(p.policy, real), 0);
	ck_assert_int_eq(symlink("real.conf", p.policy), 0);
	set(&p, "a", BASE "federation = true;\n");
	commit(&p, "a", &alice);
	ck_assert_int_eq(lstat(p.policy, &st), 0);
	ck_assert(S_ISLNK(st.st_mode));
	text = read_file(real, &n);
	ck_assert_str_eq(text, BASE "federation = true;\n");
	free(text);
	end(&p);
}
END_TEST

static void
make_history(struct place *p)
{
	begin(p);
	set(p, "a", BASE "federation = true;\n");
	commit(p, "a", &alice);
	set(p, "a", BASE "ip_literals = true;\n");
	ck_assert_int_eq(policystore_candidate_discard(p->ps, "a", &alice, p->errs), SP_OK);
	ck_assert_int_eq(policystore_rollback(p->ps, 1, &bob, NULL, p->errs), SP_OK);
	ck_assert_int_eq(policystore_audit_verify(p->ps, NULL, NULL, p->errs), SP_OK);
}

/* Each byte of the log in turn is another one: found, whichever it is. */
START_TEST(every_byte_counts)
{
	struct place p;
	char log[128], *text;
	size_t n;

	make_history(&p);
	snprintf(log, sizeof(log), "%s/audit.log", p.store);
	text = read_file(log, &n);
	for (size_t i = 0; i < n; i++) {
		text[i] ^= 1;
		write_file(log, text);
		ck_assert_msg(policystore_audit_verify(p.ps, NULL, NULL, p.errs) == SP_ESYNTAX, "byte %zu is another, unseen", i);
		text[i] ^= 1;
	}
	write_file(log, text);
	ck_assert_int_eq(policystore_audit_verify(p.ps, NULL, NULL, p.errs), SP_OK);
	free(text);
	end(&p);
}
END_TEST

/* Lines taken out, doubled, in another order; the log cut anywhere. */
START_TEST(lines_out_of_order)
{
	struct place p;
	char log[128], *text, *other, *line[16];
	size_t n, lines = 0;

	make_history(&p);
	snprintf(log, sizeof(log), "%s/audit.log", p.store);
	text = read_file(log, &n);
	for (size_t cut = 0; cut < n; cut++) {
		ck_assert_int_eq(truncate(log, (off_t)cut), 0);
		ck_assert_msg(policystore_audit_verify(p.ps, NULL, NULL, p.errs) == SP_ESYNTAX, "cut at %zu, unseen", cut);
		write_file(log, text);
	}
	for (char *s = strtok(xstrdup(text), "\n"); s != NULL && lines < 16; s = strtok(NULL, "\n"))
		line[lines++] = s;
	ck_assert_uint_ge(lines, 5);
	other = xmalloc(2 * n + 2);
	for (size_t i = 0; i < lines; i++) {
		for (int way = 0; way < 3; way++) {
			other[0] = '\0';
			for (size_t j = 0; j < lines; j++) {
				size_t k = way == 2 && j == i ? (i + 1) % lines : way == 2 && j == (i + 1) % lines ? i : j;

				if (way == 0 && j == i)
					continue;		/* taken out */
				strcat(strcat(other, line[k]), "\n");
				if (way == 1 && j == i)
					strcat(strcat(other, line[k]), "\n");	/* doubled */
			}
			write_file(log, other);
			ck_assert_msg(policystore_audit_verify(p.ps, NULL, NULL, p.errs) == SP_ESYNTAX,
			    "line %zu, way %d, unseen", i, way);
		}
	}
	free(line[0]);
	free(other);
	free(text);
	end(&p);
}
END_TEST

/* Whoever cuts the log and writes the head anew is found by a hash that was kept elsewhere. */
START_TEST(a_known_hash)
{
	struct place p, before;
	char hash[POLICY_HASH_TEXT], command[512];
	uint64_t n;

	make_history(&p);
	ck_assert_int_eq(policystore_audit_head(p.ps, hash, &n, p.errs), SP_OK);
	ck_assert_uint_eq(n, 6);
	snprintf(command, sizeof(command), "cp -r '%s' '%s.old'", p.store, p.store);
	ck_assert_int_eq(system(command), 0);
	before = p;
	ck_assert_int_eq(policystore_rollback(p.ps, 2, &bob, NULL, p.errs), SP_OK);
	ck_assert_int_eq(policystore_audit_verify(p.ps, hash, &n, p.errs), SP_OK);
	ck_assert_int_eq(policystore_audit_head(p.ps, hash, &n, p.errs), SP_OK);
	/* all of it as it was before the last line: whole in itself */
	snprintf(command, sizeof(command), "rm -r '%s' && mv '%s.old' '%s'", p.store, p.store, p.store);
	ck_assert_int_eq(system(command), 0);
	ck_assert_int_eq(policystore_audit_verify(p.ps, NULL, &n, p.errs), SP_OK);
	ck_assert_int_eq(policystore_audit_verify(p.ps, hash, &n, p.errs), SP_ESYNTAX);
	ck_assert(said(&before, "was cut off before it, or written anew") || said(&p, "was cut off before it, or written anew"));
	end(&p);
}
END_TEST

START_TEST(versions_are_in_the_log)
{
	static const char *const damage[] = {
		"sed -i s/federation/Federation/ versions/000002.conf", "rm versions/000001.conf",
		"sed -i 1s/alice/malice/ versions/000002.conf", "cp versions/000001.conf versions/000004.conf",
		"cp versions/000001.conf versions/000002.conf", "rm audit.head", "echo >> audit.head", ": > audit.head",
		"rm audit.log", "echo n=7 >> audit.log", "printf 'n=8 version' >> audit.log"
	};

	for (size_t i = 0; i < sizeof(damage) / sizeof(damage[0]); i++) {
		struct place p;
		char command[512];

		make_history(&p);
		snprintf(command, sizeof(command), "cd '%s' && %s", p.store, damage[i]);
		ck_assert_int_eq(system(command), 0);
		ck_assert_msg(policystore_audit_verify(p.ps, NULL, NULL, p.errs) == SP_ESYNTAX, "unseen: %s", damage[i]);
		file_is(&p, BASE);
		end(&p);
	}
}
END_TEST

/* A crash in the middle of writing a line leaves some of it: no damage, and written over. */
START_TEST(half_a_line)
{
	struct place p;
	char log[128], head[128], *old_head, *whole;
	size_t n, m, k;

	make_history(&p);
	snprintf(log, sizeof(log), "%s/audit.log", p.store);
	snprintf(head, sizeof(head), "%s/audit.head", p.store);
	free(read_file(log, &n));
	old_head = read_file(head, &k);
	set(&p, "b", "x");
	whole = read_file(log, &m);
	for (size_t cut = n; cut <= m; cut++) {
		write_file(log, whole);
		ck_assert_int_eq(truncate(log, (off_t)cut), 0);
		write_file(head, old_head);
		ck_assert_msg(policystore_audit_verify(p.ps, NULL, NULL, p.errs) == SP_OK, "%zu bytes of the line", cut - n);
		set(&p, "b", "y");
		ck_assert_msg(policystore_audit_verify(p.ps, NULL, NULL, p.errs) == SP_OK, "after %zu bytes of the line", cut - n);
	}
	free(whole);
	free(old_head);
	end(&p);
}
END_TEST

START_TEST(somebody_has_the_lock)
{
	struct place p;
	struct policystore_text t;
	char path[128];
	int fd;

	begin(&p);
	ck_assert_int_eq(policystore_current(p.ps, &t, p.errs), SP_OK);
	policystore_text_fini(&t);
	snprintf(path, sizeof(path), "%s/lock", p.store);
	fd = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(flock(fd, LOCK_EX), 0);
	ck_assert_int_eq(policystore_current(p.ps, &t, p.errs), SP_ETIME);
	ck_assert(said(&p, "somebody else is changing the policy"));
	close(fd);
	ck_assert_int_eq(policystore_current(p.ps, &t, p.errs), SP_OK);
	policystore_text_fini(&t);
	end(&p);
}
END_TEST

START_TEST(no_policy_file)
{
	struct place p;
	struct policystore_text t;

	begin(&p);
	unlink(p.policy);
	ck_assert_int_eq(policystore_current(p.ps, &t, p.errs), SP_ENOENT);
	ck_assert(said(&p, "there is no such file"));
	end(&p);
}
END_TEST

START_TEST(a_line_has_one_form)
{
	static const char *const bad[] = {
		"", "version=1", "version=01 parent=0 time=2026-11-20T15:04:05Z author=\"a\" action=commit sha256="
	};
	struct policy_change c = { .version = 7, .parent = 6, .time = 1795187045, .action = POLICY_COMMIT,
		.author = "al \"ice\" \\", .note = "\xc3\xa4" }, again;
	char text[POLICY_CHANGE_LINE], other[POLICY_CHANGE_LINE];
	struct strbuf sb, so;

	memset(c.sha256, 'a', POLICY_HASH_TEXT - 1);
	strbuf_init(&sb, text, sizeof(text));
	policy_change_format(&c, &sb);
	ck_assert_int_eq(policy_change_parse(strbuf_span_of(&sb), &again), SP_OK);
	strbuf_init(&so, other, sizeof(other));
	policy_change_format(&again, &so);
	ck_assert_str_eq(text, other);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_int_eq(policy_change_parse(span_str(bad[i]), &again), SP_ESYNTAX);
	/* the longest that may be fits */
	memset(c.author, '"', POLICY_CHANGE_AUTHOR);
	memset(c.note, '\\', POLICY_CHANGE_NOTE);
	c.author[POLICY_CHANGE_AUTHOR] = c.note[POLICY_CHANGE_NOTE] = '\0';
	c.version = c.parent = UINT64_MAX;
	{
		struct policy_record r = { .n = UINT64_MAX, .change = c }, back;

		memset(r.prev, 'b', POLICY_HASH_TEXT - 1);
		strbuf_init(&sb, text, sizeof(text));
		policy_record_format(&r, &sb);
		ck_assert(strbuf_ok(&sb));
		ck_assert_int_eq(policy_record_parse(strbuf_span_of(&sb), &back), SP_OK);
	}
}
END_TEST

/* Which version a text is, and what the file is now: by who only looks, so that no version comes of it. */
START_TEST(which_text_it_is)
{
	struct policy_change c;
	char hash[POLICY_HASH_TEXT];
	struct place p;

	begin(&p);
	policy_hash(SPAN_LIT(BASE), hash);
	ck_assert_int_eq(policystore_which(p.ps, hash, &c), SP_ENOENT);
	ck_assert_int_ne(access(p.store, F_OK), 0);
	set(&p, "alice", BASE "federation = true;\n");
	ck_assert_uint_eq(commit(&p, "alice", &alice), 2);
	ck_assert_int_eq(policystore_rollback(p.ps, 1, &bob, NULL, p.errs), SP_OK);
	ck_assert_int_eq(policystore_which(p.ps, hash, &c), SP_OK);
	ck_assert_uint_eq(c.version, 3);
	ck_assert_str_eq(c.author, "bob");
	policy_hash(SPAN_LIT(BASE "federation = true;\n"), hash);
	ck_assert_int_eq(policystore_which(p.ps, hash, &c), SP_OK);
	ck_assert_uint_eq(c.version, 2);
	write_file(p.policy, BASE "federation = false;\n");
	policy_hash(SPAN_LIT(BASE "federation = false;\n"), hash);
	ck_assert_int_eq(policystore_which(p.ps, hash, &c), SP_ENOENT);
	ck_assert_int_eq(policystore_hash_file(p.ps, hash), SP_OK);
	ck_assert_int_eq(policystore_which(p.ps, hash, &c), SP_ENOENT);
	ck_assert_int_eq(unlink(p.policy), 0);
	ck_assert_int_eq(policystore_hash_file(p.ps, hash), SP_EIO);
	end(&p);
}
END_TEST

/* ---- root, in directories of the admin page's account ---- */

#define SOMEBODY	65534

static uid_t
owner_of(const struct place *p, const char *file)
{
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", p->dir, file);
	ck_assert_msg(lstat(path, &st) == 0, "%s: %s", path, strerror(errno));
	return st.st_uid;
}

/* A place whose store, and the directory of whose policy, are somebody's. False: this is not root. */
static bool
begin_at_somebodys(struct place *p)
{
	char path[128];

	if (geteuid() != 0)
		return false;
	begin(p);
	policystore_close(p->ps);
	snprintf(path, sizeof(path), "%s/etc", p->dir);
	snprintf(p->policy, sizeof(p->policy), "%s/etc/policy.conf", p->dir);
	ck_assert_int_eq(chmod(p->dir, 0755), 0);
	ck_assert_int_eq(mkdir(path, 0755), 0);
	ck_assert_int_eq(mkdir(p->store, 0755), 0);
	write_file(p->policy, BASE);
	ck_assert_int_eq(chown(path, SOMEBODY, SOMEBODY), 0);
	ck_assert_int_eq(chown(p->store, SOMEBODY, SOMEBODY), 0);
	ck_assert_int_eq(policystore_open(&p->ps, p->store, p->policy, p->errs), SP_OK);
	return true;
}

START_TEST(what_root_makes_is_the_owners)
{
	static const char *const files[] = { "store/lock", "store/versions", "store/candidates", "store/audit.log",
	    "store/audit.head", "store/versions/000002.conf", "etc/policy.conf" };
	struct place p;

	if (!begin_at_somebodys(&p))
		return;
	set(&p, "alice", BASE "federation = true;\n");
	ck_assert_int_eq(policystore_commit(p.ps, "alice", &alice, NULL, p.errs), SP_OK);
	file_is(&p, BASE "federation = true;\n");
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		ck_assert_msg(owner_of(&p, files[i]) == SOMEBODY, "%s is not the owner's", files[i]);
	/* and root is root again */
	write_file(p.policy, BASE);
	ck_assert_int_eq(chown(p.policy, 0, 0), 0);
	end(&p);
}
END_TEST

START_TEST(root_follows_nobodys_links)
{
	char path[128], other[160], roots[128];
	struct policystore_text t;
	struct place p;
	struct stat st;

	if (!begin_at_somebodys(&p))
		return;
	set(&p, "alice", BASE "federation = true;\n");
	snprintf(roots, sizeof(roots), "%s/modprobe.d", p.dir);
	ck_assert_int_eq(mkdir(roots, 0755), 0);
	/* the next version would be a file of somebody's in a directory of root's */
	snprintf(path, sizeof(path), "%s/versions", p.store);
	snprintf(other, sizeof(other), "%s/000001.conf", path);
	snprintf(roots, sizeof(roots), "%s/modprobe.d/000001.conf", p.dir);
	ck_assert_int_eq(rename(other, roots), 0);
	ck_assert_int_eq(rmdir(path), 0);
	snprintf(roots, sizeof(roots), "%s/modprobe.d", p.dir);
	ck_assert_int_eq(symlink(roots, path), 0);
	ck_assert_int_eq(lchown(path, SOMEBODY, SOMEBODY), 0);
	(void)policystore_commit(p.ps, "alice", &alice, NULL, p.errs);
	snprintf(other, sizeof(other), "%s/000002.conf", roots);
	ck_assert_int_eq(lstat(other, &st), -1);
	forget(&p);
	/* what only root may read does not become a version */
	ck_assert_int_eq(unlink(p.policy), 0);
	snprintf(other, sizeof(other), "%s/shadow", p.dir);
	write_file(other, "root:secret\n");
	ck_assert_int_eq(chmod(other, 0600), 0);
	ck_assert_int_eq(symlink(other, p.policy), 0);
	ck_assert_int_eq(policystore_current(p.ps, &t, p.errs), SP_EIO);
	ck_assert(said(&p, "Permission denied"));
	policystore_text_fini(&t);
	end(&p);
}
END_TEST

START_TEST(nobody_else_writes_where_root_works)
{
	static const mode_t modes[] = { 0775, 0757, 01777 };
	struct policystore_text t;
	struct place p;

	if (geteuid() != 0)
		return;
	begin(&p);
	ck_assert_int_eq(policystore_current(p.ps, &t, p.errs), SP_OK);
	policystore_text_fini(&t);
	for (int where = 0; where < 2; where++) {
		const char *dir = where == 0 ? p.store : p.dir;

		ck_assert_int_eq(chown(dir, 0, SOMEBODY), 0);
		for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
			ck_assert_int_eq(chmod(dir, modes[i]), 0);
			ck_assert_int_eq(policystore_current(p.ps, &t, p.errs), SP_EIO);
			ck_assert(said(&p, dir) && said(&p, "others may write in it"));
			policystore_text_fini(&t);
			forget(&p);
		}
		ck_assert_int_eq(chmod(dir, 0755), 0);
		ck_assert_int_eq(policystore_current(p.ps, &t, p.errs), SP_OK);
		policystore_text_fini(&t);
	}
	end(&p);
}
END_TEST

START_TEST(it_can_be_made_before_it_is_used)
{
	struct place p;
	char path[128];

	begin(&p);
	ck_assert_int_eq(unlink(p.policy), 0);
	ck_assert_int_eq(policystore_make(p.ps, p.errs), SP_OK);
	snprintf(path, sizeof(path), "%s/versions", p.store);
	ck_assert_int_eq(access(path, F_OK), 0);
	/* again is no harm, and nobody is locked out */
	ck_assert_int_eq(policystore_make(p.ps, p.errs), SP_OK);
	end(&p);
}
END_TEST

/* ---- arrays ---- */

/* What the other nodes answer. */
static struct {
	int		 err;
	uint64_t	 number;	/* 0: as asked */
	char		 parent[POLICY_HASH_TEXT];
} others;

static int
ask_others(void *arg, struct policy_change *c, const char *parent, struct span text, struct conf_errors *errs)
{
	char hash[POLICY_HASH_TEXT];

	(void)arg;
	policy_hash(text, hash);
	ck_assert_str_eq(c->sha256, hash);
	ck_assert_uint_ne(c->version, 0);
	snprintf(others.parent, sizeof(others.parent), "%s", parent);
	if (others.number != 0)
		c->version = others.number;
	if (others.err != SP_OK)
		conf_error(errs, NULL, 0, "somebody else was faster");
	return others.err;
}

static int
append(void *arg, struct span text, char **out, size_t *n, struct conf_errors *errs)
{
	const char *more = arg;

	(void)errs;
	*n = text.n + strlen(more);
	*out = xmalloc(*n + 1);
	memcpy(*out, text.p, text.n);
	memcpy(*out + text.n, more, strlen(more) + 1);
	return SP_OK;
}

static char more[] = "blocked = [ \"evil.example\" ];\n";

START_TEST(others_are_asked)
{
	const struct policystore_who who = { .author = "alice", .claim = ask_others };
	struct policystore_text now;
	uint64_t version = 0;
	struct place p;

	begin(&p);
	others.err = SP_EAGAIN;
	ck_assert_int_eq(policystore_amend(p.ps, POLICY_BLOCK, append, more, &who, &version, p.errs), SP_EAGAIN);
	ck_assert(said(&p, "somebody else was faster"));
	ck_assert_int_eq(policystore_current(p.ps, &now, p.errs), SP_OK);
	ck_assert_uint_eq(now.change.version, 1);
	ck_assert_str_eq(now.text, BASE);
	ck_assert_str_eq(others.parent, now.change.sha256);
	policystore_text_fini(&now);
	others.err = SP_OK;
	others.number = 7;
	ck_assert_int_eq(policystore_amend(p.ps, POLICY_BLOCK, append, more, &who, &version, p.errs), SP_OK);
	ck_assert_uint_eq(version, 7);
	ck_assert_int_eq(policystore_audit_verify(p.ps, NULL, NULL, p.errs), SP_OK);
	end(&p);
}
END_TEST

static struct policy_change
of_another_node(const char *text, uint64_t version)
{
	struct policy_change c = { .version = version, .parent = version - 1, .time = 1800000000, .action = POLICY_COMMIT, .author = "carol" };

	policy_hash(span_str(text), c.sha256);
	return c;
}

START_TEST(versions_of_others)
{
	static const char theirs[] = BASE "blocked = [ \"theirs.example\" ];\n";
	struct policy_change c = of_another_node(theirs, 5);
	struct policystore_text now, ahead;
	uint64_t version = 0;
	struct place p;

	begin(&p);
	ck_assert_int_eq(policystore_receive(p.ps, &c, span_str(theirs), &version, &ahead, p.errs), SP_OK);
	ck_assert_uint_eq(version, 5);
	ck_assert_int_eq(policystore_current(p.ps, &now, p.errs), SP_OK);
	ck_assert_str_eq(now.text, theirs);
	ck_assert_str_eq(now.change.author, "carol");
	ck_assert_uint_eq(now.change.parent, 1);
	ck_assert(now.change.time == c.time);
	policystore_text_fini(&now);
	/* again: it is there */
	ck_assert_int_eq(policystore_receive(p.ps, &c, span_str(theirs), &version, &ahead, p.errs), SP_EEXIST);
	/* this node went on from there, and is ahead */
	ck_assert_int_eq(policystore_amend(p.ps, POLICY_BLOCK, append, more + 0, &(struct policystore_who){ .author = "bob" }, &version,
	    p.errs), SP_EINVAL);	/* two lists */
	ck_assert_int_eq(policystore_rollback(p.ps, 1, &bob, &version, p.errs), SP_OK);
	ck_assert_uint_eq(version, 6);
	ck_assert_int_eq(policystore_receive(p.ps, &c, span_str(theirs), &version, &ahead, p.errs), SP_EAGAIN);
	ck_assert_uint_eq(ahead.change.version, 6);
	ck_assert_str_eq(ahead.text, BASE);
	policystore_text_fini(&ahead);
	/* the same text, but made anew by somebody: that is later than ours */
	c.time++;
	c.version = 6;
	ck_assert_int_eq(policystore_receive(p.ps, &c, span_str(theirs), &version, &ahead, p.errs), SP_OK);
	ck_assert_uint_eq(version, 7);	/* this store's 6 is another one */
	ck_assert_int_eq(policystore_audit_verify(p.ps, NULL, NULL, p.errs), SP_OK);
	end(&p);
}
END_TEST

START_TEST(bad_versions_of_others)
{
	static const char wrong[] = "nonsense = 1;\n", reads[] = "@include \"/etc/passwd\"\n" BASE;
	struct policystore_text now, ahead;
	struct policy_change c;
	uint64_t version = 0;
	struct place p;

	begin(&p);
	c = of_another_node(wrong, 5);
	ck_assert_int_eq(policystore_receive(p.ps, &c, span_str(wrong), &version, &ahead, p.errs), SP_EINVAL);
	c = of_another_node(reads, 5);
	ck_assert_int_eq(policystore_receive(p.ps, &c, span_str(reads), &version, &ahead, p.errs), SP_EINVAL);
	ck_assert(said(&p, "cannot include files"));
	ck_assert_int_eq(policystore_current(p.ps, &now, p.errs), SP_OK);
	ck_assert_uint_eq(now.change.version, 1);
	policystore_text_fini(&now);
	end(&p);
}
END_TEST

/* What is included is part of a version: it is noticed, kept and comes back; and a commit leaves the @include. */
START_TEST(includes_are_versioned)
{
	static const char with[] = BASE "@include \"more.conf\"\n", again[] = BASE "remote_users = false;\n@include \"more.conf\"\n";
	static const char first[] = "blocked = [ \"spam.example\" ];\n";
	struct policystore_text t, one;
	struct place p;
	char file[96], *text;
	uint64_t version;
	size_t n;

	begin(&p);
	snprintf(file, sizeof(file), "%s/more.conf", p.dir);
	write_file(file, first);
	write_file(p.policy, with);
	ck_assert_int_eq(policystore_current(p.ps, &t, p.errs), SP_OK);
	ck_assert_uint_eq(t.change.version, 1);
	ck_assert_str_eq(t.text, with);
	policystore_text_fini(&t);
	ck_assert_int_eq(policystore_version(p.ps, 1, &one, p.errs), SP_OK);
	ck_assert_str_eq(one.text, BASE "blocked = [ \"spam.example\" ];\n\n");
	/* a change of the other file alone is one of the policy */
	write_file(file, "blocked = [ \"spam.example\", \"worse.example\" ];\n");
	ck_assert_int_eq(policystore_current(p.ps, &t, p.errs), SP_OK);
	ck_assert_uint_eq(t.change.version, 2);
	ck_assert_int_eq(t.change.action, POLICY_HAND_EDIT);
	ck_assert_ptr_nonnull(strstr(policystore_news(p.ps), "or a file that it includes"));
	policystore_text_fini(&t);
	/* a candidate may include; then the file does, and the candidate is gone */
	ck_assert_int_eq(policystore_candidate_set(p.ps, "a", &alice, 0, NULL, span_str(again), p.errs), SP_OK);
	ck_assert_int_eq(policystore_commit(p.ps, "a", &alice, &version, p.errs), SP_OK);
	ck_assert_uint_eq(version, 3);
	text = read_file(p.policy, &n);
	ck_assert_str_eq(text, again);
	free(text);
	ck_assert_int_eq(policystore_version(p.ps, 3, &t, p.errs), SP_OK);
	ck_assert_ptr_nonnull(strstr(t.text, "worse.example"));
	ck_assert_ptr_null(strstr(t.text, "@include"));
	policystore_text_fini(&t);
	ck_assert_int_eq(policystore_candidate(p.ps, "a", &t, p.errs), SP_ENOENT);
	/* back, whatever became of the other file */
	ck_assert_int_eq(unlink(file), 0);
	ck_assert_int_eq(policystore_rollback(p.ps, 1, &bob, &version, p.errs), SP_OK);
	text = read_file(p.policy, &n);
	ck_assert_uint_eq(n, one.n);
	ck_assert_mem_eq(text, one.text, n);
	free(text);
	ck_assert_int_eq(policystore_audit_verify(p.ps, NULL, &version, p.errs), SP_OK);
	policystore_text_fini(&one);
	end(&p);
}
END_TEST

/* What another has changed meanwhile is merged by whole texts; and nobody gets to see a file that is no policy. */
START_TEST(includes_are_merged_whole)
{
	static const char with[] = BASE "remote_users = true;\n\n\n\n@include \"more.conf\"\n";
	static const char mine[] = BASE "remote_users = false;\n\n\n\n@include \"more.conf\"\n";
	static const char nosy[] = BASE "@include \"secret\"\n", out[] = BASE "@include \"../x\"\n";
	struct policystore_text t;
	struct place p;
	char file[96];

	begin(&p);
	snprintf(file, sizeof(file), "%s/secret", p.dir);
	write_file(file, "password = \"hush\";\n");
	snprintf(file, sizeof(file), "%s/more.conf", p.dir);
	write_file(file, "blocked = [ \"spam.example\" ];\n");
	write_file(p.policy, with);
	ck_assert_int_eq(policystore_candidate_set(p.ps, "a", &alice, 0, NULL, span_str(mine), p.errs), SP_OK);
	ck_assert_int_eq(policystore_candidate_set(p.ps, "n", &alice, 0, NULL, span_str(nosy), p.errs), SP_OK);
	ck_assert_int_eq(policystore_candidate_set(p.ps, "o", &alice, 0, NULL, span_str(out), p.errs), SP_OK);
	write_file(p.policy, BASE "remote_users = true;\n\n\n\n@include \"more.conf\"\narchiving_notice = true;\n");
	ck_assert_int_eq(policystore_candidate_rebase(p.ps, "a", &alice, p.errs), SP_OK);
	ck_assert_int_eq(policystore_candidate(p.ps, "a", &t, p.errs), SP_OK);
	ck_assert(strstr(t.text, "remote_users = false") != NULL && strstr(t.text, "spam.example") != NULL &&
	    strstr(t.text, "archiving_notice = true") != NULL && strstr(t.text, "@include") == NULL);
	policystore_text_fini(&t);
	ck_assert_int_eq(policystore_candidate_rebase(p.ps, "n", &alice, p.errs), SP_EINVAL);
	ck_assert_int_eq(policystore_candidate(p.ps, "n", &t, p.errs), SP_OK);
	ck_assert_str_eq(t.text, nosy);
	policystore_text_fini(&t);
	ck_assert_int_eq(policystore_candidate_rebase(p.ps, "o", &alice, p.errs), SP_EINVAL);
	for (size_t i = 0; i < conf_errors_count(p.errs); i++)
		ck_assert_ptr_null(strstr(conf_errors_get(p.errs, i), "hush"));
	end(&p);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { includes_are_versioned, includes_are_merged_whole, life_of_a_policy, two_at_once, one_candidate_twice, edits_by_hand, mistakes_change_nothing,
		refused_by_the_edge, links_are_followed, every_byte_counts, lines_out_of_order, a_known_hash,
		versions_are_in_the_log, half_a_line, somebody_has_the_lock, no_policy_file, a_line_has_one_form,
		which_text_it_is, what_root_makes_is_the_owners, root_follows_nobodys_links, nobody_else_writes_where_root_works,
		it_can_be_made_before_it_is_used,
	    others_are_asked, versions_of_others, bad_versions_of_others };

	return unit_run("policystore", tests, sizeof(tests) / sizeof(tests[0]));
}
