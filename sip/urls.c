/*
 * sip/urls.c - see urls.h.
 */
#include "sip/urls.h"

#include <string.h>

#include "sip/chars.h"

#define APART	UINT32_MAX
#define NOWHERE	UINT32_MAX

/* Characters that have no width of their own (Default_Ignorable_Code_Point of Unicode), and what stands for broken ones. */
static const struct {
	uint32_t	from, to;
} unseen[] = {
	{ 0x00ad, 0x00ad }, { 0x034f, 0x034f }, { 0x061c, 0x061c }, { 0x115f, 0x1160 }, { 0x17b4, 0x17b5 },
	{ 0x180b, 0x180f }, { 0x200b, 0x200f }, { 0x202a, 0x202e }, { 0x2060, 0x206f }, { 0x3164, 0x3164 },
	{ 0xfe00, 0xfe0f }, { 0xfeff, 0xfeff }, { 0xffa0, 0xffa0 }, { 0xfff0, 0xfffd }, { 0x1bca0, 0x1bca3 },
	{ 0x1d173, 0x1d17a }, { 0xe0000, 0xe0fff },
};

/* What the characters of ASCII are in plain form; all the rest is looked at below. */
#define A_SPACE	0x01
#define A_END	0x02	/* ends a word */
#define A_ALNUM	0x04
#define A_LETTER 0x08
#define A_LABEL	0x10
#define A_PLAIN	0x20	/* its own plain form but for case, and no '%' */
#define A_PATH	0x40	/* a dot, or what may stand between a host and its path */

static const unsigned char ascii[128] = {
	0x03, 0x03, 0x03, 0x03, 0x03, 0x03, 0x03, 0x03, 0x03, 0x23, 0x23, 0x23, 0x23, 0x23, 0x03, 0x03,
	0x03, 0x03, 0x03, 0x03, 0x03, 0x03, 0x03, 0x03, 0x03, 0x03, 0x03, 0x03, 0x03, 0x03, 0x03, 0x03,
	0x23, 0x20, 0x22, 0x60, 0x20, 0x00, 0x20, 0x20, 0x22, 0x22, 0x20, 0x20, 0x22, 0x30, 0x60, 0x60,
	0x34, 0x34, 0x34, 0x34, 0x34, 0x34, 0x34, 0x34, 0x34, 0x34, 0x60, 0x22, 0x22, 0x20, 0x22, 0x60,
	0x20, 0x3c, 0x3c, 0x3c, 0x3c, 0x3c, 0x3c, 0x3c, 0x3c, 0x3c, 0x3c, 0x3c, 0x3c, 0x3c, 0x3c, 0x3c,
	0x3c, 0x3c, 0x3c, 0x3c, 0x3c, 0x3c, 0x3c, 0x3c, 0x3c, 0x3c, 0x3c, 0x20, 0x60, 0x20, 0x20, 0x30,
	0x20, 0x3c, 0x3c, 0x3c, 0x3c, 0x3c, 0x3c, 0x3c, 0x3c, 0x3c, 0x3c, 0x3c, 0x3c, 0x3c, 0x3c, 0x3c,
	0x3c, 0x3c, 0x3c, 0x3c, 0x3c, 0x3c, 0x3c, 0x3c, 0x3c, 0x3c, 0x3c, 0x20, 0x22, 0x20, 0x20, 0x00
};

/* Letters and digits in other dress. */
static uint32_t
undress(uint32_t c)
{
	if (c >= 0xff01 && c <= 0xff5e)		/* full-width */
		return c - 0xff01 + '!';
	if (c >= 0x1d400 && c <= 0x1d6a3)	/* mathematical alphabets: 13 times A to Z, a to z */
		return (c - 0x1d400) % 52 < 26 ? 'a' + (c - 0x1d400) % 52 : 'a' + (c - 0x1d400) % 52 - 26;
	if (c >= 0x1d7ce && c <= 0x1d7ff)
		return '0' + (c - 0x1d7ce) % 10;
	if (c >= 0x24b6 && c <= 0x24e9)		/* circled */
		return 'a' + (c - 0x24b6) % 26;
	switch (c) {
	case 0x017f:				/* long s: upper-case S */
		return 's';
	case 0x212a:				/* Kelvin */
		return 'k';
	case 0x210e:				/* Planck: where the mathematical italic h would be */
		return 'h';
	case 0x3002: case 0xff61:		/* full stops of UTS 46 */
		return '.';
	case 0xfe55: case 0xfe13: case 0x2236: case 0xa789:
		return ':';
	case 0x2044: case 0x2215:
		return '/';
	default:
		return c;
	}
}

