/*
 * edge/short.h - the short form of edge.conf: three values, and all else follows.
 *
 *	domains = [ "example.com" ];
 *	next_hop = "director.int.example.com";
 *	certificate = "/etc/sallyport/edge.pem";
 *
 * Doors, next hop and, while there is no policy file, the policy are made of them. Whatever
 * the long form says itself stands.
 */
#ifndef SALLYPORT_EDGE_SHORT_H
#define SALLYPORT_EDGE_SHORT_H

#include <stdio.h>

#include "admin/policyfile.h"
#include "edge/config.h"

#define EDGE_SYSTEM_TRUST	"/etc/ssl/certs/ca-certificates.crt"

/*
 * What was loaded and leaves something out is completed: the doors for users (443) and partners (5061), the inner
 * door (5061), the next hop. A configuration without any of the short form's values stays as it is.
 * What cannot be completed is added to errs.
 */
void	edge_short_fill(struct edge_config *, struct conf_errors *errs);

/*
 * The rules of the policy file. While there is none and domains are given: nothing passes but our own users, and the
 * next hops are the inside's servers; rules then name edge.conf and the lines there. rows and sha256 are those
 * of policyfile_pack(), or NULL both. NULL: errs says why.
 */
struct policy_rules *edge_short_policy(const struct edge_config *, struct conf_errors *errs, FILE *rows,
	    char sha256[POLICY_HASH_TEXT]);

#endif
