/*
 * admin/ctl_certs.h - certificates told from files, where no daemon is asked.
 */
#ifndef SALLYPORT_ADMIN_CTL_CERTS_H
#define SALLYPORT_ADMIN_CTL_CERTS_H

#include <stdbool.h>

#include "admin/record.h"
#include "net/tls.h"

struct conf_errors;

struct ctl_certs {
	bool			 json, all;
	const char		*next_file;	/* what would take the place of an identity, or NULL */
	struct net_peer		 next;
	unsigned		 compared;	/* identities that it could replace */
	size_t			 n;		/* records */
	int			 status;
	struct record_table	*own, *others;
};

/* An identity of ours: name must be in it (NULL: whatever). What cannot be read is complained about, and makes status 66. */
void	ctl_certs_own(struct ctl_certs *, const char *door, bool dials, const char *name, const char *certificate);
/* One that somebody else has shown. */
void	ctl_certs_other(struct ctl_certs *, const struct record_writer *);

/* All that an edge.conf names, and what its peers have shown; in edge/ctl_certs.c. False: errs has why not. */
bool	ctl_certs_edge(struct ctl_certs *, const char *file, struct conf_errors *errs);

#endif
