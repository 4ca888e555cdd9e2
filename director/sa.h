/*
 * director/sa.h - security associations: who has signed in from where, and the keys (MS 3).
 *
 * One table for all workers. An association belongs to an endpoint (address of
 * record and epid), not to a connection, and messages of one client may come
 * over any link: an edge has one to each worker and chooses by its own
 * lights. So the table is shared, in parts with a lock each, held only to
 * find an entry and copy what is needed; hashing is done outside of it. The
 * alternative, a worker that owns the association and gets mail, would hold
 * each message back for a trip through two loops, and sign what is sent to a
 * client on another thread than the one that sends it.
 *
 * opaque is the name that the client gives an association: 32 random bits,
 * of which the lowest name the part of the table. All functions: any thread.
 */
#ifndef SALLYPORT_DIRECTOR_SA_H
#define SALLYPORT_DIRECTOR_SA_H

#include <stdbool.h>
#include <stdint.h>

#include "common/hash.h"
#include "common/span.h"
#include "director/authd.h"
#include "director/endpoint.h"
#include "director/gss.h"
#include "director/ntlm.h"

enum sa_scheme { SA_NONE = 0, SA_NTLM, SA_KERBEROS, SA_NSCHEMES };

const char *sa_scheme_name(enum sa_scheme);	/* as it stands in messages; "" for SA_NONE */

#define SA_SIGNATURE_MAX	64	/* bytes of any scheme's */

/* What an association signs and verifies with. Copied with sa_keys_copy(), let go with sa_keys_wipe(). */
struct sa_keys {
	enum sa_scheme		 scheme;
	struct ntlm_keys	 ntlm;		/* SA_NTLM */
	struct gss_session	*gss;		/* SA_KERBEROS; a reference */
};
void	 sa_keys_copy(struct sa_keys *out, const struct sa_keys *);
/* The server's signature; returns its size. */
size_t	 sa_keys_sign(const struct sa_keys *, struct span text, unsigned char out[SA_SIGNATURE_MAX]);
/* Is it the client's? In time that does not depend on how much of it is right. */
bool	 sa_keys_verify(const struct sa_keys *, struct span text, struct span signature);
void	 sa_keys_wipe(struct sa_keys *);	/* all zero: nothing */

struct sa_limits {
	uint32_t	 total;		/* established ones */
	uint32_t	 per_user;	/* beyond it the user's least recently used one ends */
	uint32_t	 half_open;	/* handshakes in progress; beyond it the oldest ends */
	uint64_t	 half_open_ms;	/* time for the client's answer */
	uint64_t	 idle_ms;	/* without a message of the client, at most: see sa_registered() */
	uint64_t	 lifetime_ms;
};

struct sa_table;
/*
 * The key is that of the endpoints' numbers, which stand in routes: Directors that
 * share it, and this one after a restart, give an endpoint the same number. It is copied.
 */
struct sa_table *sa_table_new(const struct sa_limits *, const unsigned char key[HASH_KEY_SIZE]);
void	 sa_table_free(struct sa_table *);	/* wipes; NULL: nothing */
uint32_t sa_established(const struct sa_table *);
/* One of them, for the administrator. Strings are valid during the call. */
struct sa_row {
	const char	*aor, *epid;	/* the user's; and the client's own name of its device */
	enum sa_scheme	 scheme;
	unsigned	 version;
	uint64_t	 silent_ms;	/* since a message of the client */
	uint64_t	 left_ms;	/* until it ends, whatever happens */
};
/*
 * Every established one, in no order, until fn says false; a part of the table is
 * locked meanwhile, so fn is short and calls nothing here.
 */
void	 sa_each(struct sa_table *, uint64_t now_ms, bool (*fn)(void *arg, const struct sa_row *), void *arg);
/* Let go what has expired; from time to time, by anybody. */
void	 sa_sweep(struct sa_table *, uint64_t now_ms);

/*
 * Who says so: unproven until the handshake is done. conn: a number for the connection, the same only for the same one.
 * source: one for the address that it comes from; whoever begins more handshakes than others is the first to lose one.
 */
