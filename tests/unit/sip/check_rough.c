/*
 * check_rough.c - what must hold when several things go wrong at once: ends of
 * lives that overlap, late news, and far ends that mean harm.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/stats.h"
#include "tests/unit/sip/stage.h"
#include "tests/unit/unit.h"

static struct stage st;

static void
begin_with(struct sip_relay_limits limits, unsigned listening, unsigned nhops)
{
	stage_begin(&st, &limits, listening, nhops);
}

static void
begin(unsigned listening, unsigned nhops)
{
	begin_with(SIP_RELAY_LIMITS_DEFAULT, listening, nhops);
}

static void
end(void)
{
	ck_assert_uint_eq(sip_relay_transactions(st.relay), 0);
	stage_fini(&st);
}

static struct peer *
at_server(unsigned i)
{
	return server_peer(&st, i);
}

#define ck_answer(peer, want)	ck_answers(&st, peer, want)

/* Somebody accepts connections at server i's place and says nothing. */
static int
mute(unsigned i)
{
	struct net_addr at = st.server[i].at;
	int fd;

	ck_assert_int_eq(net_door_bind(&at, 1, &fd), 0);
	return fd;
}

/* ---- the end of the relay ---- */

START_TEST(freed_while_requests_wait_for_a_hop)
{
	struct peer *user;
	int fd;

	begin(0, 1);
	fd = mute(0);
	user = user_dial(&st);
	peer_send(user, request("MESSAGE", "z9hG4bK1", 1, "", ""));
	peer_send(user, request("MESSAGE", "z9hG4bK2", 2, "", ""));
	peer_send(user, request("BENOTIFY", "z9hG4bK3", 3, "", ""));
	stage_settle(&st);
	ck_assert_uint_eq(sip_relay_transactions(st.relay), 3);
	stage_fini(&st);
	close(fd);
}
END_TEST

/* The server has begun a message, which has to be whole within a second. */
static void
begin_with_half_an_answer(void)
{
	struct peer *user;

	begin(1, 1);
	st.inner.limits.message_ms = 1000;
	user = user_dial(&st);
	peer_send(user, request("MESSAGE", "z9hG4bK1", 1, "", ""));
	peer_next(&st, at_server(0));
	peer_send(st.server[0].last, "SIP/2.0 200 OK\r\nVia: ");
	stage_settle(&st);
	ck_assert_uint_eq(sip_relay_links(st.relay), 2);
}

START_TEST(freed_when_a_deadline_of_a_next_hop_is_due)
{
	uint64_t cut;

	begin_with_half_an_answer();
	stage_pass(&st, 2000);
	UNTIL(&st, st.nclosed == 1);
	ck_assert_int_eq(st.link_closed, POLICY_REASON_MESSAGE_TIMEOUT);
	stage_fini(&st);
	cut = stats_value(STATS_CELL(LIMIT_HITS, STATS_LIMIT_MESSAGE_TIME, 0));
	ck_assert_uint_eq(cut, 1);
	/* and nobody acts on it when the relay is freed just then */
	begin_with_half_an_answer();
	st.ms += 2000;
	stage_fini(&st);
	ck_assert_uint_eq(stats_value(STATS_CELL(LIMIT_HITS, STATS_LIMIT_MESSAGE_TIME, 0)), cut);
}
END_TEST

/* ---- next hops that are forgotten ---- */

static struct sip_hop *
other_hop(const char *name)
{
	struct sip_hop_spec spec = { .name = name, .port = 5061, .face = &st.inner };

	return sip_hop_get(st.relay, &spec);
}

START_TEST(a_target_in_reserve_is_not_forgotten)
{
	struct sip_relay_limits limits = SIP_RELAY_LIMITS_DEFAULT;
	struct peer *user;
	const char *got;
	char name[64];

	limits.hops = SERVERS;
	begin_with(limits, 2, 2);
	user = user_dial(&st);
	peer_send(user, request("MESSAGE", "z9hG4bK1", 1, "", ""));
	peer_next(&st, at_server(0));
	for (int i = 0; i < 5; i++) {
		stage_pass(&st, 10);
		snprintf(name, sizeof(name), "other%d.example.net", i);
		ck_assert_str_eq(sip_hop_name(other_hop(name)), name);
	}
	stage_pass(&st, 8000);
	got = peer_next(&st, at_server(1));
	peer_send(st.server[1].last, reply(got, "200 OK", ""));
	ck_answer(user, 200);
	end();
}
END_TEST

