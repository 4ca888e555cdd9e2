/*
 * sip/flow.h - flow tokens and signed routes: how a later message finds back.
 *
 * Every Record-Route and Path URI that we write carries a token (which of our
 * connections, and what kind of far end) and a signature over the token, our
 * host name and port and, for dialogs, the Call-ID: HMAC-SHA-256, base64url,
 * behind the number of its key. Nothing outside can make one, change one or move
 * one to another dialog. Keys are a ring: the newest signs, all verify.
 *
 * A Record-Route has the signature (18 bytes) in ms-route-sig (MS 7.4); a Path,
 * of which registrars keep few bytes, has both (11 bytes) in its user part
 * (RFC 5626 5.2):
 *
 *	sip:ap-int.example.com:5061;transport=tls;opaque=state:Ci.R10000a00000007;lr;ms-route-sig=AQ...
 *	sip:CP10000a00000007.AQkJ3vZ0xY5sWlq7@ap-int.example.com;transport=tls;lr
 */
#ifndef SALLYPORT_SIP_FLOW_H
#define SALLYPORT_SIP_FLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "common/span.h"
#include "common/strbuf.h"
#include "sip/grammar.h"

enum sip_flow_kind {
	SIP_FLOW_NONE = 0,
	SIP_FLOW_USER,		/* link is a client's connection: only that connection will do */
	SIP_FLOW_PEER,		/* link is a server's connection: another to the same server will do as well */
	SIP_FLOW_HERE		/* no connection: the message is routed anew by whoever wrote the token */
};

struct sip_flow {
	enum sip_flow_kind	 kind;
	bool			 path;		/* of a Path: not bound to a Call-ID */
	bool			 paired;	/* of a Record-Route whose neighbour is the same passage's other side */
	bool			 sips;		/* to be written with that scheme; not read, since a signature is the same for both */
	uint64_t		 link;		/* sip_link_id() */
	uint32_t		 extra;		/* the owner's, e.g. which next hop */
	uint32_t		 who;		/* the owner's, e.g. for whom what comes along it is signed */
};

struct sip_flow_keys;
#define SIP_FLOW_KEYS_MAX	8
#define SIP_FLOW_KEY_SIZE	32

/* A ring with one random key. */
struct sip_flow_keys *sip_flow_keys_new(void);
/* A ring from n stored keys (32 bytes each), the last one signs; 1 <= n <= SIP_FLOW_KEYS_MAX. */
struct sip_flow_keys *sip_flow_keys_from(const unsigned char *keys, unsigned n);
struct sip_flow_keys *sip_flow_keys_ref(struct sip_flow_keys *);	/* any thread; immutable */
void	 sip_flow_keys_unref(struct sip_flow_keys *);			/* wipes */
bool	 sip_flow_keys_same(const struct sip_flow_keys *, const struct sip_flow_keys *);
/*
 * The ring for when `now` takes the place of `before`: now's keys, and before them (so that they verify and never sign) those that
 * only `before` has; the oldest are left out where there is no room.
 */
struct sip_flow_keys *sip_flow_keys_after(const struct sip_flow_keys *before, const struct sip_flow_keys *now);
/* The ring as sip_flow_keys_from() takes it; how many. The caller wipes it. */
unsigned sip_flow_keys_copy(const struct sip_flow_keys *, unsigned char out[SIP_FLOW_KEYS_MAX * SIP_FLOW_KEY_SIZE]);

/*
 * A secret for another use, out of the oldest key of the ring, so that it stays while keys are
 * added; `use` names it. All who share the ring have the same.
 */
void	 sip_flow_keys_derive(const struct sip_flow_keys *, const char *use, unsigned char out[SIP_FLOW_KEY_SIZE]);

/* A signer for one thread (keeps a keyed context; 0.2 us a signature). */
struct sip_flow_signer;
struct sip_flow_signer *sip_flow_signer_new(struct sip_flow_keys *);
void	 sip_flow_signer_free(struct sip_flow_signer *);
/* From now on it goes by that ring. In its thread. */
void	 sip_flow_signer_take(struct sip_flow_signer *, struct sip_flow_keys *);

/* Append "<sip:host:port;transport=tls;opaque=...;lr;ms-route-sig=...>". call_id is ignored for a path. */
void	 sip_flow_write(struct sip_flow_signer *, const struct sip_flow *, const char *host, uint16_t port,
	    struct span call_id, struct strbuf *out);
/* Does this URI claim to carry a token of ours at all, rather than our bare name? */
bool	 sip_flow_claims(const struct sip_uri *);
/* Does this URI carry a token whose signature is ours? Then *flow is filled. */
bool	 sip_flow_read(struct sip_flow_signer *, const struct sip_uri *, struct span call_id, struct sip_flow *flow);

#endif
