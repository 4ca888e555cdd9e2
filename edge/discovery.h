/*
 * edge/discovery.h - what DNS says of a domain, for policy: asked once, kept a
 * while, and requests that wait for it.
 *
 * One per worker. Whoever outside can make us ask is bounded: questions at
 * once, requests that wait for one domain, and requests that wait at all, each
 * side for itself, so that strangers with a slow name server hold up neither
 * other domains nor what comes from inside. Nor other strangers: of questions
 * and of waiting places, nobody has more than he leaves free.
 */
#ifndef SALLYPORT_EDGE_DISCOVERY_H
#define SALLYPORT_EDGE_DISCOVERY_H

#include <stdbool.h>

#include "net/dns.h"
#include "policy/domain.h"
#include "policy/facts.h"

struct edge_discovery;
struct net_loop;

struct edge_discovery_limits {
	unsigned	held;		/* requests that wait, of each side; default 1000 */
	unsigned	held_per_domain; /* … for one domain; default 50 */
};

/* The answer in the order in which targets are to be tried; dns borrows from the rest. Not to be copied. */
struct edge_answer {
	struct policy_dns	 dns;
	struct span		 target[NET_DNS_SRV_MAX];
	uint16_t		 port[NET_DNS_SRV_MAX];
	struct net_srv		 srv[NET_DNS_SRV_MAX];
	char			 domain[DOMAIN_MAX], name[DOMAIN_MAX];
};

struct edge_discovery *edge_discovery_new(struct net_loop *, struct net_dns *, const struct edge_discovery_limits *);
/* Whatever waits is given to drop(), and done() is called for none. */
void	 edge_discovery_free(struct edge_discovery *, void (*drop)(void *what));
/* Forget all answers (a new policy, an administrator's wish). */
void	 edge_discovery_flush(struct edge_discovery *);

/*
 * The answer about a domain, if it is at hand: targets drawn anew by priority
 * and weight (RFC 2782). name: the record, SPAN_NONE for the usual one.
 */
bool	 edge_discovery_look(struct edge_discovery *, struct span domain, struct span name, struct edge_answer *);
/*
 * Ask. asker: whoever makes us, as bytes; SPAN_NONE for one who may have it all. When the answer is there, done(arg, what) is called once, never before this
 * returns, and edge_discovery_look() has it then. SP_OK, or SP_ELIMIT: too
 * many wait already, and done() is not called.
 */
int	 edge_discovery_ask(struct edge_discovery *, enum policy_side, struct span asker, struct span domain,
	    struct span name, void (*done)(void *arg, void *what), void *arg, void *what);
/* Requests that wait now. */
unsigned edge_discovery_waiting(const struct edge_discovery *);

#endif
