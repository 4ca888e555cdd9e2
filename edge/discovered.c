/*
 * edge/discovered.c - see discovered.h.
 */
#include "edge/discovered.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/hash.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/strbuf.h"

#define SHARDS		16
#define BUCKETS		64	/* of each shard */
#define REPORTED_MAX	500	/* partners in one report; then a line that says how many more */
#define TABLE_RETRY	60	/* seconds */
#define SWEEP_MS	1000
#define UNTOLD_MAX	1000000	/* requests; other nodes read no larger number */

/* A final response: when, and whether it was a failure that tells of guessing. */
struct outcome {
	uint64_t	at;
	bool		failed;
};

struct record {
	struct record	*next;		/* of the same bucket */
	uint64_t	 key;
	unsigned char	 fingerprint[32];
	char		*subject, *issuer, *serial;
	char		*domain[EDGE_DISCOVERED_DOMAINS];
	unsigned	 ndomains;
	/* rate: tokens in thousandths, and when they were counted last */
	uint64_t	 tokens, counted_at;
	/* the window, a ring */
	struct outcome	*outcomes;
	unsigned	 first, noutcomes, nfailed;
	bool		 suspicious;
	uint64_t	 bad_at;	/* when it was last */
	/* addressees: a set of numbers, open addressing; 0: free */
	uint64_t	*seen;
	unsigned	 nseen, maxseen;
	bool		 limit_said;
	unsigned	 elsewhere;	/* addressees that the array's other nodes have let pass */
	uint32_t	 untold;	/* requests that passed since they were told */
	bool		 heard;		/* something came since they were told */
	uint64_t	 requests, refused_rate, refused_addressees, recent;
	uint64_t	 heard_at;
};

struct shard {
	pthread_mutex_t	 lock;
	struct record	*bucket[BUCKETS];
};

struct edge_discovered {
	struct edge_discovered_limits	 limits;
	atomic_uint			 count;
	_Atomic uint64_t		 swept_at;
	unsigned			 told_to;	/* the bucket, of all shards' in a row, that is told of next */
	struct shard			 shard[SHARDS];
};

struct edge_discovered *
edge_discovered_new(const struct edge_discovered_limits *limits)
{
	struct edge_discovered *d = xcalloc(1, sizeof(*d));

	d->limits = *limits;
	for (size_t i = 0; i < SHARDS; i++)
		pthread_mutex_init(&d->shard[i].lock, NULL);
	return d;
}

static void
record_free(struct record *r)
{
	for (unsigned i = 0; i < r->ndomains; i++)
		free(r->domain[i]);
	free(r->subject);
	free(r->issuer);
	free(r->serial);
	free(r->outcomes);
	free(r->seen);
	free(r);
}

void
edge_discovered_free(struct edge_discovered *d)
{
	if (d == NULL)
		return;
	edge_discovered_reset(d, NULL);
	for (size_t i = 0; i < SHARDS; i++)
		pthread_mutex_destroy(&d->shard[i].lock);
	free(d);
}

unsigned
edge_discovered_count(const struct edge_discovered *d)
{
	return atomic_load(&d->count);
}

static uint64_t
key_of(const unsigned char fingerprint[32])
{
	uint64_t key = hash_bytes(fingerprint, 32);

	return key != 0 ? key : 1;
}

static struct shard *
shard_of(struct edge_discovered *d, uint64_t key)
{
	return &d->shard[key % SHARDS];
}

static struct record **
bucket_of(struct shard *s, uint64_t key)
{
	return &s->bucket[key / SHARDS % BUCKETS];
}

static void
log_record(struct logrec *rec, const struct record *r)
{
	char hex[65];
	struct strbuf sb;

	strbuf_init(&sb, hex, sizeof(hex));
	strbuf_hex(&sb, r->fingerprint, 32, false);
	log_word(rec, "certificate", hex);
	log_outside(rec, "subject", span_str(r->subject));
	if (r->ndomains > 0)
		log_outside(rec, "domain", span_str(r->domain[0]));
}

/* ---- suspicion ---- */

static void
window_trim(const struct edge_discovered *d, struct record *r, uint64_t now)
{
	while (r->noutcomes > 0 && now - r->outcomes[r->first].at >= d->limits.window_ms) {
		r->nfailed -= r->outcomes[r->first].failed;
		r->first = (r->first + 1) % d->limits.window;
		r->noutcomes--;
	}
}

