/*
 * sip/facts.h - a message and its connection reduced to the plain values that policy looks at.
 */
#ifndef SALLYPORT_SIP_FACTS_H
#define SALLYPORT_SIP_FACTS_H

#include "policy/domain.h"
#include "policy/facts.h"
#include "sip/forward.h"
#include "sip/link.h"
#include "sip/message.h"

/* Facts, and the storage that their spans point into. Not to be copied. */
struct sip_facts {
	struct policy_facts	 facts;
	char			 from[DOMAIN_MAX], to[DOMAIN_MAX], ruri[DOMAIN_MAX];
};

/*
 * What the connection proves. link NULL (it belongs to another worker): nothing
 * but the side. What the door admits is the owner's to fill in.
 */
void	sip_facts_of_link(struct policy_facts *, enum policy_side, const struct sip_link *);
/* What a far end has proved by its certificate; NULL: nothing. */
void	sip_facts_of_peer(struct policy_facts *, enum policy_side, const struct net_peer *);
/*
 * What a parsed message says, added to the facts of its connection. routed may
 * be NULL. A domain that has no canonical form is left empty: policy refuses that.
 */
void	sip_facts_of_message(struct sip_facts *, const struct sip_message *, const struct sip_routed *);

#endif
