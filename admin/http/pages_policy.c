/*
 * admin/http/pages_policy.c - the policy in force, its versions, and the candidate on its way.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/http/ask.h"
#include "admin/http/page.h"
#include "admin/http/pages.h"
#include "admin/http/policy.h"
#include "admin/http/show.h"
#include "common/err.h"
#include "common/mem.h"

#define HISTORY_SHOWN	25
#define BLOCKS_SHOWN	200
#define DOMAIN_MAX	254

/* ---- pieces ---- */

void
page_block_form(const struct http_request *q, struct text *t)
{
	html(t, "<section class=\"card\" aria-labelledby=\"h-block\"><h2 id=\"h-block\">Block a domain</h2>");
	page_form(q, t, "/block", " class=\"line\"");
	html(t, "<div><label for=\"domain\">Domain, with everything below it</label><input id=\"domain\" name=\"domain\" required "
	    "autocapitalize=\"none\" spellcheck=\"false\" autocomplete=\"off\"></div>"
	    "<div><label for=\"block-note\">Why (optional)</label><input id=\"block-note\" name=\"note\" maxlength=\"%d\"></div>"
	    "<button class=\"danger\">Block</button><button formaction=\"/unblock\">Unblock</button></form></section>\n",
	    POLICY_CHANGE_NOTE);
}

/* What was done a moment ago; the words come with the address, so only known ones count. */
static void
show_done(const struct http_request *q, struct text *t)
{
	static const char *const words[][2] = {
		{ "commit", "The candidate is in force now." }, { "rollback", "The older version is in force again." },
		{ "block", "The domain is blocked, in both directions and with everything below it." },
		{ "unblock", "The domain is not blocked any more." }, { "discard", "The candidate was thrown away." },
		{ "pause", "Nothing is exchanged with that partner any more." }, { "resume", "The partner is let in again." },
		{ "saved", "The candidate is kept." }, { "rebase", "The candidate is based on the version in force now." },
		{ "shadow", "The edge tries the candidate on everything that it decides." },
		{ "shadow-stop", "The edge has stopped trying the candidate." }
	};
	struct span done = form_get(&q->query, "done");

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (span_is(done, words[i][0]))
			page_note(t, TONE_GOOD, "%s", words[i][1]);
}

static void
show_change(struct text *t, const struct policy_change *c)
{
	html(t, "<dl><dt>Version</dt><dd>%" PRIu64 "</dd><dt>Made by</dt><dd>%s, ", c->version, c->author);
	page_time(t, c->time);
	html(t, "</dd><dt>By way of</dt><dd>%s</dd>", policy_action_name(c->action));
	if (c->note[0] != '\0')
		html(t, "<dt>Note</dt><dd>%s</dd>", c->note);
	html(t, "<dt>SHA-256</dt><dd><code>%s</code></dd></dl>\n", c->sha256);
}

struct listing {
	struct text	*t;
	uint64_t	 current;
	size_t		 n;
	const char	*own;		/* candidates: the asker's */
};

static void
list_version(void *arg, const struct policy_change *c)
{
	struct listing *l = arg;

	l->n++;
	html(l->t, "<tr><th scope=\"row\" class=\"num\"><a href=\"/policy/versions/%" PRIu64 "\">%" PRIu64 "</a></th><td class=\"nowrap\">",
	    c->version, c->version);
	page_time(l->t, c->time);
	html(l->t, "</td><td class=\"any\">%s</td><td>%s</td><td class=\"any\">%s</td><td>", c->author, policy_action_name(c->action), c->note);
	if (c->version == l->current)
		page_badge(l->t, TONE_GOOD, "in force");
	html(l->t, "</td></tr>\n");
}

static void
list_candidate(void *arg, const char *name, const struct policy_change *c)
{
	struct listing *l = arg;

	l->n++;
	html(l->t, "<li><strong>%s</strong>%s, based on version %" PRIu64 ", kept ", name, strcmp(name, l->own) == 0 ? " (yours)" : "",
	    c->parent);
	page_time(l->t, c->time);
	html(l->t, "</li>");
}

