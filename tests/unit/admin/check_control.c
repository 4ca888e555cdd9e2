/*
 * The control socket with real threads and real clients: answers, rights, and
 * that whoever behaves badly hurts himself only.
 */
#include "tests/unit/unit.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "admin/control.h"
#include "admin/ctlclient.h"
#include "admin/daemon.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"

enum { WORKERS = 3, HALF_MS = 200, SLOW_MS = 300, ANSWER_MS = 300 };

static char dir[] = "/tmp/check_control.XXXXXX";
static char path[64];
static struct net_crew *crew;
static struct control *control;
static sem_t stuck, unstick;	/* worker 1 sits in one until the other is raised */
static atomic_int gone, taken;
static struct control_request *kept;	/* the control thread's */
static int owner;

/* ---- the daemon's verbs ---- */

static void
run_echo(struct control_request *r)
{
	unsigned char room[RECORD_SMALL];
	struct record_writer w;

	record_begin(&w, room, sizeof(room), "echo");
	record_text(&w, "text", control_text(r, "text"));
	record_int(&w, "number", control_int(r, "number", -1));
	record_bool(&w, "change", control_may_change(r));
	record_int(&w, "uid", control_uid(r));
	record_bool(&w, "owner", control_owner(r) == &owner);
	control_put(r, &w);
	control_end(r, EX_OK, NULL);
}

static void
run_touch(struct control_request *r)
{
	control_end(r, EX_OK, "touched");
}

static void
run_file(struct control_request *r)
{
	unsigned char room[RECORD_SMALL];
	struct record_writer w;
	char text[64] = "";
	ssize_t n = control_fd(r) != -1 ? read(control_fd(r), text, sizeof(text)) : 0;

	record_begin(&w, room, sizeof(room), "file");
	record_text(&w, "text", span_of(text, n > 0 ? (size_t)n : 0));
	control_put(r, &w);
	control_end(r, EX_OK, NULL);
}

static void
ask_worker(void *who, struct control_answer *a)
{
	struct net_worker *nw = who;
	unsigned char room[RECORD_SMALL];
	struct record_writer w;

	record_begin(&w, room, sizeof(room), "worker");
	record_int(&w, "id", nw->id);
	record_str(&w, "question", a->question);
	control_answer_put(a, &w);
}

static void
run_workers(struct control_request *r)
{
	control_ask_workers(r, &(struct control_asked){ .fn = ask_worker, .question = xstrdup("why") });
}

static void
count_worker(void *who, struct control_answer *a)
{
	*(int *)a->slot = (int)((struct net_worker *)who)->id + 1;
}

static void
sum_up(struct control_request *r, const void *question, struct control_answer *const *answer, unsigned n)
{
	unsigned char room[RECORD_SMALL];
	struct record_writer w;
	int sum = 0, missing = 0;

	(void)question;
	for (unsigned i = 0; i < n; i++)
		if (answer[i] != NULL)
			sum += *(int *)answer[i]->slot;
		else
			missing++;
	record_begin(&w, room, sizeof(room), "sum");
	record_int(&w, "sum", sum);
	record_int(&w, "missing", missing);
	control_put(r, &w);
	control_end(r, EX_OK, NULL);
}

static void
run_sum(struct control_request *r)
{
	control_ask_workers(r, &(struct control_asked){ .fn = count_worker, .slot_size = sizeof(int), .done = sum_up });
}

static void
get_stuck(void *who, struct control_answer *a)
{
	ask_worker(who, a);
	if (a->worker == 1) {
		sem_post(&stuck);
		sem_wait(&unstick);
	}
}

static void
run_stuck(struct control_request *r)
{
	control_ask_workers(r, &(struct control_asked){ .fn = get_stuck });
}

static void
fill(void *who, struct control_answer *a)
{
	unsigned char room[RECORD_SMALL];
	struct record_writer w;
	char text[2000];

	(void)who;
	memset(text, 'x', sizeof(text));
	record_begin(&w, room, sizeof(room), "fill");
	record_text(&w, "text", span_of(text, sizeof(text)));
	for (int i = 0; i < 100000 && control_answer_put(a, &w); i++)
		;
}

