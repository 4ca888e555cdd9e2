#define _GNU_SOURCE 1
#include "tests/bench/fan.h"
#include "tests/bench/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LINES_MAX	1024

struct watcher {
	void	*link;
	char	*contact;	/* address, without brackets */
	char	*to;		/* value of the registration's To */
	char	*routes;	/* its Path lines as Route lines */
};

static struct watcher *watchers;
static unsigned nwatchers, room;
static unsigned long serial;

static const char presence[] =
    "<?xml version=\"1.0\"?>\r\n"
    "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" "
    "entity=\"pres:watched@example.com\">\r\n"
    "<tuple id=\"t1\"><status><basic>open</basic></status>"
    "<contact priority=\"0.8\">sip:watched@example.com</contact>"
    "<note xml:lang=\"en\">In a meeting until three</note>"
    "<timestamp>2026-01-01T12:00:00Z</timestamp></tuple>\r\n"
    "</presence>\r\n";

/* The value of this line, if it is the header of that name. */
static const char *
value_of(const char *line, size_t len, const char *name, size_t *n)
{
	size_t skip = strlen(name);

	if (len < skip + 3 || line[skip] != ':' ||
	    strncasecmp(line, name, skip) != 0)
		return NULL;
	for (skip++; line[skip] == ' '; skip++)
		;
	*n = len - skip - 2;
	return line + skip;
}

static char *
copy(const char *p, size_t n)
{
	char *s = strndup(p, n);

	if (s == NULL)
		die("memory");
	return s;
}

static char *
bare_address(const char *p, size_t n)
{
	const char *open = memchr(p, '<', n), *close;

	if (open == NULL ||
	    (close = memchr(open, '>', (size_t)(p + n - open))) == NULL)
		return copy(p, n);
	return copy(open + 1, (size_t)(close - open - 1));
}

static void
note_line(struct watcher *w, const char *line, size_t len)
{
	char routes[LINES_MAX];
	const char *p;
	size_t n;

	if ((p = value_of(line, len, "Contact", &n)) != NULL &&
	    w->contact == NULL) {
		w->contact = bare_address(p, n);
	} else if ((p = value_of(line, len, "To", &n)) != NULL &&
	    w->to == NULL) {
		w->to = copy(p, n);
	} else if ((p = value_of(line, len, "Path", &n)) != NULL) {
		if ((size_t)snprintf(routes, sizeof(routes),
		    "%sRoute: %.*s\r\n", w->routes == NULL ? "" : w->routes,
		    (int)n, p) >= sizeof(routes))
			give_up("a Path of more than %d bytes", LINES_MAX);
		free(w->routes);
		w->routes = copy(routes, strlen(routes));
	}
}

void
fan_note(const char *p, size_t head, void *link)
{
	const char *line = memchr(p, '\n', head), *end = p + head - 2, *next;
	struct watcher *w;

	if (nwatchers == room) {
		room = room * 2 + 64;
		if ((watchers = realloc(watchers, room * sizeof(*w))) == NULL)
			die("memory");
	}
	w = &watchers[nwatchers];
	*w = (struct watcher){ .link = link };
	for (line++; line < end; line = next) {
		next = memchr(line, '\n', (size_t)(end - line));
		next = next == NULL ? end : next + 1;
		note_line(w, line, (size_t)(next - line));
	}
	if (w->contact == NULL || w->to == NULL)
		give_up("a REGISTER without Contact or To");
	nwatchers++;
}

unsigned
fan_users(void)
{
	return nwatchers;
}

void *
fan_link(unsigned n)
{
	return watchers[n].link;
}

void
fan_forget(const void *link)
{
	unsigned i;

	for (i = 0; i < nwatchers; i++)
		if (watchers[i].link == link)
			watchers[i].link = NULL;
}

char *
fan_write(unsigned n, char *out)
{
	const struct watcher *w = &watchers[n];
	int len;

	serial++;
	len = snprintf(out, FAN_NOTIFY_MAX,
	    "NOTIFY %s SIP/2.0\r\n"
	    "Via: SIP/2.0/TLS 127.0.0.1:5061;branch=z9hG4bKfan%lx\r\n"
	    "%s"
	    "Max-Forwards: 70\r\n"
	    "From: <sip:watched@example.com>;tag=fan\r\n"
	    "To: %s\r\n"
	    "Call-ID: fan%lx\r\n"
	    "CSeq: 1 NOTIFY\r\n"
	    "Contact: <sip:pool.int.example.com:5061;transport=tls>\r\n"
	    "Event: presence\r\n"
	    "Subscription-State: active;expires=3600\r\n"
	    "Content-Type: application/pidf+xml\r\n"
	    "Content-Length: %zu\r\n\r\n%s",
	    w->contact, serial, w->routes == NULL ? "" : w->routes, w->to,
	    serial, sizeof(presence) - 1, presence);
	if (len < 0 || len >= FAN_NOTIFY_MAX)
		give_up("a NOTIFY of more than %d bytes", FAN_NOTIFY_MAX);
	return out + len;
}
