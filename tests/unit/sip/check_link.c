/*
 * check_link.c - whole messages out of whatever pieces come, deadlines for who is slow, and nobody
 * who does not read fills our memory.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/sip/stage.h"
#include "tests/unit/unit.h"

static struct stage st;

static void
begin(unsigned listening)
{
	stage_init(&st, NULL);
	st.nhops = 1;
	for (unsigned i = 0; i < listening; i++)
		server_open(&st, i);
}

static struct peer *
at_server(unsigned i)
{
	UNTIL(&st, st.server[i].last != NULL && st.server[i].last->opened);
	return st.server[i].last;
}

/* ---- pieces ---- */

START_TEST(a_message_may_come_byte_by_byte)
{
	const char *text, *got;
	struct peer *user;
	char byte[2] = "";

	begin(1);
	user = user_dial(&st);
	text = request("MESSAGE", "z9hG4bK1", 1, "", "hello");
	for (const char *p = text; *p != '\0'; p++) {
		byte[0] = *p;
		peer_send(user, byte);
		for (int i = 0; i < 3; i++)
			stage_turn(&st, 0);
		ck_assert_uint_eq(st.nrequests, p[1] == '\0');
	}
	got = peer_next(&st, at_server(0));
	ck_assert_ptr_nonnull(strstr(got, "\r\n\r\nhello"));
	stage_fini(&st);
}
END_TEST

START_TEST(several_messages_may_come_at_once)
{
	char all[8192] = "";
	struct peer *user;

	begin(1);
	user = user_dial(&st);
	for (unsigned i = 1; i <= 5; i++) {
		char branch[32];

		snprintf(branch, sizeof(branch), "z9hG4bK%u", i);
		strcat(all, request("MESSAGE", branch, i, "", "hello"));
		strcat(all, "\r\n");	/* an empty line between messages is allowed (RFC 3261 7.5) */
	}
	peer_send(user, all);
	for (unsigned i = 1; i <= 5; i++) {
		char want[32];

		snprintf(want, sizeof(want), "%u MESSAGE", i);
		ck_assert_str_eq(value(peer_next(&st, at_server(0)), "CSeq"), want);
	}
	ck_assert(peer_quiet(&st, st.server[0].last));
	stage_fini(&st);
}
END_TEST

START_TEST(a_ping_is_answered)
{
	struct peer *user;

	begin(0);
	user = user_dial(&st);
	peer_send(user, "\r\n\r\n");
	UNTIL(&st, user->n == 2);
	ck_assert_int_eq(memcmp(user->text, "\r\n", 2), 0);
	ck_assert_uint_eq(st.nrequests, 0);
	stage_fini(&st);
}
END_TEST

/* ---- deadlines ---- */

START_TEST(who_says_nothing_is_cut)
{
	struct peer *user;

	begin(0);
	st.outer.limits.first_message_ms = 30000;
	user = user_dial(&st);
	stage_pass(&st, 29000);
	ck_assert(!user->closed);
	/* a ping is no message */
	peer_send(user, "\r\n\r\n");
	stage_pass(&st, 1000);
	UNTIL(&st, st.nclosed == 1);
	ck_assert_int_eq(st.link_closed, POLICY_REASON_FIRST_MESSAGE_TIMEOUT);
	stage_fini(&st);
}
END_TEST

START_TEST(who_does_not_finish_a_message_is_cut)
{
	const char *text;
	struct peer *user;
	char part[64];

	begin(1);
	st.outer.limits.message_ms = 10000;
	user = user_dial(&st);
	text = request("MESSAGE", "z9hG4bK1", 1, "", "hello");
	snprintf(part, sizeof(part), "%.40s", text);
	peer_send(user, part);
	stage_settle(&st);
	stage_pass(&st, 5000);
	/* some more of it does not help */
	peer_send(user, "x");
	stage_settle(&st);
	stage_pass(&st, 4000);
	ck_assert(!user->closed);
	stage_pass(&st, 1000);
	UNTIL(&st, st.nclosed == 1);
	ck_assert_int_eq(st.link_closed, POLICY_REASON_MESSAGE_TIMEOUT);
	ck_assert_uint_eq(st.nrequests, 0);
	stage_fini(&st);
}
END_TEST

