/*
 * edge/proxy.c - the guard's rounds: what the edge does with each message.
 *
 * strip - class and facts - decide - mark - forward (design 3). The order is
 * the point: marks are stripped before anything else looks at a message from
 * outside, and nothing is sent anywhere that policy did not choose.
 */
#include "common/clock.h"
#include "common/err.h"
#include "common/hash.h"
#include "common/log.h"
#include "edge/crowd.h"
#include "edge/edge.h"
#include "net/stats.h"
#include "policy/decision.h"
#include "sip/content.h"
#include "sip/facts.h"
#include "sip/forward.h"
#include "sip/logs.h"
#include "sip/mark.h"
#include "sip/refusals.h"

/* Words of a note: what has to be known when the response comes. */
enum {
	NOTE_WAY = 0,		/* enum way */
	NOTE_KEEP_ALIVE,	/* the client asked for ms-keep-alive */
	NOTE_LIMITED,		/* the sender's record among the partners that nobody has listed; 0: it has none */
	NOTE_DISCOVERED,	/* the request went to a server that DNS named */
	NOTE_PARTNER,		/* … or to a configured partner: the number under which it is counted, and one */
	NOTE_CLASS		/* enum policy_class of whom it went out to */
};

enum way {
	WAY_NONE = 0,
	WAY_FROM_USER,		/* the request came from a remote user: its response goes out to one */
	WAY_FROM_PEER,
	WAY_TO_USER,		/* the request went out to a remote user: its response comes in */
	WAY_TO_PEER,
	WAY_RELAY,		/* from one member of our clearing house to another */
	WAY_TO_NODE		/* from inside to another node of our array, which does all there is to do */
};

/*
 * What a flow token's extra says: the door, and whether a branch proxy stands
 * there for many users, and which: of these, any other connection will do as
 * well. Few digits, since registrars keep few bytes of a Path.
 */
#define FLOW_DOOR(extra)	((extra) & 0xf)
#define FLOW_BRANCH(extra)	((extra) >> 4)
_Static_assert(EDGE_DOORS_MAX <= 0x10, "a door's number has one digit");

static struct edge_worker *
worker_of(struct sip_relay *r)
{
	return sip_relay_owner(r);
}

/* One user's own connection. */
static bool
comes_from_user(const struct sip_link *l)
{
	return !sip_link_peer(l)->has_certificate && !sip_link_peer(l)->unverified;
}

/*
 * It has proved to be a server that we know: it need not sign in, may keep its
 * connection warm without a word, and speaks for many, also at a door for users.
 */
static void
proved_server(struct edge_worker *w, struct sip_link *l)
{
	sip_link_signed_in(l);
	sip_link_take_limits(l, sip_link_face(l)->side == POLICY_SIDE_INNER ? &w->inner_limits : &w->server_limits);
}

static void request(struct sip_relay *, struct sip_link *, struct sip_message *);

/* ---- DNS: a request waits until its domain's record is known ---- */

static void
take_up(struct sip_relay *r, struct sip_link *l, struct sip_message *m, void *arg)
{
	(void)arg;
	request(r, l, m);
}

static void
answer_came(void *arg, void *held)
{
	struct edge_worker *w = arg;

	sip_relay_resume(w->relay, held, take_up, NULL);
}

void
edge_drop_held(void *held)
{
	sip_relay_let_go(held);
}

/* policy_decide(), and now and then how long it takes: to look at the clock each time would cost as much. */
static struct policy_decision
ask_policy(struct edge_worker *w, const struct policy_facts *f)
{
	struct policy_decision d;
	uint64_t since;

	if (w->decisions++ % 64 != 0)
		return policy_decide(w->rules, f);
	since = clock_ns();
	d = policy_decide(w->rules, f);
	stats_time(DECISION_SECONDS, 0, clock_ns() - since);
	return d;
}

static void
count_partner(struct edge_worker *w, uint32_t partner, enum stats_of_partner what)
{
	if (partner < policy_partner_count(w->rules))
		stats_partner_count(w->partner_number[partner], what);
}

static void
refused_partner(struct edge_worker *w, uint32_t partner, enum policy_reason why)
{
	if (partner < policy_partner_count(w->rules))
		stats_partner_because(w->partner_number[partner], STATS_PARTNER_REFUSED, why);
}

/* The policy that is tried, if one is, decides too; what comes of that is only counted. */
static void
try_other(struct edge_worker *w, struct sip_message *m, const struct policy_facts *f, const struct policy_decision *d)
{
	struct shadow_words words = { m->is_request ? m->method : m->cseq_method, m->from.uri_text, m->to.uri_text, m->call_id,
		m->is_request ? m : NULL };

	if (w->shadow != NULL)
		edge_shadow_decided(w->shadow, w->worker->id, w->discovery, w->rules, f, d, &words);
}

/*
 * Decide, with what DNS has said if that matters. False: the message waits for
 * DNS, and its request is done again from the beginning when the answer is there.
 */
static bool
decide(struct edge_worker *w, struct sip_link *l, struct sip_message *m, struct policy_facts *f,
    struct edge_answer *answer, struct policy_decision *d)
{
	const struct net_peer *peer = sip_link_peer(l);
	struct span asker = SPAN_NONE;
	struct sip_held *held;

	answer->dns.ntargets = 0;	/* nobody was asked */
	*d = ask_policy(w, f);
	if (d->verdict != POLICY_ASK_DNS) {
		try_other(w, m, f, d);
		return true;
	}
	if (edge_discovery_look(w->discovery, d->dns_domain, d->dns_name, answer)) {
		f->dns = answer->dns;
		*d = ask_policy(w, f);
		try_other(w, m, f, d);
		return true;
	}
	if (f->side == POLICY_SIDE_OUTER)
		asker = span_of((const char *)peer->fingerprint, sizeof(peer->fingerprint));
	held = sip_relay_hold(w->relay, l, m);
	if (edge_discovery_ask(w->discovery, f->side, asker, d->dns_domain, d->dns_name, answer_came, w, held) == SP_OK)
		return false;
	sip_relay_let_go(held);
	d->verdict = POLICY_DENY;
	d->reason = POLICY_REASON_DNS_BUSY;
	return true;
}

/* ---- identities and diagnostics that policy lets through (RFC 3325, MS 7.6) ---- */

