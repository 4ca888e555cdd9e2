#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "sip/forward.h"
#include "tests/unit/unit.h"

static const unsigned char key[SIP_FLOW_KEY_SIZE] = { 1 };
static struct sip_flow_signer *signer;
static struct sip_face outer = { .name = "sip.example.com", .port = 5061 }, inner = { .name = "ap-int.example.com", .port = 5062 };
static const struct sip_face *const faces[] = { &outer, &inner };
static struct sip_message msg;
static char out[20000];

static void put(char *to, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* snprintf() that fails the test when it does not fit. */
static void
put(char *to, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(to, size, fmt, ap);
	va_end(ap);
	ck_assert(n >= 0 && (size_t)n < size);
}

static void
setup(void)
{
	struct sip_flow_keys *k = sip_flow_keys_from(key, 1);

	if (signer == NULL)
		signer = sip_flow_signer_new(k);
	sip_flow_keys_unref(k);
}

static void
parse(const char *text)
{
	setup();
	ck_assert_msg(sip_message_index(&msg, text, strlen(text)) == SP_OK, "%s", text);
	ck_assert_int_eq(sip_message_parse(&msg), SIP_CHECK_OK);
}

static const char *
render(void)
{
	size_t n = sip_message_render(&msg, out);

	ck_assert_uint_gt(n, 0);
	out[n] = '\0';
	return out;
}

#define START	"INVITE sip:b@h SIP/2.0\r\n"
#define VIA	"Via: SIP/2.0/TLS h\r\n"
#define REST	"From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n"
#define END	"Content-Length: 0\r\n\r\n"

START_TEST(max_forwards)
{
	parse(START VIA REST "Max-Forwards: 70\r\n" END);
	sip_forward_max_forwards(&msg);
	ck_assert_str_eq(render(), START VIA REST "Max-Forwards: 69\r\n" END);
	parse(START VIA REST "max-forwards :  001\r\n" END);
	sip_forward_max_forwards(&msg);
	ck_assert_str_eq(render(), START VIA REST "max-forwards :  0\r\n" END);
	parse(START VIA REST END);
	sip_forward_max_forwards(&msg);
	ck_assert_str_eq(render(), START "Max-Forwards: 70\r\n" VIA REST END);
}
END_TEST

START_TEST(via_on_top)
{
	parse(START "x: y\r\n" VIA "v: SIP/2.0/TLS i\r\n" REST END);
	sip_forward_via(&msg, &outer, "z9hG4bKspXYZ");
	ck_assert_str_eq(render(), START "x: y\r\nVia: SIP/2.0/TLS sip.example.com:5061;branch=z9hG4bKspXYZ\r\n" VIA
	    "v: SIP/2.0/TLS i\r\n" REST END);
}
END_TEST

/* The uri-th Route-like value of that header, as the token says it. */
static bool
token_of(const struct sip_message *m, enum sip_header_id id, int n, struct sip_flow *f, struct sip_addr *a)
{
	int i = sip_message_next(m, id, -1);

	while (n-- > 0)
		i = sip_message_next(m, id, i);
	ck_assert_int_ge(i, 0);
	ck_assert_int_eq(sip_addr_parse(a, sip_header_value(m, i)), SP_OK);
	return sip_flow_read(signer, &a->uri, m->call_id, f);
}

START_TEST(record_routes_for_both_doors)
{
	static struct sip_message again;
	struct sip_flow near = { .kind = SIP_FLOW_USER, .link = 7 }, far = { .kind = SIP_FLOW_HERE }, got;
	struct sip_addr a;
	char copy[5000];

	parse(START VIA "Record-Route: <sip:old;lr>\r\n" REST END);
	/* From the outer face to the inner one: what comes back from inside goes to far_flow's. */
	sip_forward_record_route(&msg, signer, &outer, &near, &inner, &far);
	put(copy, sizeof(copy), "%s", render());
	ck_assert_int_eq(sip_message_index(&again, copy, strlen(copy)), SP_OK);
	ck_assert_int_eq(sip_check_message(&again), SIP_CHECK_OK);
	ck_assert(token_of(&again, SIP_H_RECORD_ROUTE, 0, &got, &a) && got.kind == SIP_FLOW_HERE && got.paired);
	ck_assert(span_is(a.uri.host, "ap-int.example.com") && a.uri.port == 5062 && sip_param(a.uri.params, "lr", NULL));
	ck_assert(token_of(&again, SIP_H_RECORD_ROUTE, 1, &got, &a) && got.kind == SIP_FLOW_USER && got.link == 7 && got.paired);
	ck_assert(span_is(a.uri.host, "sip.example.com"));
	ck_assert(span_is(sip_header_value(&again, again.first[SIP_H_RECORD_ROUTE] + 2), "<sip:old;lr>"));

	/* To a sips: URI, the way back is one too (RFC 3261 16.6, 4). */
	parse("INVITE sips:b@h SIP/2.0\r\n" VIA REST END);
	sip_forward_record_route(&msg, signer, &outer, &near, &inner, &far);
	put(copy, sizeof(copy), "%s", render());
	ck_assert_int_eq(sip_message_index(&again, copy, strlen(copy)), SP_OK);
	ck_assert_int_eq(sip_check_message(&again), SIP_CHECK_OK);
	for (int i = 0; i < 2; i++) {
		ck_assert(token_of(&again, SIP_H_RECORD_ROUTE, i, &got, &a) && got.paired);
		ck_assert_int_eq(a.uri.scheme, SIP_SCHEME_SIPS);
	}

	/* In and out on one side: one is enough. */
	parse(START VIA REST END);
	sip_forward_record_route(&msg, signer, &outer, &near, &outer, &far);
	put(copy, sizeof(copy), "%s", render());
	ck_assert_int_eq(sip_message_index(&again, copy, strlen(copy)), SP_OK);
	ck_assert_int_eq(sip_message_parse(&again), SIP_CHECK_OK);
	ck_assert(token_of(&again, SIP_H_RECORD_ROUTE, 0, &got, &a) && !got.paired);
	ck_assert_int_eq(sip_message_next(&again, SIP_H_RECORD_ROUTE, again.first[SIP_H_RECORD_ROUTE]), -1);
}
END_TEST

START_TEST(paths_and_their_option)
{
	static struct sip_message again;
	struct sip_flow f = { .kind = SIP_FLOW_USER, .link = 9 }, got;
	struct sip_addr a;
	char copy[5000];

	for (int row = 0; row < 3; row++) {
		static const char *const supported[] = { "", "Supported: a, PATH\r\n", "k: b\r\nSupported: pathology\r\n" };
		char text[1000];

		put(text, sizeof(text), START VIA REST "%s" END, supported[row]);
		parse(text);
		sip_forward_path(&msg, signer, &inner, &f);
		put(copy, sizeof(copy), "%s", render());
		ck_assert(strstr(copy, "\r\nSupported: path\r\n") == NULL ? row == 1 : row != 1);
		ck_assert_int_eq(sip_message_index(&again, copy, strlen(copy)), SP_OK);
		ck_assert_int_eq(sip_message_parse(&again), SIP_CHECK_OK);
		again.call_id = SPAN_LIT("another");	/* a path belongs to no dialog */
		ck_assert(token_of(&again, SIP_H_PATH, 0, &got, &a) && got.path && got.link == 9);
	}
}
END_TEST

/* A URI of ours for the dialog "1". */
static const char *
ours(const struct sip_face *face, struct sip_flow f)
{
	static char text[4][300];
	static int turn;
	struct strbuf sb;

	setup();
	turn = (turn + 1) % 4;
	strbuf_init(&sb, text[turn], sizeof(text[turn]));
	sip_flow_write(signer, &f, face->name, face->port, SPAN_LIT("1"), &sb);
	return text[turn];
}

START_TEST(our_routes_are_taken)
{
	const struct sip_flow one = { .kind = SIP_FLOW_USER, .link = 5 };
	const struct sip_flow pair = { .kind = SIP_FLOW_PEER, .link = 6, .paired = true };
	static const char foreign[] = "<sip:other.example.net;lr>";
	struct {
		char			 routes[1500];
		enum policy_route	 want;
		uint64_t		 link;
		const char		*next;		/* host of what comes after, or NULL */
		char			 left[1000];	/* Route headers that leave; not looked at when refused */
	} rows[9] = {
		{ "", POLICY_ROUTE_NONE, 0, NULL, "" },
		{ "", POLICY_ROUTE_OURS, 5, NULL, "" },
		{ "", POLICY_ROUTE_OURS, 6, NULL, "" },
		{ "", POLICY_ROUTE_OURS, 6, NULL, "" },
		{ "", POLICY_ROUTE_OURS, 5, "other.example.net", "" },
		{ "", POLICY_ROUTE_FOREIGN, 0, "other.example.net", "" },
		{ "Route: <sip:sip.example.com:5061;lr>\r\n", POLICY_ROUTE_FORGED, 0, NULL, "" },
		{ "Route: <sip:SIP.EXAMPLE.COM>\r\n", POLICY_ROUTE_FORGED, 0, NULL, "" },
		{ "", POLICY_ROUTE_OURS, 5, "sip.example.com", "" },
	};

	put(rows[1].routes, sizeof(rows[1].routes), "Route: %s\r\n", ours(&outer, one));
	/* A pair: in two headers, and in one list. */
	put(rows[2].routes, sizeof(rows[2].routes), "Route: %s\r\nRoute: %s\r\n", ours(&outer, pair), ours(&inner, pair));
	put(rows[3].routes, sizeof(rows[3].routes), "Route: %s , %s\r\n", ours(&inner, pair), ours(&outer, pair));
	put(rows[4].routes, sizeof(rows[4].routes), "Route: %s, %s\r\n", ours(&outer, one), foreign);
	put(rows[4].left, sizeof(rows[4].left), "Route: %s\r\n", foreign);
	put(rows[5].routes, sizeof(rows[5].routes), "Route: %s\r\nRoute: %s\r\n", foreign, ours(&outer, one));
	put(rows[5].left, sizeof(rows[5].left), "Route: %s\r\nRoute: %s\r\n", foreign, ours(&outer, one));
	/* One that is alone belongs to one passage: a second of ours is the next hop's affair. */
	put(rows[8].routes, sizeof(rows[8].routes), "Route: %s\r\nRoute: %s\r\n", ours(&outer, one), ours(&outer, one));
	put(rows[8].left, sizeof(rows[8].left), "Route: %s\r\n", ours(&outer, one));

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		static char text[4000], want[4000];
		struct sip_routed routed;

		put(text, sizeof(text), START VIA "%s" REST END, rows[i].routes);
		parse(text);
		sip_forward_take_routes(&msg, signer, faces, 2, &routed);
		ck_assert_msg(routed.route == rows[i].want, "row %zu: %d", i, routed.route);
		if (routed.route == POLICY_ROUTE_OURS)
			ck_assert_uint_eq(routed.flow.link, rows[i].link);
		ck_assert_int_eq(routed.has_next, rows[i].next != NULL);
		if (rows[i].next != NULL)
			ck_assert(span_is(routed.next.host, rows[i].next));
		if (routed.route == POLICY_ROUTE_FORGED)
			continue;
		put(want, sizeof(want), START VIA "%s" REST END, rows[i].left);
		ck_assert_str_eq(render(), want);
	}

	/* Signed for another dialog. */
	static char text[2000];
	struct sip_routed routed;
	put(text, sizeof(text), START VIA "Route: %s\r\n" "From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: 2\r\n"
	    "CSeq: 1 INVITE\r\n" END, ours(&outer, one));
	parse(text);
	sip_forward_take_routes(&msg, signer, faces, 2, &routed);
	ck_assert_int_eq(routed.route, POLICY_ROUTE_FORGED);
	sip_flow_signer_free(signer);
	signer = NULL;
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { max_forwards, via_on_top, record_routes_for_both_doors, paths_and_their_option,
	    our_routes_are_taken };

	return unit_run("forward", tests, sizeof(tests) / sizeof(tests[0]));
}
