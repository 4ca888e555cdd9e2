/*
 * Security associations: their lives, limits and replay window, for one thread
 * and for several; and the identifiers of endpoints.
 */
#include "director/sa.h"

#include <pthread.h>
#include <malloc.h>
#include <stdio.h>

#include "common/err.h"
#include "tests/unit/unit.h"

static const unsigned char endpoint_key[HASH_KEY_SIZE] = "of endpoints";

#define NOW	1000000

static const struct sa_limits limits = {
	.total = 100, .per_user = 3, .half_open = 640, .half_open_ms = 32000, .idle_ms = 60000, .lifetime_ms = 600000
};

static struct sa_claim
claim(const char *aor, const char *epid, uint64_t conn)
{
	return (struct sa_claim){ span_str(aor), span_str(epid), conn, 0 };
}

static struct sa_keys
keys_of(unsigned char seed)
{
	struct sa_keys k = { .scheme = SA_NTLM };
	unsigned char key[NTLM_KEY_SIZE];

	memset(key, seed, sizeof(key));
	ntlm_keys_derive(&k.ntlm, key, NTLM_CHALLENGE_FLAGS);
	return k;
}

static struct authd_user
user_of(const char *aor)
{
	struct authd_user u = { .found = true, .enabled = true };

	snprintf(u.aor, sizeof(u.aor), "%s", aor);
	return u;
}

/* who proves it, as it says or not; it is not settled. */
static uint32_t
prove(struct sa_table *t, const char *who, const char *aor, const char *epid, uint64_t now)
{
	struct sa_claim c = claim(aor, epid, 7);
	struct sa_keys k = keys_of(1);
	struct authd_user u = user_of(who);
	uint64_t context;
	uint32_t opaque = sa_begin(t, SA_NTLM, &c, 99, now);

	ck_assert_uint_ne(opaque, 0);
	ck_assert(sa_take(t, opaque, SA_NTLM, &c, now, &context));
	ck_assert_uint_eq(context, 99);
	return sa_establish(t, opaque, &c, 4, &k, &u, 0, now);
}

static uint32_t
sign_in(struct sa_table *t, const char *aor, const char *epid, uint64_t now)
{
	uint32_t opaque = prove(t, aor, aor, epid, now);

	sa_settle(t, opaque, now);
	return opaque;
}

START_TEST(who_shares_the_key_gives_the_same_numbers)
{
	static const unsigned char other_key[HASH_KEY_SIZE] = "another";
	struct sa_table *one = sa_table_new(&limits, endpoint_key), *two = sa_table_new(&limits, endpoint_key);
	struct sa_table *stranger = sa_table_new(&limits, other_key);
	struct sa_claim alice = { SPAN_LIT("alice@example.com"), SPAN_LIT("1a2b3c"), 1, 0 };
	uint32_t number = sa_endpoint(one, alice.aor, alice.epid);

	ck_assert_uint_ne(number, 0);
	ck_assert_uint_eq(sa_endpoint(two, alice.aor, alice.epid), number);
	ck_assert_uint_ne(sa_endpoint(stranger, alice.aor, alice.epid), number);
	ck_assert_uint_ne(sa_endpoint(one, alice.aor, SPAN_LIT("another")), number);
	sa_table_free(one);
	sa_table_free(two);
	sa_table_free(stranger);
}
END_TEST

