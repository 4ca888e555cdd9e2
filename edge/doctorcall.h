/*
 * edge/doctorcall.h - one server called as the edge calls it, and asked one thing.
 *
 * The far end may be anybody: what it sends is bounded in bytes and time, and read
 * by the same framer as the edge's.
 */
#ifndef SALLYPORT_EDGE_DOCTORCALL_H
#define SALLYPORT_EDGE_DOCTORCALL_H

#include <stdbool.h>

#include "net/addr.h"
#include "net/tls.h"
#include "policy/reason.h"

struct net_loop;
struct net_streams;

/* Can a connection be made? 0, or the error: ETIMEDOUT after so long. */
int	doctor_connect(const struct net_addr *, unsigned wait_ms);

struct doctor_question {
	struct net_addr		 to;
	const char		*name;		/* that it must prove, lower-case */
	bool			 accept_cn;
	struct span		 request;	/* the bytes of a request … */
	struct span		 call_id;	/* … and its Call-ID */
	unsigned		 handshake_ms;	/* for connection and handshake */
	unsigned		 answer_ms;	/* for the answer */
};

struct doctor_answer {
	bool			 secured;	/* TLS stood, and its certificate was accepted */
	struct net_peer		 peer;		/* what it has shown; doctor_answer_fini() */
	enum policy_reason	 why;		/* not secured, or closed without an answer: the cause */
	const char		*detail;	/* static, or NULL */
	const char		*nonsense;	/* what came was no SIP: how. Static, or NULL */
	bool			 late;		/* nothing came in time */
	unsigned		 status;	/* of the final response; 0: none came */
	unsigned		 ms;		/* until it came */
	char			 phrase[128], server[128], diagnostics[512]; /* theirs: escape them */
};

/* Call, ask, hang up. Blocks, at most as long as the question says, and some moments to hang up. */
void	doctor_call(struct net_loop *, struct net_streams *, struct net_tls_ctx *, const struct doctor_question *,
	    struct doctor_answer *);
void	doctor_answer_fini(struct doctor_answer *);

#endif
