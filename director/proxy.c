/*
 * director/proxy.c - what the Director does with each message.
 *
 * facts - decide (homes.c) - ask authd if the decision needs to know more, and
 * decide again - edit - forward. A request that waits for authd is held as it
 * came and goes the whole way anew when the answer is there.
 */
#include <stdlib.h>

#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "director/director.h"
#include "director/homes.h"
#include "director/links.h"
#include "director/signin.h"
#include "sip/forward.h"
#include "sip/mark.h"

/* Words of a note: what has to be known when the response comes. */
enum { NOTE_SOURCE = 0 };	/* enum home_source of the request */

/* What is known about a request besides the request; lives while authd is asked. */
struct question {
	struct director_worker	*w;
	struct sip_held		*held;
	bool			 asked_again;	/* the next answer frees it */
	enum home_proof		 proof;
	struct authd_user	 principal;
	enum home_entry		 entry;
	struct authd_user	 addressee;
};

/* One request on its way through this file. */
struct passage {
	struct director_worker	*w;
	struct sip_link		*from;
	struct sip_message	*m;
	struct question		*asked;		/* NULL: nothing was asked yet */
	struct home_facts	 facts;
	struct sip_routed	 routed;
	char			 from_aor[USER_AOR_MAX], to_aor[USER_AOR_MAX], ruri_aor[USER_AOR_MAX];
	char			 from_domain[USER_AOR_MAX], ruri_domain[USER_AOR_MAX];
	struct span		 realm;
	struct auth_credentials	 credentials;
	bool			 nonce_good;
	bool			 malformed_credentials;
	struct sip_note		 note;
};

static void	take_up(struct director_worker *, struct sip_link *, struct sip_message *, struct question *);

/* ---- next hops ---- */

static struct sip_hop *
hop_of(struct director_worker *w, enum server_kind kind, size_t i)
{
	const struct director_server *s = server_at(w->config, kind, i);
	struct sip_hop_spec spec = {
		.name = s->name, .port = (uint16_t)s->port, .address = s->address, .face = w->out,
		/* a firewall may let the edge in and nobody out to it; a pool must be reached at its own door */
		.reuse_inbound = kind == SERVER_EDGE
	};

	return sip_hop_get(w->relay, &spec);
}

static void
add_server(struct director_worker *w, enum server_kind kind, size_t i, struct sip_plan *plan)
{
	if (plan->nhops < SIP_TARGETS_MAX)
		plan->hop[plan->nhops++] = hop_of(w, kind, i);
}

/* A token of ours says between whom; both numbers in one. */
static uint32_t
between(uint16_t near, uint16_t far)
{
	return (uint32_t)near << 16 | far;
}

/*
 * Where a token leads when the message comes from the server `from` (0: a client):
 * to the other side. False if that is no longer there. plan may be NULL.
 */
static bool
follow_flow(struct director_worker *w, const struct sip_flow *flow, uint16_t from, struct sip_plan *plan)
{
	uint16_t near = (uint16_t)(flow->extra >> 16), far = (uint16_t)flow->extra;
	bool to_far = !flow->path && from == near && far != 0;
	enum server_kind kind;
	int index;

	if (plan != NULL)
		plan->gone = POLICY_REASON_FLOW_GONE;
	if (plan != NULL && !to_far)
		plan->link = flow->link;
	if (server_with_id(w->config, to_far ? far : near, &kind, &index)) {
		if (plan != NULL)
			add_server(w, kind, (size_t)index, plan);
		return true;
	}
	/* a client, or a server that we cannot dial: only its own connection will do */
	return !to_far && sip_relay_link_lives(w->relay, flow->link);
}

/* ---- facts ---- */

static enum home_source
source_of(const struct sip_link *l, const struct sip_message *m, struct sip_mark *mark)
{
	enum server_kind kind = (enum server_kind)sip_link_words((struct sip_link *)(uintptr_t)l)[LINK_KIND];

	*mark = (struct sip_mark){ 0 };
	switch (kind) {
	case SERVER_POOL:
	case SERVER_TRUSTED:
		return HOME_FROM_POOL;
	case SERVER_NONE:
		return HOME_FROM_CLIENT;
	case SERVER_EDGE:
		break;
	}
	if (!sip_mark_read(m, mark) || mark->generated)
		return HOME_FROM_EDGE;
	if (mark->class == POLICY_CLASS_REMOTE_USER || mark->class == POLICY_CLASS_BRANCH)
		return HOME_FROM_USER;
	return mark->public_network ? HOME_FROM_PROVIDER : HOME_FROM_PARTNER;
}