START_TEST(handshakes)
{
	struct sa_table *t = sa_table_new(&limits, endpoint_key);
	struct sa_claim alice = claim("alice@example.com", "e1", 7), other = alice;
	struct sa_keys k = keys_of(1);
	struct authd_user u = user_of("alice@example.com");
	uint32_t opaque = sa_begin(t, SA_NTLM, &alice, 5, NOW);
	struct sa_view v;
	uint64_t context;

	/* not before it is proved */
	ck_assert(!sa_get(t, opaque, NOW, &v));
	ck_assert_uint_eq(sa_of_endpoint(t, sa_endpoint(t, alice.aor, alice.epid), alice.aor, NOW), 0);
	/* another connection, device, user, scheme */
	other.conn = 8;
	ck_assert(!sa_take(t, opaque, SA_NTLM, &other, NOW, &context));
	other = claim("alice@example.com", "e2", 7);
	ck_assert(!sa_take(t, opaque, SA_NTLM, &other, NOW, &context));
	other = claim("bob@example.com", "e1", 7);
	ck_assert(!sa_take(t, opaque, SA_NTLM, &other, NOW, &context));
	ck_assert(!sa_take(t, opaque, SA_KERBEROS, &alice, NOW, &context));
	ck_assert(!sa_take(t, opaque ^ 64, SA_NTLM, &alice, NOW, &context));
	/* none of that has used it up; once it is used, it is */
	ck_assert(sa_take(t, opaque, SA_NTLM, &alice, NOW, &context));
	ck_assert(!sa_take(t, opaque, SA_NTLM, &alice, NOW, &context));
	ck_assert_uint_eq(sa_establish(t, opaque, &alice, 4, &k, &u, 0, NOW), opaque);
	ck_assert(sa_get(t, opaque, NOW, &v));
	ck_assert_str_eq(v.user.aor, "alice@example.com");
	ck_assert_uint_eq(v.version, 4);
	ck_assert_uint_eq(v.conn, 7);
	ck_assert_uint_eq(v.endpoint, sa_endpoint(t, alice.aor, alice.epid));
	ck_assert(!v.settled);
	sa_settle(t, opaque, NOW);
	ck_assert(sa_get(t, opaque, NOW, &v) && v.settled && v.is_true);
	ck_assert_uint_eq(sa_of_endpoint(t, v.endpoint, alice.aor, NOW), opaque);
	ck_assert_uint_eq(sa_of_endpoint(t, v.endpoint, SPAN_NONE, NOW), opaque);
	ck_assert_uint_eq(sa_of_endpoint(t, v.endpoint, SPAN_LIT("bob@example.com"), NOW), 0);
	ck_assert_uint_eq(sa_establish(t, opaque, &alice, 4, &k, &u, 0, NOW), 0);
	sa_end(t, opaque);
	ck_assert(!sa_get(t, opaque, NOW, &v));
	ck_assert_uint_eq(sa_established(t), 0);
	/* the answer has its time */
	opaque = sa_begin(t, SA_NTLM, &alice, 5, NOW);
	ck_assert(!sa_take(t, opaque, SA_NTLM, &alice, NOW + 32000, &context));
	ck_assert(sa_take(t, opaque, SA_NTLM, &alice, NOW + 31999, &context));
	/* without a challenge (Kerberos) */
	ck_assert_uint_ne(opaque = sa_establish(t, 0, &alice, 3, &k, &u, 30, NOW), 0);
	sa_settle(t, opaque, NOW);
	ck_assert(sa_get(t, opaque, NOW + 29999, &v));
	ck_assert(!sa_get(t, opaque, NOW + 30000, &v));
	sa_table_free(t);
}
END_TEST

/* Whoever proves something and is refused nevertheless has changed nothing of what was there. */
START_TEST(what_is_refused_changes_nothing)
{
	struct sa_table *t = sa_table_new(&limits, endpoint_key);
	const char *alice = "alice@example.com", *eve = "eve@example.com";
	uint32_t endpoint = sa_endpoint(t, span_str(alice), SPAN_LIT("e1")), old = sign_in(t, alice, "e1", NOW), fresh, other;
	struct sa_view v;

	/* proved again, and not settled: the one before is in force, and the new one has the time of a handshake */
	fresh = prove(t, alice, alice, "e1", NOW);
	ck_assert(sa_get(t, old, NOW, &v) && v.settled);
	ck_assert(sa_get(t, fresh, NOW, &v) && !v.settled && v.is_true);
	ck_assert_uint_eq(sa_of_endpoint(t, endpoint, span_str(alice), NOW), old);
	ck_assert(sa_use(t, old, 1, NOW + 31999) && sa_use(t, fresh, 1, NOW + 31999));
	ck_assert(sa_get(t, old, NOW + 32000, &v));
	ck_assert(!sa_get(t, fresh, NOW + 32000, &v));
	/* those of a user that are not settled are bounded as the others are, and push out none of these */
	for (unsigned i = 0; i < 20; i++)
		fresh = prove(t, alice, alice, "e1", NOW + 32000);
	ck_assert_uint_le(sa_established(t), 1 + limits.per_user);
	ck_assert(sa_get(t, old, NOW + 32000, &v));
	sa_settle(t, fresh, NOW + 32000);
	ck_assert(!sa_get(t, old, NOW + 32000, &v));
	ck_assert(sa_get(t, fresh, NOW + 64001, &v));
	ck_assert_uint_eq(sa_of_endpoint(t, endpoint, SPAN_NONE, NOW + 32000), fresh);
	/* who proves to be somebody else never is at that endpoint */
	other = prove(t, eve, alice, "e1", NOW + 32000);
	ck_assert_uint_ne(other, 0);
	sa_settle(t, other, NOW + 32000);
	ck_assert(sa_get(t, other, NOW + 32000, &v) && !v.settled && !v.is_true);
	ck_assert(sa_get(t, fresh, NOW + 32000, &v) && v.settled);
	ck_assert_uint_eq(sa_of_endpoint(t, endpoint, SPAN_NONE, NOW + 32000), fresh);
	/* nothing is there to be settled */
	sa_settle(t, old, NOW + 32000);
	sa_table_free(t);
}
END_TEST

