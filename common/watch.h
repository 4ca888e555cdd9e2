/*
 * common/watch.h - does a process of ours still answer? How long it has not, as whoever looks after it counts.
 *
 * Silence is counted by looks. What lies between two of them counts for as long as it lasted, and for a step at most: time
 * in which the one who looks did not run itself (it was stopped, waited for a file, or the whole machine was suspended) is
 * nobody's silence. So whoever looks hears first, and looks at least once in a step.
 */
#ifndef SALLYPORT_COMMON_WATCH_H
#define SALLYPORT_COMMON_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define WATCH_STEPS	8	/* of a limit */

/* Zeroed: nothing was looked at yet. */
struct watch {
	unsigned	 limit;		/* ms; 0: nobody is watched */
	uint64_t	 looked;	/* when, by clock_ms(); 0: not yet */
	uint64_t	 silent;	/* ms that count */
};

/* From now on it has so long. */
void	 watch_begin(struct watch *, unsigned limit_ms, uint64_t now);
/* How often to look at the least, in ms; 0: not at all. */
unsigned watch_step(const struct watch *);
/* It has answered. */
void	 watch_heard(struct watch *, uint64_t now);
/* A look that counts nothing: it may wait for somebody else. */
void	 watch_skip(struct watch *, uint64_t now);
/* A look. True: it has been silent for its limit. */
bool	 watch_over(struct watch *, uint64_t now);

/*
 * The same for a process that keeps another one: wait for the end of its child pid, which writes a byte to the far end of the
 * pipe `beats` every now and then (watch_beat()). One that does not is killed, and *hung says so. turn(arg) is called once
 * in a step. With a limit of 0 it waits, and that is all. Its status, as of waitpid(); -1: there is no such child.
 */
int	 watch_child(pid_t pid, int beats, unsigned limit_ms, void (*turn)(void *arg), void *arg, bool *hung);
/* Both ends of such a pipe, close-on-exec; the child's does not block. SP_OK or SP_EIO (errno). */
int	 watch_pipe(int ends[2]);
/* The child: it is well. */
void	 watch_beat(int fd);

#endif