static void
list_block(void *arg, const char *group, const char *domain)
{
	struct listing *l = arg;

	if (group != NULL)
		return;
	if (l->n++ < BLOCKS_SHOWN)
		html(l->t, "<li><code>%s</code></li>", domain);
}

static void
show_blocks(struct policy_use *u, struct text *t, struct span policy)
{
	struct listing l = { t, 0, 0, NULL };

	html(t, "<section class=\"card\" aria-labelledby=\"h-blocked\"><h2 id=\"h-blocked\">Blocked domains</h2><ul class=\"columns\">");
	policy_each(u, policy, "blocked", list_block, &l);
	if (l.n == 0)
		html(t, "<li>None.</li>");
	html(t, "</ul>");
	if (l.n > BLOCKS_SHOWN)
		html(t, "<p class=\"hint\">And %zu more.</p>", l.n - BLOCKS_SHOWN);
	html(t, "</section>\n");
}

void
page_policy(struct site *s, struct http_request *q, struct http_reply *r)
{
	struct text *t = &r->body;
	struct policystore_text now = { .text = NULL };
	struct policy_use u;
	struct listing l;
	int err = policy_begin(&u, s, q, SPAN_NONE);

	if (err != SP_OK || (err = policystore_current(u.store, &now, u.errs)) != SP_OK) {
		policy_problem(s, q, r, &u, err, NULL);
		policy_end(&u);
		return;
	}
	page_begin(s, q, r, "Policy");
	show_done(q, t);
	if (policystore_news(u.store) != NULL)
		page_note(t, TONE_WARN, "%s", policystore_news(u.store));
	html(t, "<div class=\"grid wide\"><section class=\"card\" aria-labelledby=\"h-now\"><h2 id=\"h-now\">In force</h2>");
	show_change(t, &now.change);
	html(t, "<p class=\"actions\"><a class=\"button\" href=\"/policy/versions/%" PRIu64 "\">Read it</a>", now.change.version);
	if (page_may_change(q))
		html(t, "<a class=\"button\" href=\"/policy/edit\">Edit</a>");
	html(t, "</p></section>\n<section class=\"card\" aria-labelledby=\"h-cand\"><h2 id=\"h-cand\">Candidates</h2><ul class=\"plain\">");
	l = (struct listing){ t, now.change.version, 0, q->account };
	if (policystore_candidates(u.store, list_candidate, &l, u.errs) != SP_OK || l.n == 0)
		html(t, "<li>Nobody is working on a change.</li>");
	html(t, "</ul>");
	if (page_may_change(q))
		html(t, "<p class=\"actions\"><a class=\"button\" href=\"/policy/candidate\">Your candidate</a></p>");
	html(t, "</section></div>\n");
	if (page_may_change(q))
		page_block_form(q, t);
	show_blocks(&u, t, policystore_span(&now));
	html(t, "<section class=\"card\" aria-labelledby=\"h-hist\"><h2 id=\"h-hist\">Versions</h2><div class=\"scroll\" tabindex=\"0\" "
	    "role=\"region\" aria-label=\"List of versions\"><table><thead><tr><th scope=\"col\" class=\"num\">Version</th><th scope=\"col\">Time</th>"
	    "<th scope=\"col\">Author</th><th scope=\"col\">By way of</th><th scope=\"col\">Note</th><th scope=\"col\">State</th></tr></thead><tbody>\n");
	l = (struct listing){ t, now.change.version, 0, q->account };
	policystore_history(u.store, 0, HISTORY_SHOWN, list_version, &l, u.errs);
	html(t, "</tbody></table></div><p class=\"hint\"><a href=\"/changes\">All changes</a>, also of candidates.</p></section>\n");
	page_end(s, q, r);
	policystore_text_fini(&now);
	policy_end(&u);
}

/* ---- editing ---- */

enum step { STEP_EDIT, STEP_PREVIEW, STEP_SHADOW, STEP_COMMIT };

