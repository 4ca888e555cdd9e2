/*
 * admin/http/pages_data.c - what the daemons say of partners, refusals, connections and certificates,
 * and the log of changes.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "admin/http/ask.h"
#include "admin/http/page.h"
#include "admin/http/pages.h"
#include "admin/http/policy.h"
#include "admin/http/show.h"
#include "common/clock.h"
#include "common/err.h"

#define CARDS_MAX	40	/* partners that are asked about one by one */
#define PAUSED_MAX	256
#define REFUSALS_SHOWN	200
#define CHANGES_SHOWN	200
#define CERTIFICATE_WARN 30	/* days */
#define CERTIFICATE_BAD	7

/* Why there is nothing to show, if there is not. */
static bool
show_state(struct text *t, const struct answer *a, enum ask_daemon d)
{
	char why[640];

	answer_say(a, d, why);
	if (why[0] != '\0')
		page_note(t, a->result == ASK_NONE ? TONE_INFO : TONE_BAD, "%s", why);
	else if (a->why[0] != '\0')
		page_note(t, TONE_WARN, "%s", a->why);
	return why[0] == '\0';
}

/* ---- partners ---- */

static enum page_tone
state_tone(const char *state)
{
	if (strcmp(state, "up") == 0)
		return TONE_GOOD;
	if (strcmp(state, "unused") == 0 || strcmp(state, "idle") == 0)
		return TONE_PLAIN;
	return strcmp(state, "paused") == 0 || strcmp(state, "trying") == 0 ? TONE_WARN : TONE_BAD;
}

static void
pause_form(const struct http_request *q, struct text *t, const char *name, bool paused)
{
	page_form(q, t, "/partners/pause", " class=\"inline\"");
	html(t, "<input type=\"hidden\" name=\"partner\" value=\"%s\"><button name=\"do\" value=\"%s\" aria-label=\"%s %s\">%s</button></form>",
	    name, paused ? "resume" : "pause", paused ? "Resume" : "Pause", name, paused ? "Resume" : "Pause");
}

/* Whom the policy in force has paused. */
struct paused {
	char	names[PAUSED_MAX][128];
	size_t	n;
};

static void
note_paused(void *arg, const char *group, const char *value)
{
	struct paused *p = arg;

	if (group != NULL && strcmp(value, "true") == 0 && p->n < PAUSED_MAX)
		snprintf(p->names[p->n++], sizeof(p->names[0]), "%s", group);
}

static void
find_paused(struct site *s, const struct http_request *q, struct paused *p)
{
	struct policystore_text now = { .text = NULL };
	struct policy_use u;

	p->n = 0;
	if (policy_begin(&u, s, q, SPAN_NONE) == SP_OK && policystore_current(u.store, &now, u.errs) == SP_OK)
		policy_each(&u, policystore_span(&now), "paused", note_paused, p);
	policystore_text_fini(&now);
	policy_end(&u);
}

static bool
is_paused(const struct paused *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->names[i], name) == 0)
			return true;
	return false;
}

static void
partner_card(struct site *s, const struct http_request *q, struct text *t, const struct record *p, bool ask_more, bool paused)
{
	static const char *const skip[] = { "name", "state", "class", NULL };
	struct ask_arg args[] = { { .name = "name", .text = record_get_text(p, "name") }, { .name = NULL } };
	struct answer more = { .n = 0 };
	char name[256], state[64], class[64];
	const struct record *card = p;

	if (ask_more) {
		ask(s, ASK_EDGE, "partner-show", args, &more);
		if (answer_first(&more, "partner") != NULL)
			card = answer_first(&more, "partner");
	}
	show_text(p, "name", name, sizeof(name));
	snprintf(state, sizeof(state), "paused");
	if (!paused)
		show_text(p, "state", state, sizeof(state));
	html(t, "<article class=\"card\"><div class=\"head\"><h2>%s</h2>", name);
	page_badge(t, state_tone(state), state);
	html(t, "<span class=\"badge\">%s</span>", show_text(p, "class", class, sizeof(class)));
	if (page_may_change(q)) {
		html(t, "<span class=\"end\">");
		pause_form(q, t, name, paused);
		html(t, "</span>");
	}
	html(t, "</div>");
	show_card(t, card, skip);
	for (size_t i = 0; i < more.n; i++)
		if (&more.v[i] != card) {
			html(t, "<h3>");
			show_title(t, more.v[i].kind);
			html(t, "</h3>");
			show_card(t, &more.v[i], NULL);
		}
	html(t, "</article>\n");
	answer_fini(&more);
}

