/*
 * director/config.h - director.conf: this Director as one immutable value.
 *
 * Loaded whole, never edited, counted references, swapped on reload.
 */
#ifndef SALLYPORT_DIRECTOR_CONFIG_H
#define SALLYPORT_DIRECTOR_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/conf.h"
#include "common/span.h"
#include "director/dirconf.h"
#include "director/winbind.h"
#include "net/addr.h"

#define DIRECTOR_DEFAULT_CONFIG	SYSCONFDIR "/director.conf"
#define DIRECTOR_DOORS_MAX	16
#define DIRECTOR_SERVERS_MAX	256	/* edges, pools and other servers */

/* Who is let in by a door. */
enum door_admits {
	DOOR_SERVERS = 0,	/* edges, pools and trusted servers: mutual TLS */
	DOOR_CLIENTS,		/* clients inside: no certificate is asked for */
	DOOR_BOTH		/* a certificate is asked for; who shows none is a client */
};

/* What a server is to us. Zero: nothing. */
enum server_kind {
	SERVER_NONE = 0,
	SERVER_EDGE,		/* may present marks; the way out */
	SERVER_POOL,		/* home of users */
	SERVER_ROUTE,		/* where a static route leads; speaks for users like a pool */
	SERVER_TRUSTED		/* speaks for users like a pool, nobody lives there */
};

struct director_door {
	char		*listen;	/* "192.0.2.20:5061" */
	int		 admits;	/* enum door_admits */
	struct conf_strs offers;	/* how clients may sign in; empty: as auth.offer says */
	int		 connections;	/* 0: no limit of its own */
	char		*certificate, *key, *trust, *crl; /* NULL: those of tls.* */
	struct conf_strs balancers;	/* who says in a PROXY header who has come */
	/* made of the above */
	struct net_addr	 addr;
	unsigned	 offer;		/* OFFER_... */
};

/* Who has the accounts that NTLM proves. */
enum ntlm_accounts { NTLM_BY_FILE = 0, NTLM_BY_WINBIND };

/* Ways to sign in, as bits. */
enum { OFFER_NTLM = 1 << 0, OFFER_DIGEST = 1 << 1, OFFER_KERBEROS = 1 << 2, OFFER_SIGNED = OFFER_NTLM | OFFER_KERBEROS };

struct director_server {
	char		*name;		/* proven by its certificate; lower-case */
	struct conf_strs addresses;	/* in the order in which they are tried; none: from DNS */
	char		*srv;		/* name of SRV records that have its addresses and ports; NULL: none */
	int		 port;
};

struct director_route {
	struct director_server to;	/* first: a route's server is a server */
	char		*match;		/* pattern, in its full form (director/routes.h) */
	bool		 replace_host;	/* the host of the Request-URI becomes the server's name */
	bool		 partners;	/* federated partners may use it, too */
};

