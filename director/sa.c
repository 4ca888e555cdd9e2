/*
 * director/sa.c - security associations: who has signed in from where, and the keys (MS 3).
 */
#include "director/sa.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "common/mem.h"
#include "net/stats.h"

#define PARTS		64	/* each with its lock; the lowest bits of an opaque */
#define WINDOW		256
#define SOURCES		256	/* kinds of addresses that handshakes come from, in one part */
#define BEGUN_PER_CONN	4	/* handshakes that one connection has in progress in one part */

enum sa_state { SA_BEGUN = 0, SA_TAKEN, SA_READY };

struct sa {
	struct sa		*next, **prev;		/* all of a part, newest first */
	struct sa		*by_opaque, *by_endpoint; /* next of the same bucket */
	enum sa_state		 state;
	enum sa_scheme		 scheme;
	bool			 settled;		/* SA_READY: it has taken its endpoint over */
	uint32_t		 opaque, endpoint;
	uint64_t		 context, conn;
	unsigned		 source;		/* below SOURCES */
	uint64_t		 until_ms;		/* whatever happens */
	uint64_t		 life_ms;		/* from when it is settled */
	uint64_t		 used_ms, looked_ms, idle_ms;
	unsigned		 version;
	uint32_t		 snum, top;		/* top: highest cnum seen */
	uint64_t		 window[WINDOW / 64];
	char			 aor[USER_AOR_MAX];	/* of the claim; the user's own is in user */
	char			 epid[ENDPOINT_EPID_MAX + 1];
	struct sa_keys		 keys;
	struct authd_user	 user;
};

struct part {
	pthread_mutex_t	 lock;
	struct sa	*first;
	struct sa	**by_opaque, **by_endpoint;
	uint32_t	 begun, begun_by[SOURCES];
};

struct sa_table {
	struct sa_limits	 limits;
	unsigned char		 key[HASH_KEY_SIZE];	/* of endpoints' numbers */
	uint32_t		 nbuckets;	/* of each part, a power of two */
	_Atomic uint32_t	 established;
	struct part		 part[PARTS];
};

/* --- keys ------------------------------------------------------------------------------ */

const char *
sa_scheme_name(enum sa_scheme s)
{
	static const char *const names[SA_NSCHEMES] = { "", "NTLM", "Kerberos" };

	return (unsigned)s < SA_NSCHEMES ? names[s] : "";
}

size_t
sa_keys_sign(const struct sa_keys *k, struct span text, unsigned char out[SA_SIGNATURE_MAX])
{
	if (k->scheme == SA_KERBEROS)
		return gss_session_sign(k->gss, text, out, SA_SIGNATURE_MAX);
	if (k->scheme != SA_NTLM)
		return 0;
	ntlm_sign(&k->ntlm.server, text, out);
	return NTLM_SIGNATURE_SIZE;
}

bool
sa_keys_verify(const struct sa_keys *k, struct span text, struct span signature)
{
	unsigned char want[NTLM_SIGNATURE_SIZE];

	if (k->scheme == SA_KERBEROS)
		return gss_session_verify(k->gss, text, signature);
	if (k->scheme != SA_NTLM || signature.n != sizeof(want))
		return false;
	ntlm_sign(&k->ntlm.client, text, want);
	return mem_equal_secret(want, signature.p, sizeof(want)) != 0;
}

void
sa_keys_copy(struct sa_keys *out, const struct sa_keys *k)
{
	*out = *k;
	if (out->gss != NULL)
		gss_session_ref(out->gss);
}

void
sa_keys_wipe(struct sa_keys *k)
{
	gss_session_unref(k->gss);
	mem_wipe(k, sizeof(*k));
}

/* --- the table --------------------------------------------------------------------------- */

struct sa_table *
sa_table_new(const struct sa_limits *limits, const unsigned char key[HASH_KEY_SIZE])
{
	struct sa_table *t = xcalloc(1, sizeof(*t));

	memcpy(t->key, key, sizeof(t->key));
	t->limits = *limits;
	t->nbuckets = 16;
	while (t->nbuckets < limits->total / PARTS)
		t->nbuckets *= 2;
	for (unsigned i = 0; i < PARTS; i++) {
		pthread_mutex_init(&t->part[i].lock, NULL);
		t->part[i].by_opaque = xcalloc(t->nbuckets, sizeof(struct sa *));
		t->part[i].by_endpoint = xcalloc(t->nbuckets, sizeof(struct sa *));
	}
	return t;
}

