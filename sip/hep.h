/*
 * sip/hep.h - copies of messages for a Homer server: HEP version 3 over UDP, one packet a message.
 *
 * A look on (sip/tap.h). Credentials never go along, bodies only if that is wanted: otherwise
 * as many 'x'. Packets are sent without waiting; what the kernel does not take is lost and counted.
 */
#ifndef SALLYPORT_SIP_HEP_H
#define SALLYPORT_SIP_HEP_H

#include <stdbool.h>
#include <stdint.h>

#include "net/addr.h"
#include "sip/tap.h"

#define HEP_PACKET_MAX	60000	/* a message that makes more is not sent */

struct sip_hep_config {
	struct net_addr	 server;
	uint32_t	 id;		/* of this capture agent */
	const char	*password;	/* NULL or "": none */
	bool		 bodies;
};

struct sip_hep;
/* One worker's; c is copied. NULL: no socket (errno). */
struct sip_hep *sip_hep_new(const struct sip_hep_config *c);
/* For a daemon: NULL when server is NULL or "", or (logged) when there is no socket. */
struct sip_hep *sip_hep_start(const char *server, uint32_t id, const char *password, bool bodies);
void	 sip_hep_free(struct sip_hep *);	/* after the relay; NULL: nothing */
struct sip_tap *sip_hep_tap(struct sip_hep *);

/*
 * The packet for one message; how long it is, or 0 when it does not fit. from and to of one family, else
 * the other's address is left out.
 */
size_t	 sip_hep_format(const struct sip_hep_config *, const struct net_addr *from, const struct net_addr *to,
	    uint64_t wall_us, struct span message, unsigned char out[HEP_PACKET_MAX]);

#endif
