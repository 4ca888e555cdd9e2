/*
 * admin/daemon.c - see daemon.h.
 */
#include "admin/daemon.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "config.h"

#define WATCHDOG_MAX_MS	86400000
#define NOTIFY_MS	500	/* how long a service manager may take to take a word */

static void
help(const char *program, const char *what, const char *dflt)
{
	printf("usage: %s [-n] [-f FILE]\n\n%s\n\n"
	    "  -f, --config=FILE  read FILE (default: %s)\n"
	    "  -n, --check        check the configuration, print every error, and exit\n"
	    "                     (0: good; 78: not)\n"
	    "      --options      print every option of the file with its default\n"
	    "  -h, --help         print this\n"
	    "      --version      print the version\n\n"
	    "Signals: HUP reads configuration, policy and certificates again; USR1 opens\n"
	    "the log files again; TERM ends.\n", program, what, dflt);
}

int
daemon_args_parse(int argc, char **argv, const char *program, const char *what, const char *dflt_config,
    struct daemon_args *out)
{
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'f' }, { "check", no_argument, NULL, 'n' },
		{ "options", no_argument, NULL, 'O' }, { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' }, { NULL, 0, NULL, 0 }
	};
	int c;

	*out = (struct daemon_args){ .config = dflt_config };
	while ((c = getopt_long(argc, argv, "f:nh", longs, NULL)) != -1) {
		switch (c) {
		case 'f':
			out->config = optarg;
			break;
		case 'n':
			out->check = true;
			break;
		case 'O':
			out->options = true;
			break;
		case 'h':
			help(program, what, dflt_config);
			return 0;
		case 'V':
			printf("%s %s\n", program, PACKAGE_VERSION);
			return 0;
		default:
			fprintf(stderr, "Try '%s --help'.\n", program);
			return EX_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "%s: unexpected argument '%s'\nTry '%s --help'.\n", program, argv[optind], program);
		return EX_USAGE;
	}
	return -1;
}

static void
event_set(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
	sigaddset(set, SIGUSR1);
	sigaddset(set, SIGUSR2);
	sigaddset(set, SIGCHLD);
}

static pid_t pid_of_daemon;

pid_t
daemon_pid(void)
{
	return pid_of_daemon;
}

void
daemon_signals(void)
{
	sigset_t set;

	pid_of_daemon = getpid();

	signal(SIGPIPE, SIG_IGN);
	event_set(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static enum daemon_event
event_of(int sig)
{
	switch (sig) {
	case SIGHUP:
		return DAEMON_RELOAD;
	case SIGUSR1:
		return DAEMON_REOPEN;
	case SIGUSR2:
		return DAEMON_ASKED;
	case SIGCHLD:
		return DAEMON_CHILD;
	default:
		return DAEMON_STOP;
	}
}

/* The next of these signals; waits for it at most so long (NULL: without end). 0: there is none. */
static int
next_signal(const sigset_t *set, const struct timespec *wait)
{
	int sig;

	while ((sig = sigtimedwait(set, NULL, wait)) == -1 && errno != EAGAIN)
		;
	return sig == -1 ? 0 : sig;
}

enum daemon_event
daemon_wait(unsigned tick_ms)
{
	/* there is one thread that waits */
	static enum daemon_event last = DAEMON_STOP;
	static uint64_t tick_at;
	const struct timespec none = { 0, 0 };
	uint64_t now = clock_ms(), left;
	struct timespec wait;
	sigset_t set;
	int sig = 0;

	if (tick_at == 0)
		tick_at = now + tick_ms;
	event_set(&set);
	/* what a thread of ours sends comes before what others do, as often as it is sent: those have a turn, too */
	if (last == DAEMON_ASKED) {
		sigdelset(&set, SIGUSR2);
		sig = next_signal(&set, &none);
		sigaddset(&set, SIGUSR2);
	}
	/* and so has time; but no two ticks in a row while somebody waits */
	if (sig == 0 && (tick_ms == 0 || now < tick_at || last == DAEMON_TICK)) {
		left = now < tick_at ? tick_at - now : 0;
		wait = (struct timespec){ (time_t)(left / 1000), (long)(left % 1000) * 1000000 };
		sig = next_signal(&set, tick_ms != 0 ? &wait : NULL);
	}
	last = sig != 0 ? event_of(sig) : DAEMON_TICK;
	if (last == DAEMON_TICK)
		tick_at = clock_ms() + tick_ms;
	return last;
}

void
daemon_ask(pthread_t waits)
{
	(void)pthread_kill(waits, SIGUSR2);
}

size_t
daemon_sockets(int *fds, size_t max)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	long n = pid != NULL && count != NULL && strtol(pid, NULL, 10) == (long)getpid() ? strtol(count, NULL, 10) : 0;
	size_t got = 0;

	for (int fd = 3; n > 0 && fd < 3 + n; fd++) {
		if (got == max || fcntl(fd, F_SETFD, FD_CLOEXEC) == -1)
			break;
		fds[got++] = fd;
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return got;
}

void
daemon_notify(const char *state)
{
	const struct timeval patience = { NOTIFY_MS / 1000, NOTIFY_MS % 1000 * 1000 };
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	size_t n = path != NULL ? strlen(path) : 0;
	int fd;

	if (n == 0 || n >= sizeof(sun.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(sun.sun_path, path, n);
	if (path[0] == '@')
		sun.sun_path[0] = '\0';	/* abstract name */
	if ((fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) == -1)
		return;
	/* best effort: a service manager that does not listen changes nothing, and one that hangs keeps nobody for long */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	(void)!sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&sun,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
	close(fd);
}

void
daemon_notify_reloading(void)
{
	char text[64];

	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)(clock_ns() / 1000));
	daemon_notify(text);
}

unsigned
daemon_watchdog_ms(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	unsigned long long ms;

	if (usec == NULL || (pid != NULL && strtol(pid, NULL, 10) != (long)pid_of_daemon))
		return 0;
	ms = strtoull(usec, NULL, 10) / 1000;
	return ms < WATCHDOG_MAX_MS ? (unsigned)ms : WATCHDOG_MAX_MS;
}
