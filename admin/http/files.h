/*
 * admin/http/files.h - files that the page has with it, made from those of the same names.
 */
#ifndef SALLYPORT_ADMIN_HTTP_FILES_H
#define SALLYPORT_ADMIN_HTTP_FILES_H

#include "admin/http/site.h"

extern const char file_style_css[], file_live_js[], file_icon_svg[], file_openapi_json[];

void	files_style(struct site *, struct http_request *, struct http_reply *);
void	files_live(struct site *, struct http_request *, struct http_reply *);
void	files_icon(struct site *, struct http_request *, struct http_reply *);
void	files_openapi(struct site *, struct http_request *, struct http_reply *);

#endif
