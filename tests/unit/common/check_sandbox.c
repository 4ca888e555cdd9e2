/*
 * check_sandbox.c - each role is let do its work, and nothing that is tried besides works.
 */
#include "common/sandbox.h"

#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"
#include "tests/unit/unit.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

static char said[65536];	/* the child's log */

/* fn in a child that has entered the role; its status as waitpid() tells it. */
static int
in_role(enum sandbox_role role, int (*fn)(void))
{
	char path[] = "/tmp/check_sandbox.XXXXXX";
	int fd = mkstemp(path), status;
	ssize_t n;
	pid_t pid;

	ck_assert_int_ge(fd, 0);
	if ((pid = fork()) == 0) {
		if (log_open("check", path, SP_LOG_DEBUG) != SP_OK)
			_exit(100);
		log_say(SP_LOG_NOTICE, "begin", "the clock's files are read");
		if (sandbox_files(role, NULL, 0) != SP_OK || sandbox_calls(role) != SP_OK)
			_exit(101);
		_exit(fn());
	}
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	n = pread(fd, said, sizeof(said) - 1, 0);
	said[n > 0 ? n : 0] = '\0';
	close(fd);
	unlink(path);
	return status;
}

#define ck_dies(role, fn, name) do { \
	int st_ = in_role(role, fn); \
	ck_assert_msg(WIFSIGNALED(st_) && WTERMSIG(st_) == SIGSYS, "%s: status %x, log %s", #fn, (unsigned)st_, said); \
	ck_assert_msg(strstr(said, "event=sandbox-violation") != NULL && strstr(said, "name=" name) != NULL, "%s", said); \
} while (0)
#define ck_works(role, fn) do { \
	int st_ = in_role(role, fn); \
	ck_assert_msg(WIFEXITED(st_) && WEXITSTATUS(st_) == 0, "%s: status %x, log %s", #fn, (unsigned)st_, said); \
} while (0)

static int
execs(void)
{
	execl("/bin/true", "true", (char *)NULL);
	return 1;
}

static int
forks(void)
{
	return fork() == -1;
}

static int
traces(void)
{
	return ptrace(PTRACE_ATTACH, getppid(), NULL, NULL) == -1;
}

static int
calls_unix(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0) == -1;
}

static int
calls_inet(void)
{
	return socket(AF_INET, SOCK_STREAM, 0) == -1;
}

static int
packets(void)
{
	return socket(AF_PACKET, SOCK_RAW, 0) == -1;
}

static int
maps_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED;
}

static int
kills(void)
{
	return kill(getppid(), SIGTERM) == -1;
}

static int
unhooks(void)
{
	return signal(SIGSYS, SIG_IGN) == SIG_ERR;
}

static int
opens(void)
{
	return open("/etc/passwd", O_RDONLY) != -1 || (errno != EPERM && errno != EACCES);
}

static int
opens_to_write(void)
{
	return open("/tmp/check_sandbox.out", O_WRONLY | O_CREAT, 0600) != -1 || (errno != EPERM && errno != EACCES);
}

static int
serves(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(sin);
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), c, a;
	char byte;

	if (bind(l, (struct sockaddr *)&sin, n) != 0 || listen(l, 5) != 0 || getsockname(l, (struct sockaddr *)&sin, &n) != 0)
		return 1;
	c = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(c, (struct sockaddr *)&sin, n) != 0 || (a = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) == -1)
		return 2;
	if (write(c, "x", 1) != 1 || fcntl(a, F_SETFL, 0) != 0 || read(a, &byte, 1) != 1)
		return 3;
	return close(l) != 0;
}

static void *
nothing(void *arg)
{
	pthread_setname_np(pthread_self(), "named");
	return arg;
}

static int
makes_threads(void)
{
	pthread_t t;

	return pthread_create(&t, NULL, nothing, NULL) != 0 || pthread_join(t, NULL) != 0;
}

static int
writes_memory(void)
{
	char *p = malloc(8 << 20);
	int fd = memfd_create("list", MFD_CLOEXEC);

	if (p == NULL || fd == -1)
		return 1;
	memset(p, 1, 8 << 20);
	free(p);
	return write(fd, "x", 1) != 1;
}

