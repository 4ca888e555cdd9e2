/*
 * common/journal.h - records for systemd's journal, in its native protocol.
 *
 * A record's text becomes MESSAGE, and each of its keys a field of its own:
 * reason=loop is SALLYPORT_REASON=loop, event is SALLYPORT_EVENT. MESSAGE_ID follows from the
 * event's name, so that packaging/sallyport.catalog can explain it. Outside bytes were
 * escaped when they came into the record, so no value ends early.
 */
#ifndef SALLYPORT_COMMON_JOURNAL_H
#define SALLYPORT_COMMON_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "common/span.h"

#define JOURNAL_SOCKET	"/run/systemd/journal/socket"
#define JOURNAL_ID	33	/* bytes of a MESSAGE_ID's text, its NUL included */
#define JOURNAL_MAX	8192	/* bytes of a datagram */

/* Is standard error the journal (JOURNAL_STREAM in the environment names its device and inode)? */
bool	journal_is_stderr(void);
/* A descriptor for journal_send(), or -1 with errno. */
int	journal_connect(const char *path);
/* text: "event=refused conn=47 from=\"…\"". False: it was not taken. Never waits. */
bool	journal_send(int fd, int priority, const char *program, struct span text);
/* The same as what is sent, for tests: how long it is; 0: it does not fit. */
size_t	journal_format(char out[JOURNAL_MAX], int priority, const char *program, struct span text);
/* The MESSAGE_ID of that event. */
void	journal_id(struct span event, char out[JOURNAL_ID]);

#endif
