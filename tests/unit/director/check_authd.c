/*
 * authd: its verdicts, its frames, and the process itself as a worker sees it,
 * with changing user files, wrong frames, and its death.
 */
#include "director/authd.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "director/ask.h"
#include "director/replay.h"
#include "net/loop.h"
#include "tests/unit/unit.h"

/* --- users and questions -------------------------------------------------------- */

static void
add(struct users *us, const char *aor, const char *realm, const char *password, bool enabled)
{
	struct user u = { .enabled = enabled, .remote = true, .federation = true };

	ck_assert_int_eq(user_set_aor(&u, span_str(aor)), SP_OK);
	ck_assert_int_eq(user_set_pool(&u, SPAN_LIT("pool.example")), SP_OK);
	ck_assert_int_eq(user_set_password(&u, span_str(realm), span_str(password)), SP_OK);
	ck_assert_int_eq(users_put(us, &u), SP_OK);
}

struct made {
	struct authd_question	 q;
	char			 nonce[AUTH_NONCE_TEXT], nc[9], response[2 * NET_DIGEST_MAX + 1];
};

/* What a client that believes in this user name, realm and password would send. */
static void
make(struct made *m, enum auth_algorithm algorithm, const char *username, const char *realm, const char *password,
    unsigned nonce, uint32_t nc)
{
	enum net_digest_kind kind = algorithm == AUTH_MD5 ? NET_DIGEST_MD5 : NET_DIGEST_SHA256;
	struct span parts[5] = { span_str(username), SPAN_LIT(":"), span_str(realm), SPAN_LIT(":"), span_str(password) };
	unsigned char ha1[NET_DIGEST_MAX], response[NET_DIGEST_MAX];
	struct auth_credentials *c = &m->q.credentials;
	struct strbuf sb;

	memset(m, 0, sizeof(*m));
	snprintf(m->nonce, sizeof(m->nonce), "%012x%016x%032x", 1000 + nonce, nonce, 0);
	snprintf(m->nc, sizeof(m->nc), "%08x", nc);
	*c = (struct auth_credentials){ .username = parts[0], .realm = parts[2], .nonce = span_str(m->nonce),
	    .uri = SPAN_LIT("sip:example.com"), .cnonce = SPAN_LIT("cc"), .nc_text = span_str(m->nc), .nc = nc,
	    .algorithm = algorithm };
	m->q.method = SPAN_LIT("REGISTER");
	m->q.domain = SPAN_LIT("example.com");
	m->q.source = SPAN_LIT("192.0.2.1");
	m->q.nonce_good = true;
	net_digest(kind, parts, 5, ha1);
	auth_response(c, ha1, m->q.method, response);
	strbuf_init(&sb, m->response, sizeof(m->response));
	strbuf_hex(&sb, response, auth_algorithm_size(algorithm), true);
	c->response = span_str(m->response);
}

