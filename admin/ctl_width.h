/*
 * admin/ctl_width.h - how wide what people read may be.
 */
#ifndef SALLYPORT_ADMIN_CTL_WIDTH_H
#define SALLYPORT_ADMIN_CTL_WIDTH_H

#include <stddef.h>

/*
 * COLUMNS of the environment; else the columns of the terminal that standard output is, or, since what goes into a pager
 * is read there, too, standard error; else 0: no limit, a program reads it. COLUMNS=0: no limit either.
 */
size_t	ctl_width(void);

#endif
