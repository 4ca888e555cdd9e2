/*
 * policy/explain.c - decisions in words, for people and for `sallyportctl explain`.
 */
#include "policy/decision.h"
#include "policy/order.h"

#define OUTSIDE_MAX	80	/* characters of an outsider's text in a sentence */

static const char *const steps[POLICY_NSTEPS] = {
	[POLICY_STEP_NONE] = "none",
	[POLICY_STEP_PEER] = "peer",
	[POLICY_STEP_DOMAINS] = "domains",
	[POLICY_STEP_BLOCKED] = "blocked",
	[POLICY_STEP_CLASS] = "class",
	[POLICY_STEP_SWITCH] = "switch",
	[POLICY_STEP_METHOD] = "method",
	[POLICY_STEP_ROUTE] = "route",
	[POLICY_STEP_SPOOF] = "sender",
	[POLICY_STEP_ADDRESSEE] = "addressee",
	[POLICY_STEP_PROOF] = "dns-proof",
	[POLICY_STEP_LIMITS] = "limits",
	[POLICY_STEP_FLOW] = "remote-flow",
	[POLICY_STEP_STATIC_ROUTE] = "static-route",
	[POLICY_STEP_DIRECT] = "direct-partner",
	[POLICY_STEP_CLEARINGHOUSE] = "default-route",
	[POLICY_STEP_PROVIDER] = "provider",
	[POLICY_STEP_ENHANCED] = "enhanced",
	[POLICY_STEP_HOP] = "next-hop",
	[POLICY_STEP_CONTENT] = "content",
	[POLICY_STEP_MARKS] = "marks",
};

const char *
policy_step_name(enum policy_step s)
{
	return (unsigned)s < POLICY_NSTEPS ? steps[s] : "none";
}

const char *
policy_verdict_name(enum policy_verdict v)
{
	switch (v) {
	case POLICY_ALLOW:
		return "allow";
	case POLICY_ASK_DNS:
		return "ask-dns";
	default:
		return "deny";
	}
}

const char *
policy_hop_name(enum policy_hop h)
{
	switch (h) {
	case POLICY_HOP_DIRECTOR:
		return "director";
	case POLICY_HOP_FLOW:
		return "flow";
	case POLICY_HOP_PARTNER:
		return "partner";
	case POLICY_HOP_DISCOVERED:
		return "discovered";
	default:
		return "none";
	}
}

/* MS 7.1. Branches and clearing houses have no token of their own; these are what the inside takes them for. */
const char *
policy_source_token(enum policy_class c)
{
	switch (c) {
	case POLICY_CLASS_REMOTE_USER:
	case POLICY_CLASS_BRANCH:
		return "InternetUser";
	case POLICY_CLASS_DIRECT:
		return "DirectPartner";
	case POLICY_CLASS_ENHANCED:
		return "AutoFederation";
	case POLICY_CLASS_PROVIDER:
	case POLICY_CLASS_CLEARINGHOUSE:
		return "AuthorizedServer";
	default:
		return NULL;
	}
}

static const char *
class_phrase(enum policy_class c)
{
	switch (c) {
	case POLICY_CLASS_REMOTE_USER:
		return "a remote user";
	case POLICY_CLASS_BRANCH:
		return "a branch proxy";
	case POLICY_CLASS_DIRECT:
		return "a direct partner";
	case POLICY_CLASS_ENHANCED:
		return "a partner found by DNS";
	case POLICY_CLASS_PROVIDER:
		return "a provider";
	case POLICY_CLASS_CLEARINGHOUSE:
		return "a clearing house";
	case POLICY_CLASS_INTERNAL:
		return "an internal server";
	default:
		return "an unknown peer";
	}
}

static const char *
hop_phrase(enum policy_hop h)
{
	switch (h) {
	case POLICY_HOP_DIRECTOR:
		return " goes to the Director";
	case POLICY_HOP_FLOW:
		return " goes out on the user's own connection";
	case POLICY_HOP_PARTNER:
		return " goes to the server that the rules name";
	case POLICY_HOP_DISCOVERED:
		return " goes to the server that DNS names";
	default:
		return " goes back the way its request came";
	}
}

static void
put_domain(struct strbuf *out, const char *before, struct span domain, bool tel)
{
	strbuf_puts(out, before);
	if (tel)
		strbuf_puts(out, "a telephone number");
	else if (span_is_empty(domain))
		strbuf_puts(out, "nowhere valid");
	else
		strbuf_quoted(out, domain, OUTSIDE_MAX);
}

static const struct policy_trail *
settled(const struct policy_decision *d)
{
	return d->ntrail != 0 && d->trail[d->ntrail - 1].settled ? &d->trail[d->ntrail - 1] : NULL;
}