static void
drop_all(struct sip_message *m, enum sip_header_id id)
{
	for (int i = sip_message_next(m, id, -1); i >= 0; i = sip_message_next(m, id, i))
		sip_edit_drop_header(m, i);
}

/*
 * Routes. Outside a dialog a client, or a server with an outbound proxy, may
 * have put our bare name on top; that is no route of ours and is taken off.
 */
static void
read_routes(struct passage *p)
{
	struct span rest = sip_message_value(p->m, SIP_H_ROUTE), one;
	struct sip_addr a;

	p->routed = (struct sip_routed){ .route = POLICY_ROUTE_NONE };
	if (p->m->first[SIP_H_ROUTE] < 0)
		return;
	if (span_is_empty(p->m->to.tag) && sip_list_next(&rest, &one) && sip_addr_parse(&a, one) == SP_OK &&
	    span_iis(a.uri.host, p->w->name) && !sip_flow_claims(&a.uri) &&
	    (p->facts.source == HOME_FROM_CLIENT || p->facts.source == HOME_FROM_POOL)) {
		drop_all(p->m, SIP_H_ROUTE);
		return;
	}
	sip_forward_take_routes(p->m, p->w->signer, p->w->faces, (unsigned)p->w->nfaces, &p->routed);
}

static void
route_facts(struct passage *p)
{
	struct director_worker *w = p->w;
	struct home_facts *f = &p->facts;
	int edge, pool;

	read_routes(p);
	f->route = p->routed.route;
	if (p->routed.has_next) {
		edge = director_edge_named(w->config, p->routed.next.host);
		pool = director_pool_named(w->config, p->routed.next.host);
		f->next = edge >= 0 ? HOME_NEXT_EDGE : pool >= 0 ? HOME_NEXT_POOL : HOME_NEXT_OTHER;
		f->next_index = edge >= 0 ? edge : pool;
	}
	if (f->route == POLICY_ROUTE_OURS)
		f->flow_leads = follow_flow(w, &p->routed.flow, (uint16_t)sip_link_words(p->from)[LINK_ID], NULL);
}

static void
copy_user(struct director_worker *w, struct home_user *out, enum home_entry entry, const struct authd_user *u)
{
	*out = (struct home_user){ .entry = entry, .remote = u->remote, .federation = u->federation,
	    .public_im = u->public_im, .pool = -1 };
	if (entry != HOME_KNOWN)
		return;
	if ((out->pool = director_pool_named(w->config, span_str(u->pool))) < 0) {
		struct logrec r = log_begin(SP_LOG_ERROR, "pool-unknown");

		log_outside(&r, "user", span_str(u->aor));
		log_outside(&r, "pool", span_str(u->pool));
		log_end(&r);
	}
}

static void
proof_facts(struct passage *p)
{
	struct home_facts *f = &p->facts;

	if (f->source != HOME_FROM_USER && f->source != HOME_FROM_CLIENT)
		return;
	p->realm = signin_realm(p->w->config, span_str(p->from_domain));
	switch (signin_find(p->w->config, p->m, p->realm, &p->credentials)) {
	case SIGNIN_NONE:
		f->proof = HOME_PROOF_NONE;
		break;
	case SIGNIN_MALFORMED:
		p->malformed_credentials = true;
		break;
	case SIGNIN_FOUND:
		f->proof = p->asked != NULL ? p->asked->proof : HOME_PROOF_UNASKED;
		break;
	}
	if (f->proof == HOME_PROOF_UNASKED)
		p->nonce_good = auth_nonce_check(p->w->nonces, p->realm, p->credentials.nonce,
		    net_loop_now(p->w->worker->loop), (uint64_t)p->w->config->auth_nonce_lifetime * 1000) == AUTH_NONCE_GOOD;
	if (f->proof == HOME_PROOF_OK) {
		copy_user(p->w, &f->principal, HOME_KNOWN, &p->asked->principal);
		f->from_is_principal = strcmp(p->from_aor, p->asked->principal.aor) == 0;
		f->to_is_principal = strcmp(p->to_aor, p->asked->principal.aor) == 0;
	}
}

