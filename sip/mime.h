/*
 * sip/mime.h - bodies and their parts (RFC 2045, 2046): what a part says of itself. Pure, lenient.
 */
#ifndef SALLYPORT_SIP_MIME_H
#define SALLYPORT_SIP_MIME_H

#include <stdbool.h>

#include "common/span.h"
#include "sip/textview.h"

/* Spans borrow from the message. */
struct sip_part {
	struct span		 type;		/* "text/plain", as written, without parameters */
	struct span		 params;	/* of the type */
	struct span		 file_name;	/* as written, quotes off; empty: none */
	bool			 attached;	/* Content-Disposition says so */
	bool			 encoded;	/* Content-Encoding other than identity */
	enum sip_text_transfer	 transfer;
	bool			 strange;	/* says a thing twice: readers take it differently */
	struct span		 body;
};

/* Fill in what the header says of the part. Names in any case; others are passed over. */
void	sip_part_header(struct sip_part *, struct span name, struct span value);
/* Header lines, a blank one and the body, as they stand between boundaries. */
void	sip_part_parse(struct sip_part *, struct span text);
/* Is the type this one, or of this kind ("text/")? */
bool	sip_part_is(const struct sip_part *, const char *type);
/* A parameter's value, quotes off; empty if it is not there. */
struct span sip_mime_param(struct span params, const char *name);
/* Is there more than one of that name? Which of them counts is for each reader to say. */
bool	sip_mime_repeats(struct span params, const char *name);
/*
 * The next part between boundaries; *at is 0 first. False when there is none. A
 * part without an end goes to the end. *odd is set where a line begins like a
 * boundary and goes on: some readers take it for one.
 */
bool	sip_multipart_next(struct span body, struct span boundary, size_t *at, struct span *part, bool *odd);
enum sip_text_charset sip_mime_charset(const struct sip_part *);

#endif
