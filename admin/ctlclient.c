/*
 * admin/ctlclient.c - see ctlclient.h.
 */
#include "admin/ctlclient.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/mem.h"

#define ROOM	(FRAME_HEAD + FRAME_MAX)

struct ctlclient {
	int			 fd;
	unsigned		 wait_ms;
	uint64_t		 tag;
	bool			 ended;		/* no request is under way */
	int			 status;
	bool			 cut;
	char			 why[1024];
	struct record_writer	 args;
	size_t			 from, len;	/* of in: bytes not looked at yet */
	unsigned char		 in[ROOM];
	unsigned char		 out[ROOM];	/* head, version, arguments */
};

struct ctlclient *
ctlclient_new(void)
{
	struct ctlclient *c = xcalloc(1, sizeof(*c));

	c->fd = -1;
	c->ended = true;
	c->wait_ms = CTLCLIENT_WAIT_MS;
	return c;
}

static void
shut(struct ctlclient *c)
{
	if (c->fd != -1)
		close(c->fd);
	c->fd = -1;
	c->ended = true;
	c->from = c->len = 0;
}

void
ctlclient_free(struct ctlclient *c)
{
	if (c != NULL)
		shut(c);
	free(c);
}

void
ctlclient_set_wait(struct ctlclient *c, unsigned ms)
{
	c->wait_ms = ms;
}

int
ctlclient_open(struct ctlclient *c, const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct timeval wait = { (time_t)(c->wait_ms / 1000), (suseconds_t)(c->wait_ms % 1000) * 1000 };
	int error;

	shut(c);
	if (path[0] == '\0' || strlen(path) >= sizeof(sun.sun_path))
		return SP_EINVAL;
	memcpy(sun.sun_path, path, strlen(path));
	if ((c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1)
		return SP_EIO;
	/* a daemon that hangs takes no connections; connect() waits for it, but not for longer than this */
	(void)setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	if (connect(c->fd, (struct sockaddr *)&sun, sizeof(sun)) == -1) {
		error = errno;
		shut(c);
		errno = error;
		return error == EAGAIN ? SP_ETIME : SP_EIO;
	}
	return SP_OK;
}

const char *
ctlclient_trouble(const char *path, int error)
{
	struct stat st;

	switch (error) {
	case ENOENT:
		return "no daemon listens there: it is not running, or its control.socket is another (--socket PATH)";
	case ECONNREFUSED:
		return stat(path, &st) == 0 && !S_ISSOCK(st.st_mode) ? "no daemon listens there: that is no socket" :
		    "no daemon listens there: it has ended, and is to be started (systemctl start sallyport-edge, or -director)";
	case EACCES:
	case EPERM:
		return "your account may not ask this daemon: become root, or a member of its control.group or control.operators";
	default:
		return strerror(error);
	}
}

void
ctlclient_adopt(struct ctlclient *c, int fd)
{
	shut(c);
	c->fd = fd;
}

bool
ctlclient_is_open(const struct ctlclient *c)
{
	return c->fd != -1;
}

int
ctlclient_fd(const struct ctlclient *c)
{
	return c->fd;
}

void
ctlclient_begin(struct ctlclient *c, const char *verb)
{
	c->out[FRAME_HEAD] = RECORD_VERSION;
	record_begin(&c->args, c->out + FRAME_HEAD + 1, RECORD_MAX, verb);
}

struct record_writer *
ctlclient_args(struct ctlclient *c)
{
	return &c->args;
}

/* Wait until the socket is ready for that. SP_OK, SP_ETIME, SP_EIO. */
static int
wait_for(struct ctlclient *c, short events, uint64_t until)
{
	struct pollfd p = { .fd = c->fd, .events = events };

	for (;;) {
		uint64_t now = clock_ms();
		int left = until == 0 ? -1 : now >= until ? 0 : (int)(until - now);
		int rc = poll(&p, 1, left);

		if (rc > 0)
			return SP_OK;
		if (rc == 0)
			return SP_ETIME;
		if (errno != EINTR)
			return SP_EIO;
	}
}

static uint64_t
deadline(const struct ctlclient *c)
{
	return c->wait_ms != 0 ? clock_ms() + c->wait_ms : 0;
}

static int
give_up(struct ctlclient *c, int err)
{
	int error = errno;

	shut(c);
	errno = error;
	return err;
}

static ssize_t
send_some(struct ctlclient *c, const unsigned char *p, size_t n, int fd)
{
	union {
		struct cmsghdr	 head;
		char		 room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { (void *)(uintptr_t)p, n };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd != -1) {
		memset(&control, 0, sizeof(control));
		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.head), &fd, sizeof(int));
	}
	return sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

