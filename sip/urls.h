/*
 * sip/urls.h - finds links in a stream of characters.
 *
 * Characters come one by one, each with the place of the bytes that it was
 * made from, and go through what hides a link from a comparison and not from
 * a reader or a browser: letter case, characters without width, bidirectional
 * controls, full-width and mathematical forms, percent escapes. Pure; the work
 * for one character is bounded whatever came before.
 *
 * A link is a scheme of the rule, a colon and no white space; or how a host
 * begins ("www.") with a word in front of neither, and a letter or digit behind
 * it. Or, as far as the rule says so, a bare domain: labels and dots, the last label two
 * letters or more, not behind '/' (a path has such names), and behind or in front of '@' only
 * with a path (it is an address else); an IPv4 address (numbers as inet_aton() reads them) or an IPv6 address in brackets,
 * in front of a path, a port or a query (alone it may be a version of something, and with a slash and two digits it is a network). An underscore directly in front takes a link's life: that is how it is
 * made inert (MS 14.3).
 */
#ifndef SALLYPORT_SIP_URLS_H
#define SALLYPORT_SIP_URLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/span.h"
#include "policy/content.h"

struct sip_char {
	uint32_t	c;		/* Unicode; UINT32_MAX: there is no character, what is written next is apart */
	uint32_t	at, end;	/* bytes that it was made from */
	bool		odd;		/* made by an escape: not what a plain reader sees */
};

#define SIP_URLS_RING	32		/* more than the longest word of a rule and three digits */
#define SIP_URLS_HOST	256
#define SIP_URLS_V6_MAX	80		/* characters in the brackets of an IPv6 address with a zone */

struct sip_urls {
	const struct policy_content	*rule;
	/* may a link to that host (lower-case) pass? NULL: none may */
	bool				(*is_own)(const void *arg, struct span host);
	const void			*own_arg;
	void				(*found)(void *arg, uint32_t at);
	void				*arg;
	/* the last characters of the rule's schemes, and of how hosts begin; those beyond ASCII count as NUL */
	uint64_t			 scheme_ends[2], host_ends[2];
	/* what came last, in plain form */
	struct sip_char			 ring[SIP_URLS_RING];
	unsigned			 nring;		/* how many ever */
	struct sip_char			 held[2];	/* an escape that may be one */
	unsigned			 nheld;
	/* what may be a bare domain: labels with single dots between them */
	enum policy_content_bare	 bare;		/* the rule's; the owner may take it down after sip_urls_init() */
	bool				 linked;	/* a link began in this word: what follows belongs to it */
	bool				 run;		/* one is open */
	bool				 run_dead;	/* begins with an underscore */
	bool				 run_in_path, run_behind_at, run_odd, run_dotted, run_dressed;
	uint32_t			 run_at;
	unsigned			 nrun, nlabels, nlabel;	/* characters, whole labels, characters of the last label */
	bool				 label_ok, label_ace, label_foreign;	/* the last label could be the domain's end */
	char				 label[4], run_host[SIP_URLS_HOST];
	uint16_t			 label_value;	/* as a number; UINT16_MAX: none up to 255 */
	bool				 run_named;	/* a label before the last is no such number */
	uint32_t			 run_wants;	/* ended in this, which is a path if something follows; 0: none */
	/* behind what is a bare IPv4 address: the first character, and how many digits since a slash */
	uint32_t			 v4_wants, v4_at;
	unsigned			 v4_bits;
	bool				 v4_dead;	/* an underscore stands at it */
	/* what may be a bare IPv6 address */
	enum { SIP_URLS_V6_NONE = 0, SIP_URLS_V6_INSIDE, SIP_URLS_V6_CLOSED } v6;
	bool				 v6_dead, v6_behind_at, v6_doubled, v6_zone;
	unsigned			 v6_colons, v6_n;
	uint32_t			 v6_at, v6_wants;
	/* a link that waits for its first character; or for its end, since its host may be ours */
	bool				 wants_word, wants_any;
	uint32_t			 wants_at;
	bool				 wants_own;
	bool				 own, in_host, in_port;
	uint32_t			 own_at, own_second;	/* UINT32_MAX: no second */
	unsigned			 nslashes, nhost;
	char				 host[SIP_URLS_HOST];
};

/* found is called with the place of each link's first byte, in no strict order, maybe twice. */
void	sip_urls_init(struct sip_urls *, const struct policy_content *, bool (*is_own)(const void *, struct span),
	    const void *own_arg, void (*found)(void *, uint32_t), void *arg);
void	sip_urls_char(struct sip_urls *, struct sip_char);
/*
 * How many of these bytes of plain text in UTF-8 or ISO 8859-1 may be left out, since no word of them can have a
 * link in it: they count as white space then, and end with some unless they are all. Worth asking behind white space only.
 */
size_t	sip_urls_skip(struct sip_urls *, const char *, size_t);
/* End of the text: what is written next is apart. */
void	sip_urls_end(struct sip_urls *);
/* The plain form of a character; 0: one that nobody sees. */
uint32_t sip_urls_plain(uint32_t c);

#endif