static void
put_place(struct strbuf *out, const char *before, const struct policy_trail *t, const char *after)
{
	if (t == NULL || t->file == NULL)
		return;
	strbuf_puts(out, before);
	strbuf_puts(out, t->file);
	strbuf_putc(out, ':');
	strbuf_uint(out, t->line > 0 ? (uint64_t)t->line : 0);
	strbuf_puts(out, after);
}

/*
 * "Refused with 403 (from-domain-blocked): the INVITE from "x.example" to
 * "contoso.example", sent by a direct partner at the outer door. The sender's
 * domain is on the block list (policy.conf:12)."
 */
void
policy_explain(const struct policy_decision *d, const struct policy_facts *f, struct strbuf *out)
{
	bool allowed = d->verdict == POLICY_ALLOW;
	int status = policy_reason_status(d->reason);

	if (allowed) {
		strbuf_puts(out, "Allowed");
	} else if (d->verdict == POLICY_ASK_DNS) {
		strbuf_puts(out, "Waits for DNS");
	} else {
		strbuf_puts(out, status != 0 ? "Refused with " : "Dropped");
		if (status != 0)
			strbuf_uint(out, (uint64_t)status);
		strbuf_puts(out, " (");
		strbuf_puts(out, policy_reason_name(d->reason));
		strbuf_putc(out, ')');
	}
	strbuf_puts(out, f->is_response ? ": the response to the " : ": the ");
	if (f->method != POLICY_METHOD_OTHER)
		strbuf_puts(out, policy_method_name(f->method));
	else
		strbuf_quoted(out, f->method_name, OUTSIDE_MAX);
	put_domain(out, " from ", f->from_domain, f->from_tel);
	put_domain(out, " to ", f->to_domain, f->to_tel);
	if (f->ruri_tel != f->to_tel || (!span_is_empty(f->ruri_domain) && !span_eq(f->ruri_domain, f->to_domain)))
		put_domain(out, ", addressed to ", f->ruri_domain, f->ruri_tel);
	strbuf_puts(out, ", sent by ");
	strbuf_puts(out, class_phrase(d->class));
	strbuf_puts(out, " at the ");
	strbuf_puts(out, policy_side_name(f->side));
	strbuf_puts(out, " door");
	if (allowed) {
		strbuf_putc(out, ',');
		strbuf_puts(out, hop_phrase(d->hop));
		if (d->mark_inward)
			strbuf_puts(out, d->verification == POLICY_VERIFIED ? ", marked verified" :
			    ", marked unverified");
		strbuf_putc(out, '.');
		return;
	}
	strbuf_puts(out, ". ");
	strbuf_puts(out, policy_reason_text(d->reason));
	put_place(out, " (", settled(d), ")");
}

static void
put_padded(struct strbuf *out, const char *s, size_t width)
{
	size_t n = strlen(s);

	strbuf_puts(out, s);
	for (; n < width; n++)
		strbuf_putc(out, ' ');
}

void
policy_explain_trail(const struct policy_decision *d, struct strbuf *out)
{
	for (unsigned i = 0; i < d->ntrail; i++) {
		const struct policy_trail *t = &d->trail[i];

		put_padded(out, policy_step_name(t->step), 16);
		strbuf_puts(out, !t->settled ? "passed" : policy_reason_name(d->reason));
		put_place(out, "  ", t, "");
		strbuf_putc(out, '\n');
	}
}

const char *
policy_step_question(enum policy_step step, enum policy_side side, bool is_response)
{
	bool outer = side == POLICY_SIDE_OUTER;
	const struct policy_stage *s = is_response ? (outer ? policy_response_outer : policy_response_inner) :
	    outer ? policy_order_outer : policy_order_inner;

	for (; s->step != POLICY_STEP_NONE; s++)
		if (s->step == step)
			return s->question;
	return "";
}

static void
print_stages(const struct policy_stage *s, const char *title, struct strbuf *out)
{
	unsigned n = 1;

	strbuf_puts(out, title);
	for (; s->step != POLICY_STEP_NONE; s++, n++) {
		strbuf_puts(out, n < 10 ? "   " : "  ");
		strbuf_uint(out, n);
		strbuf_puts(out, "  ");
		put_padded(out, policy_step_name(s->step), 16);
		strbuf_puts(out, s->question);
		if (s->run == NULL)
			strbuf_puts(out, " (no rule of this kind in this version)");
		strbuf_putc(out, '\n');
	}
}

void
policy_print_order(struct strbuf *out)
{
	print_stages(policy_order_outer, "Requests at the outer door:\n", out);
	print_stages(policy_order_inner, "Requests at the inner door:\n", out);
	print_stages(policy_response_outer, "Responses at the outer door:\n", out);
	print_stages(policy_response_inner, "Responses at the inner door:\n", out);
}
