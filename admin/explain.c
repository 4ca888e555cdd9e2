/*
 * admin/explain.c - see explain.h.
 */
#include "admin/explain.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "net/srv.h"
#include "policy/content.h"
#include "policy/decision.h"
#include "policy/domain.h"
#include "sip/content.h"
#include "sip/facts.h"
#include "sip/framer.h"
#include "sip/mark.h"

#define ROUTES_MAX	8192	/* bytes of a message's Routes */
#define MADE_MAX	4096	/* bytes of a message that is made from options */
#define USUAL		"_sipfederationtls._tcp."

/* One explanation on its way. */
struct explaining {
	const struct explain_question	*q;
	void				(*tell)(void *, struct span record);
	void				*arg;
	struct sip_message		*m;
	struct sip_facts		 f;
	struct policy_decision		 d;
	enum policy_reason		 reason;	/* the end of it all */
	const char			*detail;	/* ours */
	const char			*where;		/* what settled it: "certificate", "form", a step, "content" */
	bool				 signature;	/* a Route was taken for ours without being looked at */
	bool				 asked;		/* the running edge has looked at it */
	/* the answer of DNS that counted */
	struct net_srv			 srv[NET_DNS_SRV_MAX];
	struct span			 target[NET_DNS_SRV_MAX];
	uint16_t			 port[NET_DNS_SRV_MAX];
	char				 domain[DOMAIN_MAX];
	char				 record[sizeof(USUAL) + DOMAIN_MAX];
};

static void
say(struct explaining *e, struct record_writer *w)
{
	if (record_ok(w))
		e->tell(e->arg, record_written(w));
}

static void
settle(struct explaining *e, enum policy_reason reason, const char *where, const char *detail)
{
	e->reason = reason;
	e->where = where;
	e->detail = detail;
}

/* ---- the message ---- */

/* "example.com", "a@example.com", "sip:…", "tel:…" as a URI that the grammar takes. */
static bool
make_uri(struct strbuf *sb, const char *text)
{
	struct span s = span_str(text);
	struct sip_uri u;

	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f || s.p[i] == '<' || s.p[i] == '>' || s.p[i] == '"')
			return false;
	if (!span_istarts(s, SPAN_LIT("sip:")) && !span_istarts(s, SPAN_LIT("sips:")) && !span_istarts(s, SPAN_LIT("tel:")))
		strbuf_puts(sb, "sip:");
	strbuf_puts(sb, text);
	return s.n > 0 && strbuf_ok(sb) && sip_uri_parse(&u, strbuf_span_of(sb)) == SP_OK;
}

/* A message that says what the options say. */
static bool
make_message(struct explaining *e, struct strbuf *out, const char **why)
{
	const struct explain_question *q = e->q;
	char from[512], to[512], ruri[512];
	struct strbuf f, t, r;

	strbuf_init(&f, from, sizeof(from));
	strbuf_init(&t, to, sizeof(to));
	strbuf_init(&r, ruri, sizeof(ruri));
	if (!make_uri(&f, q->from)) {
		*why = "the sender is no domain, address or URI";
		return false;
	}
	if (!make_uri(&t, q->to)) {
		*why = "the addressee is no domain, address or URI";
		return false;
	}
	if (!make_uri(&r, q->ruri != NULL ? q->ruri : q->to)) {
		*why = "the Request-URI is no domain, address or URI";
		return false;
	}
	strbuf_printf(out, "%s %s SIP/2.0\r\nVia: SIP/2.0/TLS explain.invalid;branch=z9hG4bKexplain\r\n", q->method, ruri);
	strbuf_printf(out, "Max-Forwards: 70\r\nFrom: <%s>;tag=1\r\nTo: <%s>%s\r\n", from, to, q->in_dialog ? ";tag=2" : "");
	strbuf_printf(out, "Call-ID: explain\r\nCSeq: 1 %s\r\nContact: <%s>\r\n", q->method, from);
	if (strcmp(q->method, "SUBSCRIBE") == 0 || strcmp(q->method, "NOTIFY") == 0)
		strbuf_puts(out, "Event: presence\r\n");
	strbuf_puts(out, "Content-Length: 0\r\n\r\n");
	*why = "the message is too long";
	return strbuf_ok(out);
}

