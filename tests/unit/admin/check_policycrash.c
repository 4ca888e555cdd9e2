/*
 * check_policycrash.c - the process dies before every single call that changes
 * something on disk: the old policy or the new is there, whole, and the store goes on.
 *
 * The child that does the change is traced, and killed at the n-th such call, for
 * every n. What a call leaves when the machine itself dies is another matter: whatever is
 * renamed was brought to the disk before.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/ptrace.h>

#include "admin/policystore.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/mem.h"

#define BASE	"internal_domains = [ \"contoso.example\" ];\ninternal_servers = [ \"director.contoso.example\" ];\n"
#define OLD	BASE "# old\n"
#define NEW	BASE "federation = true;\n# new\n"
#define HAND	BASE "# by hand\n"
#define STEP	BASE "# old\nremote_users = false;\n"

static char root[64], origin[96], store[128], policy[128];

static const long changing[] = {
	SYS_write, SYS_pwrite64, SYS_fsync, SYS_fdatasync, SYS_ftruncate, SYS_renameat2, SYS_linkat, SYS_unlinkat,
	SYS_mkdirat, SYS_openat, SYS_fchmod, SYS_fchown,
#ifdef SYS_rename
	SYS_rename, SYS_link, SYS_unlink, SYS_mkdir,
#endif
#ifdef SYS_renameat
	SYS_renameat,
#endif
};

static void
write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	ck_assert_msg(f != NULL, "%s: %s", path, strerror(errno));
	fputs(text, f);
	fclose(f);
}

static char *
read_file(const char *path)
{
	static char text[65536];
	FILE *f = fopen(path, "re");
	size_t n;

	ck_assert_msg(f != NULL, "%s: %s", path, strerror(errno));
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

static void
remove_tree(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	char sub[512];

	while (d != NULL && (e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		snprintf(sub, sizeof(sub), "%s/%s", path, e->d_name);
		if (unlink(sub) != 0)
			remove_tree(sub);
	}
	if (d != NULL)
		closedir(d);
	rmdir(path);
}

static void
copy_tree(const char *from, const char *to)
{
	DIR *d = opendir(from);
	struct dirent *e;
	char a[512], b[512];
	struct stat st;

	ck_assert_ptr_nonnull(d);
	mkdir(to, 0755);
	while ((e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		snprintf(a, sizeof(a), "%s/%s", from, e->d_name);
		snprintf(b, sizeof(b), "%s/%s", to, e->d_name);
		ck_assert_int_eq(stat(a, &st), 0);
		if (S_ISDIR(st.st_mode))
			copy_tree(a, b);
		else
			write_file(b, read_file(a));
	}
	closedir(d);
}

static const struct policystore_who who = { .author = "alice", .note = "why" };

static struct policystore *
open_store(struct conf_errors *errs)
{
	struct policystore *ps;

	ck_assert_int_eq(policystore_open(&ps, store, policy, errs), SP_OK);
	return ps;
}

/* ---- what is done, and what may be there then ---- */

static int
refuse(void *arg, const struct policy_change *c, struct span text, struct conf_errors *errs)
{
	(void)arg;
	(void)c;
	(void)text;
	conf_error(errs, NULL, 0, "no");
	return SP_ECLOSED;
}

static int
step(void *arg, struct span text, char **out, size_t *n, struct conf_errors *errs)
{
	(void)arg;
	(void)text;
	(void)errs;
	*out = xstrdup(STEP);
	*n = strlen(STEP);
	return SP_OK;
}

static int
do_look(struct policystore *ps, struct conf_errors *errs)
{
	struct policystore_text t;
	int err = policystore_current(ps, &t, errs);

	policystore_text_fini(&t);
	return err;
}

static int
do_set(struct policystore *ps, struct conf_errors *errs)
{
	return policystore_candidate_set(ps, "alice", &who, 0, NULL, span_str(NEW "# again\n"), errs);
}

static int
do_discard(struct policystore *ps, struct conf_errors *errs)
{
	return policystore_candidate_discard(ps, "alice", &who, errs);
}

static int
do_commit(struct policystore *ps, struct conf_errors *errs)
{
	return policystore_commit(ps, "alice", &who, NULL, errs);
}

