/*
 * tests/unit/sip/stage.h - one relay in the middle, users on one side of it and
 * servers on the other, all in one loop, over real TLS, with a clock that stands
 * still until a test moves it.
 */
#ifndef SALLYPORT_TESTS_UNIT_SIP_STAGE_H
#define SALLYPORT_TESTS_UNIT_SIP_STAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/door.h"
#include "net/stream.h"
#include "sip/relay.h"

#define SERVERS		3
#define PEERS		24

/* One end of a connection to the relay. */
struct peer {
	struct net_stream	*s;		/* NULL once it is closed */
	bool			 used, opened, closed;
	char			*text;		/* what came, NUL-terminated */
	size_t			 n, at;		/* at: how much of it was looked at */
};

/* A next hop: "one.example.com", "two.example.com", "three.example.com". */
struct server {
	struct stage		*st;
	char			 name[32];
	char			 host[32];
	struct net_tls_ctx	*server, *client;
	struct net_addr		 at;
	struct net_door		*door;		/* NULL: nobody listens there */
	struct peer		*last;		/* who connected last */
	unsigned		 naccepted;
	struct sip_hop		*hop;
};

enum stage_mode { FORWARD = 0, REFUSE, ANSWER, DROP, HOLD };

struct stage {
	uint64_t		 ms;		/* the clock */
	struct net_worker	*worker;
	struct net_tls_lib	*lib;
	struct net_streams	*streams;	/* of the peers */
	struct net_dns		*dns;
	struct sip_relay	*relay;
	struct sip_face		 outer, inner;
	struct net_door		*outer_door, *inner_door;
	struct net_addr		 outer_at, inner_at;
	/* stage_init_two(): a second worker, whose turns come after the first one's, with an outer door of its own */
	struct net_crew		*crew;
	struct net_worker	*worker2;
	struct sip_relay	*relay2;
	struct sip_relay_set	*relays;
	struct net_door		*outer2_door;
	struct net_addr		 outer2_at;
	struct net_tls_ctx	*user;		/* a client without a certificate */
	struct server		 server[SERVERS];
	struct peer		 peer[PEERS];
	unsigned		 nhops;		/* how many of the servers are targets, in order */
	/* what the relay's owner does, and was told */
	enum stage_mode		 mode;
	uint64_t		 to_link;	/* plan.link */
	enum policy_reason	 gone;
	struct sip_held		*held;
	unsigned		 nrequests, nresponses, nmade, nown, nrefused, nclosed;
	char			 last_method[32];
	enum policy_reason	 refused, answered, link_closed;	/* the last ones */
	uint64_t		 opened_link;	/* id of the link that opened last */
	char			 refused_detail[64];
};

/* limits NULL: the defaults. Servers are there; they listen from server_open() on. */
void	stage_init(struct stage *, const struct sip_relay_limits *);
/* Frees the relay with whatever is in flight, and asserts that nothing is left. */
void	stage_fini(struct stage *);
void	stage_init_two(struct stage *);
/* stage_init(), with so many servers that listen and so many that are targets. */
void	stage_begin(struct stage *, const struct sip_relay_limits *, unsigned listening, unsigned nhops);
void	stage_turn(struct stage *, int wait_ms);
/* Let happen what can happen now. */
void	stage_settle(struct stage *);
/* Time passes, in steps of at most a second. */
void	stage_pass(struct stage *, uint64_t ms);
#define UNTIL(st, cond) do { \
	unsigned turns_ = 0; \
	while (!(cond)) { \
		ck_assert_msg(++turns_ < 3000, "never came true: %s", #cond); \
		stage_turn(st, 10); \
	} \
} while (0)

void	server_open(struct stage *, unsigned i);
void	server_close(struct stage *, unsigned i);	/* stop listening; connections stay */
/* It proves another name than the one that is dialled. */
void	server_impostor(struct stage *, unsigned i);

/* A user at the outer door; server i at the inner door. Open when they return. */
struct peer *user_dial(struct stage *);
struct peer *user_dial_two(struct stage *);	/* at the second worker's door */
struct peer *server_dial(struct stage *, unsigned i);
void	peer_send(struct peer *, const char *text);
void	peer_close(struct stage *, struct peer *);
/* Server i has a connection; the peer at its far end. */
struct peer *server_peer(struct stage *, unsigned i);
/* The next whole message; fails when none comes. Valid until the 16th call after it. */
const char *peer_next(struct stage *, struct peer *);
/* Nothing more came. */
bool	peer_quiet(struct stage *, struct peer *);

/* Texts, in static storage of 16 in turn. headers: whole lines, or "". */
const char *request(const char *method, const char *branch, unsigned cseq, const char *headers, const char *body);
/* To a request as it came, with a To tag unless status is below 200. */
const char *reply(const char *to, const char *status, const char *headers);
/* Value of a header's first line of that name, or "". */
const char *value(const char *message, const char *name);
unsigned status_of(const char *message);
#define ck_answers(st, peer, want) do { \
	const char *answer_ = peer_next(st, peer); \
	ck_assert_msg(status_of(answer_) == (want), "wanted %d, got: %s", (want), answer_); \
} while (0)

#endif
