/*
 * Kerberos on both sides of the frame: tickets from a real KDC of our own on
 * loopback, accepted by a keytab, handed over, signed and verified with.
 *
 * The clock that libkrb5 reads is ours (time() and gettimeofday() below), so that a ticket
 * can be old, and a client's clock wrong, without anybody waiting.
 */
#include "director/ticket.h"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <arpa/inet.h>
#include <errno.h>
#include <gssapi/gssapi.h>
#include <gssapi/gssapi_ext.h>
#include <gssapi/gssapi_krb5.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "director/gss.h"
#include "director/sa.h"
#include "tests/unit/unit.h"

static const unsigned char endpoint_key[HASH_KEY_SIZE] = "of endpoints";

#define KDC_ADDR	"127.77.0.9"
#define HOST		"director.int.example.com"
#define HOUR		3600

static char dir[] = "/tmp/check_ticket.XXXXXX";
static time_t ahead;	/* of the real time: what libkrb5 is told */

int
gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
	struct timespec ts;

	(void)tz;
	clock_gettime(CLOCK_REALTIME, &ts);
	tv->tv_sec = ts.tv_sec + ahead;
	tv->tv_usec = ts.tv_nsec / 1000;
	return 0;
}

time_t
time(time_t *out)
{
	struct timeval tv;

	gettimeofday(&tv, NULL);
	if (out != NULL)
		*out = tv.tv_sec;
	return tv.tv_sec;
}

/* What MS-SIPAE signs of a REGISTER. */
static const char buffer[] = "<Kerberos><5c3a91f0><1><SIP Communications Service><sip/" HOST ">"
    "<6a1f0e5b7c9d4e2f8a3b5c7d9e1f2a4b><2><REGISTER><sip:alice@example.com><8f2b6d1c3a><sip:alice@example.com><><><><>";
static const char answer[] = "<Kerberos><9D41E6B2><1><SIP Communications Service><sip/" HOST ">"
    "<6a1f0e5b7c9d4e2f8a3b5c7d9e1f2a4b><2><REGISTER><sip:alice@example.com><8f2b6d1c3a><sip:alice@example.com>"
    "<4E7A9C01D2B35F68><><><7200><200>";

/* --- the client's side --------------------------------------------------------------- */

struct client {
	gss_ctx_id_t	 context;
	gss_buffer_desc	 token;
};

static gss_name_t
name_of(const char *text, gss_OID kind)
{
	gss_buffer_desc b = { strlen(text), (void *)(uintptr_t)text };
	gss_name_t name;
	OM_uint32 minor;

	ck_assert_uint_eq(gss_import_name(&minor, &b, kind, &name), GSS_S_COMPLETE);
	return name;
}

/* A ticket for the service, for so many seconds, and a token made with it. */
static void
ask_for(struct client *c, const char *user, const char *password, const char *service, OM_uint32 seconds,
    OM_uint32 flags)
{
	gss_OID_set_desc mechs = { 1, (gss_OID)(uintptr_t)gss_mech_krb5 };
	gss_buffer_desc secret = { strlen(password), (void *)(uintptr_t)password };
	gss_name_t who = name_of(user, GSS_C_NT_USER_NAME), target = name_of(service, GSS_C_NT_HOSTBASED_SERVICE);
	gss_cred_id_t cred;
	OM_uint32 minor, major;

	memset(c, 0, sizeof(*c));
	ck_assert_uint_eq(gss_acquire_cred_with_password(&minor, who, &secret, seconds, &mechs, GSS_C_INITIATE, &cred,
	    NULL, NULL), GSS_S_COMPLETE);
	major = gss_init_sec_context(&minor, cred, &c->context, target, (gss_OID)(uintptr_t)gss_mech_krb5, flags, seconds,
	    GSS_C_NO_CHANNEL_BINDINGS, GSS_C_NO_BUFFER, NULL, &c->token, NULL, NULL);
	ck_assert_uint_eq(major, (flags & GSS_C_MUTUAL_FLAG) != 0 ? GSS_S_CONTINUE_NEEDED : GSS_S_COMPLETE);
	gss_release_cred(&minor, &cred);
	gss_release_name(&minor, &who);
	gss_release_name(&minor, &target);
}

static void
leave(struct client *c)
{
	OM_uint32 minor;

	gss_release_buffer(&minor, &c->token);
	gss_delete_sec_context(&minor, &c->context, GSS_C_NO_BUFFER);
}

