/*
 * Static routes: what fits which pattern, and which of them wins.
 */
#include "director/routes.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/err.h"
#include "tests/unit/unit.h"

START_TEST(patterns)
{
	static const struct { const char *written, *want; } rows[] = {
		{ "sip:+1*@example.com", "sip:+1*@example.com" }, { "+1*@Example.COM", "sip:+1*@example.com" },
		{ "SIPS:a@b", "sip:a@b" }, { "gw.example.com", "sip:*@gw.example.com" }, { "*.example", "sip:*@*.example" },
		{ "tel:+44*", "tel:+44*" }, { "TEL:+44-20*", "tel:+4420*" }, { "", NULL }, { "sip:", NULL }, { "tel:", NULL },
		{ "tel:-", NULL },
		{ "a b@c", NULL }, { "http://x", NULL }, { "sip:a:b@c", NULL }, { "\xc3\xa4@x", NULL }
	};
	char text[ROUTE_TEXT_MAX];
	struct strbuf sb;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		strbuf_init(&sb, text, sizeof(text));
		ck_assert_msg(route_pattern(&sb, span_str(rows[i].written)) == (rows[i].want != NULL), "%s", rows[i].written);
		if (rows[i].want != NULL)
			ck_assert_str_eq(text, rows[i].want);
	}
}
END_TEST

START_TEST(texts)
{
	static const struct { const char *uri, *aor, *want; } rows[] = {
		{ "sip:Alice@example.com", "alice@example.com", "sip:alice@example.com" },
		{ "sips:a@b", "a@b", "sip:a@b" },
		{ "sip:+1;phone-context=x@b;user=phone", "+1;phone-context=x@b", "sip:+1@b" },
		{ "tel:+44-20-(7)9.1;ext=5", "", "tel:+442079" "1" },
		{ "tel:(-.)", "", NULL }, { "sip:example.com", "", NULL }
	};
	char text[ROUTE_TEXT_MAX];
	struct strbuf sb;
	struct sip_uri u;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert_int_eq(sip_uri_parse(&u, span_str(rows[i].uri)), SP_OK);
		strbuf_init(&sb, text, sizeof(text));
		ck_assert_msg(route_text(&sb, &u, span_str(rows[i].aor)) == (rows[i].want != NULL), "%s", rows[i].uri);
		if (rows[i].want != NULL)
			ck_assert_str_eq(text, rows[i].want);
	}
}
END_TEST

/* The definition, as slow as it may be. */
static bool
fits_slowly(struct span p, struct span t)
{
	if (p.n == 0)
		return t.n == 0;
	if (p.p[0] == '*')
		return fits_slowly(span_tail(p, 1), t) || (t.n != 0 && fits_slowly(p, span_tail(t, 1)));
	return t.n != 0 && p.p[0] == t.p[0] && fits_slowly(span_tail(p, 1), span_tail(t, 1));
}

START_TEST(fits)
{
	char pattern[8], text[12];
	unsigned seed = 7;
	size_t yes = 0;

	ck_assert(route_fits(SPAN_LIT("sip:+1*@example.com"), SPAN_LIT("sip:+1206@example.com")));
	ck_assert(!route_fits(SPAN_LIT("sip:+1*@example.com"), SPAN_LIT("sip:+1206@example.com.evil")));
	ck_assert(!route_fits(SPAN_LIT("sip:+1*@example.com"), SPAN_LIT("sip:+2@example.com")));
	ck_assert_uint_eq(route_weight(SPAN_LIT("examp*.com")), 9);
	ck_assert(route_weight(SPAN_LIT("examp*.com")) > route_weight(SPAN_LIT("e*.com")));
	for (int n = 0; n < 200000; n++) {
		size_t pn = (size_t)rand_r(&seed) % sizeof(pattern), tn = (size_t)rand_r(&seed) % sizeof(text);

		for (size_t i = 0; i < pn; i++)
			pattern[i] = "ab*"[rand_r(&seed) % 3];
		for (size_t i = 0; i < tn; i++)
			text[i] = "ab"[rand_r(&seed) % 2];
		ck_assert_msg(route_fits(span_of(pattern, pn), span_of(text, tn)) ==
		    fits_slowly(span_of(pattern, pn), span_of(text, tn)), "%.*s and %.*s", (int)pn, pattern, (int)tn, text);
		yes += route_fits(span_of(pattern, pn), span_of(text, tn));
	}
	ck_assert_uint_gt(yes, 1000);
	/* many stars and a long text take no longer than they must */
	{
		static char stars[200], as[400];

		for (size_t i = 0; i < sizeof(stars); i++)
			stars[i] = i % 2 == 0 ? '*' : 'a';
		memset(as, 'a', sizeof(as));
		stars[sizeof(stars) - 1] = 'b';
		ck_assert(!route_fits(span_of(stars, sizeof(stars)), span_of(as, sizeof(as))));
	}
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { patterns, texts, fits };

	return unit_run("director-routes", tests, sizeof(tests) / sizeof(tests[0]));
}