static int
do_refused(struct policystore *ps, struct conf_errors *errs)
{
	struct policystore_who refused = who;

	refused.apply = refuse;
	return policystore_commit(ps, "alice", &refused, NULL, errs) == SP_ECLOSED ? SP_OK : SP_EINVAL;
}

static int
do_step(struct policystore *ps, struct conf_errors *errs)
{
	return policystore_amend(ps, POLICY_BLOCK, step, NULL, &who, NULL, errs);
}

static int
do_rollback(struct policystore *ps, struct conf_errors *errs)
{
	return policystore_rollback(ps, 1, &who, NULL, errs);
}

static const struct {
	const char	*name;
	bool		 empty;		/* the store is not there yet */
	bool		 hand;		/* the file was edited */
	bool		 committed;	/* the candidate is in force already */
	bool		 takes_candidate; /* which may be gone then */
	int		(*run)(struct policystore *, struct conf_errors *);
	const char	*before, *after;	/* the policy file */
} changes[] = {
	{ "first use", true, false, false, false, do_look, OLD, OLD },
	{ "hand edit", false, true, false, false, do_look, HAND, HAND },
	{ "candidate", false, false, false, false, do_set, OLD, OLD },
	{ "discard", false, false, false, true, do_discard, OLD, OLD },
	{ "commit", false, false, false, false, do_commit, OLD, NEW },
	{ "commit that the edge refuses", false, false, false, false, do_refused, OLD, NEW },
	{ "one step", false, false, false, false, do_step, OLD, STEP },
	{ "rollback", false, false, true, false, do_rollback, NEW, OLD },
	{ "one step after a hand edit", false, true, false, false, do_step, HAND, STEP },
};
#define NCHANGES	(int)(sizeof(changes) / sizeof(changes[0]))

/* The state before the change, kept as a directory to be copied. */
static void
prepare(int i)
{
	struct conf_errors *errs = conf_errors_new();
	struct policystore *ps;

	remove_tree(origin);
	snprintf(store, sizeof(store), "%s/store", origin);
	snprintf(policy, sizeof(policy), "%s/policy.conf", origin);
	mkdir(origin, 0755);
	write_file(policy, OLD);
	ps = open_store(errs);
	if (!changes[i].empty) {
		ck_assert_int_eq(do_look(ps, errs), SP_OK);
		ck_assert_int_eq(policystore_candidate_set(ps, "alice", &who, 0, NULL, span_str(NEW), errs), SP_OK);
	}
	if (changes[i].committed)
		ck_assert_int_eq(do_commit(ps, errs), SP_OK);
	if (changes[i].hand)
		write_file(policy, HAND);
	policystore_close(ps);
	conf_errors_free(errs);
	snprintf(store, sizeof(store), "%s/run/store", root);
	snprintf(policy, sizeof(policy), "%s/run/policy.conf", root);
}

static bool
is_changing(const struct ptrace_syscall_info *info)
{
	if (info->op != PTRACE_SYSCALL_INFO_ENTRY)
		return false;
	if (info->entry.nr == SYS_openat)
		return (info->entry.args[2] & O_CREAT) != 0;
	for (size_t i = 0; i < sizeof(changing) / sizeof(changing[0]); i++)
		if ((long)info->entry.nr == changing[i])
			return true;
	return false;
}

/* The change in a child that dies before its n-th changing call. False: it made fewer, and has ended well. */
static bool
run_until(int i, unsigned n)
{
	struct ptrace_syscall_info info;
	unsigned seen = 0;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct conf_errors *errs = conf_errors_new();
		struct policystore *ps = open_store(errs);
		int err;

		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		err = changes[i].run(ps, errs);
		_exit(err == SP_OK ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)), 0);
	for (;;) {
		ck_assert_int_eq(ptrace(PTRACE_SYSCALL, pid, NULL, NULL), 0);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		if (WIFEXITED(status)) {
			ck_assert_msg(WEXITSTATUS(status) == 0, "%s failed by itself", changes[i].name);
			return false;
		}
		ck_assert(WIFSTOPPED(status));
		memset(&info, 0, sizeof(info));
		if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof(info), &info) > 0 && is_changing(&info) && seen++ == n) {
			kill(pid, SIGKILL);
			ck_assert_int_eq(waitpid(pid, &status, 0), pid);
			return true;
		}
	}
}

