/*
 * sip/engine.h - what link.c, hop.c, relay.c and transact.c share, and nobody else.
 */
#ifndef SALLYPORT_SIP_ENGINE_H
#define SALLYPORT_SIP_ENGINE_H

#include "common/slots.h"
#include "net/stats.h"
#include "sip/relay.h"
#include "sip/sessions.h"
#include "sip/tx.h"
#include "sip/tap.h"

/* ---- transactions ---- */

enum tx_state {
	TX_WAITING = 0,		/* for a hop to come up */
	TX_SENT,		/* no response yet */
	TX_PROCEEDING,		/* a provisional response came */
	TX_ACCEPTED,		/* INVITE: a 2xx went back; others may follow (RFC 6026) */
	TX_COMPLETED		/* INVITE: a failure went back; the sender's ACK is awaited */
};

/* Copies of requests up to that size are written into the memory of earlier ones, of which so many wait. */
#define SIP_COPY_SPARE		2048
#define SIP_COPIES_SPARE	64

struct sip_tx {
	struct sip_relay	*relay;
	uint64_t		 id;		/* slots' id, without the worker */
	uint64_t		 key;		/* sip_tx_key() */
	struct sip_tx		*chain;		/* next of the same bucket; next free one */
	enum tx_state		 state;
	bool			 oneway;	/* ACK, BENOTIFY: gone once sent */
	bool			 cancelled;	/* the sender sent CANCEL, or timer C ran out */
	bool			 cancel_sent;
	bool			 answered;	/* the sender got its final response from us */
	bool			 counted;	/* among what its sender has in flight */
	uint8_t			 attempt;
	uint8_t			 nhops, next;	/* of hop[]; next one to try */
	bool			 in_dialog;	/* the request had a To tag */
	uint8_t			 passed;	/* responses that went back and ended nothing */
	uint16_t		 headers;	/* of copy, at most */
	uint32_t		 loop;
	uint32_t		 echo;		/* sip_tx_echo() of the request */
	struct sip_note		 note;
	struct sip_hop		*hop[SIP_TARGETS_MAX];
	enum policy_reason	 gone;		/* what to say when the wanted connection is gone */
	enum policy_reason	 failure;	/* of the last target */
	uint64_t		 sent_at;
	uint64_t		 begun_at;	/* when the request came */
	struct net_timer	 timer;
	struct sip_tx		*hop_next, **hop_prev;	/* waiting in a hop's queue */
	struct sip_tx		*link_next, **link_prev; /* sent on a link of ours, unanswered */
	struct sip_hop		*queued_on;
	char			*copy;		/* as sent: for the next target, CANCEL, ACK, our own answers */
	uint32_t		 copy_n;
	bool			 copy_spare;	/* its memory is one of those that serve again */
	uint32_t		 branch_at;	/* where our branch begins in copy */
};

/* ---- links ---- */

#define LINK_AWAITED_MAX	4096	/* other workers' requests on a link that are told when it closes */

struct sip_link {
	struct sip_relay	*relay;
	struct sip_face		*face;
	const struct sip_link_limits *limits;	/* the face's, until somebody knows better */
	struct net_stream	*stream;
	struct sip_hop		*hop;		/* outbound: whose it is */
	uint64_t		 id;
	struct sip_framer	 framer;
	char			*partial;	/* the unfinished message */
	uint32_t		 partial_n, partial_max;
	uint32_t		 skip;		/* bytes of a refused request's body that are still to come */
	struct net_timer	 timer;
	uint64_t		 opened_at, heard_at, begun_at;	/* begun_at: of the unfinished message; 0: none */
	struct sip_tx		*sent;		/* unanswered requests on it */
	uint64_t		*feeders;	/* links that are paused because of this one */
	unsigned		 nfeeders;
	unsigned		 held_back;	/* how many links hold this one back */
	uint64_t		*awaited;	/* of other workers, unanswered: ID_WORKER() | tx */
	unsigned		 awaited_n, awaited_max;
	uint64_t		 pinged_at;	/* a ping of ours is not answered since; 0: none is out */
	uint64_t		 rate;		/* net_rate_take() */
	uint32_t		 in_flight;	/* its own requests without a final response */
	unsigned		 silent;	/* requests in a row that timed out without a byte between */
	bool			 pongs;		/* it has answered a ping */
	bool			 inbound, open, closing, heard, signed_in;
	unsigned		 class;		/* enum policy_class or stats_class */
	uint64_t		 words[SIP_LINK_WORDS];
};

