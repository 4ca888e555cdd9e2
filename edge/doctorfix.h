/*
 * edge/doctorfix.h - what an administrator can do about what doctor found.
 */
#ifndef SALLYPORT_EDGE_DOCTORFIX_H
#define SALLYPORT_EDGE_DOCTORFIX_H

#include "edge/config.h"
#include "edge/doctorcall.h"

#define DOCTOR_FIX_MAX	1024

/* What a cure depends on. Borrowed. */
struct doctor_case {
	const struct edge_config *config;
	size_t			 door;		/* the outer door that we call from */
	const char		*domain;	/* the patient, canonical */
	const char		*server;	/* its server, or "" */
	const char		*own_issuer;	/* of the certificate that we show */
};

/* A sentence into out, which it returns. */
const char *doctor_fix_connect(const struct doctor_case *, const char *address, int error, char out[DOCTOR_FIX_MAX]);
/* The handshake failed, or the connection ended before it said anything. */
const char *doctor_fix_tls(const struct doctor_case *, const struct doctor_answer *, char out[DOCTOR_FIX_MAX]);
/* Policy refuses it; outward: from us to the domain. */
const char *doctor_fix_policy(const struct doctor_case *, enum policy_reason, bool outward, char out[DOCTOR_FIX_MAX]);
/* The server has answered the OPTIONS. NULL: there is nothing to be done. */
const char *doctor_fix_status(const struct doctor_case *, const struct doctor_answer *, char out[DOCTOR_FIX_MAX]);

#endif
