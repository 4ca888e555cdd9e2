/*
 * check_relay.c - a request goes to its next hop and is answered, whatever breaks.
 *
 * What concerns INVITE alone is in check_invite.c.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/sip/stage.h"
#include "tests/unit/unit.h"

static struct stage st;

static void
begin(unsigned listening, unsigned nhops)
{
	stage_begin(&st, NULL, listening, nhops);
}

static void
begin_with(struct sip_relay_limits limits, unsigned listening, unsigned nhops)
{
	stage_begin(&st, &limits, listening, nhops);
}

static void
end(void)
{
	ck_assert_uint_eq(sip_relay_transactions(st.relay), 0);
	stage_fini(&st);
}

/* Server i has a connection; the peer at its far end. */
static struct peer *
at_server(unsigned i)
{
	return server_peer(&st, i);
}

static const char *
in_dialog(const char *method, const char *branch)
{
	return request(method, branch, 1, "X-To-Tag: yes\r\n", "");
}

static const char *
say(struct peer *from, const char *method, const char *branch, unsigned to_server)
{
	peer_send(from, request(method, branch, 1, "", "hello"));
	return peer_next(&st, at_server(to_server));
}

#define ck_answer(peer, want)	ck_answers(&st, peer, want)

/* ---- the ordinary way ---- */

START_TEST(a_request_goes_and_its_response_comes_back)
{
	const char *got, *back;
	struct peer *user;

	begin(1, 1);
	user = user_dial(&st);
	got = say(user, "MESSAGE", "z9hG4bK1", 0);
	ck_assert_int_eq(strncmp(got, "MESSAGE sip:bob@example.com SIP/2.0\r\n", 37), 0);
	ck_assert_int_eq(strncmp(value(got, "Via"), "SIP/2.0/TLS edge.int.example.com:5061;", 38), 0);
	ck_assert_ptr_nonnull(strstr(got, "Via: SIP/2.0/TLS client.example.org:5061;branch=z9hG4bK1\r\n"));
	ck_assert_str_eq(value(got, "Max-Forwards"), "69");
	ck_assert_ptr_nonnull(strstr(got, "\r\n\r\nhello"));
	ck_assert_uint_eq(sip_relay_transactions(st.relay), 1);
	peer_send(st.server[0].last, reply(got, "200 Fine", "X-Theirs: kept\r\n"));
	back = peer_next(&st, user);
	ck_assert_int_eq(strncmp(back, "SIP/2.0 200 Fine\r\n", 18), 0);
	ck_assert_str_eq(value(back, "Via"), "SIP/2.0/TLS client.example.org:5061;branch=z9hG4bK1");
	ck_assert_ptr_null(strstr(back, "edge.int.example.com"));
	ck_assert_str_eq(value(back, "X-Theirs"), "kept");
	ck_assert_uint_eq(st.nresponses, 1);
	ck_assert_uint_eq(st.nrefused, 0);
	ck_assert_uint_eq(sip_relay_counters(st.relay)->requests_in, 1);
	ck_assert_uint_eq(sip_relay_counters(st.relay)->forwarded, 1);
	ck_assert_uint_eq(sip_relay_counters(st.relay)->responses_in, 1);
	end();
}
END_TEST

START_TEST(one_connection_serves_many)
{
	const char *first, *second;
	struct peer *a, *b;

	begin(1, 1);
	a = user_dial(&st);
	b = user_dial(&st);
	first = say(a, "MESSAGE", "z9hG4bKa", 0);
	second = say(b, "MESSAGE", "z9hG4bKb", 0);
	ck_assert_uint_eq(st.server[0].naccepted, 1);
	/* in the other order, and each to its own sender */
	peer_send(st.server[0].last, reply(second, "202 Second", ""));
	peer_send(st.server[0].last, reply(first, "200 First", ""));
	ck_answer(a, 200);
	ck_answer(b, 202);
	ck_assert(peer_quiet(&st, a));
	ck_assert(peer_quiet(&st, b));
	end();
}
END_TEST

START_TEST(an_inbound_connection_that_proves_the_name_is_used)
{
	struct peer *user, *server;

	begin(0, 1);		/* it could not be dialled */
	user = user_dial(&st);
	server = server_dial(&st, 0);
	peer_send(user, request("MESSAGE", "z9hG4bK1", 1, "", ""));
	peer_send(server, reply(peer_next(&st, server), "200 OK", ""));
	ck_answer(user, 200);
	ck_assert_uint_eq(sip_relay_counters(st.relay)->links_out, 0);
	end();
}
END_TEST

/* The end and the next request come in one batch of events: the server is called, and nothing is lost on what is no more. */
START_TEST(an_inbound_connection_that_has_just_ended_is_not_used)
{
	struct peer *user, *server;

	begin(1, 1);
	user = user_dial(&st);
	server = server_dial(&st, 0);
	peer_send(user, request("MESSAGE", "z9hG4bK1", 1, "", ""));
	peer_send(server, reply(peer_next(&st, server), "200 OK", ""));
	ck_answer(user, 200);
	ck_assert_uint_eq(sip_relay_counters(st.relay)->links_out, 0);
	net_stream_close(server->s, POLICY_REASON_ALLOWED, NULL);
	peer_send(user, request("MESSAGE", "z9hG4bK2", 2, "", ""));
	server = at_server(0);
	peer_send(server, reply(peer_next(&st, server), "200 OK", ""));
	ck_answer(user, 200);
	ck_assert_uint_eq(sip_relay_counters(st.relay)->links_out, 1);
	end();
}
END_TEST

