/*
 * admin/http/page.h - what all pages have: head, navigation, foot, and the pieces
 * they are made of.
 */
#ifndef SALLYPORT_ADMIN_HTTP_PAGE_H
#define SALLYPORT_ADMIN_HTTP_PAGE_H

#include <time.h>

#include "admin/http/site.h"

/* Begin a page of status 200; title: ours. Whoever is logged in has the navigation. */
void	page_begin(struct site *, struct http_request *, struct http_reply *, const char *title);
void	page_end(struct site *, struct http_request *, struct http_reply *);
void	page_problem(struct site *, struct http_request *, struct http_reply *, const char *field, const char *detail);

/* The beginning of a form that changes something, with its token. action: ours. attributes: ours, or "". */
void	page_form(const struct http_request *, struct text *, const char *action, const char *attributes);
bool	page_may_change(const struct http_request *);

enum page_tone { TONE_PLAIN = 0, TONE_GOOD, TONE_WARN, TONE_BAD, TONE_INFO };
const char *page_tone(enum page_tone);		/* its class */
/* A word with a tone; the tone is never the only thing that says so. */
void	page_badge(struct text *, enum page_tone, const char *word);
/* A box with a sentence; role status or alert by its tone. */
void	page_note(struct text *, enum page_tone, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* A time as people read it, with the exact one for machines. "never" for 0. */
void	page_time(struct text *, time_t);
/* "3 days", "2 h 5 min", "40 s". */
void	page_duration(char out[32], uint64_t seconds);
/* "1 234 567" with thin spaces. */
void	page_number(char out[40], uint64_t);

#endif