static void
run_fill(struct control_request *r)
{
	control_ask_workers(r, &(struct control_asked){ .fn = fill });
}

static void
in_main(void *who, struct control_answer *a)
{
	ck_assert_ptr_eq(who, &owner);
	control_answer_fail(a, EX_CONFIG, "the main thread says no");
}

static void
run_main(struct control_request *r)
{
	control_ask_main(r, &(struct control_asked){ .fn = in_main });
}

static void
client_left(struct control_request *r, void *arg)
{
	(void)r;
	atomic_fetch_add((atomic_int *)arg, 1);
	kept = NULL;
}

static void
run_keep(struct control_request *r)
{
	kept = r;
	atomic_fetch_add(&taken, 1);
	control_on_gone(r, client_left, &gone);
}

static const struct control_arg echo_args[] = {
	{ "text", RECORD_TEXT, true }, { "number", RECORD_INT, false }, { NULL, 0, false }
};
static const struct control_verb some[] = {
	{ .name = "echo", .right = CONTROL_READ, .args = echo_args, .run = run_echo },
	{ .name = "touch", .run = run_touch },
	{ .name = "file", .takes_fd = true, .run = run_file },
	{ .name = NULL }
};
static const struct control_verb more[] = {
	{ .name = "workers", .right = CONTROL_READ, .run = run_workers },
	{ .name = "sum", .right = CONTROL_READ, .run = run_sum },
	{ .name = "stuck", .right = CONTROL_READ, .run = run_stuck },
	{ .name = "fill", .right = CONTROL_READ, .run = run_fill },
	{ .name = "main", .run = run_main },
	{ .name = "keep", .right = CONTROL_READ, .run = run_keep },
	{ .name = NULL }
};
static const struct control_verb *const tables[] = { some, more, NULL };

static int
start(struct net_worker *w, void *arg)
{
	w->owner = arg;
	return SP_OK;
}

static void
begin_with(const char *group, const char *operators)
{
	struct control_setup setup = { .path = path, .group = group, .operators = operators, .verbs = tables,
	    .owner = &owner, .half_ms = HALF_MS, .slow_ms = SLOW_MS, .answer_ms = ANSWER_MS };

	log_open("check_control", NULL, SP_LOG_ERROR);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chmod(dir, 0755), 0);
	snprintf(path, sizeof(path), "%s/run/s", dir);
	sem_init(&stuck, 0, 0);
	sem_init(&unstick, 0, 0);
	daemon_signals();
	crew = net_crew_new(WORKERS);
	setup.crew = crew;
	control = control_new(&setup);
	ck_assert_int_eq(net_crew_start(crew, start, NULL, &owner), SP_OK);
	control_start(control);
}

static void
begin(void)
{
	begin_with(NULL, NULL);
}

static void
end(void)
{
	char run[64];

	control_stop(control);
	net_crew_stop(crew);
	control_free(control);
	net_crew_free(crew);
	ck_assert_int_eq(access(path, F_OK), -1);
	snprintf(run, sizeof(run), "%s/run", dir);
	rmdir(run);
	rmdir(dir);
}

/* ---- the clients ---- */

static struct ctlclient *
client(void)
{
	struct ctlclient *c = ctlclient_new();

	ck_assert_int_eq(ctlclient_open(c, path), SP_OK);
	return c;
}

static void
ask(struct ctlclient *c, const char *verb)
{
	ctlclient_begin(c, verb);
	ck_assert_int_eq(ctlclient_send(c, -1), SP_OK);
}

static int
ask_text(struct ctlclient *c, const char *text)
{
	struct record r;
	int rc;

	ctlclient_begin(c, "echo");
	record_str(ctlclient_args(c), "text", text);
	if ((rc = ctlclient_send(c, -1)) != SP_OK)
		return rc;
	if ((rc = ctlclient_next(c, &r)) != 1)
		return rc;
	ck_assert(span_is(record_get_text(&r, "text"), text));
	ck_assert_int_eq(ctlclient_next(c, &r), 0);
	return 1;
}

