/*
 * tests/fuzz/fuzz_reply.c - our own answers to requests, malformed ones above all. Whatever
 * the request holds, what answers it is one message for the framer, with the status
 * that we meant, no body, no header that an answer does not repeat, and what it repeats
 * stands in the request. So it is for the CANCEL and ACK of a request that we sent on.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "sip/check.h"
#include "sip/framer.h"
#include "sip/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const struct sip_frame_limits limits = SIP_FRAME_LIMITS_DEFAULT;
static struct sip_message request, answer;
static char text[300000];

/* One message for a reader of streams, and the checks of form find no more wrong with it than with the request. */
static void
is_one(struct strbuf *sb, enum sip_check was)
{
	/* a To that just fits has our tag behind it now */
	const struct sip_frame_limits next = sip_frame_limits_of_servers(limits);
	struct span s = strbuf_span_of(sb);
	struct sip_framer f;
	size_t used;

	assert(strbuf_ok(sb));
	sip_framer_init(&f);
	assert(sip_framer_next(&f, &next, s.p, s.n, &used, &answer) == SIP_FRAME_MESSAGE);
	assert(used == s.n && answer.body.n == 0);
	if (was == SIP_CHECK_OK)
		assert(sip_check_message(&answer) == SIP_CHECK_OK);
}

/* Each line of it is one of the request's, but for those that are ours. */
static void
is_repeated(void)
{
	for (unsigned i = 0; i < answer.nheaders; i++) {
		const struct sip_header *h = &answer.headers[i];
		struct span value = sip_header_value(&answer, (int)i);
		bool found = false;

		switch (h->id) {
		case SIP_H_CONTENT_LENGTH:
		case SIP_H_TO:		/* may have a tag of ours behind it */
			continue;
		case SIP_H_VIA:
		case SIP_H_FROM:
		case SIP_H_CALL_ID:
		case SIP_H_CSEQ:
			for (unsigned j = 0; j < request.nheaders && !found; j++) {
				struct span v = sip_header_value(&request, (int)j);

				found = request.headers[j].id == h->id && v.n >= value.n &&
				    memcmp(v.p + v.n - value.n, value.p, value.n) == 0;
			}
			assert(found);
			break;
		default:
			assert(!"a header that an answer does not have");
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const unsigned statuses[] = { 100, 200, 400, 403, 481, 504 };
	enum sip_check check;
	struct sip_framer f;
	struct strbuf sb;
	size_t used;
	enum sip_frame got;

	sip_framer_init(&f);
	got = sip_framer_next(&f, &limits, (const char *)data, len, &used, &request);
	if (got != SIP_FRAME_MESSAGE && got != SIP_FRAME_BAD)
		return 0;
	if (!sip_message_answerable(&request))
		return 0;
	check = got == SIP_FRAME_MESSAGE ? sip_check_message(&request) : SIP_CHECK_START_LINE;
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		for (unsigned skip = 0; skip < 2; skip++) {
			strbuf_init(&sb, text, sizeof(text));
			sip_reply_write(&sb, &request, statuses[i], NULL, SPAN_NONE, skip);
			/* without its top Via, what is left may have none */
			is_one(&sb, skip == 0 ? check : SIP_CHECK_NO_VIA);
			assert(!answer.is_request && answer.status == statuses[i]);
			is_repeated();
		}
	if (check != SIP_CHECK_OK || span_is_empty(request.uri))
		return 0;
	strbuf_init(&sb, text, sizeof(text));
	sip_reply_write_cancel(&sb, &request);
	is_one(&sb, SIP_CHECK_OK);
	assert(answer.is_request && span_is(answer.method, "CANCEL"));
	strbuf_init(&sb, text, sizeof(text));
	sip_reply_write_ack(&sb, &request, &request);
	is_one(&sb, SIP_CHECK_OK);
	assert(answer.is_request && span_is(answer.method, "ACK"));
	return 0;
}