static void
window_add(const struct edge_discovered *d, struct record *r, uint64_t now, bool failed)
{
	unsigned window = d->limits.window;

	if (r->outcomes == NULL)
		r->outcomes = xcalloc(window, sizeof(*r->outcomes));
	window_trim(d, r, now);
	if (r->noutcomes == window) {
		r->nfailed -= r->outcomes[r->first].failed;
		r->first = (r->first + 1) % window;
		r->noutcomes--;
	}
	r->outcomes[(r->first + r->noutcomes) % window] = (struct outcome){ now, failed };
	r->noutcomes++;
	r->nfailed += failed;
}

static void
log_suspicion(const struct record *r, const char *what)
{
	struct logrec rec = log_begin(SP_LOG_NOTICE, "discovered-suspicion");

	log_word(&rec, "state", what);
	log_record(&rec, r);
	log_uint(&rec, "failures", r->nfailed);
	log_uint(&rec, "answers", r->noutcomes);
	log_end(&rec);
}

static bool
is_suspicious(const struct edge_discovered *d, struct record *r, uint64_t now)
{
	if (r->suspicious && now - r->bad_at >= d->limits.clean_ms) {
		r->suspicious = false;
		window_trim(d, r, now);
		log_suspicion(r, "ended");
	}
	return r->suspicious;
}

/* What somebody gets who guesses at users, and seldom who knows them. */
static bool
tells_of_guessing(unsigned status)
{
	return status == 403 || status == 404 || status == 410 || status == 480 || status == 484 || status == 604;
}

void
edge_discovered_answered(struct edge_discovered *d, uint64_t key, unsigned status)
{
	struct shard *s = shard_of(d, key);
	uint64_t now = clock_ms();
	struct record *r;

	if (status < 200)
		return;
	pthread_mutex_lock(&s->lock);
	for (r = *bucket_of(s, key); r != NULL && r->key != key; r = r->next)
		;
	if (r != NULL) {
		window_add(d, r, now, tells_of_guessing(status));
		if (r->nfailed >= d->limits.failures &&
		    (uint64_t)r->nfailed * 100 >= (uint64_t)r->noutcomes * d->limits.failure_share) {
			bool was = is_suspicious(d, r, now);

			r->suspicious = true;
			r->bad_at = now;
			if (!was)
				log_suspicion(r, "began");
		}
	}
	pthread_mutex_unlock(&s->lock);
}

/* ---- rate ---- */

/* Is there a token? Seconds until there is one in *retry_after. */
static bool
take_token(const struct edge_discovered *d, struct record *r, uint64_t now, bool suspicious, unsigned *retry_after)
{
	uint64_t rate = suspicious ? d->limits.suspicious_rate : d->limits.rate;
	uint64_t passed = now - r->counted_at;

	/* thousandths of a token in milliseconds: as many as the rate */
	r->tokens += (passed < 1000 ? passed : 1000) * rate;
	if (r->tokens > rate * 1000)
		r->tokens = rate * 1000;
	r->counted_at = now;
	if (r->tokens >= 1000) {
		r->tokens -= 1000;
		return true;
	}
	*retry_after = (unsigned)((1000 - r->tokens) / rate / 1000 + 1);
	return false;
}

/* ---- addressees ---- */

static uint64_t *
seen_place(uint64_t *seen, unsigned max, uint64_t number)
{
	unsigned i = (unsigned)(number % max);

	while (seen[i] != 0 && seen[i] != number)
		i = (i + 1) % max;
	return &seen[i];
}

static void
seen_grow(struct record *r)
{
	unsigned max = r->maxseen != 0 ? r->maxseen * 2 : 16;
	uint64_t *seen = xcalloc(max, sizeof(*seen));

	for (unsigned i = 0; i < r->maxseen; i++)
		if (r->seen[i] != 0)
			*seen_place(seen, max, r->seen[i]) = r->seen[i];
	free(r->seen);
	r->seen = seen;
	r->maxseen = max;
}

/* Known, or there is room for one more. */
static bool
may_address(const struct edge_discovered *d, struct record *r, uint64_t number)
{
	uint64_t *at;

	if (r->nseen * 2 >= r->maxseen)
		seen_grow(r);
	at = seen_place(r->seen, r->maxseen, number);
	if (*at == number)
		return true;
	if (r->nseen + r->elsewhere >= d->limits.addressees)
		return false;
	*at = number;
	r->nseen++;
	return true;
}

