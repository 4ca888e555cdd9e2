/*
 * admin/http/pages_explain.c - what would become of a message, and why.
 */
#include <string.h>

#include "admin/http/explanation.h"
#include "admin/http/page.h"
#include "admin/http/pages.h"
#include "admin/http/show.h"
#include "common/err.h"

static void
input(struct text *t, const char *name, const char *label, const char *hint, struct span value)
{
	html(t, "<div><label for=\"%s\">%s</label><input id=\"%s\" name=\"%s\" autocomplete=\"off\" autocapitalize=\"none\" "
	    "spellcheck=\"false\" placeholder=\"%s\" value=\"", name, label, name, name, hint);
	text_html(t, value);
	html(t, "\"></div>");
}

static void
show_forms(const struct http_request *q, struct text *t, const struct explanation_wish *w)
{
	html(t, "<form method=\"get\" action=\"/explain\" class=\"card\"><h2>Describe a message</h2><div class=\"fields\">");
	input(t, "from", "From (domain, address or URI)", "carol@contoso.example", w->from);
	input(t, "to", "To", "alice@example.com", w->to);
	input(t, "peer", "Name that the sender\xe2\x80\x99s certificate proves", "sip.contoso.example", w->peer);
	input(t, "method", "Method", "MESSAGE", w->method);
	html(t, "<div><label for=\"door\">It comes</label><select id=\"door\" name=\"door\"><option value=\"in\">from outside</option>"
	    "<option value=\"out\"%s>from inside</option></select></div></div>"
	    "<p><label><input type=\"checkbox\" name=\"dialog\" value=\"1\"%s> within a dialog</label> &nbsp; ",
	    span_is(w->door, "out") ? " selected" : "", w->in_dialog ? " checked" : "");
	if (page_may_change(q))
		html(t, "<label><input type=\"checkbox\" name=\"candidate\" value=\"1\"%s> decide by my candidate</label>",
		    w->candidate ? " checked" : "");
	html(t, "</p><p class=\"hint\">Without a certificate\xe2\x80\x99s name a message from outside is a remote user\xe2\x80\x99s. DNS is not "
	    "asked here; <code>sallyportctl explain --dns live</code> does.</p><button class=\"primary\">Explain</button></form>\n");
	html(t, "<details class=\"card\"%s><summary>Or paste a captured message</summary>", w->message.n != 0 ? " open" : "");
	page_form(q, t, "/explain", " class=\"stack\"");
	html(t, "<label for=\"message\">Message, as it came</label><textarea id=\"message\" name=\"message\" spellcheck=\"false\">\n");
	text_html(t, w->message);
	html(t, "</textarea><label for=\"peer2\">Name that the sender\xe2\x80\x99s certificate proves</label><input id=\"peer2\" name=\"peer\" "
	    "autocomplete=\"off\" spellcheck=\"false\"><button class=\"primary\">Explain this message</button></form></details>\n");
}

static void
show_steps(struct text *t, const struct answer *a)
{
	html(t, "<section class=\"card\" aria-labelledby=\"h-trail\"><h2 id=\"h-trail\">Trail</h2><p>The lists in the order in which they are "
	    "looked at, and the one that settled it.</p><ol class=\"trail\">");
	for (size_t i = 0; i < a->n; i++) {
		const struct record *r = &a->v[i];
		bool settled = !span_is(record_get_text(r, "result"), "passed");

		if (!span_is(r->kind, "step"))
			continue;
		html(t, settled ? "<li class=\"settled\">" : "<li>");
		show_field(t, r, "question");
		html(t, " <small>(");
		show_field(t, r, "step");
		html(t, ")</small> ");
		if (settled) {
			page_badge(t, span_is(record_get_text(r, "result"), "allowed") ? TONE_GOOD : TONE_BAD, "settled it");
			html(t, " ");
			show_field(t, r, "result");
		}
		if (!span_is(record_get_text(r, "rule"), "-")) {
			html(t, ", by <code>");
			show_field(t, r, "rule");
			html(t, "</code>");
		}
		html(t, "</li>\n");
	}
	html(t, "</ol></section>\n");
}

static void
show_kind(struct text *t, const struct answer *a, const char *kind, const char *title)
{
	if (answer_first(a, kind) == NULL)
		return;
	html(t, "<section class=\"card\"><h2>%s</h2>", title);
	for (size_t i = 0; i < a->n; i++)
		if (span_is(a->v[i].kind, kind))
			show_card(t, &a->v[i], NULL);
	html(t, "</section>\n");
}

static void
show_result(struct text *t, const struct answer *a, bool allowed)
{
	static const char *const skip[] = { "verdict", "because", NULL };
	const struct record *d = answer_first(a, "decision");
	char because[512];

	page_note(t, allowed ? TONE_GOOD : TONE_BAD, "%s %s", allowed ? "Allowed." : "Refused.",
	    d != NULL ? show_text(d, "because", because, sizeof(because)) : "");
	html(t, "<div class=\"grid wide\"><section class=\"card\" aria-labelledby=\"h-dec\"><h2 id=\"h-dec\">Decision</h2>");
	if (d != NULL)
		show_card(t, d, skip);
	html(t, "</section>");
	show_kind(t, a, "message", "Message");
	html(t, "</div>\n");
	if (answer_first(a, "step") != NULL)
		show_steps(t, a);
	html(t, "<div class=\"grid wide\">");
	show_kind(t, a, "certificate", "Certificate");
	show_kind(t, a, "dns", "DNS");
	show_kind(t, a, "target", "Servers by DNS");
	show_kind(t, a, "mark", "Headers that the edge writes");
	show_kind(t, a, "limits", "Limits");
	show_kind(t, a, "content", "Links and files");
	html(t, "</div>\n");
}

void
page_explain(struct site *s, struct http_request *q, struct http_reply *r)
{
	const struct form *f = q->method == HTTP_POST ? &q->form : &q->query;
	struct explanation_wish w = { .from = span_trim(form_get(f, "from")), .to = span_trim(form_get(f, "to")),
	    .method = span_trim(form_get(f, "method")), .peer = span_trim(form_get(f, "peer")), .door = form_get(f, "door"),
	    .message = form_get(f, "message"), .in_dialog = form_has(f, "dialog"),
	    .candidate = form_has(f, "candidate") && page_may_change(q) };
	struct answer a = { .n = 0 };
	struct policy_use u;
	const char *field = NULL, *why = NULL;
	bool allowed = false, asked = w.from.n != 0 || w.to.n != 0 || w.message.n != 0, good;
	int err = policy_begin(&u, s, q, SPAN_NONE);

	good = asked && err == SP_OK && explanation_make(&u, q, &w, &a, &allowed, &field, &why, &err);
	if (err != SP_OK) {
		policy_problem(s, q, r, &u, err, NULL);
	} else {
		page_begin(s, q, r, "Explain");
		if (asked && !good) {
			r->status = 422;
			page_note(&r->body, TONE_BAD, "%s: %s", field != NULL ? field : "message", why != NULL ? why : "cannot be read");
		}
		if (good)
			show_result(&r->body, &a, allowed);
		show_forms(q, &r->body, &w);
		page_end(s, q, r);
	}
	answer_fini(&a);
	policy_end(&u);
}
