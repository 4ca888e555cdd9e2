/*
 * common/lives.c - see lives.h.
 */
#include "common/lives.h"

#include <sys/mman.h>

#include <stdatomic.h>
#include <stddef.h>

static _Atomic uint64_t *counts;	/* LIVES_N of them; NULL: nobody counts */

void
lives_share(void)
{
	counts = mmap(NULL, LIVES_N * sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (counts == MAP_FAILED)
		counts = NULL;
}

void
lives_again(enum lives_of l)
{
	if (counts != NULL && l < LIVES_N)
		atomic_fetch_add(&counts[l], 1);
}

uint64_t
lives_again_count(enum lives_of l)
{
	return counts != NULL && l < LIVES_N ? atomic_load(&counts[l]) : 0;
}

const char *
lives_name(enum lives_of l)
{
	static const char *const names[LIVES_N] = { "proxy", "keyd", "authd", "directory", "winbind" };

	return l < LIVES_N ? names[l] : "";
}
