/*
 * sip/logs.h - what both daemons write into their logs about messages and connections.
 */
#ifndef SALLYPORT_SIP_LOGS_H
#define SALLYPORT_SIP_LOGS_H

#include "common/log.h"
#include "policy/reason.h"
#include "sip/link.h"
#include "sip/message.h"

/* An address, or a header with one, without the password that a URI may have. */
void	 sip_log_address(struct logrec *, const char *key, struct span);
/* Which message it was; it may be malformed. NULL: nothing. */
void	 sip_log_message(struct logrec *, const struct sip_message *);
/* End the line of a connection's end (sip/refusals.h began it): why. detail NULL: none. */
void	 sip_log_disconnected_end(struct logrec *, enum policy_reason, const char *detail);

#endif
