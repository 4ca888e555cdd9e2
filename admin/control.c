/*
 * admin/control.c - see control.h: the socket, its clients, their requests.
 */
#include "admin/control.h"

#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "admin/control_int.h"
#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "net/stats.h"

#define IN_ROOM		(FRAME_HEAD + FRAME_MAX)
#define ACCEPT_BATCH	16
#define STARVED_MS	1000
#define TELL_EVERY_MS	10000
#define CUT_EVERY_MS	1000
#define STUCK_MS	1000	/* an answer that nobody takes: its client may make room for another */
#define GROUPS_MAX	65536	/* of one process; the kernel's own limit */
#define NOBODY		((gid_t)-1)

static void client_work(struct net_task *);

/* ---- clients ---- */

static void
request_free(struct control_request *r)
{
	if (r->gather != NULL)
		control_gather_abandon(r->gather);
	if (r->fd != -1)
		close(r->fd);
	r->client->request = NULL;
	free(r->bytes);
	free(r);
}

static void
keep_spare(struct control *c)
{
	if (c->spare == -1)
		c->spare = fcntl(c->door.fd, F_DUPFD_CLOEXEC, 0);
}

static void
client_close(struct control_client *cl)
{
	struct control *c = cl->c;
	struct net_loop *loop = c->worker->loop;

	if (cl->request != NULL) {
		if (cl->request->gone != NULL)
			cl->request->gone(cl->request, cl->request->gone_arg);
		request_free(cl->request);
	}
	net_timer_cancel(loop, &cl->timer);
	net_task_cancel(loop, &cl->work);
	net_io_remove(loop, &cl->io);
	close(cl->io.fd);
	if (cl->fd != -1)
		close(cl->fd);
	keep_spare(c);
	if ((*cl->prev = cl->next) != NULL)
		cl->next->prev = cl->prev;
	c->nclients--;
	free(cl->in);
	free(cl->out);
	free(cl);
}

/* Rude: closed, and said, but not more often than somebody may want to read. */
static void
client_cut(struct control_client *cl, const char *why)
{
	struct control *c = cl->c;
	uint64_t ms = clock_ms();
	struct logrec r;

	c->cuts++;
	if (c->cut_told_at == 0 || ms >= c->cut_told_at + CUT_EVERY_MS) {
		r = log_begin(SP_LOG_INFO, "control-cut");
		log_uint(&r, "uid", cl->uid);
		log_uint(&r, "pid", (uint64_t)cl->pid);
		log_uint(&r, "times", c->cuts);
		log_text(&r, "why", why);
		log_end(&r);
		c->cut_told_at = ms;
		c->cuts = 0;
	}
	client_close(cl);
}

static void
deadline_passed(struct net_timer *t)
{
	struct control_client *cl = (struct control_client *)((char *)t - offsetof(struct control_client, timer));

	switch (cl->deadline) {
	case DEADLINE_HALF:
		client_cut(cl, "a request was begun and not finished in time");
		break;
	case DEADLINE_SLOW:
		client_cut(cl, "it does not take its answer");
		break;
	default:
		client_close(cl);
	}
}

static void
set_deadline(struct control_client *cl, enum control_deadline kind, bool again)
{
	if (cl->deadline == kind && !again)
		return;
	cl->deadline = kind;
	if (kind == DEADLINE_NONE)
		net_timer_cancel(cl->c->worker->loop, &cl->timer);
	else
		net_timer_set(cl->c->worker->loop, &cl->timer, cl->c->ms[kind]);
}

/* What the loop is to tell, and how long we wait: both follow from what there is to do. */
static void
client_watch(struct control_client *cl, bool progress)
{
	bool owes = cl->out_len != 0, asks = cl->request != NULL;

	net_io_want(cl->c->worker->loop, &cl->io, (owes ? NET_WRITE : 0) | (asks || owes ? 0 : NET_READ));
	if (owes)
		set_deadline(cl, DEADLINE_SLOW, progress);
	else if (asks)
		set_deadline(cl, DEADLINE_NONE, false);
	else
		set_deadline(cl, cl->in_len != 0 ? DEADLINE_HALF : DEADLINE_IDLE, false);
}

/* ---- what goes out ---- */

