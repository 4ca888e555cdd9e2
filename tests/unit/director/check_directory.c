/*
 * authd's side of the directory, with a far end that the test plays.
 */
#include "director/directory.h"

#include <sys/socket.h>
#include <sys/wait.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/log.h"
#include "director/ldapd.h"
#include "tests/unit/unit.h"

static const struct dirconf conf = { .ttl = 10, .negative_ttl = 2, .stale = 100, .entries = 40, .timeout = 1000 };
static struct directory *dir;
static int far;
static struct { unsigned n; uint64_t tag; struct authd_user who; } came;

static void
note(void *arg, uint64_t tag, const struct authd_user *who)
{
	ck_assert_ptr_eq(arg, &came);
	came.n++;
	came.tag = tag;
	came.who = *who;
}

static void
begin(void)
{
	int pair[2];

	log_open("check_directory", "/dev/null", SP_LOG_ERROR);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	far = pair[1];
	memset(&came, 0, sizeof(came));
	dir = directory_new(&conf, pair[0], note);
	ck_assert_int_eq(directory_fd(dir), pair[0]);
}

static void
end(void)
{
	directory_free(dir);
	close(far);
}

static bool
ask(const char *aor, uint64_t now, uint64_t tag, struct authd_user *who)
{
	return directory_ask(dir, span_str(aor), now, &came, tag, who);
}

/* The question at the far end: its tag, or 0. */
static uint64_t
asked(char out[USER_AOR_MAX])
{
	unsigned char in[LDAPD_PACKET_MAX];
	ssize_t n = recv(far, in, sizeof(in), MSG_DONTWAIT);
	struct frame f;
	struct span aor;

	if (n < 0)
		return 0;
	ck_assert_int_eq(frame_parse(in, (size_t)n, &f), n);
	ck_assert_int_eq(f.type, AUTHD_LOOKUP);
	ck_assert(authd_get_lookup(&f, &aor));
	memcpy(out, aor.p, aor.n);
	out[aor.n] = '\0';
	return f.tag;
}

static void
answer(uint64_t tag, const struct authd_user *u, uint64_t now)
{
	unsigned char out[FRAME_HEAD + AUTHD_ANSWER_MAX];
	struct frame f = { .type = AUTHD_USER, .tag = tag, .body = out + FRAME_HEAD };
	struct frame_writer w;

	frame_writer_init(&w, out + FRAME_HEAD, AUTHD_ANSWER_MAX);
	authd_put_answer(&w, AUTHD_BAD, u);
	f.len = w.len;
	frame_format(&f, out);
	ck_assert_int_eq(send(far, out, FRAME_HEAD + w.len, 0), (ssize_t)(FRAME_HEAD + w.len));
	directory_ready(dir, POLLIN, now);
}

START_TEST(asks_once)
{
	struct authd_user alice = { .found = true, .enabled = true, .aor = "alice@x", .pool = "p" }, nobody = { 0 }, who;
	char aor[USER_AOR_MAX];
	uint64_t tag;

	begin();
	ck_assert(!ask("alice@x", 0, 1, &who));
	ck_assert(!ask("ALICE@x", 0, 2, &who));
	tag = asked(aor);
	ck_assert_str_eq(aor, "alice@x");
	ck_assert_uint_eq(asked(aor), 0);
	answer(tag, &alice, 5);
	ck_assert_uint_eq(came.n, 2);
	ck_assert(came.who.found);
	ck_assert_str_eq(came.who.pool, "p");
	/* remembered, then asked for again */
	ck_assert(ask("alice@x", 10004, 3, &who) && who.found);
	ck_assert(!ask("alice@x", 10005, 4, &who));
	answer(asked(aor), &nobody, 10006);
	ck_assert_uint_eq(came.n, 3);
	ck_assert(!came.who.found);
	/* nobody is remembered, too, for less long */
	ck_assert(ask("alice@x", 12005, 5, &who) && !who.found && !who.unavailable);
	ck_assert(!ask("alice@x", 12006, 6, &who));
	answer(asked(aor), &alice, 12007);
	ck_assert(came.who.found);
	ck_assert(ask("alice@x", 12008, 7, &who) && who.found);
	directory_flush(dir);
	ck_assert(!ask("alice@x", 12009, 8, &who));
	/* an answer that nobody waits for is none */
	answer(4711, &alice, 12010);
	ck_assert_uint_eq(came.n, 4);
	/* what is no address is nobody's */
	ck_assert(ask("", 0, 9, &who) && !who.found && !who.unavailable);
	ck_assert(directory_ask(dir, span_of("a\0b", 3), 0, &came, 9, &who) && !who.found);
	end();
}
END_TEST

