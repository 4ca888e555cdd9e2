/*
 * admin/policydisk.c - files that are there whole or not at all; see policystore_int.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "admin/policystore_int.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/mem.h"

#define FRESH	".sallyport-new"	/* what a file is called until it is whole */

char *
disk_path(const struct policystore *ps, const char *fmt, ...)
{
	char rest[256], *path;
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	vsnprintf(rest, sizeof(rest), fmt, ap);
	va_end(ap);
	n = strlen(ps->dir) + strlen(rest) + 2;
	path = xmalloc(n);
	snprintf(path, n, "%s/%s", ps->dir, rest);
	return path;
}

int
disk_failed(struct conf_errors *errs, const char *what, const char *path)
{
	int keep = errno;

	conf_error(errs, NULL, 0, "%s: %s: %s", path, what, strerror(keep));
	errno = keep;
	return SP_EIO;
}

int
disk_read(const char *path, size_t max, char **out, size_t *n, struct conf_errors *errs)
{
	struct stat st;
	size_t got = 0, room;
	char *p;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	*out = NULL;
	*n = 0;
	if (fd < 0)
		return errno == ENOENT ? SP_ENOENT : disk_failed(errs, "cannot be opened", path);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		conf_error(errs, NULL, 0, "%s: is not a file", path);
		close(fd);
		errno = EINVAL;
		return SP_EIO;
	}
	room = (size_t)st.st_size < max ? (size_t)st.st_size + 1 : max + 1;
	p = xmalloc(room + 1);
	while (got < room) {
		ssize_t k = read(fd, p + got, room - got);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0) {
			disk_failed(errs, "cannot be read", path);
			close(fd);
			free(p);
			return SP_EIO;
		}
		if (k == 0)
			break;
		got += (size_t)k;
	}
	close(fd);
	if (got > max) {
		conf_error(errs, NULL, 0, "%s: is longer than %zu bytes", path, max);
		free(p);
		return SP_ELIMIT;
	}
	p[got] = '\0';
	*out = p;
	*n = got;
	return SP_OK;
}

/* ---- whose rights ---- */

/* The owner of the first directory on the way that is not root's. False: all are. */
static bool
find_owner(const char *dir, struct disk_owner *out)
{
	char *part = xstrdup(dir);
	struct stat st;
	bool found = dir[0] != '/' && stat(".", &st) == 0 && st.st_uid != 0;

	for (size_t i = 1; !found && i <= strlen(dir); i++) {
		if (dir[i] != '/' && dir[i] != '\0')
			continue;
		part[i] = '\0';
		if (lstat(part, &st) != 0)
			break;
		found = st.st_uid != 0;
		part[i] = dir[i];
	}
	if (found)
		*out = (struct disk_owner){ st.st_uid, st.st_gid };
	free(part);
	return found;
}

struct disk_owner
disk_owner_of(const char *dir)
{
	struct disk_owner owner = { 0, 0 };
	char *real;

	if (geteuid() != 0 || find_owner(dir, &owner))
		return owner;
	/* root's own links lead on */
	if ((real = realpath(dir, NULL)) != NULL)
		(void)find_owner(real, &owner);
	free(real);
	return owner;
}

int
disk_is_safe(const char *dir, struct conf_errors *errs)
{
	struct stat st;

	if (geteuid() != 0 || stat(dir, &st) != 0 || st.st_uid != 0)
		return SP_OK;
	if ((st.st_mode & S_IWOTH) == 0 && ((st.st_mode & S_IWGRP) == 0 || st.st_gid == 0))
		return SP_OK;
	conf_error(errs, NULL, 0, "%s: is root's, but others may write in it, and might lead root astray: take that right "
	    "from them (chmod g-w,o-w), or give the directory to the account that is to work there", dir);
	errno = EPERM;
	return SP_EIO;
}

struct disk_owner
disk_become(struct disk_owner o)
{
	struct disk_owner was = { 0, 0 };
	int keep = errno;

	if (geteuid() != 0)
		return was;
	/* of this thread only; root needs no groups */
	if (o.uid != 0)
		(void)syscall(SYS_setgroups, 0, NULL);
	was.gid = (gid_t)setfsgid(o.gid);
	was.uid = (uid_t)setfsuid(o.uid);
	errno = keep;
	return was;
}