static void
show_steps(struct text *t, enum step at)
{
	static const char *const names[] = { "Edit", "Preview", "Shadow", "Commit" };

	html(t, "<ol class=\"steps\" aria-label=\"Steps of a change\">");
	for (int i = 0; i < 4; i++)
		html(t, i == (int)at ? "<li aria-current=\"step\">%s</li>" : i < (int)at ? "<li class=\"done\">%s</li>" : "<li>%s</li>",
		    names[i]);
	html(t, "</ol>\n");
}

/* The form with the text. was: hash of the candidate that the editing began with; base: the version. */
static void
show_editor(const struct http_request *q, struct text *t, struct span text, const char *was, uint64_t base)
{
	page_form(q, t, "/policy/candidate", " class=\"stack\"");
	html(t, "<input type=\"hidden\" name=\"was\" value=\"%s\"><input type=\"hidden\" name=\"base\" value=\"%" PRIu64 "\">"
	    "<label for=\"text\">Policy <small>(see policy.conf(5))</small></label>"
	    "<textarea id=\"text\" name=\"text\" spellcheck=\"false\" autocapitalize=\"none\" autocomplete=\"off\">\n", was, base);
	text_html(t, text);
	html(t, "</textarea><p class=\"actions\"><button class=\"primary\">Keep and preview</button>"
	    "<button formaction=\"/policy/preview\">Preview only</button><a href=\"/policy\">Cancel</a></p></form>\n");
}

void
page_policy_edit(struct site *s, struct http_request *q, struct http_reply *r)
{
	struct policystore_text now = { .text = NULL }, mine = { .text = NULL };
	struct policy_use u;
	int err = policy_begin(&u, s, q, SPAN_NONE);
	bool has;

	if (err != SP_OK || (err = policystore_current(u.store, &now, u.errs)) != SP_OK) {
		policy_problem(s, q, r, &u, err, NULL);
		policy_end(&u);
		return;
	}
	has = policystore_candidate(u.store, q->account, &mine, u.errs) == SP_OK;
	page_begin(s, q, r, "Edit the policy");
	show_steps(&r->body, STEP_EDIT);
	html(&r->body, has ? "<p>This is your candidate, based on version %" PRIu64 ".</p>" :
	    "<p>You begin with version %" PRIu64 ", which is in force. Nothing changes before you commit.</p>",
	    has ? mine.change.parent : now.change.version);
	show_editor(q, &r->body, policystore_span(has ? &mine : &now), has ? mine.change.sha256 : "",
	    has ? mine.change.parent : now.change.version);
	page_end(s, q, r);
	policystore_text_fini(&now);
	policystore_text_fini(&mine);
	policy_end(&u);
}

/* The fields of the editor. False: reply has the refusal. */
static bool
take_editor(struct site *s, struct http_request *q, struct http_reply *r, char **text, size_t *n, char was[POLICY_HASH_TEXT],
    uint64_t *base)
{
	static const char *const fields[] = { "csrf", "was", "base", "text", NULL };
	const struct form_field *stranger = form_stranger(&q->form, fields);
	struct span hash = form_get(&q->form, "was");

	if (stranger != NULL || !form_has(&q->form, "text")) {
		reply_problem(s, q, r, 400, stranger != NULL ? "form" : "text", stranger != NULL ?
		    "There is a field that this form does not have." : "The policy is missing.");
		return false;
	}
	if (!span_uint(form_get(&q->form, "base"), INT64_MAX, base) || hash.n >= POLICY_HASH_TEXT) {
		reply_problem(s, q, r, 400, hash.n >= POLICY_HASH_TEXT ? "was" : "base", "This is not what the form had in it.");
		return false;
	}
	snprintf(was, POLICY_HASH_TEXT, "%.*s", SPAN_FMT(hash));
	*text = policy_unix_lines(form_get(&q->form, "text"), n);
	return true;
}

