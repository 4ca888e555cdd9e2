/*
 * policy/domain.c - one form for domain names, so that comparing is memcmp.
 */
#include "policy/domain.h"

#include <arpa/inet.h>
#include <idn2.h>

#include "common/err.h"

#define LABEL_MAX	63
#define NAME_MAX_	(DOMAIN_MAX - 1)
/* A name in UTF-8 that could still fit as A-labels; longer ones are not even converted. */
#define UTF8_MAX	(4 * NAME_MAX_)

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Letter case is settled before this is asked. */
static const bool is_name_char[256] = {
	['-'] = true, ['0' ... '9'] = true, ['_'] = true, ['a' ... 'z'] = true
};

/*
 * Would somebody's resolver read this last label as part of an address?
 * inet_aton() takes "1.2", "0x7f.1" and single numbers, so a name must not end so.
 */
static bool
is_number_label(struct span l)
{
	size_t i = 0;
	bool hex = l.n >= 2 && l.p[0] == '0' && l.p[1] == 'x';

	for (i = hex ? 2 : 0; i < l.n; i++)
		if (!is_digit(l.p[i]) && !(hex && l.p[i] >= 'a' && l.p[i] <= 'f'))
			return false;
	return true;
}

/* Four decimal numbers without leading zeros: the only spelling taken. */
static bool
is_ipv4(struct span s)
{
	for (int part = 0; part < 4; part++) {
		size_t n = span_find(s, '.');
		uint64_t v;

		if (n > 3 || !span_uint(span_head(s, n), 255, &v) || (n > 1 && s.p[0] == '0'))
			return false;
		if ((part == 3) != (n == s.n))
			return false;
		s = span_tail(s, n + 1);
	}
	return true;
}

/* Lower-case labels of 1 to 63 letters, digits, hyphens (not at an end), underscores; the last no number. */
static bool
is_host_name(struct span s)
{
	struct span label;

	if (s.n == 0 || s.n > NAME_MAX_)
		return false;
	for (;;) {
		size_t n = span_find(s, '.');

		label = span_head(s, n);
		if (n == 0 || n > LABEL_MAX || label.p[0] == '-' || label.p[n - 1] == '-')
			return false;
		for (size_t i = 0; i < n; i++)
			if (!is_name_char[(unsigned char)label.p[i]])
				return false;
		if (n == s.n)
			break;
		if (n + 1 == s.n)
			return false;	/* a dot at the end */
		s = span_tail(s, n + 1);
	}
	return !is_number_label(label);
}

/* "[v6]" in any spelling to "[v6]" in the usual one. */
static bool
canon_ipv6(struct span in, char out[DOMAIN_MAX], struct span *result)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr a;
	size_t n;

	if (in.n < 4 || in.n - 2 >= sizeof(text) || in.p[in.n - 1] != ']' || memchr(in.p, '\0', in.n) != NULL)
		return false;
	memcpy(text, in.p + 1, in.n - 2);
	text[in.n - 2] = '\0';
	if (inet_pton(AF_INET6, text, &a) != 1 || inet_ntop(AF_INET6, &a, text, sizeof(text)) == NULL)
		return false;
	n = strlen(text);
	out[0] = '[';
	memcpy(out + 1, text, n);
	memcpy(out + 1 + n, "]", 2);
	*result = span_of(out, n + 2);
	return true;
}

/* in is ASCII; NUL, spaces and the like fall out as no name characters. */
static int
canon_ascii(struct span in, char out[DOMAIN_MAX], struct span *result, bool *is_ip)
{
	struct span s;

	if (in.n > 1 && in.p[in.n - 1] == '.')
		in.n--;
	if (in.n == 0 || in.n > NAME_MAX_)
		return SP_ESYNTAX;
	if (in.p[0] == '[') {
		*is_ip = canon_ipv6(in, out, result);
		return *is_ip ? SP_OK : SP_ESYNTAX;
	}
	for (size_t i = 0; i < in.n; i++)
		out[i] = (char)span_lower((unsigned char)in.p[i]);
	out[in.n] = '\0';
	s = span_of(out, in.n);
	*is_ip = is_digit(s.p[s.n - 1]) && is_ipv4(s);
	if (!*is_ip && !is_host_name(s))
		return SP_ESYNTAX;
	*result = s;
	return SP_OK;
}

static int
canon_idn(struct span in, char out[DOMAIN_MAX], struct span *result)
{
	char text[UTF8_MAX + 1];
	uint8_t *alabels = NULL;
	bool is_ip = false;
	int err = SP_ESYNTAX;

	if (in.n > UTF8_MAX || memchr(in.p, '\0', in.n) != NULL)
		return SP_ESYNTAX;
	memcpy(text, in.p, in.n);
	text[in.n] = '\0';
	if (idn2_lookup_u8((const uint8_t *)text, &alabels, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
		return SP_ESYNTAX;
	/* Full-width digits must not become an address that was not seen as one. */
	err = canon_ascii(span_str((const char *)alabels), out, result, &is_ip);
	if (err == SP_OK && is_ip) {
		*result = SPAN_NONE;
		err = SP_ESYNTAX;
	}
	idn2_free(alabels);
	return err;
}

int
policy_domain_canon(struct span in, char out[DOMAIN_MAX], struct span *result, bool *is_ip)
{
	*result = SPAN_NONE;
	*is_ip = false;
	out[0] = '\0';
	for (size_t i = 0; i < in.n; i++)
		if ((unsigned char)in.p[i] >= 0x80)
			return canon_idn(in, out, result);
	return canon_ascii(in, out, result, is_ip);
}

bool
policy_domain_is_ip(struct span s)
{
	size_t last = s.n;

	if (s.n == 0)
		return false;
	if (s.p[0] == '[')
		return true;
	while (last > 0 && s.p[last - 1] != '.')
		last--;
	return last < s.n && is_number_label(span_tail(s, last));
}

bool
policy_domain_is_canon(struct span s)
{
	if (s.n > 0 && s.p[0] == '[') {
		char out[DOMAIN_MAX];
		struct span again;

		return canon_ipv6(s, out, &again) && span_eq(s, again);
	}
	return is_host_name(s) || is_ipv4(s);
}

bool
policy_domain_within(struct span name, struct span domain)
{
	if (domain.n == 0 || name.n < domain.n)
		return false;
	if (!span_eq(span_tail(name, name.n - domain.n), domain) && !span_eq(name, domain))
		return false;
	return name.n == domain.n || name.p[name.n - domain.n - 1] == '.';
}
