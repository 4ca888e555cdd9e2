/*
 * Who may pass and where to: a table of cases, and rules that hold for all
 * combinations of facts.
 */
#include "director/homes.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/unit.h"

#define USER(p)		{ .entry = HOME_KNOWN, .remote = true, .federation = true, .public_im = true, .pool = (p) }
#define INSIDE		.has_edges = true, .pool_of_source = -1
/* somebody who has proved to be the sender, writing to a user of ours */
#define PROVED(s)	INSIDE, .source = (s), .proof = HOME_PROOF_OK, .from_is_principal = true, .to_is_principal = true, \
			.from_ours = true, .to_ours = true, .principal = USER(1), .addressee = USER(2)
#define SERVER(s)	INSIDE, .source = (s), .to_ours = true, .addressee = USER(2)
#define M(m)		.method = POLICY_METHOD_##m
#define BY_ROUTE(n, i)	.route = POLICY_ROUTE_OURS, .next = (n), .next_index = (i)

/* A row begins with the ordinary case and overwrites what is different. */
#pragma GCC diagnostic ignored "-Woverride-init"

static const struct {
	const char		*what;
	struct home_facts	 f;
	struct home_decision	 want;
} rows[] = {
#define REFUSED(r)	{ .verdict = HOME_REFUSE, .reason = POLICY_REASON_##r }
#define CHALLENGED(r)	{ .verdict = HOME_CHALLENGE, .reason = POLICY_REASON_##r }
#define TO(w, i)	{ .verdict = HOME_PROXY, .reason = POLICY_REASON_ALLOWED, .where = (w), .index = (i) }
	{ "nothing known", { .source = HOME_FROM_NOBODY }, REFUSED(UNTRUSTED_PEER) },
	{ "edge without a mark", { SERVER(HOME_FROM_EDGE), M(MESSAGE) }, REFUSED(UNTRUSTED_PEER) },
	{ "edge asks whether we live", { SERVER(HOME_FROM_EDGE), M(OPTIONS), .to_us = true },
	    { .verdict = HOME_ANSWER, .reason = POLICY_REASON_ALLOWED } },
	/* users */
	{ "no credentials", { INSIDE, .source = HOME_FROM_USER, M(REGISTER) }, CHALLENGED(UNAUTHENTICATED) },
	{ "not looked at", { INSIDE, .source = HOME_FROM_USER, M(REGISTER), .proof = HOME_PROOF_UNASKED },
	    { .verdict = HOME_ASK_PROOF, .reason = POLICY_REASON_UNDECIDED } },
	{ "wrong", { INSIDE, .source = HOME_FROM_USER, M(REGISTER), .proof = HOME_PROOF_BAD }, CHALLENGED(BAD_CREDENTIALS) },
	{ "stale", { INSIDE, .source = HOME_FROM_USER, M(REGISTER), .proof = HOME_PROOF_STALE }, CHALLENGED(STALE_NONCE) },
	{ "replayed", { INSIDE, .source = HOME_FROM_USER, M(INVITE), .proof = HOME_PROOF_REPLAYED }, CHALLENGED(REPLAYED) },
	{ "handshake", { INSIDE, .source = HOME_FROM_USER, M(REGISTER), .proof = HOME_PROOF_GOING_ON },
	    CHALLENGED(UNAUTHENTICATED) },
	{ "old association", { INSIDE, .source = HOME_FROM_USER, M(MESSAGE), .proof = HOME_PROOF_EXPIRED },
	    CHALLENGED(UNAUTHENTICATED) },
	{ "clocks differ", { INSIDE, .source = HOME_FROM_USER, M(REGISTER), .proof = HOME_PROOF_SKEWED },
	    CHALLENGED(CLOCK_SKEW) },
	{ "forged", { INSIDE, .source = HOME_FROM_USER, M(MESSAGE), .proof = HOME_PROOF_FORGED },
	    CHALLENGED(BAD_SIGNATURE) },
	{ "ACK with a wrong signature", { INSIDE, .source = HOME_FROM_USER, M(ACK), .proof = HOME_PROOF_FORGED,
	    .route = POLICY_ROUTE_OURS, .flow_leads = true }, { HOME_DROP, POLICY_REASON_STRAY_ACK, 0, 0 } },
	{ "no domain controller says anything", { INSIDE, .source = HOME_FROM_CLIENT, M(REGISTER),
	    .proof = HOME_PROOF_NO_DOMAIN }, REFUSED(DOMAIN_UNAVAILABLE) },
	{ "nobody says whose address it is", { INSIDE, .source = HOME_FROM_USER, M(REGISTER),
	    .proof = HOME_PROOF_NO_DIRECTORY }, REFUSED(DIRECTORY_UNAVAILABLE) },
	{ "authd is gone", { INSIDE, .source = HOME_FROM_USER, M(INVITE), .proof = HOME_PROOF_FAILED },
	    REFUSED(AUTH_UNAVAILABLE) },
	{ "registers", { PROVED(HOME_FROM_USER), M(REGISTER) }, TO(HOME_TO_POOL, 1) },
	{ "registers inside", { PROVED(HOME_FROM_CLIENT), M(REGISTER) },
	    { .verdict = HOME_REDIRECT, .reason = POLICY_REASON_ALLOWED, .where = HOME_TO_POOL, .index = 1 } },
	{ "registers another", { PROVED(HOME_FROM_USER), M(REGISTER), .to_is_principal = false }, REFUSED(NOT_YOUR_NAME) },
	{ "as another", { PROVED(HOME_FROM_USER), M(MESSAGE), .from_is_principal = false }, REFUSED(NOT_YOUR_NAME) },
	{ "writes", { PROVED(HOME_FROM_USER), M(MESSAGE), .to_is_principal = false }, TO(HOME_TO_POOL, 2) },
	{ "not from outside", { PROVED(HOME_FROM_USER), M(REGISTER), .principal.remote = false },
	    REFUSED(REMOTE_ACCESS_OFF) },
	{ "but from inside", { PROVED(HOME_FROM_CLIENT), M(MESSAGE), .principal.remote = false }, TO(HOME_TO_POOL, 2) },
	{ "pool unknown", { PROVED(HOME_FROM_USER), M(REGISTER), .principal.pool = -1 }, REFUSED(NO_ROUTE) },
	{ "pool unknown, inside", { PROVED(HOME_FROM_CLIENT), M(REGISTER), .principal.pool = -1 }, REFUSED(NO_ROUTE) },
	{ "to a partner", { PROVED(HOME_FROM_USER), M(MESSAGE), .to_ours = false }, TO(HOME_TO_ANY_EDGE, 0) },
	{ "may not write to partners", { PROVED(HOME_FROM_USER), M(MESSAGE), .to_ours = false,
	    .principal.federation = false }, REFUSED(FEDERATION_NOT_ENABLED) },
	{ "may write to public IM alone", { PROVED(HOME_FROM_CLIENT), M(MESSAGE), .to_ours = false, .to_public_im = true,
	    .principal.federation = false }, TO(HOME_TO_ANY_EDGE, 0) },
	{ "may not write to public IM", { PROVED(HOME_FROM_USER), M(MESSAGE), .to_ours = false, .to_public_im = true,
	    .principal.public_im = false }, REFUSED(PUBLIC_IM_NOT_ENABLED) },
	{ "may write to nobody outside", { PROVED(HOME_FROM_USER), M(MESSAGE), .to_ours = false,
	    .principal.public_im = false, .principal.federation = false }, REFUSED(OUTSIDE_NOT_ENABLED) },
	{ "home not asked for", { PROVED(HOME_FROM_USER), M(REGISTER), .principal.entry = HOME_UNASKED },
	    { .verdict = HOME_ASK_PRINCIPAL, .reason = POLICY_REASON_UNDECIDED } },
	{ "home not asked for, another's name", { PROVED(HOME_FROM_USER), M(MESSAGE), .from_is_principal = false,
	    .principal.entry = HOME_UNASKED }, REFUSED(NOT_YOUR_NAME) },
	{ "home unknown", { PROVED(HOME_FROM_USER), M(REGISTER), .principal.entry = HOME_UNKNOWN },
	    REFUSED(USER_NOT_ENABLED) },
	{ "no directory", { PROVED(HOME_FROM_CLIENT), M(REGISTER), .principal.entry = HOME_NO_DIRECTORY },
	    REFUSED(DIRECTORY_UNAVAILABLE) },
	{ "no directory about the addressee", { PROVED(HOME_FROM_CLIENT), M(MESSAGE),
	    .addressee.entry = HOME_NO_DIRECTORY }, REFUSED(DIRECTORY_UNAVAILABLE) },
	{ "static route", { PROVED(HOME_FROM_USER), M(INVITE), .has_static = true, .static_index = 3,
	    .addressee.entry = HOME_UNASKED }, TO(HOME_TO_STATIC, 3) },
	{ "static route outward", { PROVED(HOME_FROM_USER), M(INVITE), .has_static = true, .static_index = 3,
	    .to_ours = false, .principal.federation = false }, TO(HOME_TO_STATIC, 3) },
	{ "static route, unproved", { INSIDE, .source = HOME_FROM_USER, M(INVITE), .has_static = true },
	    CHALLENGED(UNAUTHENTICATED) },
	{ "static route, not from outside", { PROVED(HOME_FROM_USER), M(INVITE), .has_static = true,
	    .principal.remote = false }, REFUSED(REMOTE_ACCESS_OFF) },
	{ "no way out", { PROVED(HOME_FROM_USER), M(MESSAGE), .to_ours = false, .has_edges = false }, REFUSED(NO_ROUTE) },
	{ "asks the domain", { PROVED(HOME_FROM_USER), M(SUBSCRIBE), .to_nobody = true }, TO(HOME_TO_POOL, 1) },
	{ "to somebody", { PROVED(HOME_FROM_USER), M(MESSAGE), .addressee.entry = HOME_UNASKED },
	    { .verdict = HOME_ASK_ADDRESSEE, .reason = POLICY_REASON_UNDECIDED } },
	{ "to nobody", { PROVED(HOME_FROM_USER), M(MESSAGE), .addressee.entry = HOME_UNKNOWN }, REFUSED(UNKNOWN_USER) },
	{ "in a dialog", { PROVED(HOME_FROM_USER), M(BYE), BY_ROUTE(HOME_NEXT_POOL, 3) }, TO(HOME_TO_POOL, 3) },
	{ "in a dialog, unproved", { INSIDE, .source = HOME_FROM_USER, M(BYE), BY_ROUTE(HOME_NEXT_POOL, 3) },
	    CHALLENGED(UNAUTHENTICATED) },
	{ "route of another", { PROVED(HOME_FROM_USER), M(BYE), .route = POLICY_ROUTE_FOREIGN, .next = HOME_NEXT_POOL },
	    REFUSED(ROUTE_NOT_OURS) },
	{ "forged route", { PROVED(HOME_FROM_USER), M(BYE), .route = POLICY_ROUTE_FORGED }, REFUSED(ROUTE_FORGED) },
	{ "forged, unproved", { INSIDE, .source = HOME_FROM_USER, M(BYE), .route = POLICY_ROUTE_FORGED },
	    REFUSED(ROUTE_FORGED) },
	{ "ACK", { INSIDE, .source = HOME_FROM_USER, M(ACK), BY_ROUTE(HOME_NEXT_POOL, 3) }, TO(HOME_TO_POOL, 3) },
	{ "ACK by the token", { INSIDE, .source = HOME_FROM_USER, M(ACK), BY_ROUTE(HOME_NEXT_NONE, 0), .flow_leads = true },
	    TO(HOME_TO_FLOW, 0) },
	{ "ACK of who signs, unsigned", { INSIDE, .source = HOME_FROM_USER, M(ACK), BY_ROUTE(HOME_NEXT_POOL, 3), .way_signs = true },
	    { .verdict = HOME_DROP, .reason = POLICY_REASON_STRAY_ACK } },
	{ "ACK of who signs, with a password that nobody looks at", { INSIDE, .source = HOME_FROM_CLIENT, M(ACK),
	    .proof = HOME_PROOF_UNASKED, BY_ROUTE(HOME_NEXT_POOL, 3), .way_signs = true },
	    { .verdict = HOME_DROP, .reason = POLICY_REASON_STRAY_ACK } },
	{ "ACK of who signs", { PROVED(HOME_FROM_USER), M(ACK), BY_ROUTE(HOME_NEXT_POOL, 3), .way_signs = true },
	    TO(HOME_TO_POOL, 3) },
	{ "ACK in another's name", { INSIDE, .source = HOME_FROM_USER, M(ACK), .proof = HOME_PROOF_OK, BY_ROUTE(HOME_NEXT_POOL, 3) },
	    { .verdict = HOME_DROP, .reason = POLICY_REASON_STRAY_ACK } },
	{ "ACK of the other side", { SERVER(HOME_FROM_POOL), M(ACK), BY_ROUTE(HOME_NEXT_EDGE, 0), .way_signs = true },
	    TO(HOME_TO_EDGE, 0) },
	{ "ACK to nowhere", { INSIDE, .source = HOME_FROM_USER, M(ACK), BY_ROUTE(HOME_NEXT_NONE, 0) },
	    { .verdict = HOME_DROP, .reason = POLICY_REASON_STRAY_ACK } },
	{ "ACK of nothing", { INSIDE, .source = HOME_FROM_USER, M(ACK) },
	    { .verdict = HOME_DROP, .reason = POLICY_REASON_STRAY_ACK } },
	/* partners */
	{ "partner registers", { SERVER(HOME_FROM_PARTNER), M(REGISTER) }, REFUSED(REGISTER_FROM_FEDERATION) },
	{ "partner writes", { SERVER(HOME_FROM_PARTNER), M(MESSAGE) }, TO(HOME_TO_POOL, 2) },
	{ "partner, not asked", { SERVER(HOME_FROM_PARTNER), M(MESSAGE), .addressee.entry = HOME_UNASKED },
	    { .verdict = HOME_ASK_ADDRESSEE, .reason = POLICY_REASON_UNDECIDED } },
	{ "partner, authd gone", { SERVER(HOME_FROM_PARTNER), M(MESSAGE), .addressee.entry = HOME_UNAVAILABLE },
	    REFUSED(AUTH_UNAVAILABLE) },
	{ "partner to nobody", { SERVER(HOME_FROM_PARTNER), M(MESSAGE), .addressee.entry = HOME_UNKNOWN },
	    REFUSED(UNKNOWN_USER) },
	{ "partner to the domain", { SERVER(HOME_FROM_PARTNER), M(OPTIONS), .to_nobody = true }, REFUSED(UNKNOWN_USER) },
	{ "partner to one who may not", { SERVER(HOME_FROM_PARTNER), M(MESSAGE), .addressee.federation = false },
	    REFUSED(FEDERATION_NOT_ENABLED) },
	{ "provider to one who may not", { SERVER(HOME_FROM_PROVIDER), M(MESSAGE), .addressee.public_im = false },
	    REFUSED(PUBLIC_IM_NOT_ENABLED) },
	{ "provider, other gate", { SERVER(HOME_FROM_PROVIDER), M(MESSAGE), .addressee.federation = false },
	    TO(HOME_TO_POOL, 2) },
	{ "partner, other gate", { SERVER(HOME_FROM_PARTNER), M(MESSAGE), .addressee.public_im = false },
	    TO(HOME_TO_POOL, 2) },
	{ "partner through us", { SERVER(HOME_FROM_PARTNER), M(MESSAGE), .to_ours = false }, REFUSED(TO_NOT_INTERNAL) },
	{ "partner as one of us", { SERVER(HOME_FROM_PARTNER), M(MESSAGE), .from_ours = true }, REFUSED(SPOOFED_FROM) },
	{ "partner in a dialog", { SERVER(HOME_FROM_PARTNER), M(INFO), BY_ROUTE(HOME_NEXT_POOL, 0),
	    .addressee.entry = HOME_UNASKED }, TO(HOME_TO_POOL, 0) },
	{ "partner in a dialog, something new", { SERVER(HOME_FROM_PARTNER), M(MESSAGE), BY_ROUTE(HOME_NEXT_POOL, 0),
	    .in_dialog = true }, TO(HOME_TO_POOL, 0) },
	{ "partner in a dialog, something new, not asked", { SERVER(HOME_FROM_PARTNER), M(MESSAGE), BY_ROUTE(HOME_NEXT_POOL, 0),
	    .in_dialog = true, .addressee.entry = HOME_UNASKED }, { .verdict = HOME_ASK_ADDRESSEE, .reason = POLICY_REASON_UNDECIDED } },
	{ "partner in a dialog, to one who may not", { SERVER(HOME_FROM_PARTNER), M(INVITE), BY_ROUTE(HOME_NEXT_POOL, 0),
	    .in_dialog = true, .addressee.federation = false }, REFUSED(FEDERATION_NOT_ENABLED) },
	{ "provider in a dialog, to one who may not", { SERVER(HOME_FROM_PROVIDER), M(SUBSCRIBE), BY_ROUTE(HOME_NEXT_POOL, 0),
	    .in_dialog = true, .addressee.public_im = false }, REFUSED(PUBLIC_IM_NOT_ENABLED) },
	{ "partner ends a dialog with one who may not", { SERVER(HOME_FROM_PARTNER), M(BYE), BY_ROUTE(HOME_NEXT_POOL, 0),
	    .in_dialog = true, .addressee.federation = false }, TO(HOME_TO_POOL, 0) },
	{ "partner in a dialog, to a device", { SERVER(HOME_FROM_PARTNER), M(INVITE), BY_ROUTE(HOME_NEXT_POOL, 0),
	    .in_dialog = true, .addressee.entry = HOME_UNKNOWN }, TO(HOME_TO_POOL, 0) },
	{ "partner in a dialog, authd gone", { SERVER(HOME_FROM_PARTNER), M(INVITE), BY_ROUTE(HOME_NEXT_POOL, 0),
	    .in_dialog = true, .addressee.entry = HOME_UNAVAILABLE }, TO(HOME_TO_POOL, 0) },
	{ "partner by way of us to an edge", { SERVER(HOME_FROM_PARTNER), M(MESSAGE), BY_ROUTE(HOME_NEXT_EDGE, 0), .to_ours = false },
	    REFUSED(ROUTE_NOT_OURS) },
	{ "user past the gates to an edge", { PROVED(HOME_FROM_USER), M(MESSAGE), BY_ROUTE(HOME_NEXT_EDGE, 0), .to_ours = false,
	    .principal.federation = false }, REFUSED(ROUTE_NOT_OURS) },
	{ "user in a dialog through an edge", { PROVED(HOME_FROM_USER), M(MESSAGE), BY_ROUTE(HOME_NEXT_EDGE, 1), .to_ours = false,
	    .in_dialog = true }, TO(HOME_TO_EDGE, 1) },
	{ "partner and a static route", { SERVER(HOME_FROM_PARTNER), M(INVITE), .has_static = true }, TO(HOME_TO_POOL, 2) },
	{ "partner and a foreign static route", { SERVER(HOME_FROM_PARTNER), M(INVITE), .has_static = true,
	    .to_ours = false }, REFUSED(TO_NOT_INTERNAL) },
	{ "partner and a static route for partners", { SERVER(HOME_FROM_PARTNER), M(INVITE), .has_static = true,
	    .static_for_partners = true, .static_index = 1 }, TO(HOME_TO_STATIC, 1) },
	/* pools */
	{ "pool by a static route", { SERVER(HOME_FROM_POOL), M(INVITE), .has_static = true, .static_index = 2 },
	    TO(HOME_TO_STATIC, 2) },
	{ "pool out for a user, not asked", { SERVER(HOME_FROM_POOL), M(MESSAGE), .to_ours = false, .from_ours = true },
	    { .verdict = HOME_ASK_SENDER, .reason = POLICY_REASON_UNDECIDED } },
	{ "pool out for a user", { SERVER(HOME_FROM_POOL), M(MESSAGE), .to_ours = false, .from_ours = true,
	    .sender = USER(1) }, TO(HOME_TO_ANY_EDGE, 0) },
	{ "pool out for one who may not", { SERVER(HOME_FROM_POOL), M(MESSAGE), .to_ours = false, .from_ours = true,
	    .sender = USER(1), .sender.federation = false }, REFUSED(FEDERATION_NOT_ENABLED) },
	{ "pool out for a service", { SERVER(HOME_FROM_POOL), M(MESSAGE), .to_ours = false, .from_ours = true,
	    .sender.entry = HOME_UNKNOWN }, TO(HOME_TO_ANY_EDGE, 0) },
	{ "pool out, no directory", { SERVER(HOME_FROM_POOL), M(MESSAGE), .to_ours = false, .from_ours = true,
	    .sender.entry = HOME_NO_DIRECTORY }, REFUSED(DIRECTORY_UNAVAILABLE) },
	{ "pool out", { SERVER(HOME_FROM_POOL), M(MESSAGE), .to_ours = false }, TO(HOME_TO_ANY_EDGE, 0) },
	{ "pool to a pool", { SERVER(HOME_FROM_POOL), M(MESSAGE) }, TO(HOME_TO_POOL, 2) },
	{ "pool to itself", { SERVER(HOME_FROM_POOL), M(MESSAGE), .pool_of_source = 2 }, REFUSED(LOOPS_BACK) },
	{ "pool along a Path", { SERVER(HOME_FROM_POOL), M(MESSAGE), BY_ROUTE(HOME_NEXT_EDGE, 1), .to_ours = false },
	    TO(HOME_TO_EDGE, 1) },
	{ "pool along its own route", { SERVER(HOME_FROM_POOL), M(MESSAGE), .route = POLICY_ROUTE_FOREIGN,
	    .next = HOME_NEXT_EDGE, .next_index = 1 }, TO(HOME_TO_EDGE, 1) },
	{ "pool along a stranger's", { SERVER(HOME_FROM_POOL), M(MESSAGE), .route = POLICY_ROUTE_FOREIGN,
	    .next = HOME_NEXT_OTHER }, REFUSED(ROUTE_NOT_OURS) },
	{ "pool, client gone", { SERVER(HOME_FROM_POOL), M(BYE), BY_ROUTE(HOME_NEXT_OTHER, -1) }, REFUSED(FLOW_GONE) },
	{ "pool registers", { SERVER(HOME_FROM_POOL), M(REGISTER) }, REFUSED(METHOD_NOT_ALLOWED) },
	{ "pool asks for us", { SERVER(HOME_FROM_POOL), M(OPTIONS), .to_us = true },
	    { .verdict = HOME_ANSWER, .reason = POLICY_REASON_ALLOWED } },
	{ "pool sends us something", { SERVER(HOME_FROM_POOL), M(MESSAGE), .to_us = true }, REFUSED(NO_ROUTE) }
};

