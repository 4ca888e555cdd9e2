/*
 * tests/unit/sip/corpus.h - the messages of tests/fuzz/corpus/message/, for tests of properties.
 */
#ifndef SALLYPORT_TESTS_UNIT_SIP_CORPUS_H
#define SALLYPORT_TESTS_UNIT_SIP_CORPUS_H

#include <stddef.h>
#include <stdint.h>

struct corpus_file {
	char	*name;
	char	*p;
	size_t	 n;
};

/* All of them, sorted by name; fails the test if there are none. Freed by corpus_free(). */
struct corpus_file *corpus_load(size_t *count);
void	corpus_free(struct corpus_file *, size_t count);

/* A pseudo-random number below `below` from a seed that the caller keeps: the same ones in every run. */
uint32_t corpus_random(uint64_t *seed, uint32_t below);

#endif
