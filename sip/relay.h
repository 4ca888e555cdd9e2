/*
 * sip/relay.h - one worker's SIP engine: links, transactions, next hops.
 *
 * Transaction-aware on stream transports: nothing is retransmitted, but every
 * forwarded request is remembered until its final response, so that no request
 * is lost without an answer: when its next hop dies, times out or cannot be
 * reached, the next target is tried, and after the last the sender gets a final
 * response with a reason (design 3).
 *
 * The relay does: framing, checks of form, answering what is malformed,
 * CANCEL and ACK (hop by hop, RFC 3261 16.10, 17), matching without a branch
 * (RFC 2543), 100 for INVITE, Max-Forwards, loop check, Via, responses back by
 * record, fail-over, time-outs, mail to other workers. Its owner (edge or
 * Director) decides what happens to a request, and edits.
 *
 * Under load it sheds in this order (design 10): new connections from outside and of clients, when 7/8 of the
 * transactions are in use or 15/16 of the connections; requests outside of dialogs, at
 * 15/16 of the transactions; then the rest. What is in progress is kept.
 */
#ifndef SALLYPORT_SIP_RELAY_H
#define SALLYPORT_SIP_RELAY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "net/dns.h"
#include "net/stats.h"
#include "net/worker.h"
#include "policy/reason.h"
#include "sip/flow.h"
#include "sip/hop.h"
#include "sip/link.h"
#include "sip/message.h"

#define SIP_TARGETS_MAX		8
#define SIP_TX_WORDS		6
/* Provisional responses, and 2xx after the first, that go back for one request; who sends more is not heard. */
#define SIP_ANSWERS_MAX		100

/* What the owner wants remembered with a forwarded request and handed back with its responses. */
struct sip_note {
	uint64_t	 word[SIP_TX_WORDS];
	uint64_t	 from;		/* link the request came on (set by the relay) */
	uint64_t	 to;		/* link it went to; 0 before it went (set by the relay) */
	bool		 made;		/* a response of our own making (set by the relay) */
	uint32_t	 cseq;		/* set by the relay */
	enum policy_method method;	/* set by the relay */
};

struct sip_plan {
	uint64_t	 link;			/* try this connection first; 0: none */
	struct sip_hop	*hop[SIP_TARGETS_MAX];	/* then these, in order */
	unsigned	 nhops;
	enum policy_reason gone;		/* the reason given when link is gone and there are no hops */
	struct sip_face	*face;			/* our Via is written with this face's name */
	struct sip_note	 note;
};

struct sip_session_pen;		/* sip/sessions.h */

struct sip_relay_ops {
	/*
	 * A well-formed request that belongs to no transaction in progress (never
	 * CANCEL; ACK only for 2xx). The owner answers with exactly one of
	 * sip_relay_forward(), sip_relay_refuse(), sip_relay_answer(),
	 * sip_relay_drop(), or keeps a copy with sip_relay_hold() and does so later. msg is borrowed.
	 */
	void	(*request)(struct sip_relay *, struct sip_link *from, struct sip_message *msg);
	/*
	 * A response about to go back on `to`: strip, mark, sign. note->made: of our
	 * own making, for reason (ALLOWED: the owner's own answer). from is NULL then, and
	 * when the response came over another worker's connection. That our own
	 * Via goes is an edit made already.
	 */
	void	(*response)(struct sip_relay *, const struct sip_note *, struct sip_link *from, struct sip_link *to,
		    struct sip_message *msg, enum policy_reason reason);
	/*
	 * A response to a forwarded request, or a CANCEL of one, has come over `from` (NULL: over another
	 * worker's connection). False: it is dropped, as if it had not come; the owner has counted it. May be NULL.
	 */
	bool	(*believed)(struct sip_relay *, const struct sip_note *, struct sip_link *from, struct sip_message *msg);
	/*
	 * A CANCEL or ACK of the relay's own making, about to go out on `to` (sign it); NULL: on another
	 * worker's connection. May be NULL.
	 */
	void	(*made)(struct sip_relay *, const struct sip_note *, struct sip_link *to, struct sip_message *msg);
	/* Handshake done; false closes the link (class unknown, limit …) with the reason in *why. */
	bool	(*opened)(struct sip_relay *, struct sip_link *, enum policy_reason *why);
	void	(*closed)(struct sip_relay *, struct sip_link *, enum policy_reason, const char *detail);
	/*
	 * May that connection come in? Else *limit says what there is too much of. Once it may, closed() is told of
	 * its link later, but for those that sip_relay_free() closes. May be NULL.
	 */
	bool	(*admits)(struct sip_relay *, const struct net_addr *from, const struct sip_face *, enum stats_limit *limit);
	/* A connection that was closed before it was one. detail: ours, static, or NULL. May be NULL. */
	void	(*turned_away)(struct sip_relay *, const struct net_addr *from, const struct sip_face *, enum policy_reason,
		    const char *detail);
	/* Whole-message events for the session log and counters; may be NULL. msg may be NULL. */
	void	(*refused)(struct sip_relay *, struct sip_link *from, const struct sip_message *msg,
		    enum policy_reason, const char *detail);
};

