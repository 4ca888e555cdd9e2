/*
 * director/proof.c - who sends a request: Digest, or an association and its signatures.
 *
 * What can be told here is told at once; what only authd can tell is asked, and
 * the request is taken up again from its beginning with the answer.
 */
#include <stdlib.h>

#include "common/err.h"
#include "common/hash.h"
#include "common/log.h"
#include "common/mem.h"
#include "net/stats.h"
#include "director/links.h"
#include "director/passage.h"
#include "director/srvs.h"

/* ---- connections and offers ---- */

/* The Via that the edge, or a branch's edge behind it, has got from the client and has completed. */
static struct span
clients_via(const struct sip_message *m, unsigned depth)
{
	struct span last = SPAN_NONE, rest, one;

	for (int i = sip_message_next(m, SIP_H_VIA, -1); i >= 0; i = sip_message_next(m, SIP_H_VIA, i)) {
		rest = sip_header_value(m, i);
		while (sip_list_next(&rest, &one)) {
			last = one;
			if (depth-- == 0)
				return last;
		}
	}
	return last;
}

uint64_t
proof_conn(const struct sip_link *l, const struct sip_message *m, bool is_branch)
{
	static const char *const params[] = { "ms-received-cid", "ms-received-port", "received" };
	const uint64_t *words = sip_link_words((struct sip_link *)(uintptr_t)l);
	struct span via, v;
	uint64_t h;

	if (words[LINK_KIND] == SERVER_NONE)
		return sip_link_id(l);
	/*
	 * Behind an edge: what the edge has written into the client's Via (MS 7.3). Those below it are the client's own,
	 * who could give somebody else's connection there as its own.
	 */
	via = clients_via(m, is_branch ? 2 : 1);
	h = hash_mix(words[LINK_ID], is_branch);
	for (unsigned i = 0; i < 3; i++) {
		sip_param(span_tail(via, span_find(via, ';') + 1), params[i], &v);
		h = hash_mix(h, hash_bytes(v.p, v.n));
	}
	return h | 1ULL << 63;	/* no link has such an id */
}

/*
 * From where it comes, as guesses and handshakes are counted: the client's address; of IPv6
 * the /64, which is what one customer is given at least. The Via is the one that
 * an edge of ours has completed, whatever the client has written below it.
 */
static struct span
source_of_guess(const struct passage *p, char out[GUESSES_SOURCE_MAX])
{
	struct net_addr addr;
	struct sip_via via;
	struct span host;

	if (sip_link_words(p->from)[LINK_KIND] == SERVER_NONE)
		addr = *sip_link_remote(p->from);
	else if (sip_via_parse(&via, clients_via(p->m, p->is_branch ? 2 : 1)) != SP_OK)
		return SPAN_NONE;
	else {
		if (!sip_param(via.params, "received", &host))
			host = via.host;
		if (net_addr_parse(&addr, host, 1) != SP_OK)
			return SPAN_NONE;
	}
	return span_str(net_addr_network(&addr, out));
}

static unsigned
offered(const struct passage *p)
{
	if (p->facts.source == HOME_FROM_USER)
		return p->w->config->offer_remote;
	return director_door(p->w->config, sip_link_face(p->from)->tag)->offer;
}

static struct sa_claim
claim(const struct passage *p)
{
	char text[GUESSES_SOURCE_MAX];
	struct span source = source_of_guess(p, text);

	return (struct sa_claim){ .aor = span_str(p->from_aor), .epid = endpoint_epid(&p->m->from),
	    .conn = proof_conn(p->from, p->m, p->is_branch), .source = hash_bytes(source.p, source.n) };
}

/* ---- associations ---- */

static void
trouble(struct passage *p, enum policy_reason why, const char *detail)
{
	p->trouble = why;
	p->trouble_detail = detail;
	p->facts.proof = HOME_PROOF_FORGED;
}

static void
proved(struct passage *p, uint32_t sa, uint32_t endpoint, bool settled, const struct authd_user *who)
{
	p->facts.proof = HOME_PROOF_OK;
	p->sa = sa;
	p->settled = settled;
	p->endpoint = endpoint;
	p->principal = *who;
	p->note.word[NOTE_SA] = sa;
}