static struct sa **
opaque_bucket(struct sa_table *t, struct part *p, uint32_t opaque)
{
	return &p->by_opaque[opaque / PARTS & (t->nbuckets - 1)];
}

static struct sa **
endpoint_bucket(struct sa_table *t, struct part *p, uint32_t endpoint)
{
	return &p->by_endpoint[endpoint / PARTS & (t->nbuckets - 1)];
}

static void
no_longer_begun(struct part *p, const struct sa *s)
{
	p->begun--;
	p->begun_by[s->source]--;
	stats_move(SIGN_INS_OPEN, 0, 0, -1);
}

static void
drop(struct sa_table *t, struct part *p, struct sa *s)
{
	struct sa **at = opaque_bucket(t, p, s->opaque);

	while (*at != s)
		at = &(*at)->by_opaque;
	*at = s->by_opaque;
	at = endpoint_bucket(t, p, s->endpoint);
	while (*at != s)
		at = &(*at)->by_endpoint;
	*at = s->by_endpoint;
	*s->prev = s->next;
	if (s->next != NULL)
		s->next->prev = s->prev;
	if (s->state == SA_READY) {
		atomic_fetch_sub_explicit(&t->established, 1, memory_order_relaxed);
		stats_move(ASSOCIATIONS, 0, 0, -1);
	} else {
		no_longer_begun(p, s);
	}
	sa_keys_wipe(&s->keys);
	mem_wipe_free(s, sizeof(*s));
}

void
sa_table_free(struct sa_table *t)
{
	if (t == NULL)
		return;
	for (unsigned i = 0; i < PARTS; i++) {
		while (t->part[i].first != NULL)
			drop(t, &t->part[i], t->part[i].first);
		free(t->part[i].by_opaque);
		free(t->part[i].by_endpoint);
		pthread_mutex_destroy(&t->part[i].lock);
	}
	free(t);
}

uint32_t
sa_established(const struct sa_table *t)
{
	return atomic_load_explicit(&t->established, memory_order_relaxed);
}

static bool
is_over(const struct sa *s, uint64_t now)
{
	/* workers read the clock each for itself: used_ms may be a little later than now */
	return now >= s->until_ms || (s->state == SA_READY && now >= s->used_ms + s->idle_ms);
}

static void
sweep_part(struct sa_table *t, struct part *p, uint64_t now)
{
	for (struct sa *s = p->first, *next; s != NULL; s = next) {
		next = s->next;
		if (is_over(s, now))
			drop(t, p, s);
	}
}

void
sa_sweep(struct sa_table *t, uint64_t now)
{
	for (unsigned i = 0; i < PARTS; i++) {
		pthread_mutex_lock(&t->part[i].lock);
		sweep_part(t, &t->part[i], now);
		pthread_mutex_unlock(&t->part[i].lock);
	}
}

static uint64_t
ms_between(uint64_t from, uint64_t to)
{
	return to > from ? to - from : 0;
}

void
sa_each(struct sa_table *t, uint64_t now, bool (*fn)(void *arg, const struct sa_row *), void *arg)
{
	bool more = true;

	for (unsigned i = 0; i < PARTS && more; i++) {
		pthread_mutex_lock(&t->part[i].lock);
		for (const struct sa *s = t->part[i].first; s != NULL && more; s = s->next) {
			struct sa_row row = { .aor = s->user.aor, .epid = s->epid, .scheme = s->scheme, .version = s->version,
			    .silent_ms = ms_between(s->used_ms, now), .left_ms = ms_between(now, s->until_ms) };

			if (s->state == SA_READY && !is_over(s, now))
				more = fn(arg, &row);
		}
		pthread_mutex_unlock(&t->part[i].lock);
	}
}

uint32_t
sa_endpoint(const struct sa_table *t, struct span aor, struct span epid)
{
	struct hash h, whole;
	uint64_t user, all;

	hash_begin_with(&h, t->key);
	hash_add_span(&h, aor);
	whole = h;
	hash_add_span(&whole, epid);
	user = hash_end(&h);
	all = hash_end(&whole);
	/* all endpoints of a user are in one part */
	return (uint32_t)((all & ~(uint64_t)(PARTS - 1)) | (user & (PARTS - 1)) | (1u << 31));
}

