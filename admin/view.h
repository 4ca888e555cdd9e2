/*
 * admin/view.h - what both daemons show of themselves over the control socket.
 *
 * The first half runs in a worker, or wherever the owner of what is looked at
 * runs; the second in the control thread.
 */
#ifndef SALLYPORT_ADMIN_VIEW_H
#define SALLYPORT_ADMIN_VIEW_H

#include <stdbool.h>
#include <time.h>

#include "admin/control.h"
#include "admin/seen.h"
#include "common/conf.h"
#include "sip/state.h"

#define VIEW_HOPS	64	/* next hops of one worker that are shown one by one */
#define VIEW_NAME	256

struct view_hop {
	char			 name[VIEW_NAME];
	uint16_t		 port;
	const char		*what;		/* the daemon's word for it; static, or NULL */
	const char		*state;
	bool			 up, by_inbound;
	unsigned		 waiting;
	uint64_t		 retry_ms;
	time_t			 up_at, failed_at;
	enum policy_reason	 failure;
	const char		*detail;
};

/* One worker's part of the answer: a control_answer's slot. */
struct view_worker {
	uint32_t	 links, transactions;
	uint64_t	 requests_in, responses_in, forwarded, answered, dropped, malformed, links_in, links_out, links_closed;
	bool		 more_hops;	/* there were more than VIEW_HOPS */
	unsigned	 nhops;
	struct view_hop	 hop[VIEW_HOPS];
};

/* ---- in the worker ---- */

/* Counters, and the hops for which what() has a word, static (NULL: those that the configuration names). */
void	view_take(struct view_worker *, struct sip_relay *, const char *(*what)(const struct sip_hop_state *, void *), void *arg);
/*
 * One connection as a record of the kind "connection". class: what the far end
 * is, to this daemon. False: there is no room for more.
 */
bool	view_put_link(struct control_answer *, struct sip_link *, const char *class);

/* Errors of a configuration, a record "error" each. */
void	view_put_errors(struct control_answer *, const struct conf_errors *);

/* What of the connections is wanted: the arguments "class", "name", "peer" of a request. */
struct view_filter {
	char	class[32];	/* "" : any */
	char	name[VIEW_NAME]; /* a proven name, or one below it */
	char	peer[64];	/* address of the far end, as text, without the port */
};
#define VIEW_FILTER_ARGS \
	{ "class", RECORD_TEXT, false }, { "name", RECORD_TEXT, false }, { "peer", RECORD_TEXT, false }
/* The caller's to free. */
struct view_filter *view_filter_new(const struct control_request *);
bool	view_wants_link(const struct view_filter *, struct sip_link *, const char *class);

/* ---- in the control thread ---- */

/* A record of the kind "daemon" is begun: program, version, pid, since. */
void	view_begin_daemon(struct record_writer *, unsigned char *storage, size_t size, const char *program, time_t since);
/* A record "worker" for each that answered. slot: a view_worker. */
void	view_put_workers(struct control_request *, struct control_answer *const *answer, unsigned n);
/* A record "process", with how often it was started again: of the first n in enum lives_of, and of those that were at all. */
void	view_put_processes(struct control_request *, unsigned n);
/* A record of that kind for each hop, added up over the workers: up in so many of them, last success, last failure. */
void	view_put_hops(struct control_request *, struct control_answer *const *answer, unsigned n, const char *kind);
/* How many did not answer. */
unsigned view_missing(struct control_answer *const *answer, unsigned n);
/* End it, with EX_TEMPFAIL if workers are missing. */
void	view_end(struct control_request *, struct control_answer *const *answer, unsigned n);

/* ---- certificates, in any thread ---- */

/* Whole days from now on; negative: over. */
int64_t	view_days_left(time_t not_after);
/* NET_USAGE_* as items of "usage". */
void	view_usage(struct record_writer *, unsigned usage);
/* What will change, or has: an item of "forecast" for each. */
void	view_forecast(struct record_writer *, time_t not_after, unsigned usage);
/* What is compared of two certificates of one owner. */
struct view_certificate {
	const char	*issuer;
	const char	*names;		/* with a space between */
	unsigned	 usage;		/* NET_USAGE_* */
};
/* What is lost or new from one to the other: items of "forecast". to_come: the second is not in use yet. */
void	view_change(struct record_writer *, const struct view_certificate *was, const struct view_certificate *now, bool to_come);
/* A record "own" of a certificate alone; it is still open, more may be added. */
void	view_own_leaf(struct record_writer *, unsigned char *storage, size_t size, const char *door, bool dials, const struct net_peer *);
/*
 * An identity of ours as a record "own". name: must be in it, else the forecast says so; NULL: whatever. dials:
 * it is shown where we connect. False: it cannot be read.
 */
bool	view_own(struct record_writer *, unsigned char *storage, size_t size, const char *door, bool dials, const char *name,
	    const struct net_tls_material *);

/* A certificate that somebody has shown, as a record "seen" of the request: for seen_each(). */
void	view_put_seen(void *request, const struct seen_state *);

#endif