/* So that the associations of a client inside end with its connection. */
static void
remember_on_link(struct sip_link *l, uint32_t opaque)
{
	uint64_t *words = sip_link_words(l), *at = &words[LINK_SAS + words[LINK_NSAS] / 2];

	if (words[LINK_KIND] != SERVER_NONE)
		return;
	*at = words[LINK_NSAS] % 2 == 0 ? (*at & ~0xffffffffULL) | opaque : (*at & 0xffffffff) | (uint64_t)opaque << 32;
	words[LINK_NSAS] = (words[LINK_NSAS] + 1) % LINK_SAS_MAX;
}

/*
 * authd says that the token is good. What the endpoint had before stays as it is until all that may refuse the
 * request has had its say (settle() in proxy.c). In version 4 the message that brought it
 * is signed already (MS 3.7).
 */
static void
establish(struct passage *p)
{
	struct director_worker *w = p->w;
	struct question *q = p->asked;
	struct sa_claim c = claim(p);
	uint64_t now = net_loop_now(w->worker->loop);
	/* Kerberos has no challenge that would have a name already */
	uint32_t begun = p->sipae.scheme == SA_KERBEROS ? 0 : p->sipae.opaque;
	uint32_t opaque = sa_establish(w->director->sas, begun, &c, p->sipae.version, &q->keys, &q->principal, q->lifetime,
	    now);

	if (opaque == 0) {
		trouble(p, POLICY_REASON_OVERLOAD, NULL);
		return;
	}
	if (p->sipae.version >= 4 && (!sipae_verify(p->m, &p->sipae, p->sipae.version, &q->keys) ||
	    !sa_use(w->director->sas, opaque, p->sipae.cnum, now))) {
		sa_end(w->director->sas, opaque);
		p->facts.proof = HOME_PROOF_FORGED;
		return;
	}
	remember_on_link(p->from, opaque);
	q->sa = opaque;
	q->endpoint = sa_endpoint(w->director->sas, c.aor, c.epid);
	q->settled = false;
	proved(p, q->sa, q->endpoint, false, &q->principal);
}

/* gssapi-data: a handshake begins, or its answer comes. */
static void
handshake(struct passage *p)
{
	unsigned char token[AUTHD_TOKEN_MAX];
	struct sa_claim c = claim(p);

	if (!endpoint_agrees(p->m)) {
		trouble(p, POLICY_REASON_ENDPOINT_MISMATCH, NULL);
		return;
	}
	if (p->asked != NULL) {
		p->facts.proof = p->asked->proof;
		if (p->facts.proof == HOME_PROOF_OK)
			establish(p);
		return;
	}
	p->asking = ASKING_STEP;
	p->facts.proof = HOME_PROOF_UNASKED;
	if (p->sipae.scheme == SA_KERBEROS) {
		if (sipae_token(p->sipae.token, token, sizeof(token)) == 0)
			trouble(p, POLICY_REASON_MALFORMED, "Malformed Token");
		return;
	}
	if (span_is_empty(p->sipae.token))
		return;
	if (sipae_token(p->sipae.token, token, sizeof(token)) == 0)
		trouble(p, POLICY_REASON_MALFORMED, "Malformed Token");
	else if (!sa_take(p->w->director->sas, p->sipae.opaque, p->sipae.scheme, &c, net_loop_now(p->w->worker->loop),
	    &p->context))
		p->facts.proof = HOME_PROOF_BAD;	/* too late, somebody else's, or used already */
}

static void
verify(struct passage *p)
{
	struct sa_table *sas = p->w->director->sas;
	uint64_t now = net_loop_now(p->w->worker->loop);
	struct sa_view v;

	if (!sa_get(sas, p->sipae.opaque, now, &v)) {
		stats_count(SIGNATURES, STATS_SIGNATURE_EXPIRED, 0);
		p->facts.proof = HOME_PROOF_EXPIRED;
		return;
	}
	if (!span_is(endpoint_epid(&p->m->from), v.epid) || !v.is_true)
		p->facts.proof = HOME_PROOF_EXPIRED;
	else if (!sipae_verify(p->m, &p->sipae, v.version, &v.keys))
		p->facts.proof = HOME_PROOF_FORGED;
	else if (!sa_use(sas, p->sipae.opaque, p->sipae.cnum, now))
		p->facts.proof = HOME_PROOF_REPLAYED;
	else
		proved(p, v.opaque, v.endpoint, v.settled, &v.user);
	stats_count(SIGNATURES, p->facts.proof == HOME_PROOF_OK ? STATS_SIGNATURE_GOOD :
	    p->facts.proof == HOME_PROOF_REPLAYED ? STATS_SIGNATURE_REPLAYED :
	    p->facts.proof == HOME_PROOF_FORGED ? STATS_SIGNATURE_WRONG : STATS_SIGNATURE_EXPIRED, 0);
	/* is the user still one? Signing goes on for hours, and what the directory says may change */
	if (p->facts.proof == HOME_PROOF_OK && p->m->method_id != POLICY_METHOD_ACK &&
	    now >= v.looked_ms + (uint64_t)p->w->config->sipae_refresh * 1000) {
		p->facts.proof = HOME_PROOF_UNASKED;
		p->asking = ASKING_USER;
	}
	sa_keys_wipe(&v.keys);
}