/* A byte of a user part, escapes decoded. */
static unsigned char
user_byte(struct span *s)
{
	unsigned char c = (unsigned char)s->p[0];
	unsigned value = 0, digits = 0;

	for (; c == '%' && digits < 2 && digits + 1 < s->n; digits++) {
		unsigned char h = span_lower((unsigned char)s->p[digits + 1]);

		if (h >= '0' && h <= '9')
			value = value * 16 + h - '0';
		else if (h >= 'a' && h <= 'f')
			value = value * 16 + h - 'a' + 10;
		else
			break;
	}
	*s = span_tail(*s, digits == 2 ? 3 : 1);
	return digits == 2 ? (unsigned char)value : c;
}

uint64_t
edge_discovered_addressee(struct span user, struct span domain)
{
	char text[256];
	uint64_t number = 0;

	while (!span_is_empty(user)) {
		size_t n = 0;

		/* by pieces, so that no length is too long */
		while (n < sizeof(text) && !span_is_empty(user))
			text[n++] = (char)user_byte(&user);
		number = hash_mix(number, hash_nocase(span_of(text, n)));
	}
	number = hash_mix(number, hash_nocase(domain));
	return number != 0 ? number : 1;
}

/* ---- records ---- */

/* May it make room? Not who is suspicious, and not who has used up the addressees: it is for that that it is remembered. */
static bool
is_forgettable(const struct edge_discovered *d, struct record *r, uint64_t now)
{
	return now - r->heard_at >= d->limits.forget_ms && !is_suspicious(d, r, now) && r->nseen < d->limits.addressees;
}

/* Forget the one of this shard that has been silent longest. */
static void
forget_one(struct edge_discovered *d, struct shard *s, uint64_t now)
{
	struct record **oldest = NULL, *r;

	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct record **at = &s->bucket[i]; *at != NULL; at = &(*at)->next)
			if (is_forgettable(d, *at, now) && (oldest == NULL || (*at)->heard_at < (*oldest)->heard_at))
				oldest = at;
	if (oldest != NULL) {
		r = *oldest;
		*oldest = r->next;
		record_free(r);
		atomic_fetch_sub(&d->count, 1);
	}
	pthread_mutex_unlock(&s->lock);
}

/* The table is full: a little room, if anybody may be forgotten. Now and then, since it looks at all of them. */
static void
make_room(struct edge_discovered *d, uint64_t now)
{
	uint64_t was = atomic_load(&d->swept_at);

	if (was != 0 && now - was < SWEEP_MS)
		return;
	if (!atomic_compare_exchange_strong(&d->swept_at, &was, now != 0 ? now : 1))
		return;		/* another worker is at it */
	for (size_t i = 0; i < SHARDS; i++)
		forget_one(d, &d->shard[i], now);
}

/* Counted in, or the table is full. */
static bool
count_in(struct edge_discovered *d)
{
	unsigned n = atomic_load(&d->count);

	while (n < d->limits.partners)
		if (atomic_compare_exchange_weak(&d->count, &n, n + 1))
			return true;
	return false;
}

/* The record, new if need be; NULL: the table is full. The shard is locked. */
static struct record *
record_get(struct edge_discovered *d, struct shard *s, uint64_t key, const struct edge_discovered_peer *peer, uint64_t now)
{
	struct record **bucket = bucket_of(s, key), *r;

	for (r = *bucket; r != NULL; r = r->next)
		if (r->key == key && memcmp(r->fingerprint, peer->fingerprint, 32) == 0)
			return r;
	if (!count_in(d))
		return NULL;
	r = xcalloc(1, sizeof(*r));
	r->key = key;
	memcpy(r->fingerprint, peer->fingerprint, 32);
	r->subject = xstrdup(peer->subject);
	r->issuer = xstrdup(peer->issuer);
	r->serial = xstrdup(peer->serial);
	r->tokens = (uint64_t)d->limits.rate * 1000;
	r->counted_at = now;
	r->next = *bucket;
	*bucket = r;
	return r;
}

static void
note_domain(struct record *r, struct span domain)
{
	for (unsigned i = 0; i < r->ndomains; i++)
		if (span_is(domain, r->domain[i]))
			return;
	if (domain.n > 0 && r->ndomains < EDGE_DISCOVERED_DOMAINS)
		r->domain[r->ndomains++] = xmemdup(domain.p, domain.n);
}

