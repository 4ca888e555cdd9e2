/*
 * admin/http/sample.c - see sample.h.
 */
#include "admin/http/sample.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/http/ask.h"
#include "admin/http/site.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"

#define LATENCY	"sallyport_transaction_duration_seconds_bucket"

/* ---- reading ---- */

/* The value of a label in `{a="x",b="y"}`; empty if it is not there. Ours have no escapes. */
static struct span
label(struct span labels, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i + n + 2 < labels.n; i++)
		if ((i == 0 || labels.p[i - 1] == '{' || labels.p[i - 1] == ',') && memcmp(labels.p + i, name, n) == 0 &&
		    labels.p[i + n] == '=' && labels.p[i + n + 1] == '"') {
			struct span rest = span_tail(labels, i + n + 2);

			return span_head(rest, span_find(rest, '"'));
		}
	return SPAN_NONE;
}

static double
number_of(struct span s)
{
	char text[40];

	s = span_trim(s);
	if (s.n == 0 || s.n >= sizeof(text))
		return 0;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	return strtod(text, NULL);
}

static uint64_t
count_of(struct span s)
{
	double v = number_of(s);

	return v >= 0 && v < 1e18 ? (uint64_t)v : 0;
}

static void
take_reason(struct counters *c, struct span name, uint64_t n)
{
	for (int i = 0; i < POLICY_NREASONS; i++)
		if (span_is(name, policy_reason_name((enum policy_reason)i)))
			c->reasons[i] += n;
}

static void
take_line(struct counters *c, struct span line, bool *ours)
{
	struct span name = span_head(line, span_find(line, ' ')), labels = SPAN_NONE, value;
	size_t brace = span_find(line, '{');

	if (brace < line.n) {
		size_t end = span_find(line, '}');

		name = span_head(line, brace);
		labels = span_head(span_tail(line, brace), end > brace ? end - brace : 0);
		value = span_tail(line, end + 1);
	} else
		value = span_tail(line, name.n);
	if (span_is(name, "sallyport_start_timestamp_seconds")) {
		c->started = count_of(value);
		*ours = true;
	} else if (span_is(name, "sallyport_requests_total"))
		c->requests += count_of(value);
	else if (span_is(name, "sallyport_connections"))
		c->connections += count_of(value);
	else if (span_is(name, "sallyport_refusals_total")) {
		c->refused += count_of(value);
		take_reason(c, label(labels, "reason"), count_of(value));
	} else if (span_is(name, LATENCY) && c->nbuckets < SAMPLE_BUCKETS) {
		struct span le = label(labels, "le");

		c->le[c->nbuckets] = span_is(le, "+Inf") ? HUGE_VAL : number_of(le);
		c->bucket[c->nbuckets++] = count_of(value);
	}
}

bool
counters_read(struct counters *c, struct span text)
{
	bool ours = false;

	memset(c, 0, sizeof(*c));
	while (text.n != 0) {
		struct span line = span_head(text, span_find(text, '\n'));

		text = span_tail(text, line.n + 1);
		if (line.n != 0 && line.p[0] != '#')
			take_line(c, line, &ours);
	}
	return ours;
}

/* ---- what happened in between ---- */

static uint64_t
grown(uint64_t was, uint64_t now)
{
	return now > was ? now - was : 0;
}

uint32_t
sample_quantile(const struct counters *was, const struct counters *now, double share)
{
	uint64_t all, before = 0;
	double floor_s = 0;

	if (now->nbuckets == 0 || was->nbuckets != now->nbuckets)
		return 0;
	if ((all = grown(was->bucket[now->nbuckets - 1], now->bucket[now->nbuckets - 1])) == 0)
		return 0;
	for (unsigned i = 0; i < now->nbuckets; i++) {
		uint64_t upto = grown(was->bucket[i], now->bucket[i]);
		double want = share * (double)all;

		if ((double)upto >= want) {
			/* within a bucket, evenly; the last has no end, so its beginning is what is known */
			double s = isinf(now->le[i]) || upto == before ? floor_s :
			    floor_s + (now->le[i] - floor_s) * (want - (double)before) / (double)(upto - before);

			return s * 1e6 < 1 ? 1 : s > 4000 ? UINT32_MAX : (uint32_t)(s * 1e6);
		}
		before = upto;
		floor_s = isinf(now->le[i]) ? floor_s : now->le[i];
	}
	return 0;
}

