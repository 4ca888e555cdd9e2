/*
 * The session log: its lines, its bound, its rotation, and what becomes of lines when it cannot be written.
 */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"
#include "net/stats.h"
#include "sip/check.h"
#include "sip/sessions.h"

static char dir[] = "/tmp/check_sessions.XXXXXX";
static char text[4 << 20];
static struct sip_sessions *sessions;

static void
begin(uint64_t max)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chdir(dir), 0);
	ck_assert_int_eq(log_open("check", "log", SP_LOG_INFO), SP_OK);
	sessions = sip_sessions_new(2, max);
	ck_assert_int_eq(sip_sessions_open(sessions, "sessions"), SP_OK);
}

static void
end(void)
{
	static const char *const files[] = { "log", "sessions", "sessions.1", "moved" };

	sip_sessions_free(sessions);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		unlink(files[i]);
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(rmdir(dir), 0);
}

static const char *
content(const char *file)
{
	FILE *f = fopen(file, "r");
	size_t n = f != NULL ? fread(text, 1, sizeof(text) - 1, f) : 0;

	text[n] = '\0';
	if (f != NULL)
		fclose(f);
	return text;
}

static unsigned
count_lines(const char *file, const char *what)
{
	unsigned n = 0;

	for (const char *p = content(file); (p = strstr(p, what)) != NULL; p++)
		n++;
	return n;
}

static void
write_one(unsigned worker, const struct sip_message *m)
{
	struct net_addr a;
	struct sip_session s = { .side = POLICY_SIDE_OUTER, .class = POLICY_CLASS_DIRECT, .peer = &a,
	    .method = POLICY_METHOD_MESSAGE, .status = 403, .reason = POLICY_REASON_SPOOFED_FROM, .ms = 12, .m = m };

	/* no assertion: Check writes each down, also where files have a limit */
	net_addr_parse(&a, span_str("192.0.2.1:5061"), 0);
	sip_session_write(sip_sessions_pen(sessions, worker), &s);
}

static uint64_t
counted(enum stats_result r)
{
	return stats_value(STATS_CELL(SESSION_LINES, r, 0));
}

START_TEST(lines)
{
	static struct sip_message m;
	char bytes[] = "MESSAGE sip:c@example.com SIP/2.0\r\nVia: SIP/2.0/TLS h;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n"
	    "From: \"secret\" <sip:a@b.example>;tag=1\r\nTo: <sip:c:secret@example.com>\r\n"
	    "Call-ID: x\" reason=forged\\\xff y\r\nCSeq: 1 MESSAGE\r\nContent-Length: 6\r\n\r\nsecret";

	begin(0);
	sip_message_reset(&m);
	ck_assert_int_eq(sip_message_index(&m, bytes, sizeof(bytes) - 1), SP_OK);
	(void)sip_message_parse(&m);
	write_one(0, &m);
	write_one(1, NULL);
	ck_assert_str_eq(content("sessions"), "");	/* nothing is written by workers */
	sip_sessions_flush(sessions);
	content("sessions");
	ck_assert_ptr_nonnull(strstr(text, "Z door=outer class=direct peer=192.0.2.1:5061 method=MESSAGE status=403 "
	    "reason=spoofed-from ms=12 from=\""));
	ck_assert_ptr_nonnull(strstr(text, "call-id=\"x\\x22 reason=forged\\x5c\\xff y\"\n"));
	ck_assert_ptr_nonnull(strstr(text, "reason=spoofed-from ms=12\n"));
	ck_assert_ptr_null(strstr(text, "secret"));	/* nor display name nor password nor body */
	for (const char *p = text; *p != '\0'; p++)
		ck_assert(*p == '\n' || (*p >= ' ' && *p < 0x7f));
	ck_assert_uint_eq(counted(STATS_OK), 2);
	end();
}
END_TEST

START_TEST(rotation)
{
	begin(0);
	write_one(0, NULL);
	sip_sessions_flush(sessions);
	ck_assert_int_eq(rename("sessions", "moved"), 0);
	write_one(0, NULL);
	sip_sessions_flush(sessions);
	ck_assert_uint_eq(count_lines("moved", "\n"), 2);
	ck_assert_int_eq(sip_sessions_reopen(sessions), SP_OK);
	write_one(0, NULL);
	sip_sessions_flush(sessions);
	ck_assert_uint_eq(count_lines("sessions", "\n"), 1);
	ck_assert_uint_eq(count_lines("moved", "\n"), 2);
	end();
}
END_TEST

