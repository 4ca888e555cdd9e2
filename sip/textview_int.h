/*
 * sip/textview_int.h - what the files of sip/textview.h share, and nobody else.
 */
#ifndef SALLYPORT_SIP_TEXTVIEW_INT_H
#define SALLYPORT_SIP_TEXTVIEW_INT_H

#include "sip/textview.h"

#define VIEW_APART	((struct sip_char){ .c = UINT32_MAX })
#define ENTITY_MAX	32	/* characters of an entity that are looked at */
#define NAME_MAX_	16	/* of the name of a tag or an attribute, of a control word */

enum html_state {
	HTML_TEXT = 0, HTML_LT, HTML_TAG_NAME, HTML_IN_TAG, HTML_ATTR_NAME, HTML_AFTER_NAME, HTML_BEFORE_VALUE, HTML_VALUE,
	HTML_BANG, HTML_BANG_DASH, HTML_DECLARATION, HTML_COMMENT
};

enum rtf_state { RTF_TEXT = 0, RTF_ESCAPE, RTF_WORD, RTF_NUMBER, RTF_HEX, RTF_BINARY };

struct view {
	struct sip_text	*text;
	struct sip_urls	 main;		/* the text as it is shown */
	struct sip_urls	 other;		/* what stands beside it: attributes, comments, instructions */
	bool		 any;		/* a character came */
	/* character set */
	uint32_t	 value, value_at;
	unsigned	 more;
	bool		 half, ordered;
	unsigned char	 first;
	uint32_t	 high, high_at;
	/* HTML */
	enum html_state	 html;
	uint32_t	 tag_at;	/* where the last tag's name began; 0: there was none */
	uint32_t	 quote;		/* of the value; 0: none */
	bool		 is_address, is_namespace, is_body, closing;
	unsigned	 nslashes;	/* the value began with, if it is an address */
	uint32_t	 slash_at;
	unsigned	 ndashes;	/* the comment's last characters */
	bool		 comment_any;
	struct sip_char	 entity[ENTITY_MAX];
	unsigned	 nentity;	/* 0: none is open */
	/* HTML and RTF: the name of the tag, attribute or control word */
	char		 name[NAME_MAX_];
	unsigned	 nname;
	/* RTF */
	enum rtf_state	 rtf;
	uint32_t	 escape_at;
	unsigned	 depth;		/* groups that are open */
	unsigned char	 uc[SIP_RTF_GROUPS_MAX];
	bool		 aside[SIP_RTF_GROUPS_MAX];	/* hidden, or no text at all */
	bool		 group_new;	/* nothing but a brace so far */
	unsigned	 skip;		/* characters that stand in for a Unicode escape */
	bool		 negative, has_number;
	uint32_t	 number;
	unsigned	 nhex;
};

void	view_html(struct view *, struct sip_char);
void	view_html_end(struct view *);
void	view_rtf(struct view *, struct sip_char);

#endif
