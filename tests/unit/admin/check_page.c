/*
 * The admin page without a socket: escaping, forms, cookies, sessions, budgets of
 * log-ins, the ring of samples, JSON requests.
 */
#include <check.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/http/chart.h"
#include "admin/http/form.h"
#include "admin/http/json.h"
#include "admin/http/ring.h"
#include "admin/http/sample.h"
#include "admin/http/session.h"
#include "admin/http/text.h"
#include "admin/http/throttle.h"
#include "admin/record.h"
#include "admin/recent.h"
#include "common/err.h"
#include "common/log.h"
#include "net/stats.h"
#include "tests/unit/unit.h"

static bool
shown_as(const char *in, size_t n, const char *want)
{
	struct text t;
	bool same;

	text_init(&t, 4096);
	text_html(&t, span_of(in, n));
	same = t.n == strlen(want) && (t.n == 0 || memcmp(t.p, want, t.n) == 0);
	if (!same)
		fprintf(stderr, "%s\n", t.p);
	text_fini(&t);
	return same;
}
#define ck_shown(in, want)	ck_assert(shown_as(in, sizeof(in) - 1, want))

START_TEST(escapes)
{
	ck_shown("<script>alert('x')</script>", "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;");
	ck_shown("a\"b&amp;", "a&quot;b&amp;amp;");
	ck_shown("b\xc3\xbc" "cher", "b\xc3\xbc" "cher");
	ck_shown("a\0b", "a\xe2\x9f\xa8" "U+0000\xe2\x9f\xa9" "b");
	ck_shown("\xff\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	ck_shown("\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");	/* a surrogate */
	ck_shown("evil\xe2\x80\xaegpj", "evil\xe2\x9f\xa8" "U+202E\xe2\x9f\xa9gpj");	/* right to left from here on */
	ck_shown("\xe2\x80", "\xef\xbf\xbd\xef\xbf\xbd");		/* cut off */
	ck_shown("\x1b[31m", "\xe2\x9f\xa8U+001B\xe2\x9f\xa9[31m");
}
END_TEST

START_TEST(formats)
{
	struct text t;

	text_init(&t, 200);
	html(&t, "<a href=\"%s\">%d %u %zu %llu %.1f %c%% %s</a>", "\"><b>", -1, 2u, (size_t)3, 4ull, 1.25, '<', "");
	ck_assert_str_eq(t.p, "<a href=\"&quot;&gt;&lt;b&gt;\">-1 2 3 4 1.2 &lt;% </a>");
	ck_assert(!t.failed);
	for (int i = 0; i < 100; i++)
		html(&t, "%s", "full");
	ck_assert(t.failed);
	ck_assert_uint_le(t.n, 200);
	text_fini(&t);
}
END_TEST

static int
parse(const char *s, struct form *f)
{
	return form_parse(f, span_str(s));
}

START_TEST(forms)
{
	static const char *const known[] = { "a", "b", NULL };
	struct form f;

	ck_assert_int_eq(parse("a=1%202&b=%3Cb%3E+x&c", &f), SP_OK);
	ck_assert(span_is(form_get(&f, "a"), "1 2"));
	ck_assert(span_is(form_get(&f, "b"), "<b> x"));
	ck_assert(form_has(&f, "c") && form_get(&f, "c").n == 0);
	ck_assert(!form_has(&f, "d"));
	ck_assert(span_is(form_stranger(&f, known)->name, "c"));
	form_fini(&f);
	ck_assert_int_eq(parse("a=1&b=2&a=3", &f), SP_EEXIST);
	ck_assert(span_is(f.bad, "a"));
	form_fini(&f);
	ck_assert_int_eq(parse("a=%zz", &f), SP_ESYNTAX);
	form_fini(&f);
	ck_assert_int_eq(parse("a=%0", &f), SP_ESYNTAX);
	form_fini(&f);
	ck_assert_int_eq(parse("a=%00", &f), SP_ESYNTAX);
	form_fini(&f);
	ck_assert_int_eq(parse("a=%ff", &f), SP_ESYNTAX);
	form_fini(&f);
	ck_assert_int_eq(parse("=1", &f), SP_ESYNTAX);
	form_fini(&f);
	ck_assert_int_eq(parse("&&a=1&&", &f), SP_OK);
	ck_assert_uint_eq(f.n, 1);
	form_fini(&f);
}
END_TEST

START_TEST(forms_have_a_limit)
{
	char text[16 * (FORM_FIELDS_MAX + 1)] = "";
	struct form f;

	for (int i = 0; i < FORM_FIELDS_MAX; i++)
		sprintf(text + strlen(text), "f%d=1&", i);
	ck_assert_int_eq(parse(text, &f), SP_OK);
	form_fini(&f);
	strcat(text, "one=more");
	ck_assert_int_eq(parse(text, &f), SP_ELIMIT);
	form_fini(&f);
}
END_TEST

START_TEST(cookies)
{
	struct span v;

	ck_assert(cookie_get(SPAN_LIT("a=1; __Host-sallyport=xyz; b=2"), "__Host-sallyport", &v) && span_is(v, "xyz"));
	ck_assert(!cookie_get(SPAN_LIT("sallyport=1; sallyport=2"), "sallyport", &v));	/* somebody has put one beside ours */
	ck_assert(!cookie_get(SPAN_LIT("xsallyport=1; sallyportx=2; sallyport"), "sallyport", &v));
	ck_assert(!cookie_get(SPAN_NONE, "sallyport", &v));
}
END_TEST

static const struct session_limits small = { .sessions = 3, .per_account = 2, .idle_ms = 1000, .absolute_ms = 5000 };

START_TEST(sessions_end_in_time)
{
	struct sessions *ss = sessions_new(&small);
	struct accounts *as = accounts_new();
	struct account a = { .name = "alice", .role = ACCOUNT_VIEWER, .key = { 1 } };
	char id[SESSION_TEXT], other[SESSION_TEXT];

	accounts_put(as, &a);
	strcpy(id, sessions_begin(ss, &a, "here", 100)->id);
	strcpy(other, sessions_begin(ss, &a, "here", 100)->id);
	ck_assert_str_ne(id, other);
	ck_assert_uint_eq(sessions_count(ss, 100), 2);
	ck_assert_ptr_nonnull(sessions_find(ss, span_str(id), as, 1099));
	ck_assert_ptr_null(sessions_find(ss, span_str(other), as, 1100));	/* idle */
	for (uint64_t now = 1099; now < 5100; now += 900)
		ck_assert_ptr_nonnull(sessions_find(ss, span_str(id), as, now));
	ck_assert_ptr_null(sessions_find(ss, span_str(id), as, 5100));	/* too old, though used */
	ck_assert_ptr_null(sessions_find(ss, SPAN_LIT(""), as, 100));
	ck_assert_ptr_null(sessions_find(ss, SPAN_LIT("short"), as, 100));
	accounts_free(as);
	sessions_free(ss);
}
END_TEST

START_TEST(sessions_follow_the_account)
{
	struct sessions *ss = sessions_new(&small);
	struct accounts *as = accounts_new();
	struct account a = { .name = "alice", .role = ACCOUNT_VIEWER, .key = { 1 } }, b = { .name = "bob", .key = { 2 } };
	char id[SESSION_TEXT], bobs[SESSION_TEXT];

	accounts_put(as, &a);
	accounts_put(as, &b);
	strcpy(id, sessions_begin(ss, &a, "here", 100)->id);
	strcpy(bobs, sessions_begin(ss, &b, "there", 100)->id);
	/* logging in again and again drives one's own sessions out, not others' */
	for (int i = 0; i < 10; i++)
		sessions_begin(ss, &a, "here", 101);
	ck_assert_uint_gt(stats_value(STATS_CELL(LIMIT_HITS, STATS_LIMIT_PAGE_SESSIONS_ACCOUNT, 0)), 0);
	ck_assert_ptr_null(sessions_find(ss, span_str(id), as, 102));
	ck_assert_ptr_nonnull(sessions_find(ss, span_str(bobs), as, 102));
	b.key[0] = 3;	/* another password */
	accounts_put(as, &b);
	ck_assert_ptr_null(sessions_find(ss, span_str(bobs), as, 103));
	strcpy(id, sessions_begin(ss, &a, "here", 104)->id);
	accounts_remove(as, SPAN_LIT("alice"));
	ck_assert_ptr_null(sessions_find(ss, span_str(id), as, 105));
	accounts_free(as);
	sessions_free(ss);
}
END_TEST

static const struct throttle_limits tries = { .source_tries = 3, .account_tries = 5, .source_every_ms = 1000,
	.account_every_ms = 100 };

START_TEST(guessing_is_slowed_down)
{
	struct throttle *t = throttle_new(&tries);
	uint64_t wait, now = 1000000;

	for (int i = 0; i < 3; i++)
		ck_assert(throttle_try(t, SPAN_LIT("src"), SPAN_LIT("alice"), now, &wait));
	ck_assert(!throttle_try(t, SPAN_LIT("src"), SPAN_LIT("alice"), now, &wait));
	ck_assert(wait > 0 && wait <= 1000);
	ck_assert(!throttle_try(t, SPAN_LIT("src"), SPAN_LIT("bob"), now, &wait));	/* the source, whatever the account */
	ck_assert(throttle_try(t, SPAN_LIT("other"), SPAN_LIT("bob"), now, &wait));
	ck_assert(throttle_try(t, SPAN_LIT("src"), SPAN_LIT("alice"), now + 1000, &wait));	/* never for ever */
	ck_assert(!throttle_try(t, SPAN_LIT("src"), SPAN_LIT("alice"), now + 1000, &wait));
	ck_assert_uint_eq(stats_value(STATS_CELL(LIMIT_HITS, STATS_LIMIT_PAGE_LOG_INS, 0)), 3);
	throttle_free(t);
}
END_TEST

START_TEST(the_owner_is_not_locked_out)
{
	struct throttle *t = throttle_new(&tries);
	uint64_t wait, now = 1000000;
	char source[32];
	bool refused = false;

	ck_assert(throttle_try(t, SPAN_LIT("home"), SPAN_LIT("alice"), now, &wait));
	throttle_succeeded(t, SPAN_LIT("home"), SPAN_LIT("alice"), now);
	for (int i = 0; i < 100; i++) {
		snprintf(source, sizeof(source), "bot%d", i);
		refused |= !throttle_try(t, span_str(source), SPAN_LIT("alice"), now, &wait);
	}
	ck_assert(refused);
	ck_assert(!throttle_try(t, SPAN_LIT("new place"), SPAN_LIT("alice"), now, &wait));
	ck_assert(throttle_try(t, SPAN_LIT("home"), SPAN_LIT("alice"), now, &wait));
	/* many strangers drive out no more than the table holds, and nothing breaks */
	for (int i = 0; i < 3 * THROTTLE_KEYS; i++) {
		snprintf(source, sizeof(source), "bot%d", i);
		throttle_try(t, span_str(source), span_str(source), now + (uint64_t)i, &wait);
	}
	throttle_free(t);
}
END_TEST

/* Who waits is not forgotten for a crowd of names that nobody has. */
START_TEST(a_crowd_of_names_frees_nobody)
{
	struct throttle *t = throttle_new(&tries);
	uint64_t wait, now = 1000000;
	char name[32];

	for (int i = 0; i < 5; i++) {
		snprintf(name, sizeof(name), "bot%d", i);
		ck_assert(throttle_try(t, span_str(name), SPAN_LIT("alice"), now, &wait));
	}
	ck_assert(!throttle_try(t, SPAN_LIT("bot5"), SPAN_LIT("alice"), now, &wait));
	/* one source, which is refused most of the time; then as many as have a try each */
	for (int i = 0; i < 2 * THROTTLE_KEYS; i++) {
		snprintf(name, sizeof(name), "name%d", i);
		throttle_try(t, SPAN_LIT("crowd"), span_str(name), now + 1, &wait);
	}
	ck_assert(!throttle_try(t, SPAN_LIT("bot5"), SPAN_LIT("alice"), now + 1, &wait));
	for (int i = 0; i < 2 * THROTTLE_KEYS; i++) {
		snprintf(name, sizeof(name), "other%d", i);
		throttle_try(t, span_str(name), span_str(name), now + 1, &wait);
	}
	ck_assert(!throttle_try(t, SPAN_LIT("bot5"), SPAN_LIT("alice"), now + 1, &wait));
	throttle_free(t);
}
END_TEST

static char ring_path[] = "/tmp/check_page.XXXXXX";

static void
overwrite(off_t at, size_t n)
{
	int fd = open(ring_path, O_WRONLY);
	char junk[64];

	memset(junk, 0x5a, sizeof(junk));
	ck_assert_int_ge(fd, 0);
	while (n > 0) {
		size_t now = n < sizeof(junk) ? n : sizeof(junk);

		ck_assert_int_eq(pwrite(fd, junk, now, at), (ssize_t)now);
		at += (off_t)now;
		n -= now;
	}
	close(fd);
}

START_TEST(ring_survives)
{
	struct ring_sample s = { .minute = 30000000, .seconds = 60, .requests = 7 };
	const char *news;
	struct ring *r;
	struct stat st;
	char bad[64];

	close(mkstemp(ring_path));
	unlink(ring_path);
	r = ring_open(ring_path, &news);
	ck_assert_ptr_null(news);
	ck_assert(ring_put(r, &s));
	s.minute += RING_MINUTES;	/* the same place, a day later */
	s.requests = 8;
	ck_assert(ring_put(r, &s));
	ring_close(r);
	r = ring_open(ring_path, &news);
	ck_assert_ptr_null(news);
	ck_assert_ptr_null(ring_get(r, 30000000));
	ck_assert_uint_eq(ring_get(r, s.minute)->requests, 8);
	for (uint64_t i = 1; i < 50; i++) {
		s.minute++;
		ck_assert(ring_put(r, &s));
	}
	ring_close(r);
	ck_assert_int_eq(stat(ring_path, &st), 0);
	/* one sample torn: left out, said, the rest stays */
	overwrite(40 + (off_t)(s.minute % RING_MINUTES) * ((st.st_size - 32) / RING_MINUTES), 8);
	r = ring_open(ring_path, &news);
	ck_assert_ptr_nonnull(news);
	ck_assert_ptr_null(ring_get(r, s.minute));
	ck_assert_ptr_nonnull(ring_get(r, s.minute - 1));
	ring_close(r);
	/* much of it: begun anew, the old kept aside */
	overwrite(100000, 200000);
	r = ring_open(ring_path, &news);
	ck_assert_ptr_nonnull(news);
	ck_assert_ptr_null(ring_get(r, s.minute - 1));
	ck_assert(ring_put(r, &s));
	ring_close(r);
	ck_assert_int_eq(truncate(ring_path, 1000), 0);
	r = ring_open(ring_path, &news);
	ck_assert_ptr_nonnull(news);
	ck_assert_ptr_null(ring_get(r, s.minute));
	ring_close(r);
	snprintf(bad, sizeof(bad), "%s.bad", ring_path);
	ck_assert_int_eq(unlink(bad), 0);
	unlink(ring_path);
	r = ring_open("/nowhere/at/all", &news);
	ck_assert_ptr_nonnull(news);
	ck_assert(ring_put(r, &s));	/* in memory */
	ring_close(r);
}
END_TEST

START_TEST(counters_become_samples)
{
	static const char one[] = "# HELP x\nsallyport_start_timestamp_seconds 1000\nsallyport_requests_total{door=\"outer\",method=\"INVITE\"} 5\n"
	    "sallyport_requests_total{door=\"inner\",method=\"INVITE\"} 5\nsallyport_connections{door=\"outer\",class=\"direct\"} 3\n"
	    "sallyport_refusals_total{reason=\"malformed\",door=\"outer\"} 1\n"
	    "sallyport_transaction_duration_seconds_bucket{le=\"0.001\"} 0\nsallyport_transaction_duration_seconds_bucket{le=\"0.01\"} 0\n"
	    "sallyport_transaction_duration_seconds_bucket{le=\"+Inf\"} 0\n";
	static const char two[] = "sallyport_start_timestamp_seconds 1000\nsallyport_requests_total{door=\"outer\",method=\"INVITE\"} 25\n"
	    "sallyport_refusals_total{reason=\"malformed\",door=\"outer\"} 4\n"
	    "sallyport_transaction_duration_seconds_bucket{le=\"0.001\"} 50\nsallyport_transaction_duration_seconds_bucket{le=\"0.01\"} 100\n"
	    "sallyport_transaction_duration_seconds_bucket{le=\"+Inf\"} 100\n";
	struct ring_sample s = { .minute = 1 };
	struct counters a, b;

	ck_assert(counters_read(&a, span_str(one)));
	ck_assert(counters_read(&b, span_str(two)));
	ck_assert_uint_eq(a.requests, 10);
	ck_assert_uint_eq(a.connections, 3);
	ck_assert_uint_eq(a.nbuckets, 3);
	sample_add(&s, &a, &b, 10);
	ck_assert_uint_eq(s.requests, 15);
	ck_assert_uint_eq(s.refused, 3);
	ck_assert_uint_eq(s.reasons[POLICY_REASON_MALFORMED], 3);
	ck_assert_uint_eq(s.p50_us, 1000);
	ck_assert_uint_eq(s.p95_us, 9100);
	ck_assert(!counters_read(&a, SPAN_LIT("nothing of ours\n{{{ }}} 5\nx{le=\"")));
}
END_TEST

START_TEST(charts_are_drawn)
{
	struct ring_sample s = { .seconds = 60, .requests = 600, .refused = 60, .p50_us = 1000, .p95_us = 2000, .p99_us = 3000 };
	const char *news;
	struct ring *r = ring_open(NULL, &news);
	static struct chart c;
	struct text t;

	s.reasons[POLICY_REASON_MALFORMED] = 60;
	for (uint64_t i = 0; i < 60; i++) {
		s.minute = 30000000 + i;
		ring_put(r, &s);
	}
	chart_traffic(&c, r, 30000059);
	ck_assert(fabs(c.point[CHART_POINTS - 1].v[0] - 10) < 1e-6);
	ck_assert(c.point[CHART_POINTS - 1].watched && !c.point[0].watched);
	chart_refusals(&c, r, 30000059);
	ck_assert_uint_eq(c.n, 1);
	ck_assert_str_eq(c.series[0].name, "malformed");
	text_init(&t, 1 << 20);
	chart_draw(&t, &c);
	ck_assert(!t.failed);
	ck_assert_ptr_nonnull(strstr(t.p, "<table>"));
	text_fini(&t);
	ck_assert(fabs(chart_round_up(0) - 1) < 1e-9 && fabs(chart_round_up(11) - 20) < 1e-9 && fabs(chart_round_up(0.3) - 0.5) < 1e-9);
	ring_close(r);
}
END_TEST

START_TEST(json_names_the_field)
{
	static const struct {
		const char	*body, *field;	/* field NULL: good */
		int		 status;
	} rows[] = {
		{ "{\"text\":\"x\",\"number\":5,\"flag\":true}", NULL, 0 },
		{ "{\"text\":\"x\"}", NULL, 0 },
		{ "{}", "text", 422 },
		{ "", "text", 422 },
		{ "{\"text\":5}", "text", 422 },
		{ "{\"text\":\"a\\u0000b\"}", "text", 422 },
		{ "{\"text\":\"x\",\"number\":\"5\"}", "number", 422 },
		{ "{\"text\":\"x\",\"number\":5.5}", "number", 422 },
		{ "{\"text\":\"x\",\"flag\":1}", "flag", 422 },
		{ "{\"text\":\"x\",\"other\":1}", "other", 422 },
		{ "{\"text\":\"x\",\"text\":\"y\"}", "", 400 },
		{ "[]", "", 422 },
		{ "nonsense", "", 400 },
		{ "{\"text\":\"\xff\"}", "", 400 }
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *text = NULL, *detail;
		int64_t n = 0;
		bool flag = false;
		const struct json_field fields[] = { { .name = "text", .kind = JSON_TEXT, .required = true, .text = &text },
		    { .name = "number", .kind = JSON_NUMBER, .number = &n }, { .name = "flag", .kind = JSON_FLAG, .flag = &flag },
		    { .name = NULL } };
		char field[64];
		int status = 0;
		json_t *o = json_read(span_str(rows[i].body), fields, &status, field, &detail);

		ck_assert_msg((o != NULL) == (rows[i].field == NULL), "%s", rows[i].body);
		if (o == NULL) {
			ck_assert_str_eq(field, rows[i].field);
			ck_assert_int_eq(status, rows[i].status);
		} else
			ck_assert_str_eq(text, "x");
		json_decref(o);
	}
}
END_TEST

static char kept[4096];

static void
keep(void *arg, uint64_t number, struct span line)
{
	unsigned char room[RECORD_SMALL];
	struct record_writer w;
	struct record r;

	(void)arg;
	record_begin(&w, room, sizeof(room), "refusal");
	ck_assert(recent_parse(line, &w));
	ck_assert(record_parse(&r, record_written(&w)));
	sprintf(kept + strlen(kept), "%llu:%.*s:%.*s:%.*s ", (unsigned long long)number, SPAN_FMT(record_get_text(&r, "reason")),
	    SPAN_FMT(record_get_text(&r, "from")), SPAN_FMT(record_get_text(&r, "ref")));
}

START_TEST(refusals_are_kept)
{
	log_keep("refused", 3);
	log_open("check", "/dev/null", SP_LOG_ERROR);	/* kept, though not shown */
	for (unsigned i = 0; i < 5; i++) {
		struct logrec l = log_begin(SP_LOG_NOTICE, "refused");

		log_word(&l, "reason", "malformed");
		log_outside(&l, "from", SPAN_LIT("a b\"=<x>"));
		log_uint(&l, "ref", i);
		log_end(&l);
		log_say(SP_LOG_NOTICE, "other", "not kept");
	}
	ck_assert_uint_eq(log_kept(0, keep, NULL), 5);
	ck_assert_str_eq(kept, "3:malformed:a b\\x22=<x>:2 4:malformed:a b\\x22=<x>:3 5:malformed:a b\\x22=<x>:4 ");
	kept[0] = '\0';
	ck_assert_uint_eq(log_kept(4, keep, NULL), 5);
	ck_assert_str_eq(kept, "5:malformed:a b\\x22=<x>:4 ");
	kept[0] = '\0';
	ck_assert_uint_eq(log_kept(99, keep, NULL), 5);
	ck_assert_str_eq(kept, "");
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { escapes, formats, forms, forms_have_a_limit, cookies, sessions_end_in_time,
	    sessions_follow_the_account, guessing_is_slowed_down, the_owner_is_not_locked_out, a_crowd_of_names_frees_nobody, ring_survives,
	    counters_become_samples, charts_are_drawn, json_names_the_field, refusals_are_kept };

	return unit_run("page", tests, sizeof(tests) / sizeof(tests[0]));
}
