#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "sip/flowfile.h"
#include "tests/unit/unit.h"

static const unsigned char keys[3 * SIP_FLOW_KEY_SIZE] = { [0] = 1, [SIP_FLOW_KEY_SIZE] = 2, [2 * SIP_FLOW_KEY_SIZE] = 3 };

static struct sip_flow_signer *
signer_from(unsigned first, unsigned n)
{
	struct sip_flow_keys *k = sip_flow_keys_from(keys + (size_t)first * SIP_FLOW_KEY_SIZE, n);
	struct sip_flow_signer *s = sip_flow_signer_new(k);

	sip_flow_keys_unref(k);	/* the signer holds them */
	return s;
}

/* The URI that write gives, without its angle brackets. */
static const char *
written(struct sip_flow_signer *s, const struct sip_flow *f, const char *host, uint16_t port, const char *call_id)
{
	static char text[2][512];
	static int turn;
	struct strbuf sb;

	turn = !turn;
	strbuf_init(&sb, text[turn], sizeof(text[turn]));
	sip_flow_write(s, f, host, port, span_str(call_id), &sb);
	ck_assert(strbuf_ok(&sb) && sb.len > 2 && sb.p[0] == '<' && sb.p[sb.len - 1] == '>');
	sb.p[sb.len - 1] = '\0';
	return text[turn] + 1;
}

static bool
reads(struct sip_flow_signer *s, const char *uri, const char *call_id, struct sip_flow *f)
{
	struct sip_uri u;

	ck_assert_msg(sip_uri_parse(&u, span_str(uri)) == SP_OK, "%s", uri);
	return sip_flow_read(s, &u, span_str(call_id), f);
}

START_TEST(what_is_written_is_read)
{
	static const struct sip_flow rows[] = {
		{ .kind = SIP_FLOW_USER, .link = 1 },
		{ .kind = SIP_FLOW_USER, .link = UINT64_MAX, .extra = UINT32_MAX, .paired = true },
		{ .kind = SIP_FLOW_PEER, .link = 0x10000a00000007, .paired = true },
		{ .kind = SIP_FLOW_HERE, .link = 0, .extra = 5 },
		{ .kind = SIP_FLOW_HERE, .path = true, .who = UINT32_MAX },
		{ .kind = SIP_FLOW_PEER, .link = 7, .extra = 1, .who = 2 },
		{ .kind = SIP_FLOW_USER, .path = true, .link = 77, .extra = 1 },
	};
	struct sip_flow_signer *s = signer_from(0, 1);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sip_flow got = { 0 };
		const char *uri = written(s, &rows[i], "ap-int.example.com", 5061, "call-1");

		ck_assert(reads(s, uri, "call-1", &got));
		ck_assert(got.kind == rows[i].kind && got.link == rows[i].link && got.extra == rows[i].extra &&
		    got.who == rows[i].who);
		ck_assert(got.path == rows[i].path && got.paired == rows[i].paired);
		/* A dialog's is bound to its Call-ID, a path is not. */
		ck_assert(reads(s, uri, "call-2", &got) == rows[i].path);
	}
	sip_flow_signer_free(s);
}
END_TEST

