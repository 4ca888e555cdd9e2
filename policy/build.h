/*
 * policy/build.h - what the files that build rules share. For policy/ only.
 */
#ifndef SALLYPORT_POLICY_BUILD_H
#define SALLYPORT_POLICY_BUILD_H

#include <stdbool.h>
#include <stddef.h>

#include "common/strbuf.h"
#include "policy/rules_int.h"

#define BUILD_ERROR_MAX		1024
#define SHOWN_MAX		288	/* 60 bytes, each as \xHH, quotes, and a NUL */
#define REFUSE_OTHERS_MAX	64
#define PARTNER_NAME_MAX	256	/* bytes */

struct build_error {
	struct place	 at;
	size_t		 number;	/* in the order found */
	char		*text;
	size_t		 rank;		/* of the file */
};

/* One policy on its way from pairs to rules. */
struct build {
	struct policy_rules	*rules;
	struct build_error	*errors;
	size_t			 nerrors, maxerrors;
	struct place		 first_ip;	/* the first domain that is an address */
	const char		*first_ip_key;
	/* of the partner that is open */
	bool			 partner_server_seen, partner_domain_seen;
	struct place		 partner_port_at, partner_cn_at;
};

void	build_error(struct build *, struct place, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* What an administrator wrote, as it may stand in a message: short and printable. Returns out. */
const char *build_shown(const char *value, char out[SHOWN_MAX]);
/* The partner that is open; NULL after an error. */
struct partner *build_current_partner(struct build *, struct place, const char *key);

/* policy/keys.c: handlers of keys, and what must hold when all are read. */
void	build_read_refused_certificate(struct build *, struct place, const char *key, const char *value, int);
void	build_read_key_rule(struct build *, struct place, const char *key, const char *value, int);
void	build_read_pin(struct build *, struct place, const char *key, const char *value, int);
void	build_finish_keys(struct build *);

/* Add an error for every two rules that may not stand together. */
void	build_find_conflicts(struct build *);

#endif
