/*
 * net/stats.c - see stats.h.
 */
#include "net/stats.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "net/worker.h"

#define LINE		64	/* bytes of a cache line */
#define SCALE_MS	1e6	/* a sum of microseconds, in seconds */
#define SCALE_FINE	1e9

enum type { TYPE_COUNTER, TYPE_GAUGE, TYPE_HISTOGRAM, TYPE_FINE, TYPE_WORKER, TYPE_SEEN, TYPE_SEEN_GAUGE };

struct block {
	_Alignas(LINE) _Atomic uint64_t cell[STATS_CELLS];
	_Atomic uint64_t	 partner[STATS_PARTNERS_MAX][STATS_NPARTNER];
	_Atomic uint64_t	 last[STATS_PARTNERS_MAX][STATS_NPARTNER];	/* when, and in the low 16 bits why */
};

/* What nobody has touched costs no memory. Blocks outlive their workers: what was counted stays counted. */
static struct block common;	/* of all threads that are no workers; they share it */
static struct block blocks[NET_WORKERS_MAX];
static atomic_bool used[NET_WORKERS_MAX];
static _Thread_local struct block *mine;

static pthread_mutex_t names_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(const char *) names[STATS_PARTNERS_MAX];	/* 0 is "other" */
static _Atomic unsigned nnames = 1;

static const struct {
	const char	*name, *help;
	enum type	 type;
	enum stats_set	 a, b;
	unsigned	 at;
} metrics[STATS_NMETRICS] = {
#define X(e, name, type, a, b, help) [STATS_##e] = { name, help, TYPE_##type, STATS_SET_##a, STATS_SET_##b, STATS_AT_##e },
	STATS_METRICS(X)
#undef X
};

static const struct {
	const char	*label;
	unsigned	 n;
} sets[STATS_NSETS] = {
#define X(e, label, n) [STATS_SET_##e] = { label, n },
	STATS_SETS(X)
#undef X
};

/* Upper bounds in the unit of the sum; and as they are written. */
static const struct { uint64_t us; const char *text; } coarse[STATS_BUCKETS - 1] = {
	{ 1000, "0.001" }, { 2500, "0.0025" }, { 5000, "0.005" }, { 10000, "0.01" }, { 25000, "0.025" },
	{ 50000, "0.05" }, { 100000, "0.1" }, { 250000, "0.25" }, { 500000, "0.5" }, { 1000000, "1" },
	{ 2500000, "2.5" }, { 5000000, "5" }, { 10000000, "10" }, { 30000000, "30" }
};
static const struct { uint64_t ns; const char *text; } fine[STATS_BUCKETS - 1] = {
	{ 1000, "1e-06" }, { 2500, "2.5e-06" }, { 5000, "5e-06" }, { 10000, "1e-05" }, { 25000, "2.5e-05" },
	{ 50000, "5e-05" }, { 100000, "0.0001" }, { 250000, "0.00025" }, { 500000, "0.0005" }, { 1000000, "0.001" },
	{ 2500000, "0.0025" }, { 5000000, "0.005" }, { 10000000, "0.01" }, { 100000000, "0.1" }
};

static const char *const partner_metrics[STATS_NPARTNER][2] = {
	[STATS_PARTNER_IN] = { "sallyport_partner_requests_received_total", "Requests of a partner that were let pass." },
	[STATS_PARTNER_OUT] = { "sallyport_partner_requests_sent_total", "Requests to a partner." },
	[STATS_PARTNER_REFUSED] = { "sallyport_partner_refusals_total", "Requests of a partner that were refused." },
	[STATS_PARTNER_FAILED] = { "sallyport_partner_failures_total", "Requests to a partner that came to nothing." },
	[STATS_PARTNER_UNMADE] = { "sallyport_partner_connection_failures_total", "Connections with a partner that came to nothing." },
};

const char *
stats_shared_name(enum stats_shared r)
{
	static const char *const text[STATS_NSHARED] = {
#define X(e, label) label,
		STATS_SHARED_REASONS(X)
#undef X
	};

	return r < STATS_NSHARED ? text[r] : text[0];
}

/* ---- counting ---- */

/* Only the owner writes; a reader sees the value before or after. */
static inline void
add_own(_Atomic uint64_t *c, uint64_t n)
{
	atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n, memory_order_relaxed);
}

void
stats_add(unsigned cell, uint64_t n)
{
	if (mine != NULL)
		add_own(&mine->cell[cell], n);
	else
		atomic_fetch_add_explicit(&common.cell[cell], n, memory_order_relaxed);
}

void
stats_put(unsigned cell, uint64_t value)
{
	uint64_t others = stats_value(cell) - atomic_load_explicit(&common.cell[cell], memory_order_relaxed);

	atomic_store_explicit(&common.cell[cell], value - others, memory_order_relaxed);
}