START_TEST(nothing_can_be_changed)
{
	struct sip_flow f = { .kind = SIP_FLOW_USER, .link = 0x1a00, .extra = 2 }, got;
	struct sip_flow_signer *s = signer_from(0, 1);
	char uri[512], changed[512];
	size_t opaque, sig;

	snprintf(uri, sizeof(uri), "%s", written(s, &f, "ap-int.example.com", 5062, "call-1"));
	ck_assert(reads(s, uri, "call-1", &got));
	/* Letter case of the host is no matter; everything else is. */
	snprintf(changed, sizeof(changed), "%s", uri);
	memcpy(strstr(changed, "ap-int"), "AP-Int", 6);
	ck_assert(reads(s, changed, "call-1", &got));

	opaque = (size_t)(strstr(uri, "state:") - uri);
	sig = (size_t)(strstr(uri, "ms-route-sig=") + 13 - uri);
	ck_assert_uint_eq(strlen(uri + sig), 26);
	for (size_t i = 0; uri[i] != '\0'; i++) {
		bool host = i >= 4 && i < strlen("sip:ap-int.example.com:5062");
		bool token = i >= opaque && uri[i] != ';' && i < sig - strlen(";lr;ms-route-sig=");

		if (!host && !token && i < sig)
			continue;
		snprintf(changed, sizeof(changed), "%s", uri);
		changed[i] = changed[i] == 'x' ? 'y' : changed[i] == '6' ? '7' : changed[i] == ':' ? '.' : i < sig && host &&
		    changed[i] >= '0' && changed[i] <= '9' ? '6' : 'x';
		struct sip_uri u;
		if (sip_uri_parse(&u, span_str(changed)) == SP_OK)
			ck_assert_msg(!sip_flow_read(s, &u, SPAN_LIT("call-1"), &got), "%s", changed);
	}
	/* Cut, doubled, absent. */
	snprintf(changed, sizeof(changed), "%.*s", (int)strlen(uri) - 1, uri);
	ck_assert(!reads(s, changed, "call-1", &got));
	snprintf(changed, sizeof(changed), "%sA", uri);
	ck_assert(!reads(s, changed, "call-1", &got));
	ck_assert(!reads(s, "sip:ap-int.example.com:5062;transport=tls;opaque=state:Ci.R1a00.2;lr", "call-1", &got));
	ck_assert(!reads(s, "sip:ap-int.example.com:5062;lr;ms-route-sig=AAAAAAAAAAAAAAAAAAAAAAAAAA", "call-1", &got));
	ck_assert(!reads(s, "sip:ap-int.example.com", "call-1", &got));
	ck_assert(!reads(s, uri, "", &got));
	sip_flow_signer_free(s);
}
END_TEST

START_TEST(nothing_of_a_path_can_be_changed)
{
	struct sip_flow f = { .kind = SIP_FLOW_USER, .link = 0x1a00, .extra = 2, .path = true }, got;
	struct sip_flow_signer *s = signer_from(0, 1);
	char uri[512], changed[512];
	struct sip_uri u;

	snprintf(uri, sizeof(uri), "%s", written(s, &f, "ap-int.example.com", 5061, "call-1"));
	ck_assert(reads(s, uri, "any", &got));
	ck_assert_msg(strlen(uri) - strlen("ap-int.example.com") <= 56, "two of these and two names are to fit in 256 bytes: %s", uri);
	for (size_t i = 4; uri[i] != ';'; i++) {
		snprintf(changed, sizeof(changed), "%s", uri);
		changed[i] = changed[i] == 'x' ? 'y' : 'x';
		if (sip_uri_parse(&u, span_str(changed)) == SP_OK)
			ck_assert_msg(!sip_flow_read(s, &u, SPAN_LIT("any"), &got), "%s", changed);
	}
	/* a dialog's token and signature do not make a path, nor the other way round */
	snprintf(changed, sizeof(changed), "sip:CR1a00.2.%.16s@ap-int.example.com;lr", strchr(strchr(uri, '.') + 1, '.') + 1);
	ck_assert(!reads(s, changed, "any", &got));
	ck_assert(!reads(s, "sip:CP1.AAAAAAAAAAAAAAAA@ap-int.example.com;lr", "any", &got));
	ck_assert(!reads(s, "sip:.AAAAAAAAAAAAAAAA@ap-int.example.com;lr", "any", &got));
	sip_flow_signer_free(s);
}
END_TEST

START_TEST(tokens_that_are_none)
{
	static const char *const tokens[] = { "state", "state:", "state:Ci.R", "state:Xi.R1", "state:Ci.Q1", "state:Ci.R1.", "state:Ci.R.1",
	    "state:Ci.R11111111111111111", "state:Ci.RG", "state:Ci.R1.111111111", "State:Ci.R1", "state:Ci.R1.1.1", "state:Ci.R1A" };
	struct sip_flow_signer *s = signer_from(0, 1);
	struct sip_flow got;

	for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
		char uri[200];

		snprintf(uri, sizeof(uri), "sip:h;opaque=%s;ms-route-sig=AAAAAAAAAAAAAAAAAAAAAAAAAA", tokens[i]);
		ck_assert(!reads(s, uri, "1", &got));
	}
	sip_flow_signer_free(s);
}
END_TEST