START_TEST(verdicts)
{
	struct users *us = users_new();
	struct replay_table *t = replay_new(16);
	struct authd_user who;
	struct made m;

#define VERDICT(want) \
	ck_assert_int_eq(authd_decide(us, t, NULL, &m.q, &who), want); \
	ck_assert_msg(who.found == ((want) == AUTHD_OK), "a user is told with a bad verdict")

	add(us, "alice@example.com", "example.com", "secret", true);
	add(us, "off@example.com", "example.com", "secret", false);
	add(us, "bob@example.com", "SIP Communications Service", "secret", true);
	for (int a = 0; a < AUTH_NALGORITHMS; a++) {
		make(&m, (enum auth_algorithm)a, "alice", "example.com", "secret", 10 + (unsigned)a, 1);
		VERDICT(AUTHD_OK);
		ck_assert_str_eq(who.aor, "alice@example.com");
		ck_assert_str_eq(who.pool, "pool.example");
		ck_assert(who.enabled && who.remote && who.federation && !who.public_im && !who.archive);
		VERDICT(AUTHD_REPLAYED);
		make(&m, (enum auth_algorithm)a, "alice@example.com", "example.com", "secret", 10 + (unsigned)a, 2);
		VERDICT(AUTHD_OK);
		make(&m, (enum auth_algorithm)a, "alice", "example.com", "Secret", 10 + (unsigned)a, 3);
		VERDICT(AUTHD_BAD);
		make(&m, (enum auth_algorithm)a, "carol", "example.com", "secret", 10 + (unsigned)a, 3);
		VERDICT(AUTHD_BAD);
		make(&m, (enum auth_algorithm)a, "off", "example.com", "secret", 10 + (unsigned)a, 3);
		VERDICT(AUTHD_BAD);
		/* nothing of that has used up the count */
		make(&m, (enum auth_algorithm)a, "alice", "example.com", "secret", 10 + (unsigned)a, 3);
		VERDICT(AUTHD_OK);
	}
	/* a nonce that is not good: stale for who knows the password, and for nobody else */
	make(&m, AUTH_SHA256, "alice", "example.com", "secret", 50, 1);
	m.q.nonce_good = false;
	VERDICT(AUTHD_STALE);
	m.q.nonce_good = true;
	VERDICT(AUTHD_OK);
	make(&m, AUTH_SHA256, "alice", "example.com", "guess", 51, 1);
	m.q.nonce_good = false;
	VERDICT(AUTHD_BAD);
	/* the realm is part of the secret */
	make(&m, AUTH_MD5, "bob", "SIP Communications Service", "secret", 60, 1);
	VERDICT(AUTHD_OK);
	make(&m, AUTH_MD5, "bob", "example.com", "secret", 61, 1);
	VERDICT(AUTHD_BAD);
	/* the name of another domain stays another's */
	make(&m, AUTH_MD5, "alice", "example.com", "secret", 62, 1);
	m.q.domain = SPAN_LIT("example.org");
	VERDICT(AUTHD_BAD);
	/* a method, a URI or a response of other length */
	make(&m, AUTH_MD5, "alice", "example.com", "secret", 63, 1);
	m.q.method = SPAN_LIT("INVITE");
	VERDICT(AUTHD_BAD);
	make(&m, AUTH_MD5, "alice", "example.com", "secret", 63, 1);
	m.q.credentials.response.n--;
	VERDICT(AUTHD_BAD);
	/* a hash of zeros is nobody's password */
	make(&m, AUTH_MD5, "nobody", "", "", 64, 1);
	VERDICT(AUTHD_BAD);
	users_free(us);
	replay_free(t);
}
END_TEST

/* The same for who is there and who is not; a right one counts for nothing, and is not looked at past the limit. */
START_TEST(throttled)
{
	static const struct guesses_limits limits = { .pair = 3, .forget_ms = 60000, .entries = 64 };
	struct users *us = users_new();
	struct replay_table *t = replay_new(16);
	struct guesses *g = guesses_new(&limits);
	static const char *const names[] = { "alice", "carol" };
	struct authd_user who;
	struct made m;

	add(us, "alice@example.com", "example.com", "secret", true);
	for (unsigned i = 0; i < 8; i++) {
		make(&m, AUTH_MD5, "alice", "example.com", "secret", 100 + i, 1);
		m.q.nonce_good = i % 2 == 0;
		ck_assert_int_eq(authd_decide(us, t, g, &m.q, &who), i % 2 == 0 ? AUTHD_OK : AUTHD_STALE);
	}
	for (unsigned n = 0; n < 2; n++) {
		for (unsigned i = 0; i < 3; i++) {
			make(&m, AUTH_SHA256, i == 1 && n == 0 ? "ALICE@example.com" : names[n], "example.com", "guess", 200, 1);
			ck_assert_int_eq(authd_decide(us, t, g, &m.q, &who), AUTHD_BAD);
		}
		make(&m, AUTH_SHA256, names[n], "example.com", "secret", 201, 1);
		ck_assert_int_eq(authd_decide(us, t, g, &m.q, &who), AUTHD_THROTTLED);
		ck_assert(!who.found);
		m.q.source = SPAN_LIT("192.0.2.2");
		ck_assert_int_eq(authd_decide(us, t, g, &m.q, &who), n == 0 ? AUTHD_OK : AUTHD_BAD);
	}
	users_free(us);
	replay_free(t);
	guesses_free(g);
}
END_TEST

