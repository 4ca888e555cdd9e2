#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "sip/reply.h"
#include "tests/unit/unit.h"

static struct sip_message msg, other;
static char text[4000];
static struct strbuf sb;

static void
parse(struct sip_message *m, const char *p)
{
	ck_assert_msg(sip_message_index(m, p, strlen(p)) == SP_OK, "%s", p);
	ck_assert_int_eq(sip_message_parse(m), SIP_CHECK_OK);
	strbuf_init(&sb, text, sizeof(text));
}

static const char request[] = "INVITE sip:bob@example.com SIP/2.0\r\n"
    "Via: SIP/2.0/TLS one;branch=z9hG4bK1, SIP/2.0/TLS two;branch=z9hG4bK2\r\n"
    "Subject: x\r\n"
    "v: SIP/2.0/TLS three\r\n"
    "f: \"A\"\r\n <sip:alice@example.com>;tag=a\r\n"
    "TO: sip:bob@example.com;epid=1\r\n"
    "i: call-1\r\n"
    "CSEQ: 0007 INVITE\r\n"
    "Route: <sip:r;lr>\r\n"
    "Max-Forwards: 3\r\n"
    "ms-edge-proxy-message-trust: ms-source-type=InternetUser\r\n"
    "Content-Length: 2\r\n\r\nhi";

START_TEST(a_response_copies_what_it_must)
{
	char tag[100], again[4000];
	const char *at;

	parse(&msg, request);
	sip_reply_write(&sb, &msg, 404, "Not Here", SPAN_LIT("X-Extra: 1\r\n"), 0);
	ck_assert(strbuf_ok(&sb) && sb.len <= SIP_REPLY_ROOM(&msg));
	at = strstr(text, ";epid=1;tag=");
	ck_assert_ptr_nonnull(at);
	snprintf(tag, sizeof(tag), "%.*s", (int)strcspn(at + 12, "\r"), at + 12);
	ck_assert_uint_gt(strlen(tag), 8);
	snprintf(again, sizeof(again), "SIP/2.0 404 Not Here\r\n"
	    "Via: SIP/2.0/TLS one;branch=z9hG4bK1, SIP/2.0/TLS two;branch=z9hG4bK2\r\nv: SIP/2.0/TLS three\r\n"
	    "f: \"A\"\r\n <sip:alice@example.com>;tag=a\r\nTo: sip:bob@example.com;epid=1;tag=%s\r\ni: call-1\r\n"
	    "CSEQ: 0007 INVITE\r\nX-Extra: 1\r\nContent-Length: 0\r\n\r\n", tag);
	ck_assert_str_eq(text, again);
	parse(&other, again);
	ck_assert_int_eq(sip_check_message(&other), SIP_CHECK_OK);
	ck_assert(span_is(other.to.tag, tag));

	/* The same request gets the same tag, another one another. */
	parse(&msg, request);
	sip_reply_write(&sb, &msg, 404, "Not Here", SPAN_LIT("X-Extra: 1\r\n"), 0);
	ck_assert_str_eq(text, again);
	snprintf(again, sizeof(again), "%s", request);
	memcpy(strstr(again, "call-1"), "call-2", 6);
	parse(&msg, again);
	sip_reply_write(&sb, &msg, 404, NULL, SPAN_NONE, 0);
	ck_assert_ptr_null(strstr(text, tag));
	ck_assert_ptr_nonnull(strstr(text, "SIP/2.0 404 Not Found\r\n"));
}
END_TEST

START_TEST(tags_only_where_they_belong)
{
	char with_tag[2000];

	parse(&msg, request);
	sip_reply_write(&sb, &msg, 100, NULL, SPAN_NONE, 0);
	ck_assert_ptr_nonnull(strstr(text, "\r\nTo: sip:bob@example.com;epid=1\r\n"));
	snprintf(with_tag, sizeof(with_tag), "%s", request);
	memcpy(strstr(with_tag, ";epid=1"), ";tag=zz", 7);
	parse(&msg, with_tag);
	sip_reply_write(&sb, &msg, 481, NULL, SPAN_NONE, 0);
	ck_assert_ptr_nonnull(strstr(text, "\r\nTo: sip:bob@example.com;tag=zz\r\n"));
}
END_TEST

