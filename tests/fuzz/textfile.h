/*
 * tests/fuzz/textfile.h - bytes as a file in memory that has a name, for what opens files by their names.
 */
#ifndef SALLYPORT_TESTS_FUZZ_TEXTFILE_H
#define SALLYPORT_TESTS_FUZZ_TEXTFILE_H

#include <assert.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/span.h"

/* The descriptor, which the caller closes; name is good until then. Mode 0600. */
static inline int
textfile_make(struct span text, char name[64])
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	assert(fd != -1 && fchmod(fd, 0600) == 0);
	assert(text.n == 0 || write(fd, text.p, text.n) == (ssize_t)text.n);
	snprintf(name, 64, "/proc/self/fd/%d", fd);
	return fd;
}

/* libconfig 1.5 loses a token when its grammar gives up; a configuration is read once or by hand. */
#define TEXTFILE_LIBCONFIG_LEAKS \
	const char *__lsan_default_suppressions(void); \
	const char * \
	__lsan_default_suppressions(void) \
	{ \
		return "leak:libconfig.so"; \
	}

#endif
