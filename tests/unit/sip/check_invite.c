/*
 * check_invite.c - calls through the relay: provisional responses, ACK, CANCEL, and what comes late.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/sip/stage.h"
#include "tests/unit/unit.h"

#define B	"z9hG4bKcall"

static struct stage st;
static struct peer *user;

/* A user, and servers of which all are targets. */
static void
begin(unsigned listening, unsigned nhops)
{
	stage_begin(&st, NULL, listening, nhops);
	user = user_dial(&st);
}

static struct peer *
at_server(unsigned i)
{
	return server_peer(&st, i);
}

#define ck_answer(peer, want)	ck_answers(&st, peer, want)

/* What came begins with that. */
#define ck_begins(text, words)	ck_assert_msg(strncmp(text, words, strlen(words)) == 0, "no %s: %s", words, text)

/* An INVITE that has come to server i; the 100 is behind us. */
static const char *
call(unsigned i)
{
	const char *got;

	peer_send(user, request("INVITE", B, 1, "", "v=0"));
	got = peer_next(&st, at_server(i));
	ck_begins(got, "INVITE ");
	ck_answer(user, 100);
	return got;
}

/* The sender's ACK of a failure, which ends here. */
static void
ack_is_absorbed(void)
{
	unsigned before = st.nrequests;

	peer_send(user, request("ACK", B, 1, "", ""));
	ck_assert(peer_quiet(&st, user));
	ck_assert_uint_eq(st.nrequests, before);
	ck_assert_uint_eq(sip_relay_transactions(st.relay), 0);
}

static void
end(void)
{
	ck_assert_uint_eq(sip_relay_transactions(st.relay), 0);
	stage_fini(&st);
}

/* ---- answered ---- */

START_TEST(a_call_is_answered)
{
	const char *got;
	struct peer *server;

	begin(1, 1);
	got = call(0);
	server = st.server[0].last;
	peer_send(server, reply(got, "100 Trying", ""));
	peer_send(server, reply(got, "180 Ringing", ""));
	ck_answer(user, 180);	/* the far 100 is that hop's own */
	peer_send(server, reply(got, "200 OK", ""));
	ck_answer(user, 200);
	/* the ACK of a 2xx is a request of its own (RFC 3261 13.2.2.4) */
	peer_send(user, request("ACK", "z9hG4bKack", 1, "X-To-Tag: yes\r\n", ""));
	ck_begins(peer_next(&st, server), "ACK ");
	ck_assert_str_eq(st.last_method, "ACK");
	ck_assert(peer_quiet(&st, user));
	/* a further 2xx, as of a forked call, finds its way (RFC 6026) */
	peer_send(server, reply(got, "200 OK", "X-Fork: two\r\n"));
	ck_assert_str_eq(value(peer_next(&st, user), "X-Fork"), "two");
	/* a late failure does not */
	peer_send(server, reply(got, "486 Busy Here", ""));
	ck_begins(peer_next(&st, server), "ACK ");
	ck_assert(peer_quiet(&st, user));
	stage_pass(&st, 31000);
	ck_assert_uint_eq(sip_relay_transactions(st.relay), 1);
	stage_pass(&st, 1000);
	ck_assert_uint_eq(sip_relay_transactions(st.relay), 0);
	peer_send(server, reply(got, "200 OK", ""));
	ck_assert(peer_quiet(&st, user));
	ck_assert_int_eq(st.refused, POLICY_REASON_STRAY_RESPONSE);
	end();
}
END_TEST

START_TEST(a_failure_is_acknowledged_at_each_hop)
{
	const char *got, *ack;
	struct peer *server;

	begin(1, 1);
	got = call(0);
	server = st.server[0].last;
	peer_send(server, reply(got, "486 Busy Here", ""));
	ack = peer_next(&st, server);
	ck_begins(ack, "ACK ");
	ck_assert_str_eq(value(ack, "Via"), value(got, "Via"));
	ck_assert_str_eq(value(ack, "CSeq"), "1 ACK");
	ck_assert_ptr_nonnull(strstr(value(ack, "To"), ";tag=b1"));
	ck_assert_uint_eq(st.nmade, 1);
	ck_answer(user, 486);
	ack_is_absorbed();
	ck_assert(peer_quiet(&st, server));
	end();
}
END_TEST

