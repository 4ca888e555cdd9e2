/*
 * policy/facts.h - what can be known about a message and its connection.
 *
 * Plain values and borrowed spans: nothing here is owned, everything must stay
 * valid while policy_decide() runs and no longer. Zero means "unknown", and
 * unknown satisfies no allowing rule. Domains are lower-case A-labels without
 * a trailing dot, as policy_domain_canon() makes them.
 */
#ifndef SALLYPORT_POLICY_FACTS_H
#define SALLYPORT_POLICY_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/span.h"
#include "policy/reason.h"

enum policy_side {
	POLICY_SIDE_UNKNOWN = 0,
	POLICY_SIDE_OUTER,	/* came in by the outer door */
	POLICY_SIDE_INNER	/* came in by the inner door */
};

/* What a peer is (design 2). */
enum policy_class {
	POLICY_CLASS_UNKNOWN = 0,
	POLICY_CLASS_REMOTE_USER,
	POLICY_CLASS_BRANCH,
	POLICY_CLASS_DIRECT,
	POLICY_CLASS_ENHANCED,
	POLICY_CLASS_PROVIDER,
	POLICY_CLASS_CLEARINGHOUSE,
	POLICY_CLASS_INTERNAL,
	POLICY_NCLASSES
};

/* Methods that policy tells apart; any other token is OTHER. */
enum policy_method {
	POLICY_METHOD_OTHER = 0,
	POLICY_METHOD_INVITE,
	POLICY_METHOD_ACK,
	POLICY_METHOD_CANCEL,
	POLICY_METHOD_BYE,
	POLICY_METHOD_REGISTER,
	POLICY_METHOD_SERVICE,
	POLICY_METHOD_OPTIONS,
	POLICY_METHOD_MESSAGE,
	POLICY_METHOD_SUBSCRIBE,
	POLICY_METHOD_NOTIFY,
	POLICY_METHOD_BENOTIFY,
	POLICY_METHOD_INFO,
	POLICY_METHOD_REFER,
	POLICY_METHOD_UPDATE,
	POLICY_METHOD_PRACK,
	POLICY_METHOD_PUBLISH,
	POLICY_METHOD_NEGOTIATE,
	POLICY_NMETHODS
};

/* What a Route header that names us turned out to be (sip/flow.h). */
enum policy_route {
	POLICY_ROUTE_NONE = 0,	/* no Route names us */
	POLICY_ROUTE_OURS,	/* names us, signature verified */
	POLICY_ROUTE_FORGED,	/* names us, signature missing or wrong */
	POLICY_ROUTE_FOREIGN	/* the first Route names somebody else */
};

/* Where the verified token of our own Route or Path leads. */
enum policy_flow {
	POLICY_FLOW_NONE = 0,
	POLICY_FLOW_USER,	/* to a remote user's connection that lives */
	POLICY_FLOW_BRANCH,	/* to a branch proxy that the rules name, by this connection or another */
	POLICY_FLOW_USER_GONE,	/* to a user's connection that does not live any more, or a branch that is none */
	POLICY_FLOW_PEER,	/* to a server's connection that lives; does not change the decision: domains do */
	POLICY_FLOW_PEER_GONE
};

/* The partner's own word about its user (ms-asserted-verification-level). */
enum policy_assertion {
	POLICY_ASSERTED_NOTHING = 0,
	POLICY_ASSERTED_VERIFIED,
	POLICY_ASSERTED_UNVERIFIED
};

/* The answer to _sipfederationtls._tcp.<domain>; UNASKED until somebody asked. */
enum policy_dns_state {
	POLICY_DNS_UNASKED = 0,
	POLICY_DNS_FOUND,
	POLICY_DNS_NONE,	/* the name exists without SRV, or does not exist */
	POLICY_DNS_FAILED	/* SERVFAIL, time-out: nothing is known */
};

struct policy_dns {
	enum policy_dns_state	 state;
	struct span		 domain;	/* the domain that was asked about */
	struct span		 name;		/* the record, where a rule names another than the usual one */
	const struct span	*targets;	/* host names, best first */
	const uint16_t		*ports;		/* of each target */
	unsigned		 ntargets;	/* those beyond POLICY_TARGETS_MAX are not looked at */
};
#define POLICY_TARGETS_MAX	16

/* What a certificate says that it may be used for. */
#define POLICY_USAGE_SERVER	1u	/* serverAuth */
#define POLICY_USAGE_CLIENT	2u	/* clientAuth */
#define POLICY_USAGE_BOTH	(POLICY_USAGE_SERVER | POLICY_USAGE_CLIENT)

struct policy_facts {
	/* the connection */
	enum policy_side	 side;
	bool			 door_users;	/* the door admits peers without certificate */
	bool			 door_partners;	/* the door admits servers */
	bool			 has_certificate; /* one was shown and its chain verified */
	bool			 unverified;	/* one was shown, and its chain did not: its key is proven and nothing else */
	enum policy_reason	 chain_fault;	/* unverified: what is wrong with it */
	unsigned		 usage;		/* POLICY_USAGE_*, of the certificate */
	const unsigned char	*spki;		/* SHA-256 of its key, 32 bytes; NULL: not known */
	const struct span	*names;		/* its proven names, lower-case */
	unsigned		 nnames;
	struct span		 common_name;	/* subject CN, lower-case; not among names; counts only where policy says so */

	/* the message */
	bool			 is_response;	/* then the request's own facts are below, and the connection is the response's */
	enum policy_method	 method;
	struct span		 method_name;
	struct span		 from_domain;
	struct span		 to_domain;
	struct span		 ruri_domain;
	struct span		 ruri_user;	/* as written, escapes and all; of tel: what follows it; SPAN_NONE: none */
	struct span		 to_user;	/* the same of To */
	bool			 from_tel, to_tel, ruri_tel;	/* a telephone number (tel:), which has no domain */
	bool			 in_dialog;	/* has a To tag */
	/*
	 * CANCEL and ACK carry the facts of their INVITE and get its answer. Of a
	 * domain that policy_domain_canon() refused nothing is known: SPAN_NONE.
	 */
	enum policy_route	 route;
	enum policy_flow	 flow;
	enum policy_assertion	 assertion;

	/* a response: its request went to a server that DNS named for the addressee's domain */
	bool			 discovered;
	/* a response on its way out: what the one is who asked */
	enum policy_class	 asker;

	/* what had to be asked */
	struct policy_dns	 dns;
};

/* Static lower-case names ("remote-user"); "unknown" for anything else. */
const char *policy_class_name(enum policy_class);
const char *policy_side_name(enum policy_side);
const char *policy_route_name(enum policy_route);
const char *policy_flow_name(enum policy_flow);
/* As on the wire ("INVITE"); "other" for anything else. Static. */
const char *policy_method_name(enum policy_method);
/* The method of a token, letter case significant (RFC 3261 7.1). */
enum policy_method policy_method_of(struct span token);

#endif