static struct part *
lock_part(struct sa_table *t, uint32_t number)
{
	struct part *p = &t->part[number & (PARTS - 1)];

	pthread_mutex_lock(&p->lock);
	return p;
}

static void
unlock(struct part *p)
{
	pthread_mutex_unlock(&p->lock);
}

static struct sa *
find_any(struct sa_table *t, struct part *p, uint32_t opaque)
{
	struct sa *s = *opaque_bucket(t, p, opaque);

	while (s != NULL && s->opaque != opaque)
		s = s->by_opaque;
	return s;
}

static struct sa *
find(struct sa_table *t, struct part *p, uint32_t opaque, uint64_t now)
{
	struct sa *s = find_any(t, p, opaque);

	return s != NULL && !is_over(s, now) ? s : NULL;
}

static bool
is_of(const struct sa *s, const struct sa_claim *c)
{
	return span_is(c->aor, s->aor) && span_is(c->epid, s->epid);
}

static struct sa *
add(struct sa_table *t, struct part *p, enum sa_scheme scheme, const struct sa_claim *c, uint64_t now)
{
	struct sa *s = xcalloc(1, sizeof(*s)), **bucket;

	s->endpoint = sa_endpoint(t, c->aor, c->epid);
	do {
		mem_random(&s->opaque, sizeof(s->opaque));
		s->opaque = (s->opaque & ~(uint32_t)(PARTS - 1)) | (s->endpoint & (PARTS - 1));
	} while (s->opaque == 0 || find_any(t, p, s->opaque) != NULL);
	s->scheme = scheme;
	s->conn = c->conn;
	s->source = (unsigned)(c->source % SOURCES);
	s->until_ms = now + t->limits.half_open_ms;
	s->used_ms = now;
	memcpy(s->aor, c->aor.p, c->aor.n);
	memcpy(s->epid, c->epid.p, c->epid.n);
	bucket = opaque_bucket(t, p, s->opaque);
	s->by_opaque = *bucket;
	*bucket = s;
	bucket = endpoint_bucket(t, p, s->endpoint);
	s->by_endpoint = *bucket;
	*bucket = s;
	s->next = p->first;
	s->prev = &p->first;
	if (s->next != NULL)
		s->next->prev = &s->next;
	p->first = s;
	p->begun++;
	p->begun_by[s->source]++;
	stats_move(SIGN_INS_OPEN, 0, 0, 1);
	return s;
}

static uint32_t
most_begun(const struct part *p)
{
	uint32_t most = 0;

	for (unsigned i = 0; i < SOURCES; i++)
		if (p->begun_by[i] > most)
			most = p->begun_by[i];
	return most;
}

/*
 * Room for one more handshake: this connection's own oldest goes first, then that of whoever has begun most. A stranger
 * who begins one after the other in somebody's name does not drive out that user's own.
 */
static void
make_room(struct sa_table *t, struct part *p, uint64_t conn)
{
	bool full = p->begun * PARTS >= t->limits.half_open;
	uint32_t most = full ? most_begun(p) : 0;
	struct sa *oldest = NULL, *own = NULL;
	unsigned n = 0;

	for (struct sa *s = p->first; s != NULL; s = s->next) {
		if (s->state == SA_READY)
			continue;
		if (p->begun_by[s->source] == most)
			oldest = s;
		if (s->conn == conn) {
			own = s;
			n++;
		}
	}
	if (n >= BEGUN_PER_CONN)
		drop(t, p, own);
	else if (full && oldest != NULL) {
		stats_limit_hit(SIGN_INS);
		drop(t, p, oldest);
	}
}

static bool
fits(const struct sa_claim *c)
{
	return c->aor.n != 0 && c->aor.n < USER_AOR_MAX && c->epid.n <= ENDPOINT_EPID_MAX;
}

uint32_t
sa_begin(struct sa_table *t, enum sa_scheme scheme, const struct sa_claim *c, uint64_t context, uint64_t now)
{
	struct part *p;
	uint32_t opaque;
	struct sa *s;

	if (!fits(c))
		return 0;
	p = lock_part(t, sa_endpoint(t, c->aor, c->epid));
	make_room(t, p, c->conn);
	s = add(t, p, scheme, c, now);
	s->context = context;
	opaque = s->opaque;
	unlock(p);
	return opaque;
}

