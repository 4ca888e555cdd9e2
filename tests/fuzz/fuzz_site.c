/*
 * tests/fuzz/fuzz_site.c - requests to the admin page. Whoever is not logged in gets nothing but what is public, and
 * changes nothing; a request that a browser was led to make changes nothing either; JSON is JSON, a page has no tag
 * but our own, and no header has a second line, whatever the request says.
 *
 * The first byte says who asks: bit 0 a session, bit 1 of an operator, bit 2 with the form's token, bit 3 a program's
 * token. Then "METHOD TARGET\n", lines "h: value" (a letter for each header, see headers[]), an empty line, the body;
 * where "^T" stands in the body, the form's token is put.
 */
#include <assert.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/http/site.h"
#include "admin/policystore.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "tests/fuzz/playground.h"
#include "tests/fuzz/textfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
TEXTFILE_LIBCONFIG_LEAKS

#define POLICY \
    "internal_domains = [ \"contoso.example\" ];\ninternal_servers = [ \"director.contoso.example\" ];\n" \
    "partners = ( { name = \"Fabrikam\"; server = \"sip.fabrikam.example\"; domains = [ \"fabrikam.example\" ]; } );\n"
#define MAX	8192

static char dir[64], policy[96], store[96], bearer[ACCOUNT_TOKEN_ROOM + 8];
static struct site *site;
static struct account viewer = { .name = "vera", .role = ACCOUNT_VIEWER }, operator = { .name = "otto", .role = ACCOUNT_OPERATOR };

static void
end(void)
{
	site_free(site);
	playground_remove(dir);
}

/* Policy and store as they are before anybody has changed anything. */
static void
put_back(void)
{
	struct conf_errors *errs = conf_errors_new();
	struct policystore_text t;
	struct policystore *ps;

	playground_remove(store);
	playground_write(policy, POLICY, sizeof(POLICY) - 1, 0640);
	assert(policystore_open(&ps, store, policy, errs) == SP_OK && policystore_current(ps, &t, errs) == SP_OK);
	policystore_text_fini(&t);
	policystore_close(ps);
	conf_errors_free(errs);
}

static void
begin(void)
{
	static const uint64_t ms = 1000000;
	static const time_t wall = 1790000000;
	struct account_token t = { .account = "otto", .label = "backup", .role = ACCOUNT_OPERATOR, .until = 1800000000 };
	char conf[1024], path[64], token[ACCOUNT_TOKEN_ROOM];
	struct conf_errors *errs = conf_errors_new();
	struct accounts *as = accounts_new();
	struct siteconf *c;
	int fd;

	log_open("fuzz_site", "/dev/null", SP_LOG_ERROR);
	clock_fake(&ms, &wall);
	playground_make(dir, "fuzz_site");
	snprintf(policy, sizeof(policy), "%s/policy.conf", dir);
	snprintf(store, sizeof(store), "%s/store", dir);
	assert(account_set_password(&viewer, SPAN_LIT("correct horse battery"), 10) == SP_OK);
	assert(account_set_password(&operator, SPAN_LIT("staple correct horse"), 10) == SP_OK);
	account_token_make(&t, token);
	snprintf(bearer, sizeof(bearer), "Bearer %s", token);
	accounts_put(as, &viewer);
	accounts_put(as, &operator);
	accounts_put_token(as, &t);
	snprintf(conf, sizeof(conf), "%s/accounts", dir);
	assert(accounts_save(as, conf) == SP_OK);
	accounts_free(as);
	snprintf(conf, sizeof(conf), "listen = \"127.0.0.1:8060\"; names = [ \"edge.example\" ]; accounts = \"%s/accounts\";\n"
	    "control = { edge = \"\"; director = \"\"; }; policy = { file = \"%s\"; store = \"%s\"; };\n"
	    "charts = { file = \"\"; }; metrics = \"login\";\n", dir, policy, store);
	fd = textfile_make(span_str(conf), path);
	c = siteconf_load(path, errs);
	conf_errors_print(errs, stderr);
	assert(c != NULL && conf_errors_count(errs) == 0);
	close(fd);
	conf_errors_free(errs);
	site = site_new(c);
	assert(accounts_count(site->accounts) == 2);
	put_back();
	atexit(end);
}

