/*
 * director/question.c - bodies of the frames between the network process and authd.
 *
 * Every length is checked by the reader; what a value may be is checked here,
 * so that whoever has read a frame has values that can be.
 */
#include "director/authd.h"

#include <string.h>

enum { FOUND = 1 << 0, ENABLED = 1 << 1, REMOTE = 1 << 2, FEDERATION = 1 << 3, PUBLIC_IM = 1 << 4, ARCHIVE = 1 << 5,
    UNAVAILABLE = 1 << 6, ALL_FLAGS = (1 << 7) - 1 };

void
authd_put_digest(struct frame_writer *w, const struct authd_question *q)
{
	const struct auth_credentials *c = &q->credentials;

	frame_put_u8(w, (uint8_t)c->algorithm);
	frame_put_u8(w, q->nonce_good);
	frame_put_span(w, c->username);
	frame_put_span(w, c->realm);
	frame_put_span(w, c->nonce);
	frame_put_span(w, c->uri);
	frame_put_span(w, c->cnonce);
	frame_put_span(w, c->nc_text);
	frame_put_span(w, c->response);
	frame_put_span(w, q->domain);
	frame_put_span(w, q->method);
	frame_put_span(w, q->source);
	frame_put_u32(w, c->nc);
}

bool
authd_get_digest(const struct frame *f, struct authd_question *q)
{
	struct auth_credentials *c = &q->credentials;
	struct frame_reader r;
	uint8_t algorithm, good;

	memset(q, 0, sizeof(*q));
	frame_reader_init(&r, f);
	algorithm = frame_u8(&r);
	good = frame_u8(&r);
	c->username = frame_span(&r);
	c->realm = frame_span(&r);
	c->nonce = frame_span(&r);
	c->uri = frame_span(&r);
	c->cnonce = frame_span(&r);
	c->nc_text = frame_span(&r);
	c->response = frame_span(&r);
	q->domain = frame_span(&r);
	q->method = frame_span(&r);
	q->source = frame_span(&r);
	c->nc = frame_u32(&r);
	if (!frame_done(&r) || q->source.n >= GUESSES_SOURCE_MAX || algorithm >= AUTH_NALGORITHMS || good > 1 || c->nc_text.n != 8)
		return false;
	c->algorithm = (enum auth_algorithm)algorithm;
	q->nonce_good = good == 1;
	return true;
}

void
authd_put_lookup(struct frame_writer *w, struct span aor)
{
	frame_put_span(w, aor);
}

bool
authd_get_lookup(const struct frame *f, struct span *aor)
{
	struct frame_reader r;

	frame_reader_init(&r, f);
	*aor = frame_span(&r);
	return frame_done(&r) && aor->n < USER_AOR_MAX;
}

void
authd_put_answer(struct frame_writer *w, enum authd_verdict verdict, const struct authd_user *u)
{
	frame_put_u8(w, (uint8_t)verdict);
	frame_put_u8(w, (uint8_t)((u->found ? FOUND : 0) | (u->enabled ? ENABLED : 0) | (u->remote ? REMOTE : 0) |
	    (u->federation ? FEDERATION : 0) | (u->public_im ? PUBLIC_IM : 0) | (u->archive ? ARCHIVE : 0) |
	    (u->unavailable ? UNAVAILABLE : 0)));
	frame_put_span(w, span_str(u->aor));
	frame_put_span(w, span_str(u->pool));
	frame_put_u8(w, u->asked);
}

static bool
copy(char *out, size_t size, struct span s)
{
	if (s.n >= size || memchr(s.p, '\0', s.n) != NULL)
		return false;
	memcpy(out, s.p, s.n);
	out[s.n] = '\0';
	return true;
}

static bool
is_throttled(enum authd_verdict v)
{
	return v >= AUTHD_THROTTLED && v <= AUTHD_THROTTLED_USER;
}

/* What an answer begins with. False leaves *u and *verdict as they come. */
static bool
read_answer(struct frame_reader *r, enum authd_verdict *verdict, struct authd_user *u)
{
	struct span aor, pool;
	uint8_t v, flags, asked;

	memset(u, 0, sizeof(*u));
	v = frame_u8(r);
	flags = frame_u8(r);
	aor = frame_span(r);
	pool = frame_span(r);
	asked = frame_u8(r);
	if (r->failed || v >= AUTHD_NVERDICTS || flags > ALL_FLAGS || asked > 1 ||
	    ((flags & UNAVAILABLE) != 0 && flags != UNAVAILABLE) || !copy(u->aor, sizeof(u->aor), aor) ||
	    !copy(u->pool, sizeof(u->pool), pool))
		return false;
	*verdict = (enum authd_verdict)v;
	u->found = (flags & FOUND) != 0;
	u->enabled = (flags & ENABLED) != 0;
	u->remote = (flags & REMOTE) != 0;
	u->federation = (flags & FEDERATION) != 0;
	u->public_im = (flags & PUBLIC_IM) != 0;
	u->archive = (flags & ARCHIVE) != 0;
	u->unavailable = (flags & UNAVAILABLE) != 0;
	u->asked = asked == 1;
	return true;
}

