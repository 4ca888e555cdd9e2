/*
 * admin/http/site.h - the page as a function: a request in, an answer out. No
 * socket and no libmicrohttpd; server.c has those.
 */
#ifndef SALLYPORT_ADMIN_HTTP_SITE_H
#define SALLYPORT_ADMIN_HTTP_SITE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "admin/accounts.h"
#include "admin/http/form.h"
#include "admin/http/ring.h"
#include "admin/http/session.h"
#include "admin/http/siteconf.h"
#include "admin/http/text.h"
#include "admin/http/throttle.h"
#include "common/span.h"
#include "net/addr.h"

#define REPLY_MAX	(24u << 20)	/* bytes of an answer */
#define TARGET_MAX	4096		/* bytes of a request's target */
#define REPLY_HEADERS	4

enum http_method { HTTP_OTHER = 0, HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_DELETE };
const char *http_method_name(enum http_method);

/* What is shared by all threads; everything below lock is touched under it only. */
struct site {
	struct siteconf		*conf;		/* never changes while requests are answered, but under conf_lock */
	bool			 tls;
	time_t			 started;
	unsigned char		 secret[32];	/* of this process, for the log-in form */
	pthread_rwlock_t	 conf_lock;
	pthread_mutex_t		 lock;
	struct accounts		*accounts;	/* never NULL */
	bool			 accounts_seen;	/* the rest says what the file was like then */
	struct timespec		 accounts_time;
	ino_t			 accounts_inode;
	struct sessions		*sessions;
	struct throttle		*throttle;
	struct ring		*ring, *director_ring;	/* of the edge, of the Director */
	unsigned		 proofs;	/* passwords that are being proven */
};

struct http_request {
	enum http_method	 method;
	const char		*target;	/* as it came; the rest is borrowed too */
	struct span		 host, origin, fetch_site, type, cookie, authorization, if_match, if_none_match, csrf_header;
	struct span		 body;
	bool			 body_too_large;
	const char		*doubtful;	/* the header by which others may read the request otherwise; static, NULL: none */
	struct net_addr		 from;

	/* filled by site_answer() */
	char			 path[TARGET_MAX];	/* decoded */
	char			 source[64];	/* of from, for people and budgets */
	bool			 by_our_name;	/* host is a name or an address of ours */
	struct form		 query, form;
	const struct route	*route;
	struct span		 param[2];	/* what stood in the place of the route's stars */
	enum account_role	 role;		/* NOBODY: not logged in */
	char			 account[ACCOUNT_NAME_MAX];
	char			 session[SESSION_TEXT], csrf[SESSION_TEXT];	/* "" : by token, or nobody */
};

struct http_reply {
	int			 status;
	const char		*type;		/* static; NULL: no body */
	struct text		 body;
	const char		*cache;		/* Cache-Control; NULL: no-store */
	struct {
		const char	*name;		/* static */
		char		*value;		/* ours */
	} more[REPLY_HEADERS];
	size_t			 nmore;
};

typedef void (*http_handler)(struct site *, struct http_request *, struct http_reply *);

enum {
	ROUTE_PUBLIC	= 1 << 0,	/* without a log-in */
	ROUTE_API	= 1 << 1,	/* answers are JSON, and a token does as well as a session */
	ROUTE_POLICY	= 1 << 2,	/* the body may be a policy */
	ROUTE_ANYHOST	= 1 << 3	/* whatever name it was asked by: load balancers have their own */
};
struct route {
	enum http_method	 method;	/* GET serves HEAD as well */
	const char		*path;		/* "/partners/" and "*" for a part */
	enum account_role	 role;		/* least */
	unsigned		 flags;
	http_handler		 run;
};
extern const struct route site_routes[];	/* ends with a NULL path */

/* site_new() takes conf over. News for the log are logged. Never fails. */
struct site *site_new(struct siteconf *conf);
void	site_free(struct site *);		/* NULL: nothing */
/* Read the accounts again if the file has changed. */
void	site_look(struct site *);
/* How large a body may be: asked when the head is there. 0: none. */
size_t	site_body_limit(struct site *, enum http_method, const char *target);
/* Answer; the reply is the caller's and ends with reply_fini(). */
void	site_answer(struct site *, struct http_request *, struct http_reply *);

/* ---- answers ---- */

void	reply_init(struct http_reply *);
void	reply_fini(struct http_reply *);
/* One more header; value is copied. What is more than REPLY_HEADERS is a bug and ends the process. */
void	reply_header(struct http_reply *, const char *name, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* 303 to a place of ours. */
void	reply_redirect(struct http_reply *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/*
 * An error, as a page or as problem+json (RFC 9457), as the request wants it. field NULL: it is
 * about no single field. detail is a sentence of ours or an outsider's text; it is escaped.
 */
void	reply_problem(struct site *, struct http_request *, struct http_reply *, int status, const char *field,
	    const char *fmt, ...) __attribute__((format(printf, 6, 7)));
const char *http_status_name(int);
const char *site_cookie_name(const struct site *);

/* Is it the API that is asked? */
bool	request_wants_json(const struct http_request *);

#endif