static struct span
token_of(const struct client *c)
{
	return span_of(c->token.value, c->token.length);
}

static size_t
client_sign(struct client *c, const char *text, unsigned char out[SA_SIGNATURE_MAX])
{
	gss_buffer_desc b = { strlen(text), (void *)(uintptr_t)text }, mic;
	OM_uint32 minor;
	size_t n;

	ck_assert_uint_eq(gss_get_mic(&minor, c->context, GSS_C_QOP_DEFAULT, &b, &mic), GSS_S_COMPLETE);
	ck_assert_uint_le(n = mic.length, SA_SIGNATURE_MAX);
	memcpy(out, mic.value, n);
	gss_release_buffer(&minor, &mic);
	return n;
}

static bool
client_verifies(struct client *c, const char *text, const unsigned char *mic, size_t n)
{
	gss_buffer_desc b = { strlen(text), (void *)(uintptr_t)text }, m = { n, (void *)(uintptr_t)mic };
	OM_uint32 minor;

	return gss_verify_mic(&minor, c->context, &b, &m, NULL) == GSS_S_COMPLETE;
}

/* --- ours -------------------------------------------------------------------------------- */

static struct users *
people(void)
{
	static const char *const names[] = { "alice@example.com", "bob@example.com" };
	struct users *us = users_new();

	for (unsigned i = 0; i < 2; i++) {
		struct user u = { .enabled = i == 0, .remote = true };

		ck_assert_int_eq(user_set_aor(&u, span_str(names[i])), SP_OK);
		ck_assert_int_eq(user_set_pool(&u, SPAN_LIT("pool.example.com")), SP_OK);
		ck_assert_int_eq(users_put(us, &u), SP_OK);
	}
	return us;
}

static const char *
in_dir(const char *file)
{
	static char path[4][300];
	static unsigned n;

	n = (n + 1) % 4;
	snprintf(path[n], sizeof(path[n]), "%s/%s", dir, file);
	return path[n];
}

static struct tickets *
opened(const char *keytab, const char *host)
{
	struct ticket_setup setup = { .keytab = in_dir(keytab), .host = host };
	struct tickets *t;

	ck_assert_int_eq(tickets_open(&t, &setup), SP_OK);
	return t;
}

/* The verdict, and that nothing but a good one comes with anything. */
static enum authd_verdict
verdict(struct tickets *t, struct users *us, struct span token)
{
	struct authd_answer a;

	tickets_accept(t, us, token, &a);
	ck_assert(a.who.found == (a.verdict == AUTHD_OK));
	ck_assert((a.session.n != 0) == (a.verdict == AUTHD_OK));
	ck_assert_uint_eq(a.key_n, 0);
	return a.verdict;
}

/* One session over the frame: what comes out is what the network process would have. */
static struct gss_session *
handed_over(const struct authd_answer *a)
{
	static unsigned char body[AUTHD_ANSWER_MAX];
	struct frame f = { .type = AUTHD_STEPPED, .body = body };
	struct authd_answer b;
	struct frame_writer w;

	frame_writer_init(&w, body, sizeof(body));
	authd_put_stepped(&w, a);
	ck_assert(!w.failed);
	f.len = w.len;
	ck_assert(authd_get_stepped(&f, &b));
	ck_assert_int_eq(b.verdict, AUTHD_OK);
	ck_assert_uint_eq(b.lifetime, a->lifetime);
	return gss_session_import(b.session);
}

