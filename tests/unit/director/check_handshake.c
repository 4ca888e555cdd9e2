/*
 * NTLM handshakes on authd's side: each challenge is good for one answer, and
 * the answer proves one user.
 */
#include "director/handshake.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "net/digest.h"
#include "tests/unit/director/vectors.h"
#include "tests/unit/unit.h"

static uint64_t now_ms = 1000000;
static time_t now_wall = 1772442000;

static const struct ntlm_target target = { .nb_domain = "EXAMPLE", .nb_computer = "DIR01", .dns_domain = "example.com",
    .dns_computer = "dir01.example.com" };

static struct users *
people(void)
{
	static const char *const names[] = { "alice@example.com", "carol@example.org", "off@example.com" };
	struct users *us = users_new();

	log_open("check_handshake", "/dev/null", SP_LOG_ERROR);
	clock_fake(&now_ms, &now_wall);
	for (unsigned i = 0; i < 3; i++) {
		struct user u = { .enabled = i != 2, .remote = true };

		ck_assert_int_eq(user_set_aor(&u, span_str(names[i])), SP_OK);
		ck_assert_int_eq(user_set_pool(&u, SPAN_LIT("pool.example")), SP_OK);
		ck_assert_int_eq(user_set_password(&u, SPAN_NONE, SPAN_LIT("Passw0rd!")), SP_OK);
		ck_assert_int_eq(users_put(us, &u), SP_OK);
	}
	return us;
}

static struct authd_answer
begin(struct handshakes *h, struct users *us)
{
	struct authd_step s = { .mechanism = AUTHD_NTLM, .domain = SPAN_LIT("example.com") };
	struct authd_answer a;

	handshakes_step(h, us, NULL, &s, &a);
	ck_assert_int_eq(a.verdict, AUTHD_CONTINUE);
	ck_assert_uint_ne(a.context, 0);
	ck_assert_uint_eq(a.token.n, 56 + 126);
	return a;
}

static void
put16(unsigned char *p, size_t v)
{
	p[0] = (unsigned char)v;
	p[1] = (unsigned char)(v >> 8);
}

static size_t
utf16(const char *text, unsigned char *out)
{
	size_t n = 0;

	for (; *text != '\0'; text++) {
		out[n++] = (unsigned char)*text;
		out[n++] = 0;
	}
	return n;
}

/* What a client that believes in these answers to a challenge. Its size. */
static size_t
answer(struct span challenge, const char *user, const char *domain, const char *password, unsigned char out[512])
{
	static const char *const upper[][2] = { { "alice", "ALICE" }, { "carol", "CAROL" }, { "off", "OFF" },
	    { "alice@example.com", "ALICE@EXAMPLE.COM" }, { "nobody", "NOBODY" } };
	unsigned char name[256], responder[16], secret[64], nt[16];
	struct span parts[2];
	size_t n, at = 72, blob_n = 28 + 126, sizes[6], offsets[6];

	memset(out, 0, 512);
	memcpy(out, "NTLMSSP\0\3", 9);
	vector_hex("55829862", out + 60, 4);
	sizes[0] = 0;
	sizes[1] = 16 + blob_n;
	sizes[2] = utf16(domain, name);
	sizes[3] = utf16(user, name);
	sizes[4] = 0;
	sizes[5] = 16;
	for (unsigned i = 0; i < 6; i++) {
		offsets[i] = at;
		at += sizes[i];
		put16(out + 12 + 8 * i, sizes[i]);
		put16(out + 14 + 8 * i, sizes[i]);
		put16(out + 16 + 8 * i, offsets[i]);
	}
	out[offsets[1] + 16] = out[offsets[1] + 17] = 1;
	memcpy(out + offsets[1] + 16 + 28, challenge.p + 56, 126);
	utf16(domain, out + offsets[2]);
	utf16(user, out + offsets[3]);
	memset(out + offsets[5], 0x5a, 16);
	net_md4(span_of((const char *)secret, utf16(password, secret)), nt);
	for (unsigned i = 0; i < 5; i++)
		if (strcmp(upper[i][0], user) == 0)
			user = upper[i][1];
	n = utf16(user, name);
	n += utf16(domain, name + n);
	net_hmac_md5(nt, &(struct span){ (const char *)name, n }, 1, responder);
	parts[0] = span_of(challenge.p + 24, 8);
	parts[1] = span_of((const char *)out + offsets[1] + 16, blob_n);
	net_hmac_md5(responder, parts, 2, out + offsets[1]);
	return at;
}

static struct authd_answer
try(struct handshakes *h, struct users *us, const char *user, const char *domain, const char *password)
{
	struct authd_answer a = begin(h, us);
	unsigned char token[512];
	struct authd_step s = { .mechanism = AUTHD_NTLM, .context = a.context, .domain = SPAN_LIT("example.com") };

	s.token = span_of((const char *)token, answer(a.token, user, domain, password, token));
	handshakes_step(h, us, NULL, &s, &a);
	return a;
}

