/*
 * common/chan.c - see chan.h.
 */
#include "common/chan.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/mem.h"

int
chan_pair(int ends[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0 ? SP_OK : SP_EIO;
}

static int
failure(void)
{
	switch (errno) {
	case EAGAIN:
		return SP_ETIME;
	case EPIPE:
	case ECONNRESET:
	case ENOTCONN:
		return SP_ECLOSED;
	default:
		return SP_EIO;
	}
}

int
chan_send(int fd, const struct frame *f, const int *fds, unsigned nfds)
{
	unsigned char bytes[FRAME_HEAD + CHAN_BODY_MAX];
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(CHAN_FDS_MAX * sizeof(int))] = { 0 };
	struct iovec iov = { .iov_base = bytes };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (f->len > CHAN_BODY_MAX || nfds > CHAN_FDS_MAX) {
		errno = EMSGSIZE;
		return SP_EIO;
	}
	iov.iov_len = frame_format(f, bytes);
	if (nfds != 0) {
		struct cmsghdr *c;

		m.msg_control = control;
		m.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
	}
	do
		n = sendmsg(fd, &m, MSG_NOSIGNAL);
	while (n == -1 && errno == EINTR);
	return n == -1 ? failure() : SP_OK;
}

static void
take_fds(struct chan_msg *m, struct msghdr *h)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (m->nfds < CHAN_FDS_MAX)
				m->fds[m->nfds++] = fd;
			else
				close(fd);
		}
	}
}

int
chan_recv(int fd, struct chan_msg *m, unsigned max)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(CHAN_FDS_MAX * sizeof(int))];
	struct iovec iov = { .iov_base = m->bytes, .iov_len = sizeof(m->bytes) };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	ssize_t n;

	m->nfds = 0;
	m->filled = 0;
	do
		n = recvmsg(fd, &h, MSG_CMSG_CLOEXEC);
	while (n == -1 && errno == EINTR);
	if (n == -1)
		return failure();
	if (n == 0)
		return SP_ECLOSED;
	m->filled = (size_t)n;
	take_fds(m, &h);
	if ((h.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || frame_parse(m->bytes, m->filled, &m->f) != n || m->nfds > max) {
		chan_done(m);
		return SP_ESYNTAX;
	}
	return SP_OK;
}

int
chan_answer(int fd, uint64_t tag, struct chan_msg *m, unsigned max)
{
	int err;

	for (unsigned late = 0; late <= CHAN_LATE_MAX; late++) {
		if ((err = chan_recv(fd, m, max)) != SP_OK || m->f.tag == tag)
			return err;
		if (m->f.tag > tag)
			late = CHAN_LATE_MAX;
		chan_done(m);
	}
	return SP_ESYNTAX;
}

void
chan_done(struct chan_msg *m)
{
	for (unsigned i = 0; i < m->nfds; i++)
		if (m->fds[i] != -1)
			close(m->fds[i]);
	m->nfds = 0;
	mem_wipe(m->bytes, m->filled);
	m->filled = 0;
}

void
chan_patience(int fd, unsigned ms)
{
	const struct timeval tv = { (time_t)(ms / 1000), (suseconds_t)(ms % 1000) * 1000 };

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
}

int
chan_file(const char *name, struct span s)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING), e;

	if (fd == -1)
		return -1;
	while (s.n > 0) {
		ssize_t n = write(fd, s.p, s.n);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			goto bad;
		s = span_tail(s, (size_t)n);
	}
	/* the reader may trust that nothing changes under its hands */
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) == 0)
		return fd;
 bad:
	e = errno;
	close(fd);
	errno = e;
	return -1;
}

char *
chan_file_read(int fd, size_t max, size_t *n)
{
	int seals = fcntl(fd, F_GET_SEALS);
	off_t end = lseek(fd, 0, SEEK_END);
	size_t at = 0;
	char *p;

	*n = 0;
	if (seals == -1 || (seals & F_SEAL_WRITE) == 0 || end < 0 || (size_t)end > max)
		return NULL;
	p = xmalloc((size_t)end + 1);
	while (at < (size_t)end) {
		ssize_t got = pread(fd, p + at, (size_t)end - at, (off_t)at);

		if (got == -1 && errno == EINTR)
			continue;
		if (got <= 0) {
			free(p);
			return NULL;
		}
		at += (size_t)got;
	}
	p[at] = '\0';
	*n = at;
	return p;
}
