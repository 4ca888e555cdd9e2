/*
 * policy/decision.h - what the policy engine answers, and why.
 *
 * A decision is a plain value: it owns nothing, may be copied, and stays
 * valid after the facts it was made from are gone (as long as the rules live;
 * dns_domain alone borrows from the facts, and targets counts in theirs).
 */
#ifndef SALLYPORT_POLICY_DECISION_H
#define SALLYPORT_POLICY_DECISION_H

#include <stdbool.h>
#include <stdint.h>

#include "common/strbuf.h"
#include "policy/facts.h"
#include "policy/reason.h"

struct policy_content;	/* policy/content.h */
struct policy_rules;

/* Deny is zero on purpose: a decision nobody filled in refuses. */
enum policy_verdict {
	POLICY_DENY = 0,
	POLICY_ASK_DNS,		/* ask for dns_domain, put the answer into the facts, decide again */
	POLICY_ALLOW
};

/* Where an allowed request goes. An allowed response has no hop: it goes back by its transaction. */
enum policy_hop {
	POLICY_HOP_NONE = 0,
	POLICY_HOP_DIRECTOR,	/* one of the configured inside next hops */
	POLICY_HOP_FLOW,	/* the connection that the verified token names */
	POLICY_HOP_PARTNER,	/* a server that the rules name: policy_partner_get(rules, partner) */
	POLICY_HOP_DISCOVERED	/* the targets of the DNS answer whose bits are set in targets, in its order */
};

/* How sure the outer side is about the sender (MS 7.2); also what the mark says. */
enum policy_verification {
	POLICY_UNVERIFIED = 0,
	POLICY_VERIFIED
};

/* The steps of the fixed order, named in trails and by `sallyportctl policy order`. */
enum policy_step {
	POLICY_STEP_NONE = 0,
	POLICY_STEP_PEER,		/* which class the connection can be */
	POLICY_STEP_DOMAINS,		/* are the domains host names at all */
	POLICY_STEP_BLOCKED,		/* block list, both domains and the peer */
	POLICY_STEP_CLASS,		/* which class it is */
	POLICY_STEP_SWITCH,		/* is this class switched on */
	POLICY_STEP_METHOD,		/* may this class send this method */
	POLICY_STEP_ROUTE,		/* Route headers: ours, forged, foreign */
	POLICY_STEP_SPOOF,		/* is the sender's domain the peer's to use */
	POLICY_STEP_ADDRESSEE,		/* is the addressee's domain ours */
	POLICY_STEP_PROOF,		/* does DNS prove that the peer is the sender's server */
	POLICY_STEP_LIMITS,		/* inward: limits of a discovered partner */
	POLICY_STEP_FLOW,		/* outward: a remote user's connection */
	POLICY_STEP_STATIC_ROUTE,	/* outward: a configured route */
	POLICY_STEP_DIRECT,		/* outward: a direct partner */
	POLICY_STEP_CLEARINGHOUSE,	/* outward: the default route */
	POLICY_STEP_PROVIDER,		/* outward: an enabled provider */
	POLICY_STEP_ENHANCED,		/* outward: discovered by DNS */
	POLICY_STEP_HOP,		/* outward: did any of these say where to */
	POLICY_STEP_CONTENT,		/* which rule about links and files holds */
	POLICY_STEP_MARKS,		/* which marks are written */
	POLICY_NSTEPS
};

#define POLICY_TRAIL_MAX	POLICY_NSTEPS	/* no step is taken twice */
#define POLICY_NO_PEER		UINT32_MAX

struct policy_trail {
	enum policy_step	 step;
	bool			 settled;	/* this step ended the decision */
	int			 line;		/* line of the rule that matched; 0: none */
	const char		*file;		/* borrowed from the rules; NULL: none */
};