START_TEST(bound)
{
	begin(1000);
	for (int i = 0; i < 50; i++) {
		write_one(0, NULL);
		sip_sessions_flush(sessions);
	}
	ck_assert_uint_gt(count_lines("sessions.1", "\n"), 2);
	ck_assert_uint_le(strlen(content("sessions")), 1000);
	ck_assert_uint_le(strlen(content("sessions.1")), 1000);
	ck_assert_uint_eq(counted(STATS_OK), 50);
	ck_assert_uint_eq(counted(STATS_FAILED), 0);
	end();
}
END_TEST

/* A disk that takes no more: whole lines stay whole, it is said once, and once when it goes on. */
START_TEST(disk_full)
{
	struct rlimit small = { 500, RLIM_INFINITY }, large = { RLIM_INFINITY, RLIM_INFINITY };

	begin(0);
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &small);
	for (int i = 0; i < 20; i++) {
		write_one(0, NULL);
		write_one(0, NULL);
		write_one(0, NULL);
		sip_sessions_flush(sessions);
	}
	setrlimit(RLIMIT_FSIZE, &large);
	content("sessions");
	ck_assert_uint_gt(strlen(text), 0);
	ck_assert_int_eq(text[strlen(text) - 1], '\n');
	ck_assert_uint_eq(counted(STATS_OK), count_lines("sessions", "\n"));
	ck_assert_uint_eq(counted(STATS_OK) + counted(STATS_FAILED), 60);
	ck_assert_uint_gt(counted(STATS_FAILED), 50);
	ck_assert_uint_eq(count_lines("log", "event=session-log"), 1);
	write_one(0, NULL);
	sip_sessions_flush(sessions);
	ck_assert_uint_eq(count_lines("log", "event=session-log"), 2);
	end();
}
END_TEST

/* Nobody flushes: memory is bounded, and the rest counted. */
START_TEST(memory_bound)
{
	begin(0);
	for (unsigned i = 0; i < 2 * SESSIONS_BUFFER / 100; i++)
		write_one(1, NULL);
	ck_assert_uint_gt(counted(STATS_FAILED), 0);
	sip_sessions_flush(sessions);
	ck_assert_uint_eq(counted(STATS_OK) + counted(STATS_FAILED), 2 * SESSIONS_BUFFER / 100);
	ck_assert_uint_eq(count_lines("log", "more lines than can be written in time"), 1);
	end();
}
END_TEST

static void
count_hurries(void *arg)
{
	++*(unsigned *)arg;
}

/* Long before the memory is full, and once until it was written. */
START_TEST(hurries)
{
	unsigned calls = 0, written = 0;

	begin(0);
	sip_sessions_hurry(sessions, count_hurries, &calls);
	for (int turn = 1; turn <= 2; turn++) {
		for (unsigned i = 0; i < SESSIONS_BUFFER / 2 / 100; i++, written++)
			write_one(1, NULL);
		ck_assert_uint_eq(calls, turn);
		sip_sessions_flush(sessions);
	}
	ck_assert_uint_eq(counted(STATS_OK), written);
	ck_assert_uint_eq(counted(STATS_FAILED), 0);
	end();
}
END_TEST

START_TEST(a_descriptor)
{
	int fd;

	begin(0);
	fd = open("moved", O_WRONLY | O_APPEND | O_CREAT, 0600);
	sip_sessions_take(sessions, fd);
	write_one(0, NULL);
	sip_sessions_flush(sessions);
	ck_assert_uint_eq(count_lines("moved", "\n"), 1);
	ck_assert_int_eq(sip_sessions_open(sessions, "no/such/dir"), SP_EIO);
	write_one(0, NULL);
	sip_sessions_flush(sessions);
	ck_assert_uint_eq(count_lines("moved", "\n"), 2);
	end();
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { lines, rotation, bound, disk_full, memory_bound, hurries, a_descriptor };

	return unit_run("sessions", tests, sizeof(tests) / sizeof(tests[0]));
}
