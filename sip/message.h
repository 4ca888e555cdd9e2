/*
 * sip/message.h - one message: an index over borrowed bytes, and edits on it.
 *
 * The bytes are never changed. Whoever wants the message changed adds edits
 * (take out a header, put lines in, replace a piece), and rendering writes the
 * untouched slices and the new pieces in one pass. What no edit names leaves
 * byte for byte as it came: signatures of clients and unknown headers survive.
 *
 * A message is valid as long as its bytes. Big (some 20 KiB): a worker has a
 * few and reuses them.
 */
#ifndef SALLYPORT_SIP_MESSAGE_H
#define SALLYPORT_SIP_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/span.h"
#include "common/strbuf.h"
#include "policy/facts.h"
#include "sip/check.h"
#include "sip/grammar.h"

#define SIP_HEADERS_MAX	160
#define SIP_HEADERS_ADDED 32	/* of these are left for what servers on the way put in, */
#define SIP_HEADERS_OURS 8	/* and of those for what we do: our copy of a message can be read */
#define SIP_FOLDS_MAX	128	/* lines of all headers that go on with the one above */
#define SIP_SIGNS_MAX	240	/* of "?&%\\" in a head: behind each some reader may see a header, which is looked for */
#define SIP_ADDRESS_MAX	1024	/* bytes of From, and of To; from servers more if there is a tag */
#define SIP_EDITS_MAX	288
#define SIP_SCRATCH_MAX	12288
#define SIP_VIAS_KEPT	35	/* below the top one: as many as sip_check_message() lets pass in a request */

/* Headers we tell apart, by long or compact name, in any letter case. */
enum sip_header_id {
	SIP_H_OTHER = 0,
	SIP_H_VIA, SIP_H_FROM, SIP_H_TO, SIP_H_CALL_ID, SIP_H_CSEQ, SIP_H_MAX_FORWARDS,
	SIP_H_ROUTE, SIP_H_RECORD_ROUTE, SIP_H_CONTACT, SIP_H_CONTENT_LENGTH, SIP_H_CONTENT_TYPE,
	SIP_H_CONTENT_ENCODING, SIP_H_PATH, SIP_H_SERVICE_ROUTE, SIP_H_EXPIRES, SIP_H_EVENT, SIP_H_SUPPORTED, SIP_H_REQUIRE,
	SIP_H_PROXY_REQUIRE, SIP_H_UNSUPPORTED, SIP_H_SUBJECT, SIP_H_REFER_TO, SIP_H_REFERRED_BY, SIP_H_DATE,
	SIP_H_AUTHORIZATION, SIP_H_PROXY_AUTHORIZATION, SIP_H_WWW_AUTHENTICATE, SIP_H_PROXY_AUTHENTICATE,
	SIP_H_AUTHENTICATION_INFO, SIP_H_PROXY_AUTHENTICATION_INFO,
	SIP_H_P_ASSERTED_IDENTITY, SIP_H_P_PREFERRED_IDENTITY, SIP_H_PRIVACY,
	SIP_H_MS_TRUST,			/* ms-edge-proxy-message-trust */
	SIP_H_MS_VERIFICATION,		/* ms-asserted-verification-level */
	SIP_H_MS_ARCHIVING, SIP_H_MS_USER_LOGON_DATA, SIP_H_MS_DIAGNOSTICS, SIP_H_MS_DIAGNOSTICS_PUBLIC,
	SIP_H_MS_SPLIT_DOMAIN_INFO, SIP_H_MS_KEEP_ALIVE, SIP_H_COMPRESSION,
	SIP_H_X_REFUSED,		/* x-sallyport-refused: edge to Director only */
	SIP_H_OF_TRUST_DOMAIN,		/* P-Served-User and others: said among servers that trust each other */
	SIP_H_DIVERSION,
	/* others that may stand once */
	SIP_H_SESSION_EXPIRES, SIP_H_MIN_SE, SIP_H_SUBSCRIPTION_STATE, SIP_H_REPLACES, SIP_H_JOIN, SIP_H_RSEQ, SIP_H_RACK,
	SIP_H_MIN_EXPIRES, SIP_H_CONTENT_DISPOSITION, SIP_H_MIME_VERSION, SIP_H_REPLY_TO, SIP_H_TARGET_DIALOG, SIP_H_SIP_ETAG,
	SIP_H_SIP_IF_MATCH,
	SIP_NHEADER_IDS
};
_Static_assert(SIP_NHEADER_IDS <= 64, "sip_message.present has a bit for each");
#define SIP_H_BIT(name)	(UINT64_C(1) << SIP_H_##name)