/* Room for n bytes more within max; NULL: there is none. */
static unsigned char *
out_reserve(struct control_client *cl, size_t n, size_t max)
{
	size_t want = cl->out_len + n;

	if (want > max)
		return NULL;
	if (cl->out_from != 0 && cl->out_from + want > cl->out_room) {
		memmove(cl->out, cl->out + cl->out_from, cl->out_len);
		cl->out_from = 0;
	}
	if (want > cl->out_room) {
		cl->out_room = want < 4096 ? 4096 : want * 2 < max ? want * 2 : max;
		cl->out = xrealloc(cl->out, cl->out_room);
	}
	return cl->out + cl->out_from + cl->out_len;
}

static bool
send_frame(struct control_request *r, enum record_frame type, struct span body, size_t max)
{
	struct control_client *cl = r->client;
	struct frame f = { .type = (uint16_t)type, .tag = r->tag, .len = body.n, .body = (const unsigned char *)body.p };
	unsigned char *p = out_reserve(cl, FRAME_HEAD + body.n, max);

	if (p == NULL)
		return false;
	cl->out_len += frame_format(&f, p);
	net_task_queue(cl->c->worker->loop, &cl->work);
	return true;
}

/* False: it is gone. */
static bool
flush(struct control_client *cl, bool *progress)
{
	while (cl->out_len != 0) {
		ssize_t n = send(cl->io.fd, cl->out + cl->out_from, cl->out_len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == ENOBUFS))
			return true;
		if (n <= 0)
			return false;
		*progress = true;
		cl->out_from += (size_t)n;
		cl->out_len -= (size_t)n;
	}
	/* An idle client keeps no megabytes. */
	free(cl->out);
	cl->out = NULL;
	cl->out_from = cl->out_room = 0;
	return true;
}

bool
control_put_bytes(struct control_request *r, struct span record)
{
	if (record.n <= RECORD_MAX && send_frame(r, RECORD_FRAME_RECORD, record, CONTROL_QUEUE_MAX - CONTROL_END_ROOM))
		return true;
	r->cut = true;
	return false;
}

bool
control_put(struct control_request *r, const struct record_writer *w)
{
	if (record_ok(w))
		return control_put_bytes(r, record_written(w));
	r->cut = true;
	return false;
}

void
control_cut(struct control_request *r)
{
	r->cut = true;
}

size_t
control_room(const struct control_request *r)
{
	size_t max = CONTROL_QUEUE_MAX - CONTROL_END_ROOM;

	return r->client->out_len < max ? max - r->client->out_len : 0;
}

void
control_end(struct control_request *r, int status, const char *fmt, ...)
{
	unsigned char body[CONTROL_END_ROOM - FRAME_HEAD];
	char why[512] = "";
	struct frame_writer w;
	va_list ap;

	if (fmt != NULL) {
		va_start(ap, fmt);
		vsnprintf(why, sizeof(why), fmt, ap);
		va_end(ap);
	}
	frame_writer_init(&w, body, sizeof(body));
	frame_put_u8(&w, (uint8_t)status);
	frame_put_u8(&w, r->cut);
	frame_put_text(&w, why, strlen(why));
	send_frame(r, RECORD_FRAME_END, span_of((const char *)body, w.len), CONTROL_QUEUE_MAX);
	request_free(r);
}

void
control_on_gone(struct control_request *r, void (*fn)(struct control_request *, void *arg), void *arg)
{
	r->gone = fn;
	r->gone_arg = arg;
}

void *
control_kept(const struct control_request *r)
{
	return r->gone_arg;
}

/* ---- a request ---- */

void *
control_owner(const struct control_request *r)
{
	return r->client->c->owner;
}

const struct daemon_acts *
control_acts(const struct control_request *r)
{
	return r->client->c->acts;
}

struct control *
control_of(const struct control_request *r)
{
	return r->client->c;
}

struct net_loop *
control_loop(const struct control *c)
{
	return c->worker->loop;
}

const struct record *
control_args(const struct control_request *r)
{
	return &r->args;
}

struct span
control_text(const struct control_request *r, const char *name)
{
	return record_get_text(&r->args, name);
}

int64_t
control_int(const struct control_request *r, const char *name, int64_t dflt)
{
	return record_get_int(&r->args, name, dflt);
}

