/*
 * sip/forward.h - what a proxy changes in a request it passes on (RFC 3261 16.6):
 * Max-Forwards, our Via, Record-Route for both doors (RFC 5658), Path (RFC 3327).
 */
#ifndef SALLYPORT_SIP_FORWARD_H
#define SALLYPORT_SIP_FORWARD_H

#include "sip/flow.h"
#include "sip/link.h"
#include "sip/message.h"

/* Take one off, or put in 70 where there is none (old clients, MS 2). */
void	sip_forward_max_forwards(struct sip_message *);
/* Our Via above all others; branch is the text of sip_branch_format(). */
void	sip_forward_via(struct sip_message *, const struct sip_face *, const char *branch);
/*
 * Record-Route above all others: first the face that looks at the next hop
 * with its token, then the one that looks back, when near and far differ.
 * What comes from the next hop's side is routed by far_flow, what comes from
 * the sender's side by near_flow.
 */
void	sip_forward_record_route(struct sip_message *, struct sip_flow_signer *, const struct sip_face *near,
	    const struct sip_flow *near_flow, const struct sip_face *far, const struct sip_flow *far_flow);
/* Path towards the registrar; what comes along it is routed by flow. Adds "path" to Supported if it is not there. */
void	sip_forward_path(struct sip_message *, struct sip_flow_signer *, const struct sip_face *, const struct sip_flow *);

/*
 * The Route headers from the top that name one of our faces: taken out of the
 * message. The first one's token tells where to go on, and whether a second one
 * belongs to the same passage (RFC 5658).
 */
struct sip_routed {
	enum policy_route	 route;		/* NONE, OURS, FORGED, FOREIGN */
	struct sip_flow		 flow;		/* OURS: the token that leads on */
	const struct sip_face	*face;		/* OURS: whom it named */
	bool			 has_next;	/* a Route is left after ours */
	struct sip_uri		 next;		/* borrowed from the message */
};
void	sip_forward_take_routes(struct sip_message *, struct sip_flow_signer *, const struct sip_face *const *faces,
	    unsigned nfaces, struct sip_routed *);

#endif