static void
addressee_facts(struct passage *p)
{
	struct home_facts *f = &p->facts;

	f->from_ours = director_is_ours(p->w->config, span_str(p->from_domain));
	f->to_us = p->m->ruri.user.n == 0 && span_iis(p->m->ruri.host, p->w->name);
	f->to_ours = director_is_ours(p->w->config, span_str(p->ruri_domain));
	f->to_nobody = p->ruri_aor[0] == '\0';
	/* tel: and the like are the sender's own pool's to understand */
	if (p->m->ruri.scheme != SIP_SCHEME_SIP && p->m->ruri.scheme != SIP_SCHEME_SIPS)
		f->to_ours = f->to_nobody = true;
	if (f->proof == HOME_PROOF_OK && strcmp(p->ruri_aor, p->asked->principal.aor) == 0)
		f->addressee = f->principal;
	else if (p->asked != NULL)
		copy_user(p->w, &f->addressee, p->asked->entry, &p->asked->addressee);
}

static void
gather(struct passage *p)
{
	struct sip_mark mark;

	p->facts.source = source_of(p->from, p->m, &mark);
	p->facts.method = p->m->method_id;
	p->facts.pool_of_source = sip_link_words(p->from)[LINK_KIND] == SERVER_POOL ?
	    (int)sip_link_words(p->from)[LINK_INDEX] : -1;
	p->facts.has_edges = p->w->config->edges.n != 0;
	p->facts.principal.pool = p->facts.addressee.pool = -1;
	p->note.word[NOTE_SOURCE] = p->facts.source;
	signin_aor(&p->m->from.uri, p->from_aor);
	signin_aor(&p->m->to.uri, p->to_aor);
	signin_aor(&p->m->ruri, p->ruri_aor);
	signin_domain(&p->m->from.uri, p->from_domain);
	signin_domain(&p->m->ruri, p->ruri_domain);
	route_facts(p);
	proof_facts(p);
	addressee_facts(p);
}

/* ---- answers of our own ---- */

static void
refuse(struct passage *p, enum policy_reason why, const char *detail)
{
	sip_edit_clear(p->m);
	sip_relay_refuse(p->w->relay, p->from, p->m, why, detail, SPAN_NONE, &p->note);
}

static void
challenge(struct passage *p, enum policy_reason why)
{
	char text[SIGNIN_CHALLENGE_MAX];
	struct strbuf extra;

	/* a replay proves the password: the client may try again by itself, as with a stale nonce */
	bool stale = why == POLICY_REASON_STALE_NONCE || why == POLICY_REASON_REPLAYED;

	sip_edit_clear(p->m);
	strbuf_init(&extra, text, sizeof(text));
	signin_challenge(p->w->config, p->w->nonces, p->realm, stale, &extra);
	/* being asked for a password is no refusal; a wrong one is */
	if (why == POLICY_REASON_UNAUTHENTICATED || why == POLICY_REASON_STALE_NONCE)
		sip_relay_answer(p->w->relay, p->from, p->m, 401, NULL, strbuf_span_of(&extra), &p->note);
	else
		sip_relay_refuse(p->w->relay, p->from, p->m, why, NULL, strbuf_span_of(&extra), &p->note);
}

static void
redirect(struct passage *p, int pool)
{
	const struct director_server *s = director_pool(p->w->config, (size_t)pool);
	char text[512];
	struct strbuf extra;

	/* no user part: clients take what follows "sip:" as the host (MS 8.5) */
	strbuf_init(&extra, text, sizeof(text));
	strbuf_printf(&extra, "Contact: <sip:%s:%d;transport=tls>\r\n", s->name, s->port);
	sip_edit_clear(p->m);
	sip_relay_answer(p->w->relay, p->from, p->m, 301, "Moved Permanently", strbuf_span_of(&extra), &p->note);
}

/* ---- on its way ---- */

