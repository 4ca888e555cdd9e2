/*
 * edge/doctorshared.h - the doctor's look at an array.
 */
#ifndef SALLYPORT_EDGE_DOCTORSHARED_H
#define SALLYPORT_EDGE_DOCTORSHARED_H

#include "admin/ctl_step.h"
#include "edge/config.h"

/* A step that says how the running edge stands with the other nodes; none if nothing is shared or no edge runs. */
void	doctor_shared(struct ctl_steps *, const struct edge_config *);

#endif