START_TEST(cases)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct home_decision d = homes_decide(&rows[i].f);
		const struct home_decision *w = &rows[i].want;

		ck_assert_msg(d.verdict == w->verdict && d.reason == w->reason && d.where == w->where && d.index == w->index,
		    "%s: verdict %d, reason %s, where %d, index %d", rows[i].what, d.verdict, policy_reason_name(d.reason),
		    d.where, d.index);
	}
}
END_TEST

/* The next combination of all facts that are a choice; false after the last. */
static bool
next_combination(unsigned *digit, const unsigned *of, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (++digit[i] < of[i])
			return true;
		digit[i] = 0;
	}
	return false;
}

static const enum policy_method methods[] = { POLICY_METHOD_OTHER, POLICY_METHOD_INVITE, POLICY_METHOD_ACK,
    POLICY_METHOD_REGISTER, POLICY_METHOD_OPTIONS, POLICY_METHOD_MESSAGE };

static struct home_facts
facts_of(const unsigned *d)
{
	return (struct home_facts){
		.source = (enum home_source)d[0], .method = methods[d[1]], .route = (enum policy_route)d[2],
		.next = (enum home_next)d[3], .flow_leads = d[4] & 1, .way_signs = d[4] >> 1, .from_ours = d[5] & 1, .to_ours = d[5] >> 1 & 1,
		.to_us = d[5] >> 2, .to_nobody = d[6], .from_is_principal = d[7] & 1, .to_is_principal = d[7] >> 1,
		.has_edges = d[8], .proof = (enum home_proof)d[9], .pool_of_source = 2,
		.principal = { .entry = HOME_KNOWN, .remote = d[10] & 1, .federation = d[10] >> 1, .pool = 1 },
		.addressee = { .entry = (enum home_entry)d[11], .federation = d[12] & 1, .public_im = d[12] >> 1, .pool = 2 }
	};
}