static void
signs_both_ways(struct gss_session *s, struct client *c, size_t size)
{
	unsigned char mic[SA_SIGNATURE_MAX], second[SA_SIGNATURE_MAX], third[SA_SIGNATURE_MAX];
	size_t n = client_sign(c, buffer, mic);
	struct span text = span_str(buffer);

	ck_assert_uint_eq(n, size);
	ck_assert(gss_session_verify(s, text, span_of((char *)mic, n)));
	/* another text, a changed byte anywhere, a part of it, nothing */
	ck_assert(!gss_session_verify(s, span_head(text, text.n - 1), span_of((char *)mic, n)));
	for (size_t i = 0; i < n; i++) {
		mic[i] ^= 0x40;
		ck_assert_msg(!gss_session_verify(s, text, span_of((char *)mic, n)), "byte %zu", i);
		mic[i] ^= 0x40;
	}
	for (size_t i = 0; i < n; i++)
		ck_assert(!gss_session_verify(s, text, span_of((char *)mic, i)));
	/* in any order */
	n = client_sign(c, "<2>", second);
	ck_assert_uint_eq(client_sign(c, "<3>", third), n);
	ck_assert(gss_session_verify(s, SPAN_LIT("<3>"), span_of((char *)third, n)));
	ck_assert(gss_session_verify(s, SPAN_LIT("<2>"), span_of((char *)second, n)));
	/* the server's; and what the server signs is not what the client does */
	n = gss_session_sign(s, span_str(answer), mic, sizeof(mic));
	ck_assert_uint_eq(n, size);
	ck_assert(!gss_session_verify(s, span_str(answer), span_of((char *)mic, n)));
	ck_assert(client_verifies(c, answer, mic, n));
	mic[n - 1] ^= 1;
	ck_assert(!client_verifies(c, answer, mic, n));
	ck_assert_uint_eq(gss_session_sign(s, text, mic, size - 1), 0);
}

START_TEST(signs_in)
{
	struct tickets *t = opened("sip.keytab", HOST);
	struct users *us = people();
	struct gss_session *s;
	struct authd_answer a;
	struct client c;

	ask_for(&c, "alice", "Alice-1", "sip@" HOST, GSS_C_INDEFINITE, GSS_C_INTEG_FLAG);
	tickets_accept(t, us, token_of(&c), &a);
	ck_assert_int_eq(a.verdict, AUTHD_OK);
	ck_assert_str_eq(a.who.aor, "alice@example.com");
	ck_assert_str_eq(a.who.pool, "pool.example.com");
	ck_assert(a.who.remote && a.who.enabled);
	ck_assert_uint_eq(a.lifetime, TICKET_LIFETIME_MAX);	/* the ticket is good for ten hours */
	ck_assert_ptr_nonnull(s = handed_over(&a));
	signs_both_ways(s, &c, 28);	/* AES, RFC 4121 */
	gss_session_unref(s);
	leave(&c);
	tickets_close(t);
	users_free(us);
}
END_TEST

START_TEST(signs_in_with_rc4)
{
	struct tickets *t = opened("old.keytab", "old." HOST);
	struct users *us = people();
	unsigned char mic[SA_SIGNATURE_MAX];
	struct gss_session *s;
	struct authd_answer a;
	struct client c;

	ask_for(&c, "alice", "Alice-1", "sip@old." HOST, GSS_C_INDEFINITE, GSS_C_INTEG_FLAG);
	tickets_accept(t, us, token_of(&c), &a);
	ck_assert_int_eq(a.verdict, AUTHD_OK);
	ck_assert_ptr_nonnull(s = handed_over(&a));
	/* RFC 4757: the form of the example in MS-OCER 3.1.4.1 */
	ck_assert_uint_eq(gss_session_sign(s, span_str(answer), mic, sizeof(mic)), 37);
	ck_assert_mem_eq(mic, "\x60\x23\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x01\x01\x11\x00\xff\xff\xff\xff", 21);
	ck_assert(client_verifies(&c, answer, mic, 37));
	ck_assert(client_sign(&c, buffer, mic) == 37);
	ck_assert(gss_session_verify(s, span_str(buffer), span_of((char *)mic, 37)));
	mic[36] ^= 1;
	ck_assert(!gss_session_verify(s, span_str(buffer), span_of((char *)mic, 37)));
	gss_session_unref(s);
	leave(&c);
	tickets_close(t);
	users_free(us);
}
END_TEST

START_TEST(short_tickets)
{
	struct tickets *t = opened("sip.keytab", HOST);
	struct users *us = people();
	struct authd_answer a;
	struct client c;

	ask_for(&c, "alice", "Alice-1", "sip@" HOST, HOUR, GSS_C_INTEG_FLAG);
	tickets_accept(t, us, token_of(&c), &a);
	ck_assert_int_eq(a.verdict, AUTHD_OK);
	/* the library allows for five minutes of difference between clocks */
	ck_assert_uint_le(a.lifetime, HOUR + 300);
	ck_assert_uint_ge(a.lifetime, HOUR - 60);
	leave(&c);
	tickets_close(t);
	users_free(us);
}
END_TEST