/* Are all of these users of whom the peer can know? */
static bool
may_assert(struct edge_worker *w, const struct policy_decision *d, struct span rest)
{
	struct span one, domain;
	struct sip_addr a;
	char storage[DOMAIN_MAX];
	bool is_ip;

	while (sip_list_next(&rest, &one)) {
		if (sip_addr_parse(&a, one) != SP_OK)
			return false;
		if (a.uri.scheme == SIP_SCHEME_TEL)
			continue;
		if (policy_domain_canon(a.uri.host, storage, &domain, &is_ip) != SP_OK ||
		    !policy_may_vouch_for(w->rules, d->peer, domain.p, domain.n))
			return false;
	}
	return true;
}

/* Those of these headers in which all are users whom the peer may vouch for pass; true if there was any. */
static bool
keep_vouched(struct edge_worker *w, struct sip_message *m, const struct policy_decision *d, enum sip_header_id id)
{
	bool kept = false;

	for (int i = m->first[id]; i >= 0; i = sip_message_next(m, id, i)) {
		if (!may_assert(w, d, sip_header_value(m, i)))
			continue;
		sip_edit_keep_header(m, i);
		kept = true;
	}
	return kept;
}

/* What a peer in the trust domain says of its own users passes; true if it asserts who the sender is. */
static bool
keep_identities(struct edge_worker *w, struct sip_message *m, const struct policy_decision *d)
{
	if (!d->trust_identity || d->peer == POLICY_NO_PEER)
		return false;
	(void)keep_vouched(w, m, d, SIP_H_DIVERSION);
	return keep_vouched(w, m, d, SIP_H_P_ASSERTED_IDENTITY);
}

static void
identities_inward(struct edge_worker *w, struct sip_message *m, const struct policy_decision *d)
{
	if (!keep_identities(w, m, d) && d->mark_identity)
		sip_mark_write_identity(m);
}

static void
kept_outward(struct sip_message *m, const struct policy_decision *d)
{
	if (d->trust_identity)
		sip_mark_keep(m, SIP_H_P_ASSERTED_IDENTITY);
	if (d->show_diagnostics)
		sip_mark_keep(m, SIP_H_MS_DIAGNOSTICS);
}

/* Which name the inside is told of a public IM network (MS 7.1); NULL for everybody else. */
static const char *
public_name(struct edge_worker *w, const struct policy_decision *d)
{
	return d->public_network ? policy_partner_get(w->rules, d->partner)->server : NULL;
}

/* ---- Director: one for each user as long as it lives ---- */

static uint64_t
rank(struct span who, const struct sip_hop *h)
{
	return hash_mix(hash_stable(who), hash_stable(span_str(sip_hop_name(h))));
}

static void
add_hop(struct sip_plan *p, struct sip_hop *h)
{
	for (unsigned i = 0; i < p->nhops; i++)
		if (p->hop[i] == h)
			return;
	if (p->nhops < SIP_TARGETS_MAX)
		p->hop[p->nhops++] = h;
}

/* The Director that the dialog's next Route names, if it is one of ours. */
static void
add_routed(struct edge_worker *w, const struct sip_routed *routed, struct sip_plan *p)
{
	if (routed->route != POLICY_ROUTE_OURS || !routed->has_next)
		return;
	for (size_t i = 0; i < w->edge->config->directors.n; i++)
		if (span_ieq(routed->next.host, span_str(sip_hop_name(w->director[i]))))
			add_hop(p, w->director[i]);
}

/* The dialog's, then the one that keeps this connection, then by rendezvous on the sender. */
static void
plan_directors(struct edge_worker *w, struct sip_link *l, const struct sip_message *m,
    const struct sip_routed *routed, struct sip_plan *p)
{
	size_t n = w->edge->config->directors.n;
	uint64_t *kept = &sip_link_words(l)[LINK_DIRECTOR];

	add_routed(w, routed, p);
	if (comes_from_user(l) && *kept != 0 && *kept <= n && sip_hop_usable(w->director[*kept - 1]))
		add_hop(p, w->director[*kept - 1]);
	while (p->nhops < n && p->nhops < SIP_TARGETS_MAX) {
		struct sip_hop *best = NULL;
		unsigned before = p->nhops;

		for (size_t i = 0; i < n; i++) {
			struct sip_hop *h = w->director[i];
			bool taken = false;

			for (unsigned j = 0; j < p->nhops; j++)
				taken |= p->hop[j] == h;
			if (!taken && (best == NULL || sip_hop_usable(h) > sip_hop_usable(best) ||
			    (sip_hop_usable(h) == sip_hop_usable(best) &&
			    rank(m->from.uri_text, h) > rank(m->from.uri_text, best))))
				best = h;
		}
		if (best != NULL)
			add_hop(p, best);
		if (p->nhops == before)
			break;
	}
	for (size_t i = 0; comes_from_user(l) && i < n; i++)
		if (p->nhops > 0 && w->director[i] == p->hop[0])
			*kept = i + 1;
	p->face = &w->face[EDGE_INNER(w->edge->config)];
}

/* ---- who is at the far end ---- */

static void
facts_of(struct edge_worker *w, struct sip_link *l, struct sip_facts *f)
{
	const struct edge_config *c = w->edge->config;
	const struct sip_face *face;

	if (l == NULL) {
		sip_facts_of_link(&f->facts, POLICY_SIDE_OUTER, NULL);
		return;
	}
	face = sip_link_face(l);
	sip_facts_of_link(&f->facts, face->side, l);
	if (face->tag < EDGE_INNER(c)) {
		f->facts.door_users = edge_outer(c, face->tag)->users;
		/* the far end of a connection that we opened was chosen by policy */
		f->facts.door_partners = edge_outer(c, face->tag)->partners || !sip_link_is_inbound(l);
	}
}

/* ---- branches: their users stay reachable when the link is another one ---- */

/* Never 0. Should two branches have the same, the wrong one finds its route forged. */
static uint32_t
branch_word(const char *server)
{
	uint32_t word = hash_stable(span_str(server)) & 0xffff;

	return word != 0 ? word : 1;
}

