/*
 * net/md4.c - MD4 (RFC 1320).
 */
#include "net/md4.h"

#include "common/mem.h"

#define BLOCK	64

static uint32_t
rotate(uint32_t x, unsigned by)
{
	return x << by | x >> (32 - by);
}

static void
md4_block(uint32_t h[4], const unsigned char p[BLOCK])
{
	/* Which word each of the 16 steps of a round takes, and by how much it turns. */
	static const unsigned char word[3][16] = {
		{ 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 },
		{ 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15 },
		{ 0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15 }
	};
	static const unsigned char turn[3][4] = { { 3, 7, 11, 19 }, { 3, 5, 9, 13 }, { 3, 9, 11, 15 } };
	static const uint32_t add[3] = { 0, 0x5a827999, 0x6ed9eba1 };
	uint32_t x[16], a = h[0], b = h[1], c = h[2], d = h[3];

	for (unsigned i = 0; i < 16; i++)
		x[i] = (uint32_t)p[4 * i] | (uint32_t)p[4 * i + 1] << 8 | (uint32_t)p[4 * i + 2] << 16 |
		    (uint32_t)p[4 * i + 3] << 24;
	for (unsigned i = 0; i < 48; i++) {
		unsigned round = i / 16;
		uint32_t f = round == 0 ? (b & c) | (~b & d) : round == 1 ? (b & c) | (b & d) | (c & d) : b ^ c ^ d;
		uint32_t was = d;

		f = rotate(a + f + x[word[round][i % 16]] + add[round], turn[round][i % 4]);
		d = c;
		c = b;
		b = f;
		a = was;
	}
	h[0] += a;
	h[1] += b;
	h[2] += c;
	h[3] += d;
	mem_wipe(x, sizeof(x));
}

void
net_md4(struct span in, unsigned char out[NET_MD4_SIZE])
{
	uint32_t h[4] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476 };
	unsigned char last[2 * BLOCK] = { 0 };
	size_t whole = in.n - in.n % BLOCK, left = in.n - whole, n = left < BLOCK - 8 ? BLOCK : 2 * BLOCK;

	for (size_t i = 0; i < whole; i += BLOCK)
		md4_block(h, (const unsigned char *)in.p + i);
	if (left != 0)
		memcpy(last, in.p + whole, left);
	last[left] = 0x80;
	for (unsigned i = 0; i < 8; i++)
		last[n - 8 + i] = (unsigned char)((uint64_t)in.n * 8 >> 8 * i);
	for (size_t i = 0; i < n; i += BLOCK)
		md4_block(h, last + i);
	for (unsigned i = 0; i < NET_MD4_SIZE; i++)
		out[i] = (unsigned char)(h[i / 4] >> 8 * (i % 4));
	mem_wipe(last, sizeof(last));
	mem_wipe(h, sizeof(h));
}
