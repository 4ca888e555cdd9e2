/*
 * admin/http/login.c - logging in and out.
 *
 * The log-in form has no session yet, so its token is a keyed hash of a random
 * cookie: nothing is kept for who only looks at it, and no other site can log a
 * browser in as somebody else.
 */
#include "admin/http/login.h"

#include <stdio.h>
#include <string.h>

#include "admin/http/page.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "net/digest.h"
#include "net/stats.h"

#define NEXT_MAX	1024

static const char *
form_cookie(const struct site *s)
{
	return s->tls ? "__Host-sallyport-login" : "sallyport-login";
}

static void
token_of(const struct site *s, struct span cookie, char out[SESSION_TEXT])
{
	struct net_hmac *h = net_hmac_new(s->secret, sizeof(s->secret));
	unsigned char mac[32];
	struct strbuf sb;

	net_hmac(h, &cookie, 1, mac);
	net_hmac_free(h);
	strbuf_init(&sb, out, SESSION_TEXT);
	strbuf_hex(&sb, mac, sizeof(mac), false);
}

static void
set_cookie(const struct site *s, struct http_reply *r, const char *name, const char *value, bool keep)
{
	reply_header(r, "Set-Cookie", "%s=%s; Path=/; HttpOnly; SameSite=Strict%s%s", name, value, s->tls ? "; Secure" : "",
	    keep ? "" : "; Max-Age=0");
}

/* Where to go on: a path of ours and nothing else ("//evil.example" is another host). */
static bool
is_next(struct span next)
{
	if (next.n == 0 || next.n > NEXT_MAX || next.p[0] != '/' || (next.n > 1 && (next.p[1] == '/' || next.p[1] == '\\')))
		return false;
	for (size_t i = 0; i < next.n; i++)
		if (next.p[i] <= ' ' || next.p[i] == '\\' || (unsigned char)next.p[i] >= 0x7f)
			return false;
	return true;
}

static void
show_form(struct site *s, struct http_request *q, struct http_reply *r, int status, struct span next, const char *why)
{
	struct text *t = &r->body;
	char cookie[SESSION_TEXT], token[SESSION_TEXT];
	struct span old;

	if (!cookie_get(q->cookie, form_cookie(s), &old) || old.n != SESSION_TEXT - 1) {
		session_random(cookie);
		set_cookie(s, r, form_cookie(s), cookie, true);
	} else {
		memcpy(cookie, old.p, old.n);
		cookie[old.n] = '\0';
	}
	token_of(s, span_str(cookie), token);
	page_begin(s, q, r, "Log in");
	r->status = status;
	if (why != NULL)
		page_note(t, TONE_BAD, "%s", why);
	html(t, "<form method=\"post\" action=\"/login\" class=\"card narrow\">"
	    "<input type=\"hidden\" name=\"form\" value=\"%s\"><input type=\"hidden\" name=\"next\" value=\"", token);
	text_html(t, next);
	html(t, "\">\n<label for=\"name\">Account</label>"
	    "<input id=\"name\" name=\"name\" autocomplete=\"username\" autocapitalize=\"none\" spellcheck=\"false\" required%s>\n"
	    "<label for=\"password\">Password</label>"
	    "<input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"current-password\" required>\n"
	    "<button class=\"primary\">Log in</button></form>\n"
	    "<p class=\"hint\">Accounts are made on this machine with <code>sallyportctl admin-user add</code>.</p>\n",
	    why == NULL ? " autofocus" : "");
	page_end(s, q, r);
}

void
login_show(struct site *s, struct http_request *q, struct http_reply *r)
{
	struct span next = form_get(&q->query, "next");

	if (q->role != ACCOUNT_NOBODY) {
		reply_redirect(r, "/");
		return;
	}
	show_form(s, q, r, 200, is_next(next) ? next : SPAN_NONE, NULL);
}

enum outcome { LOGIN_WRONG = 0, LOGIN_GOOD, LOGIN_WAIT, LOGIN_BUSY };