void
sample_add(struct ring_sample *s, const struct counters *was, const struct counters *now, unsigned seconds)
{
	uint32_t p;

	s->seconds += seconds;
	s->connections = now->connections > UINT32_MAX ? UINT32_MAX : (uint32_t)now->connections;
	s->requests += grown(was->requests, now->requests);
	s->refused += grown(was->refused, now->refused);
	for (int i = 0; i < RING_REASONS; i++)
		s->reasons[i] += (uint32_t)grown(was->reasons[i], now->reasons[i]);
	/* of several looks in a minute the worst counts */
	if ((p = sample_quantile(was, now, .50)) > s->p50_us)
		s->p50_us = p;
	if ((p = sample_quantile(was, now, .95)) > s->p95_us)
		s->p95_us = p;
	if ((p = sample_quantile(was, now, .99)) > s->p99_us)
		s->p99_us = p;
}

/* ---- the one who looks ---- */

struct sampler {
	struct site		*site;
	enum ask_daemon		 daemon;
	uint64_t		 next_ms, last_ms;
	bool			 has_last, complained;
	struct counters		 last;
};

struct sampler *
sampler_new(struct site *site, enum ask_daemon daemon)
{
	struct sampler *p = xcalloc(1, sizeof(*p));

	p->site = site;
	p->daemon = daemon;
	return p;
}

void
sampler_free(struct sampler *p)
{
	free(p);
}

static bool
look(struct sampler *p, struct counters *c)
{
	struct answer a;
	struct text all;
	bool good;

	ask(p->site, p->daemon, "metrics", NULL, &a);
	text_init(&all, ASK_BYTES_MAX);
	for (size_t i = 0; i < a.n; i++) {
		struct span piece = record_get_text(&a.v[i], "text");

		text_add(&all, piece.p, piece.n);
	}
	good = a.result == ASK_OK && counters_read(c, span_of(all.p, all.n));
	text_fini(&all);
	answer_fini(&a);
	return good;
}

/* Put what happened since the last look into the sample of this minute. */
static void
store(struct sampler *p, const struct counters *c, unsigned seconds)
{
	uint64_t minute = (uint64_t)clock_wall() / 60;
	struct ring *ring = p->daemon == ASK_DIRECTOR ? p->site->director_ring : p->site->ring;
	const struct ring_sample *old;
	struct ring_sample s = { .minute = minute };
	bool good;

	pthread_mutex_lock(&p->site->lock);
	if ((old = ring_get(ring, minute)) != NULL)
		s = *old;
	sample_add(&s, &p->last, c, seconds);
	good = ring_put(ring, &s);
	pthread_mutex_unlock(&p->site->lock);
	if (!good && !p->complained)
		log_say(SP_LOG_WARNING, "charts", "%s: %s; what is sampled now is lost with a restart", p->site->conf->charts,
		    strerror(errno));
	p->complained = !good;
}

void
sampler_tick(struct sampler *p)
{
	uint64_t now = clock_ms();
	struct counters c;

	if (now < p->next_ms)
		return;
	p->next_ms = now + (uint64_t)p->site->conf->sample * 1000;
	if (!look(p, &c)) {
		p->has_last = false;	/* a gap in the charts, rather than a guess */
		return;
	}
	/* after a restart all counters are those since then */
	if (p->has_last && c.started != p->last.started)
		memset(&p->last, 0, sizeof(p->last));
	if (p->last.nbuckets == 0) {
		p->last.nbuckets = c.nbuckets;
		memcpy(p->last.le, c.le, sizeof(p->last.le));
	}
	if (p->has_last)
		store(p, &c, (unsigned)((now - p->last_ms + 500) / 1000));
	p->last = c;
	p->last_ms = now;
	p->has_last = true;
}
