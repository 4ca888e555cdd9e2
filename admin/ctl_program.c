/*
 * admin/ctl_program.c - see ctl_program.h.
 */
#include "admin/ctl_program.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/mem.h"

#define SAID_MAX	(4u << 20)	/* bytes that it may say; what is beyond is not shown */
#define ARGS_MAX	8

/* The path of a program that is installed beside this one. */
static bool
beside(const char *program, char path[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 1);
	char *slash;

	if (n <= 0)
		return false;
	path[n] = '\0';
	slash = strrchr(path, '/');
	return slash != NULL && (size_t)snprintf(slash + 1, PATH_MAX - (size_t)(slash + 1 - path), "%s", program) <
	    PATH_MAX - (size_t)(slash + 1 - path);
}

/* Its exit status, or -1: it was killed. */
static int
wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* All that fd gives until its end, at most SAID_MAX bytes. The caller's to free. */
static char *
read_all(int fd, size_t *n)
{
	char *all = NULL, chunk[4096];
	size_t size = 0;
	ssize_t got;

	*n = 0;
	while ((got = read(fd, chunk, sizeof(chunk))) > 0 || (got == -1 && errno == EINTR)) {
		if (got < 0 || *n + (size_t)got > SAID_MAX)
			continue;	/* beyond: read, so that it can end, and dropped */
		if (*n + (size_t)got > size)
			all = xreallocarray(all, 1, size = (*n + (size_t)got) * 2);
		memcpy(all + *n, chunk, (size_t)got);
		*n += (size_t)got;
	}
	return all;
}

/* fd: which of its outputs is wanted; the other is dropped. */
static int
run(const char *program, const char *command, const char *const *args, int fd, char **said, size_t *n)
{
	char path[PATH_MAX], *argv[ARGS_MAX + 2] = { NULL };
	int fds[2], null, status;
	size_t k = 0;
	pid_t pid;

	*said = NULL;
	*n = 0;
	if (!beside(program, path) || access(path, X_OK) == -1) {
		fprintf(stderr, "sallyportctl: %s: %s is needed for that, and is not there: %s\n", command, program, strerror(errno));
		return EX_UNAVAILABLE;
	}
	if (pipe2(fds, O_CLOEXEC) == -1)
		return -1;
	argv[k++] = xstrdup(program);
	for (; args[k - 1] != NULL && k <= ARGS_MAX; k++)
		argv[k] = xstrdup(args[k - 1]);
	fflush(NULL);
	if ((pid = fork()) == 0) {
		null = open("/dev/null", O_RDWR | O_CLOEXEC);
		(void)dup2(null, STDIN_FILENO);
		(void)dup2(fd == STDOUT_FILENO ? fds[1] : null, STDOUT_FILENO);
		(void)dup2(fd == STDERR_FILENO ? fds[1] : null, STDERR_FILENO);
		execv(path, argv);
		_exit(EX_OSERR);
	}
	close(fds[1]);
	if (pid != -1)
		*said = read_all(fds[0], n);
	close(fds[0]);
	status = pid != -1 ? wait_for(pid) : -1;
	while (k > 0)
		free(argv[--k]);
	return status;
}

int
ctl_program_run(const char *program, const char *command, const char *const *args, char **said, size_t *n)
{
	return run(program, command, args, STDERR_FILENO, said, n);
}

int
ctl_program_output(const char *program, const char *command, const char *const *args, char **out, size_t *n)
{
	return run(program, command, args, STDOUT_FILENO, out, n);
}