START_TEST(our_own_refusal_is_acknowledged_here)
{
	begin(0, 0);
	st.mode = REFUSE;
	peer_send(user, request("INVITE", B, 1, "", ""));
	ck_answer(user, 404);
	ck_assert_uint_eq(sip_relay_transactions(st.relay), 1);
	ack_is_absorbed();
	/* and without an ACK it is forgotten after a while */
	peer_send(user, request("INVITE", B "2", 2, "", ""));
	ck_answer(user, 404);
	stage_pass(&st, 32000);
	end();
}
END_TEST

/* ---- broken ---- */

START_TEST(lost_after_it_rang_it_rings_nowhere_else)
{
	const char *got;

	begin(2, 2);
	got = call(0);
	peer_send(st.server[0].last, reply(got, "180 Ringing", ""));
	ck_answer(user, 180);
	peer_close(&st, st.server[0].last);
	ck_answer(user, 502);
	ck_assert_int_eq(st.refused, POLICY_REASON_HOP_LOST);
	ck_assert_uint_eq(st.server[1].naccepted, 0);
	ack_is_absorbed();
	end();
}
END_TEST

START_TEST(lost_before_it_rang_it_rings_elsewhere)
{
	const char *got;

	begin(2, 2);
	call(0);
	peer_close(&st, st.server[0].last);
	got = peer_next(&st, at_server(1));
	ck_begins(got, "INVITE ");
	peer_send(st.server[1].last, reply(got, "486 Busy Here", ""));
	ck_begins(peer_next(&st, st.server[1].last), "ACK ");
	ck_answer(user, 486);	/* and no second 100 */
	ack_is_absorbed();
	end();
}
END_TEST

START_TEST(no_response_at_all_is_a_504)
{
	begin(1, 1);
	call(0);
	stage_pass(&st, 29000);
	ck_assert(peer_quiet(&st, user));
	stage_pass(&st, 1000);
	ck_answer(user, 504);
	ack_is_absorbed();
	end();
}
END_TEST

START_TEST(a_busy_server_is_acknowledged_and_passed_over)
{
	const char *got;

	begin(2, 2);
	got = call(0);
	peer_send(st.server[0].last, reply(got, "503 Busy", ""));
	ck_begins(peer_next(&st, st.server[0].last), "ACK ");
	got = peer_next(&st, at_server(1));
	peer_send(st.server[1].last, reply(got, "486 Busy Here", ""));
	ck_answer(user, 486);
	ack_is_absorbed();
	end();
}
END_TEST

START_TEST(it_does_not_ring_for_ever)
{
	const char *got, *cancel;
	struct peer *server;

	begin(1, 1);
	got = call(0);
	server = st.server[0].last;
	peer_send(server, reply(got, "180 Ringing", ""));
	ck_answer(user, 180);
	stage_pass(&st, 150000);
	/* a further provisional response starts timer C again (RFC 3261 16.7) */
	peer_send(server, reply(got, "180 Ringing", ""));
	ck_answer(user, 180);
	stage_pass(&st, 199000);
	ck_assert(peer_quiet(&st, user));
	stage_pass(&st, 1000);
	ck_answer(user, 408);
	ck_assert_int_eq(st.refused, POLICY_REASON_INVITE_TIMEOUT);
	cancel = peer_next(&st, server);
	ck_begins(cancel, "CANCEL ");
	ck_assert_str_eq(value(cancel, "Via"), value(got, "Via"));
	peer_send(server, reply(cancel, "200 OK", ""));
	peer_send(server, reply(got, "487 Request Terminated", ""));
	ck_begins(peer_next(&st, server), "ACK ");
	ck_assert(peer_quiet(&st, user));
	ack_is_absorbed();
	end();
}
END_TEST

/* ---- CANCEL, in each state of the call ---- */

START_TEST(cancelled_while_it_waits)
{
	begin(1, 1);
	/* both in one batch, before the connection is up */
	peer_send(user, request("INVITE", B, 1, "", ""));
	peer_send(user, request("CANCEL", B, 1, "", ""));
	ck_answer(user, 100);
	ck_answer(user, 200);
	ck_answer(user, 487);
	ck_assert_int_eq(st.refused, POLICY_REASON_CANCELLED);
	ack_is_absorbed();
	/* it never went */
	at_server(0);
	ck_assert(peer_quiet(&st, st.server[0].last));
	end();
}
END_TEST