#define ID_WORKER(w)	((uint64_t)(w) << 56)
#define ID_LOCAL(id)	((id) & 0x00ffffffffffffffULL)

struct sip_link *link_accept(struct sip_relay *, int fd, const struct net_addr *from, struct sip_face *);
struct sip_link *link_connect(struct sip_relay *, struct sip_hop *, const struct net_addr *to);
/* Can anything still be sent on it? Not once its peer has ended, though we are told of that a moment later. */
bool	 link_takes(const struct sip_link *);
/*
 * May it go over that link, or would a server that takes what we take end it for all who speak over it? headers: it
 * has no more than these. To a user everything fits.
 */
bool	 link_fits(struct sip_link *, const char *p, size_t n, unsigned headers);
/* Render it onto the link. False, and nothing is written: an edit failed, or it does not fit. */
bool	 link_render(struct sip_link *, struct sip_message *);
void	 link_write(struct sip_link *, const char *p, size_t n);
/* A request sent on it at `since` timed out: is the far end there at all? */
void	 link_suspect(struct sip_link *, uint64_t since);
/* Another worker's request went out on it and is to be told when it closes; its response came. */
void	 link_await(struct sip_link *, uint64_t worker_and_tx);
void	 link_answered(struct sip_link *, uint64_t worker_and_tx);
/* Hold `feeder` back until `link` has drained. */
void	 link_hold_back(struct sip_link *link, struct sip_link *feeder);
void	 link_free_all(struct sip_relay *);

/* ---- hops ---- */

enum hop_state { HOP_IDLE = 0, HOP_RESOLVING, HOP_CONNECTING, HOP_UP, HOP_DOWN };

struct sip_hop {
	struct sip_relay	*relay;
	struct sip_hop		*chain;
	char			*name, *address;
	uint16_t		 port;
	struct sip_face		*face;
	bool			 reuse_inbound, accept_cn;
	unsigned		 idle_ms;
	const struct net_guard	*guard;
	enum hop_state		 state;
	struct sip_link		*link;		/* outbound */
	unsigned		 nlinks;	/* whose hop this is; closing ones too */
	unsigned		 nwanted;	/* requests in flight that have it among their targets */
	bool			 keep;
	uint64_t		 alias;		/* inbound link that proves the name; 0: none */
	struct net_dns_query	*query;
	struct net_addr		 addrs[NET_DNS_ADDRS_MAX];
	unsigned		 naddrs, next_addr;
	struct net_timer	 timer;		/* connect deadline */
	uint64_t		 failed_at, down_until, used_at;
	unsigned		 pause_ms;
	bool			 is_broken;	/* it failed and has not come up since */
	enum policy_reason	 failure;
	time_t			 up_wall, failed_wall;	/* last time that a connection was made, or could not be */
	enum policy_reason	 last_failure;
	const char		*last_detail;	/* static, or NULL */
	struct sip_tx		*waiting, **waiting_tail;
	unsigned		 nwaiting;
};

/* A link that can take a message now, or NULL. */
struct sip_link *hop_link(struct sip_hop *);
/* Queue tx and connect if need be. SP_OK; SP_ELIMIT (queue full); SP_ECLOSED (the breaker holds it back). */
int	 hop_submit(struct sip_hop *, struct sip_tx *, bool even_if_down);
void	 hop_unqueue(struct sip_tx *);
void	 hop_link_opened(struct sip_hop *, struct sip_link *);
/* It is about to be closed: nothing more is sent on it. */
void	 hop_link_closing(struct sip_hop *, struct sip_link *, enum policy_reason);
void	 hop_link_closed(struct sip_hop *, struct sip_link *, enum policy_reason, const char *detail);
/* An inbound link has proved its names: hops of those names may use it. */
void	 hop_offer_alias(struct sip_relay *, struct sip_link *);
void	 hop_free_all(struct sip_relay *);

/* ---- the relay ---- */

#define HOP_BUCKETS	256

