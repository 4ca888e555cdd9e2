/*
 * sip/content.h - the content filter: links and files in messages (MS 14.3).
 *
 * Looks into the body of MESSAGE, INVITE and INFO and of methods that SIP does
 * not know; into ms-text-format, which brings the first text of an INVITE; and for files into SDP (RFC 5547, MS file transfer),
 * text/x-msmsgsinvite and attached parts. Multiparts are walked to a depth.
 * Changes are edits on the message; what nobody may change (signed bodies)
 * is never changed. Allocates nothing; the work is linear in the message.
 */
#ifndef SALLYPORT_SIP_CONTENT_H
#define SALLYPORT_SIP_CONTENT_H

#include <stdbool.h>

#include "policy/content.h"
#include "policy/reason.h"
#include "sip/message.h"

#define SIP_CONTENT_DEPTH	4	/* multiparts in multiparts */
#define SIP_CONTENT_PARTS	32	/* of a whole message */
#define SIP_CONTENT_RECODED	6144	/* bytes of a base64 text that is put together anew */

struct sip_content_found {
	unsigned	links;		/* in all texts together */
	unsigned	files;
	bool		changed;	/* the message has edits of ours now */
};

/*
 * Filter a whole, parsed message by the rule. ALLOWED: it may pass, with edits
 * added if links were made inert (then *found says so); or CONTENT_LINK,
 * CONTENT_FILE, CONTENT_SEALED: it may not, and no edit was added. rules
 * say which domains are ours. The owner must not edit Content-Length or the body himself.
 *
 * Of a response the same, by the method that it answers: an offer of a file may
 * come in the response to an INVITE that had none (RFC 3261 14.1).
 */
enum policy_reason sip_content_filter(struct sip_message *, const struct policy_content *, const struct policy_rules *,
	    struct sip_content_found *found);
/* A response that may not pass cannot be refused: it goes on without body and ms-text-format. Other edits stay. */
void	sip_content_take_out(struct sip_message *);

#endif