START_TEST(lives)
{
	struct sa_table *t = sa_table_new(&limits, endpoint_key);
	uint32_t a = sign_in(t, "alice@example.com", "e1", NOW), b;
	uint64_t now = NOW;
	struct sa_view v;

	/* a new one of the same endpoint takes its place, one of another does not */
	b = sign_in(t, "alice@example.com", "e1", NOW);
	ck_assert(!sa_get(t, a, NOW, &v));
	a = sign_in(t, "alice@example.com", "e2", NOW);
	ck_assert(sa_get(t, a, NOW, &v) && sa_get(t, b, NOW, &v));
	/* idle; what we send does not count */
	ck_assert(sa_use(t, a, 1, NOW + 59999));
	ck_assert(!sa_get(t, b, NOW + 60000, &v));
	ck_assert(sa_get(t, a, NOW + 60000, &v));
	sa_sweep(t, NOW + 60000);
	ck_assert_uint_eq(sa_established(t), 1);
	/* the clock of another worker is a little behind */
	ck_assert(sa_get(t, a, NOW + 59990, &v));
	/* and whatever it does, it ends */
	for (uint32_t n = 2; now < NOW + 600000; n++, now += 30000)
		ck_assert(sa_use(t, a, n, now));
	ck_assert(!sa_get(t, a, NOW + 600000, &v));
	sa_table_free(t);
}
END_TEST

/* An association outlives the registration that it is for by a minute, and no more. */
START_TEST(registrations)
{
	struct sa_limits roomy = limits;
	struct sa_table *t;
	struct sa_view v;
	uint32_t a;

	roomy.idle_ms = 300000;
	t = sa_table_new(&roomy, endpoint_key);
	a = sign_in(t, "alice@example.com", "e1", NOW);
	sa_registered(t, a, 120000);
	ck_assert(sa_get(t, a, NOW + 120000 + SA_GRACE_MS - 1, &v));
	ck_assert(!sa_get(t, a, NOW + 120000 + SA_GRACE_MS, &v));
	/* what she does in between counts; a long registration is no reason to go beyond the limit */
	a = sign_in(t, "alice@example.com", "e1", NOW);
	sa_registered(t, a, 120000);
	ck_assert(sa_use(t, a, 1, NOW + 100000));
	ck_assert(sa_get(t, a, NOW + 279999, &v) && !sa_get(t, a, NOW + 280000, &v));
	a = sign_in(t, "alice@example.com", "e1", NOW);
	sa_registered(t, a, 7200000);
	ck_assert(sa_get(t, a, NOW + 299999, &v) && !sa_get(t, a, NOW + 300000, &v));
	sa_registered(t, 12345, 1000);
	sa_table_free(t);
}
END_TEST

/* Ten thousand users signed in take a small part of 100 MB. */
START_TEST(memory)
{
	struct sa_limits many = limits;
	size_t before = mallinfo2().uordblks, after;
	struct sa_table *t;
	char name[64];

	many.total = 100000;
	t = sa_table_new(&many, endpoint_key);
	for (unsigned i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "user%u@example.com", i);
		ck_assert_uint_ne(sign_in(t, name, "e1", NOW), 0);
	}
	ck_assert_uint_eq(sa_established(t), 10000);
	after = mallinfo2().uordblks;
	ck_assert_msg(after - before < 30u << 20, "%zu bytes", after - before);
	sa_table_free(t);
}
END_TEST

