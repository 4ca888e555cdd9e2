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
	/* a context of the authd before us, which clients may still come with, is none of ours */
	mem_random(&h->last, sizeof(h->last));
	h->last >>= 1;
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

/* The answer to a challenge of ours, taken apart. False (and logged) if it is none. */
struct finishing {
	struct ntlm_authenticate m;
	struct open	 o;
	char		 user[NTLM_NAME_MAX], domain[NTLM_NAME_MAX];
};

static bool
read_answer(struct handshakes *h, const struct authd_step *s, struct finishing *f)
{
	int err = ntlm_authenticate_parse(&f->m, s->token);

	if (!take(h, s->context, &f->o)) {
		log_bad("late", NULL, NULL, s->source);
		return false;
	}
	if (err == SP_OK && ntlm_utf8(f->m.user, f->user, sizeof(f->user)) &&
	    ntlm_utf8(f->m.domain, f->domain, sizeof(f->domain)))
		return true;
	log_bad(err == SP_EINVAL ? "not-ntlmv2" : "malformed", NULL, NULL, s->source);
	return false;
}

static bool
may_try(struct guesses *guesses, struct span counted, struct span source, struct authd_answer *a)
{
	enum guesses_verdict may = guesses != NULL ? guesses_begin(guesses, counted, source, clock_ms()) : GUESSES_MAY;

	if (may == GUESSES_MAY)
		return true;
	authd_log_throttled("NTLM", may, counted, source);
	a->verdict = AUTHD_THROTTLED + (may - GUESSES_PAIR);
	return false;
}

static void
finish(struct handshakes *h, const struct users *us, struct guesses *guesses, const struct authd_step *s,
    struct authd_answer *a)
{
	static const struct user nobody;	/* a response that proves its hash changes nothing */
	char name[USER_AOR_MAX];
	struct finishing f;
	const struct user *u;
	struct span counted;
	bool proved;

	if (!read_answer(h, s, &f))
		return;
	u = who_is(us, f.user, f.domain, s->domain);
	counted = counted_as(u, f.user, f.domain, s->domain, name);
	if (!may_try(guesses, counted, s->source, a))
		return;
	/* unknown users and wrong passwords take the same way */
	proved = ntlm_verify(&f.m, u != NULL ? u->nt : nobody.nt, &h->target, f.o.nonce, f.o.time, a->key);
	if (u == NULL || !proved || !u->enabled) {
		mem_wipe(a->key, sizeof(a->key));
		log_bad(u == NULL ? "unknown-user" : !proved ? "wrong-password" : "disabled", f.user, f.domain, s->source);
		return;
	}
	if (guesses != NULL)
		guesses_right(guesses, counted, s->source, clock_ms());
	a->verdict = AUTHD_OK;
	a->key_n = NTLM_KEY_SIZE;
	a->flags = f.m.flags;
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

/* --- where a Windows domain has the accounts ---------------------------------------------- */

struct handshake_asked {
	struct finishing f;			/* spans of f.m point into token */
	char		 workstation[NTLM_NAME_MAX];
	char		 counted[USER_AOR_MAX], source[GUESSES_SOURCE_MAX];
	char		 token[];
};

static void
keep(char *out, size_t size, struct span s)
{
	size_t n = s.n < size ? s.n : size - 1;

	if (n != 0)
		memcpy(out, s.p, n);
	out[n] = '\0';
}

void
handshakes_step_asking(struct handshakes *h, struct guesses *guesses, const struct authd_step *s, struct authd_answer *a,
    struct handshake_asked **asked)
{
	char name[USER_AOR_MAX];
	struct handshake_asked *q;
	struct finishing f;
	struct span counted;

	*asked = NULL;
	memset(a, 0, sizeof(*a));
	if (span_is_empty(s->token)) {
		begin(h, a);
		return;
	}
	if (!read_answer(h, s, &f))
		return;
	counted = counted_as(NULL, f.user, f.domain, s->domain, name);
	if (!may_try(guesses, counted, s->source, a))
		return;
	q = xcalloc(1, sizeof(*q) + s->token.n);
	memcpy(q->token, s->token.p, s->token.n);
	q->f = f;
	(void)ntlm_authenticate_parse(&q->f.m, span_of(q->token, s->token.n));
	if (!ntlm_utf8(q->f.m.workstation, q->workstation, sizeof(q->workstation)))
		q->workstation[0] = '\0';
	keep(q->counted, sizeof(q->counted), counted);
	keep(q->source, sizeof(q->source), s->source);
	*asked = q;
}

void
handshake_question(const struct handshake_asked *q, struct winbind_question *out)
{
	*out = (struct winbind_question){ .nt = q->f.m.nt, .user = span_str(q->f.user), .domain = span_str(q->f.domain),
	    .workstation = span_str(q->workstation) };
	memcpy(out->nonce, q->f.o.nonce, sizeof(out->nonce));
}

void
handshake_judged(struct handshakes *h, struct guesses *guesses, struct handshake_asked *q, const struct winbind_answer *w,
    struct authd_answer *a)
{
	struct span counted = span_str(q->counted), source = span_str(q->source);

	memset(a, 0, sizeof(*a));
	switch (w->verdict) {
	case WINBIND_PROVED:
		if (guesses != NULL)
			guesses_right(guesses, counted, source, clock_ms());
		if (!ntlm_session_key(&q->f.m, w->key, &h->target, q->f.o.nonce, q->f.o.time, a->key)) {
			log_bad("tampered", q->f.user, q->f.domain, source);
			break;
		}
		a->verdict = AUTHD_OK;
		a->key_n = NTLM_KEY_SIZE;
		a->flags = q->f.m.flags;
		break;
	case WINBIND_REFUSED:
		log_bad(winbind_refusal(w->status) != NULL ? winbind_refusal(w->status) : "refused", q->f.user, q->f.domain,
		    source);
		break;
	case WINBIND_UNREACHED:
	case WINBIND_NVERDICTS:
		if (guesses != NULL)
			guesses_undo(guesses, counted, source, clock_ms());
		a->verdict = AUTHD_NO_DOMAIN;
		break;
	}
	free(q);
}