/* Where the directory knows accounts, the ticket says which one, and not whose address that is. */
START_TEST(accounts)
{
	struct conf_str places[] = { { .s = (char[]){ "EXAMPLE.COM=dc=example,dc=com" } } };
	struct dirconf directory = { .logins = { places, 1 } };
	struct ticket_setup setup = { .keytab = in_dir("sip.keytab"), .host = HOST, .directory = true, .logins = &directory };
	static const struct { const char *user, *password, *login; } cases[] = {
		{ "alice", "Alice-1", "alice@EXAMPLE.COM" },
		{ "stranger", "Stranger-1", "stranger@EXAMPLE.COM" },	/* the directory will say */
		{ "alice/admin", "Admin-1", NULL }
	};
	struct users *us = people();
	struct tickets *t;
	struct authd_answer a;
	struct client c;

	ck_assert_int_eq(tickets_open(&t, &setup), SP_OK);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ask_for(&c, cases[i].user, cases[i].password, "sip@" HOST, GSS_C_INDEFINITE, GSS_C_INTEG_FLAG);
		tickets_accept(t, us, token_of(&c), &a);
		ck_assert_msg((a.verdict == AUTHD_OK) == (cases[i].login != NULL), "case %u", i);
		ck_assert(!a.who.found && (a.login != NULL) == (cases[i].login != NULL));
		if (a.login != NULL) {
			ck_assert_str_eq(a.login, cases[i].login);
			ck_assert_uint_gt(a.session.n, 0);
		}
		leave(&c);
	}
	tickets_close(t);
	users_free(us);
}
END_TEST

START_TEST(once_only)
{
	struct tickets *t = opened("sip.keytab", HOST);
	struct users *us = people();
	struct client c;

	ask_for(&c, "alice", "Alice-1", "sip@" HOST, GSS_C_INDEFINITE, GSS_C_INTEG_FLAG);
	ck_assert_int_eq(verdict(t, us, token_of(&c)), AUTHD_OK);
	ck_assert_int_eq(verdict(t, us, token_of(&c)), AUTHD_REPLAYED);
	/* also by an authd that was started again */
	tickets_close(t);
	t = opened("sip.keytab", HOST);
	ck_assert_int_eq(verdict(t, us, token_of(&c)), AUTHD_REPLAYED);
	leave(&c);
	tickets_close(t);
	users_free(us);
}
END_TEST

START_TEST(clocks)
{
	static const struct {
		time_t			 ahead;
		enum authd_verdict	 verdict;
	} cases[] = {
		{ 600, AUTHD_SKEWED }, { -600, AUTHD_SKEWED }, { 11 * HOUR, AUTHD_BAD /* expired */ }, { 240, AUTHD_OK },
		{ -240, AUTHD_OK }
	};
	struct tickets *t = opened("sip.keytab", HOST);
	struct users *us = people();
	struct client c;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ask_for(&c, "alice", "Alice-1", "sip@" HOST, GSS_C_INDEFINITE, GSS_C_INTEG_FLAG);
		ahead = cases[i].ahead;
		ck_assert_msg(verdict(t, us, token_of(&c)) == cases[i].verdict, "case %u", i);
		ahead = 0;
		leave(&c);
	}
	tickets_close(t);
	users_free(us);
}
END_TEST

START_TEST(wrong_ones)
{
	static const struct {
		const char	*user, *password, *service;
		OM_uint32	 flags;
	} cases[] = {
		{ "alice", "Alice-1", "host@" HOST, GSS_C_INTEG_FLAG },		/* the keytab has that key, too */
		{ "alice", "Alice-1", "sip@old." HOST, GSS_C_INTEG_FLAG },	/* and not this one */
		{ "stranger", "Stranger-1", "sip@" HOST, GSS_C_INTEG_FLAG },	/* no user of ours */
		{ "bob", "Bob-1", "sip@" HOST, GSS_C_INTEG_FLAG },		/* disabled */
		{ "alice/admin", "Admin-1", "sip@" HOST, GSS_C_INTEG_FLAG },	/* not alice */
		{ "alice", "Alice-1", "sip@" HOST, GSS_C_INTEG_FLAG | GSS_C_DCE_STYLE }	/* wants three legs */
	};
	struct tickets *t = opened("sip.keytab", HOST);
	struct users *us = people();
	struct client c;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		OM_uint32 flags = cases[i].flags;

		if ((flags & GSS_C_DCE_STYLE) != 0)
			flags |= GSS_C_MUTUAL_FLAG;
		ask_for(&c, cases[i].user, cases[i].password, cases[i].service, GSS_C_INDEFINITE, flags);
		ck_assert_msg(verdict(t, us, token_of(&c)) == AUTHD_BAD, "case %u", i);
		leave(&c);
	}
	tickets_close(t);
	users_free(us);
}
END_TEST

