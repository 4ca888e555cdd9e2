/*
 * admin/daemon.h - what every daemon's main() does the same way.
 */
#ifndef SALLYPORT_ADMIN_DAEMON_H
#define SALLYPORT_ADMIN_DAEMON_H

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

struct daemon_args {
	const char	*config;	/* -f FILE */
	bool		 check;		/* -n: check the configuration and exit */
	bool		 options;	/* --options: print every option and exit */
};

/*
 * GNU options. -1: go on with *out; otherwise main() returns that (0 after
 * --help and --version, EX_USAGE after nonsense, with a line on stderr).
 */
int	daemon_args_parse(int argc, char **argv, const char *program, const char *what, const char *dflt_config,
	    struct daemon_args *out);

enum daemon_event {
	DAEMON_STOP = 0,	/* TERM, INT */
	DAEMON_RELOAD,		/* HUP */
	DAEMON_REOPEN,		/* USR1: log files */
	DAEMON_CHILD,		/* a process of ours ended */
	DAEMON_ASKED,		/* USR2, which daemon_ask() sends: control_run_main() has something to do */
	DAEMON_TICK		/* so much time has gone by */
};

/* Block those signals, before the first thread, so that only daemon_wait() sees them. SIGPIPE is ignored. */
void	daemon_signals(void);
/* Whom the administrator sends them to: the process that called daemon_signals(), also in its children. */
pid_t	daemon_pid(void);
/*
 * The next of them; waits. Every tick_ms it is DAEMON_TICK (0: never). Whatever comes often hides nothing else. For one thread of
 * the process.
 */
enum daemon_event daemon_wait(unsigned tick_ms);
/* From any thread: the one that waits in daemon_wait() gets DAEMON_ASKED, once at least after this. */
void	daemon_ask(pthread_t waits);

/*
 * Listening sockets that we were started with (sd_listen_fds protocol: LISTEN_PID, LISTEN_FDS): how
 * many, at most max, into fds[], close-on-exec from now on. The variables are taken away.
 */
size_t	daemon_sockets(int *fds, size_t max);
/*
 * Tell the service manager (sd_notify protocol, NOTIFY_SOCKET); nothing happens without one. "READY=1", "STOPPING=1" … It is not
 * waited for, but for half a second.
 */
void	daemon_notify(const char *state);
/* The same for the start of a reload, with the time that newer ones want to be told. READY=1 ends it. */
void	daemon_notify_reloading(void);
/*
 * How often the service manager wants to hear WATCHDOG=1 from this daemon at the least (WATCHDOG_USEC, WATCHDOG_PID), in
 * milliseconds, also in its children. 0: it does not watch.
 */
unsigned daemon_watchdog_ms(void);

#endif