static bool
has_roots_rights(void)
{
	return geteuid() == 0 && setfsuid((uid_t)-1) == 0;
}

/* ---- files ---- */

static bool
write_all(int fd, struct span s)
{
	while (s.n > 0) {
		ssize_t done = write(fd, s.p, s.n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		s = span_tail(s, (size_t)done);
	}
	return true;
}

int
disk_sync_dir_of(const char *path, struct conf_errors *errs)
{
	char *copy = xstrdup(path);
	const char *dir = dirname(copy);
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = SP_OK;

	if (fd < 0 || fsync(fd) != 0)
		err = disk_failed(errs, "cannot be brought to the disk", dir);
	if (fd >= 0)
		close(fd);
	free(copy);
	return err;
}

/* Mode and owner as they should be; only root can give a file away, and only in a directory of its own. */
static bool
dress(const struct policystore *ps, int fd, const struct stat *like)
{
	struct stat dir, made;

	if (fstat(fd, &made) != 0)
		return false;
	if (like == NULL) {
		if (stat(ps->dir, &dir) != 0 || fchmod(fd, 0640) != 0)
			return false;
		return !has_roots_rights() || (dir.st_uid == 0 && dir.st_gid == 0) || fchown(fd, dir.st_uid, dir.st_gid) == 0;
	}
	if (has_roots_rights()) {
		if (fchown(fd, like->st_uid, like->st_gid) != 0)
			return false;
	} else if (like->st_gid != made.st_gid) {
		/* the group can be kept if we are in it; if not, others must not gain by it */
		if (fchown(fd, (uid_t)-1, like->st_gid) != 0)
			return fchmod(fd, like->st_mode & 0604) == 0;
	}
	return fchmod(fd, like->st_mode & 0777) == 0;
}

int
disk_write(struct policystore *ps, const char *path, struct span head, struct span text, const struct stat *like,
    struct conf_errors *errs)
{
	size_t size = strlen(path) + sizeof(FRESH);
	char *fresh = xmalloc(size);
	int fd, err = SP_OK;

	snprintf(fresh, size, "%s%s", path, FRESH);
	/* one of an earlier crash may lie there; the lock is ours */
	unlink(fresh);
	if ((fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)) < 0) {
		err = disk_failed(errs, "cannot be made", fresh);
		free(fresh);
		return err;
	}
	if (!write_all(fd, head) || !write_all(fd, text) || !dress(ps, fd, like) || fsync(fd) != 0)
		err = disk_failed(errs, "cannot be written", fresh);
	if (close(fd) != 0 && err == SP_OK)
		err = disk_failed(errs, "cannot be written", fresh);
	if (err == SP_OK && rename(fresh, path) != 0)
		err = disk_failed(errs, "cannot be put in its place", path);
	if (err != SP_OK) {
		int keep = errno;

		unlink(fresh);
		errno = keep;
	} else {
		err = disk_sync_dir_of(path, errs);
	}
	free(fresh);
	return err;
}

int
disk_rename(const char *from, const char *to, struct conf_errors *errs)
{
	int err;

	if (rename(from, to) != 0)
		return disk_failed(errs, "cannot be put in its place", to);
	if ((err = disk_sync_dir_of(to, errs)) != SP_OK)
		return err;
	return disk_sync_dir_of(from, errs);
}

int
disk_remove(const char *path, struct conf_errors *errs)
{
	if (unlink(path) != 0)
		return errno == ENOENT ? SP_OK : disk_failed(errs, "cannot be removed", path);
	return disk_sync_dir_of(path, errs);
}

int
disk_make_dir(const char *path, struct conf_errors *errs)
{
	struct stat st;

	if (mkdir(path, 0750) == 0)
		return disk_sync_dir_of(path, errs);
	if (errno == ENOENT) {
		disk_failed(errs, "cannot be made, as the directory that it is to be in is not there (another is named by --store)", path);
		errno = ENOENT;
		return SP_EIO;
	}
	if (errno != EEXIST)
		return disk_failed(errs, "cannot be made", path);
	if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
		errno = ENOTDIR;
		return disk_failed(errs, "cannot be used", path);
	}
	return SP_OK;
}