START_TEST(the_owner_refuses_answers_or_drops)
{
	const char *back;
	struct peer *user;

	begin(0, 0);
	user = user_dial(&st);
	st.mode = REFUSE;
	peer_send(user, request("MESSAGE", "z9hG4bK1", 1, "", ""));
	back = peer_next(&st, user);
	ck_assert_uint_eq(status_of(back), 404);
	ck_assert_str_eq(value(back, "X-Extra"), "yes");
	ck_assert_ptr_nonnull(strstr(value(back, "To"), ";tag="));
	ck_assert_int_eq(st.refused, POLICY_REASON_TO_NOT_INTERNAL);
	st.mode = ANSWER;
	peer_send(user, request("REGISTER", "z9hG4bK2", 2, "", ""));
	back = peer_next(&st, user);
	ck_assert_uint_eq(status_of(back), 401);
	ck_assert_str_eq(value(back, "WWW-Authenticate"), "Digest");
	ck_assert_int_eq(st.answered, POLICY_REASON_ALLOWED);
	/* an old client tries again with the same Via */
	peer_send(user, request("REGISTER", "z9hG4bK2", 3, "", ""));
	ck_answer(user, 401);
	st.mode = DROP;
	peer_send(user, request("MESSAGE", "z9hG4bK4", 4, "", ""));
	ck_assert(peer_quiet(&st, user));
	ck_assert_int_eq(st.refused, POLICY_REASON_RATE_LIMIT);
	ck_assert_uint_eq(sip_relay_counters(st.relay)->by_reason[POLICY_REASON_RATE_LIMIT], 1);
	end();
}
END_TEST

START_TEST(what_wants_no_answer_gets_none)
{
	struct peer *user;

	begin(1, 1);
	user = user_dial(&st);
	ck_assert_ptr_nonnull(say(user, "BENOTIFY", "z9hG4bK1", 0));
	ck_assert_uint_eq(sip_relay_transactions(st.relay), 0);
	ck_assert_ptr_nonnull(say(user, "ACK", "z9hG4bK2", 0));
	/* not even a refusal */
	st.mode = REFUSE;
	peer_send(user, request("BENOTIFY", "z9hG4bK3", 3, "", ""));
	peer_send(user, request("ACK", "z9hG4bK4", 4, "", ""));
	ck_assert(peer_quiet(&st, user));
	ck_assert_uint_eq(st.nrefused, 2);
	/* nor when the next hop is gone */
	st.mode = FORWARD;
	server_close(&st, 0);
	peer_close(&st, st.server[0].last);
	peer_send(user, request("BENOTIFY", "z9hG4bK5", 5, "", ""));
	UNTIL(&st, st.nrefused == 3);
	ck_assert_int_eq(st.refused, POLICY_REASON_HOP_UNREACHABLE);
	ck_assert(peer_quiet(&st, user));
	end();
}
END_TEST

/* ---- the next hop breaks ---- */

START_TEST(no_answer_is_a_504)
{
	struct peer *user;

	begin(1, 1);
	user = user_dial(&st);
	say(user, "MESSAGE", "z9hG4bK1", 0);
	stage_pass(&st, 29000);
	ck_assert(peer_quiet(&st, user));
	stage_pass(&st, 1000);
	ck_answer(user, 504);
	ck_assert_int_eq(st.refused, POLICY_REASON_HOP_TIMEOUT);
	/* one such is the fault of somebody further on, perhaps; three, and not a word between, are not */
	ck_assert(!st.server[0].last->closed);
	say(user, "MESSAGE", "z9hG4bK2", 0);
	stage_pass(&st, 30000);
	ck_answer(user, 504);
	ck_assert(!st.server[0].last->closed);
	say(user, "MESSAGE", "z9hG4bK3", 0);
	stage_pass(&st, 30000);
	ck_answer(user, 504);
	UNTIL(&st, st.server[0].last->closed);
	ck_assert_int_eq(st.link_closed, POLICY_REASON_HOP_TIMEOUT);
	ck_assert(!sip_hop_usable(st.server[0].hop));
	end();
}
END_TEST

START_TEST(a_server_that_answers_pings_is_known_by_them)
{
	struct peer *user;

	begin(1, 1);
	user = user_dial(&st);
	say(user, "MESSAGE", "z9hG4bK1", 0);
	stage_pass(&st, 30000);
	ck_answer(user, 504);
	peer_send(st.server[0].last, "\r\n");
	/* it lives, only that request found nobody: so may many */
	for (unsigned i = 0; i < 5; i++) {
		char branch[32];

		snprintf(branch, sizeof(branch), "z9hG4bKn%u", i);
		say(user, "MESSAGE", branch, 0);
		stage_pass(&st, 30000);
		ck_answer(user, 504);
		ck_assert(!st.server[0].last->closed);
		peer_send(st.server[0].last, "\r\n");
	}
	/* and when it is silent once, it is dead */
	say(user, "MESSAGE", "z9hG4bKlast", 0);
	stage_pass(&st, 30000);
	ck_answer(user, 504);
	stage_pass(&st, 4100);
	UNTIL(&st, st.server[0].last->closed);
	ck_assert_int_eq(st.link_closed, POLICY_REASON_HOP_TIMEOUT);
	end();
}
END_TEST