void
page_policy_preview(struct site *s, struct http_request *q, struct http_reply *r)
{
	struct policystore_text now = { .text = NULL };
	struct text *t = &r->body;
	struct policy_use u;
	char was[POLICY_HASH_TEXT], *text;
	uint64_t base;
	size_t n, mistakes;
	int err;

	if (!take_editor(s, q, r, &text, &n, was, &base))
		return;
	if ((err = policy_begin_current(&u, s, q, &now)) != SP_OK) {
		policy_problem(s, q, r, &u, err, NULL);
		goto out;
	}
	mistakes = policy_mistakes(&u, "text", span_of(text, n));
	page_begin(s, q, r, "Preview");
	show_steps(t, STEP_PREVIEW);
	if (mistakes != 0) {
		page_note(t, TONE_BAD, "%zu %s. It cannot be tried or put in force like this.", mistakes,
		    mistakes == 1 ? "mistake" : "mistakes");
		policy_show_errors(t, u.errs, span_of(text, n));
	} else
		page_note(t, TONE_GOOD, "No mistakes were found.");
	html(t, "<section class=\"card\" aria-labelledby=\"h-diff\"><h2 id=\"h-diff\">Against version %" PRIu64 ", which is in force</h2>",
	    now.change.version);
	policy_show_diff(t, &u, policystore_span(&now), span_of(text, n));
	html(t, "</section>\n");
	show_editor(q, t, span_of(text, n), was, base);
	page_end(s, q, r);
 out:
	policystore_text_fini(&now);
	policy_end(&u);
	free(text);
}

/* ---- the candidate ---- */

static void
show_shadow(struct site *s, struct text *t, bool *running)
{
	static const char *const skip[] = { NULL };
	struct answer a;
	char why[640];

	ask(s, ASK_EDGE, "policy-shadow-status", NULL, &a);
	*running = a.result == ASK_OK && answer_first(&a, "shadow") != NULL;
	html(t, "<div id=\"shadow\" data-live=\"5\">");
	if (*running) {
		show_card(t, answer_first(&a, "shadow"), skip);
		show_table(t, &a, "difference", "What would have been decided otherwise", NULL,
		    "So far the candidate decides everything as the policy in force does.");
		show_table(t, &a, "example", "Examples", NULL, "");
	} else {
		answer_say(&a, ASK_EDGE, why);
		html(t, "<p>%s</p>", a.result == ASK_REFUSED || why[0] == '\0' ? "The edge tries no candidate at this moment." : why);
	}
	html(t, "</div>\n");
	answer_fini(&a);
}

/* What can be done with the candidate. */
static void
show_moves(struct site *s, const struct http_request *q, struct text *t, bool good, bool stale, bool same)
{
	bool running;

	html(t, "<section class=\"card\" aria-labelledby=\"h-shadow\"><h2 id=\"h-shadow\">Shadow</h2>"
	    "<p>The edge decides everything a second time by the candidate and counts the differences. What happens is decided by "
	    "the policy in force alone.</p>");
	show_shadow(s, t, &running);
	html(t, "<div class=\"actions\">");
	if (good && !same) {
		page_form(q, t, "/policy/shadow", " class=\"inline\"");
		html(t, "<button>%s</button></form>", running ? "Begin anew with this candidate" : "Try it as a shadow");
	}
	if (running) {
		page_form(q, t, "/policy/shadow/stop", " class=\"inline\"");
		html(t, "<button>Stop the shadow</button></form>");
	}
	html(t, "</div></section>\n<section class=\"card\" aria-labelledby=\"h-commit\"><h2 id=\"h-commit\">Commit</h2>");
	if (stale) {
		page_note(t, TONE_WARN, "Another version came into force after you began. Bring your change onto it first.");
		page_form(q, t, "/policy/rebase", "");
		html(t, "<p class=\"actions\"><button class=\"primary\">Bring onto the version in force</button></p></form>");
	} else if (good && !same) {
		page_form(q, t, "/policy/commit", " class=\"stack\"");
		html(t, "<label for=\"note\">Note: what it is for</label><input id=\"note\" name=\"note\" maxlength=\"%d\">"
		    "<button class=\"primary\">Put in force</button></form>", POLICY_CHANGE_NOTE);
	} else
		html(t, "<p>%s</p>", same ? "There is nothing to put in force: it is what is in force." :
		    "It can be put in force when it has no mistakes.");
	html(t, "</section>\n<div class=\"actions\"><a class=\"button\" href=\"/policy/edit\">Edit further</a>");
	page_form(q, t, "/policy/discard", " class=\"inline\"");
	html(t, "<button class=\"danger\">Throw away</button></form></div>\n");
}