static void
associate(struct passage *p)
{
	if (p->from_aor[0] == '\0' || span_is_empty(endpoint_epid(&p->m->from)))
		trouble(p, POLICY_REASON_NO_ENDPOINT, NULL);
	else if (p->sipae.handshake)
		handshake(p);
	else
		verify(p);
}

/* ---- Digest ---- */

static void
digest(struct passage *p)
{
	p->facts.proof = HOME_PROOF_NONE;
	switch (signin_find(p->w->config, p->m, p->realm, &p->credentials)) {
	case SIGNIN_NONE:
		return;
	case SIGNIN_MALFORMED:
		p->trouble = POLICY_REASON_MALFORMED;
		p->trouble_detail = "Malformed Credentials";
		return;
	case SIGNIN_FOUND:
		break;
	}
	if (p->asked != NULL) {
		p->facts.proof = p->asked->proof;
		p->principal = p->asked->principal;
		return;
	}
	p->facts.proof = HOME_PROOF_UNASKED;
	p->asking = ASKING_DIGEST;
	p->nonce_good = auth_nonce_check(p->w->nonces, p->realm, proof_conn(p->from, p->m, p->is_branch), p->credentials.nonce,
	    net_loop_now(p->w->worker->loop), (uint64_t)p->w->config->auth_nonce_lifetime * 1000) == AUTH_NONCE_GOOD;
}

void
proof_facts(struct passage *p)
{
	struct sipae_self self = passage_self(p->w);
	struct sipae_credentials seen;

	if (p->facts.source != HOME_FROM_USER && p->facts.source != HOME_FROM_CLIENT)
		return;
	p->realm = signin_realm(p->w->config, span_str(p->from_domain));
	p->offer = offered(p);
	if (p->asked != NULL && p->asked->sa != 0) {
		/* verified before it was held, and its number is used up */
		if (sipae_find(&self, p->m, &seen) == SIGNIN_FOUND)
			p->sipae.scheme = seen.scheme;
		proved(p, p->asked->sa, p->asked->endpoint, p->asked->settled, &p->asked->principal);
		p->facts.proof = p->asked->proof;
		return;
	}
	switch ((p->offer & OFFER_SIGNED) != 0 ? sipae_find(&self, p->m, &p->sipae) : SIGNIN_NONE) {
	case SIGNIN_MALFORMED:
		trouble(p, POLICY_REASON_MALFORMED, "Malformed Credentials");
		return;
	case SIGNIN_FOUND:
		if ((p->offer & (p->sipae.scheme == SA_KERBEROS ? OFFER_KERBEROS : OFFER_NTLM)) != 0) {
			associate(p);
			return;
		}
		break;
	case SIGNIN_NONE:
		break;
	}
	if ((p->offer & OFFER_DIGEST) != 0)
		digest(p);
}

/* ---- challenges ---- */

#define TOLD_TIMES	3
#define TOLD_MS		10000

/*
 * A client whose association is gone gets a 401, which should make it sign in
 * again. Some rather sign the same request once more, as often as they are asked
 * (MS 3.5). They get a final answer in the end.
 */
static bool
was_told(struct passage *p)
{
	struct told *t = &p->w->told[p->sipae.opaque / 64 % TOLD_MAX];
	uint64_t now = net_loop_now(p->w->worker->loop);

	if (p->m->method_id == POLICY_METHOD_REGISTER || p->sipae.opaque == 0 ||
	    (p->facts.proof != HOME_PROOF_EXPIRED && p->facts.proof != HOME_PROOF_FORGED))
		return false;
	if (t->opaque != p->sipae.opaque || now - t->since_ms > TOLD_MS)
		*t = (struct told){ .opaque = p->sipae.opaque, .since_ms = now };
	return ++t->times > TOLD_TIMES;
}