void
page_partners(struct site *s, struct http_request *q, struct http_reply *r)
{
	struct text *t = &r->body;
	struct answer a, found;
	static _Thread_local struct paused paused;
	char name[256];
	size_t n;

	find_paused(s, q, &paused);
	ask(s, ASK_EDGE, "partner-list", NULL, &a);
	page_begin(s, q, r, "Partners");
	if (show_state(t, &a, ASK_EDGE)) {
		n = answer_count(&a, "partner");
		if (n == 0)
			html(t, "<p>The policy names no partners.</p>");
		html(t, "<div class=\"grid\">");
		for (size_t i = 0; i < a.n; i++)
			if (span_is(a.v[i].kind, "partner"))
				partner_card(s, q, t, &a.v[i], n <= CARDS_MAX, is_paused(&paused,
				    show_text(&a.v[i], "name", name, sizeof(name))));
		html(t, "</div>\n");
		ask(s, ASK_EDGE, "discovered-list", NULL, &found);
		html(t, "<section class=\"card\" aria-labelledby=\"h-found\"><h2 id=\"h-found\">Found by DNS</h2>");
		show_table(t, &found, "discovered", "Partners that nobody has listed", NULL,
		    "No partner that nobody has listed is connected or was lately.");
		html(t, "</section>\n");
		answer_fini(&found);
	}
	page_end(s, q, r);
	answer_fini(&a);
}

/* ---- refusals ---- */

void
page_refusals(struct site *s, struct http_request *q, struct http_reply *r)
{
	static const struct { const char *field, *title, *class; } columns[] = {
		{ "time", "Time (UTC)", "nowrap" }, { "reason", "Reason", "nowrap" }, { "ref", "Reference", "nowrap" },
		{ "method", "Message", "" }, { "from", "From", "any" }, { "to", "To", "any" }, { "peer", "Peer", "nowrap" },
		{ "class", "Class", "" }, { "detail", "Detail", "any" }
	};
	struct span wanted = form_get(&q->query, "reason"), ref = form_get(&q->query, "ref");
	struct text *t = &r->body;
	struct answer a;
	size_t shown = 0;

	ask(s, ASK_EDGE, "refusals", NULL, &a);
	page_begin(s, q, r, "Refusals");
	html(t, "<form method=\"get\" action=\"/refusals\" class=\"line card\"><div><label for=\"reason\">Reason</label>"
	    "<input id=\"reason\" name=\"reason\" autocomplete=\"off\" spellcheck=\"false\" value=\"");
	text_html(t, wanted);
	html(t, "\"></div><div><label for=\"ref\">Reference that the sender was told</label>"
	    "<input id=\"ref\" name=\"ref\" autocomplete=\"off\" spellcheck=\"false\" value=\"");
	text_html(t, ref);
	html(t, "\"></div><button>Show these</button><a class=\"button\" href=\"/refusals\">Show all</a></form>\n");
	html(t, "<div id=\"refusals\" data-live=\"4\">");
	if (show_state(t, &a, ASK_EDGE)) {
		html(t, "<div class=\"scroll card\" tabindex=\"0\" role=\"region\" aria-label=\"Refusals\"><table><caption>The newest first. "
		    "The reference finds the line in the log: <code>ref=</code>\xe2\x80\xa6 What each reason means is in "
		    "sallyport-reasons(7).</caption><thead><tr>");
		for (size_t k = 0; k < sizeof(columns) / sizeof(columns[0]); k++)
			html(t, "<th scope=\"col\">%s</th>", columns[k].title);
		html(t, "</tr></thead><tbody>\n");
		for (size_t i = a.n; i-- > 0 && shown < REFUSALS_SHOWN;) {
			const struct record *f = &a.v[i];

			if (!span_is(f->kind, "refusal") || (wanted.n != 0 && !span_eq(record_get_text(f, "reason"), wanted)) ||
			    (ref.n != 0 && !span_eq(record_get_text(f, "ref"), ref)))
				continue;
			shown++;
			html(t, "<tr>");
			for (size_t k = 0; k < sizeof(columns) / sizeof(columns[0]); k++) {
				html(t, k == 0 ? "<th scope=\"row\" class=\"%s\">" : "<td class=\"%s\">", columns[k].class);
				show_field(t, f, columns[k].field);
				html(t, k == 0 ? "</th>" : "</td>");
			}
			html(t, "</tr>\n");
		}
		if (shown == 0)
			html(t, "<tr><td colspan=\"9\">None, since the edge was started.</td></tr>");
		html(t, "</tbody></table></div>\n");
	}
	html(t, "</div>\n");
	page_end(s, q, r);
	answer_fini(&a);
}

