/*
 * common/hash.h - keyed hashing for tables that outsiders fill.
 *
 * SipHash-1-3 under a key drawn at process start, so that nobody outside can
 * choose names that collide. Not a signature: see sip/flow.h for those.
 */
#ifndef SALLYPORT_COMMON_HASH_H
#define SALLYPORT_COMMON_HASH_H

#include <stdint.h>

#include "common/span.h"

/* Draw the key; once, before the first thread. Tests may skip it (key zero). */
void	 hash_seed(void);
uint64_t hash_bytes(const void *, size_t n);
/* As hash_bytes() of the ASCII lower-case form. */
uint64_t hash_nocase(struct span);
/* Mix b into a, for keys of several parts. */
uint64_t hash_mix(uint64_t a, uint64_t b);

/*
 * One hash over several pieces, at the price of one: begin, add in a fixed
 * order, end. Where one piece ends and the next begins counts. Text added with
 * hash_add_nocase() counts in its ASCII lower-case form.
 */
struct hash {
	uint64_t	a, b, c, d;
};
void	 hash_begin(struct hash *);
/* Under a key of the caller's instead: the same in every process that has it. */
#define HASH_KEY_SIZE	16
void	 hash_begin_with(struct hash *, const unsigned char key[HASH_KEY_SIZE]);
void	 hash_add(struct hash *, uint64_t);
void	 hash_add_span(struct hash *, struct span);
void	 hash_add_nocase(struct hash *, struct span);
uint64_t hash_end(struct hash *);

/* Unkeyed and the same in every process and release: for choosing among next hops. */
uint64_t hash_stable(struct span);

#endif