/* The branch that a token means, if policy still has it; NULL: none. */
static const struct policy_partner *
branch_of(const struct edge_worker *w, const struct sip_flow *f)
{
	for (size_t i = 0; FLOW_BRANCH(f->extra) != 0 && i < policy_partner_count(w->rules); i++) {
		const struct policy_partner *p = policy_partner_get(w->rules, i);

		if (policy_partner_class(w->rules, i) == POLICY_CLASS_BRANCH && branch_word(p->server) == FLOW_BRANCH(f->extra))
			return p;
	}
	return NULL;
}

/* Which other node of the array has written these routes? Its index; array.n: none, they are ours or nobody's. */
static size_t
writer_of(const struct edge_worker *w, const struct sip_routed *routed)
{
	size_t n = w->edge->config->array.n;

	if (routed->route != POLICY_ROUTE_OURS || routed->face < w->node || routed->face >= w->node + n)
		return n;
	return (size_t)(routed->face - w->node);
}

/*
 * The user's connection; a branch's, or another to the same branch. Connections and doors have numbers of their own on each
 * node: those of another's token mean nothing here, or somebody else's connection. Returns the flow by ours, for a dialog's routes.
 */
static struct sip_flow
plan_flow(struct edge_worker *w, const struct sip_routed *routed, struct sip_plan *p)
{
	struct sip_flow f = routed->flow;
	const struct policy_partner *branch = branch_of(w, &f);

	f.path = false;
	if (writer_of(w, routed) != w->edge->config->array.n) {
		f.link = 0;
		f.extra = FLOW_BRANCH(f.extra) << 4 | w->partner_face->tag;
	}
	p->gone = POLICY_REASON_FLOW_GONE;
	p->face = &w->face[FLOW_DOOR(f.extra)];
	if (branch != NULL) {
		struct sip_hop_spec spec = {
			.name = branch->server, .port = branch->port, .face = p->face, .accept_cn = branch->accept_cn,
			.reuse_inbound = policy_name_suffices(w->rules, span_str(branch->server))
		};
		uint64_t newest = atomic_load(&w->edge->branch_link[FLOW_BRANCH(f.extra) & 0xffff]);

		/* the token's own may be gone; another may be another worker's, and the branch not to be dialled */
		if (newest != 0 && (f.link == 0 || sip_relay_link(w->relay, f.link) == NULL))
			f.link = newest;
		add_hop(p, sip_hop_get(w->relay, &spec));
	}
	p->link = f.link;
	return f;
}

/* A branch's link has come up, or has gone. */
static void
note_branch(struct edge_worker *w, struct sip_link *l, bool up)
{
	struct edge *e = w->edge;
	uint64_t id = sip_link_id(l);
	struct sip_facts f;

	facts_of(w, l, &f);
	for (size_t i = 0; i < policy_partner_count(w->rules); i++) {
		const struct policy_partner *p = policy_partner_get(w->rules, i);
		uint64_t was = id;

		if (policy_partner_class(w->rules, i) != POLICY_CLASS_BRANCH || !policy_peer_proves(w->rules, &f.facts, i))
			continue;
		if (up)
			atomic_store(&e->branch_link[branch_word(p->server)], id);
		else
			atomic_compare_exchange_strong(&e->branch_link[branch_word(p->server)], &was, 0);
	}
}

/* ---- arrays: what another node has written ---- */

static unsigned
names_of_ours(const struct edge_worker *w)
{
	return (unsigned)(EDGE_FACES(w->edge->config) + w->edge->config->array.n);
}

/*
 * Which node of the array has the connection that the token names? NULL: we do, or it names none, or
 * it is a branch's, whose newest link may as well be here.
 */
static const struct edge_director_conf *
node_of(const struct edge_worker *w, const struct sip_routed *routed)
{
	const struct edge_config *c = w->edge->config;
	size_t i = writer_of(w, routed);

	if (i == c->array.n || routed->flow.kind != SIP_FLOW_USER)
		return NULL;
	if (FLOW_BRANCH(routed->flow.extra) != 0 && atomic_load(&w->edge->branch_link[FLOW_BRANCH(routed->flow.extra) & 0xffff]) != 0)
		return NULL;
	return edge_node(c, i);
}

/* As it came: policy is asked by the node that has the user. */
static void
pass_to_node(struct edge_worker *w, struct sip_link *l, struct sip_message *m, const struct edge_director_conf *node)
{
	struct sip_plan plan = { .gone = POLICY_REASON_FLOW_GONE, .face = &w->face[EDGE_INNER(w->edge->config)] };
	struct sip_hop_spec spec = {
		.name = node->name, .port = (uint16_t)node->port, .address = node->address, .face = plan.face, .reuse_inbound = true
	};

	sip_edit_clear(m);	/* the Routes stay: they are for it */
	plan.note.word[NOTE_WAY] = WAY_TO_NODE;
	plan.hop[plan.nhops++] = sip_hop_get(w->relay, &spec);
	sip_relay_forward(w->relay, l, m, &plan);
}

/* ---- requests ---- */

static bool
begins_dialog(const struct sip_message *m)
{
	if (!span_is_empty(m->to.tag))
		return false;
	return m->method_id == POLICY_METHOD_INVITE || m->method_id == POLICY_METHOD_SUBSCRIBE ||
	    m->method_id == POLICY_METHOD_REFER || m->method_id == POLICY_METHOD_OTHER;
}

static void
drop_all(struct sip_message *m, enum sip_header_id id)
{
	for (int i = sip_message_next(m, id, -1); i >= 0; i = sip_message_next(m, id, i))
		sip_edit_drop_header(m, i);
}

static bool
is_signed_route(const struct sip_message *m)
{
	struct sip_addr a;
	struct span rest = sip_message_value(m, SIP_H_ROUTE), one;

	return sip_list_next(&rest, &one) && sip_addr_parse(&a, one) == SP_OK &&
	    sip_flow_claims(&a.uri);
}

/*
 * Routes from outside. In a dialog ours must verify. A request that begins one
 * has no route set yet: what a client was configured with (its outbound proxy) is dropped, not
 * followed (MS 7.4, DropRouteHeaders), but a signature that claims to be ours is looked at.
 */
