#include "sip/chars.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

const unsigned char sip_chars[256] = {
	['\n'] = 0x40, ['!'] = 0x8f, ['"'] = 0x02, ['#'] = 0x80, ['$'] = 0x8c, ['%'] = 0x8f, ['&'] = 0xcc,
	['\''] = 0x8f, ['('] = 0x8e, [')'] = 0x8e, ['*'] = 0x8f, ['+'] = 0x8f, [','] = 0x0c, ['-'] = 0x9f,
	['.'] = 0x9f, ['/'] = 0x8e, ['0'] = 0xbf, ['1'] = 0xbf, ['2'] = 0xbf, ['3'] = 0xbf, ['4'] = 0xbf,
	['5'] = 0xbf, ['6'] = 0xbf, ['7'] = 0xbf, ['8'] = 0xbf, ['9'] = 0xbf, [':'] = 0x8a, [';'] = 0x0c,
	['<'] = 0x02, ['='] = 0x8c, ['>'] = 0x02, ['?'] = 0xce, ['@'] = 0x80, ['A'] = 0xbf, ['B'] = 0xbf,
	['C'] = 0xbf, ['D'] = 0xbf, ['E'] = 0xbf, ['F'] = 0xbf, ['G'] = 0x9f, ['H'] = 0x9f, ['I'] = 0x9f,
	['J'] = 0x9f, ['K'] = 0x9f, ['L'] = 0x9f, ['M'] = 0x9f, ['N'] = 0x9f, ['O'] = 0x9f, ['P'] = 0x9f,
	['Q'] = 0x9f, ['R'] = 0x9f, ['S'] = 0x9f, ['T'] = 0x9f, ['U'] = 0x9f, ['V'] = 0x9f, ['W'] = 0x9f,
	['X'] = 0x9f, ['Y'] = 0x9f, ['Z'] = 0x9f, ['['] = 0x8a, ['\\'] = 0x82, [']'] = 0x8a, ['^'] = 0x80,
	['_'] = 0x9f, ['`'] = 0x83, ['a'] = 0xbf, ['b'] = 0xbf, ['c'] = 0xbf, ['d'] = 0xbf, ['e'] = 0xbf,
	['f'] = 0xbf, ['g'] = 0x9f, ['h'] = 0x9f, ['i'] = 0x9f, ['j'] = 0x9f, ['k'] = 0x9f, ['l'] = 0x9f,
	['m'] = 0x9f, ['n'] = 0x9f, ['o'] = 0x9f, ['p'] = 0x9f, ['q'] = 0x9f, ['r'] = 0x9f, ['s'] = 0x9f,
	['t'] = 0x9f, ['u'] = 0x9f, ['v'] = 0x9f, ['w'] = 0x9f, ['x'] = 0x9f, ['y'] = 0x9f, ['z'] = 0x9f,
	['{'] = 0x82, ['|'] = 0x80, ['}'] = 0x82, ['~'] = 0x8f,
	[0x80 ... 0xff] = 0xc0,
};

/*
 * Every byte from outside passes here, so sixteen at a time where the machine
 * can. The loops below each such block do the rest, and everything elsewhere.
 */
size_t
sip_chars_find_control(const char *p, size_t from, size_t n)
{
	size_t at = from;

#ifdef __SSE2__
	const __m128i last = _mm_set1_epi8(0x1f), tab = _mm_set1_epi8('\t'), del = _mm_set1_epi8(0x7f);

	for (; n - at >= 16; at += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + at));
		__m128i low = _mm_cmpeq_epi8(_mm_min_epu8(v, last), v);
		unsigned found = (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(v, tab), low),
		    _mm_cmpeq_epi8(v, del)));

		if (found != 0)
			return at + (unsigned)__builtin_ctz(found);
	}
#endif
	for (; at < n; at++) {
		unsigned char c = (unsigned char)p[at];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return at;
	}
	return n;
}

bool
sip_chars_has_break(struct span s)
{
	size_t at = 0;

#ifdef __SSE2__
	const __m128i question = _mm_set1_epi8('?'), ampersand = _mm_set1_epi8('&');

	for (; s.n - at >= 16; at += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)(s.p + at));

		/* movemask looks at the top bits, which is where 8-bit text has them. */
		if (_mm_movemask_epi8(_mm_or_si128(v, _mm_or_si128(_mm_cmpeq_epi8(v, question),
		    _mm_cmpeq_epi8(v, ampersand)))) != 0)
			return true;
	}
#endif
	for (; at < s.n; at++)
		if (s.p[at] != '\n' && sip_char_is(s.p[at], SIP_CHAR_BREAK))
			return true;
	return false;
}
