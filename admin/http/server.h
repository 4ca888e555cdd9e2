/*
 * admin/http/server.h - the page on a socket: libmicrohttpd's side of it.
 */
#ifndef SALLYPORT_ADMIN_HTTP_SERVER_H
#define SALLYPORT_ADMIN_HTTP_SERVER_H

#include "admin/http/site.h"

struct server;

/* PEM texts of certificate and key; the caller wipes and frees. SP_OK, or SP_EIO (errno) with *which file. */
struct server_tls {
	char	*certificate, *key;
};
int	server_tls_load(struct server_tls *, const struct siteconf *, const char **which);
void	server_tls_wipe(struct server_tls *);

/* A listening socket at that address; before privileges are given up. -1: errno says why. */
int	server_bind(const struct net_addr *);
/* Answer what comes to fd, which is the server's from now on, in threads. tls NULL: without. NULL: it would not start. */
struct server *server_start(struct site *, int fd, const struct server_tls *tls);
/* Go on with another certificate; connections that are open keep the old one. False: the old one stays. */
bool	server_renew(struct server *, const struct server_tls *);
/* Once a second: ends connections that take longer than they may. */
void	server_tick(struct server *);
void	server_stop(struct server *);	/* NULL: nothing */

#endif
