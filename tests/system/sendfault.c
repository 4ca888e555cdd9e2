/*
 * sendfault.c - for dirlives.sh, preloaded: frames of one type that come with descriptors cannot be sent, as if too many
 * were on their way, so often as the file says that SALLYPORT_SEND_FAULT names: two numbers, how often and which type.
 */
#include <sys/mman.h>
#include <sys/socket.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

struct fault {
	_Atomic int32_t	times;
	_Atomic int32_t	type;
};

static struct fault *fault;
static ssize_t (*real)(int, const struct msghdr *, int);

/* Before the program has given up its rights; whatever it forks has the same page. */
__attribute__((constructor)) static void
begin(void)
{
	const char *path = getenv("SALLYPORT_SEND_FAULT");
	int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *page = fd != -1 ? mmap(NULL, sizeof(*fault), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;

	*(void **)&real = dlsym(RTLD_NEXT, "sendmsg");
	if (page == MAP_FAILED || real == NULL)
		abort();
	fault = page;
	close(fd);
}

ssize_t
sendmsg(int fd, const struct msghdr *m, int flags)
{
	/* a frame begins with its type, two bytes, the lower one first (common/proc.c) */
	const unsigned char *p = m->msg_iovlen > 0 && m->msg_iov[0].iov_len >= 2 ? m->msg_iov[0].iov_base : NULL;

	if (p != NULL && m->msg_controllen != 0 && (p[0] | p[1] << 8) == atomic_load(&fault->type) &&
	    atomic_load(&fault->times) > 0) {
		atomic_fetch_sub(&fault->times, 1);
		errno = ETOOMANYREFS;
		return -1;
	}
	return real(fd, m, flags);
}