/* Whoever begins handshakes in somebody's name, on however many connections, does not drive out that user's own. */
START_TEST(strangers_drive_nobody_out)
{
	static const struct sa_limits few = { .total = 100, .per_user = 3, .half_open = 64 * 8, .half_open_ms = 32000,
	    .idle_ms = 600000, .lifetime_ms = 28800000 };
	struct sa_table *t = sa_table_new(&few, endpoint_key);
	struct sa_claim alice = claim("alice@example.com", "e0", 1), bob = claim("alice@example.com", "f0", 2), c;
	uint32_t own = 0, other = 0, first = 0, last = 0;
	uint64_t context;

	alice.source = 1001;
	bob.source = 1002;
	for (unsigned i = 0; i < 1000; i++) {
		c = claim("alice@example.com", "z", 100 + i);
		c.source = 1003;
		last = sa_begin(t, SA_NTLM, &c, i, NOW + i);
		if (i == 0)
			first = last;
		if (i == 500)
			own = sa_begin(t, SA_NTLM, &alice, 4711, NOW + i);
		if (i == 600)
			other = sa_begin(t, SA_NTLM, &bob, 4712, NOW + i);
	}
	ck_assert(sa_take(t, own, SA_NTLM, &alice, NOW + 1000, &context) && context == 4711);
	ck_assert(sa_take(t, other, SA_NTLM, &bob, NOW + 1000, &context) && context == 4712);
	ck_assert(sa_take(t, last, SA_NTLM, &c, NOW + 1000, &context) && context == 999);
	c.conn = 100;
	ck_assert(!sa_take(t, first, SA_NTLM, &c, NOW + 1000, &context));
	sa_table_free(t);
}
END_TEST

START_TEST(bounds)
{
	struct sa_table *t = sa_table_new(&limits, endpoint_key);
	uint32_t first = sign_in(t, "alice@example.com", "e0", NOW), opaque[8], n = 0;
	struct sa_claim c = claim("alice@example.com", "e", 1);
	struct sa_view v;
	uint64_t context;
	char name[64];

	/* three devices of a user; the fourth ends the one that was quiet longest */
	sign_in(t, "alice@example.com", "e1", NOW + 1);
	sign_in(t, "alice@example.com", "e2", NOW + 2);
	ck_assert(sa_get(t, first, NOW + 2, &v));
	sign_in(t, "alice@example.com", "e3", NOW + 3);
	ck_assert(!sa_get(t, first, NOW + 3, &v));
	ck_assert_uint_eq(sa_established(t), 3);
	/* in all */
	for (unsigned i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "user%u@example.com", i);
		n += sign_in(t, name, "e", NOW) != 0;
	}
	ck_assert_uint_eq(n, 97);
	ck_assert_uint_eq(sa_established(t), 100);
	/* handshakes of one connection push out each other, and nobody else's */
	opaque[0] = sa_begin(t, SA_NTLM, &c, 0, NOW);
	c.conn = 2;
	for (unsigned i = 1; i < 8; i++)
		opaque[i] = sa_begin(t, SA_NTLM, &c, i, NOW);
	for (unsigned i = 1; i < 8; i++)
		ck_assert(sa_take(t, opaque[i], SA_NTLM, &c, NOW, &context) == (i >= 4));
	c.conn = 1;
	ck_assert(sa_take(t, opaque[0], SA_NTLM, &c, NOW, &context));
	/* names that are too long */
	memset(name, 'x', sizeof(name));
	c.epid = span_of(name, 65 > sizeof(name) ? sizeof(name) : 65);
	ck_assert_uint_ne(sa_begin(t, SA_NTLM, &c, 0, NOW), 0);
	c.aor = SPAN_NONE;
	ck_assert_uint_eq(sa_begin(t, SA_NTLM, &c, 0, NOW), 0);
	sa_table_free(t);
}
END_TEST

