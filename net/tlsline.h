/*
 * net/tlsline.h - one connection by TLS to a server of our own, for a process that may wait: each call
 * ends in time. No SIP and no stranger comes near it.
 */
#ifndef SALLYPORT_NET_TLSLINE_H
#define SALLYPORT_NET_TLSLINE_H

#include <stddef.h>

#include "net/addr.h"

struct net_tlsline_spec {
	struct net_addr	 to;
	const char	*name;		/* that the server's certificate proves */
	const char	*trust;		/* PEM file of its authorities */
	const char	*certificate, *key;	/* who we are; NULL: nobody in particular */
	unsigned	 ms;		/* for each of connecting with the handshake, reading and writing */
};

struct net_tlsline;

/* Reads the files. NULL with *why, static. */
struct net_tlsline *net_tlsline_new(const struct net_tlsline_spec *, const char **why);
void	net_tlsline_free(struct net_tlsline *);	/* NULL: nothing */
/* SP_OK; else *why says what is wrong, static: SP_ETLS (the certificate or the protocol), SP_ETIME, SP_EIO. */
int	net_tlsline_open(struct net_tlsline *, const char **why);
void	net_tlsline_close(struct net_tlsline *);
bool	net_tlsline_is_open(const struct net_tlsline *);
/*
 * Whatever is asked from now on ends by then (clock_ms()), all of it together; 0: each call has its own time alone. Who sends
 * a byte now and then is within each call's time for ever.
 */
void	net_tlsline_until(struct net_tlsline *, uint64_t);
/* All of n bytes. SP_OK, SP_ETIME or SP_ECLOSED. */
int	net_tlsline_write(struct net_tlsline *, const void *, size_t n);
/* At least one byte, at most max, into *n. SP_OK, SP_ETIME or SP_ECLOSED. */
int	net_tlsline_read(struct net_tlsline *, void *, size_t max, size_t *n);

#endif