static int
raw(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	return fd;
}

/* The far end closes, within a time that is no guess but a limit. */
static void
wait_closed(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char sink[65536];
	ssize_t n;

	do {
		ck_assert_int_eq(poll(&p, 1, 20000), 1);
		n = recv(fd, sink, sizeof(sink), 0);
	} while (n > 0);
	ck_assert(n == 0 || errno == ECONNRESET);
	close(fd);
}

START_TEST(answers_one_after_the_other)
{
	struct ctlclient *c;
	struct record r;

	begin();
	c = client();
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(ask_text(c, "sip:\"eve\"@bad.example\n"), 1);
	ask(c, "touch");
	ck_assert_int_eq(ctlclient_next(c, &r), 0);
	ck_assert_int_eq(ctlclient_status(c), EX_OK);
	ck_assert_str_eq(ctlclient_why(c), "touched");
	ctlclient_free(c);
	end();
}
END_TEST

START_TEST(refuses_what_is_not_in_the_table)
{
	static const struct {
		const char	*verb, *arg;
		int		 status;
	} rows[] = {
		{ "nonsense", NULL, EX_UNAVAILABLE },
		{ "echo", NULL, EX_USAGE },		/* needs text */
		{ "echo", "other", EX_USAGE },
		{ "echo", "number", EX_USAGE },	/* of the wrong type */
		{ "touch", "text", EX_USAGE }
	};
	struct ctlclient *c;
	struct record r;

	begin();
	c = client();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ctlclient_begin(c, rows[i].verb);
		if (rows[i].arg != NULL)
			record_str(ctlclient_args(c), rows[i].arg, "x");
		ck_assert_int_eq(ctlclient_send(c, -1), SP_OK);
		ck_assert_int_eq(ctlclient_next(c, &r), 0);
		ck_assert_int_eq(ctlclient_status(c), rows[i].status);
		ck_assert_str_ne(ctlclient_why(c), "");
	}
	/* twice the same */
	ctlclient_begin(c, "echo");
	record_str(ctlclient_args(c), "text", "a");
	record_str(ctlclient_args(c), "text", "b");
	ck_assert_int_eq(ctlclient_send(c, -1), SP_OK);
	ck_assert_int_eq(ctlclient_next(c, &r), 0);
	ck_assert_int_eq(ctlclient_status(c), EX_USAGE);
	ck_assert_int_eq(ask_text(c, "still here"), 1);
	ctlclient_free(c);
	end();
}
END_TEST

START_TEST(asks_every_worker)
{
	struct ctlclient *c;
	struct record r;

	begin();
	c = client();
	ask(c, "workers");
	for (int i = 0; i < WORKERS; i++) {
		ck_assert_int_eq(ctlclient_next(c, &r), 1);
		ck_assert_int_eq(record_get_int(&r, "id", -1), i);
		ck_assert(span_is(record_get_text(&r, "question"), "why"));
	}
	ck_assert_int_eq(ctlclient_next(c, &r), 0);
	ask(c, "sum");
	ck_assert_int_eq(ctlclient_next(c, &r), 1);
	ck_assert_int_eq(record_get_int(&r, "sum", -1), 6);
	ck_assert_int_eq(record_get_int(&r, "missing", -1), 0);
	ck_assert_int_eq(ctlclient_next(c, &r), 0);
	ctlclient_free(c);
	end();
}
END_TEST

START_TEST(does_not_wait_for_a_worker_that_hangs)
{
	struct ctlclient *c, *other;
	struct record r;
	int n = 0;

	begin();
	c = client();
	ask(c, "stuck");
	sem_wait(&stuck);
	/* others are served meanwhile */
	other = client();
	ck_assert_int_eq(ask_text(other, "hello"), 1);
	while (ctlclient_next(c, &r) == 1)
		n++;
	ck_assert_int_eq(n, WORKERS - 1);
	ck_assert_int_eq(ctlclient_status(c), EX_TEMPFAIL);
	ask(c, "sum");
	ck_assert_int_eq(ctlclient_next(c, &r), 1);
	ck_assert_int_eq(record_get_int(&r, "missing", -1), 1);
	ck_assert_int_eq(ctlclient_next(c, &r), 0);
	/* this one is asked for, and nobody waits: what comes home late finds nobody */
	ask(c, "sum");
	ctlclient_free(c);
	sem_post(&unstick);
	ctlclient_free(other);
	end();
}
END_TEST