START_TEST(a_slow_server_that_speaks_keeps_its_connection)
{
	const char *slow, *quick;
	struct peer *user;

	begin(1, 1);
	user = user_dial(&st);
	slow = say(user, "MESSAGE", "z9hG4bK1", 0);
	stage_pass(&st, 20000);
	quick = say(user, "OPTIONS", "z9hG4bK2", 0);
	peer_send(st.server[0].last, reply(quick, "200 OK", ""));
	ck_answer(user, 200);
	stage_pass(&st, 10000);
	ck_answer(user, 504);
	ck_assert(!st.server[0].last->closed);
	/* its answer comes too late, and goes nowhere */
	peer_send(st.server[0].last, reply(slow, "200 OK", ""));
	ck_assert(peer_quiet(&st, user));
	ck_assert_int_eq(st.refused, POLICY_REASON_STRAY_RESPONSE);
	end();
}
END_TEST

START_TEST(who_does_not_listen_is_passed_over)
{
	struct peer *user;
	const char *got;

	begin(0, 2);
	server_open(&st, 1);
	user = user_dial(&st);
	got = say(user, "MESSAGE", "z9hG4bK1", 1);
	peer_send(st.server[1].last, reply(got, "200 OK", ""));
	ck_answer(user, 200);
	ck_assert(!sip_hop_usable(st.server[0].hop));
	ck_assert(sip_hop_is_up(st.server[1].hop));
	/* it comes back, and is tried again after its pause */
	server_open(&st, 0);
	stage_pass(&st, 500);
	ck_assert(sip_hop_usable(st.server[0].hop));
	got = say(user, "MESSAGE", "z9hG4bK2", 0);
	peer_send(st.server[0].last, reply(got, "200 OK", ""));
	ck_answer(user, 200);
	end();
}
END_TEST

START_TEST(when_nobody_listens_the_sender_hears_it)
{
	struct peer *user;

	begin(0, 3);
	user = user_dial(&st);
	peer_send(user, request("MESSAGE", "z9hG4bK1", 1, "", ""));
	ck_answer(user, 504);
	ck_assert_int_eq(st.refused, POLICY_REASON_HOP_UNREACHABLE);
	/* held back by the breakers, the next is told at once */
	peer_send(user, request("MESSAGE", "z9hG4bK2", 2, "", ""));
	ck_answer(user, 504);
	ck_assert_uint_eq(sip_relay_counters(st.relay)->links_out, 3);
	end();
}
END_TEST

START_TEST(the_certificate_must_prove_the_name)
{
	struct peer *user;

	begin(1, 1);
	server_impostor(&st, 0);
	user = user_dial(&st);
	peer_send(user, request("MESSAGE", "z9hG4bK1", 1, "", ""));
	ck_answer(user, 504);
	ck_assert_int_eq(st.refused, POLICY_REASON_HOP_CERTIFICATE);
	ck_assert_uint_eq(st.server[0].last->n, 0);
	end();
}
END_TEST

START_TEST(who_does_not_finish_a_handshake_is_passed_over)
{
	struct peer *user;
	struct net_addr at;
	int fd;

	begin(0, 1);
	/* a server that accepts and says nothing: connect() succeeds by the backlog alone */
	at = st.server[0].at;
	ck_assert_int_eq(net_door_bind(&at, 1, &fd), 0);
	user = user_dial(&st);
	peer_send(user, request("MESSAGE", "z9hG4bK1", 1, "", ""));
	stage_settle(&st);
	stage_pass(&st, 5000);
	ck_assert(peer_quiet(&st, user));
	stage_pass(&st, 1000);
	ck_answer(user, 504);
	ck_assert_int_eq(st.refused, POLICY_REASON_HOP_UNREACHABLE);
	close(fd);
	end();
}
END_TEST

START_TEST(lost_before_an_answer_it_goes_to_the_next)
{
	const char *got;
	struct peer *user;

	begin(2, 2);
	user = user_dial(&st);
	say(user, "MESSAGE", "z9hG4bK1", 0);
	peer_close(&st, st.server[0].last);
	got = peer_next(&st, at_server(1));
	ck_assert_ptr_nonnull(strstr(got, "\r\n\r\nhello"));
	peer_send(st.server[1].last, reply(got, "200 OK", ""));
	ck_answer(user, 200);
	ck_assert(peer_quiet(&st, user));
	end();
}
END_TEST

START_TEST(lost_by_the_last_it_is_a_502)
{
	const char *got;
	struct peer *user;

	begin(1, 1);
	user = user_dial(&st);
	say(user, "MESSAGE", "z9hG4bK1", 0);
	peer_close(&st, st.server[0].last);
	ck_answer(user, 502);
	ck_assert_int_eq(st.refused, POLICY_REASON_HOP_LOST);
	/* the connection had been good, so the next request dials at once */
	st.server[0].last = NULL;
	got = say(user, "MESSAGE", "z9hG4bK2", 0);
	peer_send(st.server[0].last, reply(got, "200 OK", ""));
	ck_answer(user, 200);
	end();
}
END_TEST

