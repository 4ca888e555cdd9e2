/*
 * net/keyd_int.h - what the files of keyd, and net/tls.c, share. Private to net.
 */
#ifndef SALLYPORT_NET_KEYD_INT_H
#define SALLYPORT_NET_KEYD_INT_H

#include <stddef.h>
#include <stdint.h>

/* The process itself: returns never, ends when control does. */
_Noreturn void net_keyd_main(int control, const char *run_as, bool sandbox);
/* Use once, without a key of anybody's, what will be used. */
void	 net_keyd_warm(void);
/* The name of a key by its public half. Never 0. */
uint64_t net_key_id(const unsigned char *spki, size_t n);

#endif