/* ---- connections ---- */

void
page_connections(struct site *s, struct http_request *q, struct http_reply *r)
{
	static const struct show_column columns[] = { { "peer", "Peer", "nowrap" }, { "class", "Class", "" }, { "side", "Side", "" },
	    { "direction", "Way", "" }, { "names", "Proven names", "any" }, { "state", "State", "" }, { "since", "Since", "nowrap" },
	    { "silent", "Silent (s)", "num" }, { "queued", "Queued (bytes)", "num" }, { "unanswered", "Unanswered", "num" },
	    { "worker", "Worker", "num" }, { NULL, NULL, NULL } };
	static const char *const names[] = { "class", "name", "peer" };
	static const char *const labels[] = { "Class", "Proven name, or above it", "IP address" };
	struct ask_arg args[4] = { { .name = NULL } };
	struct text *t = &r->body;
	struct answer a;
	size_t n = 0;

	for (size_t i = 0; i < 3; i++)
		if (form_get(&q->query, names[i]).n != 0)
			args[n++] = (struct ask_arg){ .name = names[i], .text = span_trim(form_get(&q->query, names[i])) };
	ask(s, ASK_EDGE, "connections", args, &a);
	page_begin(s, q, r, "Connections");
	html(t, "<form method=\"get\" action=\"/connections\" class=\"line card\">");
	for (size_t i = 0; i < 3; i++) {
		html(t, "<div><label for=\"%s\">%s</label><input id=\"%s\" name=\"%s\" autocomplete=\"off\" spellcheck=\"false\" value=\"",
		    names[i], labels[i], names[i], names[i]);
		text_html(t, form_get(&q->query, names[i]));
		html(t, "\"></div>");
	}
	html(t, "<button>Show these</button></form>\n<div id=\"connections\" data-live=\"10\" class=\"card\">");
	if (show_state(t, &a, ASK_EDGE))
		show_table(t, &a, "connection", "Connections of the edge", columns, "There are none.");
	html(t, "</div>\n");
	page_end(s, q, r);
	answer_fini(&a);
}

/* ---- certificates ---- */

static void
certificate_card(struct text *t, const struct record *c)
{
	static const char *const skip[] = { "door", "use", "name", "forecast", "days_left", NULL };
	int64_t days = record_get_int(c, "days_left", INT64_MIN);
	bool own = span_is(c->kind, "own");
	enum page_tone tone = days < CERTIFICATE_BAD ? TONE_BAD : days < CERTIFICATE_WARN ? TONE_WARN : TONE_GOOD;
	char title[256], use[32], words[64];

	show_text(c, own ? "door" : "name", title, sizeof(title));
	html(t, "<article class=\"card\"><div class=\"head\"><h3>%s%s</h3>", title,
	    strcmp(show_text(c, "use", use, sizeof(use)), "dial") == 0 ? ", when we dial" : "");
	if (days != INT64_MIN) {
		snprintf(words, sizeof(words), days < 0 ? "ended %lld days ago" : "%lld days left", (long long)(days < 0 ? -days : days));
		page_badge(t, tone, words);
	} else
		page_badge(t, TONE_PLAIN, "never seen");
	html(t, "</div>");
	if (days != INT64_MIN)
		html(t, "<svg class=\"meter %s\" viewBox=\"0 0 100 4\" preserveAspectRatio=\"none\" aria-hidden=\"true\" focusable=\"false\">"
		    "<rect class=\"full\" width=\"100\" height=\"4\"/><rect class=\"part\" width=\"%.1f\" height=\"4\"/></svg>",
		    page_tone(tone), days <= 0 ? 0.0 : days >= 398 ? 100.0 : (double)days * 100 / 398);
	show_card(t, c, skip);
	if (show_has(c, "forecast")) {
		struct record_field f;
		size_t at = 0;

		html(t, "<h4>What will change</h4><ul>");
		while (record_next(c, &at, &f))
			if (span_is(f.name, "forecast")) {
				html(t, "<li>");
				text_html(t, f.text);
				html(t, "</li>");
			}
		html(t, "</ul>");
	}
	html(t, "</article>\n");
}

