/*
 * admin/http/site.c - see site.h. What is checked of every request, in this order: its
 * form, the name it was asked by, who asks, what they may, and whether they meant it.
 */
#include "admin/http/site.h"

#include <sys/stat.h>

#include <errno.h>
#include <stdarg.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/http/json.h"
#include "admin/http/page.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "net/stats.h"

#define DIRECTOR_CHARTS	".director"	/* behind the name of the edge's samples */

static const char *const method_names[] = { "?", "GET", "HEAD", "POST", "PUT", "DELETE" };

const char *
http_method_name(enum http_method m)
{
	return method_names[m <= HTTP_DELETE ? m : HTTP_OTHER];
}

static const struct {
	int		 status;
	const char	*name;
} status_names[] = {
	{ 200, "OK" }, { 303, "See Other" }, { 400, "Bad Request" }, { 401, "Not Logged In" }, { 403, "Forbidden" },
	{ 404, "Not Found" }, { 405, "Method Not Allowed" }, { 409, "Conflict" }, { 412, "Changed Meanwhile" },
	{ 413, "Too Large" }, { 414, "Address Too Long" }, { 415, "Unsupported Type" }, { 421, "Misdirected Request" },
	{ 422, "Cannot Be Done" }, { 428, "If-Match Is Missing" }, { 429, "Too Many Attempts" }, { 500, "Error" },
	{ 502, "No Sensible Answer" }, { 503, "Not Available" }, { 504, "No Answer In Time" }
};

const char *
http_status_name(int status)
{
	for (size_t i = 0; i < sizeof(status_names) / sizeof(status_names[0]); i++)
		if (status_names[i].status == status)
			return status_names[i].name;
	return "Error";
}

/* ---- the site ---- */

struct site *
site_new(struct siteconf *conf)
{
	struct site *s = xcalloc(1, sizeof(*s));
	char charts[PATH_MAX];
	const char *news;
	struct session_limits sl = { (unsigned)conf->session.sessions, (unsigned)conf->session.per_account,
	    (uint64_t)conf->session.idle * 1000, (uint64_t)conf->session.absolute * 1000 };
	struct throttle_limits tl = { (unsigned)conf->login.tries, (unsigned)conf->login.account_tries,
	    (uint64_t)conf->login.every * 1000, (uint64_t)conf->login.account_every * 1000 };

	s->conf = conf;
	s->tls = conf->certificate != NULL;
	s->started = clock_wall();
	mem_random(s->secret, sizeof(s->secret));
	pthread_rwlock_init(&s->conf_lock, NULL);
	pthread_mutex_init(&s->lock, NULL);
	s->accounts = accounts_new();
	s->sessions = sessions_new(&sl);
	s->throttle = throttle_new(&tl);
	s->ring = ring_open(conf->charts[0] != '\0' ? conf->charts : NULL, &news);
	if (news != NULL)
		log_say(SP_LOG_WARNING, "charts", "%s %s", conf->charts, news);
	snprintf(charts, sizeof(charts), "%s" DIRECTOR_CHARTS, conf->charts);
	s->director_ring = ring_open(conf->charts[0] != '\0' ? charts : NULL, &news);
	if (news != NULL)
		log_say(SP_LOG_WARNING, "charts", "%s %s", charts, news);
	site_look(s);
	return s;
}

void
site_free(struct site *s)
{
	if (s == NULL)
		return;
	ring_close(s->ring);
	ring_close(s->director_ring);
	throttle_free(s->throttle);
	sessions_free(s->sessions);
	accounts_free(s->accounts);
	pthread_mutex_destroy(&s->lock);
	pthread_rwlock_destroy(&s->conf_lock);
	siteconf_free(s->conf);
	mem_wipe_free(s, sizeof(*s));
}

static void
report_account(void *arg, int line, const char *text)
{
	const struct site *s = arg;

	if (line != 0)
		log_say(SP_LOG_ERROR, "accounts", "%s:%d: %s", s->conf->accounts, line, text);
	else
		log_say(SP_LOG_ERROR, "accounts", "%s: %s", s->conf->accounts, text);
}