START_TEST(silence_moves_on_while_another_is_left)
{
	const char *first, *second;
	struct peer *user, *one;

	begin(2, 2);
	user = user_dial(&st);
	first = say(user, "MESSAGE", "z9hG4bK1", 0);
	one = st.server[0].last;
	/* it is alive, as another response shows */
	stage_pass(&st, 4000);
	peer_send(one, reply(request("OPTIONS", "z9hG4bKx", 9, "", ""), "200 OK", ""));
	stage_pass(&st, 4000);
	second = peer_next(&st, at_server(1));
	ck_assert_str_ne(value(first, "Via"), value(second, "Via"));
	/* the first answers after all: too late, it is told apart by its branch */
	peer_send(one, reply(first, "200 Late", ""));
	ck_assert(peer_quiet(&st, user));
	ck_assert_str_eq(st.refused_detail, "from the wrong peer");
	peer_send(st.server[1].last, reply(second, "202 Taken", ""));
	ck_answer(user, 202);
	end();
}
END_TEST

START_TEST(a_provisional_answer_ends_the_moving_on)
{
	const char *got;
	struct peer *user;

	begin(2, 2);
	user = user_dial(&st);
	got = say(user, "MESSAGE", "z9hG4bK1", 0);
	peer_send(st.server[0].last, reply(got, "183 Working", ""));
	ck_answer(user, 183);
	/* it has the time that a request has, not that of a target */
	stage_pass(&st, 25000);
	ck_assert(peer_quiet(&st, user));
	ck_assert_uint_eq(st.server[1].naccepted, 0);
	peer_send(st.server[0].last, reply(got, "200 OK", ""));
	ck_answer(user, 200);
	end();
}
END_TEST

START_TEST(a_503_goes_to_the_next_and_not_outward)
{
	const char *got;
	struct peer *user;

	begin(2, 2);
	user = user_dial(&st);
	got = say(user, "MESSAGE", "z9hG4bK1", 0);
	peer_send(st.server[0].last, reply(got, "503 Busy", ""));
	got = peer_next(&st, at_server(1));
	peer_send(st.server[1].last, reply(got, "503 Busy", ""));
	ck_answer(user, 500);
	ck_assert(peer_quiet(&st, user));
	end();
}
END_TEST

START_TEST(who_registers_is_asked_to_try_again)
{
	const char *got;
	struct peer *user;

	begin(1, 1);
	user = user_dial(&st);
	got = say(user, "REGISTER", "z9hG4bK1", 0);
	peer_send(st.server[0].last, reply(got, "503 Busy", ""));
	ck_answer(user, 504);
	end();
}
END_TEST

START_TEST(what_waits_on_a_closing_connection_is_not_forgotten)
{
	const char *got;
	struct peer *user, *server;

	begin(1, 1);
	user = user_dial(&st);
	got = say(user, "MESSAGE", "z9hG4bK1", 0);
	server = st.server[0].last;
	peer_send(server, reply(got, "200 OK", ""));
	ck_answer(user, 200);
	/* nonsense from the server: its connection is closed, and a request comes while it is not gone yet */
	peer_send(server, "SIP/2.0 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n");
	st.server[0].last = NULL;
	peer_send(user, request("MESSAGE", "z9hG4bK2", 2, "", ""));
	got = peer_next(&st, at_server(0));
	peer_send(st.server[0].last, reply(got, "200 OK", ""));
	ck_answer(user, 200);
	end();
}
END_TEST

START_TEST(a_connection_that_is_gone_has_its_own_reason)
{
	uint64_t callee;
	const char *got;
	struct peer *user, *other;

	begin(0, 0);
	user = user_dial(&st);
	other = user_dial(&st);
	callee = st.opened_link;
	st.to_link = callee;
	st.gone = POLICY_REASON_FLOW_GONE;
	peer_send(user, request("MESSAGE", "z9hG4bK1", 1, "", ""));
	got = peer_next(&st, other);
	peer_send(other, reply(got, "200 OK", ""));
	ck_answer(user, 200);
	/* it goes while a request is on it */
	peer_send(user, request("MESSAGE", "z9hG4bK2", 2, "", ""));
	peer_next(&st, other);
	ck_assert(sip_relay_link_lives(st.relay, callee));
	peer_close(&st, other);
	ck_assert(!sip_relay_link_lives(st.relay, callee));
	ck_answer(user, 430);
	/* and it was gone before */
	peer_send(user, request("MESSAGE", "z9hG4bK3", 3, "", ""));
	ck_answer(user, 430);
	ck_assert_int_eq(st.refused, POLICY_REASON_FLOW_GONE);
	end();
}
END_TEST

START_TEST(a_long_message_is_answered_when_its_body_is_gone)
{
	char body[9000];
	struct peer *user;
	const char *got;

	begin(1, 1);
	memset(body, 'x', sizeof(body) - 1);
	body[sizeof(body) - 1] = '\0';
	user = user_dial(&st);
	peer_send(user, request("MESSAGE", "z9hG4bK1", 1, "", body));
	got = peer_next(&st, at_server(0));
	ck_assert_ptr_nonnull(strstr(got, body));
	stage_pass(&st, 30000);
	got = peer_next(&st, user);
	ck_assert_uint_eq(status_of(got), 504);
	ck_assert_str_eq(value(got, "Call-ID"), "call@client.example.org");
	end();
}
END_TEST

