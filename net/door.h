/*
 * net/door.h - listening on exactly one interface address.
 *
 * A door's sockets are made before privileges are dropped, one per worker
 * (SO_REUSEPORT), and each worker accepts on its own. The unspecified address
 * is refused: a door that faces both sides is no door.
 */
#ifndef SALLYPORT_NET_DOOR_H
#define SALLYPORT_NET_DOOR_H

#include <stddef.h>

#include "net/addr.h"
#include "net/loop.h"

#define NET_ACCEPT_BUDGET	16	/* connections taken per wake-up, so that a flood starves nobody */

struct net_door;

struct net_door_ops {
	/*
	 * A connection: fd is non-blocking, close-on-exec, TCP_NODELAY, and the
	 * callee's to close. Refusing it is closing it.
	 */
	void	(*accepted)(void *arg, int fd, const struct net_addr *from);
	/* accept() failed for want of descriptors or memory; the door pauses 100 ms by itself. May be NULL. */
	void	(*starved)(void *arg, int error);
};

/*
 * n listening sockets on addr into fds[]; port 0 takes any, the same for all
 * (tests). SP_OK, or SP_EINVAL (unspecified address), SP_EIO (errno; also when
 * anybody else listens there); after an error all of fds[] is -1.
 */
int	 net_door_bind(const struct net_addr *addr, unsigned n, int *fds);
/*
 * The same with sockets that somebody has bound already (socket activation, or the process before
 * this one): those of held[0..nheld) that listen on addr are taken, and set to -1 there. Where there are
 * fewer than n, several workers accept on one; where there are more, the rest is closed. SP_ENOENT: there
 * is none.
 */
int	 net_door_adopt(const struct net_addr *addr, unsigned n, int *fds, int *held, size_t nheld);
/* Accept on fd (taken over) in this loop; ops is borrowed while the door is open. NULL: fd cannot be watched (errno). */
struct net_door *net_door_open(struct net_loop *, int fd, const struct net_door_ops *, void *arg);
/* Stop accepting and close the socket; also from accepted() and starved(). NULL: nothing. */
void	 net_door_close(struct net_door *);
/* Stop and go on accepting (draining, connection limit). The socket stays open. */
void	 net_door_pause(struct net_door *, bool paused);

#endif
