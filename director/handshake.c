/*
 * director/handshake.c - NTLM handshakes, on the side that has the hashes.
 */
#include "director/handshake.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/strbuf.h"

#define OPEN_MS		60000	/* an answer takes a trip to the client; the network process allows less */

struct open {
	uint64_t	 context;	/* 0: none */
	uint64_t	 made_ms;
	uint64_t	 time;		/* as in the challenge */
	unsigned char	 nonce[NTLM_NONCE_SIZE];
};

struct handshakes {
	struct ntlm_target target;
	uint64_t	 last;		/* context given out last */
	uint32_t	 n;
	unsigned char	 challenge[NTLM_CHALLENGE_MAX];
	struct open	 open[];
};

struct handshakes *
handshakes_new(uint32_t n, const struct ntlm_target *target)
{
	struct handshakes *h = xcalloc(1, sizeof(*h) + n * sizeof(struct open));

	h->target = *target;
	h->n = n;
	return h;
}

void
handshakes_free(struct handshakes *h)
{
	if (h != NULL)
		mem_wipe_free(h, sizeof(*h) + h->n * sizeof(struct open));
}

static void
begin(struct handshakes *h, struct authd_answer *a)
{
	struct open *o = &h->open[++h->last % h->n];

	o->context = h->last;
	o->made_ms = clock_ms();
	o->time = ntlm_time(clock_wall_ms());
	mem_random(o->nonce, sizeof(o->nonce));
	a->verdict = AUTHD_CONTINUE;
	a->context = o->context;
	a->token = span_of((const char *)h->challenge,
	    ntlm_challenge_write(&h->target, o->nonce, o->time, h->challenge));
}

/* The challenge of that name, taken: nobody else has it any more. */
static bool
take(struct handshakes *h, uint64_t context, struct open *out)
{
	struct open *o = &h->open[context % h->n];

	if (context == 0 || o->context != context)
		return false;
	*out = *o;
	memset(o, 0, sizeof(*o));
	return clock_ms() - out->made_ms < OPEN_MS;
}

static const struct user *
find(const struct users *us, const char *user, struct span domain)
{
	char name[USER_AOR_MAX];
	struct strbuf aor;

	strbuf_init(&aor, name, sizeof(name));
	strbuf_puts(&aor, user);
	strbuf_putc(&aor, '@');
	strbuf_span(&aor, domain);
	return strbuf_ok(&aor) ? users_find(us, strbuf_span_of(&aor)) : NULL;
}

/*
 * Whom the client means: "alice@example.com"; or "alice" with a domain, which
 * may be the one of the address. A Windows domain's own name says nothing about
 * addresses: then the domain is the one that the request comes from.
 */
static const struct user *
who_is(const struct users *us, const char *user, const char *domain, struct span hint)
{
	const struct user *u = NULL;

	if (strchr(user, '@') != NULL)
		return users_find(us, span_str(user));
	if (strchr(domain, '.') != NULL)
		u = find(us, user, span_str(domain));
	return u != NULL ? u : find(us, user, hint);
}

/* For the log alone. It names who was tried, which an administrator needs to see. */
static void
log_bad(const char *why, const char *user, const char *domain, struct span source)
{
	struct logrec r = log_begin(SP_LOG_NOTICE, "bad-credentials");

	log_word(&r, "why", why);
	log_word(&r, "scheme", "NTLM");
	log_outside(&r, "source", source);
	if (user != NULL) {
		log_outside(&r, "user", span_str(user));
		log_outside(&r, "domain", span_str(domain));
	}
	log_end(&r);
}

/* As whom an attempt counts: the user that it means, or the name that it says. */
static struct span
counted_as(const struct user *u, const char *user, const char *domain, struct span hint, char out[USER_AOR_MAX])
{
	struct strbuf sb;

	if (u != NULL)
		return span_str(u->aor);
	strbuf_init(&sb, out, USER_AOR_MAX);
	strbuf_puts(&sb, user);
	if (strchr(user, '@') == NULL) {
		strbuf_putc(&sb, '@');
		strbuf_span(&sb, strchr(domain, '.') != NULL ? span_str(domain) : hint);
	}
	return strbuf_ok(&sb) ? strbuf_span_of(&sb) : span_str(user);
}

static void
finish(struct handshakes *h, const struct users *us, struct guesses *guesses, const struct authd_step *s,
    struct authd_answer *a)
{
	static const struct user nobody;	/* a response that proves its hash changes nothing */
	char user[NTLM_NAME_MAX], domain[NTLM_NAME_MAX], name[USER_AOR_MAX];
	enum guesses_verdict may = GUESSES_MAY;
	struct ntlm_authenticate m;
	const struct user *u;
	struct span counted;
	struct open o;
	bool proved;
	int err = ntlm_authenticate_parse(&m, s->token);

	if (!take(h, s->context, &o)) {
		log_bad("late", NULL, NULL, s->source);
		return;
	}
	if (err != SP_OK || !ntlm_utf8(m.user, user, sizeof(user)) || !ntlm_utf8(m.domain, domain, sizeof(domain))) {
		log_bad(err == SP_EINVAL ? "not-ntlmv2" : "malformed", NULL, NULL, s->source);
		return;
	}
	u = who_is(us, user, domain, s->domain);
	counted = counted_as(u, user, domain, s->domain, name);
	if (guesses != NULL && (may = guesses_begin(guesses, counted, s->source, clock_ms())) != GUESSES_MAY) {
		authd_log_throttled("NTLM", may, counted, s->source);
		a->verdict = AUTHD_THROTTLED;
		return;
	}
	/* unknown users and wrong passwords take the same way */
	proved = ntlm_verify(&m, u != NULL ? u->nt : nobody.nt, &h->target, o.nonce, o.time, a->key);
	if (u == NULL || !proved || !u->enabled) {
		mem_wipe(a->key, sizeof(a->key));
		log_bad(u == NULL ? "unknown-user" : !proved ? "wrong-password" : "disabled", user, domain, s->source);
		return;
	}
	if (guesses != NULL)
		guesses_right(guesses, counted, s->source, clock_ms());
	a->verdict = AUTHD_OK;
	a->key_n = NTLM_KEY_SIZE;
	a->flags = m.flags;
	authd_look_up(us, span_str(u->aor), &a->who);
}

void
handshakes_step(struct handshakes *h, const struct users *us, struct guesses *guesses, const struct authd_step *s,
    struct authd_answer *a)
{
	memset(a, 0, sizeof(*a));
	if (span_is_empty(s->token))
		begin(h, a);
	else
		finish(h, us, guesses, s, a);
}