/* As a link would read it: one whole message, and every check of form. */
static bool
read_message(struct explaining *e, struct span bytes, const char **why)
{
	struct sip_frame_limits limits = SIP_FRAME_LIMITS_DEFAULT;
	struct sip_framer framer;
	enum sip_check check;
	size_t used = 0;

	sip_framer_init(&framer);
	switch (sip_framer_next(&framer, &limits, bytes.p, bytes.n, &used, e->m)) {
	case SIP_FRAME_MESSAGE:
		break;
	case SIP_FRAME_BAD:
		settle(e, POLICY_REASON_MALFORMED, "form", sip_check_phrase(framer.error));
		return true;
	default:
		*why = "there is no whole message: lines end in CR LF, an empty line ends the headers, and Content-Length counts the rest";
		return false;
	}
	if ((check = sip_check_message(e->m)) != SIP_CHECK_OK)
		settle(e, POLICY_REASON_MALFORMED, "form", sip_check_phrase(check));
	return true;
}

static const char *
direction(const struct explaining *e)
{
	return e->q->side == POLICY_SIDE_OUTER ? "inward" : "outward";
}

static void
tell_message(struct explaining *e)
{
	unsigned char room[RECORD_SMALL];
	struct record_writer w;
	const struct policy_facts *f = &e->f.facts;

	record_begin(&w, room, sizeof(room), "message");
	record_str(&w, "kind-of-message", f->is_response ? "response" : "request");
	record_text(&w, "method", f->method_name);
	record_text(&w, "from-domain", f->from_tel ? SPAN_LIT("a telephone number") : f->from_domain);
	record_text(&w, "to-domain", f->to_tel ? SPAN_LIT("a telephone number") : f->to_domain);
	if (!f->is_response)
		record_text(&w, "request-uri-domain", f->ruri_tel ? SPAN_LIT("a telephone number") : f->ruri_domain);
	record_str(&w, "direction", direction(e));
	record_bool(&w, "in-dialog", f->in_dialog);
	record_str(&w, "route", policy_route_name(f->route));
	if (e->signature)
		record_str(&w, "note", "the Route was taken for ours; its signature was not looked at");
	if (e->asked)
		record_str(&w, "note", "the running edge has looked at the Route");
	if (f->flow != POLICY_FLOW_NONE)
		record_str(&w, "flow", policy_flow_name(f->flow));
	say(e, &w);
}

/* ---- the certificate ---- */

static void
tell_certificate(struct explaining *e, const char *whose, const struct net_peer *p, enum policy_reason admitted)
{
	unsigned char room[RECORD_SMALL * 4];
	struct record_writer w;
	char text[80];
	struct strbuf sb;

	record_begin(&w, room, sizeof(room), "certificate");
	record_str(&w, "whose", whose);
	record_str(&w, "verdict", p->has_certificate ? "verified" : p->unverified ? "its key is pinned" : "refused");
	if (p->why != POLICY_REASON_ALLOWED) {
		record_str(&w, "reason", policy_reason_name(p->why));
		record_str(&w, "fault", p->fault);
	}
	for (unsigned i = 0; i < p->nnames; i++)
		record_item(&w, "names", p->names[i]);
	if (p->common_name[0] != '\0')
		record_str(&w, "common-name", p->common_name);
	if ((p->usage & NET_USAGE_SERVER) != 0)
		record_item(&w, "usage", SPAN_LIT("server"));
	if ((p->usage & NET_USAGE_CLIENT) != 0)
		record_item(&w, "usage", SPAN_LIT("client"));
	record_str(&w, "subject", p->subject);
	record_str(&w, "issuer", p->issuer);
	record_time(&w, "not-after", p->not_after);
	strbuf_init(&sb, text, sizeof(text));
	strbuf_hex(&sb, p->fingerprint, sizeof(p->fingerprint), false);
	record_str(&w, "fingerprint", text);
	strbuf_reset(&sb);
	strbuf_hex(&sb, p->spki, sizeof(p->spki), false);
	record_str(&w, "key", text);
	record_str(&w, "connection", admitted == POLICY_REASON_ALLOWED ? "stays" : "is closed before any SIP");
	if (admitted != POLICY_REASON_ALLOWED)
		record_str(&w, "closed-for", policy_reason_name(admitted));
	say(e, &w);
}

/* Would the connection that it comes over be there at all? */
static void
judge_sender(struct explaining *e)
{
	const struct net_peer *p = e->q->peer;
	enum policy_reason why;

	if (p == NULL)
		return;
	why = p->has_certificate || p->unverified ? policy_admit(e->q->rules, &e->f.facts, SPAN_NONE) : p->why;
	tell_certificate(e, "the sender's", p, why);
	if (why != POLICY_REASON_ALLOWED && e->reason == POLICY_REASON_ALLOWED)
		settle(e, why, "certificate", p->fault);
}