static void
routes_from_outside(struct edge_worker *w, struct sip_message *m, struct sip_routed *routed)
{
	*routed = (struct sip_routed){ .route = POLICY_ROUTE_NONE };
	if (m->first[SIP_H_ROUTE] < 0)
		return;
	if (!span_is_empty(m->to.tag) || is_signed_route(m)) {
		sip_forward_take_routes(m, w->signer, w->faces, names_of_ours(w), routed);
		if (span_is_empty(m->to.tag) && routed->route == POLICY_ROUTE_FOREIGN)
			routed->route = POLICY_ROUTE_NONE;
		if (!span_is_empty(m->to.tag) || routed->route == POLICY_ROUTE_FORGED)
			return;
	}
	drop_all(m, SIP_H_ROUTE);
}

struct sip_hop *
edge_partner_hop(struct edge_worker *w, size_t i)
{
	const struct policy_partner *partner = policy_partner_get(w->rules, i);
	struct sip_hop_spec spec = {
		.name = partner->server, .port = partner->port, .face = w->partner_face,
		.reuse_inbound = policy_name_suffices(w->rules, span_str(partner->server)), .accept_cn = partner->accept_cn
	};

	return sip_hop_get(w->relay, &spec);
}

static void
plan_partner(struct edge_worker *w, const struct policy_decision *d, struct sip_plan *p)
{
	p->face = w->partner_face;
	p->note.word[NOTE_PARTNER] = (uint64_t)w->partner_number[d->partner] + 1;
	stats_partner_count(w->partner_number[d->partner], STATS_PARTNER_OUT);
	add_hop(p, edge_partner_hop(w, d->partner));
}

/* The servers that DNS named, in its order; those that policy takes. */
static void
plan_discovered(struct edge_worker *w, const struct policy_decision *d, const struct edge_answer *answer,
    struct sip_plan *p)
{
	p->face = w->partner_face;
	p->note.word[NOTE_DISCOVERED] = true;
	for (unsigned i = 0; i < answer->dns.ntargets; i++) {
		struct sip_hop_spec spec = {
			.name = answer->srv[i].target, .port = answer->srv[i].port, .face = w->partner_face,
			.reuse_inbound = policy_name_suffices(w->rules, span_str(answer->srv[i].target)), .guard = w->guard,
			.idle_ms = (unsigned)w->edge->config->discovery_idle * 1000
		};

		if ((d->targets >> i & 1) != 0)
			add_hop(p, sip_hop_get(w->relay, &spec));
	}
}

static void
replace_host(struct edge_worker *w, struct sip_message *m, const struct policy_decision *d)
{
	struct span host = m->ruri.host, end = m->ruri.whole;
	const char *stop = end.p + end.n;
	const char *server = policy_partner_get(w->rules, d->partner)->server;

	if (m->ruri.scheme == SIP_SCHEME_TEL) {
		/* RFC 3261 19.1.6 */
		sip_edit_replacef(m, m->uri, "sip:%.*s@%s;user=phone", SPAN_FMT(span_tail(m->uri, 4)), server);
		return;
	}
	if (m->ruri.params.n != 0)
		stop = m->ruri.params.p - 1;
	else if (m->ruri.headers.n != 0)
		stop = m->ruri.headers.p - 1;
	/* with the port, if there is one: it was the old host's */
	sip_edit_replace(m, span_of(host.p, (size_t)(stop - host.p)), span_str(server));
}

static void
refuse(struct edge_worker *w, struct sip_link *l, struct sip_message *m, enum policy_reason why, const char *detail,
    const struct sip_plan *plan)
{
	sip_edit_clear(m);
	sip_relay_refuse(w->relay, l, m, why, detail, SPAN_NONE, &plan->note);
}

static void
log_content(const char *event, enum policy_reason why, const struct sip_link *l, const struct sip_message *m, unsigned links)
{
	struct logrec r = log_begin(SP_LOG_INFO, event);

	if (why != POLICY_REASON_ALLOWED)
		log_word(&r, "reason", policy_reason_name(why));
	if (l != NULL)
		log_hex(&r, "conn", sip_link_id(l));
	log_uint(&r, "links", links);
	sip_log_address(&r, "from", m->from.uri_text);
	sip_log_address(&r, "to", m->to.uri_text);
	log_outside(&r, "call-id", m->call_id);
	log_end(&r);
}

static void refused(struct sip_relay *, struct sip_link *, const struct sip_message *, enum policy_reason, const char *detail);

/* Is everything that the plan may lead to a Director? */
static bool
leads_to_directors(const struct edge_worker *w, const struct sip_plan *plan)
{
	bool all = plan->nhops != 0 && plan->link == 0;

	for (unsigned i = 0; i < plan->nhops && all; i++) {
		all = false;
		for (size_t j = 0; j < w->edge->config->directors.n && !all; j++)
			all = plan->hop[i] == w->director[j];
	}
	return all;
}

/*
 * A client that has signed in believes nothing that is not signed, our refusal
 * included: it would wait in vain (MS 3.5, consequence 2). The Director can sign.
 * It is told why, and refuses; a server that does not know the header would not,
 * which is why it has to be configured.
 */
static bool
director_refuses(struct edge_worker *w, struct sip_link *l, struct sip_message *m, const struct policy_decision *d,
    const struct sip_routed *routed, enum policy_reason why)
{
	struct sip_face *inner = &w->face[EDGE_INNER(w->edge->config)];
	struct sip_plan plan = { .gone = POLICY_REASON_HOP_UNREACHABLE };

	if (!w->edge->config->director_refuses || d->class != POLICY_CLASS_REMOTE_USER || policy_reason_status(why) == 0 ||
	    m->method_id == POLICY_METHOD_ACK ||
	    (m->first[SIP_H_AUTHORIZATION] < 0 && m->first[SIP_H_PROXY_AUTHORIZATION] < 0))
		return false;
	plan_directors(w, l, m, routed, &plan);
	if (!leads_to_directors(w, &plan) || sip_mark_first_hop(m, sip_link_remote(l), sip_link_id(l)) != SIP_CHECK_OK)
		return false;
	refused(w->relay, l, m, why, NULL);
	plan.note.word[NOTE_WAY] = WAY_FROM_USER;
	sip_mark_write_inward(m, d, inner->name, NULL);
	sip_edit_insert(m, (int)m->nheaders, "x-sallyport-refused: %s\r\n", policy_reason_name(why));
	sip_relay_forward(w->relay, l, m, &plan);
	return true;
}

