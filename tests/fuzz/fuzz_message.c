/*
 * tests/fuzz/fuzz_message.c - a message through strip, mark and first hop.
 *
 * Rendering without edits is the identity. What is stripped leaves every other
 * byte where it was. And whatever passes our checks: behind the strip no reader, however
 * careless, finds a mark in it that we did not write.
 */
#include <assert.h>
#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "net/addr.h"
#include "sip/framer.h"
#include "sip/mark.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct sip_message msg, again;
static char before[200000], after[200000];

/* ---- a careless reader, which shares no code with what it judges ---- */

/* Does a new line begin here for somebody? How many bytes the break has; 0: no. */
static size_t
breaks(const unsigned char *p, size_t n)
{
	if (p[0] < 0x20 && p[0] != '\t')
		return 1;
	if (n >= 2 && ((p[0] == 0xc2 && p[1] == 0x85) || p[0] == 0xc0 || p[0] == 0xc1))	/* NEL, overlong */
		return 2;
	if (n >= 3 && p[0] == 0xe2 && p[1] == 0x80 && (p[2] == 0xa8 || p[2] == 0xa9))
		return 3;
	if (n >= 3 && p[0] == 0xe0 && p[1] == 0x80)
		return 3;
	return 0;
}

static int
reads_as(const unsigned char *p, size_t n, const char *name)
{
	size_t k = 0;

	/* Looks at letters and digits only and is content with the beginning. */
	for (size_t i = 0; i < n && name[k] != '\0'; i++) {
		if (p[i] == ':' && k == 0)
			return 0;
		if (p[i] == ':')
			break;
		if (!isalnum(p[i]))
			continue;
		if (tolower(p[i]) != name[k])
			return 0;
		k++;
	}
	return name[k] == '\0';
}

static unsigned
sloppy_count(const char *head, size_t n, const char *name)
{
	const unsigned char *p = (const unsigned char *)head;
	unsigned count = 0;

	for (size_t i = 0; i < n; ) {
		size_t gap = breaks(p + i, n - i);

		if (gap == 0) {
			i++;
			continue;
		}
		i += gap;
		if (i < n && breaks(p + i, n - i) == 0 && reads_as(p + i, n - i, name))
			count++;
	}
	return count;
}

/* ---- properties ---- */

static enum sip_check
index_again(const char *p, size_t n)
{
	assert(sip_message_index(&again, p, n) == SP_OK);
	return sip_check_message(&again);
}

