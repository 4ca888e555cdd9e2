/*
 * edge/shadow.h - a second policy that decides about everything too, and that nobody obeys.
 *
 * One for the process, shared by all workers. Each worker has counters of its own
 * in it, behind a lock that nobody else takes but who reads them. Everything that
 * an outsider can make grow is bounded: rows, examples, bytes.
 */
#ifndef SALLYPORT_EDGE_SHADOW_H
#define SALLYPORT_EDGE_SHADOW_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "common/span.h"
#include "policy/decision.h"

#define SHADOW_ROWS	128	/* kinds of difference in one worker; what is over is only counted */
#define SHADOW_UNNAMED	96	/* … of them about whom neither policy names */
#define SHADOW_EXAMPLES	5	/* of each kind, the newest */
#define SHADOW_WHO	128	/* bytes of a partner's name or a domain */
#define SHADOW_TEXT	160	/* bytes of a URI or Call-ID in an example */

struct edge_discovery;
struct edge_shadow;

/* What came out otherwise. */
enum shadow_what {
	SHADOW_REASON = 0,	/* passes or not, or the reason for which it does not */
	SHADOW_HOP,		/* it goes elsewhere */
	SHADOW_VERIFICATION,	/* how sure we say that we are of the sender */
	SHADOW_MARKS,		/* what else is told the other side, or kept from it */
	SHADOW_LIMITS,		/* whether the limits of unlisted partners hold */
	SHADOW_CONTENT,		/* what becomes of links and files in it, or, of a response, which rule about them holds */
	SHADOW_DNS,		/* it would have to ask DNS, for the domain in who */
	SHADOW_CONNECTION,	/* whether the connection may stay, by its certificate */
	SHADOW_NWHATS
};
const char *shadow_what_name(enum shadow_what);

struct shadow_example {
	time_t	when;
	char	method[32], from[SHADOW_TEXT], to[SHADOW_TEXT], call_id[SHADOW_TEXT];	/* outsiders' bytes: escape them; cut */
};

struct shadow_row {
	enum shadow_what	 what;
	enum policy_reason	 live, candidate;
	bool			 outward;	/* of what came from inside */
	bool			 named;		/* who is a partner of one of the policies */
	char			 who[SHADOW_WHO];	/* a partner's name, or the other side's domain: an outsider's bytes */
	uint64_t		 count;
	unsigned		 nexamples;
	struct shadow_example	 example[SHADOW_EXAMPLES];
};

struct shadow_totals {
	uint64_t	decisions, same, different, unlisted;	/* unlisted: differences that had no row left */
};

/* A reference to rules is taken; strings are copied. One reference is the caller's. */
struct edge_shadow *edge_shadow_new(struct policy_rules *, const char *name, const char *author, uint64_t base,
	    const char *sha256, unsigned nworkers);
struct edge_shadow *edge_shadow_ref(struct edge_shadow *);	/* any thread */
void	edge_shadow_unref(struct edge_shadow *);		/* NULL: nothing; any thread */

struct sip_message;

/* Out of the message, for examples; spans may be empty. */
struct shadow_words {
	struct span	method, from, to, call_id;
	struct sip_message *message;	/* whose content both filter, if both let it pass; no edit of that stays. NULL: not looked at */
};
/*
 * The worker's own thread: live has decided so about these facts; what would the candidate?
 * discovery is asked for answers of DNS that are at hand (NULL: none are), and never asks itself.
 */
void	edge_shadow_decided(struct edge_shadow *, unsigned worker, struct edge_discovery *, const struct policy_rules *live,
	    const struct policy_facts *, const struct policy_decision *, const struct shadow_words *);
/* The same of a connection: live has admitted it, or not, for that reason. called: as in policy_admit(). */
void	edge_shadow_admitted(struct edge_shadow *, unsigned worker, const struct policy_facts *, struct span called,
	    const unsigned char *fingerprint, enum policy_reason live);

/* What it is: borrowed. */
struct shadow_about {
	const char	*name, *author, *sha256;
	uint64_t	 base;
	time_t		 since;
};
struct shadow_about edge_shadow_about(const struct edge_shadow *);
/* Any thread: all workers' counters in one, rows by how often, the most often first. The caller frees *rows. */
void	edge_shadow_sum(struct edge_shadow *, struct shadow_totals *, struct shadow_row **rows, size_t *n);

#endif