/* Links and files (MS 14.3), by the rule of the class at the far end. False: refused. inward: the routes of what goes inside, else NULL. */
static bool
content_passes(struct edge_worker *w, struct sip_link *l, struct sip_message *m, const struct policy_decision *d,
    const struct sip_routed *inward, const struct sip_plan *plan)
{
	const struct policy_content *rule = d->content;
	struct sip_content_found found;
	enum policy_reason why;

	if (rule == NULL)
		return true;
	why = sip_content_filter(m, rule, w->rules, &found);
	if (why != POLICY_REASON_ALLOWED) {
		if (inward == NULL || !director_refuses(w, l, m, d, inward, why))
			refuse(w, l, m, why, NULL, plan);
		return false;
	}
	if (found.changed)
		log_content("links-inert", POLICY_REASON_ALLOWED, l, m, found.links);
	return true;
}

/* A response cannot be refused: what it must not bring is taken out. */
static void
filter_response(struct edge_worker *w, struct sip_link *from, struct sip_message *m, const struct policy_content *rule)
{
	struct sip_content_found found;
	enum policy_reason why;

	if (rule == NULL)
		return;
	why = sip_content_filter(m, rule, w->rules, &found);
	if (why != POLICY_REASON_ALLOWED) {
		sip_content_take_out(m);
		log_content("content-taken-out", why, from, m, found.links);
	} else if (found.changed)
		log_content("links-inert", why, from, m, found.links);
}

/* A partner that nobody has listed: within what is left to it (MS 9)? False: refused. */
static bool
within_limits(struct edge_worker *w, struct sip_link *l, struct sip_message *m, const struct sip_facts *f,
    const struct sip_routed *routed, struct sip_plan *plan)
{
	const struct net_peer *peer = sip_link_peer(l);
	struct edge_discovered_peer who = { peer->fingerprint, peer->subject, peer->issuer, peer->serial };
	uint64_t addressee = 0;
	enum policy_reason why;
	unsigned retry;
	char extra[40];

	/* an ACK takes no answer, and what it belongs to has passed */
	if (m->method_id == POLICY_METHOD_ACK)
		return true;
	/* in a dialog that came about through us, whose far end is known to be there */
	if (routed->route != POLICY_ROUTE_OURS)
		addressee = edge_discovered_addressee(m->ruri.scheme == SIP_SCHEME_TEL ? m->uri : m->ruri.user, f->facts.ruri_domain);
	why = edge_discovered_request(w->edge->discovered, &who, f->facts.from_domain, addressee, &plan->note.word[NOTE_LIMITED],
	    &retry);
	if (why == POLICY_REASON_ALLOWED)
		return true;
	sip_edit_clear(m);
	snprintf(extra, sizeof(extra), "Retry-After: %u\r\n", retry);
	sip_relay_refuse(w->relay, l, m, why, NULL, why == POLICY_REASON_DISCOVERED_ADDRESSEES ? SPAN_NONE : span_str(extra),
	    &plan->note);
	return false;
}

/* Is this edge asked whether it is there (RFC 3261 11)? By one of its first n doors: no partner needs to know the inner one. */
static bool
asks_us(const struct edge_worker *w, const struct sip_message *m, size_t n)
{
	if (m->method_id != POLICY_METHOD_OPTIONS || !span_is_empty(m->to.tag) || !span_is_empty(m->ruri.user))
		return false;
	for (size_t i = 0; i < n; i++)
		if (span_ieq(m->ruri.host, span_str(w->face[i].name)))
			return true;
	return false;
}

static void
say_here(struct edge_worker *w, struct sip_link *l, struct sip_message *m, const struct sip_plan *plan)
{
	sip_edit_clear(m);
	sip_relay_answer(w->relay, l, m, 200, "OK", SPAN_NONE, &plan->note);
}

/* To another member of the clearing house that we are: out by the outer door again. */
static void
relay_onward(struct edge_worker *w, struct sip_link *l, struct sip_message *m, const struct policy_decision *d,
    struct sip_plan *plan)
{
	struct sip_flow here = { .kind = SIP_FLOW_HERE };

	count_partner(w, d->peer, STATS_PARTNER_IN);
	plan->note.word[NOTE_WAY] = WAY_RELAY;
	plan_partner(w, d, plan);
	sip_mark_strip(m, SIP_CROSS_RELAY);
	(void)keep_identities(w, m, d);
	sip_mark_write_outward(m, d);
	if (begins_dialog(m))
		sip_forward_record_route(m, w->signer, sip_link_face(l), &here, plan->face, &here);
	sip_relay_forward(w->relay, l, m, plan);
}

static void
send_inside(struct edge_worker *w, struct sip_link *l, struct sip_message *m, const struct policy_decision *d,
    const struct sip_routed *routed, struct sip_plan *plan)
{
	struct sip_face *inner = &w->face[EDGE_INNER(w->edge->config)];
	struct sip_flow to_sender = { .kind = SIP_FLOW_USER, .link = sip_link_id(l), .extra = sip_link_face(l)->tag };
	struct sip_flow to_inside = { .kind = SIP_FLOW_HERE };

	sip_mark_write_inward(m, d, inner->name, public_name(w, d));
	identities_inward(w, m, d);
	count_partner(w, d->peer, STATS_PARTNER_IN);
	if (d->class == POLICY_CLASS_BRANCH)
		to_sender.extra |= branch_word(policy_partner_get(w->rules, d->partner)->server) << 4;
	else if (d->class != POLICY_CLASS_REMOTE_USER)
		to_sender = to_inside;	/* a partner's server can be reached anew, by policy; a user only where it is */
	if (m->method_id == POLICY_METHOD_REGISTER)
		sip_forward_path(m, w->signer, inner, &to_sender);
	if (m->method_id == POLICY_METHOD_REGISTER || begins_dialog(m))
		sip_forward_record_route(m, w->signer, sip_link_face(l), &to_inside, inner, &to_sender);
	plan_directors(w, l, m, routed, plan);
	sip_relay_forward(w->relay, l, m, plan);
}