START_TEST(users_and_names)
{
	static const struct {
		const char	*user, *domain, *password, *who;	/* who NULL: refused */
	} rows[] = {
		{ "alice", "EXAMPLE", "Passw0rd!", "alice@example.com" },
		{ "alice", "", "Passw0rd!", "alice@example.com" },
		{ "alice", "LAPTOP7", "Passw0rd!", "alice@example.com" },
		{ "alice", "example.com", "Passw0rd!", "alice@example.com" },
		{ "alice", "corp.example.com", "Passw0rd!", "alice@example.com" },
		{ "alice@example.com", "", "Passw0rd!", "alice@example.com" },
		{ "carol", "example.org", "Passw0rd!", "carol@example.org" },
		{ "carol", "EXAMPLE", "Passw0rd!", NULL },
		{ "alice", "EXAMPLE", "passw0rd!", NULL },
		{ "nobody", "EXAMPLE", "Passw0rd!", NULL },
		{ "nobody", "EXAMPLE", "", NULL },
		{ "off", "EXAMPLE", "Passw0rd!", NULL },
	};
	static const unsigned char none[AUTHD_KEY_MAX];
	struct users *us = people();
	struct handshakes *h = handshakes_new(16, &target);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct authd_answer a = try(h, us, rows[i].user, rows[i].domain, rows[i].password);

		ck_assert_msg(a.verdict == (rows[i].who != NULL ? AUTHD_OK : AUTHD_BAD), "row %zu", i);
		ck_assert_uint_eq(a.context, 0);
		ck_assert_uint_eq(a.token.n, 0);
		if (rows[i].who != NULL) {
			ck_assert_str_eq(a.who.aor, rows[i].who);
			ck_assert_uint_eq(a.key_n, 16);
			ck_assert_uint_eq(a.flags, 0x62988255);
		} else {
			ck_assert(!a.who.found && a.key_n == 0);
			ck_assert_mem_eq(a.key, none, sizeof(none));
		}
	}
	handshakes_free(h);
	users_free(us);
}
END_TEST

START_TEST(once)
{
	struct users *us = people();
	struct handshakes *h = handshakes_new(4, &target);
	struct authd_answer first = begin(h, us), a;
	unsigned char token[512];
	struct authd_step s = { .mechanism = AUTHD_NTLM, .context = first.context, .domain = SPAN_LIT("example.com") };

	s.token = span_of((const char *)token, answer(first.token, "alice", "EXAMPLE", "Passw0rd!", token));
	/* to another challenge than the one it answers */
	a = begin(h, us);
	s.context = a.context;
	handshakes_step(h, us, NULL, &s, &a);
	ck_assert_int_eq(a.verdict, AUTHD_BAD);
	/* once, and not again */
	s.context = first.context;
	handshakes_step(h, us, NULL, &s, &a);
	ck_assert_int_eq(a.verdict, AUTHD_OK);
	handshakes_step(h, us, NULL, &s, &a);
	ck_assert_int_eq(a.verdict, AUTHD_BAD);
	/* a challenge that was never made; one that gave way to newer ones; one that is too old */
	s.context = 12345;
	handshakes_step(h, us, NULL, &s, &a);
	ck_assert_int_eq(a.verdict, AUTHD_BAD);
	first = begin(h, us);
	s.token = span_of((const char *)token, answer(first.token, "alice", "EXAMPLE", "Passw0rd!", token));
	for (unsigned i = 0; i < 4; i++)
		begin(h, us);
	s.context = first.context;
	handshakes_step(h, us, NULL, &s, &a);
	ck_assert_int_eq(a.verdict, AUTHD_BAD);
	first = begin(h, us);
	s.token = span_of((const char *)token, answer(first.token, "alice", "EXAMPLE", "Passw0rd!", token));
	s.context = first.context;
	now_ms += 60000;
	handshakes_step(h, us, NULL, &s, &a);
	ck_assert_int_eq(a.verdict, AUTHD_BAD);
	/* rubbish uses a challenge up, too */
	first = begin(h, us);
	s.context = first.context;
	s.token = SPAN_LIT("NTLMSSP");
	handshakes_step(h, us, NULL, &s, &a);
	ck_assert_int_eq(a.verdict, AUTHD_BAD);
	s.token = span_of((const char *)token, answer(first.token, "alice", "EXAMPLE", "Passw0rd!", token));
	handshakes_step(h, us, NULL, &s, &a);
	ck_assert_int_eq(a.verdict, AUTHD_BAD);
	handshakes_free(h);
	users_free(us);
}
END_TEST

/* The session base key that follows from a response, as a domain controller knows it. */
static void
base_key(const unsigned char *token, unsigned char out[NTLM_KEY_SIZE])
{
	unsigned char nt[16], responder[16], secret[64], name[64];
	struct span parts[2], proof;
	size_t n;

	net_md4(span_of((const char *)secret, utf16("Passw0rd!", secret)), nt);
	n = utf16("ALICE", name);
	n += utf16("CORP", name + n);
	parts[0] = span_of((const char *)name, n);
	net_hmac_md5(nt, parts, 1, responder);
	proof = span_of((const char *)token + (token[24] | token[25] << 8), 16);
	net_hmac_md5(responder, &proof, 1, out);
}

