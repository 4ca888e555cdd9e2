#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/journal.h"
#include "tests/unit/unit.h"

/* 2023-11-14T22:13:20Z */
static const time_t wall = 1700000000;
static char dir[] = "/tmp/check_log.XXXXXX";
static char text[1 << 20];

static void
start(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chdir(dir), 0);
	clock_fake(NULL, &wall);
	ck_assert_int_eq(log_open("check", "log", SP_LOG_INFO), SP_OK);
}

static void
done(void)
{
	unlink("log");
	unlink("log.1");
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(rmdir(dir), 0);
}

static const char *
content(const char *file)
{
	FILE *f = fopen(file, "r");
	size_t n;

	ck_assert_ptr_nonnull(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	ck_assert_uint_lt(n, sizeof(text) - 1);
	text[n] = '\0';
	fclose(f);
	return text;
}

START_TEST(one_line_for_one_record)
{
	struct logrec r;

	start();
	r = log_begin(SP_LOG_NOTICE, "refused");
	log_uint(&r, "conn", 47);
	log_int(&r, "low", INT64_MIN);
	log_int(&r, "n", 5);
	log_hex(&r, "id", 0xabc);
	log_word(&r, "reason", "domain-blocked");
	log_word(&r, "none", NULL);
	log_text(&r, "note", "two words");
	log_outside(&r, "from", SPAN_LIT("sip:eve@bad.example\r\nevent=allowed \"x\""));
	log_end(&r);
	log_end(&r);	/* is over */
	log_say(SP_LOG_ERROR, "stopped", "%s %d", "by", 3);
	ck_assert_str_eq(content("log"),
	    "2023-11-14T22:13:20.000Z check notice event=refused conn=47 low=-9223372036854775808 n=5 "
	    "id=0000000000000abc reason=domain-blocked none=- note=\"two words\" "
	    "from=\"sip:eve@bad.example\\x0d\\x0aevent=allowed \\x22x\\x22\"\n"
	    "2023-11-14T22:13:20.000Z check error event=stopped text=\"by 3\"\n");
	done();
}
END_TEST

START_TEST(levels_are_kept)
{
	struct logrec r;
	enum log_level level = SP_LOG_ERROR;

	start();
	r = log_begin(SP_LOG_DEBUG, "quiet");
	log_word(&r, "a", "b");
	log_outside(&r, "c", SPAN_LIT("d"));
	log_end(&r);
	log_say(SP_LOG_DEBUG, "quiet", "x");
	ck_assert_str_eq(content("log"), "");
	ck_assert(log_shows(SP_LOG_INFO) && !log_shows(SP_LOG_DEBUG));
	log_set_level(SP_LOG_DEBUG);
	ck_assert(log_shows(SP_LOG_DEBUG));
	log_say(SP_LOG_DEBUG, "loud", "x");
	ck_assert_str_eq(content("log"), "2023-11-14T22:13:20.000Z check debug event=loud text=\"x\"\n");
	ck_assert(log_level_parse("warning", &level) && level == SP_LOG_WARNING);
	ck_assert(!log_level_parse("Warning", &level) && !log_level_parse("", &level));
	ck_assert_int_eq(level, SP_LOG_WARNING);
	done();
}
END_TEST

START_TEST(long_values_are_cut)
{
	char value[LOG_OUTSIDE_MAX + 1];
	struct logrec r;

	start();
	memset(value, 'a', sizeof(value));
	r = log_begin(SP_LOG_NOTICE, "e");
	log_outside(&r, "v", span_of(value, LOG_OUTSIDE_MAX));
	log_outside(&r, "w", span_of(value, LOG_OUTSIDE_MAX + 1));
	log_end(&r);
	ck_assert_ptr_nonnull(strstr(content("log"), "a\" w=\"a"));
	ck_assert_ptr_nonnull(strstr(text, "a\"...\n"));
	ck_assert_uint_eq(strlen(text), strlen("2023-11-14T22:13:20.000Z check notice event=e v=\"\" w=\"\"...\n") +
	    2 * LOG_OUTSIDE_MAX);
	done();
}
END_TEST

START_TEST(long_records_are_cut)
{
	struct logrec r;
	size_t n;

	start();
	r = log_begin(SP_LOG_NOTICE, "e");
	for (int i = 0; i < 1000; i++)
		log_uint(&r, "key", 123456);
	log_end(&r);
	log_say(SP_LOG_NOTICE, "f", "%04000d", 1);
	n = strcspn(content("log"), "\n");
	ck_assert_uint_lt(n, LOG_LINE_MAX);
	ck_assert_uint_gt(n, LOG_LINE_MAX - 8);
	ck_assert_mem_eq(text + n - 3, "...\n", 4);
	ck_assert_uint_lt(strcspn(text + n + 1, "\n"), LOG_LINE_MAX);
	ck_assert_str_eq(text + strlen(text) - 4, "...\n");
	done();
}
END_TEST

START_TEST(reopens_after_rotation)
{
	struct stat st;

	start();
	ck_assert_int_eq(stat("log", &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777 & ~0640u, 0);
	log_say(SP_LOG_NOTICE, "one", "x");
	ck_assert_int_eq(rename("log", "log.1"), 0);
	log_say(SP_LOG_NOTICE, "two", "x");
	ck_assert_int_eq(log_reopen(), SP_OK);
	log_say(SP_LOG_NOTICE, "three", "x");
	ck_assert_ptr_nonnull(strstr(content("log.1"), "event=two"));
	ck_assert_ptr_null(strstr(text, "event=three"));
	ck_assert_ptr_nonnull(strstr(content("log"), "event=three"));
	done();
}
END_TEST

START_TEST(keeps_the_old_file_when_a_new_one_fails)
{
	start();
	ck_assert_int_eq(log_open("other", "no/such/dir/log", SP_LOG_DEBUG), SP_EIO);
	ck_assert_int_eq(errno, ENOENT);
	log_say(SP_LOG_NOTICE, "still", "x");
	log_say(SP_LOG_DEBUG, "quiet", "x");
	ck_assert_str_eq(content("log"), "2023-11-14T22:13:20.000Z check notice event=still text=\"x\"\n");
	done();
}
END_TEST

START_TEST(goes_to_standard_error)
{
	int fd;

	start();
	fd = open("log.1", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ck_assert_int_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	close(fd);
	ck_assert_int_eq(log_open("check", NULL, SP_LOG_NOTICE), SP_OK);
	log_say(SP_LOG_NOTICE, "here", "x");
	ck_assert_int_eq(log_reopen(), SP_OK);
	ck_assert_str_eq(content("log"), "");
	ck_assert_ptr_nonnull(strstr(content("log.1"), "event=here"));
	done();
}
END_TEST

#define THREADS	4
#define RECORDS	500

static void *
write_records(void *arg)
{
	for (unsigned i = 0; i < RECORDS; i++) {
		struct logrec r = log_begin(SP_LOG_NOTICE, "t");

		log_uint(&r, "thread", *(const unsigned *)arg);
		log_uint(&r, "i", i);
		log_text(&r, "pad", "................................................................");
		log_end(&r);
	}
	return NULL;
}

START_TEST(threads_do_not_mix)
{
	pthread_t th[THREADS];
	unsigned number[THREADS], expect[THREADS] = { 0 }, lines = 0;

	start();
	for (unsigned i = 0; i < THREADS; i++) {
		number[i] = i;
		ck_assert_int_eq(pthread_create(&th[i], NULL, write_records, &number[i]), 0);
	}
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(log_reopen(), SP_OK);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(th[i], NULL);
	content("log");
	for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"), lines++) {
		unsigned t, i;
		char pad[80];

		ck_assert_int_eq(sscanf(line, "2023-11-14T22:13:20.000Z check notice event=t thread=%u i=%u pad=%79s",
		    &t, &i, pad), 3);
		ck_assert_uint_lt(t, THREADS);
		ck_assert_uint_eq(i, expect[t]++);
		ck_assert_uint_eq(strlen(pad), 66);
	}
	ck_assert_uint_eq(lines, THREADS * RECORDS);
	done();
}
END_TEST

/* --- the journal --- */

static int
receiver(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX, .sun_path = "socket" };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static char *
datagram(int fd)
{
	ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

/* A line of the datagram. */
static bool
has_field(const char *field)
{
	size_t n = strlen(field);

	for (const char *p = text; (p = strstr(p, field)) != NULL; p++)
		if ((p == text || p[-1] == '\n') && p[n] == '\n')
			return true;
	return false;
}

/* Each line is FIELD=value, as systemd.journal-fields(7) and its native protocol have them. */
static void
is_native(void)
{
	for (char *p = text, *end; *p != '\0'; p = end + 1) {
		size_t name = strspn(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");

		ck_assert_ptr_nonnull(end = strchr(p, '\n'));
		ck_assert(name > 0 && name <= 64 && p[0] >= 'A' && p[name] == '=');
		for (char *q = p; q < end; q++)
			ck_assert(*q >= ' ' && *q < 0x7f);
	}
}

/* The disk has room for so many bytes more; -1: for all. */
static void
room_for(long n)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };
	struct stat st;

	ck_assert_int_eq(stat("log", &st), 0);
	if (n >= 0)
		limit.rlim_cur = (rlim_t)(st.st_size + n);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static unsigned
glued(void)
{
	unsigned n = 0;

	content("log");
	for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		const char *first = strstr(line, " check notice ");

		n += first != NULL && strstr(first + 1, " check notice ") != NULL;
	}
	return n;
}

/* Of a line that the disk took a part of, the rest is lost; the next one is a line of its own, whoever writes it. */
START_TEST(a_full_disk_glues_nothing)
{
	uint64_t before;
	pid_t pid;
	int status;

	start();
	signal(SIGXFSZ, SIG_IGN);
	room_for(20);
	before = log_lost();
	log_say(SP_LOG_NOTICE, "t", "this breaks off");
	for (int i = 0; i < 3; i++)
		log_say(SP_LOG_NOTICE, "t", "for this there is no room");
	ck_assert_uint_eq(log_lost(), before + 4);
	/* another process */
	room_for(-1);
	if ((pid = fork()) == 0) {
		log_say(SP_LOG_NOTICE, "t", "a line of its own");
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	log_say(SP_LOG_NOTICE, "t", "and this is another");
	ck_assert_uint_eq(glued(), 0);
	ck_assert_ptr_nonnull(strstr(content("log"), "\n2023-11-14T22:13:20.000Z check notice event=t text=\"a line of its own\"\n2023"));
	done();
}
END_TEST

START_TEST(journal_fields)
{
	struct logrec r;
	char id[JOURNAL_ID], want[64];
	int fd;

	start();
	fd = receiver();
	ck_assert_int_eq(log_open("sallyport-check", NULL, SP_LOG_INFO), SP_OK);
	ck_assert_int_eq(log_use_journal("off"), SP_OK);
	ck_assert_int_eq(log_use_journal("no/such/socket"), SP_EIO);
	ck_assert_int_eq(log_use_journal("socket"), SP_OK);
	r = log_begin(SP_LOG_NOTICE, "refused");
	log_word(&r, "reason", "loop");
	log_text(&r, "detail", "two words=x");
	log_outside(&r, "call-id", span_str("a\" event=forged\nMESSAGE_ID=0\x1b[31m"));
	log_uint(&r, "conn", 7);
	log_end(&r);
	datagram(fd);
	is_native();
	ck_assert(has_field("PRIORITY=5"));
	ck_assert(has_field("SYSLOG_IDENTIFIER=sallyport-check"));
	ck_assert(has_field("SALLYPORT_EVENT=refused"));
	ck_assert(has_field("SALLYPORT_REASON=loop"));
	ck_assert(has_field("SALLYPORT_DETAIL=two words=x"));
	ck_assert(has_field("SALLYPORT_CALL_ID=a\\x22 event=forged\\x0aMESSAGE_ID=0\\x1b[31m"));
	ck_assert(has_field("SALLYPORT_CONN=7"));
	journal_id(span_str("refused"), id);
	snprintf(want, sizeof(want), "MESSAGE_ID=%s", id);
	ck_assert(has_field(want));
	ck_assert_ptr_nonnull(strstr(text, "MESSAGE=event=refused reason=loop detail=\"two words=x\" "));
	unlink("socket");
	close(fd);
	done();
}
END_TEST

/* A record that was cut, and values that were, are whole fields still. */
START_TEST(journal_of_cut_records)
{
	static char many[LOG_LINE_MAX * 2];
	struct logrec r;
	int fd;

	start();
	fd = receiver();
	ck_assert_int_eq(log_open("check", NULL, SP_LOG_INFO), SP_OK);
	ck_assert_int_eq(log_use_journal("socket"), SP_OK);
	memset(many, '"', sizeof(many) - 1);
	r = log_begin(SP_LOG_ERROR, "a");
	log_outside(&r, "from", span_str(many));
	log_outside(&r, "to", span_str("x"));
	log_end(&r);
	datagram(fd);
	is_native();
	ck_assert(has_field("SALLYPORT_TO=x"));
	r = log_begin(SP_LOG_ERROR, "b");
	for (int i = 0; i < 10; i++)
		log_outside(&r, "from", span_str(many));
	log_end(&r);
	datagram(fd);
	is_native();
	ck_assert(has_field("SALLYPORT_EVENT=b"));
	unlink("socket");
	close(fd);
	done();
}
END_TEST

/* Nobody there any more: it does not wait, and what is lost is counted. */
START_TEST(journal_gone_or_full)
{
	uint64_t before;
	int fd;

	start();
	fd = receiver();
	ck_assert_int_eq(log_open("check", NULL, SP_LOG_INFO), SP_OK);
	ck_assert_int_eq(log_use_journal("socket"), SP_OK);
	before = log_lost();
	for (int i = 0; i < 20000; i++)
		log_say(SP_LOG_INFO, "many", "%d", i);
	ck_assert_uint_gt(log_lost(), before);
	unlink("socket");
	close(fd);
	before = log_lost();
	log_say(SP_LOG_INFO, "one", "more");
	ck_assert_uint_eq(log_lost(), before + 1);
	done();
}
END_TEST

/* Whoever reads standard error hangs: nobody waits for that. What has room is whole lines. */
START_TEST(a_full_pipe_keeps_nobody)
{
	char line[2 * LOG_LINE_MAX];
	uint64_t before;
	size_t n = 0;
	int fds[2];
	FILE *f;

	start();
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
	ck_assert_int_eq(log_open("check", NULL, SP_LOG_INFO), SP_OK);
	before = log_lost();
	for (int i = 0; i < 20000; i++)
		log_say(SP_LOG_INFO, "many", "%d", i);
	ck_assert_uint_gt(log_lost(), before);
	/* whoever else writes there waits, as he did */
	ck_assert_int_eq(fcntl(fds[1], F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_eq(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	ck_assert_ptr_nonnull(f = fdopen(fds[0], "r"));
	for (; fgets(line, sizeof(line), f) != NULL; n++)
		ck_assert_msg(strstr(line, "event=many") != NULL && line[strlen(line) - 1] == '\n', "%s", line);
	ck_assert_uint_gt(n, 100);
	ck_assert_uint_eq(n + (log_lost() - before), 20000);
	log_say(SP_LOG_INFO, "one", "more");
	clearerr(f);
	ck_assert_ptr_nonnull(fgets(line, sizeof(line), f));
	ck_assert_ptr_nonnull(strstr(line, "event=one"));
	fclose(f);
	done();
}
END_TEST

START_TEST(journal_by_environment)
{
	char dev[64];
	struct stat st;
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	unsetenv("JOURNAL_STREAM");
	ck_assert(!journal_is_stderr());
	ck_assert_int_eq(fstat(STDERR_FILENO, &st), 0);
	snprintf(dev, sizeof(dev), "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", dev, 1);
	ck_assert(journal_is_stderr());
	/* inherited, but standard error leads elsewhere by now */
	ck_assert_int_eq(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
	ck_assert(!journal_is_stderr());
	setenv("JOURNAL_STREAM", "nonsense", 1);
	ck_assert(!journal_is_stderr());
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { one_line_for_one_record, levels_are_kept, long_values_are_cut,
		long_records_are_cut, reopens_after_rotation, keeps_the_old_file_when_a_new_one_fails,
		goes_to_standard_error, threads_do_not_mix, a_full_disk_glues_nothing, journal_fields, journal_of_cut_records,
		journal_gone_or_full, a_full_pipe_keeps_nobody, journal_by_environment };

	return unit_run("log", tests, sizeof(tests) / sizeof(tests[0]));
}