/* The sender is a server that takes less than the one that answers: it is refused, and its ACK is for that. */
START_TEST(an_answer_that_does_not_fit_is_a_refusal)
{
	struct sip_link_limits small;
	struct peer *sender;
	char line[1200];

	begin(1, 1);
	small = st.inner.limits;
	small.frame.message = 1000;
	memset(line, 'x', sizeof(line));
	memcpy(line, "Subject: ", 9);
	memcpy(line + sizeof(line) - 3, "\r\n", 3);
	sender = server_dial(&st, 1);
	sip_link_take_limits(sip_relay_link(st.relay, st.opened_link), &small);
	peer_send(sender, request("INVITE", "z9hG4bK1", 1, "", ""));
	ck_answer(sender, 100);
	peer_send(st.server[0].last, reply(peer_next(&st, at_server(0)), "200 OK", line));
	ck_answer(sender, 513);
	ck_assert_int_eq(st.refused, POLICY_REASON_TOO_LARGE);
	peer_send(sender, request("ACK", "z9hG4bK1", 1, "", ""));
	ck_assert(peer_quiet(&st, st.server[0].last));
	ck_assert(peer_quiet(&st, sender));
	ck_assert_uint_eq(sip_relay_transactions(st.relay), 0);
	end();
}
END_TEST

START_TEST(the_sender_goes_away)
{
	const char *got;
	struct peer *user;

	begin(1, 1);
	user = user_dial(&st);
	got = say(user, "MESSAGE", "z9hG4bK1", 0);
	peer_close(&st, user);
	peer_send(st.server[0].last, reply(got, "200 OK", ""));
	UNTIL(&st, sip_relay_transactions(st.relay) == 0);
	ck_assert_uint_eq(sip_relay_counters(st.relay)->dropped, 1);
	end();
}
END_TEST

/* ---- responses that belong to nothing ---- */

START_TEST(stray_responses_are_dropped)
{
	char other[2048];
	const char *got;
	struct peer *user, *user2;

	begin(2, 1);
	user = user_dial(&st);
	user2 = user_dial(&st);
	got = say(user, "MESSAGE", "z9hG4bK1", 0);
	/* a branch that is not ours */
	peer_send(st.server[0].last, reply(request("MESSAGE", "z9hG4bKnone", 1, "", ""), "200 OK", ""));
	UNTIL(&st, st.nrefused == 1);
	ck_assert_str_eq(st.refused_detail, "the top Via is not ours");
	/* the right branch, from somebody else */
	peer_send(user2, reply(got, "200 OK", ""));
	UNTIL(&st, st.nrefused == 2);
	ck_assert_str_eq(st.refused_detail, "from the wrong peer");
	/* from the sender itself */
	peer_send(user, reply(got, "200 OK", ""));
	UNTIL(&st, st.nrefused == 3);
	/* another number */
	snprintf(other, sizeof(other), "%s", reply(got, "200 OK", ""));
	memcpy(strstr(other, "CSeq: 1"), "CSeq: 2", 7);
	peer_send(st.server[0].last, other);
	UNTIL(&st, st.nrefused == 4);
	ck_assert_str_eq(st.refused_detail, "CSeq of another request");
	/* another worker */
	snprintf(other, sizeof(other), "%s", reply(got, "200 OK", ""));
	memcpy(strstr(other, "z9hG4bKsp00") + 9, "07", 2);
	peer_send(st.server[0].last, other);
	UNTIL(&st, st.nrefused == 5);
	/* malformed */
	peer_send(st.server[0].last, "SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n");
	UNTIL(&st, st.nrefused == 6);
	ck_assert_int_eq(st.refused, POLICY_REASON_MALFORMED);
	ck_assert(peer_quiet(&st, user));
	ck_assert(peer_quiet(&st, user2));
	ck_assert_uint_eq(sip_relay_counters(st.relay)->dropped, 6);
	/* and the right one still counts, once */
	peer_send(st.server[0].last, reply(got, "200 OK", ""));
	ck_answer(user, 200);
	peer_send(st.server[0].last, reply(got, "200 OK", ""));
	UNTIL(&st, st.nrefused == 7);
	ck_assert_str_eq(st.refused_detail, "no such request");
	ck_assert(peer_quiet(&st, user));
	end();
}
END_TEST

/* ---- requests that are refused here ---- */

START_TEST(the_relay_refuses_by_itself)
{
	char text[2048];
	const char *got;
	struct peer *user;

	begin(1, 1);
	user = user_dial(&st);
	peer_send(user, request("NEGOTIATE", "z9hG4bK1", 1, "", ""));
	got = peer_next(&st, user);
	ck_assert_uint_eq(status_of(got), 405);
	ck_assert_str_ne(value(got, "Allow"), "");
	snprintf(text, sizeof(text), "%s", request("MESSAGE", "z9hG4bK2", 2, "", ""));
	memcpy(strstr(text, "Max-Forwards: 70"), "Max-Forwards: 0 ", 16);
	peer_send(user, text);
	ck_answer(user, 483);
	/* an ACK goes no further either, and nobody is told (RFC 3261 16.3, 3) */
	snprintf(text, sizeof(text), "%s", request("ACK", "z9hG4bK2a", 2, "", ""));
	memcpy(strstr(text, "Max-Forwards: 70"), "Max-Forwards: 0 ", 16);
	peer_send(user, text);
	ck_assert(peer_quiet(&st, user));
	ck_assert_int_eq(st.nrefused, 3);
	ck_assert_int_eq(st.refused, POLICY_REASON_TOO_MANY_HOPS);
	/* it comes back as it went */
	got = say(user, "MESSAGE", "z9hG4bK3", 0);
	peer_send(user, got);
	ck_answer(user, 482);
	ck_assert_int_eq(st.refused, POLICY_REASON_LOOP);
	peer_send(st.server[0].last, reply(got, "200 OK", ""));
	ck_answer(user, 200);
	/* malformed, but it can be answered */
	snprintf(text, sizeof(text), "%s", request("MESSAGE", "z9hG4bK4", 4, "", ""));
	memcpy(strstr(text, "CSeq: 4 MESSAGE"), "CSeq: 4 OPTIONS", 15);
	peer_send(user, text);
	ck_answer(user, 400);
	ck_assert_int_eq(st.refused, POLICY_REASON_MALFORMED);
	ck_assert_uint_eq(st.nrequests, 1);
	end();
}
END_TEST

