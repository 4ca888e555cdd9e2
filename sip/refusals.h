/*
 * sip/refusals.h - the log lines of refusals: named by a reference, and not without end.
 *
 * Who is refused a thousand times for one reason gets so many lines in the log
 * and then a summary that counts the rest: nothing is lost without a word, and
 * nobody fills the disk. Lines of one kind are those of one event, reason, detail and
 * source (an IPv4 address, an IPv6 /64); besides, all sources together get
 * REFUSALS_SOURCES times as many lines for one reason. One of these is one worker's.
 */
#ifndef SALLYPORT_SIP_REFUSALS_H
#define SALLYPORT_SIP_REFUSALS_H

#include <stdint.h>

#include "common/log.h"
#include "net/addr.h"
#include "net/loop.h"
#include "policy/reason.h"

#define REFUSALS_SOURCES	20	/* times as many lines for one reason from everybody */
#define REFUSALS_KINDS		1024	/* kinds that are kept count of; a further one takes another's place, with its summary */
#define REFUSALS_REFERENCE	12	/* bytes of a reference's text, its NUL included */

struct sip_refusals_limits {
	unsigned	 lines;		/* of one kind in a window; 0: no limit */
	unsigned	 window_ms;	/* default 60000 */
};

struct sip_refusals;
struct sip_refusals *sip_refusals_new(struct net_loop *, unsigned worker, const struct sip_refusals_limits *);
/* Writes the summaries that are due. NULL: nothing. */
void	 sip_refusals_free(struct sip_refusals *);
void	 sip_refusals_take_limits(struct sip_refusals *, const struct sip_refusals_limits *);

/*
 * Begin the line of a refusal: reason, detail (NULL: none), and a reference, by which the
 * answer to the sender names this line. from NULL: nobody's. When there were too many
 * of its kind, the record is off, and every call on it does nothing.
 */
struct logrec sip_refusals_log(struct sip_refusals *, const struct net_addr *from, enum policy_reason,
	    const char *detail);
/* Begin the line of a connection's end. why ALLOWED: it ended in order, which is counted by nobody. */
struct logrec sip_refusals_log_end(struct sip_refusals *, const struct net_addr *from, enum policy_reason why,
	    const char *detail);
/*
 * The reference of the last refusal: ten letters and digits that say nothing about how many
 * there were (a permutation under the process's key), and are the same in the log and outside.
 */
const char *sip_refusals_reference(const struct sip_refusals *);

/* The permutation itself: n (worker and number, 48 bits) to its text, with bytes of a key as hash.h draws it. */
void	 sip_refusals_name(uint64_t n, char out[REFUSALS_REFERENCE]);

#endif
