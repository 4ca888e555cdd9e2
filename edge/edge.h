/*
 * edge/edge.h - the edge's own state: of the process, and of each worker.
 */
#ifndef SALLYPORT_EDGE_EDGE_H
#define SALLYPORT_EDGE_EDGE_H

#include <pthread.h>
#include <stdatomic.h>

#include "admin/control.h"
#include "admin/policychange.h"
#include "admin/renew.h"
#include "admin/seen.h"
#include "admin/trace.h"
#include "edge/config.h"
#include "edge/discovered.h"
#include "edge/discovery.h"
#include "edge/shadow.h"
#include "edge/shared.h"
#include "net/dns.h"
#include "net/guard.h"
#include "net/keyd.h"
#include "net/quota.h"
#include "net/worker.h"
#include "policy/rules.h"
#include "sip/entrance.h"
#include "sip/relay.h"

/*
 * The identities: outer doors by their number, then the inner door; and from
 * EDGE_DIAL(0) on, in the same order, who we are when we connect from there, where
 * that is somebody else.
 */
#define EDGE_INNER(c)	((c)->outer.n)
#define EDGE_FACES(c)	(EDGE_INNER(c) + (edge_has_inside(c) ? 1 : 0))	/* a mere clearing house has no inside */
#define EDGE_DIAL(i)	(EDGE_DOORS_MAX + 1 + (i))
#define EDGE_IDENTITIES	EDGE_DIAL(EDGE_DOORS_MAX + 1)

/* Which text all workers obey, and who has put it in force, where that is known. */
struct edge_obeyed {
	pthread_mutex_t		 lock;		/* written by the main thread, read by the control thread */
	char			 sha256[POLICY_HASH_TEXT];	/* "": not known */
	uint64_t		 version;	/* of the store; 0: it came out of the file */
	char			 author[POLICY_CHANGE_AUTHOR + 1];	/* of that version */
	time_t			 since;
};

/* Of the process. Written by the control thread only while no worker runs. */
struct edge {
	struct edge_config	*config;
	struct policy_rules	*rules;
	struct edge_obeyed	 obeyed;
	struct net_tls_material	*material[EDGE_IDENTITIES];	/* as loaded first; renewed ones are the workers' */
	struct renew		*renew;		/* of the master alone */
	struct seen		*seen;		/* any thread */
	struct edge_discovered	*discovered;	/* any thread */
	time_t			 since;		/* when the process began */
	uint64_t		 reported_at;	/* when these were reported last */
	struct sip_flow_keys	*keys;
	struct sip_flow_keys	*keys_read;	/* of the master alone: as the file was last; NULL: as keys */
	struct net_crew		*crew;
	struct trace		*trace;		/* any thread */
	unsigned		 nworkers;
	struct net_keyd		*keyd;		/* of the master alone */
	struct backstage	*stage;		/* of the proxy alone: the way to the master */
	struct control		*control;	/* NULL: there is none */
	struct shared		*shared;	/* of the master alone: the way to Redis; NULL: nothing is shared */
	struct shared_here	*shared_here;	/* of the master alone (edge/sharedin.c) */
	struct shared_status	 shared_status;	/* as obeyed, with its lock */
	struct edge_shadow	*shadow;	/* the main thread's reference; NULL: no policy is tried */
	struct sip_relay_set	*relays;
	struct net_quota	*quota;		/* any thread; edge/crowd.h */
	struct sip_sessions	*sessions;	/* NULL: no session log */
	uint64_t		 listed_at;	/* when peer_certificates was written last */
	bool			 list_failed;
	int			 fds[EDGE_DOORS_MAX + 1][NET_WORKERS_MAX];
	_Atomic uint64_t	 branch_link[0x10000];	/* any thread: a branch's newest link, whichever worker's; 0: none */
};

/* Of one worker; only its own thread touches it. */
struct edge_worker {
	struct edge		*edge;
	struct net_worker	*worker;
	struct net_tls_lib	*lib;
	struct net_dns		*dns;
	struct edge_discovery	*discovery;
	struct net_guard	*guard;		/* where names of strangers may lead */
	struct sip_flow_signer	*signer;
	struct sip_relay	*relay;
	struct policy_rules	*rules;
	struct edge_shadow	*shadow;	/* a policy that is tried; NULL: none is */
	unsigned		*partner_number;	/* under which its partners are counted, by index */
	struct net_tls_material	*material[EDGE_IDENTITIES];
	struct net_tls_lists	*lists_outer, *lists_inner;	/* out of rules */
	struct sip_face		 face[EDGE_DOORS_MAX + 1];	/* as EDGE_INNER() counts */
	const struct sip_face	*faces[EDGE_DOORS_MAX + 1 + EDGE_ARRAY_MAX];	/* … and then node[] */
	struct sip_face		 node[EDGE_ARRAY_MAX];	/* the inner doors of the array's other nodes: names only */
	struct sip_entrance	*door[EDGE_DOORS_MAX + 1];
	struct sip_hop		*director[EDGE_DIRECTORS_MAX];
	struct net_timer	 drain;		/* looks whether anything is in flight, once nothing new is taken */
	atomic_bool		 busy;		/* … and what it saw; read by the main thread */
	struct net_timer	 warm;		/* looks after their links */
	struct sip_link_limits	 server_limits;	/* of who has proved to be a server, by whichever outer door */
	struct sip_link_limits	 inner_limits;	/* … by the inner one */
	struct sip_face		*partner_face;	/* how partners see us when we dial */
	unsigned		 decisions;	/* one of 64 is timed */
	struct sip_refusals	*refusals;	/* their log lines */
	struct sip_hep		*hep;		/* NULL: none */
};

