#include "sip/chars.h"

#ifdef __SSE2__
#include <immintrin.h>
#endif

const uint16_t sip_chars[256] = {
	['\n'] = 0x040, ['!'] = 0x28f, ['"'] = 0x002, ['#'] = 0x080, ['$'] = 0x08c, ['%'] = 0x2cf,
	['&'] = 0x0cc, ['\''] = 0x28f, ['('] = 0x08e, [')'] = 0x08e, ['*'] = 0x38f, ['+'] = 0x38f,
	[','] = 0x00c, ['-'] = 0x39f, ['.'] = 0x39f, ['/'] = 0x08e, ['0'] = 0x3bf, ['1'] = 0x3bf, ['2'] = 0x3bf,
	['3'] = 0x3bf, ['4'] = 0x3bf, ['5'] = 0x3bf, ['6'] = 0x3bf, ['7'] = 0x3bf, ['8'] = 0x3bf, ['9'] = 0x3bf,
	[':'] = 0x38a, [';'] = 0x10c, ['<'] = 0x002, ['='] = 0x18c, ['>'] = 0x002, ['?'] = 0x0ce, ['@'] = 0x080,
	['A'] = 0x3bf, ['B'] = 0x3bf, ['C'] = 0x3bf, ['D'] = 0x3bf, ['E'] = 0x3bf, ['F'] = 0x3bf, ['G'] = 0x39f,
	['H'] = 0x39f, ['I'] = 0x39f, ['J'] = 0x39f, ['K'] = 0x39f, ['L'] = 0x39f, ['M'] = 0x39f, ['N'] = 0x39f,
	['O'] = 0x39f, ['P'] = 0x39f, ['Q'] = 0x39f, ['R'] = 0x39f, ['S'] = 0x39f, ['T'] = 0x39f, ['U'] = 0x39f,
	['V'] = 0x39f, ['W'] = 0x39f, ['X'] = 0x39f, ['Y'] = 0x39f, ['Z'] = 0x39f, ['['] = 0x28a,
	['\\'] = 0x0c2, [']'] = 0x28a, ['^'] = 0x080, ['_'] = 0x39f, ['`'] = 0x283, ['a'] = 0x3bf,
	['b'] = 0x3bf, ['c'] = 0x3bf, ['d'] = 0x3bf, ['e'] = 0x3bf, ['f'] = 0x3bf, ['g'] = 0x39f, ['h'] = 0x39f,
	['i'] = 0x39f, ['j'] = 0x39f, ['k'] = 0x39f, ['l'] = 0x39f, ['m'] = 0x39f, ['n'] = 0x39f, ['o'] = 0x39f,
	['p'] = 0x39f, ['q'] = 0x39f, ['r'] = 0x39f, ['s'] = 0x39f, ['t'] = 0x39f, ['u'] = 0x39f, ['v'] = 0x39f,
	['w'] = 0x39f, ['x'] = 0x39f, ['y'] = 0x39f, ['z'] = 0x39f, ['{'] = 0x082, ['|'] = 0x080, ['}'] = 0x082,
	['~'] = 0x38f,
	[0x80 ... 0xff] = 0x0c0,
};

