/*
 * admin/http/explanation.c - see explanation.h.
 */
#include "admin/http/explanation.h"

#include <stdio.h>
#include <string.h>

#include "admin/explain.h"
#include "admin/policyfile.h"
#include "common/err.h"
#include "policy/domain.h"

#define WHO_MAX		512	/* bytes of a sender or an addressee */
#define MESSAGE_MAX	65536	/* bytes of a captured message, as limits.message_size has it */

static void
keep(void *arg, struct span bytes)
{
	struct record r;

	if (record_parse(&r, bytes))
		answer_add(arg, &r);
}

/* The rules that are asked; NULL: err and u->errs say why. */
static struct policy_rules *
rules_of(struct policy_use *u, const struct http_request *q, bool candidate, int *err)
{
	struct policystore_text t = { .text = NULL };
	struct policy_rules *rules = NULL;

	*err = candidate ? policystore_candidate(u->store, q->account, &t, u->errs) : policystore_current(u->store, &t, u->errs);
	if (*err == SP_OK) {
		rules = policyfile_load_text(candidate ? "candidate" : "policy", policystore_span(&t), u->dir, u->errs);
		*err = rules != NULL ? SP_OK : SP_EINVAL;
	}
	policystore_text_fini(&t);
	return rules;
}

static bool
is_token(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.!%*_+`'~", s.p[i]) == NULL)
			return false;
	return s.n != 0 && s.n < 64;
}

/* What is wrong with the wish itself; NULL: nothing. */
static const char *
wrong(const struct explanation_wish *w, const char **field)
{
	*field = "message";
	if (w->message.n != 0)
		return w->message.n > MESSAGE_MAX ? "It is larger than 65536 bytes." : NULL;
	*field = "from";
	if (w->from.n == 0 || w->from.n > WHO_MAX)
		return "Expects a domain, an address or a URI.";
	*field = "to";
	if (w->to.n == 0 || w->to.n > WHO_MAX)
		return "Expects a domain, an address or a URI.";
	*field = "method";
	if (w->method.n != 0 && !is_token(w->method))
		return "Expects a method, like MESSAGE or INVITE.";
	return NULL;
}

bool
explanation_make(struct policy_use *u, const struct http_request *q, const struct explanation_wish *w, struct answer *out,
    bool *allowed, const char **field, const char **why, int *err)
{
	char from[WHO_MAX + 1], to[WHO_MAX + 1], method[64], peer[DOMAIN_MAX];
	struct explain_question e = { .side = span_is(w->door, "out") ? POLICY_SIDE_INNER : POLICY_SIDE_OUTER,
	    .door_users = true, .door_partners = true, .from = from, .to = to, .method = method, .in_dialog = w->in_dialog,
	    .inner_name = "edge.invalid", .message = w->message };
	struct policy_rules *rules;
	enum explain_verdict v;
	bool is_ip = false;

	memset(out, 0, sizeof(*out));
	*err = SP_OK;
	if ((*why = wrong(w, field)) != NULL)
		return false;
	snprintf(from, sizeof(from), "%.*s", SPAN_FMT(w->from));
	snprintf(to, sizeof(to), "%.*s", SPAN_FMT(w->to));
	snprintf(method, sizeof(method), "%.*s", w->method.n != 0 ? (int)w->method.n : 7, w->method.n != 0 ? w->method.p : "MESSAGE");
	if (w->peer.n != 0) {
		*field = "peer";
		*why = "Expects the name of a host, as a certificate proves it.";
		if (policy_domain_canon(w->peer, peer, &e.names[0], &is_ip) != SP_OK || is_ip)
			return false;
		e.nnames = 1;
	}
	*field = NULL;
	if ((rules = rules_of(u, q, w->candidate, err)) == NULL)
		return false;
	e.rules = rules;
	v = explain(&e, keep, out, why);
	policy_rules_unref(rules);
	*allowed = v == EXPLAIN_ALLOWED;
	*field = w->message.n != 0 ? "message" : "from";
	return v != EXPLAIN_NO_MESSAGE;
}