/* Whatever the facts: nobody passes who should not. */
START_TEST(always)
{
	static const unsigned of[] = { HOME_NSOURCES, 6, 4, 4, 4, 8, 2, 4, 2, 7, 4, 4, 4 };
	unsigned digit[13] = { 0 };
	unsigned long n = 0;

	do {
		struct home_facts f = facts_of(digit);
		struct home_decision d = homes_decide(&f);
		bool passes = d.verdict == HOME_PROXY || d.verdict == HOME_REDIRECT;
		bool user = f.source == HOME_FROM_USER || f.source == HOME_FROM_CLIENT;
		bool ack = f.method == POLICY_METHOD_ACK;
		bool ours = f.route == POLICY_ROUTE_OURS;

		n++;
		if (ack ? d.verdict != HOME_PROXY && d.verdict != HOME_DROP && f.source != HOME_FROM_NOBODY :
		    d.verdict == HOME_DROP)
			ck_abort_msg("an ACK is answered, or another request dropped");
		if (passes && (f.source == HOME_FROM_NOBODY || (f.source == HOME_FROM_EDGE && !ack) || (ack && !ours)))
			ck_abort_msg("a stranger passes");
		if (passes && user && !ack && (f.proof != HOME_PROOF_OK || !f.from_is_principal))
			ck_abort_msg("unproved, or as another");
		if (passes && user && ack && ((f.way_signs && f.proof != HOME_PROOF_OK) ||
		    (f.proof == HOME_PROOF_OK && !f.from_is_principal)))
			ck_abort_msg("an ACK unproved, or as another");
		if (passes && f.source == HOME_FROM_USER && !ack && !f.principal.remote)
			ck_abort_msg("remote access is off");
		if (passes && f.method == POLICY_METHOD_REGISTER && (!user || !f.to_is_principal))
			ck_abort_msg("registers another");
		if (passes && f.route == POLICY_ROUTE_FORGED)
			ck_abort_msg("along a forged route");
		if (passes && !ack && d.where == HOME_TO_EDGE && f.source != HOME_FROM_POOL)
			ck_abort_msg("something new to an edge, past the gates");
		if (passes && f.source == HOME_FROM_PARTNER && (f.method == POLICY_METHOD_INVITE || f.method == POLICY_METHOD_MESSAGE ||
		    f.method == POLICY_METHOD_OTHER) && f.to_ours && !f.to_nobody && f.addressee.entry == HOME_KNOWN &&
		    !f.addressee.federation)
			ck_abort_msg("a partner to one who may not");
		if (d.verdict == HOME_CHALLENGE && (!user || ack))
			ck_abort_msg("a server or an ACK is challenged");
		if (passes && d.where == HOME_TO_NOTHING)
			ck_abort_msg("passes to nowhere");
		if (!passes && d.verdict == HOME_REFUSE && (d.reason == POLICY_REASON_ALLOWED ||
		    d.reason == POLICY_REASON_UNDECIDED))
			ck_abort_msg("refused without a reason");
	} while (next_combination(digit, of, 13));
	ck_assert_uint_gt(n, 1000000);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { cases, always };

	return unit_run("director-homes", tests, sizeof(tests) / sizeof(tests[0]));
}
