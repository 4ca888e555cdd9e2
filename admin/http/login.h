/*
 * admin/http/login.h - logging in and out.
 */
#ifndef SALLYPORT_ADMIN_HTTP_LOGIN_H
#define SALLYPORT_ADMIN_HTTP_LOGIN_H

#include "admin/http/site.h"

void	login_show(struct site *, struct http_request *, struct http_reply *);
void	login_do(struct site *, struct http_request *, struct http_reply *);
void	login_end(struct site *, struct http_request *, struct http_reply *);

#endif