START_TEST(targets_of_one_plan_do_not_push_each_other_out)
{
	static const char *const name[] = { "a.example.net", "b.example.net", "c.example.net", "d.example.net" };
	struct sip_relay_limits limits = SIP_RELAY_LIMITS_DEFAULT;
	struct sip_hop *hop[4];

	limits.hops = SERVERS;
	begin_with(limits, 0, 0);
	stage_pass(&st, 10);
	for (int i = 0; i < 4; i++)
		hop[i] = other_hop(name[i]);
	for (int i = 0; i < 4; i++)
		ck_assert_str_eq(sip_hop_name(hop[i]), name[i]);
	end();
}
END_TEST

START_TEST(a_hop_whose_pointer_is_kept_is_not_forgotten)
{
	struct sip_relay_limits limits = SIP_RELAY_LIMITS_DEFAULT;
	struct sip_hop_spec spec = { .name = "kept.example.net", .port = 5061, .face = &st.inner, .keep = true };
	struct sip_hop *kept;
	char name[64];

	limits.hops = SERVERS + 1;
	begin_with(limits, 0, 0);
	kept = sip_hop_get(st.relay, &spec);
	for (int i = 0; i < 5; i++) {
		stage_pass(&st, 10);
		snprintf(name, sizeof(name), "other%d.example.net", i);
		other_hop(name);
	}
	ck_assert_str_eq(sip_hop_name(kept), "kept.example.net");
	ck_assert_ptr_eq(sip_hop_get(st.relay, &spec), kept);
	end();
}
END_TEST

/* ---- time ---- */

START_TEST(the_time_of_a_lost_target_is_not_the_next_one_s)
{
	struct peer *user;
	const char *got;
	int fd;

	begin(1, 3);
	server_open(&st, 2);
	fd = mute(1);
	user = user_dial(&st);
	peer_send(user, request("MESSAGE", "z9hG4bK1", 1, "", ""));
	peer_next(&st, at_server(0));
	stage_pass(&st, 7000);
	server_close(&st, 0);
	peer_close(&st, st.server[0].last);
	/* now the second one is called, which takes six seconds to be given up; the first one's eight are over by then */
	stage_pass(&st, 6000);
	got = peer_next(&st, at_server(2));
	peer_send(st.server[2].last, reply(got, "200 OK", ""));
	ck_answer(user, 200);
	close(fd);
	end();
}
END_TEST

/* ---- other workers ---- */

START_TEST(late_news_of_a_target_that_was_given_up)
{
	struct peer *user, *callee;
	const char *got;

	stage_init_two(&st);
	st.nhops = 1;
	server_open(&st, 0);
	user = user_dial(&st);
	callee = user_dial_two(&st);
	st.to_link = st.opened_link;
	st.gone = POLICY_REASON_FLOW_GONE;
	peer_send(user, request("MESSAGE", "z9hG4bK1", 1, "", ""));
	peer_next(&st, callee);
	stage_pass(&st, 8000);
	got = peer_next(&st, at_server(0));
	peer_close(&st, callee);
	ck_assert(peer_quiet(&st, user));
	peer_send(st.server[0].last, reply(got, "200 OK", ""));
	ck_answer(user, 200);
	ck_assert_uint_eq(st.nrefused, 0);
	end();
}
END_TEST

START_TEST(late_news_while_it_waits_for_the_next_target)
{
	struct peer *user, *callee;
	int fd;

	stage_init_two(&st);
	st.nhops = 2;
	fd = mute(0);
	server_open(&st, 1);
	user = user_dial(&st);
	callee = user_dial_two(&st);
	st.to_link = st.opened_link;
	st.gone = POLICY_REASON_FLOW_GONE;
	peer_send(user, request("MESSAGE", "z9hG4bK1", 1, "", ""));
	peer_next(&st, callee);
	stage_pass(&st, 8000);
	/* it stands in the first hop's queue, and has to stand in one only */
	peer_close(&st, callee);
	stage_settle(&st);
	ck_assert_uint_eq(st.server[1].naccepted, 0);
	stage_pass(&st, 6000);
	peer_send(at_server(1), reply(peer_next(&st, at_server(1)), "200 OK", ""));
	ck_answer(user, 200);
	ck_assert(peer_quiet(&st, user));
	close(fd);
	end();
}
END_TEST

/* ---- far ends that mean harm ---- */

