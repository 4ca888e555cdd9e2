/*
 * admin/http/api.h - the JSON API; openapi.json describes it.
 */
#ifndef SALLYPORT_ADMIN_HTTP_API_H
#define SALLYPORT_ADMIN_HTTP_API_H

#include "admin/http/site.h"

/* Does the query have no other parameters than those (NULL-ended)? If it does, the refusal is in the reply. */
bool	api_only(struct site *, struct http_request *, struct http_reply *, const char *const *names);

/* who asks, and what the daemons say */
void	api_session(struct site *, struct http_request *, struct http_reply *);
void	api_status(struct site *, struct http_request *, struct http_reply *);
void	api_partners(struct site *, struct http_request *, struct http_reply *);
void	api_partner(struct site *, struct http_request *, struct http_reply *);
void	api_discovered(struct site *, struct http_request *, struct http_reply *);
void	api_connections(struct site *, struct http_request *, struct http_reply *);
void	api_refusals(struct site *, struct http_request *, struct http_reply *);
void	api_certificates(struct site *, struct http_request *, struct http_reply *);
void	api_charts(struct site *, struct http_request *, struct http_reply *);
void	api_explain(struct site *, struct http_request *, struct http_reply *);

/* the life cycle of policy */
void	api_policy(struct site *, struct http_request *, struct http_reply *);
void	api_versions(struct site *, struct http_request *, struct http_reply *);
void	api_version(struct site *, struct http_request *, struct http_reply *);
void	api_check(struct site *, struct http_request *, struct http_reply *);
void	api_candidate(struct site *, struct http_request *, struct http_reply *);
void	api_candidate_put(struct site *, struct http_request *, struct http_reply *);
void	api_candidate_delete(struct site *, struct http_request *, struct http_reply *);
void	api_candidate_rebase(struct site *, struct http_request *, struct http_reply *);
void	api_commit(struct site *, struct http_request *, struct http_reply *);
void	api_rollback(struct site *, struct http_request *, struct http_reply *);
void	api_shadow(struct site *, struct http_request *, struct http_reply *);
void	api_shadow_start(struct site *, struct http_request *, struct http_reply *);
void	api_shadow_stop(struct site *, struct http_request *, struct http_reply *);
void	api_blocks(struct site *, struct http_request *, struct http_reply *);
void	api_block(struct site *, struct http_request *, struct http_reply *);
void	api_unblock(struct site *, struct http_request *, struct http_reply *);
void	api_pause(struct site *, struct http_request *, struct http_reply *);
void	api_resume(struct site *, struct http_request *, struct http_reply *);
void	api_audit(struct site *, struct http_request *, struct http_reply *);

#endif
