/*
 * sip/sessions.h - the session log: a line for each request's end, facts of its header and never its content.
 *
 *	2026-11-20T11:41:12.123Z door=outer class=direct peer=192.0.2.1:5061 method=MESSAGE status=200 reason=allowed
 *	    ms=12 from="sip:a@b.example" to="sip:c@example.com" call-id="x"		(one line)
 *
 * Workers write into memory of their own and go on; one thread takes what is
 * there now and then and writes it to the file. What does not fit, in memory or on
 * the disk, is lost and counted: SIP does not wait for its log.
 */
#ifndef SALLYPORT_SIP_SESSIONS_H
#define SALLYPORT_SIP_SESSIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "net/addr.h"
#include "policy/facts.h"
#include "sip/message.h"

#define SESSIONS_BUFFER	(1u << 20)	/* bytes of lines that wait, of each worker */
#define SESSIONS_MUCH	(SESSIONS_BUFFER / 4)	/* when so many wait, they cannot wait for the second to end */
#define SESSIONS_LINE	1024		/* bytes of a line at most; longer values are cut */

struct sip_sessions;	/* of the process */
struct sip_session_pen;	/* one worker's */

/* max: bytes of the file, after which it is renamed to path.1 and begun anew; 0: no bound. */
struct sip_sessions *sip_sessions_new(unsigned nworkers, uint64_t max);
/* For a daemon: *s for that file and so many MiB, or NULL when path is NULL or "". SP_OK, or SP_EIO with errno. */
int	 sip_sessions_start(struct sip_sessions **s, const char *path, unsigned mib, unsigned nworkers);
/* Writes what is left. After the workers. NULL: nothing. */
void	 sip_sessions_free(struct sip_sessions *);
/* Append to that file, made 0640. SP_OK, or SP_EIO with errno (the earlier one stays). */
int	 sip_sessions_open(struct sip_sessions *, const char *path);
/* The file is fd from now on, ours to close: for a process that opens no files. Its size is whose who opened it. */
void	 sip_sessions_take(struct sip_sessions *, int fd);
/*
 * For such a process: whenever a file is needed, open(arg, anew) gives it, or -1 with errno; anew: the one
 * before is as long as it may be, and was put aside.
 */
void	 sip_sessions_source(struct sip_sessions *, int (*open)(void *arg, bool anew), void *arg);
/* After rotation: close and open path again. The old one stays on failure. NULL: nothing, SP_OK. */
int	 sip_sessions_reopen(struct sip_sessions *);
/*
 * Before the workers start: hurry(arg) is called by a worker of whose lines so many wait that sip_sessions_flush()
 * is due before its time. NULL: nothing.
 */
void	 sip_sessions_hurry(struct sip_sessions *, void (*hurry)(void *arg), void *arg);
/* Write what has come together; every second, by the thread that opened it. NULL: nothing. */
void	 sip_sessions_flush(struct sip_sessions *);

struct sip_session_pen *sip_sessions_pen(struct sip_sessions *, unsigned worker);

struct sip_session {
	enum policy_side	 side;
	unsigned		 class;		/* enum policy_class or stats_class */
	const struct net_addr	*peer;		/* who asked; NULL: gone */
	enum policy_method	 method;
	unsigned		 status;	/* 0: none was given */
	enum policy_reason	 reason;
	uint64_t		 ms;		/* from request to answer */
	const struct sip_message *m;		/* request or response, whose header has the names; NULL: not known */
};
/* Called by the pen's worker. */
void	 sip_session_write(struct sip_session_pen *, const struct sip_session *);

#endif