struct sip_header {
	uint32_t	line;		/* offset of the name in bytes */
	uint32_t	line_n;		/* to the end of the last folded line, its CRLF included */
	uint32_t	value;		/* offset of the value, leading white space skipped */
	uint32_t	value_n;	/* trailing white space and CRLF left out; may contain folds (CRLF SP) */
	uint16_t	name_n;
	uint8_t		id;		/* enum sip_header_id */
	bool		folded;		/* more than one line (RFC 3261 7.3.1) */
	bool		comma;		/* there may be one in the value: it may be a list */
};

/* Internal to message.c; here only so that the struct has a size. */
struct sip_edit {
	uint32_t	at, drop;	/* bytes [at, at + drop) go; */
	uint32_t	text, text_n;	/* these of scratch come in their place */
};

#define SIP_CSEQ_BEYOND	UINT32_MAX	/* RFC 3261 8.1.1.5: less than 2**31 */

struct sip_message {
	const char		*bytes;		/* borrowed */
	size_t			 n;		/* the whole message */
	size_t			 head_n;	/* start line and headers, blank line included */
	struct span		 start_line;	/* without CRLF */

	bool			 is_request;
	struct span		 method;	/* requests */
	struct span		 uri;		/* requests: Request-URI as written */
	struct span		 version;
	unsigned		 status;	/* responses */
	struct span		 phrase;

	unsigned		 nheaders;
	struct sip_header	 headers[SIP_HEADERS_MAX];
	int16_t			 first[SIP_NHEADER_IDS];  /* index of the first header of that id; -1: none */
	unsigned		 folds;		/* lines that go on with the one above */
	bool			 no_breaks;	/* sip_chars_has_break() of the head is known to be false */
	uint64_t		 present;	/* bit i: there is a header of id i */
	uint64_t		 several;	/* bit i: more than one */
	struct span		 body;

	/* filled by sip_message_parse(); spans into bytes */
	bool			 parsed;
	enum policy_method	 method_id;	/* of the request, or of a response's CSeq */
	struct sip_uri		 ruri;		/* requests */
	struct sip_addr		 from, to;
	struct sip_via		 via;		/* topmost */
	unsigned		 nvias_below;	/* sip_check_message() has read so many of those below it: */
	struct sip_via		 vias_below[SIP_VIAS_KEPT];
	struct sip_addr		 contact;	/* and the first Contact, if it is an address */
	struct span		 call_id;
	uint32_t		 cseq;		/* SIP_CSEQ_BEYOND: the number is too large; no check lets that pass */
	struct span		 cseq_method;
	int			 max_forwards;	/* -1: no such header */
	uint64_t		 tx_key;	/* sip_tx_key(), once it was asked for; 0: not yet */
	uint32_t		 loop_hash;	/* sip_tx_loop_hash(), likewise */

	/* edits */
	unsigned		 nedits;
	bool			 edit_failed;
	struct sip_edit		 edits[SIP_EDITS_MAX];
	uint32_t		 scratch_n;
	char			 scratch[SIP_SCRATCH_MAX];
};

/* Forget everything; the framer then fills the index. */
void	sip_message_reset(struct sip_message *);
/* Index bytes that are known to be one whole message (our own copy). SP_OK or SP_ESYNTAX. */
int	sip_message_index(struct sip_message *, const char *bytes, size_t n);
/*
 * Parse the headers that routing needs with Sofia's grammar: Request-URI, From,
 * To, top Via, CSeq, Call-ID, Max-Forwards. SIP_CHECK_OK, or the check that failed
 * (mandatory header absent, does not parse). See sip/check.h for the rest.
 */