/*
 * A ticket that was refused is refused: to offer something weaker in its place
 * would let whoever spoils a ticket choose how the user signs in.
 */
static unsigned
offer_again(const struct passage *p)
{
	bool refused = p->asked != NULL && p->sipae.scheme == SA_KERBEROS && p->facts.proof != HOME_PROOF_OK;

	return refused ? p->offer & OFFER_KERBEROS : p->offer;
}

#define CHALLENGE_MAX	(SIGNIN_CHALLENGE_MAX + 2 * NTLM_CHALLENGE_MAX)

void
proof_challenge(struct passage *p, enum policy_reason why)
{
	struct sipae_self self = passage_self(p->w);
	bool has_epid = !span_is_empty(endpoint_epid(&p->m->from));
	/* a replay proves the password: the client may try again by itself, as with a stale nonce */
	bool stale = why == POLICY_REASON_STALE_NONCE || why == POLICY_REASON_REPLAYED;
	char text[CHALLENGE_MAX];
	struct strbuf extra;

	if (was_told(p)) {
		passage_refuse(p, POLICY_REASON_SIGN_IN_AGAIN, NULL);
		/* behind an edge the connection is the edge's, and the next REGISTER will do it */
		if (p->facts.source == HOME_FROM_CLIENT)
			sip_link_close(p->from, POLICY_REASON_SIGN_IN_AGAIN, NULL);
		return;
	}
	sip_edit_clear(p->m);
	strbuf_init(&extra, text, sizeof(text));
	signin_date(&extra);
	if (p->facts.proof == HOME_PROOF_GOING_ON) {
		struct sa_claim c = claim(p);
		uint32_t opaque = sa_begin(p->w->director->sas, p->sipae.scheme, &c, p->asked->context,
		    net_loop_now(p->w->worker->loop));

		if (opaque == 0) {
			passage_refuse(p, POLICY_REASON_OVERLOAD, NULL);
			return;
		}
		sipae_go_on(&self, p->sipae.scheme, opaque, span_of((const char *)p->asked->token, p->asked->token_n), &extra);
	} else {
		unsigned offer = offer_again(p);

		/* who does not say which device it is cannot sign; and not every other client reads over what it does not know */
		if ((offer & OFFER_KERBEROS) != 0 && has_epid)
			sipae_offer(&self, SA_KERBEROS, &extra);
		if ((offer & OFFER_NTLM) != 0 && has_epid)
			sipae_offer(&self, SA_NTLM, &extra);
		if ((offer & OFFER_DIGEST) == 0 && !has_epid) {
			passage_refuse(p, POLICY_REASON_NO_ENDPOINT, NULL);
			return;
		}
		if ((offer & OFFER_DIGEST) != 0)
			signin_challenge(p->w->config, p->w->nonces, p->realm, proof_conn(p->from, p->m, p->is_branch), stale, &extra);
	}
	/* being asked for a password is no refusal; a wrong one is */
	if (why == POLICY_REASON_UNAUTHENTICATED || why == POLICY_REASON_STALE_NONCE)
		sip_relay_answer(p->w->relay, p->from, p->m, 401, NULL, strbuf_span_of(&extra), &p->note);
	else
		sip_relay_refuse(p->w->relay, p->from, p->m, why, NULL, strbuf_span_of(&extra), &p->note);
}

/* ---- asking authd ---- */

static void
question_free(struct question *q)
{
	free(q->token);
	sa_keys_wipe(&q->keys);
	mem_wipe_free(q, sizeof(*q));
}

static void
resumed(struct sip_relay *r, struct sip_link *from, struct sip_message *m, void *arg)
{
	passage_take_up(sip_relay_owner(r), from, m, arg);
}

/* The answer is in q: take the request up again, if its sender is still there. */
static void
go_on(struct question *q)
{
	struct sip_held *held = q->held;

	q->held = NULL;
	q->asked_again = false;
	sip_relay_resume(q->w->relay, held, resumed, q);
	if (!q->asked_again)
		question_free(q);
}