START_TEST(each_message_has_its_own_time)
{
	char piece[4096];
	const char *rest;
	struct peer *user;

	begin(0);
	st.mode = DROP;
	st.outer.limits.message_ms = 10000;
	user = user_dial(&st);
	/* the end of each comes with the beginning of the next: there is always an unfinished one */
	rest = "";
	for (unsigned i = 1; i <= 5; i++) {
		char branch[32];
		const char *text;

		snprintf(branch, sizeof(branch), "z9hG4bK%u", i);
		text = request("MESSAGE", branch, i, "", "hello");
		snprintf(piece, sizeof(piece), "%s%.30s", rest, text);
		rest = text + 30;
		peer_send(user, piece);
		stage_settle(&st);
		stage_pass(&st, 8000);
		ck_assert_msg(!user->closed, "cut at message %u", i);
	}
	stage_settle(&st);
	ck_assert_uint_eq(st.nrequests, 4);
	stage_pass(&st, 2000);
	UNTIL(&st, st.nclosed >= 1);
	ck_assert_int_eq(st.link_closed, POLICY_REASON_MESSAGE_TIMEOUT);
	stage_fini(&st);
}
END_TEST

static void
sign_in_if_told(struct sip_link *l, void *arg)
{
	(void)arg;
	if (sip_link_is_inbound(l))
		sip_link_signed_in(l);
}

START_TEST(who_does_not_sign_in_is_cut)
{
	struct peer *user;

	begin(0);
	st.mode = REFUSE;
	st.outer.limits.signin_ms = 60000;
	st.outer.limits.idle_ms = 100000;
	user = user_dial(&st);
	for (unsigned i = 0; i < 5; i++) {
		stage_pass(&st, 11000);
		peer_send(user, request("OPTIONS", "z9hG4bK1", i, "", ""));
	}
	ck_assert(!user->closed);
	stage_pass(&st, 5000);
	UNTIL(&st, st.nclosed == 1);
	ck_assert_int_eq(st.link_closed, POLICY_REASON_UNAUTHENTICATED_TIMEOUT);
	/* who did, stays; until nothing comes any more */
	user = user_dial(&st);
	sip_relay_each_link(st.relay, sign_in_if_told, NULL);
	stage_pass(&st, 90000);
	ck_assert(!user->closed);
	peer_send(user, "\r\n\r\n");
	stage_settle(&st);
	stage_pass(&st, 99000);
	ck_assert(!user->closed);
	stage_pass(&st, 1000);
	UNTIL(&st, st.nclosed == 2);
	ck_assert_int_eq(st.link_closed, POLICY_REASON_IDLE_TIMEOUT);
	stage_fini(&st);
}
END_TEST

/* ---- back-pressure ---- */

/* All of these messages arrive, in order and whole. */
static void
drain(struct peer *server, unsigned from, unsigned to, const char *body)
{
	for (unsigned i = from; i <= to; i++) {
		const char *got = peer_next(&st, server);

		ck_assert_uint_eq(strtoul(value(got, "CSeq"), NULL, 10), i);
		ck_assert_str_eq(strstr(got, "\r\n\r\n") + 4, body);
	}
}

/*
 * The server does not read, and the feeder says so much that nobody reads what it says either. How many messages with that
 * body it took, numbered from 1 on.
 */
static unsigned
hold_back(struct peer *feeder, struct peer *server, const char *body)
{
	unsigned n = 0;

	net_stream_pause(server->s, true);
	/* the kernel's buffers on both ways take some megabytes; then the feeder's own queue grows */
	while (n < 3000 && net_stream_queued(feeder->s) < 1 << 20) {
		char branch[32];

		snprintf(branch, sizeof(branch), "z9hG4bKb%u", ++n);
		peer_send(feeder, request("BENOTIFY", branch, n, "", body));
		stage_turn(&st, 0);
	}
	ck_assert_uint_lt(n, 3000);
	return n;
}