START_TEST(keys_are_a_ring)
{
	struct sip_flow f = { .kind = SIP_FLOW_PEER, .link = 3 }, got;
	struct sip_flow_signer *first = signer_from(0, 1), *both = signer_from(0, 2), *later = signer_from(1, 2);
	struct sip_flow_keys *random = sip_flow_keys_new();
	struct sip_flow_signer *other = sip_flow_signer_new(random);
	char by_first[512], by_both[512];

	snprintf(by_first, sizeof(by_first), "%s", written(first, &f, "h", 5061, "1"));
	snprintf(by_both, sizeof(by_both), "%s", written(both, &f, "h", 5061, "1"));
	ck_assert_str_ne(by_first, by_both);
	ck_assert(reads(both, by_first, "1", &got) && reads(both, by_both, "1", &got));
	ck_assert(!reads(first, by_both, "1", &got));
	ck_assert(reads(later, by_both, "1", &got) && !reads(later, by_first, "1", &got));
	ck_assert(!reads(other, by_first, "1", &got) && !reads(other, by_both, "1", &got));
	/* The port that is not written is the one of our transport. */
	snprintf(by_first, sizeof(by_first), "%s", written(both, &f, "h", 5061, "1"));
	if (strstr(by_first, ":5061") != NULL) {
		char *port = strstr(by_first, ":5061");

		memmove(port, port + 5, strlen(port + 5) + 1);
	}
	ck_assert(reads(both, by_first, "1", &got));
	sip_flow_signer_free(first);
	sip_flow_signer_free(both);
	sip_flow_signer_free(later);
	sip_flow_signer_free(other);
	sip_flow_keys_unref(random);
	sip_flow_signer_free(NULL);
}
END_TEST

/* A file that changes: what was signed before is good for one change more. */
START_TEST(keys_turn)
{
	struct sip_flow f = { .kind = SIP_FLOW_PEER, .link = 3 }, got;
	struct sip_flow_keys *k[3], *ring, *last = NULL;
	struct sip_flow_signer *s, *by[3];
	unsigned char many[8 * SIP_FLOW_KEY_SIZE] = { 0 };
	char was[3][512];

	for (unsigned i = 0; i < 3; i++) {
		k[i] = sip_flow_keys_from(keys + (size_t)i * SIP_FLOW_KEY_SIZE, 1);
		by[i] = sip_flow_signer_new(k[i]);
		snprintf(was[i], sizeof(was[i]), "%s", written(by[i], &f, "h", 5061, "1"));
	}
	ring = sip_flow_keys_ref(k[0]);
	s = sip_flow_signer_new(ring);
	ck_assert(!sip_flow_keys_turn(&ring, &last, k[0]) && last == NULL);
	ck_assert(sip_flow_keys_turn(&ring, &last, k[1]));
	sip_flow_signer_take(s, ring);
	ck_assert_str_eq(written(s, &f, "h", 5061, "1"), was[1]);
	ck_assert(reads(s, was[0], "1", &got) && reads(s, was[1], "1", &got) && !reads(s, was[2], "1", &got));
	/* the same file once more is no change */
	ck_assert(!sip_flow_keys_turn(&ring, &last, k[1]));
	ck_assert(sip_flow_keys_turn(&ring, &last, k[2]));
	sip_flow_signer_take(s, ring);
	ck_assert_str_eq(written(s, &f, "h", 5061, "1"), was[2]);
	ck_assert(!reads(s, was[0], "1", &got) && reads(s, was[1], "1", &got) && reads(s, was[2], "1", &got));
	/* and back, while the first is new again */
	ck_assert(sip_flow_keys_turn(&ring, &last, k[0]));
	sip_flow_signer_take(s, ring);
	ck_assert(reads(s, was[0], "1", &got) && !reads(s, was[1], "1", &got) && reads(s, was[2], "1", &got));
	/* a file that fills the ring leaves room for none of before */
	for (unsigned i = 0; i < 8; i++)
		many[i * SIP_FLOW_KEY_SIZE] = (unsigned char)(10 + i);
	sip_flow_keys_unref(k[0]);
	k[0] = sip_flow_keys_from(many, 8);
	ck_assert(sip_flow_keys_turn(&ring, &last, k[0]));
	ck_assert(sip_flow_keys_same(ring, k[0]));
	for (unsigned i = 0; i < 3; i++) {
		sip_flow_keys_unref(k[i]);
		sip_flow_signer_free(by[i]);
	}
	sip_flow_signer_free(s);
	sip_flow_keys_unref(ring);
	sip_flow_keys_unref(last);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { what_is_written_is_read, nothing_can_be_changed,
	    nothing_of_a_path_can_be_changed, tokens_that_are_none, keys_are_a_ring, keys_turn };

	return unit_run("flow", tests, sizeof(tests) / sizeof(tests[0]));
}
