/*
 * director/ntlm.h - NTLM as MS-SIPAE uses it, the server's side. Pure.
 *
 * Datagram (connectionless) mode: there is no NEGOTIATE message, the server
 * speaks first with a CHALLENGE, the client answers with AUTHENTICATE
 * (MS-NLMP; MS 5). Only NTLMv2 responses with extended session security and key
 * exchange count; NTLMv1 and LM responses prove nothing here.
 *
 * authd makes challenges and verifies (it has the NT hashes); the network
 * process gets the exported session key alone, derives the signing keys from
 * it and signs with those.
 */
#ifndef SALLYPORT_DIRECTOR_NTLM_H
#define SALLYPORT_DIRECTOR_NTLM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/span.h"

#define NTLM_NONCE_SIZE		8
#define NTLM_KEY_SIZE		16
#define NTLM_SIGNATURE_SIZE	16
#define NTLM_CHALLENGE_MAX	3072	/* bytes of any CHALLENGE of ours */
#define NTLM_TOKEN_MAX		8192	/* a longer AUTHENTICATE is refused */
#define NTLM_NAME_MAX		512	/* user or domain as UTF-8, with a NUL */

enum ntlm_flag {
	NTLM_UNICODE = 0x00000001,
	NTLM_SIGN = 0x00000010,
	NTLM_DATAGRAM = 0x00000040,
	NTLM_NTLM = 0x00000200,
	NTLM_ALWAYS_SIGN = 0x00008000,
	NTLM_EXTENDED_SECURITY = 0x00080000,
	NTLM_IDENTIFY = 0x00100000,
	NTLM_TARGET_INFO = 0x00800000,
	NTLM_VERSION = 0x02000000,
	NTLM_128 = 0x20000000,
	NTLM_KEY_EXCHANGE = 0x40000000
};
#define NTLM_56			0x80000000u	/* does not fit an enum's int */

/* What a challenge offers: e2988251, without which clients of this family stop (MS 5.1). */
#define NTLM_CHALLENGE_FLAGS	((uint32_t)(NTLM_UNICODE | NTLM_SIGN | NTLM_DATAGRAM | NTLM_NTLM | NTLM_ALWAYS_SIGN | \
	NTLM_EXTENDED_SECURITY | NTLM_IDENTIFY | NTLM_TARGET_INFO | NTLM_VERSION | NTLM_128 | NTLM_KEY_EXCHANGE) | NTLM_56)

/* Who we say we are in a challenge. ASCII; whoever fills it sees to the lengths. */
struct ntlm_target {
	char		 nb_domain[16], nb_computer[16];	/* NetBIOS names */
	char		 dns_domain[256], dns_computer[256];
	bool		 timestamp;	/* say what time it is: newer clients then protect the exchange with a MIC */
};

/* Milliseconds since 1970 as NTLM counts time. */
uint64_t ntlm_time(uint64_t wall_ms);
/* The CHALLENGE; equal arguments give equal bytes. time (ntlm_time()) counts if the target says timestamp. Bytes written. */
size_t	 ntlm_challenge_write(const struct ntlm_target *, const unsigned char nonce[NTLM_NONCE_SIZE], uint64_t time,
	    unsigned char out[NTLM_CHALLENGE_MAX]);

/* An AUTHENTICATE message, taken apart; spans borrowed from the token. */
struct ntlm_authenticate {
	struct span	 token;
	struct span	 nt;		/* the NTLMv2 response */
	struct span	 domain, user, workstation;	/* UTF-16LE, as sent */
	struct span	 session_key;	/* encrypted, 16 bytes */
	uint32_t	 flags;
	uint32_t	 av_flags;	/* of the target information that the client sent back */
	bool		 has_mic;	/* 16 bytes at NTLM_MIC_AT */
};
#define NTLM_MIC_AT	72

/*
 * SP_OK; SP_ESYNTAX if it is malformed (a field outside of the message or over
 * another, a length that cannot be, no end of the target information);
 * SP_EINVAL if it is well-formed but of a kind that is not accepted: NTLMv1 or
 * LM alone, no Unicode, no extended session security, no key exchange.
 */
int	 ntlm_authenticate_parse(struct ntlm_authenticate *, struct span token);

/* UTF-16LE as UTF-8 with a NUL; false if it is no text (a lone surrogate, a NUL, an odd byte) or does not fit. */
bool	 ntlm_utf8(struct span utf16, char *out, size_t size);

/*
 * Does it prove the password whose NT hash this is, for the challenge made of
 * target, nonce and time? The domain may have been left out of the proof
 * (MS 5.2). A MIC is demanded where the client says that it made one. Then true,
 * and key is the exported session key; else key is wiped.
 */
bool	 ntlm_verify(const struct ntlm_authenticate *, const unsigned char nt_hash[NTLM_KEY_SIZE],
	    const struct ntlm_target *, const unsigned char nonce[NTLM_NONCE_SIZE], uint64_t time,
	    unsigned char key[NTLM_KEY_SIZE]);

/*
 * The exported session key, when another (a domain controller) has verified the
 * response and says which session base key follows from it. As above with a MIC.
 */
bool	 ntlm_session_key(const struct ntlm_authenticate *, const unsigned char base[NTLM_KEY_SIZE],
	    const struct ntlm_target *, const unsigned char nonce[NTLM_NONCE_SIZE], uint64_t time,
	    unsigned char key[NTLM_KEY_SIZE]);

/* --- signing ------------------------------------------------------------------------ */

/*
 * What one direction signs with. In datagram mode RC4 begins anew for every
 * message, and MS-SIPAE has sequence number 100 for all of them: so the eight
 * bytes that cover the checksum are always the same, and kept instead of a key.
 */
struct ntlm_side {
	unsigned char	 sign_key[NTLM_KEY_SIZE];
	unsigned char	 cover[8];
};
struct ntlm_keys {
	struct ntlm_side client, server;	/* who signs with it */
};
void	 ntlm_keys_derive(struct ntlm_keys *, const unsigned char key[NTLM_KEY_SIZE], uint32_t flags);
void	 ntlm_sign(const struct ntlm_side *, struct span text, unsigned char out[NTLM_SIGNATURE_SIZE]);

/* RC4 of n bytes from a fresh state; in and out may be the same. Here for tests. */
void	 ntlm_rc4(const void *key, size_t key_n, const unsigned char *in, size_t n, unsigned char *out);

#endif
