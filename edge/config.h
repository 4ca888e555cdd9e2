/*
 * edge/config.h - edge.conf: this machine's doors, certificates, next hops and limits.
 */
#ifndef SALLYPORT_EDGE_CONFIG_H
#define SALLYPORT_EDGE_CONFIG_H

#include <stdbool.h>
#include <stdio.h>

#include "common/conf.h"
#include "edge/discovered.h"
#include "net/addr.h"
#include "net/prefix.h"
#include "net/tls.h"
#include "sip/relay.h"

#define EDGE_DOORS_MAX		16
#define EDGE_DIRECTORS_MAX	8
#define EDGE_ARRAY_MAX		15	/* other nodes */

/* A door, outer or inner. */
struct edge_door_conf {
	char		*listen;	/* "203.0.113.10:443" */
	char		*name;		/* how peers on this side call us */
	char		*certificate, *key, *trust, *crl;
	char		*dial_certificate, *dial_key;	/* who we are when we connect; NULL: certificate and key */
	int		 ask;		/* enum net_tls_ask */
	bool		 users, partners;
	struct conf_strs balancers;	/* who says in a PROXY header who has come */
	int		 connections;	/* 0: no limit but those of all */
	struct net_addr	 addr;		/* listen, parsed */
};

struct edge_director_conf {
	char		*name;
	int		 port;
	char		*address;	/* NULL: by DNS */
};

struct edge_limits_conf {
	int	 connections, connections_block, block_v4, block_v6, connections_partner, handshakes;
	int	 transactions, user_requests, partner_requests, hop_queue, held, held_per_domain;
	int	 user_rate, partner_rate;	/* a second */
	int	 burst;			/* seconds */
	int	 proxy_header, handshake, first_message, message, sign_in, idle, server_idle; /* seconds */
	int	 start_line, header, credentials, headers, head, message_size;
	int	 user_queue, link_queue;	/* KiB */
	int	 request, failover, invite_first, invite, connect; /* seconds */
};

/* What is left to partners that nobody has listed; edge/discovered.h says more. */
struct edge_discovered_conf {
	int	 partners, rate, suspicious_rate, window, failures, failure_share, addressees;
	int	 window_time, clean, forget, report;	/* seconds; report 0: none */
};

/* The Redis server by which the nodes of an array share their policy; edge/shared.h says more. */
struct edge_shared_conf {
	char	*server;	/* "10.1.0.41:6379"; NULL: nothing is shared */
	char	*name, *trust, *certificate, *key;
	char	*user, *password;	/* password: the file that has it */
	char	*prefix, *store;
};

struct edge_config {
	char			*file;		/* where it came from */
	char			*user;
	char			*key_user;	/* whom keyd becomes; "": user */
	bool			 sandbox;
	int			 workers;
	/* the short form: what is left out below follows from these (edge/short.h) */
	struct conf_strs	 domains;
	char			*next_hop, *certificate, *key, *trust, *outside, *inside;	/* NULL: not given */
	char			*policy;
	char			*flow_keys;
	char			*peer_certificates;	/* where those that peers have shown are listed; NULL: nowhere */
	char			*log_file;
	char			*log_journal;
	int			 log_level;
	int			 log_refusals, log_window;	/* lines; seconds */
	char			*session_file;
	int			 session_size;	/* MiB */
	char			*hep_server, *hep_password;
	int			 hep_id;
	bool			 hep_bodies;
	char			*control_socket, *control_group, *control_operators;
	struct conf_groups	 outer;		/* of struct edge_door_conf */
	struct edge_door_conf	 inner;
	bool			 director_refuses; /* refusals of signed requests are for the Director to say */
	struct conf_groups	 directors;	/* of struct edge_director_conf */
	struct conf_groups	 array;		/* of struct edge_director_conf: the other nodes */
	struct conf_strs	 dns_servers;
	int			 dns_timeout;	/* ms */
	int			 dns_tries;
	int			 dns_cache;	/* records */
	int			 dns_ttl_min, dns_ttl_max, dns_negative_ttl; /* seconds */
	struct conf_strs	 discovery_networks;
	int			 discovery_idle;	/* seconds */
	struct edge_discovered_conf discovered;
	struct edge_shared_conf	 shared;
	int			 drain;		/* seconds for what is in flight when we are stopped */
	int			 hung;		/* seconds after which a process of ours that does not answer is replaced; 0: never */
	int			 keep_alive;	/* seconds told to clients */
	struct edge_limits_conf	 limits;
};

/* Is there an inner door, with Directors behind it? A clearing house may be without. */
bool	edge_has_inside(const struct edge_config *);
/*
 * Read and check everything that can be checked without opening other files.
 * Every error is added to errs; if there is one, the configuration may only be
 * used to look for further errors. NULL: it could not be read to its end.
 */
struct edge_config *edge_config_load(const char *file, struct conf_errors *errs);
/* An option that differs and that a reload does not change; NULL: none. */
const char *edge_config_differs(const struct edge_config *, const struct edge_config *);
void	edge_config_free(struct edge_config *);
void	edge_config_print_options(FILE *);

static inline struct edge_door_conf *
edge_outer(const struct edge_config *c, size_t i)
{
	return (struct edge_door_conf *)c->outer.v + i;
}
static inline struct edge_director_conf *
edge_director(const struct edge_config *c, size_t i)
{
	return (struct edge_director_conf *)c->directors.v + i;
}

static inline struct edge_director_conf *
edge_node(const struct edge_config *c, size_t i)
{
	return (struct edge_director_conf *)c->array.v + i;
}

/* The limits as the rooms below want them. */
struct sip_link_limits edge_client_limits(const struct edge_config *);
struct sip_link_limits edge_server_limits(const struct edge_config *);
struct sip_link_limits edge_inner_limits(const struct edge_config *);
struct edge_discovered_limits edge_discovered_limits(const struct edge_config *);
struct sip_relay_limits edge_relay_limits(const struct edge_config *);

#endif
