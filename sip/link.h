/*
 * sip/link.h - framer on top of a net stream: whole messages in and out, with deadlines.
 *
 * A link is one connection, inbound or outbound, of one worker. Its id names
 * worker, slot and generation, so it can be kept in tokens and records and
 * never names a later connection by mistake.
 */
#ifndef SALLYPORT_SIP_LINK_H
#define SALLYPORT_SIP_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "net/quota.h"
#include "net/stream.h"
#include "policy/facts.h"
#include "sip/framer.h"

struct sip_link;
struct sip_relay;

struct sip_link_limits {
	struct net_stream_limits stream;
	struct sip_frame_limits	 frame;		/* what is beyond them ends the connection */
	struct sip_frame_limits	 request;	/* a request beyond these, and within frame, is refused; message 0: there are none */
	unsigned	 first_message_ms;	/* handshake done, nothing came; 0: no such deadline */
	unsigned	 message_ms;		/* a message begun must be whole in this time */
	unsigned	 signin_ms;		/* until sip_link_signed_in(); 0: no such deadline */
	unsigned	 idle_ms;		/* nothing came, not even a ping; 0: no such deadline */
	struct net_rate	 rate;			/* requests; what is more is refused as RATE_LIMIT */
	uint32_t	 requests;		/* of its own, in flight; what is more: IN_FLIGHT_LIMIT; 0: no such limit */
};

/*
 * How we appear on one side: a door, or the way out. Owned by the daemon,
 * one per worker, outlives its links. Contexts are replaced on renewal.
 */
struct sip_face {
	const char		*name;		/* host in our Via, Record-Route and Path on this side */
	uint16_t		 port;
	enum policy_side	 side;
	struct net_tls_ctx	*server;	/* NULL: no door, only outbound */
	struct net_tls_ctx	*client;	/* NULL: never dials */
	struct sip_link_limits	 limits;
	unsigned		 tag;		/* the owner's: which door */
	bool			 clients;	/* inside: who connects need not be a server, and is refused before servers are */
};

uint64_t	 sip_link_id(const struct sip_link *);
unsigned	 sip_link_worker_of(uint64_t id);
struct sip_face	*sip_link_face(const struct sip_link *);
bool		 sip_link_is_inbound(const struct sip_link *);
/* Outbound: the name of the next hop that was called, lower-case as the hop has it; inbound: NULL. */
const char	*sip_link_called(const struct sip_link *);
/* Would the peer's certificate be accepted by the face's contexts now? See net_stream_judge_again(). */
enum policy_reason sip_link_judge_again(const struct sip_link *, const char **fault);
const struct net_peer *sip_link_peer(const struct sip_link *);
const struct net_addr *sip_link_remote(const struct sip_link *);
const struct net_addr *sip_link_local(const struct sip_link *);
/* Eight words of the owner's about this connection, zero at first (class, director, authenticated user …). */
uint64_t	*sip_link_words(struct sip_link *);
#define SIP_LINK_WORDS	8
/* What the far end is, for what is counted and logged: enum policy_class, or enum stats_class; unknown at first. */
void		 sip_link_set_class(struct sip_link *, unsigned class);
unsigned	 sip_link_class(const struct sip_link *);
/* Somebody signed in over it: the sign-in deadline is off. */
void		 sip_link_signed_in(struct sip_link *);
/* From now on these, instead of the face's: the far end has proved what it is. Borrowed; they outlive the link. */
void		 sip_link_take_limits(struct sip_link *, const struct sip_link_limits *);
void		 sip_link_close(struct sip_link *, enum policy_reason, const char *detail);

#endif