START_TEST(a_user_who_does_not_read_holds_up_nobody_else)
{
	static char body[16000];
	struct peer *slow, *other, *director;
	uint64_t to_slow, to_other;
	unsigned n = 0;

	begin(0, 0);
	memset(body, 'x', sizeof(body) - 1);
	slow = user_dial(&st);
	to_slow = st.opened_link;
	other = user_dial(&st);
	to_other = st.opened_link;
	director = server_dial(&st, 0);
	st.to_link = to_slow;
	net_stream_pause(slow->s, true);
	/* until what is for the slow one is refused */
	while (n < 3000 && st.nrefused == 0) {
		char branch[32];

		snprintf(branch, sizeof(branch), "z9hG4bKb%u", ++n);
		peer_send(director, request("BENOTIFY", branch, n, "", body));
		for (int i = 0; i < 3; i++)
			stage_turn(&st, 0);
	}
	ck_assert_uint_ne(st.nrefused, 0);
	ck_assert_int_eq(st.refused, POLICY_REASON_HOP_BUSY);
	st.to_link = to_other;
	peer_send(director, request("MESSAGE", "z9hG4bKother", n + 1, "", ""));
	peer_send(other, reply(peer_next(&st, other), "200 OK", ""));
	ck_answer(director, 200);
	net_stream_pause(slow->s, false);
	stage_fini(&st);
}
END_TEST

START_TEST(refused_invites_leave_room_for_others)
{
	struct sip_relay_limits limits = SIP_RELAY_LIMITS_DEFAULT;
	struct peer *stranger, *user;

	limits.transactions = 4;
	begin_with(limits, 1, 1);
	stranger = user_dial(&st);
	user = user_dial(&st);
	st.mode = REFUSE;
	for (unsigned i = 1; i <= 8; i++) {
		char branch[32];

		snprintf(branch, sizeof(branch), "z9hG4bKi%u", i);
		peer_send(stranger, request("INVITE", branch, i, "", ""));
		ck_answer(stranger, 404);
	}
	ck_assert_uint_eq(sip_relay_transactions(st.relay), 2);
	st.mode = FORWARD;
	peer_send(user, request("MESSAGE", "z9hG4bK1", 1, "", ""));
	peer_send(at_server(0), reply(peer_next(&st, at_server(0)), "200 OK", ""));
	ck_answer(user, 200);
	stage_pass(&st, 32000);
	end();
}
END_TEST

START_TEST(invites_refused_further_on_leave_room_for_others)
{
	struct sip_relay_limits limits = SIP_RELAY_LIMITS_DEFAULT;
	struct peer *stranger, *user;
	const char *got;

	limits.transactions = 4;
	begin_with(limits, 1, 1);
	stranger = user_dial(&st);
	user = user_dial(&st);
	for (unsigned i = 1; i <= 8; i++) {
		char branch[32];

		snprintf(branch, sizeof(branch), "z9hG4bKi%u", i);
		peer_send(stranger, request("INVITE", branch, i, "", ""));
		got = peer_next(&st, at_server(0));
		ck_answer(stranger, 100);
		peer_send(st.server[0].last, reply(got, "401 Unauthorized", ""));
		ck_assert_int_eq(strncmp(peer_next(&st, st.server[0].last), "ACK ", 4), 0);
		ck_answer(stranger, 401);
	}
	ck_assert_uint_eq(sip_relay_transactions(st.relay), 2);
	peer_send(user, request("MESSAGE", "z9hG4bK1", 1, "", ""));
	peer_send(st.server[0].last, reply(peer_next(&st, st.server[0].last), "200 OK", ""));
	ck_answer(user, 200);
	stage_pass(&st, 32000);
	end();
}
END_TEST

START_TEST(strangers_leave_places_for_our_own_servers)
{
	struct sip_relay_limits limits = SIP_RELAY_LIMITS_DEFAULT;
	struct peer *last;

	limits.links = 16;
	begin_with(limits, 0, 0);
	for (int i = 0; i < 15; i++)
		user_dial(&st);
	last = user_dial(&st);
	UNTIL(&st, last->closed);
	ck_assert_uint_eq(sip_relay_links(st.relay), 15);
	ck_assert(!server_dial(&st, 0)->closed);
	ck_assert_uint_eq(sip_relay_links(st.relay), 16);
	end();
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { freed_while_requests_wait_for_a_hop, freed_when_a_deadline_of_a_next_hop_is_due,
		a_target_in_reserve_is_not_forgotten, targets_of_one_plan_do_not_push_each_other_out,
		a_hop_whose_pointer_is_kept_is_not_forgotten, the_time_of_a_lost_target_is_not_the_next_one_s,
		late_news_of_a_target_that_was_given_up, late_news_while_it_waits_for_the_next_target,
		a_user_who_does_not_read_holds_up_nobody_else, refused_invites_leave_room_for_others,
		invites_refused_further_on_leave_room_for_others,
		strangers_leave_places_for_our_own_servers };

	return unit_run("rough", tests, sizeof(tests) / sizeof(tests[0]));
}