START_TEST(fails)
{
	struct authd_user alice = { .found = true, .enabled = true, .aor = "alice@x", .pool = "p" }, down = { .unavailable = true }, who;
	char aor[USER_AOR_MAX];
	uint64_t late;

	begin();
	ck_assert(!ask("alice@x", 0, 1, &who));
	answer(asked(aor), &down, 1);
	ck_assert(came.n == 1 && came.who.unavailable && !came.who.found);
	/* that was no answer, so it is not remembered */
	ck_assert(!ask("alice@x", 2, 2, &who));
	answer(asked(aor), &alice, 3);
	ck_assert(came.n == 2 && came.who.found);
	/* what was known holds while nobody answers, for so long */
	ck_assert(!ask("alice@x", 20000, 3, &who));
	answer(asked(aor), &down, 20001);
	ck_assert(came.n == 3 && came.who.found && !came.who.unavailable);
	ck_assert(!ask("alice@x", 30000, 4, &who));
	late = asked(aor);
	directory_tick(dir, 30999);
	ck_assert_uint_eq(came.n, 3);
	directory_tick(dir, 31000);
	ck_assert(came.n == 4 && came.who.found);
	answer(late, &alice, 31001);
	ck_assert_uint_eq(came.n, 4);
	ck_assert(!ask("alice@x", 200000, 5, &who));
	directory_tick(dir, 201000);
	ck_assert(came.n == 5 && came.who.unavailable);
	/* the far end goes */
	ck_assert(!ask("bob@x", 300000, 6, &who));
	close(far);
	directory_ready(dir, POLLIN | POLLHUP, 300001);
	ck_assert(came.n == 6 && came.who.unavailable);
	ck_assert_int_eq(directory_fd(dir), -1);
	ck_assert(ask("bob@x", 300002, 7, &who) && who.unavailable);
	directory_tick(dir, 400000);
	directory_free(dir);
}
END_TEST