struct sa_claim {
	struct span	 aor, epid;
	uint64_t	 conn, source;
};
/* A number for an endpoint, never 0. Two endpoints may have the same: the address of record tells them apart. */
uint32_t sa_endpoint(const struct sa_table *, struct span aor, struct span epid);

/*
 * A handshake begins: opaque, or 0 if there is no room. context is authd's name for it.
 */
uint32_t sa_begin(struct sa_table *, enum sa_scheme, const struct sa_claim *, uint64_t context, uint64_t now_ms);
/*
 * The client's answer has come: true once, for the same endpoint over the same
 * connection, in time. *context is what authd wants to hear.
 */
bool	 sa_take(struct sa_table *, uint32_t opaque, enum sa_scheme, const struct sa_claim *, uint64_t now_ms,
	    uint64_t *context);
/*
 * It is proved. opaque 0: without a challenge before (Kerberos). lifetime_s 0: as long as the table
 * allows. Returns opaque, or 0 if there is no room (or the handshake is gone). Nothing that was there
 * before changes: whoever proved it may still be refused, and what the endpoint has stays in force until
 * sa_settle(). For that there is as much time as for a handshake.
 */
uint32_t sa_establish(struct sa_table *, uint32_t opaque, const struct sa_claim *, unsigned version,
	    const struct sa_keys *, const struct authd_user *, uint32_t lifetime_s, uint64_t now_ms);
/*
 * Its user is served: from now on it is the endpoint's association. The earlier one of the endpoint ends, and the user's
 * least recently used one if there are too many. Nothing, if it is that already, or claims to be of somebody else than
 * who proved it.
 */
void	 sa_settle(struct sa_table *, uint32_t opaque, uint64_t now_ms);
void	 sa_end(struct sa_table *, uint32_t opaque);
/* The same, if it was made over that connection. */
void	 sa_end_of(struct sa_table *, uint32_t opaque, uint64_t conn);

/* A copy of an established association. Wiped with sa_keys_wipe(&v->keys). */
struct sa_view {
	uint32_t		 opaque, endpoint;
	unsigned		 version;	/* of the protocol: 2, 3, 4 */
	bool			 settled;
	bool			 is_true;	/* it claims to be of the user who proved it */
	uint64_t		 conn;
	uint64_t		 looked_ms;	/* when the directory was asked about the user */
	char			 epid[ENDPOINT_EPID_MAX + 1];
	struct sa_keys		 keys;
	struct authd_user	 user;
};
bool	 sa_get(struct sa_table *, uint32_t opaque, uint64_t now_ms, struct sa_view *);
/* The settled association of an endpoint, 0 if there is none. aor empty: of whichever user has that number. */
uint32_t sa_of_endpoint(struct sa_table *, uint32_t endpoint, struct span aor, uint64_t now_ms);
/* A message with this number was verified: false if that number was used, or is too old to know (window: 256). */
bool	 sa_use(struct sa_table *, uint32_t opaque, uint32_t cnum, uint64_t now_ms);
/*
 * The client is registered for so long, and will register again before that is over if it is still
 * there. So the association is idle for no longer than that and SA_GRACE_MS. Its connection may be gone
 * long before, which behind an edge nobody tells us; MS-SIPAE has an association outlive it, as
 * long as the registration (MS 3.6).
 */
#define SA_GRACE_MS	60000
void	 sa_registered(struct sa_table *, uint32_t opaque, uint64_t for_ms);
/* What the directory says now. */
void	 sa_renew_user(struct sa_table *, uint32_t opaque, const struct authd_user *, uint64_t now_ms);

/* All that it takes to sign one message: keys and a number not used before. */
struct sa_pen {
	uint32_t	 snum;
	unsigned	 version;
	struct sa_keys	 keys;
};
bool	 sa_pen(struct sa_table *, uint32_t opaque, uint64_t now_ms, struct sa_pen *);

#endif