void
stats_histogram(enum stats_metric m, unsigned first, uint64_t v)
{
	unsigned i = 0;

	while (i < STATS_BUCKETS - 1 && v > (metrics[m].type == TYPE_FINE ? fine[i].ns : coarse[i].us))
		i++;
	stats_add(first + i, 1);
	stats_add(first + STATS_BUCKETS, v);
}

void
stats_reloaded(bool good)
{
	stats_count(RELOADS, good ? STATS_OK : STATS_FAILED, 0);
	stats_set(RELOADED, good ? STATS_OK : STATS_FAILED, 0, (uint64_t)clock_wall());
}

void
stats_enter(unsigned worker)
{
	if (worker >= NET_WORKERS_MAX)
		return;
	mine = &blocks[worker];
	atomic_store(&used[worker], true);
}

/* ---- partners ---- */

unsigned
stats_partner(const char *name)
{
	unsigned n, i;

	pthread_mutex_lock(&names_lock);
	n = atomic_load(&nnames);
	for (i = 1; i < n && strcmp(atomic_load(&names[i]), name) != 0; i++)
		;
	if (i == n && n < STATS_PARTNERS_MAX) {
		atomic_store(&names[n], xstrdup(name));
		atomic_store(&nnames, n + 1);
	} else if (i == n) {
		i = 0;
	}
	pthread_mutex_unlock(&names_lock);
	return i;
}

void
stats_partner_count(unsigned number, enum stats_of_partner what)
{
	unsigned i = number < STATS_PARTNERS_MAX ? number : 0;

	if (mine != NULL)
		add_own(&mine->partner[i][what], 1);
	else
		atomic_fetch_add_explicit(&common.partner[i][what], 1, memory_order_relaxed);
}

void
stats_partner_because(unsigned number, enum stats_of_partner what, enum policy_reason why)
{
	struct block *b = mine != NULL ? mine : &common;
	unsigned i = number < STATS_PARTNERS_MAX ? number : 0;

	_Static_assert(POLICY_NREASONS <= 1 << 16, "a reason fits beside a time");
	stats_partner_count(number, what);
	atomic_store_explicit(&b->last[i][what], (uint64_t)clock_wall() << 16 | (unsigned)why, memory_order_relaxed);
}

/* ---- reading ---- */

uint64_t
stats_value(unsigned cell)
{
	uint64_t sum = atomic_load_explicit(&common.cell[cell], memory_order_relaxed);

	for (unsigned w = 0; w < NET_WORKERS_MAX; w++)
		if (atomic_load_explicit(&used[w], memory_order_relaxed))
			sum += atomic_load_explicit(&blocks[w].cell[cell], memory_order_relaxed);
	return sum;
}

static uint64_t
partner_value(unsigned i, enum stats_of_partner what)
{
	uint64_t sum = atomic_load_explicit(&common.partner[i][what], memory_order_relaxed);

	for (unsigned w = 0; w < NET_WORKERS_MAX; w++)
		if (atomic_load_explicit(&used[w], memory_order_relaxed))
			sum += atomic_load_explicit(&blocks[w].partner[i][what], memory_order_relaxed);
	return sum;
}

uint64_t
stats_partner_value(unsigned number, enum stats_of_partner what)
{
	return partner_value(number < STATS_PARTNERS_MAX ? number : 0, what);
}

bool
stats_partner_last(unsigned number, enum stats_of_partner what, enum policy_reason *why, time_t *at)
{
	unsigned i = number < STATS_PARTNERS_MAX ? number : 0;
	uint64_t last = atomic_load_explicit(&common.last[i][what], memory_order_relaxed);

	for (unsigned w = 0; w < NET_WORKERS_MAX; w++) {
		uint64_t v = atomic_load_explicit(&blocks[w].last[i][what], memory_order_relaxed);

		last = v > last ? v : last;
	}
	*at = (time_t)(last >> 16);
	*why = (enum policy_reason)(last & 0xffff);
	return last != 0;
}

/* ---- text ---- */

const char *
stats_class_name(unsigned class)
{
	static const char *const far_ends[] = { "client", "edge", "pool", "route", "server" };

	return class >= POLICY_NCLASSES && class < STATS_NCLASSES ? far_ends[class - POLICY_NCLASSES] :
	    policy_class_name((enum policy_class)class);
}

const char *
stats_limit_name(enum stats_limit limit)
{
	static const char *const limits[] = {
#define X(e, name, what) name,
		STATS_LIMITS(X)
#undef X
	};

	return limit < STATS_NLIMITS ? limits[limit] : "";
}