START_TEST(ends_while_a_worker_hangs)
{
	struct ctlclient *c;
	struct record r;
	int rc;

	begin();
	c = client();
	ask(c, "stuck");
	sem_wait(&stuck);
	control_stop(control);
	/* on a slow machine the time for an answer may be over before the end is; nobody says that all have answered */
	while ((rc = ctlclient_next(c, &r)) == 1)
		ck_assert_int_ne(record_get_int(&r, "id", -1), 1);
	ck_assert(rc == SP_ECLOSED || (rc == 0 && ctlclient_status(c) == EX_TEMPFAIL));
	sem_post(&unstick);
	end();
	ctlclient_free(c);
}
END_TEST

START_TEST(cuts_what_is_too_much)
{
	struct ctlclient *c;
	struct record r;
	unsigned n = 0;

	begin();
	c = client();
	ask(c, "fill");
	while (ctlclient_next(c, &r) == 1)
		n++;
	ck_assert_int_eq(ctlclient_status(c), EX_OK);
	ck_assert(ctlclient_was_cut(c));
	ck_assert_uint_gt(n, 300);
	ck_assert_uint_lt(n, 2 * CONTROL_QUEUE_MAX / 2000);
	ck_assert_int_eq(ask_text(c, "hello"), 1);
	ctlclient_free(c);
	end();
}
END_TEST

START_TEST(asks_the_main_thread)
{
	struct ctlclient *c;
	struct record r;

	begin();
	c = client();
	ask(c, "main");
	ck_assert_int_eq(daemon_wait(20000), DAEMON_ASKED);
	control_run_main(control);
	ck_assert_int_eq(ctlclient_next(c, &r), 0);
	ck_assert_int_eq(ctlclient_status(c), EX_CONFIG);
	ck_assert_str_eq(ctlclient_why(c), "the main thread says no");
	/* asked, and never run: the end comes first */
	ask(c, "main");
	ck_assert_int_eq(daemon_wait(20000), DAEMON_ASKED);
	end();
	ck_assert_int_eq(ctlclient_next(c, &r), SP_ECLOSED);
	ctlclient_free(c);
}
END_TEST

/* However often a thread asks, signals of others are seen, and so is that time goes by. */
START_TEST(questions_hide_nothing)
{
	unsigned asked = 0, ticks = 0;
	enum daemon_event e;
	uint64_t until;

	daemon_signals();
	daemon_ask(pthread_self());
	ck_assert_int_eq(daemon_wait(50), DAEMON_ASKED);
	kill(getpid(), SIGTERM);
	kill(getpid(), SIGCHLD);
	for (int left = 2; left > 0; asked++) {
		daemon_ask(pthread_self());
		if ((e = daemon_wait(50)) == DAEMON_STOP || e == DAEMON_CHILD)
			left--;
		ck_assert_uint_lt(asked, 100);
	}
	for (until = clock_ms() + 60000; ticks < 3; ) {
		daemon_ask(pthread_self());
		ticks += daemon_wait(50) == DAEMON_TICK;
		ck_assert_uint_lt(clock_ms(), until);
	}
	/* ticks that come late do not hide questions either */
	for (asked = 0; asked < 3; asked += e == DAEMON_ASKED) {
		daemon_ask(pthread_self());
		usleep(60 * 1000);
		e = daemon_wait(50);
		ck_assert_uint_lt(clock_ms(), until);
	}
}
END_TEST

