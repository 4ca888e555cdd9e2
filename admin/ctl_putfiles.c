/*
 * admin/ctl_putfiles.c - see ctl_putfiles.h.
 */
#include "admin/ctl_putfiles.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/ctl_portable.h"
#include "admin/policystore.h"
#include "admin/secretfile.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/mem.h"

#define UNDO	".import-undo"

const char *
ctl_put_state_name(enum ctl_put_state s)
{
	static const char *const names[] = {
		[PUT_NOT] = "unchanged", [PUT_NEW] = "written", [PUT_BACK] = "put-back", [PUT_STUCK] = "not-put-back"
	};

	return names[s];
}

void
ctl_putfile_fini(struct ctl_putfile *f)
{
	if (f->tmp != NULL)
		unlink(f->tmp);
	/* where the file is stuck, the old one is needed */
	if (f->undo != NULL && f->state != PUT_STUCK)
		unlink(f->undo);
	free(f->file);
	free(f->tmp);
	free(f->undo);
	free(f->kept);
	mem_wipe_free(f->was, f->n);
	*f = (struct ctl_putfile){ .file = NULL };
}

static char *
joined(const char *a, const char *b)
{
	size_t n = strlen(a) + strlen(b) + 1;
	char *s = xmalloc(n);

	snprintf(s, n, "%s%s", a, b);
	return s;
}

/* The owner that it had. Who is not root keeps the group, if they may; if not, their own is to gain nothing by it. */
static bool
give_back(int fd, const struct stat *was, mode_t *mode)
{
	if (fchown(fd, was->st_uid, was->st_gid) == 0)
		return true;
	if (geteuid() == 0)
		return false;
	if (fchown(fd, (uid_t)-1, was->st_gid) != 0)
		*mode &= ~(mode_t)070;
	return true;
}

int
ctl_write_beside(const char *path, struct span text, char **tmp, struct conf_errors *errs)
{
	struct stat st;
	mode_t mask = umask(0), mode;
	bool there = stat(path, &st) == 0;
	int fd, err = SP_OK;

	umask(mask);
	mode = there ? st.st_mode & 07777 : 0666 & ~mask;
	*tmp = joined(path, ".XXXXXX");
	if ((fd = mkstemp(*tmp)) == -1) {
		err = ctl_failed(errs, path, "a file beside it cannot be made");
		free(*tmp);
		*tmp = NULL;
		return err;
	}
	if (secretfile_write(fd, text.p, text.n) != SP_OK)
		err = ctl_failed(errs, path, "a file beside it cannot be written");
	if (err == SP_OK && there && !give_back(fd, &st, &mode))
		err = ctl_failed(errs, path, "a file beside it cannot get its owner");
	if (err == SP_OK && (fchmod(fd, mode) != 0 || fsync(fd) != 0))
		err = ctl_failed(errs, path, "a file beside it cannot be finished");
	if (close(fd) != 0 && err == SP_OK)
		err = ctl_failed(errs, path, "a file beside it cannot be written");
	if (err != SP_OK) {
		int keep = errno;

		unlink(*tmp);
		free(*tmp);
		*tmp = NULL;
		errno = keep;
	}
	return err;
}

int
ctl_put_prepare(struct ctl_putfile *f, const char *path, struct span was, struct span now, struct conf_errors *errs)
{
	char *undo;
	int err = SP_OK;

	if ((f->file = realpath(path, NULL)) == NULL)
		return ctl_failed(errs, path, "cannot be found");
	f->was = xmemdup(was.p, was.n);
	f->n = was.n;
	undo = joined(f->file, UNDO);
	if (access(undo, F_OK) == 0) {
		conf_error(errs, undo, 0, "is what %s was before an import that was interrupted: compare them, then move it back or remove it",
		    f->file);
		err = SP_EEXIST;
	}
	free(undo);
	return err == SP_OK ? ctl_write_beside(f->file, now, &f->tmp, errs) : err;
}