static void
show_candidate(struct site *s, struct http_request *q, struct http_reply *r)
{
	struct policystore_text now = { .text = NULL }, mine = { .text = NULL };
	struct text *t = &r->body;
	struct policy_use u;
	size_t mistakes;
	int err = policy_begin(&u, s, q, SPAN_NONE);

	if (err != SP_OK || (err = policystore_current(u.store, &now, u.errs)) != SP_OK) {
		policy_problem(s, q, r, &u, err, NULL);
		policy_end(&u);
		return;
	}
	page_begin(s, q, r, "Your candidate");
	show_done(q, t);
	if (policystore_candidate(u.store, q->account, &mine, u.errs) != SP_OK) {
		html(t, "<p>You have none. <a href=\"/policy/edit\">Edit the policy</a> to begin one.</p>");
	} else {
		bool same = span_eq(policystore_span(&mine), policystore_span(&now));

		mistakes = policy_mistakes(&u, "candidate", policystore_span(&mine));
		show_steps(t, mistakes != 0 ? STEP_PREVIEW : span_is(form_get(&q->query, "done"), "shadow") ? STEP_COMMIT : STEP_SHADOW);
		if (mistakes != 0) {
			page_note(t, TONE_BAD, "%zu %s.", mistakes, mistakes == 1 ? "mistake" : "mistakes");
			policy_show_errors(t, u.errs, policystore_span(&mine));
		} else
			page_note(t, TONE_GOOD, "No mistakes were found.");
		html(t, "<section class=\"card\" aria-labelledby=\"h-diff\"><h2 id=\"h-diff\">Against version %" PRIu64
		    ", which is in force</h2>", now.change.version);
		policy_show_diff(t, &u, policystore_span(&now), policystore_span(&mine));
		html(t, "</section>\n");
		show_moves(s, q, t, mistakes == 0, mine.change.parent != now.change.version, same);
	}
	page_end(s, q, r);
	policystore_text_fini(&now);
	policystore_text_fini(&mine);
	policy_end(&u);
}

void
page_policy_candidate(struct site *s, struct http_request *q, struct http_reply *r)
{
	struct policy_use u;
	char was[POLICY_HASH_TEXT], *text;
	uint64_t base;
	size_t n;
	int err;

	if (q->method != HTTP_POST) {
		show_candidate(s, q, r);
		return;
	}
	if (!take_editor(s, q, r, &text, &n, was, &base))
		return;
	if ((err = policy_begin(&u, s, q, SPAN_NONE)) == SP_OK)
		err = policystore_candidate_set(u.store, q->account, &u.who, base, was, span_of(text, n), u.errs);
	if (err != SP_OK)
		policy_problem(s, q, r, &u, err, "text");
	else
		reply_redirect(r, "/policy/candidate?done=saved");
	policy_end(&u);
	free(text);
}

/* ---- the moves ---- */

static bool
only(struct site *s, struct http_request *q, struct http_reply *r, const char *const *fields)
{
	if (form_stranger(&q->form, fields) == NULL)
		return true;
	reply_problem(s, q, r, 400, "form", "There is a field that this form does not have.");
	return false;
}

static const char *const no_fields[] = { "csrf", NULL };
static const char *const note_fields[] = { "csrf", "note", NULL };

