/*
 * The load generator believes what it counts only if it knows its own requests
 * again in the answers, and frames both.
 */
#include "tests/bench/request.h"
#include "tests/bench/wire.h"

#include "tests/unit/unit.h"

static struct request request;

static const char *const methods[] = { "MESSAGE", "REGISTER", "INVITE", "OPTIONS" };

/* Each text is one whole message as it says itself, and no byte of the next. */
START_TEST(texts_are_whole)
{
	size_t skip, head;

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		ck_assert_int_eq(request_prepare(&request, methods[i], "example.com", 300), 0);
		ck_assert_int_eq(sip_frame(request.text, request.len, &skip, &head), (long)request.len);
		ck_assert_uint_eq(skip, 0);
		ck_assert_ptr_null(memchr(request.text, '%', head));
		for (size_t cut = 0; cut < request.len; cut++)
			ck_assert_int_eq(sip_frame(request.text, cut, &skip, &head), 0);
	}
	ck_assert_int_eq(request_prepare(&request, "BYE", "example.com", 0), -1);
	ck_assert_int_eq(request_prepare(&request, "MESSAGE", "example.com", REQUEST_MAX), -1);
}
END_TEST

START_TEST(frames_what_comes)
{
	static const char two[] = "\r\n\r\nBYE sip:a SIP/2.0\r\nl: 2\r\n\r\nxyOPTIONS";
	static const char none[] = "BYE sip:a SIP/2.0\r\nFrom: a\r\n\r\n";
	size_t skip, head;

	ck_assert_int_eq(sip_frame(two, sizeof(two) - 1, &skip, &head), (long)strlen("BYE sip:a SIP/2.0\r\nl: 2\r\n\r\nxy"));
	ck_assert_uint_eq(skip, 4);
	ck_assert_uint_eq(head, strlen("BYE sip:a SIP/2.0\r\nl: 2\r\n\r\n"));
	ck_assert_int_eq(sip_frame(none, sizeof(none) - 1, &skip, &head), -1);
	ck_assert_int_eq(sip_frame("", 0, &skip, &head), 0);
}
END_TEST

/* An answer that repeats the Call-ID names the transaction. */
START_TEST(knows_its_own_again)
{
	struct request_id id = { 0xdeadbeef, 0x3e7, 0x01020304 }, back;
	char answer[sizeof(request.text) + 64];
	const char *call_id;
	int n;

	ck_assert_int_eq(request_prepare(&request, "MESSAGE", "example.com", 0), 0);
	request_stamp(&request, &id);
	call_id = strstr(request.text, "Call-ID: ");
	ck_assert_ptr_nonnull(call_id);
	n = snprintf(answer, sizeof(answer), "SIP/2.0 202 Accepted\r\n%.29s\r\n\r\n", call_id);
	ck_assert_int_eq(request_answered(answer, (size_t)n, &back), 202);
	ck_assert_uint_eq(back.user, id.user);
	ck_assert_uint_eq(back.slot, id.slot);
	ck_assert_uint_eq(back.turn, id.turn);
	ck_assert_int_eq(request_answered(request.text, request.len, &back), 0);
	n = snprintf(answer, sizeof(answer), "SIP/2.0 200 OK\r\nCall-ID: somebody-else's-own-text\r\n\r\n");
	ck_assert_int_eq(request_answered(answer, (size_t)n, &back), -1);
}
END_TEST

/* ACK and BYE go along the recorded route, nearest first, to the Contact. */
START_TEST(follows_the_route)
{
	static const char answer[] = "SIP/2.0 200 OK\r\n"
	    "Record-Route: <sip:far;lr>,<sip:middle;lr>\r\nRecord-Route: <sip:near;lr>\r\n"
	    "From: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>;tag=2\r\n"
	    "Call-ID: x\r\nCSeq: 7 INVITE\r\nContact: \"B\" <sip:b@192.0.2.1>\r\n\r\n";
	struct request_id id = { 1, 2, 3 };
	char out[2048], *end;
	const char *bye;

	ck_assert(request_was_invite(answer, sizeof(answer) - 1));
	end = request_follow(answer, sizeof(answer) - 1, &id, out, sizeof(out) - 1);
	ck_assert_ptr_nonnull(end);
	*end = '\0';
	ck_assert_int_eq(strncmp(out, "ACK sip:b@192.0.2.1 SIP/2.0\r\n", 29), 0);
	ck_assert_ptr_nonnull(strstr(out, "Route: <sip:near;lr>\r\nRoute: <sip:middle;lr>\r\nRoute: <sip:far;lr>\r\n"));
	ck_assert_ptr_nonnull(strstr(out, "CSeq: 7 ACK\r\n"));
	bye = strstr(out, "BYE sip:b@192.0.2.1 SIP/2.0\r\n");
	ck_assert_ptr_nonnull(bye);
	ck_assert_ptr_nonnull(strstr(bye, "CSeq: 8 BYE\r\n"));
	for (size_t room = 0; room < (size_t)(end - out); room++)
		ck_assert_ptr_null(request_follow(answer, sizeof(answer) - 1, &id, out, room));
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { texts_are_whole, frames_what_comes, knows_its_own_again, follows_the_route };

	return unit_run("bench request", tests, sizeof(tests) / sizeof(tests[0]));
}