/* And the one that it would leave by? */
static void
judge_called(struct explaining *e, const char *name)
{
	const struct net_peer *p = e->q->called != NULL ? e->q->called(e->q->called_arg, name) : NULL;
	struct policy_facts f;
	enum policy_reason why;

	if (p == NULL)
		return;
	sip_facts_of_peer(&f, POLICY_SIDE_OUTER, p);
	why = p->has_certificate || p->unverified ? policy_admit(e->q->rules, &f, span_str(name)) : p->why;
	tell_certificate(e, name, p, why);
	if (why != POLICY_REASON_ALLOWED && e->reason == POLICY_REASON_ALLOWED)
		settle(e, POLICY_REASON_HOP_CERTIFICATE, "certificate", policy_reason_text(why));
}

/* ---- DNS ---- */

/* Always the same draw: an explanation is not to change from one call to the next. */
static uint32_t
draw(void *arg, uint32_t bound)
{
	(void)arg;
	(void)bound;
	return 0;
}

static struct span
keep_record(struct explaining *e, struct span domain, struct span name)
{
	struct strbuf sb;

	strbuf_init(&sb, e->domain, sizeof(e->domain));
	strbuf_span(&sb, domain);
	strbuf_init(&sb, e->record, sizeof(e->record));
	if (span_is_empty(name))
		strbuf_puts(&sb, USUAL);
	strbuf_span(&sb, span_is_empty(name) ? domain : name);
	return span_str(e->domain);
}

static void
tell_dns(struct explaining *e, const struct net_dns_answer *a)
{
	unsigned char room[RECORD_SMALL];
	struct record_writer w;

	record_begin(&w, room, sizeof(room), "dns");
	record_str(&w, "record", e->record);
	record_str(&w, "answer", a == NULL ? "not asked" : a->status == NET_DNS_FOUND ? "found" :
	    a->status == NET_DNS_NONE ? "there is none" : "failed");
	say(e, &w);
}

static void
tell_targets(struct explaining *e)
{
	const struct policy_dns *dns = &e->f.facts.dns;

	for (unsigned i = 0; i < dns->ntargets; i++) {
		unsigned char room[RECORD_SMALL];
		struct record_writer w;

		record_begin(&w, room, sizeof(room), "target");
		record_text(&w, "server", dns->targets[i]);
		record_int(&w, "port", dns->ports[i]);
		record_int(&w, "priority", e->srv[i].priority);
		record_int(&w, "weight", e->srv[i].weight);
		record_bool(&w, "used", e->d.hop == POLICY_HOP_DISCOVERED && i < POLICY_TARGETS_MAX && (e->d.targets >> i & 1) != 0);
		say(e, &w);
	}
}

static void
take_answer(struct explaining *e, const struct net_dns_answer *a, struct span record)
{
	struct policy_dns *dns = &e->f.facts.dns;
	unsigned n = 0;

	*dns = (struct policy_dns){ .domain = span_str(e->domain), .name = record, .targets = e->target, .ports = e->port };
	dns->state = a->status == NET_DNS_FOUND ? POLICY_DNS_FOUND : a->status == NET_DNS_NONE ? POLICY_DNS_NONE : POLICY_DNS_FAILED;
	if (a->status != NET_DNS_FOUND)
		return;
	for (unsigned i = 0; i < a->nsrv && i < NET_DNS_SRV_MAX; i++)
		if (a->srv[i].target[0] != '\0')
			e->srv[n++] = a->srv[i];
	net_srv_order(e->srv, n, draw, NULL);
	for (unsigned i = 0; i < n; i++) {
		e->target[i] = span_str(e->srv[i].target);
		e->port[i] = e->srv[i].port;
	}
	dns->ntargets = n;
	if (n == 0)
		dns->state = POLICY_DNS_NONE;
}

static void
decide(struct explaining *e)
{
	const struct net_dns_answer *a;

	e->d = policy_decide(e->q->rules, &e->f.facts);
	if (e->d.verdict != POLICY_ASK_DNS)
		return;
	(void)keep_record(e, e->d.dns_domain, e->d.dns_name);
	a = e->q->dns != NULL ? e->q->dns(e->q->dns_arg, e->record) : NULL;
	tell_dns(e, a);
	if (a == NULL)
		return;
	take_answer(e, a, e->d.dns_name);
	e->d = policy_decide(e->q->rules, &e->f.facts);
}