/* ---- the request ---- */

static struct span
take_line(struct span *rest)
{
	struct span line = span_head(*rest, span_find(*rest, '\n'));

	*rest = span_tail(*rest, line.n + 1);
	return line;
}

static void
take_headers(struct http_request *q, struct span *rest)
{
	const struct { char letter; struct span *to; } headers[] = {
		{ 'h', &q->host }, { 'o', &q->origin }, { 'f', &q->fetch_site }, { 't', &q->type }, { 'c', &q->cookie },
		{ 'a', &q->authorization }, { 'm', &q->if_match }, { 'n', &q->if_none_match }, { 'x', &q->csrf_header }
	};
	struct span line;

	while ((line = take_line(rest)).n != 0)
		for (size_t i = 0; line.n > 3 && i < sizeof(headers) / sizeof(headers[0]); i++)
			if (line.p[0] == headers[i].letter && line.p[1] == ':')
				*headers[i].to = span_tail(line, 3);
}

/* The body with the token in the places where it is wanted. */
static struct span
put_token(struct span body, const char *token, char out[MAX * SESSION_TEXT])
{
	size_t n = 0;

	for (size_t i = 0; i < body.n; i++)
		if (i + 1 < body.n && body.p[i] == '^' && body.p[i + 1] == 'T' && token != NULL) {
			memcpy(out + n, token, SESSION_TEXT - 1);
			n += SESSION_TEXT - 1;
			i++;
		} else
			out[n++] = body.p[i];
	return span_of(out, n);
}

/* ---- the answer ---- */

/* Every "<" begins a tag that a page of ours has, or ends one. */
static void
is_our_page(struct span s)
{
	static const char *const tags[] = { "!doctype", "html", "head", "meta", "title", "link", "script", "body", "header", "nav",
		"main", "footer", "section", "article", "aside", "div", "span", "p", "a", "ul", "ol", "li", "dl", "dt", "dd", "table",
		"caption", "thead", "tbody", "tfoot", "tr", "th", "td", "form", "label", "input", "button", "select", "option",
		"textarea", "fieldset", "legend", "h1", "h2", "h3", "h4", "pre", "code", "time", "strong", "em", "small", "svg", "g",
		"path", "rect", "line", "polyline", "polygon", "circle", "text", "desc", "details", "summary", "br", "hr", "img",
		"b", "i", "ins", "del", "mark", "abbr", "output", "figure", "figcaption", "col", "colgroup", "kbd", "samp", "var" };

	for (size_t at = span_find(s, '<'); at < s.n; at = span_find(s, '<')) {
		struct span word;
		size_t n = 0, k = 0;

		s = span_tail(s, at + 1);
		word = s.n != 0 && s.p[0] == '/' ? span_tail(s, 1) : s;
		while (n < word.n && strchr(" \n\t>/", word.p[n]) == NULL)
			n++;
		word = span_head(word, n);
		while (k < sizeof(tags) / sizeof(tags[0]) && !span_iis(word, tags[k]))
			k++;
		if (k == sizeof(tags) / sizeof(tags[0]))
			fprintf(stderr, "a tag that is none of ours: <%.*s\n", SPAN_FMT(word));
		assert(k < sizeof(tags) / sizeof(tags[0]));
	}
}