int
ctlclient_send(struct ctlclient *c, int fd)
{
	struct frame f = { .type = RECORD_FRAME_ASK, .tag = ++c->tag, .len = c->args.w.len + 1, .body = c->out + FRAME_HEAD };
	uint64_t until = deadline(c);
	size_t n, at = 0;
	int err;

	if (c->fd == -1)
		return SP_ECLOSED;
	if (!record_ok(&c->args))
		return SP_ELIMIT;
	c->status = 0;
	c->cut = false;
	c->why[0] = '\0';
	n = frame_format(&f, c->out);
	while (at < n) {
		ssize_t sent = send_some(c, c->out + at, n - at, at == 0 ? fd : -1);

		if (sent > 0) {
			at += (size_t)sent;
			continue;
		}
		if (sent == -1 && errno == EINTR)
			continue;
		if (sent == -1 && errno == EAGAIN) {
			if ((err = wait_for(c, POLLOUT, until)) == SP_OK)
				continue;
			return give_up(c, err);
		}
		if (errno != EPIPE && errno != ECONNRESET)
			return give_up(c, SP_EIO);
		break;	/* it may have said why; if not, that is found next */
	}
	c->ended = false;
	return SP_OK;
}

/* More bytes into c->in. */
static int
receive(struct ctlclient *c, uint64_t until)
{
	ssize_t n;
	int err;

	if (c->from != 0) {
		memmove(c->in, c->in + c->from, c->len);
		c->from = 0;
	}
	for (;;) {
		n = recv(c->fd, c->in + c->len, ROOM - c->len, MSG_DONTWAIT);
		if (n > 0) {
			c->len += (size_t)n;
			return SP_OK;
		}
		if (n == 0 || errno == ECONNRESET)
			return SP_ECLOSED;
		if (errno == EAGAIN && (err = wait_for(c, POLLIN, until)) != SP_OK)
			return err;
		if (errno != EAGAIN && errno != EINTR)
			return SP_EIO;
	}
}

static bool
take_end(struct ctlclient *c, const struct frame *f)
{
	struct frame_reader r;
	const char *why;
	size_t n;

	frame_reader_init(&r, f);
	c->status = frame_u8(&r);
	c->cut = frame_u8(&r) != 0;
	why = frame_text(&r, &n);
	if (!frame_done(&r) || n >= sizeof(c->why))
		return false;
	memcpy(c->why, why, n);
	c->why[n] = '\0';
	c->ended = true;
	return true;
}

int
ctlclient_next(struct ctlclient *c, struct record *out)
{
	uint64_t until = deadline(c);
	struct frame f;
	ssize_t used;
	int err;

	if (c->ended)
		return c->fd != -1 ? 0 : SP_ECLOSED;
	while ((used = frame_parse(c->in + c->from, c->len, &f)) == 0)
		if ((err = receive(c, until)) != SP_OK)
			return give_up(c, err);
	/* tag 0: the daemon does not even want to hear what is asked */
	if (used < 0 || (f.tag != c->tag && (f.tag != 0 || f.type != RECORD_FRAME_END)))
		return give_up(c, SP_ESYNTAX);
	c->from += (size_t)used;
	c->len -= (size_t)used;
	if (f.type == RECORD_FRAME_RECORD && record_parse(out, span_of((const char *)f.body, f.len)))
		return 1;
	if (f.type == RECORD_FRAME_END && take_end(c, &f))
		return 0;
	return give_up(c, SP_ESYNTAX);
}

int
ctlclient_status(const struct ctlclient *c)
{
	return c->status;
}

const char *
ctlclient_why(const struct ctlclient *c)
{
	return c->why;
}

bool
ctlclient_was_cut(const struct ctlclient *c)
{
	return c->cut;
}