int
control_fd(const struct control_request *r)
{
	return r->fd;
}

int
control_take_fd(struct control_request *r)
{
	int fd = r->fd;

	r->fd = -1;
	return fd;
}

uid_t
control_uid(const struct control_request *r)
{
	return r->client->uid;
}

pid_t
control_pid(const struct control_request *r)
{
	return r->client->pid;
}

bool
control_may_change(const struct control_request *r)
{
	return r->client->may_change;
}

static const struct control_verb verbs_verb;

static const struct control_verb *
find_verb(const struct control *c, struct span name)
{
	for (const struct control_verb *const *t = c->verbs; *t != NULL; t++)
		for (const struct control_verb *v = *t; v->name != NULL; v++)
			if (span_is(name, v->name))
				return v;
	return span_is(name, verbs_verb.name) ? &verbs_verb : NULL;
}

static const struct control_arg *
find_arg(const struct control_verb *v, struct span name)
{
	for (const struct control_arg *a = v->args; a != NULL && a->name != NULL; a++)
		if (span_is(name, a->name))
			return a;
	return NULL;
}

/* Are the arguments those of the verb? If not, the request is ended. Names are checked words, so they may be printed. */
static bool
args_are_good(struct control_request *r)
{
	const struct control_verb *v = r->verb;
	struct record_field f, first;
	char name[RECORD_NAME_MAX + 1];
	size_t at = 0, before = 0;

	for (; record_next(&r->args, &at, &f); before = at) {
		const struct control_arg *a = find_arg(v, f.name);
		size_t k = 0;

		snprintf(name, sizeof(name), "%.*s", SPAN_FMT(f.name));
		if (a == NULL) {
			control_end(r, EX_USAGE, "%s takes no argument \"%s\"", v->name, name);
			return false;
		}
		if (a->type != f.type) {
			control_end(r, EX_USAGE, "%s: argument \"%s\" is of the wrong type", v->name, name);
			return false;
		}
		while (f.type != RECORD_ITEM && k < before && record_next(&r->args, &k, &first))
			if (span_eq(first.name, f.name)) {
				control_end(r, EX_USAGE, "%s: argument \"%s\" is given twice", v->name, name);
				return false;
			}
	}
	for (const struct control_arg *a = v->args; a != NULL && a->name != NULL; a++)
		if (a->required && !record_find(&r->args, a->name, &f)) {
			control_end(r, EX_USAGE, "%s needs the argument \"%s\"", v->name, a->name);
			return false;
		}
	return true;
}

static void
log_change(const struct control_request *r)
{
	struct logrec rec = log_begin(SP_LOG_NOTICE, "control");

	log_word(&rec, "request", r->verb->name);
	log_uint(&rec, "uid", r->client->uid);
	log_uint(&rec, "pid", (uint64_t)r->client->pid);
	log_end(&rec);
}

static void
request_run(struct control_request *r)
{
	char name[RECORD_NAME_MAX + 1];

	snprintf(name, sizeof(name), "%.*s", SPAN_FMT(r->args.kind));
	if ((r->verb = find_verb(r->client->c, r->args.kind)) == NULL) {
		control_end(r, EX_UNAVAILABLE, "this daemon knows no request \"%s\"", name);
		return;
	}
	if (r->verb->right == CONTROL_CHANGE && !r->client->may_change) {
		control_end(r, EX_NOPERM, "your account may look, but \"%s\" changes something", name);
		return;
	}
	if (r->fd != -1 && !r->verb->takes_fd) {
		control_end(r, EX_USAGE, "%s takes no file", name);
		return;
	}
	if (!args_are_good(r))
		return;
	if (r->verb->right == CONTROL_CHANGE)
		log_change(r);
	r->verb->run(r);
}

/* The frame begins a request. False: it is wrong. */
static bool
request_begin(struct control_client *cl, const struct frame *f)
{
	struct control_request *r;

	if (f->type != RECORD_FRAME_ASK || f->len < 1)
		return false;
	r = xcalloc(1, sizeof(*r));
	r->client = cl;
	r->tag = f->tag;
	r->fd = cl->fd;
	cl->fd = -1;
	cl->request = r;
	r->bytes = xmalloc(f->len);
	memcpy(r->bytes, f->body, f->len);
	if (f->body[0] != RECORD_VERSION) {
		control_end(r, EX_PROTOCOL, "this daemon speaks version %d of the protocol; sallyportctl is from another "
		    "release", RECORD_VERSION);
		return true;
	}
	if (!record_parse(&r->args, span_of((const char *)r->bytes + 1, f->len - 1))) {
		request_free(r);
		return false;
	}
	request_run(r);
	return true;
}