/* The same classes for sip_chars_skip(): bit k of entry i stands for the character 16 * k + i. */
const unsigned char sip_chars_token[16] = {
	0xe8, 0xfc, 0xf8, 0xf8, 0xf8, 0xfc, 0xf8, 0xfc, 0xf8, 0xf8, 0xf4, 0x54, 0x50, 0x54, 0xd4, 0x70
};
const unsigned char sip_chars_word[16] = {
	0xe8, 0xfc, 0xfc, 0xf8, 0xf8, 0xfc, 0xf8, 0xfc, 0xfc, 0xfc, 0xfc, 0xf4, 0x78, 0xf4, 0xdc, 0x7c
};
const unsigned char sip_chars_user[16] = {
	0xa8, 0xfc, 0xf8, 0xf8, 0xfc, 0xfc, 0xfc, 0xfc, 0xfc, 0xfc, 0xf4, 0x5c, 0x54, 0x5c, 0xd4, 0x7c
};
const unsigned char sip_chars_uri[16] = {
	0xa8, 0xfc, 0xf8, 0xf8, 0xfc, 0xfc, 0xfc, 0xfc, 0xfc, 0xfc, 0xfc, 0x7c, 0x54, 0x7c, 0xd4, 0x7c
};
const unsigned char sip_chars_host[16] = {
	0xa8, 0xf8, 0xf8, 0xf8, 0xf8, 0xf8, 0xf8, 0xf8, 0xf8, 0xf8, 0xf0, 0x50, 0x50, 0x54, 0x54, 0x70
};
const unsigned char sip_chars_plain[16] = {
	0xa8, 0xf8, 0xf8, 0xf8, 0xf8, 0xf8, 0xf8, 0xf8, 0xf8, 0xf8, 0xfc, 0x5c, 0x50, 0x5c, 0xd4, 0x70
};
const unsigned char sip_chars_param[16] = {
	0xe8, 0xfc, 0xf8, 0xf8, 0xf8, 0xfc, 0xf8, 0xfc, 0xf8, 0xf8, 0xfc, 0x74, 0x50, 0x74, 0xd4, 0x70
};

#ifdef SIP_CHARS_BY_16
/*
 * Which of sixteen characters are not of that class: the low half of each picks a row of the table, the high half a bit of
 * it, and both together are nonzero for what belongs to the class.
 */
__attribute__((target("ssse3"))) static inline unsigned
others(__m128i v, __m128i rows)
{
	const __m128i bits = _mm_setr_epi8(1, 2, 4, 8, 16, 32, 64, -128, 0, 0, 0, 0, 0, 0, 0, 0);
	const __m128i half = _mm_set1_epi8(0x0f), zero = _mm_setzero_si128();
	__m128i row = _mm_shuffle_epi8(rows, _mm_and_si128(v, half));
	__m128i bit = _mm_shuffle_epi8(bits, _mm_and_si128(_mm_srli_epi16(v, 4), half));

	return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_and_si128(row, bit), zero));
}

/* Of 4 to 15: the first and the last of them, which overlap, side by side. */
__attribute__((target("ssse3"))) static inline size_t
skip_few(const char *p, size_t n, __m128i rows)
{
	size_t half = n >= 8 ? 8 : 4;
	unsigned out, all = half == 8 ? 0xff : 0xf;
	__m128i first, last;

	if (half == 8) {
		first = _mm_loadl_epi64((const __m128i *)(const void *)p);
		last = _mm_loadl_epi64((const __m128i *)(const void *)(p + n - 8));
	} else {
		int32_t a, b;

		memcpy(&a, p, sizeof(a));
		memcpy(&b, p + n - sizeof(b), sizeof(b));
		first = _mm_cvtsi32_si128(a);
		last = _mm_cvtsi32_si128(b);
	}
	out = others(_mm_unpacklo_epi64(first, last), rows);
	if ((out & all) != 0)
		return (unsigned)__builtin_ctz(out);
	out = out >> 8 & all;
	return out != 0 ? n - half + (unsigned)__builtin_ctz(out) : n;
}

__attribute__((target("ssse3"))) size_t
sip_chars_skip(const char *p, size_t n, const unsigned char class[16])
{
	const __m128i rows = _mm_loadu_si128((const __m128i *)(const void *)class);

	if (n < 16)
		return skip_few(p, n, rows);
	for (size_t at = 0; ; ) {
		size_t from = n - at >= 16 ? at : n - 16;	/* the last look is at some characters again */
		unsigned out = others(_mm_loadu_si128((const __m128i *)(const void *)(p + from)), rows);

		if (out != 0)
			return from + (unsigned)__builtin_ctz(out);
		at = from + 16;
		if (at == n)
			return n;
	}
}
#endif

/* ---- parameters ---- */

/* Bits 0 to n - 1, of 64. */
static inline uint64_t
low_bits(size_t n)
{
	return n < 64 ? (UINT64_C(1) << n) - 1 : ~UINT64_C(0);
}