/* The note of a form. False: reply has the refusal. */
static bool
take_note(struct site *s, struct http_request *q, struct http_reply *r, const char *const *fields, struct span *note)
{
	if (!only(s, q, r, fields))
		return false;
	*note = span_trim(form_get(&q->form, "note"));
	if (policy_note_ok(*note))
		return true;
	reply_problem(s, q, r, 422, "note", "A note is one line of at most %d bytes.", POLICY_CHANGE_NOTE);
	return false;
}

static void
finish(struct site *s, struct http_request *q, struct http_reply *r, struct policy_use *u, int err, const char *where,
    const char *field)
{
	if (err != SP_OK)
		policy_problem(s, q, r, u, err, field);
	else
		reply_redirect(r, "%s", where);
	policy_end(u);
}

void
page_policy_discard(struct site *s, struct http_request *q, struct http_reply *r)
{
	struct policy_use u;
	int err;

	if (!only(s, q, r, no_fields))
		return;
	if ((err = policy_begin(&u, s, q, SPAN_NONE)) == SP_OK)
		err = policystore_candidate_discard(u.store, q->account, &u.who, u.errs);
	finish(s, q, r, &u, err, "/policy?done=discard", NULL);
}

void
page_policy_rebase(struct site *s, struct http_request *q, struct http_reply *r)
{
	struct policy_use u;
	int err;

	if (!only(s, q, r, no_fields))
		return;
	if ((err = policy_begin(&u, s, q, SPAN_NONE)) == SP_OK)
		err = policystore_candidate_rebase(u.store, q->account, &u.who, u.errs);
	finish(s, q, r, &u, err, "/policy/candidate?done=rebase", NULL);
}

void
page_policy_shadow(struct site *s, struct http_request *q, struct http_reply *r)
{
	struct policy_use u;
	int err;

	if (!only(s, q, r, no_fields))
		return;
	if ((err = policy_begin(&u, s, q, SPAN_NONE)) == SP_OK)
		err = policy_shadow(&u, q->account);
	finish(s, q, r, &u, err, "/policy/candidate?done=shadow", NULL);
}

void
page_policy_shadow_stop(struct site *s, struct http_request *q, struct http_reply *r)
{
	struct answer a;
	char why[640];

	if (!only(s, q, r, no_fields))
		return;
	ask(s, ASK_EDGE, "policy-shadow-stop", NULL, &a);
	answer_say(&a, ASK_EDGE, why);
	if (a.result != ASK_OK)
		reply_problem(s, q, r, 502, NULL, "%s", why);
	else
		reply_redirect(r, "/policy/candidate?done=shadow-stop");
	answer_fini(&a);
}

void
page_policy_commit(struct site *s, struct http_request *q, struct http_reply *r)
{
	struct policy_use u;
	struct span note;
	int err;

	if (!take_note(s, q, r, note_fields, &note))
		return;
	if ((err = policy_begin(&u, s, q, note)) == SP_OK)
		err = policystore_commit(u.store, q->account, &u.who, NULL, u.errs);
	finish(s, q, r, &u, err, "/policy?done=commit", NULL);
}

/* ---- one version ---- */