void
page_certificates(struct site *s, struct http_request *q, struct http_reply *r)
{
	static const struct { const char *kind, *title, *none; } groups[] = {
		{ "own", "Our own", "The edge has none." },
		{ "partner", "Partners\xe2\x80\x99", "No partner is configured, or none has shown a certificate yet." }
	};
	struct text *t = &r->body;
	struct ask_arg args[] = { { .name = NULL } };
	struct answer a;

	ask(s, ASK_EDGE, "certs", args, &a);
	page_begin(s, q, r, "Certificates");
	if (show_state(t, &a, ASK_EDGE))
		for (size_t g = 0; g < 2; g++) {
			html(t, "<h2>%s</h2>", groups[g].title);
			if (answer_count(&a, groups[g].kind) == 0)
				html(t, "<p class=\"hint\">%s</p>", groups[g].none);
			html(t, "<div class=\"grid\">");
			for (size_t i = 0; i < a.n; i++)
				if (span_is(a.v[i].kind, groups[g].kind))
					certificate_card(t, &a.v[i]);
			html(t, "</div>\n");
		}
	page_end(s, q, r);
	answer_fini(&a);
}

/* ---- the log of changes ---- */

/* The newest CHANGES_SHOWN come last; they are kept so that they can be shown first. */
struct changes {
	struct policy_record	 v[CHANGES_SHOWN];
	size_t			 n;
};

static void
keep_change(void *arg, const struct policy_record *c)
{
	struct changes *l = arg;

	l->v[l->n++ % CHANGES_SHOWN] = *c;
}

void
page_changes(struct site *s, struct http_request *q, struct http_reply *r)
{
	static _Thread_local struct changes list;
	struct text *t = &r->body;
	struct policy_use u;
	uint64_t count = 0;
	int err = policy_begin(&u, s, q, SPAN_NONE), good;
	char hash[POLICY_HASH_TEXT] = "";

	list.n = 0;
	if (err != SP_OK || (err = policystore_audit_head(u.store, hash, &count, u.errs)) != SP_OK ||
	    (err = policystore_audit_each(u.store, count > CHANGES_SHOWN ? count - CHANGES_SHOWN + 1 : 1, keep_change, &list,
	    u.errs)) != SP_OK) {
		policy_problem(s, q, r, &u, err, NULL);
		policy_end(&u);
		return;
	}
	good = policystore_audit_verify(u.store, NULL, &count, u.errs);
	page_begin(s, q, r, "Changes");
	if (good == SP_OK)
		page_note(t, TONE_GOOD, "Verified: all %" PRIu64 " lines hang together, and every version is as it was written.", count);
	else {
		page_note(t, TONE_BAD, "Not verified: somebody or something has changed the log or a version.");
		policy_show_errors(t, u.errs, SPAN_NONE);
	}
	html(t, "<p class=\"hint\">Hash of the last line, to be noted in another place: <code>%s</code></p>"
	    "<div class=\"scroll card\" tabindex=\"0\" role=\"region\" aria-label=\"Changes\"><table><caption>Who did what, the newest first</caption>"
	    "<thead><tr><th scope=\"col\" class=\"num\">No.</th><th scope=\"col\">Time</th><th scope=\"col\">Author</th><th scope=\"col\">What</th>"
	    "<th scope=\"col\" class=\"num\">Version</th><th scope=\"col\">Note</th></tr></thead><tbody>\n", hash);
	for (size_t i = list.n; i-- > 0 && list.n - i <= CHANGES_SHOWN;) {
		const struct policy_record *c = &list.v[i % CHANGES_SHOWN];

		html(t, "<tr><th scope=\"row\" class=\"num\">%" PRIu64 "</th><td class=\"nowrap\">", c->n);
		page_time(t, c->change.time);
		html(t, "</td><td class=\"any\">%s</td><td>%s</td><td class=\"num\">", c->change.author, policy_action_name(c->change.action));
		if (c->change.version != 0)
			html(t, "<a href=\"/policy/versions/%" PRIu64 "\">%" PRIu64 "</a>", c->change.version, c->change.version);
		html(t, "</td><td class=\"any\">%s</td></tr>\n", c->change.note);
	}
	if (list.n == 0)
		html(t, "<tr><td colspan=\"6\">Nothing was changed yet.</td></tr>");
	html(t, "</tbody></table></div>\n");
	page_end(s, q, r);
	policy_end(&u);
}