/* Send what is owed; take the next request if there is one and none is under way. */
static void
client_work(struct net_task *t)
{
	struct control_client *cl = (struct control_client *)((char *)t - offsetof(struct control_client, work));
	bool progress = false;
	struct frame f;
	ssize_t used;

	if (!flush(cl, &progress)) {
		client_close(cl);
		return;
	}
	if (progress)
		cl->busy_at = clock_ms();
	if (cl->request == NULL && cl->out_len == 0 && (used = frame_parse(cl->in, cl->in_len, &f)) != 0) {
		if (used < 0 || !request_begin(cl, &f)) {
			client_cut(cl, "it sent a wrong frame");
			return;
		}
		cl->in_len -= (size_t)used;
		memmove(cl->in, cl->in + used, cl->in_len);
		set_deadline(cl, DEADLINE_NONE, false);	/* what is left is a new request's beginning */
		net_task_queue(cl->c->worker->loop, &cl->work);
	}
	client_watch(cl, progress);
}

/* Descriptors that came with the bytes: at most one for a request. False: more than that. */
static bool
take_fds(struct control_client *cl, struct msghdr *m)
{
	bool good = (m->msg_flags & MSG_CTRUNC) == 0;

	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h != NULL; h = CMSG_NXTHDR(m, h)) {
		size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof(int));
			if (cl->fd == -1 && good) {
				cl->fd = fd;
			} else {
				close(fd);
				good = false;
			}
		}
	}
	return good;
}

static void
client_read(struct control_client *cl)
{
	union {
		struct cmsghdr	 align;
		char		 room[CMSG_SPACE(sizeof(int) * 4)];
	} control;
	struct iovec iov = { cl->in + cl->in_len, IN_ROOM - cl->in_len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	ssize_t n;

	if (iov.iov_len == 0)
		return;
	n = recvmsg(cl->io.fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0 && !take_fds(cl, &m)) {
		client_cut(cl, "it sent more than one file");
		return;
	}
	if (n <= 0) {
		client_close(cl);
		return;
	}
	cl->in_len += (size_t)n;
	cl->busy_at = clock_ms();
	net_task_queue(cl->c->worker->loop, &cl->work);
}

static void
client_ready(struct net_io *io, unsigned events)
{
	struct control_client *cl = (struct control_client *)((char *)io - offsetof(struct control_client, io));

	if ((events & NET_READ) != 0 && (io->want & NET_READ) != 0)
		client_read(cl);	/* end of file included */
	else if ((events & NET_HUP) != 0)
		client_close(cl);
	else if ((events & NET_WRITE) != 0)
		net_task_queue(cl->c->worker->loop, &cl->work);
}

/* ---- who comes ---- */

/* Does the process at the far end belong to a group? As it was when it connected. */
static bool
peer_is_in(int fd, const struct ucred *who, gid_t gid)
{
	socklen_t len = 64 * sizeof(gid_t);
	gid_t *groups;
	bool in = false;
	int rc;

	if (gid == NOBODY)
		return false;
	if (who->gid == gid)
		return true;
	groups = xmalloc(len);
	if ((rc = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len)) == -1 && errno == ERANGE &&
	    len <= GROUPS_MAX * sizeof(gid_t)) {
		groups = xrealloc(groups, len);
		rc = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len);
	}
	for (size_t i = 0; rc == 0 && i < len / sizeof(gid_t); i++)
		in = in || groups[i] == gid;
	free(groups);
	return in;
}

/* It only sits there: no request, or an answer that it does not take. */
static bool
is_idle(const struct control_client *cl, uint64_t now)
{
	return cl->out_len != 0 ? now > cl->busy_at + STUCK_MS : cl->request == NULL;
}