/* Has nobody else changed it since it was read? */
static int
look_again(const struct ctl_putfile *f, struct conf_errors *errs)
{
	char *text;
	size_t n;
	int err = ctl_read_file(f->file, POLICYSTORE_TEXT_MAX, &text, &n, errs);

	if (err == SP_OK && !span_eq(span_of(text, n), span_of(f->was, f->n))) {
		conf_error(errs, f->file, 0, "somebody else has changed it just now");
		err = SP_EAGAIN;
	}
	mem_wipe_free(text, n);
	return err;
}

/* A second name, or where the file system or its owner knows none, a copy. */
static int
name_again(struct ctl_putfile *f, struct conf_errors *errs)
{
	char *copy;
	int err = SP_OK;

	f->undo = joined(f->file, UNDO);
	if (link(f->file, f->undo) == 0)
		return SP_OK;
	if (errno == EPERM || errno == EMLINK || errno == EOPNOTSUPP) {
		if ((err = ctl_write_beside(f->file, span_of(f->was, f->n), &copy, errs)) == SP_OK) {
			if (rename(copy, f->undo) != 0) {
				err = ctl_failed(errs, f->file, "the old file cannot be kept");
				unlink(copy);
			}
			free(copy);
		}
	} else {
		err = ctl_failed(errs, f->file, "the old file cannot be kept");
	}
	if (err != SP_OK) {
		free(f->undo);
		f->undo = NULL;
	}
	return err;
}

/* What was renamed in that file's directory is to survive a loss of power. */
static int
sync_dir(const char *file)
{
	char *dir = ctl_dir_of(file);
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = fd != -1 ? fsync(fd) : -1;

	free(dir);
	if (fd != -1)
		close(fd);
	return rc;
}

static int
put(struct ctl_putfile *f, struct conf_errors *errs)
{
	if (rename(f->tmp, f->file) != 0)
		return ctl_failed(errs, f->file, "cannot be replaced");
	free(f->tmp);
	f->tmp = NULL;
	f->state = PUT_NEW;
	return sync_dir(f->file) == 0 ? SP_OK : ctl_failed(errs, f->file, "its directory cannot be brought to the disk");
}

int
ctl_put_all(struct ctl_putfile *v, size_t n, struct conf_errors *errs)
{
	int err = SP_OK, keep;

	for (size_t i = 0; err == SP_OK && i < n; i++)
		if (v[i].tmp != NULL && (err = look_again(&v[i], errs)) == SP_OK)
			err = name_again(&v[i], errs);
	for (size_t i = 0; err == SP_OK && i < n; i++)
		if (v[i].tmp != NULL)
			err = put(&v[i], errs);
	keep = errno;
	if (err != SP_OK)
		(void)ctl_put_back(v, n, errs);
	errno = keep;
	return err;
}

bool
ctl_put_back(struct ctl_putfile *v, size_t n, struct conf_errors *errs)
{
	bool good = true;

	for (size_t i = n; i-- > 0;) {
		struct ctl_putfile *f = &v[i];

		if (f->state != PUT_NEW)
			continue;
		if (rename(f->undo, f->file) == 0) {
			f->state = PUT_BACK;
			free(f->undo);
			f->undo = NULL;
			(void)sync_dir(f->file);
		} else {
			(void)ctl_failed(errs, f->file, "cannot be put back");
			conf_error(errs, f->undo, 0, "is what it was: move it back by hand");
			f->state = PUT_STUCK;
			good = false;
		}
	}
	return good;
}

void
ctl_put_keep(struct ctl_putfile *v, size_t n, const char *suffix)
{
	for (size_t i = 0; i < n; i++) {
		struct ctl_putfile *f = &v[i];

		if (f->state != PUT_NEW)
			continue;
		f->kept = joined(f->file, suffix);
		if (rename(f->undo, f->kept) != 0) {
			fprintf(stderr, "sallyportctl: %s: the old file cannot be kept: %s\n", f->file, strerror(errno));
			free(f->kept);
			f->kept = NULL;
			continue;
		}
		free(f->undo);
		f->undo = NULL;
		(void)sync_dir(f->file);
	}
}
