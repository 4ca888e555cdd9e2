/*
 * common/hash.c - SipHash-1-3 (Aumasson and Bernstein, 2012, with one round a
 * word and three to finish, which is enough for tables), and an unkeyed FNV-1a.
 */
#include "common/hash.h"

#include <endian.h>

#include "common/mem.h"

static uint64_t key[2];

struct sip {
	uint64_t a, b, c, d;
};

static inline uint64_t
rotl(uint64_t x, unsigned n)
{
	return x << n | x >> (64 - n);
}

static inline void
sip_round(struct sip *s)
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

static inline void
sip_begin(struct sip *s)
{
	s->a = key[0] ^ UINT64_C(0x736f6d6570736575);
	s->b = key[1] ^ UINT64_C(0x646f72616e646f6d);
	s->c = key[0] ^ UINT64_C(0x6c7967656e657261);
	s->d = key[1] ^ UINT64_C(0x7465646279746573);
}

static inline void
sip_word(struct sip *s, uint64_t m)
{
	s->d ^= m;
	sip_round(s);
	s->a ^= m;
}

static inline uint64_t
sip_end(struct sip *s)
{
	s->c ^= 0xff;
	sip_round(s);
	sip_round(s);
	sip_round(s);
	return s->a ^ s->b ^ s->c ^ s->d;
}

/* The last word: up to seven bytes, and the length in the top byte. */
static inline uint64_t
last_word(const unsigned char *p, size_t n)
{
	uint64_t m = (uint64_t)n << 56;

	for (size_t i = 0; i < (n & 7); i++)
		m |= (uint64_t)p[i] << (8 * i);
	return m;
}

void
hash_seed(void)
{
	mem_random(key, sizeof(key));
}

uint64_t
hash_bytes(const void *data, size_t n)
{
	const unsigned char *p = data;
	struct sip s;
	uint64_t m;

	sip_begin(&s);
	for (size_t left = n; left >= 8; left -= 8, p += 8) {
		memcpy(&m, p, 8);
		sip_word(&s, le64toh(m));
	}
	sip_word(&s, last_word(p, n));
	return sip_end(&s);
}

uint64_t
hash_nocase(struct span text)
{
	const char *p = text.p;
	unsigned char low[8];
	struct sip s;
	uint64_t m;

	sip_begin(&s);
	for (size_t left = text.n; left >= 8; left -= 8, p += 8) {
		for (size_t i = 0; i < 8; i++)
			low[i] = span_lower((unsigned char)p[i]);
		memcpy(&m, low, 8);
		sip_word(&s, le64toh(m));
	}
	for (size_t i = 0; i < (text.n & 7); i++)
		low[i] = span_lower((unsigned char)p[i]);
	sip_word(&s, last_word(low, text.n));
	return sip_end(&s);
}

uint64_t
hash_mix(uint64_t a, uint64_t b)
{
	struct sip s;

	sip_begin(&s);
	sip_word(&s, a);
	sip_word(&s, b);
	sip_word(&s, last_word(NULL, 16));
	return sip_end(&s);
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