static enum policy_reason
judge(struct edge_discovered *d, struct record *r, uint64_t now, uint64_t addressee, unsigned *retry_after)
{
	bool suspicious = is_suspicious(d, r, now);

	r->heard_at = now;
	r->recent++;
	if (!take_token(d, r, now, suspicious, retry_after)) {
		r->refused_rate++;
		return suspicious ? POLICY_REASON_DISCOVERED_SUSPICIOUS : POLICY_REASON_DISCOVERED_RATE;
	}
	if (addressee != 0 && !may_address(d, r, addressee)) {
		r->refused_addressees++;
		if (!r->limit_said) {
			struct logrec rec = log_begin(SP_LOG_NOTICE, "discovered-addressees");

			log_record(&rec, r);
			log_uint(&rec, "addressees", r->nseen);
			log_end(&rec);
			r->limit_said = true;
		}
		return POLICY_REASON_DISCOVERED_ADDRESSEES;
	}
	r->requests++;
	r->untold++;
	return POLICY_REASON_ALLOWED;
}

enum policy_reason
edge_discovered_request(struct edge_discovered *d, const struct edge_discovered_peer *peer, struct span domain,
    uint64_t addressee, uint64_t *key, unsigned *retry_after)
{
	uint64_t now = clock_ms();
	enum policy_reason why = POLICY_REASON_DISCOVERED_TABLE;
	struct shard *s;
	struct record *r;

	*key = key_of(peer->fingerprint);
	*retry_after = TABLE_RETRY;
	if (atomic_load(&d->count) >= d->limits.partners)
		make_room(d, now);
	s = shard_of(d, *key);
	pthread_mutex_lock(&s->lock);
	if ((r = record_get(d, s, *key, peer, now)) != NULL) {
		note_domain(r, domain);
		r->heard = true;
		why = judge(d, r, now, addressee, retry_after);
	}
	pthread_mutex_unlock(&s->lock);
	return why;
}

/* ---- for the administrator ---- */

void
edge_discovered_each(struct edge_discovered *d, void (*fn)(void *, const struct edge_discovered_state *), void *arg)
{
	uint64_t now = clock_ms();

	for (size_t k = 0; k < SHARDS; k++) {
		struct shard *s = &d->shard[k];

		pthread_mutex_lock(&s->lock);
		for (size_t i = 0; i < BUCKETS; i++) {
			for (struct record *r = s->bucket[i]; r != NULL; r = r->next) {
				struct edge_discovered_state st = {
					.fingerprint = r->fingerprint, .subject = r->subject, .issuer = r->issuer,
					.serial = r->serial, .ndomains = r->ndomains, .addressees = r->nseen,
					.at_limit = r->nseen >= d->limits.addressees, .requests = r->requests,
					.refused_rate = r->refused_rate, .refused_addressees = r->refused_addressees,
					.recent = r->recent, .silent_ms = now - r->heard_at
				};

				window_trim(d, r, now);
				st.suspicious = is_suspicious(d, r, now);
				st.answers = r->noutcomes;
				st.failures = r->nfailed;
				for (unsigned n = 0; n < r->ndomains; n++)
					st.domain[n] = r->domain[n];
				fn(arg, &st);
			}
		}
		pthread_mutex_unlock(&s->lock);
	}
}

unsigned
edge_discovered_reset(struct edge_discovered *d, const unsigned char fingerprint[32])
{
	unsigned gone = 0;

	for (size_t k = 0; k < SHARDS; k++) {
		struct shard *s = &d->shard[k];

		pthread_mutex_lock(&s->lock);
		for (size_t i = 0; i < BUCKETS; i++) {
			for (struct record **at = &s->bucket[i], *r; (r = *at) != NULL; ) {
				if (fingerprint != NULL && memcmp(r->fingerprint, fingerprint, 32) != 0) {
					at = &r->next;
					continue;
				}
				*at = r->next;
				record_free(r);
				gone++;
			}
		}
		pthread_mutex_unlock(&s->lock);
	}
	atomic_fetch_sub(&d->count, gone);
	return gone;
}

/* ---- arrays ---- */

static void
spend(const struct edge_discovered *d, struct record *r, uint64_t now, struct edge_discovered_spent *out)
{
	*out = (struct edge_discovered_spent){ .requests = r->untold, .addressees = r->nseen, .suspicious = is_suspicious(d, r, now) };
	memcpy(out->fingerprint, r->fingerprint, 32);
	/* once more after it has gone silent, so that what it sent last is not counted on and on */
	r->heard = r->untold != 0;
	r->untold = 0;
}

