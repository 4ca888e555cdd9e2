/*
 * director/endpoint.h - which device of a user it is: epid and +sip.instance (MS 7.5). Pure.
 */
#ifndef SALLYPORT_DIRECTOR_ENDPOINT_H
#define SALLYPORT_DIRECTOR_ENDPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/span.h"
#include "sip/message.h"

#define ENDPOINT_EPID_MAX	64	/* a longer epid is refused */
#define ENDPOINT_UUID_TEXT	37

/* The epid of a From or To; empty if there is none or it is too long. */
struct span endpoint_epid(const struct sip_addr *);
/* The UUID that belongs to an epid, as in "urn:uuid:...". */
void	 endpoint_uuid(struct span epid, char out[ENDPOINT_UUID_TEXT]);
/* Does this Contact value carry that UUID as its +sip.instance? */
bool	 endpoint_is_instance(const struct sip_addr *contact, const char uuid[ENDPOINT_UUID_TEXT]);
/*
 * Do the identifiers of a request fit each other? False if a Contact has an
 * instance that is not the one of the sender's epid. Whoever has only one of them is left alone.
 */
bool	 endpoint_agrees(const struct sip_message *);
/*
 * For how many seconds the answer to a REGISTER registers this endpoint: from
 * its own Contact, else the longest of all; 0 if there is no Contact.
 */
uint32_t endpoint_expires(const struct sip_message *response, struct span epid);

#endif
