/*
 * authd's side of a Windows domain, with a far end that the test plays.
 */
#include "director/winbind.h"

#include <sys/socket.h>
#include <sys/wait.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "admin/users.h"
#include "common/log.h"
#include "tests/unit/unit.h"

static const struct winbind_conf conf = { .connections = 4, .timeout = 1000 };
static const char response[] = "a response of more than twenty-four bytes";
static struct winbind *wb;
static int far;
static struct { unsigned n; enum winbind_verdict verdict; unsigned char key[NTLM_KEY_SIZE]; char account[32]; } came;

static void
note(void *arg, const struct winbind_answer *a)
{
	ck_assert_ptr_eq(arg, &came);
	came.n++;
	came.verdict = a->verdict;
	memcpy(came.key, a->key, sizeof(came.key));
	snprintf(came.account, sizeof(came.account), "%.*s", (int)a->account.n, a->account.p != NULL ? a->account.p : "");
}

static void
begin(void)
{
	int pair[2];

	log_open("check_winbind", "/dev/null", SP_LOG_ERROR);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	far = pair[1];
	memset(&came, 0, sizeof(came));
	wb = winbind_new(&conf, pair[0], note);
	ck_assert_int_eq(winbind_fd(wb), pair[0]);
}

static bool
ask(const char *user, uint64_t now)
{
	struct winbind_question q = { .nonce = "12345678", .user = span_str(user), .domain = SPAN_LIT("CORP"),
	    .workstation = SPAN_LIT("PC"), .nt = span_str(response) };

	return winbind_ask(wb, &q, now, &came);
}

/* The question at the far end: its tag, or 0. */
static uint64_t
asked(const char *user)
{
	unsigned char in[WINBIND_PACKET_MAX];
	ssize_t n = recv(far, in, sizeof(in), MSG_DONTWAIT);
	struct winbind_question q;
	struct frame f;

	if (n < 0)
		return 0;
	ck_assert_int_eq(frame_parse(in, (size_t)n, &f), n);
	ck_assert_int_eq(f.type, WINBIND_QUESTION);
	ck_assert(winbind_get_question(&f, &q));
	ck_assert(span_is(q.user, user) && span_is(q.domain, "CORP") && span_is(q.workstation, "PC") &&
	    span_is(q.nt, response));
	ck_assert_mem_eq(q.nonce, "12345678", 8);
	return f.tag;
}

static void
send_answer(uint64_t tag, const struct winbind_answer *a)
{
	unsigned char out[WINBIND_PACKET_MAX];
	struct frame f = { .type = WINBIND_ANSWER, .tag = tag, .body = out + FRAME_HEAD };
	struct frame_writer w;

	frame_writer_init(&w, out + FRAME_HEAD, sizeof(out) - FRAME_HEAD);
	winbind_put_answer(&w, a);
	f.len = w.len;
	frame_format(&f, out);
	ck_assert_int_eq(send(far, out, FRAME_HEAD + w.len, 0), (ssize_t)(FRAME_HEAD + w.len));
	winbind_ready(wb, 0);
}

static const struct winbind_answer yes = { .verdict = WINBIND_PROVED, .key = "0123456789abcde", .domain = { "CORP", 4 },
    .account = { "alice", 5 } };
static const struct winbind_answer no = { .verdict = WINBIND_REFUSED, .status = 0xc000006a };

START_TEST(asks_and_hears)
{
	uint64_t first, second;

	begin();
	ck_assert(ask("alice", 0) && ask("bob", 0));
	first = asked("alice");
	second = asked("bob");
	ck_assert(first != 0 && second != 0 && first != second);
	/* in whatever order */
	send_answer(second, &no);
	ck_assert(came.n == 1 && came.verdict == WINBIND_REFUSED);
	send_answer(first, &yes);
	ck_assert(came.n == 2 && came.verdict == WINBIND_PROVED);
	ck_assert_mem_eq(came.key, yes.key, sizeof(yes.key));
	ck_assert_str_eq(came.account, "alice");
	/* once is enough */
	send_answer(first, &yes);
	ck_assert_uint_eq(came.n, 2);
	winbind_free(wb);
	close(far);
}
END_TEST

START_TEST(does_not_wait)
{
	uint64_t late;

	begin();
	ck_assert(ask("alice", 5000));
	late = asked("alice");
	winbind_tick(wb, 5999);
	ck_assert_uint_eq(came.n, 0);
	winbind_tick(wb, 6000);
	ck_assert(came.n == 1 && came.verdict == WINBIND_UNREACHED);
	send_answer(late, &yes);
	ck_assert_uint_eq(came.n, 1);
	/* the far end goes, with questions in it */
	ck_assert(ask("alice", 7000) && ask("bob", 7000));
	close(far);
	winbind_ready(wb, 7001);
	ck_assert(came.n == 3 && came.verdict == WINBIND_UNREACHED);
	ck_assert_int_eq(winbind_fd(wb), -1);
	ck_assert(!ask("alice", 7002));
	winbind_reopen_log(wb);
	winbind_free(wb);
}
END_TEST