static void
proof_came(void *arg, bool answered, const struct authd_answer *a)
{
	static const enum home_proof proofs[AUTHD_NVERDICTS] = {
		[AUTHD_BAD] = HOME_PROOF_BAD, [AUTHD_STALE] = HOME_PROOF_STALE, [AUTHD_REPLAYED] = HOME_PROOF_REPLAYED,
		[AUTHD_OK] = HOME_PROOF_OK, [AUTHD_CONTINUE] = HOME_PROOF_GOING_ON,
		[AUTHD_THROTTLED] = HOME_PROOF_THROTTLED, [AUTHD_THROTTLED_SOURCE] = HOME_PROOF_THROTTLED,
		[AUTHD_THROTTLED_USER] = HOME_PROOF_THROTTLED, [AUTHD_SKEWED] = HOME_PROOF_SKEWED,
		[AUTHD_NO_DOMAIN] = HOME_PROOF_NO_DOMAIN, [AUTHD_NO_DIRECTORY] = HOME_PROOF_NO_DIRECTORY,
		[AUTHD_FAILED] = HOME_PROOF_FAILED
	};
	struct question *q = arg;

	q->proof = answered ? proofs[a->verdict] : HOME_PROOF_FAILED;
	q->principal = a->who;
	q->context = a->context;
	q->lifetime = a->lifetime;
	if (a->token.n != 0) {
		q->token = xmalloc(a->token.n);
		memcpy(q->token, a->token.p, q->token_n = a->token.n);
	}
	if (q->proof == HOME_PROOF_OK && a->key_n == NTLM_KEY_SIZE) {
		q->keys.scheme = SA_NTLM;
		ntlm_keys_derive(&q->keys.ntlm, a->key, a->flags);
	} else if (q->proof == HOME_PROOF_OK && !span_is_empty(a->session)) {
		q->keys.scheme = SA_KERBEROS;
		if ((q->keys.gss = gss_session_import(a->session)) == NULL) {
			log_say(SP_LOG_ERROR, "ticket-import", "a Kerberos context cannot be used here; can krb5.conf be read?");
			q->proof = HOME_PROOF_FAILED;
		}
	}
	if (q->proof == HOME_PROOF_THROTTLED) {
		stats_count(THROTTLED, a->verdict - AUTHD_THROTTLED, 0);
		stats_limit_hit(SIGN_IN_RATE);
	}
	if (answered && a->who.asked)
		stats_count(DIRECTORY_ASKED, q->proof == HOME_PROOF_NO_DIRECTORY ? STATS_ANSWER_FAILED :
		    a->who.found ? STATS_ANSWER_FOUND : STATS_ANSWER_NONE, 0);
	if (q->proof != HOME_PROOF_GOING_ON)
		stats_count(SIGN_INS, q->mechanism, q->proof == HOME_PROOF_OK ? STATS_OK : STATS_FAILED);
	go_on(q);
}

static void
count_lookup(bool answered, const struct authd_user *who)
{
	enum stats_answer answer = !answered || who->unavailable ? STATS_ANSWER_FAILED :
	    who->found ? STATS_ANSWER_FOUND : STATS_ANSWER_NONE;

	stats_count(LOOKUPS, answer, 0);
	if (answered && who->asked)
		stats_count(DIRECTORY_ASKED, answer, 0);
}

static enum home_entry
entry_of(bool answered, const struct authd_user *who)
{
	count_lookup(answered, who);
	return !answered ? HOME_UNAVAILABLE : who->unavailable ? HOME_NO_DIRECTORY :
	    who->found && who->enabled ? HOME_KNOWN : HOME_UNKNOWN;
}

/* What a look-up has said of the principal; its association remembers it. */
static void
take_principal(struct question *q, const struct authd_user *who)
{
	q->principal = *who;
	q->principal.homed = true;
	if (q->sa != 0)
		sa_renew_user(q->w->director->sas, q->sa, &q->principal, net_loop_now(q->w->worker->loop));
}

/* The directory about who has signed in before. */
static void
user_came(void *arg, bool answered, const struct authd_answer *a)
{
	struct question *q = arg;
	struct sa_table *sas = q->w->director->sas;

	count_lookup(answered, &a->who);
	q->proof = answered ? HOME_PROOF_OK : HOME_PROOF_FAILED;
	if (answered && a->who.unavailable) {
		/* what it said before holds until it says something else */
		sa_renew_user(sas, q->sa, &q->principal, net_loop_now(q->w->worker->loop));
	} else if (answered && a->who.found && a->who.enabled) {
		take_principal(q, &a->who);
	} else if (answered) {
		/* no longer a user: to be asked for a password, which will not do */
		sa_end(sas, q->sa);
		q->sa = 0;
	}
	go_on(q);
}

