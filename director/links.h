/*
 * director/links.h - connections: what their far ends are, and the log of their lives.
 *
 * A server is what its certificate proves and the configuration names. It is
 * looked up when a connection opens, and again when the configuration changes.
 */
#ifndef SALLYPORT_DIRECTOR_LINKS_H
#define SALLYPORT_DIRECTOR_LINKS_H

#include "director/director.h"

/* Words of a link (sip_link_words()). */
enum {
	LINK_KIND = 0,		/* enum server_kind; SERVER_NONE is a client */
	LINK_INDEX,
	LINK_ID,		/* server_id() of it; 0: a client */
	LINK_OPEN,		/* 0: the handshake is not done yet; else LINK_IS_... */
	LINK_NSAS,		/* a client: where the next association is noted */
	LINK_SAS		/* and here they are, two in a word */
};

enum {
	LINK_IS_OPEN = 1 << 0,
	LINK_IS_COUNTED = 1 << 1	/* among the connections of its server, and not of its block (director/crowd.h) */
};

#define LINK_SAS_MAX	(2 * (SIP_LINK_WORDS - LINK_SAS))

/* Of edges, pools and static routes: how many of the kind there are, and one of them. */
size_t	 servers_count(const struct director_config *, enum server_kind);
const struct director_server *server_at(const struct director_config *, enum server_kind, size_t i);
/*
 * A number for a server, never 0, that stays the same when the configuration is
 * reloaded in another order; it stands in our tokens. Two that collide would only matter where
 * the next Route names neither.
 */
uint16_t server_id(const char *name);
/* The edge, pool or static route of that number. */
bool	 server_with_id(const struct director_config *, uint16_t id, enum server_kind *kind, int *index);

/* The relay's calls about connections (sip_relay_ops). */
bool	 link_opened(struct sip_relay *, struct sip_link *, enum policy_reason *why);
void	 link_closed(struct sip_relay *, struct sip_link *, enum policy_reason, const char *detail);
void	 link_turned_away(struct sip_relay *, const struct net_addr *from, const struct sip_face *, enum policy_reason, const char *detail);
void	 link_refused(struct sip_relay *, struct sip_link *, const struct sip_message *, enum policy_reason,
	    const char *detail);

#endif