bool
sa_take(struct sa_table *t, uint32_t opaque, enum sa_scheme scheme, const struct sa_claim *c, uint64_t now,
    uint64_t *context)
{
	struct part *p = lock_part(t, opaque);
	struct sa *s = find(t, p, opaque, now);
	bool ok = s != NULL && s->state == SA_BEGUN && s->scheme == scheme && is_of(s, c) && s->conn == c->conn;

	if (ok) {
		*context = s->context;
		s->state = SA_TAKEN;
	}
	unlock(p);
	return ok;
}

/* Does it say of whom it is what was proved? */
static bool
is_true(const struct sa *s)
{
	return strcmp(s->aor, s->user.aor) == 0;
}

/* The least recently used one of the user, of those that are settled or of those that are not, if there are too many. */
static void
end_surplus(struct sa_table *t, struct part *p, const struct sa *fresh)
{
	struct sa *oldest = NULL;
	uint32_t n = 0;

	for (struct sa *s = p->first; s != NULL; s = s->next) {
		if (s == fresh || s->state != SA_READY || s->settled != fresh->settled ||
		    strcmp(s->user.aor, fresh->user.aor) != 0)
			continue;
		n++;
		if (oldest == NULL || s->used_ms < oldest->used_ms)
			oldest = s;
	}
	if (n >= t->limits.per_user && oldest != NULL) {
		stats_limit_hit(ASSOCIATIONS_USER);
		drop(t, p, oldest);
	}
}

/* The endpoint's earlier ones. */
static void
end_earlier(struct sa_table *t, struct part *p, const struct sa *fresh)
{
	for (struct sa *s = *endpoint_bucket(t, p, fresh->endpoint), *next; s != NULL; s = next) {
		next = s->by_endpoint;
		if (s != fresh && s->state == SA_READY && s->endpoint == fresh->endpoint && strcmp(s->epid, fresh->epid) == 0 &&
		    strcmp(s->user.aor, fresh->user.aor) == 0)
			drop(t, p, s);
	}
}

uint32_t
sa_establish(struct sa_table *t, uint32_t opaque, const struct sa_claim *c, unsigned version,
    const struct sa_keys *keys, const struct authd_user *user, uint32_t lifetime_s, uint64_t now)
{
	uint64_t lifetime = (uint64_t)lifetime_s * 1000;
	struct part *p;
	struct sa *s;

	if (!fits(c))
		return 0;
	p = lock_part(t, sa_endpoint(t, c->aor, c->epid));
	s = opaque != 0 ? find(t, p, opaque, now) : add(t, p, keys->scheme, c, now);
	if (s != NULL && (s->state == SA_READY || !is_of(s, c)))
		s = NULL;
	if (s != NULL && sa_established(t) >= t->limits.total) {
		sweep_part(t, p, now);
		if (sa_established(t) >= t->limits.total) {
			stats_limit_hit(ASSOCIATIONS);
			drop(t, p, s);
			s = NULL;
		}
	}
	opaque = 0;
	if (s != NULL) {
		s->state = SA_READY;
		no_longer_begun(p, s);
		atomic_fetch_add_explicit(&t->established, 1, memory_order_relaxed);
		stats_move(ASSOCIATIONS, 0, 0, 1);
		s->version = version;
		sa_keys_copy(&s->keys, keys);
		s->user = *user;
		s->used_ms = s->looked_ms = now;
		s->idle_ms = t->limits.idle_ms;
		s->life_ms = lifetime != 0 && lifetime < t->limits.lifetime_ms ? lifetime : t->limits.lifetime_ms;
		s->until_ms = now + (s->life_ms < t->limits.half_open_ms ? s->life_ms : t->limits.half_open_ms);
		end_surplus(t, p, s);
		opaque = s->opaque;
	}
	unlock(p);
	return opaque;
}

void
sa_settle(struct sa_table *t, uint32_t opaque, uint64_t now)
{
	struct part *p = lock_part(t, opaque);
	struct sa *s = find(t, p, opaque, now);

	if (s != NULL && s->state == SA_READY && !s->settled && is_true(s)) {
		s->settled = true;
		s->until_ms = now + s->life_ms;
		end_earlier(t, p, s);
		end_surplus(t, p, s);
	}
	unlock(p);
}

void
sa_end(struct sa_table *t, uint32_t opaque)
{
	struct part *p = lock_part(t, opaque);
	struct sa *s = find_any(t, p, opaque);

	if (s != NULL)
		drop(t, p, s);
	unlock(p);
}