/* Every byte of a token changed, and every length of it: never accepted, and nothing is left behind. */
START_TEST(garbage)
{
	static unsigned char noise[AUTHD_TOKEN_MAX + 1];
	struct tickets *t = opened("sip.keytab", HOST);
	struct users *us = people();
	unsigned char *copy;
	struct client c;
	struct span token;

	ask_for(&c, "alice", "Alice-1", "sip@" HOST, GSS_C_INDEFINITE, GSS_C_INTEG_FLAG);
	token = token_of(&c);
	copy = xmalloc(token.n);
	for (size_t n = 0; n < token.n; n += 1 + n / 16)
		ck_assert_int_ne(verdict(t, us, span_head(token, n)), AUTHD_OK);
	for (size_t i = 0; i < token.n; i += 1 + i / 32) {
		enum authd_verdict v;

		memcpy(copy, token.p, token.n);
		copy[i] ^= 0x55;
		/* a few of them say nothing that counts, such as the options of the AP-REQ */
		v = verdict(t, us, span_of((char *)copy, token.n));
		ck_assert_msg(v != AUTHD_OK || i < 64, "byte %zu of %zu", i, token.n);
	}
	free(copy);
	mem_random(noise, sizeof(noise));
	ck_assert_int_eq(verdict(t, us, span_of((char *)noise, 1)), AUTHD_BAD);
	ck_assert_int_eq(verdict(t, us, span_of((char *)noise, sizeof(noise) - 1)), AUTHD_BAD);
	ck_assert_int_eq(verdict(t, us, span_of((char *)noise, sizeof(noise))), AUTHD_BAD);
	/* other mechanisms: raw NTLM, SPNEGO */
	ck_assert_int_eq(verdict(t, us, SPAN_LIT("NTLMSSP\0\1\0\0\0\7\x82\x08\0")), AUTHD_BAD);
	ck_assert_int_eq(verdict(t, us, SPAN_LIT("\x60\x1a\x06\x06\x2b\x06\x01\x05\x05\x02\xa0\x10\x30\x0e\xa0\x0c\x30\x0a"
	    "\x06\x08\x2b\x06\x01\x04\x01\x82\x37\x02")), AUTHD_BAD);
	ck_assert_ptr_null(gss_session_import(SPAN_NONE));
	ck_assert_ptr_null(gss_session_import(span_of((char *)noise, 500)));
	leave(&c);
	tickets_close(t);
	users_free(us);
}
END_TEST

/* A context of a client is no session of ours: it would sign for the other side. */
START_TEST(only_the_servers_side)
{
	gss_buffer_desc blob;
	OM_uint32 minor;
	struct client c;

	ask_for(&c, "alice", "Alice-1", "sip@" HOST, GSS_C_INDEFINITE, GSS_C_INTEG_FLAG);
	ck_assert_uint_eq(gss_export_sec_context(&minor, &c.context, &blob), GSS_S_COMPLETE);
	ck_assert_ptr_null(gss_session_import(span_of(blob.value, blob.length)));
	gss_release_buffer(&minor, &blob);
	leave(&c);
}
END_TEST

