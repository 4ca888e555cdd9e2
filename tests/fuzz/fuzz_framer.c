/*
 * tests/fuzz/fuzz_framer.c - a stream of bytes, cut anywhere, gives the same
 * messages, pings and errors; and what is called a message is one for a
 * reader that knows nothing of ours: lines up to the first blank one, a body as long as it says.
 */
#include <assert.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "sip/framer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct sip_message msg;

/* The plainest reader that there can be. */
static void
assert_plain(const char *p, size_t n)
{
	size_t at = 0, lines = 0, lengths = 0;
	unsigned long length = 0;

	for (;;) {
		size_t end = at;

		while (p[end] != '\r') {
			unsigned char c = (unsigned char)p[end];

			assert(c == '\t' || (c >= 0x20 && c != 0x7f));
			end++;
			assert(end < n);
		}
		assert(end + 1 < n && p[end + 1] == '\n');
		if (end == at)
			break;
		if (lines > 0 && p[at] != ' ' && p[at] != '\t') {
			const char *colon = memchr(p + at, ':', end - at);
			size_t name = colon != NULL ? (size_t)(colon - (p + at)) : 0;

			assert(colon != NULL);
			while (name > 0 && (p[at + name - 1] == ' ' || p[at + name - 1] == '\t'))
				name--;
			assert(name > 0);
			if ((name == 1 && strncasecmp(p + at, "l", 1) == 0) ||
			    (name == 14 && strncasecmp(p + at, "content-length", 14) == 0)) {
				lengths++;
				length = strtoul(colon + 1, NULL, 0);
			}
		}
		lines++;
		at = end + 2;
	}
	assert(lengths == 1 && length == n - at - 2);
	assert(msg.head_n == at + 2);
}

static void
assert_index(const char *p, size_t n)
{
	size_t at = msg.start_line.n + 2;

	assert(msg.bytes == p && msg.n == n && msg.nheaders <= SIP_HEADERS_MAX);
	for (unsigned i = 0; i < msg.nheaders; i++) {
		const struct sip_header *h = &msg.headers[i];

		assert(h->line == at && h->value >= h->line + h->name_n && h->value + h->value_n <= h->line + h->line_n);
		assert(h->id == sip_header_id_of(sip_header_name(&msg, (int)i)));
		at += h->line_n;
	}
	assert(at + 2 == msg.head_n);
	for (int id = 0; id < SIP_NHEADER_IDS; id++)
		assert(msg.first[id] < 0 || msg.headers[msg.first[id]].id == id);
	assert(msg.body.p == p + msg.head_n && msg.body.n == n - msg.head_n);
}

#define MIX(h, v)	((h) * 31 + (uint64_t)(v))

/* A number that stands for all that the stream gave. */
static uint64_t
run(const char *p, size_t n, const uint8_t *cuts, size_t ncuts, const struct sip_frame_limits *lim)
{
	struct sip_framer f;
	uint64_t log = 7;
	size_t start = 0, have = 0;

	sip_framer_init(&f);
	for (size_t c = 0; c <= ncuts; c++) {
		have = c < ncuts ? have + cuts[c] : n;
		have = have < n ? have : n;
		for (;;) {
			size_t used;
			enum sip_frame got = sip_framer_next(&f, lim, p + start, have - start, &used, &msg);

			if (got == SIP_FRAME_MORE) {
				assert(used == 0 && have - start <= lim->message);
				break;
			}
			if (got == SIP_FRAME_BAD) {
				assert(f.error != SIP_CHECK_OK);
				return MIX(MIX(log, f.error), msg.nheaders);
			}
			assert(used > 0 && used <= have - start);
			if (got == SIP_FRAME_MESSAGE) {
				assert_index(p + start, used);
				assert_plain(p + start, used);
				log = MIX(MIX(log, used), msg.nheaders);
				for (unsigned i = 0; i < msg.nheaders; i++)
					log = MIX(MIX(log, msg.headers[i].value), msg.headers[i].value_n);
			} else if (f.ping)
				log = MIX(log, 3);
			start += used;
		}
	}
	return MIX(log, start);
}

/* What is looked at before a message is sent is what the far end would say of it, whoever counts the headers. */
static void
assert_fits(const char *p, size_t n, struct sip_frame_limits lim)
{
	static struct sip_message scratch;
	struct sip_framer f;
	size_t used;
	bool whole;

	/* what is sent has been read: its addresses are as they were */
	if (sip_message_index(&scratch, p, n) != SP_OK)
		return;
	unsigned headers = scratch.nheaders;

	lim.tag = UINT32_MAX;
	sip_framer_init(&f);
	whole = sip_framer_next(&f, &lim, p, n, &used, &msg) == SIP_FRAME_MESSAGE && used == n;
	assert((sip_frame_fits(&lim, p, n, headers, &scratch) == SIP_CHECK_OK) == whole);
	assert((sip_frame_fits(&lim, p, n, UINT_MAX, &scratch) == SIP_CHECK_OK) == whole);
	lim = sip_frame_limits_of_servers(lim);
	assert(!whole || sip_frame_fits(&lim, p, n, headers, &scratch) == SIP_CHECK_OK);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct sip_frame_limits roomy = SIP_FRAME_LIMITS_DEFAULT, tight = { 40, 60, 6, 200, 260, 90, 0 };
	const struct sip_frame_limits *lim;
	size_t ncuts;
	uint64_t whole;

	/* First byte: limits and how many cuts; then the cuts. */
	if (len < 1)
		return 0;
	lim = (data[0] & 0x80) != 0 ? &tight : &roomy;
	ncuts = data[0] & 0x1f;
	if (len < 1 + ncuts)
		return 0;
	const char *p = (const char *)data + 1 + ncuts;
	size_t n = len - 1 - ncuts;

	assert_fits(p, n, *lim);
	whole = run(p, n, NULL, 0, lim);
	assert(run(p, n, data + 1, ncuts, lim) == whole);
	if (n <= 300) {
		static const uint8_t ones[300] = { [0 ... 299] = 1 };

		assert(run(p, n, ones, n, lim) == whole);
	}
	return 0;
}