static void
from_outside(struct edge_worker *w, struct sip_link *l, struct sip_message *m)
{
	struct sip_plan plan = { .gone = POLICY_REASON_HOP_UNREACHABLE };
	enum policy_assertion assertion = sip_mark_assertion(m);
	struct edge_answer answer;
	struct sip_routed routed;
	struct sip_facts f;
	struct policy_decision d;
	enum policy_class peer;
	enum sip_check check;
	bool users;

	facts_of(w, l, &f);
	peer = policy_class_of_peer(w->rules, &f.facts);
	users = peer == POLICY_CLASS_REMOTE_USER || peer == POLICY_CLASS_BRANCH;
	plan.note.word[NOTE_WAY] = users ? WAY_FROM_USER : WAY_FROM_PEER;
	plan.note.word[NOTE_KEEP_ALIVE] = m->first[SIP_H_MS_KEEP_ALIVE] >= 0;
	sip_mark_strip(m, users ? SIP_CROSS_USER_IN : SIP_CROSS_PEER_IN);
	routes_from_outside(w, m, &routed);
	sip_facts_of_message(&f, m, &routed);
	f.facts.assertion = assertion;
	if (!decide(w, l, m, &f.facts, &answer, &d))
		return;
	sip_link_set_class(l, d.class);
	if (d.hop == POLICY_HOP_DIRECTOR && !edge_has_inside(w->edge->config)) {
		d.verdict = POLICY_DENY;	/* a policy that came later than the configuration */
		d.reason = POLICY_REASON_TO_NOT_INTERNAL;
	}
	/* nothing passes, so it is enough that policy finds no more wrong with it than that nobody inside is meant */
	if (d.peer != POLICY_NO_PEER && (d.verdict == POLICY_ALLOW || d.reason == POLICY_REASON_TO_NOT_INTERNAL) &&
	    asks_us(w, m, EDGE_INNER(w->edge->config))) {
		count_partner(w, d.peer, STATS_PARTNER_IN);
		say_here(w, l, m, &plan);
		return;
	}
	if (d.verdict != POLICY_ALLOW || (d.hop != POLICY_HOP_DIRECTOR && d.hop != POLICY_HOP_PARTNER)) {
		refused_partner(w, d.peer, d.reason);
		if (!director_refuses(w, l, m, &d, &routed, d.reason))
			refuse(w, l, m, d.reason, NULL, &plan);
		return;
	}
	if (d.class == POLICY_CLASS_ENHANCED)
		proved_server(w, l);
	if ((d.limited && !within_limits(w, l, m, &f, &routed, &plan)) || !content_passes(w, l, m, &d, &routed, &plan))
		return;
	if (d.class != POLICY_CLASS_REMOTE_USER)
		sip_mark_received(m, sip_link_remote(l));
	if (d.hop == POLICY_HOP_PARTNER)
		relay_onward(w, l, m, &d, &plan);
	else if (d.class == POLICY_CLASS_REMOTE_USER &&
	    (check = sip_mark_first_hop(m, sip_link_remote(l), sip_link_id(l))) != SIP_CHECK_OK)
		refuse(w, l, m, POLICY_REASON_MALFORMED, sip_check_phrase(check), &plan);
	else
		send_inside(w, l, m, &d, &routed, &plan);
}

static enum policy_flow
flow_state(struct edge_worker *w, const struct sip_routed *routed)
{
	bool ours = writer_of(w, routed) == w->edge->config->array.n;

	if (routed->route != POLICY_ROUTE_OURS || routed->flow.kind != SIP_FLOW_USER)
		return POLICY_FLOW_NONE;
	if (FLOW_BRANCH(routed->flow.extra) != 0 && branch_of(w, &routed->flow) == NULL)
		return POLICY_FLOW_USER_GONE;
	if (!ours)
		return FLOW_BRANCH(routed->flow.extra) != 0 ? POLICY_FLOW_BRANCH : POLICY_FLOW_USER_GONE;
	if (FLOW_DOOR(routed->flow.extra) >= EDGE_INNER(w->edge->config))
		return POLICY_FLOW_USER_GONE;
	if (FLOW_BRANCH(routed->flow.extra) != 0)
		return POLICY_FLOW_BRANCH;
	return sip_relay_link_lives(w->relay, routed->flow.link) ? POLICY_FLOW_USER : POLICY_FLOW_USER_GONE;
}

void
edge_look_at_routes(struct edge_worker *w, struct sip_message *m, bool outer, enum policy_route *route, enum policy_flow *flow)
{
	struct sip_routed routed;

	if (outer)
		routes_from_outside(w, m, &routed);
	else
		sip_forward_take_routes(m, w->signer, w->faces, names_of_ours(w), &routed);
	*route = routed.route;
	*flow = outer ? POLICY_FLOW_NONE : flow_state(w, &routed);
	/* it is passed on to the node that has the user, who knows */
	if (!outer && node_of(w, &routed) != NULL) {
		*flow = FLOW_BRANCH(routed.flow.extra) != 0 ? POLICY_FLOW_BRANCH : POLICY_FLOW_USER;
		return;
	}
	/* of another's link that is only a hint */
	if (*flow == POLICY_FLOW_USER && sip_relay_link(w->relay, routed.flow.link) == NULL)
		*flow = POLICY_FLOW_USER_GONE;
}

