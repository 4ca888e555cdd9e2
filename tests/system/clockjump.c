/*
 * clockjump.c - for clock.sh, preloaded: the clock on the wall shows as many seconds more as the file
 * says that SALLYPORT_CLOCK_JUMP names, whenever somebody looks. What is monotonic stays so.
 */
#include <sys/mman.h>
#include <sys/time.h>

#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *jump;
static int (*real)(clockid_t, struct timespec *);

/* Before the program has given up its rights; whatever it forks has the same page. */
__attribute__((constructor)) static void
begin(void)
{
	const char *path = getenv("SALLYPORT_CLOCK_JUMP");
	int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *page = fd != -1 ? mmap(NULL, sizeof(*jump), PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;

	*(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
	if (page == MAP_FAILED || real == NULL)
		abort();
	jump = page;
	close(fd);
}

int
clock_gettime(clockid_t id, struct timespec *ts)
{
	int rc = real(id, ts);

	if (rc == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		ts->tv_sec += *jump;
	return rc;
}

int
gettimeofday(struct timeval *tv, void *zone)
{
	struct timespec ts;

	(void)zone;
	if (clock_gettime(CLOCK_REALTIME, &ts) != 0)
		return -1;
	tv->tv_sec = ts.tv_sec;
	tv->tv_usec = (suseconds_t)(ts.tv_nsec / 1000);
	return 0;
}

time_t
time(time_t *out)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_REALTIME, &ts) != 0)
		return -1;
	if (out != NULL)
		*out = ts.tv_sec;
	return ts.tv_sec;
}
