/*
 * admin/http/server.c - see server.h.
 *
 * libmicrohttpd takes requests apart; what it cannot do, a limit of time for a whole
 * request and for a whole answer, is done here: each connection is in a list
 * with the time since which it owes us something, or we it, and server_tick() shuts
 * down what is overdue.
 */
#include "admin/http/server.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "net/stats.h"

#define PEM_MAX		(256u << 10)
#define BACKLOG		64
#define OLD_MS		10000	/* how long a replaced daemon finishes what it has */
#define PRIORITIES	"SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-ARCFOUR-128:-3DES-CBC"

struct conn {
	struct conn	*next, **prev;
	int		 fd;
	uint64_t	 since_ms;
	bool		 answering;	/* we owe; else they do */
	bool		 overdue;	/* it is being ended */
};

struct server {
	struct site		*site;
	struct MHD_Daemon	*now, *old;	/* old: replaced, ends at old_until */
	uint64_t		 old_until;
	int			 fd;		/* ours, to start another daemon with */
	pthread_mutex_t		 lock;
	struct conn		*conns;
};

/* One request while it comes. */
struct incoming {
	char		*target;
	struct text	 body;
	bool		 begun, too_large;
	const char	*doubtful;	/* see site.h */
	unsigned	 hosts, lengths, codings;
};

/* ---- PEM files ---- */

static char *
read_file(const char *path)
{
	char *text = xmalloc(PEM_MAX + 1);
	size_t n = 0;
	ssize_t got = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), keep;

	while (fd >= 0 && n < PEM_MAX && (got = read(fd, text + n, PEM_MAX - n)) > 0)
		n += (size_t)got;
	keep = fd >= 0 && got == 0 ? 0 : n == PEM_MAX ? EFBIG : errno;
	if (fd >= 0)
		close(fd);
	text[n] = '\0';
	if (keep == 0)
		return text;
	mem_wipe_free(text, PEM_MAX);
	errno = keep;
	return NULL;
}

void
server_tls_wipe(struct server_tls *t)
{
	mem_wipe_free(t->key, t->key != NULL ? strlen(t->key) : 0);
	free(t->certificate);
	*t = (struct server_tls){ NULL, NULL };
}

int
server_tls_load(struct server_tls *t, const struct siteconf *c, const char **which)
{
	*t = (struct server_tls){ NULL, NULL };
	*which = c->certificate;
	if ((t->certificate = read_file(c->certificate)) != NULL) {
		*which = c->key;
		if ((t->key = read_file(c->key)) != NULL)
			return SP_OK;
	}
	server_tls_wipe(t);
	return SP_EIO;
}

/* ---- connections and their time ---- */

static void
mark(struct server *s, struct conn *c, bool answering)
{
	pthread_mutex_lock(&s->lock);
	c->answering = answering;
	c->since_ms = clock_ms();
	pthread_mutex_unlock(&s->lock);
}

static struct conn *
conn_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *i = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return i != NULL ? i->socket_context : NULL;
}

static void
on_connection(void *arg, struct MHD_Connection *connection, void **context, enum MHD_ConnectionNotificationCode code)
{
	struct server *s = arg;
	struct conn *c = *context;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		const union MHD_ConnectionInfo *i = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

		c = xcalloc(1, sizeof(*c));
		c->fd = i->connect_fd;
		c->since_ms = clock_ms();
		pthread_mutex_lock(&s->lock);
		if ((c->next = s->conns) != NULL)
			c->next->prev = &c->next;
		c->prev = &s->conns;
		s->conns = c;
		pthread_mutex_unlock(&s->lock);
		*context = c;
		stats_move(PAGE_CONNECTIONS, 0, 0, 1);
	} else if (c != NULL) {
		stats_move(PAGE_CONNECTIONS, 0, 0, -1);
		/* the socket is closed after this call, so server_tick() never has the number of another */
		pthread_mutex_lock(&s->lock);
		if ((*c->prev = c->next) != NULL)
			c->next->prev = c->prev;
		pthread_mutex_unlock(&s->lock);
		free(c);
		*context = NULL;
	}
}