size_t
edge_discovered_spent(struct edge_discovered *d, struct edge_discovered_spent *out, size_t max)
{
	uint64_t now = clock_ms();
	bool full = false;
	size_t n = 0;

	for (unsigned k = 0; k < SHARDS * BUCKETS && !full; k++) {
		unsigned at = d->told_to;
		struct shard *s = &d->shard[at / BUCKETS];
		size_t heard = 0;

		pthread_mutex_lock(&s->lock);
		for (struct record *r = s->bucket[at % BUCKETS]; r != NULL; r = r->next)
			heard += r->heard;
		/* a bucket goes as a whole, or its first ones would be told again before the others; one that never fits, as it can */
		full = n != 0 && n + heard > max;
		for (struct record *r = s->bucket[at % BUCKETS]; r != NULL && !full && n < max; r = r->next)
			if (r->heard)
				spend(d, r, now, &out[n++]);
		if (!full)
			d->told_to = (at + 1) % (SHARDS * BUCKETS);
		pthread_mutex_unlock(&s->lock);
	}
	return n;
}

void
edge_discovered_untold(struct edge_discovered *d, const struct edge_discovered_spent *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t key = key_of(p[i].fingerprint);
		struct shard *s = shard_of(d, key);

		pthread_mutex_lock(&s->lock);
		for (struct record *r = *bucket_of(s, key); r != NULL; r = r->next)
			if (r->key == key && memcmp(r->fingerprint, p[i].fingerprint, 32) == 0) {
				uint64_t sum = (uint64_t)r->untold + p[i].requests;

				r->untold = sum < UNTOLD_MAX ? (uint32_t)sum : UNTOLD_MAX;
				r->heard = true;
			}
		pthread_mutex_unlock(&s->lock);
	}
}

static void
take_elsewhere(const struct edge_discovered *d, struct record *r, const struct edge_discovered_spent *p, uint64_t now)
{
	uint64_t spent = (uint64_t)p->requests * 1000;

	r->tokens = r->tokens > spent ? r->tokens - spent : 0;
	r->elsewhere = p->addressees < d->limits.addressees ? p->addressees : d->limits.addressees;
	if (p->suspicious != 0 && !is_suspicious(d, r, now)) {
		r->suspicious = true;
		r->bad_at = now;
		log_suspicion(r, "elsewhere");
	}
}

void
edge_discovered_elsewhere(struct edge_discovered *d, const struct edge_discovered_spent *p, size_t n)
{
	uint64_t now = clock_ms();

	for (size_t i = 0; i < n; i++) {
		uint64_t key = key_of(p[i].fingerprint);
		struct shard *s = shard_of(d, key);

		pthread_mutex_lock(&s->lock);
		for (struct record *r = *bucket_of(s, key); r != NULL; r = r->next)
			if (r->key == key && memcmp(r->fingerprint, p[i].fingerprint, 32) == 0)
				take_elsewhere(d, r, &p[i], now);
		pthread_mutex_unlock(&s->lock);
	}
}

static void
report_record(const struct record *r, uint64_t addressees_max)
{
	struct logrec rec = log_begin(SP_LOG_INFO, "discovered-partner");

	log_record(&rec, r);
	log_uint(&rec, "recent", r->recent);
	log_uint(&rec, "requests", r->requests);
	log_uint(&rec, "over-rate", r->refused_rate);
	log_uint(&rec, "addressees", r->nseen);
	log_uint(&rec, "addressees-max", addressees_max);
	log_uint(&rec, "addressees-refused", r->refused_addressees);
	log_word(&rec, "suspicious", r->suspicious ? "yes" : "no");
	log_end(&rec);
}

void
edge_discovered_report(struct edge_discovered *d)
{
	unsigned said = 0, more = 0;

	for (size_t k = 0; k < SHARDS; k++) {
		struct shard *s = &d->shard[k];

		pthread_mutex_lock(&s->lock);
		for (size_t i = 0; i < BUCKETS; i++) {
			for (struct record *r = s->bucket[i]; r != NULL; r = r->next) {
				(void)is_suspicious(d, r, clock_ms());
				if (r->recent == 0)
					continue;
				if (said < REPORTED_MAX) {
					report_record(r, d->limits.addressees);
					said++;
				} else {
					more++;
				}
				r->recent = 0;
			}
		}
		pthread_mutex_unlock(&s->lock);
	}
	if (more > 0)
		log_say(SP_LOG_INFO, "discovered-partners", "%u more were busy", more);
}
