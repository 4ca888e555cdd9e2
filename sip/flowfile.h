/*
 * sip/flowfile.h - flow keys that outlive the process.
 */
#ifndef SALLYPORT_SIP_FLOWFILE_H
#define SALLYPORT_SIP_FLOWFILE_H

#include "sip/flow.h"

/*
 * The keys in file: one a line, 64 hex digits, the last one signs; lines that
 * begin with '#' are passed over. Made (mode 0600, one random key) when it is not there. SP_EIO
 * with errno; SP_EINVAL with *line naming the bad one, or 0 for a file that others may read.
 */
int	sip_flow_keys_load(const char *file, struct sip_flow_keys **out, int *line);

#endif
