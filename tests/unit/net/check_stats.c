/*
 * Counters: what several threads count adds up, and what is told of it is Prometheus' text.
 */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "net/stats.h"

#define THREADS	4
#define TIMES	100000

static char *text;
static size_t size;

static void
tell(void)
{
	free(text);
	text = stats_prometheus("check", "1.2.3", &size);
	ck_assert_uint_eq(strlen(text), size);
}

/* That very line is there. */
static bool
has(const char *line)
{
	size_t n = strlen(line);

	for (const char *p = text; (p = strstr(p, line)) != NULL; p++)
		if ((p == text || p[-1] == '\n') && p[n] == '\n')
			return true;
	return false;
}

static void *
worker(void *arg)
{
	if (*(unsigned *)arg < THREADS - 1)	/* the last is no worker */
		stats_enter(*(unsigned *)arg);
	for (int i = 0; i < TIMES; i++) {
		stats_count(REFUSALS, POLICY_REASON_LOOP, POLICY_SIDE_OUTER);
		stats_move(TRANSACTIONS, 0, 0, 1);
		if (i % 2 == 0)
			stats_move(TRANSACTIONS, 0, 0, -1);
	}
	return NULL;
}

START_TEST(threads_add_up)
{
	pthread_t t[THREADS];
	unsigned id[THREADS];
	char line[128];

	for (unsigned i = 0; i < THREADS; i++) {
		id[i] = i;
		ck_assert_int_eq(pthread_create(&t[i], NULL, worker, &id[i]), 0);
	}
	tell();		/* while they count: any number, but no broken text */
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	tell();
	snprintf(line, sizeof(line), "sallyport_refusals_total{reason=\"loop\",door=\"outer\"} %d", THREADS * TIMES);
	ck_assert(has(line));
	snprintf(line, sizeof(line), "sallyport_transactions %d", THREADS * TIMES / 2);
	ck_assert(has(line));
	ck_assert_uint_eq(stats_value(STATS_CELL(REFUSALS, POLICY_REASON_LOOP, POLICY_SIDE_OUTER)), THREADS * TIMES);
}
END_TEST

START_TEST(gauges)
{
	stats_set(LIMIT, STATS_LIMIT_CONNECTIONS, 0, 50000);
	stats_set(LIMIT, STATS_LIMIT_CONNECTIONS, 0, 40000);
	stats_move(CONNECTIONS, POLICY_SIDE_OUTER, POLICY_CLASS_DIRECT, 1);
	stats_move(CONNECTIONS, POLICY_SIDE_OUTER, STATS_CLASS_EDGE, -1);	/* seen in the middle of a change */
	tell();
	ck_assert(has("sallyport_limit{limit=\"connections\"} 40000"));
	ck_assert(has("sallyport_connections{door=\"outer\",class=\"direct\"} 1"));
	ck_assert(has("sallyport_connections{door=\"outer\",class=\"edge\"} 0"));
	ck_assert(has("# TYPE sallyport_connections gauge"));
	ck_assert_ptr_null(strstr(text, "sallyport_certificate_not_after_timestamp_seconds{"));
	stats_set(NOT_AFTER, STATS_IDENTITY_INNER, 0, 1800000000);
	stats_set(NOT_AFTER, STATS_IDENTITY_DIAL + 3, 0, 1900000000);
	tell();
	ck_assert(has("sallyport_certificate_not_after_timestamp_seconds{identity=\"inner\"} 1800000000"));
	ck_assert(has("sallyport_certificate_not_after_timestamp_seconds{identity=\"door3-dial\"} 1900000000"));
}
END_TEST

START_TEST(histograms)
{
	stats_time(HANDSHAKE_SECONDS, STATS_IN, 1000);		/* a bound belongs to its bucket */
	stats_time(HANDSHAKE_SECONDS, STATS_IN, 1001);
	stats_time(HANDSHAKE_SECONDS, STATS_IN, 60000000);
	stats_time(DECISION_SECONDS, 0, 700);
	tell();
	ck_assert(has("sallyport_handshake_duration_seconds_bucket{direction=\"in\",le=\"0.001\"} 1"));
	ck_assert(has("sallyport_handshake_duration_seconds_bucket{direction=\"in\",le=\"0.0025\"} 2"));
	ck_assert(has("sallyport_handshake_duration_seconds_bucket{direction=\"in\",le=\"30\"} 2"));
	ck_assert(has("sallyport_handshake_duration_seconds_bucket{direction=\"in\",le=\"+Inf\"} 3"));
	ck_assert(has("sallyport_handshake_duration_seconds_count{direction=\"in\"} 3"));
	ck_assert(has("sallyport_handshake_duration_seconds_sum{direction=\"in\"} 60.002001"));
	ck_assert(has("sallyport_handshake_duration_seconds_count{direction=\"out\"} 0"));
	ck_assert(has("sallyport_decision_duration_seconds_bucket{le=\"1e-06\"} 1"));
	ck_assert(has("sallyport_decision_duration_seconds_sum{} 7e-07"));
}
END_TEST

