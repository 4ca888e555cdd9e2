/*
 * director/proxy.c - what the Director does with each message.
 *
 * facts - decide (homes.c) - ask authd if the decision needs to know more, and
 * decide again - edit - forward. A request that waits for authd is held as it
 * came and goes the whole way anew when the answer is there.
 */
#include <stdlib.h>

#include "common/err.h"
#include "common/hash.h"
#include "common/log.h"
#include "common/mem.h"
#include "director/crowd.h"
#include "director/links.h"
#include "director/passage.h"
#include "director/routes.h"
#include "director/signin.h"
#include "director/targets.h"
#include "sip/mark.h"

/* ---- next hops ---- */

/* Requests of one dialog go to the same one of several targets, whichever worker has them. */
static uint64_t
choice_of(const struct passage *p)
{
	return hash_stable(p->m->call_id);
}

/* A token of ours says between whom; both numbers in one. */
static uint32_t
between(uint16_t near, uint16_t far)
{
	return (uint32_t)near << 16 | far;
}

/* The same server, or nodes of one array of edges. */
static bool
same_side(const struct director_config *c, uint16_t a, uint16_t b)
{
	enum server_kind ka, kb;
	int i;

	return a == b || (c->edge_array && server_with_id(c, a, &ka, &i) && server_with_id(c, b, &kb, &i) &&
	    ka == SERVER_EDGE && kb == SERVER_EDGE);
}

/*
 * Where a token leads when the message comes from the server `from` (0: a client):
 * to the other side. False if that is no longer there. plan and unresolved may be NULL together.
 */
