/*
 * common/chan.h - whole frames and open files between two processes of ours.
 *
 * A channel is a SOCK_SEQPACKET pair made before the fork: what is sent in one
 * piece arrives in one piece, so nobody waits for half a frame. Descriptors travel
 * beside the frame. What does not fit the frame goes as a file that is memory.
 */
#ifndef SALLYPORT_COMMON_CHAN_H
#define SALLYPORT_COMMON_CHAN_H

#include <stddef.h>

#include "common/proc.h"
#include "common/span.h"

#define CHAN_BODY_MAX	16384	/* of one frame */
#define CHAN_FDS_MAX	64	/* with one frame */
#define CHAN_LATE_MAX	64	/* answers that nobody waits for any more, before the one that is waited for */

struct chan_msg {
	struct frame	 f;		/* its body points into bytes */
	int		 fds[CHAN_FDS_MAX]; /* the receiver's to close */
	unsigned	 nfds;
	size_t		 filled;
	unsigned char	 bytes[FRAME_HEAD + CHAN_BODY_MAX];
};

/* Both ends, close-on-exec. SP_OK or SP_EIO (errno). */
int	 chan_pair(int ends[2]);
/*
 * Send one frame; waits until there is room. The descriptors stay the caller's.
 * SP_OK; SP_ECLOSED: the other side is gone; SP_ETIME (chan_patience()); SP_EIO (errno).
 */
int	 chan_send(int fd, const struct frame *, const int *fds, unsigned nfds);
/*
 * Receive one; waits for it. At most max descriptors are welcome. SP_OK; SP_ECLOSED: the other
 * side is gone; SP_ETIME; SP_ESYNTAX: no frame, or more descriptors than are welcome (all are closed).
 */
int	 chan_recv(int fd, struct chan_msg *, unsigned max);
/*
 * The same, of the answer with that tag. Tags grow: an answer to a question before, which was given up, is put away, and
 * so are at most CHAN_LATE_MAX. SP_ESYNTAX, too: an answer to what was never asked, or more late ones than that.
 */
int	 chan_answer(int fd, uint64_t tag, struct chan_msg *, unsigned max);
/* Wipe what a frame held, and close the descriptors that are left (those that were taken are set to -1). */
void	 chan_done(struct chan_msg *);
/* Give up sending and receiving after so long; 0: never. */
void	 chan_patience(int fd, unsigned ms);

/* Bytes as a file that is memory, sealed. The descriptor, or -1 (errno). */
int	 chan_file(const char *name, struct span);
/*
 * Such a file's bytes, the caller's to free (a NUL behind them). NULL: it is longer than max, not of
 * that kind, or cannot be read. fd stays open.
 */
char	*chan_file_read(int fd, size_t max, size_t *n);

#endif
