/*
 * edge/master.h - the edge's two processes: who asks what of whom (admin/master.h).
 */
#ifndef SALLYPORT_EDGE_MASTER_H
#define SALLYPORT_EDGE_MASTER_H

#include "admin/master.h"
#include "edge/edge.h"

/* What the proxy asks of the master. */
enum {
	/*
	 * Read configuration, policy and certificates again. Yes: a struct edge_loaded_head, the policy
	 * (policyfile_unpack()), and for each identity a byte whether it is there, and it.
	 * No: what is wrong, sentences that end in NUL.
	 */
	EDGE_ASK_LOAD = MASTER_OWN,
	/* Write this list of certificates that peers have shown. No: why. */
	EDGE_ASK_LIST,
	EDGE_ASK_SHARED,	/* edge/sharedin.h */
	EDGE_ASK_CLAIM,
	EDGE_ASK_CLAIMED,
	EDGE_ASK_KEYS		/* the flow keys in force: stage_put_flow_keys() */
};

/* What EDGE_ASK_LOAD's answer begins with. */
struct edge_loaded_head {
	int	log_level, log_refusals, log_window;	/* as in struct edge_config */
	char	sha256[POLICY_HASH_TEXT];		/* of the policy's text */
};

/* Open the doors, start the others, and be the master until the end. What the daemon exits with. */
int	edge_master(struct edge *);
/* Be the proxy, in its process; e->stage leads to the master (edge/main.c). */
int	edge_proxy(struct edge *);
void	edge_unload(struct edge *);

#endif