START_TEST(who_feeds_a_slow_server_is_held_back)
{
	static char body[16000];
	struct peer *feeder, *other, *server;
	unsigned n;
	uint64_t before;

	begin(1);
	st.inner.limits.stream.queue_max = 64 << 20;
	memset(body, 'x', sizeof(body) - 1);
	feeder = user_dial(&st);
	other = user_dial(&st);
	peer_send(feeder, request("MESSAGE", "z9hG4bK0", 0, "", ""));
	server = at_server(0);
	peer_next(&st, server);
	n = hold_back(feeder, server, body);
	stage_settle(&st);
	before = sip_relay_counters(st.relay)->requests_in;
	stage_settle(&st);
	ck_assert_uint_eq(sip_relay_counters(st.relay)->requests_in, before);
	ck_assert_uint_lt(before, n);
	/* others are served as before */
	peer_send(other, "\r\n\r\n");
	UNTIL(&st, other->n == 2);
	/* it reads again, and nothing is lost */
	net_stream_pause(server->s, false);
	drain(server, 1, n, body);
	ck_assert_uint_eq(st.nrefused, 0);
	stage_fini(&st);
}
END_TEST

START_TEST(a_feeder_may_go_while_it_is_held_back)
{
	static char body[16000];
	struct peer *feeder, *server;

	begin(1);
	st.inner.limits.stream.queue_max = 64 << 20;
	memset(body, 'x', sizeof(body) - 1);
	feeder = user_dial(&st);
	peer_send(feeder, request("MESSAGE", "z9hG4bK0", 0, "", ""));
	server = at_server(0);
	hold_back(feeder, server, body);
	net_stream_close(feeder->s, POLICY_REASON_ALLOWED, NULL);
	stage_pass(&st, 2000);
	UNTIL(&st, feeder->closed);
	net_stream_pause(server->s, false);
	UNTIL(&st, st.nclosed == 1);
	/* and the server may go while it holds somebody back, who then is read again */
	feeder = user_dial(&st);
	hold_back(feeder, server, body);
	peer_send(feeder, "\r\n\r\n");
	net_stream_close(server->s, POLICY_REASON_ALLOWED, NULL);
	UNTIL(&st, server->closed && st.nclosed == 2);
	UNTIL(&st, feeder->n == 2);
	ck_assert_uint_eq(sip_relay_transactions(st.relay), 0);
	stage_fini(&st);
}
END_TEST

START_TEST(a_user_who_does_not_read_is_cut)
{
	static char body[16000];
	struct peer *caller, *callee;
	unsigned n = 0;

	begin(0);
	memset(body, 'x', sizeof(body) - 1);
	caller = user_dial(&st);
	st.outer.limits.stream.queue_high = 1 << 30;	/* nobody is held back */
	st.outer.limits.stream.queue_max = 256 * 1024;
	callee = user_dial(&st);
	st.to_link = st.opened_link;
	st.nhops = 0;
	net_stream_pause(callee->s, true);
	while (n < 3000 && st.nclosed == 0) {
		char branch[32];

		snprintf(branch, sizeof(branch), "z9hG4bKb%u", ++n);
		peer_send(caller, request("BENOTIFY", branch, n, "", body));
		for (int i = 0; i < 3; i++)
			stage_turn(&st, 0);
	}
	ck_assert_uint_eq(st.nclosed, 1);
	ck_assert_int_eq(st.link_closed, POLICY_REASON_SLOW_READER);
	ck_assert(!caller->closed);
	net_stream_pause(callee->s, false);
	stage_fini(&st);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { a_message_may_come_byte_by_byte, several_messages_may_come_at_once, a_ping_is_answered,
		who_says_nothing_is_cut, who_does_not_finish_a_message_is_cut, each_message_has_its_own_time,
		who_does_not_sign_in_is_cut, who_feeds_a_slow_server_is_held_back, a_feeder_may_go_while_it_is_held_back,
		a_user_who_does_not_read_is_cut };

	return unit_run("link", tests, sizeof(tests) / sizeof(tests[0]));
}
