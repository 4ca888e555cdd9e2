/*
 * sip/files.h - offers of files, as peers make them. Pure.
 */
#ifndef SALLYPORT_SIP_FILES_H
#define SALLYPORT_SIP_FILES_H

#include "sip/mime.h"

/*
 * Call found with the name of each file that the part offers or is, as written;
 * an empty name when it says none.
 */
void	sip_files_find(const struct sip_part *, void (*found)(void *arg, struct span name), void *arg);
/* Is the part an offer in a transfer encoding, where it cannot be read as it stands? */
bool	sip_files_hidden(const struct sip_part *);
/*
 * May a file of that name be one of these? True for a listed extension, and
 * for a name that is none, or is written so that its extension is not plain.
 */
bool	sip_files_listed(struct span name, const struct span *extensions, size_t n);

#endif