/* The session in the table: views and pens hold it as long as they are used. */
START_TEST(associations)
{
	static const struct sa_limits limits = { .total = 100, .per_user = 3, .half_open = 640, .half_open_ms = 32000,
	    .idle_ms = 6000000, .lifetime_ms = 28800000 };
	struct sa_table *table = sa_table_new(&limits, endpoint_key);
	struct tickets *t = opened("sip.keytab", HOST);
	struct users *us = people();
	struct sa_claim claim = { SPAN_LIT("alice@example.com"), SPAN_LIT("e1"), 7, 0 };
	struct sa_keys keys = { .scheme = SA_KERBEROS };
	unsigned char mic[SA_SIGNATURE_MAX];
	struct authd_answer a;
	struct sa_view view;
	struct client c;
	struct sa_pen pen;
	uint32_t opaque;
	size_t n;

	ask_for(&c, "alice", "Alice-1", "sip@" HOST, HOUR, GSS_C_INTEG_FLAG);
	tickets_accept(t, us, token_of(&c), &a);
	ck_assert_ptr_nonnull(keys.gss = handed_over(&a));
	/* no challenge came before it; its end is the ticket's */
	ck_assert_uint_ne(opaque = sa_establish(table, 0, &claim, 4, &keys, &a.who, a.lifetime, 1000), 0);
	sa_settle(table, opaque, 1000);
	sa_keys_wipe(&keys);
	ck_assert(sa_get(table, opaque, 1000, &view));
	ck_assert(sa_pen(table, opaque, 1000, &pen));
	ck_assert(!sa_get(table, opaque, 1000 + (uint64_t)a.lifetime * 1000, &(struct sa_view){ 0 }));
	sa_table_free(table);
	n = client_sign(&c, buffer, mic);
	ck_assert(sa_keys_verify(&view.keys, span_str(buffer), span_of((char *)mic, n)));
	n = sa_keys_sign(&pen.keys, span_str(answer), mic);
	ck_assert(client_verifies(&c, answer, mic, n));
	sa_keys_wipe(&view.keys);
	sa_keys_wipe(&pen.keys);
	leave(&c);
	tickets_close(t);
	users_free(us);
}
END_TEST

/* One session, used by all workers at once. */
static void *
use(void *arg)
{
	struct gss_session *s = gss_session_ref(arg);
	unsigned char mic[SA_SIGNATURE_MAX];
	size_t wrong = 0;

	for (unsigned i = 0; i < 500; i++) {
		size_t n = gss_session_sign(s, span_str(answer), mic, sizeof(mic));

		/* ours is never the client's */
		wrong += n != 28 || gss_session_verify(s, span_str(answer), span_of((char *)mic, n));
	}
	gss_session_unref(s);
	return (void *)wrong;
}

START_TEST(threads)
{
	struct tickets *t = opened("sip.keytab", HOST);
	struct users *us = people();
	struct gss_session *s;
	struct authd_answer a;
	pthread_t thread[4];
	struct client c;
	void *wrong;

	ask_for(&c, "alice", "Alice-1", "sip@" HOST, GSS_C_INDEFINITE, GSS_C_INTEG_FLAG);
	tickets_accept(t, us, token_of(&c), &a);
	ck_assert_ptr_nonnull(s = handed_over(&a));
	for (unsigned i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, use, s), 0);
	for (unsigned i = 0; i < 4; i++) {
		ck_assert_int_eq(pthread_join(thread[i], &wrong), 0);
		ck_assert_ptr_null(wrong);
	}
	gss_session_unref(s);
	leave(&c);
	tickets_close(t);
	users_free(us);
}
END_TEST

START_TEST(keytabs)
{
	struct ticket_setup setup = { .keytab = in_dir("none.keytab"), .host = HOST };
	struct tickets *t;

	ck_assert_int_eq(tickets_open(&t, &setup), SP_EINVAL);
	ck_assert_ptr_null(t);
	setup.keytab = in_dir("other.keytab");	/* host/ alone */
	ck_assert_int_eq(tickets_open(&t, &setup), SP_EINVAL);
	setup.keytab = in_dir("krb5.conf");
	ck_assert_int_eq(chmod(setup.keytab, 0600), 0);
	ck_assert_int_eq(tickets_open(&t, &setup), SP_EINVAL);
	setup.keytab = in_dir("sip.keytab");
	setup.host = "another.example.com";
	ck_assert_int_eq(tickets_open(&t, &setup), SP_EINVAL);
	setup.host = HOST;
	ck_assert_int_eq(chmod(setup.keytab, 0640), 0);
	ck_assert_int_eq(tickets_open(&t, &setup), SP_EINVAL);
	ck_assert_int_eq(chmod(setup.keytab, 0600), 0);
	ck_assert_int_eq(tickets_open(&t, &setup), SP_OK);
	tickets_close(t);
}
END_TEST

