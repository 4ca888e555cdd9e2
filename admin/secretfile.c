/*
 * admin/secretfile.c - see secretfile.h.
 */
#include "admin/secretfile.h"

#include <sys/file.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/mem.h"

static int
check_file(int fd, secretfile_report report, void *arg)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return SP_EIO;
	if (!S_ISREG(st.st_mode)) {
		report(arg, 0, "is not a file");
		return SP_EINVAL;
	}
	if ((st.st_mode & 077) != 0) {
		report(arg, 0, "may be read or written by others than its owner; it must have mode 0600");
		return SP_EINVAL;
	}
	/* root reads what was given to the account that authd runs as */
	if (st.st_uid != 0 && st.st_uid != geteuid() && geteuid() != 0) {
		report(arg, 0, "belongs to another account than this process and root");
		return SP_EINVAL;
	}
	return SP_OK;
}

/* One line as fgets() gave it. */
static int
take_text(const char *text, int line, secretfile_report report, void *report_arg, secretfile_line take, void *take_arg)
{
	struct span s = span_str(text);

	if (s.n == 0 || s.p[s.n - 1] != '\n') {
		report(report_arg, line, "the line is too long, or the file ends within it");
		return SP_EINVAL;
	}
	s = span_trim(s);
	if (span_is_empty(s) || s.p[0] == '#')
		return SP_OK;
	return take(take_arg, s, line) == SP_OK ? SP_OK : SP_EINVAL;
}

int
secretfile_lines(const char *path, secretfile_report report, void *report_arg, secretfile_line take, void *take_arg)
{
	char text[SECRETFILE_LINE_MAX], buffer[8192];
	FILE *f = NULL;
	int fd, err, keep, line = 0;

	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) < 0)
		return errno == ENOENT ? SP_ENOENT : SP_EIO;
	if ((err = check_file(fd, report, report_arg)) == SP_OK && (f = fdopen(fd, "r")) == NULL)
		err = SP_EIO;
	if (err != SP_OK) {
		keep = errno;
		close(fd);
		errno = keep;
		return err;
	}
	setvbuf(f, buffer, _IOFBF, sizeof(buffer));
	while (fgets(text, sizeof(text), f) != NULL) {
		int bad = take_text(text, ++line, report, report_arg, take, take_arg);

		if (bad != SP_OK)
			err = bad;
		/* skip what is left of a line that was too long */
		while (strchr(text, '\n') == NULL && fgets(text, sizeof(text), f) != NULL)
			;
	}
	if (ferror(f))
		err = SP_EIO;
	keep = errno;
	fclose(f);
	errno = keep;
	mem_wipe(text, sizeof(text));
	mem_wipe(buffer, sizeof(buffer));
	return err;
}

/* The directory of path, as a string of the caller's. */
static char *
directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? xstrdup(".") : slash == path ? xstrdup("/") : xmemdup(path, (size_t)(slash - path));
}

/* The owner stays who it was. Only root can give a file away; others keep it. */
static int
give_to_owner(int fd, const char *path, const char *dir)
{
	struct stat st;

	if (stat(path, &st) != 0 && stat(dir, &st) != 0)
		return SP_EIO;
	if (geteuid() != 0 || st.st_uid == 0)
		return SP_OK;
	return fchown(fd, st.st_uid, st.st_gid) == 0 ? SP_OK : SP_EIO;
}

int
secretfile_write(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t done = write(fd, p, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return SP_EIO;
		p += done;
		n -= (size_t)done;
	}
	return SP_OK;
}

int
secretfile_replace(const char *path, int (*write_out)(const void *arg, int fd), const void *arg)
{
	char *dir = directory_of(path), *fresh = xmalloc(strlen(path) + 12);
	int fd, dirfd = -1, err = SP_EIO, keep;

	sprintf(fresh, "%s.new-XXXXXX", path);
	if ((fd = mkostemp(fresh, O_CLOEXEC)) < 0)	/* mode 0600 */
		goto out;
	if (write_out(arg, fd) == SP_OK && give_to_owner(fd, path, dir) == SP_OK && fsync(fd) == 0 &&
	    (dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) >= 0 && rename(fresh, path) == 0)
		err = fsync(dirfd) == 0 ? SP_OK : SP_EIO;
	else {
		keep = errno;
		unlink(fresh);
		errno = keep;
	}
 out:
	keep = errno;
	if (fd >= 0)
		close(fd);
	if (dirfd >= 0)
		close(dirfd);
	free(dir);
	free(fresh);
	errno = keep;
	return err;
}

int
secretfile_lock(const char *path, unsigned wait_ms, int *fd)
{
	char *name = xmalloc(strlen(path) + 6);
	uint64_t until = clock_ms() + wait_ms;
	int err = SP_OK, keep;

	sprintf(name, "%s.lock", path);
	if ((*fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)) < 0)
		err = SP_EIO;
	while (err == SP_OK && flock(*fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			err = SP_EIO;
		else if (clock_ms() >= until)
			err = SP_ETIME;
		else
			nanosleep(&(struct timespec){ 0, 20 * 1000 * 1000 }, NULL);
	}
	keep = errno;
	free(name);
	if (err != SP_OK && *fd >= 0) {
		close(*fd);
		*fd = -1;
	}
	errno = keep;
	return err;
}

void
secretfile_unlock(int fd)
{
	close(fd);	/* and the lock with it; the file stays, since another may be waiting for it */
}