static bool
follow_flow(struct director_worker *w, const struct sip_flow *flow, uint16_t from, uint64_t choice, struct sip_plan *plan,
    const char **unresolved)
{
	uint16_t near = (uint16_t)(flow->extra >> 16), far = (uint16_t)flow->extra;
	bool to_far = !flow->path && far != 0 && same_side(w->config, from, near);
	enum server_kind kind;
	int index;

	if (plan != NULL)
		plan->gone = POLICY_REASON_FLOW_GONE;
	if (plan != NULL && !to_far)
		plan->link = flow->link;
	if (server_with_id(w->config, to_far ? far : near, &kind, &index)) {
		if (plan != NULL)
			*unresolved = targets_add(w, kind, (size_t)index, choice, plan);
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
	case SERVER_ROUTE:
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
		passage_drop_all(p->m, SIP_H_ROUTE);
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
	f->way_signs = f->route == POLICY_ROUTE_OURS && p->routed.flow.who != 0;
	if (f->route == POLICY_ROUTE_OURS)
		f->flow_leads = follow_flow(w, &p->routed.flow, (uint16_t)sip_link_words(p->from)[LINK_ID], 0, NULL, NULL);
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

/* The account proves who it is; where its home is, the directory says. */
static bool
is_homed_elsewhere(const struct director_config *c, const struct authd_user *account)
{
	return !account->homed && (c->directory.homes == HOMES_LDAP ||
	    (c->directory.homes == HOMES_BOTH && account->pool[0] == '\0'));
}

static void
principal_facts(struct passage *p)
{
	struct home_facts *f = &p->facts;

	proof_facts(p);
	if (f->proof != HOME_PROOF_OK)
		return;
	copy_user(p->w, &f->principal, !is_homed_elsewhere(p->w->config, &p->principal) ? HOME_KNOWN :
	    p->asked != NULL ? p->asked->home : HOME_UNASKED, &p->principal);
	f->from_is_principal = strcmp(p->from_aor, p->principal.aor) == 0;
	f->to_is_principal = strcmp(p->to_aor, p->principal.aor) == 0;
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
	if (f->proof == HOME_PROOF_OK && strcmp(p->ruri_aor, p->principal.aor) == 0)
		f->addressee = f->principal;
	else if (p->asked != NULL)
		copy_user(p->w, &f->addressee, p->asked->addressee.entry, &p->asked->addressee.user);
	if (p->asked != NULL)
		copy_user(p->w, &f->sender, p->asked->sender.entry, &p->asked->sender.user);
}

static void
static_facts(struct passage *p)
{
	struct home_facts *f = &p->facts;
	char text[ROUTE_TEXT_MAX];
	struct strbuf sb;
	int i;

	strbuf_init(&sb, text, sizeof(text));
	if (p->w->config->routes.n == 0 || !route_text(&sb, &p->m->ruri, span_str(p->ruri_aor)) ||
	    (i = director_route_for(p->w->config, strbuf_span_of(&sb))) < 0)
		return;
	f->static_index = i;
	f->static_for_partners = director_route(p->w->config, (size_t)i)->partners;
	f->has_static = sip_link_words(p->from)[LINK_ID] != server_id(director_route(p->w->config, (size_t)i)->to.name);
}

static void
gather(struct passage *p)
{
	struct sip_mark mark;

	p->facts.source = source_of(p->from, p->m, &mark);
	p->is_branch = p->facts.source == HOME_FROM_USER && mark.class == POLICY_CLASS_BRANCH;
	p->facts.method = p->m->method_id;
	p->facts.in_dialog = !span_is_empty(p->m->to.tag);
	p->facts.pool_of_source = sip_link_words(p->from)[LINK_KIND] == SERVER_POOL ?
	    (int)sip_link_words(p->from)[LINK_INDEX] : -1;
	p->facts.has_edges = p->w->config->edges.n != 0;
	p->facts.principal.pool = p->facts.sender.pool = p->facts.addressee.pool = -1;
	p->note.word[NOTE_SOURCE] = p->facts.source;
	signin_aor(&p->m->from.uri, p->from_aor);
	signin_aor(&p->m->to.uri, p->to_aor);
	signin_aor(&p->m->ruri, p->ruri_aor);
	signin_domain(&p->m->from.uri, p->from_domain);
	signin_domain(&p->m->ruri, p->ruri_domain);
	route_facts(p);
	principal_facts(p);
	addressee_facts(p);
	p->facts.to_public_im = director_is_public_im(p->w->config, span_str(p->ruri_domain));
	static_facts(p);
}

/* ---- answers of our own ---- */

void
passage_refuse(struct passage *p, enum policy_reason why, const char *detail)
{
	/* who may not sign in here need not be remembered; a try under another's name is no reason to end what was before */
	if (p->m->method_id == POLICY_METHOD_REGISTER &&
	    ((why == POLICY_REASON_NOT_YOUR_NAME && !p->settled) || why == POLICY_REASON_REMOTE_ACCESS_OFF))
		p->note.word[NOTE_FLAGS] |= NOTE_ENDS;
	sip_edit_clear(p->m);
	sip_relay_refuse(p->w->relay, p->from, p->m, why, detail, SPAN_NONE, &p->note);
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
	/* the client signs in there from the beginning */
	p->note.word[NOTE_FLAGS] |= NOTE_ENDS;
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
	struct sipae_self self = passage_self(p->w);

	passage_drop_all(m, SIP_H_X_REFUSED);
	if (p->facts.source != HOME_FROM_USER && p->facts.source != HOME_FROM_CLIENT)
		return;
	if (p->facts.source == HOME_FROM_CLIENT)
		sip_mark_strip(m, SIP_CROSS_USER_IN);
	signin_strip(m, p->realm);
	sipae_strip(&self, m);
	passage_drop_all(m, SIP_H_P_ASSERTED_IDENTITY);
	passage_drop_all(m, SIP_H_P_PREFERRED_IDENTITY);	/* signed, and then no more than a wish */
	passage_drop_all(m, SIP_H_MS_USER_LOGON_DATA);
	if (p->facts.proof != HOME_PROOF_OK)
		return;		/* an ACK, which nobody proves */
	sip_edit_insert(m, (int)m->nheaders, "P-Asserted-Identity: <sip:%s>\r\n%s", p->principal.aor,
	    p->facts.source == HOME_FROM_USER ? "ms-user-logon-data: RemoteUser\r\n" : "");
}

/* A route that says so leads to the same user, or number, at the server itself. */
static void
readdress(struct passage *p, const struct director_route *r)
{
	const struct sip_uri *u = &p->m->ruri;
	const char *end = u->host.p + u->host.n, *last = u->whole.p + u->whole.n;
	struct span number = span_tail(u->whole, 4);

	if (!r->replace_host)
		return;
	if (u->scheme == SIP_SCHEME_TEL) {
		number = span_head(number, span_find(number, ';'));
		sip_edit_replacef(p->m, u->whole, "sip:%.*s@%s;user=phone", SPAN_FMT(number), r->to.name);
		return;
	}
	if (end < last && *end == ':')
		for (end++; end < last && *end >= '0' && *end <= '9'; end++)
			;
	sip_edit_replace(p->m, span_of(u->host.p, (size_t)(end - u->host.p)), span_str(r->to.name));
}

static void
plan_targets(struct passage *p, const struct home_decision *d, struct sip_plan *plan)
{
	struct director_worker *w = p->w;
	uint16_t from = (uint16_t)sip_link_words(p->from)[LINK_ID];

	switch (d->where) {
	case HOME_TO_POOL:
		p->unresolved = targets_add(w, SERVER_POOL, (size_t)d->index, choice_of(p), plan);
		break;
	case HOME_TO_STATIC:
		p->unresolved = targets_add(w, SERVER_ROUTE, (size_t)d->index, choice_of(p), plan);
		break;
	case HOME_TO_EDGE:
		/* the very connection, when the token names one to this edge and it lives */
		if (p->routed.route == POLICY_ROUTE_OURS && from != p->routed.flow.extra >> 16 &&
		    p->routed.flow.extra >> 16 == server_id(director_edge(w->config, (size_t)d->index)->name) &&
		    sip_relay_link_lives(w->relay, p->routed.flow.link))
			plan->link = p->routed.flow.link;
		p->unresolved = targets_add(w, SERVER_EDGE, (size_t)d->index, choice_of(p), plan);
		break;
	case HOME_TO_ANY_EDGE:
		for (size_t i = 0; i < w->config->edges.n; i++) {
			const char *srv = targets_add(w, SERVER_EDGE, i, choice_of(p), plan);

			p->unresolved = p->unresolved != NULL ? p->unresolved : srv;
		}
		break;
	case HOME_TO_FLOW:
		follow_flow(w, &p->routed.flow, from, choice_of(p), plan, &p->unresolved);
		break;
	case HOME_TO_NOTHING:
		break;
	}
}

/* In a dialog with another organisation any node of the array will do; a user's connection only the one has that is named. */
static void
plan_other_nodes(struct passage *p, const struct home_decision *d, struct sip_plan *plan)
{
	const struct director_config *c = p->w->config;

	for (size_t i = 0; d->where == HOME_TO_EDGE && c->edge_array && i < c->edges.n; i++)
		if (i != (size_t)d->index)
			(void)targets_add(p->w, SERVER_EDGE, i, choice_of(p), plan);
}

static void
write_routes(struct passage *p, const struct home_decision *d)
{
	struct director_worker *w = p->w;
	uint16_t near = (uint16_t)sip_link_words(p->from)[LINK_ID], far = 0;
	struct sip_flow flow = { .kind = near != 0 ? SIP_FLOW_PEER : SIP_FLOW_USER, .link = sip_link_id(p->from) };

	if (d->where == HOME_TO_POOL)
		far = server_id(director_pool(w->config, (size_t)d->index)->name);
	else if (d->where == HOME_TO_STATIC)
		far = server_id(director_route(w->config, (size_t)d->index)->to.name);
	else if (d->where == HOME_TO_ANY_EDGE)
		far = server_id(director_edge(w->config, 0)->name);
	/* whose messages along this way are to be signed: the sender's, or those of the one whom it leads to already */
	flow.who = p->endpoint != 0 ? p->endpoint : p->routed.flow.who;
	/* an edge names itself in its own Path behind ours; which connection leads there is of no matter */
	if (p->m->method_id == POLICY_METHOD_REGISTER)
		sip_forward_path(p->m, w->signer, sip_link_face(p->from),
		    &(struct sip_flow){ .kind = SIP_FLOW_HERE, .who = flow.who });
	if (p->m->method_id == POLICY_METHOD_REGISTER || begins_dialog(p->m)) {
		flow.extra = between(near, far);
		sip_forward_record_route(p->m, w->signer, sip_link_face(p->from), &flow, w->out, &flow);
	}
}

/*
 * A request on a way that we signed, to somebody who has signed in with an
 * association: it is signed as well. False if that association is no more:
 * then nothing that we send would be believed.
 */
static bool
sign_for_target(struct passage *p, struct sip_plan *plan)
{
	struct director_worker *w = p->w;
	struct sa_table *sas = w->director->sas;
	struct sipae_self self = passage_self(w);
	uint32_t who = p->routed.route == POLICY_ROUTE_OURS ? p->routed.flow.who : 0, opaque;
	uint64_t now = net_loop_now(w->worker->loop);

	if (who == 0 || p->facts.source == HOME_FROM_USER || p->facts.source == HOME_FROM_CLIENT)
		return true;
	if ((opaque = sa_of_endpoint(sas, who, span_str(p->to_aor), now)) == 0 &&
	    (opaque = sa_of_endpoint(sas, who, SPAN_NONE, now)) == 0)
		return false;
	plan->note.word[NOTE_TARGET] = (uint64_t)who << 32 | opaque;
	if (p->routed.flow.path)
		plan->note.word[NOTE_FLAGS] |= NOTE_BY_PATH;
	return sipae_sign(w->desk, &self, sas, opaque, now, p->m);
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
		passage_refuse(p, POLICY_REASON_MALFORMED, sip_check_phrase(check));
		return;
	}
	if (d->where == HOME_TO_STATIC)
		readdress(p, director_route(p->w->config, (size_t)d->index));
	plan_targets(p, d, &plan);
	if (plan.nhops == 0 && plan.link == 0 && p->unresolved != NULL && proof_wait(p, p->unresolved))
		return;
	plan_other_nodes(p, d, &plan);
	if (plan.nhops == 0 && plan.link != 0) {
		/* to a client: by its own door's name */
		struct sip_link *l = sip_relay_link(p->w->relay, plan.link);

		if (l != NULL)
			plan.face = sip_link_face(l);
	}
	write_routes(p, d);
	if (!sign_for_target(p, &plan)) {
		passage_refuse(p, POLICY_REASON_FLOW_GONE, "the user's association has ended");
		return;
	}
	sip_relay_forward(p->w->relay, p->from, p->m, &plan);
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
			passage_refuse(p, (enum policy_reason)i, NULL);
			return true;
		}
	passage_refuse(p, POLICY_REASON_UNDECIDED, NULL);
	return true;
}