START_TEST(passes_a_file)
{
	struct ctlclient *c;
	struct record r;
	int p[2];

	begin();
	c = client();
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(pipe(p), 0);
		ck_assert_int_eq((int)write(p[1], "policy", 6), 6);
		close(p[1]);
		ctlclient_begin(c, "file");
		ck_assert_int_eq(ctlclient_send(c, p[0]), SP_OK);
		close(p[0]);
		ck_assert_int_eq(ctlclient_next(c, &r), 1);
		ck_assert(span_is(record_get_text(&r, "text"), "policy"));
		ck_assert_int_eq(ctlclient_next(c, &r), 0);
	}
	ck_assert_int_eq(pipe(p), 0);
	ctlclient_begin(c, "touch");
	ck_assert_int_eq(ctlclient_send(c, p[0]), SP_OK);
	ck_assert_int_eq(ctlclient_next(c, &r), 0);
	ck_assert_int_eq(ctlclient_status(c), EX_USAGE);
	/* nobody has the other end any more */
	close(p[0]);
	ck_assert_int_eq((int)write(p[1], "x", 1), -1);
	ck_assert_int_eq(errno, EPIPE);
	close(p[1]);
	ctlclient_free(c);
	end();
}
END_TEST

START_TEST(rude_clients_hurt_themselves)
{
	static const char *const rude[] = {
		"\x07\x00\x01\x00\x00\x00" "12345678" "x",		/* a type that is none */
		"\x01\x00\xff\xff\xff\xff" "12345678",			/* too long */
		"\x01\x00\x00\x00\x00\x00" "12345678",			/* empty */
		"\x01\x00\x04\x00\x00\x00" "12345678" "\x01zzz",		/* no record */
		"\x01\x00\x09\x00\x00\x00" "12345678" "\x01\x03\x00" "E\x02o\x00"	/* a name that is none */
	};
	static const size_t len[] = { 15, 14, 14, 18, 21 };
	struct ctlclient *good;
	int fd, fds[2], p[2];

	begin();
	good = client();
	for (size_t i = 0; i < sizeof(rude) / sizeof(rude[0]); i++) {
		fd = raw();
		ck_assert_int_eq((int)send(fd, rude[i], len[i], MSG_NOSIGNAL), (int)len[i]);
		wait_closed(fd);
		ck_assert_int_eq(ask_text(good, "hello"), 1);
	}
	/* begun and not finished */
	fd = raw();
	ck_assert_int_eq((int)send(fd, rude[0], 5, MSG_NOSIGNAL), 5);
	wait_closed(fd);
	/* two files */
	fd = raw();
	ck_assert_int_eq(pipe(p), 0);
	fds[0] = p[0];
	fds[1] = p[1];
	{
		union {
			struct cmsghdr	 head;
			char		 room[CMSG_SPACE(sizeof(fds))];
		} cm = { .head = { .cmsg_len = CMSG_LEN(sizeof(fds)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
		struct iovec iov = { (void *)(uintptr_t)"\x01", 1 };
		struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &cm, .msg_controllen = sizeof(cm) };

		memcpy(CMSG_DATA(&cm.head), fds, sizeof(fds));
		ck_assert_int_eq((int)sendmsg(fd, &m, MSG_NOSIGNAL), 1);
	}
	wait_closed(fd);
	close(p[0]);
	close(p[1]);
	ck_assert_int_eq(ask_text(good, "hello"), 1);
	ctlclient_free(good);
	end();
}
END_TEST

START_TEST(slow_readers_are_cut)
{
	struct ctlclient *slow, *good;
	struct record r;
	int rc;

	begin();
	good = client();
	slow = client();
	ask(slow, "fill");
	/* it takes nothing until somebody else has been served for longer than that is borne */
	for (int i = 0; i < 4; i++) {
		struct pollfd p = { .fd = -1 };

		poll(&p, 1, SLOW_MS / 2);
		ck_assert_int_eq(ask_text(good, "hello"), 1);
	}
	while ((rc = ctlclient_next(slow, &r)) == 1)
		;
	ck_assert_int_eq(rc, SP_ECLOSED);
	ctlclient_free(slow);
	ctlclient_free(good);
	end();
}
END_TEST

START_TEST(who_leaves_is_noticed)
{
	struct ctlclient *c;

	begin();
	c = client();
	ask(c, "keep");
	ctlclient_free(c);
	for (int i = 0; i < 2000 && atomic_load(&gone) == 0; i++)
		poll(NULL, 0, 10);
	ck_assert_int_eq(atomic_load(&gone), 1);
	/* and the daemon's end is the same to the request */
	c = client();
	ask(c, "keep");
	for (int i = 0; i < 2000 && atomic_load(&taken) < 2; i++)
		poll(NULL, 0, 10);
	end();
	ck_assert_int_eq(atomic_load(&gone), 2);
	ctlclient_free(c);
}
END_TEST

START_TEST(places_are_for_who_works)
{
	struct ctlclient *busy;
	int idle[CONTROL_CLIENTS + 20];
	size_t n = sizeof(idle) / sizeof(idle[0]);

	begin();
	busy = client();
	ck_assert_int_eq(ask_text(busy, "hello"), 1);
	for (size_t i = 0; i < n; i++) {
		idle[i] = raw();
		if (i % 10 == 0)
			ck_assert_int_eq(ask_text(busy, "hello"), 1);
	}
	ck_assert_int_eq(ask_text(busy, "hello"), 1);
	for (size_t i = 0; i < n; i++)
		close(idle[i]);
	ctlclient_free(busy);
	end();
}
END_TEST

/* A child with that account; its exit status. */
static int
as_account(uid_t uid, gid_t gid, const char *verb)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct ctlclient *c = ctlclient_new();
		struct record r;
		int rc;

		if (setgroups(0, NULL) != 0 || setgid(gid) != 0 || setuid(uid) != 0)
			_exit(99);
		if (ctlclient_open(c, path) != SP_OK)
			_exit(90);
		ctlclient_begin(c, verb);
		if (strcmp(verb, "echo") == 0)
			record_str(ctlclient_args(c), "text", "x");
		if ((rc = ctlclient_send(c, -1)) == SP_OK)
			while ((rc = ctlclient_next(c, &r)) == 1)
				;
		_exit(rc == 0 ? ctlclient_status(c) : 91);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

START_TEST(rights_follow_the_account)
{
	if (geteuid() != 0)
		return;
	begin_with("games", "operator");	/* 60, 37 in Debian's base */
	ck_assert_int_eq(as_account(0, 0, "touch"), EX_OK);
	ck_assert_int_eq(as_account(65534, 60, "echo"), EX_OK);
	ck_assert_int_eq(as_account(65534, 60, "touch"), EX_NOPERM);
	ck_assert_int_eq(as_account(65534, 37, "echo"), EX_OK);
	ck_assert_int_eq(as_account(65534, 37, "touch"), EX_OK);
	ck_assert_int_eq(as_account(65534, 65534, "echo"), EX_NOPERM);
	end();
}
END_TEST

START_TEST(nobody_else_gets_to_a_closed_socket)
{
	struct stat st;

	if (geteuid() != 0)
		return;
	begin_with("games", NULL);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0660);
	ck_assert_int_eq((int)st.st_gid, 60);
	ck_assert_int_eq(as_account(65534, 65534, "echo"), 90);
	ck_assert_int_eq(as_account(65534, 60, "echo"), EX_OK);
	end();
}
END_TEST

/* In a process of its own, root without those capabilities: the socket's mode and group, and whether the log complains. */
static void
socket_without(unsigned long long without, const char *group, mode_t directory, gid_t *gid, mode_t *mode, bool *told)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2];
	struct control_setup setup = { .path = path, .group = group, .verbs = tables };
	char log[64], text[4096] = "";
	struct stat st;
	int status;
	FILE *f;
	pid_t pid;

	snprintf(log, sizeof(log), "%s/log", dir);
	snprintf(path, sizeof(path), "%s/run/s", dir);
	snprintf(text, sizeof(text), "%s/run", dir);
	ck_assert_int_eq(mkdir(text, 0755), 0);
	ck_assert_int_eq(chown(text, 0, 37), 0);
	ck_assert_int_eq(chmod(text, directory), 0);
	if ((pid = fork()) == 0) {
		log_open("check_control", log, SP_LOG_ERROR);
		if (syscall(SYS_capget, &head, caps) != 0)
			_exit(1);
		for (int i = 0; i < 2; i++)
			caps[i].effective &= ~(uint32_t)(without >> 32 * i);
		if (syscall(SYS_capset, &head, caps) != 0)
			_exit(2);
		_exit(control_new(&setup) != NULL ? 0 : 3);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(lstat(path, &st), 0);
	*gid = st.st_gid;
	*mode = st.st_mode & 07777;
	unlink(path);
	ck_assert_int_eq(rmdir(text), 0);
	ck_assert_ptr_nonnull(f = fopen(log, "r"));
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	unlink(log);
	*told = strstr(text, "event=control-socket-group") != NULL && strstr(text, "CAP_SETGID") != NULL;
}