START_TEST(replays)
{
	struct sa_table *t = sa_table_new(&limits, endpoint_key);
	uint32_t a = sign_in(t, "alice@example.com", "e1", NOW);

	ck_assert(!sa_use(t, a, 0, NOW));
	ck_assert(sa_use(t, a, 1, NOW));
	ck_assert(!sa_use(t, a, 1, NOW));
	/* out of order, each once */
	ck_assert(sa_use(t, a, 5, NOW));
	for (uint32_t n = 2; n <= 5; n++)
		ck_assert(sa_use(t, a, n, NOW) == (n < 5));
	/* 256 back, and no further */
	ck_assert(sa_use(t, a, 300, NOW));
	ck_assert(!sa_use(t, a, 44, NOW));
	ck_assert(sa_use(t, a, 45, NOW));
	ck_assert(!sa_use(t, a, 45, NOW));
	for (uint32_t n = 46; n < 300; n++)
		ck_assert(sa_use(t, a, n, NOW));
	for (uint32_t n = 1; n <= 300; n++)
		ck_assert(!sa_use(t, a, n, NOW));
	/* a leap over the whole window, and the last number there is */
	ck_assert(sa_use(t, a, 0xfffffff0, NOW));
	ck_assert(!sa_use(t, a, 301, NOW));
	ck_assert(sa_use(t, a, 0xffffffef, NOW));
	ck_assert(sa_use(t, a, 0xffffffff, NOW));
	ck_assert(!sa_use(t, a, 0xffffffff, NOW));
	ck_assert(!sa_use(t, a ^ 64, 1, NOW));
	sa_table_free(t);
}
END_TEST

START_TEST(pens)
{
	struct sa_table *t = sa_table_new(&limits, endpoint_key);
	uint32_t a = sign_in(t, "alice@example.com", "e1", NOW);
	unsigned char ours[SA_SIGNATURE_MAX];
	struct sa_keys theirs = keys_of(1), strangers = keys_of(2);
	struct ntlm_side swap = theirs.ntlm.server;
	struct span text = SPAN_LIT("<NTLM><...>"), sig;
	struct sa_pen p, q;

	ck_assert(sa_pen(t, a, NOW, &p) && sa_pen(t, a, NOW, &q));
	ck_assert_uint_eq(p.snum, 1);
	ck_assert_uint_eq(q.snum, 2);
	sig = span_of((const char *)ours, sa_keys_sign(&p.keys, text, ours));
	ck_assert_uint_eq(sig.n, NTLM_SIGNATURE_SIZE);
	/* what we sign is not what a client signs: no reflections */
	ck_assert(!sa_keys_verify(&p.keys, text, sig));
	theirs.ntlm.server = theirs.ntlm.client;
	theirs.ntlm.client = swap;
	ck_assert(sa_keys_verify(&theirs, text, sig));
	ck_assert(!sa_keys_verify(&theirs, SPAN_LIT("<NTLM><..>"), sig));
	ck_assert(!sa_keys_verify(&theirs, text, span_head(sig, 15)));
	ck_assert(!sa_keys_verify(&strangers, text, sig));
	sa_end(t, a);
	ck_assert(!sa_pen(t, a, NOW, &p));
	sa_table_free(t);
}
END_TEST

/* --- several threads ---------------------------------------------------------------- */

#define ROUNDS	2000

struct busy {
	struct sa_table	*table;
	uint32_t	 shared;
	unsigned	 who;
	unsigned	 used;		/* numbers of the shared one that were fresh for us */
};

static void *
work(void *arg)
{
	struct busy *b = arg;
	struct sa_pen pen;
	struct sa_view v;
	char name[32];

	snprintf(name, sizeof(name), "user%u@example.com", b->who % 2);
	for (uint32_t i = 1; i <= ROUNDS; i++) {
		b->used += sa_use(b->table, b->shared, i, NOW);
		sa_pen(b->table, b->shared, NOW, &pen);
		if (i % 64 == 0) {
			uint32_t a = sign_in(b->table, name, "e", NOW);

			sa_get(b->table, a, NOW, &v);
			sa_end(b->table, a);
			sa_sweep(b->table, NOW);
		}
	}
	return NULL;
}

START_TEST(threads)
{
	struct sa_table *t = sa_table_new(&limits, endpoint_key);
	struct busy b[4];
	pthread_t thread[4];
	struct sa_pen pen;
	unsigned used = 0;
	uint32_t shared = sign_in(t, "alice@example.com", "e", NOW);

	for (unsigned i = 0; i < 4; i++) {
		b[i] = (struct busy){ t, shared, i, 0 };
		ck_assert_int_eq(pthread_create(&thread[i], NULL, work, &b[i]), 0);
	}
	for (unsigned i = 0; i < 4; i++) {
		pthread_join(thread[i], NULL);
		used += b[i].used;
	}
	/* each number was fresh for one of them at most, and those that were not too late for all of them for one */
	ck_assert_uint_le(used, ROUNDS);
	ck_assert_uint_ge(used, 256);
	ck_assert(sa_pen(t, shared, NOW, &pen));
	ck_assert_uint_eq(pen.snum, 4 * ROUNDS + 1);
	ck_assert_uint_eq(sa_established(t), 1);
	sa_table_free(t);
}
END_TEST

