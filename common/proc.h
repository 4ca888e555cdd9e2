/*
 * common/proc.h - our own processes: privileges, and typed frames between them.
 *
 * A frame is type (2 bytes), length (4), tag (8), body; integers little endian.
 * Frames travel over a SOCK_STREAM socketpair made before the fork. Between
 * our own processes a wrong frame is a bug or a break-in: log it and die.
 */
#ifndef SALLYPORT_COMMON_PROC_H
#define SALLYPORT_COMMON_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/span.h"

#define FRAME_HEAD	14
#define FRAME_MAX	65536	/* longest body */

struct frame {
	uint16_t		 type;
	uint64_t		 tag;	/* the asker's; comes back in the answer */
	size_t			 len;
	const unsigned char	*body;	/* borrowed from the buffer it was read in */
};

/*
 * The frame at the start of buf: bytes used (FRAME_HEAD + len) with *f filled,
 * 0 when more bytes are needed, SP_ESYNTAX when its length is over FRAME_MAX.
 */
ssize_t	frame_parse(const unsigned char *buf, size_t n, struct frame *f);
/* Head and body into out, which has room for FRAME_HEAD + f->len bytes. Returns that sum. */
size_t	frame_format(const struct frame *f, unsigned char *out);
/*
 * Wait for one packet on a SOCK_SEQPACKET socket and read it into buf, which *f borrows. SP_OK; SP_ECLOSED:
 * the far end is gone; SP_ESYNTAX: the packet is not one frame.
 */
int	frame_wait(int fd, unsigned char *buf, size_t size, struct frame *f);

/*
 * Read the fields of a body in order; past the end every read fails and stays
 * failed, so a caller asks once.
 */
struct frame_reader {
	const unsigned char	*p;
	size_t			 n;
	int			 failed;
};
void	 frame_reader_init(struct frame_reader *, const struct frame *);
uint8_t	 frame_u8(struct frame_reader *);
uint32_t frame_u32(struct frame_reader *);
uint64_t frame_u64(struct frame_reader *);
/* A counted string (2-byte length), borrowed, without a NUL; "" and 0 when it fails. */
const char *frame_text(struct frame_reader *, size_t *n);
struct span frame_span(struct frame_reader *);	/* the same as a span */
/* True if all was read, nothing failed and nothing is left. */
int	 frame_done(const struct frame_reader *);

/* The writing side, over the caller's storage of size bytes; fails once full. */
struct frame_writer {
	unsigned char	*p;
	size_t		 len, max;
	int		 failed;
};
void	 frame_writer_init(struct frame_writer *, unsigned char *storage, size_t size);
void	 frame_put_u8(struct frame_writer *, uint8_t);
void	 frame_put_u32(struct frame_writer *, uint32_t);
void	 frame_put_u64(struct frame_writer *, uint64_t);
void	 frame_put_text(struct frame_writer *, const char *, size_t n);
void	 frame_put_span(struct frame_writer *, struct span);	/* the same of a span */

/* Does this machine have an account of that name? */
bool	 proc_knows_user(const char *user);
/*
 * Become user (its uid, gid and groups) for good, with no way back; verified.
 * SP_ENOENT: no such user; SP_EIO: the system refused (errno). user NULL or "":
 * SP_OK while not root, nothing to drop; SP_EINVAL for root.
 */
int	 proc_drop_to(const char *user);
/* No new privileges, no core dumps with secrets. Best effort, for every process of ours. */
void	 proc_harden(void);
/* Close every descriptor above standard error but these n (those that are negative count for nothing). */
void	 proc_close_all_but(const int *keep, size_t n);
/* Raise the soft limit of open files to at least want or the hard limit; returns what holds now. */
size_t	 proc_want_files(size_t want);

#endif