START_TEST(a_copy_of_a_request_in_progress_is_dropped)
{
	const char *got;
	struct peer *user;

	begin(1, 1);
	user = user_dial(&st);
	got = say(user, "MESSAGE", "z9hG4bK1", 0);
	peer_send(user, request("MESSAGE", "z9hG4bK1", 1, "", "hello"));
	UNTIL(&st, st.nrefused == 1);
	ck_assert_int_eq(st.refused, POLICY_REASON_MERGED);
	peer_send(st.server[0].last, reply(got, "200 OK", ""));
	ck_answer(user, 200);
	ck_assert(peer_quiet(&st, user));
	ck_assert(peer_quiet(&st, st.server[0].last));
	end();
}
END_TEST

START_TEST(a_broken_frame_ends_the_connection)
{
	struct peer *user;

	begin(0, 0);
	user = user_dial(&st);
	peer_send(user, "MESSAGE sip:bob@example.com SIP/2.0\r\nVia: a\rb\r\n\r\n");
	UNTIL(&st, user->closed && st.nclosed == 1);
	ck_assert_int_eq(st.link_closed, POLICY_REASON_MALFORMED);
	ck_assert_uint_eq(sip_relay_links(st.relay), 0);
	end();
}
END_TEST

/* ---- limits ---- */

START_TEST(connections_have_a_limit)
{
	struct sip_relay_limits limits = SIP_RELAY_LIMITS_DEFAULT;
	struct peer *a, *b;

	limits.links = 1;
	begin_with(limits, 0, 0);
	a = user_dial(&st);
	ck_assert(a->opened && !a->closed);
	b = user_dial(&st);
	UNTIL(&st, b->closed);
	ck_assert_uint_eq(sip_relay_counters(st.relay)->by_reason[POLICY_REASON_CONNECTION_LIMIT], 1);
	ck_assert_uint_eq(sip_relay_links(st.relay), 1);
	end();
}
END_TEST

START_TEST(requests_in_flight_have_a_limit)
{
	struct sip_relay_limits limits = SIP_RELAY_LIMITS_DEFAULT;
	const char *first, *got;
	struct peer *user;

	limits.transactions = 2;
	begin_with(limits, 1, 1);
	user = user_dial(&st);
	first = say(user, "MESSAGE", "z9hG4bK1", 0);
	say(user, "MESSAGE", "z9hG4bK2", 0);
	peer_send(user, request("MESSAGE", "z9hG4bK3", 3, "", ""));
	got = peer_next(&st, user);
	ck_assert_uint_eq(status_of(got), 503);
	ck_assert_str_eq(value(got, "Retry-After"), "5");
	ck_assert_int_eq(st.refused, POLICY_REASON_OVERLOAD);
	peer_send(st.server[0].last, reply(first, "200 OK", ""));
	ck_answer(user, 200);
	say(user, "MESSAGE", "z9hG4bK4", 0);
	ck_assert_uint_eq(sip_relay_transactions(st.relay), 2);
	stage_pass(&st, 30000);
	ck_answer(user, 504);
	ck_answer(user, 504);
	end();
}
END_TEST

/* One connection does not take what is everybody's. */
START_TEST(requests_in_flight_of_one_connection_have_a_limit)
{
	struct peer *user, *other;
	const char *first, *second;

	begin(1, 1);
	st.outer.limits.requests = 2;
	user = user_dial(&st);
	other = user_dial(&st);
	first = say(user, "MESSAGE", "z9hG4bK1", 0);
	second = say(user, "INVITE", "z9hG4bK2", 0);
	ck_answer(user, 100);
	peer_send(user, request("MESSAGE", "z9hG4bK3", 3, "", ""));
	ck_answer(user, 503);
	ck_assert_int_eq(st.refused, POLICY_REASON_IN_FLIGHT_LIMIT);
	say(other, "MESSAGE", "z9hG4bK4", 0);
	/* an answer makes room; an INVITE that was refused and waits for its ACK takes none */
	peer_send(st.server[0].last, reply(first, "200 OK", ""));
	ck_answer(user, 200);
	peer_send(st.server[0].last, reply(second, "486 Busy Here", ""));
	ck_answer(user, 486);
	ck_assert_str_eq(value(peer_next(&st, st.server[0].last), "CSeq"), "1 ACK");
	say(user, "MESSAGE", "z9hG4bK5", 0);
	say(user, "MESSAGE", "z9hG4bK6", 0);
	peer_send(user, request("MESSAGE", "z9hG4bK7", 7, "", ""));
	ck_answer(user, 503);
	/* what takes no answer is in flight for no time */
	peer_send(user, request("ACK", "z9hG4bK8", 8, "", ""));
	peer_next(&st, st.server[0].last);
	/* its sender may go, and its share with it */
	peer_close(&st, user);
	stage_pass(&st, 40000);
	ck_answer(other, 504);
	end();
}
END_TEST