/* Nobody reads at the far end: what is not asked is said so at once, and nothing is lost. */
START_TEST(too_many)
{
	unsigned n = 0;

	begin();
	while (n <= WINBIND_WAITING_MAX && ask("alice", 1))
		n++;
	ck_assert(n > 10 && n <= WINBIND_WAITING_MAX);
	ck_assert(!ask("alice", 1));
	winbind_tick(wb, 1001);
	ck_assert_uint_eq(came.n, n);
	/* names that cannot be are not asked for; whoever waits when all ends hears nothing */
	while (asked("alice") != 0)
		;
	ck_assert(ask("bob", 2));
	winbind_free(wb);
	ck_assert_uint_eq(came.n, n);
	close(far);
}
END_TEST

/* A wrong answer is a bug or a break-in. */
START_TEST(lies)
{
	int status;
	pid_t pid;

	for (int i = 0; i < 3; i++) {
		begin();
		ck_assert(ask("alice", 0));
		if ((pid = fork()) == 0) {
			if (i == 0)
				(void)!write(far, "rubbish", 7);
			else {
				struct winbind_answer a = i == 1 ? no : yes;

				a.status = i == 1 ? 0 : 1;
				send_answer(asked("alice"), &a);
			}
			winbind_ready(wb, 0);
			_exit(0);
		}
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == EX_SOFTWARE);
		winbind_free(wb);
		close(far);
	}
}
END_TEST

START_TEST(questions_and_answers)
{
	unsigned char out[WINBIND_PACKET_MAX];
	char longest[NTLM_NAME_MAX];
	struct winbind_question q = { .nonce = "12345678", .user = span_of(longest, sizeof(longest) - 1),
	    .domain = span_of(longest, sizeof(longest) - 1), .workstation = span_of(longest, sizeof(longest) - 1) }, back;
	static char nt[NTLM_TOKEN_MAX];
	struct frame_writer w;
	struct frame f = { .body = out };

	/* the longest there is fits, and nothing longer is taken */
	memset(longest, 'a', sizeof(longest));
	q.nt = span_of(nt, sizeof(nt));
	frame_writer_init(&w, out, sizeof(out) - FRAME_HEAD);
	winbind_put_question(&w, &q);
	ck_assert(!w.failed);
	f.len = w.len;
	ck_assert(winbind_get_question(&f, &back) && back.nt.n == sizeof(nt));
	f.len--;
	ck_assert(!winbind_get_question(&f, &back));
	q.nt.n = 24;	/* NTLMv1 */
	frame_writer_init(&w, out, sizeof(out));
	winbind_put_question(&w, &q);
	f.len = w.len;
	ck_assert(!winbind_get_question(&f, &back));
	q.nt.n = 100;
	q.user = span_of("a\0b", 3);
	frame_writer_init(&w, out, sizeof(out));
	winbind_put_question(&w, &q);
	f.len = w.len;
	ck_assert(!winbind_get_question(&f, &back));
}
END_TEST

START_TEST(refusals)
{
	static const uint32_t ours[] = { 0xc000005e /* no logon servers */, 0xc00000b5 /* time-out */, 0xc0000022 /* access denied */,
	    0xc0000001, 0xc000018d /* trust failure */, 0xc0000233 /* no controller */, 0xc002001b /* rpc */, 0, 0xffffffff };

	ck_assert_str_eq(winbind_refusal(0xc000006a), "wrong-password");
	ck_assert_str_eq(winbind_refusal(0xc0000064), "unknown-user");
	ck_assert_str_eq(winbind_refusal(0xc0000072), "disabled");
	ck_assert_str_eq(winbind_refusal(0xc0000234), "locked-out");
	/* whatever is not surely about the user says nothing about the user */
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		ck_assert_ptr_null(winbind_refusal(ours[i]));
}
END_TEST

START_TEST(addresses)
{
	struct conf_str list[] = { { .s = (char[]){ "CORP=example.com" } }, { .s = (char[]){ "LAB=lab.example.com" } } };
	const struct conf_strs domains = { list, 2 }, none = { NULL, 0 };
	static const struct { const char *domain, *account, *aor; } rows[] = {
		{ "CORP", "Alice", "alice@example.com" }, { "corp", "alice", "alice@example.com" },
		{ "LAB", "alice", "alice@lab.example.com" },
		{ "OTHER", "alice", NULL }, { "CORP=example.com", "alice", NULL }, { "", "alice", NULL }, { "CORP", "", NULL },
		/* what is no user of an address is nobody */
		{ "CORP", "alice@lab.example.com", NULL }, { "CORP", "a b", NULL }, { "CORP", "a;b", NULL }, { "CORP", "a>", NULL },
		{ "CORP", "LAB\\alice", NULL }, { "CORP", "\xc3\xa4", NULL }
	};
	char out[USER_AOR_MAX];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool got = winbind_aor(&domains, span_str(rows[i].domain), span_str(rows[i].account), out, sizeof(out));

		ck_assert_msg(got == (rows[i].aor != NULL), "row %zu", i);
		ck_assert_str_eq(out, got ? rows[i].aor : "");
	}
	ck_assert(!winbind_aor(&none, SPAN_LIT("CORP"), SPAN_LIT("alice"), out, sizeof(out)));
	ck_assert(!winbind_aor(&domains, SPAN_LIT("CORP"), SPAN_LIT("alice"), out, 17));
	ck_assert_str_eq(out, "");
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { asks_and_hears, does_not_wait, too_many, lies, questions_and_answers, refusals, addresses };

	return unit_run("winbind", tests, sizeof(tests) / sizeof(tests[0]));
}
