/*
 * net/quota.h - how much one outsider has of something, whichever worker it came to.
 *
 * A quota counts under keys: connections of a block of addresses, of a door, of a
 * partner. A record is there as long as something is held under its key, so the
 * table is never larger than what is held; that has a limit of its own. The record
 * also holds the key's share of messages a second.
 */
#ifndef SALLYPORT_NET_QUOTA_H
#define SALLYPORT_NET_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

#include "net/addr.h"

/* ---- so many a second ---- */

struct net_rate {
	uint32_t	per_second;	/* 0: no limit */
	uint32_t	burst_ms;	/* as many as in this time may come at once; one always may */
};

/*
 * One more? *until is whose rate it is, zero at first, and is left as it was when
 * the answer is no. An eighth of what may come at once is kept for what is urgent.
 * now_ms: net_loop_now().
 */
bool	 net_rate_take(uint64_t *until, const struct net_rate *, uint64_t now_ms, bool urgent);
/* After how many seconds one that is not urgent would be taken; at least 1. */
unsigned net_rate_wait(uint64_t until, const struct net_rate *, uint64_t now_ms);

/*
 * The same of many, by key, whether they hold anything or not. Whoever has been quiet for the
 * time of a burst need not be remembered, so the table has a fixed size: when more are busy than
 * it has entries, the one that is nearest to its whole burst is forgotten. Any thread.
 */
struct net_rates;
struct net_rates *net_rates_new(uint32_t entries);
void	 net_rates_free(struct net_rates *);	/* NULL: nothing */
/* net_rate_take() of key (not 0). *wait: net_rate_wait() when it is false. */
bool	 net_rates_spend(struct net_rates *, uint64_t key, const struct net_rate *, uint64_t now_ms, bool urgent, unsigned *wait);

/* ---- so many at once ---- */

struct net_quota;

struct net_quota *net_quota_new(void);
/* What is still held is forgotten. NULL: nothing. */
void	 net_quota_free(struct net_quota *);
/*
 * Any thread. Hold one more under key (not 0), unless max (0: no limit) are held; false then.
 * Every take that was true is given back once.
 */
bool	 net_quota_take(struct net_quota *, uint64_t key, uint32_t max);
void	 net_quota_give(struct net_quota *, uint64_t key);
uint32_t net_quota_held(struct net_quota *, uint64_t key);
/* Keys under which something is held. */
uint32_t net_quota_keys(struct net_quota *);
/* net_rate_take() for all who hold something under key; nobody does: true. *wait: net_rate_wait() when it is false. */
bool	 net_quota_spend(struct net_quota *, uint64_t key, const struct net_rate *, uint64_t now_ms, bool urgent,
	    unsigned *wait);

/*
 * A key for the first bits of an address, of v4 (also mapped into v6) or of v6, or for
 * number, or for text in any letter case. Keys of another kind differ. Never 0.
 */
uint64_t net_quota_block(unsigned kind, const struct net_addr *, unsigned v4_bits, unsigned v6_bits);
uint64_t net_quota_number(unsigned kind, uint64_t number);
uint64_t net_quota_text(unsigned kind, struct span text);

#endif
