/*
 * admin/ctl_init.h - what sallyportctl init has been told, and the files that it makes of it.
 */
#ifndef SALLYPORT_ADMIN_CTL_INIT_H
#define SALLYPORT_ADMIN_CTL_INIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "admin/ctl_step.h"

/* Where the system keeps the authorities that it trusts. */
#define INIT_SYSTEM_TRUST	"/etc/ssl/certs/ca-certificates.crt"

enum { INIT_EDGE = 1 << 0, INIT_DIRECTOR = 1 << 1 };

enum {
	INIT_DOMAIN = 0,
	INIT_NEXT_HOP,
	INIT_NAME,
	INIT_LISTEN,
	INIT_OUTSIDE,
	INIT_INSIDE,
	INIT_CERTIFICATE,
	INIT_KEY,
	INIT_TRUST,
	INIT_INSIDE_TRUST,
	INIT_EDGES,		/* "NAME" or "NAME=ADDRESS", as are pools */
	INIT_POOLS,
	INIT_PARTNERS,		/* "DOMAIN=SERVER" */
	INIT_NANSWERS
};

struct init_answer {
	char	**v;
	size_t	  n;
};

struct init {
	unsigned		 role;
	const char		*dir;
	bool			 dry_run, force, json;
	struct init_answer	 answers[INIT_NANSWERS];	/* of what they are known to be: nothing has to be quoted */
	struct ctl_steps	 steps;
};

/* The text of each file (admin/ctl_initfiles.c). */
void	init_edge_conf(const struct init *, FILE *);
void	init_policy_conf(const struct init *, FILE *);
void	init_director_conf(const struct init *, FILE *);

#endif