/* What is wrong on our side is not said to be the client's fault. */
START_TEST(our_fault)
{
	struct tickets *t = opened("sip.keytab", HOST);
	struct users *us = people();
	struct client c;

	ask_for(&c, "alice", "Alice-1", "sip@" HOST, GSS_C_INDEFINITE, GSS_C_INTEG_FLAG);
	ck_assert_int_eq(rename(in_dir("sip.keytab"), in_dir("away.keytab")), 0);
	ck_assert_int_eq(verdict(t, us, token_of(&c)), AUTHD_FAILED);
	ck_assert_int_eq(rename(in_dir("away.keytab"), in_dir("sip.keytab")), 0);
	/* nowhere to remember what was used: then nothing may be used */
	setenv("KRB5RCACHEDIR", in_dir("missing"), 1);
	ck_assert_int_eq(verdict(t, us, token_of(&c)), AUTHD_FAILED);
	setenv("KRB5RCACHEDIR", dir, 1);
	ck_assert_int_eq(verdict(t, us, token_of(&c)), AUTHD_OK);
	leave(&c);
	tickets_close(t);
	users_free(us);
}
END_TEST

START_TEST(principals)
{
	static const struct {
		const char	*principal, *aor;	/* NULL: none */
	} cases[] = {
		{ "alice@EXAMPLE.COM", "alice@example.com" }, { "Alice@EXAMPLE.COM", "alice@example.com" },
		{ "alice@AD.CORP", "alice@example.org" }, { "alice@OTHER.COM", NULL }, { "alice@example.com", NULL },
		{ "alice/admin@EXAMPLE.COM", NULL }, { "alice\\@x@EXAMPLE.COM", NULL }, { "a@b@EXAMPLE.COM", NULL },
		{ "@EXAMPLE.COM", NULL }, { "alice@", NULL }, { "alice", NULL }, { "", NULL }, { "al ice@EXAMPLE.COM", NULL },
		{ "WELLKNOWN/ANONYMOUS@WELLKNOWN:ANONYMOUS", NULL }
	};
	struct conf_str lines[] = { { .s = (char *)(uintptr_t)"EXAMPLE.COM=example.com" },
	    { .s = (char *)(uintptr_t)"AD.CORP=example.org" } };
	struct conf_strs realms = { lines, 2 };
	struct ticket_setup setup = { .realms = &realms };
	char aor[USER_AOR_MAX], longest[USER_AOR_MAX + 20];

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_assert_msg(ticket_aor(&setup, span_str(cases[i].principal), aor) == (cases[i].aor != NULL), "%s",
		    cases[i].principal);
		ck_assert_str_eq(aor, cases[i].aor != NULL ? cases[i].aor : "");
	}
	memset(longest, 'a', sizeof(longest));
	memcpy(longest + sizeof(longest) - 13, "@EXAMPLE.COM", 13);
	ck_assert(!ticket_aor(&setup, span_str(longest), aor));
	/* without a list, a realm is the domain of that name */
	realms.n = 0;
	ck_assert(ticket_aor(&setup, SPAN_LIT("alice@OTHER.COM"), aor));
	ck_assert_str_eq(aor, "alice@other.com");
	ck_assert(ticket_realm_is_valid("EXAMPLE.COM=example.com"));
	ck_assert(!ticket_realm_is_valid("EXAMPLE.COM"));
	ck_assert(!ticket_realm_is_valid("=example.com"));
	ck_assert(!ticket_realm_is_valid("EXAMPLE.COM="));
	ck_assert(!ticket_realm_is_valid("A=b=c"));
	ck_assert(!ticket_realm_is_valid("EXAMPLE.COM = example.com"));
}
END_TEST

