/*
 * tests/bench/wire.h - TLS connections, framing and small tools that the load
 * generator and the far end share.
 *
 * Cheap rather than careful: both must cost less than any proxy between them.
 * One thread, level-triggered epoll, nothing allocated per message. Errors of
 * set-up end the program; errors of a connection are returned.
 */
#ifndef SALLYPORT_TESTS_BENCH_WIRE_H
#define SALLYPORT_TESTS_BENCH_WIRE_H

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_CHUNK	131072	/* what one read may bring, and one batch hold */
#define WIRE_OWED_MAX	(8u << 20)	/* unsent bytes after which a peer is cut */

/* A TLS connection. Buffers exist only while part of a message waits in them. */
struct wire {
	int		 fd;
	int		 epfd;
	SSL		*ssl;
	void		*tag;		/* what epoll hands back */
	uint32_t	 events;	/* what epoll watches now */
	char		*held;		/* start of a message not yet whole */
	size_t		 held_len;
	char		*owed;		/* sealed later: the socket was full */
	size_t		 owed_len;
	size_t		 owed_cap;
};

struct wire_tls {
	const char	*cert;		/* PEM chain; NULL: none */
	const char	*key;
	const char	*ca;		/* peers must prove descent; NULL: any peer */
	bool		 server;
	bool		 tls12;		/* offer TLS 1.2 only */
	const char	*ciphers;	/* of TLS 1.2; NULL: what OpenSSL offers */
};

/* Print "program: ..." with errno or OpenSSL's reason, and exit 1. */
void	die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/* The same without a reason from the system. */
void	give_up(const char *fmt, ...)
	    __attribute__((format(printf, 1, 2), noreturn));

/* Monotonic clock in nanoseconds. */
uint64_t	now_ns(void);

/* Raise the limit of open files to what the system grants. */
void	wire_raise_files(void);

/* "127.0.0.1:5061" to an address; ends the program when it is none. */
struct sockaddr_in wire_address(const char *text);

/* A context with tickets and session cache off, buffers released when idle. */
SSL_CTX	*wire_ctx(const struct wire_tls *);

/*
 * Start a client connection (from != NULL: bound to that address), or adopt
 * an accepted socket. The handshake goes on in wire_shake(). Returns 0, or -1
 * when the socket could not be had; then nothing is left open.
 */
int	wire_connect(struct wire *, SSL_CTX *, int epfd, void *tag,
	    const struct sockaddr_in *to, const struct sockaddr_in *from,
	    const char *name);
int	wire_adopt(struct wire *, SSL_CTX *, int epfd, void *tag, int fd);

/* Wait for what the peer sends, without a handshake. */
void	wire_await(struct wire *);

/* One step of the handshake: 1 done, 0 waiting, -1 failed. */
int	wire_shake(struct wire *);

/*
 * Read what there is into buf (WIRE_CHUNK bytes), after what was held back.
 * Returns the bytes in buf, 0 when nothing came, -1 when the peer is gone.
 */
long	wire_read(struct wire *, char *buf);

/* True when TLS still has bytes that epoll will not announce. */
bool	wire_pending(const struct wire *);

/* Keep the unfinished tail of a read for the next one. 0, or -1: too long. */
int	wire_hold(struct wire *, const char *tail, size_t len);

/* Send all, now or when the socket drains. 0, or -1: gone, or a slow reader. */
int	wire_write(struct wire *, const char *, size_t len);

/* Send what is owed. 0, or -1 when the peer is gone. */
int	wire_flush(struct wire *);

/* Close and forget; harmless on a closed one. */
void	wire_close(struct wire *);

/*
 * The length of the first whole SIP message in p, 0 when more must come, -1
 * when it is not one. *head receives the length up to and with the blank line.
 * Empty lines before a message (keep-alives) are counted into *skip.
 */
long	sip_frame(const char *p, size_t len, size_t *skip, size_t *head);

#endif