/* A number that is no value counts as the first one, never beside the table. */
START_TEST(out_of_range)
{
	stats_count(REFUSALS, 100000, -1);
	stats_count(RESPONSES, 7, STATS_STATUS(7));
	stats_partner_count(100000, STATS_PARTNER_IN);
	tell();
	ck_assert(has("sallyport_refusals_total{reason=\"undecided\",door=\"unknown\"} 1"));
	ck_assert(has("sallyport_responses_total{origin=\"passed\",status=\"1xx\"} 1"));
}
END_TEST

START_TEST(partners)
{
	unsigned a = stats_partner("sip.partner.example"), b = stats_partner("b.example");
	unsigned evil = stats_partner("x\"} 1\n# TYPE evil\\counter\r\x1b[31m\xff");
	char name[32];

	ck_assert_uint_ne(a, b);
	ck_assert_uint_eq(stats_partner("sip.partner.example"), a);
	stats_partner_count(a, STATS_PARTNER_OUT);
	stats_partner_count(a, STATS_PARTNER_OUT);
	stats_partner_count(evil, STATS_PARTNER_REFUSED);
	tell();
	ck_assert(has("sallyport_partner_requests_sent_total{partner=\"sip.partner.example\"} 2"));
	ck_assert(has("sallyport_partner_requests_sent_total{partner=\"b.example\"} 0"));
	ck_assert(has("sallyport_partner_refusals_total{partner=\"x\\\"} 1\\n# TYPE evil\\\\counter\\\\x0d\\\\x1b[31m\\\\xff\"} 1"));
	ck_assert_ptr_null(strstr(text, "partner=\"other\""));
	for (int i = 0; i < STATS_PARTNERS_MAX; i++) {
		snprintf(name, sizeof(name), "p%d.example", i);
		a = stats_partner(name);
	}
	ck_assert_uint_eq(a, 0);
	stats_partner_count(a, STATS_PARTNER_IN);
	tell();
	ck_assert(has("sallyport_partner_requests_received_total{partner=\"other\"} 1"));
}
END_TEST

/* What has a cause keeps the last one, with its time. */
START_TEST(last_cause)
{
	unsigned n = stats_partner("because.example");
	enum policy_reason why;
	time_t at, before = clock_wall();	/* time(2) may be a tick behind it */

	ck_assert(!stats_partner_last(n, STATS_PARTNER_REFUSED, &why, &at));
	stats_partner_because(n, STATS_PARTNER_REFUSED, POLICY_REASON_PARTNER_PAUSED);
	ck_assert_uint_eq(stats_partner_value(n, STATS_PARTNER_REFUSED), 1);
	ck_assert(stats_partner_last(n, STATS_PARTNER_REFUSED, &why, &at));
	ck_assert_int_eq(why, POLICY_REASON_PARTNER_PAUSED);
	ck_assert(at >= before && at <= clock_wall());
	ck_assert(!stats_partner_last(n, STATS_PARTNER_UNMADE, &why, &at));
}
END_TEST

/* Nothing but printable ASCII and line feeds, and each line is a comment or a sample. */
START_TEST(text_is_clean)
{
	stats_partner("\x01\x80\n\n");
	tell();
	for (size_t i = 0; i < size; i++)
		ck_assert(text[i] == '\n' || (text[i] >= ' ' && text[i] < 0x7f));
	for (char *p = text; *p != '\0'; p = strchr(p, '\n') + 1)
		ck_assert(strncmp(p, "# HELP sallyport_", 17) == 0 || strncmp(p, "# TYPE sallyport_", 17) == 0 ||
		    strncmp(p, "sallyport_", 10) == 0);
	ck_assert_int_eq(text[size - 1], '\n');
	ck_assert(has("sallyport_build_info{program=\"check\",version=\"1.2.3\"} 1"));
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { threads_add_up, gauges, histograms, out_of_range, partners, last_cause, text_is_clean };

	return unit_run("stats", tests, sizeof(tests) / sizeof(tests[0]));
}
