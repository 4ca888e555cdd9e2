/*
 * director/sigbuf.h - the text that MS-SIPAE signs (MS 4.1). Pure.
 *
 * Sixteen values of the message, each between "<" and ">", as they stand in the
 * message: letter case, escapes and spaces included. It is not the message as
 * it came that counts when we sign but the message as it leaves, so the caller
 * gives the index of rendered bytes.
 */
#ifndef SALLYPORT_DIRECTOR_SIGBUF_H
#define SALLYPORT_DIRECTOR_SIGBUF_H

#include <stdbool.h>

#include "common/span.h"
#include "common/strbuf.h"
#include "sip/message.h"

#define SIGBUF_MAX	6144	/* a message with longer values cannot be signed */

/* The values that come from the authentication header, quotes removed. */
struct sigbuf_proof {
	struct span	 scheme;	/* "NTLM", "Kerberos" */
	struct span	 random;	/* crand or srand */
	struct span	 number;	/* cnum or snum */
	struct span	 realm, target;
};

/*
 * The buffer for a message that is indexed (sip_message_index()), under version
 * 2, 3 or 4 of the protocol. A value that is not there is an empty pair. False
 * if it does not fit (out is failed then).
 */
bool	sigbuf_write(const struct sip_message *, const struct sigbuf_proof *, unsigned version, struct strbuf *out);

#endif
