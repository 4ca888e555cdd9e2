/*
 * net/keyd.h - the process that holds the private keys: it signs, and does nothing else.
 *
 * The master starts it before it reads a certificate, and gives it each key file
 * as an open descriptor, so that no other process has ever a key in its memory.
 * A worker asks it to sign over a channel of its own: which key, how, and what. It signs what has the form of
 * what TLS wants signed (net_key_is_handshake()) and nothing else, no digest of whatever: who has broken into a worker
 * gets handshakes, and neither certificates nor requests to who has issued ours. There is no question that
 * makes it decrypt or tell a key. It has no network and no files (SANDBOX_KEYD); who sends it a wrong frame has
 * broken in somewhere, and it ends.
 *
 * A key is named by its public half, so that the same file read again is the same
 * key, and a keyd that was started again goes on where the one before ended.
 *
 * The master waits for an answer at most 10 seconds; of a keyd that has let it wait so, it asks nothing more until it hears from
 * it (net_keyd_hear()), or has started another.
 */
#ifndef SALLYPORT_NET_KEYD_H
#define SALLYPORT_NET_KEYD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/span.h"
#include "net/worker.h"

#define NET_KEYD_KEYS_MAX	256	/* in it at once; the file of every identity, and what is leaving */
#define NET_KEYD_FILE_MAX	65536	/* bytes of a key file */
#define NET_KEYD_SPKI_MAX	4096	/* bytes of a public key: RSA 16384 is less */
#define NET_KEYD_RATE		20000	/* signatures a second, of all workers; more are refused, and said once */
#define NET_KEYD_PATIENCE_MS	5000	/* a worker waits so long for a signature */
#define NET_KEYD_LEAVING_MS	60000	/* a key that was replaced still signs so long: for handshakes under way */

struct net_keyd;

/*
 * Fork it, as the account run_as (NULL or "": it stays). nworkers channels are made with
 * it. sandbox false is for tracers and valgrind, as the option of that name. NULL: it did not
 * start (logged). Call it while the process has one thread.
 */
struct net_keyd *net_keyd_start(const char *run_as, bool sandbox, unsigned nworkers);
/* Close its channels, which ends it, and wait; one that hangs is killed. False: it did not end in order. NULL: nothing. */
bool	 net_keyd_stop(struct net_keyd *);
pid_t	 net_keyd_pid(const struct net_keyd *);
/* The channel whose end is its end. */
int	 net_keyd_control(const struct net_keyd *);
/*
 * It has ended: start another, with all keys of net_keyd_keep() that can be read
 * again. The channels are new ones, see net_keyd_channels(). SP_OK or SP_EIO (logged).
 */
int	 net_keyd_restart(struct net_keyd *);

/*
 * Give it the key in the file fd (which stays the caller's). SP_OK: *id names it and spki has *n
 * bytes, the DER of its public half (SubjectPublicKeyInfo). SP_ECERT: it is no key that
 * we can use, and why says so; SP_EIO: keyd does not answer.
 */
int	 net_keyd_load(struct net_keyd *, int fd, uint64_t *id, unsigned char spki[NET_KEYD_SPKI_MAX], size_t *n,
	    char *why, size_t size);
/* These are the keys in use now. The others leave, see NET_KEYD_LEAVING_MS. */
void	 net_keyd_keep(struct net_keyd *, const uint64_t *ids, size_t n);
/* Its log goes there from now on. */
void	 net_keyd_log(struct net_keyd *, int fd);
/*
 * New channels for a new proxy, or for a new keyd: the workers' ends into fds[], the caller's to
 * close. SP_OK or SP_EIO. Those that were given before are dead when the proxy that had them is.
 */
int	 net_keyd_channels(struct net_keyd *, int *fds);
/*
 * Ask it whether it is well, unless it has been asked and has not said so yet. Does not wait: when its control channel
 * (net_keyd_control()) can be read, net_keyd_hear() takes what came. True: it is well.
 */
void	 net_keyd_beat(struct net_keyd *);
bool	 net_keyd_hear(struct net_keyd *);
bool	 net_keyd_is_mute(const struct net_keyd *);	/* it is asked nothing just now */
/* In a child of the master: close all that is the master's of it, without ending it. NULL: nothing. */
void	 net_keyd_leave(struct net_keyd *);

/* ---- frames; pure ---- */

/* How it is signed: all that TLS 1.2 and 1.3 ask of us. */
enum net_key_scheme {
	NET_KEY_ECDSA = 1,
	NET_KEY_RSA_PKCS1,	/* TLS 1.2 */
	NET_KEY_RSA_PSS,	/* the salt as long as the digest (RFC 8446 4.2.3) */
	NET_KEY_ED25519,	/* without a digest */
	NET_KEY_NSCHEMES
};

#define NET_KEY_HEAD	15	/* bytes of a question before its content */
#define NET_KEY_SHORT	2048	/* longer content comes as a file (chan_file()) */
#define NET_KEY_CONTENT_MAX (1u << 20)	/* bytes of it: of TLS 1.2's client, all certificates of both sides */
#define NET_KEY_SIGNATURE_MAX	2048

struct net_key_question {
	uint64_t		 id;
	enum net_key_scheme	 scheme;
	unsigned		 bits;		/* of the digest: SHA-224, -256, -384 or -512; SHA-1 and others do not exist here. 0: none */
	struct span		 content;	/* empty: it comes as a file */
};

struct frame;
struct frame_writer;
void	 net_key_put(struct frame_writer *, const struct net_key_question *);
/* False if the body is none. The content points into it. */
bool	 net_key_get(const struct frame *, struct net_key_question *);
/* What it answers: the signature, empty if there is none. False if the frame is no such answer. */
void	 net_key_put_signed(struct frame_writer *, struct span signature);
bool	 net_key_get_signed(const struct frame *, struct span *signature);
/* … to a file: the key's name and public half, or 0 and why there is none. */
void	 net_key_put_loaded(struct frame_writer *, uint64_t id, struct span spki_or_why);
bool	 net_key_get_loaded(const struct frame *, uint64_t *id, struct span *spki_or_why);
/*
 * Has it the form of what TLS 1.3's CertificateVerify, TLS 1.2's ServerKeyExchange or TLS 1.2's CertificateVerify signs?
 * What is variable in it is a hash, randoms and a point, and the messages of a handshake.
 */
bool	 net_key_is_handshake(struct span content);

enum net_keyd_type {
	NET_KEYD_SIGN = 1,	/* a worker's: net_key_put(); perhaps with the content's file */
	NET_KEYD_SIGNED,	/* ok (u8), signature (text) */
	NET_KEYD_LOAD,		/* the master's; with the file */
	NET_KEYD_LOADED,	/* ok (u8), id (u64), public key or why (text) */
	NET_KEYD_KEEP,		/* ids (u64) … */
	NET_KEYD_CHANNELS,	/* with our ends of them */
	NET_KEYD_LOG,		/* with the log */
	NET_KEYD_DONE,		/* the answer to these three, and to the next one */
	NET_KEYD_BEAT		/* the master's: is it well? */
};

#endif