/* Of the clients who only sit there (of that account, or NULL: any), who was busy last the longest ago. */
static struct control_client *
idlest(struct control *c, const uid_t *uid, bool ours_too)
{
	struct control_client *found = NULL;
	uint64_t now = clock_ms();

	for (struct control_client *cl = c->clients; cl != NULL; cl = cl->next)
		if (is_idle(cl, now) && (uid == NULL || cl->uid == *uid) &&
		    (ours_too || !cl->is_ours) && (found == NULL || cl->busy_at < found->busy_at))
			found = cl;
	return found;
}

/* One more of that account: is there a place, if need be that of somebody who only sits there? */
static bool
make_room(struct control *c, uid_t uid, bool ours)
{
	struct control_client *out = NULL;
	unsigned mine = 0;

	for (struct control_client *cl = c->clients; cl != NULL; cl = cl->next)
		mine += cl->uid == uid;
	if (!ours && mine >= CONTROL_PER_ACCOUNT)
		out = idlest(c, &uid, false);
	else if (c->nclients < CONTROL_CLIENTS)
		return true;
	else if ((out = idlest(c, NULL, false)) == NULL && ours)
		out = idlest(c, NULL, true);
	if (out == NULL)
		return false;
	client_close(out);
	return true;
}

/* Nobody may fill the log by knocking. */
static void
tell_strangers(struct control *c, uid_t uid, const char *why)
{
	uint64_t ms = clock_ms();
	struct logrec r;

	c->strangers++;
	if (c->told_at != 0 && ms < c->told_at + TELL_EVERY_MS)
		return;
	r = log_begin(SP_LOG_NOTICE, "control-refused");
	log_uint(&r, "uid", uid);
	log_uint(&r, "times", c->strangers);
	log_text(&r, "why", why);
	log_end(&r);
	c->told_at = ms;
	c->strangers = 0;
}

/* What is sent to a fresh socket fits; if it does not, whoever it is learns that much less. */
static void
turn_away(int fd, int status, const char *why)
{
	unsigned char body[256], out[FRAME_HEAD + sizeof(body)];
	struct frame_writer w;
	struct frame f;
	size_t n;

	frame_writer_init(&w, body, sizeof(body));
	frame_put_u8(&w, (uint8_t)status);
	frame_put_u8(&w, 0);
	frame_put_text(&w, why, strlen(why));
	f = (struct frame){ .type = RECORD_FRAME_END, .len = w.len, .body = body };
	n = frame_format(&f, out);
	if (!w.failed)
		(void)send(fd, out, n, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
}

static void
client_new(struct control *c, int fd)
{
	struct control_client *cl;
	struct ucred who;
	socklen_t len = sizeof(who);
	bool ours, change;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == -1) {
		close(fd);
		return;
	}
	ours = who.uid == 0 || who.uid == c->uid;
	change = ours || peer_is_in(fd, &who, c->change_gid);
	if (!change && !peer_is_in(fd, &who, c->read_gid)) {
		tell_strangers(c, who.uid, "that account is in neither control.group nor control.operators");
		turn_away(fd, EX_NOPERM, "your account may not ask this daemon: become root, or a member of its control.group or "
		    "control.operators");
		return;
	}
	if (!make_room(c, who.uid, ours)) {
		stats_limit_hit(CONTROL_CLIENTS);
		tell_strangers(c, who.uid, "too many clients are being served");
		turn_away(fd, EX_TEMPFAIL, "the daemon serves as many clients as it can; try again");
		return;
	}
	cl = xcalloc(1, sizeof(*cl));
	*cl = (struct control_client){ .c = c, .uid = who.uid, .pid = who.pid, .may_change = change, .is_ours = ours,
	    .fd = -1, .busy_at = clock_ms() };
	cl->io.fd = fd;
	cl->io.ready = client_ready;
	cl->timer.fire = deadline_passed;
	cl->work.run = client_work;
	if (net_io_add(c->worker->loop, &cl->io, NET_READ) != SP_OK) {
		close(fd);
		free(cl);
		return;
	}
	cl->in = xmalloc(IN_ROOM);
	if ((cl->next = c->clients) != NULL)
		cl->next->prev = &cl->next;
	cl->prev = &c->clients;
	c->clients = cl;
	c->nclients++;
	client_watch(cl, false);
}