static void
home_came(void *arg, bool answered, const struct authd_answer *a)
{
	struct question *q = arg;

	if ((q->home = entry_of(answered, &a->who)) == HOME_KNOWN)
		take_principal(q, &a->who);
	go_on(q);
}

static void
other_came(void *arg, bool answered, const struct authd_answer *a)
{
	struct question *q = arg;

	q->wanted->entry = entry_of(answered, &a->who);
	q->wanted->user = a->who;
	go_on(q);
}

void
director_forget(void *arg)
{
	struct question *q = arg;

	sip_relay_let_go(q->held);
	question_free(q);
}

static bool
send_question(struct passage *p, enum asking what, struct question *q)
{
	struct director_worker *w = p->w;
	unsigned timeout = (unsigned)w->config->auth_timeout;
	/* the domain of a bare user name: that of the realm if it is one of ours, else the sender's */
	struct authd_question digest_of = { .credentials = p->credentials, .method = p->m->method,
	    .nonce_good = p->nonce_good,
	    .domain = director_is_ours(w->config, p->realm) ? p->realm : span_str(p->from_domain) };
	struct authd_step step = { .mechanism = p->sipae.scheme == SA_KERBEROS ? AUTHD_KERBEROS : AUTHD_NTLM, .context = p->context, .domain = span_str(p->from_domain) };
	unsigned char token[AUTHD_TOKEN_MAX];
	char source[GUESSES_SOURCE_MAX];

	switch (what) {
	case ASKING_DIGEST:
		q->mechanism = STATS_MECHANISM_DIGEST;
		digest_of.source = source_of_guess(p, source);
		return ask_digest(w->ask, &digest_of, timeout, proof_came, q);
	case ASKING_STEP:
		q->mechanism = p->sipae.scheme == SA_KERBEROS ? STATS_MECHANISM_KERBEROS : STATS_MECHANISM_NTLM;
		step.source = source_of_guess(p, source);
		step.token = span_of((const char *)token, sipae_token(p->sipae.token, token, sizeof(token)));
		return ask_step(w->ask, &step, timeout, proof_came, q);
	case ASKING_USER:
		return ask_lookup(w->ask, span_str(p->principal.aor), timeout, user_came, q);
	case ASKING_HOME:
		return ask_lookup(w->ask, span_str(p->principal.aor), timeout, home_came, q);
	case ASKING_SENDER:
		q->wanted = &q->sender;
		return ask_lookup(w->ask, span_str(p->from_aor), timeout, other_came, q);
	case ASKING_ADDRESSEE:
		q->wanted = &q->addressee;
		return ask_lookup(w->ask, span_str(p->ruri_aor), timeout, other_came, q);
	case ASKING_NOTHING:
		break;
	}
	return false;
}

/* What is known so far, kept for later. */
static struct question *
keep(struct passage *p)
{
	struct question *q = p->asked;

	if (q == NULL) {
		q = xcalloc(1, sizeof(*q));
		q->w = p->w;
	}
	if (p->sa != 0) {
		q->sa = p->sa;
		q->endpoint = p->endpoint;
		q->settled = p->settled;
		q->principal = p->principal;
		q->proof = HOME_PROOF_OK;
	}
	q->spent |= p->spent;
	q->held = sip_relay_hold(p->w->relay, p->from, p->m);
	q->asked_again = true;
	return q;
}

/* Nothing was asked after all. */
static void
drop(struct passage *p, struct question *q)
{
	sip_relay_let_go(q->held);
	q->held = NULL;
	q->asked_again = false;
	if (p->asked == NULL)
		question_free(q);	/* else its owner does, in go_on() */
}

void
proof_ask(struct passage *p, enum asking what)
{
	struct question *q = keep(p);

	if (send_question(p, what, q))
		return;
	drop(p, q);
	passage_refuse(p, POLICY_REASON_AUTH_UNAVAILABLE, NULL);
}

static void
srv_came(void *arg)
{
	go_on(arg);
}

bool
proof_wait(struct passage *p, const char *srv)
{
	struct question *q = keep(p);

	q->waited = true;
	if (srvs_wait(p->w->srvs, srv, srv_came, q)) {
		sip_edit_clear(p->m);
		return true;
	}
	drop(p, q);
	return false;
}
