/*
 * admin/explain.h - one message decided about without any traffic, and everything said that led there.
 *
 * The same code decides as in the edge: certificates by net/verify, the message by
 * the framer and the checks of form, the rest by policy_decide() and the content
 * filter. What the edge would know from elsewhere (whose connection a Route
 * names, what DNS says) the question brings along.
 */
#ifndef SALLYPORT_ADMIN_EXPLAIN_H
#define SALLYPORT_ADMIN_EXPLAIN_H

#include <stdbool.h>

#include "admin/record.h"
#include "net/dns.h"
#include "net/tls.h"
#include "policy/facts.h"
#include "policy/rules.h"

#define EXPLAIN_NAMES_MAX	16

/* Strings and spans are borrowed. */
struct explain_question {
	const struct policy_rules *rules;
	enum policy_side	 side;		/* by which door it comes */
	bool			 door_users, door_partners; /* whom the outer door admits */

	/* who sends it; nothing of these: at the outer door a remote user, at the inner door one of our servers */
	const struct net_peer	*peer;		/* examined as who connects (net_tls_examine()) */
	struct span		 names[EXPLAIN_NAMES_MAX]; /* or: proven names, lower-case */
	unsigned		 nnames;
	const struct net_peer	*(*called)(void *arg, const char *name); /* the server that would be called; NULL: not looked at */
	void			*called_arg;

	/* the message as captured, or else what it is made from */
	struct span		 message;
	const char		*from, *to, *ruri;	/* a domain, an address or a URI; ruri NULL: to */
	const char		*method;
	bool			 in_dialog;
	enum policy_assertion	 assertion;	/* of a message that is captured, its own word counts */
	const char		*inner_name;	/* ours, as marks say it */

	/* what only the edge knows */
	bool			 has_route;	/* route counts; else that of a captured message is taken for ours */
	enum policy_route	 route;
	/*
	 * Else this says of a captured message's Routes, values with commas between them, what the running edge makes
	 * of them; false: nobody knows, and they are taken for ours. NULL: there is nobody to ask.
	 */
	bool			(*routes)(void *arg, struct span call_id, struct span routes, bool in_dialog, bool outer,
				    enum policy_route *, enum policy_flow *);
	void			*routes_arg;
	enum policy_flow	 flow;
	struct explain_limits {
		const char	*where;		/* "the running edge", "edge.conf"; NULL: not known, and the defaults are named */
		long		 rate, suspicious_rate, addressees;
	}			 limits;
	bool			 discovered;	/* of a response: its request went where DNS said */
	enum policy_class	 asker;		/* of a response to the outside */

	/* the answer about a record, borrowed until the next call; NULL: DNS is not asked */
	const struct net_dns_answer *(*dns)(void *arg, const char *record);
	void			*dns_arg;
};

enum explain_verdict {
	EXPLAIN_ALLOWED = 0,
	EXPLAIN_REFUSED,
	EXPLAIN_NO_MESSAGE	/* the question makes none; *why says what is wrong with it */
};

/*
 * Decide, and tell everything in records (record_parse() reads them), in this order: "message", "certificate",
 * "dns" (several), "target" (several), "step" (several), "mark" (several), "limits",
 * "content", "certificate" of a server that would be called (several), "decision". The last is always there, the others where there is something to say.
 */
enum explain_verdict explain(const struct explain_question *, void (*tell)(void *arg, struct span record), void *arg,
	    const char **why);

#endif