START_TEST(lookups)
{
	struct users *us = users_new();
	struct authd_user who;

	add(us, "alice@example.com", "", "secret", true);
	add(us, "off@example.com", "", "secret", false);
	authd_look_up(us, SPAN_LIT("ALICE@Example.com"), &who);
	ck_assert(who.found && who.enabled);
	ck_assert_str_eq(who.aor, "alice@example.com");
	authd_look_up(us, SPAN_LIT("off@example.com"), &who);
	ck_assert(who.found && !who.enabled);
	authd_look_up(us, SPAN_LIT("alice@example.org"), &who);
	ck_assert(!who.found);
	ck_assert_str_eq(who.pool, "");
	authd_look_up(us, SPAN_NONE, &who);
	ck_assert(!who.found);
	users_free(us);
}
END_TEST

/* --- frames ------------------------------------------------------------------------- */

START_TEST(frames)
{
	unsigned char body[AUTHD_QUESTION_MAX];
	struct frame_writer w;
	struct frame f = { .body = body };
	struct authd_question back;
	struct authd_user u = { .found = true, .remote = true, .archive = true, .aor = "a@b", .pool = "p" }, v;
	enum authd_verdict verdict;
	struct span aor;
	struct made m;
	bool ok;

	make(&m, AUTH_SHA256, "alice", "example.com", "secret", 1, 77);
	frame_writer_init(&w, body, sizeof(body));
	authd_put_digest(&w, &m.q);
	f.len = w.len;
	ck_assert(authd_get_digest(&f, &back));
	ck_assert(span_eq(back.credentials.response, m.q.credentials.response));
	ck_assert(span_eq(back.method, m.q.method) && span_eq(back.domain, m.q.domain) && span_eq(back.source, m.q.source));
	ck_assert(back.credentials.nc == 77 && back.nonce_good && back.credentials.algorithm == AUTH_SHA256);
	/* cut anywhere, or one byte too long, it is no question */
	for (f.len = 0; f.len < w.len; f.len++)
		ck_assert(!authd_get_digest(&f, &back));
	f.len = w.len + 1;
	ck_assert(!authd_get_digest(&f, &back));
	f.len = w.len;
	body[0] = AUTH_NALGORITHMS;
	ck_assert(!authd_get_digest(&f, &back));
	body[0] = AUTH_MD5;
	body[1] = 2;
	ck_assert(!authd_get_digest(&f, &back));

	frame_writer_init(&w, body, sizeof(body));
	authd_put_answer(&w, AUTHD_STALE, &u);
	f.len = w.len;
	ck_assert(authd_get_answer(&f, &verdict, &v));
	ck_assert_int_eq(verdict, AUTHD_STALE);
	ck_assert(v.found && !v.enabled && v.remote && !v.federation && !v.public_im && v.archive);
	ck_assert_str_eq(v.aor, "a@b");
	ck_assert(!v.asked);
	body[w.len - 1] = 2;
	ck_assert(!authd_get_answer(&f, &verdict, &v));
	body[w.len - 1] = 1;
	ck_assert(authd_get_answer(&f, &verdict, &v) && v.asked);
	body[1] |= 0x80;
	ck_assert(!authd_get_answer(&f, &verdict, &v));
	body[1] = (unsigned char)((body[1] & 0x7f) | 0x40);	/* found, and nobody knows */
	ck_assert(!authd_get_answer(&f, &verdict, &v));
	body[1] &= 0x3f;
	body[0] = AUTHD_NVERDICTS;
	ck_assert(!authd_get_answer(&f, &verdict, &v));
	ck_assert_int_eq(verdict, AUTHD_BAD);
	ck_assert(!v.found);
	body[0] = AUTHD_OK;
	body[4] = '\0';		/* within the address */
	ck_assert(!authd_get_answer(&f, &verdict, &v));

	frame_writer_init(&w, body, sizeof(body));
	authd_put_lookup(&w, SPAN_LIT("a@b"));
	f.len = w.len;
	ck_assert(authd_get_lookup(&f, &aor) && span_is(aor, "a@b"));
	frame_writer_init(&w, body, sizeof(body));
	authd_put_done(&w, true);
	f.len = w.len;
	ck_assert(authd_get_done(&f, &ok) && ok);
	body[0] = 2;
	ck_assert(!authd_get_done(&f, &ok));
}
END_TEST