/* The domain judges what the user file knows nothing about; what it says about the key is what signs. */
START_TEST(judged_by_a_domain)
{
	struct handshakes *h = handshakes_new(16, &target);
	struct authd_step s = { .mechanism = AUTHD_NTLM, .domain = SPAN_LIT("example.com"), .source = SPAN_LIT("192.0.2.1") };
	struct winbind_answer yes = { .verdict = WINBIND_PROVED, .domain = SPAN_LIT("CORP"), .account = SPAN_LIT("alice") };
	struct winbind_answer no = { .verdict = WINBIND_REFUSED, .status = 0xc000006a };
	struct winbind_answer nobody = { .verdict = WINBIND_UNREACHED };
	const struct winbind_answer *answers[] = { &yes, &no, &nobody };
	static const enum authd_verdict verdicts[] = { AUTHD_OK, AUTHD_BAD, AUTHD_NO_DOMAIN };
	unsigned char token[512], want[NTLM_KEY_SIZE], sealed[NTLM_KEY_SIZE];
	struct handshake_asked *asked;
	struct winbind_question q;
	struct authd_answer a;

	log_open("check_handshake", "/dev/null", SP_LOG_ERROR);
	clock_fake(&now_ms, &now_wall);
	for (unsigned i = 0; i < 3; i++) {
		s.token = SPAN_NONE;
		s.context = 0;
		handshakes_step_asking(h, NULL, &s, &a, &asked);
		ck_assert(asked == NULL && a.verdict == AUTHD_CONTINUE);
		s.context = a.context;
		s.token = span_of((const char *)token, answer(a.token, "alice", "CORP", "Passw0rd!", token));
		handshakes_step_asking(h, NULL, &s, &a, &asked);
		ck_assert_ptr_nonnull(asked);
		handshake_question(asked, &q);
		ck_assert(span_is(q.user, "alice") && span_is(q.domain, "CORP") && span_is(q.workstation, ""));
		ck_assert_uint_eq(q.nt.n, 16 + 28 + 126);
		base_key(token, yes.key);
		/* the token is the caller's, and may be gone when the answer comes */
		memcpy(sealed, token + s.token.n - NTLM_KEY_SIZE, sizeof(sealed));
		memset(token, 0, sizeof(token));
		handshake_judged(h, NULL, asked, answers[i], &a);
		ck_assert_int_eq(a.verdict, verdicts[i]);
		ck_assert(!a.who.found && (a.key_n == NTLM_KEY_SIZE) == (i == 0));
		ntlm_rc4(yes.key, NTLM_KEY_SIZE, sealed, NTLM_KEY_SIZE, want);
		if (i == 0)
			ck_assert_mem_eq(a.key, want, sizeof(want));
		/* each challenge is good for one answer here as well */
		handshakes_step_asking(h, NULL, &s, &a, &asked);
		ck_assert(asked == NULL && a.verdict == AUTHD_BAD);
	}
	handshakes_free(h);
}
END_TEST

/* A controller that cannot be asked says nothing about a password, so nothing counts; a refusal does. */
START_TEST(guesses_at_a_domain)
{
	const struct guesses_limits limits = { .pair = 2, .forget_ms = 3600000, .entries = 64 };
	struct guesses *g = guesses_new(&limits);
	struct handshakes *h = handshakes_new(16, &target);
	struct winbind_answer no = { .verdict = WINBIND_REFUSED, .status = 0xc000006a }, nobody = { .verdict = WINBIND_UNREACHED };
	unsigned char token[512];
	struct authd_answer a;

	log_open("check_handshake", "/dev/null", SP_LOG_ERROR);
	clock_fake(&now_ms, &now_wall);
	for (unsigned i = 0; i < 8; i++) {
		struct authd_step s = { .mechanism = AUTHD_NTLM, .domain = SPAN_LIT("example.com"), .source = SPAN_LIT("192.0.2.1") };
		struct handshake_asked *asked;

		handshakes_step_asking(h, g, &s, &a, &asked);
		s.context = a.context;
		s.token = span_of((const char *)token, answer(a.token, "alice", "CORP", "wrong", token));
		handshakes_step_asking(h, g, &s, &a, &asked);
		if (i == 7) {
			ck_assert(asked == NULL && a.verdict == AUTHD_THROTTLED);
			break;
		}
		ck_assert_ptr_nonnull(asked);
		handshake_judged(h, g, asked, i < 5 ? &nobody : &no, &a);
	}
	handshakes_free(h);
	guesses_free(g);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { judged_by_a_domain, guesses_at_a_domain, users_and_names, once };

	return unit_run("handshake", tests, sizeof(tests) / sizeof(tests[0]));
}
