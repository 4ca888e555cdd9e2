/*
 * tests/fuzz/fuzz_digest.c - Digest credentials as a stranger may write them.
 * What is taken for credentials points into the text, crosses to authd
 * unchanged, and proves nobody; a nonce that was not made here is never good.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/log.h"
#include "director/authd.h"
#include "director/replay.h"
#include "sip/grammar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static bool
within(struct span s, const uint8_t *data, size_t len)
{
	return s.n == 0 || (s.p >= (const char *)data && s.p + s.n <= (const char *)data + len);
}

/* Through a frame and back; the verdict on a user file of one. */
static void
ask(const struct auth_credentials *c, struct span method)
{
	static struct users *us;
	static struct replay_table *replay;
	static unsigned char body[AUTHD_QUESTION_MAX];
	struct authd_question q = { .credentials = *c, .method = method, .domain = SPAN_LIT("example.com") }, back;
	struct frame_writer w;
	struct frame f = { .body = body };
	struct authd_user who;

	if (us == NULL) {
		struct user u = { .enabled = true };

		us = users_new();
		replay = replay_new(16);
		assert(user_set_aor(&u, SPAN_LIT("alice@example.com")) == SP_OK);
		assert(user_set_pool(&u, SPAN_LIT("pool")) == SP_OK);
		assert(user_set_password(&u, SPAN_NONE, SPAN_LIT("a password that is in no corpus")) == SP_OK);
		assert(users_put(us, &u) == SP_OK);
	}
	frame_writer_init(&w, body, sizeof(body));
	authd_put_digest(&w, &q);
	if (w.failed)
		return;		/* too long to be asked */
	f.len = w.len;
	assert(authd_get_digest(&f, &back));
	assert(span_eq(back.credentials.username, c->username) && span_eq(back.credentials.nonce, c->nonce) &&
	    span_eq(back.credentials.uri, c->uri) && span_eq(back.credentials.response, c->response) &&
	    back.credentials.nc == c->nc && back.credentials.algorithm == c->algorithm);
	back.nonce_good = true;
	assert(authd_decide(us, replay, NULL, &back, &who) == AUTHD_BAD && !who.found);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct net_hmac *key;
	struct auth_credentials c;
	struct sip_auth a;
	int err;

	if (key == NULL)
		key = net_hmac_new("0123456789abcdef0123456789abcdef", 32);
	log_set_level(SP_LOG_ERROR);	/* every wrong password is a line otherwise */
	/* what the framer's gate lets through to a header's value */
	if (len > 8192 || memchr(data, '\0', len) != NULL)
		return 0;
	if (sip_auth_parse(&a, span_of((const char *)data, len)) != SP_OK || !auth_is_digest(&a))
		return 0;
	err = auth_credentials_read(&c, &a);
	assert(err == SP_OK || err == SP_ESYNTAX || err == SP_EINVAL);
	if (err != SP_OK)
		return 0;
	assert(within(c.username, data, len) && within(c.realm, data, len) && within(c.nonce, data, len) &&
	    within(c.uri, data, len) && within(c.cnonce, data, len) && within(c.response, data, len));
	assert(c.algorithm < AUTH_NALGORITHMS && c.nc != 0 && c.nc_text.n == 8 && c.username.n != 0 && c.cnonce.n != 0);
	assert(auth_nonce_check(key, c.realm, 1, c.nonce, 1000, 1000) == AUTH_NONCE_FORGED);
	ask(&c, SPAN_LIT("REGISTER"));
	return 0;
}