/* When outsiders have taken all descriptors, the administrator wants to know, and has the one that was kept. */
static int
accept_one(struct control *c)
{
	int fd = accept4(c->door.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd == -1 && errno == EMFILE && c->spare != -1) {
		close(c->spare);
		c->spare = -1;
		fd = accept4(c->door.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	}
	return fd;
}

static void
door_ready(struct net_io *io, unsigned events)
{
	struct control *c = (struct control *)((char *)io - offsetof(struct control, door));

	(void)events;
	keep_spare(c);
	for (int i = 0; i < ACCEPT_BATCH; i++) {
		int fd = accept_one(c);

		if (fd != -1) {
			client_new(c, fd);
		} else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
			/* whoever waits, waits; turning in circles would help nobody */
			net_io_want(c->worker->loop, io, 0);
			net_timer_set(c->worker->loop, &c->starved, STARVED_MS);
			return;
		} else if (errno != ECONNABORTED && errno != EINTR) {
			return;
		}
	}
}

static void
starved_over(struct net_timer *t)
{
	struct control *c = (struct control *)((char *)t - offsetof(struct control, starved));

	keep_spare(c);
	net_io_want(c->worker->loop, &c->door, NET_READ);
}

/* ---- the table, as an answer ---- */

static void
put_verb(struct control_request *r, const struct control_verb *v)
{
	unsigned char room[RECORD_SMALL];
	struct record_writer w;

	record_begin(&w, room, sizeof(room), "request");
	record_str(&w, "name", v->name);
	record_str(&w, "right", v->right == CONTROL_READ ? "read" : "change");
	for (const struct control_arg *a = v->args; a != NULL && a->name != NULL; a++)
		record_item(&w, "arguments", span_str(a->name));
	record_bool(&w, "file", v->takes_fd);
	control_put(r, &w);
}

static void
run_verbs(struct control_request *r)
{
	for (const struct control_verb *const *t = r->client->c->verbs; *t != NULL; t++)
		for (const struct control_verb *v = *t; v->name != NULL; v++)
			put_verb(r, v);
	put_verb(r, &verbs_verb);
	control_end(r, EX_OK, NULL);
}

static const struct control_verb verbs_verb = { .name = "verbs", .right = CONTROL_READ, .run = run_verbs };

/* ---- the socket ---- */

bool
control_knows_group(const char *group)
{
	return getgrnam(group) != NULL;
}

static gid_t
gid_of(const char *name, const char *option)
{
	const struct group *g;

	if (name == NULL || name[0] == '\0')
		return NOBODY;
	if ((g = getgrnam(name)) != NULL)
		return g->gr_gid;
	log_say(SP_LOG_WARNING, "control-group", "%s: this machine has no group \"%s\", so nobody has rights by it",
	    option, name);
	return NOBODY;
}

static void
make_directory(const char *path, uid_t uid)
{
	char *dir = xstrdup(path), *slash = strrchr(dir, '/');

	if (slash != NULL && slash != dir) {
		*slash = '\0';
		if (mkdir(dir, 0755) == -1) {
			if (errno != EEXIST)
				log_say(SP_LOG_WARNING, "control-socket", "the directory %s cannot be made: %s; make it, owned by the "
				    "account of this daemon, or set control.socket to another path, and start again", dir, strerror(errno));
		} else if (geteuid() == 0 && chown(dir, uid, (gid_t)-1) == -1) {
			log_say(SP_LOG_WARNING, "control-socket", "%s: %s", dir, strerror(errno));
		}
	}
	free(dir);
}

/* Somebody's socket is there. True: nobody listens on it any more, and it is gone now. */
static bool
remove_stale(const struct sockaddr_un *sun)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), rc;
	struct stat st;

	if (fd == -1 || lstat(sun->sun_path, &st) == -1 || !S_ISSOCK(st.st_mode)) {
		if (fd != -1)
			close(fd);
		errno = EEXIST;
		return false;
	}
	rc = connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) == -1 ? errno : 0;
	close(fd);
	if (rc == ECONNREFUSED)
		return unlink(sun->sun_path) == 0;
	errno = EADDRINUSE;
	return false;
}

static bool
has_two_groups(const struct control *c)
{
	return c->read_gid != NOBODY && c->change_gid != NOBODY && c->read_gid != c->change_gid;
}

