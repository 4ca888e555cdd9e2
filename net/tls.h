/*
 * net/tls.h - TLS contexts, verification, and the peer's proven names as plain strings.
 *
 * Material (certificate chain, key, trust anchors, CRLs) is read from files
 * once, checked completely, and is immutable then; each worker makes its own
 * contexts from it in its own OSSL_LIB_CTX (facts: shared contexts cost locks).
 * A renewal is new material and new contexts; connections keep what they have.
 *
 * TLS 1.2 and 1.3; tickets, session cache, compression and renegotiation off.
 */
#ifndef SALLYPORT_NET_TLS_H
#define SALLYPORT_NET_TLS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "common/span.h"
#include "policy/reason.h"

enum net_tls_ask {
	NET_TLS_ASK_NONE = 0,	/* users: no certificate is asked for */
	NET_TLS_ASK_OPTIONAL,	/* asked for, not required; one that is shown must verify */
	NET_TLS_ASK_REQUIRED	/* mutual TLS */
};

/* Where material comes from. Strings are borrowed during load. */
struct net_tls_files {
	const char	*certificate;	/* PEM: our chain, leaf first */
	const char	*key;		/* PEM, unencrypted, not readable by others than owner and group */
	const char	*trust;		/* PEM bundle of anchors; NULL: nobody is trusted */
	const char	*crl;		/* PEM file, or directory of PEM files, each with a list; NULL: no revocation check */
	bool		 dials;		/* the certificate is shown where we connect, and nowhere else */
	struct net_keyd	*keyd;		/* who gets the key, as an open file, and keeps it; NULL: this process reads it */
};

struct net_tls_material;

/*
 * Read and check: the chain parses, the key fits the leaf, anchors and CRLs
 * parse. report is called for each problem with a text that names the file;
 * fatal says whether it prevents loading (an expired own certificate does not:
 * it starts, says so, and goes on). SP_OK with one reference for the caller in
 * *out, else SP_ECERT or SP_EIO and *out NULL.
 */
int	 net_tls_material_load(struct net_tls_material **out, const struct net_tls_files *,
	    void (*report)(void *arg, bool fatal, const char *text), void *arg);
/*
 * Material whose key keyd has, as bytes for another process of ours, and back: one
 * reference for the caller, *rest moved on, NULL when they are none (which is a break-in).
 */
void	 net_tls_material_pack(const struct net_tls_material *, FILE *to);
struct net_tls_material *net_tls_material_unpack(struct span *rest);
/* The name of its key at keyd; 0: the key is here. */
uint64_t net_tls_material_key(const struct net_tls_material *);
struct net_tls_material *net_tls_material_ref(struct net_tls_material *);	/* any thread */
void	 net_tls_material_unref(struct net_tls_material *);			/* wipes the key; NULL: nothing */
/* Does the own leaf prove this host name, to peers that go by RFC 5922 (no subject CN, no wildcard)? */
bool	 net_tls_material_proves(const struct net_tls_material *, const char *name);
/* Own leaf's end, for status and warnings. */
time_t	 net_tls_material_not_after(const struct net_tls_material *);
/* SHA-256 over all its bytes: did a reload change anything? */
void	 net_tls_material_digest(const struct net_tls_material *, unsigned char out[32]);

/*
 * What a door, or a way out, would make of a certificate that somebody shows, without
 * any connection: the certificate of files, chain behind the leaf, judged by their
 * anchors and revocation lists (the key is not looked at) and by lists, which may be
 * NULL. called: the name that was called, lower-case; NULL: its owner connects.
 *
 * SP_OK with everything in *peer, whose why says what is wrong, if anything;
 * SP_EIO or SP_ECERT after report, when the files cannot be read. *peer is to be
 * given to net_tls_examined() in any case.
 */
struct net_peer;
struct net_tls_lists;
int	 net_tls_examine(struct net_peer *, const struct net_tls_files *, const char *called, bool accept_cn,
	    struct net_tls_lists *, void (*report)(void *arg, bool fatal, const char *text), void *arg);
void	 net_tls_examined(struct net_peer *);

/*
 * One worker's OpenSSL library context. It lives on until its last context is
 * gone. Made, used and freed by one and the same thread: OpenSSL keeps, in each
 * thread, notes on what it used, and finds them dangling at the thread's end
 * when the context was freed elsewhere.
 */
struct net_tls_lib;
struct net_tls_lib *net_tls_lib_new(void);
void	 net_tls_lib_free(struct net_tls_lib *);
/*
 * Keys that keyd has sign over this channel, one of net_keyd_channels(). The caller's to close, after
 * the lib is gone. Before the first context.
 */