START_TEST(malformed_requests_get_sound_answers)
{
	static const struct {
		const char *lines, *want;
	} rows[] = {
		{ "From: <sip:a@h>;tag=1\r\nf: <sip:x@h>;tag=2\r\nTo: <sip:b@h>;tag=3\r\ni: 1\r\nCall-ID: 2\r\nCSeq: 1 INVITE\r\n",
		    "From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>;tag=3\r\ni: 1\r\nCSeq: 1 INVITE\r\n" },
		{ "From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>;tag\r\ni: 1\r\nCSeq: x\r\n",
		    "From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>;tag\r\ni: 1\r\nCSeq: x\r\n" },
		{ "From: <sip:a@h>;tag=1\r\nTo: <open\r\ni: 1\r\nCSeq: 1 INVITE\r\n",
		    "From: <sip:a@h>;tag=1\r\nTo: <open\r\ni: 1\r\nCSeq: 1 INVITE\r\n" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char req[1000], want[1000];

		snprintf(req, sizeof(req), "INVITE sip:b@h SIP/2.0\r\nVia: SIP/2.0/TLS h\r\n%sl: 0\r\n\r\n", rows[i].lines);
		snprintf(want, sizeof(want), "SIP/2.0 400 Bad\r\nVia: SIP/2.0/TLS h\r\n%sContent-Length: 0\r\n\r\n", rows[i].want);
		ck_assert_int_eq(sip_message_index(&msg, req, strlen(req)), SP_OK);
		ck_assert(sip_check_message(&msg) != SIP_CHECK_OK && sip_message_answerable(&msg));
		strbuf_init(&sb, text, sizeof(text));
		sip_reply_write(&sb, &msg, 400, "Bad", SPAN_NONE, 0);
		ck_assert_str_eq(text, want);
	}
}
END_TEST

START_TEST(our_own_vias_are_left_out)
{
	static const char *const left[] = {
		"Via: SIP/2.0/TLS one;branch=z9hG4bK1, SIP/2.0/TLS two;branch=z9hG4bK2\r\nv: SIP/2.0/TLS three\r\nf:",
		"\r\nVia: SIP/2.0/TLS two;branch=z9hG4bK2\r\nv: SIP/2.0/TLS three\r\nf:", "\r\nv: SIP/2.0/TLS three\r\nf:", "OK\r\nf:"
	};

	for (unsigned skip = 0; skip < 4; skip++) {
		parse(&msg, request);
		sip_reply_write(&sb, &msg, 200, "OK", SPAN_NONE, skip);
		ck_assert_msg(strstr(text, left[skip]) != NULL, "%u: %s", skip, text);
		ck_assert((strstr(text, " one") == NULL) == (skip > 0) && (strstr(text, "three") == NULL) == (skip > 2));
	}
}
END_TEST

START_TEST(what_does_not_fit_is_failed)
{
	for (size_t room = 1; room < 400; room += 7) {
		parse(&msg, request);
		strbuf_init(&sb, text, room);
		sip_reply_write(&sb, &msg, 200, "OK", SPAN_NONE, 0);
		ck_assert(!strbuf_ok(&sb) || sb.len < room);
	}
}
END_TEST

START_TEST(cancel_and_ack_belong_to_their_invite)
{
	static const char response[] = "SIP/2.0 486 Busy\r\nVia: SIP/2.0/TLS one;branch=z9hG4bK1\r\nFrom: <sip:alice@example.com>;tag=a\r\n"
	    "To: <sip:bob@example.com>;tag=far\r\nCall-ID: call-1\r\nCSeq: 7 INVITE\r\nContent-Length: 0\r\n\r\n";

	parse(&msg, request);
	sip_reply_write_cancel(&sb, &msg);
	ck_assert(strbuf_ok(&sb));
	ck_assert_str_eq(text, "CANCEL sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/TLS one;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n"
	    "Route: <sip:r;lr>\r\nf: \"A\"\r\n <sip:alice@example.com>;tag=a\r\ni: call-1\r\nTO: sip:bob@example.com;epid=1\r\n"
	    "ms-edge-proxy-message-trust: ms-source-type=InternetUser\r\nCSeq: 7 CANCEL\r\nContent-Length: 0\r\n\r\n");
	static char cancel[4000];
	snprintf(cancel, sizeof(cancel), "%s", text);
	parse(&other, cancel);
	ck_assert_int_eq(sip_check_message(&other), SIP_CHECK_OK);

	parse(&other, response);
	sip_reply_write_ack(&sb, &msg, &other);
	ck_assert_str_eq(text, "ACK sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/TLS one;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n"
	    "Route: <sip:r;lr>\r\nf: \"A\"\r\n <sip:alice@example.com>;tag=a\r\ni: call-1\r\nTo: <sip:bob@example.com>;tag=far\r\n"
	    "ms-edge-proxy-message-trust: ms-source-type=InternetUser\r\nCSeq: 7 ACK\r\nContent-Length: 0\r\n\r\n");
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { a_response_copies_what_it_must, tags_only_where_they_belong,
	    malformed_requests_get_sound_answers, our_own_vias_are_left_out,
	    what_does_not_fit_is_failed, cancel_and_ack_belong_to_their_invite };

	return unit_run("reply", tests, sizeof(tests) / sizeof(tests[0]));
}