static void
log_signed_in(const struct passage *p)
{
	struct logrec r = log_begin(SP_LOG_INFO, "signed-in");

	log_hex(&r, "conn", sip_link_id(p->from));
	log_word(&r, "class", home_source_name(p->facts.source));
	log_word(&r, "scheme", p->sa != 0 ? sa_scheme_name(p->sipae.scheme) : "Digest");
	log_outside(&r, "user", span_str(p->principal.aor));
	if (p->facts.principal.pool >= 0)
		log_word(&r, "pool", director_pool(p->w->config, (size_t)p->facts.principal.pool)->name);
	log_end(&r);
}

/* A REGISTER that signs out, from here or from everywhere. */
static bool
signs_out(const struct sip_message *m)
{
	struct span rest = sip_message_value(m, SIP_H_CONTACT), one, expires;
	struct sip_addr a;

	if (m->method_id != POLICY_METHOD_REGISTER)
		return false;
	if (sip_list_next(&rest, &one) && sip_addr_parse(&a, one) == SP_OK && sip_param(a.params, "expires", &expires))
		return span_is(expires, "0");
	return span_is(sip_message_value(m, SIP_H_EXPIRES), "0");
}

static void
note_flags(struct passage *p)
{
	if (signs_out(p->m))
		p->note.word[NOTE_FLAGS] |= NOTE_ENDS_IF_DONE;
	if (p->facts.source == HOME_FROM_CLIENT && p->m->first[SIP_H_MS_KEEP_ALIVE] >= 0)
		p->note.word[NOTE_FLAGS] |= NOTE_KEEP_ALIVE;
}

