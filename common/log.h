/*
 * common/log.h - one record per event, key=value, the same keys everywhere.
 *
 *	struct logrec r = log_begin(SP_LOG_NOTICE, "refused");
 *	log_uint(&r, "conn", id);
 *	log_word(&r, "reason", policy_reason_name(reason));
 *	log_outside(&r, "from", uri);
 *	log_end(&r);
 *
 * gives one line:  event=refused conn=47 reason=domain-blocked from="sip:eve@bad.example"
 * after the time (UTC), the program and the level:  2026-11-20T11:41:12.123Z sallyport-edge notice
 *
 * Bytes from outside have one entrance, log_outside(), which quotes, escapes
 * and cuts. Everything else writes words of ours. A record is one write(2) and
 * never blocks the caller on anything but that. Safe in several threads.
 */
#ifndef SALLYPORT_COMMON_LOG_H
#define SALLYPORT_COMMON_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "common/span.h"
#include "common/strbuf.h"

/* syslog's numbers; named apart because <syslog.h> takes LOG_*. */
enum log_level {
	SP_LOG_ERROR	= 3,
	SP_LOG_WARNING	= 4,
	SP_LOG_NOTICE	= 5,
	SP_LOG_INFO	= 6,
	SP_LOG_DEBUG	= 7
};

#define LOG_LINE_MAX	2048	/* a longer record is cut and ends in "..." */
#define LOG_OUTSIDE_MAX	160	/* bytes of one outside value that are shown */

struct logrec {
	struct strbuf	 sb;
	char		 line[LOG_LINE_MAX];
	enum log_level	 level;
	size_t		 text;	/* where the record begins, after time, program and level */
	bool		 on;	/* level is shown, or it is kept; otherwise every call is a no-op */
	bool		 kept;	/* see log_keep() */
	bool		 shown;
};

/*
 * path NULL: standard error; where that is a pipe, nobody waits for its reader, and what has no room is lost and counted.
 * Otherwise appended to, created 0640. The program's name (copied, at most 31 bytes of it) is in each line. From one thread at a time,
 * while others may be writing records. SP_EIO with errno when it can't be opened
 * (then the earlier target stays).
 */
int	log_open(const char *program, const char *path, enum log_level);
/*
 * Write to systemd's journal, field by field (common/journal.h), instead of standard error.
 * how: "off": no; "auto": if standard error leads there anyway; else the path of its socket. To be
 * called once, right after log_open() without a path. SP_EIO with errno when it cannot be reached.
 */
int	log_use_journal(const char *how);
/* Close and open the file again, after rotation. Keeps the old one on failure. */
int	log_reopen(void);
/* Records that could not be written so far, of all threads. */
uint64_t log_lost(void);
/* The open log is fd from now on, ours to close: for a process that opens no files. SP_EIO: it stays the caller's. */
int	log_take(int fd);
/* Where records go: for handing over. The log's own. The journal: -1 if there is none. */
int	log_descriptor(void);
int	log_journal_descriptor(void);
void	log_set_level(enum log_level);
bool	log_shows(enum log_level);
/* "error" … "debug" to its level; false if it is none of them. */
bool	log_level_parse(const char *, enum log_level *);

struct logrec log_begin(enum log_level, const char *event);
void	log_word(struct logrec *, const char *key, const char *word);	/* ours: no quotes needed */
void	log_text(struct logrec *, const char *key, const char *text);	/* ours, quoted (may hold spaces) */
void	log_uint(struct logrec *, const char *key, uint64_t);
void	log_int(struct logrec *, const char *key, int64_t);
void	log_hex(struct logrec *, const char *key, uint64_t);
void	log_outside(struct logrec *, const char *key, struct span);
void	log_end(struct logrec *);

/* A record with one text: for start-up and shut-down. The format is ours; outside bytes never pass here. */
void	log_say(enum log_level, const char *event, const char *fmt, ...)
	    __attribute__((format(printf, 3, 4)));

/*
 * From now on the newest `lines` records of that event are kept in memory, also when
 * their level is not shown. Once, before the first thread; event is borrowed for good.
 */
void	log_keep(const char *event, unsigned lines);
/*
 * Call each for the kept records with a higher number than `after`, oldest first; they are numbered from 1.
 * line has no newline and is borrowed during the call. Records wait meanwhile, so that each
 * must be short. Returns the number of the newest.
 */
uint64_t log_kept(uint64_t after, void (*each)(void *arg, uint64_t number, struct span line), void *arg);

#endif