START_TEST(asks_for_logins)
{
	struct authd_user alice = { .found = true, .enabled = true, .aor = "alice@x", .pool = "p" }, down = { .unavailable = true },
	    nobody = { 0 }, who;
	unsigned char in[LDAPD_PACKET_MAX];
	struct frame f;
	ssize_t n;

	begin();
	ck_assert(!directory_ask_login(dir, SPAN_LIT("CORP\\a.smith"), 0, note, &came, 1, &who));
	n = recv(far, in, sizeof(in), 0);
	ck_assert_int_eq(frame_parse(in, (size_t)n, &f), n);
	ck_assert_int_eq(f.type, AUTHD_LOGIN);
	answer(f.tag, &alice, 1);
	ck_assert(came.n == 1 && came.who.found);
	ck_assert_str_eq(came.who.aor, "alice@x");
	/* both are known now, as what they are */
	ck_assert(directory_ask_login(dir, SPAN_LIT("corp\\A.Smith"), 2, note, &came, 2, &who) && who.found);
	ck_assert_str_eq(who.aor, "alice@x");
	ck_assert(ask("alice@x", 2, 3, &who) && who.found);
	ck_assert(directory_ask_login(dir, SPAN_LIT(""), 2, note, &came, 2, &who) && !who.found);
	/* an address is no login, though both look alike */
	ck_assert(!directory_ask_login(dir, SPAN_LIT("alice@x"), 3, note, &came, 4, &who));
	ck_assert(recv(far, in, sizeof(in), 0) > 0);
	/* nobody answers: what was known holds; else nobody knows */
	ck_assert(!directory_ask_login(dir, SPAN_LIT("CORP\\a.smith"), 20000, note, &came, 5, &who));
	ck_assert(recv(far, in, sizeof(in), 0) > 0);
	directory_tick(dir, 20999);
	ck_assert(came.n == 2 && came.tag == 4 && came.who.unavailable);
	directory_tick(dir, 21000);
	ck_assert(came.n == 3 && came.tag == 5 && came.who.found);
	ck_assert(!directory_ask_login(dir, SPAN_LIT("CORP\\bob"), 30000, note, &came, 6, &who));
	n = recv(far, in, sizeof(in), 0);
	ck_assert_int_eq(frame_parse(in, (size_t)n, &f), n);
	answer(f.tag, &down, 30001);
	ck_assert(came.n == 4 && came.who.unavailable);
	/* that nobody signs in as this is not remembered */
	for (uint64_t i = 0; i < 2; i++) {
		ck_assert(!directory_ask_login(dir, SPAN_LIT("CORP\\bob"), 30002 + i, note, &came, 7, &who));
		n = recv(far, in, sizeof(in), 0);
		ck_assert_int_eq(frame_parse(in, (size_t)n, &f), n);
		answer(f.tag, &nobody, 30003 + i);
		ck_assert(came.n == 5 + i && !came.who.found && !came.who.unavailable);
	}
	directory_flush(dir);
	ck_assert(!directory_ask_login(dir, SPAN_LIT("CORP\\a.smith"), 30004, note, &came, 8, &who));
	end();
}
END_TEST

/* Nobody reads at the far end: the number of questions is bounded, none is lost, all are answered. */
START_TEST(too_many)
{
	char aor[USER_AOR_MAX];
	unsigned waiting = 0, sent = 0, gone = 0;
	struct authd_user who, nobody = { 0 };
	uint64_t tag;

	begin();
	for (unsigned i = 0; i < DIRECTORY_QUESTIONS_MAX + 100; i++) {
		snprintf(aor, sizeof(aor), "user%u@x", i);
		if (ask(aor, 1, i, &who))
			gone += who.unavailable;
		else
			waiting++;
	}
	ck_assert_uint_eq(waiting, DIRECTORY_QUESTIONS_MAX);
	ck_assert_uint_eq(gone, 100);
	ck_assert((directory_events(dir) & POLLOUT) != 0);
	while ((tag = asked(aor)) != 0) {
		sent++;
		answer(tag, &nobody, 2);
		directory_ready(dir, POLLOUT, 2);
	}
	ck_assert_uint_eq(sent, DIRECTORY_QUESTIONS_MAX);
	ck_assert_uint_eq(came.n, DIRECTORY_QUESTIONS_MAX);
	ck_assert_int_eq(directory_events(dir), POLLIN);
	end();
}
END_TEST

/* Somebody else's answer is a bug or a break-in. */
START_TEST(lies)
{
	struct authd_user mallory = { .found = true, .aor = "mallory@x" }, who;
	char aor[USER_AOR_MAX];
	int status;
	pid_t pid;

	begin();
	ck_assert(!ask("alice@x", 0, 1, &who));
	if ((pid = fork()) == 0) {
		answer(asked(aor), &mallory, 1);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == EX_SOFTWARE);
	end();
}
END_TEST

/* What it was told at the far end; 0: nothing. */
static unsigned
told(void)
{
	unsigned char in[LDAPD_PACKET_MAX];
	ssize_t n = recv(far, in, sizeof(in), MSG_DONTWAIT);
	struct frame f;

	if (n < 0)
		return 0;
	ck_assert_int_eq(frame_parse(in, (size_t)n, &f), n);
	ck_assert_uint_eq(f.len, 0);
	return f.type;
}