START_TEST(cancelled_before_it_rang)
{
	const char *got, *cancel;
	struct peer *server;

	begin(1, 1);
	got = call(0);
	server = st.server[0].last;
	peer_send(user, request("CANCEL", B, 1, "", ""));
	ck_answer(user, 200);
	/* no CANCEL before a provisional response (RFC 3261 9.1) */
	ck_assert(peer_quiet(&st, server));
	peer_send(server, reply(got, "100 Trying", ""));
	cancel = peer_next(&st, server);
	ck_begins(cancel, "CANCEL ");
	ck_assert_str_eq(value(cancel, "CSeq"), "1 CANCEL");
	ck_assert_ptr_null(strstr(cancel, "client.example.org:5061"));
	peer_send(server, reply(cancel, "200 OK", ""));
	peer_send(server, reply(got, "487 Request Terminated", ""));
	ck_begins(peer_next(&st, server), "ACK ");
	ck_answer(user, 487);
	ack_is_absorbed();
	end();
}
END_TEST

START_TEST(cancelled_while_it_rings)
{
	const char *got, *cancel;
	struct peer *server;

	begin(1, 1);
	got = call(0);
	server = st.server[0].last;
	peer_send(server, reply(got, "180 Ringing", ""));
	ck_answer(user, 180);
	peer_send(user, request("CANCEL", B, 1, "", ""));
	ck_answer(user, 200);
	cancel = peer_next(&st, server);
	ck_begins(cancel, "CANCEL ");
	/* a second one changes nothing */
	peer_send(user, request("CANCEL", B, 1, "", ""));
	ck_answer(user, 200);
	ck_assert(peer_quiet(&st, server));
	/* too late: it was answered in the same moment */
	peer_send(server, reply(got, "200 OK", ""));
	ck_answer(user, 200);
	stage_pass(&st, 32000);
	end();
}
END_TEST

START_TEST(cancelled_and_never_heard_of_again)
{
	const char *got;

	begin(1, 1);
	got = call(0);
	peer_send(st.server[0].last, reply(got, "180 Ringing", ""));
	ck_answer(user, 180);
	peer_send(user, request("CANCEL", B, 1, "", ""));
	ck_answer(user, 200);
	ck_begins(peer_next(&st, st.server[0].last), "CANCEL ");
	stage_pass(&st, 32000);
	ck_answer(user, 487);
	ack_is_absorbed();
	/* the same when there was no provisional response to wait for */
	st.server[0].last->at = st.server[0].last->n;
	peer_send(user, request("INVITE", B "2", 2, "", ""));
	ck_begins(peer_next(&st, st.server[0].last), "INVITE ");
	ck_answer(user, 100);
	peer_send(user, request("CANCEL", B "2", 2, "", ""));
	ck_answer(user, 200);
	stage_pass(&st, 30000);
	ck_answer(user, 487);
	stage_pass(&st, 32000);
	end();
}
END_TEST

START_TEST(cancelled_and_the_server_goes)
{
	begin(2, 2);
	call(0);
	peer_send(user, request("CANCEL", B, 1, "", ""));
	ck_answer(user, 200);
	peer_close(&st, st.server[0].last);
	/* not to the next one */
	ck_answer(user, 487);
	ck_assert_uint_eq(st.server[1].naccepted, 0);
	ack_is_absorbed();
	end();
}
END_TEST

START_TEST(cancelled_when_it_is_over)
{
	const char *got;

	begin(1, 1);
	got = call(0);
	peer_send(st.server[0].last, reply(got, "200 OK", ""));
	ck_answer(user, 200);
	peer_send(user, request("CANCEL", B, 1, "", ""));
	ck_answer(user, 200);
	ck_assert(peer_quiet(&st, st.server[0].last));
	/* and what never was */
	peer_send(user, request("CANCEL", "z9hG4bKother", 1, "", ""));
	ck_answer(user, 481);
	ck_assert_int_eq(st.refused, POLICY_REASON_NO_TRANSACTION);
	stage_pass(&st, 32000);
	end();
}
END_TEST