/* --- the process -------------------------------------------------------------------------- */

static char dir[] = "/tmp/check_authd.XXXXXX";
static char path[64];
static struct authd authd;
static struct net_loop *loop;

static void
save(const char *password)
{
	struct users *us = users_new();

	add(us, "alice@example.com", "", password, true);
	ck_assert_int_eq(users_save(us, path), SP_OK);
	users_free(us);
}

static int
start(void)
{
	struct authd_setup setup = { .users = path, .replay_entries = 64, .handshakes = 4, .nworkers = 1,
	    .guesses = { .forget_ms = 60000, .entries = 64 }, .ntlm = { .nb_domain = "EXAMPLE" } };

	return authd_start(&authd, &setup);
}

static void
begin(void)
{
	log_open("check_authd", "/dev/null", SP_LOG_ERROR);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/users", dir);
	loop = net_loop_new();
}

static void
finish(void)
{
	char name[80];

	net_loop_free(loop);
	unlink(path);
	snprintf(name, sizeof(name), "%s.lock", path);
	unlink(name);
	rmdir(dir);
}

/* The answer to one question, waited for. */
struct answer {
	unsigned		 came;
	bool			 answered;
	enum authd_verdict	 verdict;
	struct authd_user	 who;
	uint64_t		 context;
	size_t			 token_n, key_n;
};

static void
note(void *arg, bool answered, const struct authd_answer *said)
{
	struct answer *a = arg;

	a->came++;
	a->answered = answered;
	a->verdict = said->verdict;
	a->who = said->who;
	a->context = said->context;
	a->token_n = said->token.n;
	a->key_n = said->key_n;
}

static struct answer
ask_and_wait(struct ask *ask, const char *password, unsigned nonce)
{
	struct answer a = { 0 };
	struct made m;

	make(&m, AUTH_SHA256, "alice", "example.com", password, nonce, 1);
	ck_assert(ask_digest(ask, &m.q, 10000, note, &a));
	ck_assert_uint_eq(a.came, 0);	/* never before it returns */
	while (a.came == 0)
		net_loop_once(loop, 1000);
	return a;
}

START_TEST(asks)
{
	struct ask *ask;
	struct answer a = { 0 };

	begin();
	save("secret");
	ck_assert_int_eq(start(), SP_OK);
	ask = ask_new(loop, authd.worker[0], 8);
	ck_assert_int_eq(ask_and_wait(ask, "secret", 1).verdict, AUTHD_OK);
	ck_assert_int_eq(ask_and_wait(ask, "secret", 1).verdict, AUTHD_REPLAYED);
	ck_assert_int_eq(ask_and_wait(ask, "wrong", 2).verdict, AUTHD_BAD);
	ck_assert(ask_lookup(ask, SPAN_LIT("alice@example.com"), 10000, note, &a));
	while (a.came == 0)
		net_loop_once(loop, 1000);
	ck_assert(a.answered && a.who.found);
	a.came = 0;
	ck_assert(ask_step(ask, &(struct authd_step){ .mechanism = AUTHD_NTLM }, 10000, note, &a));
	while (a.came == 0)
		net_loop_once(loop, 1000);
	ck_assert(a.answered && a.verdict == AUTHD_CONTINUE && a.context != 0 && a.token_n > 56 && a.key_n == 0);
	a.came = 0;
	ck_assert(ask_step(ask, &(struct authd_step){ .mechanism = AUTHD_NTLM, .context = a.context,
	    .token = SPAN_LIT("NTLMSSP") }, 10000, note, &a));
	while (a.came == 0)
		net_loop_once(loop, 1000);
	ck_assert(a.answered && a.verdict == AUTHD_BAD && a.context == 0 && a.key_n == 0 && !a.who.found);
	ck_assert_uint_eq(ask_open(ask), 0);
	ask_free(ask, NULL);
	authd_stop(&authd);
	finish();
}
END_TEST