void
server_tick(struct server *s)
{
	uint64_t now = clock_ms(), request, response;

	pthread_rwlock_rdlock(&s->site->conf_lock);
	request = (uint64_t)s->site->conf->limits.request * 1000;
	response = (uint64_t)s->site->conf->limits.response * 1000;
	pthread_rwlock_unlock(&s->site->conf_lock);
	pthread_mutex_lock(&s->lock);
	for (struct conn *c = s->conns; c != NULL; c = c->next)
		if (now > c->since_ms + (c->answering ? response : request)) {
			if (!c->overdue && c->answering)
				stats_limit_hit(PAGE_RESPONSE_TIME);
			else if (!c->overdue)
				stats_limit_hit(PAGE_REQUEST_TIME);
			c->overdue = true;
			shutdown(c->fd, SHUT_RDWR);
		}
	pthread_mutex_unlock(&s->lock);
	if (s->old != NULL && now >= s->old_until) {
		MHD_stop_daemon(s->old);
		s->old = NULL;
	}
}

/* ---- a request ---- */

static void *
on_target(void *arg, const char *target, struct MHD_Connection *connection)
{
	struct incoming *in = xcalloc(1, sizeof(*in));

	(void)arg;
	(void)connection;
	in->target = xstrdup(target);	/* as long as limits.head at most */
	return in;
}

static void
on_completed(void *arg, struct MHD_Connection *connection, void **context, enum MHD_RequestTerminationCode code)
{
	struct server *s = arg;
	struct incoming *in = *context;
	struct conn *c = conn_of(connection);

	(void)code;
	if (c != NULL)
		mark(s, c, false);
	if (in == NULL)
		return;
	/* it may have had a password in it */
	if (in->body.p != NULL)
		mem_wipe(in->body.p, in->body.room);
	text_fini(&in->body);
	free(in->target);
	free(in);
	*context = NULL;
}

/*
 * What a proxy in front of us may read otherwise than the library does (RFC 9112 3.2, 5.1, 6.3): two hosts, two
 * lengths, a coding besides a length or one that nobody knows, a name with white space behind it.
 */
static enum MHD_Result
look_at_header(void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct incoming *in = arg;

	(void)kind;
	for (const unsigned char *p = (const unsigned char *)name; *p != '\0'; p++)
		if (*p <= ' ' || *p >= 0x7f)
			in->doubtful = "header";
	if (span_iis(span_str(name), "Host") && ++in->hosts > 1)
		in->doubtful = "Host";
	if (span_iis(span_str(name), "Content-Length") && ++in->lengths > 1)
		in->doubtful = "Content-Length";
	if (span_iis(span_str(name), "Transfer-Encoding") && (++in->codings > 1 || !span_iis(span_str(value), "chunked")))
		in->doubtful = "Transfer-Encoding";
	if (in->lengths != 0 && in->codings != 0)
		in->doubtful = "Transfer-Encoding";
	return MHD_YES;
}

static enum http_method
method_of(const char *name)
{
	for (int m = HTTP_GET; m <= HTTP_DELETE; m++)
		if (strcmp(name, http_method_name((enum http_method)m)) == 0)
			return (enum http_method)m;
	return HTTP_OTHER;
}

static struct span
header(struct MHD_Connection *connection, const char *name)
{
	return span_str(MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name));
}

static void
take_peer(struct MHD_Connection *connection, struct net_addr *out)
{
	const union MHD_ConnectionInfo *i = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *sa = i != NULL ? i->client_addr : NULL;

	memset(out, 0, sizeof(*out));
	if (sa == NULL)
		return;
	out->len = sa->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	memcpy(&out->ss, sa, out->len);
}

