/*
 * net/srv.h - the order in which SRV targets are tried (RFC 2782). Pure.
 */
#ifndef SALLYPORT_NET_SRV_H
#define SALLYPORT_NET_SRV_H

#include <stdint.h>

#include "net/dns.h"

/*
 * Order v[0..n) in place: lower priority first; within one priority drawn by
 * weight, with zero weights having their small chance. random(arg, bound)
 * gives a number 0..bound inclusive.
 */
void	net_srv_order(struct net_srv *v, unsigned n, uint32_t (*random)(void *arg, uint32_t bound), void *arg);

#endif