static const char *
value_name(enum stats_set set, unsigned i, char store[16])
{
	static const char *const directions[] = { "in", "out" }, *const kinds[] = { "request", "response" },
	    *const origins[] = { "passed", "own" }, *const statuses[] = { "1xx", "2xx", "3xx", "4xx", "5xx", "6xx" },
	    *const results[] = { "ok", "failed" }, *const ends[] = { "answered", "refused", "oneway" },
	    *const timeouts[] = { "request", "target", "ring" }, *const answers[] = { "failed", "none", "found" },
	    *const tokens[] = { "made", "good", "forged" },
	    *const guesses[] = { "user-and-source", "source", "user" },
	    *const signatures[] = { "made", "good", "wrong", "replayed", "expired" },
	    *const mechanisms[] = { "none", "ntlm", "kerberos", "digest" };

	switch (set) {
	case STATS_SET_DOOR:	return policy_side_name((enum policy_side)i);
	case STATS_SET_CLASS:	return stats_class_name(i);
	case STATS_SET_METHOD:	return policy_method_name((enum policy_method)i);
	case STATS_SET_REASON:	return policy_reason_name((enum policy_reason)i);
	case STATS_SET_DIRECTION: return directions[i];
	case STATS_SET_KIND:	return kinds[i];
	case STATS_SET_ORIGIN:	return origins[i];
	case STATS_SET_STATUS:	return statuses[i];
	case STATS_SET_RESULT:	return results[i];
	case STATS_SET_END:	return ends[i];
	case STATS_SET_TIMEOUT:	return timeouts[i];
	case STATS_SET_ANSWER:	return answers[i];
	case STATS_SET_TOKEN:	return tokens[i];
	case STATS_SET_MECHANISM: return mechanisms[i];
	case STATS_SET_GUESS:	return guesses[i];
	case STATS_SET_SIGNATURE: return signatures[i];
	case STATS_SET_LIMIT:	return stats_limit_name((enum stats_limit)i);
	case STATS_SET_SHARED_REASON: return stats_shared_name((enum stats_shared)i);
	case STATS_SET_PROCESS:	return lives_name((enum lives_of)i);
	case STATS_SET_CACHE:	return lives_cache_name((enum lives_cache)i);
	case STATS_SET_IDENTITY:
		if (i % STATS_IDENTITY_DIAL == STATS_IDENTITY_INNER)
			return i < STATS_IDENTITY_DIAL ? "inner" : "inner-dial";
		snprintf(store, 16, i < STATS_IDENTITY_DIAL ? "door%u" : "door%u-dial", i % STATS_IDENTITY_DIAL);
		return store;
	case STATS_SET_NONE:
	case STATS_SET_BUCKETS:
	case STATS_NSETS:
		break;
	}
	return "";
}

/* A label's value (back slash, quote and line feed escaped; other control bytes and what is no ASCII as \xHH, itself escaped). */
static void
put_escaped(FILE *f, const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
		if (*p == '\\' || *p == '"')
			fprintf(f, "\\%c", *p);
		else if (*p == '\n')
			fputs("\\n", f);
		else if (*p < 0x20 || *p >= 0x7f)
			fprintf(f, "\\\\x%02x", *p);
		else
			fputc(*p, f);
	}
}

/* name{a="..",b=".." without the closing brace; le is put in by who needs it. */
static unsigned
put_labels(FILE *f, enum stats_set a, unsigned i, enum stats_set b, unsigned j)
{
	char store[16];
	unsigned n = 0;

	fputc('{', f);
	if (sets[a].n > 1)
		fprintf(f, "%s%s=\"%s\"", n++ > 0 ? "," : "", sets[a].label, value_name(a, i, store));
	if (sets[b].n > 1 && b != STATS_SET_BUCKETS)
		fprintf(f, "%s%s=\"%s\"", n++ > 0 ? "," : "", sets[b].label, value_name(b, j, store));
	return n;
}

/* May a gauge's sum be shown? It is taken while the workers go on, and might be one short of none. */
static uint64_t
at_least_none(uint64_t v)
{
	return (int64_t)v < 0 ? 0 : v;
}

static void
put_histogram(FILE *f, unsigned m)
{
	bool is_fine = metrics[m].type == TYPE_FINE;

	for (unsigned i = 0; i < sets[metrics[m].a].n; i++) {
		unsigned at = metrics[m].at + i * STATS_CELLS_OF_HISTOGRAM;
		uint64_t sum = 0;

		for (unsigned j = 0; j < STATS_BUCKETS; j++) {
			sum += stats_value(at + j);
			fprintf(f, "%s_bucket", metrics[m].name);
			if (put_labels(f, metrics[m].a, i, STATS_SET_BUCKETS, 0) > 0)
				fputc(',', f);
			fprintf(f, "le=\"%s\"} %llu\n", j == STATS_BUCKETS - 1 ? "+Inf" :
			    is_fine ? fine[j].text : coarse[j].text, (unsigned long long)sum);
		}
		fprintf(f, "%s_sum", metrics[m].name);
		put_labels(f, metrics[m].a, i, STATS_SET_BUCKETS, 0);
		fprintf(f, "} %.9g\n%s_count", (double)stats_value(at + STATS_BUCKETS) / (is_fine ? SCALE_FINE : SCALE_MS),
		    metrics[m].name);
		put_labels(f, metrics[m].a, i, STATS_SET_BUCKETS, 0);
		fprintf(f, "} %llu\n", (unsigned long long)sum);
	}
}

