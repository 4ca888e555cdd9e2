/*
 * policy/discovery.c - the steps that look at what DNS says of a domain (MS 8.2, 8.4, 11.2).
 *
 * DNS is the word of the domain's owner and of nobody else: it can say which
 * servers inside of that domain are the domain's. A server in another domain
 * counts only if it is an enabled provider's.
 */
#include "policy/domain.h"
#include "policy/walk.h"

#define PORT_FIRST_FREE	1024	/* below, only that of HTTPS: no partner's server listens there */
#define PORT_HTTPS	443

const struct allowed *
walk_allowed(struct walk *w, const struct name_match *m, struct span domain)
{
	const struct name_rule *rule = m->rule[NAME_ALLOWED];

	if (span_is_empty(domain) || policy_domain_is_ip(domain) || !w->rules->on[SWITCH_DISCOVERY])
		return NULL;
	if (m->rule[NAME_INTERNAL] != NULL || m->rule[NAME_PARTNER] != NULL)
		return NULL;	/* another rule says whose server that is */
	if (rule != NULL) {
		walk_match(w, rule);
		return &w->rules->allowed[rule->value];
	}
	walk_match_switch(w, SWITCH_OPEN_FEDERATION);
	return w->rules->on[SWITCH_OPEN_FEDERATION] ? &w->rules->open : NULL;
}

enum policy_reason
walk_ask(struct walk *w, struct span domain, const struct allowed *a)
{
	const struct policy_dns *dns = &w->facts->dns;
	struct span record = a != NULL ? a->record : SPAN_NONE;

	if (dns->state == POLICY_DNS_UNASKED || !span_eq(dns->domain, domain) || !span_eq(dns->name, record)) {
		w->d->dns_domain = domain;
		w->d->dns_name = record;
		return POLICY_REASON_NEEDS_DNS;
	}
	switch (dns->state) {
	case POLICY_DNS_FOUND:
		return dns->ntargets != 0 ? GO_ON : POLICY_REASON_SRV_MISSING;
	case POLICY_DNS_NONE:
		return POLICY_REASON_SRV_MISSING;
	default:
		return POLICY_REASON_SRV_FAILED;
	}
}

static unsigned
ntargets(const struct policy_dns *dns)
{
	return dns->ntargets < POLICY_TARGETS_MAX ? dns->ntargets : POLICY_TARGETS_MAX;
}

/* The same-domain rule (MS 11.2). */
static bool
is_inside(struct span target, struct span domain)
{
	return policy_domain_is_canon(target) && !policy_domain_is_ip(target) && policy_domain_within(target, domain);
}

static bool
is_partner_port(uint16_t port)
{
	return port >= PORT_FIRST_FREE || port == PORT_HTTPS;
}

static bool
peer_proves(const struct policy_facts *f, struct span name)
{
	for (unsigned i = 0; i < f->nnames; i++)
		if (span_eq(f->names[i], name) && !walk_is_wildcard(name))
			return true;
	return false;
}

/* A stranger: some server of the sender's domain must be what the certificate proves. */
static enum policy_reason
prove_discovered(struct walk *w)
{
	const struct policy_facts *f = w->facts;
	const struct allowed *a = walk_allowed(w, &w->from, f->from_domain);
	enum policy_reason r;
	bool inside = false;

	if (a == NULL)
		return POLICY_REASON_DOMAIN_NOT_ALLOWED;
	if ((r = walk_ask(w, f->from_domain, a)) != GO_ON)
		return r;
	for (unsigned i = 0; i < ntargets(&f->dns); i++) {
		if (!is_inside(f->dns.targets[i], f->from_domain))
			continue;
		inside = true;
		if (peer_proves(f, f->dns.targets[i])) {
			w->d->class = POLICY_CLASS_ENHANCED;
			return GO_ON;
		}
	}
	return inside ? POLICY_REASON_PEER_NOT_IN_SRV : POLICY_REASON_SRV_OUTSIDE_DOMAIN;
}

