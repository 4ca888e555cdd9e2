/*
 * admin/answers.h - answers of DNS that stand in a file, for what explains without asking. Pure.
 *
 * A line is "RECORD none", "RECORD failed" or "RECORD PRIORITY WEIGHT PORT TARGET", which may come again for
 * the same record; blank ones and those that begin with "#" say nothing. Names are such as the resolver asks for, and
 * takes from an answer (net_dns_name()); a target of "." says that there is decidedly nothing (RFC 2782).
 */
#ifndef SALLYPORT_ADMIN_ANSWERS_H
#define SALLYPORT_ADMIN_ANSWERS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/span.h"
#include "net/dns.h"

#define ANSWERS_MAX	1000		/* records */
#define ANSWERS_BYTES	(1u << 20)	/* of a file; its reader's to obey */

struct answers;

/* tell is called for each line that is none of these, from the first on. NULL: there was one. */
struct answers *answers_read(struct span text, void (*tell)(void *arg, unsigned line), void *arg);
void	 answers_free(struct answers *);	/* NULL: nothing */
/* What a resolver would say: of a record that is not there that it does not exist. Good until answers_free(). */
const struct net_dns_answer *answers_get(const struct answers *, const char *record);
/* In the order in which they came: the name, in lower case, without a dot behind it. */
size_t	 answers_count(const struct answers *);
const char *answers_name(const struct answers *, size_t i);

#endif