static bool
begins_dialog(const struct sip_message *m)
{
	return span_is_empty(m->to.tag) && (m->method_id == POLICY_METHOD_INVITE ||
	    m->method_id == POLICY_METHOD_SUBSCRIBE || m->method_id == POLICY_METHOD_REFER ||
	    m->method_id == POLICY_METHOD_OTHER);
}

/* What the next one must not see, and what we vouch for. */
static void
edit(struct passage *p)
{
	struct sip_message *m = p->m;

	drop_all(m, SIP_H_X_REFUSED);
	if (p->facts.source != HOME_FROM_USER && p->facts.source != HOME_FROM_CLIENT)
		return;
	if (p->facts.source == HOME_FROM_CLIENT)
		sip_mark_strip(m, SIP_CROSS_USER_IN);
	signin_strip(m, p->realm);
	drop_all(m, SIP_H_P_ASSERTED_IDENTITY);
	drop_all(m, SIP_H_MS_USER_LOGON_DATA);
	if (p->facts.proof != HOME_PROOF_OK)
		return;		/* an ACK, which nobody proves */
	sip_edit_insert(m, (int)m->nheaders, "P-Asserted-Identity: <sip:%s>\r\n%s", p->asked->principal.aor,
	    p->facts.source == HOME_FROM_USER ? "ms-user-logon-data: RemoteUser\r\n" : "");
}

static void
plan_targets(struct passage *p, const struct home_decision *d, struct sip_plan *plan)
{
	struct director_worker *w = p->w;
	uint16_t from = (uint16_t)sip_link_words(p->from)[LINK_ID];

	switch (d->where) {
	case HOME_TO_POOL:
		add_server(w, SERVER_POOL, (size_t)d->index, plan);
		break;
	case HOME_TO_EDGE:
		/* the very connection, when the token names one to this edge and it lives */
		if (p->routed.route == POLICY_ROUTE_OURS && from != p->routed.flow.extra >> 16 &&
		    p->routed.flow.extra >> 16 == server_id(director_edge(w->config, (size_t)d->index)->name) &&
		    sip_relay_link_lives(w->relay, p->routed.flow.link))
			plan->link = p->routed.flow.link;
		add_server(w, SERVER_EDGE, (size_t)d->index, plan);
		break;
	case HOME_TO_ANY_EDGE:
		for (size_t i = 0; i < w->config->edges.n; i++)
			add_server(w, SERVER_EDGE, i, plan);
		break;
	case HOME_TO_FLOW:
		follow_flow(w, &p->routed.flow, from, plan);
		break;
	case HOME_TO_NOTHING:
		break;
	}
}

static void
write_routes(struct passage *p, const struct home_decision *d)
{
	struct director_worker *w = p->w;
	uint16_t near = (uint16_t)sip_link_words(p->from)[LINK_ID], far = 0;
	struct sip_flow flow = { .kind = near != 0 ? SIP_FLOW_PEER : SIP_FLOW_USER, .link = sip_link_id(p->from) };

	if (d->where == HOME_TO_POOL)
		far = server_id(director_pool(w->config, (size_t)d->index)->name);
	else if (d->where == HOME_TO_ANY_EDGE)
		far = server_id(director_edge(w->config, 0)->name);
	/* an edge names itself in its own Path behind ours; which connection leads there is of no matter */
	if (p->m->method_id == POLICY_METHOD_REGISTER)
		sip_forward_path(p->m, w->signer, sip_link_face(p->from), &(struct sip_flow){ .kind = SIP_FLOW_HERE });
	if (p->m->method_id == POLICY_METHOD_REGISTER || begins_dialog(p->m)) {
		flow.extra = between(near, far);
		sip_forward_record_route(p->m, w->signer, sip_link_face(p->from), &flow, w->out, &flow);
	}
}

