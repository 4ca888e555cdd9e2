/*
 * sip/logs.h - what both daemons write into their logs about messages and connections.
 */
#ifndef SALLYPORT_SIP_LOGS_H
#define SALLYPORT_SIP_LOGS_H

#include "common/log.h"
#include "policy/reason.h"
#include "sip/link.h"
#include "sip/message.h"

/*
 * Begin the line of a refusal: reason, detail (NULL: none), and the reference by which the
 * answer to the sender names this line. references: the worker's refusals so far; one more after it.
 */
struct logrec sip_log_refused(unsigned worker, uint64_t *references, enum policy_reason, const char *detail);
/* Which message it was; it may be malformed. NULL: nothing. */
void	 sip_log_message(struct logrec *, const struct sip_message *);
/* Begin the line of a connection's end. */
struct logrec sip_log_disconnected(enum policy_reason);
/* And end it: why. detail NULL: none. */
void	 sip_log_disconnected_end(struct logrec *, enum policy_reason, const char *detail);

#endif
