/*
 * sip/tap.h - who looks on: every whole message of a relay's links, as it came and as it goes.
 *
 * A tap is set before its workers start and belongs to its owner; while nobody
 * looks (watchers is 0) a message costs one relaxed load. What may be shown of a
 * message is what sip_tap_mask() leaves.
 */
#ifndef SALLYPORT_SIP_TAP_H
#define SALLYPORT_SIP_TAP_H

#include <stdatomic.h>
#include <stdbool.h>

#include "common/span.h"
#include "common/strbuf.h"
#include "sip/relay.h"

struct sip_tap {
	_Atomic unsigned watchers;	/* 0: message() is not called */
	/* In the link's worker. The bytes are one whole message; borrowed, like the link, during the call. Must not touch either. */
	void	(*message)(struct sip_tap *, struct sip_link *, bool in, struct span bytes);
};

#define SIP_TAPS_MAX	2
/* Before doors open. At most SIP_TAPS_MAX for one relay. */
void	sip_relay_add_tap(struct sip_relay *, struct sip_tap *);

/*
 * The head of a message without what nobody may see: of credentials and
 * challenges (Authorization and the like) the scheme is left; a password in a URI is
 * gone; of the body there is its length. Lines end in "\n" in out; controls and
 * 8-bit bytes are left as they are, so whoever shows it escapes. What does not fit is cut.
 */
void	sip_tap_mask(struct span message, struct strbuf *out);

/*
 * What logs show of an address: text itself or, in out, without the password that a URI in it has. What does not
 * fit is cut, behind more than logs show of a value.
 */
#define SIP_ADDRESS_SHOWN	256
struct span sip_tap_mask_address(struct span text, char out[SIP_ADDRESS_SHOWN]);

/* What a look at the head gives without parsing it: values as they stand there, empty when missing. */
struct sip_tap_head {
	struct span	start, from, to, call_id, cseq;	/* start: the first line */
};
void	sip_tap_look(struct span message, struct sip_tap_head *);
/*
 * Does a From or To value, or a request's first line, have a URI of that domain or one below it
 * (letter case aside), or that user ("alice@example.com")? Either may be empty: then it does not matter.
 */
bool	sip_tap_is_about(const struct sip_tap_head *, struct span domain, struct span user);

#endif