static void
proxy(struct passage *p, const struct home_decision *d)
{
	struct sip_plan plan = { .gone = POLICY_REASON_HOP_UNREACHABLE, .face = p->w->out, .note = p->note };
	enum sip_check check;

	edit(p);
	/* for a client inside we are the first hop (MS 7.3) */
	if (p->facts.source == HOME_FROM_CLIENT &&
	    (check = sip_mark_first_hop(p->m, sip_link_remote(p->from), sip_link_id(p->from))) != SIP_CHECK_OK) {
		refuse(p, POLICY_REASON_MALFORMED, sip_check_phrase(check));
		return;
	}
	plan_targets(p, d, &plan);
	if (plan.nhops == 0 && plan.link != 0) {
		/* to a client: by its own door's name */
		struct sip_link *l = sip_relay_link(p->w->relay, plan.link);

		if (l != NULL)
			plan.face = sip_link_face(l);
	}
	write_routes(p, d);
	sip_relay_forward(p->w->relay, p->from, p->m, &plan);
}

/* ---- asking authd ---- */

static void
resumed(struct sip_relay *r, struct sip_link *from, struct sip_message *m, void *arg)
{
	take_up(sip_relay_owner(r), from, m, arg);
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
		free(q);
}

static void
proof_came(void *arg, bool answered, enum authd_verdict verdict, const struct authd_user *who)
{
	static const enum home_proof proofs[AUTHD_NVERDICTS] = {
		[AUTHD_BAD] = HOME_PROOF_BAD, [AUTHD_STALE] = HOME_PROOF_STALE, [AUTHD_REPLAYED] = HOME_PROOF_REPLAYED,
		[AUTHD_OK] = HOME_PROOF_OK
	};
	struct question *q = arg;

	q->proof = answered ? proofs[verdict] : HOME_PROOF_FAILED;
	q->principal = *who;
	go_on(q);
}

static void
addressee_came(void *arg, bool answered, enum authd_verdict verdict, const struct authd_user *who)
{
	struct question *q = arg;

	(void)verdict;
	q->entry = !answered ? HOME_UNAVAILABLE : who->found && who->enabled ? HOME_KNOWN : HOME_UNKNOWN;
	q->addressee = *who;
	go_on(q);
}

void
director_forget(void *arg)
{
	struct question *q = arg;

	sip_relay_let_go(q->held);
	free(q);
}

/* False: it could not be asked, and the request was refused. */
static void
ask(struct passage *p, bool proof)
{
	struct director_worker *w = p->w;
	unsigned timeout = (unsigned)w->config->auth_timeout;
	struct question *q = p->asked;
	bool asked;

	if (q == NULL) {
		q = xcalloc(1, sizeof(*q));
		q->w = w;
	}
	q->held = sip_relay_hold(w->relay, p->from, p->m);
	if (proof) {
		struct span domain = span_str(p->from_domain);
		struct authd_question aq = { .credentials = p->credentials, .method = p->m->method,
		    .nonce_good = p->nonce_good };

		/* the domain of a bare user name: that of the realm if it is one of ours, else the sender's */
		aq.domain = director_is_ours(w->config, p->realm) ? p->realm : domain;
		asked = ask_digest(w->ask, &aq, timeout, proof_came, q);
	} else
		asked = ask_lookup(w->ask, span_str(p->ruri_aor), timeout, addressee_came, q);
	if (asked) {
		q->asked_again = true;
		return;
	}
	sip_relay_let_go(q->held);
	q->held = NULL;
	if (p->asked == NULL)
		free(q);	/* else its owner does, in go_on() */
	refuse(p, POLICY_REASON_AUTH_UNAVAILABLE, NULL);
}

/* ---- requests ---- */

/* An edge refused it and lets us say so, since only we can sign what a signed-in client believes (MS 15, 13). */
static bool
edge_refused(struct passage *p)
{
	struct span name = sip_message_value(p->m, SIP_H_X_REFUSED);

	if (p->m->first[SIP_H_X_REFUSED] < 0 || sip_link_words(p->from)[LINK_KIND] != SERVER_EDGE)
		return false;
	for (int i = 0; i < POLICY_NREASONS; i++)
		if (i != POLICY_REASON_ALLOWED && span_is(name, policy_reason_name((enum policy_reason)i))) {
			refuse(p, (enum policy_reason)i, NULL);
			return true;
		}
	refuse(p, POLICY_REASON_UNDECIDED, NULL);
	return true;
}