static bool
marks_by_one(struct sip_marks *m, const char *p, size_t n)
{
	*m = (struct sip_marks){ 0 };
	for (size_t i = 0; i < n; i++) {
		if (p[i] == ';')
			m->semicolons |= UINT64_C(1) << i;
		else if (p[i] == '=')
			m->equals |= UINT64_C(1) << i;
		else if (sip_char_is(p[i], SIP_CHAR_TOKEN))
			continue;
		else if (sip_char_is(p[i], SIP_CHAR_PARAM))
			m->colons |= UINT64_C(1) << i;
		else
			return false;
	}
	return true;
}

static size_t
uri_params_by_one(const char *p, size_t n)
{
	bool begins = true;	/* a parameter */
	size_t i;

	for (i = 0; i < n && sip_char_is(p[i], SIP_CHAR_URI) && p[i] != '?'; i++) {
		if (begins && (p[i] == ';' || p[i] == '='))
			return 0;
		begins = p[i] == ';';
	}
	return begins ? 0 : i;
}

#ifdef SIP_CHARS_BY_16
/* p[0..n), n at most 16, in a register, and zeros behind them; nothing behind them is read. */
static inline __attribute__((target("ssse3"))) __m128i
up_to_16(const char *p, size_t n)
{
	uint64_t low = 0, high = 0;
	uint32_t a, b;

	if (n == 16)
		return _mm_loadu_si128((const __m128i *)(const void *)p);
	if (n >= 8) {
		memcpy(&low, p, 8);
		memcpy(&high, p + n - 8, 8);
		high = n > 8 ? high >> (8 * (16 - n)) : 0;
	} else if (n >= 4) {
		memcpy(&a, p, 4);
		memcpy(&b, p + n - 4, 4);
		low = a | (uint64_t)b << (8 * (n - 4));
	} else
		for (size_t i = 0; i < n; i++)
			low |= (uint64_t)(unsigned char)p[i] << (8 * i);
	return _mm_set_epi64x((long long)high, (long long)low);
}

static inline __attribute__((target("ssse3"))) unsigned
equal_to(__m128i v, char c)
{
	return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8(c)));
}

__attribute__((target("ssse3"))) static bool
marks_by_16(struct sip_marks *m, const char *p, size_t n)
{
	const __m128i param = _mm_loadu_si128((const __m128i *)(const void *)sip_chars_param);
	uint64_t semicolons = 0, equals = 0, colons = 0, strange = 0;

	for (size_t at = 0; at < n; at += 16) {
		__m128i v = up_to_16(p + at, n - at < 16 ? n - at : 16);
		uint64_t semicolon = equal_to(v, ';'), equal = equal_to(v, '=');

		semicolons |= semicolon << at;
		equals |= equal << at;
		colons |= (uint64_t)(equal_to(v, ':') | equal_to(v, '[') | equal_to(v, ']')) << at;
		strange |= (others(v, param) & ~semicolon & ~equal) << at;
	}
	*m = (struct sip_marks){ semicolons, equals, colons };
	return (strange & low_bits(n)) == 0;
}

__attribute__((target("ssse3"))) static size_t
uri_params_by_16(const char *p, size_t n)
{
	const __m128i uri = _mm_loadu_si128((const __m128i *)(const void *)sip_chars_uri);
	unsigned begins = 1;	/* bit 0: a parameter begins with the next sixteen */

	for (size_t at = 0; ; at += 16) {
		size_t k = n - at < 16 ? n - at : 16;
		__m128i v = up_to_16(p + at, k);
		size_t run = (size_t)__builtin_ctz(others(v, uri) | equal_to(v, '?') | 1u << 16);
		unsigned semicolons = equal_to(v, ';'), marks = semicolons | equal_to(v, '=');

		begins |= semicolons << 1;
		if (run < k || at + k == n) {
			run = run < k ? run : k;
			return (begins & marks & ((1u << run) - 1)) != 0 || (begins >> run & 1) != 0 ? 0 : at + run;
		}
		if ((begins & marks) != 0)
			return 0;
		begins >>= 16;
	}
}
#endif

bool
sip_chars_marks(struct sip_marks *m, const char *p, size_t n)
{
#ifdef SIP_CHARS_BY_16
	if (__builtin_cpu_supports("ssse3"))
		return marks_by_16(m, p, n);
#endif
	return marks_by_one(m, p, n);
}