/* ---- the trail ---- */

static void
tell_steps(struct explaining *e)
{
	for (unsigned i = 0; i < e->d.ntrail; i++) {
		const struct policy_trail *t = &e->d.trail[i];
		unsigned char room[RECORD_SMALL];
		struct record_writer w;

		record_begin(&w, room, sizeof(room), "step");
		record_int(&w, "number", i + 1);
		record_str(&w, "step", policy_step_name(t->step));
		record_str(&w, "result", t->settled ? policy_reason_name(e->d.reason) : "passed");
		if (t->file != NULL)
			record_printf(&w, "rule", "%s:%d", t->file, t->line);
		else
			record_str(&w, "rule", "-");
		record_str(&w, "question", policy_step_question(t->step, e->f.facts.side, e->f.facts.is_response));
		say(e, &w);
	}
}

/* ---- what would be written, and what it brings along ---- */

static enum sip_crossing
crossing(const struct explaining *e)
{
	bool user = e->d.class == POLICY_CLASS_REMOTE_USER || e->d.class == POLICY_CLASS_BRANCH;

	if (e->f.facts.side == POLICY_SIDE_OUTER)
		return user ? SIP_CROSS_USER_IN : SIP_CROSS_PEER_IN;
	return e->d.hop == POLICY_HOP_FLOW ? SIP_CROSS_USER_OUT : SIP_CROSS_PEER_OUT;
}

static void
tell_mark(struct explaining *e, const char *name, struct span value, const char *note)
{
	unsigned char room[RECORD_SMALL];
	struct record_writer w;

	record_begin(&w, room, sizeof(room), "mark");
	record_str(&w, "header", name);
	record_text(&w, "value", value);
	if (note != NULL)
		record_str(&w, "note", note);
	say(e, &w);
}

/* The same functions that the edge marks with write into the message; what is new in it is told. */
static void
tell_marks(struct explaining *e)
{
	static const char *const names[] = {
		"ms-edge-proxy-message-trust", "ms-asserted-verification-level", "ms-archiving"
	};
	const struct policy_decision *d = &e->d;
	struct sip_message *after;
	unsigned stripped;
	char *bytes;
	size_t n;

	sip_edit_clear(e->m);
	stripped = sip_mark_strip(e->m, crossing(e));
	if (d->mark_inward)
		sip_mark_write_inward(e->m, d, e->q->inner_name,
		    d->public_network ? policy_partner_get(e->q->rules, d->peer)->server : NULL);
	if (d->mark_identity)
		sip_mark_write_identity(e->m);
	if (d->mark_outward)
		sip_mark_write_outward(e->m, d);
	bytes = xmalloc(sip_message_room(e->m));
	after = xcalloc(1, sizeof(*after));
	if ((n = sip_message_render(e->m, bytes)) != 0 && sip_message_index(after, bytes, n) == SP_OK) {
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
			int at = sip_message_find(after, names[i], -1);

			if (at >= 0)
				tell_mark(e, names[i], sip_header_value(after, at), NULL);
		}
		if (d->mark_identity)
			tell_mark(e, "P-Asserted-Identity", sip_message_value(after, SIP_H_P_ASSERTED_IDENTITY),
			    "unless the sender's own passes");
	}
	if (d->trust_identity)
		tell_mark(e, "P-Asserted-Identity", SPAN_LIT("passes"), "of users whom the peer may vouch for");
	if (stripped != 0) {
		char text[32];

		snprintf(text, sizeof(text), "%u", stripped);
		tell_mark(e, "(taken out)", span_str(text), "headers that may not pass here");
	}
	free(after);
	free(bytes);
	sip_edit_clear(e->m);
}

static void
tell_limits(struct explaining *e)
{
	static const struct explain_limits usual = { "the defaults of edge.conf", 20, 1, 1000 };
	const struct explain_limits *l = e->q->limits.where != NULL ? &e->q->limits : &usual;
	unsigned char room[RECORD_SMALL];
	struct record_writer w;

	if (!e->d.limited)
		return;
	record_begin(&w, room, sizeof(room), "limits");
	record_str(&w, "why", "nobody has listed this partner");
	record_printf(&w, "rate", "discovered.rate = %ld requests a second", l->rate);
	record_printf(&w, "when-suspicious", "discovered.suspicious_rate = %ld a second", l->suspicious_rate);
	record_printf(&w, "addressees", "discovered.addressees = %ld of our users", l->addressees);
	record_str(&w, "as-in", l->where);
	say(e, &w);
}