void	 net_tls_lib_keys(struct net_tls_lib *, int channel);

/*
 * One role of one identity in one worker. Never NULL, since load() has tried the
 * same before. Connections hold references of their own; so does the lib, to the
 * material, while a context made from it is in use. One thread only.
 *
 * Whoever shows a certificate has it verified: chain to an anchor, dates, strength
 * (RSA 2048, EC 224, no SHA-1), revocation of the leaf if there are CRLs (no list of
 * its issuer, or one out of date, refuses), no authority's certificate, and extended
 * key usage: a client's must allow TLS in either role (or say nothing), a server's
 * must allow serverAuth. What is stricter is policy's: net_peer.usage.
 */
struct net_tls_ctx;
struct net_tls_ctx *net_tls_server(struct net_tls_lib *, struct net_tls_material *, enum net_tls_ask);
struct net_tls_ctx *net_tls_client(struct net_tls_lib *, struct net_tls_material *);
void	 net_tls_ctx_unref(struct net_tls_ctx *);
/* Accept a subject CN when the certificate has no dNSName (old peers). Default: no. */
void	 net_tls_ctx_accept_cn(struct net_tls_ctx *, bool);

/*
 * Certificates that are known one by one, before any chain: refused ones (SHA-256
 * of the certificate), whose handshake fails; and pinned keys (SHA-256 of the
 * SubjectPublicKeyInfo). Whose key is pinned gets through the handshake although
 * its chain, dates, usage or name would not do, as in RFC 7671 5.1 (DANE-EE), but
 * as net_peer.unverified: it has proved to hold that key and nothing else, and
 * the owner decides in opened() whose key it is. A refused or revoked certificate
 * and a weak key are refused all the same. What is neither refused nor pinned
 * is judged as if there were no lists.
 *
 * Immutable; the arrays are copied, in any order. Counted without atomics: one
 * thread only.
 */
struct net_tls_lists;
struct net_tls_lists *net_tls_lists_new(const unsigned char (*pins)[32], size_t npins,
	    const unsigned char (*refused)[32], size_t nrefused);
struct net_tls_lists *net_tls_lists_ref(struct net_tls_lists *);
void	 net_tls_lists_unref(struct net_tls_lists *);	/* NULL: nothing */
/* From the next handshake on; takes a reference of its own. NULL: none, as at first. */
void	 net_tls_ctx_lists(struct net_tls_ctx *, struct net_tls_lists *);

#define NET_PEER_NAMES_MAX	64	/* names of one certificate that count; those behind are not looked at */

/* What a certificate may be used for; both when it does not say. */
enum {
	NET_USAGE_SERVER = 1 << 0,	/* serverAuth */
	NET_USAGE_CLIENT = 1 << 1	/* clientAuth */
};

/*
 * What a connection proved. Owned by the stream, valid until it is freed. What
 * is in the certificate is told also when that was refused, or let through for
 * its pinned key alone: without has_certificate these are its words, not proven.
 */
struct net_peer {
	bool			 shown;		/* a certificate was shown */
	bool			 has_certificate; /* shown, and chain, dates, usage and CRL verified */
	bool			 unverified;	/* shown, not verified, and let through since its key is pinned */
	enum policy_reason	 why;		/* shown and not verified: what is wrong with it */
	const char		*fault;		/* the same as a static text */
	const struct span	*names;		/* dNSName and host of sip: URI SANs (RFC 5922 7.1), lower-case, no wildcards */
	unsigned		 nnames;
	unsigned		 usage;		/* NET_USAGE_*: never 0 for a verified certificate */
	unsigned char		 fingerprint[32]; /* SHA-256 of the certificate */
	unsigned char		 spki[32];	/* SHA-256 of its public key (SubjectPublicKeyInfo) */
	time_t			 not_after;
	char			 common_name[256]; /* the subject's only CN, lower-case, when there is no dNSName; never a name by itself */
	char			 subject[256];	/* one line, escaped by us */
	char			 issuer[256];
	char			 serial[64];	/* hex */
	const char		*protocol;	/* "TLSv1.3", static; NULL before the end of the handshake */
};

/* Lets go of the names; the rest stays. */
void	 net_peer_fini(struct net_peer *);
/*
 * What our own leaf says, as its peers read it: what net_peer has of a certificate
 * that was shown. *out is zeroed before; net_peer_fini() it. False: it cannot be read (out is empty).
 */
bool	 net_tls_material_leaf(const struct net_tls_material *, struct net_peer *out);

/* Is name (lower-case) among the proven names, exactly (RFC 9525; never by wildcard)? Of an unverified certificate, never. */
bool	 net_peer_proves(const struct net_peer *, struct span name);

#endif
