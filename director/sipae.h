/*
 * director/sipae.h - MS-SIPAE on messages: credentials, challenges, signatures (MS 3, 4).
 *
 * Authorization and Proxy-Authorization are alike, in requests and in responses
 * of clients. What counts are those of a scheme we know with our realm and
 * target name; all others are for somebody else.
 */
#ifndef SALLYPORT_DIRECTOR_SIPAE_H
#define SALLYPORT_DIRECTOR_SIPAE_H

#include "director/config.h"
#include "director/sa.h"
#include "director/sigbuf.h"
#include "director/signin.h"

/* Who we are in challenges. Borrowed. */
struct sipae_self {
	const char	*realm, *name;	/* quotable; name: ours, which makes the target name */
	unsigned	 version;	/* the newest that is offered */
};

/* Spans borrowed from the message. */
struct sipae_credentials {
	enum sa_scheme		 scheme;
	bool			 handshake;	/* gssapi-data is there, perhaps empty */
	struct span		 token;		/* as base64 */
	uint32_t		 opaque;	/* 0: none */
	unsigned		 version;	/* 2 if they do not say */
	bool			 is_signed;
	struct sigbuf_proof	 proof;
	uint32_t		 cnum;
	unsigned char		 signature[SA_SIGNATURE_MAX];
	size_t			 signature_n;
};

/* Credentials for us. MALFORMED: a parameter is missing, or is not what it must be. */
enum signin sipae_find(const struct sipae_self *, const struct sip_message *, struct sipae_credentials *);
/* Take those for us out. */
void	 sipae_strip(const struct sipae_self *, struct sip_message *);
/* Bytes of a base64 text into out, or 0 if it is none or does not fit. */
size_t	 sipae_token(struct span base64, unsigned char *out, size_t max);

/* A WWW-Authenticate line that begins a handshake, and one that goes on with it. */
void	 sipae_offer(const struct sipae_self *, enum sa_scheme, struct strbuf *out);
void	 sipae_go_on(const struct sipae_self *, enum sa_scheme, uint32_t opaque, struct span token, struct strbuf *out);

/* Is the message (indexed, as it came) signed with these keys? */
bool	 sipae_verify(const struct sip_message *, const struct sipae_credentials *, unsigned version,
	    const struct sa_keys *);

/* What rendering and signing needs; one thread. */
struct sipae_desk;
struct sipae_desk *sipae_desk_new(void);
void	 sipae_desk_free(struct sipae_desk *);	/* NULL: nothing */
/*
 * Sign the message as its edits will make it: an Authentication-Info header is
 * one edit more. Nothing that is signed may be edited afterwards (MS 4.1). False if there is
 * no such association, an edit had failed, or it is too long; then it is not signed.
 */
bool	 sipae_sign(struct sipae_desk *, const struct sipae_self *, struct sa_table *, uint32_t opaque,
	    uint64_t now_ms, struct sip_message *);

#endif