/* Is that the password? The lock is not held while it is proven. */
static enum outcome
prove(struct site *s, const struct http_request *q, struct span name, struct span password, struct account *out,
    uint64_t *wait_ms)
{
	enum outcome o = LOGIN_WRONG;
	const struct account *a;
	struct span source = span_str(q->source);
	bool known;

	pthread_mutex_lock(&s->lock);
	if (s->proofs >= (unsigned)s->conf->limits.proofs) {
		stats_limit_hit(PAGE_PROOFS);
		o = LOGIN_BUSY;
	} else if (!throttle_try(s->throttle, source, name, clock_ms(), wait_ms))
		o = LOGIN_WAIT;
	else
		s->proofs++;
	a = o == LOGIN_WRONG ? accounts_find(s->accounts, name) : NULL;
	if ((known = a != NULL))
		*out = *a;
	pthread_mutex_unlock(&s->lock);
	if (o != LOGIN_WRONG)
		return o;
	if (account_proves(known ? out : NULL, password))
		o = LOGIN_GOOD;
	stats_count(PAGE_LOGINS_DONE, o == LOGIN_GOOD ? STATS_OK : STATS_FAILED, 0);
	pthread_mutex_lock(&s->lock);
	s->proofs--;
	if (o == LOGIN_GOOD)
		throttle_succeeded(s->throttle, source, name, clock_ms());
	pthread_mutex_unlock(&s->lock);
	return o;
}

static void
log_login(const struct http_request *q, struct span name, enum outcome o)
{
	static const char *const words[] = { "wrong", "good", "too-often", "busy" };
	struct logrec l = log_begin(o == LOGIN_GOOD ? SP_LOG_NOTICE : SP_LOG_WARNING, "login");

	log_word(&l, "result", words[o]);
	log_outside(&l, "account", name);
	log_word(&l, "from", q->source);
	log_end(&l);
}

/* A session of its own for each log-in, whatever cookie came with it. */
static void
enter(struct site *s, struct http_request *q, struct http_reply *r, const struct account *a, struct span next)
{
	char id[SESSION_TEXT];
	struct span old;

	pthread_mutex_lock(&s->lock);
	if (cookie_get(q->cookie, site_cookie_name(s), &old))
		sessions_end(s->sessions, old);
	memcpy(id, sessions_begin(s->sessions, a, q->source, clock_ms())->id, sizeof(id));
	pthread_mutex_unlock(&s->lock);
	reply_redirect(r, "%.*s", is_next(next) ? (int)next.n : 1, is_next(next) ? next.p : "/");
	set_cookie(s, r, site_cookie_name(s), id, true);
	set_cookie(s, r, form_cookie(s), "", false);
	mem_wipe(id, sizeof(id));
}

void
login_do(struct site *s, struct http_request *q, struct http_reply *r)
{
	static const char *const fields[] = { "form", "next", "name", "password", NULL };
	struct span cookie, given = form_get(&q->form, "form"), name = form_get(&q->form, "name");
	struct span next = form_get(&q->form, "next");
	const struct form_field *stranger = form_stranger(&q->form, fields);
	char token[SESSION_TEXT], why[128];
	struct account a = { .log2n = 0 };
	uint64_t wait_ms = 0;
	enum outcome o;

	if (stranger != NULL) {
		reply_problem(s, q, r, 400, "form", "There is a field that this form does not have.");
		return;
	}
	if (!is_next(next))
		next = SPAN_NONE;
	if (!cookie_get(q->cookie, form_cookie(s), &cookie) || cookie.n != SESSION_TEXT - 1 || given.n != SESSION_TEXT - 1) {
		show_form(s, q, r, 403, next, "The form was too old, or your browser keeps no cookies. Try again.");
		return;
	}
	token_of(s, cookie, token);
	if (!mem_equal_secret(token, given.p, given.n)) {
		show_form(s, q, r, 403, next, "The form was too old. Try again.");
		return;
	}
	o = prove(s, q, name, form_get(&q->form, "password"), &a, &wait_ms);
	log_login(q, name, o);
	switch (o) {
	case LOGIN_GOOD:
		enter(s, q, r, &a, next);
		break;
	case LOGIN_WAIT:
		snprintf(why, sizeof(why), "Too many attempts. Try again in %llu seconds.",
		    (unsigned long long)wait_ms / 1000 + 1);
		show_form(s, q, r, 429, next, why);
		reply_header(r, "Retry-After", "%llu", (unsigned long long)wait_ms / 1000 + 1);
		break;
	case LOGIN_BUSY:
		show_form(s, q, r, 503, next, "Too many log-ins at this moment. Try again in a second.");
		reply_header(r, "Retry-After", "1");
		break;
	case LOGIN_WRONG:
		show_form(s, q, r, 403, next, "Account or password is wrong.");
		break;
	}
	mem_wipe(&a, sizeof(a));
}

void
login_end(struct site *s, struct http_request *q, struct http_reply *r)
{
	pthread_mutex_lock(&s->lock);
	sessions_end(s->sessions, span_str(q->session));
	pthread_mutex_unlock(&s->lock);
	reply_redirect(r, "/login");
	set_cookie(s, r, site_cookie_name(s), "", false);
}