static void
put_workers(FILE *f, unsigned m)
{
	for (unsigned w = 0; w < NET_WORKERS_MAX; w++)
		if (atomic_load_explicit(&used[w], memory_order_relaxed))
			fprintf(f, "%s{worker=\"%u\"} %llu\n", metrics[m].name, w, (unsigned long long)
			    at_least_none(atomic_load_explicit(&blocks[w].cell[metrics[m].at], memory_order_relaxed)));
}

static void
put_values(FILE *f, unsigned m)
{
	unsigned nb = sets[metrics[m].b].n;

	for (unsigned i = 0; i < sets[metrics[m].a].n; i++)
		for (unsigned j = 0; j < nb; j++) {
			uint64_t v = stats_value(metrics[m].at + i * nb + j);

			if (v == 0 && metrics[m].type >= TYPE_SEEN)
				continue;
			fputs(metrics[m].name, f);
			if (sets[metrics[m].a].n > 1 || nb > 1) {
				put_labels(f, metrics[m].a, i, metrics[m].b, j);
				fputc('}', f);
			}
			fprintf(f, " %llu\n", (unsigned long long)(metrics[m].type == TYPE_GAUGE ? at_least_none(v) : v));
		}
}

static void
put_head(FILE *f, const char *name, const char *type, const char *help)
{
	fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void
put_partners(FILE *f)
{
	unsigned n = atomic_load(&nnames);

	for (unsigned what = 0; what < STATS_NPARTNER; what++) {
		put_head(f, partner_metrics[what][0], "counter", partner_metrics[what][1]);
		for (unsigned i = n < STATS_PARTNERS_MAX ? 1 : 0; i < n; i++) {
			fprintf(f, "%s{partner=\"", partner_metrics[what][0]);
			put_escaped(f, i == 0 ? "other" : atomic_load(&names[i]));
			fprintf(f, "\"} %llu\n", (unsigned long long)partner_value(i, what));
		}
	}
}

char *
stats_prometheus(const char *program, const char *version, size_t *n)
{
	static const char *const types[] = {
		[TYPE_COUNTER] = "counter", [TYPE_GAUGE] = "gauge", [TYPE_HISTOGRAM] = "histogram",
		[TYPE_FINE] = "histogram", [TYPE_WORKER] = "gauge", [TYPE_SEEN] = "counter",
		[TYPE_SEEN_GAUGE] = "gauge"
	};
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	if (f == NULL)
		abort();
	put_head(f, "sallyport_build_info", "gauge", "Which program this is; always 1.");
	fputs("sallyport_build_info{program=\"", f);
	put_escaped(f, program);
	fputs("\",version=\"", f);
	put_escaped(f, version);
	fputs("\"} 1\n", f);
	/* counted where there are no metrics */
	stats_put(STATS_CELL(LOG_LOST, 0, 0), log_lost());
	for (unsigned i = 0; i < LIVES_N; i++) {
		stats_put(STATS_CELL(RESTARTS, i, 0), lives_again_count((enum lives_of)i));
		stats_put(STATS_CELL(HUNG, i, 0), lives_hung_count((enum lives_of)i));
	}
	for (unsigned i = 0; i < LIVES_NCACHES; i++)
		stats_put(STATS_CELL(AUTHD_ENTRIES, i, 0), lives_cache((enum lives_cache)i));
	stats_put(STATS_CELL(LIMIT_HITS, STATS_LIMIT_GUESSES, 0), lives_cache_full(LIVES_GUESSES));
	stats_put(STATS_CELL(LIMIT_HITS, STATS_LIMIT_REPLAYS, 0), lives_cache_full(LIVES_REPLAYS));
	stats_put(STATS_CELL(LIMIT_HITS, STATS_LIMIT_DIRECTORY_ENTRIES, 0), lives_cache_full(LIVES_USERS));
	for (unsigned m = 0; m < STATS_NMETRICS; m++) {
		put_head(f, metrics[m].name, types[metrics[m].type], metrics[m].help);
		if (metrics[m].type == TYPE_HISTOGRAM || metrics[m].type == TYPE_FINE)
			put_histogram(f, m);
		else if (metrics[m].type == TYPE_WORKER)
			put_workers(f, m);
		else
			put_values(f, m);
	}
	put_partners(f);
	if (fclose(f) != 0)
		abort();	/* out of memory, like anybody else */
	if (n != NULL)
		*n = size;
	return text;
}
