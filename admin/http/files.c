/*
 * admin/http/files.c - see files.h.
 */
#include "admin/http/files.h"

#include <string.h>

#include "common/hash.h"

/* The same for as long as the text is, so that a browser asks and gets nothing. */
static void
send_file(struct http_request *q, struct http_reply *r, const char *type, const char *text)
{
	struct strbuf sb;
	char tag[32];

	strbuf_init(&sb, tag, sizeof(tag));
	strbuf_printf(&sb, "\"%016llx\"", (unsigned long long)hash_stable(span_str(text)));
	r->cache = "no-cache";
	reply_header(r, "ETag", "%s", tag);
	if (span_is(q->if_none_match, tag)) {
		r->status = 304;
		return;
	}
	r->status = 200;
	r->type = type;
	text_puts(&r->body, text);
}

void
files_style(struct site *s, struct http_request *q, struct http_reply *r)
{
	(void)s;
	send_file(q, r, "text/css; charset=utf-8", file_style_css);
}

void
files_live(struct site *s, struct http_request *q, struct http_reply *r)
{
	(void)s;
	send_file(q, r, "text/javascript; charset=utf-8", file_live_js);
}

void
files_icon(struct site *s, struct http_request *q, struct http_reply *r)
{
	(void)s;
	send_file(q, r, "image/svg+xml", file_icon_svg);
}

void
files_openapi(struct site *s, struct http_request *q, struct http_reply *r)
{
	(void)s;
	send_file(q, r, "application/json", file_openapi_json);
}
