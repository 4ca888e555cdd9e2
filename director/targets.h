/*
 * director/targets.h - servers as next hops: each of their addresses in the order in which it is tried.
 */
#ifndef SALLYPORT_DIRECTOR_TARGETS_H
#define SALLYPORT_DIRECTOR_TARGETS_H

#include "director/director.h"

/*
 * Append the addresses of server i of its kind to the plan, as far as there is room. key chooses
 * among the targets of SRV records. Returns the name of those if there are none, which may be because
 * DNS has not answered yet (srvs_wait()); else NULL. It is the configuration's.
 */
const char *targets_add(struct director_worker *, enum server_kind, size_t i, uint64_t key, struct sip_plan *);
/* Look up what has to be looked up, so that the first request need not wait. */
void	targets_warm(struct director_worker *);

#endif