START_TEST(a_socket_of_the_wrong_group_is_closed_to_groups)
{
	const unsigned long long setgid = 1ull << CAP_SETGID, both = setgid | 1ull << CAP_CHOWN;
	mode_t mode;
	gid_t gid;
	bool told;

	if (geteuid() != 0)
		return;
	ck_assert_ptr_nonnull(mkdtemp(dir));
	socket_without(0, "games", 0755, &gid, &mode, &told);
	ck_assert(gid == 60 && mode == 0660 && !told);
	/* root may give files away instead */
	socket_without(setgid, "games", 0755, &gid, &mode, &told);
	ck_assert(gid == 60 && mode == 0660 && !told);
	/* as the units of systemd have it, and without CAP_SETGID besides */
	socket_without(1ull << CAP_CHOWN, "games", 0755, &gid, &mode, &told);
	ck_assert(gid == 60 && mode == 0660 && !told);
	socket_without(both, "games", 0755, &gid, &mode, &told);
	ck_assert(gid != 60 && mode == 0600 && told);
	/* a directory that gives its group to everything in it */
	socket_without(1ull << CAP_CHOWN, "games", 02755, &gid, &mode, &told);
	ck_assert(gid == 37 && mode == 0600 && told);
	/* nobody's: then there is nothing to be wrong */
	socket_without(both, NULL, 02755, &gid, &mode, &told);
	ck_assert(mode == 0600 && !told);
	rmdir(dir);
}
END_TEST

