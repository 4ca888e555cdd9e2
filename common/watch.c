/*
 * common/watch.c - see watch.h.
 */
#include "common/watch.h"

#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"

void
watch_begin(struct watch *w, unsigned limit_ms, uint64_t now)
{
	*w = (struct watch){ .limit = limit_ms, .looked = now };
}

unsigned
watch_step(const struct watch *w)
{
	return w->limit / WATCH_STEPS;
}

void
watch_heard(struct watch *w, uint64_t now)
{
	w->silent = 0;
	w->looked = now;
}

void
watch_skip(struct watch *w, uint64_t now)
{
	w->looked = now;
}

bool
watch_over(struct watch *w, uint64_t now)
{
	uint64_t gap = now > w->looked ? now - w->looked : 0, step = watch_step(w);

	if (w->limit == 0)
		return false;
	w->silent += gap < step ? gap : step;
	w->looked = now;
	return w->silent >= w->limit;
}

/* ---- a child ---- */

int
watch_pipe(int ends[2])
{
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) == -1)
		return SP_EIO;
	return SP_OK;
}

void
watch_beat(int fd)
{
	/* full: there are beats enough */
	(void)!write(fd, "", 1);
}

/* Wait so long, or until it beats. True: it did. The pipe is closed when it has ended, mostly: *fd is -1 then. */
static bool
wait_for_beat(int *fd, unsigned ms)
{
	struct pollfd p = { *fd, POLLIN, 0 };
	char bytes[64];
	ssize_t n;

	/* its end follows that of its pipe, and is not told */
	if (poll(&p, 1, *fd == -1 && ms > 20 ? 20 : (int)ms) <= 0)
		return false;
	if ((n = read(*fd, bytes, sizeof(bytes))) == 0 || (n == -1 && errno != EAGAIN && errno != EINTR))
		*fd = -1;
	return n > 0;
}

int
watch_child(pid_t pid, int beats, unsigned limit_ms, void (*turn)(void *arg), void *arg, bool *hung)
{
	struct watch w;
	pid_t got = 0;
	int status;

	*hung = false;
	watch_begin(&w, limit_ms, clock_ms());
	while ((got = waitpid(pid, &status, limit_ms != 0 ? WNOHANG : 0)) == 0 || (got == -1 && errno == EINTR)) {
		if (limit_ms == 0)
			continue;
		turn(arg);
		if (wait_for_beat(&beats, watch_step(&w))) {
			watch_heard(&w, clock_ms());
		} else if (!*hung && watch_over(&w, clock_ms())) {
			*hung = true;
			kill(pid, SIGKILL);
		}
	}
	return got == pid ? status : -1;
}
