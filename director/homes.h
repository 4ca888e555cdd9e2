/*
 * director/homes.h - who may pass, and whose home is where. Pure.
 *
 * Facts in, decision out, as in policy/: no I/O, no clock, no allocation. What
 * has to be asked of authd is asked by the caller when the decision says so,
 * put into the facts, and decided again. The order of the steps is that of
 * homes_decide() and of MS 8.5.
 */
#ifndef SALLYPORT_DIRECTOR_HOMES_H
#define SALLYPORT_DIRECTOR_HOMES_H

#include <stdbool.h>

#include "policy/facts.h"
#include "policy/reason.h"

/* Who sends a request, as far as the connection and a believed mark say. */
enum home_source {
	HOME_FROM_NOBODY = 0,	/* nobody that this door is for */
	HOME_FROM_EDGE,		/* an edge, without a mark that says for whom */
	HOME_FROM_USER,		/* a remote user, through an edge */
	HOME_FROM_PARTNER,	/* a federated partner, through an edge */
	HOME_FROM_PROVIDER,	/* a public IM provider, through an edge */
	HOME_FROM_CLIENT,	/* a client inside */
	HOME_FROM_POOL,		/* a pool, or another trusted server: speaks for users */
	HOME_NSOURCES
};

/* What became of the credentials. */
enum home_proof {
	HOME_PROOF_NONE = 0,	/* there are none that were meant for us */
	HOME_PROOF_UNASKED,	/* authd has to look at them */
	HOME_PROOF_BAD,
	HOME_PROOF_STALE,
	HOME_PROOF_REPLAYED,
	HOME_PROOF_THROTTLED,	/* too many wrong ones before it; nobody looked */
	HOME_PROOF_SKEWED,	/* clocks differ too much to tell */
	HOME_PROOF_NO_DOMAIN,	/* no domain controller said whether they are good */
	HOME_PROOF_NO_DIRECTORY, /* good, but LDAP did not say whose address it is */
	HOME_PROOF_FAILED,	/* authd did not answer, or cannot */
	HOME_PROOF_GOING_ON,	/* a handshake's next step is the client's */
	HOME_PROOF_EXPIRED,	/* signed under an association that is no more */
	HOME_PROOF_FORGED,	/* signed, and the signature is wrong */
	HOME_PROOF_OK
};

/* What the directory says. */
enum home_entry {
	HOME_UNASKED = 0,
	HOME_UNAVAILABLE,	/* authd did not answer */
	HOME_NO_DIRECTORY,	/* authd did; LDAP did not */
	HOME_UNKNOWN,
	HOME_KNOWN
};

/* What the first Route after ours names. */
enum home_next { HOME_NEXT_NONE = 0, HOME_NEXT_EDGE, HOME_NEXT_POOL, HOME_NEXT_OTHER };

struct home_user {
	enum home_entry	 entry;		/* KNOWN: enabled, too */
	bool		 remote, federation, public_im;
	int		 pool;		/* index of the home pool; -1: not among the configured ones */
};

struct home_facts {
	enum home_source	 source;
	int			 pool_of_source; /* HOME_FROM_POOL: its index; -1: a server where nobody lives */
	enum policy_method	 method;
	enum policy_route	 route;
	enum home_next		 next;		/* route OURS or FOREIGN */
	int			 next_index;
	bool			 flow_leads;	/* route OURS, and its token names a server that is configured */
	bool			 way_signs;	/* route OURS, and its token is of a device that signs what it sends */
	bool			 in_dialog;	/* To has a tag */
	bool			 from_ours, to_ours; /* domains of From and Request-URI are our own */
	bool			 to_us;		/* the Request-URI is this Director itself, without a user */
	bool			 to_nobody;	/* the Request-URI has no user */
	bool			 from_is_principal, to_is_principal; /* From, To are the proven user's address */
	bool			 has_edges;
	bool			 to_public_im;	/* the domain of the Request-URI is a public IM provider's */
	bool			 has_static;	/* a static route fits, and does not lead back to who sends */
	bool			 static_for_partners;
	int			 static_index;
	enum home_proof		 proof;
	struct home_user	 principal;	/* proof OK: who proved it */
	struct home_user	 sender;	/* HOME_FROM_POOL: of From, if that is ours */
	struct home_user	 addressee;	/* of the Request-URI */
};

enum home_verdict {
	HOME_REFUSE = 0,	/* for reason; the safe value */
	HOME_DROP,		/* an ACK that leads nowhere */
	HOME_CHALLENGE,		/* for reason */
	HOME_ASK_PROOF,		/* ask authd about the credentials, decide again */
	HOME_ASK_PRINCIPAL,	/* ask authd for the home of who proved it, decide again */
	HOME_ASK_SENDER,	/* ask authd about the user of From, decide again */
	HOME_ASK_ADDRESSEE,	/* ask authd about the Request-URI's user, decide again */
	HOME_REDIRECT,		/* 301 to pool */
	HOME_ANSWER,		/* 200: an OPTIONS for this Director */
	HOME_PROXY		/* to where */
};

enum home_target {
	HOME_TO_NOTHING = 0,
	HOME_TO_POOL,		/* pool[index] */
	HOME_TO_EDGE,		/* edge[index] */
	HOME_TO_ANY_EDGE,	/* in their order */
	HOME_TO_STATIC,		/* where static route [index] leads */
	HOME_TO_FLOW		/* where the token leads */
};

struct home_decision {
	enum home_verdict	 verdict;
	enum policy_reason	 reason;
	enum home_target	 where;
	int			 index;
};

struct home_decision homes_decide(const struct home_facts *);

const char *home_source_name(enum home_source);

#endif
