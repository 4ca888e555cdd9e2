/*
 * common/mem.c - allocation that succeeds or ends the process, and wiping.
 */
#include "common/mem.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/log.h"

/* No cleaning up: exit handlers may want memory too. */
__attribute__((noreturn)) static void
out_of_memory(size_t n)
{
	log_say(SP_LOG_ERROR, "out-of-memory", "no %zu bytes more", n);
	_exit(EX_OSERR);
}

void *
xmalloc(size_t n)
{
	void *p = malloc(n != 0 ? n : 1);

	if (p == NULL)
		out_of_memory(n);
	return p;
}

void *
xcalloc(size_t n, size_t size)
{
	void *p = calloc(n != 0 ? n : 1, size != 0 ? size : 1);

	if (p == NULL)
		out_of_memory(size != 0 && n > SIZE_MAX / size ? SIZE_MAX : n * size);
	return p;
}

void *
xrealloc(void *p, size_t n)
{
	p = realloc(p, n != 0 ? n : 1);
	if (p == NULL)
		out_of_memory(n);
	return p;
}

void *
xreallocarray(void *p, size_t n, size_t size)
{
	if (size != 0 && n > SIZE_MAX / size)
		out_of_memory(SIZE_MAX);
	return xrealloc(p, n * size);
}

char *
xstrdup(const char *s)
{
	return xmemdup(s, strlen(s));
}

char *
xmemdup(const void *p, size_t n)
{
	char *copy;

	if (n == SIZE_MAX)
		out_of_memory(n);
	copy = xmalloc(n + 1);
	if (n != 0)
		memcpy(copy, p, n);
	copy[n] = '\0';
	return copy;
}

void
mem_wipe(void *p, size_t n)
{
	if (n != 0)
		explicit_bzero(p, n);
}

void
mem_wipe_free(void *p, size_t n)
{
	if (p == NULL)
		return;
	mem_wipe(p, n);
	free(p);
}

int
mem_equal_secret(const void *a, const void *b, size_t n)
{
	const volatile unsigned char *x = a, *y = b;
	unsigned char diff = 0;

	for (size_t i = 0; i < n; i++)
		diff |= x[i] ^ y[i];
	return diff == 0;
}

void
mem_random(void *p, size_t n)
{
	unsigned char *at = p;

	while (n > 0) {
		ssize_t got = getrandom(at, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			log_say(SP_LOG_ERROR, "no-random", "the kernel gives no random bytes: %s",
			    strerror(errno));
			_exit(EX_OSERR);
		}
		at += got;
		n -= (size_t)got;
	}
}
