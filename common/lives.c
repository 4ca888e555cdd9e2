/*
 * common/lives.c - see lives.h.
 */
#include "common/lives.h"

#include <sys/mman.h>

#include <stdatomic.h>
#include <stddef.h>

#include "common/log.h"

static _Atomic uint64_t *counts;	/* two for each process, and three for each cache; NULL: nobody counts */

enum { ENTRIES = 0, FULL, FULL_BEFORE };	/* of a cache: now; of the process that has it; of those before it */

static _Atomic uint64_t *
cache_at(enum lives_cache c, unsigned which)
{
	return &counts[2 * LIVES_N + 3 * (unsigned)c + which];
}

void
lives_share(void)
{
	counts = mmap(NULL, (2 * LIVES_N + 3 * LIVES_NCACHES) * sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
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

void
lives_hung(enum lives_of l, unsigned limit_ms)
{
	struct logrec r = log_begin(SP_LOG_ERROR, "process-hung");

	log_word(&r, "process", lives_name(l));
	log_uint(&r, "seconds", limit_ms / 1000);
	log_text(&r, "text", "it does not answer; it is ended, and another takes its place");
	log_end(&r);
	if (counts != NULL && l < LIVES_N)
		atomic_fetch_add(&counts[LIVES_N + (unsigned)l], 1);
}

uint64_t
lives_hung_count(enum lives_of l)
{
	return counts != NULL && l < LIVES_N ? atomic_load(&counts[LIVES_N + (unsigned)l]) : 0;
}

const char *
lives_name(enum lives_of l)
{
	static const char *const names[LIVES_N] = { "proxy", "keyd", "authd", "directory", "winbind", "shared" };

	return l < LIVES_N ? names[l] : "";
}

void
lives_tell(enum lives_cache c, uint64_t entries, uint64_t full)
{
	if (counts == NULL || c >= LIVES_NCACHES)
		return;
	atomic_store(cache_at(c, ENTRIES), entries);
	/* fewer than before: it is another process's */
	if (full < atomic_load(cache_at(c, FULL)))
		atomic_fetch_add(cache_at(c, FULL_BEFORE), atomic_load(cache_at(c, FULL)));
	atomic_store(cache_at(c, FULL), full);
}

uint64_t
lives_cache(enum lives_cache c)
{
	return counts != NULL && c < LIVES_NCACHES ? atomic_load(cache_at(c, ENTRIES)) : 0;
}

uint64_t
lives_cache_full(enum lives_cache c)
{
	return counts != NULL && c < LIVES_NCACHES ? atomic_load(cache_at(c, FULL)) + atomic_load(cache_at(c, FULL_BEFORE)) : 0;
}

const char *
lives_cache_name(enum lives_cache c)
{
	static const char *const names[LIVES_NCACHES] = { "guesses", "replays", "directory" };

	return c < LIVES_NCACHES ? names[c] : "";
}