void
sa_end_of(struct sa_table *t, uint32_t opaque, uint64_t conn)
{
	struct part *p = lock_part(t, opaque);
	struct sa *s = find_any(t, p, opaque);

	if (s != NULL && s->conn == conn)
		drop(t, p, s);
	unlock(p);
}

static struct sa *
find_ready(struct sa_table *t, struct part *p, uint32_t opaque, uint64_t now)
{
	struct sa *s = find(t, p, opaque, now);

	return s != NULL && s->state == SA_READY ? s : NULL;
}

bool
sa_get(struct sa_table *t, uint32_t opaque, uint64_t now, struct sa_view *v)
{
	struct part *p = lock_part(t, opaque);
	const struct sa *s = find_ready(t, p, opaque, now);

	if (s != NULL) {
		v->opaque = s->opaque;
		v->endpoint = s->endpoint;
		v->version = s->version;
		v->settled = s->settled;
		v->is_true = is_true(s);
		v->conn = s->conn;
		v->looked_ms = s->looked_ms;
		memcpy(v->epid, s->epid, sizeof(v->epid));
		sa_keys_copy(&v->keys, &s->keys);
		v->user = s->user;
	}
	unlock(p);
	return s != NULL;
}

uint32_t
sa_of_endpoint(struct sa_table *t, uint32_t endpoint, struct span aor, uint64_t now)
{
	struct part *p = lock_part(t, endpoint);
	uint32_t opaque = 0;

	for (const struct sa *s = *endpoint_bucket(t, p, endpoint); s != NULL && opaque == 0; s = s->by_endpoint)
		if (s->endpoint == endpoint && s->state == SA_READY && s->settled && !is_over(s, now) &&
		    (span_is_empty(aor) || span_is(aor, s->aor)))
			opaque = s->opaque;
	unlock(p);
	return opaque;
}

/* The window: bit n % 256 stands for cnum n, for the 256 numbers up to the highest one. */
static bool
use_number(struct sa *s, uint32_t cnum)
{
	uint64_t bit = 1ULL << (cnum & 63), *word = &s->window[(cnum & (WINDOW - 1)) / 64];

	if (cnum == 0)
		return false;
	if (cnum > s->top) {
		if (cnum - s->top >= WINDOW)
			memset(s->window, 0, sizeof(s->window));
		else
			for (uint32_t n = s->top + 1; n < cnum; n++)
				s->window[(n & (WINDOW - 1)) / 64] &= ~(1ULL << (n & 63));
		*word &= ~bit;
		s->top = cnum;
	} else if (s->top - cnum >= WINDOW || (*word & bit) != 0)
		return false;
	*word |= bit;
	return true;
}

bool
sa_use(struct sa_table *t, uint32_t opaque, uint32_t cnum, uint64_t now)
{
	struct part *p = lock_part(t, opaque);
	struct sa *s = find_ready(t, p, opaque, now);
	bool ok = s != NULL && use_number(s, cnum);

	if (ok)
		s->used_ms = now;
	unlock(p);
	return ok;
}

void
sa_registered(struct sa_table *t, uint32_t opaque, uint64_t for_ms)
{
	struct part *p = lock_part(t, opaque);
	struct sa *s = find_any(t, p, opaque);

	if (s != NULL && s->state == SA_READY)
		s->idle_ms = for_ms + SA_GRACE_MS < t->limits.idle_ms ? for_ms + SA_GRACE_MS : t->limits.idle_ms;
	unlock(p);
}

void
sa_renew_user(struct sa_table *t, uint32_t opaque, const struct authd_user *user, uint64_t now)
{
	struct part *p = lock_part(t, opaque);
	struct sa *s = find_ready(t, p, opaque, now);

	if (s != NULL) {
		s->user = *user;
		s->looked_ms = now;
	}
	unlock(p);
}

bool
sa_pen(struct sa_table *t, uint32_t opaque, uint64_t now, struct sa_pen *pen)
{
	struct part *p = lock_part(t, opaque);
	struct sa *s = find_ready(t, p, opaque, now);

	if (s != NULL) {
		pen->snum = ++s->snum;
		pen->version = s->version;
		sa_keys_copy(&pen->keys, &s->keys);
	}
	unlock(p);
	return s != NULL;
}
