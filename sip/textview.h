/*
 * sip/textview.h - one text of a message as its reader sees it, for finding links.
 *
 * Bytes go through the transfer encoding, the character set and the format
 * (plain, HTML, RTF) to characters, all of it as a stream: nothing is kept of a
 * text but the places of its links. Readers differ, and a link counts when any
 * likely reader sees it: in HTML the text without tags, each attribute's value
 * and each comment; in RTF the text with and without Unicode escapes, hidden
 * text and field instructions. Pure; linear in the bytes.
 */
#ifndef SALLYPORT_SIP_TEXTVIEW_H
#define SALLYPORT_SIP_TEXTVIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "common/span.h"
#include "sip/urls.h"

enum sip_text_format { SIP_TEXT_PLAIN = 0, SIP_TEXT_HTML, SIP_TEXT_RTF };
enum sip_text_charset { SIP_CHARSET_UTF8 = 0, SIP_CHARSET_LATIN, SIP_CHARSET_UTF16LE, SIP_CHARSET_UTF16BE, SIP_CHARSET_UTF16,
	SIP_CHARSET_UNKNOWN };
enum sip_text_transfer { SIP_TRANSFER_NONE = 0, SIP_TRANSFER_QP, SIP_TRANSFER_BASE64, SIP_TRANSFER_UNKNOWN };

#define SIP_TEXT_LINKS_MAX	64	/* places in one text; who has more is not worth a warning */
#define SIP_RTF_GROUPS_MAX	64	/* groups in groups; beyond it a text counts as one that nobody can read */

struct sip_text {
	/* set by the caller */
	struct span			 raw;
	enum sip_text_format		 format;
	enum sip_text_charset		 charset;
	enum sip_text_transfer		 transfer;
	const struct policy_content	*rule;
	bool				(*is_own)(const void *arg, struct span host);
	const void			*own_arg;
	/* found; places count in raw, of base64 in what it decodes to */
	uint32_t			 link[SIP_TEXT_LINKS_MAX];	/* ascending, each once */
	unsigned			 nlinks;
	bool				 overflow;	/* there are more, or one that cannot be made inert */
	bool				 strange;	/* broken in a way that readers read differently */
	uint32_t			 start;		/* where a warning may stand */
	bool				 has_start;
	bool				 big;		/* UTF-16: big-endian, as found */
};

/* Look through t->raw. */
void	sip_text_scan(struct sip_text *);
/*
 * What base64 decodes to, to out (room for raw.n / 4 * 3 + 3). Lenient: what is
 * no base64 is left out. Number of bytes.
 */
size_t	sip_base64_decode(struct span raw, char *out);

#endif