START_TEST(only_an_invite_can_be_cancelled)
{
	const char *got;

	begin(1, 1);
	peer_send(user, request("MESSAGE", B, 1, "", ""));
	got = peer_next(&st, at_server(0));
	peer_send(user, request("CANCEL", B, 1, "", ""));
	ck_answer(user, 481);
	ck_assert(peer_quiet(&st, st.server[0].last));
	peer_send(st.server[0].last, reply(got, "200 OK", ""));
	ck_answer(user, 200);
	end();
}
END_TEST

START_TEST(nobody_else_can_cancel_or_acknowledge)
{
	const char *got;
	struct peer *other;

	begin(1, 1);
	got = call(0);
	other = user_dial(&st);
	peer_send(st.server[0].last, reply(got, "180 Ringing", ""));
	ck_answer(user, 180);
	peer_send(other, request("CANCEL", B, 1, "", ""));
	ck_answer(other, 481);
	ck_assert(peer_quiet(&st, st.server[0].last));
	peer_send(st.server[0].last, reply(got, "486 Busy Here", ""));
	ck_begins(peer_next(&st, st.server[0].last), "ACK ");
	ck_answer(user, 486);
	/* another's ACK does not end it: it is passed on like any */
	peer_send(other, request("ACK", B, 1, "", ""));
	ck_begins(peer_next(&st, st.server[0].last), "ACK ");
	ck_assert_uint_eq(sip_relay_transactions(st.relay), 1);
	ack_is_absorbed();
	end();
}
END_TEST

START_TEST(cancelled_while_the_owner_holds_it)
{
	begin(0, 0);
	st.mode = HOLD;
	peer_send(user, request("INVITE", B, 1, "", ""));
	UNTIL(&st, st.held != NULL);
	peer_send(user, request("CANCEL", B, 1, "", ""));
	ck_answer(user, 200);
	ck_assert(peer_quiet(&st, user));
	sip_relay_resume(st.relay, st.held, NULL, NULL);	/* it is never handed over */
	st.held = NULL;
	ck_answer(user, 487);
	ack_is_absorbed();
	end();
}
END_TEST

/* ---- the far end is another worker's ---- */

static struct peer *callee;

static void
begin_two(void)
{
	stage_init_two(&st);
	user = user_dial(&st);
	callee = user_dial_two(&st);
	ck_assert_uint_eq(sip_link_worker_of(st.opened_link), 1);
	st.to_link = st.opened_link;
	st.gone = POLICY_REASON_FLOW_GONE;
}

START_TEST(a_message_crosses_to_another_worker)
{
	const char *got;

	begin_two();
	peer_send(user, request("MESSAGE", B, 1, "", "hello"));
	got = peer_next(&st, callee);
	ck_assert_ptr_nonnull(strstr(got, "\r\n\r\nhello"));
	peer_send(callee, reply(got, "200 OK", ""));
	ck_answer(user, 200);
	ck_assert_uint_eq(st.nrefused, 0);
	/* once is enough */
	peer_send(callee, reply(got, "200 OK", ""));
	ck_assert(peer_quiet(&st, user));
	ck_assert_int_eq(st.refused, POLICY_REASON_STRAY_RESPONSE);
	end();
}
END_TEST

START_TEST(a_call_crosses_to_another_worker)
{
	const char *got, *own;

	begin_two();
	peer_send(user, request("INVITE", B, 1, "", ""));
	got = peer_next(&st, callee);
	ck_answer(user, 100);
	peer_send(callee, reply(got, "180 Ringing", ""));
	ck_answer(user, 180);
	peer_send(user, request("CANCEL", B, 1, "", ""));
	ck_answer(user, 200);
	own = peer_next(&st, callee);
	ck_begins(own, "CANCEL ");
	ck_assert_ptr_nonnull(strstr(own, "X-Made: yes\r\n"));
	peer_send(callee, reply(got, "487 Request Terminated", ""));
	own = peer_next(&st, callee);
	ck_begins(own, "ACK ");
	ck_assert_ptr_nonnull(strstr(own, "X-Made: yes\r\n"));
	ck_answer(user, 487);
	ack_is_absorbed();
	end();
}
END_TEST

