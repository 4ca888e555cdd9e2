/*
 * sip/facts.c - see facts.h.
 */
#include "sip/facts.h"

#include "common/err.h"

void
sip_facts_of_link(struct policy_facts *f, enum policy_side side, const struct sip_link *l)
{
	sip_facts_of_peer(f, side, l != NULL ? sip_link_peer(l) : NULL);
}

void
sip_facts_of_peer(struct policy_facts *f, enum policy_side side, const struct net_peer *peer)
{
	*f = (struct policy_facts){ .side = side };
	if (peer == NULL)
		return;
	f->has_certificate = peer->has_certificate;
	f->unverified = peer->unverified;
	f->chain_fault = peer->why;
	f->usage = peer->usage & (NET_USAGE_SERVER | NET_USAGE_CLIENT);
	f->spki = peer->has_certificate || peer->unverified ? peer->spki : NULL;
	f->names = peer->names;
	f->nnames = peer->nnames;
	f->common_name = span_str(peer->common_name);
}

static struct span
domain_of(const struct sip_uri *u, char storage[DOMAIN_MAX], bool *tel)
{
	struct span s = SPAN_NONE;
	bool is_ip;

	*tel = u->scheme == SIP_SCHEME_TEL;
	if ((u->scheme != SIP_SCHEME_SIP && u->scheme != SIP_SCHEME_SIPS) ||
	    policy_domain_canon(u->host, storage, &s, &is_ip) != SP_OK)
		return SPAN_NONE;
	return s;
}

static bool
same_host(const struct sip_uri *a, const struct sip_uri *b)
{
	return a->scheme == b->scheme && span_eq(a->host, b->host);
}

/* What names somebody there: before the '@', or a whole number. */
static struct span
user_of(const struct sip_uri *u)
{
	return u->scheme == SIP_SCHEME_TEL ? span_tail(u->whole, 4) : u->user;
}

void
sip_facts_of_message(struct sip_facts *s, const struct sip_message *m, const struct sip_routed *routed)
{
	struct policy_facts *f = &s->facts;

	f->is_response = !m->is_request;
	f->method = m->method_id;
	f->method_name = m->is_request ? m->method : m->cseq_method;
	f->from_domain = domain_of(&m->from.uri, s->from, &f->from_tel);
	/* colleagues write to each other: what is one text is one domain */
	if (same_host(&m->to.uri, &m->from.uri)) {
		f->to_domain = f->from_domain;
		f->to_tel = f->from_tel;
	} else
		f->to_domain = domain_of(&m->to.uri, s->to, &f->to_tel);
	if (m->is_request && same_host(&m->ruri, &m->to.uri)) {
		f->ruri_domain = f->to_domain;
		f->ruri_tel = f->to_tel;
	} else if (m->is_request)
		f->ruri_domain = domain_of(&m->ruri, s->ruri, &f->ruri_tel);
	if (m->is_request) {
		f->ruri_user = user_of(&m->ruri);
		f->to_user = user_of(&m->to.uri);
	}
	f->in_dialog = m->is_request && !span_is_empty(m->to.tag);
	if (routed != NULL)
		f->route = routed->route;
}