START_TEST(the_last_places_are_for_what_goes_on_already)
{
	struct sip_relay_limits limits = SIP_RELAY_LIMITS_DEFAULT;
	struct peer *user, *late;
	char branch[24];

	limits.transactions = 32;
	begin_with(limits, 1, 1);
	user = user_dial(&st);
	for (unsigned i = 0; i < 27; i++) {
		snprintf(branch, sizeof(branch), "z9hG4bKa%u", i);
		say(user, "MESSAGE", branch, 0);
	}
	/* 27 of 28: another connection comes in */
	late = user_dial(&st);
	ck_assert(!late->closed);
	say(user, "MESSAGE", "z9hG4bKb", 0);
	late = user_dial(&st);
	UNTIL(&st, late->closed);
	ck_assert_uint_eq(sip_relay_counters(st.relay)->by_reason[POLICY_REASON_OVERLOAD], 1);
	/* 28 and 29 of 30 */
	say(user, "MESSAGE", "z9hG4bKc", 0);
	say(user, "MESSAGE", "z9hG4bKd", 0);
	peer_send(user, request("MESSAGE", "z9hG4bKe", 1, "", ""));
	ck_answer(user, 503);
	ck_assert_int_eq(st.refused, POLICY_REASON_OVERLOAD);
	/* 30 and 31 of 32, in a dialog */
	peer_send(user, in_dialog("MESSAGE", "z9hG4bKf"));
	peer_next(&st, st.server[0].last);
	peer_send(user, in_dialog("MESSAGE", "z9hG4bKg"));
	peer_next(&st, st.server[0].last);
	peer_send(user, in_dialog("MESSAGE", "z9hG4bKh"));
	ck_answer(user, 503);
	ck_assert_uint_eq(sip_relay_transactions(st.relay), 32);
	/* our own servers come in all the same */
	ck_assert(!server_dial(&st, 0)->closed);
	stage_pass(&st, 30000);
	for (unsigned i = 0; i < 32; i++)
		ck_answer(user, 504);
	end();
}
END_TEST

START_TEST(requests_a_second_have_a_limit)
{
	struct peer *user, *other;
	char branch[24];
	const char *got;

	begin(0, 0);
	st.mode = ANSWER;
	st.outer.limits.rate = (struct net_rate){ 2, 4000 };	/* eight at once, of which one is for dialogs */
	user = user_dial(&st);
	other = user_dial(&st);
	for (unsigned i = 0; i < 7; i++) {
		snprintf(branch, sizeof(branch), "z9hG4bKa%u", i);
		peer_send(user, request("MESSAGE", branch, 1, "", ""));
		ck_answer(user, 401);
	}
	peer_send(user, request("MESSAGE", "z9hG4bKb", 1, "", ""));
	got = peer_next(&st, user);
	ck_assert_uint_eq(status_of(got), 503);
	ck_assert_str_eq(value(got, "Retry-After"), "1");
	ck_assert_int_eq(st.refused, POLICY_REASON_RATE_LIMIT);
	peer_send(user, in_dialog("INFO", "z9hG4bKc"));
	ck_answer(user, 401);
	peer_send(user, in_dialog("INFO", "z9hG4bKd"));
	ck_answer(user, 503);
	/* what is malformed as well is not answered any more; somebody else is */
	peer_send(user, request("MESSAGE", "z9hG4bKe", 1, "Max-Forwards: x\r\n", ""));
	ck_assert(peer_quiet(&st, user));
	peer_send(other, request("MESSAGE", "z9hG4bKf", 1, "", ""));
	ck_answer(other, 401);
	/* who was told to wait a second is served after it */
	stage_pass(&st, 1001);
	peer_send(user, request("MESSAGE", "z9hG4bKg", 1, "", ""));
	ck_answer(user, 401);
	peer_send(user, request("MESSAGE", "z9hG4bKh", 1, "", ""));
	ck_answer(user, 503);
	end();
}
END_TEST

/* Heads of requests that are too long cost the sender as others do, though their bodies are never read. */
START_TEST(what_is_too_long_is_counted_against_the_rate)
{
	struct peer *user;
	char branch[24], body[3001];

	begin(0, 0);
	st.outer.limits.request = st.outer.limits.frame;
	st.outer.limits.request.message = 3000;
	st.outer.limits.rate = (struct net_rate){ 2, 4000 };
	memset(body, 'x', sizeof(body) - 1);
	body[sizeof(body) - 1] = '\0';
	user = user_dial(&st);
	for (unsigned i = 0; i < 9; i++) {
		const char *text;

		snprintf(branch, sizeof(branch), "z9hG4bKa%u", i);
		text = request("MESSAGE", branch, 1, "", body);
		/* the head comes alone, so that it is judged before there is a body */
		net_stream_write(user->s, text, strlen(text) - strlen(body));
		if (i < 7)
			ck_answer(user, 513);
		else
			ck_assert(peer_quiet(&st, user));
		ck_assert_int_eq(st.refused, i < 7 ? POLICY_REASON_TOO_LARGE : POLICY_REASON_RATE_LIMIT);
		peer_send(user, body);
	}
	ck_assert_uint_eq(sip_relay_counters(st.relay)->requests_in, 9);
	end();
}
END_TEST