struct sip_relay_limits {
	uint32_t	 links;			/* connections of this worker */
	uint32_t	 handshakes;		/* … that may be in the handshake at once; 0: no such limit */
	uint32_t	 transactions;		/* in flight, of this worker */
	uint32_t	 hops;			/* next hops remembered */
	uint32_t	 hop_queue;		/* requests waiting for one hop to come up */
	unsigned	 failover_ms;		/* silence of one target while another is left; default 8000 */
	unsigned	 request_ms;		/* non-INVITE without final response: 504; default 30000 */
	unsigned	 invite_first_ms;	/* INVITE without any response; default 30000 */
	unsigned	 invite_ms;		/* INVITE after a provisional (timer C); default 200000 */
	unsigned	 connect_ms;		/* resolve + connect + handshake of one target; default 6000 */
	unsigned	 retry_min_ms, retry_max_ms; /* breaker: first and longest pause; 500, 30000 */
};
#define SIP_RELAY_LIMITS_DEFAULT \
	((struct sip_relay_limits){ 50000, 2000, 100000, 2000, 1000, 8000, 30000, 30000, 200000, 6000, 500, 30000 })

struct sip_counters {		/* written by one worker, read by anybody (relaxed) */
	_Atomic uint64_t	 requests_in, responses_in, forwarded, answered, dropped, malformed;
	_Atomic uint64_t	 links_in, links_out, links_closed;
	_Atomic uint64_t	 by_reason[POLICY_NREASONS];
};

struct sip_relay *sip_relay_new(struct net_worker *, struct net_tls_lib *, struct net_dns *,
	    struct sip_flow_signer *, const struct sip_relay_limits *, const struct sip_relay_ops *, void *owner);
/* Closes every link; transactions end unanswered. The loop must not run any more. */
void	 sip_relay_free(struct sip_relay *);
/* Where the ends of requests are written; NULL: nowhere. Borrowed. */
void	 sip_relay_take_pen(struct sip_relay *, struct sip_session_pen *);
void	*sip_relay_owner(const struct sip_relay *);
struct net_worker *sip_relay_worker(const struct sip_relay *);
struct sip_flow_signer *sip_relay_signer(const struct sip_relay *);
struct net_dns *sip_relay_dns(const struct sip_relay *);
const struct sip_counters *sip_relay_counters(const struct sip_relay *);
uint32_t sip_relay_links(const struct sip_relay *);
uint32_t sip_relay_transactions(const struct sip_relay *);

/*
 * Every relay of the process, so that mail finds the others: called for each
 * worker's relay before any door opens. set is shared by all workers of the crew.
 */
struct sip_relay_set;
struct sip_relay_set *sip_relay_set_new(unsigned nworkers);
void	 sip_relay_set_free(struct sip_relay_set *);
void	 sip_relay_join(struct sip_relay *, struct sip_relay_set *);

/* A connection that a door accepted. fd is taken over. */
void	 sip_relay_accept(struct sip_relay *, int fd, const struct net_addr *from, struct sip_face *);
/* A connection that came to nothing before it was one, and is closed: counted, and ops->turned_away is told. */
void	 sip_relay_turn_away(struct sip_relay *, const struct net_addr *from, const struct sip_face *, enum policy_reason,
	    const char *detail);
/* The link with that id, if it is this worker's and lives. */
struct sip_link *sip_relay_link(const struct sip_relay *, uint64_t id);
/* Does that link live, whichever worker's it is? A hint for other workers' links: it may be gone a moment later. */
bool	 sip_relay_link_lives(const struct sip_relay *, uint64_t id);
void	 sip_relay_each_link(struct sip_relay *, void (*fn)(struct sip_link *, void *), void *arg);
/* Refuse new transactions with DRAINING from now on. */
void	 sip_relay_drain(struct sip_relay *);

/*
 * Forward: the relay takes Max-Forwards down, pushes our Via, renders msg with
 * the owner's edits and sends it to the first target that takes it. ACK and
 * BENOTIFY are sent and forgotten.
 */
void	 sip_relay_forward(struct sip_relay *, struct sip_link *from, struct sip_message *msg, const struct sip_plan *);
/*
 * Refuse for a reason: status from the reason's table, phrase from detail if
 * given (ours), else the standard one. extra: whole header lines. Passes through ops->response. ACK and
 * BENOTIFY are dropped and counted instead; so is a reason whose status is 0.
 */
void	 sip_relay_refuse(struct sip_relay *, struct sip_link *from, struct sip_message *msg,
	    enum policy_reason, const char *detail, struct span extra, const struct sip_note *);
/* Answer with a status of the owner's (401, 301, 200 …). Passes through ops->response. */
void	 sip_relay_answer(struct sip_relay *, struct sip_link *from, struct sip_message *msg,
	    unsigned status, const char *phrase, struct span extra, const struct sip_note *);
void	 sip_relay_drop(struct sip_relay *, struct sip_link *from, struct sip_message *msg, enum policy_reason);

/*
 * A private copy to decide about later (waiting for authd, DNS). The relay
 * remembers it: a CANCEL that comes meanwhile is answered, and the request gets 487 when it is taken up.
 */
struct sip_held {
	struct sip_held	*next, **prev;	/* the relay's */
	uint64_t	 key;
	bool		 cancelled;
	uint64_t	 from;		/* link id; look it up again */
	size_t		 n;
	char		 bytes[];	/* as received, no edits */
};
struct sip_held *sip_relay_hold(struct sip_relay *, struct sip_link *from, struct sip_message *msg);
/* Forget it: its request was answered, or nobody waits any more. */
void	 sip_relay_let_go(struct sip_held *);
/*
 * Take it up again: parses the copy into a message of the relay's and calls fn with it and
 * the link, if that still lives (else the request is forgotten: nobody waits) and nobody has
 * cancelled it. Frees held.
 */
void	 sip_relay_resume(struct sip_relay *, struct sip_held *,
	    void (*fn)(struct sip_relay *, struct sip_link *from, struct sip_message *msg, void *arg), void *arg);

#endif