static void
from_inside(struct edge_worker *w, struct sip_link *l, struct sip_message *m)
{
	struct sip_plan plan = { .gone = POLICY_REASON_HOP_UNREACHABLE };
	struct sip_flow to_user, to_inside = { .kind = SIP_FLOW_HERE };
	struct edge_answer answer;
	struct sip_routed routed;
	const struct edge_director_conf *node;
	struct sip_facts f;
	struct policy_decision d;
	bool internal;

	sip_forward_take_routes(m, w->signer, w->faces, names_of_ours(w), &routed);
	facts_of(w, l, &f);
	internal = policy_class_of_peer(w->rules, &f.facts) == POLICY_CLASS_INTERNAL;
	/* who is not internal has nothing passed on in our name; policy refuses it below */
	if (internal && (node = node_of(w, &routed)) != NULL) {
		pass_to_node(w, l, m, node);
		return;
	}
	if (internal && routed.flow.kind != SIP_FLOW_USER && asks_us(w, m, EDGE_FACES(w->edge->config))) {
		say_here(w, l, m, &plan);
		return;
	}
	sip_facts_of_message(&f, m, &routed);
	f.facts.flow = flow_state(w, &routed);
	if (!decide(w, l, m, &f.facts, &answer, &d))
		return;
	plan.note.word[NOTE_WAY] = d.hop == POLICY_HOP_FLOW ? WAY_TO_USER : WAY_TO_PEER;
	if (d.verdict != POLICY_ALLOW || d.hop == POLICY_HOP_DIRECTOR || d.hop == POLICY_HOP_NONE) {
		refuse(w, l, m, d.reason, NULL, &plan);
		return;
	}
	if (!content_passes(w, l, m, &d, NULL, &plan))
		return;
	if (d.hop == POLICY_HOP_FLOW) {
		to_user = plan_flow(w, &routed, &plan);
		plan.note.word[NOTE_CLASS] = f.facts.flow == POLICY_FLOW_BRANCH ? POLICY_CLASS_BRANCH : POLICY_CLASS_REMOTE_USER;
		sip_mark_strip(m, SIP_CROSS_USER_OUT);
	} else {
		to_user = to_inside;
		if (d.hop == POLICY_HOP_DISCOVERED)
			plan_discovered(w, &d, &answer, &plan);
		else
			plan_partner(w, &d, &plan);
		plan.note.word[NOTE_CLASS] = d.hop == POLICY_HOP_DISCOVERED ? POLICY_CLASS_ENHANCED :
		    policy_partner_class(w->rules, d.partner);
		if (d.replace_host)
			replace_host(w, m, &d);
		sip_mark_strip(m, SIP_CROSS_PEER_OUT);
		kept_outward(m, &d);
		sip_mark_write_outward(m, &d);
	}
	if (begins_dialog(m))
		sip_forward_record_route(m, w->signer, sip_link_face(l), &to_user, plan.face, &to_inside);
	sip_relay_forward(w->relay, l, m, &plan);
}

/* Of one user, or one server, over all of its connections. False: refused. */
static bool
within_rate(struct edge_worker *w, struct sip_link *l, struct sip_message *m)
{
	char extra[40];
	unsigned wait;

	if (edge_crowd_takes(w, l, m, &wait))
		return true;
	snprintf(extra, sizeof(extra), "Retry-After: %u\r\n", wait);
	sip_relay_refuse(w->relay, l, m, POLICY_REASON_RATE_LIMIT, NULL, span_str(extra), NULL);
	return false;
}

static void
request(struct sip_relay *r, struct sip_link *l, struct sip_message *m)
{
	struct edge_worker *w = worker_of(r);

	if (sip_link_face(l)->side == POLICY_SIDE_INNER)
		from_inside(w, l, m);
	else if (within_rate(w, l, m))
		from_outside(w, l, m);
}

/* ---- responses ---- */

/* What our own refusals carry: the whole reason inside, outside only what may be known there (MS 10). */
static void
explain_refusal(struct edge_worker *w, struct sip_link *to, struct sip_message *m, enum policy_reason why)
{
	bool inside = sip_link_face(to)->side == POLICY_SIDE_INNER;
	int id = policy_reason_diagnostics(why);

	if (inside)
		sip_mark_write_generated(m, sip_link_face(to)->name);
	if (inside || policy_shows_diagnostics(w->rules, !comes_from_user(to))) {
		if (id != 0)
			sip_edit_insert(m, (int)m->nheaders, "ms-diagnostics: %d;reason=\"%s\";source=\"%s\"\r\n", id,
			    policy_reason_text(why), sip_link_face(to)->name);
	} else if (id != 0 && policy_reason_is_public(why)) {
		sip_edit_insert(m, (int)m->nheaders, "ms-diagnostics-public: %d;reason=\"%s\"\r\n", id,
		    policy_reason_text(why));
	}
	if (why != POLICY_REASON_ALLOWED)
		sip_edit_insert(m, (int)m->nheaders, "X-Sallyport-Reference: %s\r\n", sip_refusals_reference(w->refusals));
}

/* Inward: strip as for a request, then say what we know of who answered. */
static void
response_inward(struct edge_worker *w, const struct sip_note *note, enum way way, struct sip_link *from,
    struct sip_message *m)
{
	struct sip_facts f;
	struct policy_decision d;
	enum policy_assertion assertion = sip_mark_assertion(m);

	sip_mark_strip(m, way == WAY_TO_USER ? SIP_CROSS_USER_IN : SIP_CROSS_PEER_IN);
	if (way == WAY_TO_USER) {
		d = (struct policy_decision){ .verdict = POLICY_ALLOW, .class = POLICY_CLASS_REMOTE_USER,
		    .mark_inward = true, .verification = POLICY_VERIFIED, .peer = POLICY_NO_PEER };
	} else {
		/* from is NULL for another worker's connection: then nothing about the peer is known, and nothing vouched for */
		facts_of(w, from, &f);
		sip_facts_of_message(&f, m, NULL);
		f.facts.assertion = assertion;
		f.facts.discovered = note->word[NOTE_DISCOVERED] != 0;
		d = policy_decide(w->rules, &f.facts);
		try_other(w, m, &f.facts, &d);
		identities_inward(w, m, &d);
	}
	sip_mark_write_inward(m, &d, w->face[EDGE_INNER(w->edge->config)].name, public_name(w, &d));
	filter_response(w, from, m, policy_content_of(w->rules, (enum policy_class)note->word[NOTE_CLASS], false));
}

/* From one member of our clearing house back to another. */
static void
response_relayed(struct edge_worker *w, struct sip_link *from, struct sip_message *m)
{
	enum policy_assertion assertion = sip_mark_assertion(m);
	struct policy_decision d;
	struct sip_facts f;

	sip_mark_strip(m, SIP_CROSS_PEER_IN);
	sip_mark_strip(m, SIP_CROSS_RELAY);
	facts_of(w, from, &f);
	sip_facts_of_message(&f, m, NULL);
	f.facts.assertion = assertion;
	d = policy_decide(w->rules, &f.facts);
	try_other(w, m, &f.facts, &d);
	(void)keep_identities(w, m, &d);
	sip_mark_write_outward(m, &d);
	filter_response(w, from, m, d.content);
}

