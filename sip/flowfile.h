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
/* The same, but nothing is made: a file that is not there is SP_EIO. For when the daemon runs already. */
int	sip_flow_keys_read(const char *file, struct sip_flow_keys **out, int *line);
/*
 * The file of a running daemon was read anew. If it has other keys than before (*last: the caller's reference; NULL: those of *ring),
 * these are in force in *ring, and what the file had before verifies still, until it has changed once more. True: it has changed.
 */
bool	sip_flow_keys_turn(struct sip_flow_keys **ring, struct sip_flow_keys **last, struct sip_flow_keys *now);
/* The same, but nothing is made and nothing is kept. A file that is not there is good. */
int	sip_flow_keys_check(const char *file, int *line);
/* What was wrong, as a sentence after the file and line; errno counts when err is SP_EIO. */
const char *sip_flow_keys_fault(int err, int line);

#endif