void
site_look(struct site *s)
{
	struct accounts *fresh = NULL;
	struct stat st = { .st_ino = 0 };
	int err;

	pthread_mutex_lock(&s->lock);
	if (stat(s->conf->accounts, &st) != 0)
		memset(&st, 0, sizeof(st));
	if (!s->accounts_seen || st.st_ino != s->accounts_inode || st.st_mtim.tv_sec != s->accounts_time.tv_sec ||
	    st.st_mtim.tv_nsec != s->accounts_time.tv_nsec) {
		s->accounts_seen = true;
		s->accounts_inode = st.st_ino;
		s->accounts_time = st.st_mtim;
		if ((err = accounts_load(&fresh, s->conf->accounts, report_account, s)) == SP_OK)
			log_say(SP_LOG_NOTICE, "accounts", "%zu accounts", accounts_count(fresh));
		else
			log_say(SP_LOG_ERROR, "accounts", "%s: %s; nobody can log in", s->conf->accounts,
			    err == SP_EIO ? strerror(errno) : err == SP_ENOENT ? "there is no such file; make it with "
			    "\"sallyportctl admin-user add\"" : "not used");
		/* a file that cannot be read lets nobody in: whoever was taken out of it must not stay in */
		accounts_free(s->accounts);
		s->accounts = fresh != NULL ? fresh : accounts_new();
	}
	pthread_mutex_unlock(&s->lock);
}

/* ---- answers ---- */

void
reply_init(struct http_reply *r)
{
	memset(r, 0, sizeof(*r));
	r->status = 500;
	text_init(&r->body, REPLY_MAX);
}

void
reply_fini(struct http_reply *r)
{
	text_fini(&r->body);
	for (size_t i = 0; i < r->nmore; i++)
		free(r->more[i].value);
	r->nmore = 0;
}

