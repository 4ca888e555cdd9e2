/*
 * tests/fuzz/fuzz_content.c - what the content filter has changed is a whole
 * message with the same headers, in which neither a second look nor a plain
 * finder that knows nothing of ours sees a link that can be clicked. What plainly offers a program is refused. Of plain
 * text and HTML words are left out, and the same links are found as when each character is looked at.
 */
#include <assert.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "policy/rules.h"
#include "sip/content.h"
#include "sip/textview.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct sip_message msg, again;

static const struct policy_content *
rule(struct policy_rules **rules, const char *links, const char *bare, const char *own)
{
	struct policy_builder *b = policy_builder_new();

	policy_builder_add(b, "t", 1, "domain", "example.com");
	policy_builder_add(b, "t", 1, "internal-server", "d.example.com");
	policy_builder_add(b, "t", 1, "content", "x");
	policy_builder_add(b, "t", 1, "content.class", "direct");
	policy_builder_add(b, "t", 1, "content.links", links);
	policy_builder_add(b, "t", 1, "content.files", "block-listed");
	policy_builder_add(b, "t", 1, "content.own-links", own);
	policy_builder_add(b, "t", 1, "content.bare-domains", bare);
	policy_builder_add(b, "t", 1, "content.sealed", "pass");
	*rules = policy_builder_finish(b, NULL, NULL);
	policy_builder_free(b);
	assert(*rules != NULL);
	return policy_content_of(*rules, POLICY_CLASS_DIRECT, false);
}

