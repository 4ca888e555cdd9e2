/*
 * director/wbd.h - the process that asks winbind. The only room of libwbclient.
 *
 * Forked by authd before that has read the user file. It sees challenges and
 * responses, and session keys as winbind tells them, and has nothing to keep.
 * Some threads, each with a connection of its own: a domain controller that
 * hangs keeps a thread waiting and nobody else. When all of them wait for longer
 * than anybody waits for their answers, the process gives them up and ends. A keeper
 * forks it anew. Frames are those of winbind.h, one in each packet.
 *
 * Winbind tells session keys to who can open its privileged pipe: root, or
 * members of the group winbindd_priv.
 */
#ifndef SALLYPORT_DIRECTOR_WBD_H
#define SALLYPORT_DIRECTOR_WBD_H

#include "director/winbind.h"

/*
 * Become the keeper: never returns. fd: our side of the pair, blocking. Ends when the other side
 * has closed. computer: the name that challenges give this machine; when it has joined the domain by
 * another one, which the domain takes amiss, that is logged (winbind-name). log_dir: the only place where files may be opened; NULL: none.
 * hung_ms: as in authd_setup; the keeper says by WINBIND_BEAT that it is well itself.
 */
void	wbd_keep(const struct winbind_conf *, const char *computer, const char *run_as, const char *log_dir, unsigned hung_ms,
	    int fd) __attribute__((noreturn));

#endif
