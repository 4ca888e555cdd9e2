/*
 * edge/sharedin.h - what the edge does with what the nodes of its array share (edge/shared.h): the master puts
 * versions of other nodes into the store and in force; the proxy asks it once a second, and tells what it let pass.
 */
#ifndef SALLYPORT_EDGE_SHAREDIN_H
#define SALLYPORT_EDGE_SHAREDIN_H

#include "admin/master.h"
#include "edge/edge.h"

/* ---- the master ---- */

/* As the configuration says; NULL: nothing is shared. False: the password cannot be read (logged). */
bool	edge_shared_start(struct edge *);
/* In the process that calls it; the one that asks Redis ends with the last that has not. */
void	edge_shared_stop(struct edge *);
/* EDGE_ASK_SHARED: a file of struct edge_discovered_spent; the answer begins with a struct edge_shared_told. */
void	edge_answer_shared(void *edge, int fd, struct master_answer *);
/*
 * EDGE_ASK_CLAIM: a file of the change's line, the parent's SHA-256, each with a newline, and the text. No: why. Yes: the
 * number of its version, nothing if nobody can be asked, or "?" and a number by which EDGE_ASK_CLAIMED (a file of it) will be
 * answered like this. Neither waits.
 */
void	edge_answer_claim(void *edge, int fd, struct master_answer *);
void	edge_answer_claimed(void *edge, int fd, struct master_answer *);
/* The proxy has asked for what is in the files; if that is good, what did not suit this node may do now. */
void	edge_shared_loaded(struct edge *, bool good);

/* What EDGE_ASK_SHARED's answer begins with; others', and ours that was not told (struct edge_discovered_spent), follow. */
struct edge_shared_told {
	struct shared_status	status;
	uint32_t		reload;		/* 1: the policy file is another one now */
	uint32_t		nothers, nuntold;
};

/* ---- the proxy; the main thread ---- */

void	edge_shared_tick(struct edge *);
/*
 * May that change be the next version on all nodes, and under which number (0: nobody is asked)? Else errs says why not. With
 * *claim not 0 that is not known yet: edge_shared_claimed() says so then, in the same way, until *claim is 0. Neither waits.
 */
bool	edge_shared_claim(struct edge *, struct span change, struct span parent, struct span text, uint64_t *version, uint64_t *claim,
	    struct conf_errors *errs);
bool	edge_shared_claimed(struct edge *, uint64_t *claim, uint64_t *version, struct conf_errors *errs);

/* Any thread: how it is, as a record of kind "shared"; nothing if nothing is configured. */
void	edge_shared_put(struct edge *, struct control_request *);

#endif