static int
aborts(void)
{
	abort();
}

START_TEST(nobody_runs_programs)
{
	ck_dies(SANDBOX_PROXY, execs, "execve");
	ck_dies(SANDBOX_KEYD, execs, "execve");
	ck_dies(SANDBOX_AUTHD, execs, "execve");
	ck_dies(SANDBOX_ADMIN, execs, "execve");
}
END_TEST

START_TEST(proxy_stays_itself)
{
	if (!SANITIZED) {	/* a leak checker needs these */
		ck_dies(SANDBOX_PROXY, forks, "clone");
		ck_dies(SANDBOX_PROXY, traces, "ptrace");
		ck_dies(SANDBOX_PROXY, kills, "kill");
		ck_dies(SANDBOX_PROXY, maps_code, "mmap");
		ck_dies(SANDBOX_KEYD, maps_code, "mmap");
	}
	ck_dies(SANDBOX_PROXY, calls_unix, "socket");
	ck_dies(SANDBOX_PROXY, packets, "socket");
	ck_dies(SANDBOX_KEYD, calls_inet, "socket");
	ck_dies(SANDBOX_AUTHD, calls_inet, "socket");
	ck_dies(SANDBOX_ADMIN, calls_inet, "socket");
	ck_dies(SANDBOX_NOTHING, calls_unix, "socket");
}
END_TEST

START_TEST(files_are_refused)
{
	if (!SANITIZED) {	/* reports read what is mapped */
		ck_works(SANDBOX_PROXY, opens);
		ck_works(SANDBOX_KEYD, opens);
		ck_works(SANDBOX_AUTHD, opens);	/* no path was named */
	}
	ck_works(SANDBOX_PROXY, opens_to_write);
	ck_works(SANDBOX_LDAPD, opens_to_write);
	ck_works(SANDBOX_AUTHD, opens_to_write);
	ck_works(SANDBOX_WBD, opens_to_write);
}
END_TEST

START_TEST(handler_stays)
{
	int status = in_role(SANDBOX_PROXY, unhooks);

	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}
END_TEST

START_TEST(work_goes_on)
{
	int status;

	ck_works(SANDBOX_PROXY, serves);
	ck_works(SANDBOX_PROXY, makes_threads);
	ck_works(SANDBOX_PROXY, writes_memory);
	ck_works(SANDBOX_LDAPD, serves);
	ck_works(SANDBOX_WBD, makes_threads);
	status = in_role(SANDBOX_PROXY, aborts);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}
END_TEST

static int
reads_named(void)
{
	char byte;
	int fd = open("/etc/passwd", O_RDONLY);

	return fd == -1 || read(fd, &byte, 1) != 1 || open("/etc/hostname", O_RDONLY) != -1 ||
	    open("/tmp/check_sandbox.out", O_WRONLY | O_CREAT, 0600) != -1;
}

/* The places that were named, and those alone. */
START_TEST(named_places)
{
	const struct sandbox_path paths[] = { { "/etc/passwd", false }, { "/there/is/no/such", true } };
	int status;
	pid_t pid;

	if (SANITIZED)
		return;
	if ((pid = fork()) == 0)
		_exit(sandbox_files(SANDBOX_AUTHD, paths, 2) != SP_OK || sandbox_calls(SANDBOX_AUTHD) != SP_OK ? 9 : reads_named());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

static atomic_int go;

static void *
other_thread(void *arg)
{
	while (go == 0)
		usleep(1000);
	socket(AF_UNIX, SOCK_STREAM, 0);
	return arg;
}

/* The filter comes for threads that were there before. */
START_TEST(all_threads)
{
	int status;
	pid_t pid;

	if ((pid = fork()) == 0) {
		pthread_t t;

		if (pthread_create(&t, NULL, other_thread, NULL) != 0 || sandbox_calls(SANDBOX_PROXY) != SP_OK)
			_exit(9);
		go = 1;
		pthread_join(t, NULL);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { nobody_runs_programs, proxy_stays_itself, files_are_refused, handler_stays, work_goes_on,
	    named_places, all_threads };

	return unit_run("sandbox", tests, sizeof(tests) / sizeof(tests[0]));
}