/* What the owner does not believe has not come. */
START_TEST(forged_answers_and_cancels)
{
	const char *got;
	struct peer *server;

	begin(1, 1);
	got = call(0);
	server = st.server[0].last;
	peer_send(server, reply(got, "180 Ringing", "X-Forged: yes\r\n"));
	peer_send(server, reply(got, "200 OK", "X-Forged: yes\r\n"));
	ck_assert(peer_quiet(&st, user));
	peer_send(server, reply(got, "180 Ringing", ""));
	ck_answer(user, 180);
	peer_send(user, request("CANCEL", B, 1, "X-Forged: yes\r\n", ""));
	ck_assert(peer_quiet(&st, user));
	ck_assert(peer_quiet(&st, server));
	peer_send(server, reply(got, "486 Busy Here", ""));
	ck_begins(peer_next(&st, server), "ACK ");
	ck_answer(user, 486);
	ack_is_absorbed();
	end();
}
END_TEST

START_TEST(a_connection_of_another_worker_goes)
{
	begin_two();
	peer_send(user, request("MESSAGE", B, 1, "", ""));
	peer_next(&st, callee);
	peer_close(&st, callee);
	ck_answer(user, 430);
	ck_assert_int_eq(st.refused, POLICY_REASON_FLOW_GONE);
	/* and now it is not there */
	peer_send(user, request("MESSAGE", B "2", 2, "", ""));
	ck_answer(user, 430);
	/* what wants no answer is lost with it */
	peer_send(user, request("BENOTIFY", B "3", 3, "", ""));
	ck_assert(peer_quiet(&st, user));
	/* a worker that there is not */
	st.to_link |= (uint64_t)7 << 56;
	peer_send(user, request("MESSAGE", B "4", 4, "", ""));
	ck_answer(user, 430);
	end();
}
END_TEST

START_TEST(another_worker_s_peer_is_silent)
{
	begin_two();
	peer_send(user, request("MESSAGE", B, 1, "", ""));
	peer_next(&st, callee);
	stage_pass(&st, 30000);
	ck_answer(user, 504);
	ck_assert(!callee->closed);
	end();
}
END_TEST

START_TEST(old_clients_have_no_branch)
{
	const char *got;

	begin(1, 1);
	peer_send(user, request("INVITE", "", 1, "", ""));
	got = peer_next(&st, at_server(0));
	ck_answer(user, 100);
	peer_send(st.server[0].last, reply(got, "180 Ringing", ""));
	ck_answer(user, 180);
	peer_send(user, request("CANCEL", "", 1, "", ""));
	ck_answer(user, 200);
	ck_begins(peer_next(&st, st.server[0].last), "CANCEL ");
	peer_send(st.server[0].last, reply(got, "487 Request Terminated", ""));
	ck_begins(peer_next(&st, st.server[0].last), "ACK ");
	ck_answer(user, 487);
	/* the ACK brings the To tag of the response (RFC 3261 17.2.3) */
	peer_send(user, request("ACK", "", 1, "X-To-Tag: yes\r\n", ""));
	ck_assert(peer_quiet(&st, st.server[0].last));
	ck_assert_uint_eq(sip_relay_transactions(st.relay), 0);
	end();
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { a_call_is_answered, a_failure_is_acknowledged_at_each_hop,
		our_own_refusal_is_acknowledged_here, lost_after_it_rang_it_rings_nowhere_else,
		lost_before_it_rang_it_rings_elsewhere, no_response_at_all_is_a_504,
		a_busy_server_is_acknowledged_and_passed_over, it_does_not_ring_for_ever, cancelled_while_it_waits,
		cancelled_before_it_rang, cancelled_while_it_rings, cancelled_and_never_heard_of_again,
		cancelled_and_the_server_goes, cancelled_when_it_is_over, only_an_invite_can_be_cancelled,
		nobody_else_can_cancel_or_acknowledge, cancelled_while_the_owner_holds_it,
		forged_answers_and_cancels, a_message_crosses_to_another_worker, a_call_crosses_to_another_worker,
		a_connection_of_another_worker_goes, another_worker_s_peer_is_silent, old_clients_have_no_branch };

	return unit_run("invite", tests, sizeof(tests) / sizeof(tests[0]));
}