size_t
sip_chars_uri_params(const char *p, size_t n)
{
#ifdef SIP_CHARS_BY_16
	if (__builtin_cpu_supports("ssse3"))
		return uri_params_by_16(p, n);
#endif
	return uri_params_by_one(p, n);
}

size_t
sip_chars_find_list(const char *p, size_t from, size_t n)
{
	size_t at = from;

#ifdef __SSE2__
	const __m128i comma = _mm_set1_epi8(','), quote = _mm_set1_epi8('"'), angle = _mm_set1_epi8('<');

	for (; n - at >= 16; at += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + at));
		unsigned found = (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(v, comma),
		    _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, angle))));

		if (found != 0)
			return at + (unsigned)__builtin_ctz(found);
	}
#endif
	while (at < n && p[at] != ',' && p[at] != '"' && p[at] != '<')
		at++;
	return at;
}

/* ---- looking for what is rare ---- */

/*
 * Every byte from outside passes here, so sixteen at a time where the machine
 * can. The loops below each such block do the rest, and everything elsewhere.
 */
#ifdef SIP_CHARS_BY_16
/* As far as whole blocks of 32 go. */
__attribute__((target("avx2"))) static size_t
skip_to_control(const char *p, size_t at, size_t n)
{
	const __m256i last = _mm256_set1_epi8(0x1f), tab = _mm256_set1_epi8('\t'), del = _mm256_set1_epi8(0x7f);

	for (; n - at >= 32; at += 32) {
		__m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(p + at));
		__m256i low = _mm256_cmpeq_epi8(_mm256_min_epu8(v, last), v);
		unsigned found = (unsigned)_mm256_movemask_epi8(_mm256_or_si256(
		    _mm256_andnot_si256(_mm256_cmpeq_epi8(v, tab), low), _mm256_cmpeq_epi8(v, del)));

		if (found != 0)
			return at + (unsigned)__builtin_ctz(found);
	}
	return at;
}

/* Which of 32 characters are controls, commas, and such that a mark in disguise may stand behind. */
struct kinds {
	uint32_t	control, comma, breaks;
};

__attribute__((target("avx2"))) static inline struct kinds
kinds_at(const char *p)
{
	const __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)p);
	__m256i low = _mm256_cmpeq_epi8(_mm256_min_epu8(v, _mm256_set1_epi8(0x1f)), v);
	__m256i marks = _mm256_or_si256(_mm256_cmpeq_epi8(v, _mm256_set1_epi8('?')), _mm256_cmpeq_epi8(v, _mm256_set1_epi8('&')));
	__m256i escapes = _mm256_or_si256(_mm256_cmpeq_epi8(v, _mm256_set1_epi8('%')), _mm256_cmpeq_epi8(v, _mm256_set1_epi8('\\')));

	low = _mm256_andnot_si256(_mm256_cmpeq_epi8(v, _mm256_set1_epi8('\t')), low);
	return (struct kinds){
		.control = (uint32_t)_mm256_movemask_epi8(_mm256_or_si256(low, _mm256_cmpeq_epi8(v, _mm256_set1_epi8(0x7f)))),
		.comma = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(v, _mm256_set1_epi8(','))),
		/* 8-bit text has the top bit itself */
		.breaks = (uint32_t)_mm256_movemask_epi8(_mm256_or_si256(v, _mm256_or_si256(marks, escapes)))
	};
}

