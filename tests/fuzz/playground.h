/*
 * tests/fuzz/playground.h - a directory for what is read by its name, in memory where that can be, and files in it.
 */
#ifndef SALLYPORT_TESTS_FUZZ_PLAYGROUND_H
#define SALLYPORT_TESTS_FUZZ_PLAYGROUND_H

#include <assert.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A new one of that target's; ends the program when there can be none. */
static inline void
playground_make(char dir[64], const char *target)
{
	snprintf(dir, 64, "%s/%s.XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", target);
	if (mkdtemp(dir) == NULL)
		abort();
}

static inline int
playground_remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* It, or a directory in it, with all that is in there. */
static inline void
playground_remove(const char *dir)
{
	nftw(dir, playground_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* A file with these bytes and no others. */
static inline void
playground_write(const char *path, const void *bytes, size_t n, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	assert(fd != -1 && (n == 0 || write(fd, bytes, n) == (ssize_t)n));
	close(fd);
}

#endif