/*
 * One request more of the user who has proved to send it, once, however often it is taken up again. A REGISTER
 * is what everything else hangs on, and comes seldom. False: refused.
 */
static bool
within_rate(struct passage *p)
{
	bool urgent = !span_is_empty(p->m->to.tag) || p->m->method_id == POLICY_METHOD_REGISTER;
	char extra[40];
	unsigned wait;

	/* an ACK cannot be answered, and ends what was let in */
	if (p->facts.proof != HOME_PROOF_OK || p->m->method_id == POLICY_METHOD_ACK || (p->asked != NULL && p->asked->spent))
		return true;
	p->spent = true;
	if (crowd_takes(p->w, p->principal.aor, urgent, &wait))
		return true;
	sip_edit_clear(p->m);
	snprintf(extra, sizeof(extra), "Retry-After: %u\r\n", wait);
	sip_relay_refuse(p->w->relay, p->from, p->m, POLICY_REASON_RATE_LIMIT, NULL, span_str(extra), &p->note);
	return false;
}

/* It passes, and with it whoever has just proved to be its sender: nothing refuses that sign-in any more. */
static void
settle(struct passage *p)
{
	struct director_worker *w = p->w;

	sip_link_signed_in(p->from);
	if (p->sa != 0 && !p->settled)
		sa_settle(w->director->sas, p->sa, net_loop_now(w->worker->loop));
	p->settled = true;
	if (p->asked != NULL)
		p->asked->settled = true;
	if (p->m->method_id == POLICY_METHOD_REGISTER && (p->asked == NULL || !p->asked->waited))
		log_signed_in(p);
}

