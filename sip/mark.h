/*
 * sip/mark.h - strips marks that came from outside, writes ours.
 *
 * A mark is how the inside learns what the edge proved; a copy from outside is
 * a forgery. Stripping comes before anything else looks at the message (design
 * 3, step 3), for requests and responses alike, so that no early return leaves
 * one in place. What is stripped where: MS 7.8, the table in mark.c.
 */
#ifndef SALLYPORT_SIP_MARK_H
#define SALLYPORT_SIP_MARK_H

#include <stdbool.h>

#include "policy/decision.h"
#include "sip/message.h"

struct net_addr;

enum sip_crossing {
	SIP_CROSS_NONE = 0,
	SIP_CROSS_USER_IN,	/* from a remote user inward */
	SIP_CROSS_PEER_IN,	/* from a partner server inward */
	SIP_CROSS_USER_OUT,	/* from inside to a remote user */
	SIP_CROSS_PEER_OUT,	/* from inside to a partner server */
	SIP_CROSS_RELAY		/* from one member of a clearing house to another, after PEER_IN */
};

/* Take out everything that this crossing must not carry. Returns how many headers went. */
unsigned sip_mark_strip(struct sip_message *, enum sip_crossing);

/* What the partner asserted about its user (ms-asserted-verification-level); read before stripping. */
enum policy_assertion sip_mark_assertion(const struct sip_message *);

/*
 * ms-edge-proxy-message-trust (MS 7.1) as decided. ep_fqdn: our inner name;
 * remote_fqdn: the proven name of a public IM provider, which makes the source
 * network publiccloud; NULL for everybody else.
 */
void	sip_mark_write_inward(struct sip_message *, const struct policy_decision *, const char *ep_fqdn,
	    const char *remote_fqdn);
/* For responses that the edge itself made towards the inside: EdgeProxyGenerated. */
void	sip_mark_write_generated(struct sip_message *, const char *ep_fqdn);
/*
 * Keep what sip_mark_strip() took out of a header that this crossing may carry
 * after all, by policy: identities (RFC 3325) or diagnostics (MS 7.6).
 */
void	sip_mark_keep(struct sip_message *, enum sip_header_id);
/* P-Asserted-Identity of the sender, and no other (RFC 3325). */
void	sip_mark_write_identity(struct sip_message *);
/* ms-asserted-verification-level and ms-archiving as decided, outward. */
void	sip_mark_write_outward(struct sip_message *, const struct policy_decision *);

/* The mark as the inside reads it; false if there is none or it does not parse. */
struct sip_mark {
	enum policy_class	 class;		/* REMOTE_USER, DIRECT, ENHANCED, PROVIDER; UNKNOWN for EdgeProxyGenerated */
	bool			 generated;
	bool			 verified;
	bool			 public_network;
	struct span		 ep_fqdn;
};
bool	sip_mark_read(const struct sip_message *, struct sip_mark *);

/*
 * First hop duties towards a client (MS 7.3): received, ms-received-port and
 * ms-received-cid on its Via, in requests; Contact;proxy=replace, in responses
 * too. SIP_CHECK_OK or the check that failed (a response is dropped then).
 * cid is the link's id.
 */
enum sip_check sip_mark_first_hop(struct sip_message *, const struct net_addr *from, uint64_t cid);

/*
 * What a parsed request from another server gets: received and rport on its Via, where
 * RFC 3261 18.2.1 and RFC 3581 4 ask for them; nothing if they would make that
 * Via too long, since its answer comes back by our record anyway. Not for what comes
 * from inside: where our own servers are is nobody's business outside.
 */
void	sip_mark_received(struct sip_message *, const struct net_addr *from);

#endif