/* The server allow list: whom DNS leads to this provider, it may speak for. */
static enum policy_reason
prove_provider(struct walk *w)
{
	const struct policy_facts *f = w->facts;
	enum policy_reason r;

	if (w->own->public_network && !w->rules->on[SWITCH_STRICT_PROVIDERS]) {
		walk_match_switch(w, SWITCH_STRICT_PROVIDERS);
		return GO_ON;
	}
	if ((r = walk_ask(w, f->from_domain, NULL)) != GO_ON)
		return r;
	for (unsigned i = 0; i < ntargets(&f->dns); i++)
		if (span_eq(f->dns.targets[i], partner_server(w->own)))
			return GO_ON;
	w->matched = w->own->at;
	return POLICY_REASON_FROM_NOT_OF_PROVIDER;
}

enum policy_reason
step_proof(struct walk *w)
{
	if (w->candidate)
		return prove_discovered(w);
	return w->d->class == POLICY_CLASS_PROVIDER ? prove_provider(w) : GO_ON;
}

/* Who is on no list is watched by the edge, which can count (MS 9). */
enum policy_reason
step_limits(struct walk *w)
{
	if (w->d->class == POLICY_CLASS_ENHANCED)
		w->d->limited = walk_allowed(w, &w->from, w->facts->from_domain) == &w->rules->open;
	return GO_ON;
}

/* ---- outward ---- */

/* Does DNS lead to a provider? Asked only if there is one. */
enum policy_reason
step_provider(struct walk *w)
{
	const struct policy_dns *dns = &w->facts->dns;
	struct span domain = walk_target_domain(w);
	const struct allowed *a = NULL;
	enum policy_reason r;
	bool off = false;

	if (w->rules->nproviders == 0 || span_is_empty(domain) || policy_domain_is_ip(domain))
		return GO_ON;
	/* one question serves this step and the next */
	a = walk_allowed(w, walk_target(w), domain);
	w->matched = (struct place){ NULL, 0 };
	if ((r = walk_ask(w, domain, a)) != GO_ON)
		return r;
	for (unsigned i = 0; i < ntargets(dns); i++) {
		const struct name_rule *server = names_exact(w->rules->names, NAME_SERVER, dns->targets[i]);
		const struct partner *p;

		if (server == NULL)
			continue;
		p = &w->rules->partners[server->value];
		if (p->class != POLICY_CLASS_PROVIDER)
			continue;
		w->matched = p->at;
		if (p->enabled) {
			w->d->hop = POLICY_HOP_PARTNER;
			w->d->partner = server->value;
			return GO_ON;
		}
		off = true;
	}
	return off ? POLICY_REASON_PROVIDER_OFF : GO_ON;
}

enum policy_reason
step_enhanced(struct walk *w)
{
	const struct policy_dns *dns = &w->facts->dns;
	struct span domain = walk_target_domain(w);
	const struct allowed *a;
	enum policy_reason r;
	bool inside = false;

	if (!w->rules->on[SWITCH_DISCOVERY] || span_is_empty(domain))
		return GO_ON;
	if ((a = walk_allowed(w, walk_target(w), domain)) == NULL)
		return POLICY_REASON_DOMAIN_NOT_ALLOWED;
	if ((r = walk_ask(w, domain, a)) != GO_ON)
		return r;
	for (unsigned i = 0; i < ntargets(dns); i++) {
		if (!is_inside(dns->targets[i], domain))
			continue;
		inside = true;
		if (is_partner_port(dns->ports[i]))
			w->d->targets |= (uint16_t)(1u << i);
	}
	if (w->d->targets == 0)
		return inside ? POLICY_REASON_SRV_PORT : POLICY_REASON_SRV_OUTSIDE_DOMAIN;
	w->d->hop = POLICY_HOP_DISCOVERED;
	return GO_ON;
}