void
passage_take_up(struct director_worker *w, struct sip_link *from, struct sip_message *m, struct question *asked)
{
	struct passage p = { .w = w, .from = from, .m = m, .asked = asked };
	struct home_decision d;

	gather(&p);
	note_flags(&p);
	if (edge_refused(&p) || !within_rate(&p))
		return;
	d = homes_decide(&p.facts);
	if (d.verdict == HOME_CHALLENGE && p.trouble != POLICY_REASON_UNDECIDED) {
		passage_refuse(&p, p.trouble, p.trouble_detail);
		return;
	}
	if (p.facts.proof == HOME_PROOF_OK && (d.verdict == HOME_PROXY || d.verdict == HOME_REDIRECT ||
	    d.verdict == HOME_ANSWER))
		settle(&p);
	switch (d.verdict) {
	case HOME_REFUSE:
		passage_refuse(&p, d.reason, NULL);
		break;
	case HOME_DROP:
		sip_relay_drop(w->relay, from, m, d.reason);
		break;
	case HOME_CHALLENGE:
		proof_challenge(&p, d.reason);
		break;
	case HOME_ASK_PROOF:
		proof_ask(&p, p.asking);
		break;
	case HOME_ASK_PRINCIPAL:
		proof_ask(&p, ASKING_HOME);
		break;
	case HOME_ASK_SENDER:
		proof_ask(&p, ASKING_SENDER);
		break;
	case HOME_ASK_ADDRESSEE:
		proof_ask(&p, ASKING_ADDRESSEE);
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
	passage_take_up(sip_relay_owner(r), from, m, NULL);
}

/* ---- what the relay asks of us ---- */

const struct sip_relay_ops director_relay_ops = {
	.request = request, .response = reply_response, .believed = reply_believed, .made = reply_made,
	.opened = link_opened, .closed = link_closed, .refused = link_refused,
	.admits = crowd_admits, .turned_away = link_turned_away
};
