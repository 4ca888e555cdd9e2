/*
 * admin/http/policyshow.c - mistakes and differences of policies as pieces of a page; see policy.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/http/json.h"
#include "admin/http/page.h"
#include "admin/http/policy.h"
#include "common/conf.h"
#include "common/mem.h"

#define DIFF_LINES_MAX	2000	/* lines of a difference that a page shows */

char *
policy_unix_lines(struct span s, size_t *n)
{
	char *out = xmalloc(s.n + 1);

	*n = 0;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != '\r' || i + 1 == s.n || s.p[i + 1] != '\n')
			out[(*n)++] = s.p[i];
	out[*n] = '\0';
	return out;
}

/* Line number `line` of text, cut where it is long. */
static struct span
line_of(struct span text, unsigned line)
{
	while (--line > 0 && text.n != 0)
		text = span_tail(text, span_find(text, '\n') + 1);
	return span_head(span_trim(span_head(text, span_find(text, '\n'))), 160);
}

void
policy_show_errors(struct text *t, const struct conf_errors *errs, struct span text)
{
	html(t, "<ul class=\"plain errors\">");
	for (size_t i = 0; i < conf_errors_count(errs); i++) {
		const char *error = conf_errors_get(errs, i), *what;
		unsigned line;

		if (policy_error_split(error, &line, &what) && line > 0) {
			struct span there = line_of(text, line);

			html(t, "<li><strong>Line %u:</strong> %s", line, what);
			if (there.n != 0) {
				html(t, "<br><code>");
				text_html(t, there);
				html(t, "</code>");
			}
			html(t, "</li>");
		} else
			html(t, "<li>%s</li>", error);
	}
	html(t, "</ul>\n");
}

struct lines {
	struct text	*t;
	size_t		 n;
};

static void
show_line(void *arg, char mark, size_t line, struct span text)
{
	struct lines *l = arg;
	struct text *t = l->t;

	(void)line;
	if (l->n++ >= DIFF_LINES_MAX)
		return;
	switch (mark) {
	case '+':
		html(t, "<ins>+ ");
		text_html(t, text);
		html(t, "</ins>");
		break;
	case '-':
		html(t, "<del>\xe2\x88\x92 ");
		text_html(t, text);
		html(t, "</del>");
		break;
	case '@':
		html(t, "<span class=\"at\">");
		text_html(t, text);
		html(t, "</span>");
		break;
	default:
		html(t, "<span>\xc2\xa0 ");
		text_html(t, text);
		html(t, "</span>");
	}
}

static void
show_meaning(struct text *t, const struct policydiff *d)
{
	static const enum page_tone tones[] = { TONE_GOOD, TONE_BAD, TONE_INFO };

	html(t, "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"What would change\"><table>"
	    "<caption>What would change</caption><thead><tr><th scope=\"col\">Change</th><th scope=\"col\">Of</th>"
	    "<th scope=\"col\">Was</th><th scope=\"col\">Becomes</th></tr></thead><tbody>\n");
	for (size_t i = 0; i < policydiff_count(d); i++) {
		const struct policydiff_entry *e = policydiff_get(d, i);

		html(t, "<tr><td>");
		page_badge(t, tones[e->kind], policydiff_kind_name(e->kind));
		html(t, "</td><th scope=\"row\" class=\"any\">%s%s%s%s%s</th><td class=\"any\">%s</td><td class=\"any\">%s</td></tr>\n",
		    e->list != NULL ? e->list : "", e->group != NULL ? " \xe2\x80\xba " : "", e->group != NULL ? e->group : "",
		    e->option != NULL && e->list != NULL ? " \xe2\x80\xba " : "", e->option != NULL ? e->option : "",
		    e->was != NULL ? e->was : "", e->now != NULL ? e->now : "");
	}
	html(t, "</tbody></table></div>\n");
}

void
policy_show_diff(struct text *t, struct policy_use *u, struct span was, struct span now)
{
	struct conf_errors *errs = conf_errors_new();
	struct policydiff *d = policydiff_new("in force", was, "candidate", now, u->dir, errs);
	struct lines l = { t, 0 };

	if (span_eq(was, now))
		html(t, "<p>The text is the one that is in force.</p>");
	else if (d == NULL)
		html(t, "<p>By meaning it cannot be compared while it cannot be read as a policy.</p>");
	else if (policydiff_count(d) == 0)
		html(t, "<p>By meaning nothing changes: only comments or the layout are different.</p>");
	else
		show_meaning(t, d);
	if (!span_eq(was, now)) {
		html(t, "<details><summary>The same by lines</summary><div class=\"diff mono\">");
		policydiff_lines(was, now, show_line, &l);
		if (l.n > DIFF_LINES_MAX)
			html(t, "<span class=\"at\">%zu lines more</span>", l.n - DIFF_LINES_MAX);
		html(t, "</div></details>\n");
	}
	policydiff_free(d);
	conf_errors_free(errs);
}

void
policy_problem(struct site *s, struct http_request *q, struct http_reply *r, struct policy_use *u, int err, const char *field)
{
	const char *sentence;
	int status = policy_status(err, &sentence);
	size_t n = conf_errors_count(u->errs);

	text_fini(&r->body);
	if (request_wants_json(q)) {
		const char **lines = xcalloc(n + 1, sizeof(*lines));

		for (size_t i = 0; i < n; i++)
			lines[i] = conf_errors_get(u->errs, i);
		json_problems(r, status, field, sentence, lines, n);
		free(lines);
		return;
	}
	page_begin(s, q, r, http_status_name(status));
	r->status = status;
	page_note(&r->body, TONE_BAD, "%s", sentence);
	if (n != 0)
		policy_show_errors(&r->body, u->errs, SPAN_NONE);
	html(&r->body, "<p><a href=\"/policy\">Back to the policy</a></p>\n");
	page_end(s, q, r);
}