static int
is_word(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* As a client does it: a word's beginning, a scheme and two slashes, or www, a dot and a letter. */
static const char *
clickable(const char *p, size_t n)
{
	for (size_t i = 0; i + 8 < n; i++) {
		if (i > 0 && is_word((unsigned char)p[i - 1]))
			continue;
		if ((strncasecmp(p + i, "http://", 7) == 0 && p[i + 7] > ' ') || (strncasecmp(p + i, "https://", 8) == 0) ||
		    (strncasecmp(p + i, "www.", 4) == 0 && is_word((unsigned char)p[i + 4]) && p[i + 4] != '_'))
			return p + i;
	}
	return NULL;
}

static int
contains(const char *p, size_t n, const char *word)
{
	size_t k = strlen(word);

	for (size_t i = 0; i + k <= n; i++)
		if (strncasecmp(p + i, word, k) == 0)
			return 1;
	return 0;
}

static bool
is_own(const void *arg, struct span host)
{
	(void)arg;
	return host.n > 3 && memcmp(host.p, "own", 3) == 0;
}

/* In base64 nothing is left out. */
static void
compare_ways(const struct policy_content *rule, const uint8_t *data, size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	struct policy_content own = *rule;
	char *coded = malloc(len * 4 + 4);
	size_t n = 0;

	for (size_t i = 0; i < len; i += 3) {
		unsigned v = (unsigned)data[i] << 16 | (i + 1 < len ? data[i + 1] : 0u) << 8 | (i + 2 < len ? data[i + 2] : 0u);

		coded[n++] = digits[v >> 18];
		coded[n++] = digits[v >> 12 & 63];
		if (i + 1 < len)
			coded[n++] = digits[v >> 6 & 63];
		if (i + 2 < len)
			coded[n++] = digits[v & 63];
	}
	for (unsigned mode = 0; mode < 8; mode++) {
		struct sip_text a = { .raw = span_of((const char *)data, len), .rule = &own, .is_own = is_own,
		    .charset = mode & 1 ? SIP_CHARSET_LATIN : SIP_CHARSET_UTF8, .format = mode & 4 ? SIP_TEXT_HTML : SIP_TEXT_PLAIN };
		struct sip_text b = a;

		own.pass_own = (mode & 2) != 0;
		b.raw = span_of(coded, n);
		b.transfer = SIP_TRANSFER_BASE64;
		sip_text_scan(&a);
		sip_text_scan(&b);
		assert(a.nlinks == b.nlinks && a.overflow == b.overflow && a.start == b.start);
		/* who has more is not read to the end */
		assert(a.overflow || memcmp(a.link, b.link, a.nlinks * sizeof(a.link[0])) == 0);
	}
	free(coded);
}

/* A line that begins with key, and in which what follows is, up to a line end or a quote, the name of a program. */
static bool
has_program(const char *p, size_t n, const char *key, const char *before)
{
	size_t k = strlen(key), b = strlen(before), end;

	for (size_t i = 0; i + k < n; i++) {
		if ((i > 0 && p[i - 1] != '\n') || strncasecmp(p + i, key, k) != 0)
			continue;
		for (end = i + k; end < n && p[end] != '\n' && p[end] != '\r'; end++)
			;
		for (size_t at = i + k; at + b < end; at++) {
			size_t from = at + b, to = from;

			if (strncasecmp(p + at, before, b) != 0)
				continue;
			while (to < end && p[to] != '"' && (isalnum((unsigned char)p[to]) || p[to] == '.'))
				to++;
			if (to - from > 4 && strncasecmp(p + to - 4, ".exe", 4) == 0 && (to == end || p[to] == '"'))
				return true;
		}
	}
	return false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char *const heads[] = {
		"Content-Type: text/plain\r\n", "Content-Type: text/html\r\n", "Content-Type: text/rtf\r\n",
		"Content-Type: multipart/mixed; boundary=b\r\n", "Content-Type: text/plain; charset=utf-16\r\n",
		"Content-Type: application/sdp\r\n", "Content-Type: text/x-msmsgsinvite\r\n", "Content-Type: message/cpim\r\n"
	};
	static const char *const more[] = {
		"Content-Type: application/vnd.gsma.rcs-ft-http+xml\r\n", "Content-Type: application/ms-filetransfer+xml\r\n",
		"Content-Type: application/pdf; name=x.exe\r\n", "", "Content-Type: text/plain; charset=utf-16le\r\n",
		"Content-Type: text/html; charset=iso-8859-1\r\n", "Content-Type: multipart/alternative; boundary=b\r\n",
		"Content-Type: text/plain\r\nContent-Disposition: attachment; filename=x.txt\r\n"
	};
	static const char *const bare[] = { "with-path", "all", "none" };
	static struct policy_rules *some_rules[12];
	static const struct policy_content *some[12];
	struct policy_rules *warn_rules, *block_rules;
	const struct policy_content *warn, *block;
	struct sip_content_found found;
	enum policy_reason why;
	unsigned kind, mode;
	char *in, *out;
	size_t n;
	bool plain;
	int head;

	for (unsigned i = 0; some[11] == NULL && i < 12; i++)
		some[i] = rule(&some_rules[i], i % 2 ? "block" : "warn", bare[i / 2 % 3], i < 6 ? "filter" : "allow");
	if (len < 1 || len > 60000)
		return 0;
	kind = data[0] % 8;
	plain = data[0] < 240;		/* kinds that there were first */
	mode = data[0] / 8 % 3 * 2 + (plain ? 0 : 6);
	warn = some[mode];
	warn_rules = some_rules[mode];
	block = some[mode + 1];
	block_rules = some_rules[mode + 1];
	compare_ways(block, data + 1, len - 1);
	in = malloc(len + 1024);
	head = snprintf(in, 1024, "MESSAGE sip:b@h SIP/2.0\r\nVia: SIP/2.0/TLS h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\n"
	    "To: <sip:b@h>\r\nCall-ID: 1\r\nCSeq: 1 MESSAGE\r\n%sContent-Length: %zu\r\n\r\n", plain ? heads[kind] : more[kind], len - 1);
	memcpy(in + head, data + 1, len - 1);
	n = (size_t)head + len - 1;
	assert(sip_message_index(&msg, in, n) == SP_OK && sip_message_parse(&msg) == SIP_CHECK_OK);
	why = sip_content_filter(&msg, block, block_rules, &found);
	assert(!found.changed && msg.nedits == 0);
	assert(why != POLICY_REASON_CONTENT_LINK || found.links > 0);
	if (plain && kind == 5 && has_program(in + head, len - 1, "a=file-selector:", "name:\""))
		assert(why != POLICY_REASON_ALLOWED);
	if (plain && kind == 6 && has_program(in + head, len - 1, "Application-File:", " "))
		assert(why != POLICY_REASON_ALLOWED);
	sip_edit_clear(&msg);
	if (sip_content_filter(&msg, warn, warn_rules, &found) != POLICY_REASON_ALLOWED)
		goto out;
	/* what neither is blocked nor changed has no link, and the other way round */
	assert(found.changed == (why == POLICY_REASON_CONTENT_LINK) || !plain || kind == 3);
	out = malloc(sip_message_room(&msg) + 1);
	n = sip_message_render(&msg, out);
	assert(n > 0 && sip_message_index(&again, out, n) == SP_OK && sip_message_parse(&again) == SIP_CHECK_OK);
	if (!found.changed)
		assert(n == msg.n && memcmp(out, in, n) == 0);
	if (plain && kind < 2 && !contains(again.body.p, again.body.n, "xmlns") && !contains(again.body.p, again.body.n, "<!doctype"))
		assert(clickable(again.body.p, again.body.n) == NULL);
	/* in RTF the underscore stands in a group of its own, which is no word's part to everybody */
	if (!plain || kind != 2)
		assert(sip_content_filter(&again, block, block_rules, &found) != POLICY_REASON_CONTENT_LINK);
	free(out);
 out:
	free(in);
	return 0;
}
