/*
 * edge/discovered.h - what is left to partners that nobody has listed (MS 9).
 *
 * A partner that only open federation lets in (policy_decision.limited) may
 * send so many requests a second; few, once most of what it sends fails, as
 * with somebody who guesses at users; and address so many of our users, then
 * only those that it has addressed before. Its state is kept by its
 * certificate, for the whole daemon: any thread may call, and connections and
 * workers share one budget. Whoever is on a list is not asked about here.
 *
 * Over the rate, 503 with Retry-After, and not back-pressure: the connection
 * also carries responses to what our own users have asked, and those must not
 * wait because somebody else over there sends too much.
 *
 * The table is bounded. When it is full, room is made by forgetting who has
 * been silent for long, is not suspicious, and has addressees left; else the
 * newcomer is refused. So nobody loses his own record by showing up with other
 * certificates; it would take a full table and a day of silence.
 */
#ifndef SALLYPORT_EDGE_DISCOVERED_H
#define SALLYPORT_EDGE_DISCOVERED_H

#include <stdbool.h>
#include <stdint.h>

#include "common/span.h"
#include "policy/reason.h"

struct edge_discovered;

struct edge_discovered_limits {
	unsigned	partners;		/* records; at least 1 */
	unsigned	rate;			/* requests a second; at once, as many as in one second */
	unsigned	suspicious_rate;	/* … of one that is suspicious */
	unsigned	window;			/* final responses that are looked at, the last ones */
	unsigned	window_ms;		/* … of this time */
	unsigned	failures;		/* suspicious from so many failures in the window */
	unsigned	failure_share;		/* … if they are so many of 100 */
	uint64_t	clean_ms;		/* suspicious no more after this time without that */
	unsigned	addressees;		/* of our users, existing or not */
	uint64_t	forget_ms;		/* of silence, before a record may make room */
};
#define EDGE_DISCOVERED_DEFAULT \
	((struct edge_discovered_limits){ 4096, 20, 1, 100, 600000, 50, 50, 3600000, 1000, 86400000 })

/* Who: what the certificate says. Borrowed during the call. */
struct edge_discovered_peer {
	const unsigned char	*fingerprint;	/* SHA-256 of the certificate, 32 bytes */
	const char		*subject, *issuer, *serial;
};

struct edge_discovered *edge_discovered_new(const struct edge_discovered_limits *);
void	edge_discovered_free(struct edge_discovered *);

/*
 * May this request pass? ALLOWED, or DISCOVERED_RATE, DISCOVERED_SUSPICIOUS or
 * DISCOVERED_TABLE with *retry_after set to seconds, or DISCOVERED_ADDRESSEES.
 * addressee: edge_discovered_addressee(), or 0 for a request that addresses
 * nobody anew (in a dialog that we know). *key is for edge_discovered_answered(); never 0.
 */
enum policy_reason edge_discovered_request(struct edge_discovered *, const struct edge_discovered_peer *,
	    struct span domain, uint64_t addressee, uint64_t *key, unsigned *retry_after);
/* A number for an address, however it is written: escapes, letter case. Never 0. */
uint64_t edge_discovered_addressee(struct span user, struct span domain);
/* The inside answered a request of that partner; a record that is gone is none's. */
void	edge_discovered_answered(struct edge_discovered *, uint64_t key, unsigned status);

#define EDGE_DISCOVERED_DOMAINS	8	/* names kept of the domains that one partner used */

/*
 * What passes between nodes of an array about one such partner. Requests are those since the last
 * time, refused ones not among them; the rest is how things are.
 */
struct edge_discovered_spent {
	unsigned char	fingerprint[32];
	uint32_t	requests, addressees;
	uint32_t	suspicious;	/* 0 or 1 */
};
/* Who has sent something since the last call, at most max of them; the next call goes on behind them. One thread. */
size_t	edge_discovered_spent(struct edge_discovered *, struct edge_discovered_spent *out, size_t max);
/* These could not be told: their requests are told with the next. Any thread. */
void	edge_discovered_untold(struct edge_discovered *, const struct edge_discovered_spent *, size_t n);
/*
 * What the other nodes have let pass counts as if it had come here: it is taken off the rate, their addressees
 * count with ours, and who is suspicious there is suspicious here. Of records that are here; any thread.
 */
void	edge_discovered_elsewhere(struct edge_discovered *, const struct edge_discovered_spent *, size_t n);

/* One record, for the administrator. Strings are valid during the call. */
struct edge_discovered_state {
	const unsigned char	*fingerprint;
	const char		*subject, *issuer, *serial;
	const char		*domain[EDGE_DISCOVERED_DOMAINS];
	unsigned		 ndomains;		/* of these; the first ones that were used */
	bool			 suspicious, at_limit;	/* at_limit: no new addressees */
	unsigned		 addressees;
	unsigned		 answers, failures;	/* in the window */
	uint64_t		 requests, refused_rate, refused_addressees; /* since the record began */
	uint64_t		 recent;		/* requests, refused ones too, since the last report */
	uint64_t		 silent_ms;		/* since the last request */
};
/*
 * Every record, in no order, each as it is at that moment; one part of the
 * table is locked meanwhile, so fn must not call anything here. This is what
 * `sallyportctl partner list` shows. Any thread.
 */
void	edge_discovered_each(struct edge_discovered *, void (*fn)(void *arg, const struct edge_discovered_state *), void *arg);
/* Forget the record of that certificate; NULL: all. Number of records forgotten. */
unsigned edge_discovered_reset(struct edge_discovered *, const unsigned char fingerprint[32]);
/* A log record for each partner that sent something since the last report, and begin anew. */
void	edge_discovered_report(struct edge_discovered *);
unsigned edge_discovered_count(const struct edge_discovered *);

#endif
