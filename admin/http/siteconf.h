/*
 * admin/http/siteconf.h - admin.conf as a struct.
 */
#ifndef SALLYPORT_ADMIN_HTTP_SITECONF_H
#define SALLYPORT_ADMIN_HTTP_SITECONF_H

#include <stdbool.h>
#include <stdio.h>

#include "common/conf.h"
#include "net/addr.h"

enum metrics_access { METRICS_NOBODY = 0, METRICS_LOOPBACK, METRICS_LOGIN, METRICS_EVERYBODY };

struct siteconf {
	char		*file;		/* where all this was read */
	char		*listen;
	struct net_addr	 addr;
	struct conf_strs names;
	char		*certificate, *key;	/* NULL: no TLS */
	char		*user;
	char		*log_file;
	int		 log_level;	/* enum log_level - SP_LOG_ERROR */
	char		*accounts;
	char		*edge_socket, *director_socket; /* "": none */
	char		*policy, *store;	/* the policy file, and the directory of its versions */
	char		*charts;	/* file of the samples; "": memory only */
	int		 sample;	/* seconds */
	int		 metrics;	/* enum metrics_access */
	struct {
		int	 sessions, per_account, idle, absolute;
	} session;
	struct {
		int	 tries, every, account_tries, account_every;
	} login;
	struct {
		int	 connections, per_address, request, response, head, body, policy, control, threads, proofs;
	} limits;
};

/* NULL when the file cannot be read to its end; else what could be read. What is wrong is in errs. */
struct siteconf *siteconf_load(const char *file, struct conf_errors *errs);
void	siteconf_free(struct siteconf *);	/* NULL: nothing */
void	siteconf_print_options(FILE *);
/* Is it only this machine that can reach it? */
bool	siteconf_is_loopback(const struct net_addr *);

#endif
