/*
 * director/director.h - the Director's own state, of the process and of a worker.
 */
#ifndef SALLYPORT_DIRECTOR_DIRECTOR_H
#define SALLYPORT_DIRECTOR_DIRECTOR_H

#include <stdatomic.h>

#include "admin/control.h"
#include "admin/renew.h"
#include "admin/seen.h"
#include "admin/trace.h"
#include "director/ask.h"
#include "director/authd.h"
#include "director/config.h"
#include "director/sa.h"
#include "director/sipae.h"
#include "net/quota.h"
#include "net/tls.h"
#include "net/worker.h"
#include "sip/entrance.h"
#include "sip/relay.h"

struct backstage;
struct net_keyd;

/* Of the process: of the master, and with what it knew at the fork, of the proxy. Written by the control thread only while no worker runs. */
struct director {
	const char		*file;		/* where the configuration came from */
	struct director_config	*config;	/* the newest; workers have references of their own */
	struct net_tls_material	*material[DIRECTOR_DOORS_MAX];	/* the newest; workers made their contexts of it */
	struct renew		*renew;
	struct seen		*seen;		/* any thread */
	time_t			 since;		/* when the process began */
	struct sip_flow_keys	*keys;
	struct sip_flow_keys	*keys_read;	/* of the master alone: as the file was last; NULL: as keys */
	struct net_crew		*crew;
	struct trace		*trace;		/* any thread */
	struct control		*control;	/* NULL: there is none */
	struct sip_relay_set	*relays;
	struct net_quota	*quota;		/* any thread; director/crowd.h */
	struct net_rates	*rates;		/* likewise */
	struct sip_sessions	*sessions;	/* NULL: no session log */
	struct authd		 authd;		/* the master's */
	int			 ask[NET_WORKERS_MAX];	/* each worker's way to authd */
	struct backstage	*stage;		/* of the proxy alone: the way to the master */
	struct net_keyd		*keyd;		/* of the master alone */
	unsigned		 nworkers;
	struct sa_table		*sas;		/* shared by all workers */
	unsigned char		 nonce_key[AUTH_KEY_SIZE];	/* one for all workers: a client may meet any of them */
	int			 fds[DIRECTOR_DOORS_MAX][NET_WORKERS_MAX];
};

#define DIRECTOR_DNS_CACHE	3000	/* names of servers that each worker remembers */
#define DIRECTOR_RATES		65536	/* busy users whose rate is remembered */

/* How often a client was told lately that its association has ended. */
struct told {
	uint32_t	 opaque;
	unsigned	 times;
	uint64_t	 since_ms;
};
#define TOLD_MAX	64

/* Of one worker; only its own thread touches it. */
struct director_worker {
	struct director		*director;
	struct director_config	*config;
	char			*name;		/* ours; the same as long as the process lives */
	struct net_worker	*worker;
	struct net_tls_lib	*lib;
	struct net_tls_lists	*lists;		/* refused certificates */
	struct net_dns		*dns;
	struct srvs		*srvs;
	struct sip_flow_signer	*signer;
	struct sip_relay	*relay;
	struct ask		*ask;
	struct net_hmac		*nonces;
	struct sipae_desk	*desk;
	struct told		 told[TOLD_MAX];	/* by opaque; a newer one takes the place */
	struct sip_face		 face[DIRECTOR_DOORS_MAX];	/* one of each door */
	const struct sip_face	*faces[DIRECTOR_DOORS_MAX];
	size_t			 nfaces;
	struct sip_link_limits	 server_limits;	/* of who has proved to be a server, by whichever door */
	struct sip_face		*out;		/* as whom we connect to servers: the first door that admits them */
	struct sip_entrance	*door[DIRECTOR_DOORS_MAX];
	struct net_timer	 drain;
	struct net_timer	 sweep;		/* of the associations; the first worker's */
	atomic_bool		 busy;		/* draining, and something is still in flight; read by the control thread */
	struct sip_refusals	*refusals;	/* their log lines */
	struct sip_hep		*hep;		/* NULL: none */
};

/* Start and end of a worker (net_crew_start()); arg is the struct director. */
int	director_worker_start(struct net_worker *, void *director);
void	director_worker_stop(struct net_worker *, void *director);
/* A new configuration and new identities (NULL: the old one stays), by mail to every worker. References are taken. */
void	director_workers_update(struct director *, struct director_config *, struct net_tls_material *const *material);
/* A channel to another authd for each worker, which it takes over; d->nonce_key is new as well. */
void	director_workers_authd(struct director *, const int *fds);
/* No new requests from now on. */
void	director_workers_drain(struct director *);
/* After that: is anything still in flight? */
bool	director_workers_busy(struct director *);

/*
 * The main thread: new configuration and certificates from the master, checked completely
 * before they count. What is bad leaves the old in force; a bad certificate only its own
 * door's, for the rest must not wait for it. Users are read again by authd. It is
 * logged, errs has what was wrong, and it is false if anything was (director/main.c).
 */
bool	director_reload(struct director *, struct conf_errors *errs);
/* The main thread: the master's log, and those of the others, are opened again, and so is the session log. */
bool	director_reopen_logs(struct director *);
/* The control socket with all that may be asked on it; bound, before privileges are dropped (director/control.c). */
struct control *director_control_new(struct director *);

/* What the relay asks of the Director (director/proxy.c). */
extern const struct sip_relay_ops director_relay_ops;
/* The configuration has changed: what is every far end now (director/links.c)? */
void	director_classify_links(struct director_worker *);
/* Frees a question on its way to authd (ask_free()). */
void	director_forget(void *question);

#endif