uint32_t
sip_urls_plain(uint32_t c)
{
	if (c < 0x80) {
		if (c >= 'A' && c <= 'Z')
			return c | 0x20;
		return c < ' ' && c != '\t' && c != '\n' && c != '\r' && c != '\v' && c != '\f' ? 0 : c == 0x7f ? 0 : c;
	}
	if (c < 0xa0 && c != 0x85)
		return 0;
	for (size_t i = 0; i < sizeof(unseen) / sizeof(unseen[0]) && unseen[i].from <= c; i++)
		if (c <= unseen[i].to)
			return 0;
	c = undress(c);
	return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

static inline bool
is_space(uint32_t c)
{
	if (c < 0x80)
		return (ascii[c] & A_SPACE) != 0;
	return c == APART || c <= ' ' || c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
	    c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

static inline bool
is_alnum(uint32_t c)
{
	if (c < 0x80)
		return (ascii[c] & A_ALNUM) != 0;
	return c != APART && c >= 0xc0 && !is_space(c);
}

static inline void
mark_end(uint64_t set[2], unsigned char c)
{
	c = c < 0x80 ? c : 0;
	set[c >> 6] |= UINT64_C(1) << (c & 63);
}

static inline bool
is_end(const uint64_t set[2], uint32_t c)
{
	c = c < 0x80 ? c : 0;
	return (set[c >> 6] >> (c & 63) & 1) != 0;
}

void
sip_urls_init(struct sip_urls *u, const struct policy_content *rule, bool (*is_own)(const void *, struct span),
    const void *own_arg, void (*found)(void *, uint32_t), void *arg)
{
	u->rule = rule;
	u->is_own = is_own;
	u->own_arg = own_arg;
	u->found = found;
	u->arg = arg;
	u->nring = u->nheld = 0;
	u->wants_word = u->wants_any = u->own = false;
	u->bare = rule->bare;
	u->linked = u->run = false;
	u->run_wants = u->v4_wants = u->v6_wants = 0;
	u->v6 = SIP_URLS_V6_NONE;
	memset(u->scheme_ends, 0, sizeof(u->scheme_ends));
	memset(u->host_ends, 0, sizeof(u->host_ends));
	for (size_t i = 0; i < rule->nschemes; i++) {
		struct span s = rule->schemes[i];

		if (s.p[s.n - 1] != '.')
			mark_end(u->scheme_ends, (unsigned char)s.p[s.n - 1]);
		else if (s.n > 1)
			mark_end(u->host_ends, (unsigned char)s.p[s.n - 2]);
		else
			memset(u->host_ends, 0xff, sizeof(u->host_ends));
	}
}

/* The i-th character before the last one; APART where there is none. */
static inline struct sip_char
before(const struct sip_urls *u, unsigned i)
{
	if (i >= u->nring || i >= SIP_URLS_RING)
		return (struct sip_char){ .c = APART };
	return u->ring[(u->nring - 1 - i) % SIP_URLS_RING];
}

static inline uint32_t
code_before(const struct sip_urls *u, unsigned i)
{
	return i >= u->nring || i >= SIP_URLS_RING ? APART : u->ring[(u->nring - 1 - i) % SIP_URLS_RING].c;
}

/* ---- is its host one of ours? ---- */

/* Its host is not ours, or may be read as another: it is a link as any. */
static void
own_refused(struct sip_urls *u)
{
	u->own = false;
	u->found(u->arg, u->own_at);
	if (u->own_second != NOWHERE)
		u->found(u->arg, u->own_second);
}

static void
own_ended(struct sip_urls *u)
{
	struct span host = span_of(u->host, u->nhost);

	u->own = false;
	if (u->nslashes != 2 || host.n == 0 || !u->is_own(u->own_arg, host))
		own_refused(u);
}

/*
 * One more character of a link that may be ours. Whatever could make another
 * reader see another host (escapes, back slashes, somebody@, letters that are
 * not ASCII) makes it a link as any.
 */
static void
own_char(struct sip_urls *u, struct sip_char ch)
{
	if (is_space(ch.c) || ch.c == '"' || ch.c == '<' || ch.c == '>') {
		own_ended(u);
	} else if (ch.odd || ch.c >= 0x80 || ch.c == '\\' || ch.c == '@' || ch.c == '%') {
		own_refused(u);
	} else if (u->nslashes < 2) {
		if (ch.c == '/' && u->in_host)
			u->nslashes++;
		else
			own_refused(u);
	} else if (u->in_host) {
		if (is_alnum(ch.c) || ch.c == '-' || ch.c == '.') {
			if (u->nhost == SIP_URLS_HOST)
				own_refused(u);
			else
				u->host[u->nhost++] = (char)ch.c;
		} else {
			u->in_host = false;
			u->in_port = ch.c == ':';
			if (ch.c != ':' && ch.c != '/' && ch.c != '?' && ch.c != '#' && ch.c != ',' && ch.c != ')' &&
			    ch.c != ';' && ch.c != '\'')
				own_refused(u);
		}
	} else if (u->in_port && !(ch.c >= '0' && ch.c <= '9')) {
		u->in_port = false;
		if (ch.c != '/' && ch.c != '?' && ch.c != '#')
			own_refused(u);
	}
}

static bool
contiguous(const struct sip_urls *u, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (before(u, i).odd || (i > 0 && before(u, i).end != before(u, i - 1).at))
			return false;
	return true;
}

/* A link of n characters so far, its colon or dot the last of them. */
static void
begins(struct sip_urls *u, unsigned n, bool word, bool http)
{
	struct sip_char first = before(u, n - 1), prev = before(u, n);

	u->linked = true;
	/* an underscore that stands at it, and not one with something unseen between */
	if (prev.c == '_' && !prev.odd && prev.end == first.at)
		return;
	if (u->own && word && u->in_host && u->nslashes == 2 && u->nhost == n && u->own_second == NOWHERE) {
		u->own_second = first.at;	/* http://www. */
		return;
	}
	if (u->own)
		own_refused(u);
	u->wants_word = word;
	u->wants_any = !word;
	u->wants_at = first.at;
	u->wants_own = u->rule->pass_own && u->is_own != NULL && (http || word) && contiguous(u, n);
	if (u->wants_own && word) {
		u->nhost = n < SIP_URLS_HOST ? n : SIP_URLS_HOST;
		for (unsigned i = 0; i < u->nhost; i++)
			u->host[i] = (char)code_before(u, n - 1 - i);
	}
}

static bool
ring_ends_in(const struct sip_urls *u, struct span word, unsigned skip)
{
	for (size_t i = 0; i < word.n; i++)
		if (code_before(u, skip + (unsigned)i) != (unsigned char)word.p[word.n - 1 - i])
			return false;
	return true;
}

/* The colon is the last character: is there a scheme in front of it? The longest one that is. */
static void
look_for_scheme(struct sip_urls *u)
{
	size_t best = 0;
	bool http = false;

	if (!is_end(u->scheme_ends, code_before(u, 1)))
		return;
	for (size_t i = 0; i < u->rule->nschemes; i++) {
		struct span s = u->rule->schemes[i];

		if (s.p[s.n - 1] == '.' || s.n <= best || code_before(u, 1) != (unsigned char)s.p[s.n - 1] ||
		    !ring_ends_in(u, s, 1))
			continue;
		best = s.n;
		http = span_is(s, "http") || span_is(s, "https");
	}
	if (best > 0)
		begins(u, (unsigned)best + 1, false, http);
}

/* The dot is the last character: "www.", "www2.", "ftp.". */
static void
look_for_host(struct sip_urls *u)
{
	unsigned digits = 0;
	uint32_t prev;

	while (digits < 3 && code_before(u, 1 + digits) >= '0' && code_before(u, 1 + digits) <= '9')
		digits++;
	if (!is_end(u->host_ends, code_before(u, 1 + digits)))
		return;
	for (size_t i = 0; i < u->rule->nschemes; i++) {
		struct span s = u->rule->schemes[i];

		if (s.p[s.n - 1] != '.')
			continue;
		s.n--;
		if (code_before(u, 1 + digits) != (unsigned char)s.p[s.n - 1] || !ring_ends_in(u, s, 1 + digits))
			continue;
		/* in the middle of a word it is none; but only where everybody sees one word */
		prev = code_before(u, 1 + digits + (unsigned)s.n);
		if (prev < 0x80 && is_alnum(prev) && contiguous(u, 2 + digits + (unsigned)s.n))
			continue;
		begins(u, (unsigned)s.n + digits + 1, true, false);
		return;
	}
}

/* ---- bare domains ---- */

/* Part of a label for some reader: not punctuation, and no picture. */
static inline bool
is_letter(uint32_t c)
{
	if (c < 0x80)
		return (ascii[c] & A_LETTER) != 0;
	return (c >= 0xc0 && c < 0x1f000 && c != 0xd7 && c != 0xf7 && !(c >= 0x2000 && c < 0x2c00) &&
	    !(c >= 0x3000 && c < 0x3040) && !(c >= 0xff00 && c < 0xff66) && !is_space(c));
}

static inline bool
is_label_char(uint32_t c)
{
	return c < 0x80 ? (ascii[c] & A_LABEL) != 0 : is_letter(c);
}

static void
label_begins(struct sip_urls *u)
{
	u->nlabel = 0;
	u->label_ok = true;
	u->label_foreign = false;
	u->label_ace = false;
	u->label_value = 0;
}

/*
 * Could this label be a fourth of an IPv4 address for who reads numbers as inet_aton() does: decimal, octal with a 0 in
 * front, or hexadecimal?
 */
static bool
label_is_octet(const struct sip_urls *u)
{
	if (u->nlabel >= 2 && u->label[0] == '0' && u->label[1] == 'x')
		return u->nlabel >= 3 && u->nlabel <= 4 && u->label_value <= 0xff;
	return u->nlabel >= 1 && u->nlabel <= 4 && u->label_value <= 0xff;
}

/* One more character of it, nlabel not counted up yet: what its value is; over 255 and it stays there if it is none. */
static void
label_number(struct sip_urls *u, uint32_t c)
{
	bool hex = u->nlabel >= 2 && u->label[0] == '0' && u->label[1] == 'x';
	unsigned base = hex ? 16 : u->nlabel > 0 && u->label[0] == '0' ? 8 : 10;

	if (c == 'x' && u->nlabel == 1 && u->label[0] == '0')
		return;
	if (c >= '0' && c < '0' + (base < 10 ? base : 10))
		u->label_value = u->label_value * base + (c - '0');
	else if (hex && c >= 'a' && c <= 'f')
		u->label_value = u->label_value * 16 + (c - 'a' + 10);
	else
		u->label_value = UINT16_MAX;
	if (u->label_value > 0xff)
		u->label_value = UINT16_MAX;
}

static void
run_begins(struct sip_urls *u, struct sip_char ch)
{
	struct sip_char prev = before(u, 0);

	u->run = true;
	u->run_dead = ch.c == '_' && !ch.odd;
	u->run_in_path = prev.c == '/' || prev.c == '\\';
	u->run_behind_at = prev.c == '@';
	u->run_odd = u->run_dressed = u->run_dotted = u->run_named = false;
	u->run_at = ch.at;
	u->nrun = u->nlabels = 0;
	label_begins(u);
}

static void
run_char(struct sip_urls *u, struct sip_char ch)
{
	u->run_odd |= ch.odd || ch.c >= 0x80;
	if (u->nrun < SIP_URLS_HOST)
		u->run_host[u->nrun] = (char)ch.c;
	u->nrun++;
	/* what takes its life is no part of it */
	if (u->run_dead && u->nrun == 1)
		return;
	if (ch.c == '.') {
		u->run_dotted = true;
		return;
	}
	if (u->run_dotted) {	/* a dot at the end ends no label for another */
		u->run_dotted = false;
		u->nlabels++;
		u->run_named |= !label_is_octet(u);
		u->run_dressed = before(u, 0).odd;
		label_begins(u);
	}
	label_number(u, ch.c);
	if (u->nlabel < 4)
		u->label[u->nlabel] = (char)ch.c;
	if (u->nlabel < SIP_URLS_HOST)
		u->nlabel++;
	if (u->nlabel == 4)
		u->label_ace = memcmp(u->label, "xn--", 4) == 0;
	u->label_ok &= is_letter(ch.c);
	u->label_foreign |= ch.c >= 0x80;
}

/*
 * Labels, and a last one that could be a domain's: two letters or more, as all
 * of them have. Not of letters that are not ASCII behind a full stop that is not:
 * that is how sentences of languages without spaces meet.
 */
static bool
run_is_domain(const struct sip_urls *u)
{
	if (u->nlabels == 0 || u->run_in_path)
		return false;
	return (u->label_ace && u->nlabel > 4) ||
	    (u->label_ok && u->nlabel >= 2 && u->nlabel <= 24 && !(u->label_foreign && u->run_dressed));
}

/* Four numbers, as an IPv4 address has them. Alone they are a version of something as well: only a path makes them a link. */
static bool
run_is_address(const struct sip_urls *u)
{
	return u->nlabels == 3 && !u->run_named && !u->run_dotted && label_is_octet(u) && !u->run_in_path;
}

static bool
run_is_own(const struct sip_urls *u)
{
	size_t n = u->nrun - (u->run_dotted ? 1 : 0);

	return u->rule->pass_own && u->is_own != NULL && !u->run_odd && !u->run_behind_at && n <= SIP_URLS_HOST &&
	    u->is_own(u->own_arg, span_of(u->run_host, n));
}

static void
run_counts(struct sip_urls *u, uint32_t next)
{
	u->linked = true;	/* what follows is its path */
	if (!u->run_dead && (next == '\\' || !run_is_own(u)))
		u->found(u->arg, u->run_at);
}

static void
run_ends(struct sip_urls *u, struct sip_char ch)
{
	bool address = run_is_address(u);

	u->run = false;
	if (u->linked || u->bare == POLICY_BARE_NONE || (!address && !run_is_domain(u)))
		return;
	if (address) {
		/* somebody@192.0.2.1:5060 is an address of SIP */
		if (ch.c == '/' || ch.c == '\\' || (!u->run_behind_at && (ch.c == ':' || ch.c == '?' || ch.c == '#'))) {
			u->v4_wants = ch.c;
			u->v4_at = u->run_at;
			u->v4_dead = u->run_dead;
			u->v4_bits = 0;
		}
		return;
	}
	if (ch.c == '/' || ch.c == '\\')
		run_counts(u, ch.c);
	else if (ch.c == ':' || ch.c == '?' || ch.c == '#')
		u->run_wants = ch.c;
	else if (u->bare == POLICY_BARE_ALL && !u->run_behind_at && ch.c != '@')
		run_counts(u, ch.c);
}

static inline bool
ends_word(uint32_t c)
{
	if (c < 0x80)
		return (ascii[c] & A_END) != 0;
	return is_space(c);
}

/*
 * Behind an IPv4 address: is it a link? Not a network: a slash and one or two digits that nothing follows, or that end a sentence.
 */
static void
v4_char(struct sip_urls *u, uint32_t c)
{
	bool digit = c >= '0' && c <= '9', counts = true;

	if (u->v4_wants == '/') {
		if (digit && u->v4_bits < 2) {
			u->v4_bits++;
			return;
		}
		if (u->v4_bits > 0 && c == '.') {
			u->v4_wants = '.';
			return;
		}
		counts = u->v4_bits == 0 || (!ends_word(c) && c != '!' && c != '?' && c != ':');
	} else if (u->v4_wants != '\\') {
		counts = u->v4_wants == ':' ? digit : is_alnum(c);
	}
	u->v4_wants = 0;
	if (!u->linked && counts) {
		u->linked = true;	/* what follows is its path */
		if (!u->v4_dead)
			u->found(u->arg, u->v4_at);
	}
}

/* One more character; the ring does not have it yet. */
static void
bare_char(struct sip_urls *u, struct sip_char ch)
{
	if (u->run_wants != 0) {
		bool path = u->run_wants == ':' ? ch.c >= '0' && ch.c <= '9' : is_alnum(ch.c);

		if (!u->linked && (path || (u->bare == POLICY_BARE_ALL && !u->run_behind_at)))
			run_counts(u, ch.c);
		u->run_wants = 0;
	}
	if (u->v4_wants != 0)
		v4_char(u, ch.c);
	if (ends_word(ch.c)) {
		if (u->run)
			run_ends(u, ch);
		u->linked = false;
		return;
	}
	/* an underscore makes what stands at it inert, and nothing behind a gap that some readers see; two dots are no domain's */
	if (u->run && u->run_dead && u->nrun == 1 && before(u, 0).end != ch.at) {
		u->run = false;
		if (is_label_char(ch.c))
			run_begins(u, ch);
	} else if (u->run && ch.c == '.' && u->run_dotted) {
		u->run = false;
	}
	if (u->run && !is_label_char(ch.c) && ch.c != '.')
		run_ends(u, ch);
	else if (u->run)
		run_char(u, ch);
	else if (is_label_char(ch.c) && !is_label_char(code_before(u, 0))) {
		run_begins(u, ch);
		run_char(u, ch);
	}
}

/* ---- bare IPv6 addresses ---- */

static void
v6_counts(struct sip_urls *u)
{
	u->linked = true;
	if (!u->v6_dead)
		u->found(u->arg, u->v6_at);
}

/* Inside of the brackets. */
static void
v6_inside(struct sip_urls *u, uint32_t c)
{
	bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');

	if (c == ']') {
		/* a time is no address */
		u->v6 = u->v6_doubled || u->v6_colons == 7 ? SIP_URLS_V6_CLOSED : SIP_URLS_V6_NONE;
	} else if (c == ':' && !u->v6_zone) {
		u->v6_doubled |= code_before(u, 0) == ':';
		u->v6_colons++;
	} else if (c == '%') {
		u->v6_zone = true;
	} else if (!digit && c != '.' && !(u->v6_zone && is_label_char(c))) {
		u->v6 = SIP_URLS_V6_NONE;
	}
	if (++u->v6_n > SIP_URLS_V6_MAX)
		u->v6 = SIP_URLS_V6_NONE;
}

/* One more character; the ring does not have it yet. As a domain's, with something behind the address. */
static void
v6_char(struct sip_urls *u, struct sip_char ch)
{
	struct sip_char prev = before(u, 0);

	if (u->v6_wants != 0) {
		if (!u->linked && (u->v6_wants == ':' ? ch.c >= '0' && ch.c <= '9' : is_alnum(ch.c)))
			v6_counts(u);
		u->v6_wants = 0;
	}
	if (u->v6 == SIP_URLS_V6_CLOSED) {
		u->v6 = SIP_URLS_V6_NONE;
		if (!u->linked && (ch.c == '/' || ch.c == '\\'))
			v6_counts(u);
		else if (!u->v6_behind_at && (ch.c == ':' || ch.c == '?' || ch.c == '#'))
			u->v6_wants = ch.c;
	}
	if (ch.c == '[') {
		u->v6 = SIP_URLS_V6_INSIDE;
		u->v6_at = ch.at;
		u->v6_dead = prev.c == '_' && !prev.odd && prev.end == ch.at;
		u->v6_behind_at = prev.c == '@';
		u->v6_doubled = u->v6_zone = false;
		u->v6_colons = u->v6_n = 0;
	} else if (u->v6 == SIP_URLS_V6_INSIDE) {
		v6_inside(u, ch.c);
	}
}

/* One character in plain form. */
static void
plain_char(struct sip_urls *u, struct sip_char ch)
{
	bool wanted = u->wants_any ? !is_space(ch.c) : u->wants_word && is_alnum(ch.c);

	if (wanted && !u->wants_own) {
		u->found(u->arg, u->wants_at);
	} else if (wanted) {
		u->own = u->in_host = true;
		u->in_port = false;
		u->own_at = u->wants_at;
		u->own_second = NOWHERE;
		u->nslashes = u->wants_word ? 2 : 0;
		if (u->wants_any)
			u->nhost = 0;
	}
	if (u->wants_word && !wanted)
		u->linked = false;
	u->wants_any = u->wants_word = false;
	if (u->own)
		own_char(u, ch);
	if (u->bare != POLICY_BARE_NONE) {
		bare_char(u, ch);
		v6_char(u, ch);
	}
	u->ring[u->nring % SIP_URLS_RING] = ch;
	/* the count stays small, and the places the same */
	if (++u->nring == 1u << 30)
		u->nring = SIP_URLS_RING;
	if (ch.c == ':')
		look_for_scheme(u);
	else if (ch.c == '.')
		look_for_host(u);
}

static int
hex(uint32_t c)
{
	if (c >= '0' && c <= '9')
		return (int)c - '0';
	return c >= 'a' && c <= 'f' ? (int)c - 'a' + 10 : -1;
}

static void
let_go(struct sip_urls *u)
{
	unsigned n = u->nheld;

	u->nheld = 0;
	for (unsigned i = 0; i < n; i++)
		plain_char(u, u->held[i]);
}

void
sip_urls_char(struct sip_urls *u, struct sip_char ch)
{
	uint32_t plain;

	if (ch.c < 0x80 && u->nheld == 0 && (ascii[ch.c] & A_PLAIN) != 0) {	/* mostly so */
		if (ch.c >= 'A' && ch.c <= 'Z')
			ch.c |= 0x20;
		plain_char(u, ch);
		return;
	}
	if (ch.c == APART) {
		let_go(u);
		plain_char(u, ch);
		return;
	}
	plain = sip_urls_plain(ch.c);
	if (plain == 0) {
		/* whoever drops it sees the same link; whoever shows it may see another host */
		if (u->own)
			own_refused(u);
		return;
	}
	/* dressed letters are seen as they are meant, but what they lead to is for others to say */
	ch.odd |= plain != ch.c && !(ch.c >= 'A' && ch.c <= 'Z');
	ch.c = plain;
	if (u->nheld == 0 && plain != '%') {
		plain_char(u, ch);
		return;
	}
	if (u->nheld > 0 && hex(plain) < 0)
		let_go(u);
	if (u->nheld == 2) {
		uint32_t c = sip_urls_plain((uint32_t)(hex(u->held[1].c) * 16 + hex(plain)));

		/* only what a link is made of: an escaped space is none */
		if (is_alnum(c) || c == ':' || c == '.' || c == '/' || c == '\\' || c == '@' || c == '-' || c == '_') {
			u->nheld = 0;
			plain_char(u, (struct sip_char){ c, u->held[0].at, ch.end, true });
			return;
		}
		let_go(u);
	}
	if (u->nheld > 0 || plain == '%')
		u->held[u->nheld++] = ch;
	else
		plain_char(u, ch);
}

/* At the beginning of a word of which nothing is known, and nothing in front of it matters. */
static inline bool
is_fresh(const struct sip_urls *u)
{
	return u->nheld == 0 && !u->own && !u->wants_any && !u->wants_word && !u->run && u->run_wants == 0 && u->v4_wants == 0 &&
	    u->v6 == SIP_URLS_V6_NONE && u->v6_wants == 0 && is_space(code_before(u, 0));
}

static inline bool
is_blank(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* Behind the signs at p[at], if they are those at the end of a word, which make no link; else 0. */
static size_t
past_end_of_word(const char *p, size_t at, size_t n)
{
	if (p[at] != '.' && p[at] != ':')
		return 0;
	for (at++; at < n && p[at] == '.' && p[at - 1] == '.'; )
		at++;
	return at == n || is_blank(p[at]) ? at : 0;
}

/*
 * Bytes of the character at p[at] of UTF-8, if it is one of those that neither are a sign of which links are made nor
 * could be read as one; else 0. To who reads ISO 8859-1 they are letters.
 */
static size_t
quiet_char(const char *p, size_t at, size_t n)
{
	unsigned char c = (unsigned char)p[at], d = at + 1 < n ? (unsigned char)p[at + 1] : 0;

	if ((d & 0xc0) != 0x80)
		return 0;
	if (c >= 0xc2 && c <= 0xdf)
		return 2;
	/* U+1000 to U+1FFF, U+3040 to U+9FFF: no full stop or colon in any dress */
	if ((c == 0xe1 || (c == 0xe3 && d > 0x80) || (c >= 0xe4 && c <= 0xe9)) && at + 2 < n &&
	    ((unsigned char)p[at + 2] & 0xc0) == 0x80)
		return 3;
	return 0;
}

/* Does that text, in any letter case, end in this word? */
static bool
ends_in(const char *p, size_t n, struct span word)
{
	return n >= word.n && span_ieq(span_of(p + n - word.n, word.n), word);
}

/* Does one of the rule's schemes, or of its beginnings of hosts, stand in front of p[n], which is a colon or a dot? */
static bool
follows_scheme(const struct sip_urls *u, const char *p, size_t n)
{
	bool host = p[n] == '.';
	const uint64_t *ends = host ? u->host_ends : u->scheme_ends;
	unsigned char last;

	for (unsigned digits = 0; host && digits < 3 && n > 0 && p[n - 1] >= '0' && p[n - 1] <= '9'; digits++)
		n--;
	last = n > 0 ? span_lower((unsigned char)p[n - 1]) : ' ';
	if (!is_end(ends, last))
		return false;
	for (size_t i = 0; i < u->rule->nschemes; i++) {
		struct span s = u->rule->schemes[i];

		if ((s.p[s.n - 1] == '.') != host)
			continue;
		s.n -= host ? 1 : 0;
		if (s.n == 0 || ((unsigned char)s.p[s.n - 1] == last && ends_in(p, n, s)))
			return true;
	}
	return false;
}

/*
 * Where the word ends that begins at p[from], if there is no link in it: no scheme, no beginning of a host, and no path behind a dot;
 * else, or when it is not for sure, 0.
 */
static size_t
past_word(const struct sip_urls *u, const char *p, size_t from, size_t n)
{
	bool dot = false;
	size_t at;

	for (at = from; at < n && !is_blank(p[at]); at++) {
		unsigned char c = (unsigned char)p[at];

		if (c < ' ' || c >= 0x7f || c == '[' || c == '%')
			return 0;
		if ((ascii[c] & A_PATH) == 0)
			continue;
		if ((c == '.' && u->bare == POLICY_BARE_ALL) || (c != '.' && dot && u->bare != POLICY_BARE_NONE) ||
		    ((c == '.' || c == ':') && follows_scheme(u, p + from, at - from)))
			return 0;
		dot = dot || c == '.';
	}
	return at;
}

size_t
sip_urls_skip(struct sip_urls *u, const char *p, size_t n)
{
	size_t at = 0, past;

	if (!is_fresh(u))
		return 0;
	/* to the first word that has a sign of which links are made, and may be one */
	while ((at = sip_chars_find_loud(p, at, n)) < n) {
		size_t from = at;

		while (at < n && (past = quiet_char(p, at, n)) != 0)
			at += past;
		if (at > from)
			continue;
		if ((past = past_end_of_word(p, at, n)) == 0) {
			while (from > 0 && !is_blank(p[from - 1]))
				from--;
			past = past_word(u, p, from, n);
		}
		if (past == 0)
			break;
		at = past;
	}
	while (at < n && at > 0 && !is_blank(p[at - 1]))
		at--;
	if (at == 0)
		return 0;
	sip_urls_char(u, (struct sip_char){ .c = ' ' });
	u->linked = false;
	return at;
}

void
sip_urls_end(struct sip_urls *u)
{
	sip_urls_char(u, (struct sip_char){ .c = APART });
	u->nring = 0;
}