static void
say(const struct conf_errors *errs)
{
	conf_errors_print(errs, stderr);
}

static void
look_after_crash(int i, unsigned n)
{
	struct conf_errors *errs = conf_errors_new();
	struct policystore *ps = open_store(errs);
	struct policystore_text t = { .text = NULL }, candidate = { .text = NULL };
	char found[4096];
	uint64_t lines;
	int err;

	snprintf(found, sizeof(found), "%s", read_file(policy));
	ck_assert_msg(strcmp(found, changes[i].before) == 0 || strcmp(found, changes[i].after) == 0,
	    "%s, call %u: the policy is neither the old nor the new:\n%s", changes[i].name, n, found);
	/* nothing looks damaged before anybody has put anything right */
	if (access(store, F_OK) == 0) {
		char head[160];

		snprintf(head, sizeof(head), "%s/audit.head", store);
		if (access(head, F_OK) == 0 && policystore_audit_verify(ps, NULL, &lines, errs) != SP_OK) {
			say(errs);
			ck_abort_msg("%s, call %u: the log looks damaged", changes[i].name, n);
		}
	}
	if ((err = policystore_current(ps, &t, errs)) != SP_OK) {
		say(errs);
		ck_abort_msg("%s, call %u: the store does not go on: %d", changes[i].name, n, err);
	}
	ck_assert_str_eq(t.text, found);
	ck_assert_str_eq(read_file(policy), found);
	if (policystore_audit_verify(ps, NULL, &lines, errs) != SP_OK) {
		say(errs);
		ck_abort_msg("%s, call %u: the log is damaged", changes[i].name, n);
	}
	/* a candidate is there, or has become the policy, or was to go */
	if (!changes[i].empty && !changes[i].committed && !changes[i].takes_candidate && strcmp(found, NEW) != 0)
		ck_assert_int_eq(policystore_candidate(ps, "alice", &candidate, errs), SP_OK);
	policystore_text_fini(&t);
	policystore_text_fini(&candidate);
	if (!changes[i].empty) {
		ck_assert_int_eq(policystore_version(ps, 1, &t, errs), SP_OK);
		ck_assert_str_eq(t.text, OLD);
		policystore_text_fini(&t);
	}
	/* and the next change works */
	err = policystore_candidate_set(ps, "bob", &who, 0, NULL, span_str(BASE "# the next\n"), errs);
	if (err == SP_OK)
		err = policystore_commit(ps, "bob", &who, NULL, errs);
	if (err != SP_OK || policystore_audit_verify(ps, NULL, &lines, errs) != SP_OK) {
		say(errs);
		ck_abort_msg("%s, call %u: the next change fails: %d", changes[i].name, n, err);
	}
	policystore_close(ps);
	conf_errors_free(errs);
}

START_TEST(dies_before_every_call)
{
	char run[96];
	unsigned n = 0;

	/* in memory, where there is such a place: hundreds of stores are brought to the disk here */
	snprintf(root, sizeof(root), "%s/check_policycrash.XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(root));
	snprintf(origin, sizeof(origin), "%s/origin", root);
	snprintf(run, sizeof(run), "%s/run", root);
	prepare(_i);
	for (;; n++) {
		bool died;

		remove_tree(run);
		copy_tree(origin, run);
		died = run_until(_i, n);
		look_after_crash(_i, n);
		if (!died)
			break;
	}
	/* it was killed somewhere at all */
	ck_assert_uint_ge(n, 5);
	remove_tree(root);
}
END_TEST

/* Where nobody may be traced there is nothing to be seen. */
static bool
may_trace(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		long traced = ptrace(PTRACE_TRACEME, 0, NULL, NULL);

		if (traced == 0)
			raise(SIGSTOP);
		_exit(traced == 0 ? 0 : 1);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		return false;
	kill(pid, SIGKILL);
	(void)waitpid(pid, &status, 0);
	return true;
}

int
main(void)
{
	Suite *s = suite_create("policycrash");
	TCase *tc = tcase_create("policycrash");
	SRunner *sr;
	int failed;

	if (!may_trace()) {
		puts("processes may not be traced here");
		return 77;
	}
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, dies_before_every_call, 0, NCHANGES);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