/* n is at least 32. */
__attribute__((target("avx2"))) static bool
lines_in_blocks(const char *p, size_t n, struct sip_lines *lines)
{
	uint32_t breaks = 0, comma = 0;	/* of the line so far */
	size_t next = SIZE_MAX;		/* where the line after the last one begins */
	unsigned count = 0;

	for (size_t at = 0; at < n; at += 32) {
		/* the last look is at some characters again */
		size_t from = n - at >= 32 ? at : n - 32;
		struct kinds k = kinds_at(p + from);
		uint32_t fresh = UINT32_MAX << (at - from);

		k.control &= fresh;
		k.comma &= fresh;
		k.breaks &= fresh;
		while (k.control != 0) {
			unsigned bit = (unsigned)__builtin_ctz(k.control);
			size_t i = from + bit;
			uint32_t below = (UINT32_C(1) << bit) - 1;

			k.control &= k.control - 1;
			if (i + 1 == next)
				continue;	/* the LF, seen with its CR */
			if (p[i] != '\r' || n - i < 2 || p[i + 1] != '\n')
				return false;
			if (i == next) {
				lines->n = count;
				lines->head_n = i + 2;
				lines->breaks = (breaks | (k.breaks & below)) != 0;
				return true;
			}
			if (count == SIP_LINES_MAX)
				return false;
			lines->end[count] = (uint32_t)i;
			lines->comma[count++] = (comma | (k.comma & below)) != 0;
			comma = 0;
			k.comma &= ~below;
			next = i + 2;
		}
		comma |= k.comma;
		breaks |= k.breaks;
	}
	return false;
}

__attribute__((target("avx2"))) static bool
break_in_blocks(const char *p, size_t n, size_t *at)
{
	const __m256i question = _mm256_set1_epi8('?'), ampersand = _mm256_set1_epi8('&');
	const __m256i percent = _mm256_set1_epi8('%'), slash = _mm256_set1_epi8('\\');
	__m256i any = _mm256_setzero_si256();

	for (; n - *at >= 32; *at += 32) {
		__m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(p + *at));
		__m256i marks = _mm256_or_si256(_mm256_cmpeq_epi8(v, question), _mm256_cmpeq_epi8(v, ampersand));
		__m256i escapes = _mm256_or_si256(_mm256_cmpeq_epi8(v, percent), _mm256_cmpeq_epi8(v, slash));

		any = _mm256_or_si256(any, _mm256_or_si256(v, _mm256_or_si256(marks, escapes)));
	}
	return _mm256_movemask_epi8(any) != 0;	/* the top bits, which is where 8-bit text has them */
}
#endif

size_t
sip_chars_find_control(const char *p, size_t from, size_t n)
{
	size_t at = from;

#ifdef SIP_CHARS_BY_16
	if (n - at >= 32 && __builtin_cpu_supports("avx2"))
		at = skip_to_control(p, at, n);
#endif
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
sip_chars_lines(const char *p, size_t n, struct sip_lines *lines)
{
#ifdef SIP_CHARS_BY_16
	if (n >= 32 && n <= UINT32_MAX && __builtin_cpu_supports("avx2"))
		return lines_in_blocks(p, n, lines);
#endif
	(void)p, (void)n, (void)lines;
	return false;
}

#ifdef __SSE2__
/* All ones where one of ?&%\ stands. */
static inline __m128i
where_signs(__m128i v)
{
	__m128i marks = _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('?')), _mm_cmpeq_epi8(v, _mm_set1_epi8('&')));
	__m128i escapes = _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('%')), _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));

	return _mm_or_si128(marks, escapes);
}
#endif

bool
sip_chars_has_break(struct span s)
{
	size_t at = 0;

#ifdef SIP_CHARS_BY_16
	if (__builtin_cpu_supports("avx2") && break_in_blocks(s.p, s.n, &at))
		return true;
#endif
#ifdef __SSE2__
	for (; s.n - at >= 16; at += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)(s.p + at));

		/* movemask looks at the top bits, which is where 8-bit text has them. */
		if (_mm_movemask_epi8(_mm_or_si128(v, where_signs(v))) != 0)
			return true;
	}
#endif
	for (; at < s.n; at++)
		if (s.p[at] != '\n' && sip_char_is(s.p[at], SIP_CHAR_BREAK))
			return true;
	return false;
}

