/*
 * sip/entrance.h - a door of a relay: who connects becomes a link, those whom a load balancer passes on as whom
 * its header names (net/porter.h).
 */
#ifndef SALLYPORT_SIP_ENTRANCE_H
#define SALLYPORT_SIP_ENTRANCE_H

#include <stdbool.h>

#include "common/conf.h"
#include "net/loop.h"
#include "net/porter.h"
#include "sip/relay.h"

struct sip_entrance;

/*
 * Accept on fd (taken over) for that face of the relay, which live longer. balancers: networks that net_prefix_parse()
 * takes; none: nobody passes connections on. When fd cannot be watched, nobody comes in.
 */
struct sip_entrance *sip_entrance_open(struct net_loop *, int fd, struct sip_relay *, struct sip_face *,
	    const struct conf_strs *balancers, const struct net_porter_limits *);
/* Nobody new; who has come in stays. NULL: nothing. */
void	 sip_entrance_pause(struct sip_entrance *);
void	 sip_entrance_close(struct sip_entrance *);		/* NULL: nothing */

#endif