static void
judge_reply(const struct http_reply *r)
{
	assert(r->status >= 200 && r->status < 600 && strcmp(http_status_name(r->status), "") != 0);
	for (size_t i = 0; i < r->nmore; i++)
		for (const char *p = r->more[i].value; *p != '\0'; p++)
			assert((unsigned char)*p >= ' ' && *p != 0x7f);
	if (r->type == NULL)
		return;
	/* the body that an attacker would like to bring in */
	assert(memmem(r->body.p, r->body.n, "<zq", 3) == NULL || strstr(r->type, "html") == NULL);
	if (strstr(r->type, "json") != NULL) {
		json_t *o = json_loadb(r->body.p, r->body.n, JSON_REJECT_DUPLICATES, NULL);

		assert(o != NULL);
		json_decref(o);
	} else if (strstr(r->type, "text/html") != NULL)
		is_our_page(span_of(r->body.p, r->body.n));
}

static bool
is_untouched(void)
{
	char text[sizeof(POLICY) + 1], path[128];
	FILE *f = fopen(policy, "re");
	size_t n;

	assert(f != NULL);
	n = fread(text, 1, sizeof(text), f);
	fclose(f);
	snprintf(path, sizeof(path), "%s/versions/000002.conf", store);
	if (n != sizeof(POLICY) - 1 || memcmp(text, POLICY, n) != 0 || access(path, F_OK) == 0)
		return false;
	snprintf(path, sizeof(path), "%s/candidates/otto.conf", store);
	if (access(path, F_OK) == 0)
		return false;
	snprintf(path, sizeof(path), "%s/candidates/vera.conf", store);
	return access(path, F_OK) != 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static char body[MAX * SESSION_TEXT], target[MAX + 1];
	char cookie[SESSION_TEXT + 32];
	struct http_request q = { .host = SPAN_LIT("edge.example") };
	const struct session *session = NULL;
	struct http_reply r;
	struct span rest, line, method;
	bool changes, forged;

	if (site == NULL)
		begin();
	/* Files of this machine are not to be read. */
	if (len < 2 || len > MAX || memmem(data, len, "nclude", 6) != NULL)
		return 0;
	rest = span_of((const char *)data + 1, len - 1);
	line = take_line(&rest);
	method = span_head(line, span_find(line, ' '));
	for (int m = HTTP_GET; m <= HTTP_DELETE; m++)
		if (span_is(method, http_method_name((enum http_method)m)))
			q.method = (enum http_method)m;
	line = span_tail(line, method.n + 1);
	if (line.n != 0)
		memcpy(target, line.p, line.n);
	target[line.n] = '\0';
	q.target = target;
	take_headers(&q, &rest);
	assert(net_addr_parse(&q.from, SPAN_LIT("127.0.0.1:40000"), 0) == SP_OK);
	if (data[0] & 1) {
		session = sessions_begin(site->sessions, data[0] & 2 ? &operator : &viewer, "127.0.0.1", clock_ms());
		snprintf(cookie, sizeof(cookie), "sallyport=%s", session->id);
		q.cookie = span_str(cookie);
		if (data[0] & 4)
			q.csrf_header = span_str(session->csrf);
	}
	if (data[0] & 8)
		q.authorization = span_str(bearer);
	q.body = put_token(rest, session != NULL && (data[0] & 4) ? session->csrf : NULL, body);
	/* from a page of somebody else's, as the browser says, or without the token of ours */
	forged = (data[0] & 8) == 0 && (session == NULL || (data[0] & 4) == 0 || (data[0] & 2) == 0);
	site_answer(site, &q, &r);
	judge_reply(&r);
	assert(session != NULL || (data[0] & 8) || q.role == ACCOUNT_NOBODY);
	assert(q.route == NULL || (q.route->flags & ROUTE_PUBLIC) || q.role >= q.route->role || r.status >= 300);
	changes = q.method != HTTP_GET && q.method != HTTP_HEAD;
	if (changes || !is_untouched()) {
		assert(changes && (!forged || is_untouched()));
		if (!forged)
			put_back();
	}
	assert(accounts_count(site->accounts) == 2);
	reply_fini(&r);
	if (session != NULL)
		sessions_end_account(site->sessions, span_str(data[0] & 2 ? operator.name : viewer.name));
	return 0;
}