/* More questions than may be open are refused; those that are open are all answered. */
START_TEST(many_at_once)
{
	enum { MAX = 200 };
	struct answer a[MAX + 1] = { { 0 } };
	struct ask *ask;
	unsigned open;

	begin();
	save("secret");
	ck_assert_int_eq(start(), SP_OK);
	ask = ask_new(loop, authd.worker[0], MAX);
	for (int i = 0; i < MAX; i++)
		ck_assert(ask_lookup(ask, SPAN_LIT("alice@example.com"), 10000, note, &a[i]));
	ck_assert(!ask_lookup(ask, SPAN_LIT("alice@example.com"), 10000, note, &a[MAX]));
	while ((open = ask_open(ask)) != 0)
		net_loop_once(loop, 1000);
	for (int i = 0; i < MAX; i++)
		ck_assert(a[i].came == 1 && a[i].answered && a[i].who.found);
	ck_assert_uint_eq(a[MAX].came, 0);
	ask_free(ask, NULL);
	authd_stop(&authd);
	finish();
}
END_TEST

/* A changed file counts by itself; a bad one leaves the earlier users in force. */
START_TEST(changes)
{
	struct ask *ask;
	unsigned nonce = 100;
	FILE *f;

	begin();
	ck_assert_int_eq(start(), SP_OK);	/* no file: no users */
	ask = ask_new(loop, authd.worker[0], 8);
	ck_assert_int_eq(ask_and_wait(ask, "secret", nonce++).verdict, AUTHD_BAD);
	save("secret");
	for (uint64_t until = clock_ms() + 20000; ask_and_wait(ask, "secret", nonce++).verdict != AUTHD_OK; )
		ck_assert_msg(clock_ms() < until, "the new file is not noticed");
	save("other");
	ck_assert_int_eq(authd_command(&authd, AUTHD_RELOAD), SP_OK);	/* now, not by itself */
	ck_assert_int_eq(ask_and_wait(ask, "secret", nonce++).verdict, AUTHD_BAD);
	ck_assert_int_eq(ask_and_wait(ask, "other", nonce++).verdict, AUTHD_OK);
	ck_assert_ptr_nonnull(f = fopen(path, "a"));
	fputs("nonsense\n", f);
	fclose(f);
	ck_assert_int_eq(authd_command(&authd, AUTHD_RELOAD), SP_EINVAL);
	ck_assert_int_eq(ask_and_wait(ask, "other", nonce++).verdict, AUTHD_OK);
	save("third");
	ck_assert_int_eq(chmod(path, 0644), 0);
	ck_assert_int_eq(authd_command(&authd, AUTHD_RELOAD), SP_EINVAL);
	ck_assert_int_eq(ask_and_wait(ask, "other", nonce++).verdict, AUTHD_OK);
	ck_assert_int_eq(authd_command(&authd, AUTHD_REOPEN), SP_OK);
	ask_free(ask, NULL);
	authd_stop(&authd);
	finish();
}
END_TEST

START_TEST(bad_start)
{
	struct authd_setup setup = { .users = path, .run_as = "no-such-account-here", .replay_entries = 64, .nworkers = 1 };

	begin();
	save("secret");
	ck_assert_int_eq(chmod(path, 0640), 0);
	ck_assert_int_eq(start(), SP_EINVAL);
	ck_assert_int_eq(chmod(path, 0600), 0);
	ck_assert_int_eq(authd_start(&authd, &setup), SP_EINVAL);
	ck_assert_int_eq(authd.control, -1);
	finish();
}
END_TEST