struct policy_decision {
	enum policy_verdict	 verdict;
	enum policy_reason	 reason;
	enum policy_class	 class;
	enum policy_hop		 hop;
	struct span		 dns_domain;	/* POLICY_ASK_DNS: ask for this domain's partner record */
	struct span		 dns_name;	/* … which is this one instead of the usual; NUL-terminated, or SPAN_NONE */
	uint32_t		 partner;	/* POLICY_HOP_PARTNER: that server; else the peer's own entry if it has one */
	uint32_t		 peer;		/* the peer's own entry, whatever the hop; POLICY_NO_PEER: it has none */
	uint16_t		 targets;	/* POLICY_HOP_DISCOVERED: bit i: facts->dns.targets[i] will do */
	enum policy_verification verification;	/* inward: ms-source-verified-user */
	bool			 mark_inward;	/* write ms-edge-proxy-message-trust */
	bool			 mark_outward;	/* it goes to another organisation: write the two marks below */
	bool			 mark_verifiable; /* outward: ms-asserted-verification-level says verified, else unverified */
	bool			 mark_archiving; /* outward: ms-archiving */
	bool			 pass_archiving; /* outward, relayed: what the other member says of archiving stays */
	bool			 limited;	/* inward: nobody has listed this partner; the limits of MS 9 hold for it */
	bool			 public_network; /* inward: the peer is a public IM provider */
	bool			 mark_identity;	/* inward: assert the sender's identity (RFC 3325) */
	bool			 trust_identity; /* both ways: the other organisation is in our trust domain (RFC 3325); relayed: both are */
	bool			 show_diagnostics; /* outward: ms-diagnostics from inside may go along (MS 7.6) */
	bool			 replace_host;	/* the Request-URI's host becomes the next hop's name */
	const struct policy_content *content;	/* the rule about its links and files; borrowed from the rules; NULL: none */
	unsigned		 ntrail;
	struct policy_trail	 trail[POLICY_TRAIL_MAX];
};

/*
 * Decide about one message. Cannot fail, allocates nothing, reads no clock:
 * equal rules and facts give equal decisions. A fact the caller could not
 * establish is "unknown" and satisfies no allowing rule.
 */
struct policy_decision policy_decide(const struct policy_rules *,
	    const struct policy_facts *);

/*
 * The class that a connection alone proves, for logs and limits before any
 * message: UNKNOWN for a certificate that no rule names, which may turn out to
 * be a discovered partner's. Looks only at the connection's facts.
 */
enum policy_class policy_class_of_peer(const struct policy_rules *,
	    const struct policy_facts *);

/*
 * May this connection stay, before any byte of SIP was read from it or written
 * to it? Looks only at the connection's facts. called: the name that we dialled,
 * lower-case, or SPAN_NONE for who connected to us. ALLOWED, or a reason of
 * policy_reason_is_certificate(): the certificate is not what its partner's rule
 * asks for, or did not verify and its key is nobody's. A certificate that no
 * rule names may stay: its messages are decided about.
 */
enum policy_reason policy_admit(const struct policy_rules *, const struct policy_facts *, struct span called);

/*
 * Does this connection prove to be that server of the rules (policy_partner_get()), by
 * what its rule asks for: its name, or a pinned key? One certificate may prove several.
 */
bool	policy_peer_proves(const struct policy_rules *, const struct policy_facts *, size_t i);

/*
 * Is whoever proves this server's name by a chain that server? Not where its
 * rule asks for more than a name: a connection that proves the name beside
 * others was admitted for one of those, maybe.
 */
bool	policy_name_suffices(const struct policy_rules *, struct span server);

/* Append the sentence an operator would want to read. Borrows both inputs. */
void	policy_explain(const struct policy_decision *,
	    const struct policy_facts *, struct strbuf *out);
/* Append the trail, one step a line, each with the file and line that settled it. */
void	policy_explain_trail(const struct policy_decision *, struct strbuf *out);
/*
 * Append the fixed order, outer door and inner door, one step a line, as
 * `sallyportctl policy order` prints it. Steps that no rule of this version
 * can concern are listed in their place and say so. Wants 4 KiB of room.
 */
void	policy_print_order(struct strbuf *out);

/* What the step asks, of that side's requests or responses; "" where it is not taken. Static. */
const char *policy_step_question(enum policy_step, enum policy_side, bool is_response);
const char *policy_step_name(enum policy_step);
const char *policy_verdict_name(enum policy_verdict);
const char *policy_hop_name(enum policy_hop);
/* The ms-source-type token for an inward mark (MS 7.1): "InternetUser", "DirectPartner", … NULL: none. */
const char *policy_source_token(enum policy_class);

#endif
