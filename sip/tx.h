/*
 * sip/tx.h - the record of a request in flight, and the table that finds it.
 *
 * Two ways lead to a record: our own branch (worker, id, try) when a response
 * comes back, and the sender's key when CANCEL, ACK or a copy of the request
 * comes: the top Via's branch and sent-by, or, where old clients send no
 * branch, what RFC 2543 compares (RFC 3261 17.2.3).
 */
#ifndef SALLYPORT_SIP_TX_H
#define SALLYPORT_SIP_TX_H

#include <stdbool.h>
#include <stdint.h>

#include "common/strbuf.h"
#include "sip/relay.h"

struct sip_branch {
	unsigned	 worker;
	uint64_t	 tx;		/* 0: sent without a record (ACK, BENOTIFY) */
	unsigned	 attempt;
	uint32_t	 loop;		/* what would be the same if this message came again */
};

#define SIP_BRANCH_TEXT	40	/* room for the text, NUL included */

/* "z9hG4bK" and our own text; always SIP_BRANCH_LEN bytes long. */
#define SIP_BRANCH_LEN	35
void	sip_branch_format(const struct sip_branch *, char out[SIP_BRANCH_TEXT]);
/* Another attempt, in the text of a branch that stands somewhere. */
void	sip_branch_set_attempt(char branch[SIP_BRANCH_LEN], unsigned attempt);
/* Where that branch (SIP_BRANCH_LEN bytes) stands in p[0..n), or NULL. */
char	*sip_branch_find(char *p, size_t n, const char *branch);
/* False if it is not ours. */
bool	sip_branch_parse(struct span text, struct sip_branch *);

/*
 * Both are computed once a message and kept in it: link and side must be those
 * that it came by.
 */
/* The sender's key (never 0): equal for an INVITE, its CANCEL and the ACK of its failure. */
uint64_t sip_tx_key(uint64_t link, struct sip_message *);
/* Equal when the message comes again with nothing changed that routing looks at (RFC 5393 4.2). */
uint32_t sip_tx_loop_hash(enum policy_side, struct sip_message *);

/*
 * What a response must repeat of its request (RFC 3261 8.2.6.2): Call-ID, From
 * tag, the To tag if with_to, and the Vias from number `skip` on by their sent-by and
 * branch. Equal for the request, as it came in (skip 0), and its responses (skip 1).
 */
uint32_t sip_tx_echo(const struct sip_message *, unsigned skip, bool with_to);

#endif
