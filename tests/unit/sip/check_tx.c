#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "sip/tx.h"
#include "tests/unit/unit.h"

static struct sip_message msg;

START_TEST(branches)
{
	static const struct sip_branch rows[] = {
		{ 0, 0, 0, 0 }, { 1, 2, 3, 4 }, { 255, (UINT64_C(1) << 56) - 1, 255, UINT32_MAX }, { 7, 0x10000a00000007, 1, 0xdeadbeef },
	};
	char text[SIP_BRANCH_TEXT];
	struct sip_branch got;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		sip_branch_format(&rows[i], text);
		ck_assert_uint_eq(strlen(text), SIP_BRANCH_LEN);
		ck_assert(strncmp(text, "z9hG4bK", 7) == 0);
		ck_assert(sip_branch_parse(span_str(text), &got));
		ck_assert(got.worker == rows[i].worker && got.tx == rows[i].tx && got.attempt == rows[i].attempt && got.loop == rows[i].loop);
	}
	for (size_t i = 0; i < SIP_BRANCH_LEN; i++) {	/* any other character in any place */
		char was = text[i];

		text[i] = 'g';
		ck_assert(!sip_branch_parse(span_str(text), &got));
		text[i] = was;
	}
	ck_assert(!sip_branch_parse(span_of(text, SIP_BRANCH_LEN - 1), &got));
	ck_assert(!sip_branch_parse(SPAN_NONE, &got));
	ck_assert(!sip_branch_parse(SPAN_LIT("z9hG4bK-524287-1---abcdef"), &got));
}
END_TEST

struct parts {
	const char *method, *uri, *via, *from, *to, *call_id, *cseq, *route;
};

static const struct parts base = { "INVITE", "sip:b@h", "SIP/2.0/TLS one:5061;branch=z9hG4bK1", "<sip:a@h>;tag=1", "<sip:b@h>", "1",
    "1", "" };
static const struct parts old = { "INVITE", "sip:b@h", "SIP/2.0/TLS one:5061", "<sip:a@h>;tag=1", "<sip:b@h>", "1", "1", "" };

static void
parse(struct parts p)
{
	static char text[2000];

	snprintf(text, sizeof(text), "%s %s SIP/2.0\r\nVia: %s\r\n%sFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %s %s\r\nl: 0\r\n\r\n", p.method,
	    p.uri, p.via, p.route, p.from, p.to, p.call_id, p.cseq, p.method);
	ck_assert_int_eq(sip_message_index(&msg, text, strlen(text)), SP_OK);
	ck_assert_int_eq(sip_message_parse(&msg), SIP_CHECK_OK);
}

static uint64_t
key_of(struct parts p, uint64_t link)
{
	uint64_t k;

	parse(p);
	k = sip_tx_key(link, &msg);
	ck_assert_uint_ne(k, 0);
	return k;
}

static struct parts
changed(struct parts p, size_t member, const char *value)
{
	memcpy((char *)&p + member, &value, sizeof(value));
	return p;
}

#define CHANGED(from, member, value) changed(from, offsetof(struct parts, member), value)

START_TEST(cancel_and_ack_find_their_invite)
{
	uint64_t key = key_of(base, 5), old_key = key_of(old, 5);

	ck_assert_uint_eq(key, key_of(base, 5));
	ck_assert_uint_eq(key, key_of(CHANGED(base, method, "CANCEL"), 5));
	ck_assert_uint_eq(key, key_of(CHANGED(CHANGED(base, method, "ACK"), to, "<sip:b@h>;tag=9"), 5));
	ck_assert_uint_eq(key, key_of(CHANGED(base, via, "SIP/2.0/TLS one:5061;branch=z9hG4bK1, SIP/2.0/TLS two"), 5));

	ck_assert_uint_ne(key, key_of(base, 6));
	ck_assert_uint_ne(key, key_of(CHANGED(base, via, "SIP/2.0/TLS one:5061;branch=z9hG4bK2"), 5));
	ck_assert_uint_ne(key, key_of(CHANGED(base, via, "SIP/2.0/TLS two:5061;branch=z9hG4bK1"), 5));
	ck_assert_uint_ne(key, key_of(CHANGED(base, cseq, "2"), 5));
	ck_assert_uint_ne(key, key_of(CHANGED(base, method, "BYE"), 5));
	ck_assert_uint_ne(key_of(CHANGED(base, method, "BYE"), 5), key_of(CHANGED(base, method, "INFO"), 5));

	/* Without a branch: what RFC 2543 compares (RFC 3261 17.2.3). */
	ck_assert_uint_eq(old_key, key_of(CHANGED(old, method, "CANCEL"), 5));
	ck_assert_uint_eq(old_key, key_of(CHANGED(CHANGED(old, method, "ACK"), to, "<sip:b@h>;tag=9"), 5));
	ck_assert_uint_ne(old_key, key);
	ck_assert_uint_ne(old_key, key_of(CHANGED(old, uri, "sip:c@h"), 5));
	ck_assert_uint_ne(old_key, key_of(CHANGED(old, from, "<sip:a@h>;tag=2"), 5));
	ck_assert_uint_ne(old_key, key_of(CHANGED(old, call_id, "2"), 5));
	ck_assert_uint_ne(old_key, key_of(CHANGED(old, via, "SIP/2.0/TLS two:5061"), 5));
	ck_assert_uint_ne(old_key, key_of(CHANGED(old, cseq, "2"), 5));
}
END_TEST

static uint32_t
loop_of(struct parts p, enum policy_side side)
{
	parse(p);
	return sip_tx_loop_hash(side, &msg);
}

START_TEST(loops_and_spirals)
{
	uint32_t h = loop_of(base, POLICY_SIDE_OUTER);

	/* The same again, whatever Vias and Max-Forwards say, is a loop; with another URI or route a spiral (RFC 5393). */
	ck_assert_uint_eq(h, loop_of(CHANGED(base, via, "SIP/2.0/TLS x;branch=z9hG4bK9, SIP/2.0/TLS one"), POLICY_SIDE_OUTER));
	ck_assert_uint_eq(h, loop_of(CHANGED(base, route, "Max-Forwards: 3\r\n"), POLICY_SIDE_OUTER));
	ck_assert_uint_ne(h, loop_of(base, POLICY_SIDE_INNER));
	ck_assert_uint_ne(h, loop_of(CHANGED(base, uri, "sip:c@h"), POLICY_SIDE_OUTER));
	ck_assert_uint_ne(h, loop_of(CHANGED(base, route, "Route: <sip:x;lr>\r\n"), POLICY_SIDE_OUTER));
	ck_assert_uint_ne(h, loop_of(CHANGED(base, call_id, "2"), POLICY_SIDE_OUTER));
	ck_assert_uint_ne(h, loop_of(CHANGED(base, cseq, "2"), POLICY_SIDE_OUTER));
	ck_assert_uint_ne(h, loop_of(CHANGED(base, to, "<sip:b@h>;tag=1"), POLICY_SIDE_OUTER));
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { branches, cancel_and_ack_find_their_invite, loops_and_spirals };

	return unit_run("tx", tests, sizeof(tests) / sizeof(tests[0]));
}