/* A process begins there that has read its configuration so often. */
static void
begins(uint64_t reads)
{
	struct frame f = { .type = AUTHD_DONE, .tag = reads };
	unsigned char out[FRAME_HEAD];

	frame_format(&f, out);
	ck_assert_int_eq(send(far, out, sizeof(out), 0), (ssize_t)sizeof(out));
	directory_ready(dir, POLLIN | POLLOUT, 0);
}

/* After a reload, what the process of the old configuration still says counts for nothing. */
START_TEST(old_answers_do_not_count)
{
	struct authd_user alice = { .found = true, .enabled = true, .aor = "alice@x", .pool = "p" }, nobody = { 0 }, who;
	struct dirconf other = conf;
	char aor[USER_AOR_MAX];
	uint64_t tag;

	begin();
	begins(0);
	ck_assert(!ask("alice@x", 0, 1, &who));
	tag = asked(aor);
	directory_set(dir, &other);
	ck_assert_uint_eq(told(), AUTHD_RELOAD);
	answer(tag, &alice, 1);
	/* asked while nobody knows yet which process will read it */
	ck_assert(!ask("bob@x", 1, 2, &who));
	tag = asked(aor);
	ck_assert_str_eq(aor, "bob@x");
	answer(tag, &nobody, 1);
	ck_assert_uint_eq(came.n, 0);
	ck_assert_int_eq(directory_events(dir), POLLIN);
	begins(1);
	tag = asked(aor);
	ck_assert_str_eq(aor, "alice@x");
	answer(tag, &nobody, 2);
	ck_assert_uint_eq(came.n, 1);
	ck_assert(!came.who.found);
	ck_assert(ask("alice@x", 3, 3, &who) && !who.found);
	memcpy(alice.aor, "bob@x", sizeof("bob@x"));
	tag = asked(aor);
	ck_assert_str_eq(aor, "bob@x");
	answer(tag, &alice, 2);
	ck_assert_uint_eq(came.n, 2);
	ck_assert(came.who.found);
	/* another death is none of a reload's */
	ck_assert(!ask("carol@x", 4, 4, &who));
	asked(aor);
	begins(1);
	tag = asked(aor);
	ck_assert_str_eq(aor, "carol@x");
	answer(tag, &nobody, 5);
	ck_assert_uint_eq(came.n, 3);
	end();
}
END_TEST

/* Who was told to read it and died of something else is told again; and two reloads are told one after the other. */
START_TEST(reloads_are_not_lost)
{
	struct authd_user nobody = { 0 }, who;
	struct dirconf other = conf, third = conf;
	char aor[USER_AOR_MAX];
	uint64_t tag;

	begin();
	begins(0);
	directory_set(dir, &other);
	ck_assert_uint_eq(told(), AUTHD_RELOAD);
	ck_assert(!ask("alice@x", 0, 1, &who));
	asked(aor);
	begins(0);
	ck_assert_uint_eq(told(), AUTHD_RELOAD);
	tag = asked(aor);
	answer(tag, &nobody, 1);
	ck_assert_uint_eq(came.n, 0);
	directory_set(dir, &third);
	directory_reopen_log(dir);
	ck_assert_uint_eq(told(), 0);
	begins(1);
	ck_assert_uint_eq(told(), AUTHD_RELOAD);
	tag = asked(aor);
	answer(tag, &nobody, 1);
	ck_assert_uint_eq(came.n, 0);
	begins(2);
	ck_assert_str_eq(aor, "alice@x");
	tag = asked(aor);
	answer(tag, &nobody, 1);
	ck_assert_uint_eq(came.n, 1);
	ck_assert_uint_eq(told(), 0);
	directory_reopen_log(dir);
	ck_assert_uint_eq(told(), AUTHD_REOPEN);
	begins(2);
	ck_assert_uint_eq(told(), 0);
	end();
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { asks_once, asks_for_logins, fails, too_many, lies, old_answers_do_not_count, reloads_are_not_lost };

	return unit_run("director-directory", tests, sizeof(tests) / sizeof(tests[0]));
}