bool
authd_get_answer(const struct frame *f, enum authd_verdict *verdict, struct authd_user *u)
{
	struct frame_reader r;

	frame_reader_init(&r, f);
	/* nothing but a handshake goes on, or comes to more than that */
	if (read_answer(&r, verdict, u) && frame_done(&r) && (*verdict < AUTHD_CONTINUE || is_throttled(*verdict)))
		return true;
	memset(u, 0, sizeof(*u));
	*verdict = AUTHD_BAD;
	return false;
}

void
authd_put_step(struct frame_writer *w, const struct authd_step *s)
{
	frame_put_u8(w, (uint8_t)s->mechanism);
	frame_put_u64(w, s->context);
	frame_put_span(w, s->domain);
	frame_put_span(w, s->source);
	frame_put_span(w, s->token);
}

bool
authd_get_step(const struct frame *f, struct authd_step *s)
{
	struct frame_reader r;
	uint8_t mechanism;

	memset(s, 0, sizeof(*s));
	frame_reader_init(&r, f);
	mechanism = frame_u8(&r);
	s->context = frame_u64(&r);
	s->domain = frame_span(&r);
	s->source = frame_span(&r);
	s->token = frame_span(&r);
	if (!frame_done(&r) || mechanism == 0 || mechanism >= AUTHD_NMECHANISMS || s->domain.n >= USER_AOR_MAX ||
	    s->source.n >= GUESSES_SOURCE_MAX || s->token.n > AUTHD_TOKEN_MAX)
		return false;
	/* NTLM has a first step, for which there is no token yet; Kerberos has one step in all */
	if (mechanism == AUTHD_NTLM ? (s->context == 0) != span_is_empty(s->token) :
	    s->context != 0 || span_is_empty(s->token))
		return false;
	s->mechanism = (enum authd_mechanism)mechanism;
	return true;
}

void
authd_put_stepped(struct frame_writer *w, const struct authd_answer *a)
{
	authd_put_answer(w, a->verdict, &a->who);
	frame_put_u64(w, a->context);
	frame_put_span(w, a->token);
	frame_put_span(w, span_of((const char *)a->key, a->key_n));
	frame_put_span(w, a->session);
	frame_put_u32(w, a->flags);
	frame_put_u32(w, a->lifetime);
}

/* What an answer must have, by its verdict, and what it must not. */
static bool
is_whole(const struct authd_answer *a, size_t key_n)
{
	bool no_session = span_is_empty(a->session), empty = a->context == 0 && span_is_empty(a->token);

	switch (a->verdict) {
	case AUTHD_CONTINUE:
		return a->context != 0 && !span_is_empty(a->token) && key_n == 0 && no_session && !a->who.found;
	case AUTHD_OK:
		return empty && (key_n != 0) == no_session && a->who.found;
	case AUTHD_BAD:
	case AUTHD_REPLAYED:
	case AUTHD_SKEWED:
	case AUTHD_THROTTLED:
	case AUTHD_THROTTLED_SOURCE:
	case AUTHD_THROTTLED_USER:
	case AUTHD_NO_DOMAIN:
	case AUTHD_NO_DIRECTORY:
	case AUTHD_FAILED:
		return empty && key_n == 0 && no_session && !a->who.found;
	default:
		return false;
	}
}

bool
authd_get_stepped(const struct frame *f, struct authd_answer *a)
{
	struct frame_reader r;
	struct span key;

	memset(a, 0, sizeof(*a));
	frame_reader_init(&r, f);
	if (read_answer(&r, &a->verdict, &a->who)) {
		a->context = frame_u64(&r);
		a->token = frame_span(&r);
		key = frame_span(&r);
		a->session = frame_span(&r);
		a->flags = frame_u32(&r);
		a->lifetime = frame_u32(&r);
		if (frame_done(&r) && key.n <= sizeof(a->key) && a->session.n <= AUTHD_SESSION_MAX &&
		    is_whole(a, key.n)) {
			if (key.n != 0)
				memcpy(a->key, key.p, key.n);
			a->key_n = key.n;
			return true;
		}
	}
	memset(a, 0, sizeof(*a));
	return false;
}

void
authd_put_done(struct frame_writer *w, bool ok)
{
	frame_put_u8(w, ok);
}

bool
authd_get_done(const struct frame *f, bool *ok)
{
	struct frame_reader r;
	uint8_t v;

	frame_reader_init(&r, f);
	v = frame_u8(&r);
	*ok = v == 1;
	return frame_done(&r) && v <= 1;
}
