/*
 * sip/check.h - one named check per rule of form. Pure.
 *
 * The phrase of a check is what a 400 says, and its name is what log, metric
 * and manual say. Stricter than Sofia's lenient reader on purpose: what two
 * programs could read differently does not pass.
 *
 *	X(enumerator, name, status, phrase)
 */
#ifndef SALLYPORT_SIP_CHECK_H
#define SALLYPORT_SIP_CHECK_H

#include <stdbool.h>

#include "common/span.h"
#include "common/strbuf.h"

#define SIP_CHECKS(X) \
	X(OK, "ok", 200, "OK") \
	/* the framer's */ \
	X(START_LINE, "start-line", 400, "Malformed Start Line") \
	X(START_LINE_TOO_LONG, "start-line-too-long", 414, "Start Line Too Long") \
	X(VERSION, "version", 505, "Version Not Supported") \
	X(BARE_CR, "bare-cr", 400, "Bare CR In Header") \
	X(BARE_LF, "bare-lf", 400, "Bare LF In Header") \
	X(CONTROL, "control-character", 400, "Control Character In Header") \
	X(HEADER_NAME, "header-name", 400, "Malformed Header Name") \
	X(BLANK_FOLD, "blank-fold", 400, "Folded Line Without Text") \
	X(HEADER_TOO_LONG, "header-too-long", 400, "Header Too Long") \
	X(TOO_MANY_HEADERS, "too-many-headers", 400, "Too Many Headers") \
	X(HEAD_TOO_LONG, "head-too-long", 400, "Headers Too Long") \
	X(MESSAGE_TOO_LONG, "message-too-long", 513, "Message Too Large") \
	X(NO_CONTENT_LENGTH, "no-content-length", 400, "Missing Content-Length") \
	X(CONTENT_LENGTH, "content-length", 400, "Malformed Content-Length") \
	X(CONTENT_LENGTH_TWICE, "content-length-twice", 400, "Repeated Content-Length") \
	/* presence and number */ \
	X(NO_VIA, "no-via", 400, "Missing Via") \
	X(NO_FROM, "no-from", 400, "Missing From") \
	X(NO_TO, "no-to", 400, "Missing To") \
	X(NO_CALL_ID, "no-call-id", 400, "Missing Call-ID") \
	X(NO_CSEQ, "no-cseq", 400, "Missing CSeq") \
	X(REPEATED, "repeated-header", 400, "Repeated Header") \
	X(TOO_MANY_VALUES, "too-many-values", 400, "Too Many Values In A Header") \
	X(TOO_MANY_SIGNS, "too-many-signs", 400, "Too Many Escapes In The Headers") \
	/* form of one header */ \
	X(REQUEST_URI, "request-uri", 400, "Malformed Request-URI") \
	X(URI_SCHEME, "uri-scheme", 416, "Unsupported URI Scheme") \
	X(VIA, "via", 400, "Malformed Via") \
	X(VIA_TRANSPORT, "via-transport", 400, "Via Transport Differs From Connection") \
	X(FROM, "from", 400, "Malformed From") \
	X(TO, "to", 400, "Malformed To") \
	X(TAG, "tag", 400, "Malformed Tag") \
	X(CALL_ID, "call-id", 400, "Malformed Call-ID") \
	X(CSEQ, "cseq", 400, "Malformed CSeq") \
	X(CSEQ_METHOD, "cseq-method", 400, "CSeq Method Differs From Request") \
	X(MAX_FORWARDS, "max-forwards", 400, "Malformed Max-Forwards") \
	X(ROUTE, "route", 400, "Malformed Route") \
	X(RECORD_ROUTE, "record-route", 400, "Malformed Record-Route") \
	X(CONTACT, "contact", 400, "Malformed Contact") \
	X(CONTACT_PROXY, "contact-proxy", 400, "Malformed Contact Proxy Parameter") \
	X(CREDENTIALS, "credentials", 400, "Malformed Credentials") \
	X(EXPIRES, "expires", 400, "Malformed Expires") \
	X(ESCAPE, "uri-escape", 400, "Malformed Escape In URI") \
	X(STATUS, "status-code", 400, "Malformed Status Code") \
	X(MARK_DISGUISED, "mark-disguised", 400, "Trust Mark In Disguise") \
	X(HEADER_DISGUISED, "header-disguised", 400, "Header In Disguise") \
	X(METHOD_DISGUISED, "method-disguised", 400, "Method In Disguise") \
	X(EXTENSION, "extension", 420, "Bad Extension")

enum sip_check {
#define X(e, name, status, phrase) SIP_CHECK_##e,
	SIP_CHECKS(X)
#undef X
	SIP_NCHECKS
};

struct sip_message;

/*
 * Every check that needs the message alone, in the order of the list; the first
 * that fails. Calls sip_message_parse() if nobody did. Works for requests and responses.
 */
enum sip_check sip_check_message(struct sip_message *);

/* Does a Proxy-Require tag name an extension that we understand? */
bool	sip_extension_is_known(struct span tag);
/* For SIP_CHECK_EXTENSION: append the "Unsupported: …" line that belongs into the 420 (RFC 3261 8.2.2.3). */
void	sip_check_write_unsupported(const struct sip_message *, struct strbuf *out);

const char *sip_check_name(enum sip_check);
const char *sip_check_phrase(enum sip_check);
unsigned    sip_check_status(enum sip_check);

#endif