static void
security_headers(const struct site *site, struct MHD_Response *response)
{
	static const char *const headers[][2] = {
		{ "Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
		    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'" },
		{ "X-Content-Type-Options", "nosniff" },
		{ "X-Frame-Options", "DENY" },
		{ "Referrer-Policy", "no-referrer" },
		{ "Cross-Origin-Opener-Policy", "same-origin" },
		{ "Cross-Origin-Embedder-Policy", "require-corp" },
		{ "Cross-Origin-Resource-Policy", "same-origin" },
		{ "Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()" },
		{ "X-Robots-Tag", "noindex" }
	};

	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		MHD_add_response_header(response, headers[i][0], headers[i][1]);
	if (site->tls)
		MHD_add_response_header(response, "Strict-Transport-Security", "max-age=31536000");
}

/* Queue the reply, whose body becomes the response's. */
static enum MHD_Result
send_reply(struct server *s, struct MHD_Connection *connection, struct http_reply *r)
{
	struct MHD_Response *response;
	enum MHD_Result result;
	struct conn *c = conn_of(connection);

	response = MHD_create_response_from_buffer(r->body.n, r->body.p != NULL ? r->body.p : (void *)(uintptr_t)"",
	    r->body.p != NULL ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
	if (response == NULL)
		return MHD_NO;
	r->body.p = NULL;	/* handed over */
	security_headers(s->site, response);
	if (r->type != NULL)
		MHD_add_response_header(response, "Content-Type", r->type);
	MHD_add_response_header(response, "Cache-Control", r->cache != NULL ? r->cache : "no-store");
	for (size_t i = 0; i < r->nmore; i++)
		MHD_add_response_header(response, r->more[i].name, r->more[i].value);
	if (c != NULL)
		mark(s, c, true);
	result = MHD_queue_response(connection, (unsigned)r->status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result
answer(struct server *s, struct MHD_Connection *connection, const char *method, const struct incoming *in)
{
	struct http_request q = { .method = method_of(method), .target = in->target,
		.host = header(connection, "Host"), .origin = header(connection, "Origin"),
		.fetch_site = header(connection, "Sec-Fetch-Site"), .type = header(connection, "Content-Type"),
		.cookie = header(connection, "Cookie"), .authorization = header(connection, "Authorization"),
		.if_match = header(connection, "If-Match"), .if_none_match = header(connection, "If-None-Match"),
		.csrf_header = header(connection, "X-CSRF-Token"),
		.body = span_of(in->body.p, in->body.n), .body_too_large = in->too_large, .doubtful = in->doubtful };
	struct http_reply r;
	enum MHD_Result result;

	take_peer(connection, &q.from);
	site_answer(s->site, &q, &r);
	/* where the next request would begin is not known, or not worth waiting for */
	if ((in->too_large || in->doubtful != NULL) && r.nmore < REPLY_HEADERS)
		reply_header(&r, "Connection", "close");
	if (log_shows(SP_LOG_INFO)) {
		struct logrec l = log_begin(SP_LOG_INFO, "http");

		log_word(&l, "method", http_method_name(q.method));
		log_outside(&l, "target", span_str(in->target));
		log_int(&l, "status", r.status);
		log_word(&l, "from", q.source);
		if (q.account[0] != '\0')
			log_word(&l, "account", q.account);
		log_end(&l);
	}
	result = send_reply(s, connection, &r);
	reply_fini(&r);
	mem_wipe(q.session, sizeof(q.session));
	return result;
}

static enum MHD_Result
on_request(void *arg, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
    const char *data, size_t *n, void **context)
{
	struct server *s = arg;
	struct incoming *in = *context;
	uint64_t length;

	(void)url;
	(void)version;
	if (in == NULL)
		return MHD_NO;
	if (!in->begun) {
		size_t limit = site_body_limit(s->site, method_of(method), in->target);

		in->begun = true;
		text_init(&in->body, limit);
		MHD_get_connection_values(connection, MHD_HEADER_KIND, look_at_header, in);
		if (in->doubtful != NULL)
			return answer(s, connection, method, in);
		/* what says that it is too large is refused before it is sent */
		if (span_uint(header(connection, "Content-Length"), UINT64_MAX, &length) && length > limit) {
			in->too_large = true;
			return answer(s, connection, method, in);
		}
		return MHD_YES;
	}
	if (*n != 0) {
		if (!in->too_large)
			text_add(&in->body, data, *n);
		in->too_large = in->body.failed;
		*n = 0;
		return MHD_YES;
	}
	return answer(s, connection, method, in);
}

/* ---- the daemon ---- */

static void
on_log(void *arg, const char *fmt, va_list ap)
{
	char text[512];

	(void)arg;
	if (!log_shows(SP_LOG_DEBUG))
		return;
	vsnprintf(text, sizeof(text), fmt, ap);
	text[strcspn(text, "\r\n")] = '\0';
	{
		struct logrec l = log_begin(SP_LOG_DEBUG, "http-library");

		log_outside(&l, "text", span_str(text));
		log_end(&l);
	}
}

static struct MHD_Daemon *
start(struct server *s, const struct server_tls *tls)
{
	const struct siteconf *c = s->site->conf;
	unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL | MHD_USE_ITC | MHD_USE_ERROR_LOG;
	struct MHD_OptionItem secure[] = {
		{ MHD_OPTION_HTTPS_MEM_CERT, 0, tls != NULL ? tls->certificate : NULL },
		{ MHD_OPTION_HTTPS_MEM_KEY, 0, tls != NULL ? tls->key : NULL },
		{ MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)PRIORITIES },
		{ MHD_OPTION_END, 0, NULL }
	};
	int fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 0);
	struct MHD_Daemon *d;

	if (fd < 0)
		return NULL;
	if (tls == NULL)
		secure[0].option = MHD_OPTION_END;
	else
		flags |= MHD_USE_TLS;
	d = MHD_start_daemon(flags, 0, NULL, NULL, on_request, s, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
	    MHD_OPTION_LISTEN_SOCKET, fd,
	    MHD_OPTION_THREAD_POOL_SIZE, (unsigned)c->limits.threads,
	    MHD_OPTION_CONNECTION_LIMIT, (unsigned)c->limits.connections,
	    MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)c->limits.per_address,
	    MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)c->limits.request,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)c->limits.head << 10,
	    MHD_OPTION_STRICT_FOR_CLIENT, 1,
	    MHD_OPTION_URI_LOG_CALLBACK, on_target, NULL,
	    MHD_OPTION_NOTIFY_COMPLETED, on_completed, s,
	    MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,
	    MHD_OPTION_ARRAY, secure, MHD_OPTION_END);
	if (d == NULL)
		close(fd);
	return d;
}