/* No wider than who may ask. With two groups the file is open to all, and who is in neither is turned away at once. */
static mode_t
mode_of(const struct control *c)
{
	return has_two_groups(c) ? 0666 : c->read_gid != NOBODY || c->change_gid != NOBODY ? 0660 : 0600;
}

/* The group that the file is for; NOBODY: nobody's, or it is open to all. */
static gid_t
group_of(const struct control *c)
{
	return has_two_groups(c) ? NOBODY : c->read_gid != NOBODY ? c->read_gid : c->change_gid;
}

/* Bind it, with the group that it is for. -1: errno. */
static int
bind_for_group(const struct control *c, int fd, const struct sockaddr_un *sun)
{
	gid_t gid = group_of(c), was = 0;
	int rc, error;

	if (geteuid() == 0 && gid != NOBODY)
		was = (gid_t)setfsgid(gid);
	rc = bind(fd, (const struct sockaddr *)sun, sizeof(*sun));
	error = errno;
	if (geteuid() == 0 && gid != NOBODY)
		(void)setfsgid(was);
	errno = error;
	return rc;
}

/*
 * It has another group than it is for: this process lacks CAP_SETGID, or is not root and not in that group, or the
 * directory gives its own group to what is made there. Nobody's members get in by mistake: it is closed to all groups.
 */
static void
close_to_groups(const struct control *c, int file, gid_t has)
{
	char self[64];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", file);
	log_say(SP_LOG_ERROR, "control-socket-group", "%s has the group %u and not %u, as control.group or control.operators says, "
	    "so only root and this daemon's account can ask it%s; give the daemon CAP_SETGID, or its account that group, let "
	    "the directory have no set-group-ID bit, and start again", c->path, (unsigned)has, (unsigned)group_of(c),
	    chmod(self, 0600) == 0 ? "" : " (and whoever is in that group is turned away)");
}

/*
 * Owner and group, looked at afterwards. The directory may be that account's: what lies there by now instead of the
 * socket is not touched. False: errno.
 */
static bool
set_owner(struct control *c)
{
	int file = open(c->path, O_PATH | O_NOFOLLOW | O_CLOEXEC), error;
	gid_t gid = group_of(c);
	struct stat st;

	if (file == -1)
		return false;
	if (fstat(file, &st) == -1 || !S_ISSOCK(st.st_mode)) {
		error = EEXIST;
		goto bad;
	}
	/* a root that may not give files away keeps it: the group is what counts, and that it has from its beginning */
	if (geteuid() == 0 && fchownat(file, "", c->uid, (gid_t)-1, AT_EMPTY_PATH) == -1 && errno != EPERM) {
		error = errno;
		goto bad;
	}
	/* who is not root may give it to a group that it is in itself */
	if (gid != NOBODY && st.st_gid != gid && (fchownat(file, "", (uid_t)-1, gid, AT_EMPTY_PATH) == -1 ||
	    fstat(file, &st) == -1 || st.st_gid != gid))
		close_to_groups(c, file, st.st_gid);
	c->dev = st.st_dev;
	c->ino = st.st_ino;
	close(file);
	return true;
 bad:
	close(file);
	errno = error;
	return false;
}

static int
bind_socket(struct control *c)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	mode_t mask;
	int fd, rc;

	if (strlen(c->path) >= sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(sun.sun_path, c->path, strlen(c->path));
	make_directory(c->path, c->uid);
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) == -1)
		return -1;
	mask = umask(0777 & ~mode_of(c));	/* a socket is made with all rights, and chmod() would follow a link */
	rc = bind_for_group(c, fd, &sun);
	if (rc == -1 && errno == EADDRINUSE && remove_stale(&sun))
		rc = bind_for_group(c, fd, &sun);
	umask(mask);
	if (rc == -1 || !set_owner(c) || listen(fd, 64) == -1) {
		rc = errno;
		close(fd);
		errno = rc;
		return -1;
	}
	return fd;
}