START_TEST(one_socket_has_one_daemon)
{
	struct control_setup setup = { .path = path, .verbs = tables };
	struct control *second;
	struct ctlclient *c;

	begin();
	second = control_new(&setup);
	control_start(second);
	control_stop(second);
	control_free(second);
	c = client();
	ck_assert_int_eq(ask_text(c, "hello"), 1);
	ctlclient_free(c);
	end();
}
END_TEST

START_TEST(a_dead_daemons_socket_is_replaced)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct ctlclient *c;
	char run[64];
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(run, sizeof(run), "%s/run", dir);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/s", run);
	mkdir(run, 0755);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	close(fd);
	snprintf(path, sizeof(path), "%.50s/s", run);
	{
		struct control_setup setup = { .path = path, .verbs = tables };

		daemon_signals();
		crew = net_crew_new(1);
		setup.crew = crew;
		control = control_new(&setup);
		ck_assert_int_eq(net_crew_start(crew, start, NULL, &owner), SP_OK);
		control_start(control);
	}
	c = client();
	ck_assert_int_eq(ask_text(c, "hello"), 1);
	ctlclient_free(c);
	end();
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { answers_one_after_the_other, refuses_what_is_not_in_the_table, asks_every_worker,
	    does_not_wait_for_a_worker_that_hangs, ends_while_a_worker_hangs, cuts_what_is_too_much,
	    asks_the_main_thread, questions_hide_nothing, passes_a_file, rude_clients_hurt_themselves, slow_readers_are_cut,
	    who_leaves_is_noticed, places_are_for_who_works, rights_follow_the_account,
	    nobody_else_gets_to_a_closed_socket, a_socket_of_the_wrong_group_is_closed_to_groups, one_socket_has_one_daemon, a_dead_daemons_socket_is_replaced };

	return unit_run("control", tests, sizeof(tests) / sizeof(tests[0]));
}