int
server_bind(const struct net_addr *a)
{
	int one = 1, keep, fd = socket(a->ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0 &&
	    (a->ss.ss_family != AF_INET6 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) == 0) &&
	    bind(fd, (const struct sockaddr *)&a->ss, a->len) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	keep = errno;
	close(fd);
	errno = keep;
	return -1;
}

struct server *
server_start(struct site *site, int fd, const struct server_tls *tls)
{
	struct server *s = xcalloc(1, sizeof(*s));

	s->site = site;
	s->fd = fd;
	pthread_mutex_init(&s->lock, NULL);
	if ((s->now = start(s, tls)) == NULL) {
		server_stop(s);
		return NULL;
	}
	return s;
}

bool
server_renew(struct server *s, const struct server_tls *tls)
{
	struct MHD_Daemon *fresh;
	int fd;

	if (s->old != NULL || (fresh = start(s, tls)) == NULL)
		return false;
	s->old = s->now;
	s->now = fresh;
	s->old_until = clock_ms() + OLD_MS;
	/* its listening socket is a duplicate; without it the daemon goes on with the connections that it has */
	if ((fd = MHD_quiesce_daemon(s->old)) >= 0)
		close(fd);
	return true;
}

void
server_stop(struct server *s)
{
	if (s == NULL)
		return;
	if (s->old != NULL)
		MHD_stop_daemon(s->old);
	if (s->now != NULL)
		MHD_stop_daemon(s->now);
	if (s->fd >= 0)
		close(s->fd);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