enum sip_check sip_message_parse(struct sip_message *);
/* Has what a response must copy: Via, From, To, Call-ID, CSeq; a request other than ACK and BENOTIFY. */
bool	sip_message_answerable(const struct sip_message *);

static inline struct span
sip_header_value(const struct sip_message *m, int i)
{
	return i < 0 ? SPAN_NONE : span_of(m->bytes + m->headers[i].value, m->headers[i].value_n);
}
static inline struct span
sip_header_name(const struct sip_message *m, int i)
{
	return span_of(m->bytes + m->headers[i].line, m->headers[i].name_n);
}
/* sip_list_next() for what began as the value of header i. */
static inline bool
sip_header_next(const struct sip_message *m, int i, struct span *rest, struct span *value)
{
	/* the whole of a value without a comma is the only one */
	if (i < 0 || m->headers[i].comma || rest->p != m->bytes + m->headers[i].value)
		return sip_list_next(rest, value);
	*value = *rest;
	*rest = SPAN_NONE;
	return true;
}
/* Value of the first header of that id; empty if none. */
static inline struct span
sip_message_value(const struct sip_message *m, enum sip_header_id id)
{
	return sip_header_value(m, m->first[id]);
}
/* Index of the next header with that id after i (start with -1), or -1. */
int	sip_message_next_of_several(const struct sip_message *, enum sip_header_id, int after);
static inline int
sip_message_next(const struct sip_message *m, enum sip_header_id id, int after)
{
	if (after < 0)
		return m->first[id];
	return (m->several >> id & 1) != 0 ? sip_message_next_of_several(m, id, after) : -1;
}
/* Index of the next header with that name (any case), or -1. */
int	sip_message_find(const struct sip_message *, const char *name, int after);
/* The id of a header name, long or compact. */
enum sip_header_id sip_header_id_of(struct span name);

/*
 * What was read of that value before, so that nobody reads it twice: the n-th
 * Via (from 0), a Contact. NULL: not kept.
 */
static inline const struct sip_via *
sip_message_via(const struct sip_message *m, unsigned n, struct span value)
{
	const struct sip_via *v = n == 0 ? &m->via : n <= m->nvias_below ? &m->vias_below[n - 1] : NULL;

	return v != NULL && v->whole.p == value.p && v->whole.n == value.n ? v : NULL;
}
static inline const struct sip_addr *
sip_message_contact(const struct sip_message *m, struct span value)
{
	return m->contact.whole.n != 0 && m->contact.whole.p == value.p && m->contact.whole.n == value.n ? &m->contact : NULL;
}

/*
 * Edits. Offsets are those of the original bytes; edits may come in any order.
 * Pieces put in at the same place appear in the order of the calls. Overlap of
 * two droppings is allowed (each byte goes once); text put strictly inside a
 * piece that another edit takes out goes with that piece. When edits or scratch are used up the message
 * is failed, and sip_message_render() says so: never half an edit.
 */
void	sip_edit_drop_header(struct sip_message *, int i);
/* Take the dropping of header i back: it stays as it came. */
void	sip_edit_keep_header(struct sip_message *, int i);
/* Whole header lines, each ending in CRLF, before header i (nheaders: after the last). Formats are ours. */
void	sip_edit_insert(struct sip_message *, int before, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void	sip_edit_insert_span(struct sip_message *, int before, struct span lines);
/* A piece of the message (a span into bytes; may be empty = insertion point) becomes text. */
void	sip_edit_replace(struct sip_message *, struct span piece, struct span text);
void	sip_edit_replacef(struct sip_message *, struct span piece, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/*
 * Take the first value off the first header of a list header (Via, Route, …):
 * the whole line if it holds one value, else only that value and its comma.
 * Called again it takes the next one.
 */
void	sip_edit_drop_first(struct sip_message *, enum sip_header_id);
void	sip_edit_clear(struct sip_message *);

/* Headers that rendering makes at most. */
unsigned sip_message_headers(const struct sip_message *);
/* Bytes that rendering needs at most. */
size_t	sip_message_room(const struct sip_message *);
/* Write the edited message into out (at least sip_message_room() bytes). Bytes written, or 0 when an edit failed. */
size_t	sip_message_render(struct sip_message *, char *out);

#endif