/* ---- edge/load.c: what comes out of files; for the master, and for -n ---- */

/* One look at all files. Zeroed: nothing. */
struct edge_loaded {
	struct edge_config	*config;
	struct policy_rules	*rules;
	struct net_tls_material	*material[EDGE_IDENTITIES];
	struct sip_flow_keys	*keys;		/* for a reload: what the file has; NULL: none is configured, or it was not read */
	char			*rows;		/* the policy as policyfile_pack() writes it */
	size_t			 rows_n;
	char			 sha256[POLICY_HASH_TEXT];	/* of the policy's text */
};

/*
 * Configuration, policy and certificates: everything that can be wrong before a
 * door opens, looked at in one go. True if nothing is; *l is the caller's in either case.
 * Keys go to e->keyd, which is started if it is not there yet; with check, they
 * are only tried, here.
 */
bool	edge_load(struct edge *e, const char *file, struct edge_loaded *l, struct conf_errors *errs, bool check);
void	edge_loaded_fini(struct edge_loaded *);
/* The keys of routes. 0, or what to exit with (logged). */
int	edge_load_flow_keys(struct edge *);
/* Where identity i comes from, and what to call it. False: there is none. */
bool	edge_identity_files(const struct edge_config *, size_t i, struct net_tls_files *, char label[48]);
void	edge_unref_material(struct net_tls_material *m[EDGE_IDENTITIES]);
unsigned edge_worker_count(const struct edge_config *);

/*
 * edge/proxy.c: what its Routes are to a worker, as a message from outside or from inside; flow is NONE but for the inside,
 * and USER_GONE where another worker may have the connection. Takes them out of the message.
 */
void	edge_look_at_routes(struct edge_worker *, struct sip_message *, bool outer, enum policy_route *, enum policy_flow *);

/* Start and end of a worker (net_crew_start()); arg is the struct edge. */
int	edge_worker_start(struct net_worker *, void *edge);
void	edge_worker_stop(struct net_worker *, void *edge);
/*
 * New policy (NULL: it stays) and identities, by mail to every worker. References
 * are taken. whole: material is all there is; else what is NULL there stays.
 */
void	edge_workers_update(struct edge *, struct policy_rules *, struct net_tls_material *const *material, bool whole);

/* So many log lines about refusals from now on, by mail to every worker. */
void	edge_workers_limit_lines(struct edge *, int lines, int window);

/*
 * The main thread: new policy and new certificates, checked completely before they
 * count. What is bad leaves the old in force: it is logged, errs has it, and it is
 * false (edge/main.c).
 */
bool	edge_reload(struct edge *, struct conf_errors *errs);
/* The control socket with all that may be asked on it; bound, before privileges are dropped (edge/control.c). */
struct control *edge_control_new(struct edge *);

/* ---- edge/policyctl.c: a policy over the control socket ---- */

/* What may be asked about policy; ends with a NULL name. */
extern const struct control_verb edge_policy_verbs[];
/*
 * The main thread: these bytes as the policy of all workers, from now on. False: they do
 * not do, errs says why, and the old policy stays. A policy that includes other files is
 * read from its place instead, as edge_reload() does.
 */
bool	edge_take_policy(struct edge *, struct span text, struct conf_errors *errs);
/*
 * The main thread: that text is in force from now on. version 0: it came out of the file, so
 * that version and author stay if the text does.
 */
void	edge_obey(struct edge *, const char *sha256, uint64_t version, const char *author);
/* Any thread: what is known of it, as fields that begin with prefix ("sha256", "version", "author", "since"). */
void	edge_put_obeyed(struct edge *, struct record_writer *, const char *prefix);
/* The main thread: every worker tries s (a reference is taken), or nothing any more (NULL). */
void	edge_workers_try(struct edge *, struct edge_shadow *s);

/* The main thread, before net_crew_stop(): no new requests, and those in flight get timers.drain (edge/drain.c). */
void	edge_drain(struct edge *);

/* ---- edge/peers.c: the certificates of the far ends ---- */

/* Out of the worker's rules: refused certificates everywhere, pinned keys outside. */
void	edge_make_lists(struct edge_worker *);
/* May this connection stay, by its certificate? Noted for the administrator in either case. */
bool	edge_admit(struct edge_worker *, struct sip_link *, enum policy_reason *why);
/* A connection that was refused in the handshake: noted, too. */
void	edge_note_refused(struct edge_worker *, struct sip_link *, enum policy_reason, const char *detail);
/* A connection has ended before it was of use: counted, if its far end is a configured server, or says so. */
void	edge_note_unmade(struct edge_worker *, struct sip_link *, enum policy_reason);
/* Policy, anchors or revocation lists have changed: who would not be admitted now is closed. */
void	edge_judge_links(struct edge_worker *);

/* Words of a link (sip_link_words()). */
enum {
	LINK_DIRECTOR = 0,	/* which Director keeps this user, plus one; 0: none yet */
	LINK_OPEN,		/* the handshake is over, and it was admitted */
	LINK_WHO		/* whose it is, as edge/crowd.h counts; 0: not known yet */
};

/* A request that waited for DNS when the worker ended (edge/proxy.c). */
void	edge_drop_held(void *held);
/* Where messages to that partner of the worker's rules go (edge/proxy.c). */
struct sip_hop *edge_partner_hop(struct edge_worker *, size_t partner);
/* What the relay asks of the edge (edge/proxy.c). */
extern const struct sip_relay_ops edge_relay_ops;

#endif