static void
assert_stripped(enum sip_crossing crossing)
{
	static const struct policy_decision d = { .class = POLICY_CLASS_DIRECT, .mark_inward = true };
	bool in = crossing == SIP_CROSS_USER_IN || crossing == SIP_CROSS_PEER_IN;
	size_t n, kept = 0, at;
	unsigned gone;

	sip_edit_clear(&msg);
	gone = sip_mark_strip(&msg, crossing);
	n = sip_message_render(&msg, after);
	assert(n > 0 && n <= msg.n && index_again(after, n) == SIP_CHECK_OK);
	assert(again.nheaders + gone == msg.nheaders && span_eq(again.body, msg.body));

	/* What is left are lines of the original, in order; the top Via apart on the way in. */
	at = msg.start_line.n + 2;
	assert(memcmp(after, msg.bytes, at) == 0);
	for (unsigned i = 0; i < msg.nheaders && kept < again.nheaders; i++) {
		const struct sip_header *h = &msg.headers[i];

		if (in && (int)i == msg.first[SIP_H_VIA]) {
			at += again.headers[kept++].line_n;
			continue;
		}
		if (h->line_n == again.headers[kept].line_n && memcmp(after + at, msg.bytes + h->line, h->line_n) == 0) {
			at += h->line_n;
			kept++;
		}
	}
	assert(kept == again.nheaders);

	assert(sloppy_count(after, again.head_n, "msedgeproxymessagetrust") == 0);
	assert(sloppy_count(after, again.head_n, "xsallyportrefused") == 0);
	assert(sloppy_count(after, again.head_n, "msassertedverificationlevel") == 0);
	if (crossing != SIP_CROSS_USER_OUT) {
		assert(sloppy_count(after, again.head_n, "passertedidentity") == 0);
		assert(sloppy_count(after, again.head_n, "msuserlogondata") == 0);
		assert(sloppy_count(after, again.head_n, "mssplitdomaininfo") == 0);
	}
	assert(again.first[SIP_H_MS_DIAGNOSTICS] < 0 && again.first[SIP_H_MS_KEEP_ALIVE] < 0);
	if (!in || crossing == SIP_CROSS_PEER_IN)
		assert(again.first[SIP_H_AUTHORIZATION] < 0 && again.first[SIP_H_PROXY_AUTHORIZATION] < 0);
	if (in && again.is_request)
		assert(!sip_param(again.via.params, "received", NULL) && !sip_param(again.via.params, "ms-received-cid", NULL));

	/* With ours written there is one, and it says what we said. */
	sip_mark_write_inward(&msg, &d, "ap-int.example.com", NULL);
	n = sip_message_render(&msg, after);
	if (n > 0 && sip_message_index(&again, after, n) == SP_OK) {
		struct sip_mark mark;

		assert(sip_mark_read(&again, &mark) && mark.class == POLICY_CLASS_DIRECT && !mark.verified);
		assert(sloppy_count(after, again.head_n, "msedgeproxymessagetrust") == 1);
	}
}

static void
assert_first_hop(void)
{
	struct net_addr from;
	size_t n;

	assert(net_addr_parse(&from, SPAN_LIT("198.51.100.7:2231"), 0) == SP_OK);
	sip_edit_clear(&msg);
	sip_mark_strip(&msg, SIP_CROSS_USER_IN);
	if (sip_mark_first_hop(&msg, &from, 0x1a00) != SIP_CHECK_OK)
		return;
	n = sip_message_render(&msg, after);
	if (n == 0)
		return;
	assert(index_again(after, n) == SIP_CHECK_OK);
	assert(span_eq(again.call_id, msg.call_id) && span_eq(again.from.uri_text, msg.from.uri_text));
	assert(span_eq(again.from.tag, msg.from.tag) && span_eq(again.to.uri_text, msg.to.uri_text));
	if (msg.is_request) {
		struct span v;

		assert(sip_param(again.via.params, "ms-received-cid", &v) && span_is(v, "1A00"));
		assert(span_eq(again.via.host, msg.via.host) && span_eq(again.via.branch, msg.via.branch));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct sip_frame_limits limits = SIP_FRAME_LIMITS_DEFAULT;
	struct sip_framer f;
	size_t used;

	sip_framer_init(&f);
	if (sip_framer_next(&f, &limits, (const char *)data, len, &used, &msg) != SIP_FRAME_MESSAGE)
		return 0;
	assert(sip_message_render(&msg, before) == used && memcmp(before, data, used) == 0);
	assert(sip_message_index(&again, before, used) == SP_OK && again.nheaders == msg.nheaders);
	(void)sip_message_answerable(&msg);
	(void)sip_mark_assertion(&msg);
	if (sip_check_message(&msg) != SIP_CHECK_OK)
		return 0;
	for (enum sip_crossing c = SIP_CROSS_USER_IN; c <= SIP_CROSS_PEER_OUT; c++)
		assert_stripped(c);
	assert_first_hop();

	/* Vias come off one by one, and then there are none. */
	sip_edit_clear(&msg);
	for (int i = 0; i < 80; i++)
		sip_edit_drop_first(&msg, SIP_H_VIA);
	used = sip_message_render(&msg, after);
	assert(used > 0 && sip_message_index(&again, after, used) == SP_OK && again.first[SIP_H_VIA] < 0);
	return 0;
}
