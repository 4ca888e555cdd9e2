/*
 * common/hash.c - SipHash-1-3 (Aumasson and Bernstein, 2012, with one round a
 * word and three to finish, which is enough for tables), and an unkeyed FNV-1a.
 */
#include "common/hash.h"

#include <endian.h>

#include "common/mem.h"

static uint64_t key[2];

static inline uint64_t
rotl(uint64_t x, unsigned n)
{
	return x << n | x >> (64 - n);
}

static inline void
one_round(struct hash *s)
{
	s->a += s->b;
	s->b = rotl(s->b, 13) ^ s->a;
	s->a = rotl(s->a, 32);
	s->c += s->d;
	s->d = rotl(s->d, 16) ^ s->c;
	s->a += s->d;
	s->d = rotl(s->d, 21) ^ s->a;
	s->c += s->b;
	s->b = rotl(s->b, 17) ^ s->c;
	s->c = rotl(s->c, 32);
}

static inline struct hash
begin_with(uint64_t k0, uint64_t k1)
{
	return (struct hash){
		k0 ^ UINT64_C(0x736f6d6570736575), k1 ^ UINT64_C(0x646f72616e646f6d),
		k0 ^ UINT64_C(0x6c7967656e657261), k1 ^ UINT64_C(0x7465646279746573)
	};
}

static inline struct hash
begin(void)
{
	return begin_with(key[0], key[1]);
}

static inline void
add(struct hash *s, uint64_t m)
{
	s->d ^= m;
	one_round(s);
	s->a ^= m;
}

static inline uint64_t
end(struct hash *s)
{
	s->c ^= 0xff;
	one_round(s);
	one_round(s);
	one_round(s);
	return s->a ^ s->b ^ s->c ^ s->d;
}

static inline uint64_t
word_at(const unsigned char *p)
{
	uint64_t m;

	memcpy(&m, p, sizeof(m));
	return le64toh(m);
}

/* The last n & 7 of n bytes, which end at p, as the low bytes of a word; the length comes into the top byte. */
static inline uint64_t
last_word(const unsigned char *p, size_t n)
{
	size_t k = n & 7;
	uint64_t m = 0;

	if (n >= 8)
		m = k != 0 ? word_at(p - 8) >> (64 - 8 * k) : 0;
	else
		for (size_t i = 0; i < k; i++)
			m |= (uint64_t)p[(ptrdiff_t)i - (ptrdiff_t)k] << (8 * i);
	return m | (uint64_t)n << 56;
}

/* Eight characters at once; 8-bit ones stay. */
static inline uint64_t
lower(uint64_t x)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
	uint64_t seven = x & ~tops;
	uint64_t from_a = seven + ones * (0x80 - 'A'), past_z = seven + ones * (0x7f - 'Z');

	return x | (from_a & ~past_z & ~x & tops) >> 2;
}

static inline void
add_bytes(struct hash *s, const unsigned char *p, size_t n)
{
	size_t left = n;

	for (; left >= 8; left -= 8, p += 8)
		add(s, word_at(p));
	add(s, last_word(n != 0 ? p + left : p, n));
}

static inline void
add_nocase(struct hash *s, const unsigned char *p, size_t n)
{
	const uint64_t length = UINT64_C(0xff) << 56;
	size_t left = n;
	uint64_t m;

	for (; left >= 8; left -= 8, p += 8)
		add(s, lower(word_at(p)));
	m = last_word(n != 0 ? p + left : p, n);
	add(s, lower(m & ~length) | (m & length));
}

void
hash_seed(void)
{
	mem_random(key, sizeof(key));
}

uint64_t
hash_bytes(const void *data, size_t n)
{
	struct hash s = begin();

	add_bytes(&s, data, n);
	return end(&s);
}

uint64_t
hash_nocase(struct span text)
{
	struct hash s = begin();

	add_nocase(&s, (const unsigned char *)text.p, text.n);
	return end(&s);
}

uint64_t
hash_mix(uint64_t a, uint64_t b)
{
	struct hash s = begin();

	add(&s, a);
	add(&s, b);
	add(&s, UINT64_C(16) << 56);
	return end(&s);
}

void
hash_begin(struct hash *s)
{
	*s = begin();
}

void
hash_begin_with(struct hash *s, const unsigned char k[HASH_KEY_SIZE])
{
	*s = begin_with(word_at(k), word_at(k + 8));
}

void
hash_add(struct hash *s, uint64_t v)
{
	add(s, v);
}

void
hash_add_span(struct hash *s, struct span text)
{
	struct hash h = *s;	/* in registers */

	add_bytes(&h, (const unsigned char *)text.p, text.n);
	*s = h;
}

void
hash_add_nocase(struct hash *s, struct span text)
{
	struct hash h = *s;

	add_nocase(&h, (const unsigned char *)text.p, text.n);
	*s = h;
}

uint64_t
hash_end(struct hash *s)
{
	return end(s);
}

uint64_t
hash_stable(struct span text)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < text.n; i++)
		h = (h ^ (unsigned char)text.p[i]) * UINT64_C(0x100000001b3);
	/* FNV's low bits are good and its high bits poor for short texts: fold them. */
	h ^= h >> 32;
	h *= UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}