struct sip_relay {
	struct net_worker	*worker;
	struct net_tls_lib	*lib;
	struct net_dns		*dns;
	struct sip_flow_signer	*signer;
	struct sip_relay_limits	 limits;
	const struct sip_relay_ops *ops;
	void			*owner;
	struct net_streams	*streams;
	struct slots		*links, *txs;
	struct sip_tx		**bucket;	/* by key */
	uint32_t		 nbuckets;
	struct sip_tx		*free_tx;
	char			*copies[SIP_COPIES_SPARE]; /* memory of copies, not in use: SIP_COPY_SPARE bytes each */
	unsigned		 ncopies;
	struct sip_hop		*hops[HOP_BUCKETS];
	uint32_t		 nhops;
	struct sip_held		*held;		/* requests that the owner has kept for later */
	struct sip_relay_set	*set;
	struct sip_tap		*tap[SIP_TAPS_MAX];	/* who looks on */
	unsigned		 ntaps;
	struct sip_message	**spare;	/* messages not in use */
	unsigned		 nspare;
	bool			 draining, freeing;
	struct sip_session_pen	*pen;		/* NULL: no session log */
	struct sip_counters	 counters;
};

static inline void
count(_Atomic uint64_t *c)
{
	atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + 1, memory_order_relaxed);
}

static inline void
relay_dropped(struct sip_relay *r)
{
	count(&r->counters.dropped);
	stats_count(DROPPED, 0, 0);
}

/* A whole message has come or goes: for whoever looks on (sip/tap.c). */
void	 tap_message(struct sip_link *, bool in, const char *p, size_t n);

/* A message to work with, which holds nothing of use before it is indexed; give it back. */
struct sip_message *relay_message_take(struct sip_relay *);
void	 relay_message_give(struct sip_relay *, struct sip_message *);
void	 relay_refused(struct sip_relay *, struct sip_link *, const struct sip_message *, enum policy_reason, const char *);

/* A request has ended: for the session log, if there is one. from NULL: gone. */
void	 relay_write_end(struct sip_relay *, const struct sip_link *from, const struct sip_message *, enum policy_method,
	    unsigned status, enum policy_reason, uint64_t ms);
static inline void
relay_ended(struct sip_relay *r, const struct sip_link *from, const struct sip_message *m, enum policy_method method,
    unsigned status, enum policy_reason why, uint64_t ms)
{
	if (r->pen != NULL)
		relay_write_end(r, from, m, method, status, why, ms);
}

/* One whole message came over link; error: the framer gave up on it. */
void	 relay_message_in(struct sip_relay *, struct sip_link *, struct sip_message *);
/* A request whose head says that it is too long for its sender: refused, and what comes of its body is passed over. */
void	 relay_too_long(struct sip_relay *, struct sip_link *, struct sip_message *);
void	 relay_bad_frame(struct sip_relay *, struct sip_link *, struct sip_message *, enum sip_check);

/* Is the INVITE of that key held? Then it is cancelled. */
bool	 relay_cancel_held(struct sip_relay *, uint64_t key);

/* ---- transact.c ---- */
void	 tx_request(struct sip_relay *, struct sip_link *, struct sip_message *);
void	 tx_response(struct sip_relay *, struct sip_link *, uint64_t source, struct sip_message *);
void	 tx_forward(struct sip_relay *, struct sip_link *, struct sip_message *, const struct sip_plan *);
/* The hop it waited for is up: send. */
void	 tx_send(struct sip_tx *, struct sip_link *);
/* Its target is gone, for that reason: the next one, or the sender hears of it. */
void	 tx_target_failed(struct sip_tx *, enum policy_reason);
void	 tx_free_all(struct sip_relay *);
/*
 * Build an answer to req, let the owner edit it, send it to `to`. skip: how many
 * Vias on top of req are ours. False if none could be built, from a From that is none for example.
 */
bool	 tx_answer(struct sip_relay *, struct sip_link *to, const struct sip_message *req, unsigned status,
	    const char *phrase, struct span extra, enum policy_reason, struct sip_note *, unsigned skip);
void	 tx_await_ack(struct sip_relay *, struct sip_link *, struct sip_message *);
struct sip_tx *tx_find(const struct sip_relay *, uint64_t id);

/* ---- mail between workers ---- */
void	 mail_send(struct sip_relay *, uint64_t to_link, const struct sip_tx *, const char *p, size_t n);
void	 mail_failed(struct sip_relay *, uint64_t worker_and_tx, uint64_t link, enum policy_reason);
void	 mail_response(struct sip_relay *, unsigned worker, uint64_t source, const struct sip_message *);

#endif