struct control *
control_new(const struct control_setup *s)
{
	struct control *c = xcalloc(1, sizeof(*c));
	const struct passwd *pw;

	c->door.fd = c->spare = -1;
	c->owner = s->owner;
	c->acts = s->acts;
	c->crew = s->crew;
	c->verbs = s->verbs;
	c->leaves_file = s->leaves_file;
	c->uid = geteuid();
	c->ms[DEADLINE_IDLE] = s->idle_ms != 0 ? s->idle_ms : CONTROL_IDLE_MS;
	c->ms[DEADLINE_HALF] = s->half_ms != 0 ? s->half_ms : CONTROL_HALF_MS;
	c->ms[DEADLINE_SLOW] = s->slow_ms != 0 ? s->slow_ms : CONTROL_SLOW_MS;
	c->answer_ms = s->answer_ms != 0 ? s->answer_ms : CONTROL_ANSWER_MS;
	pthread_mutex_init(&c->lock, NULL);
	c->main_last = &c->main_first;
	if (s->path == NULL || s->path[0] == '\0')
		return c;
	c->path = xstrdup(s->path);
	if (c->uid == 0 && s->user != NULL && s->user[0] != '\0' && (pw = getpwnam(s->user)) != NULL)
		c->uid = pw->pw_uid;
	c->read_gid = gid_of(s->group, "control.group");
	c->change_gid = gid_of(s->operators, "control.operators");
	if ((c->door.fd = bind_socket(c)) == -1)
		log_say(SP_LOG_WARNING, "control-socket", "%s: %s; sallyportctl cannot ask this daemon", c->path,
		    errno == EADDRINUSE ? "another daemon has it, and this one needs a control.socket of its own" :
		    errno == EEXIST ? "there is a file of that name that is no socket" : strerror(errno));
	return c;
}

static void *
thread_main(void *arg)
{
	struct control *c = arg;

	net_loop_run(c->worker->loop);
	return NULL;
}

static void
deliver_stop(struct net_worker *w, struct net_mail *m)
{
	(void)m;		/* embedded */
	net_loop_stop(w->loop);
}

/* Signals are the main thread's, except those that a thread causes itself. */
static void
thread_signals(sigset_t *set)
{
	static const int own[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGTRAP };

	sigfillset(set);
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		sigdelset(set, own[i]);
}

void
control_start(struct control *c)
{
	sigset_t block, was;
	int error;

	if (c->door.fd == -1)
		return;
	c->main_thread = pthread_self();
	c->door.ready = door_ready;
	c->starved.fire = starved_over;
	c->stop.deliver = deliver_stop;
	if ((c->worker = net_worker_solo()) == NULL ||
	    net_io_add(c->worker->loop, &c->door, NET_READ) != SP_OK) {
		log_say(SP_LOG_ERROR, "control-socket", "%s: no event loop for it", c->path);
		return;
	}
	keep_spare(c);
	thread_signals(&block);
	pthread_sigmask(SIG_SETMASK, &block, &was);
	error = pthread_create(&c->thread, NULL, thread_main, c);
	pthread_sigmask(SIG_SETMASK, &was, NULL);
	if (error != 0) {
		log_say(SP_LOG_ERROR, "control-socket", "%s: %s", c->path, strerror(error));
		return;
	}
	pthread_setname_np(c->thread, "control");
	c->running = true;
}

void
control_stop(struct control *c)
{
	if (c == NULL || !c->running)
		return;
	net_worker_post(c->worker, &c->stop);
	pthread_join(c->thread, NULL);
	c->running = false;
	while (c->clients != NULL) {
		bool progress = false;

		/* what is said already goes out, if that needs no waiting */
		(void)flush(c->clients, &progress);
		client_close(c->clients);
	}
	net_timer_cancel(c->worker->loop, &c->starved);
	net_io_remove(c->worker->loop, &c->door);
}

void
control_free(struct control *c)
{
	struct stat st;

	if (c == NULL)
		return;
	control_stop(c);
	control_gather_drop_main(c);
	if (c->spare != -1)
		close(c->spare);
	if (c->door.fd != -1) {
		close(c->door.fd);
		/* of a later daemon's socket we keep our hands off */
		if (!c->leaves_file && lstat(c->path, &st) == 0 && st.st_dev == c->dev && st.st_ino == c->ino)
			(void)unlink(c->path);
	}
	net_worker_solo_free(c->worker);
	pthread_mutex_destroy(&c->lock);
	free(c->path);
	free(c);
}

void
control_post(struct control *c, struct net_mail *m)
{
	net_worker_post(c->worker, m);
}