START_TEST(a_hop_s_queue_has_a_limit)
{
	struct sip_relay_limits limits = SIP_RELAY_LIMITS_DEFAULT;
	struct peer *user;

	limits.hop_queue = 2;
	begin_with(limits, 1, 1);
	user = user_dial(&st);
	/* all in one batch, before the connection is up */
	peer_send(user, request("MESSAGE", "z9hG4bK1", 1, "", ""));
	peer_send(user, request("MESSAGE", "z9hG4bK2", 2, "", ""));
	peer_send(user, request("MESSAGE", "z9hG4bK3", 3, "", ""));
	ck_answer(user, 503);
	ck_assert_int_eq(st.refused, POLICY_REASON_HOP_BUSY);
	for (int i = 0; i < 2; i++) {
		peer_next(&st, at_server(0));
		ck_assert_uint_eq(sip_relay_transactions(st.relay), 2);
	}
	stage_pass(&st, 30000);
	ck_answer(user, 504);
	ck_answer(user, 504);
	end();
}
END_TEST

/* ---- held, drained, given up ---- */

static void
take_up(struct sip_relay *r, struct sip_link *from, struct sip_message *m, void *arg)
{
	int *n = arg;

	++*n;
	sip_relay_refuse(r, from, m, POLICY_REASON_UNKNOWN_USER, NULL, SPAN_NONE, NULL);
}

START_TEST(a_held_request_is_taken_up_again)
{
	struct peer *user;
	int n = 0;

	begin(0, 0);
	user = user_dial(&st);
	st.mode = HOLD;
	peer_send(user, request("MESSAGE", "z9hG4bK1", 1, "", "hello"));
	UNTIL(&st, st.held != NULL);
	ck_assert(peer_quiet(&st, user));
	sip_relay_resume(st.relay, st.held, take_up, &n);
	st.held = NULL;
	ck_assert_int_eq(n, 1);
	ck_answer(user, 404);
	/* its sender is gone: it is forgotten */
	peer_send(user, request("MESSAGE", "z9hG4bK2", 2, "", "hello"));
	UNTIL(&st, st.held != NULL);
	peer_close(&st, user);
	sip_relay_resume(st.relay, st.held, take_up, &n);
	st.held = NULL;
	ck_assert_int_eq(n, 1);
	end();
}
END_TEST

START_TEST(draining_lets_dialogs_go_on)
{
	const char *got;
	struct peer *user;

	begin(1, 1);
	user = user_dial(&st);
	got = say(user, "MESSAGE", "z9hG4bK1", 0);
	sip_relay_drain(st.relay);
	peer_send(user, request("MESSAGE", "z9hG4bK2", 2, "", ""));
	ck_answer(user, 503);
	ck_assert_int_eq(st.refused, POLICY_REASON_DRAINING);
	/* what is in progress, and what belongs to a dialog, goes on */
	peer_send(st.server[0].last, reply(got, "200 OK", ""));
	ck_answer(user, 200);
	peer_send(user, request("BYE", "z9hG4bK3", 3, "X-To-Tag: yes\r\n", ""));
	got = peer_next(&st, st.server[0].last);
	peer_send(st.server[0].last, reply(got, "200 OK", ""));
	ck_answer(user, 200);
	end();
}
END_TEST

START_TEST(the_relay_can_be_freed_with_all_in_flight)
{
	struct peer *user;

	begin(1, 2);
	user = user_dial(&st);
	say(user, "MESSAGE", "z9hG4bK1", 0);
	say(user, "INVITE", "z9hG4bK2", 0);
	peer_send(user, "MESSAGE sip:half SIP/2.0\r\nVia: ");
	stage_settle(&st);
	/* one that waits for its hop */
	st.server[0].hop = st.server[1].hop;
	st.nhops = 1;
	peer_send(user_dial(&st), request("MESSAGE", "z9hG4bK3", 3, "", ""));
	stage_turn(&st, 10);
	ck_assert_uint_ge(sip_relay_transactions(st.relay), 2);
	stage_fini(&st);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { a_request_goes_and_its_response_comes_back, one_connection_serves_many,
		an_inbound_connection_that_proves_the_name_is_used, an_inbound_connection_that_has_just_ended_is_not_used,
		the_owner_refuses_answers_or_drops,
		what_wants_no_answer_gets_none, no_answer_is_a_504, a_server_that_answers_pings_is_known_by_them, a_slow_server_that_speaks_keeps_its_connection,
		who_does_not_listen_is_passed_over, when_nobody_listens_the_sender_hears_it,
		the_certificate_must_prove_the_name, who_does_not_finish_a_handshake_is_passed_over,
		lost_before_an_answer_it_goes_to_the_next, lost_by_the_last_it_is_a_502,
		silence_moves_on_while_another_is_left, a_provisional_answer_ends_the_moving_on,
		a_503_goes_to_the_next_and_not_outward, who_registers_is_asked_to_try_again,
		what_waits_on_a_closing_connection_is_not_forgotten,
		a_connection_that_is_gone_has_its_own_reason, a_long_message_is_answered_when_its_body_is_gone,
		an_answer_that_does_not_fit_is_a_refusal,
		the_sender_goes_away, stray_responses_are_dropped, the_relay_refuses_by_itself,
		a_copy_of_a_request_in_progress_is_dropped, a_broken_frame_ends_the_connection, connections_have_a_limit,
		requests_in_flight_have_a_limit, requests_in_flight_of_one_connection_have_a_limit,
		the_last_places_are_for_what_goes_on_already, requests_a_second_have_a_limit, what_is_too_long_is_counted_against_the_rate,
		a_hop_s_queue_has_a_limit, a_held_request_is_taken_up_again,
		draining_lets_dialogs_go_on, the_relay_can_be_freed_with_all_in_flight };

	return unit_run("relay", tests, sizeof(tests) / sizeof(tests[0]));
}