/* Open questions are answered with "no answer" when authd dies; later ones are refused at once. */
START_TEST(death)
{
	struct answer a = { 0 }, b = { 0 };
	struct ask *ask;

	begin();
	save("secret");
	ck_assert_int_eq(start(), SP_OK);
	ask = ask_new(loop, authd.worker[0], 8);
	ck_assert_int_eq(kill(authd.pid, SIGSTOP), 0);
	ck_assert(ask_lookup(ask, SPAN_LIT("alice@example.com"), 60000, note, &a));
	ck_assert(ask_lookup(ask, SPAN_LIT("alice@example.com"), 60000, note, &b));
	ck_assert_int_eq(kill(authd.pid, SIGKILL), 0);
	while (a.came == 0 || b.came == 0)
		net_loop_once(loop, 1000);
	ck_assert(!a.answered && !b.answered && !a.who.found);
	ck_assert(!ask_lookup(ask, SPAN_LIT("alice@example.com"), 60000, note, &a));
	ask_free(ask, NULL);
	ck_assert_int_eq(authd_command(&authd, AUTHD_RELOAD), SP_ECLOSED);
	authd_stop(&authd);
	finish();
}
END_TEST

/* A question whose time is up is answered with "no answer"; what comes later for it is nobody's. */
START_TEST(slow)
{
	struct answer a = { 0 };
	struct ask *ask;

	begin();
	save("secret");
	ck_assert_int_eq(start(), SP_OK);
	ask = ask_new(loop, authd.worker[0], 8);
	ck_assert_int_eq(kill(authd.pid, SIGSTOP), 0);
	ck_assert(ask_lookup(ask, SPAN_LIT("alice@example.com"), 50, note, &a));
	while (a.came == 0)
		net_loop_once(loop, 1000);
	ck_assert(!a.answered);
	ck_assert_int_eq(kill(authd.pid, SIGCONT), 0);
	ck_assert_int_eq(ask_and_wait(ask, "secret", 1).verdict, AUTHD_OK);
	ck_assert_uint_eq(a.came, 1);
	ask_free(ask, NULL);
	authd_stop(&authd);
	finish();
}
END_TEST

/* What is not in authd's table ends it. */
static void
ends_with(int fd, const struct frame *f, int want)
{
	unsigned char out[FRAME_HEAD + AUTHD_QUESTION_MAX + 64];
	int status;

	ck_assert_int_eq(send(fd, out, frame_format(f, out), 0), (ssize_t)(FRAME_HEAD + f->len));
	ck_assert_int_eq(waitpid(authd.pid, &status, 0), authd.pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), want);
	authd.pid = 0;
	authd_stop(&authd);
}

START_TEST(wrong_frames)
{
	static unsigned char body[AUTHD_QUESTION_MAX + 32];
	static const struct frame bad[] = {
		{ .type = 0 }, { .type = AUTHD_VERDICT }, { .type = 999 },
		{ .type = AUTHD_RELOAD },		/* not a worker's to ask */
		{ .type = AUTHD_DIGEST },		/* empty */
		{ .type = AUTHD_DIGEST, .len = 40, .body = body },
		{ .type = AUTHD_DIGEST, .len = AUTHD_QUESTION_MAX + 1, .body = body },
		{ .type = AUTHD_LOOKUP, .len = USER_AOR_MAX + 3, .body = body }
	};

	begin();
	save("secret");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_int_eq(start(), SP_OK);
		ends_with(authd.worker[0], &bad[i], EX_SOFTWARE);
	}
	/* and what is a worker's to ask is not the control thread's */
	ck_assert_int_eq(start(), SP_OK);
	ends_with(authd.control, &(struct frame){ .type = AUTHD_LOOKUP, .len = 2, .body = body }, EX_SOFTWARE);
	finish();
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { verdicts, throttled, lookups, frames, asks, many_at_once, changes, bad_start, death, slow,
	    wrong_frames };

	log_open("check_authd", "/dev/null", SP_LOG_ERROR);
	return unit_run("director-authd", tests, sizeof(tests) / sizeof(tests[0]));
}