static const char *
action_name(enum policy_content_action a)
{
	switch (a) {
	case POLICY_CONTENT_WARN:
		return "made inert, with a warning";
	case POLICY_CONTENT_LISTED:
		return "refused by their extension";
	case POLICY_CONTENT_BLOCK:
		return "refused";
	default:
		return "allowed";
	}
}

static void
tell_content(struct explaining *e)
{
	const struct policy_content *rule = e->d.content;
	struct sip_content_found found;
	unsigned char room[RECORD_SMALL];
	struct record_writer w;
	enum policy_reason why;

	if (rule == NULL)
		return;
	why = sip_content_filter(e->m, rule, e->q->rules, &found);
	record_begin(&w, room, sizeof(room), "content");
	record_printf(&w, "rule", "%s:%d", rule->file, rule->line);
	record_str(&w, "links", action_name(rule->links));
	record_str(&w, "files", action_name(rule->files));
	record_str(&w, "sealed", rule->pass_sealed ? "allowed" : "refused");
	record_int(&w, "links-found", found.links);
	record_int(&w, "files-found", found.files);
	record_str(&w, "this-message", why != POLICY_REASON_ALLOWED ? policy_reason_name(why) :
	    found.changed ? "links would be made inert" : "passes as it is");
	say(e, &w);
	if (why != POLICY_REASON_ALLOWED && !e->f.facts.is_response)
		settle(e, why, "content", NULL);
	sip_edit_clear(e->m);
}

/* ---- the end ---- */

static void
tell_hop(struct explaining *e, struct record_writer *w)
{
	const struct policy_partner *p;

	record_str(w, "next-hop", policy_hop_name(e->d.hop));
	if (e->d.hop == POLICY_HOP_PARTNER) {
		p = policy_partner_get(e->q->rules, e->d.partner);
		record_printf(w, "server", "%s:%u", p->server, p->port);
		record_str(w, "partner", p->name);
	}
	if (e->d.replace_host)
		record_bool(w, "request-uri-replaced", true);
}

static void
tell_decision(struct explaining *e)
{
	unsigned char room[RECORD_SMALL * 2];
	struct record_writer w;
	char text[1024];
	struct strbuf sb;
	int status = policy_reason_status(e->reason);

	record_begin(&w, room, sizeof(room), "decision");
	record_str(&w, "verdict", e->reason == POLICY_REASON_ALLOWED ? "allowed" : "refused");
	record_str(&w, "reason", policy_reason_name(e->reason));
	record_str(&w, "because", policy_reason_text(e->reason));
	record_str(&w, "detail", e->detail);
	if (e->where != NULL)
		record_str(&w, "settled-by", e->where);
	record_str(&w, "class", policy_class_name(e->d.class));
	if (e->reason == POLICY_REASON_ALLOWED) {
		tell_hop(e, &w);
	} else {
		record_int(&w, "status", status);
		if (policy_reason_diagnostics(e->reason) != 0)
			record_int(&w, "ms-diagnostics", policy_reason_diagnostics(e->reason));
	}
	if (e->d.ntrail != 0 && e->d.reason == e->reason) {
		strbuf_init(&sb, text, sizeof(text));
		policy_explain(&e->d, &e->f.facts, &sb);
		record_str(&w, "sentence", text);
	}
	say(e, &w);
}

static void
fill_peer(struct explaining *e, char inside[256], struct span *names)
{
	const struct explain_question *q = e->q;
	struct policy_facts *f = &e->f.facts;

	sip_facts_of_peer(f, q->side, q->peer);
	f->door_users = q->door_users;
	f->door_partners = q->door_partners;
	if (q->peer != NULL)
		return;
	if (q->nnames != 0) {
		f->has_certificate = true;
		f->usage = POLICY_USAGE_BOTH;
		f->names = q->names;
		f->nnames = q->nnames;
	} else if (q->side == POLICY_SIDE_INNER && policy_internal_server(q->rules, inside)) {
		*names = span_str(inside);
		f->has_certificate = true;
		f->usage = POLICY_USAGE_BOTH;
		f->names = names;
		f->nnames = 1;
	}
}

