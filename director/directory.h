/*
 * director/directory.h - authd's side of the directory: what it has answered
 * before, what it is being asked, and who waits for that.
 *
 * Nothing here waits. Equal questions in flight are one; their number and that
 * of those who wait are bounded, and so is the time: when it is up, or the
 * servers fail, what was known before is the answer, or "unavailable".
 */
#ifndef SALLYPORT_DIRECTOR_DIRECTORY_H
#define SALLYPORT_DIRECTOR_DIRECTORY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/span.h"
#include "director/authd.h"
#include "director/dirconf.h"

#define DIRECTORY_QUESTIONS_MAX	2048	/* addresses asked for at once */
#define DIRECTORY_WAITERS_MAX	16384	/* questions of workers that wait for them */

struct directory;

/* The answer to a question; where it goes is what was said with it. */
typedef void (*directory_fn)(void *arg, uint64_t tag, const struct authd_user *);

/* The far end is fd (a SOCK_SEQPACKET socket), which is taken over. Cannot fail. */
struct directory *directory_new(const struct dirconf *, int fd, directory_fn);
void	 directory_free(struct directory *);	/* those who wait hear nothing; NULL: nothing */
/*
 * Who is this? True with *who filled when it is known; else fn(arg, tag) is called later, exactly
 * once, never before this returns.
 */
bool	 directory_ask(struct directory *, struct span aor, uint64_t now_ms, void *arg, uint64_t tag,
	    struct authd_user *who);
/*
 * The same of who signs in with that login (director/entry.h): the address is in *who. The answer goes to fn.
 * A login that nobody has is not remembered.
 */
bool	 directory_ask_login(struct directory *, struct span login, uint64_t now_ms, directory_fn fn, void *arg,
	    uint64_t tag, struct authd_user *who);
/* Another configuration from now on; borrowed. The far end reads its own. What was answered is forgotten. */
void	 directory_set(struct directory *, const struct dirconf *);
/* The same configuration, but in another place; borrowed. What was answered is forgotten. */
void	 directory_moved(struct directory *, const struct dirconf *);
/* Forget what was answered. */
void	 directory_flush(struct directory *);
/* From now on the keeper at the far end is to say that it is well, or is given up when it has not for so long; 0: it is not. */
void	 directory_look_after(struct directory *, unsigned hung_ms, uint64_t now_ms);
/* Open the log file again over there. */
void	 directory_reopen_log(struct directory *);

/* Answers that are remembered; *full: how many gave way to others so far. */
uint32_t directory_remembers(const struct directory *, uint64_t *full);

/* What poll(2) is to wait for; then what came of it; and at least twice a second what time it is. */
int	 directory_fd(const struct directory *);
short	 directory_events(const struct directory *);
void	 directory_ready(struct directory *, short revents, uint64_t now_ms);
void	 directory_tick(struct directory *, uint64_t now_ms);

/*
 * Fork the process that asks (ldapd.h): *fd is to be given to directory_new(). close_these are
 * descriptors that it must not keep; hung_ms: as in authd_setup. SP_OK; SP_EINVAL: the password cannot be read (logged); SP_EIO.
 */
int	 directory_start(const struct dirconf *, const char *file, const char *run_as, unsigned hung_ms, const int *close_these,
	    unsigned n, int *fd);

#endif
