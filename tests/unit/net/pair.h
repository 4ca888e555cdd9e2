/*
 * tests/unit/net/pair.h - a loop, a door, and streams on both sides of it.
 *
 * One loop and one set of buffers serve both ends, so every test also shows
 * that streams do not disturb each other.
 */
#ifndef SALLYPORT_TESTS_UNIT_NET_PAIR_H
#define SALLYPORT_TESTS_UNIT_NET_PAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/door.h"
#include "net/loop.h"
#include "net/stream.h"
#include "net/tls.h"

/* One end, and what it was told. */
struct end {
	struct net_stream	*s;		/* NULL after closed() */
	bool			 opened, closed;
	unsigned		 nclosed, ndrained, nreceived;
	enum policy_reason	 reason;
	const char		*detail;
	size_t			 got;		/* bytes received */
	uint64_t		 sum;		/* over them and their places */
	char			 head[512];	/* the first of them */
	/* what the peer was when it opened */
	bool			 has_certificate, unverified;
	enum policy_reason	 why;
	unsigned		 nnames;
	char			 names[4][64];
	char			 sni[256], protocol[16], subject[256];
	unsigned		 usage;
	/* what it had shown, when it closed */
	bool			 shown;
	unsigned char		 fingerprint[32];
	/* orders */
	bool			 echo, close_on_data, close_on_open, pause_on_open;
};

#define ENDS_MAX	512

struct world {
	struct net_loop		*loop;
	struct net_streams	*streams;
	struct net_tls_lib	*lib;
	struct net_tls_ctx	*server, *client;
	struct net_door		*door;
	struct net_addr		 at;		/* the door's */
	struct net_addr		 to;		/* what dial() calls: the door, or a relay before it */
	struct net_stream_limits limits;	/* of accepted streams */
	struct net_stream_limits out_limits;	/* of connecting ones */
	struct end		 in[ENDS_MAX];	/* accepted, in order */
	unsigned		 nin;
	struct end		 order;		/* accepted ends start as a copy of this */
};

/* Materials by name of the certificate; trust "ca". crl NULL: none. Aborts unless it loads. */
struct net_tls_material *material(const char *name, const char *trust, const char *crl);

/* A door at 127.63.x.1 with this certificate; the client has its own. */
void	world_init(struct world *, const char *server, enum net_tls_ask, const char *client, const char *crl);
void	world_fini(struct world *);		/* asserts that nothing is left */
/* Swap a context; the old one lives on in its streams. */
void	world_server(struct world *, const char *cert, enum net_tls_ask, const char *crl);
void	world_client(struct world *, const char *cert, const char *crl);
void	dial(struct world *, struct end *, const char *name);
/* A plain TCP connection to the door, non-blocking. */
int	dial_raw(struct world *);
/* Turn the loop until cond, or fail after half a minute. */
#define UNTIL(w, cond) do { \
	uint64_t until_ = real_ms() + 30000; \
	while (!(cond)) { \
		ck_assert_msg(real_ms() < until_, "never came true: %s", #cond); \
		net_loop_once((w)->loop, 20); \
	} \
} while (0)
uint64_t real_ms(void);
extern const struct net_stream_ops end_ops;

#endif