/* --- endpoints -------------------------------------------------------------------------- */

static struct sip_message m;

static const struct sip_message *
message(const char *head, const char *from, const char *contacts)
{
	static char text[2048];

	snprintf(text, sizeof(text), "%s\r\nVia: SIP/2.0/TLS 192.0.2.1:1\r\nFrom: <sip:a@example.com>;tag=1%s\r\n"
	    "To: <sip:a@example.com>\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\nMax-Forwards: 70\r\n%sContent-Length: 0\r\n\r\n",
	    head, from, contacts);
	sip_message_reset(&m);
	ck_assert_int_eq(sip_message_index(&m, text, strlen(text)), SP_OK);
	ck_assert_int_eq(sip_message_parse(&m), SIP_CHECK_OK);
	return &m;
}

#define REQUEST		"REGISTER sip:example.com SIP/2.0"
#define OK		"SIP/2.0 200 OK"
#define INSTANCE(u)	";+sip.instance=\"<urn:uuid:" u ">\""
#define U1		"57f2b0f9-fd8b-5858-942a-1aa9f4d894e9"	/* of 1a2b3c4d5e */

START_TEST(identifiers)
{
	char uuid[ENDPOINT_UUID_TEXT];

	endpoint_uuid(SPAN_LIT("01010101"), uuid);
	ck_assert_str_eq(uuid, "4b1682a8-f968-5701-83fc-7c6741dc6697");
	endpoint_uuid(SPAN_LIT("c8ca638a15"), uuid);
	ck_assert_str_eq(uuid, "34d859db-6585-5f91-a3b4-de853c15347d");
	endpoint_uuid(SPAN_LIT("b34afb6ebb23"), uuid);
	ck_assert_str_eq(uuid, "085e0bd8-031c-5a0d-8d9a-f149aae6954a");

	ck_assert(endpoint_agrees(message(REQUEST, ";epid=1a2b3c4d5e", "Contact: <sip:a@192.0.2.1>" INSTANCE(U1) "\r\n")));
	ck_assert(!endpoint_agrees(message(REQUEST, ";epid=1a2b3c4d5f", "Contact: <sip:a@192.0.2.1>" INSTANCE(U1) "\r\n")));
	ck_assert(!endpoint_agrees(message(REQUEST, ";epid=1a2b3c4d5e",
	    "Contact: <sip:a@192.0.2.1>, <sip:b@192.0.2.1>;x;+sip.instance=\"" U1 "\"\r\n")));
	/* one of them alone */
	ck_assert(endpoint_agrees(message(REQUEST, ";epid=1a2b3c4d5f", "Contact: <sip:a@192.0.2.1>\r\n")));
	ck_assert(endpoint_agrees(message(REQUEST, "", "Contact: <sip:a@192.0.2.1>" INSTANCE(U1) "\r\n")));
	ck_assert(endpoint_agrees(message(REQUEST, ";epid=x", "")));
}
END_TEST

START_TEST(registered_for)
{
	struct span epid = SPAN_LIT("1a2b3c4d5e");

	ck_assert_uint_eq(endpoint_expires(message(OK, "", ""), epid), 0);
	ck_assert_uint_eq(endpoint_expires(message(OK, "", "Contact: <sip:a@192.0.2.1>;expires=600\r\n"
	    "Contact: <sip:b@192.0.2.1>;expires=90" INSTANCE(U1) ", <sip:c@192.0.2.1>;expires=700\r\n"), epid), 90);
	ck_assert_uint_eq(endpoint_expires(message(OK, "", "Contact: <sip:a@192.0.2.1>;expires=600\r\n"
	    "Contact: <sip:b@192.0.2.1>;expires=none, <sip:c@192.0.2.1>;expires=700\r\n"), epid), 700);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { handshakes, what_is_refused_changes_nothing, lives, registrations, memory,
	    strangers_drive_nobody_out, bounds, replays, pens, threads, identifiers, registered_for,
	    who_shares_the_key_gives_the_same_numbers };

	return unit_run("sa", tests, sizeof(tests) / sizeof(tests[0]));
}
