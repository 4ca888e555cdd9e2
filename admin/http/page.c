/*
 * admin/http/page.c - see page.h.
 */
#include "admin/http/page.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"

static const struct {
	const char	*path, *name;
} nav[] = {
	{ "/", "Status" }, { "/partners", "Partners" }, { "/refusals", "Refusals" }, { "/policy", "Policy" },
	{ "/explain", "Explain" }, { "/certificates", "Certificates" }, { "/connections", "Connections" },
	{ "/changes", "Changes" }
};

bool
page_may_change(const struct http_request *q)
{
	return q->role >= ACCOUNT_OPERATOR;
}

static bool
is_here(const char *path, const char *item)
{
	size_t n = strlen(item);

	if (strcmp(item, "/") == 0)
		return strcmp(path, "/") == 0;
	return strncmp(path, item, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

static void
navigation(const struct http_request *q, struct text *t)
{
	html(t, "<nav aria-label=\"Pages\"><ul>");
	for (size_t i = 0; i < sizeof(nav) / sizeof(nav[0]); i++)
		html(t, is_here(q->path, nav[i].path) ? "<li><a href=\"%s\" aria-current=\"page\">%s</a></li>" :
		    "<li><a href=\"%s\">%s</a></li>", nav[i].path, nav[i].name);
	html(t, "</ul></nav>");
}

void
page_begin(struct site *s, struct http_request *q, struct http_reply *r, const char *title)
{
	struct text *t = &r->body;

	(void)s;
	r->status = 200;
	r->type = "text/html; charset=utf-8";
	html(t, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	    "<meta name=\"color-scheme\" content=\"light dark\">\n<title>%s \xc2\xb7 Sallyport</title>\n"
	    "<link rel=\"stylesheet\" href=\"/style.css\">\n<link rel=\"icon\" href=\"/icon.svg\" type=\"image/svg+xml\">\n"
	    "<script src=\"/live.js\" defer></script>\n</head>\n<body>\n", title);
	html(t, "<a class=\"skip\" href=\"#main\">Skip to content</a>\n<header class=\"top\"><div class=\"bar\">"
	    "<a class=\"brand\" href=\"/\"><svg viewBox=\"0 0 24 24\" aria-hidden=\"true\" focusable=\"false\">"
	    "<path d=\"M3 22V9l2-2V4h3v2h2V4h4v2h2V4h3v3l2 2v13h-6v-5a3 3 0 0 0-6 0v5z\"/></svg>Sallyport</a>");
	if (q->role != ACCOUNT_NOBODY) {
		navigation(q, t);
		html(t, "<div class=\"who\"><span>%s <small>%s</small></span>", q->account, account_role_name(q->role));
		page_form(q, t, "/logout", " class=\"inline\"");
		html(t, "<button class=\"quiet\">Log out</button></form></div>");
	}
	html(t, "</div></header>\n<main id=\"main\" tabindex=\"-1\">\n<div class=\"title\"><h1>%s</h1></div>\n", title);
}

void
page_end(struct site *s, struct http_request *q, struct http_reply *r)
{
	char text[32];
	time_t now = clock_wall();
	struct tm tm;

	(void)s;
	(void)q;
	gmtime_r(&now, &tm);
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
	html(&r->body, "</main>\n<footer class=\"foot\"><p>Times are UTC. This page was made at %s.</p></footer>\n</body>\n"
	    "</html>\n", text);
}

void
page_problem(struct site *s, struct http_request *q, struct http_reply *r, const char *field, const char *detail)
{
	int status = r->status;

	page_begin(s, q, r, http_status_name(status));
	r->status = status;
	page_note(&r->body, TONE_BAD, "%s", detail);
	if (field != NULL)
		html(&r->body, "<p>It is about the field <code>%s</code>.</p>", field);
	if (q->role == ACCOUNT_NOBODY)
		html(&r->body, "<p><a href=\"/login\">Log in</a></p>");
	page_end(s, q, r);
}

void
page_form(const struct http_request *q, struct text *t, const char *action, const char *attributes)
{
	html(t, "<form method=\"post\" action=\"%s\"", action);
	text_puts(t, attributes);	/* ours, with quotes */
	html(t, "><input type=\"hidden\" name=\"csrf\" value=\"%s\">", q->csrf);
}

const char *
page_tone(enum page_tone tone)
{
	static const char *const names[] = { "plain", "good", "warn", "bad", "info" };

	return names[tone];
}

void
page_badge(struct text *t, enum page_tone tone, const char *word)
{
	html(t, "<span class=\"badge %s\">%s</span>", page_tone(tone), word);
}

void
page_note(struct text *t, enum page_tone tone, const char *fmt, ...)
{
	char text[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	html(t, "<p class=\"note %s\" role=\"%s\">%s</p>\n", page_tone(tone), tone == TONE_BAD ? "alert" : "status", text);
}

void
page_time(struct text *t, time_t when)
{
	char exact[32], shown[32];
	struct tm tm;

	if (when <= 0 || gmtime_r(&when, &tm) == NULL) {
		html(t, "never");
		return;
	}
	strftime(exact, sizeof(exact), "%Y-%m-%dT%H:%M:%SZ", &tm);
	strftime(shown, sizeof(shown), "%Y-%m-%d %H:%M:%S", &tm);
	html(t, "<time datetime=\"%s\">%s</time>", exact, shown);
}

void
page_duration(char out[32], uint64_t s)
{
	unsigned long long v = s;

	if (v >= 2 * 86400)
		snprintf(out, 32, "%llu days", v / 86400);
	else if (v >= 3600)
		snprintf(out, 32, "%llu h %llu min", v / 3600, v / 60 % 60);
	else if (v >= 60)
		snprintf(out, 32, "%llu min", v / 60);
	else
		snprintf(out, 32, "%llu s", v);
}

void
page_number(char out[40], uint64_t v)
{
	char digits[24];
	int n = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)v), at = 0;

	for (int i = 0; i < n; i++) {
		/* U+2009, a thin space, every three digits */
		if (i != 0 && (n - i) % 3 == 0) {
			memcpy(out + at, "\xe2\x80\x89", 3);
			at += 3;
		}
		out[at++] = digits[i];
	}
	out[at] = '\0';
}