/* Ask the running edge about the Routes of a captured message. */
static bool
ask_routes(struct explaining *e)
{
	struct policy_facts *f = &e->f.facts;
	enum policy_flow flow = POLICY_FLOW_NONE;
	char text[ROUTES_MAX];
	struct strbuf sb;

	if (e->q->routes == NULL)
		return false;
	strbuf_init(&sb, text, sizeof(text));
	for (int i = sip_message_next(e->m, SIP_H_ROUTE, -1); i >= 0; i = sip_message_next(e->m, SIP_H_ROUTE, i)) {
		strbuf_puts(&sb, sb.len != 0 ? ", " : "");
		strbuf_span(&sb, sip_header_value(e->m, i));
	}
	if (!strbuf_ok(&sb) || !e->q->routes(e->q->routes_arg, e->m->call_id, strbuf_span_of(&sb), f->in_dialog,
	    e->q->side == POLICY_SIDE_OUTER, &f->route, &flow))
		return false;
	if (f->flow == POLICY_FLOW_NONE)
		f->flow = flow;
	return true;
}

static void
fill_route(struct explaining *e)
{
	const struct explain_question *q = e->q;
	struct policy_facts *f = &e->f.facts;

	f->flow = q->flow;
	f->discovered = q->discovered;
	f->asker = q->asker;
	if (q->has_route) {
		f->route = q->route;
	} else if (e->m->first[SIP_H_ROUTE] >= 0 && !f->is_response && ask_routes(e)) {
		e->asked = true;
	} else if (e->m->first[SIP_H_ROUTE] >= 0 && !f->is_response && (f->in_dialog || q->side == POLICY_SIDE_INNER)) {
		/* from outside, what begins a dialog has its Routes dropped (MS 7.4) */
		f->route = f->in_dialog || f->flow != POLICY_FLOW_NONE ? POLICY_ROUTE_OURS : POLICY_ROUTE_NONE;
		e->signature = f->route == POLICY_ROUTE_OURS;
	}
	if (f->flow != POLICY_FLOW_NONE && f->route == POLICY_ROUTE_NONE)
		f->route = POLICY_ROUTE_OURS;
	f->assertion = span_is_empty(q->message) ? q->assertion : sip_mark_assertion(e->m);
}

static void
tell_all(struct explaining *e)
{
	judge_sender(e);
	if (e->reason != POLICY_REASON_ALLOWED) {
		tell_decision(e);
		return;
	}
	decide(e);
	tell_targets(e);
	tell_steps(e);
	if (e->d.verdict != POLICY_ALLOW) {
		settle(e, e->d.reason, e->d.ntrail != 0 ? policy_step_name(e->d.trail[e->d.ntrail - 1].step) : "policy", NULL);
	} else {
		tell_marks(e);
		tell_limits(e);
		tell_content(e);
		if (e->d.hop == POLICY_HOP_PARTNER)
			judge_called(e, policy_partner_get(e->q->rules, e->d.partner)->server);
		for (unsigned i = 0; e->d.hop == POLICY_HOP_DISCOVERED && i < e->f.facts.dns.ntargets && i < POLICY_TARGETS_MAX; i++)
			if ((e->d.targets >> i & 1) != 0)
				judge_called(e, e->srv[i].target);
	}
	tell_decision(e);
}

enum explain_verdict
explain(const struct explain_question *q, void (*tell)(void *arg, struct span record), void *arg, const char **why)
{
	struct explaining *e = xcalloc(1, sizeof(*e));
	enum explain_verdict verdict = EXPLAIN_NO_MESSAGE;
	char inside[256], made[MADE_MAX];
	struct span names[1] = { SPAN_NONE }, bytes = q->message;
	struct strbuf sb;

	*why = NULL;
	e->q = q;
	e->tell = tell;
	e->arg = arg;
	e->d.peer = POLICY_NO_PEER;
	e->reason = POLICY_REASON_ALLOWED;
	e->m = xcalloc(1, sizeof(*e->m));
	if (span_is_empty(bytes)) {
		strbuf_init(&sb, made, sizeof(made));
		if (!make_message(e, &sb, why))
			goto out;
		bytes = strbuf_span_of(&sb);
	}
	if (!read_message(e, bytes, why))
		goto out;
	fill_peer(e, inside, names);
	if (e->reason == POLICY_REASON_ALLOWED) {
		sip_facts_of_message(&e->f, e->m, NULL);
		fill_route(e);
		tell_message(e);
		tell_all(e);
	} else {
		judge_sender(e);
		tell_decision(e);
	}
	verdict = e->reason == POLICY_REASON_ALLOWED ? EXPLAIN_ALLOWED : EXPLAIN_REFUSED;
 out:
	free(e->m);
	free(e);
	return verdict;
}
