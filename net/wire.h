/*
 * net/wire.h - a BIO over borrowed buffers: TLS without a buffer per connection.
 *
 * OpenSSL reads ciphertext from where recv() has put it and writes ciphertext
 * to where send() will take it from. There is one wire per worker: a stream
 * sets the input, calls OpenSSL, and has emptied both sides before the next
 * stream comes. Private to net.
 */
#ifndef SALLYPORT_NET_WIRE_H
#define SALLYPORT_NET_WIRE_H

#include <stddef.h>

#include <openssl/bio.h>

#define NET_RECORD_MAX	16384			/* plain bytes of one TLS record (RFC 8446 5.1) */
#define NET_RECORD_FAT	512			/* more than header, MAC and padding ever add */

#define NET_WIRE_IN	65536			/* taken from the kernel at once */
#define NET_WIRE_OUT	(4 * (NET_RECORD_MAX + NET_RECORD_FAT))	/* given to the kernel at once */
/*
 * All that NET_WIRE_IN can become: with it may end one record that began before;
 * and one more, so that there is always room to ask for the next.
 */
#define NET_WIRE_PLAIN	(NET_WIRE_IN + 2 * NET_RECORD_MAX)

struct net_wire {
	const char	*in;		/* ciphertext not yet read by OpenSSL */
	size_t		 nin;
	size_t		 nout;		/* of out: written by OpenSSL, not yet sent */
	char		 out[NET_WIRE_OUT];
};

/* A BIO for one SSL (both sides). The wire must outlive it. NULL: out of memory. */
BIO	*net_wire_bio(struct net_wire *);

#endif