void
page_policy_version(struct site *s, struct http_request *q, struct http_reply *r)
{
	struct policystore_text now = { .text = NULL }, it = { .text = NULL };
	struct text *t = &r->body;
	struct policy_use u;
	uint64_t number;
	char title[64];
	int err;

	if (!span_uint(q->param[0], INT64_MAX, &number)) {
		reply_problem(s, q, r, 404, NULL, "There is no such version.");
		return;
	}
	if ((err = policy_begin_current(&u, s, q, &now)) != SP_OK ||
	    (err = policystore_version(u.store, number, &it, u.errs)) != SP_OK) {
		policy_problem(s, q, r, &u, err, NULL);
		goto out;
	}
	snprintf(title, sizeof(title), "Policy, version %" PRIu64, number);
	page_begin(s, q, r, title);
	html(t, "<section class=\"card\" aria-labelledby=\"h-about\"><h2 id=\"h-about\">About it</h2>");
	show_change(t, &it.change);
	html(t, "</section>\n");
	if (number != now.change.version) {
		html(t, "<section class=\"card\" aria-labelledby=\"h-back\"><h2 id=\"h-back\">Going back to it from version %" PRIu64 "</h2>",
		    now.change.version);
		policy_show_diff(t, &u, policystore_span(&now), policystore_span(&it));
		if (page_may_change(q)) {
			char action[64];

			snprintf(action, sizeof(action), "/policy/versions/%" PRIu64 "/rollback", number);
			page_form(q, t, action, " class=\"stack\"");
			html(t, "<label for=\"note\">Note: why</label><input id=\"note\" name=\"note\" maxlength=\"%d\">"
			    "<button class=\"primary\">Roll back to version %" PRIu64 "</button></form>", POLICY_CHANGE_NOTE, number);
		}
		html(t, "</section>\n");
	}
	html(t, "<section class=\"card\" aria-labelledby=\"h-text\"><h2 id=\"h-text\">Text</h2><pre>");
	text_html(t, policystore_span(&it));
	html(t, "</pre></section>\n");
	page_end(s, q, r);
 out:
	policystore_text_fini(&now);
	policystore_text_fini(&it);
	policy_end(&u);
}

void
page_policy_rollback(struct site *s, struct http_request *q, struct http_reply *r)
{
	struct policy_use u;
	struct span note;
	uint64_t number;
	int err;

	if (!take_note(s, q, r, note_fields, &note))
		return;
	if (!span_uint(q->param[0], INT64_MAX, &number)) {
		reply_problem(s, q, r, 404, NULL, "There is no such version.");
		return;
	}
	if ((err = policy_begin(&u, s, q, note)) == SP_OK)
		err = policystore_rollback(u.store, number, &u.who, NULL, u.errs);
	finish(s, q, r, &u, err, "/policy?done=rollback", NULL);
}

/* ---- in one step ---- */

static void
amend(struct site *s, struct http_request *q, struct http_reply *r, enum policy_amendment kind, struct span what,
    struct span note, const char *where, const char *field)
{
	struct policy_use u;
	char name[DOMAIN_MAX + 1];
	int err;

	what = span_trim(what);
	if (what.n == 0 || what.n > DOMAIN_MAX) {
		reply_problem(s, q, r, 422, field, "Expects 1 to %d bytes.", DOMAIN_MAX);
		return;
	}
	snprintf(name, sizeof(name), "%.*s", SPAN_FMT(what));
	if ((err = policy_begin(&u, s, q, note)) == SP_OK)
		err = policy_amend(&u, kind, name, NULL);
	finish(s, q, r, &u, err, where, field);
}

static const char *const domain_fields[] = { "csrf", "domain", "note", NULL };

void
page_block(struct site *s, struct http_request *q, struct http_reply *r)
{
	struct span note;

	if (take_note(s, q, r, domain_fields, &note))
		amend(s, q, r, AMEND_BLOCK, form_get(&q->form, "domain"), note, "/policy?done=block", "domain");
}

void
page_unblock(struct site *s, struct http_request *q, struct http_reply *r)
{
	struct span note;

	if (take_note(s, q, r, domain_fields, &note))
		amend(s, q, r, AMEND_UNBLOCK, form_get(&q->form, "domain"), note, "/policy?done=unblock", "domain");
}

void
page_partner_pause(struct site *s, struct http_request *q, struct http_reply *r)
{
	static const char *const fields[] = { "csrf", "partner", "do", "note", NULL };
	struct span note, todo = form_get(&q->form, "do");
	bool pause = span_is(todo, "pause");

	if (!take_note(s, q, r, fields, &note))
		return;
	if (!pause && !span_is(todo, "resume")) {
		reply_problem(s, q, r, 422, "do", "Expects pause or resume.");
		return;
	}
	amend(s, q, r, pause ? AMEND_PAUSE : AMEND_RESUME, form_get(&q->form, "partner"), note,
	    pause ? "/policy?done=pause" : "/policy?done=resume", "partner");
}