static void
response_outward(struct edge_worker *w, const struct sip_note *note, struct sip_link *from, struct sip_link *to,
    struct sip_message *m)
{
	if (note->word[NOTE_WAY] == WAY_FROM_USER) {
		sip_mark_strip(m, SIP_CROSS_USER_OUT);
		if (policy_shows_diagnostics(w->rules, false))
			sip_mark_keep(m, SIP_H_MS_DIAGNOSTICS);
		filter_response(w, from, m, policy_content_of(w->rules, (enum policy_class)sip_link_class(to), true));
		if (note->method != POLICY_METHOD_REGISTER || m->status >= 300 || m->status < 200)
			return;
		/* MS-CONMGMT is hop by hop, and this hop is ours */
		sip_link_signed_in(to);
		edge_crowd_signed_in(w, to, m->to.uri_text);
		if (note->word[NOTE_KEEP_ALIVE]) {
			drop_all(m, SIP_H_MS_KEEP_ALIVE);
			sip_edit_insert(m, (int)m->nheaders,
			    "ms-keep-alive: UAS; tcp=no; hop-hop=yes; end-end=no; timeout=%d\r\n",
			    w->edge->config->keep_alive);
		}
	} else {
		struct sip_facts f;
		struct policy_decision d;

		sip_mark_strip(m, SIP_CROSS_PEER_OUT);
		if (from == NULL)
			return;
		facts_of(w, from, &f);
		sip_facts_of_message(&f, m, NULL);
		f.facts.asker = (enum policy_class)sip_link_class(to);
		d = policy_decide(w->rules, &f.facts);
		try_other(w, m, &f.facts, &d);
		kept_outward(m, &d);
		sip_mark_write_outward(m, &d);
		filter_response(w, from, m, d.content);
	}
}

static void
response(struct sip_relay *r, const struct sip_note *note, struct sip_link *from, struct sip_link *to,
    struct sip_message *m, enum policy_reason why)
{
	struct edge_worker *w = worker_of(r);
	enum way way = (enum way)note->word[NOTE_WAY];

	if (note->word[NOTE_LIMITED] != 0 && !note->made)
		edge_discovered_answered(w->edge->discovered, note->word[NOTE_LIMITED], m->status);
	if (note->made && why != POLICY_REASON_ALLOWED && note->word[NOTE_PARTNER] != 0)
		stats_partner_because((unsigned)note->word[NOTE_PARTNER] - 1, STATS_PARTNER_FAILED, why);
	if (note->made)
		explain_refusal(w, to, m, why);
	else if (way == WAY_TO_USER || way == WAY_TO_PEER)
		response_inward(w, note, way, from, m);
	else if (way == WAY_RELAY)
		response_relayed(w, from, m);
	else if (way != WAY_TO_NODE)
		response_outward(w, note, from, to, m);
}

/* ---- connections ---- */

static void
log_link(struct logrec *r, const struct edge_worker *w, struct sip_link *l)
{
	char addr[NET_ADDR_TEXT];

	(void)w;
	log_hex(r, "conn", sip_link_id(l));
	log_word(r, "side", policy_side_name(sip_link_face(l)->side));
	log_uint(r, "port", sip_link_face(l)->port);
	log_word(r, "class", policy_class_name((enum policy_class)sip_link_class(l)));
	log_word(r, "peer", net_addr_format(sip_link_remote(l), addr));
}

static bool
opened(struct sip_relay *r, struct sip_link *l, enum policy_reason *why)
{
	struct edge_worker *w = worker_of(r);
	struct sip_facts f;
	enum policy_class class;
	struct logrec rec;

	facts_of(w, l, &f);
	class = policy_class_of_peer(w->rules, &f.facts);
	sip_link_set_class(l, class);
	rec = log_begin(SP_LOG_INFO, "connected");
	log_link(&rec, w, l);
	if (f.facts.nnames > 0)
		log_outside(&rec, "name", f.facts.names[0]);
	log_word(&rec, "tls", sip_link_peer(l)->protocol);
	if (sip_link_peer(l)->unverified)
		log_text(&rec, "unverified", sip_link_peer(l)->fault);
	log_end(&rec);
	if (!edge_admit(w, l, why))
		return false;
	if (!edge_crowd_opened(w, l)) {
		*why = POLICY_REASON_CONNECTION_LIMIT;
		return false;
	}
	if (sip_link_face(l)->side == POLICY_SIDE_INNER && sip_link_is_inbound(l) && class != POLICY_CLASS_INTERNAL) {
		*why = POLICY_REASON_NOT_INTERNAL_PEER;
		return false;
	}
	if (class == POLICY_CLASS_BRANCH)
		note_branch(w, l, true);
	/* servers prove who they are in the handshake; users by signing in */
	if (class != POLICY_CLASS_UNKNOWN && class != POLICY_CLASS_REMOTE_USER)
		proved_server(w, l);
	return true;
}

static void
closed(struct sip_relay *r, struct sip_link *l, enum policy_reason why, const char *detail)
{
	struct logrec rec = sip_refusals_log_end(worker_of(r)->refusals, sip_link_remote(l), why, detail);

	edge_note_refused(worker_of(r), l, why, detail);
	edge_crowd_left(worker_of(r), l);
	edge_note_unmade(worker_of(r), l, why);
	if (sip_link_class(l) == POLICY_CLASS_BRANCH)
		note_branch(worker_of(r), l, false);
	log_link(&rec, worker_of(r), l);
	sip_log_disconnected_end(&rec, why, detail);
}

/* The log line of a refusal; what goes outside names it by its reference. */
static void
refused(struct sip_relay *r, struct sip_link *l, const struct sip_message *m, enum policy_reason why,
    const char *detail)
{
	struct edge_worker *w = worker_of(r);
	struct logrec rec = sip_refusals_log(w->refusals, l != NULL ? sip_link_remote(l) : NULL, why, detail);

	if (l != NULL)
		log_link(&rec, w, l);
	sip_log_message(&rec, m);
	log_end(&rec);
}

static void
turned_away(struct sip_relay *r, const struct net_addr *from, const struct sip_face *face, enum policy_reason why,
    const char *detail)
{
	struct logrec rec = sip_refusals_log(worker_of(r)->refusals, from, why, detail);
	char addr[NET_ADDR_TEXT];

	log_word(&rec, "side", policy_side_name(face->side));
	log_uint(&rec, "port", face->port);
	log_word(&rec, "peer", net_addr_format(from, addr));
	log_end(&rec);
}

const struct sip_relay_ops edge_relay_ops = {
	.request = request, .response = response, .opened = opened, .closed = closed, .refused = refused,
	.admits = edge_crowd_admits, .turned_away = turned_away
};