struct director_config {
	/* filled by the table */
	char		*name;
	struct conf_strs domains;
	char		*user, *key_user;	/* key_user: whom keyd becomes; "": user */
	bool		 sandbox;
	int		 workers;
	char		*flow_keys;
	char		*log_file;
	char		*log_journal;
	int		 log_level;
	int		 log_refusals, log_window;	/* lines; seconds */
	char		*session_file;
	int		 session_size;	/* MiB */
	char		*hep_server, *hep_password;
	int		 hep_id;
	bool		 hep_bodies;
	char		*control_socket, *control_group, *control_operators;
	char		*certificate, *key, *trust, *crl;
	bool		 edge_array;	/* all of edges stand in for each other */
	struct conf_groups doors, edges, pools, routes;
	struct conf_strs servers, public_im;
	char		*auth_users, *auth_user, *auth_realm, *auth_keytab;
	struct conf_strs auth_offers, auth_offers_remote, auth_digest, kerberos_realms;
	int		 auth_nonce_lifetime, auth_replay_entries, auth_timeout;
	int		 guesses_pair, guesses_source, guesses_user, guesses_forget, guesses_entries;
	struct dirconf	 directory;
	struct conf_strs dns_servers;
	int		 connections_block, block_v4, block_v6, connections_server, max_handshakes;
	int		 user_rate, burst, user_requests, max_hop_queue;	/* a second; seconds */
	int		 max_connections, max_transactions, max_questions, max_message, max_queue, max_credentials;
	int		 proxy_header_time, handshake_time, first_message_time, message_time, signin_time, idle_time, drain_time, hung_time;
	int		 connect_time, failover_time, request_time;
	struct conf_strs refused_certificates;
	char		*sipae_realm;
	int		 sipae_version, sipae_lifetime, sipae_idle, sipae_refresh;
	int		 sipae_associations, sipae_per_user, sipae_handshakes;
	char		*ntlm_domain;	/* NetBIOS name; NULL: made of the first domain */
	char		*ntlm_computer;	/* the same; NULL: made of our name */
	int		 ntlm_accounts;	/* enum ntlm_accounts */
	struct conf_strs ntlm_domains;
	struct winbind_conf winbind;
	bool		 ntlm_timestamp;
	/* made of the above */
	unsigned char	 (*refused)[32];	/* as many as refused_certificates */
	unsigned	 offer_remote;	/* OFFER_... to remote users */
	bool		 offer_sha256, offer_md5;
	unsigned	 refs;		/* atomic */
};

/* An initializer of struct guesses_limits (director/guesses.h). */
#define DIRECTOR_GUESSES_LIMITS(c) { .pair = (uint32_t)(c)->guesses_pair, .source = (uint32_t)(c)->guesses_source, \
	.user = (uint32_t)(c)->guesses_user, .forget_ms = (uint64_t)(c)->guesses_forget * 1000, \
	.entries = (uint32_t)(c)->guesses_entries }

/*
 * Read and check; every error goes to errs. Never NULL: with errors it is
 * filled as far as could be read, for who looks for further ones, and is not
 * to be used for anything else. The caller owns one reference.
 */
struct director_config *director_config_read(const char *file, struct conf_errors *errs);
/* The same, but NULL if there is any error. */
struct director_config *director_config_load(const char *file, struct conf_errors *errs);
/* As bytes for another process of ours, and back. NULL: they are cut, or none. They are taken from rest. */
void	 director_config_pack(const struct director_config *, FILE *);
struct director_config *director_config_unpack(struct span *rest);
struct director_config *director_config_ref(struct director_config *);	/* any thread */
void	 director_config_unref(struct director_config *);		/* NULL: nothing; any thread */
void	 director_config_print_options(FILE *);

static inline const struct director_door *
director_door(const struct director_config *c, size_t i)
{
	return &((const struct director_door *)c->doors.v)[i];
}
static inline const struct director_server *
director_edge(const struct director_config *c, size_t i)
{
	return &((const struct director_server *)c->edges.v)[i];
}
static inline const struct director_server *
director_pool(const struct director_config *c, size_t i)
{
	return &((const struct director_server *)c->pools.v)[i];
}
static inline const struct director_route *
director_route(const struct director_config *c, size_t i)
{
	return &((const struct director_route *)c->routes.v)[i];
}
/* The most specific static route for a text (route_text()), or -1. */
int	 director_route_for(const struct director_config *, struct span text);
/* Is this (any letter case) a domain of a public IM provider? */
bool	 director_is_public_im(const struct director_config *, struct span domain);
/* Is this (any letter case) one of our SIP domains? */
bool	 director_is_ours(const struct director_config *, struct span domain);
/* The pool of that name (any letter case), or -1. */
int	 director_pool_named(const struct director_config *, struct span name);
/* The edge of that name (any letter case), or -1. */
int	 director_edge_named(const struct director_config *, struct span name);
/* What the owner of these proven names is; *index within its list. An edge before a pool before others. */
enum server_kind director_server_of(const struct director_config *, const struct span *names, unsigned n,
	    unsigned *index);
/* May b take the place of a while running? If not, *option names what differs. */
bool	 director_config_same_frame(const struct director_config *a, const struct director_config *b,
	    const char **option);

#endif
