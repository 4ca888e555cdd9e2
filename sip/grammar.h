/*
 * sip/grammar.h - Sofia-SIP's parser, as functions from text to plain structs.
 *
 * The only room-wide gate to Sofia. All spans of a result point into the text
 * that was given, never into Sofia's copy. Text has passed the framer's gate
 * (no NUL, no bare CR or LF, bounded). Nothing here allocates without a limit:
 * parsing runs on a stack home.
 */
#ifndef SALLYPORT_SIP_GRAMMAR_H
#define SALLYPORT_SIP_GRAMMAR_H

#include <stdbool.h>
#include <stdint.h>

#include "common/span.h"

enum sip_scheme { SIP_SCHEME_OTHER = 0, SIP_SCHEME_SIP, SIP_SCHEME_SIPS, SIP_SCHEME_TEL };

struct sip_uri {
	enum sip_scheme	 scheme;
	struct span	 whole;		/* as written, without angle brackets */
	struct span	 user;		/* still escaped; without password */
	struct span	 host;		/* IPv6 with its brackets; as written */
	uint16_t	 port;		/* 0: none given */
	struct span	 params;	/* after the first ';', without '?' part */
	struct span	 headers;	/* after '?' */
};

struct sip_addr {
	struct span	 whole;		/* this one value, as written */
	struct span	 display;	/* as written, quotes included */
	struct span	 uri_text;	/* between < and >, or up to the first ';' (MS 4.1) */
	struct sip_uri	 uri;
	struct span	 params;	/* header parameters, after the first ';' */
	struct span	 tag;		/* empty: none */
};

struct sip_via {
	struct span	 whole;		/* this one value, as written */
	struct span	 transport;	/* "TLS", "tls", … */
	struct span	 host;
	uint16_t	 port;		/* 0: none given */
	struct span	 params;	/* after the first ';' */
	struct span	 branch;	/* empty: none (RFC 2543) */
};

/* All parsers: SP_OK or SP_ESYNTAX. */
int	sip_uri_parse(struct sip_uri *, struct span text);
int	sip_addr_parse(struct sip_addr *, struct span text);	/* one From/To/Contact/Route/… value */
int	sip_via_parse(struct sip_via *, struct span text);	/* one value */
/* The same, and Sofia's parser reads it too, whatever stands there: what the tests compare with. */
int	sip_uri_parse_fully(struct sip_uri *, struct span text);
int	sip_addr_parse_fully(struct sip_addr *, struct span text);
int	sip_via_parse_fully(struct sip_via *, struct span text);
int	sip_cseq_parse(struct span text, uint32_t *number, struct span *method);

/*
 * The next value of a comma list (quotes, angle brackets and escapes respected);
 * *rest starts as the header value. False at the end. The value is trimmed.
 */
bool	sip_list_next(struct span *rest, struct span *value);
/*
 * A parameter of a ";"-list by name, any case: true if it is there; *value gets the raw value
 * (quotes included), empty for a flag. value may be NULL.
 */
bool	sip_param(struct span params, const char *name, struct span *value);
/*
 * The next parameter of a ";"-list; *rest starts as the list. *piece is name and
 * value as they stand. False at the end, and where the list is not well-formed.
 */
bool	sip_param_next(struct span *rest, struct span *name, struct span *value, struct span *piece);
/*
 * One value has bounds, of its text and of its parameters: may four parameters more, of 160 bytes in all, be put
 * into that one, whose parameters these are, so that whoever reads as we do reads it still?
 */
bool	sip_takes_more(struct span whole, struct span params);
/* The piece from its ';' to the end of its value, to be taken out; empty if it is not there. */
struct span sip_param_piece(struct span params, const char *name);

/* Credentials or challenge: "Digest realm=\"x\", nonce=…" (RFC 3261 20.7, MS-SIPAE). */
struct sip_auth {
	struct span	 scheme;
	struct span	 params;	/* after the scheme */
};
int	sip_auth_parse(struct sip_auth *, struct span text);
/* A parameter by name, any case; quotes removed, escapes left. False if absent. Twice the same name: SP_ESYNTAX at parse. */
bool	sip_auth_param(const struct sip_auth *, const char *name, struct span *value);

/* Is every '%' followed by two hex digits? */
bool	sip_escapes_ok(struct span text);

/* Sofia's standard phrase for a status ("Not Found"), or "Error". */
const char *sip_phrase(unsigned status);
/* Are two URIs equal as RFC 3261 19.1.4 means it for an address of record: scheme, user (case), host (any case), port? */
bool	sip_uri_same_aor(const struct sip_uri *, const struct sip_uri *);

#endif