static void
log_signed_in(const struct passage *p)
{
	struct logrec r = log_begin(SP_LOG_INFO, "signed-in");

	log_hex(&r, "conn", sip_link_id(p->from));
	log_word(&r, "class", home_source_name(p->facts.source));
	log_outside(&r, "user", span_str(p->asked->principal.aor));
	log_outside(&r, "pool", span_str(p->asked->principal.pool));
	log_end(&r);
}

static void
take_up(struct director_worker *w, struct sip_link *from, struct sip_message *m, struct question *asked)
{
	struct passage p = { .w = w, .from = from, .m = m, .asked = asked };
	struct home_decision d;

	gather(&p);
	if (edge_refused(&p))
		return;
	d = homes_decide(&p.facts);
	if (d.verdict == HOME_CHALLENGE && p.malformed_credentials) {
		refuse(&p, POLICY_REASON_MALFORMED, "Malformed Credentials");
		return;
	}
	if (p.facts.proof == HOME_PROOF_OK && (d.verdict == HOME_PROXY || d.verdict == HOME_REDIRECT)) {
		sip_link_signed_in(from);
		if (m->method_id == POLICY_METHOD_REGISTER)
			log_signed_in(&p);
	}
	switch (d.verdict) {
	case HOME_REFUSE:
		refuse(&p, d.reason, NULL);
		break;
	case HOME_DROP:
		sip_relay_drop(w->relay, from, m, d.reason);
		break;
	case HOME_CHALLENGE:
		challenge(&p, d.reason);
		break;
	case HOME_ASK_PROOF:
		ask(&p, true);
		break;
	case HOME_ASK_ADDRESSEE:
		ask(&p, false);
		break;
	case HOME_REDIRECT:
		redirect(&p, d.index);
		break;
	case HOME_ANSWER:
		sip_edit_clear(m);
		sip_relay_answer(w->relay, from, m, 200, "OK", SPAN_NONE, &p.note);
		break;
	case HOME_PROXY:
		proxy(&p, &d);
		break;
	}
}

static void
request(struct sip_relay *r, struct sip_link *from, struct sip_message *m)
{
	take_up(sip_relay_owner(r), from, m, NULL);
}

/* ---- responses ---- */

/* Why we refused: the whole of it inside, to a remote user only what may be known outside (MS 10). */
static void
explain(struct director_worker *w, enum home_source source, struct sip_message *m, enum policy_reason why)
{
	int id = policy_reason_diagnostics(why);

	if (why == POLICY_REASON_ALLOWED)
		return;
	if (id != 0 && source != HOME_FROM_USER)
		sip_edit_insert(m, (int)m->nheaders, "ms-diagnostics: %d;reason=\"%s\";source=\"%s\"\r\n", id,
		    policy_reason_text(why), w->name);
	if (id != 0 && policy_reason_is_public(why))
		sip_edit_insert(m, (int)m->nheaders, "ms-diagnostics-public: %d;reason=\"%s\"\r\n", id,
		    policy_reason_text(why));
	sip_edit_insert(m, (int)m->nheaders, "X-Sallyport-Reference: %u-%llx\r\n", w->worker->id,
	    (unsigned long long)w->references);
}

static void
response(struct sip_relay *r, const struct sip_note *note, struct sip_link *from, struct sip_link *to,
    struct sip_message *m, enum policy_reason why)
{
	enum home_source source = (enum home_source)note->word[NOTE_SOURCE];

	(void)to;
	if (note->made) {
		explain(sip_relay_owner(r), source, m, why);
		return;
	}
	drop_all(m, SIP_H_X_REFUSED);
	/* what comes from a client inside proves nothing */
	if (from != NULL && sip_link_words(from)[LINK_KIND] == SERVER_NONE)
		sip_mark_strip(m, SIP_CROSS_USER_IN);
	if (source == HOME_FROM_USER && note->method == POLICY_METHOD_REGISTER && m->status >= 200 && m->status < 300) {
		drop_all(m, SIP_H_MS_USER_LOGON_DATA);
		sip_edit_insert(m, (int)m->nheaders, "ms-user-logon-data: RemoteUser\r\n");
	}
}

/* ---- what the relay asks of us ---- */

const struct sip_relay_ops director_relay_ops = {
	.request = request, .response = response, .opened = link_opened, .closed = link_closed,
	.refused = link_refused
};
