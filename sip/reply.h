/*
 * sip/reply.h - responses and requests of our own making, from checked parts only.
 */
#ifndef SALLYPORT_SIP_REPLY_H
#define SALLYPORT_SIP_REPLY_H

#include <stddef.h>

#include "common/strbuf.h"
#include "sip/message.h"

#define SIP_REPLY_ROOM(req)	((req)->head_n + 2048)	/* storage that is enough for any of these, extra not counted */

/*
 * A whole response to req: all Vias, From, To (with a tag of ours if it had
 * none; not for 100), Call-ID, CSeq copied as they stand; then extra (whole header lines, may
 * be empty) and Content-Length: 0. skip_via leaves out that many of the topmost Via values (our own, when
 * req is the copy we sent on).
 */
void	sip_reply_write(struct strbuf *out, const struct sip_message *req, unsigned status, const char *phrase,
	    struct span extra, unsigned skip_via);
/* CANCEL for an INVITE we sent (RFC 3261 9.1): sent is our copy of it. */
void	sip_reply_write_cancel(struct strbuf *out, const struct sip_message *sent);
/* ACK for a non-2xx final response to an INVITE we sent (RFC 3261 17.1.1.3). */
void	sip_reply_write_ack(struct strbuf *out, const struct sip_message *sent, const struct sip_message *response);

#endif