void
reply_header(struct http_reply *r, const char *name, const char *fmt, ...)
{
	char value[2048];
	va_list ap;

	if (r->nmore == REPLY_HEADERS)
		abort();
	va_start(ap, fmt);
	vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	/* whatever got in there, it is one line */
	for (char *p = value; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '_';
	r->more[r->nmore].name = name;
	r->more[r->nmore++].value = xstrdup(value);
}

void
reply_redirect(struct http_reply *r, const char *fmt, ...)
{
	char to[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(to, sizeof(to), fmt, ap);
	va_end(ap);
	r->status = 303;
	r->type = NULL;
	reply_header(r, "Location", "%s", to);
}

bool
request_wants_json(const struct http_request *q)
{
	return strncmp(q->target, "/api/", 5) == 0;
}

void
reply_problem(struct site *s, struct http_request *q, struct http_reply *r, int status, const char *field, const char *fmt,
    ...)
{
	char detail[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	text_fini(&r->body);
	r->status = status;
	if (request_wants_json(q))
		json_problem(r, status, field, detail);
	else
		page_problem(s, q, r, field, detail);
}

/* ---- the steps ---- */

/* Take the target apart. 0, or the status of the refusal. */
static int
take_target(struct http_request *q)
{
	struct span target = span_str(q->target), path = span_head(target, span_find(target, '?'));
	size_t n;

	if (target.n >= TARGET_MAX)
		return 414;
	if (path.n == 0 || path.p[0] != '/' || !form_decode(path, false, q->path, &n) || !form_is_utf8(span_of(q->path, n)))
		return 400;
	q->path[n] = '\0';
	if (form_parse(&q->query, span_tail(target, path.n + 1)) != SP_OK)
		return 400;
	return 0;
}

/* The host of "host", "host:port" and "[::1]:port"; none if it is nothing of that kind. */
static struct span
host_alone(struct span host)
{
	bool bracket = host.n != 0 && host.p[0] == '[';
	struct span name = span_head(span_tail(host, bracket), span_find(span_tail(host, bracket), bracket ? ']' : ':'));
	struct span port = span_tail(host, name.n + (bracket ? 2 : 0));
	uint64_t number;

	if (bracket && name.n + 2 > host.n)
		return SPAN_NONE;
	return port.n == 0 || (port.p[0] == ':' && (port.n == 1 || span_uint(span_tail(port, 1), UINT16_MAX, &number))) ? name :
	    SPAN_NONE;
}

/*
 * A page of another site may have had its name pointed at our address (DNS
 * rebinding); its requests carry that name.
 */
static bool
is_our_name(const struct site *s, struct span host)
{
	struct span name = host_alone(host);
	struct net_addr a;

	if (span_iis(name, "localhost"))
		return true;
	if (net_addr_parse(&a, name, 1) == SP_OK)
		return net_addr_same_host(&a, &s->conf->addr) || siteconf_is_loopback(&a) || net_addr_is_any(&s->conf->addr);
	for (size_t i = 0; i < s->conf->names.n; i++)
		if (span_iis(name, s->conf->names.v[i].s))
			return true;
	return false;
}

/* Does path fit the pattern? Each "*" takes one part of the path. */
static bool
fits(const char *pattern, const char *path, struct span param[2])
{
	size_t n = 0;

	while (*pattern != '\0') {
		if (*pattern == '*') {
			size_t len = strcspn(path, "/");

			if (len == 0 || n == 2)
				return false;
			param[n++] = span_of(path, len);
			path += len;
			pattern++;
		} else if (*pattern++ != *path++)
			return false;
	}
	return *path == '\0';
}

/* The route; NULL with the status of the refusal and, for 405, what is allowed. */
static const struct route *
find_route(enum http_method method, const char *path, struct span param[2], int *status, char allow[64])
{
	enum http_method as = method == HTTP_HEAD ? HTTP_GET : method;

	*status = 404;
	allow[0] = '\0';
	for (const struct route *r = site_routes; r->path != NULL; r++) {
		if (!fits(r->path, path, param))
			continue;
		if (r->method == as)
			return r;
		*status = 405;
		snprintf(allow + strlen(allow), 64 - strlen(allow), "%s%s", allow[0] != '\0' ? ", " : "",
		    r->method == HTTP_GET ? "GET, HEAD" : http_method_name(r->method));
	}
	return NULL;
}

/* Bytes of a body; the configuration is held. */
static size_t
limit_of(const struct site *s, const struct route *r)
{
	return (size_t)((r->flags & ROUTE_POLICY) != 0 ? s->conf->limits.policy : s->conf->limits.body) << 10;
}

size_t
site_body_limit(struct site *s, enum http_method method, const char *target)
{
	size_t limit = 0;
	struct http_request q = { .method = method, .target = target };
	const struct route *r = NULL;
	char allow[64];
	int status;

	if (method != HTTP_POST && method != HTTP_PUT)
		return 0;
	if (take_target(&q) == 0)
		r = find_route(method, q.path, q.param, &status, allow);
	form_fini(&q.query);
	pthread_rwlock_rdlock(&s->conf_lock);
	if (r != NULL)
		limit = limit_of(s, r);
	pthread_rwlock_unlock(&s->conf_lock);
	return limit;
}

const char *
site_cookie_name(const struct site *s)
{
	return s->tls ? "__Host-sallyport" : "sallyport";
}

/* Who is it? A token counts for the API only, so that no page ever works without a session's form token. */
static void
identify(struct site *s, struct http_request *q)
{
	static const struct span bearer = SPAN_LIT("Bearer ");
	const struct session *found = NULL;
	const struct account *a = NULL;
	enum account_role role = ACCOUNT_NOBODY;
	struct span id;

	pthread_mutex_lock(&s->lock);
	if (q->authorization.n != 0) {
		if ((q->route->flags & ROUTE_API) != 0 && span_istarts(q->authorization, bearer))
			a = accounts_by_token(s->accounts, span_trim(span_tail(q->authorization, bearer.n)), (uint64_t)clock_wall(),
			    &role);
	} else if (cookie_get(q->cookie, site_cookie_name(s), &id) &&
	    (found = sessions_find(s->sessions, id, s->accounts, clock_ms())) != NULL) {
		a = accounts_find(s->accounts, span_str(found->account));
		role = a->role;
		memcpy(q->session, found->id, sizeof(q->session));
		memcpy(q->csrf, found->csrf, sizeof(q->csrf));
	}
	if (a != NULL) {
		memcpy(q->account, a->name, sizeof(q->account));
		q->role = role;
	}
	pthread_mutex_unlock(&s->lock);
}

static bool
is_type(struct span type, const char *want)
{
	return span_iis(span_trim(span_head(type, span_find(type, ';'))), want);
}

/*
 * A request that may change something was made by one of our pages, or by a program with a token. With
 * Referrer-Policy no-referrer browsers say "Origin: null" for our own forms too, so that says nothing.
 */
static bool
is_from_our_page(struct site *s, struct http_request *q, struct http_reply *r)
{
	struct span given;
	struct span host = span_tail(q->origin, 0);

	for (size_t i = 0; i + 2 < host.n; i++)
		if (memcmp(host.p + i, "://", 3) == 0) {
			host = span_tail(host, i + 3);
			break;
		}
	if ((q->fetch_site.n != 0 && !span_is(q->fetch_site, "same-origin") && !span_is(q->fetch_site, "none")) ||
	    (q->origin.n != 0 && !span_is(q->origin, "null") && !span_ieq(host, q->host))) {
		reply_problem(s, q, r, 403, NULL, "This came from a page of another site.");
		return false;
	}
	if ((q->route->flags & ROUTE_PUBLIC) != 0 || q->session[0] == '\0')
		return true;	/* the log-in form has a check of its own; a token is nothing that a browser adds */
	given = (q->route->flags & ROUTE_API) != 0 ? q->csrf_header : form_get(&q->form, "csrf");
	if (given.n == SESSION_TEXT - 1 && mem_equal_secret(given.p, q->csrf, given.n))
		return true;
	reply_problem(s, q, r, 403, (q->route->flags & ROUTE_API) != 0 ? "X-CSRF-Token" : "csrf",
	    "The form is of another session. Go back, load the page again and repeat what you did.");
	return false;
}

/* The body of a form. False: reply says why not. JSON is taken apart by its handlers. */
static bool
take_body(struct site *s, struct http_request *q, struct http_reply *r)
{
	char name[FORM_NAME_MAX + 1];
	int err;

	if (q->body_too_large) {
		stats_limit_hit(PAGE_BODY);
		reply_problem(s, q, r, 413, NULL, "The body of the request is larger than %zu bytes.",
		    limit_of(s, q->route));
		return false;
	}
	if (q->method != HTTP_POST && q->method != HTTP_PUT)
		return true;
	if ((q->route->flags & ROUTE_API) != 0) {
		if (q->body.n == 0 || is_type(q->type, "application/json"))
			return true;
		reply_problem(s, q, r, 415, "Content-Type", "Expects application/json.");
		return false;
	}
	if (!is_type(q->type, "application/x-www-form-urlencoded")) {
		reply_problem(s, q, r, 415, "Content-Type", "Expects application/x-www-form-urlencoded.");
		return false;
	}
	if ((err = form_parse(&q->form, q->body)) == SP_OK)
		return true;
	snprintf(name, sizeof(name), "%.*s", SPAN_FMT(q->form.bad));
	reply_problem(s, q, r, 400, name[0] != '\0' ? name : NULL, "%s", err == SP_EEXIST ? "This field is there twice." :
	    err == SP_ELIMIT ? "There are too many fields." : "This field is not encoded as a form's field is.");
	return false;
}

static bool
may(struct site *s, struct http_request *q, struct http_reply *r)
{
	if ((q->route->flags & ROUTE_PUBLIC) != 0 || q->role >= q->route->role)
		return true;
	if (q->role != ACCOUNT_NOBODY) {
		reply_problem(s, q, r, 403, NULL, "This needs the role %s; %s has the role %s.",
		    account_role_name(q->route->role), q->account, account_role_name(q->role));
	} else if (request_wants_json(q)) {
		reply_problem(s, q, r, 401, NULL, "Log in, or send a token that holds.");
		reply_header(r, "WWW-Authenticate", "Bearer realm=\"sallyport\"");
	} else if (q->method == HTTP_GET || q->method == HTTP_HEAD) {
		struct text next;

		text_init(&next, 3 * TARGET_MAX);
		text_url(&next, span_str(q->target));
		reply_redirect(r, strcmp(q->target, "/") != 0 && next.n < 900 ? "/login?next=%s" : "/login", next.p);
		text_fini(&next);
	} else
		reply_problem(s, q, r, 403, NULL, "Your session has ended. Log in again; nothing was changed.");
	return false;
}

static void
answer(struct site *s, struct http_request *q, struct http_reply *r)
{
	char allow[64];
	int status = take_target(q);

	if (q->doubtful != NULL) {
		reply_problem(s, q, r, 400, q->doubtful, "This header says more than one thing.");
		return;
	}
	if (status != 0) {
		reply_problem(s, q, r, status, NULL, status == 414 ? "The address is longer than %d bytes." :
		    "The address is not one that could be here.", TARGET_MAX);
		return;
	}
	q->route = find_route(q->method, q->path, q->param, &status, allow);
	q->by_our_name = is_our_name(s, q->host);
	if ((q->route == NULL || (q->route->flags & ROUTE_ANYHOST) == 0) && !q->by_our_name) {
		reply_problem(s, q, r, 421, "Host", "This page is not known by that name. If it should be, add the name to "
		    "\"names\" in admin.conf.");
		return;
	}
	if (q->route == NULL) {
		reply_problem(s, q, r, status, NULL, status == 404 ? "There is no such page." : "This cannot be done here.");
		if (status == 405)
			reply_header(r, "Allow", "%s", allow);
		return;
	}
	identify(s, q);
	if (!may(s, q, r) || !take_body(s, q, r))
		return;
	if (q->method != HTTP_GET && q->method != HTTP_HEAD && !is_from_our_page(s, q, r))
		return;
	q->route->run(s, q, r);
	if (r->body.failed)
		reply_problem(s, q, r, 500, NULL, "The answer would have been larger than %u bytes.", REPLY_MAX);
}

void
site_answer(struct site *s, struct http_request *q, struct http_reply *r)
{
	reply_init(r);
	throttle_source(&q->from, q->source);
	pthread_rwlock_rdlock(&s->conf_lock);
	answer(s, q, r);
	pthread_rwlock_unlock(&s->conf_lock);
	stats_count(PAGE_REQUESTS, STATS_STATUS(r->status), 0);
	form_fini(&q->query);
	form_fini(&q->form);
}
