/*
 * admin/http/pages.h - the pages, one function for each.
 */
#ifndef SALLYPORT_ADMIN_HTTP_PAGES_H
#define SALLYPORT_ADMIN_HTTP_PAGES_H

#include "admin/http/site.h"

void	page_status(struct site *, struct http_request *, struct http_reply *);
void	page_partners(struct site *, struct http_request *, struct http_reply *);
void	page_partner_pause(struct site *, struct http_request *, struct http_reply *);
void	page_refusals(struct site *, struct http_request *, struct http_reply *);
void	page_connections(struct site *, struct http_request *, struct http_reply *);
void	page_certificates(struct site *, struct http_request *, struct http_reply *);
void	page_changes(struct site *, struct http_request *, struct http_reply *);

/* policy and its life cycle */
void	page_policy(struct site *, struct http_request *, struct http_reply *);
void	page_policy_edit(struct site *, struct http_request *, struct http_reply *);
void	page_policy_preview(struct site *, struct http_request *, struct http_reply *);
void	page_policy_candidate(struct site *, struct http_request *, struct http_reply *);
void	page_policy_discard(struct site *, struct http_request *, struct http_reply *);
void	page_policy_rebase(struct site *, struct http_request *, struct http_reply *);
void	page_policy_shadow(struct site *, struct http_request *, struct http_reply *);
void	page_policy_shadow_stop(struct site *, struct http_request *, struct http_reply *);
void	page_policy_commit(struct site *, struct http_request *, struct http_reply *);
void	page_policy_version(struct site *, struct http_request *, struct http_reply *);
void	page_policy_rollback(struct site *, struct http_request *, struct http_reply *);
void	page_block(struct site *, struct http_request *, struct http_reply *);
void	page_unblock(struct site *, struct http_request *, struct http_reply *);

void	page_explain(struct site *, struct http_request *, struct http_reply *);

/* The form that blocks or unblocks a domain. */
struct text;
void	page_block_form(const struct http_request *, struct text *);

/* for probes and Prometheus */
void	probe_health(struct site *, struct http_request *, struct http_reply *);
void	probe_ready(struct site *, struct http_request *, struct http_reply *);
void	probe_metrics(struct site *, struct http_request *, struct http_reply *);

#endif
