/*
 * net/keyd_int.h - what the files of keyd, and net/tls.c, share. Private to net.
 */
#ifndef SALLYPORT_NET_KEYD_INT_H
#define SALLYPORT_NET_KEYD_INT_H

#include <stddef.h>
#include <stdint.h>

/* The process itself: returns never, ends when control does. */
_Noreturn void net_keyd_main(int control, const char *run_as, bool sandbox);

/*
 * What it does with what it is asked, without the process around it: one frame that has come to fd, which
 * is control or a channel that was given over it. The frame lies in *m, and is wiped.
 */
struct keyd;
struct chan_msg;
enum net_keyd_turn {
	NET_KEYD_SERVED,	/* and answered */
	NET_KEYD_GONE,		/* the other side is, or does not take its answers: the channel may be closed */
	NET_KEYD_WRONG		/* *wrong says what nobody of ours would send: keyd has to end */
};
struct keyd *net_keyd_new(int control);
void	 net_keyd_free(struct keyd *);	/* with its keys, its channels and control */
enum net_keyd_turn net_keyd_serve(struct keyd *, int fd, struct chan_msg *, const char **wrong);

/* Use once, without a key of anybody's, what will be used. */
void	 net_keyd_warm(void);
/* The name of a key by its public half. Never 0. */
uint64_t net_key_id(const unsigned char *spki, size_t n);

#endif