size_t
sip_chars_find_loud(const char *p, size_t from, size_t n)
{
	size_t at = from;

#ifdef __SSE2__
	const __m128i dot = _mm_set1_epi8('.'), colon = _mm_set1_epi8(':'), bracket = _mm_set1_epi8('[');
	const __m128i percent = _mm_set1_epi8('%'), space = _mm_set1_epi8(' '), del = _mm_set1_epi8(0x7f);
	const __m128i tab = _mm_set1_epi8('\t'), lf = _mm_set1_epi8('\n'), cr = _mm_set1_epi8('\r');

	for (; n - at >= 16; at += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + at));
		__m128i signs = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, dot), _mm_cmpeq_epi8(v, colon)),
		    _mm_or_si128(_mm_cmpeq_epi8(v, bracket), _mm_cmpeq_epi8(v, percent)));
		__m128i blank = _mm_or_si128(_mm_cmpeq_epi8(v, tab), _mm_or_si128(_mm_cmpeq_epi8(v, lf), _mm_cmpeq_epi8(v, cr)));
		/* as signed numbers 8-bit characters are below the space, too */
		__m128i others = _mm_or_si128(_mm_andnot_si128(blank, _mm_cmplt_epi8(v, space)), _mm_cmpeq_epi8(v, del));
		unsigned found = (unsigned)_mm_movemask_epi8(_mm_or_si128(signs, others));

		if (found != 0)
			return at + (unsigned)__builtin_ctz(found);
	}
#endif
	for (; at < n; at++) {
		unsigned char c = (unsigned char)p[at];

		if (c == '.' || c == ':' || c == '[' || c == '%' || c >= 0x7f || (c < ' ' && c != '\t' && c != '\n' && c != '\r'))
			break;
	}
	return at;
}

size_t
sip_chars_find_8bit(struct span s, size_t from)
{
	size_t at = from;

#ifdef __SSE2__
	for (; s.n - at >= 16; at += 16) {
		unsigned found = (unsigned)_mm_movemask_epi8(_mm_loadu_si128((const __m128i *)(const void *)(s.p + at)));

		if (found != 0)
			return at + (unsigned)__builtin_ctz(found);
	}
#endif
	while (at < s.n && (unsigned char)s.p[at] < 0x80)
		at++;
	return at;
}

unsigned
sip_chars_count_signs(struct span s)
{
	unsigned n = 0;
	size_t at = 0;

#ifdef __SSE2__
	for (; s.n - at >= 16; at += 16) {
		unsigned found = (unsigned)_mm_movemask_epi8(where_signs(_mm_loadu_si128((const __m128i *)(const void *)(s.p + at))));

		if (found != 0)
			n += (unsigned)__builtin_popcount(found);
	}
#endif
	for (; at < s.n; at++)
		n += s.p[at] == '?' || s.p[at] == '&' || s.p[at] == '%' || s.p[at] == '\\';
	return n;
}

size_t
sip_chars_find_break(struct span s, size_t from, bool escapes)
{
	size_t at = from;

#ifdef __SSE2__
	const __m128i question = _mm_set1_epi8('?'), ampersand = _mm_set1_epi8('&'), tab = _mm_set1_epi8('\t');
	const __m128i percent = _mm_set1_epi8(escapes ? '%' : '?'), slash = _mm_set1_epi8(escapes ? '\\' : '?');
	const __m128i last = _mm_set1_epi8(0x1f), del = _mm_set1_epi8(0x7f);

	for (; s.n - at >= 16; at += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)(s.p + at));
		__m128i low = _mm_andnot_si128(_mm_cmpeq_epi8(v, tab), _mm_cmpeq_epi8(_mm_min_epu8(v, last), v));
		__m128i marks = _mm_or_si128(_mm_cmpeq_epi8(v, question), _mm_cmpeq_epi8(v, ampersand));
		__m128i others = _mm_or_si128(_mm_cmpeq_epi8(v, percent), _mm_cmpeq_epi8(v, slash));
		/* movemask looks at the top bits, which is where 8-bit text has them */
		unsigned found = (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(v, low),
		    _mm_or_si128(_mm_or_si128(marks, others), _mm_cmpeq_epi8(v, del))));

		if (found != 0)
			return at + (unsigned)__builtin_ctz(found);
	}
#endif
	for (; at < s.n; at++) {
		unsigned char c = (unsigned char)s.p[at];

		if ((c < 0x20 && c != '\t') || c >= 0x7f || c == '?' || c == '&' || (escapes && (c == '%' || c == '\\')))
			return at;
	}
	return s.n;
}
