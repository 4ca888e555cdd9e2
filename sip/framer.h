/*
 * sip/framer.h - bytes to whole messages, with named limits. Pure.
 *
 * Where a message ends has exactly one answer here: the header part ends at
 * the first CRLF CRLF, the body has Content-Length bytes (RFC 3261 18.3), and
 * whatever could be read in two ways is refused, not repaired: bare CR, bare
 * LF, NUL or another control in the header part, no Content-Length or two of
 * them (long and compact form together), a number with a sign, a space or too
 * many digits, a header line without a colon or with a name that is no token.
 *
 * The framer also indexes the headers (offsets only), so that nobody walks the
 * text again.
 */
#ifndef SALLYPORT_SIP_FRAMER_H
#define SALLYPORT_SIP_FRAMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sip/check.h"
#include "sip/message.h"

struct sip_frame_limits {
	uint32_t	start_line;	/* bytes; default 4096 */
	uint32_t	header;		/* bytes of one header, folded lines included; default 8192 */
	uint32_t	headers;	/* number of headers; at most SIP_HEADERS_MAX, default SIP_HEADERS_ADDED less */
	uint32_t	head;		/* bytes of start line and headers; default 16384 */
	uint32_t	message;	/* bytes in all; default 65536 */
	uint32_t	credentials;	/* bytes of one Authorization or Proxy-Authorization of a REGISTER, if that is more than
					   header: a Kerberos ticket grows with its user's groups; default 16384 */
	uint32_t	tag;		/* more bytes of From and To than SIP_ADDRESS_MAX: somebody has given them a tag; default 0 */
};
#define SIP_FRAME_LIMITS_DEFAULT \
	((struct sip_frame_limits){ 4096, 8192, SIP_HEADERS_MAX - SIP_HEADERS_ADDED, 16384, 65536, 16384, 0 })

/*
 * What comes from a server was within the limits of its sender's door once, and each on the way has put something in since.
 * A server has so much more: else a stranger's message that fills its limit would end the connection of the
 * next server for everybody who speaks over it.
 */
struct sip_frame_limits sip_frame_limits_of_servers(struct sip_frame_limits);
/*
 * SIP_CHECK_OK if these bytes are one message within them, else what it is beyond. headers: it has no more than these;
 * UINT_MAX when that is not known. Most are so short that it is seen at once; scratch is for the others.
 */
enum sip_check sip_frame_fits(const struct sip_frame_limits *, const char *p, size_t n, unsigned headers, struct sip_message *scratch);

enum sip_frame {
	SIP_FRAME_MORE = 0,	/* not whole yet */
	SIP_FRAME_PING,		/* *used bytes of blank lines before the next message: one CRLF (2) or two (4), see ping */
	SIP_FRAME_MESSAGE,	/* *used bytes are one message, indexed into *msg */
	SIP_FRAME_BAD		/* not to be followed; *msg holds as much of the index as is sound */
};

/* What is remembered between calls about the unfinished message at the start of the buffer. */
struct sip_framer {
	size_t		 scanned;	/* bytes looked at already */
	size_t		 head_n;	/* 0 until the end of the header part was seen */
	size_t		 total;		/* head_n + Content-Length */
	enum sip_check	 error;		/* why SIP_FRAME_BAD */
	bool		 salvage;	/* a request is bad; only what an answer needs is waited for */
	bool		 ping;		/* with SIP_FRAME_PING: a CRLF CRLF is whole now, to be answered with CRLF (RFC 5626 4.4.1) */
	bool		 blank;		/* one CRLF came and no second one yet */
};

void	sip_framer_init(struct sip_framer *);
/*
 * Look at p[0..n), which begins where the last message ended. Cutting the
 * stream anywhere changes nothing: the same bytes give the same messages, pings and errors. msg borrows p.
 * After MESSAGE and PING the caller drops *used bytes and calls again with the
 * rest; after BAD the stream is of no further use. For BAD, f->error names the
 * check, and *msg holds the start line and headers that were sound, enough for
 * sip_reply to answer if sip_message_answerable() says so. So that it is enough
 * wherever the error lies, a request whose start line is sound is read to the
 * end of its header part (or to the limit) before it is called bad.
 */
enum sip_frame sip_framer_next(struct sip_framer *f, const struct sip_frame_limits *,
	    const char *p, size_t n, size_t *used, struct sip_message *msg);

#endif
