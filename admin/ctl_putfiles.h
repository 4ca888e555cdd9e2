/*
 * admin/ctl_putfiles.h - several files replaced as one: all of them or none.
 *
 * ctl_put_prepare() writes each new file beside the old one and brings it to the disk. ctl_put_all() gives each old file a second
 * name, FILE.import-undo, and puts the new ones in their places. Until ctl_put_keep() the old ones can come back with
 * ctl_put_back(). Who was interrupted in between has left FILE.import-undo, and the next one is refused until a person has looked.
 */
#ifndef SALLYPORT_ADMIN_CTL_PUTFILES_H
#define SALLYPORT_ADMIN_CTL_PUTFILES_H

#include <stdbool.h>
#include <stddef.h>

#include "common/span.h"

struct conf_errors;

enum ctl_put_state {
	PUT_NOT = 0,	/* the file is as it was */
	PUT_NEW,	/* it is the new one */
	PUT_BACK,	/* it was, and is as it was again */
	PUT_STUCK	/* it is the new one, and the old one could not come back */
};
/* "unchanged", "written", "put-back", "not-put-back" */
const char *ctl_put_state_name(enum ctl_put_state);

struct ctl_putfile {
	char			*file;	/* with links followed; NULL: there is none to be replaced */
	char			*tmp;	/* the new one, beside it */
	char			*undo;	/* the old one's second name; NULL: it has none */
	char			*kept;	/* the old one's name for good */
	char			*was;	/* its text */
	size_t			 n;
	enum ctl_put_state	 state;
};
/* What is left beside the file is removed, texts are wiped. Also of a zeroed one. */
void	ctl_putfile_fini(struct ctl_putfile *);

/*
 * A new file beside path, on the disk, with the mode and the owner that path has. SP_OK with *tmp its name, the caller's to free;
 * SP_EIO (errno says why) with errs filled and nothing left.
 */
int	ctl_write_beside(const char *path, struct span text, char **tmp, struct conf_errors *errs);

/* now is to replace was in path. SP_OK; SP_EIO; SP_EEXIST: an import was interrupted. Texts are copied. */
int	ctl_put_prepare(struct ctl_putfile *, const char *path, struct span was, struct span now, struct conf_errors *errs);
/*
 * All that are prepared. SP_OK; SP_EIO, or SP_EAGAIN (one was changed since it was read): all are as they were, but for those whose
 * state is PUT_STUCK; errs has the words.
 */
int	ctl_put_all(struct ctl_putfile *v, size_t n, struct conf_errors *errs);
/* Back again, after ctl_put_all(). False: one of them is stuck, errs says so. */
bool	ctl_put_back(struct ctl_putfile *v, size_t n, struct conf_errors *errs);
/* For good: the old ones are FILE<suffix>. What fails is said on standard error. */
void	ctl_put_keep(struct ctl_putfile *v, size_t n, const char *suffix);

#endif