/* What a step with a ticket, and the answer to it, may be. */
START_TEST(frames)
{
	static unsigned char body[FRAME_MAX], long_session[AUTHD_SESSION_MAX + 1];
	static const struct {
		enum authd_verdict	 verdict;
		bool			 found;
		size_t			 key, session;
		bool			 good;
	} answers[] = {
		{ AUTHD_OK, true, 0, 600, true }, { AUTHD_OK, true, 16, 0, true }, { AUTHD_OK, true, 0, AUTHD_SESSION_MAX, true },
		{ AUTHD_OK, true, 16, 600, false }, { AUTHD_OK, true, 0, 0, false }, { AUTHD_OK, false, 0, 600, false },
		{ AUTHD_OK, true, 0, AUTHD_SESSION_MAX + 1, false }, { AUTHD_BAD, false, 0, 0, true },
		{ AUTHD_BAD, false, 0, 600, false }, { AUTHD_SKEWED, false, 0, 0, true }, { AUTHD_SKEWED, true, 0, 0, false },
		{ AUTHD_REPLAYED, false, 0, 0, true }, { AUTHD_FAILED, false, 0, 0, true }, { AUTHD_FAILED, false, 0, 1, false },
		{ AUTHD_STALE, false, 0, 0, false }, { AUTHD_CONTINUE, false, 0, 0, false }
	};
	struct authd_step s = { .mechanism = AUTHD_KERBEROS, .token = SPAN_LIT("ticket"), .domain = SPAN_LIT("example.com") }, t;
	struct frame f = { .body = body };
	struct authd_answer b;
	struct frame_writer w;

	for (unsigned i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct authd_answer a = { .verdict = answers[i].verdict, .who.found = answers[i].found, .key_n = answers[i].key,
		    .session = span_of((char *)long_session, answers[i].session), .lifetime = 9 };

		frame_writer_init(&w, body, sizeof(body));
		authd_put_stepped(&w, &a);
		f.len = w.len;
		ck_assert_msg(authd_get_stepped(&f, &b) == answers[i].good, "case %u", i);
		ck_assert(answers[i].good || (b.verdict == AUTHD_BAD && b.session.n == 0 && b.key_n == 0));
	}
	for (unsigned i = 0; i < 3; i++) {
		s.context = i == 1 ? 7 : 0;
		s.token = i == 2 ? SPAN_NONE : SPAN_LIT("ticket");
		frame_writer_init(&w, body, sizeof(body));
		authd_put_step(&w, &s);
		f.len = w.len;
		ck_assert_msg(authd_get_step(&f, &t) == (i == 0), "step %u", i);
	}
}
END_TEST

/* --- the KDC --------------------------------------------------------------------------------- */

/* A port that is free now. Nobody else has this address. */
static unsigned
free_port(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t n = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	inet_pton(AF_INET, KDC_ADDR, &sin.sin_addr);
	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) != 0 || getsockname(fd, (struct sockaddr *)&sin, &n) != 0)
		sin.sin_port = 0;
	close(fd);
	return ntohs(sin.sin_port);
}

static bool
answers(unsigned port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	bool ok;

	inet_pton(AF_INET, KDC_ADDR, &sin.sin_addr);
	ok = connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0;
	close(fd);
	return ok;
}

/* Its number; 0 if it cannot be had on this machine. */
static pid_t
start_kdc(void)
{
	const char *src = getenv("srcdir");
	unsigned port = free_port();
	const struct timespec pause = { .tv_nsec = 20000000 };
	char command[1000];
	pid_t pid;

	setenv("KRB5_CONFIG", in_dir("krb5.conf"), 1);
	setenv("KRB5_KDC_PROFILE", in_dir("kdc.conf"), 1);
	setenv("KRB5RCACHEDIR", dir, 1);
	setenv("KRB5CCNAME", "MEMORY:", 1);
	snprintf(command, sizeof(command), "sh '%s/tests/lab/kdc.sh' '%s' " KDC_ADDR " %u " HOST, src != NULL ? src : ".", dir,
	    port);
	if (system(command) != 0)
		return 0;
	if ((pid = fork()) == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);	/* also when this test crashes */
		execlp("krb5kdc", "krb5kdc", "-n", (char *)NULL);
		execl("/usr/sbin/krb5kdc", "krb5kdc", "-n", (char *)NULL);
		_exit(127);
	}
	while (!answers(port)) {
		if (waitpid(pid, NULL, WNOHANG) != 0)
			return 0;
		nanosleep(&pause, NULL);
	}
	return pid;
}

int
main(void)
{
	const TTest *tests[] = { signs_in, signs_in_with_rc4, short_tickets, accounts, once_only, clocks, wrong_ones, garbage,
	    only_the_servers_side, associations, threads, keytabs, our_fault, principals, frames };
	char command[100];
	int rc = 77;
	pid_t kdc;

	if (access("/usr/sbin/krb5kdc", X_OK) != 0 || access("/usr/sbin/kadmin.local", X_OK) != 0) {
		puts("krb5-kdc and krb5-admin-server are not installed");
		return rc;
	}
	log_open("check_ticket", "/dev/null", SP_LOG_ERROR);
	if (mkdtemp(dir) == NULL)
		return EXIT_FAILURE;
	if ((kdc = start_kdc()) > 0) {
		rc = unit_run("ticket", tests, sizeof(tests) / sizeof(tests[0]));
		kill(kdc, SIGTERM);
		waitpid(kdc, NULL, 0);
	} else
		rc = EXIT_FAILURE;
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	return system(command) == 0 ? rc : EXIT_FAILURE;
}
